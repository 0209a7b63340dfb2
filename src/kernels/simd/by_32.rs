//! Types with a scale for 32 weights.

use super::{
    Constants, Dot, Of32, SignedBlock32, add_each, add_signed_each, five_bits, half_bytes, iq4_values,
    load_each, starts_signed,
};
use crate::kernels::activations::{Block32, Chunk, Walk};
use crate::kernels::layout::{AHEAD, Dots, QUAD, Reading, q4_0, q4_1, q5_0, q5_1, q8_0};
use crate::kernels::simd_attention::ask_for;
use core::arch::wasm32::*;

/// Four f16, finite, as f32.
#[inline(always)]
unsafe fn load_f16(at: *const u8, c: &Constants) -> v128 {
    // SAFETY: the caller's.
    let moved = unsafe { i32x4_shl(i32x4_load_extend_i16x4(at.cast()), 13) };
    f32x4_mul(v128_and(moved, c.f16), c.two_to_112)
}

/// A block of activations for a type.
type BlockOf<F, D> = Block32<<D as Dot>::Chunk, <F as Format32>::Beside<<D as Dot>::Chunk>>;

/// A type of the 32-family: sums of products, and what to do with them.
///
/// # Safety
/// `w` are the two quads of a block of weights, of `BYTES` bytes each, `x` the blocks of activations that they meet.
pub(super) trait Format32: Sized {
    /// What its activations have beside.
    type Beside<C: Chunk>: Copy;
    const BYTES: usize;
    const D: usize;
    const M: Option<usize>;
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const BlockOf<Self, D>; T],
        c: &Constants,
    ) -> [[v128; 2]; T];
}

#[inline(always)]
unsafe fn starts<D: Dot, const T: usize>(
    x: [*const Block32<D::Chunk>; T],
    bias: i16,
    c: &Constants,
) -> [[v128; 2]; T] {
    let mut starts = [[i32x4_splat(0); 2]; T];
    for t in 0..T {
        // SAFETY: the caller's: `x` points to blocks.
        starts[t] = [unsafe { D::start(&raw const (*x[t]).pairs, bias, c) }; 2];
    }
    starts
}

pub(super) struct Q4<const D: usize, const M: usize, const BYTES: usize, const BIAS: i16>;
pub(super) struct Q5<const BYTES: usize, const M: usize, const BIAS: i16>;
pub(super) struct Q8;
pub(super) struct Iq4Nl;

const NO_M: usize = 0;
pub(super) type Q4_0 = Q4<{ q4_0::D }, NO_M, { q4_0::BYTES }, 8>;
pub(super) type Q4_1 = Q4<{ q4_1::D }, { q4_1::M }, { q4_1::BYTES }, 0>;
pub(super) type Q5_0 = Q5<{ q5_0::BYTES }, NO_M, 16>;
pub(super) type Q5_1 = Q5<{ q5_1::BYTES }, { q5_1::M }, 0>;

impl<const D_AT: usize, const M: usize, const BYTES: usize, const BIAS: i16> Format32
    for Q4<D_AT, M, BYTES, BIAS>
{
    type Beside<C: Chunk> = ();
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
            let mut sums = starts::<D, T>(x, BIAS, c);
            let mut in_place = [[i32x4_splat(0); 2]; T];
            'block: {
                unroll!(V in [0 1 2 3] {
                    let w = load_each(w, 16 * V);
                    unroll!(PART in [0 1 2 3] { if PART < D::PARTS {
                        let part = PART;
                        step!(c, 'block, V * D::PARTS + part);
                        let q = [D::halves(w[0], part, c), D::halves(w[1], part, c)];
                        let to = if D::BY_8 && part == 1 { &mut in_place } else { &mut sums };
                        add_each(to, x, V, &q, |sum, low, q| {
                            D::add_halves(sum, low, low.add(4), part, q)
                        });
                    } });
                });
            }
            for t in 0..T {
                for r in 0..2 {
                    sums[t][r] = D::sum(sums[t][r], c);
                    if D::BY_8 {
                        sums[t][r] = i32x4_add(sums[t][r], i32x4_shr(in_place[t][r], 4));
                    }
                }
            }
            sums
        }
    }
}

