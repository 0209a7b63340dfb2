//! Python's methods of `str`, `dict`, `list` and `tuple`, where minijinja's own collection
//! (`minijinja_contrib::pycompat`) lacks them, lacks their arguments or answers otherwise.
//!
//! As in jinja2's immutable sandbox there is none that changes its object.

use super::arguments::{self, bind, flag, invalid};
use super::bounds::MAX_WIDTH;
use super::charge;
use super::filters::paid_text;
use super::value::{View, max_text_len, python_str};
use minijinja::formatting::FormatStyle;
use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, State, Value};
use minijinja_contrib::pycompat;

/// `value.method(args)`.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.as_str(), value.kind()) {
        (Some(text), _) => str_method(state, text, method, args)?,
        (_, ValueKind::Map) => dict_method(state, value, method, args)?,
        (_, ValueKind::Seq) => list_method(state, value, method, args)?,
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn str_method(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if let "capitalize" | "casefold" | "lower" | "swapcase" | "title" | "upper" = method {
        // A change of case at most triples a text.
        charge::bytes(state, 3 * text.len())?;
    }
    Ok(Some(match method {
        "casefold" => no_args(args, text.to_lowercase().replace('ß', "ss"))?,
        "center" => pad(text, args, |missing, width| {
            // Python puts the odd one to the left of a text whose width is odd.
            missing / 2 + (missing & width & 1)
        })?,
        "count" | "find" | "index" | "rfind" | "rindex" => search(text, method, args)?,
        "expandtabs" => {
            let [tab_size] = bind(args, ["tabsize"])?;
            let tab_size = tab_size.map_or(Ok(8), usize::try_from)?;
            state.consume_fuel(text.matches('\t').count().saturating_mul(tab_size) as u64 / 64)?;
            Value::from(expand_tabs(text, tab_size))
        }
        "format" => {
            check_format(state, text, FormatStyle::StrFormat, args)?;
            return Ok(None);
        }
        "isdecimal" => no_args(args, all(text, |c| c.is_ascii_digit()))?,
        "isdigit" => no_args(args, all(text, |c| c.is_ascii_digit() || "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉".contains(c)))?,
        "isidentifier" => {
            let head = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
            no_args(args, head && text.chars().all(|c| c.is_alphanumeric() || c == '_'))?
        }
        "isprintable" => {
            no_args(args, !text.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' ')))?
        }
        "istitle" => no_args(args, text.contains(char::is_alphabetic) && title(text) == text)?,
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let mut joined = String::new();
            for (index, item) in items.try_iter()?.enumerate() {
                let item = paid_text(state, &item)?;
                if index > 0 {
                    charge::bytes(state, text.len())?;
                    joined.push_str(text);
                }
                joined.push_str(item.as_str().unwrap_or_default());
            }
            Value::from(joined)
        }
        "ljust" => pad(text, args, |_, _| 0)?,
        "lstrip" => strip(text, args, |text, chars| text.trim_start_matches(chars))?,
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            three_parts(text.split_once(separator_of(separator)?), separator, [text, "", ""])
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "rjust" => pad(text, args, |missing, _| missing)?,
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            three_parts(text.rsplit_once(separator_of(separator)?), separator, ["", "", text])
        }
        "rstrip" => strip(text, args, |text, chars| text.trim_end_matches(chars))?,
        "rsplit" | "split" => split(state, text, method == "rsplit", args)?,
        "splitlines" => {
            let [keep_ends] = bind(args, ["keepends"])?;
            // All of what ends a line is space.
            charge_parts(state, text, None, usize::MAX)?;
            Value::from(split_lines(text, flag(keep_ends)))
        }
        "startswith" | "endswith" => match args {
            [affix, start, rest @ ..] if rest.len() <= 1 => {
                let (part, _) = within(text, Some(start), rest.first())?;
                return match part {
                    Some(part) => Ok(Some(affixed(part, method, affix)?)),
                    None => Ok(Some(Value::from(false))),
                };
            }
            _ => return Ok(None),
        },
        "strip" => strip(text, args, |text, chars| text.trim_start_matches(chars).trim_end_matches(chars))?,
        "swapcase" => {
            let swapped = text.chars().map(|c| match c {
                c if c.is_uppercase() => c.to_lowercase().collect::<String>(),
                c => c.to_uppercase().collect(),
            });
            no_args(args, swapped.collect::<String>())?
        }
        "title" => no_args(args, title(text))?,
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let sign = usize::from(text.starts_with(['+', '-']));
            let zeros = "0".repeat(missing_width(text, width)?);
            Value::from(format!("{}{zeros}{}", &text[..sign], &text[sign..]))
        }
        _ => return Ok(None),
    }))
}

