//! Model-predictive control: plans on the twin, acts on the plant, plans again.

mod blocks;
mod choice;
mod futures;
mod limits;
mod local;
mod margins;
mod optimism;
#[cfg(test)]
mod oven;
mod particle_plan;
mod resolved;
mod rollout;
mod setup;
mod skill_horizon;
mod stock;
mod totals;
mod tuning;
mod violation;

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

pub use self::choice::planner_of;
use self::limits::control_limit;
pub use self::optimism::OptimismCheck;
use self::particle_plan::ParticlePlan;
pub use self::resolved::{PlannedStockSettings, ResolvedMpc};
use self::rollout::Workspace;
use self::setup::Setup;
pub use self::skill_horizon::SkillHorizon;
pub use self::totals::TotalSettings;
pub use self::tuning::{ExpectedKpi, MpcSettings, TunedMpc, TuningTrial};
use super::planner::{self, Planner};
use super::{Context, Control, Controller, Forecast, Observation};
use crate::config::TimeSpan;
use crate::error::{Error, Result};
use crate::expr::Registers;
use crate::rng::Key;
use crate::trajectory::Frame;
use crate::twin::Dynamics;
use crate::value::{Kpi, Objective};

/// Of the plans, one in so many is looked at again (SUP-5): on members of a Gaussian process that costs ten times the plan.
const LOOKED_AT_AGAIN: usize = 8;
/// Name of the stream that says which.
const AGAIN: u64 = 3;

const NO_TERMINAL_COST: &str = "no terminal cost is available: the log does not support one, `fit` did not tune MPC, or the \
                                objective has changed since; remove `cost_to_go`, or run `fit` again";

/// The controller. Each particle of the run has its own plan: at every replan interval the planner moves the free moves
/// of the horizon so that the risk quantile of the objective over several simulated futures is least, and the plan is
/// followed until the next one.
///
/// Plans look no further than the model has skill ([`SkillHorizon`]). Where the present is at the edge of what the model has seen, or
/// outside, the standard deviation of the objective over members of the model is added to its mean, in a few futures
/// without noise.
///
/// Plans hold bounds, move limits and multiples, the first move counted from the control in force. Hard limits of states
/// and outputs are broken only when no candidate avoids it. A plan that fails (no candidate has a finite cost) is
/// replaced by the rest of the last one, or by holding the controls.
pub struct Mpc<'a> {
    setup: Setup<'a>,
    planner: Box<dyn Planner>,
    key: Key,
    particles: Vec<ParticlePlan>,
    /// Step of the last plan.
    planned: Option<usize>,
    /// (signal, forecast): `[horizon]` each.
    told: Vec<(usize, Vec<f64>)>,
    pool: Mutex<Vec<Workspace>>,
    failures: usize,
    optimism_check: OptimismCheck,
    /// Times at which plans were made so far.
    rounds: usize,
    registers: Registers,
    position: Vec<f64>,
}

/// Milliseconds since some moment.
pub type Clock = dyn Fn() -> u64 + Sync;

/// Of the plan of particle `row` at `step`.
fn key_of(key: Key, row: usize, step: usize) -> Key {
    key.fold(row as u64).fold(step as u64)
}

