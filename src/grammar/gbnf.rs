//! llama.cpp's GBNF to llguidance's Lark.
//!
//! GBNF parses characters; llguidance cuts the text into lexemes first, each as long as it can be. So that both mean the
//! same, all that does not recurse becomes one lexeme: a grammar without recursion is a single regex. Where rules recurse,
//! literals and classes that stand side by side are one lexeme together.
//!
//! Known: rules, alternatives, groups, literals, classes, `.`, `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`, comments. Not known:
//! tokens (`<think>`, `<[1]>`), which name a vocabulary's entry.
//! Source: <https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>.

use super::bounds::{MAX_DEPTH, MAX_REGEX};
use std::collections::HashMap;
use std::fmt::Write;

/// The most that an element may be repeated.
const MAX_REPEAT: u32 = 65_535;
/// How many repetitions may stand behind each other, besides `*`, `+` and `?`, which together are one.
const MAX_STACKED: usize = 4;

/// What is wrong, and where.
type Parsed<T> = Result<T, String>;

enum Expr {
    Literal(String),
    /// A regex of a class.
    Regex(String),
    Rule(usize),
    Sequence(Vec<Expr>),
    Choice(Vec<Expr>),
    Repeat(Box<Expr>, u32, Option<u32>),
}

/// Whether `source` is GBNF and not Lark: a line begins with a rule's name and `::=`.
pub(super) fn is_gbnf(source: &str) -> bool {
    source.lines().any(|line| {
        let after = line.trim_start().trim_start_matches(is_name);
        after.len() < line.trim_start().len() && after.trim_start().starts_with("::=")
    })
}

/// The same language in Lark.
pub(super) fn to_lark(source: &str) -> Parsed<String> {
    let mut parser =
        Parser { source, at: 0, depth: 0, names: Vec::new(), by_name: HashMap::new(), bodies: Vec::new() };
    parser.rules()?;
    let rules = parser.bodies;
    let bodies: Vec<Expr> = rules
        .into_iter()
        .zip(&parser.names)
        .map(|(body, name)| body.ok_or_else(|| format!("rule `{name}` is used but not defined")))
        .collect::<Parsed<_>>()?;
    let root =
        *parser.by_name.get("root").ok_or("a rule `root` should begin the grammar, but there is none")?;
    Ok(Writer { recursive: recursive(&bodies), bodies: &bodies, lexemes: String::new(), n: 0 }.write(root))
}

struct Parser<'s> {
    source: &'s str,
    at: usize,
    /// Of the group that is being read.
    depth: usize,
    names: Vec<&'s str>,
    by_name: HashMap<&'s str, usize>,
    bodies: Vec<Option<Expr>>,
}

impl<'s> Parser<'s> {
    fn rules(&mut self) -> Parsed<()> {
        self.space(true);
        while !self.rest().is_empty() {
            let begin = self.at;
            let name = self.name().ok_or_else(|| self.expected("the name of a rule"))?;
            self.space(false);
            if !self.take("::=") {
                return Err(self.expected("`::=`"));
            }
            self.space(true);
            let rule = self.rule(name);
            let body = self.choice(false)?;
            if self.bodies[rule].replace(body).is_some() {
                self.at = begin;
                return Err(format!("line {}: rule `{name}` is defined twice", self.line()));
            }
            if !self.rest().is_empty()
                && !self.source[..self.at].trim_end_matches(' ').ends_with(['\n', '\r'])
            {
                return Err(self.expected("the end of the line"));
            }
            self.space(true);
        }
        Ok(())
    }

    fn choice(&mut self, nested: bool) -> Parsed<Expr> {
        let mut options = vec![self.sequence(nested)?];
        loop {
            // An alternative may begin a line.
            let here = self.at;
            self.space(true);
            if !self.take("|") {
                self.at = if nested { self.at } else { here };
                break;
            }
            self.space(true);
            options.push(self.sequence(nested)?);
        }
        if !nested {
            self.space(false);
            let line_end = self.rest().len() - self.rest().trim_start_matches(['\r', '\n']).len();
            self.at += line_end;
        }
        Ok(if options.len() == 1 { options.remove(0) } else { Expr::Choice(options) })
    }

