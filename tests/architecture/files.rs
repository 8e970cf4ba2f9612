//! Finds the imports between source files from their `use` declarations and paths. This module parses only part of the
//! Rust language.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// All `.rs` files in `dir` and its subfolders, sorted by path.
pub fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without comments, string literals or the test module.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            string_length(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[skipped..];
    }
    out
}

/// Length in bytes of the string literal at the start of `text`, including its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return i + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

type ModulePath = Vec<String>;

/// The imports of one module in a crate.
struct Module {
    file: PathBuf,
    /// Full path of each imported or re-exported name.
    names: BTreeMap<String, ModulePath>,
    /// Modules from which everything is imported (`use module::*`).
    globs: Vec<ModulePath>,
    /// Full paths used in the code, except in re-exports (`pub use`).
    used: Vec<ModulePath>,
}

/// The modules of one crate.
pub struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

impl Crate {
    /// Reads all files in `src` and its subfolders.
    pub fn read(src: &Path) -> Self {
        let files: BTreeMap<ModulePath, PathBuf> =
            sources(src).into_iter().filter(|f| !f.ends_with("tests.rs")).map(|f| (module_path(src, &f), f)).collect();
        let modules = files
            .iter()
            .map(|(path, file)| {
                let children: BTreeSet<&str> = files
                    .keys()
                    .filter(|p| p.len() == path.len() + 1 && p.starts_with(path))
                    .filter_map(|p| p.last().map(String::as_str))
                    .collect();
                (path.clone(), Module::read(path, file.clone(), &code(&fs::read_to_string(file).unwrap()), &children))
            })
            .collect();
        Self { modules }
    }

    /// The file that defines the item at `path`, with re-exports resolved. `None` if the item is defined in another
    /// crate.
    fn definition(&self, path: &[String], depth: usize) -> Option<&Path> {
        let mut here: ModulePath = Vec::new();
        for (i, part) in path.iter().enumerate() {
            let mut child = here.clone();
            child.push(part.clone());
            if self.modules.contains_key(&child) {
                here = child;
                continue;
            }
            let module = self.modules.get(&here)?;
            if depth == 0 {
                return Some(&module.file);
            }
            if let Some(target) = module.names.get(part) {
                let full: ModulePath = target.iter().chain(&path[i + 1..]).cloned().collect();
                return self.definition(&full, depth - 1);
            }
            return Some(&module.file);
        }
        self.modules.get(&here).map(|m| m.file.as_path())
    }

    /// The files imported by each file.
    pub fn imports(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut all = BTreeMap::new();
        for module in self.modules.values() {
            let targets = module.used.iter().chain(&module.globs).filter_map(|p| self.definition(p, 8));
            all.insert(module.file.as_path(), targets.filter(|t| *t != module.file).collect());
        }
        all
    }

    /// Groups of files with circular imports.
    pub fn circles(&self) -> Vec<Vec<&Path>> {
        let imports = self.imports();
        let reachable: BTreeMap<&Path, BTreeSet<&Path>> = imports
            .keys()
            .map(|start| {
                let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
                while let Some(file) = open.pop() {
                    open.extend(imports.get(file).into_iter().flatten().filter(|next| seen.insert(**next)).copied());
                }
                (*start, seen)
            })
            .collect();
        let mut circles: Vec<Vec<&Path>> = Vec::new();
        for file in imports.keys() {
            let circle: Vec<&Path> =
                reachable[file].iter().filter(|other| reachable[*other].contains(file)).copied().collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }
}

fn module_path(src: &Path, file: &Path) -> ModulePath {
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let mut parts: ModulePath = relative.components().map(|c| c.as_os_str().to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|l| l == "mod") || parts.len() == 1 && ["lib", "main"].contains(&parts[0].as_str()) {
        parts.pop();
    }
    parts
}

impl Module {
    fn read(path: &[String], file: PathBuf, code: &str, children: &BTreeSet<&str>) -> Self {
        let mut module = Self { file, names: BTreeMap::new(), globs: Vec::new(), used: Vec::new() };
        let mut body = String::new();
        let mut rest = code;
        while let Some(at) = next_use(rest) {
            let end = at + rest[at..].find(';').map_or(rest.len() - at, |e| e + 1);
            let before = &rest[..at];
            let line = before.rsplit('\n').next().unwrap_or("").trim();
            body.push_str(before);
            let tree: String = rest[at + 4..end - 1].split_whitespace().collect::<Vec<_>>().join(" ");
            for (parts, alias) in expand(&tree) {
                let Some(full) = absolute(path, &parts, children) else { continue };
                if full.last().is_some_and(|l| l == "*") {
                    module.globs.push(full[..full.len() - 1].to_vec());
                    continue;
                }
                module.names.insert(alias.unwrap_or_else(|| parts.last().unwrap().clone()), full.clone());
                if !line.starts_with("pub") {
                    module.used.push(full);
                }
            }
            rest = &rest[end..];
        }
        body.push_str(rest);
        for parts in paths(&body) {
            module.used.extend(absolute(path, &parts, children));
        }
        module
    }
}

/// Position of the next `use` declaration in `text`.
fn next_use(text: &str) -> Option<usize> {
    text.match_indices("use ").map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || c == ')')
    })
}

/// Splits a `use` tree into its paths: `a::{b, c::d as e}` becomes `[a, b]` and `[a, c, d]`, the latter with its alias
/// `e`.
fn expand(tree: &str) -> Vec<(Vec<String>, Option<String>)> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(p, a)| (p, Some(a.trim().to_owned())));
        return vec![(path.split("::").map(|p| p.trim().to_owned()).collect(), alias)];
    };
    let prefix: Vec<String> = tree[..open].split("::").map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&inner[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    members.push(&inner[start..]);
    let members = members.into_iter().filter(|m| !m.trim().is_empty()).flat_map(expand);
    members
        .map(|(path, alias)| {
            // `a::{self}` is `a`
            let own = path.iter().filter(|p| *p != "self").cloned();
            (prefix.iter().cloned().chain(own).collect(), alias)
        })
        .collect()
}

/// All paths in `text` that contain `::`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|c| !word(c)).map_or(0, |i| i + rest[i..].chars().next().unwrap().len_utf8());
        let mut parts = vec![rest[start..at].to_owned()];
        rest = &rest[at..];
        while let Some(next) = rest.strip_prefix("::") {
            let end = next.find(|c| !word(c)).unwrap_or(next.len());
            rest = &next[end..];
            if end == 0 {
                break;
            }
            parts.push(next[..end].to_owned());
        }
        if !parts[0].is_empty() && parts.len() > 1 {
            found.push(parts);
        }
    }
    found
}

/// The path relative to the crate root. `None` if the path begins with the name of another crate or with a local name.
fn absolute(here: &[String], parts: &[String], children: &BTreeSet<&str>) -> Option<ModulePath> {
    let mut base = match parts[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => here.to_vec(),
        child if children.contains(child) => {
            return Some(here.iter().chain(parts).cloned().collect());
        }
        _ => return None,
    };
    let mut rest = parts;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "super" => {
                base.pop();
            }
            "self" | "crate" => {}
            _ => break,
        }
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(base)
}
