//! Chat templates against jinja2 as `transformers` sets it up, templates that misbehave, and the ways a template is
//! found. Everything through the public API, fixtures compiled in, so that it runs in wasm as well.

use serde_json::{Value, json};
use tallow::chat::{
    ChatRequest, ChatTemplate, LocalTime, MAX_OUTPUT_LEN, MAX_SOURCE_LEN, MAX_STEPS, Message,
};
use tallow::gguf::{self, Metadata};
use tallow::{Error, ErrorKind, Result};

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
    let golden: Value = serde_json::from_str(include_str!("golden/templates.json")).unwrap();
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
    let golden: Value = serde_json::from_str(include_str!("golden/templates.json")).unwrap();
    let conversations: Value = serde_json::from_str(include_str!("chat/conversations.json")).unwrap();
    check_all(&conversations["cases"], |case| {
        let source = golden["templates"][case["template"].as_str().unwrap()].as_str().unwrap();
        render(source, case["request"].clone())
    });
}

/// `chat/features.json`: one template for each feature of the language.
#[test]
fn features_render_as_transformers_does() {
    let features: Value = serde_json::from_str(include_str!("chat/features.json")).unwrap();
    check_all(&features["cases"], |case| {
        let body = json!({ "messages": features["messages"], "chat_template_kwargs": features["variables"] });
        render(case["template"].as_str().unwrap(), body)
    });
}
