//! Whether the alternatives of a `oneOf` exclude each other: then an answer to one of them is an answer to exactly one,
//! and the `oneOf` is kept to as an `anyOf` is.
//!
//! Two are apart if they differ in type, in their `const` or `enum`, or in a property that one of them requires. What is
//! not seen to be apart counts as overlapping.

use super::walk::fault;
use super::{Checked, Schema, closed, referred, subschemas};
use serde_json::{Map, Value};

/// How deep it is looked into alternatives.
const MAX_DEPTH: usize = 6;
/// Pairs of schemas that are compared in a document.
const MAX_COMPARED: usize = 100_000;

/// A set of JSON's types, a bit for each; numbers have two, as `integer` is a part of them.
pub(super) type Types = u8;
const WHOLE: Types = 1;
const OBJECT: Types = 2;
/// Numbers that are not whole.
pub(super) const FRACTION: Types = 4;
pub(super) const ANY: Types = 0x7F;
pub(super) const TYPES: [(&str, Types); 7] = [
    ("integer", WHOLE),
    ("number", WHOLE | FRACTION),
    ("object", OBJECT),
    ("string", 8),
    ("array", 16),
    ("boolean", 32),
    ("null", 64),
];

/// Schemas that hold at once.
type Parts<'s> = Vec<&'s Map<String, Value>>;

impl Schema {
    /// Refuses a `oneOf` of which two alternatives may hold of the same answer.
    #[inline(never)]
    pub(super) fn check_one_of(&self) -> Checked<()> {
        let mut budget = MAX_COMPARED;
        let mut rest = vec![(String::new(), &self.root)];
        rest.extend(self.refs.iter().map(|(pointer, schema)| (pointer.clone(), schema)));
        while let Some((pointer, schema)) = rest.pop() {
            if let Some(Value::Array(alternatives)) = schema.get("oneOf") {
                let mut beside = schema.clone();
                beside.as_object_mut().map(|object| object.remove("oneOf"));
                let pairs = (0..alternatives.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
                for (a, b) in pairs {
                    let [one, other] = [a, b].map(|at| [&alternatives[at], &beside]);
                    if !self.apart(&one, &other, 0, &mut budget) || !self.apart(&other, &one, 0, &mut budget)
                    {
                        let detail = format!(
                            "alternatives {a} and {b} may both hold; they should differ in type, in a `const` or `enum`, or in what they require"
                        );
                        return Err(fault(&format!("{pointer}/oneOf"), detail));
                    }
                }
            }
            rest.extend(subschemas(schema).map(|(path, schema)| {
                (format!("{pointer}{}", self.written.get(&path).unwrap_or(&path)), schema)
            }));
        }
        Ok(())
    }

    /// Whether no answer to all of `answered` is valid by all of `others`.
    fn apart(&self, answered: &[&Value], others: &[&Value], depth: usize, budget: &mut usize) -> bool {
        if depth > MAX_DEPTH || *budget == 0 {
            return false;
        }
        *budget -= 1;
        let [Some(a), Some(b)] = [answered, others].map(|schemas| self.parts(schemas)) else { return true };
        let common = a.iter().chain(&b).fold(ANY, |common, part| common & types(part));
        let differ = || {
            let (Some(a), Some(b)) = (listed(&a), listed(&b)) else { return false };
            !a.iter().any(|a| b.iter().any(|b| same(a, b)))
        };
        if common == 0 || differ() {
            return true;
        }
        // Of what is put together of others, each has to be apart.
        if options(&a).any(|options| options.iter().all(|a| self.apart(&[a], others, depth + 1, budget)))
            || options(&b)
                .any(|options| options.iter().all(|b| self.apart(answered, &[b], depth + 1, budget)))
        {
            return true;
        }
        let required = a.iter().chain(&b).filter_map(|part| part.get("required")?.as_array()).flatten();
        let mut names = required.filter_map(Value::as_str);
        common == OBJECT
            && names.any(|name| {
                let [a, b] = [(&a, true), (&b, false)].map(|(parts, answered)| {
                    let each = parts.iter().filter_map(|part| property(part, name, answered));
                    each.collect::<Vec<_>>()
                });
                self.apart(&a, &b, depth + 1, budget)
            })
    }

    /// The schemas that hold where all of `schemas` do, with what they refer to and their `allOf`; none if one is `false`.
    #[inline(never)]
    fn parts<'s>(&'s self, schemas: &[&'s Value]) -> Option<Parts<'s>> {
        let mut parts = Vec::new();
        let mut rest = schemas.to_vec();
        while let Some(schema) = rest.pop() {
            if *schema == Value::Bool(false) || *schema == closed() {
                return None;
            }
            let Value::Object(object) = schema else { continue };
            if parts.len() == MAX_PARTS {
                break;
            }
            parts.push(object);
            rest.extend(object.get("allOf").and_then(Value::as_array).into_iter().flatten());
            rest.extend(referred(schema).and_then(|number| self.refs.get(number)).map(|(_, schema)| schema));
        }
        Some(parts)
    }
}

/// The schemas that are looked at together; a schema may refer to itself.
const MAX_PARTS: usize = 32;

#[inline(never)]
fn options<'s>(parts: &Parts<'s>) -> impl Iterator<Item = &'s Vec<Value>> {
    let each = parts.iter().flat_map(|part| ["anyOf", "oneOf"].map(|keyword| part.get(keyword)));
    each.flatten().filter_map(Value::as_array).collect::<Vec<_>>().into_iter()
}

/// What `part` says of a property. That Tallow adds no others is true of its answers alone.
#[inline(never)]
fn property<'s>(part: &'s Map<String, Value>, name: &str, answered: bool) -> Option<&'s Value> {
    if let Some(schema) = part.get("properties").and_then(|properties| properties.get(name)) {
        return Some(schema);
    }
    let others = part.get("additionalProperties").filter(|_| !part.contains_key("patternProperties"));
    others.filter(|others| answered || **others != closed())
}

fn listed<'s>(parts: &Parts<'s>) -> Option<&'s [Value]> {
    parts.iter().find_map(|part| values(part))
}

/// The values that a schema lists.
#[inline(never)]
fn values(part: &Map<String, Value>) -> Option<&[Value]> {
    let listed = part.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    listed.or(part.get("const").map(std::slice::from_ref))
}

/// The types that a schema leaves.
#[inline(never)]
pub(super) fn types(part: &Map<String, Value>) -> Types {
    if let Some(values) = values(part) {
        return values.iter().fold(0, |types, value| types | type_of(value));
    }
    match part.get("type") {
        None => ANY,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(0, |types, name| types | named(name))
        }
        Some(name) => name.as_str().map_or(0, named),
    }
}

pub(super) fn named(name: &str) -> Types {
    TYPES.iter().find(|(other, _)| *other == name).map_or(0, |(_, types)| *types)
}

fn type_of(value: &Value) -> Types {
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => WHOLE,
        Value::Number(_) => FRACTION,
        Value::Object(_) => OBJECT,
        Value::String(_) => named("string"),
        Value::Array(_) => named("array"),
        Value::Bool(_) => named("boolean"),
        Value::Null => named("null"),
    }
}

/// Whether two values may be the same to JSON Schema, to which 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        // Numbers in them may be written in two ways.
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => true,
        _ => a == b,
    }
}
