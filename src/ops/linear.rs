//! Products with weights, and what goes before and after them in one step.

use super::{lost, slice};
use crate::kernels::{self, Activations, Family, Items, Output, PackedMatrix};
use crate::threads::{Order, Pool};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Error, Layout, Result, Shape, Tensor};
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

/// x · weightᵀ + bias
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    pub(crate) weight: Arc<PackedMatrix>,
    pub(crate) bias: Option<Vec<f32>>, // (n_out)
}

/// RMS norm, then several projections side by side: `(n_tok, n_in)` to `(n_tok, sum of n_out)`.
#[derive(Debug)]
pub(crate) struct NormedProjection {
    pub(crate) norm: Vec<f32>, // (n_in)
    pub(crate) eps: f32,
    pub(crate) parts: Vec<Projection>,
    pub(crate) pool: Arc<Pool>,
}

/// RMS norm, then silu(gate) · up: `(n_tok, n_in)` to `(n_tok, n_ff)`. Its parts are gate and up.
#[derive(Debug)]
pub(crate) struct GatedProjection(pub(crate) NormedProjection);

/// A projection added to the residual stream: `(n_tok, n_in)` and `(n_tok, n_out)` to `(n_tok, n_out)`.
#[derive(Debug)]
pub(crate) struct ResidualProjection {
    pub(crate) projection: Projection,
    pub(crate) pool: Arc<Pool>,
}

/// The rows `ids` of `matrix`, `(ids.len(), n_in)`.
pub(crate) fn embed(matrix: &PackedMatrix, ids: &[u32]) -> Result<Tensor> {
    let rows = ids.iter().flat_map(|&id| matrix.row(id as usize)).collect();
    Tensor::from_vec::<_, f32>(rows, (ids.len(), matrix.n_in()), &Device::Cpu)
}

/// The width of what `parts` make side by side.
fn width_of(parts: &[Projection]) -> usize {
    parts.iter().map(|part| part.weight.n_out()).sum()
}

/// `x`, `(n_tok, n_in)`, times all of `parts`, side by side, to `y`, `(n_tok, sum of n_out)`.
fn project(x: &[f32], parts: &[Projection], pool: &Pool, y: &mut [f32]) -> Result<()> {
    let width = width_of(parts);
    let n_tok = y.len() / width;
    // Prepared once for each family of weights.
    let prepared: [OnceCell<Activations>; Family::COUNT] = Default::default();
    let mut placed = Vec::with_capacity(parts.len());
    let (mut column, mut n_items) = (0, 0);
    for Projection { weight, .. } in parts {
        let (n_in, family) = (weight.n_in(), weight.family());
        if x.len() != n_tok * n_in {
            return Err(Error::Msg(format!("{} numbers are no {n_tok} rows of {n_in}", x.len())));
        }
        let prepared = &prepared[family as usize];
        let x = match prepared.get() {
            Some(x) => x,
            None => {
                let x = Activations::new(family, x, n_in, pool).map_err(lost)?;
                prepared.get_or_init(|| x)
            }
        };
        let items = n_items..n_items + weight.n_items(n_tok, pool.n_threads());
        n_items = items.end;
        placed.push(Placed { matrix: weight, x, items, column });
        column += weight.n_out();
    }
    let (output, order) = (Output::new(y, n_tok), pool.reading().chosen());
    let multiply = |range: Range<usize>| {
        // SAFETY: the pool gives each item to one thread, and each matrix has columns of its own.
        placed.iter().for_each(|placed| unsafe { placed.multiply(&range, order, output) });
    };
    pool.run(n_items, &multiply).map_err(lost)?;
    add_biases(parts, y, width);
    Ok(())
}

/// A matrix among those that go side by side.
struct Placed<'a> {
    matrix: &'a PackedMatrix,
    x: &'a Activations,
    /// Its items among those of all.
    items: Range<usize>,
    /// Where its outputs begin.
    column: usize,
}

impl Placed<'_> {
    /// Multiplies what of `range` is its own.
    ///
    /// # Safety
    /// As [`PackedMatrix::multiply`].
    unsafe fn multiply(&self, range: &Range<usize>, order: Order, y: Output) {
        let begin = range.start.max(self.items.start);
        let end = range.end.min(self.items.end);
        if begin < end {
            let range = begin - self.items.start..end - self.items.start;
            let items = Items { range, n: self.items.len(), reading: order.of(self.matrix.ty()) };
            // SAFETY: the caller's.
            unsafe { self.matrix.multiply(self.x, &items, y, self.column) };
        }
    }
}

fn add_biases(parts: &[Projection], y: &mut [f32], width: usize) {
    let mut column = 0;
    for part in parts {
        let n_out = part.weight.n_out();
        if let Some(bias) = &part.bias {
            y.chunks_exact_mut(width).for_each(|y| kernels::add(&mut y[column..column + n_out], bias));
        }
        column += n_out;
    }
}

impl NormedProjection {
    fn run(&self, storage: &CpuStorage, layout: &Layout) -> Result<(Vec<f32>, usize)> {
        let (n_tok, n_in) = layout.shape().dims2()?;
        let x = slice(storage, layout)?;
        if n_in != self.norm.len() {
            return Err(Error::Msg(format!("a norm of {} does not go over {layout:?}", self.norm.len())));
        }
        let mut normed = vec![0.0; x.len()];
        let norm = |tok: usize, y: &mut [f32]| {
            kernels::rms_norm(&x[tok * n_in..(tok + 1) * n_in], &self.norm, self.eps, y);
        };
        self.pool.run_chunks(&mut normed, n_in, &norm).map_err(lost)?;
        let mut y = vec![0.0; n_tok * width_of(&self.parts)];
        project(&normed, &self.parts, &self.pool, &mut y)?;
        Ok((y, n_tok))
    }
}

impl CustomOp1 for NormedProjection {
    fn name(&self) -> &'static str {
        "normed-projection"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, n_tok) = self.run(storage, layout)?;
        let width = y.len() / n_tok;
        Ok((CpuStorage::F32(y), (n_tok, width).into()))
    }
}

impl CustomOp1 for GatedProjection {
    fn name(&self) -> &'static str {
        "gated-projection"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, n_tok) = self.0.run(storage, layout)?; // (n_tok, 2 · n_ff)
        let n_ff = y.len() / n_tok / 2;
        let mut gated = vec![0.0; n_tok * n_ff];
        let rows = |tok: usize, gated: &mut [f32]| {
            let (gate, up) = y[2 * tok * n_ff..2 * (tok + 1) * n_ff].split_at(n_ff);
            kernels::silu_mul(gate, up, gated);
        };
        self.0.pool.run_chunks(&mut gated, n_ff, &rows).map_err(lost)?;
        Ok((CpuStorage::F32(gated), (n_tok, n_ff).into()))
    }
}

impl CustomOp2 for ResidualProjection {
    fn name(&self) -> &'static str {
        "residual-projection"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = slice(residual, residual_layout)?;
        let n_out = self.projection.weight.n_out();
        if residual_layout.shape().dims2()? != (x_layout.shape().dims2()?.0, n_out) {
            return Err(Error::Msg(format!("rows of {n_out} are not added to {residual_layout:?}")));
        }
        let mut y = vec![0.0; residual.len()];
        project(slice(x, x_layout)?, std::slice::from_ref(&self.projection), &self.pool, &mut y)?;
        kernels::add(&mut y, residual);
        Ok((CpuStorage::F32(y), residual_layout.shape().clone()))
    }
}
