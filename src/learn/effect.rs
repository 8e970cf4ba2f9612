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
//! where δ_c is the error of the effect of control c: the change of the signal that the model
//! misses, per unit of the control and averaged over the window. A control may respond to the
//! states, or to disturbances whose effects the model does not describe correctly. The equations
//! are therefore solved with instrumental variables: the instrument of control c is v_c(t), the
//! part of its movement at t that nothing in the log explains ([`super::identification`]). The
//! resulting equation is the moment condition of double machine learning (Chernozhukov et al. 2018)
//! for the residual of a model:
//!
//! ```text
//! Σ_t v_b(t) (e(t) − Σ_c δ_c U_c(t)) = 0   for every control b.
//! ```
//!
//! The sum of δ and the effect in the model is an estimate of the effect that does not depend on
//! the assumptions of the model. The standard error is robust to autocorrelation: the terms of the
//! sum are added within blocks, and only the blocks count as independent (Liang & Zeger 1986). The
//! length of a block is two windows, two correlation times of e, or the mean time between two
//! changes of the control, whichever is longest. Before the estimation, the means of v, U and e
//! over longer stretches are subtracted, so that slow changes, such as fouling or the drift of a
//! meter, are not attributed to a control that changes as slowly.
//!
//! The estimated effect is a mean over the whole log. [`super::contrast`] tests whether the effect
//! is the same in all parts of the log, right after a move, over longer stretches, and long after a
//! move. If the control usually stands still, these tests use the change of the forecast error at
//! its moves from standstill ([`super::moves`]), which slow changes of the plant do not affect.

use std::ops::Range;

use rayon::prelude::*;

use super::average_effect::{Accumulation, AverageEffect, accumulation, average_effects, late_effects};
use super::choose::TrainingData;
use super::contrast::{Contrast, contrast, is_shown, later, slow};
use super::identification::Movements;
use super::map::StepMap;
use super::moments::{Moment, Solved, correlation_time, difference, solve, subtract_slow};
use super::moves::{Sample, Steps, has_events, is_event, moments, samples};
use super::noise_process::NoiseProcess;
use super::rollouts::{Rollouts, rollouts};
use super::starts::Start;

/// Maximum number of starts over all folds (not tuned).
const STARTS: usize = 2_000;
/// Maximum total number of forecast steps (not tuned). If the horizon is long, fewer starts are used to stay within the
/// limit.
const FORECAST_STEPS: usize = 60_000;
/// Length of a block, in windows or correlation times (not tuned).
const WINDOWS_PER_BLOCK: usize = 2;
/// Minimum number of blocks in the training rows. Blocks of two windows are allowed even if their
/// number is smaller (not tuned).
const BLOCKS: usize = 20;
/// Minimum length, in windows, of the stretches over which means are subtracted (not tuned).
const WINDOWS_PER_STRETCH: usize = 24;
/// Minimum length of these stretches, in multiples of the longest holding time of a control (not
/// tuned).
const MOVES_PER_STRETCH: usize = 8;
/// Numbers of windows after a move at which the late windows end. The effects in the late windows
/// are compared with the effect in the first window (not tuned).
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
    /// Factor by which the error grows until it settles ([`Accumulation::settled`]).
    pub accumulation: Option<f64>,
    /// The parts of the log between which the effect differs.
    pub contrast: Option<Contrast>,
    /// Number of steps after a move up to which the log shows the effect with sufficient precision.
    /// `None` if the control rarely moves from standstill.
    pub shown: Option<usize>,
}

/// Forecasts of all parts of the log.
#[derive(Clone)]
struct Simulated {
    runs: Vec<(Vec<Sample>, Rollouts)>,
    steps: Steps,
}

