//! Settings of MPC, resolved from the twin and scenario files.

use std::ops::Range;

use indexmap::IndexMap;

use super::totals::{TotalSettings, is_control};
use crate::config::{At, ForecastSpec, MpcSpec, PlannedStock, PlannerSpec, TimeSpan, key_place};
use crate::control::planner::check_planner;
use crate::expr::Program;
use crate::resolve::{Faults, Names, Wanted, all};
use crate::schema::{Bounds, Role};
use crate::value::{Kpi, Objective, resolve_prices};

/// Roles of the signals that can have ranked soft limits.
const RANKED: [Role; 3] = [Role::State, Role::Output, Role::Derived];
const LARGEST_RANK: u32 = 3;
const MOST_PARTICLES: usize = 1000;
const LARGEST_PESSIMISM: f64 = 100.0;

/// The resolved settings of MPC. The fields correspond to the fields of [`MpcSpec`], which
/// documents the defaults.
#[derive(Debug, Clone, Default)]
pub struct ResolvedMpc {
    /// Columns of the planned controls.
    pub controls: Vec<usize>,
    pub horizon: Option<TimeSpan>,
    pub replan: Option<TimeSpan>,
    pub risk: Option<f64>,
    pub pessimism: Option<f64>,
    pub particles: Option<usize>,
    pub moves: Option<usize>,
    pub correction: Option<f64>,
    pub base_stock: Vec<PlannedStockSettings>,
    pub within_log: Option<bool>,
    pub states_within_log: Option<bool>,
    pub forecast: Option<ForecastSpec>,
    /// Ranked soft limits as (column, rank).
    pub ranks: Vec<(usize, u32)>,
    pub confidence: Option<f64>,
    /// Prices of terminal KPIs as (index of the KPI in the twin, price).
    pub terminal: Vec<(usize, f64)>,
    pub cost_to_go: Option<bool>,
    /// Columns of the states that act as stores. The content of these stores at the end of a plan
    /// has no price.
    pub stores: Vec<usize>,
    /// Columns of the states with a known balance that lose no content over time, such as stocks of goods.
    pub stocks: Vec<usize>,
    pub totals: Vec<TotalSettings>,
    pub budget: Option<TimeSpan>,
    pub planner: Option<PlannerSpec>,
    pub settle: Option<usize>,
}

/// An order that is planned through its order-up-to level.
#[derive(Debug, Clone)]
pub struct PlannedStockSettings {
    pub order: usize,
    /// Inventory position, in the unit of the order.
    pub position: Program,
    /// Lowest and highest order-up-to level.
    pub level: Bounds,
}

/// Converts the settings that do not refer to signals or KPIs. Settings that refer to signals or KPIs are left empty.
impl From<&MpcSpec> for ResolvedMpc {
    fn from(spec: &MpcSpec) -> Self {
        fn value<T: Copy>(at: &Option<At<T>>) -> Option<T> {
            at.as_ref().map(|a| a.value)
        }
        Self {
            horizon: value(&spec.horizon),
            replan: value(&spec.replan),
            risk: value(&spec.risk),
            pessimism: value(&spec.pessimism),
            particles: value(&spec.particles),
            moves: value(&spec.moves),
            correction: value(&spec.correction),
            within_log: value(&spec.within_log),
            states_within_log: value(&spec.states_within_log),
            forecast: value(&spec.forecast),
            confidence: value(&spec.confidence),
            cost_to_go: value(&spec.cost_to_go),
            budget: value(&spec.budget),
            planner: spec.planner.clone(),
            settle: value(&spec.settle),
            ..Self::default()
        }
    }
}

impl ResolvedMpc {
    /// Whether plans stay within the logged range of each control.
    pub fn within_log(&self) -> bool {
        self.within_log.unwrap_or(true)
    }

    /// Whether plans stay within the widened logged range of each learned state.
    pub fn states_within_log(&self) -> bool {
        self.states_within_log.unwrap_or(self.within_log())
    }

