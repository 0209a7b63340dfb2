//! The header, read item by item as it arrives: counts, metadata, tensor directory.
//!
//! ```text
//! "GGUF" | version u32 | n_tensors u64 | n_pairs u64                                  all little-endian
//! n_pairs times:   key string | value type u32 | value
//! n_tensors times: name string | n_dims u32 | dims u64 * n_dims, innermost first | type u32 | offset u64
//!
//! string: length u64 | bytes
//! array:  element type u32 | length u64 | elements
//! ```
//!
//! The length of every item is known before it comes: it is a number, or the bytes of a string whose length was
//! the item before. So [`HeaderReader`] can stop between any two bytes of the file. An item that lies whole in a
//! chunk is read in place; only one that is cut is copied.

use super::limits::{
    MAX_ARRAY_DEPTH, MAX_ARRAY_LEN, MAX_DIMS, MAX_HEADER_LEN, MAX_KEY_LEN, MAX_METADATA_PAIRS,
    MAX_STRING_LEN, MAX_TENSOR_NAME_LEN, MAX_TENSORS,
};
use super::metadata::ValueType;
use super::{Array, Metadata, TensorInfo, Value};
use crate::{Error, Result};
use std::mem;

/// Cuts the file into items and has [`Fields`] read them.
#[derive(Debug, Default)]
pub(super) struct HeaderReader {
    items: Items,
    fields: Fields,
}

impl HeaderReader {
    /// Takes from `bytes` what belongs to the header. Gives its fields once all are there.
    pub(super) fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Fields>> {
        while let Some(len) = self.fields.expect.len() {
            if self.items.begin + len as u64 > MAX_HEADER_LEN {
                let place = self.fields.place();
                return Err(Error::invalid_model(format!(
                    "the header should have at most {MAX_HEADER_LEN} bytes, but goes on in {place}"
                )));
            }
            let Some(item) = self.items.next(len, bytes) else { return Ok(None) };
            self.fields.expect = self.fields.read(item)?;
        }
        Ok(Some(mem::take(&mut self.fields)))
    }

    /// How many bytes it has taken.
    pub(super) fn len(&self) -> u64 {
        self.items.begin + self.items.cut.len() as u64
    }

    /// What is being read, for errors.
    pub(super) fn place(&self) -> String {
        self.fields.place()
    }
}

/// The bytes that have arrived, as items.
#[derive(Debug, Default)]
struct Items {
    /// Where the next item begins, in bytes from the start of the file.
    begin: u64,
    /// What has arrived of the next item, if it is cut.
    cut: Vec<u8>,
    /// The last item that was cut.
    whole: Vec<u8>,
}

impl Items {
    /// The next item, of `len` bytes. If `bytes` ends before it does, all of `bytes` is kept for the next call.
    fn next<'a, 'b: 'a>(&'a mut self, len: usize, bytes: &mut &'b [u8]) -> Option<&'a [u8]> {
        if self.cut.is_empty()
            && let Some((item, rest)) = bytes.split_at_checked(len)
        {
            *bytes = rest;
            self.begin += len as u64;
            return Some(item);
        }
        let missing = len - self.cut.len();
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        self.cut.extend_from_slice(head);
        *bytes = rest;
        if head.len() < missing {
            return None;
        }
        mem::swap(&mut self.cut, &mut self.whole);
        self.cut.clear();
        self.begin += len as u64;
        Some(&self.whole)
    }
}

/// What the next item is.
#[derive(Debug, Clone, Copy, Default)]
enum Expect {
    #[default]
    Magic,
    Version,
    Counts,
    KeyLen,
    Key(usize),
    ValueType,
    /// A number or bool, and how many bytes it takes.
    Scalar(ValueType, usize),
    StringLen,
    String(usize),
    ArrayHead,
    NameLen,
    Name(usize),
    DimCount,
    /// Shape, type and offset of a tensor with so many dimensions.
    Tensor(usize),
    Nothing,
}

impl Expect {
    /// The item's length in bytes, if there is an item.
    fn len(self) -> Option<usize> {
        match self {
            Self::Magic | Self::Version | Self::ValueType | Self::DimCount => Some(4),
            Self::KeyLen | Self::StringLen | Self::NameLen => Some(8),
            Self::Counts => Some(8 + 8),
            Self::ArrayHead => Some(4 + 8),
            Self::Key(len) | Self::String(len) | Self::Name(len) | Self::Scalar(_, len) => Some(len),
            Self::Tensor(n_dims) => Some(8 * n_dims + 4 + 8),
            Self::Nothing => None,
        }
    }

