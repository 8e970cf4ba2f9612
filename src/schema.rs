//! The ordered tag list of a twin: the only place where a name becomes a column index.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Unit;

/// What a signal is to the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// x: known at the start of a step; the twin predicts its next value.
    State,
    /// y: realised over a step from x, u and d (a controlled variable, a meter).
    Output,
    /// u: what staff or a controller may move (manipulated variable).
    Control,
    /// d: measured, not controllable; replayed, changed by scenarios, forecast for controllers.
    Disturbance,
    /// What the operator asked for; known to controllers, never an input of a learned model.
    Setpoint,
    /// Computed from the others by an expression at every step.
    Derived,
}

impl Role {
    /// As in `twin.toml`.
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

/// Lower and upper end; infinite where open.
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

    /// How far `v` lies beyond the range; zero inside.
    pub fn excess(&self, v: f64) -> f64 {
        (v - self.high).max(self.low - v).max(0.0)
    }
}

/// Largest change of a control per step, both ways; infinite: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MoveLimit {
    pub down: f64,
    pub up: f64,
}

impl MoveLimit {
    pub const NONE: Self = Self { down: f64::INFINITY, up: f64::INFINITY };

    /// The same both ways.
    pub fn both(size: f64) -> Self {
        Self { down: size, up: size }
    }

    /// Where one move after `last` leads; everywhere when `last` is unknown.
    pub fn reach(&self, last: f64) -> Bounds {
        if last.is_finite() { Bounds { low: last - self.down, high: last + self.up } } else { Bounds::OPEN }
    }

    /// The limit of `n` steps.
    pub fn times(&self, n: f64) -> Self {
        Self { down: self.down * n, up: self.up * n }
    }
}

/// A control that is off, at 0, or on, at `least` or more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Switching {
    /// Least value of a control that is on (0: it need not be off at 0, and nothing below applies).
    pub least: f64,
    /// Steps for which it stays on once it is, and off once it is.
    pub run: usize,
    pub stop: usize,
}

impl Switching {
    pub const NONE: Self = Self { least: 0.0, run: 0, stop: 0 };

    pub fn is_on(&self, value: f64) -> bool {
        value > 0.5 * self.least
    }

    /// Steps of past that decide whether it may switch.
    pub fn memory(&self) -> usize {
        if self.least > 0.0 { self.run.max(self.stop) } else { 0 }
    }
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub name: String,
    pub role: Role,
    pub unit: Unit,
    /// Limits that must hold: of a control, never broken; of a state or output, a plan may not break them.
    pub hard: Bounds,
    /// Limits that should hold; breaking them is priced by KPIs.
    pub soft: Bounds,
    /// Largest change of a control from one step to the next.
    pub max_move: MoveLimit,
    /// A control takes whole multiples of this (0: any value).
    pub multiple: f64,
    /// On and off, of a control.
    pub switching: Switching,
}

impl Signal {
    /// A signal without any limit.
    pub fn open(name: &str, role: Role, unit: Unit) -> Self {
        let (hard, soft, max_move, switching) = (Bounds::OPEN, Bounds::OPEN, MoveLimit::NONE, Switching::NONE);
        Self { name: name.into(), role, unit, hard, soft, max_move, multiple: 0.0, switching }
    }
}

/// The tag list. Column `i` of every [`crate::trajectory::Trajectory`] and [`crate::trajectory::Window`] is `signals[i]`.
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

    /// Columns with `role`, in order.
    pub fn with_role(&self, role: Role) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.signals[i].role == role).collect()
    }
}
