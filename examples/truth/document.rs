//! The file docs/truth.md, which has one section per model.

use std::fs;
use std::io;

pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/truth.md");
/// Text above the sections.
const PREAMBLE: &str = include_str!("preamble.md");
/// Text at the start of a section, followed by the name of the model.
const HEADING: &str = "\n## ";

/// Writes the section of `model` to the file. The sections of other models are kept.
pub fn write(model: &str, section: &str) -> io::Result<()> {
    let old = match fs::read_to_string(FILE) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let mut sections: Vec<&str> = old.split(HEADING).skip(1).collect();
    let new = format!("{model}\n\n{section}");
    match sections.iter_mut().find(|s| s.lines().next() == Some(model)) {
        Some(section) => *section = &new,
        None => sections.push(&new),
    }
    let text = sections.iter().fold(PREAMBLE.to_owned(), |text, section| text + HEADING + section);
    fs::write(FILE, text)
}
