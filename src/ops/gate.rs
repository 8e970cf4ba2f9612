//! The gate, which compares champion and challenger. Both models forecast the same newest blocks of the log, which were
//! not used to fit either of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::config::{MIN_BLOCKS, block_steps};
use crate::learn::{NoiseModel, Rollouts, StepMap, rollouts, starts};
use crate::rng::Key;
use crate::trajectory::Trajectory;

/// Comparison of champion and challenger on the same blocks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of time blocks, each of which counts as one independent sample.
    pub blocks: usize,
    /// Relative change of the loss from champion to challenger. Negative values mean that the challenger is better.
    pub change: f64,
    /// Upper end of the one-sided 95 % confidence interval of `change`, by bootstrap over blocks.
    pub bound: f64,
    /// Coverage of the 90 % intervals of the challenger at the control horizon.
    pub coverage: f64,
    /// Largest accepted difference between `coverage` and 0.9.
    pub tolerance: f64,
    /// Coverage of the 90 % intervals of the champion at the control horizon, with the widths that were calibrated when
    /// it was fitted.
    pub champion_coverage: f64,
}

/// The log has too few blocks for a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooFewBlocks {
    /// Number of blocks that were not used to fit either model.
    pub found: usize,
    /// Length of a block in steps.
    pub length: usize,
}

/// The decision of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub promote: bool,
    /// One sentence.
    pub reason: String,
}

/// Number of bootstrap resamples (not tuned).
const RESAMPLES: u64 = 2000;

