//! A long log, as historians export it: one row per sample, with its tag and its flag.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::Array;

use super::batches::{As, each_batch};
use super::cast;
use super::files::{self, LogFile, suggestion};
use super::finding::Tally;
use super::scan::{
    Raw, Scan, need, need_labels, no_usable_times, read_labels, read_times, sort_labels, time_kind, wrong, zone,
};
use super::time::{NO_TIME, TimeReader};
use crate::config::{LogSpec, LongSpec};
use crate::error::{Error, Result};

/// What counts as a good sample.
#[derive(Debug, Clone)]
enum Good {
    /// Texts, compared without case.
    Text(Vec<String>),
    /// Numbers; of booleans, `true` is 1.
    Number(Vec<f64>),
}

impl Good {
    fn new(file: &LogFile, long: &LongSpec, name: &str) -> Result<Self> {
        let column = need(file, name, "quality")?;
        let listed = || long.good.iter().map(|g| g.trim());
        match column.kind {
            "other" | "time" => Err(Error::Data(format!(
                "{}: the quality column `{name}` has the type {}; write it as text or int32",
                file.name, column.data_type
            ))),
            "text" => Ok(Self::Text(listed().map(str::to_owned).collect())),
            "boolean" => {
                let good = listed().filter_map(|g| g.to_lowercase().parse().ok()).map(|g: bool| f64::from(u8::from(g)));
                let good: Vec<f64> = good.collect();
                // Nobody flags a bad sample `true` and leaves the list of good flags at its default.
                Ok(Self::Number(if good.is_empty() { vec![1.0] } else { good }))
            }
            _ => Ok(Self::Number(listed().filter_map(|g| g.parse().ok()).collect())),
        }
    }

    /// One mark per row of a batch; a missing flag is not a good one. `None`: the column holds something else.
    fn marks(&self, array: &dyn Array) -> Option<Vec<bool>> {
        match self {
            Self::Text(good) => {
                let is = |v: &str| good.iter().any(|g| g.eq_ignore_ascii_case(v.trim()));
                let marks = cast::codes(array, |v| u32::from(v.is_some_and(is)))?;
                Some(marks.into_iter().map(|m| m == 1).collect())
            }
            Self::Number(good) => {
                let mut flags = Vec::new();
                cast::floats(array, &mut flags)?;
                Some(flags.iter().map(|v| good.contains(v)).collect())
            }
        }
    }
}

/// Reads a long log: `wanted` are tags.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, long: &LongSpec, wanted: &[String]) -> Result<Scan> {
    #[derive(Default)]
    struct Samples {
        time: Vec<i64>,
        value: Vec<f64>,
        episode: Vec<u32>,
        breaks: Vec<usize>,
        flagged: Tally,
    }
    const OTHER: u32 = u32::MAX;
    let known: HashMap<&str, u32> = wanted.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect();
    // One clock more, for the tags that nobody asked for.
    let mut reader = TimeReader::new(zone(spec)?, wanted.len() + 1);
    let mut tags: Vec<Samples> = wanted.iter().map(|_| Samples::default()).collect();
    let (mut other, mut labels) = (BTreeSet::new(), HashMap::new());
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for file in files {
        let kind = time_kind(file, &spec.time)?;
        let tag = need(file, &long.tag, "tag")?;
        if !matches!(tag.kind, "text" | "integer") {
            return Err(Error::Data(format!(
                "{}: the tag column `{}` has the type {}; write it as text",
                file.name, long.tag.value, tag.data_type
            )));
        }
        let value = need(file, &long.value, "value")?;
        files::numeric(value).map_err(|help| {
            Error::Data(format!(
                "{}: the value column `{}` has the type {}: {help}",
                file.name, long.value.value, value.data_type
            ))
        })?;
        let mut select =
            vec![(spec.time.as_str(), As::Plain), (long.tag.as_str(), As::Codes), (long.value.as_str(), As::Plain)];
        if let Some(episode) = &spec.episode {
            need_labels(file, episode)?;
            select.push((episode.as_str(), As::Codes));
        }
        let good = long.quality.as_ref().map(|name| Good::new(file, long, name)).transpose()?;
        select.extend(long.quality.iter().map(|name| (name.as_str(), As::Codes)));
        reader.start(kind);
        tags.iter_mut().for_each(|t| t.breaks.push(t.time.len()));
        each_batch(file, &select, |columns| {
            let wrong = |at: usize| wrong(file, select[at].0, &columns[at]);
            let codes = cast::codes(&columns[1], |tag| {
                let tag = tag.unwrap_or("");
                known.get(tag).copied().unwrap_or_else(|| {
                    if other.len() < 10_000 {
                        other.insert(tag.to_owned());
                    }
                    OTHER
                })
            });
            let codes = codes.ok_or_else(|| wrong(1))?;
            times.clear();
            let clock = |row: usize| (codes[row] as usize).min(wanted.len());
            read_times(&mut reader, &columns[0], clock, &mut times).ok_or_else(|| wrong(0))?;
            values.clear();
            cast::floats(&columns[2], &mut values).ok_or_else(|| wrong(2))?;
            let episodes = spec.episode.as_ref().map(|_| read_labels(&columns[3], &mut labels).ok_or_else(|| wrong(3)));
            let episodes = episodes.transpose()?;
            let flag = columns.len() - 1;
            let good = good.as_ref().map(|g| g.marks(&columns[flag]).ok_or_else(|| wrong(flag))).transpose()?;
            for (row, code) in codes.iter().enumerate() {
                let (Some(samples), time) = (tags.get_mut(*code as usize), times[row]) else { continue };
                if time == NO_TIME {
                    continue;
                }
                if good.as_ref().is_some_and(|g| !g[row]) {
                    samples.flagged.add(time);
                    continue;
                }
                samples.time.push(time);
                samples.value.push(values[row]);
                if let Some(episodes) = &episodes {
                    samples.episode.push(episodes[row]);
                }
            }
            Ok(())
        })?;
    }
    for (name, samples) in wanted.iter().zip(&tags) {
        if samples.time.is_empty() && samples.flagged.count == 0 {
            let rows: usize = files.iter().map(|f| f.rows).sum();
            if rows == 0 || reader.bad().0 == rows {
                return Err(no_usable_times(files, &spec.time, &reader));
            }
            let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
            let there = other
                .iter()
                .map(String::as_str)
                .chain(wanted.iter().zip(&tags).filter(|(_, s)| !s.time.is_empty()).map(|(n, _)| n.as_str()));
            return Err(Error::Data(format!("{names}: there is no tag `{name}`; {}", suggestion(name, there))));
        }
    }
    let (labels, place) = sort_labels(labels);
    let tags = tags
        .into_iter()
        .map(|mut s| {
            s.episode.iter_mut().for_each(|c| *c = place[*c as usize]);
            Raw {
                time: Arc::new(s.time),
                value: s.value,
                episode: spec.episode.is_some().then(|| Arc::new(s.episode)),
                breaks: Arc::new(s.breaks),
                flagged: s.flagged,
            }
        })
        .collect();
    Ok(Scan { tags, labels, findings: reader.findings(&spec.time), long: true })
}
