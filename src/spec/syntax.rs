//! What the TOML parser says, in words for people.

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
        Some((_, what, cure)) => ((*what).to_owned(), (*cure).to_owned()),
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
