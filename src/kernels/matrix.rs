//! A matrix of packed weights: filled row by row as its file arrives, multiplied group by group.

use super::activations::{Block, Block32, Block256};
use super::isa::{self, Chunk, TILE};
use super::layout::{GROUP, PackedType, QK_K, QUAD};
use std::ops::Range;

/// A matrix `(n_out, n_in)`.
#[derive(Debug)]
pub(crate) struct PackedMatrix {
    ty: PackedType,
    n_out: usize,
    n_in: usize,
    data: Vec<u8>,
}

/// Activations of `n_tok` tokens, rounded for the type of matrix that they will meet.
#[derive(Debug)]
pub(crate) enum Activations {
    By32(Vec<Block32<Chunk>>),
    By256(Vec<Block256<Chunk>>),
}

/// Where products go: `(n_tok, stride)`, of which a matrix fills `n_out` columns. Threads write to different columns of
/// the same rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'y> {
    y: *mut f32,
    n_tok: usize,
    stride: usize,
    lifetime: std::marker::PhantomData<&'y mut [f32]>,
}

// SAFETY: what is written through it is disjoint, by the contract of `PackedMatrix::multiply`.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

impl<'y> Output<'y> {
    /// `y`, `(n_tok, stride)`.
    pub(crate) fn new(y: &'y mut [f32], n_tok: usize) -> Self {
        let stride = y.len() / n_tok.max(1);
        Self { y: y.as_mut_ptr(), n_tok, stride, lifetime: std::marker::PhantomData }
    }

    /// Writes to `values.len()` columns from `column` on.
    fn store(&self, tok: usize, column: usize, values: &[f32]) {
        assert!(tok < self.n_tok && column + values.len() <= self.stride);
        // SAFETY: within `y`, by the check above.
        unsafe {
            let to = self.y.add(tok * self.stride + column);
            std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len());
        }
    }
}

impl Activations {
    /// Rounds `x`, `(n_tok, n_in)`, for `matrix`.
    pub(crate) fn new(matrix: &PackedMatrix, x: &[f32]) -> Self {
        if matrix.is_k() { Self::By256(quantize(x)) } else { Self::By32(quantize(x)) }
    }

    /// As [`new`](Self::new), and behind it as many tokens again, which are what the rounding left. The sums of both
    /// products are those of activations of 15 bits.
    pub(crate) fn with_rest(matrix: &PackedMatrix, x: &[f32]) -> Self {
        if matrix.is_k() { Self::By256(quantize_with_rest(x)) } else { Self::By32(quantize_with_rest(x)) }
    }
}

fn quantize<B: Block>(x: &[f32]) -> Vec<B> {
    debug_assert!(x.len().is_multiple_of(B::LEN));
    x.chunks_exact(B::LEN).map(B::quantize).collect()
}

fn quantize_with_rest<B: Block>(x: &[f32]) -> Vec<B> {
    let mut blocks: Vec<B> = quantize(x);
    let values = blocks.iter().flat_map(B::values);
    let rest: Vec<f32> = x.iter().zip(values).map(|(x, value)| x - value).collect();
    blocks.extend(quantize::<B>(&rest));
    blocks
}

impl PackedMatrix {
    /// A matrix of zeros, to be filled by [`set_row`](Self::set_row). `None` if there is no room for it.
    pub(crate) fn new(ty: PackedType, n_out: usize, n_in: usize) -> Option<Self> {
        debug_assert!(n_in.is_multiple_of(ty.block_len()));
        let n_bytes = Self::n_bytes(ty, n_out, n_in)?;
        let mut data = Vec::new();
        data.try_reserve_exact(n_bytes).ok()?;
        data.resize(n_bytes, 0);
        Some(Self { ty, n_out, n_in, data })
    }

    /// Bytes of such a matrix, if they can be counted.
    pub(crate) fn n_bytes(ty: PackedType, n_out: usize, n_in: usize) -> Option<usize> {
        let quads = n_out.div_ceil(GROUP) * (GROUP / QUAD);
        quads.checked_mul(n_in / ty.block_len())?.checked_mul(ty.quad_bytes())
    }

