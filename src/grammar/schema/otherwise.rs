//! Keywords that llguidance does not have, said by those that it has, where that says the same.

use super::apart::{ANY, FRACTION, TYPES, named, types};
use super::pattern::{to_rust, unwritable};
use super::walk::{Walk, fault};
use super::{Checked, Fault};
use serde_json::{Map, Value, json};

/// What evaluates properties or items besides the keywords beside it: what is left over can't be told from a schema alone.
const APPLICATORS: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];
/// Alternatives that each say that what the others require is not there.
const MAX_EXCLUDED: usize = 200;

impl Walk<'_> {
    /// Replaces in `out`, whose subschemas are checked already, what llguidance does not have.
    #[inline(never)]
    pub(super) fn otherwise(&mut self, out: &mut Map<String, Value>, at: &str) -> Checked<()> {
        let missing = |keyword: &str| Err(missing(at, keyword));
        for (keyword, known) in
            [("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")]
        {
            let Some(schema) = out.remove(keyword) else { continue };
            if APPLICATORS.iter().any(|applicator| out.contains_key(*applicator))
                || out.get("items").is_some_and(Value::is_array)
            {
                return missing(keyword);
            }
            out.entry(known).or_insert(schema);
        }
        if let Some(names) = out.remove("propertyNames")
            && !self.names(&names, out)
        {
            return missing("propertyNames");
        }
        if let Some(needed) = out.remove("dependentRequired") {
            let is_list =
                |names: &Value| names.as_array().is_some_and(|names| names.iter().all(Value::is_string));
            let Value::Object(needed) = needed else { return missing("dependentRequired") };
            if !needed.values().all(is_list) {
                return missing("dependentRequired");
            }
            if let Value::Array(all) = out.entry("allOf").or_insert_with(|| json!([])) {
                all.extend(needed.into_iter().map(|(name, others)| {
                    json!({ "anyOf": [{ "properties": { name: false } }, { "required": others }] })
                }));
            }
        }
        if let Some(refused) = out.remove("not")
            && !without(&refused, out)
        {
            return missing("not");
        }
        if out.remove("uniqueItems").is_some()
            && out.get("maxItems").and_then(Value::as_u64).is_none_or(|most| most > 1)
        {
            return missing("uniqueItems");
        }
        exactly_one_required(out);
        Ok(())
    }

    /// Keeps the names of properties to those that a schema lists, or to its pattern, where no others are named.
    #[inline(never)]
    fn names(&mut self, names: &Value, out: &mut Map<String, Value>) -> bool {
        let Value::Object(names) = names else { return false };
        if ["properties", "patternProperties"].iter().any(|keyword| out.contains_key(*keyword)) {
            return false;
        }
        let mut rest = names.iter().filter(|(keyword, value)| *keyword != "type" || *value != "string");
        let (Some((keyword, value)), None) = (rest.next(), rest.next()) else { return false };
        let (known, names) = match (keyword.as_str(), value) {
            ("pattern", Value::String(pattern)) => match to_rust(pattern) {
                Ok(pattern) => ("patternProperties", vec![pattern]),
                Err(_) => return false,
            },
            ("enum", Value::Array(names)) => ("properties", texts(names)),
            ("const", name) => ("properties", texts(std::slice::from_ref(name))),
            _ => return false,
        };
        if names.iter().any(|name| name.bytes().any(unwritable)) {
            return false;
        }
        let schema = out.remove("additionalProperties").unwrap_or_else(|| self.whatever());
        let named: Map<_, _> = names.into_iter().map(|name| (name, schema.clone())).collect();
        out.insert(known.to_owned(), Value::Object(named));
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
        true
    }
}

#[cold]
#[inline(never)]
fn missing(at: &str, keyword: &str) -> Fault {
    let detail = format!("`{keyword}` is a keyword that Tallow can't keep an answer to, as it stands here");
    fault(&format!("{at}/{keyword}"), detail)
}

/// What no other value can be a name.
#[inline(never)]
fn texts(names: &[Value]) -> Vec<String> {
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Leaves in `out` what is not valid by `refused`, where that is all, or types.
#[inline(never)]
fn without(refused: &Value, out: &mut Map<String, Value>) -> bool {
    let refused = match refused {
        Value::Bool(true) => ANY,
        Value::Object(schema) if schema.is_empty() => ANY,
        Value::Object(schema) if schema.len() == 1 && schema.contains_key("type") => types(schema),
        _ => return false,
    };
    let left = types(out) & !refused;
    let names = TYPES.iter().filter(|(name, _)| left & named(name) == named(name));
    let names: Vec<Value> = names.map(|(name, _)| Value::from(*name)).collect();
    match left {
        0 => out.insert("enum".to_owned(), Value::Array(names)),
        // Numbers without the whole ones are no type.
        _ if left & named("number") == FRACTION => return false,
        _ => out.insert("type".to_owned(), Value::Array(names)),
    };
    true
}

/// Says of a `oneOf` that names a property in each alternative, which is required there, that the others are not there.
#[inline(never)]
fn exactly_one_required(out: &mut Map<String, Value>) {
    if out.get("type").is_none_or(|name| name != "object") {
        return;
    }
    let Some(Value::Array(alternatives)) = out.get_mut("oneOf") else { return };
    let only = |alternative: &Value| match alternative.as_object()?.get("required")?.as_array()?.as_slice() {
        [Value::String(name)] if alternative.as_object()?.len() == 1 => Some(name.clone()),
        _ => None,
    };
    if alternatives.len() > MAX_EXCLUDED {
        return;
    }
    let Some(names) = alternatives.iter().map(only).collect::<Option<Vec<_>>>() else { return };
    for (alternative, own) in alternatives.iter_mut().zip(&names) {
        let others = names.iter().filter(|name| *name != own).map(|name| (name.clone(), Value::Bool(false)));
        alternative["properties"] = Value::Object(others.collect());
    }
}
