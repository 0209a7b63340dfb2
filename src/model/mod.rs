//! The Llama model: shape, weights, KV cache and the forward pass, written in Candle.
//!
//! [`WeightsBuilder`] takes the tensors as the file streams by; [`Llama::forward`] turns token ids into logits.
//! Sources: Touvron et al. 2023 (<https://arxiv.org/abs/2302.13971>); tensor names and RoPE pairing as in
//! llama.cpp's `llama` architecture.

mod cache;
mod config;
mod llama;
mod memory;
mod rope;
mod weights;

pub use crate::kernels::kv::KvType;
pub use cache::KvCache;
pub use config::{Config, Yarn};
pub use llama::{Llama, Logits};
pub use memory::MemoryNeed;
pub(crate) use memory::room_for;
pub use weights::WeightsBuilder;
