//! Figures of merit, one code for the report and for the planner.

use crate::expr::Registers;
use crate::trajectory::Frame;
use crate::units::Unit;

/// A compiled KPI.
#[derive(Debug, Clone)]
pub struct Kpi {
    pub name: String,
    pub unit: Unit,
    /// The formula in words, for the report.
    pub formula: String,
}

/// The running value of one KPI for all rows of a batch.
#[derive(Debug, Clone)]
pub struct Accumulator {}

impl Kpi {
    /// Largest lag that it reads.
    pub fn depth(&self) -> usize {
        0
    }

    pub fn start(&self, _rows: usize) -> Accumulator {
        Accumulator {}
    }

    /// Takes in one completed frame.
    pub fn add<F: Frame + ?Sized>(&self, _acc: &mut Accumulator, _frame: &F, _registers: &mut Registers) {}

    /// Value so far per row: `[rows]`.
    pub fn value(&self, _acc: &Accumulator, out: &mut [f64]) {
        out.fill(0.0);
    }
}

/// Σ price × KPI.
#[derive(Debug, Clone)]
pub struct Objective {
    /// (KPI, price per unit of it).
    pub terms: Vec<(Kpi, f64)>,
}
