//! What JSON schemas take and refuse, and where they are at fault.
//!
//! `../golden/grammar/json-schema.json` holds schemas with valid and invalid instances, written as a model would write
//! them.

use super::{refused, schema, takes};
use serde::Deserialize;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CASES: &str = include_str!("../golden/grammar/json-schema.json");

#[derive(Deserialize)]
struct Case {
    schema: Value,
    valid: Vec<Value>,
    invalid: Vec<Value>,
}

#[test]
fn json_schema_takes_what_is_valid_and_nothing_else() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() > 60);
    for Case { schema: source, valid, invalid } in cases {
        let constraint = schema(source.clone());
        for instance in valid {
            assert!(takes(&constraint, &instance.to_string()), "{source} should take {instance}");
        }
        for instance in invalid {
            assert!(!takes(&constraint, &instance.to_string()), "{source} should not take {instance}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_schema_is_named_by_its_path() {
    let field = "`response_format.json_schema.schema` at ";
    for (source, fault) in [
        (json!(7), "`/`: should be an object or a boolean, but is `7`"),
        (json!({ "properties": { "a": { "type": "strnig" } } }), "`/properties/a/type`: should be of `null`"),
        (
            json!({ "properties": { "a/b": { "minLength": -1 } } }),
            "`/properties/a~1b/minLength`: should be a whole number",
        ),
        (json!({ "items": { "maxItems": 1_000_000_000 } }), "`/items/maxItems`: should be at most 65535"),
        (json!({ "anyOf": [{}, { "not": { "minLength": 1 } }] }), "`/anyOf/1/not`: `not` is a keyword"),
        (json!({ "type": "number", "not": { "type": "integer" } }), "`/not`: `not` is a keyword"),
        (json!({ "if": { "const": 1 }, "then": false }), "`/if`: `if` is a keyword"),
        (json!({ "allOf": [true], "unevaluatedProperties": false }), "`/unevaluatedProperties`: "),
        (json!({ "items": [true], "unevaluatedItems": false }), "`/unevaluatedItems`: "),
        (json!({ "properties": { "a": {} }, "propertyNames": { "enum": ["a"] } }), "`/propertyNames`: "),
        (json!({ "propertyNames": { "pattern": "(?=a)" } }), "`/propertyNames`: "),
        (json!({ "dependentRequired": { "a": "b" } }), "`/dependentRequired`: "),
        (json!({ "format": "email", "pattern": "^(?!a)" }), "`/pattern`: "),
        (json!({ "format": "phone" }), "`/format`: `phone` is a format"),
        (json!({ "format": "iri", "pattern": "^a$" }), "`/format`: `iri` is a format"),
        (
            json!({ "type": "object", "patternProperties": { "^a$": {} }, "minProperties": 2 }),
            "`/minProperties`: ",
        ),
        (json!({ "anyOf": [] }), "`/anyOf`: should be an array of at least one schema"),
        (json!({ "uniqueItems": true }), "`/uniqueItems`: `uniqueItems` is a keyword"),
        (json!({ "$ref": "#/$defs/a" }), "`/$ref`: refers to `#/$defs/a`, which is not there"),
        (json!({ "$ref": "other.json" }), "`/$ref`: should be `#` and a JSON pointer"),
        (json!({ "properties": { "a": { "format": "iri" } } }), "`/properties/a/format`: `iri` is a format"),
        (json!({ "items": { "pattern": "(?=a)" } }), "`/items/pattern`: "),
        (
            json!({ "properties": { "a": { "properties": { "b": { "type": "string", "pattern": "a(" } } } } }),
            "`/properties/a/properties/b/pattern`: ",
        ),
        (json!({ "type": "array", "minItems": 3, "maxItems": 2 }), "`/`: "),
        (
            json!({ "$defs": { "a": { "pattern": "[" } }, "properties": { "x": { "$ref": "#/$defs/a" } } }),
            "`/$defs/a/pattern`: ",
        ),
        (
            json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
            "`/$defs/a`: the schema requires itself",
        ),
        (json!({ "$ref": "#" }), "`/`: the schema requires itself"),
        (
            json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] }),
            "`/`: the schema requires itself",
        ),
        (json!({ "minProperties": 2 }), "`/minProperties`: "),
        (
            json!({ "properties": { "a": { "const": ["b", { "c": "\u{0}" }] } } }),
            "`/properties/a/const/1/c`: has U+0000",
        ),
        (json!({ "enum": ["a", "\u{7f}"] }), "`/enum/1`: has U+007F"),
        (json!({ "properties": { "\u{1}": {} } }), "`/properties/\u{1}`: has U+0001"),
        (json!({ "pattern": "^a\\x01b$" }), "`/pattern`: `^a\\x01b$` has U+0001"),
        (json!({ "pattern": "^a[\\x01]b$" }), "`/pattern`: `^a[\\x01]b$` has U+0001"),
        (json!({ "pattern": "[a" }), "`/pattern`: a class should end with `]`"),
        (json!({ "patternProperties": { "^a.(": {} } }), "`/patternProperties/^a.(`: `^a.(`: "),
        (
            json!({ "patternProperties": { "^a.b$": { "items": { "pattern": "\\bc" } } } }),
            "`/patternProperties/^a.b$/items",
        ),
        (
            json!({ "$defs": { "a": { "$id": "x", "$ref": "#/$defs/b" }, "b": {} }, "$ref": "#/$defs/a" }),
            "`/$defs/a/$ref`: ",
        ),
        (
            json!({ "oneOf": [{ "type": "string", "maxLength": 3 }, { "type": "string", "minLength": 2 }] }),
            "`/oneOf`: alternatives 0 and 1 may both hold",
        ),
        // The first says nothing of `b`: an answer to it may be one to the second.
        (
            json!({ "items": { "oneOf": [
                { "type": "object", "properties": { "a": {} }, "required": ["a"] },
                { "type": "object", "properties": { "b": {} } },
            ] } }),
            "`/items/oneOf`: alternatives 0 and 1",
        ),
        (
            json!({ "$defs": { "a": { "type": "object" } }, "anyOf": [{ "oneOf": [
                { "type": "null" }, { "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" },
            ] }] }),
            "`/anyOf/0/oneOf`: alternatives 1 and 2",
        ),
        (json!({ "oneOf": [{ "type": "number" }, { "type": "integer" }] }), "`/oneOf`: alternatives 0 and 1"),
        (json!({ "oneOf": [{ "const": 1 }, { "enum": [2, 1.0] }] }), "`/oneOf`: alternatives 0 and 1"),
        (
            json!({ "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
            "`/oneOf`: alternatives 0 and 1",
        ),
    ] {
        let detail = refused(&schema(source.clone()));
        let found = detail.strip_prefix(field).unwrap_or_else(|| panic!("{detail}"));
        assert!(found.starts_with(fault), "{source}: {found}");
    }
}

#[test]
fn what_generators_of_schemas_write_is_taken() {
    let uuid = "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000)$";
    // As zod 4, pydantic 2 and schemars 1 have them.
    let zod = schema(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "id": { "type": "string", "format": "uuid", "pattern": uuid },
            "count": { "type": "integer", "exclusiveMinimum": 0, "maximum": 9_007_199_254_740_991_i64 },
            "tags": {
                "type": "object",
                "propertyNames": { "type": "string" },
                "additionalProperties": { "type": "number" },
            },
            "kind": { "anyOf": [{ "type": "string", "enum": ["a", "b"] }, { "type": "null" }] },
        },
        "required": ["id", "count", "tags", "kind"],
        "additionalProperties": false,
    }));
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let answer =
        |id: &str, count: &str| format!(r#"{{"id":"{id}","count":{count},"tags":{{"x":1.5}},"kind":null}}"#);
    assert!(takes(&zod, &answer(id, "12")));
    assert!(!takes(&zod, &answer(id, "0")));
    assert!(!takes(&zod, &answer(&id.replace("12d3", "02d3"), "12")));

    let pydantic = schema(json!({
        "$defs": {
            "Größe": { "title": "Größe", "enum": ["S", "M"], "type": "string" },
            "Item": {
                "title": "Item",
                "type": "object",
                "properties": {
                    "size": { "$ref": "#/$defs/Gr%C3%B6%C3%9Fe", "default": "M", "description": "of the shirt" },
                    "price": { "title": "Price", "type": "number", "default": 1.0 },
                },
            },
        },
        "title": "Order",
        "type": "object",
        "properties": {
            "items": { "items": { "$ref": "#/$defs/Item" }, "title": "Items", "type": "array" },
            "note": { "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null, "title": "Note" },
        },
        "required": ["items"],
    }));
    assert!(takes(&pydantic, r#"{"items": [{"size": "S", "price": 2.5}, {}], "note": null}"#));
    assert!(!takes(&pydantic, r#"{"items": [{"size": "L"}]}"#));

    let schemars = schema(json!({
        "type": "object",
        "properties": {
            "byte": { "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 },
            "small": { "type": "integer", "format": "int32" },
            "size": { "type": "integer", "format": "uint", "minimum": 0 },
            "weight": { "type": ["number", "null"], "format": "double" },
        },
        "required": ["byte", "small", "size", "weight"],
    }));
    let answer = |byte: i64, small: i64, size: i64| {
        format!(r#"{{"byte":{byte},"small":{small},"size":{size},"weight":0.5}}"#)
    };
    assert!(takes(&schemars, &answer(255, -2_147_483_648, 7)));
    assert!(!takes(&schemars, &answer(256, 0, 7)));
    assert!(!takes(&schemars, &answer(0, 2_147_483_648, 7)));
    assert!(!takes(&schemars, &answer(0, 0, -7)));
}

#[test]
fn the_tighter_of_two_bounds_counts() {
    let far = 1e300;
    for (source, taken, not) in [
        (
            json!({ "type": "integer", "minimum": i64::MIN, "exclusiveMinimum": 0 }),
            &["1", "999999999999999"] as &[_],
            &["-5", "0"],
        ),
        (
            json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": i64::MIN }),
            &["0", "1"],
            &["-1", "-5"],
        ),
        (
            json!({ "type": "number", "minimum": 5, "maximum": far, "exclusiveMaximum": 10 }),
            &["5", "9.5"],
            &["12", "10"],
        ),
        (
            json!({ "type": "number", "maximum": 10, "exclusiveMaximum": far }),
            &["10", "-1.5"],
            &["10.5", "11"],
        ),
        (json!({ "type": "integer", "minimum": 3, "exclusiveMinimum": 5 }), &["6", "7"], &["4", "5"]),
        (json!({ "type": "integer", "maximum": 3, "exclusiveMaximum": 5 }), &["2", "3"], &["4", "5"]),
        // Both lie too far out.
        (
            json!({ "type": "integer", "minimum": -far, "exclusiveMinimum": i64::MIN, "maximum": 0 }),
            &["0", "-999999999999999"],
            &["1", "-1000000000000000"],
        ),
        (
            json!({ "type": "integer", "maximum": far, "exclusiveMaximum": i64::MAX, "minimum": 0 }),
            &["0", "999999999999999"],
            &["-1", "1000000000000000"],
        ),
        // The tighter of the largest leaves no number from -999999999999999 on.
        (
            json!({ "type": "integer", "maximum": 0, "exclusiveMaximum": -2_000_000_000_000_000_i64 }),
            &["-2000000000000001"],
            &["-5", "-2000000000000000"],
        ),
        // As old drafts have it.
        (json!({ "type": "integer", "minimum": 3, "exclusiveMinimum": true }), &["4", "5"], &["3", "2"]),
        (
            json!({ "type": "integer", "minimum": -far, "exclusiveMinimum": true }),
            &["0", "-5"],
            &["0.5", "-1000000000000000"],
        ),
    ] {
        let constraint = schema(source.clone());
        for text in taken {
            assert!(takes(&constraint, text), "{source} should take {text}");
        }
        for text in not {
            assert!(!takes(&constraint, text), "{source} should not take {text}");
        }
    }
}

#[test]
fn references_recurse_and_are_pointers() {
    let tree = schema(json!({
        "$defs": { "a/b": { "type": "object", "properties": { "next": { "$ref": "#/$defs/a~1b" } } } },
        "$ref": "#/$defs/a~1b",
    }));
    assert!(takes(&tree, r#"{"next": {"next": {}}}"#));
    assert!(!takes(&tree, r#"{"next": 1}"#));
}

#[test]
fn references_begin_at_the_schema_with_an_id() {
    let nested = schema(json!({
        "$defs": {
            "a": { "$id": "https://a.example/", "$defs": { "b": { "const": 1 } }, "$ref": "#/$defs/b" },
            "b": { "const": 2 },
            "c d\"": { "const": 3 },
        },
        "prefixItems": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/b" }, { "$ref": "#/$defs/c%20d%22" }],
        "items": false,
        "minItems": 3,
        "type": "array",
    }));
    assert!(takes(&nested, "[1, 2, 3]"));
    assert!(!takes(&nested, "[2, 2, 3]"));
}

#[test]
fn patterns_are_ecmascripts() {
    for (pattern, taken, not) in [
        (r"^.$", &["a", "é", "😀"] as &[_], &["\r", "\n", "\u{2028}", "ab", ""] as &[_]),
        (r"^\s$", &[" ", "\t", "\u{a0}", "\u{feff}"], &["\u{85}", "a"]),
        (r"^\S$", &["a", "\u{85}"], &["\u{feff}", " "]),
        (r"^\d\D$", &["1a"], &["١a", "11"]),
        (r"^[\w\s.-]$", &["a", "_", ".", "-", "\u{feff}"], &["é", "+"]),
        (r"^[[&&b~~-]+$", &["[&b~-", "b"], &["a", "]"]),
        (r"^[+--]+$", &["+,-"], &["."]),
        (r"^[\u0041-\u{43}\]]$", &["A", "B", "C", "]"], &["D", "u", "\\"]),
        (r"^a[^]b[]?$", &["axb", "a\nb"], &["ab"]),
        (r"a|^b", &["xa", "bx"], &["xb"]),
        (r"^[^\x00-\x1f]$", &["a"], &["\n"]),
        (r"^(\x01|a)[\x01\x02b]$", &["ab"], &["a", "b"]),
    ] {
        let constraint = schema(json!({ "type": "string", "pattern": pattern }));
        for text in taken {
            assert!(takes(&constraint, &json!(text).to_string()), "{pattern} should take {text:?}");
        }
        for text in not {
            assert!(!takes(&constraint, &json!(text).to_string()), "{pattern} should not take {text:?}");
        }
    }
}
