//! The planning problem as a mixed-integer linear program.
//!
//! The equations of the twin are evaluated symbolically, step by step. As a result, every signal is
//! an affine function of the variables of the program. Learned targets are linear functions of
//! their inputs, relative to a simulation of the sequence from which the search starts. This
//! simulation includes the noise and the offsets of the disturbance observer.

use super::evaluator::Evaluator;
use super::limits::PlantLimit;
use super::setup::Setup;
use super::start::PlanStart;
use crate::control::planner::{Form, Model};
use crate::expr::{Arithmetic, Curve, Program};
use crate::learn::{Coefficients, Derived, StepMap, Target};
use crate::schema::Bounds;
use crate::trajectory::Frame;
use crate::value::StepCost;

/// Distance that plans keep from the limits of the plant, relative to the scale of each limit. The distance is larger
/// than the tolerance of the solver.
const LIMIT_MARGIN: f64 = 1e-6;
/// Ratio of the penalties for violated limits with consecutive ranks (not tuned).
const RANK_RATIO: f64 = 100.0;

/// A simulation of one sequence of moves. Values are means over the simulated futures.
struct Nominal {
    /// Values of all signals before the plan, `[lags][signals]`. The first entry is for lag 1.
    past: Vec<Vec<f64>>,
    /// Values of all signals: `[horizon + 1][signals]`. The last entry contains values of states only.
    values: Vec<Vec<f64>>,
    /// Differences of the simulated futures from `values`, `[horizon + 1][signals][futures]`; empty for one future.
    spread: Vec<Vec<Vec<f64>>>,
    /// Seconds since 1970 at the start of each step: `[horizon]`.
    times: Vec<f64>,
    /// Results of the state equations with a learned residual or with noise,
    /// `[horizon][equations]`; NaN for all other equations.
    equations: Vec<Vec<f64>>,
}

/// Adds the plant, its limits and the objective to `model`. `targets` contains the moves and `at` a feasible sequence,
/// both with the layout `[moves * controls]`. Returns false if a part of the problem is not piecewise linear.
pub(super) fn formulate(
    evaluator: &mut Evaluator,
    setup: &Setup,
    start: &PlanStart,
    model: &mut Model,
    targets: &[Form],
    at: &[f64],
) -> bool {
    let Some(map) = setup.dynamics.map() else { return false };
    let nominal = simulate(evaluator, setup, start, map, at);
    let mut plan = Formulation { setup, map, nominal: &nominal, model, signals: Vec::new() };
    plan.plant(targets).and_then(|()| plan.objective(evaluator)).and_then(|()| plan.limits(evaluator)).is_some()
}

fn simulate(evaluator: &mut Evaluator, setup: &Setup, start: &PlanStart, map: &StepMap, at: &[f64]) -> Nominal {
    let (signals, horizon) = (map.schema.len(), setup.horizon.steps());
    let mut nominal = Nominal {
        past: Vec::new(),
        values: vec![vec![f64::NAN; signals]; horizon + 1],
        spread: Vec::new(),
        times: vec![0.0; horizon],
        equations: vec![vec![f64::NAN; map.equations.next.len()]; horizon],
    };
    let (mut column, futures) = (Vec::new(), evaluator.futures().count());
    if futures > 1 {
        nominal.spread = vec![vec![vec![0.0; futures]; signals]; horizon + 1];
    }
    evaluator.evaluate_with(setup, start, &[at.to_vec()], &mut Vec::new(), &mut |step, frame, registers| {
        if step == 0 {
            let depth = frame.window.depth().saturating_sub(2);
            let past = |lag: usize| (0..signals).map(|s| frame.column(s, lag)[0]).collect();
            nominal.past = (1..=depth).map(past).collect();
        }
        for s in 0..signals {
            nominal.record(step, s, frame.column(s, 0));
            nominal.record(step + 1, s, frame.window.column(s, 0));
        }
        nominal.times[step] = frame.time().as_millisecond() as f64 / 1e3;
        column.resize(frame.rows(), 0.0);
        let has_error = |s: usize| map.layout.targets.iter().any(|t| t.is_next() && t.signal() == s);
        for (e, equation) in map.equations.next.iter().enumerate().filter(|(_, e)| has_error(e.signal)) {
            equation.program.eval(frame, registers, &mut column);
            nominal.equations[step][e] = mean(&column);
        }
    });
    nominal
}

