//! Errors of the effects that a model predicts, estimated from its out-of-fold forecasts.
//!
//! From each start t in a fold, the refit that left out this fold forecasts a window of H steps with the logged
//! controls and disturbances. Let e(t) be the mean forecast error of a signal over the window, and U_c(t) the mean of
//! control c over the window minus u_c(t − 1). If the effects in the model are correct, e(t) does not depend on how the
//! controls moved. Otherwise,
//!
//! ```text
//! e(t) = Σ_c δ_c U_c(t) + noise(t),
//! ```
//!
//! where δ_c is the error of the effect of control c: the missing change of the signal per unit of the control, as a
//! mean over the window. A control may respond to the states, or to disturbances whose effects the model does not
//! describe correctly. The equations are therefore solved with instrumental variables: the instrument of control c is
//! v_c(t), the part of its movement at t that nothing in the log explains ([`super::identification`]). The resulting
//! equation is the moment condition of double machine learning (Chernozhukov et al. 2018) for the residual of a model:
//!
//! ```text
//! Σ_t v_b(t) (e(t) − Σ_c δ_c U_c(t)) = 0   for every control b.
//! ```
//!
//! The sum of δ and the effect in the model is an estimate of the effect that does not depend on the assumptions of the
//! model.
//! The standard error is robust to autocorrelation: the terms of the sum are added within blocks, and only the blocks
//! count as independent (Liang & Zeger 1986). A block lasts at least two windows, two correlation times of e, and the
//! mean time between two changes of the control. Before, the means of v, U and e over longer stretches are subtracted, so
//! that slow changes, such as fouling or the drift of a meter, are not attributed to a control that changes as slowly.
//!
//! Each estimate is the mean effect over the whole log. [`super::contrast`] tests whether the effect is the same in all
//! parts of the log and long after a move.

use std::ops::Range;

use rayon::prelude::*;

use super::average_effect::{AverageEffect, accumulation, average_effects};
use super::choose::TrainingData;
use super::contrast::{Contrast, contrast, later};
use super::identification::Movements;
use super::map::StepMap;
use super::moments::{Moment, Solved, correlation_time, solve, subtract_slow};
use super::noise_process::NoiseProcess;
use super::rollouts::{Rollouts, rollouts};
use super::starts::{Start, starts};
use crate::stats::mean;

/// Maximum number of starts over all folds (not tuned).
const STARTS: usize = 2_000;
/// Maximum total number of forecast steps (not tuned). If the horizon is long, fewer starts are used to stay within the
/// limit.
const FORECAST_STEPS: usize = 60_000;
/// Length of a block, in windows or correlation times (not tuned).
const WINDOWS_PER_BLOCK: usize = 2;
/// Blocks are not longer than this fraction of the training rows, unless the window is (not tuned).
const BLOCKS: usize = 20;
/// Length of the stretches over which means are subtracted: this number of windows, but at least this number of holding
/// times of a control (not tuned).
const WINDOWS_PER_STRETCH: usize = 24;
const MOVES_PER_STRETCH: usize = 8;
/// The effect of a control within one window is compared with its later effects, up to these numbers of windows after a
/// move (not tuned).
const LATER_WINDOWS: [usize; 2] = [3, 6];

/// Error of the predicted effect of a control on a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectError {
    /// Effect in the model.
    pub average: AverageEffect,
    /// Error δ per unit of the control: the true effect minus the effect in the model.
    pub error: f64,
    /// Standard error of δ.
    pub se: f64,
    /// Effective number of independent blocks in which the control moved.
    pub blocks: f64,
    /// See [`accumulation`].
    pub accumulation: Option<f64>,
    /// Two parts of the log in which the effect differs.
    pub contrast: Option<Contrast>,
}

/// A start of a forecast, and the control movements over the window that follows it.
#[derive(Clone)]
struct Sample {
    start: Start,
    /// v: `[controls]`.
    instruments: Vec<f64>,
    /// U: `[controls]`.
    moves: Vec<f64>,
}

