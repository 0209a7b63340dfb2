//! Metadata that is wrong: each way an error that names the key, never a panic.

use super::fixtures::{small_bpe, small_spm, text, texts, types, with};
use tallow::ErrorKind::{self, InvalidModel, UnsupportedModel};
use tallow::gguf::{Array, Metadata, Value};
use tallow::tokenizer::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn check(metadata: &Metadata, key: &str, value: Option<Value>, kind: ErrorKind, detail: &str) {
    let error = Tokenizer::from_metadata(&with(metadata, key, value)).expect_err(detail);
    assert_eq!((error.kind(), error.detail()), (kind, detail));
}

fn floats(values: &[f32]) -> Option<Value> {
    Some(Value::Array(Array::F32(values.to_vec())))
}

#[test]
fn another_kind_of_vocabulary() {
    let (key, bpe) = ("tokenizer.ggml.model", small_bpe());
    check(
        &bpe,
        key,
        Some(text("t5")),
        UnsupportedModel,
        "`tokenizer.ggml.model` should be `gpt2` or `llama`, but is `t5`",
    );
    check(&bpe, key, None, InvalidModel, "metadata key `tokenizer.ggml.model` is missing");
    check(
        &bpe,
        key,
        Some(Value::U32(1)),
        InvalidModel,
        "metadata key `tokenizer.ggml.model` should be of type string, but is u32",
    );
}

#[test]
fn another_pre_tokenizer() {
    let (key, bpe) = ("tokenizer.ggml.pre", small_bpe());
    check(
        &bpe,
        key,
        Some(text("kimi-k2")),
        UnsupportedModel,
        "`tokenizer.ggml.pre` is `kimi-k2`, a pre-tokenizer that Tallow does not have",
    );
    check(
        &bpe,
        key,
        Some(Value::Bool(true)),
        InvalidModel,
        "metadata key `tokenizer.ggml.pre` should be of type string, but is bool",
    );
}

#[test]
fn tokens() {
    let key = "tokenizer.ggml.tokens";
    for metadata in [small_bpe(), small_spm()] {
        check(&metadata, key, None, InvalidModel, "metadata key `tokenizer.ggml.tokens` is missing");
        check(
            &metadata,
            key,
            Some(texts(&[])),
            InvalidModel,
            "`tokenizer.ggml.tokens` should hold a token, but is empty",
        );
        check(
            &metadata,
            key,
            Some(types(&[1])),
            InvalidModel,
            "metadata key `tokenizer.ggml.tokens` should be of type array of string, but is array of i32",
        );
    }
    check(
        &small_bpe(),
        key,
        Some(texts(&["a", "b", "Ġ", "ab", "<s>", "b", "<tool>"])),
        InvalidModel,
        "`tokenizer.ggml.tokens[1]` and `tokenizer.ggml.tokens[5]` should differ, but both are `b`",
    );
}

#[test]
fn token_types() {
    let (key, bpe) = ("tokenizer.ggml.token_type", small_bpe());
    check(
        &bpe,
        key,
        Some(types(&[1; 6])),
        InvalidModel,
        "`tokenizer.ggml.token_type` should hold 7 types, one for each token, but holds 6",
    );
    for number in [7, -1, i32::MAX] {
        let detail = format!("`tokenizer.ggml.token_type[2]` should be in 0..=6, but is {number}");
        check(&bpe, key, Some(types(&[1, 1, number, 1, 1, 1, 1])), InvalidModel, &detail);
    }
    check(
        &bpe,
        key,
        Some(types(&[1, 1, 1, 6, 1, 1, 1])),
        InvalidModel,
        "`tokenizer.ggml.tokens[3]` is of type byte and should be `<0x00>` to `<0xFF>`, but is `ab`",
    );
}

#[test]
fn merges() {
    let (key, bpe) = ("tokenizer.ggml.merges", small_bpe());
    check(&bpe, key, None, InvalidModel, "metadata key `tokenizer.ggml.merges` is missing");
    for merge in ["ab", "", "a ", " a"] {
        let detail = format!(
            "`tokenizer.ggml.merges[1]` should be two tokens with a space between them, but is `{merge}`"
        );
        check(&bpe, key, Some(texts(&["a b", merge])), InvalidModel, &detail);
    }
    for (merge, none) in [
        ("<tool> <tool>", "<tool><tool>"),
        ("b a", "ba"),
        ("c b", "cb"),
        ("a c", "ac"),
        ("ab ab", "abab"),
        ("a b b", "b b"),
    ] {
        let detail = format!(
            "`tokenizer.ggml.merges[1]` should join two tokens of `tokenizer.ggml.tokens` to a third, but `{none}` is none"
        );
        check(&bpe, key, Some(texts(&["a b", merge])), InvalidModel, &detail);
    }
}

#[test]
fn scores() {
    let (key, spm) = ("tokenizer.ggml.scores", small_spm());
    check(&spm, key, None, InvalidModel, "metadata key `tokenizer.ggml.scores` is missing");
    for n in [0, 9, 11] {
        let detail =
            format!("`tokenizer.ggml.scores` should hold 10 scores, one for each token, but holds {n}");
        check(&spm, key, floats(&vec![0.0; n]), InvalidModel, &detail);
    }
    let mut scores = [0.0; 10];
    scores[6] = f32::NAN;
    check(
        &spm,
        key,
        floats(&scores),
        InvalidModel,
        "`tokenizer.ggml.scores[6]` should be a number, but is NaN",
    );
}

#[test]
fn ids_of_roles() {
    for key in ["bos", "eos", "eot", "eom", "unknown", "padding", "fim_pad"] {
        let key = format!("tokenizer.ggml.{key}_token_id");
        let detail = format!("metadata key `{key}` should be of type u32, but is string");
        check(&small_bpe(), &key, Some(text("1")), InvalidModel, &detail);
    }
}

#[test]
fn flags() {
    for key in ["add_bos_token", "add_eos_token", "add_space_prefix"] {
        let key = format!("tokenizer.ggml.{key}");
        let detail = format!("metadata key `{key}` should be of type bool, but is u32");
        check(&small_spm(), &key, Some(Value::U32(1)), InvalidModel, &detail);
    }
}

#[test]
fn a_tiny_sentence_piece_vocabulary_needs_its_bytes() {
    let tokens = Some(texts(&[]));
    assert!(Tokenizer::from_metadata(&with(&small_spm(), "tokenizer.ggml.tokens", tokens)).is_err());

    // One token, which is the default unknown one.
    let one = with(&small_spm(), "tokenizer.ggml.tokens", Some(texts(&["a"])));
    let one = with(&with(&one, "tokenizer.ggml.scores", floats(&[0.0])), "tokenizer.ggml.token_type", None);
    let tokenizer = Tokenizer::from_metadata(&one).unwrap();
    assert_eq!((tokenizer.unk(), tokenizer.bos(), tokenizer.eos()), (Some(0), None, None));
    assert_eq!(tokenizer.encode("ab", true, true).unwrap(), [0, 0, 0, 0, 0]);
}
