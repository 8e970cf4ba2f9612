//! Wording of the messages and of the help for structural faults.

use serde_json::Value;
use toml::de::DeValue;

use super::kind::{FileSchema, Kind, definition};
use crate::config::span::TimeSpan;
use crate::config::words::{example, noun};

impl<'s> FileSchema<'s> {
    /// An example value for `key` that matches `schema`.
    pub(super) fn sample(self, schema: &'s Value, key: &str) -> Option<String> {
        let numbers = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        fitting(key, |value| self.accepts(schema, value)).or_else(|| match self.kind(schema) {
            Kind::List { of, exactly: Some(n) } if matches!(self.kind(of), Kind::Number) => {
                Some(format!("[{}]", numbers(n)))
            }
            _ => None,
        })
    }

    /// Help text for the unknown key `name`. `meant` is the key that the user probably intended.
    pub(super) fn help_for_unknown(
        self,
        known: &serde_json::Map<String, Value>,
        name: &str,
        meant: Option<&str>,
        present: &[String],
        movable: bool,
    ) -> String {
        match meant {
            Some(meant) if present.iter().any(|p| p == meant) => {
                format!("did you mean `{meant}`? That key is already present, so remove this line")
            }
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "remove this key, because the table must be empty".to_owned(),
            None => {
                let elsewhere = self.home_of(name).filter(|_| movable);
                let known = known.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
                match elsewhere {
                    Some(home) => format!("move it to {home}, or remove it; known here: {known}"),
                    None => format!("remove it, or use one of {known}"),
                }
            }
        }
    }

    /// Returns a description of the value that the schema requires.
    pub(super) fn wanted(self, schema: &'s Value) -> String {
        match self.kind(schema) {
            Kind::Text => "a string".into(),
            Kind::Time => "a time".into(),
            Kind::Span => "a time span".into(),
            Kind::TimeOfDay => "a time of day".into(),
            Kind::Weekdays => "days of the week".into(),
            Kind::Number => "a number".into(),
            Kind::Integer { .. } => "a whole number".into(),
            Kind::Flag => "`true` or `false`".into(),
            Kind::List { of, exactly } => {
                let of = self.wanted(of);
                let of = of.strip_prefix("a ").unwrap_or(&of);
                match exactly {
                    Some(n) => format!("a list of {n} {of}s"),
                    None => format!("a list of {of}s"),
                }
            }
            Kind::Table(_) => "a table `{ … }`".into(),
            Kind::Map(of) => format!("a table of names, each with {}", self.wanted(of)),
            Kind::Choice(variants) => {
                format!("one of {}", variants.iter().map(|(tag, _)| format!("`{tag}`")).collect::<Vec<_>>().join(", "))
            }
            Kind::Either(several) => several.iter().map(|s| self.wanted(s)).collect::<Vec<_>>().join(" or "),
        }
    }

    /// Name that messages use for the table under `key`.
    pub(super) fn noun_of<'a>(self, schema: &'s Value, key: &'a str) -> &'a str
    where
        's: 'a,
    {
        let mut schema = schema;
        loop {
            if let Some(words) = definition(schema).and_then(noun) {
                return words;
            }
            if let Some(one) = schema["anyOf"].as_array().and_then(|s| s.iter().find(|s| s["type"] != "null")) {
                schema = one;
            } else {
                return key;
            }
        }
    }

    /// Name of the only table that can have the key `name`. `None` if no table or more than one table can have the key.
    fn home_of(self, name: &str) -> Option<String> {
        let definitions = self.root["$defs"].as_object()?;
        let homes: Vec<&str> = definitions
            .iter()
            .filter(|(_, d)| d["properties"].get(name).is_some())
            .filter_map(|(definition, _)| noun(definition))
            .collect();
        match homes[..] {
            [home] => Some(home.to_owned()),
            _ => None,
        }
    }
}

/// Fault code, message and help text for a value of `key` that is not a time span.
pub(super) fn no_span(key: &str, is: &DeValue<'_>) -> (&'static str, String, String) {
    let wanted = example(key).filter(|e| e.starts_with('"')).unwrap_or("\"10min\"");
    let DeValue::String(text) = is else {
        let help = match is {
            DeValue::Integer(n) => format!(
                "write a number and a unit in quotes, like `{0} = \"{1}min\"` or `\"{1}s\"` (ms, s, min, h, d, w, y)",
                key,
                n.as_str()
            ),
            _ => format!("write a number and a unit in quotes, like `{key} = {wanted}`"),
        };
        return ("wrong-type", format!("`{key}` must be a time span, but it is {}", described(is)), help);
    };
    let help = corrected_span(text).map_or_else(
        || format!("write a number and one of ms, s, min, h, d, w, y, like `{key} = {wanted}`"),
        |s| format!("write `{key} = \"{s}\"`"),
    );
    ("wrong-value", format!("`{key}`: \"{text}\" is not a time span"), help)
}

/// Message and help text for a value of `key` that is not a point in time.
pub(super) fn no_time(key: &str, is: &DeValue<'_>) -> (String, String) {
    match is {
        DeValue::Datetime(t) if t.date.is_some() && t.time.is_some() && t.offset.is_some() => {
            (format!("`{t}` is out of range"), "give a valid date, like `2024-07-15T00:00:00Z`".to_owned())
        }
        DeValue::Datetime(t) if t.date.is_some() => {
            let time = t.time.map_or("T00:00:00", |_| "");
            (
                format!("`{key}` has no time zone{}", if time.is_empty() { "" } else { " and no time" }),
                format!("write `{key} = {t}{time}Z` for UTC"),
            )
        }
        DeValue::String(text) if text.parse::<jiff::Timestamp>().is_ok() => (
            format!("`{key}` must be a time, but it is a string"),
            format!("write it without quotes: `{key} = {text}`"),
        ),
        other => (
            format!("`{key}` must be a time, but it is {}", described(other)),
            format!("write date, time and zone without quotes, like `{key} = 2024-07-15T00:00:00Z`"),
        ),
    }
}

/// Describes the type of a value.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn first_sentence(doc: &str) -> String {
    let doc = doc.replace('\n', " ");
    // an abbreviation such as "e.g." does not end a sentence
    let ends = |at: &usize| !doc[..*at].ends_with("e.g") && !doc[..*at].ends_with("i.e");
    let end = doc.match_indices(". ").map(|(at, _)| at).find(ends).unwrap_or(doc.len());
    doc[..end].trim_end_matches('.').to_owned()
}

/// Returns the time span that the user probably intended, such as `10min` for `10 minutes`.
fn corrected_span(text: &str) -> Option<TimeSpan> {
    let text = text.trim().to_lowercase();
    let cut = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = (text[..cut].trim(), text[cut..].trim());
    let unit = match unit {
        "m" | "mins" | "minute" | "minutes" => "min",
        "sec" | "secs" | "second" | "seconds" => "s",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "week" | "weeks" => "w",
        "year" | "years" | "a" | "yr" => "y",
        other => other,
    };
    format!("{number}{unit}").parse().ok()
}

/// Returns the example value of `key` if it has the right type. The same key can have different types in different
/// tables.
pub(super) fn fitting(key: &str, fits: impl Fn(&DeValue<'_>) -> bool) -> Option<String> {
    let text = example(key)?;
    DeValue::parse(text).is_ok_and(|value| fits(value.get_ref())).then(|| text.to_owned())
}
