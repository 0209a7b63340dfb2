//! Offsets beyond any file.

use super::builder::{Gguf, tensor_type::I8};
use super::reading::assert_invalid;
use tallow::gguf::limits::MAX_FILE_LEN;

#[test]
fn an_end_that_no_number_holds() {
    assert_invalid(
        &Gguf::new(1, 0).tensor("t", &[32], I8, u64::MAX - 31).finish(),
        "tensor `t` should end within a file of 9007199254740992 bytes, \
         but has an offset of 18446744073709551584 and 32 bytes",
    );
}

#[test]
fn an_end_beyond_the_limit() {
    // The header takes 64 bytes here.
    assert_invalid(
        &Gguf::new(1, 0).tensor("t", &[32], I8, MAX_FILE_LEN - 64).finish(),
        "tensor `t` should end within a file of 9007199254740992 bytes, \
         but has an offset of 9007199254740928 and 32 bytes",
    );
}

#[test]
fn an_end_at_the_limit_is_only_missing() {
    assert_invalid(
        &Gguf::new(1, 0).tensor("t", &[32], I8, MAX_FILE_LEN - 96).finish(),
        "tensor `t` should have 32 bytes, but the file ends after its first 0",
    );
}
