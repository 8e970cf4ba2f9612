//! The MPC controller.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::evaluator::Evaluator;
use super::limits::control_limit;
use super::particle_plan::{ParticlePlan, begin_plan};
use super::plan_gap::PlanGap;
use super::planner_choice::select_planner;
use super::resolved::ResolvedMpc;
use super::setup::Setup;
use super::skill_horizon::SkillHorizon;
use super::start::SignalForecast;
use crate::config::TimeSpan;
use crate::control::planner::{self, Planner};
use crate::control::{Context, Control, Controller, Forecast, Observation, allowed_below};
use crate::error::{Error, Result};
use crate::expr::Registers;
use crate::rng::Key;
use crate::trajectory::Frame;
use crate::twin::Dynamics;
use crate::value::{Kpi, Objective};

const NO_TERMINAL_COST: &str = "no terminal cost is available: none could be learned from the log, `fit` \
                                did not tune MPC, or the objective has changed since `fit`; \
                                remove `cost_to_go`, or run `fit` again";

/// The MPC controller. The optimisation problem that the controller solves is stated in the module documentation.
pub struct Mpc<'a> {
    pub(super) setup: Setup<'a>,
    planner: Box<dyn Planner>,
    key: Key,
    pub(super) particles: Vec<ParticlePlan>,
    /// Step at which the last plan was made.
    planned_at: Option<usize>,
    forecasts: Vec<SignalForecast>,
    /// Pool of evaluators that are not in use.
    evaluators: Mutex<Vec<Evaluator>>,
    failures: usize,
    registers: Registers,
    position: Vec<f64>,
}

fn plan_key(key: Key, row: usize, step: usize) -> Key {
    key.fold(row as u64).fold(step as u64)
}

impl<'a> Mpc<'a> {
    /// Builds an MPC controller that minimises the objective of the twin with the given `settings`.
    ///
    /// # Errors
    /// [`Error::Data`] if `cost_to_go` is set but there is no terminal cost, or if the limits on a total cannot be
    /// satisfied within the bounds of its control.
    pub fn build(settings: &ResolvedMpc, context: &Context<'a>) -> Result<Self> {
        let dynamics = context.dynamics;
        let step = TimeSpan::from_ms(dynamics.step_ms());
        let horizon = settings.horizon.map_or(1, |h| h.steps(step, 1));
        for total in &settings.totals {
            let bounds = control_limit(dynamics, total.control, settings.within_log()).constraints.bounds;
            let name = &context.schema.signals[total.control].name;
            if let Some((message, help)) = total.infeasible(name, bounds, horizon, step) {
                return Err(Error::Data(format!("{message}; {help}")));
            }
        }
        let mut objective = settings.planned_objective(context.objective, context.kpis);
        if settings.cost_to_go == Some(true) {
            let reach = SkillHorizon::new(horizon, dynamics, &objective).map_or(horizon, |cut| cut.reach);
            let own = context.terminal_cost.filter(|t| t.is_for(context.objective));
            let Some(kpi) = own.and_then(|t| Kpi::terminal_cost(t, reach, context.schema)) else {
                return Err(Error::Data(NO_TERMINAL_COST.into()));
            };
            objective.terms.push((kpi, 1.0));
        }
        // The random stream of the planner differs from that of the plant's noise, because plans must not anticipate
        // the noise.
        let key = Key::new(context.seed).fold(0x6D70_6300);
        let mut mpc = Self::new(settings, dynamics, objective, key);
        mpc.setup.budget.clock = context.clock;
        mpc.setup.cross_fitted = context.cross_fitted;
        mpc.setup.timezone = context.timezone.clone();
        Ok(mpc)
    }

    /// Creates the controller. `key` must differ from the key of the plant's noise.
    pub fn new(settings: &ResolvedMpc, dynamics: &'a dyn Dynamics, objective: Objective, key: Key) -> Self {
        let planner = select_planner(settings, dynamics, &objective);
        let setup = Setup::new(settings, &planner, dynamics, objective);
        Self {
            setup,
            planner: planner::build(&planner),
            key,
            particles: Vec::new(),
            planned_at: None,
            forecasts: Vec::new(),
            evaluators: Mutex::new(Vec::new()),
            failures: 0,
            registers: Registers::default(),
            position: Vec::new(),
        }
    }

