//! Tests whether a plant is linear or piecewise linear. For linear and piecewise linear plants, a
//! quadratic program or a mixed-integer linear program finds the optimal plan.

use crate::expr::Shape;
use crate::learn::{Derived, Equations, StepMap};
use crate::schema::Role;

/// How the signals of a plant depend on past states and on controls, regardless of the values of the disturbances.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    /// The most general shape of the equations of states and outputs; `None` if one of these
    /// equations is a general nonlinear function.
    pub plant: Option<Shape>,
    /// The shape of each signal as an operand of other expressions: `[signals]`. States, outputs and controls are
    /// variables, and therefore affine.
    pub signals: Vec<Option<Shape>>,
}

impl Shapes {
    /// Determines the shapes of the equations in `map`.
    pub fn new(map: &StepMap) -> Self {
        let Equations { constants, next, .. } = &map.equations;
        let of_role = |role: Role| match role {
            Role::State | Role::Output | Role::Control => Some(Shape::Affine),
            // The equations are listed in the order of evaluation. An equation that reads past
            // values of a derived signal with a later equation is treated as nonlinear.
            Role::Derived => None,
            Role::Disturbance | Role::Setpoint => Some(Shape::Constant),
        };
        let mut signals: Vec<Option<Shape>> = map.schema.signals.iter().map(|s| of_role(s.role)).collect();
        constants.iter().for_each(|c| signals[c.signal] = Some(Shape::Constant));
        for Derived { signal, program } in map.equations.derived() {
            signals[*signal] = program.shape(&|s, _| signals[s]);
        }
        let layout = &map.layout;
        let inputs = || layout.inputs.iter().map(|i| signals[i.0]);
        let is_linear = layout.targets.is_empty() || map.regressor.coefficients().is_some();
        let learned = if is_linear && inputs().all(|i| i.is_some()) {
            inputs().flatten().max().or(Some(Shape::Constant))
        } else {
            None
        };
        let known = next.iter().map(|n| n.program.shape(&|s, _| signals[s]));
        let plant = known.fold(learned, |most, shape| Some(most?.max(shape?)));
        Self { plant, signals }
    }

    /// The most general shape of the plant and of `signals`; `None` if the plant or one of the
    /// signals has a general nonlinear equation.
    pub fn of(&self, signals: &[usize]) -> Option<Shape> {
        let shapes = signals.iter().map(|&s| self.signals.get(s).copied().flatten());
        shapes.fold(self.plant, |most, shape| Some(most?.max(shape?)))
    }
}
