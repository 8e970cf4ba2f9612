//! The average effect of a control in a model, over conditions that occur in the log.
//!
//! From each of many start rows, the model is simulated twice over a window, with the logged disturbances: once with
//! the logged controls, and once with one control raised or lowered by a constant. The local effect is the mean
//! difference in a signal over the window, divided by the change of the control. The average effect is the mean of the
//! local effects.
//!
//! The spread over the ensemble members describes the uncertainty in the deviations of the local
//! effects from their average. This spread can be too small, for example if the noise is
//! autocorrelated. The spread over the members is therefore compared with the spread over the
//! leave-one-fold-out refits, which includes the effect of autocorrelation because a fold is longer
//! than the correlation time of the noise. The variance of the refits is that of a delete-a-group
//! jackknife (Kott 2001): (F − 1)/F · Σ_f (θ_f − θ̄)².

use std::ops::Range;

use rayon::prelude::*;

use super::choose::TrainingData;
use super::layout::Target;
use super::map::{StepMap, StepScratch};
use super::regressor::Particle;
use super::starts::{Start, thin, window_at, write_inputs};
use crate::stats::mean;
use crate::trajectory::{Frame, Window};

/// Maximum number of starts (not tuned).
const STARTS: usize = 100;
/// Minimum number of starts, even if the number of predictions exceeds [`PREDICTIONS`] (not tuned).
const MIN_STARTS: usize = 12;
/// Maximum number of predictions per control (not tuned).
const PREDICTIONS: usize = 150_000;
/// Maximum factor by which the spread of the ensemble members is widened (not tuned).
const MAX_INFLATION: f64 = 10.0;
/// Number of starts from which the accumulation of errors is simulated (not tuned).
const ACCUMULATION_STARTS: usize = 10;
/// Number of starts from which late effects are simulated (not tuned).
const LATE_STARTS: usize = 40;
/// Length (in horizons) of the simulations that show how errors accumulate (not tuned).
const LONGEST: usize = 12;
/// Size of the error whose accumulation is simulated, in standard deviations of the signal (not tuned).
const ERROR: f64 = 0.01;
/// An error has settled if it changes by at most this fraction over the last horizon (not tuned).
const SETTLED: f64 = 0.02;
/// A spread of at most this fraction of the largest local effect is attributed to rounding errors.
const ROUNDING: f64 = 1e-6;

/// The average effect of a control on a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct AverageEffect {
    /// Columns of the schema.
    pub control: usize,
    pub signal: usize,
    /// Average effect in the mean model, per unit of the control.
    pub mean: f64,
    /// Average effect in each ensemble member; empty for a model without members.
    pub members: Vec<f64>,
    /// Factor by which the ensemble members understate the spread of the local effects around their
    /// average; at least 1.
    pub inflation: f64,
}

/// Growth of the error in a simulation to which a constant error is added at every step. The values
/// are relative to the mean error within the first horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Accumulation {
    /// The final error, which is 1 for an output without lags. `None` for an integrating state, whose error never
    /// settles.
    pub settled: Option<f64>,
    /// The mean error in each late window, which starts after one horizon.
    pub late: Vec<f64>,
}

/// Determines how an error in each target accumulates. `later` contains the numbers of horizons
/// after which the late windows end.
pub fn accumulation(data: &TrainingData, map: &StepMap, starts: &[Start], later: &[usize]) -> Vec<Accumulation> {
    let starts = thin(starts, ACCUMULATION_STARTS);
    let horizon = data.horizon.max(1);
    let targets = map.layout.targets.len();
    let one = |k: usize| -> Accumulation {
        let target = map.layout.targets[k];
        let size = ERROR * data.moments[target.signal()].sd;
        let rows = 2 * starts.len();
        let particles: Vec<Particle> = (0..rows).map(|r| Particle { member: None, rows: r..r + 1 }).collect();
        let mut errors = vec![vec![0.0; rows]; targets];
        errors[k].iter_mut().skip(1).step_by(2).for_each(|e| *e = size);
        let mut path = Vec::with_capacity(LONGEST * horizon);
        let pairs = Pairs { data, map, starts: &starts, particles: &particles, errors: Some(&errors) };
        pairs.simulate(
            LONGEST * horizon,
            |_| (),
            |window| {
                path.push(mean(&differences(window, target).map(|d| d / size).collect::<Vec<_>>()));
            },
        );
        let (last, before) = (path[path.len() - 1], path[path.len() - 1 - horizon]);
        let early = mean(&path[..horizon]);
        let factor = last / early;
        let settles = (last - before).abs() <= SETTLED * last.abs() && factor.is_finite();
        Accumulation {
            settled: settles.then(|| factor.clamp(1.0, LONGEST as f64)),
            late: later.iter().map(|w| mean(&path[horizon..w * horizon]) / early).collect(),
        }
    };
    if starts.is_empty() {
        return vec![Accumulation { settled: None, late: vec![f64::NAN; later.len()] }; targets];
    }
    (0..targets).into_par_iter().map(one).collect()
}

