//! Loading as the npm package does it: from whole files, from packed weights that were kept, from split files; and what is
//! told, or refused, by headers alone.

#[path = "gguf/builder.rs"]
#[allow(dead_code)] // The rest is for the parser's tests.
mod builder;

use builder::Gguf;
use std::ops::Range;
use std::sync::Arc;
use tallow::gguf::{Header, Parser, Sink};
use tallow::inspect::{Inspection, Inspector, Problem};
use tallow::load::{LoadOptions, Loaded, Loader};
use tallow::model::{KvType, MemoryNeed};
use tallow::score::{ScoreOptions, score};
use tallow::threads::Pool;
use tallow::{Error, ErrorKind};

/// Numbers of value types and of a tensor type, which the builder has no names for.
const U16: u32 = 2;
const I32: u32 = 5;
const TENSOR_I32: u32 = 26;

macro_rules! tiny {
    ($name:literal) => {
        include_bytes!(concat!("golden/tiny/tiny-", $name, ".gguf")).as_slice()
    };
}

const Q4_0: &[u8] = tiny!("Q4_0");

/// Every tiny model: its name and its file.
fn tiny_models() -> Vec<(String, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny");
    let entries = std::fs::read_dir(directory).expect("the tiny models are there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let models: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "gguf"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("the file is read")))
        .collect();
    assert_eq!(models.len(), 16);
    models
}

fn loader(options: LoadOptions) -> Loader {
    Loader::with_options(options, Arc::new(Pool::single()))
}

fn packed() -> LoadOptions {
    LoadOptions { packed: true, ..LoadOptions::default() }
}

/// Loads a model of these `files`, in odd pieces.
fn load(files: &[Vec<u8>]) -> tallow::Result<Loaded> {
    let mut loader = Loader::new();
    push_files(&mut loader, files, |_| ())?;
    loader.finish()
}

/// Pushes `files` in odd pieces, with `after` each.
fn push_files(
    loader: &mut Loader,
    files: &[Vec<u8>],
    mut after: impl FnMut(&mut Loader),
) -> tallow::Result<()> {
    for (i, file) in files.iter().enumerate() {
        if i > 0 {
            loader.next_file()?;
        }
        for piece in file.chunks(4093) {
            loader.push(piece)?;
            after(loader);
        }
    }
    Ok(())
}

/// The logits that tell one model from another.
fn scores(loaded: &Loaded) -> [Vec<f32>; 2] {
    let ids = [1, 200, 17, 42, 3, 99];
    let scores = score(&loaded.llama, &ids, ScoreOptions::new(ids.len())).expect("scores");
    [scores.logprobs[1..].to_vec(), scores.logits_last]
}

fn header(file: &[u8]) -> Header {
    struct Ignore;
    impl Sink for Ignore {
        fn header(&mut self, _header: &Header) -> tallow::Result<()> {
            Ok(())
        }

        fn tensor_data(&mut self, _index: usize, _at: u64, _bytes: &[u8]) -> tallow::Result<()> {
            Ok(())
        }
    }
    let mut parser = Parser::new();
    parser.push(file, &mut Ignore).expect("the file is read");
    parser.finish().expect("the file is whole")
}

/// The bytes before the tensors' data.
fn header_bytes(file: &[u8]) -> &[u8] {
    &file[..header(file).data_offset as usize]
}

/// What a refusal says.
fn refusal<T>(result: tallow::Result<T>) -> (ErrorKind, String) {
    let error: Error = result.err().expect("it is refused");
    (error.kind(), error.detail().to_owned())
}

fn invalid_model(detail: &str) -> (ErrorKind, String) {
    (ErrorKind::InvalidModel, detail.to_owned())
}

/// Loads a model and keeps its packed weights.
fn load_and_keep(files: &[Vec<u8>]) -> (Loaded, Vec<u8>) {
    let (mut loader, mut kept) = (Loader::new(), Vec::new());
    let drain = |loader: &mut Loader| {
        while let Some(bytes) = loader.take_packed() {
            kept.extend_from_slice(bytes);
        }
    };
    push_files(&mut loader, files, drain).expect("the files are read");
    assert_eq!(kept.len() as u64, loader.packed_bytes());
    (loader.finish().expect("the model loads"), kept)
}

/// A loader that has had the headers of `files`, and no weights.
fn headers_only(files: &[Vec<u8>]) -> Loader {
    let mut loader = loader(packed());
    let headers: Vec<Vec<u8>> = files.iter().map(|file| header_bytes(file).to_vec()).collect();
    push_files(&mut loader, &headers, |_| ()).expect("the headers are read");
    loader
}

fn load_packed(files: &[Vec<u8>], kept: &[u8]) -> tallow::Result<Loaded> {
    let mut loader = headers_only(files);
    for piece in kept.chunks(1009) {
        loader.push_packed(piece)?;
    }
    loader.finish()
}

#[test]
fn packed_weights_give_the_same_model_another_time() {
    for (name, file) in tiny_models() {
        let files = [file];
        let (loaded, kept) = load_and_keep(&files);
        let again = load_packed(&files, &kept).expect(&name);
        assert!(scores(&again) == scores(&loaded), "{name}");
        assert_eq!((again.info, again.n_ctx), (loaded.info, loaded.n_ctx), "{name}");
    }
}

#[test]
fn packed_weights_that_are_not_all_or_too_many_are_refused() {
    let files = [Q4_0.to_vec()];
    let (_, kept) = load_and_keep(&files);
    let mut loader = headers_only(&files);
    loader.push_packed(&kept).expect("all of them");
    let too_many = (ErrorKind::IntegrityError, "there are bytes after the last packed tensor".to_owned());
    assert_eq!(refusal(loader.push_packed(&[0])), too_many);
    assert_eq!(refusal(load_packed(&files, &[kept.as_slice(), &[0; 3]].concat())), too_many);

    let last = invalid_model("tensor `blk.1.ffn_up.weight` is missing");
    assert_eq!(refusal(load_packed(&files, &kept[..kept.len() - 1])), last);
    assert_eq!(refusal(load_packed(&files, &[])), invalid_model("tensor `output.weight` is missing"));

    // A Llama may do without `output.weight`; this one may not, even where it comes last.
    let files = split(Q4_0, &[(0..22).rev().collect()]);
    let (loaded, kept) = load_and_keep(&files);
    assert!(scores(&loaded) == scores(&load(&[Q4_0.to_vec()]).expect("the model loads")));
    let last = invalid_model("tensor `output.weight` is missing");
    assert_eq!(refusal(load_packed(&files, &kept[..kept.len() - 1])), last);
}

#[test]
fn packed_weights_come_after_the_header_and_only_where_they_were_announced() {
    let too_early = (ErrorKind::Internal, "packed weights came before the header".to_owned());
    assert_eq!(refusal(loader(packed()).push_packed(&[1, 2, 3])), too_early);
    let mut unannounced = Loader::new();
    unannounced.push(header_bytes(Q4_0)).expect("the header is good");
    assert_eq!(refusal(unannounced.push_packed(&[1, 2, 3])).0, ErrorKind::Internal);
    let detail = "packed weights came to a loader without the option `packed`".to_owned();
    assert_eq!(refusal(unannounced.push_packed(&[1, 2, 3])), (ErrorKind::Internal, detail));
}

#[test]
fn a_files_data_is_not_taken_for_packed_weights() {
    let mut loader = loader(packed());
    let header = header_bytes(Q4_0);
    loader.push(header).expect("the header is good");
    let detail = "tensor data came to a loader with the option `packed`".to_owned();
    assert_eq!(refusal(loader.push(&Q4_0[header.len()..][..33])), (ErrorKind::Internal, detail));
}

/// Where `needle` first lies in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).expect("it is there")
}

