//! Reads files in chunks, and asserts how they fail.

use tallow::gguf::{Header, Parser, Sink};
use tallow::{Error, ErrorKind, Result};

/// Chunk lengths that cut items in all ways; the last takes any file here whole.
pub const CHUNK_LENS: [usize; 6] = [1, 2, 3, 7, 4096, 1 << 30];

/// A whole file: the bytes of each tensor beside the header.
#[derive(Debug, PartialEq)]
pub struct File {
    pub header: Header,
    pub tensors: Vec<Vec<u8>>,
}

/// Reads `file` in chunks of `chunk_len`.
pub fn read(file: &[u8], chunk_len: usize) -> Result<File> {
    let (mut parser, mut collector) = (Parser::new(), Collector::default());
    for chunk in file.chunks(chunk_len) {
        parser.push(chunk, &mut collector)?;
    }
    let header = parser.finish()?;
    assert_eq!(collector.n_headers, 1);
    Ok(File { header, tensors: collector.tensors })
}

/// Asserts that `file` is refused as `invalid_model` with exactly this detail, however it is cut.
pub fn assert_invalid(file: &[u8], detail: &str) {
    assert_refused(file, ErrorKind::InvalidModel, detail);
}

/// Asserts that `file` is refused as `unsupported_model` with exactly this detail, however it is cut.
pub fn assert_unsupported(file: &[u8], detail: &str) {
    assert_refused(file, ErrorKind::UnsupportedModel, detail);
}

fn assert_refused(file: &[u8], kind: ErrorKind, detail: &str) {
    for chunk_len in CHUNK_LENS {
        match read(file, chunk_len) {
            Ok(_) => panic!("read a file that should be refused with: {detail}"),
            Err(error) => {
                assert_eq!((error.kind(), error.detail()), (kind, detail), "in chunks of {chunk_len}");
            }
        }
    }
}

/// Keeps everything, and checks that tensor data comes in order and without holes.
#[derive(Default)]
pub struct Collector {
    n_headers: usize,
    lens: Vec<u64>,
    pub tensors: Vec<Vec<u8>>,
}

impl Sink for Collector {
    fn header(&mut self, header: &Header) -> Result<()> {
        self.n_headers += 1;
        self.lens = header.tensors.iter().map(|tensor| tensor.n_bytes).collect();
        self.tensors = vec![Vec::new(); header.tensors.len()];
        Ok(())
    }

    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<()> {
        assert!(!bytes.is_empty());
        assert_eq!(at, self.tensors[index].len() as u64);
        self.tensors[index].extend_from_slice(bytes);
        assert!(self.tensors[index].len() as u64 <= self.lens[index]);
        Ok(())
    }
}

/// A sink that refuses whatever it is given.
pub struct Refuses;

impl Sink for Refuses {
    fn header(&mut self, _: &Header) -> Result<()> {
        Err(Error::new(ErrorKind::OutOfMemory, "the sink refuses"))
    }

    fn tensor_data(&mut self, _: usize, _: u64, _: &[u8]) -> Result<()> {
        Err(Error::new(ErrorKind::OutOfMemory, "the sink refuses"))
    }
}
