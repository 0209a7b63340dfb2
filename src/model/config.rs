//! The numbers that shape a Llama model, read from the file's metadata and checked against each other.

use crate::gguf::{Metadata, Value, keys};
use crate::ops::Heads;
use crate::{Error, Result};

/// The shape of a Llama model. Each field's line gives its GGUF key under the architecture's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `embedding_length`: width of the residual stream.
    pub n_embd: usize,
    /// `block_count`
    pub n_layer: usize,
    /// `feed_forward_length`
    pub n_ff: usize,
    /// `attention.head_count`: query heads.
    pub n_head: usize,
    /// `attention.head_count_kv`: key and value heads; each serves `n_head / n_head_kv` query heads.
    pub n_head_kv: usize,
    /// `attention.key_length`: width of one head.
    pub head_dim: usize,
    /// Length of `tokenizer.ggml.tokens`.
    pub n_vocab: usize,
    /// `context_length`: positions the model was trained on.
    pub n_ctx_train: usize,
    /// `rope.dimension_count`: dimensions of a head that are rotated.
    pub n_rot: usize,
    /// `rope.freq_base`
    pub rope_freq_base: f32,
    /// 1 / `rope.scaling.factor` where `rope.scaling.type` is `linear` or `yarn`, else 1: scales positions.
    pub rope_freq_scale: f32,
    /// `rope.scaling.attn_factor`: what rotated queries and keys are multiplied by.
    pub rope_attn_factor: f32,
    /// Where `rope.scaling.type` is `yarn`: which dimensions keep their frequency.
    pub yarn: Option<Yarn>,
    /// `attention.layer_norm_rms_epsilon`
    pub rms_eps: f32,
}

/// What YaRN needs besides the factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// `rope.scaling.original_context_length`: positions before the context was extended.
    pub n_ctx_orig: usize,
    /// `rope.scaling.yarn_beta_fast`: dimensions that turn more often than this within `n_ctx_orig` keep their frequency.
    pub beta_fast: f32,
    /// `rope.scaling.yarn_beta_slow`: dimensions that turn less often than this are scaled.
    pub beta_slow: f32,
}

/// llama.cpp's values for keys that old files leave out.
const DEFAULT_ROPE_FREQ_BASE: f32 = 10_000.0;
const DEFAULT_BETA_FAST: f32 = 32.0;
const DEFAULT_BETA_SLOW: f32 = 1.0;

/// Context where no other is asked for: what most chats need, at an eighth of the memory of 32 768.
const DEFAULT_N_CTX: usize = 4096;

impl Config {
    /// Weights of the blocks' matrices, of a model that is loaded: they are in memory, so that they can be counted.
    pub(crate) fn n_block_weights(&self) -> u64 {
        let Self { n_embd, n_layer, n_ff, n_head, n_head_kv, head_dim, .. } = *self;
        let rows = 2 * (n_head + n_head_kv) * head_dim + 3 * n_ff; // of n_embd, or as many columns
        n_layer as u64 * n_embd as u64 * rows as u64
    }

    /// Reads the shape from `metadata`.
    ///
    /// # Errors
    /// `unsupported_model` for another architecture than `llama`, experts, layers of different shapes, or a RoPE scaling
    /// other than linear and YaRN; `invalid_model` for a key that is missing, of the wrong type, or at odds with another.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let architecture = metadata.str(keys::GENERAL_ARCHITECTURE)?;
        if architecture != "llama" {
            return Err(Error::unsupported_model(format!(
                "`{}` is `{architecture}`; Tallow runs `llama`",
                keys::GENERAL_ARCHITECTURE
            )));
        }
        let key = |name: &str| keys::arch(architecture, name);
        let count = |name: &str| positive(metadata, &key(name));
        let count_or = |name: &str, default: usize| {
            if metadata.contains(&key(name)) { positive(metadata, &key(name)) } else { Ok(default) }
        };

        let expert_count = key(keys::EXPERT_COUNT);
        if metadata.contains(&expert_count) && metadata.u32(&expert_count)? > 0 {
            return Err(Error::unsupported_model(format!(
                "`{expert_count}` is {}; mixtures of experts are not supported",
                metadata.u32(&expert_count)?
            )));
        }

