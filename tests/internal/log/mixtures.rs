//! Tests of logs whose values or times look plausible, but would be combined wrongly: net meters, changed intervals,
//! calendar months, quality flags, and rows of several devices. The expected values are computed from the known plant.

use tempfile::TempDir;

use super::fixture::{MIN, T0, count, data_error, read, schema, spec};
use super::table::{Column, floats, texts, times, write};
use crate::rng::Key;

const N: usize = 2_688;

fn twin(step: &str, log: &str, signals: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"{step}\"\nlog = {{ files = \"*.parquet\", time = \"time\"{log} }}\nsignals = [{signals}]"
    )
}

fn log(columns: Vec<Column>) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("log.parquet"), columns);
    dir
}

fn quarters(n: usize) -> Vec<i64> {
    (0..n).map(|i| T0 + i as i64 * 15 * MIN).collect()
}

/// Energy per quarter of an hour; negative at night if `offset` is small.
fn load(i: usize, offset: f64) -> f64 {
    offset + 9.0 * (i as f64 / 96.0 * std::f64::consts::TAU).sin() + Key::new(3).normal(i as u64)
}

const METER: &str = "{ name = \"x\", role = \"output\", unit = \"kWh\"";

#[test]
fn a_net_meter_is_a_counter_and_never_silently_an_amount() {
    let mut reading = vec![50_000.0];
    (1..=N).for_each(|i| reading.push(reading[i - 1] + load(i - 1, 6.0)));
    let dir = log(vec![times("time", &quarters(N + 1)), floats("x", &reading)]);
    let (t, q) = read(dir.path(), &twin("1h", "", &format!("{METER}, kind = \"counter\" }}"))).unwrap();
    for (hour, v) in t.columns[0].iter().enumerate() {
        let expected: f64 = (4 * hour..4 * hour + 4).map(|i| load(i, 6.0)).sum();
        assert!((v - expected).abs() < 1e-6, "{hour}: {v} {expected}");
    }
    assert!(t.columns[0].len() == N / 4 && count(&q, "counter-jump") + count(&q, "counter-gap") == 0);
    let (_, q) = read(dir.path(), &twin("1h", "", &format!("{METER}, kind = \"amount\" }}"))).unwrap();
    let warned = q.suspicions().any(|f| f.class.as_str() == "counter" && f.note.contains("added up"));
    assert!(warned, "{:?}", q.findings);
}

#[test]
fn amounts_whose_interval_changes_keep_their_sum() {
    // hourly amounts for the first half, then quarter-hourly amounts
    let half = N / 2;
    let hourly = |h: usize| (4 * h..4 * h + 4).map(|i| load(i, 30.0)).sum::<f64>();
    let time: Vec<i64> =
        quarters(N).into_iter().enumerate().filter(|(i, _)| *i >= half || i % 4 == 0).map(|t| t.1).collect();
    let value: Vec<f64> = (0..half / 4).map(hourly).chain((half..N).map(|i| load(i, 30.0))).collect();
    let twin = |stamps: &str| twin("1h", stamps, &format!("{METER}, kind = \"amount\" }}"));
    let dir = log(vec![times("time", &time), floats("x", &value)]);
    // stamps at the end of each interval
    let ends: Vec<i64> =
        time.iter().enumerate().map(|(i, t)| t + if i < half / 4 { 60 * MIN } else { 15 * MIN }).collect();
    let of_ends = log(vec![times("time", &ends), floats("x", &value)]);
    for (dir, stamps) in [(&dir, ""), (&of_ends, ", stamps = \"end\"")] {
        let (t, q) = read(dir.path(), &twin(stamps)).unwrap();
        assert_eq!(t.columns[0].len(), N / 4);
        for (h, v) in t.columns[0].iter().enumerate() {
            assert!((v - hourly(h)).abs() < 1e-9, "{stamps} {h}: {v} {}", hourly(h));
        }
        assert!(q.suspicions().any(|f| f.class.as_str() == "interval-change"), "{:?}", q.findings);
    }
}

#[test]
fn calendar_months_are_refused() {
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31, 30];
    let mut time = vec![T0];
    days.iter().for_each(|d| time.push(time[time.len() - 1] + d * 1_440 * MIN));
    let value: Vec<f64> = (0..time.len()).map(|i| 1_000.0 + i as f64 * 7.0 % 50.0).collect();
    let dir = log(vec![times("time", &time), floats("x", &value)]);
    for (step, kind) in [("31d", "amount"), ("31d", "level"), ("1d", "amount")] {
        let text =
            data_error(dir.path(), &twin(step, ", max_gap = \"90d\"", &format!("{METER}, kind = \"{kind}\" }}")));
        assert!(text.contains("one sample of `x` per calendar month"), "{text}");
    }
}

#[test]
fn rows_of_devices_that_report_minutes_apart_are_refused() {
    let time: Vec<i64> = (0..N).map(|i| T0 + (i / 2 * 15 + i % 2 * 5) as i64 * MIN).collect();
    let power = |i: usize| load(i / 2, 27.0 * (1 + i % 2) as f64);
    let value: Vec<f64> = (0..N).map(power).collect();
    let id: Vec<f64> = (0..N).map(|i| (1 + i % 2) as f64).collect();
    let signal = "{ name = \"x\", role = \"output\", unit = \"kW\" }";
    let dir = log(vec![times("time", &time), floats("x", &value)]);
    let text = data_error(dir.path(), &twin("10min", "", signal));
    assert!(text.contains("5 min, 10 min") && text.contains("2 devices"), "{text}");
    let dir = log(vec![times("time", &time), floats("unit", &id), floats("x", &value)]);
    let text = data_error(dir.path(), &twin("10min", "", signal));
    assert!(text.contains("`unit` alternate") && text.contains("where = { unit = \"1.0\" }"), "{text}");
    let (t, _) = read(dir.path(), &twin("15min", ", where = { unit = \"2.0\" }", signal)).unwrap();
    assert_eq!(t.columns[0], (0..N / 2).map(|i| power(2 * i + 1)).collect::<Vec<_>>());
    // `init` needs the column although it is a draft of a signal
    let both = format!("{signal}, {{ name = \"unit\", role = \"state\" }}");
    let spec = spec(&twin("10min", "", &both));
    let found = crate::log::alternating(dir.path(), &spec, &schema(&spec)).unwrap();
    assert_eq!(found.as_deref(), Some("unit"));
}

#[test]
fn a_wide_column_with_quality_flags_is_found() {
    let bad = |i: usize| i % 40 == 7;
    let flag: Vec<&str> = (0..N).map(|i| if bad(i) { "Bad" } else { "Good" }).collect();
    let value: Vec<f64> = (0..N).map(|i| if bad(i) { 500.0 } else { load(i, 27.0) }).collect();
    let dir = log(vec![times("time", &quarters(N)), floats("x", &value), texts("power status", &flag)]);
    let signal = "{ name = \"x\", role = \"output\", unit = \"kW\" }";
    let found = crate::log::quality_columns(dir.path(), &spec(&twin("15min", "", signal)).log).unwrap();
    assert_eq!(
        found.iter().map(|c| (c.good.join("+"), c.rows)).collect::<Vec<_>>(),
        [("Good".to_owned(), (0..N).filter(|i| bad(*i)).count())]
    );
    let (t, _) = read(dir.path(), &twin("15min", &format!(", {}", found[0].setting()), signal)).unwrap();
    assert!(t.columns[0].iter().enumerate().all(|(i, v)| if bad(i) { v.is_nan() } else { *v == value[i] }));
}
