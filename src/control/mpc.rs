//! Model-predictive control: plans on the twin, acts on the plant, plans again.

mod blocks;
mod local;
mod rollout;
mod stock;

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use self::blocks::Blocks;
use self::local::Residuals;
use self::rollout::{Limit, Start, Workspace, paths};
use self::stock::Stock;
use super::planner::{self, Allowed, Local, Plan, Planner, Price, Problem, Total, project};
use super::{Context, Control, Controller, Forecast, Observation, since};
use crate::error::Result;
use crate::expr::Registers;
use crate::rng::Key;
use crate::schema::{MoveLimit, Range, Role, Signal};
use crate::spec::{At, MpcSpec, PlannerSpec, TimeSpan, TotalSpec};
use crate::trajectory::{Frame, Window};
use crate::twin::{Batch, Dynamics};
use crate::value::Objective;

/// The controller. Each particle of the run has its own plan: at every replan interval the planner moves the free moves
/// of the horizon so that the risk quantile of the objective over several simulated futures is least, and the plan is
/// followed until the next one.
///
/// Plans hold bounds, move limits and multiples, the first move counted from the control in force. Hard limits of states
/// and outputs are broken only when no candidate avoids it. A plan that fails (no candidate has a finite cost) is
/// replaced by the rest of the last one, or by holding the controls.
pub struct Mpc<'a> {
    setup: Setup<'a>,
    planner: Box<dyn Planner>,
    key: Key,
    particles: Vec<Follower>,
    /// Step of the last plan.
    planned: Option<usize>,
    /// (signal, forecast): `[horizon]` each.
    told: Vec<(usize, Vec<f64>)>,
    pool: Mutex<Vec<Workspace>>,
    failures: usize,
    registers: Registers,
    position: Vec<f64>,
}

/// What stays the same from plan to plan.
pub(in crate::control) struct Setup<'a> {
    dynamics: &'a dyn Dynamics,
    objective: Objective,
    /// Schema columns of the planned controls.
    controls: Vec<usize>,
    /// Of each planned control.
    limits: Vec<ControlLimit>,
    blocks: Blocks,
    /// Steps between plans.
    replan: usize,
    /// Futures per plan.
    particles: usize,
    /// Quantile of the objective over futures that is least; `None`: the mean.
    risk: Option<f64>,
    /// Hard limits of states, outputs and derived signals.
    hard: Vec<Limit>,
    /// Frames of the windows.
    depth: usize,
    /// What the objective measures the smallness of; `None` when the plant or a control has no slopes.
    residuals: Option<Residuals>,
    /// Gain of the estimate of the model's bias.
    correction: f64,
    totals: Vec<Total>,
    /// Of each planned control that the plan moves through a level.
    stocks: Vec<Option<Stock>>,
    /// Milliseconds for one plan.
    budget: Option<u64>,
    clock: Option<&'a Clock>,
}

/// Milliseconds since some moment.
pub type Clock = dyn Fn() -> u64 + Sync;

#[derive(Debug, Clone, Copy)]
struct ControlLimit {
    hard: Range,
    /// Per step.
    allowed: Allowed,
    scale: f64,
}

/// One particle's plan.
#[derive(Default)]
struct Follower {
    plan: Option<Plan>,
    /// Controls until the next plan: `[replan][controls]`.
    path: Vec<f64>,
    /// How wrong the model has been lately: `[targets]`.
    bias: Vec<f64>,
    failures: usize,
}

/// Share of an error that is taken to last when a scenario names none.
const CORRECTION: f64 = 0.1;
/// Free moves when a scenario names no number: one per replan interval, at most this.
const MOST_MOVES: usize = 12;
/// Futures when a scenario names no number.
const FUTURES: usize = 4;

