//! Dots of 8-bit operands, by the relaxed-SIMD instructions in their two forms. The first operand is signed, the second
//! has 7 bits, so that every engine gives the same integers; where an engine is found to take 8, weights of 8 bits have
//! them.

use super::activations::{Block32, Block256, Bytes, Operands, Signs};
use super::layout::Dots;
use super::simd::{self, Constants, Dot, Of32};
use core::arch::wasm32::*;

pub(crate) use super::portable::unpack_row;
pub(crate) use super::simd_attention::{attend, query_scale};
pub(crate) use super::simd_float::{F16_SCALE, add, dots_float, rms_norm, rotate, silu_mul, spread, to_f16};
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

/// Sums of four products in 32 bits: one instruction on arm64 and on x64 with VNNI. `BITS` is what weights of 8 bits may
/// have in the second operand: 7, or 8 that are unsigned.
struct Fours32<const BITS: u32>;

/// The lower half of a byte.
const HALF: v128 = u32x4(0x0F0F_0F0F, 0x0F0F_0F0F, 0x0F0F_0F0F, 0x0F0F_0F0F);

/// The magnitudes of chunk `chunk` and what they meet of weights.
#[inline(always)]
unsafe fn signed(of: Of32<Bytes>, chunk: usize, q: v128) -> (v128, v128) {
    // SAFETY: the caller's.
    unsafe {
        let magnitudes = v128_load32_splat((&raw const (*of.signs).magnitudes).cast::<u32>().add(chunk));
        let turns = v128_load32_splat((&raw const (*of.signs).turns).cast::<u32>().add(chunk));
        (magnitudes, v128_xor(q, turns))
    }
}

#[inline(always)]
unsafe fn start_signed(of: Of32<Bytes>) -> v128 {
    // SAFETY: the caller's.
    unsafe { v128_load32_splat((&raw const (*of.signs).sum_below).cast()) }
}

/// As [`Dot::look_up`], whose places are those for which all engines have the same bytes: one instruction on x64.
#[inline(always)]
fn look_up(table: v128, places: v128) -> v128 {
    i8x16_relaxed_swizzle(table, places)
}

impl Dot for Pairs16 {
    type Chunk = Bytes;
    type By7 = Self;
    const PARTS: usize = 2;
    const BOTH_QUADS_FOR_ONE: bool = true;
    const HALF: v128 = HALF;
    const LANE: usize = 16;

    #[inline(always)]
    unsafe fn start(pairs: *const [i16; 2], bias: i16, c: &Constants) -> v128 {
        if bias == 0 {
            return i32x4_splat(0);
        }
        // SAFETY: the caller's.
        i16x8_mul(unsafe { v128_load32_splat(pairs.cast()) }, c.minus(bias))
    }

    #[inline(always)]
    unsafe fn add(sum: v128, a: *const Bytes, q: v128) -> v128 {
        // SAFETY: the caller's.
        i16x8_add(sum, i16x8_relaxed_dot_i8x16_i7x16(unsafe { v128_load32_splat(a.cast()) }, q))
    }

    #[inline(always)]
    unsafe fn add_halves(sum: v128, low: *const Bytes, high: *const Bytes, part: usize, q: v128) -> v128 {
        // SAFETY: the caller's.
        unsafe { Self::add(sum, if part == 0 { low } else { high }, q) }
    }

    #[inline(always)]
    fn sum(sum: v128, c: &Constants) -> v128 {
        i32x4_dot_i16x8(sum, c.one)
    }

    #[inline(always)]
    fn look_up(table: v128, places: v128) -> v128 {
        look_up(table, places)
    }

    #[inline(always)]
    fn scaled(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_dot_i16x8(sum, look_up(scales, c.unsigned[sub]))
    }

    #[inline(always)]
    fn scaled_signed(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_dot_i16x8(sum, i16x8_shr(look_up(scales, c.signed[sub]), 8))
    }

    #[inline(always)]
    unsafe fn start_signed(of: Of32<Bytes>) -> v128 {
        // SAFETY: the caller's.
        unsafe { start_signed(of) }
    }

    /// No product of two leaves 16 bits: 2 · 127 · 128.
    #[inline(always)]
    unsafe fn add_signed(sum: v128, of: Of32<Bytes>, chunk: usize, q: v128, c: &Constants) -> v128 {
        // SAFETY: the caller's.
        let (magnitudes, w) = unsafe { signed(of, chunk, q) };
        i32x4_add(sum, Self::sum(i16x8_relaxed_dot_i8x16_i7x16(w, magnitudes), c))
    }

    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        mul_add(a, b, c)
    }
}

impl<const BITS: u32> Dot for Fours32<BITS> {
    type Chunk = Bytes;
    type By7 = Fours32<7>;
    const BY_8: bool = BITS == 8;
    const PARTS: usize = 2;
    const BOTH_QUADS_FOR_ONE: bool = true;
    const HALF: v128 = HALF;

    #[inline(always)]
    unsafe fn add(sum: v128, a: *const Bytes, q: v128) -> v128 {
        // SAFETY: the caller's.
        i32x4_relaxed_dot_i8x16_i7x16_add(unsafe { v128_load32_splat(a.cast()) }, q, sum)
    }

