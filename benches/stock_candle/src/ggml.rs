//! llama.cpp's loop for Q4_0 on wasm as it stood in 2026 (`ggml_vec_dot_q4_0_q8_0`), to compare kernels with: a row at a
//! time, both operands widened to 16 bits, scales from a table. Only its speed is of interest; numbers are made up.

use core::arch::wasm32::*;
use wasm_bindgen::prelude::*;

const N_IN: usize = 2048;
const N_OUT: usize = 256;

/// 32 weights: a scale of 16 bits, then 16 bytes of two halves.
#[repr(C)]
#[derive(Clone, Copy)]
struct Q4_0 {
    d: u16,
    halves: [u8; 16],
}

/// 32 activations.
#[repr(C)]
#[derive(Clone, Copy)]
struct Q8_0 {
    d: u16,
    bytes: [i8; 32],
}

/// A matrix `(256, 2048)` and one token.
#[wasm_bindgen]
pub struct GgmlLoop {
    weights: Vec<Q4_0>,
    x: Vec<Q8_0>,
    f16_table: Vec<f32>,
    y: Vec<f32>,
}

#[wasm_bindgen]
impl GgmlLoop {
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            weights: vec![Q4_0 { d: 0x2C2C, halves: [0x5A; 16] }; N_OUT * N_IN / 32],
            x: vec![Q8_0 { d: 0x2C2C, bytes: [3; 32] }; N_IN / 32],
            f16_table: vec![0.065; 1 << 16],
            y: vec![0.0; N_OUT],
        }
    }

    /// Multiplies, and tells how many products that were.
    pub fn run(&mut self) -> f64 {
        for (y, row) in self.y.iter_mut().zip(self.weights.chunks_exact(N_IN / 32)) {
            *y = dot(row, &self.x, &self.f16_table);
        }
        (N_OUT * N_IN) as f64
    }
}

#[inline(never)]
fn dot(row: &[Q4_0], x: &[Q8_0], f16_table: &[f32]) -> f32 {
    let mut sums = f32x4_splat(0.0);
    for (w, x) in row.iter().zip(x) {
        // SAFETY: 16 halves are a vector, 32 activations are two.
        let (halves, x_low, x_high) = unsafe {
            let bytes = x.bytes.as_ptr();
            (v128_load(w.halves.as_ptr().cast()), v128_load(bytes.cast()), v128_load(bytes.add(16).cast()))
        };
        let low = i8x16_sub(v128_and(halves, i8x16_splat(0x0F)), i8x16_splat(8));
        let high = i8x16_sub(u8x16_shr(halves, 4), i8x16_splat(8));
        let dot = |w: v128, x: v128| {
            i32x4_add(
                i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), i16x8_extend_low_i8x16(x)),
                i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), i16x8_extend_high_i8x16(x)),
            )
        };
        let sum = i32x4_add(dot(low, x_low), dot(high, x_high));
        let d = f16_table[usize::from(w.d)] * f16_table[usize::from(x.d)];
        sums = f32x4_add(sums, f32x4_mul(f32x4_convert_i32x4(sum), f32x4_splat(d)));
    }
    f32x4_extract_lane::<0>(sums)
        + f32x4_extract_lane::<1>(sums)
        + f32x4_extract_lane::<2>(sums)
        + f32x4_extract_lane::<3>(sums)
}
