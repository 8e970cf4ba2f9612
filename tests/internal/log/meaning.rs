//! Tests of how samples are combined according to what a quantity means. The expected values are computed here from the
//! definition of each quantity.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tempfile::TempDir;
use twinopt::log::Quality;
use twinopt::trajectory::Trajectory;

use super::fixture::{MIN, T0, count, data_error, read};
use super::table::{Column, floats, texts, times, write};

const HOUR: i64 = 60 * MIN;
const DAY: i64 = 24 * HOUR;

/// A twin with one signal and a control that both change in the log.
fn twin(step: &str, log: &str, signal: &str) -> String {
    format!(
        "name = \"x\"\nstep = \"{step}\"\nlog = {{ files = \"*.parquet\", time = \"time\"{log} }}\nsignals = [{{ name = \"x\", role = \"output\", {signal} }}]"
    )
}

fn log(columns: Vec<Column>) -> TempDir {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("log.parquet"), columns);
    dir
}

fn values(t: &Trajectory) -> Vec<f64> {
    t.columns[0].clone()
}

fn close(a: &[f64], b: &[f64]) {
    let near = |x: f64, y: f64| (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * y.abs().max(1.0);
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(x, y)| near(*x, *y)), "{a:?}\n{b:?}");
}

/// The temperature of a freezer is logged only when it changes: once at −18 °C, then every 20 s while the door is open.
#[test]
fn a_tag_that_is_logged_on_change_has_a_mean_over_time() {
    let (mut time, mut value) = (Vec::new(), Vec::new());
    for hour in 0..72 {
        time.push(T0 + hour * HOUR);
        value.push(-18.0);
        for k in 0..30_i32 {
            time.push(T0 + hour * HOUR + 50 * MIN + i64::from(k) * MIN / 3);
            value.push(-18.0 + 10.0 * (1.0 - f64::from((k - 15).abs()) / 15.0));
        }
    }
    let tags = vec!["freezer"; time.len()];
    let dir = log(vec![times("time", &time), texts("tag", &tags), floats("value", &value)]);
    let long = ", max_gap = \"6h\", long = { tag = \"tag\", value = \"value\" }";
    let (t, q) = read(dir.path(), &twin("1h", long, "unit = \"degC\", column = \"freezer\"")).unwrap();
    // Each hour contains 50 min at −18 °C, and 30 samples of 20 s whose mean is −18 + 10 / 2.
    let expected = (50.0 * -18.0 + 10.0 * -13.0) / 60.0;
    close(&values(&t), &[expected; 72]);
    assert_eq!((expected * 1e4).round(), -171_667.0);
    assert_eq!(count(&q, "report-on-change"), 72);
}

#[test]
fn energies_per_interval_are_added_and_never_averaged_unsaid() {
    let time: Vec<i64> = (0..96).map(|i| T0 + i * 15 * MIN).collect();
    let kwh: Vec<f64> = (0..96).map(|i| 0.5 + 0.01 * f64::from(i % 7)).collect();
    let dir = log(vec![times("time", &time), floats("x", &kwh)]);
    let hourly: Vec<f64> = kwh.chunks(4).map(|c| c.iter().sum()).collect();
    for keys in ["kind = \"amount\"", "resample = \"sum\""] {
        close(&values(&read(dir.path(), &twin("1h", "", &format!("unit = \"kWh\", {keys}"))).unwrap().0), &hourly);
    }
    for unit in ["kWh", "MJ", "EUR", "item", "m^3", "t"] {
        let text = data_error(dir.path(), &twin("1h", "", &format!("unit = \"{unit}\"")));
        assert!(text.contains("`x`") && text.contains("`kind = \"amount\"`"), "{text}");
        data_error(dir.path(), &twin("5min", "", &format!("unit = \"{unit}\"")));
        read(dir.path(), &twin("15min", "", &format!("unit = \"{unit}\""))).unwrap();
    }
    // With `kind = "level"`, the unit kWh denotes stored energy.
    let level: Vec<f64> = hourly.iter().map(|v| v / 4.0).collect();
    close(&values(&read(dir.path(), &twin("1h", "", "unit = \"kWh\", kind = \"level\"")).unwrap().0), &level);
    // An amount per 15 min is split into steps of 3 min.
    let split: Vec<f64> = kwh.iter().flat_map(|v| [v / 5.0; 5]).collect();
    close(&values(&read(dir.path(), &twin("3min", "", "unit = \"kWh\", kind = \"amount\"")).unwrap().0), &split);
}

