//! Exports of historians with one sample per row.

use std::fmt::Write as _;

use crate::plant::{Plant, assert_numbers};

#[test]
fn the_narrow_layout_of_ge_and_aveva_with_a_quality_column() {
    let text = "Tagname,TimeStamp,Value,DataQuality\n\
        FIC-12.PV,2024-01-31 23:50:00Z,10.5,Good\n\
        TI-7,2024-01-31 23:50:00Z,80.25,Good\n\
        FIC-12.PV,2024-02-01 00:00:00Z,0,Bad\n\
        TI-7,2024-02-01 00:00:00Z,80.5,Good\n\
        TI-7,2024-02-01 00:10:00Z,81,Good\n\
        FIC-12.PV,2024-02-01 00:10:00Z,11,Good\n";
    let plant = Plant::new(&[("export/a.csv", text)]);
    let ended = plant.imported("--from export/a.csv");
    ended.says(&[
        "long: tag `Tagname`, value `Value`, quality `DataQuality`",
        "`FIC-12.PV`: 1 of 3 samples are not good",
        "1 × `Bad`",
    ]);
    assert_eq!(plant.files(), ["2024-01.parquet", "2024-02.parquet"]);
    assert_eq!(plant.columns(), ["FIC-12.PV", "FIC-12.PV.quality", "TI-7"]);
    assert_eq!(plant.times(), ["2024-01-31T23:50:00Z", "2024-02-01T00:00:00Z", "2024-02-01T00:10:00Z"]);
    assert_numbers(&plant.numbers("FIC-12.PV"), &[10.5, f64::NAN, 11.0]);
    assert_numbers(&plant.numbers("TI-7"), &[80.25, 80.5, 81.0]);
    assert_eq!(plant.texts("FIC-12.PV.quality"), ["Good", "Bad", "Good"]);
}

#[test]
fn numeric_flags_of_opc_and_flags_that_are_not_known() {
    let rows = |good: &str, bad: &str| {
        format!(
            "tag;time;value;status\nA;2024-01-01T00:00Z;1;{good}\nA;2024-01-01T00:01Z;2;{bad}\nA;2024-01-01T00:02Z;3;{good}\n"
        )
    };
    let plant = Plant::new(&[("a.csv", &rows("216", "0"))]);
    plant.imported("--from a.csv");
    assert_numbers(&plant.numbers("A"), &[1.0, f64::NAN, 3.0]);
    // with Aspen flags, 0 is good
    let plant = Plant::new(&[("a.csv", &rows("0", "2"))]);
    plant.refused("--from a.csv", 65).says(&["2 × `0`, 1 × `2`", "--good 0"]);
    plant.imported("--from a.csv --good 0");
    assert_numbers(&plant.numbers("A"), &[1.0, f64::NAN, 3.0]);
}

#[test]
fn digital_states_and_texts_among_numbers() {
    // two tags of PI: a measurement with system states, and a pump
    let mut text = String::from("Tag;Timestamp;Value\n");
    let mut right = Vec::new();
    for i in 0..60 {
        let value = match i {
            5 | 6 => "Bad Input".to_owned(),
            12 => "I/O Timeout".to_owned(),
            30 => "No Data".to_owned(),
            _ => format!("{}.{}", 60 + i, i % 10),
        };
        right.push(value.parse().unwrap_or(f64::NAN));
        writeln!(text, "TI101.PV;01-Feb-24 {:02}:{:02}:00;{value}", i / 6, i % 6 * 10).unwrap();
        writeln!(
            text,
            "P101.RUN;01-Feb-24 {:02}:{:02}:00;{}",
            i / 6,
            i % 6 * 10,
            if i % 3 == 0 { "On" } else { "Off" }
        )
        .unwrap();
    }
    let plant = Plant::new(&[("pi.csv", &text)]);
    plant.refused("--from pi.csv", 2).says(&["2024-02-01 00:00:00", "--timezone"]);
    let ended = plant.imported("--from pi.csv --timezone Europe/Berlin");
    ended.says(&[
        "`TI101.PV`: 2 × `Bad Input`, 1 × `I/O Timeout`, 1 × `No Data` read as missing values",
        "`P101.RUN`: `off` = 0 and `on` = 1",
    ]);
    assert_numbers(&plant.numbers("TI101.PV"), &right);
    let states: Vec<f64> = (0..60).map(|i| if i % 3 == 0 { 1.0 } else { 0.0 }).collect();
    assert_numbers(&plant.numbers("P101.RUN"), &states);
    // winter time: one hour ahead of UTC
    assert_eq!(plant.times()[0], "2024-01-31T23:00:00Z");
}