impl Nominal {
    /// Records the values of a signal in all futures.
    fn record(&mut self, step: usize, signal: usize, values: &[f64]) {
        let mean = mean(values);
        self.values[step][signal] = mean;
        if let Some(spread) = self.spread.get_mut(step) {
            spread[signal].iter_mut().zip(values).for_each(|(s, v)| *s = v - mean);
        }
    }
}

/// The mean over the futures; NaN if a value is missing.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

struct Formulation<'a, 'p> {
    setup: &'a Setup<'p>,
    map: &'a StepMap,
    nominal: &'a Nominal,
    model: &'a mut Model,
    /// Every signal at every step: `[horizon + 1][signals]`.
    signals: Vec<Vec<Form>>,
}

/// The arithmetic of affine functions at one step.
struct AtStep<'a> {
    model: &'a mut Model,
    signals: &'a [Vec<Form>],
    nominal: &'a Nominal,
    step: usize,
}

impl Arithmetic for AtStep<'_> {
    type Value = Form;
    fn constant(&mut self, value: f64) -> Form {
        Form::constant(value)
    }
    fn column(&mut self, signal: usize, lag: usize) -> Option<Form> {
        match self.step.checked_sub(lag) {
            Some(step) => Some(self.signals[step][signal].clone()),
            None => Some(Form::constant(*self.nominal.past.get(lag - self.step - 1)?.get(signal)?)),
        }
    }
    fn time(&self) -> f64 {
        self.nominal.times[self.step]
    }
    fn number(&self, value: &Form) -> Option<f64> {
        (value.is_constant() && value.spread.is_empty()).then_some(value.constant)
    }
    fn expected(&self, value: &Form) -> Option<f64> {
        value.is_constant().then_some(value.constant)
    }
    fn sum(&mut self, a: &Form, factor_a: f64, b: &Form, factor_b: f64) -> Form {
        Form::sum(a, factor_a, b, factor_b)
    }
    fn maximum(&mut self, a: &Form, b: &Form) -> Option<Form> {
        Some(self.model.maximum(a, b))
    }
    fn curve(&mut self, curve: Curve, a: &Form) -> Option<Form> {
        self.model.curve(curve, a)
    }
}

impl Formulation<'_, '_> {
    fn evaluate(&mut self, program: &Program, step: usize) -> Option<Form> {
        let (signals, nominal) = (self.signals.as_slice(), self.nominal);
        program.symbolic(&mut AtStep { model: &mut *self.model, signals, nominal, step })
    }

    /// Evaluates an expression of the objective. If there are several futures, derived signals are
    /// replaced by their expressions, and each maximum in these expressions can then be replaced by
    /// its mean.
    fn evaluate_inlined(&mut self, program: &Program, step: usize) -> Option<Form> {
        if self.nominal.spread.is_empty() {
            return self.evaluate(program, step);
        }
        self.evaluate(&program.inlined(&|s| self.map.equations.derived_program(s)), step)
    }

