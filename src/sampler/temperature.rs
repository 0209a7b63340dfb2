//! Temperature, and the one that follows the entropy.

use super::candidates::Candidates;

impl Candidates {
    /// Divides by `temperature`; at 0 only the most probable is left.
    pub(super) fn temperature(&mut self, temperature: f32) {
        if temperature <= 0.0 {
            self.keep_largest();
            return;
        }
        // From the largest down, which no temperature makes infinite.
        let most = self.most();
        for candidate in self.all_mut() {
            candidate.logit = (candidate.logit - most) / temperature;
        }
    }

    /// A temperature in `temperature` ± `range`, by the entropy of what is left: `low + (high - low) · h^exponent`, h
    /// being its part of what equal probabilities would have.
    pub(super) fn dynamic_temperature(&mut self, temperature: f32, range: f32, exponent: f32) {
        if range <= 0.0 {
            self.temperature(temperature);
            return;
        }
        if self.all().len() <= 1 {
            return;
        }
        self.softmax();
        let largest = (self.all().len() as f32).ln();
        let (low, high) = ((temperature - range).max(0.0), temperature + range);
        let part = self.entropy() / largest;
        self.temperature(low + (high - low) * part.powf(exponent));
    }
}
