//! Candle's operations that are carried out by [`kernels`](crate::kernels), in coarse steps: what Candle keeps of each
//! is one allocation and a few checks.

mod attention;
mod linear;

pub(crate) use attention::{Append, Attention, Heads, Rotation};
pub(crate) use linear::{GatedProjection, NormedProjection, Projection, ResidualProjection, embed};

use crate::kernels;
use candle_core::{CpuStorage, Error, Layout, Result, Storage, Tensor};

/// As Candle's error; [`Llama::forward`](crate::model::Llama::forward) asks the pool again.
fn lost(error: crate::Error) -> Error {
    Error::Msg(error.to_string())
}

/// Whether all of `x` are numbers whose magnitude is below `bound`; where that is infinite, whether they are finite.
pub(crate) fn are_below(x: &Tensor, bound: f32) -> Result<bool> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(Error::Msg("numbers should be the CPU's".into()));
    };
    Ok(kernels::are_below(slice(storage, layout)?, bound))
}

/// The numbers of a contiguous tensor.
fn slice<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    match layout.contiguous_offsets() {
        Some((begin, end)) => Ok(&storage.as_slice::<f32>()?[begin..end]),
        None => Err(Error::Msg(format!("{layout:?} should be contiguous"))),
    }
}
