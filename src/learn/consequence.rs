//! Disturbances that respond to a control.
//!
//! A scenario keeps the logged disturbances, so a signal that is a consequence of a control must
//! not be a disturbance. Otherwise, the simulation would omit the part of the effect that acts
//! through this signal. Two tests compare the moves of the control with the errors of a linear
//! forecast of the disturbance from its own past, the past of the control, the other inputs and the
//! time of day:
//!
//! - *Later*: the mean of the disturbance over the control horizon after step t, or over its first
//!   quarter, depends on u(t) even if d(t) is given. A control that merely follows d(t) does not
//!   pass this test.
//! - *At once*: at the moves of a control that is otherwise constant, d(t) jumps in proportion to
//!   the move, even if the move is small, and the jumps are much larger than the changes between
//!   moves. A control that follows d(t) with a threshold or a schedule does not pass this test.
//!
//! A disturbance also passes the first test, although with a low correlation, if both signals
//! follow an unlogged quantity, or if the disturbance is a noisy measurement of the quantity that
//! the control follows. In these cases, the log determines the effect of the control only weakly.

use nalgebra::{DMatrix, DVector};

use super::choose::TrainingData;
use super::history::trailing_means;
use super::layout::{Layout, Target};
use crate::schema::Role;
use crate::stats::t_quantile;

/// Normal quantile above which a response is attributed neither to chance nor to errors of the
/// linear forecast (not tuned).
const SIGNIFICANT: f64 = 4.5;
/// Minimum effective number of blocks (not tuned).
const MIN_BLOCKS: f64 = 5.0;
/// A later response with at least this correlation cannot be due to noise in the measured disturbance (not tuned).
const CORRELATION: f64 = 0.3;
/// The root mean square of the jumps must exceed that of the changes between moves by this factor
/// (not tuned).
const JUMP: f64 = 2.0;
/// Minimum fraction of the mean square change at moves that the moves explain (not tuned).
const EXPLAINED: f64 = 0.8;
/// The jump per unit of the control, estimated from small moves only, must exceed this fraction of
/// the estimate from all moves (not tuned).
const SMALL_MOVES: f64 = 0.5;
/// The part of the effect that acts through the disturbance is relevant if it exceeds this fraction
/// of the sum of both parts of the effect (not tuned).
const RELEVANT: f64 = 0.2;
/// A control is considered constant between its moves if it keeps each value for more than this
/// number of steps on average (not tuned).
const HELD_STEPS: f64 = 2.0;
/// Only every n-th row is used if the number of rows is at least twice this value (not tuned).
const MAX_ROWS: usize = 20_000;
/// Value added to the diagonal of the normal equations of the scaled regressors, which may be
/// linearly dependent.
const RIDGE: f64 = 1e-8;

/// A disturbance that responds to a control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consequence {
    /// Column of the disturbance.
    pub disturbance: usize,
    /// Mean change of the disturbance over the control horizon, per unit of the control.
    pub change: f64,
    /// Whether the response is so clear that another cause is unlikely.
    pub is_clear: bool,
}

/// Returns the disturbance that responds most clearly to `control`. A disturbance is considered
/// only if its response is a relevant part of the effect of the control on a learned signal.
/// `hours` contains the hour of the day of every row, and `held` is the mean number of steps
/// between two changes of the control.
pub(super) fn consequence(
    data: &TrainingData,
    layout: &Layout,
    hours: &[usize],
    control: usize,
    held: f64,
) -> Option<Consequence> {
    let schema = &data.log.schema;
    let mut inputs: Vec<usize> = layout.inputs.iter().map(|i| i.0).filter(|s| *s != control).collect();
    inputs.retain(|s| matches!(schema.signals[*s].role, Role::Disturbance | Role::Control));
    inputs.dedup();
    inputs.retain(|s| data.moments[*s].varies());
    let rows = Rows::new(data, hours, control, &inputs, held)?;
    let (now, before) = (rows.regressors(0)?, rows.regressors(1)?);
    let disturbances = inputs.iter().copied().filter(|s| schema.signals[*s].role == Role::Disturbance);
    let found = disturbances.filter_map(|d| {
        let (clarity, consequence) = rows.response(&now, &before, d)?;
        let is_relevant =
            layout.targets.iter().any(|target| rows.is_relevant(*target, d, consequence.change).unwrap_or(false));
        is_relevant.then_some((clarity, consequence))
    });
    found.max_by(|a, b| a.1.is_clear.cmp(&b.1.is_clear).then(a.0.total_cmp(&b.0))).map(|found| found.1)
}

/// The rows in which the control and all inputs are known.
struct Rows<'a> {
    data: &'a TrainingData<'a>,
    hours: &'a [usize],
    control: usize,
    inputs: &'a [usize],
    rows: Vec<usize>,
    /// Length of a block in rows.
    block: usize,
    /// Whether the control is constant between its moves.
    is_held: bool,
}

