//! The typed key-value pairs of a GGUF file, in the file's order.

use crate::{Error, Result};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One metadata value, with the type the file gave it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are GGUF's own")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A metadata array. All elements have one type, so a vocabulary of 128 256 strings is one `Vec<String>`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are GGUF's own")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(Vec<String>),
    Array(Vec<Array>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

/// The metadata of a file: typed values by key, iterated in the file's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    by_key: HashMap<String, usize>,
}

/// `metadata.u32(key)?` reads a key that must be there; `metadata.contains(key)` asks first.
impl Metadata {
    /// Adds `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is there already.
    pub fn insert(&mut self, key: String, value: Value) -> Result<()> {
        match self.by_key.entry(key) {
            Entry::Occupied(entry) => {
                Err(Error::invalid_model(format!("metadata key `{}` occurs twice", entry.key())))
            }
            Entry::Vacant(entry) => {
                self.entries.push((entry.key().clone(), value));
                entry.insert(self.entries.len() - 1);
                Ok(())
            }
        }
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` is there, of whatever type.
    pub fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The value of `key`, of whatever type.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.by_key.get(key).map(|&index| &self.entries[index].1)
    }

    /// The pairs in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The string under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn str(&self, key: &str) -> Result<&str> {
        match self.require(key)? {
            Value::String(value) => Ok(value),
            other => Err(wrong_type(key, "string", other)),
        }
    }

    /// The integer under `key` if it is in 0..2^32, whatever its width: writers differ in the width they choose.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing, holds no integer, or one that does not fit.
    pub fn u32(&self, key: &str) -> Result<u32> {
        let wide = self.integer(key)?;
        u32::try_from(wide).map_err(|_| {
            Error::invalid_model(format!("metadata key `{key}` should be in 0..2^32, but is {wide}"))
        })
    }

    /// The integer under `key`, of any width.
    pub(crate) fn integer(&self, key: &str) -> Result<i128> {
        Ok(match *self.require(key)? {
            Value::U8(v) => v.into(),
            Value::I8(v) => v.into(),
            Value::U16(v) => v.into(),
            Value::I16(v) => v.into(),
            Value::U32(v) => v.into(),
            Value::I32(v) => v.into(),
            Value::U64(v) => v.into(),
            Value::I64(v) => v.into(),
            ref other => return Err(wrong_type(key, "u32", other)),
        })
    }

    /// The floating-point number under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn f32(&self, key: &str) -> Result<f32> {
        match *self.require(key)? {
            Value::F32(value) => Ok(value),
            Value::F64(value) => Ok(value as f32),
            ref other => Err(wrong_type(key, "f32", other)),
        }
    }

    /// The boolean under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn bool(&self, key: &str) -> Result<bool> {
        match *self.require(key)? {
            Value::Bool(value) => Ok(value),
            ref other => Err(wrong_type(key, "bool", other)),
        }
    }

    /// The array of strings under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn strings(&self, key: &str) -> Result<&[String]> {
        match self.require(key)? {
            Value::Array(Array::String(values)) => Ok(values),
            other => Err(wrong_type(key, "array of string", other)),
        }
    }

    /// The array of 32-bit floats under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn f32s(&self, key: &str) -> Result<&[f32]> {
        match self.require(key)? {
            Value::Array(Array::F32(values)) => Ok(values),
            other => Err(wrong_type(key, "array of f32", other)),
        }
    }

    /// The array of 32-bit signed integers under `key`.
    ///
    /// # Errors
    /// `invalid_model` if the key is missing or holds another type.
    pub fn i32s(&self, key: &str) -> Result<&[i32]> {
        match self.require(key)? {
            Value::Array(Array::I32(values)) => Ok(values),
            other => Err(wrong_type(key, "array of i32", other)),
        }
    }

    fn require(&self, key: &str) -> Result<&Value> {
        self.get(key).ok_or_else(|| Error::invalid_model(format!("metadata key `{key}` is missing")))
    }
}

fn wrong_type(key: &str, expected: &str, got: &Value) -> Error {
    Error::invalid_model(format!(
        "metadata key `{key}` should be of type {expected}, but is {}",
        got.type_name()
    ))
}

impl Value {
    /// The format's name of the value's type: `u32`, `string`, `array of f32`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::F32(_) => "f32",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F64(_) => "f64",
            Self::Array(array) => match array {
                Array::U8(_) => "array of u8",
                Array::I8(_) => "array of i8",
                Array::U16(_) => "array of u16",
                Array::I16(_) => "array of i16",
                Array::U32(_) => "array of u32",
                Array::I32(_) => "array of i32",
                Array::F32(_) => "array of f32",
                Array::Bool(_) => "array of bool",
                Array::String(_) => "array of string",
                Array::Array(_) => "array of arrays",
                Array::U64(_) => "array of u64",
                Array::I64(_) => "array of i64",
                Array::F64(_) => "array of f64",
            },
        }
    }
}

/// The type of a value, as the file numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    /// The type with the file's number `id`, if there is one.
    pub(super) fn from_id(id: u32) -> Option<Self> {
        match id {
            0 => Some(Self::U8),
            1 => Some(Self::I8),
            2 => Some(Self::U16),
            3 => Some(Self::I16),
            4 => Some(Self::U32),
            5 => Some(Self::I32),
            6 => Some(Self::F32),
            7 => Some(Self::Bool),
            8 => Some(Self::String),
            9 => Some(Self::Array),
            10 => Some(Self::U64),
            11 => Some(Self::I64),
            12 => Some(Self::F64),
            _ => None,
        }
    }
}

impl Array {
    /// The array of no elements of type `element`.
    pub(super) fn empty(element: ValueType) -> Self {
        match element {
            ValueType::U8 => Self::U8(Vec::new()),
            ValueType::I8 => Self::I8(Vec::new()),
            ValueType::U16 => Self::U16(Vec::new()),
            ValueType::I16 => Self::I16(Vec::new()),
            ValueType::U32 => Self::U32(Vec::new()),
            ValueType::I32 => Self::I32(Vec::new()),
            ValueType::F32 => Self::F32(Vec::new()),
            ValueType::Bool => Self::Bool(Vec::new()),
            ValueType::String => Self::String(Vec::new()),
            ValueType::Array => Self::Array(Vec::new()),
            ValueType::U64 => Self::U64(Vec::new()),
            ValueType::I64 => Self::I64(Vec::new()),
            ValueType::F64 => Self::F64(Vec::new()),
        }
    }

    /// How many elements there are.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::String(values) => values.len(),
            Self::Array(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// The elements, if they are integers, of any width.
    pub(crate) fn integers(&self) -> Option<Vec<i128>> {
        fn wide<T: Copy + Into<i128>>(values: &[T]) -> Option<Vec<i128>> {
            Some(values.iter().map(|&value| value.into()).collect())
        }
        match self {
            Self::U8(values) => wide(values),
            Self::I8(values) => wide(values),
            Self::U16(values) => wide(values),
            Self::I16(values) => wide(values),
            Self::U32(values) => wide(values),
            Self::I32(values) => wide(values),
            Self::U64(values) => wide(values),
            Self::I64(values) => wide(values),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    /// Appends `element`.
    ///
    /// # Errors
    /// `internal` if it is not of the array's type.
    pub(super) fn push(&mut self, element: Value) -> Result<()> {
        match (self, element) {
            (Self::U8(values), Value::U8(value)) => values.push(value),
            (Self::I8(values), Value::I8(value)) => values.push(value),
            (Self::U16(values), Value::U16(value)) => values.push(value),
            (Self::I16(values), Value::I16(value)) => values.push(value),
            (Self::U32(values), Value::U32(value)) => values.push(value),
            (Self::I32(values), Value::I32(value)) => values.push(value),
            (Self::F32(values), Value::F32(value)) => values.push(value),
            (Self::Bool(values), Value::Bool(value)) => values.push(value),
            (Self::String(values), Value::String(value)) => values.push(value),
            (Self::Array(values), Value::Array(value)) => values.push(value),
            (Self::U64(values), Value::U64(value)) => values.push(value),
            (Self::I64(values), Value::I64(value)) => values.push(value),
            (Self::F64(values), Value::F64(value)) => values.push(value),
            (_, element) => {
                let got = element.type_name();
                return Err(Error::internal(format!("a metadata array was given an element of type {got}")));
            }
        }
        Ok(())
    }
}
