//! Reads all files of a source into one table.

use std::path::{Component, Path, PathBuf};

use crate::choices;
use crate::clock;
use crate::column_units;
use crate::error::{Error, Result, list, plural};
use crate::filter;
use crate::frame::{self, FileFrame};
use crate::layout::{self, Long};
use crate::long::{self, Reading};
use crate::merge::Keep;
use crate::number::{Decimal, Signs};
use crate::progress;
use crate::quality::Good;
use crate::recipe::Source;
use crate::series::{self, QUALITY, Series, TIME};
use crate::sources::SourceFile;
use crate::stamp;
use crate::values::{self, Conversion};
use crate::wide;
use crate::zone::{self, NO_TIME};

/// The detected properties of a source.
#[derive(Debug, Default)]
pub struct Summary {
    pub from: String,
    pub files: usize,
    pub rows: usize,
    pub format: String,
    pub layout: String,
    pub times: String,
    /// First and last time, µs since 1970.
    pub span: Option<(i64, i64)>,
    /// Most frequent step, µs.
    pub step: Option<i64>,
    pub notes: Vec<String>,
    /// Units of the columns of the log.
    pub units: Vec<(String, String)>,
    /// Columns of the log that some files lack, each with these files.
    pub missing: Vec<(String, String)>,
    /// Columns that were read from the first file.
    pub columns: Vec<String>,
    /// Whether the samples have a quality flag.
    pub has_quality: bool,
}

/// Reads the files of a source, and adds the detected properties to its settings. `from` is the file pattern, which is
/// used in messages.
///
/// # Errors
/// Any error that concerns the files or their content.
pub fn read(
    files: &[SourceFile],
    from: &str,
    source: &mut Source,
    since: Option<&str>,
    keep: Option<Keep>,
    limit: u64,
) -> Result<(Vec<Series>, Summary)> {
    let conditions = source.condition.as_deref().map_or(Ok(Vec::new()), filter::parse)?;
    let mut frames = Vec::new();
    let total = files.iter().map(|f| f.length).sum();
    let mut done = 0;
    for file in files {
        progress::stage(&format!("reading {from}"), done, total);
        frames.push(frame::read(file, source, &conditions, limit)?);
        done += file.length;
    }
    progress::stage(&format!("converting {from}"), 0, 0);
    let mut notes = Vec::new();
    drop_constant_folders(files, &mut frames, &mut notes);
    let rows = frames.iter().map(|f| f.frame.height()).sum();
    if rows == 0 {
        let hint = match source.condition.is_some() {
            true => {
                let read = |file| frame::read(file, source, &[], limit);
                choices::unmet(&files.iter().map(read).collect::<Result<Vec<_>>>()?, &conditions)
            }
            false => "the files have no rows".into(),
        };
        return Err(Error::Data(format!("{from}: {hint}")));
    }
    let names: Vec<String> = frames[0].frame.get_column_names().iter().map(ToString::to_string).collect();
    let long = layout::long(&names, source)?;
    notes.extend(file_notes(&frames));
    let Described { columns, layout, times, units } = match &long {
        Some(long) => read_long(&frames, long, source, since, keep, &mut notes)?,
        None => read_wide(&frames, source, since, keep, &mut notes)?,
    };
    let units = column_units::of(&frames, long.as_ref(), &columns, &units)?;
    let span = series::span(&columns);
    if span.is_none() {
        return Err(Error::Data(format!("{from}: no row is left; check `--since` and `--where`")));
    }
    let missing = match long {
        Some(_) => Vec::new(),
        None => wide::missing(&frames, &columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>()),
    };
    let columns = renamed(columns, source)?;
    let summary = Summary {
        from: from.to_owned(),
        files: files.len(),
        rows,
        format: formats(&frames),
        layout,
        times,
        span,
        step: series::step(&columns),
        notes,
        units: units.into_iter().map(|(name, unit)| (new_name(&name, source), unit)).collect(),
        missing: missing.into_iter().map(|(name, files)| (new_name(&name, source), files)).collect(),
        columns: names,
        has_quality: long.is_some_and(|long| long.quality.is_some()),
    };
    Ok((columns, summary))
}

/// Leaves out the columns from folder names that have the same value for all files.
fn drop_constant_folders(files: &[SourceFile], frames: &mut [FileFrame], notes: &mut Vec<String>) {
    let Some(first) = files.first() else { return };
    for (key, value) in &first.folders {
        let constant = files.iter().all(|f| f.folders.iter().any(|(k, v)| k == key && v == value));
        if constant {
            notes.push(format!("the folder `{key}` is `{value}` for all files, so it does not become a column"));
            for frame in frames.iter_mut() {
                if let Ok(dropped) = frame.frame.drop(key) {
                    frame.frame = dropped;
                }
            }
        }
    }
}

