//! The year: sums over the scenarios by their days, where the saving comes from, and the money.

use crate::error::Result;
use crate::scenario::results::Results;

use super::chart::{self, Head, Whisker};
use super::number::{self, PROSE, with_unit};
use super::scenario::Colours;
use super::table::{Cell, Change, Column, Row, Table, economics_rows, kpi_rows};
use super::verdict::{self, Pick};

#[derive(Debug)]
pub struct Year {
    pub days: String,
    pub savings: String,
    /// Case of the breakdown, and its chart.
    pub sources: Option<(String, String)>,
    pub kpis: Table,
    pub money: Table,
    pub assumptions: Vec<String>,
}

/// `None` when the scenarios carry no weights.
pub fn year(results: &Results, picks: &[Pick<'_>], currency: &str) -> Result<Option<Year>> {
    let Some(first) = results.annual.first() else { return Ok(None) };
    let money = number::unit(currency);
    let colours = Colours::of(results);
    let column = |case: &str| Column { name: case.to_owned(), colour: colours.get(case) };
    let whisker = |name: &str, colour, d: &crate::scenario::results::Difference| {
        let i = number::within(d.mean, d.low, d.high, PROSE);
        let note = if d.measurable {
            format!("{} ({} to {})", i.value.text, i.low.text, i.high.text)
        } else {
            "no measurable change".to_owned()
        };
        Whisker { name: name.to_owned(), colour, value: d.mean, low: d.low, high: d.high, note }
    };
    let rows: Vec<Whisker> = results
        .annual
        .iter()
        .map(|a| whisker(&a.case, colours.get(&a.case), &verdict::saving(&a.objective_change)))
        .collect();
    let head = Head { id: "year-s", title: "Saving of each case over the year", description: &describe(&rows, &money) };
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
    let with: Vec<_> = results.annual.iter().filter(|a| a.economics.is_some()).collect();
    let economics: Vec<_> = with.iter().filter_map(|a| a.economics.as_ref()).collect();
    Ok(Some(Year {
        days: number::plain(first.days, PROSE).text,
        savings,
        sources: sources(picks, &colours, &money)?,
        kpis: Table { columns: results.annual.iter().map(|a| column(&a.case)).collect(), rows: kpi },
        money: Table { columns: with.iter().map(|a| column(&a.case)).collect(), rows: economics_rows(&economics) },
        assumptions: economics.first().map(|e| assumptions(e)).unwrap_or_default(),
    }))
}

/// The assumptions under a table of money.
pub fn assumptions(e: &crate::scenario::results::Economics) -> Vec<String> {
    let mut out = vec![format!(
        "Discount rate {} a year over {} years.",
        number::percent_text(e.discount_rate),
        number::plain(e.lifetime_years, PROSE).text
    )];
    out.extend(e.assumptions.iter().cloned());
    out
}

/// The saving of the picked case by KPI: −price × change.
fn sources(picks: &[Pick<'_>], colours: &Colours<'_>, money: &str) -> Result<Option<(String, String)>> {
    let Some((pick, annual)) = picks.first().and_then(|p| p.annual.map(|a| (p, a))) else { return Ok(None) };
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
                name: k.name.clone(),
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
    let title = "Where the saving comes from";
    let head = Head { id: "year-w", title, description: &describe(&rows, money) };
    Ok(Some((pick.case.to_owned(), chart::whiskers(head, &rows, money)?)))
}

fn describe(rows: &[Whisker], money: &str) -> String {
    let one = |r: &Whisker| {
        let i = number::within(r.value, r.low, r.high, PROSE);
        format!("{}: {} ({} to {})", r.name, with_unit(&i.value.text, money), i.low.text, i.high.text)
    };
    rows.iter().map(one).collect::<Vec<_>>().join("; ")
}
