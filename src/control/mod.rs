//! Controllers: simple ones, and MPC with its planners.

mod base_stock;
pub mod forecast;
mod hold;
mod limit;
pub mod mpc;
mod pid;
pub mod planner;
mod replay;
mod rule;
mod schedule;
mod settings;

use std::sync::Arc;

use jiff::tz::TimeZone;

pub use base_stock::BaseStock;
pub use forecast::Forecast;
#[cfg(test)]
pub use forecast::Present;
pub use hold::Hold;
pub use hold::HoldSettings;
pub use limit::{limited, since};
pub use mpc::{Clock, Mpc, OptimismCheck, SkillHorizon};
pub use pid::Pid;
pub use replay::Replay;
pub use rule::Rule;
pub use schedule::Schedule;
pub use settings::{ControllerSettings, LiveSettings};

use crate::error::Result;
use crate::schema::Schema;
use crate::trajectory::Window;
use crate::twin::Dynamics;
use crate::value::{Kpi, Objective, TerminalCost};

/// What a controller knows at a step: the present, the past and forecasts, but not the future.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// One row per particle. The current frame contains states, disturbances, set-points and the derived signals that depend
    /// on them; its controls are those of the log. Outputs and derived signals that depend on controls or outputs have the
    /// values of the step before.
    pub window: &'a Window,
    pub step: usize,
    pub forecast: &'a Forecast,
}

/// The controls of one step.
#[derive(Debug, Clone)]
pub struct Control {
    /// Schema columns that the controller moves.
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

/// A policy in the closed loop; one instance runs all particles of a case.
pub trait Controller: Send {
    /// Schema columns that the controller moves. The other controls are replayed from the log.
    fn signals(&self) -> &[usize];
    /// Number of frames that the controller reads, including the present one.
    fn depth(&self) -> usize {
        1
    }
    /// The skill horizon, if its plans are shorter than requested.
    fn skill_horizon(&self) -> Option<SkillHorizon> {
        None
    }
    /// Predicted against re-scored costs of its plans so far; `None` if the controller does not plan or does not
    /// re-score.
    fn optimism_check(&self) -> Option<OptimismCheck> {
        None
    }
    /// Writes its controls for the current step. They are clamped to their limits afterwards ([`limited`]).
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()>;
}

/// The plant for which a controller is built, and the resources for its computations.
#[derive(Clone)]
pub struct Context<'a> {
    pub schema: &'a Arc<Schema>,
    pub dynamics: &'a dyn Dynamics,
    /// What MPC minimises.
    pub objective: &'a Objective,
    /// All KPIs of the twin, for terminal prices.
    pub kpis: &'a [Kpi],
    /// `None` if none was learned.
    pub terminal_cost: Option<&'a TerminalCost>,
    pub timezone: TimeZone,
    /// Seed of the planner's random numbers.
    pub seed: u64,
    /// Clock for the time budget of plans; `None`: no budget.
    pub clock: Option<&'a Clock>,
    /// Whether some plans are re-scored on members of the model that they were not optimised on ([`OptimismCheck`]).
    pub rescored: bool,
}

/// The controller with `settings`.
///
/// # Errors
/// As [`Mpc::build`].
pub fn build<'a>(settings: &ControllerSettings, context: &Context<'a>) -> Result<Box<dyn Controller + 'a>> {
    Ok(match settings {
        ControllerSettings::Replay => Box::new(Replay),
        ControllerSettings::Hold(settings) => Box::new(Hold::new(settings)),
        ControllerSettings::Schedule(settings) => Box::new(Schedule::new(settings, &context.timezone)),
        ControllerSettings::Rule(settings) => Box::new(Rule::new(settings)),
        ControllerSettings::Pid(loops) => Box::new(Pid::new(loops, context.schema)),
        ControllerSettings::BaseStock(loops) => Box::new(BaseStock::new(loops)),
        ControllerSettings::Mpc(settings) => Box::new(Mpc::build(settings, context)?),
    })
}
