//! Verifies a saving in a plant: chooses the KPI and the drivers, freezes the baseline, and assembles the result.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::plant::Source;
use crate::disk::{make_dir, read_if_present, write_file};
use crate::error::{Error, Result};
use crate::learn::model::Family;
use crate::log::FindingClass;
use crate::schema::Role;
use crate::value::{Kpi, KpiKind};
use crate::verify::{
    AdjustedBaseline, Fitness, Intervals, Length, Saving, Settings, Statistics, Trial, TrialDay, analyse,
};

/// A period between two times. The period does not include its end time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// An event that changed the use but is unrelated to the saving, such as a new production line. The analysis leaves out
/// all intervals in the period of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonRoutineEvent {
    /// The period, like `2024-05-01..2024-05-07`.
    pub period: String,
    pub reason: String,
}

/// The file with the events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    #[serde(default)]
    event: Vec<NonRoutineEvent>,
}

/// The settings of a verification. For each field that is `None`, a value is chosen on the basis of the twin.
#[derive(Debug, Clone)]
pub struct Request {
    pub baseline: String,
    pub reporting: String,
    pub kpi: Option<String>,
    pub drivers: Option<Vec<String>>,
    pub length: Option<Length>,
    pub events: Option<PathBuf>,
}

/// The settings and the data of a baseline that was used for a verification. The settings and the data must not change
/// afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenBaseline {
    pub kpi: String,
    pub baseline: Period,
    pub length: Length,
    pub drivers: Vec<String>,
    /// The events in the baseline period.
    pub events: Vec<NonRoutineEvent>,
    /// The model family, and the number of intervals per fold.
    pub model: String,
    pub fold: usize,
    /// Hash of the use and the drivers in the baseline period, and hash of the use that the model predicts for this
    /// period.
    pub data: String,
    pub fit: String,
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub plant: String,
    pub unit: String,
    pub reporting: Period,
    pub frozen: FrozenBaseline,
    /// All events whose periods are left out.
    pub events: Vec<NonRoutineEvent>,
    /// The file that contains the frozen baseline.
    pub file: PathBuf,
    pub statistics: Statistics,
    pub fitness: Fitness,
    pub saving: Saving,
    /// The saving and its interval in money, if the objective prices the KPI.
    pub money: Option<[f64; 3]>,
    pub currency: Option<String>,
    pub warnings: Vec<String>,
}

