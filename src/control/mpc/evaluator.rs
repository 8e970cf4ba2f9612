//! Computation of the costs of candidate plans.

use super::futures::Futures;
use super::margins::Margins;
use super::residuals::Trace;
use super::rollout::{Observer, Rollout, control_paths};
use super::setup::Setup;
use super::start::PlanStart;
use super::violation::ConstraintViolation;
use crate::expr::Registers;
use crate::stats::{mean_and_sample_sd, quantile_type_6};
use crate::trajectory::Frame;

/// Penalty on a scaled violation of 1 for a limit of the lowest priority, as a multiple of the
/// spread of the first candidates' costs. The multiple is so large that no saving outweighs a
/// violation (not tuned).
const VIOLATION_PENALTY: f64 = 1e3;

/// Computes the costs of candidates in simulated futures. The evaluator reuses its buffers for later plans.
#[derive(Default)]
pub(super) struct Evaluator {
    plan: PlanState,
    /// Stored rollouts, one for each combination of candidate count and set of futures.
    rollouts: Vec<Rollout>,
    /// Rollout that simulates one sequence in many futures.
    simulation: Option<Rollout>,
    violation: ConstraintViolation,
    /// Pessimism term in the cost of each candidate of the last batch.
    uncertainty_costs: Vec<f64>,
    /// For each candidate of the last batch, the cost of the stores at the end of the plan, averaged over futures.
    end_costs: Vec<f64>,
    /// Residuals and limited signals that were recorded during the last linearisation.
    pub trace: Trace,
    scratch: Scratch,
}

/// A store, and the value λ of one unit of its content at the end of the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EndValue {
    pub signal: usize,
    pub value: f64,
}

#[derive(Default)]
struct PlanState {
    futures: Futures,
    margins: Margins,
    end_values: Vec<EndValue>,
    /// State of the noise at the start of a rollout, `[targets][particles]`.
    noise: Option<Vec<Vec<f64>>>,
    /// Penalty on violations of limits, which is computed from the costs of the plan's first candidates.
    violation_penalty: Option<f64>,
}

#[derive(Default)]
struct Scratch {
    /// Controls over the horizon: `[horizon][controls][candidates]`.
    path: Vec<f64>,
    registers: Registers,
    /// Objective of one candidate in each future: `[futures]`.
    objectives: Vec<f64>,
}

impl Evaluator {
    /// Starts a new plan, whose candidates are evaluated in `futures`. The limits of the new plan are not tightened.
    pub fn begin_plan(&mut self, futures: Futures) {
        self.plan = PlanState { futures, ..PlanState::default() };
    }

    /// The futures in which candidates are evaluated.
    pub fn futures(&self) -> &Futures {
        &self.plan.futures
    }

    pub fn margins(&self) -> &Margins {
        &self.plan.margins
    }

    /// Tightens the limits of the plan by `margins`.
    pub fn set_margins(&mut self, margins: Margins) {
        self.plan.margins = margins;
    }

    /// Sets the values of the stores at the end of the plan. The penalty on violations is computed again from the costs
    /// of the next candidates.
    pub fn set_end_values(&mut self, end_values: Vec<EndValue>) {
        self.plan.end_values = end_values;
        self.plan.violation_penalty = None;
    }

    /// Penalty per scaled violation of a limit with the lowest priority; zero until the first candidates are evaluated.
    pub fn violation_penalty(&self) -> f64 {
        self.plan.violation_penalty.unwrap_or(0.0)
    }

    pub fn end_values(&self) -> &[EndValue] {
        &self.plan.end_values
    }

    /// For each candidate of the last batch, the cost of the stores at the end of the plan, averaged over futures.
    pub fn end_costs(&self) -> &[f64] {
        &self.end_costs
    }

    /// The objective of each candidate, and the content of each store at the end of the plan, `[stores][candidates]`,
    /// both averaged over futures.
    pub fn objectives_and_ends(
        &mut self,
        setup: &Setup,
        start: &PlanStart,
        candidates: &[Vec<f64>],
    ) -> (Vec<f64>, Vec<Vec<f64>>) {
        self.evaluate(setup, start, candidates, &mut Vec::new());
        let (n, Self { plan, rollouts, .. }) = (candidates.len(), self);
        let Some(rollout) = rollouts.iter().find(|r| r.candidates == n && r.futures == plan.futures) else {
            return (Vec::new(), Vec::new());
        };
        let mean =
            |values: &[f64], c: usize| values.iter().skip(c).step_by(n).sum::<f64>() / plan.futures.count() as f64;
        let over = |values: &[f64]| (0..n).map(|c| mean(values, c)).collect::<Vec<f64>>();
        (over(&rollout.total), setup.stores.iter().map(|&s| over(rollout.end(s))).collect())
    }

    /// Pessimism term in the cost of each candidate of the last batch.
    pub fn uncertainty_costs(&self) -> &[f64] {
        &self.uncertainty_costs
    }

    /// Computes the cost of each candidate, `[moves * controls]`: the mean or the `risk` quantile of the objective over
    /// futures, plus the pessimism term, plus the penalty on the mean violation of limits. The cost is NaN if a future
    /// diverges.
    pub fn evaluate(&mut self, setup: &Setup, start: &PlanStart, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.evaluate_with(setup, start, candidates, costs, &mut |_, _, _| {});
    }

