//! Simulation of candidates over several futures in one batch.

use jiff::Timestamp;

use super::frame::CompletedFrame;
use super::futures::Futures;
use super::setup::Setup;
use super::start::PlanStart;
use crate::control::planner::ControlConstraints;
use crate::expr::Registers;
use crate::schema::Bounds;
use crate::trajectory::{Frame, Window};
use crate::twin::Batch;
use crate::value::Accumulator;

/// Function that is called after every step of a rollout with the step number and the completed frame.
pub(super) type Observer<'a> = dyn FnMut(usize, &CompletedFrame, &mut Registers) + 'a;

/// A batch that simulates every candidate in every future. Row `future * candidates + candidate` is the simulation of
/// one candidate in one future.
pub(super) struct Rollout {
    pub candidates: usize,
    pub futures: Futures,
    pub batch: Batch,
    /// Accumulated KPI of each term of the objective.
    pub terms: Vec<Accumulator>,
    /// Scratch space with one value per row.
    pub value: Vec<f64>,
    position: Vec<f64>,
    /// Value of the objective in each row.
    pub total: Vec<f64>,
    /// Number of steps with a finite value in each row, summed over the terms of the objective.
    known: Vec<f64>,
}

impl Rollout {
    pub fn new(setup: &Setup, candidates: usize, futures: &Futures) -> Self {
        let rows = candidates * futures.count();
        let dynamics = setup.dynamics;
        let window = Window::new(dynamics.schema().len(), setup.depth, rows, Timestamp::UNIX_EPOCH, dynamics.step_ms());
        let mut batch = Batch::candidates(window, futures.count(), dynamics.members(), None);
        batch.particles.iter_mut().zip(&futures.members).for_each(|(particle, member)| particle.member = *member);
        Self {
            candidates,
            futures: futures.clone(),
            batch,
            terms: setup.objective.terms.iter().map(|(kpi, _)| kpi.start(rows)).collect(),
            value: vec![0.0; rows],
            position: vec![0.0; rows],
            total: vec![0.0; rows],
            known: vec![0.0; rows],
        }
    }

    /// Simulates the controls `path`, `[horizon][controls][candidates]`. `noise` is the initial state of the noise,
    /// which is computed by the first rollout of a plan.
    pub fn run(
        &mut self,
        setup: &Setup,
        start: &PlanStart,
        path: &[f64],
        noise: &mut Option<Vec<Vec<f64>>>,
        registers: &mut Registers,
        observer: &mut Observer,
    ) {
        self.reset(setup, start, noise);
        let width = setup.controls.len() * self.candidates;
        for h in 0..setup.horizon.steps() {
            self.advance(setup, start, h, &path[h * width..(h + 1) * width], registers);
            observer(h, &self.completed(setup), registers);
        }
    }

    /// Simulates step `h` with the controls `values`, `[controls][candidates]`.
    pub fn advance(&mut self, setup: &Setup, start: &PlanStart, h: usize, values: &[f64], registers: &mut Registers) {
        let Self { candidates, futures, batch, terms, value, position, .. } = self;
        let (n, dynamics) = (*candidates, setup.dynamics);
        if h > 0 {
            if let Some(time) = start.times.get(h - 1) {
                batch.window.set_time(*time);
            }
            for forecast in start.forecasts {
                let errors = forecast.errors.iter().filter(|_| futures.noisy);
                let column = batch.window.column_mut(forecast.signal, 0);
                column.fill(forecast.values[h - 1]);
                for (future, errors) in column.chunks_exact_mut(n).zip(errors) {
                    future.iter_mut().for_each(|v| *v += errors[h - 1]);
                }
            }
            for (signal, value) in &start.held_inputs {
                batch.window.column_mut(*signal, 0).fill(*value);
            }
            dynamics.observe(batch);
        }
        for (c, signal) in setup.controls.iter().enumerate() {
            for future in batch.window.column_mut(*signal, 0).chunks_exact_mut(n) {
                future.copy_from_slice(&values[c * n..(c + 1) * n]);
            }
            if let Some(order_up_to) = &setup.orders[c] {
                let mut orders = std::mem::take(value);
                orders.copy_from_slice(batch.window.column(*signal, 0));
                order_up_to.order(&batch.window, registers, position, &mut orders);
                batch.window.column_mut(*signal, 0).copy_from_slice(&orders);
                *value = orders;
            }
        }
        dynamics.step(batch);
        let completed = CompletedFrame { window: &batch.window, step_ms: dynamics.step_ms() };
        let last = h + 1 == setup.horizon.steps();
        for ((kpi, _), acc) in setup.objective.terms.iter().zip(terms.iter_mut()) {
            // A terminal cost is added at the last step only.
            if last || !kpi.is_terminal() {
                kpi.add(acc, &completed, registers);
            }
        }
    }

