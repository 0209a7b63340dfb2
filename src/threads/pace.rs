//! When threads are worth it.

use web_time::{Duration, Instant};

/// Whether threads pay. They do not where other programs keep the cores busy, or where jobs are too small: when
/// a window of jobs was not done clearly faster than the caller would have done it, the caller works alone for a
/// while, and the helpers sleep. The rests grow where that is the rule, and stay short where it is the exception.
pub(super) struct Pace {
    /// Time that the window's jobs took.
    together: Duration,
    /// Time that they would have taken alone.
    alone: Duration,
    /// No threads until then.
    rest_until: Option<Instant>,
    /// How long the next rest will be.
    rest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { together: Duration::ZERO, alone: Duration::ZERO, rest_until: None, rest: Self::SHORTEST_REST }
    }
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(20);
    /// Threads that share the way to memory make each other slower, so that the estimate for one is too long.
    const LEAST_GAIN: f64 = 1.25;
    const SHORTEST_REST: Duration = Duration::from_millis(50);
    const LONGEST_REST: Duration = Duration::from_secs(2);

    /// Whether the caller works alone now.
    pub(super) fn rests(&mut self) -> bool {
        if self.rest_until.is_some_and(|until| Instant::now() >= until) {
            self.rest_until = None;
        }
        self.rest_until.is_some()
    }

    /// Takes note of a job that threads did.
    pub(super) fn observe(&mut self, together: Duration, alone: Duration) {
        self.together += together;
        self.alone += alone;
        if self.together < Self::WINDOW {
            return;
        }
        if self.alone < self.together.mul_f64(Self::LEAST_GAIN) {
            self.rest_until = Some(Instant::now() + self.rest);
            self.rest = Self::LONGEST_REST.min(4 * self.rest);
        } else {
            self.rest = Self::SHORTEST_REST.max(self.rest / 2);
        }
        (self.together, self.alone) = (Duration::ZERO, Duration::ZERO);
    }
}
