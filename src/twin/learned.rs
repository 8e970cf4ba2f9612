//! The digital twin: a plant with a learned model.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::carry::carry;
use super::dynamics::{Batch, Dynamics, Support};
use super::envelope::Envelope;
use super::provenance::Provenance;
use crate::error::Result;
use crate::expr::Program;
use crate::learn::{EpistemicLevel, EpistemicThresholds, Equations, NoiseModel, Particle, StepMap, StepScratch};
use crate::schema::{Bounds, Role, Schema};
use crate::stats::{quantile_higher, quantile_lower};
use crate::trajectory::{Frame, Trajectory, Window};

/// A plant with a learned model: a one-step map, its noise model, and the support in which the map is reliable.
#[derive(Debug, Clone)]
pub struct Twin {
    pub map: StepMap,
    pub noise_model: NoiseModel,
    /// Thresholds on the epistemic uncertainty of the model.
    pub epistemic: EpistemicThresholds,
    pub envelope: Envelope,
    /// Range from the 1st to the 99th percentile of each signal over the training rows: `[signals]`.
    pub logged_ranges: Vec<Bounds>,
    /// Minimum and maximum of each signal over the training rows: `[signals]`.
    pub extremes: Vec<Bounds>,
    /// Sample time in milliseconds.
    pub step_ms: i64,
    /// Maximum number of steps for which predictions may replace a missing state.
    pub carry: usize,
    /// Skill horizon of each signal, as returned by [`Dynamics::skill_horizon`]: `[signals]`. Empty if unknown.
    pub skill_horizons: Vec<Option<usize>>,
    pub provenance: Provenance,
}

impl Twin {
    /// Creates a twin with unlimited support, which labels every row as inside the support.
    /// `training` contains the rows of `log` (1 particle) to which `map` was fitted.
    pub fn new(
        map: StepMap,
        noise_model: NoiseModel,
        log: &Trajectory,
        training: &[Range<usize>],
        provenance: Provenance,
    ) -> Self {
        let ranges = |share: f64| log.columns.iter().map(|c| quantile_range(c, training, share)).collect();
        Self {
            map,
            noise_model,
            epistemic: EpistemicThresholds::default(),
            envelope: Envelope::unlimited(),
            logged_ranges: ranges(0.01),
            extremes: ranges(0.0),
            step_ms: log.step_ms,
            carry: 0,
            skill_horizons: Vec::new(),
            provenance,
        }
    }

    /// Returns the twin with its support limited to the envelope of the training rows of `log`.
    #[must_use]
    pub fn with_envelope(self, log: &Trajectory, training: &[Range<usize>]) -> Self {
        // Two rows belong to the same period if their forecasts overlap.
        let apart = self.map.depth() + self.noise_model.calibration.sd.first().map_or(0, Vec::len);
        Self { envelope: Envelope::fit(log, training, &input_signals(&self.map), apart), ..self }
    }

    /// The states, controls and disturbances that the model reads, in schema order. Empty if no signal is learned.
    pub fn inputs(&self) -> Vec<usize> {
        input_signals(&self.map)
    }

    /// Returns the twin with its known equations replaced, for scenarios that change parameters or replace a constant
    /// by a time series.
    #[must_use]
    pub fn with_equations(&self, equations: Equations) -> Self {
        let mut twin = self.clone();
        twin.map.equations = equations;
        twin
    }
}

/// The states, controls and disturbances that the model reads, in schema order. Empty if no signal is learned.
fn input_signals(map: &StepMap) -> Vec<usize> {
    let read = |s: &usize| {
        let role = map.schema.signals[*s].role;
        matches!(role, Role::State | Role::Control | Role::Disturbance) && map.layout.inputs.iter().any(|i| i.0 == *s)
    };
    if map.layout.targets.is_empty() { Vec::new() } else { (0..map.schema.len()).filter(read).collect() }
}

/// The range from the `share` quantile to the 1 − `share` quantile of a column over the training rows.
fn quantile_range(column: &[f64], training: &[Range<usize>], share: f64) -> Bounds {
    let rows = training.iter().cloned().flatten();
    let mut values: Vec<f64> = rows.filter_map(|t| column.get(t).copied()).filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return Bounds::OPEN;
    }
    values.sort_by(f64::total_cmp);
    Bounds { low: quantile_lower(&values, share), high: quantile_higher(&values, 1.0 - share) }
}

fn add_scaled(to: &mut [Vec<f64>], from: &[Vec<f64>], factor: f64) {
    for (to, from) in to.iter_mut().zip(from) {
        to.iter_mut().zip(from).for_each(|(a, b)| *a += factor * b);
    }
}

impl Dynamics for Twin {
    fn schema(&self) -> &Arc<Schema> {
        &self.map.schema
    }

    fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// Number of frames: one more than the map reads, because [`Dynamics::begin`] repeats the last prediction.
    fn depth(&self) -> usize {
        self.map.depth() + 1
    }

