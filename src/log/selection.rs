//! Reads the columns of the signals, once for each selection of rows (`where`).

use std::collections::HashMap;
use std::sync::Arc;

use super::entities::several_rows_per_time;
use super::footer::{ColumnKind, FileColumn, LogFile};
use super::interleaved::{MAX_SIGNALS, distinguishing_column, interleaved};
use super::phases::{Devices, MAX_ROWS, devices};
use super::scan::{RawSamples, Scan, Wanted};
use super::{long, wide};
use crate::config::LogSpec;
use crate::error::{Error, LogFault, LogKey, Result};

/// Reads the columns `wanted`. The tags of the result are in the order of `wanted`.
///
/// # Errors
/// In addition to the errors of the readers, [`Error::Log`] if a selection contains the rows of several entities.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, wanted: &[Wanted]) -> Result<Scan> {
    // The indices of the columns in each group that is read from the same rows.
    let mut selections: Vec<Vec<usize>> = Vec::new();
    for (i, w) in wanted.iter().enumerate() {
        match selections.iter_mut().find(|members| wanted[members[0]].only == w.only) {
            Some(members) => members.push(i),
            None => selections.push(vec![i]),
        }
    }
    let mut all = Scan::default();
    all.tags.resize_with(wanted.len(), RawSamples::default);
    all.own_times = selections.len() > 1;
    for members in selections {
        let mut own = spec.clone();
        for (column, labels) in &wanted[members[0]].only {
            if spec.only.contains_key(column) {
                let what = format!(
                    "`where` of `log` and of a signal that reads `{}` both select rows by `{column}`",
                    wanted[members[0]].column
                );
                let help = format!("select rows by `{column}` either in `log` or in the signals");
                return Err(Error::Log(vec![LogFault::new(LogKey::Where, what, help)]));
            }
            own.only.insert(column.clone(), labels.clone());
        }
        let columns: Vec<String> = members.iter().map(|i| wanted[*i].column.clone()).collect();
        let mut scan = match &own.long {
            Some(layout) => long::read(files, &own, layout, &columns)?,
            None => wide::read(files, &own, &columns)?,
        };
        let read: Vec<&Wanted> = members.iter().map(|i| &wanted[*i]).collect();
        let several = several_rows_per_time(files, &own, &scan, &read)?;
        if let Some(fault) = several.map_or_else(|| interleaved(files, &own, &scan, &read), |f| Ok(Some(f)))? {
            return Err(Error::Log(vec![fault]));
        }
        match alternating_devices(&scan, &own, &read) {
            Some(Devices::Certain(fault)) => return Err(Error::Log(vec![fault])),
            Some(Devices::Possible(finding)) => scan.findings.push(finding),
            None => {}
        }
        add(&mut all, scan, &members);
    }
    Ok(all)
}

/// Looks for rows of several devices that no column distinguishes. In a log in long format, only the tag with the most
/// samples is examined.
fn alternating_devices(scan: &Scan, spec: &LogSpec, read: &[&Wanted]) -> Option<Devices> {
    if spec.episode.is_some() || read.iter().any(|w| w.events) {
        return None;
    }
    let longest = || scan.tags.iter().max_by_key(|t| t.samples.len());
    let tags: Vec<&RawSamples> = if scan.long { longest().into_iter().collect() } else { scan.tags.iter().collect() };
    let time = tags.first()?.samples.time();
    let mut order: Vec<usize> = (0..time.len()).collect();
    if !time.is_sorted() {
        order.sort_by_key(|i| time[*i]);
    }
    order.truncate(MAX_ROWS);
    let values = |tag: &&RawSamples| -> Vec<f64> {
        let samples = tag.samples.samples();
        order.iter().map(|i| samples.value[*i]).collect()
    };
    let values: Vec<Vec<f64>> = tags.iter().take(MAX_SIGNALS).map(values).collect();
    devices(&order.iter().map(|i| time[*i]).collect::<Vec<i64>>(), &values)
}

/// Returns the column that distinguishes the entities whose rows alternate in a wide log, if there is one.
pub(super) fn alternating(files: &[LogFile], spec: &LogSpec, wanted: &[Wanted]) -> Result<Option<String>> {
    let columns: Vec<String> = wanted.iter().map(|w| w.column.clone()).collect();
    let is_label = |c: &FileColumn| {
        let is_number = matches!(c.kind, ColumnKind::Integer | ColumnKind::Float);
        c.name != spec.time.value && (is_number || c.kind == ColumnKind::Text && !columns.contains(&c.name))
    };
    // If the log has no column that could distinguish entities, the values need not be read.
    if !files.iter().take(1).any(|f| f.columns.iter().any(is_label)) {
        return Ok(None);
    }
    let scan = wide::read(files, spec, &columns)?;
    let read: Vec<&Wanted> = wanted.iter().collect();
    Ok(distinguishing_column(files, spec, &scan, &read, true)?.map(|(name, _)| name))
}

/// Adds the result `scan` of one selection of rows to `all`; `members` are the indices of its tags.
fn add(all: &mut Scan, scan: Scan, members: &[usize]) {
    let codes: Vec<u32> = scan
        .labels
        .into_iter()
        .map(|label| {
            let known = all.labels.iter().position(|l| *l == label);
            known.unwrap_or_else(|| {
                all.labels.push(label);
                all.labels.len() - 1
            }) as u32
        })
        .collect();
    let mut renumbered: HashMap<*const Vec<u32>, Arc<Vec<u32>>> = HashMap::new();
    for (i, mut tag) in members.iter().zip(scan.tags) {
        tag.episode = tag.episode.map(|e| {
            let new = renumbered
                .entry(Arc::as_ptr(&e))
                .or_insert_with(|| Arc::new(e.iter().map(|c| codes[*c as usize]).collect()));
            Arc::clone(new)
        });
        all.tags[*i] = tag;
    }
    for finding in scan.findings {
        if !all.findings.contains(&finding) {
            all.findings.push(finding);
        }
    }
    all.long = scan.long;
    all.own_times |= scan.long;
    all.numbers = all.numbers.or(scan.numbers);
    all.without_zone = all.without_zone.max(scan.without_zone);
}
