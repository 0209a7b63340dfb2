//! The pool of a module: the engine worker makes it, compute workers, which run the same module on the same memory,
//! join it. `js/src/threads.ts` starts them.

use super::js::{JsResult, to_js};
use crate::threads::Pool;
use std::sync::{Arc, OnceLock};
use wasm_bindgen::prelude::*;

/// In the shared memory, so that the workers find it.
static POOL: OnceLock<Arc<Pool>> = OnceLock::new();

/// The module's pool; one thread where none was made.
pub(super) fn pool() -> &'static Arc<Pool> {
    POOL.get_or_init(|| Arc::new(Pool::single()))
}

/// Makes the module's pool, once; then the workers may join.
#[wasm_bindgen(js_name = makePool)]
pub fn make_pool(#[wasm_bindgen(js_name = nThreads)] n_threads: usize) -> JsResult<()> {
    let pool = Pool::of_workers(n_threads, |error| wasm_bindgen::throw_val(to_js(error))).map_err(to_js)?;
    POOL.set(Arc::new(pool)).map_err(|_| to_js(crate::Error::internal("the pool was made twice")))
}

/// Returns when every worker has taken part in a job.
#[wasm_bindgen]
pub fn meet() -> JsResult<()> {
    pool().meet().map_err(to_js)
}

/// Takes part in all jobs, for ever, as thread `thread`; the engine worker is thread 0.
#[wasm_bindgen]
pub fn help(thread: usize) {
    pool().help(thread);
}

/// Tells that thread `thread` is out of the jobs for ever: that [`help`] trapped in it, or that its worker ended.
#[wasm_bindgen]
pub fn lose(thread: usize) {
    pool().lose(thread);
}
