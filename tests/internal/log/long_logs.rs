//! Tests of logs in long format, which have one row per sample.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{Array, BooleanArray, DictionaryArray, Int64Array, StringViewArray, UInt8Array, UInt16Array};
use tempfile::TempDir;

use super::fixture::{LONG, SYNTHETIC_TWIN, count, read, same, save_long, synthetic};
use super::table::{floats, texts, times, write, write_as};

/// A row group has more rows than a batch, and its number of rows is not a multiple of the batch size.
#[test]
fn a_log_of_many_batches_reads_the_same_on_any_number_of_threads() {
    let dir = TempDir::new().unwrap();
    let m = synthetic(70_000, 8);
    let (expected, _) = m.read();
    let (mut t, mut tag, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (name, value) in [("temp", m.temp[i]), ("power", m.power[i]), ("valve", m.valve[i])] {
            t.push(m.time[i]);
            tag.push(name);
            v.push(value);
        }
    }
    let columns = vec![times("timestamp", &t), texts("tag", &tag), floats("value", &v)];
    write_as(&dir.path().join("long.parquet"), columns, |p| p.set_max_row_group_row_count(Some(100_003)));
    let text = SYNTHETIC_TWIN
        .replace("time = \"timestamp\"", "time = \"timestamp\", long = { tag = \"tag\", value = \"value\" }");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| read(dir.path(), &text).unwrap())
    };
    let ((a, qa), (b, qb)) = (on(1), on(2));
    assert!(same(&a, &b) && same(&a, &expected));
    assert_eq!(serde_json::to_string(&qa).unwrap(), serde_json::to_string(&qb).unwrap());
}

#[test]
fn a_long_log_reads_the_same_as_a_wide_one() {
    let m = synthetic(1_500, 9);
    let (wide, qw) = m.read();
    let dir = TempDir::new().unwrap();
    save_long(&m, &dir.path().join("long.parquet"), |_, _| false);
    let text = SYNTHETIC_TWIN.replace("time = \"timestamp\"", &format!("time = \"timestamp\", {LONG}"));
    let (long, ql) = read(dir.path(), &text).unwrap();
    assert!(same(&wide, &long));
    assert_eq!(qw.signals, ql.signals);
}

#[test]
fn bad_flags_are_dropped_before_resampling() {
    let m = synthetic(1_500, 9);
    let dir = TempDir::new().unwrap();
    save_long(&m, &dir.path().join("long.parquet"), |i, s| s == 0 && i % 10 == 3);
    // With half-hour steps, the means would include the flagged values of −1e6 if these values were not dropped
    // beforehand.
    let text = SYNTHETIC_TWIN
        .replace("time = \"timestamp\"", &format!("time = \"timestamp\", {LONG}"))
        .replace("step = \"10min\"", "step = \"30min\"");
    let (t, q) = read(dir.path(), &text).unwrap();
    assert_eq!((count(&q, "bad-flag"), q.signals[0].dropped), (150, 150));
    assert!(t.columns[0].iter().all(|v| (0.0..60.0).contains(v)));
    assert!((t.columns[0][1] - 0.5 * (m.temp[4] + m.temp[5])).abs() < 1e-12);
}

#[test]
fn tags_logged_on_change_are_held() {
    let m = synthetic(1_500, 10);
    let (mut t, mut tag, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (name, value) in [("temp", m.temp[i]), ("power", m.power[i])] {
            t.push(m.time[i]);
            tag.push(name);
            v.push(value);
        }
        if i == 0 || m.valve[i] != m.valve[i - 1] {
            t.push(m.time[i]);
            tag.push("valve");
            v.push(m.valve[i]);
        }
    }
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("long.parquet"), vec![times("timestamp", &t), texts("tag", &tag), floats("value", &v)]);
    let long = "time = \"timestamp\", long = { tag = \"tag\", value = \"value\" }";
    let (t, q) = read(dir.path(), &SYNTHETIC_TWIN.replace("time = \"timestamp\"", long)).unwrap();
    assert_eq!(t.columns[2], m.valve);
    assert_eq!(count(&q, "report-on-change"), q.signals[2].held);
}

#[test]
fn long_logs_of_every_type_read_the_same() {
    let m = synthetic(400, 9);
    let (expected, _) = m.read();
    let (mut t, mut tag, mut v, mut bad) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..m.time.len() {
        for (code, value) in [(10_u8, m.temp[i]), (20, m.power[i]), (30, m.valve[i]), (40, 0.0)] {
            for wrong in [true, false] {
                t.push(m.time[i]);
                tag.push(code);
                v.push(if wrong { -1e6 } else { value });
                bad.push(wrong);
            }
        }
    }
    let names: Vec<String> = tag.iter().map(u8::to_string).collect();
    let coded: DictionaryArray<Int8Type> = names.iter().map(|n| Some(n.as_str())).collect();
    let tags: Vec<Arc<dyn Array>> = vec![
        Arc::new(UInt8Array::from(tag.clone())),
        Arc::new(UInt16Array::from_iter_values(tag.iter().map(|t| u16::from(*t)))),
        Arc::new(Int64Array::from_iter_values(tag.iter().map(|t| i64::from(*t)))),
        Arc::new(StringViewArray::from_iter_values(&names)),
        Arc::new(coded),
    ];
    let flag = |wrong: &bool| if *wrong { "Bad" } else { "good " };
    let flags: Vec<(Arc<dyn Array>, &str)> = vec![
        (Arc::new(UInt8Array::from_iter_values(bad.iter().map(|b| if *b { 0 } else { 192 }))), ", good = [\"192\"]"),
        (Arc::new(UInt16Array::from_iter_values(bad.iter().map(|b| if *b { 0 } else { 192 }))), ", good = [\"192\"]"),
        (Arc::new(BooleanArray::from_iter(bad.iter().map(|b| if *b { None } else { Some(true) }))), ""),
        (texts("", &bad.iter().map(flag).collect::<Vec<_>>()).1, ""),
        (Arc::new(bad.iter().map(|b| Some(flag(b))).collect::<DictionaryArray<Int8Type>>()), ""),
    ];
    for (tag, (flag, good)) in tags.iter().zip(&flags) {
        let dir = TempDir::new().unwrap();
        let columns = vec![
            times("timestamp", &t),
            ("tag".into(), Arc::clone(tag)),
            floats("value", &v),
            ("quality".into(), Arc::clone(flag)),
        ];
        write_as(&dir.path().join("log.parquet"), columns, |p| p.set_max_row_group_row_count(Some(777)));
        let long =
            format!("time = \"timestamp\", long = {{ tag = \"tag\", value = \"value\", quality = \"quality\"{good} }}");
        let text = SYNTHETIC_TWIN.replace("time = \"timestamp\"", &long);
        let text = [("temp", 10), ("power", 20), ("valve", 30)].iter().fold(text, |text, (name, code)| {
            text.replace(&format!("name = \"{name}\""), &format!("name = \"{name}\", column = \"{code}\""))
        });
        let (long, q) = read(dir.path(), &text).unwrap_or_else(|e| panic!("{}: {e}", tag.data_type()));
        assert!(same(&expected, &long), "{} {}", tag.data_type(), flag.data_type());
        assert_eq!(count(&q, "bad-flag"), 3 * 400);
    }
}
