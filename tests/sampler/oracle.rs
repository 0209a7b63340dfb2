//! llama.cpp's samplers, each written out plainly, in f64, over the whole sorted vocabulary.

use super::N_CTX;
use tallow::sampler::{Mirostat, SamplerOptions};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) logit: f64,
    pub(crate) p: f64,
}

fn by_logit(tokens: &mut [Token]) {
    tokens.sort_by(|a, b| b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id)));
}

pub(crate) fn softmax(tokens: &mut [Token]) {
    let largest = tokens.iter().map(|token| token.logit).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = tokens.iter().map(|token| (token.logit - largest).exp()).sum();
    for token in tokens {
        token.p = (token.logit - largest).exp() / total;
    }
}

fn entropy(tokens: &[Token]) -> f64 {
    tokens.iter().filter(|token| token.p > 0.0).map(|token| -token.p * token.p.ln()).sum()
}

fn penalize(options: &SamplerOptions, before: &[u32], tokens: &mut [Token]) {
    let n = if options.repeat_last_n == -1 { N_CTX } else { options.repeat_last_n as usize };
    let recent = &before[before.len().saturating_sub(n)..];
    for token in tokens {
        let count = recent.iter().filter(|&&id| id == token.id).count();
        if count == 0 {
            continue;
        }
        let repeat = f64::from(options.repeat_penalty);
        token.logit = if token.logit <= 0.0 { token.logit * repeat } else { token.logit / repeat };
        token.logit -= count as f64 * f64::from(options.frequency_penalty);
        token.logit -= f64::from(options.presence_penalty);
    }
}

/// By trying every repetition. `breakers` are of one token.
fn dry(options: &SamplerOptions, before: &[u32], breakers: &[u32], tokens: &mut [Token]) {
    let n = if options.dry_penalty_last_n == -1 { N_CTX } else { options.dry_penalty_last_n as usize };
    if options.dry_multiplier == 0.0 {
        return;
    }
    let recent = &before[before.len().saturating_sub(n)..];
    let limit = recent.iter().rev().position(|id| breakers.contains(id)).unwrap_or(recent.len());
    for token in tokens {
        let mut longest = None;
        for at in 1..recent.len() {
            if recent[at] != token.id {
                continue;
            }
            let same = (0..at.min(recent.len()))
                .take_while(|back| recent[at - 1 - back] == recent[recent.len() - 1 - back])
                .count();
            longest = longest.max(Some(same.min(limit)));
        }
        let Some(longest) = longest else { continue };
        if longest >= options.dry_allowed_length
            && recent.len() > options.dry_allowed_length
            && !breakers.contains(&token.id)
        {
            let exponent = (longest - options.dry_allowed_length) as i32;
            token.logit -= f64::from(options.dry_multiplier) * f64::from(options.dry_base).powi(exponent);
        }
    }
}

fn top_n_sigma(n: f64, tokens: &mut [Token]) {
    if n <= 0.0 {
        return;
    }
    let count = tokens.len() as f64;
    let mean = tokens.iter().map(|token| token.logit).sum::<f64>() / count;
    let variance = tokens.iter().map(|token| (token.logit - mean).powi(2)).sum::<f64>() / count;
    let largest = tokens.iter().map(|token| token.logit).fold(f64::NEG_INFINITY, f64::max);
    for token in tokens {
        if token.logit < largest - n * variance.sqrt() {
            token.logit = f64::NEG_INFINITY;
        }
    }
}

fn typical(p: f64, min_keep: usize, tokens: &mut Vec<Token>) {
    if p >= 1.0 {
        return;
    }
    by_logit(tokens);
    softmax(tokens);
    let expected = entropy(tokens);
    tokens.sort_by(|a, b| {
        let distance = |token: &Token| (-token.p.ln() - expected).abs();
        distance(a).total_cmp(&distance(b))
    });
    let mut total = 0.0;
    for at in 0..tokens.len() {
        total += tokens[at].p;
        if total > p && (min_keep == 0 || at >= min_keep - 1) {
            tokens.truncate(at + 1);
            break;
        }
    }
}