#[test]
fn a_step_with_missing_parts_is_missing_or_scaled() {
    let time: Vec<i64> = (0..96).filter(|i| *i != 5).map(|i| T0 + i * 15 * MIN).collect();
    let dir = log(vec![times("time", &time), floats("x", &vec![2.0; time.len()])]);
    let partial =
        |key: &str| read(dir.path(), &twin("1h", "", &format!("unit = \"kWh\", kind = \"amount\"{key}"))).unwrap();
    let (t, q) = partial("");
    assert!(values(&t)[1].is_nan() && values(&t)[2] == 8.0);
    assert_eq!((count(&q, "partial-step"), q.signals[0].coverage), (1, 23.0 / 24.0));
    close(&values(&partial(", partial = \"scale\"").0), &[8.0; 24]);
}

#[test]
fn a_counter_is_differenced_across_resets_rollovers_and_zeros() {
    // The meter counts 3 units per 10 min, rolls over at 1000, and shows 0 for two samples after a restart.
    let mut reading: Vec<f64> = (0..=432).map(|i| f64::from((400 + 3 * i) % 1000)).collect();
    reading[20] = 0.0;
    reading[21] = 0.0;
    let time: Vec<i64> = (0..reading.len() as i64).map(|i| T0 + i * 10 * MIN).collect();
    let dir = log(vec![times("time", &time), floats("x", &reading)]);
    let (t, q) = read(dir.path(), &twin("1h", "", "unit = \"kWh\", kind = \"counter\"")).unwrap();
    close(&values(&t)[..72], &[18.0; 72]);
    assert_eq!(count(&q, "counter-restart"), 3);
    let rising: Vec<f64> = (0..=432).map(f64::from).collect();
    let dir = log(vec![times("time", &time), floats("x", &rising)]);
    for keys in ["", ", kind = \"amount\"", ", resample = \"sum\""] {
        let text = data_error(dir.path(), &twin("1h", "", &format!("unit = \"kWh\"{keys}")));
        assert!(text.contains("`kind = \"counter\"`"), "{text}");
    }
    // A counter with a daily reset falls once in 144 samples.
    let daily: Vec<f64> = (0..=432).map(|i| f64::from(i % 144)).collect();
    let dir = log(vec![times("time", &time), floats("x", &daily)]);
    assert!(data_error(dir.path(), &twin("1h", "", "unit = \"m^3\"")).contains("`kind = \"counter\"`"));
}

/// The meter of a site that uses 240 on even days and 4800 on odd days, in equal parts per hour. The readings at `lost`
/// hours are missing.
fn site(lost: &[std::ops::Range<i64>]) -> TempDir {
    let hours: Vec<i64> = (0..24 * 40).filter(|h| !lost.iter().any(|l| l.contains(h))).collect();
    let reading = |h: i64| (0..h).map(|h| if h / 24 % 2 == 0 { 10.0 } else { 200.0 }).sum::<f64>() + 50_000.0;
    let other = vec![1.0; hours.len()];
    log(vec![
        times("time", &hours.iter().map(|h| T0 + h * HOUR).collect::<Vec<_>>()),
        floats("x", &hours.iter().map(|h| reading(*h)).collect::<Vec<_>>()),
        floats("other", &other),
    ])
}

