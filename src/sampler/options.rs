//! How the next token is chosen, in llama.cpp's words; what is out of range is refused by name.

use crate::{Error, Result};

/// How the next token is chosen. The default is OpenAI's: temperature 1, everything else off.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerOptions {
    /// 0 takes the most probable token, 1 draws as the model says, more is flatter. At least 0.
    pub temperature: f32,
    /// The temperature varies by this much around `temperature`, with the entropy of what is left; 0: not at all.
    pub dynatemp_range: f32,
    /// How the entropy becomes a temperature: its part of the largest one possible, to this power.
    pub dynatemp_exponent: f32,
    /// Only the `top_k` most probable tokens; 0 means all.
    pub top_k: usize,
    /// Only the most probable tokens that together reach `top_p`, in [0, 1]; 1 means all.
    pub top_p: f32,
    /// Only tokens at least `min_p` times as probable as the most probable one, in [0, 1]; 0 means all.
    pub min_p: f32,
    /// Only the tokens whose surprise is nearest to the expected one and that together exceed `typical_p`, in [0, 1];
    /// 1 means all.
    pub typical_p: f32,
    /// Only tokens with a logit at most so many standard deviations below the largest; 0 means all.
    pub top_n_sigma: f32,
    /// With this probability, in [0, 1], all tokens of at least `xtc_threshold` but the least probable of them are
    /// left out.
    pub xtc_probability: f32,
    /// In [0, 1]; above 0.5 there can be no two such tokens.
    pub xtc_threshold: f32,
    /// `typical_p`, `top_p`, `min_p` and `xtc` leave at least so many tokens.
    pub min_keep: usize,
    /// Positive logits of recent tokens are divided by it, others multiplied; above 0, 1 means off.
    pub repeat_penalty: f32,
    /// Is subtracted from a recent token's logit for each time it is there; 0 means off.
    pub frequency_penalty: f32,
    /// Is subtracted from a recent token's logit; 0 means off.
    pub presence_penalty: f32,
    /// How many tokens are recent to the three penalties, the prompt's included; -1 means the context.
    pub repeat_last_n: i32,
    /// DRY: a token that would go on with a repetition of n tokens has
    /// `dry_multiplier · dry_base^(n - dry_allowed_length)` subtracted from its logit; 0 means off.
    pub dry_multiplier: f32,
    /// At least 1.
    pub dry_base: f32,
    /// How many tokens may be repeated without a penalty.
    pub dry_allowed_length: usize,
    /// How many tokens are looked through for repetitions, the prompt's included; -1 means the context.
    pub dry_penalty_last_n: i32,
    /// Texts that no repetition goes beyond, of at most 40 bytes.
    pub dry_sequence_breakers: Vec<String>,
    /// Draws at a surprise that is held near `mirostat_tau`, in place of all that cuts and of the penalties.
    pub mirostat: Mirostat,
    /// The surprise aimed at, in bits.
    pub mirostat_tau: f32,
    /// How fast it is corrected.
    pub mirostat_eta: f32,
    /// Is added to the logits of these tokens, before everything else.
    pub logit_bias: Vec<(u32, f32)>,
    /// The same seed, options and prompt give the same answer.
    pub seed: u64,
}

/// The version of the algorithm; in JSON 0, 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u8")]
pub enum Mirostat {
    /// The other samplers draw.
    Off,
    /// Cuts at a rank, estimated by Zipf's law.
    V1,
    /// Cuts at a surprise.
    V2,
}

impl TryFrom<u8> for Mirostat {
    type Error = Error;

