//! Scenario files.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, TimeSpan, TotalSpec};

/// One what-if: a small named difference on a twin, and the cases to compare.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// The question that the scenario answers, in the words of the person who asks it.
    pub question: At<String>,
    /// Folder name of the twin under `data`.
    pub twin: At<String>,
    /// UTC start, on the log's time line.
    #[serde(with = "toml_time")]
    #[schemars(schema_with = "toml_time::schema")]
    pub start: At<Timestamp>,
    pub length: At<TimeSpan>,
    /// How many days of the year look like this; the scenarios of a folder sum to 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_per_year: Option<At<f64>>,
    /// Futures per case, the same ones for every case (default 20).
    #[serde(default = "particles")]
    pub particles: At<usize>,
    #[serde(default = "one")]
    pub seed: At<u64>,
    /// Changes of disturbances; what is not named is replayed from the log.
    #[serde(default)]
    pub disturbance: IndexMap<String, At<Change>>,
    /// Changes of the twin's parameters.
    #[serde(default)]
    pub parameter: IndexMap<String, At<Change>>,
    /// The cases; `baseline` is required and everything is compared with it.
    pub case: IndexMap<String, At<CaseSpec>>,
}

fn particles() -> At<usize> {
    20.into()
}

fn one() -> At<u64> {
    1.into()
}

/// A change of a signal or parameter: `scale` first, then `add`; or `set` to a constant.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<At<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<At<f64>>,
    /// Of a disturbance: only between these times of the day, `["17:00", "21:00"]`, in the twin's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<At<[String; 2]>>,
}

impl Change {
    pub fn apply(&self, v: f64) -> f64 {
        match &self.set {
            Some(set) => set.value,
            None => v * self.scale.as_ref().map_or(1.0, |s| s.value) + self.add.as_ref().map_or(0.0, |a| a.value),
        }
    }
}

/// One way to run the plant, and what it costs to have it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    pub controller: At<ControllerSpec>,
    /// Money to spend once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capex: Option<At<f64>>,
    /// Money to spend every year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opex_per_year: Option<At<f64>>,
}

/// Who moves the controls. Controls that a controller does not name are replayed from the log.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a scenario has a handful")]
pub enum ControllerSpec {
    /// The log's own controls.
    Replay {},
    /// Constant values: control name → value.
    Hold(IndexMap<String, At<f64>>),
    /// Values by time of day and week: control name → entries.
    Schedule(IndexMap<String, Vec<At<ScheduleEntry>>>),
    /// Expressions over signals: control name → expression.
    Rule(IndexMap<String, At<String>>),
    Pid(Vec<At<PidLoop>>),
    BaseStock(Vec<At<BaseStockLoop>>),
    Mpc(MpcSpec),
}

/// From `at` (local time) on the given days, the control has `value`, until the next entry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// `HH:MM`.
    pub at: At<String>,
    /// `mon` … `sun`, or ranges like `mon-fri`; default every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<At<String>>,
    pub value: At<f64>,
}

/// A number or the name of a signal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Reference {
    Value(f64),
    Signal(String),
}

/// One PID loop in the ideal form u = bias + kp·(e + ∫e/ti + td·de/dt), e = set-point − measurement,
/// with clamping anti-windup.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PidLoop {
    pub control: At<String>,
    pub measurement: At<String>,
    pub setpoint: At<Reference>,
    /// Control units per measurement unit; negative for reverse action.
    pub kp: At<f64>,
    /// Integral time; absent: no integral action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ti: Option<At<TimeSpan>>,
    /// Derivative time; absent: no derivative action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub td: Option<At<TimeSpan>>,
    /// Control value at zero error (default: the control's value when the run starts).
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
    /// Order-up-to level S, as an expression (a number is one).
    pub level: At<String>,
    /// Order only when the position is at or below this, as an expression (s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<At<String>>,
}

