//! The way through a document: every keyword is checked, and what is referred to is given a number.

use super::keywords::{Kind, kind};
use super::narrow::says_pattern;
use super::pattern::{to_rust, unwritable};
use super::{
    ANY, Checked, Fault, MAX_COUNT, MAX_DEPTH, MAX_ENUM, MAX_MULTIPLE, MAX_PROPERTIES, MAX_SCHEMAS, REFS,
    Schema,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A way through a document.
pub(super) struct Walk<'d> {
    document: &'d Value,
    /// Whether to narrow, as long as no schemas are merged.
    pub(super) narrows: bool,
    count: usize,
    /// By pointer, the number of a schema that is referred to.
    names: HashMap<String, usize>,
    pending: Vec<String>,
    written: HashMap<String, String>,
}

impl<'d> Walk<'d> {
    pub(super) fn new(document: &'d Value, narrows: bool) -> Self {
        Self {
            document,
            narrows,
            count: 0,
            names: HashMap::new(),
            pending: Vec::new(),
            written: HashMap::new(),
        }
    }

    pub(super) fn all(&mut self) -> Checked<Schema> {
        let root = self.schema(self.document, "", 0)?;
        let mut refs = Vec::new();
        while let Some(pointer) = self.pending.get(refs.len()).cloned() {
            let target = self.document.pointer(&pointer);
            let target = target.ok_or_else(|| fault(&pointer, "nothing is here to refer to".to_owned()))?;
            let schema = self.schema(target, &pointer, 0)?;
            refs.push((pointer, schema));
        }
        Ok(Schema { root, refs, written: std::mem::take(&mut self.written) })
    }

    fn schema(&mut self, schema: &Value, at: &str, depth: usize) -> Checked<Value> {
        self.count += 1;
        if self.count > MAX_SCHEMAS {
            return Err(fault(at, format!("a schema should have at most {MAX_SCHEMAS} subschemas")));
        }
        if depth > MAX_DEPTH {
            return Err(fault(at, format!("schemas should lie at most {MAX_DEPTH} deep in each other")));
        }
        let object = match schema {
            Value::Object(object) => object,
            Value::Bool(true) if self.narrows => return Ok(self.any()),
            Value::Bool(_) => return Ok(schema.clone()),
            other => {
                return Err(should_be(at, "an object or a boolean", other));
            }
        };
        let mut out = Map::new();
        let implied = says_pattern(object);
        for (keyword, value) in object {
            if keyword == "pattern" && implied {
                continue;
            }
            let path = format!("{at}/{}", escaped(keyword));
            let kind = kind(keyword);
            if let Some(value) = self.keyword(keyword, kind, value, &path, depth)? {
                out.insert(keyword.clone(), value);
            }
        }
        self.format(&mut out, at)?;
        self.otherwise(&mut out, at)?;
        let applies = |keyword: &str| out.contains_key(keyword);
        let merging = ["anyOf", "oneOf", "$ref"].iter().filter(|keyword| applies(keyword)).count();
        // A property is held to the patterns that its name matches, too.
        let by_pattern = applies("properties") && applies("patternProperties");
        if applies("allOf") || merging > 1 || merging == 1 && out.len() > 1 || by_pattern {
            self.narrows = false;
        }
        if self.narrows && merging == 0 {
            self.narrow(&mut out);
        }
        self.check_counts(&out, at)?;
        Ok(if out.is_empty() && self.narrows { self.any() } else { Value::Object(out) })
    }

    pub(super) fn any(&mut self) -> Value {
        Value::Object(Map::from_iter([("$ref".to_owned(), Value::String(format!("#/{REFS}/{ANY}")))]))
    }

    /// What a schema that says nothing is written as.
    pub(super) fn whatever(&mut self) -> Value {
        if self.narrows { self.any() } else { Value::Bool(true) }
    }

