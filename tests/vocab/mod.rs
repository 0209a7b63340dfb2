//! The header of a file that is at hand as a whole, such as a vocabulary of `tests/golden/vocab`.

use tallow::gguf::{Header, Metadata, Parser, Sink};

struct HeaderOnly;

impl Sink for HeaderOnly {
    fn header(&mut self, _header: &Header) -> tallow::Result<()> {
        Ok(())
    }

    fn tensor_data(&mut self, _index: usize, _at: u64, _bytes: &[u8]) -> tallow::Result<()> {
        Ok(())
    }
}

pub fn header(file: &[u8]) -> Header {
    let mut parser = Parser::new();
    parser.push(file, &mut HeaderOnly).expect("the file is read");
    parser.finish().expect("the file is whole")
}

pub fn metadata(file: &[u8]) -> Metadata {
    header(file).metadata
}
