//! The plant's description of itself, which is the first line of the protocol.

use serde_json::{Map, Value};

use crate::config::TimeSpan;
use crate::error::{Error, Result};
use crate::schema::Bounds;

/// Maximum number of KPIs that are recorded (not tuned).
const MAX_KPIS: usize = 64;

/// The parts of a plant's description that twinopt reads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// Seconds between lines.
    pub dt_seconds: Option<f64>,
    /// Names of states, disturbances, set-points and controls.
    pub names: Vec<String>,
    pub kpis: Vec<String>,
    /// The range that the plant accepts for each control, in the unit of its column.
    pub ranges: Vec<(String, Bounds)>,
}

/// How the lines of the plant relate to the steps of the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds between lines.
    pub dt_ms: i64,
    pub lines_per_step: i64,
}

impl Description {
    pub fn parse(map: &Map<String, Value>) -> Self {
        let names = |key: &str| -> Vec<String> {
            match map.get(key) {
                Some(Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
                Some(Value::Object(map)) => map.keys().cloned().collect(),
                _ => Vec::new(),
            }
        };
        let range = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([a, b]) => {
                let (a, b) = (a.as_f64()?, b.as_f64()?);
                Some(Bounds { low: a.min(b), high: a.max(b) })
            }
            _ => None,
        };
        let controls = map.get("controls").and_then(Value::as_object);
        Self {
            dt_seconds: map.get("dt_seconds").and_then(Value::as_f64),
            names: ["states", "disturbances", "setpoints", "controls"].map(names).concat(),
            kpis: names("kpis").into_iter().take(MAX_KPIS).collect(),
            ranges: controls.into_iter().flatten().filter_map(|(n, v)| Some((n.clone(), range(v)?))).collect(),
        }
    }

    /// Returns how many lines make up one step of `step_ms` milliseconds.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if the step is not a whole multiple of the plant's sample time.
    pub fn pace(&self, step_ms: i64) -> Result<Pace> {
        let Some(dt) = self.dt_seconds else { return Ok(Pace { dt_ms: step_ms, lines_per_step: 1 }) };
        let ms = (dt * 1e3).round();
        let ratio = step_ms as f64 / ms;
        if ms >= 1.0 && ratio >= 1.0 && (ratio - ratio.round()).abs() < 1e-9 {
            return Ok(Pace { dt_ms: ms as i64, lines_per_step: ratio.round() as i64 });
        }
        Err(Error::Data(format!(
            "the plant's sample time of {dt} s does not divide the twin's step of {}; fit the twin with a step that is a \
             whole multiple of the sample time",
            TimeSpan::from_ms(step_ms)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: Value) -> Description {
        Description::parse(value.as_object().unwrap())
    }

    #[test]
    fn every_key_of_a_description_is_optional() {
        assert_eq!(parse(serde_json::json!({ "states": 7, "controls": null })), Description::default());
        let d = parse(serde_json::json!({ "controls": { "u": [5, 1], "v": [1], "w": ["a", 2] }, "states": ["x", 3] }));
        assert_eq!(d.names, ["x", "u", "v", "w"]);
        assert_eq!(d.ranges, [("u".to_owned(), Bounds { low: 1.0, high: 5.0 })]);
        assert_eq!(d.pace(5_000).unwrap(), Pace { dt_ms: 5_000, lines_per_step: 1 });
    }

    #[test]
    fn a_sample_time_that_does_not_divide_the_step_is_refused() {
        let pace = |dt: f64| Description { dt_seconds: Some(dt), ..Description::default() }.pace(5_000);
        assert_eq!(pace(1.0).unwrap(), Pace { dt_ms: 1_000, lines_per_step: 5 });
        assert_eq!(pace(5.0).unwrap(), Pace { dt_ms: 5_000, lines_per_step: 1 });
        for dt in [2.0, 10.0, 0.0, -1.0, 1e300] {
            assert!(pace(dt).is_err(), "{dt}");
        }
    }
}
