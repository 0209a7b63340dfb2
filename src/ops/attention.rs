//! Grouped-query attention over a cache of keys and values, and what goes into the cache.
//!
//! The cache holds blocks of positions. A layer's part of one is `(2, n_head_kv, KV_BLOCK, width)`, keys before values:
//! the width of a head padded with zeros to what the kernels want, numbers as its [`KvType`] holds them. Queries, keys and
//! values come side by side, as one projection makes them, (n_tok, (n_head + 2 · n_head_kv) · head_dim).

use super::{lost, slice};
use crate::kernels::{self, Attend, HEAD_MULTIPLE, KV_BLOCK, KvBlock, KvType, Output, query_scale};
use crate::threads::Pool;
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Storage, Tensor};

/// Tokens whose queries see a key/value head together: enough to widen its halves once for many, few enough that threads
/// have something to share.
const TOKENS_AT_ONCE: usize = 8;

/// How heads lie side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) n_head: usize,
    pub(crate) n_head_kv: usize,
    pub(crate) head_dim: usize,
}

/// What the pairs 2i and 2i + 1 of a head are turned by at each of `n_tok` positions: cosines twice, and sines first
/// negative and then positive, as [`kernels::rotate`] wants them.
#[derive(Debug)]
pub(crate) struct Rotation {
    cos: Vec<f32>, // (n_tok, n_rot)
    sin: Vec<f32>, // (n_tok, n_rot)
    n_rot: usize,
}

/// Writes the keys, rotated, and the values of `n_tok` tokens behind the `pos` positions that the cache holds.
#[derive(Debug)]
pub(crate) struct Append<'a> {
    pub(crate) heads: Heads,
    pub(crate) ty: KvType,
    pub(crate) rotation: &'a Rotation,
    pub(crate) pos: usize,
}

/// softmax(q · kᵀ / sqrt(head_dim)) · v, where a token sees itself and what came before: to
/// `(n_tok, n_head · head_dim)`. `pos` positions came before the first token.
#[derive(Debug)]
pub(crate) struct Attention<'a> {
    pub(crate) heads: Heads,
    pub(crate) ty: KvType,
    /// A layer's part of each block.
    pub(crate) blocks: Vec<&'a [u8]>,
    pub(crate) rotation: &'a Rotation,
    pub(crate) pos: usize,
    pub(crate) pool: &'a Pool,
}

impl Heads {
    /// The width of a head in the cache.
    pub(crate) fn width(&self) -> usize {
        self.head_dim.next_multiple_of(HEAD_MULTIPLE)
    }

    /// The width of a row of queries, keys and values.
    fn row(&self) -> usize {
        (self.n_head + 2 * self.n_head_kv) * self.head_dim
    }

    /// Bytes of a layer's part of a block.
    pub(crate) fn block_bytes(&self, ty: KvType) -> usize {
        2 * self.n_head_kv * KV_BLOCK * ty.row_bytes(self.width())
    }
}

impl Rotation {
    /// By the sines and cosines of `n_rot / 2` angles for each token.
    pub(crate) fn new(turns: impl Iterator<Item = (f32, f32)>, n_rot: usize) -> Self {
        let (cos, sin): (Vec<_>, Vec<_>) = turns.map(|(sin, cos)| ([cos, cos], [-sin, sin])).unzip();
        Self { cos: cos.into_flattened(), sin: sin.into_flattened(), n_rot }
    }

    /// Turns the pairs 2i and 2i + 1 of token `tok`'s `head`.
    pub(crate) fn turn(&self, tok: usize, head: &mut [f32]) {
        let of_tok = tok * self.n_rot..(tok + 1) * self.n_rot;
        kernels::rotate(&mut head[..self.n_rot], &self.cos[of_tok.clone()], &self.sin[of_tok]);
    }
}

fn misfit(what: &str, layout: &Layout) -> Error {
    Error::Msg(format!("{what} do not fit {layout:?}"))
}

