//! Big-endian files: the magic is the same, the version is byte-swapped.

use super::builder::Gguf;
use super::reading::assert_unsupported;

#[test]
fn big_endian_files_of_every_version() {
    for version in [1u32, 2, 3, 4] {
        assert_unsupported(
            &Gguf::version(version.swap_bytes(), 0, 0).finish(),
            "the file should be little-endian GGUF, but is big-endian",
        );
    }
}
