//! The envelope of support: how far a point lies from what the model was trained on.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Support;
use super::marginal::MarginalSupport;
use crate::rng::Key;
use crate::stats::{mean_and_population_sd, quantile_type_1};
use crate::trajectory::{Frame, Trajectory, Window};

/// Most reference points kept.
const POINTS: usize = 6_000;
/// Most left-out rows whose distance sets the thresholds.
const LEFT_OUT: usize = 3_000;
/// Rows that are labelled as one piece of work, at least.
const PIECE: usize = 64;
/// Squared distances below this are rounding.
const ROUNDING: f32 = 1e-10;

/// Standardised training points of the signals that a model reads, and the distances that count as near.
///
/// Method (SUP-1): Euclidean nearest-neighbour distance of standardised states, controls and disturbances at lag 0;
/// thresholds are the 95th and 99th percentile of the distances of training rows to the reference points of another time,
/// for a plant is always near where it was a moment ago. With more training rows than reference points, the rows that were
/// left out give the distances. Values that the log's resolution cannot tell apart (half a count of whole numbers) are
/// never far. A value in a gap of its own signal is outside however near the point is in all signals together (`MarginalSupport`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    signals: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// `[signals]`.
    covers: Vec<MarginalSupport>,
    /// `[points][signals]`, standardised, in the order of the first signal.
    points: Vec<f32>,
    /// Squared distance up to which a point is inside.
    inside: f32,
    /// Squared distance up to which a point is at the edge.
    edge: f32,
}

impl Envelope {
    /// The envelope of a twin that learned nothing: every point is inside.
    pub fn open() -> Self {
        Self::default()
    }

