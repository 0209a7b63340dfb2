//! The loops in 128-bit SIMD, written once for every way to multiply bytes: see [`Dot`].
//!
//! What V8 makes of them is in the choice of instructions: there are no 8-bit shifts on x64, so bytes are shifted by
//! sixteens and masked; a tile of 8 rows by 4 tokens has 8 accumulators, which with two operands and an activation is
//! what 16 registers hold; and there is no on-stack replacement, so functions are short and called often.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::activations::{Block32, Block256, Chunk, Walk};
use super::layout::{
    GROUP, IQ4_VALUES, PackedType, QUAD, iq4_xs, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0,
};
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

    /// What [`halves`](Self::halves) keeps of a lane.
    const HALF: v128;
    /// Bits of an accumulator's lane.
    const LANE: usize = 32;

    /// Part `part` of the halves in `w`.
    #[inline(always)]
    fn halves(w: v128, part: usize, c: &Constants) -> v128 {
        v128_and(if part == 0 { w } else { u16x8_shr(w, 4 * part as u32) }, c.half)
    }

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
    fn sum(sum: v128, _: &Constants) -> v128 {
        sum
    }

    /// The sums times the unsigned bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_mul(sum, i8x16_swizzle(scales, c.unsigned[sub]))
    }

    /// The sums times the signed bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled_signed(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_mul(sum, i32x4_shr(i8x16_swizzle(scales, c.signed[sub]), 24))
    }

    /// Adds four activations times the bytes of `w`, -127 to 127, to sums in 32 bits.
    unsafe fn add_signed(sum: v128, a: *const Self::Chunk, w: v128, c: &Constants) -> v128;

    /// a · b + c, rounded once or twice.
    fn mul_add(a: v128, b: v128, c: v128) -> v128;
}

/// Begins step `$n` of a block, none of which is the last: see [`Constants::n_steps`].
macro_rules! step {
    ($c:ident, $label:lifetime, $n:expr) => {
        if $n > 0 && $n >= $c.n_steps {
            break $label;
        }
    };
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

/// What a tile's loops use over and over, from memory that the compiler does not know: V8 makes a `v128.const` anew in
/// each turn of a loop, in four instructions; what is loaded before the loop stays in a register.
pub(super) struct Constants {
    /// More than any type's block has. Of a block whose steps were known all to be done the compiler, since it moves a value
    /// to its only use, would finish one sum before it begins the next, with all operands alive at once.
    n_steps: usize,
    /// Bits 0 to 3 of each byte.
    low_4: v128,
    /// Bits 0 to 5 of each byte.
    low_6: v128,
    /// Bits 2i and 2i + 1 of each byte.
    pair: [v128; 3],
    /// Bits 2 and 4 of each byte.
    bit_2: v128,
    bit_4: v128,
    /// [`Dot::HALF`]
    half: v128,
    /// 1 in each 16 bits.
    #[cfg_attr(not(target_feature = "relaxed-simd"), allow(dead_code))]
    pub(super) one: v128,
    /// What of an f16, sign-extended and moved to f32's places, counts.
    f16: v128,
    two_to_112: v128,
    /// [`IQ4_VALUES`]
    iq4: v128,
    /// Where in a vector the bytes 4i to 4i + 3 are that scale a [`Dot`]'s sums: unsigned in the lowest byte of each lane,
    /// signed in the highest.
    pub(super) unsigned: [v128; 4],
    pub(super) signed: [v128; 4],
    /// As `signed`, in lanes of 32 bits.
    signed_32: [v128; 4],
}

const fn vector(bytes: [u8; 16]) -> v128 {
    // SAFETY: both are 16 bytes, of which any are valid.
    unsafe { core::mem::transmute(bytes) }
}

/// For each i the bytes `4i..4i + 4`, each in its lane of 32 bits as often as lanes of `width` bits fit, in the lowest or
/// highest byte of those. What is no place is 0x80 or more, which the swizzles make 0.
const fn places(width: usize, highest: bool) -> [v128; 4] {
    let mut places = [[0x80; 16]; 4];
    let mut i = 0;
    while i < 4 * 16 {
        let (group, byte) = (i / 16, i % 16);
        let wanted = if highest { width / 8 - 1 } else { 0 };
        if byte % (width / 8) == wanted {
            places[group][byte] = (4 * group + byte / 4) as u8;
        }
        i += 1;
    }
    [vector(places[0]), vector(places[1]), vector(places[2]), vector(places[3])]
}

impl Constants {
    const fn new<D: Dot>() -> Self {
        // SAFETY: 16 numbers of a byte.
        let iq4: [u8; 16] = unsafe { core::mem::transmute(IQ4_VALUES) };
        Self {
            n_steps: 64,
            low_4: vector([0x0F; 16]),
            low_6: vector([0x3F; 16]),
            pair: [vector([0x03; 16]), vector([0x0C; 16]), vector([0x30; 16])],
            bit_2: vector([0x04; 16]),
            bit_4: vector([0x10; 16]),
            half: D::HALF,
            one: i16x8(1, 1, 1, 1, 1, 1, 1, 1),
            f16: u32x4(0x8FFF_E000, 0x8FFF_E000, 0x8FFF_E000, 0x8FFF_E000),
            two_to_112: {
                const POWER: f32 = f32::from_bits((127 + 112) << 23);
                f32x4(POWER, POWER, POWER, POWER)
            },
            iq4: vector(iq4),
            unsigned: places(D::LANE, false),
            signed: places(D::LANE, true),
            signed_32: places(32, true),
        }
    }

    #[inline(always)]
    fn hidden<D: Dot>() -> &'static Self {
        std::hint::black_box(const { &Self::new::<D>() })
    }
}

