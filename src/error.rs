//! The error type of the crate, and the faults in configuration files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A mistake in a configuration file, with its position and advice on how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Short code that does not change between versions, e.g. `unknown-key`, `unknown-signal`, `unit-mismatch`.
    pub code: &'static str,
    pub file: PathBuf,
    /// Byte range in the file; `None` if the fault concerns the whole file.
    pub span: Option<Range<usize>>,
    /// Number of the line in which `span` starts, counted from 1.
    pub line: usize,
    /// Column in which `span` starts, counted in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub help: String,
    /// Whether the fault is only a warning, which does not make `check` fail.
    pub warning: bool,
    /// Whether the fault concerns the log, for example because the log is missing or too short. A command that cannot
    /// work because of a fault in the log reports the fault itself.
    #[serde(skip)]
    pub about_log: bool,
}

impl Fault {
    /// Creates a fault at the byte range `span` of `file`. Line and column are computed from `text`, the content of the
    /// file.
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

/// Line and column of byte `at`. Lines and columns are counted from 1, and one column is one character.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let head = &text[..at];
    let line_start = head.rfind('\n').map_or(0, |i| i + 1);
    (head.matches('\n').count() + 1, head[line_start..].chars().count() + 1)
}

/// The setting in `twin.toml` to which a [`LogFault`] refers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogKey {
    Files,
    Time,
    Where,
    /// The settings `from`, `until` and `exclude`.
    Periods,
    /// The value column of a log in long format.
    Value,
    /// The quality column of a log in long format.
    Quality,
    /// The signal with this name.
    Signal(String),
    /// The signal that reads this column or tag.
    Column(String),
}

/// A reason why a log cannot be read with the settings in `twin.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFault {
    pub key: LogKey,
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub help: String,
}

impl LogFault {
    pub fn new(key: LogKey, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { key, message: message.into(), help: help.into() }
    }
}

/// The errors of this crate. The binary prints an error once and exits with [`Error::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// All faults found in the configuration files.
    #[error("{} in the configuration: {}", plural(.0.len(), "fault", "faults"), .0.first().map_or("", |f| &f.message))]
    Config(Vec<Fault>),
    /// Bad data. The text names the problem, its location (file, signal, row) and a remedy.
    #[error("{0}")]
    Data(String),
    /// All faults that prevent a log from being read.
    #[error("{}", .0.iter().map(|f| format!("{}; {}", f.message, f.help)).collect::<Vec<_>>().join("\n"))]
    Log(Vec<LogFault>),
    /// A file or folder does not exist or cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    NoInput { path: PathBuf, reason: String },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// The command finished, but a person must check the result, for example because the model has no skill or because
    /// the challenger was rejected.
    #[error("{0}")]
    Attention(String),
    /// Another process is using the plant.
    #[error("{0}")]
    Busy(String),
    /// Wrong arguments on the command line.
    #[error("{0}")]
    Usage(String),
    /// The user interrupted the command.
    #[error("interrupted")]
    Interrupted,
    /// A bug in the program.
    #[error("internal error: {0}")]
    Internal(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Exit status of the process, taken from sysexits(3) if a status for the error is defined there.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Attention(_) => 3,
            Self::Data(_) | Self::Log(_) => 65,
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

    /// Creates the error for one reason why a log cannot be read.
    pub fn log(key: LogKey, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Log(vec![LogFault::new(key, message, help)])
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

/// Formats a count with its noun, e.g. `1 fault` or `2 faults`.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The known name that was probably meant if `name` is a misspelling: the name with the smallest optimal string
/// alignment distance to `name`, or `None` if that distance is too large.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| {
            let (a, b) = (k.chars().count(), name.chars().count());
            // At least half of the characters must agree, so that `+` is not suggested as a correction of `up`.
            *d <= 2.max(a.min(b) / 3) && 2 * d < a.max(b)
        })
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_start_at_one_and_count_characters() {
        assert_eq!(line_column("a\nbc\nd", 3), (2, 2));
        assert_eq!(line_column("é=1", 2), (1, 2));
    }

    #[test]
    fn nearest_finds_misspelled_names_but_no_distant_ones() {
        assert_eq!(nearest("outdor_temp", ["outdoor_temp", "cpu_load"]), Some("outdoor_temp"));
        assert_eq!(nearest("hodl", ["hold", "replay"]), Some("hold"));
        assert_eq!(nearest("pressure", ["outdoor_temp", "cpu_load"]), None);
    }
}
