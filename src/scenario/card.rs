//! The model card: the results of `learn`, with signal names and units instead of column indices.

use serde::{Deserialize, Serialize};

use super::effect::{ControlEffect, change_unit};
use super::identification::ControlIdentification;
use crate::config::{Effect, TimeSpan, TwinSpec};
use crate::control::mpc::TunedMpc;
use crate::learn::{Learned, Note, with_forecasts};
use crate::schema::Schema;
use crate::value::Estimate;
use crate::value::json::{number_or_nan, numbers_or_nan};

/// Facts about the learned model and its accuracy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Content hash that identifies the model version.
    pub version: String,
    /// Chosen model.
    pub model: String,
    /// The reason why the model was chosen. In the report, this text follows the model name and therefore does not
    /// repeat it.
    pub reason: String,
    /// End of the training data, in UTC.
    pub trained_until: String,
    pub train_rows: usize,
    pub holdout_rows: usize,
    pub holdout_start: String,
    pub holdout_end: String,
    pub lags: usize,
    pub step: String,
    /// Control horizon in steps.
    pub horizon: usize,
    /// Number of ensemble members; 0 in results of older versions.
    #[serde(default)]
    pub members: usize,
    /// One row per model, signal and horizon.
    pub scores: Vec<Score>,
    pub responses: Vec<StepResponse>,
    /// How well the log determines the effect of each control; empty for model cards written by older versions.
    #[serde(default)]
    pub identification: Vec<ControlIdentification>,
    /// The effects of the controls according to the model and according to the log; empty for cards of older versions.
    #[serde(default)]
    pub effects: Vec<ControlEffect>,
    /// Replay of the logged controls over the hold-out, one row per KPI.
    pub replay: Vec<ReplayCheck>,
    /// Remarks for the reader, such as the remark that a control never moved.
    pub notes: Vec<Note>,
    /// Tuned MPC settings; `None` if MPC was not tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<TunedMpc>,
}

/// Open-loop error of a signal at one horizon on the hold-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub model: String,
    pub signal: String,
    pub unit: String,
    /// Forecast horizon in steps.
    pub horizon: usize,
    pub n: usize,
    #[serde(deserialize_with = "number_or_nan")]
    pub rmse: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub bias: f64,
    /// Skill against persistence: 1 − MSE / MSE of persistence. The skill is NaN (`null` in JSON) if persistence has no
    /// error.
    #[serde(deserialize_with = "number_or_nan")]
    pub skill: f64,
    /// Skill against the linear model: 1 − MSE / MSE of the linear model. The skill is NaN if the linear model has no
    /// error.
    #[serde(deserialize_with = "number_or_nan")]
    pub skill_linear: f64,
    #[serde(deserialize_with = "number_or_nan")]
    pub crps: f64,
    /// Measured coverage of the 50, 80, 90 and 95 % intervals, whose widths adapt to the errors of earlier forecasts.
    #[serde(deserialize_with = "numbers_or_nan")]
    pub coverage: [f64; 4],
    /// Coverage of intervals whose fixed widths were calibrated on the training blocks.
    #[serde(default, deserialize_with = "numbers_or_nan")]
    pub coverage_fixed: [f64; 4],
    /// Minimum and maximum acceptable coverage, which depend on the number of independent forecasts and on the fraction
    /// of forecasts without error.
    #[serde(rename = "right")]
    pub acceptable_coverage: [(f64, f64); 4],
    /// Effective number of independent forecasts from which the coverage of the 90 % interval was estimated.
    #[serde(deserialize_with = "number_or_nan")]
    pub independent: f64,
    /// Fraction of the measured values in each tenth of the forecast distribution. If the forecast is calibrated,
    /// each of the ten fractions is about 0.1.
    pub pit: [f64; 10],
}

/// Learned response of a signal to a step change in a control, starting from the training mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResponse {
    pub control: String,
    pub signal: String,
    /// Unit of the gain, e.g. `degC/degC`.
    pub unit: String,
    /// Size of the step change in the control.
    #[serde(deserialize_with = "number_or_nan")]
    pub step: f64,
    /// Times since the step change in the control, in hours.
    pub hours: Vec<f64>,
    /// Change in the signal per unit change in the control: mean and range over ensemble members.
    pub mean: Vec<f64>,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
    /// Steady-state gain (last value).
    #[serde(deserialize_with = "number_or_nan")]
    pub gain: f64,
    /// Known direction of the effect, if specified in `effects`, and whether the model agrees with this direction.
    pub expected: Option<Effect>,
    pub agrees: bool,
}

