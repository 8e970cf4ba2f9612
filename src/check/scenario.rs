//! Checks scenarios against their twin.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;

use super::controller::controller;
use super::plant::Plant;
use crate::config::{At, BASELINE, Change, ControllerSpec, Loaded, ScenarioSpec, TimeSpan, key_place};
use crate::control::target::CaseTarget;
use crate::error::{Error, Fault, nearest, plural};
use crate::expr;
use crate::resolve::{Faults, listed, role_name, short, suggest};
use crate::scenario::{Compiled, REPLAY_HELP, changed_inputs, few};
use crate::schema::Role;

/// Largest number of particles per case (not tuned).
const MOST_PARTICLES: usize = 10_000;

/// Returns the faults in a scenario whose twin is `plant`.
pub fn scenario(file: &Loaded<ScenarioSpec>, plant: &Plant<'_>) -> Vec<Fault> {
    let mut faults = Faults::new(file);
    let spec = &file.value;
    alone(&mut faults, spec);
    time(&mut faults, spec, plant);
    for (name, change) in &spec.disturbance {
        let place = key_place(&file.text, name, &change.span);
        plant.expect(&mut faults, name, &place, &[Role::Disturbance], "a disturbance");
    }
    for (name, change) in &spec.parameter {
        if plant.spec().parameters.contains_key(name) || plant.file.damage.names.contains(name) {
            continue;
        }
        let place = key_place(&file.text, name, &change.span);
        if let Some(signal) = plant.signals.get(name.as_str()) {
            let message = format!("`{name}` is {}, not a parameter", role_name(*signal.role));
            let help = if *signal.role == Role::Disturbance {
                format!("move it to `[disturbance]`: `{name} = {{ … }}`")
            } else {
                "only parameters of the twin can be changed here".to_owned()
            };
            faults.add("wrong-role", &place, message, help);
        } else {
            let help = suggest(name, plant.spec().parameters.keys().map(String::as_str));
            faults.add("unknown-parameter", &place, format!("the twin has no parameter `{name}`"), help);
        }
    }
    expressions(&mut faults, spec, plant);
    replayed_baseline(&mut faults, spec, plant);
    // expressions in the cases use the changed parameters
    let changed = plant.with(&spec.parameter);
    for (name, case) in &spec.case {
        CaseTarget::resolve(&mut faults, &changed, &format!("case `{name}`"), case);
        controller(&mut faults, spec, &changed, name, &case.controller);
        for (key, money) in [("capex", &case.capex), ("opex_per_year", &case.opex_per_year)] {
            let Some(money) = money else { continue };
            let place = key_place(&file.text, key, &money.span);
            if plant.spec().economics.is_none() && !plant.file.damage.any {
                let message = format!("case `{name}` has `{key}`, but the twin has no `economics`");
                let help = format!("add `economics = {{ currency = \"EUR\", … }}` to {}", plant.file.path.display());
                faults.add("no-economics", &place, message, help);
            }
            if key == "capex" && **money < 0.0 {
                let message = format!("case `{name}`: `capex` must be 0 or more");
                faults.add("out-of-range", &money.span, message, "give the investment as a positive number, or 0");
            }
        }
    }
    faults.into_list()
}

/// Reports parameter changes that make an expression in the twin invalid, e.g. because a lag becomes negative.
fn expressions(faults: &mut Faults<'_>, spec: &ScenarioSpec, plant: &Plant<'_>) {
    let (twin, parameters) = (plant.file, &plant.spec().parameters);
    let changes = spec.parameter.iter().filter(|(name, _)| parameters.contains_key(*name));
    let changes: IndexMap<String, At<Change>> = changes.map(|(name, c)| (name.clone(), c.clone())).collect();
    let Ok(schema) = expr::schema(&twin.value) else { return };
    let fault = |changes: &IndexMap<String, At<Change>>| match Compiled::new(twin, &schema, changes) {
        Err(Error::Config(list)) => list.into_iter().next(),
        _ => None,
    };
    if changes.is_empty() || fault(&IndexMap::new()).is_some() {
        return;
    }
    let Some(wrong) = fault(&changes) else { return };
    let alone = changes.iter().find(|&(name, c)| fault(&IndexMap::from([(name.clone(), c.clone())])).is_some());
    let Some((name, change)) = alone.or(changes.first()) else { return };
    let place = key_place(faults.text(), name, &change.span);
    let message = format!(
        "with this change of `{name}`, line {} of {} is invalid: {}",
        wrong.line,
        twin.path.display(),
        wrong.message
    );
    faults.add(wrong.code, &place, message, wrong.help);
}

