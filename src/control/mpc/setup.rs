//! The part of the planning problem that is the same for all plans.

use jiff::tz::TimeZone;

use super::blocks::Blocks;
use super::budget::Budget;
use super::futures::{Futures, held_out_half};
use super::limits::{ControlLimit, Limits, PlantLimit, control_limit, plant_limits, soft_margin, total_limit};
use super::order_up_to::OrderUpTo;
use super::planner_choice::{has_few_values, has_switched_control, is_differentiable, prices_spread};
use super::residuals::Residuals;
use super::resolved::{PlannedStockSettings, ResolvedMpc};
use super::skill_horizon::SkillHorizon;
use super::start::{PlanStart, SignalForecast};
use crate::config::{MpcSpec, PlannerSpec, TimeSpan};
use crate::control::planner::Plan;
use crate::control::{Observation, since};
use crate::rng::Key;
use crate::schema::{Bounds, MoveLimit, Role, Switching};
use crate::trajectory::{Frame, Window};
use crate::twin::{Batch, Dynamics, Support};
use crate::value::Objective;

/// The part of the planning problem that is the same for all plans.
pub(in crate::control) struct Setup<'a> {
    pub dynamics: &'a dyn Dynamics,
    pub objective: Objective,
    /// Residuals of the objective; `None` if the plant is not differentiable or a control is not continuous.
    pub residuals: Option<Residuals>,
    /// Number of frames in the window of a rollout.
    pub depth: usize,
    /// Indices of the planned controls among the columns of the schema.
    pub controls: Vec<usize>,
    /// `[controls]`: `Some` if the plan sets the order-up-to level of the control instead of the control itself.
    pub orders: Vec<Option<OrderUpTo>>,
    pub limits: Limits,
    pub horizon: Horizon,
    pub sampling: Sampling,
    /// Gain of the disturbance observer.
    pub correction: f64,
    /// States whose content at the end of a plan is valued at its marginal cost.
    pub stores: Vec<usize>,
    pub budget: Budget<'a>,
    /// Whether the plant is simulated by members of the ensemble, which the plans must not use ([`held_out_half`]).
    pub cross_fitted: bool,
    /// Time zone of the plant, for the periods of totals.
    pub timezone: TimeZone,
}

/// The length of plans, and the interval between plans.
pub(super) struct Horizon {
    /// Move blocking over the horizon.
    pub blocks: Blocks,
    /// Number of steps between plans.
    pub replan: usize,
    /// `Some` if the horizon was shortened to the skill horizon of the model.
    pub skill: Option<SkillHorizon>,
}

impl Horizon {
    /// Length of the planning horizon, in steps.
    pub fn steps(&self) -> usize {
        self.blocks.horizon()
    }
}

/// Settings for the simulated futures of a candidate, and for the cost that is computed from these futures.
pub(super) struct Sampling {
    /// Number of futures per plan.
    pub particles: usize,
    /// Whether the errors of the forecasts differ between futures. Otherwise, all futures have the same forecasts.
    pub has_errors: bool,
    /// Plans minimise this quantile of the objective over futures; `None` if they minimise the mean.
    pub risk: Option<f64>,
    /// Number of standard deviations of the cost over ensemble members that are added to the mean cost if the state is
    /// not inside the support.
    pub pessimism: f64,
}