/// The notes of the files, each with the number of files to which it applies.
fn file_notes(frames: &[FileFrame]) -> Vec<String> {
    let mut out: Vec<(String, usize)> = Vec::new();
    for note in frames.iter().flat_map(|f| &f.notes) {
        match out.iter_mut().find(|(known, _)| known == note) {
            Some((_, n)) => *n += 1,
            None => out.push((note.clone(), 1)),
        }
    }
    let mut out: Vec<String> = out
        .into_iter()
        .map(|(note, n)| if frames.len() > 1 { format!("{note} ({})", plural(n, "file", "files")) } else { note })
        .collect();
    let units: Vec<String> = frames[0].units.iter().map(|(name, unit)| format!("`{name}` {unit}")).collect();
    if !units.is_empty() {
        out.push(format!("units: {}", list(&units, 8)));
    }
    out
}

fn formats(frames: &[FileFrame]) -> String {
    let mut out: Vec<&str> = Vec::new();
    for frame in frames {
        if !out.contains(&frame.format.as_str()) {
            out.push(&frame.format);
        }
    }
    list(&out, 3)
}

/// The decimal separator of a column. `all` is the evidence from all columns of the source.
fn decimal(place: &str, signs: &Signs, all: &Signs, source: &Source, point_is_usual: bool) -> Result<Decimal> {
    let given = source.decimal.as_deref().and_then(Decimal::parse);
    if let Some(decimal) = given {
        return Ok(decimal);
    }
    let ask = "add `--decimal point` or `--decimal comma`";
    match signs.decide(point_is_usual) {
        Ok(decimal) => Ok(decimal.unwrap_or(Decimal::Point)),
        Err((a, b)) if !b.is_empty() => {
            Err(Error::Data(format!("{place}: `{a}` and `{b}` have different decimal separators; {ask}")))
        }
        Err((a, _)) => match all.decide(point_is_usual) {
            Ok(Some(decimal)) => Ok(decimal),
            _ => Err(Error::Usage(format!(
                "{place}: `{a}` can be read with a decimal point or with a decimal comma, and so can all other numbers; {ask}"
            ))),
        },
    }
}

/// Whether `1.234` probably means 1.234 and not 1234. False for CSV files with semicolons and dates that begin with
/// the day.
fn point_is_usual(frames: &[FileFrame], order: Option<stamp::Order>) -> bool {
    !(frames.iter().any(|f| f.delimiter == Some(b';')) && order != Some(stamp::Order::Mdy))
}

/// The columns, and a description of how they were read.
struct Described {
    columns: Vec<Series>,
    layout: String,
    /// Notation of the times.
    times: String,
    /// Units that follow the values of a column or tag.
    units: Vec<(String, String)>,
}

fn read_long(
    frames: &[FileFrame],
    long: &Long,
    source: &mut Source,
    since: Option<&str>,
    keep: Option<Keep>,
    notes: &mut Vec<String>,
) -> Result<Described> {
    let tags = long::tags(frames, long, &source.select)?;
    let values: Vec<&str> =
        [Some(&long.tag), Some(&long.value), long.quality.as_ref()].into_iter().flatten().map(String::as_str).collect();
    let mut times = clock::read(frames, source, &values, &tags.codes)?;
    notes.append(&mut times.notes);
    leave_out_before(&mut times.instants, since, source)?;
    let mut counted = long::count(frames, &tags, long)?;
    let units = match &mut counted {
        Some((texts, signs)) => long::units(&tags, texts, signs)?,
        None => Vec::new(),
    };
    let place = format!("{}: the column `{}`", frames[0].name, long.value);
    let mut reading = Reading {
        long,
        decimal: Decimal::Point,
        conversions: vec![Conversion::Numbers; tags.names.len()],
        good: Good::new(&source.good, long.quality.as_deref().and_then(layout::question)),
        keep,
    };
    if let Some((texts, signs)) = &counted {
        reading.decimal = decimal(&place, signs, signs, source, point_is_usual(frames, times.order))?;
        reading.conversions = texts.iter().map(values::Texts::conversion).collect();
        let described = tags.names.iter().zip(texts).zip(&reading.conversions);
        notes.extend(described.filter_map(|((name, texts), conversion)| values::describe(name, texts, *conversion)));
        remember_decimal(source, signs, reading.decimal);
    }
    let columns = long::pivot(frames, &tags, &times.instants, &reading, notes)?;
    remember_order(source, times.order);
    let quality = long.quality.as_ref().map_or_else(String::new, |q| format!(", quality `{q}`"));
    let sign = if counted.is_some() { format!(", decimal {}", reading.decimal.name()) } else { String::new() };
    let layout = format!(
        "long: tag `{}`, value `{}`{quality}, {}{sign}",
        long.tag,
        long.value,
        plural(tags.names.len(), "tag", "tags")
    );
    Ok(Described { columns, layout, times: times.notation, units })
}

