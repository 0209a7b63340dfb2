//! Grouped-query attention over a cache of keys and values, and what goes into the cache.
//!
//! The cache holds f16, `(n_head_kv, n_ctx, width)`: the width of a head padded with zeros to what the kernels want.
//! Queries, keys and values come side by side, as one projection makes them, (n_tok, (n_head + 2 · n_head_kv) · head_dim).

use super::{lost, slice};
use crate::kernels::{self, Attend, HEAD_MULTIPLE, Output, QUERY_SCALE};
use crate::threads::Pool;
use candle_core::{CpuStorage, CustomOp3, Error, InplaceOp2, Layout, Result, Shape};
use half::f16;
use half::slice::HalfFloatSliceExt;

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

/// What of a row goes into the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Values,
}

/// Writes the keys, rotated, or the values of `n_tok` tokens behind the `pos` positions that the cache holds.
#[derive(Debug)]
pub(crate) struct Append<'a> {
    pub(crate) heads: Heads,
    pub(crate) part: Part,
    pub(crate) rotation: &'a Rotation,
    pub(crate) pos: usize,
}

/// softmax(q · kᵀ / sqrt(head_dim)) · v, where a token sees itself and what came before: to
/// `(n_tok, n_head · head_dim)`. `pos` positions came before the first token.
#[derive(Debug)]
pub(crate) struct Attention<'a> {
    pub(crate) heads: Heads,
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

    /// Where head `head` of `part` begins in a row.
    fn column(&self, part: Part, head: usize) -> usize {
        let before = match part {
            Part::Keys => self.n_head,
            Part::Values => self.n_head + self.n_head_kv,
        };
        (before + head) * self.head_dim
    }
}

impl Rotation {
    /// By the sines and cosines of `n_rot / 2` angles for each token.
    pub(crate) fn new(turns: impl Iterator<Item = (f32, f32)>, n_rot: usize) -> Self {
        let (cos, sin): (Vec<_>, Vec<_>) = turns.map(|(sin, cos)| ([cos, cos], [-sin, sin])).unzip();
        Self { cos: cos.into_flattened(), sin: sin.into_flattened(), n_rot }
    }

    /// Turns the pairs 2i and 2i + 1 of token `tok`'s `head`.
    fn turn(&self, tok: usize, head: &mut [f32]) {
        let of_tok = tok * self.n_rot..(tok + 1) * self.n_rot;
        kernels::rotate(&mut head[..self.n_rot], &self.cos[of_tok.clone()], &self.sin[of_tok]);
    }
}

fn misfit(what: &str, layout: &Layout) -> Error {
    Error::Msg(format!("{what} do not fit {layout:?}"))
}

impl InplaceOp2 for Append<'_> {
    fn name(&self) -> &'static str {
        "append"
    }

    fn cpu_fwd(
        &self,
        cache: &mut CpuStorage,
        cache_layout: &Layout,
        rows: &CpuStorage,
        rows_layout: &Layout,
    ) -> Result<()> {
        let (n_head_kv, n_ctx, width) = cache_layout.shape().dims3()?;
        let (n_tok, row) = rows_layout.shape().dims2()?;
        let rows = slice(rows, rows_layout)?;
        let CpuStorage::F16(cache) = cache else { return Err(misfit("halves", cache_layout)) };
        if n_head_kv != self.heads.n_head_kv || width != self.heads.width() || self.pos + n_tok > n_ctx {
            return Err(misfit("keys and values", cache_layout));
        }
        if row != self.heads.row() {
            return Err(misfit("queries, keys and values", rows_layout));
        }
        let cache = cache.as_mut_slice().reinterpret_cast_mut();
        let mut padded = vec![0.0; width];
        for (tok, row) in rows.chunks_exact(row).enumerate() {
            for head in 0..n_head_kv {
                let column = self.heads.column(self.part, head);
                let values = &mut padded[..self.heads.head_dim];
                values.copy_from_slice(&row[column..column + self.heads.head_dim]);
                if self.part == Part::Keys {
                    self.rotation.turn(tok, values);
                }
                let at = (head * n_ctx + self.pos + tok) * width;
                kernels::to_f16(&padded, &mut cache[at..at + width]);
            }
        }
        Ok(())
    }
}

impl CustomOp3 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Heads { n_head, n_head_kv, head_dim } = self.heads;
        let (_, n_ctx, width) = k_layout.shape().dims3()?;
        let (n_tok, row) = rows_layout.shape().dims2()?;
        let rows = slice(rows, rows_layout)?;
        if row != self.heads.row() || width != self.heads.width() || self.pos + n_tok > n_ctx {
            return Err(misfit("queries", rows_layout));
        }
        let (k, v) = (k.as_slice::<f16>()?.reinterpret_cast(), v.as_slice::<f16>()?.reinterpret_cast());
        let n_group = n_head / n_head_kv;
        let scale = QUERY_SCALE / (head_dim as f32).sqrt();

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

        let mut y = vec![0.0; n_tok * n_head * head_dim];
        let output = Output::new(&mut y, n_tok);
        let n_parts = n_tok.div_ceil(TOKENS_AT_ONCE);
        let see = |index: usize| {
            let (head_kv, first) = (index / n_parts, index % n_parts * TOKENS_AT_ONCE);
            let n = TOKENS_AT_ONCE.min(n_tok - first);
            let at = (head_kv * n_tok + first) * n_group * width;
            let q = &q[at..at + n * n_group * width];
            let of_head = head_kv * n_ctx * width..(head_kv + 1) * n_ctx * width;
            let (k, v) = (&k[of_head.clone()], &v[of_head]);
            let mut seen = vec![0.0; q.len()];
            kernels::attend(&Attend { q, n_group, n_seen: self.pos + first + 1, k, v, width }, &mut seen);
            for (i, seen) in seen.chunks_exact(width).enumerate() {
                let (tok, head) = (first + i / n_group, head_kv * n_group + i % n_group);
                output.store(tok, head * head_dim, &seen[..head_dim]);
            }
        };
        self.pool.run(n_head_kv * n_parts, &|range| range.for_each(see)).map_err(lost)?;
        Ok((CpuStorage::F32(y), (n_tok, n_head * head_dim).into()))
    }
}
