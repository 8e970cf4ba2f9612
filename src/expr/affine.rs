//! Determines whether an expression is affine in a set of signals.

use twinopt_kernels::rowwise::Op;

use super::program::{Operand, Program};

/// How a value depends on the variable signals, ordered from simplest to most general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Constant,
    Affine,
    Nonlinear,
}

impl Program {
    /// Returns true if, for any values of the other signals, the expression is an affine function of the signals for
    /// which `is_variable` is true.
    pub fn is_affine(&self, is_variable: &dyn Fn(usize) -> bool) -> bool {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.operations.len());
        for operation in &self.operations {
            let [a, b, c] = operation.operands.map(|o| shape(o, &shapes, is_variable));
            shapes.push(match operation.op {
                Op::Add | Op::Sub | Op::Neg => a.max(b),
                Op::Mul if a == Shape::Constant || b == Shape::Constant => a.max(b),
                Op::Div if b == Shape::Constant => a,
                Op::Select if a == Shape::Constant => b.max(c),
                _ if a.max(b).max(c) == Shape::Constant => Shape::Constant,
                _ => Shape::Nonlinear,
            });
        }
        shape(self.result, &shapes, is_variable) < Shape::Nonlinear
    }
}

fn shape(operand: Operand, shapes: &[Shape], is_variable: &dyn Fn(usize) -> bool) -> Shape {
    match operand {
        Operand::Value(v) => shapes[v],
        Operand::Column { signal, .. } if is_variable(signal) => Shape::Affine,
        Operand::Column { .. } | Operand::Constant(_) | Operand::Time => Shape::Constant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Scope;
    use crate::units::Unit;

    #[test]
    fn affine_expressions_are_recognised() {
        let signals = ["u", "x", "price"].iter().enumerate().map(|(i, n)| ((*n).to_owned(), (i, Unit::one())));
        let scope = Scope { signals: signals.collect(), dt: 1.0, ..Scope::default() };
        let affine = |text: &str| Program::compile(text, &scope).unwrap().is_affine(&|s| s < 2);
        for text in [
            "x + 0.5 * (u - lag(x, 2)) / 3",
            "-u * exp(price)",
            "if(price > 2, u, x)",
            "price^2",
            "7",
            "x * sin(time / 7[d])",
        ] {
            assert!(affine(text), "{text}");
        }
        for text in ["u * x", "u^2", "abs(x)", "max(u, 0)", "price / u", "if(u > 2, 1, 0)", "ln(price + x)"] {
            assert!(!affine(text), "{text}");
        }
    }
}
