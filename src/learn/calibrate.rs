//! The distribution of multi-step errors, recalibrated on held-out blocks of time.
//!
//! Each training block is forecast by a model that has not seen it. What of those errors the future will look like is
//! itself a choice, made per signal and band of horizons by the CRPS of later blocks under what earlier blocks say.

use serde::{Deserialize, Serialize};

use super::quantile::{Weighted, half_spread, interpolate};
use super::score::Rollouts;
use crate::rng::normal_quantile;

/// Points of a stored error distribution: quantiles (j + ½) / POINTS.
const POINTS: usize = 99;
/// Another way of recalibrating must be better by this share of CRPS than the first.
const WORTH: f64 = 0.003;
/// Fewer standardised errors than this say nothing about a shape.
const FEW: usize = 20;

/// How the errors of held-out blocks become the distribution of the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    pub shape: Shape,
    /// Newer blocks count more: half as much per block back.
    pub recent: bool,
}

/// What is kept of the standardised errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Nothing: a normal distribution whose standard deviation is scaled to the errors.
    Scale,
    /// Their quantiles: a monotone map of the normal distribution's (Kuleshov et al. 2018).
    Isotonic,
    /// Quantiles of their size, the interval symmetric and a finite sample accounted for (split-conformal; Lei et al. 2018).
    Conformal,
}

/// The first is the yardstick of the others.
const METHODS: [Method; 6] = [
    Method { shape: Shape::Isotonic, recent: false },
    Method { shape: Shape::Scale, recent: false },
    Method { shape: Shape::Conformal, recent: false },
    Method { shape: Shape::Isotonic, recent: true },
    Method { shape: Shape::Scale, recent: true },
    Method { shape: Shape::Conformal, recent: true },
];

/// Distribution of a model's multi-step errors, measured − predicted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Schema column of each scored signal, targets first.
    pub signals: Vec<usize>,
    /// RMSE at horizon `h + 1` over held-out blocks: `[signals][horizon]`.
    pub sd: Vec<Vec<f64>>,
    /// Quantiles of the standardised errors, ascending, per band of horizons 1, 2, 3–4, 5–8, 9–16 …:
    /// `[signals][bands][POINTS]`.
    pub shape: Vec<Vec<Vec<f64>>>,
    /// How each was made: `[signals][bands]`.
    pub method: Vec<Vec<Method>>,
}

impl Calibration {
    /// From open-loop runs over blocks of time, oldest first, all over the same signals. `typical`: a standard deviation
    /// per signal for horizons at which nothing was measured.
    pub fn of(runs: &[Rollouts], typical: &[f64]) -> Self {
        let Some(first) = runs.first() else { return Self::default() };
        let horizon = first.horizon;
        let mut calibration = Self { signals: first.signals.clone(), ..Self::default() };
        for (k, typical) in typical.iter().enumerate().take(first.signals.len()) {
            let floor = 1e-9 * typical.abs().max(1e-9);
            let errors = Errors { k, runs, typical: *typical, floor };
            let (mut sd, mut shape, mut method) = (Vec::with_capacity(horizon), Vec::new(), Vec::new());
            for b in 0..=band(horizon) {
                let horizons = horizons(b, horizon);
                let best = errors.best(horizons.clone());
                let before = sd.last().copied().unwrap_or(*typical);
                let made = errors.distribution(best, runs.len(), horizons, before);
                sd.extend(made.sd);
                shape.push(made.shape);
                method.push(best);
            }
            calibration.sd.push(sd);
            calibration.shape.push(shape);
            calibration.method.push(method);
        }
        calibration
    }

    /// Standard deviation of scored signal number `k` at horizon `h` (1-based); beyond the last horizon, the last.
    pub fn sd_at(&self, k: usize, h: usize) -> f64 {
        let column = &self.sd[k];
        column[(h.max(1) - 1).min(column.len() - 1)]
    }

    /// Quantile `p` of measured − predicted.
    pub fn quantile(&self, k: usize, h: usize, p: f64) -> f64 {
        self.sd_at(k, h) * interpolate(self.shape_at(k, h), p)
    }

    /// Central interval of measured − predicted that holds the share `level`.
    pub fn interval(&self, k: usize, h: usize, level: f64) -> (f64, f64) {
        (self.quantile(k, h, 0.5 - 0.5 * level), self.quantile(k, h, 0.5 + 0.5 * level))
    }

