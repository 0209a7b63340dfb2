//! DRY ("don't repeat yourself", p-e-w, 2024): a token that would go on with a repetition becomes the less probable the
//! longer the repetition is already.

use super::options::{SamplerOptions, window};
use crate::Result;
use crate::tokenizer::Tokenizer;
use std::collections::{HashMap, VecDeque};

/// The tokens looked through, and what ends a repetition.
pub(super) struct Dry {
    recent: VecDeque<u32>,
    last_n: usize,
    multiplier: f32,
    base: f32,
    allowed_length: usize,
    /// By the token that a breaker begins in, those that must follow; none where it has all of it.
    breakers: HashMap<u32, Vec<Vec<u32>>>,
}

impl Dry {
    /// None where it would change nothing.
    pub(super) fn new(options: &SamplerOptions, tokenizer: &Tokenizer, n_ctx: usize) -> Result<Option<Self>> {
        let last_n = window(options.dry_penalty_last_n, n_ctx);
        if options.dry_multiplier == 0.0 || last_n == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            recent: VecDeque::new(),
            last_n,
            multiplier: options.dry_multiplier,
            base: options.dry_base,
            allowed_length: options.dry_allowed_length,
            breakers: tokenized(&options.dry_sequence_breakers, tokenizer)?,
        }))
    }

    pub(super) fn accept(&mut self, ids: &[u32]) {
        self.recent.extend(&ids[ids.len().saturating_sub(self.last_n)..]);
        self.recent.drain(..self.recent.len().saturating_sub(self.last_n));
    }

    pub(super) fn apply(&mut self, logits: &mut [f32]) {
        let recent = &*self.recent.make_contiguous();
        if recent.len() <= self.allowed_length {
            return;
        }
        let limit = since_breaker(recent, &self.breakers);
        if limit < self.allowed_length {
            return;
        }
        // f32 ends at base^most.
        let most = if self.base > 1.000_001 { (f32::MAX.ln() / self.base.ln()) as i32 } else { i32::MAX };
        for (id, len) in continuations(recent, limit) {
            let Some(logit) = logits.get_mut(id as usize) else { continue };
            let breaks = self.breakers.get(&id).is_some_and(|tails| tails.iter().any(Vec::is_empty));
            if len >= self.allowed_length && !breaks {
                let exponent = ((len - self.allowed_length) as i32).min(most);
                let factor = f64::from(self.base).powi(exponent);
                *logit -= (f64::from(self.multiplier) * factor) as f32;
            }
        }
    }
}

/// How many tokens there are after the last breaker; all of them without one.
fn since_breaker(recent: &[u32], breakers: &HashMap<u32, Vec<Vec<u32>>>) -> usize {
    for (after, at) in (0..recent.len()).rev().enumerate() {
        let Some(tails) = breakers.get(&recent[at]) else { continue };
        let there = tails.iter().filter(|tail| recent[at + 1..].starts_with(tail));
        if let Some(longest) = there.map(Vec::len).max() {
            return after - longest;
        }
    }
    recent.len()
}

/// The tokens that followed where the end of `recent` was there before, each with the length, `limit` at most, of the
/// longest repetition that it would go on with.
fn continuations(recent: &[u32], limit: usize) -> HashMap<u32, usize> {
    let backwards: Vec<u32> = recent.iter().rev().copied().collect();
    let mut found = HashMap::new();
    for (back, len) in shared_with_start(&backwards).into_iter().enumerate().skip(1) {
        let longest = found.entry(backwards[back - 1]).or_default();
        *longest = len.min(limit).max(*longest);
    }
    found
}

/// How many of `ids` from each place on are the same as from the start on: the Z algorithm, in linear time.
fn shared_with_start(ids: &[u32]) -> Vec<usize> {
    let mut shared = vec![0; ids.len()];
    // The stretch known to be the same as the start that reaches furthest.
    let (mut begin, mut end) = (0, 0);
    for at in 1..ids.len() {
        let mut len = if at < end { shared[at - begin].min(end - at) } else { 0 };
        while at + len < ids.len() && ids[len] == ids[at + len] {
            len += 1;
        }
        if at + len > end {
            (begin, end) = (at, at + len);
        }
        shared[at] = len;
    }
    shared
}

/// Every way that a breaker can stand in tokens: as part of one, or beginning in one and going on in others. As in
/// llama.cpp, what follows the first is tokenized by itself, and at most [`MAX_TAIL`] tokens of it count.
fn tokenized(breakers: &[String], tokenizer: &Tokenizer) -> Result<HashMap<u32, Vec<Vec<u32>>>> {
    /// Bounds the search for breakers.
    const MAX_TAIL: usize = 20;
    let mut found: HashMap<u32, Vec<Vec<u32>>> = HashMap::new();
    for id in 0..tokenizer.n_vocab() as u32 {
        let text = tokenizer.decode_bytes(&[id], false)?;
        for breaker in breakers.iter().map(|breaker| breaker.as_bytes()) {
            if text.windows(breaker.len()).any(|part| part == breaker) {
                found.entry(id).or_default().push(Vec::new());
                continue;
            }
            for begun in (1..breaker.len()).filter(|&begun| text.ends_with(&breaker[..begun])) {
                let rest = String::from_utf8_lossy(&breaker[begun..]);
                let mut tail = tokenizer.encode(&rest, false, false)?;
                tail.truncate(MAX_TAIL);
                let tails = found.entry(id).or_default();
                if !tails.contains(&tail) {
                    tails.push(tail);
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_z_algorithm_is_the_naive_one() {
        // All sequences of up to eight tokens of three kinds.
        for len in 0..=8_u32 {
            for number in 0..3_u32.pow(len) {
                let ids: Vec<u32> = (0..len).map(|digit| number / 3_u32.pow(digit) % 3).collect();
                let naive = |at: usize| ids.iter().zip(&ids[at..]).take_while(|(a, b)| a == b).count();
                for (at, &shared) in shared_with_start(&ids).iter().enumerate().skip(1) {
                    assert_eq!(shared, naive(at), "{ids:?} from {at}");
                }
            }
        }
    }

    #[test]
    fn a_repetition_reaches_back_to_the_last_breaker() {
        let breakers = HashMap::from([(7, vec![vec![]]), (8, vec![vec![9, 9], vec![9]])]);
        for (recent, expected) in [
            (&[1, 2, 3][..], 3),
            (&[7, 1, 2], 2),
            (&[1, 7], 0),
            (&[1, 8, 2], 3),
            (&[1, 8, 9, 2], 1),
            (&[8, 9, 9, 2], 1),
            (&[7, 8, 9], 0),
            (&[7, 1, 8], 2),
        ] {
            assert_eq!(since_breaker(recent, &breakers), expected, "{recent:?}");
        }
    }

    #[test]
    fn what_followed_the_longest_repetition_counts() {
        // a b c c b c y a b c, llama.cpp's example: c goes on with 3, b with 1, y with 2.
        let recent = [1, 2, 3, 3, 2, 3, 9, 1, 2, 3];
        let found = continuations(&recent, 10);
        assert_eq!((found[&3], found[&2], found[&9], found[&1]), (3, 1, 2, 0));
        assert_eq!(continuations(&recent, 2)[&3], 2);
    }
}
