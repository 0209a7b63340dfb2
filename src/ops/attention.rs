//! Grouped-query attention over a cache of keys and values, and what goes into the cache.
//!
//! The cache holds blocks of positions. A layer's part of one is `(n_head_kv, 2, KV_BLOCK, width)`, a head's keys before its
//! values: in the order in which they are seen, since memory comes fast only in long runs. The width of a head is padded
//! with zeros to what the kernels want, numbers are as its [`KvType`] holds them. Queries, keys and values come side by
//! side, as one projection makes them, (n_tok, (n_head + 2 · n_head_kv) · head_dim).

use super::{lost, slice};
use crate::kernels::{self, Attend, HEAD_MULTIPLE, KV_BLOCK, KvType, query_scale};
use crate::threads::Pool;
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Storage, Tensor};

/// Tokens whose queries see a key/value head together: enough to widen its halves once for many, few enough that threads
/// have something to share.
const TOKENS_AT_ONCE: usize = 8;

/// How heads lie side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// The largest magnitude among them.
    largest: f32,
}

/// Writes the keys, rotated, and the values of `n_tok` tokens behind the `pos` positions that the cache holds.
#[derive(Debug)]
pub(crate) struct Append<'a> {
    pub(crate) heads: Heads,
    pub(crate) ty: KvType,
    pub(crate) rotation: &'a Rotation,
    pub(crate) pos: usize,
    pub(crate) pool: &'a Pool,
}

/// softmax(q · kᵀ / sqrt(head_dim)) · v, where a token sees itself and what came before: to
/// `(n_tok, n_head · head_dim)`. `pos` positions came before the first token. Each block has a softmax of its own; their
/// results are merged in order, always the same way, so that a token's bits do not depend on what goes with it.
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

    /// What the magnitude of queries, keys and values has to be below, so that all scores are numbers.
    pub(crate) fn bound(&self, rotation: &Rotation, ty: KvType) -> f32 {
        // Two of them, by a cosine and a sine, make one that is turned.
        let growth = 2.0 * rotation.largest.max(1.0);
        let of_queries = f32::MAX / query_scale(ty) * (self.head_dim as f32).sqrt();
        // Of the products of any two there are never as many as 2^27.
        let of_products = 2.0_f32.powi(50);
        of_queries.min(of_products) / growth
    }

    /// Bytes of a layer's part of a block.
    pub(crate) fn block_bytes(&self, ty: KvType) -> u64 {
        (2 * KV_BLOCK * ty.row_bytes(self.width())) as u64 * self.n_head_kv as u64
    }
}

impl Rotation {
    /// By the sines and cosines of `n_rot / 2` angles for each token.
    pub(crate) fn new(turns: impl Iterator<Item = (f32, f32)>, n_rot: usize) -> Self {
        let (cos, sin): (Vec<_>, Vec<_>) = turns.map(|(sin, cos)| ([cos, cos], [-sin, sin])).unzip();
        let (cos, sin) = (cos.into_flattened(), sin.into_flattened());
        let largest = cos.iter().chain(&sin).fold(0.0_f32, |largest, x| largest.max(x.abs()));
        Self { cos, sin, n_rot, largest }
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
        let rows = slice(storage, layout)?;
        let row_bytes = self.ty.row_bytes(self.heads.width());
        // Keys and values alike: each block has 2 · n_head_kv of either.
        let mut rooms: Vec<&mut [u8]> =
            blocks.iter_mut().flat_map(|block| block.chunks_exact_mut(KV_BLOCK * row_bytes)).collect();
        let write = |index: usize, kept: &mut [u8], padded: &mut [f32]| {
            let (block, head, is_value) = (index / (2 * n_head_kv), index / 2 % n_head_kv, index % 2);
            let column = (n_head + is_value * n_head_kv + head) * head_dim;
            let begin = (block * KV_BLOCK).max(first);
            for pos in begin..(first + n_tok).min((block + 1) * KV_BLOCK) {
                let tok = pos - first;
                padded[..head_dim].copy_from_slice(&rows[tok * width + column..][..head_dim]);
                if is_value == 0 {
                    self.rotation.turn(tok, &mut padded[..head_dim]);
                }
                self.ty.pack(padded, &mut kept[pos % KV_BLOCK * row_bytes..][..row_bytes]);
            }
        };
        let zeros = || vec![0.0; self.heads.width()];
        if n_tok == 1 {
            // Less than it takes to hand it over.
            let mut padded = zeros();
            rooms.iter_mut().enumerate().for_each(|(index, kept)| write(index, kept, &mut padded));
            return Ok(());
        }
        let job = |index: usize, kept: &mut [&mut [u8]]| write(index, kept[0], &mut zeros());
        self.pool.run_chunks(&mut rooms, 1, &job).map_err(lost)
    }
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, rows_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Heads { n_head, head_dim, .. } = self.heads;
        let (n_tok, row) = rows_layout.shape().dims2()?;
        let rows = slice(rows, rows_layout)?;
        let n_bytes = self.heads.block_bytes(self.ty) as usize;
        if row != self.heads.row()
            || self.pos + n_tok > self.blocks.len() * KV_BLOCK
            || self.blocks.iter().any(|block| block.len() != n_bytes)
        {
            return Err(misfit("queries", rows_layout));
        }
        let q = self.queries(rows, n_tok)?;
        let y = self.means(&q, n_tok)?;
        Ok((CpuStorage::F32(y), (n_tok, n_head * head_dim).into()))
    }
}

