//! A template's source, read before minijinja reads it.
//!
//! It bounds what minijinja's parser does not: the parser, the compiler and the drop of the syntax tree are
//! recursive, so a chain of a hundred thousand `+` or `elif` would overrun the stack. And it rewrites what the
//! parser does not know:
//!
//! - `\r\n` and `\r` become `\n`, as in jinja2.
//! - `{% generation %}` marks an answer for training and prints its body; it becomes `{% with %}`, which has the
//!   same scope.
//! - `{% set x = expr %}` becomes `{% set x = (expr)|bounded %}`, and `{% set x.y = expr %}` likewise; see
//!   `filters::bounded`.
//! - `{% if expr %}` becomes `{% if (expr)|in_time %}`, and `{% for x in expr if expr %}` becomes
//!   `{% for x in (expr)|turns if (expr)|in_time %}`; see `deadline`.
//! - `{{ a ~ b }}` becomes `{{ (a)|string ~ (b)|string }}`, `{{ a == b }}` becomes `{{ a == (b)|compared }}`,
//!   keys likewise, `{{ a in b }}` becomes `{{ (a)|compared in (b)|container }}` and `{{ a[b:c:d] }}` becomes
//!   `{{ a[b:c:(d)|step] }}`: what minijinja would not pay for or would fail at; see `filters`. Literals stay.
//! - `{{ a|safe + b }}` becomes `{{ a|safe + (b)|e }}`: what is added to a safe text is escaped in jinja2, and in
//!   minijinja only under `autoescape`.
//!
//! Line numbers stay as they are.

use super::bounds::{MAX_BLOCK_DEPTH, MAX_BRACKET_DEPTH, MAX_EXPRESSION_DEPTH, MAX_SOURCE_LEN};
use crate::{Error, ErrorKind, Result};

/// The source for minijinja.
///
/// # Errors
/// `template_error` if a bound is exceeded. Broken syntax passes: minijinja reports it better.
pub(super) fn prepare(source: &str) -> Result<String> {
    if source.len() > MAX_SOURCE_LEN {
        return Err(template_error(format!(
            "the chat template's source exceeds its limit: expected at most {MAX_SOURCE_LEN} bytes, got {}",
            source.len()
        )));
    }
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader =
        Reader { source: &source, at: 0, written: 0, prepared: String::new(), blocks: Vec::new() };
    while let Some(offset) = source[reader.at..].find('{') {
        reader.at += offset;
        match source.as_bytes().get(reader.at + 1) {
            Some(b'#') => {
                reader.at += 2;
                reader.skip_past("#}");
            }
            Some(b'{') => {
                reader.at += 2;
                reader.skip_sign();
                reader.expression("}}")?;
            }
            Some(b'%') => reader.block()?,
            _ => reader.at += 1,
        }
    }
    reader.copy_to(source.len());
    Ok(reader.prepared)
}

/// An open bracket, or the expression itself.
#[derive(Default)]
struct Level<'s> {
    /// What opened it.
    bracket: &'s str,
    /// How many tokens hang on each other since the last comma. No tree is deeper than the sum over the levels.
    chain: usize,
    /// Whether the sum so far is a safe text.
    safe: bool,
    /// Whether a summand that is to be escaped is open.
    escaping: bool,
    /// What is between operators that bind no tighter than `~`.
    operand: Operand<'s>,
    /// Whether it is behind a `~`.
    concatenated: bool,
    /// What is between operators that bind no tighter than `==`.
    compared: Operand<'s>,
    /// What it is put through, if it is behind such an operator.
    comparison: Option<&'static str>,
    /// Whether what is in here is compared anyway: as a key, or by `loop.changed`.
    compares: bool,
    /// Of a slice, the colons so far and what is behind the second.
    colons: usize,
    step: Operand<'s>,
}

/// A part of an expression that is being read.
#[derive(Clone, Copy, Default)]
struct Operand<'s> {
    /// Where it begins in what is prepared.
    start: usize,
    first: &'s str,
    n_token: usize,
}

impl<'s> Operand<'s> {
    fn read(&mut self, token: &'s str, start: usize) {
        if self.n_token == 0 {
            (self.start, self.first) = (start, token);
        }
        self.n_token += 1;
    }

    fn is_text(&self) -> bool {
        self.n_token == 1 && self.first.starts_with(['"', '\''])
    }

