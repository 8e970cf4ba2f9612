//! Residuals of a cost expression: the arguments of its absolute values and squares.
//!
//! A cost like `ln(1 + abs(level - target) / f)` has no useful second derivative, because it is concave except at its
//! kink at zero. Gauss-Newton methods use the residual `level - target` and the derivative of the cost with respect to
//! the absolute value of the residual.

use twinopt_kernels::rowwise::Op;

use super::program::{Builder, Operand, Operation, Program, ValueKind};

/// Relative increase of |r| or r² in [`Residual::scaled`], used as the step of a finite difference (not tuned).
pub const SCALE_STEP: f64 = 1e-4;

/// A subexpression of the form |r| or r².
#[derive(Debug, Clone)]
pub struct Residual {
    /// The residual r.
    pub inner: Program,
    /// True if the subexpression is r², and false if it is |r|.
    pub square: bool,
    /// The whole expression with |r| or r² multiplied by 1 + [`SCALE_STEP`]. The derivative with respect to |r| or r²
    /// is computed from the difference between this expression and the original one.
    pub scaled: Program,
    /// Index of the operation that computes |r| or r².
    site: usize,
}

impl Program {
    /// Returns a copy of the expression in which each signal is replaced by the expression that `definition` returns
    /// for it, if any.
    pub fn inlined<'a>(&self, definition: &dyn Fn(usize) -> Option<&'a Program>) -> Self {
        let mut builder = Builder::default();
        let result = splice(self, 0, definition, &mut builder);
        builder.finish(result, self.kind, self.unit.clone())
    }

    /// Returns the absolute values and squares in the expression, in the order of evaluation. If absolute values or
    /// squares are nested, only the outermost one is returned.
    pub fn residuals(&self) -> Vec<Residual> {
        let (mut sites, mut pending) = (Vec::new(), vec![self.result]);
        let mut visited = vec![false; self.operations.len()];
        while let Some(operand) = pending.pop() {
            let Operand::Value(at) = operand else { continue };
            if std::mem::replace(&mut visited[at], true) {
                continue;
            }
            match self.operations[at].squares() {
                Some(square) => sites.push((at, square)),
                None => pending.extend(self.operations[at].operands),
            }
        }
        sites.sort_unstable();
        let residual = |(at, square): (usize, bool)| {
            let inner = self.part(self.operations[at].operands[0]);
            Residual { inner, square, scaled: self.scaled(at), site: at }
        };
        sites.into_iter().map(residual).collect()
    }

    /// Whether the current value of `signal` affects the expression in any way other than as a limit of a control. In
    /// `min(order, stock)`, for example, `stock` only limits the control `order`. `controls` are the columns of the
    /// controls.
    pub fn depends_beyond_limits(&self, signal: usize, controls: &[usize]) -> bool {
        // For each operation: whether `signal` affects the result in any way other than as a limit, and whether a
        // control affects the result.
        let mut depends: Vec<(bool, bool)> = Vec::with_capacity(self.operations.len());
        let of = |operand: Operand, depends: &[(bool, bool)]| match operand {
            Operand::Column { signal: s, lag: 0 } => (s == signal, controls.contains(&s)),
            Operand::Value(v) => depends[v],
            Operand::Column { .. } | Operand::Constant(_) | Operand::Time => (false, false),
        };
        for operation in &self.operations {
            let operands = operation.operands.map(|o| of(o, &depends));
            let control = operands.iter().any(|o| o.1);
            let is_limit = matches!(operation.op, Op::Min | Op::Max);
            let beyond = operands.iter().any(|o| o.0) && !(is_limit && control);
            depends.push((beyond, control));
        }
        of(self.result, &depends).0
    }

    /// Returns true if the expression depends on signals and time only through `residuals`.
    pub fn depends_only_on(&self, residuals: &[Residual]) -> bool {
        let mut pending = vec![self.result];
        while let Some(operand) = pending.pop() {
            match operand {
                Operand::Column { .. } | Operand::Time => return false,
                Operand::Value(v) if residuals.iter().all(|r| r.site != v) => {
                    pending.extend(self.operations[v].operands);
                }
                _ => {}
            }
        }
        true
    }

    /// Returns a program that computes only the intermediate result `result` of this program.
    fn part(&self, result: Operand) -> Self {
        let builder = Builder::with_operations(self.operations.clone());
        builder.finish(result, ValueKind::Quantity, self.unit.clone())
    }

    fn scaled(&self, site: usize) -> Self {
        let mut builder = Builder::default();
        let mut values = Vec::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let operands = operation.operands.map(|o| copied(o, &values));
            let value = builder.emit(operation.op, operands);
            values.push(if at == site {
                builder.binary(Op::Mul, value, Operand::Constant(1.0 + SCALE_STEP))
            } else {
                value
            });
        }
        builder.finish(copied(self.result, &values), ValueKind::Quantity, self.unit.clone())
    }
}

