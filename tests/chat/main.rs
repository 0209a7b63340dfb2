//! Chat templates against jinja2 as `transformers` sets it up, templates that misbehave, and the ways a template is
//! found. Everything through the public API, fixtures compiled in, so that it runs in wasm as well.
//!
//! `hostile` has the templates that would end the engine, or never end.

mod hostile;
#[path = "../module/mod.rs"]
mod module;

use module::assert_module;
use serde_json::{Value, json};
use tallow::chat::{ChatRequest, ChatTemplate, LocalTime, Message};
use tallow::gguf::{self, Metadata};
use tallow::{Error, ErrorKind, Result};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// The time at which the expected texts were made.
fn now() -> LocalTime {
    LocalTime::new(2026, 7, 26, 9, 30, 0).unwrap()
}

fn request(body: Value) -> ChatRequest {
    serde_json::from_value(body).unwrap()
}

fn render(template: &str, body: Value) -> Result<String> {
    ChatTemplate::new(template)?.render(&request(body), now())
}

/// Renders `template`, which reads nothing, for one message.
fn render_alone(template: &str) -> Result<String> {
    ChatTemplate::new(template)?.render(&ChatRequest::new(vec![Message::new("user", "Hi")]), now())
}

/// Templates, and what `transformers` makes of them.
fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/templates.json")).unwrap()
}

/// The kinds a template and its request can fail with.
const KINDS: [ErrorKind; 2] = [ErrorKind::TemplateError, ErrorKind::InvalidRequest];

/// Compares a result with a case's `expected`, or with its `error`, of which only the kind has to agree.
fn check(result: Result<String>, case: &Value) -> std::result::Result<(), String> {
    match (result, case["expected"].as_str()) {
        (Ok(got), Some(expected)) if got == expected => Ok(()),
        (Ok(got), Some(expected)) => Err(format!("expected {expected:?}\n     got {got:?}")),
        (Ok(got), None) => Err(format!("expected the error {}\n     got {got:?}", case["error"])),
        (Err(error), Some(expected)) => Err(format!("expected {expected:?}\n     got {error}")),
        (Err(error), None) if KINDS.contains(&error.kind()) => Ok(()),
        (Err(error), None) => Err(format!("expected the error {}\n     got {error}", case["error"])),
    }
}

/// Runs `check` on every case and reports all that fail.
fn check_all(cases: &Value, run: impl Fn(&Value) -> Result<String>) {
    let cases = cases.as_array().unwrap();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let failure = check(run(case), case).err()?;
            Some(format!("{} {}\n{failure}", case["template"], case["case"]))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(!cases.is_empty());
}

#[test]
fn golden_templates_render_as_jinja2_does() {
    assert_module();
    let golden = golden();
    check_all(&golden["cases"], |case| {
        let source = golden["templates"][case["template"].as_str().unwrap()].as_str().unwrap();
        let mut body = case["input"].clone();
        let mut variables = json!({});
        for name in ["bos_token", "eos_token"] {
            variables[name] = body[name].take();
        }
        body["chat_template_kwargs"] = variables;
        let result = render(source, body);
        if let (Err(error), Some(message)) = (&result, case["error"].as_str()) {
            assert!(error.detail().ends_with(message), "{error} should end with {message}");
        }
        result
    });
}

/// `chat/conversations.json`: messages of every shape, in the golden templates.
#[test]
fn conversations_render_as_transformers_does() {
    assert_module();
    let golden = golden();
    let conversations: Value = serde_json::from_str(include_str!("conversations.json")).unwrap();
    check_all(&conversations["cases"], |case| {
        let source = golden["templates"][case["template"].as_str().unwrap()].as_str().unwrap();
        render(source, case["request"].clone())
    });
}

/// `chat/features.json`: one template for each feature of the language.
#[test]
fn features_render_as_transformers_does() {
    assert_module();
    let features: Value = serde_json::from_str(include_str!("features.json")).unwrap();
    check_all(&features["cases"], |case| {
        let body = json!({ "messages": features["messages"], "chat_template_kwargs": features["variables"] });
        render(case["template"].as_str().unwrap(), body)
    });
}

