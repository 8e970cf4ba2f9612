//! The import of all sources of a plant.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use polars::prelude::DataFrame;

use crate::address::{self, Address};
use crate::error::{Error, Result};
use crate::join;
use crate::limits;
use crate::merge::Keep;
use crate::output::{self, Staged};
use crate::recipe::{self, Recipe, Source};
use crate::remote;
use crate::report::{Report, shown_span};
use crate::request::Request;
use crate::scratch::Scratch;
use crate::series;
use crate::source;
use crate::sources::{self, Found, SourceFile};
use crate::{filter, frame, progress};

/// Reads all sources, and writes the log and the recipe.
///
/// # Errors
/// Any error in the sources, options or files.
pub fn run(request: &Request) -> Result<Report> {
    let options = &request.options;
    let dir = &options.dir;
    check_folder(dir)?;
    let stored = Recipe::load(dir)?;
    let mut recipe = recipe(request, stored.as_ref())?;
    let log = dir.join("log");
    let months = written_months(&log, stored.is_some() || options.replace)?;
    let every = recipe.every.as_deref().map(|t| span(t, "--every")).transpose()?;
    let tolerance = recipe.tolerance.as_deref().map(|t| span(t, "--tolerance")).transpose()?;
    let keep = recipe.keep.as_deref().and_then(Keep::parse);
    let mut scratch = None;
    let all = recipe.source.iter().map(|s| source_files(s, dir, &log, &mut scratch));
    let all = all.collect::<Result<Vec<Found>>>()?;
    let address_space = limits::address_space(
        all.iter().flat_map(|found| &found.files).map(|f| (Path::new(&f.name), f.length)),
        options.memory,
    );
    limits::limit_address_space(address_space);

    let mut report = Report::new(dir, options.dry_run);
    let mut read = Vec::new();
    let since = recipe.since.clone();
    let mut units = BTreeMap::new();
    let mut missing = BTreeMap::new();
    for (source, Found { files, others }) in recipe.source.iter_mut().zip(&all) {
        let from = located(&source.from, dir);
        let limit = source::file_limit(address_space);
        let (mut columns, summary) = source::read(files, &from, source, since.as_deref(), keep, limit)?;
        if every.is_some() {
            // averaged values need no quality flag, because bad samples have already been replaced by missing values
            columns.retain(|c| !c.name.ends_with(series::QUALITY));
        }
        units.extend(summary.units.clone());
        missing.extend(summary.missing.clone());
        if !others.is_empty() {
            report.notes.push(format!("not read, because of their extension: {others}"));
        }
        read.push(join::Part { step: summary.step.unwrap_or(0), from, columns });
        report.sources.push(summary);
    }
    check_last(request, &report)?;
    if let Some(every) = every {
        report.notes.push(format!(
            "in each step of {}, numbers are averaged and only the last text is kept; do not use `--every` for \
             counters or amounts; set `step` in twin.toml instead",
            shown_span(every)
        ));
    }
    let frame = match (every, tolerance) {
        (None, None) => join::by_own_times(read, keep, &mut report.notes)?,
        (None, Some(_)) if read.len() == 1 => join::by_own_times(read, keep, &mut report.notes)?,
        options => join::as_of(read, keep, options, &mut report.notes)?,
    };
    recipe.unit = units;
    recipe.missing = missing;
    report.rows = frame.height();
    report.columns = frame.width() - 1;
    if !options.dry_run {
        progress::stage("writing the log", 0, 0);
        write(dir, &log, &recipe, &frame, &months, options.replace, &mut report)?;
    }
    Ok(report)
}