#[test]
fn tags_with_their_own_clocks_share_the_rows_of_the_table() {
    let text = "time,point,value\n2024-01-01T00:00Z,b,1\n2024-01-01T00:03Z,a,2\n2024-01-01T00:01Z,b,3\n\
        2024-01-01T00:03Z,b,4\n2024-01-01T00:01Z,a,5\n";
    let plant = Plant::new(&[("a.csv", text)]);
    plant.imported("--from a.csv --rename b=flow --select a,b");
    assert_eq!(plant.columns(), ["a", "flow"]);
    assert_numbers(&plant.numbers("a"), &[f64::NAN, 5.0, 2.0]);
    assert_numbers(&plant.numbers("flow"), &[1.0, 3.0, 4.0]);
    let ended = plant.import("--from a.csv --select a");
    assert_eq!(ended.code, Some(2));
    ended.says(&["`select` was different"]);
}

#[test]
fn tags_that_are_logged_on_change_keep_one_row_per_sample() {
    let mut text = String::from("Tagname,TimeStamp,Value,DataQuality\n");
    for i in 0..60 {
        writeln!(text, "TI1,2024-01-01T{:02}:{:02}:07Z,{i},{}", i / 6, i % 6 * 10, if i == 5 { "Bad" } else { "Good" })
            .unwrap();
    }
    for (i, state) in ["On", "Off", "On"].iter().enumerate() {
        writeln!(text, "P1,2024-01-01T0{}:30:33Z,{state},Good", 3 * i).unwrap();
    }
    let plant = Plant::new(&[("a.csv", &text)]);
    plant.imported("--from a.csv").says(&[
        "the log has one row per sample",
        "`P1`: `off` = 0 and `on` = 1",
        "every 10min",
    ]);
    assert_eq!(plant.columns(), ["tag", "value", "quality"]);
    let (tags, times, values) = (plant.texts("tag"), plant.times(), plant.numbers("value"));
    let pump: Vec<(&str, f64)> = (0..63).filter(|i| tags[*i] == "P1").map(|i| (times[i].as_str(), values[i])).collect();
    assert_eq!(pump, [("2024-01-01T00:30:33Z", 1.0), ("2024-01-01T03:30:33Z", 0.0), ("2024-01-01T06:30:33Z", 1.0)]);
    assert_eq!(plant.texts("quality").iter().filter(|q| *q == "Bad").count(), 1);
    let bad = plant.texts("quality").iter().position(|q| q == "Bad").unwrap();
    assert!(times[bad] == "2024-01-01T00:50:07Z" && values[bad].is_nan());
    assert!(times.is_sorted());
}

#[test]
fn equal_samples_are_counted_and_different_samples_are_a_fault() {
    let row = |value: &str| format!("T1,2024-01-01T00:00:00Z,{value}\n");
    let text = format!("tag,time,value\n{}{}{}T1,2024-01-01T00:10:00Z,7\n", row("1"), row("1"), row("4"));
    let plant = Plant::new(&[("a.csv", &text)]);
    plant.refused("--from a.csv", 65).says(&[
        "1 sample with the time of another sample",
        "2024-01-01T00:00:00Z `T1`: 1 and 4",
        "--keep last",
    ]);
    for (keep, right) in [("last", 4.0), ("first", 1.0), ("mean", 2.0)] {
        plant.imported(&format!("--from a.csv --keep {keep} --replace"));
        assert_numbers(&plant.numbers("T1"), &[right, 7.0]);
    }
}

#[test]
fn a_column_that_asks_whether_a_sample_is_valid_is_a_quality_column() {
    let rows = |name: &str, good: &str, bad: &str| {
        format!(
            "tag,time,value,{name}\nA,2024-01-01T00:00Z,1,{good}\nA,2024-01-01T00:01Z,-999,{bad}\nA,2024-01-01T00:02Z,3,{good}\n"
        )
    };
    for (name, good, bad) in
        [("valid", "true", "false"), ("is_valid", "1", "0"), ("Gültig", "ja", "nein"), ("IsGood", "Y", "N")]
    {
        let plant = Plant::new(&[("a.csv", &rows(name, good, bad))]);
        plant.imported("--from a.csv").says(&[&format!("quality `{name}`"), "`A`: 1 of 3 samples are not good"]);
        assert_numbers(&plant.numbers("A"), &[1.0, f64::NAN, 3.0]);
        assert_eq!(plant.texts("A.quality"), [good, bad, good]);
    }
    // a column with another name is named instead of being left out without a word
    let plant = Plant::new(&[("a.csv", &rows("Trust", "1", "0"))]);
    plant.imported("--from a.csv").says(&["1 column is not used: `Trust`", "`--long TAG,VALUE,QUALITY`"]);
}
