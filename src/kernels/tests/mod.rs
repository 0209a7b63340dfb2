//! Every kernel against the oracle, and the oracle against Candle, natively and in a browser: here the products, in
//! `rounding` what becomes of their activations, in `floats` what goes around them.

mod floats;
mod rounding;

use super::activations::{Block, Block32, Block256, Bytes, Chunk, Operands, Rounded, SignsOfBytes};
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
use super::form::{self, Form};
use super::layout::{Dots, Family, GROUP, LAYOUT_VERSION, PackedType, QK, QK_K, Reading, TOGETHER};
use super::{Activations, Items, Output, PackedMatrix, isa, portable};
use crate::gguf::TensorType;
use crate::threads::Pool;
use bytemuck::Zeroable;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use std::borrow::Cow;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// The file whose loops run, as `build.sh` asked for it.
fn assert_kernels() {
    let expected = match option_env!("TALLOW_TEST_MODULE") {
        None => "portable",
        Some(module) => module,
    };
    assert_eq!(isa::NAME, expected);
}

/// All forms of the relaxed dots that the engine has, or what there is else.
fn each_form(run: impl Fn()) {
    assert_kernels();
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    {
        let mut forms = vec![Form::Fours32, Form::Pairs16];
        if form::fours() == Form::Fours32By8 {
            forms.push(Form::Fours32By8);
        } else {
            wasm_bindgen_test::console_log!("Fours32By8 is not tested: this machine does not have it");
        }
        for form in forms {
            form::choose(form);
            assert_eq!(form_that_runs(), form);
            run();
        }
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
    run();
}

/// The form whose loops run, by what each makes of sums that no activations have.
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
fn form_that_runs() -> Form {
    fn product<B: Block>(ty: PackedType, block: B) -> f32 {
        let matrix = packed(ty, 1, QK, &file(ty, 1, QK, &mut Noise(1), |_| 1.0));
        let (groups, walk, reading) =
            (&[matrix.group_bytes(0)], &super::activations::Walk::new(1, &[]), Reading::InARow);
        let mut dots = [[[0.0; GROUP]]];
        B::dots(&Operands { ty, groups, walk, reading, x: [&[block]] }, &mut dots);
        dots[0][0][0]
    }
    // -8 times the sum wraps where sums have 16 bits.
    let of_7_bits: Block32<Bytes> = Block32 { pairs: [8192, 0], d: 1.0, ..Block32::zeroed() };
    let beside = SignsOfBytes { sum_below: 1, bias: 2, ..SignsOfBytes::zeroed() };
    let of_8_bits = Block32 { beside, d: 1.0, ..Block32::zeroed() };
    match (product(PackedType::Q4_0, of_7_bits), product(PackedType::Q8_0, of_8_bits)) {
        (0.0, 1.0) => Form::Pairs16,
        (-65_536.0, 1.0) => Form::Fours32,
        (-65_536.0, 2.0) => Form::Fours32By8,
        products => panic!("no form has these: {products:?}"),
    }
}

/// Numbers that look random, the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 32) as u8
    }

    /// -1 to 1.
    fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Candle's type, where it has one.
fn candles(ty: PackedType) -> Option<GgmlDType> {
    Some(match ty {
        PackedType::Q4_0 => GgmlDType::Q4_0,
        PackedType::Q4_1 => GgmlDType::Q4_1,
        PackedType::Q5_0 => GgmlDType::Q5_0,
        PackedType::Q5_1 => GgmlDType::Q5_1,
        PackedType::Q8_0 => GgmlDType::Q8_0,
        PackedType::Q2_K => GgmlDType::Q2K,
        PackedType::Q3_K => GgmlDType::Q3K,
        PackedType::Q4_K => GgmlDType::Q4K,
        PackedType::Q5_K => GgmlDType::Q5K,
        PackedType::Q6_K => GgmlDType::Q6K,
        PackedType::F16 => GgmlDType::F16,
        PackedType::BF16 => GgmlDType::BF16,
        PackedType::F32 => GgmlDType::F32,
        PackedType::IQ4_NL | PackedType::IQ4_XS => return None,
    })
}

/// Types whose activations are rounded.
fn quantized() -> impl Iterator<Item = PackedType> {
    PackedType::ALL.into_iter().filter(|ty| !matches!(ty.family(), Family::Float | Family::F16))
}

