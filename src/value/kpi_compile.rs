//! Compilation of KPIs from their definitions in `twin.toml`.

use std::ops::Range;

use super::kpi::{Kind, Kpi};
use super::terminal_cost::TerminalCost;
use crate::config::{At, KpiSpec, TimeSpan};
use crate::error::nearest;
use crate::expr::{ExprFault, Program, Scope};
use crate::resolve::{Faults, Names, Wanted};
use crate::schema::{Bounds, Role, Schema};
use crate::units::Unit;

/// A fault in a KPI: the byte range of the expression or name in `twin.toml`, and the fault within that range.
pub type KpiFault = (Range<usize>, ExprFault);

impl Kpi {
    /// Compiles the KPI `name` of a twin; `None` if the definition has a fault.
    pub fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, name: &str, spec: &KpiSpec) -> Option<Self> {
        let (signal, expressions) = parts(spec);
        let mut valid = signal.is_none_or(|(signal, roles)| is_signal(faults, names, name, signal, roles));
        for (text, part) in &expressions {
            let wanted = Wanted { what: format!("KPI `{name}`{part}"), unit: None };
            valid &= names.expression(faults, text, &wanted).is_some() && !names.has_invalid_unit(text);
        }
        valid &= signal.is_none_or(|(signal, _)| names.unit(signal).is_some());
        if let (KpiSpec::Peak { window, .. }, Some(step)) = (spec, names.step())
            && window.value < step
        {
            let message = format!("KPI `{name}`: the window {} is shorter than the step {step}", window.value);
            faults.add("too-short", &window.span, message, format!("use a window of at least `\"{step}\"`"));
            valid = false;
        }
        if !valid {
            return None;
        }
        let kpi = Self::compile(name, spec, &names.scope, &names.schema);
        kpi.map_err(|(span, f)| faults.add(f.code, &span, format!("KPI `{name}`: {}", f.message), f.help)).ok()
    }

    /// Compiles `spec` with the names in `scope` and the limits in `schema`. The name `dt` denotes the sample time.
    pub fn compile(name: &str, spec: &KpiSpec, scope: &Scope, schema: &Schema) -> Result<Self, KpiFault> {
        let program = |text: &At<String>| Program::compile(text, scope).map_err(|fault| (text.span.clone(), fault));
        let in_preferred = |text: &At<String>| program(text).map(in_preferred_unit);
        let over_time = |text: &At<String>, unit: &Unit| {
            integral(unit, scope.dt).map_err(|message| (text.span.clone(), fault("unit-mismatch", text, message, HELP)))
        };
        let (kind, unit, factor, formula) = match spec {
            KpiSpec::Integral(of) => {
                let p = program(of)?;
                let (unit, factor) = over_time(of, &p.unit)?;
                (Kind::Sum(p), unit, factor, format!("integral of `{}` over time", of.value))
            }
            KpiSpec::Sum(of) => {
                let p = in_preferred(of)?;
                let unit = p.unit.clone();
                (Kind::Sum(p), unit, 1.0, format!("sum of `{}` over all steps", of.value))
            }
            KpiSpec::Mean(of) => {
                let p = in_preferred(of)?;
                let unit = p.unit.clone();
                (Kind::Mean(p), unit, 1.0, format!("mean of `{}` over time", of.value))
            }
            KpiSpec::Peak { of, window } => {
                let p = in_preferred(of)?;
                let unit = p.unit.clone();
                let step = TimeSpan::from_ms((scope.dt * 1e3).round() as i64);
                let steps = window.steps(step, 1);
                let formula = format!("largest mean of `{}` over any period of {}", of.value, window.value);
                (Kind::Peak(p, steps), unit, 1.0, formula)
            }
            KpiSpec::Exceedance(of) => {
                let (i, soft, beyond) = soft_limits(of, schema)?;
                let (unit, factor) = over_time(of, &schema.signals[i].unit)?;
                let formula = format!("integral over time of the amount by which `{}` is {beyond}", of.value);
                (Kind::Exceedance(i, soft), unit, factor, formula)
            }
            KpiSpec::ExceedanceShare(of) => {
                let (i, soft, beyond) = soft_limits(of, schema)?;
                let formula = format!("fraction of time during which `{}` is {beyond}", of.value);
                (Kind::ExceedanceShare(i, soft), Unit::one(), 1.0, formula)
            }
            KpiSpec::Ratio([above, below]) => {
                let (p, q) = (program(above)?, program(below)?);
                let (unit, factor) = quotient(&p.unit, &q.unit)
                    .map_err(|message| (below.span.clone(), fault("unit-mismatch", below, message, HELP)))?;
                let formula = format!("integral of `{}` divided by the integral of `{}`", above.value, below.value);
                (Kind::Ratio(p, q), unit, factor, formula)
            }
            KpiSpec::FillRate([served, demanded]) => {
                let (p, q) = (program(served)?, program(demanded)?);
                let factor = p.unit.factor(&q.unit).map_err(|message| {
                    let help = "both expressions must have units of the same dimension";
                    (demanded.span.clone(), fault("unit-mismatch", demanded, message, help))
                })?;
                let formula = format!("sum of `{}` divided by the sum of `{}`", served.value, demanded.value);
                (Kind::FillRate(p, q), Unit::one(), factor, formula)
            }
            KpiSpec::Moves(of) => {
                let i = control(of, schema)?;
                let hard = schema.signals[i].hard;
                let width = hard.high - hard.low;
                let scale = if width.is_finite() { width } else { 0.0 };
                (Kind::Moves(i, 1e-9 * scale), Unit::one(), 1.0, format!("number of changes in `{}`", of.value))
            }
            KpiSpec::Travel(of) => {
                let i = control(of, schema)?;
                let unit = schema.signals[i].unit.difference();
                (Kind::Travel(i), unit, 1.0, format!("sum of the absolute changes in `{}`", of.value))
            }
            KpiSpec::Final(of) => {
                let p = in_preferred(of)?;
                let unit = p.unit.clone();
                (Kind::Final(p), unit, 1.0, format!("last value of `{}`", of.value))
            }
            KpiSpec::ServiceLevel(shortage) => {
                let formula = format!("fraction of steps in which `{}` is zero", shortage.value);
                (Kind::ServiceLevel(program(shortage)?), Unit::one(), 1.0, formula)
            }
            KpiSpec::DegreeHours { of, above } => {
                let p = program(of)?;
                let (unit, factor) = over_time(of, &p.unit)?;
                let above_text = with_unit(above.value, &p.unit);
                let formula = format!("integral over time of the amount by which `{}` is above {above_text}", of.value);
                (Kind::DegreeHours(p, above.value), unit, factor, formula)
            }
        };
        Ok(Self { name: name.to_owned(), unit, formula, kind, factor })
    }

    /// The terminal cost of a plan of `horizon` steps; `None` if `schema` lacks a signal that the terminal cost needs.
    pub fn terminal_cost(cost: &TerminalCost, horizon: usize, schema: &Schema) -> Option<Self> {
        let formula = format!("cost of the next {} steps, estimated from the log", cost.steps);
        let kind = Kind::Terminal(Box::new(cost.compile(horizon, schema)?));
        Some(Self { name: "cost to go".into(), unit: Unit::one(), formula, kind, factor: 1.0 })
    }
}

