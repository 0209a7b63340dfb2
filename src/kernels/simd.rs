//! The loops in 128-bit SIMD, written once for every way to multiply bytes: see [`Dot`].
//!
//! What V8 makes of them is in the choice of instructions: there are no 8-bit shifts on x64, so bytes are shifted by
//! sixteens and masked; a tile of 8 rows by 4 tokens has 8 accumulators, which with two operands and an activation is
//! what 16 registers hold; and there is no on-stack replacement, so functions are short and called often.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::activations::{Block32, Block256, Chunk};
use super::layout::{GROUP, PackedType, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
use core::arch::wasm32::*;

/// How activations of 8 bits meet weights of at most 7: what the instruction sets differ in. Accumulators have a row in
/// each 32-bit lane; the defaults are those of accumulators of 32 bits.
pub(super) trait Dot {
    type Chunk: Chunk;
    /// In how many parts a vector of halves is multiplied.
    const PARTS: usize;

    /// An accumulator that begins at `-bias` times the activations' sum; `pairs` holds the sums of two and two.
    #[inline(always)]
    unsafe fn start(pairs: *const [i16; 2], bias: i16) -> v128 {
        if bias == 0 {
            return i32x4_splat(0);
        }
        // SAFETY: the caller's.
        i32x4_dot_i16x8(unsafe { v128_load32_splat(pairs.cast()) }, i16x8_splat(-bias))
    }

    /// Adds four activations times the bytes of `q`, 0 to 127.
    unsafe fn add(sum: v128, a: *const Self::Chunk, q: v128) -> v128;

    /// Part `part` of the halves in `w`.
    fn halves(w: v128, part: usize) -> v128;

    /// Adds the activations that meet that part: `low` those of the low halves, `high` of the high ones.
    unsafe fn add_halves(
        sum: v128,
        low: *const Self::Chunk,
        high: *const Self::Chunk,
        part: usize,
        q: v128,
    ) -> v128;

    /// An accumulator's four sums in 32 bits.
    #[inline(always)]
    fn sum(sum: v128) -> v128 {
        sum
    }

    /// The sums times the unsigned bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled(sum: v128, scales: v128, sub: usize) -> v128 {
        i32x4_mul(sum, lanes_u8(scales, sub))
    }

    /// The sums times the signed bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled_signed(sum: v128, scales: v128, sub: usize) -> v128 {
        i32x4_mul(sum, lanes_i8(scales, sub))
    }

    /// Adds four activations times the bytes of `w`, -127 to 127, to sums in 32 bits.
    unsafe fn add_signed(sum: v128, a: *const Self::Chunk, w: v128) -> v128;

    /// a · b + c, rounded once or twice.
    fn mul_add(a: v128, b: v128, c: v128) -> v128;
}

/// Repeats a block of code with a constant.
macro_rules! unroll {
    ($i:ident in [$($n:literal)*] $body:block) => { $({ const $i: usize = $n; $body })* };
}

#[inline(always)]
unsafe fn load(at: *const u8) -> v128 {
    // SAFETY: the caller's.
    unsafe { v128_load(at.cast()) }
}

/// `n`, unknown to the compiler, which would unroll the loop and then, since it moves a value to its only use, finish one
/// sum before it begins the next, with all operands of a block alive at once: 37 instead of 43 GMAC/s for Q4_0 by four
/// tokens, 25 instead of 39 for Q4_1 (Chromium 156, the best of several noisy runs).
#[inline(always)]
fn hidden(n: usize) -> usize {
    std::hint::black_box(n)
}

/// The low halves of the bytes of `w`, or with `half` 1 the high ones.
#[inline(always)]
fn half_bytes(w: v128, half: usize) -> v128 {
    v128_and(if half == 0 { w } else { u16x8_shr(w, 4) }, u8x16_splat(0x0F))
}

