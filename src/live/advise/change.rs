//! Computes the effect of a plan on the KPIs, compared with the controls without a plan.

use serde::Serialize;

use super::ahead::Ahead;
use crate::scenario::{Compiled, run_figures};
use crate::simulate::Simulated;

/// Mean change of a KPI over the horizon, compared with the controls without a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiChange {
    pub name: String,
    pub unit: String,
    pub change: f64,
    /// The resulting change of the objective (price × change), if the KPI has a price.
    pub priced: Option<f64>,
}

/// Returns the first KPI of `kpis` that has a price, or the first KPI if none has a price. Returns `None` if the change
/// of the selected KPI is zero.
pub fn most_important(kpis: &[KpiChange]) -> Option<KpiChange> {
    kpis.iter().find(|k| k.priced.is_some()).or(kpis.first()).filter(|k| k.change != 0.0).cloned()
}

/// Returns the objective of each simulated future.
pub fn objectives(compiled: &Compiled, ahead: &Ahead, run: &Simulated) -> Vec<f64> {
    let figures = run_figures(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
    let values: Vec<Vec<f64>> = figures.into_iter().map(|f| f.values).collect();
    compiled.objective.value_of(&compiled.kpis, &values)
}

/// Returns the KPI changes of the simulation `planned` relative to the simulation `kept`, sorted by their effect on the
/// objective, largest first.
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
