//! From the bytes of its files, as they arrive, to a model that can be asked; or, of a model that was loaded before, from
//! the files' headers and the packed weights.

use crate::chat::{ChatTemplate, DEFAULT_TEMPLATE};
use crate::gguf::{Header, Metadata, Parser, Sink, keys, limits};
use crate::info::ModelInfo;
use crate::model::{Config, KvType, Llama, MemoryNeed, WeightsBuilder};
use crate::threads::Pool;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use std::sync::Arc;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Tokens of context; see [`Config::n_ctx`].
    pub n_ctx: Option<usize>,
    /// How the context holds keys and values.
    pub kv_type: KvType,
    /// Bytes of memory that there can be. A model that needs more is refused by its header.
    pub memory_limit: Option<u64>,
    /// Of each file comes the header alone; the weights come by [`Loader::push_packed`].
    pub packed: bool,
}

/// A model being loaded: [`push`](Self::push) each file's bytes, [`next_file`](Self::next_file) between two, then
/// [`finish`](Self::finish). Nearly all models are one file.
pub struct Loader {
    parser: Parser,
    parts: Parts,
    pool: Arc<Pool>,
}

/// All that a model's files hold.
pub struct Loaded {
    /// What the file says of itself.
    pub info: ModelInfo,
    /// Text to token ids and back.
    pub tokenizer: Arc<Tokenizer>,
    /// Messages to prompt.
    pub template: ChatTemplate,
    /// Why the file's own template does not compile, if so; `template` is the default one then. Such a model
    /// continues text all the same, and chats with a template that comes with the request.
    pub template_error: Option<Error>,
    /// Token ids to logits.
    pub llama: Llama,
    /// Tokens of context.
    pub n_ctx: usize,
    /// How it holds keys and values.
    pub kv_type: KvType,
    /// The threads that compute.
    pub pool: Arc<Pool>,
}

/// What has been made of the files so far; nothing before the first header is complete.
#[derive(Default)]
struct Parts {
    options: LoadOptions,
    /// Files that have ended.
    n_done: usize,
    begun: Option<Begun>,
}

pub(crate) struct Begun {
    info: ModelInfo,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    template_error: Option<Error>,
    weights: WeightsBuilder,
    n_ctx: usize,
    need: MemoryNeed,
    pub(crate) split: Split,
}

impl Loader {
    /// A loader before the first byte, of a model that computes on the calling thread.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::with_options(LoadOptions::default(), Arc::new(Pool::single()))
    }

    /// A loader before the first byte, of a model that computes on `pool`.
    pub fn with_options(options: LoadOptions, pool: Arc<Pool>) -> Self {
        Self { parser: Parser::new(), parts: Parts { options, ..Parts::default() }, pool }
    }

    /// Takes the next bytes of the file. A file that cannot be run is refused as soon as its header is complete.
    ///
    /// # Errors
    /// `invalid_model`, `unsupported_model`, `out_of_memory`; `invalid_request` for a context that the model has not;
    /// `internal` for more than the header where [`packed`](LoadOptions::packed) says that no more comes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.parser.push(bytes, &mut self.parts)
    }

    /// Ends a file of several, and begins the next.
    ///
    /// # Errors
    /// `invalid_model` if the file ended too early, or is the last.
    pub fn next_file(&mut self) -> Result<()> {
        self.end_file()?;
        match &self.parts.begun {
            Some(Begun { split, .. }) if self.parts.n_done >= split.n_files => Err(Error::invalid_model(
                format!("the model should be {} files, but there is another", split.n_files),
            )),
            _ => Ok(()),
        }
    }

    /// The current file's header, once it is complete.
    pub fn header(&self) -> Option<&Header> {
        self.parser.header()
    }

    /// The first tensor that is complete and was not taken yet, as it lies packed in memory.
    pub fn take_packed(&mut self) -> Option<&[u8]> {
        self.parts.begun.as_mut()?.weights.take_packed()
    }

    /// Takes the next bytes of what [`take_packed`](Self::take_packed) gave another time, after all files' headers.
    ///
    /// # Errors
    /// `integrity_error` if there are too many, `out_of_memory`; `internal` before the header, or where
    /// [`packed`](LoadOptions::packed) does not announce them.
    pub fn push_packed(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.parts.begun {
            _ if !self.parts.options.packed => {
                Err(Error::internal("packed weights came to a loader without the option `packed`"))
            }
            Some(begun) => begun.weights.push_packed(bytes),
            None => Err(Error::internal("packed weights came before the header")),
        }
    }

    /// Bytes of all packed weights, once every header is complete.
    pub fn packed_bytes(&self) -> u64 {
        self.parts.begun.as_ref().map_or(0, |begun| begun.weights.packed_bytes())
    }

    /// The model, when the last file has ended.
    ///
    /// # Errors
    /// `invalid_model` if it ended too early, or is not the last.
    pub fn finish(mut self) -> Result<Loaded> {
        self.end_file()?;
        let Some(begun) = self.parts.begun else {
            return Err(Error::internal("the header was never handed on"));
        };
        let Begun { info, tokenizer, template, template_error, weights, n_ctx, split, .. } = begun;
        split.check_count(self.parts.n_done)?;
        let (tokenizer, llama) = (Arc::new(tokenizer), weights.finish(Arc::clone(&self.pool))?);
        Ok(Loaded {
            info,
            tokenizer,
            template,
            template_error,
            llama,
            n_ctx,
            kv_type: self.parts.options.kv_type,
            pool: self.pool,
        })
    }

    fn end_file(&mut self) -> Result<()> {
        let parser = std::mem::take(&mut self.parser);
        if !self.parts.options.packed || parser.header().is_none() {
            parser.finish()?;
        }
        self.parts.n_done += 1;
        Ok(())
    }
}

