//! Tokens with a role: what is added around a text, what is found in it, what ends a generation.

use super::fixtures::{
    LLAMA_BPE, LLAMA_SPM, SMOLLM2, small_bpe, small_spm, text, texts, tokenizer, types, with,
};
use tallow::gguf::Value;
use tallow::tokenizer::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn eog(tokenizer: &Tokenizer) -> Vec<&str> {
    let ids = 0..tokenizer.n_vocab() as u32;
    ids.filter(|&id| tokenizer.is_eog(id)).map(|id| tokenizer.token_text(id).unwrap()).collect()
}

#[test]
fn of_real_vocabularies() {
    let (llama_2, llama_3, smollm2) = (&*LLAMA_SPM, &*LLAMA_BPE, &*SMOLLM2);
    assert_eq!((llama_2.n_vocab(), llama_3.n_vocab(), smollm2.n_vocab()), (32_000, 128_256, 49_152));

    assert_eq!((llama_2.bos(), llama_2.eos(), llama_2.unk()), (Some(1), Some(2), Some(0)));
    assert_eq!((llama_2.eot(), llama_2.eom(), llama_2.pad()), (None, None, None));
    assert_eq!(eog(llama_2), ["</s>"]);

    assert_eq!((llama_3.bos(), llama_3.eos(), llama_3.eot()), (Some(128_000), Some(128_001), Some(128_009)));
    assert_eq!(eog(llama_3), ["<|end_of_text|>", "<|eot_id|>"]);
    assert_eq!(llama_3.token_text(1917), Some("Ġworld"));
    assert_eq!(llama_3.id_of("Ġworld"), Some(1917));

    assert_eq!((smollm2.bos(), smollm2.eos(), smollm2.eot()), (Some(1), Some(2), Some(2)));
    assert_eq!((smollm2.unk(), smollm2.pad()), (Some(0), Some(2)));
    assert_eq!(eog(smollm2), ["<|endoftext|>", "<|im_end|>", "<reponame>"]);
}

#[test]
fn bos_and_eos_are_added_as_the_metadata_says() {
    assert_eq!(LLAMA_SPM.encode("", true, false).unwrap(), [1]);
    assert_eq!(LLAMA_SPM.encode("Hello", true, false).unwrap(), [1, 15043]);
    assert_eq!(LLAMA_BPE.encode("Hello", true, false).unwrap(), [128_000, 9906]);
    assert_eq!(SMOLLM2.encode("Hello", true, false).unwrap(), [19_556]);
    assert_eq!((LLAMA_SPM.adds_bos(), LLAMA_BPE.adds_bos(), SMOLLM2.adds_bos()), (true, true, false));

    let both = with(&small_bpe(), "tokenizer.ggml.add_bos_token", Some(Value::Bool(true)));
    let both = with(&both, "tokenizer.ggml.add_eos_token", Some(Value::Bool(true)));
    let tokenizer = tokenizer(&both);
    assert_eq!(tokenizer.encode("ab", true, false).unwrap(), [4, 3, 5]);
    assert_eq!(tokenizer.encode("ab", false, false).unwrap(), [3]);
    assert!(tokenizer.adds_bos() && tokenizer.adds_eos());
}

#[test]
fn bos_is_not_added_to_a_text_that_begins_with_it() {
    let begun = "<|begin_of_text|>Hello<|begin_of_text|>";
    assert_eq!(LLAMA_BPE.encode(begun, true, true).unwrap(), [128_000, 9906, 128_000]);
    assert_eq!(LLAMA_BPE.encode(begun, false, true).unwrap(), [128_000, 9906, 128_000]);
    assert_eq!(LLAMA_BPE.encode_prompt(begun).unwrap(), [128_000, 9906, 128_000]);
    assert_eq!(LLAMA_BPE.encode_prompt("Hello").unwrap(), [128_000, 9906]);
    assert_eq!(LLAMA_SPM.encode("<s>Hello", true, true).unwrap(), [1, 15043]);
    // Where it is plain text, it begins nothing.
    let plain = LLAMA_BPE.encode(begun, true, false).unwrap();
    assert_eq!(plain.iter().filter(|&&id| id == 128_000).count(), 1);
    assert_eq!(LLAMA_BPE.decode(&plain[1..], true).unwrap(), begun);
}

/// llama.cpp's converter of Llama 2 checkpoints in C writes -1 as a u32 for what there is not.
#[test]
fn an_id_that_is_no_tokens_stands_for_none() {
    let roles = |t: &Tokenizer| [t.bos(), t.eos(), t.eot(), t.eom(), t.unk(), t.pad()];
    for key in ["bos", "eos", "eot", "eom", "unknown", "padding", "fim_pad"] {
        let key = format!("tokenizer.ggml.{key}_token_id");
        for small in [small_bpe(), small_spm()] {
            let without = tokenizer(&with(&small, &key, None));
            let n_vocab = without.n_vocab();
            for id in [Value::U32(n_vocab as u32), Value::U32(u32::MAX), Value::I32(-1), Value::U64(1 << 40)]
            {
                let with_id = tokenizer(&with(&small, &key, Some(id.clone())));
                assert_eq!(roles(&with_id), roles(&without), "{key}: {id:?}");
                assert_eq!(eog(&with_id), eog(&without), "{key}: {id:?}");
            }
        }
    }
}

