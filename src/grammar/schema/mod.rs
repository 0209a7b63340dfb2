//! A JSON Schema as llguidance is given it: checked, with a path to everything that is wrong, and made narrower where an
//! answer would otherwise go on without end or be refused by other validators.
//!
//! Narrower means: every answer is valid by the schema as it was written, but not every valid answer can be given.
//! - No white space but one space after `:` and `,`.
//! - An object has the properties that are named, unless `additionalProperties` or `patternProperties` says otherwise.
//! - Numbers without bounds have 15 digits before the point at most, all have 6 behind it, and none has an exponent.
//! - `format`s are written the way that every validator takes them.
//! - Control characters are those that have an escape of their own, such as `\n`.
//!
//! The first three only where no schemas are merged (`allOf`, or `anyOf`, `oneOf`, `$ref` beside other keywords): there
//! what narrows one could contradict the other.

mod apart;
mod keywords;
mod narrow;
mod otherwise;
mod pattern;
mod walk;

use keywords::{Kind, kind};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt;
use walk::{Walk, escaped, fault};

/// Subschemas of a document.
const MAX_SCHEMAS: usize = 5_000;
/// How deep subschemas may lie in each other; each level takes stack.
const MAX_DEPTH: usize = 48;
/// The same, with the schemas that are referred to.
const MAX_LED: usize = 96;
/// `minLength`, `maxItems` and the like.
const MAX_COUNT: u64 = 65_535;
/// Values of one `enum`.
const MAX_ENUM: usize = 5_000;
/// Properties of one object, whether named, required or of a value: each takes stack.
const MAX_PROPERTIES: usize = 500;
/// The same, with those of the schemas that an object's is merged with.
const MAX_MERGED: usize = 1_000;
/// Subschemas that are compiled by themselves to find the one at fault.
const MAX_BLAMED: usize = 200;
/// The digits of a `multipleOf`, as a whole number.
const MAX_MULTIPLE: f64 = 10_000.0;
/// The largest whole number that numbers without bounds reach.
const MAX_NUMBER: f64 = 999_999_999_999_999.0;

/// Where the schemas are that others refer to, and in them the one of any JSON.
const REFS: &str = "tallow-refs";
const ANY: &str = "any";
const ANY_JSON: &str = r##"{ "anyOf": [
    { "type": "null" },
    { "type": "boolean" },
    { "type": "number", "minimum": -999999999999999, "maximum": 999999999999999, "multipleOf": 0.000001 },
    { "type": "string" },
    { "type": "array", "items": { "$ref": "#/tallow-refs/any" } },
    { "type": "object", "additionalProperties": { "$ref": "#/tallow-refs/any" } }
] }"##;
/// How JSON is spelled; each character in one way, so that a key is not spelled another way.
const SPELLING: &str = r#"{
    "whitespace_flexible": false,
    "item_separator": ", ?",
    "key_separator": ": ?",
    "coerce_one_of": true,
    "json_allowed_escapes": "nrbtf\\\""
}"#;

/// What is wrong with a schema, and where.
pub(super) struct Fault {
    pointer: String,
    detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "`{pointer}`: {}", self.detail)
    }
}

type Checked<T> = std::result::Result<T, Fault>;

/// A schema ready to be compiled.
pub(super) struct Schema {
    root: Value,
    /// By the number in their name: where a schema that others refer to is in the document, and the schema.
    refs: Vec<(String, Value)>,
    /// By the path in `root` and `refs`, the path in the document, where a pattern in it is written another way.
    written: HashMap<String, String>,
}

impl Schema {
    /// Checks and narrows `source`.
    pub(super) fn new(source: &Value) -> Checked<Self> {
        let mut walk = Walk::new(source, true);
        let mut schema = walk.all()?;
        // Whether schemas are merged is known at the end.
        if !walk.narrows {
            schema = Walk::new(source, false).all()?;
        }
        schema.check_depth()?;
        schema.check_properties()?;
        schema.check_finite()?;
        schema.check_one_of()?;
        Ok(schema)
    }

    /// The document that is compiled.
    pub(super) fn whole(&self) -> Value {
        self.part(&self.root)
    }

