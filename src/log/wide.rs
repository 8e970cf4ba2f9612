//! Reads a wide log, which has one column per signal and one row per time stamp.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;

use super::batches::{Batches, Decoding, each_batch};
use super::footer::LogFile;
use super::interleaved;
use super::missing::ABSENT;
use super::numerals::{Cell, Numerals, OtherTexts};
use super::quality::{Finding, FindingAction, FindingClass};
use super::row_filter::RowFilter;
use super::samples::Samples;
use super::scan::{RawSamples, Scan, read_labels, read_times, require_labels, sort_labels, time_kind, wrong_type};
use super::store::Store;
use super::text::suggestion;
use super::time::{NO_TIME, TimeReader};
use crate::config::LogSpec;
use crate::error::{Error, LogFault, LogKey, Result};

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
    numerals: Numerals,
    /// Texts among the numbers of each column in `wanted`.
    other_texts: Vec<OtherTexts>,
    filter: RowFilter<'a>,
    /// Index of the first row of each file.
    breaks: Vec<usize>,
    /// Whether each row of the first file is read.
    first_file: Vec<bool>,
}

/// Reads the columns `wanted` from a wide log.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, wanted: &[String]) -> Result<Scan> {
    let mut findings = absent_columns(files, wanted)?;
    let mut rows = Rows {
        spec,
        wanted,
        times: TimeReader::with_settings(spec, 1)?,
        time: Vec::new(),
        episode: Vec::new(),
        labels: HashMap::new(),
        values: vec![Vec::new(); wanted.len()],
        numerals: Numerals::new(spec),
        other_texts: wanted.iter().map(|_| OtherTexts::default()).collect(),
        filter: RowFilter::new(&spec.only),
        breaks: Vec::new(),
        first_file: Vec::new(),
    };
    files.iter().try_for_each(|file| rows.read(file))?;
    let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
    let texts = wanted.iter().zip(&rows.other_texts);
    let mut faults: Vec<LogFault> = texts
        .filter_map(|(name, o)| o.fault(LogKey::Column(name.clone()), &format!("{names}: the column `{name}`")))
        .collect();
    rows.filter.require_rows()?;
    faults.extend(rows.times.fault(files, rows.time.len()));
    if !faults.is_empty() {
        return Err(Error::Log(faults));
    }
    findings.extend(rows.times.findings(files));
    let (labels, new_codes) = sort_labels(rows.labels);
    rows.episode.iter_mut().for_each(|c| *c = new_codes[*c as usize]);
    let (time, breaks) = (Arc::new(rows.time), Arc::new(rows.breaks));
    let episode = spec.episode.is_some().then(|| Arc::new(rows.episode));
    let tags = rows.values.into_iter().map(|value| RawSamples {
        samples: Store::Plain(Samples { time: Arc::clone(&time), value, length: Vec::new() }),
        episode: episode.clone(),
        breaks: Arc::clone(&breaks),
        ..RawSamples::default()
    });
    let (numbers, without_zone) = (rows.times.numbers(), rows.times.without_zone());
    let first_file = rows.first_file;
    Ok(Scan {
        tags: tags.collect(),
        labels,
        findings,
        long: false,
        own_times: false,
        first_file,
        numbers,
        without_zone,
    })
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
                let what = format!("{}: column `{}` has the type {}", file.name, column.name, column.data_type);
                Error::log(LogKey::Column(column.name.clone()), what, help)
            })?;
        }
        let before = self.time.len();
        self.breaks.push(before);
        self.times.start(kind);
        let selected = match spec.only.is_empty() {
            true => vec![true; file.rows],
            false => self.filter.select_file(file)?,
        };
        let (times, time, episode, labels) = (&mut self.times, &mut self.time, &mut self.episode, &mut self.labels);
        each_batch(file, &select, |columns| {
            let first = time.len() - before;
            let clock = |row: usize| selected.get(first + row).is_none_or(|s| *s).then_some(0);
            read_times(times, &columns[0], clock, time).ok_or_else(|| wrong_type(file, &spec.time, &columns[0]))?;
            if let (Some(column), Some(name)) = (columns.get(1), &spec.episode) {
                episode.extend(read_labels(column, labels).ok_or_else(|| wrong_type(file, name, column))?);
            }
            Ok(())
        })?;
        // Each thread reads one column at a time, so the number of columns decoded at once is at most the number of
        // threads.
        let rows = self.time.len();
        let numerals = &self.numerals;
        let columns = wanted.par_iter().zip(self.values.par_iter_mut().zip(&mut self.other_texts));
        let columns = columns.map(|(name, (v, other))| read_column(file, name, numerals, &selected, rows, v, other));
        columns.collect::<Vec<_>>().into_iter().collect::<Result<()>>()?;
        let times = self.time[before..].iter();
        let keep: Vec<bool> = times.zip(&selected).map(|(t, selected)| *selected && *t != NO_TIME).collect();
        if keep.contains(&false) {
            drop_rows(&mut self.time, before, &keep);
            drop_rows(&mut self.episode, before, &keep);
            self.values.par_iter_mut().for_each(|v| drop_rows(v, before, &keep));
        }
        if self.breaks.len() == 1 {
            self.first_file = keep;
            self.first_file.truncate(interleaved::MAX_ROWS);
        }
        Ok(())
    }
}

/// Returns a finding for each column in `wanted` that is missing from some files.
///
/// # Errors
/// [`Error::Log`] if a column is missing from all files.
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
                note: format!(
                    "the column `{name}` is missing from {}; add it to these files, or leave the files out of `log.files`",
                    lacking.join(", ")
                ),
            });
        }
    }
    Ok(findings)
}

/// Appends a column of a file to `out`, which then contains `rows` values.
fn read_column(
    file: &LogFile,
    name: &str,
    numerals: &Numerals,
    selected: &[bool],
    rows: usize,
    out: &mut Vec<f64>,
    other: &mut OtherTexts,
) -> Result<()> {
    if file.find(name).is_some() {
        let (before, mut first) = (out.len(), 0);
        let mut batches = Batches::new(file, &[(name, Decoding::Codes)])?;
        while let Some(columns) = batches.next()? {
            for c in &columns {
                let note = |row: usize, cell: Cell<'_>| {
                    if selected.get(first + row).copied().unwrap_or(true) {
                        other.add(cell);
                    }
                };
                numerals.read(c, out, note).ok_or_else(|| wrong_type(file, name, c))?;
                first = out.len() - before;
            }
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
    let what = format!("{names}: there is no column `{name}`");
    Error::log(LogKey::Column(name.to_owned()), what, suggestion(name, known))
}