/// A matrix as in a file: every bit random but those of the f16, which `scale` gives. Weights that are no blocks are
/// whole numbers times `scale`.
fn file(
    ty: PackedType,
    n_out: usize,
    n_in: usize,
    noise: &mut Noise,
    scale: impl Fn(&mut Noise) -> f32,
) -> Vec<u8> {
    let n_blocks = n_out * n_in / ty.block_len();
    let mut bytes: Vec<u8> = (0..n_blocks * ty.file_bytes()).map(|_| noise.byte()).collect();
    for block in bytes.chunks_exact_mut(ty.file_bytes()) {
        for &at in ty.scales() {
            block[at..at + 2].copy_from_slice(&half::f16::from_f32(scale(noise)).to_le_bytes());
        }
        let number = f32::from(noise.byte() as i8) * scale(noise);
        match ty {
            PackedType::F16 => block.copy_from_slice(&half::f16::from_f32(number).to_le_bytes()),
            PackedType::BF16 => block.copy_from_slice(&half::bf16::from_f32(number).to_le_bytes()),
            PackedType::F32 => block.copy_from_slice(&number.to_le_bytes()),
            _ => {}
        }
    }
    bytes
}

fn packed(ty: PackedType, n_out: usize, n_in: usize, file: &[u8]) -> PackedMatrix {
    let mut matrix = PackedMatrix::new(ty, n_out, n_in).expect("room");
    for (row, bytes) in file.chunks_exact(matrix.file_row_bytes()).enumerate() {
        matrix.set_row(row, bytes);
    }
    matrix
}

/// The weights as Candle reads them, or as GGML's `dequantize_row_iq4_nl` and `dequantize_row_iq4_xs` do.
fn reference_weights(ty: PackedType, n_out: usize, n_in: usize, file: &[u8]) -> Vec<f32> {
    let Some(candles) = candles(ty) else {
        return file.chunks_exact(ty.file_bytes()).flat_map(|block| iq4_weights(ty, block)).collect();
    };
    let storage = QStorage::from_data(Cow::Borrowed(file), &Device::Cpu, candles).expect("a matrix");
    let weight = QTensor::new(storage, (n_out, n_in)).and_then(|w| w.dequantize(&Device::Cpu));
    weight.and_then(|w| w.flatten_all()?.to_vec1()).expect("weights")
}

fn iq4_weights(ty: PackedType, block: &[u8]) -> Vec<f32> {
    const VALUES: [f32; 16] = [
        -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0,
        113.0,
    ];
    let d = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
    let of_32 = |d: f32, halves: &[u8]| {
        let halves = halves.iter().map(|byte| byte & 15).chain(halves.iter().map(|byte| byte >> 4));
        halves.map(|half| d * VALUES[usize::from(half)]).collect::<Vec<f32>>()
    };
    if ty == PackedType::IQ4_NL {
        return of_32(d, &block[2..]);
    }
    let upper = u16::from_le_bytes([block[2], block[3]]);
    let by_32 = block[8..].chunks_exact(16).enumerate();
    by_32
        .flat_map(|(i, halves)| {
            let lower = block[4 + i / 2] >> (4 * (i % 2)) & 15;
            let scale = i32::from(lower) | i32::from(upper >> (2 * i) & 3) << 4;
            of_32(d * (scale - 32) as f32, halves)
        })
        .collect()
}

/// The product, by so many items.
fn multiply_by(matrix: &PackedMatrix, x: &[f32], n: usize, reading: Reading) -> Vec<f32> {
    let n_tok = x.len() / matrix.n_in();
    let x = Activations::new(matrix.family(), x, matrix.n_in(), &Pool::single()).expect("activations");
    // A column before and one behind stay as they are; what was in those between does not matter.
    let stride = matrix.n_out() + 2;
    let mut y = vec![f32::NAN; n_tok * stride];
    // SAFETY: nothing else writes to `y`.
    unsafe { matrix.multiply(&x, &Items { range: 0..n, n, reading }, Output::new(&mut y, n_tok), 1) };
    assert!(y.chunks_exact(stride).all(|y| y[0].is_nan() && y[stride - 1].is_nan()));
    y.chunks_exact(stride).flat_map(|y| &y[1..stride - 1]).copied().collect()
}

