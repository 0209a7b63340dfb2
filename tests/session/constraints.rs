//! Constrained answers: the constraint holds, draws are the model's, faults change nothing.

use crate::{load, request, run, run_all, session};
use tallow::ErrorKind;
use tallow::grammar::Constraint;
use tallow::load::Loaded;
use tallow::sampler::{SamplerOptions, TokenLogprobs};
use tallow::session::{FinishReason, Request, Step};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