    /// CRPS of the forecast distribution when measured − predicted turned out to be `error`.
    pub fn crps(&self, k: usize, h: usize, error: f64) -> f64 {
        crps(self.shape_at(k, h), self.sd_at(k, h), error)
    }

    fn shape_at(&self, k: usize, h: usize) -> &[f64] {
        let bands = &self.shape[k];
        &bands[band(h.max(1)).min(bands.len() - 1)]
    }
}

/// CRPS of the distribution with quantiles sd · `shape` at `error`.
fn crps(shape: &[f64], sd: f64, error: f64) -> f64 {
    let z = error / sd;
    let distance = shape.iter().map(|x| (x - z).abs()).sum::<f64>() / shape.len() as f64;
    sd * (distance - half_spread(shape))
}

/// Errors of one signal in blocks of time.
struct Errors<'a> {
    k: usize,
    runs: &'a [Rollouts],
    typical: f64,
    floor: f64,
}

/// A distribution over one band of horizons.
struct Made {
    /// Per horizon of the band.
    sd: Vec<f64>,
    shape: Vec<f64>,
}

impl Errors<'_> {
    fn at(&self, block: usize, h: usize) -> impl Iterator<Item = f64> + '_ {
        self.runs[block].pairs(self.k, h).map(|(_, p, m)| m - p)
    }

    /// The distribution that `method` makes of the first `blocks` blocks. `before`: the standard deviation at the
    /// horizon before the first.
    fn distribution(&self, method: Method, blocks: usize, horizons: std::ops::Range<usize>, before: f64) -> Made {
        let weight = |block: usize| if method.recent { 0.5f64.powi((blocks - 1 - block) as i32) } else { 1.0 };
        let mut sd = Vec::with_capacity(horizons.len());
        let mut standard = Weighted::default();
        for h in horizons {
            let (mut squares, mut sum, mut count) = (0.0, 0.0, 0);
            for block in 0..blocks {
                for e in self.at(block, h) {
                    squares += weight(block) * e * e;
                    sum += weight(block);
                    count += 1;
                }
            }
            let before = sd.last().copied().unwrap_or(before);
            let s = if count < 5 { before } else { (squares / sum).sqrt() }.max(self.floor);
            for block in 0..blocks {
                for e in self.at(block, h) {
                    standard.push(if method.shape == Shape::Conformal { (e / s).abs() } else { e / s }, weight(block));
                }
            }
            sd.push(s);
        }
        Made { shape: shape(method.shape, standard), sd }
    }

    /// The method under which later blocks have the least CRPS, each judged by the blocks before it.
    fn best(&self, horizons: std::ops::Range<usize>) -> Method {
        let losses = METHODS.map(|method| {
            let mut loss = 0.0;
            // One block alone says little about the next.
            for block in 2..self.runs.len() {
                let made = self.distribution(method, block, horizons.clone(), self.typical);
                for (h, sd) in horizons.clone().zip(&made.sd) {
                    loss += self.at(block, h).map(|e| crps(&made.shape, *sd, e)).sum::<f64>();
                }
            }
            loss
        });
        let best = (0..METHODS.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
        if losses[best] < (1.0 - WORTH) * losses[0] { METHODS[best] } else { METHODS[0] }
    }
}

/// Quantiles of standardised errors (for [`Shape::Conformal`]: of their sizes); of the standard normal when there are few.
fn shape(shape: Shape, mut errors: Weighted) -> Vec<f64> {
    let at = (0..POINTS).map(|j| (j as f64 + 0.5) / POINTS as f64);
    if shape == Shape::Scale || errors.len() < FEW {
        return at.map(normal_quantile).collect();
    }
    errors.sort();
    match shape {
        Shape::Conformal => {
            let n = errors.len() as f64;
            at.map(|p| {
                let level = ((2.0 * p - 1.0).abs() * (n + 1.0) / n).min(1.0);
                (p - 0.5).signum() * if (p - 0.5).abs() < 1e-12 { 0.0 } else { errors.quantile(level) }
            })
            .collect()
        }
        _ => at.map(|p| errors.quantile(p)).collect(),
    }
}