/// # Errors
/// [`Error::Usage`] if a filter was given for the last source only, but could have been meant for all.
fn check_last(request: &Request, report: &Report) -> Result<()> {
    let (Some(asked), Some((last, earlier))) = (request.sources.last(), report.sources.split_last()) else {
        return Ok(());
    };
    let conditions = asked.condition.as_deref().map_or(Ok(Vec::new()), filter::parse)?;
    for source in earlier {
        for name in &request.only_last {
            let column = match *name {
                "good" if source.has_quality => Some("quality flags".to_owned()),
                "where" if conditions.iter().all(|c| source.columns.contains(&c.column)) => {
                    conditions.first().map(|c| format!("the column `{}`", c.column))
                }
                _ => None,
            };
            if let Some(column) = column {
                return Err(Error::Usage(format!(
                    "--{name} applies only to {}, but {} has {column} too; write `--{name}` before the first `--from` to apply it to \
                     all sources, or after each `--from`",
                    last.from, source.from
                )));
            }
        }
    }
    Ok(())
}

/// # Errors
/// [`Error::Usage`] unless `dir` is `data/<plant>`.
fn check_folder(dir: &Path) -> Result<()> {
    let parent = dir.parent().and_then(Path::file_name);
    if parent.is_some_and(|p| p == "data") && dir.file_name().is_some() {
        return Ok(());
    }
    let name = dir.file_name().map_or_else(|| "plant1".into(), |n| n.to_string_lossy().into_owned());
    Err(Error::Usage(format!(
        "the folder of a plant must be inside a folder named `data`; use `twinopt import data/{name} …`"
    )))
}

/// The recipe given by the options, completed from the stored recipe. If the options list no sources, the stored recipe
/// is used.
fn recipe(request: &Request, stored: Option<&Recipe>) -> Result<Recipe> {
    let o = &request.options;
    if o.from.is_empty() {
        let path = o.dir.join(recipe::FILE);
        let recipe = stored.cloned().filter(|r| !r.source.is_empty());
        let recipe = recipe.ok_or_else(|| {
            Error::Usage(format!("there is no {}; name the files to import with `--from`", path.display()))
        })?;
        return Ok(recipe);
    }
    let sources = request.sources.iter().map(|source| {
        let from =
            if source.from.contains("://") { source.from.clone() } else { source::relative(&source.from, &o.dir) };
        Source { from, ..source.clone() }
    });
    let mut recipe = Recipe {
        since: o.since.clone(),
        every: o.every.clone(),
        tolerance: o.tolerance.clone(),
        keep: o.keep.clone(),
        source: sources.collect(),
        unit: BTreeMap::new(),
        missing: BTreeMap::new(),
    };
    if let Some(stored) = stored.filter(|_| !o.replace)
        && let Some(setting) = recipe.complete(stored)
    {
        return Err(Error::Usage(format!(
            "{}: `{setting}` was different in the last import; add `--replace` to rewrite the log, or leave out \
                 `--from` to read the same sources again",
            o.dir.join(recipe::FILE).display()
        )));
    }
    Ok(recipe)
}

/// The pattern of a source. Patterns in a recipe are relative to the folder of the plant.
fn located(from: &str, dir: &Path) -> String {
    if from.contains("://") {
        return from.to_owned();
    }
    source::simplified(&dir.join(from)).display().to_string()
}

/// The files of a source, without those whose folders rule out all of their rows. Objects are downloaded to `scratch`.
fn source_files(source: &Source, dir: &Path, log: &Path, scratch: &mut Option<Scratch>) -> Result<Found> {
    let conditions = source.condition.as_deref().map_or(Ok(Vec::new()), filter::parse)?;
    let is_needed = |file: &SourceFile| frame::is_needed(file, source, &conditions);
    match address::parse(&located(&source.from, dir))? {
        Address::Local(pattern) => {
            let mut found = sources::files(&pattern, log)?;
            let mut folders: Vec<String> =
                found.files.iter().flat_map(|f| &f.folders).map(|(k, v)| format!("{k}={v}")).collect();
            found.files.retain(is_needed);
            if found.files.is_empty() && !folders.is_empty() {
                folders.sort();
                folders.dedup();
                return Err(Error::Data(format!(
                    "{}: no folder satisfies `--where`; the folders are {}",
                    source.from,
                    crate::error::list(&folders, 8)
                )));
            }
            Ok(found)
        }
        Address::Remote { store, root, pattern } => {
            let scratch = match scratch {
                Some(scratch) => scratch,
                None => scratch.insert(Scratch::new()?),
            };
            remote::files(store, &root, &pattern, scratch, &is_needed)
        }
    }
}

