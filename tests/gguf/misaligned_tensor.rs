//! Offsets that are no multiple of the alignment.

use super::builder::{Gguf, tensor_type::I8, value_type};
use super::reading::assert_invalid;

#[test]
fn with_the_default_alignment() {
    let file = Gguf::new(3, 0).tensor("a", &[8], I8, 0).tensor("b", &[8], I8, 40).tensor("c", &[8], I8, 64);
    assert_invalid(
        &file.finish_with_data(96),
        "tensor `b` should have an offset that is a multiple of 32, but has 40",
    );
}

#[test]
fn with_the_files_alignment() {
    let file = Gguf::new(2, 1).key("general.alignment", value_type::U32).u32(64);
    let file = file.tensor("a", &[8], I8, 0).tensor("b", &[8], I8, 32);
    assert_invalid(
        &file.finish_with_data(96),
        "tensor `b` should have an offset that is a multiple of 64, but has 32",
    );
}
