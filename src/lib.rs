//! Tallow runs small quantized Llama models inside a web page. This crate is what its npm package and its demo
//! stand on; it runs natively too.
//!
//! The modules, in the order a request meets them: [`gguf`] reads the file; [`tokenizer`] and [`chat`] turn text
//! and messages into token ids; [`model`] turns ids into logits and [`sampler`] logits into the next id,
//! which [`grammar`] may constrain; [`session`] runs a request to its end in a [`context`], and [`score`] tells how
//! probable a given text is. [`load`] puts a model
//! together from the bytes of its file, [`info`] tells what the file says of itself, and [`inspect`] what loading it would
//! bring. [`threads`] is the pool that
//! a model computes on, [`kernels`] are the loops that time is spent in.

#![warn(missing_docs)]

mod error;

pub mod chat;
pub mod context;
pub mod gguf;
pub mod grammar;
pub mod info;
pub mod inspect;
pub mod kernels;
pub mod load;
pub mod model;
mod ops;
pub mod sampler;
pub mod score;
pub mod session;
mod stop;
pub mod threads;
pub mod tokenizer;
#[cfg(feature = "wasm")]
mod wasm;

pub use error::{Error, ErrorKind, Result};
