//! Tests of complete logs: joins, means, recipes and repeated imports.

use std::fmt::Write as _;

use crate::plant::{Plant, assert_numbers, modified};

/// A log with 10 min steps and unsorted rows, which covers three days and starts on 2024-01-30.
fn plant_csv() -> String {
    let mut text = String::from("time,power\n");
    for i in (0..432).map(|i| i * 125 % 432) {
        let (day, minute) = (30 + i / 144, i % 144 * 10);
        let date = if day > 31 { "2024-02-01".into() } else { format!("2024-01-{day}") };
        writeln!(text, "{date}T{:02}:{:02}:00Z,{i}", minute / 60, minute % 60).unwrap();
    }
    text
}

#[test]
fn values_of_other_sources_are_joined_by_time() {
    let weather = "time;temp;rain\n2024-01-30 00:00Z;1;\n2024-01-30 01:00Z;2;5\n2024-01-30 06:00Z;3;\n";
    let plant = Plant::new(&[("p.csv", &plant_csv()), ("w.csv", weather)]);
    let ended = plant.imported("--from p.csv --from w.csv --as weather --tolerance 90min");
    ended.says(&["w.csv: the last value at each time of the first source, at most 90min old"]);
    assert_eq!(plant.columns(), ["power", "weather_temp", "weather_rain"]);
    // the last value at or before each time that is at most 90 min old
    let right = |i: usize| match i {
        0..6 => 1.0,
        6..=15 => 2.0,
        36..=45 => 3.0,
        _ => f64::NAN,
    };
    assert_numbers(&plant.numbers("weather_temp"), &(0..432).map(right).collect::<Vec<_>>());
    let rain = |i: usize| if (6..=15).contains(&i) { 5.0 } else { f64::NAN };
    assert_numbers(&plant.numbers("weather_rain"), &(0..432).map(rain).collect::<Vec<_>>());
    assert_numbers(&plant.numbers("power"), &(0..432).map(|i| i as f64).collect::<Vec<_>>());
    plant.write("v.csv", plant_csv().replace("time,power", "time,power,flow").replace('Z', "Z,1").as_bytes());
    plant.import("--from p.csv --from v.csv --replace").says(&["two sources have a column `power`", "--as"]);
}

#[test]
fn means_over_steps() {
    let plant = Plant::new(&[("p.csv", &plant_csv())]);
    plant.imported("--from p.csv --every 1h").says(&["in each step of 1h, numbers are averaged"]);
    // the mean of six consecutive numbers
    let right: Vec<f64> = (0..72).map(|h| 6.0 * f64::from(h) + 2.5).collect();
    assert_numbers(&plant.numbers("power"), &right);
    assert_eq!(plant.times()[1], "2024-01-30T01:00:00Z");
}

#[test]
fn the_recipe_repeats_the_import_and_takes_new_files() {
    let plant = Plant::new(&[("in/a.csv", &plant_csv())]);
    plant.imported("--from in/*.csv --since 2024-01-31");
    assert_eq!(plant.files(), ["2024-01.parquet", "2024-02.parquet"]);
    assert_eq!(plant.times()[0], "2024-01-31T00:00:00Z");
    let (bytes, january) = (plant.bytes(), modified(&plant.path("data/p/log/2024-01.parquet")));
    plant.imported("").says(&["0 files written, 2 unchanged"]);
    plant.write("in/b.csv", b"time,power\n2024-02-02T00:00:00Z,1000\n");
    plant.imported("").says(&["1 file written, 1 unchanged"]);
    assert_eq!(plant.bytes()[0], bytes[0]);
    assert_eq!(modified(&plant.path("data/p/log/2024-01.parquet")), january);
    assert_eq!(plant.numbers("power").last(), Some(&1000.0));
    // an import with different settings does not change the old log
    let ended = plant.import("--from in/*.csv --since 2024-01-30");
    assert_eq!(ended.code, Some(2));
    ended.says(&["`since` was different", "--replace"]);
    // rows that were removed from the sources do not silently disappear from the log
    plant.write("in/a.csv", b"time,power\n2024-01-31T00:00:00Z,1\n2024-02-02T00:00:00Z,1000\n");
    let ended = plant.import("");
    assert_eq!(ended.code, Some(2));
    ended.says(&["2024-01.parquet has 144 rows, but the sources now have only 1"]);
    assert_eq!(plant.bytes()[0], bytes[0]);
    assert!(plant.files().iter().all(|f| !f.starts_with('.')), "{:?}", plant.files());
}

