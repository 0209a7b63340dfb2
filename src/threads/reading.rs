//! In what order weights are read.

use crate::kernels::Reading;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use web_time::Duration;

/// Finds in what order a thread best reads weights for a token alone. Hardware reads ahead of a place only so far, and well
/// at only so many: in turns at four is best on Emerald Rapids, a fifth slower than in a row on Zen 4, and three times as slow
/// on Zen 5. So all are tried by the first tokens; what they compute is the same.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// Which of [`CANDIDATES`] the next step takes.
    chosen: AtomicUsize,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    n: usize,
    /// The shortest steps.
    best: [Option<Duration>; CANDIDATES.len()],
}

/// The first is kept where none is better.
const CANDIDATES: [Reading; 3] = Reading::ALL;
/// Steps that are tried: not the first, in which engines still compile.
const TRIED: std::ops::Range<usize> = 8..26;

impl Trial {
    /// The order for the next step.
    pub(crate) fn chosen(&self) -> Reading {
        CANDIDATES[self.chosen.load(Ordering::Relaxed)]
    }

    /// Takes note of how long a step of one token took.
    pub(crate) fn observe(&self, step: Duration) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let Steps { n, best } = &mut *steps;
        if *n == TRIED.end {
            return;
        }
        if TRIED.contains(n) {
            let best = &mut best[*n % CANDIDATES.len()];
            *best = Some(best.map_or(step, |best| best.min(step)));
        }
        *n += 1;
        let next = if *n < TRIED.end {
            *n % CANDIDATES.len()
        } else {
            (0..CANDIDATES.len()).min_by_key(|&i| best[i]).unwrap_or(0)
        };
        self.chosen.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that take `millis` of each order, and at first ten times that.
    fn chosen(millis: impl Fn(Reading) -> u64) -> Reading {
        let trial = Trial::default();
        for step in 0..100 {
            let slow = if step < 4 { 10 } else { 1 };
            trial.observe(Duration::from_millis(slow * millis(trial.chosen()) + (step * 7) % 5));
        }
        trial.chosen()
    }

    #[test]
    fn the_faster_order_is_kept_and_the_first_where_they_are_equal() {
        for fastest in Reading::ALL {
            assert_eq!(chosen(|reading| if reading == fastest { 100 } else { 120 }), fastest);
        }
        assert_eq!(chosen(|_| 100), Reading::AtFour);
    }
}