/// Of how many files a model is, and how many tensors they have together.
///
/// Source: `gguf-split` of llama.cpp.
pub(crate) struct Split {
    pub(crate) n_files: usize,
    n_tensors: usize,
}

impl Split {
    pub(crate) fn of(header: &Header) -> Result<Self> {
        let metadata = &header.metadata;
        if !metadata.contains(keys::SPLIT_COUNT) {
            return Ok(Self { n_files: 1, n_tensors: header.tensors.len() });
        }
        let n_tensors = metadata.u32(keys::SPLIT_TENSORS_COUNT)?;
        if u64::from(n_tensors) > limits::MAX_TENSORS {
            return Err(Error::invalid_model(format!(
                "`{}` should be at most {}, but is {n_tensors}",
                keys::SPLIT_TENSORS_COUNT,
                limits::MAX_TENSORS
            )));
        }
        let n_files = metadata.u32(keys::SPLIT_COUNT)?.max(1);
        Ok(Self { n_files: n_files as usize, n_tensors: n_tensors as usize })
    }

    /// Hands the directory of file `index` to `weights`. The last one's completes the tensors.
    fn list(&self, weights: &mut WeightsBuilder, header: &Header, index: usize) -> Result<()> {
        weights.begin_file(&header.tensors)?;
        if index + 1 == self.n_files { weights.check_count() } else { Ok(()) }
    }

    /// Checks that all of the model's files are among `n_files`.
    pub(crate) fn check_count(&self, n_files: usize) -> Result<()> {
        if n_files >= self.n_files {
            return Ok(());
        }
        Err(Error::invalid_model(format!(
            "the model should be {} files, but there are {n_files}",
            self.n_files
        )))
    }

    /// Checks that `metadata` is that of file `index` of this model.
    pub(crate) fn check(&self, metadata: &Metadata, index: usize) -> Result<()> {
        let (no, count) = match metadata.contains(keys::SPLIT_NO) {
            true => (metadata.u32(keys::SPLIT_NO)?, metadata.u32(keys::SPLIT_COUNT)?),
            false => (0, 1),
        };
        if (no as usize, count.max(1) as usize) == (index, self.n_files) {
            return Ok(());
        }
        Err(Error::invalid_model(format!(
            "the file should be part {} of {}, but is part {} of {count}",
            index + 1,
            self.n_files,
            u64::from(no) + 1
        )))
    }
}

/// The file's template, or the default one and why, with the texts of the special tokens that templates print.
fn chat_template(header: &Header, tokenizer: &Tokenizer) -> Result<(ChatTemplate, Option<Error>)> {
    let tokens = [
        ("bos_token", tokenizer.bos()),
        ("eos_token", tokenizer.eos()),
        ("unk_token", tokenizer.unk()),
        ("pad_token", tokenizer.pad()),
    ];
    let (template, error) = match ChatTemplate::from_metadata(&header.metadata) {
        Ok(template) => (template, None),
        Err(error) => (ChatTemplate::new(DEFAULT_TEMPLATE)?, Some(error)),
    };
    let template = tokens.into_iter().fold(template, |template, (name, id)| {
        match id.and_then(|id| tokenizer.token_text(id)) {
            Some(text) => template.with_variable(name, text),
            None => template,
        }
    });
    Ok((template, error))
}

impl Begun {
    /// All that can be made of the first header, and checked by it.
    pub(crate) fn new(header: &Header, options: &LoadOptions) -> Result<Self> {
        // First, as only the first file of a split model has more metadata than its place.
        let split = Split::of(header)?;
        split.check(&header.metadata, 0)?;
        let config = Config::from_metadata(&header.metadata)?;
        let n_ctx = config.n_ctx(options.n_ctx)?;
        let need = MemoryNeed::new(&config, &header.tensors, header.data_offset, n_ctx, options.kv_type);
        let mut weights = WeightsBuilder::new(config, split.n_tensors)?;
        split.list(&mut weights, header, 0)?;
        // Now that all that it counts is known to be there.
        need.check(options.memory_limit)?;
        let tokenizer = Tokenizer::from_metadata(&header.metadata)?;
        let (template, template_error) = chat_template(header, &tokenizer)?;
        let info = ModelInfo::from_header(header)?;
        Ok(Self { info, tokenizer, template, template_error, weights, n_ctx, need, split })
    }

    /// Adds the header of file `index`, which is the next.
    pub(crate) fn begin_file(&mut self, header: &Header, index: usize, options: &LoadOptions) -> Result<()> {
        self.split.check(&header.metadata, index)?;
        self.split.list(&mut self.weights, header, index)?;
        self.info.add_tensors(&header.tensors)?;
        self.need.weights = self.weights.packed_bytes();
        self.need.check(options.memory_limit)
    }
}

impl Sink for Parts {
    fn header(&mut self, header: &Header) -> Result<()> {
        match &mut self.begun {
            Some(begun) => begun.begin_file(header, self.n_done, &self.options),
            none => {
                *none = Some(Begun::new(header, &self.options)?);
                Ok(())
            }
        }
    }

    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        match &mut self.begun {
            _ if self.options.packed => {
                Err(Error::internal("tensor data came to a loader with the option `packed`"))
            }
            Some(begun) => begun.weights.tensor_data(index, at, bytes),
            None => Err(Error::internal("tensor data came before the header")),
        }
    }
}