impl Period {
    /// Parses `FROM..TO`. If `TO` is a date, the period includes that day.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self> {
        let invalid = |part: &str| {
            Error::Usage(format!(
                "`{part}` in the period `{text}` is neither a date nor a time; write it like `2024-01-01..2024-03-31` or \
                 `2024-01-01T00:00:00Z..2024-04-01T00:00:00Z`"
            ))
        };
        let (from, to) = text.split_once("..").ok_or_else(|| invalid(text))?;
        let midnight = |date: Date| zone.to_ambiguous_timestamp(date.to_datetime(Time::midnight())).compatible();
        let at = |part: &str, end: bool| {
            let date = part.trim().parse::<Date>();
            match (part.trim().parse::<Timestamp>(), date) {
                (Ok(time), _) => Ok(time),
                (_, Ok(date)) if !part.contains(':') => {
                    let date = if end { date.tomorrow().unwrap_or(date) } else { date };
                    midnight(date).map_err(|_| invalid(part))
                }
                _ => Err(invalid(part)),
            }
        };
        let period = Self { from: at(from, false)?, to: at(to, true)? };
        if period.from >= period.to {
            return Err(Error::Usage(format!("the period `{text}` ends before it begins")));
        }
        Ok(period)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// Verifies a saving of the plant in the folder `dir`. The baseline is stored in the folder of the plant when it is
/// used for the first time.
///
/// # Errors
/// [`Error::Usage`] if the request does not match the twin, and [`Error::Data`] if the log does not cover the periods or
/// if the frozen baseline has changed.
pub fn verify(source: &Source, dir: &Path, request: &Request, seed: u64) -> Result<Verification> {
    let spec = &source.spec.value;
    let zone = spec.zone()?;
    let baseline = Period::parse(&request.baseline, &zone)?;
    let reporting = Period::parse(&request.reporting, &zone)?;
    if baseline.overlaps(&reporting) {
        return Err(Error::Usage(
            "the baseline period and the reporting period overlap; choose separate periods".into(),
        ));
    }
    let kpi = chosen_kpi(source, request.kpi.as_deref())?;
    let drivers = chosen_drivers(source, kpi, request.drivers.as_deref())?;
    let length = request.length.unwrap_or(if spec.step.ms() < 3_600_000 { Length::Hour } else { Length::Step });
    let events = events(request.events.as_deref())?;
    let mut intervals = Intervals::new(&source.log, kpi, &drivers, length, &zone);
    let mut before_change = Vec::new();
    for event in &events {
        let period = Period::parse(&event.period, &zone)?;
        if period.overlaps(&baseline) {
            before_change.push(event.clone());
        }
        for i in 0..intervals.len() {
            if intervals.start[i] < period.to && period.from < intervals.end[i] {
                intervals.used[i] = f64::NAN;
            }
        }
    }
    let inside = |name: &str, period: &Period| {
        let range = intervals.between(period.from, period.to);
        let span = || Some((*intervals.start.first()?, *intervals.end.last()?));
        match span().filter(|_| range.is_empty()) {
            None => Ok(range),
            Some((first, last)) => Err(Error::Data(format!(
                "the {name} period contains no complete interval of the log, which covers {first} to {last}"
            ))),
        }
    };
    let (before, after) = (inside("baseline", &baseline)?, inside("reporting", &reporting)?);
    let folder = dir.join("verify");
    let file = folder.join(format!("{}.json", kpi.name));
    let stored = stored(&file)?;
    let settings = Settings {
        reporting: after.len(),
        frozen: match &stored {
            Some(frozen) => Some((Family::from_name(&frozen.model)?, frozen.fold)),
            None => None,
        },
        seed,
        compute: &source.compute,
    };
    let fitted = AdjustedBaseline::fit(&intervals, before, &settings)?;
    let names = drivers.iter().map(|&d| source.schema.signals[d].name.clone()).collect();
    let frozen = FrozenBaseline {
        kpi: kpi.name.clone(),
        baseline,
        length,
        drivers: names,
        events: before_change,
        model: fitted.model.to_owned(),
        fold: fitted.fold,
        data: fitted.data_hash(&intervals),
        fit: fitted.fit_hash(),
    };
    match &stored {
        Some(stored) => require_equal(stored, &frozen, &file)?,
        None => {
            let text = serde_json::to_string_pretty(&frozen).map_err(|e| Error::Internal(e.to_string()))?;
            make_dir(&folder).map_err(|e| Error::write(&folder, e))?;
            write_file(&file, text.as_bytes())?;
        }
    }
    let doubts = doubts(source, kpi, &frozen.drivers);
    let saving = Saving::new(&fitted, &intervals, after, !doubts.is_empty(), seed)?;
    let mut warnings = warnings(&frozen, &saving);
    warnings.extend(doubts);
    warnings.extend(outside_log(&intervals, &baseline, &reporting));
    let currency = spec.economics.as_ref().map(|e| e.currency.value.clone());
    let price = source.compiled.objective.terms.iter().find(|t| t.0.name == kpi.name).map(|t| t.1);
    Ok(Verification {
        plant: source.name().to_owned(),
        unit: kpi.unit.text.clone(),
        reporting,
        file,
        fitness: fitted.statistics.fitness(),
        statistics: fitted.statistics,
        money: price.filter(|_| currency.is_some()).map(|p| [saving.saving, saving.low, saving.high].map(|v| p * v)),
        currency,
        warnings,
        events,
        frozen,
        saving,
    })
}

/// The KPI that is verified: the KPI with the given name, or else the only priced integral or sum, or else the only
/// integral or sum.
fn chosen_kpi<'a>(source: &'a Source, name: Option<&str>) -> Result<&'a Kpi> {
    let totals: Vec<&Kpi> = source.compiled.kpis.iter().filter(|k| k.kind() == KpiKind::Sum).collect();
    let list = || totals.iter().map(|k| format!("`{}`", k.name)).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        return totals.iter().copied().find(|k| k.name == name).ok_or_else(|| {
            let found =
                if totals.is_empty() { "the twin has none".to_owned() } else { format!("these are {}", list()) };
            Error::Usage(format!(
                "`{name}` is not a KPI with an integral or a sum, like `{{ integral = \"power\" }}`; {found}"
            ))
        });
    }
    let priced = |k: &&Kpi| source.compiled.objective.terms.iter().any(|(term, _)| term.name == k.name);
    let chosen: Vec<&Kpi> = totals.iter().copied().filter(priced).collect();
    match (&chosen[..], &totals[..]) {
        ([one], _) | ([], [one]) => Ok(one),
        ([], []) => Err(Error::Usage(
            "the twin has no KPI with an integral or a sum; add one, like `energy = { integral = \"power\" }`, to `[kpi]`"
                .into(),
        )),
        _ => Err(Error::Usage(format!("choose what is verified with `--kpi`: {}", list()))),
    }
}

