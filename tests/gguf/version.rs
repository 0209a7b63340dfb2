//! Versions other than 2 and 3.

use super::builder::Gguf;
use super::reading::assert_unsupported;

#[test]
fn versions_other_than_2_and_3() {
    for version in [0, 1, 4, 5, 0xffff_ffff] {
        assert_unsupported(
            &Gguf::version(version, 0, 0).finish(),
            &format!("the GGUF version should be 2 or 3, but is {version}"),
        );
    }
}
