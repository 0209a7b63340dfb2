//! What a session holds: the tokens that a model has seen, with their keys and values. It can be cut, forked, shifted,
//! saved and restored.

mod saved;

pub use saved::{ModelHash, Restorer};

use crate::model::{Config, KvCache, KvType, Llama, Logits};
use crate::{Error, ErrorKind, Result};
use candle_core::Tensor;

/// Tokens, and their keys and values.
#[derive(Debug)]
pub struct Context {
    tokens: Vec<u32>,
    cache: KvCache,
    /// How many of the first tokens have seen just those before them: what a [`shift`](Self::shift) left has seen what
    /// is no longer there, too.
    n_exact: usize,
}

/// The fewest tokens that [`Context::shift`] must leave room for, as in llama.cpp's server.
const MIN_SHIFTED: usize = 4;

impl Context {
    /// An empty context of at most `n_ctx` tokens.
    ///
    /// # Errors
    /// `invalid_request` if `n_ctx` is 0 or more than the model was trained on.
    pub fn new(config: &Config, n_ctx: usize, kv_type: KvType) -> Result<Self> {
        let cache = KvCache::new(config, config.n_ctx(Some(n_ctx))?, kv_type);
        Ok(Self { tokens: Vec::new(), cache, n_exact: 0 })
    }

    /// Whether it is of a model of this shape, and as long and held as `other`.
    pub(crate) fn is_like(&self, other: &Self, config: &Config) -> bool {
        self.cache.is_of(config) && (self.n_ctx(), self.kv_type()) == (other.n_ctx(), other.kv_type())
    }

    /// The tokens held.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens that can be held at most.
    pub fn n_ctx(&self) -> usize {
        self.cache.n_ctx()
    }

    /// How keys and values are held.
    pub fn kv_type(&self) -> KvType {
        self.cache.kv_type()
    }

    /// Whether another token needs room made for it.
    pub fn is_full(&self) -> bool {
        self.tokens.len() >= self.n_ctx()
    }

    /// Another context with the same tokens, which shares their memory. What either adds or forgets is its own.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { tokens: self.tokens.clone(), cache: self.cache.fork(), n_exact: self.n_exact }
    }

    /// Forgets all but the first `n` tokens, and returns their memory; does nothing where fewer are held.
    pub fn truncate(&mut self, n: usize) {
        self.tokens.truncate(n);
        self.cache.truncate(n);
        self.n_exact = self.n_exact.min(n);
    }

    /// Forgets what is not the beginning of `prompt`, and tells how much of that is held then: not all of it, since the
    /// last token's logits are needed. With `reuse` false, nothing is.
    pub fn begin(&mut self, prompt: &[u32], reuse: bool) -> usize {
        let held = if reuse { &self.tokens[..self.n_exact] } else { &[] };
        let shared = held.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        self.truncate(shared.min(prompt.len().saturating_sub(1)));
        self.tokens.len()
    }

    /// Adds `ids`; the logits after each, or after the last, as [`Llama::forward`].
    ///
    /// # Errors
    /// As [`Llama::forward`], `out_of_memory` and `worker_lost` among them. The context holds what it held then.
    pub fn forward(&mut self, llama: &Llama, ids: &[u32], logits: Logits) -> Result<Tensor> {
        let logits = llama.forward(ids, &mut self.cache, logits)?;
        if self.n_exact == self.tokens.len() {
            self.n_exact += ids.len();
        }
        self.tokens.extend_from_slice(ids);
        Ok(logits)
    }

    /// Makes room: keeps the first `n_keep` tokens, and drops the older half of the others, as llama.cpp does. What is
    /// left moves up, its keys turned to where they are then, but has still seen what was dropped.
    ///
    /// # Errors
    /// `invalid_request` if `n_keep` leaves too little to drop; `out_of_memory`. The context holds what it held then.
    pub fn shift(&mut self, llama: &Llama, n_keep: usize) -> Result<()> {
        check_n_keep(n_keep, self.n_ctx())?;
        let n_dropped = self.tokens.len().saturating_sub(n_keep).div_ceil(2);
        llama.shift(&mut self.cache, n_keep, n_dropped)?;
        self.tokens.drain(n_keep..n_keep + n_dropped);
        self.n_exact = self.n_exact.min(n_keep);
        Ok(())
    }
}

/// How many first tokens a context of `n_ctx` can keep, with enough others to drop.
pub(crate) fn most_kept(n_ctx: usize) -> usize {
    n_ctx.saturating_sub(MIN_SHIFTED)
}

/// Checks that a context of `n_ctx` tokens that keeps its first `n_keep` has enough others to drop.
///
/// # Errors
/// `invalid_request` if it has not.
fn check_n_keep(n_keep: usize, n_ctx: usize) -> Result<()> {
    let most = most_kept(n_ctx);
    if n_keep > most {
        return Err(Error::invalid_request(format!(
            "`n_keep` should be at most {most} in a context of {n_ctx} tokens that is shifted, got {n_keep}"
        )));
    }
    Ok(())
}

/// What to do when a context is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// A prompt that does not fit is refused, an answer ends.
    #[default]
    Stop,
    /// The first `n_keep` tokens of the prompt are kept, all of it if there are not so many, and of what follows the older
    /// half is dropped.
    Shift {
        /// The first tokens, which are never dropped: at most `n_ctx` - 4, or any number where the prompt has no more tokens
        /// than that.
        n_keep: usize,
    },
}

impl Overflow {
    /// What of `prompt` goes into a context of `n_ctx` tokens, and what is kept then. Of one that does not fit, the first
    /// tokens and the last: whole halves of the room between are dropped, so that a somewhat longer prompt drops the same.
    /// As llama.cpp's server.
    ///
    /// # Errors
    /// `context_length_exceeded` if it leaves no room for an answer; `invalid_request` if `n_keep` leaves too little.
    pub(crate) fn fit(self, prompt: &mut Vec<u32>, n_ctx: usize) -> Result<Self> {
        let n_prompt = prompt.len();
        let fitted = match self {
            Self::Stop => Self::Stop,
            Self::Shift { n_keep } => {
                let n_keep = n_keep.min(n_prompt);
                check_n_keep(n_keep, n_ctx)?;
                let half = ((n_ctx - n_keep) / 2).max(1);
                if n_prompt >= n_ctx {
                    let n_dropped = (n_prompt - n_keep - half) / half * half;
                    prompt.drain(n_keep..n_keep + n_dropped);
                }
                Self::Shift { n_keep }
            }
        };
        if prompt.len() < n_ctx {
            return Ok(fitted);
        }
        Err(Error::new(
            ErrorKind::ContextLengthExceeded,
            format!("the prompt has {n_prompt} tokens; a context of {n_ctx} leaves no room for an answer"),
        ))
    }
}