/// The columns of the drivers: the named signals, or all disturbances that the KPI does not read.
fn chosen_drivers(source: &Source, kpi: &Kpi, names: Option<&[String]>) -> Result<Vec<usize>> {
    let schema = &source.schema;
    let Some(names) = names else {
        let read = kpi.reads();
        let moves = |d: &usize| source.log.columns[*d].windows(2).any(|w| w[0] != w[1] && w[0].is_finite());
        let mut found = schema.with_role(Role::Disturbance);
        found.retain(|d| !read.contains(d) && moves(d));
        return Ok(found);
    };
    let find = |name: &String| {
        let signal = schema.find(name).ok_or_else(|| Error::Usage(format!("the twin has no signal `{name}`")))?;
        match schema.signals[signal].role {
            Role::Control | Role::Setpoint => Err(Error::Usage(format!(
                "`{name}` is set by staff or by a controller, so it may depend on the change that is verified; a \
                 driver must be independent of this change"
            ))),
            _ if kpi.reads().contains(&signal) => {
                Err(Error::Usage(format!("`{}` is computed from `{name}`, which cannot be a driver", kpi.name)))
            }
            _ => Ok(signal),
        }
    };
    names.iter().map(find).collect()
}

fn events(file: Option<&Path>) -> Result<Vec<NonRoutineEvent>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(file).map_err(|e| Error::no_input(file, e.to_string()))?;
    let events: EventFile = toml::from_str(&text).map_err(|e| {
        Error::Usage(format!(
            "{}: {}; an event is written like `[[event]]`, `period = \"2024-05-01..2024-05-07\"`, `reason = \"…\"`",
            file.display(),
            e.message()
        ))
    })?;
    Ok(events.event)
}

/// The baseline that was frozen earlier.
fn stored(file: &Path) -> Result<Option<FrozenBaseline>> {
    let bytes = read_if_present(file).map_err(|e| Error::no_input(file, e.to_string()))?;
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|e| Error::Data(format!("{} is damaged: {e}", file.display())))
    };
    bytes.map(parse).transpose()
}

/// Returns an error if the baseline differs from the one that was frozen.
fn require_equal(stored: &FrozenBaseline, now: &FrozenBaseline, file: &Path) -> Result<()> {
    let differs = [
        ("the baseline period", stored.baseline != now.baseline),
        ("the length of the intervals", stored.length != now.length),
        ("the drivers", stored.drivers != now.drivers),
        ("the non-routine events in the baseline period", stored.events != now.events),
    ];
    let mut found: Vec<&str> = differs.iter().filter(|d| d.1).map(|d| d.0).collect();
    match (stored.data != now.data, stored.fit != now.fit) {
        _ if !found.is_empty() => {}
        (true, _) => found.push("the data in the baseline period, or the definition of the KPI,"),
        (_, true) => found.push("the fitted model (because of another seed or twinopt version)"),
        _ => {}
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::Data(format!(
        "the baseline of `{}` was frozen at its first use, but {} changed later; use the frozen baseline (see {}), or \
         delete that file to start a new verification",
        now.kpi,
        found.join(" and "),
        file.display()
    )))
}

