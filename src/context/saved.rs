//! A context as a file, which goes on where it was with the same model, and is refused anywhere else.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `tallowKV` |
//! | 4 each | version of this format, [`LAYOUT_VERSION`], KV type by its place in [`KvType::ALL`] |
//! | 4 each | layers, key/value heads, their width |
//! | 4 each | tokens, and how many of them have seen just those before them |
//! | 32 | the model's hash |
//! | 4 each | the tokens |
//! | | keys and values, block by block: `(n_layer, n_head_kv, 2, positions, width)`, 256 positions but for the last block |
//! | 32 | SHA-256 of all before |
//!
//! Numbers are little-endian. What is read is checked before anything is allocated for it, and counts only once the
//! last byte is right.

use super::Context;
use crate::kernels::{KV_BLOCK, LAYOUT_VERSION};
use crate::model::{Config, KvType};
use crate::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// What tells one model from others: the SHA-256 of its file; of a model of several files, that of their SHA-256s, one
/// after the other.
pub type ModelHash = [u8; 32];

const MAGIC: &[u8; 8] = b"tallowKV";
/// Of this format.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = MAGIC.len() + 8 * 4 + HASH_BYTES;
const HASH_BYTES: usize = 32;

impl Context {
    /// Gives the context to `write` as the bytes of a file, piece by piece; `model` is the hash of the model that it is of.
    pub fn save(&self, config: &Config, model: &ModelHash, mut write: impl FnMut(&[u8])) {
        let mut hash = Sha256::new();
        let mut write_hashed = |bytes: &[u8]| {
            hash.update(bytes);
            write(bytes);
        };
        let kv_type = KvType::ALL.iter().position(|&ty| ty == self.kv_type()).unwrap_or_default();
        let [n_layer, n_head_kv, width] = shape(config);
        let numbers = [
            VERSION as usize,
            LAYOUT_VERSION as usize,
            kv_type,
            n_layer,
            n_head_kv,
            width,
            self.tokens.len(),
            self.n_exact,
        ];
        let mut header = MAGIC.to_vec();
        header.extend(numbers.into_iter().flat_map(|number| (number as u32).to_le_bytes()));
        header.extend(model);
        header.extend(self.tokens.iter().flat_map(|id| id.to_le_bytes()));
        write_hashed(&header);
        self.cache.saved().for_each(|block| write_hashed(&block));
        write(&hash.finalize());
    }
}

/// What of a model's shape a file names beside its hash.
fn shape(config: &Config) -> [usize; 3] {
    [config.n_layer, config.n_head_kv, config.head_dim]
}

/// A context being read: [`push`](Self::push) the file's bytes, then [`finish`](Self::finish).
pub struct Restorer {
    shape: [usize; 3],
    n_vocab: usize,
    model: ModelHash,
    /// What has been made of the file so far.
    context: Context,
    hash: Sha256,
    /// Of the section that is being read.
    bytes: Vec<u8>,
    section: Section,
    n_read: u64,
    /// Bytes of the file, once its header is read.
    n_total: Option<u64>,
    n_tokens: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Header,
    Tokens,
    /// Of the next block, with so many positions.
    Block(usize),
    Checksum,
    End,
}

