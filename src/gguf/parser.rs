//! The push-parser: [`Parser::push`] takes the next bytes of the file and calls a [`Sink`] with what they complete.

use super::{Metadata, TensorInfo};
use crate::Result;

/// All that precedes the tensors' bytes.
#[derive(Debug, Clone)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    pub metadata: Metadata,
    /// In the file's order.
    pub tensors: Vec<TensorInfo>,
    /// Where the data section begins, in bytes from the start of the file.
    pub data_offset: u64,
    /// Where the last tensor ends: the length of the whole file, padding aside.
    pub file_len: u64,
}

/// Takes what the parser has read.
pub trait Sink {
    /// Called once, when the header is complete and checked.
    fn header(&mut self, header: &Header) -> Result<()>;
    /// Called with the tensors' bytes in the file's order of offsets: `bytes` begins at `at` within the tensor
    /// with this index in [`Header::tensors`]. A tensor is complete when `at + bytes.len() == n_bytes`.
    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()>;
}

/// A GGUF file being read.
#[derive(Debug)]
pub struct Parser {}

impl Parser {
    /// A parser before the first byte.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        unimplemented!("gguf: helper")
    }

    /// Takes the next bytes of the file, as many as there are. After an error the parser is of no more use.
    ///
    /// # Errors
    /// `invalid_model`, `unsupported_model` (version, big-endian), or what the sink returned.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let _ = (bytes, sink);
        unimplemented!("gguf: helper")
    }

    /// The header, once it is complete.
    pub fn header(&self) -> Option<&Header> {
        unimplemented!("gguf: helper")
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `invalid_model` if the header or a tensor is not complete.
    pub fn finish(self) -> Result<Header> {
        unimplemented!("gguf: helper")
    }
}
