//! Rotary position embedding in GGUF's NORM pairing: dimensions 2i and 2i+1 of a head turn together, by
//! `pos · freq_scale · freq_base^(-2i / n_rot) / factor[i]`.
//!
//! Sources: Su et al. 2021 (<https://arxiv.org/abs/2104.09864>). The factors are Llama 3.1's long-context
//! scaling, which a GGUF file carries as the tensor `rope_freqs.weight`.

use super::Config;
use crate::ops::Rotation;

/// What a head is turned by, per position.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians per position, of each of the `n_rot / 2` pairs.
    freqs: Vec<f64>,
    n_rot: usize,
}

impl Rope {
    /// `factors` are `rope_freqs.weight`, `n_rot / 2` of them, if the file has it.
    pub(super) fn new(config: &Config, factors: Option<&[f32]>) -> Self {
        let base = f64::from(config.rope_freq_base);
        let freqs = (0..config.n_rot / 2).map(|i| {
            let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
            f64::from(config.rope_freq_scale) * base.powf(-2.0 * i as f64 / config.n_rot as f64) / factor
        });
        Self { freqs: freqs.collect(), n_rot: config.n_rot }
    }

    /// The rotation of positions `pos..pos + n_tok`; made once per call, used by every layer. Angles are computed in
    /// f64: at position 100 000 an f32 angle is off by 0.004 rad.
    pub(super) fn at(&self, pos: usize, n_tok: usize) -> Rotation {
        let angles = (pos..pos + n_tok).flat_map(|p| self.freqs.iter().map(move |freq| p as f64 * freq));
        let (sin, cos) = angles.map(|angle| (angle.sin() as f32, angle.cos() as f32)).unzip();
        Rotation { cos, sin, n_rot: self.n_rot }
    }
}
