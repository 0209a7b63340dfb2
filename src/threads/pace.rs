//! When threads are worth it.

use web_time::{Duration, Instant};

/// Whether threads pay. They do not where other programs keep the cores busy, or where jobs are too small: when
/// a window of jobs was not done clearly faster than the caller would have done it, the caller works alone for a
/// while, and the helpers sleep. The rests grow where that is the rule, and stay short where it is the exception. What
/// follows a rest is a short window: where threads cost most, a fifth of one thread's speed, trying them again costs
/// about 1 % of the time.
pub(super) struct Pace {
    /// Time that the window's timed jobs took.
    together: Duration,
    /// Time that they would have taken alone.
    alone: Duration,
    /// No threads until then.
    rest_until: Option<Instant>,
    /// How long the next rest will be.
    rest: Duration,
    /// The time together after which they are compared.
    window: Duration,
    /// Jobs so far.
    n_jobs: u32,
    /// The last job that was timed.
    last: Duration,
}

/// Of so many short jobs one is timed, since in a browser to read a clock takes as long as a small job; after a rest all
/// are. A layer has five jobs, or fourteen of a prompt: each has its turn.
const TIMED: u32 = 3;
/// Jobs that follow one of this length are timed all.
const LONG: Duration = Duration::from_micros(100);

impl Default for Pace {
    fn default() -> Self {
        Self {
            together: Duration::ZERO,
            alone: Duration::ZERO,
            rest_until: None,
            rest: Self::SHORTEST_REST,
            window: Self::WINDOW,
            n_jobs: 0,
            last: Duration::ZERO,
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

    /// Whether the next job that threads do is to be timed.
    pub(super) fn times_next(&mut self) -> bool {
        self.n_jobs = self.n_jobs.wrapping_add(1);
        self.window == Self::TRIAL || self.last >= LONG || self.n_jobs.is_multiple_of(TIMED)
    }

    /// Takes note of a job that was timed.
    pub(super) fn observe(&mut self, together: Duration, alone: Duration) {
        self.last = together;
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

    /// A job that takes `together`, and would take `gain` times as long alone.
    fn job(pace: &mut Pace, together: Duration, gain: u32) {
        if pace.times_next() {
            pace.observe(together, gain * together);
        }
    }

    /// Such jobs without a gain until the pace rests; how many.
    fn jobs_until_rest(pace: &mut Pace, together: Duration) -> usize {
        (1..2000)
            .find(|_| {
                job(pace, together, 1);
                pace.rest_until.is_some()
            })
            .expect("a rest")
    }

    #[test]
    fn threads_that_gain_nothing_rest_longer_each_time_and_are_tried_for_a_short_while() {
        let mut pace = Pace::default();
        assert_eq!(jobs_until_rest(&mut pace, MS), 22); // of which the third is the first that is timed
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
            job(&mut pace, MS, 2);
            assert!(!pace.rests());
        }
        assert_eq!(pace.rest, Pace::SHORTEST_REST);
        assert_eq!(jobs_until_rest(&mut pace, MS), 20);
    }

    #[test]
    fn of_short_jobs_one_in_three_is_timed_but_all_after_a_rest() {
        let (mut pace, short) = (Pace::default(), MS / 20);
        assert_eq!(jobs_until_rest(&mut pace, short), 3 * 400);
        pace.rest_until = None;
        assert_eq!(jobs_until_rest(&mut pace, short), 100);
    }

    #[test]
    fn jobs_of_every_kind_are_timed() {
        for n_kinds in [4, 5, 14] {
            let mut pace = Pace::default();
            let mut timed = vec![0; n_kinds];
            for i in 0..300 * n_kinds {
                timed[i % n_kinds] += usize::from(pace.times_next());
            }
            assert_eq!(timed, vec![100; n_kinds]);
        }
    }
}
