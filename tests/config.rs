//! A model's shape as its metadata and directory tell it, and each way they can be wrong.

use tallow::ErrorKind;
use tallow::gguf::{Array, Metadata, TensorInfo, TensorType, Value};
use tallow::model::{Config, KvCache, KvType, WeightsBuilder, Yarn};

/// The metadata of a small model, with `changes`; `None` leaves a key out.
fn metadata(changes: &[(&str, Option<Value>)]) -> Metadata {
    let text = |text: &str| Value::String(text.to_owned());
    let usual = [
        ("general.architecture", text("llama")),
        ("llama.context_length", Value::U32(128)),
        ("llama.embedding_length", Value::U32(64)),
        ("llama.block_count", Value::U32(1)),
        ("llama.feed_forward_length", Value::U32(96)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.tokens", Value::Array(Array::String(vec!["a".into(), "b".into(), "c".into()]))),
    ];
    let mut metadata = Metadata::default();
    for (key, value) in usual {
        if changes.iter().all(|(changed, _)| *changed != key) {
            metadata.insert(key.to_owned(), value).expect("each key once");
        }
    }
    for (key, value) in changes {
        if let Some(value) = value {
            metadata.insert((*key).to_owned(), value.clone()).expect("each key once");
        }
    }
    metadata
}

/// The tensors of that model.
fn directory() -> Vec<TensorInfo> {
    let shapes: [(&str, &[usize]); 11] = [
        ("token_embd.weight", &[3, 64]),
        ("output_norm.weight", &[64]),
        ("blk.0.attn_norm.weight", &[64]),
        ("blk.0.attn_q.weight", &[64, 64]),
        ("blk.0.attn_k.weight", &[32, 64]),
        ("blk.0.attn_v.weight", &[32, 64]),
        ("blk.0.attn_output.weight", &[64, 64]),
        ("blk.0.ffn_norm.weight", &[64]),
        ("blk.0.ffn_gate.weight", &[96, 64]),
        ("blk.0.ffn_up.weight", &[96, 64]),
        ("blk.0.ffn_down.weight", &[64, 96]),
    ];
    let info = |(name, shape): (&str, &[usize])| TensorInfo {
        name: name.to_owned(),
        dtype: TensorType::F32,
        shape: shape.to_vec(),
        offset: 0,
        n_bytes: 4 * shape.iter().product::<usize>() as u64,
    };
    shapes.into_iter().map(info).collect()
}

#[test]
fn what_a_file_leaves_out_follows_from_the_rest() {
    let config =
        Config::from_metadata(&metadata(&[("llama.attention.head_count_kv", None)])).expect("a config");
    assert_eq!((config.n_head_kv, config.head_dim, config.n_rot, config.n_vocab), (4, 16, 16, 3));
    assert_eq!((config.rope_freq_base, config.rope_freq_scale), (10_000.0, 1.0));
    assert_eq!((config.rope_attn_factor, config.yarn), (1.0, None));

    let scaled = [
        ("llama.rope.scaling.type", Some(Value::String("linear".into()))),
        ("llama.rope.scaling.factor", Some(Value::F32(4.0))),
        ("llama.attention.key_length", Some(Value::U32(24))),
        ("llama.attention.value_length", Some(Value::U32(24))),
        ("llama.rope.dimension_count", Some(Value::U32(8))),
    ];
    let config = Config::from_metadata(&metadata(&scaled)).expect("a config");
    assert_eq!((config.head_dim, config.n_rot, config.rope_freq_scale), (24, 8, 0.25));
}

#[test]
fn yarn_has_bounds_of_its_own() {
    let yarn = [
        ("llama.rope.scaling.type", Some(Value::String("yarn".into()))),
        ("llama.rope.scaling.factor", Some(Value::F32(4.0))),
        ("llama.rope.scaling.attn_factor", Some(Value::F32(0.5))),
    ];
    let config = Config::from_metadata(&metadata(&yarn)).expect("a config");
    assert_eq!((config.rope_freq_scale, config.rope_attn_factor), (0.25, 0.5));
    let trained = Yarn { n_ctx_orig: config.n_ctx_train, beta_fast: 32.0, beta_slow: 1.0 };
    assert_eq!(config.yarn, Some(trained));

    let bounds = [
        ("llama.rope.scaling.original_context_length", Some(Value::U32(32))),
        ("llama.rope.scaling.yarn_beta_fast", Some(Value::F32(16.0))),
        ("llama.rope.scaling.yarn_beta_slow", Some(Value::F32(2.0))),
    ];
    let config = Config::from_metadata(&metadata(&[yarn.as_slice(), &bounds].concat())).expect("a config");
    assert_eq!(config.yarn, Some(Yarn { n_ctx_orig: 32, beta_fast: 16.0, beta_slow: 2.0 }));
}

#[test]
fn counts_of_layers_may_be_given_for_each() {
    let two = [("llama.block_count", Some(Value::U32(2)))];
    let each = |array| Some(Value::Array(array));
    let lists = [
        ("llama.attention.head_count", each(Array::I32(vec![4, 4]))),
        ("llama.attention.head_count_kv", each(Array::U32(vec![2, 2]))),
        ("llama.feed_forward_length", each(Array::U64(vec![96, 96]))),
    ];
    let config = |changes: &[_]| Config::from_metadata(&metadata(changes)).expect("a config");
    assert_eq!(config(&[two.as_slice(), &lists].concat()), config(&two));
}

#[test]
fn a_shape_that_makes_no_sense_is_refused_by_name() {
    let u32 = |value| Some(Value::U32(value));
    let text = |text: &str| Some(Value::String(text.to_owned()));
    type Changes<'a> = &'a [(&'a str, Option<Value>)];
    let counts = |counts: &[i32]| Some(Value::Array(Array::I32(counts.to_vec())));
    let cases: [(Changes, ErrorKind, &str); 18] = [
        (
            &[("general.architecture", text("qwen2"))],
            ErrorKind::UnsupportedModel,
            "`general.architecture` is `qwen2`; Tallow runs `llama`",
        ),
        (
            &[("llama.expert_count", u32(8))],
            ErrorKind::UnsupportedModel,
            "`llama.expert_count` is 8; mixtures of experts are not supported",
        ),
        (
            &[("llama.rope.scaling.type", text("longrope"))],
            ErrorKind::UnsupportedModel,
            "`llama.rope.scaling.type` is `longrope`; Tallow scales positions `linear`, by `yarn` or not at all",
        ),
        (
            &[("llama.rope.scaling.factor", Some(Value::F32(1e-40)))],
            ErrorKind::InvalidModel,
            "metadata key `llama.rope.scaling.factor` should be at least 1.1754944e-38, but is 1e-40",
        ),
        (
            &[("llama.attention.value_length", u32(8))],
            ErrorKind::UnsupportedModel,
            "`llama.attention.value_length` is 8, but keys are 16 wide; both must be the same",
        ),
        (
            &[("llama.block_count", None)],
            ErrorKind::InvalidModel,
            "metadata key `llama.block_count` is missing",
        ),
        (
            &[("llama.block_count", u32(0))],
            ErrorKind::InvalidModel,
            "metadata key `llama.block_count` should be in 1..=1048576, but is 0",
        ),
        (
            &[("llama.embedding_length", text("wide"))],
            ErrorKind::InvalidModel,
            "metadata key `llama.embedding_length` should be of type u32, but is string",
        ),
        (
            &[("llama.attention.head_count_kv", u32(3))],
            ErrorKind::InvalidModel,
            "`llama.attention.head_count_kv` should divide the 4 query heads, but is 3",
        ),
        (
            &[("llama.embedding_length", u32(66))],
            ErrorKind::InvalidModel,
            "`llama.attention.key_length` is missing and the width 66 is no multiple of 4 heads",
        ),
        (
            &[("llama.rope.dimension_count", u32(17))],
            ErrorKind::InvalidModel,
            "`llama.rope.dimension_count` should be even and at most 16, but is 17",
        ),
        (
            &[("llama.attention.layer_norm_rms_epsilon", Some(Value::F32(f32::NAN)))],
            ErrorKind::InvalidModel,
            "metadata key `llama.attention.layer_norm_rms_epsilon` should be positive and finite, but is NaN",
        ),
        (
            &[("llama.rope.freq_base", Some(Value::F32(-1.0)))],
            ErrorKind::InvalidModel,
            "metadata key `llama.rope.freq_base` should be positive and finite, but is -1",
        ),
        (
            &[("llama.block_count", u32(2)), ("llama.attention.head_count_kv", counts(&[2, 4]))],
            ErrorKind::UnsupportedModel,
            "`llama.attention.head_count_kv` is 2 in one layer and 4 in another; Tallow runs models whose layers are alike",
        ),
        (
            &[("llama.block_count", u32(2)), ("llama.feed_forward_length", counts(&[96]))],
            ErrorKind::InvalidModel,
            "metadata key `llama.feed_forward_length` should be a u32, or hold one for each of 2 layers, but is an array of i32 of length 1",
        ),
        (
            &[("llama.attention.head_count", Some(Value::Array(Array::F32(vec![4.0]))))],
            ErrorKind::InvalidModel,
            "metadata key `llama.attention.head_count` should be a u32, or hold one for each of 1 layers, but is an array of f32 of length 1",
        ),
        (
            &[("llama.block_count", u32(2)), ("llama.attention.head_count", counts(&[-4, -4]))],
            ErrorKind::InvalidModel,
            "metadata key `llama.attention.head_count` should be in 1..=1048576, but is -4",
        ),
        // On 32 bits the product would wrap to the width 65536.
        (
            &[
                ("llama.attention.head_count", u32(65_537)),
                ("llama.attention.head_count_kv", u32(1)),
                ("llama.attention.key_length", u32(65_536)),
            ],
            ErrorKind::InvalidModel,
            "65537 heads of width 65536 are wider than 1048576",
        ),
    ];
    for (changes, kind, detail) in cases {
        let error = Config::from_metadata(&metadata(changes)).expect_err(detail);
        assert_eq!((error.kind(), error.detail()), (kind, detail));
    }
}

#[test]
fn a_directory_that_is_no_llamas_is_refused_by_name() {
    let config = || Config::from_metadata(&metadata(&[])).expect("a config");
    let begin = |tensors: &[TensorInfo]| WeightsBuilder::new(config(), tensors.len())?.begin_file(tensors);
    assert!(begin(&directory()).is_ok());

    type Change = fn(&mut Vec<TensorInfo>);
    let cases: [(Change, ErrorKind, &str); 4] = [
        (
            |tensors| drop(tensors.remove(3)),
            ErrorKind::InvalidModel,
            "tensor `blk.0.attn_q.weight` is missing",
        ),
        (
            |tensors| tensors[4].shape = vec![64, 64],
            ErrorKind::InvalidModel,
            "tensor `blk.0.attn_k.weight` should have the shape [32, 64], but has [64, 64]",
        ),
        (
            |tensors| tensors[2].name = "blk.0.attn_gate.weight".to_owned(),
            ErrorKind::UnsupportedModel,
            "tensor `blk.0.attn_gate.weight` is no part of the Llama architecture as Tallow runs it",
        ),
        (
            |tensors| tensors[3].dtype = TensorType::IQ3_S,
            ErrorKind::UnsupportedModel,
            "tensor `blk.0.attn_q.weight` is of type IQ3_S, which is not supported",
        ),
    ];
    for (change, kind, detail) in cases {
        let mut tensors = directory();
        change(&mut tensors);
        let error = begin(&tensors).expect_err(detail);
        assert_eq!((error.kind(), error.detail()), (kind, detail));
    }
}

#[test]
fn keys_and_values_that_cannot_be_allocated_are_refused() {
    // On 32 bits their bytes would wrap to 0.
    let wide = [
        ("llama.block_count", Some(Value::U32(4))),
        ("llama.attention.head_count", Some(Value::U32(32_768))),
        ("llama.attention.head_count_kv", Some(Value::U32(32_768))),
        ("llama.attention.key_length", Some(Value::U32(32))),
    ];
    let config = Config::from_metadata(&metadata(&wide)).expect("the counts themselves are allowed");
    assert_eq!(KvCache::n_bytes(&config, 256, KvType::F16), 1 << 32);
    assert_eq!(KvCache::n_bytes(&config, 257, KvType::F32), 1 << 34);
    let error = WeightsBuilder::new(config, 38).map(drop).expect_err("a block is too large");
    // As f32.
    let detail = "`KV cache` needs 8589934592 bytes, which could not be allocated";
    assert_eq!((error.kind(), error.detail()), (ErrorKind::OutOfMemory, detail));
}

#[test]
fn a_tensor_of_two_files_is_refused_as_one_that_occurs_twice() {
    let config = Config::from_metadata(&metadata(&[])).expect("a config");
    let (tensors, detail) = (directory(), "tensor `blk.0.attn_k.weight` occurs twice");
    let mut weights = WeightsBuilder::new(config, 12).expect("there are enough tensors");
    weights.begin_file(&tensors[..5]).expect("the first five");
    let error = weights.begin_file(&tensors[4..]).expect_err(detail);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidModel, detail));
}

#[test]
fn blocks_without_tensors_cost_no_memory() {
    let many = metadata(&[("llama.block_count", Some(Value::U32(1 << 20)))]);
    let config = Config::from_metadata(&many).expect("the count itself is allowed");
    let error = WeightsBuilder::new(config, directory().len()).expect_err("there are eleven tensors");
    assert_eq!(error.detail(), "`block_count` is 1048576, but the file has only 11 tensors");

    // A layer has nine tensors at least.
    let many = metadata(&[("llama.block_count", Some(Value::U32(1 << 16)))]);
    let config = Config::from_metadata(&many).expect("the count itself is allowed");
    let error = WeightsBuilder::new(config, 9 * (1 << 16) - 1).map(drop).expect_err("one too few");
    assert_eq!(error.detail(), "`block_count` is 65536, but the file has only 589823 tensors");
}
