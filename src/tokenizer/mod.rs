//! Text to token ids and back, built from a GGUF file's metadata alone.
//!
//! Two kinds of vocabulary: byte-level BPE (`tokenizer.ggml.model` is `gpt2`) and SentencePiece BPE (`llama`). A text
//! is parted at the special tokens; the rest is cut into words, for byte-level BPE, as `tokenizer.ggml.pre` says, and then
//! merged.
//!
//! The ids are those of llama.cpp, always: the models were converted and are used with it. There is no normalization
//! (no NFC), as there is none in llama.cpp.

mod byte_level;
mod merge;
mod special;
mod spm;
mod stream;
mod unicode;
mod vocab;
mod words;

pub use stream::{DecodeStream, WholeChars};

use crate::gguf::{Metadata, keys};
use crate::{Error, Result};
use byte_level::Bpe;
use special::Fragment;
use spm::Spm;
use std::borrow::Cow;
use std::fmt;
use vocab::{Roles, TokenType, Vocab};
use words::Words;

/// A vocabulary with its way of cutting text.
pub struct Tokenizer {
    vocab: Vocab,
    pipeline: Pipeline,
    adds_bos: bool,
    adds_eos: bool,
}

enum Pipeline {
    ByteLevel { words: Words, bpe: Bpe },
    SentencePiece { spm: Spm, space_prefix: bool },
}

/// What goes with the name of a pre-tokenizer.
struct Pre {
    words: Words,
    ignore_merges: bool,
    adds_bos: bool,
}

/// The space of SentencePiece, U+2581.
const SPM_SPACE: &str = "▁";

