//! The samplers against an oracle: each of llama.cpp's written out plainly, in f64, over the whole sorted vocabulary. What
//! is left to draw from must be the same tokens, with the same probabilities.

mod oracle;

use oracle::{every, mirostat, oracle, softmax};
use std::collections::HashMap;
use std::sync::Arc;
use tallow::ErrorKind;
use tallow::load::Loader;
use tallow::sampler::{Mirostat, Sampler, SamplerOptions, logprobs};
use tallow::tokenizer::Tokenizer;

const TINY: &[u8] = include_bytes!("../golden/tiny/tiny-Q4_0.gguf");
const N_CTX: usize = 512;

fn tokenizer() -> Arc<Tokenizer> {
    let mut loader = Loader::new();
    loader.push(TINY).expect("the file is read");
    loader.finish().expect("the model loads").tokenizer
}

/// Numbers in [0, 1), the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    /// Logits like a model's: a bell of the width given.
    fn logits(&mut self, n: usize, width: f64) -> Vec<f32> {
        (0..n).map(|_| ((0..6).map(|_| self.next()).sum::<f64>() - 3.0) as f32 * width as f32).collect()
    }
}

fn assert_as_oracle(
    tokenizer: &Tokenizer,
    options: &SamplerOptions,
    before: &[u32],
    breakers: &[u32],
    logits: &[f32],
) {
    let mut sampler = Sampler::new(options, tokenizer, N_CTX).expect("the options are good");
    sampler.accept(before);
    let found = sampler.candidates(&mut logits.to_vec()).expect("candidates").to_vec();
    let expected = oracle(options, before, breakers, logits);
    assert_eq!(found.len(), expected.len(), "{options:?}");
    assert!(found.is_sorted_by(|a, b| a.p >= b.p), "{options:?}");
    // Which of those that cannot be drawn are there is left open, and the order of those f32 cannot tell apart.
    let possible = |p: f64| p > 1e-30;
    let found: HashMap<u32, f32> = found.iter().map(|candidate| (candidate.id, candidate.p)).collect();
    let expected: HashMap<u32, f64> = expected.iter().map(|token| (token.id, token.p)).collect();
    assert!(found.iter().all(|(id, &p)| !possible(p.into()) || expected.contains_key(id)), "{options:?}");
    for (id, &p) in expected.iter().filter(|(_, p)| possible(**p)) {
        let found = *found.get(id).unwrap_or_else(|| panic!("{options:?}: {id} is missing"));
        // f32 logits near 20, divided: some units of 2^-20, and e to them.
        assert!((f64::from(found) - p).abs() < 2e-5 * p + 1e-9, "{options:?}: {id} has {found}, not {p}");
    }
    // What is drawn is one of them.
    let mut sampler = Sampler::new(options, tokenizer, N_CTX).expect("the options are good");
    sampler.accept(before);
    // Mirostat's limit moves with the first.
    let n_draws = if options.mirostat == Mirostat::Off { 20 } else { 1 };
    for _ in 0..n_draws {
        let id = sampler.sample(&mut logits.to_vec()).expect("a token");
        assert!(expected.get(&id).is_some_and(|&p| p > 0.0), "{options:?} drew {id}");
    }
}

