//! Annual KPIs from all scenarios, and the economics of each case.

use super::plant::{Compiled, Plant};
use super::results::{AnnualBaseline, AnnualResult, CaseResult, KpiResult, ScenarioResult};
use super::{cash, summary};
use crate::config::{BASELINE, Loaded, ScenarioSpec};
use crate::rng::Key;
use crate::twin::Dynamics;
use crate::value::{Aggregation, Difference, Economics, Estimate, Figures, Kpi, WeightedScenario, annualise};

/// Maximum total number of days that the scenarios of a year may represent.
pub const LONGEST_YEAR: f64 = 366.5;
/// Identifier of the random stream that draws the net present value.
const STREAM: u64 = 0x65_636f_6e6f;

/// The annual results of the baseline and of each case that is included in every scenario with `days_per_year`. `None`
/// if no scenario has `days_per_year`, if a scenario with `days_per_year` failed, or if the days add up to more than a
/// year.
pub fn annual(
    plant: &Plant,
    compiled: &Compiled,
    specs: &[Loaded<ScenarioSpec>],
    results: &[ScenarioResult],
) -> Option<(AnnualBaseline, Vec<AnnualResult>)> {
    let Compiled { kpis, objective, .. } = compiled;
    let weighted: Vec<&ScenarioResult> =
        results.iter().filter(|r| r.exit_code == 0 && r.days_per_year.is_some_and(|d| d > 0.0)).collect();
    // If a scenario failed, its days are missing, so no annual KPIs can be computed.
    let failed = results.iter().any(|r| r.exit_code != 0 && r.days_per_year.is_some_and(|d| d > 0.0));
    let days: f64 = weighted.iter().filter_map(|r| r.days_per_year).sum();
    let first = weighted.first().filter(|_| !failed && days <= LONGEST_YEAR)?;
    let cases = |case: &str| -> Option<Vec<&CaseResult>> {
        weighted.iter().map(|r| r.cases.iter().find(|c| c.name == case)).collect()
    };
    let year = |cases: &[&CaseResult]| -> Vec<Vec<f64>> {
        let column = |k: usize| {
            let figures: Vec<Figures> = cases.iter().map(|c| figures(&c.kpis[k])).collect();
            let weighted: Vec<WeightedScenario> = weighted
                .iter()
                .zip(&figures)
                .map(|(r, figures)| WeightedScenario { days: r.days_per_year.unwrap_or(0.0), hours: r.hours, figures })
                .collect();
            annualise(kpis[k].aggregation(), &weighted)
        };
        (0..kpis.len()).map(column).collect()
    };
    let baseline = year(&cases(BASELINE)?);
    let members = plant.twin.members();
    let definition = cash::cash(plant, compiled);
    let cash = |values: &[Vec<f64>]| definition.as_ref().map(|cash| cash.value(values));
    let (objective_before, cash_before) = (objective.value_of(kpis, &baseline), cash(&baseline));
    let rows = |values: &[Vec<f64>], baseline: Option<&[Vec<f64>]>| -> Vec<KpiResult> {
        let row =
            |(k, kpi): (usize, &Kpi)| summary::kpi(plant, kpi, &values[k], baseline.map(|b| b[k].as_slice()), members);
        kpis.iter().enumerate().map(row).collect()
    };
    let names = first.cases.iter().map(|c| c.name.as_str()).filter(|n| *n != BASELINE);
    let is_paid = |k: usize| definition.as_ref().is_some_and(|cash| cash.factor(k).is_some());
    let largest = |k: &usize| kpis[*k].aggregation() == Aggregation::Largest && is_paid(*k);
    let once = (0..kpis.len()).filter(largest).map(|k| {
        format!(
            "the price of {} applies once a year, to its largest value; for a monthly charge, multiply the price by 12",
            kpis[k].name
        )
    });
    let once: Vec<String> = once.collect();
    let annual = names.filter_map(|name| {
        let cases = cases(name)?;
        let values = year(&cases);
        let (after, spent) = (objective.value_of(kpis, &values), cash(&values));
        let paired = cash_before.as_ref().zip(spent.as_ref());
        let saved = paired.map(|(before, after)| {
            before.iter().zip(after).map(|(before, after)| before - after).collect::<Vec<f64>>()
        });
        Some(AnnualResult {
            case: name.to_owned(),
            days,
            kpis: rows(&values, Some(&baseline)),
            objective: Estimate::over(&after),
            objective_change: Difference::paired_among(&after, &objective_before, members),
            cash: spent.as_deref().map(Estimate::over),
            cash_change: paired.map(|(before, after)| Difference::paired_among(after, before, members)),
            economics: saved.and_then(|saved| {
                let mut economics = economics(plant, specs, name, &saved, days, Key::new(first.seed))?;
                economics.assumptions.extend(once.iter().cloned());
                Some(economics)
            }),
        })
    });
    let annual = annual.collect();
    let baseline = AnnualBaseline {
        kpis: rows(&baseline, None),
        objective: Estimate::over(&objective_before),
        cash: cash_before.as_deref().map(Estimate::over),
    };
    Some((baseline, annual))
}

/// Economics of a case from `saved`, the annual decrease of the cost for each particle. `None` if the twin has no
/// `[economics]`.
fn economics(
    plant: &Plant,
    specs: &[Loaded<ScenarioSpec>],
    case: &str,
    saved: &[f64],
    days: f64,
    key: Key,
) -> Option<Economics> {
    let spec = &plant.spec.value.economics.as_ref()?.value;
    // All scenarios use the same equipment, so its cost is included only once. If the scenarios
    // specify different costs, the highest cost is used.
    let cost = |pick: fn(&crate::config::CaseSpec) -> Option<f64>| {
        specs.iter().filter_map(|s| pick(&s.value.case.get(case)?.value)).fold(0.0, f64::max)
    };
    let capex = cost(|c| c.capex.as_ref().map(|v| v.value));
    let opex = cost(|c| c.opex_per_year.as_ref().map(|v| v.value));
    let mut economics = Economics::new(spec, capex, opex, saved, plant.twin.members(), key.fold(STREAM));
    if days < 364.0 {
        let season = format!("the case saves money on {days:.0} days of each year and nothing on the other days");
        economics.assumptions.insert(0, season);
    }
    Some(economics)
}

fn figures(kpi: &KpiResult) -> Figures {
    let numbers = |list: &[Option<f64>]| list.iter().map(|v| v.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    let ratio = kpi.ratio.as_ref().map(|[numerator, denominator]| (numbers(numerator), numbers(denominator)));
    Figures { values: numbers(&kpi.samples), ratio, missing: 0.0 }
}
