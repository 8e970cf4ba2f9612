//! Estimates how often a limit is violated at a new setting from the errors of the model near this
//! setting.
//!
//! A simulated case has the noise of the logged settings. If the model is less accurate at the new
//! setting, or if the signal varies more there, the case would violate a limit more often than
//! simulated. Therefore, for every limit on an output, two groups of model errors in the log are
//! compared: the errors in rows in which the moved controls are near their values in the case, and
//! all errors. The simulated mean plus each error gives the expected fraction of violations in both
//! groups. If the fraction is larger near the new setting by more than chance explains, the
//! difference is added to the simulated fraction.

use std::collections::BTreeMap;

use super::plant::Plant;
use super::results::{LimitKind, LimitUse, NoiseSource};
use crate::learn::{Target, rollouts, starts};
use crate::schema::{Bounds, Role};
use crate::stats::{mean, mean_and_population_sd, t_quantile};
use crate::trajectory::Trajectory;

/// A control is moved if it differs from the baseline by more than this number of its standard
/// deviations (not tuned).
const MOVED: f64 = 0.1;
/// A row of the log is near a setting if each moved control differs from the setting by at most
/// this number of its standard deviations (not tuned).
const NEAR: f64 = 0.4;
/// Maximum fraction of the rows that are considered near a setting (not tuned).
const MAX_NEAR: f64 = 0.1;
/// Minimum number of separate periods near a setting (not tuned).
const MIN_PERIODS: usize = 5;
/// Normal quantile above which a difference is not attributed to chance.
const SIGNIFICANT: f64 = 2.33;
/// Maximum number of rows of the log for which errors are computed (not tuned).
const MAX_ROWS: usize = 20_000;

/// The errors of the model in the log.
pub struct LogErrors<'a> {
    plant: &'a Plant,
    /// For each output with a limit: its column, and pairs (row of the log, error).
    errors: Vec<(usize, Vec<(usize, f64)>)>,
    /// First row of the scenario.
    past: usize,
    noise: NoiseSource,
}

impl<'a> LogErrors<'a> {
    pub fn new(plant: &'a Plant, past: usize, noise: NoiseSource) -> Self {
        let (map, log) = (&plant.twin.map, &plant.log);
        let limited = |t: &Target| {
            let signal = &plant.schema.signals[t.signal()];
            matches!(t, Target::Level(_)) && (signal.hard != Bounds::OPEN || signal.soft != Bounds::OPEN)
        };
        let mut errors = Vec::new();
        if map.layout.targets.iter().any(limited) {
            let all = starts(map, log, &log.segments, 1, MAX_ROWS);
            let run = rollouts(map, log, all, 1, None);
            let targets = map.layout.targets.iter().enumerate().filter(|(_, t)| limited(t));
            errors.extend(targets.map(|(k, t)| {
                (t.signal(), run.pairs(k, 1).map(|pair| (run.starts[pair.start].row, pair.error())).collect())
            }));
        }
        Self { plant, errors, past, noise }
    }

    /// Adds to each of `limits` of a case the violations that its simulation leaves out.
    pub fn add(&self, limits: &mut [LimitUse], case: &Trajectory, baseline: &Trajectory) {
        let moved = self.moved(case, baseline);
        for (signal, errors) in self.errors.iter().filter(|_| !moved.is_empty()) {
            let name = &self.plant.schema.signals[*signal].name;
            for limit in limits.iter_mut().filter(|l| l.signal == *name) {
                let signal = &self.plant.schema.signals[*signal];
                let range = if limit.kind == LimitKind::Hard { signal.hard } else { signal.soft };
                let means = self.means(case, errors, name);
                if let Some(added) =
                    added(&self.neighbours(case, &moved, errors), &means, errors, range, self.plant.card.horizon)
                {
                    limit.share_beyond = (limit.share_beyond + added).min(1.0);
                    limit.chance = limit.chance.max(limit.share_beyond);
                    limit.near_setting = Some(added);
                }
            }
        }
    }

