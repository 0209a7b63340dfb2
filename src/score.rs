//! How probable a text is to a model: the log-probability of each token after those before it.

use crate::Result;
use crate::model::{KvCache, Llama, Logits};
use candle_core::D;

/// What [`score`] finds; natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// `logprobs[i]` is ln p(ids[i + 1] | ids[..=i]); one fewer than the ids.
    pub logprobs: Vec<f32>,
    /// The logits that follow the last id, `(n_vocab)`.
    pub logits_last: Vec<f32>,
}

/// Tokens that go through the model together: their logits, 25 MB for a vocabulary of 49 152 and four times that
/// for the largest, are held at once.
const CHUNK: usize = 128;

/// Scores `ids` in one context.
///
/// # Errors
/// `invalid_request` for no ids or one outside the vocabulary; `out_of_memory` if the cache finds no room.
pub fn score(llama: &Llama, ids: &[u32]) -> Result<Scores> {
    let mut cache = KvCache::new(llama.config(), ids.len())?;
    let mut logprobs = Vec::with_capacity(ids.len());
    let mut logits_last = Vec::new();
    // An empty text still reaches `forward`, which says what is wrong with it.
    let mut rest = ids;
    loop {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        let next = &ids[ids.len() - rest.len() + 1.min(rest.len())..];
        let logits = llama.forward(chunk, &mut cache, Logits::All)?; // (n_tok, n_vocab)
        let logs = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        for (row, &next) in next.iter().take(chunk.len()).enumerate() {
            logprobs.push(logs.get(row)?.get(next as usize)?.to_scalar::<f32>()?);
        }
        if after.is_empty() {
            logits_last.extend(logits.get(chunk.len() - 1)?.to_vec1::<f32>()?);
            return Ok(Scores { logprobs, logits_last });
        }
        rest = after;
    }
}
