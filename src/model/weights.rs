//! The weights, taken as the file streams by: the directory is checked before the first byte of data, and each matrix is
//! packed row by row into its final place, so that one row is all that is held besides. Packed, they can be taken from
//! here to be kept, and given back another time.

use super::memory::{no_room, packed_bytes};
use super::{Config, KvCache, Llama};
use crate::gguf::{TensorInfo, TensorType};
use crate::kernels::{F16_EXPONENT, PackedMatrix, PackedType, f16_to_f32};
use crate::threads::Pool;
use crate::{Error, ErrorKind, Result};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Collects the tensors of one model; [`finish`](Self::finish) assembles them.
#[derive(Debug)]
pub struct WeightsBuilder {
    config: Config,
    /// How many tensors there are in all files of the model.
    n_tensors: usize,
    /// Those that no file has listed yet.
    expected: HashMap<String, Expected>,
    /// Those that the files have listed, file by file.
    directory: Vec<TensorInfo>,
    /// Where the current file's begin in `directory`.
    file_start: usize,
    /// `directory`'s indices file by file in the order of their data, which is the order of packed tensors.
    order: Vec<usize>,
    weights: Weights,
    arriving: Option<Arriving>,
    /// Indices of those that are complete and that [`take_packed`](Self::take_packed) has not given yet.
    complete: VecDeque<usize>,
    /// How many of `order` came packed.
    n_packed: usize,
}

/// Finished tensors by name.
#[derive(Debug, Default)]
pub(super) struct Weights {
    matrices: HashMap<String, Arc<PackedMatrix>>,
    vectors: HashMap<String, Vec<f32>>,
}

/// The tensor that is arriving.
#[derive(Debug)]
enum Arriving {
    /// From a file, where it is of type `ty`: `row` holds the beginning of row `n_rows`. A vector is a matrix of one row.
    Rows { matrix: PackedMatrix, ty: TensorType, n_rows: usize, row: Vec<u8> },
    /// Packed, of which so many bytes are missing.
    Packed { tensor: Tensor, missing: usize },
}

/// A finished tensor.
#[derive(Debug)]
enum Tensor {
    Matrix(PackedMatrix),
    Vector(Vec<f32>),
}

impl WeightsBuilder {
    /// For a Llama of this shape, whose files have `n_tensors` tensors together.
    ///
    /// # Errors
    /// `invalid_model` if the metadata promises more layers than there are tensors for; `out_of_memory` if keys and values
    /// are too large to allocate.
    pub fn new(config: Config, n_tensors: usize) -> Result<Self> {
        // Before a name is made for each tensor that the metadata promises. A few that are missing are named later.
        if config.n_layer > n_tensors / LAYER_TENSORS {
            return Err(Error::invalid_model(format!(
                "`block_count` is {}, but the file has only {n_tensors} tensors",
                config.n_layer,
            )));
        }
        KvCache::check_block(&config)?;
        Ok(Self {
            expected: expected_tensors(&config),
            config,
            n_tensors,
            directory: Vec::new(),
            file_start: 0,
            order: Vec::new(),
            weights: Weights::default(),
            arriving: None,
            complete: VecDeque::new(),
            n_packed: 0,
        })
    }

    /// Begins the next file, whose directory this is. With the last one, it checks that the files list just what a Llama
    /// of this shape has.
    ///
    /// # Errors
    /// `invalid_model` for a tensor that is missing, occurs twice or has another shape; `unsupported_model` for one that
    /// the forward pass does not know or whose type has no kernels.
    pub fn begin_file(&mut self, directory: &[TensorInfo]) -> Result<()> {
        for info in directory {
            let Some(Expected { shape, .. }) = self.expected.remove(&info.name) else {
                let name = &info.name;
                return Err(if self.directory.iter().any(|other| other.name == *name) {
                    Error::invalid_model(format!("tensor `{name}` occurs twice"))
                } else {
                    Error::unsupported_model(format!(
                        "tensor `{name}` is no part of the Llama architecture as Tallow runs it"
                    ))
                });
            };
            if info.shape != shape {
                return Err(Error::invalid_model(format!(
                    "tensor `{}` should have the shape {shape:?}, but has {:?}",
                    info.name, info.shape
                )));
            }
            packed_type(info)?;
        }
        self.file_start = self.directory.len();
        self.directory.extend_from_slice(directory);
        let mut order: Vec<usize> = (self.file_start..self.directory.len()).collect();
        order.sort_by_key(|&index| self.directory[index].offset);
        self.order.extend(order);
        if self.directory.len() < self.n_tensors {
            return Ok(());
        }
        match self.expected.iter().filter(|(_, e)| e.required).map(|(name, _)| name).min() {
            Some(name) => Err(missing(name)),
            None => Ok(()),
        }
    }

