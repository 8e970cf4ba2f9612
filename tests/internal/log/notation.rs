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
fn numbers_written_as_text_in_the_time_column_are_read() {
    // 900 rows of 15 min from 2023-03-01, which is 1,677,628,800 s since 1970 and spreadsheet day 44,986
    let seconds = |i: usize| 1_677_628_800 + 900 * i as i64;
    let digits =
        |i: usize| (20_230_301 + i as i64 / 96) * 1_000_000 + i as i64 / 4 % 24 * 10_000 + i as i64 % 4 * 1_500;
    let day = |i: usize| format!("{:.6}", 44_986.0 + i as f64 / 96.0);
    let all: [(&str, &dyn Fn(usize) -> String); 6] = [
        ("s", &|i| seconds(i).to_string()),
        ("ms", &|i| (seconds(i) * 1_000).to_string()),
        ("ns", &|i| (seconds(i) * 1_000_000_000).to_string()),
        ("digits", &|i| digits(i).to_string()),
        ("spreadsheet", &day),
        ("spreadsheet", &|i| day(i).replace('.', ",")),
    ];
    for (unit, text) in all {
        let column: Vec<String> = (0..N).map(text).collect();
        let dir = log(texts("time", &column), vec![floats("x", &x()), floats("u", &u())]);
        for given in ["", &format!(", time_unit = \"{unit}\"")] {
            let (t, q) = read(dir.path(), &twin("15min", &format!("{given}, timezone = \"UTC\""))).unwrap();
            let start = "2023-03-01T00:00:00Z".to_owned();
            assert_eq!((t.start.to_string(), t.steps, &t.columns[0]), (start, N, &x()), "{unit} {given}");
            assert_eq!(count(&q, "time-unit"), if given.is_empty() { N } else { 0 }, "{unit}");
        }
    }
}

#[test]
fn several_date_formats_are_named_with_their_files_and_read_with_the_proposed_setting() {
    let half = N / 2;
    let write_half = |dir: &TempDir, file: &str, rows: std::ops::Range<usize>, format: &str| {
        let (x, u) = (x()[rows.clone()].to_vec(), u()[rows.clone()].to_vec());
        let time = hourly(format, false)[rows].to_vec();
        write(&dir.path().join(file), vec![texts("time", &time), floats("x", &x), floats("u", &u)]);
    };
    for (first, second, setting) in [
        ("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "time_format = \"%d.%m.%Y %H:%M\""),
        ("%d-%b-%Y %H:%M", "%d.%m.%Y %H:%M", "time_format = [\"%d-%b-%Y %H:%M\", \"%d.%m.%Y %H:%M\"]"),
    ] {
        let dir = TempDir::new().unwrap();
        write_half(&dir, "a.parquet", 0..half, first);
        write_half(&dir, "b.parquet", half..N, second);
        let text = data_error(dir.path(), &twin("1h", ""));
        let rows = format!("({} rows of b.parquet)", N - half);
        assert!(text.contains(setting) && text.contains(&rows) && text.contains("`time`"), "{text}");
        let (t, _) = read(dir.path(), &twin("1h", &format!(", {setting}"))).unwrap();
        assert_eq!((t.start.to_string(), t.steps, &t.columns[0]), ("2022-07-01T00:00:00Z".into(), N, &x()));
    }
    // one short file in another format is refused, because all of its rows would be lost
    let dir = TempDir::new().unwrap();
    write_half(&dir, "a.parquet", 0..N - 3, "%Y-%m-%d %H:%M");
    write_half(&dir, "b.parquet", N - 3..N, "%d.%m.%Y %H:%M");
    assert!(data_error(dir.path(), &twin("1h", "")).contains("(3 rows of b.parquet)"));
}

#[test]
fn an_exchanged_day_and_month_is_noticed() {
    for rows in [N, 3 * 24] {
        let time = hourly("%Y-%d-%m %H:%M", false);
        let columns = vec![floats("x", &x()[..rows]), floats("u", &u()[..rows])];
        let dir = log(texts("time", &time[..rows]), columns);
        let text = data_error(dir.path(), &twin("1h", ""));
        assert!(text.contains("day and month seem to be exchanged"), "{text}");
        let (t, _) = read(dir.path(), &twin("1h", ", time_format = \"%Y-%d-%m %H:%M\"")).unwrap();
        assert_eq!((t.start.to_string(), t.steps), ("2022-07-01T00:00:00Z".into(), rows));
    }
    // the stamps mark the ends of the intervals, so the last day has a single time
    let (time, rows) = (&hourly("%Y-%d-%m %H:%M", false)[1..], 3 * 24);
    let dir = log(texts("time", &time[..rows]), vec![floats("x", &x()[..rows]), floats("u", &u()[..rows])]);
    assert!(data_error(dir.path(), &twin("1h", "")).contains("day and month seem to be exchanged"));
}

#[test]
fn numberings_of_time_that_cannot_be_read_are_named() {
    let seconds = |i: usize| 1_677_628_800.0 + 900.0 * i as f64;
    let all: [(&str, &dyn Fn(usize) -> f64); 5] = [
        ("number / 1e7 - 11644473600", &|i| (seconds(i) + 11_644_473_600.0) * 1e7),
        ("number / 1e7 - 62135596800", &|i| (seconds(i) + 62_135_596_800.0) * 1e7),
        ("number - 2082844800", &|i| seconds(i) + 2_082_844_800.0),
        ("(number - 719529) * 86400", &|i| seconds(i) / 86_400.0 + 719_529.0),
        ("(number - 2440587.5) * 86400", &|i| seconds(i) / 86_400.0 + 2_440_587.5),
    ];
    for (formula, number) in all {
        let numbers: Vec<f64> = (0..N).map(number).collect();
        let dir = log(floats("time", &numbers), vec![floats("x", &x()), floats("u", &u())]);
        let text = data_error(dir.path(), &twin("15min", ""));
        assert!(text.contains(formula) && text.contains("`time`"), "{formula}: {text}");
    }
    // time columns with the quarter hours since the start, with row numbers, and with times that were converted from
    // numbers in the wrong unit
    let quarters: Vec<f64> = (0..N).map(|i| 0.25 * i as f64).collect();
    let dir = log(floats("time", &quarters), vec![floats("x", &x()), floats("u", &u())]);
    assert!(data_error(dir.path(), &twin("15min", "")).contains("set `time_unit = \"h\"`"));
    let dir = log(integers("time", (0..N as i64).collect()), vec![floats("x", &x()), floats("u", &u())]);
    assert!(data_error(dir.path(), &twin("15min", "")).contains("only count the rows"));
    let micros: Vec<i64> = (0..N).map(|i| seconds(i) as i64).collect();
    let dir = log(times("time", &micros), vec![floats("x", &x()), floats("u", &u())]);
    assert!(data_error(dir.path(), &twin("15min", "")).contains("converted to times in the wrong unit"));
    let minutes: Vec<f64> = (0..N).map(|i| seconds(i) / 60.0).collect();
    let dir = log(floats("time", &minutes), vec![floats("x", &x()), floats("u", &u())]);
    assert_eq!(read(dir.path(), &twin("15min", "")).unwrap().0.start.to_string(), "2023-03-01T00:00:00Z");
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
