//! The penalties for tokens that were there: `repeat_penalty`, `frequency_penalty`, `presence_penalty`.

use super::options::{SamplerOptions, window};
use std::collections::{HashMap, VecDeque};

/// The recent tokens, and how often each of them is there.
pub(super) struct Penalties {
    recent: VecDeque<u32>,
    counts: HashMap<u32, u32>,
    last_n: usize,
    repeat: f32,
    frequency: f32,
    presence: f32,
}

impl Penalties {
    /// None where they would change nothing.
    pub(super) fn new(options: &SamplerOptions, n_ctx: usize) -> Option<Self> {
        let (repeat, frequency) = (options.repeat_penalty, options.frequency_penalty);
        let presence = options.presence_penalty;
        let last_n = window(options.repeat_last_n, n_ctx);
        let off = last_n == 0 || (repeat == 1.0 && frequency == 0.0 && presence == 0.0);
        (!off).then(|| Self {
            recent: VecDeque::new(),
            counts: HashMap::new(),
            last_n,
            repeat,
            frequency,
            presence,
        })
    }

    pub(super) fn accept(&mut self, ids: &[u32]) {
        let ids = &ids[ids.len().saturating_sub(self.last_n)..];
        for &id in ids {
            if self.recent.len() == self.last_n {
                self.forget_oldest();
            }
            self.recent.push_back(id);
            *self.counts.entry(id).or_default() += 1;
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else { return };
        if let Some(count) = self.counts.get_mut(&oldest) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
    }

    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (&id, &count) in &self.counts {
            let Some(logit) = logits.get_mut(id as usize) else { continue };
            let repeated = if *logit <= 0.0 { *logit * self.repeat } else { *logit / self.repeat };
            let penalty = count as f32 * self.frequency + self.presence;
            // No infinity but that of a token that is out already: taken from another it would be no number.
            *logit = (repeated.min(f32::MAX) - penalty.clamp(f32::MIN, f32::MAX)).min(f32::MAX);
        }
    }
}
