//! Parses `twin.toml` and scenario files, and reports all structural faults of a file in one pass.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, Deserializer};

use super::damage::Damage;
use super::shape::Shape;
use super::{ScenarioSpec, TwinSpec, syntax};
use crate::error::{Error, Fault, Result, line_column};

/// A configuration file and its parsed value.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    pub path: PathBuf,
    pub text: String,
    pub value: T,
    /// Parts of the file that are missing from `value` because of structural faults.
    pub damage: Damage,
}

impl<T> Loaded<T> {
    /// Returns the file name without its extension. The name of a scenario is the name of its file without the
    /// extension.
    pub fn stem(&self) -> &str {
        self.path.file_stem().and_then(|s| s.to_str()).unwrap_or("scenario")
    }
}

/// The result of parsing a file: its value, if one could be built, and all faults.
#[derive(Debug)]
pub struct Parsed<T> {
    /// `None` if the faults are too severe to build a value.
    pub loaded: Option<Loaded<T>>,
    pub faults: Vec<Fault>,
}

impl<T> Parsed<T> {
    /// Returns the loaded file if it has no faults.
    ///
    /// # Errors
    /// Returns [`Error::Config`] with all faults if the file has any.
    pub fn into_result(self) -> Result<Loaded<T>> {
        match self.loaded {
            Some(loaded) if self.faults.is_empty() => Ok(loaded),
            _ => Err(Error::Config(self.faults)),
        }
    }
}

/// Loads `twin.toml` from the folder `dir`, which may also be the path of the file itself.
pub fn load_twin(dir: &Path) -> Result<Loaded<TwinSpec>> {
    parse_twin(&twin_file(dir))?.into_result()
}

pub fn load_scenario(file: &Path) -> Result<Loaded<ScenarioSpec>> {
    parse_scenario(file)?.into_result()
}

/// Returns the path of the twin file in the folder `dir`, or `dir` itself if it is a file.
pub fn twin_file(dir: &Path) -> PathBuf {
    if dir.is_file() { dir.to_path_buf() } else { dir.join("twin.toml") }
}

/// Reads and parses a twin file. Fails only if the file cannot be read.
pub fn parse_twin(file: &Path) -> Result<Parsed<TwinSpec>> {
    let schema = super::twin_json_schema();
    let parsed = read(file, "create a twin file with `twinopt init`")?;
    Ok(parsed.map_or_else(|faults| faults, |text| named(parse(file, &text, &schema))))
}

/// Parses the text of a twin file that has not been written yet. `file` is the path of the file that will contain the
/// text.
pub fn parse_twin_text(file: &Path, text: &str) -> Parsed<TwinSpec> {
    named(parse(file, text, &super::twin_json_schema()))
}

/// Whether `name` is a valid plant name, which is used in folder names and in systemd units.
pub fn is_plant_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Adds a fault if the plant name is invalid. Plant names have to be valid in file names, because commands build paths
/// from them.
fn named(mut parsed: Parsed<TwinSpec>) -> Parsed<TwinSpec> {
    let Some(loaded) = &parsed.loaded else { return parsed };
    let name = &loaded.value.name;
    // a missing name, or a name on a line with a syntax error, has already been reported
    let reported = name.span.is_empty() && loaded.damage.any
        || loaded.damage.lines.contains(&line_column(&loaded.text, name.span.start).0);
    if !is_plant_name(name) && !reported {
        let what = format!("`{}` cannot be the name of a plant", name.value);
        let help = "use letters, digits, `_` and `-`, like `datacenter`";
        let place = Some(name.span.clone());
        parsed.faults.push(Fault::new("bad-name", &loaded.path, &loaded.text, place, what, help));
        parsed.faults.sort_by_key(|f| f.span.as_ref().map_or(0, |s| s.start));
    }
    parsed
}

/// Reads and parses a scenario file. Fails only if the file cannot be read.
pub fn parse_scenario(file: &Path) -> Result<Parsed<ScenarioSpec>> {
    let schema = super::scenario_json_schema();
    let parsed = read(file, "pass the path of a scenario file or folder")?;
    Ok(parsed.map_or_else(|faults| faults, |text| parse(file, &text, &schema)))
}

