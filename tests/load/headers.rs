//! What headers alone tell, or are refused for; and numbers that are none.

use crate::{
    Q4_0, find, gguf_string, header, header_bytes, inspect, invalid_model, load, load_and_keep, loader,
    push_files, refusal, three_parts, tiny_models, with_u32,
};
use tallow::ErrorKind;
use tallow::gguf::Header;
use tallow::inspect::{Inspector, Problem};
use tallow::load::{LoadOptions, Loader};
use tallow::model::{KvType, MemoryNeed};

/// The number of a tensor type, which the builder has no name for.
const TENSOR_I32: u32 = 26;

macro_rules! tiny {
    ($name:literal) => {
        include_bytes!(concat!("../golden/tiny/tiny-", $name, ".gguf")).as_slice()
    };
}

/// The model with another type of the tensor `name`, of `n_dims` dimensions.
fn with_type(model: &[u8], name: &str, n_dims: usize, type_id: u32) -> Vec<u8> {
    let mut model = model.to_vec();
    let at = find(&model, &gguf_string(name)) + 8 + name.len() + 4 + 8 * n_dims;
    model[at..at + 4].copy_from_slice(&type_id.to_le_bytes());
    model
}

/// The model with another architecture, whose name is as long as `llama`.
fn with_architecture(model: &[u8], architecture: &str) -> Vec<u8> {
    let (header_len, mut model) = (header_bytes(model).len(), model.to_vec());
    let key = gguf_string("general.architecture");
    let value = find(&model, &key) + key.len() + 4 + 8;
    let prefixes = (0..header_len - 6).filter(|&at| &model[at..at + 6] == b"llama.");
    for at in prefixes.chain([value]).collect::<Vec<_>>() {
        model[at..at + 5].copy_from_slice(architecture.as_bytes());
    }
    model
}

/// A context as long as trained: 512 tokens.
const N_CTX_TRAIN: usize = 512;
/// Keys and values of two layers, of two heads of width 64, as f16.
const KV_BYTES_PER_TOKEN: u64 = 2 * 2 * 2 * 64 * 2;

#[test]
fn what_memory_does_not_hold_is_refused_by_the_header() {
    let whole = [Q4_0.to_vec()];
    let memory = inspect(&whole, &LoadOptions::default()).memory.expect("it is known");
    let limited = |limit| LoadOptions { memory_limit: Some(limit), ..LoadOptions::default() };
    let mut enough = loader(limited(memory.total()));
    enough.push(Q4_0).expect("there is room");
    enough.finish().expect("the model loads");

    let limit = memory.total() - 1;
    let detail = format!(
        "the model needs {} bytes ({} for its weights, {} for the KV cache of a full context, {} for the rest), but there can \
         be only {limit}",
        memory.total(),
        memory.weights,
        KV_BYTES_PER_TOKEN * N_CTX_TRAIN as u64,
        memory.rest
    );
    let refused = (ErrorKind::OutOfMemory, detail);
    assert_eq!(refusal(loader(limited(limit)).push(header_bytes(Q4_0))), refused);
    let packed = LoadOptions { packed: true, ..limited(limit) };
    assert_eq!(refusal(loader(packed).push(header_bytes(Q4_0))), refused);

    // A split model is refused by the last header: what the first holds fits.
    let files = three_parts();
    let total = inspect(&files, &LoadOptions::default()).memory.expect("it is known").total();
    let mut loader = loader(limited(total - 1));
    let read = push_files(&mut loader, &files[..2], |_| ());
    read.and_then(|()| loader.next_file()).expect("two parts fit");
    assert_eq!(refusal(loader.push(header_bytes(&files[2]))).0, ErrorKind::OutOfMemory);
}

#[test]
fn a_context_is_as_long_as_trained_or_4096_unless_asked_otherwise() {
    let n_ctx = |file: &[u8], wanted: Option<usize>| {
        let mut loader = loader(LoadOptions { n_ctx: wanted, ..LoadOptions::default() });
        loader.push(file)?;
        Ok(loader.finish()?.n_ctx)
    };
    let long = with_u32(Q4_0, "llama.context_length", 8192);
    for (file, wanted, expected) in [
        (Q4_0, None, N_CTX_TRAIN),
        (Q4_0, Some(N_CTX_TRAIN), N_CTX_TRAIN),
        (Q4_0, Some(1), 1),
        (&long, None, 4096),
        (&long, Some(8192), 8192),
    ] {
        assert_eq!(n_ctx(file, wanted).expect("it is no more than trained"), expected);
    }
    for wanted in [0, N_CTX_TRAIN + 1, usize::MAX] {
        let refused = format!("the context length should be in 1..=512, got {wanted}");
        let header = header_bytes(Q4_0);
        assert_eq!(refusal(n_ctx(header, Some(wanted))), (ErrorKind::InvalidRequest, refused));
    }
}

