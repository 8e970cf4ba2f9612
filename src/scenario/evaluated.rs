//! A finished run of a case, with the values of its KPIs.

use super::cash;
use super::closed_loop::{ClosedLoop, ClosedLoopRun, with_history};
use super::compiled::Compiled;
use crate::value::{Figures, figures};

/// A finished run of a case, with its KPIs.
pub struct Case {
    pub run: ClosedLoopRun,
    /// One entry per KPI.
    pub kpis: Vec<Figures>,
    /// Objective as `[particles]`.
    pub objective: Vec<f64>,
    /// Cost as `[particles]`; `None` if no KPI is a cost.
    pub cash: Option<Vec<f64>>,
    /// Cost of each step: `[steps × particles]`.
    pub cash_by_step: Option<Vec<f64>>,
}

impl Case {
    pub fn evaluate(closed_loop: &ClosedLoop, run: ClosedLoopRun) -> Self {
        let compiled = closed_loop.compiled;
        let cash = cash::cash(closed_loop.plant, compiled);
        let trajectory = &run.simulated.trajectory;
        let (joined, period) = with_history(&compiled.kpis, trajectory, closed_loop.realised, closed_loop.past);
        let kpis = figures(&compiled.kpis, &joined, std::slice::from_ref(&period));
        let cash_by_step = cash.as_ref().and_then(|cash| cash.by_step(&compiled.kpis, &joined, &period));
        let values: Vec<Vec<f64>> = kpis.iter().map(|k| k.values.clone()).collect();
        Self {
            run,
            objective: compiled.objective.value_of(&compiled.kpis, &values),
            cash: cash.map(|cash| cash.value(&values)),
            cash_by_step,
            kpis,
        }
    }

    /// The mean of the KPI `name` over all simulated futures; NaN if it has no value.
    pub fn mean(&self, compiled: &Compiled, name: &str) -> f64 {
        let at = compiled.kpis.iter().position(|k| k.name == name);
        at.map_or(f64::NAN, |k| self.kpis[k].values.iter().sum::<f64>() / self.kpis[k].values.len().max(1) as f64)
    }
}
