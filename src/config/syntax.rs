//! What the TOML parser says, in words for people.

use std::ops::Range;

/// What is wrong and what to do about it, from the parser's message.
pub(super) fn explain(message: &str) -> (String, String) {
    let known: [(&str, &str, &str); 24] = [
        ("duplicate key", "this key or table stands here a second time", "keep one of them and remove the other"),
        (
            "cannot extend value of type",
            "this table is already complete where it was first written",
            "write all its keys in one place",
        ),
        ("string values must be quoted", "a text stands here without quotes", "put it in quotes, e.g. `\"10min\"`"),
        (
            "invalid basic string",
            "the closing quote is missing, or a `\\` stands alone",
            "close the text with `\"`; write `\\\\` for a backslash",
        ),
        ("invalid literal string", "the closing quote is missing", "close the text with `'`"),
        ("invalid multi-line", "the closing quotes are missing", "close the text with three quotes"),
        ("missing opening quote", "a quote ends here that never began", "put the text in a pair of quotes"),
        ("unclosed inline table", "a `{` is never closed", "close it with `}`"),
        ("unclosed array table", "the header is not closed", "close it with `]]`"),
        ("unclosed array", "a `[` is never closed", "close it with `]`"),
        ("unclosed table", "the header is not closed", "close it with `]`"),
        (
            "missing comma between array elements",
            "a comma is missing between two elements",
            "separate the elements with `,`",
        ),
        ("missing comma between key-value pairs", "a comma is missing between two keys", "separate the keys with `,`"),
        ("extra comma", "there is one comma too many", "remove it"),
        ("missing assignment", "`=` is missing between key and value", "write `key = value`"),
        ("extra `=`", "there is one `=` too many", "write `key = value`; quote the value if it contains `=`"),
        ("extra assignment", "there is one `=` too many", "write `key = value`; quote the value if it contains `=`"),
        ("unexpected `=` in array", "a list holds values, not keys", "write `{ key = value }` for a table in a list"),
        ("key with no value", "this key has no value", "write `key = value`"),
        ("missing value", "the value is missing", "write one after `=`"),
        (
            "invalid unquoted key",
            "this name has a character that needs quotes",
            "use letters, digits, `_` and `-`, or put the name in quotes",
        ),
        ("unexpected leading zero", "a number cannot begin with 0", "remove the leading zero"),
        (
            "unexpected content",
            "there is something after the end of the value",
            "end the line here, or begin a comment with `#`",
        ),
        (
            "unexpected key or value",
            "there is something after the end of the value",
            "put each key on its own line; quote texts",
        ),
    ];
    match known.iter().find(|(theirs, ..)| message.contains(theirs)) {
        Some((_, what, help)) => ((*what).to_owned(), (*help).to_owned()),
        None => (
            format!("this is not understood: {message}"),
            "write `key = value`, with texts in quotes (see https://toml.io)".to_owned(),
        ),
    }
}

/// Whether what follows the fault cannot be trusted.
pub(super) fn is_open_ended(message: &str) -> bool {
    ["unclosed", "multi-line", "recursion"].iter().any(|m| message.contains(m))
}

/// The bracket that is never closed, if brackets are what is wrong: the innermost that is open where a table header or a
/// key begins, where another kind of bracket closes, or at the end.
pub(super) fn unclosed(text: &str) -> Option<Range<usize>> {
    // (bracket, place, last character that counts inside it)
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
                at = end_of_text(text, at);
                if let Some(last) = open.last_mut() {
                    last.2 = byte;
                }
                continue;
            }
            b'{' | b'[' => {
                // The header of a table at the start of a line is no list.
                if open.is_empty() && text[..at].rsplit('\n').next().is_some_and(|head| head.trim().is_empty()) {
                    at += text[at..].find('\n').unwrap_or(text.len() - at);
                    continue;
                }
                // Inside braces a value follows its `=` only.
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

/// The end of the quoted text that begins at `at`; of one that is not closed, the end of its line.
fn end_of_text(text: &str, at: usize) -> usize {
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

/// `[table]` or `[[table]]`, and not a list in a list.
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
    fn open_brackets_are_found() {
        let place = |text: &str| unclosed(text).map(|r| r.start);
        assert_eq!(place("a = { b = [1, 2], c = \"}\" }\n[t]\nd = [[1], [2]]\n[[s]]\n"), None);
        assert_eq!(place("a = { b = 1\n[t]\n"), Some(4));
        assert_eq!(place("s = [\n { a = 1 ,\n { b = 2 },\n]\n"), Some(7));
        assert_eq!(place("s = [ 1, 2\nb = 3\n"), Some(4));
        assert_eq!(place("s = [ { a = 1 ]"), Some(6));
        assert_eq!(place("a = 1 # {\n"), None);
    }
}
