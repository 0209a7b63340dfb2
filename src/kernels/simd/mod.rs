//! The loops in 128-bit SIMD, written once for every way to multiply bytes: see [`Dot`]. `by_32` and `by_256` are those of
//! the two families of quantized types.
//!
//! What V8 makes of them is in the choice of instructions: there are no 8-bit shifts on x64, so bytes are shifted by
//! sixteens and masked; a tile of 8 rows by 4 tokens has 8 accumulators, which with two operands and an activation is
//! what 16 registers hold; and there is no on-stack replacement, so functions are short and called often.

// An index goes over several arrays at once.
#![allow(clippy::needless_range_loop)]

use super::activations::{Block32, Block256, Chunk, Operands, Walk};
use super::layout::{Dots, GROUP, IQ4_VALUES, PackedType, QUAD, Reading};
use super::{F16_IN_F32, TWO_TO_112};
use by_32::{Iq4Nl, Q4_0, Q4_1, Q5_0, Q5_1, Q8, tile32};
use by_256::{Iq4Xs, Q2K, Q3K, Q4K, Q5K, Q6K, tile256};
use core::arch::wasm32::*;

/// How activations of 8 bits meet weights of at most 7: what the instruction sets differ in. Accumulators have a row in
/// each 32-bit lane; the defaults are those of accumulators of 32 bits.
///
/// # Safety
/// Of all that is unsafe here: pointers to activations, chunks and sums of pairs are into blocks of activations, with as
/// much behind them as is read.
pub(super) trait Dot {
    type Chunk: Chunk;
    /// In how many parts a vector of halves is multiplied.
    const PARTS: usize;
    /// Whether a token alone goes over both quads of a K block at once, which share its loads.
    const BOTH_QUADS_FOR_ONE: bool;

    /// An accumulator that begins at `-bias` times the activations' sum; `pairs` holds the sums of two and two.
    #[inline(always)]
    unsafe fn start(pairs: *const [i16; 2], bias: i16, c: &Constants) -> v128 {
        if bias == 0 {
            return i32x4_splat(0);
        }
        // SAFETY: the caller's.
        i32x4_dot_i16x8(unsafe { v128_load32_splat(pairs.cast()) }, c.minus(bias))
    }

    /// Adds four activations times the bytes of `q`, 0 to 127.
    unsafe fn add(sum: v128, a: *const Self::Chunk, q: v128) -> v128;

    /// The same dots for what gains nothing by a second operand of 8 bits, where this one takes them.
    type By7: Dot<Chunk = Self::Chunk>;
    /// Whether the second operand has 8 bits: [`halves`](Self::halves) then leaves high ones where they are, 16 times as
    /// large.
    const BY_8: bool = false;

    /// What [`halves`](Self::halves) keeps of a lane.
    const HALF: v128;
    /// Bits of an accumulator's lane.
    const LANE: usize = 32;

    /// Part `part` of the halves in `w`.
    #[inline(always)]
    fn halves(w: v128, part: usize, c: &Constants) -> v128 {
        if Self::BY_8 && part == 1 {
            return v128_and(w, c.high_4);
        }
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

    /// The bytes of `table` at `places`, which are below 16, or 128 or more for a 0.
    #[inline(always)]
    fn look_up(table: v128, places: v128) -> v128 {
        i8x16_swizzle(table, places)
    }

    /// The sums times the unsigned bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_mul(sum, Self::look_up(scales, c.unsigned[sub]))
    }

    /// The sums times the signed bytes `4 · sub..` of `scales`.
    #[inline(always)]
    fn scaled_signed(sum: v128, scales: v128, sub: usize, c: &Constants) -> v128 {
        i32x4_mul(sum, i32x4_shr(Self::look_up(scales, c.signed[sub]), 24))
    }

    /// What sums in 32 bits of 32 activations times weights of 8 bits begin at.
    unsafe fn start_signed(of: Of32<Self::Chunk>) -> v128;

    /// Adds the products of the activations of chunk `chunk` with weights of -128 to 127, of which `q` has each plus 128.
    unsafe fn add_signed(sum: v128, of: Of32<Self::Chunk>, chunk: usize, q: v128, c: &Constants) -> v128;

    /// a · b + c, rounded once or twice.
    fn mul_add(a: v128, b: v128, c: v128) -> v128;
}

/// Where 32 activations are, and what weights of 8 bits want beside.
#[derive(Clone, Copy)]
pub(super) struct Of32<C: Chunk> {
    pub(super) chunks: *const C,
    pub(super) signs: *const C::Signs,
}