    /// Number of plans that have failed so far, summed over all particles.
    pub fn failures(&self) -> usize {
        self.failures
    }

    fn update_forecasts(&mut self, forecast: &Forecast, step: usize) {
        let (horizon, futures) = (self.setup.horizon.steps(), self.setup.sampling.particles);
        self.forecasts.resize_with(forecast.signals.len(), SignalForecast::default);
        for (i, ((signal, _), to)) in forecast.signals.iter().zip(&mut self.forecasts).enumerate() {
            to.signal = *signal;
            to.values.resize(horizon, 0.0);
            forecast.fill(i, step, &mut to.values);
            to.errors.clear();
            if self.setup.sampling.has_errors {
                to.errors = forecast.errors(i, step, horizon, futures);
            }
        }
    }

    fn plan_all(&mut self, observation: &Observation, elapsed: usize) {
        self.update_forecasts(observation.forecast, observation.step);
        let Self { setup, planner, key, particles, forecasts, evaluators, .. } = self;
        let (setup, planner, forecasts, evaluators) = (&*setup, planner.as_ref(), &*forecasts, &*evaluators);
        let lock = || evaluators.lock().unwrap_or_else(PoisonError::into_inner);
        // The random numbers of a plan depend only on the particle and the step, so the result is the same for any
        // number of threads.
        particles.par_iter_mut().enumerate().for_each(|(row, particle)| {
            let mut evaluator = lock().pop().unwrap_or_default();
            let key = plan_key(*key, row, observation.step);
            let start = setup.start(observation, row, forecasts, particle.plan.as_ref(), &particle.bias, key);
            particle.plan(setup, planner, &start, elapsed, &mut evaluator);
            lock().push(evaluator);
        });
        self.failures += self.particles.iter_mut().map(|f| std::mem::take(&mut f.failures)).sum::<usize>();
    }
}

impl Controller for Mpc<'_> {
    fn signals(&self) -> &[usize] {
        &self.setup.controls
    }

    fn depth(&self) -> usize {
        self.setup.history()
    }

    fn skill_horizon(&self) -> Option<SkillHorizon> {
        self.setup.horizon.skill
    }

    fn plan_gap(&self) -> Option<PlanGap> {
        let mut all = PlanGap::default();
        self.particles.iter().for_each(|p| all.merge(&p.gap));
        Some(all)
    }

    fn end_values(&self) -> Vec<(usize, f64)> {
        let mean = |&store: &usize| {
            let values = self.particles.iter().flat_map(|p| &p.end_values).filter(|v| v.signal == store);
            let (sum, plans) = values.fold((0.0, 0), |(sum, plans), v| (sum + v.sum, plans + v.plans));
            (plans > 0).then(|| (store, sum / plans as f64))
        };
        self.setup.stores.iter().filter_map(mean).collect()
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let rows = observation.window.rows();
        if self.particles.len() != rows {
            self.restart();
            self.particles.resize_with(rows, ParticlePlan::default);
        }
        let setup = &self.setup;
        let particles = self.particles.par_iter_mut().enumerate();
        particles.for_each(|(row, particle)| setup.update_bias(observation, row, &mut particle.bias));
        let elapsed = self.planned_at.and_then(|p| observation.step.checked_sub(p));
        if elapsed.is_none_or(|e| e >= self.setup.horizon.replan) {
            if elapsed.is_none() {
                self.particles.iter_mut().for_each(|f| f.plan = None);
            }
            self.plan_all(observation, elapsed.unwrap_or(0));
            self.planned_at = Some(observation.step);
        }
        let offset = observation.step - self.planned_at.unwrap_or(observation.step);
        let controls = self.setup.controls.len();
        for (c, column) in control.values.iter_mut().enumerate() {
            for (value, particle) in column.iter_mut().zip(&self.particles) {
                *value = particle.path[offset * controls + c];
            }
            if let Some(order) = &self.setup.orders[c] {
                order.order(observation.window, &mut self.registers, &mut self.position, column);
            }
        }
        Ok(())
    }
}

