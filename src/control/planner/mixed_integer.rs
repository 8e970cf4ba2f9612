//! A mixed-integer linear program with piecewise linear and curved terms.
//!
//! Maxima become variables with an epigraph: z ≥ x and z ≥ 0 for z = max(x, 0). Functions of one variable are replaced
//! by tangents. Replacing maxima and functions in this way relaxes the problem, so the optimum of the program is a
//! lower bound on the cost. After each solution, [`Model::refine`] tightens the terms whose relaxation the solution
//! exploits: it adds a binary variable for a maximum, and a tangent for a function.
//!
//! The programs are solved by branch and bound with the dual simplex method of `microlp`, which is written in Rust and
//! has no system dependencies. The number of nodes is limited instead of the computing time, so
//! results do not depend on the speed of the computer.

use microlp::{ComparisonOp, OptimizationDirection, Problem, ResumeOptions, SolveOptions, SolveOutcome, Variable};

use super::form::Form;
use crate::expr::Curve;
use crate::schema::Bounds;

#[derive(Debug, Clone, Copy)]
struct Decision {
    bounds: Bounds,
    is_integer: bool,
}

/// The variable z = max(x, 0).
#[derive(Debug, Clone)]
struct Kink {
    argument: Form,
    variable: usize,
    /// Whether a binary variable makes the maximum exact.
    is_exact: bool,
}

/// The variable z = f(x) for a convex f, or z = −f(x) for a concave f.
#[derive(Debug, Clone)]
struct Bend {
    argument: Form,
    curve: Curve,
    sign: f64,
    variable: usize,
}

/// The constraint low ≤ form ≤ high.
#[derive(Debug, Clone)]
struct Row {
    form: Form,
    bounds: Bounds,
}

/// A mixed-integer linear program.
#[derive(Debug, Clone, Default)]
pub struct Model {
    variables: Vec<Decision>,
    rows: Vec<Row>,
    kinks: Vec<Kink>,
    bends: Vec<Bend>,
    /// Whether maxima are replaced by their means over the simulated futures. The replacement is exact in the
    /// objective, but impossible in the equations of the plant.
    pub prices_spread: bool,
    /// Whether a mean over futures is a part of the program.
    has_means: bool,
    /// The cost to minimise.
    pub cost: Form,
}

/// A feasible point of a model.
#[derive(Debug, Clone)]
pub struct Point {
    /// `[variables]`.
    pub values: Vec<f64>,
    /// Lower bound on the cost of all feasible points.
    pub bound: f64,
}

/// Number of tangents per function in the first program (not tuned).
const TANGENTS: usize = 9;
/// Largest accepted difference between a function and the variable that replaces it, relative to
/// the range of the function (not tuned).
const EXACT: f64 = 1e-5;
/// Largest spread between futures that is ignored, relative to the range of a function.
const NEGLIGIBLE: f64 = 1e-9;
/// Approximate number of linear pieces of a mean over futures (not tuned).
const PIECES: usize = 32;
/// Number of branch-and-bound nodes between two checks of the time budget.
const SLICE: u64 = 64;

impl Model {
    /// Adds a variable. Bounds of integer variables must be integers.
    pub fn variable(&mut self, bounds: Bounds, is_integer: bool) -> usize {
        self.variables.push(Decision { bounds, is_integer });
        self.variables.len() - 1
    }

    pub fn binary(&mut self) -> usize {
        self.variable(Bounds { low: 0.0, high: 1.0 }, true)
    }

    /// Whether the model has integer variables.
    pub fn has_integers(&self) -> bool {
        self.variables.iter().any(|v| v.is_integer)
    }

    /// Whether the program contains means over several simulated futures.
    pub fn has_means(&self) -> bool {
        self.has_means
    }

    /// Adds the constraint that the mean of `form` over the futures is within `bounds`. A constraint that the bounds of
    /// the variables imply is omitted.
    pub fn constrain(&mut self, form: Form, bounds: Bounds) {
        let range = self.range(&form);
        if range.low < bounds.low || range.high > bounds.high {
            self.rows.push(Row { form: form.expected(), bounds });
        }
    }

    /// The range of values that the bounds of the variables allow.
    pub fn range(&self, form: &Form) -> Bounds {
        let mut range = Bounds { low: form.constant, high: form.constant };
        for (i, v) in &form.terms {
            let Bounds { low, high } = self.variables[*i].bounds;
            let (a, b) = (v * low, v * high);
            (range.low, range.high) = (range.low + a.min(b), range.high + a.max(b));
        }
        range
    }

    /// Replaces a function of several variables by a new variable with the same value, so that constraints stay sparse.
    pub fn named(&mut self, form: Form) -> Form {
        if form.len() < 3 {
            return form;
        }
        let variable = self.variable(self.range(&form), false);
        let own = Form::variable(variable, 1.0);
        let row = Form::sum(&form.expected(), 1.0, &own, -1.0);
        self.rows.push(Row { form: row, bounds: Bounds { low: 0.0, high: 0.0 } });
        Form { spread: form.spread, ..own }
    }

