//! The section “Year and economics”: sums over the scenarios, the sources of the saving, and the economics.

use crate::config::BASELINE;
use crate::error::Result;
use crate::scenario::results::{Difference, Results};

use super::cases::{Answer, RankedCase};
use super::chart::{self, Head, Whisker};
use super::colours::Colours;
use super::number::{self, PROSE, Quantity, with_unit};
use super::risk::{Tornado, tornado};
use super::saving::{self, Words};
use super::table::{Column, Table, cost_row, economics_rows, kpi_rows, objective_row};
use super::text::{readable, sentence};

#[derive(Debug)]
pub struct Year {
    pub days: String,
    /// Whether the scenarios represent only a part of the year.
    pub season: bool,
    pub noun: &'static str,
    pub unit: String,
    /// One row per case.
    pub support: Vec<Support>,
    pub savings: String,
    /// Name of the case whose saving is broken down by KPI, and the chart that shows the breakdown.
    pub sources: Option<(String, String)>,
    pub kpis: Table,
    pub money: Table,
    pub tornado: Option<Tornado>,
    pub assumptions: Vec<String>,
}

/// Fractions of the year that a case spends inside, at the edge of, and outside the logged range.
#[derive(Debug)]
pub struct Support {
    pub case: String,
    pub colour: usize,
    pub inside: Quantity,
    pub edge: Quantity,
    pub outside: Quantity,
    /// Fractions of the saving inside, at the edge of, and outside the logged range.
    pub saving: Option<[Quantity; 3]>,
}

/// Builds the section “Year and economics”. Returns `None` if the scenarios have no weights.
pub fn year(
    results: &Results,
    ranked: &[RankedCase<'_>],
    currency: &str,
    colours: &Colours<'_>,
) -> Result<Option<Year>> {
    let Some(first) = results.annual.first() else { return Ok(None) };
    let money = saving::unit(results);
    let noun = Words::new(results).noun;
    let column = |case: &str| Column { name: readable(case), colour: Some(colours.get(case)) };
    let whisker = |name: &str, colour, d: &Difference| {
        let i = number::within(d.mean, d.low, d.high, PROSE);
        let note = if d.measurable {
            format!("{} ({} to {})", i.value.text, i.low.text, i.high.text)
        } else if d.low.is_finite() {
            "no measurable change".to_owned()
        } else {
            format!("{} (no interval)", i.value.text)
        };
        let [low, high] = [d.low, d.high].map(|v| if v.is_finite() { v } else { d.mean });
        Whisker { name: readable(name), colour, value: d.mean, low, high, note }
    };
    let rows: Vec<Whisker> =
        results.annual.iter().map(|a| whisker(&a.case, colours.get(&a.case), &saving::of_year(results, a))).collect();
    let head = Head {
        id: "year-s",
        title: &format!("{noun} of each case over the year"),
        description: &describe(&rows, &money),
    };
    let savings = chart::whiskers(head, &rows, &money)?;

    let before = results.annual_baseline.as_ref();
    let of_baseline = before.map(|b| b.kpis.as_slice()).into_iter();
    let columns: Vec<&[_]> = of_baseline.chain(results.annual.iter().map(|a| a.kpis.as_slice())).collect();
    let mut kpi = kpi_rows(&columns, currency);
    let costs = before.map(|b| (b.cash, None)).into_iter();
    let costs: Vec<_> = costs.chain(results.annual.iter().map(|a| (a.cash, a.cash_change))).collect();
    kpi.extend(cost_row(results, &columns, &costs));
    let objectives = before.map(|b| (b.objective, None)).into_iter();
    let after = results.annual.iter().map(|a| (a.objective, Some(a.objective_change)));
    kpi.push(objective_row(currency, objectives.chain(after)));
    let names = before.map(|_| BASELINE).into_iter().chain(results.annual.iter().map(|a| a.case.as_str()));
    let is_known = |case: &str| ranked.iter().any(|p| p.case == case && p.answer != Answer::Unknown);
    let with_economics: Vec<_> = results.annual.iter().filter(|a| a.economics.is_some() && is_known(&a.case)).collect();
    let economics: Vec<_> = with_economics.iter().filter_map(|a| a.economics.as_ref()).collect();
    Ok(Some(Year {
        days: number::plain(first.days, PROSE).text,
        season: first.days < 364.0,
        noun,
        unit: money.clone(),
        support: results
            .annual
            .iter()
            .filter_map(|a| ranked.iter().find(|p| p.case == a.case))
            .map(|p| Support {
                case: readable(p.case),
                colour: colours.get(p.case),
                inside: number::percent(p.support.inside),
                edge: number::percent(p.support.edge),
                outside: number::percent(p.support.outside),
                saving: p.saving_support.map(|s| [s.inside, s.edge, s.outside].map(number::percent)),
            })
            .collect(),
        savings,
        sources: sources(results, ranked, colours, &money, noun)?,
        kpis: Table { columns: names.map(column).collect(), rows: kpi },
        money: Table {
            columns: with_economics.iter().map(|a| column(&a.case)).collect(),
            rows: economics_rows(results, &with_economics, noun),
        },
        tornado: match ranked.iter().filter(|p| is_known(p.case)).find_map(|p| Some((p, p.economics?))) {
            Some((p, economics)) => tornado(p.case, colours.get(p.case), economics, noun)?,
            None => None,
        },
        assumptions: economics.first().map(|e| e.assumptions.iter().map(|a| sentence(a)).collect()).unwrap_or_default(),
    }))
}

/// Breaks down the saving of the case on the first page by paid KPI. Penalties are not part of a saving.
fn sources(
    results: &Results,
    ranked: &[RankedCase<'_>],
    colours: &Colours<'_>,
    money: &str,
    noun: &str,
) -> Result<Option<(String, String)>> {
    let Some((pick, annual)) = ranked.first().and_then(|p| p.annual.map(|a| (p, a))) else { return Ok(None) };
    let Some(cash) = results.cash.as_ref() else { return Ok(None) };
    let mut rows: Vec<Whisker> = annual
        .kpis
        .iter()
        .filter_map(|k| {
            let d = saving::decrease(k.change.as_ref().filter(|_| cash.kpis.contains(&k.name) && k.unit == cash.unit)?);
            let i = number::within(d.mean, d.low, d.high, PROSE);
            let note = if d.measurable { i.value.text } else { "no measurable change".to_owned() };
            Some(Whisker {
                name: readable(&k.name),
                colour: colours.get(pick.case),
                value: d.mean,
                low: d.low,
                high: d.high,
                note,
            })
        })
        .collect();
    if rows.len() < 2 {
        return Ok(None);
    }
    rows.sort_by(|a, b| b.value.total_cmp(&a.value));
    let title = format!("{noun} by KPI");
    let head = Head { id: "year-w", title: &title, description: &describe(&rows, money) };
    Ok(Some((readable(pick.case), chart::whiskers(head, &rows, money)?)))
}

fn describe(rows: &[Whisker], money: &str) -> String {
    let one = |r: &Whisker| {
        let i = number::within(r.value, r.low, r.high, PROSE);
        format!("{}: {} ({} to {})", r.name, with_unit(&i.value.text, money), i.low.text, i.high.text)
    };
    rows.iter().map(one).collect::<Vec<_>>().join("; ")
}
