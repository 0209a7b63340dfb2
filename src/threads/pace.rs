//! When threads are worth it.

use web_time::{Duration, Instant};

/// Whether threads pay. They do not where other programs keep the cores busy, or where jobs are too small: when
/// a window of jobs was not done clearly faster than the caller would have done it, the caller works alone for a
/// while, and the helpers sleep. The rests grow where that is the rule, and stay short where it is the exception. What
/// follows a rest is a short window: where threads cost most, a fifth of one thread's speed, trying them again costs
/// about 1 % of the time.
pub(super) struct Pace {
    /// Time that the window's jobs took.
    together: Duration,
    /// Time that they would have taken alone.
    alone: Duration,
    /// No threads until then.
    rest_until: Option<Instant>,
    /// How long the next rest will be.
    rest: Duration,
    /// The time together after which they are compared.
    window: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            together: Duration::ZERO,
            alone: Duration::ZERO,
            rest_until: None,
            rest: Self::SHORTEST_REST,
            window: Self::WINDOW,
        }
    }
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(20);
    const TRIAL: Duration = Duration::from_millis(5);
    /// Threads that share the way to memory make each other slower, so that the estimate for one is too long.
    const LEAST_GAIN: f64 = 1.25;
    const SHORTEST_REST: Duration = Duration::from_millis(50);
    /// A program that starts beside may take the cores for long; the page's own compilers do so for a second or two.
    const LONGEST_REST: Duration = Duration::from_millis(500);

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
        if self.together < self.window {
            return;
        }
        if self.alone < self.together.mul_f64(Self::LEAST_GAIN) {
            self.rest_until = Some(Instant::now() + self.rest);
            self.rest = Self::LONGEST_REST.min(2 * self.rest);
            self.window = Self::TRIAL;
        } else {
            self.rest = Self::SHORTEST_REST.max(self.rest / 2);
            self.window = Self::WINDOW;
        }
        (self.together, self.alone) = (Duration::ZERO, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Jobs of a millisecond that would take `alone` alone, until the pace rests; how many.
    fn jobs_until_rest(pace: &mut Pace, alone: Duration) -> usize {
        (1..1000)
            .find(|_| {
                pace.observe(MS, alone);
                pace.rest_until.is_some()
            })
            .expect("a rest")
    }

    #[test]
    fn threads_that_gain_nothing_rest_longer_each_time_and_are_tried_for_a_short_while() {
        let mut pace = Pace::default();
        assert_eq!(jobs_until_rest(&mut pace, MS), 20);
        let mut rests = Vec::new();
        for _ in 0..6 {
            rests.push(pace.rest);
            pace.rest_until = None;
            assert_eq!(jobs_until_rest(&mut pace, MS), 5);
        }
        assert_eq!(rests, [100, 200, 400, 500, 500, 500].map(|n| n * MS));
    }

    #[test]
    fn threads_that_gain_again_go_on() {
        let mut pace = Pace::default();
        jobs_until_rest(&mut pace, MS);
        pace.rest_until = None;
        for _ in 0..105 {
            pace.observe(MS, 2 * MS);
            assert!(!pace.rests());
        }
        assert_eq!(pace.rest, Pace::SHORTEST_REST);
        assert_eq!(jobs_until_rest(&mut pace, MS), 20);
    }
}
