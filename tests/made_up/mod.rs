//! Made-up models of any shape: a file of random weights, and in f64 the forward pass that says what is to come out.

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// The shape of a model, and how its file tells of it.
#[derive(Clone, Copy)]
pub struct Shape {
    pub n_embd: usize,
    pub n_ff: usize,
    pub n_head: usize,
    pub n_head_kv: usize,
    pub head_dim: usize,
    /// How many dimensions of a head are turned.
    pub n_rot: usize,
    pub n_vocab: usize,
    pub n_ctx_train: usize,
    pub biases: bool,
    pub scaling: Scaling,
    /// The type of the matrices. Vectors are F32.
    pub ty: GgmlDType,
}

/// How positions are scaled.
#[derive(Clone, Copy)]
pub enum Scaling {
    None,
    Linear { factor: f32 },
    Yarn { factor: f32, attn_factor: f32, n_ctx_orig: u32, beta_fast: f32, beta_slow: f32 },
}

/// Heads as wide as all of them allow, whose every dimension is turned.
pub const PLAIN: Shape = Shape {
    n_embd: 64,
    n_ff: 96,
    n_head: 4,
    n_head_kv: 2,
    head_dim: 16,
    n_rot: 16,
    n_vocab: 101,
    n_ctx_train: 512,
    biases: false,
    scaling: Scaling::None,
    ty: GgmlDType::F32,
};

const N_LAYER: usize = 2;
const EPS: f32 = 1e-5;
const FREQ_BASE: f32 = 10_000.0;

/// A model: its file, and its weights as they are after being quantized.
pub struct MadeUp {
    pub file: Vec<u8>,
    shape: Shape,
    weights: HashMap<String, Vec<f64>>,
}

impl MadeUp {
    pub fn new(shape: Shape) -> Self {
        let mut state = 1_u64;
        let mut random = |dims: &[usize], size: f32, offset: f32| {
            let noise = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                offset + size * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
            };
            let numbers = std::iter::repeat_with(noise).take(dims.iter().product()).collect();
            Tensor::from_vec::<_, f32>(numbers, dims, &Device::Cpu).expect("a tensor")
        };
        let mut tensors = HashMap::new();
        for (name, dims) in shape.tensors() {
            let (ty, tensor) = match dims[..] {
                [_, n_in] => (shape.ty, random(&dims, (6.0 / n_in as f32).sqrt(), 0.0)),
                _ if name.ends_with("bias") => (GgmlDType::F32, random(&dims, 0.5, 0.0)),
                _ => (GgmlDType::F32, random(&dims, 0.25, 1.0)),
            };
            tensors.insert(name, QTensor::quantize(&tensor, ty).expect("the type takes such rows"));
        }
        let weights = tensors.iter().map(|(name, tensor)| {
            let numbers = tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.flatten_all()?.to_vec1());
            let numbers: Vec<f32> = numbers.expect("numbers");
            (name.clone(), numbers.into_iter().map(f64::from).collect())
        });
        Self { shape, weights: weights.collect(), file: shape.file(&tensors) }
    }

    /// What the model gives at each position of `ids`.
    pub fn logits(&self, ids: &[u32]) -> Vec<Vec<f64>> {
        let Shape { n_embd, n_head, n_head_kv, head_dim, .. } = self.shape;
        let row = |&id: &u32| self.weights["token_embd.weight"][id as usize * n_embd..][..n_embd].to_vec();
        let mut x: Vec<Vec<f64>> = ids.iter().map(row).collect();
        for layer in 0..N_LAYER {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let (mut q, mut k, mut v) = (Vec::new(), Vec::new(), Vec::new());
            for (pos, x) in x.iter().enumerate() {
                let x = self.norm(&name("attn_norm"), x);
                q.push(self.turned(self.project(&name("attn_q"), &x), pos));
                k.push(self.turned(self.project(&name("attn_k"), &x), pos));
                v.push(self.project(&name("attn_v"), &x));
            }
            for (pos, x) in x.iter_mut().enumerate() {
                let mut seen = Vec::new();
                for head in 0..n_head {
                    let kv = head / (n_head / n_head_kv) * head_dim..;
                    let q = &q[pos][head * head_dim..][..head_dim];
                    let score = |k: &Vec<f64>| dot(q, &k[kv.clone()][..head_dim]) / (head_dim as f64).sqrt();
                    let weights: Vec<f64> = k[..=pos].iter().map(|k| score(k).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    let mut mean = vec![0.0; head_dim];
                    for (weight, v) in weights.iter().zip(&v) {
                        add(&mut mean, v[kv.clone()][..head_dim].iter().map(|v| weight / total * v));
                    }
                    seen.extend(mean);
                }
                add(x, self.project(&name("attn_output"), &seen));

                let normed = self.norm(&name("ffn_norm"), x);
                let gate = self.project(&name("ffn_gate"), &normed).into_iter();
                let gated = gate
                    .zip(self.project(&name("ffn_up"), &normed))
                    .map(|(g, up)| g / (1.0 + (-g).exp()) * up);
                add(x, self.project(&name("ffn_down"), &gated.collect::<Vec<_>>()));
            }
        }
        x.iter().map(|x| self.project("output", &self.norm("output_norm", x))).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let root = (dot(x, x) / x.len() as f64 + f64::from(EPS)).sqrt();
        self.weights[&format!("{name}.weight")].iter().zip(x).map(|(weight, x)| weight * x / root).collect()
    }

    fn project(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let rows = self.weights[&format!("{name}.weight")].chunks_exact(x.len());
        let mut y: Vec<f64> = rows.map(|row| dot(row, x)).collect();
        if let Some(bias) = self.weights.get(&format!("{name}.bias")) {
            add(&mut y, bias.iter().copied());
        }
        y
    }

    /// Heads at position `pos`.
    fn turned(&self, mut heads: Vec<f64>, pos: usize) -> Vec<f64> {
        let Shape { head_dim, n_rot, scaling, .. } = self.shape;
        for head in heads.chunks_exact_mut(head_dim) {
            for (i, pair) in head[..n_rot].as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let freq = f64::from(FREQ_BASE).powf(-2.0 * i as f64 / n_rot as f64);
                let (freq, magnitude) = scaling.scaled(freq, i, n_rot);
                let (sin, cos) = (pos as f64 * freq).sin_cos();
                let [a, b] = *pair;
                *pair = [magnitude * (a * cos - b * sin), magnitude * (a * sin + b * cos)];
            }
        }
        heads
    }
}

