//! Constraint tightening: each limit is tightened by a margin that ensures a given probability of
//! satisfying the limit.
//!
//! A plan is evaluated only in a few futures or on the ensemble mean. The standard deviation σ of each limited signal
//! at each step is therefore computed from `FUTURES` simulated futures of the last plan. The limit is tightened by
//! Φ⁻¹(confidence) σ (Mesbah 2016). For a linear twin, σ does not depend on the plan.

use super::evaluator::Evaluator;
use super::margins::Margins;
use super::setup::Setup;
use super::start::PlanStart;
use crate::rng::normal_quantile;
use crate::stats::mean_and_sample_sd;

/// Number of simulated futures, from which σ can be estimated with a standard error of about 9 %.
const FUTURES: usize = 64;

/// Computes the margins from simulated futures of `sequence`, `[moves * controls]`. The margins are empty if
/// `confidence` is not set or if there are no limits.
pub(super) fn tighten(evaluator: &mut Evaluator, setup: &Setup, start: &PlanStart, sequence: &[f64]) -> Margins {
    let limits = &setup.limits.plant;
    let Some(confidence) = setup.limits.confidence.filter(|_| !limits.is_empty()) else { return Margins::default() };
    let (horizon, planned) = (setup.horizon.steps(), evaluator.futures().count());
    // Without noise, a plan is evaluated with the ensemble mean or in one future per ensemble member, so deviations
    // between its futures are not due to noise.
    let noisy = evaluator.futures().noisy;
    let mut margins = Margins {
        futures: planned,
        widths: vec![vec![0.0; horizon]; limits.len()],
        deviations: vec![vec![0.0; horizon * planned]; limits.len()],
    };
    let Margins { widths, deviations, .. } = &mut margins;
    let quantile = normal_quantile(confidence);
    // The first `planned` futures are the futures for which the plan was optimised, with the same
    // noise.
    evaluator.simulate(setup, start, sequence, FUTURES.max(planned), &mut |step, frame, _| {
        for (l, limit) in limits.iter().enumerate() {
            let values = limit.column(frame);
            let (mean, deviation) = mean_and_deviation(values);
            widths[l][step] = quantile * deviation;
            if noisy {
                let own = &mut deviations[l][step * planned..(step + 1) * planned];
                own.iter_mut().zip(values).for_each(|(o, v)| *o = if v.is_finite() { v - mean } else { 0.0 });
            }
        }
    });
    margins
}

/// Mean and standard deviation of the finite values; both are zero if there are fewer than two finite values.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    if finite().count() < 2 {
        return (0.0, 0.0);
    }
    mean_and_sample_sd(finite())
}
