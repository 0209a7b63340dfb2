//! What the documentation says of files and memory, against the code.

#[allow(dead_code)]
#[path = "../benches/models/mix.rs"]
mod mix;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{self, Content, Value};
use mix::Mix;
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use tallow::inspect::{Inspection, Inspector};
use tallow::kernels;
use tallow::load::LoadOptions;

fn path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of the tables of which the head begins with `head`, as cells.
fn tables(text: &str, head: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line.starts_with(head)) {
        let table = lines.by_ref().take_while(|line| line.starts_with('|')).skip(1);
        rows.extend(table.map(|row| {
            row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        }));
    }
    rows
}

fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split(", ").map(|name| name.trim_matches('`').to_owned())
}

#[test]
fn the_types_that_run_are_those_with_kernels() {
    let rows = tables(&read("COMPATIBILITY.md"), "| type of weights |");
    let named = |here: &str| -> BTreeSet<String> {
        rows.iter().filter(|row| row[1] == here).flat_map(|row| names(&row[0])).collect()
    };
    let run: BTreeSet<String> = kernels::types().map(|ty| ty.name().to_owned()).collect();
    assert_eq!(named("yes"), run);
    assert!(named("no").is_disjoint(&run) && named("no").len() == 13);
    // `tests/model.rs` runs them.
    assert_eq!(
        named("as F32: GGML has them for activations alone"),
        BTreeSet::from(["Q8_1", "Q8_K"].map(String::from))
    );
    assert_eq!(rows.iter().filter(|row| row[1] != "yes" && row[1] != "no").count(), 1);
}

#[test]
fn the_keys_are_those_that_are_read() {
    let named: BTreeSet<String> =
        tables(&read("COMPATIBILITY.md"), "| key |").iter().flat_map(|row| names(&row[0])).collect();
    let source = read("src/gguf/keys.rs");
    let known = source.lines().filter(|line| line.starts_with("pub const "));
    let known: BTreeSet<String> = known.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect();
    assert_eq!(named, known);
}

/// A model's shape, and whose vocabulary it has.
struct Shape {
    name: &'static str,
    vocab: &'static str,
    n_embd: usize,
    n_layer: usize,
    n_ff: usize,
    n_head: usize,
    n_head_kv: usize,
    n_vocab: usize,
    n_ctx_train: usize,
    tied: bool,
}

const SMOL: &str = "models/smollm2-135m-instruct-q4_1.gguf";
const LLAMA_2: &str = "tests/golden/vocab/ggml-vocab-llama-spm.gguf";
const LLAMA_3: &str = "tests/golden/vocab/ggml-vocab-llama-bpe.gguf";

#[rustfmt::skip]
const SHAPES: [Shape; 7] = [
    Shape { name: "SmolLM2 135M", vocab: SMOL, n_embd: 576, n_layer: 30, n_ff: 1536, n_head: 9, n_head_kv: 3, n_vocab: 49_152, n_ctx_train: 8192, tied: true },
    Shape { name: "SmolLM2 360M", vocab: SMOL, n_embd: 960, n_layer: 32, n_ff: 2560, n_head: 15, n_head_kv: 5, n_vocab: 49_152, n_ctx_train: 8192, tied: true },
    Shape { name: "TinyLlama 1.1B", vocab: LLAMA_2, n_embd: 2048, n_layer: 22, n_ff: 5632, n_head: 32, n_head_kv: 4, n_vocab: 32_000, n_ctx_train: 2048, tied: false },
    Shape { name: "Llama 3.2 1B", vocab: LLAMA_3, n_embd: 2048, n_layer: 16, n_ff: 8192, n_head: 32, n_head_kv: 8, n_vocab: 128_256, n_ctx_train: 131_072, tied: true },
    Shape { name: "SmolLM2 1.7B", vocab: SMOL, n_embd: 2048, n_layer: 24, n_ff: 8192, n_head: 32, n_head_kv: 32, n_vocab: 49_152, n_ctx_train: 8192, tied: true },
    Shape { name: "Llama 3.2 3B", vocab: LLAMA_3, n_embd: 3072, n_layer: 28, n_ff: 8192, n_head: 24, n_head_kv: 8, n_vocab: 128_256, n_ctx_train: 131_072, tied: true },
    Shape { name: "Llama 3.1 8B", vocab: LLAMA_3, n_embd: 4096, n_layer: 32, n_ff: 14_336, n_head: 32, n_head_kv: 8, n_vocab: 128_256, n_ctx_train: 131_072, tied: false },
];

