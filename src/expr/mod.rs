//! The small expression language over signal names: parse, check units, evaluate column at a time.

mod scope;

#[allow(unused_imports)]
pub(crate) use scope::Open;
pub use scope::schema;

use std::collections::HashMap;
use std::ops::Range;

use crate::trajectory::Frame;
use crate::units::Unit;

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprFault {
    /// `syntax`, `unknown-name`, `unit-mismatch`, `arity` …
    pub code: &'static str,
    /// Byte range in the expression's text.
    pub span: Range<usize>,
    pub message: String,
    pub cure: String,
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

/// A compiled expression. Evaluation runs whole columns and allocates nothing once `Registers` are warm.
#[derive(Debug, Clone)]
pub struct Program {
    /// Unit of the result.
    pub unit: Unit,
    /// Every (signal, lag) that it reads.
    pub reads: Vec<(usize, usize)>,
}

/// Scratch columns of an evaluation; reusable between programs.
#[derive(Debug, Default, Clone)]
pub struct Registers {}

impl Program {
    /// Parses, checks dimensions and compiles.
    pub fn compile(_text: &str, _scope: &Scope) -> Result<Self, ExprFault> {
        Ok(Self { unit: Unit::one(), reads: vec![] })
    }

    /// The same expression with its result converted to `unit`; the message says why it cannot be.
    pub fn in_unit(self, _unit: &Unit) -> Result<Self, String> {
        Ok(self)
    }

    /// Largest lag that it reads.
    pub fn depth(&self) -> usize {
        self.reads.iter().map(|r| r.1).max().unwrap_or(0)
    }

    /// Evaluates for all rows of `frame` into `out`: `[rows]`.
    pub fn eval<F: Frame + ?Sized>(&self, _frame: &F, _registers: &mut Registers, out: &mut [f64]) {
        out.fill(0.0);
    }
}
