//! Activations in 8 bits: to the nearest step, and twice where a block has an outlier.

use super::{
    Noise, assert_kernels, bits, each_form, file, multiply, oracle, packed, quantized, reals,
    reference_weights,
};
use crate::kernels::activations::{Block, Block32, Block256, Chunk, Walk};
use crate::kernels::layout::{Family, PackedType, QK, QK_K};
use crate::kernels::{Activations, isa, portable};
use crate::threads::Pool;
use bytemuck::Zeroable;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn activations_are_rounded_to_the_nearest_step() {
    assert_kernels();
    let mut noise = Noise(0xA076_1D64_78BD_642F);
    for size in [0.0, 1e-38, 1e-30, 1.0, 1e4, 1e30] {
        let x: Vec<f32> = (0..QK_K).map(|_| noise.real() * size).collect();
        let mut block = Block256::<_>::zeroed();
        block.round(&x);
        let largest = portable::max_abs(&x);
        assert_eq!(block.d, largest / 127.0);
        let scale = if size > 1e-37 { 127.0 / largest } else { 0.0 };
        let q: Vec<i8> = block.chunks.iter().flat_map(|chunk| chunk.get()).collect();
        let expected: Vec<i8> = x.iter().map(|x| (x * scale).round_ties_even() as i8).collect();
        assert_eq!(q, expected);
        for (i, sum) in block.sums.iter().enumerate() {
            assert_eq!(*sum, q[32 * i..32 * i + 32].iter().map(|q| i16::from(*q)).sum::<i16>());
        }
        for (i, [low, high]) in block.pairs.iter().enumerate() {
            let of = |from: usize| {
                q[16 * i..16 * i + 16]
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| k % 4 / 2 == from)
                    .map(|(_, q)| i16::from(*q))
                    .sum::<i16>()
            };
            assert_eq!((*low, *high), (of(0), of(1)));
        }
        let mut block = Block32::<_>::zeroed();
        block.round(&x[..QK]);
        let sum: i32 = block.chunks.iter().flat_map(|chunk| chunk.get()).map(i32::from).sum();
        assert_eq!(block.sum, block.d * sum as f32);
        assert_eq!(i32::from(block.pairs[0]) + i32::from(block.pairs[1]), sum);
    }
}

/// Every number halfway between two whole ones goes to the even one.
#[test]
fn activations_halfway_between_two_steps_are_rounded_to_the_even_one() {
    assert_kernels();
    let lower: [i8; 256] = std::array::from_fn(|i| (i as i8).clamp(-127, 126));
    for scale in [1.0, 0.25] {
        let x = lower.map(|lower| (f32::from(lower) + 0.5) / scale);
        let mut chunks = [isa::Chunk::new([0; 4]); 64];
        isa::round_to(&x, scale, &mut chunks);
        let q: Vec<i8> = chunks.into_iter().flat_map(Chunk::get).collect();
        assert_eq!(q, lower.map(|lower| lower + (lower & 1)), "{scale}");
    }
}

/// One activation a thousand times the others: of the rest of its block 8 bits would keep nothing.
#[test]
fn blocks_with_an_outlier_are_rounded_twice() {
    each_form(|| {
        let mut noise = Noise(0x94D0_49BB_1331_11EB);
        for ty in quantized() {
            let (n_out, n_in, n_tok) = (9, 9 * ty.block_len(), 5);
            let file = file(ty, n_out, n_in, &mut noise, |_| 1.0);
            let matrix = packed(ty, n_out, n_in, &file);
            let mut x = reals(n_tok * n_in, 1.0, &mut noise);
            // Not every token's: those without go over the same blocks, with zeros.
            for tok in [0, 3, 4] {
                x[tok * n_in + 4 * ty.block_len() + 7] = 1000.0;
            }
            let (y, weights) = (multiply(&matrix, &x), reference_weights(ty, n_out, n_in, &file));
            let alone: Vec<f32> = x.chunks(n_in).flat_map(|x| multiply(&matrix, x)).collect();
            assert_eq!(y, alone, "{ty:?}: a token's products are its own");
            for (i, y) in y.iter().enumerate() {
                let (x, w) = (&x[i / n_out * n_in..][..n_in], &weights[i % n_out * n_in..][..n_in]);
                let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let half_steps: f32 = w.iter().map(|w| w.abs() * 0.5 / 127.0).sum();
                let bound = f64::from(half_steps) + exact.abs() * 1e-5;
                assert!((f64::from(*y) - exact).abs() <= bound, "{ty:?}: {y} {exact}, {half_steps}");
            }
        }
    });
}

