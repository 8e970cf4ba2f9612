//! KPIs. Reports and planners compute them with the same code.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::accumulator::{Accumulator, tally, tally_pair};
use super::terminal_cost::{TerminalCost, TerminalTerms};
use crate::config::{At, KpiSpec, TimeSpan};
use crate::error::nearest;
use crate::expr::{ExprFault, Program, Registers, Scope};
use crate::resolve::{Faults, Names, Wanted};
use crate::schema::{Bounds, Role, Schema};
use crate::trajectory::{Frame, Trajectory};
use crate::units::Unit;

/// How the values of a KPI over several periods are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// Adds up over time: integrals, sums, counts.
    Total,
    /// Mean weighted by time: means, shares, final values.
    Mean,
    /// Maximum.
    Largest,
    /// Ratio of the summed numerators and denominators.
    Ratio,
}

/// The kind of a KPI. [`Self::Sum`] includes integrals, which are scaled sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KpiKind {
    Sum,
    Mean,
    Peak,
    Exceedance,
    ExceedanceShare,
    Ratio,
    FillRate,
    Moves,
    Travel,
    Final,
    ServiceLevel,
    DegreeHours,
    TerminalCost,
}

impl KpiKind {
    /// Whether values lie between 0 and 1 and are shown as percentages.
    pub fn is_share(self) -> bool {
        matches!(self, Self::ExceedanceShare | Self::FillRate | Self::ServiceLevel)
    }
}

/// A compiled KPI.
#[derive(Debug, Clone)]
pub struct Kpi {
    pub name: String,
    pub unit: Unit,
    /// The formula in words, for the report.
    pub formula: String,
    kind: Kind,
    /// Converts accumulated values to `unit`.
    factor: f64,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Σ over steps, times the factor.
    Sum(Program),
    Mean(Program),
    Peak(Program, usize),
    Exceedance(usize, Bounds),
    ExceedanceShare(usize, Bounds),
    Ratio(Program, Program),
    FillRate(Program, Program),
    /// Column, and the smallest change that counts as a move (a change must also exceed 1e-9 of the value).
    Moves(usize, f64),
    Travel(usize),
    Final(Program),
    ServiceLevel(Program),
    DegreeHours(Program, f64),
    /// Estimated cost of the steps after the last one.
    Terminal(Box<TerminalTerms>),
}

/// How a KPI adds up over the steps of a run.
pub enum PerStep<'a> {
    /// Sum of the expression over the steps, times the factor.
    Expression(&'a Program, f64),
    /// Sum of the amounts by which a signal exceeds its limits, times the factor.
    Excess(usize, Bounds, f64),
    /// It is not a sum over steps.
    Other,
}

/// A fault of a KPI: the byte range of the text in `twin.toml`, and the fault within that text.
pub type KpiFault = (Range<usize>, ExprFault);

/// The values of one KPI over a trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// `[particles]`, in the KPI's unit; NaN if there is no value.
    pub values: Vec<f64>,
    /// Numerators and denominators of ratios, `[particles]` each.
    pub ratio: Option<(Vec<f64>, Vec<f64>)>,
    /// Share of the values (particles × steps) that were missing and were left out.
    pub missing: f64,
}

