//! What the metadata says of the vocabulary: texts and types of the tokens, and which of them have a role.
//!
//! Types and roles are corrected by the tokens' texts as llama.cpp does it, for many files have them wrong, and ids
//! depend on it. Source: `llama_vocab::impl::load` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

use super::special::Special;
use crate::gguf::{Metadata, keys};
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};

/// Ids by text.
pub(super) type Ids = HashMap<String, u32>;

/// The token types of GGUF, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenType {
    Undefined,
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// A token: what it is called, and what it is.
#[derive(Debug, Clone)]
pub(super) struct TokenInfo {
    pub(super) text: String,
    pub(super) kind: TokenType,
    /// A control token whatever its type: one whose text has a role.
    pub(super) control: bool,
}

/// The vocabulary, by id.
#[derive(Debug, Clone)]
pub(super) struct Vocab {
    pub(super) tokens: Vec<TokenInfo>,
    pub(super) roles: Roles,
    /// Longest first.
    pub(super) specials: Vec<Special>,
}

/// The tokens with a role.
#[derive(Debug, Clone, Default)]
pub(super) struct Roles {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) eot: Option<u32>,
    pub(super) eom: Option<u32>,
    pub(super) unk: Option<u32>,
    pub(super) pad: Option<u32>,
    /// All that end a generation.
    pub(super) eog: BTreeSet<u32>,
}

/// A role that a token has by its text where no key names one. Of several texts in a vocabulary the first counts.
struct RoleByText {
    keys: &'static [&'static str],
    texts: &'static [&'static str],
}

const EOT: RoleByText = RoleByText {
    keys: &[keys::TOKENIZER_EOT_ID],
    texts: &[
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "<｜end▁of▁sentence｜>",
        "<end_of_utterance>",
    ],
};

const EOM: RoleByText = RoleByText { keys: &[keys::TOKENIZER_EOM_ID], texts: &["<|eom_id|>"] };

/// Filling in the middle: prefix, suffix and middle end no generation.
const FIM: [RoleByText; 3] = [
    RoleByText {
        keys: &[keys::TOKENIZER_FIM_PRE_ID, keys::TOKENIZER_PREFIX_ID],
        texts: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
    },
    RoleByText {
        keys: &[keys::TOKENIZER_FIM_SUF_ID, keys::TOKENIZER_SUFFIX_ID],
        texts: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
    },
    RoleByText {
        keys: &[keys::TOKENIZER_FIM_MID_ID, keys::TOKENIZER_MIDDLE_ID],
        texts: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
    },
];

/// Filling in the middle: padding, repository and file separator end a generation.
const FIM_EOG: [RoleByText; 3] = [
    RoleByText {
        keys: &[keys::TOKENIZER_FIM_PAD_ID],
        texts: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    },
    RoleByText {
        keys: &[keys::TOKENIZER_FIM_REP_ID],
        texts: &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    },
    RoleByText { keys: &[keys::TOKENIZER_FIM_SEP_ID], texts: &["<|file_sep|>"] },
];

/// Texts that end a generation wherever they are a token.
const EOG_TEXTS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Texts of the harmony format, which are always found and shown.
const HARMONY_TEXTS: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

impl TokenType {
    /// The type with the format's number `number`.
    fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Undefined,
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

impl TokenInfo {
    /// Whether the token is no text of its own: a control token or the unknown one.
    pub(super) fn is_special(&self) -> bool {
        self.control || matches!(self.kind, TokenType::Control | TokenType::Unknown)
    }

    fn set_kind(&mut self, kind: TokenType) {
        (self.kind, self.control) = (kind, false);
    }

    /// The byte that a token like `<0x0A>` stands for.
    pub(super) fn byte(&self) -> Option<u8> {
        let hex = self.text.strip_prefix("<0x")?.strip_suffix('>')?;
        if hex.len() == 2 { u8::from_str_radix(hex, 16).ok() } else { None }
    }
}

impl Vocab {
    /// The vocabulary of `metadata` and its ids by text. `defaults` are the roles where no key gives them.
    ///
    /// # Errors
    /// `invalid_model` if the tokens are none, two are equal, their types are not as many or not the format's, or a
    /// role's id is no integer.
    pub(super) fn from_metadata(metadata: &Metadata, defaults: Roles) -> Result<(Self, Ids)> {
        let mut tokens = read_tokens(metadata)?;
        let mut ids = Ids::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            if let Some(other) = ids.insert(token.text.clone(), id as u32) {
                return Err(Error::invalid_model(format!(
                    "`{key}[{other}]` and `{key}[{id}]` should differ, but both are `{}`",
                    token.text,
                    key = keys::TOKENIZER_TOKENS
                )));
            }
        }
        let roles = read_roles(metadata, defaults, &mut tokens, &ids)?;
        let specials = specials(metadata, &tokens)?;
        Ok((Self { tokens, roles, specials }, ids))
    }
}