/// What loading a model of these `files` is refused with.
fn problem(files: &[Vec<u8>], options: &LoadOptions) -> Option<Problem> {
    let mut loader = loader(options.clone());
    let error = push_files(&mut loader, files, |_| ()).and_then(|()| loader.finish()).err()?;
    Some(Problem { code: error.kind().code(), message: error.detail().to_owned() })
}

#[test]
fn headers_tell_what_loading_brings() {
    for (name, file) in tiny_models() {
        let files = [file];
        let (loaded, kept) = load_and_keep(&files);
        let inspection = inspect(&files, &LoadOptions::default());
        assert_eq!(inspection.info, loaded.info, "{name}");
        assert_eq!(inspection.file_bytes, files[0].len() as u64, "{name}");
        assert_eq!((inspection.context_length, inspection.problem), (Some(N_CTX_TRAIN), None), "{name}");
        let memory = inspection.memory.expect("it is known");
        assert_eq!(memory.weights, kept.len() as u64, "{name}");
        assert_eq!(memory.kv_cache, KV_BYTES_PER_TOKEN * N_CTX_TRAIN as u64, "{name}");
        assert_eq!(memory.total(), memory.weights + memory.kv_cache + memory.rest, "{name}");

        let short = inspect(&files, &LoadOptions { n_ctx: Some(100), ..LoadOptions::default() });
        assert_eq!((short.context_length, short.problem), (Some(100), None), "{name}");
        // Positions come in blocks of 256.
        let kv_cache = KV_BYTES_PER_TOKEN * 256;
        assert_eq!(short.memory, Some(MemoryNeed { kv_cache, ..memory }), "{name}");
        let exact = LoadOptions { n_ctx: Some(100), kv_type: KvType::F32, ..LoadOptions::default() };
        let kv_cache = 2 * kv_cache;
        assert_eq!(inspect(&files, &exact).memory, Some(MemoryNeed { kv_cache, ..memory }), "{name}");
    }
}

#[test]
fn the_headers_of_a_split_model_tell_of_all_its_files() {
    let files = three_parts();
    let (loaded, kept) = load_and_keep(&files);
    let inspection = inspect(&files, &LoadOptions::default());
    assert_eq!((&inspection.info, inspection.problem), (&loaded.info, None));
    assert_eq!(inspection.file_bytes, files.iter().map(|file| file.len() as u64).sum::<u64>());
    assert_eq!(inspection.memory.map(|memory| memory.weights), Some(kept.len() as u64));

    let wrong = [files[0].clone(), files[2].clone(), files[1].clone()];
    let told = inspect(&wrong, &LoadOptions::default()).problem;
    assert_eq!(told.as_ref().map(|problem| problem.code), Some("invalid_model"));
    assert_eq!(told, problem(&wrong, &LoadOptions::default()));
}

#[test]
fn the_header_of_one_part_tells_that_there_are_others() {
    let files = three_parts();
    let alone = |file: &[u8]| {
        let mut inspector = Inspector::new();
        assert!(inspector.push(header_bytes(file)).expect("the header is good"));
        inspector.finish(&LoadOptions::default())
    };
    let first = alone(&files[0]).expect("the first tells of the model");
    assert_eq!(first.problem, problem(&files[..1], &LoadOptions::default()));

    let mut cut = Inspector::new();
    assert!(cut.push(header_bytes(&files[0])).expect("the header is good"));
    assert!(!cut.push(&files[1][..50]).expect("nothing is wrong yet"));
    let (kind, detail) = refusal(cut.finish(&LoadOptions::default()));
    assert_eq!(kind, ErrorKind::InvalidModel);
    assert!(detail.ends_with("should be complete, but the file ends after 50 bytes"), "{detail}");

    let refused = invalid_model("the file should be part 1 of 3, but is part 2 of 3");
    assert_eq!(refusal(alone(&files[1])), refused);
}

