//! One line of the protocol, read leniently: whatever is wrong with it becomes a flag, never an end.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest line that is read; of a longer one nothing is.
pub const LONGEST: usize = 1 << 20;
/// Largest number that a line may have: beyond it not all whole numbers are numbers of the computer.
const LAST_K: f64 = 9e15;

/// Something that is wrong with a line or a value in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flag {
    /// Stable short word: `json`, `utf8`, `blank`, `too_long`, `no_k`, `old_k`, `gap`, `restart`, `describe`, `no_obs`,
    /// `time`, `stale`, `missing`, `type`, `absurd`, `invalid`, `stuck`, `unknown`.
    pub kind: &'static str,
    /// Of which signal, as the line names it; empty: of the line.
    pub name: String,
}

impl Flag {
    pub fn line(kind: &'static str) -> Self {
        Self { kind, name: String::new() }
    }

    pub fn of(kind: &'static str, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// `kind` or `kind:name`.
    pub fn text(&self) -> String {
        if self.name.is_empty() { self.kind.to_owned() } else { format!("{}:{}", self.kind, self.name) }
    }
}

/// A line, as far as it can be understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// What the plant says of itself.
    Describe(Map<String, Value>),
    /// A moment of the plant.
    Sample(Sample),
    End,
}

/// What the plant shows at one moment; empty where the line has nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub k: Option<i64>,
    pub time: Option<Timestamp>,
    /// Measured now.
    pub obs: Map<String, Value>,
    /// Realised over the interval that has just ended.
    pub kpi: Map<String, Value>,
    /// What the plant's own controller would do.
    pub baseline: Map<String, Value>,
    /// Controls that were really in force over the interval that has just ended.
    pub applied: Map<String, Value>,
}

impl Sample {
    /// Whether it tells of no step before it, like the first one of a run.
    pub fn fresh(&self) -> bool {
        !self.obs.is_empty() && self.kpi.is_empty() && self.applied.is_empty()
    }
}

impl Line {
    /// Reads `bytes` (without the line end); what is wrong goes to `flags`.
    pub fn read(bytes: &[u8], flags: &mut Vec<Flag>) -> Self {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            flags.push(Flag::line("utf8"));
        }
        if text.trim().is_empty() {
            flags.push(Flag::line("blank"));
            return Self::Sample(Sample::default());
        }
        let Some(mut object) = object(&text) else {
            flags.push(Flag::line("json"));
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
        let mut table = |key: &str, needed: bool| match object.remove(key) {
            Some(Value::Object(map)) => map,
            Some(Value::Null) | None if !needed => Map::new(),
            _ => {
                flags.push(if needed { Flag::line("no_obs") } else { Flag::of("type", key) });
                Map::new()
            }
        };
        let (obs, kpi) = (table("obs", true), table("kpi", false));
        let (baseline, applied) = (table("baseline", false), table("applied", false));
        let k = object.get("k").and_then(whole);
        if k.is_none() {
            flags.push(Flag::line("no_k"));
        }
        let time = match object.get("time") {
            None | Some(Value::Null) => None,
            Some(time) => {
                let read = time.as_str().and_then(|t| t.parse().ok());
                flags.extend(read.is_none().then(|| Flag::line("time")));
                read
            }
        };
        Self::Sample(Sample { k, time, obs, kpi, baseline, applied })
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    let read = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    };
    read(text).or_else(|| read(&without_nan(text)))
}

/// `NaN` and `Infinity`, which JSON does not have and Python writes, as `null`.
fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !inside && rest.starts_with(w));
        if let Some(word) = word {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// A number of a line: whole, not negative.
fn whole(value: &Value) -> Option<i64> {
    let v = value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=LAST_K).contains(v))?;
    Some(v as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &[u8]) -> Vec<String> {
        let mut flags = Vec::new();
        Line::read(text, &mut flags);
        flags.iter().map(Flag::text).collect()
    }

    #[test]
    fn what_is_wrong_becomes_a_flag() {
        assert_eq!(flags(br#"{"k":3,"obs":{"x":1}}"#), [""; 0]);
        assert_eq!(flags(b"  "), ["blank"]);
        assert_eq!(flags(br#"{"k":3,"obs":{"x""#), ["json"]);
        assert_eq!(flags(b"[1,2]"), ["json"]);
        assert_eq!(flags(b"{\"k\":3,\"obs\":{\"\xff\":1}}"), ["utf8"]);
        assert_eq!(flags(br#"{"k":-1,"obs":[1],"kpi":7,"time":"noon"}"#), ["no_obs", "type:kpi", "no_k", "time"]);
        assert_eq!(flags(&[b'['; 100_000]), ["json"]);
    }

    #[test]
    fn pythons_nan_is_a_missing_value() {
        let mut flags = Vec::new();
        let line = Line::read(br#"{"k":1.0,"obs":{"NaN \" NaN":NaN,"y":-Infinity,"z":2}}"#, &mut flags);
        let Line::Sample(sample) = line else { panic!("{line:?}") };
        assert_eq!(sample.k, Some(1));
        assert_eq!(Value::Object(sample.obs), serde_json::json!({ "NaN \" NaN": null, "y": null, "z": 2 }));
        assert_eq!(flags, []);
    }
}
