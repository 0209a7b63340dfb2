//! Absurd counts of tensors and metadata pairs.

use super::builder::Gguf;
use super::reading::assert_invalid;
use tallow::gguf::limits::{MAX_METADATA_PAIRS, MAX_TENSORS};

#[test]
fn too_many_tensors() {
    for n_tensors in [MAX_TENSORS + 1, 1 << 32, u64::MAX] {
        assert_invalid(
            &Gguf::new(n_tensors, 0).finish(),
            &format!("the file should have at most 65536 tensors, but has {n_tensors}"),
        );
    }
}

#[test]
fn too_many_pairs() {
    for n_pairs in [MAX_METADATA_PAIRS + 1, 1 << 32, u64::MAX] {
        assert_invalid(
            &Gguf::new(0, n_pairs).finish(),
            &format!("the file should have at most 65536 metadata pairs, but has {n_pairs}"),
        );
    }
}

#[test]
fn as_many_as_allowed_are_only_missing() {
    assert_invalid(
        &Gguf::new(MAX_TENSORS, MAX_METADATA_PAIRS).finish(),
        "metadata key 1 of 65536 should be complete, but the file ends after 24 bytes",
    );
}
