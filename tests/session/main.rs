//! A session through its public API, on a tiny random model: what is generated, reused, stopped and refused.

mod answers;
mod cache;
mod constraints;
#[path = "../module/mod.rs"]
mod module;
mod overflow;

use module::assert_module;
use tallow::load::{Loaded, Loader};
use tallow::sampler::{SamplerOptions, TokenLogprobs};
use tallow::session::{FinishReason, Request, Session, Step, Timings};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const TINY: &[u8] = include_bytes!("../golden/tiny/tiny-Q4_0.gguf");

fn load() -> Loaded {
    assert_module();
    let mut loader = Loader::new();
    loader.push(TINY).expect("the file is read");
    loader.finish().expect("the model loads")
}

fn session(n_ctx: usize) -> Session {
    let Loaded { llama, tokenizer, kv_type, .. } = load();
    Session::new(llama, tokenizer, n_ctx, kv_type).expect("a session")
}

/// 40 tokens, greedy, never ending by itself.
fn request(prompt: std::ops::Range<u32>) -> Request {
    Request {
        prompt: prompt.collect(),
        max_tokens: Some(40),
        sampler: SamplerOptions { temperature: 0.0, ..Default::default() },
        ignore_eos: true,
        ..Default::default()
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    ids: Vec<u32>,
    reason: FinishReason,
}

fn run(session: &mut Session, request: Request) -> (Answer, Timings) {
    session.start(request).expect("the request is good");
    let mut ids = Vec::new();
    loop {
        match session.step().expect("a step") {
            Step::Prefill { .. } => {}
            Step::Token { id, .. } => ids.push(id),
            Step::Finished { reason, timings, .. } => return (Answer { ids, reason }, timings),
        }
    }
}

/// One answer of several, as it was given out.
#[derive(Debug, Default, PartialEq)]
struct Told {
    ids: Vec<u32>,
    /// Piece by piece.
    texts: Vec<String>,
    logprobs: Vec<TokenLogprobs>,
    reason: Option<FinishReason>,
}

impl Told {
    fn text(&self) -> String {
        self.texts.concat()
    }
}

/// All answers, with the number of steps that the prompt took.
fn run_all(session: &mut Session, request: Request) -> (Vec<Told>, Timings, usize) {
    let n = request.n;
    session.start(request).expect("the request is good");
    let (mut answers, mut prefill) = (Vec::new(), 0);
    answers.resize_with(n, Told::default);
    loop {
        match session.step().expect("a step") {
            Step::Prefill { .. } => prefill += 1,
            Step::Token { choice, id, text, logprobs } => {
                let answer: &mut Told = &mut answers[choice];
                answer.ids.push(id);
                answer.texts.push(text);
                answer.logprobs.extend(logprobs);
            }
            Step::Finished { choice, reason, text, logprobs, timings, last } => {
                let answer = &mut answers[choice];
                answer.texts.push(text);
                answer.logprobs.extend(logprobs);
                assert_eq!(answer.reason.replace(reason), None);
                assert_eq!(last, choice + 1 == n);
                if last {
                    return (answers, timings, prefill);
                }
            }
        }
    }
}