    /// A keyword's value, checked; none if the keyword says nothing of the answer.
    fn keyword(
        &mut self,
        keyword: &str,
        kind: Kind,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Checked<Option<Value>> {
        let should = |what: &str| Err(should_be(path, what, value));
        match kind {
            Kind::Note | Kind::Definitions => return Ok(None),
            _ if says_nothing(keyword, value) => return Ok(None),
            Kind::Missing => {
                return Err(fault(
                    path,
                    format!("`{keyword}` is a keyword that Tallow can't keep an answer to"),
                ));
            }
            Kind::Schema => return self.schema(value, path, depth + 1).map(Some),
            Kind::SchemaOrSchemas if !value.is_array() => {
                return self.schema(value, path, depth + 1).map(Some);
            }
            Kind::Schemas | Kind::SchemaOrSchemas => {
                let Value::Array(schemas) = value else { return should("an array of schemas") };
                if schemas.is_empty() && matches!(kind, Kind::Schemas) && keyword != "prefixItems" {
                    return should("an array of at least one schema");
                }
                let each = schemas.iter().enumerate();
                let schemas =
                    each.map(|(index, schema)| self.schema(schema, &format!("{path}/{index}"), depth + 1));
                return Ok(Some(Value::Array(schemas.collect::<Checked<_>>()?)));
            }
            Kind::SchemasByName => {
                let Value::Object(schemas) = value else { return should("an object of schemas") };
                check_properties(schemas.len(), path)?;
                let mut out = Map::new();
                for (name, schema) in schemas {
                    let at = format!("{path}/{}", escaped(name));
                    let schema = self.schema(schema, &at, depth + 1)?;
                    if keyword == "properties" {
                        check_text(name, &at)?;
                        out.insert(name.clone(), schema);
                        continue;
                    }
                    let pattern = to_rust(name).map_err(|detail| fault(&at, detail))?;
                    if pattern != *name {
                        let path = |name: &str| format!("/{keyword}/{}", escaped(name));
                        self.written.insert(path(&pattern), path(name));
                    }
                    out.insert(pattern, schema);
                }
                return Ok(Some(Value::Object(out)));
            }
            // Some write 3.0.
            Kind::Count => match value.as_f64().filter(|count| count.fract() == 0.0 && *count >= 0.0) {
                Some(count) if count <= MAX_COUNT as f64 => return Ok(Some(json!(count as u64))),
                Some(_) => return should(&format!("at most {MAX_COUNT}")),
                None => return should("a whole number of at least 0"),
            },
            Kind::Number if value.as_f64().is_none() => return should("a number"),
            Kind::Number if keyword == "multipleOf" => {
                // The parser has a state for each remainder.
                let step = value.as_f64().unwrap_or(0.0);
                let scaled = (0..=6).map(|digits| step * 10_f64.powi(digits));
                let whole = scaled.map(f64::abs).find(|scaled| (scaled - scaled.round()).abs() < 1e-9);
                if !whole.is_some_and(|whole| (1.0..=MAX_MULTIPLE).contains(&whole.round())) {
                    return should(&format!(
                        "a number of at most 6 decimals and up to {MAX_MULTIPLE} without its point"
                    ));
                }
            }
            Kind::NumberOrFlag if value.as_f64().is_none() && !value.is_boolean() => {
                return should("a number");
            }
            Kind::Text if keyword == "$ref" => {
                let Some(uri) = value.as_str() else { return should("a text") };
                return self.reference(uri, path).map(Some);
            }
            Kind::Text if !value.is_string() => return should("a text"),
            Kind::Pattern => {
                let Some(pattern) = value.as_str() else { return should("a text") };
                let pattern = to_rust(pattern).map_err(|detail| fault(path, detail))?;
                return Ok(Some(Value::String(pattern)));
            }
            Kind::Texts => {
                if !value.as_array().is_some_and(|names| names.iter().all(Value::is_string)) {
                    return should("an array of texts");
                }
                check_properties(value.as_array().map_or(0, Vec::len), path)?;
                check_texts(value, path)?;
            }
            Kind::Type => {
                let names: Vec<&Value> = match value {
                    Value::Array(names) => names.iter().collect(),
                    name => vec![name],
                };
                const TYPES: [&str; 7] =
                    ["null", "boolean", "integer", "number", "string", "array", "object"];
                let known = |name: &&Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
                if names.is_empty() || !names.iter().all(known) {
                    return should(&format!("of `{}`, or an array of these", TYPES.join("`, `")));
                }
            }
            Kind::Values => match value.as_array().map(Vec::len) {
                None | Some(0) => return should("an array of at least one value"),
                Some(1..=MAX_ENUM) => check_texts(value, path)?,
                Some(_) => return should(&format!("an array of at most {MAX_ENUM}")),
            },
            Kind::Value => check_texts(value, path)?,
            Kind::Number | Kind::NumberOrFlag | Kind::Text | Kind::Otherwise => {}
        }
        Ok(Some(value.clone()))
    }

    /// The new name of what `uri` refers to.
    #[inline(never)]
    fn reference(&mut self, uri: &str, path: &str) -> Checked<Value> {
        let pointer = uri.strip_prefix('#').and_then(percent_decoded);
        let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer else {
            return Err(fault(path, format!("should be `#` and a JSON pointer, but is `{uri}`")));
        };
        let pointer = if pointer == "/" { String::new() } else { pointer };
        let pointer = format!("{}{pointer}", self.base(path));
        if self.document.pointer(&pointer).is_none() {
            return Err(fault(path, format!("refers to `{uri}`, which is not there")));
        }
        let next = self.pending.len();
        let number = *self.names.entry(pointer.clone()).or_insert_with(|| {
            self.pending.push(pointer);
            next
        });
        Ok(Value::String(format!("#/{REFS}/{number}")))
    }

    /// Where pointers at `path` begin: at the innermost schema around with an `$id`, or at the document.
    fn base<'p>(&self, path: &'p str) -> &'p str {
        let ends = path.rmatch_indices('/').map(|(end, _)| &path[..end]);
        let has_id = |pointer: &&str| {
            let schema = self.document.pointer(pointer);
            schema.and_then(|schema| schema.get("$id")).is_some_and(Value::is_string)
        };
        ends.into_iter().find(has_id).unwrap_or_default()
    }
}