/// The low halves of the bytes of `w`, or with `half` 1 the high ones.
#[inline(always)]
fn half_bytes(w: v128, half: usize, c: &Constants) -> v128 {
    v128_and(if half == 0 { w } else { u16x8_shr(w, 4) }, c.low_4)
}

/// Bit `bit` of each byte, at bit `place`, which is all of `mask`.
#[inline(always)]
fn bit_at(place: u32, mask: v128, bytes: v128, bit: u32) -> v128 {
    let moved = if bit < place { i16x8_shl(bytes, place - bit) } else { u16x8_shr(bytes, bit - place) };
    v128_and(moved, mask)
}

/// What the halves in the bytes of `halves` stand for in IQ4_NL and IQ4_XS.
#[inline(always)]
fn iq4_values(halves: v128, c: &Constants) -> v128 {
    i8x16_swizzle(c.iq4, halves)
}

/// Four f16, finite, as f32.
#[inline(always)]
unsafe fn load_f16(at: *const u8, c: &Constants) -> v128 {
    // SAFETY: the caller's.
    let moved = unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) };
    f32x4_mul(v128_and(moved, c.f16), c.two_to_112)
}

/// A type of the 32-family: sums of products, and what to do with them.
trait Format32 {
    const BYTES: usize;
    const D: usize;
    const M: Option<usize>;
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        c: &Constants,
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
struct Iq4Nl;

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
        c: &Constants,
    ) -> [[v128; 2]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            let mut sums = starts::<D, T>(x, BIAS);
            'block: {
                unroll!(V in [0 1 2 3] {
                    let w = load2(w, 16 * V);
                    unroll!(PART in [0 1 2 3] { if PART < D::PARTS {
                        let part = PART;
                        // With a step for each of four parts LLVM makes a loop of what they have in common.
                        if D::PARTS == 2 || part == 0 {
                            step!(c, 'block, V * D::PARTS + part);
                        }
                        let q = [D::halves(w[0], part, c), D::halves(w[1], part, c)];
                        for t in 0..T {
                            let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                            for r in 0..2 {
                                sums[t][r] =
                                    D::add_halves(sums[t][r], chunks.add(V), chunks.add(V + 4), part, q[r]);
                            }
                        }
                    } });
                });
            }
            for sums in &mut sums {
                *sums = [D::sum(sums[0], c), D::sum(sums[1], c)];
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
        c: &Constants,
    ) -> [[v128; 2]; T] {
        const { assert!(q5_0::D == q5_1::D && q5_0::HIGH == q5_1::HIGH) };
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            let mut sums = starts::<D, T>(x, BIAS);
            let mut lower = [[i32x4_splat(0); 2]; T];
            let high = load2(w, q5_0::HIGH);
            'block: {
                unroll!(C in [0 1 2 3 4 5 6 7] {
                    step!(c, 'block, C);
                    let w = load2(w, 16 * (C % 4));
                    let mut q = [w[0]; 2];
                    for r in 0..2 {
                        q[r] = v128_or(half_bytes(w[r], C / 4, c), bit_at(4, c.bit_4, high[r], C as u32));
                    }
                    for t in 0..T {
                        let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                        for r in 0..2 {
                            sums[t][r] = D::add(sums[t][r], chunks.add(C), q[r]);
                            if BIAS == 0 && C == 3 {
                                lower[t][r] = D::sum(sums[t][r], c);
                                sums[t][r] = i32x4_splat(0);
                            }
                        }
                    }
                });
            }
            for t in 0..T {
                for r in 0..2 {
                    let sum = D::sum(sums[t][r], c);
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
        c: &Constants,
    ) -> [[v128; 2]; T] {
        let mut sums = [[i32x4_splat(0); 2]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(C in [0 1 2 3 4 5 6 7] {
                    step!(c, 'block, C);
                    let w = load2(w, 16 * C);
                    for t in 0..T {
                        let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                        for r in 0..2 {
                            sums[t][r] = D::add_signed(sums[t][r], chunks.add(C), w[r], c);
                        }
                    }
                });
            }
        }
        sums
    }
}

impl Format32 for Iq4Nl {
    const BYTES: usize = q4_0::BYTES;
    const D: usize = q4_0::D;
    const M: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const Block32<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; 2]; T] {
        let mut sums = [[i32x4_splat(0); 2]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(C in [0 1 2 3 4 5 6 7] {
                    step!(c, 'block, C);
                    let mut w = load2(w, 16 * (C % 4));
                    for r in 0..2 {
                        w[r] = iq4_values(half_bytes(w[r], C / 4, c), c);
                    }
                    for t in 0..T {
                        let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                        for r in 0..2 {
                            sums[t][r] = D::add_signed(sums[t][r], chunks.add(C), w[r], c);
                        }
                    }
                });
            }
        }
        sums
    }
}