    /// A document of one subschema, with what it may refer to.
    fn part(&self, schema: &Value) -> Value {
        let mut object = match schema {
            Value::Object(object) => object.clone(),
            other => return other.clone(),
        };
        let mut refs = Map::new();
        for (number, (_, schema)) in self.refs.iter().enumerate() {
            refs.insert(number.to_string(), schema.clone());
        }
        refs.insert(ANY.to_owned(), constant(ANY_JSON));
        object.insert(REFS.to_owned(), Value::Object(refs));
        object.insert("x-guidance".to_owned(), constant(SPELLING));
        Value::Object(object)
    }

    /// The innermost subschema that does not compile by itself. `compile` gives what is wrong with a document.
    pub(super) fn blame(&self, message: String, compile: impl Fn(Value) -> Option<String>) -> Fault {
        let mut budget = MAX_BLAMED;
        let mut seen = HashSet::new();
        let mut found = Fault { pointer: String::new(), detail: message };
        let mut candidates: Vec<(String, &Value)> = vec![(String::new(), &self.root)];
        loop {
            let mut failed: Option<(String, &Value, String)> = None;
            for (pointer, schema) in candidates {
                if budget == 0 || !seen.insert(pointer.clone()) {
                    continue;
                }
                budget -= 1;
                let Some(message) = compile(self.part(schema)) else { continue };
                // What can't be fulfilled is no fault by itself: another part may do without it.
                let fulfillable = !message.contains("nsatisfiable");
                if failed.is_none() || fulfillable {
                    failed = Some((pointer, schema, message));
                }
                if fulfillable {
                    break;
                }
            }
            let Some((pointer, schema, detail)) = failed else { return found };
            let target = referred(schema).and_then(|number| self.refs.get(number));
            candidates = subschemas(schema)
                .map(|(path, schema)| {
                    (format!("{pointer}{}", self.written.get(&path).unwrap_or(&path)), schema)
                })
                .chain(target.map(|(pointer, schema)| (pointer.clone(), schema)))
                .collect();
            found = Fault { pointer, detail };
        }
    }

    /// Refuses references that lead too deep: what is referred to is compiled where it is first met.
    fn check_depth(&self) -> Checked<()> {
        let mut seen = HashSet::new();
        let mut path = vec![self.below(&self.root)];
        while let Some(rest) = path.last_mut() {
            match rest.next() {
                None => drop(path.pop()),
                Some((pointer, schema)) if pointer.is_none_or(|pointer| seen.insert(pointer)) => {
                    path.push(self.below(schema))
                }
                Some(_) => {}
            }
            if path.len() > MAX_LED {
                return Err(fault("", format!("references should lead at most {MAX_LED} schemas deep")));
            }
        }
        Ok(())
    }

    /// What is compiled with a schema, and where it is if it is referred to.
    fn below<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = (Option<&'a str>, &'a Value)> {
        let target = referred(schema).and_then(|number| self.refs.get(number));
        let inner = subschemas(schema).map(|(_, schema)| (None, schema));
        inner.chain(target.map(|(pointer, schema)| (Some(pointer.as_str()), schema)))
    }

    /// Refuses an object of too many properties, as schemas are merged.
    fn check_properties(&self) -> Checked<()> {
        let mut of_refs = vec![0; self.refs.len()];
        loop {
            let mut grew = false;
            // Most refer to those that come after them.
            for number in (0..self.refs.len()).rev() {
                let count = properties(&self.refs[number].1, &of_refs).min(MAX_MERGED + 1);
                grew |= count > of_refs[number];
                of_refs[number] = count;
            }
            if !grew {
                break;
            }
        }
        let mut rest = vec![(String::new(), &self.root)];
        rest.extend(self.refs.iter().map(|(pointer, schema)| (pointer.clone(), schema)));
        while let Some((pointer, schema)) = rest.pop() {
            if properties(schema, &of_refs) > MAX_MERGED {
                let detail = format!(
                    "an object should have at most {MAX_MERGED} properties, with those that schemas are merged of"
                );
                return Err(fault(&pointer, detail));
            }
            rest.extend(subschemas(schema).map(|(path, schema)| {
                (format!("{pointer}{}", self.written.get(&path).unwrap_or(&path)), schema)
            }));
        }
        Ok(())
    }

