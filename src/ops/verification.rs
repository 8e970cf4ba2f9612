//! Verifies a saving in a plant: chooses the KPI and the drivers, freezes the baseline, and assembles the result.

mod warnings;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::Deserialize;

use super::plant::Source;
use super::{Lock, promise};
use crate::disk::{create_file, make_dir, read_if_present, write_file};
use crate::error::{Error, Result};
use crate::learn::model::Family;
use crate::period::Period;
use crate::report;
use crate::schema::Role;
use crate::units::Unit;
use crate::value::{Cash, Kpi, KpiKind};
use crate::verify::{
    AdjustedBaseline, Entry, FrozenBaseline, Intervals, Length, NonRoutineEvent, PromiseCheck, Saving, Settings,
    TrackRecord, Trial, TrialDay, Verification, analyse, days, hash, outliers, shift,
};

/// Sunday as a day of the week, counted from Monday.
const SUNDAY: usize = 6;

/// The file with the events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    /// Public holidays, which the model treats as Sundays.
    #[serde(default)]
    holidays: Vec<Date>,
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
    /// The report whose promise is checked, and the case of that report.
    pub promise: Option<PathBuf>,
    pub case: Option<String>,
}

/// Verifies a saving of the plant in the folder `dir`. The baseline is stored in the folder of the plant when it is
/// used for the first time, and a line is appended to the ledger in this folder.
///
/// # Errors
/// [`Error::Usage`] if the request does not match the twin, [`Error::Data`] if the log does not cover the periods or
/// if the frozen baseline has changed, and [`Error::Busy`] if another verification of the plant is in progress.
pub fn verify(source: &Source, dir: &Path, request: &Request, seed: u64) -> Result<Verification> {
    let spec = &source.spec.value;
    let zone = spec.zone()?;
    let period = |text: &str| Period::parse(text, &zone).map_err(Error::Usage);
    let (baseline, reporting) = (period(&request.baseline)?, period(&request.reporting)?);
    if baseline.overlaps(&reporting) {
        return Err(Error::Usage(
            "the baseline period and the reporting period overlap; choose separate periods".into(),
        ));
    }
    let kpi = chosen_kpi(source, request.kpi.as_deref())?;
    require_constant_prices(source, kpi)?;
    let drivers = chosen_drivers(source, kpi, request.drivers.as_deref())?;
    let length = request.length.unwrap_or(if spec.step.ms() < 3_600_000 { Length::Hour } else { Length::Step });
    let EventFile { holidays, event: events } = events(request.events.as_deref())?;
    let promise =
        request.promise.as_ref().map(|report| promise::promise(report, request.case.as_deref(), source.name(), kpi));
    let promise = promise.transpose()?;
    let mut intervals = Intervals::new(&source.log, kpi, &drivers, length, &zone);
    let of_events: Vec<Period> = events.iter().map(|e| period(&e.period)).collect::<Result<_>>()?;
    let date = |at| zone.to_datetime(at).date();
    for i in 0..intervals.len() {
        if of_events.iter().any(|event| intervals.start[i] < event.to && event.from < intervals.end[i]) {
            intervals.used[i] = f64::NAN;
        }
        if holidays.contains(&date(intervals.start[i])) {
            intervals.weekday[i] = SUNDAY;
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
    // Without the lock, two simultaneous first verifications would freeze different baselines.
    let _lock = Lock::take(&folder, "verify")?;
    let mut ledger = promise::ledger(dir)?;
    let file = folder.join(format!("{}.json", kpi.name));
    let stored = stored(&file)?;
    let settings = Settings {
        reporting: after.len(),
        frozen: match &stored {
            Some((frozen, _)) => Some((Family::from_name(&frozen.model)?, frozen.fold)),
            None => None,
        },
        seed,
        compute: &source.compute,
    };
    let fitted = AdjustedBaseline::fit(&intervals, before.clone(), &settings)?;
    let signal = |s: &usize| source.schema.signals[*s].name.clone();
    let frozen = FrozenBaseline {
        kpi: kpi.name.clone(),
        baseline,
        length,
        drivers: drivers.iter().map(signal).collect(),
        events: events.iter().zip(&of_events).filter(|(_, p)| p.overlaps(&baseline)).map(|(e, _)| e.clone()).collect(),
        holidays: holidays
            .iter()
            .copied()
            .filter(|day| before.clone().any(|i| date(intervals.start[i]) == *day))
            .collect(),
        model: fitted.model.to_owned(),
        fold: fitted.fold,
        data: AdjustedBaseline::data_hash(&intervals, &fitted.rows),
        fit: fitted.fit_hash(),
    };
    let frozen_hash = match &stored {
        Some((stored, hash)) => {
            require_equal(stored, &frozen, &file)?;
            hash.clone()
        }
        None => {
            let text = serde_json::to_string_pretty(&frozen).map_err(|e| Error::Internal(e.to_string()))?;
            create_file(&file, text.as_bytes())?;
            hash(text.as_bytes())
        }
    };
    let days = days(&intervals, &fitted, [before, after.clone()], &of_events, &zone);
    let mut doubts = warnings::doubts(source, kpi, &frozen.drivers);
    doubts.extend(shift(&days).map(|shift| warnings::changed(&shift, &kpi.unit.text)));
    let saving = Saving::new(&fitted, &intervals, after.clone(), !doubts.is_empty(), seed)?;
    let promise = promise.map(|promise| PromiseCheck::new(promise, &saving, !doubts.is_empty()));
    let mut warnings = warnings::about_saving(&frozen, &saving);
    warnings.extend(warnings::unusual(&outliers(&days)));
    warnings.extend(doubts);
    warnings.extend(warnings::outside_log(&intervals, &baseline, &reporting));
    warnings.extend(promise.iter().flat_map(|check| warnings::about_promise(check, &reporting)));
    let data_hash = AdjustedBaseline::data_hash(&intervals, &intervals.known(after));
    let entry = Entry {
        schema_version: 0,
        version: String::new(),
        kpi: kpi.name.clone(),
        unit: kpi.unit.text.clone(),
        baseline,
        reporting,
        adjusted_baseline: saving.adjusted_baseline,
        measured: saving.measured,
        saving: saving.saving,
        low: saving.low,
        high: saving.high,
        claim: saving.claim,
        frozen: frozen_hash.clone(),
        data: data_hash.clone(),
        promise: promise.clone(),
        previous: String::new(),
    };
    promise::append(dir, &mut ledger, entry)?;
    let promises = ledger.promises();
    let mut boundary: Vec<String> = kpi.reads().iter().map(signal).collect();
    boundary.sort_unstable();
    boundary.dedup();
    let compiled = &source.compiled;
    let cash = Cash::new(&compiled.kpis, &compiled.objective, spec.economics.as_ref().map(|e| &e.value))
        .filter(|cash| Unit::parse(&cash.unit).is_ok_and(|unit| unit.currency().is_some()));
    let position = compiled.kpis.iter().position(|k| k.name == kpi.name);
    let factor = cash.as_ref().zip(position).and_then(|(cash, k)| cash.factor(k));
    Ok(Verification {
        plant: source.name().to_owned(),
        timezone: spec.timezone.as_ref().map_or_else(|| "UTC".to_owned(), |z| z.value.clone()),
        unit: kpi.unit.text.clone(),
        formula: kpi.formula.clone(),
        boundary,
        reporting,
        file,
        fitness: fitted.statistics.fitness(),
        statistics: fitted.statistics,
        money: factor.map(|f| [saving.saving, saving.low, saving.high].map(|v| f * v)),
        currency: cash.map(|cash| cash.unit),
        promise,
        record: TrackRecord::new(&promises),
        promises,
        frozen_hash,
        data_hash,
        warnings,
        events,
        holidays,
        frozen,
        saving,
        days,
    })
}

/// Writes the page of a verification to the folder `reports` of the plant, and returns its path.
pub fn write_page(reports: &Path, verification: &Verification) -> Result<PathBuf> {
    let page = report::verification(verification)?;
    make_dir(reports).map_err(|e| Error::write(reports, e))?;
    let file = reports.join(format!("verification-{}.html", verification.frozen.kpi));
    write_file(&file, page.as_bytes())?;
    Ok(file)
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

/// The signals that the KPI reads, directly or through derived signals.
fn inputs(source: &Source, kpi: &Kpi) -> Vec<usize> {
    let mut found = kpi.reads();
    let mut next = 0;
    while let Some(program) = found.get(next).map(|s| source.compiled.equations.derived_program(*s)) {
        found.extend(program.into_iter().flat_map(|p| &p.reads).map(|(s, _)| *s));
        next += 1;
    }
    found
}

/// Returns an error if the KPI depends on a price that varies, because its change would then contain that of the price.
fn require_constant_prices(source: &Source, kpi: &Kpi) -> Result<()> {
    let varies = |s: &usize| {
        let signal = &source.schema.signals[*s];
        let values = || source.log.columns[*s].iter().filter(|v| v.is_finite());
        signal.role == Role::Disturbance
            && signal.unit.currency().is_some()
            && values().any(|v| Some(v) != values().next())
    };
    let Some(price) = inputs(source, kpi).into_iter().find(varies) else { return Ok(()) };
    Err(Error::Usage(format!(
        "the KPI `{}` depends on `{}`, which varies, so a change of the price would count as a saving; verify a KPI in \
         physical units, like `energy = {{ integral = \"power\" }}`, and multiply its saving by the price",
        kpi.name, source.schema.signals[price].name
    )))
}

/// The columns of the drivers: the named signals, or all disturbances that the KPI does not read, directly or through
/// derived signals.
fn chosen_drivers(source: &Source, kpi: &Kpi, names: Option<&[String]>) -> Result<Vec<usize>> {
    let (schema, read) = (&source.schema, inputs(source, kpi));
    let Some(names) = names else {
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
            _ if read.contains(&signal) => {
                Err(Error::Usage(format!("`{}` is computed from `{name}`, which cannot be a driver", kpi.name)))
            }
            _ => Ok(signal),
        }
    };
    names.iter().map(find).collect()
}

fn events(file: Option<&Path>) -> Result<EventFile> {
    let Some(file) = file else { return Ok(EventFile::default()) };
    let text = std::fs::read_to_string(file).map_err(|e| Error::no_input(file, e.to_string()))?;
    toml::from_str(&text).map_err(|e| {
        Error::Usage(format!(
            "{}: {}; an event is written like `[[event]]`, `period = \"2024-05-01..2024-05-07\"`, `reason = \"…\"`, and \
             public holidays like `holidays = [\"2024-05-01\"]`",
            file.display(),
            e.message()
        ))
    })
}

/// The baseline that was frozen earlier, and the hash of its file.
fn stored(file: &Path) -> Result<Option<(FrozenBaseline, String)>> {
    let bytes = read_if_present(file).map_err(|e| Error::no_input(file, e.to_string()))?;
    let parse = |bytes: Vec<u8>| {
        let frozen = serde_json::from_slice(&bytes);
        let frozen = frozen.map_err(|e| Error::Data(format!("{} is damaged: {e}", file.display())))?;
        Ok((frozen, hash(&bytes)))
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
        ("the holidays in the baseline period", stored.holidays != now.holidays),
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

/// Analyses a trial, whose schedule in `file` was printed by `twinopt verify plan`.
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
            Error::Usage(format!("{}:{}: `{line}` is not a line like `2025-01-06,0,on`", file.display(), i + 1))
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