    /// The file's type.
    #[cfg(test)]
    pub(crate) fn ty(&self) -> PackedType {
        self.ty
    }

    /// Whether it takes activations of the K-family's blocks.
    pub(crate) fn is_k(&self) -> bool {
        self.ty.block_len() == QK_K
    }

    /// Rows: outputs.
    pub(crate) fn n_out(&self) -> usize {
        self.n_out
    }

    /// Columns: inputs.
    pub(crate) fn n_in(&self) -> usize {
        self.n_in
    }

    /// Groups of rows, which [`multiply`](Self::multiply) goes by.
    pub(crate) fn n_groups(&self) -> usize {
        self.n_out.div_ceil(GROUP)
    }

    fn n_blocks(&self) -> usize {
        self.n_in / self.ty.block_len()
    }

    pub(super) fn group_bytes(&self, group: usize) -> &[u8] {
        let len = 2 * self.n_blocks() * self.ty.quad_bytes();
        &self.data[group * len..(group + 1) * len]
    }

    /// Bytes of a row in the file.
    pub(crate) fn file_row_bytes(&self) -> usize {
        self.n_blocks() * self.ty.file_bytes()
    }

    /// Packs row `row`, `file_row` as in the file.
    pub(crate) fn set_row(&mut self, row: usize, file_row: &[u8]) {
        debug_assert!(row < self.n_out && file_row.len() == self.file_row_bytes());
        let (ty, n_blocks) = (self.ty, self.n_blocks());
        let len = 2 * n_blocks * ty.quad_bytes();
        let group = &mut self.data[row / GROUP * len..][..len];
        for (block, file) in file_row.chunks_exact(ty.file_bytes()).enumerate() {
            let at = ty.quad_offset(n_blocks, block, row % GROUP / QUAD);
            ty.pack(file, row % QUAD, &mut group[at..at + ty.quad_bytes()]);
        }
    }

    /// Row `row` as numbers, `(n_in)`.
    pub(crate) fn row(&self, row: usize) -> Vec<f32> {
        isa::unpack_row(self.ty, self.group_bytes(row / GROUP), self.n_blocks(), row % GROUP)
    }

    /// The products of the rows of `groups` with all tokens of `x`, which [`Activations::new`] made for this type and
    /// width, to the columns of `y` from `column` on. Threads may share `y` if their columns differ.
    pub(crate) fn multiply(&self, x: &Activations, groups: Range<usize>, y: Output, column: usize) {
        match x {
            Activations::By32(x) => self.multiply_by(x, groups, y, column),
            Activations::By256(x) => self.multiply_by(x, groups, y, column),
        }
    }

    fn multiply_by<B: Block>(&self, x: &[B], groups: Range<usize>, y: Output, column: usize) {
        let n_blocks = self.n_blocks();
        let token = |tok: usize| &x[tok * n_blocks..(tok + 1) * n_blocks];
        for group in groups {
            let (row, weights) = (group * GROUP, self.group_bytes(group));
            let n_rows = GROUP.min(self.n_out - row);
            let mut tok = 0;
            while tok + TILE <= y.n_tok {
                let dots = B::dots::<TILE>(self.ty, weights, std::array::from_fn(|t| token(tok + t)));
                for (t, dots) in dots.iter().enumerate() {
                    y.store(tok + t, column + row, &dots[..n_rows]);
                }
                tok += TILE;
            }
            if tok + 2 <= y.n_tok {
                let [first, second] = B::dots(self.ty, weights, [token(tok), token(tok + 1)]);
                y.store(tok, column + row, &first[..n_rows]);
                y.store(tok + 1, column + row, &second[..n_rows]);
                tok += 2;
            }
            for tok in tok..y.n_tok {
                let [dots] = B::dots(self.ty, weights, [token(tok)]);
                y.store(tok, column + row, &dots[..n_rows]);
            }
        }
    }
}
