//! Vocabularies: the real ones of `tests/golden/vocab`, and two small ones to be changed.

use crate::vocab;
use std::sync::LazyLock;
use tallow::gguf::{Array, Metadata, Value};
use tallow::tokenizer::Tokenizer;

const LLAMA_SPM_GGUF: &[u8] = include_bytes!("../golden/vocab/ggml-vocab-llama-spm.gguf");
const LLAMA_BPE_GGUF: &[u8] = include_bytes!("../golden/vocab/ggml-vocab-llama-bpe.gguf");
const SMOLLM2_GGUF: &[u8] = include_bytes!("../golden/vocab/smollm2.gguf");

pub static LLAMA_SPM: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&vocab::metadata(LLAMA_SPM_GGUF)));
pub static LLAMA_BPE: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&vocab::metadata(LLAMA_BPE_GGUF)));
pub static SMOLLM2: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&vocab::metadata(SMOLLM2_GGUF)));

pub fn tokenizer(metadata: &Metadata) -> Tokenizer {
    Tokenizer::from_metadata(metadata).unwrap()
}

/// Llama 3's vocabulary with another pre-tokenizer.
pub fn llama_bpe_as(pre: &str) -> Tokenizer {
    tokenizer(&with(&vocab::metadata(LLAMA_BPE_GGUF), "tokenizer.ggml.pre", Some(text(pre))))
}

/// A byte-level vocabulary: `a`, `b`, `Ġ`, `ab`, then `<s>`, `</s>` (control) and `<tool>` (user-defined).
pub fn small_bpe() -> Metadata {
    metadata([
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.tokens", texts(&["a", "b", "Ġ", "ab", "<s>", "</s>", "<tool>"])),
        ("tokenizer.ggml.token_type", types(&[1, 1, 1, 1, 3, 3, 4])),
        ("tokenizer.ggml.merges", texts(&["a b"])),
        ("tokenizer.ggml.bos_token_id", Value::U32(4)),
        ("tokenizer.ggml.eos_token_id", Value::U32(5)),
    ])
}

/// A SentencePiece vocabulary: `<unk>`, `<s>`, `</s>`, `▁`, `a`, `b`, `▁a`, `ab`, `<0x0A>` and `<tool>`
/// (user-defined).
pub fn small_spm() -> Metadata {
    metadata([
        ("tokenizer.ggml.model", text("llama")),
        (
            "tokenizer.ggml.tokens",
            texts(&["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "ab", "<0x0A>", "<tool>"]),
        ),
        (
            "tokenizer.ggml.scores",
            Value::Array(Array::F32(vec![0., 0., 0., -9., -9., -9., -2., -1., 0., 0.])),
        ),
        ("tokenizer.ggml.token_type", types(&[2, 3, 3, 1, 1, 1, 1, 1, 6, 4])),
    ])
}

/// `metadata` with `key` set to another value, or without it.
pub fn with(metadata: &Metadata, key: &str, value: Option<Value>) -> Metadata {
    let mut changed = Metadata::default();
    for (other, kept) in metadata.iter().filter(|(other, _)| *other != key) {
        changed.insert(other.to_owned(), kept.clone()).unwrap();
    }
    if let Some(value) = value {
        changed.insert(key.to_owned(), value).unwrap();
    }
    changed
}

pub fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub fn texts(texts: &[&str]) -> Value {
    Value::Array(Array::String(texts.iter().map(|text| text.to_string()).collect()))
}

pub fn types(numbers: &[i32]) -> Value {
    Value::Array(Array::I32(numbers.to_vec()))
}

fn metadata<const N: usize>(pairs: [(&str, Value); N]) -> Metadata {
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        metadata.insert(key.to_owned(), value).unwrap();
    }
    metadata
}
