//! Products with weights, and what goes before and after them in one step.

use super::{lost, slice};
use crate::kernels::{self, Activations, Output, PackedMatrix};
use crate::threads::Pool;
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Error, Layout, Module, Result, Shape, Tensor};
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

/// A matrix `(n_out, n_in)`.
#[derive(Debug)]
pub(crate) enum Weight {
    /// Of a type that has kernels here.
    Packed(PackedMatrix),
    /// Of any that Candle multiplies.
    Candle { tensor: Arc<QTensor>, product: QMatMul, n_out: usize, n_in: usize },
}

/// x · weightᵀ + bias
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    pub(crate) weight: Arc<Weight>,
    pub(crate) bias: Option<Vec<f32>>, // (n_out)
}

/// RMS norm, then several projections side by side: `(n_tok, n_in)` to `(n_tok, sum of n_out)`.
#[derive(Debug)]
pub(crate) struct NormedProjection {
    pub(crate) norm: Vec<f32>, // (n_in)
    pub(crate) eps: f32,
    pub(crate) parts: Vec<Projection>,
    /// Whether activations are of 15 bits, for packed weights, rather than of 8.
    pub(crate) precise: bool,
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

impl Weight {
    /// # Errors
    /// If `tensor` is no matrix.
    pub(crate) fn candle(tensor: QTensor) -> Result<Self> {
        let (n_out, n_in) = tensor.shape().dims2()?;
        let tensor = Arc::new(tensor);
        Ok(Self::Candle { product: QMatMul::from_arc(tensor.clone())?, tensor, n_out, n_in })
    }

    /// `(n_out, n_in)`
    pub(crate) fn dims(&self) -> (usize, usize) {
        match self {
            Self::Packed(matrix) => (matrix.n_out(), matrix.n_in()),
            Self::Candle { n_out, n_in, .. } => (*n_out, *n_in),
        }
    }

    /// The rows `ids`, `(ids.len(), n_in)`.
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let shape = (ids.len(), self.dims().1);
        match self {
            Self::Packed(matrix) => {
                let rows = ids.iter().flat_map(|&id| matrix.row(id as usize)).collect();
                Tensor::from_vec::<_, f32>(rows, shape, &Device::Cpu)
            }
            Self::Candle { tensor, .. } => tensor.embedding(&Tensor::new(ids, &Device::Cpu)?),
        }
    }
}

/// What goes into several projections, rounded once for each family of weights among them.
struct Inputs<'x> {
    x: &'x [f32], // (n_tok, n_in)
    n_tok: usize,
    precise: bool,
    rounded: [OnceCell<Activations>; 2],
}

impl<'x> Inputs<'x> {
    fn new(x: &'x [f32], n_tok: usize, precise: bool) -> Self {
        Self { x, n_tok, precise, rounded: Default::default() }
    }

    fn rounded(&self, matrix: &PackedMatrix) -> &Activations {
        let round = if self.precise { Activations::with_rest } else { Activations::new };
        self.rounded[usize::from(matrix.is_k())].get_or_init(|| round(matrix, self.x))
    }

    /// Multiplies with all of `parts`, side by side into `(n_tok, sum of n_out)`.
    fn project(&self, parts: &[Projection], pool: &Pool) -> Result<Vec<f32>> {
        let width: usize = parts.iter().map(|part| part.weight.dims().0).sum();
        // Where activations have a rest, its products are rows behind theirs.
        let n_rows = if self.precise { 2 * self.n_tok } else { self.n_tok };
        let mut y = vec![0.0; n_rows * width];
        let mut packed = Vec::with_capacity(parts.len());
        let (mut column, mut n_groups) = (0, 0);
        for part in parts {
            let (n_out, n_in) = part.weight.dims();
            if self.x.len() != self.n_tok * n_in {
                let detail = format!("{} numbers are no {} rows of {n_in}", self.x.len(), self.n_tok);
                return Err(Error::Msg(detail));
            }
            match &*part.weight {
                Weight::Packed(matrix) => {
                    let groups = n_groups..n_groups + matrix.n_groups();
                    n_groups = groups.end;
                    packed.push(Packed { matrix, x: self.rounded(matrix), groups, column });
                }
                Weight::Candle { product, .. } => {
                    let x = Tensor::from_slice(self.x, (self.n_tok, n_in), &Device::Cpu)?;
                    let part = product.forward(&x)?.flatten_all()?.to_vec1::<f32>()?;
                    for (y, part) in y.chunks_exact_mut(width).zip(part.chunks_exact(n_out)) {
                        y[column..column + n_out].copy_from_slice(part);
                    }
                }
            }
            column += n_out;
        }
        let output = Output::new(&mut y, n_rows);
        pool.run(n_groups, &|range| packed.iter().for_each(|packed| packed.multiply(&range, output)))
            .map_err(lost)?;
        if self.precise {
            let (products, of_rest) = y.split_at_mut(self.n_tok * width);
            kernels::add(products, of_rest);
            y.truncate(self.n_tok * width);
        }
        add_biases(parts, &mut y, width);
        Ok(y)
    }
}

/// A packed matrix among those that go side by side.
struct Packed<'a> {
    matrix: &'a PackedMatrix,
    x: &'a Activations,
    /// Its groups of rows among all groups.
    groups: Range<usize>,
    /// Where its outputs begin.
    column: usize,
}

impl Packed<'_> {
    /// Multiplies what of `range` is its own.
    fn multiply(&self, range: &Range<usize>, y: Output) {
        let begin = range.start.max(self.groups.start);
        let end = range.end.min(self.groups.end);
        if begin < end {
            let own = begin - self.groups.start..end - self.groups.start;
            self.matrix.multiply(self.x, own, y, self.column);
        }
    }
}

fn add_biases(parts: &[Projection], y: &mut [f32], width: usize) {
    let mut column = 0;
    for part in parts {
        let n_out = part.weight.dims().0;
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
        for (x, y) in x.chunks_exact(n_in).zip(normed.chunks_exact_mut(n_in)) {
            kernels::rms_norm(x, &self.norm, self.eps, y);
        }
        Ok((Inputs::new(&normed, n_tok, self.precise).project(&self.parts, &self.pool)?, n_tok))
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
        let n_tok = x_layout.shape().dims2()?.0;
        let x = Inputs::new(slice(x, x_layout)?, n_tok, false);
        let mut y = x.project(std::slice::from_ref(&self.projection), &self.pool)?;
        kernels::add(&mut y, slice(residual, residual_layout)?);
        Ok((CpuStorage::F32(y), residual_layout.shape().clone()))
    }
}
