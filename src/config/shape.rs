//! Structural check of a TOML tree against the JSON Schema of its type.
//!
//! The check walks the whole tree once and reports everything that does not match the schema. Faulty parts are omitted
//! from the tree so that the rest can be deserialised and checked. A misspelt key is read as the key that is probably
//! meant.

mod findings;
mod kind;
mod placeholder;
mod wording;

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::clock::{TimeOfDay, Weekdays, time_of_day_help, weekday_help};
use super::damage::Damage;
use super::span::TimeSpan;
use super::words::{example, noun};
use crate::error::{Fault, nearest};
use findings::Findings;
use kind::{FileSchema, Kind, required};
use placeholder::{placeholder, placeholder_key};
use wording::{fitting, no_span, no_time};

type Node<'i> = Spanned<DeValue<'i>>;
type Key<'i> = Spanned<DeString<'i>>;

/// A position in the TOML tree.
#[derive(Clone, Copy)]
struct Spot<'a> {
    /// The key as it appears in messages: `max_move`, or the name of an entry.
    key: &'a str,
    /// Name that messages use for the value if the value is a table.
    noun: &'a str,
}

pub(super) struct Shape<'s, 'i> {
    schema: FileSchema<'s>,
    findings: Findings<'s>,
    /// Top-level keys that were placed under a `[header]` by mistake.
    strays: Vec<(Key<'i>, Node<'i>)>,
}

impl<'s, 'i> Shape<'s, 'i> {
    pub(super) fn new(schema: &'s Value, file: &'s Path, text: &'s str, damage: Damage) -> Self {
        let findings = Findings { file, text, faults: Vec::new(), damage };
        Self { schema: FileSchema { root: schema }, findings, strays: Vec::new() }
    }

    pub(super) fn into_parts(self) -> (Vec<Fault>, Damage) {
        (self.findings.faults, self.findings.damage)
    }

