//! What is done in f32, in 128-bit SIMD: norms, activations, attention.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::isa::mul_add;
use super::kv::{KV_BLOCK, KvType, bf16_to_f32};
use super::layout::{Dots, GROUP, PackedType, QUAD, STREAMS};
use super::portable::{F16_MAX, F16_MIN_NORMAL};
use super::{Attend, HEAD_MULTIPLE, KvBlock, Spread};
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

/// Numbers that loops use over and over, in every lane, from memory that the compiler does not know: V8 makes a
/// `v128.const` anew in each turn of a loop.
#[derive(Clone, Copy)]
struct Constants {
    /// What of an f16, sign-extended and moved to f32's places, counts.
    f16: v128,
    two_to_112: v128,
    exp: Exp,
}

/// Those of [`exp`].
#[derive(Clone, Copy)]
struct Exp {
    lowest: v128,
    highest: v128,
    log2_e: v128,
    ln_2: [v128; 2],
    p: [v128; 6],
    one: v128,
    /// 1.5 · 2^23: a whole number stands in the low bits of its sum with this.
    shift: v128,
    bias: v128,
}

const fn all(x: f32) -> v128 {
    f32x4(x, x, x, x)
}

impl Constants {
    #[inline(always)]
    fn hidden() -> Self {
        const CONSTANTS: Constants = Constants {
            f16: u32x4(0x8FFF_E000, 0x8FFF_E000, 0x8FFF_E000, 0x8FFF_E000),
            two_to_112: all(QUERY_SCALE),
            exp: Exp {
                lowest: all(-87.0),
                highest: all(88.0),
                log2_e: all(std::f32::consts::LOG2_E),
                ln_2: [all(355.0 / 512.0), all(-2.121_944_4e-4)],
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
                bias: i32x4(127, 127, 127, 127),
            },
        };
        *std::hint::black_box(const { &CONSTANTS })
    }
}

/// e^x within 2 units of the last place, for x from -87 to 88; x beyond is taken for the nearer of them. Source: the
/// range reduction and polynomial of Cephes' `expf`.
#[inline(always)]
fn exp(x: v128, c: &Exp) -> v128 {
    let x = f32x4_pmin(c.highest, f32x4_pmax(c.lowest, x));
    let n = f32x4_nearest(f32x4_mul(x, c.log2_e));
    let r = f32x4_sub(x, f32x4_mul(n, c.ln_2[0]));
    let r = f32x4_sub(r, f32x4_mul(n, c.ln_2[1]));
    let mut p = c.p[0];
    for i in 1..c.p.len() {
        p = mul_add(p, r, c.p[i]);
    }
    let e = f32x4_add(mul_add(p, f32x4_mul(r, r), r), c.one);
    let power = i32x4_shl(i32x4_add(f32x4_add(n, c.shift), c.bias), 23);
    f32x4_mul(e, power)
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
unsafe fn load_f16(at: *const u16, c: &Constants) -> v128 {
    // SAFETY: the caller's.
    v128_and(unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) }, c.f16)
}

/// Numbers as a file has them.
trait Float {
    const BYTES: usize;
    /// Four of them.
    unsafe fn load(at: *const u8, c: &Constants) -> v128;
}

struct F16;
struct BF16;
struct F32;

impl Float for F16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load(at: *const u8, c: &Constants) -> v128 {
        // SAFETY: the caller's.
        f32x4_mul(unsafe { load_f16(at.cast(), c) }, c.two_to_112)
    }
}

impl Float for BF16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load(at: *const u8, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        i32x4_shl(unsafe { i32x4_load_extend_u16x4(at.cast()) }, 16)
    }
}

impl Float for F32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load(at: *const u8, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load(at.cast()) }
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
    assert!(groups.iter().all(|group| group.len() == GROUP * ty.file_bytes() * n_in));
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

/// Columns of a group that tokens meet before they go on to the next group: an even number.
const TURN: usize = 32;

