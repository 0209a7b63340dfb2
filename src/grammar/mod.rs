//! Constrained answers: which tokens may come next, so that the whole answer is JSON of a schema, a sentence of a
//! grammar, or a match of a regex.
//!
//! llguidance does the parsing: it walks a trie of all tokens' bytes with an Earley parser over a lexer, and gives a
//! mask of the tokens that some answer goes on with. The trie is built once for a model, at the first request that
//! needs it. Tokens that end a generation are allowed exactly where the answer may end.
//!
//! Schemas and grammars are untrusted: their size and depth are bounded before they are compiled, and compiling and each
//! step have a budget. What is refused is a `grammar_error` that names the place.

mod bounds;
mod gbnf;
mod lark;
mod schema;

use crate::tokenizer::Tokenizer;
use crate::{Error, ErrorKind, Result};
use llguidance::api::{GrammarInit, ParserLimits, StopReason, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use std::sync::Arc;

/// What an answer has to be.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// Any JSON object.
    JsonObject,
    /// JSON that a JSON Schema describes, of which this is the text.
    JsonSchema(String),
    /// A sentence of a grammar: of GBNF if a line begins with a rule's name and `::=`, else of Lark.
    Grammar(String),
    /// A sentence of a grammar in llguidance's dialect of Lark.
    Lark(String),
    /// A sentence of a grammar in llama.cpp's GBNF.
    Gbnf(String),
    /// A text that the regular expression matches as a whole, in the syntax of Rust's `regex` without assertions.
    Regex(String),
}

/// Bytes of a schema, a grammar or a regex.
const MAX_SOURCE: usize = 256 << 10;
/// Sets of tokens, besides llguidance's own of JSON, each of which a mask takes as a whole where all of them may come next:
/// words, of which vocabularies mostly consist. What is no such set is gone through byte by byte.
const WORDS: [&str; 4] = [" ?[A-Za-z]{1,12}", " [a-z]{1,12}", "[a-z]{1,12}", "[a-z]{1,6}"];
/// The request's field that holds a schema.
const SCHEMA_FIELD: &str = "response_format.json_schema.schema";

/// The tokens of a model, as llguidance wants them.
pub struct Grammars {
    factory: ParserFactory,
    /// What was compiled last: asked for again, it knows its lexer's states already.
    last: Option<(Constraint, Matching)>,
}

/// An answer on its way. A clone goes on by itself.
#[derive(Clone)]
pub struct Matching {
    matcher: Matcher,
}

/// What a mask leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The answer may or must go on.
    Tokens,
    /// The answer is complete: nothing may follow.
    End,
}

