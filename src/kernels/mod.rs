//! The loops that time is spent in: algorithm x instruction set, one `cfg` fork, which callers never see.
//!
//! `portable` is the oracle; `simd128` is written to give the same bits. A weight type without a loop here runs through Candle.
//! For now that is every type but Q4_1, which Candle 0.11.1 multiplies without SIMD on wasm32, and with activations
//! of 8 bits that carry the default model's log-probabilities further from float32 than llama.cpp is.

#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), allow(dead_code))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable as isa;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use simd128 as isa;

pub(crate) use isa::vec_dot_q4_1_q16;

/// Weights in a block of Q4_1.
pub(crate) const QK4_1: usize = 32;

/// 32 weights of 4 bits: weight i is `d · q[i] + m`. As in the file: GGML's `block_q4_1`.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C)]
pub(crate) struct BlockQ4_1 {
    /// f16
    d: u16,
    /// f16
    m: u16,
    /// q[i] in the low, q[i + 16] in the high half of byte i.
    qs: [u8; QK4_1 / 2],
}

const _: () = assert!(size_of::<BlockQ4_1>() == 20);

/// 32 activations of 16 bits: activation i is `d · qs[i]`, within `d / 2`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct BlockQ16 {
    d: f32,
    /// The sum of the 32 activations, before they were rounded.
    sum: f32,
    qs: [i16; QK4_1],
}

impl BlockQ16 {
    /// Largest |qs|: 8 products with 4-bit weights add up to under 2^24, which f32 holds exactly.
    const MAX: f32 = 32_767.0;

    /// Rounds `x`, whose length is a multiple of 32.
    pub(crate) fn quantize(x: &[f32]) -> Vec<Self> {
        let (blocks, rest) = x.as_chunks::<QK4_1>();
        debug_assert!(rest.is_empty());
        blocks.iter().map(Self::new).collect()
    }

    fn new(x: &[f32; QK4_1]) -> Self {
        let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = if largest > 0.0 { Self::MAX / largest } else { 0.0 };
        Self {
            d: largest / Self::MAX,
            sum: x.iter().sum(),
            qs: x.map(|x| (x * scale).round_ties_even() as i16),
        }
    }
}

/// The f32 of an f16 that is finite. Its bits, moved to f32's places, are the number times 2^-112.
fn f16_to_f32(bits: u16) -> f32 {
    const TWO_TO_112: f32 = f32::from_bits((127 + 112) << 23);
    let moved = (i32::from(bits as i16) << 13) as u32 & 0x8FFF_E000;
    f32::from_bits(moved) * TWO_TO_112
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_conversion_equals_halfs_for_every_finite_number() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7C00 != 0x7C00) {
            assert_eq!(
                f16_to_f32(bits).to_bits(),
                half::f16::from_bits(bits).to_f32().to_bits(),
                "{bits:#06x}"
            );
        }
    }

    #[test]
    fn activations_are_within_half_a_step() {
        for scale in [0.0, 1e-30, 1.0, 1e4] {
            let x: [f32; QK4_1] = std::array::from_fn(|i| (i as f32 * 0.7).sin() * scale);
            let block = BlockQ16::new(&x);
            for (x, q) in x.iter().zip(block.qs) {
                // Half a step, and the rounding of the product itself.
                assert!(
                    (block.d * f32::from(q) - x).abs() <= block.d * 0.502,
                    "{x} became {q} times {}",
                    block.d
                );
            }
        }
    }
}
