//! Time spans, as users write them: `10min`, `4h`, `7d`, `10y`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time span in milliseconds. A year is 365 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(i64);

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl TimeSpan {
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn ms(self) -> i64 {
        self.0
    }

    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// Duration of `steps` steps of `step_ms` milliseconds each.
    pub fn from_steps(steps: usize, step_ms: i64) -> Self {
        Self::from_ms(i64::try_from(steps).unwrap_or(i64::MAX).saturating_mul(step_ms))
    }

    /// Smallest number of steps whose total length is at least this time span.
    pub fn steps_up(self, step: Self) -> usize {
        let step = step.0.max(1);
        usize::try_from((self.0 + step - 1).div_euclid(step)).unwrap_or(0)
    }

    /// Number of steps in this time span, rounded to the nearest integer and at least `least`.
    pub fn steps(self, step: Self, least: usize) -> usize {
        let n = (self.0 + step.0 / 2) / step.0.max(1);
        usize::try_from(n).unwrap_or(0).max(least)
    }
}

impl FromStr for TimeSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let cut = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..cut], text[cut..].trim());
        let bad = || {
            format!("`{text}` is not a time span; write a number followed by ms, s, min, h, d, w or y, like `10min`")
        };
        let value: f64 = number.parse().map_err(|_| bad())?;
        let (_, ms) = UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(bad)?;
        let ms = value * *ms as f64;
        if !(0.0..=3.2e13).contains(&ms) || (ms > 0.0 && ms < 1.0) {
            return Err(format!("`{text}` is out of range; a time span is between 1ms and 1000y"));
        }
        Ok(Self(ms.round() as i64))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(u, ms)| *u != "w" && self.0 != 0 && self.0 % ms == 0);
        match exact {
            Some((unit, ms)) => write!(f, "{}{unit}", self.0 / ms),
            None => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeSpan".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|min|h|d|w|y)$",
            "description": "A time span: `10min`, `4h`, `7d`, `10y`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_parsed_and_printed() {
        for text in ["10min", "4h", "7d", "10y", "90s", "500ms"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
        assert_eq!("1.5h".parse::<TimeSpan>().unwrap().to_string(), "90min");
        assert!("10 minutes".parse::<TimeSpan>().is_err());
        assert!("-3h".parse::<TimeSpan>().is_err());
    }

    #[test]
    fn minimum_times_are_rounded_up_to_whole_steps() {
        let step = TimeSpan::from_ms(900_000);
        let spans = ["0s", "1ms", "15min", "20min", "30min", "30.01min", "45min"];
        let steps =
            spans.map(|text| text.parse::<TimeSpan>().unwrap()).map(|span| (span.steps(step, 0), span.steps_up(step)));
        assert_eq!(steps, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]);
    }
}