impl Grammars {
    /// The trie of all tokens of `tokenizer`.
    ///
    /// # Errors
    /// `internal` only.
    pub fn new(tokenizer: &Tokenizer) -> Result<Self> {
        let n_vocab = tokenizer.n_vocab();
        let words = (0..n_vocab as u32).map(|id| word(tokenizer, id)).collect::<Result<Vec<_>>>()?;
        let ends: Vec<u32> = tokenizer.eog().collect();
        let info = TokRxInfo::new(n_vocab as u32, ends.first().copied().unwrap_or(INVALID_TOKEN));
        let mut trie = TokTrie::from(&info, &words);
        if !ends.is_empty() {
            trie = trie.with_eos_tokens(&ends);
        }
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let sets = [SlicedBiasComputer::json_slices(), WORDS.map(str::to_owned).to_vec()].concat();
        let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &sets)
            .map_err(|error| Error::internal(format!("the tokens make no trie: {error}")))?;
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(Self { factory, last: None })
    }

    /// Compiles what an answer has to be.
    ///
    /// # Errors
    /// `grammar_error` that names the place in the schema or the grammar, if it does not compile, is too large, or allows
    /// no answer.
    pub fn compile(&mut self, constraint: &Constraint) -> Result<Matching> {
        if let Some((last, matching)) = &self.last
            && last == constraint
        {
            return Ok(matching.clone());
        }
        let matching = self.compiled(constraint)?;
        self.last = Some((constraint.clone(), matching.clone()));
        Ok(matching)
    }

    fn compiled(&self, constraint: &Constraint) -> Result<Matching> {
        match constraint {
            Constraint::JsonObject => self.json(&serde_json::json!({ "type": "object" }), "response_format"),
            Constraint::JsonSchema(source) => {
                check_length(SCHEMA_FIELD, source)?;
                let schema = serde_json::from_str(source)
                    .map_err(|error| grammar_error(format!("`{SCHEMA_FIELD}`: {error}")))?;
                self.json(&schema, SCHEMA_FIELD)
            }
            Constraint::Grammar(source) if gbnf::is_gbnf(source) => self.gbnf(source),
            Constraint::Gbnf(source) => self.gbnf(source),
            Constraint::Grammar(source) | Constraint::Lark(source) => self.lark(source),
            Constraint::Regex(source) => {
                check_length("regex", source)?;
                bounds::check_regex(source)
                    .and_then(|()| self.matching(TopLevelGrammar::from_regex(source)))
                    .map_err(|message| grammar_error(format!("`regex`: {message}")))
            }
        }
    }

    fn gbnf(&self, source: &str) -> Result<Matching> {
        check_length("grammar", source)?;
        let lark = gbnf::to_lark(source).map_err(|detail| grammar_error(format!("`grammar`: {detail}")))?;
        check_length("grammar", &lark)?;
        self.prepared(lark::prepared(&lark).map_err(|detail| {
            // The lines are not those of `source`.
            let what = detail.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
            what.map_or(detail.clone(), |(_, what)| what.to_owned())
        }))
    }

    fn lark(&self, source: &str) -> Result<Matching> {
        check_length("grammar", source)?;
        self.prepared(lark::prepared(source))
    }

    fn prepared(&self, lark: std::result::Result<String, String>) -> Result<Matching> {
        lark.and_then(|lark| self.matching(TopLevelGrammar::from_lark(lark)))
            .map_err(|message| grammar_error(format!("`grammar`: {message}")))
    }

    fn json(&self, source: &Value, field: &str) -> Result<Matching> {
        let schema =
            schema::Schema::new(source).map_err(|fault| grammar_error(format!("`{field}` at {fault}")))?;
        self.matching(TopLevelGrammar::from_json_schema(schema.whole())).map_err(|message| {
            let fault = schema.blame(message, |part| {
                let grammar = GrammarInit::Serialized(TopLevelGrammar::from_json_schema(part));
                grammar.to_internal(None, limits()).err().map(|error| first_line(&error.to_string()))
            });
            grammar_error(format!("`{field}` at {fault}"))
        })
    }

    /// A matcher whose first mask is not empty.
    #[inline(never)]
    fn matching(&self, grammar: TopLevelGrammar) -> std::result::Result<Matching, String> {
        let parser =
            self.factory.create_parser(grammar).map_err(|error| first_line(&format!("{error:#}")))?;
        let mut matcher = Matcher::new(Ok(parser));
        match matcher.compute_mask() {
            Ok(_) => Ok(Matching { matcher }),
            Err(error) if is_empty_mask(&error) => Err("no answer is possible".to_owned()),
            Err(error) => Err(first_line(&error.to_string())),
        }
    }
}

impl Matching {
    /// Makes the logits of all tokens that may not come next -∞.
    ///
    /// # Errors
    /// `grammar_error` if finding them out takes more than a step may.
    pub fn mask(&mut self, logits: &mut [f32], is_end: impl Fn(u32) -> bool) -> Result<Next> {
        if self.matcher.stop_reason() == StopReason::NoExtension {
            return Ok(Next::End);
        }
        let may_end = self.matcher.is_accepting().map_err(|error| stuck(&error))?;
        let mask = match self.matcher.compute_mask() {
            Ok(mask) => mask,
            // The vocabulary has no token that ends an answer.
            Err(error) if may_end && is_empty_mask(&error) => return Ok(Next::End),
            Err(error) => return Err(stuck(&error)),
        };
        for (logits, &bits) in logits.chunks_mut(32).zip(mask.as_slice()) {
            keep(logits, bits);
        }
        let allowed = mask.as_slice().iter().enumerate().flat_map(|(index, &bits)| {
            (0..32).filter(move |at| bits >> at & 1 == 1).map(move |at| index as u32 * 32 + at)
        });
        let goes_on = allowed.into_iter().any(|id| !is_end(id));
        Ok(if goes_on { Next::Tokens } else { Next::End })
    }

