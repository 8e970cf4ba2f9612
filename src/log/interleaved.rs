//! Recognises a log in which the rows of several entities, such as zones or units, alternate at slightly different
//! times. The thresholds are not tuned.

use std::collections::BTreeMap;

use super::batches::{Batches, Decoding};
use super::cast;
use super::clock::{REGULAR_SHARE, typical_interval};
use super::detect::quantiles;
use super::entities::{listed, select_one};
use super::footer::{ColumnKind, FileColumn, LogFile};
use super::phases::OFF;
use super::scan::{Scan, Wanted, read_times, time_kind};
use super::time::{NO_TIME, TimeReader};
use crate::config::{LogSpec, LongSpec};
use crate::error::{LogFault, LogKey, Result, plural};

/// Number of rows at the start of the log that are examined.
pub(super) const MAX_ROWS: usize = 500_000;
/// Maximum number of distinct entities, and minimum mean number of rows per entity.
const MAX_THINGS: usize = 1_000;
/// Maximum number of signals that are examined (not tuned), which limits the memory for logs with many columns.
pub(super) const MAX_SIGNALS: usize = 40;
const MIN_ROWS: usize = 5;
/// Minimum fraction of rows that belong to a different entity than the preceding row.
const MIN_CHANGES: f64 = 0.5;
/// The rows of one entity are regular if at least this fraction of their intervals differs from the median by at most a
/// quarter.
const MIN_REGULAR: f64 = 0.8;
/// The values belong to several entities if the mean change between consecutive rows of the same entity is less than
/// this fraction of the mean change between consecutive rows of the log.
const PERSISTENT: f64 = 0.8;
const STRONGLY_PERSISTENT: f64 = 0.5;
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// The rows of a log in chronological order.
struct Rows<'a> {
    time: Vec<i64>,
    /// The values of each signal that is not an event.
    values: Vec<Vec<f64>>,
    /// Whether each row of the first file was read.
    kept: &'a [bool],
}

/// Returns the fault if the rows of several entities alternate.
pub(super) fn interleaved(
    files: &[LogFile],
    spec: &LogSpec,
    scan: &Scan,
    read: &[&Wanted],
) -> Result<Option<LogFault>> {
    let fault = |(name, texts): (String, Vec<String>)| {
        let what = format!(
            "rows with different values of `{name}` alternate ({}: {}), so each signal would mix the values of several entities",
            plural(texts.len(), "value", "values"),
            listed(&texts)
        );
        LogFault::new(LogKey::Where, what, select_one(&name, &texts))
    };
    Ok(distinguishing_column(files, spec, scan, read, false)?.map(fault))
}

/// Returns the column that distinguishes the entities whose rows alternate, and the values of this column. `any` is
/// true if the column may also be one of the numeric columns in `read`.
pub(super) fn distinguishing_column(
    files: &[LogFile],
    spec: &LogSpec,
    scan: &Scan,
    read: &[&Wanted],
    any: bool,
) -> Result<Option<(String, Vec<String>)>> {
    let (Some(file), Some(first)) = (files.first(), scan.tags.first()) else { return Ok(None) };
    if let Some(layout) = spec.long.as_ref().filter(|_| spec.episode.is_none() && spec.only.is_empty()) {
        return in_long_log(file, spec, layout, read);
    }
    let n = scan.first_file.iter().filter(|k| **k).count().min(MAX_ROWS);
    if scan.long || spec.episode.is_some() || n < 4 * MIN_ROWS || read.iter().all(|w| w.events) {
        return Ok(None);
    }
    let is_free = |name: &str| name != spec.time.value && !spec.only.contains_key(name);
    let used = |c: &FileColumn| !(any && c.kind != ColumnKind::Text) && read.iter().any(|w| w.column == c.name);
    let labels = |kind| file.columns.iter().filter(move |c| c.kind == kind && is_free(&c.name) && !used(c));
    let of_numbers = labels(ColumnKind::Integer).chain(labels(ColumnKind::Float));
    let candidates: Vec<_> = labels(ColumnKind::Text).chain(of_numbers).collect();
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut order: Vec<usize> = (0..n).collect();
    let time = first.samples.time();
    order.sort_by_key(|i| time[*i]);
    let sorted = |v: &[f64]| order.iter().map(|i| v[*i]).collect::<Vec<f64>>();
    let levels = scan.tags.iter().zip(read).filter(|(_, w)| !w.events).take(MAX_SIGNALS);
    let names: Vec<&str> = levels.clone().map(|(_, w)| w.column.as_str()).collect();
    let mut rows = Rows {
        time: order.iter().map(|i| time[*i]).collect(),
        values: levels.map(|(t, _)| sorted(&t.samples.samples().value)).collect(),
        kept: &scan.first_file,
    };
    for column in candidates {
        let Some((texts, codes)) = labels_of(file, &column.name, rows.kept, n)? else { continue };
        let codes: Vec<u32> = order.iter().map(|i| codes[*i]).collect();
        let is_number = column.kind != ColumnKind::Text;
        if is_number && !texts.iter().all(|t| t.parse::<f64>().is_ok_and(|v| v.fract() == 0.0)) {
            continue;
        }
        // The values of the column itself cannot show that devices alternate, so they are left out of this test.
        let own = names.iter().position(|name| *name == column.name);
        let values = own.map(|i| rows.values.remove(i));
        let found = alternates(&rows, &codes, &texts, is_number);
        if let (Some(i), Some(values)) = (own, values) {
            rows.values.insert(i, values);
        }
        if found {
            return Ok(Some((column.name.clone(), texts)));
        }
    }
    Ok(None)
}