    /// Refuses a schema whose answers would all be endless.
    fn check_finite(&self) -> Checked<()> {
        let mut finite = vec![false; self.refs.len()];
        loop {
            let before = finite.iter().filter(|&&known| known).count();
            for (number, (_, schema)) in self.refs.iter().enumerate() {
                finite[number] = finite[number] || is_finite(schema, &finite);
            }
            if finite.iter().filter(|&&known| known).count() == before {
                break;
            }
        }
        if is_finite(&self.root, &finite) {
            return Ok(());
        }
        let place = self.refs.iter().zip(&finite).find(|(_, finite)| !**finite);
        let pointer = place.map_or("", |((pointer, _), _)| pointer);
        Err(fault(pointer, "the schema requires itself, so that no answer would end".to_owned()))
    }
}

/// `false` as `additionalProperties` has it where Tallow adds no others, though the schema would take them.
fn closed() -> Value {
    json!({ "enum": [] })
}

/// Parsing them is less code than making them of their parts.
fn constant(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// The subschemas of a schema that has been checked, with their paths in it.
fn subschemas(schema: &Value) -> impl Iterator<Item = (String, &Value)> {
    let keywords = schema.as_object().into_iter().flatten();
    keywords.flat_map(|(keyword, value)| {
        let mut out = Vec::new();
        match (kind(keyword), value) {
            (Kind::Schema, _) => out.push((format!("/{keyword}"), value)),
            (Kind::Schemas, Value::Array(schemas)) | (Kind::SchemaOrSchemas, Value::Array(schemas)) => {
                out.extend(
                    schemas.iter().enumerate().map(|(at, schema)| (format!("/{keyword}/{at}"), schema)),
                );
            }
            (Kind::SchemaOrSchemas, _) => out.push((format!("/{keyword}"), value)),
            (Kind::SchemasByName, Value::Object(schemas)) => {
                out.extend(
                    schemas.iter().map(|(name, schema)| (format!("/{keyword}/{}", escaped(name)), schema)),
                );
            }
            _ => {}
        }
        out
    })
}

/// The number of the schema that a schema that has been checked refers to.
fn referred(schema: &Value) -> Option<usize> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()?.parse().ok()
}

/// The properties, named or required, of a schema that has been checked and of those that it is merged with, as far as is
/// known of those it refers to.
fn properties(schema: &Value, of_refs: &[usize]) -> usize {
    let Some(object) = schema.as_object() else { return 0 };
    let named = object.get("properties").and_then(Value::as_object);
    let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
    let own = named.map_or(0, Map::len)
        + required
            .filter_map(Value::as_str)
            .filter(|name| named.is_none_or(|named| !named.contains_key(*name)))
            .count();
    let of_each = |keyword: &str| {
        let schemas = object.get(keyword).and_then(Value::as_array).into_iter().flatten();
        schemas.map(|schema| properties(schema, of_refs))
    };
    let target = referred(schema).and_then(|number| of_refs.get(number)).copied();
    let options = ["anyOf", "oneOf"].map(|keyword| of_each(keyword).max().unwrap_or(0));
    own + of_each("allOf").sum::<usize>() + options.iter().sum::<usize>() + target.unwrap_or(0)
}

/// Whether a schema that has been checked has an answer that ends, as far as is known of those it refers to.
fn is_finite(schema: &Value, known: &[bool]) -> bool {
    let Some(object) = schema.as_object() else { return true };
    if referred(schema).is_some_and(|number| !known.get(number).copied().unwrap_or(true)) {
        return false;
    }
    let listed = |keyword: &str| object.get(keyword).and_then(Value::as_array).into_iter().flatten();
    if !listed("allOf").all(|schema| is_finite(schema, known)) {
        return false;
    }
    for keyword in ["anyOf", "oneOf"] {
        if object.contains_key(keyword) && !listed(keyword).any(|schema| is_finite(schema, known)) {
            return false;
        }
    }
    if object.contains_key("enum") || object.contains_key("const") {
        return true;
    }
    let required_are = || {
        listed("required").filter_map(Value::as_str).all(|name| {
            let named = object.get("properties").and_then(|properties| properties.get(name));
            named.or(object.get("additionalProperties")).is_none_or(|schema| is_finite(schema, known))
        })
    };
    let items_are = || {
        let least = object.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
        let first: Vec<&Value> = listed("prefixItems").take(least).collect();
        first.iter().all(|schema| is_finite(schema, known))
            && (least <= first.len() || object.get("items").is_none_or(|schema| is_finite(schema, known)))
    };
    match object.get("type").and_then(Value::as_str) {
        Some("object") => required_are(),
        Some("array") => items_are(),
        _ => true,
    }
}
