//! Merging, which both kinds of vocabulary share: of all neighbours that make a token together, the pair of the
//! greatest rank joins, the leftmost of equals, until no two neighbours make one.
//!
//! A queue holds every pair that could join; one whose parts have changed since is stale and passed over. So a text of
//! n symbols takes O(n log n).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A run of the text: a character or byte, what it has grown to by merges, or nothing, once it has joined its left
/// neighbour.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
    prev: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that could join to the token `id`.
struct Pair<R> {
    rank: R,
    left: usize,
    right: usize,
    /// Where the right symbol ended when the pair was queued.
    end: usize,
    id: u32,
}

/// Merges one text after the other, in the same memory.
pub(super) struct Merger<R> {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Pair<R>>,
}

impl<R: Ord> Merger<R> {
    pub(super) fn new() -> Self {
        Self { symbols: Vec::new(), queue: BinaryHeap::new() }
    }

    /// The symbols that are left of `parts`, each given by its end and its id. `join` gives the rank and the id of what
    /// two neighbours make.
    pub(super) fn merge(
        &mut self,
        parts: impl Iterator<Item = (usize, u32)>,
        join: impl Fn(&Symbol, &Symbol) -> Option<(R, u32)>,
    ) -> impl Iterator<Item = &Symbol> {
        let Self { symbols, queue } = self;
        symbols.clear();
        let mut start = 0;
        for (index, (end, id)) in parts.enumerate() {
            let (prev, next) = (index.checked_sub(1), Some(index + 1));
            symbols.push(Symbol { start: std::mem::replace(&mut start, end), end, id, prev, next });
        }
        if let Some(last) = symbols.last_mut() {
            last.next = None;
        }

        let queue_pair = |symbols: &[Symbol], left: usize, queue: &mut BinaryHeap<Pair<R>>| {
            let Some(right) = symbols[left].next else { return };
            let joined = join(&symbols[left], &symbols[right]);
            queue.extend(joined.map(|(rank, id)| Pair { rank, left, right, end: symbols[right].end, id }));
        };
        for left in 0..symbols.len() {
            queue_pair(symbols, left, queue);
        }
        while let Some(Pair { left, right, end, id, .. }) = queue.pop() {
            // Only the left symbol's own neighbour touches it, and a symbol that has joined its left one is empty.
            let (l, r) = (symbols[left], symbols[right]);
            if l.start == l.end || r.start == r.end || l.next != Some(right) || r.end != end {
                continue;
            }
            symbols[left] = Symbol { end, id, next: r.next, ..l };
            symbols[right].end = r.start;
            if let Some(next) = r.next {
                symbols[next].prev = Some(left);
            }
            if let Some(prev) = l.prev {
                queue_pair(symbols, prev, queue);
            }
            queue_pair(symbols, left, queue);
        }
        symbols.iter().filter(|symbol| symbol.start < symbol.end)
    }
}

impl<R: Ord> Ord for Pair<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then(Reverse(self.left).cmp(&Reverse(other.left)))
    }
}

impl<R: Ord> PartialOrd for Pair<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Ord> PartialEq for Pair<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: Ord> Eq for Pair<R> {}