/// What is put in for the bounds changes no result.
#[test]
fn operators_keep_their_precedence() {
    let prefix = "{% set a = 1 %}{% set b = 2 %}{% set l = [1, 2, 3] %}{% set t = 'x' %}{% set d = {'in': 5, 'not': 6} %}";
    for (expression, expected) in [
        ("a ~ b + 1 ~ 2", Some("1212")),
        ("a + 1 ~ b", None),
        ("a ~ b * 3 ~ -b ~ (-a)", Some("16-2-1")),
        ("-a ~ b", Some("-12")),
        ("b ~ a * -b ~ 4 // -b", Some("2-2-2")),
        ("a == 3 - -b * -a ** --a", Some("True")),
        ("'a'|safe + -b|string + b * 'c'", Some("a-2cc")),
        ("1 ~ b is divisibleby -2 ~ 3", Some("1True3")),
        ("t ~ a if a == 1 else t ~ b", Some("x1")),
        ("not a == b and b == a + 1", Some("True")),
        ("a == b - 1 and not a ~ b == '13'", Some("True")),
        ("a ~ t is string", Some("1True")),
        ("(a ~ b) is string", Some("True")),
        ("a is not none and a not in [b] and b in l", Some("True")),
        ("a is in l and a is not in [b, 3]", Some("True")),
        ("[a in l, b not in l, 'x' in t, t in 'yxz', 'in' in d]", Some("[True, False, True, True, True]")),
        ("d.in ~ d.not ~ d['in']", Some("565")),
        ("0 < a < b <= 2 != 3", Some("True")),
        ("{a ~ b: a ~ b, 'c': a == b}", Some("{'12': '12', 'c': False}")),
        ("dict(a=a ~ b, b=a != b)", Some("{'a': '12', 'b': True}")),
        (
            "[l[::2], l[::-1], l[a:b], l[::a ~ b if 0 else b], 'abc'[::-1], 'abc'[:b:a]]",
            Some("[[1, 3], [3, 2, 1], [2], [1, 3], 'cba', 'ab']"),
        ),
        ("[1e20 ~ '', 1.5 ~ none, [1e20, none] ~ t]", Some("['1e+20', '1.5None', '[1e+20, None]x']")),
        ("[1e20, 0.5]|join('|')", Some("1e+20|0.5")),
        ("range(*l[1:] ~ '') if 0 else 'a' ~ nothing ~ 'b'", Some("ab")),
        ("dict(**{'a': 1 == 1}) ~ (a, b)", Some("{'a': True}(1, 2)")),
        ("'<'|safe ~ '<' ~ ('a'|safe + '<' ~ b)", Some("<<a&lt;2")),
    ] {
        let rendered = render_alone(&format!("{prefix}{{{{- {expression} -}}}}"));
        match expected {
            Some(expected) => assert_eq!(rendered.unwrap(), expected, "{expression}"),
            None => assert!(rendered.is_err(), "{expression}: {rendered:?}"),
        }
    }
}

