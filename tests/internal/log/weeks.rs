//! Tests of logs without rows on some days, and of values that are only lower bounds.

use tempfile::TempDir;

use super::fixture::{MIN, T0, count, read};
use super::table::{Column, floats, times, write};

const DAY: i64 = 1_440 * MIN;

fn log(columns: Vec<Column>) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("log.parquet"), columns);
    dir
}

fn twin(step: &str, log: &str, signals: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"{step}\"\nlog = {{ files = \"*.parquet\", time = \"time\"{log} }}\nsignals = [{signals}]"
    )
}

/// Day `d` since 2024-01-01, which is a Monday.
fn at(days: &[i64]) -> Column {
    times("time", &days.iter().map(|d| T0 + d * DAY).collect::<Vec<_>>())
}

/// The amount sold on day `d`.
fn sold(d: i64) -> f64 {
    (10 + d % 4) as f64
}

fn shop(days: &[i64]) -> TempDir {
    let level: Vec<f64> = days.iter().map(|d| (*d as f64 / 6.0).sin()).collect();
    log(vec![at(days), floats("x", &days.iter().map(|d| sold(*d)).collect::<Vec<_>>()), floats("level", &level)])
}

const AMOUNT: &str = "{ name = \"x\", role = \"output\", unit = \"item\", kind = \"amount\" }";
const EMPTY: &str = "{ name = \"x\", role = \"output\", unit = \"item\", kind = \"amount\", empty = 0 }";

/// The sum over the logged days of each week in `weeks`.
fn sums(days: &[i64], weeks: std::ops::Range<i64>) -> Vec<f64> {
    weeks.map(|w| days.iter().filter(|d| **d / 7 == w).map(|d| sold(*d)).sum()).collect()
}

#[test]
fn weeks_of_working_days_are_complete_and_their_weekends_are_explained() {
    // from Wednesday, 2024-01-03, to a Friday
    let days: Vec<i64> = (2..7 * 30 + 5).filter(|d| d % 7 < 5).collect();
    let dir = shop(&days);
    let (t, q) = read(dir.path(), &twin("1w", "", EMPTY)).unwrap();
    // The first week lacks two working days, but the last week is complete although its last rows are on a Friday.
    assert_eq!(t.columns[0], sums(&days, 1..31));
    assert_eq!((count(&q, "partial-step"), q.signals[0].coverage), (1, 1.0));
    let (t, q) = read(dir.path(), &twin("1w", "", AMOUNT)).unwrap();
    assert!(t.columns[0].iter().all(|v| v.is_nan()));
    let why = q.explain_incomplete("x");
    assert!(why.contains("no rows on Saturday and Sunday") && why.contains("`empty = 0`"), "{why}");
    assert!(q.findings.iter().any(|f| f.class.as_str() == "partial-step" && f.note.contains("on Saturday and Sunday")));
}

#[test]
fn days_of_a_weekend_without_rows_are_zero_missing_or_split() {
    let days: Vec<i64> = (0..7 * 20).filter(|d| d % 7 < 5).collect();
    let dir = shop(&days);
    let (t, q) = read(dir.path(), &twin("1d", "", EMPTY)).unwrap();
    let expected: Vec<f64> = (0..7 * 20 - 2).map(|d| if d % 7 < 5 { sold(d) } else { 0.0 }).collect();
    assert_eq!((t.columns[0].clone(), count(&q, "empty-step")), (expected, 38));
    assert_eq!(count(&q, "free-days"), t.steps);
    let level = "{ name = \"level\", role = \"state\" }";
    let (t, q) = read(dir.path(), &twin("1d", "", level)).unwrap();
    assert!(t.columns[0][5].is_nan() && q.require_complete().is_err());
    assert!(q.explain_incomplete("level").contains("`max_gap = \"1d\"`"), "{}", q.explain_incomplete("level"));
    let (t, q) = read(dir.path(), &twin("1d", ", max_gap = \"1d\"", level)).unwrap();
    assert_eq!((t.segments.len(), t.segments[1].clone(), q.signals[0].coverage), (20, 7..12, 1.0));
    assert!(q.require_complete().is_ok());
    let held = "{ name = \"level\", role = \"state\", resample = \"hold\" }";
    let (t, q) = read(dir.path(), &twin("1d", "", held)).unwrap();
    assert_eq!((t.columns[0][5], t.columns[0][6], q.signals[0].coverage), (t.columns[0][4], t.columns[0][4], 1.0));
}

