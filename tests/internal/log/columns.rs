//! Tests of columns and time stamps of every type, in one or several files.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float16Type, Int8Type, Int32Type};
use arrow_array::{
    Array, Date32Array, Decimal64Array, Decimal128Array, DictionaryArray, Float16Array, Float32Array, Float64Array,
    Int8Array, Int32Array, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array,
};
use parquet::basic::{BrotliLevel, Compression, GzipLevel};
use tempfile::TempDir;
use twinopt::log::{self, ColumnKind};

use super::fixture::{MIN, SYNTHETIC_TWIN, T0, count, read, same, save_long, spec, synthetic};
use super::table::{Column, column, floats, integers, texts, times, write, write_as};

/// Requirement DT-2: time columns of every type must give the same points in time.
#[test]
fn time_columns_of_every_kind_read_the_same() {
    let m = synthetic(300, 5);
    let (expected, _) = m.read();
    let rfc = |us: &i64| jiff::Timestamp::from_microsecond(*us).unwrap().to_string();
    let wall = |us: &i64| {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        jiff::Timestamp::from_microsecond(*us)
            .unwrap()
            .to_zoned_datetime(zone)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    let units = |per: i64| m.time.iter().map(|t| t / (1_000_000 / per)).collect::<Vec<_>>();
    let ns: Vec<i64> = m.time.iter().map(|t| t * 1_000).collect();
    let walls = || m.time.iter().map(wall).collect::<Vec<_>>();
    let berlin = ", timezone = \"Europe/Berlin\"";
    let columns: Vec<(Column, &str)> = vec![
        (integers("timestamp", units(1)), ""),
        (integers("timestamp", units(1_000)), ""),
        (integers("timestamp", m.time.clone()), ""),
        (integers("timestamp", ns.clone()), ""),
        (column("timestamp", TimestampNanosecondArray::from(ns)), ""),
        (column("timestamp", TimestampMillisecondArray::from(units(1_000))), ""),
        (column("timestamp", TimestampMicrosecondArray::from(m.time.clone())), ""),
        (column("timestamp", TimestampSecondArray::from(units(1))), ""),
        (column("timestamp", TimestampSecondArray::from(units(1)).with_timezone("+02:00")), ""),
        (floats("timestamp", &units(1).iter().map(|v| *v as f64).collect::<Vec<_>>()), ""),
        (column("timestamp", Decimal64Array::from(m.time.clone()).with_precision_and_scale(18, 6).unwrap()), ""),
        (texts("timestamp", &m.time.iter().map(rfc).collect::<Vec<_>>()), ""),
        (texts("timestamp", &walls()), berlin),
        (column("timestamp", StringViewArray::from_iter_values(walls())), berlin),
        (column("timestamp", walls().iter().map(|t| Some(t.as_str())).collect::<DictionaryArray<Int32Type>>()), berlin),
    ];
    for (i, (column, zone)) in columns.into_iter().enumerate() {
        let dir = TempDir::new().unwrap();
        write(
            &dir.path().join("log.parquet"),
            vec![column, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)],
        );
        let text = SYNTHETIC_TWIN.replace("time = \"timestamp\"", &format!("time = \"timestamp\"{zone}"));
        let (t, q) = read(dir.path(), &text).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert!(same(&expected, &t), "{i}: {:?}", q.findings);
        let span = log::time_span(dir.path(), &spec(&text).log).unwrap();
        assert_eq!((span.first, span.last, span.rows), (t.time(0), t.time(299), 300));
    }
}

#[test]
fn dates_are_time_stamps_of_whole_days() {
    let mut m = synthetic(300, 5);
    m.time = (0..300).map(|day| T0 + day * 1_440 * MIN).collect();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.parquet");
    let text = SYNTHETIC_TWIN.replace("step = \"10min\"", "step = \"1d\"");
    m.save(&file);
    let (expected, _) = read(dir.path(), &text).unwrap();
    let days = column("timestamp", Date32Array::from_iter_values((0..300).map(|d| 19_723 + d)));
    write(&file, vec![days, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)]);
    assert!(same(&expected, &read(dir.path(), &text).unwrap().0));
}

