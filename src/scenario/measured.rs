//! KPIs and limit violations that were measured in the period of a scenario, without the changes of the scenario.

use super::cash::cash;
use super::closed_loop::run_figures;
use super::plant::Plant;
use super::results::{Measured, MeasuredKpi};
use super::summary;
use crate::trajectory::Trajectory;
use crate::value::kpi::Aggregation;
use crate::value::{Figures, Kpi};

/// Maximum fraction of missing values in a KPI that contributes to the measured cost (not tuned).
const MAX_MISSING: f64 = 0.05;

/// Evaluates the KPIs with the twin's own parameters, and all limits, over the rows of `logged` that follow the first
/// `past` rows. `unchanged` is true if the scenario leaves the logged conditions unchanged.
pub fn measure(plant: &Plant, logged: &Trajectory, past: usize, unchanged: bool) -> Measured {
    let run = logged.part(past..logged.steps);
    let kpis = &plant.compiled.kpis;
    let figures = run_figures(kpis, &run, logged, past);
    let compiled = &plant.compiled;
    // A sum over incomplete data is too small.
    let complete = |(kpi, f): (&Kpi, &Figures)| match kpi.aggregation() {
        Aggregation::Total => f.values[0] / (1.0 - f.missing),
        _ => f.values[0],
    };
    let values: Vec<Vec<f64>> = kpis.iter().zip(&figures).map(|pair| vec![complete(pair)]).collect();
    let is_paid = |kpi: usize| match &cash(plant, compiled) {
        Some(cash) => cash.kpis().any(|k| k == kpi),
        None => compiled.objective.terms.iter().any(|(k, price)| k.name == kpis[kpi].name && *price != 0.0),
    };
    let paid: Vec<usize> = (0..kpis.len()).filter(|k| is_paid(*k)).collect();
    let cost_missing = paid.iter().map(|k| figures[*k].missing).fold(0.0, f64::max);
    let is_known = cost_missing <= MAX_MISSING && paid.iter().all(|k| values[*k][0].is_finite());
    let cost = is_known.then(|| match cash(plant, compiled) {
        Some(cash) => cash.value(&values)[0],
        None => compiled.objective.value_of(kpis, &values)[0],
    });
    let kpis = kpis.iter().zip(figures).filter(|(_, f)| f.values[0].is_finite() && f.missing < 1.0);
    Measured {
        kpis: kpis
            .map(|(kpi, f)| MeasuredKpi { name: kpi.name.clone(), value: f.values[0], missing: f.missing })
            .collect(),
        limits: summary::limits(&run),
        cost: cost.filter(|cost| unchanged && cost.is_finite()),
        is_changed: !unchanged,
        cost_missing,
    }
}
