//! Metadata value types that the format does not have.

use super::builder::Gguf;
use super::reading::assert_invalid;

#[test]
fn of_a_value() {
    for value_type in [13, 255, u32::MAX] {
        assert_invalid(
            &Gguf::new(0, 1).key("some.key", value_type).finish(),
            &format!("metadata value `some.key` should be of value type 0 to 12, but is of {value_type}"),
        );
    }
}

#[test]
fn of_an_arrays_elements() {
    assert_invalid(
        &Gguf::new(0, 1).array("some.key", 13, 1).finish(),
        "each element of metadata value `some.key` should be of value type 0 to 12, but is of 13",
    );
}