impl Restorer {
    /// Reads for a context of at most `n_ctx` tokens, held as `kv_type`, of the model with that hash.
    ///
    /// # Errors
    /// `invalid_request` if `n_ctx` is 0 or more than the model was trained on.
    pub fn new(config: &Config, model: ModelHash, n_ctx: usize, kv_type: KvType) -> Result<Self> {
        Ok(Self {
            shape: shape(config),
            n_vocab: config.n_vocab,
            model,
            context: Context::new(config, n_ctx, kv_type)?,
            hash: Sha256::new(),
            bytes: Vec::new(),
            section: Section::Header,
            n_read: 0,
            n_total: None,
            n_tokens: 0,
        })
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// `integrity_error` for what is no saved session, is damaged, or of another model; `invalid_request` for one of
    /// another version or KV type; `context_length_exceeded` for one with too many tokens; `out_of_memory`.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let missing = self.section_bytes() - self.bytes.len();
            if self.section == Section::End {
                return Err(damaged(format!("should end after {} bytes, but goes on", self.n_read)));
            }
            if self.bytes.is_empty() {
                let room = self.bytes.try_reserve_exact(missing);
                room.map_err(|_| {
                    Error::new(
                        ErrorKind::OutOfMemory,
                        format!("a saved session's next {missing} bytes could not be allocated"),
                    )
                })?;
            }
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.bytes.extend_from_slice(taken);
            self.n_read += taken.len() as u64;
            bytes = rest;
            if taken.len() == missing {
                self.end_section()?;
            }
        }
        Ok(())
    }

    /// The context, when the file has ended.
    ///
    /// # Errors
    /// `integrity_error` if it ended too early.
    pub fn finish(self) -> Result<Context> {
        if self.section == Section::End {
            return Ok(self.context);
        }
        Err(damaged(match self.n_total {
            Some(n_total) => format!("should be {n_total} bytes, but ends after {}", self.n_read),
            None => format!("should be at least {HEADER_BYTES} bytes, but ends after {}", self.n_read),
        }))
    }

    fn section_bytes(&self) -> usize {
        match self.section {
            Section::Header => HEADER_BYTES,
            Section::Tokens => 4 * self.n_tokens,
            Section::Block(n) => self.context.cache.saved_bytes(n),
            Section::Checksum => HASH_BYTES,
            Section::End => 0,
        }
    }

    fn end_section(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        if self.section != Section::Checksum {
            self.hash.update(&bytes);
        }
        match self.section {
            Section::Header => self.read_header(&bytes)?,
            Section::Tokens => {
                self.context.tokens = bytes.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id)).collect();
            }
            Section::Block(n) => self.context.cache.add_saved(n, bytes)?,
            Section::Checksum => self.check(&bytes)?,
            Section::End => {}
        }
        self.section = match self.section {
            Section::Header if self.n_tokens > 0 => Section::Tokens,
            Section::Checksum | Section::End => Section::End,
            _ => match self.n_tokens - self.context.cache.len() {
                0 => Section::Checksum,
                rest => Section::Block(rest.min(KV_BLOCK)),
            },
        };
        Ok(())
    }

    fn read_header(&mut self, header: &[u8]) -> Result<()> {
        let (magic, rest) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged(format!(
                "should begin with `{}`, but begins with `{}`",
                MAGIC.escape_ascii(),
                magic.escape_ascii()
            )));
        }
        let (numbers, model) = rest.split_at(rest.len() - HASH_BYTES);
        let mut numbers = numbers.as_chunks().0.iter().map(|&number| u32::from_le_bytes(number) as usize);
        let mut next = || numbers.next().unwrap_or_default();
        expect("version", VERSION as usize, next())?;
        if model != self.model {
            let [expected, got] = [self.model.as_slice(), model].map(hex);
            return Err(damaged(format!("should be of the model with the hash {expected}, but is of {got}")));
        }
        expect("layout version", LAYOUT_VERSION as usize, next())?;
        let (expected, got) = (self.context.kv_type(), next());
        if KvType::ALL.get(got) != Some(&expected) {
            let got = KvType::ALL.get(got).map_or_else(|| format!("type {got}"), |ty| ty.to_string());
            return Err(Error::invalid_request(format!(
                "the saved session should have a KV cache of {expected}, as the model was loaded, but has one of {got}"
            )));
        }
        for (what, expected) in
            ["number of layers", "number of key/value heads", "width of heads"].into_iter().zip(self.shape)
        {
            let got = next();
            if got != expected {
                return Err(damaged(format!("should have the {what} {expected}, but has {got}")));
            }
        }
        let (n_tokens, n_exact, n_ctx) = (next(), next(), self.context.n_ctx());
        if n_tokens > n_ctx {
            return Err(Error::new(
                ErrorKind::ContextLengthExceeded,
                format!("the saved session has {n_tokens} tokens; the context has room for {n_ctx}"),
            ));
        }
        if n_exact > n_tokens {
            return Err(damaged(format!("should have at most {n_tokens} exact tokens, but has {n_exact}")));
        }
        self.n_tokens = n_tokens;
        self.context.n_exact = n_exact;
        let blocks = self.context.cache.saved_bytes(KV_BLOCK) as u64 * (n_tokens / KV_BLOCK) as u64
            + self.context.cache.saved_bytes(n_tokens % KV_BLOCK) as u64;
        self.n_total = Some((HEADER_BYTES + 4 * n_tokens + HASH_BYTES) as u64 + blocks);
        Ok(())
    }

    fn check(&self, checksum: &[u8]) -> Result<()> {
        let got = self.hash.clone().finalize();
        if checksum != got.as_slice() {
            let [expected, got] = [checksum, &got].map(hex);
            return Err(damaged(format!("should have the SHA-256 {expected}, but has {got}")));
        }
        let n_vocab = self.n_vocab;
        match self.context.tokens.iter().find(|&&id| id as usize >= n_vocab) {
            Some(id) => Err(damaged(format!("should have token ids below {n_vocab}, but has {id}"))),
            None => Ok(()),
        }
    }
}

