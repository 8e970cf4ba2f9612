//! The interface through which controllers and simulations access a plant.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::expr::Program;
use crate::learn::{Particle, StepMap, StepScratch};
use crate::rng::Key;
use crate::schema::{Bounds, Schema};
use crate::trajectory::{Frame, Trajectory, Window};

/// A batch of rows simulated together, with their window, particles and noise.
#[derive(Debug)]
pub struct Batch {
    pub window: Window,
    pub particles: Vec<Particle>,
    /// Random key from which the noise is drawn; `None` for a simulation without noise.
    pub key: Option<Key>,
    /// Noise of the previous step, `[targets][particles]`. Because noise is correlated in time, the
    /// noise of the next step depends on the noise of the previous step.
    pub noise: Vec<Vec<f64>>,
    /// Mean of the recent model errors, towards which the noise decays: `[targets][particles]`. If `bias` is empty, all
    /// means are zero.
    pub bias: Vec<Vec<f64>>,
    pub scratch: StepScratch,
}

impl Batch {
    /// A batch with one row per particle. Particle `p` uses ensemble member `p mod members`.
    pub fn particles(window: Window, members: usize, key: Key) -> Self {
        let rows = window.rows();
        let particles = (0..rows).map(|p| Particle { member: Some(p % members.max(1)), rows: p..p + 1 }).collect();
        Self::new(window, particles, Some(key))
    }

    /// A batch in which every candidate control sequence is simulated with every particle. Candidate `c` of particle
    /// `p` is in row `p * candidates + c`.
    pub fn candidates(window: Window, particles: usize, members: usize, key: Option<Key>) -> Self {
        let candidates = window.rows() / particles.max(1);
        let particles = (0..particles)
            .map(|p| Particle {
                member: (particles > 1).then_some(p % members.max(1)),
                rows: p * candidates..(p + 1) * candidates,
            })
            .collect();
        Self::new(window, particles, key)
    }

    fn new(window: Window, particles: Vec<Particle>, key: Option<Key>) -> Self {
        Self { window, particles, key, noise: Vec::new(), bias: Vec::new(), scratch: StepScratch::default() }
    }
}

/// Whether a point is close to the training data (SUP-1); see [`super::envelope::Envelope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The distance to the training data is at most the 95th percentile of the distances among the training data.
    Inside,
    /// The distance to the training data is between the 95th and the 99th percentile of the
    /// distances among the training data.
    Edge,
    /// The distance to the training data is above the 99th percentile of the distances among the training data.
    Outside,
}

impl Support {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Edge => "edge",
            Self::Outside => "outside",
        }
    }
}

/// A plant that can be simulated step by step: a learned twin, or known equations.
pub trait Dynamics: Send + Sync {
    fn schema(&self) -> &Arc<Schema>;
    /// Sample time in milliseconds.
    fn step_ms(&self) -> i64;
    /// Number of frames read in a simulation step, including the current frame.
    fn depth(&self) -> usize;
    /// Number of ensemble members; 1 if the model is not an ensemble.
    fn members(&self) -> usize;
    /// Initialises the noise of a batch before its first step. The states in the last frame of the window must be
    /// known. Does nothing if the plant has no noise.
    fn begin(&self, _batch: &mut Batch) {}
    /// Writes the constants, and the derived signals that do not depend on controls, into the current frame.
    fn observe(&self, batch: &mut Batch);
    /// Completes the current frame from its states, controls and disturbances, advances the window, and writes the next
    /// states. After this call, the caller must write the disturbances and controls of the next step.
    fn step(&self, batch: &mut Batch);
    /// Support of every row of the current frame.
    fn support(&self, window: &Window) -> Vec<Support>;
    /// Replaces missing states in rows `first..=row` of `log` (1 particle) by predictions. Returns the number of
    /// consecutive replaced values of each signal up to `row`: `[signals]`. Does nothing if the states cannot be
    /// predicted.
    ///
    /// # Errors
    /// Returns [`crate::error::Error::Data`] if a state has been missing for more steps than
    /// predictions may replace.
    fn carry(&self, log: &mut Trajectory, _first: usize, _row: usize) -> Result<Vec<usize>> {
        Ok(vec![0; log.schema.len()])
    }
    /// The expression of a derived signal; `None` for other signals.
    fn derived(&self, _signal: usize) -> Option<&Program> {
        None
    }
    /// The signals in `signals`, and all signals that affect `signals` through the equations of
    /// derived signals.
    fn sources(&self, signals: &[usize]) -> BTreeSet<usize> {
        let mut open = signals.to_vec();
        let mut found = BTreeSet::new();
        while let Some(signal) = open.pop() {
            if found.insert(signal) {
                let read = self.derived(signal).map_or(&[][..], |program| &program.reads);
                open.extend(read.iter().map(|(s, _)| *s));
            }
        }
        found
    }
    /// Whether a signal is predicted by a learned model and not computed from known equations.
    fn is_learned(&self, _signal: usize) -> bool {
        false
    }
    /// Whether predictions are differentiable with respect to the controls.
    fn is_differentiable(&self) -> bool {
        false
    }
    /// The one-step map of the plant, from which planners derive exact models; `None` if the plant
    /// has no one-step map.
    fn map(&self) -> Option<&StepMap> {
        None
    }
    /// Largest horizon, in steps, at which forecasts of a signal beat persistence on the hold-out. `None` if the
    /// forecasts beat persistence at all scored horizons, or if the signal was not scored or has a known equation.
    fn skill_horizon(&self, _signal: usize) -> Option<usize> {
        None
    }
    /// Standard deviation of the model's forecast errors of a learned signal `steps` steps ahead; 0
    /// if the signal is not learned, or if the errors are unknown.
    fn forecast_error(&self, _signal: usize, _steps: usize) -> f64 {
        0.0
    }
    /// The range from the 1st to the 99th percentile of a signal in the training data.
    fn logged_range(&self, signal: usize) -> Bounds;
    /// The minimum and the maximum of a signal in the training data.
    fn extremes(&self, signal: usize) -> Bounds {
        self.logged_range(signal)
    }
    /// The range [`Dynamics::extremes`], extended at each end by 25 % of its width (not tuned).
    fn widened_range(&self, signal: usize) -> Bounds {
        let Bounds { low, high } = self.extremes(signal);
        let more = 0.25 * (high - low);
        if more.is_finite() { Bounds { low: low - more, high: high + more } } else { Bounds::OPEN }
    }
}