/// Groups of rows by `T` tokens. Even and odd k have sums of their own, so that for a token alone one need not wait for the
/// other; and for several too, so that a token's bits are its own.
///
/// # Safety
/// Each of `groups` has `GROUP * n_in` numbers, each of `x` points to `n_in`, and there are at most [`STREAMS`] groups.
#[inline(never)]
unsafe fn tile_float<F: Float, const T: usize>(
    groups: &[&[u8]],
    x: [*const f32; T],
    n_in: usize,
    y: &mut [Dots<T>],
) {
    let c = &Constants::hidden();
    let zeros = [[f32x4_splat(0.0); 2]; T];
    let mut sums = [[zeros; 2]; STREAMS];
    for begin in (0..n_in).step_by(TURN) {
        let end = n_in.min(begin + TURN);
        for (group, sums) in groups.iter().zip(&mut sums) {
            let [mut even, mut odd] = *sums;
            let paired = end / 2 * 2;
            // SAFETY: the caller's: `k` stays below `n_in`.
            unsafe {
                for k in (begin..paired).step_by(2) {
                    add_column::<F, T>(group.as_ptr(), x, k, &mut even, c);
                    add_column::<F, T>(group.as_ptr(), x, k + 1, &mut odd, c);
                }
                for k in paired..end {
                    add_column::<F, T>(group.as_ptr(), x, k, &mut even, c);
                }
            }
            *sums = [even, odd];
        }
    }
    for ([even, odd], y) in sums.iter().zip(y) {
        for t in 0..T {
            for r in 0..2 {
                // SAFETY: 8 numbers are two vectors.
                unsafe {
                    v128_store(y[t].as_mut_ptr().add(QUAD * r).cast(), f32x4_add(even[t][r], odd[t][r]))
                };
            }
        }
    }
}

#[inline(always)]
unsafe fn add_column<F: Float, const T: usize>(
    group: *const u8,
    x: [*const f32; T],
    k: usize,
    sums: &mut [[v128; 2]; T],
    c: &Constants,
) {
    // SAFETY: the caller's.
    unsafe {
        let column = group.add(k * GROUP * F::BYTES);
        let w = [F::load(column, c), F::load(column.add(QUAD * F::BYTES), c)];
        for t in 0..T {
            let x = v128_load32_splat(x[t].add(k).cast());
            for r in 0..2 {
                sums[t][r] = mul_add(w[r], x, sums[t][r]);
            }
        }
    }
}

/// Positions whose scores are held at once.
const TILE: usize = 32;

/// Rows of keys or values, each of so many numbers, as f32.
type Widen = fn(&[u8], usize, &mut [[f32; 4]]);

/// Queries that go together, one to a lane, so that a key or value is read once for four.
const LANES: usize = 4;

/// What meets halves is larger by what they are smaller: queries when they come, weights of values here.
pub(crate) const QUERY_SCALE: f32 = f32::from_bits((127 + 112) << 23);

/// What [`attend`] wants its queries multiplied by.
pub(crate) fn query_scale(ty: KvType) -> f32 {
    match ty {
        KvType::F16 => QUERY_SCALE,
        KvType::F32 | KvType::Q8_0 => 1.0,
    }
}

// A tile lies in one block.
const _: () = assert!(KV_BLOCK.is_multiple_of(TILE));

