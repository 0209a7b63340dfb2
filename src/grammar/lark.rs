//! llguidance's Lark, checked before it is compiled, with the JSON schemas in it made ready as any other is.
//!
//! What ends the engine is refused: brackets, or rules that use each other, too deep for the stack; terminals of too many
//! elements that may be left out; and what llguidance panics at.
//! Source: <https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md>. The lexemes are those of llguidance's
//! `lark/lexer.rs`, so that nothing hides in what is a text or a comment to only one of both.

use super::bounds::{MAX_DEPTH, check_regex};
use super::schema::Schema;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Elements of a terminal that may be left out, with those of the terminals in it: its states may take memory by the square
/// of their number.
const MAX_OPTIONAL: usize = 2_000;
/// How deep rules may use each other, with the brackets that they are used in. On 1 MiB of stack some 400 are too many.
const MAX_LED: usize = 128;
/// JSON schemas and grammars in a grammar.
const MAX_NESTED: usize = 100;

enum Lexeme<'s> {
    Name(&'s str),
    Regex(&'s str),
    Text(&'s str),
    /// `%ignore` and the like, without the JSON that follows some.
    Directive(&'s str),
    Json(Value),
    /// `@name`.
    Grammar,
    Mark(char),
}

/// Where a lexeme is in the source.
type Placed<'s> = (Range<usize>, Lexeme<'s>);

/// A rule's or a terminal's name, behind the number of the grammar that it is of: those in a `%lark` have names of their own.
type Name<'s> = (usize, &'s str);

/// `source` as llguidance is given it.
pub(super) fn prepared(source: &str) -> Result<String, String> {
    let lexemes = lexemes(source)?;
    check_brackets(source, &lexemes)?;
    check_known(source, &lexemes)?;
    let definitions = definitions(&lexemes);
    check_depth(&definitions)?;
    check_optional(&definitions)?;
    with_schemas(source, &lexemes)
}

/// What is wrong, and in which line.
fn fault(source: &str, at: usize, detail: &str) -> String {
    format!("line {}: {detail}", source[..at].matches('\n').count() + 1)
}

/// Refuses brackets that lie too deep in each other.
fn check_brackets(source: &str, lexemes: &[Placed]) -> Result<(), String> {
    let (mut depth, mut tildes) = (0_usize, 0_usize);
    for (at, lexeme) in lexemes {
        match lexeme {
            Lexeme::Mark('(' | '[' | '{') => depth += 1,
            Lexeme::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Lexeme::Regex(regex) => {
                check_regex(regex).map_err(|detail| fault(source, at.start, &detail))?;
            }
            _ => {}
        }
        tildes = if matches!(lexeme, Lexeme::Mark('~')) { tildes + 1 } else { 0 };
        if depth > MAX_DEPTH || tildes > MAX_DEPTH {
            let detail = format!("brackets should lie at most {MAX_DEPTH} deep in each other");
            return Err(fault(source, at.start, &detail));
        }
    }
    Ok(())
}

/// Refuses what llguidance 1.9.1 panics at.
fn check_known(source: &str, lexemes: &[Placed]) -> Result<(), String> {
    let ignores = lexemes.iter().any(|(_, lexeme)| matches!(lexeme, Lexeme::Directive("%ignore")));
    let mut nested = 0;
    for (index, (at, lexeme)) in lexemes.iter().enumerate() {
        let fault = |detail: &str| Err(fault(source, at.start, detail));
        let next = lexemes.get(index + 1).map(|(_, lexeme)| lexeme);
        match (lexeme, next) {
            (Lexeme::Mark(':'), Some(Lexeme::Mark(':'))) | (Lexeme::Directive("%if"), _) => {
                return fault("rules with parameters are not known to Tallow");
            }
            (Lexeme::Directive("%json" | "%lark") | Lexeme::Grammar, _) => {
                nested += 1;
                if ignores {
                    return fault("a grammar with `%ignore` can have no `%json`, `%lark` or `@` in it");
                }
                if nested > MAX_NESTED {
                    return fault(&format!("`%json` and `%lark` should be at most {MAX_NESTED}"));
                }
            }
            (Lexeme::Directive("%regex"), Some(Lexeme::Json(Value::Object(regex)))) => {
                let chunks = regex.get("substring_chunks").and_then(Value::as_array);
                if chunks.is_some_and(|chunks| chunks.iter().any(|chunk| chunk == "")) {
                    return fault("`substring_chunks` should be texts of at least one character");
                }
            }
            (Lexeme::Directive(directive @ ("%regex" | "%llguidance")), _)
                if !matches!(next, Some(Lexeme::Json(Value::Object(_)))) =>
            {
                return fault(&format!("an object should follow `{directive}`"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A rule, a terminal, or what a directive says.
struct Definition<'d, 's> {
    grammar: usize,
    name: &'s str,
    body: Vec<&'d Lexeme<'s>>,
}

impl<'d, 's> Definition<'d, 's> {
    fn uses(&self) -> impl Iterator<Item = Name<'s>> + use<'_, 'd, 's> {
        self.body.iter().filter_map(|lexeme| match lexeme {
            Lexeme::Name(name) => Some((self.grammar, *name)),
            _ => None,
        })
    }
}

fn definitions<'d, 's>(lexemes: &'d [Placed<'s>]) -> Vec<Definition<'d, 's>> {
    let mut out: Vec<Definition> = Vec::new();
    let mut closed = vec![lexemes.len(); lexemes.len()];
    for (index, (_, lexeme)) in lexemes.iter().enumerate().rev() {
        let next = closed.get(index + 1).copied().unwrap_or(lexemes.len());
        closed[index] = if matches!(lexeme, Lexeme::Mark(']')) { index } else { next };
    }
    let (mut grammar, mut grammars) = (0, 0);
    let mut braces = 0_usize;
    // Of each `%lark` that is open: the grammar around, the definition in that, and the braces.
    let mut around: Vec<(usize, Option<usize>, usize)> = Vec::new();
    let mut current: Option<usize> = None;
    for (index, (_, lexeme)) in lexemes.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| lexemes.get(before)).map(|(_, lexeme)| lexeme);
        let begins = match lexeme {
            Lexeme::Name(name) if begins_definition(lexemes, index, &closed) => Some(*name),
            Lexeme::Directive(name @ ("%ignore" | "%import" | "%override" | "%declare" | "%llguidance")) => {
                Some(*name)
            }
            _ => None,
        };
        if let Some(name) = begins {
            current = Some(out.len());
            out.push(Definition { grammar, name, body: Vec::new() });
            continue;
        }
        match lexeme {
            Lexeme::Mark('{') => {
                braces += 1;
                if matches!(before, Some(Lexeme::Directive("%lark"))) {
                    around.push((grammar, current.take(), braces));
                    grammars += 1;
                    grammar = grammars;
                }
            }
            Lexeme::Mark('}') => {
                if around.last().is_some_and(|(.., opened)| *opened == braces)
                    && let Some((outer, definition, _)) = around.pop()
                {
                    (grammar, current) = (outer, definition);
                    braces -= 1;
                    continue;
                }
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
        if let Some(definition) = current.and_then(|current| out.get_mut(current)) {
            definition.body.push(lexeme);
        }
    }
    out
}

/// Whether what follows a name makes it the name of a definition: `:`, after attributes or a priority. By index, `closed`
/// has where the next `]` is.
fn begins_definition(lexemes: &[Placed], name: usize, closed: &[usize]) -> bool {
    let mark =
        |at: usize, mark: char| matches!(lexemes.get(at), Some((_, Lexeme::Mark(other))) if *other == mark);
    if mark(name + 1, '[') {
        return mark(closed[name + 1] + 1, ':');
    }
    mark(name + 1, ':') || mark(name + 1, '.') && mark(name + 3, ':')
}

/// Refuses rules that lead too deep.
fn check_depth(definitions: &[Definition]) -> Result<(), String> {
    let mut uses: HashMap<Name, Vec<(Name, usize)>> = HashMap::new();
    for definition in definitions {
        let mut brackets = 0_usize;
        let uses = uses.entry((definition.grammar, definition.name)).or_default();
        for lexeme in &definition.body {
            match lexeme {
                Lexeme::Mark('(' | '[' | '{') => brackets += 1,
                Lexeme::Mark(')' | ']' | '}') => brackets = brackets.saturating_sub(1),
                Lexeme::Name(name) => uses.push(((definition.grammar, *name), brackets)),
                _ => {}
            }
        }
    }
    // Depth first, as each grammar's rules are compiled: what it ignores, then each when it is first seen.
    let grammars = definitions.iter().map(|definition| definition.grammar).max().map_or(0, |last| last + 1);
    let mut seen = HashSet::new();
    for start in (0..grammars).flat_map(|grammar| [(grammar, "%ignore"), (grammar, "start")]) {
        seen.insert(start);
        let mut path = vec![(uses.get(&start).into_iter().flatten(), 0)];
        let mut brackets = 0;
        while let Some((rest, before)) = path.last_mut() {
            match rest.next() {
                None => {
                    brackets -= *before;
                    path.pop();
                }
                Some((name, before)) if seen.insert(*name) => {
                    brackets += before;
                    path.push((uses.get(name).into_iter().flatten(), *before));
                }
                Some(_) => {}
            }
            if path.len() > MAX_DEPTH {
                return Err(format!("rules should use each other at most {MAX_DEPTH} deep"));
            }
            if path.len() + brackets > MAX_LED {
                return Err(format!(
                    "rules should use each other at most {MAX_LED} deep, with the brackets that they are used in"
                ));
            }
        }
    }
    Ok(())
}

/// Refuses terminals of too many elements that may be left out.
fn check_optional(definitions: &[Definition]) -> Result<(), String> {
    let terminals = || definitions.iter().filter(|definition| is_terminal(definition));
    let by_name: HashMap<Name, &Definition> =
        terminals().map(|definition| ((definition.grammar, definition.name), definition)).collect();
    let mut known: HashMap<Name, usize> = HashMap::new();
    for definition in terminals() {
        // Depth first: those that a terminal uses are counted before it is.
        let mut path = vec![(definition, definition.uses())];
        while let Some((definition, rest)) = path.last_mut() {
            let next = rest.find(|used| !known.contains_key(used));
            if let Some(used) = next {
                // One that uses itself is refused by the compiler.
                known.insert(used, 0);
                path.extend(by_name.get(&used).map(|definition| (*definition, definition.uses())));
                continue;
            }
            let within = definition.uses().filter_map(|used| known.get(&used));
            let count = within.fold(optional(&definition.body), |sum, &inner| sum.saturating_add(inner));
            if count > MAX_OPTIONAL {
                return Err(format!(
                    "`{}` should have at most {MAX_OPTIONAL} elements that may be left out, with those of the terminals in it",
                    definition.name
                ));
            }
            known.insert((definition.grammar, definition.name), count);
            path.pop();
        }
    }
    Ok(())
}

/// Whether a definition is made one regex: of a terminal, or of a rule that has attributes or what is not to match.
fn is_terminal(definition: &Definition) -> bool {
    definition.name.trim_start_matches('_').starts_with(|c: char| c.is_ascii_uppercase())
        || definition.name == "%ignore"
        || matches!(definition.body.first(), Some(Lexeme::Mark('[')))
        || definition.body.iter().any(|lexeme| matches!(lexeme, Lexeme::Mark('~')))
}

/// The elements in a body that may be left out, or alternatives that are empty.
fn optional(body: &[&Lexeme]) -> usize {
    let is_mark = |at: Option<usize>, marks: &str| match at.map(|at| body.get(at)) {
        Some(Some(Lexeme::Mark(mark))) => marks.contains(*mark),
        Some(Some(_)) => false,
        // Where a body begins or ends.
        _ => true,
    };
    let each = body.iter().enumerate().map(|(at, lexeme)| match lexeme {
        Lexeme::Mark('?' | '*' | '{' | '~' | '[') => 1,
        Lexeme::Mark('|') => usize::from(is_mark(at.checked_sub(1), "(|[:") || is_mark(Some(at + 1), ")|]}")),
        Lexeme::Mark(')') => usize::from(is_mark(at.checked_sub(1), "(")),
        Lexeme::Text("\"\"") => 1,
        Lexeme::Regex(regex) => regex.matches(['?', '*', '{', '|']).count(),
        _ => 0,
    });
    each.sum()
}

/// The source with each JSON schema checked and narrowed.
fn with_schemas(source: &str, lexemes: &[Placed]) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut done = 0;
    for pair in lexemes.windows(2) {
        let [(directive, Lexeme::Directive("%json")), (at, Lexeme::Json(value))] = pair else { continue };
        let schema = Schema::new(value)
            .map_err(|found| fault(source, directive.start, &format!("`%json` at {found}")))?;
        let written = schema.whole().to_string();
        out += &source[done..directive.end];
        out.push(' ');
        // The lines after it keep their numbers.
        out.extend(source[at.clone()].matches('\n'));
        out += &written;
        done = at.end;
    }
    Ok(out + &source[done..])
}

/// The lexemes of Lark as far as they matter here, without comments and line ends.
fn lexemes(source: &str) -> Result<Vec<Placed<'_>>, String> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let (len, lexeme) = match c {
            '#' => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '"' => {
                let len = quoted(rest, c);
                let flag = usize::from(rest[len..].starts_with('i'));
                (len + flag, Some(Lexeme::Text(&rest[..len])))
            }
            '/' => {
                let len = quoted(rest, c);
                let flags = leading(&rest[len..], |c| "imslux".contains(c));
                let regex = rest[1..len].strip_suffix(c).unwrap_or(&rest[1..len]);
                (len + flags, Some(Lexeme::Regex(regex)))
            }
            '<' => {
                let len = 1 + leading(&rest[1..], |c| !c.is_whitespace() && !"<>".contains(c));
                let is_token = rest[len..].starts_with('>');
                (if is_token { len + 1 } else { 1 }, Some(Lexeme::Mark('<')))
            }
            '@' => (
                1 + leading(&rest[1..], |c| c.is_ascii_alphanumeric() || "_-".contains(c)),
                Some(Lexeme::Grammar),
            ),
            '%' => {
                let len = 1 + leading(&rest[1..], |c| c.is_ascii_lowercase());
                // A directive ends where it is whole, whatever follows.
                let with_json = ["%json", "%regex", "%llguidance"];
                let known = with_json.into_iter().chain([
                    "%lark",
                    "%ignore",
                    "%import",
                    "%override",
                    "%declare",
                    "%if",
                ]);
                let directive = known.into_iter().find(|directive| rest.starts_with(directive));
                let Some(directive) = directive else {
                    return Err(fault(source, at, &format!("`{}` is not known", &rest[..len])));
                };
                if with_json.contains(&directive) {
                    let begin = at + directive.len();
                    out.push((at..begin, Lexeme::Directive(directive)));
                    let mut values = serde_json::Deserializer::from_str(&source[begin..]).into_iter();
                    let value: Value = match values.next() {
                        Some(Ok(value)) => value,
                        Some(Err(error)) => {
                            return Err(fault(source, at, &format!("the JSON of `{directive}`: {error}")));
                        }
                        None => return Err(fault(source, at, &format!("JSON should follow `{directive}`"))),
                    };
                    at = begin + values.byte_offset();
                    out.push((begin..at, Lexeme::Json(value)));
                    continue;
                }
                (directive.len(), Some(Lexeme::Directive(directive)))
            }
            c => match name(rest) {
                0 => (c.len_utf8(), (!c.is_whitespace()).then_some(Lexeme::Mark(c))),
                len => (len, Some(Lexeme::Name(&rest[..len]))),
            },
        };
        out.extend(lexeme.map(|lexeme| (at..at + len, lexeme)));
        at += len;
    }
    Ok(out)
}

/// The length of the name that `text` begins with: of a rule in small letters, or of a terminal in capitals.
fn name(text: &str) -> usize {
    let underscore = usize::from(text.starts_with('_'));
    let rest = &text[underscore..];
    let is_rule = rest.starts_with(|c: char| c.is_ascii_lowercase());
    let is_terminal = rest.starts_with(|c: char| c.is_ascii_uppercase());
    if !is_rule && !is_terminal {
        return 0;
    }
    let letter = |c: char| if is_rule { c.is_ascii_lowercase() } else { c.is_ascii_uppercase() };
    underscore + leading(rest, |c| letter(c) || c.is_ascii_digit() || "_-".contains(c))
}

/// The length of the characters that `text` begins with for which `holds`.
fn leading(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.find(|c| !holds(c)).unwrap_or(text.len())
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
        assert!(prepared(&format!("start: {}", "\"(\" /[(]/ ".repeat(500))).is_ok());
        assert!(prepared(&format!("start: {}", "( ".repeat(65))).is_err());
        assert!(prepared(&format!("start: /{}/", "(".repeat(65))).is_err());
        assert!(prepared(&format!("start: {}a", "~".repeat(65))).is_err());
        assert!(prepared(&format!("start: \"a\" # {}", "(".repeat(65))).is_ok());
        assert!(prepared(&format!("start: # \"\n {} # \"", "(".repeat(65))).is_err());
        assert!(prepared(&format!("start: <\"> {} <\">", "(".repeat(65))).is_err());
    }

    #[test]
    fn chains_of_rules_count() {
        let chain = |first: &str, n: usize| {
            let rules: Vec<String> =
                (0..n).map(|at| format!("{first}{at}: \"a\" {first}{}\n", at + 1)).collect();
            format!("{}{first}{n}: \"b\"\n", rules.concat())
        };
        assert!(prepared(&format!("start: r0\n{}", chain("r", 50))).is_ok());
        assert!(prepared(&format!("start: r0\n{}", chain("r", 70))).is_err());
        // Two names, of which one is a terminal's.
        assert!(prepared(&format!("start: Xr0\nX: \"x\"\n{}", chain("r", 70))).is_err());
        assert!(prepared(&format!("%ignore R0\nstart: \"a\"\n{}", chain("R", 70))).is_err());
        // A grammar in it has names of its own, and what stands behind it is the outer rule's.
        let backwards: Vec<String> = (0..=70).rev().map(|at| format!("r{at}")).collect();
        let nested = |body: &str, rules: &str, behind: &str| {
            format!("start: {body} %lark {{\n start: r0\n{rules}\n}} {behind}\n")
        };
        let letters: String = (0..=70).map(|at| format!("r{at}: \"a\"\n")).collect();
        assert!(prepared(&(nested(&backwards.join(" "), &chain("r", 70), "") + &letters)).is_err());
        assert!(prepared(&(nested("", "r0: \"a\"", "s0") + &chain("s", 70))).is_err());
        assert!(prepared(&(nested("", "r0: \"a\"", "s0") + &chain("s", 50))).is_ok());
        let wide: Vec<String> = (0..500).map(|at| format!("r{at}[lazy]: \"a\"\n")).collect();
        let all: Vec<String> = (0..500).map(|at| format!("r{at}")).collect();
        assert!(prepared(&format!("start: {}\n{}", all.join(" | "), wide.concat())).is_ok());
    }

    #[test]
    fn what_may_be_left_out_counts_where_it_is_used() {
        let doubled = |body: &str, n: usize| {
            let terminals: Vec<String> =
                (1..=n).map(|at| format!("T{at}: T{} T{}\n", at - 1, at - 1)).collect();
            format!("start: T{n}\n{}T0: {body}\n", terminals.concat())
        };
        for body in
            ["\"a\"?", "[\"a\"]", "\"a\"~0..2", "(\"a\" | )", "(|\"a\")", "\"a\" |", "\"\"", "/a?/", "()"]
        {
            assert!(prepared(&doubled(body, 10)).is_ok(), "{body}");
            let detail = prepared(&doubled(body, 11)).unwrap_err();
            assert_eq!(
                detail,
                "`T11` should have at most 2000 elements that may be left out, with those of the terminals in it",
                "{body}"
            );
        }
        assert!(prepared(&doubled("\"a\" | \"b\"", 11)).is_ok());
        assert!(prepared("start: A\nA: B \"a\"?\nB: A").is_ok());
        let words: String = (0..5000).map(|n| format!("| \"word {n}\" ")).collect();
        assert!(prepared(&format!("start: W\nW: \"w\" {words}")).is_ok());
    }

    #[test]
    fn schemas_are_narrowed_in_their_place() {
        let source =
            "start: \"<\" %json {\n \"type\":\n \"boolean\" }\n end # %json 7\nend: \"%json\" %json true\n";
        let out = prepared(source).unwrap();
        assert_eq!(out.matches('\n').count(), source.matches('\n').count());
        assert_eq!(out.matches("whitespace_flexible").count(), 2);
        assert!(out.ends_with("}\n") && out.contains("}\n end # %json 7\nend: \"%json\" %json {"), "{out}");
    }
}