/// Warns of a baseline that replays the logged controls although the scenario changes inputs of the plant.
fn replayed_baseline(faults: &mut Faults<'_>, spec: &ScenarioSpec, plant: &Plant<'_>) {
    let Some(baseline) = spec.case.get(BASELINE) else { return };
    let (ControllerSpec::Replay {}, Ok(schema)) = (&baseline.controller.value, expr::schema(&plant.file.value)) else {
        return;
    };
    // Invalid expressions are reported elsewhere.
    let Ok(changed) = changed_inputs(plant.file, &schema, spec) else { return };
    if !changed.is_empty() {
        let names = few(&changed);
        let message = format!(
            "the baseline replays the logged controls, which do not react to the change of {names}, so savings may be \
             overstated"
        );
        faults.warn("replayed-baseline", &baseline.controller.span, message, REPLAY_HELP);
    }
}

/// Returns the faults in a scenario whose twin cannot be read. `known` contains the names of all twins.
pub fn scenario_without_twin(file: &Loaded<ScenarioSpec>, known: &[String]) -> Vec<Fault> {
    let mut faults = Faults::new(file);
    alone(&mut faults, &file.value);
    let twin = &file.value.twin;
    if !known.contains(twin) {
        let help = if known.is_empty() {
            "create one with `twinopt init data/<plant> --log <file>`".to_owned()
        } else {
            suggest(twin, known.iter().map(String::as_str))
        };
        faults.add("unknown-twin", &twin.span, format!("there is no twin `{}` under `data`", twin.value), help);
    }
    faults.into_list()
}

/// Runs the checks that do not need the twin.
fn alone(faults: &mut Faults<'_>, spec: &ScenarioSpec) {
    if spec.question.trim().is_empty() {
        let help = "state the question that the scenario answers";
        faults.warn("missing-value", &spec.question.span, "the question is empty", help);
    }
    if spec.length.ms() <= 0 {
        let message = "`length` must be longer than 0";
        let help = "write e.g. `length = \"7d\"`";
        faults.add("out-of-range", &spec.length.span, message, help);
    }
    if *spec.particles == 0 {
        let message = "`particles` must be 1 or more";
        faults.add("out-of-range", &spec.particles.span, message, "write e.g. `particles = 20`");
    } else if *spec.particles > MOST_PARTICLES {
        let message = format!("`particles` must be at most {MOST_PARTICLES}, but it is {}", spec.particles.value);
        faults.add("out-of-range", &spec.particles.span, message, "typical values are 20 to 200");
    }
    if let Some(days) = spec.days_per_year.as_ref().filter(|d| !(***d >= 0.0 && ***d <= 366.0)) {
        let message = format!("`days_per_year` must be between 0 and 366, but it is {}", days.value);
        let help = "give the number of days per year that the scenario represents";
        faults.add("out-of-range", &days.span, message, help);
    }
    for (table, changes) in [("disturbance", &spec.disturbance), ("parameter", &spec.parameter)] {
        for (name, at) in changes {
            change(faults, table, name, at);
        }
    }
    cases(faults, spec);
}

fn change(faults: &mut Faults<'_>, table: &str, name: &str, at: &At<Change>) {
    if at.set.is_some() && (at.add.is_some() || at.scale.is_some()) {
        let message = format!("`{table}.{name}`: `set` cannot be combined with `add` or `scale`");
        faults.add("contradiction", &at.span, message, "keep only `set`, or only `scale` and `add`");
    } else if at.set.is_none() && at.add.is_none() && at.scale.is_none() && !faults.is_damaged(&at.span) {
        let message = format!("`{table}.{name}` changes nothing");
        faults.warn("missing-value", &at.span, message, "add one of `add`, `scale` and `set`, like `{ add = 6.0 }`");
    }
}

fn cases(faults: &mut Faults<'_>, spec: &ScenarioSpec) {
    for (name, case) in &spec.case {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let place = key_place(faults.text(), name, &case.span);
            let message = format!("`{name}` cannot be the name of a case");
            faults.add("bad-name", &place, message, "use letters, digits, `_` and `-`");
        }
    }
    if spec.case.contains_key(BASELINE) || faults.is_lost("baseline") {
        return;
    }
    let names: Vec<&str> = spec.case.keys().map(String::as_str).collect();
    let meant = names.iter().find(|n| nearest(n, ["baseline", "base", "reference"]).is_some()).copied();
    let place = meant.and_then(|n| spec.case.get(n).map(|c| key_place(faults.text(), n, &c.span)));
    let help = match meant {
        Some(name) => format!("rename the case `{name}` to `baseline`"),
        None => "add `[case.baseline]` with `controller.replay = {}`; all other cases are compared with it".to_owned(),
    };
    let place = place.or_else(|| spec.case.values().next().map(|c| c.span.clone()));
    faults.add("no-baseline", &place.unwrap_or(0..0), "there is no case `baseline`", help);
}

