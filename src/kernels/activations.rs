//! Activations rounded to 8 bits: what the packed kernels multiply weights with.
//!
//! A block of the 32-family has a scale for 32 activations (as GGML's Q8_1), one of the K-family for 256 (as Q8_K).
//! Beside the numbers stand the sums that the kernels start from: those of what was rounded, so that a weight's offset
//! meets the same error as the weight. Four consecutive activations are a [`Chunk`], in the order in which an
//! instruction set loads them.
//!
//! One activation far above the others makes the steps of its whole block coarse. Such blocks are gone over twice: what
//! their first rounding left is rounded as well, with a scale of its own, which gives them 15 bits. See [`Walk`].

use super::isa::{self, TILE};
use super::layout::{AHEAD, Dots, Family, PackedType, QK, QK_K, Reading};
use crate::Result;
use crate::threads::Pool;

/// Activations of `n_tok` tokens as a matrix's products want them.
#[derive(Debug)]
pub(crate) enum Activations {
    Float(Vec<f32>),
    F16(Vec<f32>),
    By32(Rounded<Block32<isa::Chunk>>),
    SignedBy32(Rounded<Block32<isa::Chunk, Signs>>),
    By256(Rounded<Block256<isa::Chunk>>),
    SignedBy256(Rounded<Block256<isa::Chunk, Signs>>),
}

/// Activations in blocks.
#[derive(Debug)]
pub(crate) struct Rounded<B>(Vec<Tile<B>>);

/// Those of the [`TILE`] tokens, or of the last ones, that are multiplied at once.
#[derive(Debug)]
pub(super) struct Tile<B> {
    /// The blocks that [`walk`](Self::walk) goes over, of one token after the other.
    blocks: Vec<B>,
    pub(super) walk: Walk,
}

/// The blocks of a row in the order of its products: all of them, then some again.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    n_blocks: usize,
    blocks: Vec<u32>,
}

impl Walk {
    /// Over `n_blocks` blocks, and then once more over those of `again`.
    ///
    /// # Panics
    /// If one of `again` is not among them.
    pub(super) fn new(n_blocks: usize, again: &[usize]) -> Self {
        assert!(again.iter().all(|&block| block < n_blocks));
        let blocks = (0..n_blocks).chain(again.iter().copied()).map(|block| block as u32).collect();
        Self { n_blocks, blocks }
    }

    /// Blocks of a row.
    pub(super) fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    /// Each below [`n_blocks`](Self::n_blocks).
    pub(super) fn blocks(&self) -> &[u32] {
        &self.blocks
    }
}

/// What products are of: groups of rows, packed as `ty`, each with what follows it, and of each of `T` tokens the blocks of
/// activations that they meet along `walk`.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, B, const T: usize> {
    pub(super) ty: PackedType,
    pub(super) groups: &'a [&'a [u8]],
    pub(super) walk: &'a Walk,
    #[cfg_attr(not(all(target_arch = "wasm32", target_feature = "simd128")), allow(dead_code))]
    pub(super) reading: Reading,
    pub(super) x: [&'a [B]; T],
}

impl<B, const T: usize> Operands<'_, B, T> {
    /// Checks the lengths.
    #[inline(always)]
    pub(super) fn check(&self, y: &[Dots<T>]) {
        let &Self { ty, groups, walk, x, .. } = self;
        assert!(groups.len() == y.len());
        let n_bytes = 2 * walk.n_blocks() * ty.quad_bytes();
        assert!(groups.iter().all(|group| group.len() >= n_bytes + AHEAD));
        assert!(x.iter().all(|x| x.len() == walk.blocks().len()));
    }
}

impl Activations {
    /// Prepares `x`, `(n_tok, n_in)`, for weights of `family`.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub(crate) fn new(family: Family, x: &[f32], n_in: usize, pool: &Pool) -> Result<Self> {
        Ok(match family {
            Family::Float => Self::Float(x.to_vec()),
            Family::F16 => Self::F16(x.iter().map(|x| x * isa::F16_SCALE).collect()),
            Family::By32 => Self::By32(Rounded::new(x, n_in, pool)?),
            Family::SignedBy32 => Self::SignedBy32(Rounded::new(x, n_in, pool)?),
            Family::By256 => Self::By256(Rounded::new(x, n_in, pool)?),
            Family::SignedBy256 => Self::SignedBy256(Rounded::new(x, n_in, pool)?),
        })
    }
}

