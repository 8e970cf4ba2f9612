//! Collects the data of all sections and renders the page.

use crate::error::{Error, Result};
use crate::scenario::results::Results;
use askama::Template;

use super::clock::Clock;
use super::colours::Colours;
use super::data::{self, Data};
use super::front::{self, Front};
use super::model::{self, Model};
use super::number;
use super::promises::{Promises, promises};
use super::saving::Words;
use super::scenario::{self, Section};
use super::year::{self, Year};
use super::{runs, saving, verdict};

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("../../templates/style.css");

/// The data of the template `report.html`.
#[derive(Debug, Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    plant_short: String,
    /// Unit of savings.
    saved: String,
    /// The KPIs whose sum is the cost.
    saved_kpis: String,
    front: Front,
    orders: Vec<Order>,
    sections: Vec<Section>,
    failures: usize,
    /// Whether any case is compared with the baseline, or a scenario failed.
    compares: bool,
    year: Option<Year>,
    noun: &'static str,
    no_year: String,
    promises: Option<Promises>,
    model: Model,
    data: Data,
    formulas: Vec<Formula>,
    zone: String,
    provenance: Vec<(&'static str, String)>,
}

/// A sort order for the rows of the overview, given as indices of the scenario sections.
#[derive(Debug)]
struct Order {
    id: &'static str,
    label: &'static str,
    rows: Vec<usize>,
}

#[derive(Debug)]
struct Formula {
    name: String,
    unit: String,
    formula: super::text::Markup,
    /// The signals from which the KPI is computed.
    signals: super::text::Markup,
    /// Largest fraction of missing values over the scenarios; `None` if the KPI was not measured.
    missing: Option<number::Quantity>,
    price: String,
}

/// Renders the report as one self-contained HTML file. Equal results give identical files.
///
/// # Errors
/// [`Error::Internal`] if a chart or the template fails, which is a bug in the program.
pub fn render(results: &Results) -> Result<String> {
    let clock = match results.quality.has_relative_times() {
        true => Clock::relative(),
        false => Clock::new(&results.timezone),
    };
    let currency = saving::currency(results);
    let ranked = verdict::rank(results);
    let colours = Colours::new(results, &ranked);
    let sections = scenario::sections(results, &clock, &currency, &colours)?;
    let year = year::year(results, &ranked, &currency, &colours)?;
    let page = Page {
        style: STYLE,
        plant_short: super::text::short(&super::text::readable(&results.plant), 80),
        saved: saving::unit(results),
        saved_kpis: results.cash.iter().flat_map(|c| &c.kpis).cloned().collect::<Vec<_>>().join(" + "),
        front: front::front(results, &ranked, &currency, &clock),
        orders: orders(&sections),
        failures: runs::failed(results).count(),
        compares: sections.iter().any(|s| s.best.is_some() || s.failure.is_some()),
        sections,
        noun: Words::new(results).noun,
        no_year: front::no_year(results),
        year,
        promises: promises(&results.promises, &clock),
        model: model::model(results, &clock)?,
        data: data::data(&results.quality, &clock),
        formulas: formulas(results, &currency),
        zone: clock.zone_at(&results.provenance.as_of),
        provenance: provenance(results, &clock),
    };
    page.render().map_err(|e| Error::Internal(format!("report template: {e}")))
}

/// The ways in which the overview can sort the scenarios. Failed scenarios always come first.
fn orders(sections: &[Section]) -> Vec<Order> {
    let all = || (0..sections.len()).collect::<Vec<usize>>();
    let (mut by_saving, mut by_name) = (all(), all());
    let completed = |i: &usize| sections[*i].failure.is_none();
    let saved = |i: &usize| sections[*i].best.as_ref().map_or(f64::NEG_INFINITY, |b| b.saving.value);
    by_saving.sort_by(|a, b| completed(a).cmp(&completed(b)).then(saved(b).total_cmp(&saved(a))));
    by_name.sort_by_key(|i| (completed(i), sections[*i].name.to_lowercase()));
    let mut out = vec![Order { id: "as-run", label: "order of simulation", rows: all() }];
    if sections.len() > 1 {
        out.push(Order { id: "by-saving", label: "saving", rows: by_saving });
        out.push(Order { id: "by-name", label: "name", rows: by_name });
    }
    out
}

fn formulas(results: &Results, currency: &str) -> Vec<Formula> {
    let mut out: Vec<Formula> = Vec::new();
    for k in runs::completed(results).flat_map(|s| &s.cases).flat_map(|c| &c.kpis) {
        if !out.iter().any(|f| f.name == k.name) {
            let unit = number::unit(&k.unit);
            let share = k.kind.is_share();
            let per = if unit.is_empty() { String::new() } else { format!(" per {unit}") };
            let signals: Vec<String> = k.signals.iter().map(|s| super::text::tag(s, 40)).collect();
            let measured = runs::completed(results).flat_map(|s| &s.measured.kpis).filter(|m| m.name == k.name);
            out.push(Formula {
                name: k.name.clone(),
                signals: super::text::marked(&signals.join(", ")),
                missing: measured.map(|m| m.missing).reduce(f64::max).map(number::percent),
                formula: super::text::marked(&k.formula),
                price: k.price.map_or_else(
                    || "not priced".to_owned(),
                    |p| match p == 1.0 && k.unit == currency {
                        true => "counts in full".to_owned(),
                        false => format!("{} {currency}{per}", number::exact(p).text),
                    },
                ),
                unit: match unit.is_empty() {
                    true if share => "%".to_owned(),
                    true => "–".to_owned(),
                    false => unit,
                },
            });
        }
    }
    out
}

fn provenance(results: &Results, clock: &Clock) -> Vec<(&'static str, String)> {
    let p = &results.provenance;
    vec![
        ("Run", p.run_id.clone()),
        ("As of", format!("{} ({})", clock.moment(&p.as_of), clock.zone_at(&p.as_of))),
        ("Data", format!("{} to {}", clock.moment(&p.data_start), clock.moment(&p.data_end))),
        ("twinopt", p.crate_version.clone()),
        ("Model version", p.model_version.clone()),
        ("Configuration", p.config_hash.clone()),
        ("Seed", p.seed.to_string()),
        ("Version of the results format", results.schema_version.to_string()),
    ]
}
