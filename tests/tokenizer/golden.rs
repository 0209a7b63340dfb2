//! Ids equal to llama.cpp's, and decoding that gives back what was encoded.

use super::fixtures::{LLAMA_BPE, LLAMA_SPM, SMOLLM2, llama_bpe_as};
use super::module::assert_module;
use serde::Deserialize;
use tallow::tokenizer::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    ids_parse_special: Vec<u32>,
}

fn check(tokenizer: &Tokenizer, golden: &str, n_cases: usize) {
    assert_module();
    let golden: Golden = serde_json::from_str(golden).unwrap();
    assert_eq!(golden.cases.len(), n_cases);
    for Case { text, ids, ids_parse_special } in golden.cases {
        assert_eq!(tokenizer.encode(&text, false, false).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.encode(&text, false, true).unwrap(), ids_parse_special, "{text:?}, parsed");
    }
}

/// llama.cpp's own cases: each text ends with the line that parts them; ids a line each.
fn check_llama_cpp(tokenizer: &Tokenizer, texts: &str, ids: &str) {
    assert_module();
    let part = "\n__ggml_vocab_test__\n";
    let texts: Vec<&str> = texts.strip_suffix(part).unwrap().split(part).collect();
    let ids: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    assert!(ids.len() > 40);
    assert_eq!(texts.len(), ids.len());
    for (text, ids) in texts.into_iter().zip(ids) {
        assert_eq!(tokenizer.encode(text, false, false).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn smollm2() {
    check(&SMOLLM2, include_str!("../golden/smollm2-135m-instruct-q4_1.tokenize.json"), 33);
    check(&SMOLLM2, include_str!("../golden/tokenize/smollm2.json"), 300);
}

#[test]
fn llama_2() {
    check(&LLAMA_SPM, include_str!("../golden/tokenize/llama-spm.json"), 300);
    check_llama_cpp(
        &LLAMA_SPM,
        include_str!("../golden/vocab/ggml-vocab-llama-spm.gguf.inp"),
        include_str!("../golden/vocab/ggml-vocab-llama-spm.gguf.out"),
    );
}

#[test]
fn llama_3() {
    check(&LLAMA_BPE, include_str!("../golden/tokenize/llama-bpe.json"), 300);
    check_llama_cpp(
        &LLAMA_BPE,
        include_str!("../golden/vocab/ggml-vocab-llama-bpe.gguf.inp"),
        include_str!("../golden/vocab/ggml-vocab-llama-bpe.gguf.out"),
    );
}

#[test]
fn every_pre_tokenizer() {
    for (pre, golden) in [
        ("tekken", include_str!("../golden/tokenize/llama-bpe-as-tekken.json")),
        ("default", include_str!("../golden/tokenize/llama-bpe-as-default.json")),
        ("deepseek-llm", include_str!("../golden/tokenize/llama-bpe-as-deepseek-llm.json")),
        ("gpt-2", include_str!("../golden/tokenize/llama-bpe-as-gpt-2.json")),
        ("qwen2", include_str!("../golden/tokenize/llama-bpe-as-qwen2.json")),
        ("smaug-bpe", include_str!("../golden/tokenize/llama-bpe-as-smaug-bpe.json")),
    ] {
        check(&llama_bpe_as(pre), golden, 120);
    }
}

#[test]
fn long_texts_of_one_character() {
    for tokenizer in [&LLAMA_SPM, &LLAMA_BPE, &SMOLLM2] {
        for unit in ["a", " "] {
            let text = unit.repeat(1 << 20);
            let ids = tokenizer.encode(&text, false, false).unwrap();
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
    }
}
