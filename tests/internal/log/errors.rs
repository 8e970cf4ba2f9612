//! Tests of logs that must be rejected.

use parquet::basic::Compression;
use tempfile::TempDir;

use super::fixture::{SYNTHETIC_TWIN, data_error, read, same, save_long, synthetic};
use super::table::{floats, integers, texts, times, write, write_as};

#[test]
fn errors_name_the_file_the_column_and_the_help() {
    let dir = TempDir::new().unwrap();
    let e = read(dir.path(), SYNTHETIC_TWIN).unwrap_err();
    assert_eq!(e.exit_code(), 66);
    assert!(e.to_string().contains("no file matches `*.parquet`"), "{e}");

    let file = dir.path().join("log.parquet");
    std::fs::write(&file, "timestamp,temp\n").unwrap();
    let e = read(dir.path(), SYNTHETIC_TWIN).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("not a readable Parquet file"), "{e}");
    std::fs::write(&file, "").unwrap();
    let e = read(dir.path(), SYNTHETIC_TWIN).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("it is empty"), "{e}");

    let m = synthetic(100, 1);
    m.save(&file);
    // The file has damaged data and an intact footer.
    let bytes = std::fs::read(&file).unwrap();
    let mut holed = bytes.clone();
    holed[200..600].fill(0x5a);
    std::fs::write(&file, &holed).unwrap();
    let e = read(dir.path(), SYNTHETIC_TWIN).unwrap_err();
    assert!(e.exit_code() == 65 && e.to_string().contains("log.parquet"), "{e}");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(read(dir.path(), SYNTHETIC_TWIN).unwrap_err().exit_code(), 65);
    std::fs::write(&file, &bytes).unwrap();

    let e = data_error(dir.path(), &SYNTHETIC_TWIN.replace("name = \"temp\"", "name = \"tmep\""));
    assert_eq!(e, "log.parquet: there is no column `tmep`; did you mean `temp`?");
    let e = data_error(dir.path(), &SYNTHETIC_TWIN.replace("time = \"timestamp\"", "time = \"timestmp\""));
    assert_eq!(e, "log.parquet: there is no time column `timestmp`; did you mean `timestamp`?");
    let e = data_error(
        dir.path(),
        &SYNTHETIC_TWIN.replace("time = \"timestamp\"", "time = \"timestamp\", episode = \"run\""),
    );
    assert!(e.contains("there is no episode column `run`"), "{e}");
    let e = data_error(
        dir.path(),
        &SYNTHETIC_TWIN.replace("time = \"timestamp\"", "time = \"timestamp\", timezone = \"Mars\""),
    );
    assert!(e.contains("`log.timezone`: `Mars` is not a time zone"), "{e}");
    let e =
        data_error(dir.path(), &SYNTHETIC_TWIN.replace("name = \"temp\"", "name = \"temp\", column = \"timestamp\""));
    assert!(e.contains("column `timestamp`") && e.contains("it contains times"), "{e}");

    let text = texts("power", &["on"; 100]);
    let columns = || vec![times("timestamp", &m.time), floats("temp", &m.temp), floats("valve", &m.valve)];
    write(&file, columns().into_iter().chain([text]).collect());
    let e = data_error(dir.path(), SYNTHETIC_TWIN);
    assert!(
        e.contains("column `power` contains text: `on` (100)") && e.contains("use a column that contains numbers"),
        "{e}"
    );

    write(&file, vec![times("timestamp", &[]), floats("temp", &[]), floats("power", &[]), floats("valve", &[])]);
    let e = data_error(dir.path(), SYNTHETIC_TWIN);
    assert!(e.contains("log.parquet: the log has no rows"), "{e}");

    let words = texts("timestamp", &["31.12.2024"; 100]);
    write(&file, vec![words, floats("temp", &m.temp), floats("power", &m.power), floats("valve", &m.valve)]);
    let e = data_error(dir.path(), SYNTHETIC_TWIN);
    assert!(e.contains("can be read as a time, for example `31.12.2024`"), "{e}");

    let long = "time = \"timestamp\", long = { tag = \"tag\", value = \"value\", quality = \"quality\" }";
    save_long(&m, &file, |_, _| false);
    let e =
        data_error(dir.path(), &SYNTHETIC_TWIN.replace("time = \"timestamp\"", long).replace("\"temp\"", "\"temq\""));
    assert_eq!(e, "log.parquet: there is no tag `temq`; did you mean `temp`?");
}

