//! What narrows a schema, so that answers end and every validator takes them.

use super::pattern::always;
use super::walk::{Walk, fault};
use super::{Checked, MAX_NUMBER, closed};
use serde_json::{Map, Value, json};

impl Walk<'_> {
    /// A format as a pattern that every validator agrees with.
    #[inline(never)]
    pub(super) fn format(&mut self, out: &mut Map<String, Value>, at: &str) -> Checked<()> {
        let Some(format) = out.get("format").and_then(Value::as_str) else { return Ok(()) };
        let Some(pattern) = written(format) else {
            match format {
                "ipv4" | "ipv6" | "uuid" => {}
                // OpenAPI's.
                "float" | "double" | "password" => drop(out.remove("format")),
                _ if integers(format).is_some() && out.get("type").is_some_and(|name| name == "integer") => {
                    let (least, most) = integers(format).unwrap_or_default();
                    out.remove("format");
                    let given = |keyword| out.get(keyword).and_then(Value::as_f64);
                    let (minimum, maximum) = (given("minimum"), given("maximum"));
                    put(out, "minimum", json!(minimum.map_or(least, |given| given.max(least))));
                    put(out, "maximum", json!(maximum.map_or(most, |given| given.min(most))));
                }
                // One of a library's own, which says itself what it is.
                _ if out.contains_key("pattern") && !OTHERS.contains(&format) => drop(out.remove("format")),
                other => {
                    return Err(fault(
                        &format!("{at}/format"),
                        format!("`{other}` is a format that Tallow can't keep an answer to"),
                    ));
                }
            }
            return Ok(());
        };
        out.remove("format");
        if let Some(other) = put(out, "pattern", Value::String(pattern.clone())) {
            // Both at once: the merged schemas are narrowed no further.
            self.narrows = false;
            put(out, "pattern", other);
            out.entry("allOf").or_insert_with(|| json!([])).as_array_mut().into_iter().for_each(|all| {
                all.push(json!({ "pattern": pattern }));
            });
        }
        Ok(())
    }

    /// Makes answers end.
    #[inline(never)]
    pub(super) fn narrow(&mut self, out: &mut Map<String, Value>) {
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
        if number || integer {
            let least = tighter(out, MINIMA, f64::max);
            let most = tighter(out, MAXIMA, f64::min);
            let (low, high) =
                (least.is_none_or(|least| least < -MAX_NUMBER), most.is_none_or(|most| most > MAX_NUMBER));
            if most.is_none_or(|most| most > -MAX_NUMBER) {
                bound(out, MINIMA, -MAX_NUMBER, |given| given < -MAX_NUMBER);
            }
            if least.is_none_or(|least| least < MAX_NUMBER) {
                bound(out, MAXIMA, MAX_NUMBER, |given| given > MAX_NUMBER);
            }
            let (least, most) = (least.filter(|_| !low), most.filter(|_| !high));
            let short = |bound: Option<f64>| bound.is_none_or(|bound| (bound * 1e6).fract() == 0.0);
            if number && !out.contains_key("multipleOf") && short(least) && short(most) {
                put(out, "multipleOf", json!(0.000001));
            }
        }
        if array && !out.contains_key("items") && !out.contains_key("additionalItems") {
            let any = self.any();
            put(out, "items", any);
        }
        if object && !out.contains_key("additionalProperties") && !out.contains_key("patternProperties") {
            let named = out.get("properties").and_then(Value::as_object).map_or(0, Map::len);
            let least = out.get("minProperties").and_then(Value::as_u64).unwrap_or(0) as usize;
            let required = out.get("required").and_then(Value::as_array).into_iter().flatten();
            let properties = out.get("properties");
            let all_named = required
                .filter_map(Value::as_str)
                .all(|name| properties.is_some_and(|properties| properties.get(name).is_some()));
            let rest = if named > 0 && least <= named && all_named { closed() } else { self.any() };
            put(out, "additionalProperties", rest);
        }
    }

    /// Refuses a count of properties that could be made up of one property, given twice.
    pub(super) fn check_counts(&self, out: &Map<String, Value>, at: &str) -> Checked<()> {
        let least = out.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
        let required = out.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let others = out.get("additionalProperties");
        let open = others.is_none_or(|others| *others != Value::Bool(false) && *others != closed());
        let open = open || out.contains_key("patternProperties");
        if least > required + 1 && open {
            return Err(fault(
                &format!("{at}/minProperties"),
                "can be kept only if the properties are required, or one of them is free".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Whether a schema's `pattern` says nothing that its `format` does not, as answers have it.
#[inline(never)]
pub(super) fn says_pattern(object: &Map<String, Value>) -> bool {
    let text = |keyword: &str| object.get(keyword).and_then(Value::as_str);
    let (Some(format), Some(pattern)) = (text("format"), text("pattern")) else { return false };
    written(format).is_some_and(|own| always(&own, pattern))
}

/// The pattern that texts of a format are written by.
#[inline(never)]
fn written(format: &str) -> Option<String> {
    Some(match format {
        "date" => format!("^{DATE}$"),
        "time" => format!("^{TIME}$"),
        "date-time" => format!("^{DATE}T{TIME}$"),
        "email" => format!("^[A-Za-z0-9]{{1,20}}([._+-][A-Za-z0-9]{{1,20}}){{0,2}}@{HOST}$"),
        "duration" => format!("^P([0-9]{{1,3}}W|{DAYS}(T{HOURS})?|T{HOURS})$"),
        "hostname" => format!("^{HOST}$"),
        "uri" => format!("^https?://{HOST}(/[A-Za-z0-9._~-]{{0,40}}){{0,8}}$"),
        _ => return None,
    })
}

/// Formats that validators know and Tallow does not.
const OTHERS: [&str; 15] = [
    "binary",
    "byte",
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "iso-date-time",
    "iso-time",
    "json-pointer",
    "json-pointer-uri-fragment",
    "regex",
    "relative-json-pointer",
    "uri-reference",
    "uri-template",
    "url",
];

/// The least and the largest of the integers that a format names, as far as answers have such.
fn integers(format: &str) -> Option<(f64, f64)> {
    let (signed, bits) = match (format.strip_prefix("int"), format.strip_prefix("uint")) {
        (Some(bits), _) => (true, bits),
        (_, Some(bits)) => (false, bits),
        _ => return None,
    };
    Some(match (signed, bits) {
        (true, "8" | "16" | "32") => {
            let most = f64::from(bits.parse::<i32>().ok()? - 1).exp2();
            (-most, most - 1.0)
        }
        (false, "8" | "16" | "32") => (0.0, f64::from(bits.parse::<i32>().ok()?).exp2() - 1.0),
        (true, "64" | "") => (-MAX_NUMBER, MAX_NUMBER),
        (false, "64" | "") => (0.0, MAX_NUMBER),
        _ => return None,
    })
}

/// Puts a keyword into a schema, and gives what was there. Never inlined, as the map's code is long.
#[inline(never)]
fn put(out: &mut Map<String, Value>, keyword: &str, value: Value) -> Option<Value> {
    out.insert(keyword.to_owned(), value)
}

/// The two forms of a bound. In old drafts the second is a flag, which is no bound of its own.
const MINIMA: [&str; 2] = ["minimum", "exclusiveMinimum"];
const MAXIMA: [&str; 2] = ["maximum", "exclusiveMaximum"];

/// The bound that counts of those that are given.
fn tighter(out: &Map<String, Value>, forms: [&str; 2], tighter: fn(f64, f64) -> f64) -> Option<f64> {
    forms.iter().filter_map(|form| out.get(*form)?.as_f64()).reduce(tighter)
}

/// Removes the forms of a bound that lie too far out, and puts `bound` where none is left.
fn bound(out: &mut Map<String, Value>, forms: [&str; 2], bound: f64, too_far: fn(f64) -> bool) {
    for form in forms {
        if out.get(form).and_then(Value::as_f64).is_some_and(too_far) {
            out.remove(form);
        }
    }
    if !forms.iter().any(|form| out.get(*form).is_some_and(Value::is_number)) {
        put(out, forms[0], json!(bound));
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
