//! Pricing candidates: many futures of one plant in one batch.

use jiff::Timestamp;

use super::futures::{Futures, Noise};
use super::local::Trace;
use super::margins::Margins;
use super::setup::Setup;
use super::violation::ConstraintViolation;
use crate::control::planner::ControlConstraints;
use crate::expr::Registers;
use crate::rng::Key;
use crate::schema::Bounds;
use crate::stats::{mean_and_sample_sd, quantile_type_6};
use crate::trajectory::{Frame, Window};
use crate::twin::Batch;
use crate::value::Accumulator;

/// What one plan starts from.
pub(super) struct Start<'a> {
    /// The observation's window, of which `row` is planned for.
    pub window: &'a Window,
    pub row: usize,
    /// (signal, its values at the steps after this one): forecasts, `[signals][horizon]`.
    pub told: &'a [(usize, Vec<f64>)],
    /// (signal, its value): inputs that nobody forecasts, kept as they are.
    pub kept: Vec<(usize, f64)>,
    /// Planned controls in force.
    pub previous: Vec<f64>,
    /// How wrong the model has been lately, `[targets]`; empty: not known yet.
    pub bias: Vec<f64>,
    /// Steps for which they have been on, or off.
    pub since: Vec<usize>,
    pub key: Key,
    /// The model has seen the like of the present.
    pub known: bool,
}

/// Memory for pricing, kept from plan to plan.
#[derive(Default)]
pub(super) struct Workspace {
    /// What candidates are priced in.
    futures: Futures,
    /// One per number of candidates and kind of futures.
    rollouts: Vec<Rollout>,
    /// Controls over the horizon: `[horizon][controls][candidates]`.
    path: Vec<f64>,
    registers: Registers,
    /// What the noise starts from, `[targets][particles]`; filled once per plan.
    noise: Option<Vec<Vec<f64>>>,
    /// CostFunction of breaking a hard limit, set by the first candidates of a plan.
    limit_price: Option<f64>,
    /// Scratch for one candidate's futures.
    each: Vec<f64>,
    excess: ConstraintViolation,
    /// Of every candidate of the last batch, what pessimism adds to its cost.
    doubts: Vec<f64>,
    /// Many futures of one sequence.
    many: Option<Rollout>,
    pub margins: Margins,
    pub trace: Trace,
}

/// A batch of `candidates` × futures rows, row `p * candidates + c`.
struct Rollout {
    candidates: usize,
    futures: Futures,
    batch: Batch,
    terms: Vec<Accumulator>,
    value: Vec<f64>,
    position: Vec<f64>,
    /// Objective per row.
    total: Vec<f64>,
    /// Known values per row, over all terms.
    known: Vec<f64>,
}

/// CostFunction of an excess of one over a limit of the last rank, in spreads of the objective over the first candidates: beyond
/// what money can outweigh.
const LIMIT_PRICE: f64 = 1e3;

/// Sees every completed frame of a rollout, with its step.
pub(super) type Watch<'a> = dyn FnMut(usize, &Completed, &mut Registers) + 'a;

/// The frame before the current one, as the current one.
pub(super) struct Completed<'a> {
    pub(super) window: &'a Window,
    step_ms: i64,
}

impl Frame for Completed<'_> {
    fn rows(&self) -> usize {
        self.window.rows()
    }

    #[inline]
    fn column(&self, signal: usize, lag: usize) -> &[f64] {
        self.window.column(signal, lag + 1)
    }

    fn time(&self) -> Timestamp {
        let ms = self.window.time().as_millisecond().saturating_sub(self.step_ms);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
    }
}

impl Workspace {
    /// Forgets the last plan, keeping the memory; from now on candidates are priced in `futures`.
    pub fn begin_plan(&mut self, futures: Futures) {
        self.futures = futures;
        self.margins.forget();
        self.noise = None;
        self.limit_price = None;
    }

    /// What candidates are priced in.
    pub fn futures(&self) -> &Futures {
        &self.futures
    }

    /// Cost of each candidate, `[moves * controls]` each: the risk quantile or the mean of the objective over futures, the
    /// price of doubt, and the mean price of limits broken; NaN where a future cannot be computed.
    pub fn price(&mut self, setup: &Setup, start: &Start, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.price_and(setup, start, candidates, costs, &mut |_, _, _| {});
    }