const HELP: &str = "check the units of the signals and of the parameters in the expression";

/// Returns the program with its result converted to the preferred unit.
fn in_preferred_unit(program: Program) -> Program {
    let preferred = program.unit.preferred();
    if preferred == program.unit {
        return program;
    }
    program.clone().in_unit(&preferred).unwrap_or(program)
}

/// Unit of the time integral of values in `unit`, and the factor that converts a sum over steps of
/// `dt` seconds to the unit of the integral. For steps of one day or longer, time is integrated in
/// days instead of hours, unless the integral has a preferred unit.
fn integral(unit: &Unit, dt: f64) -> Result<(Unit, f64), String> {
    let mut shown = unit.integral()?;
    if dt >= 86_400.0
        && let Some(amount) = shown.text.strip_suffix('h').filter(|a| a.is_empty() || a.ends_with('*'))
    {
        shown = Unit::parse(&format!("{amount}d"))?;
    }
    let factor = unit.times(&Unit::second())?.factor(&shown)?;
    Ok((shown, factor * dt))
}

/// Unit of the quotient of two sums, and the factor that converts the quotient to this unit.
fn quotient(above: &Unit, below: &Unit) -> Result<(Unit, f64), String> {
    let unit = above.per(below)?;
    let shown = unit.preferred();
    let factor = unit.factor(&shown)?;
    Ok((shown, factor))
}

