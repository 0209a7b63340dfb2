//! Our own threads: [`Pool::run`] splits a job's items over threads that stay. std threads natively, module workers
//! in wasm, which join through `src/wasm/threads.rs`.
//!
//! A thread owns one contiguous part of the items, takes it in some eight chunks, so that it reads forward, and then
//! takes chunks of the others' parts. The caller is thread 0. It waits only for those threads that have entered the
//! job: one that the system did not run in time finds the gate closed, and its part done by the rest.
//!
//! Between jobs a thread spins for 30 us and then sleeps: handing a job over takes about 1 us to one that spins and
//! 10 to 20 us to one that sleeps. On a machine whose cores are busy, threads can be slower than none, since the caller
//! waits for those that lost their core in the middle of a chunk; `pace.rs` sees that and lets them rest.
//!
//! What always holds: a job's borrows end before `run` returns, and the pool itself allocates nothing while jobs go well.

mod pace;
mod reading;
mod shared;

use crate::{Error, ErrorKind, Result};
use pace::Pace;
pub(crate) use reading::Order;
use reading::Trial;
use shared::{PATIENCE, Shared, WAIT};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use web_time::Instant;

/// The most threads that a pool has.
pub const MAX_THREADS: usize = 64;

/// What threads compute: a function of any range of the items, whose effects do not depend on how they are split.
pub type Job<'a> = dyn Fn(Range<usize>) + Sync + 'a;

/// Threads that compute together. Dropping the pool ends them.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held by the job that runs.
    pace: Mutex<Pace>,
    reading: Trial,
    /// Empty where the helpers are workers.
    helpers: Vec<JoinHandle<()>>,
    /// What to do about a worker that does not come back.
    abandon: Option<fn(Error) -> !>,
}

impl Pool {
    /// The calling thread and `n_threads - 1` helpers.
    ///
    /// # Errors
    /// `invalid_request` if `n_threads` is not in 1..=64; `internal` if the system refuses a thread, as wasm does.
    pub fn new(n_threads: usize) -> Result<Self> {
        check_n_threads(n_threads)?;
        let mut pool = Self::without_helpers(n_threads, None);
        for thread in 1..n_threads {
            let shared = Arc::clone(&pool.shared);
            let helper = std::thread::Builder::new()
                .name(format!("tallow-{thread}"))
                .spawn(move || shared.help(thread))
                .map_err(|source| Error::internal("a thread could not be started").with_source(source))?;
            pool.helpers.push(helper);
        }
        Ok(pool)
    }

    /// The calling thread and `n_threads - 1` others, each of which calls [`help`](Self::help) and may die in it. One
    /// that is inside a job and does not come back may still write to what the job borrows: `abandon` is called then,
    /// which must not let the caller go on.
    ///
    /// # Errors
    /// `invalid_request` if `n_threads` is not in 1..=64.
    #[cfg(any(feature = "wasm", test))]
    pub(crate) fn of_workers(n_threads: usize, abandon: fn(Error) -> !) -> Result<Self> {
        check_n_threads(n_threads)?;
        Ok(Self::without_helpers(n_threads, Some(abandon)))
    }

    /// The calling thread.
    pub fn single() -> Self {
        Self::without_helpers(1, None)
    }

    fn without_helpers(n_threads: usize, abandon: Option<fn(Error) -> !>) -> Self {
        let shared = Arc::new(Shared::new(n_threads));
        Self {
            shared,
            pace: Mutex::new(Pace::default()),
            reading: Trial::new(),
            helpers: Vec::new(),
            abandon,
        }
    }

    /// The threads, the calling one included.
    pub fn n_threads(&self) -> usize {
        self.shared.n_threads()
    }

    /// In what order its threads read weights.
    pub(crate) fn reading(&self) -> &Trial {
        &self.reading
    }

