//! A wide log: one column per signal, one row per time stamp.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::Finding;
use super::batches::{As, Batches, each_batch};
use super::cast;
use super::files::{self, LogFile, suggestion};
use super::finding::Tally;
use super::scan::{
    ABSENT, Raw, Scan, need_labels, no_usable_times, read_labels, read_times, sort_labels, time_kind, wrong, zone,
};
use super::time::{NO_TIME, TimeReader};
use crate::config::LogSpec;
use crate::error::{Error, Result};

/// Reads a wide log: `wanted` are column names.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, wanted: &[String]) -> Result<Scan> {
    let mut findings = Vec::new();
    let mut reader = TimeReader::new(zone(spec)?, 1);
    let (mut time, mut episode, mut labels) = (Vec::new(), Vec::new(), HashMap::new());
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); wanted.len()];
    let mut breaks = Vec::new();
    for name in wanted {
        if !files.iter().any(|f| f.find(name).is_some()) {
            return Err(missing_column(files, name));
        }
        let lacking: Vec<&str> = files.iter().filter(|f| f.find(name).is_none()).map(|f| f.name.as_str()).collect();
        if !lacking.is_empty() {
            findings.push(Finding {
                signal: name.clone(),
                class: "schema-change".into(),
                count: lacking.len(),
                first: String::new(),
                last: String::new(),
                action: "kept".into(),
                note: format!("the column `{name}` is missing from {}", lacking.join(", ")),
            });
        }
    }
    for file in files {
        let kind = time_kind(file, &spec.time)?;
        let mut select = vec![(spec.time.as_str(), As::Plain)];
        if let Some(episode) = &spec.episode {
            need_labels(file, episode)?;
            select.push((episode.as_str(), As::Codes));
        }
        for column in wanted.iter().filter_map(|name| file.find(name)) {
            files::numeric(column).map_err(|help| {
                Error::Data(format!(
                    "{}: column `{}` has the type {}: {help}",
                    file.name, column.name, column.data_type
                ))
            })?;
        }
        let before = time.len();
        breaks.push(before);
        reader.start(kind);
        each_batch(file, &select, |columns| {
            read_times(&mut reader, &columns[0], |_| 0, &mut time)
                .ok_or_else(|| wrong(file, &spec.time, &columns[0]))?;
            if let (Some(column), Some(name)) = (columns.get(1), &spec.episode) {
                episode.extend(read_labels(column, &mut labels).ok_or_else(|| wrong(file, name, column))?);
            }
            Ok(())
        })?;
        // Column by column: no more of a wide log is decoded at once than there are threads.
        let rows = time.len();
        let columns = wanted.par_iter().zip(&mut values).map(|(name, v)| read_column(file, name, rows, v));
        columns.collect::<Vec<_>>().into_iter().collect::<Result<()>>()?;
        if time[before..].contains(&NO_TIME) {
            let keep: Vec<bool> = time[before..].iter().map(|t| *t != NO_TIME).collect();
            drop_rows(&mut time, before, &keep);
            drop_rows(&mut episode, before, &keep);
            values.par_iter_mut().for_each(|v| drop_rows(v, before, &keep));
        }
    }
    if time.is_empty() {
        return Err(no_usable_times(files, &spec.time, &reader));
    }
    findings.extend(reader.findings(&spec.time));
    let (labels, place) = sort_labels(labels);
    episode.iter_mut().for_each(|c| *c = place[*c as usize]);
    let (time, breaks) = (Arc::new(time), Arc::new(breaks));
    let episode = spec.episode.is_some().then(|| Arc::new(episode));
    let tags = values
        .into_iter()
        .map(|value| Raw {
            time: Arc::clone(&time),
            value,
            episode: episode.clone(),
            breaks: Arc::clone(&breaks),
            flagged: Tally::default(),
        })
        .collect();
    Ok(Scan { tags, labels, findings, long: false })
}

/// Appends a file's column, so that there are `rows` values.
fn read_column(file: &LogFile, name: &str, rows: usize, out: &mut Vec<f64>) -> Result<()> {
    if file.find(name).is_some() {
        let mut batches = Batches::new(file, &[(name, As::Plain)])?;
        while let Some(columns) = batches.next()? {
            columns.iter().try_for_each(|c| cast::floats(c, out).ok_or_else(|| wrong(file, name, c)))?;
        }
    }
    out.resize(rows, ABSENT);
    Ok(())
}

fn drop_rows<T>(values: &mut Vec<T>, from: usize, keep: &[bool]) {
    let mut row = 0;
    values.retain(|_| {
        row += 1;
        row <= from || keep.get(row - 1 - from).copied().unwrap_or(true)
    });
}

fn missing_column(files: &[LogFile], name: &str) -> Error {
    let known: BTreeSet<&str> = files.iter().flat_map(|f| f.columns.iter().map(|c| c.name.as_str())).collect();
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    Error::Data(format!("{names}: there is no column `{name}`; {}", suggestion(name, known)))
}