    /// The same, and `watch` sees every completed frame.
    pub fn price_and(
        &mut self,
        setup: &Setup,
        start: &Start,
        candidates: &[Vec<f64>],
        costs: &mut Vec<f64>,
        watch: &mut Watch,
    ) {
        let n = candidates.len();
        let at = match self.rollouts.iter().position(|r| r.candidates == n && r.futures == self.futures) {
            Some(at) => at,
            None => {
                self.rollouts.push(Rollout::new(setup, n, &self.futures));
                self.rollouts.len() - 1
            }
        };
        paths(setup, start, candidates, &mut self.path);
        let rollout = &mut self.rollouts[at];
        let (excess, margins) = (&mut self.excess, &self.margins);
        excess.begin(n * self.futures.count());
        rollout.run(setup, start, &self.path, &mut self.noise, &mut self.registers, &mut |step, frame, registers| {
            excess.add(&setup.kept, margins, n, step, frame);
            watch(step, frame, registers);
        });
        rollout.sum(setup);
        let total = &rollout.total;
        costs.clear();
        self.doubts.clear();
        for c in 0..n {
            self.each.clear();
            self.each.extend(total.iter().skip(c).step_by(n));
            // One future that cannot be computed is no future to count on.
            let (cost, doubt) = if self.each.iter().all(|v| v.is_finite()) {
                match setup.risk {
                    Some(risk) => {
                        self.each.sort_unstable_by(f64::total_cmp);
                        (quantile_type_6(&self.each, risk), 0.0)
                    }
                    None => {
                        let (mean, sd) = mean_and_sample_sd(self.each.iter().copied());
                        (mean, self.futures.pessimism * sd)
                    }
                }
            } else {
                (f64::NAN, 0.0)
            };
            costs.push(cost + doubt);
            self.doubts.push(doubt);
        }
        let price = *self.limit_price.get_or_insert_with(|| {
            let finite = || costs.iter().copied().filter(|c| c.is_finite());
            let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
            let size = low.abs().max(high.abs());
            if low <= high { LIMIT_PRICE * (high - low).max(1e-6 * size).max(1e-12) } else { LIMIT_PRICE }
        });
        for (c, cost) in costs.iter_mut().enumerate() {
            *cost += price * self.excess.of(c, n);
        }
    }

    /// What the first of two candidates saves against the second, mean over futures: money alone, limits aside.
    pub fn saving(&mut self, setup: &Setup, start: &Start, pair: &[Vec<f64>; 2]) -> f64 {
        self.price(setup, start, pair, &mut Vec::new());
        let rollout = self.rollouts.iter().find(|r| r.candidates == pair.len() && r.futures == self.futures);
        let differences = rollout.map_or(&[][..], |r| &r.total).chunks_exact(pair.len()).map(|t| t[1] - t[0]);
        differences.sum::<f64>() / self.futures.count() as f64
    }

    /// Of every candidate of the last batch, what pessimism adds to its cost.
    pub fn doubts(&self) -> &[f64] {
        &self.doubts
    }
}

impl Workspace {
    /// Every completed frame of `futures` futures of the sequence `at`, `[moves * controls]`: rows are futures, and the first
    /// ones have the noise of the candidates' futures.
    pub fn foresee(&mut self, setup: &Setup, start: &Start, at: &[f64], futures: usize, watch: &mut Watch) {
        let wanted = self.futures.and_more(futures, setup.dynamics.members());
        if self.many.as_ref().is_none_or(|many| many.futures != wanted) {
            self.many = Some(Rollout::new(setup, 1, &wanted));
        }
        let Some(rollout) = &mut self.many else { return };
        paths(setup, start, &[at.to_vec()], &mut self.path);
        rollout.run(setup, start, &self.path, &mut None, &mut self.registers, watch);
    }

    /// Differences of a term's price, averaged over futures, between the last candidates and the first of them, per unit
    /// of `steps`; `None` when one is not finite.
    pub fn slopes(&mut self, setup: &Setup, term: usize, steps: &[f64]) -> Option<Vec<f64>> {
        let n = steps.len() + 1;
        let futures = self.futures.count() as f64;
        let rollout = self.rollouts.iter_mut().find(|r| r.candidates == n && r.futures == self.futures)?;
        let (kpi, price) = &setup.objective.terms[term];
        kpi.value(&rollout.terms[term], &mut rollout.value);
        // As in the cost, a term without a value or a price tells nothing.
        if *price == 0.0 || rollout.value.iter().all(|v| v.is_nan()) {
            return Some(vec![0.0; steps.len()]);
        }
        let mean = |c: usize| price * rollout.value.iter().skip(c).step_by(n).sum::<f64>() / futures;
        let base = mean(0);
        let slopes: Vec<f64> = steps.iter().enumerate().map(|(k, step)| (mean(k + 1) - base) / step).collect();
        slopes.iter().all(|s| s.is_finite()).then_some(slopes)
    }
}