/// Bit `bit` of each byte, at bit 4.
#[inline(always)]
fn bit_4(bytes: v128, bit: u32) -> v128 {
    let moved = if bit < 4 { i16x8_shl(bytes, 4 - bit) } else { u16x8_shr(bytes, bit - 4) };
    v128_and(moved, u8x16_splat(0x10))
}

/// Four f16, finite, as f32.
#[inline(always)]
unsafe fn load_f16(at: *const u8) -> v128 {
    // SAFETY: the caller's.
    let moved = unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) };
    let two_to_112 = f32x4_splat(f32::from_bits((127 + 112) << 23));
    f32x4_mul(v128_and(moved, i32x4_splat(0x8FFF_E000_u32 as i32)), two_to_112)
}

/// Vectors of halves in a block of 32.
const STEPS: usize = 4;

/// A type of the 32-family: sums of products, and what to do with them. `steps` is [`STEPS`].
trait Format32 {
    const BYTES: usize;
    const D: usize;
    const M: Option<usize>;
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        steps: usize,
    ) -> [[v128; 2]; T];
}

/// Both vectors of halves or bytes at `offset`. Arrays are filled by loops here: `map` and `from_fn` stay calls.
#[inline(always)]
unsafe fn load2(w: [*const u8; 2], offset: usize) -> [v128; 2] {
    // SAFETY: the caller's.
    unsafe { [load(w[0].add(offset)), load(w[1].add(offset))] }
}

#[inline(always)]
unsafe fn starts<D: Dot, const T: usize>(x: [*const Block32<D::Chunk>; T], bias: i16) -> [[v128; 2]; T] {
    let mut starts = [[i32x4_splat(0); 2]; T];
    for t in 0..T {
        // SAFETY: the caller's: `x` points to blocks.
        starts[t] = [unsafe { D::start(&raw const (*x[t]).pairs, bias) }; 2];
    }
    starts
}

struct Q4<const D: usize, const M: usize, const BYTES: usize, const BIAS: i16>;
struct Q5<const BYTES: usize, const M: usize, const BIAS: i16>;
struct Q8;

const NO_M: usize = 0;
type Q4_0 = Q4<{ q4_0::D }, NO_M, { q4_0::BYTES }, 8>;
type Q4_1 = Q4<{ q4_1::D }, { q4_1::M }, { q4_1::BYTES }, 0>;
type Q5_0 = Q5<{ q5_0::BYTES }, NO_M, 16>;
type Q5_1 = Q5<{ q5_1::BYTES }, { q5_1::M }, 0>;

impl<const D_AT: usize, const M: usize, const BYTES: usize, const BIAS: i16> Format32
    for Q4<D_AT, M, BYTES, BIAS>
{
    const BYTES: usize = BYTES;
    const D: usize = D_AT;
    const M: Option<usize> = if M == NO_M { None } else { Some(M) };

    /// A lane of 16 bits has room for the whole block: 16 · 15 · 127.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        steps: usize,
    ) -> [[v128; 2]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            let mut sums = starts::<D, T>(x, BIAS);
            for v in 0..steps {
                let w = load2(w, 16 * v);
                for part in 0..D::PARTS {
                    let q = [D::halves(w[0], part), D::halves(w[1], part)];
                    for t in 0..T {
                        let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                        for r in 0..2 {
                            sums[t][r] =
                                D::add_halves(sums[t][r], chunks.add(v), chunks.add(v + 4), part, q[r]);
                        }
                    }
                }
            }
            for sums in &mut sums {
                *sums = [D::sum(sums[0]), D::sum(sums[1])];
            }
            sums
        }
    }
}

impl<const BYTES: usize, const M: usize, const BIAS: i16> Format32 for Q5<BYTES, M, BIAS> {
    const BYTES: usize = BYTES;
    const D: usize = q5_0::D;
    const M: Option<usize> = if M == NO_M { None } else { Some(M) };

