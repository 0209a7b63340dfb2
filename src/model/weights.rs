//! The weights, taken as the file streams by: the directory is checked before the first byte of data. A matrix that has
//! kernels here is packed row by row into its final place, so that one row is all that is held besides; of another tensor
//! all of its bytes, until it is whole.

use super::memory::{no_room, room_for};
use super::{Config, Llama};
use crate::gguf::{TensorInfo, TensorType};
use crate::kernels::{PackedMatrix, PackedType};
use crate::ops::Weight;
use crate::threads::Pool;
use crate::{Error, Result};
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use std::borrow::Cow;
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
    matrices: HashMap<String, Arc<Weight>>,
    vectors: HashMap<String, Vec<f32>>,
}

/// The tensor that is arriving.
#[derive(Debug)]
enum Arriving {
    /// Packed as its rows become whole: `row` holds the beginning of row `n_rows`.
    Packed { matrix: PackedMatrix, n_rows: usize, row: Vec<u8> },
    /// Taken by Candle when it is whole. Words, because Candle wants blocks aligned to 4 bytes.
    Whole { words: Vec<u64>, n_bytes: usize, len: usize },
}

impl WeightsBuilder {
    /// Checks that `directory` lists just what a Llama of this shape has.
    ///
    /// # Errors
    /// `invalid_model` for a tensor that is missing or has another shape; `unsupported_model` for one that
    /// the forward pass does not know or whose type Candle does not read.
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
            candle_type(info)?;
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
            self.weights.insert(info, arrived)?;
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
        let no_room = || no_room(&info.name, info.n_bytes);
        if let (Some(ty), &[n_out, n_in]) = (packed_type(info.dtype), &*info.shape) {
            let matrix = PackedMatrix::new(ty, n_out, n_in).ok_or_else(no_room)?;
            return Ok(Self::Packed { row: Vec::with_capacity(matrix.file_row_bytes()), matrix, n_rows: 0 });
        }
        let n_bytes = usize::try_from(info.n_bytes).map_err(|_| no_room())?;
        let mut words = Vec::new();
        let n_words = n_bytes.div_ceil(size_of::<u64>());
        words.try_reserve_exact(n_words).map_err(|_| no_room())?;
        words.resize(n_words, 0);
        Ok(Self::Whole { words, n_bytes, len: 0 })
    }

    /// Takes the next `bytes`, of which there are no more than are missing.
    fn push(&mut self, mut bytes: &[u8]) {
        match self {
            Self::Whole { words, len, .. } => {
                let place: &mut [u8] = bytemuck::cast_slice_mut(words);
                place[*len..*len + bytes.len()].copy_from_slice(bytes);
                *len += bytes.len();
            }
            Self::Packed { matrix, n_rows, row } => {
                let row_bytes = matrix.file_row_bytes();
                while !bytes.is_empty() {
                    let (part, rest) = bytes.split_at(bytes.len().min(row_bytes - row.len()));
                    bytes = rest;
                    if part.len() == row_bytes {
                        matrix.set_row(*n_rows, part);
                        *n_rows += 1;
                        continue;
                    }
                    row.extend_from_slice(part);
                    if row.len() == row_bytes {
                        matrix.set_row(*n_rows, row);
                        *n_rows += 1;
                        row.clear();
                    }
                }
            }
        }
    }
}

impl Weights {
    fn insert(&mut self, info: &TensorInfo, arrived: Arriving) -> Result<()> {
        let weight = match arrived {
            Arriving::Packed { matrix, .. } => Weight::Packed(matrix),
            Arriving::Whole { words, n_bytes, .. } => {
                // Candle copies the blocks, and aborts where it finds no room.
                room_for(&info.name, n_bytes)?;
                let bytes = &bytemuck::cast_slice(&words)[..n_bytes];
                let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, candle_type(info)?)?;
                let tensor = QTensor::new(storage, info.shape.as_slice())?;
                if info.shape.len() == 1 {
                    self.vectors.insert(info.name.clone(), tensor.dequantize(&Device::Cpu)?.to_vec1()?);
                    return Ok(());
                }
                if matches!(tensor.dtype(), GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) {
                    // Candle multiplies these as f32, of which it makes a copy.
                    let n_bytes = tensor.shape().elem_count().saturating_mul(size_of::<f32>());
                    room_for(&info.name, n_bytes)?;
                }
                Weight::candle(tensor)?
            }
        };
        self.matrices.insert(info.name.clone(), Arc::new(weight));
        Ok(())
    }

    /// The matrix `name`.
    pub(super) fn take(&mut self, name: &str) -> Result<Arc<Weight>> {
        self.take_optional(name).ok_or_else(|| missing(name))
    }

    /// As [`take`](Self::take), for a matrix that a model may do without.
    pub(super) fn take_optional(&mut self, name: &str) -> Option<Arc<Weight>> {
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

/// The packed layout of a type, if it has one.
fn packed_type(dtype: TensorType) -> Option<PackedType> {
    Some(match dtype {
        TensorType::Q4_0 => PackedType::Q4_0,
        TensorType::Q4_1 => PackedType::Q4_1,
        TensorType::Q5_0 => PackedType::Q5_0,
        TensorType::Q5_1 => PackedType::Q5_1,
        TensorType::Q8_0 => PackedType::Q8_0,
        TensorType::Q4_K => PackedType::Q4_K,
        TensorType::Q5_K => PackedType::Q5_K,
        TensorType::Q6_K => PackedType::Q6_K,
        _ => return None,
    })
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

fn candle_type(info: &TensorInfo) -> Result<GgmlDType> {
    Ok(match info.dtype {
        TensorType::F32 => GgmlDType::F32,
        TensorType::F16 => GgmlDType::F16,
        TensorType::BF16 => GgmlDType::BF16,
        TensorType::Q4_0 => GgmlDType::Q4_0,
        TensorType::Q4_1 => GgmlDType::Q4_1,
        TensorType::Q5_0 => GgmlDType::Q5_0,
        TensorType::Q5_1 => GgmlDType::Q5_1,
        TensorType::Q8_0 => GgmlDType::Q8_0,
        TensorType::Q2_K => GgmlDType::Q2K,
        TensorType::Q3_K => GgmlDType::Q3K,
        TensorType::Q4_K => GgmlDType::Q4K,
        TensorType::Q5_K => GgmlDType::Q5K,
        TensorType::Q6_K => GgmlDType::Q6K,
        other => {
            return Err(Error::unsupported_model(format!(
                "tensor `{}` is of type {}, which is not supported",
                info.name,
                other.name()
            )));
        }
    })
}