fn dict_method(state: &State, dict: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method == "get" {
        // A key is compared.
        args.iter().take(1).try_for_each(|key| charge::contents(state, key))?;
    }
    let entries = || -> Result<Vec<(Value, Value)>, Error> {
        dict.try_iter()?.map(|key| dict.get_item(&key).map(|value| (key, value))).collect()
    };
    Ok(Some(match method {
        "copy" => no_args(args, dict.clone())?,
        "items" => {
            let pairs = entries()?.into_iter().map(|(key, value)| Value::from(Tuple::from([key, value])));
            no_args(args, View::value("dict_items", pairs.collect()))?
        }
        "keys" => no_args(args, View::value("dict_keys", dict.try_iter()?.collect()))?,
        "values" => {
            let values = entries()?.into_iter().map(|(_, value)| value);
            no_args(args, View::value("dict_values", values.collect()))?
        }
        "clear" | "pop" | "popitem" | "setdefault" | "update" => return Err(immutable("dict", method)),
        _ => return Ok(None),
    }))
}

fn list_method(state: &State, list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "copy" => no_args(args, list.clone())?,
        "count" => {
            charge::contents(state, list)?;
            return Ok(None);
        }
        "index" => {
            let (item,): (&Value,) = from_args(args)?;
            charge::contents(state, list)?;
            match list.try_iter()?.position(|candidate| candidate == *item) {
                Some(position) => Value::from(position),
                None => return Err(invalid(format!("{} is not in the list", python_str(state, item)?))),
            }
        }
        "append" | "clear" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort" => {
            return Err(immutable("list", method));
        }
        _ => return Ok(None),
    }))
}

fn no_args(args: &[Value], result: impl Into<Value>) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(result.into())
}

/// Python's whitespace: Unicode's, and four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn strip(
    text: &str,
    args: &[Value],
    trim: impl for<'t> Fn(&'t str, &dyn Fn(char) -> bool) -> &'t str,
) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    Ok(Value::from(match chars {
        Some(chars) => trim(text, &|c| chars.contains(c)),
        None => trim(text, &is_space),
    }))
}

/// `text.split` or `text.rsplit`.
fn split(state: &State, text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let [separator, max] = bind(args, ["sep", "maxsplit"])?;
    let separator = arguments::text("sep", &separator)?;
    let max = max.map_or(Ok(-1), i64::try_from)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    charge_parts(state, text, separator, max)?;
    let parts: Vec<&str> = match (separator, from_right) {
        (Some(separator), false) => text.splitn(max.saturating_add(1), separator_of(separator)?).collect(),
        (Some(separator), true) => {
            let mut parts: Vec<_> = text.rsplitn(max.saturating_add(1), separator_of(separator)?).collect();
            parts.reverse();
            parts
        }
        (None, false) => split_space(text, max),
        (None, true) => rsplit_space(text, max),
    };
    Ok(Value::from_iter(parts))
}

/// Pays for the parts of `text` between separators or whitespace, at most `max` cuts: each takes more memory than the
/// text it has.
pub(super) fn charge_parts(
    state: &State,
    text: &str,
    separator: Option<&str>,
    max: usize,
) -> Result<(), Error> {
    let n_cut = match separator {
        Some(separator) => text.matches(separator).take(max).count(),
        None => text.matches(is_space).take(max).count(),
    };
    state.consume_fuel(1 + n_cut as u64)
}

/// Words between runs of whitespace, at most `max` cuts; the last part keeps its inner whitespace.
fn split_space(text: &str, max: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == max {
            parts.push(rest);
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

/// [`split_space`] from the right.
fn rsplit_space(text: &str, max: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == max {
            parts.push(rest);
            break;
        }
        let start =
            rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

fn split_lines(text: &str, keep_ends: bool) -> Vec<Value> {
    const LINE_ENDS: [char; 10] =
        ['\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(LINE_ENDS).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let newline =
            if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(0, char::len_utf8) };
        lines.push(Value::from(if keep_ends { &rest[..end + newline] } else { line }));
        rest = &tail[newline..];
    }
    lines
}

fn separator_of(separator: &str) -> Result<&str, Error> {
    if separator.is_empty() { Err(invalid("empty separator")) } else { Ok(separator) }
}

fn three_parts(cut: Option<(&str, &str)>, separator: &str, whole: [&str; 3]) -> Value {
    let parts = cut.map_or(whole, |(before, after)| [before, separator, after]);
    Value::from(Tuple::from(parts.map(Value::from)))
}

/// `count`, `find`, `index`, `rfind` and `rindex`, whose positions count characters.
fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (needle, start, end): (&str, Option<&Value>, Option<&Value>) = from_args(args)?;
    let (part, offset) = within(text, start, end)?;
    let Some(part) = part else {
        return match method {
            "count" => Ok(Value::from(0)),
            "find" | "rfind" => Ok(Value::from(-1)),
            _ => Err(invalid("substring not found")),
        };
    };
    let found = match method {
        "count" => return Ok(Value::from(part.matches(needle).count())),
        "find" | "index" => part.find(needle),
        _ => part.rfind(needle),
    };
    match found {
        Some(at) => Ok(Value::from(offset + part[..at].chars().count())),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(invalid("substring not found")),
    }
}

/// `text[start:end]` and the characters before it; nothing if `start` is behind the end.
fn within<'t>(
    text: &'t str,
    start: Option<&Value>,
    end: Option<&Value>,
) -> Result<(Option<&'t str>, usize), Error> {
    let len = text.chars().count();
    let clamp = |bound: Option<&Value>, default: usize| match bound {
        Some(bound) if !bound.is_none() => {
            let bound = i64::try_from(bound.clone())?;
            let from_end = if bound < 0 { len as i64 + bound } else { bound };
            Ok::<_, Error>(usize::try_from(from_end.max(0)).unwrap_or(usize::MAX))
        }
        _ => Ok(default),
    };
    let (start, end) = (clamp(start, 0)?, clamp(end, len)?.min(len));
    if start > end {
        return Ok((None, start));
    }
    let byte_of = |position: usize| text.char_indices().nth(position).map_or(text.len(), |(at, _)| at);
    Ok((text.get(byte_of(start)..byte_of(end)), start))
}