    fn try_from(version: u8) -> Result<Self> {
        match version {
            0 => Ok(Self::Off),
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            _ => Err(Error::invalid_request(format!("`mirostat` should be 0, 1 or 2, got {version}"))),
        }
    }
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            top_n_sigma: 0.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            min_keep: 0,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repeat_last_n: 64,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_penalty_last_n: -1,
            dry_sequence_breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
            mirostat: Mirostat::Off,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

/// llama.cpp cuts longer ones off.
const MAX_BREAKER: usize = 40;

impl SamplerOptions {
    pub(super) fn check(&self, n_vocab: usize) -> Result<()> {
        let at_least_0 = |value: f32| value >= 0.0 && value.is_finite();
        let within_1 = |value: f32| (0.0..=1.0).contains(&value);
        for (name, value, good, expected) in [
            ("temperature", self.temperature, at_least_0(self.temperature), "at least 0"),
            ("dynatemp_range", self.dynatemp_range, at_least_0(self.dynatemp_range), "at least 0"),
            ("dynatemp_exponent", self.dynatemp_exponent, at_least_0(self.dynatemp_exponent), "at least 0"),
            ("top_p", self.top_p, within_1(self.top_p), "in [0, 1]"),
            ("min_p", self.min_p, within_1(self.min_p), "in [0, 1]"),
            ("typical_p", self.typical_p, within_1(self.typical_p), "in [0, 1]"),
            ("top_n_sigma", self.top_n_sigma, at_least_0(self.top_n_sigma), "at least 0"),
            ("xtc_probability", self.xtc_probability, within_1(self.xtc_probability), "in [0, 1]"),
            ("xtc_threshold", self.xtc_threshold, within_1(self.xtc_threshold), "in [0, 1]"),
            (
                "repeat_penalty",
                self.repeat_penalty,
                at_least_0(self.repeat_penalty) && self.repeat_penalty > 0.0,
                "above 0",
            ),
            ("frequency_penalty", self.frequency_penalty, self.frequency_penalty.is_finite(), "finite"),
            ("presence_penalty", self.presence_penalty, self.presence_penalty.is_finite(), "finite"),
            ("dry_multiplier", self.dry_multiplier, at_least_0(self.dry_multiplier), "at least 0"),
            ("dry_base", self.dry_base, at_least_0(self.dry_base) && self.dry_base >= 1.0, "at least 1"),
            ("mirostat_tau", self.mirostat_tau, at_least_0(self.mirostat_tau), "at least 0"),
            ("mirostat_eta", self.mirostat_eta, at_least_0(self.mirostat_eta), "at least 0"),
        ] {
            if !good {
                return Err(Error::invalid_request(format!("`{name}` should be {expected}, got {value}")));
            }
        }
        for (name, last_n) in
            [("repeat_last_n", self.repeat_last_n), ("dry_penalty_last_n", self.dry_penalty_last_n)]
        {
            if last_n < -1 {
                return Err(Error::invalid_request(format!("`{name}` should be at least -1, got {last_n}")));
            }
        }
        for breaker in &self.dry_sequence_breakers {
            if breaker.is_empty() || breaker.len() > MAX_BREAKER {
                return Err(Error::invalid_request(format!(
                    "`dry_sequence_breakers` should have 1 to {MAX_BREAKER} bytes each, but one has {}",
                    breaker.len()
                )));
            }
        }
        for &(id, bias) in &self.logit_bias {
            if id as usize >= n_vocab {
                return Err(Error::invalid_request(format!(
                    "`logit_bias` should name tokens below {n_vocab}, but one is {id}"
                )));
            }
            if !bias.is_finite() {
                return Err(Error::invalid_request(format!(
                    "`logit_bias` should be finite, but that of token {id} is {bias}"
                )));
            }
        }
        Ok(())
    }

    /// Whether the most probable token is what is drawn, whatever else: none of the other samplers cuts it off.
    pub(super) fn takes_the_largest(&self) -> bool {
        self.temperature == 0.0
            && self.dynatemp_range == 0.0
            && self.typical_p >= 1.0
            && (self.xtc_probability == 0.0 || self.xtc_threshold > 0.5)
            && self.mirostat == Mirostat::Off
    }

    /// Whether nothing is cut off.
    pub(super) fn draws_from_all(&self) -> bool {
        self.temperature > 0.0
            && self.dynatemp_range == 0.0
            && self.top_k == 0
            && self.top_p >= 1.0
            && self.min_p == 0.0
            && self.typical_p >= 1.0
            && self.top_n_sigma == 0.0
            && (self.xtc_probability == 0.0 || self.xtc_threshold > 0.5)
            && self.mirostat == Mirostat::Off
    }
}

/// How many tokens back `last_n` reaches.
pub(super) fn window(last_n: i32, n_ctx: usize) -> usize {
    usize::try_from(last_n).unwrap_or(n_ctx)
}
