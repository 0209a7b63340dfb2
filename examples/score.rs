//! Token ids to log-probabilities: JSON arrays of ids in, one a line; out, a line each,
//! `{"logprobs": [...], "ranks": [...], "entropies": [...], "logits_last": [...]}` with the natural logarithm of the
//! probability of each next id, its rank, the entropy of what was expected there, and the logits that follow the last.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use tallow::score::{ScoreOptions, score};

mod file;

const USAGE: &str = "score MODEL.gguf < ids.jsonl > scores.jsonl

Reads JSON arrays of token ids, one a line. Writes, for each, one line of JSON:
{\"logprobs\": [ln p(ids[1] | ids[0]), ...], \"ranks\": [...], \"entropies\": [...],
\"logits_last\": [one for each token of the vocabulary]}";

fn main() -> ExitCode {
    file::end(score_lines())
}

fn score_lines() -> Result<(), Box<dyn std::error::Error>> {
    let [path] = file::positional(pico_args::Arguments::from_env(), USAGE)?;
    let loaded = file::load(&path)?;
    let options = ScoreOptions::new(loaded.n_ctx);

    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
        let ids: Vec<u32> = serde_json::from_str(&line?)
            .map_err(|error| format!("line {number} is no JSON array of ids: {error}"))?;
        let scores =
            score(&loaded.llama, &ids, options).map_err(|error| format!("line {number}: {error}"))?;
        let line = serde_json::json!({
            "logprobs": scores.logprobs[1..],
            "ranks": scores.ranks[1..],
            "entropies": scores.entropies[1..],
            "logits_last": scores.logits_last,
        });
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    Ok(())
}
