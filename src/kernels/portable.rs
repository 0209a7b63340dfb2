//! The loops in plain Rust: the oracle of the other files, and what runs natively.
//!
//! In products four rows go together as they do in SIMD, and every sum is made in the same order, so that an instruction set
//! without fused multiply-add gives the same bits.

use super::activations::{Block32, Block256, Bytes, Chunk as _, Operands};
use super::kv::KvType;
use super::layout::{
    Dots, Family, GROUP, IQ4_VALUES, PackedType, QK, QK_K, QUAD, iq4_xs, min_at, q2_k, q3_k, q4_0, q4_1,
    q4_k, q5_0, q5_1, q5_k, q6_k, q8_0, scale_at,
};
use super::{Attend, F16_IN_F32, Spread, TWO_TO_112};

/// How this file's loops take activations.
pub(crate) type Chunk = Bytes;

/// Tokens that go together, which share one unpacking of the weights.
pub(crate) const TILE: usize = 16;

/// What a test can ask for: which file's loops run.
#[cfg(test)]
pub(crate) const NAME: &str = "portable";

/// The f32 of an f16 that is finite.
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let moved = (i32::from(bits as i16) << 13) as u32 & F16_IN_F32;
    f32::from_bits(moved) * TWO_TO_112
}

/// Whole numbers as a packed vector has them: byte i of lane r at 4r + i.
type Vector = [i16; 16];

/// A quad of the 32-family, unpacked: vector c has k = 4c + i; weight k of row r is `d[r] · q + m[r]`.
struct Quad32 {
    q: [Vector; QK / 4],
    d: [f32; QUAD],
    m: [f32; QUAD],
}

/// A quad of the K-family, unpacked: vector c has k = 4c + i; weight k of row r is
/// `d[r] · scales[k / 16][r] · q - dmin[r] · mins[k / 16][r]`.
struct Quad256 {
    q: [Vector; QK_K / 4],
    scales: [[i32; QUAD]; QK_K / 16],
    mins: [[i32; QUAD]; QK_K / 16],
    d: [f32; QUAD],
    dmin: [f32; QUAD],
}

/// The vector at `at` of a quad, each byte by itself.
fn vector(quad: &[u8], at: usize, number: impl Fn(u8) -> i16) -> Vector {
    let bytes: &[u8; 16] = quad[at..at + 16].try_into().expect("16 bytes");
    bytes.map(number)
}

/// Adds bit `bit` of each byte of the vector at `at`, as bit `place`.
fn add_bit(q: &mut Vector, place: usize, quad: &[u8], at: usize, bit: usize) {
    for (q, high) in q.iter_mut().zip(vector(quad, at, |byte| i16::from(byte >> bit & 1) << place)) {
        *q += high;
    }
}

/// The lower half of a byte, or the upper one.
fn half(byte: u8, upper: bool) -> u8 {
    if upper { byte >> 4 } else { byte & 0x0F }
}

/// 32 numbers of 5 bits, of which `at` says where the vectors are.
fn fives(quad: &[u8], at: impl Fn(usize) -> usize) -> [Vector; QK / 4] {
    let low = |p: usize| vector(quad, at(p), |byte| i16::from(byte & 0x1F));
    let above = |p: usize| vector(quad, at(p), |byte| i16::from(byte >> 5));
    std::array::from_fn(|c| match c {
        0..5 => low(c),
        5 | 6 => {
            let (a, b) = (above(2 * (c - 5)), above(2 * (c - 5) + 1));
            std::array::from_fn(|l| a[l] | b[l] >> 1 << 3)
        }
        _ => {
            let (a, b, c) = (above(4), above(1), above(3));
            std::array::from_fn(|l| a[l] | (b[l] & 1) << 3 | (c[l] & 1) << 4)
        }
    })
}

fn f16s(quad: &[u8], at: usize) -> [f32; QUAD] {
    std::array::from_fn(|r| f16_to_f32(u16::from_le_bytes([quad[at + 2 * r], quad[at + 2 * r + 1]])))
}

fn f32s(quad: &[u8], at: usize) -> [f32; QUAD] {
    std::array::from_fn(|r| f32::from_le_bytes(std::array::from_fn(|i| quad[at + 4 * r + i])))
}

