//! The estimator records the past of the plant at the steps of the twin, and replaces missing values by estimates.

pub mod collected;
pub mod past;

use jiff::Timestamp;

use self::collected::Collected;
use self::past::Past;
use super::limits::ControlLimits;
use super::protocol::flag::{Flag, FlagKind};
use super::protocol::tags::Tags;
use crate::control::mpc::ResolvedMpc;
use crate::scenario::{Compiled, Plant};
use crate::schema::Role;
use crate::twin::Dynamics;

/// Relative tolerance by which an applied control may exceed its hard limit. Plants that compute in single precision
/// can exceed their limits by rounding errors of about 1e-7.
const LIMIT_TOLERANCE: f64 = 1e-6;

/// The estimated state of the plant.
pub struct Estimator<'a> {
    plant: &'a Plant,
    compiled: &'a Compiled,
    mpc: ResolvedMpc,
    pub past: Past,
    collected: Collected,
    /// Values in the newest line, one per signal.
    pub values: Vec<f64>,
    /// Control values currently in force; NaN if unknown.
    pub in_force: Vec<f64>,
    /// Control values in force before the current step; NaN if unknown.
    pub before_step: Vec<f64>,
    /// The twin's prediction that starts from the current step, with one value per signal.
    pub predicted: Vec<f64>,
    /// Number of consecutive steps without a measurement, for each signal.
    missing: Vec<usize>,
    /// Last value of each signal, and the number of lines since the value changed.
    unchanged: Vec<(f64, i64)>,
}

/// Describes the replacement of missing states at the current step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Whether a state has been missing for so long that predictions of the twin may no longer replace it.
    pub lost: bool,
    /// Whether a state was measured again after predictions of the twin had replaced missing measurements.
    pub recovered: bool,
}

impl<'a> Estimator<'a> {
    pub fn new(plant: &'a Plant, compiled: &'a Compiled, mpc: ResolvedMpc, controls: usize) -> Self {
        let signals = plant.schema.len();
        Self {
            past: Past::new(plant, &mpc, None),
            plant,
            compiled,
            mpc,
            collected: Collected::new(signals),
            values: vec![f64::NAN; signals],
            in_force: vec![f64::NAN; controls],
            before_step: vec![f64::NAN; controls],
            predicted: vec![f64::NAN; signals],
            missing: vec![0; signals],
            unchanged: vec![(f64::NAN, 0); signals],
        }
    }

    /// Starts a new run at `start`, or at the end of the log if `start` is `None`. Returns the start of the run.
    pub fn begin(&mut self, start: Option<Timestamp>) -> Timestamp {
        self.past = Past::new(self.plant, &self.mpc, start);
        self.collected.clear();
        self.in_force.fill(f64::NAN);
        self.before_step.fill(f64::NAN);
        self.predicted.fill(f64::NAN);
        self.missing.fill(0);
        self.unchanged.fill((f64::NAN, 0));
        self.past.begin()
    }

    /// Discards all steps after the first `rows` steps.
    pub fn rewind(&mut self, rows: usize) {
        self.past.truncate(rows);
        self.collected.clear();
    }

    /// Adds the values of a line to the current step. Corrects applied controls that are outside the hard limits, and
    /// drops the values of stuck sensors. `after_start` is `false` for the first line of a run. `dt_ms` is the number
    /// of milliseconds between lines.
    pub fn collect(
        &mut self,
        tags: &Tags,
        limits: &ControlLimits,
        after_start: bool,
        dt_ms: i64,
        flags: &mut Vec<Flag>,
    ) {
        for (force, &c) in self.in_force.iter_mut().zip(&limits.controls) {
            if self.values[c].is_finite() {
                let hard = self.plant.schema.signals[c].hard;
                let clamped = hard.clamp(self.values[c]);
                if hard.excess(self.values[c]) > LIMIT_TOLERANCE * clamped.abs().max(1.0) {
                    // A control value outside the hard limits cannot have been applied, so the value in the last answer
                    // is a better estimate.
                    flags.push(Flag::value(FlagKind::Applied, &self.plant.schema.signals[c].name));
                    self.values[c] = if force.is_finite() { *force } else { clamped };
                } else {
                    self.values[c] = clamped;
                }
                *force = self.values[c];
            }
        }
        for tag in &tags.list {
            let (value, last) = (&mut self.values[tag.signal], &mut self.unchanged[tag.signal]);
            *last = if *value == last.0 { (last.0, last.1 + 1) } else { (*value, 0) };
            if tag.mapping.is_stuck(last.1.saturating_mul(dt_ms).saturating_mul(1_000)) {
                *value = f64::NAN;
                flags.push(Flag::value(FlagKind::Stuck, tag.column()));
            }
            if tag.role != Role::Control {
                self.collected.add(tag.signal, *value);
            }
        }
        if after_start {
            for (&c, force) in limits.controls.iter().zip(&self.in_force) {
                self.collected.add(c, *force);
            }
        }
    }