/// Returns the text column that distinguishes the entities if their rows alternate within the most frequent tag of a
/// log in long format, and the values of this column.
fn in_long_log(
    file: &LogFile,
    spec: &LogSpec,
    layout: &LongSpec,
    read: &[&Wanted],
) -> Result<Option<(String, Vec<String>)>> {
    let (time, tag) = (spec.time.value.as_str(), layout.tag.value.as_str());
    let used = [time, tag, layout.value.value.as_str(), layout.quality.as_ref().map_or("", |q| q.value.as_str())];
    for column in file.columns.iter().filter(|c| c.kind == ColumnKind::Text && !used.contains(&c.name.as_str())) {
        let mut reader = TimeReader::with_settings(spec, 1)?;
        reader.start(time_kind(file, time)?);
        let select = [(time, Decoding::Plain), (tag, Decoding::Codes), (column.name.as_str(), Decoding::Codes)];
        let mut batches = Batches::new(file, &select)?;
        let mut known: BTreeMap<String, u32> = BTreeMap::new();
        let mut rows: Vec<Vec<(i64, u32)>> = vec![Vec::new(); read.len()];
        let mut n = 0;
        while n < MAX_ROWS
            && known.len() <= MAX_THINGS
            && let Some(columns) = batches.next()?
        {
            let wanted = |name: Option<&str>| read.iter().position(|w| Some(w.column.as_str()) == name && !w.events);
            let tags = cast::codes(&columns[1], |name| wanted(name).map_or(u32::MAX, |i| i as u32));
            let labels = cast::codes(&columns[2], |v| {
                let next = known.len() as u32;
                *known.entry(v.unwrap_or("").to_owned()).or_insert(next)
            });
            let mut times = Vec::new();
            let (Some(tags), Some(labels), Some(())) =
                (tags, labels, read_times(&mut reader, &columns[0], |_| Some(0), &mut times))
            else {
                return Ok(None);
            };
            n += times.len();
            for ((tag, label), time) in tags.iter().zip(&labels).zip(times).filter(|(_, time)| *time != NO_TIME) {
                rows.get_mut(*tag as usize).into_iter().for_each(|rows| rows.push((time, *label)));
            }
        }
        let Some(mut rows) = rows.into_iter().max_by_key(Vec::len).filter(|r| r.len() >= 4 * MIN_ROWS) else {
            continue;
        };
        rows.sort_unstable();
        let mut texts = vec![String::new(); known.len()];
        known.into_iter().for_each(|(text, code)| texts[code as usize] = text);
        let codes: Vec<u32> = rows.iter().map(|r| r.1).collect();
        let rows = Rows { time: rows.iter().map(|r| r.0).collect(), values: Vec::new(), kept: &[] };
        if (2..=rows.time.len() / MIN_ROWS).contains(&texts.len()) && alternates(&rows, &codes, &texts, false) {
            texts.sort_unstable();
            return Ok(Some((column.name.clone(), texts)));
        }
    }
    Ok(None)
}