/// Writes the controls of every step: towards the wish of its block, as far per step as the move limit allows.
pub(super) fn paths(setup: &Setup, start: &Start, candidates: &[Vec<f64>], path: &mut Vec<f64>) {
    let (n, controls) = (candidates.len(), setup.controls.len());
    // Per control and candidate.
    let mut since: Vec<usize> = start.since.iter().flat_map(|s| std::iter::repeat_n(*s, n)).collect();
    path.resize(setup.blocks.horizon() * controls * n, 0.0);
    for h in 0..setup.blocks.horizon() {
        let block = setup.blocks.of(h);
        let (done, rest) = path.split_at_mut(h * controls * n);
        for c in 0..controls {
            // Bounds are in the wishes.
            let allowed = ControlConstraints { bounds: Bounds::OPEN, ..setup.limits[c].allowed };
            let since = &mut since[c * n..(c + 1) * n];
            let wish = candidates.iter().map(|s| s[block * controls + c]);
            let now = &mut rest[c * n..(c + 1) * n];
            for (k, (now, wish)) in now.iter_mut().zip(wish).enumerate() {
                let last = if h == 0 { start.previous[c] } else { done[((h - 1) * controls + c) * n + k] };
                *now = allowed.next(last, since[k], wish);
                since[k] = allowed.since(last, since[k], *now, 1);
            }
        }
    }
}

impl Rollout {
    fn new(setup: &Setup, candidates: usize, futures: &Futures) -> Self {
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

    fn run(
        &mut self,
        setup: &Setup,
        start: &Start,
        path: &[f64],
        noise: &mut Option<Vec<Vec<f64>>>,
        registers: &mut Registers,
        watch: &mut Watch,
    ) {
        let Self { candidates, futures, batch, terms, value, position, .. } = self;
        let (n, controls, dynamics) = (*candidates, &setup.controls, setup.dynamics);
        batch.window.broadcast_from(start.window, start.row);
        // All candidates share the noise of a future.
        batch.key = match futures.noise {
            Noise::None => None,
            Noise::Planned => Some(start.key),
            Noise::Fresh => Some(start.key.fold(2)),
        };
        match noise {
            Some(noise) => batch.noise.clone_from(noise),
            None => {
                dynamics.begin(batch);
                *noise = Some(batch.noise.clone());
            }
        }
        batch.bias.resize_with(start.bias.len(), Vec::new);
        for (column, bias) in batch.bias.iter_mut().zip(&start.bias) {
            column.clear();
            column.resize(futures.count(), *bias);
        }
        terms.iter_mut().for_each(Accumulator::reset);
        for h in 0..setup.blocks.horizon() {
            if h > 0 {
                for (signal, values) in start.told {
                    batch.window.column_mut(*signal, 0).fill(values[h - 1]);
                }
                for (signal, value) in &start.kept {
                    batch.window.column_mut(*signal, 0).fill(*value);
                }
                dynamics.observe(batch);
            }
            for (c, signal) in controls.iter().enumerate() {
                let from = &path[(h * controls.len() + c) * n..][..n];
                for future in batch.window.column_mut(*signal, 0).chunks_exact_mut(n) {
                    future.copy_from_slice(from);
                }
                if let Some(stock) = &setup.stocks[c] {
                    let mut orders = std::mem::take(value);
                    orders.copy_from_slice(batch.window.column(*signal, 0));
                    stock.order(&batch.window, registers, position, &mut orders);
                    batch.window.column_mut(*signal, 0).copy_from_slice(&orders);
                    *value = orders;
                }
            }
            dynamics.step(batch);
            let completed = Completed { window: &batch.window, step_ms: dynamics.step_ms() };
            let last = h + 1 == setup.blocks.horizon();
            for ((kpi, _), acc) in setup.objective.terms.iter().zip(terms.iter_mut()) {
                if last || !kpi.is_terminal() {
                    kpi.add(acc, &completed, registers);
                }
            }
            watch(h, &completed, registers);
        }
    }

    /// The objective per row. A row with fewer known values than the best one left what can be computed: NaN. A term
    /// that no row has a value of tells nothing about the candidates and is left out.
    fn sum(&mut self, setup: &Setup) {
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
