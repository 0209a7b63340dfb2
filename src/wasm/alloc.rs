//! The allocator: the default one, which notes what it could not give. Where that was asked for in a way that cannot fail,
//! as most code does, the wasm traps, and the page is told of the memory and not of a fault.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use wasm_bindgen::prelude::*;

struct Noting;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// Bytes that were last refused; 0 if none were.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that were refused since this was last asked; 0 if none were. It can be asked after a trap too.
#[wasm_bindgen(js_name = takeRefused)]
pub fn take_refused() -> usize {
    REFUSED.swap(0, Ordering::Relaxed)
}

fn noted(pointer: *mut u8, n_bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        REFUSED.store(n_bytes, Ordering::Relaxed);
    }
    pointer
}

// SAFETY: every call is handed on to the default allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        noted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        noted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        // SAFETY: the caller's.
        noted(unsafe { System.realloc(pointer, layout, n_bytes) }, n_bytes)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
