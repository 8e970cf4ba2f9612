//! Reads a log in long format, as exported by historians. Each row contains one sample with its tag and quality flag.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::ArrayRef;

use super::batches::{Decoding, each_batch};
use super::cast;
use super::flags::{BadFlags, GoodFlags};
use super::footer::{ColumnKind, LogFile};
use super::numerals::{Cell, Numerals, OtherTexts};
use super::occurrences::Occurrences;
use super::packed::Packed;
use super::row_filter::RowFilter;
use super::scan::{
    RawSamples, Scan, read_labels, read_times, require, require_labels, sort_labels, time_kind, wrong_type,
};
use super::store::Store;
use super::text::suggestion;
use super::time::{NO_TIME, TimeReader};
use crate::config::{LogSpec, LongSpec};
use crate::error::{Error, LogFault, LogKey, Result};

/// Index shared by all tags that are not read.
const OTHER_TAG: u32 = u32::MAX;
/// Maximum number of unread tags whose names are kept for suggestions (not tuned).
const MAX_OTHER_TAGS: usize = 10_000;

/// The samples of one tag that have been read so far.
#[derive(Default)]
struct TagSamples {
    time: Packed<i64>,
    value: Packed<f64>,
    episode: Vec<u32>,
    /// Index of the first sample of each file.
    breaks: Vec<usize>,
    flagged: Occurrences,
    flagged_times: Packed<i64>,
    bad_flags: BadFlags,
    other_texts: OtherTexts,
}

/// State of the reader of a long log, including the samples that have been read so far.
struct LongReader<'a> {
    spec: &'a LogSpec,
    long: &'a LongSpec,
    /// Maps the name of each tag that is read to the index of the tag.
    wanted: HashMap<&'a str, u32>,
    times: TimeReader,
    tags: Vec<TagSamples>,
    other_tags: BTreeSet<String>,
    labels: HashMap<String, u32>,
    numerals: Numerals,
    filter: RowFilter<'a>,
    /// Buffers for the times and values of one batch.
    batch_times: Vec<i64>,
    batch_values: Vec<f64>,
}

/// Reads the tags `wanted` from a long log.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, long: &LongSpec, wanted: &[String]) -> Result<Scan> {
    let mut reader = LongReader {
        spec,
        long,
        wanted: wanted.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect(),
        // Each tag in `wanted` has its own clock, and all other tags share one clock.
        times: TimeReader::with_settings(spec, wanted.len() + 1)?,
        tags: wanted.iter().map(|_| TagSamples::default()).collect(),
        other_tags: BTreeSet::new(),
        labels: HashMap::new(),
        numerals: Numerals::new(spec),
        filter: RowFilter::new(&spec.only),
        batch_times: Vec::new(),
        batch_values: Vec::new(),
    };
    files.iter().try_for_each(|file| reader.read(file))?;
    reader.filter.require_rows()?;
    let faults = reader.faults(files, wanted);
    if !faults.is_empty() {
        return Err(Error::Log(faults));
    }
    let findings = reader.times.findings(files);
    let (numbers, without_zone) = (reader.times.numbers(), reader.times.without_zone());
    let (labels, new_codes) = sort_labels(reader.labels);
    let tags = reader.tags.into_iter().map(|mut s| {
        s.episode.iter_mut().for_each(|c| *c = new_codes[*c as usize]);
        RawSamples {
            samples: Store::Packed { time: s.time, value: s.value, length: Packed::default() },
            episode: spec.episode.is_some().then(|| Arc::new(s.episode)),
            breaks: Arc::new(s.breaks),
            flagged: s.flagged,
            flagged_times: s.flagged_times,
            bad_flags: s.bad_flags.list(),
        }
    });
    let first_file = Vec::new();
    Ok(Scan { tags: tags.collect(), labels, findings, long: true, own_times: true, first_file, numbers, without_zone })
}