#[test]
fn no_bos_is_added_where_there_is_none() {
    let metadata = with(&small_bpe(), "tokenizer.ggml.add_bos_token", Some(Value::Bool(true)));
    let tokenizer = tokenizer(&with(&metadata, "tokenizer.ggml.bos_token_id", None));
    assert_eq!(tokenizer.bos(), None);
    assert!(!tokenizer.adds_bos());
    assert_eq!(tokenizer.encode("ab", true, false).unwrap(), [3]);
}

#[test]
fn llama_3_chat_tokens_are_parsed_or_plain() {
    let prompt = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>";
    assert_eq!(LLAMA_BPE.encode(prompt, false, true).unwrap(), [128_006, 882, 128_007, 271, 13_347, 128_009]);
    let plain = LLAMA_BPE.encode(prompt, false, false).unwrap();
    assert!(plain.iter().all(|&id| id < 128_000));
    assert_eq!(LLAMA_BPE.decode(&plain, true).unwrap(), prompt);
}

#[test]
fn a_space_goes_before_each_text_after_a_special_token() {
    let tokenizer = tokenizer(&small_spm());
    assert_eq!(tokenizer.encode("a<s>a</s> a", false, true).unwrap(), [6, 1, 6, 2, 3, 6]);
    assert_eq!(tokenizer.encode("a<tool>a", false, false).unwrap(), [6, 9, 6]);
}

#[test]
fn bytes_without_a_token_are_unknown_to_sentence_piece_and_dropped_by_byte_level() {
    assert_eq!(tokenizer(&small_spm()).encode("a\né", false, false).unwrap(), [6, 8, 0, 0]);
    // The `c` is dropped, but parts `a` from `b`.
    assert_eq!(tokenizer(&small_bpe()).encode("acb", false, false).unwrap(), [0, 1]);
}

#[test]
fn a_known_end_is_a_control_token_whatever_its_type() {
    let metadata = with(
        &small_bpe(),
        "tokenizer.ggml.tokens",
        Some(texts(&["a", "b", "Ġ", "ab", "<s>", "</s>", "<|im_end|>"])),
    );
    let tokenizer = tokenizer(&metadata);
    assert_eq!(eog(&tokenizer), ["</s>", "<|im_end|>"]);
    assert_eq!(tokenizer.eot(), Some(6));
    assert!(tokenizer.encode("<|im_end|>", false, false).unwrap().is_empty());
    assert_eq!(tokenizer.encode("<|im_end|>", false, true).unwrap(), [6]);
    assert_eq!(tokenizer.decode(&[3, 6], true).unwrap(), "ab");
}

#[test]
fn keys_name_ends_of_any_text() {
    let metadata = with(&small_bpe(), "tokenizer.ggml.eot_token_id", Some(Value::U32(0)));
    let tokenizer = tokenizer(&with(&metadata, "tokenizer.ggml.eom_token_id", Some(Value::I32(1))));
    assert_eq!((tokenizer.eot(), tokenizer.eom()), (Some(0), Some(1)));
    assert_eq!(eog(&tokenizer), ["a", "b", "</s>"]);
}

#[test]
fn phi_3_strips_white_space_after_its_special_tokens() {
    let metadata = with(&small_spm(), "general.name", Some(text("Phi-3 mini")));
    let tokenizer = tokenizer(&metadata);
    assert_eq!(tokenizer.encode("<tool> \n a<s> a", false, true).unwrap(), [9, 6, 1, 3, 6]);
}

#[test]
fn types_and_pre_tokenizer_may_be_missing() {
    let metadata = with(&small_bpe(), "tokenizer.ggml.token_type", None);
    let tokenizer = tokenizer(&with(&metadata, "tokenizer.ggml.pre", None));
    assert_eq!(tokenizer.encode("ab ab<tool>", false, false).unwrap(), [3, 2, 3]);
}

#[test]
fn an_empty_token_has_a_name() {
    let metadata =
        with(&small_bpe(), "tokenizer.ggml.tokens", Some(texts(&["a", "b", "Ġ", "ab", "", "", "<tool>"])));
    let tokenizer = tokenizer(&with(&metadata, "tokenizer.ggml.token_type", Some(types(&[1; 7]))));
    assert_eq!((tokenizer.token_text(4), tokenizer.token_text(5)), (Some("[EMPTY_4]"), Some("[EMPTY_5]")));
    assert_eq!(tokenizer.token_text(7), None);
}
