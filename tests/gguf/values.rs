//! A valid file of each version, read back value by value.

use super::builder::{FIRST, Gguf, LAST, MIDDLE, valid};
use super::reading::read;
use tallow::gguf::{Array, TensorInfo, TensorType, Value};

#[test]
fn metadata() {
    let expected = [
        ("a.u8", Value::U8(200)),
        ("a.i8", Value::I8(-100)),
        ("a.u16", Value::U16(60_000)),
        ("a.i16", Value::I16(-30_000)),
        ("a.u32", Value::U32(4_000_000_000)),
        ("a.i32", Value::I32(-2_000_000_000)),
        ("a.f32", Value::F32(0.1)),
        ("a.bool", Value::Bool(true)),
        ("a.string", Value::String("Grüße, 世界".to_owned())),
        ("a.u64", Value::U64(1 << 63)),
        ("a.i64", Value::I64(i64::MIN)),
        ("a.f64", Value::F64(0.1)),
        ("strings", Value::Array(Array::String(["one", "", "three", "vier"].map(str::to_owned).to_vec()))),
        ("numbers", Value::Array(Array::I32(vec![1, 2, -1]))),
        ("empty", Value::Array(Array::String(vec![]))),
        (
            "nested",
            Value::Array(Array::Array(vec![
                Array::Bool(vec![true, false, true]),
                Array::U32(vec![]),
                Array::String(["x", "y", "z"].map(str::to_owned).to_vec()),
            ])),
        ),
        ("general.alignment", Value::U32(16)),
    ];
    for version in [2, 3] {
        let header = read(&valid(version), 64).unwrap().header;
        assert_eq!(header.version, version);
        assert_eq!(header.metadata.len(), expected.len());
        for ((key, value), (expected_key, expected_value)) in header.metadata.iter().zip(&expected) {
            assert_eq!((key, value), (*expected_key, expected_value));
        }
    }
}

#[test]
fn getters() {
    let metadata = read(&valid(3), 64).unwrap().header.metadata;
    assert!(!metadata.is_empty());
    assert!(metadata.contains("a.u8"));
    assert_eq!(metadata.str("a.string").unwrap(), "Grüße, 世界");
    assert_eq!(metadata.u32("a.u8").unwrap(), 200);
    assert_eq!(metadata.u32("a.u16").unwrap(), 60_000);
    assert_eq!(metadata.u32("a.u32").unwrap(), 4_000_000_000);
    assert_eq!(metadata.f32("a.f32").unwrap(), 0.1);
    assert_eq!(metadata.f32("a.f64").unwrap(), 0.1);
    assert!(metadata.bool("a.bool").unwrap());
    assert_eq!(metadata.strings("strings").unwrap(), ["one", "", "three", "vier"]);
    assert_eq!(metadata.i32s("numbers").unwrap(), [1, 2, -1]);
}

#[test]
fn tensors() {
    let info = |name: &str, dtype, shape: &[usize], offset, n_bytes| TensorInfo {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        offset,
        n_bytes,
    };
    for version in [2, 3] {
        let bytes = valid(version);
        let file = read(&bytes, 64).unwrap();
        let expected = [
            info("last", TensorType::Q4_0, &[2, 32], 64, 36),
            info("first", TensorType::F32, &[1, 2, 3], 0, 24),
            info("middle", TensorType::I8, &[5], 32, 5),
        ];
        assert_eq!(file.header.tensors, expected);
        assert_eq!(file.tensors, [&LAST[..], &FIRST, &MIDDLE]);
        assert_eq!(file.header.file_len, bytes.len() as u64 - 12);
        assert_eq!(file.header.data_offset, file.header.file_len - 100);
    }
}

#[test]
fn neither_pairs_nor_tensors() {
    for version in [2, 3] {
        let header = read(&Gguf::version(version, 0, 0).finish(), 64).unwrap().header;
        assert!(header.metadata.is_empty() && header.tensors.is_empty());
        assert_eq!((header.data_offset, header.file_len), (24, 24));
    }
}

#[test]
fn bytes_after_the_last_tensor_are_ignored() {
    let expected = read(&valid(3), 64).unwrap();
    let file = [valid(3), b"GGUF and whatever else".repeat(1000)].concat();
    assert_eq!(read(&file, 64).unwrap(), expected);
}