#[test]
fn an_increase_over_missing_readings_is_known_in_total_but_not_by_step() {
    let days = |lost: &[std::ops::Range<i64>], log: &str, keys: &str| {
        let text = twin("1d", log, &format!("unit = \"kWh\", kind = \"counter\"{keys}"));
        let (t, q) = read(site(lost).path(), &text).unwrap();
        let found = q.findings.iter().find(|f| f.class.as_str() == "counter-gap").cloned();
        (values(&t)[..39].to_vec(), q, found)
    };
    let full: Vec<f64> = (0..39).map(|d| if d % 2 == 0 { 240.0 } else { 4800.0 }).collect();
    let without = |missing: &[usize]| -> Vec<f64> {
        (0..39).map(|d| if missing.contains(&d) { f64::NAN } else { full[d] }).collect()
    };
    // Missing readings within a day do not matter, but an increase over 45 hours is not divided between days 17 and 18.
    close(&days(std::slice::from_ref(&(24 * 17 + 5..24 * 17 + 15)), "", "").0, &full);
    let gap = [24 * 17 + 2..24 * 18 + 22];
    let (found, q, finding) = days(&gap, "", "");
    close(&found, &without(&[17, 18]));
    assert_eq!(q.signals[0].missing, 3, "the last day also lacks its last hour");
    let finding = finding.unwrap();
    // from 01:00 of day 17: 23 hours at 200, then 22 hours at 10
    let note = "an increase of 4820 kWh (4.8 % of the increase over the whole log) between 2024-01-18T01:00:00Z and 2024-01-19T22:00:00Z";
    assert!(finding.note.contains(note) && finding.note.contains("`partial = \"scale\"`"), "{}", finding.note);
    assert_eq!((finding.count, finding.action.as_str()), (1, "dropped"));
    assert!(q.suspicions().any(|f| f.class.as_str() == "counter-gap"));
    // With `scale`, the total is spread evenly: 23 of its 45 hours lie in day 17.
    let (found, _, finding) = days(&gap, "", ", partial = \"scale\"");
    let mut expected = full.clone();
    (expected[17], expected[18]) = (200.0 + 4820.0 * 23.0 / 45.0, 4820.0 * 22.0 / 45.0 + 2.0 * 10.0);
    close(&found, &expected);
    assert_eq!(finding.unwrap().action.as_str(), "interpolated");
    // The increases over two gaps are added up, and the message about a gap longer than `max_gap` names that setting.
    let (found, _, finding) = days(&[24 * 17 + 2..24 * 18 + 22, 24 * 30..24 * 30 + 1], "", "");
    close(&found, &without(&[17, 18, 29, 30]));
    let note = finding.unwrap().note;
    assert!(note.starts_with("increases of 5030 kWh in total") && note.contains("4820 kWh between"), "{note}");
    let (found, q, finding) = days(&gap, ", max_gap = \"1d\"", ", partial = \"scale\"");
    let note = finding.unwrap().note;
    assert!(note.contains("4820 kWh") && note.contains("more than `max_gap` (24 h)"), "{note}");
    assert!(found[19] == 4800.0 && q.segments == 1, "{found:?}");
}

#[test]
fn hourly_readings_of_a_meter_are_split_into_quarters_of_an_hour() {
    let text = twin("15min", "", "unit = \"kWh\", kind = \"counter\"");
    let (t, q) = read(site(&[]).path(), &text).unwrap();
    let expected: Vec<f64> = (0..4 * 24 * 39).map(|k| if k / 96 % 2 == 0 { 2.5 } else { 50.0 }).collect();
    close(&values(&t)[..expected.len()], &expected);
    assert!(count(&q, "counter-gap") == 0 && count(&q, "empty-step") == 0);
}

#[test]
fn a_state_is_the_last_value_or_the_share_of_time() {
    // The signal is on from minute 10 to minute 25 of every hour.
    let minutes: Vec<i64> = (0..48).flat_map(|h| [h * 60, h * 60 + 10, h * 60 + 25]).collect();
    let time: Vec<i64> = minutes.iter().map(|m| T0 + m * MIN).collect();
    let on: Vec<f64> = (0..time.len()).map(|i| f64::from(u8::from(i % 3 == 1))).collect();
    let dir = log(vec![times("time", &time), floats("x", &on)]);
    close(&values(&read(dir.path(), &twin("1h", "", "kind = \"state\"")).unwrap().0), &[0.0; 48]);
    let share = read(dir.path(), &twin("1h", "", "kind = \"state\", resample = \"mean\"")).unwrap().0;
    close(&values(&share), &[0.25; 48]);
}

