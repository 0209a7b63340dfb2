//! Scoring: `model.scorer` prepares, `step` evaluates a chunk, and then the numbers are there to be taken.

use super::Model;
use super::js::{JsResult, from_json, to_js};
use crate::score::{self, ScoreOptions};
use wasm_bindgen::prelude::*;

/// JSON of `WasmScoreOptions` in `js/src/wasm-contract.ts`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    window: Option<usize>,
    stride: Option<usize>,
    top_logprobs: usize,
}

/// A text being scored.
#[wasm_bindgen]
pub struct Scorer(score::Scorer);

#[wasm_bindgen]
impl Model {
    /// Prepares to score `ids`; takes the JSON of `WasmScoreOptions`.
    pub fn scorer(&self, ids: Vec<u32>, options: &str) -> JsResult<Scorer> {
        let Options { window, stride, top_logprobs } = from_json(options)?;
        let window = window.unwrap_or(self.session.n_ctx());
        let options = ScoreOptions {
            window,
            stride: stride.unwrap_or(window / 2),
            n_top: top_logprobs,
            bos: self.session.tokenizer().bos(),
            kv_type: self.session.kv_type(),
        };
        score::Scorer::new(self.session.llama(), ids, options).map(Scorer).map_err(to_js)
    }

    /// The text of each of `ids` alone, special tokens included.
    pub fn texts(&self, ids: &[u32]) -> JsResult<Vec<String>> {
        let text =
            |&id| Ok(String::from_utf8_lossy(&self.session.tokenizer().piece(id, false)?).into_owned());
        ids.iter().map(text).collect::<crate::Result<_>>().map_err(to_js)
    }
}

#[wasm_bindgen]
impl Scorer {
    /// Evaluates a chunk; how many tokens are evaluated then.
    pub fn step(&mut self, model: &Model) -> JsResult<usize> {
        model.pool.check().map_err(to_js)?;
        self.0.step(model.session.llama()).map_err(to_js)?;
        Ok(self.0.progress().done)
    }

    /// How many tokens are to be evaluated.
    pub fn total(&self) -> usize {
        self.0.progress().total
    }

    /// See `Scores::logprobs`.
    pub fn logprobs(&self) -> Vec<f32> {
        self.0.scores().logprobs.clone()
    }

    /// See `Scores::ranks`.
    pub fn ranks(&self) -> Vec<u32> {
        self.0.scores().ranks.clone()
    }

    /// See `Scores::entropies`.
    pub fn entropies(&self) -> Vec<f32> {
        self.0.scores().entropies.clone()
    }

    /// See `Scores::top_ids`.
    #[wasm_bindgen(js_name = topIds)]
    pub fn top_ids(&self) -> Vec<u32> {
        self.0.scores().top_ids.clone()
    }

    /// See `Scores::top_logprobs`.
    #[wasm_bindgen(js_name = topLogprobs)]
    pub fn top_logprobs(&self) -> Vec<f32> {
        self.0.scores().top_logprobs.clone()
    }

    /// See `Scores::perplexity`.
    pub fn perplexity(&self) -> f64 {
        self.0.scores().perplexity()
    }

    /// The milliseconds that the steps took.
    #[wasm_bindgen(js_name = promptMs)]
    pub fn prompt_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}
