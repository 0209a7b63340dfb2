//! The pre-tokenizers of byte-level vocabularies: how text is cut into words, within which alone tokens merge.
//!
//! A pre-tokenizer is a list of regexes. Each in turn cuts every piece that the ones before it left; what lies
//! between two matches is a piece as well. They are written out as functions, because fancy-regex gives up on long
//! runs of white space (its backtracking is bounded) and knows another Unicode version. Each names the regex that it
//! equals; all run in linear time.
//!
//! Source: `llm_tokenizer_bpe` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

use super::unicode::{is_letter, is_number, is_punctuation, is_space, within};

/// Cuts a piece of text, pushing the length in characters of every smaller piece.
type Cut = fn(&[char], &mut Vec<usize>);

/// A pre-tokenizer: cuts to be made one after the other.
#[derive(Clone, Copy)]
pub(super) struct Words(&'static [Cut]);

pub(super) const DEFAULT: Words = Words(&[
    |text, out| isolate(text, out, |rest| run(rest, is_default_mark)),
    |text, out| isolate(text, out, gpt2),
    |text, out| isolate(text, out, |rest| run(rest, is_number)),
    |text, out| isolate(text, out, three_digits),
]);

pub(super) const GPT2: Words = Words(&[|text, out| isolate(text, out, gpt2)]);

pub(super) const SMOLLM: Words =
    Words(&[|text, out| isolate(text, out, |rest| number(rest, 1)), |text, out| isolate(text, out, gpt2)]);

pub(super) const LLAMA3: Words = Words(&[|text, out| isolate(text, out, |rest| llama3(rest, 3))]);

pub(super) const QWEN2: Words = Words(&[|text, out| isolate(text, out, |rest| llama3(rest, 1))]);

pub(super) const TEKKEN: Words = Words(&[|text, out| isolate(text, out, tekken)]);

pub(super) const DEEPSEEK_LLM: Words = Words(&[
    |text, out| isolate(text, out, |rest| one(rest, is_line_end)),
    |text, out| isolate(text, out, |rest| after_space(rest, |c| within(c, CASED_LETTER))),
    |text, out| isolate(text, out, |rest| after_space(rest, is_deepseek_mark)),
    trailing_space,
    |text, out| isolate(text, out, |rest| run(rest, is_deepseek_syllable)),
    |text, out| isolate(text, out, |rest| run(rest, is_number)),
]);

/// Makes every match of `matcher` a piece, and what lies between matches. `matcher` gives the length of the match that
/// begins where its argument begins, or 0.
fn isolate(text: &[char], out: &mut Vec<usize>, matcher: impl Fn(&[char]) -> usize) {
    let (mut rest, mut unmatched) = (text, 0);
    while !rest.is_empty() {
        match matcher(rest) {
            0 => {
                unmatched += 1;
                rest = &rest[1..];
            }
            len => {
                out.extend((unmatched > 0).then_some(unmatched));
                out.push(len);
                unmatched = 0;
                rest = &rest[len..];
            }
        }
    }
    out.extend((unmatched > 0).then_some(unmatched));
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
fn gpt2(rest: &[char]) -> usize {
    let word = |class: fn(char) -> bool| {
        let space = one(rest, |c| c == ' ');
        match run(&rest[space..], class) {
            0 => 0,
            len => space + len,
        }
    };
    first_of([
        &|| contraction(rest, |c| *c),
        &|| word(is_letter),
        &|| word(is_number),
        &|| word(is_mark),
        &|| space(rest),
    ])
}

/// `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`. A regex without case (`(?i:'s)`) would match `'ſ` too.
fn llama3(rest: &[char], max_number: usize) -> usize {
    first_of([
        &|| contraction(rest, |c| c.to_ascii_lowercase()),
        &|| {
            let (prefix, letters) = word_prefix(rest);
            match run(letters, is_letter) {
                0 => 0,
                len => prefix + len,
            }
        },
        &|| number(rest, max_number),
        &|| marks(rest, is_line_end),
        &|| line_end(rest),
        &|| space(rest),
    ])
}

/// `[^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`, where `U`
/// is `\p{L}` without `a-z` and `L` is `\p{L}` without `A-Z`. (The model's own regex has the Unicode classes of upper
/// and lower case; llama.cpp and hence the files' users have these.)
fn tekken(rest: &[char]) -> usize {
    first_of([
        &|| {
            let (prefix, letters) = word_prefix(rest);
            let upper = run(letters, |c| is_letter(c) && !c.is_ascii_lowercase());
            let lower = run(&letters[upper..], |c| is_letter(c) && !c.is_ascii_uppercase());
            // Where nothing is left for `L+`, `U*` gives back up to its last character that is an `L` as well.
            let in_both = || letters[..upper].iter().rposition(|c| !c.is_ascii_uppercase());
            match (upper, lower) {
                (0, 0) => 0,
                (_, 0) => prefix + in_both().map_or(upper, |at| at + 1),
                _ => prefix + upper + lower,
            }
        },
        &|| number(rest, 1),
        &|| marks(rest, |c| is_line_end(c) || c == '/'),
        &|| line_end(rest),
        &|| space(rest),
    ])
}

/// The first match of several, tried in order.
fn first_of<const N: usize>(alternatives: [&dyn Fn() -> usize; N]) -> usize {
    alternatives.iter().map(|matcher| matcher()).find(|&len| len > 0).unwrap_or(0)
}

/// `'s|'t|'re|'ve|'m|'ll|'d` of the letters as `fold` turns them.
fn contraction(rest: &[char], fold: fn(&char) -> char) -> usize {
    let ['\'', rest @ ..] = rest else { return 0 };
    match (rest.first().map(fold), rest.get(1).map(fold)) {
        (Some('s' | 't' | 'm' | 'd'), _) => 2,
        (Some('r' | 'v'), Some('e')) | (Some('l'), Some('l')) => 3,
        _ => 0,
    }
}

/// `[^\r\n\p{L}\p{N}]?`: its length, and what follows it.
fn word_prefix(rest: &[char]) -> (usize, &[char]) {
    match rest {
        [c, after @ ..] if !is_line_end(*c) && !is_letter(*c) && !is_number(*c) => (1, after),
        _ => (0, rest),
    }
}

/// `\p{N}{1,max}`
fn number(rest: &[char], max: usize) -> usize {
    run(&rest[..rest.len().min(max)], is_number)
}

/// ` ?[^\s\p{L}\p{N}]+` and a run of `tail`.
fn marks(rest: &[char], tail: fn(char) -> bool) -> usize {
    let space = one(rest, |c| c == ' ');
    match run(&rest[space..], is_mark) {
        0 => 0,
        len => space + len + run(&rest[space + len..], tail),
    }
}

/// `\s*[\r\n]+`
fn line_end(rest: &[char]) -> usize {
    rest[..run(rest, is_space)].iter().rposition(|&c| is_line_end(c)).map_or(0, |last| last + 1)
}

/// `\s+(?!\S)|\s+`
fn space(rest: &[char]) -> usize {
    match run(rest, is_space) {
        len if len > 1 && len < rest.len() => len - 1,
        len => len,
    }
}

/// `\s?` and a run of `class`, which holds no white space.
fn after_space(rest: &[char], class: impl Fn(char) -> bool) -> usize {
    let space = one(rest, is_space);
    match run(&rest[space..], class) {
        0 => 0,
        len => space + len,
    }
}

/// `\s+$`
fn trailing_space(text: &[char], out: &mut Vec<usize>) {
    let kept = text.iter().rposition(|&c| !is_space(c)).map_or(0, |last| last + 1);
    out.extend([kept, text.len() - kept].into_iter().filter(|&len| len > 0));
}

/// `[0-9][0-9][0-9]`
fn three_digits(rest: &[char]) -> usize {
    if rest.len() >= 3 && rest[..3].iter().all(char::is_ascii_digit) { 3 } else { 0 }
}

/// 1 if the first character is of `class`, else 0.
fn one(rest: &[char], class: impl Fn(char) -> bool) -> usize {
    usize::from(rest.first().is_some_and(|&c| class(c)))
}

/// How many characters at the beginning are of `class`.
fn run(rest: &[char], class: impl Fn(char) -> bool) -> usize {
    rest.iter().take_while(|&&c| class(c)).count()
}

/// `[\r\n]`
fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

/// `[^\s\p{L}\p{N}]`
fn is_mark(c: char) -> bool {
    !is_space(c) && !is_letter(c) && !is_number(c)
}

/// ``[\p{P}\$\+<=>\^~\|]``
fn is_default_mark(c: char) -> bool {
    matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|') || is_punctuation(c)
}

/// `[!-/:-~！-／：-～‘-‟　-。]` without the white space U+3000, which llama.cpp leaves to `\s`.
fn is_deepseek_mark(c: char) -> bool {
    matches!(c, '!'..='/' | ':'..='~' | '！'..='／' | '：'..='～' | '‘'..='‟' | '、'..='。')
}

/// `[一-龥ࠀ-一가-퟿]` without white space, which llama.cpp leaves to `\s`.
fn is_deepseek_syllable(c: char) -> bool {
    matches!(c, '\u{800}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7FF}') && !is_space(c)
}

impl Words {
    /// The words of `text`, which together are all of it.
    pub(super) fn cut<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let chars: Vec<char> = text.chars().collect();
        let mut pieces = vec![chars.len()];
        for cut in self.0 {
            let mut smaller = Vec::with_capacity(pieces.len());
            let mut rest = &chars[..];
            for len in pieces {
                let (piece, after) = rest.split_at(len);
                cut(piece, &mut smaller);
                rest = after;
            }
            pieces = smaller;
        }

        let mut rest = text;
        pieces.into_iter().map(move |len| {
            let end = rest.char_indices().nth(len).map_or(rest.len(), |(end, _)| end);
            let (word, after) = rest.split_at(end);
            rest = after;
            word
        })
    }
}

/// The letters of DeepSeek's second regex: those of the scripts that know two cases, as of the Unicode of its time.
#[rustfmt::skip]
const CASED_LETTER: &[(char, char)] = &[
    ('\u{41}', '\u{5A}'), ('\u{61}', '\u{7A}'), ('\u{B5}', '\u{B5}'), ('\u{C0}', '\u{D6}'),
    ('\u{D8}', '\u{F6}'), ('\u{F8}', '\u{1BA}'), ('\u{1BC}', '\u{1BF}'), ('\u{1C4}', '\u{293}'),
    ('\u{295}', '\u{2AF}'), ('\u{370}', '\u{373}'), ('\u{376}', '\u{376}'), ('\u{377}', '\u{377}'),
    ('\u{37B}', '\u{37D}'), ('\u{37F}', '\u{37F}'), ('\u{386}', '\u{386}'), ('\u{388}', '\u{38A}'),
    ('\u{38C}', '\u{38C}'), ('\u{38E}', '\u{3A1}'), ('\u{3A3}', '\u{3F5}'), ('\u{3F7}', '\u{481}'),
    ('\u{48A}', '\u{52F}'), ('\u{531}', '\u{556}'), ('\u{10A0}', '\u{10C5}'), ('\u{13A0}', '\u{13F5}'),
    ('\u{13F8}', '\u{13FD}'), ('\u{1C90}', '\u{1CBA}'), ('\u{1CBD}', '\u{1CBF}'), ('\u{1D00}', '\u{1D2B}'),
    ('\u{1D6B}', '\u{1D77}'), ('\u{1D79}', '\u{1D9A}'), ('\u{1E00}', '\u{1F15}'), ('\u{1F18}', '\u{1F1D}'),
    ('\u{1F20}', '\u{1F45}'), ('\u{1F48}', '\u{1F4D}'), ('\u{1F50}', '\u{1F57}'), ('\u{1F59}', '\u{1F59}'),
    ('\u{1F5B}', '\u{1F5B}'), ('\u{1F5D}', '\u{1F5D}'), ('\u{1F5F}', '\u{1F7D}'), ('\u{1F80}', '\u{1FB4}'),
    ('\u{1FB6}', '\u{1FBC}'), ('\u{1FBE}', '\u{1FBE}'), ('\u{1FC2}', '\u{1FC4}'), ('\u{1FC6}', '\u{1FCC}'),
    ('\u{1FD0}', '\u{1FD3}'), ('\u{1FD6}', '\u{1FDB}'), ('\u{1FE0}', '\u{1FEC}'), ('\u{1FF2}', '\u{1FF4}'),
    ('\u{1FF6}', '\u{1FFC}'), ('\u{2102}', '\u{2102}'), ('\u{2107}', '\u{2107}'), ('\u{210A}', '\u{2113}'),
    ('\u{2115}', '\u{2115}'), ('\u{2119}', '\u{211D}'), ('\u{2124}', '\u{2124}'), ('\u{2126}', '\u{2126}'),
    ('\u{2128}', '\u{2128}'), ('\u{212A}', '\u{212D}'), ('\u{212F}', '\u{2134}'), ('\u{2139}', '\u{2139}'),
    ('\u{213C}', '\u{213F}'), ('\u{2145}', '\u{2149}'), ('\u{214E}', '\u{214E}'), ('\u{2183}', '\u{2183}'),
    ('\u{2184}', '\u{2184}'), ('\u{2C00}', '\u{2C7B}'), ('\u{2C7E}', '\u{2CE4}'), ('\u{2CEB}', '\u{2CEE}'),
    ('\u{2CF2}', '\u{2CF2}'), ('\u{2CF3}', '\u{2CF3}'), ('\u{A640}', '\u{A66D}'), ('\u{A680}', '\u{A69B}'),
    ('\u{A722}', '\u{A76F}'), ('\u{A771}', '\u{A787}'), ('\u{A78B}', '\u{A78E}'), ('\u{AB70}', '\u{ABBF}'),
    ('\u{FB00}', '\u{FB06}'), ('\u{FB13}', '\u{FB17}'), ('\u{FF21}', '\u{FF3A}'), ('\u{FF41}', '\u{FF5A}'),
    ('\u{10400}', '\u{1044F}'), ('\u{104B0}', '\u{104D3}'), ('\u{104D8}', '\u{104FB}'),
    ('\u{10C80}', '\u{10CB2}'), ('\u{10CC0}', '\u{10CF2}'), ('\u{118A0}', '\u{118DF}'),
    ('\u{1E900}', '\u{1E943}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rule: Words, text: &str) -> Vec<&str> {
        rule.cut(text).collect()
    }

    #[test]
    fn gpt2_cuts_as_its_regex() {
        assert_eq!(
            words(GPT2, "I'll, 'S 12½  x \n "),
            ["I", "'ll", ",", " '", "S", " 12½", " ", " x", " \n "]
        );
        assert_eq!(words(GPT2, ""), Vec::<&str>::new());
        assert_eq!(words(GPT2, " "), [" "]);
    }

    #[test]
    fn smollm_isolates_numbers_first() {
        assert_eq!(words(SMOLLM, "a 123 b"), ["a", " ", "1", "2", "3", " b"]);
    }

    #[test]
    fn llama3_cuts_as_its_regex() {
        assert_eq!(words(LLAMA3, "\tIT'Ll 'ſ"), ["\tIT", "'Ll", " '", "ſ"]);
        assert_eq!(words(LLAMA3, "12345!?\r\n\n  \n  x"), ["123", "45", "!?\r\n\n", "  \n", " ", " x"]);
        assert_eq!(words(QWEN2, "123"), ["1", "2", "3"]);
    }

    #[test]
    fn tekken_parts_upper_from_lower_case() {
        assert_eq!(
            words(TEKKEN, "HTMLParser parseHTML /a//\n"),
            ["HTMLParser", " parse", "HTML", " /", "a", "//\n"]
        );
        // `À` is in both classes: with no lower case after it, it ends a word.
        assert_eq!(words(TEKKEN, "ABÀCD"), ["ABÀ", "CD"]);
    }

    #[test]
    fn default_takes_digits_by_three() {
        assert_eq!(words(DEFAULT, "a 12345=`b`"), ["a", " ", "123", "45", "=", "`", "b", "`"]);
    }

    #[test]
    fn deepseek_llm_cuts_as_its_regexes() {
        assert_eq!(words(DEEPSEEK_LLM, "Ab, 漢字12 \r\n"), ["Ab", ",", " ", "漢字", "12", " ", "\r", "\n"]);
    }

    #[test]
    fn long_runs_take_linear_time() {
        for rule in [DEFAULT, GPT2, SMOLLM, LLAMA3, QWEN2, TEKKEN, DEEPSEEK_LLM] {
            for unit in ["a", " ", "\n", "A", "À", "!", "1", "é ", "'"] {
                let text = unit.repeat(300_000) + "x";
                assert_eq!(words(rule, &text).concat().len(), text.len());
            }
        }
    }
}