#[test]
fn a_step_without_a_row_may_be_zero() {
    // On every third day, there are two sales with equal time stamps.
    let days: Vec<i64> = (0..40).map(|i| 3 * i).collect();
    let time: Vec<i64> = days.iter().flat_map(|d| [T0 + d * DAY + 10 * HOUR; 2]).collect();
    let sold: Vec<f64> = (0..time.len()).map(|i| 1.0 + (i % 2) as f64).collect();
    let dir = log(vec![times("time", &time), floats("x", &sold)]);
    let (t, q) = read(dir.path(), &twin("1d", "", "unit = \"item\", kind = \"amount\", empty = 0")).unwrap();
    let expected: Vec<f64> = (0..118).map(|d| if d % 3 == 0 { 3.0 } else { 0.0 }).collect();
    close(&values(&t), &expected);
    assert_eq!((count(&q, "empty-step"), count(&q, "events"), q.segments), (78, 40, 1));
    assert_eq!(t.start, Timestamp::from_microsecond(T0).unwrap());
    // Without `empty`, rows with equal times are refused, because one of them would be lost.
    assert!(data_error(dir.path(), &twin("1d", "", "unit = \"item\", kind = \"amount\"")).contains("`empty = 0`"));
}

/// Returns the log of a site with daily steps, the number of complete local days, and the number of incomplete local
/// days.
fn local_days(zone: &str) -> (Trajectory, Quality, [usize; 2]) {
    let tz = TimeZone::get(zone).unwrap();
    // 40 days of half-hourly samples around a change of daylight-saving time, beginning at noon in UTC.
    let begin: Timestamp = "2024-03-10T12:00:00Z".parse().unwrap();
    let time: Vec<i64> = (0..48 * 40).map(|i| begin.as_microsecond() + i * 30 * MIN).collect();
    let date = |t: &i64| tz.to_datetime(Timestamp::from_microsecond(*t).unwrap()).date();
    // The energy is positive only on even days of the year, so a wrong boundary would mix even and odd days.
    let kwh: Vec<f64> = time.iter().map(|t| f64::from(u8::from(date(t).day_of_year() % 2 == 0))).collect();
    let dir = log(vec![times("time", &time), floats("x", &kwh)]);
    let text = format!("timezone = \"{zone}\"\n{}", twin("1d", "", "unit = \"kWh\", kind = \"amount\""));
    let (t, q) = read(dir.path(), &text).unwrap();
    let mut halves = std::collections::BTreeMap::new();
    time.iter().for_each(|t| *halves.entry(date(t)).or_insert(0_i64) += 1);
    let midnight = |d: jiff::civil::Date| tz.to_timestamp(d.into()).unwrap().as_microsecond();
    let length = |d: jiff::civil::Date| (midnight(d.tomorrow().unwrap()) - midnight(d)) / (30 * MIN);
    let whole = halves.iter().filter(|(d, n)| length(**d) == **n).count();
    (t, q, [whole, halves.len() - whole])
}

#[test]
fn days_are_local_days() {
    for zone in ["Pacific/Auckland", "Europe/Berlin", "America/New_York", "Asia/Kolkata"] {
        let (t, q, [whole, incomplete]) = local_days(zone);
        assert_eq!(t.steps, whole, "{zone}: the incomplete first and last day are left out");
        assert_eq!(count(&q, "partial-step"), incomplete);
        assert!(values(&t).iter().all(|v| [0.0, 46.0, 48.0, 50.0].contains(v)), "{zone}: {:?}", values(&t));
        let full = values(&t).iter().filter(|v| **v > 0.0).count();
        assert!(full.abs_diff(whole / 2) <= 1);
        // The nominal time of each step lies on the local date of that step.
        let tz = TimeZone::get(zone).unwrap();
        let days: Vec<i16> = (0..t.steps).map(|k| tz.to_datetime(t.time(k)).date().day_of_year()).collect();
        assert!(days.windows(2).all(|w| w[1] == w[0] + 1), "{zone}: {days:?}");
        assert!((0..t.steps).all(|k| t.step_at(t.time(k)) == Some(k)));
    }
}

