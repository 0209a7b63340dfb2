//! A model from a file on disk, read in pieces; and what the programs share around it.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use tallow::load::{Loaded, Loader};

pub fn load(path: &str) -> Result<Loaded, Box<dyn Error>> {
    let mut file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let mut loader = Loader::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return loader.finish().map_err(|error| format!("{path}: {error}").into()),
            n => loader.push(&piece[..n]).map_err(|error| format!("{path}: {error}"))?,
        }
    }
}

/// The arguments that are no options, just as many as wanted; else how to call the program.
pub fn positional<const N: usize>(
    arguments: pico_args::Arguments,
    usage: &str,
) -> Result<[String; N], String> {
    let rest: Vec<String> =
        arguments.finish().into_iter().map(|s| s.to_string_lossy().into_owned()).collect();
    match rest.iter().find(|argument| argument.starts_with("--")) {
        Some(option) => Err(format!("`{option}` is no option of this program.\n\n{usage}")),
        None => {
            rest.try_into().map_err(|rest: Vec<String>| format!("got {} arguments.\n\n{usage}", rest.len()))
        }
    }
}

/// Ends a program: an error is one line, and an exit code of 1.
pub fn end(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
