//! The section “Year and economics”: sums over the scenarios, the sources of the saving, and the economics.

use crate::error::Result;
use crate::scenario::results::{Difference, Results};

use super::chart::{self, Head, Whisker};
use super::colours::Colours;
use super::number::{self, PROSE, Quantity, with_unit};
use super::table::{Cell, Change, Column, Row, Table, economics_rows, kpi_rows};
use super::text::readable;
use super::verdict::{self, RankedCase};

#[derive(Debug)]
pub struct Year {
    pub days: String,
    pub noun: &'static str,
    /// One row per case.
    pub support: Vec<Support>,
    pub savings: String,
    /// Name of the case whose saving is broken down by KPI, and the chart that shows the breakdown.
    pub sources: Option<(String, String)>,
    pub kpis: Table,
    pub money: Table,
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
}

/// Builds the section “Year and economics”. Returns `None` if the scenarios have no weights.
pub fn year(
    results: &Results,
    ranked: &[RankedCase<'_>],
    currency: &str,
    colours: &Colours<'_>,
) -> Result<Option<Year>> {
    let Some(first) = results.annual.first() else { return Ok(None) };
    let money = number::unit(currency);
    let noun = verdict::words(results).noun;
    let column = |case: &str| Column { name: readable(case), colour: colours.get(case) };
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
    let rows: Vec<Whisker> = results
        .annual
        .iter()
        .map(|a| whisker(&a.case, colours.get(&a.case), &verdict::saving(&a.objective_change)))
        .collect();
    let head = Head {
        id: "year-s",
        title: &format!("{noun} of each case over the year"),
        description: &describe(&rows, &money),
    };
    let savings = chart::whiskers(head, &rows, &money)?;

    let mut kpi = kpi_rows(&results.annual.iter().map(|a| a.kpis.as_slice()).collect::<Vec<_>>(), currency);
    kpi.push(Row {
        name: "objective".into(),
        unit: money.clone(),
        priced: "sum of price × KPI".into(),
        total: true,
        cells: results
            .annual
            .iter()
            .map(|a| Cell { change: Some(Change::new(&a.objective_change, Some(1.0))), ..Cell::default() })
            .collect(),
    });
    let with_economics: Vec<_> = results.annual.iter().filter(|a| a.economics.is_some()).collect();
    let economics: Vec<_> = with_economics.iter().filter_map(|a| a.economics.as_ref()).collect();
    Ok(Some(Year {
        days: number::plain(first.days, PROSE).text,
        noun,
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
            })
            .collect(),
        savings,
        sources: sources(ranked, colours, &money, noun)?,
        kpis: Table { columns: results.annual.iter().map(|a| column(&a.case)).collect(), rows: kpi },
        money: Table {
            columns: with_economics.iter().map(|a| column(&a.case)).collect(),
            rows: economics_rows(&economics, noun),
        },
        assumptions: economics.first().map(|e| e.assumptions.iter().map(|a| sentence(a)).collect()).unwrap_or_default(),
    }))
}

/// Turns `text` into a sentence with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

/// Breaks down the saving of the case on the first page by KPI. The contribution of a KPI is −price × change.
fn sources(
    ranked: &[RankedCase<'_>],
    colours: &Colours<'_>,
    money: &str,
    noun: &str,
) -> Result<Option<(String, String)>> {
    let Some((pick, annual)) = ranked.first().and_then(|p| p.annual.map(|a| (p, a))) else { return Ok(None) };
    let mut rows: Vec<Whisker> = annual
        .kpis
        .iter()
        .filter_map(|k| {
            let (price, d) = (k.price.filter(|p| *p != 0.0)?, k.change.as_ref()?);
            let ends = [-price * d.low, -price * d.high];
            let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let i = number::within(-price * d.mean, low, high, PROSE);
            let note = if d.measurable { i.value.text } else { "no measurable change".to_owned() };
            Some(Whisker {
                name: readable(&k.name),
                colour: colours.get(pick.case),
                value: -price * d.mean,
                low,
                high,
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
