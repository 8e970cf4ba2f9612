//! The provenance of a model: data, configuration and program version.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::{LogSpec, SignalSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::log::SourceFile;

/// The data, the configuration and the program version with which a model was fitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program that fitted the model.
    pub crate_version: String,
    /// [`config_hash`] of the `twin.toml` file with which the model was fitted.
    pub config_hash: String,
    pub seed: u64,
    /// Files of the log, with their numbers of rows and their hashes.
    pub sources: Vec<SourceFile>,
    /// Ranges of rows of the time grid that were used to fit the model.
    pub training: Vec<Range<usize>>,
    /// Ranges of rows of the time grid that form the hold-out.
    pub holdout: Vec<Range<usize>>,
    /// End of the training data, as an RFC 3339 time stamp in UTC.
    pub trained_until: String,
}

impl Provenance {
    /// The provenance of a new model that was fitted by the running program.
    pub fn new(
        spec: &TwinSpec,
        sources: Vec<SourceFile>,
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

/// Hexadecimal BLAKE3 hash of the part of `twin.toml` on which a model depends: the sample time, the signals with their
/// columns, units and equations, the names and units of the parameters, the settings that determine
/// which rows of the log are read and at which times, and `[model]`. If the residual of an equation
/// is learned, the values of the parameters are included. Limits, prices, KPIs and forecasts are
/// not included, so they can be changed without refitting the model.
pub fn config_hash(spec: &TwinSpec) -> Result<String> {
    #[derive(Serialize)]
    struct HashedPart<'a> {
        step_ms: i64,
        signals: Vec<SignalSpec>,
        parameters: Vec<(&'a str, Option<&'a str>, Option<f64>)>,
        model: &'a crate::config::ModelSpec,
        /// The settings that determine which rows of the log are read, and at which times.
        #[serde(skip_serializing_if = "Option::is_none")]
        log: Option<LogSpec>,
    }
    let learns_residual = spec.signals.iter().any(|s| s.residual.as_ref().is_some_and(|r| r.value));
    let part = HashedPart {
        step_ms: spec.step.ms(),
        signals: spec.signals.iter().map(|s| hashed_signal(&s.value)).collect(),
        parameters: spec
            .parameters
            .iter()
            .map(|(name, p)| {
                (
                    name.as_str(),
                    p.unit.as_ref().map(|u| u.value.as_str()),
                    learns_residual.then_some(p.value.value.value),
                )
            })
            .collect(),
        model: &spec.model,
        log: hashed_log(&spec.log),
    };
    let text = serde_json::to_vec(&part).map_err(|e| Error::Internal(format!("serialising the configuration: {e}")))?;
    Ok(blake3::hash(&text).to_hex().to_string())
}

/// Returns the settings that determine the meaning of the log, or `None` if all these settings have
/// their default values.
fn hashed_log(log: &LogSpec) -> Option<LogSpec> {
    let plain = LogSpec::wide(String::new(), String::new());
    let hashed = LogSpec {
        files: plain.files.clone(),
        time: plain.time.clone(),
        long: log.long.clone().filter(|l| l.has_own_flags()),
        max_gap: None,
        completeness: None,
        ..log.clone()
    };
    (hashed != plain).then_some(hashed)
}

/// Returns the signal without the settings that are irrelevant to models, such as limits and the value of a constant.
fn hashed_signal(s: &SignalSpec) -> SignalSpec {
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
    fn only_settings_that_the_model_depends_on_are_hashed() {
        let hash =
            |s: &str| config_hash(&spec(|t| t.replace(s.split('|').next().unwrap(), s.split('|').nth(1).unwrap())));
        let base = config_hash(&spec(str::to_owned)).unwrap();
        for edit in ["soft = [0.0, 1.0]|soft = [0.0, 0.9]", "value = 90.0|value = 95.0", "value = 0.5|value = 0.6"] {
            assert_eq!(hash(edit).unwrap(), base, "{edit}");
        }
        for edit in ["\"m\"|\"mm\"", "\"1s\"|\"2s\"", "k = {|q = {", "\"level\"|\"height\""] {
            assert_ne!(hash(edit).unwrap(), base, "{edit}");
        }
    }
}
