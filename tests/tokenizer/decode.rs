//! Decoding: whole characters as tokens come, and special tokens.

use super::fixtures::{LLAMA_BPE, LLAMA_SPM, SMOLLM2, small_bpe, small_spm, tokenizer, with};
use tallow::ErrorKind;
use tallow::gguf::Value;
use tallow::tokenizer::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TEXT: &str = "Grüße, 漢字 und 🦙🏽 👨\u{200d}👩\u{200d}👧!\n\tΩ≈ç√ हिन्दी";

fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = tokenizer.stream(false);
    let mut text: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    text += &stream.finish();
    text
}

#[test]
fn a_stream_gives_the_text() {
    for tokenizer in [&LLAMA_BPE, &SMOLLM2] {
        let ids = tokenizer.encode(TEXT, false, false).unwrap();
        assert_eq!(streamed(tokenizer, &ids), TEXT);
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), TEXT);
    }
    // A stream goes on after a text, so the space before the first word is its own.
    let ids = LLAMA_SPM.encode(TEXT, false, false).unwrap();
    assert_eq!(streamed(&LLAMA_SPM, &ids), format!(" {TEXT}"));
    assert_eq!(LLAMA_SPM.decode(&ids, false).unwrap(), TEXT);
}

#[test]
fn every_prefix_is_a_prefix_of_the_text() {
    for tokenizer in [&LLAMA_SPM, &LLAMA_BPE, &SMOLLM2] {
        let ids = tokenizer.encode(TEXT, false, false).unwrap();
        let mut held_back = 0;
        for n in 0..=ids.len() {
            let mut stream = tokenizer.stream(false);
            let text: String = ids[..n].iter().map(|&id| stream.push(id).unwrap()).collect();
            assert!(TEXT.starts_with(text.strip_prefix(' ').unwrap_or(&text)), "{text:?}");
            match stream.finish().as_str() {
                "" => {}
                rest => {
                    assert_eq!(rest, "\u{FFFD}");
                    held_back += 1;
                }
            }
        }
        assert!(held_back > 3, "the text should have characters of several tokens");
    }
}

#[test]
fn bytes_that_are_no_utf8_become_u_fffd() {
    let ids = ["<0xFF>", "<0x41>", "<0xF0>", "<0x9F>", "<0x42>", "<0xE6>"]
        .map(|text| LLAMA_SPM.id_of(text).unwrap());
    let mut stream = LLAMA_SPM.stream(false);
    let texts = ids.map(|id| stream.push(id).unwrap());
    assert_eq!(texts, ["\u{FFFD}", "A", "", "", "\u{FFFD}B", ""]);
    assert_eq!(stream.finish(), "\u{FFFD}");
    assert_eq!(LLAMA_SPM.decode(&ids, false).unwrap(), "\u{FFFD}A\u{FFFD}B\u{FFFD}");
}

#[test]
fn special_tokens_are_skipped_on_request() {
    let text = "<|im_start|>user\nHi<|im_end|>\n";
    let ids = SMOLLM2.encode(text, false, true).unwrap();
    assert_eq!(SMOLLM2.decode(&ids, false).unwrap(), text);
    assert_eq!(SMOLLM2.decode(&ids, true).unwrap(), "user\nHi\n");
    let mut stream = SMOLLM2.stream(true);
    assert_eq!(ids.iter().map(|&id| stream.push(id).unwrap()).collect::<String>(), "user\nHi\n");
}

#[test]
fn user_defined_tokens_are_text() {
    for metadata in [small_bpe(), small_spm()] {
        let tokenizer = tokenizer(&metadata);
        let ids = tokenizer.encode("ab<tool>", false, false).unwrap();
        assert_eq!(ids.last(), tokenizer.id_of("<tool>").as_ref());
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ab<tool>");
    }
}

#[test]
fn only_the_space_that_was_added_is_removed() {
    let ids = LLAMA_SPM.encode("  a", true, false).unwrap();
    assert_eq!(LLAMA_SPM.decode(&ids, true).unwrap(), "  a");
    assert_eq!(LLAMA_SPM.decode(&ids, false).unwrap(), "<s>  a");

    let plain = tokenizer(&with(&small_spm(), "tokenizer.ggml.add_space_prefix", Some(Value::Bool(false))));
    let ids = plain.encode(" a", false, false).unwrap();
    assert_eq!(plain.decode(&ids, false).unwrap(), " a");
}

#[test]
fn an_id_out_of_the_vocabulary_is_named() {
    let tokenizer = tokenizer(&small_bpe());
    for error in [
        tokenizer.decode(&[0, 7, 1], false).unwrap_err(),
        tokenizer.stream(false).push(7).unwrap_err(),
        tokenizer.piece(7, true).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(error.detail(), "token id should be in 0..7, but is 7");
    }
    assert!(tokenizer.decode(&[u32::MAX], false).is_err());
}
