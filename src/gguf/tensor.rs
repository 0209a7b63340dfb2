//! What the tensor directory says of each tensor: name, element type, shape, place.

use crate::{Error, Result};

/// An element type of GGML. Quantized types come in blocks of [`block_len`](Self::block_len) elements that
/// take [`block_bytes`](Self::block_bytes) bytes; a row is a whole number of blocks.
///
/// Source: `enum ggml_type` in <https://github.com/ggml-org/ggml/blob/master/include/ggml.h>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
#[expect(missing_docs, reason = "the names are GGUF's own")]
pub enum TensorType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

struct Traits {
    dtype: TensorType,
    id: u32,
    name: &'static str,
    block_len: usize,
    block_bytes: usize,
}

const fn row(dtype: TensorType, id: u32, name: &'static str, block_len: usize, block_bytes: usize) -> Traits {
    Traits { dtype, id, name, block_len, block_bytes }
}

/// Every type, in the order of the enum. The bytes of a block are written as the sum of its parts: scales and
/// minima first, then the packed elements.
///
/// Source: the static asserts in <https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>.
const TRAITS: [Traits; 35] = [
    row(TensorType::F32, 0, "F32", 1, 4),
    row(TensorType::F16, 1, "F16", 1, 2),
    row(TensorType::Q4_0, 2, "Q4_0", 32, 2 + 16),
    row(TensorType::Q4_1, 3, "Q4_1", 32, 4 + 16),
    row(TensorType::Q5_0, 6, "Q5_0", 32, 2 + 4 + 16),
    row(TensorType::Q5_1, 7, "Q5_1", 32, 4 + 4 + 16),
    row(TensorType::Q8_0, 8, "Q8_0", 32, 2 + 32),
    row(TensorType::Q8_1, 9, "Q8_1", 32, 4 + 32),
    row(TensorType::Q2_K, 10, "Q2_K", 256, 4 + 16 + 64),
    row(TensorType::Q3_K, 11, "Q3_K", 256, 2 + 12 + 32 + 64),
    row(TensorType::Q4_K, 12, "Q4_K", 256, 4 + 12 + 128),
    row(TensorType::Q5_K, 13, "Q5_K", 256, 4 + 12 + 32 + 128),
    row(TensorType::Q6_K, 14, "Q6_K", 256, 2 + 16 + 64 + 128),
    row(TensorType::Q8_K, 15, "Q8_K", 256, 4 + 32 + 256),
    row(TensorType::IQ2_XXS, 16, "IQ2_XXS", 256, 2 + 64),
    row(TensorType::IQ2_XS, 17, "IQ2_XS", 256, 2 + 8 + 64),
    row(TensorType::IQ3_XXS, 18, "IQ3_XXS", 256, 2 + 96),
    row(TensorType::IQ1_S, 19, "IQ1_S", 256, 2 + 32 + 16),
    row(TensorType::IQ4_NL, 20, "IQ4_NL", 32, 2 + 16),
    row(TensorType::IQ3_S, 21, "IQ3_S", 256, 2 + 4 + 104),
    row(TensorType::IQ2_S, 22, "IQ2_S", 256, 2 + 16 + 64),
    row(TensorType::IQ4_XS, 23, "IQ4_XS", 256, 2 + 2 + 4 + 128),
    row(TensorType::I8, 24, "I8", 1, 1),
    row(TensorType::I16, 25, "I16", 1, 2),
    row(TensorType::I32, 26, "I32", 1, 4),
    row(TensorType::I64, 27, "I64", 1, 8),
    row(TensorType::F64, 28, "F64", 1, 8),
    row(TensorType::IQ1_M, 29, "IQ1_M", 256, 8 + 16 + 32),
    row(TensorType::BF16, 30, "BF16", 1, 2),
    row(TensorType::TQ1_0, 34, "TQ1_0", 256, 2 + 4 + 48),
    row(TensorType::TQ2_0, 35, "TQ2_0", 256, 2 + 64),
    row(TensorType::MXFP4, 39, "MXFP4", 32, 1 + 16),
    row(TensorType::NVFP4, 40, "NVFP4", 64, 4 + 32),
    row(TensorType::Q1_0, 41, "Q1_0", 128, 2 + 16),
    row(TensorType::Q2_0, 42, "Q2_0", 64, 2 + 16),
];