type SignedBlock32<D> = Block32<<D as Dot>::Chunk, <<D as Dot>::Chunk as Chunk>::Signs>;
type SignedBlock256<D> = Block256<<D as Dot>::Chunk, <<D as Dot>::Chunk as Chunk>::Signs>;

/// Begins step `$n` of a block, none of which is the last: see [`Constants::n_steps`].
macro_rules! step {
    ($c:ident, $label:lifetime, $n:expr) => {
        if $n > 0 && $n >= $c.n_steps() {
            break $label;
        }
    };
}

/// Repeats a block of code with a constant.
macro_rules! unroll {
    ($i:ident in [$($n:literal)*] $body:block) => { $({ const $i: usize = $n; $body })* };
}

// They use the macros.
mod by_256;
mod by_32;

#[inline(always)]
unsafe fn load(at: *const u8) -> v128 {
    // SAFETY: the caller's.
    unsafe { v128_load(at.cast()) }
}

/// What a tile's loops use over and over, from memory that the compiler does not know: V8 makes a `v128.const` anew in
/// each turn of a loop, in four instructions; what is loaded before the loop stays in a register.
pub(super) struct Constants {
    /// More than the highest step of any type's block. Of a block whose steps were known all to be done the compiler, since
    /// it moves a value to its only use, would finish one sum before it begins the next, with all operands alive at once.
    n_steps: usize,
    /// Quads of a group: a loop over so many is not written out, which would double the code.
    n_quads: usize,
    /// Bits 0 to 3 of each byte.
    low_4: v128,
    /// Bits 4 to 7 of each byte.
    high_4: v128,
    /// Bits 5 to 7 of each byte.
    high_3: v128,
    /// Bit 5 of each byte.
    bit_5: v128,
    /// Bits 0 to 4 of each byte.
    low_5: v128,
    /// Bits 0 to 5 of each byte.
    low_6: v128,
    /// Bits 6 and 7, and 0 and 1, of each byte.
    high_2: v128,
    low_2: v128,
    /// Bit 2 of each byte.
    bit_2: v128,
    /// [`Dot::HALF`]
    half: v128,
    /// 1 in each 16 bits.
    pub(super) one: v128,
    /// -4, -8, -16 and -32 in each 16 bits: what [`Dot::start`] takes.
    minus: [v128; 4],
    /// What of an f16, sign-extended and moved to f32's places, counts.
    f16: v128,
    two_to_112: v128,
    /// [`IQ4_VALUES`], each plus 128.
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

const fn sixteens(x: i16) -> v128 {
    i16x8(x, x, x, x, x, x, x, x)
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
        let mut iq4 = [0; 16];
        let mut half = 0;
        while half < 16 {
            iq4[half] = (IQ4_VALUES[half] as u8) ^ 0x80;
            half += 1;
        }
        Self {
            n_steps: 64,
            n_quads: GROUP / QUAD,
            low_4: vector([0x0F; 16]),
            high_4: vector([0xF0; 16]),
            high_3: vector([0xE0; 16]),
            bit_5: vector([0x20; 16]),
            low_5: vector([0x1F; 16]),
            low_6: vector([0x3F; 16]),
            high_2: vector([0xC0; 16]),
            low_2: vector([0x03; 16]),
            bit_2: vector([0x04; 16]),
            half: D::HALF,
            one: sixteens(1),
            minus: [sixteens(-4), sixteens(-8), sixteens(-16), sixteens(-32)],
            f16: u32x4(F16_IN_F32, F16_IN_F32, F16_IN_F32, F16_IN_F32),
            two_to_112: f32x4(TWO_TO_112, TWO_TO_112, TWO_TO_112, TWO_TO_112),
            iq4: vector(iq4),
            unsigned: places(D::LANE, false),
            signed: places(D::LANE, true),
            signed_32: places(32, true),
        }
    }

    /// `-bias` in each 16 bits.
    #[inline(always)]
    pub(super) fn minus(&self, bias: i16) -> v128 {
        match bias {
            -1 => self.one,
            4 => self.minus[0],
            8 => self.minus[1],
            16 => self.minus[2],
            32 => self.minus[3],
            _ => unreachable!("no type has it"),
        }
    }

    /// Read anew each time, so that nothing is made of it beforehand.
    #[inline(always)]
    fn n_steps(&self) -> usize {
        // SAFETY: it is a reference's.
        unsafe { core::ptr::read_volatile(&raw const self.n_steps) }
    }

    #[inline(always)]
    fn hidden<D: Dot>() -> &'static Self {
        std::hint::black_box(const { &Self::new::<D>() })
    }
}

