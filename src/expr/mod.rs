//! The small expression language over signal names: parse, check units, evaluate column at a time.
//!
//! ```text
//! hvac_power + it_power                          sums convert units: kW + W is in kW
//! if(outdoor_temp > 25, 16, 18)                  a bare number has the unit of what stands beside it
//! level + dt * (inflow - outflow) / area         dt: sample time; parameters are constants with units
//! stock + lag(order, lead - 1) - sales           a signal some steps ago
//! 1 - ln(1 + abs(level - target) / 0.001[m])     a number with a unit
//! ```
//! Operators from loose to tight: `or`, `and`, `not`, comparisons, `+ -`, `* /`, `-x` and `!x`, `^` (to the right).
//! Functions: `if min max abs clip exp ln sqrt sin cos floor round lag sum`; `time` is the time since 1970, UTC. Numbers are worked on in the signals' declared units;
//! units are worked out once, at compile time:
//!
//! - `+ - min max`, comparisons, `if`, `clip` take one dimension; the result is in the first operand's unit.
//! - Products and quotients multiply units. `%` and the like count as fractions there.
//! - `degC - degC` is K, `degC ± K` is degC; what depends on the scale's zero (`degC + degC`, `2 * degC`) is refused.

mod affine;
mod function;
mod kernel;
mod lexer;
mod program;
mod residual;
mod syntax;
mod typed;

mod scope;

#[allow(unused_imports)]
pub(crate) use scope::Open;
pub use scope::schema;

use std::collections::HashMap;
use std::ops::Range;

use crate::error;
use crate::schema::Schema;
use crate::units::Unit;

pub use function::Function;
pub use program::{Program, Registers};
pub use residual::{Residual, STRETCH};
pub use syntax::{DEEPEST, Expression, LONGEST};

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprFault {
    /// `syntax`, `too-long`, `too-deep`, `unknown-name`, `unknown-function`, `unknown-unit`, `unit-mismatch`, `arity`,
    /// `bad-lag`, `bad-bounds`.
    pub code: &'static str,
    /// Byte range in the expression's text.
    pub span: Range<usize>,
    pub message: String,
    pub help: String,
}

/// The names that an expression may use.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Signal name → column and unit.
    pub signals: HashMap<String, (usize, Unit)>,
    /// Parameter name → value and unit.
    pub parameters: HashMap<String, (f64, Unit)>,
    /// Sample time in seconds: the value of the name `dt`.
    pub dt: f64,
}

impl Scope {
    /// All signals of a schema, and no parameters.
    pub fn of(schema: &Schema, dt: f64) -> Self {
        let signals = schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone()))).collect();
        Self { signals, parameters: HashMap::new(), dt }
    }
}

impl Program {
    /// Parses, checks dimensions and compiles.
    pub fn compile(text: &str, scope: &Scope) -> Result<Self, ExprFault> {
        Expression::parse(text)?.compile(scope)
    }
}

/// Whether a signal or parameter of this name can be used in expressions: letters, digits, `_`, inner `.`; not
/// starting with a digit; none of the language's own words.
pub fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    first && lexer::name_length(name) == name.len() && !["dt", "and", "or", "not"].contains(&name)
}

/// `did you mean ...?`, or what is known.
fn nearest_help<'a>(name: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    match error::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => {
            let some: Vec<&str> = known.iter().take(12).copied().collect();
            let more = if known.len() > 12 { ", ..." } else { "" };
            format!("known {what} are {}{more}", some.join(", "))
        }
    }
}
