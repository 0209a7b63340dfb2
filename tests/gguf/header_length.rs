//! A header longer than the limit, although each of its parts is within its own.

use super::builder::{Gguf, value_type};
use super::reading::Collector;
use tallow::ErrorKind;
use tallow::gguf::Parser;
use tallow::gguf::limits::MAX_STRING_LEN;

#[test]
fn two_strings_as_long_as_the_limit() {
    let (mut parser, mut sink) = (Parser::new(), Collector::default());
    let head = Gguf::new(0, 2).key("first", value_type::STRING).u64(MAX_STRING_LEN).finish();
    parser.push(&head, &mut sink).unwrap();
    let part = vec![b'a'; 1 << 20];
    for _ in 0..MAX_STRING_LEN / part.len() as u64 {
        parser.push(&part, &mut sink).unwrap();
    }
    let second = Gguf::new(0, 2).key("second", value_type::STRING).u64(MAX_STRING_LEN).finish();
    let error = parser.push(&second[24..], &mut sink).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert_eq!(
        error.detail(),
        "the header should have at most 67108864 bytes, but goes on in metadata value `second`"
    );
}