    /// The objective of plans: `objective` plus the priced terminal KPIs among `kpis`.
    pub fn planned_objective(&self, objective: &Objective, kpis: &[Kpi]) -> Objective {
        let mut planned = objective.clone();
        planned.terms.extend(Objective::new(kpis, self.terminal.iter().copied()).terms);
        planned
    }

    /// Resolves the MPC table at `place`. Messages refer to the table as `owner`. Returns `None` if the table refers to
    /// an invalid signal or KPI.
    pub(in crate::control) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        spec: &MpcSpec,
        place: &Range<usize>,
    ) -> Option<Self> {
        times(faults, names, owner, spec);
        numbers(faults, owner, spec);
        if let Some(planner) = &spec.planner {
            check_planner(faults, owner, planner);
        }
        let controls = controls(faults, names, owner, spec, place);
        let base_stock = stocks(faults, names, owner, spec);
        let totals = totals(faults, names, owner, spec);
        let ranks = ranks(faults, names, owner, spec);
        let terminal = resolve_prices(faults, names, spec.terminal.as_ref().unwrap_or(&IndexMap::new()));
        require_objective(faults, names, owner, place);
        Some(Self {
            controls: controls?,
            base_stock: base_stock?,
            totals: totals?,
            ranks: ranks?,
            terminal: terminal?,
            ..Self::from(spec)
        })
    }
}

/// Reports a fault if the twin has no objective, which MPC needs.
pub fn require_objective(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, place: &Range<usize>) {
    if names.spec().objective.is_empty() && !names.file.damage.any {
        let message = format!("{owner}: MPC needs an objective to minimise, but the twin has no `[objective]`");
        let help = format!("add `[objective]` with the price of each KPI to {}", names.file.path.display());
        faults.add("no-objective", place, message, help);
    }
}

/// Reports a fault if the twin has no control, because MPC would have nothing to plan.
pub fn require_control(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, place: &Range<usize>) {
    if names.with_role(&[Role::Control]).is_empty() && !names.file.damage.any {
        let message = format!("{owner}: the twin has no control that MPC can move");
        let help = "set `role = \"control\"` in the twin for each signal that MPC may move";
        faults.add("no-control", place, message, help);
    }
}

/// Checks that time spans are consistent with each other and with the step of the twin.
fn times(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, spec: &MpcSpec) {
    let (step, horizon) = (names.step(), spec.horizon.as_ref());
    if let (Some(step), Some(horizon)) = (step, horizon)
        && horizon.value < step
    {
        let message = format!("{owner}: the horizon {} is shorter than the step {step}", horizon.value);
        faults.add("too-short", &horizon.span, message, "use a horizon of several steps, such as `horizon = \"4h\"`");
    }
    if let Some(replan) = &spec.replan {
        let longest = horizon.unwrap_or(&names.spec().model.horizon).value;
        if let Some(horizon) = horizon.filter(|h| replan.value > h.value) {
            let message = format!("{owner}: `replan` {} is longer than `horizon` {}", replan.value, horizon.value);
            faults.add("too-long", &replan.span, message, "`replan` must not be longer than `horizon`");
        } else if let Some(step) = step.filter(|s| replan.value < *s) {
            let message = format!("{owner}: `replan` {} is shorter than the step {step}", replan.value);
            faults.add("too-short", &replan.span, message, format!("write at least `replan = \"{step}\"`"));
        } else if replan.value <= longest {
            names.whole_steps(faults, replan, "replan");
        }
    }
    if let Some(n) = &spec.moves {
        let steps = step.and_then(|step| Some(horizon?.steps(step, 1))).unwrap_or(usize::MAX);
        if **n == 0 {
            let message = format!("{owner}: `moves` must be 1 or more");
            let help = "write e.g. `moves = 6`";
            faults.add("out-of-range", &n.span, message, help);
        } else if **n > steps {
            let message = format!("{owner}: {} moves do not fit into a horizon of {steps} steps", n.value);
            faults.add("out-of-range", &n.span, message, format!("use at most `moves = {steps}`"));
        }
    }
    if let Some(budget) = spec.budget.as_ref().filter(|b| b.ms() <= 0) {
        let message = format!("{owner}: `budget` must be longer than 0");
        faults.add("out-of-range", &budget.span, message, "write e.g. `budget = \"200ms\"`, or remove it");
    }
}

