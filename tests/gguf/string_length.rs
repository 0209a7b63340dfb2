//! Strings longer than the limit, and strings that only claim to be long.

use super::builder::{Gguf, value_type};
use super::peak_memory::peak_memory;
use super::reading::{assert_invalid, read};
use tallow::gguf::limits::MAX_STRING_LEN;

#[test]
fn a_value_longer_than_the_limit() {
    for len in [MAX_STRING_LEN + 1, 1 << 32, u64::MAX] {
        assert_invalid(
            &Gguf::new(0, 1).key("tokenizer.chat_template", value_type::STRING).u64(len).finish(),
            &format!(
                "metadata value `tokenizer.chat_template` should have at most 33554432 bytes, but has {len}"
            ),
        );
    }
}

#[test]
fn an_element_longer_than_the_limit() {
    let file =
        Gguf::new(0, 1).array("tokens", value_type::STRING, 3).string("a").u64(MAX_STRING_LEN + 1).finish();
    assert_invalid(&file, "metadata value `tokens[1]` should have at most 33554432 bytes, but has 33554433");
}

#[test]
fn memory_grows_with_the_bytes_not_with_the_claim() {
    let file = Gguf::new(0, 1).key("long", value_type::STRING).u64(MAX_STRING_LEN).bytes(b"short").finish();
    let (result, peak) = peak_memory(|| read(&file, 7));
    let detail = "metadata value `long` should be complete, but the file ends after 53 bytes";
    assert_eq!(result.unwrap_err().detail(), detail);
    assert!(peak < 4096, "{peak} bytes");
}
