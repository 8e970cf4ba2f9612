//! The distribution of multi-step errors, recalibrated on held-out blocks of time.
//!
//! Each training block is forecast by a model that has not seen it. What of those errors the future will look like is
//! itself a choice, made per signal and band of horizons by the CRPS of later blocks under what earlier blocks say.

use serde::{Deserialize, Serialize};

use super::errors::{Errors, Local, Method, crps};
use super::quantile::interpolate;
use super::rollouts::Rollouts;

/// Distribution of a model's multi-step errors, measured − predicted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Schema column of each scored signal, targets first.
    pub signals: Vec<usize>,
    /// Standard deviation at horizon `h + 1` where the model doubts as usual: over a band of horizons the RMSE of the
    /// held-out blocks, within it as the body of their errors grows: `[signals][horizon]`.
    pub sd: Vec<Vec<f64>>,
    /// Quantiles of the standardised errors, ascending, per band of horizons 1, 2, 3–4, 5–8, 9–16 …:
    /// `[signals][bands][POINTS]`.
    pub shape: Vec<Vec<Vec<f64>>>,
    /// How each was made: `[signals][bands]`.
    pub method: Vec<Vec<Method>>,
    /// `[signals]`.
    pub local: Vec<Local>,
}

impl Calibration {
    /// From open-loop runs over blocks of time, oldest first, all over the same signals. `typical`: a standard deviation
    /// per signal for horizons at which nothing was measured.
    pub fn of(runs: &[Rollouts], typical: &[f64]) -> Self {
        let Some(first) = runs.first() else { return Self::default() };
        let horizon = first.horizon;
        let mut calibration = Self { signals: first.signals.clone(), ..Self::default() };
        for (k, typical) in typical.iter().enumerate().take(first.signals.len()) {
            let errors = Errors::of(runs, k, *typical, 1e-9 * typical.abs().max(1e-9));
            let (mut sd, mut shape, mut method) = (Vec::with_capacity(horizon), Vec::new(), Vec::new());
            for b in 0..=band(horizon) {
                let horizons = horizons(b, horizon);
                let best = errors.best(horizons.clone());
                let before = sd.last().copied().unwrap_or(*typical);
                let made = errors.distribution(best, horizons, before);
                sd.extend(made.sd);
                shape.push(made.shape);
                method.push(best);
            }
            calibration.sd.push(sd);
            calibration.shape.push(shape);
            calibration.method.push(method);
            calibration.local.push(errors.local);
        }
        calibration
    }

    /// The same methods on other blocks.
    pub(super) fn again(&self, runs: &[Rollouts]) -> Self {
        let Some(horizon) = runs.first().map(|r| r.horizon) else { return self.clone() };
        let mut other = self.clone();
        for k in 0..self.signals.len() {
            // Where nothing was measured, what was.
            let typical = self.sd_at(k, 1);
            let most = self.sd[k].iter().copied().fold(0.0, f64::max);
            let errors = Errors::of(runs, k, typical, 1e-9 * most);
            other.local[k] = errors.local;
            other.sd[k].clear();
            for (b, method) in self.method[k].iter().enumerate() {
                let before = other.sd[k].last().copied().unwrap_or(typical);
                let made = errors.distribution(*method, horizons(b, horizon), before);
                other.sd[k].extend(made.sd);
                other.shape[k][b] = made.shape;
            }
        }
        other
    }

    /// Whether this may come from a file, over `signals` signals.
    pub fn is_sound(&self, signals: usize) -> bool {
        let n = self.signals.len();
        self.signals.iter().all(|s| *s < signals)
            && [self.sd.len(), self.shape.len(), self.method.len(), self.local.len()] == [n; 4]
            && self.sd.iter().all(|column| !column.is_empty())
            && self.shape.iter().all(|bands| !bands.is_empty() && bands.iter().all(|quantiles| !quantiles.is_empty()))
    }

    /// Standard deviation of scored signal number `k` at horizon `h` (1-based); beyond the last horizon, the last.
    pub fn sd_at(&self, k: usize, h: usize) -> f64 {
        let column = &self.sd[k];
        column[(h.max(1) - 1).min(column.len() - 1)]
    }

    /// How wide the distribution is for a model that doubts as much as `doubt` along the run, beside the usual one.
    pub fn local(&self, k: usize, h: usize, doubt: f64) -> f64 {
        let methods = &self.method[k];
        let method = methods[band(h.max(1)).min(methods.len() - 1)];
        if method.local { self.local[k].of(doubt) } else { 1.0 }
    }