/// Checks that the numeric settings are within their ranges.
fn numbers(faults: &mut Faults<'_>, owner: &str, spec: &MpcSpec) {
    let mut range = |key: &str, at: &At<f64>, valid: bool, range: &str, help: String| {
        if !valid {
            let message = format!("{owner}: `{key}` must be {range}, but it is {}", at.value);
            faults.add("out-of-range", &at.span, message, help);
        }
    };
    if let Some(at) = &spec.risk {
        let help = share(**at, 0.0, "risk", "`risk` is a quantile: 0.5 is the median, and 0.95 is cautious");
        range("risk", at, at.value > 0.0 && at.value < 1.0, "between 0 and 1", help);
    }
    if let Some(at) = &spec.confidence {
        let help = share(
            **at,
            0.5,
            "confidence",
            "a typical value is 0.95; without `confidence`, only soft limits are tightened",
        );
        range("confidence", at, (0.5..1.0).contains(&at.value), "at least 0.5 and below 1", help);
    }
    if let Some(at) = &spec.pessimism {
        let help = "a typical value is 1; with 0, plans ignore the uncertainty of the model".to_owned();
        let valid = (0.0..=LARGEST_PESSIMISM).contains(&at.value);
        range("pessimism", at, valid, &format!("between 0 and {LARGEST_PESSIMISM}"), help);
    }
    if let Some(at) = &spec.correction {
        let typical = "a typical value is 0.1; 0 corrects no model error, and 1 assumes that the last error persists";
        let valid = (0.0..=1.0).contains(&at.value);
        range("correction", at, valid, "between 0 and 1", share(**at, 0.0, "correction", typical));
    }
    if let (Some(c), Some(false)) = (spec.cost_to_go.as_ref().filter(|c| c.value), spec.tune.as_ref().map(|t| t.value))
    {
        let message = format!("{owner}: the terminal cost for `cost_to_go` is learned by tuning, but `tune` is false");
        faults.add("missing-value", &c.span, message, "remove `cost_to_go`, or set `tune = true`");
    }
    if let Some(n) = spec.particles.as_ref().filter(|n| !(1..=MOST_PARTICLES).contains(&n.value)) {
        let message = format!("{owner}: `particles` must be between 1 and {MOST_PARTICLES}, but it is {}", n.value);
        faults.add("out-of-range", &n.span, message, "write e.g. `particles = 4`");
    }
}

/// Help text for a fraction that must be at least `low`. If the value looks like a percentage, the help text suggests
/// the corresponding fraction.
fn share(value: f64, low: f64, key: &str, otherwise: &str) -> String {
    if value > 1.0 && value < 100.0 && value / 100.0 >= low {
        format!("write it as a fraction, not in per cent: `{key} = {}`", value / 100.0)
    } else {
        otherwise.to_owned()
    }
}

fn controls(
    faults: &mut Faults<'_>,
    names: &Names<'_>,
    owner: &str,
    spec: &MpcSpec,
    place: &Range<usize>,
) -> Option<Vec<usize>> {
    let Some(list) = &spec.controls else {
        require_control(faults, names, owner, place);
        return all(names.with_role(&[Role::Control]).into_iter().map(|name| names.column(name)));
    };
    if list.is_empty() {
        let message = format!("{owner}: `controls` is empty");
        faults.add("missing-value", place, message, "list the controls to plan, or remove `controls` to plan them all");
    }
    faults.require_distinct(list.iter(), "entries of `controls`");
    all(list.iter().map(|name| names.control(faults, name, &name.span)))
}

