//! Texts that end an answer. They may lie across tokens, and nothing of them is given out: what may be the beginning of
//! one is held back until it is known.

/// Looks for stop strings in a text as it comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopStrings {
    strings: Vec<String>,
    /// The end of the text so far: the beginning of a string, perhaps.
    held: String,
}

impl StopStrings {
    /// Of strings that are not empty.
    pub(crate) fn new(strings: &[String]) -> Self {
        Self { strings: strings.to_vec(), held: String::new() }
    }

    /// Takes the next piece of text. Returns what is certain of the text before the string that ends it, and whether one
    /// did. Of several, it is the one that is complete first, wherever the pieces are cut; of those, the longest.
    pub(crate) fn push(&mut self, text: &str) -> (String, bool) {
        self.held += text;
        let found = self.strings.iter().filter_map(|stop| {
            let begin = self.held.find(stop.as_str())?;
            Some((begin + stop.len(), begin))
        });
        if let Some((_, begin)) = found.min() {
            self.held.truncate(begin);
            return (std::mem::take(&mut self.held), true);
        }
        let may_be_one = |&from: &usize| self.strings.iter().any(|stop| stop.starts_with(&self.held[from..]));
        let certain = self.held.char_indices().map(|(from, _)| from).find(may_be_one);
        let rest = self.held.split_off(certain.unwrap_or(self.held.len()));
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when the text ends.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text given out, and whether a string ended it.
    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut strings = StopStrings::new(&stops);
        let mut text = String::new();
        for piece in pieces {
            let (certain, stopped) = strings.push(piece);
            text += &certain;
            // Never a part of a string that may yet be one.
            assert!(!stops.iter().any(|stop| text.contains(stop.as_str())));
            if stopped {
                return (text, true);
            }
        }
        (text + &strings.finish(), false)
    }

    #[test]
    fn every_cut_gives_the_same_text() {
        for (stops, text, expected) in [
            (&["STOP"][..], "abSTOPcd", ("ab", true)),
            (&["STOP"], "abSTO", ("abSTO", false)),
            (&["STOP"], "STSTOP", ("ST", true)),
            (&["aab"], "aaaab", ("aa", true)),
            (&["abc", "b"], "abc", ("a", true)),
            (&["bc", "abc", "c"], "xabc", ("x", true)),
            (&["é漢", "漢🦙"], "aé漢🦙", ("a", true)),
            (&["\n\n", "\n"], "a\n\nb", ("a", true)),
            (&["x"], "", ("", false)),
            (&[], "abc", ("abc", false)),
            (&["abab", "abc"], "ababd abc", ("", true)),
            (&["abd", "b"], "aab", ("aa", true)),
        ] {
            let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            for &first in &cuts {
                for &second in cuts.iter().filter(|&&second| second >= first) {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(
                        run(stops, &pieces),
                        (expected.0.to_owned(), expected.1),
                        "{stops:?} in {pieces:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_what_may_be_a_beginning_is_held_back() {
        let mut strings = StopStrings::new(&["\n\nHuman".to_owned(), "END".to_owned()]);
        assert_eq!(strings.push("a\n"), ("a".to_owned(), false));
        assert_eq!(strings.push("\n"), (String::new(), false));
        assert_eq!(strings.push("b E"), ("\n\nb ".to_owned(), false));
        assert_eq!(strings.push("ND and more"), (String::new(), true));
    }
}
