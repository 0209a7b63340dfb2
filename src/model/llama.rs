//! The forward pass, top to bottom. `n_tok` tokens go through together; `pos` tokens came before them.

use super::memory::room_for;
use super::rope::{Rope, Rotation};
use super::weights::Weights;
use super::{Config, KvCache};
use crate::ops::Q4_1Linear;
use crate::{Error, ErrorKind, Result};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use candle_nn::ops::{rms_norm, softmax_last_dim};
use std::sync::Arc;

/// A Llama model, ready to run.
#[derive(Debug)]
pub struct Llama {
    config: Config,
    token_embd: Arc<QTensor>, // (n_vocab, n_embd), stays quantized: rows are looked up
    rope: Rope,
    blocks: Vec<Block>,
    output_norm: Norm,
    output: Linear, // (n_vocab, n_embd), the embedding's own matrix where the file has no other
}

/// Which positions' logits [`Llama::forward`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    /// Every token's: `(n_tok, n_vocab)`.
    All,
    /// The last token's only: `(1, n_vocab)`.
    Last,
}

#[derive(Debug)]
struct Block {
    attn_norm: Norm,
    attn_q: Linear,
    attn_k: Linear,
    attn_v: Linear,
    attn_output: Linear,
    ffn_norm: Norm,
    ffn_gate: Linear,
    ffn_up: Linear,
    ffn_down: Linear,
}