/// As [`portable::attend`](super::portable::attend), tile by tile with the largest score so far: Milakov and Gimelshein
/// 2018 (<https://arxiv.org/abs/1805.02867>). Where several fours of queries see a tile, its halves are widened once for
/// all of them; numbers of 8 bits always are.
pub(crate) fn attend(attend: &Attend, y: &mut [f32], log_sums: &mut [f32]) {
    attend.check(y, log_sums);
    let &Attend { q, ty, blocks, width, .. } = attend;
    let n_q = q.len() / width;
    let n_pos = attend.n_pos();
    y.fill(0.0);
    let weight_scale = f32x4_splat(query_scale(ty));
    let fours = q.chunks(LANES * width).zip(y.chunks_mut(LANES * width)).enumerate();
    let mut fours: Vec<Four> = fours
        .map(|(four, (q, y))| {
            let n_q = q.len() / width;
            // A lane without a query sees what the last one does.
            let seen = std::array::from_fn(|lane| attend.seen(LANES * four + lane.min(n_q - 1)) as i32);
            // Below every score, and finite: nothing is taken from an infinity where nothing has been seen.
            let (largest, total) = (f32x4_splat(f32::MIN), f32x4_splat(0.0));
            Four { q, y, width, seen, largest, total, weight_scale }
        })
        .collect();
    let widen: Option<Widen> = match ty {
        KvType::F16 if n_q >= 2 * LANES => Some(widen_halves),
        KvType::Q8_0 => Some(widen_q8_0),
        KvType::F16 | KvType::F32 => None,
    };
    let mut widened = vec![[0.0_f32; 4]; if widen.is_some() { 2 * TILE * width / 4 } else { 0 }];
    let row = ty.row_bytes(width);
    for begin in (0..n_pos).step_by(TILE) {
        let n = TILE.min(n_pos - begin);
        let KvBlock { k, v } = blocks[begin / KV_BLOCK];
        let rows = begin % KV_BLOCK * row..(begin % KV_BLOCK + n) * row;
        let (k, v) = (&k[rows.clone()], &v[rows]);
        if let Some(widen) = widen {
            let (wide_k, wide_v) = widened.split_at_mut(TILE * width / 4);
            widen(k, width, wide_k);
            widen(v, width, wide_v);
            for four in &mut fours {
                // SAFETY: `n` rows of `width` numbers are in each.
                unsafe { four.see::<f32>(wide_k.as_ptr().cast(), wide_v.as_ptr().cast(), begin, n) };
            }
        } else {
            for four in &mut fours {
                // SAFETY: as above; vectors may lie anywhere.
                unsafe {
                    match ty {
                        KvType::F32 => four.see::<f32>(k.as_ptr().cast(), v.as_ptr().cast(), begin, n),
                        _ => four.see::<u16>(k.as_ptr().cast(), v.as_ptr().cast(), begin, n),
                    }
                }
            }
        }
    }
    for (mut four, log_sums) in fours.into_iter().zip(log_sums.chunks_mut(LANES)) {
        log_sums.copy_from_slice(&four.finish()[..log_sums.len()]);
    }
}

/// Halves, times 2^-112, as f32.
fn widen_halves(halves: &[u8], _: usize, wide: &mut [[f32; 4]]) {
    let c = &Constants::hidden();
    for (halves, wide) in halves.as_chunks::<8>().0.iter().zip(wide) {
        // SAFETY: four halves are read and a vector is written.
        unsafe { store(wide.as_mut_ptr(), load_f16(halves.as_ptr().cast(), c)) };
    }
}

/// Rows of 8 bits and their scales as f32.
fn widen_q8_0(rows: &[u8], width: usize, wide: &mut [[f32; 4]]) {
    let rows = rows.chunks_exact(KvType::Q8_0.row_bytes(width));
    for (row, wide) in rows.zip(wide.chunks_exact_mut(width / 4)) {
        let (numbers, scales) = row.split_at(width);
        let (sixteens, scales) = (numbers.as_chunks::<16>().0, scales.as_chunks().0);
        for (i, (numbers, wide)) in sixteens.iter().zip(wide.as_chunks_mut::<4>().0).enumerate() {
            let d = f32x4_splat(bf16_to_f32(scales[i / 2]));
            // SAFETY: 16 bytes are a vector, four numbers are one.
            unsafe {
                let q = v128_load(numbers.as_ptr().cast());
                let (low, high) = (i16x8_extend_low_i8x16(q), i16x8_extend_high_i8x16(q));
                let q = [
                    i32x4_extend_low_i16x8(low),
                    i32x4_extend_high_i16x8(low),
                    i32x4_extend_low_i16x8(high),
                    i32x4_extend_high_i16x8(high),
                ];
                for (q, wide) in q.into_iter().zip(wide) {
                    store(wide.as_mut_ptr(), f32x4_mul(f32x4_convert_i32x4(q), d));
                }
            }
        }
    }
}

/// A number of a key or value, halves times 2^-112.
trait Number: Copy {
    unsafe fn load(at: *const Self, c: &Constants) -> v128;
}

