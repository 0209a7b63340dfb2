//! GGUF files: written whole or not at all, and weighed.

use candle_core::Result;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{self, Content, Value};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a file. The same tensor may stand under several names.
pub fn write(path: &Path, metadata: &[(String, Value)], tensors: &[(String, &QTensor)]) -> Result<()> {
    let part = path.with_extension("part");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&part)?);
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect();
    gguf_file::write(&mut file, &metadata, &tensors)?;
    file.flush()?;
    fs::rename(part, path)?;
    Ok(())
}

/// How many bytes of weights a token is computed with: every tensor once, but not the embeddings, of which a token
/// takes one row, unless they are also the output head.
pub fn weight_bytes(path: &Path) -> Result<usize> {
    let content = Content::read(&mut File::open(path)?)?;
    let tied = !content.tensor_infos.contains_key("output.weight");
    let read = content.tensor_infos.iter().filter(|(name, _)| tied || *name != "token_embd.weight");
    Ok(read
        .map(|(_, info)| info.shape.elem_count() / info.ggml_dtype.block_size() * info.ggml_dtype.type_size())
        .sum())
}
