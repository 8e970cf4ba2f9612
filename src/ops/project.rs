//! The folders of a project: `data/<plant>`, `scenarios/<plant>`, `models/<plant>`, `reports/<plant>`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::disk::names_in;
use crate::error::{Error, Result, nearest};

/// Number of levels of subfolders that are searched for scenarios.
const MAX_DEPTH: usize = 3;

/// A project: the folder that contains `data`, `scenarios`, `models` and `reports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub root: PathBuf,
}

impl Project {
    /// Finds the project that contains `path`. `path` may also be the root of the project.
    ///
    /// The root is the nearest folder, among `path` and its ancestors, that contains a twin in `data`, or contains
    /// both `data` and `scenarios`. If there is no such folder, the root is the nearest folder that contains `data`. A
    /// relative `path` gives a relative root, so that messages name files as the user does.
    pub fn find(path: &Path) -> Result<Self> {
        let ancestors = upwards(path);
        let has_twin = |p: &Path| entries(&p.join("data")).iter().any(|plant| plant.join("twin.toml").is_file());
        let is_project = |p: &Path| p.join("data").is_dir() && (p.join("scenarios").is_dir() || has_twin(p));
        let complete = ancestors.iter().find(|p| is_project(p));
        let root = complete.or_else(|| ancestors.iter().find(|p| p.join("data").is_dir()));
        match root {
            Some(root) => Ok(Self { root: root.clone() }),
            None => Err(Error::no_input(
                path,
                "it is not in a project, because no folder above it contains `data/<plant>/twin.toml`; \
                 start a project with `twinopt init data/<plant> --log <file>`",
            )),
        }
    }

    /// Folder of the twin of plant `name`.
    pub fn twin_dir(&self, name: &str) -> PathBuf {
        self.root.join("data").join(name)
    }

    /// Folder of the model registry of plant `name`.
    pub fn model_dir(&self, name: &str) -> PathBuf {
        self.root.join("models").join(name)
    }

    /// Folder of the report of plant `name`.
    pub fn report_dir(&self, name: &str) -> PathBuf {
        self.root.join("reports").join(name)
    }

    /// Folder of the scenarios of plant `name`.
    pub fn scenario_dir(&self, name: &str) -> PathBuf {
        self.root.join("scenarios").join(name)
    }

    /// Folder names of all twins, sorted.
    pub fn twins(&self) -> Vec<String> {
        let mut names: Vec<String> = entries(&self.root.join("data"))
            .into_iter()
            .filter(|p| p.join("twin.toml").is_file())
            .filter_map(|p| p.file_name()?.to_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The scenario files in the folder `dir`, and in its subfolders if `deep` is true. A folder with a twin contains
    /// none.
    ///
    /// # Errors
    /// Returns [`Error::NoInput`] if a folder cannot be read.
    pub fn scenarios_in(dir: &Path, deep: bool) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect(dir, &mut files, if deep { 0 } else { MAX_DEPTH })?;
        if files.iter().any(|f| f.file_name().is_some_and(|n| n == "twin.toml")) {
            files.clear();
        }
        Ok(files)
    }

    /// The scenario files at `path`: the file itself, or all `.toml` files in the folder and its subfolders, sorted.
    ///
    /// # Errors
    /// Returns [`Error::NoInput`] if there are no scenario files.
    pub fn scenario_files(path: &Path) -> Result<Vec<PathBuf>> {
        if path.is_file() {
            return Ok(vec![path.to_path_buf()]);
        }
        if !path.is_dir() {
            let siblings = path.parent().map(|p| entries(if p.as_os_str().is_empty() { Path::new(".") } else { p }));
            let names: Vec<String> = siblings
                .unwrap_or_default()
                .iter()
                .filter_map(|p| p.file_name()?.to_str().map(str::to_owned))
                .collect();
            let wanted = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            let hint = nearest(wanted, names.iter().map(String::as_str));
            let hint = match (hint, plant_of(path)) {
                (Some(name), _) => format!("did you mean `{name}`?"),
                (None, Some(plant)) => no_twin(&plant),
                (None, None) => "give a scenario file or folder".into(),
            };
            return Err(Error::no_input(path, format!("it does not exist; {hint}")));
        }
        let mut files = Vec::new();
        collect(path, &mut files, 0)?;
        files.sort();
        if files.iter().any(|f| f.file_name().is_some_and(|n| n == "twin.toml")) {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("PLANT");
            return Err(Error::no_input(
                path,
                format!("the folder contains a twin, not a scenario; did you mean `scenarios/{name}`?"),
            ));
        }
        if files.is_empty() {
            return Err(Error::no_input(path, "the folder contains no scenario; a scenario is a `.toml` file"));
        }
        Ok(files)
    }
}

/// Sorts `files` and removes duplicates, including different paths to the same file.
pub fn distinct(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort();
    let mut known = BTreeSet::new();
    files.retain(|f| known.insert(f.canonicalize().unwrap_or_else(|_| f.clone())));
    files
}

/// `path` and all folders above it.
fn upwards(path: &Path) -> Vec<PathBuf> {
    let own = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut list: Vec<PathBuf> = own
        .ancestors()
        .map(|p| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.to_path_buf() })
        .filter(|p| p.components().next_back() != Some(Component::ParentDir))
        .collect();
    // the ancestors of a relative path end at the working directory, but the root of the project may be above it
    if own.is_relative()
        && let Ok(here) = std::env::current_dir()
    {
        if list.last().is_none_or(|p| p.as_os_str() != ".") {
            list.push(PathBuf::from("."));
        }
        let climbs = own.components().filter(|c| *c == Component::ParentDir).count();
        let mut above = PathBuf::new();
        for (i, _) in here.ancestors().skip(1).enumerate() {
            above.push("..");
            if i + 1 >= climbs {
                list.push(above.clone());
            }
        }
    }
    list
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    crate::disk::entries(dir).unwrap_or_default().into_iter().map(|name| dir.join(name)).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>, depth: usize) -> Result<()> {
    for name in crate::disk::entries(dir).map_err(|e| Error::no_input(dir, e))? {
        let path = dir.join(&name);
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_file() && path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        } else if path.is_dir() && depth < MAX_DEPTH {
            collect(&path, files, depth + 1)?;
        }
    }
    Ok(())
}