impl<'a> Mpc<'a> {
    /// The controller that a scenario describes, minimising the twin's objective.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for unknown controls, a horizon shorter than the replan interval, a risk outside
    /// 0 to 1, and a twin without an objective.
    pub fn build(spec: &MpcSpec, context: &Context<'a>) -> Result<Self> {
        let controls = match &spec.controls {
            Some(names) => names.iter().map(|n| context.control(n, &n.span)).collect::<Result<Vec<_>>>()?,
            None => context.schema.with_role(Role::Control),
        };
        if context.objective.terms.is_empty() {
            let cure = "give the twin an [objective] table: KPI = price";
            return Err(context.fault("no-objective", &spec.horizon.span, "MPC has nothing to minimise", cure));
        }
        if let Some(risk) = spec.risk.as_ref().filter(|r| !(0.0..=1.0).contains(&r.value)) {
            let message = format!("a risk of {} is no quantile", risk.value);
            return Err(context.fault("out-of-range", &risk.span, message, "choose a number from 0 to 1, like 0.95"));
        }
        if let Some(share) = spec.correction.as_ref().filter(|c| !(0.0..=1.0).contains(&c.value)) {
            let message = format!("a correction of {} is no share", share.value);
            return Err(context.fault("out-of-range", &share.span, message, "choose a number from 0 to 1, like 0.1"));
        }
        if let Some(replan) = spec.replan.as_ref().filter(|r| r.value > spec.horizon.value) {
            let message = format!("the plan ends after {}, before the next one is made", spec.horizon.value);
            return Err(context.fault("out-of-range", &replan.span, message, "replan at least once per horizon"));
        }
        for total in &spec.totals {
            context.control(&total.control, &total.control.span)?;
            let ends = [&total.at_least, &total.at_most].map(|e| e.as_ref().map(|e| e.value));
            let wrong = match ends {
                [None, None] => "neither `at_least` nor `at_most`",
                [Some(least), Some(most)] if least > most => "`at_least` above `at_most`",
                _ => continue,
            };
            let message = format!("the total of `{}` has {wrong}", total.control.value);
            return Err(context.fault("out-of-range", &total.span, message, "write `at_most`, `at_least`, or both"));
        }
        let (step, within_log) = (TimeSpan::from_ms(context.dynamics.step_ms()), spec.within_log());
        for total in &spec.totals {
            let control = context.control(&total.control, &total.control.span)?;
            let bounds = control_limit(context.dynamics, control, within_log).allowed.bounds;
            if let Some((message, cure)) = total.impossible(bounds, spec.horizon.steps(step, 1), step) {
                return Err(context.fault("out-of-range", &total.span, message, cure));
            }
        }
        // Not the stream of the run's own noise: a plan must not foresee it.
        let key = Key::new(context.seed).fold(0x6D70_6300);
        let mut mpc = Self::new(spec, controls, context.dynamics, context.objective.clone(), key);
        mpc.setup.stock(&spec.base_stock, context)?;
        mpc.setup.clock = context.clock;
        Ok(mpc)
    }

