//! The K-family, whose weights come in blocks of 256 with a scale for each 16 or 32.

use super::{
    Constants, Dot, Of32, SignedBlock256, add_each, add_signed_each, bit_at, five_bits, half_bytes,
    iq4_values, load, load_each, starts_signed,
};
use crate::kernels::activations::{Block256, Chunk, Walk};
use crate::kernels::layout::{Dots, QUAD, Reading, VECTOR, iq4_xs, min_at, q2_k, q3_k, q4_k, q5_k, q6_k};
use core::arch::wasm32::*;

/// A block of activations for a type.
type BlockOf<F, D> = Block256<<D as Dot>::Chunk, <F as Format256>::Beside<<D as Dot>::Chunk>>;

/// A type of the K-family: sums of products of `R` quads side by side, scaled.
///
/// # Safety
/// `w` are quads of a block of weights, which take turns vector by vector, `x` the blocks of activations that they meet.
pub(super) trait Format256: Sized {
    /// What its activations have beside.
    type Beside<C: Chunk>: Copy;
    const BYTES: usize;
    const D: usize;
    /// Whether several tokens go over both quads of a block at once, which share their loads.
    const BOTH_QUADS_FOR_SEVERAL: bool;
    /// Where the scale of [`mins`](Self::mins) is.
    const DMIN: Option<usize>;
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const BlockOf<Self, D>; T],
        c: &Constants,
    ) -> [[v128; R]; T];
    /// Mins times the sums of the activations.
    #[inline(always)]
    unsafe fn mins<D: Dot, const T: usize, const R: usize>(
        _: [*const u8; R],
        _: [*const BlockOf<Self, D>; T],
        _: &Constants,
    ) -> [[v128; R]; T] {
        [[i32x4_splat(0); R]; T]
    }
}

/// Mins of Q4_K and Q5_K, `at` the beginning of each part of `part` bytes: one for each 32.
#[inline(always)]
unsafe fn mins_of_32s<D: Dot, const T: usize, const R: usize>(
    w: [*const u8; R],
    part: usize,
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
                    let min = i16x8_load_extend_u8x8(w[r].add(min_at(part, at, 2 * pair)));
                    sums[t][r] = i32x4_add(sums[t][r], i32x4_dot_i16x8(of_pair, min));
                }
            }
        }
    }
    sums
}

pub(super) struct Q2K;
pub(super) struct Q3K;
pub(super) struct Iq4Xs;
pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;

/// Four numbers for each of `R` quads: those of k, k + 4, k + 8 and k + 12.
type Fours<const R: usize> = [[v128; R]; 4];

/// The four fields of 2 bits in each byte.
#[inline(always)]
fn fields<const R: usize>(bytes: [v128; R], c: &Constants) -> Fours<R> {
    let mut fields = [bytes; 4];
    for r in 0..R {
        fields[0][r] = v128_and(bytes[r], c.low_2);
        fields[1][r] = v128_and(u16x8_shr(bytes[r], 2), c.low_2);
        fields[2][r] = v128_and(u16x8_shr(bytes[r], 4), c.low_2);
        fields[3][r] = v128_and(u16x8_shr(bytes[r], 6), c.low_2);
    }
    fields
}

/// Adds the products of the 16 activations of part `sub`, less `bias` times their sum, scaled as `scale` does it. `q` gives
/// four `i` of the weights.
#[inline(always)]
unsafe fn add_sixteen<D: Dot, const T: usize, const R: usize>(
    scaled: &mut [[v128; R]; T],
    x: [*const Block256<D::Chunk>; T],
    sub: usize,
    bias: i16,
    q: impl Fn(usize) -> [v128; R],
    c: &Constants,
    scale: impl Fn(v128, usize) -> v128,
) {
    // SAFETY: the caller's: `x` points to blocks.
    unsafe {
        let mut sums = [[i32x4_splat(0); R]; T];
        for t in 0..T {
            let start = D::start((&raw const (*x[t]).pairs).cast::<[i16; 2]>().add(sub), bias, c);
            sums[t] = [start; R];
        }
        'part: {
            unroll!(I in [0 1 2 3] {
                if T > 1 {
                    step!(c, 'part, 4 * sub + I);
                }
                let q = q(I);
                for t in 0..T {
                    // From the sixteen on: plain dots are a tenth slower where they are counted from the block on.
                    let chunks = (&raw const (*x[t]).chunks).cast::<D::Chunk>().add(4 * sub);
                    for r in 0..R {
                        sums[t][r] = D::add(sums[t][r], chunks.add(I), q[r]);
                    }
                }
            });
        }
        for t in 0..T {
            for r in 0..R {
                scaled[t][r] = i32x4_add(scaled[t][r], scale(sums[t][r], r));
            }
        }
    }
}