        let n_layer = count(keys::BLOCK_COUNT)?;
        let of_layers = |name: &str| of_all_layers(metadata, &key(name), n_layer);
        let n_embd = count(keys::EMBEDDING_LENGTH)?;
        let n_head = of_layers(keys::HEAD_COUNT)?;
        let n_head_kv = if metadata.contains(&key(keys::HEAD_COUNT_KV)) {
            of_layers(keys::HEAD_COUNT_KV)?
        } else {
            n_head
        };
        if !n_head.is_multiple_of(n_head_kv) {
            return Err(Error::invalid_model(format!(
                "`{}` should divide the {n_head} query heads, but is {n_head_kv}",
                key(keys::HEAD_COUNT_KV)
            )));
        }
        if !metadata.contains(&key(keys::KEY_LENGTH)) && !n_embd.is_multiple_of(n_head) {
            return Err(Error::invalid_model(format!(
                "`{}` is missing and the width {n_embd} is no multiple of {n_head} heads",
                key(keys::KEY_LENGTH)
            )));
        }
        let head_dim = count_or(keys::KEY_LENGTH, n_embd / n_head)?;
        // Their product is the width of a tensor, which on wasm32 must not wrap.
        if n_head as u64 * head_dim as u64 > MAX_COUNT as u64 {
            return Err(Error::invalid_model(format!(
                "{n_head} heads of width {head_dim} are wider than {MAX_COUNT}"
            )));
        }
        let value_length = count_or(keys::VALUE_LENGTH, head_dim)?;
        if value_length != head_dim {
            return Err(Error::unsupported_model(format!(
                "`{}` is {value_length}, but keys are {head_dim} wide; both must be the same",
                key(keys::VALUE_LENGTH)
            )));
        }
        let n_rot = count_or(keys::ROPE_DIMENSION_COUNT, head_dim)?;
        if n_rot > head_dim || !n_rot.is_multiple_of(2) {
            return Err(Error::invalid_model(format!(
                "`{}` should be even and at most {head_dim}, but is {n_rot}",
                key(keys::ROPE_DIMENSION_COUNT)
            )));
        }

        let number_or = |name: &str, default: f32| {
            if metadata.contains(&key(name)) { positive_f32(metadata, &key(name)) } else { Ok(default) }
        };
        let n_ctx_train = count(keys::CONTEXT_LENGTH)?;
        let (rope_freq_scale, is_yarn) = rope_scaling(metadata, architecture)?;
        let yarn = || -> Result<Yarn> {
            Ok(Yarn {
                n_ctx_orig: count_or(keys::ROPE_SCALING_ORIGINAL_CONTEXT, n_ctx_train)?,
                beta_fast: number_or(keys::ROPE_SCALING_BETA_FAST, DEFAULT_BETA_FAST)?,
                beta_slow: number_or(keys::ROPE_SCALING_BETA_SLOW, DEFAULT_BETA_SLOW)?,
            })
        };

        Ok(Self {
            n_embd,
            n_layer,
            n_ff: of_layers(keys::FEED_FORWARD_LENGTH)?,
            n_head,
            n_head_kv,
            head_dim,
            n_vocab: metadata.strings(keys::TOKENIZER_TOKENS)?.len(),
            n_ctx_train,
            n_rot,
            rope_freq_base: number_or(keys::ROPE_FREQ_BASE, DEFAULT_ROPE_FREQ_BASE)?,
            rope_freq_scale,
            rope_attn_factor: number_or(keys::ROPE_SCALING_ATTN_FACTOR, 1.0)?,
            yarn: is_yarn.then(yarn).transpose()?,
            rms_eps: positive_f32(metadata, &key(keys::RMS_EPSILON))?,
        })
    }

    /// The context to make room for where `wanted` tokens are asked for; by default what the model was trained on, 4096 at
    /// most.
    ///
    /// # Errors
    /// `invalid_request` if it is 0 or more than the model was trained on.
    pub fn n_ctx(&self, wanted: Option<usize>) -> Result<usize> {
        let n_ctx = wanted.unwrap_or(DEFAULT_N_CTX.min(self.n_ctx_train));
        if n_ctx == 0 || n_ctx > self.n_ctx_train {
            return Err(Error::invalid_request(format!(
                "the context length should be in 1..={}, got {n_ctx}",
                self.n_ctx_train
            )));
        }
        Ok(n_ctx)
    }

    pub(super) fn heads(&self) -> Heads {
        Heads { n_head: self.n_head, n_head_kv: self.n_head_kv, head_dim: self.head_dim }
    }

    /// Width of all query heads side by side.
    pub fn n_embd_q(&self) -> usize {
        self.n_head * self.head_dim
    }

    /// Width of all key heads side by side.
    pub fn n_embd_kv(&self) -> usize {
        self.n_head_kv * self.head_dim
    }
}

