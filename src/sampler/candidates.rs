//! The tokens that can still be drawn.

use super::exp::{exp, max, sum};
use super::random::Random;
use crate::{Error, Result};
use std::cmp::Ordering;

/// A token that can be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// Its logit.
    pub logit: f32,
    /// Among the candidates, when they were last weighed.
    pub p: f32,
}

/// The candidates, in no order unless `sorted`.
#[derive(Default)]
pub(super) struct Candidates {
    all: Vec<Candidate>,
    /// The most probable first.
    sorted: bool,
    /// For what is taken out of `all`.
    taken: Vec<Candidate>,
}

/// The most probable first, and of equals the lower id.
fn order(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

impl Candidates {
    /// All of `logits`, or, sorted, their `top_k` largest unless that is 0. Before that, those more than `top_n_sigma`
    /// standard deviations below the largest become -∞, unless that is 0.
    pub(super) fn fill(&mut self, logits: &[f32], top_n_sigma: f32, top_k: usize) {
        let least = if top_n_sigma > 0.0 && logits.len() > 1 {
            max(logits) - top_n_sigma * standard_deviation(logits)
        } else {
            f32::NEG_INFINITY
        };
        let every = candidates(logits).map(|candidate| match candidate.logit < least {
            true => Candidate { logit: f32::NEG_INFINITY, ..candidate },
            false => candidate,
        });
        self.sorted = (1..logits.len()).contains(&top_k);
        if self.sorted {
            best(every, top_k, &mut self.all);
        } else {
            self.all.clear();
            self.all.extend(every);
        }
    }

    pub(super) fn all(&self) -> &[Candidate] {
        &self.all
    }

    pub(super) fn all_mut(&mut self) -> &mut [Candidate] {
        &mut self.all
    }

    /// The largest logit, and not -∞: less itself, that is no number.
    pub(super) fn most(&self) -> f32 {
        self.all.iter().fold(f32::MIN, |most, candidate| most.max(candidate.logit))
    }

    /// Sets the probabilities; all are 0 where every logit is -∞.
    pub(super) fn softmax(&mut self) {
        let most = self.most();
        let mut total = f64::MIN_POSITIVE;
        for candidate in &mut self.all {
            candidate.p = exp(candidate.logit - most);
            total += f64::from(candidate.p);
        }
        for candidate in &mut self.all {
            candidate.p = (f64::from(candidate.p) / total) as f32;
        }
    }

    pub(super) fn sort(&mut self) {
        if !self.sorted {
            self.all.sort_unstable_by(order);
            self.sorted = true;
        }
    }

    /// Their entropy, in nats.
    pub(super) fn entropy(&self) -> f32 {
        let terms = self.all.iter().filter(|candidate| candidate.p > 0.0);
        -terms.map(|&Candidate { p, .. }| f64::from(p) * f64::from(p).ln()).sum::<f64>() as f32
    }

    /// Drops the first `n`.
    pub(super) fn drop_first(&mut self, n: usize) {
        self.all.drain(..n);
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&Candidate) -> bool) {
        self.all.retain(keeps);
    }

    /// Keeps the `k` most probable.
    pub(super) fn keep_best(&mut self, k: usize) {
        if self.sorted {
            self.all.truncate(k);
            return;
        }
        best(self.all.iter().copied(), k.min(self.all.len()), &mut self.taken);
        std::mem::swap(&mut self.all, &mut self.taken);
        self.sorted = true;
    }

    /// The `n` most probable of them, or all if they are fewer.
    pub(super) fn best_of(&mut self, n: usize) -> &[Candidate] {
        best(self.all.iter().copied(), n.min(self.all.len()), &mut self.taken);
        &self.taken
    }

    pub(super) fn keep_largest(&mut self) {
        self.keep_best(1);
    }

    /// Keeps those of the greatest `key`, greatest first, up to the one at which `enough` says so; it is asked for each
    /// in turn, with its place. Most often they are few, so not all are sorted.
    pub(super) fn keep_by(
        &mut self,
        key: impl Fn(&Candidate) -> f32,
        mut enough: impl FnMut(usize, &Candidate) -> bool,
    ) {
        let n = self.all.len();
        let mut seen = 0;
        let mut k = 256;
        loop {
            // As candidates of their own: their places for ids, their keys for logits.
            let places = self.all.iter().zip(0..);
            let keyed = places.map(|(all, id)| Candidate { id, logit: key(all), p: 0.0 });
            best(keyed, k.min(n), &mut self.taken);
            for place in &mut self.taken {
                *place = self.all[place.id as usize];
            }
            let rest = self.taken.iter().enumerate().skip(seen);
            let last = rest.into_iter().find(|(at, candidate)| enough(*at, candidate)).map(|(at, _)| at);
            seen = self.taken.len();
            if last.is_some() || seen == n {
                self.taken.truncate(last.map_or(n, |last| last + 1));
                break;
            }
            k *= 4;
        }
        std::mem::swap(&mut self.all, &mut self.taken);
    }

    /// As [`keep_by`](Self::keep_by), the most probable first.
    pub(super) fn keep_best_until(&mut self, mut enough: impl FnMut(usize, &Candidate) -> bool) {
        if self.sorted {
            if let Some(last) = self.all.iter().enumerate().position(|(at, candidate)| enough(at, candidate))
            {
                self.all.truncate(last + 1);
            }
            return;
        }
        self.keep_by(|candidate| candidate.logit, enough);
        self.sorted = true;
    }

    /// Says that the order has changed.
    pub(super) fn unsorted(&mut self) {
        self.sorted = false;
    }

    /// Draws one, by the probabilities, which it sets.
    pub(super) fn draw(&mut self, random: &mut Random) -> Result<Candidate> {
        self.softmax();
        let target = random.unit();
        let mut reached = 0.0;
        let mut possible = None;
        for candidate in self.all.iter().filter(|candidate| candidate.p > 0.0) {
            possible = Some(*candidate);
            reached += f64::from(candidate.p);
            if reached > target {
                break;
            }
        }
        possible.ok_or_else(nothing_left)
    }
}

