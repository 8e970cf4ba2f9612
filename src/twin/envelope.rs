//! The support envelope determines whether a combination of signal values is close to the training data (SUP-1).
//!
//! Let z be the vector of the states, controls and disturbances that the model reads at lag 0, standardised by their
//! mean and standard deviation over the training rows. R is a set of at most 6,000 reference rows. The training data
//! are divided into equal parts, and one reference row is drawn from each part. The squared distance of z to the
//! nearest reference row is D(z) = min { ‖z − r‖² : r ∈ R }.
//!
//! The thresholds are percentiles of D(q) over up to 3,000 training rows q. If R contains all
//! training rows, the rows q are also in R. Otherwise, no row q is in R. D(q) ignores reference
//! rows from the same period as q, because the state of a plant is always close to its recent
//! states. A point is inside if D(z) ≤ max(95th percentile, ½ resolution), at the edge if D(z) ≤
//! 99th percentile, and outside otherwise. The resolution is computed from the smallest difference
//! between two logged values of each signal. Without the term ½ resolution, the value 20.5 would be
//! outside the support if the log contained only whole numbers. A point is also outside if the
//! value of a single signal is outside ([`MarginalSupport`]) or missing.
//!
//! For d signals, fitting takes O(3,000 · 6,000 · d) operations, and labelling a row takes at most O(6,000 · d). For
//! most rows, labelling takes far fewer operations, because R is sorted by its first signal and the search ends at the
//! first close row.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::dynamics::Support;
use super::marginal::MarginalSupport;
use crate::rng::Key;
use crate::stats::{mean_and_population_sd, quantile_type_1};
use crate::trajectory::{Frame, Trajectory, Window};

/// Maximum number of reference rows (not tuned). The time needed to label a point increases with
/// the number of reference rows.
const POINTS: usize = 6_000;
/// Maximum number of rows from which the thresholds are computed (not tuned).
const QUERIES: usize = 3_000;
/// Minimum number of rows per parallel task (not tuned).
const MIN_ROWS: usize = 64;
/// Squared distances below this value are treated as rounding errors.
const ROUNDING: f32 = 1e-10;

/// Standardised reference rows of the signals read by a model, and thresholds on the distance to these rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    signals: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// `[signals]`.
    marginals: Vec<MarginalSupport>,
    /// Standardised reference rows, sorted by the first signal: `[points][signals]`.
    points: Vec<f32>,
    /// Largest squared distance at which a point is inside.
    inside: f32,
    /// Largest squared distance at which a point is at the edge.
    edge: f32,
}

