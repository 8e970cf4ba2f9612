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
//! The standard error is robust to autocorrelation: the terms of the sum are added within blocks of at least two
//! windows, and only the blocks count as independent (Liang & Zeger 1986).
//!
//! The instruments are adjusted only for the inputs of the model. If a control responds to the noise of an output that
//! is not an input of the model, the estimate is biased.

use std::collections::BTreeMap;
use std::ops::Range;

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::average_effect::{AverageEffect, accumulation, average_effects};
use super::choose::TrainingData;
use super::identification::Movements;
use super::map::StepMap;
use super::noise_process::NoiseProcess;
use super::rollouts::{Rollouts, rollouts};
use super::starts::{Start, starts};
use crate::stats::{mean, mean_or_zero};

/// Maximum number of starts over all folds (not tuned).
const STARTS: usize = 2_000;
/// Maximum total number of forecast steps (not tuned). If the horizon is long, fewer starts are used to stay within the
/// limit.
const FORECAST_STEPS: usize = 60_000;
/// Length of a block, in windows (not tuned).
const WINDOWS_PER_BLOCK: usize = 2;
/// Minimum effective number of blocks in which a control moved (not tuned). The error of a control's effect is not
/// estimated if the control moved in fewer blocks than this minimum.
const MIN_BLOCKS: f64 = 2.0;

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
}

/// A start of a forecast, and the control movements over the window that follows it.
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
    let runs: Vec<(Vec<Sample>, Rollouts)> = refits
        .par_iter()
        .zip(&data.split.folds)
        .map(|(map, fold)| {
            let samples = samples(data, map, fold, movements, limit);
            let starts = samples.iter().map(|s| s.start).collect();
            let run = rollouts(map, data.log, starts, data.horizon, Some(noise));
            (samples, run)
        })
        .collect();
    let starts: Vec<Start> = runs.iter().flat_map(|(samples, _)| samples).map(|s| s.start).collect();
    let averages: Vec<Vec<AverageEffect>> =
        movements.iter().map(|m| average_effects(data, map, refits, &starts, m.control)).collect();
    let targets = 0..map.layout.targets.len();
    let accumulation = accumulation(data, map, &starts);
    let error = |k: usize| {
        let accumulation = accumulation[k];
        let solved = solve(&runs, k, movements.len(), data.horizon);
        let found = solved.into_iter().zip(&averages).filter_map(move |(solved, averages)| {
            let Solved { error, se, blocks } = solved?;
            Some(EffectError { average: averages.get(k)?.clone(), error, se, blocks, accumulation })
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
    limit: usize,
) -> Vec<Sample> {
    let sizes: Vec<f64> = movements.iter().map(Movements::root_mean_square).collect();
    let mut samples: Vec<(f64, Sample)> = starts(map, data.log, fold, data.horizon, usize::MAX)
        .into_iter()
        .filter_map(|start| {
            let instruments: Vec<f64> = movements.iter().map(|m| m.at(start.row)).collect::<Option<_>>()?;
            let moves = movements.iter().map(|m| mean_move(&data.log.columns[m.control], start)).collect();
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

/// Mean of `control` over the window from `start`, minus its value before the start.
fn mean_move(control: &[f64], start: Start) -> f64 {
    let window = &control[start.row..start.row + start.reach];
    start.row.checked_sub(1).map_or(f64::NAN, |before| mean(window) - control[before])
}

/// Error of the predicted effect of a control on one target.
#[derive(Debug, Clone, Copy)]
struct Solved {
    error: f64,
    se: f64,
    blocks: f64,
}

/// Solves the moment conditions for target number `k`. The result for a control is `None` if the control moved in too
/// few blocks.
fn solve(runs: &[(Vec<Sample>, Rollouts)], k: usize, controls: usize, horizon: usize) -> Vec<Option<Solved>> {
    let mut rows: Vec<(usize, &Sample, f64)> = Vec::new();
    for (samples, run) in runs {
        let n = samples.len();
        let errors: Vec<Option<f64>> = (0..n)
            .map(|s| {
                let pairs: Vec<f64> =
                    (1..=run.horizon).filter_map(|h| run.pair(k, h, s)).map(|pair| pair.error()).collect();
                (!pairs.is_empty()).then(|| mean(&pairs))
            })
            .collect();
        let known: Vec<f64> = errors.iter().flatten().copied().collect();
        let center = mean_or_zero(&known);
        let known = samples.iter().zip(errors).filter_map(|(s, e)| Some((s, e? - center)));
        rows.extend(known.map(|(s, e)| (s.start.row / (WINDOWS_PER_BLOCK * horizon), s, e)));
    }
    let mut a = DMatrix::<f64>::zeros(controls, controls);
    let mut b = DVector::<f64>::zeros(controls);
    for (_, s, e) in &rows {
        for (i, v) in s.instruments.iter().enumerate() {
            b[i] += v * e;
            for (j, u) in s.moves.iter().enumerate() {
                a[(i, j)] += v * u;
            }
        }
    }
    let Some(inverse) = a.try_inverse() else { return vec![None; controls] };
    let delta = &inverse * b;
    // The sums of the moment conditions and of their derivatives within each block.
    let mut blocks: BTreeMap<usize, (DVector<f64>, DVector<f64>)> = BTreeMap::new();
    for (block, s, e) in &rows {
        let left = e - s.moves.iter().zip(delta.iter()).map(|(u, d)| u * d).sum::<f64>();
        let zero = || (DVector::zeros(controls), DVector::zeros(controls));
        let (score, weight) = blocks.entry(*block).or_insert_with(zero);
        for (i, (v, u)) in s.instruments.iter().zip(&s.moves).enumerate() {
            score[i] += v * left;
            weight[i] += v * u;
        }
    }
    let mut meat = DMatrix::<f64>::zeros(controls, controls);
    for (score, _) in blocks.values() {
        meat += score * score.transpose();
    }
    let covariance = &inverse * meat * inverse.transpose();
    let effect = |i: usize| {
        let weights = || blocks.values().map(|(_, w)| w[i]);
        let effective = weights().sum::<f64>().powi(2) / weights().map(|w| w * w).sum::<f64>();
        let se = (covariance[(i, i)] * effective / (effective - 1.0)).sqrt();
        let found = Solved { error: delta[i], se, blocks: effective };
        (effective >= MIN_BLOCKS && se.is_finite() && found.error.is_finite()).then_some(found)
    };
    (0..controls).map(effect).collect()
}

#[cfg(test)]
#[path = "../../tests/unit/learn/effect.rs"]
mod tests;
