//! Evaluation of an expression for values other than numbers, such as linear functions of the decision variables of a
//! plan.

use twinopt_kernels::rowwise::{self, Op};

use super::program::{Operand, Program};

/// A nonlinear function of one variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curve {
    /// Power with the given exponent.
    Power(f64),
    Exp,
    Ln,
    Sqrt,
}

impl Curve {
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Power(n) if n == n.trunc() && n.abs() < 1e3 => x.powi(n as i32),
            Self::Power(n) => x.powf(n),
            Self::Exp => x.exp(),
            Self::Ln => x.ln(),
            Self::Sqrt => x.sqrt(),
        }
    }

    pub fn slope(self, x: f64) -> f64 {
        match self {
            Self::Power(n) => n * Self::Power(n - 1.0).value(x),
            Self::Exp => x.exp(),
            Self::Ln => x.recip(),
            Self::Sqrt => 0.5 / x.sqrt(),
        }
    }

    /// `Some(true)` if the function is convex on `low..high`, `Some(false)` if it is concave, `None` if it is neither
    /// or undefined.
    pub fn is_convex(self, low: f64, high: f64) -> Option<bool> {
        match self {
            Self::Exp => Some(true),
            Self::Ln => (low > 0.0).then_some(false),
            Self::Sqrt => (low >= 0.0).then_some(false),
            Self::Power(n) if n == n.trunc() && n > 0.0 && n % 2.0 == 0.0 => Some(true),
            Self::Power(n) if low >= 0.0 && n > 0.0 => Some(n >= 1.0),
            Self::Power(n) if high <= 0.0 && n > 0.0 && n == n.trunc() => Some(false),
            Self::Power(_) => None,
        }
    }
}

/// The operations of expressions for values other than numbers. An operation returns `None` if its result cannot be
/// represented.
pub trait Arithmetic {
    type Value: Clone;
    fn constant(&mut self, value: f64) -> Self::Value;
    /// The value of `signal` at `lag` steps before the current one.
    fn column(&mut self, signal: usize, lag: usize) -> Option<Self::Value>;
    /// Time at the start of the step, in seconds since 1970.
    fn time(&self) -> f64;
    /// The number that `value` represents, if it does not depend on a variable.
    fn number(&self, value: &Self::Value) -> Option<f64>;
    /// The mean of the numbers that `value` represents in several futures, if `value` does not depend on a variable.
    fn expected(&self, value: &Self::Value) -> Option<f64> {
        self.number(value)
    }
    /// `factor_a` a + `factor_b` b.
    fn sum(&mut self, a: &Self::Value, factor_a: f64, b: &Self::Value, factor_b: f64) -> Self::Value;
    fn maximum(&mut self, a: &Self::Value, b: &Self::Value) -> Option<Self::Value>;
    fn curve(&mut self, curve: Curve, a: &Self::Value) -> Option<Self::Value>;
    /// The value of `a` if `condition` is true, and that of `b` otherwise.
    fn select(&mut self, condition: f64, a: &Self::Value, b: &Self::Value) -> Self::Value {
        if condition.abs() > 0.0 { a.clone() } else { b.clone() }
    }
}

impl Program {
    /// Evaluates the expression with `arithmetic`. `None` if an operation cannot be represented.
    pub fn symbolic<A: Arithmetic>(&self, arithmetic: &mut A) -> Option<A::Value> {
        let mut values: Vec<A::Value> = Vec::with_capacity(self.operations.len());
        for operation in &self.operations {
            let mut operands = Vec::with_capacity(3);
            for operand in operation.operands {
                operands.push(place(operand, &values, arithmetic)?);
            }
            let is_square = operation.op == Op::Mul && operation.operands[0] == operation.operands[1];
            let op = if is_square { Op::Powi(2) } else { operation.op };
            values.push(apply(op, &operands, arithmetic)?);
        }
        place(self.result, &values, arithmetic)
    }
}

fn place<A: Arithmetic>(operand: Operand, values: &[A::Value], arithmetic: &mut A) -> Option<A::Value> {
    Some(match operand {
        Operand::Constant(c) => arithmetic.constant(c),
        Operand::Time => {
            let time = arithmetic.time();
            arithmetic.constant(time)
        }
        Operand::Column { signal, lag } => arithmetic.column(signal, lag)?,
        Operand::Value(v) => values[v].clone(),
    })
}