/// Four `chunk` of sixteen numbers of 6 bits in three vectors, for each of `R` quads, of whose vectors `load` loads one.
#[inline(always)]
fn six_bits<const R: usize>(chunk: usize, load: impl Fn(usize) -> [v128; R], c: &Constants) -> [v128; R] {
    let mut q = load(chunk % 3);
    if chunk < 3 {
        for r in 0..R {
            q[r] = v128_and(q[r], c.low_6);
        }
        return q;
    }
    let [second, third] = [load(1), load(2)];
    for r in 0..R {
        // Masked before they move: one mask does for all.
        q[r] = v128_and(q[r], c.high_2);
        q[r] = v128_or(u16x8_shr(q[r], 2), v128_and(second[r], c.high_2));
        q[r] = v128_or(u16x8_shr(q[r], 2), v128_and(third[r], c.high_2));
        q[r] = u16x8_shr(q[r], 2);
    }
    q
}

impl Format256 for Q2K {
    type Beside<C: Chunk> = ();
    const BYTES: usize = q2_k::BYTES;
    const D: usize = q2_k::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = true;
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
                    let q = fields(load_each(w, q2_k::fields(S)), c);
                    let mut scales = load_each(w, q2_k::PART * (S / 4));
                    for r in 0..R {
                        scales[r] = half_bytes(scales[r], 0, c);
                    }
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 0, |i| q[i], c, |sum, r| {
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
                    let fours = load_each(w, q2_k::PART * (S / 4));
                    for t in 0..T {
                        let sum = D::start((&raw const (*x[t]).pairs).cast::<[i16; 2]>().add(S), -1, c);
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
    type Beside<C: Chunk> = ();
    const BYTES: usize = q3_k::BYTES;
    const D: usize = q3_k::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = false;
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
                    let mut q = fields(load_each(w, q3_k::fields(S)), c);
                    let high = load_each(w, q3_k::high(S));
                    unroll!(I in [0 1 2 3] {
                        for r in 0..R {
                            let bit = bit_at(2, c.bit_2, high[r], (4 * (S % 2) + I) as u32);
                            q[I][r] = v128_or(q[I][r], bit);
                        }
                    });
                    let scales = load_each(w, q3_k::PART * (S / 4));
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 4, |i| q[i], c, |sum, r| {
                        D::scaled_signed(sum, scales[r], S % 4, c)
                    });
                });
            }
        }
        scaled
    }
}

impl Format256 for Iq4Xs {
    type Beside<C: Chunk> = C::Signs;
    const BYTES: usize = iq4_xs::BYTES;
    const D: usize = iq4_xs::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = true;
    const DMIN: Option<usize> = None;

    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const SignedBlock256<D>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            unroll!(S in [0 1 2 3 4 5 6 7] {
                let of = x.map(|x| Of32 {
                    chunks: (&raw const (*x).chunks).cast::<D::Chunk>().add(8 * S),
                    signs: (&raw const (*x).beside).cast::<<D::Chunk as Chunk>::Signs>().add(S),
                });
                let mut sums = starts_signed::<D, T, R>(of);
                'part: {
                    unroll!(C in [0 1 2 3] {
                        step!(c, 'part, 4 * S + C);
                        let v = load_each(w, iq4_xs::halves(4 * S + C));
                        unroll!(HALF in [0 1] {
                            let mut q = v;
                            for r in 0..R {
                                q[r] = iq4_values::<D>(half_bytes(v[r], HALF, c), c);
                            }
                            add_signed_each::<D, T, R>(&mut sums, of, 4 * HALF + C, &q, c);
                        });
                    });
                }
                let scales = load_each(w, iq4_xs::PART * (S / 4));
                for r in 0..R {
                    let scales = i32x4_shr(D::look_up(scales[r], c.signed_32[S % 4]), 24);
                    for t in 0..T {
                        scaled[t][r] = i32x4_add(scaled[t][r], i32x4_mul(sums[t][r], scales));
                    }
                }
            });
        }
        scaled
    }
}

