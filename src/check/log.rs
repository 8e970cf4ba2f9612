//! Checks the files and columns of the log against the twin.

use std::ops::Range;

use super::model::timezone;
use super::plant::Plant;
use crate::config::{At, Kind, SignalSpec};
use crate::error::Error;
use crate::log::{Column, ColumnKind};
use crate::resolve::{Faults, listed, short, suggest};
use crate::schema::Role;
use crate::units::Unit;

pub(super) fn log(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let spec = &plant.spec().log;
    if let Some(failure) = &plant.log.failure {
        let text = match failure {
            Error::NoInput { path, reason } => match path.file_name() {
                // If no file matches, the error's `reason` already contains the file pattern.
                _ if reason.contains("no file matches") => reason.clone(),
                Some(name) => format!("{}: {reason}", name.to_string_lossy()),
                None => reason.clone(),
            },
            other => other.to_string(),
        };
        let (what, help) = text.rsplit_once("; ").unwrap_or((&text, "correct `log.files`"));
        faults.add_about_log("no-log", &spec.files.span, what, help);
    }
    if let Some(zone) = &spec.timezone {
        timezone(faults, zone);
    }
    let step = &plant.spec().step;
    if let Some(gap) = spec.max_gap.as_ref().filter(|g| !step.span.is_empty() && ***g < **step) {
        let message =
            format!("`max_gap` {} is shorter than the step {}, so every step would be a gap", gap.value, step.value);
        faults.add("too-short", &gap.span, message, format!("write at least `max_gap = \"{}\"`", step.value));
    }
    let Some(columns) = &plant.log.columns else { return };
    let names = |kinds: &[ColumnKind]| -> Vec<&str> {
        columns.iter().filter(|c| kinds.contains(&c.kind)).map(|c| c.name.as_str()).collect()
    };
    let all: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    if let Some(fault) = &plant.log.implausible {
        faults.add_about_log("unreadable-log", &spec.time.span, &fault.message, &fault.help);
    }
    time_column(faults, plant, &spec.time, &names(&[ColumnKind::Time]), &all);
    if let Some(episode) = spec.episode.as_ref().filter(|e| !all.contains(&e.as_str())) {
        missing(faults, episode, "episode column", &all);
    }
    match &spec.long {
        Some(long) => {
            for (what, column) in [("tag column", &long.tag), ("value column", &long.value.value)] {
                if !all.contains(&column.as_str()) {
                    missing(faults, column, what, &all);
                }
            }
            if let Some(quality) = long.quality.as_ref().filter(|q| !all.contains(&q.as_str())) {
                missing(faults, quality, "quality column", &all);
            }
            if let Some(column) = plant.log.find(&long.value.value).filter(|c| !may_hold_numbers(c)) {
                not_numbers(faults, &long.value.value.span, column, &names(&NUMERIC));
            }
        }
        None => {
            for signal in plant.signals.values() {
                wide_column(faults, plant, signal, &all, &names(&NUMERIC));
            }
            shared_columns(faults, plant);
        }
    }
}

const NUMERIC: [ColumnKind; 3] = [ColumnKind::Float, ColumnKind::Integer, ColumnKind::Boolean];

/// Whether a column may contain numbers, either directly or as text.
fn may_hold_numbers(column: &Column) -> bool {
    NUMERIC.contains(&column.kind) || column.kind == ColumnKind::Text
}

fn time_column(faults: &mut Faults<'_>, plant: &Plant<'_>, name: &At<String>, times: &[&str], all: &[&str]) {
    let help = |fallback: String| match times {
        [one] => format!("write `time = \"{one}\"`"),
        [] => fallback,
        several => format!("use one of {}", listed(several)),
    };
    match plant.log.find(name) {
        None => {
            let help = help(suggest(name, all.iter().copied()));
            faults.add("unknown-column", &name.span, format!("the log has no time column `{}`", name.value), help);
        }
        Some(column)
            if matches!(column.kind, ColumnKind::Boolean | ColumnKind::Other)
                || (!times.is_empty() && !matches!(column.kind, ColumnKind::Time | ColumnKind::Text)) =>
        {
            let message = format!("the time column `{}` contains {}, not times", name.value, contents(column.kind));
            faults.add("wrong-column", &name.span, message, help("use a column that contains times".to_owned()));
        }
        Some(_) => {}
    }
}

