//! The expression language: parses expressions over signal names, checks their units and evaluates them for whole
//! columns.
//!
//! ```text
//! hvac_power + it_power                          units are converted: kW + W is in kW
//! if(outdoor_temp > 25, 16, 18)                  a number without unit takes the unit of the other operand
//! level + dt * (inflow - outflow) / area         dt: sample time; parameters are constants with units
//! stock + lag(order, lead - 1) - sales           the value of a signal some steps ago
//! 1 - ln(1 + abs(level - target) / 0.001[m])     a number with a unit
//! ```
//!
//! # Grammar
//!
//! ```text
//! expression = or or         = and { ( "or" | "||" ) and } and        = not { ( "and" | "&&" ) not } not        =
//! "not" not | comparison comparison = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ] sum        = product { (
//! "+" | "-" ) product } product    = sign { ( "*" | "/" ) sign } sign       = ( "-" | "+" | "!" ) sign | power power
//! = atom [ ( "^" | "**" ) sign ] atom       = number [ "[" unit "]" ] | name | function "(" [ expression { ","
//! expression } ] ")" | "(" expression ")" number     = ( digits [ "." [ digits ] ] | "." digits ) [ ( "e" | "E" ) [
//! "+" | "-" ] digits ] name       = ( letter | "_" ) { letter | digit | "_" | "." } function   = "if" | "min" | "max"
//! | "abs" | "clip" | "exp" | "ln" | "sqrt" | "sin" | "cos" | "floor" | "round" | "lag" | "sum" ``` `dt` is the sample
//! time and `time` is the time since 1970 (UTC), both in seconds. In expressions, true is represented by 1 and false by
//! 0.
//!
//! # Units
//!
//! Expressions read the values of signals in the declared units. Units and conversions are determined once, when an
//! expression is compiled.
//!
//! - The operands of `+ - min max if clip` and of comparisons must have the same dimension. The result has the unit of
//!   the first operand that has a unit.
//! - In products and quotients, units are multiplied or divided. Dimensionless units such as `%` are first converted to
//!   fractions.
//! - The arguments of `exp ln sin cos`, the exponent of `^` and conditions must be dimensionless.
//! - `degC - degC` is in K, and `degC ± K` is in degC. Operations whose result depends on the zero point of the
//!   temperature scale (`degC + degC`, `2 * degC`) are rejected.

mod compile;
mod compiler;
mod fault;
mod function;
mod lexer;
mod program;
mod residual;
mod scope;
mod symbolic;
mod syntax;
mod value;

pub use fault::ExprFault;
pub use function::functions;
pub use lexer::is_name;
pub use program::{Program, Registers};
pub use residual::SCALE_STEP;
pub(crate) use scope::UntypedSignal;
pub use scope::{Scope, schema};
pub use symbolic::{Arithmetic, Curve, Shape};
pub use syntax::Expression;
