//! The KV cache: keys and values of the positions seen so far, per layer `[kv_head][position][head_dim]`, f32.
//! Capacity grows by doubling up to the context, so a short chat pays for a short cache.

use super::Config;
use super::memory::room_for;
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Positions allocated at first.
const FIRST_CAPACITY: usize = 256;

/// Keys and values of the `len` positions that came before. [`truncate`](Self::truncate) forgets the last ones.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Layer>,
    n_ctx: usize,
    len: usize,
}

#[derive(Debug)]
struct Layer {
    k: Tensor, // (n_head_kv, capacity, head_dim)
    v: Tensor, // (n_head_kv, capacity, head_dim)
}

impl KvCache {
    /// An empty cache for at most `n_ctx` positions.
    ///
    /// # Errors
    /// `out_of_memory` if the first positions find no room.
    pub fn new(config: &Config, n_ctx: usize) -> Result<Self> {
        let shape = (config.n_head_kv, FIRST_CAPACITY.min(n_ctx), config.head_dim);
        let layer = || -> Result<Layer> { Ok(Layer { k: zeros(shape)?, v: zeros(shape)? }) };
        Ok(Self { layers: (0..config.n_layer).map(|_| layer()).collect::<Result<_>>()?, n_ctx, len: 0 })
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

    /// Writes one layer's `k` and `v`, `(n_head_kv, n_tok, head_dim)`, behind the positions held, and returns all
    /// keys and values of that layer, `(n_head_kv, len + n_tok, head_dim)`. The positions count as held only
    /// after [`advance`](Self::advance), when every layer has written them.
    pub(super) fn append(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let end = self.len + k.dim(1)?;
        let Layer { k: k_all, v: v_all } = &mut self.layers[layer];
        for (all, new) in [(&mut *k_all, k), (&mut *v_all, v)] {
            if end > all.dim(1)? {
                *all = grown(all, end.next_power_of_two().min(self.n_ctx))?;
            }
            all.slice_set(&new.contiguous()?, 1, self.len)?;
        }
        Ok((k_all.narrow(1, 0, end)?, v_all.narrow(1, 0, end)?))
    }

    pub(super) fn advance(&mut self, n_tok: usize) {
        self.len += n_tok;
    }
}

fn grown(old: &Tensor, capacity: usize) -> Result<Tensor> {
    let (n_head_kv, _, head_dim) = old.dims3()?;
    let new = zeros((n_head_kv, capacity, head_dim))?;
    new.slice_set(old, 1, 0)?;
    Ok(new)
}

fn zeros(shape: (usize, usize, usize)) -> Result<Tensor> {
    let (n_head_kv, capacity, head_dim) = shape;
    room_for("KV cache", n_head_kv * capacity * head_dim * size_of::<f32>())?;
    Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?)
}