    /// Whether it is a literal, which is compared in no time.
    fn is_literal(&self) -> bool {
        let words = ["true", "True", "false", "False", "none", "None"];
        let is_number = self.first.starts_with(|c: char| c.is_ascii_digit());
        self.is_text() || (self.n_token == 1 && (is_number || words.contains(&self.first)))
    }
}

/// How an expression ends.
enum End<'s> {
    /// With its tag, before this offset, which is that of the `-` or `+` of `-%}`.
    Tag(usize),
    /// With this word.
    Word(&'s str),
}
use End::{Tag, Word};

struct Reader<'s> {
    source: &'s str,
    /// Where the reader is.
    at: usize,
    /// What of the source is in `prepared`.
    written: usize,
    prepared: String,
    /// The blocks that are open: for each 1, and 1 for each `elif` so far.
    blocks: Vec<usize>,
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn skip_past(&mut self, end: &str) {
        self.at = self.rest().find(end).map_or(self.source.len(), |offset| self.at + offset + end.len());
    }

    /// Past the sign of `{%-` or `{{-`, which is no operator.
    fn skip_sign(&mut self) {
        self.at += usize::from(self.rest().starts_with(['-', '+']));
    }

    fn copy_to(&mut self, end: usize) {
        self.prepared.push_str(&self.source[self.written..end]);
        self.written = end;
    }

    /// Replaces the word that the reader is at.
    fn replace(&mut self, word: &str, by: &str) {
        self.copy_to(self.at);
        self.prepared.push_str(by);
        self.at += word.len();
        self.written = self.at;
    }

    /// From `{%` past `%}`.
    fn block(&mut self) -> Result<()> {
        self.at += 2;
        self.skip_sign();
        if let Some(len) = bare_tag_len(self.rest(), "raw") {
            self.at += len;
            self.skip_raw();
            return Ok(());
        }
        self.at += self.rest().len() - self.rest().trim_start().len();
        let end = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        match &self.rest()[..end] {
            word @ "generation" => {
                self.open_block(1)?;
                self.replace(word, "with");
            }
            word @ "endgeneration" => {
                self.blocks.pop();
                self.replace(word, "endwith");
            }
            "set" => {
                self.at += "set".len();
                return self.set();
            }
            word @ ("if" | "elif") => {
                let branches = if word == "elif" { self.blocks.pop().unwrap_or(0) } else { 0 };
                self.open_block(branches + 1)?;
                self.at += word.len();
                return self.filtered("in_time", &[]).map(|_| ());
            }
            "for" => {
                self.open_block(1)?;
                self.at += "for".len();
                return self.for_loop();
            }
            word @ ("autoescape" | "block" | "call" | "filter" | "macro" | "with") => {
                self.open_block(1)?;
                self.at += word.len();
            }
            word @ ("extends" | "from" | "import" | "include") => {
                self.at += word.len();
                let words = ["as", "ignore", "import", "with", "without"];
                let Some(Word(_)) = self.filtered("template_name", &words)? else {
                    return Ok(());
                };
            }
            word if word.starts_with("end") => {
                self.blocks.pop();
                self.at += word.len();
            }
            word => self.at += word.len(),
        }
        self.expression("%}")
    }

    fn open_block(&mut self, depth: usize) -> Result<()> {
        self.blocks.push(depth);
        if self.blocks.iter().sum::<usize>() > MAX_BLOCK_DEPTH {
            return Err(self.too_deep(MAX_BLOCK_DEPTH, "blocks within each other"));
        }
        Ok(())
    }

    /// From behind `{% raw %}` past `{% endraw %}`, which is a tag and nothing less: raw text may speak of `endraw`.
    fn skip_raw(&mut self) {
        while let Some(offset) = self.rest().find("{%") {
            self.at += offset + 2;
            let rest = self.rest();
            if let Some(len) = bare_tag_len(rest.strip_prefix(['-', '+']).unwrap_or(rest), "endraw") {
                self.skip_sign();
                self.at += len;
                return;
            }
        }
        self.at = self.source.len();
    }

    /// From behind `set` past `%}`.
    fn set(&mut self) -> Result<()> {
        let start = self.at;
        // The target is a tree as an expression is: `a.b.c` and `(a, (b, c))`.
        let Some(Word(_)) = self.expression_until("%}", &["="])? else {
            return self.open_block(1);
        };
        let has_attribute = self.source[start..self.at].contains('.');
        self.at += "=".len();
        self.filtered(if has_attribute { "bounded_attribute" } else { "bounded" }, &[]).map(|_| ())
    }

    /// From behind `for` past `%}`.
    fn for_loop(&mut self) -> Result<()> {
        let mut end = self.expression_until("%}", &["in"])?;
        if let Some(Word("in")) = end {
            self.at += "in".len();
            end = self.filtered("turns", &["if", "recursive"])?;
        }
        if let Some(Word("if")) = end {
            self.at += "if".len();
            end = self.filtered("in_time", &["recursive"])?;
        }
        match end {
            Some(Word(_)) => self.expression("%}"),
            _ => Ok(()),
        }
    }

    /// Puts the expression that the reader is at through `filter`.
    fn filtered(&mut self, filter: &str, words: &[&str]) -> Result<Option<End<'s>>> {
        self.copy_to(self.at);
        let opening = self.prepared.len();
        let start = self.at;
        let end = self.expression_until("%}", words)?;
        let expression_end = match end {
            Some(Tag(at)) => at,
            Some(Word(_)) => self.at,
            None => return Ok(end),
        };
        // Nothing is left nothing, for minijinja to name.
        if !self.source[start..expression_end].trim().is_empty() {
            self.prepared.insert_str(opening, " (");
            self.copy_to(expression_end);
            self.prepared.push_str(")|");
            self.prepared.push_str(filter);
            self.prepared.push(' ');
        }
        Ok(end)
    }

    /// From within a tag past its `end`.
    fn expression(&mut self, end: &str) -> Result<()> {
        self.expression_until(end, &[]).map(|_| ())
    }

    /// From within a tag past its `end`, or up to one of `words` outside of brackets.
    fn expression_until(&mut self, end: &str, words: &[&str]) -> Result<Option<End<'s>>> {
        let mut levels = vec![Level::default()];
        let (mut previous, mut before) = ("", "");
        while let Some(c) = self.rest().chars().next() {
            let rest = self.rest();
            if c.is_whitespace() {
                self.at += c.len_utf8();
                continue;
            }
            let len = match c {
                '"' | '\'' => string_len(rest, c),
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ if ["==", "!=", "<=", ">=", "//", "**"].iter().any(|long| rest.starts_with(long)) => 2,
                c => c.len_utf8(),
            };
            let token = &rest[..len];
            let stops = levels.len() == 1 && previous != "." && words.contains(&token);
            let signed_end = rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(end));
            let ends = levels.len() == 1 && (signed_end || rest.starts_with(end));
            // Words behind these are names, whatever they mean elsewhere.
            let is_name = matches!(previous, "." | "|" | "is") || (before, previous) == ("is", "not");
            // A sign behind an operator, or behind a test whose argument it begins, belongs to what follows.
            let is_sum = matches!(token, "+" | "-")
                && !matches!(previous, "+" | "-" | "*" | "/" | "//" | "%" | "**")
                && !(before == "is" && previous != "not");
            if let Some(level) = levels.last_mut() {
                level.chain += 1;
                self.put_operands_through(level, token, ends || stops, is_name, is_sum);
                level.safe = match (previous, token) {
                    ("|", "safe") => true,
                    _ => level.safe && token == "+",
                };
            }
            if ends {
                let expression_end = self.at;
                self.at += usize::from(signed_end) + end.len();
                return Ok(Some(Tag(expression_end)));
            }
            if stops {
                return Ok(Some(Word(token)));
            }
            match token {
                "(" | "[" | "{" => {
                    let is_subscript =
                        token == "[" && levels.last().is_some_and(|level| level.operand.n_token > 1);
                    let compares = is_subscript || (before, previous) == (".", "changed");
                    levels.push(Level { bracket: token, compares, ..Level::default() });
                }
                ")" | "]" | "}" if levels.len() > 1 => {
                    levels.pop();
                }
                "," => {
                    let Level { bracket, compares, .. } = levels.pop().unwrap_or_default();
                    levels.push(Level { bracket, compares, ..Level::default() });
                }
                "self" if previous != "." => {
                    return Err(template_error(format!(
                        "line {}: `self` is not supported: blocks would call themselves without an end",
                        self.line()
                    )));
                }
                "cycle" if previous == "." && calls_without_values(&rest[len..]) => {
                    return Err(template_error(format!(
                        "line {}: `cycle` expects the values to go through",
                        self.line()
                    )));
                }
                "changed" if previous == "." && rest[len..].trim_start().starts_with(')') => {
                    return Err(template_error(format!(
                        "line {}: `changed` should be called, without brackets around it",
                        self.line()
                    )));
                }
                _ => {}
            }
            if levels.len() > MAX_BRACKET_DEPTH + 1 {
                return Err(self.too_deep(MAX_BRACKET_DEPTH, "brackets within each other"));
            }
            if levels.iter().map(|level| level.chain).sum::<usize>() > MAX_EXPRESSION_DEPTH {
                return Err(self.too_deep(MAX_EXPRESSION_DEPTH, "operators that hang on each other"));
            }
            (before, previous) = (previous, token);
            self.at += len;
        }
        Ok(None)
    }

    /// Puts the operands that end before `token` through the filters that make or check them, the innermost first, and
    /// begins those that begin with it.
    fn put_operands_through(
        &mut self,
        level: &mut Level<'s>,
        token: &'s str,
        ends: bool,
        is_name: bool,
        is_sum: bool,
    ) {
        const LOOSER_THAN_SUMS: [&str; 17] =
            [",", ")", "]", "}", ":", "=", "==", "!=", "<", "<=", ">", ">=", "and", "else", "if", "in", "or"];
        let ends_compared = ends || (!is_name && (token == "not" || LOOSER_THAN_SUMS.contains(&token)));
        let ends_summand = ends_compared || (is_sum && level.operand.n_token > 0);

        if ends_summand || token == "~" {
            if (level.concatenated || token == "~") && !level.operand.is_text() {
                self.put_through(level.operand, "string");
            }
            level.concatenated = token == "~" && !ends;
            level.operand = Operand::default();
        }
        if level.escaping && ends_summand {
            self.copy_to(self.at);
            self.prepared.push_str(")|e ");
            level.escaping = false;
            level.safe = token == "+";
        }
        if ends_compared {
            let filter = match token {
                _ if level.comparison.is_some() => level.comparison,
                // Behind an operand, `not` is that of `not in`.
                "in" | "not" if !ends => Some("compared"),
                ":" if level.bracket == "{" => Some("compared"),
                _ if level.compares && token != "=" => Some("compared"),
                _ => None,
            };
            if let Some(filter) = filter.filter(|_| !level.compared.is_literal()) {
                self.put_through(level.compared, filter);
            }
            level.comparison = match token {
                "==" | "!=" | "<" | "<=" | ">" | ">=" => Some("compared"),
                "in" => Some("container"),
                _ => None,
            };
            level.compared = Operand::default();
        }
        if token == "]" && level.colons > 1 {
            self.put_through(level.step, "step");
        }

        if level.safe && token == "+" && !ends {
            self.copy_to(self.at + 1);
            self.prepared.push_str(" (");
            level.escaping = true;
        }
        self.copy_to(self.at.max(self.written));
        let start = self.prepared.len();
        // `*` and `**` before an operand spread it over arguments.
        let spreads = matches!(token, "*" | "**") && level.compared.n_token == 0;
        if !ends_compared && !spreads {
            level.compared.read(token, start);
            if !ends_summand && token != "~" {
                level.operand.read(token, start);
            }
        }
        if level.bracket == "[" && token == ":" && !ends {
            level.colons += 1;
        } else if level.colons > 1 {
            level.step.read(token, start);
        }
    }

    /// Puts the operand that ends here through `filter`.
    fn put_through(&mut self, operand: Operand, filter: &str) {
        if operand.n_token > 0 {
            self.copy_to(self.at);
            self.prepared.insert(operand.start, '(');
            self.prepared.push_str(")|");
            self.prepared.push_str(filter);
            self.prepared.push(' ');
        }
    }

    fn line(&self) -> usize {
        self.source[..self.at].matches('\n').count() + 1
    }

    fn too_deep(&self, limit: usize, what: &str) -> Error {
        template_error(format!("line {}: the chat template exceeds its limit of {limit} {what}", self.line()))
    }
}

/// Whether a method that `rest` follows is called, perhaps through brackets around it, with no value or with none that
/// is sure to be one.
fn calls_without_values(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ')');
    rest.strip_prefix('(').is_some_and(|arguments| arguments.trim_start().starts_with([')', '*']))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of what is between `{%` with its sign and the end of a tag that is `word` alone, `%}` included. As
/// minijinja's lexer has it, so that both agree on what is raw.
fn bare_tag_len(rest: &str, word: &str) -> Option<usize> {
    let is_blank = |c: char| c.is_ascii_whitespace();
    let tail = rest.trim_start_matches(is_blank).strip_prefix(word)?.trim_start_matches(is_blank);
    let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail).strip_prefix("%}")?;
    Some(rest.len() - tail.len())
}

/// The length of the string literal that `rest` begins with.
fn string_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

pub(super) fn template_error(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::TemplateError, detail)
}
