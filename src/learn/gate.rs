//! The gate, which compares champion and challenger. Both models forecast the same newest blocks of the log, which were
//! not used to fit either of them.

use std::ops::Range;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::drift::LossRatio;
use super::map::StepMap;
use super::noise_model::NoiseModel;
use super::rollouts::{Rollouts, rollouts};
use super::starts::{Start, starts};
use crate::config::{MIN_BLOCKS, block_steps};
use crate::rng::Key;
use crate::stats::{NORMAL_95, quantile_type_1, sorted_finite, student_t_95};
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
    /// The slice in which the loss increases most from champion to challenger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_slice: Option<Slice>,
}

/// Comparison of champion and challenger under particular operating conditions, such as at
/// weekends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    pub name: String,
    /// Relative change of the loss from champion to challenger.
    pub change: f64,
}

/// A fitted model and its noise model.
pub type Model<'a> = (&'a StepMap, &'a NoiseModel);

/// Error if the log has too few blocks for a comparison.
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
    /// The reason in one sentence.
    pub reason: String,
}

/// Number of bootstrap resamples (not tuned).
const RESAMPLES: u64 = 2000;
/// Maximum number of forecast starts.
const STARTS: usize = 4000;
/// Minimum number of blocks in which a slice must have forecast starts (not tuned).
const MIN_SLICE_BLOCKS: usize = 4;
/// Largest acceptable increase in loss in a slice.
const SLICE_MARGIN: f64 = 0.05;

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
    champion: Model<'_>,
    challenger: Model<'_>,
    log: &Trajectory,
    segments: &[Range<usize>],
    horizon: usize,
    zone: &TimeZone,
    seed: u64,
) -> Result<Comparison, TooFewBlocks> {
    let length = block_steps(horizon, log.step_ms);
    // both models forecast from the same rows, which are determined by the model that needs more past values
    let longer_past = if champion.0.depth() >= challenger.0.depth() { champion.0 } else { challenger.0 };
    let common = starts(longer_past, log, segments, horizon, STARTS);
    let run = |(map, noise): Model<'_>| rollouts(map, log, common.clone(), horizon, Some(&noise.process));
    let (old, new) = (run(champion), run(challenger));
    let scale = scales(&old.persistence());
    let Losses { loss: old_loss, fixed_coverage: champion_coverage, .. } = losses(&old, champion.1, &scale);
    let Losses { loss: new_loss, coverage, .. } = losses(&new, challenger.1, &scale);

    let both: Vec<[f64; 2]> = old_loss.into_iter().zip(new_loss).map(|(o, n)| [o, n]).collect();
    let blocks = block_sums(&common, &both, length, |_| true);
    if blocks.len() < MIN_BLOCKS {
        return Err(TooFewBlocks { found: blocks.len(), length });
    }
    let (change, changes) = bootstrap(Key::new(seed), &[&blocks], &|[sum]| sum[1] / sum[0] - 1.0);
    Ok(Comparison {
        blocks: blocks.len(),
        change,
        bound: upper_bound(change, &changes, blocks.len()),
        coverage,
        // the tolerance is 1.96 times the standard error of a coverage of 0.9, if each block is one independent sample;
        // the bounds of the tolerance are not tuned
        tolerance: (1.96 * (0.09 / blocks.len() as f64).sqrt()).clamp(0.03, 0.12),
        champion_coverage,
        worst_slice: worst_slice(&old, log, &both, length, zone),
    })
}

