//! Reads a log in long format, as exported by historians. Each row contains one sample with its tag and quality flag.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::batches::{Decoding, each_batch};
use super::cast;
use super::footer::{ColumnKind, LogFile};
use super::occurrences::Occurrences;
use super::scan::{
    RawSamples, Scan, no_usable_times, read_labels, read_times, require, require_labels, sort_labels, time_kind,
    wrong_type, zone,
};
use super::text::suggestion;
use super::time::{NO_TIME, TimeReader};
use crate::config::{LogSpec, LongSpec};
use crate::error::{Error, Result};

/// Index shared by all tags that are not read.
const OTHER_TAG: u32 = u32::MAX;
/// Maximum number of unread tags whose names are kept for suggestions (not tuned).
const MAX_OTHER_TAGS: usize = 10_000;

/// Quality flags that mark a sample as good.
#[derive(Debug, Clone)]
enum GoodFlags {
    /// Text flags, compared without regard to case.
    Text(Vec<String>),
    /// Numeric flags, with `true` represented by 1.
    Number(Vec<f64>),
}

impl GoodFlags {
    fn new(file: &LogFile, long: &LongSpec, name: &str) -> Result<Self> {
        let column = require(file, name, "quality")?;
        let listed = || long.good.iter().map(|g| g.trim());
        match column.kind {
            ColumnKind::Other | ColumnKind::Time => Err(Error::Data(format!(
                "{}: the quality column `{name}` has the type {}; export it as text or int32",
                file.name, column.data_type
            ))),
            ColumnKind::Text => Ok(Self::Text(listed().map(str::to_owned).collect())),
            ColumnKind::Boolean => {
                let good = listed().filter_map(|g| g.to_lowercase().parse().ok()).map(|g: bool| f64::from(u8::from(g)));
                let good: Vec<f64> = good.collect();
                // If the list of good flags contains no boolean (the default), `true` counts as good.
                Ok(Self::Number(if good.is_empty() { vec![1.0] } else { good }))
            }
            _ => Ok(Self::Number(listed().filter_map(|g| g.parse().ok()).collect())),
        }
    }

    /// Returns whether the quality flag of each row in a batch is good. A null counts as bad. Returns `None` if the
    /// flags in the column and the good flags are not of the same type.
    fn are_good(&self, array: &dyn Array) -> Option<Vec<bool>> {
        match self {
            Self::Text(good) => {
                let is_good = |v: &str| good.iter().any(|g| g.eq_ignore_ascii_case(v.trim()));
                let codes = cast::codes(array, |v| u32::from(v.is_some_and(is_good)))?;
                Some(codes.into_iter().map(|m| m == 1).collect())
            }
            Self::Number(good) => {
                let mut flags = Vec::new();
                cast::floats(array, &mut flags)?;
                Some(flags.iter().map(|v| good.contains(v)).collect())
            }
        }
    }
}

/// The samples of one tag that have been read so far.
#[derive(Default)]
struct TagSamples {
    time: Vec<i64>,
    value: Vec<f64>,
    episode: Vec<u32>,
    /// Index of the first sample of each file.
    breaks: Vec<usize>,
    flagged: Occurrences,
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
        times: TimeReader::new(zone(spec)?, wanted.len() + 1),
        tags: wanted.iter().map(|_| TagSamples::default()).collect(),
        other_tags: BTreeSet::new(),
        labels: HashMap::new(),
        batch_times: Vec::new(),
        batch_values: Vec::new(),
    };
    files.iter().try_for_each(|file| reader.read(file))?;
    reader.require_samples(files, wanted)?;
    let findings = reader.times.findings(&spec.time);
    let (labels, new_codes) = sort_labels(reader.labels);
    let tags = reader.tags.into_iter().map(|mut s| {
        s.episode.iter_mut().for_each(|c| *c = new_codes[*c as usize]);
        RawSamples {
            time: Arc::new(s.time),
            value: s.value,
            episode: spec.episode.is_some().then(|| Arc::new(s.episode)),
            breaks: Arc::new(s.breaks),
            flagged: s.flagged,
        }
    });
    Ok(Scan { tags: tags.collect(), labels, findings, long: true })
}