impl Shape {
    /// Names and shapes of the tensors, outermost dimension first.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let &Self { n_embd, n_layer, n_ff, n_head, n_head_kv, n_vocab, tied, .. } = self;
        let n_kv = n_embd / n_head * n_head_kv;
        let mut tensors = vec![
            ("token_embd.weight".to_owned(), vec![n_vocab, n_embd]),
            ("output_norm.weight".to_owned(), vec![n_embd]),
        ];
        if !tied {
            tensors.push(("output.weight".to_owned(), vec![n_vocab, n_embd]));
        }
        for layer in 0..n_layer {
            let parts: [(&str, &[usize]); 9] = [
                ("attn_norm", &[n_embd]),
                ("attn_q", &[n_embd, n_embd]),
                ("attn_k", &[n_kv, n_embd]),
                ("attn_v", &[n_kv, n_embd]),
                ("attn_output", &[n_embd, n_embd]),
                ("ffn_norm", &[n_embd]),
                ("ffn_gate", &[n_ff, n_embd]),
                ("ffn_up", &[n_ff, n_embd]),
                ("ffn_down", &[n_embd, n_ff]),
            ];
            tensors.extend(parts.map(|(part, shape)| (format!("blk.{layer}.{part}.weight"), shape.to_vec())));
        }
        tensors
    }

    /// The header of a file with these tensors in `mix`, and the tokenizer that the model has.
    fn header(&self, mix: Mix) -> Vec<u8> {
        let mut file = std::fs::File::open(path(self.vocab)).expect("a file with the vocabulary");
        let mut metadata = Content::read(&mut file).expect("a GGUF file").metadata;
        let mut set = |key: &str, n: usize| metadata.insert(format!("llama.{key}"), Value::U32(n as u32));
        set("block_count", self.n_layer);
        set("context_length", self.n_ctx_train);
        set("embedding_length", self.n_embd);
        set("feed_forward_length", self.n_ff);
        set("attention.head_count", self.n_head);
        set("attention.head_count_kv", self.n_head_kv);
        set("rope.dimension_count", self.n_embd / self.n_head);
        // It is written last, so that where the metadata end can be found.
        const LAST: (&str, u32) = ("zzz", 0x5eed_1234);
        let mut sorted: Vec<(&str, &Value)> =
            metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let last = Value::U32(LAST.1);
        sorted.push((LAST.0, &last));
        let mut header = Cursor::new(Vec::new());
        gguf_file::write(&mut header, &sorted, &[]).expect("a header");
        let mut header = header.into_inner();
        let end =
            header.windows(4).rposition(|bytes| bytes == LAST.1.to_le_bytes()).expect("the last value") + 4;
        header.truncate(end);

        let tensors = self.tensors();
        header[8..16].copy_from_slice(&(tensors.len() as u64).to_le_bytes());
        let mut offset = 0_u64;
        for (name, shape) in tensors {
            let dtype = mix.dtype(&name, &shape, self.n_layer);
            header.extend((name.len() as u64).to_le_bytes());
            header.extend(name.as_bytes());
            header.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&n| header.extend((n as u64).to_le_bytes()));
            header.extend(type_id(dtype).to_le_bytes());
            header.extend(offset.to_le_bytes());
            let n: usize = shape.iter().product();
            offset += (n / dtype.block_size() * dtype.type_size()).next_multiple_of(32) as u64;
        }
        header.resize(header.len().next_multiple_of(32), 0);
        header
    }

    fn inspect(&self, mix: Mix, n_ctx: usize) -> Inspection {
        let mut inspector = Inspector::new();
        assert!(inspector.push(&self.header(mix)).expect("a header"), "{}: the header is whole", self.name);
        let options = LoadOptions { n_ctx: Some(n_ctx), ..LoadOptions::default() };
        inspector.finish(&options).expect("an inspection")
    }
}

/// GGUF's number of a type.
fn type_id(dtype: GgmlDType) -> u32 {
    match dtype {
        GgmlDType::F32 => 0,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q4K => 12,
        GgmlDType::Q6K => 14,
        other => panic!("{other:?} is in no mix"),
    }
}

/// What wasm can address.
const MAX_BYTES: u64 = 4 << 30;

fn mib(bytes: u64) -> String {
    (bytes.div_ceil(1 << 20)).to_string()
}

#[test]
fn the_memory_table_is_what_inspect_says() {
    let mut expected = Vec::new();
    for shape in &SHAPES {
        for mix in [Mix::Q4_0, Mix::Q4_K_M, Mix::Q8_0] {
            let found = shape.inspect(mix, 2048);
            let need = found.memory.expect("the architecture is known");
            let mut row =
                vec![shape.name.to_owned(), format!("{mix:?}"), mib(found.file_bytes), mib(need.weights)];
            for n_ctx in [2048, 4096, 8192] {
                // The cache grows with the context.
                let total = need.total() + need.kv_cache * (n_ctx / 2048 - 1);
                row.push(match n_ctx {
                    _ if n_ctx > shape.n_ctx_train as u64 => "–".to_owned(),
                    _ if total > MAX_BYTES => "no".to_owned(),
                    _ => mib(total),
                });
            }
            expected.push(row);
        }
    }
    let lines: Vec<String> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let table = tables(&read("docs/guide/memory.md"), "| model | type |");
    assert_eq!(table, expected, "the table should be:\n{}\n", lines.join("\n"));
}

/// The programs that README.md calls, with what comes before and after them.
#[test]
fn the_programs_of_the_readme_are_there_and_run() {
    let text = read("README.md");
    let calls: Vec<&str> = text.lines().filter(|line| line.contains("--example")).collect();
    assert_eq!(calls.len(), 3);
    for call in calls {
        let model = path("tests/golden/tiny/tiny-Q4_0.gguf");
        let call = call
            .replace("cargo run --release --example", "cargo run --quiet --offline --example")
            .replace("MODEL.gguf", &format!("'{}'", model.display()))
            .replace("19556, 905", "19, 5");
        let out = std::process::Command::new("sh").arg("-c").arg(&call).current_dir(path(".")).output();
        let out = out.expect("a shell");
        assert!(out.status.success(), "{call}\n{}", String::from_utf8_lossy(&out.stderr));
        assert!(!out.stdout.is_empty(), "{call} prints nothing");
    }
}