/// The loss of `model` in the row ranges `new` of `log`, relative to its loss in the row ranges `reference`. Each loss
/// is relative to the error of persistence in the same ranges. Returns `None` if either part has
/// too few blocks.
pub fn loss_ratio(
    (map, noise): Model<'_>,
    log: &Trajectory,
    reference: &[Range<usize>],
    new: &[Range<usize>],
    horizon: usize,
    seed: u64,
) -> Option<LossRatio> {
    let length = block_steps(horizon, log.step_ms);
    let sums = |segments: &[Range<usize>]| {
        let starts = starts(map, log, segments, horizon, STARTS);
        let run = rollouts(map, log, starts.clone(), horizon, Some(&noise.process));
        let loss = losses(&run, noise, &scales(&run.persistence())).loss;
        block_sums(&starts, &loss.iter().map(|l| [*l, 1.0]).collect::<Vec<_>>(), length, |_| true)
    };
    let (before, now) = (sums(reference), sums(new));
    if before.len().min(now.len()) < MIN_BLOCKS {
        return None;
    }
    let ratio = |[before, now]: [[f64; 2]; 2]| now[0] / now[1] * before[1] / before[0];
    let (ratio, ratios) = bootstrap(Key::new(seed), &[&before, &now], &ratio);
    let low = quantile_type_1(&sorted_finite(&ratios), 0.05)?;
    ratio.is_finite().then_some(LossRatio { ratio, low })
}

/// Upper end of the one-sided 95 % confidence interval of `change`, from its sorted bootstrap resamples. If there are
/// few blocks, the bootstrap interval is too narrow, so it is widened with a quantile of Student's
/// t distribution.
fn upper_bound(change: f64, resampled: &[f64], blocks: usize) -> f64 {
    let n = blocks as f64;
    let factor = student_t_95(n - 1.0) / NORMAL_95 * (n / (n - 1.0)).sqrt();
    change + factor * (resampled[(resampled.len() * 95) / 100] - change)
}

/// Sums of `values` over the starts in each block of `length` rows. Starts that `selected` rejects
/// or that have a value that is not finite are left out.
fn block_sums(starts: &[Start], values: &[[f64; 2]], length: usize, selected: impl Fn(usize) -> bool) -> Vec<[f64; 2]> {
    let mut blocks: Vec<[f64; 2]> = Vec::new();
    let mut last = usize::MAX;
    for (i, (start, [a, b])) in starts.iter().zip(values).enumerate() {
        if !(a.is_finite() && b.is_finite() && selected(i)) {
            continue;
        }
        if start.row / length != last {
            blocks.push([0.0; 2]);
            last = start.row / length;
        }
        if let Some(block) = blocks.last_mut() {
            block[0] += a;
            block[1] += b;
        }
    }
    blocks
}

/// Computes a statistic of the block sums in `lists`. Returns the statistic and its sorted values
/// in bootstrap resamples of the blocks.
fn bootstrap<const N: usize>(
    key: Key,
    lists: &[&Vec<[f64; 2]>; N],
    statistic: &dyn Fn([[f64; 2]; N]) -> f64,
) -> (f64, Vec<f64>) {
    let total = |pick: &dyn Fn(usize, usize, usize) -> usize| {
        statistic(std::array::from_fn(|list| {
            let blocks = lists[list];
            let chosen = (0..blocks.len()).map(|i| blocks[pick(list, i, blocks.len())]);
            chosen.fold([0.0; 2], |s, b| [s[0] + b[0], s[1] + b[1]])
        }))
    };
    let resample = |d: u64| {
        let key = key.fold(d);
        total(&|list, i, n| if list == 0 { key.below(i as u64, n) } else { key.fold(list as u64).below(i as u64, n) })
    };
    let mut resampled: Vec<f64> = (0..RESAMPLES).map(resample).collect();
    resampled.sort_by(f64::total_cmp);
    (total(&|_, i, _| i), resampled)
}

