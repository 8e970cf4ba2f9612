//! A twin with recorded noise. With this noise, each ensemble member reproduces a logged period
//! exactly.
//!
//! A what-if run over a logged period is a counterfactual (Pearl, Causality, 2009), which has three steps:
//!
//! 1. Abduction (inferring the noise): [`RecordedTwin::recorder`] follows the measured run. At each step, each particle
//!    predicts the outputs and the next states from the present and past of this run. The noise is measured −
//!    predicted.
//! 2. Action: a case replaces the logged controls.
//! 3. Prediction: [`RecordedTwin::recorded`] adds the same noise in all cases.
//!
//! Noise is recorded for all targets of the model, and for the states with a known equation. If a measurement is
//! missing, the noise is zero, so the particle follows the prediction. After a gap, the noise of the step to the next
//! measurement contains the errors of all steps in the gap.
//!
//! The recorder adds the noise in the same way as the recorded twin. A replay of the logged controls therefore repeats
//! the operations of the recorder, and rounding errors do not accumulate, even if the plant is unstable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::dynamics::{Batch, Dynamics, Support};
use super::learned::Twin;
use crate::error::Result;
use crate::learn::StepScratch;
use crate::schema::{Bounds, Schema};
use crate::trajectory::{Frame, Trajectory, Window};

/// The noise of one step for each particle.
#[derive(Debug, Clone, Default)]
struct StepNoise {
    /// `[targets][particles]`.
    targets: Vec<Vec<f64>>,
    /// Noise of the states whose known equation has no learned residual: `[equations.next][particles]`. States with a
    /// learned residual have an empty column.
    known: Vec<Vec<f64>>,
}

#[derive(Debug)]
enum Noise<'a> {
    /// The noise is computed from `log` (1 particle), in which the run starts at row `past`.
    Recording { log: &'a Trajectory, past: usize, steps: Mutex<Vec<StepNoise>> },
    /// The recorded noise of each step.
    Recorded(Vec<StepNoise>),
    /// The recorded noise of the steps that are followed by a gap of the log. The noise of all other steps is drawn.
    AtGaps(BTreeMap<usize, StepNoise>),
}

/// A twin with recorded noise, which can be simulated only for the recorded steps and particles.
#[derive(Debug)]
pub struct RecordedTwin<'a> {
    twin: &'a Twin,
    noise: Noise<'a>,
}

impl<'a> RecordedTwin<'a> {
    /// A twin that follows `log` (1 particle), starting at row `past`, and records the noise of every step.
    pub fn recorder(twin: &'a Twin, log: &'a Trajectory, past: usize) -> Self {
        Self { twin, noise: Noise::Recording { log, past, steps: Mutex::default() } }
    }

    /// Converts a recorder to a twin with the noise that was recorded during a simulation.
    #[must_use]
    pub fn recorded(self) -> Self {
        let noise = match self.noise {
            Noise::Recording { steps, .. } => steps.into_inner().unwrap_or_else(PoisonError::into_inner),
            Noise::Recorded(steps) => steps,
            Noise::AtGaps(_) => Vec::new(),
        };
        Self { noise: Noise::Recorded(noise), ..self }
    }

    /// Replaces the recorded noise with the drawn noise of `twin`, except at `steps`. Each of these
    /// steps is followed by a gap of the log. At these steps, the recorded noise contains all
    /// changes of the plant during the gap.
    #[must_use]
    pub fn at_gaps(self, twin: &'a Twin, steps: &[usize]) -> Self {
        let Noise::Recorded(all) = self.noise else { return self };
        let noise = all.into_iter().enumerate().filter(|(t, _)| steps.contains(t)).collect();
        Self { twin, noise: Noise::AtGaps(noise) }
    }