/// Returns the distinct values of a column in sorted order, and the index of the value in each of the first `n` rows
/// that were read. Returns `None` if there are too many distinct values.
fn labels_of(file: &LogFile, name: &str, kept: &[bool], n: usize) -> Result<Option<(Vec<String>, Vec<u32>)>> {
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    let (mut codes, mut row) = (Vec::with_capacity(n), 0);
    let most = MAX_THINGS.min(n / MIN_ROWS);
    let mut batches = Batches::new(file, &[(name, Decoding::Codes)])?;
    while codes.len() < n
        && known.len() <= most
        && let Some(columns) = batches.next()?
    {
        for column in &columns {
            let batch = cast::codes(column, |v| {
                let next = known.len() as u32;
                *known.entry(v.unwrap_or("").to_owned()).or_insert(next)
            });
            let Some(batch) = batch else { return Ok(None) };
            codes.extend(batch.iter().enumerate().filter(|(i, _)| kept.get(row + i) == Some(&true)).map(|(_, c)| *c));
            row += batch.len();
        }
    }
    codes.truncate(n);
    let few = (2..=most).contains(&known.len()) && codes.len() == n;
    let mut place = vec![0; known.len()];
    known.values().enumerate().for_each(|(new, old)| place[*old as usize] = new as u32);
    let codes = codes.into_iter().map(|c| place[c as usize]).collect();
    Ok(few.then(|| (known.into_keys().collect(), codes)))
}

/// Returns true if the rows of several entities alternate. For each row, `codes` contains the index of the entity to
/// which the row belongs.
fn alternates(rows: &Rows<'_>, codes: &[u32], texts: &[String], integer: bool) -> bool {
    let n = codes.len();
    let changes = codes.windows(2).filter(|w| w[0] != w[1]).count();
    if (changes as f64) < MIN_CHANGES * (n - 1) as f64 || is_calendar(&rows.time, codes, texts) {
        return false;
    }
    let mut of_thing: Vec<Vec<usize>> = vec![Vec::new(); texts.len()];
    codes.iter().enumerate().for_each(|(row, c)| of_thing[*c as usize].push(row));
    if is_switch(texts) && rows.values.iter().any(|v| is_off(v, &of_thing)) {
        return false;
    }
    let regular: usize = of_thing.iter().filter(|rows_of| is_regular(&rows.time, rows_of)).map(Vec::len).sum();
    let is_regular = regular as f64 >= 0.9 * n as f64;
    let persistence = rows.values.iter().filter_map(|v| persistence(v, &of_thing)).fold(f64::INFINITY, f64::min);
    match integer {
        true => is_regular && persistence < PERSISTENT,
        false => is_regular || persistence < STRONGLY_PERSISTENT,
    }
}

/// Whether the labels are the two states of a machine.
fn is_switch(texts: &[String]) -> bool {
    const STATES: [[&str; 2]; 7] = [
        ["0", "1"],
        ["off", "on"],
        ["false", "true"],
        ["aus", "ein"],
        ["an", "aus"],
        ["closed", "open"],
        ["stop", "run"],
    ];
    let mut lower: Vec<String> = texts.iter().map(|t| t.trim().to_lowercase()).collect();
    lower.sort_unstable();
    STATES.iter().any(|states| lower == states)
}

/// Whether a signal is about 0 in the rows of one label, such as the flow of a pump that is off, and not in those of
/// the others.
fn is_off(value: &[f64], of_thing: &[Vec<usize>]) -> bool {
    let median = |rows: &Vec<usize>| {
        let finite = rows.iter().map(|row| value[*row].abs()).filter(|v| v.is_finite());
        quantiles(finite, rows.len(), [0.5])[0]
    };
    let sizes = || of_thing.iter().map(median);
    sizes().fold(f64::INFINITY, f64::min) <= OFF * sizes().fold(0.0, f64::max)
}

fn is_regular(time: &[i64], rows: &[usize]) -> bool {
    let mut intervals: Vec<i64> = rows.windows(2).map(|w| time[w[1]] - time[w[0]]).collect();
    if intervals.len() + 1 < MIN_ROWS {
        return false;
    }
    intervals.sort_unstable();
    let median = intervals[intervals.len() / 2];
    let near = intervals.iter().filter(|d| 4 * (**d - median).abs() <= median).count();
    near as f64 >= MIN_REGULAR * intervals.len() as f64
}