/// The vectors at `offset` of each quad. Arrays are filled by loops here: `map` and `from_fn` stay calls.
#[inline(always)]
unsafe fn load_each<const R: usize>(w: [*const u8; R], offset: usize) -> [v128; R] {
    let mut vectors = [i32x4_splat(0); R];
    for r in 0..R {
        // SAFETY: the caller's.
        vectors[r] = unsafe { load(w[r].add(offset)) };
    }
    vectors
}

/// Adds to the sums of each token what `add` makes of its activations at `chunk` and of the vectors of each quad. A block
/// of activations begins with its chunks.
#[inline(always)]
unsafe fn add_each<C, B, const T: usize, const R: usize>(
    sums: &mut [[v128; R]; T],
    x: [*const B; T],
    chunk: usize,
    q: &[v128; R],
    add: impl Fn(v128, *const C, v128) -> v128,
) {
    for t in 0..T {
        // SAFETY: the caller's: `x` points to blocks.
        let chunk = unsafe { x[t].cast::<C>().add(chunk) };
        for r in 0..R {
            sums[t][r] = add(sums[t][r], chunk, q[r]);
        }
    }
}

/// What the sums of products with weights of 8 bits begin at.
#[inline(always)]
unsafe fn starts_signed<D: Dot, const T: usize, const R: usize>(of: [Of32<D::Chunk>; T]) -> [[v128; R]; T] {
    let mut starts = [[i32x4_splat(0); R]; T];
    for t in 0..T {
        // SAFETY: the caller's.
        starts[t] = [unsafe { D::start_signed(of[t]) }; R];
    }
    starts
}

