//! One writer per plant: an advisory file lock that dies with its holder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::disk::make_dir;
use crate::error::{Error, Result};

/// Held until dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the folder `dir` for `verb`, or says at once who holds it (exit 75).
    pub fn take(dir: &Path, verb: &str) -> Result<Self> {
        make_dir(dir).map_err(|e| Error::write(dir, e))?;
        let path = dir.join(".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| Error::write(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // the holder may not have written its name yet
                let _ = file.read_to_string(&mut holder);
                let who =
                    if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
                return Err(Error::Busy(format!(
                    "{} is in use by {who}; nothing was changed; try again when it has ended",
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
    fn a_second_holder_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path(), "retrain").unwrap();
        let busy = Lock::take(dir.path(), "fit").unwrap_err();
        assert_eq!(busy.exit_code(), 75);
        assert!(busy.to_string().contains(&format!("process {}", std::process::id())), "{busy}");
        drop(held);
        Lock::take(dir.path(), "fit").unwrap();
    }
}
