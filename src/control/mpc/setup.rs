//! What stays the same from plan to plan.

use super::Clock;
use super::blocks::Blocks;
use super::choice::has_slopes;
use super::futures::Futures;
use super::limits::{ControlLimit, Limit, control_limit, plant_limits, total};
use super::local::Residuals;
use super::particle_plan::ParticlePlan;
use super::resolved::ResolvedMpc;
use super::rollout::Start;
use super::skill_horizon::SkillHorizon;
use super::stock::Stock;
use crate::config::{MpcSpec, PlannerSpec, TimeSpan};
use crate::control::planner::TotalLimit;
use crate::control::{Observation, since};
use crate::rng::Key;
use crate::schema::{Bounds, Role};
use crate::trajectory::{Frame, Window};
use crate::twin::{Batch, Dynamics, Support};
use crate::value::Objective;

/// What stays the same from plan to plan.
pub(in crate::control) struct Setup<'a> {
    pub dynamics: &'a dyn Dynamics,
    pub objective: Objective,
    /// Schema columns of the planned controls.
    pub controls: Vec<usize>,
    /// Of each planned control.
    pub limits: Vec<ControlLimit>,
    pub blocks: Blocks,
    /// Why plans look less far than they were to.
    pub skill_horizon: Option<SkillHorizon>,
    /// Steps between plans.
    pub replan: usize,
    /// Futures per plan.
    pub particles: usize,
    /// Quantile of the objective over futures that is least; `None`: the mean.
    pub risk: Option<f64>,
    /// Standard deviations of the cost over members that are added to it where the model may be wrong; 0: none.
    pub pessimism: f64,
    /// What some plans promise is looked at again on members that they were not made for.
    pub rescored: bool,
    /// What plans keep of states, outputs and derived signals: hard limits, then soft ones by their rank.
    pub kept: Vec<Limit>,
    /// Probability with which they hold; `None`: in the futures of the plan alone.
    pub confidence: Option<f64>,
    /// Frames of the windows.
    pub depth: usize,
    /// What the objective measures the smallness of; `None` when the plant or a control has no slopes.
    pub residuals: Option<Residuals>,
    /// Gain of the estimate of the model's bias.
    pub correction: f64,
    pub totals: Vec<TotalLimit>,
    /// Of each planned control that the plan moves through a level.
    pub stocks: Vec<Option<Stock>>,
    /// Milliseconds for one plan.
    pub budget: Option<u64>,
    pub clock: Option<&'a Clock>,
}

impl<'a> Setup<'a> {
    pub fn new(
        settings: &ResolvedMpc,
        planner: &PlannerSpec,
        dynamics: &'a dyn Dynamics,
        objective: Objective,
    ) -> Self {
        let controls = settings.controls.clone();
        let step = TimeSpan::from_ms(dynamics.step_ms());
        let asked = settings.horizon.map_or(1, |h| h.steps(step, 1));
        let skill_horizon = SkillHorizon::of(asked, dynamics, &objective);
        let horizon = skill_horizon.map_or(asked, |skill_horizon| skill_horizon.reach);
        let replan = settings.replan.map_or(1, |r| r.steps(step, 1)).min(horizon);
        let moves = settings.moves.unwrap_or(MpcSpec::MOST_MOVES.min(horizon.div_ceil(replan)));
        let within_log = settings.within_log();
        let limits: Vec<_> = controls.iter().map(|&c| control_limit(dynamics, c, within_log)).collect();
        let signals = &dynamics.schema().signals;
        // a plan that is cut takes its share of what the whole one may take
        let share = horizon as f64 / asked as f64;
        let totals = settings.totals.iter().filter_map(|t| total(t, &controls, asked, step));
        let totals =
            totals.map(|t| TotalLimit { range: Bounds { low: share * t.range.low, high: share * t.range.high }, ..t });
        let totals = totals.collect();
        let switching = controls.iter().map(|&c| signals[c].switching.memory()).max().unwrap_or(0);
        let smooth = has_slopes(settings, dynamics);
        let one_future = planner.follows_slopes() && settings.risk.is_none();
        let mut setup = Self {
            stocks: controls.iter().map(|_| None).collect(),
            controls,
            limits,
            blocks: Blocks::new(horizon, replan, moves),
            residuals: smooth.then(|| Residuals::of(&objective, horizon, dynamics)),
            skill_horizon,
            replan,
            correction: settings.correction.unwrap_or(MpcSpec::CORRECTION),
            particles: settings.particles.unwrap_or(if one_future { 1 } else { MpcSpec::PARTICLES }).max(1),
            risk: settings.risk,
            pessimism: pessimism(settings, dynamics),
            rescored: false,
            kept: plant_limits(settings, dynamics),
            confidence: settings.confidence,
            // A completed frame is read at lag 1, and its own past from there.
            depth: (dynamics.depth() + 1).max(objective.depth() + 2).max(switching + 2),
            totals,
            budget: settings.budget.map(|b| b.ms().unsigned_abs()),
            clock: None,
            objective,
            dynamics,
        };
        setup.plan_levels(&settings.base_stock);
        setup
    }
}

