//! Controllers and their settings.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ForecastSpec, PlannerSpec, TimeOfDay, TimeSpan, TotalSpec, Weekdays};

/// A controller. Controls that the controller does not set are replayed from the log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a scenario has a handful")]
pub enum ControllerSpec {
    /// Replays the logged controls.
    Replay {},
    /// An imitation of the plant's own controller: a regression of each control on the signals that operators see.
    /// Suitable as the baseline if the scenario changes conditions to which the plant's controller reacts.
    AsLogged(AsLoggedSpec),
    /// Constant control values: control name → value.
    Hold(IndexMap<String, At<f64>>),
    /// Control values by time of day and day of the week: control name → entries.
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

/// Settings of the controller that imitates the plant's own controller.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsLoggedSpec {
    /// Controls that are imitated (default: all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<Vec<At<String>>>,
}

/// The value of a control from a time of day until the time of the next entry.
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
    /// Proportional gain in control units per measurement unit; negative if a higher control lowers the measurement.
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

/// Order-up-to policy for an inventory position. If `reorder` is set, the policy is an (s, S) policy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseStockLoop {
    /// Name of the control that sets the order quantity.
    pub order: At<String>,
    /// Expression for the inventory position: on hand + on order − backlog.
    pub position: At<String>,
    /// Expression for the order-up-to level S, such as `"120"`.
    pub level: At<String>,
    /// Expression for the reorder point s. Orders are placed only while the inventory position is at or below s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<At<String>>,
}

/// Settings of model-predictive control, which plans with the twin as its model and minimises the twin's `[objective]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MpcSpec {
    /// Only in `twin.toml`: whether `fit` tunes MPC in closed-loop simulations based on the log (default true). Tuning
    /// chooses the model, its lags and any of the settings `horizon`, `replan`, `moves`, `correction` and `cost_to_go`
    /// that are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<At<bool>>,
    /// Length of the planning horizon (default: the tuned value, else the model's control horizon, or longer if moves
    /// take effect later).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<At<TimeSpan>>,
    /// Time between two plans, during which the earlier plan is followed (default: the tuned value, else one sample
    /// time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan: Option<At<TimeSpan>>,
    /// Plans minimise this quantile of the objective over all particles, e.g. 0.95 for cautious plans (default: the
    /// mean).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<At<f64>>,
    /// Weight of the model's epistemic uncertainty in plans (default 1; with 0 the uncertainty is ignored). While the
    /// current state is at or beyond the edge of the training data, plans minimise the mean of the objective over up to
    /// three ensemble members, plus this number of standard deviations. `pessimism` has no effect if `risk` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pessimism: Option<At<f64>>,
    /// Number of simulated futures per plan (default 4, or 1 for planners that use derivatives). If `particles` is 1,
    /// only the expected future is simulated. If the objective prices the spread of a stock, plans by `milp` simulate
    /// more futures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particles: Option<At<usize>>,
    /// Number of free moves over the horizon; controls are held constant between moves (default: the tuned value, else
    /// one per replan interval, at most 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<At<usize>>,
    /// Gain of the disturbance observer, from 0 to 1 (default: the tuned value, else 0.1). A gain of 0 disables the
    /// observer. The observer updates its estimate of the model's bias from one-step prediction errors, which removes
    /// the steady-state offset that a biased twin causes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<At<f64>>,
    /// Order quantities for which MPC plans order-up-to levels. In each simulated future, the order is the order-up-to
    /// level minus the inventory position, so that orders respond to the demand in that future. In a scenario,
    /// `base_stock = []` removes the order-up-to levels of the twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_stock: Option<Vec<At<PlannedStock>>>,
    /// Controls that MPC plans (default: all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<Vec<At<String>>>,
    /// Whether plans keep each control within its logged range, from the 1st to the 99th percentile (default true). The
    /// setting does not apply to controls that no learned model reads, because known equations also hold outside the
    /// logged range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_log: Option<At<bool>>,
    /// Whether plans keep each learned state within its logged range, widened by a quarter at both ends (default: the
    /// value of `within_log`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states_within_log: Option<At<bool>>,
    /// Forecast method for all disturbances, which overrides the methods set in the twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<At<ForecastSpec>>,
    /// Priorities of soft limits: signal name → rank, from 1 (highest) to 3. Hard limits take precedence over all soft
    /// limits. Hard limits and ranked soft limits take precedence over the objective. In a scenario, `ranks = {}`
    /// removes the ranks that are set in the twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<IndexMap<String, At<u32>>>,
    /// Probability with which hard limits and ranked soft limits should be satisfied at each step (chance constraint).
    /// Limits are tightened according to the spread of simulated futures. If `confidence` is absent, hard limits are
    /// not tightened. For learned signals, soft limits with a rank, or with a price through an `exceedance` KPI, are
    /// tightened according to the error of the model up to the next plan, so that each limit is satisfied with a
    /// probability of 0.9. With `confidence = 0.5`, no limit is tightened. Plans that simulate several futures need no
    /// margin for priced limits, because the futures already include the model's errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<At<f64>>,
    /// KPI prices that apply in plans but not in reports: KPI name → price. For example, a price in `terminal` can
    /// assign a value to the stock that remains at the end of the horizon. In a scenario, `terminal = {}` removes the
    /// terminal prices of the twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<IndexMap<String, At<f64>>>,
    /// Whether plans include a terminal cost, which allows a shorter horizon (default: the tuned value, else false).
    /// `fit` learns the terminal cost from the log when it tunes MPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_to_go: Option<At<bool>>,
    /// Limits on the sum of a control's values over the horizon or over a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Vec<At<TotalSpec>>>,
    /// Maximum computing time per plan (default: no limit). At the time limit, the best plan found so far is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<At<TimeSpan>>,
    /// The optimiser. The default planner is `dp` if the controls have few combinations of values and the future
    /// depends on at most two states, else `milp` if the plan switches equipment or manages a store and the twin is
    /// piecewise linear, else `qp` if the twin is linear and has hard or ranked limits, else `gauss_newton` if the twin
    /// and the controls are differentiable, else `mcts` if every control has few values, else `icem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<PlannerSpec>,
    /// Only in `twin.toml`: the controller that takes over when no plan is available (default: the plant's own
    /// controller, if the plant reports the values that its controller would apply).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Box<At<ControllerSpec>>>,
    /// Only in `twin.toml`: number of steps at the start of a run during which no plans are made because past values
    /// are still being collected (default: the number of past steps that the model reads). No plan is made before the
    /// values of all controls with `max_move` or `min_on` are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<At<usize>>,
}

