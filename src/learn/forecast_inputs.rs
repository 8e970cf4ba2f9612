//! Scores of a model that receives forecasts of the disturbances, as in operation, instead of their logged values.

use super::choose::{Learned, TrainingData};
use super::rollouts::{InputForecast, rollouts_with};
use super::score::{Baselines, ScoreRow, score};
use super::starts::starts;
use crate::schema::Role;

/// Maximum number of starts on the hold-out (not tuned).
const STARTS: usize = 300;
/// Maximum total number of forecast steps (not tuned). If the horizon is long, fewer starts are used to stay within the
/// limit.
const FORECAST_STEPS: usize = 50_000;

/// Name under which the scores of `model` with forecast inputs are listed.
pub fn with_forecasts(model: &str) -> String {
    format!("{model} (forecast inputs)")
}

/// Scores the chosen model on the hold-out with forecasts of disturbances and set-points in place of their logged
/// values. `forecast(signal, row, out)` writes the values for the rows after `row`, and returns false if the logged
/// values are to be used. The result is empty if none of the signals that the model reads is forecast.
pub fn score_with_forecasts(
    data: &TrainingData,
    learned: &Learned,
    forecast: &dyn Fn(usize, usize, &mut [f64]) -> bool,
) -> Vec<ScoreRow> {
    let (map, horizon) = (&learned.map, data.horizon);
    let limit = STARTS.min((FORECAST_STEPS / horizon.max(1)).max(30));
    let starts = starts(map, data.log, &data.split.holdout, horizon, limit);
    let n = starts.len();
    let mut values = vec![0.0; horizon];
    let mut inputs = Vec::new();
    for (signal, spec) in data.log.schema.signals.iter().enumerate() {
        if !matches!(spec.role, Role::Disturbance | Role::Setpoint) || !map.reads(signal) {
            continue;
        }
        let mut table = vec![0.0; horizon * n];
        let forecast_all = starts.iter().enumerate().all(|(r, start)| {
            let known = forecast(signal, start.row, &mut values);
            values.iter().enumerate().for_each(|(h, v)| table[h * n + r] = *v);
            known
        });
        if forecast_all {
            inputs.push(InputForecast { signal, values: table });
        }
    }
    if inputs.is_empty() || n == 0 {
        return Vec::new();
    }
    let noise = &learned.noise_before_holdout;
    let run = rollouts_with(map, data.log, starts, horizon, Some(&noise.process), &inputs);
    let means: Vec<f64> = run.signals.iter().map(|&s| data.moments[s].mean).collect();
    let baselines = Baselines { persistence: run.persistence(), linear: run.clone(), mean: run.constant(&means) };
    let widths = noise.tracking.replay(&noise.calibration, &run);
    score(&with_forecasts(&learned.chosen), &run, &noise.calibration, &widths, &baselines)
}
