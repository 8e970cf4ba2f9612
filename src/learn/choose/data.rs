//! The log, its split into training rows and hold-out, and the settings shared by all models.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::compute::Compute;
use crate::config::{ModelSpec, TimeSpan};
use crate::error::{Result, plural};
use crate::learn::dataset::Dataset;
use crate::learn::equations::Equations;
use crate::learn::layout::{Layout, Target};
use crate::learn::map::StepMap;
use crate::learn::regressor::Regressor;
use crate::learn::response::SignalMoments;
use crate::learn::split::Split;
use crate::trajectory::Trajectory;

/// Largest error at which an equation counts as exact, relative to the standard deviation of its state.
const EXACT: f64 = 1e-6;

/// The data and settings used to fit and evaluate every model.
pub struct TrainingData<'a> {
    /// The log, with constants and derived signals filled in ([`Equations::fill`]).
    pub log: &'a Trajectory,
    pub equations: &'a Equations,
    pub spec: &'a ModelSpec,
    pub compute: &'a Compute,
    pub split: Split,
    /// Statistics of each signal over the training rows: `[signals]`.
    pub(in crate::learn) moments: Vec<SignalMoments>,
    /// Control horizon in steps.
    pub horizon: usize,
}

/// The training rows and the hold-out rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSummary {
    pub train_rows: usize,
    pub train_start: Timestamp,
    /// End of the last training row.
    pub train_end: Timestamp,
    pub holdout_rows: usize,
    pub holdout_start: Timestamp,
    pub holdout_end: Timestamp,
    /// Control horizon in steps.
    pub horizon: usize,
}

impl<'a> TrainingData<'a> {
    /// Splits `log` as specified in `spec`.
    ///
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if the log is too short to split.
    pub fn new(
        log: &'a Trajectory,
        equations: &'a Equations,
        spec: &'a ModelSpec,
        compute: &'a Compute,
    ) -> Result<Self> {
        let step = TimeSpan::from_ms(log.step_ms);
        let split = Split::new(log, spec, step)?;
        let moments = (0..log.schema.len()).map(|s| SignalMoments::estimate(log, s, &split.train)).collect();
        Ok(Self { log, equations, spec, compute, split, moments, horizon: spec.horizon.steps(step, 1) })
    }
}

impl TrainingData<'_> {
    /// Name of the signal in column `signal`.
    pub(super) fn name(&self, signal: usize) -> &str {
        &self.log.schema.signals[signal].name
    }

    /// Returns a sentence that names the signal in `signals` with the fewest values in `rows`, or
    /// an empty string if no value is missing.
    pub(super) fn sparsest(&self, rows: &[Range<usize>], signals: impl Iterator<Item = usize>) -> String {
        let all: usize = rows.iter().map(Range::len).sum();
        let known =
            |s: &usize| rows.iter().flat_map(Clone::clone).filter(|t| self.log.at(*s, *t)[0].is_finite()).count();
        match signals.map(|s| (known(&s), s)).min() {
            Some((known, s)) if known < all => {
                format!(". `{}` has a value in only {known} of {}", self.name(s), plural(all, "row", "rows"))
            }
            _ => String::new(),
        }
    }

    /// The one-step map with `regressor` as its learned part.
    pub(in crate::learn) fn step_map(&self, layout: &Layout, regressor: Arc<dyn Regressor>) -> StepMap {
        StepMap {
            schema: self.log.schema.clone(),
            equations: self.equations.clone(),
            layout: layout.clone(),
            regressor,
        }
    }

    /// Returns the layout of a plant whose states all have known equations. The targets are the
    /// errors of the equations that do not reproduce the log. These errors are predicted as zero,
    /// so only their noise is estimated.
    pub(super) fn equation_errors(&self) -> Layout {
        let measured = |s: usize| !self.equations.is_computed(s) && self.moments[s].varies();
        let states = self.equations.next.iter().map(|n| n.signal).filter(|s| measured(*s));
        let candidates = Layout { inputs: Vec::new(), targets: states.map(Target::Residual).collect() };
        let set = Dataset::new(self.log, &candidates, self.equations);
        let rows = set.rows_in(&self.split.train);
        let is_exact = |(target, errors): &(&Target, &Vec<f64>)| {
            let largest = rows.iter().map(|r| errors[*r].abs()).fold(0.0, f64::max);
            largest <= EXACT * self.moments[target.signal()].sd
        };
        let pairs = candidates.targets.iter().zip(&set.y);
        let targets = pairs.filter(|pair| !is_exact(pair)).map(|(target, _)| *target).collect();
        Layout { inputs: Vec::new(), targets }
    }

    pub(super) fn summary(&self) -> SplitSummary {
        let count = |ranges: &[Range<usize>]| ranges.iter().map(Range::len).sum();
        let first = |ranges: &[Range<usize>]| self.log.time(ranges.first().map_or(0, |r| r.start));
        let end = |ranges: &[Range<usize>]| self.log.time(ranges.last().map_or(0, |r| r.end));
        let Split { train, holdout, .. } = &self.split;
        SplitSummary {
            train_rows: count(train),
            train_start: first(train),
            train_end: end(train),
            holdout_rows: count(holdout),
            holdout_start: first(holdout),
            holdout_end: end(holdout),
            horizon: self.horizon,
        }
    }
}