impl Kpi {
    /// Resolves the KPI `name` of a twin; `None` if it has a fault.
    pub fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, name: &str, spec: &KpiSpec) -> Option<Self> {
        let (signal, expressions) = parts(spec);
        let mut valid = signal.is_none_or(|(signal, roles)| named(faults, names, name, signal, roles));
        for (text, part) in &expressions {
            let wanted = Wanted { what: format!("KPI `{name}`{part}"), unit: None };
            valid &= names.expression(faults, text, &wanted).is_some() && !names.has_invalid_unit(text);
        }
        valid &= signal.is_none_or(|(signal, _)| names.unit(signal).is_some());
        if let (KpiSpec::Peak { window, .. }, Some(step)) = (spec, names.step())
            && window.value < step
        {
            let message = format!("KPI `{name}`: the window {} is shorter than the step {step}", window.value);
            faults.add("too-short", &window.span, message, format!("write a window of at least `\"{step}\"`"));
            valid = false;
        }
        if !valid {
            return None;
        }
        let kpi = Self::compile(name, spec, &names.scope, &names.schema);
        kpi.map_err(|(span, f)| faults.add(f.code, &span, format!("KPI `{name}`: {}", f.message), f.help)).ok()
    }

    /// Compiles `spec` against the names of `scope` (its `dt` is the sample time) and the limits in `schema`.
    pub fn compile(name: &str, spec: &KpiSpec, scope: &Scope, schema: &Schema) -> Result<Self, KpiFault> {
        let program = |text: &At<String>| Program::compile(text, scope).map_err(|fault| (text.span.clone(), fault));
        let shown = |text: &At<String>| program(text).map(in_shown_unit);
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
                let p = shown(of)?;
                let unit = p.unit.clone();
                (Kind::Sum(p), unit, 1.0, format!("sum of `{}` over all steps", of.value))
            }
            KpiSpec::Mean(of) => {
                let p = shown(of)?;
                let unit = p.unit.clone();
                (Kind::Mean(p), unit, 1.0, format!("mean of `{}` over time", of.value))
            }
            KpiSpec::Peak { of, window } => {
                let p = shown(of)?;
                let unit = p.unit.clone();
                let step = TimeSpan::from_ms((scope.dt * 1e3).round() as i64);
                let steps = window.steps(step, 1);
                let formula = format!("largest mean of `{}` over any {}", of.value, window.value);
                (Kind::Peak(p, steps), unit, 1.0, formula)
            }
            KpiSpec::Exceedance(of) => {
                let (i, soft, beyond) = soft_limits(of, schema)?;
                let (unit, factor) = over_time(of, &schema.signals[i].unit)?;
                let formula = format!("integral over time of how far `{}` is {beyond}", of.value);
                (Kind::Exceedance(i, soft), unit, factor, formula)
            }
            KpiSpec::ExceedanceShare(of) => {
                let (i, soft, beyond) = soft_limits(of, schema)?;
                let formula = format!("share of time that `{}` is {beyond}", of.value);
                (Kind::ExceedanceShare(i, soft), Unit::one(), 1.0, formula)
            }
            KpiSpec::Ratio([above, below]) => {
                let (p, q) = (program(above)?, program(below)?);
                let (unit, factor) = quotient(&p.unit, &q.unit)
                    .map_err(|message| (below.span.clone(), fault("unit-mismatch", below, message, HELP)))?;
                let formula = format!("integral of `{}` over integral of `{}`", above.value, below.value);
                (Kind::Ratio(p, q), unit, factor, formula)
            }
            KpiSpec::FillRate([served, demanded]) => {
                let (p, q) = (program(served)?, program(demanded)?);
                let factor = p.unit.factor(&q.unit).map_err(|message| {
                    let help = "give both as the same quantity per step";
                    (demanded.span.clone(), fault("unit-mismatch", demanded, message, help))
                })?;
                let formula = format!("sum of `{}` over sum of `{}`", served.value, demanded.value);
                (Kind::FillRate(p, q), Unit::one(), factor, formula)
            }
            KpiSpec::Moves(of) => {
                let i = control(of, schema)?;
                let hard = schema.signals[i].hard;
                let width = hard.high - hard.low;
                let scale = if width.is_finite() { width } else { 0.0 };
                (Kind::Moves(i, 1e-9 * scale), Unit::one(), 1.0, format!("number of moves of `{}`", of.value))
            }
            KpiSpec::Travel(of) => {
                let i = control(of, schema)?;
                let unit = schema.signals[i].unit.difference();
                (Kind::Travel(i), unit, 1.0, format!("sum of the sizes of all moves of `{}`", of.value))
            }
            KpiSpec::Final(of) => {
                let p = shown(of)?;
                let unit = p.unit.clone();
                (Kind::Final(p), unit, 1.0, format!("last value of `{}`", of.value))
            }
            KpiSpec::ServiceLevel(shortage) => {
                let formula = format!("share of steps in which `{}` is zero", shortage.value);
                (Kind::ServiceLevel(program(shortage)?), Unit::one(), 1.0, formula)
            }
            KpiSpec::DegreeHours { of, above } => {
                let p = program(of)?;
                let (unit, factor) = over_time(of, &p.unit)?;
                let above_text = with_unit(above.value, &p.unit);
                let formula = format!("integral over time of how far `{}` is above {above_text}", of.value);
                (Kind::DegreeHours(p, above.value), unit, factor, formula)
            }
        };
        Ok(Self { name: name.to_owned(), unit, formula, kind, factor })
    }

    /// The terminal cost of a plan of `horizon` steps; `None` if `schema` lacks one of its signals.
    pub fn terminal_cost(cost: &TerminalCost, horizon: usize, schema: &Schema) -> Option<Self> {
        let formula = format!("cost of the next {} steps, as the log has it", cost.steps);
        let kind = Kind::Terminal(Box::new(cost.compile(horizon, schema)?));
        Some(Self { name: "cost to go".into(), unit: Unit::one(), formula, kind, factor: 1.0 })
    }

    /// Whether it depends only on the last frame.
    pub fn is_terminal(&self) -> bool {
        matches!(self.kind, Kind::Terminal(_))
    }

    pub fn kind(&self) -> KpiKind {
        match &self.kind {
            Kind::Sum(_) => KpiKind::Sum,
            Kind::Mean(_) => KpiKind::Mean,
            Kind::Peak(..) => KpiKind::Peak,
            Kind::Exceedance(..) => KpiKind::Exceedance,
            Kind::ExceedanceShare(..) => KpiKind::ExceedanceShare,
            Kind::Ratio(..) => KpiKind::Ratio,
            Kind::FillRate(..) => KpiKind::FillRate,
            Kind::Moves(..) => KpiKind::Moves,
            Kind::Travel(_) => KpiKind::Travel,
            Kind::Final(_) => KpiKind::Final,
            Kind::ServiceLevel(_) => KpiKind::ServiceLevel,
            Kind::DegreeHours(..) => KpiKind::DegreeHours,
            Kind::Terminal(_) => KpiKind::TerminalCost,
        }
    }

    /// Largest lag that it reads.
    pub fn depth(&self) -> usize {
        match &self.kind {
            Kind::Sum(p)
            | Kind::Mean(p)
            | Kind::Peak(p, _)
            | Kind::Final(p)
            | Kind::ServiceLevel(p)
            | Kind::DegreeHours(p, _) => p.depth(),
            Kind::Ratio(p, q) | Kind::FillRate(p, q) => p.depth().max(q.depth()),
            Kind::Moves(..) | Kind::Travel(_) => 1,
            Kind::Exceedance(..) | Kind::ExceedanceShare(..) | Kind::Terminal(_) => 0,
        }
    }

    /// Signals that it reads; a signal may occur more than once.
    pub fn reads(&self) -> Vec<usize> {
        let of = |programs: &[&Program]| programs.iter().flat_map(|p| &p.reads).map(|(signal, _)| *signal).collect();
        match &self.kind {
            Kind::Sum(p)
            | Kind::Mean(p)
            | Kind::Peak(p, _)
            | Kind::Final(p)
            | Kind::ServiceLevel(p)
            | Kind::DegreeHours(p, _) => of(&[p]),
            Kind::Ratio(p, q) | Kind::FillRate(p, q) => of(&[p, q]),
            Kind::Moves(signal, _) | Kind::Travel(signal) => vec![*signal],
            Kind::Exceedance(signal, _) | Kind::ExceedanceShare(signal, _) => vec![*signal],
            // the terminal cost must not shorten the horizon
            Kind::Terminal(_) => Vec::new(),
        }
    }

    /// How its value over `steps` steps adds up.
    pub fn per_step(&self, steps: usize) -> PerStep<'_> {
        match &self.kind {
            Kind::Sum(p) => PerStep::Expression(p, self.factor),
            Kind::Mean(p) => PerStep::Expression(p, (steps.max(1) as f64).recip()),
            Kind::Exceedance(signal, soft) => PerStep::Excess(*signal, *soft, self.factor),
            _ => PerStep::Other,
        }
    }

    /// How the values over several periods are combined.
    pub fn aggregation(&self) -> Aggregation {
        match &self.kind {
            Kind::Sum(_) | Kind::Exceedance(..) | Kind::Moves(..) | Kind::Travel(_) | Kind::DegreeHours(..) => {
                Aggregation::Total
            }
            Kind::Mean(_) | Kind::ExceedanceShare(..) | Kind::Final(_) | Kind::ServiceLevel(_) | Kind::Terminal(_) => {
                Aggregation::Mean
            }
            Kind::Peak(..) => Aggregation::Largest,
            Kind::Ratio(..) | Kind::FillRate(..) => Aggregation::Ratio,
        }
    }

    /// An empty accumulator for a batch of `rows`.
    pub fn start(&self, rows: usize) -> Accumulator {
        let two = matches!(self.kind, Kind::Ratio(..) | Kind::FillRate(..));
        let window = if let Kind::Peak(_, window) = self.kind { Some(window) } else { None };
        Accumulator::new(rows, two, window)
    }

    /// Adds one completed frame with as many rows as `acc`. Missing values (not finite) are left out and counted.
    pub fn add<F: Frame + ?Sized>(&self, acc: &mut Accumulator, frame: &F, registers: &mut Registers) {
        acc.steps += 1;
        let Accumulator { sum, below, known, x, y, peak, .. } = acc;
        match &self.kind {
            Kind::Sum(p) | Kind::Mean(p) => {
                p.eval(frame, registers, x);
                tally(x, sum, known, |v| v);
            }
            Kind::Peak(p, _) => {
                p.eval(frame, registers, x);
                if let Some(peak) = peak {
                    peak.add(x, known);
                }
            }
            Kind::Exceedance(signal, soft) => tally(frame.column(*signal, 0), sum, known, |v| soft.excess(v)),
            Kind::ExceedanceShare(signal, soft) => {
                tally(frame.column(*signal, 0), sum, known, |v| if soft.excess(v) > 0.0 { 1.0 } else { 0.0 });
            }
            Kind::Ratio(p, q) | Kind::FillRate(p, q) => {
                p.eval(frame, registers, x);
                q.eval(frame, registers, y);
                tally_pair(x, y, sum, below, known);
            }
            Kind::Moves(signal, tolerance) => {
                moves(frame, *signal, x);
                let now = frame.column(*signal, 0);
                for (((dv, v), sum), known) in x.iter().zip(now).zip(sum).zip(known) {
                    let ok = dv.is_finite();
                    let smallest = tolerance.max(1e-9 * (v.abs() + dv));
                    *sum += if ok && *dv > smallest { 1.0 } else { 0.0 };
                    *known += if ok { 1.0 } else { 0.0 };
                }
            }
            Kind::Travel(signal) => {
                moves(frame, *signal, x);
                tally(x, sum, known, |v| v);
            }
            Kind::Final(p) => {
                p.eval(frame, registers, x);
                last(x, sum, known);
            }
            Kind::Terminal(terms) => {
                terms.eval(frame, x);
                last(x, sum, known);
            }
            Kind::ServiceLevel(p) => {
                p.eval(frame, registers, x);
                tally(x, sum, known, |v| if v <= 1e-9 { 1.0 } else { 0.0 });
            }
            Kind::DegreeHours(p, above) => {
                p.eval(frame, registers, x);
                tally(x, sum, known, |v| (v - above).max(0.0));
            }
        }
    }

    /// Writes the value so far per row, `[rows]`, in the KPI's unit. It is NaN if no value is known yet, or if the
    /// denominator of a ratio is zero. The fill rate is 1 if the demand is zero.
    pub fn value(&self, acc: &Accumulator, out: &mut [f64]) {
        match &self.kind {
            Kind::Peak(..) => {
                if let Some(peak) = &acc.peak {
                    peak.value(out);
                }
            }
            Kind::Mean(_) | Kind::ExceedanceShare(..) | Kind::ServiceLevel(_) => {
                for ((out, sum), known) in out.iter_mut().zip(&acc.sum).zip(&acc.known) {
                    *out = sum / known;
                }
            }
            Kind::Ratio(..) | Kind::FillRate(..) => {
                let empty = if matches!(self.kind, Kind::FillRate(..)) { 1.0 } else { f64::NAN };
                for (r, out) in out.iter_mut().enumerate() {
                    let nothing = acc.below[r] == 0.0;
                    *out = match acc.known[r] > 0.0 {
                        true if nothing => empty,
                        true => self.factor * acc.sum[r] / acc.below[r],
                        false => f64::NAN,
                    };
                }
            }
            _ => {
                for ((out, sum), known) in out.iter_mut().zip(&acc.sum).zip(&acc.known) {
                    *out = if *known > 0.0 { self.factor * sum } else { f64::NAN };
                }
            }
        }
    }

    fn figures(&self, acc: &Accumulator) -> Figures {
        let mut values = vec![f64::NAN; acc.rows()];
        self.value(acc, &mut values);
        let ratio = (self.aggregation() == Aggregation::Ratio)
            .then(|| (acc.sum.iter().map(|v| self.factor * v).collect(), acc.below.clone()));
        Figures { values, ratio, missing: acc.missing() }
    }
}