/// Every setting of one sampler.
fn settings() -> Vec<SamplerOptions> {
    let o = SamplerOptions::default;
    let mut all = vec![o()];
    for k in [1, 2, 3, 40, 127, 128, 129, 1000, usize::MAX / 2] {
        all.push(SamplerOptions { top_k: k, ..o() });
    }
    for p in [0.0, 0.1, 0.5, 0.9, 0.95, 0.999] {
        all.push(SamplerOptions { top_p: p, ..o() });
        all.push(SamplerOptions { typical_p: p, ..o() });
        for min_keep in [1, 5, 300] {
            all.push(SamplerOptions { top_p: p, min_keep, ..o() });
            all.push(SamplerOptions { typical_p: p, min_keep, ..o() });
        }
    }
    for p in [0.001, 0.05, 0.3, 1.0] {
        for min_keep in [0, 1, 5, 300] {
            all.push(SamplerOptions { min_p: p, min_keep, ..o() });
        }
    }
    for n in [0.01, 0.5, 1.0, 2.5, 100.0] {
        all.push(SamplerOptions { top_n_sigma: n, ..o() });
    }
    for t in [0.0, 0.001, 0.05, 0.1, 0.5, 0.51] {
        for min_keep in [0, 3, 300] {
            all.push(SamplerOptions { xtc_probability: 1.0, xtc_threshold: t, min_keep, ..o() });
        }
    }
    for t in [0.0, 0.2, 1.0, 1.7] {
        all.push(SamplerOptions { temperature: t, ..o() });
        for (range, exponent) in [(0.3, 1.0), (1.0, 0.5), (2.0, 3.0)] {
            let dynamic = SamplerOptions { dynatemp_range: range, dynatemp_exponent: exponent, ..o() };
            all.push(SamplerOptions { temperature: t, ..dynamic });
        }
    }
    for mirostat in [Mirostat::V1, Mirostat::V2] {
        for tau in [0.0, 1.0, 3.0, 5.0] {
            for temperature in [0.0, 0.8, 1.0] {
                all.push(SamplerOptions { mirostat, mirostat_tau: tau, temperature, ..o() });
            }
        }
    }
    for (repeat, frequency, presence) in
        [(1.3, 0.0, 0.0), (0.8, 0.0, 0.0), (1.0, 0.7, 0.0), (1.0, 0.0, -1.5), (1.1, -0.3, 0.4)]
    {
        for last_n in [0, 1, 5, 64, -1] {
            all.push(SamplerOptions {
                repeat_penalty: repeat,
                frequency_penalty: frequency,
                presence_penalty: presence,
                repeat_last_n: last_n,
                ..o()
            });
        }
    }
    all.push(SamplerOptions { logit_bias: vec![(0, 100.0), (3, -100.0), (7, 2.5)], ..o() });
    all
}

#[test]
fn each_sampler_is_the_oracles() {
    let tokenizer = tokenizer();
    let mut numbers = Numbers(1);
    // More than are ever sorted at once, and fewer; certain and uncertain models.
    for (n, width) in [(1, 1.0), (2, 1.0), (288, 0.3), (288, 3.0), (5000, 0.1), (5000, 2.5)] {
        let logits = numbers.logits(n, width);
        let before: Vec<u32> = (0..100).map(|_| (numbers.next() * n.min(20) as f64) as u32).collect();
        for options in settings() {
            let named = options.logit_bias.iter().all(|&(id, _)| (id as usize) < n);
            // That of a single token is 0 over 0.
            if named && !(n == 1 && options.mirostat == Mirostat::V1) {
                assert_as_oracle(&tokenizer, &options, &before, &[], &logits);
            }
        }
    }
}

