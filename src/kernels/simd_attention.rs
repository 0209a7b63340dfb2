//! Attention to a block of positions, in 128-bit SIMD: all keys scored, scores to weights, all values added.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::isa::mul_add;
use super::kv::{KvType, bf16_to_f32};
use super::simd_float::{Constants, exp_scaled, load, load_f16_scaled, store};
use super::{Attend, TWO_TO_112};
use core::arch::wasm32::*;
use std::ops::Range;

/// Positions whose keys or values are widened at once.
const POSITIONS: usize = 32;

/// Bytes that memory gives at once.
const CACHE_LINE: usize = 64;

/// Rows of keys or values, each of so many numbers, as f32.
type Widen = fn(&[u8], usize, &mut [[f32; 4]]);

/// Queries that go together, one to a lane, so that a key or value is read once for four.
const LANES: usize = 4;

/// What [`attend`] wants its queries multiplied by. What meets halves is larger by what they are smaller: queries when they
/// come, weights of values here.
pub(crate) fn query_scale(ty: KvType) -> f32 {
    match ty {
        KvType::F16 => TWO_TO_112,
        KvType::F32 | KvType::Q8_0 => 1.0,
    }
}

/// As [`portable::attend`](super::portable::attend). Where several fours of queries see a key or value, halves are widened
/// once for all of them; numbers of 8 bits always are.
pub(crate) fn attend(attend: &Attend, y: &mut [f32], log_sums: &mut [f32]) {
    attend.check(y, log_sums);
    match attend.ty {
        KvType::F16 if log_sums.len() >= 2 * LANES => {
            attend_to::<f32>(attend, Some(widen_halves), y, log_sums)
        }
        KvType::F16 => attend_to::<u16>(attend, None, y, log_sums),
        KvType::F32 => attend_to::<f32>(attend, None, y, log_sums),
        KvType::Q8_0 => attend_to::<f32>(attend, Some(widen_q8_0), y, log_sums),
    }
}

/// That to rows of `N`, which they are, or become where they are widened. Keys are fetched and scored before values are, so
/// that a level of cache has to hold only one of the two.
fn attend_to<N: Number>(attend: &Attend, widen: Option<Widen>, y: &mut [f32], log_sums: &mut [f32]) {
    let &Attend { q, ty, k, v, width, .. } = attend;
    let n_pos = attend.n_pos();
    y.fill(0.0);
    let q = &side_by_side(q, width);
    let mut scores = vec![f32x4_splat(0.0); log_sums.len().div_ceil(LANES) * n_pos];
    let fours = q.chunks(LANES * width).zip(y.chunks_mut(LANES * width)).zip(scores.chunks_exact_mut(n_pos));
    let total = f32x4_splat(0.0);
    let mut fours: Vec<Four> = fours.map(|((q, y), scores)| Four { q, y, width, scores, total }).collect();
    let mut widened = vec![[0.0_f32; 4]; if widen.is_some() { POSITIONS * width / 4 } else { 0 }];
    let row = ty.row_bytes(width);
    let mut each_tile = |rows: &[u8], see: &mut dyn FnMut(Range<usize>, *const N)| {
        let rows = &rows[..n_pos * row];
        fetch(rows);
        // Vectors may lie anywhere.
        let Some(widen) = widen else { return see(0..n_pos, rows.as_ptr().cast()) };
        for (tile, rows) in rows.chunks(POSITIONS * row).enumerate() {
            widen(rows, width, &mut widened);
            let begin = tile * POSITIONS;
            see(begin..n_pos.min(begin + POSITIONS), widened.as_ptr().cast());
        }
    };
    each_tile(k, &mut |positions, keys| {
        // SAFETY: `keys` are those of `positions`.
        fours.iter_mut().for_each(|four| unsafe { four.score(positions.clone(), keys) });
    });
    for (i, (four, log_sums)) in fours.iter_mut().zip(log_sums.chunks_mut(LANES)).enumerate() {
        // A lane without a query sees what the last one does.
        let seen = std::array::from_fn(|lane| attend.seen(LANES * i + lane.min(log_sums.len() - 1)) as i32);
        log_sums.copy_from_slice(&four.soften(seen, query_scale(ty))[..log_sums.len()]);
    }
    each_tile(v, &mut |positions, values| {
        // SAFETY: as above.
        fours.iter_mut().for_each(|four| unsafe { four.add(positions.clone(), values) });
    });
    fours.iter_mut().for_each(Four::divide);
}

/// Queries, `(n_q, width)`, by fours of them, in each of which four numbers of one stand beside those of the others:
/// `(width / 4, up to LANES, 4)`.
fn side_by_side(q: &[f32], width: usize) -> Vec<f32> {
    let mut beside = Vec::with_capacity(q.len());
    for queries in q.chunks(LANES * width) {
        for d in (0..width).step_by(4) {
            queries.chunks_exact(width).for_each(|q| beside.extend_from_slice(&q[d..d + 4]));
        }
    }
    beside
}

