//! How deep a source leads a recursive parser, and how long a regex is, told before it is parsed: each level takes stack,
//! of which a browser gives little, and the states of a regex may take memory by the square of its length.

/// How deep brackets, or rules that use each other, may lie in each other.
pub(super) const MAX_DEPTH: usize = 64;

/// Bytes of a regex. Where each of them may be left out, one of 4 KiB takes 0.1 s and 20 MB.
pub(super) const MAX_REGEX: usize = 4 << 10;

/// Refuses a regex that is too long, or whose groups lie too deep in each other.
pub(super) fn check_regex(regex: &str) -> Result<(), String> {
    if regex.len() > MAX_REGEX {
        return Err(format!("a regex should be at most {MAX_REGEX} bytes, but is {}", regex.len()));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_are_brackets() {
        assert!(check_regex(&r"[(]\((a)".repeat(400)).is_ok());
        assert!(check_regex(&"(".repeat(65)).is_err());
    }

    #[test]
    fn a_regex_has_so_many_bytes() {
        assert!(check_regex(&"a?".repeat(MAX_REGEX / 2)).is_ok());
        assert_eq!(
            check_regex(&"a".repeat(MAX_REGEX + 1)).unwrap_err(),
            "a regex should be at most 4096 bytes, but is 4097"
        );
    }
}
