//! A session through its public API, on a tiny random model: what is generated, reused, stopped and refused.

mod module;

use module::assert_module;
use tallow::ErrorKind;
use tallow::load::{Loaded, Loader};
use tallow::sampler::SamplerOptions;
use tallow::session::{FinishReason, Request, Session, Step, Timings};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const TINY: &[u8] = include_bytes!("golden/tiny/tiny-Q4_0.gguf");

fn load() -> Loaded {
    assert_module();
    let mut loader = Loader::new();
    loader.push(TINY).expect("the file is read");
    loader.finish().expect("the model loads")
}

fn session(n_ctx: usize) -> Session {
    let Loaded { llama, tokenizer, .. } = load();
    Session::new(llama, tokenizer, n_ctx).expect("a session")
}

/// 40 tokens, greedy, never ending by itself.
fn request(prompt: std::ops::Range<u32>) -> Request {
    Request {
        prompt: prompt.collect(),
        max_tokens: Some(40),
        sampler: SamplerOptions { temperature: 0.0, ..Default::default() },
        ignore_eos: true,
        cache_prompt: true,
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

#[test]
fn the_prompt_goes_in_by_chunks_and_every_token_is_counted() {
    let mut session = session(256);
    session.start(request(20..120)).expect("the request is good");
    let mut prefill = Vec::new();
    while let Step::Prefill { done, total } = session.step().expect("a step") {
        prefill.push((done, total));
    }
    assert_eq!(prefill, [(32, 100), (64, 100), (96, 100), (100, 100)]);

    let (answer, timings) = run(&mut session, request(20..120));
    assert_eq!((answer.ids.len(), answer.reason), (40, FinishReason::Length));
    assert_eq!((timings.prompt_n + timings.cache_n, timings.predicted_n), (100, 40));
    assert!(timings.prompt.as_nanos() > 0 && timings.predicted.as_nanos() > 0);
}

#[test]
fn what_the_cache_holds_is_not_evaluated_again_and_changes_nothing() {
    let mut session = session(256);
    let (first, timings) = run(&mut session, request(20..60));
    assert_eq!((timings.prompt_n, timings.cache_n), (40, 0));

    let (again, timings) = run(&mut session, request(20..60));
    assert_eq!((timings.prompt_n, timings.cache_n), (1, 39));
    assert_eq!(again, first);

    // The conversation goes on: prompt and answer, but for its last token, are there.
    let longer = [(20..60).collect(), first.ids.clone(), vec![30, 31]].concat();
    let (_, timings) = run(&mut session, Request { prompt: longer, ..request(0..1) });
    assert_eq!((timings.prompt_n, timings.cache_n), (3, 79));

    // Another conversation shares ten tokens.
    let other = [(20..30).collect::<Vec<_>>(), (100..110).collect()].concat();
    let (reused, timings) = run(&mut session, Request { prompt: other.clone(), ..request(0..1) });
    assert_eq!((timings.prompt_n, timings.cache_n), (10, 10));
    let (fresh, timings) = run(&mut session, Request { prompt: other, cache_prompt: false, ..request(0..1) });
    assert_eq!((timings.prompt_n, timings.cache_n), (20, 0));
    assert_eq!(reused, fresh);
}

#[test]
fn a_cancelled_request_leaves_a_good_session() {
    let mut session = session(256);
    let (expected, _) = run(&mut session, request(20..60));
    // In the prompt, and in the answer.
    for n_steps in [1, 2, 7] {
        session.start(request(100..140)).expect("the request is good");
        for _ in 0..n_steps {
            session.step().expect("a step");
        }
        session.cancel();
        let error = session.step().expect_err("no request is left");
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, "no request is in progress"));
        assert_eq!(run(&mut session, request(20..60)).0, expected);
    }
}