    fn sequence(&mut self, nested: bool) -> Parsed<Expr> {
        let mut items = Vec::new();
        loop {
            self.space(nested);
            let item = match self.rest().chars().next() {
                Some('"') => self.literal()?,
                Some('[') => self.class()?,
                Some('(') => {
                    self.at += 1;
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(format!("groups should lie at most {MAX_DEPTH} deep in each other"));
                    }
                    self.space(true);
                    let inner = self.choice(true)?;
                    self.depth -= 1;
                    self.space(true);
                    if !self.take(")") {
                        return Err(self.expected("`)`"));
                    }
                    inner
                }
                Some('.') => {
                    self.at += 1;
                    Expr::Regex("(?s:.)".to_owned())
                }
                Some(c) if is_name(c) => {
                    let name = self.name().unwrap_or_default();
                    Expr::Rule(self.rule(name))
                }
                Some('<' | '!') => return Err(self.expected("no token, which Tallow does not have in GBNF")),
                _ => break,
            };
            items.push(self.repeated(item, nested)?);
        }
        Ok(if items.len() == 1 { items.remove(0) } else { Expr::Sequence(items) })
    }

    /// An element with the repetitions behind it, each of which repeats what stands before it.
    fn repeated(&mut self, mut item: Expr, nested: bool) -> Parsed<Expr> {
        let mut stacked = 0;
        loop {
            self.space(nested);
            let Some((min, max)) = self.repetition()? else { return Ok(item) };
            item = match item {
                _ if max == Some(0) => Expr::Sequence(Vec::new()),
                Expr::Sequence(items) if items.is_empty() => Expr::Sequence(items),
                Expr::Repeat(inner, least, most) if is_operator(least, most) && is_operator(min, max) => {
                    // `+*`, say, is `*`.
                    let most = if (most, max) == (Some(1), Some(1)) { Some(1) } else { None };
                    Expr::Repeat(inner, least.min(min), most)
                }
                item => {
                    stacked += 1;
                    if stacked > MAX_STACKED {
                        let what = format!("at most {MAX_STACKED} repetitions of each other");
                        return Err(self.expected(&what));
                    }
                    Expr::Repeat(Box::new(item), min, max)
                }
            };
        }
    }

    /// The least and the most of a repetition, if one is here.
    fn repetition(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let (min, max) = if self.take("*") {
            (0, None)
        } else if self.take("+") {
            (1, None)
        } else if self.take("?") {
            (0, Some(1))
        } else if self.take("{") {
            self.space(true);
            let min = self.number()?;
            self.space(true);
            let max = if self.take(",") {
                self.space(true);
                let bounded = self.rest().starts_with(|c: char| c.is_ascii_digit());
                if bounded { Some(self.number()?) } else { None }
            } else {
                Some(min)
            };
            self.space(true);
            if !self.take("}") {
                return Err(self.expected("`}`"));
            }
            (min, max)
        } else {
            return Ok(None);
        };
        if max.is_some_and(|max| max < min) {
            return Err(self.expected("a repetition whose most is not below its least"));
        }
        Ok(Some((min, max)))
    }

    fn literal(&mut self) -> Parsed<Expr> {
        let mut text = String::new();
        self.at += 1;
        while !self.take("\"") {
            text.push(self.char()?);
        }
        Ok(Expr::Literal(text))
    }

    fn class(&mut self) -> Parsed<Expr> {
        self.at += 1;
        let mut regex = String::from(if self.take("^") { "[^" } else { "[" });
        let empty = regex.len();
        while !self.take("]") {
            let low = self.char()?;
            push_char(&mut regex, low);
            if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
                self.at += 1;
                let high = self.char()?;
                if high < low {
                    return Err(self.expected("a range that ascends"));
                }
                regex.push('-');
                push_char(&mut regex, high);
            }
        }
        if regex.len() == empty {
            return Err(self.expected("a class of at least one character"));
        }
        regex.push(']');
        if regex.len() > MAX_REGEX {
            return Err(self.expected("the end of a shorter class"));
        }
        Ok(Expr::Regex(regex))
    }

    /// A character of a literal or a class, escaped or not.
    fn char(&mut self) -> Parsed<char> {
        let Some(c) = self.next() else { return Err(self.expected("`\"` or `]`")) };
        if c != '\\' {
            return Ok(c);
        }
        let digits = match self.next() {
            Some('n') => return Ok('\n'),
            Some('r') => return Ok('\r'),
            Some('t') => return Ok('\t'),
            Some(c @ ('\\' | '"' | '[' | ']' | '-' | '^' | '/' | '\'')) => return Ok(c),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err(self.expected("an escape that GBNF has")),
        };
        let hex = self.rest().get(..digits);
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let c = code.ok_or_else(|| self.expected("the number of a character"))?;
        self.at += digits;
        Ok(c)
    }

    fn number(&mut self) -> Parsed<u32> {
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = self.rest()[..digits].parse().ok().filter(|&number| number <= MAX_REPEAT);
        let number = number.ok_or_else(|| self.expected(&format!("a number up to {MAX_REPEAT}")))?;
        self.at += digits;
        Ok(number)
    }

    fn name(&mut self) -> Option<&'s str> {
        let rest = self.rest();
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        self.at += name.len();
        (!name.is_empty()).then_some(name)
    }

    fn rule(&mut self, name: &'s str) -> usize {
        *self.by_name.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.bodies.push(None);
            self.names.len() - 1
        })
    }

    /// Passes over blanks and comments, and line ends if they do not count.
    fn space(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            let blank = |c: char| matches!(c, ' ' | '\t') || lines && matches!(c, '\r' | '\n');
            let after = rest.trim_start_matches(blank);
            let after = match after.strip_prefix('#') {
                Some(comment) => &comment[comment.find(['\r', '\n']).unwrap_or(comment.len())..],
                None => after,
            };
            if after.len() == rest.len() {
                break;
            }
            self.at = self.source.len() - after.len();
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn line(&self) -> usize {
        self.source[..self.at].matches('\n').count() + 1
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end".to_owned(),
        };
        format!("line {}: {what} should be here, but is {found}", self.line())
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// A character of a regex that stands for itself.
fn push_char(regex: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        regex.push(c);
    } else {
        let _ = write!(regex, "\\x{{{:X}}}", c as u32);
    }
}

