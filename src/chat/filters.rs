//! jinja2's filters and tests, where minijinja's differ in their arguments or results; and how values are printed.

use super::arguments::{bind, flag, invalid, text};
use super::bounds::{MAX_TEXT_LEN, MAX_VALUE_DEPTH, MAX_WIDTH};
use super::deadline::{Deadline, in_time, turns};
use super::methods::is_space;
use super::tojson::tojson;
use super::value::{Dict, View, python_str};
use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters as builtin, tests};

/// Puts the filters, the tests and the way of printing into `environment`.
pub(super) fn add_to(environment: &mut Environment) {
    environment.set_formatter(|out, state, value| {
        Deadline::of(state).check()?;
        Ok(out.write_str(&python_str(value))?)
    });

    environment.add_filter("bounded", bounded);
    environment.add_filter("bounded_attribute", bounded_attribute);
    environment.add_filter("d", default);
    environment.add_filter("default", default);
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment.add_filter("float", float);
    environment.add_filter("in_time", in_time);
    environment.add_filter("indent", indent);
    environment.add_filter("int", int);
    environment.add_filter("items", items);
    environment.add_filter("max", |state: &State, list: Value, kwargs: Kwargs| {
        pay_for_texts(state, &list)?;
        builtin::max(state, list, kwargs)
    });
    environment.add_filter("min", |state: &State, list: Value, kwargs: Kwargs| {
        pay_for_texts(state, &list)?;
        builtin::min(state, list, kwargs)
    });
    environment.add_filter("sort", sort);
    environment.add_filter("string", string);
    environment.add_filter("tojson", tojson);
    environment.add_filter("trim", trim);
    environment.add_filter("turns", turns);
    environment.add_filter("unique", unique);

    type Compare = fn(&Value, &Value) -> bool;
    let comparisons: [(&[&str], Compare); 6] = [
        (&["eq", "equalto", "=="], tests::is_eq),
        (&["ne", "!="], tests::is_ne),
        (&["lt", "lessthan", "<"], tests::is_lt),
        (&["le", "<="], tests::is_le),
        (&["gt", "greaterthan", ">"], tests::is_gt),
        (&["ge", ">="], tests::is_ge),
    ];
    for (names, compare) in comparisons {
        for name in names {
            environment.add_test(*name, move |state: &mut State, value: &Value, other: &Value| {
                Deadline::of(state).check().map(|()| compare(value, other))
            });
        }
    }
    environment.add_test("in", |state: &mut State, value: &Value, other: &Value| {
        Deadline::of(state).check()?;
        tests::is_in(state, value, other)
    });

    environment.add_test("callable", is_callable);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
}

/// What `{% set %}` assigns: no deeper than [`MAX_VALUE_DEPTH`], no longer than [`MAX_TEXT_LEN`], and nothing lazy.
///
/// A loop may wrap a namespace's attribute once more each time, or slice it; minijinja drops, prints and walks such
/// values recursively, up to the end of the stack. Slices, which are lazy, become lists, as they are in Python.
/// Long texts are compared and indexed in one step each, however long.
fn bounded(state: &mut State, value: Value) -> Result<Value, Error> {
    if is_namespace(&value) {
        for name in value.try_iter()? {
            bounded_attribute(state, value.get_item(&name)?)?;
        }
        return Ok(value);
    }
    bounded_attribute(state, value)
}

/// What `{% set %}` assigns to a namespace's attribute: as [`bounded`], and no namespace, which could be that one.
fn bounded_attribute(state: &mut State, value: Value) -> Result<Value, Error> {
    Deadline::of(state).check()?;
    if value.as_str().is_some_and(|text| text.len() > MAX_TEXT_LEN) {
        return Err(invalid(format!("a variable's text exceeds its limit of {MAX_TEXT_LEN} bytes")));
    }
    within_depth(state, &value, MAX_VALUE_DEPTH)?;
    if value.kind() == ValueKind::Iterable && value.downcast_object_ref::<View>().is_none() {
        return Ok(Value::from(value.try_iter()?.collect::<Vec<Value>>()));
    }
    Ok(value)
}

fn within_depth(state: &State, value: &Value, depth_left: usize) -> Result<(), Error> {
    let is_container = matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable);
    // The request's own values are bounded when they come in.
    if !is_container || value.downcast_object_ref::<Dict>().is_some() {
        return Ok(());
    }
    if is_namespace(value) {
        return Err(invalid("a namespace within a value is not supported: it could hold itself"));
    }
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Err(invalid(format!("the value exceeds its limit of {MAX_VALUE_DEPTH} levels")));
    };
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        if value.kind() == ValueKind::Map {
            within_depth(state, &value.get_item(&item)?, depth_left)?;
        }
        within_depth(state, &item, depth_left)?;
    }
    Ok(())
}

/// minijinja keeps the type to itself.
fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace"))
}

fn default(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default, boolean] = bind(&args.into_values(), ["default_value", "boolean"])?;
    let missing = value.is_undefined() || (flag(boolean) && !value.is_true());
    Ok(if missing { default.unwrap_or_else(|| Value::from("")) } else { value })
}

