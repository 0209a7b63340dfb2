//! What is done in f32, in 128-bit SIMD: norms, rotations, gates, products with weights that are numbers.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::isa::mul_add;
use super::layout::{Dots, GROUP, PackedType, QUAD, VECTOR};
use super::portable::{F16_MAX, F16_MIN_NORMAL, LOWEST_EXPONENT};
use super::{F16_IN_F32, Spread};
use core::arch::wasm32::*;

/// The lanes' sum.
#[inline(always)]
fn sum(v: v128) -> f32 {
    let v = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
    f32x4_extract_lane::<0>(v) + f32x4_extract_lane::<1>(v)
}

#[inline(always)]
pub(super) unsafe fn load(at: *const f32) -> v128 {
    // SAFETY: the caller's.
    unsafe { v128_load(at.cast()) }
}

#[inline(always)]
pub(super) unsafe fn store(at: *mut f32, v: v128) {
    // SAFETY: the caller's.
    unsafe { v128_store(at.cast(), v) };
}

/// As [`portable::rms_norm`](super::portable::rms_norm).
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == y.len());
    let whole = x.len() / 4 * 4;
    let mut squares = f32x4_splat(0.0);
    for i in (0..whole).step_by(4) {
        // SAFETY: four numbers from `i` on are within `x`.
        let x = unsafe { load(x.as_ptr().add(i)) };
        squares = mul_add(x, x, squares);
    }
    let rest: f32 = x[whole..].iter().map(|x| x * x).sum();
    let scale = 1.0 / ((sum(squares) + rest) / x.len() as f32 + eps).sqrt();
    for i in (0..whole).step_by(4) {
        // SAFETY: four numbers from `i` on are within each, which are of one length.
        unsafe {
            let scaled = f32x4_mul(load(x.as_ptr().add(i)), f32x4_splat(scale));
            store(y.as_mut_ptr().add(i), f32x4_mul(scaled, load(weight.as_ptr().add(i))));
        }
    }
    for i in whole..x.len() {
        y[i] = x[i] * scale * weight[i];
    }
}

/// Numbers that loops use over and over, in every lane, from memory that the compiler does not know: V8 makes a
/// `v128.const` anew in each turn of a loop.
#[derive(Clone, Copy)]
pub(super) struct Constants {
    /// What of an f16, sign-extended and moved to f32's places, counts.
    f16: v128,
    /// 2^13 times the lower 16 bits of a lane, plus 0 times the upper ones: moves the lower f16 to f32's places.
    lower_to_f32: v128,
    pub(super) exp: Exp,
}

/// Those of [`exp`].
#[derive(Clone, Copy)]
pub(super) struct Exp {
    lowest: v128,
    highest: v128,
    log2_e: v128,
    minus_ln_2: [v128; 2],
    p: [v128; 6],
    one: v128,
    /// 1.5 · 2^23: a whole number stands in the low bits of its sum with this.
    pub(super) shift: v128,
}

const fn all(x: f32) -> v128 {
    f32x4(x, x, x, x)
}

impl Constants {
    #[inline(always)]
    pub(super) fn hidden() -> Self {
        const CONSTANTS: Constants = Constants {
            f16: u32x4(F16_IN_F32, F16_IN_F32, F16_IN_F32, F16_IN_F32),
            lower_to_f32: u32x4(1 << 13, 1 << 13, 1 << 13, 1 << 13),
            exp: Exp {
                lowest: all(LOWEST_EXPONENT),
                highest: all(88.0),
                log2_e: all(std::f32::consts::LOG2_E),
                minus_ln_2: [all(-355.0 / 512.0), all(2.121_944_4e-4)],
                p: [
                    all(1.987_569_2e-4),
                    all(1.398_199_9e-3),
                    all(8.333_452e-3),
                    all(4.166_579_6e-2),
                    all(1.666_666_5e-1),
                    all(0.5),
                ],
                one: all(1.0),
                shift: all(12_582_912.0),
            },
        };
        *std::hint::black_box(const { &CONSTANTS })
    }
}