#[test]
fn headers_tell_what_loading_is_refused_with() {
    let good = || vec![Q4_0.to_vec()];
    let little = LoadOptions { memory_limit: Some(1 << 20), ..LoadOptions::default() };
    let large = LoadOptions { memory_limit: Some(1 << 32), ..LoadOptions::default() };
    let long = LoadOptions { n_ctx: Some(N_CTX_TRAIN + 1), ..LoadOptions::default() };
    let without_kernels = with_type(Q4_0, "output_norm.weight", 1, TENSOR_I32);
    let cases = [
        ("out_of_memory", good(), little.clone()),
        ("out_of_memory", three_parts(), little),
        ("invalid_request", good(), long),
        ("unsupported_model", vec![with_architecture(Q4_0, "qwen2")], LoadOptions::default()),
        ("unsupported_model", vec![without_kernels.clone()], LoadOptions::default()),
        ("invalid_model", vec![with_u32(Q4_0, "llama.block_count", 3)], LoadOptions::default()),
        // What there is not needs no memory.
        ("invalid_model", vec![with_u32(Q4_0, "llama.block_count", 1_000_000)], large),
    ];
    for (code, files, options) in cases {
        let told = inspect(&files, &options).problem;
        assert_eq!(told.as_ref().map(|problem| problem.code), Some(code), "{told:?}");
        assert_eq!(told, problem(&files, &options), "{code}");
    }
    let other = inspect(&[with_architecture(Q4_0, "qwen2")], &LoadOptions::default());
    assert_eq!((other.info.architecture.as_str(), other.info.trained_context_length), ("qwen2", 512));
    assert_eq!((other.context_length, other.memory), (None, None));
    // A tensor without kernels counts as it is: 256 elements of four bytes, packed or not.
    let whole = inspect(&good(), &LoadOptions::default());
    let other = inspect(&[without_kernels], &LoadOptions::default());
    assert_eq!((other.memory, other.info.quantization["I32"]), (whole.memory, 256));
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    // Where in a tensor's last block a number or a scale is, in how many bytes.
    let f32_at = |at: usize| (at, [f32::NAN, f32::INFINITY].map(|bad| bad.to_le_bytes().to_vec()));
    let f16_at = |at: usize| (at, [[0x00, 0x7E], [0x00, 0xFC]].map(|bad| bad.to_vec()));
    let bf16_at = |at: usize| (at, [[0xC0, 0x7F], [0x80, 0xFF]].map(|bad| bad.to_vec()));
    let matrix = "blk.1.attn_k.weight";
    let mut cases = vec![(Q4_0, "blk.1.ffn_norm.weight", f32_at(0)), (Q4_0, "rope_freqs.weight", f32_at(0))];
    for (file, places) in [
        (tiny!("F32"), vec![f32_at(0)]),
        (tiny!("F16"), vec![f16_at(0)]),
        (tiny!("BF16"), vec![bf16_at(0)]),
        (tiny!("Q4_0"), vec![f16_at(0)]),
        (tiny!("Q4_1"), vec![f16_at(0), f16_at(2)]),
        (tiny!("Q5_0"), vec![f16_at(0)]),
        (tiny!("Q5_1"), vec![f16_at(0), f16_at(2)]),
        (tiny!("Q8_0"), vec![f16_at(0)]),
        (tiny!("Q2_K"), vec![f16_at(80), f16_at(82)]),
        (tiny!("Q3_K_M"), vec![f16_at(108)]),
        (tiny!("Q4_K_M"), vec![f16_at(0), f16_at(2)]),
        (tiny!("Q5_K_M"), vec![f16_at(0), f16_at(2)]),
        (tiny!("Q6_K"), vec![f16_at(208)]),
        (tiny!("IQ4_NL"), vec![f16_at(0)]),
        (tiny!("IQ4_XS"), vec![f16_at(0)]),
    ] {
        cases.extend(places.into_iter().map(|place| (file, matrix, place)));
    }
    for (good, name, (at, bad)) in cases {
        let Header { tensors, data_offset, .. } = header(good);
        let info = tensors.iter().find(|info| info.name == name).expect(name);
        let end = data_offset + info.offset + info.n_bytes;
        for bad in bad {
            let mut file = good.to_vec();
            let at = end as usize - info.dtype.block_bytes() + at;
            file[at..at + bad.len()].copy_from_slice(&bad);
            let detail = format!("tensor `{name}` should hold finite numbers, but one is not");
            let what = format!("{}, {bad:?} at {at}", info.dtype.name());
            println!("{what}");
            assert_eq!(refusal(load(&[file])), invalid_model(&detail), "{what}");
        }
    }
}

#[test]
fn what_is_no_model_is_refused_at_once() {
    let detail = "the file should begin with `GGUF`, but begins with `<!DO`";
    assert_eq!(refusal(Inspector::new().push(b"<!DOCTYPE html>")), invalid_model(detail));
    assert_eq!(refusal(Loader::new().push(b"<!DOCTYPE html>")), invalid_model(detail));

    let mut cut = Inspector::new();
    assert!(!cut.push(&header_bytes(Q4_0)[..1000]).expect("nothing is wrong yet"));
    let (kind, detail) = refusal(cut.finish(&LoadOptions::default()));
    assert_eq!(kind, ErrorKind::InvalidModel);
    assert!(detail.ends_with("should be complete, but the file ends after 1000 bytes"), "{detail}");
    assert_eq!(refusal(Inspector::new().finish(&LoadOptions::default())).0, ErrorKind::InvalidModel);
}
