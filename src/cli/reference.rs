//! Generates the reference page `docs/reference.md` from the types: every key of `twin.toml` and of scenario files,
//! every unit and every function. A test compares the file `docs/reference.md` with the generated text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::config::{scenario_json_schema, twin_json_schema};
use crate::{expr, units};

/// Definitions that are described in one phrase instead of a section.
const PHRASES: [(&str, &str); 6] = [
    ("TimeSpan", "time span, like `10min`"),
    ("TimeOfDay", "time of day, like `06:30`"),
    ("Weekdays", "days, like `mon-fri`"),
    ("Files", "text, or list of texts"),
    ("Labels", "text, or list of texts"),
    ("TimeFormats", "text, or list of texts"),
];

/// The text of `docs/reference.md`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Reference\n\n\
         Every key of `twin.toml` and of scenario files, and the functions and units of expressions. This page is generated \
         from the program (`UPDATE=1 cargo test --test check`). In paths, `*` is a name of your choice, and `[]` is an \
         element of a list.\n",
    );
    let mut known = BTreeSet::new();
    for (title, schema) in [("`twin.toml`", twin_json_schema()), ("Scenario files", scenario_json_schema())] {
        let _ = write!(text, "\n## {title}\n");
        let page = Page { definitions: schema["$defs"].as_object().cloned().unwrap_or_default() };
        text += &page.rows(&schema, "");
        for (name, path) in page.paths(&schema) {
            let Some(definition) = page.definitions.get(&name).filter(|_| known.insert(name.clone())) else { continue };
            let _ = write!(text, "\n### `{path}`\n\n{}\n", one_line(definition));
            text += &page.rows(definition, "");
        }
    }
    text += "\n## Functions\n\nExpressions may use `+ - * / ^`, comparisons, `and`, `or`, `not`, signals, parameters, `time` (s since 1970), \
             `dt` (the step) and numbers with a unit, like `7[d]`.\n\n| function | meaning |\n|---|---|\n";
    for (usage, meaning) in expr::functions() {
        let _ = writeln!(text, "| `{usage}` | {meaning} |");
    }
    text += "\n## Units\n\nUnits are products of symbols with exponents, like `W/(m^2*K)` or `EUR/MWh`. Every three-letter currency \
             code is a unit, also in thousands (`kEUR`) and millions (`MEUR`).\n\n| symbols | in base units | prefixes |\n|---|---|---|\n";
    for (symbols, dimension, prefixes) in units::symbols() {
        let symbols: Vec<String> = symbols.iter().map(|s| format!("`{s}`")).collect();
        let _ = writeln!(text, "| {} | {dimension} | {prefixes} |", symbols.join(", "));
    }
    text
}

/// A JSON Schema.
struct Page {
    definitions: Map<String, Value>,
}

impl Page {
    /// The definitions that `schema` uses, each with the path of the first key that uses it, in order of first use.
    fn paths(&self, schema: &Value) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut open = vec![(schema.clone(), String::new())];
        while !open.is_empty() {
            let (schema, path) = open.remove(0);
            for (name, path) in uses(&schema, &path) {
                if PHRASES.iter().any(|p| p.0 == name) || found.iter().any(|f| f.0 == name) {
                    continue;
                }
                open.extend(self.definitions.get(&name).map(|d| (d.clone(), path.clone())));
                found.push((name, path));
            }
        }
        found
    }

    /// The keys or choices of a definition, as a table.
    fn rows(&self, schema: &Value, prefix: &str) -> String {
        let mut rows = String::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut keys: BTreeMap<&String, &Value> = BTreeMap::new();
        keys.extend(schema["properties"].as_object().into_iter().flatten());
        for (key, value) in keys {
            let default = match &value["default"] {
                _ if required.contains(&key.as_str()) => "required".into(),
                Value::Null | Value::Object(_) => String::new(),
                default => format!("`{default}`"),
            };
            let _ = writeln!(rows, "| `{prefix}{key}` | {} | {default} | {} |", self.kind(value), cell(value));
        }
        for choice in schema["oneOf"].as_array().or(schema["anyOf"].as_array()).into_iter().flatten() {
            if let Some(properties) = choice["properties"].as_object() {
                for (key, value) in properties {
                    let _ = writeln!(rows, "| `{key}` | {} | | {} |", self.kind(value), cell(choice));
                    if value["properties"].is_object() {
                        let inner = self.rows(value, &format!("{key}."));
                        rows += inner.strip_prefix(HEADER).unwrap_or(&inner);
                    }
                }
            } else if let Some(word) = choice["const"].as_str() {
                let _ = writeln!(rows, "| `\"{word}\"` | word | | {} |", cell(choice));
            } else if let Some(words) = choice["enum"].as_array() {
                let words: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
                let _ = writeln!(rows, "| {} | word | | {} |", words.join(", "), cell(choice));
            } else {
                let _ = writeln!(rows, "| | {} | | {} |", self.kind(choice), cell(choice));
            }
        }
        if rows.is_empty() { rows } else { format!("{HEADER}{rows}") }
    }

    /// The type of a value in words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = reference_name(schema) {
            let phrase = PHRASES.iter().find(|p| p.0 == name).map(|p| p.1.to_owned());
            let words = || {
                let definition = self.definitions.get(&name)?;
                if let Some(words) = definition["enum"].as_array() {
                    return Some(words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "));
                }
                let choices = definition["oneOf"].as_array()?;
                let words: Option<Vec<String>> =
                    choices.iter().map(|c| Some(format!("`\"{}\"`", c["const"].as_str()?))).collect();
                Some(words?.join(", "))
            };
            return phrase.or_else(words).unwrap_or_else(|| "table".into());
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let kinds: Vec<String> = choices.iter().filter(|c| c["type"] != "null").map(|c| self.kind(c)).collect();
            return kinds.join(" or ");
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|k| *k != "null").cloned().unwrap_or(Value::Null),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("string") => "text".into(),
            Some("boolean") => "true or false".into(),
            Some("integer") => "whole number".into(),
            Some("number") => "number".into(),
            Some("array") if schema["maxItems"] == 2 => "pair".into(),
            Some("array") => format!("list of {}", self.kind(&schema["items"])),
            Some("object") if schema["additionalProperties"].is_object() => {
                format!("name → {}", self.kind(&schema["additionalProperties"]))
            }
            _ => "table".into(),
        }
    }
}

const HEADER: &str = "\n| key | value | default | meaning |\n|---|---|---|---|\n";

/// The name of the definition to which a schema refers.
fn reference_name(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.rsplit('/').next().map(str::to_owned)
}

/// The definitions to which a schema refers directly, each with the path of its key.
fn uses(schema: &Value, path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    found.extend(reference_name(schema).map(|name| (name, path.to_owned())));
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(uses(value, &join(key)));
    }
    for list in ["anyOf", "oneOf"] {
        schema[list].as_array().into_iter().flatten().for_each(|choice| found.extend(uses(choice, path)));
    }
    if schema["items"].is_object() {
        found.extend(uses(&schema["items"], &format!("{path}[]")));
    }
    if schema["additionalProperties"].is_object() {
        found.extend(uses(&schema["additionalProperties"], &join("*")));
    }
    found
}

/// The description of a schema in one line.
fn one_line(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or("").replace('\n', " ")
}

/// Description of a schema, formatted as a table cell.
fn cell(schema: &Value) -> String {
    one_line(schema).replace('|', "\\|")
}