impl Setup<'_> {
    /// Moves the estimate of the model's bias by the error of its last step: the steady Kalman filter of an integrating
    /// disturbance (Pannocchia & Rawlings 2003). It waits until the past of a step is known.
    pub fn learn_bias(&self, observation: &Observation, row: usize, bias: &mut Vec<f64>) {
        let (dynamics, from) = (self.dynamics, observation.window);
        if self.correction <= 0.0 || from.known() < dynamics.depth() {
            return;
        }
        let mut window = Window::new(dynamics.schema().len(), self.depth, 1, from.time(), dynamics.step_ms());
        window.broadcast_from(from, row);
        let mut batch = Batch::candidates(window, 1, dynamics.members(), None);
        dynamics.begin(&mut batch);
        bias.resize(batch.noise.len(), 0.0);
        for (bias, error) in bias.iter_mut().zip(&batch.noise) {
            *bias += self.correction * (error[0] - *bias);
        }
    }

    pub fn start<'s>(
        &self,
        observation: &Observation<'s>,
        row: usize,
        told: &'s [(usize, Vec<f64>)],
        follower: &ParticlePlan,
        key: Key,
    ) -> Start<'s> {
        let window = observation.window;
        let value = |signal: usize, lag: usize| window.column(signal, lag)[row];
        let previous = self.controls.iter().zip(&self.limits).enumerate().map(|(i, (&c, limit))| {
            if self.stocks[i].is_some() {
                // The last level, or one in the middle.
                let Bounds { low, high } = limit.hard;
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
        let previous: Vec<f64> = previous.collect();
        let known = self.pessimism <= 0.0 || self.support(window, row, &previous) == Support::Inside;
        Start { window, row, told, kept, previous, since, bias: follower.bias.clone(), key, known }
    }

    /// Support of the present with the controls in force.
    fn support(&self, from: &Window, row: usize, previous: &[f64]) -> Support {
        let dynamics = self.dynamics;
        let mut window = Window::new(dynamics.schema().len(), self.depth, 1, from.time(), dynamics.step_ms());
        window.broadcast_from(from, row);
        for ((&control, value), stock) in self.controls.iter().zip(previous).zip(&self.stocks) {
            if stock.is_none() {
                window.column_mut(control, 0).fill(*value);
            }
        }
        dynamics.support(&window).first().copied().unwrap_or(Support::Outside)
    }

    /// What a plan from `start` is made for.
    pub fn futures(&self, start: &Start) -> Futures {
        let members = self.dynamics.members();
        if start.known { Futures::planned(self.particles, members) } else { Futures::doubted(members, self.pessimism) }
    }
}

/// Weight of doubt: none where the model has one member, and where plans minimise a quantile, which is cautious by itself.
fn pessimism(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> f64 {
    if settings.risk.is_some() || dynamics.members() < 2 {
        return 0.0;
    }
    settings.pessimism.unwrap_or(MpcSpec::PESSIMISM)
}