/// The product; a token alone has the same bits whichever groups go together.
fn multiply(matrix: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    let n_groups = matrix.n_groups();
    let y = multiply_by(matrix, x, n_groups, Reading::AtFour);
    let fewest = if x.len() == matrix.n_in() { n_groups.div_ceil(TOGETHER) } else { n_groups };
    for n_items in fewest..=n_groups {
        for reading in Reading::ALL {
            let same = multiply_by(matrix, x, n_items, reading);
            assert_eq!(same, y, "{n_items} items of {n_groups} groups, {reading:?}");
        }
    }
    y
}

#[test]
fn what_weights_of_8_bits_meet_makes_the_same_products() {
    let all: Vec<i8> = (-127..=127).collect();
    for a in all.chunks(QK) {
        let a: [i8; QK] = std::array::from_fn(|i| a[i % a.len()]);
        let chunks: [Bytes; QK / 4] = std::array::from_fn(|i| Bytes::new(a.as_chunks().0[i]));
        let mut signs = SignsOfBytes::zeroed();
        Bytes::sign(&chunks, a.iter().map(|&a| i16::from(a)).sum(), &mut signs);
        for &w in &all {
            let q = w as u8 ^ 0x80;
            let expected: i32 = a.iter().map(|&a| i32::from(a) * i32::from(w)).sum();
            let turned = |(&a, &turn): (&u8, &u8)| i32::from(a) * i32::from((q ^ turn) as i8);
            let by_7: i32 = signs.magnitudes.iter().zip(&signs.turns).map(turned).sum();
            assert_eq!(signs.sum_below + by_7, expected, "{w}");
            let by_8: i32 = a.iter().map(|&a| i32::from(a) * i32::from(q)).sum();
            assert_eq!(signs.bias + by_8, expected, "{w}");
        }
    }
}

#[test]
fn a_token_alone_goes_over_groups_together_where_threads_have_enough_of_them() {
    let n_items = |n_out: usize, n_tok: usize, n_threads: usize| {
        PackedMatrix::new(PackedType::Q4_0, n_out, QK).expect("a matrix").n_items(n_tok, n_threads)
    };
    assert_eq!(n_items(72 * GROUP, 1, 1), 18);
    assert_eq!(n_items(72 * GROUP, 1, 2), 18);
    assert_eq!(n_items(72 * GROUP, 1, 8), 36);
    assert_eq!(n_items(72 * GROUP, 1, 64), 72);
    assert_eq!(n_items(23 * GROUP - 1, 1, 2), 12);
    assert_eq!(n_items(1, 1, 1), 1);
    assert_eq!(n_items(72 * GROUP, 2, 1), 72);
}

/// Rows at the seams of quads and groups; columns of one, three and five blocks, or any; tokens at the seams of tiles.
/// Then tokens that are whole tiles, groups over several fours of them, and columns at the seams of several tokens' turns.
fn shapes(ty: PackedType) -> impl Iterator<Item = (usize, usize, usize)> {
    let columns = match ty.family() {
        Family::Float | Family::F16 => [1, 2, 37],
        _ => [1, 3, 5].map(|n_blocks| n_blocks * ty.block_len()),
    };
    let whole_tiles = [5, 8, 12, 16, 32].map(|n_tok| (9, columns[1], n_tok));
    let many_groups = [(65, 1), (72, 1), (81, 1), (100, 1), (72, 4), (100, 5)];
    let many_groups = many_groups.map(|(n_out, n_tok)| (n_out, columns[1], n_tok));
    let seams = match ty.family() {
        Family::Float | Family::F16 => &[255, 256, 257, 513][..],
        _ => &[],
    };
    let seams = seams.iter().flat_map(|&n_in| [(17, n_in, 1), (9, n_in, 4)]);
    let products = [1, 3, 4, 5, 7, 8, 9, 12, 17, 25, 37].into_iter().flat_map(move |n_out| {
        columns.into_iter().flat_map(move |n_in| {
            [1, 2, 3, 4, 6, 7, 17, 27].into_iter().map(move |n_tok| (n_out, n_in, n_tok))
        })
    });
    products.chain(whole_tiles).chain(many_groups).chain(seams)
}

