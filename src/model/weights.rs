//! The weights, taken tensor by tensor as the file streams by: the directory is checked before the first byte of
//! data, and one buffer of one tensor's size is all that is held besides the finished weights.

use super::memory::{no_room, room_for};
use super::{Config, Llama};
use crate::gguf::{TensorInfo, TensorType};
use crate::{Error, Result};
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use std::borrow::Cow;
use std::collections::HashMap;

/// Collects the tensors of one model; [`finish`](Self::finish) assembles them.
#[derive(Debug)]
pub struct WeightsBuilder {
    config: Config,
    directory: Vec<TensorInfo>,
    tensors: Weights,
    /// The bytes of the tensor that is arriving. Words, because Candle wants blocks aligned to 4 bytes.
    pending: Vec<u64>,
}

/// Finished tensors by name.
#[derive(Debug)]
pub(super) struct Weights(HashMap<String, QTensor>);

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
        Ok(Self { config, directory, tensors: Weights(HashMap::new()), pending: Vec::new() })
    }

    /// Takes `bytes`, which begin at `at` within the directory's tensor `index`. Pieces of a tensor come in order.
    ///
    /// # Errors
    /// `out_of_memory` if the tensor finds no room.
    pub fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        let Some(info) = self.directory.get(index) else {
            return Err(Error::internal(format!("there is no tensor {index}")));
        };
        let n_bytes = usize::try_from(info.n_bytes).map_err(|_| no_room(&info.name, info.n_bytes))?;
        if at == 0 {
            let n_words = n_bytes.div_ceil(size_of::<u64>());
            self.pending.clear();
            self.pending.try_reserve_exact(n_words).map_err(|_| no_room(&info.name, info.n_bytes))?;
            self.pending.resize(n_words, 0);
        }
        let at = at as usize;
        let pending: &mut [u8] = bytemuck::cast_slice_mut(&mut self.pending);
        let Some(place) = pending.get_mut(at..at + bytes.len()) else {
            return Err(Error::internal(format!("tensor `{}` got bytes past its end", info.name)));
        };
        place.copy_from_slice(bytes);

        if at + bytes.len() == n_bytes {
            // Candle copies the blocks, and aborts where it finds no room.
            room_for(&info.name, n_bytes)?;
            let storage =
                QStorage::from_data(Cow::Borrowed(&pending[..n_bytes]), &Device::Cpu, candle_type(info)?)?;
            let tensor = QTensor::new(storage, info.shape.as_slice())?;
            self.tensors.0.insert(info.name.clone(), tensor);
        }
        Ok(())
    }

    /// The model, once every tensor has arrived.
    ///
    /// # Errors
    /// `invalid_model` if one has not.
    pub fn finish(self) -> Result<Llama> {
        Llama::new(self.config, self.tensors)
    }
}

impl Weights {
    /// The tensor `name`, which then is the caller's.
    pub(super) fn take(&mut self, name: &str) -> Result<QTensor> {
        self.take_optional(name).ok_or_else(|| Error::invalid_model(format!("tensor `{name}` is missing")))
    }

    /// As [`take`](Self::take), for a tensor that a model may do without.
    pub(super) fn take_optional(&mut self, name: &str) -> Option<QTensor> {
        self.0.remove(name)
    }
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
