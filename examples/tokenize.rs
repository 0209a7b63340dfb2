//! Text to token ids: `tokenize MODEL.gguf [--parse-special]`.
//!
//! Reads JSON strings, one a line, from the standard input and writes JSON arrays of ids, one a line. No special tokens
//! are added; with `--parse-special` those in the text are parsed. Of the model only the header is read.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;
use tallow::Result;
use tallow::gguf::{Header, Metadata, Parser, Sink};
use tallow::tokenizer::Tokenizer;

const USAGE: &str = "usage: tokenize MODEL.gguf [--parse-special] < LINES";

fn main() -> ExitCode {
    let (flags, paths): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let ([path], true) = (paths.as_slice(), flags.iter().all(|flag| flag == "--parse-special")) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match tokenize(path, !flags.is_empty()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokenize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tokenize(path: &str, parse_special: bool) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let metadata = read_metadata(path).map_err(|error| format!("{path}: {error}"))?;
    let tokenizer = Tokenizer::from_metadata(&metadata).map_err(|error| format!("{path}: {error}"))?;

    let mut out = io::stdout().lock();
    for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
        let text: String = serde_json::from_slice(&line?)
            .map_err(|error| format!("line {} should be a JSON string: {error}", index + 1))?;
        serde_json::to_writer(&mut out, &tokenizer.encode(&text, false, parse_special)?)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Reads the file up to the end of its header.
fn read_metadata(path: &str) -> std::result::Result<Metadata, Box<dyn std::error::Error>> {
    let mut file = File::open(path)?;
    let mut parser = Parser::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut chunk)?;
        if n == 0 {
            return Ok(parser.finish()?.metadata);
        }
        parser.push(&chunk[..n], &mut HeaderOnly)?;
        if let Some(header) = parser.header() {
            return Ok(header.metadata.clone());
        }
    }
}

/// Wants none of the tensors.
struct HeaderOnly;

impl Sink for HeaderOnly {
    fn header(&mut self, _header: &Header) -> Result<()> {
        Ok(())
    }

    fn tensor_data(&mut self, _index: usize, _at: u64, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
