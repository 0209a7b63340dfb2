//! The forward pass, top to bottom. `n_tok` tokens go through together; `pos` tokens came before them.

use super::rope::Rope;
use super::weights::Weights;
use super::{Config, KvCache};
use crate::kernels::PackedMatrix;
use crate::ops::{
    Attention, GatedProjection, NormedProjection, Projection, ResidualProjection, Rotation, are_below, embed,
};
use crate::threads::Pool;
use crate::{Error, ErrorKind, Result};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;
use web_time::Instant;

/// A Llama model, ready to run.
#[derive(Debug)]
pub struct Llama {
    config: Config,
    token_embd: Arc<PackedMatrix>, // (n_vocab, n_embd), stays quantized: rows are looked up
    rope: Rope,
    blocks: Vec<Block>,
    output: NormedProjection, // to (n_tok, n_vocab); the embedding's own matrix where the file has no other
    pool: Arc<Pool>,
}

/// Which positions' logits [`Llama::forward`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    /// Every token's: `(n_tok, n_vocab)`.
    All,
    /// The last token's only: `(1, n_vocab)`.
    Last,
    /// Those of the tokens from this one on, possibly none.
    From(usize),
}

/// One layer, in the steps that it takes.
#[derive(Debug)]
struct Block {
    attn_qkv: NormedProjection,      // to (n_tok, (n_head + 2 · n_head_kv) · head_dim)
    attn_output: ResidualProjection, // to (n_tok, n_embd)
    ffn_gate_up: GatedProjection,    // to (n_tok, n_ff)
    ffn_down: ResidualProjection,    // to (n_tok, n_embd)
}

