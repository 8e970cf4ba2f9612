//! Compiled KPIs and their computation, shared by reports and planners.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::accumulator::{Accumulator, tally, tally_pair};
use super::terminal_cost::TerminalTerms;
use crate::expr::{Program, Registers};
use crate::schema::Bounds;
use crate::trajectory::{Frame, Trajectory};
use crate::units::Unit;

/// The rule by which the values of a KPI in several periods are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// Sum over the periods, for integrals, sums and counts.
    Total,
    /// Mean weighted by the lengths of the periods, for means, fractions of time and final values.
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
    /// True if the values lie between 0 and 1 and are therefore printed as percentages.
    pub fn is_share(self) -> bool {
        matches!(self, Self::ExceedanceShare | Self::FillRate | Self::ServiceLevel)
    }

    /// True if the values are averages over the period, which cannot be added up.
    pub fn is_average(self) -> bool {
        self.is_share() || matches!(self, Self::Mean | Self::Ratio)
    }
}

/// A compiled KPI.
#[derive(Debug, Clone)]
pub struct Kpi {
    pub name: String,
    pub unit: Unit,
    /// The formula in words, for the report.
    pub formula: String,
    pub(super) kind: Kind,
    /// Factor that converts accumulated values to `unit`.
    pub(super) factor: f64,
}

/// The definition of a KPI with column indices and compiled expressions.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Sum of the expression over the steps, times the factor.
    Sum(Program),
    Mean(Program),
    Peak(Program, usize),
    Exceedance(usize, Bounds),
    ExceedanceShare(usize, Bounds),
    Ratio(Program, Program),
    FillRate(Program, Program),
    /// Column of the control, and the smallest change that counts as a move. A change below 1e-9 times the value of the
    /// control never counts as a move.
    Moves(usize, f64),
    Travel(usize),
    Final(Program),
    ServiceLevel(Program),
    DegreeHours(Program, f64),
    /// Estimated cost of the steps after the end of the run.
    Terminal(Box<TerminalTerms>),
}

/// The contribution of one step to a KPI, if the KPI is a sum of such contributions.
#[derive(Debug, Clone, Copy)]
pub enum StepCost<'a> {
    Expression(&'a Program),
    /// The amount by which a signal exceeds its limits.
    Excess(usize, Bounds),
    /// The amount by which the expression exceeds a number.
    Above(&'a Program, f64),
    /// The absolute change of a control.
    Travel(usize),
    /// 1 if a control changes.
    Moves(usize),
    /// The expression at the last step.
    Last(&'a Program),
    /// The KPI is not a sum over steps.
    Other,
}

impl StepCost<'_> {
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other)
    }
}

/// The values of one KPI over a trajectory, with additional figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Value for each particle, `[particles]`, in the KPI's unit; NaN if there is no value.
    pub values: Vec<f64>,
    /// Numerators and denominators, `[particles]` each, if the KPI is a ratio.
    pub ratio: Option<(Vec<f64>, Vec<f64>)>,
    /// Fraction of the values (particles × steps) that were missing and therefore left out.
    pub missing: f64,
}