    /// Returns the tree without the parts that do not match the schema, and with placeholders for missing top-level
    /// keys.
    pub(super) fn fit_root(&mut self, tree: DeTable<'i>) -> DeTable<'i> {
        let title = if self.schema.root["properties"].get("question").is_some() { "ScenarioSpec" } else { "TwinSpec" };
        let noun = noun(title).unwrap_or("the file");
        let schema = self.schema.root;
        let mut fitted = self.fit_keys(schema, noun, tree, &(0..0));
        for (key, node) in std::mem::take(&mut self.strays) {
            if fitted.get(key.get_ref().as_ref()).is_none()
                && let Some(wanted) = schema["properties"].get(key.get_ref().as_ref())
                && let Some(node) = self.fit(wanted, &Spot { key: key.get_ref(), noun }, node)
            {
                fitted.insert(key, node);
            }
        }
        for key in required(schema) {
            if fitted.get(key).is_none() {
                self.findings.missing(self.schema, key, &schema["properties"][key], noun, None);
                fitted.insert(placeholder_key(key), placeholder(self.schema, &schema["properties"][key]));
                self.findings.damage.any = true;
            }
        }
        fitted
    }

    fn fit(&mut self, schema: &'s Value, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let span = node.span();
        match self.schema.kind(schema) {
            Kind::Text if node.get_ref().is_str() => Some(node),
            Kind::Flag if node.get_ref().is_bool() => Some(node),
            Kind::Number => self.fit_number(spot, node),
            Kind::Integer { lowest } => self.fit_integer(lowest, spot, node),
            Kind::Span => self.fit_span(spot, node),
            Kind::TimeOfDay => self.fit_time_of_day(schema, spot, node),
            Kind::Weekdays => self.fit_weekdays(schema, spot, node),
            Kind::Time => self.fit_time(spot, node),
            Kind::List { of, exactly } => self.fit_list(of, exactly, schema, spot, node),
            Kind::Table(table) => {
                let DeValue::Table(_) = node.get_ref() else { return self.wrong(schema, spot, &node) };
                let DeValue::Table(keys) = node.into_inner() else { return None };
                let faults = self.findings.faults.len();
                let fitted = self.fit_keys(table, spot.noun, keys, &span);
                let missing: Vec<&str> = required(table).filter(|key| fitted.get(*key).is_none()).collect();
                for key in &missing {
                    // a required key with an invalid value has already been reported
                    if !self.findings.damage.tables.contains(&span) || self.findings.faults.len() == faults {
                        self.findings.missing(
                            self.schema,
                            key,
                            &table["properties"][*key],
                            spot.noun,
                            Some(span.clone()),
                        );
                    }
                }
                if missing.is_empty() {
                    return Some(Spanned::new(span, DeValue::Table(fitted)));
                }
                self.findings.lose(&fitted, spot.key);
                None
            }
            Kind::Map(of) => {
                let DeValue::Table(_) = node.get_ref() else { return self.wrong(schema, spot, &node) };
                let DeValue::Table(keys) = node.into_inner() else { return None };
                let mut fitted = DeTable::new();
                for (key, value) in keys {
                    let name = key.get_ref().clone();
                    match self.fit(of, &Spot { key: &name, noun: self.schema.noun_of(of, &name) }, value) {
                        Some(value) => {
                            fitted.insert(key, value);
                        }
                        None => {
                            self.findings.damage.names.insert(name.into_owned());
                            self.findings.damage.tables.push(span.clone());
                            self.findings.damage.any = true;
                        }
                    }
                }
                Some(Spanned::new(span, DeValue::Table(fitted)))
            }
            Kind::Choice(variants) => self.fit_choice(&variants, schema, spot, node),
            Kind::Either(schemas) => {
                let fits = schemas.iter().find(|s| self.schema.accepts(s, node.get_ref()));
                match fits {
                    Some(s) => self.fit(s, spot, node),
                    None => self.wrong(schema, spot, &node),
                }
            }
            _ => self.wrong(schema, spot, &node),
        }
    }

    /// Returns the valid keys of a table. The caller has to handle missing required keys.
    fn fit_keys(&mut self, schema: &'s Value, noun: &str, keys: DeTable<'i>, table: &Range<usize>) -> DeTable<'i> {
        let none = serde_json::Map::new();
        let known = schema["properties"].as_object().map_or(&none, |p| p);
        let present: Vec<String> = keys.keys().map(|k| k.get_ref().to_string()).collect();
        let mut fitted = DeTable::new();
        for (key, value) in keys {
            let name = key.get_ref().clone();
            if let Some(wanted) = schema["properties"].get(name.as_ref()) {
                let noun = self.schema.noun_of(wanted, &name);
                match self.fit(wanted, &Spot { key: &name, noun }, value) {
                    Some(value) => {
                        fitted.insert(key, value);
                    }
                    None => self.findings.damaged(table),
                }
                continue;
            }
            let free = known.keys().map(String::as_str);
            let meant = nearest(&name, free).map(str::to_owned);
            let at_root = std::ptr::eq(schema, self.schema.root);
            if !at_root && self.schema.root["properties"].get(name.as_ref()).is_some() && meant.is_none() {
                let message = format!("`{name}` is a top-level key, but here it is under a header");
                let help = format!("move `{name} = …` above the first `[header]` of the file");
                self.findings.report("misplaced-key", key.span(), message, help);
                self.strays.push((key, value));
                continue;
            }
            let help =
                self.schema.help_for_unknown(known, &name, meant.as_deref(), &present, !at_root || table.is_empty());
            self.findings.report("unknown-key", key.span(), format!("`{name}` is not a key of {noun}"), help);
            match meant {
                // continue as if the key were spelt correctly
                Some(meant) if !present.contains(&meant) && fitted.get(meant.as_str()).is_none() => {
                    let wanted = &schema["properties"][meant.as_str()];
                    let noun = self.schema.noun_of(wanted, &meant);
                    match self.fit(wanted, &Spot { key: &meant, noun }, value) {
                        Some(value) => {
                            fitted.insert(Spanned::new(key.span(), Cow::Owned(meant)), value);
                        }
                        None => self.findings.damaged(table),
                    }
                }
                _ => self.findings.damaged(table),
            }
        }
        fitted
    }

