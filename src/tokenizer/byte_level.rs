//! Byte-level BPE, the `gpt2` model: tokens are merges of bytes.
//!
//! A vocabulary spells each byte as one printable character: the printable ones of Latin-1 as themselves, the other 68,
//! ascending, from U+0100 on. So a space is `Ġ` and a line feed `Ċ`.
//! Source: `bytes_to_unicode` in <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.

use super::merge::Merger;
use super::vocab::Ids;
use crate::gguf::keys;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::HashSet;

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
fn char_of(byte: u8) -> char {
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

/// The merging of bytes to tokens.
pub(super) struct Bpe {
    /// The vocabulary's, and those of the bytes that it does not have.
    ids: Ids,
    n_vocab: u32,
    /// By byte.
    byte_ids: Vec<u32>,
    /// By its left token's id, where the merges of it begin; they end where the next token's begin.
    starts: Vec<usize>,
    /// By left, then by right token.
    merges: Vec<Merge>,
    ignore_merges: bool,
}

/// What a token makes with the one on its right.
#[derive(Clone, Copy)]
struct Merge {
    right: u32,
    /// The place in the file's list: the first goes first.
    rank: u32,
    id: u32,
}

impl Bpe {
    /// `ids` are the vocabulary's by text; with `ignore_merges` a word that is a token is not cut, whether or not merges
    /// lead to it.
    ///
    /// A byte without a token gets an id from `ids.len()` on, which is left out of what is encoded: it must keep its
    /// neighbours apart.
    ///
    /// # Errors
    /// `invalid_model` if a merge is no pair, or a part or the whole is no token.
    pub(super) fn new(mut ids: Ids, merges: &[String], ignore_merges: bool) -> Result<Self> {
        let n_vocab = ids.len() as u32;
        let mut next = n_vocab;
        let byte_ids = CHARS.iter().map(|c| {
            *ids.entry(c.to_string()).or_insert_with(|| {
                next += 1;
                next - 1
            })
        });
        let byte_ids = byte_ids.collect();

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
            let id = |text: &str| {
                ids.get(text).copied().ok_or_else(|| {
                    Error::invalid_model(format!(
                        "`{}[{index}]` should join two tokens of `{}` to a third, but `{text}` is none",
                        keys::TOKENIZER_MERGES,
                        keys::TOKENIZER_TOKENS
                    ))
                })
            };
            let (left_id, right_id) = (id(left)?, id(right)?);
            let merge = Merge { right: right_id, rank: index as u32, id: id(&format!("{left}{right}"))? };
            pairs.push((left_id, merge));
        }
        pairs.sort_unstable_by_key(|(left, merge)| (*left, merge.right));
        let starts = (0..=next).map(|left| pairs.partition_point(|(other, _)| *other < left)).collect();
        let merges = pairs.into_iter().map(|(_, merge)| merge).collect();
        Ok(Self { ids, n_vocab, byte_ids, starts, merges, ignore_merges })
    }

    /// The token that the vocabulary spells `text`.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied().filter(|&id| id < self.n_vocab)
    }

    /// Appends the ids of `words`, within which alone bytes merge.
    pub(super) fn encode<'t>(&self, words: impl Iterator<Item = &'t str>, ids: &mut Vec<u32>) {
        let mut merger = Merger::new();
        let mut spelled = String::new();
        for word in words {
            if self.ignore_merges {
                spelled.clear();
                spelled.extend(word.bytes().map(char_of));
                if let Some(id) = self.id(&spelled) {
                    ids.push(id);
                    continue;
                }
            }
            let bytes = word.bytes().enumerate().map(|(at, byte)| (at + 1, self.byte_ids[usize::from(byte)]));
            let symbols = merger.merge(bytes, |left, right| {
                self.join(left.id, right.id).map(|merge| (Reverse(merge.rank), merge.id))
            });
            ids.extend(symbols.map(|symbol| symbol.id).filter(|&id| id < self.n_vocab));
        }
    }

    /// What two tokens make together.
    fn join(&self, left: u32, right: u32) -> Option<&Merge> {
        let left = left as usize;
        let merges = self.merges.get(*self.starts.get(left)?..*self.starts.get(left + 1)?)?;
        merges.binary_search_by_key(&right, |merge| merge.right).ok().map(|at| &merges[at])
    }
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

    /// The vocabulary of `tokens`, ids from 0 on, and what `text` is in it.
    fn ids(tokens: &[&str], merges: &[&str], ignore_merges: bool, text: &str) -> Vec<u32> {
        let ids = tokens.iter().zip(0..).map(|(text, id)| (text.to_string(), id)).collect();
        let merges: Vec<String> = merges.iter().map(ToString::to_string).collect();
        let mut out = Vec::new();
        Bpe::new(ids, &merges, ignore_merges).unwrap().encode([text].into_iter(), &mut out);
        out
    }

    #[test]
    fn the_first_merge_of_the_list_goes_first_and_the_leftmost_of_equals() {
        let tokens = ["a", "b", "c", "ab", "bc", "aa"];
        assert_eq!(ids(&tokens, &["b c", "a b"], false, "abc"), [0, 4]);
        assert_eq!(ids(&tokens, &["a b", "b c"], false, "abc"), [3, 2]);
        assert_eq!(ids(&tokens, &["a a"], false, "aaa"), [5, 0]);
    }

    #[test]
    fn a_whole_word_needs_no_merges_where_they_are_ignored() {
        let tokens = ["a", "b", "c", "abc"];
        assert_eq!(ids(&tokens, &[], true, "abc"), [3]);
        assert_eq!(ids(&tokens, &[], false, "abc"), [0, 1, 2]);
    }

    #[test]
    fn a_byte_without_a_token_is_left_out_and_keeps_its_neighbours_apart() {
        assert_eq!(ids(&["a", "b", "ab"], &["a b"], false, "abacb"), [2, 0, 1]);
        assert_eq!(ids(&["a"], &[], true, "xay"), [0]);
    }

    #[test]
    fn a_run_merges_in_linear_logarithmic_time() {
        let ids = ids(&["a", "aa", "aaaa"], &["a a", "aa aa"], false, &"a".repeat(400_000));
        assert_eq!(ids, [2; 100_000]);
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