/// Computes the average effects of `control` on all targets of `map`. `refits` are the leave-one-fold-out refits
/// of `map`.
pub fn average_effects(
    data: &TrainingData,
    map: &StepMap,
    refits: &[StepMap],
    starts: &[Start],
    control: usize,
) -> Vec<AverageEffect> {
    let members = if map.regressor.members() > 1 { map.regressor.members() } else { 0 };
    let models: Vec<(&StepMap, Option<usize>)> = std::iter::once((map, None))
        .chain((0..members).map(|m| (map, Some(m))))
        .chain(refits.iter().map(|r| (r, None)))
        .collect();
    let per_start = 2 * models.len() * data.horizon.max(1);
    let starts = thin(starts, (PREDICTIONS / per_start).clamp(MIN_STARTS, STARTS));
    if starts.is_empty() {
        return Vec::new();
    }
    let horizon = 0..data.horizon;
    let local: Vec<Vec<Vec<f64>>> = models
        .par_iter()
        .map(|(map, member)| local_effects(data, map, *member, &starts, control, horizon.clone()))
        .collect();
    let targets = map.layout.targets.iter().enumerate();
    let summary = |(k, target): (usize, &Target)| {
        let averages: Vec<f64> = local.iter().map(|l| mean(&l[k])).collect();
        let around = |models: Range<usize>| -> f64 {
            let n = models.len() as f64;
            let variances = (0..starts.len()).map(|s| {
                let values: Vec<f64> = models.clone().map(|m| local[m][k][s] - averages[m]).collect();
                let center = mean(&values);
                values.iter().map(|v| (v - center).powi(2)).sum::<f64>() / n
            });
            variances.sum::<f64>() / starts.len() as f64
        };
        let by_member = around(1..1 + members);
        let folds = refits.len() as f64;
        let by_jackknife = (folds - 1.0) * around(1 + members..models.len());
        let largest = local[0][k].iter().fold(0.0, |l: f64, v| l.max(v.abs()));
        let inflation = (by_jackknife / by_member).sqrt();
        let is_spread = by_member.sqrt() > ROUNDING * largest && inflation.is_finite();
        AverageEffect {
            control,
            signal: target.signal(),
            mean: averages[0],
            members: averages[1..1 + members].to_vec(),
            inflation: if is_spread { inflation.clamp(1.0, MAX_INFLATION) } else { 1.0 },
        }
    };
    targets.map(summary).collect()
}

/// Computes the average effects of `control` on all targets in late windows of the mean model:
/// `[later][targets]`. Each window starts one horizon after a move and ends the given number of
/// horizons after the move.
pub fn late_effects(
    data: &TrainingData,
    map: &StepMap,
    starts: &[Start],
    control: usize,
    later: &[usize],
) -> Vec<Vec<f64>> {
    let starts = thin(starts, LATE_STARTS);
    let of = |windows: &usize| {
        let local = local_effects(data, map, None, &starts, control, data.horizon..windows * data.horizon);
        local.iter().map(|l| mean(l)).collect()
    };
    later.par_iter().map(of).collect()
}

/// Computes the local effect on each target at each start, averaged over the range `after` of steps
/// after a move: `[targets][starts]`.
fn local_effects(
    data: &TrainingData,
    map: &StepMap,
    member: Option<usize>,
    starts: &[Start],
    control: usize,
    after: Range<usize>,
) -> Vec<Vec<f64>> {
    let moments = &data.moments[control];
    // The control is moved towards its mean.
    let change: Vec<f64> = starts
        .iter()
        .map(|s| if data.log.at(control, s.row)[0] <= moments.mean { moments.sd } else { -moments.sd })
        .collect();
    let particles = [Particle { member, rows: 0..2 * starts.len() }];
    let mut sums = vec![vec![0.0; starts.len()]; map.layout.targets.len()];
    let raise = |window: &mut Window| {
        let column = window.column_mut(control, 0);
        change.iter().enumerate().for_each(|(r, c)| column[2 * r + 1] += c);
    };
    let mut step = 0;
    Pairs { data, map, starts, particles: &particles, errors: None }.simulate(after.end, raise, |window| {
        step += 1;
        if step <= after.start {
            return;
        }
        for (sums, target) in sums.iter_mut().zip(&map.layout.targets) {
            let local = differences(window, *target).zip(&change).map(|(d, c)| d / c);
            sums.iter_mut().zip(local).for_each(|(sum, d)| *sum += d);
        }
    });
    sums.iter_mut().flatten().for_each(|s| *s /= after.len() as f64);
    sums
}

/// Two open-loop simulations from each start. Rows 2 r and 2 r + 1 belong to start r.
struct Pairs<'a> {
    data: &'a TrainingData<'a>,
    map: &'a StepMap,
    starts: &'a [Start],
    particles: &'a [Particle],
    /// Errors that are added to the targets at each step: `[targets][particles]`.
    errors: Option<&'a [Vec<f64>]>,
}

impl Pairs<'_> {
    /// Simulates `steps` steps. At each step, `change` may change the logged inputs, and `visit` is called after the
    /// step.
    fn simulate(&self, steps: usize, change: impl Fn(&mut Window), mut visit: impl FnMut(&Window)) {
        let Self { data, map, starts, particles, errors } = *self;
        let mut window = window_at(map, data.log, starts, 2, 0);
        let mut scratch = StepScratch::default();
        for h in 0..steps {
            write_inputs(&mut window, data.log, starts, 2, h);
            change(&mut window);
            map.observe(&mut window, &mut scratch);
            map.step(&mut window, particles, errors, &mut scratch);
            visit(&window);
        }
    }
}

/// Returns the differences between paired simulations after a step. For a state, its next values
/// are compared; for an output, its current values.
fn differences(window: &Window, target: Target) -> impl Iterator<Item = f64> {
    window.column(target.signal(), usize::from(!target.is_next())).chunks(2).map(|pair| pair[1] - pair[0])
}
