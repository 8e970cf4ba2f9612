//! Leaves out training rows from which a model should not learn: start-ups, trips and sensor jumps.
//!
//! A linear model is first fitted to the rows whose target values are not extreme. A row is an outlier if a residual of
//! this model is more than six robust standard deviations from the median residual. A large change in a target is
//! therefore not an outlier if the inputs explain the change. If a control moved exceptionally far in the lagged rows
//! that the model reads, the row is not regarded as an outlier, because the first fit cannot determine the effect of a
//! control that rarely moves.
//!
//! The robust standard deviation is the larger of the scaled median absolute deviation and the scaled distance between
//! the 0.5th and 99.5th percentiles. Because the percentiles are included, the rare changes of a mostly constant signal
//! do not count as outliers. A target that is constant in at least 99 % of the rows has no outliers.

use super::blocks::Blocks;
use super::ridge::{Basis, Gram};
use crate::error::Result;
use crate::learn::dataset::Dataset;
use crate::learn::starts::thin;
use crate::stats::quantile_nearest;

/// A value that is more than this many robust standard deviations from the median is extreme (not tuned).
const EXTREME: f64 = 6.0;
/// 99.5th percentile of the standard normal distribution.
const TAIL: f64 = 2.575_829_303_5;
/// Ratio of the standard deviation to the median absolute deviation of a normal distribution.
const MAD_TO_SD: f64 = 1.4826;
/// Maximum number of rows to which the first model is fitted (not tuned).
const MAX_ROWS: usize = 5_000;
/// Penalty λ of the first model (not tuned).
const PENALTY: f64 = 1e-6;

/// The transitions that are not outliers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inliers {
    pub rows: Vec<usize>,
    /// Number of outliers of each target: `[targets]`.
    pub outliers: Vec<usize>,
}

/// Removes the outliers from `rows`.
///
/// # Errors
/// Returns the same errors as [`Basis::new`].
pub fn inliers(data: &Dataset, rows: &[usize]) -> Result<Inliers> {
    let (p, q) = (data.x.len(), data.y.len());
    let typical = |values: &[f64]| usual_range(rows.iter().map(|r| values[*r]).collect());
    let bounds: Vec<(f64, f64)> = data.y.iter().map(|y| typical(y)).collect();
    let is_typical = |r: &usize| data.y.iter().zip(&bounds).all(|(y, (low, high))| (*low..=*high).contains(&y[*r]));
    let first: Vec<usize> = thin(&rows.iter().copied().filter(is_typical).collect::<Vec<_>>(), MAX_ROWS);
    if q == 0 || first.len() < 2 * (p + 1) {
        return Ok(Inliers { rows: rows.to_vec(), outliers: vec![0; q] });
    }
    let (x, y) = (data.input_scaling(&first), data.target_scaling(&first));
    let blocks = Blocks::new(data, &first, &[]);
    let mut gram = Gram::zero(p, q);
    Gram::from_blocks(data, &first, &blocks, &x, &y).iter().for_each(|g| gram.add(g, 1.0));
    let basis = Basis::new(&gram)?;
    let (inverse, moved) = (x.inverse(), exceptional_moves(data, rows));
    let mut is_outlier = vec![false; rows.len()];
    let mut outliers = vec![0; q];
    for (j, count) in outliers.iter_mut().enumerate().filter(|(j, _)| bounds[*j].0.is_finite()) {
        let (intercept, weights) = basis.solve(j, PENALTY);
        let mut residuals: Vec<f64> = rows.iter().map(|r| data.y[j][*r] - y.mean[j] - intercept * y.sd[j]).collect();
        for ((column, w), (mean, inverse)) in data.x.iter().zip(weights.iter()).zip(x.mean.iter().zip(&inverse)) {
            let w = w * inverse * y.sd[j];
            residuals.iter_mut().zip(rows).for_each(|(e, r)| *e -= w * (column[*r] - mean));
        }
        let (low, high) = usual_range(residuals.clone());
        for ((out, e), moved) in is_outlier.iter_mut().zip(&residuals).zip(&moved) {
            if !moved && !(low..=high).contains(e) {
                *count += 1;
                *out = true;
            }
        }
    }
    let rows = rows.iter().zip(&is_outlier).filter(|(_, out)| !**out).map(|(r, _)| *r).collect();
    Ok(Inliers { rows, outliers })
}

/// For each row in `rows`, whether a control moved exceptionally far in the lagged rows that the model reads.
fn exceptional_moves(data: &Dataset, rows: &[usize]) -> Vec<bool> {
    let mut exceptional = vec![false; rows.len()];
    for moves in &data.control_moves {
        let (low, high) = usual_range(rows.iter().map(|r| moves[*r]).filter(|m| m.is_finite()).collect());
        // If the control hardly ever moves, there is no usual range of moves, and every move is exceptional.
        let unusual = |m: f64| if low.is_finite() { m < low || m > high } else { m != 0.0 };
        for (found, r) in exceptional.iter_mut().zip(rows) {
            let from = data.row.partition_point(|t| t + data.layout.depth() <= data.row[*r]);
            *found |= (from..=*r).any(|i| moves[i].is_finite() && unusual(moves[i]));
        }
    }
    exceptional
}

/// The range outside which a value is extreme. The range is unbounded if at least 99 % of the values are equal.
fn usual_range(mut values: Vec<f64>) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    values.sort_unstable_by(f64::total_cmp);
    let median = quantile_nearest(&values, 0.5);
    let tails = (quantile_nearest(&values, 0.995) - quantile_nearest(&values, 0.005)) / (2.0 * TAIL);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    values.sort_unstable_by(f64::total_cmp);
    let sd = tails.max(MAD_TO_SD * quantile_nearest(&values, 0.5));
    if sd > 0.0 { (median - EXTREME * sd, median + EXTREME * sd) } else { (f64::NEG_INFINITY, f64::INFINITY) }
}

#[cfg(test)]
#[path = "../../../tests/unit/learn/model/outliers.rs"]
mod tests;
