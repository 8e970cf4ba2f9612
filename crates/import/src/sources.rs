//! Finds the files of a source.

use std::path::{Component, Path, PathBuf};

use glob::MatchOptions;

use crate::address::decoded;
use crate::error::{Error, Names, Result};
use crate::workbook;

/// Extensions of the files that are read from a folder; `.gz` or `.zst` may follow.
const ENDINGS: [&str; 12] =
    ["csv", "tsv", "txt", "tab", "parquet", "pq", "arrow", "ipc", "feather", "ndjson", "jsonl", "json"];

pub const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// One file of a source.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The file with the content, which is a temporary file if the source is in an object store.
    pub path: PathBuf,
    /// Path or address, as shown to the user.
    pub name: String,
    pub length: u64,
    /// Columns whose values come from folder names such as `site=7`.
    pub folders: Vec<(String, String)>,
}

/// A sort key that places `export_9` before `export_10`. It contains every piece of text in the name together with the
/// number after this piece, and the whole name.
pub fn natural(name: &str) -> (Vec<(String, u128)>, String) {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        pieces.push((text.to_owned(), after[..end].parse().unwrap_or(u128::MAX)));
        rest = &after[end..];
    }
    (pieces, name.to_owned())
}

/// The files of a source, sorted by name; numbers in names are compared as numbers.
#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<SourceFile>,
    /// Names of files that are in the folder of the source, but are not read because of their extension.
    pub others: Names,
}

/// Returns the files that match `pattern`. The folder `log`, into which the import writes, is left out.
///
/// # Errors
/// [`Error::NoInput`] if there is no such file.
pub fn files(pattern: &str, log: &Path) -> Result<Found> {
    // The relative path of the working directory is empty.
    let pattern = if pattern.is_empty() { "." } else { pattern };
    let path = Path::new(pattern);
    let (mut paths, mut others) = (Vec::new(), Vec::new());
    if path.is_dir() {
        below(path, &mut paths, &mut others)?;
    } else if path.exists() {
        paths.push(path.to_path_buf());
    } else {
        let found = glob::glob_with(pattern, OPTIONS)
            .map_err(|e| Error::Usage(format!("`{pattern}` is not a valid pattern: {}", e.msg)))?;
        for entry in found {
            let entry = entry.map_err(|e| Error::no_input(e.path(), e.error()))?;
            if !entry.is_dir() {
                paths.push(entry);
            }
        }
    }
    let own = log.canonicalize().ok();
    paths.retain(|p| own.is_none() || p.canonicalize().ok().is_none_or(|p| p.parent() != own.as_deref()));
    paths.sort_by_cached_key(|p| natural(&p.to_string_lossy()));
    if paths.is_empty() {
        return Err(Error::no_input(path, no_match(pattern)));
    }
    others.sort();
    let mut names = Names::default();
    others.iter().for_each(|p| names.add(p.display().to_string()));
    Ok(Found { files: paths.into_iter().map(source_file).collect::<Result<_>>()?, others: names })
}

fn source_file(path: PathBuf) -> Result<SourceFile> {
    let meta = path.metadata().map_err(|e| Error::no_input(&path, e))?;
    if !meta.is_file() {
        return Err(Error::no_input(&path, "it is not a regular file"));
    }
    let folders = folders(path.parent());
    Ok(SourceFile { length: meta.len(), name: path.display().to_string(), path, folders })
}

/// The columns whose values come from the names of folders.
pub fn folders(parent: Option<&Path>) -> Vec<(String, String)> {
    let mut folders: Vec<(String, String)> = Vec::new();
    for part in parent.unwrap_or(Path::new("")).components() {
        if let Component::Normal(part) = part
            && let Some((key, value)) = part.to_string_lossy().split_once('=')
            && !key.is_empty()
        {
            folders.push((key.to_owned(), decoded(value)));
        }
    }
    folders
}

/// Adds the data files in a folder and its subfolders to `out`, and all other files to `others`.
fn below(folder: &Path, out: &mut Vec<PathBuf>, others: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::no_input(folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::no_input(folder, e))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        // links to folders are not followed, because they can form a cycle
        if entry.file_type().map_err(|e| Error::no_input(&path, e))?.is_dir() {
            if !is_written_by_twinopt(folder, &path, &name) {
                below(&path, out, others)?;
            }
        } else if is_data(&name) {
            out.push(path);
        } else {
            others.push(path);
        }
    }
    Ok(())
}

/// Whether a folder below `parent` is that of a plant, or contains the reports or models of a project.
fn is_written_by_twinopt(parent: &Path, path: &Path, name: &str) -> bool {
    let is_plant = ["twin.toml", crate::recipe::FILE].iter().any(|file| path.join(file).exists());
    is_plant || (["reports", "models"].contains(&name) && parent.join("data").is_dir())
}

pub fn is_data(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending) || workbook::ENDINGS.contains(&ending))
}

fn no_match(pattern: &str) -> String {
    let fixed: PathBuf = Path::new(pattern)
        .components()
        .take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .collect();
    let is_parent = fixed == Path::new(pattern) && !fixed.is_dir();
    let folder = if is_parent { fixed.parent().unwrap_or(&fixed) } else { &fixed };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match std::fs::read_dir(folder) {
        Err(_) => format!("there is no folder {}", folder.display()),
        Ok(entries) => {
            let mut names: Vec<String> =
                entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            if names.is_empty() {
                return format!("the folder {} is empty", folder.display());
            }
            format!("no file matches; {} contains {}", folder.display(), crate::error::list(&names, 5))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_folders_and_keys_of_folders() {
        let dir = tempfile::tempdir().unwrap();
        // the project itself has data, reports and models
        for name in ["data/p/twin.toml", "data/p/log/2024-01.csv", "reports/p/kpi.csv", "models/p/x.json"] {
            let path = dir.path().join("project").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(dir.path().join("project/export.csv"), "x").unwrap();
        let project = dir.path().join("project");
        let found = files(project.to_str().unwrap(), &project.join("data/new/log")).unwrap();
        assert_eq!(found.files.len(), 1, "{found:?}");
        assert!(found.files[0].name.ends_with("export.csv"));
        std::fs::remove_dir_all(project).unwrap();
        for name in ["site=7/a.csv", "site=8 b/b.CSV.gz", "x/notes.md", "log/2024-01.parquet", ".hidden.csv"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let log = dir.path().join("log");
        let Found { files: found, others } = files(root, &log).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(others.to_string(), format!("{root}/x/notes.md"));
        assert_eq!(found[0].folders, [("site".to_owned(), "7".to_owned())]);
        assert_eq!(files(&format!("{root}/**/*.csv"), &log).unwrap().files.len(), 1);
        let error = files(&format!("{root}/x/*.csv"), &log).unwrap_err().to_string();
        assert!(error.contains("contains notes.md"), "{error}");
        let error = files(&format!("{root}/x"), &log).unwrap_err().to_string();
        assert!(error.contains("x contains notes.md"), "{error}");
        std::fs::write(dir.path().join("x/book.XLSX"), "x").unwrap();
        assert_eq!(files(&format!("{root}/x/"), &log).unwrap().files.len(), 1);
    }
}
