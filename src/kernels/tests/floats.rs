//! Norms, rotations, gates, f16, attention, and keys and values as they are held.

use super::{Noise, assert_kernels, bits, reals};
use crate::kernels::{Attend, KV_BLOCK, KvType, are_below, isa, portable};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn assert_near(what: &str, y: &[f32], expected: &[f32], bound: f32) {
    for (i, (y, expected)) in y.iter().zip(expected).enumerate() {
        // -infinity less itself is no number.
        let near = y == expected || (y - expected).abs() <= bound;
        assert!(near, "{what}, {i}: {y}, expected {expected} within {bound}");
    }
}

/// Sums of n squares in another order: within n roundings.
#[test]
fn norms_come_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0x8538_ECB5_BD45_6EA3);
    for n in [1, 3, 4, 5, 8, 575, 576, 577] {
        let (x, weight) = (reals(n, 5.0, &mut noise), reals(n, 2.0, &mut noise));
        let (mut y, mut expected) = (vec![0.0; n], vec![0.0; n]);
        isa::rms_norm(&x, &weight, 1e-5, &mut y);
        portable::rms_norm(&x, &weight, 1e-5, &mut expected);
        assert_near("norm", &y, &expected, n as f32 * f32::EPSILON * portable::max_abs(&expected));
    }
}

/// Sums of 1024 numbers in f32, four by four: within 256 roundings and those of an e^x.
#[test]
fn spreads_come_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0x1F83_D9AB_FB41_BD6B);
    for n in [1, 3, 4, 5, 8, 1023, 1024, 1025, 5000] {
        for size in [0.1, 10.0, 200.0] {
            let mut x = reals(n, size, &mut noise);
            for largest_at in [0, n - 1] {
                x[largest_at] = 1.5 * size;
                let (got, expected) = (isa::spread(&x), portable::spread(&x));
                let bound = 260.0 * f64::from(f32::EPSILON);
                assert_eq!(got.max, expected.max, "the largest of {n}");
                for (got, expected) in [(got.sum, expected.sum), (got.weighted, expected.weighted)] {
                    assert!((got - expected).abs() <= bound * expected.abs(), "{n}: {got}, {expected}");
                }
            }
        }
    }
}

#[test]
fn additions_equal_the_oracles_bit_by_bit() {
    assert_kernels();
    let mut noise = Noise(0x9B05_688C_2B3E_6C1F);
    for n in (0..=9).chain([31, 32, 33, 576]) {
        let (y, x) = (reals(n, 5.0, &mut noise), reals(n, 2.0, &mut noise));
        let expected: Vec<f32> = y.iter().zip(&x).map(|(y, x)| y + x).collect();
        for add in [isa::add, portable::add] {
            let mut sums = y.clone();
            add(&mut sums, &x);
            assert_eq!(bits(&sums), bits(&expected), "{n}");
        }
    }
}

#[test]
fn rotations_come_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0x6C62_272E_07BB_0142);
    for n in [0, 2, 4, 6, 64, 126] {
        let (mut x, cos, sin) =
            (reals(n, 5.0, &mut noise), reals(n, 1.0, &mut noise), reals(n, 1.0, &mut noise));
        let mut expected = x.clone();
        isa::rotate(&mut x, &cos, &sin);
        portable::rotate(&mut expected, &cos, &sin);
        assert_near("rotation", &x, &expected, 2.0 * f32::EPSILON * 10.0);
    }
}

/// An e^x of 2 units of the last place, and four operations.
#[test]
fn gates_come_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0xC2B2_AE3D_27D4_EB4F);
    for n in [1, 3, 4, 5, 8, 1536, 1537] {
        for size in [0.1, 10.0, 200.0] {
            let (gate, up) = (reals(n, size, &mut noise), reals(n, 3.0, &mut noise));
            let (mut y, mut expected) = (vec![0.0; n], vec![0.0; n]);
            isa::silu_mul(&gate, &up, &mut y);
            portable::silu_mul(&gate, &up, &mut expected);
            for (y, expected) in y.iter().zip(&expected) {
                assert!(
                    (y - expected).abs() <= 8.0 * f32::EPSILON * expected.abs() + 1e-30,
                    "{y} {expected}"
                );
            }
        }
    }
}