impl MpcSpec {
    /// Default of `confidence` for soft limits of learned signals (not tuned).
    pub const CONFIDENCE: f64 = 0.9;
    /// Default of `pessimism`, chosen according to the results of benches/plants.py.
    pub const PESSIMISM: f64 = 1.0;
    /// Default of `particles` (not tuned).
    pub const PARTICLES: usize = 4;
    /// Bounds on the minimum number of futures per plan, which applies if the best plan depends on the spread of a
    /// stock. The minimum is `SPREAD_VALUES` divided by the number of values in a plan (not tuned).
    pub const SPREAD_PARTICLES: [usize; 2] = [8, 256];
    pub const SPREAD_VALUES: usize = 3000;
    /// Largest number of moves that is chosen by default (not tuned).
    pub const MOST_MOVES: usize = 12;
    /// Largest number of moves that is chosen by default for `dp`, and for `milp` if no control has an off state or few
    /// values (not tuned).
    pub const MOST_EXACT_MOVES: usize = 96;
    /// Largest product of the number of moves and the number of controls that is chosen by default for `milp` if
    /// controls are restricted to multiples (not tuned).
    pub const MOST_ROUNDED: usize = 400;
    /// Largest default number of moves for stores that are planned by `qp`, and for `milp` with switched controls,
    /// because each additional move makes the search slower (see docs/plans.md).
    pub const MOST_STORE_MOVES: usize = 24;
    /// Default of `correction` (not tuned); 0 if plans price the spread of a stock.
    pub const CORRECTION: f64 = 0.1;

    /// Whether `fit` tunes the settings that are not given.
    pub fn tunes(&self) -> bool {
        self.tune.as_ref().is_none_or(|t| t.value)
    }
}

/// An order quantity for which MPC plans an order-up-to level.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedStock {
    /// Name of the control that sets the order quantity.
    pub order: At<String>,
    /// Expression for the inventory position: on hand + on order − backlog.
    pub position: At<String>,
    /// Lowest and highest order-up-to level.
    pub level: At<[f64; 2]>,
}
