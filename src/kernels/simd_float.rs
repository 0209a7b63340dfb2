//! What is done in f32, in 128-bit SIMD: norms, activations, attention.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::Attend;
use super::isa::mul_add;
use super::portable::{F16_MAX, F16_MIN_NORMAL};
use core::arch::wasm32::*;

/// The lanes' sum.
#[inline(always)]
fn sum(v: v128) -> f32 {
    let v = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
    f32x4_extract_lane::<0>(v) + f32x4_extract_lane::<1>(v)
}

#[inline(always)]
unsafe fn load(at: *const f32) -> v128 {
    // SAFETY: the caller's.
    unsafe { v128_load(at.cast()) }
}

#[inline(always)]
unsafe fn store(at: *mut f32, v: v128) {
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

/// e^x within 2 units of the last place, for x from -87 to 88; x beyond is taken for the nearer of them. Source: the
/// range reduction and polynomial of Cephes' `expf`.
#[inline(always)]
fn exp(x: v128) -> v128 {
    let x = f32x4_pmin(f32x4_splat(88.0), f32x4_pmax(f32x4_splat(-87.0), x));
    let n = f32x4_nearest(f32x4_mul(x, f32x4_splat(std::f32::consts::LOG2_E)));
    let r = f32x4_sub(x, f32x4_mul(n, f32x4_splat(355.0 / 512.0)));
    let r = f32x4_sub(r, f32x4_mul(n, f32x4_splat(-2.121_944_4e-4)));
    let mut p = f32x4_splat(1.987_569_2e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = mul_add(p, r, f32x4_splat(c));
    }
    let e = f32x4_add(mul_add(p, f32x4_mul(r, r), r), f32x4_splat(1.0));
    // n is whole: as an integer it stands in the low bits once 1.5 · 2^23 is added.
    let power = i32x4_shl(i32x4_add(f32x4_add(n, f32x4_splat(12_582_912.0)), i32x4_splat(127)), 23);
    f32x4_mul(e, power)
}

/// As [`portable::silu_mul`](super::portable::silu_mul).
pub(crate) fn silu_mul(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == up.len() && gate.len() == y.len());
    let silu_mul = |gate: v128, up: v128| {
        let sigmoid = f32x4_add(f32x4_splat(1.0), exp(f32x4_neg(gate)));
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
pub(crate) fn to_f16(x: &[f32], y: &mut [u16]) {
    let (fours, rest) = x.as_chunks::<4>();
    let (halves, halves_rest) = y.as_chunks_mut::<4>();
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

/// Positions whose scores are held at once.
const TILE: usize = 32;

/// As [`portable::attend`](super::portable::attend), tile by tile with the largest score so far: Milakov and Gimelshein
/// 2018 (<https://arxiv.org/abs/1805.02867>). Queries go together by fours, so that a key or value is read once for
/// four.
pub(crate) fn attend(attend: &Attend, y: &mut [f32]) {
    let &Attend { q, n_seen, k, v, width } = attend;
    assert!(width.is_multiple_of(8) && q.len().is_multiple_of(width) && y.len() == q.len());
    assert!(n_seen * width <= k.len() && n_seen * width <= v.len());
    for (q, y) in q.chunks(4 * width).zip(y.chunks_mut(4 * width)) {
        let part = Attend { q, ..*attend };
        // SAFETY: the lengths are checked above.
        unsafe {
            match q.len() / width {
                4 => tiles::<4>(&part, y),
                3 => tiles::<3>(&part, y),
                2 => tiles::<2>(&part, y),
                _ => tiles::<1>(&part, y),
            }
        }
    }
}

/// Four f16 times 2^-112.
#[inline(always)]
unsafe fn load_f16(at: *const u16) -> v128 {
    // SAFETY: the caller's.
    let moved = unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) };
    v128_and(moved, i32x4_splat(0x8FFF_E000_u32 as i32))
}

/// What meets halves is larger by what they are smaller: queries when they come, weights of values here.
pub(crate) const QUERY_SCALE: f32 = f32::from_bits((127 + 112) << 23);

#[inline(never)]
unsafe fn tiles<const Q: usize>(attend: &Attend, y: &mut [f32]) {
    let width = attend.width;
    let (mut largest, mut total) = ([f32::NEG_INFINITY; Q], [0.0_f32; Q]);
    let mut scores = [[0.0_f32; TILE]; Q];
    y.fill(0.0);
    for begin in (0..attend.n_seen).step_by(TILE) {
        let n = TILE.min(attend.n_seen - begin);
        // SAFETY: rows `begin..begin + n` are within `k` and `v`, by the caller's contract.
        unsafe { scores_of::<Q>(attend, begin, n, &mut scores) };
        for q in 0..Q {
            scores[q][n..].fill(f32::NEG_INFINITY);
            let shrink = soften(&mut scores[q], &mut largest[q], &mut total[q]);
            if shrink != 1.0 {
                scale(&mut y[q * width..(q + 1) * width], shrink);
            }
        }
        // SAFETY: as above.
        unsafe { add_values::<Q>(attend, begin, n, &scores, y) };
    }
    for q in 0..Q {
        scale(&mut y[q * width..(q + 1) * width], 1.0 / total[q]);
    }
}

/// The products of `Q` queries with the keys from `begin` on, two keys at a time.
#[inline(always)]
unsafe fn scores_of<const Q: usize>(attend: &Attend, begin: usize, n: usize, scores: &mut [[f32; TILE]; Q]) {
    let width = attend.width;
    let mut pos = 0;
    while pos < n {
        let second = usize::from(pos + 1 < n);
        let mut sums = [[f32x4_splat(0.0); 2]; Q];
        // SAFETY: the caller's.
        unsafe {
            let k0 = attend.k.as_ptr().add((begin + pos) * width);
            let k1 = k0.add(second * width);
            for d in (0..width).step_by(4) {
                let k = [load_f16(k0.add(d)), load_f16(k1.add(d))];
                for q in 0..Q {
                    let x = load(attend.q.as_ptr().add(q * width + d));
                    for r in 0..2 {
                        sums[q][r] = mul_add(x, k[r], sums[q][r]);
                    }
                }
            }
        }
        for q in 0..Q {
            scores[q][pos] = sum(sums[q][0]);
            scores[q][pos + second] = sum(sums[q][second]);
        }
        pos += 2;
    }
}

/// Scores to weights relative to the largest score yet, times [`QUERY_SCALE`]; what the sums so far are to be multiplied by.
#[inline(always)]
fn soften(scores: &mut [f32; TILE], largest: &mut f32, total: &mut f32) -> f32 {
    let new = scores.iter().copied().fold(*largest, |a, b| if a < b { b } else { a });
    let shrink = if *largest == new { 1.0 } else { (*largest - new).exp() };
    let mut sums = f32x4_splat(0.0);
    for four in scores.as_chunks_mut::<4>().0 {
        // SAFETY: four numbers are a vector.
        unsafe {
            let score = load(four.as_ptr());
            let seen = f32x4_gt(score, f32x4_splat(f32::NEG_INFINITY));
            let weight = v128_and(exp(f32x4_sub(score, f32x4_splat(new))), seen);
            store(four.as_mut_ptr(), f32x4_mul(weight, f32x4_splat(QUERY_SCALE)));
            sums = f32x4_add(sums, weight);
        }
    }
    (*largest, *total) = (new, *total * shrink + sum(sums));
    shrink
}

/// Adds the values from `begin` on, weighted.
#[inline(always)]
unsafe fn add_values<const Q: usize>(
    attend: &Attend,
    begin: usize,
    n: usize,
    weights: &[[f32; TILE]; Q],
    y: &mut [f32],
) {
    let width = attend.width;
    for d in (0..width).step_by(8) {
        // SAFETY: the caller's; `d + 8 <= width`, of which `y` has `Q`.
        unsafe {
            let y = y.as_mut_ptr().add(d);
            let mut sums = [[f32x4_splat(0.0); 2]; Q];
            for q in 0..Q {
                sums[q] = [load(y.add(q * width)), load(y.add(q * width + 4))];
            }
            let mut v = attend.v.as_ptr().add(begin * width + d);
            for pos in 0..n {
                let values = [load_f16(v), load_f16(v.add(4))];
                for q in 0..Q {
                    let weight = v128_load32_splat(weights[q].as_ptr().add(pos).cast());
                    for r in 0..2 {
                        sums[q][r] = mul_add(weight, values[r], sums[q][r]);
                    }
                }
                v = v.add(width);
            }
            for q in 0..Q {
                store(y.add(q * width), sums[q][0]);
                store(y.add(q * width + 4), sums[q][1]);
            }
        }
    }
}

#[inline(always)]
fn scale(x: &mut [f32], by: f32) {
    for four in x.as_chunks_mut::<4>().0 {
        // SAFETY: four numbers are a vector.
        unsafe { store(four.as_mut_ptr(), f32x4_mul(load(four.as_ptr()), f32x4_splat(by))) };
    }
}
