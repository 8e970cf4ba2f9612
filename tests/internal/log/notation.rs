//! Tests of times, numbers and quality flags that are written in unusual ways.

use arrow_array::{Int32Array, Int64Array, TimestampMicrosecondArray};
use tempfile::TempDir;

use super::fixture::{MIN, T0, count, data_error, read};
use super::table::{Column, column, floats, integers, texts, times, write};

/// A twin that reads the columns `x` and `u`.
fn twin(step: &str, log: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"{step}\"\nlog = {{ files = \"*.parquet\", time = \"time\"{log} }}\nsignals = [\n{{ name = \"x\", role = \"state\", unit = \"degC\" }},\n{{ name = \"u\", role = \"control\" }},\n]"
    )
}

const N: usize = 240;

fn x() -> Vec<f64> {
    (0..N).map(|i| 20.0 + (i as f64 / 9.0).sin()).collect()
}

fn u() -> Vec<f64> {
    (0..N).map(|i| (i / 24 % 3) as f64).collect()
}

fn log(time: Column, columns: Vec<Column>) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("log.parquet"), [vec![time], columns].concat());
    dir
}

fn hourly(format: &str, ending: bool) -> Vec<String> {
    let start = jiff::civil::date(2022, 7, 1).at(0, 0, 0, 0);
    let text = |i: usize| {
        let hour = i64::from(ending) + i as i64;
        let midnight = ending && hour % 24 == 0;
        let at = start + jiff::SignedDuration::from_hours(if midnight { hour - 24 } else { hour });
        let text = at.strftime(format).to_string();
        if midnight { text.replace("00:00", "24:00") } else { text }
    };
    (0..N).map(text).collect()
}

#[test]
fn the_end_of_the_day_and_dates_that_begin_with_the_year_are_read() {
    for format in ["%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M"] {
        let dir = log(texts("time", &hourly(format, true)), vec![floats("x", &x()), floats("u", &u())]);
        let (t, q) = read(dir.path(), &twin("1h", ", stamps = \"end\", timezone = \"UTC\"")).unwrap();
        assert_eq!((t.start.to_string(), t.steps), ("2022-07-01T00:00:00Z".into(), N), "{format}");
        assert_eq!((&t.columns[0], q.findings.len()), (&x(), 0), "{format}");
    }
}

#[test]
fn other_orders_of_day_and_month_need_a_format_which_is_proposed() {
    for format in ["%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d-%b-%y %H:%M:%S"] {
        let dir = log(texts("time", &hourly(format, false)), vec![floats("x", &x()), floats("u", &u())]);
        let text = data_error(dir.path(), &twin("1h", ""));
        // The log covers only the first days of July, so the order of day and month is ambiguous in dates with slashes.
        assert!(text.contains(&format!("time_format = \"{format}\"")), "{format}: {text}");
        assert_eq!(format.contains('/'), text.contains("order of day and month is unclear"), "{format}: {text}");
        let (t, _) = read(dir.path(), &twin("1h", &format!(", time_format = \"{format}\""))).unwrap();
        assert_eq!((t.start.to_string(), t.steps), ("2022-07-01T00:00:00Z".into(), N), "{format}");
    }
}