/// The parts of a KPI: the signal it refers to, with the permitted roles, and its expressions, each with a suffix for
/// messages.
type Parts<'s> = (Option<(&'s At<String>, &'static [Role])>, Vec<(&'s At<String>, &'static str)>);

fn parts(spec: &KpiSpec) -> Parts<'_> {
    const ALL: [Role; 6] = [Role::State, Role::Output, Role::Control, Role::Disturbance, Role::Setpoint, Role::Derived];
    match spec {
        KpiSpec::Exceedance(signal) | KpiSpec::ExceedanceShare(signal) => (Some((signal, &ALL)), vec![]),
        KpiSpec::Moves(signal) | KpiSpec::Travel(signal) => (Some((signal, &[Role::Control])), vec![]),
        KpiSpec::Integral(of)
        | KpiSpec::Sum(of)
        | KpiSpec::Mean(of)
        | KpiSpec::Final(of)
        | KpiSpec::ServiceLevel(of)
        | KpiSpec::Peak { of, .. }
        | KpiSpec::DegreeHours { of, .. } => (None, vec![(of, "")]),
        KpiSpec::Ratio([above, below]) => (None, vec![(above, " (numerator)"), (below, " (denominator)")]),
        KpiSpec::FillRate([served, demanded]) => (None, vec![(served, " (served)"), (demanded, " (demanded)")]),
    }
}

/// Returns true if `signal` names a signal with one of the `roles`. Otherwise, adds a fault.
fn is_signal(faults: &mut Faults<'_>, names: &Names<'_>, kpi: &str, signal: &At<String>, roles: &[Role]) -> bool {
    if signal.chars().any(|c| "+-*/^()<> ".contains(c)) && !names.signals.contains_key(signal.as_str()) {
        let message = format!("KPI `{kpi}` needs the name of a signal here, not an expression");
        let help = "define a derived signal with this expression, and give its name here";
        faults.add("wrong-value", &signal.span, message, help);
        return false;
    }
    let wanted = if roles.len() == 1 { "a control" } else { "a signal" };
    names.expect(faults, signal, &signal.span, roles, wanted).is_some()
}

fn fault(code: &'static str, text: &At<String>, message: String, help: impl Into<String>) -> ExprFault {
    ExprFault { code, span: 0..text.value.len(), message, help: help.into() }
}

/// Column of the signal named `name`.
fn signal(name: &At<String>, schema: &Schema) -> Result<usize, KpiFault> {
    schema.find(name).ok_or_else(|| {
        let help = match nearest(name, schema.names()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "give the name of a signal; this kind of KPI does not accept an expression".to_owned(),
        };
        (name.span.clone(), fault("unknown-signal", name, format!("there is no signal `{}`", name.value), help))
    })
}

/// A value with its unit, e.g. `27 degC`.
fn with_unit(value: f64, unit: &Unit) -> String {
    if unit.text == "1" { value.to_string() } else { format!("{value} {}", unit.text) }
}

/// Column and soft limits of the signal named `name`, and the phrase that describes a violation, e.g. `above 27 degC`.
fn soft_limits(name: &At<String>, schema: &Schema) -> Result<(usize, Bounds, String), KpiFault> {
    let i = signal(name, schema)?;
    let Bounds { low, high } = schema.signals[i].soft;
    let [low_text, high_text] = [low, high].map(|v| with_unit(v, &schema.signals[i].unit));
    let beyond = match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("below {low_text} or above {high_text}"),
        (true, false) => format!("below {low_text}"),
        (false, true) => format!("above {high_text}"),
        (false, false) => {
            let message = format!("`{}` has no soft limits", name.value);
            let help = format!("add `soft = [low, high]` to the signal `{}`", name.value);
            return Err((name.span.clone(), fault("missing-key", name, message, help)));
        }
    };
    Ok((i, schema.signals[i].soft, beyond))
}

/// Column of the control named `name`.
fn control(name: &At<String>, schema: &Schema) -> Result<usize, KpiFault> {
    let i = signal(name, schema)?;
    if schema.signals[i].role == Role::Control {
        return Ok(i);
    }
    let controls = schema.with_role(Role::Control);
    let names: Vec<&str> = controls.iter().map(|&c| schema.signals[c].name.as_str()).collect();
    let help = format!("name a control: {}", names.join(", "));
    Err((name.span.clone(), fault("wrong-role", name, format!("`{}` is not a control", name.value), help)))
}
