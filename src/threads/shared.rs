//! What all threads of a pool see: the gate, the job behind it, and how much of it is taken.

use super::{Job, catch, lock, worker_lost};
use crate::{Error, Result};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use web_time::{Duration, Instant};

/// Chunks that a thread's part is cut into.
const CHUNKS: usize = 8;
/// How long a thread looks for what it waits for before it sleeps.
const SPIN: Duration = Duration::from_micros(30);
/// Looks between two at the clock, which takes as long as some fifty of them.
const LOOKS: usize = 100;
/// A worker that is inside a job for so many waits of [`WAIT`] is lost. Waits are counted, and no clock is read, since
/// a computer that sleeps counts as one.
pub(super) const PATIENCE: u32 = if cfg!(test) { 3 } else { 100 };
pub(super) const WAIT: Duration = Duration::from_millis(100);

// The gate, a word of bits. Helpers enter while it is open, each once in a job.

/// How many helpers are inside: the low byte.
const INSIDE: u32 = 0xFF;
const OPEN: u32 = 1 << 8;
/// The caller sleeps until none is inside.
const AWAITED: u32 = 1 << 9;
/// Helpers are to return.
const STOP: u32 = 1 << 10;
/// The job's number, which wraps, is in the bits from here.
const JOB: u32 = 1 << 11;

fn job_number(gate: u32) -> u32 {
    gate / JOB
}

const _: () = assert!(super::MAX_THREADS <= INSIDE as usize);

/// What all threads see.
pub(super) struct Shared {
    gate: AtomicU32,
    /// Written by the caller while the gate is closed and nobody inside, read by those inside.
    job: UnsafeCell<Option<&'static Job<'static>>>,
    n_items: AtomicUsize,
    /// Whether threads take note of how long they are in the job.
    timed: AtomicBool,
    /// One for each thread.
    parts: Box<[Part]>,
    /// What a helper's job panicked with.
    panicked: Mutex<Option<Error>>,
    /// A worker is dead.
    lost: AtomicBool,
    /// Helpers that sleep, or are about to.
    sleepers: AtomicU32,
    sleep: Mutex<()>,
    opened: Condvar,
    left: Condvar,
}

// SAFETY: all but `job` is `Sync`, and access to `job` goes by the gate: see there.
unsafe impl Sync for Shared {}
// SAFETY: as above; what `job` refers to is `Sync`.
unsafe impl Send for Shared {}

/// A thread's items, and what it did in the last job if that was timed; in a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Part {
    /// How many of its items are taken.
    taken: AtomicUsize,
    /// Items that its thread did, of whatever part.
    done: AtomicUsize,
    /// Nanoseconds spent on them.
    nanos: AtomicU64,
    /// Its thread is in the job.
    inside: AtomicBool,
}

impl Shared {
    pub(super) fn new(n_threads: usize) -> Self {
        Self {
            gate: AtomicU32::new(0),
            job: UnsafeCell::new(None),
            n_items: AtomicUsize::new(0),
            timed: AtomicBool::new(false),
            parts: (0..n_threads).map(|_| Part::default()).collect(),
            panicked: Mutex::new(None),
            lost: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            sleep: Mutex::new(()),
            opened: Condvar::new(),
            left: Condvar::new(),
        }
    }

    pub(super) fn n_threads(&self) -> usize {
        self.parts.len()
    }

    /// Begins a job, which [`time_alone`](Self::time_alone) tells of afterwards if it is `timed`.
    ///
    /// # Safety
    /// The last job must have been waited for, and one thread at a time may be between here and the end of that wait.
    /// `job` must live until then.
    pub(super) unsafe fn open(&self, n_items: usize, timed: bool, job: &Job) {
        let gate = self.gate.load(Ordering::Relaxed);
        debug_assert_eq!(gate & (OPEN | INSIDE), 0);
        // SAFETY: only the lifetime changes: helpers use the job between entering and leaving, and that it lives as long
        // is for the caller to see to.
        let job = unsafe { std::mem::transmute::<&Job, &'static Job<'static>>(job) };
        // SAFETY: nobody is inside, nobody can enter before the gate is open below, and no other thread is here.
        unsafe { *self.job.get() = Some(job) };
        self.n_items.store(n_items, Ordering::Relaxed);
        self.timed.store(timed, Ordering::Relaxed);
        for part in &self.parts {
            part.taken.store(0, Ordering::Relaxed);
            part.done.store(0, Ordering::Relaxed);
            part.nanos.store(0, Ordering::Relaxed);
        }
        self.gate.store((gate & !(JOB - 1)).wrapping_add(JOB) | OPEN, Ordering::SeqCst);
        self.wake_sleepers();
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.gate.fetch_and(!OPEN, Ordering::Relaxed);
    }

