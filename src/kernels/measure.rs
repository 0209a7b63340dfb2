//! How fast the products are on this machine.

use super::layout::{GROUP, PackedType, Reading};
use super::{Activations, Items, Output, PackedMatrix};
use crate::gguf::TensorType;
use crate::threads::Pool;
use crate::{Error, Result};
use web_time::{Duration, Instant};

/// The matrix that is multiplied: the largest types' still fits a second-level cache of 1 MiB but for F32's.
const N_OUT: usize = 32 * GROUP;
const N_IN: usize = 2048;

/// What fills a file's blocks: scales are ordinary numbers, 0.065 as f16, and so are weights.
const FILLING: u8 = 0x2C;

/// The types of weights that can be multiplied.
pub fn types() -> impl Iterator<Item = TensorType> {
    PackedType::ALL.into_iter().map(PackedType::file_type)
}

/// 10^9 multiply-adds a second of a matrix `(256, 2048)` of `ty` and the activations of `n_tok` tokens, on one thread:
/// the best of the runs that `time` has room for, the first of which are left out.
///
/// # Errors
/// `unsupported_model` for a type that has no kernels, `invalid_request` for no tokens.
pub fn measure(ty: TensorType, n_tok: usize, time: Duration) -> Result<f64> {
    let packed = PackedType::of(ty)
        .ok_or_else(|| Error::unsupported_model(format!("there are no kernels for type {}", ty.name())))?;
    if n_tok == 0 {
        return Err(Error::invalid_request("there should be at least one token"));
    }
    let mut matrix = PackedMatrix::new(packed, N_OUT, N_IN)
        .ok_or_else(|| Error::internal("there is no room for a small matrix"))?;
    let row = vec![FILLING; matrix.file_row_bytes()];
    (0..N_OUT).for_each(|i| matrix.set_row(i, &row));
    // None stands out of its block.
    let x: Vec<f32> = (0..n_tok * N_IN).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
    let x = Activations::new(matrix.family(), &x, N_IN, &Pool::single())?;
    let n = matrix.n_items(n_tok, 1);
    let items = Items { range: 0..n, n, reading: Reading::InARow };
    let mut y = vec![0.0; n_tok * N_OUT];
    let at_once = if time >= LONG { (64 / n_tok).max(8) } else { 8 };
    let mut run = || {
        let begun = Instant::now();
        for _ in 0..at_once {
            // SAFETY: nothing else writes to `y`.
            unsafe { matrix.multiply(&x, &items, Output::new(&mut y, n_tok), 0) };
        }
        begun.elapsed()
    };
    let begun = Instant::now();
    let mut best = Duration::MAX;
    // Engines begin with code that they improve while it runs.
    while begun.elapsed() < time / 2 {
        run();
    }
    while best == Duration::MAX || begun.elapsed() < time {
        best = best.min(run());
    }
    let products = (at_once * N_OUT * N_IN * n_tok) as f64;
    Ok(products / best.as_secs_f64().max(f64::EPSILON) / 1e9)
}

/// Clocks tick every few microseconds: eight runs at once are enough to choose by, and from this time on there are so many
/// that a tick is 1 %.
const LONG: Duration = Duration::from_millis(50);