impl Quad32 {
    fn new(ty: PackedType, quad: &[u8]) -> Self {
        let halves = |number: &dyn Fn(u8) -> i16| {
            std::array::from_fn(|c| vector(quad, 16 * (c % 4), |byte| number(half(byte, c >= 4))))
        };
        let minus = |offset: i16| halves(&|half| i16::from(half) - offset);
        let fives = |offset: i16| fives(quad, |p| 16 * p).map(|q| q.map(|q| q - offset));
        let no_m = [0.0; QUAD];
        match ty {
            PackedType::Q4_0 => Self { q: minus(8), d: f16s(quad, q4_0::D), m: no_m },
            PackedType::Q4_1 => Self { q: minus(0), d: f16s(quad, q4_1::D), m: f16s(quad, q4_1::M) },
            PackedType::Q5_0 => Self { q: fives(16), d: f16s(quad, q5_0::D), m: no_m },
            PackedType::Q5_1 => Self { q: fives(0), d: f16s(quad, q5_1::D), m: f16s(quad, q5_1::M) },
            PackedType::Q8_0 => Self {
                q: std::array::from_fn(|c| vector(quad, 16 * c, |byte| i16::from(byte) - 128)),
                d: f16s(quad, q8_0::D),
                m: no_m,
            },
            PackedType::IQ4_NL => Self {
                q: halves(&|half| IQ4_VALUES[usize::from(half)].into()),
                d: f16s(quad, q4_0::D),
                m: no_m,
            },
            _ => unreachable!("of another family"),
        }
    }
}

impl Quad256 {
    fn new(ty: PackedType, quad: &[u8]) -> Self {
        let mut unpacked = Self {
            q: [[0; 16]; QK_K / 4],
            scales: [[0; QUAD]; QK_K / 16],
            mins: [[0; QUAD]; QK_K / 16],
            d: [0.0; QUAD],
            dmin: [0.0; QUAD],
        };
        match ty {
            PackedType::Q2_K => {
                unpacked.fields(quad, q2_k::fields, 0);
                let scale_and_min = |sub, r| quad[scale_at(q2_k::PART, sub) + r];
                unpacked.scales = Self::by_sub(|sub, r| (scale_and_min(sub, r) & 0x0F).into());
                unpacked.mins = Self::by_sub(|sub, r| (scale_and_min(sub, r) >> 4).into());
                (unpacked.d, unpacked.dmin) = (f32s(quad, q2_k::D), f32s(quad, q2_k::DMIN));
            }
            PackedType::Q3_K => {
                unpacked.fields(quad, q3_k::fields, 4);
                for (c, q) in unpacked.q.iter_mut().enumerate() {
                    add_bit(q, 2, quad, q3_k::high(c / 4), c % 8);
                }
                unpacked.scales = Self::by_sub(|sub, r| (quad[scale_at(q3_k::PART, sub) + r] as i8).into());
                unpacked.d = f32s(quad, q3_k::D);
            }
            PackedType::Q4_K => {
                unpacked.halves(quad, q4_k::halves);
                unpacked.scales_and_mins(quad, q4_k::PART, q4_k::MINS);
                (unpacked.d, unpacked.dmin) = (f32s(quad, q4_k::D), f32s(quad, q4_k::DMIN));
            }
            PackedType::Q5_K => {
                for (sub, q) in unpacked.q.as_chunks_mut().0.iter_mut().enumerate() {
                    *q = fives(quad, |p| q5_k::fives(sub, p));
                }
                unpacked.scales_and_mins(quad, q5_k::PART, q5_k::MINS);
                (unpacked.d, unpacked.dmin) = (f32s(quad, q5_k::D), f32s(quad, q5_k::DMIN));
            }
            PackedType::Q6_K => {
                for (v, q) in unpacked.q.iter_mut().enumerate() {
                    let (sub, c) = (v / 4, v % 4);
                    let plane = |p: usize| q6_k::plane(sub, p);
                    *q = if c < 3 {
                        vector(quad, plane(c), |byte| i16::from(byte & 0x3F) - 32)
                    } else {
                        let upper = |p: usize| vector(quad, plane(p), |byte| i16::from(byte >> 6));
                        let (a, b, c) = (upper(0), upper(1), upper(2));
                        std::array::from_fn(|l| (a[l] | b[l] << 2 | c[l] << 4) - 32)
                    };
                }
                unpacked.scales = Self::by_sub(|sub, r| (quad[scale_at(q6_k::PART, sub) + r] as i8).into());
                unpacked.d = f32s(quad, q6_k::D);
            }
            PackedType::IQ4_XS => {
                for (v, q) in unpacked.q.iter_mut().enumerate() {
                    let (sub, upper, c) = (v / 8, v % 8 / 4 == 1, v % 4);
                    let at = iq4_xs::halves(4 * sub + c);
                    *q = vector(quad, at, |byte| IQ4_VALUES[usize::from(half(byte, upper))].into());
                }
                let scale = |sub: usize, r: usize| quad[scale_at(iq4_xs::PART, sub / 2) + r] as i8;
                unpacked.scales = Self::by_sub(|sub, r| scale(sub, r).into());
                unpacked.d = f32s(quad, iq4_xs::D);
            }
            _ => unreachable!("of another family"),
        }
        unpacked
    }