#[test]
fn chains_are_the_oracles_in_llama_cpps_order() {
    let tokenizer = tokenizer();
    let mut numbers = Numbers(2);
    for round in 0..600 {
        let n = [50, 288, 3000][round % 3];
        let width = 0.5 + 3.0 * numbers.next();
        let logits = numbers.logits(n, width);
        let before: Vec<u32> = (0..70).map(|_| (numbers.next() * 30.0) as u32).collect();
        let mut some = |off: f64, low: f64, high: f64| {
            let value = low + (high - low) * numbers.next();
            if numbers.next() < 0.5 { off as f32 } else { value as f32 }
        };
        let options = SamplerOptions {
            temperature: some(1.0, 0.2, 1.8),
            dynatemp_range: some(0.0, 0.1, 0.5),
            top_k: some(0.0, 1.0, 100.0) as usize,
            top_p: some(1.0, 0.3, 1.0),
            min_p: some(0.0, 0.001, 0.2),
            typical_p: some(1.0, 0.3, 1.0),
            top_n_sigma: some(0.0, 0.5, 4.0),
            xtc_probability: some(0.0, 1.0, 1.0),
            xtc_threshold: some(0.1, 0.01, 0.4),
            min_keep: some(0.0, 1.0, 10.0) as usize,
            repeat_penalty: some(1.0, 0.9, 1.5),
            frequency_penalty: some(0.0, -0.5, 0.5),
            presence_penalty: some(0.0, -0.5, 0.5),
            repeat_last_n: some(64.0, 1.0, 70.0) as i32,
            dry_multiplier: some(0.0, 0.1, 1.0),
            dry_allowed_length: some(2.0, 0.0, 3.0) as usize,
            dry_sequence_breakers: Vec::new(),
            logit_bias: vec![(4, some(0.0, -2.0, 2.0)), (9, some(0.0, -2.0, 2.0))],
            ..Default::default()
        };
        // Where llama.cpp makes 0 · ln 0 of what `top_n_sigma` left out, it loses itself.
        if options.top_n_sigma == 0.0 || options.typical_p == 1.0 {
            assert_as_oracle(&tokenizer, &options, &before, &[], &logits);
        }
    }
}

#[test]
fn dry_is_the_oracles() {
    let tokenizer = tokenizer();
    let mut numbers = Numbers(3);
    for round in 0..400 {
        let kinds = [2.0, 3.0, 8.0][round % 3];
        let before: Vec<u32> = (0..round / 4).map(|_| 200 + (numbers.next() * kinds) as u32).collect();
        let options = SamplerOptions {
            dry_multiplier: 0.5 + numbers.next() as f32,
            dry_base: [1.0, 1.2, 1.75][round % 3],
            dry_allowed_length: round % 5,
            dry_penalty_last_n: [-1, 5, 20, 1000][round % 4],
            // None of the tokens' texts has it.
            dry_sequence_breakers: vec!["\u{10FFFF}".to_owned()],
            ..Default::default()
        };
        let logits = numbers.logits(288, 2.0);
        assert_as_oracle(&tokenizer, &options, &before, &[], &logits);
    }
}

#[test]
fn penalties_however_large_leave_numbers() {
    let tokenizer = tokenizer();
    // One token before each of many others, so that DRY finds a repetition for all of them.
    let before: Vec<u32> = (100..200).flat_map(|id| [7, id]).chain([7]).collect();
    let mut logits = Numbers(5).logits(288, 4.0);
    logits[150] = f32::NEG_INFINITY;
    let large = SamplerOptions { dry_allowed_length: 0, top_p: 0.9, ..Default::default() };
    for repeat_penalty in [1.0, 1e-38, f32::MAX] {
        for penalty in [0.0, f32::MAX, f32::MIN] {
            for (dry_multiplier, dry_base) in [(0.0, 2.0), (1e30, 1e30)] {
                let options = SamplerOptions {
                    repeat_penalty,
                    frequency_penalty: penalty,
                    presence_penalty: penalty,
                    dry_multiplier,
                    dry_base,
                    ..large.clone()
                };
                let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
                sampler.accept(&before);
                let left = sampler.candidates(&mut logits.clone()).expect("candidates");
                let total: f32 = left.iter().map(|candidate| candidate.p).sum();
                assert!((total - 1.0).abs() < 1e-5, "{options:?}: {total}");
                assert!(left.iter().all(|candidate| candidate.id != 150), "{options:?}");
            }
        }
    }
}

