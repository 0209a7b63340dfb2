//! Contexts that end or shift, and prompts that are too long for them.

use crate::{load, request, run, run_all, session};
use tallow::ErrorKind;
use tallow::context::Overflow;
use tallow::load::Loaded;
use tallow::session::{FinishReason, Request, Session};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
fn a_context_longer_than_trained_is_refused() {
    let Loaded { llama, tokenizer, kv_type, .. } = load();
    let n_ctx_train = llama.config().n_ctx_train;
    let error = Session::new(llama, tokenizer, n_ctx_train + 1, kv_type).err().expect("too long");
    let detail = format!("the context length should be in 1..={n_ctx_train}, got {}", n_ctx_train + 1);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail.as_str()));
}

#[test]
fn a_context_that_shifts_ends_no_answer_before_its_limit() {
    let mut session = session(64);
    let keep =
        |n_keep| Request { max_tokens: Some(500), overflow: Overflow::Shift { n_keep }, ..request(20..60) };
    let (answer, timings) = run(&mut session, keep(8));
    assert_eq!((answer.ids.len(), answer.reason), (500, FinishReason::Length));
    assert_eq!((timings.prompt_n, timings.predicted_n), (40, 500));
    let tokens = session.context().tokens().to_vec();
    assert!(tokens.len() <= 64);
    assert_eq!(&tokens[..8], (20..28).collect::<Vec<_>>());
    // What follows is the end of the answer, but for the last token, which the model has not seen.
    assert_eq!(tokens[8..], answer.ids[499 - (tokens.len() - 8)..499]);
    // Drawn again from the start, it is the same: nothing that has seen dropped tokens was reused.
    let (again, timings) = run(&mut session, keep(8));
    assert_eq!((again, timings.cache_n), (answer, 8));

    // Without a limit it has one.
    let (answer, _) = run(&mut session, Request { max_tokens: None, ..keep(8) });
    assert_eq!((answer.ids.len(), answer.reason), (64, FinishReason::Length));

    // All of the prompt is kept, if there are not so many tokens.
    run(&mut session, keep(1000));
    assert_eq!(&session.context().tokens()[..40], (20..60).collect::<Vec<_>>());
}

#[test]
fn several_answers_begin_behind_the_whole_prompt_though_each_shifts_it_away() {
    let mut session = session(64);
    let shift =
        Request { n: 3, max_tokens: Some(100), overflow: Overflow::Shift { n_keep: 4 }, ..request(20..60) };
    let (answers, ..) = run_all(&mut session, shift);
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| answer.ids.len() == 100 && answer.ids == answers[0].ids));
}

#[test]
fn a_prompt_that_does_not_fit_keeps_its_first_tokens_and_its_last() {
    let mut session = session(64);
    let shift = |end, n_keep| Request {
        max_tokens: Some(1),
        overflow: Overflow::Shift { n_keep },
        ..request(20..end)
    };
    // 4 are kept; of the others 30, half of the room, are dropped as often as needed.
    for (end, next) in [(83, 24), (84, 54), (113, 54), (114, 84), (200, 144)] {
        run(&mut session, shift(end, 4));
        let expected: Vec<u32> = (20..24).chain(next..end).collect();
        assert_eq!(session.context().tokens(), expected, "to {end}");
    }
    // A somewhat longer prompt drops the same, so that what was evaluated is reused.
    let (_, timings) = run(&mut session, shift(203, 4));
    assert_eq!((timings.cache_n, timings.prompt_n), (60, 3));

    let error = session.start(shift(200, 61)).expect_err("3 are too few to shift");
    let detail = "`n_keep` should be at most 60 in a context of 64 tokens that is shifted, got 61";
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
}
