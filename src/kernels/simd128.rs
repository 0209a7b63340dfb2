//! The loops in 128-bit SIMD, for both wasm modules.

use super::{BlockQ4_1, BlockQ16, f16_to_f32};
use core::arch::wasm32::*;

/// As [`portable::vec_dot_q4_1_q16`](super::portable::vec_dot_q4_1_q16). 16-bit products by pairs: a block of 32
/// weights takes 11 instructions to unpack, shared by all of `xs`, and 15 for each of `xs`.
#[inline(never)]
pub(crate) fn vec_dot_q4_1_q16<const N: usize>(row: &[BlockQ4_1], xs: [&[BlockQ16]; N]) -> [f32; N] {
    let xs = xs.map(|x| &x[..row.len()]);
    let mut lanes = [f32x4_splat(0.0); N];
    let mut mins = [0.0_f32; N];
    for (i, w) in row.iter().enumerate() {
        let (d, m) = (f16_to_f32(w.d), f16_to_f32(w.m));
        // SAFETY: `qs` is 16 bytes long, and a v128 load needs no alignment.
        let q = unsafe { v128_load(w.qs.as_ptr().cast()) };
        let low = v128_and(q, u8x16_splat(0x0F));
        let high = v128_and(u16x8_shr(q, 4), u8x16_splat(0x0F));
        let q_w = [
            u16x8_extend_low_u8x16(low),
            u16x8_extend_high_u8x16(low),
            u16x8_extend_low_u8x16(high),
            u16x8_extend_high_u8x16(high),
        ];
        for n in 0..N {
            let x = &xs[n][i];
            let q_x = x.qs.as_ptr();
            // SAFETY: `qs` is 32 numbers of 16 bits long; `part` is 0 to 3.
            let dot =
                |part: usize| unsafe { i32x4_dot_i16x8(q_w[part], v128_load(q_x.add(8 * part).cast())) };
            let sums = i32x4_add(i32x4_add(dot(0), dot(1)), i32x4_add(dot(2), dot(3)));
            let scaled = f32x4_mul(f32x4_convert_i32x4(sums), f32x4_splat(d * x.d));
            lanes[n] = f32x4_add(lanes[n], scaled);
            mins[n] += m * x.sum;
        }
    }
    std::array::from_fn(|n| {
        let lane = lanes[n];
        let (a, b) = (f32x4_extract_lane::<0>(lane), f32x4_extract_lane::<1>(lane));
        let (c, d) = (f32x4_extract_lane::<2>(lane), f32x4_extract_lane::<3>(lane));
        (a + b) + (c + d) + mins[n]
    })
}
