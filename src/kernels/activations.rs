//! Activations rounded to 8 bits: what the packed kernels multiply weights with.
//!
//! A block of the 32-family has a scale for 32 activations (as GGML's Q8_1), one of the K-family for 256 (as Q8_K).
//! Beside the numbers stand the sums that the kernels start from: those of what was rounded, so that a weight's offset
//! meets the same error as the weight. Four consecutive activations are a [`Chunk`], in the order in which an
//! instruction set loads them.

use super::isa;
use super::layout::{GROUP, PackedType, QK, QK_K};

/// Four consecutive activations, k to k + 3.
pub(crate) trait Chunk: bytemuck::Pod {
    fn new(a: [i8; 4]) -> Self;
    fn get(self) -> [i8; 4];
}

/// Bytes in order: for dots of 8-bit operands.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(transparent)]
pub(crate) struct Bytes([i8; 4]);

impl Chunk for Bytes {
    fn new(a: [i8; 4]) -> Self {
        Self(a)
    }
    fn get(self) -> [i8; 4] {
        self.0
    }
}

/// 16-bit words in the order k, k + 2, k + 1, k + 3: for dots of 16-bit pairs, with the even and then the odd bytes of
/// the weights.
#[cfg_attr(not(all(target_arch = "wasm32", not(target_feature = "relaxed-simd"))), allow(dead_code))]
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(transparent)]
pub(crate) struct Words([i16; 4]);

impl Chunk for Words {
    fn new([a, b, c, d]: [i8; 4]) -> Self {
        Self([a, c, b, d].map(i16::from))
    }
    fn get(self) -> [i8; 4] {
        let [a, c, b, d] = self.0;
        [a, b, c, d].map(|a| a as i8)
    }
}

/// The largest |activation|: with weights of 7 bits, no product of the kernels overflows.
const MAX: f32 = 127.0;

/// 32 activations: activation k is `d · q[k]`, within `d / 2`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Block32<C> {
    pub(crate) chunks: [C; QK / 4],
    /// The sums of those q whose k % 4 is 0 or 1, and 2 or 3.
    pub(crate) pairs: [i16; 2],
    pub(crate) d: f32,
    /// `d` times the sum of all q.
    pub(crate) sum: f32,
}

/// 256 activations: activation k is `d · q[k]`, within `d / 2`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Block256<C> {
    pub(crate) chunks: [C; QK_K / 4],
    /// For each 16: the sums of those q whose k % 4 is 0 or 1, and 2 or 3.
    pub(crate) pairs: [[i16; 2]; QK_K / 16],
    /// The sums of each 32.
    pub(crate) sums: [i16; QK_K / 32],
    pub(crate) d: f32,
}

/// A block of activations of either family.
pub(crate) trait Block: Copy + Send + Sync {
    /// Activations of a block.
    const LEN: usize;
    /// Rounds `x`, [`LEN`](Self::LEN) numbers.
    fn quantize(x: &[f32]) -> Self;
    /// What the rounded activations stand for.
    fn values(&self) -> impl Iterator<Item = f32>;
    /// The dot products of a group of rows, packed as `ty`, with the activations of `T` tokens.
    fn dots<const T: usize>(ty: PackedType, group: &[u8], x: [&[Self]; T]) -> [[f32; GROUP]; T];
}

/// The scale, and the numbers by fours.
fn round<const N: usize>(x: &[f32], chunks: &mut [isa::Chunk; N]) -> f32 {
    let largest = isa::max_abs(x);
    let scale = if largest > 0.0 { MAX / largest } else { 0.0 };
    isa::round_to(x, scale, chunks);
    largest / MAX
}

fn values(chunks: &[isa::Chunk], d: f32) -> impl Iterator<Item = f32> {
    chunks.iter().flat_map(|chunk| chunk.get()).map(move |q| d * f32::from(q))
}

impl Block for Block32<isa::Chunk> {
    const LEN: usize = QK;

    fn quantize(x: &[f32]) -> Self {
        let mut chunks = [isa::Chunk::new([0; 4]); QK / 4];
        let d = round(x, &mut chunks);
        let pairs = isa::pair_sums(&chunks);
        Self { chunks, pairs, d, sum: d * f32::from(pairs[0] + pairs[1]) }
    }

    fn values(&self) -> impl Iterator<Item = f32> {
        values(&self.chunks, self.d)
    }

    fn dots<const T: usize>(ty: PackedType, group: &[u8], x: [&[Self]; T]) -> [[f32; GROUP]; T] {
        isa::dots32(ty, group, x)
    }
}

impl Block for Block256<isa::Chunk> {
    const LEN: usize = QK_K;

    fn quantize(x: &[f32]) -> Self {
        let mut chunks = [isa::Chunk::new([0; 4]); QK_K / 4];
        let d = round(x, &mut chunks);
        let (by_16, _) = chunks.as_chunks::<4>();
        let mut pairs = [[0; 2]; QK_K / 16];
        for (pair, chunks) in pairs.iter_mut().zip(by_16) {
            *pair = isa::pair_sums(chunks);
        }
        let sums = std::array::from_fn(|i| pairs[2 * i].iter().chain(&pairs[2 * i + 1]).sum());
        Self { chunks, pairs, sums, d }
    }

    fn values(&self) -> impl Iterator<Item = f32> {
        values(&self.chunks, self.d)
    }

    fn dots<const T: usize>(ty: PackedType, group: &[u8], x: [&[Self]; T]) -> [[f32; GROUP]; T] {
        isa::dots256(ty, group, x)
    }
}