impl<B: Block> Rounded<B> {
    fn new(x: &[f32], n_in: usize, pool: &Pool) -> Result<Self> {
        debug_assert!(n_in.is_multiple_of(B::LEN) && x.len().is_multiple_of(n_in));
        let of_tile = TILE * n_in;
        let mut tiles: Vec<_> = x.chunks(of_tile).map(|_| Tile::default()).collect();
        pool.run_chunks(&mut tiles, 1, &|index, tile| {
            let begin = index * of_tile;
            tile[0] = Tile::new(&x[begin..x.len().min(begin + of_tile)], n_in);
        })?;
        Ok(Self(tiles))
    }

    /// The tile of token `tok`, and its number in there.
    pub(super) fn tile_of(&self, tok: usize) -> (&Tile<B>, usize) {
        (&self.0[tok / TILE], tok % TILE)
    }
}

impl<B> Default for Tile<B> {
    fn default() -> Self {
        Self { blocks: Vec::new(), walk: Walk::default() }
    }
}

impl<B: Block> Tile<B> {
    fn new(x: &[f32], n_in: usize) -> Self {
        let n_blocks = n_in / B::LEN;
        let mut once = vec![B::zeroed(); x.len() / B::LEN];
        once.iter_mut().zip(x.chunks_exact(B::LEN)).for_each(|(block, x)| block.round(x));
        let square = |block: &B| block.step() * block.step();
        // Of each token: blocks whose steps' squares are above it are gone over twice.
        let mut bounds = [f32::NEG_INFINITY; TILE];
        if n_blocks as f32 >= B::OUTLIER {
            for (bound, of_tok) in bounds.iter_mut().zip(once.chunks_exact(n_blocks)) {
                *bound = B::OUTLIER * of_tok.iter().map(square).sum::<f32>() / n_blocks as f32;
            }
        }
        let outlying = |tok: usize, block: usize| square(&once[tok * n_blocks + block]) > bounds[tok];
        let n_tok = once.len() / n_blocks;
        let any = |&block: &usize| (0..n_tok).any(|tok| outlying(tok, block));
        let again: Vec<usize> = (0..n_blocks).filter(any).collect();
        let walk = Walk::new(n_blocks, &again);
        if again.is_empty() {
            return Self { blocks: once, walk };
        }
        let mut blocks = Vec::with_capacity(n_tok * walk.blocks.len());
        for (tok, of_tok) in once.chunks_exact(n_blocks).enumerate() {
            blocks.extend_from_slice(of_tok);
            for &block in &again {
                let index = tok * n_blocks + block;
                // A token with no outlier there adds 0: its products are the same whatever goes with it.
                let rest = if outlying(tok, block) {
                    of_tok[block].rest(&x[index * B::LEN..][..B::LEN])
                } else {
                    B::zeroed()
                };
                blocks.push(rest);
            }
        }
        Self { blocks, walk }
    }

    /// Tokens of this tile.
    pub(super) fn n_tok(&self) -> usize {
        self.blocks.len() / self.walk.blocks.len()
    }

    /// The blocks of the tile's token `tok`, as [`walk`](Self::walk) goes.
    pub(super) fn token(&self, tok: usize) -> &[B] {
        let n = self.walk.blocks.len();
        &self.blocks[tok * n..(tok + 1) * n]
    }
}

/// Four consecutive activations, k to k + 3.
pub(crate) trait Chunk: bytemuck::Pod {
    /// What products with weights of 8 bits want beside.
    type Signs: bytemuck::Zeroable + Copy + Send + Sync;
    fn new(a: [i8; 4]) -> Self;
    fn get(self) -> [i8; 4];
    /// Writes those of chunks whose activations' sum is `sum`.
    fn sign(chunks: &[Self; QK / 4], sum: i16, signs: &mut Self::Signs);
}

/// As the instruction set wants them.
pub(crate) type Signs = <isa::Chunk as Chunk>::Signs;

/// What a block holds beside its activations: nothing, or [`Signs`].
pub(crate) trait Beside: bytemuck::Zeroable + Copy + Send + Sync {
    /// Writes what is beside chunks whose activations' sum is `sum`.
    fn set(&mut self, chunks: &[isa::Chunk; QK / 4], sum: i16);
    fn dots32<const T: usize>(operands: &Operands<Block32<isa::Chunk, Self>, T>, y: &mut [Dots<T>]);
    fn dots256<const T: usize>(operands: &Operands<Block256<isa::Chunk, Self>, T>, y: &mut [Dots<T>]);
}

