//! The compiled expression: a flat list of operations over registers, run block by block.

use std::collections::HashMap;

use super::kernel::{self, Op, Source};
use crate::trajectory::Frame;
use crate::units::Unit;

/// Rows that run through all operations together: a handful of registers of this length stay in the L1 cache.
const BLOCK: usize = 512;

/// Where an operation finds a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    Constant(f64),
    Column {
        signal: usize,
        lag: usize,
    },
    /// Seconds since 1970, UTC, at the start of the step.
    Time,
    /// The result of operation number so many.
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

#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) op: Op,
    pub(super) operands: [Operand; 3],
}

type Key = (Op, [(u8, u64, u64); 3]);

/// Operations under construction, in single-assignment form; constants are folded and equal operations shared.
#[derive(Debug, Default)]
pub(super) struct Builder {
    operations: Vec<Operation>,
    known: HashMap<Key, usize>,
}

impl Builder {
    pub(super) fn of(operations: Vec<Operation>) -> Self {
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
            return Operand::Constant(kernel::fold(op, [a, b, c]));
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

    /// The program that yields `result`; operations that it does not need are dropped.
    pub(super) fn finish(self, result: Operand, meaning: Meaning, unit: Unit) -> Program {
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
        let shown = if meaning == Meaning::Either { unit.difference() } else { unit.clone() };
        let mut program =
            Program { unit: shown, reads: Vec::new(), operations, result, registers: Vec::new(), meaning, base: unit };
        program.allocate();
        program
    }
}

/// How a value stands to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Made of bare numbers: takes any unit.
    Bare,
    /// In its unit.
    Plain,
    /// A difference of two temperatures on scales with their own zero.
    Difference,
    /// `degC − number`: the difference to that many degrees, or a temperature so much lower; `number + difference`: a
    /// larger difference, or a temperature. The number is the same; the context decides, and a difference is meant when
    /// nothing does. The unit is the temperature's.
    Either,
}

/// A compiled expression. Evaluation runs whole columns and allocates nothing once `Registers` are warm.
#[derive(Debug, Clone)]
pub struct Program {
    /// Unit of the result.
    pub unit: Unit,
    /// Every (signal, lag) that it reads, ascending.
    pub reads: Vec<(usize, usize)>,
    pub(super) operations: Vec<Operation>,
    pub(super) result: Operand,
    /// Register of each operation; the last operation writes to the output.
    registers: Vec<usize>,
    pub(super) meaning: Meaning,
    /// What the operations' result is in; differs from `unit` for [`Meaning::Either`].
    base: Unit,
}

/// Scratch columns of an evaluation; reusable between programs.
#[derive(Debug, Default, Clone)]
pub struct Registers {
    blocks: Vec<Vec<f64>>,
}

impl Program {
    /// The same expression with its result converted to `unit`; the message says why it cannot be. An expression of
    /// bare numbers (`18`, `if(t > 25, 16, 18)`) takes the unit as it is.
    pub fn in_unit(self, unit: &Unit) -> Result<Self, String> {
        let point = unit.is_affine() && (self.meaning == Meaning::Either || self.base.is_affine());
        let (factor, shift) = match self.meaning {
            Meaning::Bare => (1.0, 0.0),
            Meaning::Either if !point => (self.unit.factor(unit)?, 0.0),
            _ => self.base.conversion(unit)?,
        };
        if unit.is_affine() && !point && self.meaning != Meaning::Bare {
            return Err(format!(
                "the expression is in `{}`, which may be a difference of temperatures, and `{unit}` has a zero of its \
                 own; give its numbers units, like `18[{unit}] + x`, or declare `{}`",
                self.unit,
                unit.difference()
            ));
        }
        let mut builder = Builder::of(self.operations);
        let result = builder.binary(Op::Mul, self.result, Operand::Constant(factor));
        let result = if shift == 0.0 { result } else { builder.binary(Op::Add, result, Operand::Constant(shift)) };
        Ok(builder.finish(result, Meaning::Plain, unit.clone()))
    }

    /// Largest lag that it reads.
    pub fn depth(&self) -> usize {
        self.reads.iter().map(|r| r.1).max().unwrap_or(0)
    }

    /// Whether it depends on the clock.
    pub fn tells_time(&self) -> bool {
        let operands = self.operations.iter().flat_map(|o| o.operands).chain([self.result]);
        operands.into_iter().any(|o| o == Operand::Time)
    }

    /// Whether it reads `signal`, at any lag.
    pub fn reads_signal(&self, signal: usize) -> bool {
        self.reads.iter().any(|r| r.0 == signal)
    }

    /// Operations that every row takes.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Evaluates for all rows of `frame` into `out`: `[rows]`.
    ///
    /// Numbers are as in IEEE 754: x/0 is ±infinity, 0/0, `ln` and `sqrt` of negative numbers are NaN, and NaN
    /// (a missing value) goes through arithmetic, `min`, `max` and `clip`. A comparison with NaN is 0 (`!=`: 1), and a
    /// NaN condition counts as false.
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
        registers.warm(self.registers.iter().max().map_or(0, |r| r + 1));
        for (number, block) in out.chunks_mut(BLOCK).enumerate() {
            let rows = number * BLOCK..number * BLOCK + block.len();
            for (at, operation) in self.operations.iter().enumerate() {
                let last = at + 1 == self.operations.len();
                // The target leaves the registers while the operands are borrowed from them.
                let target = self.registers[at];
                let mut own = if last { Vec::new() } else { std::mem::take(&mut registers.blocks[target]) };
                let source = |operand| match operand {
                    Operand::Constant(c) => Source::Constant(c),
                    Operand::Time => match frame.row_seconds() {
                        Some(seconds) => Source::Rows(&seconds[rows.clone()]),
                        None => Source::Constant(seconds(frame)),
                    },
                    Operand::Column { signal, lag } => Source::Rows(&frame.column(signal, lag)[rows.clone()]),
                    Operand::Value(v) => Source::Rows(&registers.blocks[self.registers[v]][..rows.len()]),
                };
                let [a, b, c] = operation.operands.map(source);
                let into = if last { &mut *block } else { &mut own[..rows.len()] };
                kernel::run(operation.op, a, b, c, into);
                if !last {
                    registers.blocks[target] = own;
                }
            }
        }
    }

    /// Collects the reads, and gives every operation a register that none of its operands and no later-read value holds.
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
    fn warm(&mut self, count: usize) {
        while self.blocks.len() < count {
            self.blocks.push(vec![0.0; BLOCK]);
        }
    }
}
