//! jinja2's filters and tests, where minijinja's differ in their arguments or results; and how values are printed.

use super::arguments::{self, bind, flag, invalid};
use super::bounds::{MAX_TEXT_LEN, MAX_VALUE_DEPTH, MAX_WIDTH};
use super::charge;
use super::deadline::{Deadline, in_time, turns};
use super::methods::{charge_parts, check_format, is_space};
use super::tojson::tojson;
use super::value::{Dict, View, max_text_len, python_str};
use minijinja::formatting::FormatStyle;
use minijinja::value::{Kwargs, Rest, StringInput, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters as builtin, tests};

/// Puts the filters, the tests and the way of printing into `environment`.
pub(super) fn add_to(environment: &mut Environment) {
    environment.set_formatter(|out, state, value| {
        Deadline::of(state).check()?;
        match value.as_str() {
            Some(text) => out.write_str(text)?,
            None => out.write_str(&python_str(state, value)?)?,
        }
        Ok(())
    });

    // By way of a pointer all filters of a kind are one instance of what minijinja makes of a function.
    type Filter = fn(&mut State, Value) -> Result<Value, Error>;
    let filters: [(&str, Filter); 19] = [
        ("bounded", bounded),
        ("bounded_attribute", bounded_attribute),
        ("capitalize", |state, value| recased(state, &value, |text| Ok(builtin::capitalize(text)))),
        ("compared", |state, value| compared(state, value)),
        ("container", |state, value| container(state, value)),
        ("e", |state, value| escape(state, &value)),
        ("escape", |state, value| escape(state, &value)),
        ("in_time", in_time),
        ("items", |_, value| items(&value)),
        ("lines", |state, value| lines(state, &value)),
        ("lower", |state, value| recased(state, &value, |text| Ok(builtin::lower(text)))),
        ("pprint", |state, value| pprint(state, &value)),
        ("safe", |state, value| python_str(state, &value).map(Value::from_safe_string)),
        ("step", |_, value| Ok(step(value))),
        ("string", |state, value| string(state, &value)),
        ("template_name", |_, value| template_name(value)),
        ("title", |state, value| {
            recased(state, &value, |text| Ok(Value::from(builtin::title(text.as_str().into()))))
        }),
        ("turns", turns),
        ("upper", |state, value| recased(state, &value, |text| Ok(builtin::upper(text)))),
    ];
    for (name, filter) in filters {
        environment.add_filter(name, filter);
    }

    type FilterOf = fn(&mut State, Value, Rest<ValueOrKwargs>) -> Result<Value, Error>;
    let filters: [(&str, FilterOf); 20] = [
        ("attr", attr),
        ("d", |_, value, args| default(value, args)),
        ("default", |_, value, args| default(value, args)),
        ("dictsort", |_, value, args| dictsort(&value, args)),
        ("float", |_, value, args| float(value, args)),
        ("format", |state, value, args| format(state, &value, args)),
        ("groupby", |state, value, args| groupby(state, value, args)),
        ("indent", |state, value, args| indent(state, &value, args).map(Value::from)),
        ("int", |_, value, args| int(value, args)),
        ("join", join),
        ("map", |state, values, args| map(state, values, args).map(Value::from)),
        ("max", |state, list, args| extreme(builtin::max, state, list, args)),
        ("min", |state, list, args| extreme(builtin::min, state, list, args)),
        ("replace", |state, value, args| replace(state, &value, args)),
        ("sort", |state, value, args| sort(state, value, args)),
        ("split", |state, value, args| split(state, &value, args)),
        ("sum", sum),
        ("tojson", |state, value, args| tojson(state, &value, args).map(Value::from)),
        ("trim", |state, value, args| trim(state, &value, args).map(Value::from)),
        ("unique", |state, value, args| unique(state, value, args)),
    ];
    for (name, filter) in filters {
        environment.add_filter(name, filter);
    }

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
                Deadline::of(state).check()?;
                charge::contents(state, other)?;
                Ok::<_, Error>(compare(value, other))
            });
        }
    }
    type Test = fn(&mut State, &Value, &Value) -> Result<bool, Error>;
    let tests: [(&str, Test); 3] = [
        ("in", |state, value, other| {
            Deadline::of(state).check()?;
            charge::contents(state, value)?;
            let other = container(state, other.clone())?;
            tests::is_in(state, value, &other)
        }),
        ("startingwith", |state, value, affix| {
            Ok(python_str(state, value)?.starts_with(&python_str(state, affix)?))
        }),
        ("endingwith", |state, value, affix| {
            Ok(python_str(state, value)?.ends_with(&python_str(state, affix)?))
        }),
    ];
    for (name, test) in tests {
        environment.add_test(name, test);
    }

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