    fn fit_number(&mut self, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let value = match node.get_ref() {
            DeValue::Float(f) => f.as_str().parse().unwrap_or(f64::NAN),
            DeValue::Integer(_) => 0.0,
            DeValue::String(text) if text.trim().parse::<f64>().is_ok() => {
                let help = format!("write it without quotes: `{} = {}`", spot.key, text.trim());
                let message = format!("`{}` must be a number, but it is a string", spot.key);
                self.findings.report("wrong-type", node.span(), message, help);
                return None;
            }
            other => {
                let fits = |e: &DeValue<'_>| e.is_float() || e.is_integer();
                self.findings.mismatch("a number", fitting(spot.key, fits), spot.key, node.span(), other);
                return None;
            }
        };
        if value.is_nan() || (value.is_infinite() && !["soft", "hard", "valid"].contains(&spot.key)) {
            let help = format!("write a finite number, e.g. `{}`", example(spot.key).unwrap_or("1.5"));
            self.findings.report("wrong-value", node.span(), format!("`{}` must be a finite number", spot.key), help);
            return None;
        }
        Some(node)
    }

    fn fit_integer(&mut self, lowest: Option<i64>, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let DeValue::Integer(digits) = node.get_ref() else {
            let sample = fitting(spot.key, |e| e.is_integer());
            self.findings.mismatch("a whole number", sample, spot.key, node.span(), node.get_ref());
            return None;
        };
        let value = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let highest = if lowest.is_none() { i64::from(i32::MAX) } else { i64::MAX };
        if value.is_some_and(|v| v >= lowest.unwrap_or(i64::from(i32::MIN)) && v <= highest) {
            return Some(node);
        }
        let bound =
            lowest.map_or_else(|| format!("between {} and {}", i32::MIN, i32::MAX), |l| format!("of at least {l}"));
        let help = format!("write a whole number {bound}, e.g. `{} = {}`", spot.key, example(spot.key).unwrap_or("1"));
        let message = format!("`{}` must be a whole number {bound}", spot.key);
        self.findings.report("wrong-value", node.span(), message, help);
        None
    }

    fn fit_span(&mut self, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let (code, what, help) = match node.get_ref() {
            DeValue::String(text) if text.parse::<TimeSpan>().is_ok() => return Some(node),
            other => no_span(spot.key, other),
        };
        self.findings.report(code, node.span(), what, help);
        None
    }

    fn fit_time_of_day(&mut self, schema: &'s Value, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let Some(text) = node.get_ref().as_str() else { return self.wrong(schema, spot, &node) };
        let Err(message) = text.parse::<TimeOfDay>() else { return Some(node) };
        let help = time_of_day_help(spot.key, text);
        self.findings.report("wrong-value", node.span(), message, help);
        None
    }

    fn fit_weekdays(&mut self, schema: &'s Value, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let Some(text) = node.get_ref().as_str() else { return self.wrong(schema, spot, &node) };
        let Err(word) = text.parse::<Weekdays>() else { return Some(node) };
        let help = weekday_help(&word);
        self.findings.report("wrong-value", node.span(), format!("`{word}` is not a day of the week"), help);
        None
    }

