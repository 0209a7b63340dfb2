//! Sources that would end the engine in a browser: by a stack overflow, or by a panic of llguidance's.

use super::{Value, compile, json, refused, schema, takes};
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
