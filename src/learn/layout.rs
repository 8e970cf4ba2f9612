//! The input columns and the targets of a regressor.

use super::equations::Equations;
use crate::config::ModelSpec;
use crate::schema::{Role, Schema};

/// What a regressor's output column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// x(t+1) − x(t) of a state.
    Delta(usize),
    /// x(t+1) − known equation, of a state with `residual = true`.
    Residual(usize),
    /// y(t) of an output.
    Level(usize),
}

impl Target {
    /// Column of the signal that the target is about.
    pub fn signal(self) -> usize {
        match self {
            Self::Delta(s) | Self::Residual(s) | Self::Level(s) => s,
        }
    }

    /// Whether it is about the next step (else about the present one).
    pub fn is_next(self) -> bool {
        !matches!(self, Self::Level(_))
    }
}

/// The columns that a regressor reads and writes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    /// (signal, lag) of each input column.
    pub inputs: Vec<(usize, usize)>,
    pub targets: Vec<Target>,
}

impl Layout {
    /// Layout of a learned model: the states, controls and disturbances of the last `spec.lags` frames in, without
    /// constants and what `spec.ignore` names, and the present `spec.features`; the increments of states without `next`, what `next` misses of states
    /// with `residual = true`, and the outputs out. Outputs are no inputs, so that measured ones are never needed.
    pub fn new(schema: &Schema, spec: &ModelSpec, equations: &Equations) -> Self {
        let mut inputs = Vec::new();
        for (s, signal) in schema.signals.iter().enumerate() {
            let read = matches!(signal.role, Role::State | Role::Control | Role::Disturbance)
                && !is_constant(equations, s)
                && !spec.ignore.iter().any(|name| name.value == signal.name);
            if read {
                inputs.extend((0..spec.lags.value.max(1)).map(|lag| (s, lag)));
            } else if spec.features.iter().any(|name| name.value == signal.name) && is_early(equations, s) {
                inputs.push((s, 0));
            }
        }
        Self { inputs, targets: targets(schema, equations) }
    }

    /// Layout of the `persistence` model: the same targets from the last values of the outputs.
    pub fn persistence(schema: &Schema, equations: &Equations) -> Self {
        let targets = targets(schema, equations);
        let inputs = targets.iter().filter(|t| !t.is_next()).map(|t| (t.signal(), 1)).collect();
        Self { inputs, targets }
    }

    /// Layout of the model called `name`.
    pub fn of(name: &str, schema: &Schema, spec: &ModelSpec, equations: &Equations) -> Self {
        if name == "persistence" { Self::persistence(schema, equations) } else { Self::new(schema, spec, equations) }
    }

    /// Frames that the inputs span, the present one included.
    pub fn depth(&self) -> usize {
        1 + self.inputs.iter().map(|i| i.1).max().unwrap_or(0)
    }
}

fn is_constant(equations: &Equations, signal: usize) -> bool {
    equations.constants.iter().any(|c| c.0 == signal)
}

fn is_early(equations: &Equations, signal: usize) -> bool {
    equations.early.iter().any(|e| e.0 == signal)
}

fn targets(schema: &Schema, equations: &Equations) -> Vec<Target> {
    let target = |s: usize| match schema.signals[s].role {
        _ if is_constant(equations, s) => None,
        Role::Output => Some(Target::Level(s)),
        Role::State => match equations.next.iter().find(|n| n.0 == s) {
            None => Some(Target::Delta(s)),
            Some((_, _, true)) => Some(Target::Residual(s)),
            Some((_, _, false)) => None,
        },
        _ => None,
    };
    (0..schema.len()).filter_map(target).collect()
}
