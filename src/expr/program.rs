//! The compiled expression: a list of operations on registers, evaluated block by block.

use std::collections::HashMap;

use twinopt_kernels::rowwise::{self, Op, Values};

use crate::trajectory::Frame;
use crate::units::Unit;

/// Number of rows in a block. All operations are applied to one block before the next block is processed. A few
/// registers with one value per row of a block fit into the L1 cache.
const BLOCK: usize = 512;

/// An operand of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    Constant(f64),
    Column {
        signal: usize,
        lag: usize,
    },
    /// Time at the start of the step, in seconds since 1970 (UTC).
    Time,
    /// The result of the operation with the given index.
    Value(usize),
}

impl Operand {
    fn key(self) -> (u8, u64, u64) {
        match self {
            Self::Constant(c) => (0, c.to_bits(), 0),
            Self::Column { signal, lag } => (1, signal as u64, lag as u64),
            Self::Value(v) => (2, v as u64, 0),
            Self::Time => (3, 0, 0),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Operation {
    pub(super) op: Op,
    pub(super) operands: [Operand; 3],
}

type Key = (Op, [(u8, u64, u64); 3]);

/// Builds a list of operations in static single assignment form. Folds constants and emits identical operations only
/// once.
#[derive(Debug, Default)]
pub(super) struct Builder {
    operations: Vec<Operation>,
    known: HashMap<Key, usize>,
}

impl Builder {
    pub(super) fn with_operations(operations: Vec<Operation>) -> Self {
        Self { operations, known: HashMap::new() }
    }

    pub(super) fn unary(&mut self, op: Op, a: Operand) -> Operand {
        self.emit(op, [a, Operand::Constant(0.0), Operand::Constant(0.0)])
    }

    pub(super) fn binary(&mut self, op: Op, a: Operand, b: Operand) -> Operand {
        self.emit(op, [a, b, Operand::Constant(0.0)])
    }

    pub(super) fn emit(&mut self, op: Op, operands: [Operand; 3]) -> Operand {
        if let [Operand::Constant(a), Operand::Constant(b), Operand::Constant(c)] = operands {
            return Operand::Constant(rowwise::fold(op, [a, b, c]));
        }
        match (op, operands) {
            (Op::Mul, [Operand::Constant(1.0), x, _])
            | (Op::Mul | Op::Div, [x, Operand::Constant(1.0), _])
            | (Op::Powi(1), [x, ..]) => return x,
            (Op::Select, [Operand::Constant(c), a, b]) => return if c.abs() > 0.0 { a } else { b },
            _ => {}
        }
        let key = (op, operands.map(Operand::key));
        let at = *self.known.entry(key).or_insert_with(|| {
            self.operations.push(Operation { op, operands });
            self.operations.len() - 1
        });
        Operand::Value(at)
    }

    /// Returns the program that computes `result`, without unused operations.
    pub(super) fn finish(self, result: Operand, kind: ValueKind, unit: Unit) -> Program {
        let mut needed = vec![false; self.operations.len()];
        if let Operand::Value(v) = result {
            needed[v] = true;
        }
        for at in (0..needed.len()).rev() {
            if needed[at] {
                for operand in self.operations[at].operands {
                    if let Operand::Value(v) = operand {
                        needed[v] = true;
                    }
                }
            }
        }
        let mut renamed = vec![0; needed.len()];
        let mut operations = Vec::new();
        let rename = |o: Operand, renamed: &[usize]| match o {
            Operand::Value(v) => Operand::Value(renamed[v]),
            other => other,
        };
        for (at, operation) in self.operations.into_iter().enumerate() {
            if needed[at] {
                renamed[at] = operations.len();
                let operands = operation.operands.map(|o| rename(o, &renamed));
                operations.push(Operation { operands, ..operation });
            }
        }
        let result = rename(result, &renamed);
        let shown = if kind == ValueKind::Ambiguous { unit.difference() } else { unit.clone() };
        let mut program =
            Program { unit: shown, reads: Vec::new(), operations, result, registers: Vec::new(), kind, base: unit };
        program.allocate();
        program
    }
}

/// Whether a value has a unit, and whether it is a temperature difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A value computed from numbers without units, whose unit is determined by the context.
    Number,
    /// A value with a unit.
    Quantity,
    /// A difference of two temperatures in `degC` or `degF`.
    Difference,
    /// A value that is either a temperature difference or a temperature, depending on the context. For example, `degC −
    /// number` may be a temperature difference, or a temperature that is lower by that number. Likewise, `number +
    /// difference` may be a temperature difference or a temperature. The context of an ambiguous value determines
    /// whether it is a temperature or a difference; without a context, it is a difference. The number that represents
    /// an ambiguous value is the same in every context. An ambiguous value is stored with the unit that it would have
    /// as a temperature.
    Ambiguous,
}

/// A compiled expression, which is evaluated for whole columns. Evaluation allocates memory only on the first use of a
/// `Registers` value.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Unit of the result.
    pub unit: Unit,
    /// The (signal, lag) pairs that the program reads, in ascending order.
    pub reads: Vec<(usize, usize)>,
    pub(super) operations: Vec<Operation>,
    pub(super) result: Operand,
    /// Register of each operation; the last operation writes to the output.
    registers: Vec<usize>,
    pub(super) kind: ValueKind,
    /// Unit of the number that the operations compute, which differs from `unit` if the kind is
    /// [`ValueKind::Ambiguous`].
    base: Unit,
}

/// Scratch memory for evaluations, which several programs can share.
#[derive(Debug, Default, Clone)]
pub struct Registers {
    blocks: Vec<Vec<f64>>,
}

impl Program {
    /// Returns the same expression with its result converted to `unit`. An expression that consists of numbers without
    /// units, such as `18` or `if(t > 25, 16, 18)`, is taken as a value in `unit`, without conversion. If a
    /// conversion is impossible, the error states the reason.
    pub fn in_unit(self, unit: &Unit) -> Result<Self, String> {
        let point = unit.is_affine() && (self.kind == ValueKind::Ambiguous || self.base.is_affine());
        let (factor, shift) = match self.kind {
            ValueKind::Number => (1.0, 0.0),
            ValueKind::Ambiguous if !point => (self.unit.factor(unit)?, 0.0),
            _ => self.base.conversion(unit)?,
        };
        if unit.is_affine() && !point && self.kind != ValueKind::Number {
            return Err(format!(
                "the unit of the expression is `{}`, so its value may be a temperature difference, which cannot be \
                 converted to `{unit}`; give units to the numbers in the expression, like `18[{unit}] + x`, or declare \
                 the unit `{}`",
                self.unit,
                unit.difference()
            ));
        }
        let mut builder = Builder::with_operations(self.operations);
        let result = builder.binary(Op::Mul, self.result, Operand::Constant(factor));
        let result = if shift == 0.0 { result } else { builder.binary(Op::Add, result, Operand::Constant(shift)) };
        Ok(builder.finish(result, ValueKind::Quantity, unit.clone()))
    }

