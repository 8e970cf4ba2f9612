//! Settings of controllers, resolved from the twin and scenario files.

use super::as_logged::AsLoggedSettings;
use super::base_stock::BaseStockSettings;
use super::hold::HoldSettings;
use super::mpc::{ResolvedMpc, require_control, require_objective};
use super::pid::PidSettings;
use super::rule::RuleSettings;
use super::schedule::ScheduleSettings;
use crate::config::{At, ControllerSpec, Loaded, ScenarioSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::resolve::{Faults, Names, all};
use crate::schema::Role;

/// Resolved settings of a controller: signal names are replaced by columns, and expressions by programs.
#[derive(Debug, Clone)]
pub enum ControllerSettings {
    Replay,
    AsLogged(AsLoggedSettings),
    Hold(HoldSettings),
    Schedule(ScheduleSettings),
    Rule(RuleSettings),
    Pid(Vec<PidSettings>),
    BaseStock(Vec<BaseStockSettings>),
    Mpc(Box<ResolvedMpc>),
}

impl ControllerSettings {
    /// Resolves the controller of every case of a scenario, in the order of the file. `names`
    /// contains the names defined in the scenario's twin, with the parameter values of the
    /// scenario.
    ///
    /// # Errors
    /// Returns [`Error::Config`] with the faults in the settings of all controllers.
    pub fn from_scenario(file: &Loaded<ScenarioSpec>, names: &Names<'_>) -> Result<Vec<Self>> {
        let mut faults = Faults::new(file);
        let cases = file.value.case.iter();
        let settings =
            all(cases
                .map(|(name, case)| Self::resolve(&mut faults, names, &format!("case `{name}`"), &case.controller)));
        faults.into_result()?;
        settings.ok_or_else(unresolved)
    }

    /// Resolves the settings of the controller that `at` specifies. `owner` is the name of the controller in messages,
    /// for example "case `warmer`". Returns `None` if the settings have a fault.
    pub fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, at: &At<ControllerSpec>) -> Option<Self> {
        let (kind, empty) = match &at.value {
            ControllerSpec::Hold(values) => ("hold", values.is_empty()),
            ControllerSpec::Schedule(values) => ("schedule", values.is_empty()),
            ControllerSpec::Rule(rules) => ("rule", rules.is_empty()),
            ControllerSpec::Pid(loops) => ("pid", loops.is_empty()),
            ControllerSpec::BaseStock(loops) => ("base_stock", loops.is_empty()),
            ControllerSpec::AsLogged(spec) => ("as_logged", spec.controls.as_ref().is_some_and(Vec::is_empty)),
            ControllerSpec::Replay {} | ControllerSpec::Mpc(_) => ("", false),
        };
        if empty && !faults.any_damage() {
            let message = format!("{owner}: `{kind}` does not list any control");
            faults.add("missing-value", &at.span, message, "list the controls that this controller sets");
        }
        match &at.value {
            ControllerSpec::Replay {} => Some(Self::Replay),
            ControllerSpec::AsLogged(spec) => AsLoggedSettings::resolve(faults, names, spec).map(Self::AsLogged),
            ControllerSpec::Hold(values) => HoldSettings::resolve(faults, names, owner, values).map(Self::Hold),
            ControllerSpec::Schedule(controls) => {
                ScheduleSettings::resolve(faults, names, owner, controls, &at.span).map(Self::Schedule)
            }
            ControllerSpec::Rule(rules) => RuleSettings::resolve(faults, names, owner, rules).map(Self::Rule),
            ControllerSpec::Pid(loops) => {
                faults.require_distinct(loops.iter().map(|l| &l.control), "loops");
                all(loops.iter().map(|l| PidSettings::resolve(faults, names, owner, l))).map(Self::Pid)
            }
            ControllerSpec::BaseStock(loops) => {
                faults.require_distinct(loops.iter().map(|l| &l.order), "loops");
                all(loops.iter().map(|l| BaseStockSettings::resolve(faults, names, owner, l))).map(Self::BaseStock)
            }
            ControllerSpec::Mpc(spec) => {
                for (key, span) in
                    [("safe", spec.safe.as_ref().map(|s| &s.span)), ("settle", spec.settle.as_ref().map(|s| &s.span))]
                {
                    if let Some(span) = span {
                        let message = format!("{owner}: `{key}` belongs in `[mpc]` of the twin, not in a scenario");
                        faults.add("wrong-place", span, message, "move this key to `[mpc]` in the twin");
                    }
                }
                let mpc = ResolvedMpc::resolve(faults, names, owner, spec, &at.span)?;
                Some(Self::Mpc(Box::new(mpc.inherit(faults, owner, spec, names))))
            }
        }
    }
}

/// Largest value of `settle`, the number of steps for which the plant's own controller is followed (not tuned).
const MOST_SETTLE_STEPS: usize = 100_000;

/// Resolved settings of the commands `control` and `advise`.
#[derive(Debug, Clone, Default)]
pub struct LiveSettings {
    pub mpc: ResolvedMpc,
    /// The controller that is used while there is no plan.
    pub safe: Option<ControllerSettings>,
}

impl LiveSettings {
    /// Resolves the table `[mpc]` of the twin.
    ///
    /// # Errors
    /// Returns [`Error::Config`] with all faults in the table.
    pub fn from_twin(file: &Loaded<TwinSpec>) -> Result<Self> {
        let mut faults = Faults::new(file);
        let names = Names::new(file);
        let settings = Self::resolve(&mut faults, &names);
        if names.spec().mpc.is_none() {
            require_control(&mut faults, &names, "the defaults of [mpc]", &(0..0));
            require_objective(&mut faults, &names, "the defaults of [mpc]", &(0..0));
        }
        faults.into_result()?;
        settings.ok_or_else(unresolved)
    }

    /// Resolves the table `[mpc]` of the twin, or returns the defaults if the twin has no table
    /// `[mpc]`. Returns `None` if the table has a fault.
    pub fn resolve(faults: &mut Faults<'_>, names: &Names<'_>) -> Option<Self> {
        let Some(spec) = &names.spec().mpc else {
            let controls = names.with_role(&[Role::Control]);
            let controls = controls.into_iter().filter_map(|name| names.column(name)).collect();
            return Some(Self { mpc: ResolvedMpc { controls, ..ResolvedMpc::default() }, safe: None });
        };
        let mpc = ResolvedMpc::resolve(faults, names, "[mpc]", spec, &spec.span);
        let safe = match spec.safe.as_deref() {
            None => None,
            Some(At {
                value: ControllerSpec::Mpc(_) | ControllerSpec::Replay {} | ControllerSpec::AsLogged(_),
                span,
            }) => {
                let message = "[mpc]: `safe` must not be `mpc`, `replay` or `as_logged`";
                faults.add("wrong-value", span, message, "write e.g. `safe.hold`, `safe.rule` or `safe.pid`");
                return None;
            }
            Some(safe) => Some(ControllerSettings::resolve(faults, names, "[mpc] safe", safe)?),
        };
        if let Some(settle) = spec.settle.as_ref().filter(|n| ***n > MOST_SETTLE_STEPS) {
            let message =
                format!("[mpc]: `settle` must be at most {MOST_SETTLE_STEPS} steps, but it is {}", settle.value);
            faults.add("out-of-range", &settle.span, message, "specify slightly more steps than the model's `lags`");
            return None;
        }
        Some(Self { mpc: mpc?, safe })
    }
}

fn unresolved() -> Error {
    Error::Internal("the settings could not be resolved, but no fault was reported".into())
}