    /// Evaluates the plant over the horizon.
    fn plant(&mut self, targets: &[Form]) -> Option<()> {
        let (setup, map) = (self.setup, self.map);
        let coefficients = if map.layout.targets.is_empty() { None } else { Some(map.regressor.coefficients()?) };
        let fixed = |values: &Vec<f64>| values.iter().map(|v| Form::constant(*v)).collect::<Vec<Form>>();
        self.signals = self.nominal.values.iter().map(fixed).collect();
        for h in 0..setup.horizon.steps() {
            for (c, &control) in setup.controls.iter().enumerate() {
                self.signals[h][control] = targets[setup.horizon.blocks.at(h) * setup.controls.len() + c].clone();
            }
            for Derived { signal, program } in &map.equations.early {
                self.signals[h][*signal] = self.evaluate(program, h)?;
            }
            let learned = coefficients.as_ref().map_or(Vec::new(), |c| self.learned(c, h));
            for (target, change) in map.layout.targets.iter().zip(&learned) {
                if let Target::Level(s) = *target {
                    let output = Form::sum(&Form::constant(self.nominal.values[h][s]), 1.0, change, 1.0);
                    self.signals[h][s] = self.model.named(output);
                }
            }
            for Derived { signal, program } in &map.equations.late {
                self.signals[h][*signal] = self.evaluate(program, h)?;
            }
            let mut known = Vec::with_capacity(map.equations.next.len());
            for equation in &map.equations.next {
                known.push(self.evaluate(&equation.program, h)?);
            }
            for (equation, form) in map.equations.next.iter().zip(&known).filter(|(e, _)| !e.has_residual) {
                self.signals[h + 1][equation.signal] = self.model.named(form.clone());
            }
            for (target, change) in map.layout.targets.iter().zip(learned) {
                let s = target.signal();
                // The part of the next value that is not learned, as an affine function and as a
                // nominal value.
                let (base, value) = match target {
                    Target::Delta(_) => (self.signals[h][s].clone(), self.nominal.values[h][s]),
                    Target::Residual(_) => {
                        let e = map.equations.next.iter().position(|n| n.signal == s)?;
                        (known[e].clone(), self.nominal.equations[h][e])
                    }
                    Target::Level(_) => continue,
                };
                let mut next = Form::sum(&base, 1.0, &change, 1.0);
                next.constant += self.nominal.values[h + 1][s] - value;
                self.signals[h + 1][s] = self.model.named(next);
            }
        }
        Some(())
    }

    /// The deviations of the learned targets from their nominal values at step `h`.
    fn learned(&self, coefficients: &Coefficients, h: usize) -> Vec<Form> {
        let change = |weights: &Vec<f64>| {
            let mut sum = Form::default();
            for (&(signal, lag), weight) in self.map.layout.inputs.iter().zip(weights) {
                if let Some(step) = h.checked_sub(lag).filter(|&step| !self.signals[step][signal].is_constant()) {
                    sum.add(&self.signals[step][signal], *weight);
                    sum.constant -= weight * self.nominal.values[step][signal];
                }
            }
            sum
        };
        coefficients.weights.iter().map(change).collect()
    }

    /// Adds the objective, including the value of the content of stores at the end of the plan.
    /// With several futures, the objective is the mean over the futures. If the plant is linear,
    /// the differences between futures do not depend on the moves.
    fn objective(&mut self, evaluator: &Evaluator) -> Option<()> {
        let (setup, horizon) = (self.setup, self.setup.horizon.steps());
        for (signals, spread) in self.signals.iter_mut().zip(&self.nominal.spread) {
            for (signal, spread) in signals.iter_mut().zip(spread) {
                let differs = spread.iter().all(|d| d.is_finite()) && spread.iter().any(|d| *d != 0.0);
                signal.spread = if differs { spread.clone() } else { Vec::new() };
            }
        }
        self.model.prices_spread = true;
        for (kpi, price) in setup.objective.terms.iter().filter(|(_, price)| *price != 0.0) {
            let (cost, factor) = kpi.step_cost(horizon);
            let factor = price * factor;
            for h in 0..horizon {
                let form = match cost {
                    StepCost::Expression(program) => self.evaluate_inlined(program, h)?,
                    StepCost::Above(program, level) => {
                        let mut excess = self.evaluate_inlined(program, h)?;
                        excess.constant -= level;
                        self.model.positive_part(excess)
                    }
                    StepCost::Excess(signal, bounds) => {
                        let own = self.signals[h][signal].clone();
                        let over = self.excess(&own, 1.0, bounds.high);
                        Form::sum(&over, 1.0, &self.excess(&own, -1.0, -bounds.low), 1.0)
                    }
                    StepCost::Travel(signal) => {
                        let change = self.change(signal, h)?;
                        let rise = self.model.positive_part(change.clone());
                        Form::sum(&rise, 2.0, &change, -1.0)
                    }
                    StepCost::Moves(signal) => {
                        let change = self.change(signal, h)?;
                        let (range, moved) = (self.model.range(&change), self.model.binary());
                        for (sign, most) in [(1.0, range.high), (-1.0, -range.low)] {
                            let row = Form::sum(&change, sign, &Form::variable(moved, 1.0), -most.max(0.0));
                            self.model.constrain(row, Bounds { low: f64::NEG_INFINITY, high: 0.0 });
                        }
                        Form::variable(moved, 1.0)
                    }
                    StepCost::Last(program) if h + 1 == horizon => self.evaluate_inlined(program, h)?,
                    StepCost::Last(_) => continue,
                    StepCost::Other => return None,
                };
                self.model.cost.add(&form, factor);
            }
        }
        for end in evaluator.end_values() {
            let content = self.signals[horizon][end.signal].clone();
            self.model.cost.add(&content, -end.value);
        }
        self.model.cost = self.model.cost.expected();
        Some(())
    }