#[test]
fn nothing_is_repeated_across_a_sequence_breaker() {
    let tokenizer = tokenizer();
    // The tokens with this letter in their text.
    let letter = "e";
    let has = |&id: &u32| tokenizer.decode(&[id], false).expect("a text").contains(letter);
    let breakers: Vec<u32> = (0..288).filter(has).collect();
    let others: Vec<u32> = (200..288).filter(|id| !has(id)).take(3).collect();
    assert!(!breakers.is_empty() && breakers.len() < 200 && others.len() == 3);
    let mut numbers = Numbers(4);
    for round in 0..200 {
        let kinds = [others.as_slice(), &breakers[..1 + round % 2]].concat();
        let before: Vec<u32> =
            (0..round / 3).map(|_| kinds[(numbers.next() * kinds.len() as f64) as usize]).collect();
        let options = SamplerOptions {
            dry_multiplier: 0.8,
            dry_allowed_length: round % 3,
            dry_sequence_breakers: vec![letter.to_owned()],
            ..Default::default()
        };
        assert_as_oracle(&tokenizer, &options, &before, &breakers, &numbers.logits(288, 2.0));
    }
}

#[test]
fn a_sequence_breaker_may_lie_across_tokens() {
    let tokenizer = tokenizer();
    let text = |id: u32| tokenizer.decode(&[id], false).expect("a text");
    // Two tokens of one letter each, and a breaker of both.
    let letters: Vec<u32> = (0..288).filter(|&id| text(id).len() == 1 && text(id).as_str() > "a").collect();
    let (a, b, c) = (letters[0], letters[1], letters[2]);
    let breaker = text(a) + &text(b);
    assert!(!(0..288).any(|id| text(id).contains(&breaker)), "`{breaker}` is no token's");
    let options = |breaker: &str| SamplerOptions {
        dry_multiplier: 1.0,
        dry_allowed_length: 1,
        dry_sequence_breakers: vec![breaker.to_owned()],
        ..Default::default()
    };
    // c was followed by c, and may be again; but what was before a and b does not count.
    let penalty = |before: &[u32], breaker: &str, id: u32| {
        let mut sampler = Sampler::new(&options(breaker), &tokenizer, N_CTX).expect("the options are good");
        sampler.accept(before);
        let mut logits = vec![0.0; 288];
        let found = sampler.candidates(&mut logits).expect("candidates");
        -found.iter().find(|candidate| candidate.id == id).expect("the token").logit
    };
    let before = [c, c, b, b, a, c, c];
    assert!((penalty(&before, "\u{10FFFF}", b) - 1.75).abs() < 1e-6);
    assert!((penalty(&before, &breaker, b) - 1.75).abs() < 1e-6);
    let broken = [c, c, b, c, a, b, c, c];
    assert!((penalty(&broken, "\u{10FFFF}", b) - 1.75).abs() < 1e-6);
    let broken = [c, c, c, c, b, a, b, c];
    assert!((penalty(&broken, "\u{10FFFF}", b) - 1.0).abs() < 1e-6);
    assert!((penalty(&broken, &breaker, b) - 1.0).abs() < 1e-6);
    let broken = [b, c, c, a, b, c];
    assert!((penalty(&broken, "\u{10FFFF}", c) - 1.75).abs() < 1e-6);
    assert!((penalty(&broken, &breaker, c) - 1.0).abs() < 1e-6);
}

#[test]
fn mirostat_follows_the_surprise_of_what_it_drew() {
    let tokenizer = tokenizer();
    let mut numbers = Numbers(5);
    let logits = numbers.logits(288, 1.5);
    for version in [Mirostat::V1, Mirostat::V2] {
        let options = SamplerOptions { mirostat: version, mirostat_tau: 2.0, seed: 9, ..Default::default() };
        let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
        let mut mu = 4.0;
        let mut surprises = Vec::new();
        for _ in 0..400 {
            let mut tokens = every(&logits);
            mirostat(version, mu, 288, &mut tokens);
            softmax(&mut tokens);
            let id = sampler.sample(&mut logits.clone()).expect("a token");
            let drawn = tokens.iter().find(|token| token.id == id).expect("one that mu leaves");
            let surprise = -drawn.p.log2();
            mu -= 0.1 * (surprise - 2.0);
            surprises.push(surprise);
        }
        // The average of the latter 300 is within a tenth of the target, as mu moves by a tenth of each error.
        let average = surprises[100..].iter().sum::<f64>() / 300.0;
        assert!((average - 2.0).abs() < 0.2, "{version:?}: {average}");
    }
}