    /// With its bias of 16 a sum fits 16 bits in the end, wherever it wraps before; without, half a block does.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        _: usize,
    ) -> [[v128; 2]; T] {
        const { assert!(q5_0::D == q5_1::D && q5_0::HIGH == q5_1::HIGH) };
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            let mut sums = starts::<D, T>(x, BIAS);
            let mut lower = [[i32x4_splat(0); 2]; T];
            let high = load2(w, q5_0::HIGH);
            unroll!(C in [0 1 2 3 4 5 6 7] {
                let w = load2(w, 16 * (C % 4));
                let mut q = [w[0]; 2];
                for r in 0..2 {
                    q[r] = v128_or(half_bytes(w[r], C / 4), bit_4(high[r], C as u32));
                }
                for t in 0..T {
                    let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                    for r in 0..2 {
                        sums[t][r] = D::add(sums[t][r], chunks.add(C), q[r]);
                        if BIAS == 0 && C == 3 {
                            lower[t][r] = D::sum(sums[t][r]);
                            sums[t][r] = i32x4_splat(0);
                        }
                    }
                }
            });
            for t in 0..T {
                for r in 0..2 {
                    let sum = D::sum(sums[t][r]);
                    sums[t][r] = if BIAS == 0 { i32x4_add(lower[t][r], sum) } else { sum };
                }
            }
            sums
        }
    }
}

impl Format32 for Q8 {
    const BYTES: usize = q8_0::BYTES;
    const D: usize = q8_0::D;
    const M: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        _: usize,
    ) -> [[v128; 2]; T] {
        let mut sums = [[i32x4_splat(0); 2]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            unroll!(C in [0 1 2 3 4 5 6 7] {
                let w = load2(w, 16 * C);
                for t in 0..T {
                    let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                    for r in 0..2 {
                        sums[t][r] = D::add_signed(sums[t][r], chunks.add(C), w[r]);
                    }
                }
            });
        }
        sums
    }
}

/// One group of rows by `T` tokens.
///
/// # Safety
/// `group` points to `2 * n_blocks` quads, each of `x` to `n_blocks` blocks.
#[inline(never)]
unsafe fn tile32<F: Format32, D: Dot, const T: usize>(
    group: *const u8,
    mut x: [*const Block32<D::Chunk>; T],
    n_blocks: usize,
    y: &mut [[f32; GROUP]; T],
) {
    let mut acc = [[f32x4_splat(0.0); 2]; T];
    let steps = hidden(STEPS);
    let mut w = [group, unsafe { group.add(F::BYTES) }];
    for _ in 0..n_blocks {
        // SAFETY: the caller's; pointers advance once per block.
        unsafe {
            let sums = F::sums::<D, T>(w, x, steps);
            let d = [load_f16(w[0].add(F::D)), load_f16(w[1].add(F::D))];
            for t in 0..T {
                let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                for r in 0..2 {
                    acc[t][r] = D::mul_add(f32x4_convert_i32x4(sums[t][r]), f32x4_mul(d[r], d_x), acc[t][r]);
                }
            }
            if let Some(m_at) = F::M {
                let m = [load_f16(w[0].add(m_at)), load_f16(w[1].add(m_at))];
                for t in 0..T {
                    let sum = v128_load32_splat((&raw const (*x[t]).sum).cast());
                    for r in 0..2 {
                        acc[t][r] = D::mul_add(m[r], sum, acc[t][r]);
                    }
                }
            }
            w = [w[0].add(2 * F::BYTES), w[1].add(2 * F::BYTES)];
            for x in &mut x {
                *x = x.add(1);
            }
        }
    }
    for t in 0..T {
        for r in 0..2 {
            // SAFETY: 8 numbers are two vectors.
            unsafe { v128_store(y[t].as_mut_ptr().add(4 * r).cast(), acc[t][r]) };
        }
    }
}

/// A type of the K-family: sums of products, scaled.
trait Format256 {
    const BYTES: usize;
    const D: usize;
    /// Where mins and their scale are.
    const MINS: Option<(usize, usize)>;
    unsafe fn sums<D: Dot, const T: usize>(w: *const u8, x: [*const Block256<D::Chunk>; T]) -> [v128; T];
}