    /// The first item of a value.
    fn value(value_type: ValueType) -> Self {
        match value_type {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Self::Scalar(value_type, 1),
            ValueType::U16 | ValueType::I16 => Self::Scalar(value_type, 2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Self::Scalar(value_type, 4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Self::Scalar(value_type, 8),
            ValueType::String => Self::StringLen,
            ValueType::Array => Self::ArrayHead,
        }
    }
}

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorInfo>,
    n_pairs: usize,
    n_tensors: usize,
    expect: Expect,
    /// The key of the value that is being read.
    key: String,
    /// The arrays that are being read, outermost first.
    arrays: Vec<OpenArray>,
    /// The name of the tensor that is being read.
    name: String,
}

/// An array whose elements are arriving.
#[derive(Debug)]
struct OpenArray {
    element: ValueType,
    len: usize,
    n_read: usize,
    values: Array,
}

impl Fields {
    /// Reads the item that is expected and says what to expect next.
    fn read(&mut self, item: &[u8]) -> Result<Expect> {
        match self.expect {
            Expect::Magic if item == b"GGUF" => Ok(Expect::Version),
            Expect::Magic => Err(Error::invalid_model(format!(
                "the file should begin with `GGUF`, but begins with `{}`",
                item.escape_ascii()
            ))),
            Expect::Version => {
                self.version = version(uint(item) as u32)?;
                Ok(Expect::Counts)
            }
            Expect::Counts => {
                let (n_tensors, n_pairs) = item.split_at(8);
                self.n_tensors = at_most(MAX_TENSORS, "tensors", n_tensors, || "the file".to_owned())?;
                self.n_pairs =
                    at_most(MAX_METADATA_PAIRS, "metadata pairs", n_pairs, || "the file".to_owned())?;
                Ok(self.next_pair())
            }
            Expect::KeyLen => self.name_len(MAX_KEY_LEN, item).map(Expect::Key),
            Expect::Key(_) => {
                self.key = self.utf8(item)?;
                Ok(Expect::ValueType)
            }
            Expect::ValueType => value_type(item, || self.place()).map(Expect::value),
            Expect::Scalar(value_type, _) => {
                let value = self.scalar(value_type, uint(item))?;
                self.put(value)
            }
            Expect::StringLen => at_most(MAX_STRING_LEN, "bytes", item, || self.place()).map(Expect::String),
            Expect::String(_) => {
                let value = Value::String(self.utf8(item)?);
                self.put(value)
            }
            Expect::ArrayHead => self.open_array(item),
            Expect::NameLen => self.name_len(MAX_TENSOR_NAME_LEN, item).map(Expect::Name),
            Expect::Name(_) => {
                self.name = self.utf8(item)?;
                Ok(Expect::DimCount)
            }
            Expect::DimCount => match uint(item) {
                n_dims @ 1..=MAX_DIMS => Ok(Expect::Tensor(n_dims as usize)),
                n_dims => Err(Error::invalid_model(format!(
                    "{} should have 1 to {MAX_DIMS} dimensions, but has {n_dims}",
                    self.place()
                ))),
            },
            Expect::Tensor(n_dims) => {
                let (dims, rest) = item.split_at(8 * n_dims);
                let (type_id, offset) = rest.split_at(4);
                let dims = dims.chunks_exact(8).map(uint).collect();
                let name = mem::take(&mut self.name);
                self.tensors.push(TensorInfo::new(name, dims, uint(type_id) as u32, uint(offset))?);
                Ok(self.next_tensor())
            }
            Expect::Nothing => Ok(Expect::Nothing),
        }
    }

    fn next_pair(&self) -> Expect {
        if self.metadata.len() < self.n_pairs { Expect::KeyLen } else { self.next_tensor() }
    }

    fn next_tensor(&self) -> Expect {
        if self.tensors.len() < self.n_tensors { Expect::NameLen } else { Expect::Nothing }
    }

    /// The length of a key or a tensor's name.
    fn name_len(&self, max: u64, item: &[u8]) -> Result<usize> {
        match at_most(max, "bytes", item, || self.place())? {
            0 => Err(Error::invalid_model(format!("{} should not be empty", self.place()))),
            len => Ok(len),
        }
    }