/// Whether every answer fulfils a keyword that is not known otherwise.
fn says_nothing(keyword: &str, value: &Value) -> bool {
    match (keyword, value) {
        ("uniqueItems" | "not", Value::Bool(holds)) => !holds,
        ("propertyNames" | "unevaluatedItems" | "unevaluatedProperties", Value::Bool(any)) => *any,
        // As generators of schemas write it for a map.
        ("propertyNames", Value::Object(schema)) => {
            schema.iter().all(|(keyword, value)| keyword == "type" && value == "string")
        }
        ("unevaluatedItems" | "unevaluatedProperties", Value::Object(schema)) => schema.is_empty(),
        _ => false,
    }
}

/// Refuses the properties of an object if they are too many.
fn check_properties(count: usize, path: &str) -> Checked<()> {
    if count <= MAX_PROPERTIES {
        return Ok(());
    }
    Err(fault(path, format!("should be at most {MAX_PROPERTIES} properties, but is {count}")))
}

/// Refuses what can't be written in `value`, and objects that are too large.
fn check_texts(value: &Value, path: &str) -> Checked<()> {
    match value {
        Value::String(text) => check_text(text, path),
        Value::Array(items) => {
            let mut each = items.iter().enumerate();
            each.try_for_each(|(index, item)| check_texts(item, &format!("{path}/{index}")))
        }
        Value::Object(fields) => {
            check_properties(fields.len(), path)?;
            fields.iter().try_for_each(|(name, value)| {
                let path = format!("{path}/{}", escaped(name));
                check_text(name, &path)?;
                check_texts(value, &path)
            })
        }
        _ => Ok(()),
    }
}

fn check_text(text: &str, path: &str) -> Checked<()> {
    match text.bytes().find(|&byte| unwritable(byte)) {
        Some(byte) => Err(fault(path, format!("has U+{byte:04X}, which Tallow can't have in an answer"))),
        None => Ok(()),
    }
}

/// The text that a URI's fragment spells; none where it spells no text.
fn percent_decoded(fragment: &str) -> Option<String> {
    let mut out = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        out.push(match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                rest = after;
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            (b'%', _) => return None,
            _ => *byte,
        });
    }
    String::from_utf8(out).ok()
}

/// A value that is something else than it should be.
#[cold]
#[inline(never)]
fn should_be(pointer: &str, what: &str, value: &Value) -> Fault {
    fault(pointer, format!("should be {what}, but is {}", shown(value)))
}

pub(super) fn fault(pointer: &str, detail: String) -> Fault {
    Fault { pointer: pointer.to_owned(), detail }
}

/// A key as a JSON pointer has it.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 60 => {
            format!("`{}…`", text.chars().take(60).collect::<String>())
        }
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
