//! Order-up-to policies.

use super::{Control, Controller, Observation, covering_order};
use crate::config::{At, BaseStockLoop};
use crate::error::Result;
use crate::expr::{Program, Registers};
use crate::resolve::{Faults, Names, Wanted};
use crate::schema::Signal;
use crate::trajectory::Trajectory;

/// The control that sets the order quantity, and the expressions of the policy. All expressions are
/// in the unit of the order.
#[derive(Debug, Clone)]
pub struct BaseStockSettings {
    order: usize,
    /// The signal of the order, with its hard limits, multiple and minimum.
    signal: Signal,
    position: Program,
    level: Program,
    reorder: Option<Program>,
}

impl BaseStockSettings {
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        spec: &BaseStockLoop,
    ) -> Option<Self> {
        let order = names.control(faults, &spec.order, &spec.order.span);
        let unit = names.unit(&spec.order);
        let mut program = |key: &str, text: &At<String>| {
            names.expression(faults, text, &Wanted { what: format!("{owner}, `{key}`"), unit })
        };
        let (position, level) = (program("position", &spec.position), program("level", &spec.level));
        let reorder = match &spec.reorder {
            Some(text) => Some(program("reorder", text)?),
            None => None,
        };
        let order = order?;
        let signal = names.schema.signals[order].clone();
        Some(Self { order, signal, position: position?, level: level?, reorder })
    }
}

impl BaseStockSettings {
    /// Index of the order among the columns of the schema.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The levels S and the reorder points s over all steps and particles of `run`. The first steps
    /// are omitted if the expressions depend on values before the run.
    pub fn levels(&self, run: &Trajectory) -> (Vec<f64>, Option<Vec<f64>>) {
        let mut registers = Registers::default();
        let mut values = |program: &Program| {
            let first = program.depth().min(run.steps.saturating_sub(1));
            let mut out = vec![0.0; run.particles];
            let mut all = Vec::with_capacity((run.steps - first) * run.particles);
            for t in first..run.steps {
                program.eval(&run.frame(t, 0), &mut registers, &mut out);
                all.extend_from_slice(&out);
            }
            all
        };
        (values(&self.level), self.reorder.as_ref().map(values))
    }
}

/// The base-stock policy: in every step, order = max(0, S − position), rounded up to the next multiple and to the
/// minimum order. With a reorder point s, the policy becomes the (s, S) policy, which orders only if position ≤ s
/// (Arrow, Harris & Marschak 1951). The level S, the reorder point s and the inventory position are expressions in the
/// unit of the order.
#[derive(Debug)]
pub struct BaseStock {
    signals: Vec<usize>,
    loops: Vec<BaseStockSettings>,
    registers: Registers,
    position: Vec<f64>,
    reorder: Vec<f64>,
}

impl BaseStock {
    pub(super) fn new(loops: &[BaseStockSettings]) -> Self {
        Self {
            signals: loops.iter().map(|l| l.order).collect(),
            loops: loops.to_vec(),
            registers: Registers::default(),
            position: Vec::new(),
            reorder: Vec::new(),
        }
    }
}

impl Controller for BaseStock {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        let programs = self.loops.iter().flat_map(|l| [Some(&l.position), Some(&l.level), l.reorder.as_ref()]);
        1 + programs.flatten().map(Program::depth).max().unwrap_or(0)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let window = observation.window;
        for (l, order) in self.loops.iter().zip(&mut control.values) {
            self.position.resize(order.len(), 0.0);
            self.reorder.resize(order.len(), 0.0);
            l.position.eval(window, &mut self.registers, &mut self.position);
            l.level.eval(window, &mut self.registers, order);
            match &l.reorder {
                Some(reorder) => reorder.eval(window, &mut self.registers, &mut self.reorder),
                None => self.reorder.fill(f64::INFINITY),
            }
            for ((o, position), reorder) in order.iter_mut().zip(&self.position).zip(&self.reorder) {
                let missing = *o - position;
                *o = if missing.is_nan() || reorder.is_nan() {
                    f64::NAN
                } else if position <= reorder {
                    covering_order(&l.signal, missing).max(0.0)
                } else {
                    0.0
                };
            }
        }
        Ok(())
    }
}
