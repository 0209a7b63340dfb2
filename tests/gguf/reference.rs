//! Real files read as Candle's own reader reads them: the same metadata, the same tensors, the same bytes.

use super::reading::read;
use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value as CandleValue};
use std::io::Cursor;
use tallow::gguf::{Array, Value};

#[test]
fn a_small_model() {
    assert_same_as_candle(include_bytes!("../golden/tiny/tiny-Q4_0.gguf"), 22);
}

#[test]
fn the_vocabulary_of_llama_3() {
    assert_same_as_candle(include_bytes!("../golden/vocab/ggml-vocab-llama-bpe.gguf"), 0);
}

#[test]
fn the_vocabulary_of_llama_2() {
    assert_same_as_candle(include_bytes!("../golden/vocab/ggml-vocab-llama-spm.gguf"), 0);
}

fn assert_same_as_candle(bytes: &[u8], n_tensors: usize) {
    let ours = read(bytes, 4096).unwrap();
    let mut reader = Cursor::new(bytes);
    let theirs = Content::read(&mut reader).unwrap();

    assert_eq!(ours.header.metadata.len(), theirs.metadata.len());
    for (key, value) in ours.header.metadata.iter() {
        // `assert_eq!` would print megabytes.
        assert!(same(value, &theirs.metadata[key]), "metadata value `{key}`");
    }

    assert_eq!((ours.header.tensors.len(), theirs.tensor_infos.len()), (n_tensors, n_tensors));
    for (tensor, data) in ours.header.tensors.iter().zip(&ours.tensors) {
        let info = &theirs.tensor_infos[&tensor.name];
        assert_eq!(
            (tensor.shape.as_slice(), tensor.offset),
            (info.shape.dims(), info.offset),
            "{}",
            tensor.name
        );
        assert_eq!(tensor.dtype.block_len(), info.ggml_dtype.block_size(), "{}", tensor.name);
        assert_eq!(tensor.dtype.block_bytes(), info.ggml_dtype.type_size(), "{}", tensor.name);
        let their_tensor = theirs.tensor(&mut reader, &tensor.name, &Device::Cpu).unwrap();
        assert!(*data == *their_tensor.data().unwrap(), "the bytes of `{}`", tensor.name);
    }
    if n_tensors > 0 {
        assert_eq!(ours.header.data_offset, theirs.tensor_data_offset);
    }
}

fn same(ours: &Value, theirs: &CandleValue) -> bool {
    match (ours, theirs) {
        (Value::U8(ours), CandleValue::U8(theirs)) => ours == theirs,
        (Value::I8(ours), CandleValue::I8(theirs)) => ours == theirs,
        (Value::U16(ours), CandleValue::U16(theirs)) => ours == theirs,
        (Value::I16(ours), CandleValue::I16(theirs)) => ours == theirs,
        (Value::U32(ours), CandleValue::U32(theirs)) => ours == theirs,
        (Value::I32(ours), CandleValue::I32(theirs)) => ours == theirs,
        (Value::F32(ours), CandleValue::F32(theirs)) => ours == theirs,
        (Value::Bool(ours), CandleValue::Bool(theirs)) => ours == theirs,
        (Value::String(ours), CandleValue::String(theirs)) => ours == theirs,
        (Value::U64(ours), CandleValue::U64(theirs)) => ours == theirs,
        (Value::I64(ours), CandleValue::I64(theirs)) => ours == theirs,
        (Value::F64(ours), CandleValue::F64(theirs)) => ours == theirs,
        (Value::Array(ours), CandleValue::Array(theirs)) => {
            let ours = elements(ours);
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        _ => false,
    }
}

fn elements(array: &Array) -> Vec<Value> {
    match array {
        Array::U8(values) => values.iter().copied().map(Value::U8).collect(),
        Array::I8(values) => values.iter().copied().map(Value::I8).collect(),
        Array::U16(values) => values.iter().copied().map(Value::U16).collect(),
        Array::I16(values) => values.iter().copied().map(Value::I16).collect(),
        Array::U32(values) => values.iter().copied().map(Value::U32).collect(),
        Array::I32(values) => values.iter().copied().map(Value::I32).collect(),
        Array::F32(values) => values.iter().copied().map(Value::F32).collect(),
        Array::Bool(values) => values.iter().copied().map(Value::Bool).collect(),
        Array::String(values) => values.iter().cloned().map(Value::String).collect(),
        Array::Array(values) => values.iter().cloned().map(Value::Array).collect(),
        Array::U64(values) => values.iter().copied().map(Value::U64).collect(),
        Array::I64(values) => values.iter().copied().map(Value::I64).collect(),
        Array::F64(values) => values.iter().copied().map(Value::F64).collect(),
    }
}
