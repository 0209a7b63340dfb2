//! GGUF, the file a model comes in: header, typed metadata, tensor directory, then the tensors' bytes.
//!
//! [`Parser`] is fed the file in chunks of any size as they arrive: it never seeks and never holds the file.
//! Everything in a file is untrusted: counts and lengths are held against [`limits`] before anything is allocated
//! for them, and each way a file can be wrong is an [`Error`](crate::Error) that names the key or the tensor.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod header;
pub mod keys;
mod layout;
pub mod limits;
mod metadata;
mod parser;
mod tensor;

pub use metadata::{Array, Metadata, Value};
pub use parser::{Header, Parser, Sink};
pub use tensor::{TensorInfo, TensorType};