    /// Calls `job` with ranges that make up `0..n_items`, on some or all threads, and returns when all have returned.
    /// With one thread, or from inside another job, it is one call on the calling thread.
    ///
    /// # Errors
    /// `worker_lost` if `job` panicked, or if a worker died: a part of the items may not be done then. The pool is good
    /// for further jobs after a panic; after a death it gives this error for ever.
    pub fn run(&self, n_items: usize, job: &Job) -> Result<()> {
        self.check()?;
        if self.n_threads() == 1 || n_items <= 1 {
            return alone(n_items, job);
        }
        let Ok(mut pace) = self.pace.try_lock() else { return alone(n_items, job) };
        if pace.rests() {
            return alone(n_items, job);
        }
        let start = pace.times_next().then(Instant::now);
        self.fork_join(n_items, start.is_some(), job)?;
        if let Some(start) = start {
            pace.observe(start.elapsed(), self.shared.time_alone(n_items));
        }
        Ok(())
    }

    /// Calls `job` with each chunk of `len` items of `data` and its index, as [`run`](Self::run) does.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If `data` is no whole number of chunks.
    pub fn run_chunks<T: Send>(
        &self,
        data: &mut [T],
        len: usize,
        job: &(dyn Fn(usize, &mut [T]) + Sync),
    ) -> Result<()> {
        assert!(data.len().is_multiple_of(len), "{} items are no chunks of {len}", data.len());
        let n_chunks = data.len().checked_div(len).unwrap_or(0);
        let first = Chunks(data.as_mut_ptr());
        self.run(n_chunks, &|range| {
            for index in range {
                // SAFETY: chunk `index` is within `data`, which this call borrows for itself, and the ranges of a job do
                // not overlap.
                job(index, unsafe { std::slice::from_raw_parts_mut(first.at(index * len), len) });
            }
        })
    }

    /// Whether all workers live.
    ///
    /// # Errors
    /// `worker_lost` if one died.
    pub fn check(&self) -> Result<()> {
        if self.shared.is_lost() { Err(worker_lost("a compute worker stopped")) } else { Ok(()) }
    }

    /// Returns when every thread has taken part in one job.
    ///
    /// # Errors
    /// `worker_lost` if one did not within ten seconds.
    pub fn meet(&self) -> Result<()> {
        let n_threads = self.n_threads();
        let arrived = AtomicUsize::new(0);
        let late = AtomicBool::new(false);
        let job = |_: Range<usize>| {
            let start = Instant::now();
            arrived.fetch_add(1, Ordering::Relaxed);
            while arrived.load(Ordering::Relaxed) < n_threads && !late.load(Ordering::Relaxed) {
                if self.check().is_err() || start.elapsed() > WAIT * PATIENCE {
                    late.store(true, Ordering::Relaxed);
                }
                std::thread::yield_now();
            }
        };
        let _pace = lock(&self.pace);
        // An item for each: none takes a second one before all have come.
        self.fork_join(n_threads, false, &job)?;
        if late.into_inner() {
            return Err(worker_lost("a compute thread did not start"));
        }
        Ok(())
    }

    /// Takes part in jobs, as thread `thread`, until the pool is dropped.
    #[cfg(any(feature = "wasm", test))]
    pub(crate) fn help(&self, thread: usize) {
        self.shared.help(thread);
    }

    /// Tells that the worker that helped as `thread` is dead.
    #[cfg(any(feature = "wasm", test))]
    pub(crate) fn lose(&self, thread: usize) {
        self.shared.lose(thread);
    }

    fn fork_join(&self, n_items: usize, timed: bool, job: &Job) -> Result<()> {
        let shared = &*self.shared;
        // SAFETY: between `open` and the return of `wait_for_helpers` nothing returns or unwinds, but for `abandon`,
        // which does not let the caller go on; and this thread holds `pace`, so that there is one job.
        unsafe { shared.open(n_items, timed, job) };
        let done = catch(|| shared.work(0, job));
        shared.close();
        shared.wait_for_helpers(self.abandon);
        let panicked = shared.take_panic();
        self.check()?;
        done.and(panicked)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("n_threads", &self.n_threads()).finish()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop();
        for helper in self.helpers.drain(..) {
            // A helper's panics are caught in `help`.
            let _ = helper.join();
        }
    }
}

/// Where the chunks of [`Pool::run_chunks`] begin.
struct Chunks<T>(*mut T);