    /// max(a, b).
    pub fn maximum(&mut self, a: &Form, b: &Form) -> Form {
        let difference = self.positive_part(Form::sum(b, 1.0, a, -1.0));
        Form::sum(a, 1.0, &difference, 1.0)
    }

    /// max(x, 0). Both max(x, 0) and max(−x, 0) = max(x, 0) − x use the same variable, which keeps relaxations tight.
    pub fn positive_part(&mut self, x: Form) -> Form {
        let x = if self.prices_spread { x } else { x.expected() };
        let mut range = self.range(&x);
        let largest = x.spread.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let is_mean = largest > NEGLIGIBLE * (range.high - range.low).max(x.constant.abs());
        if is_mean {
            range.low += x.spread.iter().copied().fold(0.0, f64::min);
            range.high += x.spread.iter().copied().fold(0.0, f64::max);
        }
        if range.low >= 0.0 {
            return x;
        }
        if range.high <= 0.0 {
            return Form::default();
        }
        if x.terms.first().is_some_and(|t| t.1 < 0.0) {
            let opposite = self.positive_part(x.scaled(-1.0));
            return Form::sum(&x, 1.0, &opposite, 1.0);
        }
        if let Some(known) = self.kinks.iter().rev().find(|k| k.argument == x) {
            return Form::variable(known.variable, 1.0);
        }
        let variable = self.variable(Bounds { low: 0.0, high: range.high }, false);
        let own = Form::variable(variable, 1.0);
        if is_mean {
            self.bound_mean(&x, &own);
        } else {
            self.constrain(Form::sum(&own, 1.0, &x, -1.0), Bounds { low: 0.0, high: f64::INFINITY });
        }
        self.kinks.push(Kink { argument: x, variable, is_exact: is_mean });
        own
    }

    /// Adds lower bounds on `own`, the mean of max(x, 0) over the futures. The mean is piecewise linear: its slope is
    /// the fraction of the futures in which x is positive.
    fn bound_mean(&mut self, x: &Form, own: &Form) {
        self.has_means = true;
        let mut spread = x.spread.clone();
        spread.sort_by(|a, b| b.total_cmp(a));
        let (count, stride, mut sum) = (spread.len(), spread.len().div_ceil(PIECES), 0.0);
        for (positive, deviation) in (1..).zip(&spread) {
            sum += deviation;
            if positive % stride == 0 || positive == 1 || positive == count {
                let share = positive as f64 / count as f64;
                let mut row = Form::sum(own, 1.0, &x.expected(), -share);
                row.constant -= sum / count as f64;
                self.constrain(row, Bounds { low: 0.0, high: f64::INFINITY });
            }
        }
    }

    /// The function `curve` of `x`; `None` if the function is neither convex nor concave within the
    /// range of `x`.
    pub fn curve(&mut self, curve: Curve, x: &Form) -> Option<Form> {
        let Bounds { low, high } = self.range(x);
        if x.is_constant() {
            return Some(Form::constant(curve.value(x.constant)));
        }
        let sign = if curve.is_convex(low, high)? { 1.0 } else { -1.0 };
        let ends = [low, high].map(|e| sign * curve.value(e));
        if ends.iter().any(|e| !e.is_finite()) {
            return None;
        }
        // Between two samples, a convex function is above the tangent at either sample.
        let spacing = (high - low) / TANGENTS as f64;
        let least = (0..=TANGENTS).map(|k| low + spacing * k as f64);
        let least = least.map(|x| sign * curve.value(x) - (curve.slope(x) * spacing).abs());
        let least = least.filter(|v| v.is_finite()).fold(f64::INFINITY, f64::min);
        if least > ends[0].max(ends[1]) {
            return None;
        }
        let variable = self.variable(Bounds { low: least, high: ends[0].max(ends[1]) }, false);
        self.bends.push(Bend { argument: x.clone(), curve, sign, variable });
        for k in 0..TANGENTS {
            let at = low + (high - low) * (k as f64 + 0.5) / TANGENTS as f64;
            self.tangent(self.bends.len() - 1, at);
        }
        Some(Form::variable(variable, sign))
    }

    /// Adds the tangent of a function at the point `at`.
    fn tangent(&mut self, bend: usize, at: f64) {
        let Bend { argument, curve, sign, variable } = &self.bends[bend];
        let (value, slope) = (sign * curve.value(at), sign * curve.slope(at));
        if !value.is_finite() || !slope.is_finite() {
            return;
        }
        let mut form = Form::sum(&Form::variable(*variable, 1.0), 1.0, argument, -slope);
        form.constant += slope * at - value;
        self.rows.push(Row { form, bounds: Bounds { low: 0.0, high: f64::INFINITY } });
    }

