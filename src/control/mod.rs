//! Controllers: simple policies, and MPC with its planners.

mod as_logged;
mod autoregression;
mod base_stock;
pub mod forecast;
mod forecast_score;
mod gated;
mod hold;
mod limit;
pub mod mpc;
mod pid;
pub mod planner;
mod replay;
mod rule;
mod schedule;
mod settings;
mod supported;
pub mod target;

use std::sync::Arc;

use jiff::tz::TimeZone;

pub use as_logged::{AsLogged, Imitate, ImitationUse};
pub use base_stock::{BaseStock, BaseStockSettings};
pub use forecast::{Forecast, Present};
pub use forecast_score::worse_forecasts;
pub use gated::{GateUse, GatedMpc};
pub use hold::Hold;
pub use hold::HoldSettings;
pub use limit::{allowed_below, covering_order, limited, since};
pub use mpc::{Clock, Mpc, PlanGap, SkillHorizon};
pub use pid::Pid;
pub use replay::Replay;
pub use rule::Rule;
pub use schedule::Schedule;
pub use settings::{ControllerSettings, LiveSettings};
pub use supported::{states_known, supported};

use crate::error::Result;
use crate::schema::Schema;
use crate::trajectory::Window;
use crate::twin::Dynamics;
use crate::value::{Kpi, Objective, TerminalCost};

/// The information available to a controller at one step: present and past values, and forecasts.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// The window has one row per particle. The current frame contains states, disturbances,
    /// set-points and the derived signals that depend only on these. The controls in the current
    /// frame are the logged controls. Outputs, and derived signals that depend on controls or
    /// outputs, still contain the values of the previous step.
    pub window: &'a Window,
    pub step: usize,
    pub forecast: &'a Forecast,
}

/// The controls of one step.
#[derive(Debug, Clone)]
pub struct Control {
    /// Column indices, in the schema, of the controls that the controller sets.
    pub signals: Vec<usize>,
    /// `[signals][rows]`.
    pub values: Vec<Vec<f64>>,
}

impl Control {
    pub fn new(signals: Vec<usize>, rows: usize) -> Self {
        let values = vec![vec![0.0; rows]; signals.len()];
        Self { signals, values }
    }
}

/// A control policy for the closed loop. A single controller controls all particles of a case.
pub trait Controller: Send {
    /// Column indices, in the schema, of the controls that the controller sets. All other controls are replayed from
    /// the log.
    fn signals(&self) -> &[usize];
    /// Number of frames that the controller reads, including the current frame.
    fn depth(&self) -> usize {
        1
    }
    /// The skill horizon, if it shortens the controller's plans; `None` otherwise.
    fn skill_horizon(&self) -> Option<SkillHorizon> {
        None
    }
    /// The optimality gaps of all plans made so far; `None` if the controller makes no plans.
    fn plan_gap(&self) -> Option<PlanGap> {
        None
    }
    /// The value of one unit in each store at the end of a plan, averaged over all plans made so
    /// far, as pairs (column, value).
    fn end_values(&self) -> Vec<(usize, f64)> {
        Vec::new()
    }
    /// The number of planned moves that were reduced or replaced; `None` if the controller does not
    /// check its moves.
    fn gate_use(&self) -> Option<GateUse> {
        None
    }
    /// Writes the controls of the current step to `control`. The caller then clamps the controls to their limits
    /// ([`limited`]).
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()>;
}

/// Inputs for building a controller, in addition to its settings.
#[derive(Clone)]
pub struct Context<'a> {
    pub schema: &'a Arc<Schema>,
    pub dynamics: &'a dyn Dynamics,
    /// The objective that MPC minimises.
    pub objective: &'a Objective,
    /// All KPIs of the twin, to which the prices in `terminal` refer.
    pub kpis: &'a [Kpi],
    /// Terminal cost learned from the log; `None` if no terminal cost was learned.
    pub terminal_cost: Option<&'a TerminalCost>,
    pub timezone: TimeZone,
    /// Seed of the planner's random numbers.
    pub seed: u64,
    /// Clock for the time budget of plans. If the clock is `None`, plans have no time limit.
    pub clock: Option<&'a Clock>,
    /// Whether members of the ensemble simulate the plant. If `true`, plans with several futures
    /// use only the half of the ensemble that does not simulate the plant.
    pub cross_fitted: bool,
}

/// Builds a controller from its settings.
///
/// # Errors
/// Returns the errors of [`Mpc::build`] and [`AsLogged::new`].
pub fn build<'a>(settings: &ControllerSettings, context: &Context<'a>) -> Result<Box<dyn Controller + 'a>> {
    Ok(match settings {
        ControllerSettings::Replay => Box::new(Replay),
        ControllerSettings::AsLogged(settings) => Box::new(AsLogged::new(settings)?),
        ControllerSettings::Hold(settings) => Box::new(Hold::new(settings)),
        ControllerSettings::Schedule(settings) => Box::new(Schedule::new(settings, &context.timezone)),
        ControllerSettings::Rule(settings) => Box::new(Rule::new(settings)),
        ControllerSettings::Pid(loops) => Box::new(Pid::new(loops, context.schema)),
        ControllerSettings::BaseStock(loops) => Box::new(BaseStock::new(loops)),
        ControllerSettings::Mpc(settings) => Box::new(Mpc::build(settings, context)?),
    })
}
