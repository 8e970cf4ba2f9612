//! Notations of times.

use std::fmt::Write as _;

use crate::plant::{Plant, assert_numbers};

#[test]
fn the_last_hour_of_a_day_is_24_00() {
    for (first, second) in [("2022-07-01", "2022-07-02"), ("01/07/2022", "02/07/2022"), ("2022/07/01", "2022/07/02")] {
        let mut text = String::from("datetime;kwh\n");
        for (day, name) in [first, second].iter().enumerate() {
            for hour in 1..=24 {
                writeln!(text, "{name} {hour:02}:00;{}", 24 * day + hour).unwrap();
            }
        }
        let plant = Plant::new(&[("a.csv", &text)]);
        let order = if first.starts_with("01") { "--date-order dmy" } else { "" };
        let ended = plant.imported(&format!("--from a.csv --timezone Europe/Madrid {order}"));
        ended.says(&["stamps = \"end\""]);
        let times = plant.times();
        assert_eq!(
            (times.len(), times[0].as_str(), times[23].as_str()),
            (48, "2022-06-30T23:00:00Z", "2022-07-01T22:00:00Z")
        );
        assert_numbers(&plant.numbers("kwh"), &(1..=48).map(f64::from).collect::<Vec<_>>());
    }
}

#[test]
fn a_date_and_the_number_of_the_ending_hour() {
    let mut text = String::from("Delivery Date,Hour Ending,Price\n");
    for hour in 1..=24 {
        writeln!(text, "07/{:02}/2022,{hour},{hour}.5", 13).unwrap();
    }
    let plant = Plant::new(&[("a.csv", &text)]);
    plant
        .imported("--from a.csv --timezone -06:00")
        .says(&["run from 1 to 24", "(mdy) in `Delivery Date` and `Hour Ending`, -06:00"]);
    assert_eq!(
        (plant.times()[0].as_str(), plant.times()[23].as_str()),
        ("2022-07-13T07:00:00Z", "2022-07-14T06:00:00Z")
    );
}

#[test]
fn dates_and_times_in_two_columns() {
    let text = "Datum;Uhrzeit;T\n01.02.2024;00:00;1\n01.02.2024;12:30:15;2\n01.02.2024;24:00;3\n";
    let plant = Plant::new(&[("a.csv", text)]);
    plant.imported("--from a.csv --timezone UTC");
    assert_eq!(plant.times(), ["2024-02-01T00:00:00Z", "2024-02-01T12:30:15Z", "2024-02-02T00:00:00Z"]);
    assert_eq!(plant.columns(), ["T"]);
}

#[test]
fn spreadsheet_days_with_point_and_comma() {
    // 45292 is 2024-01-01; a quarter of an hour is 1/96 of a day
    for comma in [false, true] {
        let mut text = String::from("Time;Temp\n");
        for i in 0..200 {
            let day = format!("{:.10}", 45_292.0 + f64::from(i) / 96.0);
            let line = format!("{day};{}.25\n", i % 9);
            text += &if comma { line.replace('.', ",") } else { line };
        }
        let plant = Plant::new(&[("a.csv", &text)]);
        plant
            .imported("--from a.csv --timezone UTC")
            .says(&["spreadsheet days in `Time`, UTC; 2024-01-01T00:00:00Z to 2024-01-03T01:45:00Z, every 15min"]);
        assert_eq!(plant.times()[1], "2024-01-01T00:15:00Z");
        assert_eq!(plant.numbers("Temp")[8], 8.25);
    }
}

#[test]
fn numbers_since_1970_in_all_units_and_digits() {
    for (first, second, unit) in [
        ("1704067200", "1704067260", "seconds since 1970"),
        ("1704067200.0", "1704067260.0", "seconds since 1970"),
        ("1704067200000", "1704067260000", "milliseconds since 1970"),
        ("1704067200000000", "1704067260000000", "microseconds since 1970"),
        ("1704067200000000000", "1704067260000000000", "nanoseconds since 1970"),
        ("202401010000", "202401010001", "digits"),
        ("20240101000000", "20240101000100", "digits"),
    ] {
        let plant = Plant::new(&[("a.csv", &format!("ts,x\n{first},1\n{second},2\n"))]);
        plant.imported("--from a.csv --timezone UTC").says(&[unit]);
        assert_eq!(plant.times(), ["2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"], "{unit}");
    }
}