/// Halves, times 2^-112, as f32.
fn widen_halves(halves: &[u8], _: usize, wide: &mut [[f32; 4]]) {
    let c = &Constants::hidden();
    for (halves, wide) in halves.as_chunks::<8>().0.iter().zip(wide) {
        // SAFETY: four halves are read and a vector is written.
        unsafe { store(wide.as_mut_ptr(), load_f16_scaled(halves.as_ptr().cast(), c)) };
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
        unsafe { load_f16_scaled(at, c) }
    }
}

impl Number for f32 {
    #[inline(always)]
    unsafe fn load(at: *const Self, _: &Constants) -> v128 {
        // SAFETY: the caller's.
        unsafe { load(at) }
    }
}

/// Up to four queries, one to a lane. With `Q` of them go `S` keys, or vectors of values, at a time: enough sums that
/// none waits for the one before, and no more than x64's 16 registers hold beside what they are made of.
struct Four<'a> {
    q: &'a [f32],     // (width / 4, n_q, 4)
    y: &'a mut [f32], // (n_q, width)
    width: usize,
    /// Of each position; then the weights that come of them.
    scores: &'a mut [v128],
    /// The sum of each lane's weights.
    total: v128,
}

impl Four<'_> {
    /// Scores the keys of `positions`.
    ///
    /// # Safety
    /// `keys` are as many rows of `width` numbers, here and in what this calls.
    unsafe fn score<N: Number>(&mut self, positions: Range<usize>, keys: *const N) {
        let (q, width, scores) = (self.q, self.width, &mut self.scores[positions]);
        // SAFETY: the caller's: so many queries.
        unsafe {
            match q.len() / width {
                4 => scores_of::<N, 4, 2>(q, keys, width, scores),
                3 => scores_of::<N, 3, 3>(q, keys, width, scores),
                2 => scores_of::<N, 2, 4>(q, keys, width, scores),
                _ => scores_of::<N, 1, 4>(q, keys, width, scores),
            }
        }
    }

    /// Adds the values of `positions`, by their weights.
    ///
    /// # Safety
    /// As [`score`](Self::score).
    unsafe fn add<N: Number>(&mut self, positions: Range<usize>, values: *const N) {
        let (weights, width, y) = (&self.scores[positions], self.width, &mut *self.y);
        // SAFETY: as above.
        unsafe {
            match y.len() / width {
                4 => add_values::<N, 4, 2>(weights, values, width, y),
                3 => add_values::<N, 3, 3>(weights, values, width, y),
                2 => add_values::<N, 2, 4>(weights, values, width, y),
                _ => add_values::<N, 1, 4>(weights, values, width, y),
            }
        }
    }

    /// Scores, of which each lane sees so many, to weights relative to the largest and times `scale`, a power of 2,
    /// which the total is without. Returns the logarithm of the sum of each lane's e^score, -infinity where it sees
    /// nothing.
    #[inline(never)]
    fn soften(&mut self, seen: [i32; LANES], scale: f32) -> [f32; LANES] {
        let c = &Constants::hidden().exp;
        let scores = &mut *self.scores;
        // SAFETY: four numbers are a vector.
        let seen = unsafe { v128_load(seen.as_ptr().cast()) };
        let all_seen = i32x4_all_true(i32x4_ge(seen, i32x4_splat(scores.len() as i32)));
        let hidden = f32x4_splat(f32::NEG_INFINITY);
        if !all_seen {
            for (pos, score) in scores.iter_mut().enumerate() {
                *score = v128_bitselect(*score, hidden, i32x4_gt(seen, i32x4_splat(pos as i32)));
            }
        }
        // Finite: nothing is taken from an infinity where nothing is seen.
        let below_all = f32x4_splat(f32::MIN);
        let largest = scores.iter().fold(below_all, |largest, &score| f32x4_pmax(largest, score));
        let shift = f32x4_add(c.shift, f32x4_splat((scale.to_bits() >> 23) as f32 - 127.0));
        let mut total = f32x4_splat(0.0);
        if all_seen {
            for score in scores {
                *score = exp_scaled(f32x4_sub(*score, largest), c, shift);
                total = f32x4_add(total, *score);
            }
        } else {
            for score in scores {
                // The least e^x stands for 0, which only positions that are not seen have to be.
                let weight = exp_scaled(f32x4_sub(*score, largest), c, shift);
                *score = v128_and(weight, f32x4_ne(*score, hidden));
                total = f32x4_add(total, *score);
            }
        }
        self.total = f32x4_mul(total, f32x4_splat(1.0 / scale));
        let [largest, total] = [lanes(largest), lanes(self.total)];
        std::array::from_fn(|lane| largest[lane] + total[lane].ln())
    }

    /// Sums to means; 0 stays where the total is 0.
    fn divide(&mut self) {
        let one = f32x4_splat(1.0);
        let nothing = f32x4_eq(self.total, f32x4_splat(0.0));
        let by = lanes(f32x4_div(one, v128_bitselect(one, self.total, nothing)));
        for (y, by) in self.y.chunks_exact_mut(self.width).zip(by) {
            for four in y.as_chunks_mut::<4>().0 {
                // SAFETY: four numbers are a vector.
                unsafe { store(four.as_mut_ptr(), f32x4_mul(load(four.as_ptr()), f32x4_splat(by))) };
            }
        }
    }
}

