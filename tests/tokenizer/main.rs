//! The tokenizer through its public API: ids against llama.cpp's, special tokens, decoding, metadata that is wrong.

mod decode;
mod fixtures;
mod golden;
mod malformed;
#[path = "../module/mod.rs"]
mod module;
mod roles;
#[path = "../vocab/mod.rs"]
mod vocab;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