#[test]
fn the_same_input_gives_the_same_bytes_with_any_number_of_threads() {
    let logs: Vec<_> = ["1", "2"]
        .map(|threads| {
            let plant = Plant::new(&[("p.csv", &plant_csv()), ("w.csv", &plant_csv())]);
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinopt-import"));
            command.current_dir(plant.root.path()).env("POLARS_MAX_THREADS", threads);
            command.args("import data/p --from p.csv --from w.csv --as w --every 30min".split(' '));
            assert!(command.output().unwrap().status.success());
            (plant.bytes(), std::fs::read(plant.path("data/p/import.toml")).unwrap())
        })
        .into();
    assert_eq!(logs[0], logs[1]);
}

#[test]
fn foreign_logs_and_unfinished_files_are_left_alone() {
    let plant = Plant::new(&[("p.csv", &plant_csv()), ("data/p/log/other.parquet", "x")]);
    let ended = plant.import("--from p.csv");
    assert_eq!(ended.code, Some(2));
    ended.says(&["other.parquet, which was not written by an import"]);
    assert_eq!(plant.files(), ["other.parquet"]);
    // a folder in place of the second month: the first month must not be left as a temporary file
    let plant = Plant::new(&[("p.csv", &plant_csv()), ("data/p/log/2024-02.parquet/x", "")]);
    let ended = plant.import("--from p.csv --replace");
    assert_ne!(ended.code, Some(0));
    assert!(plant.files().iter().all(|f| !f.ends_with(".tmp")), "{:?}", plant.files());
    // an import removes the temporary files that a killed import left behind
    let plant = Plant::new(&[("p.csv", &plant_csv()), ("data/p/log/.2024-01.parquet.twinopt-import-7.tmp", "half")]);
    plant.imported("--from p.csv");
    assert_eq!(plant.files(), ["2024-01.parquet", "2024-02.parquet"]);
}

#[test]
fn options_apply_to_the_preceding_source() {
    let trace = "trace,hour,load\na,0,1\na,1,2\nb,0,9\nb,1,8\n";
    let carbon = "timestamp,zone,carbon\n2022-01-01T00:00Z,VA,300\n2022-01-01T00:00Z,TX,400\n2022-01-01T01:00Z,VA,310\n2022-01-01T01:00Z,TX,410\n";
    let plant = Plant::new(&[("trace.csv", trace), ("carbon.csv", carbon)]);
    let first = "--from trace.csv --where trace=='a' --time-unit hours|since|2022-01-01Z";
    plant.imported(&format!("{first} --from carbon.csv --where zone=='VA'"));
    assert_numbers(&plant.numbers("load"), &[1.0, 2.0]);
    assert_numbers(&plant.numbers("carbon"), &[300.0, 310.0]);
    plant.imported("").says(&["1 unchanged"]);
    // an option before the first `--from` applies to all sources that have none of their own
    let both = Plant::new(&[
        ("a.csv", "site,time,x\nA,2024-01-01 01:00,1\nB,2024-01-01 01:00,2\n"),
        ("b.csv", "site,time,y\nA,2024-01-01 01:00,3\nB,2024-01-01 01:00,4\n"),
    ]);
    both.imported("--timezone +01:00 --where site=='B' --select x --from a.csv --from b.csv --select y");
    assert_numbers(&both.numbers("x"), &[2.0]);
    assert_numbers(&both.numbers("y"), &[4.0]);
    assert_eq!(both.times(), ["2024-01-01T00:00:00Z"]);
    // a filter for the last source that an earlier source could also have is refused
    let zone = "--replace --timezone UTC --select x --from a.csv --keep last --from b.csv --select y";
    both.import(&format!("{zone} --where site=='B'"))
        .says(&["--where applies only to b.csv", "a.csv has the column `site` too"]);
    let twice = both.import("--replace --timezone UTC --from a.csv --where site=='A' --where x<2");
    twice.says(&["both `site=='A'` and `x<2` apply to one `--from`", "`and`"]);
}