/// Checks the start and the length of a scenario against the log and the step.
fn time(faults: &mut Faults<'_>, spec: &ScenarioSpec, plant: &Plant<'_>) {
    let step = &plant.spec().step;
    if spec.length.ms() > 0 && !step.span.is_empty() && *spec.length < **step {
        let message = format!("the length {} is shorter than the twin's step {}", spec.length.value, step.value);
        faults.add("too-short", &spec.length.span, message, "write several steps, like `length = \"7d\"`");
    } else {
        plant.whole_steps(faults, &spec.length, "length");
    }
    let Some((first, last)) = plant.log.span() else { return };
    let start = *spec.start;
    let runs = format!("the log covers {first} to {last}");
    if start < first || start >= last {
        let message = format!("the start {start} is outside the time span of the log");
        let help = format!("{runs}; choose a start in this period");
        faults.add_about_log("outside-log", &spec.start.span, message, help);
        return;
    }
    if in_gap(faults, spec, plant) {
        return;
    }
    let end = start.as_millisecond().saturating_add(spec.length.ms());
    // the last sample is valid until one step after its time stamp
    if end > last.as_millisecond() + step.ms() {
        let left = crate::config::TimeSpan::from_ms(last.as_millisecond() - start.as_millisecond());
        let days = left.ms() / 86_400_000;
        let room = if days > 0 { format!("{days}d") } else { left.to_string() };
        let message = format!("the run extends beyond the end of the log ({last})");
        let help = format!("shorten the run to at most `length = \"{room}\"`, or start it earlier");
        faults.add_about_log("outside-log", &spec.length.span, message, help);
        return;
    }
    closed_hours(faults, spec, plant);
}

/// Warns of a scenario that covers periods in which the log has no data.
fn closed_hours(faults: &mut Faults<'_>, spec: &ScenarioSpec, plant: &Plant<'_>) {
    let (start, end) = (spec.start.as_millisecond(), spec.start.as_millisecond().saturating_add(spec.length.ms()));
    let ms = |t: &jiff::Timestamp| t.as_millisecond();
    let hours = plant.log.operating_hours();
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).ok();
    let closed = |from: i64, to: i64| {
        let hours = hours.zip(time(from)).zip(time(to)).map_or(0, |((h, from), to)| h.closed_hours(from, to));
        i64::try_from(hours).unwrap_or(0) * 3_600_000
    };
    let parts = plant.log.segments().iter().map(|(a, b)| (start.max(ms(a)), end.min(ms(b))));
    let covered: i64 = parts.filter(|(from, to)| from < to).map(|(from, to)| to - from - closed(from, to)).sum();
    let without = end - start - covered;
    if covered == 0 || without < plant.spec().step.ms() {
        return;
    }
    let when = hours.map_or_else(String::new, |h| format!(", which never has data {}", h.text()));
    let span = |ms: i64| TimeSpan::from_ms(ms);
    let message = format!(
        "{} of the run (length: {}) lie in gaps of the log{when}; these periods are not simulated",
        span(without),
        spec.length.value
    );
    let first = plant.log.segments().iter().find(|(a, b)| ms(a) <= start && start < ms(b)).map(|(_, b)| ms(b) - start);
    let help = match first.filter(|room| *room < end - start) {
        Some(room) => {
            format!(
                "all figures cover only the other {}; write `length = \"{}\"` for a run without gaps",
                span(end - start - without),
                span(room)
            )
        }
        None => format!("all figures cover only the other {}", span(end - start - without)),
    };
    faults.warn("gap", &spec.length.span, message, help);
}