    /// Quantile `p` of measured − predicted, where the model doubts as usual.
    pub fn quantile(&self, k: usize, h: usize, p: f64) -> f64 {
        self.sd_at(k, h) * interpolate(self.shape_at(k, h), p)
    }

    /// Central interval of measured − predicted that holds the share `level`, where the model doubts as usual.
    pub fn interval(&self, k: usize, h: usize, level: f64) -> (f64, f64) {
        let (sd, (low, high)) = (self.sd_at(k, h), central(self.shape_at(k, h), level));
        (sd * low, sd * high)
    }

    /// The share that this interval holds, both ends of it, by what it was made of: `level`, or more where one value is
    /// frequent, such as no error at all in what is mostly known.
    pub fn held(&self, k: usize, h: usize, level: f64) -> f64 {
        let shape = self.shape_at(k, h);
        let (low, high) = central(shape, level);
        let held = shape.iter().filter(|q| (low..=high).contains(*q)).count();
        (held as f64 / shape.len() as f64).max(level)
    }

    /// CRPS of the forecast distribution, `width` times as wide as where the model doubts as usual, when measured −
    /// predicted turned out to be `error`.
    pub fn crps(&self, k: usize, h: usize, width: f64, error: f64) -> f64 {
        crps(self.shape_at(k, h), self.sd_at(k, h) * width, error)
    }

    fn shape_at(&self, k: usize, h: usize) -> &[f64] {
        let bands = &self.shape[k];
        &bands[band(h.max(1)).min(bands.len() - 1)]
    }
}

/// Central interval of `shape` that holds the share `level`.
fn central(shape: &[f64], level: f64) -> (f64, f64) {
    (interpolate(shape, 0.5 - 0.5 * level), interpolate(shape, 0.5 + 0.5 * level))
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
    use crate::learn::errors::Shape;
    use crate::learn::starts::Start;
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
                doubt: vec![vec![0.0; horizon * starts]],
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
    fn a_burst_does_not_widen_the_horizon_that_it_falls_on() {
        let key = Key::new(9);
        let error = |b, h, s| match (b, h, s) {
            (3, 6, 100) => 1000.0,
            _ => key.fold(b as u64).fold(h as u64).normal(s as u64),
        };
        let c = Calibration::of(&runs(5, 150, 8, error), &[1.0]);
        for h in 1..=8 {
            let (low, high) = c.interval(0, h, 0.9);
            assert!((high - 1.645).abs() < 0.2 && (low + 1.645).abs() < 0.2, "{low} {high} at {h}");
        }
    }

    #[test]
    fn what_is_mostly_known_stays_so_at_every_horizon() {
        // exact in four of five cases at the third horizon, in seven of eight at the fourth, always at the fifth
        let key = Key::new(10);
        let every = |h: usize| [1, 1, 5, 8, usize::MAX][h];
        let error = |b, h, s: usize| match s % every(h) {
            0 if h < 4 => key.fold(b as u64).fold(h as u64).normal(s as u64),
            _ => 0.0,
        };
        let c = Calibration::of(&runs(5, 400, 5, error), &[1.0]);
        for (h, every) in [(1, 1.0), (2, 1.0), (3, 5.0), (4, 8.0)] {
            assert!((c.sd_at(0, h) * f64::sqrt(every) - 1.0).abs() < 0.15, "{} at {h}", c.sd_at(0, h));
        }
        assert!(c.sd_at(0, 5) < 1e-8, "{}", c.sd_at(0, 5));
        assert_eq!([c.held(0, 1, 0.9), c.held(0, 5, 0.9)], [0.9, 1.0]);
        assert!(c.held(0, 3, 0.5) > 0.8 && c.held(0, 3, 0.9) < 0.95);
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
    fn a_model_that_knows_where_it_errs_is_believed() {
        let key = Key::new(6);
        // Every tenth start lies where errors, and doubts, are thirty times as large.
        let size = |s: usize| if s.is_multiple_of(10) { 3.0 } else { 0.1 };
        let error = |b, h, s: usize| size(s) * key.fold(b as u64).fold(h as u64).normal(s as u64);
        let mut runs = runs(5, 600, 2, error);
        for run in &mut runs {
            run.doubt[0] = (0..2 * 600).map(|i| size(i % 600)).collect();
        }
        let c = Calibration::of(&runs, &[1.0]);
        assert!(c.method[0].iter().all(|m| m.local), "{:?}", c.method);
        for s in [0, 1] {
            let (_, high) = c.interval(0, 1, 0.9);
            let width = high * c.local(0, 1, size(s));
            assert!((width / (1.645 * size(s)) - 1.0).abs() < 0.4, "{width} {}", size(s));
        }
    }
}
