//! The JSON of requests and steps. Fields are spelled as in `js/src/wasm-contract.ts`: OpenAI's snake_case.

use crate::chat::{ChatRequest, LocalTime, Message};
use crate::context::Overflow;
use crate::grammar::Constraint;
use crate::sampler::{SamplerOptions, TokenLogprobs};
use crate::session::{self, FinishReason, Step};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Tokens that a context keeps when it is shifted: attention rests on the first ones, and collapses without them; see Xiao
/// et al. 2023 (<https://arxiv.org/abs/2309.17453>).
const DEFAULT_N_KEEP: usize = 4;

/// Messages, what the template may know beside them, and the time that it may print.
#[derive(Deserialize)]
#[serde(from = "TemplateFields")]
pub(super) struct TemplateRequest {
    pub(super) request: ChatRequest,
    pub(super) now: LocalTime,
}

/// Its JSON, in which all of them lie side by side: `flatten` would read everything twice, with much code.
#[derive(Deserialize)]
struct TemplateFields {
    messages: Vec<Message>,
    tools: Option<Vec<Value>>,
    add_generation_prompt: bool,
    template: Option<String>,
    #[serde(default, rename = "chat_template_kwargs")]
    variables: Map<String, Value>,
    now: LocalTime,
}

impl From<TemplateFields> for TemplateRequest {
    fn from(fields: TemplateFields) -> Self {
        let TemplateFields { messages, tools, add_generation_prompt, template, variables, now } = fields;
        let request = ChatRequest {
            messages,
            tools,
            add_generation_prompt,
            template,
            variables,
            ..ChatRequest::default()
        };
        Self { request, now }
    }
}

/// A conversation to answer, or a raw text or tokens to continue.
#[derive(Deserialize)]
pub(super) struct GenerateRequest {
    /// One of these three, which serde could tell apart as an enum only by reading them twice, with much code.
    prompt: Option<String>,
    ids: Option<Vec<u32>>,
    chat: Option<TemplateRequest>,
    max_tokens: Option<usize>,
    n: usize,
    constraint: Option<Constraint>,
    stop: Vec<String>,
    logprobs: Option<usize>,
    ignore_eos: bool,
    cache_prompt: bool,
    sampler: SamplerOptions,
    #[serde(default)]
    n_keep: Option<i64>,
    #[serde(default)]
    context: ContextOverflow,
}

/// What to do when the context is full.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ContextOverflow {
    #[default]
    Error,
    Shift,
}

pub(super) enum Prompt<'r> {
    Text(&'r str),
    Ids(&'r [u32]),
    Chat(&'r TemplateRequest),
}

impl GenerateRequest {
    /// What to answer or to continue.
    ///
    /// # Errors
    /// `internal` if there is nothing.
    pub(super) fn prompt(&self) -> Result<Prompt<'_>> {
        match (&self.prompt, &self.ids, &self.chat) {
            (Some(text), _, _) => Ok(Prompt::Text(text)),
            (_, Some(ids), _) => Ok(Prompt::Ids(ids)),
            (_, _, Some(chat)) => Ok(Prompt::Chat(chat)),
            _ => Err(Error::internal("a request has no prompt")),
        }
    }

    /// The conversation whose instructions are to be kept when the context is shifted: unless `n_keep` says what is.
    pub(super) fn keeps_instructions(&self) -> Option<&TemplateRequest> {
        match (self.context, self.n_keep) {
            (ContextOverflow::Shift, None) => self.chat.as_ref(),
            _ => None,
        }
    }

    /// `n_instructions`: the tokens that the prompt's instructions take.
    pub(super) fn with_prompt(self, prompt: Vec<u32>, n_instructions: usize) -> session::Request {
        let overflow = match self.context {
            ContextOverflow::Error => Overflow::Stop,
            // -1, or more than there are: all.
            ContextOverflow::Shift => Overflow::Shift {
                n_keep: match self.n_keep {
                    Some(n) => usize::try_from(n).unwrap_or(usize::MAX),
                    None => n_instructions.max(DEFAULT_N_KEEP),
                },
            },
        };
        session::Request {
            prompt,
            max_tokens: self.max_tokens,
            n: self.n,
            sampler: self.sampler,
            constraint: self.constraint,
            stop: self.stop,
            logprobs: self.logprobs,
            ignore_eos: self.ignore_eos,
            cache_prompt: self.cache_prompt,
            overflow,
        }
    }
}

/// What a step brought.
#[derive(Default, Serialize)]
pub(super) struct StepMessage {
    /// Which answer it is of.
    choice: usize,
    /// Characters for the page, possibly none.
    text: String,
    /// The tokens that begin in `text`, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Logprobs>,
    /// How far the prompt is, while it is being evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Progress>,
    /// `stop` or `length`, with the last step of an answer.
    finish_reason: Option<FinishReason>,
    /// With the last step of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

#[derive(Serialize)]
struct Progress {
    done: usize,
    total: usize,
}

/// A token as OpenAI has it in `logprobs.content`.
#[derive(Serialize)]
struct Logprobs {
    #[serde(flatten)]
    token: Logprob,
    top_logprobs: Vec<Logprob>,
}

#[derive(Serialize)]
struct Logprob {
    /// `bytes` as text; what is no UTF-8 becomes U+FFFD.
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

/// llama.cpp's names; milliseconds.
#[derive(Serialize)]
struct Timings {
    prompt_n: usize,
    prompt_ms: f64,
    predicted_n: usize,
    predicted_ms: f64,
    cache_n: usize,
}

impl StepMessage {
    pub(super) fn new(step: Step, tokenizer: &Tokenizer) -> Result<Self> {
        Ok(match step {
            Step::Prefill { done, total } => {
                Self { prompt: Some(Progress { done, total }), ..Self::default() }
            }
            Step::Token { choice, text, logprobs, .. } => {
                Self { choice, text, logprobs: spelled(logprobs, tokenizer)?, ..Self::default() }
            }
            Step::Finished { choice, reason, text, logprobs, timings, last } => Self {
                choice,
                text,
                logprobs: spelled(logprobs, tokenizer)?,
                finish_reason: Some(reason),
                timings: last.then(|| timings.into()),
                ..Self::default()
            },
        })
    }
}

fn spelled(logprobs: Vec<TokenLogprobs>, tokenizer: &Tokenizer) -> Result<Vec<Logprobs>> {
    let spell = |(id, logprob)| -> Result<Logprob> {
        let bytes = tokenizer.piece(id, false)?.into_owned();
        Ok(Logprob { token: String::from_utf8_lossy(&bytes).into_owned(), logprob, bytes })
    };
    let each = logprobs.into_iter().map(|TokenLogprobs { id, logprob, top }| {
        let top_logprobs = top.into_iter().map(spell).collect::<Result<_>>()?;
        Ok(Logprobs { token: spell((id, logprob))?, top_logprobs })
    });
    each.collect()
}

impl From<session::Timings> for Timings {
    fn from(timings: session::Timings) -> Self {
        Self {
            prompt_n: timings.prompt_n,
            prompt_ms: timings.prompt.as_secs_f64() * 1e3,
            predicted_n: timings.predicted_n,
            predicted_ms: timings.predicted.as_secs_f64() * 1e3,
            cache_n: timings.cache_n,
        }
    }
}