    /// Checks that the files, of which the last one has begun, list as many tensors as there are.
    ///
    /// # Errors
    /// `invalid_model` if they do not.
    pub(crate) fn check_count(&self) -> Result<()> {
        let (expected, got) = (self.n_tensors, self.directory.len());
        if got == expected {
            return Ok(());
        }
        Err(Error::invalid_model(format!(
            "the model should have {expected} tensors, but its files list {got}"
        )))
    }

    /// Takes `bytes`, which begin at `at` within tensor `index` of the current file's directory. Pieces of a tensor come
    /// in order.
    ///
    /// # Errors
    /// `invalid_model` for a number that is not finite; `out_of_memory` if the tensor finds no room.
    pub fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        let index = self.file_start + index;
        let Some(info) = self.directory.get(index) else {
            return Err(Error::internal(format!("there is no tensor {index}")));
        };
        if at == 0 {
            self.arriving = Some(Arriving::rows(info)?);
        }
        let Some(arriving) = &mut self.arriving else {
            return Err(Error::internal(format!("tensor `{}` came without its beginning", info.name)));
        };
        if at + bytes.len() as u64 > info.n_bytes {
            return Err(Error::internal(format!("tensor `{}` got bytes past its end", info.name)));
        }
        if !arriving.push(bytes) {
            return Err(infinite(&info.name));
        }
        if at + bytes.len() as u64 == info.n_bytes {
            self.complete(index);
        }
        Ok(())
    }

    /// The first tensor that is complete and was not taken yet, as it lies packed in memory. Tensors come in the order of
    /// their data, file by file; [`push_packed`](Self::push_packed) takes them one after the other.
    pub fn take_packed(&mut self) -> Option<&[u8]> {
        let index = self.complete.pop_front()?;
        self.weights.packed(&self.directory[index].name)
    }

    /// Takes the next bytes of what [`take_packed`](Self::take_packed) gave, in place of the files' data.
    ///
    /// # Errors
    /// `out_of_memory` if a tensor finds no room, `integrity_error` if there are more bytes than tensors.
    pub fn push_packed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let Some(&index) = self.order.get(self.n_packed) else {
                return Err(Error::new(
                    ErrorKind::IntegrityError,
                    "there are bytes after the last packed tensor",
                ));
            };
            let arriving = match &mut self.arriving {
                Some(arriving) => arriving,
                none => none.insert(Arriving::packed(&self.directory[index])?),
            };
            let missing = arriving.missing();
            let (part, rest) = bytes.split_at(bytes.len().min(missing));
            bytes = rest;
            // They were looked at when they were packed.
            let _ = arriving.push(part);
            if part.len() == missing {
                self.n_packed += 1;
                self.complete(index);
            }
        }
        Ok(())
    }

    /// Bytes of memory that the tensors listed so far take; as many as [`take_packed`](Self::take_packed) gives.
    pub fn packed_bytes(&self) -> u64 {
        packed_bytes(&self.directory)
    }

    /// The model, once every tensor has arrived; it computes on `pool`.
    ///
    /// # Errors
    /// `invalid_model` if one has not.
    pub fn finish(self, pool: Arc<Pool>) -> Result<Llama> {
        // Also those that a Llama may do without, where a file lists them: packed weights may end early.
        let mut listed = self.order.iter().map(|&index| &self.directory[index].name);
        match listed.find(|name| self.weights.packed(name).is_none()) {
            Some(name) => Err(missing(name)),
            None => Llama::new(self.config, self.weights, pool),
        }
    }

    fn complete(&mut self, index: usize) {
        if let Some(arrived) = self.arriving.take() {
            self.weights.insert(&self.directory[index], arrived.into_tensor());
            self.complete.push_back(index);
        }
    }
}

impl Arriving {
    fn rows(info: &TensorInfo) -> Result<Self> {
        let matrix = matrix_by(info, PackedMatrix::new)?;
        Ok(Self::Rows { matrix, ty: info.dtype, n_rows: 0, row: Vec::new() })
    }

    fn packed(info: &TensorInfo) -> Result<Self> {
        let tensor = match info.shape[..] {
            [n] => {
                let mut vector = Vec::new();
                vector.try_reserve_exact(n).map_err(|_| no_room(&info.name, 4 * n as u64))?;
                vector.resize(n, 0.0);
                Tensor::Vector(vector)
            }
            _ => Tensor::Matrix(matrix_by(info, PackedMatrix::empty)?),
        };
        Ok(Self::Packed { tensor, missing: packed_bytes(std::slice::from_ref(info)) as usize })
    }

    /// Bytes of a packed tensor that have not come.
    fn missing(&self) -> usize {
        match self {
            Self::Rows { .. } => 0,
            Self::Packed { missing, .. } => *missing,
        }
    }