/// With scales of 1 and whole activations every step of a sum is exact but for one rounding to f32, which is the same
/// everywhere: all bits are equal.
#[test]
fn products_equal_the_oracles_bit_by_bit() {
    each_form(|| {
        let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
        for ty in PackedType::ALL {
            for (n_out, n_in, n_tok) in shapes(ty) {
                let file = file(ty, n_out, n_in, &mut noise, |_| 1.0);
                let matrix = packed(ty, n_out, n_in, &file);
                let mut x: Vec<f32> =
                    (0..n_tok * n_in).map(|_| f32::from(noise.byte() as i8).max(-127.0)).collect();
                x.iter_mut().step_by(QK).for_each(|x| *x = 127.0);
                let y = multiply(&matrix, &x);
                let expected = oracle(&matrix, &x);
                for (i, (y, expected)) in y.iter().zip(&expected).enumerate() {
                    assert_eq!(
                        y.to_bits(),
                        expected.to_bits(),
                        "{ty:?} {n_out}x{n_in}, {n_tok}: {i}: {y} {expected}"
                    );
                }
            }
        }
    });
}

/// The largest numbers of every type: no sum may leave the lane that it is made in.
#[test]
fn the_largest_numbers_do_not_overflow() {
    each_form(|| {
        for ty in quantized() {
            let (n_out, n_in, n_tok) = (8, 2 * ty.block_len(), 4);
            for bits in [0x00, 0xFF, 0x7F, 0x81] {
                let mut file = vec![bits; n_out * n_in / ty.block_len() * ty.file_bytes()];
                for block in file.chunks_exact_mut(ty.file_bytes()) {
                    for &at in ty.scales() {
                        block[at..at + 2].copy_from_slice(&half::f16::ONE.to_le_bytes());
                    }
                }
                let matrix = packed(ty, n_out, n_in, &file);
                for sign in [1.0, -1.0] {
                    let x = vec![127.0 * sign; n_tok * n_in];
                    assert_eq!(multiply(&matrix, &x), oracle(&matrix, &x), "{ty:?}, all bytes {bits:#x}");
                }
            }
        }
    });
}

/// One that is lost would leave an answer that looks like one.
#[test]
fn an_activation_that_is_no_number_leaves_no_product_of_its_token_one() {
    each_form(|| {
        let mut noise = Noise(0x2545_F491_4F6C_DD1D);
        for ty in PackedType::ALL {
            let (n_out, n_in, n_tok) = (9, 2 * ty.block_len(), 5);
            let file = file(ty, n_out, n_in, &mut noise, |noise| noise.real().abs() + 0.1);
            let matrix = packed(ty, n_out, n_in, &file);
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for k in [0, n_in / 2, n_in - 1] {
                    let mut x: Vec<f32> = (0..n_tok * n_in).map(|_| noise.real()).collect();
                    x[3 * n_in + k] = bad;
                    let y = multiply_by(&matrix, &x, matrix.n_groups(), Reading::InARow);
                    for (i, y) in y.iter().enumerate() {
                        assert_eq!(y.is_finite(), i / n_out != 3, "{ty:?}, {bad} at {k}: {i}: {y}");
                    }
                }
            }
        }
    });
}

/// What F16 and its activations are scaled by leaves their digits as they are.
#[test]
fn products_with_f16_scale_as_their_activations() {
    let mut noise = Noise(0x2545_F491_4F6C_DD1D);
    let (ty, n_out, n_in) = (PackedType::F16, 19, 65);
    let file = file(ty, n_out, n_in, &mut noise, |noise| noise.real() * 0.01);
    let matrix = packed(ty, n_out, n_in, &file);
    for n_tok in [1, 4] {
        let x: Vec<f32> = (0..n_tok * n_in).map(|_| noise.real()).collect();
        let y = multiply(&matrix, &x);
        for scale in [-40, 40, 64].map(|exponent| 2_f32.powi(exponent)) {
            let scaled: Vec<f32> = x.iter().map(|x| x * scale).collect();
            let expected: Vec<f32> = y.iter().map(|y| y * scale).collect();
            assert_eq!(multiply(&matrix, &scaled), expected, "by {scale}");
        }
    }
}