    /// The envelope of `signals` over the training rows of `log` (1 particle); rows with a missing value do not count.
    /// Rows at most `apart` from each other are of the same time.
    pub fn fit(log: &Trajectory, training: &[Range<usize>], signals: &[usize], apart: usize) -> Self {
        let complete = |t: &usize| signals.iter().all(|&s| log.columns[s][*t].is_finite());
        let rows: Vec<usize> = training.iter().cloned().flatten().filter(|t| *t < log.steps).filter(complete).collect();
        if signals.is_empty() || rows.len() < 2 {
            return Self::open();
        }
        let (mean, scale): (Vec<f64>, Vec<f64>) =
            signals.iter().map(|&s| mean_and_scale(&log.columns[s], &rows)).unzip();
        let steps: Vec<f64> = signals.iter().map(|&s| resolution(&log.columns[s], &rows)).collect();
        let cover = |(k, &s): (usize, &usize)| {
            MarginalSupport::fit(rows.iter().map(|&t| (log.columns[s][t], t)).collect(), apart, scale[k], steps[k])
        };
        let covers = signals.iter().enumerate().map(cover).collect();
        let mut envelope = Self { signals: signals.to_vec(), mean, scale, covers, ..Self::default() };

        let (kept, left_out) = stratified(&rows, POINTS);
        let mut points: Vec<(Vec<f32>, usize)> = kept.iter().map(|&t| (envelope.standardised(log, t), t)).collect();
        points.sort_by(|(a, _), (b, _)| {
            a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        envelope.points = points.iter().flat_map(|(p, _)| p).copied().collect();

        let (asked, _) = stratified(if left_out.is_empty() { &kept } else { &left_out }, LEFT_OUT);
        let nearest = |t: &usize| {
            let point = envelope.standardised(log, *t);
            let elsewhere = points.iter().filter(|(_, row)| row.abs_diff(*t) > apart);
            elsewhere.fold(f32::INFINITY, |best, (p, _)| distance(&point, p, best).unwrap_or(best))
        };
        let mut distances: Vec<f32> = asked.par_iter().map(nearest).filter(|d| d.is_finite()).collect();
        distances.sort_by(f32::total_cmp);
        let (Some(p95), Some(p99)) = (quantile_type_1(&distances, 0.95), quantile_type_1(&distances, 0.99)) else {
            // All rows are of one time: there are no distances.
            return Self::open();
        };
        let half_steps = steps.iter().zip(&envelope.scale).map(|(step, scale)| 0.5 * step / scale);
        let resolution = half_steps.map(|h| h * h).sum::<f64>() as f32 * (1.0 + 1e-5);
        envelope.inside = p95.max(resolution).max(ROUNDING);
        envelope.edge = p99.max(envelope.inside);
        envelope
    }

    /// Support of every row of the window's current frame: `[rows]`. A missing value is outside.
    pub fn label(&self, window: &Window) -> Vec<Support> {
        if self.points.is_empty() {
            return vec![Support::Inside; window.rows()];
        }
        let columns: Vec<&[f64]> = self.signals.iter().map(|&s| window.column(s, 0)).collect();
        let rows = (0..window.rows()).into_par_iter().with_min_len(PIECE);
        let point = || vec![0.0; columns.len()];
        rows.map_init(point, |point, row| {
            for (k, p) in point.iter_mut().enumerate() {
                *p = ((columns[k][row] - self.mean[k]) / self.scale[k]) as f32;
            }
            let alone = columns.iter().zip(&self.covers).map(|(c, cover)| cover.label(c[row])).max();
            match alone {
                Some(Support::Outside) => Support::Outside,
                alone => self.place(point).max(alone.unwrap_or(Support::Inside)),
            }
        })
        .collect()
    }

    /// Sizes that belong together, for a schema of `signals` columns.
    pub(super) fn is_sound(&self, signals: usize) -> bool {
        let d = self.signals.len();
        self.signals.iter().all(|&s| s < signals)
            && self.mean.len() == d
            && self.scale.len() == d
            && self.covers.iter().all(MarginalSupport::is_sound)
            && if d == 0 { self.points.is_empty() } else { self.points.len().is_multiple_of(d) }
    }

    fn standardised(&self, log: &Trajectory, t: usize) -> Vec<f32> {
        let value = |k: usize| ((log.columns[self.signals[k]][t] - self.mean[k]) / self.scale[k]) as f32;
        (0..self.signals.len()).map(value).collect()
    }

    fn place(&self, point: &[f32]) -> Support {
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
        // Outwards from the point, for the nearest ones end the search.
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

/// Squared distance, given up once it exceeds `limit`.
#[inline]
fn distance(a: &[f32], b: &[f32], limit: f32) -> Option<f32> {
    let mut sum = 0.0;
    for (x, y) in a.iter().zip(b) {
        sum += (x - y) * (x - y);
        if sum > limit {
            return None;
        }
    }
    // A NaN compares false above.
    (sum <= limit).then_some(sum)
}

/// Mean and standard deviation; a signal that never moved gets a scale so small that any other value is far away.
fn mean_and_scale(column: &[f64], rows: &[usize]) -> (f64, f64) {
    let (mean, deviation) = mean_and_population_sd(rows.iter().map(|&t| column[t]));
    (mean, deviation.max(1e-6 * mean.abs().max(1e-3)))
}

/// Smallest difference between two different values; zero when there is only one.
fn resolution(column: &[f64], rows: &[usize]) -> f64 {
    let mut values: Vec<f64> = rows.iter().map(|&t| column[t]).collect();
    values.sort_by(f64::total_cmp);
    let steps = values.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0.0);
    steps.min_by(f64::total_cmp).unwrap_or(0.0)
}

/// At most `n` of `rows`, one drawn from each of `n` equal stretches (a fixed stride would meet the same hour every
/// day), and the rows that were left out.
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

// A list of one stretch of training rows.
#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::{self, MoveLimit, Role, Schema, Signal, Switching};
    use crate::units::Unit;

    fn cloud(steps: usize, signals: usize) -> Trajectory {
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
    fn fresh_rows_of_the_same_plant_fall_95_4_1() {
        // Trained on the first part; the second part has the same distribution and was never seen.
        let log = cloud(12_000, 4);
        let envelope = Envelope::fit(&log, &[0..6_000], &[0, 1, 2, 3], 0);
        let [inside, edge, outside] = shares(&envelope.label(&window_of(&log, 6_000..12_000)));
        assert!((inside - 0.95).abs() < 0.012 && (edge - 0.04).abs() < 0.012, "{inside} {edge} {outside}");
        assert!((outside - 0.01).abs() < 0.006, "{outside}");
    }

    #[test]
    fn a_short_log_leaves_one_out() {
        let log = cloud(1_000, 3);
        let envelope = Envelope::fit(&log, &[0..1_000], &[0, 1, 2], 0);
        // Against itself every row is at distance zero; the thresholds come from the other rows.
        assert_eq!(shares(&envelope.label(&window_of(&log, 0..1_000))), [1.0, 0.0, 0.0]);
        assert!(envelope.inside > 0.01 && envelope.edge > envelope.inside);
    }

    #[test]
    fn the_same_moment_does_not_count_as_near() {
        // A slow walk: every row lies next to the one before it, and far from all others.
        let mut log = cloud(4_000, 3);
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
        let ([_, _, naive], [_, _, honest]) = (label(0), label(100));
        assert!(naive > 0.1 && honest < 0.03, "{naive} {honest}");
    }

    #[test]
    fn far_missing_and_never_moved_values_are_outside() {
        let mut log = cloud(3_000, 3);
        log.columns[2].fill(7.0);
        let envelope = Envelope::fit(&log, &[0..3_000], &[0, 1, 2], 0);
        let mut w = Window::new(3, 1, 4, log.start, log.step_ms);
        w.column_mut(0, 0).copy_from_slice(&[0.0, 9.0, f64::NAN, 0.0]);
        w.column_mut(1, 0).copy_from_slice(&[0.0; 4]);
        w.column_mut(2, 0).copy_from_slice(&[7.0, 7.0, 7.0, 8.0]);
        use Support::{Inside, Outside};
        assert_eq!(envelope.label(&w), [Inside, Outside, Outside, Outside]);
        assert_eq!(Envelope::open().label(&w), [Inside; 4]);
    }

    #[test]
    fn whole_numbers_support_what_lies_between_them() {
        let mut log = cloud(3_000, 1);
        log.columns[0].iter_mut().for_each(|v| *v = (20.0 + 5.0 * *v).round());
        let envelope = Envelope::fit(&log, &[0..3_000], &[0], 0);
        let mut w = Window::new(1, 1, 3, log.start, log.step_ms);
        w.column_mut(0, 0).copy_from_slice(&[20.0, 20.5, 60.0]);
        assert_eq!(envelope.label(&w), [Support::Inside, Support::Inside, Support::Outside]);
    }

    #[test]
    fn the_sorted_search_agrees_with_the_full_one() {
        let log = cloud(4_000, 5);
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
            assert_eq!(envelope.place(&p), full);
        }
    }

    #[test]
    fn twenty_particles_for_a_thousand_steps_take_well_under_a_second() {
        let log = cloud(20_000, 9);
        let envelope = Envelope::fit(&log, &[0..10_000], &(0..9).collect::<Vec<_>>(), 0);
        let began = std::time::Instant::now();
        let labels = envelope.label(&window_of(&log, 0..20_000));
        let took = began.elapsed();
        println!("20,000 labels in {took:?}");
        assert_eq!(labels.len(), 20_000);
        assert!(took.as_secs_f64() < 2.0, "{took:?}");
    }
}
