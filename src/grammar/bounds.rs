//! How deep a source leads a recursive parser, told before it is parsed: each level takes stack, of which a browser gives
//! little.

use std::collections::HashMap;

/// How deep brackets, or rules that use each other, may lie in each other.
pub(super) const MAX_DEPTH: usize = 64;

/// Refuses a regex whose groups lie too deep in each other.
pub(super) fn check_regex(regex: &str) -> Result<(), String> {
    let (mut depth, mut in_class) = (0_usize, false);
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("groups should lie at most {MAX_DEPTH} deep in each other"));
        }
    }
    Ok(())
}

/// Refuses a Lark grammar whose brackets lie, or whose rules lead, too deep.
pub(super) fn check_lark(source: &str) -> Result<(), String> {
    let lexemes = lexemes(source);
    let (mut depth, mut tildes) = (0_usize, 0_usize);
    for lexeme in &lexemes {
        match lexeme {
            Lexeme::Mark('(' | '[' | '{') => depth += 1,
            Lexeme::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Lexeme::Regex(regex) => check_regex(regex)?,
            _ => {}
        }
        tildes = if matches!(lexeme, Lexeme::Mark('~')) { tildes + 1 } else { 0 };
        if depth > MAX_DEPTH || tildes > MAX_DEPTH {
            return Err(format!("brackets should lie at most {MAX_DEPTH} deep in each other"));
        }
    }

    // A definition goes from a name with a colon to the next.
    let mut uses: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut defined = "";
    for (at, lexeme) in lexemes.iter().enumerate() {
        let Lexeme::Name(name) = lexeme else { continue };
        if begins_definition(&lexemes[at + 1..]) {
            defined = name;
        } else {
            uses.entry(defined).or_default().push(name);
        }
    }
    // Depth first, as rules are compiled: each when it is first seen.
    let mut seen = std::collections::HashSet::from(["start"]);
    let mut path = vec![uses.get("start").into_iter().flatten()];
    while let Some(rest) = path.last_mut() {
        match rest.next() {
            None => drop(path.pop()),
            Some(name) if seen.insert(name) => path.push(uses.get(name).into_iter().flatten()),
            Some(_) => {}
        }
        if path.len() > MAX_DEPTH {
            return Err(format!("rules should use each other at most {MAX_DEPTH} deep"));
        }
    }
    Ok(())
}

enum Lexeme<'s> {
    Name(&'s str),
    Regex(&'s str),
    Text,
    Mark(char),
}

/// Whether what follows a name makes it the name of a definition: `:`, after attributes, a priority or parameters.
fn begins_definition(after: &[Lexeme]) -> bool {
    match after {
        [Lexeme::Mark(':'), Lexeme::Mark(':'), ..] => true,
        [Lexeme::Mark(':'), ..] => true,
        [Lexeme::Mark('['), rest @ ..] => rest
            .iter()
            .position(|lexeme| matches!(lexeme, Lexeme::Mark(']')))
            .is_some_and(|end| matches!(rest.get(end + 1), Some(Lexeme::Mark(':')))),
        [Lexeme::Mark('.'), Lexeme::Name(_), Lexeme::Mark(':'), ..] => true,
        _ => false,
    }
}

/// The lexemes of Lark as far as they matter here, without comments.
fn lexemes(source: &str) -> Vec<Lexeme<'_>> {
    let mut out = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' | '/' => {
                let len = quoted(rest, c);
                out.push(if c == '/' { Lexeme::Regex(&rest[1..len]) } else { Lexeme::Text });
                len
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
                let len = len.unwrap_or(rest.len());
                out.push(Lexeme::Name(&rest[..len]));
                len
            }
            c => {
                if !c.is_whitespace() {
                    out.push(Lexeme::Mark(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

/// The length of what begins and ends with `quote`, or goes to the end.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_are_brackets() {
        assert!(check_regex(&r"[(]\((a)".repeat(500)).is_ok());
        assert!(check_regex(&"(".repeat(65)).is_err());
        assert!(check_lark(&format!("start: {}", "\"(\" /[(]/ ".repeat(500))).is_ok());
        assert!(check_lark(&format!("start: {}", "( ".repeat(65))).is_err());
        assert!(check_lark(&format!("start: /{}/", "(".repeat(65))).is_err());
        assert!(check_lark(&format!("start: {}a", "~".repeat(65))).is_err());
    }

    #[test]
    fn chains_of_rules_count() {
        let chain = |n: usize| {
            let rules: Vec<String> = (0..n).map(|at| format!("r{at}: \"a\" r{}\n", at + 1)).collect();
            format!("start: r0\n{}r{n}[lazy]: \"b\"\n", rules.concat())
        };
        assert!(check_lark(&chain(50)).is_ok());
        assert!(check_lark(&chain(70)).is_err());
        let wide: Vec<String> = (0..500).map(|at| format!("r{at}: \"a\"\n")).collect();
        let all: Vec<String> = (0..500).map(|at| format!("r{at}")).collect();
        assert!(check_lark(&format!("start: {}\n{}", all.join(" | "), wide.concat())).is_ok());
    }
}
