//! Attention, in 128-bit SIMD: keys scored, scores to weights, values added, tile by tile of positions.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::Attend;
use super::isa::mul_add;
use super::kv::{KV_BLOCK, KvType, bf16_to_f32};
use super::simd_float::{Constants, exp, exp_scaled, load, load_f16, store};
use core::arch::wasm32::*;

/// Positions whose scores are held at once.
const POSITIONS: usize = 32;

/// Bytes that memory gives at once.
const CACHE_LINE: usize = 64;

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

// A block is whole tiles.
const _: () = assert!(KV_BLOCK.is_multiple_of(POSITIONS));

/// As [`portable::attend`](super::portable::attend), tile by tile with the largest score so far: Milakov and Gimelshein
/// 2018 (<https://arxiv.org/abs/1805.02867>). Where several fours of queries see a tile, its halves are widened once for
/// all of them; numbers of 8 bits always are.
pub(crate) fn attend(attend: &Attend, y: &mut [f32], log_sums: &mut [f32]) {
    attend.check(y, log_sums);
    let &Attend { q, ty, k, v, width, .. } = attend;
    let n_q = q.len() / width;
    let n_pos = attend.n_pos();
    y.fill(0.0);
    let scale = query_scale(ty);
    // It is a power of 2.
    let log2_scale = f32x4_splat((scale.to_bits() >> 23) as f32 - 127.0);
    let shift = f32x4_add(Constants::hidden().exp.shift, log2_scale);
    let q = &side_by_side(q, width);
    let fours = q.chunks(LANES * width).zip(y.chunks_mut(LANES * width)).enumerate();
    let mut fours: Vec<Four> = fours
        .map(|(four, (q, y))| {
            let n_q = q.len() / width;
            // A lane without a query sees what the last one does.
            let seen = std::array::from_fn(|lane| attend.seen(LANES * four + lane.min(n_q - 1)) as i32);
            // Below every score, and finite: nothing is taken from an infinity where nothing has been seen.
            let (largest, total) = (f32x4_splat(f32::MIN), f32x4_splat(0.0));
            Four { q, y, width, seen, largest, total, shift }
        })
        .collect();
    let widen: Option<Widen> = match ty {
        KvType::F16 if n_q >= 2 * LANES => Some(widen_halves),
        KvType::Q8_0 => Some(widen_q8_0),
        KvType::F16 | KvType::F32 => None,
    };
    let mut widened = vec![[0.0_f32; 4]; if widen.is_some() { 2 * POSITIONS * width / 4 } else { 0 }];
    let mut scores = [f32x4_splat(0.0); POSITIONS];
    let row = ty.row_bytes(width);
    fetch(&k[..n_pos * row]);
    fetch(&v[..n_pos * row]);
    for begin in (0..n_pos).step_by(POSITIONS) {
        let n = POSITIONS.min(n_pos - begin);
        let rows = begin * row..(begin + n) * row;
        let (k, v, scores) = (&k[rows.clone()], &v[rows], &mut scores[..n]);
        if let Some(widen) = widen {
            let (wide_k, wide_v) = widened.split_at_mut(POSITIONS * width / 4);
            widen(k, width, wide_k);
            widen(v, width, wide_v);
            for four in &mut fours {
                // SAFETY: `n` rows of `width` numbers are in each.
                unsafe { four.see::<f32>(wide_k.as_ptr().cast(), wide_v.as_ptr().cast(), begin, scores) };
            }
        } else {
            for four in &mut fours {
                // SAFETY: as above; vectors may lie anywhere.
                unsafe {
                    match ty {
                        KvType::F32 => four.see::<f32>(k.as_ptr().cast(), v.as_ptr().cast(), begin, scores),
                        _ => four.see::<u16>(k.as_ptr().cast(), v.as_ptr().cast(), begin, scores),
                    }
                }
            }
        }
    }
    for (mut four, log_sums) in fours.into_iter().zip(log_sums.chunks_mut(LANES)) {
        log_sums.copy_from_slice(&four.finish(scale)[..log_sums.len()]);
    }
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
    q: &'a [f32],     // (width / 4, n_q, 4)
    y: &'a mut [f32], // (n_q, width)
    width: usize,
    /// How many positions each may see.
    seen: [i32; LANES],
    /// The largest score of each.
    largest: v128,
    /// The sum of each one's weights, relative to that, scaled.
    total: v128,
    /// By which [`exp_scaled`] scales weights as queries were.
    shift: v128,
}