/// One group of rows by `T` tokens.
///
/// # Safety
/// `group` points to twice as many quads as a row has blocks, of which `walk` has no others; each of `x` to as many
/// blocks as `walk` goes over.
#[inline(never)]
unsafe fn tile32<F: Format32, D: Dot, const T: usize>(
    group: *const u8,
    walk: &Walk,
    mut x: [*const Block32<D::Chunk>; T],
    y: &mut [[f32; GROUP]; T],
) {
    let mut acc = [[f32x4_splat(0.0); 2]; T];
    let c = Constants::hidden::<D>();
    for &block in walk.blocks() {
        // SAFETY: the caller's; pointers advance once per block.
        unsafe {
            let first = group.add(block as usize * 2 * F::BYTES);
            let w = [first, first.add(F::BYTES)];
            let sums = F::sums::<D, T>(w, x, c);
            let d = [load_f16(w[0].add(F::D), c), load_f16(w[1].add(F::D), c)];
            for t in 0..T {
                let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                for r in 0..2 {
                    acc[t][r] = D::mul_add(f32x4_convert_i32x4(sums[t][r]), f32x4_mul(d[r], d_x), acc[t][r]);
                }
            }
            if let Some(m_at) = F::M {
                let m = [load_f16(w[0].add(m_at), c), load_f16(w[1].add(m_at), c)];
                for t in 0..T {
                    let sum = v128_load32_splat((&raw const (*x[t]).sum).cast());
                    for r in 0..2 {
                        acc[t][r] = D::mul_add(m[r], sum, acc[t][r]);
                    }
                }
            }
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

/// A type of the K-family: sums of products of `R` quads side by side, scaled.
trait Format256 {
    const BYTES: usize;
    const D: usize;
    /// Where the scale of [`mins`](Self::mins) is.
    const DMIN: Option<usize>;
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T];
    /// Mins times the sums of the activations.
    #[inline(always)]
    unsafe fn mins<D: Dot, const T: usize, const R: usize>(
        _: [*const u8; R],
        _: [*const Block256<D::Chunk>; T],
        _: &Constants,
    ) -> [[v128; R]; T] {
        [[i32x4_splat(0); R]; T]
    }
}

/// The vectors at `offset` of each quad.
#[inline(always)]
unsafe fn load_each<const R: usize>(w: [*const u8; R], offset: usize) -> [v128; R] {
    let mut vectors = [i32x4_splat(0); R];
    for r in 0..R {
        // SAFETY: the caller's.
        vectors[r] = unsafe { load(w[r].add(offset)) };
    }
    vectors
}

/// Mins of Q4_K and Q5_K, `at` a quad's beginning: one for each 32.
#[inline(always)]
unsafe fn mins_of_32s<D: Dot, const T: usize, const R: usize>(
    w: [*const u8; R],
    at: usize,
    x: [*const Block256<D::Chunk>; T],
) -> [[v128; R]; T] {
    let mut sums = [[i32x4_splat(0); R]; T];
    for pair in 0..4 {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            for t in 0..T {
                let of_pair = v128_load32_splat((&raw const (*x[t]).sums).cast::<u32>().add(pair));
                for r in 0..R {
                    let min = i16x8_load_extend_u8x8(w[r].add(at + 8 * pair));
                    sums[t][r] = i32x4_add(sums[t][r], i32x4_dot_i16x8(of_pair, min));
                }
            }
        }
    }
    sums
}

struct Q2K;
struct Q3K;
struct Iq4Xs;
struct Q4K;
struct Q5K;
struct Q6K;

/// Four numbers for each of `R` quads: those of k, k + 4, k + 8 and k + 12.
type Fours<const R: usize> = [[v128; R]; 4];

/// The four fields of 2 bits in each byte.
#[inline(always)]
fn fields<const R: usize>(bytes: [v128; R], c: &Constants) -> Fours<R> {
    let mut fields = [bytes; 4];
    for r in 0..R {
        fields[0][r] = v128_and(bytes[r], c.pair[0]);
        fields[1][r] = v128_and(u16x8_shr(bytes[r], 2), c.pair[0]);
        fields[2][r] = v128_and(u16x8_shr(bytes[r], 4), c.pair[0]);
        fields[3][r] = v128_and(u16x8_shr(bytes[r], 6), c.pair[0]);
    }
    fields
}

/// Adds the products of the 16 activations of part `sub`, less `bias` times their sum, scaled as `scale` does it.
#[inline(always)]
unsafe fn add_sixteen<D: Dot, const T: usize, const R: usize>(
    scaled: &mut [[v128; R]; T],
    x: [*const Block256<D::Chunk>; T],
    sub: usize,
    bias: i16,
    q: &Fours<R>,
    scale: impl Fn(v128, usize) -> v128,
) {
    for t in 0..T {
        // SAFETY: the caller's: `x` points to blocks.
        unsafe {
            let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>().add(4 * sub);
            let start = D::start((&raw const (*x[t]).pairs).cast::<[i16; 2]>().add(sub), bias);
            let mut sums = [start; R];
            unroll!(I in [0 1 2 3] {
                for r in 0..R {
                    sums[r] = D::add(sums[r], chunks.add(I), q[I][r]);
                }
            });
            for r in 0..R {
                scaled[t][r] = i32x4_add(scaled[t][r], scale(sums[r], r));
            }
        }
    }
}

impl Format256 for Q2K {
    const BYTES: usize = q2_k::BYTES;
    const D: usize = q2_k::D;
    const DMIN: Option<usize> = Some(q2_k::DMIN);

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(S in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                    step!(c, 'block, S);
                    let q = fields(load_each(w, 16 * S), c);
                    let mut scales = load_each(w, q2_k::SCALES_AND_MINS + 16 * (S / 4));
                    for r in 0..R {
                        scales[r] = half_bytes(scales[r], 0, c);
                    }
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 0, &q, |sum, r| {
                        D::scaled(sum, scales[r], S % 4, c)
                    });
                });
            }
        }
        scaled
    }

    #[inline(always)]
    unsafe fn mins<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut mins = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(S in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                    step!(c, 'block, S);
                    let fours = load_each(w, q2_k::SCALES_AND_MINS + 16 * (S / 4));
                    for t in 0..T {
                        let sum = D::start((&raw const (*x[t]).pairs).cast::<[i16; 2]>().add(S), -1);
                        for r in 0..R {
                            let scaled = D::scaled(sum, half_bytes(fours[r], 1, c), S % 4, c);
                            mins[t][r] = i32x4_add(mins[t][r], scaled);
                        }
                    }
                });
            }
        }
        mins
    }
}

