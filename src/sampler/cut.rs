//! The samplers that leave out what is improbable, or too probable. Each keeps at least one token.

use super::candidates::Candidates;
use super::random::Random;

impl Candidates {
    /// The tokens whose surprise is nearest to the entropy and that together exceed `p` (Meister et al., 2022).
    pub(super) fn typical_p(&mut self, p: f32, min_keep: usize) {
        if p >= 1.0 {
            return;
        }
        self.softmax();
        let entropy = self.entropy();
        let mut total = 0.0;
        self.keep_by(
            |candidate| -(-candidate.p.ln() - entropy).abs(),
            |at, candidate| {
                total += f64::from(candidate.p);
                total > f64::from(p) && at + 1 >= min_keep
            },
        );
        self.unsorted();
    }

    /// The most probable tokens that together reach `p` (Holtzman et al., 2020).
    pub(super) fn top_p(&mut self, p: f32, min_keep: usize) {
        if p >= 1.0 {
            return;
        }
        self.softmax();
        let mut total = 0.0;
        self.keep_best_until(|at, candidate| {
            total += f64::from(candidate.p);
            total >= f64::from(p) && at + 1 >= min_keep
        });
    }

    /// The tokens at least `p` times as probable as the most probable one.
    pub(super) fn min_p(&mut self, p: f32, min_keep: usize) {
        if p <= 0.0 {
            return;
        }
        let least = self.most() + p.ln();
        let n = self.all().iter().filter(|candidate| candidate.logit >= least).count();
        if n < min_keep {
            self.keep_best(min_keep);
        } else {
            self.retain(|candidate| candidate.logit >= least);
        }
    }

    /// Leaves out all tokens of at least `threshold` but the least probable of them, with `probability`.
    pub(super) fn xtc(&mut self, probability: f32, threshold: f32, min_keep: usize, random: &mut Random) {
        if probability <= 0.0 || threshold > 0.5 || self.all().len() < 2 {
            return;
        }
        if random.unit() >= f64::from(probability) {
            return;
        }
        self.sort();
        self.softmax();
        // Above 0, too: what cannot be drawn is not to be what is left.
        let above = self.all().iter().take_while(|candidate| candidate.p >= threshold && candidate.p > 0.0);
        let n = above.count();
        let left_out = n.saturating_sub(1);
        if left_out > 0 && self.all().len() - left_out >= min_keep {
            self.drop_first(left_out);
        }
    }
}