/// Columns of every numeric type are read, even if the file also contains columns that are not numeric.
#[test]
fn columns_of_every_type_read_the_same() {
    let mut m = synthetic(300, 5);
    // The values are rounded so that they can be represented in every type.
    m.valve = m.valve.iter().map(|v| v.round()).collect();
    m.power = m.power.iter().map(|v| (4.0 * v).round() / 4.0).collect();
    let (expected, _) = m.read();
    let valve_values = || m.valve.iter().map(|v| *v as u8);
    let cents = || m.power.iter().map(|v| (100.0 * v) as i64);
    let half = |v: &f64| <Float16Type as ArrowPrimitiveType>::Native::from_f64(*v);
    let half = Float16Array::from_iter_values(m.valve.iter().map(half));
    let coded = DictionaryArray::<Int8Type>::new(
        Int8Array::from_iter_values(valve_values().map(|v| v as i8)),
        Arc::new(Float64Array::from_iter_values((0..=100).map(f64::from))),
    );
    let valves: Vec<Arc<dyn Array>> = vec![
        Arc::new(UInt8Array::from_iter_values(valve_values())),
        Arc::new(UInt16Array::from_iter_values(valve_values().map(u16::from))),
        Arc::new(Int8Array::from_iter_values(valve_values().map(|v| v as i8))),
        Arc::new(Int32Array::from_iter_values(valve_values().map(i32::from))),
        Arc::new(half),
        Arc::new(coded),
    ];
    let powers: Vec<Arc<dyn Array>> = vec![
        Arc::new(Float32Array::from_iter_values(m.power.iter().map(|v| *v as f32))),
        Arc::new(Decimal64Array::from_iter_values(cents()).with_precision_and_scale(12, 2).unwrap()),
        Arc::new(Decimal128Array::from_iter_values(cents().map(i128::from)).with_precision_and_scale(30, 2).unwrap()),
    ];
    for (i, valve) in valves.iter().enumerate() {
        let power = &powers[i % powers.len()];
        let dir = TempDir::new().unwrap();
        write(
            &dir.path().join("log.parquet"),
            vec![
                times("timestamp", &m.time),
                column("blob", arrow_array::BinaryArray::from_iter_values(vec![b"x"; 300])),
                floats("temp", &m.temp),
                ("power".into(), Arc::clone(power)),
                ("valve".into(), Arc::clone(valve)),
                column("span", arrow_array::IntervalDayTimeArray::from(vec![None; 300])),
            ],
        );
        let (t, q) = read(dir.path(), SYNTHETIC_TWIN).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert!(same(&expected, &t), "{} and {}: {:?}", valve.data_type(), power.data_type(), q.findings);
        let summary = log::describe(&[dir.path().join("log.parquet")]).unwrap();
        assert_eq!(summary[4].max, m.valve.iter().copied().fold(0.0, f64::max), "{}", valve.data_type());
    }
}

/// Files are read with every compression codec used in plant-historian exports.
#[test]
fn files_of_every_codec_read_the_same() {
    let m = synthetic(300, 5);
    let (expected, _) = m.read();
    let (brotli, gzip) = (Compression::BROTLI(BrotliLevel::default()), Compression::GZIP(GzipLevel::default()));
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW, Compression::LZ4, brotli, gzip]
    {
        let dir = TempDir::new().unwrap();
        write_as(&dir.path().join("log.parquet"), m.columns(), |p| p.set_compression(codec));
        assert!(same(&expected, &read(dir.path(), SYNTHETIC_TWIN).unwrap().0), "{codec}");
    }
}

#[test]
fn files_with_different_columns_and_times_make_one_log() {
    let m = synthetic(1_000, 11);
    let dir = TempDir::new().unwrap();
    let part = |r: std::ops::Range<usize>, name: &str, with_valve: bool| {
        let mut columns = vec![
            times("timestamp", &m.time[r.clone()]),
            floats("temp", &m.temp[r.clone()]),
            floats("power", &m.power[r.clone()]),
        ];
        if with_valve {
            columns.push(floats("valve", &m.valve[r]));
        }
        write(&dir.path().join(name), columns);
    };
    // Two exports overlap in time, and their chronological order differs from the order of their names. A third file
    // contains the valve positions from the middle of the log onwards.
    part(480..1_000, "a.parquet", false);
    part(0..520, "b.parquet", true);
    write(&dir.path().join("c.parquet"), vec![times("timestamp", &m.time[480..]), floats("valve", &m.valve[480..])]);
    let (t, q) = read(dir.path(), SYNTHETIC_TWIN).unwrap();
    assert_eq!((&t.columns[0], &t.columns[1], &t.columns[2]), (&m.temp, &m.power, &m.valve));
    assert_eq!((t.segments.len(), count(&q, "schema-change"), count(&q, "out-of-order")), (1, 3, 0));
    assert_eq!(q.sources.len(), 3);
}