impl Scaling {
    /// The frequency that pair `i` of `n_rot / 2` has instead of `freq`, and what it is multiplied by.
    fn scaled(self, freq: f64, i: usize, n_rot: usize) -> (f64, f64) {
        match self {
            Self::None => (freq, 1.0),
            Self::Linear { factor } => (freq / f64::from(factor), 1.0),
            Self::Yarn { factor, attn_factor, n_ctx_orig, beta_fast, beta_slow } => {
                let factor = f64::from(factor);
                // Where a pair makes so many turns within the original context.
                let place = |turns: f32| {
                    let wave = f64::from(n_ctx_orig) / (f64::from(turns) * 2.0 * std::f64::consts::PI);
                    n_rot as f64 * wave.ln() / (2.0 * f64::from(FREQ_BASE).ln())
                };
                let (low, high) =
                    (place(beta_fast).floor().max(0.0), place(beta_slow).ceil().min(n_rot as f64 - 1.0));
                let scaled = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                (
                    freq * (1.0 - scaled) + freq / factor * scaled,
                    f64::from(attn_factor) * (1.0 + 0.1 * factor.ln()),
                )
            }
        }
    }

    fn metadata(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::None => vec![],
            Self::Linear { factor } => vec![
                ("llama.rope.scaling.type", Value::String("linear".into())),
                ("llama.rope.scaling.factor", Value::F32(factor)),
            ],
            Self::Yarn { factor, attn_factor, n_ctx_orig, beta_fast, beta_slow } => vec![
                ("llama.rope.scaling.type", Value::String("yarn".into())),
                ("llama.rope.scaling.factor", Value::F32(factor)),
                ("llama.rope.scaling.attn_factor", Value::F32(attn_factor)),
                ("llama.rope.scaling.original_context_length", Value::U32(n_ctx_orig)),
                ("llama.rope.scaling.yarn_beta_fast", Value::F32(beta_fast)),
                ("llama.rope.scaling.yarn_beta_slow", Value::F32(beta_slow)),
            ],
        }
    }
}

impl Shape {
    /// Names and shapes, outermost dimension first.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let &Self { n_embd, n_ff, n_vocab, .. } = self;
        let (n_q, n_kv) = (self.n_head * self.head_dim, self.n_head_kv * self.head_dim);
        let mut tensors = vec![
            ("token_embd.weight".to_owned(), vec![n_vocab, n_embd]),
            ("output_norm.weight".to_owned(), vec![n_embd]),
            ("output.weight".to_owned(), vec![n_vocab, n_embd]),
        ];
        for layer in 0..N_LAYER {
            for norm in ["attn_norm", "ffn_norm"] {
                tensors.push((format!("blk.{layer}.{norm}.weight"), vec![n_embd]));
            }
            for (part, n_out, n_in) in [
                ("attn_q", n_q, n_embd),
                ("attn_k", n_kv, n_embd),
                ("attn_v", n_kv, n_embd),
                ("attn_output", n_embd, n_q),
                ("ffn_gate", n_ff, n_embd),
                ("ffn_up", n_ff, n_embd),
                ("ffn_down", n_embd, n_ff),
            ] {
                tensors.push((format!("blk.{layer}.{part}.weight"), vec![n_out, n_in]));
                if self.biases {
                    tensors.push((format!("blk.{layer}.{part}.bias"), vec![n_out]));
                }
            }
        }
        tensors
    }

    fn file(&self, tensors: &HashMap<String, QTensor>) -> Vec<u8> {
        let number = |n: usize| Value::U32(n as u32);
        let array = |value: &dyn Fn(usize) -> Value| Value::Array((0..self.n_vocab).map(value).collect());
        let mut metadata = vec![
            ("general.architecture", Value::String("llama".into())),
            ("llama.block_count", number(N_LAYER)),
            ("llama.context_length", number(self.n_ctx_train)),
            ("llama.embedding_length", number(self.n_embd)),
            ("llama.feed_forward_length", number(self.n_ff)),
            ("llama.attention.head_count", number(self.n_head)),
            ("llama.attention.head_count_kv", number(self.n_head_kv)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(EPS)),
            ("llama.rope.freq_base", Value::F32(FREQ_BASE)),
            ("llama.rope.dimension_count", number(self.n_rot)),
            ("tokenizer.ggml.model", Value::String("llama".into())),
            ("tokenizer.ggml.tokens", array(&|id| Value::String(format!("t{id}")))),
            ("tokenizer.ggml.scores", array(&|id| Value::F32(-(id as f32)))),
            ("tokenizer.ggml.token_type", array(&|id| Value::I32(if id == 0 { 2 } else { 1 }))),
        ];
        if self.head_dim * self.n_head != self.n_embd {
            metadata.push(("llama.attention.key_length", number(self.head_dim)));
            metadata.push(("llama.attention.value_length", number(self.head_dim)));
        }
        metadata.extend(self.scaling.metadata());
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut file = std::io::Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors).expect("a file in memory");
        file.into_inner()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], what: impl IntoIterator<Item = f64>) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}
