//! The KV cache: keys and values of the positions seen so far, in blocks of [`KV_BLOCK`] positions of all layers,
//! `(n_layer, n_head_kv, 2, KV_BLOCK, width)`, a head's keys before its values.
//!
//! A block is allocated when its first position comes, so that a short chat pays for a short cache and growing copies
//! nothing. Forks share their blocks; one that is written to while others hold it is copied first, which only the last
//! one can be, where it is partly filled.

use super::Config;
use super::memory::no_room;
use crate::kernels::{KV_BLOCK, KvType};
use crate::ops::{Append, Heads, Rotation};
use crate::threads::Pool;
use crate::{Error, ErrorKind, Result};
use candle_core::Tensor;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

type Block = Vec<u8>;

/// Bytes of a block at most: what wasm32 allocates at once.
const MAX_BLOCK_BYTES: u64 = i32::MAX as u64;

/// Keys and values of the `len` positions that came before. [`truncate`](Self::truncate) forgets the last ones,
/// [`fork`](Self::fork) shares them.
#[derive(Debug)]
pub struct KvCache {
    blocks: Vec<Arc<Block>>,
    heads: Heads,
    n_layer: usize,
    ty: KvType,
    n_ctx: usize,
    len: usize,
}

impl KvCache {
    /// An empty cache for at most `n_ctx` positions.
    pub fn new(config: &Config, n_ctx: usize, ty: KvType) -> Self {
        Self { blocks: Vec::new(), heads: config.heads(), n_layer: config.n_layer, ty, n_ctx, len: 0 }
    }

    /// Bytes that `n_ctx` positions take.
    pub fn n_bytes(config: &Config, n_ctx: usize, ty: KvType) -> u64 {
        let block = Self::new(config, n_ctx, ty).block_bytes();
        block.saturating_mul(n_ctx.div_ceil(KV_BLOCK) as u64)
    }

    /// Checks that a block can be allocated at all, of whatever type.
    ///
    /// # Errors
    /// `out_of_memory` if it cannot.
    pub(super) fn check_block(config: &Config) -> Result<()> {
        match Self::n_bytes(config, KV_BLOCK, KvType::F32) {
            n_bytes if n_bytes > MAX_BLOCK_BYTES => Err(no_room("KV cache", n_bytes)),
            _ => Ok(()),
        }
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

    /// How keys and values are held.
    pub fn kv_type(&self) -> KvType {
        self.ty
    }

    /// Whether it holds keys and values of a model of this shape.
    pub(crate) fn is_of(&self, config: &Config) -> bool {
        (self.n_layer, self.heads) == (config.n_layer, config.heads())
    }

    /// Another cache of the same positions, which shares their memory. What either adds or forgets is its own.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { blocks: self.blocks.clone(), ..*self }
    }

