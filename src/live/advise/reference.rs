//! The reference: the controls with which a plan is compared. They are advised if the plan is not
//! advised.
//!
//! A set-point keeps its last value. An amount that is added to a stock or taken from a stock, such
//! as an order, must not keep its last value, because the last order would then be repeated in
//! every step. An amount therefore follows the `safe` controller of the twin, or stays at its
//! median in the log if `safe` does not set it.

use crate::control::mpc::ResolvedMpc;
use crate::control::{self, Context, Control, Controller, ControllerSettings, Observation};
use crate::error::Result;
use crate::scenario::{Compiled, Plant};
use crate::simulate::Simulated;
use crate::stats::{quantile_type_6, sorted_finite};
use crate::trajectory::Frame;

/// The controls without a plan.
pub struct Reference<'a> {
    /// Planned controls that are amounts per step.
    amounts: Vec<usize>,
    /// Medians of the amounts in the log.
    medians: Vec<f64>,
    safe: Option<Box<dyn Controller + 'a>>,
}

impl<'a> Reference<'a> {
    /// # Errors
    /// Returns the errors of [`control::build`].
    pub fn new(
        plant: &Plant,
        compiled: &Compiled,
        settings: &ResolvedMpc,
        safe: Option<&ControllerSettings>,
        context: &Context<'a>,
    ) -> Result<Self> {
        let amounts = compiled.amounts(settings);
        let median = |&c: &usize| quantile_type_6(&sorted_finite(&plant.log.columns[c]), 0.5);
        Ok(Self {
            medians: amounts.iter().map(median).collect(),
            safe: safe.filter(|_| !amounts.is_empty()).map(|safe| control::build(safe, context)).transpose()?,
            amounts,
        })
    }

    fn is_safe(&self, control: usize) -> bool {
        self.safe.as_ref().is_some_and(|safe| safe.signals().contains(&control))
    }

    /// The value that is advised for `control` if the plan is not advised, and the reason for this
    /// value. `None` if the control is an amount that `safe` does not set. `now` is the last value
    /// of the control, and `kept` is the simulation with the reference.
    pub fn fallback(&self, control: usize, now: f64, kept: &Simulated) -> Option<(f64, &'static str)> {
        match self.amounts.contains(&control) {
            false => Some((now, "leave it")),
            true => {
                self.is_safe(control).then(|| (kept.trajectory.at(control, 0)[0], "value of the `safe` controller"))
            }
        }
    }

    /// Describes the reference in messages.
    pub fn text(&self, plant: &Plant) -> String {
        let amount = |(&c, median): (&usize, &f64)| {
            let name = &plant.schema.signals[c].name;
            if self.is_safe(c) {
                format!("`{name}` from the `safe` controller")
            } else {
                format!("`{name}` at its median in the log ({median:.4})")
            }
        };
        let amounts: Vec<String> = self.amounts.iter().zip(&self.medians).map(amount).collect();
        if amounts.is_empty() { "constant controls".into() } else { amounts.join(" and ") }
    }

    /// Names of the amounts that `safe` does not set.
    pub fn without_fallback(&self, plant: &Plant) -> String {
        let names = self.amounts.iter().filter(|c| !self.is_safe(**c));
        names.map(|c| format!("`{}`", plant.schema.signals[*c].name)).collect::<Vec<_>>().join(" and ")
    }
}

impl Controller for Reference<'_> {
    fn signals(&self) -> &[usize] {
        &self.amounts
    }

    fn depth(&self) -> usize {
        self.safe.as_ref().map_or(1, |safe| safe.depth())
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        control.values.iter_mut().zip(&self.medians).for_each(|(column, median)| column.fill(*median));
        let Some(safe) = &mut self.safe else { return Ok(()) };
        let mut own = Control::new(safe.signals().to_vec(), observation.window.rows());
        safe.act(observation, &mut own)?;
        for (signal, values) in own.signals.iter().zip(own.values) {
            if let Some(at) = self.amounts.iter().position(|c| c == signal) {
                control.values[at] = values;
            }
        }
        Ok(())
    }
}
