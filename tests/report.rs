//! The report as its readers and its enemies see it.

#[path = "report/fixture.rs"]
mod fixture;

use serde_json::Value;
use twinopt::report::{diff, kpi_csv, render};
use twinopt::scenario::results::{Difference, Results};

/// Writes the page to `TWINOPT_REPORT_DIR`, when that is set, to look at it.
fn keep(name: &str, html: &str) {
    if let Some(dir) = std::env::var_os("TWINOPT_REPORT_DIR") {
        std::fs::write(std::path::Path::new(&dir).join(name), html).unwrap();
    }
}

#[test]
fn one_file_that_needs_nothing_else() {
    let start = std::time::Instant::now();
    let results = fixture::datacenter();
    let html = render(&results).unwrap();
    println!("{} KB in {:?}", html.len() / 1024, start.elapsed());
    keep("report.html", &html);
    assert!(html.len() < 500_000, "{} bytes", html.len());
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
    for bad in [
        "<script",
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "<link rel=\"stylesheet\"",
        "javascript:",
        "<iframe",
        " onload",
    ] {
        assert!(!html.contains(bad), "{bad}");
    }
    // The only link element keeps browsers from asking for a favicon.
    assert_eq!(html.matches("<link").count(), 1);
    assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
}
