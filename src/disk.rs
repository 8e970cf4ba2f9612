//! Atomic file writes: a reader finds either a complete file or no file, even after a power failure.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::caught::catch;
use crate::error::{Error, Result};

/// Marks the names of temporary files and folders of this program.
const MARK: &str = ".twinopt-";
const TEMPORARY: &str = ".tmp";

/// A temporary name for a file or folder that will be renamed to `name`. The name contains the host, the process and
/// random bits, so that processes on several hosts that share a folder never use the same name.
pub fn temporary_name(name: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
    // every `RandomState` has new random keys
    let random = RandomState::new().build_hasher().finish();
    let name: String = name.chars().take(40).collect();
    format!(".{name}{MARK}{host}-{}-{random:016x}{TEMPORARY}", std::process::id())
}

/// Removes the temporary files and folders (see [`temporary_name`]) that killed processes left in `dir`. The caller
/// must ensure that no other process is writing to the folder. Errors are ignored, because leftovers do no harm.
pub fn remove_temporary(dir: &Path) {
    for name in names_in(dir).unwrap_or_default() {
        if name.contains(MARK) && name.ends_with(TEMPORARY) {
            let path = dir.join(name);
            remove(&path);
        }
    }
}

/// Removes a temporary file or folder if possible.
pub fn remove(path: &Path) {
    let _ = catch(|| if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
}

/// Names of the entries of `dir`.
pub fn entries(dir: &Path) -> io::Result<Vec<OsString>> {
    // the standard library panics if the system reports an error when it closes a folder
    let read = catch(|| fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect());
    read.unwrap_or_else(|| Err(io::Error::other("the folder cannot be closed after reading")))
}

/// Names of the entries of `dir` that are valid UTF-8, or an empty list if the folder does not exist.
pub fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    match entries(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => Ok(names?.into_iter().filter_map(|name| name.into_string().ok()).collect()),
    }
}

/// The content of the file `path`, or `None` if there is no such file.
pub fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Writes the file `path` atomically: a temporary file in the same folder is written, synced and then renamed.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staged_path(path);
    let write = || {
        write_new(&staged, bytes)?;
        fs::rename(&staged, path)?;
        sync_parent(path)
    };
    write().map_err(|e| {
        remove(&staged);
        Error::write(path, e)
    })
}

/// The path of a new temporary file in the folder of `path`.
fn staged_path(path: &Path) -> PathBuf {
    path.with_file_name(temporary_name(&path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Writes and syncs the new file `path`.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Creates the file `path` atomically: a temporary file in the same folder is written, synced and then linked, so that
/// readers find only a complete file.
///
/// # Errors
/// An error if the file exists, even if another process creates it at the same time.
pub fn create_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staged_path(path);
    let written = write_new(&staged, bytes).and_then(|()| fs::hard_link(&staged, path));
    // the file is complete, even if its temporary name cannot be removed
    remove(&staged);
    written.and_then(|()| sync_parent(path)).map_err(|e| Error::write(path, e))
}

/// Appends `line` and a line break to the file `path`, and syncs it. If the last line of the file has no line break, it
/// is removed first, because a process was killed while writing it. The caller must ensure that no other process is
/// writing to the file.
pub fn append_line(path: &Path, line: &str) -> Result<()> {
    let append = || {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let complete = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        file.set_len(complete as u64)?;
        file.seek(SeekFrom::Start(complete as u64))?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        sync_parent(path)
    };
    append().map_err(|e| Error::write(path, e))
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

/// Syncs the entry of the file `path` to disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| sync_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }))
}

/// Syncs the entries of `dir` to disk after a file has been created, renamed or removed.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_differ_and_only_they_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..100).map(|_| temporary_name("a.json")).collect();
        assert!((1..100).all(|i| !names[..i].contains(&names[i])));
        fs::create_dir(dir.path().join(&names[0])).unwrap();
        for name in [&names[1], "a.json", "of the user.tmp"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        remove_temporary(dir.path());
        let mut left = names_in(dir.path()).unwrap();
        left.sort();
        assert_eq!(left, ["a.json", "of the user.tmp"]);
    }

    #[test]
    fn a_file_is_created_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frozen.json");
        create_file(&path, b"first").unwrap();
        assert!(matches!(create_file(&path, b"second"), Err(Error::Write { .. })));
        assert_eq!((fs::read(&path).unwrap(), names_in(dir.path()).unwrap().len()), (b"first".to_vec(), 1));
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        // a file cannot be renamed onto a folder that is not empty
        let path = dir.path().join("busy");
        fs::create_dir_all(path.join("inner")).unwrap();
        assert!(matches!(write_file(&path, b"x"), Err(Error::Write { .. })));
        assert_eq!(names_in(dir.path()).unwrap(), ["busy"]);
    }
}