impl Kpi {
    /// Everything that determines the value of the KPI, for comparison with a stored objective.
    pub(super) fn definition(&self) -> impl std::fmt::Debug + '_ {
        (&self.name, &self.unit, &self.kind, self.factor)
    }

    /// Whether the KPI depends only on the last frame.
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

    /// The expressions that the KPI evaluates.
    fn programs(&self) -> Vec<&Program> {
        match &self.kind {
            Kind::Sum(p)
            | Kind::Mean(p)
            | Kind::Peak(p, _)
            | Kind::Final(p)
            | Kind::ServiceLevel(p)
            | Kind::DegreeHours(p, _) => vec![p],
            Kind::Ratio(p, q) | Kind::FillRate(p, q) => vec![p, q],
            Kind::Moves(..)
            | Kind::Travel(_)
            | Kind::Exceedance(..)
            | Kind::ExceedanceShare(..)
            | Kind::Terminal(_) => Vec::new(),
        }
    }

    /// Largest lag at which the KPI reads a signal.
    pub fn depth(&self) -> usize {
        match &self.kind {
            Kind::Moves(..) | Kind::Travel(_) => 1,
            _ => self.programs().into_iter().map(Program::depth).max().unwrap_or(0),
        }
    }

    /// Signals that the KPI reads; a signal may occur more than once.
    pub fn reads(&self) -> Vec<usize> {
        self.lagged_reads().into_iter().map(|(signal, _)| signal).collect()
    }

    /// The pairs (signal, lag) that the KPI reads. No signals are listed for a terminal cost, because its inputs would
    /// otherwise shorten the horizon.
    pub fn lagged_reads(&self) -> Vec<(usize, usize)> {
        match &self.kind {
            Kind::Moves(signal, _)
            | Kind::Travel(signal)
            | Kind::Exceedance(signal, _)
            | Kind::ExceedanceShare(signal, _) => vec![(*signal, 0)],
            _ => self.programs().into_iter().flat_map(|p| &p.reads).copied().collect(),
        }
    }

    /// Whether the KPI depends on `signal` in any way other than through expressions in which `signal` only limits one
    /// of the `controls`. `derived` returns the expression of a derived signal.
    pub fn depends_beyond_limits<'a>(
        &self,
        signal: usize,
        controls: &[usize],
        derived: &dyn Fn(usize) -> Option<&'a Program>,
    ) -> bool {
        let depends = |p: &Program| p.inlined(derived).depends_beyond_limits(signal, controls);
        match &self.kind {
            Kind::Exceedance(s, _) | Kind::ExceedanceShare(s, _) => derived(*s).map_or(*s == signal, depends),
            _ => self.programs().into_iter().any(depends),
        }
    }

    /// Returns the contribution of each step to the KPI of a run with `steps` steps, and the factor by which the
    /// contributions are multiplied.
    pub fn step_cost(&self, steps: usize) -> (StepCost<'_>, f64) {
        match &self.kind {
            Kind::Sum(p) => (StepCost::Expression(p), self.factor),
            Kind::Mean(p) => (StepCost::Expression(p), (steps.max(1) as f64).recip()),
            Kind::Exceedance(signal, soft) => (StepCost::Excess(*signal, *soft), self.factor),
            Kind::DegreeHours(p, above) => (StepCost::Above(p, *above), self.factor),
            Kind::Travel(signal) => (StepCost::Travel(*signal), self.factor),
            Kind::Moves(signal, _) => (StepCost::Moves(*signal), self.factor),
            Kind::Final(p) => (StepCost::Last(p), self.factor),
            _ => (StepCost::Other, self.factor),
        }
    }

    /// Narrows the soft limits in an exceedance KPI by the `margin` of the limited signal.
    pub fn narrow_limits(&mut self, margin: impl Fn(usize, Bounds) -> f64) {
        if let Kind::Exceedance(signal, soft) = &mut self.kind {
            *soft = soft.narrowed(margin(*signal, *soft));
        }
    }

    /// The rule by which the values in several periods are combined.
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

    /// An empty accumulator for a batch of `rows` rows.
    pub fn start(&self, rows: usize) -> Accumulator {
        let two = matches!(self.kind, Kind::Ratio(..) | Kind::FillRate(..));
        let window = if let Kind::Peak(_, window) = self.kind { Some(window) } else { None };
        Accumulator::new(rows, two, window)
    }

    /// Adds one completed frame with as many rows as `acc`. Values that are not finite are left out and counted as
    /// missing.
    pub fn add<F: Frame + ?Sized>(&self, acc: &mut Accumulator, frame: &F, registers: &mut Registers) {
        acc.steps += 1;
        let Accumulator { sum, denominator, known, x, y, peak, .. } = acc;
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
                tally_pair(x, y, sum, denominator, known);
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
                keep_latest(x, sum, known);
            }
            Kind::Terminal(terms) => {
                terms.eval(frame, x);
                keep_latest(x, sum, known);
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

    /// Writes the current value of each row, `[rows]`, in the KPI's unit. The value is NaN if no step has a known value
    /// yet, or if the denominator of a ratio is zero. The fill rate is 1 if there was no demand.
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
                    let zero_denominator = acc.denominator[r] == 0.0;
                    *out = match acc.known[r] > 0.0 {
                        true if zero_denominator => empty,
                        true => self.factor * acc.sum[r] / acc.denominator[r],
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
            .then(|| (acc.sum.iter().map(|v| self.factor * v).collect(), acc.denominator.clone()));
        Figures { values, ratio, missing: acc.missing() }
    }
}

/// Copies the finite values of `x` to `latest`.
fn keep_latest(x: &[f64], latest: &mut [f64], known: &mut [f64]) {
    for ((x, latest), known) in x.iter().zip(latest).zip(known) {
        if x.is_finite() {
            *latest = *x;
            *known += 1.0;
        }
    }
}

/// Absolute change in `signal` since the previous step, for each row.
fn moves<F: Frame + ?Sized>(frame: &F, signal: usize, out: &mut [f64]) {
    let (now, last) = (frame.column(signal, 0), frame.column(signal, 1));
    for ((out, now), last) in out.iter_mut().zip(now).zip(last) {
        *out = (now - last).abs();
    }
}

/// Evaluates `kpis` over `periods` of `trajectory`: `[kpis][particles]`.
///
/// Lagged values may come from before the start of a period, but not from before the start of its segment. A window of
/// a `peak` KPI never spans two periods.
pub fn evaluate(kpis: &[Kpi], trajectory: &Trajectory, periods: &[Range<usize>]) -> Vec<Vec<f64>> {
    figures(kpis, trajectory, periods).into_iter().map(|f| f.values).collect()
}

/// Like [`evaluate`], but also returns the figures required for annual values and for the report.
pub fn figures(kpis: &[Kpi], trajectory: &Trajectory, periods: &[Range<usize>]) -> Vec<Figures> {
    let mut registers = Registers::default();
    let mut accs: Vec<Accumulator> = kpis.iter().map(|k| k.start(trajectory.particles)).collect();
    for period in periods {
        let first = trajectory.segment_at(period.start).map_or(period.start, |s| s.start);
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

/// The contributions of the steps in `period` to a sum: `[steps × particles]`, NaN if a value is missing. `None` if
/// `kpi` is not a sum over steps.
pub fn by_step(kpi: &Kpi, trajectory: &Trajectory, period: Range<usize>) -> Option<Vec<f64>> {
    if kpi.kind() != KpiKind::Sum {
        return None;
    }
    let mut registers = Registers::default();
    let first = trajectory.segment_at(period.start).map_or(period.start, |s| s.start);
    let mut out = vec![f64::NAN; period.len() * trajectory.particles];
    for (t, row) in period.zip(out.chunks_mut(trajectory.particles.max(1))) {
        let mut acc = kpi.start(trajectory.particles);
        kpi.add(&mut acc, &trajectory.frame(t, first), &mut registers);
        kpi.value(&acc, row);
    }
    Some(out)
}
