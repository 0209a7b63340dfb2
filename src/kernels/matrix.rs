//! A matrix of packed weights: filled row by row as its file arrives, multiplied group by group.

use super::activations::{Activations, Block, Operands, Rounded};
use super::isa::{self, TILE};
use super::layout::{AHEAD, Dots, Family, GROUP, PackedType, QUAD, Reading, TOGETHER};
use std::ops::Range;

/// A matrix `(n_out, n_in)`.
#[derive(Debug)]
pub(crate) struct PackedMatrix {
    ty: PackedType,
    n_out: usize,
    n_in: usize,
    /// Bytes of a group.
    group_len: usize,
    /// All groups, and then [`AHEAD`] bytes that are asked for, but never counted.
    data: Vec<u8>,
}

/// Where products go: `(n_tok, stride)`, of which a matrix has `n_out` columns. Threads write to different columns of the
/// same rows.
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

    /// Columns `column..column + n` of row `tok`.
    ///
    /// # Safety
    /// No other reference to any of them lives.
    unsafe fn columns(&self, tok: usize, column: usize, n: usize) -> &'y mut [f32] {
        assert!(tok < self.n_tok && column + n <= self.stride);
        // SAFETY: within `y`, by the check above, and nobody else's, by the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.y.add(tok * self.stride + column), n) }
    }
}

impl PackedMatrix {
    /// A matrix of zeros, to be filled by [`set_row`](Self::set_row). `None` if there is no room for it.
    pub(crate) fn new(ty: PackedType, n_out: usize, n_in: usize) -> Option<Self> {
        let mut matrix = Self::empty(ty, n_out, n_in)?;
        matrix.data.resize(Self::n_bytes(ty, n_out, n_in)? + AHEAD, 0);
        Some(matrix)
    }

    /// A matrix without its bytes, to be [`extend`](Self::extend)ed with all that another one of this shape and type has:
    /// zeros to write over would be a quarter of the time. `None` if there is no room for it.
    pub(crate) fn empty(ty: PackedType, n_out: usize, n_in: usize) -> Option<Self> {
        debug_assert!(n_in.is_multiple_of(ty.block_len()));
        let mut data = Vec::new();
        data.try_reserve_exact(Self::n_bytes(ty, n_out, n_in)?.checked_add(AHEAD)?).ok()?;
        let group_len = GROUP / QUAD * (n_in / ty.block_len()) * ty.quad_bytes();
        Some(Self { ty, n_out, n_in, group_len, data })
    }

