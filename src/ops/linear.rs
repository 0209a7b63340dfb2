//! Matrix products with quantized weights.

use crate::kernels::{BlockQ4_1, BlockQ16, QK4_1, vec_dot_q4_1_q16};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape};
use std::sync::Arc;

/// x · weightᵀ for a weight `(n_out, n_in)` of Q4_1, with activations of 16 bits: `(n_tok, n_in)` to `(n_tok, n_out)`.
#[derive(Debug, Clone)]
pub(crate) struct Q4_1Linear {
    weight: Arc<QTensor>,
}

/// Tokens that share one unpacking of a row of weights.
const TILE: usize = 4;

impl Q4_1Linear {
    /// # Errors
    /// If `weight` is no matrix of Q4_1.
    pub(crate) fn new(weight: Arc<QTensor>) -> Result<Self> {
        if weight.dtype() != GgmlDType::Q4_1 || weight.rank() != 2 {
            return Err(Error::Msg(format!("{weight:?} is no matrix of Q4_1")));
        }
        Ok(Self { weight })
    }
}

impl CustomOp1 for Q4_1Linear {
    fn name(&self) -> &'static str {
        "q4_1-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n_tok, n_in) = layout.shape().dims2()?;
        let (n_out, n_weight) = self.weight.shape().dims2()?;
        let Some((begin, end)) = layout.contiguous_offsets().filter(|_| n_in == n_weight) else {
            return Err(Error::Msg(format!("{layout:?} does not go through {:?}", self.weight)));
        };
        let x = BlockQ16::quantize(&storage.as_slice::<f32>()?[begin..end]);
        let bytes = self.weight.data()?;
        let weight: &[BlockQ4_1] = bytemuck::try_cast_slice(&bytes).map_err(Error::wrap)?;

        let n_blocks = n_in / QK4_1;
        let x_row = |tok: usize| &x[tok * n_blocks..(tok + 1) * n_blocks];
        let mut y = vec![0.0; n_tok * n_out]; // (n_tok, n_out)
        for (out, row) in weight.chunks_exact(n_blocks).enumerate() {
            let mut tok = 0;
            while tok + TILE <= n_tok {
                let dots = vec_dot_q4_1_q16::<TILE>(row, std::array::from_fn(|i| x_row(tok + i)));
                for (i, dot) in dots.into_iter().enumerate() {
                    y[(tok + i) * n_out + out] = dot;
                }
                tok += TILE;
            }
            for tok in tok..n_tok {
                [y[tok * n_out + out]] = vec_dot_q4_1_q16(row, [x_row(tok)]);
            }
        }
        Ok((CpuStorage::F32(y), (n_tok, n_out).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Module, Tensor};

    /// Against Candle's dequantized weights: what is left is the rounding of activations to 16 bits, `2^-16` of the
    /// largest in a block, over up to `n_in` weights below 1.
    #[test]
    fn equals_the_dequantized_product() -> Result<()> {
        for (n_in, n_out) in [(32, 1), (32, 3), (64, 5), (576, 7)] {
            let values = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
            let weight = Tensor::from_vec(values(n_in * n_out, 0.37), (n_out, n_in), &Device::Cpu)?;
            let weight = Arc::new(QTensor::quantize(&weight, GgmlDType::Q4_1)?);
            let exact = weight.dequantize(&Device::Cpu)?;
            let linear = Q4_1Linear::new(weight)?;
            for n_tok in [1, 2, 3, 4, 5, 8, 9] {
                let x = Tensor::from_vec(values(n_tok * n_in, 0.11), (n_tok, n_in), &Device::Cpu)?;
                let y = x.apply_op1_no_bwd(&linear)?;
                let expected = candle_nn::Linear::new(exact.clone(), None).forward(&x)?;
                let off = (y - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                let bound = n_in as f32 * 2_f32.powi(-16);
                assert!(off <= bound, "{n_tok} x {n_in} to {n_out}: off by {off}, {bound} allowed");
            }
        }
        Ok(())
    }

    #[test]
    fn another_width_or_type_is_refused() -> Result<()> {
        let weight = Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu)?;
        let linear = Q4_1Linear::new(Arc::new(QTensor::quantize(&weight, GgmlDType::Q4_1)?))?;
        let x = Tensor::zeros((1, 64), candle_core::DType::F32, &Device::Cpu)?;
        assert!(x.apply_op1_no_bwd(&linear).is_err());
        assert!(Q4_1Linear::new(Arc::new(QTensor::quantize(&weight, GgmlDType::Q4_0)?)).is_err());
        Ok(())
    }
}
