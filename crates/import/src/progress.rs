//! Reports the progress of an import on standard error.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Precedes the name of the file that is about to be read, so that `twinopt import` can name the file if this process
/// is killed.
const READING: char = '\u{1f}';
/// Precedes a stage: the amount of work done, the total amount (0 if it is unknown), and the name of the stage,
/// separated by tabs.
const STAGE: char = '\u{1e}';

/// Precedes the name of the temporary folder, so that `twinopt import` can remove the folder if this process is killed.
const SCRATCH: char = '\u{1d}';

/// Minimum interval between two reports of the same stage.
const OFTEN: Duration = Duration::from_millis(200);
/// Minimum interval between two lines about the same stage if this program was not started by `twinopt`.
const SELDOM: Duration = Duration::from_secs(10);
/// Initial time during which this program prints no stage if it was not started by `twinopt`.
const START: Duration = Duration::from_secs(2);

/// The time at which the first stage began.
static STARTED: OnceLock<Instant> = OnceLock::new();
/// True if no progress is printed.
static QUIET: Mutex<bool> = Mutex::new(false);
/// The stage reported last, and the time of the report.
static LAST: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Whether this process was started by `twinopt import`, which shows the progress.
pub fn has_parent() -> bool {
    std::env::var_os("TWINOPT_IMPORT_PARENT").is_some()
}

/// Stops the reports of stages. `twinopt import` still receives the names of the files that are read.
pub fn be_quiet() {
    if let Ok(mut quiet) = QUIET.lock() {
        *quiet = true;
    }
}

/// Announces that a file is about to be read.
pub fn reading(path: &Path) {
    if has_parent() {
        let _ = writeln!(std::io::stderr().lock(), "{READING}{}", path.display());
    }
}

/// Announces the temporary folder.
pub fn scratch(folder: &Path) {
    if has_parent() {
        let _ = writeln!(std::io::stderr().lock(), "{SCRATCH}{}", folder.display());
    }
}

/// Reports that `done` of `total` units of work in `stage` are done. `total` is 0 if the total work is unknown.
pub fn stage(stage: &str, done: u64, total: u64) {
    if QUIET.lock().is_ok_and(|quiet| *quiet) {
        return;
    }
    if !has_parent() && STARTED.get_or_init(Instant::now).elapsed() < START {
        return;
    }
    let Ok(mut last) = LAST.lock() else { return };
    let interval = if has_parent() { OFTEN } else { SELDOM };
    if last.as_ref().is_some_and(|(name, at)| name == stage && at.elapsed() < interval) {
        return;
    }
    *last = Some((stage.to_owned(), Instant::now()));
    let mut out = std::io::stderr().lock();
    let _ = match total {
        _ if has_parent() => writeln!(out, "{STAGE}{done}\t{total}\t{stage}"),
        0 => writeln!(out, "{stage}"),
        _ => writeln!(out, "{stage}: {:.0} %", 100.0 * done as f64 / total as f64),
    };
}
