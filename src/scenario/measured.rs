//! KPIs and limit violations that were measured in the period of a scenario, without the changes of the scenario.

use super::cash::cash;
use super::closed_loop::run_figures;
use super::plant::Plant;
use super::results::{Measured, MeasuredKpi};
use super::summary;
use crate::trajectory::Trajectory;

/// Maximum fraction of missing values of a KPI that is a part of the measured cost (not tuned).
const MAX_MISSING: f64 = 0.05;

/// Evaluates the KPIs with the twin's own parameters, and all limits, over the rows of `logged` that follow the first
/// `past` rows. `unchanged` states whether the scenario has the logged conditions.
pub fn measure(plant: &Plant, logged: &Trajectory, past: usize, unchanged: bool) -> Measured {
    let run = logged.part(past..logged.steps);
    let kpis = &plant.compiled.kpis;
    let figures = run_figures(kpis, &run, logged, past);
    let compiled = &plant.compiled;
    let values: Vec<Vec<f64>> = figures.iter().map(|f| vec![f.values[0]]).collect();
    let is_known = |kpi: usize| values[kpi][0].is_finite() && figures[kpi].missing <= MAX_MISSING;
    let cost = match cash(plant, compiled) {
        Some(cash) => cash.kpis().all(is_known).then(|| cash.value(&values)[0]),
        None => Some(compiled.objective.value_of(kpis, &values)[0]).filter(|_| {
            let priced = |name: &str| compiled.objective.terms.iter().any(|(k, price)| k.name == name && *price != 0.0);
            (0..kpis.len()).filter(|k| priced(&kpis[*k].name)).all(is_known)
        }),
    };
    let kpis = kpis.iter().zip(figures).filter(|(_, f)| f.values[0].is_finite() && f.missing < 1.0);
    Measured {
        kpis: kpis
            .map(|(kpi, f)| MeasuredKpi { name: kpi.name.clone(), value: f.values[0], missing: f.missing })
            .collect(),
        limits: summary::limits(&run),
        cost: cost.filter(|cost| unchanged && cost.is_finite()),
    }
}