/// Whether the control named `name` is planned.
fn moves(spec: &MpcSpec, name: &str) -> bool {
    spec.controls.as_ref().is_none_or(|c| c.iter().any(|c| c.value == name))
}

fn stocks(
    faults: &mut Faults<'_>,
    names: &Names<'_>,
    owner: &str,
    spec: &MpcSpec,
) -> Option<Vec<PlannedStockSettings>> {
    faults.require_distinct(spec.base_stock.iter().flatten().map(|s| &s.order), "entries of `base_stock`");
    all(spec.base_stock.iter().flatten().map(|stock| {
        let PlannedStock { order: name, position, level } = &stock.value;
        let order = names.control(faults, name, &name.span);
        if is_control(names, name) && !moves(spec, name) {
            let message = format!("{owner}: `{}` is in `base_stock`, but this control is not planned", name.value);
            faults.add("unknown-signal", &name.span, message, "add it to `controls`");
        }
        let [low, high] = level.value;
        if !(low.is_finite() && high.is_finite() && low < high) {
            let help = if high < low {
                format!("write the lower level first: `level = [{high}, {low}]`")
            } else {
                "write `level = [lowest, highest]`, like `level = [20, 200]`".to_owned()
            };
            let message = format!("{owner}: `level` [{low}, {high}] is not a finite range");
            faults.add("out-of-range", &level.span, message, help);
        }
        let unit = names.unit(name).filter(|_| order.is_some());
        let wanted = Wanted { what: format!("{owner}, `position`"), unit };
        let position = names.expression(faults, position, &wanted);
        Some(PlannedStockSettings { order: order?, position: position?, level: Bounds { low, high } })
    }))
}

fn totals(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, spec: &MpcSpec) -> Option<Vec<TotalSettings>> {
    // If `horizon` is absent, the horizon of the model is used, which is an upper bound on the tuned horizon.
    let horizon = spec.horizon.as_ref().unwrap_or(&names.spec().model.horizon).value;
    all(spec.totals.iter().flatten().map(|total| {
        let name = &total.control;
        if is_control(names, name) && !moves(spec, name) {
            let message = format!("{owner}: the total of `{}` is limited, but this control is not planned", name.value);
            faults.add("unknown-signal", &name.span, message, "add it to `controls`");
        } else if is_control(names, name) && spec.base_stock.iter().flatten().any(|s| s.order.value == name.value) {
            let message = format!(
                "{owner}: the total of `{}` cannot be limited, because its order-up-to level is planned",
                name.value
            );
            faults.add("out-of-range", &name.span, message, "remove the entry from `totals` or from `base_stock`");
        }
        TotalSettings::resolve(faults, names, owner, total, horizon)
    }))
}

/// Resolves the ranks. Only states, outputs and derived signals with a soft limit can have a rank.
fn ranks(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, spec: &MpcSpec) -> Option<Vec<(usize, u32)>> {
    all(spec.ranks.iter().flatten().map(|(name, rank)| {
        if !(1..=LARGEST_RANK).contains(&rank.value) {
            let message = format!("{owner}: the rank of `{name}` must be 1, 2 or 3, but it is {}", rank.value);
            faults.add("out-of-range", &rank.span, message, "rank 1 has the highest priority");
        }
        let place = key_place(faults.text(), name, &rank.span);
        let signal = names.expect(faults, name, &place, &RANKED, "a state, an output or a derived signal")?;
        if signal.soft.as_ref().is_none_or(|s| s.value == [f64::NEG_INFINITY, f64::INFINITY]) {
            let message = format!("{owner}: `{name}` is ranked but has no soft limit");
            let help = format!("add `soft = [low, high]` to the signal `{name}`, or remove its rank");
            faults.add("missing-value", &place, message, help);
        }
        Some((names.column(name)?, rank.value))
    }))
}
