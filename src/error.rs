//! The one error type, and the faults that a configuration file can have.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Something that is wrong in a file: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Stable short code, e.g. `unknown-key`, `unknown-signal`, `unit-mismatch`.
    pub code: &'static str,
    pub file: PathBuf,
    /// Byte range in the file; `None` when the fault belongs to the file as a whole.
    pub span: Option<Range<usize>>,
    /// 1-based; filled by [`Fault::new`].
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// What is wrong, without the help.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// A warning does not fail `check`.
    pub warning: bool,
    /// The log is missing or does not cover a run. Commands that read the log report this themselves, as bad data.
    #[serde(skip)]
    pub about_log: bool,
}

impl Fault {
    /// A fault at byte range `span` of `file`; `text` is the file's content and gives line and column.
    pub fn new(
        code: &'static str,
        file: &Path,
        text: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (line, column) = span.as_ref().map_or((1, 1), |s| line_column(text, s.start));
        Self {
            code,
            file: file.to_path_buf(),
            span,
            line,
            column,
            message: message.into(),
            help: help.into(),
            warning: false,
            about_log: false,
        }
    }
}

/// 1-based line and column (in characters) of byte `at`.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let head = &text[..at];
    let line_start = head.rfind('\n').map_or(0, |i| i + 1);
    (head.matches('\n').count() + 1, head[line_start..].chars().count() + 1)
}

/// Everything that can go wrong. The binary prints it once and exits with [`Error::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is at fault: all faults of all files.
    #[error("{} in the configuration: {}", plural(.0.len(), "fault"), .0.first().map_or("", |f| &f.message))]
    Config(Vec<Fault>),
    /// The data are at fault: what, where (file, signal, row), help.
    #[error("{0}")]
    Data(String),
    /// A file or folder that should be read is not there or cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    NoInput { path: PathBuf, reason: String },
    /// A result cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// The work finished, and a person must look: a model without skill, a gate that said no.
    #[error("{0}")]
    Attention(String),
    /// Another process holds the plant.
    #[error("{0}")]
    Busy(String),
    /// The command line is at fault.
    #[error("{0}")]
    Usage(String),
    /// Stopped by the user.
    #[error("interrupted")]
    Interrupted,
    /// A defect of the program itself.
    #[error("internal error: {0}")]
    Internal(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Exit status of the process, after sysexits(3) where it has one.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Attention(_) => 3,
            Self::Data(_) => 65,
            Self::NoInput { .. } => 66,
            Self::Write { source, .. }
                if matches!(
                    source.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::AlreadyExists
                ) =>
            {
                73
            }
            Self::Write { .. } => 74,
            Self::Busy(_) => 75,
            Self::Config(_) => 78,
            Self::Interrupted => 130,
        }
    }

    pub fn no_input(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::NoInput { path: path.into(), reason: reason.to_string() }
    }

    pub fn write(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}

impl From<twinopt_kernels::Error> for Error {
    fn from(error: twinopt_kernels::Error) -> Self {
        match error {
            twinopt_kernels::Error::Unavailable(text) => Self::Usage(text),
            twinopt_kernels::Error::Failed(text) => Self::Internal(text),
        }
    }
}

/// `1 fault`, `2 faults`.
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The known name nearest to `name` by edit distance, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (edit_distance(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| {
            let (a, b) = (k.chars().count(), name.chars().count());
            // Of short words half the letters must agree: `up` does not mean `+`.
            *d <= 2.max(a.min(b) / 3) && 2 * d < a.max(b)
        })
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Damerau–Levenshtein distance (adjacent transpositions count one).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_one_based_and_count_characters() {
        assert_eq!(line_column("a\nbc\nd", 3), (2, 2));
        assert_eq!(line_column("é=1", 2), (1, 2));
    }

    #[test]
    fn nearest_finds_typos_and_nothing_far() {
        assert_eq!(nearest("outdor_temp", ["outdoor_temp", "cpu_load"]), Some("outdoor_temp"));
        assert_eq!(nearest("hodl", ["hold", "replay"]), Some("hold"));
        assert_eq!(nearest("pressure", ["outdoor_temp", "cpu_load"]), None);
    }
}