impl LongReader<'_> {
    fn read(&mut self, file: &LogFile) -> Result<()> {
        let Self { spec, long, .. } = *self;
        let kind = time_kind(file, &spec.time)?;
        require_tag_and_value(file, long)?;
        let mut select = vec![
            (spec.time.as_str(), Decoding::Plain),
            (long.tag.as_str(), Decoding::Codes),
            (long.value.as_str(), Decoding::Plain),
        ];
        if let Some(episode) = &spec.episode {
            require_labels(file, episode)?;
            select.push((episode.as_str(), Decoding::Codes));
        }
        let good = long.quality.as_ref().map(|name| GoodFlags::new(file, long, name)).transpose()?;
        select.extend(long.quality.iter().map(|name| (name.as_str(), Decoding::Codes)));
        self.times.start(kind);
        self.tags.iter_mut().for_each(|t| t.breaks.push(t.time.len()));
        each_batch(file, &select, |columns| {
            self.take(columns, good.as_ref()).map_err(|at| wrong_type(file, select[at].0, &columns[at]))
        })
    }

    /// Adds the samples of a batch, whose columns are time, tag and value, optionally followed by episode and quality.
    /// If a column has the wrong type, returns the index of that column as the error.
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
        self.batch_times.clear();
        let clock = |row: usize| (codes[row] as usize).min(wanted.len());
        read_times(&mut self.times, &columns[0], clock, &mut self.batch_times).ok_or(0_usize)?;
        self.batch_values.clear();
        cast::floats(&columns[2], &mut self.batch_values).ok_or(2_usize)?;
        let episodes = self.spec.episode.as_ref().map(|_| read_labels(&columns[3], &mut self.labels).ok_or(3_usize));
        let episodes = episodes.transpose()?;
        let quality = columns.len() - 1;
        let good = good.map(|g| g.are_good(&columns[quality]).ok_or(quality)).transpose()?;
        for (row, code) in codes.iter().enumerate() {
            let (Some(samples), time) = (self.tags.get_mut(*code as usize), self.batch_times[row]) else { continue };
            if time == NO_TIME {
                continue;
            }
            if good.as_ref().is_some_and(|g| !g[row]) {
                samples.flagged.add(time);
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

    /// Checks that the log contains every tag in `wanted`.
    fn require_samples(&self, files: &[LogFile], wanted: &[String]) -> Result<()> {
        for (name, samples) in wanted.iter().zip(&self.tags) {
            if !samples.time.is_empty() || samples.flagged.count > 0 {
                continue;
            }
            let rows: usize = files.iter().map(|f| f.rows).sum();
            if rows == 0 || self.times.bad().0 == rows {
                return Err(no_usable_times(files, &self.spec.time, &self.times));
            }
            let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
            let with_samples = wanted.iter().zip(&self.tags).filter(|(_, s)| !s.time.is_empty());
            let known = self.other_tags.iter().map(String::as_str).chain(with_samples.map(|(n, _)| n.as_str()));
            return Err(Error::Data(format!("{names}: there is no tag `{name}`; {}", suggestion(name, known))));
        }
        Ok(())
    }
}

fn require_tag_and_value(file: &LogFile, long: &LongSpec) -> Result<()> {
    let tag = require(file, &long.tag, "tag")?;
    if !matches!(tag.kind, ColumnKind::Text | ColumnKind::Integer) {
        return Err(Error::Data(format!(
            "{}: the tag column `{}` has the type {}; export it as text",
            file.name, long.tag.value, tag.data_type
        )));
    }
    let value = require(file, &long.value, "value")?;
    value.require_numeric().map_err(|help| {
        Error::Data(format!(
            "{}: the value column `{}` has the type {}: {help}",
            file.name, long.value.value, value.data_type
        ))
    })
}
