//! Tests of logs that contain the rows of several entities, such as zones.

use tempfile::TempDir;

use super::fixture::{MIN, T0, data_error, read};
use super::table::{floats, integers, texts, times, write};

const N: usize = 300;

fn twin(log: &str, signals: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"10min\"\nlog = {{ files = \"*.parquet\", time = \"time\"{log} }}\nsignals = [{signals}]"
    )
}

fn temperature(zone: usize, i: usize) -> f64 {
    18.0 + 8.0 * zone as f64 + (i as f64 / 15.0).sin()
}

/// Two zones, whose rows are `offset` µs apart, with a text column and a column of numbers that distinguish them.
fn zones(offset: i64) -> TempDir {
    let rows = || (0..N).flat_map(|i| [(0, i), (1, i)]);
    let dir = TempDir::new().unwrap();
    let columns = vec![
        times("time", &rows().map(|(z, i)| T0 + i as i64 * 10 * MIN + z as i64 * offset).collect::<Vec<_>>()),
        texts("zone", &rows().map(|(z, _)| ["north", "south"][z]).collect::<Vec<_>>()),
        integers("zone_id", rows().map(|(z, _)| z as i64 + 1).collect()),
        floats("t", &rows().map(|(z, i)| temperature(z, i)).collect::<Vec<_>>()),
        floats("sp", &rows().map(|(_, i)| 20.0 + (i / 36 % 3) as f64).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    dir
}

const MIXED: &str = "{ name = \"t\", role = \"state\", unit = \"degC\" }, { name = \"sp\", role = \"control\" }";

#[test]
fn rows_of_several_zones_that_are_seconds_or_minutes_apart_are_refused() {
    for offset in [0, MIN / 3, 3 * MIN, 5 * MIN] {
        let dir = zones(offset);
        let text = data_error(dir.path(), &twin("", MIXED));
        assert!(text.contains("`zone`") && text.contains("where = { zone = \"north\" }"), "{offset}: {text}");
        let (t, _) = read(dir.path(), &twin(", where = { zone = \"south\" }", MIXED)).unwrap();
        let expected: Vec<f64> = (0..N).map(|i| temperature(1, i)).collect();
        assert_eq!((t.steps, &t.columns[0]), (N, &expected), "{offset}");
    }
}

#[test]
fn each_signal_can_select_its_own_rows() {
    let signal = |name: &str, zone: &str| {
        format!(
            "{{ name = \"{name}\", role = \"state\", unit = \"degC\", column = \"t\", where = {{ zone = \"{zone}\" }} }}"
        )
    };
    let sp = "{ name = \"sp\", role = \"control\", where = { zone_id = \"1\" } }";
    let signals = format!("{}, {}, {sp}", signal("north_t", "north"), signal("south_t", "south"));
    for offset in [0, MIN / 3, 3 * MIN] {
        let (t, q) = read(zones(offset).path(), &twin("", &signals)).unwrap();
        for zone in 0..2 {
            let expected: Vec<f64> = (0..N).map(|i| temperature(zone, i)).collect();
            assert_eq!((t.steps, &t.columns[zone]), (N, &expected), "{offset} {zone}");
        }
        assert_eq!(t.columns[2][36], 21.0);
        assert!(q.signals.iter().all(|s| s.samples == N && s.coverage == 1.0), "{:?}", q.signals);
    }
    let text = data_error(zones(0).path(), &twin(", where = { zone = \"north\" }", &signal("t", "south")));
    assert!(text.contains("both select rows by `zone`"), "{text}");
    let text = data_error(zones(0).path(), &twin("", &signal("t", "west")));
    assert!(text.contains("`north`, `south`"), "{text}");
}

#[test]
fn a_long_log_can_be_read_once_per_unit() {
    let rows = || (0..N).flat_map(|i| [(0, i), (1, i)]);
    let dir = TempDir::new().unwrap();
    let columns = vec![
        times("time", &rows().map(|(z, i)| T0 + i as i64 * 10 * MIN + z as i64 * MIN / 2).collect::<Vec<_>>()),
        texts("unit", &rows().map(|(z, _)| ["a", "b"][z]).collect::<Vec<_>>()),
        texts("tag", &vec!["temp"; 2 * N]),
        floats("value", &rows().map(|(z, i)| temperature(z, i)).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    let long = ", long = { tag = \"tag\", value = \"value\" }";
    let signals = ["a", "b"].map(|u| {
        format!(
            "{{ name = \"{u}\", role = \"state\", unit = \"degC\", column = \"temp\", where = {{ unit = \"{u}\" }} }}"
        )
    });
    let mixed = "{ name = \"temp\", role = \"state\", unit = \"degC\" }";
    let text = data_error(dir.path(), &twin(long, mixed));
    assert!(text.contains("`unit` alternate") && text.contains("where = { unit = \"a\" }"), "{text}");
    let (t, _) = read(dir.path(), &twin(long, &signals.join(", "))).unwrap();
    for zone in 0..2 {
        assert_eq!(t.columns[zone], (0..N).map(|i| temperature(zone, i)).collect::<Vec<_>>());
    }
}

#[test]
fn only_amounts_may_be_added_and_a_time_of_day_is_not_a_thing() {
    let rows = || (0..N).flat_map(|i| [(0, i), (1, i), (2, i)]);
    let dir = TempDir::new().unwrap();
    let columns = vec![
        times("time", &rows().map(|(_, i)| T0 + i as i64 * 10 * MIN).collect::<Vec<_>>()),
        integers("store", rows().map(|(s, _)| 101 + s as i64).collect()),
        floats("qty", &rows().map(|(s, i)| (s + i % 4) as f64).collect::<Vec<_>>()),
        floats("price", &rows().map(|(s, _)| 10.0 + s as f64).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    let qty = "{ name = \"qty\", role = \"output\", unit = \"item\", kind = \"amount\", empty = 0 }";
    let price = "{ name = \"price\", role = \"control\", unit = \"EUR/item\" }";
    let (t, _) = read(dir.path(), &twin("", qty)).unwrap();
    assert_eq!(t.columns[0], (0..N).map(|i| (3 + 3 * (i % 4)) as f64).collect::<Vec<_>>());
    let text = data_error(dir.path(), &twin("", &format!("{qty}, {price}")));
    assert!(text.contains("different values of `price`") && !text.contains("empty"), "{text}");
    let text = data_error(dir.path(), &twin("", &qty.replace(", empty = 0", "")));
    assert!(text.contains("different values of `qty`") && text.contains("`empty = 0`"), "{text}");

    let dir = TempDir::new().unwrap();
    let clock = |i: usize| format!("{:02}:{:02}", i % 96 / 4, i % 4 * 15);
    let columns = vec![
        times("time", &(0..N).map(|i| T0 + i as i64 / 96 * 1_440 * MIN).collect::<Vec<_>>()),
        texts("clock", &(0..N).map(clock).collect::<Vec<_>>()),
        floats("t", &(0..N).map(|i| temperature(0, i)).collect::<Vec<_>>()),
    ];
    write(&dir.path().join("log.parquet"), columns);
    let text = data_error(dir.path(), &twin("", "{ name = \"t\", role = \"state\", unit = \"degC\" }"));
    assert!(text.contains("`clock` contains the time of day") && text.contains("one time column"), "{text}");
}