    /// Takes the next `bytes` of an [`empty`](Self::empty) matrix.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        if Some(self.data.len()) == Self::n_bytes(self.ty, self.n_out, self.n_in) {
            self.data.resize(self.data.len() + AHEAD, 0);
        }
    }

    /// Bytes of all groups of such a matrix, if they can be counted.
    pub(crate) fn n_bytes(ty: PackedType, n_out: usize, n_in: usize) -> Option<usize> {
        let quads = n_out.div_ceil(GROUP) * (GROUP / QUAD);
        quads.checked_mul(n_in / ty.block_len())?.checked_mul(ty.quad_bytes())
    }

    /// All groups, as [`layout`](super::layout) describes them.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data[..self.data.len() - AHEAD]
    }

    /// The file's type.
    pub(crate) fn ty(&self) -> PackedType {
        self.ty
    }

    /// Which activations it takes.
    pub(crate) fn family(&self) -> Family {
        self.ty.family()
    }

    /// Rows: outputs.
    pub(crate) fn n_out(&self) -> usize {
        self.n_out
    }

    /// Columns: inputs.
    pub(crate) fn n_in(&self) -> usize {
        self.n_in
    }

    /// Groups of rows.
    pub(crate) fn n_groups(&self) -> usize {
        self.n_out.div_ceil(GROUP)
    }

    /// In how many items [`multiply`](Self::multiply) goes over the rows: a group each, or for a token alone up to
    /// [`TOGETHER`] groups, if each of `n_threads` still has a few items.
    pub(crate) fn n_items(&self, n_tok: usize, n_threads: usize) -> usize {
        const ITEMS_OF_THREAD: usize = 4;
        let n_groups = self.n_groups();
        let together = if n_tok == 1 { n_groups / (ITEMS_OF_THREAD * n_threads) } else { 1 };
        n_groups.div_ceil(together.clamp(1, TOGETHER))
    }

    fn n_blocks(&self) -> usize {
        self.n_in / self.ty.block_len()
    }

    /// Group `group`, and what follows it.
    pub(super) fn group_bytes(&self, group: usize) -> &[u8] {
        &self.data[group * self.group_len..]
    }

    /// As [`group_bytes`](Self::group_bytes), of up to [`TOGETHER`] groups.
    #[inline(always)]
    fn bytes_of(&self, groups: &[usize]) -> [&[u8]; TOGETHER] {
        let mut bytes: [&[u8]; TOGETHER] = [&[]; TOGETHER];
        for (bytes, &group) in bytes.iter_mut().zip(groups) {
            *bytes = self.group_bytes(group);
        }
        bytes
    }

    /// Bytes of a row in the file.
    pub(crate) fn file_row_bytes(&self) -> usize {
        self.n_blocks() * self.ty.file_bytes()
    }

    /// Packs row `row`, `file_row` as in the file.
    pub(crate) fn set_row(&mut self, row: usize, file_row: &[u8]) {
        debug_assert!(row < self.n_out && file_row.len() == self.file_row_bytes());
        let (ty, len) = (self.ty, self.group_len);
        let group = &mut self.data[row / GROUP * len..][..len];
        for (block, file) in file_row.chunks_exact(ty.file_bytes()).enumerate() {
            let at = ty.quad_offset(block, row % GROUP / QUAD);
            ty.pack(file, row % QUAD, &mut group[at..]);
        }
    }

    /// Row `row` as numbers, `(n_in)`.
    pub(crate) fn row(&self, row: usize) -> Vec<f32> {
        isa::unpack_row(self.ty, self.group_bytes(row / GROUP), self.n_blocks(), row % GROUP)
    }

    /// The products of all tokens of `x`, which [`Activations::new`] made for this family and width, with the rows of
    /// `items`, to the columns of `y` from `column` on.
    ///
    /// # Safety
    /// What else writes to `y` meanwhile has other items, or other columns.
    pub(crate) unsafe fn multiply(&self, x: &Activations, items: &Items, y: Output, column: usize) {
        let (ty, reading) = (self.ty, items.reading);
        match x {
            Activations::Float(x) | Activations::F16(x) => {
                self.multiply_by(&Floats { ty, n_in: self.n_in, x }, items, y, column)
            }
            Activations::By32(x) => self.multiply_by(&Blocks { ty, reading, x }, items, y, column),
            Activations::SignedBy32(x) => self.multiply_by(&Blocks { ty, reading, x }, items, y, column),
            Activations::By256(x) => self.multiply_by(&Blocks { ty, reading, x }, items, y, column),
            Activations::SignedBy256(x) => self.multiply_by(&Blocks { ty, reading, x }, items, y, column),
        }
    }

    fn multiply_by(&self, x: &dyn Products, items: &Items, y: Output, column: usize) {
        if y.n_tok == 1 {
            let (n_groups, mut groups) = (self.n_groups(), [0; TOGETHER]);
            let each = items.each(n_groups);
            for item in items.range.clone() {
                let n = items.groups(item, each, n_groups, &mut groups);
                self.multiply_one(x, &groups[..n], y, 0, column);
            }
        } else {
            // An item is a group.
            for first in items.range.clone().step_by(TOGETHER) {
                let n = TOGETHER.min(items.range.end - first);
                let groups: [usize; TOGETHER] = std::array::from_fn(|i| first + i);
                self.multiply_groups(x, &groups[..n], y, column);
            }
        }
    }

    /// Token `tok` alone by up to [`TOGETHER`] groups.
    fn multiply_one(&self, x: &dyn Products, groups: &[usize], y: Output, tok: usize, column: usize) {
        let mut dots = [[[0.0; GROUP]; 1]; TOGETHER];
        let n = groups.len();
        x.of_one(&self.bytes_of(groups)[..n], tok, &mut dots[..n]);
        for (&group, dots) in groups.iter().zip(&dots) {
            self.put(dots, group, y, tok, column);
        }
    }

    /// Tokens by tiles, up to [`TOGETHER`] groups at once. A few tokens that are left over go one by one; where they are most
    /// of a tile, they go as one.
    fn multiply_groups(&self, x: &dyn Products, groups: &[usize], y: Output, column: usize) {
        let mut tok = 0;
        while tok < y.n_tok {
            let rest = TILE.min(y.n_tok - tok);
            if 2 * rest > TILE {
                let mut dots = [[[0.0; GROUP]; TILE]; TOGETHER];
                let n = groups.len();
                x.of_tile(&self.bytes_of(groups)[..n], tok, &mut dots[..n]);
                for (&group, dots) in groups.iter().zip(&dots) {
                    self.put(&dots[..rest], group, y, tok, column);
                }
                tok += rest;
            } else {
                self.multiply_one(x, groups, y, tok, column);
                tok += 1;
            }
        }
    }

    /// Writes the dots of `group` with the tokens from `tok` on.
    #[inline(always)]
    fn put(&self, dots: &[[f32; GROUP]], group: usize, y: Output, tok: usize, column: usize) {
        let row = group * GROUP;
        let n_rows = GROUP.min(self.n_out - row);
        for (t, dots) in dots.iter().enumerate() {
            // SAFETY: the items of others have other groups.
            let to = unsafe { y.columns(tok + t, column + row, n_rows) };
            match <&mut [f32; GROUP]>::try_from(&mut *to) {
                // Of a known length they are two vectors.
                Ok(to) => *to = *dots,
                Err(_) => to.copy_from_slice(&dots[..n_rows]),
            }
        }
    }
}

