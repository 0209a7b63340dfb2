//! The weights, taken as the file streams by: the directory is checked before the first byte of data, and each matrix is
//! packed row by row into its final place, so that one row is all that is held besides.

use super::memory::no_room;
use super::{Config, Llama};
use crate::gguf::TensorInfo;
use crate::kernels::{PackedMatrix, PackedType};
use crate::threads::Pool;
use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// Collects the tensors of one model; [`finish`](Self::finish) assembles them.
#[derive(Debug)]
pub struct WeightsBuilder {
    config: Config,
    directory: Vec<TensorInfo>,
    weights: Weights,
    arriving: Option<Arriving>,
}

/// Finished tensors by name.
#[derive(Debug, Default)]
pub(super) struct Weights {
    matrices: HashMap<String, Arc<PackedMatrix>>,
    vectors: HashMap<String, Vec<f32>>,
}

/// The tensor that is arriving, packed as its rows become whole: `row` holds the beginning of row `n_rows`. A vector is a
/// matrix of one row.
#[derive(Debug)]
struct Arriving {
    matrix: PackedMatrix,
    n_rows: usize,
    row: Vec<u8>,
}

impl WeightsBuilder {
    /// Checks that `directory` lists just what a Llama of this shape has.
    ///
    /// # Errors
    /// `invalid_model` for a tensor that is missing or has another shape; `unsupported_model` for one that
    /// the forward pass does not know or whose type has no kernels.
    pub fn new(config: Config, directory: Vec<TensorInfo>) -> Result<Self> {
        // Before a name is made for each tensor that the metadata promises.
        if config.n_layer > directory.len() {
            return Err(Error::invalid_model(format!(
                "`block_count` is {}, but the file has only {} tensors",
                config.n_layer,
                directory.len()
            )));
        }
        let mut expected = expected_tensors(&config);
        for info in &directory {
            let Some(Expected { shape, .. }) = expected.remove(&info.name) else {
                return Err(Error::unsupported_model(format!(
                    "tensor `{}` is no part of the Llama architecture as Tallow runs it",
                    info.name
                )));
            };
            if info.shape != shape {
                return Err(Error::invalid_model(format!(
                    "tensor `{}` should have the shape {shape:?}, but has {:?}",
                    info.name, info.shape
                )));
            }
            packed_type(info)?;
        }
        if let Some(name) = expected.iter().filter(|(_, e)| e.required).map(|(name, _)| name).min() {
            return Err(Error::invalid_model(format!("tensor `{name}` is missing")));
        }
        Ok(Self { config, directory, weights: Weights::default(), arriving: None })
    }

    /// Takes `bytes`, which begin at `at` within the directory's tensor `index`. Pieces of a tensor come in order.
    ///
    /// # Errors
    /// `out_of_memory` if the tensor finds no room.
    pub fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        let Some(info) = self.directory.get(index) else {
            return Err(Error::internal(format!("there is no tensor {index}")));
        };
        if at == 0 {
            self.arriving = Some(Arriving::new(info)?);
        }
        let Some(arriving) = &mut self.arriving else {
            return Err(Error::internal(format!("tensor `{}` came without its beginning", info.name)));
        };
        if at + bytes.len() as u64 > info.n_bytes {
            return Err(Error::internal(format!("tensor `{}` got bytes past its end", info.name)));
        }
        arriving.push(bytes);
        if at + bytes.len() as u64 == info.n_bytes
            && let Some(arrived) = self.arriving.take()
        {
            self.weights.insert(info, arrived.matrix);
        }
        Ok(())
    }

    /// The model, once every tensor has arrived; it computes on `pool`.
    ///
    /// # Errors
    /// `invalid_model` if one has not.
    pub fn finish(self, pool: Arc<Pool>) -> Result<Llama> {
        Llama::new(self.config, self.weights, pool)
    }
}

impl Arriving {
    fn new(info: &TensorInfo) -> Result<Self> {
        let (n_in, rows) = info.shape.split_last().map_or((1, &[][..]), |(n_in, rows)| (*n_in, rows));
        let matrix = PackedMatrix::new(packed_type(info)?, rows.iter().product(), n_in)
            .ok_or_else(|| no_room(&info.name, info.n_bytes))?;
        Ok(Self { row: Vec::with_capacity(matrix.file_row_bytes()), matrix, n_rows: 0 })
    }