/// e^x within 2 units of the last place, for x from [`LOWEST_EXPONENT`] to 88; x beyond is taken for the nearer of them.
#[inline(always)]
fn exp(x: v128, c: &Exp) -> v128 {
    exp_scaled(f32x4_pmin(c.highest, x), c, c.shift)
}

/// e^x times 2^n, as [`exp`], for x that is at most as large as leaves room for both; `shift` is n more than
/// [`Exp::shift`]. Source: the range reduction and polynomial of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp_scaled(x: v128, c: &Exp, shift: v128) -> v128 {
    let x = f32x4_pmax(c.lowest, x);
    let shifted = mul_add(x, c.log2_e, shift);
    let n = f32x4_sub(shifted, shift);
    let r = mul_add(n, c.minus_ln_2[1], mul_add(n, c.minus_ln_2[0], x));
    let mut p = c.p[0];
    for i in 1..c.p.len() {
        p = mul_add(p, r, c.p[i]);
    }
    let e = f32x4_add(mul_add(p, f32x4_mul(r, r), r), c.one);
    // The low bits of the sum, moved to the exponent's place.
    i32x4_add(e, i32x4_shl(shifted, 23))
}

/// As [`portable::silu_mul`](super::portable::silu_mul).
pub(crate) fn silu_mul(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == y.len());
    let c = Constants::hidden().exp;
    let silu_mul = |gate: v128, up: v128| {
        let sigmoid = f32x4_add(c.one, exp(f32x4_neg(gate), &c));
        f32x4_mul(f32x4_div(gate, sigmoid), up)
    };
    let whole = y.len() / 4 * 4;
    for i in (0..whole).step_by(4) {
        // SAFETY: four numbers from `i` on are within each, which are of one length.
        unsafe {
            let gated = silu_mul(load(gate.as_ptr().add(i)), load(up.as_ptr().add(i)));
            store(y.as_mut_ptr().add(i), gated);
        }
    }
    for i in whole..y.len() {
        y[i] = f32x4_extract_lane::<0>(silu_mul(f32x4_splat(gate[i]), f32x4_splat(up[i])));
    }
}

/// As [`portable::spread`](super::portable::spread). Sums are of 1024 numbers in f32, and of those in f64.
pub(crate) fn spread(x: &[f32]) -> Spread {
    let (fours, rest) = x.as_chunks::<4>();
    let mut largest = f32x4_splat(f32::NEG_INFINITY);
    for four in fours {
        // SAFETY: four numbers are a vector.
        largest = f32x4_pmax(largest, unsafe { load(four.as_ptr()) });
    }
    largest = f32x4_pmax(largest, i32x4_shuffle::<2, 3, 0, 1>(largest, largest));
    let largest = f32x4_extract_lane::<0>(largest).max(f32x4_extract_lane::<1>(largest));
    let max = rest.iter().copied().fold(largest, f32::max);

    let c = &Constants::hidden().exp;
    let mut spread = super::portable::spread_below(rest, max);
    for fours in fours.chunks(256) {
        let [mut sums, mut weighted] = [f32x4_splat(0.0); 2];
        for four in fours {
            // SAFETY: as above.
            let x = unsafe { load(four.as_ptr()) };
            let below = f32x4_pmax(c.lowest, f32x4_sub(x, f32x4_splat(max)));
            let e = exp(below, c);
            sums = f32x4_add(sums, e);
            weighted = mul_add(e, below, weighted);
        }
        spread.sum += f64::from(sum(sums));
        spread.weighted += f64::from(sum(weighted));
    }
    spread
}

/// As [`portable::rotate`](super::portable::rotate).
pub(crate) fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (fours, rest) = x.as_chunks_mut::<4>();
    let ((cos, cos_rest), (sin, sin_rest)) = (cos.as_chunks::<4>(), sin.as_chunks::<4>());
    for ((x, cos), sin) in fours.iter_mut().zip(cos).zip(sin) {
        // SAFETY: four numbers are a vector.
        unsafe {
            let pairs = load(x.as_ptr());
            let swapped = i32x4_shuffle::<1, 0, 3, 2>(pairs, pairs);
            let turned = mul_add(swapped, load(sin.as_ptr()), f32x4_mul(pairs, load(cos.as_ptr())));
            store(x.as_mut_ptr(), turned);
        }
    }
    super::portable::rotate(rest, cos_rest, sin_rest);
}

