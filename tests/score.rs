//! Scores against plain arithmetic on the logits, and windows against texts scored one by one. `model.rs` holds the
//! log-probabilities themselves to float32's.

use tallow::ErrorKind;
use tallow::load::Loader;
use tallow::model::{KvCache, KvType, Llama, Logits};
use tallow::score::{ScoreOptions, ScoreProgress, Scorer, Scores, score};

const TINY: [&[u8]; 3] = [
    include_bytes!("golden/tiny/tiny-F32.gguf"),
    include_bytes!("golden/tiny/tiny-Q4_0.gguf"),
    include_bytes!("golden/tiny/tiny-Q4_K_M.gguf"),
];
const N_VOCAB: usize = 288;
/// `CHUNK` in `src/score.rs`.
const CHUNK: usize = 32;

fn load(bytes: &[u8]) -> Llama {
    let mut loader = Loader::new();
    loader.push(bytes).expect("the file is read");
    loader.finish().expect("the model loads").llama
}

fn text(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * i * 7 + i * 31 + 5) % N_VOCAB as u32).collect()
}

fn options(window: usize, stride: usize) -> ScoreOptions {
    ScoreOptions { stride, ..ScoreOptions::new(window) }
}

/// The logits after each of `ids`, evaluated in the chunks that scoring takes.
fn logits(llama: &Llama, ids: &[u32]) -> Vec<Vec<f32>> {
    let mut cache = KvCache::new(llama.config(), ids.len(), KvType::F16);
    let mut rows = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let logits = llama.forward(chunk, &mut cache, Logits::All).expect("logits");
        rows.extend(logits.to_vec2::<f32>().expect("rows"));
    }
    rows
}

/// Of rounding a difference of numbers below 32 to f32, and sums in f32 of what is below it.
const BOUND: f64 = 1e-5;

#[test]
fn every_number_is_what_plain_arithmetic_makes_of_the_logits() {
    let ids = text(CHUNK * 2 + 7);
    for bytes in TINY {
        let llama = load(bytes);
        let n_top = 10;
        let found = score(&llama, &ids, ScoreOptions { n_top, ..ScoreOptions::new(128) }).expect("scores");
        let rows = logits(&llama, &ids);
        assert_eq!(found.logits_last, rows[ids.len() - 1]);
        assert_eq!([found.logprobs.len(), found.ranks.len(), found.entropies.len()], [ids.len(); 3]);
        assert_eq!([found.top_ids.len(), found.top_logprobs.len()], [ids.len() * n_top; 2]);
        assert!(found.logprobs[0].is_nan() && found.entropies[0].is_nan() && found.ranks[0] == 0);
        let mut sum = 0.0;
        for (i, row) in (1..ids.len()).zip(&rows) {
            let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            let p: Vec<f64> = row.iter().map(|&x| f64::from(x).exp() / total).collect();
            let own = p[ids[i] as usize];
            let entropy: f64 = p.iter().map(|p| -p * p.ln()).sum();
            sum += own.ln();
            assert!((f64::from(found.logprobs[i]) - own.ln()).abs() <= BOUND, "token {i}");
            assert!((f64::from(found.entropies[i]) - entropy).abs() <= BOUND, "token {i}");
            let rank = 1 + p.iter().filter(|&&p| p > own).count();
            assert_eq!(found.ranks[i] as usize, rank, "token {i}");

            let mut best: Vec<(u32, f64)> = (0..).zip(p).collect();
            best.sort_by(|a, b| b.1.total_cmp(&a.1));
            let top = i * n_top..(i + 1) * n_top;
            let ids: Vec<u32> = best[..n_top].iter().map(|best| best.0).collect();
            assert_eq!(found.top_ids[top.clone()], ids, "token {i}");
            for (got, (_, p)) in found.top_logprobs[top].iter().zip(&best) {
                assert!((f64::from(*got) - p.ln()).abs() <= BOUND, "token {i}");
            }
        }
        let perplexity = (-sum / (ids.len() - 1) as f64).exp();
        assert!((found.perplexity() / perplexity - 1.0).abs() <= BOUND, "{}", found.perplexity());
    }
}

/// Rows that are evaluated among others: sums in another order, of a model in f32 whose keys and values are f16.
fn assert_near(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= 5e-3, "{what}: {got}, expected {expected}");
    }
}

