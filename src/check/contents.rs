//! Reads the whole log and reports everything that prevents a fit, or that is probably wrong.

use std::ops::Range;
use std::path::Path;

use super::plant::Plant;
use super::repeats::repeated;
use crate::config::{SignalSpec, TwinSpec};
use crate::error::{Error, Fault, LogKey};
use crate::log::{FindingClass, QualityColumn};
use crate::resolve::Faults;
use crate::{expr, log};

/// Reads the log of a twin whose files have no faults, and returns the faults in the log. The gaps of the log are
/// stored for the checks of scenarios.
pub fn contents(plant: &Plant<'_>) -> Vec<Fault> {
    let mut faults = Faults::new(plant.file);
    let (spec, dir) = (&plant.file.value, plant.file.path.parent().unwrap_or(Path::new(".")));
    let files = &spec.log.files.span;
    let Ok(schema) = expr::schema(spec) else { return Vec::new() };
    match log::read(dir, spec, &schema) {
        Ok((rows, quality)) => {
            plant.log.set_segments(&rows);
            plant.log.set_operating_hours(log::operating_hours(&rows, spec).ok().flatten());
            repeated(&mut faults, plant, &rows);
            unused_quality(&mut faults, spec, dir);
            for name in &quality.incomplete {
                let help = "repair or exclude bad parts of the log, choose another signal, or lower `log.completeness`";
                faults.add_about_log("incomplete", &of_signal(spec, name), quality.explain_incomplete(name), help);
            }
            for finding in quality.suspicions() {
                let place = if finding.class == FindingClass::LongGap {
                    files.clone()
                } else if finding.signal.is_empty() {
                    spec.log.time.span.clone()
                } else {
                    of_signal(spec, &finding.signal)
                };
                let (what, help) = split(&finding.note);
                let what = match finding.class {
                    FindingClass::LongGap | FindingClass::RelativeTimes => what.to_owned(),
                    _ => format!("{what} ({})", finding.count),
                };
                faults.warn(finding.class.as_str(), &place, what, help);
            }
        }
        Err(Error::Log(list)) => {
            for fault in list {
                faults.add_about_log("unreadable-log", &place(spec, &fault.key), fault.message, fault.help);
            }
        }
        Err(other) => {
            let text = other.to_string();
            let (what, help) = split(&text);
            faults.add_about_log("unreadable-log", files, what, help);
        }
    }
    faults.into_list()
}

/// Warns about columns that contain the quality of the samples if no `where` selects the good rows.
fn unused_quality(faults: &mut Faults<'_>, spec: &TwinSpec, dir: &Path) {
    if spec.log.long.is_some() {
        return;
    }
    let selects =
        |name: &str| spec.log.only.contains_key(name) || spec.signals.iter().any(|s| s.only.contains_key(name));
    let columns = log::columns(dir, &spec.log).unwrap_or_default();
    let is_signal = |name: &str| spec.signals.iter().any(|s| s.column.as_ref().unwrap_or(&s.name).value == name);
    let describes_plant =
        |c: &QualityColumn| is_signal(&c.name) && !c.is_certain(columns.iter().map(|c| c.name.as_str()));
    let found = log::quality_columns(dir, &spec.log).unwrap_or_default();
    for column in found.iter().filter(|c| !selects(&c.name) && !describes_plant(c)) {
        let what =
            format!("the column `{}` seems to contain the quality of the samples, but {}", column.name, column.text());
        let help = format!("add `{}` to `log`, or to the signals to which the flags apply", column.setting());
        faults.warn("bad-flag", &spec.log.files.span, what, help);
    }
}

/// Splits a message into the problem and the advice.
fn split(text: &str) -> (&str, &str) {
    text.rsplit_once("; ").unwrap_or((text, "see `twinopt inspect`"))
}

/// Returns the location of the setting to which a fault of the log refers.
fn place(spec: &TwinSpec, key: &LogKey) -> Range<usize> {
    let log = &spec.log;
    let long = log.long.as_ref().map(|l| &l.value);
    match key {
        LogKey::Files => log.files.span.clone(),
        LogKey::Time => log.time.span.clone(),
        LogKey::Where => {
            let filters = log.only.values().chain(spec.signals.iter().flat_map(|s| s.only.values()));
            filters.map(|l| l.span.clone()).next().unwrap_or(log.files.span.clone())
        }
        LogKey::Periods => {
            let mut settings = log.from.iter().chain(&log.until).chain(&log.exclude);
            settings.next().map_or(log.files.span.clone(), |s| s.span.clone())
        }
        LogKey::Value => long.map_or(log.files.span.clone(), |l| l.value.span.clone()),
        LogKey::Quality => long.and_then(|l| l.quality.as_ref()).map_or(log.files.span.clone(), |q| q.span.clone()),
        LogKey::Signal(name) => of_signal(spec, name),
        LogKey::Column(name) => {
            let reads = |s: &&SignalSpec| s.column.as_ref().unwrap_or(&s.name).value == *name;
            let signal = spec.signals.iter().map(|s| &s.value).find(reads);
            let column = signal.map(|s| s.column.as_ref().unwrap_or(&s.name).span.clone());
            let mut filters = std::iter::once(&log.only).chain(spec.signals.iter().map(|s| &s.only));
            let filter = || filters.find_map(|only| only.get(name)).map(|l| l.span.clone());
            column.or_else(filter).unwrap_or(log.files.span.clone())
        }
    }
}

/// Returns the location of the name of a signal.
fn of_signal(spec: &TwinSpec, name: &str) -> Range<usize> {
    let signal = spec.signals.iter().find(|s| s.name.value == name);
    signal.map_or(spec.log.files.span.clone(), |s| s.name.span.clone())
}
