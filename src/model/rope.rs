//! Rotary position embedding in GGUF's NORM pairing: dimensions 2i and 2i+1 of a head turn together, by
//! `pos · freq_scale · freq_base^(-2i / n_rot) / factor[i]`.
//!
//! Sources: Su et al. 2021 (<https://arxiv.org/abs/2104.09864>). The factors are Llama 3.1's long-context
//! scaling, which a GGUF file carries as the tensor `rope_freqs.weight`. YaRN, which scales slow dimensions and leaves
//! fast ones: Peng et al. 2023 (<https://arxiv.org/abs/2309.00071>), as llama.cpp computes it.

use super::Config;
use super::config::Yarn;
use crate::ops::Rotation;

/// What a head is turned by, per position.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians per position, of each of the `n_rot / 2` pairs.
    freqs: Vec<f64>,
    /// What a rotated head is multiplied by.
    magnitude: f64,
    n_rot: usize,
}

impl Rope {
    /// `factors` are `rope_freqs.weight`, `n_rot / 2` of them, if the file has it.
    pub(super) fn new(config: &Config, factors: Option<&[f32]>) -> Self {
        let (base, scale) = (f64::from(config.rope_freq_base), f64::from(config.rope_freq_scale));
        let freqs = (0..config.n_rot / 2).map(|i| {
            let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
            let freq = base.powf(-2.0 * i as f64 / config.n_rot as f64) / factor;
            let kept = config.yarn.map_or(0.0, |yarn| kept(config, yarn, i));
            freq * (scale * (1.0 - kept) + kept)
        });
        let mut magnitude = f64::from(config.rope_attn_factor);
        if config.yarn.is_some() && scale < 1.0 {
            magnitude *= 1.0 - 0.1 * scale.ln();
        }
        Self { freqs: freqs.collect(), magnitude, n_rot: config.n_rot }
    }

    /// The rotation of positions `pos..pos + n_tok`; made once per call, used by every layer. Angles are computed in
    /// f64: at position 100 000 an f32 angle is off by 0.004 rad.
    pub(super) fn at(&self, pos: usize, n_tok: usize) -> Rotation {
        let angles = (pos..pos + n_tok).flat_map(|p| self.freqs.iter().map(move |freq| p as f64 * freq));
        let turns = angles.map(|angle| {
            let (sin, cos) = angle.sin_cos();
            ((self.magnitude * sin) as f32, (self.magnitude * cos) as f32)
        });
        Rotation::new(turns, self.n_rot)
    }

    /// What turns a key that was rotated for one position into that of `n` positions before.
    pub(super) fn back(&self, n: usize) -> Rotation {
        let turns = self.freqs.iter().map(|freq| {
            let (sin, cos) = (-(n as f64) * freq).sin_cos();
            (sin as f32, cos as f32)
        });
        Rotation::new(turns, self.n_rot)
    }
}

/// How much of its frequency pair `i` keeps: 1 where it turns more than `beta_fast` times within the original context, 0
/// where less than `beta_slow` times, and in between in proportion. In f32 as llama.cpp, whose bounds are whole numbers.
fn kept(config: &Config, yarn: Yarn, i: usize) -> f64 {
    let n_rot = config.n_rot as f32;
    let pair = |turns: f32| {
        let positions_per_radian = yarn.n_ctx_orig as f32 / (turns * 2.0 * std::f32::consts::PI);
        n_rot * positions_per_radian.ln() / (2.0 * config.rope_freq_base.ln())
    };
    let low = pair(yarn.beta_fast).floor().max(0.0);
    let high = pair(yarn.beta_slow).ceil().min(n_rot - 1.0);
    f64::from(1.0 - ((i as f32 - low) / (high - low).max(0.001)).clamp(0.0, 1.0))
}