// `TensorType::traits` stands on this.
const _: () = {
    let mut i = 0;
    while i < TRAITS.len() {
        assert!(TRAITS[i].dtype as usize == i);
        i += 1;
    }
};

impl TensorType {
    /// The type with GGML's number `id`, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        TRAITS.iter().find(|traits| traits.id == id).map(|traits| traits.dtype)
    }

    /// GGML's number of the type.
    pub const fn id(self) -> u32 {
        self.traits().id
    }

    /// GGML's name in upper case, as in `Q4_K`.
    pub const fn name(self) -> &'static str {
        self.traits().name
    }

    /// Elements in a block; 1 for the types that are not quantized.
    pub const fn block_len(self) -> usize {
        self.traits().block_len
    }

    /// Bytes in a block.
    pub const fn block_bytes(self) -> usize {
        self.traits().block_bytes
    }

    const fn traits(self) -> &'static Traits {
        &TRAITS[self as usize]
    }
}

/// A tensor of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// GGUF's name, as in `blk.0.attn_q.weight`.
    pub name: String,
    /// The element type.
    pub dtype: TensorType,
    /// The shape, outermost dimension first, row-major. (GGUF writes it innermost first; the parser turns it.)
    pub shape: Vec<usize>,
    /// Where the tensor's bytes begin, counted from the start of the data section.
    pub offset: u64,
    /// How many bytes the tensor takes.
    pub n_bytes: u64,
}

impl TensorInfo {
    /// The tensor with this entry in the directory; `dims` as the file has them, innermost first.
    ///
    /// # Errors
    /// `invalid_model` if a dimension is 0, a row is no whole number of blocks, or the size overflows;
    /// `unsupported_model` if the type is not known or the size is beyond the address space.
    pub(super) fn new(name: String, dims: Vec<u64>, type_id: u32, offset: u64) -> Result<Self> {
        let mut shape = dims;
        shape.reverse(); // The one place where GGUF's order is turned.
        let Some(dtype) = TensorType::from_id(type_id) else {
            return Err(Error::unsupported_model(format!(
                "tensor `{name}` should be of a type that GGML has, but is of type {type_id}"
            )));
        };
        if shape.contains(&0) {
            return Err(Error::invalid_model(format!(
                "tensor `{name}` should have no dimension of 0, but has the shape {shape:?}"
            )));
        }
        let (block_len, block_bytes) = (dtype.block_len() as u64, dtype.block_bytes() as u64);
        if let Some(row) = shape.last().filter(|row| !row.is_multiple_of(block_len)) {
            return Err(Error::invalid_model(format!(
                "tensor `{name}` of type {} should have a multiple of {block_len} elements in a row, but has {row}",
                dtype.name()
            )));
        }
        let n_elements = shape.iter().try_fold(1, |n: u64, &dim| n.checked_mul(dim));
        let n_bytes = n_elements.and_then(|n| (n / block_len).checked_mul(block_bytes));
        let Some((n_elements, n_bytes)) = n_elements.zip(n_bytes) else {
            return Err(Error::invalid_model(format!(
                "tensor `{name}` should have fewer than 2^64 elements and bytes, but has the shape {shape:?}"
            )));
        };
        // On wasm32 this is where 4 GiB are too many. No dimension is larger than the number of elements.
        if usize::try_from(n_elements.max(n_bytes)).is_err() {
            return Err(Error::unsupported_model(format!(
                "tensor `{name}` should fit the address space, but has {n_elements} elements in {n_bytes} bytes"
            )));
        }
        let shape = shape.into_iter().map(|dim| dim as usize).collect();
        Ok(Self { name, dtype, shape, offset, n_bytes })
    }
}