/// As [`portable::add`](super::portable::add).
pub(crate) fn add(y: &mut [f32], x: &[f32]) {
    let (fours, rest) = y.as_chunks_mut::<4>();
    let (x_fours, x_rest) = x.as_chunks::<4>();
    for (y, x) in fours.iter_mut().zip(x_fours) {
        // SAFETY: four numbers are a vector.
        unsafe { store(y.as_mut_ptr(), f32x4_add(load(y.as_ptr()), load(x.as_ptr()))) };
    }
    super::portable::add(rest, x_rest);
}

/// As [`portable::to_f16`](super::portable::to_f16).
pub(crate) fn to_f16(x: &[f32], y: &mut [u8]) {
    let (fours, rest) = x.as_chunks::<4>();
    let (halves, halves_rest) = y.as_chunks_mut::<8>();
    for (x, y) in fours.iter().zip(halves) {
        // SAFETY: four numbers are a vector.
        let x = unsafe { load(x.as_ptr()) };
        let magnitude = f32x4_pmin(f32x4_splat(F16_MAX), f32x4_abs(x));
        let normal = f32x4_ge(magnitude, f32x4_splat(F16_MIN_NORMAL));
        let even = v128_and(u32x4_shr(magnitude, 13), i32x4_splat(1));
        let rounded = i32x4_add(i32x4_add(magnitude, i32x4_splat(0x0FFF)), even);
        let half = i32x4_sub(u32x4_shr(rounded, 13), i32x4_splat((127 - 15) << 10));
        let sign = v128_and(u32x4_shr(x, 16), i32x4_splat(0x8000));
        let half = v128_or(v128_and(half, normal), sign);
        // SAFETY: four halves are half a vector.
        unsafe { v128_store64_lane::<0>(u16x8_narrow_i32x4(half, half), y.as_mut_ptr().cast()) };
    }
    super::portable::to_f16(rest, halves_rest);
}

/// Four f16 times 2^-112.
#[inline(always)]
pub(super) unsafe fn load_f16_scaled(at: *const u16, c: &Constants) -> v128 {
    // SAFETY: the caller's.
    v128_and(unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) }, c.f16)
}

/// What activations are multiplied by that meet F16, and then the sums: the loops take F16 for 2^112 times as small. With half
/// of that on either side only activations of 2^72 and more become infinite, and only products below 2^-70 lose digits.
pub(crate) const F16_SCALE: f32 = f32::from_bits((127 + 56) << 23);

/// Weights that are numbers.
trait Float {
    const BYTES: usize;
    /// What sums of their products are multiplied by in the end.
    const SCALE: f32 = 1.0;
    /// Those of both quads of one k, F16 times 2^-112.
    unsafe fn load(at: *const u8, c: &Constants) -> [v128; 2];
}

struct F16;
struct BF16;
struct F32;

impl Float for F16 {
    const BYTES: usize = 2;
    const SCALE: f32 = F16_SCALE;
    #[inline(always)]
    unsafe fn load(at: *const u8, c: &Constants) -> [v128; 2] {
        // SAFETY: the caller's.
        let both = unsafe { v128_load(at.cast()) };
        [i32x4_dot_i16x8(both, c.lower_to_f32), i32x4_shr(both, 3)].map(|v| v128_and(v, c.f16))
    }
}

impl Float for BF16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load(at: *const u8, _: &Constants) -> [v128; 2] {
        // SAFETY: the caller's.
        let both = unsafe { v128_load(at.cast()) };
        // The mask is no hidden constant: V8 makes it anew each time, which takes less than a register to keep it in.
        [i32x4_shl(both, 16), v128_and(both, u32x4_splat(0xFFFF_0000))]
    }
}

impl Float for F32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load(at: *const u8, _: &Constants) -> [v128; 2] {
        // SAFETY: the caller's.
        unsafe { [v128_load(at.cast()), v128_load(at.add(VECTOR).cast())] }
    }
}

