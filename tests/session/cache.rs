//! What a session keeps: prompts in chunks, reuse, after a cancel or a refusal, in forks and saved sessions.

use crate::{request, run, session};
use tallow::ErrorKind;
use tallow::context::{Context, Restorer};
use tallow::model::{Config, KvType};
use tallow::sampler::SamplerOptions;
use tallow::session::{FinishReason, Request, Step};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn the_prompt_goes_in_by_chunks_and_every_token_is_counted() {
    let mut session = session(256);
    session.start(request(20..220)).expect("the request is good");
    let mut prefill = Vec::new();
    while let Step::Prefill { done, total } = session.step().expect("a step") {
        prefill.push((done, total));
    }
    assert_eq!(prefill, [(128, 200), (200, 200)]);

    let (answer, timings) = run(&mut session, request(20..220));
    assert_eq!((answer.ids.len(), answer.reason), (40, FinishReason::Length));
    assert_eq!((timings.prompt_n + timings.cache_n, timings.predicted_n), (200, 40));
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
fn a_request_that_is_wrong_is_refused_and_changes_nothing() {
    let mut session = session(256);
    let (expected, _) = run(&mut session, request(20..60));
    let unknown = SamplerOptions { logit_bias: vec![(288, 1.0)], ..Default::default() };
    let hot = SamplerOptions { temperature: f32::INFINITY, ..Default::default() };
    for (wrong, detail) in [
        (Request { prompt: Vec::new(), ..request(0..1) }, "the prompt should have at least one token"),
        (
            Request { prompt: vec![5, 287, 288], ..request(0..1) },
            "the prompt's token ids should be below 288, but one is 288",
        ),
        (Request { max_tokens: Some(0), ..request(0..1) }, "`max_tokens` should be at least 1, got 0"),
        (Request { n: 0, ..request(0..1) }, "`n` should be at least 1, got 0"),
        (
            Request { stop: vec!["a".into(), String::new()], ..request(0..1) },
            "`stop` should hold texts, but one is empty",
        ),
        (
            Request { sampler: unknown, ..request(0..1) },
            "`logit_bias` should name tokens below 288, but one is 288",
        ),
        (Request { sampler: hot, ..request(0..1) }, "`temperature` should be at least 0, got inf"),
    ] {
        let error = session.start(wrong).expect_err(detail);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
    let (again, timings) = run(&mut session, request(20..60));
    assert_eq!((again, timings.cache_n), (expected, 39));
}

#[test]
fn forks_answer_as_the_session_would_and_keep_what_it_has_seen() {
    let mut trunk = session(256);
    let (first, _) = run(&mut trunk, request(20..120));
    let mut fork = trunk.fork();
    let longer = [(20..120).collect(), first.ids.clone(), vec![30, 31]].concat();
    let again = Request { prompt: longer, ..request(0..1) };
    let (of_fork, timings) = run(&mut fork, again.clone());
    assert_eq!(timings.cache_n, 139);
    // The fork's going on has changed nothing here.
    assert_eq!(trunk.context().tokens().len(), 139);
    let (of_trunk, timings) = run(&mut trunk, again);
    assert_eq!((of_trunk, timings.cache_n), (of_fork, 139));
    fork.truncate(10);
    assert_eq!(
        (fork.context().tokens(), trunk.context().tokens().len()),
        (&trunk.context().tokens()[..10], 181)
    );
}

#[test]
fn a_saved_session_goes_on_in_another() {
    let model = [3; 32];
    let mut saved = session(256);
    run(&mut saved, request(20..100));
    let mut file = Vec::new();
    saved.context().save(saved.llama().config(), &model, |bytes| file.extend_from_slice(bytes));
    let mut other = saved.another().expect("another session");
    assert!(other.context().tokens().is_empty());
    run(&mut other, request(7..9));

    let mut restorer = other.restorer(model).expect("a restorer");
    restorer.push(&file[..file.len() / 2]).expect("the first half");
    let error = other.restore(restorer).expect_err("half of it");
    assert_eq!((error.kind(), other.context().tokens()[0]), (ErrorKind::IntegrityError, 7));

    let mut restorer = other.restorer(model).expect("a restorer");
    restorer.push(&file).expect("it is as it was saved");
    other.restore(restorer).expect("all of it");
    let longer = Request { prompt: [saved.context().tokens(), &[50, 51]].concat(), ..request(0..1) };
    let (expected, _) = run(&mut saved, longer.clone());
    let (got, timings) = run(&mut other, longer);
    assert_eq!((got, timings.cache_n, timings.prompt_n), (expected, 119, 2));
}

#[test]
fn what_was_read_for_another_session_is_not_restored() {
    let mut session = session(256);
    let (expected, _) = run(&mut session, request(20..60));
    let config = session.llama().config().clone();
    let read = |config: &Config, n_ctx: usize, ty: KvType| {
        let mut saved = Restorer::new(config, [7; 32], n_ctx, ty).expect("a context");
        let empty = Context::new(config, n_ctx, ty).expect("a context");
        empty.save(config, &[7; 32], |bytes| saved.push(bytes).expect("it is as it was saved"));
        saved
    };
    session.start(request(20..60)).expect("the request is good");
    let detail = "the saved session should be read for this one, but was for another model, context length or KV cache type";
    for saved in [
        read(&Config { n_layer: 1, ..config.clone() }, 256, KvType::F16),
        read(&Config { n_head: 2, ..config.clone() }, 256, KvType::F16),
        read(&config, 100, KvType::F16),
        read(&config, 256, KvType::Q8_0),
    ] {
        let error = session.restore(saved).expect_err(detail);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
    session.step().expect("the request goes on");
    let (again, timings) = run(&mut session, request(20..60));
    assert_eq!((again, timings.cache_n), (expected, 39));
    session.restore(read(&config, 256, KvType::F16)).expect("it is of the session's own kind");
    assert!(session.context().tokens().is_empty());
}
