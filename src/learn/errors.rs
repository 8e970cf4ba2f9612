//! Multi-step errors of one signal in held-out blocks of time, and the distribution that is made of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::quantile::{Weighted, half_spread};
use super::rollouts::Rollouts;
use crate::rng::normal_quantile;

/// Points of a stored error distribution: quantiles (j + ½) / POINTS.
const POINTS: usize = 99;
/// Another way of recalibrating must be better by this share of CRPS than the first.
const WORTH: f64 = 0.003;
/// Fewer standardised errors than this say nothing about a shape.
const FEW: usize = 20;
/// Fewer errors than this say nothing about their size.
const SCARCE: usize = 5;
/// Of each horizon, the share of the errors that tells how they grow; larger ones are pulled in.
const USUAL: f64 = 0.98;
/// The first is the yardstick of the others.
const SHAPES: [Shape; 3] = [Shape::Isotonic, Shape::Scale, Shape::Conformal];

/// How the errors of held-out blocks become the distribution of the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    pub shape: Shape,
    /// Newer blocks count more: half as much per block back.
    pub recent: bool,
    /// The distribution is as wide as the model doubts: its epistemic spread along the run.
    pub local: bool,
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

/// How wide a local distribution is beside the usual one, by the model's doubt g: √(s² + g²) over its usual value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Local {
    /// s: what would remain without doubt, a robust standard deviation of one-step errors.
    floor: f64,
    /// Median of √(s² + g²) over the held-out blocks.
    usual: f64,
}

impl Local {
    /// EpistemicThresholds of signal number `k` beside the robust size of its one-step errors.
    fn over(runs: &[Rollouts], k: usize) -> Self {
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        let pairs = || runs.iter().flat_map(|r| r.pairs(k, 1));
        let floor = 1.4826 * median(pairs().map(|p| p.error().abs()).collect());
        Self { floor, usual: median(pairs().map(|p| floor.hypot(p.doubt)).collect()) }
    }

    pub(super) fn of(&self, doubt: f64) -> f64 {
        // A width without bound tells nothing, and one of zero too much.
        if self.usual > 0.0 { (self.floor.hypot(doubt) / self.usual).clamp(0.05, 100.0) } else { 1.0 }
    }
}

/// Errors of one signal in blocks of time, oldest first.
pub(super) struct Errors<'a> {
    k: usize,
    runs: &'a [Rollouts],
    pub local: Local,
    typical: f64,
    floor: f64,
}

/// A distribution over one band of horizons.
pub(super) struct Made {
    /// Per horizon of the band.
    pub sd: Vec<f64>,
    pub shape: Vec<f64>,
}

/// Errors over one band of horizons, each beside its standard deviation.
struct Standardised {
    /// Per horizon of the band.
    sd: Vec<f64>,
    /// (error, weight).
    errors: Vec<(f64, f64)>,
}

impl<'a> Errors<'a> {
    /// Of signal number `k`. `typical`: a standard deviation for where nothing was measured; `floor`: the least one.
    pub fn of(runs: &'a [Rollouts], k: usize, typical: f64, floor: f64) -> Self {
        Self { k, runs, local: Local::over(runs, k), typical, floor }
    }

    /// The distribution that `method` makes of them. `before`: the standard deviation at the horizon before the first.
    pub fn distribution(&self, method: Method, horizons: Range<usize>, before: f64) -> Made {
        let Standardised { sd, errors } =
            self.standardised(method.recent, method.local, self.runs.len(), horizons, before);
        Made { shape: shape(method.shape, &errors), sd }
    }

