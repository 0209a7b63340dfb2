//! The pool through its public API: every item once on any number of threads, the same results, panics, ends.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tallow::ErrorKind;
use tallow::threads::{Job, MAX_THREADS, Pool};

fn pool(n_threads: usize) -> Pool {
    Pool::new(n_threads).expect("the threads start")
}

/// How often each item was done.
fn times_done(pool: &Pool, n_items: usize) -> Vec<usize> {
    let done: Vec<_> = (0..n_items).map(|_| AtomicUsize::new(0)).collect();
    let job = |items: Range<usize>| {
        for item in items {
            done[item].fetch_add(1, Ordering::Relaxed);
        }
    };
    pool.run(n_items, &job).expect("a job");
    done.into_iter().map(AtomicUsize::into_inner).collect()
}

/// Keeps a core busy, as kernels do; sleeping would leave it to another thread.
fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {}
}

#[test]
fn every_item_is_done_once() {
    for n_threads in [1, 2, 3, 7] {
        let pool = pool(n_threads);
        assert_eq!(pool.n_threads(), n_threads);
        for n_items in [0, 1, 2, 3, 6, 7, 8, 55, 56, 57, 1000] {
            assert_eq!(times_done(&pool, n_items), vec![1; n_items], "{n_items} items, {n_threads} threads");
        }
    }
}

#[test]
fn chunks_of_nothing_are_no_job() {
    let never = |index: usize, _: &mut [u8]| panic!("chunk {index}");
    for n_threads in [1, 2] {
        for len in [0, 1, 3] {
            pool(n_threads).run_chunks(&mut [], len, &never).expect("nothing is to be done");
        }
    }
}

#[test]
fn many_small_jobs_in_a_row_are_all_done() {
    let pool = pool(3);
    for n_items in 0..20_000 {
        let sum = AtomicU64::new(0);
        let job = |items: Range<usize>| {
            sum.fetch_add(items.map(|item| item as u64).sum(), Ordering::Relaxed);
        };
        pool.run(n_items, &job).expect("a job");
        let n = n_items as u64;
        assert_eq!(sum.into_inner(), n * n.saturating_sub(1) / 2);
    }
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let x: Vec<f32> = (0..4096).map(|i| (i as f32 * 0.37).sin()).collect();
    let rows = |pool: &Pool| -> Vec<u32> {
        let out: Vec<_> = (0..500).map(|_| AtomicU64::new(0)).collect();
        let job = |items: Range<usize>| {
            for row in items {
                let sum: f32 = x.iter().enumerate().map(|(i, x)| x * ((row * i) as f32).cos()).sum();
                out[row].store(u64::from(sum.to_bits()), Ordering::Relaxed);
            }
        };
        pool.run(out.len(), &job).expect("a job");
        out.into_iter().map(|bits| bits.into_inner() as u32).collect()
    };
    let expected = rows(&pool(1));
    for n_threads in [2, 3, 7] {
        assert_eq!(rows(&pool(n_threads)), expected, "{n_threads} threads");
    }
}

#[test]
fn a_pool_of_one_calls_the_job_once_on_the_calling_thread() {
    for pool in [Pool::single(), pool(1)] {
        assert_eq!(pool.n_threads(), 1);
        let calls = std::sync::Mutex::new(Vec::new());
        let job = |items: Range<usize>| {
            calls.lock().expect("no panic").push((items, std::thread::current().id()));
        };
        pool.run(100, &job).expect("a job");
        assert_eq!(calls.into_inner().expect("no panic"), [(0..100, std::thread::current().id())]);
    }
}

#[test]
fn all_threads_take_part() {
    for n_threads in [1, 2, 3, 7] {
        pool(n_threads).meet().expect("every thread comes");
    }
}

