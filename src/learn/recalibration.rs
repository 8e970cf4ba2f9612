//! Recalibration methods that estimate the distribution of future forecast errors from the errors on held-out blocks.
//!
//! For each signal and each band of horizons, the distribution is estimated in four steps:
//!
//! ```text
//! u = (measured − predicted) / w                   remove the local width
//! r_h = √(Σ ω min(|u|, q_h)² / Σ ω)                winsorised RMS at horizon h; q_h: 98 % quantile of |u|
//! σ_h = r_h · √(Σ_h Σ ω u² / Σ_h Σ ω r_h²)         restore the RMS of the band
//! z = u / σ_h                                      sample that gives the quantiles of Z
//! ```
//!
//! Either all block weights ω are 1, or the weight halves from each block to the next older block.
//! Because the last factor of σ_h is the same for all horizons of the band, a single outlier widens
//! the distribution at all of these horizons, not only at its own horizon.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::rollouts::Rollouts;
use crate::rng::normal_quantile;
use crate::stats::{WeightedSample, half_mean_difference, quantile_right_inverse};

/// Number of quantiles in a stored error distribution. Their probabilities are (j + ½) / POINTS.
const POINTS: usize = 99;
/// Minimum relative reduction of the CRPS that another method must achieve to replace the default (not tuned).
const MIN_GAIN: f64 = 0.003;
/// Minimum sample size for estimating the shape of the distribution (not tuned).
const MIN_FOR_SHAPE: usize = 20;
/// Minimum sample size for estimating the RMS of the errors (not tuned).
const MIN_FOR_RMS: usize = 5;
/// Quantile at which the absolute errors are winsorised (not tuned).
const WINSORISED: f64 = 0.98;
/// Ratio of the standard deviation to the median absolute deviation of a normal distribution.
const MAD_TO_SD: f64 = 1.4826;
/// Minimum and maximum of the local width w (not tuned).
const LOCAL_WIDTH: (f64, f64) = (0.05, 100.0);
/// Candidate shapes of the error distribution. The first shape in the list is the default.
const SHAPES: [ErrorShape; 3] = [ErrorShape::Isotonic, ErrorShape::ScaledNormal, ErrorShape::Conformal];

/// A method that estimates the distribution of future forecast errors from the errors on held-out blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecalibrationMethod {
    pub shape: ErrorShape,
    /// Whether newer blocks have larger weights. With `recent`, each block has half the weight of the next newer block.
    pub recent: bool,
    /// Whether the width of the distribution varies with the standard deviation predicted by the model.
    pub local: bool,
}

/// Method by which the quantiles of the standardised errors are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorShape {
    /// Quantiles of a normal distribution that has the same standard deviation as the errors.
    ScaledNormal,
    /// Empirical quantiles, which are a monotone map of the normal quantiles (Kuleshov et al. 2018).
    Isotonic,
    /// Symmetric intervals from the quantiles of the absolute errors, corrected for the finite sample (split-conformal
    /// prediction; Lei et al. 2018).
    Conformal,
}

/// Local width of a distribution: w(g) = √(s² + g²) / median √(s² + g²), where g is the standard deviation predicted by
/// the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalWidth {
    /// Robust standard deviation s of the one-step errors.
    floor: f64,
    /// Median of √(s² + g²) over the held-out blocks.
    median: f64,
}

impl LocalWidth {
    /// Estimates the local width of signal number `k`.
    fn fit(runs: &[Rollouts], k: usize) -> Self {
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            if values.is_empty() { 0.0 } else { quantile_right_inverse(&values, 0.5) }
        };
        let pairs = || runs.iter().flat_map(|r| r.pairs(k, 1));
        let floor = MAD_TO_SD * median(pairs().map(|p| p.error().abs()).collect());
        Self { floor, median: median(pairs().map(|p| floor.hypot(p.model_sd)).collect()) }
    }

    /// Local width w(g); 1 if there are no measurements.
    pub(super) fn at(&self, model_sd: f64) -> f64 {
        let (least, largest) = LOCAL_WIDTH;
        if self.median > 0.0 { (self.floor.hypot(model_sd) / self.median).clamp(least, largest) } else { 1.0 }
    }
}

/// Errors of one signal in held-out blocks of time, oldest block first.
pub(super) struct HeldOutErrors<'a> {
    k: usize,
    runs: &'a [Rollouts],
    pub local: LocalWidth,
    typical: f64,
    floor: f64,
}

