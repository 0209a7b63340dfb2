//! What memory a model needs, told before it is loaded; and asking for memory before Candle does, whose allocations abort
//! where they fail.

use super::weights::packed_type;
use super::{Config, KvCache};
use crate::gguf::TensorInfo;
use crate::kernels::{KvType, PackedMatrix};
use crate::{Error, ErrorKind, Result};
use serde::Serialize;

/// Bytes of memory that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryNeed {
    /// Packed weights.
    pub weights: u64,
    /// Keys and values of a context that is full.
    pub kv_cache: u64,
    /// What a step works with, the tokenizer, and the program itself; an estimate.
    pub rest: u64,
}

/// The program, its stacks, and what a step works with but for the logits.
const PROGRAM_BYTES: u64 = 12 << 20;
/// Strings, ids and merges take about so many times the bytes that they have in the file.
const TOKENIZER_FACTOR: u64 = 8;

impl MemoryNeed {
    /// For a context of `n_ctx` tokens held as `kv_type`, where the file has `header_len` bytes before its `tensors`.
    pub fn new(
        config: &Config,
        tensors: &[TensorInfo],
        header_len: u64,
        n_ctx: usize,
        kv_type: KvType,
    ) -> Self {
        let logits = 4 * 4 * config.n_vocab as u64;
        Self {
            weights: packed_bytes(tensors),
            kv_cache: KvCache::n_bytes(config, n_ctx, kv_type),
            rest: PROGRAM_BYTES + TOKENIZER_FACTOR * header_len + logits,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache).saturating_add(self.rest)
    }

    /// Checks that it is no more than `limit`, if there is one.
    ///
    /// # Errors
    /// `out_of_memory` with the numbers.
    pub fn check(&self, limit: Option<u64>) -> Result<()> {
        let Some(limit) = limit.filter(|&limit| self.total() > limit) else { return Ok(()) };
        let Self { weights, kv_cache, rest } = self;
        Err(Error::new(
            ErrorKind::OutOfMemory,
            format!(
                "the model needs {} bytes ({weights} for its weights, {kv_cache} for the KV cache of a full context, {rest} for \
                 the rest), but there can be only {limit}",
                self.total()
            ),
        ))
    }
}

/// Bytes of `tensors`, packed. Those of types without kernels count as they are.
pub(super) fn packed_bytes(tensors: &[TensorInfo]) -> u64 {
    let packed = |info: &TensorInfo| match info.shape[..] {
        [n] => Some((n as u64).saturating_mul(4)),
        [ref rows @ .., n_in] => {
            PackedMatrix::n_bytes(packed_type(info).ok()?, rows.iter().product(), n_in).map(|n| n as u64)
        }
        [] => None,
    };
    tensors.iter().map(|info| packed(info).unwrap_or(info.n_bytes)).fold(0, u64::saturating_add)
}

/// Checks that `n_bytes` can be allocated now. On the one thread of a wasm instance nothing comes in between; natively
/// the answer is as good as the allocator's, which may promise more than there is.
///
/// # Errors
/// `out_of_memory`, naming `what` the memory is for.
pub(crate) fn room_for(what: &str, n_bytes: usize) -> Result<()> {
    Vec::<u8>::new().try_reserve_exact(n_bytes).map_err(|_| no_room(what, n_bytes as u64))
}

/// There is no room for `what`.
pub(super) fn no_room(what: &str, n_bytes: u64) -> Error {
    Error::new(
        ErrorKind::OutOfMemory,
        format!("`{what}` needs {n_bytes} bytes, which could not be allocated"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_64_bits_are_as_many_as_can_be_counted() {
        let dtype = crate::gguf::TensorType::Q4_0;
        let shape = vec![usize::MAX];
        let vector = TensorInfo { name: "huge".to_owned(), dtype, shape, offset: 0, n_bytes: 18 };
        let each = (usize::MAX as u64).saturating_mul(4);
        assert_eq!(packed_bytes(&[vector.clone(), vector]), each.saturating_add(each));
    }

    #[test]
    fn what_is_too_large_is_named() {
        assert!(room_for("little", 1 << 20).is_ok());
        let error = room_for("token_embd.weight", usize::MAX / 2).expect_err("half the address space");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.detail().starts_with("`token_embd.weight` needs "), "{error}");
    }
}