    /// Takes the next `bytes`, of which there are no more than are missing.
    fn push(&mut self, mut bytes: &[u8]) {
        let row_bytes = self.matrix.file_row_bytes();
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(row_bytes - self.row.len()));
            bytes = rest;
            if part.len() == row_bytes {
                self.matrix.set_row(self.n_rows, part);
                self.n_rows += 1;
                continue;
            }
            self.row.extend_from_slice(part);
            if self.row.len() == row_bytes {
                self.matrix.set_row(self.n_rows, &self.row);
                self.n_rows += 1;
                self.row.clear();
            }
        }
    }
}

impl Weights {
    fn insert(&mut self, info: &TensorInfo, matrix: PackedMatrix) {
        if info.shape.len() == 1 {
            self.vectors.insert(info.name.clone(), matrix.row(0));
        } else {
            self.matrices.insert(info.name.clone(), Arc::new(matrix));
        }
    }

    /// The matrix `name`.
    pub(super) fn take(&mut self, name: &str) -> Result<Arc<PackedMatrix>> {
        self.take_optional(name).ok_or_else(|| missing(name))
    }

    /// As [`take`](Self::take), for a matrix that a model may do without.
    pub(super) fn take_optional(&mut self, name: &str) -> Option<Arc<PackedMatrix>> {
        self.matrices.remove(name)
    }

    /// The vector `name`.
    pub(super) fn take_vector(&mut self, name: &str) -> Result<Vec<f32>> {
        self.take_optional_vector(name).ok_or_else(|| missing(name))
    }

    /// As [`take_vector`](Self::take_vector), for a vector that a model may do without.
    pub(super) fn take_optional_vector(&mut self, name: &str) -> Option<Vec<f32>> {
        self.vectors.remove(name)
    }
}

fn missing(name: &str) -> Error {
    Error::invalid_model(format!("tensor `{name}` is missing"))
}

struct Expected {
    shape: Vec<usize>,
    required: bool,
}

fn expected_tensors(config: &Config) -> HashMap<String, Expected> {
    let Config { n_embd, n_ff, n_vocab, .. } = *config;
    let (n_q, n_kv) = (config.n_embd_q(), config.n_embd_kv());
    let mut expected = HashMap::new();
    let mut expect = |name: String, shape: &[usize], required: bool| {
        expected.insert(name, Expected { shape: shape.to_vec(), required });
    };
    expect("token_embd.weight".into(), &[n_vocab, n_embd], true);
    expect("output_norm.weight".into(), &[n_embd], true);
    expect("output.weight".into(), &[n_vocab, n_embd], false);
    expect("rope_freqs.weight".into(), &[config.n_rot / 2], false);
    for layer in 0..config.n_layer {
        let layer_tensors: [(&str, &[usize]); 9] = [
            ("attn_norm", &[n_embd]),
            ("attn_q", &[n_q, n_embd]),
            ("attn_k", &[n_kv, n_embd]),
            ("attn_v", &[n_kv, n_embd]),
            ("attn_output", &[n_embd, n_q]),
            ("ffn_norm", &[n_embd]),
            ("ffn_gate", &[n_ff, n_embd]),
            ("ffn_up", &[n_ff, n_embd]),
            ("ffn_down", &[n_embd, n_ff]),
        ];
        for (name, shape) in layer_tensors {
            expect(format!("blk.{layer}.{name}.weight"), shape, true);
            if let [n_out, _] = shape {
                expect(format!("blk.{layer}.{name}.bias"), &[*n_out], false);
            }
        }
    }
    expected
}

fn packed_type(info: &TensorInfo) -> Result<PackedType> {
    PackedType::of(info.dtype).ok_or_else(|| {
        let (name, ty) = (&info.name, info.dtype.name());
        Error::unsupported_model(format!("tensor `{name}` is of type {ty}, which is not supported"))
    })
}
