//! Tensor types: those that GGML does not have are refused, those it has are measured as it measures them.

use super::builder::Gguf;
use super::reading::assert_unsupported;
use tallow::gguf::TensorType;

/// A line per type: number, name, elements in a block, bytes in a block, as `ggml_type_name`, `ggml_blck_size` and
/// `ggml_type_size` of ggml 0.25.3 give them.
const TYPES: &str = include_str!("../golden/gguf/types.txt");

#[test]
fn unknown_and_removed_types() {
    for id in [4, 5, 31, 38, 43, u32::MAX] {
        assert_unsupported(
            &Gguf::new(1, 0).tensor("output.weight", &[256], id, 0).finish(),
            &format!("tensor `output.weight` should be of a type that GGML has, but is of type {id}"),
        );
    }
}

#[test]
fn all_types_are_those_of_ggml() {
    let ours: String = (0..256)
        .filter_map(TensorType::from_id)
        .map(|t| format!("{} {} {} {}\n", t.id(), t.name(), t.block_len(), t.block_bytes()))
        .collect();
    assert_eq!(ours, TYPES);
}