    /// Returns the largest lag that the program reads.
    pub fn depth(&self) -> usize {
        self.reads.iter().map(|r| r.1).max().unwrap_or(0)
    }

    /// Whether the program depends on `time`.
    pub fn uses_time(&self) -> bool {
        let operands = self.operations.iter().flat_map(|o| o.operands).chain([self.result]);
        operands.into_iter().any(|o| o == Operand::Time)
    }

    /// Whether the program reads `signal` at any lag.
    pub fn reads_signal(&self, signal: usize) -> bool {
        self.reads.iter().any(|r| r.0 == signal)
    }

    /// Returns the number of operations per row.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Evaluates the expression for all rows of `frame` and writes the results to `out`, `[rows]`.
    ///
    /// Numbers follow IEEE 754: x/0 is ±infinity; 0/0 and `ln` and `sqrt` of negative numbers are NaN. Arithmetic,
    /// `min`, `max` and `clip` return NaN if an operand is NaN (a missing value). A comparison with NaN gives 0 (or 1
    /// for `!=`), and a NaN condition is false.
    pub fn eval<F: Frame + ?Sized>(&self, frame: &F, registers: &mut Registers, out: &mut [f64]) {
        match self.result {
            Operand::Constant(c) => return out.fill(c),
            Operand::Time => match frame.row_seconds() {
                Some(seconds) => return out.copy_from_slice(&seconds[..out.len()]),
                None => return out.fill(seconds(frame)),
            },
            Operand::Column { signal, lag } => return out.copy_from_slice(&frame.column(signal, lag)[..out.len()]),
            Operand::Value(_) => {}
        }
        registers.grow(self.registers.iter().max().map_or(0, |r| r + 1));
        for (number, block) in out.chunks_mut(BLOCK).enumerate() {
            let rows = number * BLOCK..number * BLOCK + block.len();
            for (at, operation) in self.operations.iter().enumerate() {
                let last = at + 1 == self.operations.len();
                // take the target register out of the list, because the operands borrow the list
                let target = self.registers[at];
                let mut own = if last { Vec::new() } else { std::mem::take(&mut registers.blocks[target]) };
                let source = |operand| match operand {
                    Operand::Constant(c) => Values::Constant(c),
                    Operand::Time => match frame.row_seconds() {
                        Some(seconds) => Values::Rows(&seconds[rows.clone()]),
                        None => Values::Constant(seconds(frame)),
                    },
                    Operand::Column { signal, lag } => Values::Rows(&frame.column(signal, lag)[rows.clone()]),
                    Operand::Value(v) => Values::Rows(&registers.blocks[self.registers[v]][..rows.len()]),
                };
                let operands = operation.operands.map(source);
                let into = if last { &mut *block } else { &mut own[..rows.len()] };
                rowwise::run(operation.op, operands, into);
                if !last {
                    registers.blocks[target] = own;
                }
            }
        }
    }