impl Format256 for Q3K {
    const BYTES: usize = q3_k::BYTES;
    const D: usize = q3_k::D;
    const DMIN: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(S in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                    step!(c, 'block, S);
                    let mut q = fields(load_each(w, 16 * S), c);
                    let high = load_each(w, q3_k::HIGH + 16 * (S / 2));
                    unroll!(I in [0 1 2 3] {
                        for r in 0..R {
                            let bit = bit_at(2, c.bit_2, high[r], (4 * (S % 2) + I) as u32);
                            q[I][r] = v128_or(q[I][r], bit);
                        }
                    });
                    let scales = load_each(w, q3_k::SCALES + 16 * (S / 4));
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 4, &q, |sum, r| {
                        D::scaled_signed(sum, scales[r], S % 4, c)
                    });
                });
            }
        }
        scaled
    }
}

impl Format256 for Iq4Xs {
    const BYTES: usize = iq4_xs::BYTES;
    const D: usize = iq4_xs::D;
    const DMIN: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(S in [0 1 2 3 4 5 6 7] {
                    let mut sums = [[i32x4_splat(0); R]; T];
                    unroll!(C in [0 1 2 3] {
                        step!(c, 'block, 4 * S + C);
                        let v = load_each(w, 16 * (4 * S + C));
                        unroll!(HALF in [0 1] {
                            let mut q = v;
                            for r in 0..R {
                                q[r] = iq4_values(half_bytes(v[r], HALF, c), c);
                            }
                            for t in 0..T {
                                let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                                for r in 0..R {
                                    let chunk = chunks.add(8 * S + 4 * HALF + C);
                                    sums[t][r] = D::add_signed(sums[t][r], chunk, q[r], c);
                                }
                            }
                        });
                    });
                    let scales = load_each(w, iq4_xs::SCALES + 16 * (S / 4));
                    for r in 0..R {
                        let scales = i32x4_shr(i8x16_swizzle(scales[r], c.signed_32[S % 4]), 24);
                        for t in 0..T {
                            scaled[t][r] = i32x4_add(scaled[t][r], i32x4_mul(sums[t][r], scales));
                        }
                    }
                });
            }
        }
        scaled
    }
}

