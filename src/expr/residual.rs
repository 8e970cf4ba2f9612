//! What an expression measures the smallness of: the arguments of absolute values and squares.
//!
//! A cost like `ln(1 + abs(level - target) / f)` has no useful curvature of its own: it is concave but for its kink at
//! zero. Gauss-Newton methods want the residual `level - target` and by how much its size counts.

use super::kernel::Op;
use super::program::{Builder, Meaning, Operand, Program};

/// By how much [`Residual::stretched`] is larger.
pub const STRETCH: f64 = 1e-4;

/// One |r| or r² inside an expression.
#[derive(Debug, Clone)]
pub struct Residual {
    /// r.
    pub of: Program,
    /// r² (else |r|).
    pub square: bool,
    /// The expression with |r| or r² replaced by (1 + [`STRETCH`]) times itself: with its value at hand, the slope of the
    /// expression against |r| or r².
    pub stretched: Program,
    /// Number of its operation.
    site: usize,
}

impl Program {
    /// The same expression with every signal that `of` knows an expression for replaced by it.
    pub fn inlined<'a>(&self, of: &dyn Fn(usize) -> Option<&'a Program>) -> Self {
        let mut builder = Builder::default();
        let result = splice(self, 0, of, &mut builder);
        builder.finish(result, self.meaning, self.unit.clone())
    }

    /// Its absolute values and squares of what reads a signal, in the order of evaluation.
    pub fn residuals(&self) -> Vec<Residual> {
        let mut residuals = Vec::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let [a, b, _] = operation.operands;
            let square = match operation.op {
                Op::Abs => false,
                Op::Powi(2) => true,
                Op::Mul if a == b => true,
                _ => continue,
            };
            if !matches!(a, Operand::Constant(_)) {
                let of = self.part(a);
                residuals.push(Residual { of, square, stretched: self.stretched(at), site: at });
            }
        }
        residuals
    }

    /// Whether it depends on signals only through `residuals`, which are its own.
    pub fn is_made_of(&self, residuals: &[Residual]) -> bool {
        let mut left = vec![self.result];
        while let Some(operand) = left.pop() {
            match operand {
                Operand::Column { .. } | Operand::Time => return false,
                Operand::Value(v) if residuals.iter().all(|r| r.site != v) => {
                    left.extend(self.operations[v].operands);
                }
                _ => {}
            }
        }
        true
    }

    /// The program that yields one operand of this one.
    fn part(&self, result: Operand) -> Self {
        let builder = Builder::of(self.operations.clone());
        builder.finish(result, Meaning::Plain, self.unit.clone())
    }

    fn stretched(&self, site: usize) -> Self {
        let mut builder = Builder::default();
        let mut values = Vec::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let operands = operation.operands.map(|o| copied(o, &values));
            let value = builder.emit(operation.op, operands);
            let stretch = at == site;
            values.push(if stretch { builder.binary(Op::Mul, value, Operand::Constant(1.0 + STRETCH)) } else { value });
        }
        builder.finish(copied(self.result, &values), Meaning::Plain, self.unit.clone())
    }
}

fn copied(operand: Operand, values: &[Operand]) -> Operand {
    match operand {
        Operand::Value(v) => values[v],
        other => other,
    }
}

/// Writes the operations of `program`, read `lag` steps ago, and returns its result.
fn splice<'a>(
    program: &Program,
    lag: usize,
    of: &dyn Fn(usize) -> Option<&'a Program>,
    builder: &mut Builder,
) -> Operand {
    let mut values = Vec::new();
    let place = |operand: Operand, values: &[Operand], builder: &mut Builder| match operand {
        Operand::Column { signal, lag: back } => match of(signal) {
            // The clock of an earlier step is another one.
            Some(inner) if lag + back == 0 || !inner.tells_time() => splice(inner, lag + back, of, builder),
            _ => Operand::Column { signal, lag: lag + back },
        },
        other => copied(other, values),
    };
    for operation in &program.operations {
        let operands = operation.operands.map(|o| place(o, &values, builder));
        values.push(builder.emit(operation.op, operands));
    }
    place(program.result, &values, builder)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::expr::{Registers, Scope};
    use crate::trajectory::Window;
    use crate::units::Unit;

    fn compile(text: &str) -> Program {
        let signals = ["x", "target", "error"].iter().enumerate().map(|(i, n)| ((*n).to_owned(), (i, Unit::one())));
        Program::compile(text, &Scope { signals: signals.collect(), dt: 1.0, ..Scope::default() }).unwrap()
    }

    fn value(program: &Program, x: f64, target: f64) -> f64 {
        let mut window = Window::new(3, 2, 1, Timestamp::UNIX_EPOCH, 1000);
        window.column_mut(0, 0)[0] = x;
        window.column_mut(0, 1)[0] = x + 1.0;
        window.column_mut(1, 0)[0] = target;
        let mut out = [0.0];
        program.eval(&window, &mut Registers::default(), &mut out);
        out[0]
    }

    #[test]
    fn residuals_and_their_slopes_are_found_behind_other_signals() {
        let error = compile("abs(x - target)");
        let cost = compile("1 - ln(1 + error / 0.5) + 3 * (x - 1)^2").inlined(&|s| (s == 2).then_some(&error));
        assert!(!cost.reads_signal(2));
        let residuals = cost.residuals();
        assert_eq!(residuals.iter().map(|r| r.square).collect::<Vec<_>>(), [false, true]);
        let (x, target) = (3.0, 5.0);
        assert_eq!(residuals.iter().map(|r| value(&r.of, x, target)).collect::<Vec<_>>(), [-2.0, 2.0]);
        for (residual, (size, slope)) in residuals.iter().zip([(2.0, -1.0 / 2.5), (4.0, 3.0)]) {
            let rise = value(&residual.stretched, x, target) - value(&cost, x, target);
            assert!((rise / (STRETCH * size) - slope).abs() < 1e-4, "{}", rise / (STRETCH * size));
        }
        assert!(cost.is_made_of(&residuals) && !cost.is_made_of(&residuals[..1]));
        assert!(compile("x + 2").residuals().is_empty());
    }

    #[test]
    fn lags_of_inlined_signals_add_up() {
        let last = compile("lag(x, 1)");
        let program = compile("error + x").inlined(&|s| (s == 2).then_some(&last));
        assert_eq!(program.reads, [(0, 0), (0, 1)]);
        assert_eq!(value(&program, 2.0, 0.0), 5.0);
    }
}
