//! From bytes to text as tokens come: a token may end within a character.

use super::Tokenizer;
use crate::Result;

/// Turns bytes into text as they come. A character is held back until it is whole; bytes that are no UTF-8 become
/// U+FFFD. All that [`push`](Self::push) and [`finish`](Self::finish) return is `String::from_utf8_lossy` of all bytes.
#[derive(Debug, Clone, Default)]
pub struct WholeChars {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl WholeChars {
    /// Takes the next bytes; returns what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend(bytes);
        let mut text = String::with_capacity(self.pending.len());
        let mut rest = self.pending.as_slice();
        loop {
            let (valid, error_len) = match std::str::from_utf8(rest) {
                Ok(_) => (rest.len(), None),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            text += &String::from_utf8_lossy(&rest[..valid]);
            let Some(len) = error_len else {
                // Nothing is left, or the beginning of a character.
                self.pending.drain(..self.pending.len() - (rest.len() - valid));
                return text;
            };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[valid + len..];
        }
    }

    /// Ends the text: half a character that was held back becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// Turns ids into text as they come, by [`Tokenizer::stream`].
#[derive(Debug, Clone)]
pub struct DecodeStream<'t> {
    pub(super) tokenizer: &'t Tokenizer,
    pub(super) skip_special: bool,
    pub(super) chars: WholeChars,
}

impl DecodeStream<'_> {
    /// Takes the next id; returns the characters that it completes, often none.
    ///
    /// # Errors
    /// `invalid_request` if the vocabulary has no such id.
    pub fn push(&mut self, id: u32) -> Result<String> {
        Ok(self.chars.push(&self.tokenizer.piece(id, self.skip_special)?))
    }

    /// Ends the text: half a character that was held back becomes U+FFFD.
    pub fn finish(self) -> String {
        self.chars.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_gives_the_same_text() {
        let cases: [&[u8]; 6] = [
            "aé漢🦙".as_bytes(),
            b"\xff\xfeab\x80",
            b"\xf0\x9f\xa6",
            b"\xe6\xbc\xf0\x9f\xa6\x99",
            b"\xed\xa0\x80\xc0\xaf",
            b"\xc3",
        ];
        for bytes in cases {
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let mut chars = WholeChars::default();
                    let mut text = chars.push(&bytes[..first]);
                    text += &chars.push(&bytes[first..second]);
                    text += &chars.push(&bytes[second..]);
                    text += &chars.finish();
                    assert_eq!(
                        text,
                        String::from_utf8_lossy(bytes),
                        "{bytes:x?} cut at {first} and {second}"
                    );
                }
            }
        }
    }

    #[test]
    fn half_characters_are_held_back() {
        let mut chars = WholeChars::default();
        assert_eq!(chars.push(b"\xf0\x9f"), "");
        assert_eq!(chars.push(b"\xa6\x99 "), "🦙 ");
        assert_eq!(chars.push(b"\xe6"), "");
        assert_eq!(chars.push(b"a"), "\u{FFFD}a");
    }
}