#[test]
fn f16_equal_halfs_but_for_subnormal_and_infinite() {
    assert_kernels();
    let mut noise = Noise(0x1656_67B1_9E37_79F9);
    for n in [1, 3, 4, 5, 4096] {
        let mut x: Vec<f32> = (0..n).map(|_| f32::from_bits(noise.next() as u32)).collect();
        x.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 65_519.99);
        x[0] = 1.0 + 0.5 * 2.0_f32.powi(-10); // halfway, to even
        let mut y = vec![0; 2 * n];
        isa::to_f16(&x, &mut y);
        for (x, &y) in x.iter().zip(y.as_chunks().0) {
            let expected = match half::f16::from_f32(x.clamp(-65_504.0, 65_504.0)) {
                _ if x.abs() < 2.0_f32.powi(-14) => half::f16::from_f32(0.0_f32.copysign(*x)),
                expected => expected,
            };
            assert_eq!(u16::from_le_bytes(y), expected.to_bits(), "{x}");
        }
    }
}

#[test]
fn one_number_that_is_none_or_too_large_is_found_wherever_it_is() {
    assert_kernels();
    for n in [0, 1, 3, 4, 5, 33] {
        let x = vec![f32::MAX; n];
        assert!(are_below(&x, f32::INFINITY));
        for at in 0..n {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = x.clone();
                x[at] = bad;
                assert!(!are_below(&x, f32::INFINITY), "{bad} at {at} of {n}");
            }
            let mut x = vec![1.0; n];
            x[at] = -2.0;
            assert!(are_below(&x, 2.5) && !are_below(&x, 2.0), "at {at} of {n}");
        }
    }
}

/// A block's keys or values.
fn kv(ty: KvType, width: usize, size: f32, noise: &mut Noise) -> Vec<u8> {
    let row_bytes = ty.row_bytes(width);
    let mut rows = vec![0; KV_BLOCK * row_bytes];
    for row in rows.chunks_exact_mut(row_bytes) {
        ty.pack(&reals(width, size, noise), row);
    }
    rows
}

fn scaled(q: &[f32], ty: KvType) -> Vec<f32> {
    q.iter().map(|q| q * isa::query_scale(ty)).collect()
}

/// Scores are within the roundings of `width` products, values within those of a weighted mean. Tokens at the seams of
/// fours of queries and of tiles, and at the end of a block.
#[test]
fn attention_comes_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0x27D4_EB2F_1656_67C5);
    let n_seen = &[1, 2, 31, 32, 33, 63, 64, 65, 97, 129, 250, 256][..];
    let n_q = &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (9, 1), (1, 9), (3, 8), (4, 2), (3, 2)][..];
    let narrow = [16, 48, 64, 112].map(|width| (width, 0.5, n_seen, n_q));
    // Scores as large as those of 64 numbers: their roundings are in proportion.
    let size = |width: usize| 4.0 / (width as f32).sqrt();
    let (n_seen, n_q) = (&[1, 33, 249][..], &[(1, 1), (3, 1), (3, 8), (4, 2)][..]);
    let wide = [80, 96, 128, 256].map(|width| (width, size(width), n_seen, n_q));
    let widths = narrow.into_iter().chain(wide);
    for (ty, (width, size, n_seen, n_q)) in
        KvType::ALL.into_iter().flat_map(|ty| widths.clone().map(move |of| (ty, of)))
    {
        for &n_seen in n_seen {
            for &(n_group, n_tok) in n_q {
                let q = reals(n_group * n_tok * width, size, &mut noise);
                let (k, v) = (kv(ty, width, 4.0, &mut noise), kv(ty, width, 1.0, &mut noise));
                let attend = Attend { q: &q, n_group, n_seen, begin: 0, ty, k: &k, v: &v, width };
                let what = format!("{ty}: {n_tok} x {n_group} of {width}, {n_seen}");
                let (mut y, mut expected) = (vec![0.0; q.len()], vec![0.0; q.len()]);
                let (mut sums, mut expected_sums) = (vec![0.0; q.len() / width], vec![0.0; q.len() / width]);
                portable::attend(&attend, &mut expected, &mut expected_sums);
                isa::attend(&Attend { q: &scaled(&q, ty), ..attend }, &mut y, &mut sums);
                assert_near(&what, &y, &expected, 2e-5);
                assert_near(&what, &sums, &expected_sums, 2e-5);
            }
        }
    }
}