fn wide_column(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec, all: &[&str], numeric: &[&str]) {
    if *signal.role == Role::Derived
        || signal.value.is_some()
        || signal.start.is_some()
        || (signal.expr.is_some() && signal.column.is_none())
    {
        return;
    }
    let column = signal.column.as_ref().unwrap_or(&signal.name);
    match plant.log.find(column) {
        None => {
            let (message, help) = match (&signal.column, crate::error::nearest(column, all.iter().copied())) {
                (_, Some(near)) => (
                    format!("the log has no column `{}`", column.value),
                    format!("did you mean `column = \"{near}\"`?"),
                ),
                (None, None) => {
                    // `cpu` for `cpu_load_pct`
                    let longer = all.iter().find(|c| c.starts_with(column.as_str()) || c.ends_with(column.as_str()));
                    let help = match longer {
                        Some(longer) => format!("did you mean `column = \"{longer}\"`?"),
                        None => format!("add `column = \"…\"` (one of {}){}", listed(all), without_column(signal)),
                    };
                    (format!("the log has no column `{}` for this signal", column.value), help)
                }
                (Some(_), None) => {
                    (format!("the log has no column `{}`", column.value), format!("use one of {}", listed(all)))
                }
            };
            faults.add("unknown-column", &column.span, message, help);
        }
        Some(found) if !may_hold_numbers(found) => not_numbers(faults, &column.span, found, numeric),
        // The range of the column also covers rows that are not selected.
        Some(_) if !signal.only.is_empty() || !plant.spec().log.only.is_empty() => {}
        Some(_) => ranges(faults, plant, signal, column),
    }
}

/// Advice for a signal that is not logged, depending on the role of the signal.
fn without_column(signal: &SignalSpec) -> &'static str {
    match (*signal.role, signal.next.is_some()) {
        (Role::Disturbance | Role::Setpoint, _) => ", or `value = …` for a constant",
        (Role::State, true) => ", or `start = …`, its value at the first row, if the state is not logged",
        (Role::State, false) => {
            ", or `start = …` and `next = \"…\"`, its first value and its equation, if the state is not logged"
        }
        _ => ", or remove the signal if it is not logged",
    }
}

fn not_numbers(faults: &mut Faults<'_>, place: &Range<usize>, column: &Column, numeric: &[&str]) {
    let message = format!("the column `{}` contains {}, not numbers", column.name, contents(column.kind));
    let help = if numeric.is_empty() {
        "use a column that contains numbers".to_owned()
    } else {
        format!("use a column that contains numbers: {}", listed(numeric))
    };
    faults.add("wrong-column", place, message, help);
}

fn missing(faults: &mut Faults<'_>, name: &At<String>, what: &str, all: &[&str]) {
    let help = suggest(name, all.iter().copied());
    faults.add("unknown-column", &name.span, format!("the log has no {what} `{}`", name.value), help);
}

fn contents(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "strings",
        ColumnKind::Time => "times",
        ColumnKind::Boolean => "booleans",
        ColumnKind::Float | ColumnKind::Integer => "numbers",
        ColumnKind::Other => "neither numbers nor strings",
    }
}

/// Warns about signals that read the same column.
fn shared_columns(faults: &mut Faults<'_>, plant: &Plant<'_>) {
    let mut readers: Vec<&SignalSpec> = Vec::new();
    for signal in plant.signals.values() {
        let Some(column) = &signal.column else { continue };
        let reads = |r: &&&SignalSpec| r.column == signal.column && r.only == signal.only;
        let other = readers.iter().find(reads).map(|r| &r.name.value);
        readers.push(signal);
        if let Some(other) = other {
            let message = format!("`{other}` and `{}` read the same column `{}`", signal.name.value, column.value);
            faults.warn("duplicate-column", &column.span, message, "give each signal its own column");
        }
    }
}

