//! A conversation with one model: the prompt goes in, in chunks, then a token comes out per step.
//!
//! The caller drives: each [`Session::step`] does one chunk of the prompt or one token and returns, so that
//! stopping is a matter of not calling again. The KV cache outlives a request, and the next one evaluates only
//! what follows the longest beginning that both share.

use crate::model::{KvCache, Llama, Logits};
use crate::sampler::{Sampler, SamplerOptions};
use crate::tokenizer::{Tokenizer, WholeChars};
use crate::{Error, ErrorKind, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;
use web_time::{Duration, Instant};

/// Prompt tokens evaluated per step. A step is what a cancel may have to wait for.
pub(crate) const PREFILL_CHUNK: usize = 32;

/// What a model draws beside the tokens that end an answer is text to whoever asked: tool calls begin with special
/// tokens in some families.
const SKIP_SPECIAL: bool = false;

/// A model, its context, and the request in progress.
pub struct Session {
    llama: Llama,
    tokenizer: Arc<Tokenizer>,
    cache: KvCache,
    /// The tokens whose keys and values `cache` holds.
    cached: Vec<u32>,
    generation: Option<Generation>,
}

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The prompt's token ids, special tokens and all.
    pub prompt: Vec<u32>,
    /// How many tokens to generate at most; `None` until the context is full.
    pub max_tokens: Option<usize>,
    pub sampler: SamplerOptions,
    /// Never draw an end-of-generation token.
    pub ignore_eos: bool,
    /// Reuse what the cache holds of the prompt's beginning.
    pub cache_prompt: bool,
}

/// What one step brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `done` of the prompt's `total` tokens are evaluated, those found in the cache included.
    Prefill { done: usize, total: usize },
    /// A token was drawn. `text` holds the characters it completes, possibly none.
    Token { id: u32, text: String },
    /// The answer is complete. `text` holds what a last, incomplete character leaves: U+FFFD, or nothing.
    Finished { reason: FinishReason, text: String, timings: Timings },
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model drew an end-of-generation token.
    Stop,
    /// `max_tokens` are generated, or the context is full.
    Length,
}

/// Token counts and the time spent on them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Prompt tokens evaluated.
    pub prompt_n: usize,
    /// Time spent on them.
    pub prompt: Duration,
    /// Tokens generated.
    pub predicted_n: usize,
    /// Time spent on them.
    pub predicted: Duration,
    /// Prompt tokens found in the cache.
    pub cache_n: usize,
}

struct Generation {
    request: Request,
    sampler: Sampler,
    chars: WholeChars,
    timings: Timings,
    /// Prompt tokens in the cache.
    prefilled: usize,
    next: Next,
}

/// What the next step begins with.
enum Next {
    /// More of the prompt.
    Prefill,
    /// A draw from the prompt's last logits, `(n_vocab)`.
    Draw(Tensor),
    /// The last token drawn, which the model has not seen yet.
    Forward(u32),
    /// Nothing: the answer is complete.
    Finish,
}

impl Session {
    /// An empty context of `n_ctx` tokens.
    ///
    /// # Errors
    /// `invalid_request` if `n_ctx` is 0 or more than the model was trained on.
    pub fn new(llama: Llama, tokenizer: Arc<Tokenizer>, n_ctx: usize) -> Result<Self> {
        let n_ctx = llama.config().n_ctx(Some(n_ctx))?;
        let cache = KvCache::new(llama.config(), n_ctx)?;
        Ok(Self { llama, tokenizer, cache, cached: Vec::new(), generation: None })
    }

