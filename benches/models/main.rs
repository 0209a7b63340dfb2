//! Makes the models that the benchmark runs besides the default one: `bench_models DEFAULT FOLDER`, where `DEFAULT` is
//! the default model's file and `FOLDER` takes the others and `models.json`, which describes all of them.

mod file;
mod made_up;
mod mix;
mod requantize;

use candle_core::Result;
use mix::Mix;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const REQUANTIZED: [(&str, Mix); 3] = [("q4_0", Mix::Q4_0), ("q8_0", Mix::Q8_0), ("q4_k_m", Mix::Q4_K_M)];

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [default, folder] = arguments.as_slice() else {
        candle_core::bail!("usage: bench_models DEFAULT FOLDER")
    };
    fs::create_dir_all(folder)?;

    let mut models = vec![describe("q4_1", "SmolLM2-135M-Instruct Q4_1", default)?];
    for (name, mix) in REQUANTIZED {
        let path = folder.join(format!("smollm2-135m-instruct-{name}.gguf"));
        requantize::requantize(default, &path, mix)?;
        models.push(describe(name, &format!("SmolLM2-135M-Instruct {mix:?}"), &path)?);
    }
    let path = folder.join("llama-1b-q4_k_m.gguf");
    made_up::make_up(&path)?;
    models.push(describe("llama_1b", "made up, Llama 3.2 1B's shape, Q4_K_M", &path)?);
    fs::write(folder.join("models.json"), format!("[\n  {}\n]\n", models.join(",\n  ")))?;
    Ok(())
}

/// A model as JSON: its short name, its title, its file's name, and the bytes of weights that a token takes.
fn describe(name: &str, title: &str, path: &Path) -> Result<String> {
    let file = path.file_name().unwrap_or_default().display();
    let weight_bytes = file::weight_bytes(path)?;
    Ok(format!(
        r#"{{ "name": "{name}", "title": "{title}", "file": "{file}", "weightBytes": {weight_bytes} }}"#
    ))
}