impl<'a> Setup<'a> {
    pub fn new(
        settings: &ResolvedMpc,
        planner: &PlannerSpec,
        dynamics: &'a dyn Dynamics,
        mut objective: Objective,
    ) -> Self {
        let controls = settings.controls.clone();
        let step = TimeSpan::from_ms(dynamics.step_ms());
        let requested = settings.horizon.map_or(1, |h| h.steps(step, 1));
        let skill = SkillHorizon::new(requested, dynamics, &objective);
        let horizon = skill.map_or(requested, |skill| skill.reach);
        let replan = settings.replan.map_or(1, |r| r.steps(step, 1)).min(horizon);
        // Exact planners have one move per step, up to a maximum, even if a plan is followed for
        // many steps.
        let most = match planner {
            PlannerSpec::Dp { .. } => MpcSpec::MOST_EXACT_MOVES.min(horizon),
            PlannerSpec::Milp { .. } if !has_switched_control(settings, dynamics) => {
                MpcSpec::MOST_EXACT_MOVES.min(horizon)
            }
            // Orders and other quantities are rounded, which takes less time than a search.
            PlannerSpec::Milp { .. } if !has_few_values(settings, dynamics) => {
                let most = (MpcSpec::MOST_ROUNDED / controls.len().max(1)).max(1);
                MpcSpec::MOST_EXACT_MOVES.min(most).min(horizon)
            }
            PlannerSpec::Milp { .. } => MpcSpec::MOST_STORE_MOVES.min(horizon),
            PlannerSpec::Qp { .. } if !settings.stores.is_empty() => MpcSpec::MOST_STORE_MOVES.min(horizon),
            _ => MpcSpec::MOST_MOVES.min(horizon.div_ceil(replan)),
        };
        let moves = settings.moves.unwrap_or(most);
        let within_log = settings.within_log();
        // If the horizon is shortened, the limits on totals are reduced in proportion.
        let share = horizon as f64 / requested as f64;
        let totals = settings.totals.iter().filter_map(|t| total_limit(t, &controls, share));
        let mut limits = Limits {
            controls: controls.iter().map(|&c| control_limit(dynamics, c, within_log)).collect(),
            plant: plant_limits(settings, dynamics),
            confidence: settings.confidence,
            totals: totals.collect(),
        };
        let one_future = planner.uses_one_future() && settings.risk.is_none();
        let has_errors = prices_spread(settings, dynamics, &objective);
        let default = if one_future { 1 } else { MpcSpec::PARTICLES };
        let least = if has_errors && matches!(planner, PlannerSpec::Milp { .. }) {
            let [least, most] = MpcSpec::SPREAD_PARTICLES;
            (MpcSpec::SPREAD_VALUES / (moves * controls.len()).max(1)).clamp(least, most)
        } else {
            1
        };
        let particles = settings.particles.unwrap_or(default).max(least);
        // Several futures already contain the errors of the model, and margins for a given `confidence` are computed
        // from simulated futures.
        if particles == 1 {
            let margin = |signal, soft| soft_margin(settings.confidence, dynamics, signal, soft, replan);
            objective.terms.iter_mut().for_each(|(kpi, _)| kpi.narrow_limits(margin));
            let is_soft = |l: &&mut PlantLimit| l.rank > 0 && settings.confidence.is_none();
            for limit in limits.plant.iter_mut().filter(is_soft) {
                limit.bounds = limit.bounds.narrowed(margin(limit.signal, limit.bounds));
            }
        }
        let differentiable = is_differentiable(settings, dynamics);
        let mut setup = Self {
            orders: controls.iter().map(|_| None).collect(),
            controls,
            limits,
            horizon: Horizon { blocks: Blocks::new(horizon, replan, moves), replan, skill },
            residuals: differentiable.then(|| Residuals::new(&objective, horizon, dynamics)),
            // With a positive gain, the disturbance observer would add random deviations of demand
            // to all later demand.
            correction: settings.correction.unwrap_or(if has_errors { 0.0 } else { MpcSpec::CORRECTION }),
            sampling: Sampling { particles, has_errors, risk: settings.risk, pessimism: pessimism(settings, dynamics) },
            // In the window, the newest completed frame has lag 1, and older frames have larger lags.
            depth: (dynamics.depth() + 1).max(objective.depth() + 2),
            budget: Budget { limit_ms: settings.budget.map(|b| b.ms().unsigned_abs()), clock: None },
            stores: settings.stores.clone(),
            cross_fitted: false,
            timezone: TimeZone::UTC,
            objective,
            dynamics,
        };
        setup.plan_levels(&settings.base_stock);
        setup
    }

    /// Number of frames that a planner needs: the larger of the number of frames that a rollout
    /// reads, and two more than the number of steps in the longest minimum on-time, minimum
    /// off-time or period with a limit. Each period is extended by one hour, because a day on which
    /// the clock is set back has 25 hours.
    pub fn history(&self) -> usize {
        let steps = |ms: i64| (ms / self.dynamics.step_ms().max(1)) as usize;
        let longest = self.limits.totals.iter().filter_map(|t| t.period).map(|p| steps(p.ms() + 3_600_000)).max();
        let switching = self.limits.controls.iter().map(|c| c.constraints.switching.memory()).max();
        self.depth.max(longest.max(switching).map_or(0, |steps| steps + 2))
    }

    /// Changes the plans so that they contain the order-up-to level of each order in `settings` instead of the order
    /// itself.
    fn plan_levels(&mut self, settings: &[PlannedStockSettings]) {
        for stock in settings {
            let Some(c) = self.controls.iter().position(|s| *s == stock.order) else { continue };
            self.depth = self.depth.max(stock.position.depth() + 2);
            let ControlLimit { hard, constraints, scale } = &mut self.limits.controls[c];
            self.orders[c] = Some(OrderUpTo::new(stock, &self.dynamics.schema().signals[stock.order]));
            let level = stock.level;
            (*hard, constraints.bounds, *scale) = (level, level, 0.1 * (level.high - level.low));
            (constraints.max_move, constraints.switching) = (MoveLimit::both(f64::INFINITY), Switching::NONE);
        }
    }
}