    /// The moved controls, with their standard deviations in the log.
    fn moved(&self, case: &Trajectory, baseline: &Trajectory) -> Vec<(usize, f64)> {
        let controls = self.plant.schema.with_role(Role::Control).into_iter();
        let of_log = |c: usize| {
            (c, mean_and_population_sd(self.plant.log.columns[c].iter().copied().filter(|v| v.is_finite())).1)
        };
        let differs = |(c, sd): &(usize, f64)| {
            let pairs = case.columns[*c].iter().zip(&baseline.columns[*c]);
            *sd > 0.0 && pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) > MOVED * sd
        };
        controls.map(of_log).filter(differs).collect()
    }

    /// The mean of the signal over particles at every step of the case, without the recorded noise.
    fn means(&self, case: &Trajectory, errors: &[(usize, f64)], name: &str) -> Vec<f64> {
        let Some(signal) = case.schema.find(name) else { return Vec::new() };
        let recorded = |step: usize| match self.noise {
            NoiseSource::Recorded => {
                errors.binary_search_by_key(&(self.past + step), |e| e.0).map_or(0.0, |found| errors[found].1)
            }
            NoiseSource::Drawn => 0.0,
        };
        (0..case.steps).map(|t| mean(case.at(signal, t)) - recorded(t)).collect()
    }

    /// Returns the steps of each setting of the case, and the pairs (row, error) near the setting.
    /// The errors are shifted to the setting.
    fn neighbours(&self, case: &Trajectory, moved: &[(usize, f64)], errors: &[(usize, f64)]) -> Vec<Near> {
        let at = |c: usize, t: usize| mean(case.at(c, t));
        let mut settings: BTreeMap<Vec<i64>, Vec<usize>> = BTreeMap::new();
        for t in 0..case.steps {
            let key = moved.iter().map(|(c, sd)| (at(*c, t) / (NEAR * sd)).round() as i64).collect();
            settings.entry(key).or_default().push(t);
        }
        let most = (MAX_NEAR * errors.len() as f64) as usize;
        let near = |steps: Vec<usize>| {
            let center: Vec<f64> =
                moved.iter().map(|(c, _)| mean(&steps.iter().map(|t| at(*c, *t)).collect::<Vec<_>>())).collect();
            let distance = |row: usize| {
                let of = |((c, sd), center): (&(usize, f64), &f64)| (self.plant.log.at(*c, row)[0] - center).abs() / sd;
                moved
                    .iter()
                    .zip(&center)
                    .map(of)
                    .fold(0.0, |far: f64, d| if d.is_nan() { f64::INFINITY } else { far.max(d) })
            };
            let mut ranked: Vec<(f64, usize)> = errors.iter().enumerate().map(|(i, e)| (distance(e.0), i)).collect();
            ranked.retain(|r| r.0 <= NEAR);
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(most);
            let mut found: Vec<usize> = ranked.into_iter().map(|r| r.1).collect();
            found.sort_unstable();
            let mut found: Vec<(usize, f64)> = found.into_iter().map(|i| errors[i]).collect();
            for ((c, _), center) in moved.iter().zip(&center) {
                let distances: Vec<f64> =
                    found.iter().map(|(row, _)| self.plant.log.at(*c, *row)[0] - center).collect();
                shift(&mut found, &distances);
            }
            Near { steps, errors: found }
        };
        settings.into_values().map(near).collect()
    }
}

/// A setting of a case.
struct Near {
    /// The steps of the case with this setting.
    steps: Vec<usize>,
    /// Pairs (row of the log, error) near the setting.
    errors: Vec<(usize, f64)>,
}

/// Shifts the errors along their least-squares line to a distance of zero.
fn shift(errors: &mut [(usize, f64)], distances: &[f64]) {
    let n = distances.len() as f64;
    let (center, level) = (distances.iter().sum::<f64>() / n, errors.iter().map(|e| e.1).sum::<f64>() / n);
    let (xx, xy) = distances
        .iter()
        .zip(errors.iter())
        .fold((0.0, 0.0), |(xx, xy), (d, e)| (xx + (d - center).powi(2), xy + (d - center) * (e.1 - level)));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    errors.iter_mut().zip(distances).for_each(|(e, d)| e.1 -= slope * d);
}

