//! A session through its public API, on a tiny random model: what is generated, reused, stopped and refused.

mod module;

use module::assert_module;
use tallow::ErrorKind;
use tallow::context::{Context, Overflow, Restorer};
use tallow::grammar::Constraint;
use tallow::load::{Loaded, Loader};
use tallow::model::{Config, KvType};
use tallow::sampler::{SamplerOptions, TokenLogprobs};
use tallow::score::{ScoreOptions, score};
use tallow::session::{FinishReason, Request, Session, Step, Timings};
use tallow::tokenizer::WholeChars;
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

fn hot(seed: u64) -> SamplerOptions {
    SamplerOptions { temperature: 5.0, seed, ..Default::default() }
}

#[test]
fn several_answers_are_those_of_the_seeds_that_follow_and_the_prompt_goes_in_once() {
    let mut session = session(256);
    let request = Request { sampler: hot(7), ..request(20..200) };
    let (answers, timings, prefill) = run_all(&mut session, Request { n: 3, ..request.clone() });
    assert_eq!((prefill, timings.prompt_n, timings.cache_n, timings.predicted_n), (2, 180, 0, 120));
    assert!(answers[0].ids != answers[1].ids && answers[1].ids != answers[2].ids);
    for (answer, seed) in answers.iter().zip(7..) {
        let alone = Request { sampler: hot(seed), cache_prompt: false, ..request.clone() };
        assert_eq!(*answer, run_all(&mut session, alone).0[0]);
    }
    // What is in the cache is the last answer's.
    let (again, timings, _) = run_all(&mut session, Request { n: 2, ..request });
    assert_eq!((timings.prompt_n, timings.cache_n), (1, 179));
    assert_eq!(again, answers[..2]);
}

#[test]
fn a_stop_string_ends_an_answer_and_no_part_of_it_is_given_out() {
    let mut session = session(256);
    let free = |seed| Request { sampler: hot(seed), ..request(20..30) };
    for seed in 0..8 {
        let (whole, ..) = run_all(&mut session, free(seed));
        let text = whole[0].text();
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for (from, to) in [(0, 1), (3, 5), (10, 17), (20, 32), (cuts.len() - 4, cuts.len() - 1)] {
            let stop = text[cuts[from]..cuts[to]].to_owned();
            let expected = &text[..text.find(&stop).expect("it is there")];
            let request = Request {
                stop: vec!["never there".into(), stop.clone(), stop.clone() + "longer"],
                ..free(seed)
            };
            let (stopped, timings, _) = run_all(&mut session, request);
            let Told { ids, reason, .. } = &stopped[0];
            assert_eq!((stopped[0].text().as_str(), *reason), (expected, Some(FinishReason::Stop)));
            // No further than it is complete.
            assert!(whole[0].ids.starts_with(ids));
            let spelled = WholeChars::default().push(&bytes(&session, &ids[..ids.len() - 1]));
            assert!(!spelled.contains(stop.as_str()), "{stop:?} was there before the last token");
            assert_eq!(timings.predicted_n, ids.len());
        }

        // The beginnings of one, in the middle and at the end, are given out when it does not come.
        let first: String = text.chars().take(2).collect();
        let last: String = text.chars().skip(cuts.len() - 2).collect();
        let stop = vec![first + "\u{10FFFF}", last + "\u{10FFFF}", "\u{10FFFF}".into()];
        let (told, ..) = run_all(&mut session, Request { stop, ..free(seed) });
        assert_eq!((told[0].text(), told[0].reason), (text, Some(FinishReason::Length)));
    }
}