impl Tokenizer {
    /// Builds the tokenizer that `metadata` describes.
    ///
    /// A byte-level vocabulary without `tokenizer.ggml.pre` is cut by the rule `default`, as llama.cpp does it.
    ///
    /// # Errors
    /// `unsupported_model` for another kind of vocabulary or pre-tokenizer; `invalid_model` for metadata that is
    /// missing, of the wrong type or length, or contradicts itself. Each names the key.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        match metadata.str(keys::TOKENIZER_MODEL)? {
            "gpt2" => Self::byte_level(metadata),
            "llama" => Self::sentence_piece(metadata),
            other => Err(Error::unsupported_model(format!(
                "`{}` should be `gpt2` or `llama`, but is `{other}`",
                keys::TOKENIZER_MODEL
            ))),
        }
    }

    fn byte_level(metadata: &Metadata) -> Result<Self> {
        let pre = Pre::from_metadata(metadata)?;
        let (vocab, ids) = Vocab::from_metadata(metadata, Roles::default())?;
        let merges = metadata.strings(keys::TOKENIZER_MERGES)?;
        let bpe = Bpe::new(ids, merges, pre.ignore_merges)?;
        Self::new(metadata, vocab, Pipeline::ByteLevel { words: pre.words, bpe }, pre.adds_bos)
    }

    fn sentence_piece(metadata: &Metadata) -> Result<Self> {
        let defaults = Roles { unk: Some(0), bos: Some(1), eos: Some(2), ..Roles::default() };
        let (vocab, ids) = Vocab::from_metadata(metadata, defaults)?;
        let scores = metadata.f32s(keys::TOKENIZER_SCORES)?;
        let spm = Spm::new(ids, scores, vocab.roles.unk)?;
        let space_prefix = flag(metadata, keys::TOKENIZER_ADD_SPACE_PREFIX, true)?;
        Self::new(metadata, vocab, Pipeline::SentencePiece { spm, space_prefix }, true)
    }

    fn new(metadata: &Metadata, vocab: Vocab, pipeline: Pipeline, adds_bos: bool) -> Result<Self> {
        let adds_bos = flag(metadata, keys::TOKENIZER_ADD_BOS, adds_bos)? && vocab.roles.bos.is_some();
        let adds_eos = flag(metadata, keys::TOKENIZER_ADD_EOS, false)? && vocab.roles.eos.is_some();
        Ok(Self { vocab, pipeline, adds_bos, adds_eos })
    }

    /// The ids of `text`. With `add_special` the tokens that the model wants around a text are added, the one that begins it
    /// unless it stands there; with `parse_special` the texts of control tokens become those tokens, without it they are
    /// plain text. (What a file calls user-defined tokens are found either way.)
    ///
    /// # Errors
    /// `internal` only.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>> {
        let mut ids = self.encode_begun(text, add_special, parse_special);
        ids.extend(self.vocab.roles.eos.filter(|_| add_special && self.adds_eos));
        Ok(ids)
    }

    /// The ids of a prompt that a chat template rendered: special tokens parsed, and in front the token that begins a
    /// text, if the model wants it and the template has not put it there. So llama.cpp does it.
    ///
    /// # Errors
    /// `internal` only.
    pub fn encode_prompt(&self, rendered: &str) -> Result<Vec<u32>> {
        Ok(self.encode_begun(rendered, true, true))
    }

    /// With `begin` the token that begins a text is in front, if the model wants it.
    fn encode_begun(&self, text: &str, begin: bool, parse_special: bool) -> Vec<u32> {
        let fragments = special::partition(text, &self.vocab.specials, parse_special);
        let begun = |&bos: &u32| fragments.first() == Some(&Fragment::Token(bos));
        let bos = self.vocab.roles.bos.filter(|bos| begin && self.adds_bos && !begun(bos));
        let mut ids = Vec::from_iter(bos);
        let mut after_special = true;
        for fragment in &fragments {
            after_special = match *fragment {
                Fragment::Token(id) => {
                    ids.push(id);
                    true
                }
                Fragment::Text(text) => {
                    self.encode_plain(text, after_special, &mut ids);
                    false
                }
            };
        }
        ids
    }

    /// Appends the ids of a text without special tokens. `first`: the text begins, or follows a special token.
    fn encode_plain(&self, text: &str, first: bool, ids: &mut Vec<u32>) {
        match &self.pipeline {
            Pipeline::ByteLevel { words, bpe } => bpe.encode(words.cut(text), ids),
            Pipeline::SentencePiece { spm, space_prefix } => {
                let mut escaped = text.replace(' ', SPM_SPACE);
                if first && *space_prefix {
                    escaped.insert_str(0, SPM_SPACE);
                }
                spm.encode(&escaped, ids);
            }
        }
    }

    /// The text of `ids`: what a [`stream`](Self::stream) of them gives, without the space that SentencePiece puts
    /// before a text. With `skip_special` control tokens and the unknown token are left out.
    ///
    /// Spaces before punctuation stay (llama.cpp removes some of them for some models), so that
    /// decoding gives back what was encoded.
    ///
    /// # Errors
    /// `invalid_request` if the vocabulary has no such id.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.decode_bytes(ids, skip_special)?).into_owned())
    }

    /// The bytes of the text of `ids`; see [`decode`](Self::decode).
    pub(crate) fn decode_bytes(&self, ids: &[u32], skip_special: bool) -> Result<Vec<u8>> {
        let prefixed = matches!(self.pipeline, Pipeline::SentencePiece { space_prefix: true, .. });
        let mut bytes = Vec::new();
        let mut first = prefixed;
        for &id in ids {
            let piece = self.piece(id, skip_special)?;
            if first && !self.token(id)?.is_special() {
                first = false;
                bytes.extend(piece.strip_prefix(b" ").unwrap_or(&piece));
            } else {
                bytes.extend(&*piece);
            }
        }
        Ok(bytes)
    }

    /// Turns ids into text as they come: the continuation of a text, with the space that its first token may
    /// begin with.
    pub fn stream(&self, skip_special: bool) -> DecodeStream<'_> {
        DecodeStream { tokenizer: self, skip_special, chars: WholeChars::default() }
    }

    /// The bytes that a token stands for in a text; they need not be whole characters. With `skip_special` a control
    /// token and the unknown token stand for none.
    ///
    /// # Errors
    /// `invalid_request` if the vocabulary has no such id.
    pub fn piece(&self, id: u32, skip_special: bool) -> Result<Cow<'_, [u8]>> {
        let token = self.token(id)?;
        if token.is_special() {
            return Ok(Cow::Borrowed(if skip_special { b"" } else { token.text.as_bytes() }));
        }
        Ok(match (token.kind, &self.pipeline) {
            (TokenType::Byte, _) => Cow::Owned(token.byte().into_iter().collect()),
            (TokenType::Normal, Pipeline::ByteLevel { .. }) => {
                let mut bytes = Vec::with_capacity(token.text.len());
                byte_level::push_bytes(&token.text, &mut bytes);
                Cow::Owned(bytes)
            }
            (TokenType::Normal, Pipeline::SentencePiece { .. }) => {
                Cow::Owned(token.text.replace(SPM_SPACE, " ").into_bytes())
            }
            (TokenType::Unused | TokenType::Undefined, _) => Cow::Borrowed(b""),
            (TokenType::UserDefined | TokenType::Control | TokenType::Unknown, _) => {
                Cow::Borrowed(token.text.as_bytes())
            }
        })
    }

    /// How many tokens there are.
    pub fn n_vocab(&self) -> usize {
        self.vocab.tokens.len()
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.vocab.roles.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.vocab.roles.eos
    }

    /// The token that ends a turn.
    pub fn eot(&self) -> Option<u32> {
        self.vocab.roles.eot
    }

    /// The token that ends a message after which the model goes on, as with a tool call.
    pub fn eom(&self) -> Option<u32> {
        self.vocab.roles.eom
    }

    /// The token for what the vocabulary does not have.
    pub fn unk(&self) -> Option<u32> {
        self.vocab.roles.unk
    }

    /// The token that fills up a batch.
    pub fn pad(&self) -> Option<u32> {
        self.vocab.roles.pad
    }

    /// Whether `id` is no text of its own: a control token, or the unknown one.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocab.tokens.get(id as usize).is_some_and(vocab::TokenInfo::is_special)
    }

    /// Whether `id` ends a generation: the tokens that the metadata names for it, and those known by their text.
    pub fn is_eog(&self, id: u32) -> bool {
        self.vocab.roles.eog.contains(&id)
    }

    /// The tokens that end an answer, ascending.
    pub fn eog(&self) -> impl Iterator<Item = u32> {
        self.vocab.roles.eog.iter().copied()
    }

    /// Whether [`encode`](Self::encode) with `add_special` begins with [`bos`](Self::bos).
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// Whether [`encode`](Self::encode) with `add_special` ends with [`eos`](Self::eos).
    pub fn adds_eos(&self) -> bool {
        self.adds_eos
    }

    /// The token's text as the vocabulary spells it, as in `Ġworld` or `▁world`.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.vocab.tokens.get(id as usize).map(|token| token.text.as_str())
    }

    /// The token that the vocabulary spells `text`.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        match &self.pipeline {
            Pipeline::ByteLevel { bpe, .. } => bpe.id(text),
            Pipeline::SentencePiece { spm, .. } => spm.id(text),
        }
    }

    fn token(&self, id: u32) -> Result<&vocab::TokenInfo> {
        self.vocab.tokens.get(id as usize).ok_or_else(|| {
            Error::invalid_request(format!("token id should be in 0..{}, but is {id}", self.n_vocab()))
        })
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("n_vocab", &self.n_vocab()).finish_non_exhaustive()
    }
}

