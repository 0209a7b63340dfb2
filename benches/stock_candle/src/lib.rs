//! `candle_transformers::models::quantized_llama` as it is, behind the two calls that the benchmark makes; and one loop
//! of llama.cpp's.

mod ggml;

use candle_core::quantized::gguf_file::Content;
use candle_core::{D, Device, Result, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::io::Cursor;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// A model, ready to be asked.
#[wasm_bindgen]
pub struct Model(ModelWeights);

#[wasm_bindgen]
impl Model {
    /// The model in the bytes of a GGUF file.
    pub fn load(gguf: &[u8]) -> std::result::Result<Model, JsError> {
        Ok(Self(load(gguf)?))
    }

    /// Computes `ids`, of which the first stands at `pos`, and returns the likeliest id after them. A `pos` of 0
    /// begins anew.
    pub fn forward(&mut self, ids: &[u32], pos: usize) -> std::result::Result<u32, JsError> {
        Ok(forward(&mut self.0, ids, pos)?)
    }
}

fn load(gguf: &[u8]) -> Result<ModelWeights> {
    let mut file = Cursor::new(gguf);
    ModelWeights::from_gguf(Content::read(&mut file)?, &mut file, &Device::Cpu)
}

fn forward(model: &mut ModelWeights, ids: &[u32], pos: usize) -> Result<u32> {
    let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?; // (1, n_tok)
    let logits = model.forward(&ids, pos)?; // (1, n_vocab)
    logits.argmax(D::Minus1)?.squeeze(0)?.to_scalar()
}