#[test]
fn log_probabilities_are_those_of_the_model_whatever_is_sampled() {
    let mut session = session(256);
    let sampler = SamplerOptions {
        temperature: 2.0,
        top_k: 50,
        presence_penalty: 1.0,
        logit_bias: vec![(40, 3.0), (41, -3.0), (42, 1.0)],
        seed: 3,
        ..Default::default()
    };
    let request = Request { sampler, logprobs: Some(4), n: 2, ..request(20..60) };
    let (answers, ..) = run_all(&mut session, request);
    for Told { ids, logprobs, .. } in answers {
        assert_eq!(logprobs.iter().map(|token| token.id).collect::<Vec<_>>(), ids);
        let all = [(20..60).collect(), ids].concat();
        let options = ScoreOptions { n_top: 4, ..ScoreOptions::new(256) };
        let scores = score(session.llama(), &all, options).expect("scores");
        for (token, at) in logprobs.iter().zip(40..) {
            // Rounding differs with how many tokens go through together.
            let near = |a: f32, b: f32| assert!((a - b).abs() < 0.05, "{a} and {b}");
            near(token.logprob, scores.logprobs[at]);
            assert_eq!(token.top.len(), 4);
            for (&(_, logprob), &expected) in token.top.iter().zip(&scores.top_logprobs[4 * at..]) {
                near(logprob, expected);
            }
        }
    }
}

#[test]
fn log_probabilities_come_with_the_text_and_not_with_what_a_stop_string_took() {
    let mut session = session(256);
    let request = |stop: &[&str]| Request {
        sampler: hot(5),
        logprobs: Some(0),
        stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
        ..request(20..30)
    };
    let (whole, ..) = run_all(&mut session, request(&[]));
    let text = whole[0].text();
    let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    for from in 0..20 {
        let stop = &text[cuts[from]..cuts[from + 4]];
        let at = text.find(stop).expect("it is there");
        let (stopped, ..) = run_all(&mut session, request(&[stop]));
        // Those that begin before it.
        let begin = |n: usize| WholeChars::default().push(&bytes(&session, &whole[0].ids[..n])).len();
        let n = (0..40).filter(|&n| begin(n) < at).count();
        assert_eq!(stopped[0].logprobs, whole[0].logprobs[..n], "{stop:?}");
    }
}

fn bytes(session: &Session, ids: &[u32]) -> Vec<u8> {
    let piece = |&id| session.tokenizer().piece(id, false).expect("a piece").into_owned();
    ids.iter().flat_map(piece).collect()
}