/// By rule, whether it leads to itself.
fn recursive(bodies: &[Expr]) -> Vec<bool> {
    fn uses(expr: &Expr, out: &mut Vec<usize>) {
        match expr {
            Expr::Literal(_) | Expr::Regex(_) => {}
            Expr::Rule(rule) => out.push(*rule),
            Expr::Sequence(parts) | Expr::Choice(parts) => parts.iter().for_each(|part| uses(part, out)),
            Expr::Repeat(inner, ..) => uses(inner, out),
        }
    }
    let used: Vec<Vec<usize>> = bodies
        .iter()
        .map(|body| {
            let mut out = Vec::new();
            uses(body, &mut out);
            out
        })
        .collect();
    // What can be written out once all that it uses is: the rest recurses, or uses what does.
    let mut left: Vec<usize> = used.iter().map(Vec::len).collect();
    let mut users = vec![Vec::new(); bodies.len()];
    for (rule, used) in used.iter().enumerate() {
        for &other in used {
            users[other].push(rule);
        }
    }
    let mut recursive = vec![true; bodies.len()];
    let mut done: Vec<usize> = (0..bodies.len()).filter(|&rule| left[rule] == 0).collect();
    while let Some(rule) = done.pop() {
        recursive[rule] = false;
        for &user in &users[rule] {
            left[user] -= 1;
            if left[user] == 0 {
                done.push(user);
            }
        }
    }
    recursive
}

