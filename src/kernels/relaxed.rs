//! Dots of 8-bit operands, by the relaxed-SIMD instructions in their two forms. The first operand is signed, the second
//! has 7 bits, so that every engine gives the same integers.

use super::activations::{Block32, Block256, Bytes};
use super::layout::{GROUP, PackedType};
use super::simd::{self, Dot};
use core::arch::wasm32::*;

pub(crate) use super::portable::unpack_row;
pub(crate) use super::simd_float::{QUERY_SCALE, add, attend, rms_norm, silu_mul, to_f16};
pub(crate) use simd::max_abs;

/// How this file's loops take activations.
pub(crate) type Chunk = Bytes;

/// Tokens that go together, which share one unpacking of the weights: with 8 rows, 8 accumulators.
pub(crate) const TILE: usize = 4;

/// What a test can ask for: which file's loops run.
#[cfg(test)]
pub(crate) const NAME: &str = "relaxed";

/// Sums of two products in 16 bits: one instruction on every x64.
struct Pairs16;

/// Sums of four products in 32 bits: one instruction on arm64 and on x64 with VNNI.
struct Fours32;

/// Weights with the activations' signs, and the activations' magnitudes.
#[inline(always)]
unsafe fn signed(a: *const Bytes, w: v128) -> (v128, v128) {
    // SAFETY: the caller's.
    let a = unsafe { v128_load32_splat(a.cast()) };
    let negative = i8x16_lt(a, i8x16_splat(0));
    (i8x16_sub(v128_xor(w, negative), negative), i8x16_abs(a))
}

impl Dot for Pairs16 {
    type Chunk = Bytes;
    const PARTS: usize = 2;

    #[inline(always)]
    unsafe fn start(pairs: *const [i16; 2], bias: i16) -> v128 {
        if bias == 0 {
            return i32x4_splat(0);
        }
        // SAFETY: the caller's.
        i16x8_mul(unsafe { v128_load32_splat(pairs.cast()) }, i16x8_splat(-bias))
    }

    #[inline(always)]
    unsafe fn add(sum: v128, a: *const Bytes, q: v128) -> v128 {
        // SAFETY: the caller's.
        i16x8_add(sum, i16x8_relaxed_dot_i8x16_i7x16(unsafe { v128_load32_splat(a.cast()) }, q))
    }

    #[inline(always)]
    fn halves(w: v128, part: usize) -> v128 {
        v128_and(if part == 0 { w } else { u16x8_shr(w, 4) }, u8x16_splat(0x0F))
    }

    #[inline(always)]
    unsafe fn add_halves(sum: v128, low: *const Bytes, high: *const Bytes, part: usize, q: v128) -> v128 {
        // SAFETY: the caller's.
        unsafe { Self::add(sum, if part == 0 { low } else { high }, q) }
    }

    #[inline(always)]
    fn sum(sum: v128) -> v128 {
        i32x4_dot_i16x8(sum, i16x8_splat(1))
    }

    #[inline(always)]
    fn scaled(sum: v128, scales: v128, sub: usize) -> v128 {
        let s = 4 * sub as i8;
        let places = i8x16(s, -1, s, -1, s + 1, -1, s + 1, -1, s + 2, -1, s + 2, -1, s + 3, -1, s + 3, -1);
        i32x4_dot_i16x8(sum, i8x16_relaxed_swizzle(scales, places))
    }

    #[inline(always)]
    fn scaled_signed(sum: v128, scales: v128, sub: usize) -> v128 {
        let s = 4 * sub as i8;
        let places = i8x16(-1, s, -1, s, -1, s + 1, -1, s + 1, -1, s + 2, -1, s + 2, -1, s + 3, -1, s + 3);
        i32x4_dot_i16x8(sum, i16x8_shr(i8x16_relaxed_swizzle(scales, places), 8))
    }

    #[inline(always)]
    unsafe fn add_signed(sum: v128, a: *const Bytes, w: v128) -> v128 {
        // SAFETY: the caller's.
        let (w, a) = unsafe { signed(a, w) };
        i32x4_add(sum, Self::sum(i16x8_relaxed_dot_i8x16_i7x16(w, a)))
    }

    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        mul_add(a, b, c)
    }
}

impl Dot for Fours32 {
    type Chunk = Bytes;
    const PARTS: usize = 2;

    #[inline(always)]
    unsafe fn add(sum: v128, a: *const Bytes, q: v128) -> v128 {
        // SAFETY: the caller's.
        i32x4_relaxed_dot_i8x16_i7x16_add(unsafe { v128_load32_splat(a.cast()) }, q, sum)
    }

    #[inline(always)]
    fn halves(w: v128, part: usize) -> v128 {
        Pairs16::halves(w, part)
    }