impl Format256 for Q4K {
    type Beside<C: Chunk> = ();
    const BYTES: usize = q4_k::BYTES;
    const D: usize = q4_k::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = true;
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
            // Several tokens have no registers for the sums of both halves: they go over the vectors twice.
            if T > 1 {
                unroll!(S in [0 1 2 3 4 5 6 7] {
                    let mut sums = [[i32x4_splat(0); R]; T];
                    'part: {
                        unroll!(C in [0 1 2 3 4 5 6 7] {
                            step!(c, 'part, 8 * S + C);
                            let mut q = load_each(w, q4_k::halves(8 * (S / 2) + C));
                            for r in 0..R {
                                q[r] = half_bytes(q[r], S % 2, c);
                            }
                            add_each(&mut sums, x, 8 * S + C, &q, |sum, a, q| D::add(sum, a, q));
                        });
                    }
                    add_scaled::<D, T, R>(&mut scaled, &sums, w, q4_k::PART, S, c);
                });
                return scaled;
            }
            unroll!(J in [0 1 2 3] {
                let mut sums = [[[i32x4_splat(0); R]; T]; 2];
                'part: {
                    unroll!(C in [0 1 2 3 4 5 6 7] {
                        step!(c, 'part, 8 * J + C);
                        let v = load_each(w, q4_k::halves(8 * J + C));
                        unroll!(HALF in [0 1] {
                            let mut q = v;
                            for r in 0..R {
                                let in_place = D::BY_8 && HALF == 1;
                                q[r] = if in_place { v128_and(v[r], c.high_4) } else { half_bytes(v[r], HALF, c) };
                            }
                            add_each(&mut sums[HALF], x, 16 * J + 8 * HALF + C, &q, |sum, a, q| D::add(sum, a, q));
                        });
                    });
                }
                if D::BY_8 {
                    for sum in sums[1].as_flattened_mut() {
                        *sum = i32x4_shr(*sum, 4);
                    }
                }
                for half in 0..2 {
                    add_scaled::<D, T, R>(&mut scaled, &sums[half], w, q4_k::PART, 2 * J + half, c);
                }
            });
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
        unsafe { mins_of_32s::<D, T, R>(w, q4_k::PART, q4_k::MINS, x) }
    }
}

/// Adds sums of the 32s `sub` of Q4_K or Q5_K, scaled.
#[inline(always)]
unsafe fn add_scaled<D: Dot, const T: usize, const R: usize>(
    scaled: &mut [[v128; R]; T],
    sums: &[[v128; R]; T],
    w: [*const u8; R],
    part: usize,
    sub: usize,
    c: &Constants,
) {
    // SAFETY: the caller's: `w` points to quads.
    let scales = unsafe { load_each(w, part * (sub / 4)) };
    for t in 0..T {
        for r in 0..R {
            scaled[t][r] = i32x4_add(scaled[t][r], D::scaled(sums[t][r], scales[r], sub % 4, c));
        }
    }
}

impl Format256 for Q5K {
    type Beside<C: Chunk> = ();
    const BYTES: usize = q5_k::BYTES;
    const D: usize = q5_k::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = false;
    const DMIN: Option<usize> = Some(q5_k::DMIN);

    /// A lane of 16 bits has room for four chunks: 8 · 31 · 127.
    #[inline(always)]
    unsafe fn sums<D: Dot, const T: usize, const R: usize>(
        w: [*const u8; R],
        x: [*const Block256<D::Chunk>; T],
        c: &Constants,
    ) -> [[v128; R]; T] {
        let mut scaled = [[i32x4_splat(0); R]; T];
        // SAFETY: the caller's: `w` points to quads, `x` to blocks.
        unsafe {
            unroll!(S in [0 1 2 3 4 5 6 7] {
                let mut sums = [[i32x4_splat(0); R]; T];
                let mut first = sums;
                'part: {
                    unroll!(C in [0 1 5 2 3 6 4 7] {
                        step!(c, 'part, 8 * S + C);
                        let q = five_bits(C, |p| load_each(w, q5_k::fives(S, p)), c);
                        add_each(&mut sums, x, 8 * S + C, &q, |sum, a, q| D::add(sum, a, q));
                        if D::LANE == 16 && C == 2 {
                            first = sums;
                            sums = [[i32x4_splat(0); R]; T];
                        }
                    });
                }
                if D::LANE == 16 {
                    add_scaled::<D, T, R>(&mut scaled, &first, w, q5_k::PART, S, c);
                }
                add_scaled::<D, T, R>(&mut scaled, &sums, w, q5_k::PART, S, c);
            });
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
        unsafe { mins_of_32s::<D, T, R>(w, q5_k::PART, q5_k::MINS, x) }
    }
}

impl Format256 for Q6K {
    type Beside<C: Chunk> = ();
    const BYTES: usize = q6_k::BYTES;
    const D: usize = q6_k::D;
    const BOTH_QUADS_FOR_SEVERAL: bool = false;
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
                    // A token alone takes them quad by quad, several take them as they need them.
                    let mut q = [[i32x4_splat(0); R]; 4];
                    for r in 0..R {
                        for i in 0..4 {
                            [q[i][r]] = six_bits(i, |p| load_each([w[r]], q6_k::plane(S, p)), c);
                        }
                    }
                    let q = |i: usize| {
                        if T == 1 { q[i] } else { six_bits(i, |p| load_each(w, q6_k::plane(S, p)), c) }
                    };
                    let scales = load_each(w, q6_k::PART * (S / 4));
                    add_sixteen::<D, T, R>(&mut scaled, x, S, 32, q, c, |sum, r| {
                        D::scaled_signed(sum, scales[r], S % 4, c)
                    });
                });
            }
        }
        scaled
    }
}

