//! Structural faults in a file, and the parts of the file that are omitted because of these faults.

use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::kind::FileSchema;
use super::wording::{described, first_sentence};
use crate::config::damage::Damage;
use crate::config::words::example;
use crate::error::{Fault, line_column};

pub(super) struct Findings<'s> {
    pub file: &'s Path,
    pub text: &'s str,
    pub faults: Vec<Fault>,
    pub damage: Damage,
}

impl Findings<'_> {
    /// Reports a fault, unless its line has a syntax error.
    pub(super) fn report(&mut self, code: &'static str, span: Range<usize>, message: String, help: String) {
        self.damage.any = true;
        if self.damage.lines.contains(&line_column(self.text, span.start).0) {
            return;
        }
        self.faults.push(Fault::new(code, self.file, self.text, Some(span), message, help));
    }

    /// Reports that `value`, the value of `key`, does not match `wanted`, a description of the required value. `sample`
    /// is an example of a valid value.
    pub(super) fn mismatch(
        &mut self,
        wanted: &str,
        sample: Option<String>,
        key: &str,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) {
        // the parser put a placeholder here after a syntax error, which has already been reported
        if span.is_empty() {
            self.damage.any = true;
            return;
        }
        let sample = sample.map(|e| format!(", e.g. `{key} = {e}`")).unwrap_or_default();
        let help = if wanted == "a string" && !matches!(value, DeValue::Array(_) | DeValue::Table(_)) {
            let raw = self.text.get(span.clone()).unwrap_or("…");
            format!("put it in quotes: `{key} = \"{raw}\"`")
        } else {
            format!("write {wanted}{sample}")
        };
        self.report("wrong-type", span, format!("`{key}` must be {wanted}, but it is {}", described(value)), help);
    }

    /// Reports that the required `key`, described by `schema`, is missing from `table`, which the message calls `noun`.
    pub(super) fn missing(
        &mut self,
        file: FileSchema<'_>,
        key: &str,
        schema: &Value,
        noun: &str,
        table: Option<Range<usize>>,
    ) {
        // after a syntax error, a key may seem to be missing because its line could not be parsed
        if !self.damage.lines.is_empty() {
            return;
        }
        let doc = schema["description"].as_str().or_else(|| file.resolve(schema)["description"].as_str());
        let doc = doc.map(|d| format!(": {}", first_sentence(d))).unwrap_or_default();
        let help = match example(key) {
            Some(e) => format!("add `{key} = {e}`{doc}"),
            None => format!("add `{key}`{doc}"),
        };
        let message = format!("{noun} needs the key `{key}`");
        self.faults.push(Fault::new("missing-key", self.file, self.text, table, message, help));
    }

    /// Records that an entry was omitted from `table`.
    pub(super) fn damaged(&mut self, table: &Range<usize>) {
        self.damage.tables.push(table.clone());
        self.damage.any = true;
    }

    /// Records the name of an omitted table.
    pub(super) fn lose(&mut self, table: &DeTable<'_>, key: &str) {
        let name = table.get("name").and_then(|n| n.get_ref().as_str()).unwrap_or(key);
        self.damage.names.insert(name.to_owned());
        self.damage.any = true;
    }
}
