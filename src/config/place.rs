//! Finds the byte ranges of keys and of parts of quoted strings.

use std::ops::Range;

/// Returns the byte range of the key `name` in `text`. `value` is the byte range of the key's value or table header.
/// Returns `value` if the key is not found.
pub fn key_place(text: &str, name: &str, value: &Range<usize>) -> Range<usize> {
    let (Some(head), Some(own)) = (text.get(..value.start), text.get(value.clone())) else { return value.clone() };
    let line_start = head.rfind('\n').map_or(0, |i| i + 1);
    let found = head[line_start..].rfind(name).map(|i| line_start + i);
    let found = found.or_else(|| {
        // in a table header, the key is the last name, such as `mpc` in `[case.mpc]`
        own.lines().next().and_then(|first| first.rfind(name)).map(|i| value.start + i)
    });
    found.map_or_else(|| value.clone(), |start| start..start + name.len())
}

/// Converts `part`, a byte range in a decoded string, to a byte range in `text`. `quoted` is the byte range of the
/// string literal, which may have any kind of quotes and may contain escapes.
pub fn inner_place(text: &str, quoted: &Range<usize>, part: &Range<usize>) -> Range<usize> {
    let Some(raw) = text.get(quoted.clone()) else { return quoted.clone() };
    let (open, escapes) = if raw.starts_with("\"\"\"") {
        (3, true)
    } else if raw.starts_with("'''") {
        (3, false)
    } else if raw.starts_with('"') {
        (1, true)
    } else if raw.starts_with('\'') {
        (1, false)
    } else {
        return quoted.clone();
    };
    let mut skip = open;
    if open == 3 {
        // a newline directly after the opening quotes is not part of the string
        skip += raw[3..].len() - raw[3..].trim_start_matches('\r').strip_prefix('\n').map_or(raw[3..].len(), str::len);
    }
    let body = &raw[skip..raw.len().saturating_sub(open).max(skip)];
    let place = |wanted: usize| {
        let (mut decoded, mut at) = (0, 0);
        while decoded < wanted && at < body.len() {
            let (d, r) =
                if escapes && body[at..].starts_with('\\') { escape(&body[at..]) } else { character(&body[at..]) };
            decoded += d;
            at += r;
        }
        quoted.start + skip + at
    };
    let start = place(part.start);
    start..place(part.end).max(start)
}

/// Lengths in bytes of the first character of `s`: after decoding, and as written in the file.
fn character(s: &str) -> (usize, usize) {
    let n = s.chars().next().map_or(1, char::len_utf8);
    (n, n)
}

/// Lengths in bytes of the escape sequence at the start of `s`: after decoding, and as written in the file.
fn escape(s: &str) -> (usize, usize) {
    let coded = |digits: usize| {
        let code = s.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        (code.map_or(1, char::len_utf8), (2 + digits).min(s.len()))
    };
    match s.as_bytes().get(1) {
        Some(b'u') => coded(4),
        Some(b'U') => coded(8),
        Some(b'x') => coded(2),
        // a backslash at the end of a line removes the following white space
        Some(b'\n' | b'\r' | b' ' | b'\t') => (0, s.len() - s[1..].trim_start().len()),
        _ => (1, 2.min(s.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_inside_strings_account_for_escapes() {
        let text = "x = \"a\\u00e9 b\"\n";
        let quoted = 4..15;
        // decoded: aé b; `b` is byte 4
        assert_eq!(inner_place(text, &quoted, &(4..5)), 13..14);
        assert_eq!(inner_place("x = 'abc'", &(4..9), &(1..2)), 6..7);
        assert_eq!(inner_place("x = \"\"\"\nabc\"\"\"", &(4..14), &(1..2)), 9..10);
    }

    #[test]
    fn keys_are_found_before_their_values() {
        let text = "hold = { fan = 2 }\n[case.mpc]\n";
        assert_eq!(key_place(text, "fan", &(15..16)), 9..12);
        assert_eq!(key_place(text, "mpc", &(19..29)), 25..28);
    }
}