impl<const BYTES: usize, const M: usize, const BIAS: i16> Format32 for Q5<BYTES, M, BIAS> {
    type Beside<C: Chunk> = ();
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
        const { assert!(q5_0::D == q5_1::D) };
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            let mut sums = starts::<D, T>(x, BIAS, c);
            let mut lower = [[i32x4_splat(0); 2]; T];
            'block: {
                unroll!(C in [0 1 5 2 3 6 4 7] {
                    step!(c, 'block, C);
                    let q = five_bits(C, |p| load_each(w, 16 * p), c);
                    add_each(&mut sums, x, C, &q, |sum, a, q| D::add(sum, a, q));
                    if BIAS == 0 && C == 2 {
                        for t in 0..T {
                            for r in 0..2 {
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

/// The sums for weights of 8 bits, of which `weights` makes those of a step, each plus 128.
#[inline(always)]
unsafe fn signed_sums<D: Dot, const T: usize>(
    x: [*const SignedBlock32<D>; T],
    c: &Constants,
    weights: impl Fn(usize) -> [v128; 2],
) -> [[v128; 2]; T] {
    // SAFETY: the caller's: `x` points to blocks.
    unsafe {
        let of = x.map(|x| Of32 { chunks: (&raw const (*x).chunks).cast(), signs: &raw const (*x).beside });
        let mut sums = starts_signed::<D, T, 2>(of);
        'block: {
            unroll!(C in [0 1 2 3 4 5 6 7] {
                step!(c, 'block, C);
                add_signed_each::<D, T, 2>(&mut sums, of, C, &weights(C), c);
            });
        }
        sums
    }
}

impl Format32 for Q8 {
    type Beside<C: Chunk> = C::Signs;
    const BYTES: usize = q8_0::BYTES;
    const D: usize = q8_0::D;
    const M: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const SignedBlock32<D>; T],
        c: &Constants,
    ) -> [[v128; 2]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe { signed_sums::<D, T>(x, c, |step| load_each(w, 16 * step)) }
    }
}

impl Format32 for Iq4Nl {
    type Beside<C: Chunk> = C::Signs;
    const BYTES: usize = q4_0::BYTES;
    const D: usize = q4_0::D;
    const M: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize>(
        w: [*const u8; 2],
        x: [*const SignedBlock32<D>; T],
        c: &Constants,
    ) -> [[v128; 2]; T] {
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            signed_sums::<D, T>(x, c, |step| {
                let [first, second] = load_each(w, 16 * (step % 4));
                [
                    iq4_values::<D>(half_bytes(first, step / 4, c), c),
                    iq4_values::<D>(half_bytes(second, step / 4, c), c),
                ]
            })
        }
    }
}

/// Groups of rows by `T` tokens. A token alone goes over them block by block, so that they are read in turns, or over one
/// after the other, and asks for what comes [`AHEAD`]; several tokens have as many sums as registers hold, and go over one
/// group after the other.
///
/// # Safety
/// Each of `groups` has twice as many quads as a row has blocks, of which `walk` has no others, and [`AHEAD`] bytes more;
/// each of `x` points to as many blocks as `walk` goes over.
#[inline(never)]
pub(super) unsafe fn tile32<F: Format32, D: Dot, const T: usize>(
    groups: &[&[u8]],
    walk: &Walk,
    reading: Reading,
    x: [*const BlockOf<F, D>; T],
    y: &mut [Dots<T>],
) {
    let c = Constants::hidden::<D>();
    let blocks = walk.blocks().iter().enumerate();
    // SAFETY: the caller's.
    unsafe {
        if T == 1 && groups.len() > 1 && reading != Reading::InARow {
            let places = reading.places();
            for (groups, y) in groups.chunks(places).zip(y.chunks_mut(places)) {
                for (index, &block) in blocks.clone() {
                    for (group, y) in groups.iter().zip(&mut *y) {
                        let mut sums = load_sums(y);
                        add_block::<F, D, T>(group.as_ptr(), block, x, index, &mut sums, c);
                        store_sums(&sums, y);
                    }
                }
            }
        } else {
            for (group, y) in groups.iter().zip(y) {
                let mut sums = load_sums(y);
                for (index, &block) in blocks.clone() {
                    if T == 1 {
                        let ahead = block as usize * 2 * F::BYTES + AHEAD;
                        ask_for(group.as_ptr().add(ahead), 2 * F::BYTES);
                    }
                    add_block::<F, D, T>(group.as_ptr(), block, x, index, &mut sums, c);
                }
                store_sums(&sums, y);
            }
        }
    }
}

#[inline(always)]
fn load_sums<const T: usize>(y: &Dots<T>) -> [[v128; 2]; T] {
    let mut sums = [[i32x4_splat(0); 2]; T];
    for t in 0..T {
        for r in 0..2 {
            // SAFETY: 8 numbers are two vectors.
            sums[t][r] = unsafe { v128_load(y[t].as_ptr().add(QUAD * r).cast()) };
        }
    }
    sums
}

#[inline(always)]
fn store_sums<const T: usize>(sums: &[[v128; 2]; T], y: &mut Dots<T>) {
    for t in 0..T {
        for r in 0..2 {
            // SAFETY: as above.
            unsafe { v128_store(y[t].as_mut_ptr().add(QUAD * r).cast(), sums[t][r]) };
        }
    }
}

/// Adds the products of block `block` of a group with the activations' blocks at `index`.
#[inline(always)]
unsafe fn add_block<F: Format32, D: Dot, const T: usize>(
    group: *const u8,
    block: u32,
    mut x: [*const BlockOf<F, D>; T],
    index: usize,
    y: &mut [[v128; 2]; T],
    c: &Constants,
) {
    // SAFETY: the caller's.
    unsafe {
        for x in &mut x {
            *x = x.add(index);
        }
        let first = group.add(block as usize * 2 * F::BYTES);
        let w = [first, first.add(F::BYTES)];
        let sums = F::sums::<D, T>(w, x, c);
        let d = [load_f16(w[0].add(F::D), c), load_f16(w[1].add(F::D), c)];
        for t in 0..T {
            let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
            for r in 0..2 {
                y[t][r] = D::mul_add(f32x4_convert_i32x4(sums[t][r]), f32x4_mul(d[r], d_x), y[t][r]);
            }
        }
        if let Some(m_at) = F::M {
            let m = [load_f16(w[0].add(m_at), c), load_f16(w[1].add(m_at), c)];
            for t in 0..T {
                let sum = v128_load32_splat((&raw const (*x[t]).sum).cast());
                for r in 0..2 {
                    y[t][r] = D::mul_add(m[r], sum, y[t][r]);
                }
            }
        }
    }
}
