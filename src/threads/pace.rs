//! When threads are worth it.

use web_time::{Duration, Instant};

/// Whether threads pay. They do not where other programs keep the cores busy, or where jobs are too small: when
/// a window of jobs was not done clearly faster than the caller would have done it, the caller works alone for a
/// while, twice as long each time, and the helpers sleep.
#[derive(Default)]
pub(super) struct Pace {
    /// Time that the window's jobs took.
    together: Duration,
    /// Time that they would have taken alone.
    alone: Duration,
    /// No threads until then.
    rest_until: Option<Instant>,
    /// How long the last rest was, if threads have not paid since.
    last_rest: Option<Duration>,
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(20);
    /// Threads that share the way to memory make each other slower, so that the estimate for one is too long.
    const LEAST_GAIN: f64 = 1.25;
    const FIRST_REST: Duration = Duration::from_millis(200);
    const LONGEST_REST: Duration = Duration::from_secs(2);

    /// Whether the caller works alone now.
    pub(super) fn rests(&mut self) -> bool {
        match self.rest_until {
            Some(until) if Instant::now() < until => true,
            Some(_) => {
                self.rest_until = None;
                false
            }
            None => false,
        }
    }

    /// Takes note of a job that threads did.
    pub(super) fn observe(&mut self, together: Duration, alone: Duration) {
        self.together += together;
        self.alone += alone;
        if self.together < Self::WINDOW {
            return;
        }
        if self.alone < self.together.mul_f64(Self::LEAST_GAIN) {
            let rest = self.last_rest.map_or(Self::FIRST_REST, |rest| Self::LONGEST_REST.min(2 * rest));
            self.rest_until = Some(Instant::now() + rest);
            self.last_rest = Some(rest);
        } else {
            self.last_rest = None;
        }
        (self.together, self.alone) = (Duration::ZERO, Duration::ZERO);
    }
}