/// The distribution of the errors in one band of horizons.
pub(super) struct ErrorDistribution {
    /// Standard deviation σ at each horizon of the band.
    pub sd: Vec<f64>,
    /// Quantiles of Z.
    pub shape: Vec<f64>,
}

/// Errors in one band of horizons, divided by their standard deviation.
struct StandardisedErrors {
    /// Standard deviation σ at each horizon of the band.
    sd: Vec<f64>,
    /// Pairs (z, ω) of a standardised error and its weight.
    errors: Vec<(f64, f64)>,
}

impl<'a> HeldOutErrors<'a> {
    /// Collects the errors of signal number `k`. `typical`: standard deviation used if there are no measurements.
    /// `floor`: minimum standard deviation.
    pub fn new(runs: &'a [Rollouts], k: usize, typical: f64, floor: f64) -> Self {
        Self { k, runs, local: LocalWidth::fit(runs, k), typical, floor }
    }

    /// Estimates the distribution with `method` from all blocks. `before`: standard deviation at the last horizon
    /// before `horizons`.
    pub fn distribution(&self, method: RecalibrationMethod, horizons: Range<usize>, before: f64) -> ErrorDistribution {
        let StandardisedErrors { sd, errors } =
            self.standardised(method.recent, method.local, self.runs.len(), horizons, before);
        ErrorDistribution { shape: quantiles(method.shape, &errors), sd }
    }

    /// Selects the method with the lowest CRPS. Each block is scored with a distribution fitted on the preceding
    /// blocks.
    pub fn select_method(&self, horizons: Range<usize>) -> RecalibrationMethod {
        let mut losses: Vec<(RecalibrationMethod, f64)> = Vec::new();
        for (local, recent) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut loss = [0.0; SHAPES.len()];
            // Scoring starts with the third block, because one preceding block is not enough to fit a method.
            for block in 2..self.runs.len() {
                let fitted = self.standardised(recent, local, block, horizons.clone(), self.typical);
                for (loss, kind) in loss.iter_mut().zip(SHAPES) {
                    let shape = quantiles(kind, &fitted.errors);
                    for (h, sd) in horizons.clone().zip(&fitted.sd) {
                        let errors = self.errors(block, h, local);
                        *loss += errors.map(|(e, width)| crps(&shape, sd * width, e)).sum::<f64>();
                    }
                }
            }
            losses.extend(SHAPES.map(|shape| RecalibrationMethod { shape, recent, local }).into_iter().zip(loss));
        }
        let default = losses[0];
        let best = losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(default);
        if best.1 < (1.0 - MIN_GAIN) * default.1 { best.0 } else { default.0 }
    }

    /// Each error in a block at horizon `h`, paired with its local width w: (error, w).
    fn errors(&self, block: usize, h: usize, local: bool) -> impl Iterator<Item = (f64, f64)> + '_ {
        let width = move |model_sd| if local { self.local.at(model_sd) } else { 1.0 };
        self.runs[block].pairs(self.k, h).map(move |p| (p.error(), width(p.model_sd)))
    }

    /// Standardises the errors of the first `blocks` blocks.
    fn standardised(
        &self,
        recent: bool,
        local: bool,
        blocks: usize,
        horizons: Range<usize>,
        before: f64,
    ) -> StandardisedErrors {
        let weight = |block: usize| if recent { 0.5f64.powi((blocks - 1 - block) as i32) } else { 1.0 };
        let weighted_errors = |h: usize| -> Vec<(f64, f64)> {
            (0..blocks).flat_map(|b| self.errors(b, h, local).map(move |(e, width)| (e / width, weight(b)))).collect()
        };
        let all: Vec<Vec<(f64, f64)>> = horizons.map(weighted_errors).collect();
        let sizes: Vec<f64> = all.iter().map(|errors| self.winsorised_rms(errors)).collect();
        let (mut squares, mut winsorised) = (0.0, 0.0);
        for (errors, size) in all.iter().zip(&sizes).filter(|(_, size)| size.is_finite()) {
            squares += errors.iter().map(|(e, w)| w * e * e).sum::<f64>();
            winsorised += size * size * errors.iter().map(|e| e.1).sum::<f64>();
        }
        let common = if winsorised > 0.0 { f64::sqrt(squares / winsorised) } else { 1.0 };
        let mut sd: Vec<f64> = Vec::with_capacity(sizes.len());
        for size in sizes {
            let before = sd.last().copied().unwrap_or(before);
            sd.push(if size.is_nan() { before } else { size * common }.max(self.floor));
        }
        let errors =
            all.iter().zip(&sd).flat_map(|(errors, sd)| errors.iter().map(move |(e, w)| (e / sd, *w))).collect();
        StandardisedErrors { sd, errors }
    }

    /// Winsorised root mean square r_h of the errors at one horizon; NaN if there are too few errors.
    fn winsorised_rms(&self, errors: &[(f64, f64)]) -> f64 {
        if errors.len() < MIN_FOR_RMS {
            return f64::NAN;
        }
        let sizes = WeightedSample::new(errors.iter().map(|(e, weight)| (e.abs(), *weight)));
        // If nearly all errors are zero, the bound for winsorising would be close to zero, so the errors are not
        // winsorised.
        let bound = sizes.quantile(WINSORISED);
        let bound = if bound > self.floor { bound } else { f64::INFINITY };
        let (squares, sum) = errors
            .iter()
            .fold((0.0, 0.0), |(squares, sum), (e, w)| (squares + w * e.abs().min(bound).powi(2), sum + w));
        f64::sqrt(squares / sum)
    }
}