    /// `controls`: schema columns that it moves; `key` must not be that of the plant's noise.
    pub fn new(
        spec: &MpcSpec,
        controls: Vec<usize>,
        dynamics: &'a dyn Dynamics,
        objective: Objective,
        key: Key,
    ) -> Self {
        let step = TimeSpan::from_ms(dynamics.step_ms());
        let horizon = spec.horizon.steps(step, 1);
        let replan = spec.replan.as_ref().map_or(1, |r| r.steps(step, 1)).min(horizon);
        let moves = spec.moves.as_ref().map_or(MOST_MOVES.min(horizon.div_ceil(replan)), |m| m.value);
        let within_log = spec.within_log();
        let limits: Vec<_> = controls.iter().map(|&c| control_limit(dynamics, c, within_log)).collect();
        let signals = &dynamics.schema().signals;
        let totals = spec.totals.iter().filter_map(|t| total(&t.value, &controls, signals, horizon, step)).collect();
        let switching = controls.iter().map(|&c| signals[c].switching.memory()).max().unwrap_or(0);
        let hard = (0..signals.len()).filter_map(|s| hard_limit(dynamics, s, within_log)).collect();
        let smooth = has_slopes(spec, dynamics, &controls);
        let planner = planner_of(spec, dynamics, &controls);
        let setup = Setup {
            stocks: controls.iter().map(|_| None).collect(),
            controls,
            limits,
            blocks: Blocks::new(horizon, replan, moves),
            residuals: smooth.then(|| Residuals::of(&objective, horizon, dynamics)),
            replan,
            correction: spec.correction.as_ref().map_or(CORRECTION, |c| c.value),
            particles: spec
                .particles
                .as_ref()
                .map_or(if planner.follows_slopes() && spec.risk.is_none() { 1 } else { FUTURES }, |p| p.value)
                .max(1),
            risk: spec.risk.as_ref().map(|r| r.value),
            hard,
            // A completed frame is read at lag 1, and its own past from there.
            depth: (dynamics.depth() + 1).max(objective.depth() + 2).max(switching + 2),
            totals,
            budget: spec.budget.as_ref().map(|b| b.value.ms().unsigned_abs()),
            clock: None,
            objective,
            dynamics,
        };
        Self {
            setup,
            planner: planner::build(&planner),
            key,
            particles: Vec::new(),
            planned: None,
            told: Vec::new(),
            pool: Mutex::new(Vec::new()),
            failures: 0,
            registers: Registers::default(),
            position: Vec::new(),
        }
    }

    /// The clock by which plans keep their `budget`; without one they take the time that they need.
    #[must_use]
    pub fn timed(mut self, clock: &'a Clock) -> Self {
        self.setup.clock = Some(clock);
        self
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
        let Self { setup, planner, key, particles, told, pool, .. } = self;
        let (setup, planner, told, pool) = (&*setup, planner.as_ref(), &*told, &*pool);
        let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
        // A particle's plan depends on its own number and the step alone: any thread, any order, the same bytes.
        particles.par_iter_mut().enumerate().for_each(|(row, follower)| {
            let mut workspace = lock().pop().unwrap_or_default();
            let key = key.fold(row as u64).fold(observation.step as u64);
            let start = setup.start(observation, row, told, follower, key);
            follower.plan(setup, planner, &start, elapsed, &mut workspace);
            lock().push(workspace);
        });
        self.failures += self.particles.iter_mut().map(|f| std::mem::take(&mut f.failures)).sum::<usize>();
    }
}

impl Controller for Mpc<'_> {
    fn signals(&self) -> &[usize] {
        &self.setup.controls
    }

    fn depth(&self) -> usize {
        self.setup.depth
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let rows = observation.window.rows();
        if self.particles.len() != rows {
            self.restart();
            self.particles.resize_with(rows, Follower::default);
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

impl Setup<'_> {
    /// Moves the estimate of the model's bias by the error of its last step: the steady Kalman filter of an integrating
    /// disturbance (Pannocchia & Rawlings 2003).
    fn learn_bias(&self, observation: &Observation, row: usize, bias: &mut Vec<f64>) {
        if self.correction <= 0.0 {
            return;
        }
        let (dynamics, from) = (self.dynamics, observation.window);
        let mut window = Window::new(dynamics.schema().len(), self.depth, 1, from.time(), dynamics.step_ms());
        window.broadcast_from(from, row);
        let mut batch = Batch::candidates(window, 1, dynamics.members(), None);
        dynamics.begin(&mut batch);
        bias.resize(batch.noise.len(), 0.0);
        for (bias, error) in bias.iter_mut().zip(&batch.noise) {
            *bias += self.correction * (error[0] - *bias);
        }
    }

    fn start<'s>(
        &self,
        observation: &Observation<'s>,
        row: usize,
        told: &'s [(usize, Vec<f64>)],
        follower: &Follower,
        key: Key,
    ) -> Start<'s> {
        let window = observation.window;
        let value = |signal: usize, lag: usize| window.column(signal, lag)[row];
        let previous = self.controls.iter().zip(&self.limits).enumerate().map(|(i, (&c, limit))| {
            if self.stocks[i].is_some() {
                // The last level, or one in the middle.
                let Range { low, high } = limit.hard;
                let last = follower.plan.as_ref().map_or(0.5 * (low + high), |p| p.controls[i]);
                let multiple = limit.allowed.multiple;
                return if multiple > 0.0 { (last / multiple).round() * multiple } else { last };
            }
            let known = [value(c, 1), value(c, 0), limit.allowed.bounds.low].into_iter().find(|v| v.is_finite());
            limit.hard.clamp(known.unwrap_or(0.0))
        });
        let given = |s: &usize| {
            let role = self.dynamics.schema().signals[*s].role;
            matches!(role, Role::Control | Role::Disturbance | Role::Setpoint)
                && !self.controls.contains(s)
                && !told.iter().any(|(t, _)| t == s)
        };
        let kept = (0..self.dynamics.schema().len()).filter(given).map(|s| (s, value(s, 0))).collect();
        let signals = &self.dynamics.schema().signals;
        let since = self.controls.iter().map(|&c| since(&signals[c], c, window, row)).collect();
        Start { window, row, told, kept, previous: previous.collect(), since, bias: follower.bias.clone(), key }
    }
}

