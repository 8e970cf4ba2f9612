//! Recognises a log in which several entities, such as products or zones, have rows with the same times.

use std::collections::{HashMap, HashSet};

use super::batches::{Decoding, each_batch};
use super::cast;
use super::footer::{ColumnKind, LogFile};
use super::scan::{RawSamples, Scan, Wanted};
use crate::config::LogSpec;
use crate::error::{LogFault, LogKey, Result, plural};

/// A log is refused if more than this fraction of its rows have the same time as another row but different values (not
/// tuned).
const MAX_CONFLICTS: f64 = 0.1;
/// Maximum number of distinct values of a column that distinguishes rows with equal times (not tuned).
const MAX_ENTITIES: usize = 10_000;
/// Number of rows at the start of a file that are searched for the distinguishing column (not tuned).
const MAX_ROWS: usize = 500_000;
/// Maximum number of values that a message lists (not tuned).
const MAX_NAMES: usize = 4;

/// Returns the fault if many rows of the log have the same time as another row but different values. `read` describes
/// the tags in `scan`.
pub(super) fn several_rows_per_time(
    files: &[LogFile],
    spec: &LogSpec,
    scan: &Scan,
    read: &[&Wanted],
) -> Result<Option<LogFault>> {
    if spec.episode.is_some() {
        return Ok(None);
    }
    let used: Vec<&RawSamples> = scan.tags.iter().zip(read).filter(|(_, w)| !w.events).map(|(t, _)| t).collect();
    let names = |amounts: bool| -> Vec<String> {
        read.iter().filter(|w| !w.events && w.amounts == amounts).map(|w| w.column.clone()).collect()
    };
    let fraction = |c: &(usize, usize)| c.0 as f64 / c.1.max(1) as f64;
    let conflicts = match scan.long {
        true => used.iter().map(|t| conflicts(&[t])).max_by(|a, b| fraction(a).total_cmp(&fraction(b))),
        false => Some(conflicts(&used)),
    };
    let Some((conflicts, rows)) = conflicts.filter(|c| c.0 as f64 > MAX_CONFLICTS * c.1 as f64) else {
        return Ok(None);
    };
    let (levels, amounts) = (names(false), names(true));
    let what = format!(
        "{conflicts} of {rows} rows have the same time as another row but different values of {}",
        listed(&if levels.is_empty() { amounts.clone() } else { levels.clone() })
    );
    // Rows can be added only if they contain amounts.
    let add = match levels.is_empty() {
        true => ", or add `empty = 0` to signals whose rows are events to be added".to_owned(),
        false => String::new(),
    };
    let column = match files.first() {
        Some(file) => telling_column(file, spec)?,
        None => None,
    };
    let fault = match column {
        Some((name, values)) if values.iter().all(|v| is_clock(v)) => LogFault::new(
            LogKey::Time,
            format!("{what}; the column `{name}` contains the time of day ({})", listed(&values)),
            "put the date and the time of day into one time column, as `twinopt import` does",
        ),
        Some((name, values)) => {
            let n = plural(values.len(), "value", "values");
            LogFault::new(
                LogKey::Where,
                format!("{what}; the column `{name}` distinguishes these rows ({n}: {})", listed(&values)),
                select_one(&name, &values) + &add,
            )
        }
        None => LogFault::new(LogKey::Files, what, format!("export one row per time{add}")),
    };
    Ok(Some(fault))
}

/// Advice to select the rows with one of the given values of column `name`.
pub(super) fn select_one(name: &str, values: &[String]) -> String {
    let example = toml::Value::String(values.first().cloned().unwrap_or_default());
    format!(
        "select the rows of one of them, like `where = {{ {name} = {example} }}` in `log`, or in each signal to use several of them"
    )
}

/// Lists the first few names.
pub(super) fn listed(names: &[String]) -> String {
    let some = names.iter().take(MAX_NAMES).map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES { some + ", …" } else { some }
}

