//! The moment conditions from which the errors of predicted control effects on one signal are
//! estimated (see [`super::effect`]).

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

/// Minimum effective number of blocks in which a control must have moved for the error of its
/// effect to be estimated (not tuned).
const MIN_BLOCKS: f64 = 2.0;
/// The correlation time is the shortest lag at which the correlation of the errors is below this value (not tuned).
const UNCORRELATED: f64 = 0.1;
/// Maximum correlation time, in windows (not tuned).
const MAX_CORRELATION: usize = 12;

/// The error of a signal's forecast from one start, and the movements of the controls.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// Index of the part that contains the start. The parts are the folds, followed by the
    /// hold-out.
    pub part: usize,
    /// Row of the start.
    pub row: usize,
    /// Independent movements v: `[controls]`.
    pub instruments: Vec<f64>,
    /// Mean movements U within the window: `[controls]`.
    pub moves: Vec<f64>,
    /// Mean forecast error e within the window.
    pub error: f64,
}

/// Error of the predicted effect of a control on one target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Solved {
    pub error: f64,
    pub se: f64,
    pub blocks: f64,
}

/// Subtracts, in each part, the means over stretches of `length` rows from v, U and e, so that slow
/// changes of the plant, of a meter or of a control do not affect the result.
pub(super) fn subtract_slow(moments: &mut [Moment], length: usize) {
    for stretch in moments.chunk_by_mut(|a, b| a.part == b.part && a.row / length.max(1) == b.row / length.max(1)) {
        let n = stretch.len() as f64;
        for c in 0..stretch[0].moves.len() {
            let (v, u) = stretch.iter().fold((0.0, 0.0), |(v, u), m| (v + m.instruments[c], u + m.moves[c]));
            stretch.iter_mut().for_each(|m| {
                m.instruments[c] -= v / n;
                m.moves[c] -= u / n;
            });
        }
        let e = stretch.iter().map(|m| m.error).sum::<f64>() / n;
        stretch.iter_mut().for_each(|m| m.error -= e);
    }
}

/// Returns the number of rows after which errors are no longer correlated, which is a multiple of
/// `window`.
pub(super) fn correlation_time(moments: &[Moment], window: usize) -> usize {
    let by_row: BTreeMap<usize, f64> = moments.iter().map(|m| (m.row, m.error)).collect();
    let correlation = |lag: usize| {
        let pairs = by_row.iter().filter_map(|(row, e)| Some((*e, *by_row.get(&(row + lag))?)));
        let (cross, square) = pairs.fold((0.0, 0.0), |(c, s), (a, b)| (c + a * b, s + 0.5 * (a * a + b * b)));
        if square > 0.0 { cross / square } else { 0.0 }
    };
    (1..MAX_CORRELATION).find(|w| correlation(w * window) < UNCORRELATED).unwrap_or(MAX_CORRELATION) * window
}

/// The solution of the moment conditions.
struct Solution {
    delta: DVector<f64>,
    inverse: DMatrix<f64>,
    /// The sums of the moment conditions and of their derivatives within each block.
    blocks: BTreeMap<usize, (DVector<f64>, DVector<f64>)>,
}

impl Solution {
    /// Returns `None` if the conditions do not determine a solution.
    fn new<'a>(moments: impl Iterator<Item = &'a Moment> + Clone, controls: usize, block: usize) -> Option<Self> {
        let mut a = DMatrix::<f64>::zeros(controls, controls);
        let mut b = DVector::<f64>::zeros(controls);
        for m in moments.clone() {
            for (i, v) in m.instruments.iter().enumerate() {
                b[i] += v * m.error;
                for (j, u) in m.moves.iter().enumerate() {
                    a[(i, j)] += v * u;
                }
            }
        }
        let inverse = a.try_inverse()?;
        let delta = &inverse * b;
        let mut blocks: BTreeMap<usize, (DVector<f64>, DVector<f64>)> = BTreeMap::new();
        for m in moments {
            let left = m.error - m.moves.iter().zip(delta.iter()).map(|(u, d)| u * d).sum::<f64>();
            let zero = || (DVector::zeros(controls), DVector::zeros(controls));
            let (score, weight) = blocks.entry(m.row / block.max(1)).or_insert_with(zero);
            for (i, (v, u)) in m.instruments.iter().zip(&m.moves).enumerate() {
                score[i] += v * left;
                weight[i] += v * u;
            }
        }
        Some(Self { delta, inverse, blocks })
    }

    /// The influence of each block on the error of control number `i`.
    fn influences(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.blocks.iter().map(move |(block, (score, _))| (*block, (self.inverse.row(i) * score)[0]))
    }

    /// Effective number of blocks in which control number `i` moved.
    fn effective(&self, i: usize) -> f64 {
        let weights = || self.blocks.values().map(|(_, w)| w[i]);
        weights().sum::<f64>().powi(2) / weights().map(|w| w * w).sum::<f64>()
    }
}