/// The additional fraction of violations of `range` due to the errors near the settings of a case; `None` if chance
/// explains it. `means` is the simulated mean at each step, and `errors` contains the errors in all rows. Rows near a
/// setting that are at most `gap` rows apart belong to the same period.
fn added(settings: &[Near], means: &[f64], errors: &[(usize, f64)], range: Bounds, gap: usize) -> Option<f64> {
    let (mut sum, mut variance, mut fewest) = (0.0, 0.0, usize::MAX);
    for Near { steps, errors: near } in settings {
        let mut levels: Vec<f64> = steps.iter().map(|t| means[*t]).filter(|m| m.is_finite()).collect();
        levels.sort_by(f64::total_cmp);
        let beyond = |error: f64| {
            let below = levels.partition_point(|m| m + error < range.low);
            let above = levels.len() - levels.partition_point(|m| m + error <= range.high);
            (below + above) as f64 / levels.len().max(1) as f64
        };
        let of_all = errors.iter().map(|e| beyond(e.1)).sum::<f64>() / errors.len() as f64;
        let periods: Vec<&[(usize, f64)]> = near.chunk_by(|a, b| b.0 <= a.0 + gap).collect();
        if levels.is_empty() || periods.len() < MIN_PERIODS {
            continue;
        }
        let n = near.len() as f64;
        let excess = |period: &[(usize, f64)]| period.iter().map(|e| beyond(e.1) - of_all).sum::<f64>();
        let difference = periods.iter().map(|p| excess(p)).sum::<f64>() / n;
        let squares = periods.iter().map(|p| ((excess(p) - p.len() as f64 * difference) / n).powi(2)).sum::<f64>();
        let count = periods.len() as f64;
        let weight = steps.len() as f64 / means.len() as f64;
        sum += weight * difference;
        variance += weight * weight * squares * count / (count - 1.0);
        fewest = fewest.min(periods.len());
    }
    let limit = t_quantile(SIGNIFICANT, fewest.saturating_sub(1).max(1) as f64) * f64::sqrt(variance);
    (sum > limit && sum > 0.0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;
    use crate::stats::normal_cdf;

    /// Errors in 4,000 rows. The rows in every tenth period of 20 rows are near the setting, and
    /// their errors have the standard deviation `near`. All other errors have the standard
    /// deviation 1.
    fn found(seed: u64, near: f64, bias: f64) -> Option<f64> {
        let is_near = |row: usize| (row / 20).is_multiple_of(10);
        let error = |row: usize| {
            let normal = Key::new(seed).normal(row as u64);
            (row, if is_near(row) { bias + near * normal } else { normal })
        };
        let errors: Vec<(usize, f64)> = (0..4000).map(error).collect();
        let near = errors.iter().copied().filter(|e| is_near(e.0)).collect();
        let near = [Near { steps: (0..100).collect(), errors: near }];
        added(&near, &[0.0; 100], &errors, Bounds { low: f64::NEG_INFINITY, high: 2.0 }, 1)
    }

    #[test]
    fn errors_near_the_setting_add_violations() {
        // The limit is 2 standard deviations above the mean error, but only 1 or 0.5 standard
        // deviations near the setting. Of the rows, 10 % are near the setting.
        for (sd, bias) in [(2.0, 0.0), (1.0, 1.5)] {
            let beyond = 1.0 - normal_cdf((2.0 - bias) / sd);
            let expected = 0.9 * (beyond - (1.0 - normal_cdf(2.0)));
            let found = found(1, sd, bias).unwrap();
            assert!((found / expected - 1.0).abs() < 0.2, "{found} {expected}");
        }
        // Smaller errors and equal errors near the setting add no violations.
        assert_eq!(found(1, 0.5, 0.0), None);
        let alarms = (0..200).filter(|seed| found(*seed, 1.0, 0.0).is_some()).count();
        assert!(alarms <= 6, "{alarms}");
    }

    #[test]
    fn errors_are_shifted_to_the_setting() {
        let mut errors: Vec<(usize, f64)> = [5.0, 7.0, 9.0, 11.0].into_iter().enumerate().collect();
        shift(&mut errors, &[1.0, 2.0, 3.0, 4.0]);
        assert!(errors.iter().all(|e| (e.1 - 3.0).abs() < 1e-12), "{errors:?}");
    }
}
