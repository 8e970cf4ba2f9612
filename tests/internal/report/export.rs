//! Tests of `kpi.csv` and of the difference between two reports.

use twinopt::report::{diff, kpi_csv};

use super::fixture;

#[test]
fn the_csv_file_escapes_formulas_and_has_exact_numbers() {
    let mut results = fixture::datacenter();
    results.scenarios.push(fixture::failed());
    results.scenarios[0].name = "=HYPERLINK(\"x\")".into();
    let csv = kpi_csv(&results);
    let lines: Vec<&str> = csv.lines().collect();
    // The file contains 6 lines (5 KPIs and the objective) for each of 3 cases in 4 scenarios, 3 lines (2 KPIs and the
    // objective) for the baseline and the other 2 cases over the year, 1 line for the failed scenario, and 1 header.
    assert_eq!(lines.len(), 4 * 3 * 6 + 3 * 3 + 1 + 1);
    let year = lines.iter().find(|l| l.starts_with("year,baseline,energy_cost,EUR,")).unwrap();
    let median: f64 = year.split(',').nth(5).unwrap().parse().unwrap();
    assert_eq!(median, results.annual_baseline.as_ref().unwrap().kpis[0].value.p50);
    assert!(lines[1].starts_with("\"'=HYPERLINK(\"\"x\"\")\",baseline,energy_cost,EUR,"), "{}", lines[1]);
    let first = &results.scenarios[1].cases[2].kpis[0];
    let change = first.change.unwrap();
    let row = lines.iter().find(|l| l.starts_with("heatwave,mpc,energy_cost,")).unwrap();
    let cells: Vec<&str> = row.split(',').collect();
    assert_eq!(cells[5].parse::<f64>().unwrap(), first.value.p50);
    assert_eq!(cells[8].parse::<f64>().unwrap(), change.mean);
    assert_eq!((cells[11], cells[12]), ("true", "0"));
    assert_eq!(*lines.last().unwrap(), "winter,,,,,,,,,,,,65");
}

#[test]
fn a_diff_lists_only_changed_kpis() {
    let a = fixture::datacenter();
    let mut b = a.clone();
    assert_eq!(diff(&a, &b).changes, []);
    assert!(diff(&a, &b).to_string().contains("No KPI changed"));
    b.scenarios[2].cases[1].kpis[0].value.p50 += 1.5;
    b.scenarios[3].name = "evening".into();
    b.provenance.model_version = "other".into();
    let d = diff(&a, &b);
    // One KPI has changed. The 18 KPIs of the renamed scenario are missing from one report and appear as new in the
    // other report.
    assert_eq!(d.changes.len(), 1 + 2 * 18);
    assert_eq!(
        (d.changes[0].scenario.as_str(), d.changes[0].case.as_str(), d.changes[0].kpi.as_str()),
        ("it_load", "warmer", "energy_cost")
    );
    let text = d.to_string();
    assert!(
        text.contains("+1.5")
            && text.contains("missing")
            && text.contains("new")
            && text.contains("model: 9f3a6c1d2e4b → other"),
        "{text}"
    );
    assert!(serde_json::to_string(&d).unwrap().contains("\"equal\":65"));
}
