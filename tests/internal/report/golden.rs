//! Compares the text of reports on the test fixture with the files in `tests/internal/report/golden`.
//!
//! The command `UPDATE=1 cargo test --lib report::golden` rewrites these files.

use std::path::Path;

use twinopt::report::{diff, render};
use twinopt::scenario::results::Results;

use super::{fixture, visible};

/// Compares `text` with the golden file `name` and shows the first line that differs.
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/internal/report/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = text.lines().map(Some).chain(std::iter::repeat(None));
    let expected_lines = expected.lines().map(Some).chain(std::iter::repeat(None));
    let count = text.lines().count().max(expected.lines().count());
    for (i, (line, expected)) in lines.zip(expected_lines).take(count).enumerate() {
        assert_eq!(line, expected, "{name}, line {}", i + 1);
    }
}

/// The visible text of a page without its charts, with one line for each row or block of HTML.
fn page_text(results: &Results) -> String {
    let html = render(results).unwrap();
    let body = html.split("<main>").nth(1).unwrap();
    let mut parts = body.split("<figure>");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text += part.split_once("</figure>").unwrap().1;
    }
    let lines = text.lines().map(|line| visible(line).split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

#[test]
fn the_report_matches_its_golden_file() {
    let mut results = fixture::datacenter();
    results.scenarios.truncate(2);
    results.scenarios.push(fixture::failed());
    assert_golden("report.txt", &page_text(&results));
}

/// The part of page one above the settings: the verdict, the reasons for it and the main figures.
fn verdict(results: &Results) -> String {
    let text = page_text(results);
    let lines = text
        .lines()
        .take_while(|line| !line.contains("What to set") && !line.contains("Tested settings") && *line != "Evidence");
    lines.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn the_verdicts_match_their_golden_file() {
    let good = fixture::datacenter();
    let mut all = format!("== do\n{}", verdict(&good));

    let mut caveats = good.clone();
    for s in &mut caveats.scenarios {
        s.cases[2].perfect_forecast = vec!["cpu_load".into()];
    }
    all += &format!("== try\n{}", verdict(&caveats));

    let mut violates = good.clone();
    violates.annual.remove(0);
    for s in &mut violates.scenarios {
        s.cases.remove(1);
        let limit = &mut s.cases[1].limits[1];
        (limit.share_beyond, limit.chance, limit.worst) = (0.02, 0.4, 1.5);
    }
    all += &format!("== violates a limit\n{}", verdict(&violates));

    let mut unmeasurable = good.clone();
    for a in &mut unmeasurable.annual {
        for d in [Some(&mut a.objective_change), a.cash_change.as_mut()].into_iter().flatten() {
            (d.low, d.high, d.measurable) = (d.mean - 1e4, d.mean + 1e4, false);
        }
    }
    all += &format!("== not measurable\n{}", verdict(&unmeasurable));

    let mut outside = good.clone();
    for c in outside.scenarios.iter_mut().flat_map(|s| &mut s.cases) {
        (c.support.inside, c.support.edge, c.support.outside) = (0.1, 0.1, 0.8);
    }
    all += &format!("== outside the logged range\n{}", verdict(&outside));

    let mut failed = good;
    failed.annual.clear();
    failed.scenarios = vec![fixture::failed()];
    all += &format!("== failed\n{}", verdict(&failed));
    assert_golden("verdicts.txt", &all);
}

#[test]
fn the_diff_matches_its_golden_file() {
    let a = fixture::datacenter();
    let mut b = a.clone();
    b.scenarios[2].cases[1].kpis[0].value.p50 += 1.5;
    b.scenarios[3].cases.truncate(1);
    b.provenance.model_version = "other".into();
    assert_golden("diff.txt", &diff(&a, &b).to_string());
}
