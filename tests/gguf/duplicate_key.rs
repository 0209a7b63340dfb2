//! A metadata key that occurs twice.

use super::builder::Gguf;
use super::reading::assert_invalid;

#[test]
fn a_key_twice() {
    let file = Gguf::new(0, 3).key("twin", 0).u8(1).key("other", 0).u8(1).key("twin", 8).string("x").finish();
    assert_invalid(&file, "metadata key `twin` occurs twice");
}