/// Whether `text` starts or ends with `affix`, or with one of a tuple.
fn affixed(text: &str, method: &str, affix: &Value) -> Result<Value, Error> {
    let matches = |affix: &Value| match affix.as_str() {
        Some(affix) if method == "startswith" => Ok(text.starts_with(affix)),
        Some(affix) => Ok(text.ends_with(affix)),
        None => {
            Err(invalid(format!("{method} expects a string or a tuple of strings, got {}", affix.kind())))
        }
    };
    if !affix.is_tuple() {
        return matches(affix).map(Value::from);
    }
    for affix in affix.try_iter()? {
        if matches(&affix)? {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

/// Words in title case, where a word is a run of letters, so that "they're" becomes "They'Re".
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        match c {
            'ß' if !in_word => titled.push_str("Ss"),
            c if in_word => titled.extend(c.to_lowercase()),
            c => titled.extend(c.to_uppercase()),
        }
        in_word = c.is_lowercase() || c.is_uppercase();
    }
    titled
}

/// `text` padded to the width and with the character in `args`; `left` tells how much of what is missing goes
/// before the text.
fn pad(text: &str, args: &[Value], left: impl Fn(usize, usize) -> usize) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let missing = missing_width(text, width)?;
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(invalid("the fill character must be exactly one character long"));
    }
    let left = left(missing, width);
    Ok(Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))))
}

/// Pays for what `format` makes of `args`, each field at the size of the longest, and refuses what minijinja fails at:
/// widths and precisions of more than [`MAX_WIDTH`], and keys that are not ASCII.
pub(super) fn check_format(
    state: &State,
    format: &str,
    style: FormatStyle,
    args: &[Value],
) -> Result<(), Error> {
    let mut longest = 0;
    for arg in args {
        longest = longest.max(max_text_len(state, arg)?);
    }
    let opening = if style == FormatStyle::Printf { '%' } else { '{' };
    let mut rest = format;
    while let Some(at) = rest.find(opening) {
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix(opening) {
            rest = tail;
            continue;
        }
        charge::bytes(state, longest)?;
        let spec;
        if style == FormatStyle::Printf {
            if let Some(tail) = rest.strip_prefix('(') {
                rest = behind_key(tail, ')')?;
            }
            let end = rest.find(|c: char| !c.is_ascii_digit() && !"#- +.".contains(c));
            spec = &rest[..end.unwrap_or(rest.len())];
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            rest = rest.trim_start_matches(is_name);
            loop {
                if let Some(tail) = rest.strip_prefix('[') {
                    rest = behind_key(tail, ']')?;
                } else if let Some(tail) = rest.strip_prefix('.') {
                    rest = tail.trim_start_matches(is_name);
                } else {
                    break;
                }
            }
            // A brace may be what the field is filled with.
            let is_filled = [":}<", ":}>", ":}^"].iter().any(|filled| rest.starts_with(filled));
            rest = if is_filled { &rest[3..] } else { rest };
            spec = &rest[..rest.find('}').unwrap_or(rest.len())];
        }
        for digits in spec.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()) {
            match digits.parse() {
                // What fills the field has up to four bytes.
                Ok(width @ ..=MAX_WIDTH) => charge::bytes(state, 4 * width)?,
                _ => return Err(invalid(format!("the width {digits} exceeds its limit of {MAX_WIDTH}"))),
            }
        }
    }
    Ok(())
}

/// What follows a field's key.
fn behind_key(rest: &str, closing: char) -> Result<&str, Error> {
    let (key, rest) = rest.split_once(closing).unwrap_or((rest, ""));
    if key.is_ascii() { Ok(rest) } else { Err(invalid(format!("the format's key `{key}` should be ASCII"))) }
}

fn missing_width(text: &str, width: usize) -> Result<usize, Error> {
    if width > MAX_WIDTH {
        return Err(invalid(format!("the width {width} exceeds its limit of {MAX_WIDTH}")));
    }
    Ok(width.saturating_sub(text.chars().count()))
}

fn expand_tabs(text: &str, tab_size: usize) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        if c == '\t' {
            let spaces = if tab_size == 0 { 0 } else { tab_size - column % tab_size };
            expanded.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            expanded.push(c);
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    expanded
}

fn all(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

fn immutable(of: &str, method: &str) -> Error {
    invalid(format!("`{of}.{method}` would change its object, which chat templates may not"))
}
