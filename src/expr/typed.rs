//! From nodes to operations: names are resolved, units worked out, conversions put in.

use std::ops::Range;

use super::function::Function;
use super::kernel::Op;
use super::program::{Builder, Meaning, Operand, Program};
use super::syntax::{Binary, Expression, Kind, Node};
use super::{ExprFault, Scope, nearest_help};
use crate::units::Unit;

/// Farthest that `lag` reaches back: a year of 1-minute steps is half of it.
const LONGEST_LAG: f64 = 1_048_576.0;
/// Every step of a `sum` is an operation of its own.
const LONGEST_SUM: usize = 4096;

/// The value of a node.
#[derive(Debug, Clone)]
struct Typed {
    operand: Operand,
    meaning: Meaning,
    /// `1` for bare numbers.
    unit: Unit,
}

impl Typed {
    fn plain(operand: Operand, unit: Unit) -> Self {
        Self { operand, meaning: Meaning::Plain, unit }
    }

    fn bare(operand: Operand) -> Self {
        Self { operand, meaning: Meaning::Bare, unit: Unit::one() }
    }

    /// A temperature on a scale with its own zero.
    fn is_affine(&self) -> bool {
        self.meaning == Meaning::Plain && self.unit.is_affine()
    }

    /// [`Meaning::Either`] settled as a difference; others unchanged.
    fn settled(self) -> Self {
        match self.meaning {
            Meaning::Either => Self { meaning: Meaning::Difference, unit: self.unit.difference(), ..self },
            _ => self,
        }
    }
}

impl Expression {
    /// Checks names and dimensions, and compiles. Faults: `unknown-name`, `unit-mismatch`, `bad-lag`, `bad-bounds`.
    pub fn compile(&self, scope: &Scope) -> Result<Program, ExprFault> {
        let mut checker = Checker { expression: self, scope, builder: Builder::default(), values: Vec::new() };
        for node in &self.nodes {
            let value = checker.node(node)?;
            checker.values.push(value);
        }
        let result = checker.values.pop().unwrap_or_else(|| Typed::bare(Operand::Constant(0.0)));
        Ok(checker.builder.finish(result.operand, result.meaning, result.unit))
    }
}

struct Checker<'a> {
    expression: &'a Expression,
    scope: &'a Scope,
    builder: Builder,
    /// Values of the nodes so far.
    values: Vec<Typed>,
}

