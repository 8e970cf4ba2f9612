//! Finds the log files that match the patterns in `log.files`.
//!
//! A log may lie anywhere inside the project of its twin. The project is the folder that contains `data/<plant>`, or
//! the folder of the twin if that folder is not inside `data`. Folders outside the project have to be listed in the
//! environment variable [`OUTSIDE`], so that a `twin.toml` from an unknown source gives no access to other files on the
//! machine.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::config::LogSpec;
use crate::disk::entries;
use crate::error::{Error, Result};

/// Environment variable with the folders outside the project from which logs may be read, in the same format as `PATH`.
pub const OUTSIDE: &str = "TWINOPT_LOG_FOLDERS";

/// Maximum number of file names that a message lists (not tuned).
pub(super) const MAX_NAMES: usize = 5;

/// Hidden files are filtered separately, because `glob` with `require_literal_leading_dot` would never match them.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Returns the files that match the patterns in `spec`, sorted by name.
///
/// # Errors
/// [`Error::NoInput`] if a pattern matches no file, something other than a file, or a file outside the project. If no
/// file matches, the message lists files in the folder that the pattern refers to.
pub fn files(dir: &Path, spec: &LogSpec) -> Result<Vec<PathBuf>> {
    let outside = std::env::var_os(OUTSIDE).unwrap_or_default();
    let allowed = allowed_folders(dir, &outside);
    let mut found = Vec::new();
    for pattern in spec.files.patterns() {
        let matched = matching(dir, pattern)?;
        if matched.is_empty() {
            return Err(Error::no_input(dir.join(pattern), no_match(dir, pattern)));
        }
        matched.iter().try_for_each(|file| require_inside(file, &allowed))?;
        found.extend(matched);
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Error::no_input(dir, "`log.files` is empty; add a pattern such as \"log/*.parquet\""));
    }
    Ok(found)
}

/// The folders in which the log of the twin in `dir` may be located, as paths without symbolic links. The list begins
/// with the folder of the project.
fn allowed_folders(dir: &Path, outside: &OsString) -> Vec<PathBuf> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let own = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let data = own.parent().filter(|p| p.file_name().is_some_and(|n| n == "data"));
    let project = data.and_then(Path::parent).map_or_else(|| own.clone(), Path::to_path_buf);
    let listed = std::env::split_paths(outside).filter_map(|p| p.canonicalize().ok());
    std::iter::once(project).chain(listed).collect()
}

fn require_inside(file: &Path, allowed: &[PathBuf]) -> Result<()> {
    let real = file.canonicalize().map_err(|e| Error::no_input(file, e))?;
    if allowed.iter().any(|folder| real.starts_with(folder)) {
        return Ok(());
    }
    let project = allowed.first().map(|p| p.display().to_string()).unwrap_or_default();
    let folder = real.parent().unwrap_or(&real).display();
    Err(Error::no_input(
        file,
        format!(
            "it is outside the project {project}, so it is not read; copy it into the project, or list its folder in \
             the environment variable: {OUTSIDE}={folder}"
        ),
    ))
}

fn has_wildcard(part: &str) -> bool {
    part.contains(['*', '?'])
}

/// Returns the files in `dir` that match `pattern`.
fn matching(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![dir.to_path_buf()];
    let mut chosen = false;
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) if has_wildcard(&part.to_string_lossy()) => {
                found = found
                    .iter()
                    .map(|folder| children(folder, &part.to_string_lossy()))
                    .collect::<Result<Vec<_>>>()?
                    .concat();
                chosen = true;
            }
            Component::CurDir => {}
            // the root of an absolute path replaces the folders found so far
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                chosen = false;
            }
        }
    }
    let mut files = Vec::new();
    for path in found {
        match path.metadata() {
            Ok(meta) if meta.is_file() => files.extend((!chosen || !is_twin(&path)).then_some(path)),
            Ok(meta) if meta.is_dir() && chosen => {}
            Ok(meta) if meta.is_dir() => {
                return Err(Error::no_input(path, "it is a folder; correct `log.files`, e.g. add `/*.parquet`"));
            }
            Ok(_) => return Err(not_a_file(&path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !chosen => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(e) => return Err(Error::no_input(path, e)),
        }
    }
    Ok(files)
}

/// The error for a path that is neither a file nor a folder. A program that reads a pipe or device can wait forever or
/// read data without end.
pub(super) fn not_a_file(path: &Path) -> Error {
    if path.is_dir() {
        return Error::no_input(path, "it is a folder; name the files in it, e.g. add `/*.parquet`");
    }
    Error::no_input(path, "it is not a regular file (but a pipe, socket or device); correct `log.files`")
}

/// Whether `path` is a `twin.toml`, which may be in the same folder as the log but is never part of the log.
fn is_twin(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == "twin.toml")
}

/// The entries of `folder` whose names match `part`, which contains wildcards. Brackets are literal, because they are
/// common in names of exported files. `**` is treated as `*`.
fn children(folder: &Path, part: &str) -> Result<Vec<PathBuf>> {
    let mut plain = part.replace('[', "[[]");
    while plain.contains("**") {
        plain = plain.replace("**", "*");
    }
    let Ok(pattern) = Pattern::new(&plain) else { return Ok(Vec::new()) };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let names = entries(folder).map_err(|e| Error::no_input(folder, e))?;
    let is_match = |name: &OsString| {
        let name = name.to_string_lossy();
        pattern.matches_with(&name, OPTIONS) && (part.starts_with('.') || !name.starts_with('.'))
    };
    Ok(names.into_iter().filter(is_match).map(|name| folder.join(name)).collect())
}

fn no_match(dir: &Path, pattern: &str) -> String {
    let is_fixed = |part: &str| !has_wildcard(part);
    let fixed: PathBuf = pattern.split('/').take_while(|p| is_fixed(p)).collect();
    let mut folder = dir.join(fixed);
    if is_fixed(pattern) {
        folder.pop();
    }
    let listed = entries(&folder).unwrap_or_default();
    let mut names: Vec<String> = listed.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    if !folder.is_dir() {
        format!("no file matches `{pattern}`: there is no folder {}; correct `log.files`", folder.display())
    } else if names.is_empty() {
        format!("no file matches `{pattern}`: the folder is empty; put the Parquet files there or correct `log.files`")
    } else {
        let more = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("no file matches `{pattern}`; the folder contains {}{more}; correct `log.files`", names.join(", "))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/log/files.rs"]
mod tests;
