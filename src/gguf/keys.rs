//! The metadata keys Tallow reads, each spelled once. Keys under an architecture's name (`llama.block_count`)
//! are built by [`arch`].

pub const GENERAL_ARCHITECTURE: &str = "general.architecture";
pub const GENERAL_ALIGNMENT: &str = "general.alignment";
pub const GENERAL_NAME: &str = "general.name";
pub const GENERAL_LICENSE: &str = "general.license";
pub const GENERAL_BASE_MODEL_NAME: &str = "general.base_model.0.name";

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

// Under the architecture's name:
pub const BLOCK_COUNT: &str = "block_count";
pub const CONTEXT_LENGTH: &str = "context_length";
pub const EMBEDDING_LENGTH: &str = "embedding_length";
pub const FEED_FORWARD_LENGTH: &str = "feed_forward_length";
pub const EXPERT_COUNT: &str = "expert_count";
pub const HEAD_COUNT: &str = "attention.head_count";
pub const HEAD_COUNT_KV: &str = "attention.head_count_kv";
pub const KEY_LENGTH: &str = "attention.key_length";
pub const VALUE_LENGTH: &str = "attention.value_length";
pub const RMS_EPSILON: &str = "attention.layer_norm_rms_epsilon";
pub const ROPE_DIMENSION_COUNT: &str = "rope.dimension_count";
pub const ROPE_FREQ_BASE: &str = "rope.freq_base";
pub const ROPE_SCALE_LINEAR: &str = "rope.scale_linear";
pub const ROPE_SCALING_TYPE: &str = "rope.scaling.type";
pub const ROPE_SCALING_FACTOR: &str = "rope.scaling.factor";