impl Beside for () {
    fn set(&mut self, _: &[isa::Chunk; QK / 4], _: i16) {}
    fn dots32<const T: usize>(operands: &Operands<Block32<isa::Chunk>, T>, y: &mut [Dots<T>]) {
        isa::dots32(operands, y);
    }
    fn dots256<const T: usize>(operands: &Operands<Block256<isa::Chunk>, T>, y: &mut [Dots<T>]) {
        isa::dots256(operands, y);
    }
}

impl Beside for Signs {
    fn set(&mut self, chunks: &[isa::Chunk; QK / 4], sum: i16) {
        isa::Chunk::sign(chunks, sum, self);
    }
    fn dots32<const T: usize>(operands: &Operands<Block32<isa::Chunk, Self>, T>, y: &mut [Dots<T>]) {
        isa::signed_dots32(operands, y);
    }
    fn dots256<const T: usize>(operands: &Operands<Block256<isa::Chunk, Self>, T>, y: &mut [Dots<T>]) {
        isa::signed_dots256(operands, y);
    }
}

/// 32 activations for weights w of 8 bits, packed as q = w + 128. Dots whose second operand has 7 bits take
/// a · w = |a| · (q ^ turns) + |a| · s, where s is 1 below zero, else 0; those where it has 8 take a · w = a · q - 128 · a.
/// What is added is the same for every weight.
#[cfg_attr(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")), allow(dead_code))]
#[derive(Debug, Clone, Copy, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct SignsOfBytes {
    /// |a|
    pub(crate) magnitudes: [u8; QK],
    /// What makes w of q, and -w - 1 where an activation is below zero.
    pub(crate) turns: [u8; QK],
    /// The sum of |a| below zero.
    pub(crate) sum_below: i32,
    /// -128 times the sum of a.
    pub(crate) bias: i32,
}

/// Bytes in order: for dots of 8-bit operands.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(transparent)]
pub(crate) struct Bytes([i8; 4]);

impl Chunk for Bytes {
    type Signs = SignsOfBytes;
    fn new(a: [i8; 4]) -> Self {
        Self(a)
    }
    fn get(self) -> [i8; 4] {
        self.0
    }
    fn sign(chunks: &[Self; QK / 4], sum: i16, signs: &mut SignsOfBytes) {
        let mut sum_of_magnitudes = 0;
        // Loops over so many bytes are done in vectors.
        for (i, &a) in bytemuck::cast_ref::<_, [i8; QK]>(chunks).iter().enumerate() {
            signs.magnitudes[i] = a.unsigned_abs();
            signs.turns[i] = (a >> 7) as u8 ^ 0x80;
            sum_of_magnitudes += i16::from(a.unsigned_abs());
        }
        signs.sum_below = i32::from(sum_of_magnitudes - sum) / 2;
        signs.bias = -128 * i32::from(sum);
    }
}

/// 16-bit words in the order k, k + 2, k + 1, k + 3: for dots of 16-bit pairs, with the even and then the odd bytes of
/// the weights.
#[cfg_attr(not(all(target_arch = "wasm32", not(target_feature = "relaxed-simd"))), allow(dead_code))]
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(transparent)]
pub(crate) struct Words([i16; 4]);

impl Chunk for Words {
    type Signs = SignsOfWords;
    fn new([a, b, c, d]: [i8; 4]) -> Self {
        Self([a, c, b, d].map(i16::from))
    }
    fn get(self) -> [i8; 4] {
        let [a, c, b, d] = self.0;
        [a, b, c, d].map(|a| a as i8)
    }
    fn sign(_: &[Self; QK / 4], sum: i16, signs: &mut SignsOfWords) {
        signs.bias = -128 * i32::from(sum);
    }
}

/// 32 activations for weights of 8 bits, packed with 128 added.
#[cfg_attr(not(all(target_arch = "wasm32", not(target_feature = "relaxed-simd"))), allow(dead_code))]
#[derive(Debug, Clone, Copy, bytemuck::Zeroable)]
pub(crate) struct SignsOfWords {
    /// -128 times the sum of the activations.
    pub(crate) bias: i32,
}

/// The largest |activation|: with weights of 7 bits, no product of the kernels overflows.
const MAX: f32 = 127.0;

/// 32 activations: activation k is `d · q[k]`, within `d / 2`.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Block32<C, S = ()> {
    pub(crate) chunks: [C; QK / 4],
    /// The sums of those q whose k % 4 is 0 or 1, and 2 or 3.
    pub(crate) pairs: [i16; 2],
    pub(crate) d: f32,
    /// `d` times the sum of all q.
    pub(crate) sum: f32,
    pub(crate) beside: S,
}

