//! Annual KPIs from all scenarios, and the economics of each case.

use super::plant::Plant;
use super::results::{AnnualResult, CaseResult, KpiResult, ScenarioResult};
use super::summary;
use crate::config::{BASELINE, Loaded, ScenarioSpec};
use crate::twin::Dynamics;
use crate::value::{Difference, Economics, Figures, Kpi, Objective, WeightedScenario, annualise};

/// Returns one entry for each case that is included in every scenario with `days_per_year`. The list is empty if no
/// scenario has `days_per_year`.
pub fn annual(
    plant: &Plant,
    kpis: &[Kpi],
    objective: &Objective,
    specs: &[Loaded<ScenarioSpec>],
    results: &[ScenarioResult],
) -> Vec<AnnualResult> {
    let weighted: Vec<&ScenarioResult> =
        results.iter().filter(|r| r.exit_code == 0 && r.days_per_year.is_some_and(|d| d > 0.0)).collect();
    // If a scenario failed, its days are missing, so no annual KPIs can be computed.
    let failed = results.iter().any(|r| r.exit_code != 0 && r.days_per_year.is_some_and(|d| d > 0.0));
    let Some(first) = weighted.first().filter(|_| !failed) else { return Vec::new() };
    let find = |r: &ScenarioResult, name: &str| r.cases.iter().position(|c| c.name == name);
    let days: f64 = weighted.iter().filter_map(|r| r.days_per_year).sum();
    let year = |case: &str| -> Option<Vec<Vec<f64>>> {
        let cases: Vec<&CaseResult> = weighted.iter().map(|r| Some(&r.cases[find(r, case)?])).collect::<Option<_>>()?;
        let column = |k: usize| {
            let figures: Vec<Figures> = cases.iter().map(|c| figures(&c.kpis[k])).collect();
            let weighted: Vec<WeightedScenario> = weighted
                .iter()
                .zip(&figures)
                .map(|(r, figures)| WeightedScenario { days: r.days_per_year.unwrap_or(0.0), hours: r.hours, figures })
                .collect();
            annualise(kpis[k].aggregation(), &weighted)
        };
        Some((0..kpis.len()).map(column).collect())
    };
    let Some(baseline) = year(BASELINE) else { return Vec::new() };
    let members = plant.twin.members();
    // Economics are computed only for a complete year.
    let complete = (364.0..=366.5).contains(&days);
    let names = first.cases.iter().map(|c| c.name.as_str()).filter(|n| *n != BASELINE);
    names
        .filter_map(|name| {
            let values = year(name)?;
            let rows = kpis.iter().enumerate();
            let rows = rows.map(|(k, kpi)| summary::kpi(plant, kpi, &values[k], Some(&baseline[k]), members));
            Some(AnnualResult {
                case: name.to_owned(),
                days,
                kpis: rows.collect(),
                objective_change: Difference::paired_among(
                    &objective.value_of(kpis, &values),
                    &objective.value_of(kpis, &baseline),
                    members,
                ),
                economics: complete.then(|| economics(plant, kpis, specs, name, &baseline, &values)).flatten(),
            })
        })
        .collect()
}

/// Economics of a case, in which the benefit is the annual decrease of the benefit KPIs. `None` if the twin has no
/// `[economics]`.
fn economics(
    plant: &Plant,
    kpis: &[Kpi],
    specs: &[Loaded<ScenarioSpec>],
    case: &str,
    baseline: &[Vec<f64>],
    values: &[Vec<f64>],
) -> Option<Economics> {
    let spec = &plant.spec.value.economics.as_ref()?.value;
    let mut benefit = vec![0.0; baseline.first()?.len()];
    for name in &spec.benefit {
        let k = kpis.iter().position(|k| k.name == name.value)?;
        for (b, (before, after)) in benefit.iter_mut().zip(baseline[k].iter().zip(&values[k])) {
            *b += before - after;
        }
    }
    // All scenarios use the same equipment, so its cost counts only once. If the scenarios specify different costs, the
    // highest cost is used.
    let cost = |pick: fn(&crate::config::CaseSpec) -> Option<f64>| {
        specs.iter().filter_map(|s| pick(&s.value.case.get(case)?.value)).fold(0.0, f64::max)
    };
    let capex = cost(|c| c.capex.as_ref().map(|v| v.value));
    let opex = cost(|c| c.opex_per_year.as_ref().map(|v| v.value));
    Some(Economics::new(spec, capex, opex, &benefit))
}

fn figures(kpi: &KpiResult) -> Figures {
    let numbers = |list: &[Option<f64>]| list.iter().map(|v| v.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let ratio = kpi.ratio.as_ref().map(|[numerator, denominator]| (numbers(numerator), numbers(denominator)));
    Figures { values: numbers(&kpi.samples), ratio, missing: 0.0 }
}
