//! Finds the log files that match the patterns in `log.files`.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

use crate::config::LogSpec;
use crate::error::{Error, Result};

/// Maximum number of file names that a message lists (not tuned).
const MAX_NAMES: usize = 5;

/// The wildcards `*` and `?` match within the name of a single file or folder. Hidden files are filtered by
/// [`is_named`], because `glob` with `require_literal_leading_dot` would never match them.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Returns the files that match the patterns in `spec`, sorted by name.
///
/// # Errors
/// [`Error::NoInput`] if a pattern matches no file. The message lists files from the folder that was searched.
pub fn files(dir: &Path, spec: &LogSpec) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in spec.files.patterns() {
        let matched = matching(dir, pattern);
        if matched.is_empty() {
            return Err(Error::no_input(dir.join(pattern), no_match(dir, pattern)));
        }
        found.extend(matched);
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Error::no_input(dir, "`log.files` is empty; add a pattern such as \"log/*.parquet\""));
    }
    Ok(found)
}

/// Returns the files in `dir` that match `pattern`.
fn matching(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    // `glob` omits leading `.` components, so they are removed from `dir` before the search and restored afterwards.
    let base: PathBuf = dir.components().filter(|c| *c != Component::CurDir).collect();
    // Brackets in a pattern are literal, because many exported files have brackets in their names. `**` is treated as
    // `*`.
    let mut plain = pattern.replace('[', "[[]");
    while plain.contains("**") {
        plain = plain.replace("**", "*");
    }
    let full = Path::new(&Pattern::escape(&base.to_string_lossy())).join(plain);
    let Ok(paths) = glob_with(&full.to_string_lossy(), OPTIONS) else { return Vec::new() };
    let in_dir = |path: PathBuf| match path.strip_prefix(&base) {
        Ok(rest) => is_named(pattern, rest).then(|| dir.join(rest)),
        Err(_) => is_named(pattern, &path).then_some(path),
    };
    paths.flatten().filter_map(in_dir).filter(|path| path.is_file()).collect()
}

/// Returns true if every hidden file or folder in `path` is matched by a component of `pattern` that begins with a dot.
fn is_named(pattern: &str, path: &Path) -> bool {
    let names = |path: &Path| -> Vec<String> {
        let normal = path.components().filter(|c| *c != Component::CurDir);
        normal.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (parts, names) = (names(Path::new(pattern)), names(path));
    parts.iter().zip(&names).all(|(part, name)| !name.starts_with('.') || part.starts_with('.'))
}

fn no_match(dir: &Path, pattern: &str) -> String {
    let is_fixed = |part: &str| !part.contains(['*', '?']);
    let fixed: PathBuf = pattern.split('/').take_while(|p| is_fixed(p)).collect();
    let mut folder = dir.join(fixed);
    if is_fixed(pattern) {
        folder.pop();
    }
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
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
mod tests {
    use super::*;

    #[test]
    fn stars_match_within_a_name_and_brackets_are_literal() {
        let root = tempfile::TempDir::new().unwrap();
        // The name of the test folder looks like a pattern.
        let dir = root.path().join("[a]*");
        std::fs::create_dir_all(dir.join("sub/deeper.parquet")).unwrap();
        for name in ["a.parquet", "b1.parquet", "b[1].parquet", ".hidden.parquet", "a.csv", "sub/c.parquet"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let mut all = matching(&dir, pattern);
            all.sort();
            all.iter().map(|p| p.strip_prefix(&dir).unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(found("*.parquet"), ["a.parquet", "b1.parquet", "b[1].parquet"]);
        assert_eq!(found("b?.parquet"), ["b1.parquet"]);
        assert_eq!(found("b[1].*"), ["b[1].parquet"]);
        assert_eq!(found("b[1].parquet"), ["b[1].parquet"]);
        assert_eq!(found("./a.parquet"), ["a.parquet"]);
        assert_eq!(found("*/*.parquet"), ["sub/c.parquet"]);
        assert_eq!(found(".hid*"), [".hidden.parquet"]);
        assert_eq!(found("**/*.parquet"), ["sub/c.parquet"]);
        let absolute = dir.join("a.parquet");
        assert_eq!(matching(Path::new("elsewhere"), &absolute.to_string_lossy().replace("[a]*", "[a]?")), [absolute]);
    }
}
