//! What a controller and the simulation see of a plant.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::expr::Program;
use crate::learn::{Particle, StepScratch};
use crate::rng::Key;
use crate::schema::{Bounds, Schema};
use crate::trajectory::{Frame, Trajectory, Window};

/// A running batch: its window, its particles, their noise.
#[derive(Debug)]
pub struct Batch {
    pub window: Window,
    pub particles: Vec<Particle>,
    /// `None`: no noise.
    pub key: Option<Key>,
    /// Noise of the last step per target and particle (it is correlated in time).
    pub noise: Vec<Vec<f64>>,
    /// What the noise fades to, per target and particle: how wrong the model has lately been on average. Empty: zero.
    pub bias: Vec<Vec<f64>>,
    pub scratch: StepScratch,
}

impl Batch {
    /// One row per particle; particle `p` follows member `p mod members`.
    pub fn particles(window: Window, members: usize, key: Key) -> Self {
        let rows = window.rows();
        let particles = (0..rows).map(|p| Particle { member: Some(p % members.max(1)), rows: p..p + 1 }).collect();
        Self { window, particles, key: Some(key), noise: Vec::new(), bias: Vec::new(), scratch: StepScratch::default() }
    }

    /// All rows are candidates of each of `particles` futures: row `p * candidates + c`.
    pub fn candidates(window: Window, particles: usize, members: usize, key: Option<Key>) -> Self {
        let candidates = window.rows() / particles.max(1);
        let particles = (0..particles)
            .map(|p| Particle {
                member: (particles > 1).then_some(p % members.max(1)),
                rows: p * candidates..(p + 1) * candidates,
            })
            .collect();
        Self { window, particles, key, noise: Vec::new(), bias: Vec::new(), scratch: StepScratch::default() }
    }
}

/// How near a point lies to what the model was trained on (SUP-1): leave-one-out nearest-neighbour distance of the
/// training data, up to its 95th percentile inside, up to its 99th at the edge, beyond that outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    Inside,
    Edge,
    Outside,
}

/// A plant that can be stepped: a learned twin, or known equations.
pub trait Dynamics: Send + Sync {
    fn schema(&self) -> &Arc<Schema>;
    /// Sample time, milliseconds.
    fn step_ms(&self) -> i64;
    /// Frames of past that a step reads, the present one included.
    fn depth(&self) -> usize;
    /// Distinct plausible plants (1: only the mean).
    fn members(&self) -> usize;
    /// Sets the noise of a batch whose window ends in known states, before its first step. Plants without noise do
    /// nothing.
    fn begin(&self, _batch: &mut Batch) {}
    /// Fills what is known of the current frame before the controls are: constants, early derived signals.
    fn observe(&self, batch: &mut Batch);
    /// Completes the current frame from its states, controls and disturbances, advances the window, and writes the
    /// next states. The caller writes the next disturbances and controls.
    fn step(&self, batch: &mut Batch);
    /// Support of every row of `window`'s current frame.
    fn support(&self, window: &Window) -> Vec<Support>;
    /// Fills states that are missing in rows `first ..= row` of `log` (1 particle) with the plant's own predictions, as long
    /// as it may: steps up to `row` that are carried, `[signals]`. Plants that predict nothing do nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] when a state has been missing for longer than it may be carried.
    fn carry(&self, log: &mut Trajectory, _first: usize, _row: usize) -> Result<Vec<usize>> {
        Ok(vec![0; log.schema.len()])
    }
    /// The expression of a derived signal.
    fn derived(&self, _signal: usize) -> Option<&Program> {
        None
    }
    /// Whether what follows of a signal is learned from the log (else known).
    fn learns(&self, _signal: usize) -> bool {
        false
    }
    /// Whether small changes of the controls make small changes of what follows, so that slopes tell something.
    fn smooth(&self) -> bool {
        false
    }
    /// Whether all states and outputs, and the given signals, are affine functions of past states and of the controls.
    fn linear(&self, _signals: &[usize]) -> bool {
        false
    }
    /// Largest horizon, in steps, at which forecasts of a signal beat persistence on hold-out; `None`: as far as they were
    /// scored, or they were not.
    fn reach(&self, _signal: usize) -> Option<usize> {
        None
    }
    /// What the log has seen of a signal, 1st to 99th percentile.
    fn logged_range(&self, signal: usize) -> Bounds;
    /// The least and the largest value that the log has seen of a signal.
    fn extremes(&self, signal: usize) -> Bounds {
        self.logged_range(signal)
    }
    /// A quarter more than what the log has ever seen of a signal, on both ends.
    fn widened_range(&self, signal: usize) -> Bounds {
        let Bounds { low, high } = self.extremes(signal);
        let more = 0.25 * (high - low);
        if more.is_finite() { Bounds { low: low - more, high: high + more } } else { Bounds::OPEN }
    }
}