impl Append<'_> {
    /// From `rows` to a layer's part of each block from the one on that `pos` lies in.
    pub(crate) fn run(&self, rows: &Tensor, blocks: &mut [&mut [u8]]) -> Result<()> {
        let Heads { n_head, n_head_kv, head_dim } = self.heads;
        let (storage, layout) = rows.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { return Err(misfit("numbers of the CPU", layout)) };
        let (n_tok, width) = layout.shape().dims2()?;
        let first = self.pos % KV_BLOCK;
        if width != self.heads.row() || first + n_tok > blocks.len() * KV_BLOCK {
            return Err(misfit("queries, keys and values", layout));
        }
        let mut padded = vec![0.0; self.heads.width()];
        let row_bytes = self.ty.row_bytes(padded.len());
        for (tok, row) in slice(storage, layout)?.chunks_exact(width).enumerate() {
            let (block, pos) = ((first + tok) / KV_BLOCK, (first + tok) % KV_BLOCK);
            // Keys and values alike: 2 · n_head_kv heads.
            let heads = row[n_head * head_dim..].chunks_exact(head_dim);
            for (i, head) in heads.enumerate() {
                let values = &mut padded[..head_dim];
                values.copy_from_slice(head);
                if i < n_head_kv {
                    self.rotation.turn(tok, values);
                }
                let at = (i * KV_BLOCK + pos) * row_bytes;
                self.ty.pack(&padded, &mut blocks[block][at..at + row_bytes]);
            }
        }
        Ok(())
    }
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, rows_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Heads { n_head, n_head_kv, head_dim } = self.heads;
        let width = self.heads.width();
        let (n_tok, row) = rows_layout.shape().dims2()?;
        let rows = slice(rows, rows_layout)?;
        let n_bytes = self.heads.block_bytes(self.ty);
        if row != self.heads.row()
            || self.pos + n_tok > self.blocks.len() * KV_BLOCK
            || self.blocks.iter().any(|block| block.len() != n_bytes)
        {
            return Err(misfit("queries", rows_layout));
        }
        let n_group = n_head / n_head_kv;
        let scale = query_scale(self.ty) / (head_dim as f32).sqrt();

        // The queries of one key/value head next to each other: (n_head_kv, n_tok, n_group, width).
        let mut q = vec![0.0; n_tok * n_head * width];
        let turn = |index: usize, q: &mut [f32]| {
            let (head_kv, tok) = (index / n_tok, index % n_tok);
            let heads = rows[tok * row + head_kv * n_group * head_dim..].chunks_exact(head_dim);
            for (q, head) in q.chunks_exact_mut(width).zip(heads) {
                let q = &mut q[..head_dim];
                q.copy_from_slice(head);
                self.rotation.turn(tok, q);
                q.iter_mut().for_each(|q| *q *= scale);
            }
        };
        self.pool.run_chunks(&mut q, n_group * width, &turn).map_err(lost)?;

        // What each key/value head has of the blocks.
        let n_bytes = n_bytes / (2 * n_head_kv);
        let of_head = |head_kv: usize| -> Vec<KvBlock> {
            let [k, v] = [head_kv, n_head_kv + head_kv].map(|i| i * n_bytes..(i + 1) * n_bytes);
            let blocks = self.blocks.iter();
            blocks.map(|block| KvBlock { k: &block[k.clone()], v: &block[v.clone()] }).collect()
        };
        let heads: Vec<Vec<KvBlock>> = (0..n_head_kv).map(of_head).collect();

        let mut y = vec![0.0; n_tok * n_head * head_dim];
        let output = Output::new(&mut y, n_tok);
        let n_parts = n_tok.div_ceil(TOKENS_AT_ONCE);
        let see = |index: usize| {
            let (head_kv, first) = (index / n_parts, index % n_parts * TOKENS_AT_ONCE);
            let n = TOKENS_AT_ONCE.min(n_tok - first);
            let at = (head_kv * n_tok + first) * n_group * width;
            let q = &q[at..at + n * n_group * width];
            let blocks = &heads[head_kv];
            let mut seen = vec![0.0; q.len()];
            let n_seen = self.pos + first + 1;
            kernels::attend(&Attend { q, n_group, n_seen, ty: self.ty, blocks, width }, &mut seen);
            for (i, seen) in seen.chunks_exact(width).enumerate() {
                let (tok, head) = (first + i / n_group, head_kv * n_group + i % n_group);
                output.store(tok, head * head_dim, &seen[..head_dim]);
            }
        };
        self.pool.run(n_head_kv * n_parts, &|range| range.for_each(see)).map_err(lost)?;
        Ok((CpuStorage::F32(y), (n_tok, n_head * head_dim).into()))
    }
}
