//! Advice: the next set-points, and the evidence for them.

use serde::Serialize;

use super::change::KpiChange;
use super::reason::ControlAdvice;
use super::undo::Undo;
use crate::twin::Support;

/// The next set-points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    pub plant: String,
    /// Version of the model.
    pub version: String,
    /// Start of the newest row's step, and start of the advised step; UTC.
    pub log_end: String,
    pub from: String,
    /// Horizon of the plan.
    pub horizon: String,
    pub controls: Vec<ControlAdvice>,
    pub support: Support,
    /// Share of simulated futures in which the plan is better than unchanged controls.
    pub confidence: f64,
    /// Mean change of the objective over the horizon, compared with unchanged controls.
    pub objective_change: f64,
    /// Changes over the horizon, the one with the largest price first.
    pub kpis: Vec<KpiChange>,
    /// The move should be undone if a state lies outside these bounds one step later.
    pub undo: Vec<Undo>,
    /// Reasons to distrust the advice.
    pub warnings: Vec<String>,
}
