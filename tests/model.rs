//! The forward pass against other implementations: exact float32 and llama.cpp (`tests/golden/README.md`), and
//! Candle's own `quantized_llama`.

mod default_model;
mod made_up;
mod module;

#[cfg(not(target_arch = "wasm32"))]
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use made_up::{MadeUp, PLAIN, Scaling, Shape};
use module::assert_module;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use tallow::ErrorKind;
use tallow::gguf::{Header, Parser, Sink};
#[cfg(not(target_arch = "wasm32"))]
use tallow::load::LoadOptions;
use tallow::load::{Loaded, Loader};
use tallow::model::{Config, KvCache, KvType, Llama, Logits, WeightsBuilder, Yarn};
use tallow::score::{ScoreOptions, Scores};
use tallow::threads::Pool;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

macro_rules! tiny {
    ($name:literal) => {
        (concat!("tiny-", $name, ".gguf"), include_bytes!(concat!("golden/tiny/tiny-", $name, ".gguf")))
    };
}

/// Random two-layer models with grouped queries and RoPE factors, one in each type.
const TINY: [(&str, &[u8]); 16] = [
    tiny!("F32"),
    tiny!("tied-F32"),
    tiny!("F16"),
    tiny!("BF16"),
    tiny!("Q4_0"),
    tiny!("Q4_1"),
    tiny!("Q5_0"),
    tiny!("Q5_1"),
    tiny!("Q8_0"),
    tiny!("Q2_K"),
    tiny!("Q3_K_M"),
    tiny!("Q4_K_M"),
    tiny!("Q5_K_M"),
    tiny!("Q6_K"),
    tiny!("IQ4_NL"),
    tiny!("IQ4_XS"),
];

#[derive(Deserialize)]
struct TinyGolden {
    ids: Vec<u32>,
    models: HashMap<String, TinyLogits>,
}

#[derive(Deserialize)]
struct TinyLogits {
    logits_last_f32: Vec<f32>,
    nll_llama_cpp: Vec<f32>,
    range: f32,
}

fn tiny_golden() -> TinyGolden {
    serde_json::from_str(include_str!("golden/tiny/golden.json")).expect("the golden file is well formed")
}

fn load(bytes: &[u8]) -> tallow::Result<Loaded> {
    let mut loader = Loader::new();
    loader.push(bytes)?;
    loader.finish()
}

