//! Mirostat (Basu et al., 2021): the surprise of what is drawn is held near a target by what is cut off.

use super::candidates::Candidates;
use super::options::Mirostat;

/// The tokens that Zipf's exponent is estimated from.
const M: usize = 100;

impl Candidates {
    /// Leaves the tokens that `mu`, the limit of surprise in bits, allows.
    pub(super) fn mirostat(&mut self, version: Mirostat, mu: f32, n_vocab: usize) {
        self.softmax();
        match version {
            Mirostat::Off => {}
            Mirostat::V1 => self.keep_rank(mu, n_vocab),
            Mirostat::V2 => {
                if self.all().iter().any(|candidate| -candidate.p.log2() <= mu) {
                    self.retain(|candidate| -candidate.p.log2() <= mu);
                } else {
                    self.keep_largest();
                }
            }
        }
    }

    /// The first k by rank, k = (ε · 2^μ / (1 - n^-ε))^(1/s) with ε = s - 1 and Zipf's exponent s.
    fn keep_rank(&mut self, mu: f32, n_vocab: usize) {
        let (mut products, mut squares) = (0.0, 0.0);
        for (place, pair) in self.best_of(M).windows(2).enumerate() {
            let t = ((place + 2) as f32 / (place + 1) as f32).ln();
            let b = (pair[0].p / pair[1].p).ln();
            products += t * b;
            squares += t * t;
        }
        let s = products / squares;
        let epsilon = s - 1.0;
        let k = (epsilon * mu.exp2() / (1.0 - (n_vocab as f32).powf(-epsilon))).powf(1.0 / s);
        self.keep_best((k as usize).max(1)); // what is no number becomes 0
    }
}
