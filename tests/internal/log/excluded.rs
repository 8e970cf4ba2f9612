//! Tests of the parts of a log that `twin.toml` leaves out.

use tempfile::TempDir;
use twinopt::error::Error;
use twinopt::log::used_time_span;

use super::fixture::{MIN, T0, count, read, spec};
use super::table::{floats, texts, times, write};

const HOUR: i64 = 60 * MIN;

/// An hourly log of ten days from 2024-01-01, in which `x` is the number of the row and `batch` the number of the day.
fn log() -> TempDir {
    let dir = TempDir::new().unwrap();
    let rows: Vec<i64> = (0..240).collect();
    let batches: Vec<String> = rows.iter().map(|r| format!("b{:02}", r / 24)).collect();
    let columns = vec![
        times("time", &rows.iter().map(|r| T0 + r * HOUR).collect::<Vec<_>>()),
        floats("x", &rows.iter().map(|r| *r as f64).collect::<Vec<_>>()),
        floats("y", &rows.iter().map(|r| (r % 7) as f64).collect::<Vec<_>>()),
        texts("batch", &batches.iter().map(String::as_str).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    dir
}

fn twin(log: &str, signals: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"1h\"\nlog = {{ files = \"*.parquet\", time = \"time\", {log} }}\nsignals = [{signals}]"
    )
}

const LEVELS: &str = "{ name = \"x\", role = \"state\" }, { name = \"y\", role = \"output\" }";

#[test]
fn only_the_selected_part_of_the_log_is_read() {
    let dir = log();
    let (t, q) = read(dir.path(), &twin("from = \"2024-01-02\", until = \"2024-01-04\"", LEVELS)).unwrap();
    let expected: Vec<f64> = (24..96).map(f64::from).collect();
    assert_eq!((t.columns[0].clone(), t.segments.clone()), (expected, vec![0..72]));
    assert_eq!(t.columns[1][..3], [3.0, 4.0, 5.0]);
    assert_eq!((count(&q, "excluded"), q.signals[0].coverage), (240 - 72, 1.0));
    // dates are local days, and times are in UTC
    let berlin = "timezone = \"Europe/Berlin\"\n".to_owned();
    let (t, _) = read(dir.path(), &(berlin.clone() + &twin("from = \"2024-01-02\"", LEVELS))).unwrap();
    assert_eq!(t.columns[0][0], 23.0);
    let (t, _) = read(dir.path(), &(berlin + &twin("from = \"2024-01-02T06:00:00Z\"", LEVELS))).unwrap();
    assert_eq!(t.columns[0][0], 30.0);
}

#[test]
fn excluded_periods_split_the_log() {
    let dir = log();
    // A period that is shorter than `max_gap` is neither held nor interpolated.
    let short =
        "max_gap = \"12h\", exclude = [\"2024-01-03T02:00:00Z..2024-01-03T05:00:00Z\", \"2024-01-05..2024-01-06\"]";
    let (t, q) = read(dir.path(), &twin(short, LEVELS)).unwrap();
    assert_eq!(t.segments, vec![0..50, 53..96, 144..240]);
    assert!(t.columns[0][50..53].iter().all(|v| v.is_nan()) && t.columns[0][96..144].iter().all(|v| v.is_nan()));
    assert_eq!((t.columns[0][49], t.columns[0][53], t.columns[0][144]), (49.0, 53.0, 144.0));
    assert_eq!(count(&q, "excluded"), 51);
    let episodes = "episode = \"batch\", exclude = [\"2024-01-02..2024-01-02\"]";
    let (t, _) = read(dir.path(), &twin(episodes, LEVELS)).unwrap();
    assert_eq!((t.segments[0].clone(), t.segments[1].clone(), t.segments.len()), (0..24, 48..72, 9));
}

#[test]
fn excluded_days_without_events_are_missing_and_not_zero() {
    let dir = TempDir::new().unwrap();
    let days: Vec<i64> = (0..60).filter(|d| d % 3 != 1).collect();
    let columns = vec![
        times("time", &days.iter().map(|d| T0 + d * 24 * HOUR).collect::<Vec<_>>()),
        floats("sold", &days.iter().map(|d| 5.0 + (d % 4) as f64).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    let sold = "{ name = \"sold\", role = \"output\", kind = \"amount\", empty = 0 }";
    let text = twin("exclude = [\"2024-01-11..2024-01-20\"]", sold).replace("1h", "1d");
    let (t, _) = read(dir.path(), &text).unwrap();
    assert_eq!(t.segments, vec![0..10, 20..60]);
    assert!(t.columns[0][10..20].iter().all(|v| v.is_nan()));
    assert_eq!(t.columns[0][..3], [5.0, 0.0, 7.0]);
}

#[test]
fn an_excluded_period_without_samples_is_named() {
    let dir = log();
    let text = "exclude = [\"2023-01-03..2023-01-04\", \"2024-01-03..2024-01-04\"]";
    let (t, q) = read(dir.path(), &twin(text, LEVELS)).unwrap();
    assert_eq!(t.segments, vec![0..48, 96..240]);
    let found: Vec<&str> =
        q.findings.iter().filter(|f| f.class.as_str() == "excluded").map(|f| f.note.as_str()).collect();
    assert_eq!(found.len(), 2);
    assert!(found[1].contains("`2023-01-03..2023-01-04`, in which the log has no samples"), "{found:?}");
}

#[test]
fn the_used_part_of_the_log_has_its_own_span() {
    let dir = log();
    let span = |log: &str| {
        used_time_span(dir.path(), &spec(&twin(log, LEVELS))).map(|s| (s.first.to_string(), s.last.to_string()))
    };
    let found = span("from = \"2024-01-02\", exclude = [\"2024-01-09..2024-01-10\"]").unwrap();
    assert_eq!(found, ("2024-01-02T00:00:00Z".into(), "2024-01-08T23:00:00Z".into()));
    let Err(Error::Log(faults)) = span("until = \"2023-12-01\"") else { panic!("no fault") };
    assert!(faults[0].message.contains("no row of the log is left"));
}

#[test]
fn faulty_periods_are_refused() {
    let dir = log();
    let fault = |log: &str| match read(dir.path(), &twin(log, LEVELS)) {
        Err(Error::Log(faults)) => faults[0].message.clone(),
        other => panic!("{other:?}"),
    };
    assert!(fault("from = \"spring\"").contains("`from = \"spring\"` is neither a date nor a time"));
    assert!(fault("from = \"2024-01-05T06\"").contains("`from = \"2024-01-05T06\"` is neither a date nor a time"));
    assert!(fault("exclude = [\"2024-01-05\"]").contains("neither a date nor a time"));
    assert!(fault("exclude = [\"2024-01-05..2024-01-02\"]").contains("ends before it begins"));
    assert!(fault("from = \"2025-01-01\"").contains("no row of the log is left"));
}