    /// A number for each 16 k and row.
    fn by_sub(number: impl Fn(usize, usize) -> i32) -> [[i32; QUAD]; QK_K / 16] {
        std::array::from_fn(|sub| std::array::from_fn(|r| number(sub, r)))
    }

    /// Four numbers of 2 bits to a byte, less `offset`.
    fn fields(&mut self, quad: &[u8], at: impl Fn(usize) -> usize, offset: i16) {
        for (c, q) in self.q.iter_mut().enumerate() {
            *q = vector(quad, at(c / 4), |byte| i16::from(byte >> (2 * (c % 4)) & 3) - offset);
        }
    }

    /// Pairs of 32 k, in the low halves and the high ones of eight vectors.
    fn halves(&mut self, quad: &[u8], at: impl Fn(usize) -> usize) {
        for (v, q) in self.q.iter_mut().enumerate() {
            let (pair, upper, c) = (v / 16, v % 16 / 8 == 1, v % 8);
            *q = vector(quad, at(8 * pair + c), |byte| half(byte, upper).into());
        }
    }

    fn scales_and_mins(&mut self, quad: &[u8], part: usize, mins: usize) {
        self.scales = Self::by_sub(|sub, r| quad[scale_at(part, sub / 2) + r].into());
        self.mins = Self::by_sub(|sub, r| quad[min_at(part, mins, sub / 2) + 2 * r].into());
    }
}