impl Four<'_> {
    /// Takes the positions from `begin` on, whose keys and values are given, as many as there is room for in `scores`.
    ///
    /// # Safety
    /// `k` and `v` point to as many rows of `width` numbers, here and in what this calls.
    unsafe fn see<N: Number>(&mut self, k: *const N, v: *const N, begin: usize, scores: &mut [v128]) {
        // SAFETY: the caller's.
        unsafe {
            match self.q.len() / self.width {
                4 => self.see_by::<N, 4, 2>(k, v, begin, scores),
                3 => self.see_by::<N, 3, 3>(k, v, begin, scores),
                2 => self.see_by::<N, 2, 4>(k, v, begin, scores),
                _ => self.see_by::<N, 1, 4>(k, v, begin, scores),
            }
        }
    }

    /// By `Q` queries, with each of which `S` keys, or vectors of values, go together: sums for enough of them that none
    /// waits for the one before, in the 16 registers of x64 beside what they are made of.
    #[inline(never)]
    unsafe fn see_by<N: Number, const Q: usize, const S: usize>(
        &mut self,
        k: *const N,
        v: *const N,
        begin: usize,
        scores: &mut [v128],
    ) {
        let c = &Constants::hidden();
        // SAFETY: the caller's: `Q` queries.
        unsafe { scores_of::<N, Q, S>(self.q.as_ptr(), k, self.width, scores, c) };
        let shrink = self.soften(begin, scores, c);
        if !i32x4_all_true(f32x4_eq(shrink, c.exp.one)) {
            self.scale(shrink);
        }
        // SAFETY: as above.
        unsafe { add_values::<N, Q, S>(scores, v, self.width, self.y.as_mut_ptr(), c) };
    }

    /// Scores to weights relative to the largest yet, scaled for the values; what the sums so far are to be multiplied by.
    #[inline(always)]
    fn soften(&mut self, begin: usize, scores: &mut [v128], c: &Constants) -> v128 {
        // SAFETY: four numbers are a vector.
        let seen = i32x4_sub(unsafe { v128_load(self.seen.as_ptr().cast()) }, i32x4_splat(begin as i32));
        let all_seen = i32x4_all_true(i32x4_ge(seen, i32x4_splat(scores.len() as i32)));
        let hidden = f32x4_splat(f32::NEG_INFINITY);
        if !all_seen {
            for (pos, score) in scores.iter_mut().enumerate() {
                *score = v128_bitselect(*score, hidden, i32x4_gt(seen, i32x4_splat(pos as i32)));
            }
        }
        let largest = scores.iter().fold(self.largest, |largest, &score| f32x4_pmax(largest, score));
        // The least e^x stands for 0, which only positions that are not seen have to be.
        let shrink = exp(f32x4_sub(self.largest, largest), &c.exp);
        let mut total = f32x4_mul(self.total, shrink);
        if all_seen {
            for score in scores {
                *score = exp_scaled(f32x4_sub(*score, largest), &c.exp, self.shift);
                total = f32x4_add(total, *score);
            }
        } else {
            for score in scores {
                let weight = exp_scaled(f32x4_sub(*score, largest), &c.exp, self.shift);
                *score = v128_and(weight, f32x4_ne(*score, hidden));
                total = f32x4_add(total, *score);
            }
        }
        (self.largest, self.total) = (largest, total);
        shrink
    }

    /// Sums, whose weights are scaled by `scale`, to means; the logarithms of the sums of e^score. Who has seen nothing has 0
    /// and -infinity.
    fn finish(&mut self, scale: f32) -> [f32; LANES] {
        let one = f32x4_splat(1.0);
        let nothing = f32x4_eq(self.total, f32x4_splat(0.0));
        self.total = f32x4_mul(self.total, f32x4_splat(1.0 / scale));
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
#[inline(always)]
unsafe fn scores_of<N: Number, const Q: usize, const S: usize>(
    q: *const f32,
    k: *const N,
    width: usize,
    scores: &mut [v128],
    c: &Constants,
) {
    let n = scores.len();
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
#[inline(always)]
unsafe fn add_values<N: Number, const Q: usize, const S: usize>(
    weights: &[v128],
    v: *const N,
    width: usize,
    y: *mut f32,
    c: &Constants,
) {
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