fn apply<A: Arithmetic>(op: Op, operands: &[A::Value], arithmetic: &mut A) -> Option<A::Value> {
    let [a, b, c] = operands else { return None };
    let numbers = [a, b, c].map(|v| arithmetic.number(v));
    let means = [a, b, c].map(|v| arithmetic.expected(v));
    let zero = arithmetic.constant(0.0);
    Some(match (op, numbers) {
        (_, [Some(a), Some(b), Some(c)]) => arithmetic.constant(rowwise::fold(op, [a, b, c])),
        (Op::Select, _) => arithmetic.select(means[0]?, b, c),
        (Op::Add, _) => arithmetic.sum(a, 1.0, b, 1.0),
        (Op::Sub, _) => arithmetic.sum(a, 1.0, b, -1.0),
        (Op::Neg, _) => arithmetic.sum(a, -1.0, &zero, 0.0),
        (Op::Mul, [Some(k), ..]) => arithmetic.sum(b, k, &zero, 0.0),
        (Op::Mul, [_, Some(k), _]) => arithmetic.sum(a, k, &zero, 0.0),
        (Op::Mul, _) if means[0].is_some() => arithmetic.sum(b, means[0]?, &zero, 0.0),
        (Op::Mul, _) => arithmetic.sum(a, means[1]?, &zero, 0.0),
        (Op::Div, _) if means[1].is_some() => arithmetic.sum(a, means[1]?.recip(), &zero, 0.0),
        (Op::Max, _) => arithmetic.maximum(a, b)?,
        (Op::Min, _) => {
            let (a, b) = (arithmetic.sum(a, -1.0, &zero, 0.0), arithmetic.sum(b, -1.0, &zero, 0.0));
            let largest = arithmetic.maximum(&a, &b)?;
            arithmetic.sum(&largest, -1.0, &zero, 0.0)
        }
        (Op::Abs, _) => {
            let minus = arithmetic.sum(a, -1.0, &zero, 0.0);
            arithmetic.maximum(a, &minus)?
        }
        (Op::Powi(n), _) => arithmetic.curve(Curve::Power(f64::from(n)), a)?,
        (Op::Pow, [_, Some(n), _]) => arithmetic.curve(Curve::Power(n), a)?,
        (Op::Exp, _) => arithmetic.curve(Curve::Exp, a)?,
        (Op::Ln, _) => arithmetic.curve(Curve::Ln, a)?,
        (Op::Sqrt, _) => arithmetic.curve(Curve::Sqrt, a)?,
        // Other functions of numbers that differ between futures are evaluated at the means.
        _ => match means {
            [Some(a), Some(b), Some(c)] => arithmetic.constant(rowwise::fold(op, [a, b, c])),
            _ => return None,
        },
    })
}

/// How a value depends on the variable signals, ordered from simplest to most general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Does not depend on the variable signals.
    Constant,
    Affine,
    /// Consists of affine functions and their maxima, minima and absolute values.
    Piecewise,
    /// Consists of piecewise linear functions, and of nonlinear functions of one piecewise linear argument.
    Curved,
}

/// Determines the shape of an expression. `signals` returns the shape of a signal at a lag; `None` if the signal is a
/// general nonlinear function.
struct Shapes<'a>(&'a dyn Fn(usize, usize) -> Option<Shape>);

impl Arithmetic for Shapes<'_> {
    type Value = Shape;
    fn constant(&mut self, _: f64) -> Shape {
        Shape::Constant
    }
    fn column(&mut self, signal: usize, lag: usize) -> Option<Shape> {
        (self.0)(signal, lag)
    }
    fn time(&self) -> f64 {
        0.0
    }
    fn number(&self, value: &Shape) -> Option<f64> {
        // The value of a constant has no effect on the shape of an expression.
        (*value == Shape::Constant).then_some(1.0)
    }
    fn sum(&mut self, a: &Shape, _: f64, b: &Shape, _: f64) -> Shape {
        *a.max(b)
    }
    fn maximum(&mut self, a: &Shape, b: &Shape) -> Option<Shape> {
        Some(Shape::Piecewise.max(*a).max(*b))
    }
    fn curve(&mut self, _: Curve, a: &Shape) -> Option<Shape> {
        (*a < Shape::Curved).then_some(Shape::Curved)
    }
    fn select(&mut self, _: f64, a: &Shape, b: &Shape) -> Shape {
        *a.max(b)
    }
}

impl Program {
    /// The shape of the expression as a function of the variable signals, for any values of the other signals. `None`
    /// if the expression is a general nonlinear function. `signals` returns the shape of a signal at a lag.
    pub fn shape(&self, signals: &dyn Fn(usize, usize) -> Option<Shape>) -> Option<Shape> {
        self.symbolic(&mut Shapes(signals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Scope;
    use crate::units::Unit;

    #[test]
    fn shapes_are_recognised() {
        let signals = ["u", "x", "price"].iter().enumerate().map(|(i, n)| ((*n).to_owned(), (i, Unit::one())));
        let scope = Scope { signals: signals.collect(), dt: 1.0, ..Scope::default() };
        let signal = |s: usize, _: usize| Some(if s < 2 { Shape::Affine } else { Shape::Constant });
        let shape = |text: &str| Program::compile(text, &scope).unwrap().shape(&signal);
        for text in [
            "x + 0.5 * (u - lag(x, 2)) / 3",
            "-u * exp(price)",
            "if(price > 2, u, x)",
            "if(price > 2, 3, u)",
            "x * sin(time / 7[d])",
        ] {
            assert_eq!(shape(text), Some(Shape::Affine), "{text}");
        }
        for text in ["price^2", "7"] {
            assert_eq!(shape(text), Some(Shape::Constant), "{text}");
        }
        for text in ["abs(x)", "max(u, 0) - min(u, price)", "clip(x, 0, u)"] {
            assert_eq!(shape(text), Some(Shape::Piecewise), "{text}");
        }
        for text in ["u^2", "u * u", "exp(max(x, 0))", "sqrt(u) + x", "u^price"] {
            assert_eq!(shape(text), Some(Shape::Curved), "{text}");
        }
        for text in ["u * x", "price / u", "if(u > 2, 1, 0)", "sin(u)", "(u^2)^2"] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        for (curve, x) in [
            (Curve::Power(2.0), -3.0),
            (Curve::Power(1.5), 2.0),
            (Curve::Exp, 0.3),
            (Curve::Ln, 2.0),
            (Curve::Sqrt, 4.0),
        ] {
            let difference = (curve.value(x + 1e-6) - curve.value(x - 1e-6)) / 2e-6;
            assert!((curve.slope(x) - difference).abs() < 1e-6, "{curve:?}");
        }
    }
}
