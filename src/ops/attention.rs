//! Grouped-query attention over a cache of keys and values, and what goes into the cache.
//!
//! The cache holds f16, `(n_head_kv, n_ctx, width)`: the width of a head padded with zeros to what the kernels want.
//! Queries, keys and values come side by side, as one projection makes them, (n_tok, (n_head + 2 · n_head_kv) · head_dim).

use super::{lost, slice};
use crate::kernels::{self, Attend, HEAD_MULTIPLE, QUERY_SCALE};
use crate::threads::Pool;
use candle_core::{CpuStorage, CustomOp3, Error, InplaceOp2, Layout, Result, Shape};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// How heads lie side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) n_head: usize,
    pub(crate) n_head_kv: usize,
    pub(crate) head_dim: usize,
}

/// Cosines and sines of `n_tok` positions, each `(n_tok, n_rot / 2)`.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) cos: Vec<f32>,
    pub(crate) sin: Vec<f32>,
    pub(crate) n_rot: usize,
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
    /// Turns the pairs 2i and 2i + 1 of token `tok`'s `head`.
    fn turn(&self, tok: usize, head: &mut [f32]) {
        let half = self.n_rot / 2;
        let angles = self.cos[tok * half..].iter().zip(&self.sin[tok * half..]);
        for (pair, (cos, sin)) in head[..self.n_rot].as_chunks_mut::<2>().0.iter_mut().zip(angles) {
            let [a, b] = *pair;
            *pair = [a * cos - b * sin, a * sin + b * cos];
        }
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

        let mut q = vec![0.0; n_tok * n_head * width];
        let turn = |tok: usize, q: &mut [f32]| {
            let heads = rows[tok * row..].chunks_exact(head_dim);
            for (q, head) in q.chunks_exact_mut(width).zip(heads) {
                let q = &mut q[..head_dim];
                q.copy_from_slice(head);
                self.rotation.turn(tok, q);
                q.iter_mut().for_each(|q| *q *= scale);
            }
        };
        self.pool.run_chunks(&mut q, n_head * width, &turn).map_err(lost)?;

        // The query heads of one key/value head, of one token, are next to each other.
        let mut y = vec![0.0; n_tok * n_head * width];
        let see = |index: usize, y: &mut [f32]| {
            let (tok, head_kv) = (index / n_head_kv, index % n_head_kv);
            let of_head = head_kv * n_ctx * width..(head_kv + 1) * n_ctx * width;
            kernels::attend(
                &Attend {
                    q: &q[index * n_group * width..(index + 1) * n_group * width],
                    n_seen: self.pos + tok + 1,
                    k: &k[of_head.clone()],
                    v: &v[of_head],
                    width,
                },
                y,
            );
        };
        self.pool.run_chunks(&mut y, n_group * width, &see).map_err(lost)?;
        if width > head_dim {
            y = y.chunks_exact(width).flat_map(|y| &y[..head_dim]).copied().collect();
        }
        Ok((CpuStorage::F32(y), (n_tok, n_head * head_dim).into()))
    }
}