/// `text` as GGUF has it: its length, its bytes.
fn gguf_string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// `model` in as many files as `parts`, which say by index what tensors each has, as `gguf-split` of llama.cpp writes
/// them: the first has all metadata, each has the numbers of the split, and offsets begin at 0 in each.
fn split(model: &[u8], parts: &[Vec<usize>]) -> Vec<Vec<u8>> {
    let Header { metadata, tensors, data_offset, .. } = header(model);
    let entries: Vec<Range<usize>> = tensors
        .iter()
        .map(|tensor| {
            let start = find(model, &gguf_string(&tensor.name));
            start..start + 8 + tensor.name.len() + 4 + 8 * tensor.shape.len() + 4 + 8
        })
        .collect();
    let pairs = &model[24..entries[0].start];
    let part = |(no, indices): (usize, &Vec<usize>)| {
        let (pairs, n_pairs) = if no == 0 { (pairs, metadata.len()) } else { (&[][..], 0) };
        let mut file = Gguf::new(indices.len() as u64, n_pairs as u64 + 3)
            .bytes(pairs)
            .key("split.no", U16)
            .bytes(&(no as u16).to_le_bytes())
            .key("split.count", U16)
            .bytes(&(parts.len() as u16).to_le_bytes())
            .key("split.tensors.count", I32)
            .bytes(&(tensors.len() as i32).to_le_bytes());
        let mut offset = 0;
        for &index in indices {
            let entry = &model[entries[index].clone()];
            file = file.bytes(&entry[..entry.len() - 8]).u64(offset);
            offset += tensors[index].n_bytes.next_multiple_of(32);
        }
        file = file.pad(32);
        for &index in indices {
            let start = (data_offset + tensors[index].offset) as usize;
            file = file.bytes(&model[start..][..tensors[index].n_bytes as usize]).pad(32);
        }
        file.finish()
    };
    parts.iter().enumerate().map(part).collect()
}