/// Reads a file as text. If the file is not valid UTF-8, the inner result is an error that contains the fault.
fn read<T>(file: &Path, help: &str) -> Result<std::result::Result<String, Parsed<T>>> {
    let bytes = std::fs::read(file).map_err(|e| Error::no_input(file, format!("{}; {help}", reason(&e))))?;
    Ok(String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let head = String::from_utf8_lossy(&e.as_bytes()[..valid]).into_owned();
        let fault = Fault::new(
            "encoding",
            file,
            &head,
            Some(valid..valid),
            "the file contains invalid UTF-8 at this position",
            "save the file as UTF-8 in your editor",
        );
        Parsed { loaded: None, faults: vec![fault] }
    }))
}

/// Describes the cause of an I/O error.
fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    }
}

/// Parses `text`, the content of `file`, against `schema`, the JSON Schema of `T`.
///
/// The syntax is checked first, and lines with syntax errors are skipped. Then the structure of the whole tree is
/// checked for unknown keys, missing keys and wrong types. Finally, the parts of the tree without faults are
/// deserialised.
pub fn parse<T: DeserializeOwned + JsonSchema>(file: &Path, text: &str, schema: &serde_json::Value) -> Parsed<T> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = Vec::new();
    let mut damage = Damage::default();
    if let Some(open) = (!errors.is_empty()).then(|| syntax::unclosed(text)).flatten() {
        let bracket = &text[open.clone()];
        let (what, help) = syntax::explain(if bracket == "{" { "unclosed inline table" } else { "unclosed array" });
        // errors after an unclosed bracket are unreliable, so only errors before the bracket are reported
        faults.push(Fault::new("syntax", file, text, Some(open.clone()), what, help));
        let line = line_column(text, open.start).0;
        for e in errors.iter().filter(|e| e.span().is_some_and(|s| line_column(text, s.start).0 < line)) {
            let (what, help) = syntax::explain(e.message());
            faults.push(Fault::new("syntax", file, text, e.span(), what, help));
        }
        faults.sort_by_key(|f| (f.line, f.column));
        faults.dedup_by_key(|f| f.line);
        return Parsed { loaded: None, faults };
    }
    for e in &errors {
        let span = e.span().unwrap_or(0..0);
        let (line, _) = line_column(text, span.start);
        // one mistake can cause several errors on the same line, so only the first error is reported
        if !damage.lines.insert(line) {
            continue;
        }
        let empty = text[span.start..].chars().next().is_none_or(|c| c == '\n' || c == '\r' || c == '#');
        let parser_message =
            if e.message().contains("must be quoted") && empty { "missing value" } else { e.message() };
        let (message, help) = syntax::explain(parser_message);
        faults.push(Fault::new("syntax", file, text, Some(span), message, help));
    }
    if errors.iter().any(|e| syntax::is_open_ended(e.message())) {
        return Parsed { loaded: None, faults };
    }
    for (i, line) in text.lines().enumerate() {
        if damage.lines.contains(&(i + 1)) {
            damage.names.extend(line.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
        }
    }
    damage.any = !errors.is_empty();
    let mut shape = Shape::new(schema, file, text, damage);
    let tree = shape.fit_root(tree.into_inner());
    let (shape_faults, damage) = shape.into_parts();
    faults.extend(shape_faults);
    let loaded = match T::deserialize(Deserializer::from(toml::Spanned::new(0..text.len(), tree))) {
        Ok(value) => Some(Loaded { path: file.to_path_buf(), text: text.to_owned(), value, damage }),
        Err(e) => {
            // the structure is valid, so the error is in a value that the schema cannot check
            if faults.is_empty() {
                faults.push(Fault::new("value", file, text, e.span(), e.message(), "correct the value"));
            }
            None
        }
    };
    faults.sort_by_key(|f| f.span.as_ref().map_or(0, |s| s.start));
    Parsed { loaded, faults }
}