impl Format256 for Q4K {
    const BYTES: usize = q4_k::BYTES;
    const D: usize = q4_k::D;
    const DMIN: Option<usize> = Some(q4_k::DMIN);

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(J in [0 1 2 3] {
                    let mut sums = [[[i32x4_splat(0); R]; 2]; T];
                    unroll!(C in [0 1 2 3 4 5 6 7] {
                        step!(c, 'block, 8 * J + C);
                        let v = load_each(w, 16 * (8 * J + C));
                        unroll!(HALF in [0 1] {
                            let mut q = v;
                            for r in 0..R {
                                q[r] = half_bytes(v[r], HALF, c);
                            }
                            for t in 0..T {
                                let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                                for r in 0..R {
                                    let chunk = chunks.add(16 * J + 8 * HALF + C);
                                    sums[t][HALF][r] = D::add(sums[t][HALF][r], chunk, q[r]);
                                }
                            }
                        });
                    });
                    add_scaled::<D, T, R>(&mut scaled, &sums, w, q4_k::SCALES, J, c);
                });
            }
        }
        scaled
    }

    #[inline(always)]
    unsafe fn mins<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        _: &Constants,
    ) -> [[v128; R]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe { mins_of_32s::<D, T, R>(w, q4_k::MINS, x) }
    }
}

/// Adds the sums of the pair `pair` of 32s of Q4_K or Q5_K, scaled.
#[inline(always)]
unsafe fn add_scaled<D: Dot, const T: usize, const R: usize>(
    scaled: &mut [[v128; R]; T],
    sums: &[[[v128; R]; 2]; T],
    w: [*const u8; R],
    scales_at: usize,
    pair: usize,
    c: &Constants,
) {
    // SAFETY: the caller's: `w` points to quads.
    let scales = unsafe { load_each(w, scales_at + 16 * (pair / 2)) };
    for t in 0..T {
        for half in 0..2 {
            for r in 0..R {
                let sum = D::scaled(sums[t][half][r], scales[r], 2 * (pair % 2) + half, c);
                scaled[t][r] = i32x4_add(scaled[t][r], sum);
            }
        }
    }
}

impl Format256 for Q5K {
    const BYTES: usize = q5_k::BYTES;
    const D: usize = q5_k::D;
    const DMIN: Option<usize> = Some(q5_k::DMIN);

