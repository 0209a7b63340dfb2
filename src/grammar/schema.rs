//! A JSON Schema as llguidance is given it: checked, with a path to everything that is wrong, and made narrower where an
//! answer would otherwise go on without end or be refused by other validators.
//!
//! Narrower means: every answer is valid by the schema as it was written, but not every valid answer can be given.
//! - No white space but one space after `:` and `,`.
//! - An object has the properties that are named, unless `additionalProperties` or `patternProperties` says otherwise.
//! - Numbers without bounds have 15 digits before the point at most, all have 6 behind it, and none has an exponent.
//! - `format`s are written the way that every validator takes them.
//!
//! The first three only where no schemas are merged (`allOf`, or `anyOf`, `oneOf`, `$ref` beside other keywords): there
//! what narrows one could contradict the other.

use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt;

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
/// Subschemas that are compiled by themselves to find the one at fault.
const MAX_BLAMED: usize = 200;
/// The digits of a `multipleOf`, as a whole number.
const MAX_MULTIPLE: f64 = 10_000.0;
/// The largest whole number that numbers without bounds reach.
const MAX_NUMBER: f64 = 999_999_999_999_999.0;

/// Where the schemas are that others refer to, and in them the one of any JSON.
const REFS: &str = "tallow-refs";
const ANY: &str = "any";

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
}

impl Schema {
    /// Checks and narrows `source`.
    pub(super) fn new(source: &Value) -> Checked<Self> {
        let mut walk =
            Walk { document: source, narrows: true, count: 0, names: HashMap::new(), pending: Vec::new() };
        // Twice: whether schemas are merged is known at the end.
        let mut schema = walk.all()?;
        if !walk.narrows {
            walk = Walk { narrows: false, count: 0, names: HashMap::new(), pending: Vec::new(), ..walk };
            schema = walk.all()?;
        }
        schema.check_depth()?;
        schema.check_finite()?;
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
        refs.insert(ANY.to_owned(), any());
        object.insert(REFS.to_owned(), Value::Object(refs));
        object.insert(
            "x-guidance".to_owned(),
            json!({
                "whitespace_flexible": false,
                "item_separator": ", ?",
                "key_separator": ": ?",
                // One way to spell each character, so that a key is not spelled another way.
                "json_allowed_escapes": "nrbtf\\\"",
            }),
        );
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
                .map(|(path, schema)| (format!("{pointer}{path}"), schema))
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

/// Any JSON.
fn any() -> Value {
    let any = format!("#/{REFS}/{ANY}");
    json!({ "anyOf": [
        { "type": "null" },
        { "type": "boolean" },
        { "type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER, "multipleOf": 0.000001 },
        { "type": "string" },
        { "type": "array", "items": { "$ref": any } },
        { "type": "object", "additionalProperties": { "$ref": any } },
    ] })
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

/// What a keyword's value is.
#[derive(Clone, Copy)]
enum Kind {
    Schema,
    Schemas,
    SchemaOrSchemas,
    SchemasByName,
    Count,
    Number,
    NumberOrFlag,
    Text,
    Texts,
    Type,
    Values,
    Value,
    /// Schemas that only count where they are referred to.
    Definitions,
    Note,
    Missing,
}

fn kind(keyword: &str) -> Kind {
    match keyword {
        "items" => Kind::SchemaOrSchemas,
        "additionalItems" | "additionalProperties" => Kind::Schema,
        "prefixItems" | "anyOf" | "oneOf" | "allOf" => Kind::Schemas,
        "properties" | "patternProperties" => Kind::SchemasByName,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            Kind::Count
        }
        "minimum" | "maximum" | "multipleOf" => Kind::Number,
        "exclusiveMinimum" | "exclusiveMaximum" => Kind::NumberOrFlag,
        "pattern" | "format" | "$ref" => Kind::Text,
        "required" => Kind::Texts,
        "type" => Kind::Type,
        "enum" => Kind::Values,
        "const" => Kind::Value,
        "$defs" | "definitions" => Kind::Definitions,
        "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "minContains"
        | "maxContains"
        | "uniqueItems"
        | "propertyNames"
        | "dependencies"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "$dynamicRef"
        | "$recursiveRef" => Kind::Missing,
        _ => Kind::Note,
    }
}

/// A way through a document.
struct Walk<'d> {
    document: &'d Value,
    narrows: bool,
    count: usize,
    /// By pointer, the number of a schema that is referred to.
    names: HashMap<String, usize>,
    pending: Vec<String>,
}

impl<'d> Walk<'d> {
    fn all(&mut self) -> Checked<Schema> {
        let root = self.schema(self.document, "", 0)?;
        let mut refs = Vec::new();
        while let Some(pointer) = self.pending.get(refs.len()).cloned() {
            let target = self.document.pointer(&pointer);
            let target = target.ok_or_else(|| fault(&pointer, "nothing is here to refer to".to_owned()))?;
            let schema = self.schema(target, &pointer, 0)?;
            refs.push((pointer, schema));
        }
        Ok(Schema { root, refs })
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
                return Err(fault(
                    at,
                    format!("a schema should be an object or a boolean, but is {}", shown(other)),
                ));
            }
        };
        let mut out = Map::new();
        for (keyword, value) in object {
            let path = format!("{at}/{}", escaped(keyword));
            let kind = kind(keyword);
            if let Some(value) = self.keyword(keyword, kind, value, &path, depth)? {
                out.insert(keyword.clone(), value);
            }
        }
        self.format(&mut out, at)?;
        let applies = |keyword: &str| out.contains_key(keyword);
        let merging = ["anyOf", "oneOf", "$ref"].iter().filter(|keyword| applies(keyword)).count();
        if applies("allOf") || merging > 1 || merging == 1 && out.len() > 1 {
            self.narrows = false;
        }
        if self.narrows && merging == 0 {
            self.narrow(&mut out);
        }
        self.check_counts(&out, at)?;
        Ok(if out.is_empty() && self.narrows { self.any() } else { Value::Object(out) })
    }