fn top_p(p: f64, min_keep: usize, tokens: &mut Vec<Token>) {
    if p >= 1.0 {
        return;
    }
    by_logit(tokens);
    softmax(tokens);
    let mut total = 0.0;
    for at in 0..tokens.len() {
        total += tokens[at].p;
        if total >= p && at + 1 >= min_keep {
            tokens.truncate(at + 1);
            break;
        }
    }
}

fn min_p(p: f64, min_keep: usize, tokens: &mut Vec<Token>) {
    if p <= 0.0 {
        return;
    }
    by_logit(tokens);
    softmax(tokens);
    let least = tokens[0].p * p;
    let n = tokens.iter().filter(|token| token.p >= least).count();
    tokens.truncate(n.max(min_keep).max(1));
}

/// As if the number drawn were below the probability, unless that is 0.
fn xtc(options: &SamplerOptions, tokens: &mut Vec<Token>) {
    if options.xtc_probability == 0.0 || options.xtc_threshold > 0.5 || tokens.len() < 2 {
        return;
    }
    by_logit(tokens);
    softmax(tokens);
    let above = tokens.iter().filter(|token| token.p >= f64::from(options.xtc_threshold)).count();
    if above >= 2 && tokens.len() - (above - 1) >= options.min_keep {
        tokens.drain(..above - 1);
    }
}

fn temperature(options: &SamplerOptions, tokens: &mut Vec<Token>) {
    let mut temperature = f64::from(options.temperature);
    let range = f64::from(options.dynatemp_range);
    if range > 0.0 {
        if tokens.len() < 2 {
            return;
        }
        softmax(tokens);
        let part = entropy(tokens) / (tokens.len() as f64).ln();
        let (low, high) = ((temperature - range).max(0.0), temperature + range);
        temperature = low + (high - low) * part.powf(f64::from(options.dynatemp_exponent));
    }
    if temperature == 0.0 {
        by_logit(tokens);
        tokens.truncate(1);
    }
    for token in tokens {
        token.logit /= if temperature == 0.0 { 1.0 } else { temperature };
    }
}

pub(crate) fn mirostat(version: Mirostat, mu: f64, n_vocab: usize, tokens: &mut Vec<Token>) {
    by_logit(tokens);
    softmax(tokens);
    if version == Mirostat::V2 {
        let n = tokens.iter().take_while(|token| -token.p.log2() <= mu).count();
        tokens.truncate(n.max(1));
        return;
    }
    let (mut products, mut squares) = (0.0, 0.0);
    for i in 0..99.min(tokens.len() - 1) {
        let t = ((i + 2) as f64 / (i + 1) as f64).ln();
        products += t * (tokens[i].p / tokens[i + 1].p).ln();
        squares += t * t;
    }
    let s = products / squares;
    let epsilon = s - 1.0;
    let k = (epsilon * mu.exp2() / (1.0 - (n_vocab as f64).powf(-epsilon))).powf(1.0 / s);
    tokens.truncate((k as usize).max(1));
}

pub(crate) fn every(logits: &[f32]) -> Vec<Token> {
    logits.iter().zip(0..).map(|(&logit, id)| Token { id, logit: logit.into(), p: 0.0 }).collect()
}

pub(crate) fn oracle(
    options: &SamplerOptions,
    before: &[u32],
    breakers: &[u32],
    logits: &[f32],
) -> Vec<Token> {
    let mut tokens = every(logits);
    let n_vocab = tokens.len();
    for &(id, bias) in &options.logit_bias {
        tokens[id as usize].logit += f64::from(bias);
    }
    if options.mirostat != Mirostat::Off {
        temperature(options, &mut tokens);
        mirostat(options.mirostat, 2.0 * f64::from(options.mirostat_tau), n_vocab, &mut tokens);
    } else {
        penalize(options, before, &mut tokens);
        dry(options, before, breakers, &mut tokens);
        top_n_sigma(options.top_n_sigma.into(), &mut tokens);
        if options.top_k > 0 {
            by_logit(&mut tokens);
            tokens.truncate(options.top_k);
        }
        typical(options.typical_p.into(), options.min_keep, &mut tokens);
        top_p(options.top_p.into(), options.min_keep, &mut tokens);
        min_p(options.min_p.into(), options.min_keep, &mut tokens);
        xtc(options, &mut tokens);
        temperature(options, &mut tokens);
    }
    by_logit(&mut tokens);
    softmax(&mut tokens);
    tokens
}