impl Follower {
    fn plan(&mut self, setup: &Setup, planner: &dyn Planner, start: &Start, elapsed: usize, workspace: &mut Workspace) {
        let controls = setup.controls.len();
        if let Some(last) = &mut self.plan {
            setup.blocks.shift(&mut last.controls, controls, elapsed);
            last.memory.iter_mut().for_each(|m| setup.blocks.shift(m, controls, elapsed));
        }
        workspace.begin_plan();
        let mut price = Futures { setup, start, workspace };
        // In one block a control can ramp for its whole length.
        let block = setup.blocks.shortest() as f64;
        let began = setup.clock.map(|clock| clock());
        let late = || match (began, setup.clock, setup.budget) {
            (Some(began), Some(clock), Some(budget)) => clock().saturating_sub(began) >= budget,
            _ => false,
        };
        let mut problem = Problem {
            moves: setup.blocks.count(),
            steps: setup.blocks.lengths().collect(),
            allowed: setup.limits.iter().map(|l| l.allowed.over(block)).collect(),
            totals: setup.totals.clone(),
            previous: start.previous.clone(),
            since: start.since.clone(),
            scale: setup.limits.iter().map(|l| l.scale).collect(),
            price: &mut price,
            key: start.key.fold(1),
            late: &late,
        };
        let mut plan = planner.plan(&mut problem, self.plan.as_ref());
        let failed = !plan.cost.is_finite();
        if failed {
            self.failures += 1;
            if let Some(last) = &self.plan {
                plan.controls.clone_from(&last.controls);
                project(&problem, &mut plan.controls);
            }
        }
        let sequence = std::slice::from_ref(&plan.controls);
        paths(setup, start, sequence, &mut self.path);
        self.path.truncate(setup.replan * controls);
        // After a failure nothing is known to be good: the next plan starts afresh, yet may fall back on this one.
        self.plan = Some(Plan { memory: if failed { Vec::new() } else { plan.memory }, ..plan });
    }
}

/// Values of a control up to which a tree search looks at each.
const FEW: f64 = 8.0;

/// The planner that `spec` names, or the one that suits the plant and the planned controls; that one, too, where the named
/// one follows slopes and there are none.
pub fn planner_of(spec: &MpcSpec, dynamics: &dyn Dynamics, controls: &[usize]) -> PlannerSpec {
    if let Some(planner) = spec.planner.as_ref().filter(|p| !p.follows_slopes() || has_slopes(spec, dynamics, controls))
    {
        return planner.clone();
    }
    let signals = &dynamics.schema().signals;
    let few = |&c: &usize| {
        let (hard, multiple) = (signals[c].hard, signals[c].multiple);
        multiple > 0.0 && (hard.high - hard.low) / multiple < FEW
    };
    if has_slopes(spec, dynamics, controls) {
        PlannerSpec::gauss_newton()
    } else if !controls.is_empty() && spec.base_stock.is_empty() && controls.iter().all(few) {
        PlannerSpec::mcts()
    } else {
        PlannerSpec::default()
    }
}