/// Kept weights are told apart by the version alone.
#[test]
fn a_layout_has_its_version() {
    const VERSION: u32 = 5;
    const HASHES: [(PackedType, u64); PackedType::ALL.len()] = [
        (PackedType::Q4_0, 0xE9C5_E45B_EBDD_811A),
        (PackedType::Q4_1, 0xF4C2_54B2_594D_4413),
        (PackedType::Q5_0, 0xFBA9_4F3A_5976_1183),
        (PackedType::Q5_1, 0x5560_33E7_C261_7FB3),
        (PackedType::Q8_0, 0x87BD_37CE_C0C2_5C1B),
        (PackedType::IQ4_NL, 0xE9C5_E45B_EBDD_811A),
        (PackedType::Q2_K, 0xAE2C_63C2_1A19_1F96),
        (PackedType::Q3_K, 0x46DA_22EA_0D3C_AD74),
        (PackedType::Q4_K, 0x9568_E8C5_8798_ED01),
        (PackedType::Q5_K, 0xD1A3_96BC_BC6B_0A1C),
        (PackedType::Q6_K, 0xF46F_500C_9201_2462),
        (PackedType::IQ4_XS, 0xB1A8_4F45_8A8D_4F26),
        (PackedType::F16, 0x520A_D44F_59B2_7365),
        (PackedType::BF16, 0x1120_2D16_0372_5690),
        (PackedType::F32, 0xCC3B_B453_2834_CE9C),
    ];
    assert_eq!(LAYOUT_VERSION, VERSION);
    for (ty, expected) in HASHES {
        let mut noise = Noise(0xA076_1D64_78BD_642F);
        let (n_out, n_in) = (11, 2 * ty.block_len());
        let file = file(ty, n_out, n_in, &mut noise, |noise| noise.real());
        let mut hash = 0xCBF2_9CE4_8422_2325_u64; // FNV-1a
        for &byte in packed(ty, n_out, n_in, &file).data() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        assert!(
            hash == expected,
            "{ty:?}: a new layout of a type that there was needs a new version; its hash is {hash:#018X}"
        );
    }
}

/// With any scales, sums differ by their roundings: fused or not, each within half a unit of the largest partial sum.
#[test]
fn products_with_any_scale_come_near_the_oracles() {
    each_form(|| {
        let mut noise = Noise(0xD1B5_4A32_D192_ED03);
        for ty in PackedType::ALL {
            for (n_out, n_in, n_tok) in shapes(ty) {
                let file = file(ty, n_out, n_in, &mut noise, |noise| noise.real() * 0.01);
                let matrix = packed(ty, n_out, n_in, &file);
                let x: Vec<f32> = (0..n_tok * n_in).map(|_| noise.real() * 3.0).collect();
                let (y, expected) = (multiply(&matrix, &x), oracle(&matrix, &x));
                let alone: Vec<f32> = x.chunks(n_in).flat_map(|x| multiply(&matrix, x)).collect();
                assert_eq!(y, alone, "{ty:?}: a token's products are its own");
                let weights = reference_weights(ty, n_out, n_in, &file);
                for (i, (y, expected)) in y.iter().zip(&expected).enumerate() {
                    let (tok, row) = (i / n_out, i % n_out);
                    let (x, w) = (&x[tok * n_in..][..n_in], &weights[row * n_in..][..n_in]);
                    let size: f32 = x.iter().zip(w).map(|(x, w)| (x * w).abs()).sum();
                    let mins = 8.0; // the parts of a sum, of which mins are one, may be larger than the sum
                    assert!(
                        (y - expected).abs() <= mins * size * f32::EPSILON,
                        "{ty:?}: {y} {expected} {size}"
                    );
                }
            }
        }
    });
}

/// Against weights that others unpack: what is left is the rounding of activations to 8 bits, half a step each.
#[test]
fn the_oracle_equals_the_reference_weights() {
    let mut noise = Noise(0x2545_F491_4F6C_DD1D);
    for ty in PackedType::ALL {
        let (n_out, n_in) = (13, 2 * ty.block_len());
        let file = file(ty, n_out, n_in, &mut noise, |noise| noise.real() * 0.1);
        let matrix = packed(ty, n_out, n_in, &file);
        let weights = reference_weights(ty, n_out, n_in, &file);
        for row in 0..n_out {
            let expected = &weights[row * n_in..][..n_in];
            let largest = portable::max_abs(expected);
            for (w, expected) in matrix.row(row).iter().zip(expected) {
                assert!(
                    (w - expected).abs() <= 4.0 * largest * f32::EPSILON,
                    "{ty:?} row {row}: {w} {expected}"
                );
            }
        }
        let x: Vec<f32> = (0..3 * n_in).map(|_| noise.real()).collect();
        for (i, y) in oracle(&matrix, &x).into_iter().enumerate() {
            let (x, w) = (&x[i / n_out * n_in..][..n_in], &weights[i % n_out * n_in..][..n_in]);
            let exact: f32 = x.iter().zip(w).map(|(x, w)| x * w).sum();
            let half_steps: f32 = w.iter().map(|w| w.abs() * 0.5 / 127.0).sum();
            assert!(
                (y - exact).abs() <= half_steps + exact.abs() * 1e-5,
                "{ty:?}: {y} {exact}, {half_steps}"
            );
        }
    }
}

