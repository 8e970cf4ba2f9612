//! The temporary folder for downloaded objects. The folder is removed when the import ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::progress;

/// Start of the name of the folder. Random characters follow, because processes in different containers can have the
/// same number.
const NAME: &str = "twinopt-import-";
/// Age after which the folder of another import is removed. An import that is still running is younger.
const ABANDONED: Duration = Duration::from_secs(2 * 24 * 3600);

/// The folder of this process.
static FOLDER: Mutex<Option<TempDir>> = Mutex::new(None);

/// A temporary folder with numbered files.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    files: usize,
}

impl Scratch {
    /// Creates the folder, in `TMPDIR` or `/tmp`, which only this user can read. Removes abandoned folders.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent, SystemTime::now());
        let private = fs::Permissions::from_mode(0o700);
        let created = tempfile::Builder::new().prefix(NAME).permissions(private).tempdir_in(&parent);
        let created = created.map_err(|e| Error::write(&parent, e))?;
        let folder = created.path().to_path_buf();
        progress::scratch(&folder);
        if let Ok(mut known) = FOLDER.lock() {
            *known = Some(created);
        }
        Ok(Self { folder, files: 0 })
    }

    /// The path of a new file.
    pub fn file(&mut self) -> PathBuf {
        self.files += 1;
        self.folder.join(self.files.to_string())
    }

    /// # Errors
    /// [`Error::NoInput`] if `bytes` bytes do not fit on the disk.
    pub fn require_space(&self, bytes: u64, from: &str) -> Result<()> {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        let parent = self.folder.parent().unwrap_or(&self.folder).display();
        let text = format!(
            "the objects need {} MiB, but {parent} has only {} MiB of free space; set TMPDIR to a folder on a larger \
             disk, or name fewer objects",
            bytes.div_ceil(1 << 20),
            free >> 20
        );
        Err(Error::no_input(Path::new(from), text))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove();
    }
}

/// Removes the folder of this process. Call this before the process exits without returning from `main`.
pub fn remove() {
    drop(FOLDER.lock().ok().and_then(|mut known| known.take()));
}

fn remove_abandoned(parent: &Path, now: SystemTime) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(NAME);
        let is_old = |meta: fs::Metadata| {
            let age = meta.modified().ok().and_then(|at| now.duration_since(at).ok());
            meta.is_dir() && age.is_some_and(|age| age > ABANDONED)
        };
        if is_ours && entry.metadata().is_ok_and(is_old) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_removed_after_two_days() {
        let parent = tempfile::tempdir().unwrap();
        let names = ["twinopt-import-7", "twinopt-import-Ab3", "twinopt-other"].map(|name| parent.path().join(name));
        for name in &names {
            fs::create_dir(name).unwrap();
            fs::write(name.join("1"), "x").unwrap();
        }
        let hours = |n: u64| SystemTime::now() + Duration::from_secs(n * 3600);
        remove_abandoned(parent.path(), hours(47));
        assert!(names.iter().all(|name| name.exists()));
        remove_abandoned(parent.path(), hours(49));
        assert_eq!(names.map(|name| name.exists()), [false, false, true]);
    }

    #[test]
    fn the_folder_is_private_and_objects_that_do_not_fit_are_refused() {
        let mut scratch = Scratch::new().unwrap();
        let folder = scratch.folder.clone();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_ne!(scratch.file(), scratch.file());
        scratch.require_space(1, "s3://b").unwrap();
        let error = scratch.require_space(u64::MAX, "s3://b").unwrap_err();
        assert!(error.exit_code() == 66 && error.to_string().contains("TMPDIR"), "{error}");
        drop(scratch);
        assert!(!folder.exists());
    }
}