    #[inline(always)]
    unsafe fn add_halves(sum: v128, low: *const Bytes, high: *const Bytes, part: usize, q: v128) -> v128 {
        // SAFETY: the caller's.
        unsafe { Self::add(sum, if part == 0 { low } else { high }, q) }
    }

    #[inline(always)]
    fn look_up(table: v128, places: v128) -> v128 {
        look_up(table, places)
    }

    #[inline(always)]
    unsafe fn start_signed(of: Of32<Bytes>) -> v128 {
        // SAFETY: the caller's.
        unsafe {
            if Self::BY_8 {
                return v128_load32_splat((&raw const (*of.signs).bias).cast());
            }
            start_signed(of)
        }
    }

    #[inline(always)]
    unsafe fn add_signed(sum: v128, of: Of32<Bytes>, chunk: usize, q: v128, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe {
            if Self::BY_8 {
                return Self::add(sum, of.chunks.add(chunk), q);
            }
            let (magnitudes, w) = signed(of, chunk, q);
            i32x4_relaxed_dot_i8x16_i7x16_add(w, magnitudes, sum)
        }
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

/// Calls `$dots` with the dots of the form that was chosen.
macro_rules! in_form {
    ($($dots:ident)::+, $operands:ident, $y:ident) => {
        match form::chosen() {
            form::Form::Pairs16 => $($dots)::+::<Pairs16, T>($operands, $y),
            form::Form::Fours32 => $($dots)::+::<Fours32<7>, T>($operands, $y),
            form::Form::Fours32By8 => $($dots)::+::<Fours32<8>, T>($operands, $y),
        }
    };
}

/// As [`portable::dots32`](super::portable::dots32).
pub(crate) fn dots32<const T: usize>(operands: &Operands<Block32<Chunk>, T>, y: &mut [Dots<T>]) {
    in_form!(simd::dots32, operands, y)
}

/// As [`portable::dots256`](super::portable::dots256).
pub(crate) fn dots256<const T: usize>(operands: &Operands<Block256<Chunk>, T>, y: &mut [Dots<T>]) {
    in_form!(simd::dots256, operands, y)
}

/// As [`dots32`], for weights of 8 bits.
pub(crate) fn signed_dots32<const T: usize>(
    operands: &Operands<Block32<Chunk, Signs>, T>,
    y: &mut [Dots<T>],
) {
    in_form!(simd::signed_dots32, operands, y)
}

/// As [`dots256`], for weights of 8 bits.
pub(crate) fn signed_dots256<const T: usize>(
    operands: &Operands<Block256<Chunk, Signs>, T>,
    y: &mut [Dots<T>],
) {
    in_form!(simd::signed_dots256, operands, y)
}

/// `x · scale`, rounded to the nearest integers, ties to even; none may be over 127.
pub(crate) fn round_to(x: &[f32], scale: f32, chunks: &mut [Chunk]) {
    assert!(x.len() == 4 * chunks.len() && x.len().is_multiple_of(16));
    let rounding = simd::Rounding::new(scale);
    for (sixteen, four) in x.chunks_exact(16).zip(chunks.chunks_exact_mut(4)) {
        // SAFETY: of sixteen numbers, and four chunks are a vector.
        unsafe {
            let [low, high] = [rounding.eight(sixteen.as_ptr()), rounding.eight(sixteen.as_ptr().add(8))];
            v128_store(four.as_mut_ptr().cast(), i8x16_narrow_i16x8(low, high));
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

/// Which form of the dots runs.
pub(crate) mod form {
    use std::sync::atomic::{AtomicU8, Ordering};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Form {
        /// The faster one on x64 without VNNI, where most browsers run.
        Pairs16,
        Fours32,
        /// [`Fours32`](Self::Fours32), where the second operand of weights of 8 bits has 8 as well.
        Fours32By8,
    }

    static CHOSEN: AtomicU8 = AtomicU8::new(Form::Pairs16 as u8);

    /// The form that runs.
    #[inline(always)]
    pub(crate) fn chosen() -> Form {
        const FOURS: u8 = Form::Fours32 as u8;
        const FOURS_BY_8: u8 = Form::Fours32By8 as u8;
        match CHOSEN.load(Ordering::Relaxed) {
            FOURS => Form::Fours32,
            FOURS_BY_8 => Form::Fours32By8,
            _ => Form::Pairs16,
        }
    }

    /// The form of 32 bits that this engine has. By the contract of the instruction the second operand has 7 bits, and more
    /// are taken in one of a few ways, always the same one. The page asks as well, to see which form is faster.
    #[cfg(any(feature = "wasm", test))]
    pub(crate) fn fours() -> Form {
        use core::arch::wasm32::*;
        use std::hint::black_box;
        let (a, b) = (black_box(i8x16_splat(127)), black_box(u8x16_splat(255)));
        let sum = i32x4_relaxed_dot_i8x16_i7x16_add(a, b, i32x4_splat(0));
        if i32x4_extract_lane::<0>(sum) == 4 * 127 * 255 { Form::Fours32By8 } else { Form::Fours32 }
    }

    /// Makes the following calls use `form`.
    #[cfg(any(feature = "wasm", test))]
    pub(crate) fn choose(form: Form) {
        CHOSEN.store(form as u8, Ordering::Relaxed);
    }
}
