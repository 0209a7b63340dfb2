//! How probable a text is to a model: of every token its log-probability after those before it, its rank, the entropy of
//! what the model expected there, and the best alternatives.
//!
//! A text longer than the window is scored in several windows, each `stride` tokens behind the one before it. A window
//! scores what those before it did not reach, so that every token is scored once, the first window's after all that
//! comes before them, the others' after `window - stride` tokens or more. So llama.cpp's perplexity tool does with
//! `--ppl-stride`; without it, its windows do not overlap, and it leaves out the first half of each.
//!
//! What always holds: of the logits, one chunk's are held at once.

use crate::kernels::{self, Spread};
use crate::model::{KvCache, KvType, Llama, Logits, room_for};
use crate::{Error, Result};
use candle_core::Storage;
use std::cmp::Ordering;
use web_time::{Duration, Instant};

/// Tokens evaluated per step, whose logits are held.
const CHUNK: usize = 32;

/// How to score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreOptions {
    /// Tokens that the model sees together: at least 2, at most what it was trained on.
    pub window: usize,
    /// How far a window begins behind the one before it: at least 1, less than `window`.
    pub stride: usize,
    /// How many of the most probable tokens to name at each position.
    pub n_top: usize,
    /// The beginning-of-sequence token. Where the text begins with it, every window does: it then stands in the place of
    /// the window's first token.
    pub bos: Option<u32>,
    /// How the context holds keys and values.
    pub kv_type: KvType,
}

impl ScoreOptions {
    /// Windows of `n_ctx` tokens that overlap by half; no alternatives.
    pub fn new(n_ctx: usize) -> Self {
        Self { window: n_ctx, stride: n_ctx / 2, n_top: 0, bos: None, kv_type: KvType::default() }
    }

    fn check(&self, n_ctx_train: usize, n_vocab: usize) -> Result<()> {
        let &Self { window, stride, n_top, .. } = self;
        let wrong = |what: &str, from: usize, to: usize, got: usize| {
            Err(Error::invalid_request(format!("{what} should be in {from}..={to}, got {got}")))
        };
        if !(2..=n_ctx_train).contains(&window) {
            return wrong("`window`", 2, n_ctx_train, window);
        }
        if !(1..window).contains(&stride) {
            return wrong("`stride`", 1, window - 1, stride);
        }
        if n_top > n_vocab {
            return wrong("the number of alternatives", 0, n_vocab, n_top);
        }
        Ok(())
    }
}

/// What a text's tokens are to a model. Logarithms are natural; entry i is about id i, and nothing was expected of the
/// first.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// ln p(id | the ids before it in its window); the first is NaN.
    pub logprobs: Vec<f32>,
    /// 1 + how many tokens are more probable than the id; the first is 0.
    pub ranks: Vec<u32>,
    /// -Σ p ln p over the vocabulary; the first is NaN.
    pub entropies: Vec<f32>,
    /// The most probable tokens, the best first and of equals the smaller id, `(n_tok, n_top)`; the first row is zeros.
    pub top_ids: Vec<u32>,
    /// Their log-probabilities, `(n_tok, n_top)`; the first row is NaN.
    pub top_logprobs: Vec<f32>,
    /// The logits that follow the last id, `(n_vocab)`.
    pub logits_last: Vec<f32>,
}

impl Scores {
    /// e^(-mean of the log-probabilities); NaN for a single token.
    pub fn perplexity(&self) -> f64 {
        let scored = self.logprobs.get(1..).unwrap_or_default();
        (-scored.iter().map(|&logprob| f64::from(logprob)).sum::<f64>() / scored.len() as f64).exp()
    }
}

/// How far scoring is, in tokens evaluated: those that windows share count in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreProgress {
    /// Tokens evaluated.
    pub done: usize,
    /// Tokens to evaluate altogether.
    pub total: usize,
}

/// A text being scored, chunk by chunk, in a KV cache of its own.
pub struct Scorer {
    ids: Vec<u32>,
    options: ScoreOptions,
    cache: KvCache,
    /// Where the window begins.
    begin: usize,
    /// The id that is evaluated next.
    at: usize,
    progress: ScoreProgress,
    elapsed: Duration,
    /// One for each row of a chunk's logits.
    rows: Vec<Row>,
    scores: Scores,
}

/// Scores `ids`.
///
/// # Errors
/// As [`Scorer::new`] and [`Scorer::step`].
pub fn score(llama: &Llama, ids: &[u32], options: ScoreOptions) -> Result<Scores> {
    let mut scorer = Scorer::new(llama, ids.to_vec(), options)?;
    while !scorer.is_done() {
        scorer.step(llama)?;
    }
    Ok(scorer.finish())
}

