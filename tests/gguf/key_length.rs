//! Metadata keys that are empty or too long.

use super::builder::Gguf;
use super::reading::{assert_invalid, read};
use tallow::gguf::limits::MAX_KEY_LEN;

#[test]
fn an_empty_key() {
    let file = Gguf::new(0, 3).key("a", 0).u8(1).key("", 0).u8(2).key("c", 0).u8(3).finish();
    assert_invalid(&file, "metadata key 2 of 3 should not be empty");
}

#[test]
fn a_key_longer_than_the_limit() {
    for len in [MAX_KEY_LEN + 1, u64::MAX] {
        assert_invalid(
            &Gguf::new(0, 2).u64(len).finish(),
            &format!("metadata key 1 of 2 should have at most 65535 bytes, but has {len}"),
        );
    }
}

#[test]
fn a_key_as_long_as_the_limit() {
    let key = "k".repeat(MAX_KEY_LEN as usize);
    let file = Gguf::new(0, 1).key(&key, 0).u8(1).finish();
    assert!(read(&file, 4096).unwrap().header.metadata.contains(&key));
}