/// Tokens whose last position lies before a later block, in it or behind it. To the oracle each of them is one alone that sees
/// as much of a first block.
#[test]
fn attention_to_a_later_block_comes_near_the_oracles() {
    assert_kernels();
    let mut noise = Noise(0x5BE0_CD19_137E_2179);
    let width = 48;
    for (ty, begin) in
        KvType::ALL.into_iter().flat_map(|ty| [KV_BLOCK, 2 * KV_BLOCK].map(|begin| (ty, begin)))
    {
        for (n_group, n_tok) in [(1, 1), (3, 8), (1, 9), (4, 2)] {
            // How many positions from `begin` on the first token sees; the last one sees one of them at least.
            let from_begin = [2 - n_tok as isize, -3, -1, 0, 1, 31, 249, 254, 255, 256, 257, 300];
            for n in from_begin.into_iter().filter(|n| n + n_tok as isize >= 2) {
                let n_seen = begin.checked_add_signed(n).expect("some");
                let q = reals(n_group * n_tok * width, 0.5, &mut noise);
                let (k, v) = (kv(ty, width, 4.0, &mut noise), kv(ty, width, 1.0, &mut noise));
                let attend = Attend { q: &q, n_group, n_seen, begin, ty, k: &k, v: &v, width };
                let what = format!("{ty}: {n_tok} x {n_group}, {n_seen} from {begin} on");
                let (mut y, mut expected) = (vec![1.0; q.len()], vec![1.0; q.len()]);
                let (mut sums, mut expected_sums) = (vec![1.0; q.len() / width], vec![1.0; q.len() / width]);
                portable::attend(&attend, &mut expected, &mut expected_sums);
                isa::attend(&Attend { q: &scaled(&q, ty), ..attend }, &mut y, &mut sums);
                assert_near(&what, &y, &expected, 2e-5);
                assert_near(&what, &sums, &expected_sums, 2e-5);
                for (tok, q) in q.chunks(n_group * width).enumerate() {
                    let (mut alone, mut sums_alone) = (vec![0.0; q.len()], vec![f32::NEG_INFINITY; n_group]);
                    if let n_seen @ 1.. = (n_seen + tok).saturating_sub(begin).min(KV_BLOCK) {
                        let first = Attend { q, n_seen, begin: 0, ..attend };
                        portable::attend(&first, &mut alone, &mut sums_alone);
                    }
                    assert_eq!(alone, expected[tok * q.len()..][..q.len()], "{what}, token {tok}");
                    assert_eq!(sums_alone, expected_sums[tok * n_group..][..n_group], "{what}, token {tok}");
                }
            }
        }
    }
}

/// However many go together, a token's bits are the same.
#[test]
fn attention_of_tokens_together_equals_that_of_each() {
    assert_kernels();
    let mut noise = Noise(0x1234_5678_9ABC_DEF1);
    let (width, n_group, n_tok, n_seen) = (64, 3, 8, 60);
    for ty in KvType::ALL {
        let q = scaled(&reals(n_tok * n_group * width, 0.5, &mut noise), ty);
        let (k, v) = (kv(ty, width, 2.0, &mut noise), kv(ty, width, 2.0, &mut noise));
        let attend = Attend { q: &q, n_group, n_seen, begin: 0, ty, k: &k, v: &v, width };
        let (mut together, mut sums) = (vec![0.0; q.len()], vec![0.0; n_tok * n_group]);
        isa::attend(&attend, &mut together, &mut sums);
        let tokens = q.chunks(n_group * width).zip(together.chunks(n_group * width));
        for (tok, (q, together)) in tokens.enumerate() {
            let (mut alone, mut sums_alone) = (vec![0.0; q.len()], vec![0.0; n_group]);
            isa::attend(&Attend { q, n_seen: n_seen + tok, ..attend }, &mut alone, &mut sums_alone);
            assert_eq!(alone, together, "{ty}, token {tok}");
            assert_eq!(sums_alone, sums[tok * n_group..][..n_group], "{ty}, token {tok}");
        }
    }
}

