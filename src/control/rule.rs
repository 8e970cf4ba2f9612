//! Controls that are computed from signals by expressions.

use indexmap::IndexMap;

use super::{Control, Controller, Observation};
use crate::config::At;
use crate::error::Result;
use crate::expr::{Program, Registers};
use crate::resolve::{Faults, Names, Wanted, all};

/// The column and the rule of each control that a rule sets. The value of the rule is in the unit
/// of the control.
#[derive(Debug, Clone)]
pub struct RuleSettings {
    signals: Vec<usize>,
    programs: Vec<Program>,
}

impl RuleSettings {
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        names: &Names<'_>,
        owner: &str,
        rules: &IndexMap<String, At<String>>,
    ) -> Option<Self> {
        let resolved = all(rules.iter().map(|(name, text)| {
            let signal = names.control_key(faults, name, &text.span);
            let wanted = Wanted { what: format!("{owner}, rule for `{name}`"), unit: names.unit(name) };
            let program = names.expression(faults, text, &wanted);
            signal.zip(program)
        }));
        let (signals, programs) = resolved?.into_iter().unzip();
        Some(Self { signals, programs })
    }
}

/// Computes each control with an expression: u(t) = f(signals at t and earlier). In the expression, controls have their
/// logged values, and outputs have their last measured values.
#[derive(Debug)]
pub struct Rule {
    settings: RuleSettings,
    registers: Registers,
}

impl Rule {
    pub(super) fn new(settings: &RuleSettings) -> Self {
        Self { settings: settings.clone(), registers: Registers::default() }
    }
}

impl Controller for Rule {
    fn signals(&self) -> &[usize] {
        &self.settings.signals
    }

    fn depth(&self) -> usize {
        1 + self.settings.programs.iter().map(Program::depth).max().unwrap_or(0)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for (program, column) in self.settings.programs.iter().zip(&mut control.values) {
            program.eval(observation.window, &mut self.registers, column);
        }
        Ok(())
    }
}
