//! A long log, as historians export it: one row per sample, with its tag and its flag.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_schema::DataType as ArrowType;
use polars::prelude::{BooleanChunked, DataFrame, DataType, Expr, Float64Chunked, StringChunked, col};

use super::files::{self, LogFile, suggestion};
use super::finding::Tally;
use super::scan::{
    Raw, Scan, each_batch, extend_episodes, extend_floats, label_expr, need, no_usable_times, read_times, sort_labels,
    time_expr, time_kind, wrong, zone,
};
use super::time::{NO_TIME, TimeReader};
use crate::error::{Error, Result};
use crate::spec::{LogSpec, LongSpec};

/// What counts as a good sample.
#[derive(Debug, Clone)]
enum Good {
    All,
    /// Position of the flag in the batch; lower-case texts.
    Text(usize, Vec<String>),
    Number(usize, Vec<f64>),
    Boolean(usize, Vec<bool>),
}

impl Good {
    /// One mark per row of a batch; a missing flag is not a good one.
    fn mark(&self, df: &DataFrame, file: &LogFile, out: &mut Vec<bool>) -> Result<()> {
        out.clear();
        match self {
            Self::All => out.resize(df.height(), true),
            Self::Text(at, good) => {
                let ca: &StringChunked =
                    df.columns()[*at].str().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                let is = |v: &str| good.iter().any(|g| g.eq_ignore_ascii_case(v.trim()));
                out.extend(ca.iter().map(|v| v.is_some_and(is)));
            }
            Self::Number(at, good) => {
                let ca: &Float64Chunked =
                    df.columns()[*at].f64().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                out.extend(ca.iter().map(|v| v.is_some_and(|v| good.contains(&v))));
            }
            Self::Boolean(at, good) => {
                let ca: &BooleanChunked =
                    df.columns()[*at].bool().map_err(|e| wrong(file, df.columns()[*at].name(), e))?;
                out.extend(ca.iter().map(|v| v.is_some_and(|v| good.contains(&v))));
            }
        }
        Ok(())
    }
}

