//! Arrays within arrays within arrays.

use super::builder::{Gguf, value_type};
use super::reading::{assert_invalid, read};
use tallow::gguf::limits::MAX_ARRAY_DEPTH;

/// A file with one value: `depth` arrays in each other, the innermost of three bytes.
fn nested(depth: usize) -> Vec<u8> {
    let mut file = Gguf::new(0, 1).key("deep", value_type::ARRAY);
    for _ in 1..depth {
        file = file.u32(value_type::ARRAY).u64(1);
    }
    file.u32(value_type::U8).u64(3).bytes(&[1, 2, 3]).finish()
}

#[test]
fn as_deep_as_the_limit() {
    let file = read(&nested(MAX_ARRAY_DEPTH), 1).unwrap();
    let value = format!("{:?}", file.header.metadata.get("deep"));
    assert_eq!(value, "Some(Array(Array([Array([Array([U8([1, 2, 3])])])])))");
}

#[test]
fn deeper_than_the_limit() {
    for depth in [MAX_ARRAY_DEPTH + 1, 1000] {
        let detail = "metadata value `deep[0][0][0][0]` should be at most 4 arrays deep, but is deeper";
        assert_invalid(&nested(depth), detail);
    }
}
