//! In what order weights are read.

use crate::kernels::{PackedType, Reading};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use web_time::Duration;

/// Finds in what order a thread best reads weights for a token alone. Hardware reads ahead of a place only so far, and well
/// at only so many: in turns at four is best on Emerald Rapids, a fifth slower than in a row on Zen 4, and three times as slow
/// on Zen 5, where Q8_0 goes faster at two places and others in a row. So all are tried by the first tokens; what
/// they compute is the same.
#[derive(Debug)]
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

/// The first is kept where none is better.
const CANDIDATES: [Order; 4] = [
    Order::of_all(Reading::AtFour),
    Order::of_all(Reading::AtTwo),
    Order::of_all(Reading::InARow),
    Order { of_bytes: Reading::AtTwo, of_others: Reading::InARow },
];
/// Before the trial come so many steps, and so many as take this long, in which engines still compile: of the default model's
/// two in five took a third longer, and an order whose tries all were among them was given up. Their order is the
/// slowest nowhere.
const WARM_UP: usize = 8;
const WARM_UP_TIME: Duration = Duration::from_millis(100);
const AT_FIRST: usize = 1;
/// How often each is tried.
const TRIES: usize = 6;
/// How often even those are that take half as long again as the fastest: where it takes 30 ms another may take 90.
const TRIES_AT_LEAST: usize = 2;

#[derive(Debug)]
struct Steps {
    /// What is left of [`WARM_UP`] and of [`WARM_UP_TIME`].
    warm_up: usize,
    warm_up_time: Duration,
    /// Which are still tried, in turns: one in the end.
    left: Vec<usize>,
    /// Whose turn it is of these, and how many turns each had.
    turn: usize,
    tries: usize,
    /// The shortest step of each.
    best: [Duration; CANDIDATES.len()],
}

impl Trial {
    pub(crate) fn new() -> Self {
        let steps = Steps {
            warm_up: WARM_UP,
            warm_up_time: WARM_UP_TIME,
            left: (0..CANDIDATES.len()).collect(),
            turn: 0,
            tries: 0,
            best: [Duration::MAX; CANDIDATES.len()],
        };
        Self { chosen: AtomicUsize::new(AT_FIRST), steps: Mutex::new(steps) }
    }

    /// The order of the next step.
    pub(crate) fn chosen(&self) -> Order {
        CANDIDATES[self.chosen.load(Ordering::Relaxed)]
    }

    /// Takes note of how long a step of one token took.
    pub(crate) fn observe(&self, step: Duration) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = steps.observe(step) {
            self.chosen.store(next, Ordering::Relaxed);
        }
    }
}

impl Steps {
    /// Which of [`CANDIDATES`] the next step takes, once that is no more the first one.
    fn observe(&mut self, step: Duration) -> Option<usize> {
        if self.warms_up() {
            self.warm_up = self.warm_up.saturating_sub(1);
            self.warm_up_time = self.warm_up_time.saturating_sub(step);
            return (!self.warms_up()).then(|| self.left[0]);
        }
        if self.left.len() == 1 {
            return None;
        }
        let tried = &mut self.best[self.left[self.turn]];
        *tried = step.min(*tried);
        self.turn += 1;
        if self.turn == self.left.len() {
            self.turn = 0;
            self.tries += 1;
            self.give_up_slow_ones();
        }
        Some(self.left[self.turn])
    }

    fn warms_up(&self) -> bool {
        self.warm_up > 0 || !self.warm_up_time.is_zero()
    }

    fn give_up_slow_ones(&mut self) {
        let best = &self.best;
        let Some(fastest) = self.left.iter().copied().min_by_key(|&i| best[i]) else { return };
        if self.tries == TRIES {
            self.left = vec![fastest];
        } else if self.tries >= TRIES_AT_LEAST {
            self.left.retain(|&i| best[i] <= best[fastest] * 3 / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that take `millis` of each order, and at first ten times that: how many each got, and which remains.
    fn tried(millis: impl Fn(Order) -> u64) -> ([usize; CANDIDATES.len()], Order) {
        let (trial, mut steps) = (Trial::new(), [0; CANDIDATES.len()]);
        for step in 0..100 {
            let order = trial.chosen();
            steps[CANDIDATES.iter().position(|&of| of == order).unwrap()] += 1;
            let slow = if step < 4 { 10 } else { 1 };
            trial.observe(Duration::from_millis(slow * millis(order) + (step * 7) % 5));
        }
        (steps, trial.chosen())
    }

    #[test]
    fn the_faster_order_is_kept_and_the_first_where_they_are_equal() {
        for fastest in CANDIDATES {
            assert_eq!(tried(|order| if order == fastest { 100 } else { 120 }).1, fastest);
        }
        assert_eq!(tried(|_| 100).1, CANDIDATES[0]);
    }

    #[test]
    fn short_steps_are_tried_once_engines_have_compiled() {
        let (trial, first) = (Trial::new(), CANDIDATES[AT_FIRST]);
        for step in 0..40 {
            assert_eq!(trial.chosen(), first, "step {step}");
            trial.observe(WARM_UP_TIME / 40);
        }
        assert_ne!(trial.chosen(), first);
    }

    #[test]
    fn a_slow_order_is_given_up_soon_and_one_that_stands_out_needs_no_more_tries() {
        let millis = |order| if order == CANDIDATES[0] { 300 } else { 100 };
        assert_eq!(tried(millis).0, [TRIES_AT_LEAST, 100 - TRIES_AT_LEAST - 2 * TRIES, TRIES, TRIES]);
        let millis = |order| if order == CANDIDATES[3] { 100 } else { 300 };
        let [a, b, c, _] = tried(millis).0;
        assert_eq!([a, b, c], [TRIES_AT_LEAST, WARM_UP + TRIES_AT_LEAST, TRIES_AT_LEAST]);
    }
}