    /// Tightens the maxima and functions whose relaxation the point `values` exploits. Returns
    /// false if the point exploits no relaxation, which means that the point is also feasible in
    /// the exact problem.
    pub fn refine(&mut self, values: &[f64]) -> bool {
        let mut refined = false;
        for k in 0..self.kinks.len() {
            let Kink { argument, variable, is_exact } = self.kinks[k].clone();
            let Bounds { low, high } = self.range(&argument);
            let excess = values[variable] - argument.value(values).max(0.0);
            if is_exact || excess <= EXACT * (high - low) {
                continue;
            }
            let on = Form::variable(self.binary(), 1.0);
            let own = Form::variable(variable, 1.0);
            // z ≤ high · on and z ≤ x − low · (1 − on).
            self.constrain(Form::sum(&own, 1.0, &on, -high), Bounds { low: f64::NEG_INFINITY, high: 0.0 });
            let mut second = Form::sum(&Form::sum(&own, 1.0, &argument, -1.0), 1.0, &on, -low);
            second.constant += low;
            self.constrain(second, Bounds { low: f64::NEG_INFINITY, high: 0.0 });
            self.kinks[k].is_exact = true;
            refined = true;
        }
        for b in 0..self.bends.len() {
            let Bend { argument, curve, sign, variable } = self.bends[b].clone();
            let (Bounds { low, high }, at) = (self.range(&argument), argument.value(values));
            let Bounds { low: least, high: most } = self.variables[variable].bounds;
            let width = most - least;
            if sign * curve.value(at) - values[variable] > EXACT * width {
                self.tangent(b, at.clamp(low, high));
                refined = true;
            }
        }
        refined
    }

    /// The optimum if integer variables may also have fractional values; `None` if no optimum is found.
    pub fn relaxed(&self) -> Option<Point> {
        let variables = self.variables.iter().map(|v| Decision { is_integer: false, ..*v }).collect();
        Self { variables, ..self.clone() }.solve(0, 0.0, &[], &|| false)
    }

    /// Solves the program to the relative gap `gap`, with at most `nodes` branch-and-bound nodes. `hint` contains
    /// values of variables as a possible start for the search. Returns `None` if no feasible point is found.
    pub fn solve(&self, nodes: u64, gap: f64, hint: &[(usize, f64)], out_of_time: &dyn Fn() -> bool) -> Option<Point> {
        let rows = self.rows.iter();
        if !self.cost.is_finite() || rows.clone().any(|r| !r.form.is_finite()) {
            return None;
        }
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        // The costs are scaled to the order of 1, so that tolerances do not depend on the unit of the cost.
        let size = self.cost.terms.iter().fold(0.0f64, |m, t| m.max(t.1.abs())).max(f64::MIN_POSITIVE);
        let mut costs = vec![0.0; self.variables.len()];
        self.cost.terms.iter().for_each(|(i, v)| costs[*i] = v / size);
        let add = |(decision, cost): (&Decision, &f64)| {
            let Bounds { low, high } = decision.bounds;
            if decision.is_integer {
                problem.add_integer_var(*cost, (low as i32, high as i32))
            } else {
                problem.add_var(*cost, (low, high))
            }
        };
        let variables: Vec<Variable> = self.variables.iter().zip(&costs).map(add).collect();
        for Row { form, bounds } in rows {
            let terms: Vec<(Variable, f64)> = form.terms.iter().map(|(i, v)| (variables[*i], *v)).collect();
            let (low, high) = (bounds.low - form.constant, bounds.high - form.constant);
            if low == high {
                problem.add_constraint(&terms, ComparisonOp::Eq, low);
                continue;
            }
            if low.is_finite() {
                problem.add_constraint(&terms, ComparisonOp::Ge, low);
            }
            if high.is_finite() {
                problem.add_constraint(&terms, ComparisonOp::Le, high);
            }
        }
        let mut options = SolveOptions::default();
        (options.node_limit, options.mip_gap) = (Some(SLICE.min(nodes)), gap);
        if self.has_integers() && !hint.is_empty() {
            options.warm_start = Some(hint.iter().map(|(i, v)| (variables[*i], *v)).collect());
        }
        let mut outcome = problem.solve_with(options).ok()?;
        let mut left = nodes.saturating_sub(SLICE);
        let is_limited = |o: &SolveOutcome| o.termination_reason() == microlp::TerminationReason::NodeLimit;
        while is_limited(&outcome) && left > 0 && !out_of_time() {
            let mut more = ResumeOptions::default();
            (more.node_limit, more.mip_gap) = (Some(SLICE.min(left)), Some(gap));
            left = left.saturating_sub(SLICE);
            outcome = outcome.resume_with(more).ok()?;
        }
        let solution = outcome.into_solution().ok()?;
        let values = variables.iter().zip(&self.variables).map(|(&v, decision)| {
            let value = solution.var_value(v);
            if decision.is_integer { value.round() } else { value }
        });
        let values: Vec<f64> = values.collect();
        let bound = solution.stats().best_bound.unwrap_or_else(|| solution.objective());
        Some(Point { bound: self.cost.constant + size * bound.min(solution.objective()), values })
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/control/planner/mixed_integer.rs"]
mod tests;
