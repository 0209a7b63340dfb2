//! From logits to the next token: a pure function of the logits, the settings and the draws made before.
//!
//! Drawing is Candle's (`candle_transformers::generation`): softmax at the temperature, then the `top_k` most
//! probable, then the smallest set of them whose probabilities reach `top_p`.

use crate::{Error, Result};
use candle_core::{Storage, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// 0 takes the most probable token, 1 draws as the model says, more is flatter. At least 0.
    pub temperature: f64,
    /// Only the `top_k` most probable tokens; 0 means all.
    pub top_k: usize,
    /// Only the most probable tokens that together reach `top_p`, in (0, 1]; 1 means all.
    pub top_p: f64,
    /// The same seed, settings and prompt give the same answer.
    pub seed: u64,
}

impl Default for SamplerOptions {
    /// What OpenAI's API does: temperature 1, nothing cut off.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

/// The settings and the state of the draws.
pub struct Sampler {
    processor: LogitsProcessor,
}

/// Below this temperature dividing by it overflows f32: the largest logit wins all the same.
const GREEDY_BELOW: f64 = 1e-6;

impl Sampler {
    /// A sampler before its first draw.
    ///
    /// # Errors
    /// `invalid_request` that names the field out of range.
    pub fn new(options: &SamplerOptions) -> Result<Self> {
        let SamplerOptions { temperature, top_k, top_p, seed } = *options;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::invalid_request(format!(
                "`temperature` should be at least 0, got {temperature}"
            )));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::invalid_request(format!("`top_p` should be in (0, 1], got {top_p}")));
        }
        let sampling = match (temperature < GREEDY_BELOW, top_k > 0, top_p < 1.0) {
            (true, _, _) => Sampling::ArgMax,
            (false, false, false) => Sampling::All { temperature },
            (false, true, false) => Sampling::TopK { k: top_k, temperature },
            (false, false, true) => Sampling::TopP { p: top_p, temperature },
            (false, true, true) => Sampling::TopKThenTopP { k: top_k, p: top_p, temperature },
        };
        Ok(Self { processor: LogitsProcessor::from_sampling(seed, sampling) })
    }

    /// Draws from `logits`, `(n_vocab)`.
    ///
    /// # Errors
    /// `internal` if a logit is no number: the file's weights are damaged, or the forward pass is.
    pub fn sample(&mut self, logits: &Tensor) -> Result<u32> {
        if any_nan(logits)? {
            return Err(Error::internal("the model's logits are not numbers (NaN)"));
        }
        Ok(self.processor.sample(logits)?)
    }
}

/// Whether one of `logits`, contiguous, is no number.
fn any_nan(logits: &Tensor) -> Result<bool> {
    let (storage, layout) = logits.storage_and_layout();
    let (Storage::Cpu(storage), Some((begin, end))) = (&*storage, layout.contiguous_offsets()) else {
        return Err(Error::internal("logits should be contiguous"));
    };
    // Without a way out early, which takes longer.
    Ok(storage.as_slice::<f32>()?[begin..end].iter().fold(false, |any, logit| any | logit.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn draws(options: &SamplerOptions, logits: &[f32], n: usize) -> Vec<u32> {
        let logits = Tensor::new(logits, &Device::Cpu).unwrap();
        let mut sampler = Sampler::new(options).unwrap();
        (0..n).map(|_| sampler.sample(&logits).unwrap()).collect()
    }

    #[test]
    fn temperature_zero_takes_the_most_probable() {
        let options = SamplerOptions { temperature: 0.0, seed: 7, ..Default::default() };
        assert_eq!(draws(&options, &[0.0, 3.0, 2.9, -1.0], 20), [1; 20]);
    }

    #[test]
    fn a_seed_decides_every_draw() {
        let options = |seed| SamplerOptions { seed, ..Default::default() };
        let logits = [0.1, 0.2, 0.3, 0.4, 0.5];
        assert_eq!(draws(&options(1), &logits, 50), draws(&options(1), &logits, 50));
        assert_ne!(draws(&options(1), &logits, 50), draws(&options(2), &logits, 50));
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        // softmax of ln(p) is p; with 20 000 draws the standard error is at most 0.0036, so 0.02 is over five of them.
        let p = [0.5_f32, 0.3, 0.15, 0.05];
        let logits: Vec<f32> = p.iter().map(|p| p.ln()).collect();
        let drawn = draws(&SamplerOptions { seed: 3, ..Default::default() }, &logits, 20_000);
        for (id, p) in p.iter().enumerate() {
            let frequency = drawn.iter().filter(|&&drawn| drawn as usize == id).count() as f32 / 20_000.0;
            assert!((frequency - p).abs() < 0.02, "token {id}: {frequency} drawn, {p} expected");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits: Vec<f32> = [0.5_f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
        let highest = |options: SamplerOptions| draws(&options, &logits, 2000).into_iter().max();
        assert_eq!(highest(SamplerOptions { top_k: 2, ..Default::default() }), Some(1));
        assert_eq!(highest(SamplerOptions { top_p: 0.9, ..Default::default() }), Some(2));
        assert_eq!(highest(SamplerOptions { top_p: 0.4, ..Default::default() }), Some(0));
        assert_eq!(highest(SamplerOptions { top_k: 3, top_p: 0.7, ..Default::default() }), Some(1));
    }

    #[test]
    fn fields_out_of_range_are_named() {
        for (options, named) in [
            (
                SamplerOptions { temperature: -0.5, ..Default::default() },
                "`temperature` should be at least 0, got -0.5",
            ),
            (
                SamplerOptions { temperature: f64::NAN, ..Default::default() },
                "`temperature` should be at least 0, got NaN",
            ),
            (SamplerOptions { top_p: 0.0, ..Default::default() }, "`top_p` should be in (0, 1], got 0"),
            (SamplerOptions { top_p: 1.5, ..Default::default() }, "`top_p` should be in (0, 1], got 1.5"),
        ] {
            assert_eq!(Sampler::new(&options).err().unwrap().detail(), named);
        }
    }

    #[test]
    fn logits_that_are_no_numbers_are_refused() {
        let logits = Tensor::new(&[0.0, f32::NAN, 1.0], &Device::Cpu).unwrap();
        for temperature in [0.0, 1.0] {
            let mut sampler = Sampler::new(&SamplerOptions { temperature, ..Default::default() }).unwrap();
            assert_eq!(sampler.sample(&logits).unwrap_err().kind(), crate::ErrorKind::Internal);
        }
    }
}