/// Replaces `kept` by the values that are finite.
fn last(x: &[f64], kept: &mut [f64], known: &mut [f64]) {
    for ((x, kept), known) in x.iter().zip(kept).zip(known) {
        if x.is_finite() {
            *kept = *x;
            *known += 1.0;
        }
    }
}

const HELP: &str = "check the units of the signals in the expression; parameters can have units, too";

/// The program with its result in the preferred unit.
fn in_shown_unit(program: Program) -> Program {
    let shown = program.unit.preferred();
    if shown == program.unit {
        return program;
    }
    program.clone().in_unit(&shown).unwrap_or(program)
}

/// Unit of the integral over time of values in `unit`, and the factor that converts the sum over steps of `dt` seconds to
/// it. If the step is a day or more, days are used instead of hours, unless the quantity has a preferred unit.
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

/// Unit of a quotient of sums, and the factor that converts the quotient to it.
fn quotient(above: &Unit, below: &Unit) -> Result<(Unit, f64), String> {
    let unit = above.per(below)?;
    let shown = unit.preferred();
    let factor = unit.factor(&shown)?;
    Ok((shown, factor))
}

/// Sizes of the moves of `signal` since the last step.
fn moves<F: Frame + ?Sized>(frame: &F, signal: usize, out: &mut [f64]) {
    let (now, last) = (frame.column(signal, 0), frame.column(signal, 1));
    for ((out, now), last) in out.iter_mut().zip(now).zip(last) {
        *out = (now - last).abs();
    }
}

