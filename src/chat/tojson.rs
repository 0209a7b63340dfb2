//! The filter `tojson`: Python's `json.dumps`, with `ensure_ascii` off as `transformers` has it.

use super::arguments::{bind, flag, invalid};
use super::bounds::MAX_WIDTH;
use super::value::float_repr;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Error, State, Value};

/// `value` as JSON text, by the arguments of `json.dumps`.
pub(super) fn tojson(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ensure_ascii, indent, separators, sort_keys] = bind(&args.into_values(), names)?;
    let (ensure_ascii, sort_keys) = (flag(ensure_ascii), flag(sort_keys));
    let indent = indent.filter(|indent| !indent.is_none()).map(indent_unit).transpose()?;
    let separators = separators.filter(|separators| !separators.is_none());

    let (item_separator, key_separator) = match separators {
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(separators) => {
            let part = |index| match separators.get_item_by_index(index)?.as_str() {
                Some(separator) => Ok(separator.to_owned()),
                None => Err(invalid("`separators` should be two strings")),
            };
            (part(0)?, part(1)?)
        }
    };
    let mut writer = Writer {
        state,
        ensure_ascii,
        indent,
        item_separator,
        key_separator,
        sort_keys,
        depth: 0,
        json: String::new(),
    };
    writer.value(value)?;
    Ok(writer.json)
}

/// What a level is indented by: a count of spaces, or the text itself.
fn indent_unit(indent: Value) -> Result<String, Error> {
    if let Some(unit) = indent.as_str() {
        return Ok(unit.to_owned());
    }
    let width = usize::try_from(i64::try_from(indent)?).unwrap_or(0);
    if width > MAX_WIDTH {
        return Err(invalid(format!("`indent` should be at most {MAX_WIDTH}, but is {width}")));
    }
    Ok(" ".repeat(width))
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
    depth: usize,
    json: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.push("null"),
            ValueKind::Bool => self.push(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.push(&number(value)?),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.container('[', ']', items.iter(), |writer, item| writer.value(item))
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()? {
                    let entry = value.get_item(&key)?;
                    entries.push((key_text(&key)?, entry));
                }
                if self.sort_keys {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.container('{', '}', entries.iter(), |writer, (key, entry)| {
                    writer.string(key)?;
                    writer.charge(writer.key_separator.len())?;
                    writer.json.push_str(&writer.key_separator);
                    writer.value(entry)
                })
            }
            kind => Err(invalid(format!("a value of type {kind} is not JSON serializable"))),
        }
    }

    fn container<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.json.push(open);
        if items.len() > 0 {
            self.depth += 1;
            for (index, item) in items.enumerate() {
                if index > 0 {
                    self.charge(self.item_separator.len())?;
                    self.json.push_str(&self.item_separator);
                }
                self.line_break()?;
                write(self, item)?;
            }
            self.depth -= 1;
            self.line_break()?;
        }
        self.json.push(close);
        Ok(())
    }

    fn line_break(&mut self) -> Result<(), Error> {
        let Some(indent) = &self.indent else { return Ok(()) };
        self.charge(indent.len() * self.depth)?;
        self.json.push('\n');
        for _ in 0..self.depth {
            self.json.push_str(indent);
        }
        Ok(())
    }

    /// Pays for a piece of `len` bytes before it is written.
    fn charge(&self, len: usize) -> Result<(), Error> {
        self.state.consume_fuel(1 + len as u64 / 64)
    }

    fn push(&mut self, text: &str) -> Result<(), Error> {
        self.json.push_str(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.charge(text.len() * 4)?;
        self.json.push('"');
        for c in text.chars() {
            match c {
                '"' => self.json.push_str("\\\""),
                '\\' => self.json.push_str("\\\\"),
                '\n' => self.json.push_str("\\n"),
                '\r' => self.json.push_str("\\r"),
                '\t' => self.json.push_str("\\t"),
                '\u{8}' => self.json.push_str("\\b"),
                '\u{c}' => self.json.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.json.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.json.push(c),
            }
        }
        self.json.push('"');
        Ok(())
    }
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    Ok(match number {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number if number.is_nan() => "NaN".to_owned(),
        number => float_repr(number),
    })
}

fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.to_string()),
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number => number(key),
        kind => Err(invalid(format!("a key of a JSON object cannot be of type {kind}"))),
    }
}