impl Scorer {
    /// Prepares to score `ids`.
    ///
    /// # Errors
    /// `invalid_request` for no ids, one outside the vocabulary, or an option out of range; `out_of_memory` if the cache,
    /// a chunk's logits or the scores find no room.
    pub fn new(llama: &Llama, ids: Vec<u32>, options: ScoreOptions) -> Result<Self> {
        let config = llama.config();
        options.check(config.n_ctx_train, config.n_vocab)?;
        if ids.is_empty() {
            return Err(Error::invalid_request("there should be at least one token to score"));
        }
        if let Some((i, id)) = ids.iter().enumerate().find(|&(_, &id)| id as usize >= config.n_vocab) {
            let below = config.n_vocab;
            return Err(Error::invalid_request(format!("`ids[{i}]` should be below {below}, got {id}")));
        }
        let ScoreOptions { window, n_top, .. } = options;
        room_for("the logits of a chunk", CHUNK * config.n_vocab * size_of::<f32>())?;
        let token = size_of::<[u32; 3]>().saturating_add(n_top.saturating_mul(size_of::<[u32; 2]>()));
        room_for("the scores", ids.len().saturating_mul(token))?;

        let mut scorer = Self {
            cache: KvCache::new(config, window.min(ids.len()), options.kv_type),
            progress: ScoreProgress { done: 0, total: n_evaluated(ids.len(), &options) },
            begin: 0,
            at: 0,
            elapsed: Duration::ZERO,
            rows: vec![Row::new(n_top); CHUNK],
            scores: Scores::default(),
            ids,
            options,
        };
        scorer.push(Row { logprob: f32::NAN, rank: 0, entropy: f32::NAN, top: vec![(f32::NAN, 0); n_top] });
        Ok(scorer)
    }

    /// How far it is.
    pub fn progress(&self) -> ScoreProgress {
        self.progress
    }

    /// Whether every id is scored.
    pub fn is_done(&self) -> bool {
        self.progress.done == self.progress.total
    }

    /// The time that the steps took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// What is found so far.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// What was found.
    pub fn finish(self) -> Scores {
        self.scores
    }

    /// Evaluates one chunk; does nothing where all is done. `llama` should be the same in every step.
    ///
    /// # Errors
    /// As [`Llama::forward`].
    pub fn step(&mut self, llama: &Llama) -> Result<()> {
        let start = Instant::now();
        let inputs = self.inputs();
        let mut chunk = self.ids[self.at..inputs.min(self.at + CHUNK)].to_vec();
        if chunk.is_empty() {
            return Ok(());
        }
        if self.at == self.begin && self.options.bos == self.ids.first().copied() {
            chunk[0] = self.ids[0];
        }
        // The logits of an id are what is expected of the next. Those scored already are context.
        let n_scored = self.scores.logprobs.len();
        let first = (n_scored - 1).saturating_sub(self.at).min(chunk.len());
        let logits = llama.forward(&chunk, &mut self.cache, Logits::From(first))?; // (n_rows, n_vocab)
        if first < chunk.len() {
            self.read(llama, &logits)?;
        }

        self.at += chunk.len();
        self.progress.done += chunk.len();
        if self.at == inputs && inputs < self.ids.len() {
            self.begin += self.options.stride;
            self.at = self.begin;
            self.cache.truncate(0);
        }
        self.elapsed += start.elapsed();
        Ok(())
    }

    /// Where the window's inputs end. Its last token is only expected, but for the last window's, whose logits follow the
    /// text.
    fn inputs(&self) -> usize {
        inputs_end(self.begin, self.ids.len(), &self.options)
    }

    /// Reads off `logits` what the next ids are.
    fn read(&mut self, llama: &Llama, logits: &candle_core::Tensor) -> Result<()> {
        let (n_rows, n_vocab) = logits.dims2()?;
        let (storage, layout) = logits.storage_and_layout();
        let (Storage::Cpu(cpu), Some((begin, end))) = (&*storage, layout.contiguous_offsets()) else {
            return Err(Error::internal("logits should be contiguous numbers in memory"));
        };
        let logits = &cpu.as_slice::<f32>()?[begin..end];
        let expected = &self.ids[self.scores.logprobs.len()..];
        let n_expected = n_rows.min(expected.len());
        let (n_top, rows) = (self.options.n_top, &mut self.rows[..n_expected]);
        llama.pool().run_chunks(rows, 1, &|i, row| {
            row[0].read(&logits[i * n_vocab..(i + 1) * n_vocab], expected[i], n_top);
        })?;
        // All ids are scored: the row behind them.
        if n_expected < n_rows {
            self.scores.logits_last.extend_from_slice(&logits[n_expected * n_vocab..]);
        }
        for i in 0..n_expected {
            let row = std::mem::take(&mut self.rows[i]);
            self.rows[i] = self.push(row);
        }
        Ok(())
    }