/// As [`portable::dots_float`](super::portable::dots_float).
#[inline(always)]
pub(crate) fn dots_float<const T: usize>(
    ty: PackedType,
    groups: &[&[u8]],
    x: [&[f32]; T],
    y: &mut [Dots<T>],
) {
    let n_in = x[0].len();
    assert!(x.iter().all(|x| x.len() == n_in) && groups.len() == y.len());
    assert!(groups.iter().all(|group| group.len() >= GROUP * ty.file_bytes() * n_in));
    let x = x.map(<[f32]>::as_ptr);
    // SAFETY: the lengths are checked above.
    unsafe {
        match ty {
            PackedType::F16 => tile_float::<F16, T>(groups, x, n_in, y),
            PackedType::BF16 => tile_float::<BF16, T>(groups, x, n_in, y),
            PackedType::F32 => tile_float::<F32, T>(groups, x, n_in, y),
            _ => unreachable!("of another family"),
        }
    }
}

/// Groups of rows by `T` tokens, one after the other. A token alone goes over two at once, which with the sums of even columns
/// apart from those of odd ones has eight: as many as begin while one is added to.
///
/// # Safety
/// Each of `groups` has `GROUP * n_in` numbers, each of `x` points to `n_in`.
#[inline(never)]
unsafe fn tile_float<F: Float, const T: usize>(
    groups: &[&[u8]],
    x: [*const f32; T],
    n_in: usize,
    y: &mut [Dots<T>],
) {
    let c = &Constants::hidden();
    let (pairs, single) = if T == 1 { groups.as_chunks() } else { (&[][..], groups) };
    let (of_pairs, of_single) = y.split_at_mut(2 * pairs.len());
    // SAFETY: the caller's.
    unsafe {
        for (pair, y) in pairs.iter().zip(of_pairs.as_chunks_mut().0) {
            rows_of::<F, T, 2>(pair, x, n_in, y, c);
        }
        for (group, y) in single.iter().zip(of_single.as_chunks_mut().0) {
            rows_of::<F, T, 1>(&[group], x, n_in, y, c);
        }
    }
}

/// Columns that several tokens go over twice before they go on, which nearest caches hold: an even number.
const COLUMNS: usize = 256;

/// One or two groups by `T` tokens. For a token alone there are registers for the sums of even columns and of odd ones; for
/// several there are not, so that they go over the columns twice, with the same order in each sum: a token's bits are its
/// own, whatever tokens go with it.
#[inline(always)]
unsafe fn rows_of<F: Float, const T: usize, const G: usize>(
    groups: &[&[u8]; G],
    x: [*const f32; T],
    n_in: usize,
    y: &mut [Dots<T>; G],
    c: &Constants,
) {
    let mut even = [[[f32x4_splat(0.0); 2]; T]; G];
    let mut odd = even;
    let add = |sums: &mut [[[v128; 2]; T]; G], k: usize| {
        for g in 0..G {
            // SAFETY: the caller's.
            unsafe {
                let w = F::load(groups[g].as_ptr().add(k * GROUP * F::BYTES), c);
                for t in 0..T {
                    let x = v128_load32_splat(x[t].add(k).cast());
                    for r in 0..2 {
                        sums[g][t][r] = mul_add(w[r], x, sums[g][t][r]);
                    }
                }
            }
        }
    };
    if T == 1 {
        for k in (1..n_in).step_by(2) {
            add(&mut even, k - 1);
            add(&mut odd, k);
        }
        if n_in % 2 == 1 {
            add(&mut even, n_in - 1);
        }
    } else {
        for begin in (0..n_in).step_by(COLUMNS) {
            let end = n_in.min(begin + COLUMNS);
            (begin..end).step_by(2).for_each(|k| add(&mut even, k));
            (begin + 1..end).step_by(2).for_each(|k| add(&mut odd, k));
        }
    }
    for g in 0..G {
        for t in 0..T {
            for r in 0..2 {
                let sum = f32x4_mul(f32x4_add(even[g][t][r], odd[g][t][r]), f32x4_splat(F::SCALE));
                // SAFETY: 8 numbers are two vectors.
                unsafe { store(y[g][t].as_mut_ptr().add(QUAD * r), sum) };
            }
        }
    }
}