/// Some of the items that a matrix's rows are cut into.
#[derive(Debug, Clone)]
pub(crate) struct Items {
    pub(crate) range: Range<usize>,
    /// How many there are: see [`PackedMatrix::n_items`].
    pub(crate) n: usize,
    /// How the groups of one lie, where they are several.
    pub(crate) reading: Reading,
}

impl Items {
    /// How many of `n_groups` groups an item has at each place that it reads at.
    fn each(&self, n_groups: usize) -> usize {
        n_groups.div_ceil(self.n * self.reading.places())
    }

    /// Writes which of `n_groups` groups `item` has, `each` at a place, to `groups`, in the order in which they are read, and
    /// returns how many. Returned as an array they would be copied in vectors, for which the processor waits until all are
    /// written.
    fn groups(&self, item: usize, each: usize, n_groups: usize, groups: &mut [usize; TOGETHER]) -> usize {
        let places = self.reading.places();
        let mut n = 0;
        for turn in 0..each {
            for place in 0..places {
                let group = (place * self.n + item) * each + turn;
                if group < n_groups {
                    groups[n] = group;
                    n += 1;
                }
            }
        }
        n
    }
}

/// Dot products of groups of rows with some tokens of what it was made of, to `y`, which has zeros.
trait Products {
    /// Those with token `tok`.
    fn of_one(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<1>]);
    /// Those with the [`TILE`] tokens from `tok` on, or with the last token for each that is missing.
    fn of_tile(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<TILE>]);
}

struct Blocks<'x, B> {
    ty: PackedType,
    reading: Reading,
    x: &'x Rounded<B>,
}

impl<B: Block> Blocks<'_, B> {
    fn dots<const T: usize>(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<T>]) {
        let (tile, first) = self.x.tile_of(tok);
        let last = tile.n_tok() - 1;
        let x = std::array::from_fn(|t| tile.token(last.min(first + t)));
        B::dots(&Operands { ty: self.ty, groups, walk: &tile.walk, reading: self.reading, x }, y);
    }
}

impl<B: Block> Products for Blocks<'_, B> {
    fn of_one(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<1>]) {
        self.dots(groups, tok, y);
    }

    fn of_tile(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<TILE>]) {
        self.dots(groups, tok, y);
    }
}

struct Floats<'x> {
    ty: PackedType,
    n_in: usize,
    x: &'x [f32], // (n_tok, n_in)
}

impl Floats<'_> {
    fn dots<const T: usize>(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<T>]) {
        let last = self.x.len() / self.n_in - 1;
        let token = |tok: usize| &self.x[tok * self.n_in..(tok + 1) * self.n_in];
        isa::dots_float(self.ty, groups, std::array::from_fn(|t| token(last.min(tok + t))), y);
    }
}

impl Products for Floats<'_> {
    fn of_one(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<1>]) {
        self.dots(groups, tok, y);
    }

    fn of_tile(&self, groups: &[&[u8]], tok: usize, y: &mut [Dots<TILE>]) {
        self.dots(groups, tok, y);
    }
}
