//! A model that nobody trained, of the shape of Llama 3.2 1B: for speed it is as good as the real one.
//!
//! Weights are random and small, so that activations stay finite. Tensors of one shape and type are the same in all
//! layers, and repeat every [`N_ROWS`] rows: the file says so nowhere and has them all. The vocabulary is as large as
//! the real one, but knows no words: nearly every character of a text is a token.

use crate::file::write;
use crate::mix::Mix;
use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

const N_LAYER: usize = 16;
const N_EMBD: usize = 2048;
const N_FF: usize = 8192;
const N_HEAD: usize = 32;
const N_HEAD_KV: usize = 8;
const HEAD_DIM: usize = 64;
const N_VOCAB: usize = 128_256;
/// Control tokens, which come last.
const N_CONTROL: usize = 256;
const N_CTX_TRAIN: usize = 131_072;
const ROPE_FREQ_BASE: f32 = 500_000.0;

/// Rows that are drawn and quantized; the others are copies. Divides the rows of every matrix here.
const N_ROWS: usize = 256;
/// Weights are uniform in `-SPAN..SPAN`: a product with `N_EMBD` of them is about as large as its input.
const SPAN: f32 = 0.04;

/// What the tensors that are the same have in common.
type Kind = (Vec<usize>, GgmlDType);

/// Writes the model to `path`, in Q4_K_M.
pub fn make_up(path: &Path) -> Result<()> {
    let mix = Mix::Q4_K_M;
    let mut random = Random(1);
    let mut made: HashMap<Kind, QTensor> = HashMap::new();
    let directory: Vec<(String, Kind)> = directory()
        .into_iter()
        .map(|(name, shape)| {
            let dtype = mix.dtype(&name, &shape, N_LAYER);
            (name, (shape, dtype))
        })
        .collect();
    for (name, kind) in &directory {
        if let Entry::Vacant(place) = made.entry(kind.clone()) {
            let (shape, dtype) = kind;
            place.insert(tensor(name, shape, *dtype, &mut random)?);
        }
    }
    let tensors: Vec<_> = directory.into_iter().map(|(name, kind)| (name, &made[&kind])).collect();
    write(path, &metadata(mix), &tensors)
}

/// Names and shapes, outermost dimension first.
fn directory() -> Vec<(String, Vec<usize>)> {
    let mut directory = vec![
        ("token_embd.weight".to_owned(), vec![N_VOCAB, N_EMBD]),
        ("rope_freqs.weight".to_owned(), vec![HEAD_DIM / 2]),
        ("output_norm.weight".to_owned(), vec![N_EMBD]),
    ];
    for layer in 0..N_LAYER {
        let tensors: [(&str, &[usize]); 9] = [
            ("attn_norm", &[N_EMBD]),
            ("attn_q", &[N_HEAD * HEAD_DIM, N_EMBD]),
            ("attn_k", &[N_HEAD_KV * HEAD_DIM, N_EMBD]),
            ("attn_v", &[N_HEAD_KV * HEAD_DIM, N_EMBD]),
            ("attn_output", &[N_EMBD, N_HEAD * HEAD_DIM]),
            ("ffn_norm", &[N_EMBD]),
            ("ffn_gate", &[N_FF, N_EMBD]),
            ("ffn_up", &[N_FF, N_EMBD]),
            ("ffn_down", &[N_EMBD, N_FF]),
        ];
        directory.extend(tensors.map(|(name, shape)| (format!("blk.{layer}.{name}.weight"), shape.to_vec())));
    }
    directory
}

fn tensor(name: &str, shape: &[usize], dtype: GgmlDType, random: &mut Random) -> Result<QTensor> {
    let [n_rows, n_cols] = *shape else {
        let values = if name == "rope_freqs.weight" { rope_factors() } else { vec![1.0; shape[0]] };
        return QTensor::quantize(&Tensor::new(values, &Device::Cpu)?, dtype);
    };
    let drawn: Vec<f32> = (0..N_ROWS * n_cols).map(|_| random.uniform(SPAN)).collect();
    let block = QTensor::quantize(&Tensor::from_vec(drawn, (N_ROWS, n_cols), &Device::Cpu)?, dtype)?;
    let bytes = block.data()?.repeat(n_rows / N_ROWS);
    QTensor::new(QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)?, shape)
}