/// Forecasts of the steps directly after a move, and of later steps.
struct Compared {
    early: Simulated,
    late: [Simulated; LATER_WINDOWS.len()],
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
    // The hold-out is used only to test whether the newest effect differs from older effects.
    let parts: Vec<(&StepMap, &Vec<Range<usize>>)> =
        refits.iter().zip(&data.split.folds).chain([(map, &data.split.holdout)]).collect();
    let simulated = |steps: Steps| -> Simulated {
        let limit = STARTS.min(FORECAST_STEPS / steps.total().max(1)) / refits.len();
        // The error before a move is subtracted, so it must not be carried forward.
        let noise = Some(noise).filter(|_| steps.lead == 0);
        let run = |(map, fold): &(&StepMap, &Vec<Range<usize>>)| {
            let samples = samples(data, map, fold, movements, &steps, limit);
            let starts = samples.iter().map(|s| s.start).collect();
            let run = rollouts(map, data.log, starts, steps.total(), noise);
            (samples, run)
        };
        let runs = parts.par_iter().map(run).collect();
        Simulated { runs, steps }
    };
    let horizon = data.horizon;
    let compared = |lead: usize| {
        let late = LATER_WINDOWS.map(|windows| simulated(Steps { lead, after: horizon..windows * horizon }));
        Compared { early: simulated(Steps { lead, after: 0..horizon }), late }
    };
    let events: Vec<bool> = movements.iter().map(|m| has_events(data, m.control, horizon)).collect();
    let from_standstill = events.contains(&true).then(|| compared(horizon));
    let otherwise = events.contains(&false).then(|| compared(0));
    let all_starts = match &otherwise {
        Some(compared) => compared.early.clone(),
        None => simulated(Steps { lead: 0, after: 0..horizon }),
    };
    let runs = &all_starts.runs;
    let folds = refits.len();
    let starts: Vec<Start> = runs[..folds].iter().flat_map(|(samples, _)| samples).map(|s| s.start).collect();
    let averages: Vec<Vec<AverageEffect>> =
        movements.iter().map(|m| average_effects(data, map, refits, &starts, m.control)).collect();
    let targets = 0..map.layout.targets.len();
    let accumulation = accumulation(data, map, &starts, &LATER_WINDOWS);
    let in_model: Vec<Vec<Vec<f64>>> =
        movements.iter().map(|m| late_effects(data, map, &starts, m.control, &LATER_WINDOWS)).collect();
    let holding = movements.iter().map(|m| m.holding_steps).max().unwrap_or(1);
    let stretch = (WINDOWS_PER_STRETCH * data.horizon).max(MOVES_PER_STRETCH * holding);
    let rows = data.split.train.iter().map(Range::len).sum::<usize>();
    let of_folds = |m: &&Moment| m.part < folds;
    let error = |k: usize| {
        let Accumulation { settled: accumulation, late: late_factors } = &accumulation[k];
        let of = |simulated: &Simulated| {
            let mut all = moments(&simulated.runs, k, &simulated.steps);
            subtract_slow(&mut all, stretch);
            all
        };
        let all = of(&all_starts);
        let block = WINDOWS_PER_BLOCK * correlation_time(&all, horizon).max(horizon);
        let block = block.max(holding).min(rows / BLOCKS).max(WINDOWS_PER_BLOCK * horizon);
        let solved = solve(all.iter().filter(of_folds), movements.len(), block);
        let found = solved.into_iter().zip(&averages).enumerate().filter_map(|(c, (solved, averages))| {
            let Solved { error, se, blocks } = solved?;
            let average = averages.get(k)?.clone();
            let model = average.mean;
            let compared = if events[c] { from_standstill.as_ref()? } else { otherwise.as_ref()? };
            // If a control has enough moves from standstill, only these moves are used.
            let of_control = |simulated: &Simulated| {
                let mut all = moments(&simulated.runs, k, &simulated.steps);
                let u = &data.log.columns[movements[c].control];
                all.retain(|m| !events[c] || is_event(u, m.row, horizon));
                subtract_slow(&mut all, stretch);
                all
            };
            let early = of_control(&compared.early);
            let of_early = solve(early.iter().filter(of_folds), movements.len(), block)[c];
            let early_error = of_early.map_or(error, |early| early.error);
            let now = model + early_error;
            let late = compared.late.iter().zip(late_factors).zip(&in_model[c]).map(|((late, factor), in_model)| {
                accumulation.filter(|_| factor.is_finite())?;
                let block = block.max(WINDOWS_PER_BLOCK * late.steps.total());
                let late = of_control(late);
                let [early, late] = [&early, &late].map(|m| m.iter().filter(of_folds));
                let found = difference(early, late, *factor, c, movements.len(), block)?;
                Some((found, in_model[k] + factor * early_error))
            });
            let late: Vec<Option<(Solved, f64)>> = late.collect();
            let contrast = contrast(&early, c, movements.len(), block, model)
                .or_else(|| {
                    let [early, all] = [&early, &all].map(|m| m.iter().filter(of_folds));
                    slow(difference(early, all, 1.0, c, movements.len(), block)?, now)
                })
                .or_else(|| later(late.iter().flatten(), horizon));
            let shown = || {
                let late = late.iter().zip(LATER_WINDOWS);
                let late = late.filter(|(late, _)| late.is_some_and(|(found, expected)| is_shown(found, expected)));
                horizon * late.map(|(_, windows)| windows).max().unwrap_or(1)
            };
            let shown = events[c].then(shown);
            Some(EffectError { average, error, se, blocks, accumulation: *accumulation, contrast, shown })
        });
        found.collect::<Vec<_>>()
    };
    targets.flat_map(error).collect()
}

#[cfg(test)]
#[path = "../../tests/unit/learn/effect.rs"]
mod tests;
