//! Token ids to log-probabilities: JSON arrays of ids in, one a line; out, a line each,
//! `{"logprobs": [...], "logits_last": [...]}` with the natural logarithm of the probability of each next id, and the
//! logits that follow the last.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use tallow::score::score;

mod file;

const USAGE: &str = "score MODEL.gguf < ids.jsonl > scores.jsonl

Reads JSON arrays of token ids, one a line. Writes, for each, one line of JSON:
{\"logprobs\": [ln p(ids[1] | ids[0]), ...], \"logits_last\": [one for each token of the vocabulary]}";

fn main() -> ExitCode {
    file::end(score_lines())
}

fn score_lines() -> Result<(), Box<dyn std::error::Error>> {
    let [path] = file::positional(pico_args::Arguments::from_env(), USAGE)?;
    let llama = file::load(&path)?.llama;

    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
        let ids: Vec<u32> = serde_json::from_str(&line?)
            .map_err(|error| format!("line {number} is no JSON array of ids: {error}"))?;
        let scores = score(&llama, &ids).map_err(|error| format!("line {number}: {error}"))?;
        let line = serde_json::json!({ "logprobs": scores.logprobs, "logits_last": scores.logits_last });
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    Ok(())
}