/// Comparison of the simulated and measured values of one KPI when the twin replays the logged controls over segments
/// of the hold-out (requirement SUP-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayCheck {
    pub kpi: String,
    pub unit: String,
    /// Measured value of the KPI in the newest segment.
    #[serde(deserialize_with = "number_or_nan")]
    pub measured: f64,
    pub simulated: Estimate,
    /// Length of a segment in hours.
    pub hours: f64,
    /// Total number of segments, and number of segments in which the 90 % interval of the simulated values covers the
    /// measured value.
    #[serde(alias = "stretches")]
    pub segments: usize,
    pub within: usize,
    /// Whether the 90 % interval covers the measured value in at least three quarters of the segments.
    pub inside: bool,
}

/// Builds the model card of a newly learned model that reads `lags` past values. The caller adds the version and the
/// replay checks.
pub fn model_card(learned: &Learned, lags: usize, spec: &TwinSpec, schema: &Schema) -> ModelCard {
    let name = |i: usize| schema.signals[i].name.clone();
    let unit = |i: usize| schema.signals[i].unit.text.clone();
    let scores = learned.scores.iter().map(|s| Score {
        model: s.model.clone(),
        signal: name(s.signal),
        unit: unit(s.signal),
        horizon: s.horizon,
        n: s.n,
        rmse: s.rmse,
        bias: s.bias,
        skill: s.skill,
        skill_linear: s.skill_linear,
        crps: s.crps,
        coverage: s.coverage,
        coverage_fixed: s.coverage_fixed,
        acceptable_coverage: s.acceptable_coverage(),
        independent: s.independent,
        pit: s.pit,
    });
    let hours = spec.step.value.seconds() / 3600.0;
    let responses = learned.responses.iter().map(|r| {
        let expected = spec.signals[r.signal].effects.get(&schema.signals[r.control].name).map(|e| e.value);
        StepResponse {
            control: name(r.control),
            signal: name(r.signal),
            unit: format!("{}/{}", change_unit(&unit(r.signal)), change_unit(&unit(r.control))),
            step: r.step,
            hours: r.at.iter().map(|&k| k as f64 * hours).collect(),
            mean: r.mean.clone(),
            low: r.low.clone(),
            high: r.high.clone(),
            gain: r.gain,
            expected,
            agrees: match expected {
                Some(Effect::Up) => r.gain_high >= 0.0,
                Some(Effect::Down) => r.gain_low <= 0.0,
                Some(Effect::None) => r.gain_low <= 0.0 && r.gain_high >= 0.0,
                None => true,
            },
        }
    });
    let facts = &learned.split;
    ModelCard {
        version: String::new(),
        model: learned.chosen.clone(),
        reason: learned.reason.clone(),
        trained_until: facts.train_end.to_string(),
        train_rows: facts.train_rows,
        holdout_rows: facts.holdout_rows,
        holdout_start: facts.holdout_start.to_string(),
        holdout_end: facts.holdout_end.to_string(),
        lags,
        step: TimeSpan::from_ms(spec.step.value.ms()).to_string(),
        horizon: facts.horizon,
        members: 0,
        scores: scores.filter(|s| s.rmse.is_finite() && s.crps.is_finite()).collect(),
        responses: responses.filter(|r| r.mean.iter().chain(&r.low).chain(&r.high).all(|v| v.is_finite())).collect(),
        identification: Vec::new(),
        effects: Vec::new(),
        replay: Vec::new(),
        notes: learned.notes.clone(),
        tuned: None,
    }
}

impl ModelCard {
    /// Score of the chosen model for `signal` at `horizon`, with the forecasts of disturbances that controllers
    /// receive.
    pub fn score_with_forecasts(&self, signal: &str, horizon: usize) -> Option<&Score> {
        let name = with_forecasts(&self.model);
        self.scores.iter().find(|s| s.model == name && s.signal == signal && s.horizon == horizon)
    }

    /// The skill of the score that [`Self::score_with_forecasts`] returns.
    pub fn skill_with_forecasts(&self, signal: &str, horizon: usize) -> Option<f64> {
        self.score_with_forecasts(signal, horizon).map(|s| s.skill)
    }

    /// The skill horizon of each signal: the largest number of steps at which the model beats persistence on the
    /// hold-out.
    ///
    /// `None` (unlimited) if the model beats persistence at the last scored horizon, or if the signal was not scored.
    /// The skill horizon is also `None` if the signal was constant in the hold-out, because persistence is then exact
    /// and the comparison is uninformative.
    pub fn reach(&self, schema: &Schema) -> Vec<Option<usize>> {
        let signal_reach = |name: &str| -> Option<usize> {
            self.scores.iter().find(|s| s.model == "persistence" && s.signal == name && s.rmse > 0.0)?;
            let scored =
                || self.scores.iter().filter(|s| s.model == self.model && s.signal == name && s.skill.is_finite());
            let last = scored().map(|s| s.horizon).max()?;
            let reach = scored().filter(|s| s.skill > 0.0).map(|s| s.horizon).max().unwrap_or(0);
            (reach < last).then_some(reach)
        };
        schema.names().map(signal_reach).collect()
    }
}