/// CRPS of the distribution with the quantiles `sd` · `shape` at the observed value `error`. The CRPS is E|X − y| − ½
/// E|X − X'| (Gneiting & Raftery 2007).
pub(super) fn crps(shape: &[f64], sd: f64, error: f64) -> f64 {
    let z = error / sd;
    let distance = shape.iter().map(|x| (x - z).abs()).sum::<f64>() / shape.len() as f64;
    sd * (distance - half_mean_difference(shape))
}

/// Quantiles of Z, estimated from pairs (z, ω); standard normal quantiles if there are too few pairs.
fn quantiles(shape: ErrorShape, errors: &[(f64, f64)]) -> Vec<f64> {
    let at = (0..POINTS).map(|j| (j as f64 + 0.5) / POINTS as f64);
    if shape == ErrorShape::ScaledNormal || errors.len() < MIN_FOR_SHAPE {
        return at.map(normal_quantile).collect();
    }
    let conformal = shape == ErrorShape::Conformal;
    let sample = WeightedSample::new(errors.iter().map(|(z, w)| (if conformal { z.abs() } else { *z }, *w)));
    if !conformal {
        return at.map(|p| sample.quantile(p)).collect();
    }
    let n = sample.len() as f64;
    at.map(|p| {
        let level = ((2.0 * p - 1.0).abs() * (n + 1.0) / n).min(1.0);
        (p - 0.5).signum() * if (p - 0.5).abs() < 1e-12 { 0.0 } else { sample.quantile(level) }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::quantile_type_5;

    #[test]
    fn crps_of_a_normal_sample_has_the_known_values() {
        let n = 4000;
        let sample: Vec<f64> = (0..n).map(|i| normal_quantile((f64::from(i) + 0.5) / f64::from(n))).collect();
        // The expected values are from the closed form of the CRPS for N(0, 1) (Gneiting & Raftery 2007).
        for (error, expected) in [(0.0, 0.233_695_0), (1.0, 0.602_441_4), (-2.0, 1.452_846_2)] {
            assert!((crps(&sample, 1.0, error) - expected).abs() < 2e-4);
            assert!((crps(&sample, 2.0, 2.0 * error) - 2.0 * expected).abs() < 4e-4);
        }
        assert!((crps(&[2.0], 1.0, 5.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_conformal_interval_is_symmetric_and_not_too_narrow() {
        let sizes: Vec<(f64, f64)> = (1..=100).map(|i| (f64::from(i), 1.0)).collect();
        let points = quantiles(ErrorShape::Conformal, &sizes);
        assert_eq!(points[POINTS / 2], 0.0);
        assert!(points.iter().zip(points.iter().rev()).all(|(a, b)| (a + b).abs() < 1e-9));
        assert!(points.windows(2).all(|w| w[0] <= w[1]));
        let high = quantile_type_5(&points, 0.95);
        assert!((90.0..93.0).contains(&high), "{high}");
    }
}
