//! Prompt to text: `cargo run --release --example generate -- MODEL.gguf "Once upon a time" --max-tokens 64`

use std::io::Write;
use std::process::ExitCode;
use tallow::sampler::SamplerOptions;
use tallow::session::{Request, Session, Step};

mod file;

const USAGE: &str =
    "generate MODEL.gguf PROMPT [--max-tokens N] [--temperature T] [--top-k K] [--top-p P] [--seed S]

Continues PROMPT as plain text and prints the text as it comes. Without options: greedy, 128 tokens.";

fn main() -> ExitCode {
    file::end(generate())
}

fn generate() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = pico_args::Arguments::from_env();
    if arguments.contains("--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let max_tokens = arguments.opt_value_from_str("--max-tokens")?.unwrap_or(128);
    let sampler = SamplerOptions {
        temperature: arguments.opt_value_from_str("--temperature")?.unwrap_or(0.0),
        top_k: arguments.opt_value_from_str("--top-k")?.unwrap_or(0),
        top_p: arguments.opt_value_from_str("--top-p")?.unwrap_or(1.0),
        seed: arguments.opt_value_from_str("--seed")?.unwrap_or(0),
        ..Default::default()
    };
    let [path, prompt] = file::positional(arguments, USAGE)?;

    let loaded = file::load(&path)?;
    let prompt = loaded.tokenizer.encode(&prompt, true, true)?;
    let n_ctx = loaded.llama.config().n_ctx_train.min(prompt.len() + max_tokens);
    let mut session = Session::new(loaded.llama, loaded.tokenizer, n_ctx, loaded.kv_type)?;
    session.start(Request { prompt, max_tokens: Some(max_tokens), sampler, ..Default::default() })?;

    let mut out = std::io::stdout();
    loop {
        match session.step()? {
            Step::Prefill { .. } => {}
            Step::Token { text, .. } => write!(out, "{text}").and_then(|()| out.flush())?,
            Step::Finished { text, timings, .. } => {
                writeln!(out, "{text}")?;
                let rate = timings.predicted_n as f64 / timings.predicted.as_secs_f64();
                eprintln!("{} tokens, {rate:.1} tokens/s", timings.predicted_n);
                return Ok(());
            }
        }
    }
}
