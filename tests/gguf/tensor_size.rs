//! Tensors whose size no number holds.

use super::builder::{
    Gguf,
    tensor_type::{F32, I8},
};
use super::reading::{assert_invalid, assert_unsupported};

#[test]
fn more_than_2_to_the_64_elements() {
    assert_invalid(
        &Gguf::new(1, 0).tensor("t", &[1 << 32, 1 << 31, 2], I8, 0).finish(),
        "tensor `t` should have fewer than 2^64 elements and bytes, but has the shape [2, 2147483648, 4294967296]",
    );
}

#[test]
fn more_than_2_to_the_64_bytes() {
    assert_invalid(
        &Gguf::new(1, 0).tensor("t", &[1 << 62], F32, 0).finish(),
        "tensor `t` should have fewer than 2^64 elements and bytes, but has the shape [4611686018427387904]",
    );
}

/// On wasm32 a tensor of 4 GiB has a size that `usize` does not hold; elsewhere it is a tensor like others.
#[test]
fn four_gigabytes() {
    let file = Gguf::new(1, 0).tensor("t", &[1 << 31, 2], I8, 0).pad(32).finish();
    if cfg!(target_pointer_width = "32") {
        assert_unsupported(
            &file,
            "tensor `t` should fit the address space, but has 4294967296 elements in 4294967296 bytes",
        );
    } else {
        assert_invalid(&file, "tensor `t` should have 4294967296 bytes, but the file ends after its first 0");
    }
}