    /// The method under which later blocks have the least CRPS, each judged by the blocks before it.
    pub fn best(&self, horizons: Range<usize>) -> Method {
        let mut losses: Vec<(Method, f64)> = Vec::new();
        for (local, recent) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut loss = [0.0; SHAPES.len()];
            // One block alone says little about the next.
            for block in 2..self.runs.len() {
                let before = self.standardised(recent, local, block, horizons.clone(), self.typical);
                for (loss, kind) in loss.iter_mut().zip(SHAPES) {
                    let shape = shape(kind, &before.errors);
                    for (h, sd) in horizons.clone().zip(&before.sd) {
                        let errors = self.at(block, h, local);
                        *loss += errors.map(|(e, width)| crps(&shape, sd * width, e)).sum::<f64>();
                    }
                }
            }
            losses.extend(SHAPES.map(|shape| Method { shape, recent, local }).into_iter().zip(loss));
        }
        let first = losses[0];
        let best = losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(first);
        if best.1 < (1.0 - WORTH) * first.1 { best.0 } else { first.0 }
    }

    /// (error, width beside the usual one) of a block.
    fn at(&self, block: usize, h: usize, local: bool) -> impl Iterator<Item = (f64, f64)> + '_ {
        let width = move |doubt| if local { self.local.of(doubt) } else { 1.0 };
        self.runs[block].pairs(self.k, h).map(move |p| (p.error(), width(p.doubt)))
    }

    /// The errors of the first `blocks` blocks. Over the band the standard deviation is their root mean square; within
    /// it, it grows as the usual ones do, so that a burst does not widen the one horizon that it happens to fall on.
    fn standardised(
        &self,
        recent: bool,
        local: bool,
        blocks: usize,
        horizons: Range<usize>,
        before: f64,
    ) -> Standardised {
        let weight = |block: usize| if recent { 0.5f64.powi((blocks - 1 - block) as i32) } else { 1.0 };
        // As they would be where the model doubts as usual.
        let of = |h: usize| -> Vec<(f64, f64)> {
            (0..blocks).flat_map(|b| self.at(b, h, local).map(move |(e, width)| (e / width, weight(b)))).collect()
        };
        let all: Vec<Vec<(f64, f64)>> = horizons.map(of).collect();
        let sizes: Vec<f64> = all.iter().map(|errors| self.size(errors)).collect();
        let (mut squares, mut usual) = (0.0, 0.0);
        for (errors, size) in all.iter().zip(&sizes).filter(|(_, size)| size.is_finite()) {
            squares += errors.iter().map(|(e, w)| w * e * e).sum::<f64>();
            usual += size * size * errors.iter().map(|e| e.1).sum::<f64>();
        }
        let common = if usual > 0.0 { f64::sqrt(squares / usual) } else { 1.0 };
        let mut sd: Vec<f64> = Vec::with_capacity(sizes.len());
        for size in sizes {
            let before = sd.last().copied().unwrap_or(before);
            sd.push(if size.is_nan() { before } else { size * common }.max(self.floor));
        }
        let errors =
            all.iter().zip(&sd).flat_map(|(errors, sd)| errors.iter().map(move |(e, w)| (e / sd, *w))).collect();
        Standardised { sd, errors }
    }

    /// Root mean square of the errors at one horizon, the largest pulled in to the [`USUAL`] quantile of their size;
    /// NaN where there are next to none.
    fn size(&self, errors: &[(f64, f64)]) -> f64 {
        if errors.len() < SCARCE {
            return f64::NAN;
        }
        let mut sizes = Weighted::default();
        errors.iter().for_each(|(e, weight)| sizes.push(e.abs(), *weight));
        sizes.sort();
        // Where all but a few are exact, the few tell.
        let usual = sizes.quantile(USUAL);
        let most = if usual > self.floor { usual } else { f64::INFINITY };
        let (squares, sum) =
            errors.iter().fold((0.0, 0.0), |(squares, sum), (e, w)| (squares + w * e.abs().min(most).powi(2), sum + w));
        f64::sqrt(squares / sum)
    }
}

/// CRPS of the distribution with quantiles sd · `shape` at `error`.
pub(super) fn crps(shape: &[f64], sd: f64, error: f64) -> f64 {
    let z = error / sd;
    let distance = shape.iter().map(|x| (x - z).abs()).sum::<f64>() / shape.len() as f64;
    sd * (distance - half_spread(shape))
}

/// Quantiles of standardised errors (for [`Shape::Conformal`]: of their sizes); of the standard normal when there are few.
fn shape(shape: Shape, errors: &[(f64, f64)]) -> Vec<f64> {
    let at = (0..POINTS).map(|j| (j as f64 + 0.5) / POINTS as f64);
    if shape == Shape::Scale || errors.len() < FEW {
        return at.map(normal_quantile).collect();
    }
    let mut sample = Weighted::default();
    errors.iter().for_each(|(z, w)| sample.push(if shape == Shape::Conformal { z.abs() } else { *z }, *w));
    sample.sort();
    match shape {
        Shape::Conformal => {
            let n = sample.len() as f64;
            at.map(|p| {
                let level = ((2.0 * p - 1.0).abs() * (n + 1.0) / n).min(1.0);
                (p - 0.5).signum() * if (p - 0.5).abs() < 1e-12 { 0.0 } else { sample.quantile(level) }
            })
            .collect()
        }
        _ => at.map(|p| sample.quantile(p)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::quantile::interpolate;

    #[test]
    fn a_conformal_interval_is_symmetric_and_not_too_narrow() {
        let sizes: Vec<(f64, f64)> = (1..=100).map(|i| (f64::from(i), 1.0)).collect();
        let points = shape(Shape::Conformal, &sizes);
        assert_eq!(points[POINTS / 2], 0.0);
        assert!(points.iter().zip(points.iter().rev()).all(|(a, b)| (a + b).abs() < 1e-9));
        assert!(points.windows(2).all(|w| w[0] <= w[1]));
        let high = interpolate(&points, 0.95);
        assert!((90.0..93.0).contains(&high), "{high}");
    }
}