#[test]
fn the_sampler_knows_the_prompt_and_what_was_drawn() {
    let mut session = session(256);
    let sampler =
        SamplerOptions { temperature: 0.0, presence_penalty: 1e6, repeat_last_n: -1, ..Default::default() };
    let (answers, ..) = run_all(&mut session, Request { sampler, n: 2, ..request(20..100) });
    for Told { ids, .. } in &answers {
        let mut seen: Vec<u32> = (20..100).chain(ids.iter().copied()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 80 + 40);
    }
    // Each answer begins anew.
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_biased_token_comes_unless_it_ends_the_answer_and_that_is_to_be_ignored() {
    let mut session = session(256);
    let biased = |id| SamplerOptions { logit_bias: vec![(id, 100.0)], ..Default::default() };
    let (answer, _) = run(&mut session, Request { sampler: biased(77), ..request(20..30) });
    assert_eq!(answer.ids, [77; 40]);
    let eog = session.tokenizer().eog().next().expect("an end token");
    let (answer, _) = run(&mut session, Request { sampler: biased(eog), ..request(20..30) });
    assert!(answer.ids.len() == 40 && !answer.ids.contains(&eog));
    let ending = Request { sampler: biased(eog), ignore_eos: false, ..request(20..30) };
    assert_eq!(run(&mut session, ending).0, Answer { ids: Vec::new(), reason: FinishReason::Stop });
}

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
                Step::Token { id, text, .. } => {
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
fn a_context_longer_than_trained_is_refused() {
    let Loaded { llama, tokenizer, kv_type, .. } = load();
    let n_ctx_train = llama.config().n_ctx_train;
    let error = Session::new(llama, tokenizer, n_ctx_train + 1, kv_type).err().expect("too long");
    let detail = format!("the context length should be in 1..={n_ctx_train}, got {}", n_ctx_train + 1);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail.as_str()));
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

#[test]
fn a_constraint_holds_for_every_answer_and_ends_it() {
    let mut session = session(256);
    for ignore_eos in [false, true] {
        let constraint = Some(Constraint::Regex("[ab]{3}-[0-9]{2}".to_owned()));
        let sampler = SamplerOptions { seed: 5, ..Default::default() };
        session
            .start(Request { constraint, sampler, n: 3, ignore_eos, max_tokens: None, ..request(20..30) })
            .expect("the request is good");
        let mut texts = vec![String::new(); 3];
        loop {
            match session.step().expect("a step") {
                Step::Prefill { .. } => {}
                Step::Token { choice, text, .. } => texts[choice] += &text,
                Step::Finished { choice, text, reason, last, .. } => {
                    texts[choice] += &text;
                    assert_eq!(reason, FinishReason::Stop);
                    if last {
                        break;
                    }
                }
            }
        }
        for text in &texts {
            let (letters, digits) = text.split_once('-').expect("a dash");
            assert!(letters.len() == 3 && letters.chars().all(|c| matches!(c, 'a' | 'b')), "{text}");
            assert!(digits.len() == 2 && digits.chars().all(|c| c.is_ascii_digit()), "{text}");
        }
    }
}

/// A bias makes half of what is drawn from all tokens allowed: that is taken, and the rest drawn again.
#[test]
fn a_constrained_draw_has_the_models_probabilities() {
    let Loaded { tokenizer, .. } = load();
    let letters: Vec<u32> =
        ["a", "b", "c", "d"].map(|letter| tokenizer.encode(letter, false, false).expect("a text")).concat();
    assert_eq!(letters.len(), 4);
    let bias = (tokenizer.n_vocab() as f32 / letters.len() as f32).ln();
    let mut session = session(64);
    let mut drawn = |bias: f32, constrained: bool| {
        let mut counts = [0.0_f64; 4];
        let mut others = 0;
        let mut odds = [0.0_f64; 4];
        for seed in 0..10 {
            let sampler = SamplerOptions {
                seed: 1000 * seed,
                logit_bias: letters.iter().map(|&id| (id, bias)).collect(),
                ..Default::default()
            };
            let constraint = constrained.then(|| Constraint::Regex("[abcd]".to_owned()));
            let logprobs = Some(0);
            let n = 100;
            let (told, ..) = run_all(
                &mut session,
                Request { constraint, sampler, logprobs, n, max_tokens: Some(1), ..request(20..30) },
            );
            for TokenLogprobs { id, logprob, .. } in told.iter().flat_map(|told| &told.logprobs) {
                match letters.iter().position(|letter| letter == id) {
                    Some(letter) => {
                        counts[letter] += 1.0;
                        odds[letter] = f64::from(*logprob).exp();
                    }
                    None => others += 1,
                }
            }
        }
        (counts, others, odds)
    };
    let (_, others, _) = drawn(bias, false);
    assert!((300..700).contains(&others), "{others} of 1000 draws from all tokens are of other ones");
    let (counts, others, odds) = drawn(bias, true);
    assert_eq!((others, counts.iter().sum::<f64>()), (0, 1000.0));
    for (count, odds_of_letter) in counts.iter().zip(odds) {
        let p = odds_of_letter / odds.iter().sum::<f64>();
        let deviation = (1000.0 * p * (1.0 - p)).sqrt();
        assert!((count - 1000.0 * p).abs() < 4.0 * deviation, "{counts:?} by {odds:?}");
    }
}

#[test]
fn a_constraint_that_does_not_compile_changes_nothing() {
    let mut session = session(256);
    let (expected, _) = run(&mut session, request(20..60));
    let constraint = Some(Constraint::JsonSchema(r#"{ "items": { "type": 7 } }"#.to_owned()));
    let error = session.start(Request { constraint, ..request(20..60) }).expect_err("7 is no type");
    assert_eq!(error.kind(), ErrorKind::GrammarError);
    assert!(error.detail().contains("`/items/type`"), "{error}");
    let (again, timings) = run(&mut session, request(20..60));
    assert_eq!((again, timings.cache_n), (expected, 39));
}