impl Setup<'_> {
    /// Updates the estimate of the model's bias from the model's error at the last step. The update
    /// is the steady-state Kalman filter for an integrating disturbance (Pannocchia & Rawlings
    /// 2003). The estimated bias does not change until all past steps that the model reads are
    /// known.
    pub fn update_bias(&self, observation: &Observation, row: usize, bias: &mut Vec<f64>) {
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

    /// Initial conditions of a plan for particle `row`. `last` is the last plan, and `bias` is the state of the
    /// disturbance observer.
    pub fn start<'s>(
        &self,
        observation: &Observation<'s>,
        row: usize,
        forecasts: &'s [SignalForecast],
        last: Option<&Plan>,
        bias: &[f64],
        key: Key,
    ) -> PlanStart<'s> {
        let window = observation.window;
        let value = |signal: usize, lag: usize| window.column(signal, lag)[row];
        let previous = self.controls.iter().zip(&self.limits.controls).enumerate().map(|(i, (&c, limit))| {
            if self.orders[i].is_some() {
                // Use the level of the last plan, or the middle of the bounds if there is no last plan.
                let Bounds { low, high } = limit.hard;
                let last = last.map_or(0.5 * (low + high), |p| p.controls[i]);
                let multiple = limit.constraints.multiple;
                return if multiple > 0.0 { (last / multiple).round() * multiple } else { last };
            }
            let known = [value(c, 1), value(c, 0), limit.constraints.bounds.low].into_iter().find(|v| v.is_finite());
            limit.hard.clamp(known.unwrap_or(0.0))
        });
        let is_held_input = |s: &usize| {
            let role = self.dynamics.schema().signals[*s].role;
            matches!(role, Role::Control | Role::Disturbance | Role::Setpoint)
                && !self.controls.contains(s)
                && !forecasts.iter().any(|f| f.signal == *s)
        };
        let held_inputs = (0..self.dynamics.schema().len()).filter(is_held_input).map(|s| (s, value(s, 0))).collect();
        let signals = &self.dynamics.schema().signals;
        let since = self.controls.iter().map(|&c| since(&signals[c], c, window, row)).collect();
        let previous: Vec<f64> = previous.collect();
        let inside_support = self.sampling.pessimism <= 0.0 || self.support(window, row, &previous) == Support::Inside;
        let bias = bias.to_vec();
        // Times after the plan are included, because the period of a total can end after the plan.
        let times = observation.forecast.times(observation.step, self.horizon.steps() + self.history());
        let past_times = observation.forecast.times_before(observation.step, self.history());
        let members = self.dynamics.members();
        // Particle `p` is simulated by member `p mod members`.
        let pool = if self.cross_fitted { held_out_half(members, row % members.max(1)) } else { 0..members };
        PlanStart {
            window,
            row,
            forecasts,
            times,
            past_times,
            held_inputs,
            previous,
            since,
            bias,
            key,
            pool,
            inside_support,
        }
    }

    /// Returns whether the current state and controls are inside the support of the model, at its edge, or outside.
    fn support(&self, from: &Window, row: usize, previous: &[f64]) -> Support {
        let dynamics = self.dynamics;
        let mut window = Window::new(dynamics.schema().len(), self.depth, 1, from.time(), dynamics.step_ms());
        window.broadcast_from(from, row);
        for ((&control, value), order) in self.controls.iter().zip(previous).zip(&self.orders) {
            if order.is_none() {
                window.column_mut(control, 0).fill(*value);
            }
        }
        dynamics.support(&window).first().copied().unwrap_or(Support::Outside)
    }

    /// The futures in which a plan from `start` is optimised.
    pub fn futures(&self, start: &PlanStart) -> Futures {
        let is_noisy = self.dynamics.map().is_none_or(|m| !m.layout.targets.is_empty())
            || start.forecasts.iter().any(|f| !f.errors.is_empty());
        if start.inside_support {
            Futures::planned(if is_noisy { self.sampling.particles } else { 1 }, &start.pool)
        } else {
            Futures::pessimistic(&start.pool, self.sampling.pessimism)
        }
    }
}

/// The weight of pessimism, which is zero for a model with one member. It is also zero for plans that minimise a
/// quantile, because the quantile already accounts for uncertainty.
fn pessimism(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> f64 {
    if settings.risk.is_some() || dynamics.members() < 2 {
        return 0.0;
    }
    settings.pessimism.unwrap_or(MpcSpec::PESSIMISM)
}