/// What minijinja or Rust would panic at.
#[test]
fn arguments_out_of_range_are_refused() {
    for (expression, reason) in [
        ("'%(é)s'|format(1)", "the format's key `é` should be ASCII"),
        ("'%(é'|format(1)", "the format's key `é` should be ASCII"),
        ("'{0[é]}'.format([1])", "the format's key `é` should be ASCII"),
        ("'{a.b[c].d[é'.format(a=1)", "the format's key `é` should be ASCII"),
        ("'%.65535f'|format(1)", "the width 65535 exceeds its limit of 65534"),
        ("'%%%65535d'|format(1)", "the width 65535 exceeds its limit of 65534"),
        ("'%(a)-065535d'|format(a=1)", "the width 065535 exceeds its limit of 65534"),
        ("'%.65535e'|format(1.0)", "the width 65535 exceeds its limit of 65534"),
        ("'{:.65535f}'.format(1)", "the width 65535 exceeds its limit of 65534"),
        ("'{:}>65535}'.format(1)", "the width 65535 exceeds its limit of 65534"),
        ("'{{{0[a].b:.65535e}'.format(1)", "the width 65535 exceeds its limit of 65534"),
        ("loop.cycle()", "`cycle` expects the values to go through"),
        ("(loop.cycle)( )", "`cycle` expects the values to go through"),
        ("loop . cycle(*[])", "`cycle` expects the values to go through"),
        ("'abc'[::0]", "cannot slice by step size of 0"),
        ("['a']|sum(start='')", "`sum` adds numbers and lists, but starts with a string"),
        ("[[1], 2]|sum(start=[])", "`sum` cannot add a number to a list"),
        ("(loop.changed)(1)", "`changed` should be called, without brackets around it"),
        ("[{}]|map(attribute=[1])|list", "`attribute` should name one, but is a sequence"),
        ("range(268435457)", "`range` expects numbers of at most 268435456, got 268435457"),
        (
            "range(0, -9223372036854775807 - 1, -1)",
            "`range` expects numbers of at most 268435456, got -9223372036854775808",
        ),
        ("range(-268435456, 268435456, 1)", "range has too many elements"),
        ("range(268435456, -268435456, -1)", "range has too many elements"),
        ("debug()", "unknown function: debug is unknown"),
    ] {
        let template = format!("{{% for x in [1] %}}{{{{ {expression} }}}}{{% endfor %}}");
        let detail = render_alone(&template).expect_err(expression).detail().to_owned();
        assert!(detail.ends_with(reason), "{expression}: {detail}");
    }
    for (expression, expected) in [
        ("'aaa'|replace('a', 'b', 99999999999999) ~ 'aaa'|replace('a', 'b', count=2)", "bbbbba"),
        ("'100%% (é) 1000000 %s'|format(1)", "100% (é) 1000000 1"),
        ("'{{é[é]}} 1000000 {:é>3}'.format(1)", "{é[é]} 1000000 éé1"),
        ("'%.65534f'|format(1)|length", "65536"),
        ("'%.65534e'|format(1.5)|length", "65540"),
        ("'%.65534g'|format(1.5)|length", "3"),
        ("'{:#.65534g}'.format(1.5)|length", "65535"),
        ("'{:065534,.65534f}'.format(1.5)|length", "65536"),
        ("'abc'[::4294967296]", "a"),
        ("'abc'[::-4294967296]", "c"),
        ("[1, 2, 3][::-9223372036854775808]|list", "[3]"),
        ("[1, 2, 3][::170141183460469231731687303715884105727]|list", "[1]"),
        ("loop.cycle(5, 6)", "5"),
        ("[loop.changed(1, a=2), loop.changed(1, a=2), loop.changed(*[3])]", "[True, False, True]"),
        ("range(0, -1, -9223372036854775808)|list", "[0]"),
        ("range(5, 0, -2)|list ~ range(2)|list", "[5, 3, 1][0, 1]"),
        ("[[1], [2, 3]]|sum(start=[])", "[1, 2, 3]"),
        ("[{'a': (1,)}, {'a': (2,)}]|sum(attribute='a', start=(0,))", "(0, 1, 2)"),
        ("[{'a': 1}, {'a': 2}]|sum('a')", "3"),
    ] {
        let template = format!("{{% for x in [1] %}}{{{{ {expression} }}}}{{% endfor %}}");
        assert_eq!(render_alone(&template).unwrap(), expected, "{expression}");
    }
    for tag in ["include l", "extends l", "import l as m", "from l ~ [] if 0 else l import m"] {
        let error = render_alone(&format!("{{% set l = ['a'] %}}{{% {tag} %}}")).expect_err(tag);
        assert!(
            error.detail().ends_with("a template's name should be a string, but is a sequence"),
            "{tag}: {error}"
        );
    }
}