impl LongReader<'_> {
    fn read(&mut self, file: &LogFile) -> Result<()> {
        let Self { spec, long, .. } = *self;
        let kind = time_kind(file, &spec.time)?;
        require_tag_and_value(file, long)?;
        let mut select = vec![
            (spec.time.as_str(), Decoding::Plain),
            (long.tag.as_str(), Decoding::Codes),
            (long.value.as_str(), Decoding::Codes),
        ];
        if let Some(episode) = &spec.episode {
            require_labels(file, episode)?;
            select.push((episode.as_str(), Decoding::Codes));
        }
        let good = long.quality.as_ref().map(|name| GoodFlags::new(file, long, name)).transpose()?;
        select.extend(long.quality.iter().map(|name| (name.as_str(), Decoding::Codes)));
        select.extend(self.filter.columns(file)?.into_iter().map(|name| (name, Decoding::Codes)));
        self.times.start(kind);
        self.tags.iter_mut().for_each(|t| t.breaks.push(t.time.len()));
        each_batch(file, &select, |columns| {
            self.take(columns, good.as_ref()).map_err(|at| wrong_type(file, select[at].0, &columns[at]))
        })
    }

    /// Adds the samples of a batch, whose columns are time, tag and value, optionally followed by episode, by quality
    /// and by the columns of the row filter. If a column has the wrong type, returns the index of that column as the
    /// error.
    fn take(&mut self, columns: &[ArrayRef], good: Option<&GoodFlags>) -> std::result::Result<(), usize> {
        let (wanted, other_tags) = (&self.wanted, &mut self.other_tags);
        let codes = cast::codes(&columns[1], |tag| {
            let tag = tag.unwrap_or("");
            wanted.get(tag).copied().unwrap_or_else(|| {
                if other_tags.len() < MAX_OTHER_TAGS {
                    other_tags.insert(tag.to_owned());
                }
                OTHER_TAG
            })
        });
        let codes = codes.ok_or(1_usize)?;
        let after = columns.len() - self.spec.only.len();
        let selected = self.filter.select(&columns[after..], codes.len()).map_err(|i| after + i)?;
        self.batch_times.clear();
        let clock = |row: usize| selected[row].then_some((codes[row] as usize).min(wanted.len()));
        read_times(&mut self.times, &columns[0], clock, &mut self.batch_times).ok_or(0_usize)?;
        let episodes = self.spec.episode.as_ref().map(|_| read_labels(&columns[3], &mut self.labels).ok_or(3_usize));
        let episodes = episodes.transpose()?;
        let quality = after - 1;
        let flags = good.map(|g| g.read(&columns[quality]).ok_or(quality)).transpose()?;
        let flag = |row: usize| flags.as_ref().map(|(codes, flags)| &flags[codes[row] as usize]);
        let is_good = |row: usize| flag(row).is_none_or(|f| f.1);
        self.batch_values.clear();
        let (numerals, tags) = (&self.numerals, &mut self.tags);
        let note = |row: usize, cell: Cell<'_>| {
            if let Some(samples) = tags.get_mut(codes[row] as usize).filter(|_| selected[row] && is_good(row)) {
                samples.other_texts.add(cell);
            }
        };
        numerals.read(&columns[2], &mut self.batch_values, note).ok_or(2_usize)?;
        for (row, code) in codes.iter().enumerate() {
            let (Some(samples), time) = (self.tags.get_mut(*code as usize), self.batch_times[row]) else { continue };
            if time == NO_TIME || !selected[row] {
                continue;
            }
            if let Some((bad, false)) = flag(row) {
                samples.flagged.add(time);
                samples.flagged_times.push(time);
                samples.bad_flags.add(bad);
                continue;
            }
            samples.time.push(time);
            samples.value.push(self.batch_values[row]);
            if let Some(episodes) = &episodes {
                samples.episode.push(episodes[row]);
            }
        }
        Ok(())
    }

    /// Returns the reasons why the log cannot be read: no readable time, a missing tag, a tag without a good sample, or
    /// a tag some of whose values are not numbers.
    fn faults(&self, files: &[LogFile], wanted: &[String]) -> Vec<LogFault> {
        let readable = files.iter().map(|f| f.rows).sum::<usize>().saturating_sub(self.times.unreadable().count());
        let mut faults: Vec<LogFault> = self.times.fault(files, readable).into_iter().collect();
        let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
        for (name, samples) in wanted.iter().zip(&self.tags) {
            let texts = samples.other_texts.fault(LogKey::Value, &format!("{names}: the tag `{name}`"));
            match &self.long.quality {
                _ if texts.is_some() => faults.extend(texts),
                _ if !samples.time.is_empty() || !faults.is_empty() => {}
                Some(quality) if samples.flagged.count > 0 => {
                    faults.push(samples.bad_flags.fault(&names, name, quality));
                }
                _ => {
                    let with_samples = wanted.iter().zip(&self.tags).filter(|(_, s)| !s.time.is_empty());
                    let known = self.other_tags.iter().map(String::as_str).chain(with_samples.map(|(n, _)| n.as_str()));
                    let what = match self.spec.only.is_empty() {
                        true => format!("{names}: there is no tag `{name}`"),
                        false => format!("{names}: `where` selects no row with a time and the tag `{name}`"),
                    };
                    let help = suggestion(name, known);
                    faults.push(LogFault::new(LogKey::Column(name.clone()), what, help));
                }
            }
        }
        faults
    }
}

fn require_tag_and_value(file: &LogFile, long: &LongSpec) -> Result<()> {
    let tag = require(file, &long.tag, "tag")?;
    if !matches!(tag.kind, ColumnKind::Text | ColumnKind::Integer) {
        let what = format!("{}: the tag column `{}` has the type {}", file.name, long.tag.value, tag.data_type);
        return Err(Error::log(LogKey::Column(long.tag.value.clone()), what, "export it as text"));
    }
    let value = require(file, &long.value, "value")?;
    value.require_numeric().map_err(|help| {
        let what = format!("{}: the value column `{}` has the type {}", file.name, long.value.value, value.data_type);
        Error::log(LogKey::Value, what, help)
    })
}
