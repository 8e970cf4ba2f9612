//! A folder of scenarios as a year, and what a case is worth in it.

use super::case::BASELINE;
use super::plant::Plant;
use super::results::{AnnualResult, CaseResult, KpiResult, ScenarioResult};
use crate::config::{Loaded, ScenarioSpec};
use crate::twin::Dynamics;
use crate::value::{Difference, Economics, Estimate, Figures, Kpi, Objective, Part, annualise};

/// One entry per case that every weighted scenario ran; empty without weights.
pub fn annual(
    plant: &Plant,
    kpis: &[Kpi],
    objective: &Objective,
    specs: &[Loaded<ScenarioSpec>],
    results: &[ScenarioResult],
) -> Vec<AnnualResult> {
    let weighted: Vec<&ScenarioResult> =
        results.iter().filter(|r| r.exit_code == 0 && r.days_per_year.is_some_and(|d| d > 0.0)).collect();
    // a failed scenario's days are missing: no sum over the year would be true
    let failed = results.iter().any(|r| r.exit_code != 0 && r.days_per_year.is_some_and(|d| d > 0.0));
    let Some(first) = weighted.first().filter(|_| !failed) else { return Vec::new() };
    let find = |r: &ScenarioResult, name: &str| r.cases.iter().position(|c| c.name == name);
    let days: f64 = weighted.iter().filter_map(|r| r.days_per_year).sum();
    let year = |case: &str| -> Option<Vec<Vec<f64>>> {
        let cases: Vec<&CaseResult> = weighted.iter().map(|r| Some(&r.cases[find(r, case)?])).collect::<Option<_>>()?;
        let column = |k: usize| {
            let figures: Vec<Figures> = cases.iter().map(|c| figures(&c.kpis[k])).collect();
            let parts: Vec<Part> = weighted
                .iter()
                .zip(&figures)
                .map(|(r, figures)| Part { days: r.days_per_year.unwrap_or(0.0), hours: r.hours, figures })
                .collect();
            annualise(kpis[k].aggregation(), &parts)
        };
        Some((0..kpis.len()).map(column).collect())
    };
    let Some(baseline) = year(BASELINE) else { return Vec::new() };
    let plants = plant.twin.members();
    // money over a lifetime is told of whole years only
    let whole = (364.0..=366.5).contains(&days);
    let names = first.cases.iter().map(|c| c.name.as_str()).filter(|n| *n != BASELINE);
    names
        .filter_map(|name| {
            let values = year(name)?;
            let rows = kpis.iter().enumerate().map(|(k, kpi)| KpiResult {
                name: kpi.name.clone(),
                unit: kpi.unit.text.clone(),
                formula: kpi.formula.clone(),
                price: plant.spec.value.objective.get(&kpi.name).map(|p| p.value),
                value: Estimate::over(&values[k]),
                change: Some(Difference::paired_among(&values[k], &baseline[k], plants)),
                samples: values[k].iter().map(|v| v.is_finite().then_some(*v)).collect(),
                ratio: None,
            });
            Some(AnnualResult {
                case: name.to_owned(),
                days,
                kpis: rows.collect(),
                objective_change: Difference::paired_among(
                    &objective.value_of(kpis, &values),
                    &objective.value_of(kpis, &baseline),
                    plants,
                ),
                economics: whole.then(|| economics(plant, kpis, specs, name, &baseline, &values)).flatten(),
            })
        })
        .collect()
}

/// The fall of the benefit KPIs over the year as cash, when the twin says how to count it.
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
    // the same equipment serves every scenario: it is bought once, at the highest price that one of them names
    let cost = |pick: fn(&crate::config::CaseSpec) -> Option<f64>| {
        specs.iter().filter_map(|s| pick(&s.value.case.get(case)?.value)).fold(0.0, f64::max)
    };
    let capex = cost(|c| c.capex.as_ref().map(|v| v.value));
    let opex = cost(|c| c.opex_per_year.as_ref().map(|v| v.value));
    Some(Economics::of(spec, capex, opex, &benefit))
}

fn figures(kpi: &KpiResult) -> Figures {
    let numbers = |list: &[Option<f64>]| list.iter().map(|v| v.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let ratio = kpi.ratio.as_ref().map(|[above, below]| (numbers(above), numbers(below)));
    Figures { values: numbers(&kpi.samples), ratio, missing: 0.0 }
}
