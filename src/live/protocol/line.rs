//! Parses one line of the protocol leniently: every fault becomes a flag, and a faulty line never ends the loop.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::flag::{Flag, FlagKind};

/// Maximum length of a line that is read, in bytes (not tuned). A line that is longer than this limit is answered, but
/// its content is ignored.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Largest line number. Above 2^53 ≈ 9e15, an `f64` cannot represent every integer.
const MAX_LINE_NUMBER: f64 = 9e15;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The plant's description of itself.
    Describe(Map<String, Value>),
    /// The values that the plant sends in one line.
    Sample(Sample),
    End,
}

/// The values that the plant sends in one line. A table that is missing from the line is treated as empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub k: Option<i64>,
    pub time: Option<Timestamp>,
    /// Values measured at the time of the line.
    pub obs: Map<String, Value>,
    /// KPIs of the interval that has just ended.
    pub kpi: Map<String, Value>,
    /// The control values that the plant's own controller would apply now.
    pub baseline: Map<String, Value>,
    /// The control values in force during the interval that has just ended.
    pub applied: Map<String, Value>,
}

impl Sample {
    /// Returns `true` if the line reports nothing about an earlier interval, as is the case for the first line of a
    /// run.
    pub fn is_fresh(&self) -> bool {
        !self.obs.is_empty() && self.kpi.is_empty() && self.applied.is_empty()
    }
}

impl Line {
    /// Parses `bytes`, which contain no newline, and adds a flag for every fault to `flags`.
    pub fn parse(bytes: &[u8], flags: &mut Vec<Flag>) -> Self {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            flags.push(Flag::line(FlagKind::Utf8));
        }
        if text.trim().is_empty() {
            flags.push(Flag::line(FlagKind::Blank));
            return Self::Sample(Sample::default());
        }
        let Some(mut object) = parse_object(&text) else {
            flags.push(Flag::line(FlagKind::Json));
            return Self::Sample(Sample::default());
        };
        if let Some(describe) = object.remove("describe") {
            return Self::Describe(match describe {
                Value::Object(map) => map,
                _ => Map::new(),
            });
        }
        if object.contains_key("end") {
            return Self::End;
        }
        let mut table = |key: &str, required: bool| match object.remove(key) {
            Some(Value::Object(map)) => map,
            Some(Value::Null) | None if !required => Map::new(),
            _ => {
                flags.push(if required { Flag::line(FlagKind::NoObs) } else { Flag::value(FlagKind::Type, key) });
                Map::new()
            }
        };
        let (obs, kpi) = (table("obs", true), table("kpi", false));
        let (baseline, applied) = (table("baseline", false), table("applied", false));
        let k = object.get("k").and_then(line_number);
        if k.is_none() {
            flags.push(Flag::line(FlagKind::NoK));
        }
        let time = match object.get("time") {
            None | Some(Value::Null) => None,
            Some(time) => {
                let parsed = time.as_str().and_then(|t| t.parse().ok());
                flags.extend(parsed.is_none().then(|| Flag::line(FlagKind::Time)));
                parsed
            }
        };
        Self::Sample(Sample { k, time, obs, kpi, baseline, applied })
    }
}

fn parse_object(text: &str) -> Option<Map<String, Value>> {
    let parse = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    };
    parse(text).or_else(|| parse(&nan_to_null(text)))
}

/// Replaces `NaN` and `Infinity` by `null`. Python writes `NaN` and `Infinity`, which are not valid JSON.
fn nan_to_null(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !in_string && rest.starts_with(w));
        if let Some(word) = word {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Returns `value` if it is a non-negative integer up to [`MAX_LINE_NUMBER`].
fn line_number(value: &Value) -> Option<i64> {
    let v = value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=MAX_LINE_NUMBER).contains(v))?;
    Some(v as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &[u8]) -> Vec<String> {
        let mut flags = Vec::new();
        Line::parse(text, &mut flags);
        flags.iter().map(Flag::text).collect()
    }

    #[test]
    fn every_fault_of_a_line_becomes_a_flag() {
        assert_eq!(flags(br#"{"k":3,"obs":{"x":1}}"#), [""; 0]);
        assert_eq!(flags(b"  "), ["blank"]);
        assert_eq!(flags(br#"{"k":3,"obs":{"x""#), ["json"]);
        assert_eq!(flags(b"[1,2]"), ["json"]);
        assert_eq!(flags(b"{\"k\":3,\"obs\":{\"\xff\":1}}"), ["utf8"]);
        assert_eq!(flags(br#"{"k":-1,"obs":[1],"kpi":7,"time":"noon"}"#), ["no_obs", "type:kpi", "no_k", "time"]);
        assert_eq!(flags(&[b'['; 100_000]), ["json"]);
    }

    #[test]
    fn nan_from_python_is_a_missing_value() {
        let mut flags = Vec::new();
        let line = Line::parse(br#"{"k":1.0,"obs":{"NaN \" NaN":NaN,"y":-Infinity,"z":2}}"#, &mut flags);
        let Line::Sample(sample) = line else { panic!("{line:?}") };
        assert_eq!(sample.k, Some(1));
        assert_eq!(Value::Object(sample.obs), serde_json::json!({ "NaN \" NaN": null, "y": null, "z": 2 }));
        assert_eq!(flags, []);
    }
}
