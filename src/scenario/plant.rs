//! A plant ready to run scenarios: its log, its twin, its KPIs; and one scenario's view of it.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;

use super::results::ModelCard;
use crate::config::{At, Change, Loaded, MpcSpec, TimeSpan, TwinSpec};
use crate::control::mpc::TunedMpc;
use crate::error::{Error, Fault, Result};
use crate::expr::Scope;
use crate::learn::Equations;
use crate::log::Quality;
use crate::schema::Schema;
use crate::trajectory::Trajectory;
use crate::twin::Twin;
use crate::value::{Kpi, Objective, TerminalCost};

/// Steps of the log before a run that lags, forecasts and controllers can look back on: four weeks of ten minutes, two
/// of minutes by the hour, more than any `sum` may reach.
pub const HISTORY: usize = 20_160;

/// Everything about a plant that scenarios share.
pub struct Plant {
    pub spec: Loaded<TwinSpec>,
    pub schema: Arc<Schema>,
    /// Clean measured log, derived signals filled.
    pub log: Trajectory,
    pub quality: Quality,
    pub twin: Twin,
    pub card: ModelCard,
    /// BLAKE3 of `twin.toml`.
    pub config_hash: String,
}

/// A plant under a scenario's parameters.
pub struct Compiled {
    pub scope: Scope,
    pub equations: Equations,
    pub kpis: Vec<Kpi>,
    pub objective: Objective,
}

impl Compiled {
    /// Compiles equations and KPIs with the parameters changed by `changes`.
    pub fn new(spec: &Loaded<TwinSpec>, schema: &Schema, changes: &IndexMap<String, At<Change>>) -> Result<Self> {
        let fault = |span: Range<usize>, code, message: String, help: String| {
            Fault::new(code, &spec.path, &spec.text, Some(span), message, help)
        };
        let scope = Scope::new(&spec.value, schema, changes)
            .map_err(|(m, span)| Error::Config(vec![fault(span, "parameter", m, "see `twinopt check`".into())]))?;
        let mut faults = Vec::new();
        let equations = Equations::compile(&spec.value, schema, &scope).unwrap_or_else(|list| {
            faults.extend(list.into_iter().map(|(span, f)| fault(span, f.code, f.message, f.help)));
            Equations::default()
        });
        let mut kpis = Vec::new();
        for (name, kpi) in &spec.value.kpi {
            match Kpi::compile(name, &kpi.value, &scope, schema) {
                Ok(k) => kpis.push(k),
                Err((span, f)) => faults.push(fault(span, f.code, f.message, f.help)),
            }
        }
        if !faults.is_empty() {
            return Err(Error::Config(faults));
        }
        let prices = spec.value.objective.iter().map(|(name, price)| (name.as_str(), price.value));
        let objective = Objective::of(&kpis, prices).map_err(|name| {
            let span = spec.value.objective.get(&name).map_or(0..0, |p| p.span.clone());
            let help = "name a KPI of the [kpi] table".into();
            Error::Config(vec![fault(span, "unknown-kpi", format!("`{name}` is no KPI"), help)])
        })?;
        Ok(Self { scope, equations, kpis, objective })
    }
}

impl Plant {
    /// Steps of `span` on the plant's grid.
    pub fn steps(&self, span: TimeSpan) -> usize {
        span.steps(self.spec.value.step.value, 1)
    }

    /// How controllers of the running plant plan for `objective`: as the twin says.
    pub fn mpc(&self, objective: &Objective) -> MpcSpec {
        self.tuned(self.spec.value.mpc.as_ref().map(|m| m.value.clone()).unwrap_or_default(), objective)
    }

    /// `spec` with what it leaves open as it was tuned, and the model's control horizon where it was not, or where what is
    /// to come behind the plan was learned for another objective.
    pub fn tuned(&self, spec: MpcSpec, objective: &Objective) -> MpcSpec {
        let setting = self.card.tuned.as_ref().filter(|_| self.spec.value.tunes()).map(|t| &t.setting);
        let own = spec.horizon.is_some();
        let told = self.terminal_cost().is_some_and(|t| t.is_of(objective));
        // these suit that horizon alone
        let suited = setting.filter(|s| !own && (told || !s.cost_to_go));
        let replan = match &spec.replan {
            Some(replan) => self.steps(replan.value),
            None => suited.map_or(1, |s| s.replan),
        };
        let steps = suited.map_or(self.card.horizon, |s| s.horizon).max(replan);
        MpcSpec {
            replan: spec.replan.or_else(|| Some(TimeSpan::of_steps(replan, self.log.step_ms).into())),
            cost_to_go: spec.cost_to_go.or_else(|| suited.map(|s| s.cost_to_go.into())),
            horizon: spec.horizon.or_else(|| Some(TimeSpan::of_steps(steps, self.log.step_ms).into())),
            moves: match spec.moves {
                Some(moves) => Some(if own { moves } else { At { value: moves.value.min(steps), ..moves } }),
                None => suited.map(|s| s.moves.into()),
            },
            correction: spec.correction.or_else(|| setting.map(|s| s.correction.into())),
            ..spec
        }
    }

    /// That plans, as they are tuned, did worse than the log.
    pub fn warning(&self) -> Option<String> {
        self.card.tuned.as_ref().filter(|_| self.spec.value.tunes()).and_then(TunedMpc::warning)
    }

    /// What is to come behind a plan, as the log tells it.
    pub fn terminal_cost(&self) -> Option<&TerminalCost> {
        self.card.tuned.as_ref()?.terminal_cost.as_ref()
    }

    /// The log from some four weeks of steps before grid row `start` to `start + steps`; (history steps, trajectory).
    pub fn slice(&self, start: usize, steps: usize) -> (usize, Trajectory) {
        let past = start.min(HISTORY);
        (past, self.log.part(start - past..start + steps))
    }
}
