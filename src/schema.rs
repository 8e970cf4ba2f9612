//! The ordered list of a twin's signals, which maps names to column indices.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Unit;

/// The role of a signal in the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// State x: its value is known at the start of a step, and the twin predicts its value at the next step.
    State,
    /// Output y: measured over a step, such as a controlled variable or a meter reading. The twin predicts outputs from
    /// x, u and d.
    Output,
    /// Control u: a manipulated variable, set by staff or by a controller.
    Control,
    /// Disturbance d: measured but not controllable. Simulations replay the logged values of a disturbance or change
    /// them according to the scenario. Controllers may have a forecast of a disturbance.
    Disturbance,
    /// Target value set by the operator. Controllers read set-points, but learned models never do.
    Setpoint,
    /// Computed from other signals by an expression at every step.
    Derived,
}

impl Role {
    /// The name in `twin.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Output => "output",
            Self::Control => "control",
            Self::Disturbance => "disturbance",
            Self::Setpoint => "setpoint",
            Self::Derived => "derived",
        }
    }
}

/// A lower and an upper bound, which are infinite if there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    pub const OPEN: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    pub fn contains(&self, v: f64) -> bool {
        v >= self.low && v <= self.high
    }

    pub fn clamp(&self, v: f64) -> f64 {
        v.max(self.low).min(self.high)
    }

    /// The range, narrowed by `margin` at both ends.
    pub fn narrowed(self, margin: f64) -> Self {
        Self { low: self.low + margin, high: self.high - margin }
    }

    /// The amount by which `v` is outside the bounds; zero if `v` is within the bounds.
    pub fn excess(&self, v: f64) -> f64 {
        (v - self.high).max(self.low - v).max(0.0)
    }
}

/// Largest decrease and largest increase of a control per step; infinite if there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MoveLimit {
    pub down: f64,
    pub up: f64,
}

impl MoveLimit {
    pub const NONE: Self = Self { down: f64::INFINITY, up: f64::INFINITY };

    /// A move limit that is the same for decreases and increases.
    pub fn both(size: f64) -> Self {
        Self { down: size, up: size }
    }

    /// The range of values that a control can reach from `last` in one move; unlimited if `last` is not finite.
    pub fn reach(&self, last: f64) -> Bounds {
        if last.is_finite() { Bounds { low: last - self.down, high: last + self.up } } else { Bounds::OPEN }
    }

    /// The limit on the total change over `n` steps.
    pub fn times(&self, n: f64) -> Self {
        Self { down: self.down * n, up: self.up * n }
    }
}

/// The on/off behaviour of a control that is either 0 (off) or at least `least` (on).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Switching {
    /// Smallest value while the control is on. If `least` is 0, the control has no off state, and `run` and `stop` do
    /// not apply.
    pub least: f64,
    /// Minimum on-time, in steps.
    pub run: usize,
    /// Minimum off-time, in steps.
    pub stop: usize,
}

impl Switching {
    pub const NONE: Self = Self { least: 0.0, run: 0, stop: 0 };

    pub fn is_on(&self, value: f64) -> bool {
        value > 0.5 * self.least
    }

    /// Number of past steps that determine whether the control may switch.
    pub fn memory(&self) -> usize {
        if self.least > 0.0 { self.run.max(self.stop) } else { 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub name: String,
    pub role: Role,
    pub unit: Unit,
    /// Hard limits. A control never violates its hard limits, and plans must satisfy the hard
    /// limits of states, outputs and derived signals.
    pub hard: Bounds,
    /// Soft limits. KPIs can put a price on violations of soft limits.
    pub soft: Bounds,
    /// Largest change of a control from one step to the next.
    pub max_move: MoveLimit,
    /// Values of the control must be integer multiples of this number; 0 allows any value.
    pub multiple: f64,
    pub switching: Switching,
}

impl Signal {
    /// A signal without limits.
    pub fn open(name: &str, role: Role, unit: Unit) -> Self {
        let (hard, soft, max_move, switching) = (Bounds::OPEN, Bounds::OPEN, MoveLimit::NONE, Switching::NONE);
        Self { name: name.into(), role, unit, hard, soft, max_move, multiple: 0.0, switching }
    }
}

/// The list of signals. Column `i` of every [`crate::trajectory::Trajectory`] and [`crate::trajectory::Window`] is
/// `signals[i]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub signals: Vec<Signal>,
    #[serde(skip)]
    index: HashMap<String, usize>,
}

impl Schema {
    pub fn new(signals: Vec<Signal>) -> Self {
        let index = signals.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
        Self { signals, index }
    }

    pub fn len(&self) -> usize {
        self.signals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.signals.iter().map(|s| s.name.as_str())
    }

    /// Columns of the signals with role `role`, in ascending order.
    pub fn with_role(&self, role: Role) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.signals[i].role == role).collect()
    }
}
