//! Who moves the controls: simple controllers, and MPC with its planners.

mod base_stock;
pub mod forecast;
mod hold;
mod limit;
pub mod mpc;
mod pid;
pub mod planner;
mod replay;
mod rule;
pub mod schedule;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use base_stock::BaseStock;
pub use forecast::{Forecast, Present};
pub use hold::Hold;
pub use limit::{limited, since};
pub use mpc::{Clock, Mpc, OptimismCheck, SkillHorizon};
pub use pid::Pid;
pub use replay::Replay;
pub use rule::Rule;
pub use schedule::Schedule;

use crate::config::{At, ControllerSpec, SettingFault, TwinSpec};
use crate::error::{Error, Fault, Result, nearest};
use crate::expr::{Program, Scope};
use crate::schema::{Role, Schema};
use crate::trajectory::Window;
use crate::twin::Dynamics;
use crate::units::Unit;
use crate::value::{Kpi, Objective, TerminalCost};

/// What a controller may know at a step: present and past, and forecasts; never the future.
#[derive(Clone, Copy)]
pub struct Observation<'a> {
    /// One row per particle; the current frame holds states, disturbances, set-points and early derived signals;
    /// its controls are the log's own. Outputs and derived signals that need a control or an output are the last
    /// known ones, those of the step before.
    pub window: &'a Window,
    /// Step of the run.
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
    /// Schema columns that it moves; the others are replayed from the log.
    fn signals(&self) -> &[usize];
    /// Frames of past that it reads, the present one included.
    fn depth(&self) -> usize {
        1
    }
    /// Why its plans look less far than they were to.
    fn skill_horizon(&self) -> Option<SkillHorizon> {
        None
    }
    /// What its plans have promised so far; `None` for who does not plan, or was not asked to look at it again.
    fn optimism_check(&self) -> Option<OptimismCheck> {
        None
    }
    /// Writes its controls for the current step; they are brought within their limits afterwards ([`limited`]).
    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()>;
}

/// What a controller is built from.
#[derive(Clone)]
pub struct Context<'a> {
    pub schema: &'a Arc<Schema>,
    pub spec: &'a TwinSpec,
    /// Names of expressions, with the scenario's parameters.
    pub scope: &'a Scope,
    pub dynamics: &'a dyn Dynamics,
    /// What MPC minimises.
    pub objective: &'a Objective,
    /// All that the twin measures, for prices that count in plans only.
    pub kpis: &'a [Kpi],
    /// What is to come behind a plan; `None`: the log does not tell.
    pub terminal_cost: Option<&'a TerminalCost>,
    /// In which schedules tell the time.
    pub timezone: TimeZone,
    /// Of whatever the controller draws.
    pub seed: u64,
    /// By which plans keep their budget; `None`: they take the time that they need.
    pub clock: Option<&'a Clock>,
    /// What some plans promise is looked at again on members of the model that they were not made for.
    pub rescored: bool,
    /// The scenario file and its content, to place faults.
    pub file: &'a Path,
    pub text: &'a str,
}

/// The controller that `spec` describes.
///
/// # Errors
/// [`Error::Config`] with the place of an unknown name, a wrong unit or an unreadable time.
pub fn build<'a>(spec: &ControllerSpec, context: &Context<'a>) -> Result<Box<dyn Controller + 'a>> {
    Ok(match spec {
        ControllerSpec::Replay {} => Box::new(Replay),
        ControllerSpec::Hold(held) => Box::new(Hold::build(held, context)?),
        ControllerSpec::Schedule(controls) => Box::new(Schedule::build(controls, context)?),
        ControllerSpec::Rule(rules) => Box::new(Rule::build(rules, context)?),
        ControllerSpec::Pid(loops) => Box::new(Pid::build(loops, context)?),
        ControllerSpec::BaseStock(loops) => Box::new(BaseStock::build(loops, context)?),
        ControllerSpec::Mpc(spec) => Box::new(Mpc::build(spec, context)?),
    })
}

impl Context<'_> {
    /// Column of the control called `name`, which stands at `span` of the scenario file.
    pub fn control(&self, name: &str, span: &Range<usize>) -> Result<usize> {
        let controls = self.schema.with_role(Role::Control);
        let names = || controls.iter().map(|&s| self.schema.signals[s].name.as_str()).collect();
        match self.schema.find(name).filter(|s| controls.contains(s)) {
            Some(s) => Ok(s),
            None => Err(self.unknown(name, "control", names(), span)),
        }
    }

    /// Column of the signal called `name`.
    pub fn signal(&self, name: &str, span: &Range<usize>) -> Result<usize> {
        self.schema.find(name).ok_or_else(|| self.unknown(name, "signal", self.schema.names().collect(), span))
    }

    /// The expression, in `unit`; a plain number needs none.
    pub fn program(&self, text: &At<String>, unit: &Unit) -> Result<Program> {
        // The expression begins after the opening quote.
        let within = |span: Range<usize>| {
            let start = text.span.start + 1;
            if text.span.is_empty() { 0..0 } else { start + span.start..(start + span.end).min(text.span.end) }
        };
        let program = Program::compile(text, self.scope)
            .map_err(|f| self.fault(f.code, &within(f.span), f.message.clone(), f.help))?;
        if program.reads.is_empty() && program.unit.dimension == Unit::one().dimension {
            return Ok(program);
        }
        program.in_unit(unit).map_err(|message| {
            let help = format!("make the expression's unit that of the control, {}", unit.text);
            self.fault("unit-mismatch", &text.span, message, help)
        })
    }

    /// A fault at `span` of the scenario file.
    pub fn fault(
        &self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        Error::Config(vec![self.placed(code, span, message, help)])
    }

    /// All faults of settings at once.
    ///
    /// # Errors
    /// [`Error::Config`] when there is one.
    pub fn sound(&self, faults: Vec<SettingFault>) -> Result<()> {
        let placed = |f: SettingFault| self.placed(f.code, &f.span, f.message, f.help);
        if faults.is_empty() { Ok(()) } else { Err(Error::Config(faults.into_iter().map(placed).collect())) }
    }

    fn placed(
        &self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Fault {
        let span = (!span.is_empty()).then(|| span.clone());
        Fault::new(code, self.file, self.text, span, message, help)
    }

    fn unknown(&self, name: &str, kind: &str, known: Vec<&str>, span: &Range<usize>) -> Error {
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the {kind}s are: {}", known.join(", ")),
        };
        self.fault("unknown-signal", span, format!("there is no {kind} `{name}`"), help)
    }
}