/// Whether small changes of a plan make small changes of its cost.
fn has_slopes(spec: &MpcSpec, dynamics: &dyn Dynamics, controls: &[usize]) -> bool {
    let signals = &dynamics.schema().signals;
    let stepless = |&c: &usize| signals[c].multiple <= 0.0 && signals[c].switching.least <= 0.0;
    dynamics.smooth() && spec.base_stock.is_empty() && controls.iter().all(stepless)
}

/// What candidates cost over the simulated futures of one particle.
struct Futures<'a, 'p> {
    setup: &'a Setup<'p>,
    start: &'a Start<'a>,
    workspace: &'a mut Workspace,
}

impl Price for Futures<'_, '_> {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.workspace.price(self.setup, self.start, candidates, costs);
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        self.workspace.near(self.setup, self.start, at)
    }
}

/// A limit of a planned control's total, for the whole horizon.
fn total(spec: &TotalSpec, controls: &[usize], signals: &[Signal], horizon: usize, step: TimeSpan) -> Option<Total> {
    let control = controls.iter().position(|&c| signals[c].name == spec.control.value)?;
    Some(Total { control, range: spec.over(horizon, step) })
}

fn control_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> ControlLimit {
    let s = &dynamics.schema().signals[signal];
    let mut seen = dynamics.seen(signal);
    let known = seen.low.is_finite() && seen.high.is_finite() && seen.low <= seen.high;
    let width = if known { seen.high - seen.low } else { s.hard.high - s.hard.low };
    if known && s.multiple > 0.0 {
        seen.low = (seen.low / s.multiple + 1e-9).floor() * s.multiple;
        seen.high = (seen.high / s.multiple - 1e-9).ceil() * s.multiple;
    }
    let bounds =
        if known && within_log { Range { low: s.hard.clamp(seen.low), high: s.hard.clamp(seen.high) } } else { s.hard };
    // A control that the log has only seen on may still be switched off.
    let bounds =
        if s.switching.least > 0.0 { Range { low: bounds.low.min(0.0).max(s.hard.low), ..bounds } } else { bounds };
    // A move of whole multiples is itself one.
    let whole = |size: f64| match s.multiple > 0.0 && size.is_finite() {
        true => (size / s.multiple + 1e-9).floor() * s.multiple,
        false => size,
    };
    let max_move = MoveLimit { down: whole(s.max_move.down), up: whole(s.max_move.up) };
    let allowed = Allowed { bounds, max_move, multiple: s.multiple, switching: s.switching };
    ControlLimit { hard: s.hard, allowed, scale: 0.25 * width }
}

/// The hard limits of what the plant does. States stay within what the log has seen of them, too: a slow target, or one
/// that cannot be reached, else drives the plant to where nothing is known of it.
fn hard_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> Option<Limit> {
    let s = &dynamics.schema().signals[signal];
    let seen = dynamics.seen(signal);
    let kept = within_log && s.role == Role::State && dynamics.learns(signal);
    let kept = if kept { dynamics.around(signal) } else { Range::OPEN };
    let range = Range { low: s.hard.low.max(kept.low), high: s.hard.high.min(kept.high) };
    let given = range.low.is_finite() || range.high.is_finite();
    if !given || !matches!(s.role, Role::State | Role::Output | Role::Derived) {
        return None;
    }
    let widths = [range.high - range.low, seen.high - seen.low];
    let scale = widths.into_iter().find(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    Some(Limit { signal, range, scale, ahead: s.role == Role::State })
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
