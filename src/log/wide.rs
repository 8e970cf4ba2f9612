//! Reads a wide log, which has one column per signal and one row per time stamp.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::batches::{Batches, Decoding, each_batch};
use super::cast;
use super::footer::LogFile;
use super::missing::ABSENT;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::scan::{
    RawSamples, Scan, no_usable_times, read_labels, read_times, require_labels, sort_labels, time_kind, wrong_type,
    zone,
};
use super::text::suggestion;
use super::time::{NO_TIME, TimeReader};
use crate::config::LogSpec;
use crate::error::{Error, Result};

/// The rows that have been read so far.
struct Rows<'a> {
    spec: &'a LogSpec,
    wanted: &'a [String],
    times: TimeReader,
    time: Vec<i64>,
    episode: Vec<u32>,
    labels: HashMap<String, u32>,
    /// `[wanted][rows]`.
    values: Vec<Vec<f64>>,
    /// Index of the first row of each file.
    breaks: Vec<usize>,
}

/// Reads the columns `wanted` from a wide log.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, wanted: &[String]) -> Result<Scan> {
    let mut findings = absent_columns(files, wanted)?;
    let mut rows = Rows {
        spec,
        wanted,
        times: TimeReader::new(zone(spec)?, 1),
        time: Vec::new(),
        episode: Vec::new(),
        labels: HashMap::new(),
        values: vec![Vec::new(); wanted.len()],
        breaks: Vec::new(),
    };
    files.iter().try_for_each(|file| rows.read(file))?;
    if rows.time.is_empty() {
        return Err(no_usable_times(files, &spec.time, &rows.times));
    }
    findings.extend(rows.times.findings(&spec.time));
    let (labels, new_codes) = sort_labels(rows.labels);
    rows.episode.iter_mut().for_each(|c| *c = new_codes[*c as usize]);
    let (time, breaks) = (Arc::new(rows.time), Arc::new(rows.breaks));
    let episode = spec.episode.is_some().then(|| Arc::new(rows.episode));
    let tags = rows.values.into_iter().map(|value| RawSamples {
        time: Arc::clone(&time),
        value,
        episode: episode.clone(),
        breaks: Arc::clone(&breaks),
        flagged: Occurrences::default(),
    });
    Ok(Scan { tags: tags.collect(), labels, findings, long: false })
}

impl Rows<'_> {
    fn read(&mut self, file: &LogFile) -> Result<()> {
        let Self { spec, wanted, .. } = *self;
        let kind = time_kind(file, &spec.time)?;
        let mut select = vec![(spec.time.as_str(), Decoding::Plain)];
        if let Some(episode) = &spec.episode {
            require_labels(file, episode)?;
            select.push((episode.as_str(), Decoding::Codes));
        }
        for column in wanted.iter().filter_map(|name| file.find(name)) {
            column.require_numeric().map_err(|help| {
                Error::Data(format!(
                    "{}: column `{}` has the type {}: {help}",
                    file.name, column.name, column.data_type
                ))
            })?;
        }
        let before = self.time.len();
        self.breaks.push(before);
        self.times.start(kind);
        let (times, time, episode, labels) = (&mut self.times, &mut self.time, &mut self.episode, &mut self.labels);
        each_batch(file, &select, |columns| {
            read_times(times, &columns[0], |_| 0, time).ok_or_else(|| wrong_type(file, &spec.time, &columns[0]))?;
            if let (Some(column), Some(name)) = (columns.get(1), &spec.episode) {
                episode.extend(read_labels(column, labels).ok_or_else(|| wrong_type(file, name, column))?);
            }
            Ok(())
        })?;
        // Each thread reads one column at a time, so the number of columns decoded at once is at most the number of
        // threads.
        let rows = self.time.len();
        let columns = wanted.par_iter().zip(&mut self.values).map(|(name, v)| read_column(file, name, rows, v));
        columns.collect::<Vec<_>>().into_iter().collect::<Result<()>>()?;
        if self.time[before..].contains(&NO_TIME) {
            let keep: Vec<bool> = self.time[before..].iter().map(|t| *t != NO_TIME).collect();
            drop_rows(&mut self.time, before, &keep);
            drop_rows(&mut self.episode, before, &keep);
            self.values.par_iter_mut().for_each(|v| drop_rows(v, before, &keep));
        }
        Ok(())
    }
}

/// Returns a finding for each column in `wanted` that is missing from some files.
///
/// # Errors
/// [`Error::Data`] if a column is missing from all files.
fn absent_columns(files: &[LogFile], wanted: &[String]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in wanted {
        let lacking: Vec<&str> = files.iter().filter(|f| f.find(name).is_none()).map(|f| f.name.as_str()).collect();
        if lacking.len() == files.len() {
            return Err(unknown_column(files, name));
        }
        if !lacking.is_empty() {
            findings.push(Finding {
                signal: name.clone(),
                class: FindingClass::SchemaChange,
                count: lacking.len(),
                first: String::new(),
                last: String::new(),
                action: FindingAction::Kept,
                note: format!("the column `{name}` is missing from {}", lacking.join(", ")),
            });
        }
    }
    Ok(findings)
}

/// Appends a column of a file to `out`, which then contains `rows` values.
fn read_column(file: &LogFile, name: &str, rows: usize, out: &mut Vec<f64>) -> Result<()> {
    if file.find(name).is_some() {
        let mut batches = Batches::new(file, &[(name, Decoding::Plain)])?;
        while let Some(columns) = batches.next()? {
            columns.iter().try_for_each(|c| cast::floats(c, out).ok_or_else(|| wrong_type(file, name, c)))?;
        }
    }
    out.resize(rows, ABSENT);
    Ok(())
}

/// Keeps the first `from` rows, and drops any later row for which `keep` is false.
fn drop_rows<T>(values: &mut Vec<T>, from: usize, keep: &[bool]) {
    let mut row = 0;
    values.retain(|_| {
        row += 1;
        row <= from || keep.get(row - 1 - from).copied().unwrap_or(true)
    });
}

fn unknown_column(files: &[LogFile], name: &str) -> Error {
    let known: BTreeSet<&str> = files.iter().flat_map(|f| f.columns.iter().map(|c| c.name.as_str())).collect();
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    Error::Data(format!("{names}: there is no column `{name}`; {}", suggestion(name, known)))
}
