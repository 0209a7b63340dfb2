//! The loops that time is spent in: algorithm x instruction set, one `cfg` fork, which callers never see.
//!
//! `layout` says how packed weights lie in memory, `matrix` packs and multiplies them. `portable` is the oracle, which
//! the tests hold the others to; `simd` has the loops once for both wasm modules, `simd128` and `relaxed` how bytes are
//! multiplied. See README.md here for the layouts drawn, and how to add a type.

mod activations;
pub(crate) mod kv;
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
mod simd_attention;
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
pub(crate) use kv::{KV_BLOCK, KvType};
pub use layout::LAYOUT_VERSION;
pub(crate) use layout::{Family, PackedType, Reading};
pub(crate) use matrix::{Items, Output, PackedMatrix};

#[cfg(all(
    any(feature = "wasm", test),
    target_arch = "wasm32",
    target_feature = "simd128",
    target_feature = "relaxed-simd"
))]
pub(crate) use relaxed::form;

pub use measure::{measure, types};

pub(crate) use isa::{add, attend, query_scale, rms_norm, rotate, silu_mul, spread};
pub(crate) use portable::f16_to_f32;

/// The exponent's bits in an f16, and in a BF16 or the upper half of an f32: all of them are set in what is not finite.
pub(crate) const F16_EXPONENT: u16 = 0x7C00;
const BF16_EXPONENT: u16 = 0x7F80;
/// What of an f16, sign-extended and moved to f32's places, counts: then it is a finite number times 2^-112.
const F16_IN_F32: u32 = 0x8FFF_E000;
/// What makes up for that.
const TWO_TO_112: f32 = f32::from_bits((127 + 112) << 23);

/// Whether of every `len` bytes the two at `at`, in which `exponent` is, are of a finite number.
fn uppers_are_finite(bytes: &[u8], len: usize, at: usize, exponent: u16) -> bool {
    let uppers = bytes.chunks_exact(len).map(|number| u16::from_le_bytes([number[at], number[at + 1]]));
    // Without a way out early, which takes longer.
    uppers.fold(true, |all, upper| all & (upper & exponent != exponent))
}

/// Whether all of `x` are numbers whose magnitude is below `bound`.
pub(crate) fn are_below(x: &[f32], bound: f32) -> bool {
    let (fours, rest) = x.as_chunks::<4>();
    isa::max_abs(fours.as_flattened()) < bound && rest.iter().all(|x| x.abs() < bound)
}

/// What [`attend`] does: queries of one key/value head, and a block of the keys and values they may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attend<'a> {
    /// `(n_tok · n_group, width)`, times [`query_scale`] / sqrt(head_dim).
    pub(crate) q: &'a [f32],
    /// Queries of a token.
    pub(crate) n_group: usize,
    /// How many positions the first token sees, at least 1; each token after it sees one more.
    pub(crate) n_seen: usize,
    /// How many positions come before those of the block: fewer than the last token sees.
    pub(crate) begin: usize,
    pub(crate) ty: KvType,
    /// Keys, `(KV_BLOCK, row_bytes)`.
    pub(crate) k: &'a [u8],
    /// Values likewise.
    pub(crate) v: &'a [u8],
    /// The width of a head, padded with zeros to a multiple of [`HEAD_MULTIPLE`].
    pub(crate) width: usize,
}

impl Attend<'_> {
    /// How many positions of the block and after it the token of `query` sees.
    fn seen(&self, query: usize) -> usize {
        (self.n_seen + query / self.n_group).saturating_sub(self.begin)
    }

    /// How many of the block any token sees.
    fn n_pos(&self) -> usize {
        self.seen((self.q.len() / self.width).max(1) - 1).min(KV_BLOCK)
    }

    /// Checks the lengths.
    fn check(&self, y: &[f32], log_sums: &[f32]) {
        let &Self { q, ty, k, v, width, .. } = self;
        assert!(
            width.is_multiple_of(HEAD_MULTIPLE) && q.len() == log_sums.len() * width && y.len() == q.len()
        );
        let n_bytes = KV_BLOCK * ty.row_bytes(width);
        assert!(k.len() == n_bytes && v.len() == n_bytes);
    }
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
