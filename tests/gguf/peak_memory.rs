//! Measures how much memory a call takes at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Calls `f`; gives its result and the most memory, in bytes, that this thread held meanwhile beyond what it held
/// before.
pub fn peak_memory<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = f();
    (result, (PEAK.get() - before) as usize)
}

thread_local! {
    // Signed: a thread may free what another has allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(n_bytes: isize) {
    LIVE.set(LIVE.get() + n_bytes);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came. Counting allocates nothing: the cells are
// initialised at compile time and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's pointer and layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}