#[test]
fn offsets_in_the_text_and_fixed_zones() {
    let plant = Plant::new(&[("a.csv", "time,x\n2024-01-01 05:30:00+05:30,1\n2024-01-01 07:00:00+06:00,2\n")]);
    plant.imported("--from a.csv");
    assert_eq!(plant.times(), ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]);
    let plant = Plant::new(&[("a.csv", "time,x\n2024-01-01 05:30:00,1\n2024-01-01 06:30:00,2\n")]);
    plant.imported("--from a.csv --timezone +05:30");
    assert_eq!(plant.times(), ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]);
    let plant = Plant::new(&[("a.csv", "time,x\n2024-01-01 05:30:00+05:30,1\n2024-01-01 06:30:00,2\n")]);
    plant.refused("--from a.csv --timezone UTC", 65).says(&["have an offset from UTC, and others do not"]);
}

#[test]
fn the_hour_that_is_repeated_at_the_end_of_summer_time() {
    let mut text = String::from("Zeit;x\n");
    // 27 October 2024 in Berlin, every 15 min: 02:00 to 02:45 occurs twice, so the day has 100 rows
    let clock = (0..12).chain(8..96);
    for (row, quarter) in clock.enumerate() {
        writeln!(text, "27.10.2024 {:02}:{:02};{row}", quarter / 4, quarter % 4 * 15).unwrap();
    }
    let plant = Plant::new(&[("a.csv", &text)]);
    plant.imported("--from a.csv --timezone Europe/Berlin").says(&["8 rows in the hour that is repeated"]);
    let start = "2024-10-26T22:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let right: Vec<String> =
        (0..100).map(|i| jiff::Timestamp::from_second(start + 900 * i).unwrap().to_string()).collect();
    assert_eq!(plant.times(), right);
    assert_numbers(&plant.numbers("x"), &(0..100).map(f64::from).collect::<Vec<_>>());
    // an hour that does not exist
    let plant = Plant::new(&[("a.csv", "Zeit;x\n31.03.2024 01:30;1\n31.03.2024 02:30;2\n")]);
    plant.refused("--from a.csv --timezone Europe/Berlin", 65).says(&["2024-03-31 02:30:00 does not exist", "+01:00"]);
}

#[test]
fn the_order_of_day_and_month_is_decided_by_all_files() {
    let unclear = "Date,x\n03/04/2024 00:00,1\n04/04/2024 00:00,2\n";
    let plant = Plant::new(&[("in/a.csv", unclear)]);
    plant.refused("--from in --timezone UTC", 2).says(&["`03/04/2024 00:00`", "--date-order dmy"]);
    plant.write("in/b.csv", b"Date,x\n13/04/2024 00:00,3\n");
    plant.imported("--from in --timezone UTC");
    assert_eq!(plant.times(), ["2024-04-03T00:00:00Z", "2024-04-04T00:00:00Z", "2024-04-13T00:00:00Z"]);
    let plant = Plant::new(&[("in/a.csv", "Date,x\n13/04/2024,3\n"), ("in/b.csv", "Date,x\n04/14/2024,3\n")]);
    plant
        .refused("--from in --timezone UTC", 65)
        .says(&["`13/04/2024` begins with the day, and `04/14/2024` begins with the month"]);
}

#[test]
fn numbers_that_count_from_an_origin() {
    // the trace begins at midnight in Berlin in summer, which is 22:00 in UTC
    let trace = "trace,hour,load\na,0,0.5\na,1,0.25\nb,0,9\na,2,0.75\n";
    let plant = Plant::new(&[("trace.csv", trace)]);
    plant.refused("--from trace.csv", 65).says(&["`hour` (e.g. `0`)", "--time-unit 'hours since 2024-01-01T00:00Z'"]);
    plant.refused("--from trace.csv --time hour", 2).says(&["like `Date+hour`, or, if", "--time-unit 'hours since"]);
    plant.refused("--from trace.csv --time-unit hours|since|2022-07-01", 2).says(&["no time zone", "--timezone"]);
    plant.refused("--from trace.csv --time-unit hours", 2).says(&["`since` and the time of 0 are missing"]);
    plant
        .refused("--from trace.csv --time trace --time-unit s|since|2022-07-01Z", 2)
        .says(&["`trace` contains no numbers"]);
    let filtered = "--from trace.csv --where trace=='a' --time-unit hours|since|2022-07-01 --timezone Europe/Berlin";
    plant
        .imported(filtered)
        .says(&["times: hours since 2022-07-01 in `hour`; 2022-06-30T22:00:00Z to 2022-07-01T00:00:00Z"]);
    assert_eq!(plant.times(), ["2022-06-30T22:00:00Z", "2022-06-30T23:00:00Z", "2022-07-01T00:00:00Z"]);
    assert_numbers(&plant.numbers("load"), &[0.5, 0.25, 0.75]);
    // the recipe stores the unit
    plant.imported("").says(&["2 unchanged"]);
    let seconds = Plant::new(&[("a.csv", "t;x\n0,0;1\n0,5;2\n86400,25;3\n")]);
    seconds.imported("--from a.csv --time-unit s|since|2024-02-28T12:00Z");
    assert_eq!(seconds.times(), ["2024-02-28T12:00:00Z", "2024-02-28T12:00:00.5Z", "2024-02-29T12:00:00.25Z"]);
    let large = Plant::new(&[("a.csv", "t,x\n1704067200,1\n1704067260,2\n")]);
    large.refused("--from a.csv --time-unit h|since|2024-01-01Z", 2).says(&["not between 1900 and 2200"]);
}