/// Returns the slice with the largest increase of the loss: a quarter of the day, the weekends or
/// the working days, or low, medium or high values of the first signal. Slices whose forecast
/// starts are in too few blocks are left out.
fn worst_slice(run: &Rollouts, log: &Trajectory, losses: &[[f64; 2]], length: usize, zone: &TimeZone) -> Option<Slice> {
    let times: Vec<_> = run.starts.iter().map(|s| log.time(s.row).to_zoned_datetime(zone.clone())).collect();
    let weekend = |i: usize| matches!(times[i].weekday(), Weekday::Saturday | Weekday::Sunday);
    let quarter = |q: i8| move |hour: i8| hour / 6 == q;
    let level = run.last.first().map_or(&[][..], Vec::as_slice);
    let sorted = sorted_finite(level);
    let third = |k: usize| sorted.get(k * sorted.len() / 3).copied().unwrap_or(f64::NAN);
    let signal = run.signals.first().map_or("", |s| &log.schema.signals[*s].name);
    type Selected<'a> = Box<dyn Fn(usize) -> bool + 'a>;
    let mut slices: Vec<(String, Selected<'_>)> = vec![
        ("weekends".into(), Box::new(weekend)),
        ("working days".into(), Box::new(|i| !weekend(i))),
        (format!("low `{signal}`"), Box::new(|i| level[i] < third(1))),
        (format!("medium `{signal}`"), Box::new(|i| level[i] >= third(1) && level[i] < third(2))),
        (format!("high `{signal}`"), Box::new(|i| level[i] >= third(2))),
    ];
    for (q, name) in ["0:00–6:00", "6:00–12:00", "12:00–18:00", "18:00–24:00"].into_iter().enumerate() {
        let (is_in, times) = (quarter(q as i8), &times);
        slices.push((name.into(), Box::new(move |i| is_in(times[i].hour()))));
    }
    let change = |(name, selected): (String, Selected<'_>)| {
        let blocks = block_sums(&run.starts, losses, length, selected);
        let [old, new] = blocks.iter().fold([0.0; 2], |s, b| [s[0] + b[0], s[1] + b[1]]);
        let change = new / old - 1.0;
        (blocks.len() >= MIN_SLICE_BLOCKS && change.is_finite()).then_some(Slice { name, change })
    };
    slices.into_iter().filter_map(change).max_by(|a, b| a.change.total_cmp(&b.change))
}

/// A challenger may replace a champion that is too old if the upper confidence bound of the change
/// in loss is below this value (not tuned).
const AGED_MARGIN: f64 = 0.02;
/// Smallest decrease in coverage that is regarded as drift (not tuned).
const DRIFT_MARGIN: f64 = 0.05;

/// Returns true if the coverage of the champion's intervals on the newest values is significantly
/// below the coverage that was found when the champion was fitted (`promised`). A significant loss
/// of coverage means that the plant or its sensors have changed.
pub fn has_drifted(c: &Comparison, promised: f64) -> bool {
    c.champion_coverage < promised.min(0.9) - DRIFT_MARGIN.max(c.tolerance)
}

/// Promotes the challenger if it is significantly better, is not much worse in any slice, and has
/// intervals with the right coverage. A champion that is too old (`aged`) is also replaced if the
/// challenger is not significantly worse.
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
    } else if let Some(slice) = c.worst_slice.as_ref().filter(|s| s.change > SLICE_MARGIN) {
        let Slice { name, change } = slice;
        (
            false,
            format!(
                "champion kept: in the slice “{name}”, the challenger changes the loss by {}; {evidence}",
                percent(*change)
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
    // the interval widths adapt to the errors of earlier forecasts, as they would in operation
    let widths = noise.tracking.replay(&noise.calibration, run);
    for (k, scale) in scale.iter().enumerate() {
        for h in 1..=run.horizon {
            let (low, high) = noise.calibration.interval(k, h, 0.9);
            for pair in run.pairs(k, h) {
                let fixed = noise.calibration.local_width(k, h, pair.model_sd);
                let width = fixed * widths.at(k, h, pair.start);
                sum[pair.start] += noise.calibration.crps(k, h, width, pair.error()) / scale;
                count[pair.start] += 1;
                // a signal that is forecast without error has an interval of width 0, for which
                // coverage is meaningless
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
#[path = "../../tests/unit/learn/gate.rs"]
mod tests;
