//! KPIs and limit violations that were measured in the period of a scenario, without the changes of the scenario.

use super::closed_loop::run_figures;
use super::plant::Plant;
use super::results::{Measured, MeasuredKpi};
use super::summary;
use crate::trajectory::Trajectory;

/// Evaluates the KPIs with the twin's own parameters, and all limits, over the rows of `logged` that follow the first
/// `past` rows.
pub fn measure(plant: &Plant, logged: &Trajectory, past: usize) -> Measured {
    let run = logged.part(past..logged.steps);
    let kpis = &plant.compiled.kpis;
    let figures = run_figures(kpis, &run, logged, past);
    let kpis = kpis.iter().zip(figures).filter(|(_, f)| f.values[0].is_finite() && f.missing < 1.0);
    Measured {
        kpis: kpis
            .map(|(kpi, f)| MeasuredKpi { name: kpi.name.clone(), value: f.values[0], missing: f.missing })
            .collect(),
        limits: summary::limits(&run),
    }
}