fn expect(what: &str, expected: usize, got: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::invalid_request(format!("the saved session should have the {what} {expected}, but has {got}")))
}

fn damaged(what: String) -> Error {
    Error::new(ErrorKind::IntegrityError, format!("the saved session {what}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KvCache;
    use crate::ops::Rotation;
    use candle_core::{Device, Tensor};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Saved sessions are told apart by the version alone. Keys are turned by quarters, so that kernels have nothing to
    /// round.
    #[test]
    fn a_saved_session_has_its_version() {
        // In the order of `KvType::ALL`.
        const HASHES: [&str; KvType::ALL.len()] = [
            "5ff53abe51fd8f54f874ca20fdd9075ccd73ab9f2a4f74804da7f80a7d058076",
            "752bc6fd7f722701e12adf85400ccd5e587a31383c22679ebb41510fe8078069",
            "00e4b3fdf6d28204ebfb0ac651b2f966b72fc4920cf73b1990dc170ed71221c9",
        ];
        assert_eq!(VERSION, 2);
        let config = Config::of_heads(4, 2, 20);
        let (n_tok, row) = (KV_BLOCK + 3, (4 + 2 * 2) * 20);
        let quarters = (0..n_tok * 4).map(|i| if i % 3 == 0 { (1.0, 0.0) } else { (0.0, 1.0) });
        let rotation = Rotation::new(quarters, 8);
        let mut state = 1_u64;
        let mut number = |i: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 40) as f32 / (1 << 22) as f32 - 2.0;
            // Some that are subnormal in f16.
            if i.is_multiple_of(16) { number / 65_536.0 } else { number }
        };
        let qkv: Vec<Tensor> = (0..2)
            .map(|_| (0..n_tok * row).map(&mut number).collect())
            .map(|qkv: Vec<f32>| Tensor::from_vec(qkv, (n_tok, row), &Device::Cpu).expect("rows"))
            .collect();
        let hashes = KvType::ALL.map(|ty| {
            let cache = KvCache::of(&config, ty, &rotation, n_tok, &qkv);
            let context = Context { tokens: (0..n_tok as u32).collect(), cache, n_exact: 5 };
            let mut file = Vec::new();
            context.save(&config, &[7; HASH_BYTES], |bytes| file.extend_from_slice(bytes));
            // All but the two versions and the checksum, which is of them too.
            let (versions, checksum) = (MAGIC.len()..MAGIC.len() + 8, file.len() - HASH_BYTES);
            let hash = Sha256::new().chain_update(&file[..versions.start]);
            hex(&hash.chain_update(&file[versions.end..checksum]).finalize())
        });
        assert_eq!(hashes, HASHES, "a saved session of other bytes needs a new `VERSION`");
    }
}
