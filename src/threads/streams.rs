//! At how many places weights are read in turns.

use crate::kernels::STREAMS;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use web_time::Duration;

/// At how many places a thread reads weights in turns, for a token alone. Hardware reads ahead of each place only so
/// far, and well at only so many: four are best on Emerald Rapids, and a fifth slower than one or two on Zen 4. So both
/// are tried by the first tokens; what they compute is the same.
#[derive(Debug)]
pub(crate) struct Streams {
    n: AtomicUsize,
    trial: Mutex<Trial>,
}

#[derive(Debug, Default)]
struct Trial {
    n_steps: usize,
    /// The shortest steps.
    best: [Option<Duration>; CANDIDATES.len()],
}

/// The first is kept where none is better.
const CANDIDATES: [usize; 2] = [STREAMS, 1];
/// Steps that are tried: not the first, in which engines still compile.
const TRIED: std::ops::Range<usize> = 8..24;

impl Default for Streams {
    fn default() -> Self {
        Self { n: AtomicUsize::new(CANDIDATES[0]), trial: Mutex::default() }
    }
}

impl Streams {
    /// The number for the next step.
    pub(crate) fn n(&self) -> usize {
        self.n.load(Ordering::Relaxed)
    }

    /// Takes note of how long a step of one token took.
    pub(crate) fn observe(&self, step: Duration) {
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        let Trial { n_steps, best } = &mut *trial;
        if *n_steps == TRIED.end {
            return;
        }
        if TRIED.contains(n_steps) {
            let best = &mut best[*n_steps % CANDIDATES.len()];
            *best = Some(best.map_or(step, |best| best.min(step)));
        }
        *n_steps += 1;
        let next = if *n_steps < TRIED.end {
            *n_steps % CANDIDATES.len()
        } else {
            (0..CANDIDATES.len()).min_by_key(|&i| best[i]).unwrap_or(0)
        };
        self.n.store(CANDIDATES[next], Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that take `millis` of the number of places, and at first ten times that.
    fn chosen(millis: impl Fn(usize) -> u64) -> usize {
        let streams = Streams::default();
        for step in 0..100 {
            let slow = if step < 4 { 10 } else { 1 };
            streams.observe(Duration::from_millis(slow * millis(streams.n()) + (step * 7) % 5));
        }
        streams.n()
    }

    #[test]
    fn the_faster_number_is_kept_and_the_first_where_they_are_equal() {
        assert_eq!(chosen(|n| if n == 1 { 100 } else { 120 }), 1);
        assert_eq!(chosen(|n| if n == 4 { 100 } else { 120 }), 4);
        assert_eq!(chosen(|_| 100), 4);
    }
}