impl Llama {
    pub(super) fn new(config: Config, mut weights: Weights) -> Result<Self> {
        let factors = match weights.take_optional("rope_freqs.weight") {
            Some(factors) => Some(factors.dequantize(&Device::Cpu)?.to_vec1::<f32>()?),
            None => None,
        };
        if factors.iter().flatten().any(|&factor| !(factor.is_finite() && factor > 0.0)) {
            return Err(Error::invalid_model(
                "tensor `rope_freqs.weight` should hold positive finite numbers",
            ));
        }
        let token_embd = Arc::new(weights.take("token_embd.weight")?);
        let output = weights.take_optional("output.weight").map_or_else(|| token_embd.clone(), Arc::new);
        let blocks = (0..config.n_layer)
            .map(|layer| Block::new(&mut weights, &config, layer))
            .collect::<Result<_>>()?;
        Ok(Self {
            token_embd,
            rope: Rope::new(&config, factors.as_deref()),
            blocks,
            output_norm: Norm::new(weights.take("output_norm.weight")?, &config)?,
            output: Linear { weight: Weight::new(output)?, bias: None },
            config,
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs `ids` through the model behind the positions that `cache` holds, and adds theirs to it. Returns
    /// logits, `(n_tok, n_vocab)` or `(1, n_vocab)` as asked. After an error the cache holds what it held.
    ///
    /// # Errors
    /// `invalid_request` for no ids or one outside the vocabulary; `context_length_exceeded` if they do not fit.
    pub fn forward(&self, ids: &[u32], cache: &mut KvCache, logits: Logits) -> Result<Tensor> {
        let (n_tok, pos) = (ids.len(), cache.len());
        self.check(ids, cache)?;
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let rotation = self.rope.at(pos, n_tok)?;
        let mask = causal_mask(pos, n_tok)?;

        let mut x = self.token_embd.embedding(&ids)?; // (n_tok, n_embd)
        for (layer, block) in self.blocks.iter().enumerate() {
            let attended = block.attention(&self.config, layer, &x, &rotation, mask.as_ref(), cache)?;
            x = (x + attended)?;
            x = (&x + block.feed_forward(&x)?)?;
        }
        cache.advance(n_tok);

        if logits == Logits::Last {
            x = x.narrow(0, n_tok - 1, 1)?; // (1, n_embd)
        }
        self.output.forward(&self.output_norm.forward(&x.contiguous()?)?)
    }

    fn check(&self, ids: &[u32], cache: &KvCache) -> Result<()> {
        if ids.is_empty() {
            return Err(Error::invalid_request("there should be at least one token"));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.n_vocab) {
            return Err(Error::invalid_request(format!(
                "token ids should be below {}, but one is {id}",
                self.config.n_vocab
            )));
        }
        let wanted = cache.len() + ids.len();
        if wanted > cache.n_ctx() {
            return Err(Error::new(
                ErrorKind::ContextLengthExceeded,
                format!("{wanted} tokens do not fit a context of {}", cache.n_ctx()),
            ));
        }
        Ok(())
    }
}

impl Block {
    fn new(weights: &mut Weights, config: &Config, layer: usize) -> Result<Self> {
        let mut norm = |name: &str| Norm::new(weights.take(&format!("blk.{layer}.{name}.weight"))?, config);
        let (attn_norm, ffn_norm) = (norm("attn_norm")?, norm("ffn_norm")?);
        let mut linear = |name: &str| {
            Linear::new(
                weights.take(&format!("blk.{layer}.{name}.weight"))?,
                weights.take_optional(&format!("blk.{layer}.{name}.bias")),
            )
        };
        Ok(Self {
            attn_norm,
            attn_q: linear("attn_q")?,
            attn_k: linear("attn_k")?,
            attn_v: linear("attn_v")?,
            attn_output: linear("attn_output")?,
            ffn_norm,
            ffn_gate: linear("ffn_gate")?,
            ffn_up: linear("ffn_up")?,
            ffn_down: linear("ffn_down")?,
        })
    }

    /// Grouped-query attention. The query heads of one key/value head are rows of one matrix, so keys and values
    /// are never repeated.
    fn attention(
        &self,
        config: &Config,
        layer: usize,
        x: &Tensor, // (n_tok, n_embd)
        rotation: &Rotation,
        mask: Option<&Tensor>, // (n_tok, pos + n_tok)
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let Config { n_head, n_head_kv, head_dim, .. } = *config;
        let n_tok = x.dim(0)?;
        let n_group = n_head / n_head_kv;

        let x = self.attn_norm.forward(x)?;
        // (n_tok, n · head_dim) -> (n, n_tok, head_dim)
        let heads =
            |x: Tensor, n: usize| -> Result<Tensor> { Ok(x.reshape((n_tok, n, head_dim))?.transpose(0, 1)?) };
        let q = rotation.apply(&heads(self.attn_q.forward(&x)?, n_head)?)?;
        let k = rotation.apply(&heads(self.attn_k.forward(&x)?, n_head_kv)?)?;
        let v = heads(self.attn_v.forward(&x)?, n_head_kv)?;
        let (k, v) = cache.append(layer, &k, &v)?; // (n_head_kv, n_ctx_used, head_dim)
        let n_used = k.dim(1)?;

        let q = q.reshape((n_head_kv, n_group * n_tok, head_dim))?;
        let q = (q * (1.0 / (head_dim as f64).sqrt()))?;
        let mut scores = q.matmul(&k.t()?)?; // (n_head_kv, n_group · n_tok, n_used)
        if let Some(mask) = mask {
            scores = scores.reshape((n_head, n_tok, n_used))?.broadcast_add(mask)?;
            scores = scores.reshape((n_head_kv, n_group * n_tok, n_used))?;
        }
        let y = softmax_last_dim(&scores)?.matmul(&v)?; // (n_head_kv, n_group · n_tok, head_dim)
        let y = y.reshape((n_head, n_tok, head_dim))?.transpose(0, 1)?.reshape((n_tok, n_head * head_dim))?;
        self.attn_output.forward(&y)
    }

    /// down(silu(gate(x)) · up(x))
    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.ffn_norm.forward(x)?;
        let gate = self.ffn_gate.forward(&x)?.silu()?; // (n_tok, n_ff)
        self.ffn_down.forward(&(gate * self.ffn_up.forward(&x)?)?)
    }
}

/// Nothing for one token, which may see all; else 0 where a token sees a position and -inf where it does not.
fn causal_mask(pos: usize, n_tok: usize) -> Result<Option<Tensor>> {
    if n_tok == 1 {
        return Ok(None);
    }
    let n_used = pos + n_tok;
    let sees = |row: usize, column: usize| if column <= pos + row { 0.0 } else { f32::NEG_INFINITY };
    let mask: Vec<f32> =
        (0..n_tok).flat_map(|row| (0..n_used).map(move |column| sees(row, column))).collect();
    Ok(Some(Tensor::from_vec(mask, (n_tok, n_used), &Device::Cpu)?))
}

/// x · weightᵀ + bias, with the weight `(n_out, n_in)` quantized as in the file.
#[derive(Debug)]
struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

/// A type with a kernel of ours, or any that Candle multiplies.
#[derive(Debug)]
enum Weight {
    Q4_1(Q4_1Linear),
    Candle(QMatMul),
}

impl Linear {
    fn new(weight: QTensor, bias: Option<QTensor>) -> Result<Self> {
        let bias = bias.map(|bias| bias.dequantize(&Device::Cpu)).transpose()?;
        Ok(Self { weight: Weight::new(Arc::new(weight))?, bias })
    }

    /// (n_tok, n_in) -> (n_tok, n_out)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.weight {
            Weight::Q4_1(weight) => x.apply_op1_no_bwd(weight)?,
            Weight::Candle(weight) => weight.forward(x)?,
        };
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}

impl Weight {
    fn new(weight: Arc<QTensor>) -> Result<Self> {
        match weight.dtype() {
            GgmlDType::Q4_1 => return Ok(Self::Q4_1(Q4_1Linear::new(weight)?)),
            // Candle multiplies these as f32, of which it makes a copy.
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                room_for("weights as f32", weight.shape().elem_count().saturating_mul(size_of::<f32>()))?;
            }
            _ => {}
        }
        Ok(Self::Candle(QMatMul::from_arc(weight)?))
    }
}

/// x · weight / sqrt(mean(x²) + eps). Source: Zhang and Sennrich 2019 (<https://arxiv.org/abs/1910.07467>).
#[derive(Debug)]
struct Norm {
    weight: Tensor, // (n_embd)
    eps: f32,
}

impl Norm {
    fn new(weight: QTensor, config: &Config) -> Result<Self> {
        Ok(Self { weight: weight.dequantize(&Device::Cpu)?, eps: config.rms_eps })
    }

    /// (n_tok, n_embd) -> (n_tok, n_embd)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(rms_norm(x, &self.weight, self.eps)?)
    }
}
