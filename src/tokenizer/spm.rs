//! SentencePiece BPE, the `llama` model: characters merge to tokens, the best score first.
//!
//! Of all neighbours whose texts together are a token, the pair whose token has the highest score merges, the leftmost
//! of equals, until there is none. What is left over and no token goes byte by byte, as `<0x00>` to `<0xFF>`.
//!
//! Source: `llm_tokenizer_spm` in <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

use super::merge::Merger;
use super::vocab::Ids;
use crate::gguf::keys;
use crate::{Error, Result};
use std::cmp::Ordering;

/// The vocabulary of a SentencePiece BPE.
pub(super) struct Spm {
    ids: Ids,
    /// By id.
    scores: Vec<f32>,
    /// By byte, the token that stands for it.
    byte_ids: Vec<u32>,
    /// Of a token's text, in bytes.
    longest: usize,
}

/// A token's score, as a rank: what is equal for llama.cpp is equal.
#[derive(Clone, Copy)]
struct Score(f32);

/// Stands for a character that is no token.
const NONE: u32 = u32::MAX;

impl Spm {
    /// A model from the vocabulary's ids by text and the scores by id. `unk` stands in for bytes without a token.
    ///
    /// # Errors
    /// `invalid_model` if there are not as many scores as tokens, a score is NaN, or a byte has no token and there is
    /// no unknown token.
    pub(super) fn new(ids: Ids, scores: &[f32], unk: Option<u32>) -> Result<Self> {
        if scores.len() != ids.len() {
            return Err(Error::invalid_model(format!(
                "`{}` should hold {} scores, one for each token, but holds {}",
                keys::TOKENIZER_SCORES,
                ids.len(),
                scores.len()
            )));
        }
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::invalid_model(format!(
                "`{}[{id}]` should be a number, but is NaN",
                keys::TOKENIZER_SCORES
            )));
        }
        let byte_ids = (0..=255u8)
            .map(|byte| {
                let text = format!("<0x{byte:02X}>");
                ids.get(&text).copied().or(unk).ok_or_else(|| {
                    Error::invalid_model(format!(
                        "`{}` should hold `{text}`, as there is no unknown token to stand in for it",
                        keys::TOKENIZER_TOKENS
                    ))
                })
            })
            .collect::<Result<_>>()?;
        let longest = ids.keys().map(String::len).max().unwrap_or(0);
        Ok(Self { ids, scores: scores.to_vec(), byte_ids, longest })
    }

    /// The token that `text` is as a whole.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        if text.len() > self.longest { None } else { self.ids.get(text).copied() }
    }

    /// Appends the ids of `text`.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let mut merger = Merger::new();
        let chars = text.char_indices().map(|(start, c)| {
            let end = start + c.len_utf8();
            (end, self.id(&text[start..end]).unwrap_or(NONE))
        });
        let symbols = merger.merge(chars, |left, right| {
            let id = self.id(&text[left.start..right.end])?;
            self.scores.get(id as usize).map(|&score| (Score(score), id))
        });
        for symbol in symbols {
            if symbol.id == NONE {
                let bytes = text[symbol.start..symbol.end].bytes();
                ids.extend(bytes.map(|byte| self.byte_ids[usize::from(byte)]));
            } else {
                ids.push(symbol.id);
            }
        }
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        // Adding 0.0 makes -0.0 and 0.0 equal, as they are for llama.cpp.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vocabulary of `<unk>` and `tokens`, with ids from 1 on.
    fn spm(tokens: &[(&str, f32)]) -> Spm {
        let texts = [("<unk>", 0.0)].into_iter().chain(tokens.iter().copied());
        let (ids, scores): (Ids, Vec<f32>) =
            texts.enumerate().map(|(id, (text, score))| ((text.to_owned(), id as u32), score)).unzip();
        Spm::new(ids, &scores, Some(0)).unwrap()
    }

    fn ids(model: &Spm, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        model.encode(text, &mut ids);
        ids
    }

    #[test]
    fn the_best_score_merges_first() {
        let model = spm(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("ab", -2.0), ("bc", -1.0)]);
        assert_eq!(ids(&model, "abc"), [1, 5]);
        assert_eq!(ids(&model, "ab"), [4]);
        assert!(ids(&model, "").is_empty());
    }

    #[test]
    fn of_equal_scores_the_leftmost_merges_first() {
        let model = spm(&[("a", 0.0), ("b", 0.0), ("ab", 0.0), ("ba", -0.0)]);
        assert_eq!(ids(&model, "aba"), [3, 1]);
        assert_eq!(ids(&model, "bab"), [4, 2]);
    }

    #[test]
    fn two_ways_to_one_token_have_one_rank() {
        // As a list of merges, `a bb` would come before or after `ab b` everywhere.
        let model = spm(&[("a", 0.0), ("b", 0.0), ("ab", -3.0), ("bb", -3.0), ("abb", -1.0), ("bba", -2.0)]);
        assert_eq!(ids(&model, "abba"), [5, 1]);
        assert_eq!(ids(&model, "bba"), [6]);
    }

    #[test]
    fn a_run_merges_in_linear_logarithmic_time() {
        let model = spm(&[("a", 0.0), ("aa", -1.0), ("aaaa", -2.0)]);
        assert_eq!(ids(&model, &"a".repeat(400_000)).len(), 100_000);
    }

    #[test]
    fn scores_are_checked() {
        let ids: Ids = [("a".to_owned(), 0)].into_iter().collect();
        let detail =
            |scores: &[f32], unk| Spm::new(ids.clone(), scores, unk).err().unwrap().detail().to_owned();
        assert!(detail(&[], Some(0)).starts_with("`tokenizer.ggml.scores` should hold 1 scores"));
        assert!(detail(&[f32::NAN], Some(0)).starts_with("`tokenizer.ggml.scores[0]`"));
        assert!(detail(&[0.0], None).starts_with("`tokenizer.ggml.tokens` should hold `<0x00>`"));
    }
}