    /// Appends what was read of one id, and gives the row back.
    fn push(&mut self, row: Row) -> Row {
        let scores = &mut self.scores;
        scores.logprobs.push(row.logprob);
        scores.ranks.push(row.rank);
        scores.entropies.push(row.entropy);
        scores.top_logprobs.extend(row.top.iter().map(|&(logprob, _)| logprob));
        scores.top_ids.extend(row.top.iter().map(|&(_, id)| id));
        row
    }
}

/// Where the inputs end of the window that begins at `begin`.
fn inputs_end(begin: usize, n_ids: usize, options: &ScoreOptions) -> usize {
    if begin + options.window < n_ids { begin + options.window - 1 } else { n_ids }
}

/// The inputs of all windows together.
fn n_evaluated(n_ids: usize, options: &ScoreOptions) -> usize {
    let ends = |begin: usize| inputs_end(begin, n_ids, options);
    let n_after_first = n_ids.saturating_sub(options.window).div_ceil(options.stride);
    (0..=n_after_first).map(|i| i * options.stride).map(|begin| ends(begin) - begin).sum()
}

/// What one row of logits says.
#[derive(Debug, Clone, Default)]
struct Row {
    logprob: f32,
    rank: u32,
    entropy: f32,
    /// (logit, then log-probability, and id), the best first.
    top: Vec<(f32, u32)>,
}

impl Row {
    fn new(n_top: usize) -> Self {
        // One more than it keeps, so that threads need not allocate for it.
        Self { top: Vec::with_capacity(n_top + 1), ..Self::default() }
    }

    /// Reads `logits`, `(n_vocab)`, where `id` came next. With m the largest logit, Z = Σ e^(x - m) and
    /// W = Σ e^(x - m) (x - m): ln p = x - m - ln Z, and the entropy is ln Z - W / Z.
    fn read(&mut self, logits: &[f32], id: u32, n_top: usize) {
        let Spread { max, sum, weighted } = kernels::spread(logits);
        let ln_sum = sum.ln();
        let logprob = |logit: f32| (f64::from(logit) - f64::from(max) - ln_sum) as f32;
        let own = logits[id as usize];
        self.logprob = logprob(own);
        self.rank = 1 + logits.iter().map(|&logit| u32::from(logit > own)).sum::<u32>();
        self.entropy = (ln_sum - weighted / sum) as f32;
        best(logits, n_top, &mut self.top);
        for (logit, _) in &mut self.top {
            *logit = logprob(*logit);
        }
    }
}

/// The `n` largest of `logits` with their indices, the largest first and of equals the first one, to `top`.
fn best(logits: &[f32], n: usize, top: &mut Vec<(f32, u32)>) {
    /// Logits that are passed over together, where none is among the best.
    const BLOCK: usize = 32;
    top.clear();
    if n == 0 {
        return;
    }
    let mut least = f32::NEG_INFINITY;
    for (block, start) in logits.chunks(BLOCK).zip((0u32..).step_by(BLOCK)) {
        if top.len() == n && !block.iter().fold(false, |any, &logit| any | (logit > least)) {
            continue;
        }
        for (&logit, id) in block.iter().zip(start..) {
            if top.len() == n && logit <= least {
                continue;
            }
            let at = top.partition_point(|&(other, _)| other.total_cmp(&logit) != Ordering::Less);
            top.insert(at, (logit, id));
            top.truncate(n);
            least = top.last().map_or(least, |&(logit, _)| logit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorts all of them.
    fn sorted(logits: &[f32], n: usize) -> Vec<(f32, u32)> {
        let mut all: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(n);
        all
    }

    #[test]
    fn the_best_are_those_of_a_sort() {
        // Numbers of which many are equal.
        let mut state = 0x2545_F491_u32;
        let logits: Vec<f32> = (0..1000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as f32 / 16.0 - 8.0
            })
            .collect();
        for len in [1, 31, 32, 33, 1000] {
            for n in [0, 1, 2, 20, len] {
                let mut top = Vec::new();
                best(&logits[..len], n.min(len), &mut top);
                assert_eq!(top, sorted(&logits[..len], n), "{n} of {len}");
            }
        }
    }

    #[test]
    fn evaluations_are_counted_before_they_are_made() {
        for window in [2, 3, 8] {
            for stride in 1..window {
                let options = ScoreOptions { stride, ..ScoreOptions::new(window) };
                for n_ids in 1..40 {
                    let (mut begin, mut n) = (0, 0);
                    while begin + window < n_ids {
                        n += window - 1;
                        begin += stride;
                    }
                    n += n_ids - begin;
                    assert_eq!(n_evaluated(n_ids, &options), n, "{n_ids} ids in {window} by {stride}");
                }
            }
        }
    }
}