#[test]
fn errors_tell_line_and_reason() {
    for (template, detail) in [
        (
            "a\n{{ raise_exception('Roles must <alternate> & \"so\"') }}",
            "line 2: Roles must <alternate> & \"so\"",
        ),
        ("{% macro m() %}\n\n{{ raise_exception('inner') }}{% endmacro %}\n{{ m() }}", "line 3: inner"),
        ("a\n\n{{ 'x'|nosuch }}", "line 3: unknown filter: filter nosuch is unknown"),
        (
            "{% if true %}\n{{ x",
            "line 2: syntax error: unexpected end of input, expected end of variable block",
        ),
        ("{% endfor %}", "line 1: syntax error: unknown statement endfor"),
        ("\n{{ messages[0].a.b }}", "line 2: undefined value: `messages[0].a` is undefined"),
        (
            "{{ [].append(1) }}",
            "line 1: invalid operation: `list.append` would change its object, which chat templates may not",
        ),
    ] {
        let error = render_alone(template).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TemplateError, "{template}");
        assert_eq!(error.detail(), detail, "{template}");
        assert_eq!(error.to_string(), format!("template_error: {detail}"));
    }
}

#[test]
fn wrong_requests_are_invalid() {
    let hi = json!([{ "role": "user", "content": "Hi" }]);
    for (body, detail) in [
        (json!({ "messages": [] }), "`messages` is empty"),
        (
            json!({ "messages": hi, "continue_final_message": true, "add_generation_prompt": true }),
            "`continue_final_message` and `add_generation_prompt` exclude each other",
        ),
        (
            json!({ "messages": hi, "continue_final_message": true }),
            "`continue_final_message` is set, but the template does not render the final message's text",
        ),
        (
            json!({ "messages": hi, "chat_template_kwargs": { "tools": 1 } }),
            "`chat_template_kwargs` names `tools`, which is a field of its own",
        ),
    ] {
        let error = render("nothing", body).unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
    for (message, detail) in [
        (json!({ "content": "Hi" }), "a message has no `role`"),
        (json!({ "role": null }), "a message's `role` should be a string, but is null"),
        (json!({ "role": 5, "content": "Hi" }), "a message's `role` should be a string, but is 5"),
    ] {
        let error = serde_json::from_value::<Message>(message).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid_request: {detail}"));
    }
}

#[test]
fn unknown_fields_reach_the_template_in_order() {
    let body = json!({ "messages": [{ "zeta": 1, "role": "user", "alpha": { "b": 2, "a": null } }] });
    let rendered = render("{{ messages[0]|tojson }}{{ messages[0].alpha }}", body).unwrap();
    assert_eq!(rendered, r#"{"zeta": 1, "role": "user", "alpha": {"b": 2, "a": null}}{'b': 2, 'a': None}"#);
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        metadata.insert((*key).to_owned(), gguf::Value::String((*value).to_owned())).unwrap();
    }
    metadata
}

#[test]
fn a_file_without_a_template_gets_chatml() {
    let template = ChatTemplate::from_metadata(&metadata(&[("general.name", "x")])).unwrap();
    let body = json!({
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": " Hi" }, { "type": "image" }, { "type": "text", "text": "\n" }] },
            { "role": "assistant", "content": null },
        ],
        "add_generation_prompt": true,
    });
    let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n\
                    <|im_start|>assistant\n<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(template.render(&request(body), now()).unwrap(), expected);
}

#[test]
fn of_several_templates_the_request_chooses() {
    let several = metadata(&[
        ("tokenizer.chat_template", "default {{ bos_token }}"),
        ("tokenizer.chat_template.tool_use", "tools {{ tools|length }}"),
        ("tokenizer.chat_template.rag", "rag"),
        ("tokenizer.chat_templates", "not a template"),
    ]);
    let template = ChatTemplate::from_metadata(&several).unwrap().with_variable("bos_token", "<s>");
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    for (body, expected) in [
        (json!({ "messages": messages }), "default <s>"),
        (json!({ "messages": messages, "tools": null }), "default <s>"),
        (json!({ "messages": messages, "tools": [] }), "tools 0"),
        (json!({ "messages": messages, "tools": [{}, {}, {}] }), "tools 3"),
        (json!({ "messages": messages, "template": "rag", "tools": [] }), "rag"),
        (json!({ "messages": messages, "template": "own {{ bos_token }}" }), "own <s>"),
        (json!({ "messages": messages, "chat_template_kwargs": { "bos_token": "<b>" } }), "default <b>"),
    ] {
        assert_eq!(template.render(&request(body), now()).unwrap(), expected);
    }
}