/// The filter `compared`: `value`, if going through all of it can be paid for.
fn compared(state: &State, value: Value) -> Result<Value, Error> {
    charge::contents(state, &value)?;
    Ok(value)
}

/// The filter `container`: what is behind `in`. A mapping is not gone through, and minijinja pays for texts.
fn container(state: &State, value: Value) -> Result<Value, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        charge::contents(state, &value)?;
    }
    Ok(value)
}

fn attr(state: &mut State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [name] = bind(&args.into_values(), ["name"])?;
    builtin::attr(&value, &compared(state, name.unwrap_or_default())?)
}

/// A change of case, which at most triples a text.
fn recased(
    state: &State,
    value: &Value,
    change: impl Fn(StringInput) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let text = string(state, value)?;
    charge::bytes(state, 3 * text.as_str().map_or(0, str::len))?;
    change(StringInput::new(state, &text)?)
}

/// HTML, in markupsafe's spelling.
fn escape(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = string(state, value)?;
    let text = text.as_str().unwrap_or_default();
    // No escape is longer than five bytes.
    charge::bytes(state, text.len() + 4 * text.matches(['&', '<', '>', '\'', '"']).count())?;
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            c => escaped.push(c),
        }
    }
    Ok(Value::from_safe_string(escaped))
}

/// The greatest or the least of a list.
fn extreme(
    filter: fn(&State, Value, Kwargs) -> Result<Value, Error>,
    state: &State,
    list: Value,
    args: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    charge::contents(state, &list)?;
    let names = ["case_sensitive", "attribute"];
    filter(state, list, by_name(names, bind(&args.into_values(), names)?))
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

/// printf's way of formatting, which minijinja pays for once it is done, and which fails where Rust's has an end.
fn format(state: &mut State, format: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let text = format.as_str().ok_or_else(|| invalid("`format` expects a text"))?;
    let args = args.iter().map(|arg| printable(state, arg)).collect::<Result<Vec<_>, _>>()?;
    check_format(state, text, FormatStyle::Printf, &args)?;
    let args = args.into_iter().map(ValueOrKwargs::from).collect::<Vec<_>>();
    builtin::format(state, format, Rest(args))
}

/// What minijinja would print its own way, as a text; of a mapping, whose entries a format may name, each entry.
fn printable(state: &State, value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => string(state, value),
        ValueKind::Map => {
            let entries = value.try_iter()?.map(|key| {
                let entry = value.get_item(&key)?;
                let is_container =
                    matches!(entry.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
                Ok((key, if is_container { string(state, &entry)? } else { entry }))
            });
            Ok(Value::from_pairs(entries.collect::<Result<Vec<(Value, Value)>, Error>>()?))
        }
        _ => Ok(value.clone()),
    }
}

fn groupby(state: &State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    charge::contents(state, &value)?;
    let names = ["attribute", "default", "case_sensitive"];
    builtin::groupby(value, None, by_name(names, bind(&args.into_values(), names)?))
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
    let text = python_str(state, value)?;
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

fn join(state: &mut State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [joiner, attribute] = bind(&args.into_values(), ["d", "attribute"])?;
    let joiner =
        joiner.filter(|joiner| !joiner.is_none()).map(|joiner| string(state, &joiner)).transpose()?;
    let value = mapped(state, value, attribute)?;
    // minijinja names what cannot be joined.
    let texts = match value.try_iter() {
        Ok(items) => Value::from(items.map(|item| paid_text(state, &item)).collect::<Result<Vec<_>, _>>()?),
        Err(_) => value,
    };
    let joiner = joiner.as_ref().map(|joiner| StringInput::new(state, joiner)).transpose()?;
    builtin::join(state, &texts, joiner, None, Kwargs::from_iter(std::iter::empty::<(&str, Value)>()))
}

fn lines(state: &State, value: &Value) -> Result<Value, Error> {
    let text = string(state, value)?;
    charge_parts(state, text.as_str().unwrap_or_default(), Some("\n"), usize::MAX)?;
    builtin::lines(&text)
}

/// `values`, or what their `attribute` is.
fn mapped(state: &mut State, values: Value, attribute: Option<Value>) -> Result<Value, Error> {
    let Some(attribute) = attribute.filter(|attribute| !attribute.is_none()) else { return Ok(values) };
    let kwargs = by_name(["attribute"], [Some(attribute)]);
    map(state, values, Rest(vec![ValueOrKwargs::from(Value::from(kwargs))])).map(Value::from)
}

fn map(state: &mut State, values: Value, args: Rest<ValueOrKwargs>) -> Result<Vec<Value>, Error> {
    if let Some(kwargs) = args.last().filter(|arg| arg.is_kwargs()) {
        let attribute = kwargs.get_attr("attribute")?;
        // It is looked up in each item.
        if matches!(attribute.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
            return Err(invalid(format!("`attribute` should name one, but is a {}", attribute.kind())));
        }
    }
    builtin::map(state, values, args)
}

/// The text of `item`, which is paid for even where it exists already.
pub(super) fn paid_text(state: &State, item: &Value) -> Result<Value, Error> {
    charge::bytes(state, item.as_str().map_or(0, str::len))?;
    string(state, item)
}

/// minijinja's, an item on each line.
fn pprint(state: &State, value: &Value) -> Result<Value, Error> {
    // An item counts for 64 bytes at least, and is indented by 4 bytes for each of 608 levels at most.
    charge::bytes(state, max_text_len(state, value)?.saturating_mul(64))?;
    Ok(Value::from(builtin::pprint(value)))
}

fn replace(state: &mut State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [old, new, count] = bind(&args.into_values(), ["old", "new", "count"])?;
    let (Some(old), Some(new)) = (old, new) else {
        return Err(invalid("`replace` expects the text to replace and the text to put in its place"));
    };
    let (text, old, new) = (string(state, value)?, string(state, &old)?, string(state, &new)?);
    if let Some(count) = count.filter(|count| !count.is_none()) {
        let count = Value::from(i64::try_from(count)?.min(i64::from(i32::MAX)).max(-1));
        return text.call_method(state, "replace", &[old, new, count]);
    }
    let [text, old, new] = [&text, &old, &new].map(|text| StringInput::new(state, text));
    builtin::replace(state, text?, old?, new?)
}

fn sort(state: &State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    charge::contents(state, &value)?;
    let names = ["reverse", "case_sensitive", "attribute"];
    builtin::sort(state, value, by_name(names, bind(&args.into_values(), names)?))
}

fn split(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [separator, max] = bind(&args.into_values(), ["sep", "maxsplit"])?;
    let (text, separator) = (string(state, value)?, arguments::text("sep", &separator)?);
    let max = max.filter(|max| !max.is_none()).map(i64::try_from).transpose()?;
    let max_cuts = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    charge_parts(state, text.as_str().unwrap_or_default(), separator, max_cuts)?;
    Ok(builtin::split(&text, separator.map(Into::into), max)?.try_iter()?.collect())
}

/// The filter `step`: the step of a slice. No text or list is longer than 2^31, and 2^32 is 0 where minijinja makes it
/// a `usize` of wasm32.
fn step(value: Value) -> Value {
    const MAX_STEP: i128 = i32::MAX as i128;
    match i128::try_from(value.clone()) {
        Ok(step) if value.is_integer() => Value::from(step.clamp(-MAX_STEP, MAX_STEP)),
        _ => value,
    }
}

fn string(state: &State, value: &Value) -> Result<Value, Error> {
    if value.as_str().is_some() { Ok(value.clone()) } else { Ok(Value::from(python_str(state, value)?)) }
}

/// minijinja adds lists by laying one over the other, and goes through all layers for each.
fn sum(state: &mut State, values: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [attribute, start] = bind(&args.into_values(), ["attribute", "start"])?;
    let Some(start) = start.clone().filter(|start| !start.is_number()) else {
        return builtin::sum(state, values, None, None, by_name(["attribute", "start"], [attribute, start]));
    };
    if !matches!(start.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(invalid(format!("`sum` adds numbers and lists, but starts with a {}", start.kind())));
    }
    let is_tuple = start.is_tuple();
    let mut items = Vec::new();
    for list in std::iter::once(start).chain(mapped(state, values, attribute)?.try_iter()?) {
        let is_list = matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable);
        if !is_list || list.is_tuple() != is_tuple {
            return Err(invalid(format!("`sum` cannot add a {} to a list", list.kind())));
        }
        for item in list.try_iter()? {
            state.consume_fuel(1)?;
            items.push(item);
        }
    }
    Ok(if is_tuple { Value::from(Tuple::from(items)) } else { Value::from(items) })
}

/// The filter `template_name`: what is included or imported. minijinja's error prints all names it has tried.
fn template_name(value: Value) -> Result<Value, Error> {
    if value.as_str().is_some() {
        return Ok(value);
    }
    Err(invalid(format!("a template's name should be a string, but is a {}", value.kind())))
}

fn trim(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [chars] = bind(&args.into_values(), ["chars"])?;
    let subject = python_str(state, value)?;
    Ok(match arguments::text("chars", &chars)? {
        Some(chars) => subject.trim_matches(|c| chars.contains(c)),
        None => subject.trim_matches(is_space),
    }
    .to_owned())
}

fn unique(state: &State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    charge::contents(state, &value)?;
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
