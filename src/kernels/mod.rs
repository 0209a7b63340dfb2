//! The loops that time is spent in: algorithm x instruction set, one `cfg` fork, which callers never see.
//!
//! `layout` says how packed weights lie in memory, `matrix` packs and multiplies them. `portable` is the oracle, which
//! the tests hold the others to; `simd` has the loops once for both wasm modules, `simd128` and `relaxed` how bytes are
//! multiplied. See README.md here for the layouts drawn, and how to add a type.

mod activations;
mod layout;
mod matrix;
mod measure;
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), allow(dead_code))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
mod relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
mod simd128;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd_float;
#[cfg(test)]
mod tests;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable as isa;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
use relaxed as isa;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
use simd128 as isa;

pub(crate) use activations::Activations;
pub use layout::LAYOUT_VERSION;
pub(crate) use layout::PackedType;
pub(crate) use matrix::{Output, PackedMatrix};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
pub(crate) use relaxed::form;

pub use measure::{measure, types};

pub(crate) use isa::{QUERY_SCALE, add, attend, rms_norm, rotate, silu_mul, spread, to_f16};

/// What [`attend`] does: queries of one key/value head, and the keys and values they may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attend<'a> {
    /// `(n_tok · n_group, width)`, times [`QUERY_SCALE`] / sqrt(head_dim).
    pub(crate) q: &'a [f32],
    /// Queries of a token.
    pub(crate) n_group: usize,
    /// How many positions the first token sees, at least 1; each token after it sees one more.
    pub(crate) n_seen: usize,
    /// `(n_ctx, width)`, normal f16 or 0
    pub(crate) k: &'a [u16],
    /// `(n_ctx, width)`, normal f16 or 0
    pub(crate) v: &'a [u16],
    /// The width of a head, padded with zeros to a multiple of [`HEAD_MULTIPLE`].
    pub(crate) width: usize,
}

/// What is known of a softmax without dividing: of numbers x with the largest m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// m
    pub(crate) max: f32,
    /// Σ e^(x - m)
    pub(crate) sum: f64,
    /// Σ e^(x - m) (x - m)
    pub(crate) weighted: f64,
}

/// What the width of a head in the cache is a multiple of.
pub(crate) const HEAD_MULTIPLE: usize = 16;