#[test]
fn local_time_with_summer_time_is_converted_to_utc() {
    // A log of two months around the end of daylight saving time, with a row every 10 min and time stamps in local
    // time.
    let start = "2024-09-30T22:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
    let mut m = synthetic(6_000, 6);
    m.time = (0..6_000).map(|i| start + 10 * MIN * i).collect();
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let walls: Vec<i64> = m
        .time
        .iter()
        .map(|t| {
            let at = jiff::Timestamp::from_microsecond(*t).unwrap();
            t + i64::from(zone.to_offset(at).seconds()) * 1_000_000
        })
        .collect();
    let naive = column("timestamp", TimestampMicrosecondArray::from(walls));
    let dir = TempDir::new().unwrap();
    write(
        &dir.path().join("log.parquet"),
        vec![naive, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)],
    );
    let text = SYNTHETIC_TWIN.replace("time = \"timestamp\"", "time = \"timestamp\", timezone = \"Europe/Berlin\"");
    let (t, q) = read(dir.path(), &text).unwrap();
    assert_eq!((t.columns[0].clone(), count(&q, "dst-fold")), (m.temp.clone(), 12));
    assert_eq!(q.findings.len(), 1, "{:#?}", q.findings);
    // If the same file is read as UTC, the clock appears to have been set back.
    let (_, q) = read(dir.path(), SYNTHETIC_TWIN).unwrap();
    assert!(count(&q, "clock-step") > 0 && count(&q, "duplicate-conflict") > 0, "{:#?}", q.findings);
}

#[test]
fn columns_are_summarised_for_init() {
    let dir = TempDir::new().unwrap();
    let m = synthetic(500, 1);
    let file = dir.path().join("log.parquet");
    save_long(&m, &file, |i, _| i % 10 == 0);
    let d = log::describe(std::slice::from_ref(&file)).unwrap();
    let find = |n: &str| d.iter().find(|c| c.name == n).unwrap();
    assert_eq!(find("timestamp").step.unwrap().to_string(), "10min");
    assert_eq!(find("tag").examples, ["power", "temp", "unused", "valve"]);
    assert_eq!((find("quality").distinct, find("value").rows), (2, 2_000));
    let kinds: Vec<_> = log::columns(dir.path(), &spec(SYNTHETIC_TWIN).log).unwrap().iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [ColumnKind::Time, ColumnKind::Text, ColumnKind::Float, ColumnKind::Text]);
    m.save(&file);
    let d = log::describe(std::slice::from_ref(&file)).unwrap();
    let valve = d.iter().find(|c| c.name == "valve").unwrap();
    assert!(valve.zero_moves > 0.95 && valve.distinct < 20 && valve.null_share == 0.0);
}

/// The log has one row per hour for each of two zones. The time stamps are local times without an offset and include
/// the end of daylight saving time.
#[test]
fn the_repeated_hour_is_read_for_the_selected_rows_alone() {
    let hour = 60 * MIN;
    let start = "2024-10-26T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let wall = |t: i64| {
        let at = jiff::Timestamp::from_microsecond(t).unwrap();
        t + i64::from(zone.to_offset(at).seconds()) * 1_000_000
    };
    let walls: Vec<i64> = (0..48).flat_map(|h| [wall(start + h * hour); 2]).collect();
    let sites: Vec<&str> = (0..48).flat_map(|_| ["a", "b"]).collect();
    let value: Vec<f64> = (0..96).map(f64::from).collect();
    let dir = TempDir::new().unwrap();
    write(
        &dir.path().join("log.parquet"),
        vec![column("timestamp", TimestampMicrosecondArray::from(walls)), texts("site", &sites), floats("x", &value)],
    );
    for (site, first) in [("a", 0), ("b", 1)] {
        let text = format!(
            "name = \"p\"\nstep = \"1h\"\nsignals = [{{ name = \"x\", role = \"state\" }}]\n[log]\n\
             files = \"*.parquet\"\ntime = \"timestamp\"\ntimezone = \"Europe/Berlin\"\nwhere = {{ site = \"{site}\" }}\n"
        );
        let (t, q) = read(dir.path(), &text).unwrap();
        assert_eq!(t.columns[0], (0..48).map(|h| f64::from(2 * h + first)).collect::<Vec<_>>(), "{site}");
        assert_eq!(count(&q, "dst-fold"), 2);
    }
}
