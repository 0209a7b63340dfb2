"""Fills in what each case should render to: run it after adding a case without `expected`.

Needs transformers (the cases in the tree were made with 5.23.0) and jinja2 (3.1.6):
    python tests/chat/expect.py
"""

import datetime
import json
import pathlib

import transformers.utils.chat_template_utils as transformers_templates

HERE = pathlib.Path(__file__).parent


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 7, 26, 9, 30)


def render(template, request):
    """What `apply_chat_template` does after it has chosen the template."""
    request = dict(request)
    variables = request.pop("chat_template_kwargs", {})
    messages = [
        {key: value for key, value in message.items() if value is not None} for message in request.pop("messages")
    ]
    rendered, _ = transformers_templates.render_jinja_template(
        [messages], chat_template=template, **request, **variables
    )
    return rendered[0]


def fill(case, template, request):
    if "expected" in case or "error" in case:
        return
    try:
        case["expected"] = render(template, request)
    except Exception as error:
        case["error"] = str(error)


def main():
    transformers_templates.datetime = FixedTime
    templates = json.loads((HERE.parent / "golden/templates.json").read_text())["templates"]

    features = json.loads((HERE / "features.json").read_text())
    request = {"messages": features["messages"], "chat_template_kwargs": features["variables"]}
    for case in features["cases"]:
        fill(case, case["template"], request)

    conversations = json.loads((HERE / "conversations.json").read_text())
    for case in conversations["cases"]:
        fill(case, templates[case["template"]], case["request"])

    for name, cases in [("features.json", features), ("conversations.json", conversations)]:
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases.pop("cases"))
        head = json.dumps(cases, ensure_ascii=False, indent=1)[:-2]
        (HERE / name).write_text(f'{head},\n "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
