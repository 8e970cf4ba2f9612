//! From which data, configuration and program a model came.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::{SignalSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::log::Source;

/// Everything that made a model what it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this program.
    pub crate_version: String,
    /// [`config_hash`] of the `twin.toml` that the model was fitted with.
    pub config_hash: String,
    pub seed: u64,
    /// The files of the log, with their rows and hashes.
    pub sources: Vec<Source>,
    /// Grid rows that the model was fitted on.
    pub training: Vec<Range<usize>>,
    /// Grid rows that no step of fitting saw.
    pub holdout: Vec<Range<usize>>,
    /// End of the data that the model was fitted on: UTC, RFC 3339.
    pub trained_until: String,
}

impl Provenance {
    /// Provenance of a model that is being fitted now.
    pub fn new(
        spec: &TwinSpec,
        sources: Vec<Source>,
        training: Vec<Range<usize>>,
        holdout: Vec<Range<usize>>,
        trained_until: String,
    ) -> Result<Self> {
        Ok(Self {
            crate_version: env!("CARGO_PKG_VERSION").into(),
            config_hash: config_hash(spec)?,
            seed: spec.model.seed.value,
            sources,
            training,
            holdout,
            trained_until,
        })
    }
}

/// BLAKE3, hex, of the part of `twin.toml` that a model depends on: sample time, the signals with their columns, units
/// and equations, the names of the parameters, and `[model]`. Limits, prices, KPIs and forecasts can change without a
/// new fit. Where a residual is learned on top of an equation, the values of the parameters count too.
pub fn config_hash(spec: &TwinSpec) -> Result<String> {
    #[derive(Serialize)]
    struct Part<'a> {
        step_ms: i64,
        signals: Vec<SignalSpec>,
        parameters: Vec<(&'a str, Option<&'a str>, Option<f64>)>,
        model: &'a crate::config::ModelSpec,
    }
    let grey = spec.signals.iter().any(|s| s.residual.as_ref().is_some_and(|r| r.value));
    let part = Part {
        step_ms: spec.step.ms(),
        signals: spec.signals.iter().map(|s| learned_part(&s.value)).collect(),
        parameters: spec
            .parameters
            .iter()
            .map(|(name, p)| {
                (name.as_str(), p.unit.as_ref().map(|u| u.value.as_str()), grey.then_some(p.value.value.value))
            })
            .collect(),
        model: &spec.model,
    };
    let text = serde_json::to_vec(&part).map_err(|e| Error::Internal(format!("configuration as JSON: {e}")))?;
    Ok(blake3::hash(&text).to_hex().to_string())
}

/// A signal without what no model depends on; of a constant only that it is one.
fn learned_part(s: &SignalSpec) -> SignalSpec {
    let mut s = s.clone();
    (s.soft, s.hard, s.max_move, s.multiple, s.forecast) = (None, None, None, None, None);
    (s.min_on, s.min_run, s.min_stop) = (None, None, None);
    if let Some(value) = &mut s.value {
        value.value = 0.0;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(change: impl Fn(&str) -> String) -> TwinSpec {
        toml::from_str(&change(
            r#"
            name = "tank"
            step = "1s"
            log = { files = "log/*.parquet", time = "t" }
            signals = [
              { name = "level", role = "state", unit = "m", soft = [0.0, 1.0] },
              { name = "inflow", role = "control", hard = [0.0, 2.0] },
              { name = "price", role = "disturbance", value = 90.0 },
            ]
            [parameters]
            k = { value = 0.5 }
            "#,
        ))
        .unwrap()
    }

    #[test]
    fn only_what_the_model_depends_on_is_hashed() {
        let same =
            |s: &str| config_hash(&spec(|t| t.replace(s.split('|').next().unwrap(), s.split('|').nth(1).unwrap())));
        let base = config_hash(&spec(str::to_owned)).unwrap();
        for kept in ["soft = [0.0, 1.0]|soft = [0.0, 0.9]", "value = 90.0|value = 95.0", "value = 0.5|value = 0.6"] {
            assert_eq!(same(kept).unwrap(), base, "{kept}");
        }
        for broken in ["\"m\"|\"mm\"", "\"1s\"|\"2s\"", "k = {|q = {", "\"level\"|\"height\""] {
            assert_ne!(same(broken).unwrap(), base, "{broken}");
        }
    }
}