    /// Completes the step that has just ended, estimates the values of skipped steps, and starts step `row` of the run.
    pub fn advance(&mut self, row: usize, tags: &Tags, limits: &ControlLimits, flags: &mut Vec<Flag>) -> Filled {
        let equations = &self.compiled.equations;
        if self.past.rows() > 0 {
            for tag in &tags.list {
                let value = match tag.role {
                    Role::Control => self.collected.mean(tag.signal),
                    Role::Output => Some(self.collected.resampled(tag))
                        .filter(|v| v.is_finite())
                        .unwrap_or(self.predicted[tag.signal]),
                    _ => continue,
                };
                if value.is_finite() {
                    self.past.set(tag.signal, 0, value);
                }
            }
            self.past.derive(equations, 0, true);
        }
        while self.past.rows() < row {
            self.past.push(equations);
            self.fill(tags, None);
            let held = limits.held(&self.past, &self.in_force);
            limits.write(&mut self.past, &held);
            self.predict();
            self.past.derive(equations, 0, true);
        }
        self.past.push(equations);
        let filled = self.fill(tags, Some(flags));
        self.collected.clear();
        self.before_step.clone_from(&self.in_force);
        let states = || tags.with_role(Role::State);
        if states().any(|t| !self.past.value(t.signal, 0).is_finite()) {
            self.past.skip();
        } else if states().all(|t| self.missing[t.signal] == 0) {
            self.past.count_measured();
        }
        filled
    }

    /// Updates the prediction that starts from the current step. The controls of this step must already be known.
    pub fn predict(&mut self) {
        self.predicted = self.past.predict(&self.plant.twin);
    }

    /// Writes the collected values into the newest row. Missing values are replaced by predictions or by the most
    /// recent values. If `flags` is `None`, the plant sent no line for the step, so all values of the step are missing.
    fn fill(&mut self, tags: &Tags, mut flags: Option<&mut Vec<Flag>>) -> Filled {
        let mut filled = Filled::default();
        for tag in &tags.list {
            if matches!(tag.role, Role::Control | Role::Output) {
                continue;
            }
            let s = tag.signal;
            let value = if flags.is_some() { self.collected.resampled(tag) } else { f64::NAN };
            if value.is_finite() {
                filled.recovered |= tag.role == Role::State && self.missing[s] > 0;
                self.missing[s] = 0;
                self.past.set(s, 0, value);
                continue;
            }
            self.missing[s] += 1;
            if let Some(flags) = flags.as_deref_mut()
                && !flags.iter().any(|f| f.name == tag.column())
            {
                flags.push(Flag::value(FlagKind::Missing, tag.column()));
            }
            let substitute = self.substitute(s, tag.role);
            self.past.set(s, 0, substitute);
            filled.lost |=
                tag.role == Role::State && (self.missing[s] > self.plant.twin.carry || !substitute.is_finite());
        }
        self.past.derive(&self.compiled.equations, 0, false);
        filled
    }

    /// Returns the substitute for a missing value: the twin's prediction for a state, the last value for any other
    /// signal.
    fn substitute(&mut self, signal: usize, role: Role) -> f64 {
        let predicted = self.predicted[signal];
        if role != Role::State || !predicted.is_finite() {
            return self.past.value(signal, 1);
        }
        // A model that runs without measurements may drift out of the logged range. Plans must not start from a state
        // far outside the logged range.
        let range = self.plant.twin.widened_range(signal);
        if !range.contains(predicted) {
            self.missing[signal] = self.missing[signal].max(self.plant.twin.carry + 1);
        }
        range.clamp(predicted)
    }
}
