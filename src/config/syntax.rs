//! Explains TOML syntax errors.

use std::ops::Range;

/// Returns a message and advice for a syntax error, given the parser's message. If the parser's message is
/// unknown, the returned message quotes it.
pub(super) fn explain(message: &str) -> (String, String) {
    const KNOWN: [(&str, &str, &str); 15] = [
        ("duplicate key", "this key or table is defined twice", "keep one definition and remove the other one"),
        ("string values must be quoted", "a string needs quotes", "put the string in quotes, like `\"10min\"`"),
        (
            "invalid basic string",
            "the closing quote is missing, or a `\\` is not escaped",
            "close the string with `\"`; write `\\\\` for a backslash",
        ),
        ("invalid literal string", "the closing quote is missing", "close the string with `'`"),
        ("invalid multi-line", "the closing quotes are missing", "close the string with three quotes"),
        ("unclosed inline table", "a `{` is never closed", "close it with `}`"),
        ("unclosed array table", "the header is not closed", "close it with `]]`"),
        ("unclosed array", "a `[` is never closed", "close it with `]`"),
        ("unclosed table", "the header is not closed", "close it with `]`"),
        ("missing comma", "a comma is missing", "separate the elements with `,`"),
        ("missing assignment", "`=` is missing between key and value", "write `key = value`"),
        ("key with no value", "this key has no value", "write `key = value`"),
        ("missing value", "the value is missing", "write a value after `=`"),
        (
            "invalid unquoted key",
            "this name contains a character that needs quotes",
            "use letters, digits, `_` and `-`, or put the name in quotes",
        ),
        ("unexpected key or value", "there is extra text after the end of the value", "write each key on its own line"),
    ];
    match KNOWN.iter().find(|(theirs, ..)| message.contains(theirs)) {
        Some((_, what, help)) => ((*what).to_owned(), (*help).to_owned()),
        None => (
            format!("invalid TOML: {message}"),
            "write `key = value`, with strings in quotes (see https://toml.io)".to_owned(),
        ),
    }
}

/// Returns `true` if the file cannot be parsed reliably after a syntax error with this message.
pub(super) fn is_open_ended(message: &str) -> bool {
    ["unclosed", "multi-line", "recursion"].iter().any(|m| message.contains(m))
}

/// Returns the byte range of the first unclosed bracket, if there is one. A bracket is unclosed if it is the innermost
/// open bracket at one of the following places: a table header, a `=` in an array, an opening bracket that does not
/// follow a `=` in an inline table, a closing bracket of a different kind, or the end of the file.
pub(super) fn unclosed(text: &str) -> Option<Range<usize>> {
    // each element is (bracket, position, last non-blank character inside the bracket)
    let mut open: Vec<(u8, usize, u8)> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut line_start = true;
    while at < bytes.len() {
        let byte = bytes[at];
        let top = open.last().map(|(_, place, _)| *place..*place + 1);
        if line_start && top.is_some() && is_header(text[at..].lines().next().unwrap_or("")) {
            return top;
        }
        line_start = byte == b'\n';
        match byte {
            b'#' => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            b'"' | b'\'' => {
                at = end_of_string(text, at);
                if let Some(last) = open.last_mut() {
                    last.2 = byte;
                }
                continue;
            }
            b'{' | b'[' => {
                // a table header at the start of a line is not an array
                if open.is_empty() && text[..at].rsplit('\n').next().is_some_and(|head| head.trim().is_empty()) {
                    at += text[at..].find('\n').unwrap_or(text.len() - at);
                    continue;
                }
                // inside braces, a value is valid only after `=`
                if open.last().is_some_and(|(bracket, _, last)| *bracket == b'{' && *last != b'=') {
                    return top;
                }
                if let Some(last) = open.last_mut() {
                    last.2 = byte;
                }
                open.push((byte, at, 0));
            }
            b'}' | b']' => match open.pop() {
                Some((bracket, place, _)) if (bracket == b'{') != (byte == b'}') => return Some(place..place + 1),
                _ => {}
            },
            b'=' if open.last().is_some_and(|(bracket, ..)| *bracket == b'[') => return top,
            byte if !byte.is_ascii_whitespace() => {
                if let Some(last) = open.last_mut() {
                    last.2 = byte;
                }
            }
            _ => {}
        }
        at += 1;
    }
    open.last().map(|(_, place, _)| *place..*place + 1)
}

/// Returns the byte index after the string that begins at `at`. An unclosed string ends at the end of its line.
fn end_of_string(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let quote = &rest[..1];
    let triple = quote.repeat(3);
    if rest.starts_with(&triple) {
        return rest[3..].find(&triple).map_or(text.len(), |i| at + i + 6);
    }
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return at + i,
            '\\' if quote == "\"" && !escaped => {
                escaped = true;
                continue;
            }
            c if quote.starts_with(c) && !escaped => return at + i + 1,
            _ => {}
        }
        escaped = false;
    }
    text.len()
}

/// Whether the line is a header `[table]` or `[[table]]` rather than a nested array.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or("").trim();
    let inner = line.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let name = inner.trim_start_matches('[').trim_end_matches(']');
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name != "inf"
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclosed_brackets_are_found() {
        let place = |text: &str| unclosed(text).map(|r| r.start);
        assert_eq!(place("a = { b = [1, 2], c = \"}\" }\n[t]\nd = [[1], [2]]\n[[s]]\n"), None);
        assert_eq!(place("a = { b = 1\n[t]\n"), Some(4));
        assert_eq!(place("s = [\n { a = 1 ,\n { b = 2 },\n]\n"), Some(7));
        assert_eq!(place("s = [ 1, 2\nb = 3\n"), Some(4));
        assert_eq!(place("s = [ { a = 1 ]"), Some(6));
        assert_eq!(place("a = 1 # {\n"), None);
    }
}
