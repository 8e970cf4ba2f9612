//! Tests of `src/log/time.rs`.

use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

#[test]
fn the_order_of_rows_distinguishes_the_passes_of_the_hour_that_occurs_twice() {
    let mut r = TimeReader::new(berlin(), 1);
    r.start(TimeKind::Text);
    let walls = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"];
    let read: Vec<i64> = walls.iter().map(|w| r.text(Some(&format!("2024-10-27 {w}:00")), 0)).collect();
    let first = at("2024-10-26T23:30:00Z");
    assert_eq!(read, (0..6).map(|i| first + i * 1_800_000_000).collect::<Vec<_>>());
    assert_eq!(r.findings(&[]).iter().find(|f| f.class == FindingClass::DstFold).unwrap().count, 4);
}

#[test]
fn a_repeated_hourly_time_stamp_is_the_second_pass() {
    let mut r = TimeReader::new(berlin(), 1);
    r.start(TimeKind::Local { per_second: 1_000 });
    let wall = |h: i64| (at("2024-10-27T00:00:00Z") + h * 3_600_000_000) / 1_000;
    let read: Vec<i64> = [0, 1, 2, 2, 3].iter().map(|h| r.integer(Some(wall(*h)), 0)).collect();
    assert!(read.windows(2).all(|w| w[1] - w[0] == 3_600_000_000), "{read:?}");
}

#[test]
fn times_in_the_skipped_hour_are_counted() {
    let mut r = TimeReader::new(berlin(), 1);
    r.start(TimeKind::Text);
    assert_eq!(r.text(Some("2024-03-31 02:30:00"), 0), at("2024-03-31T01:30:00Z"));
    assert_eq!(r.findings(&[])[0].class, FindingClass::DstGap);
}

#[test]
fn the_unit_of_an_epoch_follows_from_its_size() {
    for (v, per_second) in [(1_700_000_000_i64, 1), (1_700_000_000_000, 1_000), (1_700_000_000_000_000, 1_000_000)] {
        let mut r = TimeReader::new(TimeZone::UTC, 1);
        r.start(TimeKind::Number);
        r.learn_unit(&[v as f64]);
        assert_eq!(r.integer(Some(v), 0), 1_700_000_000_000_000, "{per_second}");
    }
    let mut r = TimeReader::new(TimeZone::UTC, 1);
    r.start(TimeKind::Number);
    r.learn_unit(&[0.0, 1.7e18]);
    assert_eq!(r.integer(Some(1_700_000_000_123_456_789), 0), 1_700_000_000_123_456);
}

#[test]
fn impossible_times_are_dropped_and_counted() {
    let mut r = TimeReader::new(TimeZone::UTC, 1);
    r.start(TimeKind::Text);
    for t in ["9999-12-31 00:00:00", "0001-01-01 00:00:00", "31.12.2024", ""] {
        assert_eq!(r.text(Some(t), 0), NO_TIME);
    }
    assert_eq!(r.text(None, 0), NO_TIME);
    assert_eq!(r.unreadable().count(), 5);
    assert_eq!(r.text(Some("2024-01-01T00:00:00+01:00"), 0), at("2023-12-31T23:00:00Z"));
    assert_eq!(r.text(Some("2024-01-01"), 0), at("2024-01-01T00:00:00Z"));
}
