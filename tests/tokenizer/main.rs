//! The tokenizer through its public API: ids against llama.cpp's, special tokens, decoding, metadata that is wrong.

mod decode;
mod fixtures;
mod golden;
mod malformed;
mod roles;
