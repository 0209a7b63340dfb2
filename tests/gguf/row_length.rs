//! Rows that are no whole number of blocks.

use super::builder::{Gguf, tensor_type};
use super::reading::{assert_invalid, read};

#[test]
fn a_row_that_cuts_a_block() {
    for row in [1, 31, 33, 48] {
        assert_invalid(
            &Gguf::new(1, 0).tensor("blk.0.ffn_up.weight", &[row, 32], tensor_type::Q4_0, 0).finish(),
            &format!(
                "tensor `blk.0.ffn_up.weight` of type Q4_0 should have a multiple of 32 elements in a row, but has {row}"
            ),
        );
    }
    let q6_k = 14;
    assert_invalid(
        &Gguf::new(1, 0).tensor("output.weight", &[576, 256], q6_k, 0).finish(),
        "tensor `output.weight` of type Q6_K should have a multiple of 256 elements in a row, but has 576",
    );
}

#[test]
fn whole_blocks() {
    for (row, n_bytes) in [(32, 18), (64, 36), (96, 54)] {
        let file = Gguf::new(1, 0).tensor("t", &[row, 3], tensor_type::Q4_0, 0).finish_with_data(3 * n_bytes);
        assert_eq!(read(&file, 7).unwrap().header.tensors[0].n_bytes, 3 * n_bytes as u64);
    }
}