impl<'a> Mpc<'a> {
    /// The controller with `settings`, which minimises the twin's objective.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no terminal cost for `cost_to_go`, or if the limits of a total cannot be satisfied within
    /// the logged range of its control.
    pub fn build(settings: &ResolvedMpc, context: &Context<'a>) -> Result<Self> {
        let dynamics = context.dynamics;
        let step = TimeSpan::from_ms(dynamics.step_ms());
        let horizon = settings.horizon.map_or(1, |h| h.steps(step, 1));
        for total in &settings.totals {
            let bounds = control_limit(dynamics, total.control, settings.within_log()).allowed.bounds;
            let name = &context.schema.signals[total.control].name;
            if let Some((message, help)) = total.infeasible(name, bounds, horizon, step) {
                return Err(Error::Data(format!("{message}; {help}")));
            }
        }
        let mut objective = context.objective.clone();
        objective.terms.extend(Objective::new(context.kpis, settings.terminal.iter().copied()).terms);
        if settings.cost_to_go == Some(true) {
            let reach = SkillHorizon::of(horizon, dynamics, &objective).map_or(horizon, |cut| cut.reach);
            let own = context.terminal_cost.filter(|t| t.is_of(context.objective));
            let Some(kpi) = own.and_then(|t| Kpi::terminal_cost(t, reach, context.schema)) else {
                return Err(Error::Data(NO_TERMINAL_COST.into()));
            };
            objective.terms.push((kpi, 1.0));
        }
        // Not the stream of the run's own noise: a plan must not foresee it.
        let key = Key::new(context.seed).fold(0x6D70_6300);
        let mut mpc = Self::new(settings, dynamics, objective, key);
        mpc.setup.clock = context.clock;
        mpc.setup.rescored = context.rescored;
        Ok(mpc)
    }

    /// `key` must not be that of the plant's noise.
    pub fn new(settings: &ResolvedMpc, dynamics: &'a dyn Dynamics, objective: Objective, key: Key) -> Self {
        let planner = planner_of(settings, dynamics);
        let setup = Setup::new(settings, &planner, dynamics, objective);
        Self {
            setup,
            planner: planner::build(&planner),
            key,
            particles: Vec::new(),
            planned: None,
            told: Vec::new(),
            pool: Mutex::new(Vec::new()),
            failures: 0,
            optimism_check: OptimismCheck::default(),
            rounds: 0,
            registers: Registers::default(),
            position: Vec::new(),
        }
    }

    /// Plans that failed so far, over all particles.
    pub fn failures(&self) -> usize {
        self.failures
    }

    fn tell(&mut self, forecast: &Forecast, step: usize) {
        let horizon = self.setup.blocks.horizon();
        self.told.resize(forecast.signals.len(), (0, Vec::new()));
        for (i, ((signal, _), (to, values))) in forecast.signals.iter().zip(&mut self.told).enumerate() {
            *to = *signal;
            values.resize(horizon, 0.0);
            forecast.fill(i, step, values);
        }
    }

    fn plan_all(&mut self, observation: &Observation, elapsed: usize) {
        self.tell(observation.forecast, observation.step);
        let Self { setup, planner, key, particles, told, pool, rounds, .. } = self;
        let (setup, planner, told, pool, made) = (&*setup, planner.as_ref(), &*told, &*pool, *rounds);
        let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
        // A particle's plan depends on its own number and the step alone: any thread, any order, the same bytes.
        particles.par_iter_mut().enumerate().for_each(|(row, follower)| {
            let mut workspace = lock().pop().unwrap_or_default();
            let key = key_of(*key, row, observation.step);
            let start = setup.start(observation, row, told, follower, key);
            // by chance: every so-and-so-many-th would always be the same hours of a day
            let again = setup.rescored && (made + row == 0 || key.fold(AGAIN).below(0, LOOKED_AT_AGAIN) == 0);
            follower.plan(setup, planner, &start, elapsed, again, &mut workspace);
            lock().push(workspace);
        });
        self.rounds += 1;
        self.failures += self.particles.iter_mut().map(|f| std::mem::take(&mut f.failures)).sum::<usize>();
        self.particles.iter().for_each(|f| self.optimism_check.add(&f.optimism_check));
    }
}

