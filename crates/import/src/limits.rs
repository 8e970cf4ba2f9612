//! Limits on address space and time, so that a damaged file cannot bring down the machine.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{progress, scratch};

/// Address space in addition to the space needed for the input.
const BASE: u64 = 1 << 30;
/// Address space per byte of input for the file, its columns as text, and the converted columns (not tuned).
const PER_BYTE: u64 = 12;
/// Assumed ratio of the decompressed to the compressed size of a file (not tuned).
const COMPRESSED: u64 = 8;
/// Time limit for reading a file: a fixed part, and an additional part per MiB (not tuned).
const SECONDS: u64 = 10;
const SECONDS_PER_MIB: u64 = 2;

/// The file that is being read, and the time at which reading must be finished.
static READING: Mutex<Option<(PathBuf, Instant)>> = Mutex::new(None);

/// Limit on the address space, in bytes, for files of the given lengths. `mib`: the limit set by the user.
pub fn address_space<'a>(files: impl Iterator<Item = (&'a Path, u64)>, mib: Option<u64>) -> u64 {
    if let Some(mib) = mib {
        return mib << 20;
    }
    let compressed =
        |path: &Path| path.extension().is_some_and(|e| e == "gz" || e == "zst" || e == "parquet" || e == "pq");
    let needed = files.map(|(path, n)| n.saturating_mul(if compressed(path) { COMPRESSED } else { 1 }));
    BASE.saturating_add(needed.fold(0, u64::saturating_add).saturating_mul(PER_BYTE))
}

/// Limits the address space of this process. If the system does not support this limit, the function does nothing.
pub fn limit_address_space(bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let _ = setrlimit(Resource::As, limit);
}

/// Starts a thread that ends this process when standard input is closed, which happens when `twinopt import` ends.
/// Files that were written before the process ends are complete.
pub fn end_with_parent(code: i32) {
    if progress::has_parent() {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            scratch::remove();
            std::process::exit(code);
        });
    }
}

/// Announces that a file is about to be read.
pub fn reading(path: &Path, length: u64) {
    progress::reading(path);
    let time = Duration::from_secs(SECONDS + SECONDS_PER_MIB * (length >> 20));
    if let Ok(mut reading) = READING.lock() {
        *reading = Some((path.to_path_buf(), Instant::now() + time));
    }
}

/// Announces that the file has been read.
pub fn done() {
    if let Ok(mut reading) = READING.lock() {
        *reading = None;
    }
}

/// The file that is being read.
pub fn current() -> Option<PathBuf> {
    READING.lock().ok().and_then(|r| r.as_ref().map(|(path, _)| path.clone()))
}

/// Starts a thread that calls `end` to end the process if reading a file takes too long.
pub fn watch(end: fn(&Path)) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let late = READING.lock().ok().and_then(|r| r.clone()).filter(|(_, until)| Instant::now() > *until);
            if let Some((path, _)) = late {
                end(&path);
            }
        }
    });
}