/// Returns the ratio of two mean changes: between consecutive values of the same entity, and between consecutive rows
/// of the log.
fn persistence(value: &[f64], of_thing: &[Vec<usize>]) -> Option<f64> {
    let mean = |pairs: &mut dyn Iterator<Item = (usize, usize)>| {
        let changes = pairs.map(|(a, b)| (value[b] - value[a]).abs()).filter(|d| d.is_finite());
        let (sum, n) = changes.fold((0.0, 0), |(sum, n), d| (sum + d, n + 1));
        (n > 0).then(|| sum / f64::from(n))
    };
    let own = mean(&mut of_thing.iter().flat_map(|rows| rows.windows(2).map(|w| (w[0], w[1]))))?;
    let all = mean(&mut (1..value.len()).map(|i| (i - 1, i)))?;
    (all > 0.0).then(|| own / all)
}

/// Returns true if the log is regular and its labels follow the calendar, such as the hour of the day or the weekday.
fn is_calendar(time: &[i64], codes: &[u32], texts: &[String]) -> bool {
    let Some((interval, share)) = typical_interval(time).filter(|i| i.1 >= REGULAR_SHARE) else { return false };
    let period = interval * texts.len() as i64;
    let near = |cycle: i64| (period - cycle).abs() <= cycle / 30;
    let minute = |i: usize| {
        texts[codes[i] as usize].trim().parse::<i64>().ok() == Some(time[i].rem_euclid(HOUR_US) / 60_000_000)
    };
    let days = [1, 7, 31, 365].iter().any(|days| near(days * DAY_US));
    share > 0.0 && (days || near(HOUR_US) && (0..codes.len()).all(minute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    const MIN: i64 = 60_000_000;

    fn check(time: &[i64], value: impl Fn(usize) -> f64, label: impl Fn(usize) -> i64, integer: bool) -> bool {
        let labels: Vec<i64> = (0..time.len()).map(label).collect();
        let mut texts = labels.clone();
        texts.sort_unstable();
        texts.dedup();
        let code = |l: &i64| texts.binary_search(l).unwrap() as u32;
        let codes: Vec<u32> = labels.iter().map(code).collect();
        let texts: Vec<String> = texts.iter().map(i64::to_string).collect();
        let rows = Rows { time: time.to_vec(), values: vec![(0..time.len()).map(value).collect()], kept: &[] };
        alternates(&rows, &codes, &texts, integer)
    }

    #[test]
    fn zones_that_alternate_are_found_and_parts_of_the_calendar_are_not() {
        let noise = |i: usize| Key::new(9).normal(i as u64);
        let zone = |i: usize| 20.0 + 3.0 * (i % 2) as f64 + 0.1 * noise(i);
        let two = |i: usize| 1 + (i % 2) as i64;
        for offset in [MIN / 3, 3 * MIN, 5 * MIN] {
            let time: Vec<i64> = (0..400).map(|i| i / 2 * 10 * MIN + i % 2 * offset).collect();
            assert!(check(&time, zone, two, true) && check(&time, zone, two, false), "{offset}");
            // two zones with equal temperatures: only a text column shows that they are different entities
            assert!(!check(&time, noise, two, true) && check(&time, noise, two, false), "{offset}");
        }
        let hourly: Vec<i64> = (0..1_000).map(|i| i * HOUR_US).collect();
        let sun = |i: usize| (i as f64 / 24.0 * std::f64::consts::TAU).sin() + 0.01 * noise(i);
        let hour = |i: usize| (i % 24) as i64;
        let measured = |i: usize| (10.0 * sun(i)).round() as i64;
        let quarter: Vec<i64> = (0..1_000).map(|i| i * 15 * MIN).collect();
        for integer in [true, false] {
            assert!(!check(&hourly, sun, hour, integer));
            assert!(!check(&quarter, sun, |i| (i % 4) as i64 * 15, integer));
        }
        assert!(!check(&hourly, sun, measured, true));
        // a pump that is switched at every row, and a log of two units of which both run
        let on = |i: usize| (i % 2) as i64;
        assert!(!check(&hourly, |i| (i % 2) as f64 * 12.0 + 0.1 * noise(i), on, false));
        assert!(check(&hourly, |i| 10.0 + (i % 2) as f64 * 12.0 + 0.1 * noise(i), on, false));
        // a mode that changes after several rows
        assert!(!check(&hourly, zone, |i| (i / 7 % 3) as i64, false));
    }
}