impl Operation {
    /// Returns `Some(true)` if the operation squares its operand, and `Some(false)` if it takes the absolute value.
    fn squares(&self) -> Option<bool> {
        let [a, b, _] = self.operands;
        match self.op {
            Op::Abs => Some(false),
            Op::Powi(2) => Some(true),
            Op::Mul if a == b => Some(true),
            _ => None,
        }
    }
}

fn copied(operand: Operand, values: &[Operand]) -> Operand {
    match operand {
        Operand::Value(v) => values[v],
        other => other,
    }
}

/// Emits the operations of `program` with all lags increased by `lag` steps, and returns the operand that contains the
/// result.
fn splice<'a>(
    program: &Program,
    lag: usize,
    definition: &dyn Fn(usize) -> Option<&'a Program>,
    builder: &mut Builder,
) -> Operand {
    let mut values = Vec::new();
    let place = |operand: Operand, values: &[Operand], builder: &mut Builder| match operand {
        Operand::Column { signal, lag: back } => match definition(signal) {
            // an expression that uses `time` is not inlined at a lag, because `time` would not be lagged
            Some(inner) if lag + back == 0 || !inner.uses_time() => splice(inner, lag + back, definition, builder),
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
    fn residuals_and_their_derivatives_are_found_in_inlined_signals() {
        let error = compile("abs(x - target)");
        let cost = compile("1 - ln(1 + error / 0.5) + 3 * (x - 1)^2").inlined(&|s| (s == 2).then_some(&error));
        assert!(!cost.reads_signal(2));
        let residuals = cost.residuals();
        assert_eq!(residuals.iter().map(|r| r.square).collect::<Vec<_>>(), [false, true]);
        let (x, target) = (3.0, 5.0);
        assert_eq!(residuals.iter().map(|r| value(&r.inner, x, target)).collect::<Vec<_>>(), [-2.0, 2.0]);
        for (residual, (size, slope)) in residuals.iter().zip([(2.0, -1.0 / 2.5), (4.0, 3.0)]) {
            let rise = value(&residual.scaled, x, target) - value(&cost, x, target);
            assert!((rise / (SCALE_STEP * size) - slope).abs() < 1e-4, "{}", rise / (SCALE_STEP * size));
        }
        assert!(cost.depends_only_on(&residuals) && !cost.depends_only_on(&residuals[..1]));
        assert!(compile("x + 2").residuals().is_empty());
        let nested = compile("(abs(x - target) - 0.5)^2").residuals();
        assert_eq!(nested.iter().map(|r| (r.square, value(&r.inner, x, target))).collect::<Vec<_>>(), [(true, 1.5)]);
    }

    #[test]
    fn lags_of_inlined_signals_add_up() {
        let last = compile("lag(x, 1)");
        let program = compile("error + x").inlined(&|s| (s == 2).then_some(&last));
        assert_eq!(program.reads, [(0, 0), (0, 1)]);
        assert_eq!(value(&program, 2.0, 0.0), 5.0);
    }
}