/// The files that earlier imports wrote.
///
/// # Errors
/// [`Error::Usage`] if the folder contains other logs.
fn written_months(log: &Path, known: bool) -> Result<Vec<String>> {
    let mut names: Vec<String> = match fs::read_dir(log) {
        Ok(entries) => entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
        Err(_) => Vec::new(),
    };
    names.retain(|n| n.ends_with(".parquet") && !n.starts_with('.'));
    names.sort();
    let foreign = names.iter().find(|n| !known || !output::is_month(n));
    match foreign {
        None => Ok(names),
        Some(name) => Err(Error::Usage(format!(
            "{} contains {name}, which was not written by an import; move it, and import it with `--from` if it belongs to the log",
            log.display()
        ))),
    }
}

/// A length of time such as `10min`, in µs.
fn span(text: &str, option: &str) -> Result<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "ms" => 1e3,
        "s" => 1e6,
        "min" | "m" => 60e6,
        "h" => 3600e6,
        "d" => 86_400e6,
        _ => f64::NAN,
    };
    let us = text[..digits].parse::<f64>().unwrap_or(f64::NAN) * unit;
    if (1e3..=3.2e14).contains(&us) {
        return Ok(us.round() as i64);
    }
    Err(Error::Usage(format!("{option}: `{text}` is not a length of time; write it like 30s, 10min, 1h or 1d")))
}

/// Writes the files of all months and then the recipe.
fn write(
    dir: &Path,
    log: &Path,
    recipe: &Recipe,
    frame: &DataFrame,
    old: &[String],
    replace: bool,
    report: &mut Report,
) -> Result<()> {
    let months = output::months(frame)?;
    fs::create_dir_all(log).map_err(|e| Error::write(log, e))?;
    output::remove_temporary(log);
    output::remove_temporary(dir);
    let mut staged = Vec::new();
    let mut names = Vec::new();
    for (month, bytes, rows) in &months {
        let name = format!("{month}.parquet");
        let path = log.join(&name);
        if old.contains(&name) {
            if fs::read(&path).is_ok_and(|old| old == *bytes) {
                report.unchanged += 1;
                names.push(name);
                continue;
            }
            let before = output::rows(&path)?;
            if before > *rows && !replace {
                return Err(Error::Usage(format!(
                    "{} has {before} rows, but the sources now have only {rows} for this month; restore the exports, or add `--replace` to \
                     write the log anew without these rows",
                    path.display()
                )));
            }
        }
        staged.push(Staged::new(&path, bytes)?);
        names.push(name);
    }
    let text = recipe.text()?;
    let recipe_path = dir.join(recipe::FILE);
    let recipe_file = match fs::read(&recipe_path) {
        Ok(old) if old == text.as_bytes() => None,
        _ => Some(Staged::new(&recipe_path, text.as_bytes())?),
    };
    report.written = staged.len();
    for file in staged {
        file.publish()?;
    }
    for name in old.iter().filter(|n| !names.contains(n)) {
        if replace {
            let path = log.join(name);
            fs::remove_file(&path).map_err(|e| Error::write(&path, e))?;
        } else {
            report.notes.push(format!("{name} is kept, although the sources no longer have rows for this month"));
        }
    }
    if let Some(file) = recipe_file {
        file.publish()?;
    }
    report.months = names;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_paths() {
        assert_eq!(span("10min", "").unwrap(), 600_000_000);
        assert_eq!(span("1.5 h", "").unwrap(), 5_400_000_000);
        assert!(span("10", "").is_err() && span("min", "").is_err() && span("-1h", "").is_err());
        assert_eq!(located("../../export/*.csv", Path::new("data/plant1")), "export/*.csv");
        assert_eq!(located("/x/*.csv", Path::new("data/plant1")), "/x/*.csv");
        assert_eq!(source::relative("export/*.csv", Path::new("data/plant1")), "../../export/*.csv");
    }
}
