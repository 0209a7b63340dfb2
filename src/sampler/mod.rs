//! From logits to the next token: llama.cpp's samplers, in its order and with its meaning.
//!
//! ```text
//! logit_bias → penalties → dry → top_n_sigma → top_k → typical_p → top_p → min_p → xtc → temperature → draw
//! ```
//!
//! With `mirostat` it is `logit_bias → temperature → mirostat`. A sampler that is off costs nothing; by default there is
//! only the draw. Which token comes next is a function of the logits, the options and the tokens before, the draws
//! among them.
//!
//! Source: llama.cpp's `common/sampling.cpp` and `src/llama-sampler.cpp`. Where several tokens are equally probable and
//! some are cut off, those with the lower ids stay; there it depends on the sort.

mod candidates;
mod cut;
mod dry;
mod exp;
mod logprobs;
mod mirostat;
mod options;
mod penalties;
mod random;
mod temperature;

pub use candidates::Candidate;
pub use logprobs::{TokenLogprobs, logprobs};
pub use options::{Mirostat, SamplerOptions};

use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use candidates::Candidates;
use dry::Dry;
use penalties::Penalties;
use random::Random;

/// The options, the tokens so far, and the state of the draws.
pub struct Sampler {
    options: SamplerOptions,
    penalties: Option<Penalties>,
    dry: Option<Dry>,
    random: Random,
    /// Mirostat's limit of surprise.
    mu: f32,
    /// Kept from token to token for its memory.
    candidates: Candidates,
}

impl Sampler {
    /// A sampler before its first draw, in a context of `n_ctx` tokens.
    ///
    /// # Errors
    /// `invalid_request` that names the field out of range.
    pub fn new(options: &SamplerOptions, tokenizer: &Tokenizer, n_ctx: usize) -> Result<Self> {
        options.check(tokenizer.n_vocab())?;
        Ok(Self {
            penalties: Penalties::new(options, n_ctx),
            dry: Dry::new(options, tokenizer, n_ctx)?,
            random: Random::new(options.seed),
            mu: 2.0 * options.mirostat_tau,
            candidates: Candidates::default(),
            options: options.clone(),
        })
    }

    /// Tells of tokens that precede the next draw: the prompt, and then each token drawn.
    pub fn accept(&mut self, ids: &[u32]) {
        if let Some(penalties) = &mut self.penalties {
            penalties.accept(ids);
        }
        if let Some(dry) = &mut self.dry {
            dry.accept(ids);
        }
    }

    /// Whether nothing is cut off: a token that is drawn among all, and is one of some, is then as good as drawn among those.
    pub fn draws_from_all(&self) -> bool {
        self.options.takes_the_largest() || self.options.draws_from_all()
    }

    /// Draws from `logits`, `(n_vocab)`, which are overwritten. A token with -∞ is never drawn.
    ///
    /// # Errors
    /// `internal` if a logit is no number, or no token is left.
    pub fn sample(&mut self, logits: &mut [f32]) -> Result<u32> {
        check(logits)?;
        self.weigh(logits);
        if self.options.takes_the_largest() {
            return candidates::largest(logits);
        }
        if self.options.draws_from_all() {
            return candidates::draw(logits, self.options.temperature, &mut self.random);
        }
        self.cut(logits)?;
        let drawn = self.candidates.draw(&mut self.random)?;
        if self.options.mirostat != Mirostat::Off {
            let surprise = -drawn.p.log2();
            self.mu -= self.options.mirostat_eta * (surprise - self.options.mirostat_tau);
        }
        Ok(drawn.id)
    }

    /// What [`sample`](Self::sample) would draw from: the tokens that are left, the most probable first, and their
    /// probabilities, which sum to 1. Draws by `xtc` count as made.
    ///
    /// # Errors
    /// As those of [`sample`](Self::sample).
    pub fn candidates(&mut self, logits: &mut [f32]) -> Result<&[Candidate]> {
        check(logits)?;
        self.weigh(logits);
        self.cut(logits)?;
        self.candidates.sort();
        self.candidates.softmax();
        Ok(self.candidates.all())
    }

    /// What changes single logits.
    fn weigh(&mut self, logits: &mut [f32]) {
        for &(id, bias) in &self.options.logit_bias {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        if self.options.mirostat != Mirostat::Off {
            return;
        }
        if let Some(penalties) = &self.penalties {
            penalties.apply(logits);
        }
        if let Some(dry) = &mut self.dry {
            dry.apply(logits);
        }
    }

    /// What decides which tokens are left, and how probable each of them is.
    fn cut(&mut self, logits: &[f32]) -> Result<()> {
        let Self { options, candidates, random, mu, .. } = self;
        let min_keep = options.min_keep;
        match options.mirostat {
            Mirostat::Off => {
                candidates.fill(logits, options.top_n_sigma, options.top_k);
                candidates.typical_p(options.typical_p, min_keep);
                candidates.top_p(options.top_p, min_keep);
                candidates.min_p(options.min_p, min_keep);
                candidates.xtc(options.xtc_probability, options.xtc_threshold, min_keep, random);
                candidates.dynamic_temperature(
                    options.temperature,
                    options.dynatemp_range,
                    options.dynatemp_exponent,
                );
            }
            version => {
                candidates.fill(logits, 0.0, 0);
                candidates.temperature(options.temperature);
                candidates.mirostat(version, *mu, logits.len());
            }
        }
        Ok(())
    }
}

/// Whether `logits` are numbers or -∞.
fn check(logits: &[f32]) -> Result<()> {
    // Without a way out early, which takes longer.
    if logits.iter().fold(true, |all, &logit| all & (logit < f32::INFINITY)) {
        return Ok(());
    }
    Err(Error::internal("the model's logits are not numbers (NaN or infinite)"))
}