/// Scores both models on the row ranges `segments` of `log`, up to `horizon` steps ahead. The derived signals in `log`
/// must have been computed.
///
/// The loss of a forecast start is the continuous ranked probability score divided by the mean absolute error of
/// persistence, averaged over signals and horizons. Starts are grouped into blocks ([`block_steps`]). The blocks are
/// resampled (Künsch 1989), because the errors of neighbouring forecasts are correlated.
///
/// # Errors
/// Returns [`TooFewBlocks`] if fewer than [`MIN_BLOCKS`] blocks contain a forecast start.
pub fn compare(
    champion: (&StepMap, &NoiseModel),
    challenger: (&StepMap, &NoiseModel),
    log: &Trajectory,
    segments: &[Range<usize>],
    horizon: usize,
    seed: u64,
) -> Result<Comparison, TooFewBlocks> {
    let length = block_steps(horizon, log.step_ms);
    // both models forecast from the same rows, which are determined by the model that needs more past values
    let longer_past = if champion.0.depth() >= challenger.0.depth() { champion.0 } else { challenger.0 };
    let common = starts(longer_past, log, segments, horizon, 4000);
    let run = |(map, noise): (&StepMap, &NoiseModel)| rollouts(map, log, common.clone(), horizon, Some(&noise.process));
    let (old, new) = (run(champion), run(challenger));
    let scale = scales(&old.persistence());
    let Losses { loss: old_loss, fixed_coverage: champion_coverage, .. } = losses(&old, champion.1, &scale);
    let Losses { loss: new_loss, coverage, .. } = losses(&new, challenger.1, &scale);

    let mut blocks: Vec<(f64, f64)> = Vec::new();
    let mut last = usize::MAX;
    for (start, (o, n)) in common.iter().zip(old_loss.iter().zip(&new_loss)) {
        if !(o.is_finite() && n.is_finite()) {
            continue;
        }
        if start.row / length != last {
            blocks.push((0.0, 0.0));
            last = start.row / length;
        }
        if let Some(block) = blocks.last_mut() {
            block.0 += o;
            block.1 += n;
        }
    }
    if blocks.len() < MIN_BLOCKS {
        return Err(TooFewBlocks { found: blocks.len(), length });
    }
    let ratio = |pick: &dyn Fn(usize) -> usize| {
        let (o, n) = (0..blocks.len()).map(|i| blocks[pick(i)]).fold((0.0, 0.0), |s, b| (s.0 + b.0, s.1 + b.1));
        n / o - 1.0
    };
    let key = Key::new(seed);
    let mut changes: Vec<f64> = (0..RESAMPLES)
        .map(|d| {
            let key = key.fold(d);
            ratio(&|i| key.below(i as u64, blocks.len()))
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    Ok(Comparison {
        blocks: blocks.len(),
        change: ratio(&|i| i),
        bound: changes[(changes.len() * 95) / 100],
        coverage,
        // the tolerance is 1.96 times the standard error of a coverage of 0.9, if each block is one independent sample;
        // the bounds of the tolerance are not tuned
        tolerance: (1.96 * (0.09 / blocks.len() as f64).sqrt()).clamp(0.03, 0.12),
        champion_coverage,
    })
}

/// Largest increase of the loss with which a challenger may replace a champion that is too old (not tuned).
const AGED_MARGIN: f64 = 0.02;
/// Smallest loss of coverage that counts as drift (not tuned).
const DRIFT_MARGIN: f64 = 0.05;

/// Whether the coverage of the champion's intervals on the newest values is significantly below the coverage that was
/// found when the champion was fitted (`promised`). A significant loss of coverage means that the plant or its sensors
/// have changed.
pub fn has_drifted(c: &Comparison, promised: f64) -> bool {
    c.champion_coverage < promised.min(0.9) - DRIFT_MARGIN.max(c.tolerance)
}

/// Promotes the challenger if it is significantly better and its intervals have the right coverage. A champion that is
/// too old (`aged`) is also replaced if the challenger is not significantly worse.
pub fn decide(c: &Comparison, aged: bool) -> Decision {
    let percent = |v: f64| format!("{:+.1} %", 100.0 * v);
    let evidence = format!(
        "over {} blocks, the challenger changes the loss by {} (upper 95 % bound: {})",
        c.blocks,
        percent(c.change),
        percent(c.bound)
    );
    let (promote, reason) = if !(c.change.is_finite() && c.bound.is_finite() && c.coverage.is_finite()) {
        (false, "champion kept: the challenger has no finite score".to_owned())
    } else if c.bound >= if aged { AGED_MARGIN } else { 0.0 } {
        (false, format!("champion kept: the challenger is not significantly better; {evidence}"))
    } else if (c.coverage - 0.9).abs() > c.tolerance {
        let covers = 100.0 * c.coverage;
        (
            false,
            format!(
                "champion kept: the challenger's 90 % intervals cover {covers:.0} % at the control horizon; {evidence}"
            ),
        )
    } else {
        (true, format!("challenger promoted: {evidence}"))
    };
    Decision { promote, reason }
}

/// Mean absolute error of persistence for each signal.
fn scales(persistence: &Rollouts) -> Vec<f64> {
    (0..persistence.signals.len())
        .map(|k| {
            let errors = (1..=persistence.horizon).flat_map(|h| persistence.pairs(k, h)).map(|p| p.error().abs());
            let (sum, n) = errors.fold((0.0, 0usize), |(s, n), e| (s + e, n + 1));
            if n > 0 && sum > 0.0 { sum / n as f64 } else { 1.0 }
        })
        .collect()
}

/// The scores of one model.
struct Losses {
    /// Loss of the forecast from each start row; NaN if there is no measurement with which to compare the forecast.
    loss: Vec<f64>,
    /// Coverage of the 90 % interval at the last horizon, with adaptive and with calibrated widths.
    coverage: f64,
    fixed_coverage: f64,
}

fn losses(run: &Rollouts, noise: &NoiseModel, scale: &[f64]) -> Losses {
    let n = run.starts.len();
    let (mut sum, mut count) = (vec![0.0; n], vec![0usize; n]);
    let (mut inside, mut inside_fixed, mut all) = (0usize, 0usize, 0usize);
    // interval widths adapt to the errors of earlier forecasts, as if each forecast had been made in real time
    let widths = noise.tracking.replay(&noise.calibration, run);
    for (k, scale) in scale.iter().enumerate() {
        for h in 1..=run.horizon {
            let (low, high) = noise.calibration.interval(k, h, 0.9);
            for pair in run.pairs(k, h) {
                let fixed = noise.calibration.local_width(k, h, pair.model_sd);
                let width = fixed * widths.at(k, h, pair.start);
                sum[pair.start] += noise.calibration.crps(k, h, width, pair.error()) / scale;
                count[pair.start] += 1;
                // a signal that is forecast without error has an interval of width 0, which says nothing about coverage
                if h == run.horizon && low < high {
                    all += 1;
                    inside += usize::from((low..=high).contains(&(pair.error() / width)));
                    inside_fixed += usize::from((low..=high).contains(&(pair.error() / fixed)));
                }
            }
        }
    }
    let loss = sum.iter().zip(&count).map(|(s, c)| if *c > 0 { s / *c as f64 } else { f64::NAN }).collect();
    let share = |n: usize| n as f64 / all as f64;
    Losses { loss, coverage: share(inside), fixed_coverage: share(inside_fixed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(change: f64, bound: f64, coverage: f64) -> Decision {
        decide(&Comparison { blocks: 14, change, bound, coverage, tolerance: 0.1, champion_coverage: 0.9 }, false)
    }

    #[test]
    fn a_challenger_is_promoted_only_if_significantly_better_and_calibrated() {
        assert!(decision(-0.1, -0.02, 0.9).promote);
        assert!(!decision(-0.1, 0.01, 0.9).promote);
        assert!(!decision(0.0, 0.0, 0.9).promote);
        assert!(!decision(-0.1, -0.02, 0.6).promote);
        assert!(!decision(f64::NAN, -0.1, 0.9).promote);
        assert!(!decision(-0.1, -0.02, f64::NAN).promote);
    }

    #[test]
    fn an_aged_champion_yields_to_a_challenger_that_is_not_worse() {
        let at = |bound| Comparison {
            blocks: 14,
            change: 0.0,
            bound,
            coverage: 0.9,
            tolerance: 0.1,
            ..Comparison::default()
        };
        assert!(decide(&at(0.019), true).promote && !decide(&at(0.019), false).promote);
        assert!(!decide(&at(0.02), true).promote && !decide(&at(f64::NAN), true).promote);
    }

    #[test]
    fn drift_is_a_loss_of_coverage_that_chance_does_not_explain() {
        let covers = |champion_coverage| Comparison { tolerance: 0.1, champion_coverage, ..Comparison::default() };
        assert!(has_drifted(&covers(0.79), 0.93) && !has_drifted(&covers(0.81), 0.93));
        // the intervals were already too narrow on the hold-out
        assert!(!has_drifted(&covers(0.72), 0.8) && has_drifted(&covers(0.69), 0.8));
        assert!(!has_drifted(&covers(f64::NAN), 0.9));
        let many = Comparison { tolerance: 0.03, ..covers(0.86) };
        assert!(!has_drifted(&many, 0.9) && has_drifted(&Comparison { champion_coverage: 0.84, ..many }, 0.9));
    }
}