/// Writes Lark: rule number i as the lexeme `Ri` if it does not recurse, else as the rule `ri`.
struct Writer<'e> {
    bodies: &'e [Expr],
    recursive: Vec<bool>,
    /// Those that have no name in the source, `Ln`.
    lexemes: String,
    n: usize,
}

impl Writer<'_> {
    fn write(mut self, root: usize) -> String {
        let mut out = format!("start: {}\n", self.name(root));
        for (rule, body) in self.bodies.iter().enumerate() {
            let written = if self.recursive[rule] { self.rule(body) } else { self.lexeme(body) };
            let _ = writeln!(out, "{}: {written}", self.name(rule));
        }
        out + &self.lexemes
    }

    fn name(&self, rule: usize) -> String {
        format!("{}{rule}", if self.recursive[rule] { 'r' } else { 'R' })
    }

    fn recurses(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(_) | Expr::Regex(_) => false,
            Expr::Rule(rule) => self.recursive[*rule],
            Expr::Sequence(parts) | Expr::Choice(parts) => parts.iter().any(|part| self.recurses(part)),
            Expr::Repeat(inner, ..) => self.recurses(inner),
        }
    }

    /// An expression of lexemes only.
    fn lexeme(&self, expr: &Expr) -> String {
        let parts = |parts: &[Expr], between| {
            let parts: Vec<String> = parts.iter().map(|part| self.lexeme(part)).collect();
            format!("({})", parts.join(between))
        };
        match expr {
            Expr::Literal(text) => quoted(text),
            Expr::Regex(regex) => format!("/{regex}/"),
            Expr::Rule(rule) => self.name(*rule),
            Expr::Sequence(items) if items.is_empty() => "\"\"".to_owned(),
            Expr::Sequence(items) => parts(items, " "),
            Expr::Choice(options) => parts(options, " | "),
            Expr::Repeat(inner, min, max) => format!("({}){}", self.lexeme(inner), repeat(*min, *max)),
        }
    }

    /// An expression of a rule that recurses.
    fn rule(&mut self, expr: &Expr) -> String {
        if !self.recurses(expr) {
            return self.unnamed(std::slice::from_ref(expr));
        }
        match expr {
            Expr::Sequence(items) => {
                let mut parts = Vec::new();
                let mut rest = &items[..];
                while let Some(first) = rest.first() {
                    let run = rest.iter().take_while(|item| !self.recurses(item)).count();
                    parts.push(if run == 0 { self.rule(first) } else { self.unnamed(&rest[..run]) });
                    rest = &rest[run.max(1)..];
                }
                format!("({})", parts.join(" "))
            }
            Expr::Choice(options) => {
                let options: Vec<String> = options.iter().map(|option| self.rule(option)).collect();
                format!("({})", options.join(" | "))
            }
            Expr::Repeat(inner, min, max) => format!("({}){}", self.rule(inner), repeat(*min, *max)),
            Expr::Literal(_) | Expr::Regex(_) | Expr::Rule(_) => self.lexeme(expr),
        }
    }

    /// A lexeme of its own for what stands side by side.
    fn unnamed(&mut self, items: &[Expr]) -> String {
        if let [Expr::Rule(_)] = items {
            return self.lexeme(&items[0]);
        }
        let written: Vec<String> = items.iter().map(|item| self.lexeme(item)).collect();
        self.n += 1;
        let _ = writeln!(self.lexemes, "L{}: {}", self.n, written.join(" "));
        format!("L{}", self.n)
    }
}

/// A text as Lark has it: as JSON, but without control characters.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// Whether a repetition is `*`, `+` or `?`.
fn is_operator(min: u32, max: Option<u32>) -> bool {
    matches!((min, max), (0 | 1, None) | (0, Some(1)))
}

fn repeat(min: u32, max: Option<u32>) -> String {
    match (min, max) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    }
}