struct Q4K;
struct Q5K;
struct Q6K;

impl Format256 for Q4K {
    const BYTES: usize = q4_k::BYTES;
    const D: usize = q4_k::D;
    const MINS: Option<(usize, usize)> = Some((q4_k::MINS, q4_k::DMIN));

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(w: *const u8, x: [*const Block256<D::Chunk>; T]) -> [v128; T] {
        let mut scaled = [i32x4_splat(0); T];
        // SAFETY: the caller's: `w` points to a quad, `x` to blocks.
        unsafe {
            unroll!(J in [0 1 2 3] {
                let scales = load(w.add(q4_k::SCALES + 16 * (J / 2)));
                let mut sums = [[i32x4_splat(0); 2]; T];
                unroll!(C in [0 1 2 3 4 5 6 7] {
                    let v = load(w.add(16 * (8 * J + C)));
                    let q = [half_bytes(v, 0), half_bytes(v, 1)];
                    for t in 0..T {
                        let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                        for half in 0..2 {
                            sums[t][half] = D::add(sums[t][half], chunks.add(16 * J + 8 * half + C), q[half]);
                        }
                    }
                });
                for t in 0..T {
                    for half in 0..2 {
                        let sub = 2 * (J % 2) + half;
                        scaled[t] = i32x4_add(scaled[t], D::scaled(sums[t][half], scales, sub));
                    }
                }
            });
        }
        scaled
    }
}

impl Format256 for Q5K {
    const BYTES: usize = q5_k::BYTES;
    const D: usize = q5_k::D;
    const MINS: Option<(usize, usize)> = Some((q5_k::MINS, q5_k::DMIN));

    /// A lane of 16 bits has room for four vectors: 8 · 31 · 127.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(w: *const u8, x: [*const Block256<D::Chunk>; T]) -> [v128; T] {
        let mut scaled = [i32x4_splat(0); T];
        // SAFETY: the caller's: `w` points to a quad, `x` to blocks.
        unsafe {
            unroll!(J in [0 1 2 3] {
                let scales = load(w.add(q5_k::SCALES + 16 * (J / 2)));
                unroll!(H in [0 1] {
                    let mut sums = [[i32x4_splat(0); 2]; T];
                    unroll!(C in [0 1 2 3] {
                        const V: usize = 4 * H + C;
                        let v = load(w.add(16 * (8 * J + V)));
                        let high = load(w.add(q5_k::HIGH + 16 * V));
                        let mut q = [v; 2];
                        for half in 0..2 {
                            q[half] = v128_or(half_bytes(v, half), bit_4(high, (2 * J + half) as u32));
                        }
                        for t in 0..T {
                            let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                            for half in 0..2 {
                                sums[t][half] = D::add(sums[t][half], chunks.add(16 * J + 8 * half + V), q[half]);
                            }
                        }
                    });
                    for t in 0..T {
                        for half in 0..2 {
                            let sub = 2 * (J % 2) + half;
                            scaled[t] = i32x4_add(scaled[t], D::scaled(sums[t][half], scales, sub));
                        }
                    }
                });
            });
        }
        scaled
    }
}

impl Format256 for Q6K {
    const BYTES: usize = q6_k::BYTES;
    const D: usize = q6_k::D;
    const MINS: Option<(usize, usize)> = None;