/// Access to the plan of the first particle, for live operation.
impl Mpc<'_> {
    pub fn planner(&self) -> &'static str {
        self.planner.name()
    }

    /// Length of the planning horizon, in steps.
    pub fn horizon(&self) -> usize {
        self.setup.horizon.steps()
    }

    /// The controls, `[controls]`, that the last plan prescribes `ahead` steps after it was made. Beyond the horizon,
    /// the controls of the last block are returned. The controls are within their limits provided that the plan is
    /// followed. `None` if there is no plan, or if the plan has order-up-to levels.
    pub fn planned_controls(&self, ahead: usize) -> Option<&[f64]> {
        if self.setup.orders.iter().any(Option::is_some) {
            return None;
        }
        let (plan, n) = (self.particles.first()?.plan.as_ref()?, self.setup.controls.len());
        let block = self.setup.horizon.blocks.at(ahead);
        plan.controls.get(block * n..(block + 1) * n)
    }

    /// Evaluates the current plan of particle `row` with its next move replaced by each of the moves in `first`,
    /// `[controls]`, and returns the index of the move for which the whole plan has the lowest cost. The time budget
    /// and the limits on totals are ignored. Returns `None` if there is no plan, if the plan has order-up-to levels, or
    /// if no cost is finite.
    pub fn cheapest(&mut self, observation: &Observation, row: usize, first: &[Vec<f64>]) -> Option<usize> {
        self.update_forecasts(observation.forecast, observation.step);
        let Self { setup, particles, forecasts, planned_at, key, .. } = self;
        if setup.orders.iter().any(Option::is_some) {
            return None;
        }
        let ParticlePlan { plan, bias, .. } = particles.get(row)?;
        let mut rest = plan.as_ref()?.controls.clone();
        let elapsed = observation.step.checked_sub((*planned_at)?)?;
        setup.horizon.blocks.shift(&mut rest, setup.controls.len(), elapsed);
        let key = plan_key(*key, row, observation.step);
        let start = setup.start(observation, row, forecasts, plan.as_ref(), bias, key);
        let with_first = |moves: &Vec<f64>| [moves, &rest[moves.len()..]].concat();
        let candidates: Vec<Vec<f64>> = first.iter().map(with_first).collect();
        let (mut evaluator, mut costs) = (Evaluator::default(), Vec::new());
        begin_plan(setup, &start, &mut evaluator, &rest);
        evaluator.evaluate(setup, &start, &candidates, &mut costs);
        let finite = costs.iter().enumerate().filter(|(_, c)| c.is_finite());
        finite.min_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
    }

    /// Lowers the values `moves` of the controls in columns `controls` to the values that the limits on totals, such as
    /// forbidden hours, allow in the current step. Returns whether a value was lowered. The lowered values may violate
    /// the limits of the controls themselves.
    pub fn keep_totals(&self, observation: &Observation, row: usize, controls: &[usize], moves: &mut [f64]) -> bool {
        let mut is_lowered = false;
        for (signal, most) in self.setup.controls.iter().zip(self.most_now(observation, row)) {
            let Some(at) = controls.iter().position(|c| c == signal).filter(|at| moves[*at] > most) else { continue };
            moves[at] = allowed_below(&self.setup.dynamics.schema().signals[*signal], most);
            is_lowered = true;
        }
        is_lowered
    }

    /// The largest value of each planned control in the current step, `[controls]`, that the limits on totals allow.
    fn most_now(&self, observation: &Observation, row: usize) -> Vec<f64> {
        let setup = &self.setup;
        let mut most = vec![f64::INFINITY; setup.controls.len()];
        if setup.limits.totals.is_empty() {
            return most;
        }
        let start = setup.start(observation, row, &[], None, &[], self.key);
        for total in setup.totals(&start).iter().filter(|t| t.steps.first().is_some_and(|steps| *steps > 0)) {
            let later = total.steps.iter().sum::<usize>() - 1;
            let low = setup.limits.controls[total.control].constraints.bounds.low;
            let rest = if later > 0 { later as f64 * low } else { 0.0 };
            let now = (total.bounds.high - rest).max(low);
            most[total.control] = most[total.control].min(if now.is_nan() { f64::INFINITY } else { now });
        }
        most
    }

    /// Step at which the last plan was made.
    pub fn planned_at(&self) -> Option<usize> {
        self.planned_at
    }

    /// Discards all plans, so that the next plan has no warm start.
    pub fn forget(&mut self) {
        self.planned_at = None;
        self.particles.iter_mut().for_each(|f| f.plan = None);
    }

    /// Begins a new run: discards the plans and the state of the disturbance observer.
    pub fn restart(&mut self) {
        self.planned_at = None;
        self.particles.clear();
    }
}
