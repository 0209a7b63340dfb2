//! Where the tensors' bytes lie, checked once the whole directory is known.

use super::limits::MAX_FILE_LEN;
use super::{Metadata, TensorInfo, Value, keys};
use crate::{Error, Result};
use std::collections::HashSet;

/// Unless `general.alignment` says otherwise.
const DEFAULT_ALIGNMENT: u32 = 32;

/// The data section: every tensor begins at a multiple of the alignment, and no two overlap.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where the data section begins, in bytes from the start of the file.
    pub(super) data_offset: u64,
    /// Where the last tensor ends, in bytes from the start of the file.
    pub(super) file_len: u64,
    /// The tensors' indices in the order of their offsets.
    pub(super) order: Vec<usize>,
}

impl Layout {
    /// Lays `tensors` out behind a header of `header_len` bytes.
    ///
    /// # Errors
    /// `invalid_model` if the alignment is no power of two, if two tensors share a name or a byte, or if one is
    /// misaligned or ends beyond [`MAX_FILE_LEN`].
    pub(super) fn new(header_len: u64, metadata: &Metadata, tensors: &[TensorInfo]) -> Result<Self> {
        let alignment = alignment(metadata)?;
        let mut names = HashSet::new();
        if let Some(tensor) = tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
            return Err(Error::invalid_model(format!("tensor `{}` occurs twice", tensor.name)));
        }
        // A file without tensors, such as a bare vocabulary, ends with its header: nothing is there to align.
        let data_offset =
            if tensors.is_empty() { header_len } else { header_len.next_multiple_of(alignment) };

        // Pairs of whole numbers, as elsewhere: each type that is sorted is some kilobytes of code.
        let offsets = tensors.iter().map(|tensor| tensor.offset);
        let mut order: Vec<(u64, usize)> = offsets.zip(0..).collect();
        order.sort_unstable();
        let (mut data_len, mut before) = (0, "");
        for &(_, index) in &order {
            let TensorInfo { name, offset, n_bytes, .. } = &tensors[index];
            if !offset.is_multiple_of(alignment) {
                return Err(Error::invalid_model(format!(
                    "tensor `{name}` should have an offset that is a multiple of {alignment}, but has {offset}"
                )));
            }
            if *offset < data_len {
                return Err(Error::invalid_model(format!(
                    "tensor `{name}` should have an offset of at least {data_len}, where `{before}` ends, but has {offset}"
                )));
            }
            data_len = match offset.checked_add(*n_bytes) {
                Some(end) if end <= MAX_FILE_LEN - data_offset => end,
                _ => {
                    return Err(Error::invalid_model(format!(
                        "tensor `{name}` should end within a file of {MAX_FILE_LEN} bytes, but has an offset of {offset} and {n_bytes} bytes"
                    )));
                }
            };
            before = name;
        }
        let order = order.into_iter().map(|(_, index)| index).collect();
        Ok(Self { data_offset, file_len: data_offset + data_len, order })
    }
}

fn alignment(metadata: &Metadata) -> Result<u64> {
    let alignment = match metadata.get(keys::GENERAL_ALIGNMENT) {
        None => DEFAULT_ALIGNMENT,
        Some(&Value::U32(alignment)) => alignment,
        Some(other) => {
            return Err(Error::invalid_model(format!(
                "metadata key `{}` should be of type u32, but is {}",
                keys::GENERAL_ALIGNMENT,
                other.type_name()
            )));
        }
    };
    if !alignment.is_power_of_two() {
        return Err(Error::invalid_model(format!(
            "metadata key `{}` should be a power of two, but is {alignment}",
            keys::GENERAL_ALIGNMENT
        )));
    }
    Ok(alignment.into())
}
