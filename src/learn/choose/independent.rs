//! Outputs that no input explains and whose values are mutually independent, such as the daily
//! demand for a product. An independent output is described by its mean and its distribution.
//!
//! An output is independent if all of the following conditions are satisfied out of fold:
//!
//! - The values of the output are never negative.
//! - By the rule of `compare`, no candidate has a significantly lower CRPS or squared error than the mean, and the mean
//!   predicts the output better than persistence does.
//! - Sums of the values over the horizon have the variance that is expected for independent values.
//! - The central 90 % interval of the distribution has the right coverage.

use std::sync::Arc;

use super::compare::is_better;
use super::data::TrainingData;
use super::fit::FittedModel;
use super::judge::{Candidate, Judge, target_loss};
use crate::error::Result;
use crate::learn::calibration::Calibration;
use crate::learn::distribution::Distribution;
use crate::learn::layout::Target;
use crate::learn::map::StepMap;
use crate::learn::model::{MEAN, Mean};
use crate::learn::note::{Note, NoteKind};
use crate::learn::rollouts::Rollouts;
use crate::stats::{mean_and_population_sd, mean_or_zero};

/// Largest accepted loss of the mean, relative to that of persistence. For independent values, the mean has about 0.7
/// times the loss of persistence.
const MAX_LOSS: f64 = 0.95;
/// Largest factor by which the variance of sums over the horizon may differ, in either direction, from the variance for
/// independent values (not tuned).
const VARIANCE_RATIO: f64 = 1.5;
/// Maximum number of lags that are used to estimate the variance of sums.
const MAX_LAGS: usize = 28;
/// Largest accepted difference between the observed and the expected coverage of the 90 % interval
/// (not tuned).
const COVERAGE: f64 = 0.04;
/// Minimum number of values (not tuned).
const MIN_VALUES: usize = 100;

/// The distribution of an independent output over all training rows, and one distribution per fold,
/// fitted without that fold.
struct IndependentOutput {
    all: Distribution,
    /// `[folds]`.
    without: Vec<Distribution>,
}

/// Replaces the predictions of independent outputs by their means. Returns the candidates and, for each target, whether
/// it is independent. If all targets are independent, the only remaining candidate is the mean.
pub(super) fn with_means(
    data: &TrainingData,
    judge: &mut Judge,
    candidates: Vec<Candidate>,
) -> Result<(Vec<Candidate>, Vec<bool>)> {
    let targets = &candidates[0].map.layout.targets;
    let found: Vec<Option<IndependentOutput>> =
        (0..targets.len()).map(|k| independent(data, judge, &candidates, k)).collect();
    let independent: Vec<bool> = found.iter().map(Option::is_some).collect();
    if !independent.contains(&true) {
        return Ok((candidates, independent));
    }
    let means = |of: &dyn Fn(&IndependentOutput) -> f64| -> Vec<Option<f64>> {
        found.iter().map(|o| o.as_ref().map(of)).collect()
    };
    let all = !independent.contains(&false);
    let replace = |map: &StepMap, means: Vec<Option<f64>>| -> Result<StepMap> {
        Ok(data.step_map(&map.layout, Arc::new(Mean::new(map.regressor.clone(), means)?)))
    };
    let mut replaced = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let refits = candidate.refits.iter().enumerate();
        let refits = refits.map(|(fold, map)| replace(map, means(&|o| o.without[fold].mean))).collect::<Result<_>>()?;
        let fitted = FittedModel {
            name: if all { MEAN } else { candidate.name },
            map: replace(&candidate.map, means(&|o| o.all.mean))?,
            refits,
            distributions: found.iter().map(|o| o.as_ref().map(|o| o.all.clone())).collect(),
        };
        replaced.push(judge.judge(fitted));
        if all {
            break;
        }
    }
    Ok((replaced, independent))
}

/// Returns the distribution of target `k` if it is an independent output.
fn independent(data: &TrainingData, judge: &Judge, candidates: &[Candidate], k: usize) -> Option<IndependentOutput> {
    let Target::Level(signal) = candidates[0].map.layout.targets[k] else { return None };
    let column = &data.log.columns[signal];
    let folds = &data.split.folds;
    let blocks: Vec<Vec<f64>> = folds
        .iter()
        .map(|fold| fold.iter().flat_map(|r| column[r.clone()].iter().copied()).filter(|v| v.is_finite()).collect())
        .collect();
    let values = blocks.concat();
    if values.len() < MIN_VALUES || values.iter().any(|v| *v < 0.0) || !data.moments[signal].varies() {
        return None;
    }
    let mut distribution = Distribution::fit(&blocks)?;
    let without: Vec<Distribution> = (0..folds.len())
        .map(|fold| {
            let others: Vec<f64> =
                blocks.iter().enumerate().filter(|(i, _)| *i != fold).flat_map(|(_, b)| b.iter().copied()).collect();
            Distribution::of_kind(distribution.kind, &others)
        })
        .collect();
    let means: Vec<f64> = without.iter().map(|d| d.mean).collect();
    if !mean_is_best(data, judge, candidates, k, &means) || !covers(&blocks, &without) {
        return None;
    }
    let deviations: Vec<Vec<f64>> = folds
        .iter()
        .zip(&means)
        .flat_map(|(fold, mean)| fold.iter().map(move |r| column[r.clone()].iter().map(|v| v - mean).collect()))
        .collect();
    let ratio = variance_ratio(&deviations, data.horizon.min(MAX_LAGS));
    if !(1.0 / VARIANCE_RATIO..=VARIANCE_RATIO).contains(&ratio) {
        return None;
    }
    let drift = drift(&deviations, data.horizon, ratio);
    distribution.drift = drift;
    Some(IndependentOutput { all: distribution, without })
}

