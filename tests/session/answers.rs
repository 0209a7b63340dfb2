//! Answers: several of them, stop strings, log-probabilities, biases, ends.

use crate::{Answer, Told, request, run, run_all, session};
use tallow::sampler::SamplerOptions;
use tallow::score::{ScoreOptions, score};
use tallow::session::{FinishReason, Request, Session, Step};
use tallow::tokenizer::WholeChars;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
