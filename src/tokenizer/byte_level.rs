//! Byte-level BPE, the `gpt2` model: tokens are merges of bytes.
//!
//! A vocabulary spells each byte as one printable character: the printable ones of Latin-1 as themselves, the other 68,
//! ascending, from U+0100 on. So a space is `Ġ` and a line feed `Ċ`.
//! Source: `bytes_to_unicode` in <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.

use crate::gguf::keys;
use crate::{Error, Result};
use std::collections::HashSet;
use tokenizers::models::bpe::{BPE, Vocab as Ids};

/// By byte, the character that stands for it.
const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let (mut byte, mut others) = (0, 0);
    while byte < 256 {
        let printable = matches!(byte as u8, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if printable { byte as u32 } else { 0x100 + others };
        others += !printable as u32;
        chars[byte] = match char::from_u32(code) {
            Some(c) => c,
            None => unreachable!(),
        };
        byte += 1;
    }
    chars
};

/// By character, the byte that it stands for, as far as the characters go.
const BYTES: [Option<u8>; 0x144] = {
    let mut bytes = [None; 0x144];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// The character that stands for `byte`.
pub(super) fn char_of(byte: u8) -> char {
    CHARS[usize::from(byte)]
}

/// Appends the bytes that a token's text spells. A character that stands for no byte is itself.
pub(super) fn push_bytes(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match BYTES.get(c as usize).copied().flatten() {
            Some(byte) => out.push(byte),
            None => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}

/// The merging of bytes to tokens. `ids` are the vocabulary's by text; with `ignore_merges` a word that is a token
/// is not cut, whether or not merges lead to it.
///
/// A byte without a token gets an id from `ids.len()` on, to be dropped from what the model gives: it must keep its
/// neighbours apart, which it would not if the model did not know it.
///
/// # Errors
/// `invalid_model` if a merge is no pair, or a part or the whole is no token.
pub(super) fn model(mut ids: Ids, merges: &[String], ignore_merges: bool) -> Result<BPE> {
    let longest = ids.keys().map(String::len).max().unwrap_or(0);
    let mut seen = HashSet::with_capacity(merges.len());
    let mut pairs = Vec::with_capacity(merges.len());
    for (index, merge) in merges.iter().enumerate() {
        // The first of two equal merges counts.
        if !seen.insert(merge.as_str()) {
            continue;
        }
        let (left, right) = split(merge).ok_or_else(|| {
            Error::invalid_model(format!(
                "`{}[{index}]` should be two tokens with a space between them, but is `{merge}`",
                keys::TOKENIZER_MERGES
            ))
        })?;
        // Longer than any token is no token; `BPE` would write beyond its buffer looking for it.
        if left.len() + right.len() > longest {
            return Err(Error::invalid_model(format!(
                "`{}[{index}]` should make a token, but `{left}{right}` is none",
                keys::TOKENIZER_MERGES
            )));
        }
        pairs.push((left.to_owned(), right.to_owned()));
    }

    let mut next = ids.len() as u32;
    for c in CHARS {
        ids.entry(c.to_string()).or_insert_with(|| {
            next += 1;
            next - 1
        });
    }
    BPE::builder()
        .vocab_and_merges(ids, pairs)
        .ignore_merges(ignore_merges)
        // The cache is a thread-local that outlives the model.
        .cache_capacity(0)
        .build()
        .map_err(|source| {
            Error::invalid_model(format!(
                "`{}` should name tokens of `{}` only",
                keys::TOKENIZER_MERGES,
                keys::TOKENIZER_TOKENS
            ))
            .with_source(source)
        })
}

/// The two tokens of a merge. The first may begin with a space, as far as the format goes.
fn split(merge: &str) -> Option<(&str, &str)> {
    let (first, _) = merge.char_indices().nth(1)?;
    let at = first + merge[first..].find(' ')?;
    (at + 1 < merge.len()).then(|| (&merge[..at], &merge[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_and_comes_back() {
        assert_eq!((char_of(b' '), char_of(b'\n'), char_of(b'a'), char_of(0xAD)), ('Ġ', 'Ċ', 'a', 'Ń'));
        let text: String = (0..=255).map(char_of).collect();
        let mut bytes = Vec::new();
        push_bytes(&text, &mut bytes);
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn a_character_that_stands_for_no_byte_is_itself() {
        let mut bytes = Vec::new();
        push_bytes("▁漢", &mut bytes);
        assert_eq!(bytes, "▁漢".as_bytes());
    }

    #[test]
    fn merges_split_at_the_first_inner_space() {
        assert_eq!(split("Ġ t"), Some(("Ġ", "t")));
        assert_eq!(split("  t"), Some((" ", "t")));
        for merge in ["", "a", "ab", "a ", " a"] {
            assert_eq!(split(merge), None, "{merge:?}");
        }
    }
}