    /// Returns when nobody is inside. The gate must be closed. Without a way to `abandon` it waits for ever.
    pub(super) fn wait_for_helpers(&self, abandon: Option<fn(Error) -> !>) {
        let empty = || self.gate.load(Ordering::Acquire) & INSIDE == 0;
        if spin_until(empty) {
            return;
        }
        let mut sleep = lock(&self.sleep);
        self.gate.fetch_or(AWAITED, Ordering::Relaxed);
        let mut waits = 0;
        while !empty() {
            if let Some(abandon) = abandon
                && waits == PATIENCE
            {
                self.lost.store(true, Ordering::Release);
                abandon(worker_lost("a compute worker does not answer"));
            }
            waits += 1;
            (sleep, _) = self.left.wait_timeout(sleep, WAIT).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes part in jobs, as thread `thread`, until they stop.
    pub(super) fn help(&self, thread: usize) {
        let mut last = 0;
        loop {
            let gate = self.await_job(last);
            if gate & STOP != 0 {
                return;
            }
            if self.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            last = job_number(gate);
            self.parts[thread].inside.store(true, Ordering::Relaxed);
            // SAFETY: this thread is inside, so the caller does not write.
            if let Some(job) = unsafe { *self.job.get() }
                && let Err(error) = catch(|| self.work(thread, job))
            {
                *lock(&self.panicked) = Some(error);
            }
            self.leave(thread);
        }
    }

    /// The gate, once it is open for another job than `last`, or to stop.
    fn await_job(&self, last: u32) -> u32 {
        let news = |gate: u32| gate & STOP != 0 || (gate & OPEN != 0 && job_number(gate) != last);
        let mut gate = 0;
        let mut look = || {
            gate = self.gate.load(Ordering::Relaxed);
            news(gate)
        };
        if !spin_until(&mut look) {
            let mut sleep = lock(&self.sleep);
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            loop {
                gate = self.gate.load(Ordering::SeqCst);
                if news(gate) {
                    break;
                }
                sleep = self.opened.wait(sleep).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleepers.fetch_sub(1, Ordering::Relaxed);
        }
        gate
    }

    /// Wakes the helpers after a change of the gate. One that does not count as a sleeper yet will see the change: it
    /// counts itself first and looks then, in the one order that all `SeqCst` have.
    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // One that has looked holds the lock until it sleeps.
            drop(lock(&self.sleep));
            self.opened.notify_all();
        }
    }

    /// Tells that helper `thread`, which is inside, has done its work, or is dead.
    fn leave(&self, thread: usize) {
        self.parts[thread].inside.store(false, Ordering::Relaxed);
        let gate = self.gate.fetch_sub(1, Ordering::Release);
        if gate & INSIDE == 1 && gate & AWAITED != 0 {
            drop(lock(&self.sleep));
            self.left.notify_one();
        }
    }

    /// Makes all helpers return.
    pub(super) fn stop(&self) {
        self.gate.fetch_or(STOP, Ordering::SeqCst);
        self.wake_sleepers();
    }

    /// Tells that helper `thread` is dead.
    #[cfg(any(feature = "wasm", test))]
    pub(super) fn lose(&self, thread: usize) {
        self.lost.store(true, Ordering::Release);
        if self.parts[thread].inside.load(Ordering::Relaxed) {
            self.leave(thread);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// What a helper panicked with in the last job.
    pub(super) fn take_panic(&self) -> Result<()> {
        lock(&self.panicked).take().map_or(Ok(()), Err)
    }

    /// Does chunks until all are taken: those of the thread's own part, then those of the parts after it.
    pub(super) fn work(&self, thread: usize, job: &Job) {
        let start = self.timed.load(Ordering::Relaxed).then(Instant::now);
        let n_threads = self.parts.len();
        let mut done = 0;
        for step in 0..n_threads {
            while let Some(chunk) = self.take((thread + step) % n_threads) {
                done += chunk.len();
                job(chunk);
            }
        }
        if let Some(start) = start {
            let part = &self.parts[thread];
            part.nanos.store(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            part.done.store(done, Ordering::Relaxed);
        }
    }

    /// The next chunk of a part.
    fn take(&self, part: usize) -> Option<Range<usize>> {
        let items = self.items_of(part);
        let chunk = items.len().div_ceil(CHUNKS);
        let taken = &self.parts[part].taken;
        // Looking first leaves the cache line to those who work on the part.
        if taken.load(Ordering::Relaxed) >= items.len() {
            return None;
        }
        let at = taken.fetch_add(chunk, Ordering::Relaxed);
        (at < items.len()).then(|| items.start + at..items.end.min(items.start + at + chunk))
    }

    /// The items of a part: as many in each, but for the first parts, which share what is left over.
    fn items_of(&self, part: usize) -> Range<usize> {
        let n_items = self.n_items.load(Ordering::Relaxed);
        let (each, over) = (n_items / self.parts.len(), n_items % self.parts.len());
        let start = |part: usize| part * each + part.min(over);
        start(part)..start(part + 1)
    }

    /// What the last job, which was timed, would have taken on the calling thread alone, from what each thread took for the
    /// items it did. Where the caller itself lost its core, as it may to a helper, another thread tells.
    pub(super) fn time_alone(&self, n_items: usize) -> Duration {
        /// The least that losing a core costs; clocks in browsers tell 5 us apart.
        const LOST_CORE: u64 = 500_000;
        let of = |part: &Part| (part.nanos.load(Ordering::Relaxed), part.done.load(Ordering::Relaxed));
        let per_item =
            |(nanos, done): (u64, usize)| if done == 0 { f64::INFINITY } else { nanos as f64 / done as f64 };
        let caller = of(&self.parts[0]);
        let best_helper = self.parts[1..].iter().map(|part| per_item(of(part))).fold(f64::INFINITY, f64::min);
        let mut each = per_item(caller);
        if each.is_infinite() || (caller.0 > LOST_CORE && each > 2.0 * best_helper) {
            each = best_helper;
        }
        Duration::from_nanos((each * n_items as f64) as u64)
    }
}

/// Looks for `condition` for as long as [`SPIN`]; whether it came true.
fn spin_until(mut condition: impl FnMut() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..LOOKS {
            if condition() {
                return true;
            }
            spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() > SPIN {
            return false;
        }
    }
}