#[test]
fn xtc_strikes_as_often_as_it_should() {
    let tokenizer = tokenizer();
    let options = SamplerOptions { xtc_probability: 0.3, xtc_threshold: 0.2, seed: 1, ..Default::default() };
    let logits: Vec<f32> = [0.5_f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
    let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
    let n = 20_000;
    let struck = (0..n).filter(|_| sampler.candidates(&mut logits.clone()).expect("candidates").len() == 3);
    // The standard error is 0.0033.
    assert!((struck.count() as f64 / f64::from(n) - 0.3).abs() < 0.02);
}

#[test]
fn frequencies_are_the_probabilities() {
    let tokenizer = tokenizer();
    let logits = Numbers(6).logits(1500, 1.5);
    for options in [
        SamplerOptions { seed: 1, ..Default::default() },
        SamplerOptions { temperature: 0.6, seed: 2, ..Default::default() },
        SamplerOptions { top_k: 10, seed: 3, ..Default::default() },
        SamplerOptions { min_p: 0.1, top_p: 0.8, temperature: 1.5, seed: 4, ..Default::default() },
    ] {
        let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
        let mut counts = HashMap::new();
        let n = 20_000;
        for _ in 0..n {
            *counts.entry(sampler.sample(&mut logits.clone()).expect("a token")).or_insert(0) += 1;
        }
        let expected = oracle(&options, &[], &[], &logits);
        assert!(counts.keys().all(|id| expected.iter().any(|token| token.id == *id)));
        for token in expected {
            let frequency = f64::from(*counts.get(&token.id).unwrap_or(&0)) / f64::from(n);
            // Five standard errors, and one draw.
            let bound = 5.0 * (token.p / f64::from(n)).sqrt() + 1.0 / f64::from(n);
            assert!((frequency - token.p).abs() < bound, "{options:?}: {token:?}, {frequency}");
        }
    }
}

#[test]
fn a_seed_decides_every_draw() {
    let tokenizer = tokenizer();
    let logits = Numbers(7).logits(288, 1.0);
    for options in [
        SamplerOptions::default(),
        SamplerOptions { top_k: 40, xtc_probability: 0.5, ..Default::default() },
        SamplerOptions { mirostat: Mirostat::V2, ..Default::default() },
    ] {
        let draws = |seed| {
            let options = SamplerOptions { seed, ..options.clone() };
            let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
            let draw = |_| sampler.sample(&mut logits.clone()).expect("a token");
            (0..50).map(draw).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}

#[test]
fn log_probabilities_are_the_models() {
    for n in [1, 3, 288, 5000] {
        let logits = Numbers(8).logits(n, 2.0);
        let total = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
        let mut sorted: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&l| f64::from(l) - total)).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        for n_top in [0, 1, 5, 20] {
            let id = n as u32 / 2;
            let found = logprobs(&logits, id, n_top);
            let own = f64::from(logits[id as usize]) - total;
            assert_eq!(found.id, id);
            // Half a unit in the last place of f32 at 10, and what exp and sum lose.
            assert!((f64::from(found.logprob) - own).abs() < 2e-6);
            assert_eq!(found.top.len(), n_top.min(n));
            for (found, expected) in found.top.iter().zip(&sorted) {
                assert_eq!(found.0, expected.0);
                assert!((f64::from(found.1) - expected.1).abs() < 2e-6);
            }
        }
    }
}

#[test]
fn a_masked_token_is_never_drawn() {
    let tokenizer = tokenizer();
    let mut logits = vec![f32::NEG_INFINITY; 1000];
    let assert_all = |logits: &[f32], expected: Result<u32, ErrorKind>| {
        for options in settings() {
            let mut sampler = Sampler::new(&options, &tokenizer, N_CTX).expect("the options are good");
            let drawn = sampler.sample(&mut logits.to_vec()).map_err(|error| error.kind());
            assert_eq!(drawn, expected, "{options:?}");
        }
    };
    assert_all(&logits, Err(ErrorKind::Internal));
    logits[700] = -3.0;
    assert_all(&logits, Ok(700));
    for no_number in [f32::NAN, f32::INFINITY] {
        logits[3] = no_number;
        assert_all(&logits, Err(ErrorKind::Internal));
    }
}

#[test]
fn fields_out_of_range_are_named() {
    let tokenizer = tokenizer();
    let o = SamplerOptions::default;
    for (options, detail) in [
        (SamplerOptions { temperature: -0.5, ..o() }, "`temperature` should be at least 0, got -0.5"),
        (SamplerOptions { temperature: f32::NAN, ..o() }, "`temperature` should be at least 0, got NaN"),
        (SamplerOptions { dynatemp_range: -1.0, ..o() }, "`dynatemp_range` should be at least 0, got -1"),
        (
            SamplerOptions { dynatemp_exponent: -1.0, ..o() },
            "`dynatemp_exponent` should be at least 0, got -1",
        ),
        (SamplerOptions { top_p: 1.5, ..o() }, "`top_p` should be in [0, 1], got 1.5"),
        (SamplerOptions { min_p: -0.1, ..o() }, "`min_p` should be in [0, 1], got -0.1"),
        (SamplerOptions { typical_p: f32::NAN, ..o() }, "`typical_p` should be in [0, 1], got NaN"),
        (SamplerOptions { top_n_sigma: -1.0, ..o() }, "`top_n_sigma` should be at least 0, got -1"),
        (SamplerOptions { xtc_probability: 2.0, ..o() }, "`xtc_probability` should be in [0, 1], got 2"),
        (SamplerOptions { xtc_threshold: -1.0, ..o() }, "`xtc_threshold` should be in [0, 1], got -1"),
        (SamplerOptions { repeat_penalty: 0.0, ..o() }, "`repeat_penalty` should be above 0, got 0"),
        (
            SamplerOptions { frequency_penalty: f32::INFINITY, ..o() },
            "`frequency_penalty` should be finite, got inf",
        ),
        (
            SamplerOptions { presence_penalty: f32::NAN, ..o() },
            "`presence_penalty` should be finite, got NaN",
        ),
        (SamplerOptions { repeat_last_n: -2, ..o() }, "`repeat_last_n` should be at least -1, got -2"),
        (SamplerOptions { dry_multiplier: -1.0, ..o() }, "`dry_multiplier` should be at least 0, got -1"),
        (SamplerOptions { dry_base: 0.9, ..o() }, "`dry_base` should be at least 1, got 0.9"),
        (
            SamplerOptions { dry_penalty_last_n: -9, ..o() },
            "`dry_penalty_last_n` should be at least -1, got -9",
        ),
        (
            SamplerOptions { dry_sequence_breakers: vec!["\n".into(), "é".repeat(21)], ..o() },
            "`dry_sequence_breakers` should have 1 to 40 bytes each, but one has 42",
        ),
        (
            SamplerOptions { dry_sequence_breakers: vec!["\n".into(), String::new()], ..o() },
            "`dry_sequence_breakers` should have 1 to 40 bytes each, but one has 0",
        ),
        (SamplerOptions { mirostat_tau: -1.0, ..o() }, "`mirostat_tau` should be at least 0, got -1"),
        (SamplerOptions { mirostat_eta: -1.0, ..o() }, "`mirostat_eta` should be at least 0, got -1"),
        (
            SamplerOptions { logit_bias: vec![(0, 1.0), (287, 1.0), (288, 1.0)], ..o() },
            "`logit_bias` should name tokens below 288, but one is 288",
        ),
        (
            SamplerOptions { logit_bias: vec![(3, f32::NAN)], ..o() },
            "`logit_bias` should be finite, but that of token 3 is NaN",
        ),
    ] {
        let error = Sampler::new(&options, &tokenizer, N_CTX).err().expect(detail);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    }
}
