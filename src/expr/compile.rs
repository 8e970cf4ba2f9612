//! Compiles expressions. For each kind of node, this module resolves names, determines units and emits the operations
//! of a [`Program`].

use std::ops::Range;

use twinopt_kernels::rowwise::Op;

use super::compiler::Compiler;
use super::fault::{ExprFault, nearest_help};
use super::function::Function;
use super::program::{Builder, Operand, Program, ValueKind};
use super::scope::Scope;
use super::syntax::{Binary, Expression, Node, NodeKind};
use super::value::{Typed, difference_minus_temperature, mismatch, sum_of_temperatures};
use crate::units::Unit;

/// Maximum lag in steps, equivalent to about two years of one-minute steps (not tuned).
const MAX_LAG: f64 = 1_048_576.0;
/// Maximum number of steps in `sum`, each of which costs one operation (not tuned).
const MAX_SUM: usize = 4096;

impl Program {
    /// Parses `text`, checks its units and compiles it.
    pub fn compile(text: &str, scope: &Scope) -> Result<Self, ExprFault> {
        Expression::parse(text)?.compile(scope)
    }
}

impl Expression {
    /// Checks names and dimensions, and compiles the expression. Possible faults: `unknown-name`, `unit-mismatch`,
    /// `bad-lag`, `bad-bounds`.
    pub fn compile(&self, scope: &Scope) -> Result<Program, ExprFault> {
        let mut compiler = Compiler { expression: self, scope, builder: Builder::default(), values: Vec::new() };
        for node in &self.nodes {
            let value = compiler.node(node)?;
            compiler.values.push(value);
        }
        let result = compiler.values.pop().unwrap_or_else(|| Typed::number(Operand::Constant(0.0)));
        Ok(compiler.builder.finish(result.operand, result.kind, result.unit))
    }
}