    /// A lane of 16 bits has room for four vectors: 8 · 31 · 127.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(J in [0 1 2 3] {
                    unroll!(H in [0 1] {
                        let mut sums = [[[i32x4_splat(0); R]; 2]; T];
                        unroll!(C in [0 1 2 3] {
                            const V: usize = 4 * H + C;
                            step!(c, 'block, 8 * J + V);
                            let v = load_each(w, 16 * (8 * J + V));
                            let high = load_each(w, q5_k::HIGH + 16 * V);
                            unroll!(HALF in [0 1] {
                                let mut q = v;
                                for r in 0..R {
                                    let bit = bit_at(4, c.bit_4, high[r], (2 * J + HALF) as u32);
                                    q[r] = v128_or(half_bytes(v[r], HALF, c), bit);
                                }
                                for t in 0..T {
                                    let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>();
                                    for r in 0..R {
                                        let chunk = chunks.add(16 * J + 8 * HALF + V);
                                        sums[t][HALF][r] = D::add(sums[t][HALF][r], chunk, q[r]);
                                    }
                                }
                            });
                        });
                        add_scaled::<D, T, R>(&mut scaled, &sums, w, q5_k::SCALES, J, c);
                    });
                });
            }
        }
        scaled
    }

    #[inline(always)]
    unsafe fn mins<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        _: &Constants,
    ) -> [[v128; R]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe { mins_of_32s::<D, T, R>(w, q5_k::MINS, x) }
    }
}

impl Format256 for Q6K {
    const BYTES: usize = q6_k::BYTES;
    const D: usize = q6_k::D;
    const DMIN: Option<usize> = None;

    /// With its bias of 32 the sum of 16 fits 16 bits in the end, wherever it wraps before.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            'block: {
                unroll!(S in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                    step!(c, 'block, S);
                    let planes =
                        [load_each(w, 48 * S), load_each(w, 48 * S + 16), load_each(w, 48 * S + 32)];
                    let mut q = [planes[0]; 4];
                    for r in 0..R {
                        q[0][r] = v128_and(planes[0][r], c.low_6);
                        q[1][r] = v128_and(planes[1][r], c.low_6);
                        q[2][r] = v128_and(planes[2][r], c.low_6);
                        q[3][r] = v128_or(
                            v128_or(
                                v128_and(u16x8_shr(planes[0][r], 6), c.pair[0]),
                                v128_and(u16x8_shr(planes[1][r], 4), c.pair[1]),
                            ),
                            v128_and(u16x8_shr(planes[2][r], 2), c.pair[2]),
                        );
                    }
                    let scales = load_each(w, q6_k::SCALES + 16 * (S / 4));
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 32, &q, |sum, r| {
                        D::scaled_signed(sum, scales[r], S % 4, c)
                    });
                });
            }
        }
        scaled
    }
}

/// As [`tile32`]. A token alone goes over both quads of a block at once, which share its loads; several, which have too
/// many sums for that, over one after the other.
#[inline(never)]
unsafe fn tile256<F: Format256, D: Dot, const T: usize>(
    group: *const u8,
    walk: &Walk,
    mut x: [*const Block256<D::Chunk>; T],
    y: &mut [[f32; GROUP]; T],
) {
    let c = Constants::hidden::<D>();
    for &block in walk.blocks() {
        // SAFETY: the caller's; pointers advance once per block.
        unsafe {
            let w = group.add(block as usize * 2 * F::BYTES);
            if T == 1 {
                add_block::<F, D, T, 2>([w, w.add(F::BYTES)], x, y, 0, c);
            } else {
                for half in 0..2 {
                    add_block::<F, D, T, 1>([w.add(half * F::BYTES)], x, y, QUAD * half, c);
                }
            }
            for x in &mut x {
                *x = x.add(1);
            }
        }
    }
}

