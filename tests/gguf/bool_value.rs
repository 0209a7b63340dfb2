//! A bool is 0 or 1.

use super::builder::{Gguf, value_type};
use super::reading::assert_invalid;

#[test]
fn a_bool_of_two() {
    assert_invalid(
        &Gguf::new(0, 1).key("flag", value_type::BOOL).u8(2).finish(),
        "metadata value `flag` should be a bool, 0 or 1, but is 2",
    );
}

#[test]
fn within_an_array() {
    assert_invalid(
        &Gguf::new(0, 1).array("flags", value_type::BOOL, 3).bytes(&[0, 1, 255]).finish(),
        "metadata value `flags[2]` should be a bool, 0 or 1, but is 255",
    );
}