    #[inline(always)]
    unsafe fn add_halves(sum: v128, low: *const Bytes, high: *const Bytes, part: usize, q: v128) -> v128 {
        // SAFETY: the caller's.
        unsafe { Self::add(sum, if part == 0 { low } else { high }, q) }
    }

    #[inline(always)]
    unsafe fn add_signed(sum: v128, a: *const Bytes, w: v128) -> v128 {
        // SAFETY: the caller's.
        let (w, a) = unsafe { signed(a, w) };
        i32x4_relaxed_dot_i8x16_i7x16_add(w, a, sum)
    }

    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        mul_add(a, b, c)
    }
}

/// a · b + c, rounded once or twice, as the engine does it.
#[inline(always)]
pub(super) fn mul_add(a: v128, b: v128, c: v128) -> v128 {
    f32x4_relaxed_madd(a, b, c)
}

/// As [`portable::dots32`](super::portable::dots32).
pub(crate) fn dots32<const T: usize>(
    ty: PackedType,
    group: &[u8],
    x: [&[Block32<Chunk>]; T],
) -> [[f32; GROUP]; T] {
    match form::chosen() {
        form::Form::Pairs16 => simd::dots32::<Pairs16, T>(ty, group, x),
        form::Form::Fours32 => simd::dots32::<Fours32, T>(ty, group, x),
    }
}

/// As [`portable::dots256`](super::portable::dots256).
pub(crate) fn dots256<const T: usize>(
    ty: PackedType,
    group: &[u8],
    x: [&[Block256<Chunk>]; T],
) -> [[f32; GROUP]; T] {
    match form::chosen() {
        form::Form::Pairs16 => simd::dots256::<Pairs16, T>(ty, group, x),
        form::Form::Fours32 => simd::dots256::<Fours32, T>(ty, group, x),
    }
}

/// `x · scale`, rounded to the nearest integers, ties to even; none may be over 127.
pub(crate) fn round_to(x: &[f32], scale: f32, chunks: &mut [Chunk]) {
    assert!(x.len() == 4 * chunks.len());
    for (four, chunk) in x.chunks_exact(4).zip(chunks) {
        // SAFETY: four numbers are a vector, and a chunk is a quarter of one.
        unsafe {
            let q = simd::rounded(four.as_ptr(), scale);
            let bytes = i8x16_shuffle::<0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>(q, q);
            v128_store32_lane::<0>(bytes, (&raw mut *chunk).cast());
        }
    }
}

/// As [`portable::pair_sums`](super::portable::pair_sums).
pub(crate) fn pair_sums(chunks: &[Chunk]) -> [i16; 2] {
    let mut sums = i16x8_splat(0);
    for four in chunks.as_chunks::<4>().0 {
        // SAFETY: four chunks are a vector.
        sums = i16x8_add(sums, i16x8_extadd_pairwise_i8x16(unsafe { v128_load(four.as_ptr().cast()) }));
    }
    simd::sum_of_pairs(sums)
}

/// Which form of the dots this engine is faster with.
pub(crate) mod form {
    use super::*;
    use crate::kernels::activations::Block as _;
    use std::sync::atomic::{AtomicU8, Ordering};
    use web_time::{Duration, Instant};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Form {
        Pairs16,
        Fours32,
    }

    /// 0 until measured, then one more than the form.
    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    /// The form to use; measured at the first call.
    #[inline(always)]
    pub(crate) fn chosen() -> Form {
        match CHOSEN.load(Ordering::Relaxed) {
            1 => Form::Pairs16,
            2 => Form::Fours32,
            _ => measured(),
        }
    }

    /// Makes the following calls use `form`.
    pub(crate) fn choose(form: Form) {
        CHOSEN.store(1 + form as u8, Ordering::Relaxed);
    }

    #[cold]
    fn measured() -> Form {
        const N_BLOCKS: usize = 64;
        let ty = PackedType::Q4_0;
        let group = vec![0x55; 2 * N_BLOCKS * ty.quad_bytes()];
        let x = vec![Block32::<Chunk>::quantize(&[1.0; 32]); N_BLOCKS];
        let time = |run: &dyn Fn()| {
            // Each is compiled and warm before it counts; the better of several leaves interruptions out.
            (0..8).fold(Duration::MAX, |best, _| {
                let begun = Instant::now();
                (0..40).for_each(|_| run());
                best.min(begun.elapsed())
            })
        };
        let pairs16 = time(&|| _ = std::hint::black_box(simd::dots32::<Pairs16, 1>(ty, &group, [&x])));
        let fours32 = time(&|| _ = std::hint::black_box(simd::dots32::<Fours32, 1>(ty, &group, [&x])));
        let form = if fours32 < pairs16 { Form::Fours32 } else { Form::Pairs16 };
        choose(form);
        form
    }
}
