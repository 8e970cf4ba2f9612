//! Encodings, number formats, compression and file formats.

use std::fmt::Write as _;
use std::io::Write as _;

use polars::prelude::*;

use crate::plant::{Plant, assert_numbers};

/// A German export with 48 half hours: title, units, decimal comma, points between groups of digits.
fn german() -> (String, Vec<f64>, Vec<f64>) {
    let mut text = String::from(
        "Messwerte Kälteanlage;;\nErstellt am 05.03.2024;;\n\nZeitstempel;Rücklauf TI101;Zähler\n;[°C];[kWh]\n",
    );
    let (mut temperatures, mut energies) = (Vec::new(), Vec::new());
    for i in 0..48 {
        let (tenths, kwh) = (185 + i % 7, 1_234_560 + 25 * i);
        temperatures.push(tenths as f64 / 10.0);
        energies.push(kwh as f64 / 10.0);
        let (thousands, units) = (kwh / 10_000, kwh / 10 % 1000);
        writeln!(
            text,
            "{:02}.03.2024 {:02}:{:02};{},{};{thousands}.{units:03},{}",
            4 + i / 48,
            i / 2,
            i % 2 * 30,
            tenths / 10,
            tenths % 10,
            kwh % 10
        )
        .unwrap();
    }
    (text, temperatures, energies)
}

#[test]
fn a_german_export_in_latin_1() {
    let (text, temperatures, energies) = german();
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let plant = Plant::new(&[]);
    plant.write("export/März.csv", &bytes);
    let ended = plant.imported("--from export/*.csv --timezone Europe/Berlin");
    ended.says(&[
        "CSV `;`, Windows-1252",
        "decimal comma",
        "skipped: 2 lines before the data",
        "`Rücklauf TI101` °C",
        "every 30min",
    ]);
    assert_numbers(&plant.numbers("Rücklauf TI101"), &temperatures);
    assert_numbers(&plant.numbers("Zähler"), &energies);
    assert_eq!(plant.times().first().unwrap(), "2024-03-03T23:00:00Z");
    // `twinopt init` reads the units and the time zone
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    assert!(recipe.contains("\"Zähler\" = \"kWh\"") && recipe.contains("timezone = \"Europe/Berlin\""), "{recipe}");
    assert_eq!(plant.times().len(), 48);
}

