//! Advice: the next values of the controls, and the evidence for them.

use serde::Serialize;

use super::change::KpiChange;
use super::reason::ControlAdvice;
use super::undo::Undo;
use crate::twin::Support;

/// The next values of the controls, and the evidence for them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    pub plant: String,
    /// Version of the model.
    pub version: String,
    /// Start of the step that the newest measured row of the log describes, in UTC.
    pub log_end: String,
    /// Start of the advised step, in UTC.
    pub from: String,
    /// Horizon of the plan.
    pub horizon: String,
    /// The reason not to follow the plan; `null` if its moves are advised.
    pub leave: Option<String>,
    /// The controls with which the plan is compared.
    pub compared_with: String,
    pub controls: Vec<ControlAdvice>,
    pub support: Support,
    /// Fraction of simulated futures in which the plan has a lower objective than the controls in `compared_with`.
    pub confidence: f64,
    /// Mean change of the objective over the horizon if the plan is followed.
    pub objective_change: f64,
    /// 90 % interval of the change of the objective over simulated futures.
    pub objective_interval: [f64; 2],
    /// KPI changes over the horizon due to the plan, sorted by their effect on the objective, largest first.
    pub kpis: Vec<KpiChange>,
    /// Bounds for each state at the time when most of the plan's effect on that state is visible. The move should be
    /// undone if a state is outside its bounds.
    pub undo: Vec<Undo>,
    /// Reasons to distrust the advice.
    pub warnings: Vec<String>,
}
