//! Simulation of many partial sequences of moves, for dynamic programming.

use super::evaluator::Evaluator;
use super::futures::Futures;
use super::memory::memory;
use super::rollout::Rollout;
use super::setup::Setup;
use super::start::PlanStart;
use super::violation::ConstraintViolation;
use crate::control::planner::{Branches, ControlConstraints};
use crate::expr::Registers;
use crate::schema::{Bounds, Role};
use crate::trajectory::Frame;
use crate::value::{Kpi, KpiKind};

/// A value on which later steps depend, with the width of its range.
struct Remembered {
    signal: usize,
    lag: usize,
    /// Width of the range; infinite if every value has its own cell.
    range: f64,
}

/// The partial sequences of one plan, simulated in the first future of the plan.
pub(super) struct SimulatedBranches<'a, 'p> {
    setup: &'a Setup<'p>,
    start: &'a PlanStart<'a>,
    evaluator: &'a Evaluator,
    rollout: Rollout,
    violation: ConstraintViolation,
    registers: Registers,
    memory: Vec<Remembered>,
    /// Current value of each control, and the number of steps since it was switched: `[controls][rows]`.
    last: Vec<Vec<f64>>,
    since: Vec<Vec<usize>>,
    /// Number of simulated moves and steps.
    moves: usize,
    steps: usize,
    costs: Vec<f64>,
}

impl<'a, 'p> SimulatedBranches<'a, 'p> {
    /// Creates branches that begin at the start of the plan. Returns `None` if the structure of the
    /// plant is not known.
    pub fn new(setup: &'a Setup<'p>, start: &'a PlanStart<'a>, evaluator: &'a Evaluator) -> Option<Self> {
        let schema = setup.dynamics.schema();
        let mut futures = Futures { pessimism: 0.0, ..evaluator.futures().clone() };
        futures.members.truncate(1);
        let mut rollout = Rollout::new(setup, 1, &futures);
        rollout.reset(setup, start, &mut None);
        let remembered = |(signal, lag): (usize, usize)| {
            let s = &schema.signals[signal];
            let logged = setup.dynamics.logged_range(signal);
            let widths = [s.hard.high - s.hard.low, logged.high - logged.low];
            let width = widths.into_iter().find(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
            Remembered { signal, lag, range: if s.role == Role::Control { f64::INFINITY } else { width } }
        };
        let mut violation = ConstraintViolation::default();
        violation.reset(1);
        Some(Self {
            memory: memory(setup.dynamics.map()?, &setup.controls, &setup.objective)
                .into_iter()
                .map(remembered)
                .collect(),
            last: start.previous.iter().map(|v| vec![*v]).collect(),
            since: start.since.iter().map(|s| vec![*s]).collect(),
            setup,
            start,
            evaluator,
            rollout,
            violation,
            registers: Registers::default(),
            moves: 0,
            steps: 0,
            costs: Vec::new(),
        })
    }

    /// Simulates one step in which each control moves to its target in `moves` as fast as its limits allow.
    fn step(&mut self, moves: &[f64]) {
        let controls = self.last.len();
        let mut values = Vec::with_capacity(moves.len());
        for (c, limit) in self.setup.limits.controls.iter().enumerate() {
            // The targets already satisfy their bounds.
            let constraints = ControlConstraints { bounds: Bounds::OPEN, ..limit.constraints };
            let targets = moves.iter().skip(c).step_by(controls);
            for ((last, since), target) in self.last[c].iter_mut().zip(&mut self.since[c]).zip(targets) {
                let now = constraints.nearest(*last, *since, *target);
                *since = constraints.since(*last, *since, now, 1);
                *last = now;
            }
            values.extend_from_slice(&self.last[c]);
        }
        self.rollout.advance(self.setup, self.start, self.steps, &values, &mut self.registers);
        let completed = self.rollout.completed(self.setup);
        let (limits, margins) = (&self.setup.limits.plant, self.evaluator.margins());
        self.violation.add(limits, margins, moves.len() / controls, self.steps, &completed);
        self.steps += 1;
    }
}

impl Branches for SimulatedBranches<'_, '_> {
    fn extend(&mut self, parents: &[usize], moves: &[f64]) {
        self.rollout.select(parents);
        self.violation.select(parents);
        for c in 0..self.last.len() {
            self.last[c] = parents.iter().map(|&p| self.last[c][p]).collect();
            self.since[c] = parents.iter().map(|&p| self.since[c][p]).collect();
        }
        let length = self.setup.horizon.blocks.lengths().nth(self.moves).unwrap_or(0);
        (0..length).for_each(|_| self.step(moves));
        self.moves += 1;
        self.costs.clear();
        self.costs.resize(parents.len(), 0.0);
        let Rollout { terms, value, batch, .. } = &mut self.rollout;
        let share = self.steps as f64 / self.setup.horizon.steps() as f64;
        let is_complete = self.steps == self.setup.horizon.steps();
        let included = |(kpi, price): &(Kpi, f64)| *price != 0.0 && (is_complete || !kpi.is_terminal());
        for ((kpi, price), acc) in
            self.setup.objective.terms.iter().zip(terms.iter()).filter(|(term, _)| included(term))
        {
            kpi.value(acc, value);
            if value.iter().all(|v| v.is_nan()) {
                continue;
            }
            // The mean over the simulated steps contributes to the mean over the horizon in proportion to the number of
            // these steps.
            let weight = price * if kpi.kind() == KpiKind::Mean { share } else { 1.0 };
            self.costs.iter_mut().zip(value.iter()).for_each(|(cost, v)| *cost += weight * v);
        }
        for end in self.evaluator.end_values() {
            let content = batch.window.column(end.signal, 0);
            self.costs.iter_mut().zip(content).for_each(|(cost, content)| *cost -= end.value * content);
        }
        let (penalty, n) = (self.evaluator.violation_penalty(), parents.len());
        for (row, cost) in self.costs.iter_mut().enumerate() {
            *cost += penalty * self.violation.mean(row, n);
        }
    }

    fn costs(&self) -> &[f64] {
        &self.costs
    }

    fn cells(&self, cells: f64, out: &mut Vec<u64>) {
        out.clear();
        out.resize(self.costs.len(), 0);
        for Remembered { signal, lag, range } in &self.memory {
            let values = self.rollout.batch.window.column(*signal, *lag);
            let is_exact = range.is_infinite();
            for (hash, v) in out.iter_mut().zip(values) {
                let cell = if is_exact { (v + 0.0).to_bits() } else { (v / range * cells).round() as i64 as u64 };
                *hash = mix(*hash, cell);
            }
        }
        for (c, limit) in self.setup.limits.controls.iter().enumerate() {
            let constraints = &limit.constraints;
            let memory = constraints.switching.memory();
            let is_limited = memory > 0 || constraints.max_move.down.is_finite() || constraints.max_move.up.is_finite();
            for ((hash, last), since) in out.iter_mut().zip(&self.last[c]).zip(&self.since[c]).filter(|_| is_limited) {
                *hash = mix(mix(*hash, (last + 0.0).to_bits()), *since.min(&memory) as u64);
            }
        }
    }
}

/// Adds `value` to a hash (the finaliser of SplitMix64: Steele et al. 2014).
fn mix(hash: u64, value: u64) -> u64 {
    let mut z = hash.rotate_left(5) ^ value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
