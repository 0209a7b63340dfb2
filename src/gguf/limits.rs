//! What a file may ask for. A count or length from the file is held against its limit before it is believed, and
//! even then memory grows with the bytes that arrive, never with a number the file states.
//!
//! Each limit is several times what the largest published models need.

/// Bytes from the start of the file to the end of the tensor directory. Llama 3's 128 256 tokens and 280 147
/// merges take 7.8 MB.
pub const MAX_HEADER_LEN: u64 = 64 << 20;

/// Metadata pairs. Models have about 30.
pub const MAX_METADATA_PAIRS: u64 = 1 << 16;

/// Bytes of a metadata key, as the format says.
pub const MAX_KEY_LEN: u64 = (1 << 16) - 1;

/// Bytes of a metadata string. Chat templates reach 100 KB; a whole `tokenizer.json` as a string, 20 MB.
pub const MAX_STRING_LEN: u64 = 32 << 20;

/// Elements of a metadata array. Vocabularies have up to 262 144 tokens and twice as many merges.
pub const MAX_ARRAY_LEN: u64 = 1 << 22;

/// Arrays within arrays. GGML's own reader knows one level.
pub const MAX_ARRAY_DEPTH: usize = 4;

/// Tensors. The largest mixtures of experts have a few thousand.
pub const MAX_TENSORS: u64 = 1 << 16;

/// Bytes of a tensor's name. The format says 64; some writers go beyond.
pub const MAX_TENSOR_NAME_LEN: u64 = 256;

/// Dimensions of a tensor, as in GGML.
pub const MAX_DIMS: u64 = 4;

/// Bytes of a file: what a JavaScript number counts exactly.
pub const MAX_FILE_LEN: u64 = 1 << 53;
