//! Names of tensors that are empty or too long.

use super::builder::{Gguf, tensor_type::F32};
use super::reading::{assert_invalid, read};
use tallow::gguf::limits::MAX_TENSOR_NAME_LEN;

#[test]
fn an_empty_name() {
    let file = Gguf::new(3, 0).tensor("a", &[8], F32, 0).tensor("", &[8], F32, 32).finish();
    assert_invalid(&file, "the name of tensor 2 of 3 should not be empty");
}

#[test]
fn a_name_longer_than_the_limit() {
    for len in [MAX_TENSOR_NAME_LEN + 1, u64::MAX] {
        assert_invalid(
            &Gguf::new(1, 0).u64(len).finish(),
            &format!("the name of tensor 1 of 1 should have at most 256 bytes, but has {len}"),
        );
    }
}

#[test]
fn a_name_as_long_as_the_limit() {
    let name = "t".repeat(MAX_TENSOR_NAME_LEN as usize);
    let file = read(&Gguf::new(1, 0).tensor(&name, &[8], F32, 0).finish_with_data(32), 7).unwrap();
    assert_eq!(file.header.tensors[0].name, name);
}
