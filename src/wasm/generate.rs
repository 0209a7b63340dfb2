//! The JSON of requests and steps. Fields are spelled as in `js/src/wasm-contract.ts`: OpenAI's snake_case.

use crate::chat::{ChatRequest, LocalTime};
use crate::sampler::SamplerOptions;
use crate::session::{self, FinishReason, Step};
use serde::{Deserialize, Serialize};

/// Messages, what the template may know beside them, and the time that it may print.
#[derive(Deserialize)]
pub(super) struct TemplateRequest {
    #[serde(flatten)]
    pub(super) request: ChatRequest,
    pub(super) now: LocalTime,
}

/// A conversation to answer or a raw text to continue.
#[derive(Deserialize)]
pub(super) struct GenerateRequest {
    #[serde(flatten)]
    pub(super) prompt: Prompt,
    max_tokens: Option<usize>,
    temperature: f64,
    top_p: f64,
    top_k: usize,
    seed: u64,
    ignore_eos: bool,
    cache_prompt: bool,
}

#[derive(Deserialize)]
pub(super) enum Prompt {
    #[serde(rename = "prompt")]
    Text(String),
    #[serde(rename = "chat")]
    Chat(TemplateRequest),
}

impl GenerateRequest {
    pub(super) fn with_prompt(self, prompt: Vec<u32>) -> session::Request {
        session::Request {
            prompt,
            max_tokens: self.max_tokens,
            sampler: SamplerOptions {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                seed: self.seed,
            },
            ignore_eos: self.ignore_eos,
            cache_prompt: self.cache_prompt,
        }
    }
}

/// What a step brought.
#[derive(Serialize)]
pub(super) struct StepMessage {
    /// Characters for the page, possibly none.
    text: String,
    /// How far the prompt is, while it is being evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Progress>,
    /// `stop` or `length`, with the last step.
    finish_reason: Option<FinishReason>,
    /// With the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

#[derive(Serialize)]
struct Progress {
    done: usize,
    total: usize,
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

impl From<Step> for StepMessage {
    fn from(step: Step) -> Self {
        let empty = Self { text: String::new(), prompt: None, finish_reason: None, timings: None };
        match step {
            Step::Prefill { done, total } => Self { prompt: Some(Progress { done, total }), ..empty },
            Step::Token { text, .. } => Self { text, ..empty },
            Step::Finished { reason, text, timings } => {
                Self { text, finish_reason: Some(reason), timings: Some(timings.into()), ..empty }
            }
        }
    }
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
