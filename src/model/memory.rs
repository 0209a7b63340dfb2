//! Asking for memory before Candle does: its allocations abort where they fail.

use crate::{Error, ErrorKind, Result};

/// Checks that `n_bytes` can be allocated now. On the one thread of a wasm instance nothing comes in between; natively
/// the answer is as good as the allocator's, which may promise more than there is.
///
/// # Errors
/// `out_of_memory`, naming `what` the memory is for.
pub(super) fn room_for(what: &str, n_bytes: usize) -> Result<()> {
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
    fn what_is_too_large_is_named() {
        assert!(room_for("little", 1 << 20).is_ok());
        let error = room_for("token_embd.weight", usize::MAX / 2).expect_err("half the address space");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.detail().starts_with("`token_embd.weight` needs "), "{error}");
    }
}
