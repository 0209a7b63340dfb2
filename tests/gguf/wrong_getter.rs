//! Metadata that is well formed but not what its reader asks for.

use super::builder::valid;
use super::reading::read;
use tallow::{ErrorKind, Result};

fn assert_detail<T>(result: Result<T>, detail: &str) {
    match result {
        Ok(_) => panic!("should fail with: {detail}"),
        Err(error) => assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidModel, detail)),
    }
}

#[test]
fn missing_keys() {
    let metadata = read(&valid(3), 64).unwrap().header.metadata;
    assert!(!metadata.contains("no.such"));
    assert!(metadata.get("no.such").is_none());
    assert_detail(metadata.str("no.such"), "metadata key `no.such` is missing");
    assert_detail(metadata.u32("no.such"), "metadata key `no.such` is missing");
    assert_detail(metadata.strings("no.such"), "metadata key `no.such` is missing");
}

#[test]
fn other_types() {
    let metadata = read(&valid(3), 64).unwrap().header.metadata;
    assert_detail(metadata.str("a.bool"), "metadata key `a.bool` should be of type string, but is bool");
    assert_detail(metadata.u32("a.f32"), "metadata key `a.f32` should be of type u32, but is f32");
    assert_detail(metadata.f32("a.u32"), "metadata key `a.u32` should be of type f32, but is u32");
    assert_detail(metadata.bool("a.u8"), "metadata key `a.u8` should be of type bool, but is u8");
    assert_detail(
        metadata.strings("numbers"),
        "metadata key `numbers` should be of type array of string, but is array of i32",
    );
    assert_detail(
        metadata.f32s("nested"),
        "metadata key `nested` should be of type array of f32, but is array of arrays",
    );
    assert_detail(
        metadata.i32s("strings"),
        "metadata key `strings` should be of type array of i32, but is array of string",
    );
}

#[test]
fn numbers_out_of_range() {
    let metadata = read(&valid(3), 64).unwrap().header.metadata;
    assert_detail(metadata.u32("a.i8"), "metadata key `a.i8` should be in 0..2^32, but is -100");
    assert_detail(
        metadata.u32("a.u64"),
        "metadata key `a.u64` should be in 0..2^32, but is 9223372036854775808",
    );
    assert_detail(
        metadata.u32("a.i64"),
        "metadata key `a.i64` should be in 0..2^32, but is -9223372036854775808",
    );
}
