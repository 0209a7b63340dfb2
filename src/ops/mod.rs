//! Candle's operations that are carried out by [`kernels`](crate::kernels).

mod linear;

pub(crate) use linear::Q4_1Linear;
