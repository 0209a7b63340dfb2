//! Loading as the npm package does it: from whole files, from packed weights that were kept, from split files; and what is
//! told, or refused, by headers alone.

#[path = "../gguf/builder.rs"]
#[allow(dead_code)] // The rest is for the parser's tests.
mod builder;
mod headers;
mod packed;
mod split;
#[path = "../vocab/mod.rs"]
#[allow(dead_code)] // The rest is for the tokenizers' tests.
mod vocab;

use builder::Gguf;
use std::ops::Range;
use std::sync::Arc;
use tallow::gguf::Header;
use tallow::inspect::{Inspection, Inspector};
use tallow::load::{LoadOptions, Loaded, Loader};
use tallow::score::{ScoreOptions, score};
use tallow::threads::Pool;
use tallow::{Error, ErrorKind};
use vocab::header;

/// Numbers of value types, which the builder has no names for.
const U16: u32 = 2;
const I32: u32 = 5;

const Q4_0: &[u8] = include_bytes!("../golden/tiny/tiny-Q4_0.gguf");

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

fn packed_options() -> LoadOptions {
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
    let mut loader = loader(packed_options());
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
fn split_into(model: &[u8], parts: &[Vec<usize>]) -> Vec<Vec<u8>> {
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
    split_into(Q4_0, &[(0..5).collect(), (5..14).collect(), (14..22).collect()])
}

/// The model with the four bytes behind `key` and its type replaced.
fn with_u32(model: &[u8], key: &str, value: u32) -> Vec<u8> {
    let mut model = model.to_vec();
    let at = find(&model, &gguf_string(key)) + 8 + key.len() + 4;
    model[at..at + 4].copy_from_slice(&value.to_le_bytes());
    model
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
