//! Workbooks (`workbooks/make.py` writes them), encodings, numbers with units, and times of day in a column of their own.

use crate::plant::{Plant, assert_numbers};

fn values() -> Vec<f64> {
    (0..48).map(|i| 18.5 + f64::from(i % 7) / 10.0).collect()
}

/// A plant with one of the workbooks.
fn with(name: &str, bytes: &[u8]) -> Plant {
    let plant = Plant::new(&[]);
    plant.write(&format!("export/{name}"), bytes);
    plant
}

#[test]
fn the_sheets_of_a_workbook_with_the_same_header_are_appended() {
    let plant = with("months.xlsx", include_bytes!("workbooks/months.xlsx"));
    plant.imported("--from export --timezone UTC").says(&[
        "workbook, sheets `März`, `April`",
        "sheets that were not read (`--sheet`): `Info`",
        "every 30min",
    ]);
    assert_numbers(&plant.numbers("Temp [°C]"), &values());
    assert_numbers(&plant.numbers("Pumpe"), &(0..48).map(|i| f64::from(i % 2 == 0)).collect::<Vec<_>>());
    let times = plant.times();
    assert_eq!(
        (times.len(), times[0].as_str(), times[47].as_str()),
        (48, "2024-03-30T22:00:00Z", "2024-03-31T21:30:00Z")
    );
    plant.imported("--from export --timezone UTC --sheet April --replace").says(&["workbook, sheet `April`"]);
    assert_eq!(plant.times().len(), 24);
    plant.imported("").says(&["workbook, sheet `April`"]);
    plant
        .refused_again("--from export --timezone UTC --sheet Mai --replace", 2)
        .says(&["no sheet is named `Mai`", "`März`, `April`"]);
}

#[test]
fn sheets_with_different_headers_have_to_be_chosen() {
    let plant = with("two_tables.xlsx", include_bytes!("workbooks/two_tables.xlsx"));
    plant.refused("--from export --timezone UTC", 2).says(&[
        "`Sheet` with 50 rows",
        "`Durchfluss` with 49 rows",
        "--sheet 'Sheet'",
    ]);
    plant.imported("--from export --timezone UTC --sheet Sheet").says(&["1 × `#N/A` read as missing"]);
    let mut expected = values();
    expected[2] = f64::NAN;
    let read = plant.numbers("Druck");
    assert!(read[2].is_nan() && read.len() == 48);
    assert_eq!(read[3], expected[3]);
    assert_eq!(plant.times()[1], "2024-03-30T22:30:00Z");
}

#[test]
fn old_and_open_workbooks_are_read() {
    for (name, bytes) in
        [("old.xls", &include_bytes!("workbooks/old.xls")[..]), ("open.ods", &include_bytes!("workbooks/open.ods")[..])]
    {
        let plant = with(name, bytes);
        plant.imported("--from export --timezone UTC").says(&["workbook, sheet `Log`"]);
        assert_numbers(&plant.numbers("level"), &values());
        assert_eq!(plant.times()[47], "2024-03-31T21:30:00Z", "{name}");
    }
}

#[test]
fn the_encoding_is_detected_or_given() {
    let text = "Zeit;Außentemperatur [°C];Kühlwasser\n2024-01-01T00:00Z;1;2\n2024-01-01T01:00Z;3;4\n";
    // code page 850
    let bytes: Vec<u8> = text
        .chars()
        .map(|c| match c {
            'ß' => 0xe1,
            '°' => 0xf8,
            'ü' => 0x81,
            c => c as u8,
        })
        .collect();
    let plant = with("a.csv", &bytes);
    plant.imported("--from export").says(&["CSV `;`, CP850", "--encoding"]);
    assert_numbers(&plant.numbers("Kühlwasser"), &[2.0, 4.0]);
    plant.imported("--from export --encoding cp437 --replace").says(&["CSV `;`, CP437"]);
    assert_numbers(&plant.numbers("Außentemperatur [°C]"), &[1.0, 3.0]);
    plant.refused_again("--from export --encoding klingon --replace", 2).says(&["`klingon` is unknown"]);
}

#[test]
fn units_may_follow_the_values() {
    let text = "Zeit;T;P\n01.02.2024 00:00;21,5 °C;1.234,5 kW\n01.02.2024 01:00;20 °C;Bad Input\n01.02.2024 02:00;19,5 °C;900 kW\n";
    let plant = Plant::new(&[("a.csv", text), ("b.csv", &text.replace("900 kW", "0,9 MW"))]);
    plant.refused("--from b.csv --timezone UTC --date-order dmy", 65).says(&["`P` has values in `MW` and in `kW`"]);
    plant
        .imported("--from a.csv --timezone UTC --date-order dmy")
        .says(&["decimal comma", "1 × `Bad Input` read as missing"]);
    assert_numbers(&plant.numbers("T"), &[21.5, 20.0, 19.5]);
    let power = plant.numbers("P");
    assert!((power[0], power[2]) == (1234.5, 900.0) && power[1].is_nan());
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    assert!(recipe.contains("T = \"°C\"") && recipe.contains("P = \"kW\""), "{recipe}");
}

#[test]
fn the_time_24_00_in_a_column_of_its_own_is_the_end_of_the_day() {
    let mut text = "Datum;Uhrzeit;kWh\n".to_owned();
    for hour in 1..=24 {
        text += &format!("31.03.2024;{hour:02}:00;{hour}\n");
    }
    // the hour from 2:00 to 3:00 does not exist on this day
    let text = text.replace("31.03.2024;03:00;3\n", "");
    let plant = Plant::new(&[("a.csv", &text)]);
    plant.imported("--from a.csv --timezone Europe/Berlin").says(&["1 row has the time 24:00", "stamps = \"end\""]);
    let times = plant.times();
    assert_eq!((times[0].as_str(), times[22].as_str()), ("2024-03-31T00:00:00Z", "2024-03-31T22:00:00Z"));
    assert_eq!(times[2], "2024-03-31T02:00:00Z");
}

#[test]
fn names_of_months_in_other_languages() {
    let text = "fecha;x\n28-ene-24;1\n01-feb-24;2\n15-ago-24;3\n03-dic-24;4\n";
    let plant = Plant::new(&[("a.csv", text)]);
    plant.imported("--from a.csv --timezone UTC");
    assert_eq!(
        plant.times(),
        ["2024-01-28T00:00:00Z", "2024-02-01T00:00:00Z", "2024-08-15T00:00:00Z", "2024-12-03T00:00:00Z"]
    );
}
