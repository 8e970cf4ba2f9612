//! The quadratic program of a planner step: its constraints, its scaling, and its solution one rank
//! at a time.

use nalgebra::DVector;

use super::constraints::ControlConstraints;
use super::linearisation::{Linearisation, LinearisedLimit};
use super::problem::Problem;
use super::quadratic::Row;

/// Fraction of the slack that a step leaves unused, because derivatives are not exact (not tuned).
const SLACK_LEFT: f64 = 0.02;

/// Returns the limits of `model` as (rank, row), sorted by rank. The variables of a row are changes of `at` in units of
/// `scale`. Each row is divided by its largest coefficient. Limits that are satisfied by every change within the bounds
/// of the controls are omitted.
pub(super) fn limit_rows(model: &Linearisation, problem: &Problem, at: &[f64], scale: &[f64]) -> Vec<(u32, Row)> {
    let largest_change = |i: usize, coefficient: f64| {
        let bounds = problem.constraints[i % problem.controls()].bounds;
        coefficient * if coefficient > 0.0 { bounds.high - at[i] } else { bounds.low - at[i] } / scale[i]
    };
    let row = |limit: &LinearisedLimit| {
        let scaled = || limit.gradient.iter().zip(scale).map(|(a, s)| a * s);
        let largest = scaled().fold(0.0f64, |m, s| m.max(s.abs()));
        let bound = (limit.slack - SLACK_LEFT * limit.slack.abs()) / largest;
        if largest <= 0.0 || !bound.is_finite() {
            return None;
        }
        let coefficients: Vec<(usize, f64)> =
            scaled().map(|s| s / largest).enumerate().filter(|s| s.1 != 0.0).collect();
        let most: f64 = coefficients.iter().map(|(i, a)| largest_change(*i, *a)).sum();
        (most > bound).then_some((limit.rank, Row { coefficients, bound }))
    };
    let mut rows: Vec<(u32, Row)> = model.limits.iter().filter_map(row).collect();
    rows.sort_by_key(|r| r.0);
    rows
}

/// Computes a step by solving a hierarchy of quadratic programs (Kanoun, Lamiraux & Wieber 2011). The zero step must
/// satisfy `rows`, and `limits` must be sorted by rank. The violation of the limits of each rank is
/// as small as the preceding ranks allow. Limits of subsequent ranks never increase this violation.
///
/// `solve(rows, violated)` must return the step that minimises the cost plus a penalty on violations of `violated`,
/// subject to `rows`.
pub(super) fn solve_by_rank(
    mut rows: Vec<Row>,
    limits: &[(u32, Row)],
    mut solve: impl FnMut(&[Row], &[Row]) -> Option<DVector<f64>>,
) -> Option<DVector<f64>> {
    // The solution for the ranks processed so far, and whether any limit of the last rank was violated.
    let (mut step, mut last_violated): (Option<DVector<f64>>, bool) = (None, false);
    for same in limits.chunk_by(|a, b| a.0 == b.0) {
        let is_violated = |row: &Row| step.as_ref().map_or(0.0, |x| row.dot(x)) > row.bound;
        let (violated, satisfied): (Vec<Row>, Vec<Row>) =
            same.iter().map(|(_, row)| row.clone()).partition(is_violated);
        rows.extend(satisfied);
        last_violated = !violated.is_empty();
        if last_violated {
            let x = solve(&rows, &violated)?;
            rows.extend(violated.into_iter().map(|row| Row { bound: row.bound.max(row.dot(&x)), ..row }));
            step = Some(x);
        }
    }
    if last_violated { step } else { solve(&rows, &[]) }
}

/// Unit in which the change of each value is expressed: the initial standard deviation of the samplers, or 1 if the
/// control cannot move.
pub(super) fn scales(problem: &Problem) -> Vec<f64> {
    let unit = |c: usize| Some(problem.initial_deviation(c)).filter(|s| *s > 0.0).unwrap_or(1.0);
    (0..problem.len()).map(|i| unit(i % problem.controls())).collect()
}

/// Returns the bounds, the move limits and the limits on totals as rows of constraints. The variables are changes of
/// the feasible sequence `at` in units of `scale`. A change of zero satisfies all constraints.
pub(super) fn control_rows(problem: &Problem, at: &[f64], scale: &[f64]) -> Vec<Row> {
    let controls = problem.controls();
    let mut rows = Vec::with_capacity(4 * at.len());
    let mut add = |coefficients: Vec<(usize, f64)>, slack: f64| {
        if slack.is_finite() {
            rows.push(Row { coefficients, bound: slack.max(0.0) });
        }
    };
    for (i, (now, s)) in at.iter().zip(scale).enumerate() {
        let c = i % controls;
        let ControlConstraints { bounds, max_move, .. } = problem.constraints[c];
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
        let sum = total.sum(problem, at);
        let coefficients = |sign: f64| {
            let of_move = |k: usize| (k * controls + total.control, total.steps[k] as f64);
            (0..problem.moves).map(of_move).map(|(i, steps)| (i, sign * steps * scale[i])).collect()
        };
        add(coefficients(1.0), total.bounds.high - sum);
        add(coefficients(-1.0), sum - total.bounds.low);
    }
    rows
}