    /// The model.
    pub fn llama(&self) -> &Llama {
        &self.llama
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens that the context holds at most.
    pub fn n_ctx(&self) -> usize {
        self.cache.n_ctx()
    }

    /// Begins `request`, in place of the one in progress, if any.
    ///
    /// # Errors
    /// `invalid_request` for an empty prompt or a setting out of range; `context_length_exceeded` if the prompt
    /// leaves no room for an answer. The session is as before then.
    pub fn start(&mut self, request: Request) -> Result<()> {
        if request.prompt.is_empty() {
            return Err(Error::invalid_request("the prompt should have at least one token"));
        }
        if request.max_tokens == Some(0) {
            return Err(Error::invalid_request("`max_tokens` should be at least 1, got 0"));
        }
        let (n_prompt, n_ctx) = (request.prompt.len(), self.n_ctx());
        if n_prompt >= n_ctx {
            return Err(Error::new(
                ErrorKind::ContextLengthExceeded,
                format!(
                    "the prompt has {n_prompt} tokens; a context of {n_ctx} leaves no room for an answer"
                ),
            ));
        }
        let sampler = Sampler::new(&request.sampler)?;

        let shared = if request.cache_prompt { shared_prefix(&self.cached, &request.prompt) } else { 0 };
        let prefilled = shared.min(n_prompt - 1); // the last token's logits are needed
        self.cache.truncate(prefilled);
        self.cached.truncate(prefilled);
        self.generation = Some(Generation {
            sampler,
            chars: WholeChars::default(),
            timings: Timings { cache_n: prefilled, prompt_n: n_prompt - prefilled, ..Default::default() },
            prefilled,
            next: Next::Prefill,
            request,
        });
        Ok(())
    }

    /// Ends the request in progress, if any. What the cache holds stays for the next one.
    pub fn cancel(&mut self) {
        self.generation = None;
    }

    /// One chunk of the prompt, one token, or the end of the answer. After an error the request is over.
    ///
    /// # Errors
    /// `invalid_request` if no request is in progress, or for a token id outside the vocabulary.
    pub fn step(&mut self) -> Result<Step> {
        let Some(mut generation) = self.generation.take() else {
            return Err(Error::invalid_request("no request is in progress"));
        };
        let step = self.advance(&mut generation)?;
        if !matches!(step, Step::Finished { .. }) {
            self.generation = Some(generation);
        }
        Ok(step)
    }

    fn advance(&mut self, generation: &mut Generation) -> Result<Step> {
        let begun = Instant::now();
        let logits = match std::mem::replace(&mut generation.next, Next::Finish) {
            Next::Finish => return Ok(generation.finished(FinishReason::Length)),
            Next::Prefill => {
                let total = generation.request.prompt.len();
                let done = total.min(generation.prefilled + PREFILL_CHUNK);
                let logits = self.forward(&generation.request.prompt[generation.prefilled..done])?;
                generation.prefilled = done;
                generation.next = if done == total { Next::Draw(logits) } else { Next::Prefill };
                generation.timings.prompt += begun.elapsed();
                return Ok(Step::Prefill { done, total });
            }
            Next::Draw(logits) => logits,
            Next::Forward(id) => self.forward(&[id])?,
        };

        let logits = if generation.request.ignore_eos { self.without_eog(logits)? } else { logits };
        let id = generation.sampler.sample(&logits)?;
        if self.tokenizer.is_eog(id) {
            generation.timings.predicted += begun.elapsed();
            return Ok(generation.finished(FinishReason::Stop));
        }
        let text = generation.chars.push(&self.tokenizer.piece(id, SKIP_SPECIAL)?);
        generation.timings.predicted_n += 1;
        let n_used = generation.request.prompt.len() + generation.timings.predicted_n;
        let full = n_used >= self.n_ctx();
        let enough = generation.request.max_tokens.is_some_and(|max| generation.timings.predicted_n >= max);
        generation.next = if full || enough { Next::Finish } else { Next::Forward(id) };
        generation.timings.predicted += begun.elapsed();
        Ok(Step::Token { id, text })
    }

    /// The logits after `ids`, `(n_vocab)`.
    fn forward(&mut self, ids: &[u32]) -> Result<Tensor> {
        let logits = self.llama.forward(ids, &mut self.cache, Logits::Last)?; // (1, n_vocab)
        self.cached.extend_from_slice(ids);
        Ok(logits.squeeze(0)?)
    }

    fn without_eog(&self, logits: Tensor) -> Result<Tensor> {
        let mut logits = logits.to_vec1::<f32>()?;
        for id in self.tokenizer.eog() {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let n_vocab = logits.len();
        Ok(Tensor::from_vec(logits, n_vocab, &Device::Cpu)?)
    }
}

impl Generation {
    fn finished(&mut self, reason: FinishReason) -> Step {
        Step::Finished { reason, text: std::mem::take(&mut self.chars).finish(), timings: self.timings }
    }
}

/// How many tokens `a` and `b` have in common from the start.
fn shared_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