fn read_tokens(metadata: &Metadata) -> Result<Vec<TokenInfo>> {
    let texts = metadata.strings(keys::TOKENIZER_TOKENS)?;
    if texts.is_empty() {
        return Err(Error::invalid_model(format!(
            "`{}` should hold a token, but is empty",
            keys::TOKENIZER_TOKENS
        )));
    }
    let mut tokens: Vec<TokenInfo> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| TokenInfo {
            text: if text.is_empty() { format!("[EMPTY_{id}]") } else { text.clone() },
            kind: TokenType::Normal,
            control: false,
        })
        .collect();

    if metadata.contains(keys::TOKENIZER_TOKEN_TYPE) {
        let numbers = metadata.i32s(keys::TOKENIZER_TOKEN_TYPE)?;
        if numbers.len() != tokens.len() {
            return Err(Error::invalid_model(format!(
                "`{}` should hold {} types, one for each token, but holds {}",
                keys::TOKENIZER_TOKEN_TYPE,
                tokens.len(),
                numbers.len()
            )));
        }
        for (id, (token, &number)) in tokens.iter_mut().zip(numbers).enumerate() {
            token.kind = TokenType::from_number(number).ok_or_else(|| {
                Error::invalid_model(format!(
                    "`{}[{id}]` should be in 0..=6, but is {number}",
                    keys::TOKENIZER_TOKEN_TYPE
                ))
            })?;
            if token.kind == TokenType::Byte && token.byte().is_none() {
                return Err(Error::invalid_model(format!(
                    "`{}[{id}]` is of type byte and should be `<0x00>` to `<0xFF>`, but is `{}`",
                    keys::TOKENIZER_TOKENS,
                    token.text
                )));
            }
        }
    }
    Ok(tokens)
}

/// The roles as keys and texts give them. A token with a role by its text becomes a control token.
fn read_roles(metadata: &Metadata, defaults: Roles, tokens: &mut [TokenInfo], ids: &Ids) -> Result<Roles> {
    let n_vocab = tokens.len();
    // An id that is no token's stands for none, and some writers put -1 for that: llama.cpp keeps its default then.
    let by_key = |key: &str, default: Option<u32>| -> Result<Option<u32>> {
        let of_token = |id: Option<u32>| id.filter(|&id| (id as usize) < n_vocab);
        let given = if metadata.contains(key) { u32::try_from(metadata.integer(key)?).ok() } else { None };
        Ok(of_token(given).or(of_token(default)))
    };
    let mut by_text = |role: &RoleByText| -> Result<Option<u32>> {
        for key in role.keys {
            if let Some(id) = by_key(key, None)? {
                return Ok(Some(id));
            }
        }
        let id = role.texts.iter().find_map(|&text| ids.get(text).copied());
        if let Some(id) = id {
            tokens[id as usize].control = true;
        }
        Ok(id)
    };

    let (eot, eom) = (by_text(&EOT)?, by_text(&EOM)?);
    for role in &FIM {
        by_text(role)?;
    }
    let mut eog = BTreeSet::new();
    for role in &FIM_EOG {
        eog.extend(by_text(role)?);
    }
    for id in EOG_TEXTS.iter().filter_map(|&text| ids.get(text).copied()) {
        tokens[id as usize].control = true;
        eog.insert(id);
    }
    for id in HARMONY_TEXTS.iter().filter_map(|&text| ids.get(text).copied()) {
        tokens[id as usize].set_kind(TokenType::UserDefined);
    }
    let eos = by_key(keys::TOKENIZER_EOS_ID, defaults.eos)?;
    eog.extend([eos, eot, eom].into_iter().flatten());

    // In these families the text is a part of the answer, though elsewhere it ends one.
    let ends = |text: &str| ids.get(text).copied().filter(|id| eog.contains(id));
    let harmony = ends("<|return|>").is_some() || ends("<|flush|>").is_some();
    let calls = ends("<|call|>").is_some() || ends("<|calls|>").is_some();
    let end = ends("<|end|>").filter(|_| harmony && calls);
    let has_plain_s = ends("<|tool_response>").is_some() || ends("<|plamo:eos|>").is_some();
    let s = ends("</s>").filter(|_| has_plain_s);
    for (id, kind) in [(end, TokenType::UserDefined), (s, TokenType::Normal)] {
        if let Some(id) = id {
            eog.remove(&id);
            tokens[id as usize].set_kind(kind);
        }
    }

    Ok(Roles {
        bos: by_key(keys::TOKENIZER_BOS_ID, defaults.bos)?,
        eos,
        eot,
        eom,
        unk: by_key(keys::TOKENIZER_UNK_ID, defaults.unk)?,
        pad: by_key(keys::TOKENIZER_PAD_ID, defaults.pad)?,
        eog,
    })
}

/// The tokens that are found in a text before it is cut, longest first.
fn specials(metadata: &Metadata, tokens: &[TokenInfo]) -> Result<Vec<Special>> {
    let strips = |text: &str| !matches!(text, "<unk>" | "<s>" | "<|endoftext|>");
    let is_phi3 = metadata.contains(keys::GENERAL_NAME) && {
        let name = metadata.str(keys::GENERAL_NAME)?.to_ascii_lowercase();
        name.contains("phi-3") || name.contains("phi3")
    };
    let is_found = |token: &TokenInfo| token.is_special() || token.kind == TokenType::UserDefined;
    let found = tokens.iter().enumerate().filter(|(_, token)| is_found(token));
    let mut order: Vec<(u64, usize)> =
        found.map(|(id, token)| (u64::MAX - token.text.len() as u64, id)).collect();
    order.sort_unstable();
    let specials = order.into_iter().map(|(_, id)| {
        let token = &tokens[id];
        Special {
            id: id as u32,
            text: token.text.clone(),
            strips_right: is_phi3 && strips(&token.text),
            parsed_only: token.is_special(),
        }
    });
    Ok(specials.collect())
}
