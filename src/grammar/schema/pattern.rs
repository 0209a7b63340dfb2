//! A pattern of JSON Schema, which is ECMAScript's with the flag `u`, as Rust's `regex` has it.
//!
//! They differ in what `.`, `\s`, `\d` and `\w` match, and in what stands for itself in a class. What only one of them
//! knows is an error of the parser's.

use crate::grammar::bounds::check_regex;
use llguidance::derivre::{RegexAst, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use std::iter::Peekable;
use std::str::Chars;

/// What `.` does not match, and what `\s` does, in a class.
const LINE_ENDS: &str = r"\n\r\x{2028}\x{2029}";
const SPACE: &str = r"\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";

/// Whether JSON has no short escape for a byte that it wants escaped. No answer has it, since a key that can be
/// spelled in two ways could be given twice.
pub(super) fn unwritable(byte: u8) -> bool {
    matches!(byte, 0..0x20 | 0x7F) && !matches!(byte, 8 | b'\t' | b'\n' | 12 | b'\r')
}

/// `pattern` as Rust has it.
pub(super) fn to_rust(pattern: &str) -> Result<String, String> {
    check_regex(pattern)?;
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out),
            '[' => class(&mut chars, &mut out)?,
            '.' => out += &format!("[^{LINE_ENDS}]"),
            c => out.push(c),
        }
    }
    let parsed = regex_syntax::Parser::new().parse(&out).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => format!("`{pattern}`: {}", error.kind()),
        regex_syntax::Error::Translate(error) => format!("`{pattern}`: {}", error.kind()),
        error => format!("`{pattern}`: {error}"),
    })?;
    match unwritable_literal(&parsed) {
        // llguidance would leave it out.
        Some(byte) => Err(format!("`{pattern}` has U+{byte:04X}, which Tallow can't have in an answer")),
        None => Ok(out),
    }
}

/// How much may be computed to compare two patterns.
const FUEL: u64 = 200_000;

/// Whether every text that `own` matches, a pattern of Rust's, is one that `pattern` does. In that, lookaheads may stand
/// behind the `^` that it begins with.
#[inline(never)]
pub(super) fn always(own: &str, pattern: &str) -> bool {
    let Some((rest, ahead)) = lookaheads(pattern) else { return false };
    holds(own, &rest, true) == Some(true)
        && ahead.iter().all(|(inside, wanted)| holds(own, &format!("^(?:{inside})"), *wanted) == Some(true))
}

/// Whether `pattern` matches each, or where it is not `wanted` none, of the texts that `own` does.
#[inline(never)]
fn holds(own: &str, pattern: &str, wanted: bool) -> Option<bool> {
    let pattern = RegexAst::SearchRegex(to_rust(pattern).ok()?);
    let wrong = if wanted { RegexAst::Not(Box::new(pattern)) } else { pattern };
    let mut builder = RegexBuilder::new();
    let both = builder.mk(&RegexAst::And(vec![RegexAst::SearchRegex(own.to_owned()), wrong])).ok()?;
    Some(builder.to_regex_limited(both, FUEL).ok()?.always_empty())
}

/// A pattern without the lookaheads that it begins with, and what they look for and whether it is wanted; none where
/// they are one alternative's only.
#[inline(never)]
fn lookaheads(pattern: &str) -> Option<(String, Vec<(&str, bool)>)> {
    let mut ahead = Vec::new();
    let Some(mut rest) = pattern.strip_prefix('^') else { return Some((pattern.to_owned(), ahead)) };
    while let Some(inside) = rest.strip_prefix("(?=").or_else(|| rest.strip_prefix("(?!")) {
        let end = outside(inside, ')')?;
        ahead.push((&inside[..end], rest.starts_with("(?=")));
        rest = &inside[end + 1..];
    }
    let one_alternatives = !ahead.is_empty() && outside(rest, '|').is_some();
    (!one_alternatives).then(|| (format!("^{rest}"), ahead))
}

/// Where `wanted` first stands in a pattern, in no group or class.
#[inline(never)]
fn outside(pattern: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut in_class) = (0_usize, false);
    let mut chars = pattern.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            c if c == wanted && depth == 0 => return Some(at),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// What follows a backslash, in a class or not.
fn escape(chars: &mut Peekable<Chars>, out: &mut String) {
    match chars.next() {
        Some('s') => *out += &format!("[{SPACE}]"),
        Some('S') => *out += &format!("[^{SPACE}]"),
        Some('d') => *out += "[0-9]",
        Some('D') => *out += "[^0-9]",
        Some('w') => *out += "[0-9A-Za-z_]",
        Some('W') => *out += "[^0-9A-Za-z_]",
        Some(c) => out.extend(['\\', c]),
        None => out.push('\\'),
    }
}

/// What follows the bracket that opens a class.
fn class(chars: &mut Peekable<Chars>, out: &mut String) -> Result<(), String> {
    let negated = chars.next_if_eq(&'^').is_some();
    if chars.next_if_eq(&']').is_some() {
        *out += if negated { r"[\s\S]" } else { r"[^\s\S]" };
        return Ok(());
    }
    *out += if negated { "[^" } else { "[" };
    loop {
        if chars.next_if_eq(&']').is_some() {
            out.push(']');
            return Ok(());
        }
        atom(chars, out)?;
        // A dash between two atoms makes a range; the last one before the bracket is an atom.
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            chars.next();
            out.push('-');
            atom(chars, out)?;
        }
    }
}

/// A character of a class, or an escape.
fn atom(chars: &mut Peekable<Chars>, out: &mut String) -> Result<(), String> {
    match chars.next() {
        Some('\\') if chars.next_if_eq(&'b').is_some() => *out += r"\x08",
        // `\u{1F600}`, whose digits are no atoms.
        Some('\\') if matches!(chars.peek(), Some('u' | 'x' | 'p' | 'P')) => {
            escape(chars, out);
            while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || "{}=_".contains(*c)) {
                out.push(c);
                if c == '}' {
                    break;
                }
            }
        }
        Some('\\') => escape(chars, out),
        Some(c @ ('[' | '&' | '~' | '-')) => out.extend(['\\', c]),
        Some(c) => out.push(c),
        None => return Err("a class should end with `]`".to_owned()),
    }
    Ok(())
}

/// A byte that a literal of the pattern has, but no answer may.
fn unwritable_literal(hir: &Hir) -> Option<u8> {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.iter().copied().find(|&byte| unwritable(byte)),
        HirKind::Repetition(repetition) => unwritable_literal(&repetition.sub),
        HirKind::Capture(capture) => unwritable_literal(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(unwritable_literal),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}