    /// max(`sign` x − `limit`, 0); zero if there is no limit.
    fn excess(&mut self, x: &Form, sign: f64, limit: f64) -> Form {
        if !limit.is_finite() {
            return Form::default();
        }
        let mut excess = x.scaled(sign);
        excess.constant -= limit;
        self.model.positive_part(excess)
    }

    fn change(&self, signal: usize, h: usize) -> Option<Form> {
        let before = match h.checked_sub(1) {
            Some(before) => self.signals[before][signal].clone(),
            None => Form::constant(*self.nominal.past.first()?.get(signal)?),
        };
        Some(Form::sum(&self.signals[h][signal], 1.0, &before, -1.0))
    }

    /// Adds the limits of the plant as constraints with penalised violations.
    fn limits(&mut self, evaluator: &Evaluator) -> Option<()> {
        let ranks = self.setup.limits.plant.chunk_by(|a, b| a.rank == b.rank).count();
        let mut l = 0;
        for (number, same) in self.setup.limits.plant.chunk_by(|a, b| a.rank == b.rank).enumerate() {
            let penalty = evaluator.violation_penalty() * RANK_RATIO.powi((ranks - 1 - number) as i32);
            for limit in same {
                self.limit(limit, l, penalty, evaluator);
                l += 1;
            }
        }
        Some(())
    }

    fn limit(&mut self, limit: &PlantLimit, number: usize, penalty: f64, evaluator: &Evaluator) {
        for h in 0..self.setup.horizon.steps() {
            let value = self.signals[h + usize::from(limit.ahead)][limit.signal].clone();
            let Bounds { low, high } = evaluator.margins().tightened(number, limit.bounds, h, 0);
            let scaled = value.scaled(limit.scale.recip());
            let bounds = Bounds { low: low / limit.scale + LIMIT_MARGIN, high: high / limit.scale - LIMIT_MARGIN };
            let range = self.model.range(&scaled);
            if scaled.is_constant() || range.low >= bounds.low && range.high <= bounds.high {
                continue;
            }
            let most = bounds.excess(range.low).max(bounds.excess(range.high));
            let violation = Form::variable(self.model.variable(Bounds { low: 0.0, high: most }, false), 1.0);
            self.model.cost.add(&violation, penalty);
            for (bound, sign) in [(bounds.high, 1.0), (-bounds.low, -1.0)] {
                if bound.is_finite() {
                    let row = Form::sum(&scaled, sign, &violation, -1.0);
                    self.model.constrain(row, Bounds { low: f64::NEG_INFINITY, high: bound });
                }
            }
        }
    }
}