/// A set of scaled regressors, with the inverse of the matrix of their normal equations.
struct Regressors {
    columns: Vec<Vec<f64>>,
    inverse: DMatrix<f64>,
}

impl Regressors {
    fn new(mut columns: Vec<Vec<f64>>) -> Option<Self> {
        for column in &mut columns {
            let size = dot(column, column).sqrt();
            column.iter_mut().for_each(|v| *v /= if size > 0.0 { size } else { 1.0 });
        }
        let p = columns.len();
        let mut normal = DMatrix::zeros(p, p);
        for i in 0..p {
            for j in 0..=i {
                let product = dot(&columns[i], &columns[j]);
                (normal[(i, j)], normal[(j, i)]) = (product, product);
            }
            normal[(i, i)] += RIDGE;
        }
        Some(Self { columns, inverse: normal.cholesky()?.inverse() })
    }

    /// Returns the part of `y` that the regressors do not explain.
    fn residuals(&self, y: &[f64]) -> Vec<f64> {
        let coefficients =
            &self.inverse * DVector::from_iterator(self.columns.len(), self.columns.iter().map(|c| dot(c, y)));
        let mut left = y.to_vec();
        for (column, b) in self.columns.iter().zip(coefficients.iter()) {
            left.iter_mut().zip(column).for_each(|(l, x)| *l -= b * x);
        }
        left
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl<'a> Rows<'a> {
    /// Returns `None` if there are too few rows.
    fn new(
        data: &'a TrainingData<'a>,
        hours: &'a [usize],
        control: usize,
        inputs: &'a [usize],
        held: f64,
    ) -> Option<Self> {
        let known = |s: usize, t: usize| data.log.columns[s][t].is_finite();
        let complete = |t: &usize| {
            inputs.iter().chain([&control]).all(|s| (*t - 2..=*t).all(|t| known(*s, t)))
                && inputs.iter().all(|s| (*t..=*t + data.horizon).all(|t| known(*s, t)))
        };
        let of_range = |range: &std::ops::Range<usize>| range.start + 2..range.end.saturating_sub(data.horizon);
        let mut rows: Vec<usize> = data.split.train.iter().flat_map(of_range).filter(complete).collect();
        let stride = (rows.len() / MAX_ROWS).max(1);
        rows = rows.into_iter().step_by(stride).collect();
        let block = (2 * data.horizon).max(held.round() as usize);
        let enough = rows.len() > 10 * (inputs.len() + 24);
        enough.then_some(Self { data, hours, control, inputs, rows, block, is_held: held > HELD_STEPS })
    }

    fn at(&self, signal: usize, shift: usize) -> Vec<f64> {
        self.rows.iter().map(|t| self.data.log.columns[signal][t - shift]).collect()
    }

    /// Creates the regressors: the hour of the day, the last two values of the control, and the
    /// values of the inputs `shift` and `shift + 1` steps ago.
    fn regressors(&self, shift: usize) -> Option<Regressors> {
        let hour = |hour: usize| self.rows.iter().map(|t| f64::from(self.hours[*t] == hour)).collect();
        let mut columns: Vec<Vec<f64>> = (0..24).map(hour).collect();
        columns.extend([1, 2].map(|lag| self.at(self.control, lag)));
        columns.extend(self.inputs.iter().flat_map(|s| [shift, shift + 1].map(|lag| self.at(*s, lag))));
        Regressors::new(columns)
    }

    /// Returns the residuals of each series in `ys` after regression on `known` and on the trailing
    /// means of `d` that end `shift` steps before each row.
    fn left(&self, known: &Regressors, d: usize, shift: usize, ys: [Vec<f64>; 2]) -> Option<[Vec<f64>; 2]> {
        let ends: Vec<usize> = self.rows.iter().map(|t| t + 1 - shift).collect();
        let means = trailing_means(self.data.log, &[d], &ends);
        let means = Regressors::new(means.iter().map(|(_, m)| known.residuals(m)).collect())?;
        Some(ys.map(|y| means.residuals(&known.residuals(&y))))
    }

    /// Returns how clearly `d` responds to the control, and the response itself. Returns `None` if
    /// no response is found.
    fn response(&self, now: &Regressors, before: &Regressors, d: usize) -> Option<(f64, Consequence)> {
        let (u, column) = (self.at(self.control, 0), &self.data.log.columns[d]);
        let horizon = self.data.horizon;
        let means = |after: usize, steps: usize| {
            let of_row = |t: &usize| column[t + after..t + after + steps].iter().sum::<f64>() / steps as f64;
            self.rows.iter().map(of_row).collect::<Vec<f64>>()
        };
        let (mut clarity, mut correlation) = (0.0f64, 0.0f64);
        for steps in [horizon.div_ceil(4), horizon] {
            let [v, w] = self.left(now, d, 0, [u.clone(), means(1, steps)])?;
            clarity = clarity.max(self.clarity(&v, &w));
            correlation = correlation.max(dot(&v, &w).abs() / (dot(&v, &v) * dot(&w, &w)).sqrt());
        }
        let [v, w] = self.left(before, d, 1, [u, means(0, horizon)])?;
        let change = dot(&v, &w) / dot(&v, &v);
        let jumps = self.is_held && self.jumps(before, d).unwrap_or(false);
        let is_clear = jumps || correlation > CORRELATION;
        (clarity > 1.0 || jumps).then_some((clarity, Consequence { disturbance: d, change, is_clear }))
    }

    /// Returns the significance of the dependence of `w` on `v`, relative to [`SIGNIFICANT`].
    /// Blocks of rows are treated as independent.
    fn clarity(&self, v: &[f64], w: &[f64]) -> f64 {
        let vv = dot(v, v);
        let slope = dot(v, w) / vv;
        let (mut meat, mut weights) = (0.0, 0.0);
        let rows: Vec<usize> = (0..self.rows.len()).collect();
        for block in rows.chunk_by(|a, b| self.rows[*a] / self.block == self.rows[*b] / self.block) {
            let sum = |of: &dyn Fn(usize) -> f64| block.iter().map(|r| of(*r)).sum::<f64>();
            meat += sum(&|r| v[r] * (w[r] - slope * v[r])).powi(2);
            weights += sum(&|r| v[r] * v[r]).powi(2);
        }
        let blocks = vv * vv / weights;
        if blocks < MIN_BLOCKS {
            return 0.0;
        }
        slope.abs() * vv / meat.sqrt() / t_quantile(SIGNIFICANT, blocks - 1.0)
    }

    /// Returns true if `d` jumps at the moves of the control.
    fn jumps(&self, before: &Regressors, d: usize) -> Option<bool> {
        let [w, _] = self.left(before, d, 1, [self.at(d, 0), self.at(d, 1)])?;
        let moves: Vec<f64> =
            self.at(self.control, 0).iter().zip(self.at(self.control, 1)).map(|(u, b)| u - b).collect();
        let (moved, still): (Vec<_>, Vec<_>) = moves.into_iter().zip(w).partition(|m: &(f64, f64)| m.0 != 0.0);
        let slope = |pairs: &[(f64, f64)]| {
            let uu = pairs.iter().map(|m| m.0 * m.0).sum::<f64>();
            pairs.iter().map(|m| m.0 * m.1).sum::<f64>() / uu
        };
        let square = |pairs: &[(f64, f64)], of: &dyn Fn(&(f64, f64)) -> f64| {
            pairs.iter().map(|m| of(m).powi(2)).sum::<f64>() / pairs.len() as f64
        };
        let b = slope(&moved);
        let mut sizes: Vec<f64> = moved.iter().map(|m| m.0.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let median = *sizes.get(sizes.len() / 2)?;
        let small: Vec<(f64, f64)> = moved.iter().copied().filter(|m| m.0.abs() <= median).collect();
        let jump = square(&moved, &|m| b * m.0);
        let is_larger = jump > JUMP * JUMP * square(&still, &|m| m.1);
        let explained = 1.0 - square(&moved, &|m| m.1 - b * m.0) / square(&moved, &|m| m.1);
        let enough = small.len() as f64 > MIN_BLOCKS;
        Some(enough && is_larger && explained > EXPLAINED && slope(&small) / b > SMALL_MOVES)
    }

    /// Returns true if a relevant part of the effect of the control on `target` acts through `d`.
    fn is_relevant(&self, target: Target, d: usize, change: f64) -> Option<bool> {
        let column = &self.data.log.columns[target.signal()];
        let shift = usize::from(target.is_next());
        let known: Vec<usize> = self.rows.iter().copied().filter(|t| column[t + shift].is_finite()).collect();
        let inputs: Vec<usize> = self.inputs.iter().copied().filter(|s| *s != d).collect();
        let rows = Rows { rows: known, inputs: &inputs, ..*self };
        let others = rows.regressors(0)?;
        let y = others.residuals(&rows.rows.iter().map(|t| column[t + shift]).collect::<Vec<_>>());
        let own = [rows.at(self.control, 0), rows.at(d, 0), rows.at(d, 1)].map(|x| others.residuals(&x));
        let normal = DMatrix::from_fn(3, 3, |i, j| dot(&own[i], &own[j]) * if i == j { 1.0 + RIDGE } else { 1.0 });
        let b = normal.try_inverse()? * DVector::from_iterator(3, own.iter().map(|x| dot(x, &y)));
        let through = (change * (b[1] + b[2])).abs();
        Some(through > RELEVANT * (through + b[0].abs()))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/learn/consequence.rs"]
mod tests;
