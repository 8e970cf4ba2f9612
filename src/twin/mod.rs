//! The digital twin: dynamics with noise, members and an envelope of support.

mod artefact;
mod carry;
mod dynamics;
mod envelope;
mod linear;
mod marginal;
mod provenance;

use std::ops;
use std::sync::Arc;

use jiff::Timestamp;

pub use artefact::MODEL_FILE;
pub use dynamics::{Batch, Dynamics, Support};
pub use envelope::Envelope;
pub use provenance::{Provenance, config_hash};

use crate::error::Result;
use crate::expr::Program;
use crate::learn::{EpistemicLevel, EpistemicThresholds, Equations, NoiseModel, Particle, StepMap, StepScratch};
use crate::schema::{Bounds, Role, Schema};
use crate::stats::{quantile_higher, quantile_lower};
use crate::trajectory::{Frame, Trajectory, Window};

/// A learned plant: its one-step map, how wrong that map is, and where it may be trusted.
#[derive(Debug, Clone)]
pub struct Twin {
    pub map: StepMap,
    pub spread: NoiseModel,
    /// Where its own epistemic spread says that it must not be trusted.
    pub doubt: EpistemicThresholds,
    pub envelope: Envelope,
    /// 1st to 99th percentile of each signal over the training rows: `[signals]`.
    pub seen: Vec<Bounds>,
    /// Least to largest value of each signal over the training rows: `[signals]`.
    pub extremes: Vec<Bounds>,
    /// Sample time, milliseconds.
    pub step_ms: i64,
    /// Steps for which a state without a measurement may be carried by the model's own prediction.
    pub carry: usize,
    /// Steps ahead at which forecasts still beat persistence, per signal (`[signals]`, or empty: not known); see
    /// [`Dynamics::reach`].
    pub reach: Vec<Option<usize>>,
    pub provenance: Provenance,
}

impl Twin {
    /// A twin of a fitted map that does not doubt itself yet; `training`: the rows of `log` (1 particle) that it was fitted on.
    pub fn new(
        map: StepMap,
        spread: NoiseModel,
        log: &Trajectory,
        training: &[ops::Range<usize>],
        provenance: Provenance,
    ) -> Self {
        // Rows that share a forecast are of the same time.
        let apart = map.depth() + spread.calibration.sd.first().map_or(0, Vec::len);
        let envelope = Envelope::fit(log, training, &read_signals(&map), apart);
        Self { envelope, ..Self::unbounded(map, spread, log, training, provenance) }
    }

    /// A twin that finds every point inside its support.
    pub fn unbounded(
        map: StepMap,
        spread: NoiseModel,
        log: &Trajectory,
        training: &[ops::Range<usize>],
        provenance: Provenance,
    ) -> Self {
        let between = |share: f64| log.columns.iter().map(|c| between(c, training, share)).collect();
        let (seen, extremes) = (between(0.01), between(0.0));
        let (doubt, envelope) = (EpistemicThresholds::default(), Envelope::open());
        let (carry, reach) = (0, Vec::new());
        Self { map, spread, doubt, envelope, seen, extremes, step_ms: log.step_ms, carry, reach, provenance }
    }

    /// The same plant with other known equations: a scenario that changes parameters, or that gives a constant a course
    /// over time (and so takes it out of the equations' constants).
    #[must_use]
    pub fn with_equations(&self, equations: Equations) -> Self {
        let mut twin = self.clone();
        twin.map.equations = equations;
        twin
    }
}

/// The states, controls and disturbances that the model reads, in schema order; none when it learns nothing.
fn read_signals(map: &StepMap) -> Vec<usize> {
    let read = |s: &usize| {
        let role = map.schema.signals[*s].role;
        matches!(role, Role::State | Role::Control | Role::Disturbance) && map.layout.inputs.iter().any(|i| i.0 == *s)
    };
    if map.layout.targets.is_empty() { Vec::new() } else { (0..map.schema.len()).filter(read).collect() }
}

/// From the quantile `share` of a column's training rows to that of 1 − `share`.
fn between(column: &[f64], training: &[ops::Range<usize>], share: f64) -> Bounds {
    let rows = training.iter().cloned().flatten();
    let mut values: Vec<f64> = rows.filter_map(|t| column.get(t).copied()).filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return Bounds::OPEN;
    }
    values.sort_by(f64::total_cmp);
    Bounds { low: quantile_lower(&values, share), high: quantile_higher(&values, 1.0 - share) }
}

fn add(to: &mut [Vec<f64>], from: &[Vec<f64>], factor: f64) {
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

    /// One frame more than the map reads: [`Dynamics::begin`] needs it.
    fn depth(&self) -> usize {
        self.map.depth() + 1
    }

    fn members(&self) -> usize {
        if self.map.layout.targets.is_empty() { 1 } else { self.map.regressor.members().max(1) }
    }

    /// The noise starts from how wrong the map was, per particle, in the step that led to the present states: from nothing
    /// where the past of that step is not known.
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
            // An output belongs to the completed step, a state to the present one.
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
        add(noise, bias, -1.0);
        match key {
            Some(key) => self.spread.process.advance(noise, *key, window.steps() as u64),
            None => self.spread.process.decay(noise),
        }
        add(noise, bias, 1.0);
        self.map.step(window, particles, Some(noise), scratch);
    }

    /// The worse of what the distance to the training data and the model's own doubt say.
    fn support(&self, window: &Window) -> Vec<Support> {
        let mut labels = self.envelope.label(window);
        for (label, level) in labels.iter_mut().zip(self.doubt.levels(&self.map, window)) {
            *label = (*label).max(match level {
                EpistemicLevel::Normal => Support::Inside,
                EpistemicLevel::High => Support::Edge,
                EpistemicLevel::Extreme => Support::Outside,
            });
        }
        labels
    }

    fn carry(&self, log: &mut Trajectory, first: usize, row: usize) -> Result<Vec<usize>> {
        carry::carry(&self.map, log, first, row, self.carry)
    }

    fn derived(&self, signal: usize) -> Option<&Program> {
        let Equations { early, late, .. } = &self.map.equations;
        early.iter().chain(late).find(|d| d.signal == signal).map(|d| &d.program)
    }

    fn learns(&self, signal: usize) -> bool {
        self.map.layout.targets.iter().any(|t| t.signal() == signal)
    }

    fn reach(&self, signal: usize) -> Option<usize> {
        self.reach.get(signal).copied().flatten()
    }

    fn smooth(&self) -> bool {
        let (inputs, outputs) = self.map.regressor.shape();
        let (x, cotangent) = (vec![[].as_slice(); inputs], vec![Vec::new(); outputs]);
        outputs == 0 || self.map.regressor.vjp(&x, &[], &cotangent, &mut vec![Vec::new(); inputs])
    }

    fn linear(&self, signals: &[usize]) -> bool {
        self.is_linear(signals)
    }

    fn logged_range(&self, signal: usize) -> Bounds {
        self.seen.get(signal).copied().unwrap_or(Bounds::OPEN)
    }

    fn extremes(&self, signal: usize) -> Bounds {
        self.extremes.get(signal).copied().unwrap_or(Bounds::OPEN)
    }
}