fn dictsort(value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let names = ["case_sensitive", "by", "reverse"];
    builtin::dictsort(value, by_name(names, bind(&args.into_values(), names)?))
}

/// HTML, in markupsafe's spelling.
fn escape(value: &Value) -> Value {
    if value.is_safe() {
        return value.clone();
    }
    let mut escaped = String::new();
    for c in python_str(value).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            c => escaped.push(c),
        }
    }
    Value::from_safe_string(escaped)
}

fn float(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default] = bind(&args.into_values(), ["default"])?;
    let number = match value.as_str() {
        Some(text) => text.trim_matches(is_space).replace('_', "").parse().ok(),
        None => f64::try_from(value).ok(),
    };
    Ok(number.map_or(default.unwrap_or_else(|| Value::from(0.0)), Value::from))
}

fn int(value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default, base] = bind(&args.into_values(), ["default", "base"])?;
    let base = base.map_or(Ok(10), u32::try_from)?;
    let whole =
        |number: f64| (number.is_finite() && number.abs() < 1e38).then(|| Value::from(number as i128));
    let number = match value.as_str() {
        Some(text) => {
            integer(text, base).map(Value::from).or_else(|| text.trim().parse().ok().and_then(whole))
        }
        None if value.is_integer() || value.kind() == ValueKind::Bool => {
            i128::try_from(value).ok().map(Value::from)
        }
        None => f64::try_from(value).ok().and_then(whole),
    };
    Ok(number.or(default).unwrap_or_else(|| Value::from(0)))
}

/// Python's `int(text, base)`, with the prefix that belongs to the base.
fn integer(text: &str, base: u32) -> Option<i128> {
    let text = text.trim_matches(is_space).replace('_', "").to_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let prefix = match base {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    let digits = digits.strip_prefix(prefix).unwrap_or(digits);
    if !(2..=36).contains(&base) || !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i128::from_str_radix(digits, base).ok().map(|number| sign * number)
}

fn indent(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [width, first, blank] = bind(&args.into_values(), ["width", "first", "blank"])?;
    let (first, blank) = (flag(first), flag(blank));
    let unit = match width {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(unit) => unit.to_owned(),
            None => match usize::try_from(width)? {
                width @ ..=MAX_WIDTH => " ".repeat(width),
                width => {
                    return Err(invalid(format!("`width` should be at most {MAX_WIDTH}, but is {width}")));
                }
            },
        },
    };
    let text = python_str(value);
    let mut indented = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        state.consume_fuel(1 + (unit.len() + line.len()) as u64 / 64)?;
        if index > 0 {
            indented.push('\n');
        }
        let fills = blank || !line.is_empty();
        if if index == 0 { first } else { fills } {
            indented.push_str(&unit);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

fn items(value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    if value.kind() != ValueKind::Map {
        return Err(invalid(format!("`items` expects a mapping, got {}", value.kind())));
    }
    value.try_iter()?.map(|key| Ok(Value::from(Tuple::from([key.clone(), value.get_item(&key)?])))).collect()
}

/// Pays for looking at the texts of a list, which may be one long text many times over.
fn pay_for_texts(state: &State, list: &Value) -> Result<(), Error> {
    if !matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Ok(());
    }
    for item in list.try_iter()? {
        state.consume_fuel(1 + item.as_str().map_or(0, str::len) as u64 / 64)?;
    }
    Ok(())
}

fn sort(state: &State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    pay_for_texts(state, &value)?;
    let names = ["reverse", "case_sensitive", "attribute"];
    builtin::sort(state, value, by_name(names, bind(&args.into_values(), names)?))
}

fn string(value: &Value) -> Value {
    if value.as_str().is_some() { value.clone() } else { Value::from(python_str(value)) }
}

fn trim(value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [chars] = bind(&args.into_values(), ["chars"])?;
    let subject = python_str(value);
    Ok(match text("chars", &chars)? {
        Some(chars) => subject.trim_matches(|c| chars.contains(c)),
        None => subject.trim_matches(is_space),
    }
    .to_owned())
}

fn unique(state: &State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    pay_for_texts(state, &value)?;
    let names = ["case_sensitive", "attribute"];
    builtin::unique(state, value, by_name(names, bind(&args.into_values(), names)?))
}

/// The arguments that are given, for a filter of minijinja's that takes them by name only.
fn by_name<const N: usize>(names: [&'static str; N], arguments: [Option<Value>; N]) -> Kwargs {
    names.into_iter().zip(arguments).filter_map(|(name, value)| Some((name, value?))).collect()
}

fn is_callable(value: &Value) -> bool {
    value.is_undefined() || value.kind() == ValueKind::Plain
}

fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Python's sequences and what jinja2 takes for one: whatever has a length and items.
fn is_sequence(value: &Value) -> bool {
    let lazy = value.downcast_object_ref::<View>().is_some();
    value.is_undefined()
        || (!lazy
            && matches!(
                value.kind(),
                ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
            ))
}
