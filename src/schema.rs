//! The ordered list of signals of a twin, which maps names to column indices.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Unit;

/// The role of a signal in the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// x: known at the start of a step; the twin predicts its value at the next step.
    State,
    /// y: measured over a step; the twin predicts it from x, u and d (a controlled variable, a meter).
    Output,
    /// u: manipulated variable, set by staff or a controller.
    Control,
    /// d: measured but not controllable. Simulations replay it or change it as a scenario says; controllers may have a
    /// forecast of it.
    Disturbance,
    /// Target value set by the operator; known to controllers, never an input of a learned model.
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

/// Lower and upper bound; infinite if there is no bound.
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

    /// The amount by which `v` lies outside the bounds; zero inside.
    pub fn excess(&self, v: f64) -> f64 {
        (v - self.high).max(self.low - v).max(0.0)
    }
}

/// Largest decrease and increase of a control per step; infinite if there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MoveLimit {
    pub down: f64,
    pub up: f64,
}

impl MoveLimit {
    pub const NONE: Self = Self { down: f64::INFINITY, up: f64::INFINITY };

    /// The same limit in both directions.
    pub fn both(size: f64) -> Self {
        Self { down: size, up: size }
    }

    /// The values that one move from `last` can reach; all values if `last` is not finite.
    pub fn reach(&self, last: f64) -> Bounds {
        if last.is_finite() { Bounds { low: last - self.down, high: last + self.up } } else { Bounds::OPEN }
    }

    /// The limit over `n` steps.
    pub fn times(&self, n: f64) -> Self {
        Self { down: self.down * n, up: self.up * n }
    }
}

/// The on/off behaviour of a control that is either 0 (off) or at least `least` (on).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Switching {
    /// Smallest value while on. With 0, the control has no off state, and the other fields do not apply.
    pub least: f64,
    /// Minimum number of steps on.
    pub run: usize,
    /// Minimum number of steps off.
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
    /// Hard limits: a control never violates them, and plans must not violate those of a state or output.
    pub hard: Bounds,
    /// Soft limits: KPIs price their violation.
    pub soft: Bounds,
    /// Largest change of a control from one step to the next.
    pub max_move: MoveLimit,
    /// Values of the control are integer multiples of this; with 0, any value is allowed.
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

/// The list of signals. Column `i` of every [`crate::trajectory::Trajectory`] and [`crate::trajectory::Window`] is `signals[i]`.
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

    /// Columns of the signals with `role`, in order.
    pub fn with_role(&self, role: Role) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.signals[i].role == role).collect()
    }
}