    fn any(&mut self) -> Value {
        json!({ "$ref": format!("#/{REFS}/{ANY}") })
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
        let should = |what: &str| Err(fault(path, format!("should be {what}, but is {}", shown(value))));
        match kind {
            Kind::Note | Kind::Definitions => return Ok(None),
            Kind::Missing if keyword == "uniqueItems" && value == &Value::Bool(false) => return Ok(None),
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
                let mut out = Map::new();
                for (name, schema) in schemas {
                    let path = format!("{path}/{}", escaped(name));
                    if keyword == "patternProperties" {
                        super::bounds::check_regex(name).map_err(|detail| fault(&path, detail))?;
                    }
                    out.insert(name.clone(), self.schema(schema, &path, depth + 1)?);
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
            Kind::Text => {
                let Some(text) = value.as_str() else { return should("a text") };
                super::bounds::check_regex(text).map_err(|detail| fault(path, detail))?;
            }
            Kind::Texts => {
                if !value.as_array().is_some_and(|names| names.iter().all(Value::is_string)) {
                    return should("an array of texts");
                }
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
                Some(1..=MAX_ENUM) => {}
                Some(_) => return should(&format!("an array of at most {MAX_ENUM}")),
            },
            Kind::Number | Kind::NumberOrFlag | Kind::Value => {}
        }
        Ok(Some(value.clone()))
    }

    /// The new name of what `uri` refers to.
    fn reference(&mut self, uri: &str, path: &str) -> Checked<Value> {
        let pointer = uri.strip_prefix('#').map(|pointer| pointer.replace("%25", "%"));
        let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer else {
            return Err(fault(path, format!("should be `#` and a JSON pointer, but is `{uri}`")));
        };
        let pointer = if pointer == "/" { String::new() } else { pointer };
        if self.document.pointer(&pointer).is_none() {
            return Err(fault(path, format!("refers to `{uri}`, which is not there")));
        }
        let next = self.pending.len();
        let number = *self.names.entry(pointer.clone()).or_insert_with(|| {
            self.pending.push(pointer);
            next
        });
        Ok(json!(format!("#/{REFS}/{number}")))
    }

    /// A format as a pattern that every validator agrees with.
    fn format(&mut self, out: &mut Map<String, Value>, at: &str) -> Checked<()> {
        let Some(format) = out.get("format").and_then(Value::as_str) else { return Ok(()) };
        let pattern = match format {
            "date" => format!("^{DATE}$"),
            "time" => format!("^{TIME}$"),
            "date-time" => format!("^{DATE}T{TIME}$"),
            "email" => format!("^[A-Za-z0-9]{{1,20}}([._+-][A-Za-z0-9]{{1,20}}){{0,2}}@{HOST}$"),
            "duration" => format!("^P([0-9]{{1,3}}W|{DAYS}(T{HOURS})?|T{HOURS})$"),
            "hostname" => format!("^{HOST}$"),
            "uri" => format!("^https?://{HOST}(/[A-Za-z0-9._~-]{{0,40}}){{0,8}}$"),
            "ipv4" | "ipv6" | "uuid" => return Ok(()),
            other => {
                return Err(fault(
                    &format!("{at}/format"),
                    format!("`{other}` is a format that Tallow can't keep an answer to"),
                ));
            }
        };
        out.remove("format");
        if let Some(other) = out.insert("pattern".to_owned(), Value::String(pattern.clone())) {
            // Both at once: the merged schemas are narrowed no further.
            self.narrows = false;
            out.insert("pattern".to_owned(), other);
            out.entry("allOf").or_insert_with(|| json!([])).as_array_mut().into_iter().for_each(|all| {
                all.push(json!({ "pattern": pattern }));
            });
        }
        Ok(())
    }

    /// Makes answers end.
    fn narrow(&mut self, out: &mut Map<String, Value>) {
        if out.is_empty() || out.contains_key("const") || out.contains_key("enum") {
            return;
        }
        let may_be = |name: &str| match out.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(names)) => names.iter().any(|other| other == name),
            _ => true,
        };
        let (number, integer, array, object) =
            (may_be("number"), may_be("integer"), may_be("array"), may_be("object"));
        let given = |out: &Map<String, Value>, keywords: &[&str]| {
            keywords.iter().find_map(|keyword| out.get(*keyword).and_then(Value::as_f64))
        };
        if number || integer {
            let least = given(out, &["minimum", "exclusiveMinimum"]);
            let most = given(out, &["maximum", "exclusiveMaximum"]);
            if least.is_none() && most.is_none_or(|most| most > -MAX_NUMBER) {
                out.insert("minimum".to_owned(), json!(-MAX_NUMBER));
            }
            if most.is_none() && least.is_none_or(|least| least < MAX_NUMBER) {
                out.insert("maximum".to_owned(), json!(MAX_NUMBER));
            }
            let short = |bound: Option<f64>| bound.is_none_or(|bound| (bound * 1e6).fract() == 0.0);
            if number && !out.contains_key("multipleOf") && short(least) && short(most) {
                out.insert("multipleOf".to_owned(), json!(0.000001));
            }
        }
        if array && !out.contains_key("items") && !out.contains_key("additionalItems") {
            let any = self.any();
            out.insert("items".to_owned(), any);
        }
        if object && !out.contains_key("additionalProperties") && !out.contains_key("patternProperties") {
            let named = out.get("properties").and_then(Value::as_object).map_or(0, Map::len);
            let least = out.get("minProperties").and_then(Value::as_u64).unwrap_or(0) as usize;
            let required = out.get("required").and_then(Value::as_array).into_iter().flatten();
            let properties = out.get("properties");
            let all_named = required
                .filter_map(Value::as_str)
                .all(|name| properties.is_some_and(|properties| properties.get(name).is_some()));
            let rest = if named > 0 && least <= named && all_named { json!(false) } else { self.any() };
            out.insert("additionalProperties".to_owned(), rest);
        }
    }

    /// Refuses a count of properties that could be made up of one property, given twice.
    fn check_counts(&self, out: &Map<String, Value>, at: &str) -> Checked<()> {
        let least = out.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
        let required = out.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let open = out.get("additionalProperties") != Some(&Value::Bool(false));
        if least > required + 1 && open {
            return Err(fault(
                &format!("{at}/minProperties"),
                "can be kept only if the properties are required, or one of them is free".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A day that each year has.
const DATE: &str = "(19|20)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";
const TIME: &str =
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])";
const DAYS: &str = "([0-9]{1,3}Y([0-9]{1,2}M([0-9]{1,2}D)?)?|[0-9]{1,2}M([0-9]{1,2}D)?|[0-9]{1,3}D)";
const HOURS: &str = "([0-9]{1,3}H([0-9]{1,2}M([0-9]{1,2}S)?)?|[0-9]{1,3}M([0-9]{1,2}S)?|[0-9]{1,3}S)";
const HOST: &str =
    "[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,20})?(\\.[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,20})?){0,2}\\.[a-z]{2,10}";

fn fault(pointer: &str, detail: String) -> Fault {
    Fault { pointer: pointer.to_owned(), detail }
}

/// A key as a JSON pointer has it.
fn escaped(key: &str) -> String {
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