/// The number of row `r` (0 to 3) in what begins with a quad of one k.
fn number(ty: PackedType, quad: &[u8], r: usize) -> f32 {
    match (ty, &quad[4 * r..][..ty.file_bytes()]) {
        (PackedType::F16, &[a, b]) => f16_to_f32(u16::from_le_bytes([a, b])),
        (PackedType::BF16, &[a, b]) => f32::from_le_bytes([0, 0, a, b]),
        (PackedType::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        _ => unreachable!("of another family"),
    }
}

/// The products of `q` and `chunks`, four rows at once.
fn dot(q: &[Vector], chunks: &[Chunk]) -> [i32; QUAD] {
    let mut sums = [0; 16];
    for (q, chunk) in q.iter().zip(chunks) {
        let a = chunk.get().map(i16::from);
        for (l, sum) in sums.iter_mut().enumerate() {
            *sum += i32::from(q[l]) * i32::from(a[l % 4]);
        }
    }
    std::array::from_fn(|r| sums[4 * r..4 * r + 4].iter().sum())
}

/// Adds the dot products to `y`, quad by quad of weights as `unpack` gives them; `add` adds those of a quad and a token's
/// block.
fn add_dots<W, B, const T: usize>(
    operands: &Operands<B, T>,
    y: &mut [Dots<T>],
    unpack: impl Fn(PackedType, &[u8]) -> W,
    add: impl Fn(&W, &B, &mut [f32; QUAD]),
) {
    operands.check(y);
    let &Operands { ty, groups, walk, x, .. } = operands;
    for (group, y) in groups.iter().zip(y) {
        for half in 0..2 {
            for (index, &block) in walk.blocks().iter().enumerate() {
                let w = unpack(ty, &group[ty.quad_offset(block as usize, half)..]);
                for t in 0..T {
                    add(&w, &x[t][index], &mut y[t].as_chunks_mut().0[half]);
                }
            }
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use {dots32 as signed_dots32, dots256 as signed_dots256};

/// Adds the dot products to `y`.
#[inline(never)]
pub(crate) fn dots32<S, const T: usize>(operands: &Operands<Block32<Chunk, S>, T>, y: &mut [Dots<T>]) {
    add_dots(operands, y, Quad32::new, |w, x, y| {
        let sums = dot(&w.q, &x.chunks);
        for r in 0..QUAD {
            y[r] += sums[r] as f32 * (w.d[r] * x.d);
            y[r] += w.m[r] * x.sum;
        }
    });
}

/// As [`dots32`], for the K-family.
#[inline(never)]
pub(crate) fn dots256<S, const T: usize>(operands: &Operands<Block256<Chunk, S>, T>, y: &mut [Dots<T>]) {
    add_dots(operands, y, Quad256::new, |w, x, y| {
        let (mut scaled, mut mins) = ([0; QUAD], [0; QUAD]);
        for sub in 0..QK_K / 16 {
            let sums = dot(&w.q[4 * sub..4 * sub + 4], &x.chunks[4 * sub..4 * sub + 4]);
            let sum: i32 = x.pairs[sub].iter().map(|&pair| i32::from(pair)).sum();
            for r in 0..QUAD {
                scaled[r] += w.scales[sub][r] * sums[r];
                mins[r] += w.mins[sub][r] * sum;
            }
        }
        for r in 0..QUAD {
            y[r] += scaled[r] as f32 * (w.d[r] * x.d);
            y[r] -= mins[r] as f32 * (w.dmin[r] * x.d);
        }
    });
}

/// What activations are multiplied by that meet F16, and then the sums: nothing, where these are converted one by one.
pub(crate) const F16_SCALE: f32 = 1.0;

/// As [`dots32`], for weights and activations that are numbers as they are.
#[inline(never)]
pub(crate) fn dots_float<const T: usize>(
    ty: PackedType,
    groups: &[&[u8]],
    x: [&[f32]; T],
    y: &mut [Dots<T>],
) {
    for (group, y) in groups.iter().zip(y) {
        // Of even columns and of odd ones.
        let mut sums = [[[0.0; GROUP]; T]; 2];
        for k in 0..x[0].len() {
            for row in 0..GROUP {
                let w = number(ty, &group[ty.quad_offset(k, row / QUAD)..], row % QUAD);
                for t in 0..T {
                    sums[k % 2][t][row] += w * x[t][k];
                }
            }
        }
        for t in 0..T {
            y[t] = std::array::from_fn(|row| sums[0][t][row] + sums[1][t][row]);
        }
    }
}

/// The weights of row `row` of a group, `n_blocks` blocks of them.
pub(crate) fn unpack_row(ty: PackedType, group: &[u8], n_blocks: usize, row: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity(n_blocks * ty.block_len());
    let (half, r) = (row / QUAD, row % QUAD);
    for block in 0..n_blocks {
        let quad = &group[ty.quad_offset(block, half)..];
        let of_row = |q: &'_ Vector| -> [i16; 4] { std::array::from_fn(|i| q[4 * r + i]) };
        match ty.family() {
            Family::By32 | Family::SignedBy32 => {
                let w = Quad32::new(ty, quad);
                weights.extend(w.q.iter().flat_map(of_row).map(|q| w.d[r] * f32::from(q) + w.m[r]));
            }
            Family::By256 | Family::SignedBy256 => {
                let w = Quad256::new(ty, quad);
                weights.extend(w.q.iter().flat_map(of_row).enumerate().map(|(k, q)| {
                    let scaled = w.d[r] * w.scales[k / 16][r] as f32 * f32::from(q);
                    scaled - w.dmin[r] * w.mins[k / 16][r] as f32
                }));
            }
            Family::Float | Family::F16 => weights.push(number(ty, quad, r)),
        }
    }
    weights
}

/// The largest magnitude, or NaN if one is: as integers, magnitudes are in the same order, and NaN is above all.
pub(crate) fn max_abs(x: &[f32]) -> f32 {
    f32::from_bits(x.iter().map(|x| x.abs().to_bits()).max().unwrap_or(0))
}

/// `x · scale`, rounded to the nearest integers, ties to even; none may be over 127.
pub(crate) fn round_to(x: &[f32], scale: f32, chunks: &mut [Chunk]) {
    let (fours, _) = x.as_chunks::<4>();
    for (chunk, four) in chunks.iter_mut().zip(fours) {
        *chunk = Chunk::new(four.map(|x| (x * scale).round_ties_even() as i8));
    }
}

/// The sums of those activations whose k % 4 is 0 or 1, and 2 or 3; of 16 or 32 of them.
pub(crate) fn pair_sums(chunks: &[Chunk]) -> [i16; 2] {
    chunks.iter().fold([0; 2], |[low, high], chunk| {
        let [a, b, c, d] = chunk.get().map(i16::from);
        [low + a + b, high + c + d]
    })
}

/// x · weight / sqrt(mean(x²) + eps), to `y`.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let squares: f32 = x.iter().map(|x| x * x).sum();
    let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = x * scale * weight;
    }
}

/// silu(gate) · up, to `y`.
pub(crate) fn silu_mul(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
        *y = gate / (1.0 + (-gate).exp()) * up;
    }
}

/// Turns the pairs 2i and 2i + 1: x · cos + (x with each pair swapped) · sin, to `x`.
pub(crate) fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let pairs = x.as_chunks_mut::<2>().0.iter_mut();
    for ((pair, cos), sin) in pairs.zip(cos.as_chunks::<2>().0).zip(sin.as_chunks::<2>().0) {
        let [a, b] = *pair;
        *pair = [a * cos[0] + b * sin[0], b * cos[1] + a * sin[1]];
    }
}

