//! Exports that are refused, and damaged files.

use crate::plant::Plant;

#[test]
fn messages_name_the_file_and_what_to_do() {
    let plant = Plant::new(&[
        ("two.csv", "begin,end,x\n2024-01-01T00:00Z,2024-01-01T01:00Z,1\n2024-01-01T01:00Z,2024-01-01T02:00Z,2\n"),
        ("none.csv", "a,b\n1,2\n3,4\n"),
        ("text.csv", "just text\nof several lines\n"),
        (
            "wide.csv",
            &format!(
                "time,a,b\n{}2024-01-03T00:00Z,1,2,3\n",
                (0..24).map(|h| format!("2024-01-01T{h:02}:00Z,1,2\n")).collect::<String>()
            ),
        ),
        ("page.xls", "<table border=1>\n<tr><th>time</th></tr>\n<tr><td>2024-01-01</td></tr>\n</table>\n"),
        ("book.xlsx", "PK\x03\x04 not really a workbook"),
        ("data/p/notes.txt", ""),
    ]);
    for (args, code, texts) in [
        ("--from two.csv", 2, &["`begin` and `end` contain times", "--time"][..]),
        ("--from none.csv", 65, &["none.csv: no column contains times", "`a` (e.g. `1`)"]),
        ("--from text.csv", 65, &["text.csv: no delimiter", "of several lines"]),
        ("--from wide.csv", 65, &["wide.csv: line 26 has more fields than the header"]),
        ("--from page.xls", 65, &["page.xls: this is a web page", "save it as .xlsx"]),
        ("--from book.xlsx", 65, &["book.xlsx: this is not a readable workbook", "save it as CSV"]),
        ("--from absent/*.csv", 66, &["absent/*.csv", "there is no folder absent"]),
        ("--from ftp://host/a.csv", 2, &["ftp://host/a.csv", "copy the files to this machine"]),
        ("--from two.csv --time begin --timezone Mars", 0, &[]),
        ("", 2, &["--replace"]),
    ] {
        if code == 0 {
            plant.imported(args);
            std::fs::remove_dir_all(plant.path("data/p/log")).unwrap();
        } else if args.is_empty() {
            // the recipe of the last import, with another source
            plant.refused("--from none.csv --time begin --timezone Mars", code).says(texts);
        } else {
            plant.refused(args, code).says(texts);
        }
    }
}

#[test]
fn a_filter_without_rows_lists_the_values_of_the_column() {
    let mut rows = "time,sku,line,sold\n".to_owned();
    for day in 1..=9 {
        for (k, sku) in ["JUMBO BAG RED", "JUMBO BAG PINK", "CANDLE", "LANTERN"].iter().enumerate() {
            if day > k {
                rows += &format!("2024-01-0{day}T00:00Z,{sku},{k},{}\n", if k == 2 { day + 1 } else { 0 });
            }
        }
    }
    let plant = Plant::new(&[("a.csv", &rows)]);
    let near = ["`sku` has no value `jumbo bag`", "`JUMBO BAG RED` (9 rows), `JUMBO BAG PINK` (8 rows)"];
    plant.refused("--from a.csv --where sku|==|'jumbo|bag'", 65).says(&near);
    let frequent = "`JUMBO BAG RED` (9 rows), `JUMBO BAG PINK` (8 rows), `CANDLE` (7 rows), `LANTERN` (6 rows)";
    plant.refused("--from a.csv --where sku|==|'tray'", 65).says(&["the most frequent values are", frequent]);
    plant.refused("--from a.csv --where line|>|7", 65).says(&["the comparison with `line` is never true"]);
    plant.refused("--from a.csv --where line|==|3|and|sku|==|'CANDLE'", 65).says(&["although some rows satisfy each"]);
    // the suggested value is one of four, and the one with most values other than 0
    let several =
        ["(1 of 4)", "--where \"sku == 'CANDLE'\"", "others are `JUMBO BAG PINK`, `LANTERN`, `JUMBO BAG RED`"];
    plant.refused("--from a.csv", 65).says(&several);
}

#[test]
fn damaged_parquet_files_are_refused_by_name() {
    let plant = Plant::new(&[("good.csv", "time,x\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n")]);
    plant.imported("--from good.csv");
    let bytes = plant.bytes()[0].1.clone();
    std::fs::remove_dir_all(plant.path("data/p/log")).unwrap();
    std::fs::remove_file(plant.path("data/p/import.toml")).unwrap();
    let mut failed = 0;
    for at in (4..bytes.len()).step_by(7) {
        for value in [0x00, 0xff, bytes[at] ^ 0x20] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            plant.write("bad.parquet", &damaged);
            let ended = plant.import("--from bad.parquet --dry-run");
            let code = ended.code.unwrap_or(-1);
            assert!([0, 2, 65].contains(&code), "byte {at} = {value}: {code} {}", ended.err);
            failed += usize::from(code != 0);
            if code == 65 {
                assert!(ended.err.contains("bad.parquet"), "{}", ended.err);
            }
        }
        if at > 600 {
            break;
        }
    }
    assert!(failed > 0);
    plant.write("bad.parquet", &bytes[..bytes.len() - 9]);
    plant.refused("--from bad.parquet", 65).says(&["bad.parquet: this is not a readable Parquet file"]);
    plant.write("bad.csv.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3]);
    plant.refused("--from bad.csv.gz", 65).says(&["bad.csv.gz: the compressed file is damaged"]);
}
