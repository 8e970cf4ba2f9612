//! Controllers and their settings.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ForecastSpec, PlannerSpec, TimeOfDay, TimeSpan, TotalSpec, Weekdays};

/// A controller. Controls that it does not name are replayed from the log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a scenario has a handful")]
pub enum ControllerSpec {
    /// The controls of the log.
    Replay {},
    /// Constant values: control name → value.
    Hold(IndexMap<String, At<f64>>),
    /// Values by time of day and day of the week: control name → entries.
    Schedule(IndexMap<String, Vec<At<ScheduleEntry>>>),
    /// Expressions over signals: control name → expression.
    Rule(IndexMap<String, At<String>>),
    /// PID loops.
    Pid(Vec<At<PidLoop>>),
    /// Order-up-to policies.
    BaseStock(Vec<At<BaseStockLoop>>),
    /// Model-predictive control.
    Mpc(MpcSpec),
}

/// The value of a control from a time of day until the next entry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// Local time, `HH:MM`.
    pub at: At<TimeOfDay>,
    /// Days of the week, like `mon-fri` or `sat,sun` (default: every day).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<At<Weekdays>>,
    pub value: At<f64>,
}

/// A number or the name of a signal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Reference {
    Value(f64),
    Signal(String),
}

/// A PID loop in the ideal form u = bias + kp·(e + ∫e/ti + td·de/dt), e = set-point − measurement, with anti-windup by
/// clamping.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PidLoop {
    pub control: At<String>,
    pub measurement: At<String>,
    pub setpoint: At<Reference>,
    /// Proportional gain in control units per measurement unit; negative if more control lowers the measurement.
    pub kp: At<f64>,
    /// Integral time (default: no integral action).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ti: Option<At<TimeSpan>>,
    /// Derivative time (default: no derivative action).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub td: Option<At<TimeSpan>>,
    /// Control value at zero error (default: the value of the control at the start of the run).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<At<f64>>,
}

/// Order-up-to policy on an inventory position; with `reorder` the (s, S) policy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseStockLoop {
    /// The control that orders.
    pub order: At<String>,
    /// Inventory position: on hand + on order − backlog, as an expression.
    pub position: At<String>,
    /// Order-up-to level S, as an expression, e.g. `"120"`.
    pub level: At<String>,
    /// Reorder point s, as an expression: order only if the position is at or below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<At<String>>,
}

/// Model-predictive control: plans on the twin and minimises the twin's `[objective]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MpcSpec {
    /// In a twin: whether `fit` tunes MPC in closed-loop simulations based on the log (default true). Tuning chooses
    /// the model and its lags, and horizon, replan, moves, correction and cost_to_go if they are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<At<bool>>,
    /// How far a plan looks ahead (default: as tuned, else the model's control horizon).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<At<TimeSpan>>,
    /// Time between plans; in between, the last plan is followed (default: as tuned, else one sample time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan: Option<At<TimeSpan>>,
    /// Plans minimise this quantile of the objective over particles (default: the mean); 0.95 is cautious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<At<f64>>,
    /// While the current state is at the edge of the training data or outside, this many standard deviations of the
    /// objective over ensemble members (at most 3) are added to its mean (default 1; 0: none). Has no effect together
    /// with `risk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pessimism: Option<At<f64>>,
    /// Number of simulated futures per plan (default 4; for planners that use derivatives 1, the expected future).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particles: Option<At<usize>>,
    /// Number of free moves over the horizon; controls are held in between (default: as tuned, else one per replan
    /// interval, at most 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<At<usize>>,
    /// Gain of the disturbance observer, from 0 to 1: how far the estimate of the model's bias follows the last
    /// one-step error. It removes the steady-state offset that a biased twin causes (default: as tuned, else 0.1; 0:
    /// none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<At<f64>>,
    /// Orders for which order-up-to levels are planned: in every future the order is the level minus the position, so
    /// that the plan reacts to demand that is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_stock: Vec<At<PlannedStock>>,
    /// The controls that are planned (default: all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<Vec<At<String>>>,
    /// Whether plans stay within the logged range of each control (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_log: Option<At<bool>>,
    /// One forecast method for all disturbances, instead of those in the twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<At<ForecastSpec>>,
    /// Priorities of soft limits: signal = rank, 1 to 3. Hard limits take precedence over limits of rank 1, these over
    /// limits of rank 2, and all limits over the objective.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub ranks: IndexMap<String, At<u32>>,
    /// Probability with which hard limits and ranked soft limits are satisfied at each step (chance constraint): limits
    /// are tightened according to the spread of simulated futures (default: no tightening).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<At<f64>>,
    /// Terminal prices: prices of KPIs that apply in plans but not in reports, e.g. to value the stock that is left at
    /// the end of the horizon.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub terminal: IndexMap<String, At<f64>>,
    /// Add a terminal cost learned from the log, which allows a shorter horizon (default: as tuned, else false). `fit`
    /// learns it when it tunes MPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_to_go: Option<At<bool>>,
    /// Limits on the sum of a control over the horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<At<TotalSpec>>,
    /// Maximum computing time per plan, after which the best plan found so far is used (default: no limit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<At<TimeSpan>>,
    /// The optimiser. Default: `qp` if the twin is linear and has hard or ranked limits, else `gauss_newton` if the twin
    /// and the controls are differentiable, else `mcts` if every control has few values, else `icem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<PlannerSpec>,
    /// In a twin: the controller that takes over while there is no plan to follow (default: the plant's own controller, if
    /// it reports what it would do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Box<At<ControllerSpec>>>,
    /// In a twin: number of steps at the start during which the plant's own controller is followed while past values
    /// are collected (default: the number of past steps that the model reads). The start lasts at least until the
    /// values of controls with `max_move` or `min_on` are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<At<usize>>,
}

impl MpcSpec {
    /// Default of `pessimism`, measured by benches/plants.py.
    pub const PESSIMISM: f64 = 1.0;
    /// Default of `particles` (guess).
    pub const PARTICLES: usize = 4;
    /// Largest default of `moves` (guess).
    pub const MOST_MOVES: usize = 12;
    /// Default of `correction` (guess).
    pub const CORRECTION: f64 = 0.1;

    /// Whether `fit` tunes absent settings.
    pub fn tunes(&self) -> bool {
        self.tune.as_ref().is_none_or(|t| t.value)
    }
}

/// An order whose order-up-to level is planned.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedStock {
    /// The control that orders.
    pub order: At<String>,
    /// Inventory position: on hand + on order − backlog, as an expression.
    pub position: At<String>,
    /// Lowest and highest level.
    pub level: At<[f64; 2]>,
}