impl Pre {
    /// What `tokenizer.ggml.pre` names. Only names whose rule is one of ours are known.
    fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let name =
            if metadata.contains(keys::TOKENIZER_PRE) { metadata.str(keys::TOKENIZER_PRE)? } else { "" };
        let (words, ignore_merges, adds_bos) = match name {
            "" | "default" => (words::DEFAULT, false, false),
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" | "exaone4"
            | "gigachat" | "a.x-4.0" | "mellum" => (words::GPT2, false, false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b"
            | "mellum2" => (words::SMOLLM, false, false),
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
            | "lfm2" => (words::LLAMA3, true, true),
            "smaug-bpe" | "dbrx" => (words::LLAMA3, false, false),
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "megrez" | "stablelm2" | "hunyuan"
            | "solar-open" | "grok-2" => (words::QWEN2, false, false),
            "deepseek-llm" => (words::DEEPSEEK_LLM, false, false),
            "tekken" => (words::TEKKEN, true, true),
            other => {
                return Err(Error::unsupported_model(format!(
                    "`{}` is `{other}`, a pre-tokenizer that Tallow does not have",
                    keys::TOKENIZER_PRE
                )));
            }
        };
        Ok(Self { words, ignore_merges, adds_bos })
    }
}

/// The boolean under `key`, or `default` where there is none.
fn flag(metadata: &Metadata, key: &str, default: bool) -> Result<bool> {
    if metadata.contains(key) { metadata.bool(key) } else { Ok(default) }
}