fn read_wide(
    frames: &[FileFrame],
    source: &mut Source,
    since: Option<&str>,
    keep: Option<Keep>,
    notes: &mut Vec<String>,
) -> Result<Described> {
    let mut times = clock::read(frames, source, &[], &[])?;
    notes.append(&mut times.notes);
    leave_out_before(&mut times.instants, since, source)?;
    let wanted = wide::columns(frames, source, &times.columns, notes)?;
    let mut all = Signs::default();
    wanted.iter().for_each(|w| all.merge(&w.signs));
    let usual = point_is_usual(frames, times.order);
    let decimals = wanted
        .iter()
        .map(|w| decimal(&format!("{}: the column `{}`", frames[0].name, w.name), &w.signs, &all, source, usual));
    let decimals = decimals.collect::<Result<Vec<Decimal>>>()?;
    let read = wide::read(frames, &wanted, &decimals, &times.instants, keep, notes)?;
    let written: Vec<Decimal> =
        wanted.iter().zip(&decimals).filter(|(w, _)| w.signs.has_sign()).map(|(_, d)| *d).collect();
    let sign = match written.first() {
        Some(first) if written.iter().all(|d| d == first) => {
            remember_decimal(source, &all, *first);
            format!(", decimal {}", first.name())
        }
        Some(_) => ", decimal point and comma in different columns".into(),
        None => String::new(),
    };
    remember_order(source, times.order);
    let layout = format!("wide: {}{sign}", plural(read.len(), "column", "columns"));
    let units = wanted.iter().filter_map(|w| Some((w.name.clone(), w.unit.clone()?))).collect();
    Ok(Described { columns: read, layout, times: times.notation, units })
}

fn remember_order(source: &mut Source, order: Option<stamp::Order>) {
    if let Some(order) = order {
        source.date_order = Some(order.name().into());
    }
}

fn remember_decimal(source: &mut Source, signs: &Signs, decimal: Decimal) {
    if signs.has_sign() {
        source.decimal = Some(decimal.name().into());
    }
}

/// Marks the times before `since` as missing.
fn leave_out_before(instants: &mut [Vec<i64>], since: Option<&str>, source: &Source) -> Result<()> {
    let Some(text) = since else { return Ok(()) };
    let start = stamp::parse(text, None).ok_or_else(|| {
        Error::Usage(format!("--since: `{text}` is not a readable time; write it like 2024-01-31 or 2024-01-31T06:00Z"))
    })?;
    let start = zone::instant_of(start, source.timezone.as_deref(), "--since")?.unwrap_or(start.local);
    instants.iter_mut().flatten().filter(|t| **t < start).for_each(|t| *t = NO_TIME);
    Ok(())
}

/// The name of a column in the log.
fn new_name(name: &str, source: &Source) -> String {
    let new = source.rename.iter().filter_map(|pair| pair.split_once('=')).find(|(old, _)| old.trim() == name);
    let name = new.map_or(name, |(_, new)| new.trim());
    source.prefix.as_ref().map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"))
}

/// Renames columns and adds the prefix of the source.
fn renamed(mut columns: Vec<Series>, source: &Source) -> Result<Vec<Series>> {
    for pair in &source.rename {
        let (old, new) = pair
            .split_once('=')
            .map(|(old, new)| (old.trim(), new.trim()))
            .filter(|(old, new)| !old.is_empty() && !new.is_empty())
            .ok_or_else(|| Error::Usage(format!("--rename `{pair}`: write OLD=NEW")))?;
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        layout::require(old, &names, "--rename")?;
        for column in &mut columns {
            if column.name == old {
                new.clone_into(&mut column.name);
            } else if column.name == format!("{old}{QUALITY}") {
                column.name = format!("{new}{QUALITY}");
            }
        }
    }
    if let Some(prefix) = &source.prefix {
        columns.iter_mut().for_each(|c| c.name = format!("{prefix}_{}", c.name));
    }
    if let Some(column) = columns.iter().find(|c| c.name == TIME) {
        let text = format!(
            "{}: the column `{}` has the name of the time column; rename it with `--rename {TIME}=NEW`",
            source.from, column.name
        );
        return Err(Error::Usage(text));
    }
    Ok(columns)
}

/// The limit on the size of one file, given the limit on the address space.
pub fn file_limit(address_space: u64) -> u64 {
    address_space / 4
}

/// The path `from` of a source. The path is relative to the folder of the recipe if the source and the recipe are in
/// the same project folder, which is the folder that contains `data`.
pub fn relative(from: &str, dir: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).map(|p| simplified(&p));
    let (Ok(from_path), Ok(dir)) = (absolute(Path::new(from)), absolute(dir)) else { return from.to_owned() };
    let project = dir.parent().filter(|p| p.file_name().is_some_and(|n| n == "data")).and_then(Path::parent);
    match project.and_then(|project| from_path.strip_prefix(project).ok()) {
        Some(inside) => Path::new("../..").join(inside).display().to_string(),
        None => from_path.display().to_string(),
    }
}

/// Normalises a path: each `..` removes the preceding folder.
pub fn simplified(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let can_go_up = matches!(out.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && can_go_up {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}
