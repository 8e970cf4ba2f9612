//! Writing so that a reader sees a whole file or none, also after a loss of power.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `path` through a neighbour of this process's own, synced and renamed.
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

/// Whether a new file `path` can be made: it is, and is removed again.
pub fn try_new(path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    fs::remove_file(path)
}

/// Creates the folder `dir` and those above it that are missing, and makes their names last.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(above)?;
    match fs::create_dir(dir) {
        // another process was faster
        Err(e) if !(e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir()) => return Err(e),
        _ => {}
    }
    sync_dir(above)
}

/// Makes what was created, renamed or removed in `dir` last.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