#[test]
fn instructions_are_what_every_conversation_with_them_begins_with() {
    let golden = golden();
    let mut n_kept = 0;
    for (name, source) in golden["templates"].as_object().unwrap() {
        let template = ChatTemplate::new(source.as_str().unwrap()).unwrap();
        let conversation = request(json!({
            "messages": [
                { "role": "system", "content": "Speak like a pirate." },
                { "role": "user", "content": "Who are you?" },
                { "role": "assistant", "content": "Arr." },
                { "role": "user", "content": "Where to?" },
            ],
            "chat_template_kwargs": { "bos_token": "<s>", "eos_token": "</s>" },
            "add_generation_prompt": true,
        }));
        // Some templates know no system message.
        let Ok(prompt) = template.render(&conversation, now()) else { continue };
        let instructions = template.render(&conversation.instructions(), now()).unwrap();
        let alike = prompt.chars().zip(instructions.chars()).take_while(|(a, b)| a == b).count();
        let kept: String = prompt.chars().take(alike).collect();
        assert!(!kept.contains("Who"), "{name}: {kept}");
        // Some put it before the last question, where a shift leaves it longest.
        if prompt.find("pirate") < prompt.find("Who") && prompt.contains("pirate") {
            assert!(kept.contains("Speak like a pirate."), "{name}: {kept}");
            n_kept += 1;
        }
    }
    assert!(n_kept >= 5, "{n_kept} templates have a system message");

    let only = request(json!({ "messages": [{ "role": "developer", "content": "Be brief." }] }));
    assert_eq!(only.instructions().messages, only.messages);
}

#[test]
fn parts_of_text_are_one_text_and_others_are_refused() {
    let of = |content: Value| {
        request(
            json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "user", "content": content }] }),
        )
    };
    let text = |content: Value| of(content).in_one_piece().unwrap().messages[1].fields()["content"].clone();
    let part = |text: &str| json!({ "type": "text", "text": text });
    assert_eq!(text(json!("ab")), json!("ab"));
    assert_eq!(text(json!([part("a "), part("b"), part("c")])), json!("a bc"));
    assert_eq!(text(json!([])), json!(""));
    assert_eq!(text(json!(null)), json!(null));
    for (content, detail) in [
        (json!(5), "`messages[1].content` should be a text or an array of text parts, got 5"),
        (
            json!({ "text": "a" }),
            "`messages[1].content` should be a text or an array of text parts, got {\"text\":\"a\"}",
        ),
        (
            json!([part("a"), { "type": "image_url", "image_url": { "url": "x" } }]),
            "`messages[1].content[1].type` should be `text`, got `image_url`",
        ),
        (json!([part("a"), part("b"), { "type": "text" }]), "`messages[1].content[2].text` should be a text"),
        (json!(["a"]), "`messages[1].content[0]` should be an object with the `type` `text`"),
    ] {
        let error = of(content).in_one_piece().unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
}

#[test]
fn a_template_of_another_type_is_refused() {
    let mut metadata = Metadata::default();
    metadata.insert("tokenizer.chat_template".to_owned(), gguf::Value::U32(3)).unwrap();
    let error: Error = ChatTemplate::from_metadata(&metadata).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(error.detail(), "metadata key `tokenizer.chat_template` should be of type string, but is u32");
}

#[test]
fn there_are_only_times_that_exist() {
    assert!(LocalTime::new(2024, 2, 29, 23, 59, 59).is_ok());
    for (year, month, day, hour) in
        [(2023, 2, 29, 0), (1900, 2, 29, 0), (2026, 13, 1, 0), (2026, 4, 31, 0), (2026, 1, 1, 24)]
    {
        let error = LocalTime::new(year, month, day, hour, 0, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}