#[test]
fn numbers_in_the_time_column_are_judged() {
    let days: Vec<f64> = (0..N).map(|i| 45_292.0 + i as f64 / 96.0).collect();
    let dir = log(floats("time", &days), vec![floats("x", &x()), floats("u", &u())]);
    let (t, q) = read(dir.path(), &twin("15min", "")).unwrap();
    assert_eq!((t.start.to_string(), t.steps, count(&q, "time-unit")), ("2024-01-01T00:00:00Z".into(), N, N));
    assert!(q.findings.iter().any(|f| f.note.contains("spreadsheet")) && t.columns[0] == x());
    assert_eq!(count(&q, "time-zone"), N);
    let (_, q) = read(dir.path(), &twin("15min", ", time_unit = \"spreadsheet\", timezone = \"UTC\"")).unwrap();
    assert_eq!(q.findings, []);
    for (unit, per) in [("s", 900.0), ("min", 15.0), ("h", 0.25)] {
        let numbers: Vec<f64> = (0..N).map(|i| per * i as f64).collect();
        let dir = log(floats("time", &numbers), vec![floats("x", &x()), floats("u", &u())]);
        let (t, _) = read(dir.path(), &twin("15min", &format!(", time_unit = \"{unit}\""))).unwrap();
        assert_eq!((t.steps, &t.columns[0]), (N, &x()), "{unit}");
    }
    // Without a hint, a column of hours is read as seconds, which contradicts the step of one hour.
    let hours = log(integers("time", (0..N as i64).collect()), vec![floats("x", &x()), floats("u", &u())]);
    let text = data_error(hours.path(), &twin("1h", ""));
    assert!(text.contains("seconds since 1970") && text.contains("time_unit"), "{text}");
    let digits: Vec<i64> = (0..28).map(|d| 20_240_201 + d).collect();
    let days = log(integers("time", digits), vec![floats("x", &x()[..28]), floats("u", &u()[..28])]);
    assert_eq!(read(days.path(), &twin("1d", "")).unwrap().0.start.to_string(), "2024-02-01T00:00:00Z");
}

#[test]
fn local_times_without_a_zone_are_asked_for() {
    let naive: Vec<i64> = (0..N as i64).map(|i| T0 + i * 60 * MIN).collect();
    let dir = log(column("time", TimestampMicrosecondArray::from(naive)), vec![floats("x", &x()), floats("u", &u())]);
    let madrid = format!("timezone = \"Europe/Madrid\"\n{}", twin("1h", ""));
    let text = data_error(dir.path(), &madrid);
    assert!(text.contains("no time zone") && text.contains("timezone = \"Europe/Madrid\""), "{text}");
    let given = madrid.replace("time = \"time\"", "time = \"time\", timezone = \"Europe/Madrid\"");
    assert_eq!(read(dir.path(), &given).unwrap().0.start.to_string(), "2023-12-31T23:00:00Z");
}

#[test]
fn texts_among_numbers_are_counted_and_can_be_missing_values() {
    let mut written: Vec<String> = x().iter().map(|v| format!("{v:.3}")).collect();
    for (i, text) in [(50, "Bad Input"), (51, "Bad Input"), (120, "I/O Timeout"), (200, "")] {
        written[i] = text.into();
    }
    let stamps: Vec<i64> = (0..N as i64).map(|i| T0 + i * 10 * MIN).collect();
    let dir = log(times("time", &stamps), vec![texts("x", &written), floats("u", &u())]);
    let text = data_error(dir.path(), &twin("10min", ""));
    assert!(text.contains("`Bad Input` (2), `I/O Timeout` (1); 236 of 239 values are numbers"), "{text}");
    let setting = "missing = [\"Bad Input\", \"I/O Timeout\"]";
    assert!(text.contains(setting), "{text}");
    let (t, q) = read(dir.path(), &twin("10min", &format!(", {setting}"))).unwrap();
    assert_eq!((t.columns[0].iter().filter(|v| v.is_nan()).count(), count(&q, "missing")), (4, 4));
    assert!((t.columns[0][10] - x()[10]).abs() < 6e-4);

    let comma: Vec<String> = x().iter().map(|v| format!("{v:.2}").replace('.', ",")).collect();
    let dir = log(times("time", &stamps), vec![texts("x", &comma), floats("u", &u())]);
    assert!(data_error(dir.path(), &twin("10min", "")).contains("`decimal = \",\"`"));
    let (t, _) = read(dir.path(), &twin("10min", ", decimal = \",\"")).unwrap();
    assert!(t.columns[0].iter().zip(x()).all(|(a, b)| (a - b).abs() < 6e-3));
}

