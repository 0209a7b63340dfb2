//! How probable a token was to the model itself: of its logits, before any sampler.

use super::candidates::{best, candidates};
use crate::kernels::{self, Spread};

/// A token's log-probability, and the most probable tokens in its place; natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The token.
    pub id: u32,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The most probable first.
    pub top: Vec<(u32, f32)>,
}

/// Those of `id` and of the `n_top` most probable, by `logits`, `(n_vocab)`. An id beyond them has -∞.
pub fn logprobs(logits: &[f32], id: u32, n_top: usize) -> TokenLogprobs {
    let Spread { max, sum, .. } = kernels::spread(logits);
    let log_total = f64::from(max) + sum.ln();
    let logprob = |logit: f32| (f64::from(logit) - log_total) as f32;
    let mut top = Vec::new();
    best(candidates(logits), n_top.min(logits.len()), &mut top);
    TokenLogprobs {
        id,
        logprob: logits.get(id as usize).map_or(f32::NEG_INFINITY, |&logit| logprob(logit)),
        top: top.iter().map(|candidate| (candidate.id, logprob(candidate.logit))).collect(),
    }
}
