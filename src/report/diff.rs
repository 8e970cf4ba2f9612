//! The differences between two reports.

use std::fmt;

use serde::Serialize;

use crate::config::BASELINE;
use crate::scenario::results::{Estimate, Results};

use super::csv::{KpiRow, YEAR, rows};
use super::{number, saving, text};

/// The KPIs that differ between the results `a` and `b`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportDiff {
    pub a: ReportOrigin,
    pub b: ReportOrigin,
    /// KPIs that differ between the two reports, and KPIs that only one of them contains.
    pub changes: Vec<KpiChange>,
    /// Number of KPIs that are exactly equal.
    pub equal: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportOrigin {
    pub plant: String,
    pub run_id: String,
    pub as_of: String,
    pub model_version: String,
    pub config_hash: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiChange {
    pub scenario: String,
    pub case: String,
    pub kpi: String,
    pub unit: String,
    /// Median of the KPI.
    pub a: Option<f64>,
    pub b: Option<f64>,
}

/// Compares the medians, quantiles and changes of all KPIs.
pub fn diff(a: &Results, b: &Results) -> ReportDiff {
    let (money_a, money_b) = (saving::currency(a), saving::currency(b));
    let of = |results, money| {
        let mut of = rows(results, money);
        of.extend(of_year(results, money));
        of
    };
    let (rows_a, rows_b) = (of(a, &money_a), of(b, &money_b));
    let same = |x: &KpiRow<'_>, y: &KpiRow<'_>| (x.scenario, x.case, x.kpi) == (y.scenario, y.case, y.kpi);
    let mut changes = Vec::new();
    let mut equal = 0;
    for x in &rows_a {
        match rows_b.iter().find(|y| same(x, y)) {
            Some(y) if x == y => equal += 1,
            y => changes.push(change(x, Some(x), y)),
        }
    }
    for y in rows_b.iter().filter(|y| !rows_a.iter().any(|x| same(x, y))) {
        changes.push(change(y, None, Some(y)));
    }
    ReportDiff { a: origin(a), b: origin(b), changes, equal }
}

/// The number of days that the scenarios represent, and the net present value of each case.
fn of_year<'a>(results: &'a Results, currency: &'a str) -> Vec<KpiRow<'a>> {
    let days = results.annual.first().map(|a| {
        let value = Estimate { p10: a.days, p50: a.days, p90: a.days, mean: a.days };
        KpiRow { scenario: YEAR, case: BASELINE, kpi: "days", unit: "d", value, change: None }
    });
    let npv = results.annual.iter().filter_map(|a| {
        let value = a.economics.as_ref()?.npv;
        Some(KpiRow { scenario: YEAR, case: &a.case, kpi: "net present value", unit: currency, value, change: None })
    });
    days.into_iter().chain(npv).collect()
}

fn change(name: &KpiRow<'_>, a: Option<&KpiRow<'_>>, b: Option<&KpiRow<'_>>) -> KpiChange {
    let figure = |r: Option<&KpiRow<'_>>| r.map(|r| r.value.p50);
    let unit = match (a, b) {
        (Some(a), Some(b)) if a.unit != b.unit => format!("{} → {}", a.unit, b.unit),
        _ => name.unit.to_owned(),
    };
    KpiChange {
        scenario: name.scenario.into(),
        case: name.case.into(),
        kpi: name.kpi.into(),
        unit,
        a: figure(a),
        b: figure(b),
    }
}

fn origin(r: &Results) -> ReportOrigin {
    let p = &r.provenance;
    ReportOrigin {
        plant: r.plant.clone(),
        run_id: p.run_id.clone(),
        as_of: p.as_of.clone(),
        model_version: p.model_version.clone(),
        config_hash: p.config_hash.clone(),
    }
}

impl fmt::Display for ReportDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a: {}  b: {}", self.a, self.b)?;
        for (name, a, b) in [
            ("model", &self.a.model_version, &self.b.model_version),
            ("configuration", &self.a.config_hash, &self.b.config_hash),
        ] {
            if a != b {
                writeln!(f, "{name}: {} → {}", text::short(a, 12), text::short(b, 12))?;
            }
        }
        if self.changes.is_empty() {
            return writeln!(f, "No KPI changed ({} compared).", self.equal);
        }
        let mut table = vec![["scenario", "case", "kpi", "a", "b", "change", "unit"].map(str::to_owned)];
        for c in &self.changes {
            // Use enough digits to show the difference between the values.
            let digits = match (c.a, c.b) {
                (Some(a), Some(b)) if a != b && a != 0.0 => {
                    ((a / (b - a)).abs().log10().ceil() as i32 + 2).clamp(4, 12)
                }
                _ => 4,
            };
            let figure = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| number::plain(v, digits).text);
            let difference = match (c.a, c.b) {
                _ if c.unit.contains('→') => "unit".to_owned(),
                (Some(a), Some(b)) if a == b => "interval only".to_owned(),
                (Some(a), Some(b)) => number::signed(b - a, 3).text,
                (None, _) => "new".to_owned(),
                (_, None) => "missing".to_owned(),
            };
            table.push([
                text::short(&c.scenario, 32),
                text::short(&c.case, 24),
                text::short(&c.kpi, 32),
                figure(c.a),
                figure(c.b),
                difference,
                c.unit.split(" → ").map(number::unit).collect::<Vec<_>>().join(" → "),
            ]);
        }
        let widths: Vec<usize> =
            (0..7).map(|i| table.iter().map(|r| r[i].chars().count()).max().unwrap_or(0)).collect();
        for row in &table {
            let mut line = String::new();
            for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - cell.chars().count());
                // Numbers are right-aligned, and text is left-aligned.
                if (3..6).contains(&i) {
                    line += &(padding + cell)
                } else {
                    line += &(cell.clone() + &padding)
                }
                line += "  ";
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "{} changed, {} equal.", self.changes.len(), self.equal)
    }
}

impl fmt::Display for ReportOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.plant, self.run_id, self.as_of)
    }
}