    /// Same as [`Evaluator::evaluate`], but also calls `observer` with every completed frame.
    pub fn evaluate_with(
        &mut self,
        setup: &Setup,
        start: &PlanStart,
        candidates: &[Vec<f64>],
        costs: &mut Vec<f64>,
        observer: &mut Observer,
    ) {
        let n = candidates.len();
        let Self { plan, rollouts, violation, uncertainty_costs, end_costs, scratch, .. } = self;
        let at = match rollouts.iter().position(|r| r.candidates == n && r.futures == plan.futures) {
            Some(at) => at,
            None => {
                rollouts.push(Rollout::new(setup, n, &plan.futures));
                rollouts.len() - 1
            }
        };
        control_paths(setup, start, candidates, &mut scratch.path);
        let rollout = &mut rollouts[at];
        let margins = &plan.margins;
        violation.reset(n * plan.futures.count());
        let registers = &mut scratch.registers;
        rollout.run(setup, start, &scratch.path, &mut plan.noise, registers, &mut |step, frame, registers| {
            violation.add(&setup.limits.plant, margins, n, step, frame);
            observer(step, frame, registers);
        });
        rollout.sum(setup);
        end_costs.clear();
        end_costs.resize(n, 0.0);
        for EndValue { signal, value } in &plan.end_values {
            let Rollout { total, batch, .. } = &mut *rollout;
            for (row, (total, end)) in total.iter_mut().zip(batch.window.column(*signal, 0)).enumerate() {
                *total -= value * end;
                end_costs[row % n] -= value * end / plan.futures.count() as f64;
            }
        }
        costs.clear();
        uncertainty_costs.clear();
        let objectives = &mut scratch.objectives;
        for c in 0..n {
            objectives.clear();
            objectives.extend(rollout.total.iter().skip(c).step_by(n));
            // If a candidate diverges in any future, its cost is NaN.
            let (cost, uncertainty) = if objectives.iter().all(|v| v.is_finite()) {
                match setup.sampling.risk {
                    Some(risk) => {
                        objectives.sort_unstable_by(f64::total_cmp);
                        (quantile_type_6(objectives, risk), 0.0)
                    }
                    None => {
                        let (mean, sd) = mean_and_sample_sd(objectives.iter().copied());
                        (mean, plan.futures.pessimism * sd)
                    }
                }
            } else {
                (f64::NAN, 0.0)
            };
            costs.push(cost + uncertainty);
            uncertainty_costs.push(uncertainty);
        }
        let penalty = *plan.violation_penalty.get_or_insert_with(|| violation_penalty(costs, end_costs));
        for (c, cost) in costs.iter_mut().enumerate() {
            *cost += penalty * violation.mean(c, n);
        }
    }

    /// Simulates one control sequence, `[moves * controls]`, with noise in `futures` futures. Each row of the rollout
    /// contains one future. The first rows have the same ensemble members and the same noise as the futures for which
    /// the plan was optimised.
    pub fn simulate(
        &mut self,
        setup: &Setup,
        start: &PlanStart,
        sequence: &[f64],
        futures: usize,
        observer: &mut Observer,
    ) {
        let wanted = self.plan.futures.extended(futures, &start.pool);
        if self.simulation.as_ref().is_none_or(|rollout| rollout.futures != wanted) {
            self.simulation = Some(Rollout::new(setup, 1, &wanted));
        }
        let Some(rollout) = &mut self.simulation else { return };
        let Scratch { path, registers, .. } = &mut self.scratch;
        control_paths(setup, start, &[sequence.to_vec()], path);
        rollout.run(setup, start, path, &mut None, registers, observer);
    }

    /// Gradient of a term of the objective, averaged over futures. Element k is the change of the term from candidate 0
    /// to candidate k + 1 of the last batch, divided by `differences[k]`. Returns `None` if the
    /// gradient is not finite.
    pub fn term_gradient(&mut self, setup: &Setup, term: usize, differences: &[f64]) -> Option<Vec<f64>> {
        let n = differences.len() + 1;
        let Self { plan, rollouts, .. } = self;
        let futures = plan.futures.count() as f64;
        let rollout = rollouts.iter_mut().find(|r| r.candidates == n && r.futures == plan.futures)?;
        let (kpi, price) = &setup.objective.terms[term];
        kpi.value(&rollout.terms[term], &mut rollout.value);
        // Terms that have no value or a price of 0 do not contribute to the cost, so their gradient is zero.
        if *price == 0.0 || rollout.value.iter().all(|v| v.is_nan()) {
            return Some(vec![0.0; differences.len()]);
        }
        let mean = |c: usize| price * rollout.value.iter().skip(c).step_by(n).sum::<f64>() / futures;
        let base = mean(0);
        let gradient: Vec<f64> = differences.iter().enumerate().map(|(k, d)| (mean(k + 1) - base) / d).collect();
        gradient.iter().all(|s| s.is_finite()).then_some(gradient)
    }
}

/// Computes the penalty on violations from the largest of three spreads over the first candidates:
/// the spread of `costs`, of `end_costs` (the part for the contents of stores at the end of the
/// plan), and of the remaining part. The spread of `costs` alone can be too small, because the two
/// parts of constant candidates can cancel: if a store without losses is filled at a constant rate,
/// the value of its content equals the cost of filling it.
fn violation_penalty(costs: &[f64], end_costs: &[f64]) -> f64 {
    let finite = || costs.iter().zip(end_costs).filter(|(cost, end)| cost.is_finite() && end.is_finite());
    let parts = [
        spread(finite().map(|(cost, _)| *cost)),
        spread(finite().map(|(_, end)| *end)),
        spread(finite().map(|(cost, end)| cost - end)),
    ];
    let size = finite().map(|(cost, _)| cost.abs()).reduce(f64::max);
    size.map_or(VIOLATION_PENALTY, |size| {
        VIOLATION_PENALTY * parts.into_iter().fold(0.0, f64::max).max(1e-6 * size).max(1e-12)
    })
}

/// Difference between the largest and the smallest value; negative infinity if there are no values.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    high - low
}
