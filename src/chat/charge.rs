//! What a template pays for before it is made or gone through.
//!
//! minijinja charges for a text once it exists, and for a comparison by the lengths of what is compared. A list may
//! hold one text, or one list, a million times over in a few bytes: its text and a comparison are paid for here, piece
//! by piece, before they take memory and time.

use super::arguments::invalid;
use super::bounds::MAX_WALK_DEPTH;
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

/// Pays for a piece of `len` bytes.
pub(super) fn bytes(state: &State, len: usize) -> Result<(), Error> {
    state.consume_fuel(1 + len as u64 / 64)
}

/// Pays for going through `value` and all that it holds.
///
/// # Errors
/// Also if it is nested deeper than [`MAX_WALK_DEPTH`]: comparing is recursive.
pub(super) fn contents(state: &State, value: &Value) -> Result<(), Error> {
    contents_within(state, value, MAX_WALK_DEPTH)
}

fn contents_within(state: &State, value: &Value, depth_left: usize) -> Result<(), Error> {
    bytes(state, value.as_str().map_or(0, str::len))?;
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(());
    }
    let depth_left = one_less(depth_left)?;
    for item in value.try_iter()? {
        if value.kind() == ValueKind::Map {
            contents_within(state, &value.get_item(&item)?, depth_left)?;
        }
        contents_within(state, &item, depth_left)?;
    }
    Ok(())
}

/// The levels that are left below one more list or mapping.
pub(super) fn one_less(depth_left: usize) -> Result<usize, Error> {
    depth_left
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("the value exceeds its limit of {MAX_WALK_DEPTH} levels")))
}
