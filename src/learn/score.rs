//! Scores of multi-step open-loop forecasts on the hold-out.
//!
//! The hold-out is the newest part of the log (`model.holdout`). A gap as long as the lags plus one horizon separates
//! the hold-out from the training rows. The model runs open loop from many start rows in the hold-out. The inputs of
//! the model are the logged controls and disturbances, and its own predictions of the states. The skill at horizon h is
//! defined as follows:
//!
//! ```text
//! 1 − Σ_s (ŷ_s(h) − y_s(h))² / Σ_s (b_s(h) − y_s(h))²
//! ```
//!
//! The sums are over the starts s. ŷ is the prediction of the model, y is the measurement, and b is the forecast of a
//! baseline: persistence (the last value known at the start), the linear model, or the training mean. The skill is 1
//! for a perfect model and 0 for a model that is no better than the baseline. The CRPS and the coverage use the
//! calibrated distribution with the interval widths tracked up to the time of the forecast.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::coverage::{self, effective_sample_size};
use super::rollouts::Rollouts;
use super::tracking::TrackedWidths;

/// Levels of the central intervals whose coverage is reported.
pub const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];
/// Index in [`LEVELS`] of the 90 % interval, whose coverage is checked (CAL-1).
pub(super) const INTERVAL_90: usize = 2;

/// Lowest skill that is reported. Without this limit, the skill would be minus infinity if the error of the reference
/// is zero.
const MIN_SKILL: f64 = -999.0;

/// Scores of one model for one signal at one horizon, in the unit of the signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    pub model: String,
    /// Column of the schema.
    pub signal: usize,
    /// Steps ahead, 1-based.
    pub horizon: usize,
    /// Number of scored forecasts.
    pub n: usize,
    pub rmse: f64,
    /// Mean error, predicted − measured.
    pub bias: f64,
    /// Skill relative to persistence: 1 − MSE / MSE of persistence.
    pub skill: f64,
    /// Skill relative to the linear model: 1 − MSE / MSE of the linear model.
    pub skill_linear: f64,
    /// Skill relative to the training mean: 1 − MSE / MSE of the training mean.
    pub skill_mean: f64,
    /// Continuous ranked probability score.
    pub crps: f64,
    /// Coverage of the intervals at [`LEVELS`] with tracked widths ([`super::tracking::Tracking`]).
    pub coverage: [f64; 4],
    /// Coverage of the intervals at [`LEVELS`] with the calibrated widths, without tracking.
    pub coverage_fixed: [f64; 4],
    /// Effective number of independent forecasts from which the coverage of the 90 % interval was estimated
    /// ([`coverage::effective_sample_size`]).
    pub independent: f64,
    /// Expected coverage of the intervals at [`LEVELS`] ([`Calibration::expected_coverage`]).
    pub expected: [f64; 4],
    /// Histogram of the probability integral transform: the fraction of the measurements in each tenth of the forecast
    /// distribution.
    pub pit: [f64; 10],
}

impl ScoreRow {
    /// Minimum and maximum acceptable coverage of the intervals at [`LEVELS`].
    pub fn acceptable_coverage(&self) -> [(f64, f64); 4] {
        self.expected.map(|share| coverage::acceptable(share, self.independent))
    }
}

/// Forecasts of the baselines, from the same starts as the forecasts of the models.
#[derive(Debug, Clone)]
pub struct Baselines {
    pub persistence: Rollouts,
    pub linear: Rollouts,
    /// A constant forecast that equals the training mean.
    pub mean: Rollouts,
}

/// Scores a model for every signal and horizon. `widths`: factors by which the calibrated interval widths are
/// multiplied at the time of each forecast.
pub fn score(
    model: &str,
    run: &Rollouts,
    calibration: &Calibration,
    widths: &TrackedWidths,
    baselines: &Baselines,
) -> Vec<ScoreRow> {
    let mut rows = Vec::with_capacity(run.signals.len() * run.horizon);
    for (k, &signal) in run.signals.iter().enumerate() {
        for h in 1..=run.horizon {
            let (mut squares, mut sum, mut crps) = (0.0, 0.0, 0.0);
            let (mut inside, mut fixed, mut pit) = ([0.0; 4], [0.0; 4], [0.0; 10]);
            let (mut covered, mut sizes) = (Vec::new(), Vec::new());
            let intervals = LEVELS.map(|level| calibration.interval(k, h, level));
            let tenths: [f64; 9] = std::array::from_fn(|i| calibration.quantile(k, h, (i + 1) as f64 / 10.0));
            for pair in run.pairs(k, h) {
                let error = pair.error();
                squares += error * error;
                sum -= error;
                let local = calibration.local_width(k, h, pair.model_sd);
                let width = local * widths.at(k, h, pair.start);
                crps += calibration.crps(k, h, width, error);
                // Dividing the error by the width is equivalent to multiplying the interval by the width.
                let scaled = error / width;
                for (i, (low, high)) in intervals.into_iter().enumerate() {
                    inside[i] += f64::from(u8::from((low..=high).contains(&scaled)));
                    fixed[i] += f64::from(u8::from((low..=high).contains(&(error / local))));
                }
                pit[tenths.partition_point(|q| *q < scaled)] += 1.0;
                covered
                    .push(f64::from(u8::from((intervals[INTERVAL_90].0..=intervals[INTERVAL_90].1).contains(&scaled))));
                sizes.push(scaled.abs());
            }
            let n = covered.len();
            if n == 0 {
                continue;
            }
            let count = n as f64;
            rows.push(ScoreRow {
                model: model.to_owned(),
                signal,
                horizon: h,
                n,
                rmse: (squares / count).sqrt(),
                bias: sum / count,
                skill: skill(run.paired_mse(&baselines.persistence, k, h)),
                skill_linear: skill(run.paired_mse(&baselines.linear, k, h)),
                skill_mean: skill(run.paired_mse(&baselines.mean, k, h)),
                crps: crps / count,
                coverage: inside.map(|c| c / count),
                coverage_fixed: fixed.map(|c| c / count),
                // If all or none of the measurements are covered, the autocorrelation of the coverage is undefined, and
                // that of the absolute errors is used instead.
                independent: effective_sample_size(&covered).or_else(|| effective_sample_size(&sizes)).unwrap_or(count),
                expected: LEVELS.map(|level| calibration.expected_coverage(k, h, level)),
                pit: pit.map(|c| c / count),
            });
        }
    }
    rows
}

/// Skill, 1 − MSE / reference MSE, but not below [`MIN_SKILL`]. The skill is zero if both mean squared errors are zero.
pub fn skill((mse, reference): (f64, f64)) -> f64 {
    if mse <= 0.0 && reference <= 0.0 { 0.0 } else { (1.0 - mse / reference.max(f64::MIN_POSITIVE)).max(MIN_SKILL) }
}