/// The next command for a plant without twin.toml, whose folder is `dir`.
pub fn no_twin(dir: &Path) -> String {
    let has_log = names_in(&dir.join("log")).is_ok_and(|names| names.iter().any(|n| n.ends_with(".parquet")));
    let dir = dir.display();
    match has_log {
        true => format!("there is no twin.toml; draft it with `twinopt init {dir}`"),
        false => format!(
            "there is no log; import it with `twinopt import {dir} --from FILES`, and then run `twinopt init {dir}`"
        ),
    }
}

/// The folder of the plant to which the scenarios in `path` belong, if that plant has no twin.
fn plant_of(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|p| p.file_name().is_some_and(|n| n == "scenarios"))?;
    let dir = parent.parent().unwrap_or(Path::new("")).join("data").join(path.file_name()?);
    (!dir.join("twin.toml").is_file()).then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_from_any_path_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for sub in ["data/a", "scenarios/a"] {
            std::fs::create_dir_all(root.join(sub)).unwrap();
        }
        std::fs::write(root.join("data/a/twin.toml"), "").unwrap();
        std::fs::write(root.join("scenarios/a/x.toml"), "").unwrap();
        for place in ["", "data/a", "data/a/twin.toml", "scenarios/a/x.toml", "scenarios"] {
            assert_eq!(Project::find(&root.join(place)).unwrap().root, root);
        }
        // a project inside another project is found even if it has no scenarios yet, and the folder of a twin is not
        // a project even if it contains a folder `data`
        let inner = root.join("inner");
        std::fs::create_dir_all(inner.join("data/b/data")).unwrap();
        std::fs::write(inner.join("data/b/twin.toml"), "").unwrap();
        for place in ["", "data/b", "data/b/data"] {
            assert_eq!(Project::find(&inner.join(place)).unwrap().root, inner);
        }
        let project = Project::find(root).unwrap();
        assert_eq!(project.twins(), ["a"]);
        assert_eq!(Project::scenario_files(&root.join("scenarios")).unwrap(), [root.join("scenarios/a/x.toml")]);
        assert!(Project::scenario_files(&root.join("scenarios/b")).is_err());
        assert_eq!(Project::scenarios_in(&root.join("scenarios"), true).unwrap(), [root.join("scenarios/a/x.toml")]);
        for place in ["scenarios", "data/a"] {
            assert!(Project::scenarios_in(&root.join(place), false).unwrap().is_empty());
        }
        assert!(Project::scenarios_in(&root.join("scenarios/b"), true).is_err());
    }
}