/// Rows with the dates of some days and the ending hours that `hours` gives for each of them; the value is the row.
fn ending_hours(days: &[(&str, Vec<u32>)]) -> String {
    let rows = days.iter().flat_map(|(day, hours)| hours.iter().map(move |hour| (day, hour)));
    rows.enumerate().fold("Date,HE,kWh\n".into(), |text, (row, (day, hour))| format!("{text}{day},{hour},{row}\n"))
}

#[test]
fn ending_hours_on_the_days_when_the_clock_changes() {
    let whole: Vec<u32> = (1..=24).collect();
    // the first end is 06:00 UTC, which is 01:00 in New York in winter; all hours follow each other
    let hours_after = |first: &str, n: i64| -> Vec<String> {
        let start = first.parse::<jiff::Timestamp>().unwrap().as_second();
        (0..n).map(|h| jiff::Timestamp::from_second(start + 3_600 * h).unwrap().to_string()).collect()
    };
    let mut without_third = whole.clone();
    without_third.remove(2);
    for spring in [without_third, (1..=23).collect()] {
        let text =
            ending_hours(&[("2024-03-09", whole.clone()), ("2024-03-10", spring), ("2024-03-11", whole.clone())]);
        let plant = Plant::new(&[("a.csv", &text)]);
        plant.imported("--from a.csv --timezone America/New_York").says(&["run from 1 to 24"]);
        assert_eq!(plant.times(), hours_after("2024-03-09T06:00:00Z", 71), "{text}");
        assert_numbers(&plant.numbers("kWh"), &(0..71).map(f64::from).collect::<Vec<_>>());
    }
    let mut second_twice = whole.clone();
    second_twice.insert(2, 2);
    for autumn in [second_twice, (1..=25).collect()] {
        let text =
            ending_hours(&[("2024-11-02", whole.clone()), ("2024-11-03", autumn), ("2024-11-04", whole.clone())]);
        let plant = Plant::new(&[("a.csv", &text)]);
        plant.imported("--from a.csv --timezone America/New_York");
        assert_eq!(plant.times(), hours_after("2024-11-02T05:00:00Z", 73), "{text}");
        assert_numbers(&plant.numbers("kWh"), &(0..73).map(f64::from).collect::<Vec<_>>());
    }
}

#[test]
fn quarter_hours_that_end_at_24_00_on_the_days_when_the_clock_changes() {
    // in Berlin, 02:00 to 03:00 does not exist on 31 March 2024 and occurs twice on 27 October 2024
    let day = |date: &str, quarters: &[u32]| -> String {
        quarters.iter().map(|q| format!("{date} {:02}:{:02};1\n", q / 4, q % 4 * 15)).collect()
    };
    let whole: Vec<u32> = (1..=96).collect();
    let spring: Vec<u32> = (1..=8).chain(13..=96).collect();
    let autumn: Vec<u32> = (1..=12).chain(9..=96).collect();
    for (dates, changed, rows, first) in [
        (["30.03.2024", "31.03.2024"], spring, 188, "2024-03-29T23:15:00Z"),
        (["26.10.2024", "27.10.2024"], autumn, 196, "2024-10-25T22:15:00Z"),
    ] {
        let text = format!("Zeit;kWh\n{}{}", day(dates[0], &whole), day(dates[1], &changed));
        let plant = Plant::new(&[("a.csv", &text)]);
        plant.imported("--from a.csv --timezone Europe/Berlin");
        let start = first.parse::<jiff::Timestamp>().unwrap().as_second();
        let right: Vec<String> =
            (0..rows).map(|i| jiff::Timestamp::from_second(start + 900 * i).unwrap().to_string()).collect();
        assert_eq!(plant.times(), right);
    }
}

#[test]
fn years_of_two_digits_at_the_start() {
    let text: String = (4..=30).map(|d| format!("24/03/{d:02} 06:00,{d}\n")).collect();
    let plant = Plant::new(&[("a.csv", &format!("time,x\n{text}"))]);
    plant.refused("--from a.csv --timezone UTC", 2).says(&[
        "in the order dmy",
        "from 2004-03-24 to 2030-03-24",
        "in the order ymd",
    ]);
    plant.imported("--from a.csv --timezone UTC --date-order ymd");
    assert_eq!(plant.times()[0], "2024-03-04T06:00:00Z");
}
