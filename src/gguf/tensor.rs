//! What the tensor directory says of each tensor: name, element type, shape, place.

/// An element type of GGML. Quantized types come in blocks of [`block_len`](Self::block_len) elements that
/// take [`block_bytes`](Self::block_bytes) bytes.
///
/// Source: `enum ggml_type` in <https://github.com/ggml-org/ggml/blob/master/include/ggml.h>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
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
}

impl TensorType {
    /// The type with GGML's number `id`, if there is one.
    pub fn from_id(id: u32) -> Option<Self> {
        let _ = id;
        unimplemented!("gguf: helper")
    }

    /// GGML's name in upper case, as in `Q4_K`.
    pub fn name(self) -> &'static str {
        unimplemented!("gguf: helper")
    }

    /// Elements in a block; 1 for the types that are not quantized.
    pub fn block_len(self) -> usize {
        unimplemented!("gguf: helper")
    }

    /// Bytes in a block.
    pub fn block_bytes(self) -> usize {
        unimplemented!("gguf: helper")
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