impl Number for u16 {
    #[inline(always)]
    unsafe fn load(at: *const Self, c: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe { load_f16(at, c) }
    }
}

impl Number for f32 {
    #[inline(always)]
    unsafe fn load(at: *const Self, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe { load(at) }
    }
}

/// Up to four queries and what they have seen, one to a lane.
struct Four<'a> {
    q: &'a [f32],     // (n_q, width)
    y: &'a mut [f32], // (n_q, width)
    width: usize,
    /// How many positions each may see.
    seen: [i32; LANES],
    /// The largest score of each.
    largest: v128,
    /// The sum of each one's weights, relative to that.
    total: v128,
    /// What weights are multiplied by, as queries were.
    weight_scale: v128,
}

impl Four<'_> {
    /// Takes the `n` positions from `begin` on, whose keys and values are given.
    unsafe fn see<N: Number>(&mut self, k: *const N, v: *const N, begin: usize, n: usize) {
        // SAFETY: the caller's.
        unsafe {
            match self.q.len() / self.width {
                4 => self.see_by::<N, 4>(k, v, begin, n),
                3 => self.see_by::<N, 3>(k, v, begin, n),
                2 => self.see_by::<N, 2>(k, v, begin, n),
                _ => self.see_by::<N, 1>(k, v, begin, n),
            }
        }
    }

    #[inline(never)]
    unsafe fn see_by<N: Number, const Q: usize>(&mut self, k: *const N, v: *const N, begin: usize, n: usize) {
        let c = &Constants::hidden();
        let mut scores = [f32x4_splat(0.0); TILE];
        // SAFETY: the caller's: `Q` queries.
        unsafe { scores_of::<N, Q>(self.q.as_ptr(), k, v, self.width, n, &mut scores, c) };
        let shrink = self.soften(begin, n, &mut scores, c);
        if !i32x4_all_true(f32x4_eq(shrink, c.exp.one)) {
            self.scale(shrink);
        }
        // SAFETY: as above.
        unsafe { add_values::<N, Q>(&scores[..n], v, self.width, self.y.as_mut_ptr(), c) };
    }

    /// Scores to weights relative to the largest yet, scaled for the values; what the sums so far are to be multiplied by.
    #[inline(always)]
    fn soften(&mut self, begin: usize, n: usize, scores: &mut [v128; TILE], c: &Constants) -> v128 {
        // SAFETY: four numbers are a vector.
        let seen = i32x4_sub(unsafe { v128_load(self.seen.as_ptr().cast()) }, i32x4_splat(begin as i32));
        let hidden = f32x4_splat(f32::NEG_INFINITY);
        let mut largest = self.largest;
        for pos in 0..n {
            scores[pos] = v128_bitselect(scores[pos], hidden, i32x4_gt(seen, i32x4_splat(pos as i32)));
            largest = f32x4_pmax(largest, scores[pos]);
        }
        // An e^x of less than -87 stands for 0, which only positions that are not seen have to be.
        let shrink = exp(f32x4_sub(self.largest, largest), &c.exp);
        let mut total = f32x4_mul(self.total, shrink);
        for pos in 0..n {
            let weight =
                v128_and(exp(f32x4_sub(scores[pos], largest), &c.exp), f32x4_ne(scores[pos], hidden));
            total = f32x4_add(total, weight);
            scores[pos] = f32x4_mul(weight, self.weight_scale);
        }
        (self.largest, self.total) = (largest, total);
        shrink
    }

    /// Sums to means; the logarithms of the sums of e^score. Who has seen nothing has 0 and -infinity.
    fn finish(&mut self) -> [f32; LANES] {
        let one = f32x4_splat(1.0);
        let nothing = f32x4_eq(self.total, f32x4_splat(0.0));
        self.scale(f32x4_div(one, v128_bitselect(one, self.total, nothing)));
        let [mut largest, mut total] = [[0.0_f32; LANES]; 2];
        // SAFETY: four numbers are a vector.
        unsafe {
            store(largest.as_mut_ptr(), self.largest);
            store(total.as_mut_ptr(), self.total);
        }
        std::array::from_fn(|lane| largest[lane] + total[lane].ln())
    }

    /// Multiplies the sums of each query by its lane.
    fn scale(&mut self, by: v128) {
        let mut lanes = [0.0_f32; LANES];
        // SAFETY: four numbers are a vector.
        unsafe { store(lanes.as_mut_ptr(), by) };
        for (y, by) in self.y.chunks_exact_mut(self.width).zip(lanes) {
            for four in y.as_chunks_mut::<4>().0 {
                // SAFETY: as above.
                unsafe { store(four.as_mut_ptr(), f32x4_mul(load(four.as_ptr()), f32x4_splat(by))) };
            }
        }
    }
}