/// Compares the limits of a signal with the range of its logged values, in the unit of the signal. For amounts and
/// counters, `hard` and `soft` limit the value per step, which differs from the logged values.
fn ranges(faults: &mut Faults<'_>, plant: &Plant<'_>, signal: &SignalSpec, column: &At<String>) {
    let Some((min, max)) = plant.log.ranges.get(column.as_str()).copied() else { return };
    let Some(unit) = plant.unit(&signal.name) else { return };
    let from = signal.column_unit.as_ref().map_or_else(|| Ok(unit.clone()), |u| Unit::parse(u));
    let Ok(from) = from else { return };
    let (Ok(min), Ok(max)) = (from.convert(min, unit), from.convert(max, unit)) else { return };
    let name = &signal.name.value;
    let text = signal.unit.as_ref().map_or(String::new(), |u| format!(" {}", u.value));
    let data = format!("{} to {}{text}", short(min), short(max));
    let per_step = signal.kind.as_ref().is_some_and(|k| matches!(k.value, Kind::Amount | Kind::Counter));
    for (key, limits) in [("hard", &signal.hard), ("soft", &signal.soft), ("valid", &signal.valid)] {
        let comparable = !per_step || key == "valid";
        let Some(limits) = limits.as_ref().filter(|l| comparable && l[0] <= l[1]) else { continue };
        let [low, high] = limits.value;
        if high < min || low > max {
            let message =
                format!("`{key}` [{low}, {high}] of `{name}` is entirely outside the range of the log ({data})");
            let help = match other_unit(&from, unit, (min, max), (low, high)) {
                Some(hint) => hint,
                None => {
                    "correct the limits or the units: `unit` applies to the limits, and `column_unit` to the column"
                        .to_owned()
                }
            };
            if key == "soft" {
                faults.warn("limits-outside-log", &limits.span, message, help);
            } else {
                faults.add("limits-outside-log", &limits.span, message, help);
            }
        } else if key == "hard" && (min < low || max > high) {
            let message = format!("`hard` [{low}, {high}] of `{name}` is narrower than the range of the log ({data})");
            let help = "widen the limits, unless the plant has to stay within them from now on";
            faults.warn("limits-exclude-log", &limits.span, message, help);
        }
    }
}

/// Suggests another unit in which the limits would overlap the data: a unit that differs by a power of ten, or another
/// temperature unit.
fn other_unit(from: &Unit, unit: &Unit, data: (f64, f64), limits: (f64, f64)) -> Option<String> {
    let fits = |f: &dyn Fn(f64) -> f64| f(data.1) >= limits.0 && f(data.0) <= limits.1;
    if unit.is_affine() || unit.text == "K" {
        for other in ["degF", "degC", "K"] {
            let read = Unit::parse(other).ok()?;
            let convert = |v: f64| unit.convert(v, from).and_then(|raw| read.convert(raw, unit)).unwrap_or(f64::NAN);
            let limit = |v: f64| read.convert(v, unit).unwrap_or(f64::NAN);
            if other != unit.text && limit(limits.1) >= data.0 && limit(limits.0) <= data.1 {
                let (low, high) = (short(limit(limits.0)), short(limit(limits.1)));
                return Some(format!("if the limits are in {other}, convert them to `{}`: [{low}, {high}]", unit.text));
            }
            if other != from.text && fits(&convert) {
                return Some(format!("is the column in {other}? Then add `column_unit = \"{other}\"`"));
            }
        }
    }
    for factor in [1e-3, 1e3, 1e-6, 1e6, 1e-2, 1e2] {
        if fits(&|v| v * factor) {
            return Some(format!(
                "the limits and the data seem to differ by a factor of {factor}; correct `unit` or `column_unit`"
            ));
        }
    }
    None
}