/// Band of horizon `h`: 1 → 0, 2 → 1, 3–4 → 2, 5–8 → 3 …
fn band(h: usize) -> usize {
    if h <= 1 { 0 } else { (h - 1).ilog2() as usize + 1 }
}

/// Horizons of a band, as far as `last`.
fn horizons(band: usize, last: usize) -> std::ops::Range<usize> {
    let (from, to) = if band == 0 { (1, 2) } else { ((1 << (band - 1)) + 1, (1 << band) + 1) };
    from..to.min(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::score::Start;
    use crate::rng::Key;

    /// Blocks of runs of one signal, predicted as zero.
    fn runs(blocks: usize, starts: usize, horizon: usize, error: impl Fn(usize, usize, usize) -> f64) -> Vec<Rollouts> {
        (0..blocks)
            .map(|b| Rollouts {
                signals: vec![0],
                horizon,
                starts: (0..starts).map(|row| Start { row, first: 0, reach: horizon }).collect(),
                predicted: vec![vec![0.0; horizon * starts]],
                measured: vec![
                    (0..horizon).flat_map(|h| (0..starts).map(move |s| (h, s))).map(|(h, s)| error(b, h, s)).collect(),
                ],
                last: vec![vec![0.0; starts]],
            })
            .collect()
    }

    #[test]
    fn bands_double_and_tile_the_horizons() {
        assert_eq!([1, 2, 3, 4, 5, 8, 9, 16, 17].map(band), [0, 1, 2, 2, 3, 3, 4, 4, 5]);
        for last in 1..40 {
            let all: Vec<usize> = (0..=band(last)).flat_map(|b| horizons(b, last)).collect();
            assert_eq!(all, (1..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn stationary_errors_are_covered_and_keep_the_first_method() {
        let key = Key::new(3);
        let error = |b, h, s| (1.0 + h as f64) * key.fold(b as u64).fold(h as u64).normal(s as u64);
        let c = Calibration::of(&runs(5, 800, 4, error), &[1.0]);
        for h in 1..=4 {
            assert!((c.sd_at(0, h) / h as f64 - 1.0).abs() < 0.05);
            let (low, high) = c.interval(0, h, 0.9);
            assert!((high / h as f64 - 1.645).abs() < 0.12 && (low / h as f64 + 1.645).abs() < 0.12, "{low} {high}");
        }
        // A normal shape is as good as any here.
        assert!(c.method[0].iter().all(|m| !m.recent || m.shape == Shape::Scale), "{:?}", c.method);
    }

    #[test]
    fn growing_errors_make_newer_blocks_count_more() {
        let key = Key::new(4);
        let error = |b: usize, h, s| 3f64.powi(b as i32) * key.fold(b as u64).fold(h as u64).normal(s as u64);
        let c = Calibration::of(&runs(5, 400, 2, error), &[1.0]);
        assert!(c.method[0].iter().all(|m| m.recent), "{:?}", c.method);
        assert!(c.sd_at(0, 1) > 1.2 * (0..5).map(|b| 9f64.powi(b)).sum::<f64>().sqrt() / 5f64.sqrt());
    }

    #[test]
    fn skewed_errors_are_told_by_their_quantiles() {
        let key = Key::new(5);
        let error = |b, h, s| -key.fold(b as u64).fold(h as u64).uniform(s as u64).ln() - 1.0;
        let c = Calibration::of(&runs(5, 600, 2, error), &[1.0]);
        assert!(c.method[0].iter().all(|m| m.shape == Shape::Isotonic), "{:?}", c.method);
        let (low, high) = c.interval(0, 1, 0.9);
        assert!((low + 0.949).abs() < 0.05 && (high - 1.996).abs() < 0.2, "{low} {high}");
    }

    #[test]
    fn a_conformal_interval_is_symmetric_and_not_too_narrow() {
        let mut sizes = Weighted::default();
        (1..=100).for_each(|i| sizes.push(f64::from(i), 1.0));
        let points = shape(Shape::Conformal, sizes);
        assert_eq!(points[POINTS / 2], 0.0);
        assert!(points.iter().zip(points.iter().rev()).all(|(a, b)| (a + b).abs() < 1e-9));
        assert!(points.windows(2).all(|w| w[0] <= w[1]));
        let high = interpolate(&points, 0.95);
        assert!((90.0..93.0).contains(&high), "{high}");
    }
}
