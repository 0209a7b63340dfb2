//! The loops in plain Rust: the oracle of the other files, and what runs natively.

use super::{BlockQ4_1, BlockQ16, QK4_1, f16_to_f32};

/// The dot products of one `row` of weights with each of `xs`, all of one length:
/// `sum over blocks of d_w · d_x · sum(q_w · q_x) + m_w · sum(x)`.
///
/// Products are summed in four lanes, as 128-bit SIMD does it, so that every file gives the same bits.
#[inline(never)]
pub(crate) fn vec_dot_q4_1_q16<const N: usize>(row: &[BlockQ4_1], xs: [&[BlockQ16]; N]) -> [f32; N] {
    let mut lanes = [[0.0_f32; 4]; N];
    let mut mins = [0.0_f32; N];
    for (i, w) in row.iter().enumerate() {
        let (d, m) = (f16_to_f32(w.d), f16_to_f32(w.m));
        let mut q_w = [0_i32; QK4_1];
        for (k, q) in w.qs.iter().enumerate() {
            q_w[k] = i32::from(q & 0x0F);
            q_w[k + QK4_1 / 2] = i32::from(q >> 4);
        }
        for n in 0..N {
            let x = &xs[n][i];
            let mut sums = [0_i32; 4];
            // Lane l takes the pairs 2l and 2l + 1 of every eight.
            for (q_w, q_x) in q_w.chunks_exact(8).zip(x.qs.chunks_exact(8)) {
                for l in 0..4 {
                    sums[l] +=
                        q_w[2 * l] * i32::from(q_x[2 * l]) + q_w[2 * l + 1] * i32::from(q_x[2 * l + 1]);
                }
            }
            for l in 0..4 {
                lanes[n][l] += sums[l] as f32 * (d * x.d);
            }
            mins[n] += m * x.sum;
        }
    }
    std::array::from_fn(|n| {
        let [a, b, c, d] = lanes[n];
        (a + b) + (c + d) + mins[n]
    })
}
