//! Sources that would end the engine in a browser: by a stack overflow, or by a panic of llguidance's.

use super::{Value, compile, gbnf, json, lark, ramble, refused, regex, schema, takes};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Runs on a thread of as much stack as a browser gives: what overflows it ends all tests.
#[cfg(target_arch = "wasm32")]
fn with_small_stack(test: impl FnOnce() + Send) {
    test();
}
#[cfg(not(target_arch = "wasm32"))]
fn with_small_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread.spawn_scoped(scope, test).unwrap().join().unwrap();
    });
}

fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{prefix}{n}")).collect()
}

/// An object of schemas or values by name.
fn named(prefix: &str, n: usize, value: &Value) -> Value {
    names(prefix, n).into_iter().map(|name| (name, value.clone())).collect()
}

#[test]
fn properties_are_bounded_before_they_overflow_the_stack() {
    let flag = json!({ "type": "boolean" });
    let merged = |n: usize| {
        let parts = [named("a", 500, &flag), named("b", n, &flag), named("c", 1, &flag)];
        json!({ "type": "object", "allOf": parts.map(|part| json!({ "properties": part })) })
    };
    with_small_stack(|| {
        for source in [
            json!({ "properties": named("a", 500, &flag), "type": "object" }),
            json!({ "properties": named("a", 500, &flag), "required": names("a", 500), "type": "object" }),
            json!({ "properties": named("a", 500, &flag), "required": names("b", 500), "type": "object" }),
            json!({ "const": named("a", 500, &json!(1)) }),
            json!({ "enum": [named("a", 500, &json!(1)), 7] }),
            json!({ "type": "object", "propertyNames": { "enum": names("a", 1000) } }),
            merged(499),
            (0..40).fold(merged(499), |inner, _| json!({ "items": inner })),
        ] {
            compile(&schema(source)).unwrap();
        }
        let required = schema(json!({ "type": "object", "required": names("a", 500) }));
        assert!(takes(&required, &named("a", 500, &json!(1)).to_string()));
    });
    let refs: serde_json::Map<String, Value> = (0..20)
        .map(|n| {
            let next = format!("#/$defs/d{}", n + 1);
            let own = named(&format!("p{n}_"), 60, &flag);
            (format!("d{n}"), json!({ "properties": own, "allOf": [{ "$ref": next }] }))
        })
        .chain([("d20".to_owned(), json!({ "type": "object" }))])
        .collect();
    let at = "`response_format.json_schema.schema` at ";
    let too_many = "an object should have at most 1000 properties";
    for (source, fault) in [
        (
            json!({ "items": { "properties": named("a", 501, &flag) } }),
            "`/items/properties`: should be at most 500 properties, but is 501".to_owned(),
        ),
        (json!({ "required": names("a", 5000) }), "`/required`: should be at most 500".to_owned()),
        (json!({ "const": [named("a", 501, &json!(1))] }), "`/const/0`: should be at most 500".to_owned()),
        (json!({ "enum": [1, named("a", 6000, &json!(1))] }), "`/enum/1`: should be at most 500".to_owned()),
        (
            json!({ "items": { "type": "object", "propertyNames": { "enum": names("a", 4000) } } }),
            format!("`/items`: {too_many}"),
        ),
        (merged(500), format!("`/`: {too_many}")),
        (json!({ "$defs": refs, "items": { "$ref": "#/$defs/d0" } }), format!("`/$defs/d3`: {too_many}")),
    ] {
        let detail = refused(&schema(source));
        assert!(detail.strip_prefix(at).unwrap().starts_with(&fault), "{detail}");
    }
    // Each would say of the others that they are not there, in much memory.
    let exclusive: Vec<Value> = names("a", 4000).iter().map(|name| json!({ "required": [name] })).collect();
    assert!(refused(&schema(json!({ "type": "object", "oneOf": exclusive }))).contains("`/oneOf`: "));
}