/// Adds a block's products to the rows from `row` on.
#[inline(always)]
unsafe fn add_block<F: Format256, D: Dot, const T: usize, const R: usize>(
    w: [*const u8; R],
    x: [*const Block256<D::Chunk>; T],
    y: &mut [[f32; GROUP]; T],
    row: usize,
    c: &Constants,
) {
    // SAFETY: the caller's: `w` points to quads, `x` to blocks, and `R` quads of rows begin at `row`.
    unsafe {
        let sums = F::sums::<D, T, R>(w, x, c);
        let mins = F::mins::<D, T, R>(w, x, c);
        for r in 0..R {
            let d = load(w[r].add(F::D));
            for t in 0..T {
                let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                let y: *mut v128 = y[t].as_mut_ptr().add(row + QUAD * r).cast();
                let mut sum = v128_load(y);
                sum = D::mul_add(f32x4_convert_i32x4(sums[t][r]), f32x4_mul(d, d_x), sum);
                if let Some(dmin_at) = F::DMIN {
                    let dmin = f32x4_neg(load(w[r].add(dmin_at)));
                    sum = D::mul_add(f32x4_convert_i32x4(mins[t][r]), f32x4_mul(dmin, d_x), sum);
                }
                v128_store(y, sum);
            }
        }
    }
}

type Tile<B, const T: usize> = unsafe fn(*const u8, &Walk, [*const B; T], &mut [[f32; GROUP]; T]);

/// Runs `tile` where lengths are as its contract wants them.
#[inline(always)]
fn run<B, const T: usize>(
    tile: Tile<B, T>,
    ty: PackedType,
    group: &[u8],
    walk: &Walk,
    x: [&[B]; T],
) -> [[f32; GROUP]; T] {
    assert!(group.len() == 2 * walk.n_blocks() * ty.quad_bytes());
    assert!(x.iter().all(|x| x.len() == walk.blocks().len()));
    let mut y = [[0.0; GROUP]; T];
    // SAFETY: by the checks above and what a walk promises.
    unsafe { tile(group.as_ptr(), walk, x.map(<[_]>::as_ptr), &mut y) };
    y
}

/// As [`portable::dots32`](super::portable::dots32).
#[inline(always)]
pub(super) fn dots32<D: Dot, const T: usize>(
    ty: PackedType,
    group: &[u8],
    walk: &Walk,
    x: [&[Block32<D::Chunk>]; T],
) -> [[f32; GROUP]; T] {
    let tile: Tile<Block32<D::Chunk>, T> = match ty {
        PackedType::Q4_0 => tile32::<Q4_0, D, T>,
        PackedType::Q4_1 => tile32::<Q4_1, D, T>,
        PackedType::Q5_0 => tile32::<Q5_0, D, T>,
        PackedType::Q5_1 => tile32::<Q5_1, D, T>,
        PackedType::Q8_0 => tile32::<Q8, D, T>,
        PackedType::IQ4_NL => tile32::<Iq4Nl, D, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, ty, group, walk, x)
}

/// As [`portable::dots256`](super::portable::dots256).
#[inline(always)]
pub(super) fn dots256<D: Dot, const T: usize>(
    ty: PackedType,
    group: &[u8],
    walk: &Walk,
    x: [&[Block256<D::Chunk>]; T],
) -> [[f32; GROUP]; T] {
    let tile: Tile<Block256<D::Chunk>, T> = match ty {
        PackedType::Q2_K => tile256::<Q2K, D, T>,
        PackedType::Q3_K => tile256::<Q3K, D, T>,
        PackedType::Q4_K => tile256::<Q4K, D, T>,
        PackedType::Q5_K => tile256::<Q5K, D, T>,
        PackedType::Q6_K => tile256::<Q6K, D, T>,
        PackedType::IQ4_XS => tile256::<Iq4Xs, D, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, ty, group, walk, x)
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

/// `x · scale`, rounded to the nearest integers, ties to even: within 2^21 of 0, in the low 16 bits of each lane.
#[inline(always)]
pub(super) unsafe fn rounded(x: *const f32, scale: f32) -> v128 {
    // SAFETY: the caller's: `x` points to four numbers. Adding 1.5 · 2^23 leaves the integer in the low bits.
    unsafe { f32x4_add(f32x4_mul(v128_load(x.cast()), f32x4_splat(scale)), f32x4_splat(12_582_912.0)) }
}

/// The sums of the even lanes and of the odd ones.
#[inline(always)]
pub(super) fn sum_of_pairs(sums: v128) -> [i16; 2] {
    let sums = i16x8_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
    let sums = i16x8_add(sums, i32x4_shuffle::<1, 0, 3, 2>(sums, sums));
    [i16x8_extract_lane::<0>(sums), i16x8_extract_lane::<1>(sums)]
}