    /// Collects `reads` and assigns a register to every operation. A register is reused only if it contains neither an
    /// operand of the operation nor a value that is used later.
    fn allocate(&mut self) {
        self.reads.clear();
        let mut last_use = vec![0; self.operations.len()];
        for (at, operation) in self.operations.iter().enumerate() {
            for operand in operation.operands {
                match operand {
                    Operand::Column { signal, lag } => self.reads.push((signal, lag)),
                    Operand::Value(v) => last_use[v] = at,
                    Operand::Constant(_) | Operand::Time => {}
                }
            }
        }
        if let Operand::Column { signal, lag } = self.result {
            self.reads.push((signal, lag));
        }
        self.reads.sort_unstable();
        self.reads.dedup();

        self.registers.clear();
        let (mut free, mut width) = (Vec::new(), 0);
        for (at, operation) in self.operations.iter().enumerate() {
            let register = free.pop().unwrap_or_else(|| {
                width += 1;
                width - 1
            });
            self.registers.push(register);
            let mut done: Vec<usize> = operation
                .operands
                .iter()
                .filter_map(|o| if let Operand::Value(v) = o { Some(*v) } else { None })
                .collect();
            done.sort_unstable();
            done.dedup();
            free.extend(done.into_iter().filter(|v| last_use[*v] == at).map(|v| self.registers[v]));
        }
    }
}

fn seconds<F: Frame + ?Sized>(frame: &F) -> f64 {
    frame.time().as_millisecond() as f64 / 1e3
}

impl Registers {
    fn grow(&mut self, count: usize) {
        while self.blocks.len() < count {
            self.blocks.push(vec![0.0; BLOCK]);
        }
    }
}
