//! From a file's bytes, as they arrive, to a model that can be asked.

use crate::chat::{ChatTemplate, DEFAULT_TEMPLATE};
use crate::gguf::{Header, Parser, Sink};
use crate::info::ModelInfo;
use crate::model::{Config, Llama, WeightsBuilder};
use crate::threads::Pool;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use std::sync::Arc;

/// A model being loaded: [`push`](Self::push) the file's bytes, then [`finish`](Self::finish).
pub struct Loader {
    parser: Parser,
    parts: Parts,
    pool: Arc<Pool>,
}

/// All that a file holds.
pub struct Loaded {
    /// What the file says of itself.
    pub info: ModelInfo,
    pub tokenizer: Arc<Tokenizer>,
    pub template: ChatTemplate,
    /// Why the file's own template does not compile, if so; `template` is the default one then. Such a model
    /// continues text all the same, and chats with a template that comes with the request.
    pub template_error: Option<Error>,
    pub llama: Llama,
    /// The threads that compute.
    pub pool: Arc<Pool>,
}

/// What has been made of the file so far; nothing before its header is complete.
#[derive(Default)]
struct Parts(Option<Begun>);

struct Begun {
    info: ModelInfo,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    template_error: Option<Error>,
    weights: WeightsBuilder,
}

impl Loader {
    /// A loader before the first byte, of a model that computes on the calling thread.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::with_pool(Arc::new(Pool::single()))
    }

    /// A loader before the first byte, of a model that computes on `pool`.
    pub fn with_pool(pool: Arc<Pool>) -> Self {
        Self { parser: Parser::new(), parts: Parts::default(), pool }
    }

    /// Takes the next bytes of the file. A file that cannot be run is refused as soon as its header is complete.
    ///
    /// # Errors
    /// `invalid_model`, `unsupported_model`, `out_of_memory`.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.parser.push(bytes, &mut self.parts)
    }

    /// The file's header, once it is complete.
    pub fn header(&self) -> Option<&Header> {
        self.parser.header()
    }

    /// The model, when the file has ended.
    ///
    /// # Errors
    /// `invalid_model` if the file ended too early.
    pub fn finish(self) -> Result<Loaded> {
        self.parser.finish()?;
        let Some(Begun { info, tokenizer, template, template_error, weights }) = self.parts.0 else {
            return Err(Error::internal("the header was never handed on"));
        };
        let (tokenizer, llama) = (Arc::new(tokenizer), weights.finish(Arc::clone(&self.pool))?);
        Ok(Loaded { info, tokenizer, template, template_error, llama, pool: self.pool })
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

impl Sink for Parts {
    fn header(&mut self, header: &Header) -> Result<()> {
        let config = Config::from_metadata(&header.metadata)?;
        let weights = WeightsBuilder::new(config, header.tensors.clone())?;
        let tokenizer = Tokenizer::from_metadata(&header.metadata)?;
        let (template, template_error) = chat_template(header, &tokenizer)?;
        let info = ModelInfo::from_header(header)?;
        self.0 = Some(Begun { info, tokenizer, template, template_error, weights });
        Ok(())
    }

    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        match &mut self.0 {
            Some(begun) => begun.weights.tensor_data(index, at, bytes),
            None => Err(Error::internal("tensor data came before the header")),
        }
    }
}
