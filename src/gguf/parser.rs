//! The push-parser: [`Parser::push`] takes the next bytes of the file and calls a [`Sink`] with what they complete.

use super::header::HeaderReader;
use super::layout::Layout;
use super::{Metadata, TensorInfo};
use crate::{Error, Result};

/// All that precedes the tensors' bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// The typed pairs.
    pub metadata: Metadata,
    /// In the file's order, which need not be the order of their offsets.
    pub tensors: Vec<TensorInfo>,
    /// Where the data section begins, in bytes from the start of the file.
    pub data_offset: u64,
    /// Where the last tensor ends: the length of the whole file, padding aside.
    pub file_len: u64,
}

/// Takes what the parser has read.
pub trait Sink {
    /// Called once, when the header is complete and checked.
    ///
    /// # Errors
    /// What [`Parser::push`] is to return; so for the other method.
    fn header(&mut self, header: &Header) -> Result<()>;

    /// Called with the tensors' bytes in the file's order of offsets: `bytes` begins at `at` within the tensor
    /// with this index in [`Header::tensors`]. A tensor is complete when `at + bytes.len() == n_bytes`.
    ///
    /// `bytes` is never empty and lies in the chunk that was pushed: nothing is copied or held back, so its
    /// ends fall where the chunks' ends fall, within a block or an element too.
    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()>;
}

/// A GGUF file being read.
#[derive(Debug)]
pub struct Parser {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Header(HeaderReader),
    Data(DataReader),
    Failed,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser before the first byte.
    pub fn new() -> Self {
        Self { stage: Stage::Header(HeaderReader::default()) }
    }

    /// Takes the next bytes of the file, as many as there are. After an error the parser is of no more use.
    ///
    /// Bytes between the tensors and after the last one are passed over, whatever they are: writers pad there.
    ///
    /// # Errors
    /// `invalid_model`, `unsupported_model` (version, big-endian, element type), or what the sink returned.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let result = self.advance(bytes, sink);
        if result.is_err() {
            self.stage = Stage::Failed;
        }
        result
    }

    fn advance(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<()> {
        if let Stage::Header(reader) = &mut self.stage {
            let Some(fields) = reader.push(&mut bytes)? else { return Ok(()) };
            let header_len = reader.len();
            let Layout { data_offset, file_len, order } =
                Layout::new(header_len, &fields.metadata, &fields.tensors)?;
            let (version, metadata, tensors) = (fields.version, fields.metadata, fields.tensors);
            let header = Header { version, metadata, tensors, data_offset, file_len };
            sink.header(&header)?;
            self.stage = Stage::Data(DataReader { header, order, n_complete: 0, pos: header_len });
        }
        match &mut self.stage {
            Stage::Data(reader) => reader.push(bytes, sink),
            _ => Err(Error::internal("a GGUF parser was used after it had failed")),
        }
    }

    /// The header, once it is complete.
    pub fn header(&self) -> Option<&Header> {
        match &self.stage {
            Stage::Data(reader) => Some(&reader.header),
            _ => None,
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `invalid_model` if the header or a tensor is not complete.
    pub fn finish(self) -> Result<Header> {
        match self.stage {
            Stage::Header(reader) => Err(Error::invalid_model(format!(
                "{} should be complete, but the file ends after {} bytes",
                reader.place(),
                reader.len()
            ))),
            Stage::Data(reader) => reader.finish(),
            Stage::Failed => Err(Error::internal("a GGUF parser was used after it had failed")),
        }
    }
}

/// The tensors' bytes being handed on.
#[derive(Debug)]
struct DataReader {
    header: Header,
    /// The tensors' indices in the order of their offsets.
    order: Vec<usize>,
    /// How many of them are complete.
    n_complete: usize,
    /// Where the next byte lies in the file.
    pos: u64,
}

impl DataReader {
    fn push(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<()> {
        while let Some((index, tensor)) = self.current() {
            let (begin, n_bytes) = (self.header.data_offset + tensor.offset, tensor.n_bytes);
            // Padding before the tensor.
            self.pass(&mut bytes, begin.saturating_sub(self.pos));
            if bytes.is_empty() {
                return Ok(());
            }
            let at = self.pos - begin;
            let part = self.pass(&mut bytes, n_bytes - at);
            sink.tensor_data(index, at, part)?;
            if self.pos == begin + n_bytes {
                self.n_complete += 1;
            }
        }
        self.pos += bytes.len() as u64;
        Ok(())
    }

    /// The first tensor that is not complete, with its index.
    fn current(&self) -> Option<(usize, &TensorInfo)> {
        let &index = self.order.get(self.n_complete)?;
        Some((index, self.header.tensors.get(index)?))
    }

    /// Takes the next `n` of `bytes`, or all of them if there are fewer.
    fn pass<'a>(&mut self, bytes: &mut &'a [u8], n: u64) -> &'a [u8] {
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        self.pos += n as u64;
        part
    }

    fn finish(self) -> Result<Header> {
        if let Some((_, tensor)) = self.current() {
            let got = self.pos.saturating_sub(self.header.data_offset + tensor.offset);
            return Err(Error::invalid_model(format!(
                "tensor `{}` should have {} bytes, but the file ends after its first {got}",
                tensor.name, tensor.n_bytes
            )));
        }
        Ok(self.header)
    }
}
