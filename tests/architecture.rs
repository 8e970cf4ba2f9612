//! Tests of the module structure: modules import only from lower layers, and there are no circular imports between
//! files.

#[path = "architecture/files.rs"]
mod files;

use std::fs;
use std::path::{Path, PathBuf};

use files::Crate;

/// Modules of the library, lowest layer first. A module may import only from itself and from lower layers.
const LAYERS: &[&[&str]] = &[
    &["caught", "error", "stats", "terminal"],
    &["disk", "units"],
    &["period", "zone"],
    &["schema"],
    &["config", "trajectory"],
    &["expr", "log"],
    &["resolve"],
    &["learn", "value"],
    &["verify"],
    &["twin"],
    &["control"],
    &["simulate"],
    &["scenario"],
    &["tune"],
    &["live"],
    &["report"],
    &["check"],
    &["draft"],
    &["ops"],
];

/// Additional rules. Each pair consists of a module and another module that it must not import.
const NEVER: &[(&str, &str)] = &[
    ("learn", "value"),
    ("value", "learn"),
    ("expr", "log"),
    ("report", "twin"),
    ("report", "learn"),
    ("config", "trajectory"),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The source files of all crates.
fn all_sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for package in fs::read_dir(root.join("crates")).unwrap() {
        sources(&package.unwrap().path().join("src"), &mut files);
    }
    files
}

/// Top-level modules that `text` imports by `crate::x` paths, each with its line number. Import lists may span several
/// lines. Comments are ignored.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: String = text.lines().map(|l| l.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let start = at + path.len();
        let mut add = |at: usize| found.push((code[..at].matches('\n').count() + 1, first_word(&code[at..])));
        if !code[start..].starts_with('{') {
            add(start);
            continue;
        }
        let (mut depth, mut begins) = (0, false);
        for (i, c) in code[start..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                c if begins && !c.is_whitespace() => add(start + i),
                _ => {}
            }
            // only the direct members of the import list are modules; the members of a nested list are not
            begins = depth == 1 && (matches!(c, '{' | ',') || begins && c.is_whitespace());
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn all_members_of_an_import_list_are_found() {
    let text = "use crate::{\n    // crate::no\n    a::{b, c},\n    d,\n};\nuse crate::e::f;\nlet x = crate::{g, h};\n";
    let seen = imports(text);
    let expected = [(3, "a"), (4, "d"), (6, "e"), (7, "g"), (7, "h")];
    assert_eq!(seen, expected.map(|(n, m)| (n, m.to_owned())));
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn modules_import_only_from_lower_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files.sort();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap();
        let module = first_word(relative.components().next().unwrap().as_os_str().to_str().unwrap());
        // the binary and the crate root may import from every layer
        let Some(here) = layer(&module) else {
            assert!(["main", "lib", "cli"].contains(&module.as_str()), "{module} has no layer: add it to LAYERS");
            continue;
        };
        for (line, import) in imports(&fs::read_to_string(file).unwrap()) {
            let Some(there) = layer(&import) else { continue };
            seen += 1;
            if (import != module && there > here) || NEVER.contains(&(module.as_str(), import.as_str())) {
                wrong.push(format!("{}:{line} imports {import}", relative.display()));
            }
        }
    }
    assert!(seen > 50, "the test found too few imports: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_gpu_backend_contains_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in &all_sources() {
        let relative = file.strip_prefix(root).unwrap();
        let text = fs::read_to_string(file).unwrap();
        let code = text.lines().map(|l| l.split("//").next().unwrap_or(""));
        let found = code.filter(|l| l.contains("unsafe ") || l.contains("allow(unsafe_code)")).count();
        if relative.starts_with("crates/kernels/src/cuda") {
            seen += found;
        } else if found > 0 {
            wrong.push(relative.display().to_string());
        }
    }
    assert!(seen > 5, "the test found too little unsafe code: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let long: Vec<String> = all_sources()
        .iter()
        .map(|f| (fs::read_to_string(f).unwrap().lines().count(), f))
        .filter(|(n, _)| *n > 500)
        .map(|(n, f)| format!("{n} {}", f.display()))
        .collect();
    assert!(long.is_empty(), "these files are too long: {long:#?}");
}

#[test]
fn only_permitted_modules_print_or_read_the_clock_and_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for file in &all_sources() {
        let relative = file.strip_prefix(root).unwrap();
        // paths of files in `src` are relative to `src`, and all other paths are relative to the repository root
        let relative = relative.strip_prefix("src").unwrap_or(relative).to_str().unwrap().to_owned();
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let bans: &[(&str, &[&str])] = &[
            ("println!", &["cli", "main.rs"]),
            ("Timestamp::now", &["cli", "ops"]),
            ("SystemTime", &["cli", "ops", "crates/import"]),
            ("thread_rng", &[]),
            ("use rand", &[]),
            ("std::fs", &["disk.rs", "config/load.rs", "log", "scenario", "ops", "cli", "crates/import"]),
        ];
        for (ban, allowed) in bans {
            if text.contains(ban) && !allowed.iter().any(|a| relative.starts_with(a)) {
                wrong.push(format!("{relative}: {ban}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for src in ["src", "crates/kernels/src", "crates/import/src"] {
        let modules = Crate::read(&root.join(src));
        let imports: usize = modules.imports().values().map(|i| i.len()).sum();
        assert!(imports > 20, "the test found too few imports in {src}: {imports}");
        let circles = modules.circles();
        assert!(circles.is_empty(), "these files import each other in a circle: {circles:#?}");
    }
}
