//! Tallow runs small quantized Llama models inside a web page; this crate is what its npm package and its demo
//! stand on, and it runs natively too.
//!
//! The modules, in the order a request meets them: a file is read by [`gguf`], which gives a [`tokenizer`], a
//! [`chat`] template and the weights.

mod error;

pub mod chat;
pub mod gguf;
pub mod tokenizer;

pub use error::{Error, ErrorKind, Result};
