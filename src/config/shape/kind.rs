//! Kinds of values that a JSON Schema can describe.

use serde_json::Value;
use toml::de::DeValue;

/// What a schema requires.
pub(super) enum Kind<'s> {
    Text,
    Time,
    Span,
    TimeOfDay,
    Weekdays,
    Number,
    Integer {
        lowest: Option<i64>,
    },
    Flag,
    List {
        of: &'s Value,
        exactly: Option<usize>,
    },
    Table(&'s Value),
    /// A table whose keys are names chosen by the user.
    Map(&'s Value),
    /// An enum whose values are words or tables with one key.
    Choice(Vec<(&'s str, Option<&'s Value>)>),
    /// Any of several schemas.
    Either(Vec<&'s Value>),
}

/// The JSON Schema of a file, with the definitions that `$ref`s refer to.
#[derive(Clone, Copy)]
pub(super) struct FileSchema<'s> {
    pub root: &'s Value,
}

impl<'s> FileSchema<'s> {
    /// Returns the definition that `schema` refers to, or `schema` itself if it contains no reference.
    pub(super) fn resolve(self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        while let Some(name) = definition(schema) {
            schema = &self.root["$defs"][name];
        }
        schema
    }

    pub(super) fn kind(self, schema: &'s Value) -> Kind<'s> {
        match definition(schema) {
            Some("TimeSpan") => return Kind::Span,
            Some("TimeOfDay") => return Kind::TimeOfDay,
            Some("Weekdays") => return Kind::Weekdays,
            _ => {}
        }
        let schema = self.resolve(schema);
        if let Some(words) = schema["enum"].as_array() {
            return Kind::Choice(words.iter().filter_map(|w| Some((w.as_str()?, None))).collect());
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            let mut list: Vec<(&str, Option<&Value>)> = Vec::new();
            for choice in variants.iter().flat_map(choices) {
                // a choice may be given as a single word or as a table of the same name, so each name is listed once
                if !list.iter().any(|(tag, _)| *tag == choice.0) {
                    list.push(choice);
                }
            }
            return Kind::Choice(list);
        }
        if let Some(several) = schema["anyOf"].as_array() {
            let several: Vec<&Value> = several.iter().filter(|s| s["type"] != "null").collect();
            return match several[..] {
                [one] => self.kind(one),
                _ => Kind::Either(several),
            };
        }
        let named = match &schema["type"] {
            Value::Array(names) => names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or(""),
            name => name.as_str().unwrap_or(""),
        };
        match named {
            "number" => Kind::Number,
            "integer" => Kind::Integer { lowest: schema["minimum"].as_i64() },
            "boolean" => Kind::Flag,
            "array" => Kind::List {
                of: &schema["items"],
                exactly: schema["minItems"].as_u64().and_then(|n| usize::try_from(n).ok()),
            },
            "object" if schema["additionalProperties"].is_object() => Kind::Map(&schema["additionalProperties"]),
            "object" => Kind::Table(schema),
            _ if schema["format"] == "date-time" => Kind::Time,
            _ => Kind::Text,
        }
    }

    /// Whether the type of `value` matches `schema`. The contents of lists and tables are not checked.
    pub(super) fn accepts(self, schema: &'s Value, value: &DeValue<'_>) -> bool {
        match self.kind(schema) {
            Kind::Text | Kind::Span | Kind::TimeOfDay | Kind::Weekdays => value.is_str(),
            Kind::Time => value.is_datetime(),
            Kind::Number => value.is_float() || value.is_integer(),
            Kind::Integer { .. } => value.is_integer(),
            Kind::Flag => value.is_bool(),
            Kind::List { .. } => value.is_array(),
            Kind::Table(_) | Kind::Map(_) => value.is_table(),
            Kind::Choice(_) => value.is_str() || value.is_table(),
            Kind::Either(several) => several.iter().any(|s| self.accepts(s, value)),
        }
    }
}

/// Returns the name of the definition that a schema refers to.
pub(super) fn definition(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

pub(super) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the values that one element of an enum's `oneOf` allows: words, or tags with the schemas of their tables.
fn choices(variant: &Value) -> Vec<(&str, Option<&Value>)> {
    if let Some(word) = variant["const"].as_str() {
        return vec![(word, None)];
    }
    if let Some(words) = variant["enum"].as_array() {
        return words.iter().filter_map(|w| Some((w.as_str()?, None))).collect();
    }
    let tables = variant["properties"].as_object().into_iter().flatten();
    tables.map(|(tag, inner)| (tag.as_str(), Some(inner))).collect()
}