/// Creates an estimate. The standard error is the root of the sum of the squared `influences`,
/// corrected for the number of blocks. Returns `None` if there are too few blocks.
fn estimate(error: f64, influences: impl Iterator<Item = f64>, blocks: f64) -> Option<Solved> {
    let se = (influences.map(|i| i * i).sum::<f64>() * blocks / (blocks - 1.0)).sqrt();
    (blocks >= MIN_BLOCKS && se.is_finite() && error.is_finite()).then_some(Solved { error, se, blocks })
}

/// Solves the moment conditions. For the standard errors, blocks of `block` rows are treated as
/// independent. The result for a control is `None` if the control moved in too few blocks.
pub(super) fn solve<'a>(
    moments: impl Iterator<Item = &'a Moment> + Clone,
    controls: usize,
    block: usize,
) -> Vec<Option<Solved>> {
    let Some(found) = Solution::new(moments, controls, block) else { return vec![None; controls] };
    let of = |i: usize| estimate(found.delta[i], found.influences(i).map(|b| b.1), found.effective(i));
    (0..controls).map(of).collect()
}

/// Returns, for control number `i`, the error in `later` minus `factor` times the error in `early`.
/// The standard error of this difference takes into account that both errors depend on the same
/// rows of the log.
pub(super) fn difference<'a>(
    early: impl Iterator<Item = &'a Moment> + Clone,
    later: impl Iterator<Item = &'a Moment> + Clone,
    factor: f64,
    i: usize,
    controls: usize,
    block: usize,
) -> Option<Solved> {
    let (early, later) = (Solution::new(early, controls, block)?, Solution::new(later, controls, block)?);
    let mut influences: BTreeMap<usize, f64> = later.influences(i).collect();
    early.influences(i).for_each(|(block, v)| *influences.entry(block).or_insert(0.0) -= factor * v);
    let blocks = early.effective(i).min(later.effective(i));
    estimate(later.delta[i] - factor * early.delta[i], influences.into_values(), blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    /// Moments of a control with the error 2 in all rows, plus noise that is common to several rows.
    fn moments(seed: u64, noise: u64, rows: std::ops::Range<usize>) -> Vec<Moment> {
        let normal = |stream: u64, row: usize| Key::new(seed).fold(stream).normal(row as u64);
        let of = |row: usize| {
            let v = normal(0, row);
            let error = 2.0 * v + normal(1, row) + 0.3 * normal(noise, row);
            Moment { part: 0, row, instruments: vec![v], moves: vec![v], error }
        };
        rows.map(of).collect()
    }

    #[test]
    fn the_error_of_a_difference_takes_common_noise_into_account() {
        // Both estimates contain the same noise with a standard deviation of 1, which cancels out. The difference has
        // the standard error 0.3 √2 / √1000.
        let expected = 0.3 * 2f64.sqrt() / 1000f64.sqrt();
        let (mut sum, mut outside) = (0.0, 0);
        for seed in 0..50 {
            let (a, b) = (moments(seed, 2, 0..1000), moments(seed, 3, 0..1000));
            let found = difference(a.iter(), b.iter(), 1.0, 0, 1, 10).unwrap();
            sum += found.se / 50.0;
            outside += usize::from(found.error.abs() > 1.645 * found.se);
        }
        assert!((sum / expected - 1.0).abs() < 0.1, "{sum} {expected}");
        assert!((1..=11).contains(&outside), "{outside}");
        // different rows are independent: √(1.09 / 1000 + 1.09 / 1000)
        let (a, b) = (moments(1, 2, 0..1000), moments(1, 2, 1000..2000));
        let found = difference(a.iter(), b.iter(), 1.0, 0, 1, 10).unwrap();
        assert!((found.se / (2.0 * 1.09f64 / 1000.0).sqrt() - 1.0).abs() < 0.2, "{found:?}");
        // the error 2 of the second part minus half the error of the first part
        let half = difference(a.iter(), b.iter(), 0.5, 0, 1, 10).unwrap();
        assert!((half.error - 1.0).abs() < 4.0 * half.se, "{half:?}");
    }
}