    fn utf8(&self, item: &[u8]) -> Result<String> {
        match str::from_utf8(item) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Error::invalid_model(format!(
                "{} should be UTF-8, but is not at byte {}",
                self.place(),
                error.valid_up_to()
            ))),
        }
    }

    /// The value of a type of fixed length whose bits are the low ones of `bits`.
    fn scalar(&self, value_type: ValueType, bits: u64) -> Result<Value> {
        match value_type {
            ValueType::U8 => Ok(Value::U8(bits as u8)),
            ValueType::I8 => Ok(Value::I8(bits as i8)),
            ValueType::U16 => Ok(Value::U16(bits as u16)),
            ValueType::I16 => Ok(Value::I16(bits as i16)),
            ValueType::U32 => Ok(Value::U32(bits as u32)),
            ValueType::I32 => Ok(Value::I32(bits as i32)),
            ValueType::F32 => Ok(Value::F32(f32::from_bits(bits as u32))),
            ValueType::Bool if bits <= 1 => Ok(Value::Bool(bits == 1)),
            ValueType::Bool => {
                Err(Error::invalid_model(format!("{} should be a bool, 0 or 1, but is {bits}", self.place())))
            }
            ValueType::U64 => Ok(Value::U64(bits)),
            ValueType::I64 => Ok(Value::I64(bits as i64)),
            ValueType::F64 => Ok(Value::F64(f64::from_bits(bits))),
            ValueType::String | ValueType::Array => {
                Err(Error::internal(format!("{} was read as a scalar", self.place())))
            }
        }
    }

    fn open_array(&mut self, item: &[u8]) -> Result<Expect> {
        let (element, len) = item.split_at(4);
        let element = value_type(element, || format!("each element of {}", self.place()))?;
        let len = at_most(MAX_ARRAY_LEN, "elements", len, || self.place())?;
        if self.arrays.len() == MAX_ARRAY_DEPTH {
            return Err(Error::invalid_model(format!(
                "{} should be at most {MAX_ARRAY_DEPTH} arrays deep, but is deeper",
                self.place()
            )));
        }
        let values = Array::empty(element);
        if len == 0 {
            return self.put(Value::Array(values));
        }
        self.arrays.push(OpenArray { element, len, n_read: 0, values });
        Ok(Expect::value(element))
    }

    /// Puts a complete value where it belongs: into the innermost open array, or under the key.
    fn put(&mut self, mut value: Value) -> Result<Expect> {
        while let Some(array) = self.arrays.last_mut() {
            array.values.push(value)?;
            array.n_read += 1;
            if array.n_read < array.len {
                return Ok(Expect::value(array.element));
            }
            value = Value::Array(mem::replace(&mut array.values, Array::empty(array.element)));
            self.arrays.pop();
        }
        self.metadata.insert(mem::take(&mut self.key), value)?;
        Ok(self.next_pair())
    }

    /// What is being read, for errors.
    fn place(&self) -> String {
        match self.expect {
            Expect::Magic => "the magic".to_owned(),
            Expect::Version => "the version".to_owned(),
            Expect::Counts => "the counts of tensors and metadata pairs".to_owned(),
            Expect::KeyLen | Expect::Key(_) => {
                format!("metadata key {} of {}", self.metadata.len() + 1, self.n_pairs)
            }
            Expect::ValueType
            | Expect::Scalar(..)
            | Expect::StringLen
            | Expect::String(_)
            | Expect::ArrayHead => {
                let indices: String = self.arrays.iter().map(|array| format!("[{}]", array.n_read)).collect();
                format!("metadata value `{}{indices}`", self.key)
            }
            Expect::NameLen | Expect::Name(_) => {
                format!("the name of tensor {} of {}", self.tensors.len() + 1, self.n_tensors)
            }
            Expect::DimCount | Expect::Tensor(_) => format!("tensor `{}`", self.name),
            Expect::Nothing => "the end of the header".to_owned(),
        }
    }
}

/// The unsigned number in `item`, of at most eight bytes, little-endian.
fn uint(item: &[u8]) -> u64 {
    item.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The number in `item`, if `place` may have so many `things`.
fn at_most(max: u64, things: &str, item: &[u8], place: impl FnOnce() -> String) -> Result<usize> {
    match uint(item) {
        // Every limit fits in 32 bits.
        number if number <= max => Ok(number as usize),
        number => Err(Error::invalid_model(format!(
            "{} should have at most {max} {things}, but has {number}",
            place()
        ))),
    }
}

/// The value type whose number is in `item`, that of `place`.
fn value_type(item: &[u8], place: impl FnOnce() -> String) -> Result<ValueType> {
    let id = uint(item) as u32;
    ValueType::from_id(id).ok_or_else(|| {
        Error::invalid_model(format!("{} should be of value type 0 to 12, but is of {id}", place()))
    })
}

fn version(version: u32) -> Result<u32> {
    match version {
        2 | 3 => Ok(version),
        // Byte-swapped, versions 1 to 65535 have two low bytes of zero.
        swapped if swapped != 0 && swapped & 0xffff == 0 => Err(Error::unsupported_model(
            "the file should be little-endian GGUF, but is big-endian".to_owned(),
        )),
        _ => Err(Error::unsupported_model(format!("the GGUF version should be 2 or 3, but is {version}"))),
    }
}
