//! What can be told of a model before it is loaded: by the headers of its files, the first megabytes.

use crate::gguf::{Header, Parser, Sink};
use crate::info::ModelInfo;
use crate::load::{Begun, LoadOptions, Split};
use crate::model::{Config, MemoryNeed};
use crate::{Error, Result};
use serde::Serialize;

/// What loading a model would bring. Serialized, it is what the npm package's `inspect` gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// What the files say of themselves.
    #[serde(flatten)]
    pub info: ModelInfo,
    /// Bytes of all files.
    pub file_bytes: u64,
    /// Tokens of context that `memory` is for.
    pub context_length: Option<usize>,
    /// What it would need; nothing where the architecture is not known.
    pub memory: Option<MemoryNeed>,
    /// What loading would be refused with.
    pub problem: Option<Problem>,
}

/// An error, told ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The name of its kind.
    pub code: &'static str,
    /// Its words.
    pub message: String,
}

/// A model being looked at: [`push`](Self::push) the beginning of each file until its header is complete, then
/// [`finish`](Self::finish).
#[derive(Default)]
pub struct Inspector {
    parser: Parser,
    /// Whether a file has begun whose header is not complete.
    is_inside: bool,
    headers: Headers,
}

/// Of each file so far.
#[derive(Default)]
struct Headers(Vec<Header>);

impl Inspector {
    /// An inspector before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of a file; whether its header is complete. What comes then is the next file's.
    ///
    /// # Errors
    /// `invalid_model`, `unsupported_model` for what is no GGUF file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool> {
        self.is_inside = true;
        self.parser.push(bytes, &mut self.headers)?;
        if self.parser.header().is_none() {
            return Ok(false);
        }
        (self.parser, self.is_inside) = (Parser::new(), false);
        Ok(true)
    }

    /// How many files the model is, once the first header is complete.
    pub fn n_files(&self) -> Option<usize> {
        self.headers.0.first().and_then(|header| Split::of(header).ok()).map(|split| split.n_files)
    }

    /// What there is to tell.
    ///
    /// # Errors
    /// `invalid_model` if a header is incomplete or lacks what every model has, or the first file is another one's part.
    pub fn finish(self, options: &LoadOptions) -> Result<Inspection> {
        let (false, Some((first, rest))) = (self.is_inside, self.headers.0.split_first()) else {
            return Err(self.parser.finish().err().unwrap_or_else(|| Error::internal("no file was pushed")));
        };
        // Another than the first of a split model says nothing but which one it is.
        Split::of(first)?.check(&first.metadata, 0)?;
        let mut info = ModelInfo::from_header(first)?;
        let mut tensors = first.tensors.clone();
        for header in rest {
            info.add_tensors(&header.tensors)?;
            tensors.extend_from_slice(&header.tensors);
        }
        let config = Config::from_metadata(&first.metadata).ok();
        let n_ctx = config.as_ref().and_then(|config| config.n_ctx(options.n_ctx).ok());
        let memory = config.zip(n_ctx).map(|(config, n_ctx)| {
            MemoryNeed::new(&config, &tensors, first.data_offset, n_ctx, options.kv_type)
        });
        let problem = problem(first, rest, options).err();
        Ok(Inspection {
            info,
            file_bytes: self.headers.0.iter().map(|header| header.file_len).sum(),
            context_length: n_ctx,
            memory,
            problem: problem
                .map(|error| Problem { code: error.kind().code(), message: error.detail().to_owned() }),
        })
    }
}

/// What loading does with headers.
fn problem(first: &Header, rest: &[Header], options: &LoadOptions) -> Result<()> {
    let mut begun = Begun::new(first, options)?;
    for (i, header) in rest.iter().enumerate() {
        begun.begin_file(header, i + 1, options)?;
    }
    begun.split.check_count(1 + rest.len())
}

impl Sink for Headers {
    fn header(&mut self, header: &Header) -> Result<()> {
        self.0.push(header.clone());
        Ok(())
    }

    fn tensor_data(&mut self, _index: usize, _at: u64, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