/// Reports a start that lies in a gap of the log, or too soon after a gap.
fn in_gap(faults: &mut Faults<'_>, spec: &ScenarioSpec, plant: &Plant<'_>) -> bool {
    let (segments, step) = (plant.log.segments(), plant.spec().step.ms());
    let start = spec.start.as_millisecond();
    let lags = i64::try_from(*plant.spec().model.lags).unwrap_or(0);
    // The twin reads the values of the last `lags` steps up to the start.
    let history = step.saturating_mul((lags - 1).max(0));
    // If steps are whole days, a start that is at most one hour before midnight counts as part of the next day, as it
    // does in the run.
    let early = if step % 86_400_000 == 0 { 3_600_000 } else { 0 };
    let ms = |t: &jiff::Timestamp| t.as_millisecond();
    let after = segments.partition_point(|s| ms(&s.0) <= start + early);
    let (before, next) = (after.checked_sub(1).map(|i| segments[i]), segments.get(after));
    let message = match before {
        _ if segments.is_empty() => return false,
        Some((from, to)) if start + early < ms(&to) => {
            if start + early >= ms(&from) + history || after == 1 {
                return false;
            }
            format!(
                "the twin reads the last {} before the start, but the log has a gap that ends at {from}",
                plural(*plant.spec().model.lags, "step", "steps")
            )
        }
        Some((_, end)) => {
            let until = next.map_or_else(String::new, |n| format!(" to {}", n.0));
            format!("the start {} lies in a gap of the log, from {end}{until}", spec.start.value)
        }
        None => return false,
    };
    let length = spec.length.ms();
    // the nearest start of a run of `length` that contains no gap, or, if there is none, of a run that leaves out gaps
    let nearest = |length: i64| {
        let possible = |(from, to): &(jiff::Timestamp, jiff::Timestamp)| {
            let (first, last) = (ms(from) + history, ms(to) - length);
            (first <= last).then(|| start.clamp(first, last))
        };
        segments.iter().filter_map(possible).min_by_key(|t| (t - start).abs())
    };
    let end = segments.last().map_or(start, |(_, to)| ms(to));
    let nearest = nearest(length).or_else(|| nearest(step).filter(|t| t + length <= end));
    let help = match nearest.and_then(|t| jiff::Timestamp::from_millisecond(t).ok()) {
        Some(t) => format!("the nearest possible start with enough data is `start = {t}`"),
        None => format!("no part of the log is as long as {}; shorten `length`", spec.length.value),
    };
    faults.add_about_log("gap", &spec.start.span, message, help);
    true
}

/// Returns a fault if one of `others`, the scenarios that are run together with `file`, has the same twin and the same
/// name as `file`. Results are stored under the name of the scenario, so names must be unique.
pub fn same_name<'a>(
    file: &Loaded<ScenarioSpec>,
    others: impl IntoIterator<Item = &'a Loaded<ScenarioSpec>>,
) -> Option<Fault> {
    let same = others.into_iter().find(|o| o.value.twin == file.value.twin && o.stem() == file.stem())?;
    let message = format!("the scenario file {} has the same name", same.path.display());
    let help = "rename one of the two files; the name of a scenario is the name of its file";
    Some(Fault::new("duplicate-name", &file.path, &file.text, None, message, help))
}

/// Checks that, for each twin, the `days_per_year` of all scenarios in a folder add up to at most a year. Scenarios
/// that represent fewer days describe a season. `operating_days` returns the number of days per year on which the plant
/// of a scenario runs, if this number is known.
pub fn folder(
    files: &[&Loaded<ScenarioSpec>],
    operating_days: &dyn Fn(&Loaded<ScenarioSpec>) -> Option<f64>,
) -> Vec<Fault> {
    let mut twins: BTreeMap<(&Path, &str), Vec<&Loaded<ScenarioSpec>>> = BTreeMap::new();
    for file in files {
        let place = file.path.parent().unwrap_or(Path::new("."));
        twins.entry((place, file.value.twin.as_str())).or_default().push(file);
    }
    let mut list = Vec::new();
    for group in twins.values() {
        let weighted: Vec<_> = group.iter().filter(|f| f.value.days_per_year.is_some()).collect();
        let Some(last) = weighted.last() else { continue };
        let sum: f64 = weighted.iter().filter_map(|f| f.value.days_per_year.as_ref()).map(|d| d.value).sum();
        let year = operating_days(last).unwrap_or(365.0);
        if group.iter().any(|f| f.damage.any) || sum <= year + 1.5 {
            continue;
        }
        let mut faults = Faults::new(last);
        let stems: Vec<&str> = weighted.iter().filter_map(|f| f.path.file_stem()?.to_str()).collect();
        let message = format!(
            "the scenarios in this folder represent {} days per year, but a year has {}",
            short(sum),
            short(year)
        );
        let hours = if year < 365.0 { ", the operating hours of the log in days of 24 h" } else { "" };
        let help =
            format!("change `days_per_year` of {} so that the values add up to {}{hours}", listed(&stems), short(year));
        let place = last.value.days_per_year.as_ref().map_or(0..0, |d| d.span.clone());
        faults.warn("days-per-year", &place, message, help);
        list.extend(faults.into_list());
    }
    list
}