/// Llama 3's factors, by which the angles of slow dimensions are divided.
///
/// Source: `generate_extra_tensors` of Llama in
/// <https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py>, with the numbers of Llama 3.2's
/// `rope_scaling`.
fn rope_factors() -> Vec<f32> {
    const FACTOR: f64 = 32.0;
    const LOW_FREQ_FACTOR: f64 = 1.0;
    const HIGH_FREQ_FACTOR: f64 = 4.0;
    const N_CTX_BEFORE: f64 = 8192.0;
    let factor = |i: usize| {
        let wavelength =
            2.0 * std::f64::consts::PI * f64::from(ROPE_FREQ_BASE).powf(2.0 * i as f64 / HEAD_DIM as f64);
        if wavelength < N_CTX_BEFORE / HIGH_FREQ_FACTOR {
            1.0
        } else if wavelength > N_CTX_BEFORE / LOW_FREQ_FACTOR {
            FACTOR
        } else {
            let smooth = (N_CTX_BEFORE / wavelength - LOW_FREQ_FACTOR) / (HIGH_FREQ_FACTOR - LOW_FREQ_FACTOR);
            1.0 / ((1.0 - smooth) / FACTOR + smooth)
        }
    };
    (0..HEAD_DIM / 2).map(|i| factor(i) as f32).collect()
}

fn metadata(mix: Mix) -> Vec<(String, Value)> {
    let count = |count: usize| Value::U32(count as u32);
    let text = |text: &str| Value::String(text.to_owned());
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let control = N_VOCAB - N_CONTROL;
    let types = (0..N_VOCAB).map(|id| Value::I32(if id < control { NORMAL } else { CONTROL })).collect();
    let merges = MERGES.map(|(left, right)| format!("{left} {right}")).to_vec();
    let pairs = [
        ("general.architecture", text("llama")),
        ("general.name", text("Made up, of the shape of Llama 3.2 1B")),
        ("general.file_type", Value::U32(mix.file_type())),
        ("general.quantization_version", Value::U32(2)),
        ("llama.block_count", count(N_LAYER)),
        ("llama.context_length", count(N_CTX_TRAIN)),
        ("llama.embedding_length", count(N_EMBD)),
        ("llama.feed_forward_length", count(N_FF)),
        ("llama.attention.head_count", count(N_HEAD)),
        ("llama.attention.head_count_kv", count(N_HEAD_KV)),
        ("llama.attention.key_length", count(HEAD_DIM)),
        ("llama.attention.value_length", count(HEAD_DIM)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", count(HEAD_DIM)),
        ("llama.rope.freq_base", Value::F32(ROPE_FREQ_BASE)),
        ("llama.vocab_size", count(N_VOCAB)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("llama-bpe")),
        ("tokenizer.ggml.tokens", texts(tokens())),
        ("tokenizer.ggml.token_type", Value::Array(types)),
        ("tokenizer.ggml.merges", texts(merges)),
        ("tokenizer.ggml.bos_token_id", count(control)),
        ("tokenizer.ggml.eos_token_id", count(control + 1)),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

/// Token types of GGUF.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// `Ġ` is the byte-level alphabet's space.
const MERGES: [(&str, &str); 4] = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n")];

/// Words that no text has, the 256 bytes, what the merges make, and the control tokens. The words come first, so that
/// they are what the model says: of equal rows of the head the first wins. Bytes would not be UTF-8.
fn tokens() -> Vec<String> {
    let n_words = N_VOCAB - N_CONTROL - MERGES.len() - 256;
    let mut tokens: Vec<String> = (0..n_words).map(|i| format!("word{i}")).collect();
    tokens.extend((0..=255).map(|byte| byte_char(byte).to_string()));
    tokens.extend(MERGES.map(|(left, right)| format!("{left}{right}")));
    tokens.extend(["<|begin_of_text|>", "<|end_of_text|>"].map(str::to_owned));
    tokens.extend((2..N_CONTROL).map(|i| format!("<|reserved_special_token_{i}|>")));
    tokens
}

/// The byte-level alphabet of GPT-2: a byte that prints stands for itself, the others take the characters from U+0100
/// on, in their order.
fn byte_char(byte: u8) -> char {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if prints(byte) {
        return char::from(byte);
    }
    let n_before = (0..byte).filter(|&byte| !prints(byte)).count() as u32;
    char::from_u32(0x100 + n_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    /// A number in `-span..span`.
    fn uniform(&mut self, span: f32) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        span * ((z >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tokens_are_as_many_as_they_should_and_all_different() {
        let tokens = tokens();
        assert_eq!(tokens.len(), N_VOCAB);
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), N_VOCAB);
        assert_eq!([b' ', b'A', 0xad].map(byte_char), ['Ġ', 'A', 'Ń']);
    }

    #[test]
    fn factors_are_those_of_the_published_file() {
        let factors = rope_factors();
        assert_eq!(factors[..14], [1.0; 14]);
        assert_eq!(factors[18..], [32.0; 14]);
        assert!(factors.windows(2).all(|pair| pair[0] <= pair[1]), "{factors:?}");
    }
}