#[test]
fn a_job_within_a_job_runs_on_its_own_thread() {
    let pool = pool(3);
    let done = AtomicUsize::new(0);
    let inner = |items: Range<usize>| {
        done.fetch_add(items.len(), Ordering::Relaxed);
    };
    let outer = |items: Range<usize>| {
        for _ in items {
            pool.run(10, &inner).expect("the inner job");
        }
    };
    pool.run(30, &outer).expect("the outer job");
    assert_eq!(done.into_inner(), 300);
}

#[test]
fn callers_may_share_a_pool() {
    let pool = Arc::new(pool(3));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                for _ in 0..200 {
                    assert_eq!(times_done(&pool, 100), [1; 100]);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("all items once");
    }
}

#[test]
fn a_panic_on_any_thread_is_an_error_and_the_pool_goes_on() {
    for n_threads in [1, 2, 3, 7] {
        let pool = pool(n_threads);
        for panicking in [0, 1, 57, 99] {
            let job = |items: Range<usize>| {
                if items.contains(&panicking) {
                    panic!("item {panicking} is bad");
                }
            };
            let error = pool.run(100, &job).expect_err("the panic");
            assert_eq!(error.kind(), ErrorKind::WorkerLost);
            assert_eq!(error.detail(), format!("a job panicked: item {panicking} is bad"));
            assert_eq!(times_done(&pool, 100), [1; 100]);
        }
    }
}

#[test]
fn every_thread_may_panic_at_once() {
    let pool = pool(3);
    let job = |_: Range<usize>| panic!("all");
    let error = pool.run(100, &job).expect_err("the panic");
    assert_eq!(error.detail(), "a job panicked: all");
    pool.meet().expect("all threads are there");
}

#[test]
fn a_pool_has_between_1_and_64_threads() {
    for n_threads in [0, MAX_THREADS + 1, usize::MAX] {
        let error = Pool::new(n_threads).expect_err("no pool");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(error.detail(), format!("the number of threads should be in 1..=64, got {n_threads}"));
    }
    pool(MAX_THREADS).meet().expect("all threads come");
}

/// Linux lists a process's threads.
#[cfg(target_os = "linux")]
#[test]
fn dropping_a_pool_ends_its_threads() {
    let named = || {
        std::fs::read_dir("/proc/self/task")
            .expect("the threads")
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.trim() == "tallow-40")
            .count()
    };
    let pool = pool(41);
    pool.meet().expect("all threads come");
    assert!(named() >= 1);
    drop(pool);
    // The pool of 64 in the test beside this one has such a thread too, for a moment.
    let start = Instant::now();
    while named() > 0 && start.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
    assert_eq!(named(), 0);
}

/// Which threads did a job's chunks.
fn who(pool: &Pool, job: &Job) -> Vec<ThreadId> {
    let threads = std::sync::Mutex::new(Vec::new());
    let noted = |items: Range<usize>| {
        threads.lock().expect("nobody panics").push(std::thread::current().id());
        job(items);
    };
    pool.run(32, &noted).expect("a job");
    threads.into_inner().expect("nobody panics")
}

#[test]
fn where_helpers_are_held_up_the_caller_works_alone_and_tries_again_later() {
    let pool = pool(2);
    pool.meet().expect("the helper comes");
    let caller = std::thread::current().id();
    // As a helper whose core is another program's: what takes the caller 20 us takes it 10 ms.
    let held_up = |_: Range<usize>| {
        let core_is_taken = std::thread::current().id() != caller;
        busy(if core_is_taken { Duration::from_millis(10) } else { Duration::from_micros(20) });
    };
    let start = Instant::now();
    let mut alone_for = 0;
    while alone_for < 20 {
        alone_for = if who(&pool, &held_up) == [caller] { alone_for + 1 } else { 0 };
        assert!(start.elapsed() < Duration::from_secs(20), "the helper is still waited for");
    }
    let start = Instant::now();
    while who(&pool, &held_up) == [caller] {
        assert!(start.elapsed() < Duration::from_secs(20), "the helper is never tried again");
    }
}
