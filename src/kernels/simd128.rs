//! Dots of 16-bit pairs, which every engine has: activations and weights are widened, even bytes and odd ones apart.

use super::activations::{Block32, Block256, Operands, Signs, Words};
use super::layout::Dots;
use super::simd::{self, Constants, Dot, Of32};
use core::arch::wasm32::*;

pub(crate) use super::portable::unpack_row;
pub(crate) use super::simd_attention::{attend, query_scale};
pub(crate) use super::simd_float::{F16_SCALE, add, dots_float, rms_norm, rotate, silu_mul, spread, to_f16};
pub(crate) use simd::max_abs;

/// How this file's loops take activations.
pub(crate) type Chunk = Words;

/// Tokens that go together, which share one unpacking of the weights: with 8 rows, 8 accumulators.
pub(crate) const TILE: usize = 4;

/// What a test can ask for: which file's loops run.
#[cfg(test)]
pub(crate) const NAME: &str = "simd128";

struct Plain;

impl Dot for Plain {
    type Chunk = Words;
    type By7 = Self;
    /// Halves 0 to 3 of each 16 bits: low and high of the even byte, low and high of the odd one.
    const PARTS: usize = 4;
    const BOTH_QUADS_FOR_ONE: bool = false;
    const HALF: v128 = u16x8(15, 15, 15, 15, 15, 15, 15, 15);

    #[inline(always)]
    unsafe fn add(sum: v128, a: *const Words, q: v128) -> v128 {
        // SAFETY: the caller's: a chunk is two pairs.
        let (even, odd) = unsafe { (v128_load32_splat(a.cast()), v128_load32_splat(a.cast::<u32>().add(1))) };
        let sum = i32x4_add(sum, i32x4_dot_i16x8(even, v128_and(q, u16x8_splat(0x00FF))));
        i32x4_add(sum, i32x4_dot_i16x8(odd, u16x8_shr(q, 8)))
    }

    #[inline(always)]
    unsafe fn add_halves(sum: v128, low: *const Words, high: *const Words, part: usize, q: v128) -> v128 {
        let pairs = [low, high][part % 2].cast::<u32>();
        // SAFETY: the caller's: a chunk is two pairs.
        i32x4_add(sum, i32x4_dot_i16x8(unsafe { v128_load32_splat(pairs.add(part / 2)) }, q))
    }

    #[inline(always)]
    unsafe fn start_signed(of: Of32<Words>) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load32_splat((&raw const (*of.signs).bias).cast()) }
    }

    #[inline(always)]
    unsafe fn add_signed(sum: v128, of: Of32<Words>, chunk: usize, q: v128, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe { Self::add(sum, of.chunks.add(chunk), q) }
    }

    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        mul_add(a, b, c)
    }
}

/// a · b + c, rounded twice.
#[inline(always)]
pub(super) fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_add(f32x4_mul(a, b), c)
}

/// As [`portable::pair_sums`](super::portable::pair_sums).
pub(crate) fn pair_sums(chunks: &[Chunk]) -> [i16; 2] {
    let mut sums = i16x8_splat(0);
    for two in chunks.as_chunks::<2>().0 {
        // SAFETY: two chunks are a vector.
        sums = i16x8_add(sums, unsafe { v128_load(two.as_ptr().cast()) });
    }
    simd::sum_of_pairs(sums)
}

/// As [`portable::dots32`](super::portable::dots32).
pub(crate) fn dots32<const T: usize>(operands: &Operands<Block32<Chunk>, T>, y: &mut [Dots<T>]) {
    simd::dots32::<Plain, T>(operands, y)
}

/// As [`portable::dots256`](super::portable::dots256).
pub(crate) fn dots256<const T: usize>(operands: &Operands<Block256<Chunk>, T>, y: &mut [Dots<T>]) {
    simd::dots256::<Plain, T>(operands, y)
}

/// As [`dots32`], for weights of 8 bits.
pub(crate) fn signed_dots32<const T: usize>(
    operands: &Operands<Block32<Chunk, Signs>, T>,
    y: &mut [Dots<T>],
) {
    simd::signed_dots32::<Plain, T>(operands, y)
}

/// As [`dots256`], for weights of 8 bits.
pub(crate) fn signed_dots256<const T: usize>(
    operands: &Operands<Block256<Chunk, Signs>, T>,
    y: &mut [Dots<T>],
) {
    simd::signed_dots256::<Plain, T>(operands, y)
}

/// `x · scale`, rounded to the nearest integers, ties to even; none may be over 127.
pub(crate) fn round_to(x: &[f32], scale: f32, chunks: &mut [Chunk]) {
    assert!(x.len() == 4 * chunks.len() && x.len().is_multiple_of(8));
    let rounding = simd::Rounding::new(scale);
    for (eight, two) in x.chunks_exact(8).zip(chunks.chunks_exact_mut(2)) {
        // SAFETY: of eight numbers, and two chunks are a vector.
        unsafe {
            let q = rounding.eight(eight.as_ptr());
            v128_store(two.as_mut_ptr().cast(), i16x8_shuffle::<0, 2, 1, 3, 4, 6, 5, 7>(q, q));
        }
    }
}