/// The model in three parts.
fn three_parts() -> Vec<Vec<u8>> {
    split(Q4_0, &[(0..5).collect(), (5..14).collect(), (14..22).collect()])
}

#[test]
fn a_split_model_is_the_whole_one() {
    let whole = load(&[Q4_0.to_vec()]).expect("the model loads");
    let splits = [
        three_parts(),
        split(Q4_0, &[vec![], (0..11).collect(), (11..22).collect()]),
        split(Q4_0, &[(0..22).collect()]),
        split(Q4_0, &(0..22).map(|index| vec![index]).collect::<Vec<_>>()),
    ];
    for files in splits {
        let n_files = files.len();
        let (loaded, kept) = load_and_keep(&files);
        assert!(scores(&loaded) == scores(&whole), "{n_files} files");
        assert_eq!(loaded.info.parameters, whole.info.parameters, "{n_files} files");
        assert_eq!(loaded.info.quantization, whole.info.quantization, "{n_files} files");
        let again = load_packed(&files, &kept).expect("the model loads");
        assert!(scores(&again) == scores(&whole), "{n_files} files, packed");
        assert_eq!(again.info, loaded.info, "{n_files} files, packed");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let files = three_parts();
    let two = split(Q4_0, &[(0..5).collect(), (5..22).collect()]);
    let part = |i: usize| files[i].clone();
    let cases = [
        (
            "another order",
            vec![part(0), part(2), part(1)],
            "the file should be part 2 of 3, but is part 3 of 3",
        ),
        (
            "another first",
            vec![part(1), part(0), part(2)],
            "the file should be part 1 of 3, but is part 2 of 3",
        ),
        ("no first", vec![part(1), part(2)], "the file should be part 1 of 3, but is part 2 of 3"),
        ("one twice", vec![part(0), part(0), part(2)], "the file should be part 2 of 3, but is part 1 of 3"),
        (
            "the last twice",
            vec![part(0), part(1), part(1)],
            "the file should be part 3 of 3, but is part 2 of 3",
        ),
        ("no last", vec![part(0), part(1)], "the model should be 3 files, but there are 2"),
        ("only the first", vec![part(0)], "the model should be 3 files, but there are 1"),
        (
            "one too many",
            vec![part(0), part(1), part(2), part(2)],
            "the model should be 3 files, but there is another",
        ),
        (
            "more after a whole",
            vec![Q4_0.to_vec(), part(1)],
            "the model should be 1 files, but there is another",
        ),
        (
            "another split's",
            vec![part(0), two[1].clone()],
            "the file should be part 2 of 3, but is part 2 of 2",
        ),
        ("a whole model", vec![part(0), Q4_0.to_vec()], "the file should be part 2 of 3, but is part 1 of 1"),
    ];
    for (name, files, detail) in cases {
        assert_eq!(refusal(load(&files)), invalid_model(detail), "{name}");
    }
}

#[test]
fn a_part_with_the_largest_number_is_named_as_it_is() {
    let header = Gguf::new(0, 3)
        .key("split.no", builder::value_type::U32)
        .u32(u32::MAX)
        .key("split.count", builder::value_type::U32)
        .u32(3)
        .key("split.tensors.count", builder::value_type::U32)
        .u32(22)
        .finish_with_data(0);
    let detail = "the file should be part 1 of 3, but is part 4294967296 of 3";
    assert_eq!(refusal(Loader::new().push(&header)), invalid_model(detail));
}

#[test]
fn parts_list_as_many_tensors_as_the_first_says() {
    let counted = |files: Vec<Vec<u8>>, n| -> Vec<Vec<u8>> {
        files.iter().map(|file| with_u32(file, "split.tensors.count", n)).collect()
    };
    let more = "the model should have 23 tensors, but its files list 22";
    let fewer = "the model should have 21 tensors, but its files list 22";
    // `output.weight`, which a Llama may do without, is the first.
    let (parts, rest) = ([(1..5).collect(), (5..14).collect(), (14..22).collect()], [(1..22).collect()]);
    let without = "the model should have 22 tensors, but its files list 21";
    let cases = [
        (counted(three_parts(), 23), more),
        (counted(three_parts(), 21), fewer),
        (counted(split(Q4_0, &[(0..22).collect()]), 23), more),
        (counted(split(Q4_0, &[(0..22).collect()]), 21), fewer),
        (split(Q4_0, &parts), without),
        (split(Q4_0, &rest), without),
    ];
    for (files, detail) in cases {
        let told = inspect(&files, &LoadOptions::default()).problem;
        assert_eq!(told.map(|problem| problem.message).as_deref(), Some(detail));
        // By the last header, before its data.
        let mut loader = Loader::new();
        let (last, others) = files.split_last().expect("a file");
        push_files(&mut loader, others, |_| ()).expect("nothing is wrong yet");
        if !others.is_empty() {
            loader.next_file().expect("there is another");
        }
        assert_eq!(refusal(loader.push(header_bytes(last))), invalid_model(detail));
    }
}

#[test]
fn a_part_that_ends_early_is_refused_before_the_next() {
    let files = three_parts();
    let mut loader = Loader::new();
    loader.push(&files[0][..files[0].len() - 33]).expect("nothing is wrong yet");
    let detail =
        "tensor `blk.0.attn_k.weight` should have 18432 bytes, but the file ends after its first 18399";
    assert_eq!(refusal(loader.next_file()), invalid_model(detail));
}

/// The model with the four bytes behind `key` and its type replaced.
fn with_u32(model: &[u8], key: &str, value: u32) -> Vec<u8> {
    let mut model = model.to_vec();
    let at = find(&model, &gguf_string(key)) + 8 + key.len() + 4;
    model[at..at + 4].copy_from_slice(&value.to_le_bytes());
    model
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

/// What the headers of `files` tell, pushed in small pieces.
fn inspect(files: &[Vec<u8>], options: &LoadOptions) -> Inspection {
    let mut inspector = Inspector::new();
    for file in files {
        let mut pieces = header_bytes(file).chunks(101);
        assert!(pieces.any(|piece| inspector.push(piece).expect("the header is good")));
        assert_eq!(inspector.n_files(), Some(files.len()));
    }
    inspector.finish(options).expect("there is something to tell")
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
    let long = LoadOptions { n_ctx: Some(N_CTX_TRAIN + 1), ..LoadOptions::default() };
    let without_kernels = with_type(Q4_0, "output_norm.weight", 1, TENSOR_I32);
    let cases = [
        ("out_of_memory", good(), little.clone()),
        ("out_of_memory", three_parts(), little),
        ("invalid_request", good(), long),
        ("unsupported_model", vec![with_architecture(Q4_0, "qwen2")], LoadOptions::default()),
        ("unsupported_model", vec![without_kernels.clone()], LoadOptions::default()),
        ("invalid_model", vec![with_u32(Q4_0, "llama.block_count", 3)], LoadOptions::default()),
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