/// Draws from all of `logits` at `temperature`, and overwrites them.
pub(super) fn draw(logits: &mut [f32], temperature: f32, random: &mut Random) -> Result<u32> {
    /// Blocks are passed over as a whole.
    const BLOCK: usize = 512;
    let most = max(logits);
    if most == f32::NEG_INFINITY {
        return Err(nothing_left());
    }
    for logit in logits.iter_mut() {
        *logit = exp((*logit - most) / temperature);
    }
    let target = random.unit() * sum(logits);
    let mut reached = 0.0;
    let mut possible = None;
    for (block, from) in logits.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        let after = reached + sum(block);
        if after > target {
            for (&p, id) in block.iter().zip(from..).filter(|(p, _)| **p > 0.0) {
                possible = Some(id);
                reached += f64::from(p);
                if reached > target {
                    return Ok(id);
                }
            }
        }
        reached = after;
    }
    // Rounding kept the last block from reaching the target.
    let last = || logits.iter().rposition(|&p| p > 0.0).map(|id| id as u32);
    possible.or_else(last).ok_or_else(nothing_left)
}

/// The largest of `logits`, and of equals the lowest.
pub(super) fn largest(logits: &[f32]) -> Result<u32> {
    let most = max(logits);
    let id = logits.iter().position(|&logit| logit == most && logit > f32::NEG_INFINITY);
    id.map(|id| id as u32).ok_or_else(nothing_left)
}

fn nothing_left() -> Error {
    Error::internal("no token is left to be drawn")
}

pub(super) fn candidates(logits: &[f32]) -> impl Iterator<Item = Candidate> {
    logits.iter().zip(0..).map(|(&logit, id)| Candidate { id, logit, p: 0.0 })
}

/// The `k` best of `every`, sorted, in place of what `out` holds. There must be that many.
pub(super) fn best(every: impl Iterator<Item = Candidate>, k: usize, out: &mut Vec<Candidate>) {
    out.clear();
    if k == 0 {
        return;
    }
    // Twice as many are collected before the worse half is dropped: what comes then is most often worse than all.
    let mut worst = None;
    for candidate in every {
        if worst.is_some_and(|worst| order(&worst, &candidate) == Ordering::Less) {
            continue;
        }
        out.push(candidate);
        if out.len() / 2 >= k {
            out.select_nth_unstable_by(k - 1, order);
            out.truncate(k);
            worst = out.last().copied();
        }
    }
    if out.len() > k {
        out.select_nth_unstable_by(k - 1, order);
        out.truncate(k);
    }
    out.sort_unstable_by(order);
}

/// That of the finite ones.
fn standard_deviation(logits: &[f32]) -> f32 {
    let finite = || logits.iter().filter(|logit| logit.is_finite()).map(|&logit| f64::from(logit));
    let n = finite().count().max(1) as f64;
    let mean = finite().sum::<f64>() / n;
    (finite().map(|logit| (logit - mean) * (logit - mean)).sum::<f64>() / n).sqrt() as f32
}
