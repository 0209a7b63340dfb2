//! Strings that are no UTF-8: keys, values, elements, tensor names.

use super::builder::{Gguf, value_type};
use super::reading::assert_invalid;

#[test]
fn a_key() {
    assert_invalid(
        &Gguf::new(0, 2).key("a", 0).u8(1).string(b"b\xff").finish(),
        "metadata key 2 of 2 should be UTF-8, but is not at byte 1",
    );
}

#[test]
fn a_value() {
    assert_invalid(
        &Gguf::new(0, 1).key("general.name", value_type::STRING).string(b"caf\xe9").finish(),
        "metadata value `general.name` should be UTF-8, but is not at byte 3",
    );
}

#[test]
fn an_element() {
    let strings = Gguf::new(0, 1).array("tokens", value_type::STRING, 3).string("a").string("b");
    assert_invalid(
        &strings.string(b"\xc3").finish(),
        "metadata value `tokens[2]` should be UTF-8, but is not at byte 0",
    );
}

#[test]
fn a_tensors_name() {
    assert_invalid(
        &Gguf::new(3, 0).string(b"blk.\x80").finish(),
        "the name of tensor 1 of 3 should be UTF-8, but is not at byte 4",
    );
}