#[test]
fn amounts_of_sources_with_different_steps_keep_their_times() {
    // one hour of energy in steps of 15 min, and two hourly temperatures; 07:00 is after the end of the first source
    let energy = "time,energy [kWh]\n2024-03-04T05:00Z,1\n2024-03-04T05:15Z,2\n2024-03-04T05:30Z,3\n2024-03-04T05:45Z,4\n2024-03-04T06:00Z,5\n";
    let weather = "time,temp\n2024-03-04T05:00Z,10\n2024-03-04T06:00Z,11\n2024-03-04T07:00Z,12\n";
    let plant = Plant::new(&[("m.csv", energy), ("w.csv", weather)]);
    plant.imported("--from m.csv --from w.csv").says(&["w.csv: every value keeps its own time; samples outside"]);
    assert_numbers(&plant.numbers("energy [kWh]"), &[1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_numbers(&plant.numbers("temp"), &[10.0, f64::NAN, f64::NAN, f64::NAN, 11.0]);
    // if the coarse source is first, no energy is lost
    plant
        .imported("--replace --from w.csv --from m.csv")
        .says(&["m.csv: every value keeps its own time", "one row per sample"]);
    let numbers = plant.numbers("value");
    assert_eq!((numbers.len(), numbers.iter().sum::<f64>()), (8, 48.0));
    let none = Plant::new(&[("m.csv", energy), ("w.csv", "time,temp\n2023-03-04T05:00Z,10\n")]);
    none.refused("--from m.csv --from w.csv", 65).says(&["w.csv: no sample is in the period of m.csv"]);
}

#[test]
fn sources_with_the_same_columns_are_appended() {
    // the second export begins with the month; 04/01 is 1 April
    let a = "Time,power\n30/03/2024 00:00,1\n31/03/2024 00:00,2\n01/04/2024 00:00,3\n";
    let b = "Time,power\n04/01/2024 00:00,3\n04/02/2024 00:00,4\n04/03/2024 00:00,5\n04/04/2024 00:00,6\n";
    let plant = Plant::new(&[("in/a.csv", a), ("in/b.csv", b)]);
    let refused = plant.refused("--from in --timezone UTC", 2);
    refused.says(&[
        "in/b.csv: in the order dmy, the dates in `Time` are from 2024-01-04 to 2024-04-04",
        "in the order mdy",
    ]);
    let ended = plant.imported("--timezone UTC --from in/a.csv --from in/b.csv --date-order mdy");
    ended.says(&["in/b.csv: appended to in/a.csv", "1 duplicate sample dropped"]);
    assert_numbers(&plant.numbers("power"), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(
        (plant.times()[0].as_str(), plant.times()[5].as_str()),
        ("2024-03-30T00:00:00Z", "2024-04-04T00:00:00Z")
    );
    plant.write("in/b.csv", b.replace(",3", ",9").as_bytes());
    let ended = plant.import("--replace --timezone UTC --from in/a.csv --from in/b.csv --date-order mdy");
    ended.says(&["1 sample with the time of another sample but another value", "3 and 9"]);
}

#[test]
fn later_exports_follow_earlier_ones_in_the_order_of_their_numbers() {
    let plant = Plant::new(&[
        ("in/export_9.csv", "time,x\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n"),
        ("in/export_10.csv", "time,x\n2024-01-01T01:00Z,3\n2024-01-01T02:00Z,4\n"),
    ]);
    plant.imported("--from in --keep last");
    assert_numbers(&plant.numbers("x"), &[1.0, 3.0, 4.0]);
}

#[test]
fn equal_events_are_not_dropped_without_a_question() {
    let text = "time,qty_sold\n2024-01-01T08:23Z,1\n2024-01-01T08:28Z,1\n2024-01-01T08:28Z,1\n2024-01-01T09:07Z,2\n2024-01-01T11:00Z,1\n";
    let plant = Plant::new(&[("a.csv", text)]);
    plant.refused("--from a.csv", 65).says(&["1 sample of `qty_sold`", "--keep sum"]);
    plant
        .imported("--from a.csv --keep sum")
        .says(&["1 sample with the same time and value as another sample; the values are added"]);
    assert_numbers(&plant.numbers("qty_sold"), &[1.0, 2.0, 2.0, 1.0]);
    let different = Plant::new(&[("a.csv", &text.replace("08:28Z,1\n2024-01-01T09", "08:28Z,5\n2024-01-01T09"))]);
    different.refused("--from a.csv", 65).says(&["`qty_sold`: 1 and 5", "`sum`"]);
    different.imported("--from a.csv --keep sum");
    assert_numbers(&different.numbers("qty_sold"), &[1.0, 6.0, 2.0, 1.0]);
}