#[cfg(test)]
impl Config {
    /// Two layers of heads, `n_head` for queries and `n_head_kv` for keys, each `head_dim` wide.
    pub(crate) fn of_heads(n_head: usize, n_head_kv: usize, head_dim: usize) -> Self {
        Self {
            n_embd: 16,
            n_layer: 2,
            n_ff: 16,
            n_head,
            n_head_kv,
            head_dim,
            n_vocab: 300,
            n_ctx_train: 1024,
            n_rot: 8,
            rope_freq_base: 10_000.0,
            rope_freq_scale: 1.0,
            rope_attn_factor: 1.0,
            yarn: None,
            rms_eps: 1e-5,
        }
    }
}

/// What positions are multiplied by, and whether YaRN says of which dimensions.
fn rope_scaling(metadata: &Metadata, architecture: &str) -> Result<(f32, bool)> {
    let type_key = keys::arch(architecture, keys::ROPE_SCALING_TYPE);
    let scaling = if metadata.contains(&type_key) { metadata.str(&type_key)? } else { "linear" };
    let is_yarn = match scaling {
        "none" => return Ok((1.0, false)),
        "linear" => false,
        "yarn" => true,
        other => {
            return Err(Error::unsupported_model(format!(
                "`{type_key}` is `{other}`; Tallow scales positions `linear`, by `yarn` or not at all"
            )));
        }
    };
    for name in [keys::ROPE_SCALING_FACTOR, keys::ROPE_SCALE_LINEAR] {
        let key = keys::arch(architecture, name);
        // llama.cpp reads a factor of 0 as "not scaled".
        if metadata.contains(&key) && metadata.f32(&key)? != 0.0 {
            let factor = positive_f32(metadata, &key)?;
            if factor < f32::MIN_POSITIVE {
                return Err(Error::invalid_model(format!(
                    "metadata key `{key}` should be at least {:e}, but is {factor:e}",
                    f32::MIN_POSITIVE
                )));
            }
            return Ok((1.0 / factor, is_yarn));
        }
    }
    Ok((1.0, is_yarn))
}

/// An upper bound for every count of a model's shape, far beyond any model's.
const MAX_COUNT: usize = 1 << 20;

fn positive(metadata: &Metadata, key: &str) -> Result<usize> {
    positive_count(key, metadata.u32(key)?.into())
}

fn positive_count(key: &str, count: i128) -> Result<usize> {
    // A context length is no dimension of any tensor: some files state ten million.
    let most = if key.ends_with(keys::CONTEXT_LENGTH) { u32::MAX as usize } else { MAX_COUNT };
    match usize::try_from(count) {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => {
            Err(Error::invalid_model(format!("metadata key `{key}` should be in 1..={most}, but is {count}")))
        }
    }
}

/// A count that layers have: one for all, or, as some writers have it, one for each, which must be the same.
fn of_all_layers(metadata: &Metadata, key: &str, n_layer: usize) -> Result<usize> {
    let Some(Value::Array(array)) = metadata.get(key) else { return positive(metadata, key) };
    let counts = array.integers().filter(|counts| counts.len() == n_layer).ok_or_else(|| {
        Error::invalid_model(format!(
            "metadata key `{key}` should be a u32, or hold one for each of {n_layer} layers, but is an {} of length {}",
            metadata.get(key).map_or("array", Value::type_name),
            array.len()
        ))
    })?;
    if let Some(other) = counts.iter().find(|&count| *count != counts[0]) {
        return Err(Error::unsupported_model(format!(
            "`{key}` is {} in one layer and {other} in another; Tallow runs models whose layers are alike",
            counts[0]
        )));
    }
    positive_count(key, counts[0])
}

fn positive_f32(metadata: &Metadata, key: &str) -> Result<f32> {
    match metadata.f32(key)? {
        value if value > 0.0 && value.is_finite() => Ok(value),
        value => Err(Error::invalid_model(format!(
            "metadata key `{key}` should be positive and finite, but is {value}"
        ))),
    }
}