/// Every step of both roundings is a power of 2 here, so that a fused sum has the bits of another. Rows are too short for
/// outliers, just as long, and longer; where they are too short, all of their blocks are rounded twice.
#[test]
fn products_of_what_is_rounded_twice_equal_the_oracles_bit_by_bit() {
    each_form(|| {
        let mut noise = Noise(0x3C6E_F372_FE94_F82B);
        for ty in quantized() {
            let most = match ty.family() {
                Family::By32 | Family::SignedBy32 => Block32::<isa::Chunk>::OUTLIER,
                _ => Block256::<isa::Chunk>::OUTLIER,
            } as usize;
            for n_blocks in [most - 1, most, most + 1, 2 * most + 1] {
                // Every third token has no outlier, the others have theirs in different blocks.
                let n_outliers = (n_blocks - 1) / most;
                let is_outlier = |tok: usize, block: usize| {
                    let is_at = |i: usize| block == (5 * tok + 4 * i + 2) % n_blocks;
                    n_blocks < most || tok % 3 != 1 && (0..n_outliers).any(is_at)
                };
                for (n_out, n_tok) in [(37, 1), (9, 3), (9, isa::TILE)] {
                    let n_in = n_blocks * ty.block_len();
                    let what = format!("{ty:?} {n_out}x{n_in}, {n_tok}");
                    let file = file(ty, n_out, n_in, &mut noise, |_| 1.0);
                    let matrix = packed(ty, n_out, n_in, &file);
                    let blocks = (0..n_tok * n_blocks).map(|i| is_outlier(i / n_blocks, i % n_blocks));
                    let x: Vec<f32> = blocks.flat_map(|is| whole(ty.block_len(), is, &mut noise)).collect();
                    let again = (0..n_blocks).filter(|&block| (0..n_tok).any(|tok| is_outlier(tok, block)));
                    let walk: Vec<u32> = (0..n_blocks).chain(again).map(|block| block as u32).collect();
                    assert_eq!(first_walk(ty, &x, n_in), walk, "{what}");
                    let (y, expected) = (multiply(&matrix, &x), oracle(&matrix, &x));
                    assert_eq!(bits(&y), bits(&expected), "{what}");
                }
            }
        }
    });
}

/// A block of whole activations. Its step is 1, or an outlier's 256, and that of what this leaves is 1.
fn whole(len: usize, is_outlier: bool, noise: &mut Noise) -> Vec<f32> {
    let largest_at = usize::from(noise.byte()) % len;
    let mut number = || f32::from((noise.byte() as i8).clamp(-126, 126));
    let mut x: Vec<f32> = (0..len).map(|_| number()).collect();
    x[largest_at] = -127.0;
    if is_outlier {
        x.iter_mut().for_each(|x| *x += 256.0 * number());
        x[largest_at ^ 1] = 127.0 * 256.0;
    }
    x
}

/// The blocks that the first tile's products go over.
fn first_walk(ty: PackedType, x: &[f32], n_in: usize) -> Vec<u32> {
    let walk = |walk: &Walk| walk.blocks().to_vec();
    match Activations::new(ty.family(), x, n_in, &Pool::single()).expect("activations") {
        Activations::Float(_) | Activations::F16(_) => Vec::new(),
        Activations::By32(x) => walk(&x.tile_of(0).0.walk),
        Activations::SignedBy32(x) => walk(&x.tile_of(0).0.walk),
        Activations::By256(x) => walk(&x.tile_of(0).0.walk),
        Activations::SignedBy256(x) => walk(&x.tile_of(0).0.walk),
    }
}
