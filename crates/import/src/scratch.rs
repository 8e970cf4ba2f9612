//! The temporary folder for downloaded objects. The folder is removed when the import ends.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::process::{Pid, test_kill_process};

use crate::error::{Error, Result};

/// Name of the folder, without the number of the process.
const NAME: &str = "twinopt-import-";

/// The folder of this process.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A temporary folder with numbered files.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    files: usize,
}

impl Scratch {
    /// Creates the folder, in `TMPDIR` or `/tmp`. Removes the folders of processes that were killed.
    ///
    /// # Errors
    /// [`Error::Write`]
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let folder = parent.join(format!("{NAME}{}", std::process::id()));
        // a folder that another user created is not used
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|e| Error::write(&folder, e))?;
        if let Ok(mut known) = FOLDER.lock() {
            *known = Some(folder.clone());
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
    if let Some(folder) = FOLDER.lock().ok().and_then(|mut known| known.take()) {
        let _ = fs::remove_dir_all(folder);
    }
}

fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(NAME).and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        if process.is_some_and(|p| test_kill_process(p) == Err(rustix::io::Errno::SRCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_ended_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = child.id();
        child.wait().unwrap();
        for name in [format!("{NAME}{ended}"), format!("{NAME}{}", std::process::id()), format!("{NAME}x")] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        remove_abandoned(parent.path());
        assert!(!parent.path().join(format!("{NAME}{ended}")).exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_folder_is_private_and_objects_that_do_not_fit_are_refused() {
        use std::os::unix::fs::PermissionsExt as _;
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