/// Replaces each count in the headers of a file with the largest possible value. Reading must return a log or an error,
/// and must never abort the process.
#[test]
fn impossible_counts_in_a_file_never_abort_the_process() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.parquet");
    let mut m = synthetic(300, 5);
    m.temp.iter_mut().for_each(|v| *v = v.round());
    let many = [0xff, 0xff, 0xff, 0xff, 0x07];
    let (mut tried, mut refused) = (0, 0);
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        tried += 1;
        match read(dir.path(), SYNTHETIC_TWIN) {
            Ok((t, _)) => assert!(t.steps > 0),
            Err(e) => {
                assert_eq!(e.exit_code(), 65, "{e}");
                refused += 1;
            }
        }
    };
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        write_as(&file, m.columns(), |p| p.set_compression(codec));
        let bytes = std::fs::read(&file).unwrap();
        let end = bytes.len() - 8;
        let footer = end - u32::from_le_bytes(*bytes[end..].first_chunk().unwrap()) as usize;
        // Replace the length of every list of structs.
        for at in (footer..end).filter(|at| bytes[*at] & 0x0f == 0x0c && bytes[*at] >= 0x10) {
            let longer = [&bytes[footer..at], &[0xfc], &many, &bytes[at + 1..end]].concat();
            let length = (longer.len() as u32).to_le_bytes();
            attempt(&[&bytes[..footer], &longer, &length, b"PAR1"].concat());
        }
        // Replace the number of values in every dictionary. The longer header overwrites the beginning of the page.
        for at in (4..footer).filter(|at| bytes[*at..].starts_with(&[0x4c, 0x15])) {
            let after = at + 2 + if bytes[at + 2] & 0x80 == 0 { 1 } else { 2 };
            let grown = at + 2 + many.len() - after;
            let page = [&bytes[..at + 2], &many, &bytes[after..after + 8]].concat();
            attempt(&[&page, &bytes[after + 8 + grown..]].concat());
        }
    }
    assert!(tried > 10 && refused > 6, "{tried} {refused}");
}

/// Flips one bit in each byte of the pages of an uncompressed file with page checksums, which was written by pyarrow.
/// Without the checksums, most of the altered files would be read with wrong values.
#[test]
fn a_flipped_bit_in_a_page_with_a_checksum_is_found() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.parquet");
    let whole = include_bytes!("checksum.parquet");
    let twin = r#"
        name = "checked"
        step = "1h"
        log = { files = "*.parquet", time = "time" }
        signals = [{ name = "x", role = "state" }]
    "#;
    std::fs::write(&file, whole).unwrap();
    let (intact, _) = read(dir.path(), twin).unwrap();
    assert_eq!((intact.steps, intact.columns[0][5]), (60, 20.84));
    let footer = whole.len() - 8 - u32::from_le_bytes(*whole[whole.len() - 8..].first_chunk().unwrap()) as usize;
    let mut refused = 0;
    for at in 4..footer {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&file, &bytes).unwrap();
        match read(dir.path(), twin) {
            Ok((t, _)) => assert!(same(&t, &intact), "byte {at}"),
            Err(e) => {
                assert_eq!(e.exit_code(), 65, "{e}");
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn episodes_that_restart_the_clock_are_refused_with_help() {
    let mut m = synthetic(400, 2);
    let again: Vec<i64> = m.time[..200].to_vec();
    m.time[200..].copy_from_slice(&again);
    let run = integers("run", (0..400).map(|i| i64::from(i >= 200)).collect());
    let dir = TempDir::new().unwrap();
    write(
        &dir.path().join("log.parquet"),
        vec![
            times("timestamp", &m.time),
            run,
            floats("temp", &m.temp),
            floats("power", &m.power),
            floats("valve", &m.valve),
        ],
    );
    let e = data_error(
        dir.path(),
        &SYNTHETIC_TWIN.replace("time = \"timestamp\"", "time = \"timestamp\", episode = \"run\""),
    );
    assert!(
        e.contains("episodes in column `run` overlap in time")
            && e.contains("`0`")
            && e.contains("add the duration of all earlier episodes"),
        "{e}"
    );
}