#[test]
fn the_first_and_the_last_week_are_left_out_if_they_are_incomplete_and_days_without_rows_are_zero() {
    // two of every 11 days have no rows, so the gaps do not follow the weekdays
    let days: Vec<i64> = (2..7 * 40 + 4).filter(|d| d * d % 11 != 3).collect();
    let dir = shop(&days);
    let (t, q) = read(dir.path(), &twin("1w", "", EMPTY)).unwrap();
    assert_eq!(t.columns[0], sums(&days, 1..40));
    assert_eq!((count(&q, "partial-step"), count(&q, "free-days")), (2, 0));
}

#[test]
fn a_value_that_is_only_a_lower_bound_is_missing() {
    let n = 200;
    let days: Vec<i64> = (0..n).collect();
    let stock: Vec<f64> = (0..n).map(|d| ((20 - d % 10 * 3).max(0)) as f64).collect();
    let dir =
        log(vec![at(&days), floats("x", &days.iter().map(|d| sold(*d)).collect::<Vec<_>>()), floats("stock", &stock)]);
    let signals = |condition: &str| {
        let x = AMOUNT.replace(" }", &format!(", censored = \"{condition}\" }}"));
        format!("{x}, {{ name = \"stock\", role = \"disturbance\", unit = \"item\" }}")
    };
    for (condition, is_censored) in [
        ("stock <= 0", (|d: i64| d % 10 >= 7) as fn(i64) -> bool),
        ("stock <= reserve and x > 10", |d| d % 10 >= 5 && d % 4 > 0),
        ("lag(stock, 1) <= 0", |d| d > 0 && (d - 1) % 10 >= 7),
    ] {
        let text = twin("1d", "", &signals(condition));
        let text = format!("{text}\n[parameters]\nreserve = {{ value = 5, unit = \"item\" }}");
        let (t, q) = read(dir.path(), &text).unwrap();
        for d in 0..n {
            let v = t.columns[0][d as usize];
            assert!(if is_censored(d) { v.is_nan() } else { v == sold(d) }, "{condition} {d}: {v}");
        }
        let missing = (0..n).filter(|d| is_censored(*d)).count();
        assert_eq!((count(&q, "censored"), q.signals[0].missing), (missing, missing), "{condition}");
        assert_eq!(q.signals[0].coverage, (n as usize - missing) as f64 / n as f64);
        assert_eq!((t.columns[1].clone(), q.signals[1].missing), (stock.clone(), 0));
    }
    // the condition may be true while the stock is unknown
    let unknown: Vec<f64> = (0..n).map(|d| if (40..60).contains(&d) { f64::NAN } else { 20.0 }).collect();
    let values = days.iter().map(|d| sold(*d)).collect::<Vec<_>>();
    let dir = log(vec![at(&days), floats("x", &values), floats("stock", &unknown)]);
    let (t, _) = read(dir.path(), &twin("1d", "", &signals("stock <= 0"))).unwrap();
    assert!(t.columns[0][50].is_nan() && t.columns[0][30] == sold(30));
    let error = read(dir.path(), &twin("1d", "", &signals("stok <= 0"))).unwrap_err().to_string();
    assert!(error.contains("`censored` of `x`") && error.contains("stock"), "{error}");
}

/// Sales at random times in the opening hours of a shop, from a Wednesday to a Tuesday.
#[test]
fn incomplete_weeks_of_events_are_left_out() {
    let key = twinopt::rng::Key::new(4);
    for per_day in [2, 40] {
        let (mut time, mut days) = (Vec::new(), Vec::new());
        for d in (2..7 * 30 + 2).filter(|d| d % 7 < 6) {
            let of_day = key.fold(d as u64);
            let mut minutes: Vec<i64> = (0..per_day).map(|k| 480 + (600.0 * of_day.uniform(k as u64)) as i64).collect();
            minutes.sort_unstable();
            minutes.dedup();
            time.extend(minutes.iter().map(|m| T0 + d * DAY + m * MIN));
            days.extend(minutes.iter().map(|_| d));
        }
        let dir = log(vec![times("time", &time), floats("x", &vec![1.0; time.len()])]);
        let (t, q) = read(dir.path(), &twin("1w", "", EMPTY)).unwrap();
        let expected: Vec<f64> = (1..30).map(|w| days.iter().filter(|d| **d / 7 == w).count() as f64).collect();
        assert_eq!((t.columns[0].clone(), count(&q, "partial-step")), (expected, 2), "{per_day}");
        let (t, q) = read(dir.path(), &twin("1d", "", EMPTY)).unwrap();
        let daily: Vec<f64> = (2..7 * 30 + 2).map(|d| days.iter().filter(|e| **e == d).count() as f64).collect();
        assert_eq!((t.columns[0].clone(), count(&q, "partial-step")), (daily, 0), "{per_day}");
    }
}