impl Controller for Mpc<'_> {
    fn signals(&self) -> &[usize] {
        &self.setup.controls
    }

    fn depth(&self) -> usize {
        self.setup.depth
    }

    fn skill_horizon(&self) -> Option<SkillHorizon> {
        self.setup.skill_horizon
    }

    fn optimism_check(&self) -> Option<OptimismCheck> {
        Some(self.optimism_check).filter(|p| p.plans > 0)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let rows = observation.window.rows();
        if self.particles.len() != rows {
            self.restart();
            self.particles.resize_with(rows, ParticlePlan::default);
        }
        let setup = &self.setup;
        let followers = self.particles.par_iter_mut().enumerate();
        followers.for_each(|(row, follower)| setup.learn_bias(observation, row, &mut follower.bias));
        let elapsed = self.planned.and_then(|p| observation.step.checked_sub(p));
        if elapsed.is_none_or(|e| e >= self.setup.replan) {
            if elapsed.is_none() {
                self.particles.iter_mut().for_each(|f| f.plan = None);
            }
            self.plan_all(observation, elapsed.unwrap_or(0));
            self.planned = Some(observation.step);
        }
        let offset = observation.step - self.planned.unwrap_or(observation.step);
        let controls = self.setup.controls.len();
        for (c, column) in control.values.iter_mut().enumerate() {
            for (value, follower) in column.iter_mut().zip(&self.particles) {
                *value = follower.path[offset * controls + c];
            }
            if let Some(stock) = &self.setup.stocks[c] {
                stock.order(observation.window, &mut self.registers, &mut self.position, column);
            }
        }
        Ok(())
    }
}

/// What a live loop reads of the first particle's plan.
impl Mpc<'_> {
    /// Name of the planner.
    pub fn planner(&self) -> &'static str {
        self.planner.name()
    }

    /// Steps that a plan looks ahead.
    pub fn horizon(&self) -> usize {
        self.setup.blocks.horizon()
    }

    /// What the last plan wishes for `ahead` steps after it was made, within its limits if it is followed: `[controls]`;
    /// `None` beyond the plan, and when the plan is one of levels.
    pub fn wished(&self, ahead: usize) -> Option<&[f64]> {
        if self.setup.stocks.iter().any(Option::is_some) {
            return None;
        }
        let (plan, n) = (self.particles.first()?.plan.as_ref()?, self.setup.controls.len());
        let block = self.setup.blocks.of(ahead);
        plan.controls.get(block * n..(block + 1) * n)
    }

    /// Of some first moves other than that of the plan in force at `observation`, `[controls]` each, the number of the one after
    /// which the rest of it costs least, totals aside and whatever the budget; `None` when there is no plan, it is one of
    /// levels, or no cost is finite.
    pub fn cheapest(&mut self, observation: &Observation, first: &[Vec<f64>]) -> Option<usize> {
        self.tell(observation.forecast, observation.step);
        let Self { setup, particles, told, planned, key, .. } = self;
        if setup.stocks.iter().any(Option::is_some) {
            return None;
        }
        let follower = particles.first()?;
        let mut rest = follower.plan.as_ref()?.controls.clone();
        setup.blocks.shift(&mut rest, setup.controls.len(), observation.step.checked_sub((*planned)?)?);
        let start = setup.start(observation, 0, told, follower, key_of(*key, 0, observation.step));
        let after = |moves: &Vec<f64>| [moves, &rest[moves.len()..]].concat();
        let candidates: Vec<Vec<f64>> = first.iter().map(after).collect();
        let (mut workspace, mut costs) = (Workspace::default(), Vec::new());
        workspace.begin_plan(setup.futures(&start));
        workspace.tighten(setup, &start, &rest);
        workspace.price(setup, &start, &candidates, &mut costs);
        let finite = costs.iter().enumerate().filter(|(_, c)| c.is_finite());
        finite.min_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
    }

    /// Step at which the last plan was made.
    pub fn planned_at(&self) -> Option<usize> {
        self.planned
    }

    /// Starts the next plan afresh, from nothing that was planned before.
    pub fn forget(&mut self) {
        self.planned = None;
        self.particles.iter_mut().for_each(|f| f.plan = None);
    }

    /// Begins a new run, of which nothing is known.
    pub fn restart(&mut self) {
        self.planned = None;
        self.particles.clear();
    }
}