/// Model-predictive control: replans on the twin, minimises the twin's `[objective]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MpcSpec {
    pub horizon: At<TimeSpan>,
    /// Time between plans; the plan is followed in between (default: one sample time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan: Option<At<TimeSpan>>,
    /// The plan minimises this quantile of the objective over particles (default: the mean; 0.95 is cautious).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<At<f64>>,
    /// Where the present is at the edge of what the model has seen, or outside: standard deviations of the objective over
    /// (at most 8) members of the model that are added to its mean (default 1; 0: none). Plans with a `risk` are cautious
    /// by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pessimism: Option<At<f64>>,
    /// Futures in each plan (default 4; 1, the expected one, for planners that follow slopes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub particles: Option<At<usize>>,
    /// Free moves over the horizon, held in between (default: one per replan interval, at most 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<At<usize>>,
    /// Share of the model's last error of one step that is taken to last over the horizon, filtered from step to step:
    /// what makes a biased twin reach its set-point (default 0.1; 0: none).
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
    pub forecast: Option<At<super::ForecastSpec>>,
    /// Limits of what controls take over the horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<At<TotalSpec>>,
    /// Time for one plan; the best one found by then is followed (default: as long as it takes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<At<TimeSpan>>,
    /// Default: `gauss_newton` where the twin and the controls have slopes, `mcts` where every control has few values,
    /// else `icem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<PlannerSpec>,
    /// Of a live loop: who moves the controls when there is no plan to follow (default: the plant's own controller, where
    /// it tells what it would do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Box<At<ControllerSpec>>>,
    /// Of a live loop: steps at the start for which the plant's own controller is followed, since the past is not known
    /// yet (default: as many as the model looks back on before the present one).
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
        Self {
            correction: None,
            base_stock: Vec::new(),
            budget: None,
            totals: Vec::new(),
            horizon: horizon.into(),
            replan: None,
            risk: None,
            pessimism: None,
            particles: None,
            moves: None,
            controls: None,
            within_log: None,
            forecast: None,
            planner: None,
            safe: None,
            settle: None,
        }
    }

    /// Whether plans stay within what the log has seen of each control.
    pub fn within_log(&self) -> bool {
        self.within_log.as_ref().is_none_or(|w| w.value)
    }
}