    /// Computes the noise of the step from row `row` of `log` to the next row.
    fn measure(&self, batch: &mut Batch, log: &Trajectory, row: usize) -> StepNoise {
        let Batch { window, particles, scratch, .. } = batch;
        let map = &self.twin.map;
        let predict = |noise: &[Vec<f64>], scratch: &mut StepScratch| {
            let mut ahead = window.clone();
            map.step(&mut ahead, particles, Some(noise), scratch);
            ahead
        };
        let error = |ahead: &Window, signal: usize, is_next: bool| -> Vec<f64> {
            let row = row + usize::from(is_next);
            let measured = if row < log.steps { log.at(signal, row)[0] } else { f64::NAN };
            let errors = ahead.column(signal, usize::from(!is_next)).iter().map(|v| measured - v);
            errors.map(|e| if e.is_finite() { e } else { 0.0 }).collect()
        };
        let outputs = map.layout.targets.iter().any(|t| !t.is_next());
        let mut targets = vec![vec![0.0; window.rows()]; map.layout.targets.len()];
        let mut ahead = predict(&targets, scratch);
        let of = |targets: &mut [Vec<f64>], ahead: &Window, is_next: bool| {
            for (noise, target) in targets.iter_mut().zip(&map.layout.targets).filter(|(_, t)| t.is_next() == is_next) {
                *noise = error(ahead, target.signal(), is_next);
            }
        };
        of(&mut targets, &ahead, false);
        // Known equations may read the outputs, so they are evaluated again with the measured outputs.
        if outputs && !map.equations.next.is_empty() {
            ahead = predict(&targets, scratch);
        }
        of(&mut targets, &ahead, true);
        let is_target = |signal: usize| map.layout.targets.iter().any(|t| t.is_next() && t.signal() == signal);
        let known = map.equations.next.iter().map(|n| match n.has_residual || is_target(n.signal) {
            true => Vec::new(),
            false => error(&ahead, n.signal, true),
        });
        StepNoise { targets, known: known.collect() }
    }

    /// Simulates one step with the given noise.
    fn add(&self, batch: &mut Batch, noise: &StepNoise) {
        let Batch { window, particles, scratch, .. } = batch;
        self.twin.map.step(window, particles, Some(&noise.targets), scratch);
        for (equation, noise) in self.twin.map.equations.next.iter().zip(&noise.known) {
            window.column_mut(equation.signal, 0).iter_mut().zip(noise).for_each(|(v, e)| *v += e);
        }
    }
}

impl Dynamics for RecordedTwin<'_> {
    fn schema(&self) -> &Arc<Schema> {
        self.twin.schema()
    }

    fn step_ms(&self) -> i64 {
        self.twin.step_ms()
    }

    fn depth(&self) -> usize {
        self.twin.depth()
    }

    fn members(&self) -> usize {
        self.twin.members()
    }

    fn begin(&self, batch: &mut Batch) {
        if matches!(self.noise, Noise::AtGaps(_)) {
            self.twin.begin(batch);
        }
    }

    fn observe(&self, batch: &mut Batch) {
        self.twin.observe(batch);
    }

    fn step(&self, batch: &mut Batch) {
        let t = batch.window.steps();
        match &self.noise {
            Noise::Recording { log, past, steps } => {
                let noise = self.measure(batch, log, past + t);
                self.add(batch, &noise);
                steps.lock().unwrap_or_else(PoisonError::into_inner).push(noise);
            }
            Noise::Recorded(steps) => match steps.get(t) {
                Some(noise) => self.add(batch, noise),
                None => self.twin.map.step(&mut batch.window, &batch.particles, None, &mut batch.scratch),
            },
            Noise::AtGaps(steps) => match steps.get(&t) {
                Some(noise) => self.add(batch, noise),
                None => self.twin.step(batch),
            },
        }
    }

    /// Returns the support labels of the twin. A recorder labels every row as inside, because its labels are not used.
    fn support(&self, window: &Window) -> Vec<Support> {
        match self.noise {
            Noise::Recording { .. } => vec![Support::Inside; window.rows()],
            Noise::Recorded(_) | Noise::AtGaps(_) => self.twin.support(window),
        }
    }

    fn carry(&self, log: &mut Trajectory, first: usize, row: usize) -> Result<Vec<usize>> {
        self.twin.carry(log, first, row)
    }

    fn logged_range(&self, signal: usize) -> Bounds {
        self.twin.logged_range(signal)
    }

    fn extremes(&self, signal: usize) -> Bounds {
        self.twin.extremes(signal)
    }
}
