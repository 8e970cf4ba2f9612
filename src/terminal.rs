//! Makes text from files safe to print.

/// Whether `c` is a control character or a direction mark, which can hide or reorder the text next to it.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with every deceptive character replaced, except newlines and tabs.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// `text` on one line, with every deceptive character replaced. Line breaks and tabs become spaces.
pub fn one_line(text: &str) -> String {
    printable(&text.replace(['\n', '\r', '\t'], " "))
}