    fn fit_time(&mut self, spot: &Spot<'_>, node: Node<'i>) -> Option<Node<'i>> {
        let whole = |t: &toml::value::Datetime| t.date.is_some() && t.time.is_some() && t.offset.is_some();
        if let DeValue::Datetime(t) = node.get_ref()
            && whole(t)
            && t.to_string().parse::<jiff::Timestamp>().is_ok()
        {
            return Some(node);
        }
        let (what, help) = no_time(spot.key, node.get_ref());
        self.findings.report("wrong-type", node.span(), what, help);
        None
    }

    fn fit_list(
        &mut self,
        of: &'s Value,
        exactly: Option<usize>,
        schema: &'s Value,
        spot: &Spot<'_>,
        node: Node<'i>,
    ) -> Option<Node<'i>> {
        let span = node.span();
        let DeValue::Array(list) = node.get_ref() else {
            if exactly.is_none() && self.schema.accepts(of, node.get_ref()) {
                let raw =
                    self.findings.text.get(span.clone()).filter(|r| r.len() < 60 && !r.contains('\n')).unwrap_or("…");
                let help = format!("write it as a list of one: `{} = [{raw}]`", spot.key);
                self.findings.report("wrong-type", span, format!("`{}` must be a list", spot.key), help);
                return None;
            }
            return self.wrong(schema, spot, &node);
        };
        if let Some(n) = exactly.filter(|n| *n != list.len()) {
            let sample = self.schema.sample(schema, spot.key).unwrap_or_else(|| "[…, …]".into());
            let numbers = matches!(self.schema.kind(of), Kind::Number);
            let what = format!("`{}` must have {n} values, but it has {}", spot.key, list.len());
            let ends = if numbers { "; use `-inf` or `inf` for no limit" } else { "" };
            let help = format!("write {n} values, like `{} = {sample}`{ends}", spot.key);
            self.findings.report("wrong-value", span, what, help);
            return None;
        }
        let DeValue::Array(list) = node.into_inner() else { return None };
        let before = list.len();
        let item_noun = self.schema.noun_of(of, spot.key);
        let item = Spot { key: spot.key, noun: item_noun };
        let mut fitted = Vec::with_capacity(before);
        for value in list {
            if let Some(value) = self.fit(of, &item, value) {
                fitted.push(value);
            }
        }
        if fitted.len() < before {
            self.findings.damage.tables.push(span.clone());
            self.findings.damage.any = true;
            if exactly.is_some() {
                return None;
            }
        }
        Some(Spanned::new(span, DeValue::Array(fitted.into_iter().collect())))
    }

    fn fit_choice(
        &mut self,
        variants: &[(&'s str, Option<&'s Value>)],
        schema: &'s Value,
        spot: &Spot<'_>,
        node: Node<'i>,
    ) -> Option<Node<'i>> {
        let span = node.span();
        let written = |tag: &str, inner: Option<&Value>| match inner {
            None => format!("`{} = \"{tag}\"`", spot.key),
            Some(_) => format!("`{} = {{ {tag} = {} }}`", spot.key, example(tag).unwrap_or("{ … }")),
        };
        let known = || variants.iter().map(|(tag, _)| format!("`{tag}`")).collect::<Vec<_>>().join(", ");
        match node.get_ref() {
            DeValue::String(text) => {
                let text = text.clone();
                match variants.iter().find(|(tag, _)| *tag == text) {
                    Some((_, None)) => Some(node),
                    Some((tag, Some(inner))) if matches!(self.schema.kind(inner), Kind::Table(settings) if required(settings).next().is_none()) =>
                    {
                        let settings = Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
                        let mut table = DeTable::new();
                        table.insert(Spanned::new(span.clone(), Cow::Owned((*tag).to_owned())), settings);
                        Some(Spanned::new(span, DeValue::Table(table)))
                    }
                    Some((tag, inner)) => {
                        let what = format!("`{tag}` needs settings; its name alone is not enough");
                        self.findings.report("wrong-type", span, what, format!("write {}", written(tag, *inner)));
                        None
                    }
                    None => {
                        let meant = nearest(&text, variants.iter().map(|(tag, _)| *tag));
                        let help = match meant.and_then(|m| variants.iter().find(|(tag, _)| *tag == m)) {
                            Some((tag, inner)) => format!("did you mean {}?", written(tag, *inner)),
                            None => format!("use one of {}", known()),
                        };
                        let what = format!("\"{text}\" is not one of the choices of `{}`", spot.key);
                        self.findings.report("unknown-choice", span.clone(), what, help);
                        let meant = variants.iter().find(|(tag, inner)| Some(*tag) == meant && inner.is_none())?;
                        Some(Spanned::new(span, DeValue::String(Cow::Owned(meant.0.to_owned()))))
                    }
                }
            }
            DeValue::Table(table) if table.len() == 1 => {
                let DeValue::Table(table) = node.into_inner() else { return None };
                let (key, value) = table.into_iter().next()?;
                self.fit_variant(variants, spot, span, key, value, &known())
            }
            DeValue::Table(table) if table.is_empty() => {
                let what = format!("`{}` is empty, but a choice is required", spot.key);
                self.findings.report("missing-key", span, what, format!("use one of {}", known()));
                None
            }
            DeValue::Table(table) => {
                let extra: Vec<&Key<'i>> = table.keys().collect();
                let several = extra.iter().filter(|k| variants.iter().any(|(tag, _)| *tag == k.get_ref())).count();
                let (place, what, help) = match extra.iter().find(|k| ["kind", "type"].contains(&k.get_ref().as_ref()))
                {
                    Some(kind) => {
                        let tag =
                            table.get(kind.get_ref().as_ref()).and_then(|v| v.get_ref().as_str()).unwrap_or("hold");
                        let help = format!("use the choice as the key: `{} = {{ {tag} = {{ … }} }}`", spot.key);
                        (kind.span(), format!("`{}` is not a valid key here", kind.get_ref()), help)
                    }
                    None if several > 1 => (
                        extra.get(1).map_or(span.clone(), |k| k.span()),
                        format!("`{}` must have one choice, but it has {}", spot.key, extra.len()),
                        "keep one choice; to compare several choices, add one case for each choice".to_owned(),
                    ),
                    None => (
                        extra
                            .iter()
                            .find(|k| !variants.iter().any(|(tag, _)| *tag == k.get_ref()))
                            .map_or(span.clone(), |k| k.span()),
                        format!("{} must have one key, but it has {}", spot.noun, extra.len()),
                        format!("keep exactly one of {}", known()),
                    ),
                };
                self.findings.report("wrong-type", place, what, help);
                let table = match node.into_inner() {
                    DeValue::Table(t) => t,
                    _ => return None,
                };
                // continue with the first key that is one of the choices
                let (key, value) =
                    table.into_iter().find(|(k, _)| variants.iter().any(|(tag, _)| *tag == k.get_ref()))?;
                self.fit_variant(variants, spot, span, key, value, &known())
            }
            DeValue::Integer(n) if variants.iter().any(|(tag, _)| *tag == n.as_str()) => {
                let help = format!("write it in quotes: `{} = \"{}\"`", spot.key, n.as_str());
                let message = format!("`{}` must be a string, but it is a number", spot.key);
                self.findings.report("wrong-type", span, message, help);
                None
            }
            _ => self.wrong(schema, spot, &node),
        }
    }

    fn fit_variant(
        &mut self,
        variants: &[(&'s str, Option<&'s Value>)],
        spot: &Spot<'_>,
        span: Range<usize>,
        key: Key<'i>,
        value: Node<'i>,
        known: &str,
    ) -> Option<Node<'i>> {
        let tag = key.get_ref().clone();
        let mut found = variants.iter().find(|(t, _)| *t == tag);
        if found.is_none()
            && ["kind", "type"].contains(&tag.as_ref())
            && let Some(word) = value.get_ref().as_str()
        {
            let help = format!(
                "use the choice as the key: `{} = {{ {word} = {} }}`",
                spot.key,
                example(word).unwrap_or("{ … }")
            );
            self.findings.report("wrong-type", key.span(), format!("`{tag}` is not a valid key here"), help);
            return None;
        }
        if found.is_none() {
            let meant = nearest(&tag, variants.iter().map(|(t, _)| *t));
            let help = meant.map_or_else(|| format!("use one of {known}"), |m| format!("did you mean `{m}`?"));
            let noun = if spot.noun == spot.key { format!("`{}`", spot.key) } else { spot.noun.to_owned() };
            let message = format!("`{tag}` is not one of the choices of {noun}");
            self.findings.report("unknown-choice", key.span(), message, help);
            found = variants.iter().find(|(t, _)| Some(*t) == meant);
        }
        let (tag, inner) = found?;
        let Some(inner) = inner else {
            let help = format!("write `{} = \"{tag}\"`", spot.key);
            self.findings.report("wrong-type", span, format!("`{tag}` has no settings"), help);
            return None;
        };
        let noun = self.schema.noun_of(inner, tag);
        let quoted = format!("`{tag}`");
        let noun = if noun == *tag { quoted.as_str() } else { noun };
        let fitted = self.fit(inner, &Spot { key: tag, noun }, value)?;
        let mut table = DeTable::new();
        table.insert(Spanned::new(key.span(), Cow::Owned((*tag).to_owned())), fitted);
        Some(Spanned::new(span, DeValue::Table(table)))
    }

    /// Reports that `node` does not match `schema`.
    fn wrong(&mut self, schema: &'s Value, spot: &Spot<'_>, node: &Node<'i>) -> Option<Node<'i>> {
        let wanted = self.schema.wanted(schema);
        let sample = self.schema.sample(schema, spot.key);
        self.findings.mismatch(&wanted, sample, spot.key, node.span(), node.get_ref());
        None
    }
}
