//! Arrays longer than the limit, and arrays that only claim to be long.

use super::builder::{Gguf, value_type};
use super::peak_memory::peak_memory;
use super::reading::{assert_invalid, read};
use tallow::gguf::limits::MAX_ARRAY_LEN;

#[test]
fn longer_than_the_limit() {
    for len in [MAX_ARRAY_LEN + 1, 1 << 32, u64::MAX] {
        assert_invalid(
            &Gguf::new(0, 1).array("tokenizer.ggml.tokens", value_type::STRING, len).finish(),
            &format!(
                "metadata value `tokenizer.ggml.tokens` should have at most 4194304 elements, but has {len}"
            ),
        );
    }
}

#[test]
fn within_an_array() {
    let file = Gguf::new(0, 1).array("nested", value_type::ARRAY, 2);
    let file = file.u32(value_type::U8).u64(0).u32(value_type::U8).u64(u64::MAX).finish();
    assert_invalid(
        &file,
        "metadata value `nested[1]` should have at most 4194304 elements, but has 18446744073709551615",
    );
}

#[test]
fn memory_grows_with_the_elements_not_with_the_claim() {
    let file =
        Gguf::new(0, 1).array("long", value_type::STRING, MAX_ARRAY_LEN).string("a").string("b").finish();
    let (result, peak) = peak_memory(|| read(&file, 7));
    let detail = "metadata value `long[2]` should be complete, but the file ends after 70 bytes";
    assert_eq!(result.unwrap_err().detail(), detail);
    assert!(peak < 4096, "{peak} bytes");
}