impl Envelope {
    /// An envelope without limits: every point is inside.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Fits the envelope of `signals` to the training rows of `log` (1 particle). Rows with missing values are ignored.
    /// Two rows belong to the same period if they are at most `apart` rows apart.
    pub fn fit(log: &Trajectory, training: &[Range<usize>], signals: &[usize], apart: usize) -> Self {
        let complete = |t: &usize| signals.iter().all(|&s| log.columns[s][*t].is_finite());
        let rows: Vec<usize> = training.iter().cloned().flatten().filter(|t| *t < log.steps).filter(complete).collect();
        if signals.is_empty() || rows.len() < 2 {
            return Self::unlimited();
        }
        let (mean, scale): (Vec<f64>, Vec<f64>) =
            signals.iter().map(|&s| mean_and_scale(&log.columns[s], &rows)).unzip();
        let resolutions: Vec<f64> = signals.iter().map(|&s| resolution(&log.columns[s], &rows)).collect();
        let marginal = |(k, &s): (usize, &usize)| {
            MarginalSupport::fit(
                rows.iter().map(|&t| (log.columns[s][t], t)).collect(),
                apart,
                scale[k],
                resolutions[k],
            )
        };
        let marginals = signals.iter().enumerate().map(marginal).collect();
        let mut envelope = Self { signals: signals.to_vec(), mean, scale, marginals, ..Self::default() };

        let (reference, others) = stratified(&rows, POINTS);
        let mut points: Vec<(Vec<f32>, usize)> =
            reference.iter().map(|&t| (envelope.standardised(log, t), t)).collect();
        points.sort_by(|(a, _), (b, _)| {
            a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        envelope.points = points.iter().flat_map(|(p, _)| p).copied().collect();

        let (queries, _) = stratified(if others.is_empty() { &reference } else { &others }, QUERIES);
        let nearest = |t: &usize| {
            let point = envelope.standardised(log, *t);
            let others = points.iter().filter(|(_, row)| row.abs_diff(*t) > apart);
            others.fold(f32::INFINITY, |best, (p, _)| distance(&point, p, best).unwrap_or(best))
        };
        let mut distances: Vec<f32> = queries.par_iter().map(nearest).filter(|d| d.is_finite()).collect();
        distances.sort_by(f32::total_cmp);
        let (Some(p95), Some(p99)) = (quantile_type_1(&distances, 0.95), quantile_type_1(&distances, 0.99)) else {
            // All rows belong to the same period, so there are no distances from which to compute thresholds.
            return Self::unlimited();
        };
        let halves = resolutions.iter().zip(&envelope.scale).map(|(resolution, scale)| 0.5 * resolution / scale);
        let resolution = halves.map(|h| h * h).sum::<f64>() as f32 * (1.0 + 1e-5);
        envelope.inside = p95.max(resolution).max(ROUNDING);
        envelope.edge = p99.max(envelope.inside);
        envelope
    }

    /// Support of every row of the current frame: `[rows]`. Rows with a missing value are labelled as outside.
    pub fn label(&self, window: &Window) -> Vec<Support> {
        if self.points.is_empty() {
            return vec![Support::Inside; window.rows()];
        }
        let columns: Vec<&[f64]> = self.signals.iter().map(|&s| window.column(s, 0)).collect();
        let rows = (0..window.rows()).into_par_iter().with_min_len(MIN_ROWS);
        let point = || vec![0.0; columns.len()];
        rows.map_init(point, |point, row| {
            for (k, p) in point.iter_mut().enumerate() {
                *p = ((columns[k][row] - self.mean[k]) / self.scale[k]) as f32;
            }
            let worst = columns.iter().zip(&self.marginals).map(|(c, marginal)| marginal.label(c[row])).max();
            match worst {
                Some(Support::Outside) => Support::Outside,
                worst => self.label_by_distance(point).max(worst.unwrap_or(Support::Inside)),
            }
        })
        .collect()
    }

    /// Whether the sizes of all fields are consistent with each other and with a schema of `signals` columns.
    pub(super) fn is_valid(&self, signals: usize) -> bool {
        let d = self.signals.len();
        self.signals.iter().all(|&s| s < signals)
            && self.mean.len() == d
            && self.scale.len() == d
            && self.marginals.iter().all(MarginalSupport::is_valid)
            && if d == 0 { self.points.is_empty() } else { self.points.len().is_multiple_of(d) }
    }

    fn standardised(&self, log: &Trajectory, t: usize) -> Vec<f32> {
        let value = |k: usize| ((log.columns[self.signals[k]][t] - self.mean[k]) / self.scale[k]) as f32;
        (0..self.signals.len()).map(value).collect()
    }

    /// The label based only on the distance to the nearest reference row.
    fn label_by_distance(&self, point: &[f32]) -> Support {
        let d = point.len();
        let reach = self.edge.sqrt() * (1.0 + 1e-6);
        let first_at = |bound: f32, inclusive: bool| {
            let (mut low, mut high) = (0, self.points.len() / d);
            while low < high {
                let mid = (low + high) / 2;
                let v = self.points[mid * d];
                if v < bound || (inclusive && v <= bound) { low = mid + 1 } else { high = mid }
            }
            low
        };
        let (from, at) = (first_at(point[0] - reach, false), first_at(point[0], false));
        let to = first_at(point[0] + reach, true).max(at);
        // Search outwards from the position of the point until a nearby row is found.
        let mut below = self.points[from.min(at) * d..at * d].rchunks_exact(d);
        let mut above = self.points[at * d..to * d].chunks_exact(d);
        let mut found = Support::Outside;
        loop {
            let pair = [below.next(), above.next()];
            for p in pair.into_iter().flatten() {
                match distance(point, p, self.edge) {
                    Some(s) if s <= self.inside => return Support::Inside,
                    Some(_) => found = Support::Edge,
                    None => {}
                }
            }
            if pair == [None, None] {
                return found;
            }
        }
    }
}

/// Squared distance between `a` and `b`; `None` if the squared distance exceeds `limit`.
#[inline]
fn distance(a: &[f32], b: &[f32], limit: f32) -> Option<f32> {
    let mut sum = 0.0;
    for (x, y) in a.iter().zip(b) {
        sum += (x - y) * (x - y);
        if sum > limit {
            return None;
        }
    }
    // The comparison `sum > limit` is false if `sum` is NaN, so `sum <= limit` is tested as well.
    (sum <= limit).then_some(sum)
}

/// Mean and standard deviation. The standard deviation of a constant signal is set so small that any other value is far
/// away.
fn mean_and_scale(column: &[f64], rows: &[usize]) -> (f64, f64) {
    let (mean, deviation) = mean_and_population_sd(rows.iter().map(|&t| column[t]));
    (mean, deviation.max(1e-6 * mean.abs().max(1e-3)))
}

/// Smallest difference between two distinct values; zero if all values are equal.
fn resolution(column: &[f64], rows: &[usize]) -> f64 {
    let mut values: Vec<f64> = rows.iter().map(|&t| column[t]).collect();
    values.sort_by(f64::total_cmp);
    let steps = values.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0.0);
    steps.min_by(f64::total_cmp).unwrap_or(0.0)
}

/// Divides `rows` into a sample of at most `n` rows and the remaining rows. The sample contains one random row from
/// each of `n` equal parts, because a fixed stride could select the same hour of every day.
fn stratified(rows: &[usize], n: usize) -> (Vec<usize>, Vec<usize>) {
    if rows.len() <= n {
        return (rows.to_vec(), Vec::new());
    }
    let key = Key::new(0x656E_7665_6C6F_7065);
    let mut taken = vec![false; rows.len()];
    for i in 0..n {
        let (from, to) = (i * rows.len() / n, (i + 1) * rows.len() / n);
        taken[from + key.below(i as u64, to - from)] = true;
    }
    let pick = |wanted: bool| rows.iter().zip(&taken).filter(|(_, t)| **t == wanted).map(|(r, _)| *r).collect();
    (pick(true), pick(false))
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range")]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::{self, MoveLimit, Role, Schema, Signal, Switching};
    use crate::units::Unit;

    fn random_log(steps: usize, signals: usize) -> Trajectory {
        let signal = |i| Signal {
            name: format!("x{i}"),
            role: Role::State,
            unit: Unit::one(),
            hard: schema::Bounds::OPEN,
            soft: schema::Bounds::OPEN,
            max_move: MoveLimit::NONE,
            multiple: 0.0,
            switching: Switching::NONE,
        };
        let schema = Arc::new(Schema::new((0..signals).map(signal).collect()));
        let mut log = Trajectory::empty(schema, Timestamp::UNIX_EPOCH, 1000, steps, 1);
        for (i, column) in log.columns.iter_mut().enumerate() {
            Key::new(3).fold(i as u64).fill_normal(column);
        }
        log
    }

    fn window_of(log: &Trajectory, rows: Range<usize>) -> Window {
        let mut w = Window::new(log.schema.len(), 1, rows.len(), log.start, log.step_ms);
        for s in 0..log.schema.len() {
            w.column_mut(s, 0).copy_from_slice(&log.columns[s][rows.clone()]);
        }
        w
    }

    fn shares(labels: &[Support]) -> [f64; 3] {
        [Support::Inside, Support::Edge, Support::Outside]
            .map(|k| labels.iter().filter(|l| **l == k).count() as f64 / labels.len() as f64)
    }

    #[test]
    fn new_rows_are_95_percent_inside_and_4_percent_at_the_edge() {
        // The second half of the log has the same distribution as the first half, which is the training data.
        let log = random_log(12_000, 4);
        let envelope = Envelope::fit(&log, &[0..6_000], &[0, 1, 2, 3], 0);
        let [inside, edge, outside] = shares(&envelope.label(&window_of(&log, 6_000..12_000)));
        assert!((inside - 0.95).abs() < 0.012 && (edge - 0.04).abs() < 0.012, "{inside} {edge} {outside}");
        assert!((outside - 0.01).abs() < 0.006, "{outside}");
    }

    #[test]
    fn thresholds_of_a_short_log_come_from_leave_one_out_distances() {
        let log = random_log(1_000, 3);
        let envelope = Envelope::fit(&log, &[0..1_000], &[0, 1, 2], 0);
        // Every row has a distance of zero to itself, but the thresholds are computed from the distances to other rows.
        assert_eq!(shares(&envelope.label(&window_of(&log, 0..1_000))), [1.0, 0.0, 0.0]);
        assert!(envelope.inside > 0.01 && envelope.edge > envelope.inside);
    }

    #[test]
    fn distances_within_a_period_are_ignored() {
        // In a slow random walk, every row is close to the previous row and far from all other
        // rows.
        let mut log = random_log(4_000, 3);
        for column in &mut log.columns {
            let mut level = 0.0;
            column.iter_mut().for_each(|v| {
                level = 0.98 * level + *v;
                *v = level;
            });
        }
        let label = |apart| {
            let envelope = Envelope::fit(&log, &[0..2_000], &[0, 1, 2], apart);
            shares(&envelope.label(&window_of(&log, 2_000..4_000)))
        };
        let ([_, _, all_rows], [_, _, other_periods]) = (label(0), label(100));
        assert!(all_rows > 0.1 && other_periods < 0.03, "{all_rows} {other_periods}");
    }

    #[test]
    fn distant_and_missing_values_and_changes_of_a_constant_are_outside() {
        let mut log = random_log(3_000, 3);
        log.columns[2].fill(7.0);
        let envelope = Envelope::fit(&log, &[0..3_000], &[0, 1, 2], 0);
        let mut w = Window::new(3, 1, 4, log.start, log.step_ms);
        w.column_mut(0, 0).copy_from_slice(&[0.0, 9.0, f64::NAN, 0.0]);
        w.column_mut(1, 0).copy_from_slice(&[0.0; 4]);
        w.column_mut(2, 0).copy_from_slice(&[7.0, 7.0, 7.0, 8.0]);
        use Support::{Inside, Outside};
        assert_eq!(envelope.label(&w), [Inside, Outside, Outside, Outside]);
        assert_eq!(Envelope::unlimited().label(&w), [Inside; 4]);
    }

    #[test]
    fn values_between_whole_numbers_are_inside() {
        let mut log = random_log(3_000, 1);
        log.columns[0].iter_mut().for_each(|v| *v = (20.0 + 5.0 * *v).round());
        let envelope = Envelope::fit(&log, &[0..3_000], &[0], 0);
        let mut w = Window::new(1, 1, 3, log.start, log.step_ms);
        w.column_mut(0, 0).copy_from_slice(&[20.0, 20.5, 60.0]);
        assert_eq!(envelope.label(&w), [Support::Inside, Support::Inside, Support::Outside]);
    }

    #[test]
    fn the_sorted_search_agrees_with_a_full_search() {
        let log = random_log(4_000, 5);
        let envelope = Envelope::fit(&log, &[0..2_000], &[0, 1, 2, 3, 4], 0);
        for t in 2_000..2_400 {
            let p = envelope.standardised(&log, t);
            let all = envelope.points.chunks_exact(5);
            let d = all.fold(f32::INFINITY, |best, q| distance(&p, q, best).unwrap_or(best));
            let full = if d <= envelope.inside {
                Support::Inside
            } else if d <= envelope.edge {
                Support::Edge
            } else {
                Support::Outside
            };
            assert_eq!(envelope.label_by_distance(&p), full);
        }
    }
}