/// Of positions that come after all that a token sees it has seen nothing, whatever others see of them.
#[test]
fn attention_to_what_is_not_seen_is_nothing() {
    assert_kernels();
    let mut noise = Noise(0xD6E8_FEB8_6659_FD93);
    let (width, n_group, n_tok, begin) = (32, 3, 9, 128);
    for ty in KvType::ALL {
        let q = scaled(&reals(n_tok * n_group * width, 0.5, &mut noise), ty);
        let (k, v) = (kv(ty, width, 2.0, &mut noise), kv(ty, width, 2.0, &mut noise));
        // The first four tokens see what is before, the fifth one position of these more.
        let attend = Attend { q: &q, n_group, n_seen: begin - 3, begin, ty, k: &k, v: &v, width };
        let (mut y, mut sums) = (vec![1.0; q.len()], vec![1.0; n_tok * n_group]);
        isa::attend(&attend, &mut y, &mut sums);
        let unseen = 4 * n_group;
        assert!(y[..unseen * width].iter().all(|&y| y == 0.0), "{ty}");
        assert!(sums[..unseen].iter().all(|&sum| sum == f32::NEG_INFINITY), "{ty}");
        assert!(y[unseen * width..].iter().chain(&sums[unseen..]).all(|y| y.is_finite()), "{ty}");
        assert!(y[unseen * width..].chunks(width).all(|y| y.iter().any(|&y| y != 0.0)), "{ty}");
    }
}

/// Packed and unpacked, a number is as near as its type has it: f16 half a unit of 11 bits, or 0 below what is normal;
/// q8_0 half a step of a scale, which is a 127th of the largest of its 32 and up to a 128th of that more.
#[test]
fn keys_and_values_come_back_as_near_as_their_type_says() {
    assert_kernels();
    let mut noise = Noise(0x94D0_49BB_1331_11EB);
    for width in [16, 32, 48, 64, 112] {
        for size in [0.0, 1e-30, 0.01, 1.0, 1e4] {
            let x = reals(width, size, &mut noise);
            for ty in KvType::ALL {
                let (mut row, mut back) = (vec![0; ty.row_bytes(width)], vec![0.0; width]);
                ty.pack(&x, &mut row);
                ty.unpack(width, &row, &mut back);
                assert!(ty.are_finite(width, &row));
                for (i, (x32, back32)) in x.chunks(32).zip(back.chunks(32)).enumerate() {
                    let largest = x32.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                    for (x, back) in x32.iter().zip(back32) {
                        let bound = match ty {
                            KvType::F16 => {
                                (x.abs() / 2048.0).max(if x.abs() < 6.2e-5 { x.abs() } else { 0.0 })
                            }
                            KvType::F32 => 0.0,
                            KvType::Q8_0 => largest / 254.0 * (1.0 + 1.0 / 128.0) + largest * f32::EPSILON,
                        };
                        assert!((x - back).abs() <= bound, "{ty} of {width}, block {i}: {x} became {back}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_is_found_in_each_type() {
    for ty in KvType::ALL {
        let mut row = vec![0; 2 * ty.row_bytes(64)];
        assert!(ty.are_finite(64, &row));
        // The last two bytes are a half, the upper half of a number, or a scale.
        for bits in [0x7F80_u16, 0xFF80, 0x7FC0] {
            let bits = if ty == KvType::F16 { bits & 0xFC00 } else { bits };
            let at = row.len() - 2;
            row[at..].copy_from_slice(&bits.to_le_bytes());
            assert!(!ty.are_finite(64, &row), "{ty} {bits:#x}");
        }
    }
}

#[test]
fn f16_conversion_equals_halfs_for_every_finite_number() {
    for bits in (0..=u16::MAX).filter(|bits| bits & 0x7C00 != 0x7C00) {
        let expected = half::f16::from_bits(bits).to_f32().to_bits();
        assert_eq!(portable::f16_to_f32(bits).to_bits(), expected, "{bits:#06x}");
    }
}
