//! Atomic file writes: a reader finds either a complete file or no file, even after a power failure.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes the file `path` atomically: a temporary file in the same folder is written, synced and then renamed.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let staged = path.with_extension(format!("{extension}.{}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)?;
        path.parent()
            .map_or(Ok(()), |folder| sync_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }))
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&staged);
        Error::write(path, e)
    })
}

/// Tests whether a new file can be created at `path` by creating and removing it.
pub fn try_new(path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    fs::remove_file(path)
}

/// Creates the folder `dir` and any missing parent folders, and syncs the new directory entries to disk.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent_dir = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(parent_dir)?;
    match fs::create_dir(dir) {
        // Another process may have created the folder in the meantime.
        Err(e) if !(e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir()) => return Err(e),
        _ => {}
    }
    sync_dir(parent_dir)
}

/// Syncs the entries of `dir` to disk after a file has been created, renamed or removed.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