#[test]
fn utf_16_byte_order_marks_and_compression_give_the_same_log() {
    let (text, ..) = german();
    let mut logs = Vec::new();
    let utf16 = |big: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    };
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    for (name, bytes) in [
        ("a.csv", text.clone().into_bytes()),
        ("a.txt", format!("\u{feff}{text}").into_bytes()),
        ("b.csv", utf16(false)),
        ("c.csv", utf16(true)),
        ("d.csv.gz", gz.finish().unwrap()),
        ("e.csv.zst", zstd::encode_all(&utf16(false)[..], 3).unwrap()),
        ("f.csv", text.replace('\n', "\r\n").into_bytes()),
    ] {
        let plant = Plant::new(&[]);
        plant.write(name, &bytes);
        plant.imported(&format!("--from {name} --timezone Europe/Berlin"));
        logs.push(plant.bytes());
    }
    assert!(logs.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn ndjson_arrow_and_parquet() {
    let mut frame = df!(
        "ts" => &[1_704_067_200_000_i64, 1_704_067_260_000, 1_704_067_320_000],
        "temp" => &[Some(1.5), None, Some(2.5)],
        "level" => &[1_i32, 2, 3],
        "running" => &[true, false, true]
    )
    .unwrap();
    let plant = Plant::new(&[(
        "a.ndjson",
        "{\"ts\":1704067200000,\"temp\":1.5,\"level\":1,\"running\":true}\n{\"ts\":1704067260000,\"temp\":null,\"level\":2,\"running\":false}\n{\"ts\":1704067320000,\"temp\":2.5,\"level\":3,\"running\":true}\n",
    )]);
    std::fs::create_dir_all(plant.path("x")).unwrap();
    let create = |name: &str| std::fs::File::create(plant.path(name)).unwrap();
    ParquetWriter::new(create("a.parquet")).finish(&mut frame).unwrap();
    IpcWriter::new(create("a.arrow")).finish(&mut frame).unwrap();
    let mut logs = Vec::new();
    for (name, format) in [("a.ndjson", "NDJSON"), ("a.parquet", "Parquet"), ("a.arrow", "Arrow IPC")] {
        let ended = plant.imported(&format!("--from {name} --replace"));
        ended.says(&[
            format,
            "milliseconds since 1970 in `ts`; 2024-01-01T00:00:00Z to 2024-01-01T00:02:00Z, every 1min",
        ]);
        assert_numbers(&plant.numbers("temp"), &[1.5, f64::NAN, 2.5]);
        assert_numbers(&plant.numbers("running"), &[1.0, 0.0, 1.0]);
        logs.push(plant.bytes());
    }
    assert!(logs.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn thousands_and_decimals_that_can_be_read_in_two_ways_are_asked_for() {
    let plant = Plant::new(&[("a.csv", "Datum;Wert1\n01.02.2024;1.234\n02.02.2024;5.678\n")]);
    plant.refused("--from a.csv --timezone UTC", 2).says(&["`1.234` can be read", "--decimal"]);
    plant.imported("--from a.csv --timezone UTC --decimal comma");
    assert_numbers(&plant.numbers("Wert1"), &[1234.0, 5678.0]);
    // in exports that usually have a decimal point, three digits after a point are decimals, not a group of thousands
    let plant = Plant::new(&[("a.csv", "time,x\n2024-01-01T00:00Z,1.234\n2024-01-01T01:00Z,5.678\n")]);
    plant.imported("--from a.csv");
    assert_numbers(&plant.numbers("x"), &[1.234, 5.678]);
    // another column decides
    let plant = Plant::new(&[("a.csv", "Datum;a;b\n01.02.2024;1.234;0,5\n02.02.2024;5.678;1,5\n")]);
    plant.imported("--from a.csv --timezone UTC");
    assert_numbers(&plant.numbers("a"), &[1234.0, 5678.0]);
    // both signs in one column
    let plant = Plant::new(&[("a.csv", "time;x\n2024-01-01T00:00Z;1,5\n2024-01-01T01:00Z;2.75\n")]);
    plant.refused("--from a.csv", 65).says(&["`2.75` and `1,5`"]);
}

#[test]
fn folders_with_keys_filter_and_become_columns() {
    let rows = |x: i32| format!("time,x\n2024-01-01T00:00Z,{x}\n2024-01-01T01:00Z,{}\n", x + 1);
    let plant = Plant::new(&[("in/site=7/a.csv", &rows(10)), ("in/site=8/a.csv", &rows(20))]);
    plant.refused("--from in", 65).says(&["if `site` distinguishes several entities", "--where \"site == '7'\""]);
    plant.refused("--from in --where site|==|'9'", 65).says(&["no folder satisfies `--where`", "site=7, site=8"]);
    plant.imported("--from in --where site|==|'8'").says(&["the folder `site` is `8`"]);
    assert_eq!(plant.columns(), ["x"]);
    assert_numbers(&plant.numbers("x"), &[20.0, 21.0]);
    plant.imported("--from in --where site|==|7|and|x|>|10 --replace");
    assert_numbers(&plant.numbers("x"), &[11.0]);
    plant.imported("--from in --long site,x --replace");
    assert_eq!(plant.columns(), ["7", "8"]);
    assert_numbers(&plant.numbers("8"), &[20.0, 21.0]);
    // one file per tag
    let plant = Plant::new(&[("in/TI1.PV.csv", &rows(10)), ("in/TI2.PV.csv", &rows(20))]);
    plant.refused("--from in", 65).says(&["if each file contains a different tag, use `--long file,x`"]);
    plant.imported("--from in --long file,x");
    assert_eq!(plant.columns(), ["TI1.PV", "TI2.PV"]);
    assert_numbers(&plant.numbers("TI2.PV"), &[20.0, 21.0]);
}

#[test]
fn row_numbers_and_repeated_names() {
    let plant = Plant::new(&[("a.csv", ",time,T,T,empty\n0,2024-01-01T00:00Z,5,7,\n1,2024-01-01T01:00Z,6,NaN,\n")]);
    let ended = plant.imported("--from a.csv");
    ended.says(&[
        "`column_1` left out, because it numbers the rows",
        "columns with duplicate names: `T_2`",
        "`empty` left out",
    ]);
    ended.says(&["`T_2`: 1 × `NaN` read as missing values"]);
    assert_eq!(plant.columns(), ["T", "T_2"]);
    assert_numbers(&plant.numbers("T_2"), &[7.0, f64::NAN]);
}

#[test]
fn quotes_and_units_in_names() {
    let text = "\"Time\",\"Site, name\",\"Temp (°C)\",\"Flow [m³/h]\"\n\"2024-01-01 00:00:00\",\"A, B\",\"1,234.5\",1\n\"2024-01-01 01:00:00\",\"A\n2\",\"1,235.5\",2\n";
    let plant = Plant::new(&[("a.csv", text)]);
    plant.imported("--from a.csv --timezone UTC").says(&["decimal point", "`Site, name` stays text"]);
    assert_numbers(&plant.numbers("Temp (°C)"), &[1234.5, 1235.5]);
    assert_eq!(plant.texts("Site, name"), ["A, B", "A\n2"]);
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    assert!(recipe.contains("\"Temp (°C)\" = \"°C\"") && recipe.contains("\"Flow [m³/h]\" = \"m³/h\""), "{recipe}");
}

#[test]
fn a_column_that_a_file_lacks_is_named() {
    let plant = Plant::new(&[]);
    let file = |month: u32, columns: &str, values: &str| {
        let rows = (0..24).map(|h| format!("2024-{month:02}-01 {h:02}:00,{values}\n")).collect::<String>();
        format!("time,{columns}\n{rows}")
    };
    plant.write("export/a.csv", file(1, "flow,heat", "1.5,20").as_bytes());
    plant.write("export/b.csv", file(2, "flow", "1.5").as_bytes());
    let ended = plant.imported("--from export/*.csv --timezone UTC");
    ended.says(&["`heat` is missing from ", "b.csv, so it has no values there"]);
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    let stored = recipe.split_once("[missing]\n").unwrap().1.trim();
    assert!(stored.starts_with("heat = ") && stored.ends_with("b.csv\""), "{recipe}");
    assert_eq!(plant.numbers("heat").iter().filter(|v| v.is_nan()).count(), 24);
}

#[test]
fn different_units_of_one_column_are_refused() {
    let row = |unit: &str, day: u32| {
        format!("time,temp,power\n,degC,{unit}\n2024-01-{day:02}T00:00Z,5,1\n2024-01-{day:02}T01:00Z,6,2\n")
    };
    let plant = Plant::new(&[("in/a.csv", &row("kW", 1)), ("in/b.csv", &row("W", 2))]);
    plant.refused("--from in", 65).says(&["`power` has the unit `kW` in in/a.csv and the unit `W` in in/b.csv"]);
    let long = "time,tag,value,unit\n2024-01-01T00:00Z,P,1,kW\n2024-01-01T00:00Z,T,5,degC\n2024-01-01T01:00Z,P,2,kW\n2024-01-01T01:00Z,T,6,degC\n";
    let plant = Plant::new(&[("a.csv", long)]);
    plant.imported("--from a.csv");
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    assert!(recipe.contains("P = \"kW\"") && recipe.contains("T = \"degC\""), "{recipe}");
    let mixed = Plant::new(&[("a.csv", &long.replace("P,2,kW", "P,2000,W"))]);
    mixed.refused("--from a.csv", 65).says(&["`P` has the unit `kW` in a.csv and the unit `W` in a.csv"]);
}
