//! The model of the adjusted baseline.

use std::ops::Range;
use std::sync::Arc;

use super::features::Features;
use super::intervals::Intervals;
use super::statistics::Statistics;
use crate::compute::Compute;
use crate::config::ModelSpec;
use crate::error::{Error, Result};
use crate::learn::model::{self, Family};
use crate::learn::{Dataset, Fit, Layout, Particle, Regressor};

/// The model families that are compared. The model family with the lower out-of-fold error is used.
const FAMILIES: [Family; 2] = [Family::Linear, Family::Forest];
/// Minimum number of days in the baseline period (not tuned).
const MIN_DAYS: usize = 28;
/// Minimum and maximum number of folds (not tuned).
const FOLDS: [usize; 2] = [4, 12];
/// Minimum length of a fold in days.
const MIN_FOLD_DAYS: usize = 7;
/// Maximum number of forecasts that start within the baseline (not tuned).
const MAX_ORIGINS: usize = 12;

/// The settings on which the fit of the adjusted baseline depends, in addition to the data.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Number of intervals in the reporting period, for which the model predicts the consumption.
    pub reporting: usize,
    /// The model family and the number of intervals per fold, if the baseline was frozen.
    pub frozen: Option<(Family, usize)>,
    pub seed: u64,
    pub compute: &'a Compute,
}

/// A model of the consumption in the baseline period.
#[derive(Debug)]
pub struct AdjustedBaseline {
    /// The name of the model family.
    pub model: &'static str,
    /// The intervals to which the model is fitted.
    pub rows: Vec<usize>,
    /// Out-of-fold errors: measured minus predicted consumption in each interval of `rows`.
    pub errors: Vec<f64>,
    pub statistics: Statistics,
    /// Number of intervals per fold.
    pub fold: usize,
    /// Mean errors of forecasts that are as long as one fold. Each forecast is made with a model that was fitted to all
    /// earlier intervals of the baseline.
    pub forward: Vec<f64>,
    /// Number of forecasts in `forward` that do not overlap.
    pub forecasts: usize,
    /// Predicted consumption in all intervals; NaN if a driver is missing.
    pub predicted: Vec<f64>,
}

impl AdjustedBaseline {
    /// Fits the models to the intervals in `period`, and keeps the model with the lower out-of-fold error.
    ///
    /// # Errors
    /// [`Error::Data`] if the period is too short.
    pub fn fit(intervals: &Intervals, period: Range<usize>, settings: &Settings) -> Result<Self> {
        let rows = intervals.known(period);
        let days = rows.len() / intervals.per_day;
        if days < MIN_DAYS {
            return Err(Error::Data(format!(
                "the baseline period contains {days} days with measurements of the use and of all drivers, but at least \
                 {MIN_DAYS} are needed; use a longer baseline, or leave out drivers with gaps (`--drivers`)"
            )));
        }
        let long = (MIN_FOLD_DAYS * intervals.per_day).max(settings.reporting.min(rows.len() / FOLDS[0]));
        let fold = settings.frozen.map_or(long, |f| f.1.max(1));
        let folds = (rows.len() / fold).clamp(FOLDS[0], FOLDS[1]);
        let features = Features::new(intervals, &rows);
        let data = dataset(features.columns(intervals), intervals);
        let parts: Vec<Vec<usize>> =
            (0..folds).map(|k| rows[k * rows.len() / folds..(k + 1) * rows.len() / folds].to_vec()).collect();
        let error = |(r, p): (&usize, f64)| intervals.used[*r] - p * intervals.length[*r];
        let mut best: Option<(f64, Family, Vec<f64>)> = None;
        let families = settings.frozen.map_or(FAMILIES.to_vec(), |f| vec![f.0]);
        for family in families {
            let mut errors = Vec::with_capacity(rows.len());
            for part in &parts {
                let others: Vec<Vec<usize>> = parts.iter().filter(|p| *p != part).cloned().collect();
                let train = others.concat();
                let model = fit(family, &data, &train, &others, settings)?;
                errors.extend(part.iter().zip(predict(&*model, &data, part)).map(error));
            }
            let squares = errors.iter().map(|e| e * e).sum::<f64>();
            if best.as_ref().is_none_or(|b| squares < b.0) {
                best = Some((squares, family, errors));
            }
        }
        let (_, family, errors) = best.ok_or_else(|| Error::Internal("no baseline model was fitted".into()))?;
        let model = fit(family, &data, &rows, &parts, settings)?;
        let all: Vec<usize> = (0..intervals.len()).collect();
        let mut predicted = predict(&*model, &data, &all);
        for (i, p) in predicted.iter_mut().enumerate() {
            *p *= intervals.length[i];
            if intervals.drivers.iter().any(|d| !d[i].is_finite()) {
                *p = f64::NAN;
            }
        }
        let origins = origins(rows.len(), fold, MIN_FOLD_DAYS * intervals.per_day);
        let forward = origins.iter().map(|&origin| {
            let (train, next) = (&rows[..origin], &rows[origin..origin + fold]);
            let blocks: Vec<Vec<usize>> = train.chunks(train.len().div_ceil(FOLDS[0])).map(<[usize]>::to_vec).collect();
            let model = fit(family, &data, train, &blocks, settings)?;
            let errors = next.iter().zip(predict(&*model, &data, next)).map(error);
            Ok(errors.sum::<f64>() / fold as f64)
        });
        let forward: Vec<f64> = forward.collect::<Result<_>>()?;
        let forecasts = rows.len().div_ceil(2) / fold;
        let coefficients = data.x.iter().filter(|column| varies(column, &rows)).count() + 1;
        let statistics = Statistics::new(intervals, &rows, &errors, coefficients);
        Ok(Self { model: family.name(), rows, errors, statistics, fold, forward, forecasts, predicted })
    }