/// Whether a text is a time of day, such as `08:15`.
fn is_clock(text: &str) -> bool {
    text.trim().parse::<jiff::civil::Time>().is_ok()
}

/// Returns the number of rows that have the same time as an earlier row but a different value of at least one tag, and
/// the total number of rows. All tags have the same times.
fn conflicts(tags: &[&RawSamples]) -> (usize, usize) {
    let Some(time) = tags.first().map(|t| t.samples.time()) else { return (0, 0) };
    let repeated = |sorted: &[i64]| sorted.windows(2).filter(|w| w[0] == w[1]).count();
    let repeats = if time.is_sorted() {
        repeated(&time)
    } else {
        let mut sorted = time.as_ref().clone();
        sorted.sort_unstable();
        repeated(&sorted)
    };
    if repeats as f64 <= MAX_CONFLICTS * time.len() as f64 {
        return (0, time.len());
    }
    let samples: Vec<_> = tags.iter().map(|t| t.samples.samples()).collect();
    let mut first: HashMap<i64, usize> = HashMap::with_capacity(time.len());
    // Rows from different files may have different columns, so a missing value does not count as different.
    let differs = |a: usize, b: usize| {
        let differ = |a: f64, b: f64| a != b && !a.is_nan() && !b.is_nan();
        samples.iter().any(|s| differ(s.value[a], s.value[b]))
    };
    let n = (0..time.len()).filter(|i| {
        let earlier = *first.entry(time[*i]).or_insert(*i);
        earlier != *i && differs(earlier, *i)
    });
    (n.count(), time.len())
}

/// Returns the first column that, together with the time (and the tag), identifies at least 95 % of the rows uniquely,
/// and the distinct values of this column.
fn telling_column(file: &LogFile, spec: &LogSpec) -> Result<Option<(String, Vec<String>)>> {
    let tag = spec.long.as_ref().map(|l| l.tag.value.as_str());
    let used = |name: &str| name == spec.time.value || Some(name) == tag || spec.only.contains_key(name);
    let text = |c: &&super::footer::FileColumn| c.kind == ColumnKind::Text;
    let integer = |c: &&super::footer::FileColumn| c.kind == ColumnKind::Integer;
    let candidates = file.columns.iter().filter(text).chain(file.columns.iter().filter(integer));
    let mut select = vec![(spec.time.value.as_str(), Decoding::Codes)];
    select.extend(tag.map(|t| (t, Decoding::Codes)));
    for column in candidates.filter(|c| !used(&c.name)) {
        let mut select = select.clone();
        select.push((column.name.as_str(), Decoding::Codes));
        let mut known: Vec<HashMap<String, u32>> = vec![HashMap::new(); select.len()];
        let (mut keys, mut rows): (HashSet<Vec<u32>>, usize) = (HashSet::new(), 0);
        each_batch(file, &select, |columns| {
            if rows >= MAX_ROWS {
                return Ok(());
            }
            let coded: Option<Vec<Vec<u32>>> = columns
                .iter()
                .zip(&mut known)
                .map(|(column, known)| {
                    cast::codes(column, |v| {
                        let next = known.len() as u32;
                        *known.entry(v.unwrap_or("").to_owned()).or_insert(next)
                    })
                })
                .collect();
            if let Some(coded) = coded.filter(|_| known.last().is_some_and(|k| k.len() <= MAX_ENTITIES)) {
                let n = coded.first().map_or(0, Vec::len);
                keys.extend((0..n).map(|row| coded.iter().map(|c| c[row]).collect::<Vec<u32>>()));
            }
            rows += columns.first().map_or(0, |c| c.len());
            Ok(())
        })?;
        let mut values: Vec<String> = known.pop().unwrap_or_default().into_keys().collect();
        if values.len() > 1 && keys.len() as f64 >= 0.95 * rows as f64 {
            values.sort();
            return Ok(Some((column.name.clone(), values)));
        }
    }
    Ok(None)
}
