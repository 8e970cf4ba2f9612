//! Settings of model-predictive control.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, ControllerSpec, ForecastSpec, PlannerSpec, TimeSpan, TotalSpec};

/// Model-predictive control: replans on the twin, minimises the twin's `[objective]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MpcSpec {
    /// Of a twin: horizon, replan, moves, correction, cost_to_go, and the model with its lags, as far as the file leaves them
    /// open, are chosen by `fit` in closed loops on the log (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<At<bool>>,
    /// How far plans look ahead (default: as tuned, else the model's control horizon).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<At<TimeSpan>>,
    /// Time between plans; the plan is followed in between (default: as tuned, else one sample time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan: Option<At<TimeSpan>>,
    /// The plan minimises this quantile of the objective over particles (default: the mean; 0.95 is cautious).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<At<f64>>,
    /// Where the present is at the edge of what the model has seen, or outside: standard deviations of the objective over
    /// (at most 3) members of the model that are added to its mean (default 1; 0: none). Plans with a `risk` are cautious
    /// by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pessimism: Option<At<f64>>,
    /// Futures in each plan (default 4; 1, the expected one, for planners that follow slopes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particles: Option<At<usize>>,
    /// Free moves over the horizon, held in between (default: as tuned, else one per replan interval, at most 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<At<usize>>,
    /// Share of the model's last error of one step that is taken to last over the horizon, filtered from step to step:
    /// what makes a biased twin reach its set-point (default: as tuned, else 0.1; 0: none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<At<f64>>,
    /// Orders that the plan moves through order-up-to levels: in every future the order is what the position lacks, so that
    /// the plan can react to what it does not know yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_stock: Vec<At<PlannedStock>>,
    /// The controls that it moves (default: all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<Vec<At<String>>>,
    /// The plan stays within what the log has seen of each control (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_log: Option<At<bool>>,
    /// One forecast for all disturbances in place of the twin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<At<ForecastSpec>>,
    /// Soft limits that plans keep, in the order of these ranks: signal = rank, 1 to 3. A limit of rank 1 is kept before
    /// those of rank 2, and all of them before money; hard limits stand above all.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub ranks: IndexMap<String, At<u32>>,
    /// Probability with which hard limits, and soft ones with a rank, hold at each step in the twin's own futures: plans
    /// keep away from a limit by how far these spread (default: the futures of the plan alone count).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<At<f64>>,
    /// Prices of KPIs that count in plans only, in no report: what stays behind where a plan ends and the plant does not,
    /// like the worth of stock.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub terminal: IndexMap<String, At<f64>>,
    /// Plans count, too, what the objective of the next control horizon behind them is to be, as the log has it from such
    /// states: what lets plans look less far (default: as tuned, else false). `fit` learns it where it tunes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_to_go: Option<At<bool>>,
    /// Limits of what controls take over the horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<At<TotalSpec>>,
    /// Time for one plan; the best one found by then is followed (default: as long as it takes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<At<TimeSpan>>,
    /// Default: `qp` where the twin is linear and has hard limits or ranks to keep, else `gauss_newton` where the twin and the controls have
    /// slopes, `mcts` where every control has few values, else `icem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<PlannerSpec>,
    /// Of a live loop: who moves the controls when there is no plan to follow (default: the plant's own controller, where
    /// it tells what it would do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Box<At<ControllerSpec>>>,
    /// Of a live loop: steps at the start for which the plant's own controller is followed, since the past is not known
    /// yet (default: as many as the model looks back on before the present one).
    /// It lasts, too, until controls that may move or switch only so far are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<At<usize>>,
}

/// An order that follows from a level.
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

impl MpcSpec {
    /// All settings but the horizon as they are by default.
    pub fn over(horizon: TimeSpan) -> Self {
        Self { horizon: Some(horizon.into()), ..Self::default() }
    }

    /// Whether what is left open is chosen in closed loops on the log.
    pub fn tunes(&self) -> bool {
        self.tune.as_ref().is_none_or(|t| t.value)
    }

    /// Whether plans stay within what the log has seen of each control.
    pub fn within_log(&self) -> bool {
        self.within_log.as_ref().is_none_or(|w| w.value)
    }
}
