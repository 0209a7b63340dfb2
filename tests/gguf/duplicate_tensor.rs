//! Two tensors of one name.

use super::builder::{Gguf, tensor_type::F32};
use super::reading::assert_invalid;

#[test]
fn a_name_twice() {
    let file = Gguf::new(3, 0)
        .tensor("blk.0.attn_q.weight", &[8], F32, 0)
        .tensor("blk.0.attn_k.weight", &[8], F32, 32)
        .tensor("blk.0.attn_q.weight", &[8], F32, 64);
    assert_invalid(&file.finish_with_data(96), "tensor `blk.0.attn_q.weight` occurs twice");
}