impl Llama {
    pub(super) fn new(config: Config, mut weights: Weights, pool: Arc<Pool>) -> Result<Self> {
        let factors = weights.take_optional_vector("rope_freqs.weight");
        if factors.iter().flatten().any(|&factor| factor <= 0.0) {
            return Err(Error::invalid_model("tensor `rope_freqs.weight` should hold positive numbers"));
        }
        let token_embd = weights.take("token_embd.weight")?;
        let output = weights.take_optional("output.weight").unwrap_or_else(|| token_embd.clone());
        let blocks = (0..config.n_layer)
            .map(|layer| Block::new(&mut weights, &config, layer, &pool))
            .collect::<Result<_>>()?;
        Ok(Self {
            token_embd,
            rope: Rope::new(&config, factors.as_deref()),
            blocks,
            output: NormedProjection {
                norm: weights.take_vector("output_norm.weight")?,
                eps: config.rms_eps,
                parts: vec![Projection { weight: output, bias: None }],
                pool: pool.clone(),
            },
            pool,
            config,
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The threads that it computes on.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs `ids` through the model behind the positions that `cache` holds, and adds theirs to it. Returns
    /// logits, `(n_tok, n_vocab)` or fewer rows as asked. After an error the cache holds what it held.
    ///
    /// # Errors
    /// `invalid_request` for no ids, one outside the vocabulary, or the cache of a model of another shape;
    /// `context_length_exceeded` if they do not fit; `invalid_model` if the weights are so large that numbers overflow;
    /// `out_of_memory` if the cache finds no room; `worker_lost` if a thread died.
    pub fn forward(&self, ids: &[u32], cache: &mut KvCache, logits: Logits) -> Result<Tensor> {
        self.check(ids, cache)?;
        let begun = Instant::now();
        // Candle's errors do not keep ours.
        let lost = |error| self.pool.check().err().unwrap_or(error);
        let logits = self.evaluate(ids, cache, logits).map_err(lost)?;
        cache.advance(ids.len());
        // A step that reads all weights.
        if ids.len() == 1 && logits.dim(0)? == 1 {
            self.pool.reading().observe(begun.elapsed());
        }
        Ok(logits)
    }

    fn evaluate(&self, ids: &[u32], cache: &mut KvCache, logits: Logits) -> Result<Tensor> {
        let (n_tok, pos) = (ids.len(), cache.len());
        let rotation = self.rope.at(pos, n_tok);
        cache.reserve(n_tok)?;

        let mut x = embed(&self.token_embd, ids)?; // (n_tok, n_embd)
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.attention(&self.config, layer, &x, &rotation, cache, &self.pool)?;
            x = block.feed_forward(&x)?;
        }

        let first = match logits {
            Logits::All => 0,
            Logits::Last => n_tok - 1,
            Logits::From(first) => first.min(n_tok),
        };
        if first == n_tok {
            return Ok(Tensor::zeros((0, self.config.n_vocab), DType::F32, &Device::Cpu)?);
        }
        let x = x.narrow(0, first, n_tok - first)?; // (n_tok - first, n_embd)
        let logits = x.apply_op1_no_bwd(&self.output)?;
        if are_below(&logits, f32::INFINITY)? { Ok(logits) } else { Err(overflow("the logits")) }
    }

    /// Drops the `n` positions from `begin` on from `cache`, and moves what came after them there: as if they had not been,
    /// but that what came after them has seen them.
    ///
    /// # Errors
    /// `invalid_request` if there are not so many, or for the cache of a model of another shape; `out_of_memory`. The
    /// cache holds what it held then.
    pub fn shift(&self, cache: &mut KvCache, begin: usize, n: usize) -> Result<()> {
        self.check_shape(cache)?;
        if begin.saturating_add(n) > cache.len() {
            return Err(Error::invalid_request(format!(
                "{n} positions from {begin} on should be dropped, but there are {}",
                cache.len()
            )));
        }
        cache.shift(begin, n, &self.rope.back(n))
    }

    fn check_shape(&self, cache: &KvCache) -> Result<()> {
        if cache.is_of(&self.config) {
            return Ok(());
        }
        Err(Error::invalid_request("the cache should be of a model of the same shape, but is of another"))
    }

    fn check(&self, ids: &[u32], cache: &KvCache) -> Result<()> {
        self.check_shape(cache)?;
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
    fn new(weights: &mut Weights, config: &Config, layer: usize, pool: &Arc<Pool>) -> Result<Self> {
        let mut normed = |norm: &str, parts: &[&str]| -> Result<NormedProjection> {
            let norm = weights.take_vector(&format!("blk.{layer}.{norm}.weight"))?;
            let parts = parts.iter().map(|part| projection(weights, layer, part)).collect::<Result<_>>()?;
            Ok(NormedProjection { norm, eps: config.rms_eps, parts, pool: pool.clone() })
        };
        let attn_qkv = normed("attn_norm", &["attn_q", "attn_k", "attn_v"])?;
        let ffn_gate_up = GatedProjection(normed("ffn_norm", &["ffn_gate", "ffn_up"])?);
        let mut residual = |name: &str| -> Result<ResidualProjection> {
            Ok(ResidualProjection { projection: projection(weights, layer, name)?, pool: pool.clone() })
        };
        Ok(Self {
            attn_qkv,
            ffn_gate_up,
            attn_output: residual("attn_output")?,
            ffn_down: residual("ffn_down")?,
        })
    }

    /// x + output(attention(qkv(norm(x))))
    fn attention(
        &self,
        config: &Config,
        layer: usize,
        x: &Tensor, // (n_tok, n_embd)
        rotation: &Rotation,
        cache: &mut KvCache,
        pool: &Pool,
    ) -> Result<Tensor> {
        let pos = cache.len();
        let qkv = x.apply_op1_no_bwd(&self.attn_qkv)?;
        let (heads, ty) = (config.heads(), cache.kv_type());
        if !are_below(&qkv, heads.bound(rotation, ty))? {
            return Err(overflow(&format!("the queries, keys or values of layer {layer}")));
        }
        cache.append(layer, &qkv, rotation, pool)?;
        let attention = Attention { heads, ty, blocks: cache.layer(layer), rotation, pos, pool };
        let seen = qkv.apply_op1_no_bwd(&attention)?; // (n_tok, n_head · head_dim)
        Ok(seen.apply_op2_no_bwd(x, &self.attn_output)?)
    }

    /// x + down(silu(gate(norm(x))) · up(norm(x)))
    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let gated = x.apply_op1_no_bwd(&self.ffn_gate_up)?; // (n_tok, n_ff)
        Ok(gated.apply_op2_no_bwd(x, &self.ffn_down)?)
    }
}

fn overflow(what: &str) -> Error {
    Error::invalid_model(format!("the weights are so large that {what} overflow"))
}

fn projection(weights: &mut Weights, layer: usize, name: &str) -> Result<Projection> {
    Ok(Projection {
        weight: weights.take(&format!("blk.{layer}.{name}.weight"))?,
        bias: weights.take_optional_vector(&format!("blk.{layer}.{name}.bias")),
    })
}