    /// With its bias of 32 the sum of 16 fits 16 bits in the end, wherever it wraps before.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(quad: *const u8, x: [*const Block256<D::Chunk>; T]) -> [v128; T] {
        let mut scaled = [i32x4_splat(0); T];
        // SAFETY: the caller's: `quad` is one, `x` to blocks.
        unsafe {
            unroll!(S in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                let w = quad.add(48 * S);
                let planes = [load(w), load(w.add(16)), load(w.add(32))];
                let rest = v128_or(
                    v128_or(
                        v128_and(u16x8_shr(planes[0], 6), u8x16_splat(0x03)),
                        v128_and(u16x8_shr(planes[1], 4), u8x16_splat(0x0C)),
                    ),
                    v128_and(u16x8_shr(planes[2], 2), u8x16_splat(0x30)),
                );
                let q = [
                    v128_and(planes[0], u8x16_splat(0x3F)),
                    v128_and(planes[1], u8x16_splat(0x3F)),
                    v128_and(planes[2], u8x16_splat(0x3F)),
                    rest,
                ];
                let scales = load(quad.add(q6_k::SCALES + 16 * (S / 4)));
                for t in 0..T {
                    let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                    let mut sum = D::start((&raw const (*x[t]).pairs).cast::<[i16; 2]>().add(S), 32);
                    for c in 0..4 {
                        sum = D::add(sum, chunks.add(4 * S + c), q[c]);
                    }
                    scaled[t] = i32x4_add(scaled[t], D::scaled_signed(sum, scales, S % 4));
                }
            });
        }
        scaled
    }
}

/// One group of rows by `T` tokens.
///
/// # Safety
/// `group` points to `2 * n_blocks` quads, each of `x` to `n_blocks` blocks.
#[inline(never)]
unsafe fn tile256<F: Format256, D: Dot, const T: usize>(
    group: *const u8,
    x: [*const Block256<D::Chunk>; T],
    n_blocks: usize,
    y: &mut [[f32; GROUP]; T],
) {
    let mut w = group;
    for half in 0..2 {
        let mut x = x;
        let mut acc = [f32x4_splat(0.0); T];
        for _ in 0..n_blocks {
            // SAFETY: the caller's; pointers advance once per block.
            unsafe {
                let sums = F::sums::<D, T>(w, x);
                let d = load(w.add(F::D));
                for t in 0..T {
                    let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                    acc[t] = D::mul_add(f32x4_convert_i32x4(sums[t]), f32x4_mul(d, d_x), acc[t]);
                }
                if let Some((mins_at, dmin_at)) = F::MINS {
                    let dmin = load(w.add(dmin_at));
                    let mut mins = [i32x4_splat(0); T];
                    for pair in 0..4 {
                        let min = i16x8_load_extend_u8x8(w.add(mins_at + 8 * pair));
                        for t in 0..T {
                            let sums = (&raw const (*x[t]).sums).cast::<u32>().add(pair);
                            mins[t] = i32x4_add(mins[t], i32x4_dot_i16x8(v128_load32_splat(sums), min));
                        }
                    }
                    for t in 0..T {
                        let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                        let scale = f32x4_neg(f32x4_mul(dmin, d_x));
                        acc[t] = D::mul_add(f32x4_convert_i32x4(mins[t]), scale, acc[t]);
                    }
                }
                w = w.add(F::BYTES);
                for x in &mut x {
                    *x = x.add(1);
                }
            }
        }
        for t in 0..T {
            // SAFETY: 8 numbers are two vectors.
            unsafe { v128_store(y[t].as_mut_ptr().add(4 * half).cast(), acc[t]) };
        }
    }
}

type Tile<B, const T: usize> = unsafe fn(*const u8, [*const B; T], usize, &mut [[f32; GROUP]; T]);

/// As [`portable::dots32`](super::portable::dots32).
#[inline(always)]
pub(super) fn dots32<D: Dot, const T: usize>(
    ty: PackedType,
    group: &[u8],
    x: [&[Block32<D::Chunk>]; T],
) -> [[f32; GROUP]; T] {
    let n_blocks = group.len() / (2 * ty.quad_bytes());
    assert!(x.iter().all(|x| x.len() == n_blocks));
    let tile: Tile<Block32<D::Chunk>, T> = match ty {
        PackedType::Q4_0 => tile32::<Q4_0, D, T>,
        PackedType::Q4_1 => tile32::<Q4_1, D, T>,
        PackedType::Q5_0 => tile32::<Q5_0, D, T>,
        PackedType::Q5_1 => tile32::<Q5_1, D, T>,
        PackedType::Q8_0 => tile32::<Q8, D, T>,
        PackedType::Q4_K | PackedType::Q5_K | PackedType::Q6_K => unreachable!("of the K-family"),
    };
    let mut y = [[0.0; GROUP]; T];
    // SAFETY: the lengths are checked above.
    unsafe { tile(group.as_ptr(), x.map(<[_]>::as_ptr), n_blocks, &mut y) };
    y
}

