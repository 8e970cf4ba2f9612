//! The state of the compiler, and the conversion of operands to the unit that an operation requires.

use std::ops::Range;

use twinopt_kernels::rowwise::Op;

use super::fault::ExprFault;
use super::program::{Builder, Operand, ValueKind};
use super::scope::Scope;
use super::syntax::Expression;
use super::value::{Typed, mismatch};
use crate::units::Unit;

/// State of the compilation of one expression.
pub(super) struct Compiler<'a> {
    pub expression: &'a Expression,
    pub scope: &'a Scope,
    pub builder: Builder,
    /// Values of the nodes that have been compiled so far.
    pub values: Vec<Typed>,
}

impl Compiler<'_> {
    /// Converts operands that must have the same dimension, such as those of `min`, `if` and `<`, to a common unit.
    /// Returns the converted operands, their common kind and their unit.
    pub(super) fn unified(
        &mut self,
        nodes: &[usize],
        verb: &str,
        span: &Range<usize>,
    ) -> Result<(Vec<Operand>, ValueKind, Unit), ExprFault> {
        let mut values: Vec<Typed> = nodes.iter().map(|n| self.values[*n].clone()).collect();
        let Some(first) = values.iter().position(|v| v.kind != ValueKind::Number) else {
            return Ok((values.iter().map(|v| v.operand).collect(), ValueKind::Number, Unit::one()));
        };
        for (at, value) in values.iter().enumerate() {
            if value.kind != ValueKind::Number && !value.unit.same_dimension(&values[first].unit) {
                return Err(mismatch(verb, self.described(nodes[first]), self.described(nodes[at]), span));
            }
        }
        let affine = values.iter().position(Typed::is_affine);
        let difference =
            |v: &Typed| !v.unit.is_affine() && matches!(v.kind, ValueKind::Quantity | ValueKind::Difference);
        if let Some(temperature) = affine
            && let Some(at) = values.iter().position(difference)
        {
            let (point, other) = (&values[temperature].unit, &values[at].unit);
            return Err(ExprFault {
                code: "unit-mismatch",
                span: span.clone(),
                message: format!(
                    "cannot {verb} the temperature `{}` in `{point}` and `{}` in `{other}`, because the \
                     second value may be a temperature difference",
                    self.text(nodes[temperature]),
                    self.text(nodes[at])
                ),
                help: "use two temperatures or two differences; to convert an absolute temperature x from K to degC, write \
                       `0[degC] + (x - 273.15)`"
                    .into(),
            });
        }
        let known = values.iter().filter(|v| v.kind != ValueKind::Number);
        let all_either = known.clone().all(|v| v.kind == ValueKind::Ambiguous && v.unit == values[first].unit);
        let kind = if affine.is_some() {
            ValueKind::Quantity
        } else if all_either {
            ValueKind::Ambiguous
        } else if known.clone().any(|v| matches!(v.kind, ValueKind::Difference | ValueKind::Ambiguous)) {
            ValueKind::Difference
        } else {
            ValueKind::Quantity
        };
        if affine.is_none() && !all_either {
            values = values.into_iter().map(Typed::resolved).collect();
        }
        let unit = values[affine.unwrap_or(first)].unit.clone();
        let operands = values.iter().map(|v| self.converted(v, &unit, affine.is_some())).collect();
        Ok((operands, kind, unit))
    }

    /// Converts `value` to `unit`, which has the same dimension. If `point` is true, the value is a point on the
    /// temperature scale; otherwise, it is a difference.
    pub(super) fn converted(&mut self, value: &Typed, unit: &Unit, point: bool) -> Operand {
        if value.kind == ValueKind::Number || value.unit == *unit {
            return value.operand;
        }
        let (factor, shift) = value.unit.affine_to(unit);
        let scaled = self.builder.binary(Op::Mul, value.operand, Operand::Constant(factor));
        if !point || shift == 0.0 { scaled } else { self.builder.binary(Op::Add, scaled, Operand::Constant(shift)) }
    }

    /// Converts a dimensionless value in a unit such as `%` or `kW/W` to the unit 1. Other values are unchanged.
    pub(super) fn as_fraction(&mut self, value: Typed) -> Typed {
        if value.kind == ValueKind::Number || !value.unit.is_dimensionless() || value.unit.text == "1" {
            return value;
        }
        Typed::quantity(self.converted(&value, &Unit::one(), false), Unit::one())
    }

    /// Returns the value of a node that must be dimensionless, converted to the unit 1.
    pub(super) fn dimensionless(&mut self, node: usize, what: &str) -> Result<Typed, ExprFault> {
        let value = self.values[node].clone();
        if !value.unit.is_dimensionless() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: self.span(node),
                message: format!(
                    "{what} must be a plain number, but `{}` is in `{}`",
                    self.text(node),
                    value.resolved().unit
                ),
                help: "compare it with a value, or divide it by a value in the same unit, as in `x / 0.001[m]`".into(),
            });
        }
        Ok(self.as_fraction(value))
    }

    /// Returns the value of a node. If the node is a temperature in `degC` or `degF`, returns a fault, because the
    /// operation depends on the zero of the scale.
    pub(super) fn without_zero(&mut self, node: usize, span: &Range<usize>, what: &str) -> Result<Typed, ExprFault> {
        let value = self.values[node].clone();
        if value.is_affine() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: span.clone(),
                message: format!(
                    "{what} `{}` is not defined, because the zero of a temperature in `{}` is arbitrary",
                    self.text(node),
                    value.unit
                ),
                help: format!(
                    "use a difference such as `{0} - 20`, or declare the signal in K; write the mean of two temperatures \
                     as `a + 0.5 * (b - a)`",
                    self.text(node)
                ),
            });
        }
        Ok(value.resolved())
    }

    /// Text and value of a node, for messages.
    pub(super) fn described(&self, node: usize) -> (String, &Typed) {
        (self.text(node), &self.values[node])
    }

    pub(super) fn span(&self, node: usize) -> Range<usize> {
        self.expression.nodes[node].span.clone()
    }

    /// The text of a node as the user wrote it, shortened for messages.
    pub(super) fn text(&self, node: usize) -> String {
        let text = self.expression.text.get(self.span(node)).unwrap_or_default();
        if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(37).chain("...".chars()).collect() }
    }
}