#[test]
fn quality_flags_are_named_and_all_good_flags_of_opc_are_good() {
    let stamps: Vec<i64> = (0..N as i64).flat_map(|i| [T0 + i * 10 * MIN; 2]).collect();
    let tags: Vec<&str> = (0..N).flat_map(|_| ["x", "u"]).collect();
    let value: Vec<f64> = x().into_iter().zip(u()).flat_map(|(a, b)| [a, b]).collect();
    let long = ", long = { tag = \"tag\", value = \"value\", quality = \"q\" }";
    let with = |flag: &dyn Fn(usize) -> i64| {
        let flags = Int64Array::from_iter_values((0..2 * N).map(flag));
        log(times("time", &stamps), vec![texts("tag", &tags), floats("value", &value), column("q", flags)])
    };
    let opc = with(&|i| [192, 216, 193, 0][if i % 20 == 7 { 3 } else { i % 3 }]);
    let (_, q) = read(opc.path(), &twin("10min", long)).unwrap();
    assert_eq!(count(&q, "bad-flag"), N / 10);
    assert!(q.findings.iter().any(|f| f.note.ends_with(&format!("`0` ({})", N / 10))), "{:?}", q.findings);
    let ua = with(&|i| if i % 40 == 6 { 0x8000_0000 } else { 0 });
    let text = data_error(ua.path(), &twin("10min", long));
    assert!(text.contains("`x`") && text.contains("`q`") && text.contains("`0` (228), `2147483648` (12)"), "{text}");
    let (_, q) = read(ua.path(), &twin("10min", &long.replace("\"q\"", "\"q\", good = [\"0\"]"))).unwrap();
    assert_eq!(count(&q, "bad-flag"), 12);
    let ranged = log(
        times("time", &stamps),
        vec![
            texts("tag", &tags),
            floats("value", &value),
            column("q", Int32Array::from_iter_values((0..2 * N).map(|i| i as i32 % 4))),
        ],
    );
    let (_, q) = read(ranged.path(), &twin("10min", &long.replace("\"q\"", "\"q\", good = [\"0..2\"]"))).unwrap();
    assert_eq!(count(&q, "bad-flag"), N / 2);
}

#[test]
fn a_signal_without_a_value_is_named() {
    let stamps: Vec<i64> = (0..N as i64).map(|i| T0 + i * 10 * MIN).collect();
    let dir = log(times("time", &stamps), vec![floats("x", &[f64::NAN; N]), floats("u", &u())]);
    let (_, q) = read(dir.path(), &twin("10min", "")).unwrap();
    let text = q.require_complete().unwrap_err().to_string();
    assert!(text.contains("`x` has no value in the whole log (240 samples)"), "{text}");
    let dir = log(times("time", &stamps), vec![floats("x", &[f64::NAN; N]), floats("u", &[f64::NAN; N])]);
    let text = data_error(dir.path(), &twin("10min", ""));
    assert!(text.contains("`x` has no value") && text.contains("`u` has no value"), "{text}");
}

#[test]
fn rows_that_were_dropped_lower_the_coverage() {
    // Only the first 20 of 2,000 samples are valid.
    let stamps: Vec<i64> = (0..2_000).map(|i| T0 + i * 10 * MIN).collect();
    let level: Vec<f64> = (0..2_000).map(|i| if i < 20 { 20.0 + f64::from(i) } else { 500.0 }).collect();
    let dir = log(times("time", &stamps), vec![floats("x", &level), floats("u", &level)]);
    let text = twin("10min", "").replace("unit = \"degC\"", "unit = \"degC\", valid = [0, 100]");
    let valid = text.replace("role = \"control\"", "role = \"control\", valid = [0, 100]");
    let (_, q) = read(dir.path(), &valid).unwrap();
    assert!((q.signals[0].coverage - 0.01).abs() < 1e-9, "{}", q.signals[0].coverage);
    assert_eq!(q.incomplete, ["x", "u"]);
}
