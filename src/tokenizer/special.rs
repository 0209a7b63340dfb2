//! Finding the special tokens in a text, before anything else is cut.
//!
//! The longest token is looked for first, from the left, in all of the text; the next longest in what is left.
//! Source: `tokenizer_st_partition` in <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

/// A token that is found in a text as it stands.
#[derive(Debug, Clone)]
pub(super) struct Special {
    pub(super) id: u32,
    pub(super) text: String,
    /// Whether it takes the white space that follows it with it.
    pub(super) strips_right: bool,
    /// Whether it is found only where special tokens are parsed.
    pub(super) parsed_only: bool,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragment<'t> {
    /// Never empty.
    Text(&'t str),
    Token(u32),
}

/// Parts `text` at `specials`, which come longest first.
pub(super) fn partition<'t>(text: &'t str, specials: &[Special], parse_special: bool) -> Vec<Fragment<'t>> {
    let mut fragments = if text.is_empty() { vec![] } else { vec![Fragment::Text(text)] };
    for special in specials.iter().filter(|special| parse_special || !special.parsed_only) {
        let found =
            |fragment: &Fragment| matches!(fragment, Fragment::Text(text) if text.contains(&special.text));
        if !fragments.iter().any(found) {
            continue;
        }
        let mut parts = Vec::with_capacity(fragments.len() + 2);
        for fragment in fragments {
            match fragment {
                Fragment::Text(text) => part(text, special, &mut parts),
                token => parts.push(token),
            }
        }
        fragments = parts;
    }
    fragments
}

fn part<'t>(mut text: &'t str, special: &Special, parts: &mut Vec<Fragment<'t>>) {
    while let Some((before, after)) = text.split_once(&special.text) {
        parts.extend((!before.is_empty()).then_some(Fragment::Text(before)));
        parts.push(Fragment::Token(special.id));
        text = if special.strips_right { after.trim_start_matches(is_c_space) } else { after };
    }
    parts.extend((!text.is_empty()).then_some(Fragment::Text(text)));
}

/// C's `isspace`.
fn is_c_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::Fragment::{Text, Token};
    use super::*;

    fn special(id: u32, text: &str) -> Special {
        Special { id, text: text.to_owned(), strips_right: false, parsed_only: false }
    }

    #[test]
    fn the_longest_is_found_first() {
        let specials = [special(0, "bcd"), special(1, "ab"), special(2, "b")];
        assert_eq!(
            partition("abcd ab b", &specials, false),
            [Text("a"), Token(0), Text(" "), Token(1), Text(" "), Token(2)]
        );
        assert_eq!(partition("abab", &specials, false), [Token(1), Token(1)]);
        assert_eq!(partition("", &specials, false), []);
    }

    #[test]
    fn control_tokens_are_text_unless_parsed() {
        let specials = [Special { parsed_only: true, ..special(7, "<s>") }];
        assert_eq!(partition("a<s>", &specials, false), [Text("a<s>")]);
        assert_eq!(partition("a<s>", &specials, true), [Text("a"), Token(7)]);
    }

    #[test]
    fn white_space_on_the_right_is_stripped() {
        let specials = [Special { strips_right: true, ..special(7, "<s>") }];
        assert_eq!(
            partition("a <s> \t\u{b}\u{a0}b<s>\n", &specials, true),
            [Text("a "), Token(7), Text("\u{a0}b"), Token(7)]
        );
    }
}
