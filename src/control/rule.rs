//! Controls as expressions over signals.

use indexmap::IndexMap;

use super::{Context, Control, Controller, Observation};
use crate::config::At;
use crate::error::Result;
use crate::expr::{Program, Registers};

/// u(t) = f(signals at t, and `lag` of them): controls in the expression are the log's own; outputs are the last
/// measured ones.
#[derive(Debug)]
pub struct Rule {
    signals: Vec<usize>,
    programs: Vec<Program>,
    registers: Registers,
}

impl Rule {
    pub(super) fn build(rules: &IndexMap<String, At<String>>, context: &Context) -> Result<Self> {
        let (mut signals, mut programs) = (Vec::new(), Vec::new());
        for (name, text) in rules {
            let signal = context.control(name, &text.span)?;
            signals.push(signal);
            programs.push(context.program(text, &context.schema.signals[signal].unit)?);
        }
        Ok(Self { signals, programs, registers: Registers::default() })
    }
}

impl Controller for Rule {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        1 + self.programs.iter().map(Program::depth).max().unwrap_or(0)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for (program, column) in self.programs.iter().zip(&mut control.values) {
            program.eval(observation.window, &mut self.registers, column);
        }
        Ok(())
    }
}
