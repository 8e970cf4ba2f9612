//! Values of the nodes of an expression during compilation, and faults in the units of these values.

use std::ops::Range;

use super::fault::ExprFault;
use super::program::{Operand, ValueKind};
use crate::units::Unit;

/// The value of a node, with its unit.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub operand: Operand,
    pub kind: ValueKind,
    /// The unit of the value; `1` for a number without a unit.
    pub unit: Unit,
}

impl Typed {
    pub fn quantity(operand: Operand, unit: Unit) -> Self {
        Self { operand, kind: ValueKind::Quantity, unit }
    }

    pub fn number(operand: Operand) -> Self {
        Self { operand, kind: ValueKind::Number, unit: Unit::one() }
    }

    /// Returns true if the value is a temperature in `degC` or `degF`.
    pub fn is_affine(&self) -> bool {
        self.kind == ValueKind::Quantity && self.unit.is_affine()
    }

    /// Converts a value of kind [`ValueKind::Ambiguous`] to a difference, and returns values of all other kinds
    /// unchanged.
    pub fn resolved(self) -> Self {
        match self.kind {
            ValueKind::Ambiguous => Self { kind: ValueKind::Difference, unit: self.unit.difference(), ..self },
            _ => self,
        }
    }
}

/// Returns the fault for an operation on values of different dimensions. `a` and `b` contain the text and the value of
/// each operand.
pub(super) fn mismatch(verb: &str, a: (String, &Typed), b: (String, &Typed), span: &Range<usize>) -> ExprFault {
    let (l, r) = (a.1.clone().resolved().unit, b.1.clone().resolved().unit);
    let help = match (l.currency(), r.currency()) {
        (Some(x), Some(y)) if x != y => "first convert one operand to the currency of the other operand".to_owned(),
        _ if r.is_dimensionless() => format!("give the second operand a unit, like `3[{l}]`"),
        _ if l.is_dimensionless() => format!("give the first operand a unit, like `3[{r}]`"),
        _ => {
            format!(
                "`{l}` has the dimension {}, but `{r}` has the dimension {}; check the formula and the units",
                l.kind(),
                r.kind()
            )
        }
    };
    ExprFault {
        code: "unit-mismatch",
        span: span.clone(),
        message: format!("cannot {verb} `{}` in `{l}` and `{}` in `{r}`", a.0, b.0),
        help,
    }
}

/// Returns the fault for the sum of two temperatures.
pub(super) fn sum_of_temperatures(a: &str, b: &str, span: &Range<usize>) -> ExprFault {
    ExprFault {
        code: "unit-mismatch",
        span: span.clone(),
        message: format!("the sum of the temperatures `{a}` and `{b}` is not defined"),
        help: "subtract the temperatures, or write their mean as `a + 0.5 * (b - a)`".into(),
    }
}

/// Returns the fault for subtracting a temperature from a temperature difference.
pub(super) fn difference_minus_temperature(a: &str, b: &str, span: &Range<usize>) -> ExprFault {
    ExprFault {
        code: "unit-mismatch",
        span: span.clone(),
        message: format!("cannot subtract the temperature `{b}` from the temperature difference `{a}`"),
        help: "swap the operands, or use the same temperature unit for both".into(),
    }
}
