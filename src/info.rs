//! What a file says of itself, for those who must judge a model before they rely on it.

use crate::gguf::{Array, Header, Metadata, TensorInfo, Value, keys};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// A model's own account. Serialized, it is `model.info` of the npm package.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// `general.name`, if the file has it.
    pub name: Option<String>,
    /// `general.architecture`
    pub architecture: String,
    /// Number of weights.
    pub parameters: u64,
    /// Number of weights of each element type, by GGML's name.
    pub quantization: BTreeMap<&'static str, u64>,
    /// The context the model was trained on, in tokens.
    pub trained_context_length: u32,
    /// `general.license`
    pub license: Option<String>,
    /// `general.base_model.0.name`
    pub base_model: Option<String>,
    /// All metadata; see [`metadata_json`].
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl ModelInfo {
    /// Reads it from a file's header.
    ///
    /// # Errors
    /// `invalid_model` if a key is missing or of the wrong type.
    pub fn from_header(header: &Header) -> Result<Self> {
        let metadata = &header.metadata;
        let architecture = metadata.str(keys::GENERAL_ARCHITECTURE)?.to_owned();
        let text =
            |key: &str| metadata.contains(key).then(|| metadata.str(key).map(str::to_owned)).transpose();
        let mut info = Self {
            name: text(keys::GENERAL_NAME)?,
            trained_context_length: metadata.u32(&keys::arch(&architecture, keys::CONTEXT_LENGTH))?,
            architecture,
            parameters: 0,
            quantization: BTreeMap::new(),
            license: text(keys::GENERAL_LICENSE)?,
            base_model: text(keys::GENERAL_BASE_MODEL_NAME)?,
            metadata: metadata_json(metadata),
        };
        info.add_tensors(&header.tensors)?;
        Ok(info)
    }

    /// Counts further `tensors`, those of another file of the same model.
    ///
    /// # Errors
    /// `invalid_model` if they have more elements than can be counted.
    pub fn add_tensors(&mut self, tensors: &[TensorInfo]) -> Result<()> {
        for tensor in tensors {
            let n_weights = tensor.shape.iter().try_fold(1_u64, |n, &dim| n.checked_mul(dim as u64));
            let total = n_weights.and_then(|n_weights| self.parameters.checked_add(n_weights));
            let (Some(n_weights), Some(total)) = (n_weights, total) else {
                return Err(Error::invalid_model(format!(
                    "tensor `{}` has more elements than can be counted",
                    tensor.name
                )));
            };
            *self.quantization.entry(tensor.dtype.name()).or_default() += n_weights;
            self.parameters = total;
        }
        Ok(())
    }
}

/// Arrays with more elements than this are told by their type and length alone: a vocabulary is no reading matter.
const LONGEST_ARRAY: usize = 64;
/// The largest integer that every JavaScript number below it is exact for.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// All metadata as JSON: arrays of more than 64 elements, with those of arrays within them, as `{ "type", "length" }`,
/// integers that a JavaScript number does not hold and floats that JSON does not know (NaN, infinities) as strings.
pub fn metadata_json(metadata: &Metadata) -> serde_json::Map<String, serde_json::Value> {
    metadata.iter().map(|(key, value)| (key.to_owned(), value_json(value))).collect()
}

fn value_json(value: &Value) -> serde_json::Value {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::F32(v) => f32_json(*v),
        Value::Bool(v) => json!(v),
        Value::String(v) => json!(v),
        Value::U64(v) => u64_json(*v),
        Value::I64(v) => i64_json(*v),
        Value::F64(v) => f64_json(*v),
        Value::Array(array) if n_elements(array) > LONGEST_ARRAY => {
            json!({ "type": value.type_name(), "length": array.len() })
        }
        Value::Array(array) => array_json(array),
    }
}

/// Elements on all levels.
fn n_elements(array: &Array) -> usize {
    match array {
        Array::Array(arrays) => arrays.len() + arrays.iter().map(n_elements).sum::<usize>(),
        flat => flat.len(),
    }
}

fn array_json(array: &Array) -> serde_json::Value {
    match array {
        Array::U8(v) => json!(v),
        Array::I8(v) => json!(v),
        Array::U16(v) => json!(v),
        Array::I16(v) => json!(v),
        Array::U32(v) => json!(v),
        Array::I32(v) => json!(v),
        Array::F32(v) => v.iter().map(|&v| f32_json(v)).collect(),
        Array::Bool(v) => json!(v),
        Array::String(v) => json!(v),
        Array::Array(v) => v.iter().map(|v| value_json(&Value::Array(v.clone()))).collect(),
        Array::U64(v) => v.iter().map(|&v| u64_json(v)).collect(),
        Array::I64(v) => v.iter().map(|&v| i64_json(v)).collect(),
        Array::F64(v) => v.iter().map(|&v| f64_json(v)).collect(),
    }
}

fn u64_json(value: u64) -> serde_json::Value {
    if value <= MAX_SAFE_INTEGER { json!(value) } else { json!(value.to_string()) }
}

fn i64_json(value: i64) -> serde_json::Value {
    if value.unsigned_abs() <= MAX_SAFE_INTEGER { json!(value) } else { json!(value.to_string()) }
}

/// By way of the shortest decimal that reads back as the same f32: 1e-5 and not 9.999999747378752e-6.
fn f32_json(value: f32) -> serde_json::Value {
    value.to_string().parse().map_or_else(|_| json!(value.to_string()), f64_json)
}

fn f64_json(value: f64) -> serde_json::Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_told_by_their_length_if_they_have_many_elements_on_all_levels_together() {
        let told = |value| value_json(&Value::Array(value));
        let of = |n: usize, array: &Array| Array::Array(vec![array.clone(); n]);
        assert_eq!(told(Array::U8(vec![7; 3])), json!([7, 7, 7]));
        assert_eq!(told(Array::U8(vec![7; 64])), json!(vec![7; 64]));
        assert_eq!(told(Array::U8(vec![7; 65])), json!({ "type": "array of u8", "length": 65 }));
        let three = Array::Bool(vec![true; 3]);
        assert_eq!(told(of(2, &three)), json!([[true, true, true], [true, true, true]]));
        assert_eq!(told(of(16, &three)), json!(vec![[true; 3]; 16]));
        assert_eq!(told(of(17, &three)), json!({ "type": "array of arrays", "length": 17 }));
        // 64 of 64 of 64: each is short.
        let deep = of(64, &of(64, &Array::U8(vec![7; 64])));
        assert_eq!(told(deep), json!({ "type": "array of arrays", "length": 64 }));
        // Nor do many arrays of nothing count as nothing.
        let empty = of(40, &of(2, &Array::U8(Vec::new())));
        assert_eq!(told(empty), json!({ "type": "array of arrays", "length": 40 }));
    }
}