/// The largest of `x`, and what the softmax of all is made of.
pub(crate) fn spread(x: &[f32]) -> Spread {
    spread_below(x, x.iter().copied().fold(f32::NEG_INFINITY, f32::max))
}

/// What has a smaller power of e counts as this: its power is nearly the smallest number that f32 has all digits of, and
/// nothing beside e^0. For -87 the exponent of 2 would leave its bits.
pub(super) const LOWEST_EXPONENT: f32 = -86.9;

/// As [`spread`], with `max` given, which may be larger than all. What is smaller by more than [`LOWEST_EXPONENT`] counts as
/// smaller by that.
pub(super) fn spread_below(x: &[f32], max: f32) -> Spread {
    let (mut sum, mut weighted) = (0.0, 0.0);
    for &x in x {
        let below = (x - max).max(LOWEST_EXPONENT);
        let e = f64::from(below.exp());
        sum += e;
        weighted += e * f64::from(below);
    }
    Spread { max, sum, weighted }
}

/// `y` + x, to `y`.
pub(crate) fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// The f16 nearest to each of `x`, ties to even; what is too large becomes the largest, what is too small for a normal
/// f16 becomes 0, since x64 multiplies subnormal numbers a hundred times slower.
pub(crate) fn to_f16(x: &[f32], y: &mut [u8]) {
    for (x, y) in x.iter().zip(y.as_chunks_mut().0) {
        let sign = (x.to_bits() >> 16 & 0x8000) as u16;
        let magnitude = x.abs().min(F16_MAX);
        let half = if magnitude < F16_MIN_NORMAL {
            sign
        } else {
            // Half a step up, less one where the lower of two is even; then the exponent's other bias.
            let bits = magnitude.to_bits();
            let rounded = bits + 0x0FFF + (bits >> 13 & 1);
            sign | ((rounded >> 13) - ((127 - 15) << 10)) as u16
        };
        *y = half.to_le_bytes();
    }
}

pub(super) const F16_MAX: f32 = 65_504.0;
pub(super) const F16_MIN_NORMAL: f32 = 1.0 / 16_384.0;

/// What [`attend`] wants its queries multiplied by.
pub(crate) fn query_scale(_: KvType) -> f32 {
    1.0
}

/// Softmax-weighted sums of values, `(n_q, width)`, for queries that see positions of one key/value head, and the
/// logarithm of the sum of e^score of each; 0 and -infinity for one that sees none of them. See [`Attend`].
pub(crate) fn attend(attend: &Attend, y: &mut [f32], log_sums: &mut [f32]) {
    attend.check(y, log_sums);
    let &Attend { q, ty, k, v, width, .. } = attend;
    let n_pos = attend.n_pos();
    let [k, v] = [k, v].map(|rows| {
        let mut x = vec![0.0; n_pos * width];
        ty.unpack(width, rows, &mut x);
        x
    });
    let queries = q.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(log_sums).enumerate();
    for (i, ((q, y), log_sum)) in queries {
        let seen = ..attend.seen(i).min(n_pos) * width;
        let product = |k: &[f32]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>();
        let scores: Vec<f32> = k[seen].chunks_exact(width).map(product).collect();
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f32 = weights.iter().sum();
        y.fill(0.0);
        for (weight, v) in weights.iter().zip(v.chunks_exact(width)) {
            y.iter_mut().zip(v).for_each(|(y, v)| *y += weight / total * v);
        }
        *log_sum = largest + total.ln();
    }
}
