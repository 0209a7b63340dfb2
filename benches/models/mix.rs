//! Which type each tensor of a file gets.
//!
//! Source: `llama_tensor_get_type` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp>, for models of the size and kind here.

use candle_core::quantized::GgmlDType;

/// A file type of llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Mix {
    Q4_0,
    Q8_0,
    Q4_K_M,
}

impl Mix {
    /// `general.file_type`
    pub fn file_type(self) -> u32 {
        match self {
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4_K_M => 15,
        }
    }

    /// The type of the tensor `name` of this shape, outermost dimension first, in a model of `n_layer` layers.
    pub fn dtype(self, name: &str, shape: &[usize], n_layer: usize) -> GgmlDType {
        let [_, n_cols] = *shape else { return GgmlDType::F32 }; // norms, biases, RoPE factors
        let wanted = match (self, name) {
            (Self::Q8_0, _) => GgmlDType::Q8_0,
            (_, "token_embd.weight" | "output.weight") => GgmlDType::Q6K,
            (Self::Q4_0, _) => GgmlDType::Q4_0,
            (Self::Q4_K_M, _) if is_sensitive(name, n_layer) => GgmlDType::Q6K,
            (Self::Q4_K_M, _) => GgmlDType::Q4K,
        };
        if n_cols.is_multiple_of(wanted.block_size()) { wanted } else { fallback(wanted) }
    }
}

/// Whether a mix spends more bits on a tensor: `attn_v` and `ffn_down` in the first eighth of the layers, in the last
/// eighth, and in every third one between.
fn is_sensitive(name: &str, n_layer: usize) -> bool {
    let mut words = name.split('.');
    let (Some("blk"), Some(layer), Some("attn_v" | "ffn_down")) = (words.next(), words.next(), words.next())
    else {
        return false;
    };
    let Ok(layer) = layer.parse::<usize>() else { return false };
    let eighth = n_layer / 8;
    layer < eighth || layer >= 7 * n_layer / 8 || (layer - eighth) % 3 == 2
}

/// What takes the place of a type with blocks of 256 in rows that are no multiple of that.
fn fallback(wanted: GgmlDType) -> GgmlDType {
    match wanted {
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q6K => GgmlDType::Q8_0,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of SmolLM2-135M's 30 layers; the published Q4_K_M file has the same.
    #[test]
    fn rows_that_blocks_of_256_do_not_fit() {
        let dtype = |name: &str, n_cols: usize| Mix::Q4_K_M.dtype(name, &[576, n_cols], 30);
        assert_eq!(dtype("token_embd.weight", 576), GgmlDType::Q8_0);
        assert_eq!(dtype("blk.0.attn_q.weight", 576), GgmlDType::Q5_0);
        assert_eq!(dtype("blk.0.attn_v.weight", 576), GgmlDType::Q8_0);
        assert_eq!(dtype("blk.3.attn_v.weight", 576), GgmlDType::Q5_0);
        assert_eq!(dtype("blk.0.ffn_down.weight", 1536), GgmlDType::Q6K);
        assert_eq!(dtype("blk.4.ffn_down.weight", 1536), GgmlDType::Q4K);
        assert_eq!(dtype("blk.0.ffn_gate.weight", 576), GgmlDType::Q5_0);
        assert_eq!(Mix::Q4_K_M.dtype("blk.0.attn_norm.weight", &[576], 30), GgmlDType::F32);
    }

    #[test]
    fn sensitive_layers() {
        let sensitive: Vec<usize> =
            (0..16).filter(|layer| is_sensitive(&format!("blk.{layer}.ffn_down.weight"), 16)).collect();
        assert_eq!(sensitive, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert!(!is_sensitive("blk.0.ffn_up.weight", 16));
    }
}
