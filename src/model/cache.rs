//! The KV cache: keys and values of the positions seen so far, per layer `[kv_head][position][head_dim]`, f16.
//! Capacity grows by doubling up to the context, so a short chat pays for a short cache.

use super::Config;
use super::memory::room_for;
use crate::Result;
use crate::ops::{Append, Heads, Part, Rotation};
use candle_core::{DType, Device, Tensor};
use half::f16;

/// Positions allocated at first.
const FIRST_CAPACITY: usize = 256;

/// Keys and values of the `len` positions that came before. [`truncate`](Self::truncate) forgets the last ones.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Layer>,
    heads: Heads,
    n_ctx: usize,
    len: usize,
}

/// One layer's keys and values, each `(n_head_kv, capacity, width)`, f16.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) k: Tensor,
    pub(super) v: Tensor,
}

impl KvCache {
    /// An empty cache for at most `n_ctx` positions.
    ///
    /// # Errors
    /// `out_of_memory` if the first positions find no room.
    pub fn new(config: &Config, n_ctx: usize) -> Result<Self> {
        let heads = config.heads();
        let shape = (heads.n_head_kv, FIRST_CAPACITY.min(n_ctx), heads.width());
        let layer = || -> Result<Layer> { Ok(Layer { k: zeros(shape)?, v: zeros(shape)? }) };
        let layers = (0..config.n_layer).map(|_| layer()).collect::<Result<_>>()?;
        Ok(Self { layers, heads, n_ctx, len: 0 })
    }

    /// Bytes that `n_ctx` positions take.
    pub fn n_bytes(config: &Config, n_ctx: usize) -> u64 {
        let heads = config.heads();
        let position = 2 * config.n_layer * heads.n_head_kv * heads.width() * size_of::<f16>();
        (position as u64).saturating_mul(n_ctx as u64)
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that can be held at most.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Forgets all but the first `len` positions; does nothing where fewer are held.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes one layer's keys and values of `qkv`, `(n_tok, (n_head + 2 · n_head_kv) · head_dim)`, behind the
    /// positions held, and returns the layer. The positions count as held only after [`advance`](Self::advance), when
    /// every layer has written them.
    pub(super) fn append(&mut self, layer: usize, qkv: &Tensor, rotation: &Rotation) -> Result<&Layer> {
        let end = self.len + qkv.dim(0)?;
        let layer = &mut self.layers[layer];
        for (part, all) in [(Part::Keys, &mut layer.k), (Part::Values, &mut layer.v)] {
            if end > all.dim(1)? {
                *all = grown(all, end.next_power_of_two().min(self.n_ctx))?;
            }
            all.inplace_op2(qkv, &Append { heads: self.heads, part, rotation, pos: self.len })?;
        }
        Ok(layer)
    }

    pub(super) fn advance(&mut self, n_tok: usize) {
        self.len += n_tok;
    }
}

fn grown(old: &Tensor, capacity: usize) -> Result<Tensor> {
    let (n_head_kv, _, width) = old.dims3()?;
    let new = zeros((n_head_kv, capacity, width))?;
    new.slice_set(old, 1, 0)?;
    Ok(new)
}

fn zeros(shape: (usize, usize, usize)) -> Result<Tensor> {
    let (n_head_kv, capacity, width) = shape;
    room_for("KV cache", n_head_kv * capacity * width * size_of::<f16>())?;
    Ok(Tensor::zeros(shape, DType::F16, &Device::Cpu)?)
}