/// Returns true if no candidate predicts target `k` significantly better than the mean, and the
/// mean predicts it better than persistence does.
fn mean_is_best(data: &TrainingData, judge: &Judge, candidates: &[Candidate], k: usize, means: &[f64]) -> bool {
    let Some(persistence) = judge.persistence_calibration() else { return false };
    let runs = &candidates[0].runs;
    let constant = |(run, mean): (&Rollouts, &f64)| run.constant(&vec![*mean; run.signals.len()]);
    let mean_runs: Vec<Rollouts> = runs.iter().zip(means).map(constant).collect();
    let typical: Vec<f64> = runs[0].signals.iter().map(|&s| data.moments[s].sd).collect();
    let calibration = Calibration::fit(&mean_runs, &typical);
    let losses = |runs: &[Rollouts], calibration: &Calibration| -> Vec<f64> {
        let pairs = runs.iter().map(|run| (run, run.persistence()));
        pairs.filter_map(|(run, last)| target_loss((run, calibration), (&last, persistence), k)).collect()
    };
    let own = losses(&mean_runs, &calibration);
    // If most values are zero, the CRPS of a model may be higher than the CRPS of the mean, even
    // though an input has an effect. The squared error of the forecasts reveals the effect of such
    // an input.
    let own_errors: Vec<f64> = mean_runs.iter().filter_map(|run| squared_error(run, k)).collect();
    let better = |c: &Candidate| {
        let errors: Vec<f64> = c.runs.iter().filter_map(|run| squared_error(run, k)).collect();
        is_better(&losses(&c.runs, &c.noise_model.calibration), &own) || is_better(&errors, &own_errors)
    };
    !own.is_empty() && mean_or_zero(&own) <= MAX_LOSS && !candidates.iter().any(better)
}

/// Mean squared error of target `k` over all starts and horizons; `None` if there are no measurements.
fn squared_error(run: &Rollouts, k: usize) -> Option<f64> {
    let errors = (1..=run.horizon).flat_map(|h| run.pairs(k, h)).map(|p| p.error().powi(2));
    let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), e| (sum + e, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Returns true if the central 90 % interval of each distribution contains the expected fraction of
/// the values in the block that was left out.
fn covers(blocks: &[Vec<f64>], without: &[Distribution]) -> bool {
    let (mut covered, mut expected, mut count) = (0.0, 0.0, 0.0);
    for (block, distribution) in blocks.iter().zip(without) {
        let (low, high) = (distribution.quantile(0.05), distribution.quantile(0.95));
        covered += block.iter().filter(|v| (low..=high).contains(*v)).count() as f64;
        expected += distribution.probability(low, high) * block.len() as f64;
        count += block.len() as f64;
    }
    (covered - expected).abs() <= COVERAGE * count
}

/// Variance of the sum of `horizon` successive values, relative to the variance for independent values: 1 + 2 Σ_h (1 −
/// h / H) ρ_h.
fn variance_ratio(deviations: &[Vec<f64>], horizon: usize) -> f64 {
    let correlation = |lag: usize| {
        let (mut cross, mut squares) = (0.0, 0.0);
        for block in deviations {
            for (a, b) in block.iter().zip(block.iter().skip(lag)).filter(|(a, b)| a.is_finite() && b.is_finite()) {
                cross += a * b;
                squares += 0.5 * (a * a + b * b);
            }
        }
        if squares > 0.0 { cross / squares } else { 0.0 }
    };
    let weight = |lag: usize| 1.0 - lag as f64 / horizon as f64;
    1.0 + 2.0 * (1..horizon).map(|lag| weight(lag) * correlation(lag)).sum::<f64>()
}

/// Measures slow changes of the mean: the standard deviation of the means over long periods, relative to the standard
/// deviation of the values. The variance that the means of independent values would have is
/// subtracted first.
fn drift(deviations: &[Vec<f64>], horizon: usize, ratio: f64) -> f64 {
    let (_, sd) = mean_and_population_sd(deviations.iter().flatten().copied().filter(|d| d.is_finite()));
    let (mut squares, mut count) = (0.0, 0.0);
    for block in deviations {
        let size = (block.len() / 5).max(2 * horizon).max(1);
        for period in block.chunks_exact(size) {
            let finite: Vec<f64> = period.iter().copied().filter(|d| d.is_finite()).collect();
            if 2 * finite.len() >= size {
                let n = finite.len() as f64;
                squares += mean_or_zero(&finite).powi(2) - sd * sd * ratio.max(1.0) / n;
                count += 1.0;
            }
        }
    }
    if count < 4.0 || sd <= 0.0 { 0.0 } else { (f64::max(squares / count, 0.0).sqrt() / sd).min(0.9) }
}

/// Returns the remarks on the independent outputs of the chosen candidate.
pub(super) fn notes(data: &TrainingData, candidate: &Candidate) -> Vec<Note> {
    let distributions = candidate.noise_model.process.distributions.iter().zip(&candidate.map.layout.targets);
    distributions
        .filter_map(|(distribution, target)| {
            let (d, name) = (distribution.as_ref()?, data.name(target.signal()));
            let text = format!(
                "no input and no past value predicts `{name}` better than its mean, so simulations draw independent \
                 values from its {} distribution (mean {:.4})",
                d.kind.name(),
                d.mean
            );
            Some(Note::new(NoteKind::Independent, text))
        })
        .collect()
}