fn good_expr(file: &LogFile, long: &LongSpec, at: usize) -> Result<(Option<Expr>, Good)> {
    let Some(name) = &long.quality else { return Ok((None, Good::All)) };
    let column = need(file, name, "quality")?;
    let expr = col(name.as_str());
    match (column.kind, &column.data_type) {
        (_, ArrowType::UInt8 | ArrowType::UInt16) | ("other" | "time", _) => Err(Error::Data(format!(
            "{}: the quality column `{}` has the type {}; write it as text or int32",
            file.name, name.value, column.data_type
        ))),
        ("text", _) => Ok((
            Some(expr.cast(DataType::String)),
            Good::Text(at, long.good.iter().map(|g| g.trim().to_owned()).collect()),
        )),
        ("boolean", _) => {
            let good = long.good.iter().filter_map(|g| g.trim().to_lowercase().parse().ok()).collect::<Vec<bool>>();
            // Nobody flags a bad sample `true` and leaves the list of good flags at its default.
            let good = if good.is_empty() { vec![true] } else { good };
            Ok((Some(expr.cast(DataType::Boolean)), Good::Boolean(at, good)))
        }
        _ => Ok((
            Some(expr.cast(DataType::Float64)),
            Good::Number(at, long.good.iter().filter_map(|g| g.trim().parse().ok()).collect()),
        )),
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
    struct State {
        reader: TimeReader,
        tags: Vec<Samples>,
        other: BTreeSet<String>,
        labels: HashMap<String, u32>,
        codes: Vec<u32>,
        times: Vec<i64>,
        values: Vec<f64>,
        episodes: Vec<u32>,
        good: Vec<bool>,
    }
    const OTHER: u32 = u32::MAX;
    let known: Arc<HashMap<String, u32>> =
        Arc::new(wanted.iter().enumerate().map(|(i, n)| (n.clone(), i as u32)).collect());
    let mut state = State {
        // One clock more, for the tags that nobody asked for.
        reader: TimeReader::new(zone(spec)?, wanted.len() + 1),
        tags: wanted.iter().map(|_| Samples::default()).collect(),
        other: BTreeSet::new(),
        labels: HashMap::new(),
        codes: Vec::new(),
        times: Vec::new(),
        values: Vec::new(),
        episodes: Vec::new(),
        good: Vec::new(),
    };
    for file in files {
        let kind = time_kind(file, &spec.time)?;
        let tag = need(file, &long.tag, "tag")?;
        if !matches!(tag.kind, "text" | "integer") || files::numeric(tag).is_err() && tag.kind == "integer" {
            return Err(Error::Data(format!(
                "{}: the tag column `{}` has the type {}; write it as text",
                file.name, long.tag.value, tag.data_type
            )));
        }
        let value = need(file, &long.value, "value")?;
        files::numeric(value).map_err(|cure| {
            Error::Data(format!(
                "{}: the value column `{}` has the type {}: {cure}",
                file.name, long.value.value, value.data_type
            ))
        })?;
        let mut select = vec![
            time_expr(&spec.time, kind, file).alias("time"),
            col(long.tag.as_str()).cast(DataType::String).alias("tag"),
            col(long.value.as_str()).cast(DataType::Float64).alias("value"),
        ];
        if let Some(episode) = &spec.episode {
            select.push(label_expr(file, episode)?.alias("episode"));
        }
        let (expr, good) = good_expr(file, long, select.len())?;
        select.extend(expr.map(|e| e.alias("good")));
        state.reader.start(kind);
        state.tags.iter_mut().for_each(|t| t.breaks.push(t.time.len()));
        let (owned, known, with_episode, clocks) =
            (file.clone(), Arc::clone(&known), spec.episode.is_some(), wanted.len());
        state = each_batch(file, select, state, move |s, df| {
            let tags: &StringChunked = df.columns()[1].str().map_err(|e| wrong(&owned, "tag", e))?;
            s.codes.clear();
            let mut last: Option<(&str, u32)> = None;
            for tag in tags.iter() {
                let tag = tag.unwrap_or("");
                let code = match last {
                    Some((text, code)) if text == tag => code,
                    _ => known.get(tag).copied().unwrap_or(OTHER),
                };
                if code == OTHER && s.other.len() < 10_000 && last.is_none_or(|(text, _)| text != tag) {
                    s.other.insert(tag.to_owned());
                }
                last = Some((tag, code));
                s.codes.push(code);
            }
            let mut times = std::mem::take(&mut s.times);
            times.clear();
            let codes = &s.codes;
            read_times(&mut s.reader, df, 0, &owned, |i| (codes[i] as usize).min(clocks), &mut times)?;
            s.values.clear();
            extend_floats(df, 2, &owned, &mut s.values)?;
            if with_episode {
                s.episodes.clear();
                extend_episodes(df, 3, &owned, &mut s.labels, &mut s.episodes)?;
            }
            good.mark(df, &owned, &mut s.good)?;
            for (i, code) in s.codes.iter().enumerate() {
                let Some(samples) = s.tags.get_mut(*code as usize) else { continue };
                if times[i] == NO_TIME {
                    continue;
                }
                if !s.good[i] {
                    samples.flagged.add(times[i]);
                    continue;
                }
                samples.time.push(times[i]);
                samples.value.push(s.values[i]);
                if with_episode {
                    samples.episode.push(s.episodes[i]);
                }
            }
            s.times = times;
            Ok(())
        })?;
    }
    for (name, samples) in wanted.iter().zip(&state.tags) {
        if samples.time.is_empty() && samples.flagged.count == 0 {
            let rows: usize = files.iter().map(|f| f.rows).sum();
            if rows == 0 || state.reader.bad().0 == rows {
                return Err(no_usable_times(files, &spec.time, &state.reader));
            }
            let names = files.iter().map(|f| f.name.as_str()).take(3).collect::<Vec<_>>().join(", ");
            let there = state
                .other
                .iter()
                .map(String::as_str)
                .chain(wanted.iter().zip(&state.tags).filter(|(_, s)| !s.time.is_empty()).map(|(n, _)| n.as_str()));
            return Err(Error::Data(format!("{names}: there is no tag `{name}`; {}", suggestion(name, there))));
        }
    }
    let (labels, place) = sort_labels(state.labels);
    let tags = state
        .tags
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
    Ok(Scan { tags, labels, findings: state.reader.findings(&spec.time), long: true })
}