#[test]
fn every_type_can_be_measured() {
    let time = web_time::Duration::from_millis(1);
    for ty in super::types() {
        let speed = super::measure(ty, 1, time).expect("a speed");
        assert!(speed > 0.0 && speed.is_finite(), "{}: {speed}", ty.name());
    }
    let error = super::measure(TensorType::IQ1_S, 1, time).expect_err("no kernels");
    assert_eq!(error.detail(), "there are no kernels for type IQ1_S");
    assert!(super::measure(TensorType::Q4_0, 0, time).is_err());
}

/// The product by the portable loops, whatever runs here.
fn oracle(matrix: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    let (n_out, n_in, ty) = (matrix.n_out(), matrix.n_in(), matrix.ty());
    let mut y = Vec::new();
    for x in x.chunks_exact(n_in) {
        let prepared = Activations::new(matrix.family(), x, n_in, &Pool::single()).expect("activations");
        let groups = (0..matrix.n_groups()).flat_map(|group| {
            let group = matrix.group_bytes(group);
            let (groups, mut dots) = (&[group], [[[0.0; GROUP]]]);
            match &prepared {
                // Those prepared for F16 may be scaled.
                Activations::Float(_) | Activations::F16(_) => {
                    portable::dots_float(ty, groups, [x], &mut dots)
                }
                Activations::By32(x) => dots32(x, ty, groups, &mut dots),
                Activations::SignedBy32(x) => dots32(x, ty, groups, &mut dots),
                Activations::By256(x) => dots256(x, ty, groups, &mut dots),
                Activations::SignedBy256(x) => dots256(x, ty, groups, &mut dots),
            }
            dots[0][0]
        });
        y.extend(groups.take(n_out));
    }
    y
}

/// The portable loop's products of the only token.
fn dots32<S: Copy>(
    x: &Rounded<Block32<isa::Chunk, S>>,
    ty: PackedType,
    groups: &[&[u8]],
    dots: &mut [Dots<1>],
) where
    Block32<isa::Chunk, S>: Block,
{
    let (tile, _) = x.tile_of(0);
    let blocks = tile.token(0).iter().map(|&Block32 { chunks, pairs, d, sum, .. }| Block32 {
        chunks: chunks.map(|chunk| Chunk::new(chunk.get())),
        pairs,
        d,
        sum,
        beside: (),
    });
    let blocks: Vec<_> = blocks.collect();
    portable::dots32(
        &Operands { ty, groups, walk: &tile.walk, reading: Reading::InARow, x: [&blocks] },
        dots,
    );
}

fn dots256<S: Copy>(
    x: &Rounded<Block256<isa::Chunk, S>>,
    ty: PackedType,
    groups: &[&[u8]],
    dots: &mut [Dots<1>],
) where
    Block256<isa::Chunk, S>: Block,
{
    let (tile, _) = x.tile_of(0);
    let blocks = tile.token(0).iter().map(|&Block256 { chunks, pairs, sums, d, .. }| Block256 {
        chunks: chunks.map(|chunk| Chunk::new(chunk.get())),
        pairs,
        sums,
        d,
        beside: [(); QK_K / QK],
    });
    let blocks: Vec<_> = blocks.collect();
    portable::dots256(
        &Operands { ty, groups, walk: &tile.walk, reading: Reading::InARow, x: [&blocks] },
        dots,
    );
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn reals(n: usize, size: f32, noise: &mut Noise) -> Vec<f32> {
    (0..n).map(|_| noise.real() * size).collect()
}
