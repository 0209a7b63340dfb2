//! Request JSON as the values a template sees, and values as Python prints them.

use super::bounds::{MAX_VALUE_DEPTH, MAX_WALK_DEPTH};
use super::charge;
use crate::{Error, Result};
use minijinja::State;
use minijinja::value::{DynObject, Enumerator, Object, ObjectExt, ObjectRepr, Value, ValueKind};
use serde_json::Value as Json;
use std::fmt;
use std::sync::Arc;

/// The value of `json`, the request's field `field`.
///
/// # Errors
/// `invalid_request` if it is nested deeper than [`MAX_VALUE_DEPTH`].
pub(super) fn from_json(field: &str, json: &Json) -> Result<Value> {
    nested(json, MAX_VALUE_DEPTH).ok_or_else(|| {
        Error::invalid_request(format!("`{field}` is nested deeper than {MAX_VALUE_DEPTH} levels"))
    })
}

fn nested(json: &Json, depth_left: usize) -> Option<Value> {
    let depth_left = depth_left.checked_sub(1)?;
    Some(match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (_, Some(value)) => Value::from(value),
            _ => Value::from(number.as_f64()?),
        },
        Json::String(value) => Value::from(value.as_str()),
        Json::Array(items) => {
            Value::from(items.iter().map(|item| nested(item, depth_left)).collect::<Option<Vec<_>>>()?)
        }
        Json::Object(fields) => {
            let pairs: Option<Vec<_>> =
                fields.iter().map(|(key, field)| Some((key.as_str(), nested(field, depth_left)?))).collect();
            dict(Value::from_pairs(pairs?))
        }
    })
}

/// `map` with Python's rule for attributes.
pub(super) fn dict(map: Value) -> Value {
    match map.as_object() {
        Some(object) => Value::from_object(Dict(object.clone())),
        None => map,
    }
}

/// A mapping in which `x.items` is the method, as in Python, even where there is a key `items`: JSON Schemas
/// have one, and templates test for it. `x["items"]` is the entry.
pub(super) struct Dict(DynObject);

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get_value(key)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "clear" | "copy" | "fromkeys" | "get" | "items" | "keys" | "pop" | "popitem" | "setdefault"
            | "update" | "values" => Some(Value::from_object(BoundMethod)),
            _ => self.0.get_value_by_str(key),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_key_value_enumerator(|dict| Box::new(dict.0.try_iter_pairs().into_iter().flatten()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        self.0.enumerator_len()
    }
}

/// A method that is named but not called: defined and true.
#[derive(Debug)]
struct BoundMethod;

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// No float is longer in minijinja, which writes it without an exponent.
const MAX_FLOAT_LEN: usize = 400;

/// `number` as Python's `repr` writes it: the shortest digits that read back, an exponent from 1e16 up and
/// below 1e-4.
pub(super) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if number != 0.0 && !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number:?}"),
    }
}

/// What `dict.items()` and its like return: it can be gone through again and again, has a length, and prints as
/// `dict_items([...])`.
#[derive(Debug)]
pub(super) struct View {
    name: &'static str,
    items: Vec<Value>,
}

impl View {
    pub(super) fn value(name: &'static str, items: Vec<Value>) -> Value {
        Value::from_object(Self { name, items })
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|view| Box::new(view.items.iter().cloned()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.name, self.items)
    }
}

/// Python's `str(value)`, paid for piece by piece as it is made.
pub(super) fn python_str(state: &State, value: &Value) -> std::result::Result<String, minijinja::Error> {
    Printer::new(state).print(value).map(|printer| printer.text)
}

/// At least the bytes of the text of `value`, 64 for each of its pieces and more for floats, which minijinja writes at
/// length.
pub(super) fn max_text_len(state: &State, value: &Value) -> std::result::Result<usize, minijinja::Error> {
    Printer::new(state).print(value).map(|printer| printer.charged)
}

/// The text of a value in the making.
struct Printer<'s> {
    state: &'s State<'s, 's>,
    text: String,
    /// The bytes that are paid for.
    charged: usize,
}

impl<'s> Printer<'s> {
    fn new(state: &'s State<'s, 's>) -> Self {
        Self { state, text: String::new(), charged: 0 }
    }

    fn print(mut self, value: &Value) -> std::result::Result<Self, minijinja::Error> {
        match value.as_str() {
            Some(text) => self.push(text)?,
            None if value.is_undefined() => {}
            None => self.repr(value, MAX_WALK_DEPTH)?,
        }
        Ok(self)
    }

    fn charge(&mut self, len: usize) -> std::result::Result<(), minijinja::Error> {
        self.charged = self.charged.saturating_add(64).saturating_add(len);
        charge::bytes(self.state, len)
    }

    fn push(&mut self, piece: &str) -> std::result::Result<(), minijinja::Error> {
        self.charge(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }

    /// What is between two items is paid for with them, for each is a step at least.
    fn separate(&mut self, index: usize) {
        self.text.push_str(if index > 0 { ", " } else { "" });
    }

    /// Python's `repr(value)`: as minijinja has it but for floats and undefined items, which it writes its own way.
    fn repr(&mut self, value: &Value, depth_left: usize) -> std::result::Result<(), minijinja::Error> {
        match value.kind() {
            ValueKind::Number if !value.is_integer() => {
                self.charge(MAX_FLOAT_LEN)?;
                self.text
                    .push_str(&f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float_repr));
                Ok(())
            }
            ValueKind::Undefined => self.push("Undefined"),
            ValueKind::String => {
                // `\u{10ffff}` stands for four bytes, `\0` for one.
                self.charge(value.as_str().map_or(0, str::len) * 4 + 2)?;
                self.text.push_str(&format!("{value:?}"));
                Ok(())
            }
            ValueKind::Map => {
                let depth_left = charge::one_less(depth_left)?;
                self.push("{")?;
                for (index, key) in value.try_iter()?.enumerate() {
                    self.separate(index);
                    self.repr(&key, depth_left)?;
                    self.push(": ")?;
                    self.repr(&value.get_item(&key).unwrap_or_default(), depth_left)?;
                }
                self.push("}")
            }
            ValueKind::Seq | ValueKind::Iterable if value.len().is_some() => {
                let depth_left = charge::one_less(depth_left)?;
                let view = value.downcast_object_ref::<View>();
                let (open, close) = match (view, value.is_tuple(), value.len()) {
                    (Some(_), ..) => ("([", "])"),
                    (None, true, Some(1)) => ("(", ",)"),
                    (None, true, _) => ("(", ")"),
                    (None, false, _) => ("[", "]"),
                };
                self.push(view.map_or("", |view| view.name))?;
                self.push(open)?;
                for (index, item) in value.try_iter()?.enumerate() {
                    self.separate(index);
                    self.repr(&item, depth_left)?;
                }
                self.push(close)
            }
            _ => self.push(&format!("{value:?}")),
        }
    }
}