#[test]
fn an_answer_ends_where_the_context_does() {
    let mut session = session(64);
    let (answer, _) = run(&mut session, Request { max_tokens: None, ..request(20..60) });
    assert_eq!((answer.ids.len(), answer.reason), (24, FinishReason::Length));
    let error = session.start(request(20..84)).expect_err("64 tokens leave no room");
    assert_eq!(error.kind(), ErrorKind::ContextLengthExceeded);
    assert_eq!(error.detail(), "the prompt has 64 tokens; a context of 64 leaves no room for an answer");
    let (answer, _) = run(&mut session, Request { max_tokens: None, ..request(20..83) });
    assert_eq!((answer.ids.len(), answer.reason), (1, FinishReason::Length));
}

#[test]
fn an_end_token_ends_the_answer_unless_it_is_to_be_ignored() {
    let mut session = session(256);
    let eog: Vec<u32> = (0..288).filter(|&id| session.tokenizer().is_eog(id)).collect();
    assert!(!eog.is_empty());
    // Drawing at random from 288 tokens meets an end token sooner or later.
    let sampler = |seed| SamplerOptions { temperature: 5.0, seed, ..Default::default() };
    let ended = (0..100).find_map(|seed| {
        let request =
            Request { sampler: sampler(seed), ignore_eos: false, max_tokens: Some(100), ..request(20..30) };
        let (answer, timings) = run(&mut session, request.clone());
        (answer.reason == FinishReason::Stop).then_some((request, answer, timings))
    });
    let (request, answer, timings) = ended.expect("one answer in a hundred ends by itself");
    assert!(answer.ids.len() < 100 && answer.ids.iter().all(|id| !eog.contains(id)));
    assert_eq!(timings.predicted_n, answer.ids.len());

    let (ignoring, _) = run(&mut session, Request { ignore_eos: true, ..request });
    assert_eq!((ignoring.ids.len(), ignoring.reason), (100, FinishReason::Length));
    assert!(ignoring.ids.iter().all(|id| !eog.contains(id)));
}

#[test]
fn the_text_of_the_steps_is_the_decoded_answer() {
    let mut session = session(256);
    for seed in 0..5 {
        let sampler = SamplerOptions { temperature: 5.0, seed, ..Default::default() };
        session.start(Request { sampler, ..request(20..30) }).expect("the request is good");
        let (mut ids, mut streamed) = (Vec::new(), String::new());
        loop {
            match session.step().expect("a step") {
                Step::Prefill { .. } => {}
                Step::Token { id, text } => {
                    ids.push(id);
                    streamed += &text;
                }
                Step::Finished { text, .. } => {
                    streamed += &text;
                    break;
                }
            }
        }
        let tokenizer = session.tokenizer();
        let pieces: Vec<u8> =
            ids.iter().flat_map(|&id| tokenizer.piece(id, false).expect("a piece").into_owned()).collect();
        assert_eq!(streamed, String::from_utf8_lossy(&pieces));
    }
}

#[test]
fn a_request_that_is_wrong_is_refused_and_changes_nothing() {
    let mut session = session(256);
    let (expected, _) = run(&mut session, request(20..60));
    let hot = SamplerOptions { temperature: f64::INFINITY, ..Default::default() };
    for (wrong, detail) in [
        (Request { prompt: Vec::new(), ..request(0..1) }, "the prompt should have at least one token"),
        (Request { max_tokens: Some(0), ..request(0..1) }, "`max_tokens` should be at least 1, got 0"),
        (Request { sampler: hot, ..request(0..1) }, "`temperature` should be at least 0, got inf"),
    ] {
        let error = session.start(wrong).expect_err(detail);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
    let (again, timings) = run(&mut session, request(20..60));
    assert_eq!((again, timings.cache_n), (expected, 39));

    session
        .start(Request { prompt: vec![5, 288], ..request(0..1) })
        .expect("ids are looked at when they are run");
    let error = session.step().expect_err("288 is outside the vocabulary");
    assert_eq!(error.detail(), "token ids should be below 288, but one is 288");
}

#[test]
fn a_context_longer_than_trained_is_refused() {
    let Loaded { llama, tokenizer, .. } = load();
    let n_ctx_train = llama.config().n_ctx_train;
    let error = Session::new(llama, tokenizer, n_ctx_train + 1).err().expect("too long");
    let detail = format!("the context length should be in 1..={n_ctx_train}, got {}", n_ctx_train + 1);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail.as_str()));
}