    /// Forgets all but the first `len` positions, and returns their memory; does nothing where fewer are held.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.blocks.truncate(self.len.div_ceil(KV_BLOCK));
    }

    /// Makes room for `n_tok` more positions, which are this cache's alone.
    ///
    /// # Errors
    /// `out_of_memory`. The cache holds what it held then.
    pub(super) fn reserve(&mut self, n_tok: usize) -> Result<()> {
        // A forward pass that failed may have left blocks.
        self.truncate(self.len);
        self.own(self.len / KV_BLOCK..self.blocks.len())?;
        while self.blocks.len() * KV_BLOCK < self.len + n_tok {
            let mut block = self.room()?;
            block.resize(self.block_bytes() as usize, 0);
            self.blocks.push(Arc::new(block));
        }
        Ok(())
    }

    /// Copies those of `blocks` that others hold too.
    fn own(&mut self, blocks: Range<usize>) -> Result<()> {
        for i in blocks {
            if Arc::get_mut(&mut self.blocks[i]).is_none() {
                let mut copy = self.room()?;
                copy.extend_from_slice(&self.blocks[i]);
                self.blocks[i] = Arc::new(copy);
            }
        }
        Ok(())
    }

    /// An empty block with room for all of it.
    fn room(&self) -> Result<Block> {
        let (mut block, n_bytes) = (Block::new(), self.block_bytes());
        block.try_reserve_exact(n_bytes as usize).map_err(|_| no_room("KV cache", n_bytes))?;
        Ok(block)
    }

    /// Bytes of a block; [`check_block`](Self::check_block) sees to it that a model's can be addressed.
    fn block_bytes(&self) -> u64 {
        self.n_layer as u64 * self.heads.block_bytes(self.ty)
    }

    fn row_bytes(&self) -> usize {
        self.ty.row_bytes(self.heads.width())
    }

    /// Where `layer` lies in a block.
    fn layer_bytes(&self, layer: usize) -> Range<usize> {
        let n_bytes = self.heads.block_bytes(self.ty) as usize;
        layer * n_bytes..(layer + 1) * n_bytes
    }

    /// Writes one layer's keys and values of `qkv`, `(n_tok, (n_head + 2 · n_head_kv) · head_dim)`, behind the
    /// positions held, into what was [reserved](Self::reserve). The positions count as held only after
    /// [`advance`](Self::advance), when every layer has written them.
    pub(super) fn append(
        &mut self,
        layer: usize,
        qkv: &Tensor,
        rotation: &Rotation,
        pool: &Pool,
    ) -> Result<()> {
        let (of_layer, first) = (self.layer_bytes(layer), self.len / KV_BLOCK);
        let append = Append { heads: self.heads, ty: self.ty, rotation, pos: self.len, pool };
        let own =
            |block| Arc::get_mut(block).ok_or_else(|| Error::internal("a block is written that others hold"));
        let blocks = self.blocks[first..].iter_mut();
        let mut blocks: Vec<&mut [u8]> =
            blocks.map(|block| Ok(&mut own(block)?[of_layer.clone()])).collect::<Result<_>>()?;
        Ok(append.run(qkv, &mut blocks)?)
    }

    pub(super) fn advance(&mut self, n_tok: usize) {
        self.len += n_tok;
    }

    /// One layer's part of each block.
    pub(super) fn layer(&self, layer: usize) -> Vec<&[u8]> {
        self.blocks.iter().map(|block| &block[self.layer_bytes(layer)]).collect()
    }

    /// Drops the `n` positions from `begin` on, and moves what came after them there, its keys turned by `back`.
    ///
    /// # Errors
    /// `out_of_memory`, where blocks are shared. The cache holds what it held then.
    pub(super) fn shift(&mut self, begin: usize, n: usize, back: &Rotation) -> Result<()> {
        let end = self.len - n;
        self.own(begin / KV_BLOCK..end.div_ceil(KV_BLOCK))?;
        let (row_bytes, width) = (self.row_bytes(), self.heads.width());
        let (mut row, mut key) = (vec![0; row_bytes], vec![0.0; width]);
        for pos in begin..end {
            // Keys and values in turns.
            for rows in 0..self.n_layer * self.heads.n_head_kv * 2 {
                let place = |pos: usize| {
                    let at = (rows * KV_BLOCK + pos % KV_BLOCK) * row_bytes;
                    (pos / KV_BLOCK, at..at + row_bytes)
                };
                let (block, bytes) = place(pos + n);
                row.copy_from_slice(&self.blocks[block][bytes]);
                if rows.is_multiple_of(2) {
                    self.ty.unpack(width, &row, &mut key);
                    back.turn(0, &mut key);
                    self.ty.pack(&key, &mut row);
                }
                let (block, bytes) = place(pos);
                let block = Arc::get_mut(&mut self.blocks[block]);
                block.ok_or_else(|| Error::internal("a block is written that others hold"))?[bytes]
                    .copy_from_slice(&row);
            }
        }
        self.truncate(end);
        Ok(())
    }

    /// The positions held, block by block, as (n_layer, n_head_kv, 2, positions, width): a full block as it lies.
    pub(crate) fn saved(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let row_bytes = self.row_bytes();
        // A forward pass that failed may have left blocks behind them.
        let held = self.blocks.iter().take(self.len.div_ceil(KV_BLOCK));
        held.enumerate().map(move |(i, block)| match self.len - i * KV_BLOCK {
            KV_BLOCK.. => Cow::Borrowed(block.as_slice()),
            n => block
                .chunks_exact(KV_BLOCK * row_bytes)
                .flat_map(|rows| &rows[..n * row_bytes])
                .copied()
                .collect(),
        })
    }

    /// Bytes of what [`saved`](Self::saved) gives of a block with `n` positions.
    pub(crate) fn saved_bytes(&self, n: usize) -> usize {
        self.block_bytes() as usize / KV_BLOCK * n
    }

    /// Adds a block of `n` positions behind full ones, from what [`saved`](Self::saved) gave.
    ///
    /// # Errors
    /// `integrity_error` if a number is not finite, `out_of_memory`.
    pub(crate) fn add_saved(&mut self, n: usize, bytes: Vec<u8>) -> Result<()> {
        if !self.ty.are_finite(self.heads.width(), &bytes) {
            let what = "a saved session's keys and values should be finite numbers, but one is not";
            return Err(Error::new(ErrorKind::IntegrityError, what));
        }
        let block = if n == KV_BLOCK {
            bytes
        } else {
            let row_bytes = self.row_bytes();
            let mut block = self.room()?;
            for rows in bytes.chunks_exact(n * row_bytes) {
                block.extend_from_slice(rows);
                block.resize(block.len() + (KV_BLOCK - n) * row_bytes, 0);
            }
            block
        };
        self.blocks.push(Arc::new(block));
        self.len += n;
        Ok(())
    }
}

#[cfg(test)]
impl KvCache {
    /// A cache of `n_tok` positions by the rows of each layer, `(n_tok, (n_head + 2 · n_head_kv) · head_dim)`.
    pub(crate) fn of(config: &Config, ty: KvType, rotation: &Rotation, n_tok: usize, qkv: &[Tensor]) -> Self {
        let mut cache = Self::new(config, n_tok, ty);
        cache.reserve(n_tok).expect("room");
        for (layer, qkv) in qkv.iter().enumerate() {
            cache.append(layer, qkv, rotation, &Pool::single()).expect("rows of the model's width");
        }
        cache.advance(n_tok);
        cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_pass_left_is_not_saved() {
        let config = Config::of_heads(2, 1, 8);
        let saved = |cache: &KvCache| cache.saved().map(Cow::into_owned).collect::<Vec<_>>();
        for n in [0, 10, KV_BLOCK, KV_BLOCK + 10] {
            let mut cache = KvCache::new(&config, 1024, KvType::F16);
            cache.reserve(n).expect("room");
            cache.advance(n);
            let before = saved(&cache);
            let lens: Vec<usize> = before.iter().map(Vec::len).collect();
            let blocks = (0..n).step_by(KV_BLOCK).map(|begin| KV_BLOCK.min(n - begin));
            assert_eq!(lens, blocks.map(|n| cache.saved_bytes(n)).collect::<Vec<_>>());
            // What no `advance` follows.
            cache.reserve(2 * KV_BLOCK).expect("room");
            assert_eq!(saved(&cache), before, "{n} positions");
        }
    }
}