impl Checker<'_> {
    fn node(&mut self, node: &Node) -> Result<Typed, ExprFault> {
        let span = &node.span;
        match &node.kind {
            Kind::Number(v) => Ok(Typed::bare(Operand::Constant(*v))),
            Kind::Quantity(v, unit) => Ok(Typed::plain(Operand::Constant(*v), unit.clone())),
            Kind::Name(name) => self.name(name, span),
            Kind::Negate(a) => {
                // `-5[degC]` is a temperature, `-t` of a temperature t depends on where the scale's zero lies.
                if let Kind::Quantity(v, unit) = &self.expression.nodes[*a].kind {
                    return Ok(Typed::plain(Operand::Constant(-v), unit.clone()));
                }
                let a = self.linear(*a, span, "the negative of")?;
                Ok(Typed { operand: self.builder.unary(Op::Neg, a.operand), ..a })
            }
            Kind::Not(a) => {
                let a = self.pure(*a, "`not`")?;
                Ok(Typed::plain(self.builder.unary(Op::Not, a.operand), Unit::one()))
            }
            Kind::Binary(operator, a, b) => self.binary(*operator, *a, *b, span),
            Kind::Call(function, arguments) => self.call(*function, arguments, span),
        }
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Result<Typed, ExprFault> {
        if name == "dt" {
            return Ok(Typed::plain(Operand::Constant(self.scope.dt), Unit::second()));
        }
        if name == "time" && !self.scope.signals.contains_key(name) && !self.scope.parameters.contains_key(name) {
            return Ok(Typed::plain(Operand::Time, Unit::second()));
        }
        if let Some((signal, unit)) = self.scope.signals.get(name) {
            return Ok(Typed::plain(Operand::Column { signal: *signal, lag: 0 }, unit.clone()));
        }
        if let Some((value, unit)) = self.scope.parameters.get(name) {
            return Ok(Typed::plain(Operand::Constant(*value), unit.clone()));
        }
        // Sorted: maps have no order, messages must have one.
        let mut known: Vec<&str> = self
            .scope
            .signals
            .keys()
            .chain(self.scope.parameters.keys())
            .map(String::as_str)
            .chain(["dt", "time"])
            .collect();
        known.sort_unstable();
        let help = match Function::named(name) {
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
                let (a, b) = (self.pure(a, &what)?, self.pure(b, &what)?);
                Ok(Typed::plain(self.builder.binary(op, a.operand, b.operand), Unit::one()))
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
        Ok(Typed::plain(self.builder.binary(op, operands[0], operands[1]), Unit::one()))
    }

    fn call(&mut self, function: Function, arguments: &[usize], span: &Range<usize>) -> Result<Typed, ExprFault> {
        match function {
            Function::If => {
                let condition = self.pure(arguments[0], "a condition")?;
                let (branch, meaning, unit) = self.unified(&arguments[1..], "choose between", span)?;
                let operand = self.builder.emit(Op::Select, [condition.operand, branch[0], branch[1]]);
                Ok(Typed { operand, meaning, unit })
            }
            Function::Min | Function::Max => {
                let op = if function == Function::Min { Op::Min } else { Op::Max };
                let (operands, meaning, unit) = self.unified(arguments, "compare", span)?;
                let mut operand = operands[0];
                for next in &operands[1..] {
                    operand = self.builder.binary(op, operand, *next);
                }
                Ok(Typed { operand, meaning, unit })
            }
            Function::Clip => {
                let (operands, meaning, unit) = self.unified(arguments, "clip", span)?;
                if let [_, Operand::Constant(low), Operand::Constant(high)] = operands[..]
                    && low > high
                {
                    return Err(ExprFault {
                        code: "bad-bounds",
                        span: self.span(arguments[1]).start..self.span(arguments[2]).end,
                        message: format!("the lower end {low} lies above the upper end {high}"),
                        help: format!("write `{}`", function.usage()),
                    });
                }
                let raised = self.builder.binary(Op::Max, operands[0], operands[1]);
                Ok(Typed { operand: self.builder.binary(Op::Min, raised, operands[2]), meaning, unit })
            }
            Function::Abs => {
                let a = self.linear(arguments[0], span, "the size of")?;
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
                let a = self.pure(arguments[0], &format!("`{}`", function.name()))?;
                Ok(Typed { operand: self.builder.unary(op, a.operand), ..a })
            }
            Function::Sqrt => self.raised(arguments[0], 0.5, span),
            Function::Lag => {
                let (of, signal, lag) = self.past(function, arguments)?;
                Ok(Typed { operand: Operand::Column { signal, lag }, ..of })
            }
            Function::Sum => self.moving_sum(arguments),
        }
    }

    fn moving_sum(&mut self, arguments: &[usize]) -> Result<Typed, ExprFault> {
        let (of, signal, steps) = self.past(Function::Sum, arguments)?;
        let bad = |code, span, message, help: &str| Err(ExprFault { code, span, message, help: help.into() });
        if of.is_affine() {
            let message = format!("temperatures in `{}` cannot be added up", of.unit);
            return bad("unit-mismatch", self.span(arguments[0]), message, "declare the signal in K");
        }
        if steps > LONGEST_SUM {
            let message = format!("a sum over {steps} steps is longer than {LONGEST_SUM}");
            return bad("bad-lag", self.span(arguments[1]), message, "use fewer steps");
        }
        let mut operand = Operand::Constant(0.0);
        for lag in 1..=steps {
            let column = Operand::Column { signal, lag };
            operand = if lag == 1 { column } else { self.builder.binary(Op::Add, operand, column) };
        }
        Ok(Typed { operand, ..of })
    }

    /// The signal and the whole number of steps that `lag` and `sum` take: (signal's value now, column, steps).
    fn past(&self, function: Function, arguments: &[usize]) -> Result<(Typed, usize, usize), ExprFault> {
        let fault = |span: Range<usize>, message: String, help: &str| {
            Err(ExprFault { code: "bad-lag", span, message, help: help.into() })
        };
        let (of, steps) = (&self.values[arguments[0]], &self.values[arguments[1]]);
        let (Kind::Name(_), Operand::Column { signal, .. }) = (&self.expression.nodes[arguments[0]].kind, of.operand)
        else {
            let help =
                "give the signal itself: `lag(a, 2) + lag(b, 2)` instead of `lag(a + b, 2)`, or a derived signal";
            let message = format!("`{}` takes the name of a signal", function.name());
            return fault(self.span(arguments[0]), message, help);
        };
        let n = match steps.operand {
            Operand::Constant(n) if steps.unit.is_dimensionless() => n * steps.unit.scale,
            Operand::Constant(_) => {
                let message = format!("the lag `{}` is in `{}`, not in steps", self.text(arguments[1]), steps.unit);
                return fault(self.span(arguments[1]), message, "lags are whole numbers of steps: divide by `dt`");
            }
            _ => {
                let message = format!("the lag `{}` changes with a signal", self.text(arguments[1]));
                return fault(self.span(arguments[1]), message, "use a number, a parameter, or both");
            }
        };
        // A lead time divided by dt may miss the whole number by a rounding error.
        let whole = n.round();
        if !((n - whole).abs() <= 1e-9 * whole.abs().max(1.0) && (0.0..=LONGEST_LAG).contains(&whole)) {
            let help = if n < 0.0 { "the future is not known: use 0 or more" } else { "use a whole number of steps" };
            return fault(self.span(arguments[1]), format!("a lag of {n} steps does not exist"), help);
        }
        Ok((of.clone(), signal, whole as usize))
    }

    /// `a + b` or `a - b`.
    fn sum(&mut self, a: usize, b: usize, minus: bool, span: &Range<usize>) -> Result<Typed, ExprFault> {
        use Meaning::{Bare, Difference, Either, Plain};
        let op = if minus { Op::Sub } else { Op::Add };
        let (mut l, mut r) = (self.values[a].clone(), self.values[b].clone());
        if l.meaning != Bare && r.meaning != Bare && !l.unit.same_dimension(&r.unit) {
            return Err(self.mismatch(if minus { "subtract" } else { "add" }, a, b, span));
        }
        if l.meaning == Either && r.meaning == Either && l.unit != r.unit {
            (l, r) = (l.settled(), r.settled());
        }
        let (l_affine, r_affine) = (l.is_affine(), r.is_affine());
        // What the right operand is converted to, whether that is on a scale with a zero, and what comes out.
        let (meaning, unit) = match (l.meaning, r.meaning) {
            (Bare, Bare) => (Bare, l.unit.clone()),
            // `t - 20`: a difference, or a lower temperature: the context decides. `t + 2` is a temperature.
            (_, Bare) if l_affine => (if minus { Either } else { Plain }, l.unit.clone()),
            (Bare, _) if r_affine && minus => (Difference, r.unit.difference()),
            // `18 + 0.2 * (t - 8)`: likewise.
            (Difference, Bare) if !minus => (Either, l.unit.scale_with_zero()),
            (Bare, Difference) => (Either, r.unit.scale_with_zero()),
            (_, Bare) => (l.meaning, l.unit.clone()),
            (Bare, _) => (r.meaning, r.unit.clone()),
            _ if l_affine && r_affine => {
                if !minus {
                    return Err(self.two_zeros(a, b, span));
                }
                r.operand = self.converted(&r, &l.unit, true);
                (Difference, l.unit.difference())
            }
            _ if l_affine => {
                if r.meaning == Either && minus && r.unit == l.unit {
                    (Either, l.unit.clone())
                } else {
                    let r_settled = r.clone().settled();
                    r.operand = self.converted(&r_settled, &l.unit.difference(), false);
                    (Plain, l.unit.clone())
                }
            }
            _ if r_affine && !minus => {
                let l_settled = l.clone().settled();
                l.operand = self.converted(&l_settled, &r.unit.difference(), false);
                (Plain, r.unit.clone())
            }
            _ if r_affine => {
                if l.meaning != Either {
                    return Err(self.mixed_up_temperatures(a, b, span));
                }
                r.operand = self.converted(&r, &l.unit, true);
                (Difference, l.unit.difference())
            }
            (Either, Either) => (Either, l.unit.clone()),
            (Either, _) => {
                r.operand = self.converted(&r, &l.unit.difference(), false);
                (Either, l.unit.clone())
            }
            (_, Either) if !minus => {
                l.operand = self.converted(&l, &r.unit.difference(), false);
                (Either, r.unit.clone())
            }
            (left, right) => {
                let r_settled = r.clone().settled();
                r.operand = self.converted(&r_settled, &l.unit, false);
                let both = left == Difference && matches!(right, Difference | Either);
                (if both { Difference } else { Plain }, l.unit.clone())
            }
        };
        Ok(Typed { operand: self.builder.binary(op, l.operand, r.operand), meaning, unit })
    }

    /// `a * b` or `a / b`: units multiply, numbers stay as they are, unless the result is a plain number or an operand
    /// a share (`%`): these are brought to the unit 1.
    fn product(&mut self, a: usize, b: usize, divide: bool, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let what = if divide { "a quotient with" } else { "a product with" };
        let (mut l, mut r) = (self.linear(a, span, what)?, self.linear(b, span, what)?);
        let op = if divide { Op::Div } else { Op::Mul };
        let (meaning, unit) = match (l.meaning, r.meaning) {
            (Meaning::Bare, Meaning::Bare) => (Meaning::Bare, Unit::one()),
            (_, Meaning::Bare) => (l.meaning, l.unit.clone()),
            (Meaning::Bare, _) if !divide => (r.meaning, r.unit.clone()),
            _ => {
                l = self.as_fraction(l);
                r = self.as_fraction(r);
                let unit = if divide { l.unit.per(&r.unit) } else { l.unit.times(&r.unit) };
                let unit = unit.map_err(|message| ExprFault {
                    code: "unit-mismatch",
                    span: span.clone(),
                    message,
                    help: "use one currency, and lower powers".into(),
                })?;
                let keeps = |x: &Typed, by: &Typed| x.meaning == Meaning::Difference && by.unit.is_dimensionless();
                let difference = keeps(&l, &r) || (!divide && keeps(&r, &l));
                (if difference { Meaning::Difference } else { Meaning::Plain }, unit)
            }
        };
        let operand = self.builder.binary(op, l.operand, r.operand);
        let product = Typed { operand, meaning, unit };
        // `kW / W` would be a number a thousand times too small.
        let of_units = l.meaning != Meaning::Bare && r.meaning != Meaning::Bare;
        Ok(if of_units { self.as_fraction(product) } else { product })
    }

    fn power(&mut self, a: usize, b: usize, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let exponent = self.pure(b, "an exponent")?;
        if let Operand::Constant(n) = exponent.operand {
            return self.raised(a, n, span);
        }
        let base = &self.values[a];
        if !base.unit.is_dimensionless() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: self.span(b),
                message: format!("`{}` has the unit `{}`, and its exponent changes", self.text(a), base.unit),
                help: "use a constant exponent, or divide by a reference first: `(x / 1[m])^n`".into(),
            });
        }
        let base = self.pure(a, "a power")?;
        let operand = self.builder.binary(Op::Pow, base.operand, exponent.operand);
        let bare = base.meaning == Meaning::Bare && exponent.meaning == Meaning::Bare;
        Ok(if bare { Typed::bare(operand) } else { Typed::plain(operand, Unit::one()) })
    }

    /// `a ^ n` of a constant n.
    fn raised(&mut self, a: usize, n: f64, span: &Range<usize>) -> Result<Typed, ExprFault> {
        let base = self.linear(a, span, "a power of")?;
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
        if base.meaning == Meaning::Bare {
            return Ok(Typed::bare(operand));
        }
        if n == 1.0 {
            return Ok(Typed { operand, ..base });
        }
        let (unit, factor) = base.unit.power(n).map_err(|_| ExprFault {
            code: "unit-mismatch",
            span: span.clone(),
            message: format!("`{}` ^ {n} is no unit", base.unit),
            help: "divide by a reference first: `(x / 1[m])^n`, or give constants units: `sqrt(2 * 9.81[m/s2] * h)`"
                .into(),
        })?;
        let operand = self.builder.binary(Op::Mul, operand, Operand::Constant(factor));
        Ok(Typed::plain(operand, unit))
    }

    /// The operands of something that takes one dimension (`min`, `if`, `<`), in one unit, with meaning and unit.
    fn unified(
        &mut self,
        nodes: &[usize],
        verb: &str,
        span: &Range<usize>,
    ) -> Result<(Vec<Operand>, Meaning, Unit), ExprFault> {
        let mut values: Vec<Typed> = nodes.iter().map(|n| self.values[*n].clone()).collect();
        let Some(first) = values.iter().position(|v| v.meaning != Meaning::Bare) else {
            return Ok((values.iter().map(|v| v.operand).collect(), Meaning::Bare, Unit::one()));
        };
        for (at, value) in values.iter().enumerate() {
            if value.meaning != Meaning::Bare && !value.unit.same_dimension(&values[first].unit) {
                return Err(self.mismatch(verb, nodes[first], nodes[at], span));
            }
        }
        let affine = values.iter().position(Typed::is_affine);
        let difference = |v: &Typed| !v.unit.is_affine() && matches!(v.meaning, Meaning::Plain | Meaning::Difference);
        if let Some(temperature) = affine
            && let Some(at) = values.iter().position(difference)
        {
            let (point, other) = (&values[temperature].unit, &values[at].unit);
            return Err(ExprFault {
                code: "unit-mismatch",
                span: span.clone(),
                message: format!(
                    "cannot {verb} the temperature `{}` in `{point}` and `{}` in `{other}`, which may be a difference",
                    self.text(nodes[temperature]),
                    self.text(nodes[at])
                ),
                help: "use two temperatures or two differences; an absolute temperature x in K is in degC as \
                       `0[degC] + (x - 273.15)`"
                    .into(),
            });
        }
        let known = values.iter().filter(|v| v.meaning != Meaning::Bare);
        let all_either = known.clone().all(|v| v.meaning == Meaning::Either && v.unit == values[first].unit);
        let meaning = if affine.is_some() {
            Meaning::Plain
        } else if all_either {
            Meaning::Either
        } else if known.clone().any(|v| matches!(v.meaning, Meaning::Difference | Meaning::Either)) {
            Meaning::Difference
        } else {
            Meaning::Plain
        };
        if affine.is_none() && !all_either {
            values = values.into_iter().map(Typed::settled).collect();
        }
        let unit = values[affine.unwrap_or(first)].unit.clone();
        let operands = values.iter().map(|v| self.converted(v, &unit, affine.is_some())).collect();
        Ok((operands, meaning, unit))
    }

    /// The operand of `value` in `unit` of the same dimension; as a point on the scale, or as a difference.
    fn converted(&mut self, value: &Typed, unit: &Unit, point: bool) -> Operand {
        if value.meaning == Meaning::Bare || value.unit == *unit {
            return value.operand;
        }
        let factor = value.unit.scale / unit.scale;
        let scaled = self.builder.binary(Op::Mul, value.operand, Operand::Constant(factor));
        let shift = if point { (value.unit.offset - unit.offset) / unit.scale } else { 0.0 };
        if shift == 0.0 { scaled } else { self.builder.binary(Op::Add, scaled, Operand::Constant(shift)) }
    }

    /// A plain number in a unit like `%` or `kW/W`, in the unit 1; others unchanged.
    fn as_fraction(&mut self, value: Typed) -> Typed {
        if value.meaning == Meaning::Bare || !value.unit.is_dimensionless() || value.unit.text == "1" {
            return value;
        }
        Typed::plain(self.converted(&value, &Unit::one(), false), Unit::one())
    }

    /// The value of a node that must be a plain number, in the unit 1.
    fn pure(&mut self, node: usize, what: &str) -> Result<Typed, ExprFault> {
        let value = self.values[node].clone();
        if !value.unit.is_dimensionless() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: self.span(node),
                message: format!(
                    "{what} takes a plain number, and `{}` is in `{}`",
                    self.text(node),
                    value.settled().unit
                ),
                help: "compare it with something, or divide it by a value in its unit, like `x / 0.001[m]`".into(),
            });
        }
        Ok(self.as_fraction(value))
    }

    /// The value of a node in an operation that depends on where zero lies.
    fn linear(&mut self, node: usize, span: &Range<usize>, what: &str) -> Result<Typed, ExprFault> {
        let value = self.values[node].clone();
        if value.is_affine() {
            return Err(ExprFault {
                code: "unit-mismatch",
                span: span.clone(),
                message: format!(
                    "{what} `{}`, a temperature in `{}`, has no meaning: its zero is arbitrary",
                    self.text(node),
                    value.unit
                ),
                help: format!(
                    "take a difference, like `{0} - 20`, or declare it in K; the mean of two temperatures is `a + 0.5 * (b - a)`",
                    self.text(node)
                ),
            });
        }
        Ok(value.settled())
    }

    fn mismatch(&self, verb: &str, a: usize, b: usize, span: &Range<usize>) -> ExprFault {
        let (l, r) = (self.values[a].clone().settled().unit, self.values[b].clone().settled().unit);
        let help = match (l.currency(), r.currency()) {
            (Some(x), Some(y)) if x != y => "bring both to one currency before they get here".to_owned(),
            _ if r.is_dimensionless() => format!("give the second one the unit, like `3[{l}]`"),
            _ if l.is_dimensionless() => format!("give the first one the unit, like `3[{r}]`"),
            _ => format!("`{l}` measures {}, `{r}` measures {}: check the formula and the units", l.kind(), r.kind()),
        };
        ExprFault {
            code: "unit-mismatch",
            span: span.clone(),
            message: format!("cannot {verb} `{}` in `{l}` and `{}` in `{r}`", self.text(a), self.text(b)),
            help,
        }
    }

    fn two_zeros(&self, a: usize, b: usize, span: &Range<usize>) -> ExprFault {
        ExprFault {
            code: "unit-mismatch",
            span: span.clone(),
            message: format!("the sum of the temperatures `{}` and `{}` has no meaning", self.text(a), self.text(b)),
            help: "subtract them, or take the mean as `a + 0.5 * (b - a)`".into(),
        }
    }

    fn mixed_up_temperatures(&self, a: usize, b: usize, span: &Range<usize>) -> ExprFault {
        ExprFault {
            code: "unit-mismatch",
            span: span.clone(),
            message: format!(
                "cannot subtract the temperature `{}` from the difference `{}`",
                self.text(b),
                self.text(a)
            ),
            help: "exchange them, or give both in one temperature unit".into(),
        }
    }

    fn span(&self, node: usize) -> Range<usize> {
        self.expression.nodes[node].span.clone()
    }

    /// The node as the user wrote it, shortened for messages.
    fn text(&self, node: usize) -> String {
        let text = self.expression.text.get(self.span(node)).unwrap_or_default();
        if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(37).chain("...".chars()).collect() }
    }
}
