//! What a cost looks like around a sequence.

use nalgebra::{DMatrix, DVector};

use super::quadratic::{Quadratic, Row};
use super::{Allowed, Problem};

/// The cost around a sequence, as a function of the change δ of its values, `[moves * controls]`:
/// cost + gradient · δ + ½ |residuals + jacobian δ|² − ½ |residuals|².
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Local {
    pub cost: f64,
    /// Slopes of what is no sum of squares.
    pub gradient: Vec<f64>,
    /// Whose squares are to be least; weights are in them.
    pub residuals: Vec<f64>,
    /// `[moves * controls][residuals]`.
    pub jacobian: Vec<Vec<f64>>,
    /// Limits of what the plant does, by rank: slopes · δ ≤ room.
    pub limits: Vec<LocalLimit>,
}

/// slopes · δ ≤ room; a negative room is a limit that the sequence breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalLimit {
    /// `[moves * controls]`.
    pub slopes: Vec<f64>,
    pub room: f64,
    /// Kept before those of higher numbers; 0 is a hard limit.
    pub rank: u32,
}

/// Share of the room to a limit that a step leaves.
const NEAREST: f64 = 0.02;

impl Local {
    /// Whether every slope is known: sizes fit sequences of length `n`, and no number is missing.
    pub(super) fn is_known(&self, n: usize) -> bool {
        let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
        self.gradient.len() == n
            && self.jacobian.len() == n
            && self.jacobian.iter().all(|j| j.len() == self.residuals.len() && finite(j))
            && finite(&self.gradient)
            && finite(&self.residuals)
            && self.limits.iter().all(|l| l.slopes.len() == n && finite(&l.slopes) && !l.room.is_nan())
    }

    /// Slopes of the whole cost: gradient + Jᵀ r.
    pub(super) fn slopes(&self) -> Vec<f64> {
        let squares = self.jacobian.iter().map(|j| j.iter().zip(&self.residuals).map(|(j, r)| j * r).sum::<f64>());
        self.gradient.iter().zip(squares).map(|(g, s)| g + s).collect()
    }

    /// The limits that the controls can move, for a change in units of `scale`, their largest slope one. A limit is
    /// approached, not hit: slopes are never exact. Left out are those that no change of `at` within its bounds comes near.
    /// With their ranks, in the order of these.
    pub(super) fn limit_rows(&self, problem: &Problem, at: &[f64], scale: &[f64]) -> Vec<(u32, Row)> {
        let farthest = |i: usize, slope: f64| {
            let bounds = problem.allowed[i % problem.controls()].bounds;
            slope * if slope > 0.0 { bounds.high - at[i] } else { bounds.low - at[i] } / scale[i]
        };
        let row = |limit: &LocalLimit| {
            let slopes = || limit.slopes.iter().zip(scale).map(|(a, s)| a * s);
            let most = slopes().fold(0.0f64, |m, s| m.max(s.abs()));
            let bound = (limit.room - NEAREST * limit.room.abs()) / most;
            if most <= 0.0 || !bound.is_finite() {
                return None;
            }
            let slopes: Vec<(usize, f64)> = slopes().map(|s| s / most).enumerate().filter(|s| s.1 != 0.0).collect();
            let reach: f64 = slopes.iter().map(|(i, s)| farthest(*i, *s)).sum();
            (reach > bound).then_some((limit.rank, Row { slopes, bound }))
        };
        let mut rows: Vec<(u32, Row)> = self.limits.iter().filter_map(row).collect();
        rows.sort_by_key(|r| r.0);
        rows
    }

    /// The cost, less a constant, as a function of the change in units of `scale`: hessian JᵀJ, slopes as above.
    pub(super) fn quadratic(&self, scale: &[f64]) -> Quadratic {
        let n = scale.len();
        let mut hessian = DMatrix::zeros(n, n);
        for i in 0..n {
            for j in 0..=i {
                let product: f64 = self.jacobian[i].iter().zip(&self.jacobian[j]).map(|(a, b)| a * b).sum();
                hessian[(i, j)] = scale[i] * scale[j] * product;
                hessian[(j, i)] = hessian[(i, j)];
            }
        }
        let gradient = DVector::from_iterator(n, self.slopes().iter().zip(scale).map(|(g, s)| g * s));
        Quadratic { hessian, gradient }
    }
}

/// The change that holds `rows`, which no change holds too, and limits in the order of their ranks: those of a rank are
/// broken as little as the higher ones allow, and no lower one makes them broken more (a hierarchy of quadratic programs:
/// Kanoun, Lamiraux & Wieber 2011). `least`: the cheapest change that holds its first rows and breaks the second ones least.
pub(super) fn by_rank(
    mut rows: Vec<Row>,
    limits: &[(u32, Row)],
    mut least: impl FnMut(&[Row], &[Row]) -> Option<DVector<f64>>,
) -> Option<DVector<f64>> {
    let (mut at, mut mended): (Option<DVector<f64>>, bool) = (None, false);
    for same in limits.chunk_by(|a, b| a.0 == b.0) {
        let is_broken = |row: &Row| at.as_ref().map_or(0.0, |x| row.dot(x)) > row.bound;
        let (broken, whole): (Vec<Row>, Vec<Row>) = same.iter().map(|(_, row)| row.clone()).partition(is_broken);
        rows.extend(whole);
        mended = !broken.is_empty();
        if mended {
            let x = least(&rows, &broken)?;
            rows.extend(broken.into_iter().map(|row| Row { bound: row.bound.max(row.dot(&x)), ..row }));
            at = Some(x);
        }
    }
    if mended { at } else { least(&rows, &[]) }
}

/// Unit of each value's change: the spread of its control; one where it cannot move, since its rows then say so.
pub(super) fn units(problem: &Problem) -> Vec<f64> {
    let unit = |c: usize| Some(problem.spread(c)).filter(|s| *s > 0.0).unwrap_or(1.0);
    (0..problem.len()).map(|i| unit(i % problem.controls())).collect()
}

/// What a change of the feasible sequence `at`, in units of `scale`, must hold: bounds, moves and totals. No change holds it.
pub(super) fn rows(problem: &Problem, at: &[f64], scale: &[f64]) -> Vec<Row> {
    let controls = problem.controls();
    let mut rows = Vec::with_capacity(4 * at.len());
    let mut add = |slopes: Vec<(usize, f64)>, room: f64| {
        if room.is_finite() {
            rows.push(Row { slopes, bound: room.max(0.0) });
        }
    };
    for (i, (now, s)) in at.iter().zip(scale).enumerate() {
        let c = i % controls;
        let Allowed { bounds, max_move, .. } = problem.allowed[c];
        add(vec![(i, *s)], bounds.high - now);
        add(vec![(i, -s)], now - bounds.low);
        let last = if i < controls { problem.previous[c] } else { at[i - controls] };
        let (mut up, mut down) = (vec![(i, *s)], vec![(i, -s)]);
        if i >= controls {
            up.push((i - controls, -scale[i - controls]));
            down.push((i - controls, scale[i - controls]));
        }
        add(up, max_move.up - (now - last));
        add(down, max_move.down + (now - last));
    }
    for total in &problem.totals {
        let taken = total.taken(problem, at);
        let slopes = |sign: f64| {
            let of_move = |k: usize| (k * controls + total.control, problem.steps[k] as f64);
            (0..problem.moves).map(of_move).map(|(i, steps)| (i, sign * steps * scale[i])).collect()
        };
        add(slopes(1.0), total.range.high - taken);
        add(slopes(-1.0), taken - total.range.low);
    }
    rows
}