    /// Hash of the predicted consumption in the baseline period.
    pub fn fit_hash(&self) -> String {
        let mut hash = blake3::Hasher::new();
        self.rows.iter().for_each(|&r| {
            hash.update(&self.predicted[r].to_le_bytes());
        });
        hash.finalize().to_hex()[..32].to_owned()
    }

    /// Hash of the consumption and the drivers in the intervals `rows`.
    pub fn data_hash(intervals: &Intervals, rows: &[usize]) -> String {
        let mut hash = blake3::Hasher::new();
        for &r in rows {
            hash.update(&intervals.start[r].as_millisecond().to_le_bytes());
            let values = std::iter::once(&intervals.used).chain(&intervals.drivers);
            values.for_each(|column| {
                hash.update(&column[r].to_le_bytes());
            });
        }
        hash.finalize().to_hex()[..32].to_owned()
    }
}

/// Start positions of forecasts over `fold` intervals. The forecasts start in the second half of the `n` intervals, at
/// least `stride` intervals apart.
fn origins(n: usize, fold: usize, stride: usize) -> Vec<usize> {
    let (first, last) = (n / 2, n - fold.min(n));
    let count = ((last.saturating_sub(first)) / stride.max(1) + 1).min(MAX_ORIGINS);
    (0..count).filter(|_| last >= first).map(|k| last - k * (last - first) / count.max(1)).collect()
}

fn varies(column: &[f64], rows: &[usize]) -> bool {
    rows.windows(2).any(|w| column[w[0]] != column[w[1]])
}

/// The inputs and the consumption as a data set with one row per interval.
fn dataset(x: Vec<Vec<f64>>, intervals: &Intervals) -> Dataset {
    let (first, second) = (intervals.start.first(), intervals.start.get(1));
    let step_ms = first.zip(second).map_or(1, |(a, b)| b.as_millisecond() - a.as_millisecond());
    Dataset {
        layout: Layout { inputs: Vec::new(), targets: Vec::new() },
        x,
        y: vec![intervals.used.iter().zip(&intervals.length).map(|(used, length)| used / length).collect()],
        row: (0..intervals.len()).collect(),
        step_ms,
        control_moves: Vec::new(),
    }
}

fn fit(
    family: Family,
    data: &Dataset,
    rows: &[usize],
    folds: &[Vec<usize>],
    settings: &Settings,
) -> Result<Arc<dyn Regressor>> {
    let options = ModelSpec { rollout_loss: Some(1.into()), ..ModelSpec::default() };
    let Settings { seed, compute, .. } = *settings;
    model::fit_rows(family, &Fit { data, rows, folds, options: &options, seed, compute, draft: false, hyper: &[] })
}

/// The mean predictions of `model` in the intervals `rows`.
fn predict(model: &dyn Regressor, data: &Dataset, rows: &[usize]) -> Vec<f64> {
    let columns: Vec<Vec<f64>> = data.x.iter().map(|x| rows.iter().map(|r| x[*r]).collect()).collect();
    let x: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let mut out = vec![vec![0.0; rows.len()]];
    model.predict(&x, &[Particle { member: None, rows: 0..rows.len() }], &mut out);
    out.swap_remove(0)
}
