//! A sink's error ends the reading.

use super::builder::valid;
use super::reading::{Collector, Refuses};
use tallow::ErrorKind;
use tallow::gguf::Parser;

#[test]
fn is_returned_and_the_parser_is_of_no_more_use() {
    let file = valid(3);
    let header_len = file.len() - 112;
    for cut in [header_len - 16, header_len] {
        // At the first cut the sink refuses the header, at the second a tensor's data.
        let mut parser = Parser::new();
        parser.push(&file[..cut], &mut Collector::default()).unwrap();
        let error = parser.push(&file[cut..], &mut Refuses).unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::OutOfMemory, "the sink refuses"));
        assert!(parser.header().is_none());
        let error = parser.push(b"more", &mut Collector::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(parser.finish().unwrap_err().kind(), ErrorKind::Internal);
    }
}