    fn members(&self) -> usize {
        if self.map.layout.targets.is_empty() { 1 } else { self.map.regressor.members().max(1) }
    }

    /// The noise of each particle starts at the error of the map in the step that led to the current states, or at zero
    /// if the inputs of that step are unknown.
    fn begin(&self, batch: &mut Batch) {
        let Batch { window, particles, noise, .. } = batch;
        *noise = vec![vec![0.0; particles.len()]; self.map.layout.targets.len()];
        if noise.is_empty() || window.known() < self.depth() {
            return;
        }
        let signals = self.map.schema.len();
        let before = window.time().as_millisecond().saturating_sub(self.step_ms);
        let before = Timestamp::from_millisecond(before).unwrap_or(Timestamp::MIN);
        let mut past = Window::new(signals, self.map.depth().max(2), particles.len(), before, self.step_ms);
        for lag in 0..past.depth() {
            for s in 0..signals {
                let (from, to) = (window.column(s, lag + 1), past.column_mut(s, lag));
                to.iter_mut().zip(particles.iter()).for_each(|(v, p)| *v = from[p.rows.start]);
            }
        }
        let rows: Vec<Particle> =
            particles.iter().enumerate().map(|(i, p)| Particle { member: p.member, rows: i..i + 1 }).collect();
        let mut scratch = StepScratch::default();
        self.map.observe(&mut past, &mut scratch);
        self.map.step(&mut past, &rows, None, &mut scratch);
        for (noise, target) in noise.iter_mut().zip(&self.map.layout.targets) {
            // The most recent step computed the outputs of the previous frame and the states of the current frame.
            let (signal, lag) = (target.signal(), usize::from(!target.is_next()));
            let (measured, predicted) = (window.column(signal, lag), past.column(signal, lag));
            for (i, e) in noise.iter_mut().enumerate() {
                let error = measured[particles[i].rows.start] - predicted[i];
                *e = if error.is_finite() { error } else { 0.0 };
            }
        }
    }

    fn observe(&self, batch: &mut Batch) {
        self.map.observe(&mut batch.window, &mut batch.scratch);
    }

    fn step(&self, batch: &mut Batch) {
        let Batch { window, particles, key, noise, bias, scratch } = batch;
        let targets = self.map.layout.targets.len();
        if noise.len() != targets {
            *noise = vec![vec![0.0; particles.len()]; targets];
        }
        add_scaled(noise, bias, -1.0);
        match key {
            Some(key) => self.noise_model.process.advance(noise, *key, window.steps() as u64),
            None => self.noise_model.process.decay(noise),
        }
        add_scaled(noise, bias, 1.0);
        self.map.step(window, particles, Some(noise), scratch);
    }

    /// Returns the worse of two labels: one from the distance to the training data, and one from the epistemic
    /// uncertainty of the model.
    fn support(&self, window: &Window) -> Vec<Support> {
        let mut labels = self.envelope.label(window);
        for (label, level) in labels.iter_mut().zip(self.epistemic.levels(&self.map, window)) {
            *label = (*label).max(match level {
                EpistemicLevel::Normal => Support::Inside,
                EpistemicLevel::High => Support::Edge,
                EpistemicLevel::Extreme => Support::Outside,
            });
        }
        labels
    }

    fn carry(&self, log: &mut Trajectory, first: usize, row: usize) -> Result<Vec<usize>> {
        carry(&self.map, log, first, row, self.carry)
    }

    fn derived(&self, signal: usize) -> Option<&Program> {
        self.map.equations.derived_program(signal)
    }

    fn is_learned(&self, signal: usize) -> bool {
        self.map.learned().any(|s| s == signal)
    }

    fn is_differentiable(&self) -> bool {
        self.map.layout.targets.is_empty() || self.map.regressor.is_differentiable()
    }

    fn map(&self) -> Option<&StepMap> {
        Some(&self.map)
    }

    fn skill_horizon(&self, signal: usize) -> Option<usize> {
        // A known balance is exact; only the learned signals in the balance are uncertain.
        let is_known = self.map.equations.next.iter().any(|n| n.signal == signal) || !self.is_learned(signal);
        self.skill_horizons.get(signal).copied().flatten().filter(|_| !is_known)
    }

    fn forecast_error(&self, signal: usize, steps: usize) -> f64 {
        let calibration = &self.noise_model.calibration;
        let is_target = self.map.layout.targets.iter().any(|t| t.signal() == signal);
        let scored = calibration.signals.iter().position(|s| *s == signal).filter(|_| is_target);
        scored.map_or(0.0, |k| calibration.sd_at(k, steps))
    }

    fn logged_range(&self, signal: usize) -> Bounds {
        self.logged_ranges.get(signal).copied().unwrap_or(Bounds::OPEN)
    }

    fn extremes(&self, signal: usize) -> Bounds {
        self.extremes.get(signal).copied().unwrap_or(Bounds::OPEN)
    }
}
