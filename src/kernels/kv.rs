//! Keys and values as the KV cache holds them: rows of one head's width, [`KV_BLOCK`] positions together.
//!
//! | type | a row of `width` numbers | bits each |
//! | --- | --- | --- |
//! | f16 | normal f16 or 0: x64 multiplies subnormal numbers a hundred times slower | 16 |
//! | f32 | as they are | 32 |
//! | q8_0 | `width` whole numbers of -127 to 127, then a scale for each 32 of them | 8.5 |
//!
//! A scale of q8_0 is the largest magnitude of its 32 over 127, as GGML's, but a BF16, rounded up: f16 would have no normal
//! number for the smallest scales.

use super::isa;
use super::portable::f16_to_f32;
use super::{BF16_EXPONENT, F16_EXPONENT, HEAD_MULTIPLE, uppers_are_finite};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Positions that lie together: those of a block are allocated at once, shared or copied as a whole, and seen together.
pub(crate) const KV_BLOCK: usize = 256;

/// Whole numbers under one scale.
const SCALED: usize = 32;

/// How keys and values are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(non_camel_case_types)]
pub enum KvType {
    /// 16 bits, as llama.cpp and others hold them unless they are told to do otherwise. What is beyond ±65504 becomes that,
    /// what is below the smallest normal number, 2^-14, becomes 0.
    #[default]
    F16,
    /// 32 bits, as they are computed.
    F32,
    /// 8.5 bits: whole numbers of 8, with a scale of 16 for each 32.
    Q8_0,
}

impl KvType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::F16, Self::F32, Self::Q8_0];

    /// As requests spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::Q8_0 => "q8_0",
        }
    }

    /// Bytes of a row of `width` numbers, a multiple of [`HEAD_MULTIPLE`].
    pub(crate) const fn row_bytes(self, width: usize) -> usize {
        debug_assert!(width.is_multiple_of(HEAD_MULTIPLE));
        match self {
            Self::F16 => 2 * width,
            Self::F32 => 4 * width,
            Self::Q8_0 => width + 2 * width.div_ceil(SCALED),
        }
    }

    /// Writes `x` as one row.
    pub(crate) fn pack(self, x: &[f32], row: &mut [u8]) {
        assert!(row.len() == self.row_bytes(x.len()));
        match self {
            Self::F16 => isa::to_f16(x, row),
            Self::F32 => {
                for (x, y) in x.iter().zip(row.as_chunks_mut().0) {
                    *y = x.to_le_bytes();
                }
            }
            Self::Q8_0 => {
                let (numbers, scales) = row.split_at_mut(x.len());
                let blocks = x.chunks(SCALED).zip(numbers.chunks_mut(SCALED)).zip(scales.as_chunks_mut().0);
                for ((x, numbers), scale) in blocks {
                    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                    let upper = ((largest / 127.0).to_bits() + 0xFFFF) >> 16;
                    *scale = (upper as u16).to_le_bytes();
                    let d = f32::from_bits(upper << 16);
                    for (x, number) in x.iter().zip(numbers) {
                        // Where all are 0, so is the scale, and 0 / 0 as a whole number is 0.
                        *number = (x / d).round_ties_even() as i8 as u8;
                    }
                }
            }
        }
    }

    /// Reads as many rows of `width` numbers as `x` has.
    pub(crate) fn unpack(self, width: usize, rows: &[u8], x: &mut [f32]) {
        for (x, row) in x.chunks_exact_mut(width).zip(rows.chunks_exact(self.row_bytes(width))) {
            match self {
                Self::F16 => {
                    for (x, &half) in x.iter_mut().zip(row.as_chunks().0) {
                        *x = f16_to_f32(u16::from_le_bytes(half));
                    }
                }
                Self::F32 => {
                    for (x, &number) in x.iter_mut().zip(row.as_chunks().0) {
                        *x = f32::from_le_bytes(number);
                    }
                }
                Self::Q8_0 => {
                    let (numbers, scales) = row.split_at(width);
                    let blocks = x.chunks_mut(SCALED).zip(numbers.chunks(SCALED)).zip(scales.as_chunks().0);
                    for ((x, numbers), &scale) in blocks {
                        let d = bf16_to_f32(scale);
                        for (x, &number) in x.iter_mut().zip(numbers) {
                            *x = d * f32::from(number as i8);
                        }
                    }
                }
            }
        }
    }

    /// Whether all of `rows` are finite numbers, as [`pack`](Self::pack) leaves them.
    pub(crate) fn are_finite(self, width: usize, rows: &[u8]) -> bool {
        match self {
            Self::F16 => uppers_are_finite(rows, 2, 0, F16_EXPONENT),
            Self::F32 => uppers_are_finite(rows, 4, 2, BF16_EXPONENT),
            Self::Q8_0 => rows
                .chunks_exact(self.row_bytes(width))
                .all(|row| uppers_are_finite(&row[width..], 2, 0, BF16_EXPONENT)),
        }
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The f32 of a BF16.
#[inline(always)]
pub(super) fn bf16_to_f32(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}
