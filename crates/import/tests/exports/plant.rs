//! A project folder, and access to the log that an import writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use polars::prelude::*;

pub struct Plant {
    pub root: tempfile::TempDir,
}

/// The exit code and the output of a process that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(
                self.out.contains(text) || self.err.contains(text),
                "`{text}` is not in:\n{}\n{}",
                self.out,
                self.err
            );
        }
        self
    }
}

impl Plant {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let plant = Self { root: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            plant.write(name, text.as_bytes());
        }
        plant
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Runs an import of `data/p` with the given arguments, which are separated by spaces; `|` stands for a space.
    pub fn import(&self, args: &str) -> Ended {
        self.import_with(args, &[])
    }

    /// Runs an import with additional environment variables.
    pub fn import_with(&self, args: &str, variables: &[(&str, &str)]) -> Ended {
        let args = args.split_whitespace().map(|a| a.replace('|', " "));
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinopt-import"));
        command.current_dir(self.root.path()).args(["import", "data/p"]).args(args).env("POLARS_MAX_THREADS", "2");
        command.env("MALLOC_ARENA_MAX", "2").envs(variables.iter().copied());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Runs an import that must succeed.
    pub fn imported(&self, args: &str) -> Ended {
        let ended = self.import(args);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
        ended
    }

    /// Runs an import that must fail, although an earlier import has written a log.
    pub fn refused_again(&self, args: &str, code: i32) -> Ended {
        let ended = self.import(args);
        assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
        ended
    }

    /// Runs an import that must fail without writing anything.
    pub fn refused(&self, args: &str, code: i32) -> Ended {
        let ended = self.import(args);
        assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
        assert!(ended.err.starts_with("error: "), "{}", ended.err);
        assert!(!self.path("data/p/log").exists() || self.files().is_empty(), "{:?}", self.files());
        ended
    }

    /// The names of all files in the folder of the log, including hidden ones.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("data/p/log")).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn read_file(&self, name: &str) -> DataFrame {
        ParquetReader::new(std::fs::File::open(self.path(name)).unwrap()).finish().unwrap()
    }

    /// The rows of all months.
    pub fn log(&self) -> DataFrame {
        let mut frames = self.files().into_iter().map(|f| self.read_file(&format!("data/p/log/{f}")));
        let first = frames.next().unwrap();
        frames.fold(first, |all, next| all.vstack(&next).unwrap())
    }

    pub fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let read = |name: String| (name.clone(), std::fs::read(self.path(&format!("data/p/log/{name}"))).unwrap());
        self.files().into_iter().map(read).collect()
    }

    /// The names of the columns other than the time.
    pub fn columns(&self) -> Vec<String> {
        self.log().get_column_names().iter().skip(1).map(ToString::to_string).collect()
    }

    /// The times of the log as text.
    pub fn times(&self) -> Vec<String> {
        let log = self.log();
        let time = log.column("timestamp").unwrap();
        assert_eq!(time.dtype(), &DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)));
        let time = time.cast(&DataType::Int64).unwrap();
        time.i64().unwrap().iter().map(|t| jiff::Timestamp::from_microsecond(t.unwrap()).unwrap().to_string()).collect()
    }

    /// The numbers of a column, with NaN for missing values.
    pub fn numbers(&self, column: &str) -> Vec<f64> {
        let log = self.log();
        log.column(column).unwrap().f64().unwrap().iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }

    pub fn texts(&self, column: &str) -> Vec<String> {
        let log = self.log();
        log.column(column).unwrap().str().unwrap().iter().map(|v| v.unwrap_or("").to_owned()).collect()
    }
}

/// Asserts that two lists of numbers are equal; two NaN values count as equal.
pub fn assert_numbers(found: &[f64], right: &[f64]) {
    let same = found.len() == right.len() && found.iter().zip(right).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(same, "{found:?} is not {right:?}");
}

pub fn modified(path: &Path) -> std::time::SystemTime {
    path.metadata().unwrap().modified().unwrap()
}