    /// The frame of the last simulated step.
    pub fn completed(&self, setup: &Setup) -> CompletedFrame<'_> {
        CompletedFrame { window: &self.batch.window, step_ms: setup.dynamics.step_ms() }
    }

    /// Selects candidates: the new candidate `i` is the previous candidate `rows[i]`. The rollout must have only one
    /// future.
    pub fn select(&mut self, rows: &[usize]) {
        let Self { candidates, batch, terms, value, position, total, known, .. } = self;
        *candidates = rows.len();
        batch.window.select(rows);
        batch.particles.iter_mut().for_each(|particle| particle.rows = 0..rows.len());
        terms.iter_mut().for_each(|acc| acc.select(rows));
        for column in [value, position, total, known] {
            column.resize(rows.len(), 0.0);
        }
    }

    /// Values of a state at the end of the rollout: `[rows]`.
    pub fn end(&self, state: usize) -> &[f64] {
        self.batch.window.column(state, 0)
    }

    /// Resets the batch to the start of the plan. In each future, the noise is the same for all candidates.
    pub fn reset(&mut self, setup: &Setup, start: &PlanStart, noise: &mut Option<Vec<Vec<f64>>>) {
        let Self { futures, batch, terms, .. } = self;
        batch.window.broadcast_from(start.window, start.row);
        batch.key = futures.noisy.then_some(start.key);
        match noise {
            Some(noise) => batch.noise.clone_from(noise),
            None => {
                setup.dynamics.begin(batch);
                *noise = Some(batch.noise.clone());
            }
        }
        batch.bias.resize_with(start.bias.len(), Vec::new);
        for (column, bias) in batch.bias.iter_mut().zip(&start.bias) {
            column.clear();
            column.resize(futures.count(), *bias);
        }
        terms.iter_mut().for_each(Accumulator::reset);
    }

    /// Computes the objective of each row. A row with fewer finite steps than another row has diverged, and its
    /// objective is NaN. A term that has no value in any row does not distinguish between candidates and is omitted.
    pub fn sum(&mut self, setup: &Setup) {
        let Self { terms, value, total, known, .. } = self;
        total.fill(0.0);
        known.fill(0.0);
        for ((kpi, price), acc) in setup.objective.terms.iter().zip(terms.iter()) {
            kpi.value(acc, value);
            if *price != 0.0 && value.iter().any(|v| !v.is_nan()) {
                total.iter_mut().zip(value.iter()).for_each(|(t, v)| *t += price * v);
            }
            known.iter_mut().zip(acc.known()).for_each(|(k, a)| *k += a);
        }
        let most = known.iter().copied().fold(0.0, f64::max);
        for (total, known) in total.iter_mut().zip(known.iter()) {
            if *known < most {
                *total = f64::NAN;
            }
        }
    }
}

/// Expands `candidates` to the controls at every step, `[horizon][controls][candidates]`. In each block, a control
/// moves to its target as fast as its move limit allows.
pub(super) fn control_paths(setup: &Setup, start: &PlanStart, candidates: &[Vec<f64>], path: &mut Vec<f64>) {
    let (n, controls, blocks) = (candidates.len(), setup.controls.len(), &setup.horizon.blocks);
    // For each candidate, the number of steps for which each control has been on or off.
    let mut since: Vec<usize> = start.since.iter().flat_map(|s| std::iter::repeat_n(*s, n)).collect();
    path.resize(blocks.horizon() * controls * n, 0.0);
    for h in 0..blocks.horizon() {
        let block = blocks.at(h);
        let (done, rest) = path.split_at_mut(h * controls * n);
        for c in 0..controls {
            // The candidates already satisfy their bounds.
            let constraints = ControlConstraints { bounds: Bounds::OPEN, ..setup.limits.controls[c].constraints };
            let since = &mut since[c * n..(c + 1) * n];
            let targets = candidates.iter().map(|s| s[block * controls + c]);
            let now = &mut rest[c * n..(c + 1) * n];
            for (k, (now, target)) in now.iter_mut().zip(targets).enumerate() {
                let last = if h == 0 { start.previous[c] } else { done[((h - 1) * controls + c) * n + k] };
                *now = constraints.nearest(last, since[k], target);
                since[k] = constraints.since(last, since[k], *now, 1);
            }
        }
    }
}