/// 256 activations: activation k is `d · q[k]`, within `d / 2`.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Block256<C, S = ()> {
    pub(crate) chunks: [C; QK_K / 4],
    /// For each 16: the sums of those q whose k % 4 is 0 or 1, and 2 or 3.
    pub(crate) pairs: [[i16; 2]; QK_K / 16],
    /// The sums of each 32.
    pub(crate) sums: [i16; QK_K / 32],
    pub(crate) d: f32,
    /// Of each 32.
    pub(crate) beside: [S; QK_K / 32],
}

/// A block of activations of either family.
pub(crate) trait Block: bytemuck::Zeroable + Copy + Send + Sync {
    /// Activations of a block.
    const LEN: usize;
    /// How many times the mean the square of a block's step must be for its activations to be rounded twice. In a row of
    /// fewer blocks none can be: such rows cost little, and have little to average an error over, so that all of their
    /// blocks are.
    const OUTLIER: f32;
    /// Rounds `x`, [`LEN`](Self::LEN) numbers, to this. Blocks are written where they stay: one that is returned is copied by
    /// vectors over numbers that were just stored one by one, which are waited for.
    fn round(&mut self, x: &[f32]);
    /// What one of the rounded numbers stands for.
    fn step(&self) -> f32;
    /// What rounding `x` to this block left, rounded.
    fn rest(&self, x: &[f32]) -> Self;
    /// Adds the dot products to `y`.
    fn dots<const T: usize>(operands: &Operands<Self, T>, y: &mut [Dots<T>]);
}

/// The scale, and the numbers by fours. Of numbers that are not all finite the scale is not either, so that no product of
/// theirs is, whatever they were rounded to; their sums may wrap.
fn round<const N: usize>(x: &[f32], chunks: &mut [isa::Chunk; N]) -> f32 {
    let largest = isa::max_abs(x);
    let scale = MAX / largest;
    // What is next to nothing is nothing.
    let scale = if scale.is_finite() { scale } else { 0.0 };
    isa::round_to(x, scale, chunks);
    largest / MAX
}

/// What rounding `x` to `chunks` left.
fn rest<const N: usize>(x: &[f32], chunks: &[isa::Chunk], d: f32) -> [f32; N] {
    let mut rest = [0.0; N];
    let rounded = chunks.iter().flat_map(|chunk| chunk.get());
    for ((rest, x), q) in rest.iter_mut().zip(x).zip(rounded) {
        *rest = x - d * f32::from(q);
    }
    rest
}

impl<S: Beside> Block for Block32<isa::Chunk, S> {
    const LEN: usize = QK;
    const OUTLIER: f32 = 8.0;

    fn round(&mut self, x: &[f32]) {
        self.d = round(x, &mut self.chunks);
        self.pairs = isa::pair_sums(&self.chunks);
        let sum = self.pairs[0].wrapping_add(self.pairs[1]);
        self.sum = self.d * f32::from(sum);
        self.beside.set(&self.chunks, sum);
    }

    fn step(&self) -> f32 {
        self.d
    }

    #[inline(never)]
    fn rest(&self, x: &[f32]) -> Self {
        let mut left: Self = bytemuck::Zeroable::zeroed();
        left.round(&rest::<QK>(x, &self.chunks, self.d));
        left
    }

    fn dots<const T: usize>(operands: &Operands<Self, T>, y: &mut [Dots<T>]) {
        S::dots32(operands, y);
    }
}

impl<S: Beside> Block for Block256<isa::Chunk, S> {
    const LEN: usize = QK_K;
    const OUTLIER: f32 = 4.0;

    fn round(&mut self, x: &[f32]) {
        self.d = round(x, &mut self.chunks);
        let (by_16, _) = self.chunks.as_chunks::<4>();
        for (pair, chunks) in self.pairs.iter_mut().zip(by_16) {
            *pair = isa::pair_sums(chunks);
        }
        let (by_32, _) = self.chunks.as_chunks();
        for (i, chunks) in by_32.iter().enumerate() {
            let pairs = self.pairs[2 * i].iter().chain(&self.pairs[2 * i + 1]);
            self.sums[i] = pairs.fold(0, |sum, &pair| sum.wrapping_add(pair));
            self.beside[i].set(chunks, self.sums[i]);
        }
    }

    fn step(&self) -> f32 {
        self.d
    }

    #[inline(never)]
    fn rest(&self, x: &[f32]) -> Self {
        let mut left: Self = bytemuck::Zeroable::zeroed();
        left.round(&rest::<QK_K>(x, &self.chunks, self.d));
        left
    }

    fn dots<const T: usize>(operands: &Operands<Self, T>, y: &mut [Dots<T>]) {
        S::dots256(operands, y);
    }
}