    /// Whether the answer may go on with this token, or end by it. It takes a fraction of a mask's time.
    ///
    /// # Errors
    /// `grammar_error` if finding it out takes more than a step may.
    pub fn allows(&mut self, id: u32) -> Result<bool> {
        Ok(self.matcher.validate_tokens(&[id]).map_err(|error| stuck(&error))? == 1)
    }

    /// Goes on with the token that was drawn.
    ///
    /// # Errors
    /// `grammar_error` if that takes more than a step may; `internal` if the mask did not allow it.
    pub fn accept(&mut self, id: u32) -> Result<Next> {
        self.matcher.consume_token(id).map_err(|error| stuck(&error))?;
        match self.matcher.stop_reason() {
            StopReason::NotStopped => Ok(Next::Tokens),
            _ => Ok(Next::End),
        }
    }
}

/// Makes those of up to 32 logits -∞ whose bit is 0. What is mixed has no way of its own for either, which would be guessed
/// wrongly.
fn keep(logits: &mut [f32], bits: u32) {
    const BITS: [u32; 32] = {
        let mut all = [1; 32];
        let mut at = 1;
        while at < all.len() {
            all[at] = all[at - 1] << 1;
            at += 1;
        }
        all
    };
    match bits {
        0 => logits.fill(f32::NEG_INFINITY),
        u32::MAX => {}
        _ => {
            for (logit, bit) in logits.iter_mut().zip(BITS) {
                *logit = if bits & bit == 0 { f32::NEG_INFINITY } else { *logit };
            }
        }
    }
}

/// What a token spells; a special one behind a byte that no text has.
fn word(tokenizer: &Tokenizer, id: u32) -> Result<Vec<u8>> {
    if tokenizer.is_special(id) {
        let text = tokenizer.token_text(id).unwrap_or_default();
        return Ok([&[TokTrie::SPECIAL_TOKEN_MARKER], text.as_bytes()].concat());
    }
    Ok(tokenizer.piece(id, false)?.into_owned())
}

/// What compiling and a step may take: some 20 ms each, and 40 MB for the states of the lexer.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 20_000,
        // Above 65,525 symbols llguidance 1.9.1 panics.
        max_grammar_size: 60_000,
        precompute_large_lexemes: true,
        verbose_errors: false,
    }
}

/// Refuses a source that is too long.
#[inline(never)]
fn check_length(field: &str, source: &str) -> Result<()> {
    if source.len() <= MAX_SOURCE {
        return Ok(());
    }
    let len = source.len();
    Err(grammar_error(format!("`{field}` should be at most {MAX_SOURCE} bytes, but is {len}")))
}

fn grammar_error(detail: String) -> Error {
    Error::new(ErrorKind::GrammarError, detail)
}

/// A matcher that failed in the middle of an answer: it met a limit.
fn stuck(error: &impl ToString) -> Error {
    grammar_error(format!(
        "the answer can't be kept to its form any longer: {}",
        first_line(&error.to_string())
    ))
}

/// Whether a mask failed for having no token.
fn is_empty_mask(error: &impl ToString) -> bool {
    error.to_string().starts_with(&StopReason::NoExtensionBias.to_string())
}

/// llguidance's message in one line, without the grammar that it may repeat.
#[inline(never)]
fn first_line(message: &str) -> String {
    let end = message.find("\n<").unwrap_or(message.len());
    let lines = message[..end].lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| line.contains(|c: char| c.is_alphanumeric())).collect();
    lines.join("; ")
}