#[test]
fn json_in_lark_is_a_schema_like_any_other() {
    let chain: serde_json::Map<String, Value> = (0..200)
        .map(|n| {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            (format!("d{n}"), json!({ "type": "array", "items": next }))
        })
        .chain([("d200".to_owned(), json!({ "type": "null" }))])
        .collect();
    let chain = json!({ "$defs": chain, "$ref": "#/$defs/d0" });
    let steps = r#"{ "type": "integer", "multipleOf": 10000019 }"#;
    with_small_stack(|| {
        for (source, fault) in [
            (format!("start: %json {chain}"), "line 1: `%json` at `/`: references should lead at most"),
            (format!("start: a\na: \"a\" %json {steps}"), "line 2: `%json` at `/multipleOf`: "),
            (format!("start: %lark {{\nstart: %json {steps}\n}}"), "line 2: `%json` at `/multipleOf`: "),
            (format!("# \"\nstart: %json {steps} # \""), "line 2: `%json` at `/multipleOf`: "),
            (format!("start: <\"> %json {steps} <\">"), "line 1: `%json` at `/multipleOf`: "),
            (format!("start: /\"/ %json\n\n{steps} /\"/"), "line 1: `%json` at `/multipleOf`: "),
            ("start: %json 7".to_owned(), "line 1: `%json` at `/`: should be an object or a boolean"),
            ("start: %json { \"type\" }".to_owned(), "line 1: the JSON of `%json`: "),
            ("start: \"a\"\n%json".to_owned(), "line 2: JSON should follow `%json`"),
            (
                format!("start: {}", "%json true ".repeat(101)),
                "line 1: `%json` and `%lark` should be at most 100",
            ),
        ] {
            let detail = refused(&lark(&source));
            assert!(detail.strip_prefix("`grammar`: ").unwrap().starts_with(fault), "{source}: {detail}");
        }
    });
    let source = r##"start: "<" item ("," item)* ">" # %json "
        item: %json {
            "$defs": { "n": { "type": "integer", "maximum": 9 } },
            "type": "object", "properties": { "a": { "$ref": "#/$defs/n" } }
        } | %json{ "const": "%json" }
    "##;
    for (text, taken) in [
        (r#"<{"a": 7},"%json",{}>"#, true),
        (r#"<{"a": 10}>"#, false),
        (r#"<{"a":  7}>"#, false),
        // As everywhere, an object has the properties that are named.
        (r#"<{"b": 7}>"#, false),
    ] {
        assert_eq!(takes(&lark(source), text), taken, "{text}");
    }
    // What follows keeps its line.
    assert!(
        refused(&lark("start: %json {\n\"type\":\n\"null\" }\n\nx: nothing\nx: \"x\"")).contains("at 6(")
    );
}

#[test]
fn what_llguidance_panics_at_is_refused() {
    for (source, fault) in [
        (
            "start: \"b\" /[ab]*/ %json {\"enum\":[\"a\",1]}\n%ignore / +/",
            "line 1: a grammar with `%ignore` can have no `%json`, `%lark` or `@` in it",
        ),
        ("%ignore / +/\nstart: \"b\" @other", "line 2: a grammar with `%ignore` can have no"),
        ("start: %lark {\nstart: \"a\"\n%ignore / +/\n}", "line 1: a grammar with `%ignore` can have no"),
        (
            r#"start: %regex { "substring_chunks": ["a", ""] }"#,
            "line 1: `substring_chunks` should be texts of at least one character",
        ),
        (r#"start: %regex[null, null, ["a", ""]]"#, "line 1: an object should follow `%regex`"),
        (r#"%llguidance"x"y" start: "a""#, "line 1: an object should follow `%llguidance`"),
        (
            "start: x::0x8000000000000000\nx::_: \"a\" x::incr(_)",
            "line 1: rules with parameters are not known to Tallow",
        ),
        ("start: \"a\" %if is_ones(_)", "line 1: rules with parameters are not known to Tallow"),
        ("start: \"a\"\n%foo", "line 2: `%foo` is not known"),
    ] {
        assert_eq!(
            refused(&lark(source)).strip_prefix("`grammar`: ").unwrap().find(fault),
            Some(0),
            "{source}"
        );
    }
    let detail = refused(&lark(&format!("start: {}", "\"a\"? ".repeat(40_000))));
    assert!(detail.contains("grammar size (number of symbols) too big"), "{detail}");
    // And what stands beside it is taken.
    assert!(takes(&lark("start: \"a\" \"::\" \"%if\"\n%ignore / +/"), "a  ::%if"));
    assert!(takes(&lark(r#"start: %regex { "substring_chunks": ["a", "bc"] } "!""#), "bc!"));
    let nested =
        lark("start: \"b\" /[ab]*/ %json {\"enum\":[\"a\",1]} %lark {\nstart: \"x\" | \"y\" start\n}");
    for seed in 1..20 {
        ramble(&nested, seed, 30);
    }
    assert!(takes(&nested, "bab\"a\"yx"));
}

#[test]
fn a_regex_is_bounded_before_it_takes_memory() {
    let most = "a?".repeat(2048);
    let long = format!("{most}b");
    let field = "`response_format.json_schema.schema` at ";
    let too_long = "a regex should be at most 4096 bytes, but is 4097";
    for (constraint, detail) in [
        (regex(&long), format!("`regex`: {too_long}")),
        (schema(json!({ "items": { "pattern": long } })), format!("{field}`/items/pattern`: {too_long}")),
        (
            schema(json!({ "patternProperties": { (long.as_str()): true } })),
            format!("{field}`/patternProperties/{long}`: {too_long}"),
        ),
        (schema(json!({ "format": "date", "pattern": long })), format!("{field}`/pattern`: {too_long}")),
        (lark(&format!("start: \"a\"\n  | /{long}/")), format!("`grammar`: line 2: {too_long}")),
    ] {
        assert!(refused(&constraint).starts_with(&detail), "{}", refused(&constraint));
    }
    let optional =
        "should have at most 2000 elements that may be left out, with those of the terminals in it";
    let many = "\"a\"? ".repeat(2001);
    let doubled: Vec<String> = (1..20).map(|n| format!("T{n}: T{} T{}\n", n - 1, n - 1)).collect();
    for (constraint, name) in [
        (lark(&format!("start: A\nA: {many}")), "A"),
        (lark(&format!("start[lazy]: {many}")), "start"),
        (lark(&format!("start: \"a\"\n%ignore {many}")), "%ignore"),
        (lark(&format!("start: T19\n{}T0: \"a\"?", doubled.concat())), "T11"),
        (gbnf(&format!("root ::= {many}")), "R0"),
    ] {
        assert_eq!(refused(&constraint), format!("`grammar`: `{name}` {optional}"));
    }
    let class = gbnf(&format!("root ::= \"a\" |\n  [{}]", "é".repeat(1000)));
    assert!(refused(&class).starts_with("`grammar`: line 2: the end of a shorter class should be here"));
    // What is long, but not of what may be left out.
    let text = "Some words, and more. ".repeat(500);
    assert!(takes(&gbnf(&format!("root ::= \"{text}\"")), &text));
    assert!(takes(&gbnf("root ::= \"\\x00\\x7f\\\"\\\\/é\""), "\0\x7f\"\\/é"));
    assert!(takes(&regex(&"a".repeat(4096)), &"a".repeat(4096)));
}

#[test]
fn rules_are_bounded_with_their_brackets() {
    let chain = |first: &str, n: usize, brackets: usize| {
        let (open, close) = ("( ".repeat(brackets), ") ".repeat(brackets));
        let rules: Vec<String> =
            (0..n).map(|at| format!("{first}{at}: {open}\"a\" {first}{} {close}\n", at + 1)).collect();
        lark(&format!("start: {first}0\n{}{first}{n}: \"b\"\n", rules.concat()))
    };
    with_small_stack(|| {
        for first in ["r", "R"] {
            for (n, brackets) in [(62, 0), (40, 2), (24, 4), (4, 26)] {
                assert!(takes(&chain(first, n, brackets), &("a".repeat(n) + "b")), "{n} by {brackets}");
            }
            for (n, brackets) in [(60, 26), (50, 2), (26, 4), (5, 26)] {
                assert_eq!(
                    refused(&chain(first, n, brackets)),
                    "`grammar`: rules should use each other at most 128 deep, with the brackets that they are used in"
                );
            }
        }
    });
}
