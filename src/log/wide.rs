//! A wide log: one column per signal, one row per time stamp.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use polars::prelude::{DataType, col};

use super::Finding;
use super::files::{self, LogFile, suggestion};
use super::finding::Tally;
use super::scan::{
    ABSENT, Raw, Scan, each_batch, extend_episodes, extend_floats, label_expr, no_usable_times, read_times,
    sort_labels, time_expr, time_kind, zone,
};
use super::time::{NO_TIME, TimeReader};
use crate::error::{Error, Result};
use crate::spec::LogSpec;

/// Reads a wide log: `wanted` are column names.
pub(super) fn read(files: &[LogFile], spec: &LogSpec, wanted: &[String]) -> Result<Scan> {
    struct State {
        reader: TimeReader,
        batch: Vec<i64>,
        time: Vec<i64>,
        episode: Vec<u32>,
        labels: HashMap<String, u32>,
        values: Vec<Vec<f64>>,
    }
    let mut findings = Vec::new();
    let mut state = State {
        reader: TimeReader::new(zone(spec)?, 1),
        batch: Vec::new(),
        time: Vec::new(),
        episode: Vec::new(),
        labels: HashMap::new(),
        values: vec![Vec::new(); wanted.len()],
    };
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
        let mut select = vec![time_expr(&spec.time, kind, file).alias("time")];
        if let Some(episode) = &spec.episode {
            select.push(label_expr(file, episode)?.alias("episode"));
        }
        let first_value = select.len();
        let mut present = Vec::new();
        for (i, name) in wanted.iter().enumerate() {
            let Some(column) = file.find(name) else { continue };
            files::numeric(column).map_err(|cure| {
                Error::Data(format!("{}: column `{name}` has the type {}: {cure}", file.name, column.data_type))
            })?;
            select.push(col(name.as_str()).cast(DataType::Float64).alias(format!("v{i}")));
            present.push(i);
        }
        breaks.push(state.time.len());
        state.reader.start(kind);
        let (owned, with_episode) = (file.clone(), spec.episode.is_some());
        state = each_batch(file, select, state, move |s, df| {
            let kept = s.time.len();
            s.batch.clear();
            read_times(&mut s.reader, df, 0, &owned, |_| 0, &mut s.batch)?;
            s.time.extend_from_slice(&s.batch);
            if with_episode {
                extend_episodes(df, 1, &owned, &mut s.labels, &mut s.episode)?;
            }
            for (k, i) in present.iter().enumerate() {
                extend_floats(df, first_value + k, &owned, &mut s.values[*i])?;
            }
            let rows = s.time.len();
            for v in &mut s.values {
                v.resize(rows, ABSENT);
            }
            if s.batch.contains(&NO_TIME) {
                let keep: Vec<bool> = s.batch.iter().map(|t| *t != NO_TIME).collect();
                drop_rows(&mut s.time, kept, &keep);
                drop_rows(&mut s.episode, kept, &keep);
                s.values.iter_mut().for_each(|v| drop_rows(v, kept, &keep));
            }
            Ok(())
        })?;
    }
    if state.time.is_empty() {
        return Err(no_usable_times(files, &spec.time, &state.reader));
    }
    findings.extend(state.reader.findings(&spec.time));
    let (labels, place) = sort_labels(state.labels);
    state.episode.iter_mut().for_each(|c| *c = place[*c as usize]);
    let (time, breaks) = (Arc::new(state.time), Arc::new(breaks));
    let episode = spec.episode.is_some().then(|| Arc::new(state.episode));
    let tags = state
        .values
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