/// For every control in `movements` and every target of `map`, estimates the error in the effect of the control on the
/// target. `refits` are the leave-one-fold-out refits of `map`, and `noise` is the noise process of their errors.
pub fn effect_errors(
    data: &TrainingData,
    map: &StepMap,
    refits: &[StepMap],
    noise: &NoiseProcess,
    movements: &[Movements],
) -> Vec<EffectError> {
    if refits.is_empty() || movements.is_empty() {
        return Vec::new();
    }
    let limit = STARTS.min(FORECAST_STEPS / data.horizon.max(1)) / refits.len();
    // The hold-out only serves to compare the newest effect with the older one.
    let parts: Vec<(&StepMap, &Vec<Range<usize>>)> =
        refits.iter().zip(&data.split.folds).chain([(map, &data.split.holdout)]).collect();
    let simulated = |window: Range<usize>, limit: usize| -> Vec<(Vec<Sample>, Rollouts)> {
        let run = |(map, fold): &(&StepMap, &Vec<Range<usize>>)| {
            let samples = samples(data, map, fold, movements, &window, limit);
            let starts = samples.iter().map(|s| s.start).collect();
            let run = rollouts(map, data.log, starts, window.end, Some(noise));
            (samples, run)
        };
        parts.par_iter().map(run).collect()
    };
    let runs = simulated(0..data.horizon, limit);
    let late_runs = LATER_WINDOWS.map(|windows| {
        let end = windows * data.horizon;
        (end, simulated(data.horizon..end, limit.min(FORECAST_STEPS / end.max(1) / refits.len())))
    });
    let folds = refits.len();
    let starts: Vec<Start> = runs[..folds].iter().flat_map(|(samples, _)| samples).map(|s| s.start).collect();
    let averages: Vec<Vec<AverageEffect>> =
        movements.iter().map(|m| average_effects(data, map, refits, &starts, m.control)).collect();
    let targets = 0..map.layout.targets.len();
    let accumulation = accumulation(data, map, &starts);
    let holding = movements.iter().map(|m| m.holding_steps).max().unwrap_or(1);
    let stretch = (WINDOWS_PER_STRETCH * data.horizon).max(MOVES_PER_STRETCH * holding);
    let rows = data.split.train.iter().map(Range::len).sum::<usize>();
    let error = |k: usize| {
        let accumulation = accumulation[k];
        let mut all = moments(&runs, k, 0);
        subtract_slow(&mut all, stretch);
        let block = WINDOWS_PER_BLOCK * correlation_time(&all, data.horizon).max(data.horizon);
        let block = block.max(holding).min(rows / BLOCKS).max(WINDOWS_PER_BLOCK * data.horizon);
        let of_folds =
            |block: usize, all: &[Moment]| solve(all.iter().filter(|m| m.part < folds), movements.len(), block);
        let solved = of_folds(block, &all);
        let late_solved = late_runs.each_ref().map(|(end, runs)| {
            let mut late = moments(runs, k, data.horizon);
            subtract_slow(&mut late, stretch);
            of_folds(block.max(WINDOWS_PER_BLOCK * end), &late)
        });
        let found = solved.into_iter().zip(&averages).enumerate().filter_map(|(c, (solved, averages))| {
            let early @ Solved { error, se, blocks } = solved?;
            let average = averages.get(k)?.clone();
            let contrast = contrast(&all, c, movements.len(), block, average.mean).or_else(|| {
                let late: Vec<Solved> = late_solved.iter().filter_map(|late| late[c]).collect();
                later(early, &late, accumulation?, average.mean, data.horizon)
            });
            Some(EffectError { average, error, se, blocks, accumulation, contrast })
        });
        found.collect::<Vec<_>>()
    };
    targets.flat_map(error).collect()
}

/// The starts of one fold at which all instruments are known. If there are too many starts, only the starts with the
/// largest instruments are used.
fn samples(
    data: &TrainingData,
    map: &StepMap,
    fold: &[Range<usize>],
    movements: &[Movements],
    window: &Range<usize>,
    limit: usize,
) -> Vec<Sample> {
    let sizes: Vec<f64> = movements.iter().map(Movements::root_mean_square).collect();
    let mut samples: Vec<(f64, Sample)> = starts(map, data.log, fold, window.end, usize::MAX)
        .into_iter()
        .filter(|start| start.reach > window.start)
        .filter_map(|start| {
            let instruments: Vec<f64> = movements.iter().map(|m| m.at(start.row)).collect::<Option<_>>()?;
            let moves =
                movements.iter().map(|m| mean_move(&data.log.columns[m.control], start, window.start)).collect();
            let size = instruments.iter().zip(&sizes).map(|(v, s)| (v / s).powi(2)).sum();
            Some((size, Sample { start, instruments, moves }))
        })
        .filter(|(size, s): &(f64, Sample)| size.is_finite() && s.moves.iter().all(|u| u.is_finite()))
        .collect();
    samples.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.start.row.cmp(&b.1.start.row)));
    samples.truncate(limit.max(1));
    samples.sort_by_key(|s| s.1.start.row);
    samples.into_iter().map(|s| s.1).collect()
}

/// Mean of `control` from `after` steps after the start to the end of the run, minus its value before the start.
fn mean_move(control: &[f64], start: Start, after: usize) -> f64 {
    let window = &control[start.row + after..start.row + start.reach];
    start.row.checked_sub(1).map_or(f64::NAN, |before| mean(window) - control[before])
}

/// The moments of target number `k` for the errors more than `after` steps after a start, in ascending order of rows.
fn moments(runs: &[(Vec<Sample>, Rollouts)], k: usize, after: usize) -> Vec<Moment> {
    let mut out = Vec::new();
    for (part, (samples, run)) in runs.iter().enumerate() {
        for (s, sample) in samples.iter().enumerate() {
            let pairs: Vec<f64> =
                (after + 1..=run.horizon).filter_map(|h| run.pair(k, h, s)).map(|pair| pair.error()).collect();
            if !pairs.is_empty() {
                let Sample { start, instruments, moves } = sample.clone();
                out.push(Moment { part, row: start.row, instruments, moves, error: mean(&pairs) });
            }
        }
    }
    out
}

#[cfg(test)]
#[path = "../../tests/unit/learn/effect.rs"]
mod tests;
