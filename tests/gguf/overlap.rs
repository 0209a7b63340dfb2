//! Tensors that share bytes.

use super::builder::{Gguf, tensor_type::I8};
use super::reading::assert_invalid;

#[test]
fn the_end_of_one_is_the_begin_of_another() {
    // The directory's order does not matter.
    let file = Gguf::new(3, 0).tensor("c", &[8], I8, 96).tensor("b", &[8], I8, 32).tensor("a", &[33], I8, 0);
    assert_invalid(
        &file.finish_with_data(128),
        "tensor `b` should have an offset of at least 33, where `a` ends, but has 32",
    );
}

#[test]
fn one_within_another() {
    let file = Gguf::new(2, 0).tensor("outer", &[4096], I8, 0).tensor("inner", &[8], I8, 1024);
    assert_invalid(
        &file.finish_with_data(4096),
        "tensor `inner` should have an offset of at least 4096, where `outer` ends, but has 1024",
    );
}

#[test]
fn two_in_one_place() {
    let file = Gguf::new(2, 0).tensor("one", &[8], I8, 32).tensor("other", &[8], I8, 32);
    assert_invalid(
        &file.finish_with_data(64),
        "tensor `other` should have an offset of at least 40, where `one` ends, but has 32",
    );
}
