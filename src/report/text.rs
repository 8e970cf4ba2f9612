//! Escapes names from files and logs, so that a browser shows them as plain text. Every string in a template passes
//! through this module.

use std::fmt::{self, Write};

use askama::filters::Escaper;

use crate::terminal::is_deceptive;

/// Maximum length of a printed string, in characters.
const LONGEST: usize = 2_000;

/// Escapes text for HTML and quoted attributes. Replaces control characters and direction marks by U+FFFD, because they
/// can hide or reorder the text next to them, and cuts off very long text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Escaper for Plain {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut from = 0;
        for (n, (i, c)) in text.char_indices().enumerate() {
            if n == LONGEST {
                dest.write_str(&text[from..i])?;
                return dest.write_char('…');
            }
            let instead = match c {
                '<' => "&lt;",
                '>' => "&gt;",
                '&' => "&amp;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\n' | '\t' => continue,
                c if is_deceptive(c) => "\u{fffd}",
                _ => continue,
            };
            dest.write_str(&text[from..i])?;
            dest.write_str(instead)?;
            from = i + c.len_utf8();
        }
        dest.write_str(&text[from..])
    }
}

/// At most `limit` characters of `text`, escaped for HTML and SVG.
pub fn escaped(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit.saturating_mul(4)) + 8);
    // Writing to a String cannot fail.
    let _ = Plain.write_escaped_str(&mut out, &short(text, limit));
    out
}

/// Escaped HTML from [`marked`]. Templates print this type with the filter `|safe`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Markup(String);

impl Markup {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Formats `text` as HTML. Names in backquotes are shown as signal names, and temperature units are written with a
/// degree sign.
pub fn marked(text: &str) -> Markup {
    let text = short(text, LONGEST);
    let mut out = String::with_capacity(text.len() + 64);
    let pieces: Vec<&str> = text.split('`').collect();
    for (i, piece) in pieces.iter().enumerate() {
        if i % 2 == 1 && i + 1 < pieces.len() {
            let _ = write!(out, "<span class=\"tag\">{}</span>", escaped(piece, LONGEST));
        } else {
            out.push_str(&escaped(&piece.replace("degC", "°C").replace("degF", "°F"), LONGEST));
        }
    }
    Markup(out)
}

/// Puts the name of a tag in backquotes, for use in a sentence that [`marked`] formats.
pub fn tag(name: &str, limit: usize) -> String {
    format!("`{}`", short(&name.replace('`', "'"), limit))
}

/// A name without underscores: `energy_cost` → `energy cost`.
pub fn readable(name: &str) -> String {
    name.replace('_', " ")
}

/// Turns `text` into a sentence with a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{}{stop}", capitalised(text))
}

/// At most `limit` characters of `text`, with an ellipsis if some are left out.
pub fn short(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The first sentences of `text` that fit into `limit` characters. If even the first sentence is too long, it is cut
/// off.
pub fn lead(text: &str, limit: usize) -> String {
    let fits = |end: &usize| text[..*end].chars().count() <= limit;
    let ends = text.match_indices(". ").map(|(i, _)| i + 1).chain([text.len()]);
    ends.filter(fits).last().map_or_else(|| short(text, limit), |end| text[..end].to_owned())
}

/// `text` with a capital first letter, unless the text starts with a name such as `fan_speed`.
pub fn capitalised(text: &str) -> String {
    if text.split(' ').next().is_some_and(|word| word.contains('_')) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Joins names as `a`, `a and b`, or `a, b and c`. Lists at most `limit` names, followed by the number of remaining
/// names.
pub fn list(names: &[&str], limit: usize) -> String {
    let left = names.len().saturating_sub(limit);
    let mut parts: Vec<String> = names.iter().take(limit).map(|n| short(n, 60)).collect();
    if left > 0 {
        parts.push(format!("{left} more"));
    }
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_inert() {
        assert_eq!(escaped("\"><img onerror='x'>&", 99), "&quot;&gt;&lt;img onerror=&#39;x&#39;&gt;&amp;");
        assert_eq!(escaped("a\0b\u{202e}c\u{1b}[0m", 99), "a\u{fffd}b\u{fffd}c\u{fffd}[0m");
        assert_eq!(escaped("kW·h °C µ 高", 99), "kW·h °C µ 高");
        assert!(escaped(&"<".repeat(1_000_000), usize::MAX).len() <= 4 * LONGEST + 3);
    }

    #[test]
    fn names_in_backquotes_become_tags() {
        assert_eq!(
            marked("mean of `a_b` is < 3 degC").to_string(),
            "mean of <span class=\"tag\">a_b</span> is &lt; 3 °C"
        );
        assert_eq!(
            marked("an odd ` stays, `<i>` too").to_string(),
            "an odd <span class=\"tag\"> stays, </span>&lt;i&gt; too"
        );
        assert_eq!((tag("a`b", 9), readable("energy_cost")), ("`a'b`".to_owned(), "energy cost".to_owned()));
    }

    #[test]
    fn lists_are_joined_with_commas_and_and() {
        assert_eq!(list(&["a"], 3), "a");
        assert_eq!(list(&["a", "b", "c"], 3), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(lead("One is 0.5 long. Two is longer. Three", 32), "One is 0.5 long. Two is longer.");
        assert_eq!((lead("One. Two.", 40), lead("One two three", 8)), ("One. Two.".to_owned(), "One two…".to_owned()));
    }
}