/// As [`add_each`], for weights of 8 bits.
#[inline(always)]
unsafe fn add_signed_each<D: Dot, const T: usize, const R: usize>(
    sums: &mut [[v128; R]; T],
    of: [Of32<D::Chunk>; T],
    chunk: usize,
    q: &[v128; R],
    c: &Constants,
) {
    for t in 0..T {
        for r in 0..R {
            // SAFETY: the caller's.
            sums[t][r] = unsafe { D::add_signed(sums[t][r], of[t], chunk, q[r], c) };
        }
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

/// Chunk `chunk` of fives, for each of `R` quads, of whose vectors `load` loads one.
#[inline(always)]
fn five_bits<const R: usize>(chunk: usize, load: impl Fn(usize) -> [v128; R], c: &Constants) -> [v128; R] {
    let mut q = load(if chunk < 5 { chunk } else { 2 * (chunk - 5) });
    for r in 0..R {
        q[r] = if chunk < 5 { v128_and(q[r], c.low_5) } else { u16x8_shr(v128_and(q[r], c.high_3), 5) };
    }
    let with = |q: &mut [v128; R], p: usize, bits: v128, by: u32| {
        let upper = load(p);
        for r in 0..R {
            q[r] = v128_or(q[r], u16x8_shr(v128_and(upper[r], bits), by));
        }
    };
    match chunk {
        5 => with(&mut q, 1, c.high_2, 3),
        6 => with(&mut q, 3, c.high_2, 3),
        7 => {
            with(&mut q, 1, c.bit_5, 2);
            with(&mut q, 3, c.bit_5, 1);
        }
        _ => {}
    }
    q
}

/// What the halves in the bytes of `halves` stand for in IQ4_NL and IQ4_XS, plus 128.
#[inline(always)]
fn iq4_values<D: Dot>(halves: v128, c: &Constants) -> v128 {
    D::look_up(c.iq4, halves)
}

type TileFn<B, const T: usize> = unsafe fn(&[&[u8]], &Walk, Reading, [*const B; T], &mut [Dots<T>]);

/// Runs `tile` where lengths are as its contract wants them.
#[inline(always)]
fn run<B, const T: usize>(tile: TileFn<B, T>, operands: &Operands<B, T>, y: &mut [Dots<T>]) {
    operands.check(y);
    let &Operands { groups, walk, reading, x, .. } = operands;
    // SAFETY: by the check above and what a walk promises.
    unsafe { tile(groups, walk, reading, x.map(<[_]>::as_ptr), y) };
}

/// As [`portable::dots32`](super::portable::dots32).
#[inline(always)]
pub(super) fn dots32<D: Dot, const T: usize>(operands: &Operands<Block32<D::Chunk>, T>, y: &mut [Dots<T>]) {
    let tile: TileFn<Block32<D::Chunk>, T> = match operands.ty {
        PackedType::Q4_0 if T == 1 => tile32::<Q4_0, D, T>,
        PackedType::Q4_1 if T == 1 => tile32::<Q4_1, D, T>,
        PackedType::Q4_0 => tile32::<Q4_0, D::By7, T>,
        PackedType::Q4_1 => tile32::<Q4_1, D::By7, T>,
        PackedType::Q5_0 => tile32::<Q5_0, D::By7, T>,
        PackedType::Q5_1 => tile32::<Q5_1, D::By7, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, operands, y)
}

/// As [`dots32`], for weights of 8 bits.
#[inline(always)]
pub(super) fn signed_dots32<D: Dot, const T: usize>(
    operands: &Operands<SignedBlock32<D>, T>,
    y: &mut [Dots<T>],
) {
    let tile: TileFn<SignedBlock32<D>, T> = match operands.ty {
        PackedType::Q8_0 => tile32::<Q8, D, T>,
        PackedType::IQ4_NL => tile32::<Iq4Nl, D, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, operands, y)
}

/// As [`portable::dots256`](super::portable::dots256).
#[inline(always)]
pub(super) fn dots256<D: Dot, const T: usize>(operands: &Operands<Block256<D::Chunk>, T>, y: &mut [Dots<T>]) {
    let tile: TileFn<Block256<D::Chunk>, T> = match operands.ty {
        PackedType::Q2_K => tile256::<Q2K, D::By7, T>,
        PackedType::Q3_K => tile256::<Q3K, D::By7, T>,
        PackedType::Q4_K if T == 1 => tile256::<Q4K, D, T>,
        PackedType::Q4_K => tile256::<Q4K, D::By7, T>,
        PackedType::Q5_K => tile256::<Q5K, D::By7, T>,
        PackedType::Q6_K => tile256::<Q6K, D::By7, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, operands, y)
}

/// As [`dots256`], for weights of 8 bits.
#[inline(always)]
pub(super) fn signed_dots256<D: Dot, const T: usize>(
    operands: &Operands<SignedBlock256<D>, T>,
    y: &mut [Dots<T>],
) {
    let tile: TileFn<SignedBlock256<D>, T> = match operands.ty {
        PackedType::IQ4_XS => tile256::<Iq4Xs, D, T>,
        _ => unreachable!("of another family"),
    };
    run(tile, operands, y)
}

/// As [`portable::max_abs`](super::portable::max_abs); the length is a multiple of 4.
pub(crate) fn max_abs(x: &[f32]) -> f32 {
    let mut largest = i32x4_splat(0);
    for four in x.chunks_exact(4) {
        // SAFETY: four numbers are a vector.
        largest = i32x4_max(largest, f32x4_abs(unsafe { v128_load(four.as_ptr().cast()) }));
    }
    largest = i32x4_max(largest, i32x4_shuffle::<2, 3, 0, 1>(largest, largest));
    largest = i32x4_max(largest, i32x4_shuffle::<1, 0, 3, 2>(largest, largest));
    f32x4_extract_lane::<0>(largest)
}

/// Numbers times `scale`, rounded to the nearest integers, ties to even: within 2^15 of 0.
pub(super) struct Rounding {
    scale: v128,
    /// 1.5 · 2^23: in the sum with it the integer stands in the low bits.
    shift: v128,
}

impl Rounding {
    #[inline(always)]
    pub(super) fn new(scale: f32) -> Self {
        // Hidden as [`Constants`] are.
        Self { scale: f32x4_splat(scale), shift: f32x4_splat(std::hint::black_box(12_582_912.0)) }
    }

    /// Eight of them, in 16 bits each.
    #[inline(always)]
    pub(super) unsafe fn eight(&self, x: *const f32) -> v128 {
        let four = |x: *const f32| {
            // SAFETY: the caller's: `x` points to eight numbers.
            let scaled = f32x4_mul(unsafe { v128_load(x.cast()) }, self.scale);
            i32x4_sub(f32x4_add(scaled, self.shift), self.shift)
        };
        // SAFETY: as above.
        i16x8_narrow_i32x4(four(x), four(unsafe { x.add(4) }))
    }
}

/// The sums of the even lanes and of the odd ones.
#[inline(always)]
pub(super) fn sum_of_pairs(sums: v128) -> [i16; 2] {
    let sums = i16x8_add(sums, i32x4_shuffle::<2, 3, 0, 1>(sums, sums));
    let sums = i16x8_add(sums, i32x4_shuffle::<1, 0, 3, 2>(sums, sums));
    [i16x8_extract_lane::<0>(sums), i16x8_extract_lane::<1>(sums)]
}