impl Compiler<'_> {
    fn node(&mut self, node: &Node) -> Result<Typed, ExprFault> {
        let span = &node.span;
        match &node.kind {
            NodeKind::Number(v) => Ok(Typed::number(Operand::Constant(*v))),
            NodeKind::Quantity(v, unit) => Ok(Typed::quantity(Operand::Constant(*v), unit.clone())),
            NodeKind::Name(name) => self.name(name, span),
            NodeKind::Negate(a) => {
                // `-5[degC]` is a temperature, but negating a temperature `t` gives a result that depends on the zero
                // of the scale
                if let NodeKind::Quantity(v, unit) = &self.expression.nodes[*a].kind {
                    return Ok(Typed::quantity(Operand::Constant(-v), unit.clone()));
                }
                let a = self.without_zero(*a, span, "the negative of")?;
                Ok(Typed { operand: self.builder.unary(Op::Neg, a.operand), ..a })
            }
            NodeKind::Not(a) => {
                let a = self.dimensionless(*a, "`not`")?;
                Ok(Typed::quantity(self.builder.unary(Op::Not, a.operand), Unit::one()))
            }
            NodeKind::Binary(operator, a, b) => self.binary(*operator, *a, *b, span),
            NodeKind::Call(function, arguments) => self.call(*function, arguments, span),
        }
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Result<Typed, ExprFault> {
        if name == "dt" {
            return Ok(Typed::quantity(Operand::Constant(self.scope.dt), Unit::second()));
        }
        if name == "time" && !self.scope.signals.contains_key(name) && !self.scope.parameters.contains_key(name) {
            return Ok(Typed::quantity(Operand::Time, Unit::second()));
        }
        if let Some((signal, unit)) = self.scope.signals.get(name) {
            return Ok(Typed::quantity(Operand::Column { signal: *signal, lag: 0 }, unit.clone()));
        }
        if let Some((value, unit)) = self.scope.parameters.get(name) {
            return Ok(Typed::quantity(Operand::Constant(*value), unit.clone()));
        }
        // sort the names, because a map has no fixed order and the message must be the same in every run
        let mut known: Vec<&str> = self
            .scope
            .signals
            .keys()
            .chain(self.scope.parameters.keys())
            .map(String::as_str)
            .chain(["dt", "time"])
            .collect();
        known.sort_unstable();
        let help = match Function::from_name(name) {
            Some(f) => format!("`{name}` is a function: write `{}`", f.usage()),
            None => nearest_help(name, known.into_iter(), "names"),
        };
        let message = format!("`{name}` is neither a signal nor a parameter");
        Err(ExprFault { code: "unknown-name", span: span.clone(), message, help })
    }

    fn binary(&mut self, operator: Binary, a: usize, b: usize, span: &Range<usize>) -> Result<Typed, ExprFault> {
        match operator {
            Binary::Add => self.sum(a, b, false, span),
            Binary::Sub => self.sum(a, b, true, span),
            Binary::Mul => self.product(a, b, false, span),
            Binary::Div => self.product(a, b, true, span),
            Binary::Pow => self.power(a, b, span),
            Binary::And | Binary::Or => {
                let op = if operator == Binary::And { Op::And } else { Op::Or };
                let what = format!("`{}`", operator.symbol());
                let (a, b) = (self.dimensionless(a, &what)?, self.dimensionless(b, &what)?);
                Ok(Typed::quantity(self.builder.binary(op, a.operand, b.operand), Unit::one()))
            }
            Binary::Lt => self.comparison(Op::Lt, a, b, span),
            Binary::Le => self.comparison(Op::Le, a, b, span),
            Binary::Gt => self.comparison(Op::Gt, a, b, span),
            Binary::Ge => self.comparison(Op::Ge, a, b, span),
            Binary::Eq => self.comparison(Op::Eq, a, b, span),
            Binary::Ne => self.comparison(Op::Ne, a, b, span),
        }
    }

    fn comparison(&mut self, op: Op, a: usize, b: usize, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let (operands, _, _) = self.unified(&[a, b], "compare", span)?;
        Ok(Typed::quantity(self.builder.binary(op, operands[0], operands[1]), Unit::one()))
    }

    fn call(&mut self, function: Function, arguments: &[usize], span: &Range<usize>) -> Result<Typed, ExprFault> {
        match function {
            Function::If => {
                let condition = self.dimensionless(arguments[0], "a condition")?;
                let (branch, kind, unit) = self.unified(&arguments[1..], "choose between", span)?;
                let operand = self.builder.emit(Op::Select, [condition.operand, branch[0], branch[1]]);
                Ok(Typed { operand, kind, unit })
            }
            Function::Min | Function::Max => {
                let op = if function == Function::Min { Op::Min } else { Op::Max };
                let (operands, kind, unit) = self.unified(arguments, "compare", span)?;
                let mut operand = operands[0];
                for next in &operands[1..] {
                    operand = self.builder.binary(op, operand, *next);
                }
                Ok(Typed { operand, kind, unit })
            }
            Function::Clip => {
                let (operands, kind, unit) = self.unified(arguments, "clip", span)?;
                if let [_, Operand::Constant(low), Operand::Constant(high)] = operands[..]
                    && low > high
                {
                    return Err(ExprFault {
                        code: "bad-bounds",
                        span: self.span(arguments[1]).start..self.span(arguments[2]).end,
                        message: format!("the lower limit {low} is above the upper limit {high}"),
                        help: format!("write `{}`", function.usage()),
                    });
                }
                let raised = self.builder.binary(Op::Max, operands[0], operands[1]);
                Ok(Typed { operand: self.builder.binary(Op::Min, raised, operands[2]), kind, unit })
            }
            Function::Abs => {
                let a = self.without_zero(arguments[0], span, "the absolute value of")?;
                Ok(Typed { operand: self.builder.unary(Op::Abs, a.operand), ..a })
            }
            Function::Floor | Function::Round => {
                let op = if function == Function::Floor { Op::Floor } else { Op::Round };
                let a = self.values[arguments[0]].clone();
                Ok(Typed { operand: self.builder.unary(op, a.operand), ..a })
            }
            Function::Exp | Function::Ln | Function::Sin | Function::Cos => {
                let op = match function {
                    Function::Exp => Op::Exp,
                    Function::Ln => Op::Ln,
                    Function::Sin => Op::Sin,
                    _ => Op::Cos,
                };
                let a = self.dimensionless(arguments[0], &format!("`{}`", function.name()))?;
                Ok(Typed { operand: self.builder.unary(op, a.operand), ..a })
            }
            Function::Sqrt => self.raised(arguments[0], 0.5, span),
            Function::Lag => {
                let (value, signal, lag) = self.past(function, arguments)?;
                Ok(Typed { operand: Operand::Column { signal, lag }, ..value })
            }
            Function::Sum => self.moving_sum(arguments),
        }
    }

    fn moving_sum(&mut self, arguments: &[usize]) -> Result<Typed, ExprFault> {
        let (value, signal, steps) = self.past(Function::Sum, arguments)?;
        let bad = |code, span, message, help: &str| Err(ExprFault { code, span, message, help: help.into() });
        if value.is_affine() {
            let message = format!("temperatures in `{}` cannot be summed", value.unit);
            return bad("unit-mismatch", self.span(arguments[0]), message, "declare the signal in K");
        }
        if steps > MAX_SUM {
            let message = format!("a sum over {steps} steps is longer than {MAX_SUM}");
            return bad("bad-lag", self.span(arguments[1]), message, "use fewer steps");
        }
        let mut operand = Operand::Constant(0.0);
        for lag in 1..=steps {
            let column = Operand::Column { signal, lag };
            operand = if lag == 1 { column } else { self.builder.binary(Op::Add, operand, column) };
        }
        Ok(Typed { operand, ..value })
    }

    /// Evaluates the arguments of `lag` or `sum`, which are a signal and a number of steps. Returns the expression for
    /// the signal's current value, the signal's column, and the number of steps.
    fn past(&self, function: Function, arguments: &[usize]) -> Result<(Typed, usize, usize), ExprFault> {
        let fault = |span: Range<usize>, message: String, help: &str| {
            Err(ExprFault { code: "bad-lag", span, message, help: help.into() })
        };
        let (value, steps) = (&self.values[arguments[0]], &self.values[arguments[1]]);
        let (NodeKind::Name(_), Operand::Column { signal, .. }) =
            (&self.expression.nodes[arguments[0]].kind, value.operand)
        else {
            let help = "use `lag(a, 2) + lag(b, 2)` instead of `lag(a + b, 2)`, or a derived signal";
            let message = format!("the first argument of `{}` must be the name of a signal", function.name());
            return fault(self.span(arguments[0]), message, help);
        };
        let n = match steps.operand {
            Operand::Constant(n) if steps.unit.is_dimensionless() => n * steps.unit.scale,
            Operand::Constant(_) => {
                let message = format!("the lag `{}` is in `{}`, not in steps", self.text(arguments[1]), steps.unit);
                let help = "a lag is a whole number of steps; to convert a time to steps, divide it by `dt`";
                return fault(self.span(arguments[1]), message, help);
            }
            _ => {
                let message = format!("the lag `{}` is not constant", self.text(arguments[1]));
                return fault(self.span(arguments[1]), message, "use only numbers and parameters in the lag");
            }
        };
        // a lead time divided by `dt` may differ from a whole number by a rounding error
        let whole = n.round();
        if !((n - whole).abs() <= 1e-9 * whole.abs().max(1.0) && (0.0..=MAX_LAG).contains(&whole)) {
            let help =
                if n < 0.0 { "a lag cannot be negative; use 0 or more steps" } else { "use a whole number of steps" };
            return fault(self.span(arguments[1]), format!("a lag of {n} steps is not valid"), help);
        }
        Ok((value.clone(), signal, whole as usize))
    }

    /// `a + b` or `a - b`.
    fn sum(&mut self, a: usize, b: usize, minus: bool, span: &Range<usize>) -> Result<Typed, ExprFault> {
        use ValueKind::{Ambiguous, Difference, Number, Quantity};
        let op = if minus { Op::Sub } else { Op::Add };
        let (mut l, mut r) = (self.values[a].clone(), self.values[b].clone());
        if l.kind != Number && r.kind != Number && !l.unit.same_dimension(&r.unit) {
            return Err(mismatch(if minus { "subtract" } else { "add" }, self.described(a), self.described(b), span));
        }
        if l.kind == Ambiguous && r.kind == Ambiguous && l.unit != r.unit {
            (l, r) = (l.resolved(), r.resolved());
        }
        let (l_affine, r_affine) = (l.is_affine(), r.is_affine());
        // kind and unit of the result; operands are converted if necessary
        let (kind, unit) = match (l.kind, r.kind) {
            (Number, Number) => (Number, l.unit.clone()),
            // `t - 20` is either a difference or a lower temperature, depending on the context; `t + 2` is a
            // temperature
            (_, Number) if l_affine => (if minus { Ambiguous } else { Quantity }, l.unit.clone()),
            (Number, _) if r_affine && minus => (Difference, r.unit.difference()),
            // `18 + 0.2 * (t - 8)` is either a difference or a temperature, depending on the context
            (Difference, Number) if !minus => (Ambiguous, l.unit.scale_with_zero()),
            (Number, Difference) => (Ambiguous, r.unit.scale_with_zero()),
            (_, Number) => (l.kind, l.unit.clone()),
            (Number, _) => (r.kind, r.unit.clone()),
            _ if l_affine && r_affine => {
                if !minus {
                    return Err(sum_of_temperatures(&self.text(a), &self.text(b), span));
                }
                r.operand = self.converted(&r, &l.unit, true);
                (Difference, l.unit.difference())
            }
            _ if l_affine => {
                if r.kind == Ambiguous && minus && r.unit == l.unit {
                    (Ambiguous, l.unit.clone())
                } else {
                    let r_resolved = r.clone().resolved();
                    r.operand = self.converted(&r_resolved, &l.unit.difference(), false);
                    (Quantity, l.unit.clone())
                }
            }
            _ if r_affine && !minus => {
                let l_resolved = l.clone().resolved();
                l.operand = self.converted(&l_resolved, &r.unit.difference(), false);
                (Quantity, r.unit.clone())
            }
            _ if r_affine => {
                if l.kind != Ambiguous {
                    return Err(difference_minus_temperature(&self.text(a), &self.text(b), span));
                }
                r.operand = self.converted(&r, &l.unit, true);
                (Difference, l.unit.difference())
            }
            (Ambiguous, Ambiguous) => (Ambiguous, l.unit.clone()),
            (Ambiguous, _) => {
                r.operand = self.converted(&r, &l.unit.difference(), false);
                (Ambiguous, l.unit.clone())
            }
            (_, Ambiguous) if !minus => {
                l.operand = self.converted(&l, &r.unit.difference(), false);
                (Ambiguous, r.unit.clone())
            }
            (left, right) => {
                let r_resolved = r.clone().resolved();
                r.operand = self.converted(&r_resolved, &l.unit, false);
                let both = left == Difference && matches!(right, Difference | Ambiguous);
                (if both { Difference } else { Quantity }, l.unit.clone())
            }
        };
        Ok(Typed { operand: self.builder.binary(op, l.operand, r.operand), kind, unit })
    }

    /// `a * b` or `a / b`. Units are multiplied or divided. Numbers are unchanged, except that a dimensionless operand
    /// (such as a percentage) or result is converted to the unit 1.
    fn product(&mut self, a: usize, b: usize, divide: bool, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let what = if divide { "a quotient with" } else { "a product with" };
        let (mut l, mut r) = (self.without_zero(a, span, what)?, self.without_zero(b, span, what)?);
        let op = if divide { Op::Div } else { Op::Mul };
        let (kind, unit) = match (l.kind, r.kind) {
            (ValueKind::Number, ValueKind::Number) => (ValueKind::Number, Unit::one()),
            (_, ValueKind::Number) => (l.kind, l.unit.clone()),
            (ValueKind::Number, _) if !divide => (r.kind, r.unit.clone()),
            _ => {
                l = self.as_fraction(l);
                r = self.as_fraction(r);
                let unit = if divide { l.unit.per(&r.unit) } else { l.unit.times(&r.unit) };
                let unit = unit.map_err(|message| ExprFault {
                    code: "unit-mismatch",
                    span: span.clone(),
                    message,
                    help: "use a single currency and smaller exponents".into(),
                })?;
                let keeps = |x: &Typed, by: &Typed| x.kind == ValueKind::Difference && by.unit.is_dimensionless();
                let difference = keeps(&l, &r) || (!divide && keeps(&r, &l));
                (if difference { ValueKind::Difference } else { ValueKind::Quantity }, unit)
            }
        };
        let operand = self.builder.binary(op, l.operand, r.operand);
        let product = Typed { operand, kind, unit };
        // without this conversion, the result of `kW / W` would be too small by a factor of 1000
        let both_have_units = l.kind != ValueKind::Number && r.kind != ValueKind::Number;
        Ok(if both_have_units { self.as_fraction(product) } else { product })
    }

    fn power(&mut self, a: usize, b: usize, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let exponent = self.dimensionless(b, "an exponent")?;
        if let Operand::Constant(n) = exponent.operand {
            return self.raised(a, n, span);
        }
        let base = &self.values[a];
        if !base.unit.is_dimensionless() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: self.span(b),
                message: format!("`{}` has the unit `{}`, but its exponent is not constant", self.text(a), base.unit),
                help: "use a constant exponent, or divide by a reference value first: `(x / 1[m])^n`".into(),
            });
        }
        let base = self.dimensionless(a, "a power")?;
        let operand = self.builder.binary(Op::Pow, base.operand, exponent.operand);
        let bare = base.kind == ValueKind::Number && exponent.kind == ValueKind::Number;
        Ok(if bare { Typed::number(operand) } else { Typed::quantity(operand, Unit::one()) })
    }

    /// `a ^ n` with a constant n.
    fn raised(&mut self, a: usize, n: f64, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let base = self.without_zero(a, span, "a power of")?;
        let base = self.as_fraction(base);
        let op = if n == 0.5 {
            Op::Sqrt
        } else if n == n.round() && n.abs() <= 64.0 {
            Op::Powi(n as i32)
        } else {
            Op::Pow
        };
        let operand = match op {
            Op::Pow => self.builder.binary(op, base.operand, Operand::Constant(n)),
            _ => self.builder.unary(op, base.operand),
        };
        if base.kind == ValueKind::Number {
            return Ok(Typed::number(operand));
        }
        if n == 1.0 {
            return Ok(Typed { operand, ..base });
        }
        let (unit, factor) = base.unit.power(n).map_err(|_| ExprFault {
            code: "unit-mismatch",
            span: span.clone(),
            message: format!("`{}` ^ {n} is not a unit", base.unit),
            help: "divide by a reference value: `(x / 1[m])^n`, or give units to constants: `sqrt(2 * 9.81[m/s2] * h)`"
                .into(),
        })?;
        let operand = self.builder.binary(Op::Mul, operand, Operand::Constant(factor));
        Ok(Typed::quantity(operand, unit))
    }
}