impl Attention<'_> {
    /// The queries, rotated and scaled, those of one key/value head next to each other:
    /// `(n_head_kv, n_tok, n_group, width)`.
    fn queries(&self, rows: &[f32], n_tok: usize) -> Result<Vec<f32>> {
        let Heads { n_head, n_head_kv, head_dim } = self.heads;
        let (width, n_group) = (self.heads.width(), n_head / n_head_kv);
        let scale = query_scale(self.ty) / (head_dim as f32).sqrt();
        let mut q = vec![0.0; n_tok * n_head * width];
        let turn = |index: usize, q: &mut [f32]| {
            let (head_kv, tok) = (index / n_tok, index % n_tok);
            let heads = &rows[tok * self.heads.row() + head_kv * n_group * head_dim..];
            for (q, head) in q.chunks_exact_mut(width).zip(heads.chunks_exact(head_dim)) {
                let q = &mut q[..head_dim];
                q.copy_from_slice(head);
                self.rotation.turn(tok, q);
                q.iter_mut().for_each(|q| *q *= scale);
            }
        };
        if n_tok == 1 {
            // Less than it takes to hand it over.
            q.chunks_exact_mut(n_group * width).enumerate().for_each(|(head_kv, q)| turn(head_kv, q));
        } else {
            self.pool.run_chunks(&mut q, n_group * width, &turn).map_err(lost)?;
        }
        Ok(q)
    }

    /// The values' means by the softmax of each of `q`'s scores: `(n_tok, n_head · head_dim)`.
    fn means(&self, q: &[f32], n_tok: usize) -> Result<Vec<f32>> {
        let Heads { n_head, n_head_kv, head_dim } = self.heads;
        let (width, n_group) = (self.heads.width(), n_head / n_head_kv);
        let head_bytes = self.heads.block_bytes(self.ty) as usize / n_head_kv;
        // An item is what some tokens see with a key/value head of some blocks: (n_jobs, n_head_kv, n_parts), in the order
        // in which keys and values lie. Of few tokens each block is a job, so that threads have something to share; of
        // many all blocks are one.
        let n_parts = n_tok.div_ceil(TOKENS_AT_ONCE);
        let n_jobs = if n_parts == 1 { (self.pos + n_tok).div_ceil(KV_BLOCK) } else { 1 };
        let n_of_job = n_head_kv * n_parts;
        let see = |index: usize, seen: &mut [Seen]| {
            let (job, head_kv, part) = (index / n_of_job, index / n_parts % n_head_kv, index % n_parts);
            let first = part * TOKENS_AT_ONCE;
            let n = TOKENS_AT_ONCE.min(n_tok - first);
            let q = &q[(head_kv * n_tok + first) * n_group * width..][..n * n_group * width];
            let n_seen = self.pos + first + 1;
            for block in (job..(n_seen + n - 1).div_ceil(KV_BLOCK)).step_by(n_jobs) {
                let (k, v) =
                    self.blocks[block][head_kv * head_bytes..][..head_bytes].split_at(head_bytes / 2);
                let begin = block * KV_BLOCK;
                seen[0].add(Seen::new(&Attend { q, n_group, n_seen, begin, ty: self.ty, k, v, width }));
            }
        };
        let mut seen: Vec<Seen> = std::iter::repeat_with(Seen::default).take(n_jobs * n_of_job).collect();
        self.pool.run_chunks(&mut seen, 1, &see).map_err(lost)?;

        let (whole, more) = seen.split_at_mut(n_of_job);
        for more in more.chunks_exact_mut(n_of_job) {
            whole.iter_mut().zip(more).for_each(|(whole, more)| whole.add(std::mem::take(more)));
        }
        let mut y = vec![0.0; n_tok * n_head * head_dim];
        for (index, whole) in whole.iter().enumerate() {
            let (head_kv, first) = (index / n_parts, index % n_parts * TOKENS_AT_ONCE);
            for (i, mean) in whole.means.chunks_exact(width).enumerate() {
                let (tok, head) = (first + i / n_group, head_kv * n_group + i % n_group);
                y[(tok * n_head + head) * head_dim..][..head_dim].copy_from_slice(&mean[..head_dim]);
            }
        }
        Ok(y)
    }
}