fn lanes(v: v128) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: four numbers are a vector.
    unsafe { store(lanes.as_mut_ptr(), v) };
    lanes
}

/// The sums of the lanes of four vectors.
#[inline(always)]
fn sums_of(v: [v128; 4]) -> v128 {
    let halves =
        |a: v128, b: v128| f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (low, high) = (halves(v[0], v[1]), halves(v[2], v[3]));
    f32x4_add(i32x4_shuffle::<0, 1, 4, 5>(low, high), i32x4_shuffle::<2, 3, 6, 7>(low, high))
}

/// Reads a little of each cache line of `n` bytes, so that they come while something else is computed.
#[inline(always)]
pub(super) unsafe fn ask_for(at: *const u8, n: usize) {
    for byte in (0..n).step_by(CACHE_LINE) {
        // SAFETY: the caller's: `n` bytes are at `at`.
        unsafe { core::ptr::read_volatile(at.add(byte)) };
    }
}

/// Asks for all of `bytes` and for nothing else meanwhile, so that many lines are on their way at a time. Between the
/// products with keys there is room for the lines of two or three keys in what a processor looks ahead.
fn fetch(bytes: &[u8]) {
    let (many, rest) = bytes.as_chunks::<{ 8 * CACHE_LINE }>();
    // SAFETY: they are slices; those of a known length the compiler writes out.
    unsafe {
        many.iter().for_each(|lines| ask_for(lines.as_ptr(), lines.len()));
        ask_for(rest.as_ptr(), rest.len());
    }
}

/// The products of `Q` queries, one to a lane, with as many keys as there is room for in `scores`, `S` at a time.
#[inline(never)]
unsafe fn scores_of<N: Number, const Q: usize, const S: usize>(
    q: &[f32],
    k: *const N,
    width: usize,
    scores: &mut [v128],
) {
    let (c, q, n) = (&Constants::hidden(), q.as_ptr(), scores.len());
    for pos in (0..n).step_by(S) {
        // Where fewer are left, the last is taken more than once.
        let pos: [usize; S] = std::array::from_fn(|i| (pos + i).min(n - 1));
        let mut sums = [[f32x4_splat(0.0); LANES]; S];
        // SAFETY: the caller's; widths are multiples of 4.
        unsafe {
            let keys = pos.map(|pos| k.add(pos * width));
            for d in (0..width).step_by(4) {
                let k = keys.map(|k| N::load(k.add(d), c));
                for r in 0..Q {
                    let x = load(q.add(Q * d + 4 * r));
                    for i in 0..S {
                        sums[i][r] = mul_add(x, k[i], sums[i][r]);
                    }
                }
            }
        }
        for i in 0..S {
            scores[pos[i]] = sums_of(sums[i]);
        }
    }
}

/// Adds the values, weighted, to `y`, `(Q, width)`: `4 * S` numbers of each at a time, and 8 at a time of what is left.
#[inline(never)]
unsafe fn add_values<N: Number, const Q: usize, const S: usize>(
    weights: &[v128],
    v: *const N,
    width: usize,
    y: &mut [f32],
) {
    let (c, y) = (&Constants::hidden(), y.as_mut_ptr());
    // Widths are multiples of 8, and so is what is left.
    let whole = width - width % if S.is_multiple_of(2) { 4 * S } else { 8 * S };
    // SAFETY: the caller's.
    unsafe {
        for d in (0..whole).step_by(4 * S) {
            add_columns::<N, Q, S>(weights, v.add(d), width, y.add(d), c);
        }
        for d in (whole..width).step_by(8) {
            add_columns::<N, Q, 2>(weights, v.add(d), width, y.add(d), c);
        }
    }
}

/// `4 * S` columns of that.
#[inline(always)]
unsafe fn add_columns<N: Number, const Q: usize, const S: usize>(
    weights: &[v128],
    mut v: *const N,
    width: usize,
    y: *mut f32,
    c: &Constants,
) {
    // SAFETY: the caller's.
    unsafe {
        let at = |r: usize, i: usize| y.add(r * width + 4 * i);
        let mut sums: [[v128; S]; Q] = std::array::from_fn(|r| std::array::from_fn(|i| load(at(r, i))));
        for weights in weights {
            let values: [v128; S] = std::array::from_fn(|i| N::load(v.add(4 * i), c));
            let weights: *const u32 = (&raw const *weights).cast();
            for r in 0..Q {
                let weight = v128_load32_splat(weights.add(r));
                for i in 0..S {
                    sums[r][i] = mul_add(weight, values[i], sums[r][i]);
                }
            }
            v = v.add(width);
        }
        for r in 0..Q {
            for i in 0..S {
                store(at(r, i), sums[r][i]);
            }
        }
    }
}