#[test]
fn a_window_scores_what_those_before_it_did_not_reach() {
    let llama = load(TINY[0]);
    let mut ids = text(100);
    for bos in [None, Some(ids[0])] {
        for (window, stride) in [(100, 50), (99, 1), (64, 32), (40, 39), (40, 7), (33, 32), (3, 1), (2, 1)] {
            let what = format!("windows of {window} by {stride}, {bos:?}");
            let found = score(&llama, &ids, ScoreOptions { bos, ..options(window, stride) }).expect(&what);
            let (mut begin, mut scored) = (0, 1);
            let mut alone = Scores::default();
            while scored < ids.len() {
                let end = ids.len().min(begin + window);
                let mut part = ids[begin..end].to_vec();
                if bos.is_some() {
                    part[0] = ids[0];
                }
                alone = score(&llama, &part, options(window, stride)).expect(&what);
                let new = scored - begin..end - begin;
                assert!(begin == 0 || new.start == window - stride, "{what}");
                assert_near(&found.logprobs[scored..end], &alone.logprobs[new.clone()], &what);
                assert_near(&found.entropies[scored..end], &alone.entropies[new], &what);
                (begin, scored) = (begin + stride, end);
            }
            assert_near(&found.logits_last, &alone.logits_last, &what);
        }
    }
    // A text that does not begin with it has windows that do not.
    let plain = score(&llama, &ids, options(40, 20)).expect("scores");
    let other = ScoreOptions { bos: Some(ids[0] + 1), ..options(40, 20) };
    assert_eq!(score(&llama, &ids, other).expect("scores").logprobs[1..], plain.logprobs[1..]);
    ids[0] += 1;
    let begun = score(&llama, &ids, other).expect("scores");
    assert!(begun.logprobs[70..] != plain.logprobs[70..], "the last window begins with another token");
}

#[test]
fn steps_are_chunks_and_tell_how_far_they_are() {
    let llama = load(TINY[1]);
    let ids = text(75);
    let mut scorer = Scorer::new(&llama, ids.clone(), options(40, 30)).expect("a scorer");
    let mut done = vec![scorer.progress().done];
    while !scorer.is_done() {
        scorer.step(&llama).expect("a step");
        done.push(scorer.progress().done);
    }
    // Windows from 0, 30 and 60; of the first two, the last token needs no evaluation.
    assert_eq!(done, [0, 32, 39, 71, 78, 93]);
    assert_eq!(scorer.progress(), ScoreProgress { done: 93, total: 93 });
    scorer.step(&llama).expect("nothing is left to do");
    assert_eq!(scorer.progress().done, 93);
    let whole = score(&llama, &ids, options(40, 30)).expect("scores");
    assert_eq!(scorer.finish().logprobs[1..], whole.logprobs[1..]);
}

#[test]
fn a_single_token_has_nothing_before_it() {
    let llama = load(TINY[0]);
    let found = score(&llama, &[7], ScoreOptions { n_top: 3, ..ScoreOptions::new(64) }).expect("scores");
    assert!(found.logprobs[0].is_nan() && found.logprobs.len() == 1 && found.perplexity().is_nan());
    assert_eq!((found.top_ids.len(), found.logits_last.len()), (3, N_VOCAB));
}

#[test]
fn what_cannot_be_scored_is_refused_by_name() {
    let llama = load(TINY[0]);
    let n_ctx_train = llama.config().n_ctx_train;
    let ids = text(10);
    let beyond = [1, 2, 288, 999];
    let many = ScoreOptions { n_top: 289, ..options(8, 4) };
    let window = |got| format!("`window` should be in 2..={n_ctx_train}, got {got}");
    let cases: [(&[u32], ScoreOptions, String); 8] = [
        (&[], options(8, 4), "there should be at least one token to score".to_owned()),
        (&beyond, options(8, 4), "`ids[2]` should be below 288, got 288".to_owned()),
        (&ids, options(0, 1), window(0)),
        (&ids, options(1, 1), window(1)),
        (&ids, options(n_ctx_train + 1, 1), window(n_ctx_train + 1)),
        (&ids, options(8, 0), "`stride` should be in 1..=7, got 0".to_owned()),
        (&ids, options(8, 8), "`stride` should be in 1..=7, got 8".to_owned()),
        (&ids, many, "the number of alternatives should be in 0..=288, got 289".to_owned()),
    ];
    for (ids, options, detail) in cases {
        let error = score(&llama, ids, options).expect_err(&detail);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail.as_str()));
    }
}
