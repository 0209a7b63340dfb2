//! SentencePiece BPE, the `llama` model: characters merge to tokens, the best score first.
//!
//! Of all neighbours whose texts together are a token, the pair whose token has the highest score merges, the leftmost
//! of equals, until there is none. What is left over and no token goes byte by byte, as `<0x00>` to `<0xFF>`.
//!
//! This is a model of its own because `tokenizers`' BPE merges by a list of pairs with distinct ranks, while here the
//! rank is the score of the result: pairs that make the same token are equals, and so are tokens of equal score.
//!
//! Source: `llm_tokenizer_spm` in <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

use crate::gguf::keys;
use crate::{Error, Result};
use std::collections::{BinaryHeap, HashMap};
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::{BpeTrainer, Vocab as Ids};
use tokenizers::{Model, Token};

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

/// A run of the text that is a character, has grown by merges, or has merged into its left neighbour (and is empty).
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    prev: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that could merge. The greatest is the one to merge first.
struct Bigram {
    score: f32,
    left: usize,
    right: usize,
    /// The end of the right symbol as it was: once it has changed, the bigram is stale.
    end: usize,
}

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
    fn id(&self, text: &str) -> Option<u32> {
        if text.len() > self.longest { None } else { self.ids.get(text).copied() }
    }

    /// Queues the merge of `left` with its right neighbour, if the two are a token.
    fn queue(&self, text: &str, symbols: &[Symbol], left: usize, queue: &mut BinaryHeap<Bigram>) {
        let Some(right) = symbols[left].next else { return };
        let end = symbols[right].end;
        let score = self.id(&text[symbols[left].start..end]).and_then(|id| self.scores.get(id as usize));
        queue.extend(score.map(|&score| Bigram { score, left, right, end }));
    }

    /// The runs of `text` that no merge joins any more, in their order.
    fn merge(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, c))| {
                let end = start + c.len_utf8();
                Symbol {
                    start,
                    end,
                    prev: index.checked_sub(1),
                    next: (end < text.len()).then_some(index + 1),
                }
            })
            .collect();

        let mut queue = BinaryHeap::with_capacity(symbols.len());
        for left in 0..symbols.len() {
            self.queue(text, &symbols, left, &mut queue);
        }
        while let Some(Bigram { left, right, end, .. }) = queue.pop() {
            // Only the left symbol's own neighbour touches it, and a symbol that has merged leftwards is empty.
            let (l, r) = (symbols[left], symbols[right]);
            if l.start == l.end || r.start == r.end || l.next != Some(right) || r.end != end {
                continue;
            }
            symbols[left] = Symbol { end, next: r.next, ..l };
            symbols[right].end = r.start;
            if let Some(next) = r.next {
                symbols[next].prev = Some(left);
            }
            if let Some(prev) = l.prev {
                self.queue(text, &symbols, prev, &mut queue);
            }
            self.queue(text, &symbols, left, &mut queue);
        }
        symbols.retain(|symbol| symbol.start < symbol.end);
        symbols
    }
}

impl Model for Spm {
    type Trainer = BpeTrainer;

    fn tokenize(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        let mut tokens = Vec::new();
        for Symbol { start, end, .. } in self.merge(text) {
            let piece = &text[start..end];
            match self.id(piece) {
                Some(id) => tokens.push(Token::new(id, piece.to_owned(), (start, end))),
                None => tokens.extend(piece.bytes().map(|byte| {
                    Token::new(self.byte_ids[usize::from(byte)], format!("<0x{byte:02X}>"), (start, end))
                })),
            }
        }
        Ok(tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.ids.iter().find(|&(_, &other)| other == id).map(|(text, _)| text.clone())
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.ids.iter().map(|(text, &id)| (text.clone(), id)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.ids.len()
    }

    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a vocabulary that came with a GGUF file is not saved without it".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}

impl Ord for Bigram {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Adding 0.0 makes -0.0 and 0.0 equal, as they are for llama.cpp.
        (self.score + 0.0).total_cmp(&(other.score + 0.0)).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Bigram {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bigram {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bigram {}

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
        model.tokenize(text).unwrap().iter().map(|token| token.id).collect()
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