/// Findings about the quality of the log that concern the KPI or a driver.
fn doubts(source: &Source, kpi: &Kpi, drivers: &[String]) -> Vec<String> {
    let read: Vec<&str> = kpi.reads().iter().map(|s| source.schema.signals[*s].name.as_str()).collect();
    let flat = source.quality.findings.iter().filter(|f| f.class == FindingClass::FlatLine);
    let all = source.quality.suspicions().chain(flat);
    let found = all.filter(|f| read.contains(&f.signal.as_str()) || drivers.contains(&f.signal));
    found.map(|f| format!("`{}`: {} ({}, {} to {})", f.signal, f.note, f.count, f.first, f.last)).collect()
}

/// Warnings about periods that the log does not fully cover, and about periods in the wrong order.
fn outside_log(intervals: &Intervals, baseline: &Period, reporting: &Period) -> Vec<String> {
    let mut out = Vec::new();
    let (Some(first), Some(last)) = (intervals.start.first(), intervals.end.last()) else { return out };
    for (name, period) in [("baseline", baseline), ("reporting", reporting)] {
        if period.from < *first || period.to > *last {
            out.push(format!("the log, which covers {first} to {last}, contains only a part of the {name} period"));
        }
    }
    if reporting.from < baseline.from {
        out.push("the reporting period is before the baseline period".to_owned());
    }
    out
}

fn warnings(frozen: &FrozenBaseline, saving: &Saving) -> Vec<String> {
    let mut out = Vec::new();
    if frozen.drivers.is_empty() {
        out.push(
            "the adjusted baseline depends on the calendar only, because the twin has no disturbances; weather and load \
             are not accounted for"
                .to_owned(),
        );
    }
    if saving.outside > 0.0 {
        let percent = (100.0 * saving.outside).ceil();
        out.push(format!(
            "in {percent} % of the reporting period, a driver is outside its range in the baseline period, so the adjusted \
             baseline is extrapolated"
        ));
    }
    let missing = saving.all_intervals - saving.intervals;
    if missing > 0 {
        out.push(format!(
            "{missing} of {} intervals of the reporting period are missing, incomplete or left out by `--events`; the saving \
             covers only the other intervals",
            saving.all_intervals
        ));
    }
    out
}

/// Analyses the trial in `file`, as printed by `twinopt verify plan`.
///
/// # Errors
/// [`Error::Usage`] if the file is not a trial schedule, and [`Error::Data`] if too few days were measured.
pub fn trial<'a>(source: &'a Source, file: &Path, kpi: Option<&str>, seed: u64) -> Result<(Trial, &'a Kpi)> {
    let kpi = chosen_kpi(source, kpi)?;
    let zone = source.spec.value.zone()?;
    let text = std::fs::read_to_string(file).map_err(|e| Error::no_input(file, e.to_string()))?;
    let day = |line: &str| {
        let mut parts = line.split(',').map(str::trim);
        let (date, pair) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let on = match parts.next()? {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        Some(TrialDay { date, pair, on })
    };
    let parsed = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()).map(|(i, line)| {
        day(line).ok_or_else(|| {
            Error::Usage(format!("{}:{}: `{line}` is not a day like `2025-01-06,0,on`", file.display(), i + 1))
        })
    });
    let days: Vec<TrialDay> = parsed.collect::<Result<_>>()?;
    let intervals = Intervals::new(&source.log, kpi, &[], Length::Day, &zone);
    let used = |date: Date| {
        let at = intervals.start.iter().position(|t| zone.to_datetime(*t).date() == date)?;
        Some(intervals.used[at]).filter(|v| v.is_finite())
    };
    Ok((analyse(&days, used, seed)?, kpi))
}
