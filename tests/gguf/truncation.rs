//! Files that end too early: the error names what is not complete.

use super::builder::{Gguf, tensor_type::I8, valid, value_type};
use super::reading::{assert_invalid, read};
use tallow::ErrorKind;

#[test]
fn in_the_header() {
    let ends = |file: &[u8], place: &str| {
        let detail = format!("{place} should be complete, but the file ends after {} bytes", file.len());
        assert_invalid(file, &detail);
    };
    ends(b"", "the magic");
    ends(b"GGU", "the magic");
    ends(b"GGUF\x03", "the version");
    ends(b"GGUF\x03\0\0\0", "the counts of tensors and metadata pairs");
    let file = Gguf::new(2, 3);
    ends(&file.clone().finish(), "metadata key 1 of 3");
    ends(&file.clone().u64(5).bytes(b"abc").finish(), "metadata key 1 of 3");
    ends(&file.clone().string("some.key").finish(), "metadata value `some.key`");
    ends(&file.clone().key("some.key", value_type::U32).bytes(b"123").finish(), "metadata value `some.key`");
    ends(&file.clone().array("some.key", 4, 3).u32(1).u32(2).finish(), "metadata value `some.key[2]`");
    let file = file.key("a", 0).u8(1).key("b", 0).u8(2).key("c", 0).u8(3);
    ends(&file.clone().finish(), "the name of tensor 1 of 2");
    ends(&file.clone().string("t").u32(1).finish(), "tensor `t`");
    ends(&file.clone().tensor("t", &[8], I8, 0).finish(), "the name of tensor 2 of 2");
}

#[test]
fn in_the_data() {
    let header = Gguf::new(3, 0).tensor("c", &[8], I8, 64).tensor("a", &[8], I8, 0).tensor("b", &[8], I8, 32);
    let ends = |data_len: usize, tensor: &str, got: usize| {
        assert_invalid(
            &header.clone().finish_with_data(data_len),
            &format!("tensor `{tensor}` should have 8 bytes, but the file ends after its first {got}"),
        );
    };
    ends(0, "a", 0);
    ends(7, "a", 7);
    ends(8, "b", 0);
    ends(32, "b", 0);
    ends(39, "b", 7);
    ends(40, "c", 0);
    ends(71, "c", 7);
    assert!(read(&header.clone().finish_with_data(72), 7).is_ok());
    // The header is whole, the padding before the data is not.
    let header = header.finish();
    assert_invalid(&header, "tensor `a` should have 8 bytes, but the file ends after its first 0");
}

#[test]
fn anywhere() {
    let file = valid(3);
    let len = read(&file, file.len()).unwrap().header.file_len as usize;
    for end in 0..len {
        assert_eq!(read(&file[..end], 64).unwrap_err().kind(), ErrorKind::InvalidModel, "{end} bytes");
    }
    // Padding after the last tensor may be missing.
    for end in len..file.len() {
        assert!(read(&file[..end], 64).is_ok(), "{end} bytes");
    }
}
