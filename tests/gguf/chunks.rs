//! However a file is cut, the same is read; and what lies in the data is not copied.

use super::builder::{Gguf, tensor_type::I8, valid};
use super::peak_memory::peak_memory;
use super::reading::{CHUNK_LENS, read};
use tallow::Result;
use tallow::gguf::{Header, Parser, Sink};

#[test]
fn any_chunk_length_gives_the_same_file() {
    let files = [
        valid(2),
        valid(3),
        include_bytes!("../golden/tiny/tiny-Q4_0.gguf").to_vec(),
        include_bytes!("../golden/vocab/ggml-vocab-llama-bpe.gguf").to_vec(),
        include_bytes!("../golden/vocab/ggml-vocab-llama-spm.gguf").to_vec(),
    ];
    for file in files {
        let whole = read(&file, file.len()).unwrap();
        for chunk_len in CHUNK_LENS {
            // `assert_eq!` would print megabytes.
            assert!(read(&file, chunk_len).unwrap() == whole, "in chunks of {chunk_len}");
        }
    }
}

#[test]
fn empty_chunks_change_nothing() {
    struct Counts(usize);
    impl Sink for Counts {
        fn header(&mut self, _: &Header) -> Result<()> {
            Ok(())
        }
        fn tensor_data(&mut self, _: usize, _: u64, bytes: &[u8]) -> Result<()> {
            self.0 += bytes.len();
            Ok(())
        }
    }
    let (mut parser, mut sink) = (Parser::new(), Counts(0));
    for byte in valid(3) {
        parser.push(&[], &mut sink).unwrap();
        parser.push(&[byte], &mut sink).unwrap();
    }
    parser.push(&[], &mut sink).unwrap();
    parser.finish().unwrap();
    assert_eq!(sink.0, 24 + 5 + 36);
}

#[test]
fn the_header_is_there_as_soon_as_its_last_byte() {
    let (mut parser, mut sink) = (Parser::new(), super::reading::Collector::default());
    let file = Gguf::new(1, 0).tensor("t", &[3], I8, 0).finish();
    let (last, before) = file.split_last().unwrap();
    parser.push(before, &mut sink).unwrap();
    assert!(parser.header().is_none());
    parser.push(&[*last], &mut sink).unwrap();
    assert_eq!(parser.header().map(|header| header.file_len), Some(67));
}

#[test]
fn tensor_data_is_handed_on_in_place() {
    struct InPlace(std::ops::Range<*const u8>);
    impl Sink for InPlace {
        fn header(&mut self, _: &Header) -> Result<()> {
            Ok(())
        }
        fn tensor_data(&mut self, _: usize, _: u64, bytes: &[u8]) -> Result<()> {
            assert!(self.0.contains(&bytes.as_ptr()));
            Ok(())
        }
    }
    let file = include_bytes!("../golden/tiny/tiny-Q4_0.gguf");
    let (mut parser, header_len) = (Parser::new(), 6656);
    let (header, data) = file.split_at(header_len);
    parser.push(header, &mut InPlace(header.as_ptr_range())).unwrap();
    let ((), peak) = peak_memory(|| {
        for chunk in data.chunks(100_000) {
            parser.push(chunk, &mut InPlace(chunk.as_ptr_range())).unwrap();
        }
    });
    assert_eq!(peak, 0);
    parser.finish().unwrap();
}
