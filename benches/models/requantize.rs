//! A model's weights in another mix of types: each tensor made exact, then rounded again.

use crate::file::write;
use crate::mix::Mix;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Result};
use std::fs::File;
use std::path::Path;

/// Writes the model in the file `from` to the file `to`, in `mix`. Metadata stay but for the file type.
pub fn requantize(from: &Path, to: &Path, mix: Mix) -> Result<()> {
    let mut file = File::open(from)?;
    let content = Content::read(&mut file)?;
    let Some(n_layer) = content.metadata.get("llama.block_count") else {
        candle_core::bail!("`llama.block_count` is missing in `{}`", from.display())
    };
    let n_layer = n_layer.to_u32()? as usize;

    let mut metadata = content.metadata.clone();
    metadata.insert("general.file_type".to_owned(), Value::U32(mix.file_type()));
    let mut metadata: Vec<(String, Value)> = metadata.into_iter().collect();
    metadata.sort_by(|(a, _), (b, _)| a.cmp(b));

    let mut infos: Vec<_> = content.tensor_infos.iter().collect();
    infos.sort_by_key(|(_, info)| info.offset);
    let mut tensors = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
        let dtype = mix.dtype(name, info.shape.dims(), n_layer);
        let tensor = if tensor.dtype() == dtype {
            tensor
        } else {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, dtype)?
        };
        tensors.push((name.clone(), tensor));
    }
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    write(to, &metadata, &tensors)
}
