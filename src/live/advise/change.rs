//! The effect of a plan on the KPIs, compared with unchanged controls.

use serde::Serialize;

use super::ahead::Ahead;
use crate::scenario::{Compiled, run_figures};
use crate::simulate::Simulated;

/// Mean change of a KPI over the horizon, compared with unchanged controls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiChange {
    pub name: String,
    pub unit: String,
    pub change: f64,
    /// The change's share of the objective, if the KPI has a price.
    pub priced: Option<f64>,
}

/// The first KPI of `kpis` with a price, else the first KPI. `None` if it does not change.
pub fn most_important(kpis: &[KpiChange]) -> Option<KpiChange> {
    kpis.iter().find(|k| k.priced.is_some()).or(kpis.first()).filter(|k| k.change != 0.0).cloned()
}

/// The objective of each future.
pub fn objectives(compiled: &Compiled, ahead: &Ahead, run: &Simulated) -> Vec<f64> {
    let figures = run_figures(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
    let values: Vec<Vec<f64>> = figures.into_iter().map(|f| f.values).collect();
    compiled.objective.value_of(&compiled.kpis, &values)
}

/// The changes from `kept` to `planned`, the one with the largest price first.
pub fn changes(compiled: &Compiled, ahead: &Ahead, planned: &Simulated, kept: &Simulated) -> Vec<KpiChange> {
    let figures = |run: &Simulated| run_figures(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
    let (planned, kept) = (figures(planned), figures(kept));
    let mut list: Vec<KpiChange> = Vec::new();
    for ((kpi, a), b) in compiled.kpis.iter().zip(&planned).zip(&kept) {
        let differences: Vec<f64> =
            a.values.iter().zip(&b.values).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
        if differences.is_empty() {
            continue;
        }
        let change = differences.iter().sum::<f64>() / differences.len() as f64;
        let price = compiled.objective.terms.iter().find(|(k, _)| k.name == kpi.name).map(|(_, price)| price);
        let priced = price.map(|p| p * change);
        list.push(KpiChange { name: kpi.name.clone(), unit: kpi.unit.text.clone(), change, priced });
    }
    list.sort_by(|a, b| b.priced.unwrap_or(0.0).abs().total_cmp(&a.priced.unwrap_or(0.0).abs()));
    list
}
