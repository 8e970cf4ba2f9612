//! Placeholders for missing values.

use std::borrow::Cow;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::kind::{FileSchema, Kind, required};

/// Returns a placeholder for a missing value. The placeholder matches `schema` and has the byte range `0..0`.
pub(super) fn placeholder<'i>(file: FileSchema<'_>, schema: &Value) -> Spanned<DeValue<'i>> {
    let value = match file.kind(schema) {
        Kind::Span => DeValue::String(Cow::Borrowed("1h")),
        Kind::Time => DeValue::Datetime(toml::value::Datetime {
            date: Some(toml::value::Date { year: 1970, month: 1, day: 1 }),
            time: Some(toml::value::Time { hour: 0, minute: 0, second: Some(0), nanosecond: None }),
            offset: Some(toml::value::Offset::Z),
        }),
        Kind::List { .. } => DeValue::Array(std::iter::empty().collect()),
        Kind::Map(_) => DeValue::Table(DeTable::new()),
        Kind::Table(table) => {
            let mut keys = DeTable::new();
            for key in required(table) {
                keys.insert(placeholder_key(key), placeholder(file, &table["properties"][key]));
            }
            DeValue::Table(keys)
        }
        Kind::Either(several) if !several.is_empty() => return placeholder(file, several[0]),
        _ => DeValue::String(Cow::Borrowed("")),
    };
    Spanned::new(0..0, value)
}

pub(super) fn placeholder_key<'i>(key: &str) -> Spanned<DeString<'i>> {
    Spanned::new(0..0, Cow::Owned(key.to_owned()))
}
