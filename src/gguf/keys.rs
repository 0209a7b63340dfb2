//! The metadata keys Tallow reads, each spelled once. Keys under an architecture's name (`llama.block_count`)
//! are built by [`arch`].

pub const GENERAL_ARCHITECTURE: &str = "general.architecture";
pub const GENERAL_ALIGNMENT: &str = "general.alignment";
pub const GENERAL_NAME: &str = "general.name";
pub const GENERAL_LICENSE: &str = "general.license";
pub const GENERAL_FILE_TYPE: &str = "general.file_type";

pub const TOKENIZER_MODEL: &str = "tokenizer.ggml.model";
pub const TOKENIZER_PRE: &str = "tokenizer.ggml.pre";
pub const TOKENIZER_TOKENS: &str = "tokenizer.ggml.tokens";
pub const TOKENIZER_SCORES: &str = "tokenizer.ggml.scores";
pub const TOKENIZER_TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
pub const TOKENIZER_MERGES: &str = "tokenizer.ggml.merges";
pub const TOKENIZER_CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// The key of `name` under an architecture, as in `llama.block_count`.
pub fn arch(architecture: &str, name: &str) -> String {
    format!("{architecture}.{name}")
}