/// As [`portable::dots256`](super::portable::dots256).
#[inline(always)]
pub(super) fn dots256<D: Dot, const T: usize>(
    ty: PackedType,
    group: &[u8],
    x: [&[Block256<D::Chunk>]; T],
) -> [[f32; GROUP]; T] {
    let n_blocks = group.len() / (2 * ty.quad_bytes());
    assert!(x.iter().all(|x| x.len() == n_blocks));
    let tile: Tile<Block256<D::Chunk>, T> = match ty {
        PackedType::Q4_K => tile256::<Q4K, D, T>,
        PackedType::Q5_K => tile256::<Q5K, D, T>,
        PackedType::Q6_K => tile256::<Q6K, D, T>,
        _ => unreachable!("of the 32-family"),
    };
    let mut y = [[0.0; GROUP]; T];
    // SAFETY: the lengths are checked above.
    unsafe { tile(group.as_ptr(), x.map(<[_]>::as_ptr), n_blocks, &mut y) };
    y
}

/// The largest magnitude; the length is a multiple of 4.
pub(crate) fn max_abs(x: &[f32]) -> f32 {
    let mut largest = f32x4_splat(0.0);
    for four in x.chunks_exact(4) {
        // SAFETY: four numbers are a vector.
        largest = f32x4_pmax(largest, f32x4_abs(unsafe { v128_load(four.as_ptr().cast()) }));
    }
    let largest = f32x4_pmax(largest, i32x4_shuffle::<2, 3, 0, 1>(largest, largest));
    f32x4_extract_lane::<0>(largest).max(f32x4_extract_lane::<1>(largest))
}

/// `x · scale`, rounded to the nearest integers, ties to even, in 32-bit lanes.
#[inline(always)]
pub(super) unsafe fn rounded(x: *const f32, scale: f32) -> v128 {
    // SAFETY: the caller's: `x` points to four numbers. Adding 1.5 · 2^23 leaves the integer in the low bits.
    let shifted =
        unsafe { f32x4_add(f32x4_mul(v128_load(x.cast()), f32x4_splat(scale)), f32x4_splat(12_582_912.0)) };
    i32x4_sub(shifted, i32x4_splat(0x4B40_0000))
}

/// The unsigned bytes `4 · sub..` of `bytes` in 32-bit lanes.
#[inline(always)]
fn lanes_u8(bytes: v128, sub: usize) -> v128 {
    let s = 4 * sub as i8;
    i8x16_swizzle(bytes, i8x16(s, -1, -1, -1, s + 1, -1, -1, -1, s + 2, -1, -1, -1, s + 3, -1, -1, -1))
}

/// The signed bytes `4 · sub..` of `bytes` in 32-bit lanes.
#[inline(always)]
fn lanes_i8(bytes: v128, sub: usize) -> v128 {
    let s = 4 * sub as i8;
    let upper =
        i8x16_swizzle(bytes, i8x16(-1, -1, -1, s, -1, -1, -1, s + 1, -1, -1, -1, s + 2, -1, -1, -1, s + 3));
    i32x4_shr(upper, 24)
}

/// The sums of the even lanes and of the odd ones.
#[inline(always)]
pub(super) fn sum_of_pairs(sums: v128) -> [i16; 2] {
    let sums = i16x8_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
    let sums = i16x8_add(sums, i32x4_shuffle::<1, 0, 3, 2>(sums, sums));
    [i16x8_extract_lane::<0>(sums), i16x8_extract_lane::<1>(sums)]
}