    /// Takes the next `bytes`, of which there are no more than are missing; whether a file's are finite numbers.
    #[must_use]
    fn push(&mut self, mut bytes: &[u8]) -> bool {
        let (matrix, ty, n_rows, row) = match self {
            Self::Rows { matrix, ty, n_rows, row } => (matrix, *ty, n_rows, row),
            Self::Packed { tensor, missing } => {
                tensor.take_packed(bytes, *missing);
                *missing -= bytes.len();
                return true;
            }
        };
        let row_bytes = matrix.n_in() / ty.block_len() * ty.block_bytes();
        let mut finite = true;
        let mut set_next = |row: &[u8]| {
            let numbers = numbers(ty, row);
            let row = numbers.as_deref().map_or(row, bytemuck::cast_slice);
            finite &= matrix.ty().are_finite(row);
            matrix.set_row(*n_rows, row);
            *n_rows += 1;
        };
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(row_bytes - row.len()));
            bytes = rest;
            if part.len() == row_bytes {
                set_next(part);
                continue;
            }
            row.extend_from_slice(part);
            if row.len() == row_bytes {
                set_next(row);
                row.clear();
            }
        }
        finite
    }

    fn into_tensor(self) -> Tensor {
        match self {
            Self::Rows { matrix, .. } => Tensor::Matrix(matrix),
            Self::Packed { tensor, .. } => tensor,
        }
    }
}

/// The matrix that `make` makes of a tensor's type and shape.
fn matrix_by(
    info: &TensorInfo,
    make: fn(PackedType, usize, usize) -> Option<PackedMatrix>,
) -> Result<PackedMatrix> {
    let (n_in, rows) = info.shape.split_last().map_or((1, &[][..]), |(n_in, rows)| (*n_in, rows));
    make(packed_type(info)?, rows.iter().product(), n_in).ok_or_else(|| no_room(&info.name, info.n_bytes))
}

impl Tensor {
    /// Takes the next bytes of what it is in memory, of which so many are missing.
    fn take_packed(&mut self, bytes: &[u8], missing: usize) {
        match self {
            Self::Matrix(matrix) => matrix.extend(bytes),
            Self::Vector(vector) => {
                let all: &mut [u8] = bytemuck::cast_slice_mut(vector);
                let at = all.len() - missing;
                all[at..][..bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Weights {
    fn insert(&mut self, info: &TensorInfo, tensor: Tensor) {
        let name = info.name.clone();
        match tensor {
            Tensor::Matrix(matrix) if info.shape.len() == 1 => {
                self.vectors.insert(name, matrix.row(0));
            }
            Tensor::Matrix(matrix) => {
                self.matrices.insert(name, Arc::new(matrix));
            }
            Tensor::Vector(vector) => {
                self.vectors.insert(name, vector);
            }
        }
    }

    fn packed(&self, name: &str) -> Option<&[u8]> {
        let matrix = self.matrices.get(name).map(|matrix| matrix.data());
        matrix.or_else(|| self.vectors.get(name).map(|vector| bytemuck::cast_slice(vector)))
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

fn infinite(name: &str) -> Error {
    Error::invalid_model(format!("tensor `{name}` should hold finite numbers, but one is not"))
}

#[derive(Debug)]
struct Expected {
    shape: Vec<usize>,
    required: bool,
}

/// Those that every layer has.
const LAYER_TENSORS: usize = 9;

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
        let layer_tensors: [(&str, &[usize]); LAYER_TENSORS] = [
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

/// How a tensor's rows lie in memory.
pub(super) fn packed_type(info: &TensorInfo) -> Result<PackedType> {
    if scale_of(info.dtype).is_some() {
        return Ok(PackedType::F32);
    }
    PackedType::of(info.dtype).ok_or_else(|| {
        let (name, ty) = (&info.name, info.dtype.name());
        Error::unsupported_model(format!("tensor `{name}` is of type {ty}, which is not supported"))
    })
}

/// The numbers of a row of a type that is kept as F32.
fn numbers(ty: TensorType, row: &[u8]) -> Option<Vec<f32>> {
    let scale = scale_of(ty)?;
    let of_block = |block: &[u8]| {
        let d = scale(block);
        let q = block[4..4 + ty.block_len()].iter().map(|&q| d * f32::from(q as i8));
        q.collect::<Vec<_>>()
    };
    Some(row.chunks_exact(ty.block_bytes()).flat_map(of_block).collect())
}

/// How to read the scale of a block, of types that are kept as F32: those that GGML has for activations, and Candle for
/// weights as well. No file in use has them, so that they have no kernels. After 4 bytes come their whole numbers.
fn scale_of(ty: TensorType) -> Option<fn(&[u8]) -> f32> {
    match ty {
        TensorType::Q8_1 => Some(|block| match u16::from_le_bytes([block[0], block[1]]) {
            bits if bits & F16_EXPONENT == F16_EXPONENT => f32::NAN,
            bits => f16_to_f32(bits),
        }),
        TensorType::Q8_K => Some(|block| f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
        _ => None,
    }
}