// SAFETY: each item is reached from one thread only.
unsafe impl<T: Send> Sync for Chunks<T> {}

impl<T> Chunks<T> {
    /// Item `index`, which must exist.
    fn at(&self, index: usize) -> *mut T {
        self.0.wrapping_add(index)
    }
}

fn check_n_threads(n_threads: usize) -> Result<()> {
    if !(1..=MAX_THREADS).contains(&n_threads) {
        return Err(Error::invalid_request(format!(
            "the number of threads should be in 1..={MAX_THREADS}, got {n_threads}"
        )));
    }
    Ok(())
}

fn alone(n_items: usize, job: &Job) -> Result<()> {
    if n_items == 0 {
        return Ok(());
    }
    catch(|| job(0..n_items))
}

/// Calls `f`; natively, a panic becomes an error. In wasm it ends the worker.
fn catch(f: impl FnOnce()) -> Result<()> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        worker_lost(format!("a job panicked: {}", text.unwrap_or("it gave no reason")))
    })
}

fn worker_lost(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::WorkerLost, detail)
}

/// No lock here is held where something may panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abandon(error: Error) -> ! {
        panic!("{error}")
    }

    /// A pool of two with its worker, which ends with the pool.
    fn with_worker() -> (Arc<Pool>, JoinHandle<()>) {
        let pool = Arc::new(Pool::of_workers(2, abandon).expect("a pool"));
        let worker = Arc::clone(&pool);
        let worker = std::thread::spawn(move || worker.help(1));
        pool.meet().expect("the worker comes");
        (pool, worker)
    }

    #[test]
    fn a_pool_is_usable_before_its_workers_come() {
        let pool = Pool::of_workers(3, abandon).expect("a pool");
        let done = AtomicUsize::new(0);
        pool.run(100, &|items| {
            done.fetch_add(items.len(), Ordering::Relaxed);
        })
        .expect("a job");
        assert_eq!(done.into_inner(), 100);
        assert_eq!(pool.meet().expect_err("nobody comes").kind(), ErrorKind::WorkerLost);
    }

    #[test]
    fn a_worker_that_dies_in_a_job_is_told_of_at_once_and_for_ever() {
        let (pool, _) = with_worker();
        let caller = std::thread::current().id();
        let (dying, dead) = (Arc::clone(&pool), Arc::new(AtomicBool::new(false)));
        // The caller stays in its chunk until the worker is dead in one of its own.
        let error = pool
            .run(2, &|_| {
                if std::thread::current().id() == caller {
                    while !dead.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                } else {
                    // As one that is dead, it must not touch what the job borrows.
                    let (pool, dead) = (Arc::clone(&dying), Arc::clone(&dead));
                    pool.lose(1);
                    dead.store(true, Ordering::Relaxed);
                    loop {
                        std::thread::park();
                    }
                }
            })
            .expect_err("the worker is lost");
        assert_eq!(error.to_string(), "worker_lost: a compute worker stopped");
        assert_eq!(pool.check().expect_err("still lost").kind(), ErrorKind::WorkerLost);
        assert_eq!(pool.run(10, &|_| {}).expect_err("still lost").kind(), ErrorKind::WorkerLost);
    }

    #[test]
    fn a_worker_that_dies_between_jobs_is_told_of_by_the_next() {
        let (pool, _) = with_worker();
        pool.lose(1);
        for n_items in [0, 1, 2, 10] {
            let error = pool.run(n_items, &|_| {}).expect_err("lost");
            assert_eq!(error.kind(), ErrorKind::WorkerLost, "{n_items} items");
        }
    }

    #[test]
    #[should_panic(expected = "worker_lost: a compute worker does not answer")]
    fn a_worker_that_does_not_come_back_is_abandoned() {
        let (pool, _) = with_worker();
        let caller = std::thread::current().id();
        let worker_is_in = AtomicBool::new(false);
        let _ = pool.run(2, &|_| {
            if std::thread::current().id() == caller {
                while !worker_is_in.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            } else {
                worker_is_in.store(true, Ordering::Relaxed);
                loop {
                    std::thread::park();
                }
            }
        });
    }
}
