//! The input columns and the targets of a regressor.

use super::equations::Equations;
use crate::config::ModelSpec;
use crate::schema::{Role, Schema};

/// The quantity that an output column of a regressor predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// The increment x(t + 1) − x(t) of a state.
    Delta(usize),
    /// The difference between x(t + 1) and the value of its known equation, for a state with `residual = true`.
    Residual(usize),
    /// The value y(t) of an output.
    Level(usize),
}

impl Target {
    /// Column of the signal in the schema.
    pub fn signal(self) -> usize {
        match self {
            Self::Delta(s) | Self::Residual(s) | Self::Level(s) => s,
        }
    }

    /// Returns true if the target is a value at the next step rather than at the current step.
    pub fn is_next(self) -> bool {
        !matches!(self, Self::Level(_))
    }
}

/// The columns that a regressor reads and writes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    /// Pair (signal, lag) of each input column.
    pub inputs: Vec<(usize, usize)>,
    pub targets: Vec<Target>,
}

impl Layout {
    /// Layout of a learned model.
    ///
    /// The inputs are the states, controls and disturbances of the last `spec.lags` frames (without constants and the
    /// signals in `spec.ignore`), and the current values of the signals in `spec.features`. Outputs are not used as
    /// inputs, so a simulation never needs measured outputs.
    ///
    /// The targets are the increments of states without `next`, the residuals of states with `residual = true`, and the
    /// outputs.
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

    /// Layout of the `persistence` model: the targets are those of [`Layout::new`], and the inputs include the last
    /// values of the outputs.
    pub fn persistence(schema: &Schema, equations: &Equations) -> Self {
        let targets = targets(schema, equations);
        let inputs = targets.iter().filter(|t| !t.is_next()).map(|t| (t.signal(), 1)).collect();
        Self { inputs, targets }
    }

    /// Layout of the model called `name`.
    pub fn for_model(name: &str, schema: &Schema, spec: &ModelSpec, equations: &Equations) -> Self {
        if name == "persistence" { Self::persistence(schema, equations) } else { Self::new(schema, spec, equations) }
    }

    /// Number of frames that the inputs span, including the current one.
    pub fn depth(&self) -> usize {
        1 + self.inputs.iter().map(|i| i.1).max().unwrap_or(0)
    }
}

fn is_constant(equations: &Equations, signal: usize) -> bool {
    equations.constants.iter().any(|c| c.signal == signal)
}

fn is_early(equations: &Equations, signal: usize) -> bool {
    equations.early.iter().any(|e| e.signal == signal)
}

fn targets(schema: &Schema, equations: &Equations) -> Vec<Target> {
    let target = |s: usize| match schema.signals[s].role {
        _ if is_constant(equations, s) => None,
        Role::Output => Some(Target::Level(s)),
        Role::State => match equations.next.iter().find(|n| n.signal == s) {
            None => Some(Target::Delta(s)),
            Some(next) => next.has_residual.then_some(Target::Residual(s)),
        },
        _ => None,
    };
    (0..schema.len()).filter_map(target).collect()
}
