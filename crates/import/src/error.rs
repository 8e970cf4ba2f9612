//! The error type of the crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The errors of an import. The program prints an error once and exits with [`Error::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid command-line options.
    #[error("{0}")]
    Usage(String),
    /// Bad data. The message states the location, the problem and a remedy.
    #[error("{0}")]
    Data(String),
    /// A file or folder does not exist or cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    NoInput { path: PathBuf, reason: String },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A mistake in `import.toml`.
    #[error("{0}")]
    Recipe(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Exit status of the process, as listed in the help of `twinopt`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Data(_) => 65,
            Self::NoInput { .. } => 66,
            Self::Write { source, .. }
                if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::AlreadyExists) =>
            {
                73
            }
            Self::Write { .. } => 74,
            Self::Recipe(_) => 78,
        }
    }

    pub fn no_input(path: &Path, reason: impl ToString) -> Self {
        Self::NoInput { path: path.to_path_buf(), reason: reason.to_string() }
    }

    pub fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_path_buf(), source }
    }
}

/// Formats a count with its noun and groups of three digits, e.g. `1 row` or `2,000 rows`.
pub fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Names for a message, of which only the first `Names::SHOWN` are kept. Displays these, and the number of the
/// others.
#[derive(Debug, Default)]
pub struct Names {
    first: Vec<String>,
    more: usize,
    /// Whether the number of the others is unknown.
    partial: bool,
}

impl Names {
    const SHOWN: usize = 5;

    pub fn add(&mut self, name: impl Into<String>) {
        match self.first.len() < Self::SHOWN {
            true => self.first.push(name.into()),
            false => self.more += 1,
        }
    }

    /// Adds a name if there is room for it. Otherwise records that there are others, and returns false.
    pub fn add_if_shown(&mut self, name: &str) -> bool {
        self.partial = self.first.len() >= Self::SHOWN;
        if !self.partial {
            self.first.push(name.to_owned());
        }
        !self.partial
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Puts `prefix` before each name.
    pub fn below(mut self, prefix: &str) -> Self {
        self.first.iter_mut().for_each(|name| *name = format!("{prefix}{name}"));
        self
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.more {
            _ if self.partial => f.write_str(" and others"),
            0 => Ok(()),
            more => write!(f, " and {} more", grouped(more)),
        }
    }
}

/// Joins at most `max` strings with commas, and states the number of the remaining ones.
pub fn list<T: AsRef<str>>(texts: &[T], max: usize) -> String {
    let shown = texts.iter().take(max).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(max) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
