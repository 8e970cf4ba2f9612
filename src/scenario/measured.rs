//! KPIs and limit violations that were measured in the period of a scenario, without the changes of the scenario.

use jiff::Timestamp;

use super::closed_loop::run_figures;
use super::plant::Plant;
use super::results::{Measured, MeasuredKpi};
use super::summary;

/// Evaluates the KPIs with the twin's own parameters, and all limits, over the `steps` rows of the log that begin at
/// `start`.
pub fn measure(plant: &Plant, start: Timestamp, steps: usize) -> Measured {
    let Some(start) = plant.log.step_at(start) else { return Measured::default() };
    let (past, slice) = plant.slice(start, steps);
    let run = plant.log.part(start..start + steps);
    let kpis = &plant.compiled.kpis;
    let figures = run_figures(kpis, &run, &slice, past);
    let kpis = kpis.iter().zip(figures).filter(|(_, f)| f.values[0].is_finite() && f.missing < 1.0);
    Measured {
        kpis: kpis
            .map(|(kpi, f)| MeasuredKpi { name: kpi.name.clone(), value: f.values[0], missing: f.missing })
            .collect(),
        limits: summary::limits(&run),
    }
}