/// As [`tile32`](super::tile32). Tokens go over both quads at once, which share their loads, or over one after the other
/// where that leaves too many sums and operands for the registers: [`Dot::BOTH_QUADS_FOR_ONE`],
/// [`Format256::BOTH_QUADS_FOR_SEVERAL`].
#[inline(never)]
pub(super) unsafe fn tile256<F: Format256, D: Dot, const T: usize>(
    groups: &[&[u8]],
    walk: &Walk,
    reading: Reading,
    x: [*const BlockOf<F, D>; T],
    y: &mut [Dots<T>],
) {
    let c = Constants::hidden::<D>();
    let blocks = walk.blocks();
    // Of the groups from `first` on as many go in turns as are read at a time.
    let (mut first, mut group, mut index) = (0, 0, 0);
    while group < groups.len() && index < blocks.len() {
        // SAFETY: the caller's.
        unsafe {
            let w = groups[group].as_ptr().add(2 * blocks[index] as usize * F::BYTES);
            let mut x = x;
            for x in &mut x {
                *x = x.add(index);
            }
            let y = &mut y[group];
            let both_quads = if T == 1 { D::BOTH_QUADS_FOR_ONE } else { F::BOTH_QUADS_FOR_SEVERAL };
            if both_quads {
                let rows = [rows_of(y, 0), rows_of(y, 1)];
                add_block::<F, D, T, 2>([w, w.add(VECTOR)], x, rows, c);
            } else {
                for half in 0..c.n_quads {
                    add_block::<F, D, T, 1>([w.add(half * VECTOR)], x, [rows_of(y, half)], c);
                }
            }
        }
        let next = first + reading.places();
        (first, group, index) = if group + 1 < next.min(groups.len()) {
            (first, group + 1, index)
        } else if index + 1 < blocks.len() {
            (first, first, index + 1)
        } else {
            (next, next, 0)
        };
    }
}

/// Where the rows of quad `half` of each token are. A check would tell the compiler how many halves there are.
#[inline(always)]
unsafe fn rows_of<const T: usize>(y: &mut Dots<T>, half: usize) -> [*mut v128; T] {
    let mut rows = [core::ptr::null_mut(); T];
    for t in 0..T {
        // SAFETY: the caller's: `half` is 0 or 1.
        rows[t] = unsafe { y[t].as_mut_ptr().add(QUAD * half) }.cast();
    }
    rows
}

/// Adds a block's products to `y`, of each quad and token.
#[inline(always)]
unsafe fn add_block<F: Format256, D: Dot, const T: usize, const R: usize>(
    w: [*const u8; R],
    x: [*const BlockOf<F, D>; T],
    y: [[*mut v128; T]; R],
    c: &Constants,
) {
    // SAFETY: the caller's: `w` points to quads, `x` to blocks.
    unsafe {
        let sums = F::sums::<D, T, R>(w, x, c);
        let mins = F::mins::<D, T, R>(w, x, c);
        for r in 0..R {
            let d = load(w[r].add(F::D));
            for t in 0..T {
                let d_x = v128_load32_splat((&raw const (*x[t]).d).cast());
                let mut sum = v128_load(y[r][t]);
                sum = D::mul_add(f32x4_convert_i32x4(sums[t][r]), f32x4_mul(d, d_x), sum);
                if let Some(dmin_at) = F::DMIN {
                    let dmin = f32x4_neg(load(w[r].add(dmin_at)));
                    sum = D::mul_add(f32x4_convert_i32x4(mins[t][r]), f32x4_mul(dmin, d_x), sum);
                }
                v128_store(y[r][t], sum);
            }
        }
    }
}