/// The signal that a KPI names, with the roles that it may have, and its expressions with their parts in messages.
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

/// Whether `signal` is the name of a signal with one of `roles`.
fn named(faults: &mut Faults<'_>, names: &Names<'_>, kpi: &str, signal: &At<String>, roles: &[Role]) -> bool {
    if signal.chars().any(|c| "+-*/^()<> ".contains(c)) && !names.signals.contains_key(signal.as_str()) {
        let message = format!("KPI `{kpi}` needs the name of a signal here, not an expression");
        let help = "define a derived signal with this expression and name it here";
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
            None => "name a signal of the tag list; this kind of KPI does not accept an expression".to_owned(),
        };
        (name.span.clone(), fault("unknown-signal", name, format!("there is no signal `{}`", name.value), help))
    })
}

/// `27 degC`; a plain number has no unit.
fn with_unit(value: f64, unit: &Unit) -> String {
    if unit.text == "1" { value.to_string() } else { format!("{value} {}", unit.text) }
}

/// Column and soft limits of the signal named `name`, and the words for exceeding them.
fn soft_limits(name: &At<String>, schema: &Schema) -> Result<(usize, Bounds, String), KpiFault> {
    let i = signal(name, schema)?;
    let Bounds { low, high } = schema.signals[i].soft;
    let [low_text, high_text] = [low, high].map(|v| with_unit(v, &schema.signals[i].unit));
    let beyond = match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("below {low_text} or above {high_text}"),
        (true, false) => format!("below {low_text}"),
        (false, true) => format!("above {high_text}"),
        (false, false) => {
            let message = format!("`{}` has no soft limits to exceed", name.value);
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

/// Values of `kpis` over `periods` of `trajectory`: `[kpis][particles]`.
///
/// Lags can read rows before a period, back to the start of its segment. Windows of `peak` do not extend across periods.
pub fn evaluate(kpis: &[Kpi], trajectory: &Trajectory, periods: &[Range<usize>]) -> Vec<Vec<f64>> {
    figures(kpis, trajectory, periods).into_iter().map(|f| f.values).collect()
}

/// As [`evaluate`], with the other figures that annual sums and the report need.
pub fn figures(kpis: &[Kpi], trajectory: &Trajectory, periods: &[Range<usize>]) -> Vec<Figures> {
    let mut registers = Registers::default();
    let mut accs: Vec<Accumulator> = kpis.iter().map(|k| k.start(trajectory.particles)).collect();
    for period in periods {
        let first = trajectory.segments.iter().find(|s| s.contains(&period.start)).map_or(period.start, |s| s.start);
        accs.iter_mut().for_each(Accumulator::split);
        for t in period.start..period.end.min(trajectory.steps) {
            let frame = trajectory.frame(t, first);
            for (kpi, acc) in kpis.iter().zip(&mut accs) {
                kpi.add(acc, &frame, &mut registers);
            }
        }
    }
    kpis.iter().zip(&accs).map(|(kpi, acc)| kpi.figures(acc)).collect()
}