#[test]
fn weeks_begin_on_monday_and_incomplete_ones_are_left_out() {
    // 2024-01-01 is a Monday. The value of each day is the number of its week.
    let time: Vec<i64> = (3..7 * 20 + 2).map(|d| T0 + d * DAY).collect();
    let week: Vec<f64> = (3..7 * 20 + 2).map(|d| (d / 7) as f64).collect();
    let dir = log(vec![times("time", &time), floats("x", &week)]);
    let (t, q) = read(dir.path(), &twin("1w", "", "unit = \"item\", kind = \"amount\"")).unwrap();
    close(&values(&t), &(1..20).map(|w| 7.0 * f64::from(w)).collect::<Vec<_>>());
    assert_eq!((t.start.as_microsecond(), count(&q, "partial-step")), (T0 + 7 * DAY, 2));
}

#[test]
fn stamps_may_mark_the_end_of_the_interval() {
    let time: Vec<i64> = (1..=96).map(|i| T0 + i * 15 * MIN).collect();
    let kwh: Vec<f64> = (0..96).map(|i| f64::from(i % 7 + 1)).collect();
    let dir = log(vec![times("time", &time), floats("x", &kwh)]);
    let (t, _) = read(dir.path(), &twin("1h", ", stamps = \"end\"", "unit = \"kWh\", kind = \"amount\"")).unwrap();
    close(&values(&t), &kwh.chunks(4).map(|c| c.iter().sum()).collect::<Vec<_>>());
    assert_eq!(t.start.as_microsecond(), T0);
}

#[test]
fn several_things_with_equal_times_are_refused_and_can_be_selected() {
    let n = 60;
    let time: Vec<i64> = (0..n).flat_map(|d| [T0 + d * DAY; 3]).collect();
    let shop: Vec<&str> = (0..n).flat_map(|_| ["north", "south", "west"]).collect();
    let sold: Vec<f64> = (0..3 * n).map(|i| (i % 3 * 100 + i / 3 % 5) as f64).collect();
    let dir = log(vec![times("time", &time), texts("shop", &shop), floats("x", &sold)]);
    let text = data_error(dir.path(), &twin("1d", "", "unit = \"1\""));
    assert!(text.contains("`shop`") && text.contains("where = { shop = \"north\" }"), "{text}");
    let (t, q) = read(dir.path(), &twin("1d", ", where = { shop = \"south\" }", "unit = \"1\"")).unwrap();
    close(&values(&t), &(0..n).map(|d| 100.0 + (d % 5) as f64).collect::<Vec<_>>());
    assert!(q.findings.is_empty(), "{:?}", q.findings);
    let text = data_error(dir.path(), &twin("1d", ", where = { shop = \"east\" }", "unit = \"1\""));
    assert!(text.contains("`north`") && text.contains("`west`"), "{text}");
}

/// Every tenth value of an hourly energy signal is missing.
#[test]
fn lost_rows_of_an_amount_are_not_read_as_zero() {
    let kept: Vec<i64> = (0..24 * 20).filter(|h| h % 10 != 3).collect();
    let time: Vec<i64> = kept.iter().map(|h| T0 + h * DAY / 24).collect();
    let dir = log(vec![times("time", &time), floats("x", &vec![2.0; kept.len()])]);
    let signal = |more: &str| format!("unit = \"kWh\", kind = \"amount\"{more}");
    let (t, q) = read(dir.path(), &twin("1d", "", &signal(", partial = \"scale\""))).unwrap();
    assert!(count(&q, "partial-step") > 0, "{:?}", q.findings);
    close(&values(&t), &[48.0; 20]);
    let (t, _) = read(dir.path(), &twin("1d", "", &signal(""))).unwrap();
    assert!(t.columns[0].iter().all(|v| v.is_nan()), "{:?}", t.columns[0]);
}
