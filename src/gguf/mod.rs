//! GGUF, the file a model comes in: header, typed metadata, tensor directory, then the tensors' bytes.
//!
//! [`Parser`] is fed the file in chunks of any size as they arrive: it never seeks and never holds the file.
//! Everything in a file is untrusted: counts and lengths are held against [`limits`] before anything is allocated
//! for them, and each way a file can be wrong is an [`Error`](crate::Error) that names the key or the tensor.
//!
//! ```
//! use tallow::gguf::{Header, Parser, Sink};
//!
//! /// Adds up the bytes of the tensors.
//! struct Total(usize);
//!
//! impl Sink for Total {
//!     fn header(&mut self, header: &Header) -> tallow::Result<()> {
//!         println!("{} tensors", header.tensors.len());
//!         Ok(())
//!     }
//!
//!     fn tensor_data(&mut self, _index: usize, _at: u64, bytes: &[u8]) -> tallow::Result<()> {
//!         self.0 += bytes.len();
//!         Ok(())
//!     }
//! }
//!
//! # let file = [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat();
//! let (mut parser, mut total) = (Parser::new(), Total(0));
//! for chunk in file.chunks(4096) {
//!     parser.push(chunk, &mut total)?;
//! }
//! let header = parser.finish()?;
//! # assert_eq!((header.file_len, total.0), (24, 0));
//! # tallow::Result::Ok(())
//! ```
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod header;
#[expect(missing_docs, reason = "each is named as it is spelled")]
pub mod keys;
mod layout;
pub mod limits;
mod metadata;
mod parser;
mod tensor;

pub use metadata::{Array, Metadata, Value};
pub use parser::{Header, Parser, Sink};
pub use tensor::{TensorInfo, TensorType};