/// What queries have seen of some positions.
#[derive(Debug, Default)]
struct Seen {
    /// The values' means, weighted: `(n_q, width)`.
    means: Vec<f32>,
    /// The logarithms of the sums of e^score: what the means weigh.
    log_sums: Vec<f32>, // (n_q)
}

impl Seen {
    fn new(attend: &Attend) -> Self {
        let mut seen =
            Self { means: vec![0.0; attend.q.len()], log_sums: vec![0.0; attend.q.len() / attend.width] };
        kernels::attend(attend, &mut seen.means, &mut seen.log_sums);
        seen
    }

    /// Adds what the same queries have seen of the positions that follow: Milakov and Gimelshein 2018
    /// (<https://arxiv.org/abs/1805.02867>).
    fn add(&mut self, more: Self) {
        if self.means.is_empty() {
            *self = more;
            return;
        }
        let width = self.means.len() / self.log_sums.len();
        let rows = self.means.chunks_exact_mut(width).zip(more.means.chunks_exact(width));
        for ((mean, more_mean), (log_sum, more_log_sum)) in
            rows.zip(self.log_sums.iter_mut().zip(more.log_sums))
        {
            // Every query has seen the first position.
            let largest = log_sum.max(more_log_sum);
            let [weight, more_weight] = [*log_sum, more_log_sum].map(|log_sum| (log_sum - largest).exp());
            let total = weight + more_weight;
            for (mean, more_mean) in mean.iter_mut().zip(more_mean) {
                *mean = (weight * *mean + more_weight * more_mean) / total;
            }
            *log_sum = largest + total.ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Of pools: wasm starts no threads of its own.
    const N_THREADS: &[usize] = if cfg!(target_arch = "wasm32") { &[1] } else { &[1, 2, 3] };

    /// Over several blocks, at their seams: a token alone, whose blocks are jobs of their own, has the bits that it has among
    /// others, and all of them are the mean of the values, by weights of f64, within rounding.
    #[test]
    fn blocks_are_put_together_the_same_way_for_one_token_and_for_many() {
        let n_pos = 3 * KV_BLOCK + 40;
        let ends = [1, KV_BLOCK - 1, KV_BLOCK, KV_BLOCK + 1, KV_BLOCK + 5, 2 * KV_BLOCK, n_pos];
        check(16, &|_| vec![(0.0, 1.0); 8], n_pos, &ends);
    }

    /// Heads padded in the cache, and heads of which only the first dimensions turn.
    #[test]
    fn heads_of_any_width_are_turned_as_far_as_the_rotation_goes() {
        let n_pos = KV_BLOCK + 40;
        for (head_dim, n_rot) in [(24, 24), (24, 10), (80, 32), (100, 50)] {
            let angle = |pos: usize, pair: i32| pos as f32 * 0.8_f32.powi(pair);
            let turns = |pos| (0..n_rot / 2).map(|pair| angle(pos, pair).sin_cos()).collect();
            check(head_dim, &turns, n_pos, &[1, KV_BLOCK + 5, n_pos]);
        }
    }

    /// Attention of up to 20 tokens before each of `ends`, of tokens together and of each alone. `turns` gives the sines and
    /// cosines of a position.
    fn check(head_dim: usize, turns: &dyn Fn(usize) -> Vec<(f32, f32)>, n_pos: usize, ends: &[usize]) {
        let heads = Heads { n_head: 6, n_head_kv: 2, head_dim };
        let ty = KvType::F32;
        let n_rot = 2 * turns(0).len();
        let rotation = |pos: usize, n_tok: usize| Rotation::new((pos..pos + n_tok).flat_map(turns), n_rot);
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 22) as f32 - 2.0
        };
        let numbers: Vec<f32> = (0..n_pos * heads.row()).map(|_| noise()).collect();
        let rows = Tensor::from_slice(&numbers, (n_pos, heads.row()), &Device::Cpu).expect("rows");
        let mut blocks = vec![vec![0; heads.block_bytes(ty) as usize]; n_pos.div_ceil(KV_BLOCK)];
        let mut all: Vec<&mut [u8]> = blocks.iter_mut().map(Vec::as_mut_slice).collect();
        let pools: Vec<Pool> = N_THREADS.iter().map(|&n| Pool::new(n).expect("a pool")).collect();
        let of_all = rotation(0, n_pos);
        Append { heads, ty, rotation: &of_all, pos: 0, pool: &pools[pools.len() / 2] }
            .run(&rows, &mut all)
            .expect("appended");

        let see = |pos: usize, n_tok: usize, pool: &Pool| -> Vec<Vec<f32>> {
            let (blocks, rotation) = (blocks.iter().map(Vec::as_slice).collect(), rotation(pos, n_tok));
            let attention = Attention { heads, ty, blocks, rotation: &rotation, pos, pool };
            let rows = rows.narrow(0, pos, n_tok).expect("rows");
            rows.apply_op1_no_bwd(&attention).expect("attention").to_vec2().expect("rows")
        };
        let of_head = |head: usize, pos: usize| -> Vec<f64> {
            let at = pos * heads.row() + head * head_dim;
            numbers[at..at + head_dim].iter().map(|&x| x.into()).collect()
        };
        let turned = |head: usize, pos: usize| {
            let mut x = of_head(head, pos);
            for (pair, (sin, cos)) in x.as_chunks_mut().0.iter_mut().zip(turns(pos)) {
                let ([a, b], sin, cos) = (*pair, f64::from(sin), f64::from(cos));
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
            x
        };
        let head = 4; // whose key/value head is 1
        let (keys, values): (Vec<_>, Vec<_>) =
            (0..n_pos).map(|pos| (turned(7, pos), of_head(9, pos))).unzip();
        for &end in ends {
            let n_tok = 20.min(end);
            let together = see(end - n_tok, n_tok, &pools[0]);
            for (tok, together) in together.iter().enumerate() {
                let pos = end - n_tok + tok;
                for pool in &pools {
                    assert_eq!(&see(pos, 1, pool)[0], together, "position {pos}");
                }
                let q = turned(head, pos);
                let dot = |k: &Vec<f64>| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>();
                let weight = |k: &Vec<f64>| (dot(k) / (head_dim as f64).sqrt()).exp();
                let weights: Vec<f64> = keys[..=pos].iter().map(weight).collect();
                let total: f64 = weights.iter().sum();
                for d in 0..head_dim {
                    let mean = values.iter().zip(&weights).map(|(v, w)| v[d] * w).sum::<f64>() / total;
                    let got = f64::from(together[head * head_dim + d]);
                    assert!((got - mean).abs() < 1e-5, "position {pos}: {got} instead of {mean}");
                }
            }
        }
    }
}
