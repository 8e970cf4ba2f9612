//! Whether an expression is a straight line in what moves.

use super::kernel::Op;
use super::program::{Operand, Program};

/// How a value depends on what moves, the simplest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Constant,
    Affine,
    Bent,
}

impl Program {
    /// Whether it is an affine function of the signals that `moves` holds of, whatever the values of the others.
    pub fn is_affine(&self, moves: &dyn Fn(usize) -> bool) -> bool {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.operations.len());
        for operation in &self.operations {
            let [a, b, c] = operation.operands.map(|o| shape(o, &shapes, moves));
            shapes.push(match operation.op {
                Op::Add | Op::Sub | Op::Neg => a.max(b),
                Op::Mul if a == Shape::Constant || b == Shape::Constant => a.max(b),
                Op::Div if b == Shape::Constant => a,
                Op::Select if a == Shape::Constant => b.max(c),
                _ if a.max(b).max(c) == Shape::Constant => Shape::Constant,
                _ => Shape::Bent,
            });
        }
        shape(self.result, &shapes, moves) < Shape::Bent
    }
}

fn shape(operand: Operand, shapes: &[Shape], moves: &dyn Fn(usize) -> bool) -> Shape {
    match operand {
        Operand::Value(v) => shapes[v],
        Operand::Column { signal, .. } if moves(signal) => Shape::Affine,
        Operand::Column { .. } | Operand::Constant(_) | Operand::Time => Shape::Constant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Scope;
    use crate::units::Unit;

    #[test]
    fn straight_lines_are_told_from_bent_ones() {
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