/// Of the whole text in one window.
fn score(llama: &Llama, ids: &[u32]) -> tallow::Result<Scores> {
    tallow::score::score(llama, ids, ScoreOptions::new(ids.len()))
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Keys and values are f16, which moves each by up to 2^-12, in each of two layers: of the logits' range.
const F16_BOUND: f32 = 4.0 / 4096.0;

#[test]
fn tiny_models_of_every_type_come_near_float32() {
    assert_module();
    let golden = tiny_golden();
    for (name, bytes) in TINY {
        let expected = &golden.models[name];
        let scores = score(&load(bytes).expect(name).llama, &golden.ids).expect(name);
        // Weights that are numbers leave the rounding of keys and values; quantized ones meet activations of 8 bits.
        let bound = if name.contains("F32") || name.contains("F16") { F16_BOUND } else { 0.05 };
        let off = max_difference(&scores.logits_last, &expected.logits_last_f32) / expected.range;
        println!("{name}: {off:.5} of the range from float32");
        assert!(off <= bound, "{name}: logits are off by {off} of their range, {bound} allowed");
        // llama.cpp rounds too, so that the two may differ by twice what one is allowed.
        let nll: Vec<f32> = scores.logprobs[1..].iter().map(|logprob| -logprob).collect();
        let off = max_difference(&nll, &expected.nll_llama_cpp) / expected.range;
        assert!(off <= 0.1, "{name}: log-probabilities are off by {off} of the logits' range, 0.1 allowed");
    }
}

/// With weights in f32 the rounding of keys and values is left: in f32 none, but sums in another order; in q8_0 half a 127th of
/// the largest of 32, of keys and of values in each of two layers, as in [`F16_BOUND`].
#[test]
fn keys_and_values_of_every_type_come_near_float32() {
    assert_module();
    let golden = tiny_golden();
    for (name, bytes) in &TINY[..2] {
        let (llama, expected) = (load(bytes).expect(name).llama, &golden.models[*name]);
        for (kv_type, bound) in [(KvType::F32, 1e-5), (KvType::F16, F16_BOUND), (KvType::Q8_0, 4.0 / 254.0)] {
            let options = ScoreOptions { kv_type, ..ScoreOptions::new(golden.ids.len()) };
            let scores = tallow::score::score(&llama, &golden.ids, options).expect(name);
            let off = max_difference(&scores.logits_last, &expected.logits_last_f32) / expected.range;
            println!("{name}, {kv_type}: {off:.7} of the range from float32");
            assert!(
                off <= bound,
                "{name}, {kv_type}: logits are off by {off} of their range, {bound} allowed"
            );
        }
    }
}

/// Where in a file a tensor's bytes are.
struct Place(&'static str, std::ops::Range<usize>);

impl Sink for Place {
    fn header(&mut self, header: &Header) -> tallow::Result<()> {
        let tensor = header.tensors.iter().find(|tensor| tensor.name == self.0).expect(self.0);
        let begin = (header.data_offset + tensor.offset) as usize;
        self.1 = begin..begin + tensor.n_bytes as usize;
        Ok(())
    }

    fn tensor_data(&mut self, _: usize, _: u64, _: &[u8]) -> tallow::Result<()> {
        Ok(())
    }
}

fn place_of(name: &'static str, file: &[u8]) -> std::ops::Range<usize> {
    let mut place = Place(name, 0..0);
    Parser::new().push(file, &mut place).expect("the file is read");
    place.1
}

/// The model of F32 weights with another shape than its file says.
struct Reshaped(fn(&mut Config), Option<WeightsBuilder>);

impl Sink for Reshaped {
    fn header(&mut self, header: &Header) -> tallow::Result<()> {
        let mut config = Config::from_metadata(&header.metadata)?;
        self.0(&mut config);
        let mut weights = WeightsBuilder::new(config, header.tensors.len())?;
        weights.begin_file(&header.tensors)?;
        self.1 = Some(weights);
        Ok(())
    }

    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> tallow::Result<()> {
        self.1.as_mut().expect("a header came before").tensor_data(index, at, bytes)
    }
}

#[test]
fn yarn_agrees_with_llama_cpp() {
    #[derive(Deserialize)]
    struct Golden {
        logits_last: Vec<f32>,
    }
    assert_module();
    let golden: Golden =
        serde_json::from_str(include_str!("golden/tiny/yarn.json")).expect("the golden file is well formed");
    let yarn = |config: &mut Config| {
        config.rope_freq_scale = 0.25;
        config.yarn = Some(Yarn { n_ctx_orig: 32, beta_fast: 32.0, beta_slow: 1.0 });
    };
    let mut reshaped = Reshaped(yarn, None);
    Parser::new().push(TINY[0].1, &mut reshaped).expect("the file is read");
    let weights = reshaped.1.expect("a header");
    let llama = weights.finish(Arc::new(Pool::single())).expect("the model loads");
    let scores = score(&llama, &tiny_golden().ids).expect("scores");
    let range = 14.4;
    let off = max_difference(&scores.logits_last, &golden.logits_last) / range;
    println!("YaRN: {off:.5} of the range from llama.cpp");
    assert!(off <= F16_BOUND, "logits are off by {off} of their range");
}

/// What a made-up model's logits at the last 40 positions of `n_tok` tokens are off by, of their range; keys and values are
/// f32. The tokens come in two pieces, and then one by one.
fn off_from_f64(shape: Shape, n_tok: usize) -> f64 {
    let model = MadeUp::new(shape);
    let llama = load(&model.file).expect("the model loads").llama;
    let ids: Vec<u32> = (0..n_tok).map(|i| ((i * 37 + i / 7) % shape.n_vocab) as u32).collect();
    let mut cache = KvCache::new(llama.config(), n_tok, KvType::F32);
    let mut pieces = vec![&ids[..n_tok / 2], &ids[n_tok / 2..n_tok - 20]];
    pieces.extend(ids[n_tok - 20..].chunks(1));
    let mut logits = Vec::new();
    for piece in pieces {
        let rows = llama.forward(piece, &mut cache, Logits::All).and_then(|rows| Ok(rows.to_vec2::<f32>()?));
        logits.extend(rows.expect("logits"));
    }
    let expected = model.logits(&ids);
    let all = || expected.iter().flatten().copied();
    let range = all().fold(f64::MIN, f64::max) - all().fold(f64::MAX, f64::min);
    let last = n_tok.saturating_sub(40)..;
    let pairs = logits[last.clone()].iter().flatten().zip(expected[last].iter().flatten());
    pairs.map(|(got, expected)| (f64::from(*got) - expected).abs()).fold(0.0, f64::max) / range
}

fn assert_near_f64(what: &str, shape: Shape, n_tok: usize, bound: f64) {
    let off = off_from_f64(shape, n_tok);
    println!("{what}: {off:.7} of the range from float64");
    assert!(off <= bound, "{what}: logits are off by {off} of their range, {bound} allowed");
}

/// Of shapes that no golden file has. Weights and cache are f32: what is left are sums in another order.
#[test]
fn models_of_any_shape_come_near_float64() {
    assert_module();
    let yarn =
        Scaling::Yarn { factor: 4.0, attn_factor: 0.8, n_ctx_orig: 32, beta_fast: 16.0, beta_slow: 2.0 };
    for (what, shape) in [
        ("plain", PLAIN),
        ("biases", Shape { biases: true, n_ff: 91, ..PLAIN }),
        ("linear scaling", Shape { scaling: Scaling::Linear { factor: 4.0 }, ..PLAIN }),
        ("YaRN", Shape { scaling: yarn, ..PLAIN }),
        ("a part of a head turns", Shape { n_rot: 6, ..PLAIN }),
        ("heads that are no part of the width", Shape { head_dim: 24, n_rot: 24, ..PLAIN }),
        ("heads of an odd width, of which a part turns", Shape { head_dim: 37, n_rot: 10, ..PLAIN }),
        ("wide heads, one for keys", Shape { n_head: 6, n_head_kv: 1, head_dim: 128, n_rot: 128, ..PLAIN }),
        ("many queries", Shape { n_head: 18, n_head_kv: 2, head_dim: 80, n_rot: 80, ..PLAIN }),
        ("a head for each query", Shape { n_head: 3, n_head_kv: 3, head_dim: 100, n_rot: 50, ..PLAIN }),
        (
            "odd widths",
            Shape {
                n_embd: 45,
                n_head: 5,
                n_head_kv: 5,
                head_dim: 9,
                n_rot: 8,
                n_ff: 33,
                n_vocab: 7,
                ..PLAIN
            },
        ),
    ] {
        assert_near_f64(what, shape, 90, 1e-5);
    }
}

#[test]
fn contexts_beyond_4096_come_near_float64() {
    assert_module();
    let shape =
        Shape { n_embd: 32, n_head: 2, n_head_kv: 1, n_rot: 16, n_ff: 48, n_ctx_train: 8192, ..PLAIN };
    assert_near_f64("4200 tokens", shape, 4200, 1e-5);
}

/// Activations of 8 bits are what quantized weights meet; biases are added to what comes of it.
#[test]
fn quantized_models_with_biases_come_near_float64() {
    assert_module();
    for ty in [GgmlDType::Q4_0, GgmlDType::Q8_0, GgmlDType::Q4K] {
        let shape = Shape { n_embd: 256, n_ff: 512, head_dim: 64, n_rot: 64, biases: true, ty, ..PLAIN };
        assert_near_f64(&format!("{ty:?}"), shape, 60, 0.05);
    }
}

/// Types that have no kernels, but whose numbers can be told: they are kept as F32.
#[test]
fn types_of_activations_are_read_as_numbers() {
    assert_module();
    // Where a block's scale has its upper bits.
    for (ty, upper) in [(GgmlDType::Q8_1, 0), (GgmlDType::Q8K, 2)] {
        let shape = Shape { n_embd: 256, n_ff: 512, head_dim: 64, n_rot: 64, ty, ..PLAIN };
        assert_near_f64(&format!("{ty:?}"), shape, 60, 1e-5);

        let name = "blk.1.attn_k.weight";
        for bad in [0x7F80_u16, 0xFFFF] {
            let mut file = MadeUp::new(shape).file;
            let at = place_of(name, &file).start + upper;
            file[at..at + 2].copy_from_slice(&bad.to_le_bytes());
            let error = load(&file).err().expect("a scale is no number");
            let detail = format!("tensor `{name}` should hold finite numbers, but one is not");
            assert_eq!(
                (error.kind(), error.detail()),
                (ErrorKind::InvalidModel, &*detail),
                "{ty:?}, {bad:x}"
            );
        }
    }
}

/// What Candle's own Llama, which takes minutes to compile and so runs natively only, gives after the last of `ids`. It is
/// right for files without `rope_freqs.weight`, which it ignores.
#[cfg(not(target_arch = "wasm32"))]
fn candles_logits(file: &[u8], ids: &[u32]) -> Vec<f32> {
    use candle_core::quantized::gguf_file;
    use candle_transformers::models::quantized_llama::ModelWeights;
    let mut reader = std::io::Cursor::new(file);
    let content = gguf_file::Content::read(&mut reader).expect("the file is read");
    let mut oracle = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).expect("the model loads");
    let ids = candle_core::Tensor::new(ids, &Device::Cpu).and_then(|ids| ids.unsqueeze(0)).expect("a tensor");
    oracle.forward(&ids, 0).and_then(|logits| logits.squeeze(0)?.to_vec1()).expect("logits")
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn agrees_with_candles_own_llama_where_that_is_right() {
    assert_module();
    let golden = tiny_golden();
    let (name, bytes) = TINY[1]; // tied, without factors
    let scores = score(&load(bytes).expect("the model loads").llama, &golden.ids).expect("scores");
    let off = max_difference(&scores.logits_last, &candles_logits(bytes, &golden.ids));
    let bound = F16_BOUND * golden.models[name].range;
    assert!(off <= bound, "logits are off by {off}, {bound} allowed");

    // The default model's two roundings, each of which may be as far from float32 as llama.cpp's.
    let greedy: Greedy = serde_json::from_str(include_str!("golden/smollm2-135m-instruct-q4_1.greedy.json"))
        .expect("the golden file is well formed");
    let (file, llama) = (default_model::read(), default_model::load().llama);
    let (mut sum, mut n) = (0.0, 0);
    for case in &greedy.cases {
        let of = |logits: Vec<f32>| {
            let logits = candle_core::Tensor::new(logits, &Device::Cpu).expect("a tensor");
            let logprobs =
                candle_nn::ops::log_softmax(&logits, 0).and_then(|logprobs| logprobs.to_vec1::<f32>());
            logprobs.expect("logarithms")
        };
        let own = of(score(&llama, &case.prompt_ids).expect("scores").logits_last);
        let candles = of(candles_logits(&file, &case.prompt_ids));
        for (id, _) in &case.top10_logprobs_f32[0] {
            sum += f64::from((own[*id as usize] - candles[*id as usize]).abs());
            n += 1;
        }
    }
    let (mean, allowed) = (sum / f64::from(n), 2.0 * greedy.llama_cpp_error_to_f32.mean_abs);
    println!("mean |difference| to Candle's {mean:.5} ({allowed:.5} allowed)");
    assert!(mean <= allowed, "log-probabilities are off by {mean} on average, {allowed} allowed");
}

/// The logits after each of `ids` but the first `begin`, evaluated in chunks of `chunk_len`.
fn logits_in_chunks(llama: &Llama, ids: &[u32], chunk_len: usize, begin: usize) -> Vec<f32> {
    let mut cache = KvCache::new(llama.config(), ids.len(), KvType::F16);
    let mut logits = Vec::new();
    for chunk in ids.chunks(chunk_len) {
        let wanted = Logits::From(begin.saturating_sub(cache.len()));
        let rows =
            llama.forward(chunk, &mut cache, wanted).and_then(|rows| Ok(rows.flatten_all()?.to_vec1()?));
        logits.extend::<Vec<f32>>(rows.expect("logits"));
    }
    logits
}

/// Over the seams of a thread's tokens, of tiles and of blocks of the cache.
#[test]
fn any_chunking_gives_the_same_bits() {
    assert_module();
    let ids: Vec<u32> = tiny_golden().ids.into_iter().cycle().take(300).collect();
    for (name, bytes) in TINY {
        let llama = load(bytes).expect(name).llama;
        let whole = logits_in_chunks(&llama, &ids, ids.len(), 240);
        for chunk_len in [1, 7, 31, 128, 255, 257] {
            let chunked = logits_in_chunks(&llama, &ids, chunk_len, 240);
            assert!(chunked == whole, "{name} in chunks of {chunk_len}");
        }
    }
}

/// Of a text at once, and token by token.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let ids: Vec<u32> = tiny_golden().ids.into_iter().cycle().take(300).collect();
    for (name, bytes) in TINY {
        let logits = |n_threads: usize| {
            let pool = std::sync::Arc::new(tallow::threads::Pool::new(n_threads).expect("a pool"));
            let mut loader = Loader::with_options(LoadOptions::default(), pool);
            loader.push(bytes).expect(name);
            let llama = loader.finish().expect(name).llama;
            [ids.len(), 1].map(|chunk_len| logits_in_chunks(&llama, &ids, chunk_len, 0))
        };
        let alone = logits(1);
        for n_threads in [2, 3] {
            assert!(logits(n_threads) == alone, "{name} on {n_threads} threads");
        }
    }
}

#[test]
fn a_cut_cache_gives_what_a_new_one_does() {
    assert_module();
    let (_, bytes) = TINY[0];
    let llama = load(bytes).expect("the model loads").llama;
    let ids = tiny_golden().ids;
    let mut cache = KvCache::new(llama.config(), ids.len(), KvType::F16);
    llama.forward(&ids, &mut cache, Logits::Last).expect("logits");
    cache.truncate(10);
    assert_eq!(cache.len(), 10);
    let cut = llama.forward(&ids[20..30], &mut cache, Logits::All).expect("logits");

    let mut fresh = KvCache::new(llama.config(), 20, KvType::F16);
    llama.forward(&ids[..10], &mut fresh, Logits::Last).expect("logits");
    let expected = llama.forward(&ids[20..30], &mut fresh, Logits::All).expect("logits");
    let flat = |logits: candle_core::Tensor| logits.flatten_all()?.to_vec1::<f32>();
    assert!(max_difference(&flat(cut).expect("numbers"), &flat(expected).expect("numbers")) <= 1e-4);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_the_cache_alone() {
    assert_module();
    let (_, bytes) = TINY[0];
    let llama = load(bytes).expect("the model loads").llama;
    let mut cache = KvCache::new(llama.config(), 4, KvType::F16);
    llama.forward(&[1, 2, 3], &mut cache, Logits::Last).expect("logits");
    for (ids, kind, named) in [
        (&[1, 2][..], ErrorKind::ContextLengthExceeded, "5 tokens do not fit a context of 4"),
        (&[288], ErrorKind::InvalidRequest, "token ids should be below 288, but one is 288"),
        (&[], ErrorKind::InvalidRequest, "there should be at least one token"),
    ] {
        let error = llama.forward(ids, &mut cache, Logits::Last).expect_err(named);
        assert_eq!((error.kind(), error.detail(), cache.len()), (kind, named, 3));
    }
    llama.forward(&[4], &mut cache, Logits::Last).expect("the last position is free");
}

#[test]
fn numbers_that_overflow_are_refused_and_leave_the_cache_alone() {
    assert_module();
    let in_layer_1 = "the queries, keys or values of layer 1";
    let refuse = |bytes: &[u8], name: &'static str, number: f32, what: &str| {
        let mut file = bytes.to_vec();
        let place = place_of(name, &file);
        file[place].as_chunks_mut().0.iter_mut().for_each(|old| *old = number.to_le_bytes());
        let llama = load(&file).expect("all numbers are finite").llama;
        let detail = format!("the weights are so large that {what} overflow");
        for ty in KvType::ALL {
            let mut cache = KvCache::new(llama.config(), 4, ty);
            let error = llama.forward(&[1, 2, 3], &mut cache, Logits::Last).expect_err(name);
            let refused = (ErrorKind::InvalidModel, &*detail, 0);
            assert_eq!((error.kind(), error.detail(), cache.len()), refused, "{name}, {ty}");
        }
    };
    for (name, number, what) in [
        ("blk.1.attn_v.weight", 3e38, in_layer_1),
        // Queries and keys that are numbers, whose products are none, or are none where halves meet them.
        ("blk.1.attn_q.weight", 3e20, in_layer_1),
        ("blk.1.attn_k.weight", 3e20, in_layer_1),
        ("blk.0.ffn_down.weight", 3e38, in_layer_1),
        ("blk.1.ffn_down.weight", 3e38, "the logits"),
        ("output.weight", 3e38, "the logits"),
    ] {
        refuse(TINY[0].1, name, number, what);
    }
    // What weights of any type meet is infinite.
    for (file, bytes) in TINY {
        println!("{file}");
        refuse(bytes, "blk.0.ffn_norm.weight", 3e38, in_layer_1);
    }
}

#[derive(Deserialize)]
struct Greedy {
    cases: Vec<GreedyCase>,
    llama_cpp_error_to_f32: LlamaCppError,
}

#[derive(Deserialize)]
struct LlamaCppError {
    mean_abs: f64,
}

#[derive(Deserialize)]
struct GreedyCase {
    prompt: String,
    prompt_ids: Vec<u32>,
    greedy: Vec<u32>,
    /// By position: the ten best, (id, log-probability).
    top10_logprobs_f32: Vec<Vec<(u32, f64)>>,
}

#[derive(Deserialize)]
struct Perplexity {
    ids: Vec<u32>,
    perplexity_f32: f64,
}

#[test]
fn the_default_model_comes_near_float32() {
    assert_module();
    let llama = default_model::load().llama;

    let golden: Greedy = serde_json::from_str(include_str!("golden/smollm2-135m-instruct-q4_1.greedy.json"))
        .expect("the golden file is well formed");
    let (mut sum, mut n, mut max) = (0.0, 0, 0.0_f64);
    for case in &golden.cases {
        let mut cache = KvCache::new(llama.config(), case.prompt_ids.len() + case.greedy.len(), KvType::F16);
        let ids = [case.prompt_ids.as_slice(), &case.greedy].concat();
        let logits = llama.forward(&ids, &mut cache, Logits::All).expect("logits");
        let logprobs = candle_nn::ops::log_softmax(&logits, candle_core::D::Minus1).expect("logarithms");
        for (i, best) in case.top10_logprobs_f32.iter().enumerate() {
            let row = logprobs.get(case.prompt_ids.len() - 1 + i).and_then(|row| row.to_vec1::<f32>());
            let row = row.expect("a row for each position");
            for &(id, expected) in best {
                let off = (f64::from(row[id as usize]) - expected).abs();
                (sum, n, max) = (sum + off, n + 1, max.max(off));
            }
            if best[0].1 - best[1].1 > 0.5 {
                let first = (0..).zip(&row).max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id);
                assert_eq!(first, Some(best[0].0), "the choice at position {i} of `{}`", case.prompt);
            }
        }
    }
    let (mean, allowed) = (sum / f64::from(n), 1.1 * golden.llama_cpp_error_to_f32.mean_abs);
    println!("mean |difference| to float32 {mean:.5} ({allowed:.5} allowed), max {max:.5}");
    assert!(mean <= allowed && max <= 1.3, "mean {mean}, max {max}");

    let text: Perplexity =
        serde_json::from_str(include_str!("golden/smollm2-135m-instruct-q4_1.perplexity.json"))
            .expect("the golden file is well formed");
    for kv_type in [KvType::F16, KvType::Q8_0] {
        let options = ScoreOptions { kv_type, ..ScoreOptions::new(text.ids.len()) };
        let scores = tallow::score::score(&llama, &text.ids, options).expect("scores");
        assert_eq!(scores.logprobs.len(), text.ids.len());
        let perplexity = scores.perplexity();
        println!("{kv_type}: perplexity {perplexity:.4}, float32 {:.4}", text.perplexity_f32);
        assert!((perplexity / text.perplexity_f32 - 1.0).abs() <= 0.01, "{kv_type}: perplexity {perplexity}");
    }
}
