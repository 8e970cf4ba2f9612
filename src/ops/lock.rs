//! An advisory file lock that allows one writer per plant. The system releases the lock when the process ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::disk::make_dir;
use crate::error::{Error, Result};

/// A lock held by this process. The lock is released when this value is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the folder `dir` for the command `verb`.
    ///
    /// # Errors
    /// Returns [`Error::Busy`] at once, with the name of the holder, if another process holds the lock.
    pub fn take(dir: &Path, verb: &str) -> Result<Self> {
        make_dir(dir).map_err(|e| Error::write(dir, e))?;
        let path = dir.join(".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| Error::write(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // the file is empty if the process that holds the lock has not written its name yet
                let _ = file.read_to_string(&mut holder);
                let owner =
                    if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
                return Err(Error::Busy(format!(
                    "{} is in use by {owner}, so nothing was changed; try again when that process has ended",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(Error::write(&path, e)),
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown host".into());
        let since = super::now();
        let name = format!("`twinopt {verb}`, process {} on {}, since {since}\n", std::process::id(), host.trim());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(name.as_bytes())?;
            file.sync_all()
        };
        write(&mut file).map_err(|e| Error::write(&path, e))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_second_process_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path(), "retrain").unwrap();
        let busy = Lock::take(dir.path(), "fit").unwrap_err();
        assert_eq!(busy.exit_code(), 75);
        assert!(busy.to_string().contains(&format!("process {}", std::process::id())), "{busy}");
        drop(held);
        Lock::take(dir.path(), "fit").unwrap();
    }
}
