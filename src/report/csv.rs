//! `kpi.csv`: one row per scenario, case and KPI.

use crate::config::BASELINE;
use crate::scenario::results::{Difference, Estimate, Results};

use super::verdict::unknown_cases;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KpiRow<'a> {
    /// Scenario name, or `year` for the sum over the year.
    pub scenario: &'a str,
    pub case: &'a str,
    pub kpi: &'a str,
    pub unit: &'a str,
    pub value: Estimate,
    pub change: Option<Difference>,
}

/// Value of the column `kpi` in rows that describe the objective.
pub const OBJECTIVE: &str = "objective";
/// Value of the column `scenario` in rows that contain sums over the year.
pub const YEAR: &str = "year";

/// The rows of all scenarios, followed by the sums over the year.
pub fn rows<'a>(results: &'a Results, currency: &'a str) -> Vec<KpiRow<'a>> {
    let mut out = Vec::new();
    for s in &results.scenarios {
        for c in &s.cases {
            let row = |kpi, unit, value, change| KpiRow {
                scenario: s.name.as_str(),
                case: c.name.as_str(),
                kpi,
                unit,
                value,
                change,
            };
            out.extend(c.kpis.iter().map(|k| row(k.name.as_str(), k.unit.as_str(), k.value, k.change)));
            out.push(row(OBJECTIVE, currency, c.objective, c.objective_change));
        }
    }
    if let Some(b) = &results.annual_baseline {
        let row = |kpi, unit, value| KpiRow { scenario: YEAR, case: BASELINE, kpi, unit, value, change: None };
        out.extend(b.kpis.iter().map(|k| row(k.name.as_str(), k.unit.as_str(), k.value)));
        out.push(row(OBJECTIVE, currency, b.objective));
    }
    for a in &results.annual {
        let row = |kpi, unit, value, change| KpiRow { scenario: YEAR, case: a.case.as_str(), kpi, unit, value, change };
        out.extend(a.kpis.iter().map(|k| row(k.name.as_str(), k.unit.as_str(), k.value, k.change)));
        out.push(row(OBJECTIVE, currency, a.objective, Some(a.objective_change)));
    }
    out
}

/// The KPIs as CSV (RFC 4180, but with `\n` line endings). Numbers have full precision. Text that a
/// spreadsheet could interpret as a formula is prefixed with an apostrophe. A failed scenario has
/// one row with its exit code. If the answer for a case is “unknown”, its changes are marked as not
/// measurable.
pub fn kpi_csv(results: &Results) -> String {
    let currency = super::saving::currency(results);
    let unknown = unknown_cases(results);
    let mut out = String::from(
        "scenario,case,kpi,unit,p10,p50,p90,mean,change,change_low_90,change_high_90,measurable,exit_code\n",
    );
    for r in rows(results, &currency) {
        for text in [r.scenario, r.case, r.kpi, r.unit] {
            out.push_str(&field(text));
            out.push(',');
        }
        for n in [r.value.p10, r.value.p50, r.value.p90, r.value.mean].map(Some) {
            out.push_str(&figure(n));
            out.push(',');
        }
        for n in r.change.map_or([None; 3], |d| [d.mean, d.low, d.high].map(Some)) {
            out.push_str(&figure(n));
            out.push(',');
        }
        let is_known = !unknown.contains(&r.case);
        out.push_str(r.change.map_or("", |d| if d.measurable && is_known { "true" } else { "false" }));
        out.push_str(",0\n");
    }
    for s in results.scenarios.iter().filter(|s| s.exit_code != 0) {
        out.push_str(&field(&s.name));
        out.push_str(&",".repeat(12));
        out.push_str(&format!("{}\n", s.exit_code));
    }
    out
}

/// The shortest decimal string that parses to the same number, or an empty string if there is no number.
fn figure(v: Option<f64>) -> String {
    v.filter(|v| v.is_finite()).map_or_else(String::new, |v| format!("{v:?}"))
}

/// Escapes `text` so that no spreadsheet interprets it as a formula, and quotes it if necessary.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if formula {
        return format!("\"'{}\"", text.replace('"', "\"\""));
    }
    if text.contains([',', '"', '\n', '\r', ';', '\t']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped_and_numbers_are_not() {
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(field("-2\"x"), "\"'-2\"\"x\"");
        assert_eq!(field("\tx"), "\"'\tx\"");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("EUR/MWh"), "EUR/MWh");
        assert_eq!(figure(Some(-1.5)), "-1.5");
        assert_eq!(figure(Some(f64::NAN)), "");
    }
}