/// The sums of the lanes of four vectors.
#[inline(always)]
fn sums_of(v: [v128; 4]) -> v128 {
    let halves =
        |a: v128, b: v128| f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (low, high) = (halves(v[0], v[1]), halves(v[2], v[3]));
    f32x4_add(i32x4_shuffle::<0, 1, 4, 5>(low, high), i32x4_shuffle::<2, 3, 6, 7>(low, high))
}

/// Reads a little of each cache line, so that what is needed soon comes while something else is computed.
#[inline(always)]
unsafe fn ask_for<N>(at: *const N, n: usize) {
    const CACHE_LINE: usize = 64;
    for byte in (0..n * size_of::<N>()).step_by(CACHE_LINE) {
        // SAFETY: the caller's: `n` numbers are at `at`.
        unsafe { core::ptr::read_volatile(at.cast::<u8>().add(byte)) };
    }
}

/// The products of `Q` queries, one to a lane, with `n` keys, two keys at a time. Their values, at `v`, come meanwhile.
#[inline(always)]
unsafe fn scores_of<N: Number, const Q: usize>(
    q: *const f32,
    k: *const N,
    v: *const N,
    width: usize,
    n: usize,
    scores: &mut [v128; TILE],
    c: &Constants,
) {
    for pos in (0..n).step_by(2) {
        let second = usize::from(pos + 1 < n);
        let mut sums = [[f32x4_splat(0.0); LANES]; 2];
        // SAFETY: the caller's; widths are multiples of HEAD_MULTIPLE.
        unsafe {
            let keys = [k.add(pos * width), k.add((pos + second) * width)];
            ask_for(v.add(pos * width), (1 + second) * width);
            for d in (0..width).step_by(HEAD_MULTIPLE) {
                for d in [d, d + 4, d + 8, d + 12] {
                    let k = [N::load(keys[0].add(d), c), N::load(keys[1].add(d), c)];
                    for r in 0..Q {
                        let x = load(q.add(r * width + d));
                        sums[0][r] = mul_add(x, k[0], sums[0][r]);
                        sums[1][r] = mul_add(x, k[1], sums[1][r]);
                    }
                }
            }
        }
        scores[pos] = sums_of(sums[0]);
        scores[pos + second] = sums_of(sums[second]);
    }
}

/// Adds the values, weighted, to `y`, `(Q, width)`.
#[inline(always)]
unsafe fn add_values<N: Number, const Q: usize>(
    weights: &[v128],
    v: *const N,
    width: usize,
    y: *mut f32,
    c: &Constants,
) {
    for d in (0..width).step_by(8) {
        // SAFETY: the caller's; widths are multiples of 8.
        unsafe {
            let mut sums = [[f32x4_splat(0.0); 2]; Q];
            for r in 0..Q {
                sums[r] = [load(y.add(r * width + d)), load(y.add(r * width + d + 4))];
            }
            let mut v = v.add(d);
            for weights in weights {
                let values = [N::load(v, c), N::load(v.add(4), c)];
                let weights: *const u32 = (&raw const *weights).cast();
                for r in 0..Q {
                    let weight = v128_load32_splat(weights.add(r));
                    sums[r][0] = mul_add(weight, values[0], sums[r][0]);
                    sums[r][1] = mul_add(weight, values[1], sums[r][1]);
                }
                v = v.add(width);
            }
            for r in 0..Q {
                store(y.add(r * width + d), sums[r][0]);
                store(y.add(r * width + d + 4), sums[r][1]);
            }
        }
    }
}
