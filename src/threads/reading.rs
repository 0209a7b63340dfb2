//! In what order weights are read.

use crate::kernels::{PackedType, Reading};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use web_time::Duration;

/// Finds in what order a thread best reads weights for a token alone. Hardware reads ahead of a place only so far, and well
/// at only so many: in turns at four is best on Emerald Rapids, a fifth slower than in a row on Zen 4, and three times as slow
/// on Zen 5, where weights of 8 bits go faster at two places and others in a row. So all are tried by the first tokens; what
/// they compute is the same.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// Which of [`CANDIDATES`] the next step takes.
    chosen: AtomicUsize,
    steps: Mutex<Steps>,
}

/// In what order weights of each type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// That for Q8_0, whose products take so little beside its bytes that they wait for memory the longest.
    of_bytes: Reading,
    /// That for all others.
    of_others: Reading,
}

impl Order {
    const fn of_all(reading: Reading) -> Self {
        Self { of_bytes: reading, of_others: reading }
    }

    /// How weights of `ty` are read.
    pub(crate) fn of(self, ty: PackedType) -> Reading {
        if ty == PackedType::Q8_0 { self.of_bytes } else { self.of_others }
    }
}

#[derive(Debug, Default)]
struct Steps {
    n: usize,
    /// The shortest steps.
    best: [Option<Duration>; CANDIDATES.len()],
}

/// The first is kept where none is better.
const CANDIDATES: [Order; 4] = [
    Order::of_all(Reading::AtFour),
    Order::of_all(Reading::AtTwo),
    Order::of_all(Reading::InARow),
    Order { of_bytes: Reading::AtTwo, of_others: Reading::InARow },
];
/// Steps that are tried: not the first, in which engines still compile.
const TRIED: std::ops::Range<usize> = 8..32;

impl Trial {
    /// The order of the next step.
    pub(crate) fn chosen(&self) -> Order {
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
    fn chosen(millis: impl Fn(Order) -> u64) -> Order {
        let trial = Trial::default();
        for step in 0..100 {
            let slow = if step < 4 { 10 } else { 1 };
            trial.observe(Duration::from_millis(slow * millis(trial.chosen()) + (step * 7) % 5));
        }
        trial.chosen()
    }

    #[test]
    fn the_faster_order_is_kept_and_the_first_where_they_are_equal() {
        for fastest in CANDIDATES {
            assert_eq!(chosen(|order| if order == fastest { 100 } else { 120 }), fastest);
        }
        assert_eq!(chosen(|_| 100), CANDIDATES[0]);
    }
}