/// The optimiser inside MPC.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlannerSpec {
    /// Cross-entropy method with truncated normals (Chua et al. 2018).
    #[serde(rename_all = "snake_case")]
    Cem {
        /// Candidates per iteration.
        #[serde(default = "d_population")]
        population: At<usize>,
        /// Share of candidates that shape the next iteration.
        #[serde(default = "d_elites")]
        elites: At<f64>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        /// Weight of the last mean and variance.
        #[serde(default = "d_smoothing")]
        smoothing: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Bounded Gauss-Newton on the slopes of the whole rollout, with several dampings tried at once.
    #[serde(rename_all = "snake_case")]
    GaussNewton {
        /// Steps of the best start.
        #[serde(default = "d_steps")]
        iterations: At<usize>,
        /// Starts that take a first step; the best of them goes on.
        #[serde(default = "d_starts")]
        starts: At<usize>,
    },
    /// CEM with coloured noise, kept elites and a shrinking population (Pinneri et al. 2020).
    #[serde(rename_all = "snake_case")]
    Icem {
        #[serde(default = "d_population")]
        population: At<usize>,
        #[serde(default = "d_elites")]
        elites: At<f64>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        #[serde(default = "d_smoothing")]
        smoothing: At<f64>,
        /// Power spectral density of the noise ∝ 1/f^β; 0 white, 2–4 for slow plants.
        #[serde(default = "d_beta")]
        beta: At<f64>,
        /// The population shrinks by this factor each iteration.
        #[serde(default = "d_decay")]
        decay: At<f64>,
        /// Share of elites kept between iterations and between plans.
        #[serde(default = "d_keep")]
        keep: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Averages weighted by exp(−cost/λ), with smoothed noise (Williams et al. 2017).
    #[serde(rename_all = "snake_case")]
    Mppi {
        /// Candidates per iteration.
        #[serde(default = "d_population")]
        population: At<usize>,
        #[serde(default = "d_iterations")]
        iterations: At<usize>,
        /// λ, in spreads of the costs (median − least).
        #[serde(default = "d_temperature")]
        temperature: At<f64>,
        /// Share of new noise in each move; 1 is white.
        #[serde(default = "d_new_noise")]
        smoothing: At<f64>,
        /// The noise shrinks by this factor each iteration.
        #[serde(default = "d_shrink")]
        decay: At<f64>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Sequences drawn evenly between the bounds; the cheapest one wins.
    #[serde(rename_all = "snake_case")]
    RandomShooting {
        /// Sequences priced.
        #[serde(default = "d_sequences")]
        population: At<usize>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
    /// Projected L-BFGS on the slopes of the cost, for objectives that are no sum of squares.
    #[serde(rename_all = "snake_case")]
    Gradient {
        #[serde(default = "d_descents")]
        iterations: At<usize>,
        /// Past steps that shape the next one.
        #[serde(default = "d_memory")]
        memory: At<usize>,
    },
    /// Linearises, solves the constrained quadratic program, repeats; exact for linear twins with quadratic costs.
    #[serde(rename_all = "snake_case")]
    Qp {
        #[serde(default = "d_steps")]
        iterations: At<usize>,
    },
    /// Tree search over moves on a grid, for discrete or staged equipment.
    #[serde(rename_all = "snake_case")]
    Mcts {
        /// Sequences priced.
        #[serde(default = "d_sequences")]
        population: At<usize>,
        /// Values of a control without multiples, from bound to bound.
        #[serde(default = "d_levels")]
        levels: At<usize>,
        /// A few steps of `gradient` from the best sequence.
        #[serde(default = "d_polish")]
        polish: At<bool>,
    },
}

impl PlannerSpec {
    pub fn gauss_newton() -> Self {
        Self::GaussNewton { iterations: d_steps(), starts: d_starts() }
    }

    pub fn mcts() -> Self {
        Self::Mcts { population: d_sequences(), levels: d_levels(), polish: d_polish() }
    }

    /// Whether it goes down the slopes of one cost, which several futures make no better known.
    pub fn follows_slopes(&self) -> bool {
        matches!(self, Self::GaussNewton { .. } | Self::Gradient { .. } | Self::Qp { .. })
    }
}

impl Default for PlannerSpec {
    fn default() -> Self {
        Self::Icem {
            population: d_population(),
            elites: d_elites(),
            iterations: d_iterations(),
            smoothing: d_smoothing(),
            beta: d_beta(),
            decay: d_decay(),
            keep: d_keep(),
            polish: d_polish(),
        }
    }
}

fn d_population() -> At<usize> {
    64.into()
}
fn d_sequences() -> At<usize> {
    256.into()
}
fn d_descents() -> At<usize> {
    8.into()
}
fn d_memory() -> At<usize> {
    6.into()
}
fn d_levels() -> At<usize> {
    5.into()
}
fn d_temperature() -> At<f64> {
    0.1.into()
}
fn d_new_noise() -> At<f64> {
    0.6.into()
}
fn d_shrink() -> At<f64> {
    0.8.into()
}
fn d_polish() -> At<bool> {
    false.into()
}
fn d_steps() -> At<usize> {
    5.into()
}
fn d_starts() -> At<usize> {
    2.into()
}
fn d_elites() -> At<f64> {
    0.1.into()
}
fn d_iterations() -> At<usize> {
    4.into()
}
fn d_smoothing() -> At<f64> {
    0.1.into()
}
fn d_beta() -> At<f64> {
    2.5.into()
}
fn d_decay() -> At<f64> {
    1.25.into()
}
fn d_keep() -> At<f64> {
    0.3.into()
}

/// TOML's own date-time (`2024-07-15T00:00:00Z`) to and from a UTC time stamp.
mod toml_time {
    use jiff::Timestamp;
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::spec::At;

    pub fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<At<Timestamp>, D::Error> {
        let at = At::<toml::value::Datetime>::deserialize(d)?;
        let value = at.value.to_string().parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "`{}` is no UTC time; write date, time and zone, like 2024-07-15T00:00:00Z",
                at.value
            ))
        })?;
        Ok(At { value, span: at.span })
    }

    pub fn serialize<S: Serializer>(at: &At<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&at.value)
    }
}
