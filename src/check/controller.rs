//! Controllers of a scenario's cases.

use std::collections::HashSet;
use std::ops::Range;

use super::faults::Faults;
use super::plant::{Plant, Wanted};
use super::signals::{season, whole_steps, within};
use crate::schema::Role;
use crate::spec::{
    At, BaseStockLoop, ControllerSpec, MpcSpec, PidLoop, PlannerSpec, Reference, ScenarioSpec, ScheduleEntry,
    SignalSpec, TwinSpec, key_place,
};

/// Of a scenario, or of a twin.
type File<'a, 'f, T> = &'a mut Faults<'f, T>;

const MEASURED: [Role; 4] = [Role::State, Role::Output, Role::Disturbance, Role::Derived];
const NAMED: [Role; 6] = [Role::Setpoint, Role::State, Role::Output, Role::Disturbance, Role::Derived, Role::Control];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn controller<T>(
    faults: File<'_, '_, T>,
    run: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    case: &str,
    at: &At<ControllerSpec>,
) {
    let place = at.span.clone();
    let mut nothing = |empty: bool, what: &str| {
        if empty && !faults.is_damaged(&place) {
            let message = format!("case `{case}`: `{what}` names no control");
            faults.add("missing-value", &place, message, "name the controls that it moves");
        }
    };
    match &at.value {
        ControllerSpec::Replay {} => {}
        ControllerSpec::Hold(values) => {
            nothing(values.is_empty(), "hold");
            for (name, value) in values {
                if let Some(signal) = control(faults, plant, name, &value.span) {
                    within(faults, signal, value, &format!("case `{case}`"));
                }
            }
        }
        ControllerSpec::Schedule(values) => {
            nothing(values.is_empty(), "schedule");
            for (name, entries) in values {
                let near = entries.first().map_or(place.clone(), |e| e.span.clone());
                let signal = control(faults, plant, name, &near);
                schedule(faults, case, name, entries, signal, &near);
            }
        }
        ControllerSpec::Rule(rules) => {
            nothing(rules.is_empty(), "rule");
            for (name, expr) in rules {
                control(faults, plant, name, &expr.span);
                let unit = plant.unit(name);
                plant.expression(faults, expr, &Wanted { what: format!("case `{case}`, rule for `{name}`"), unit });
            }
        }
        ControllerSpec::Pid(loops) => {
            nothing(loops.is_empty(), "pid");
            once(faults, loops.iter().map(|l| &l.control), "loops");
            for l in loops {
                pid(faults, plant, case, l);
            }
        }
        ControllerSpec::BaseStock(loops) => {
            nothing(loops.is_empty(), "base_stock");
            once(faults, loops.iter().map(|l| &l.order), "loops");
            for l in loops {
                base_stock(faults, plant, case, l);
            }
        }
        ControllerSpec::Mpc(settings) => {
            if let (Some(_), Some(safe)) = (run, &settings.safe) {
                let message = format!("case `{case}`: `safe` is of a live loop, not of a simulated one");
                faults.add("wrong-place", &safe.span, message, "move it to `[mpc]` in the twin");
            }
            if let (Some(_), Some(settle)) = (run, &settings.settle) {
                let message = format!("case `{case}`: `settle` is of a live loop, not of a simulated one");
                faults.add("wrong-place", &settle.span, message, "move it to `[mpc]` in the twin");
            }
            mpc(faults, run, plant, case, settings, &at.span);
        }
    }
}

/// How the running plant is planned for: `[mpc]` of the twin.
pub(super) fn live(faults: &mut Faults<'_, TwinSpec>, plant: &Plant<'_>) {
    let Some(settings) = &plant.spec().mpc else { return };
    mpc(faults, None, plant, "[mpc]", settings, &settings.span);
    if let Some(safe) = settings.safe.as_deref() {
        if matches!(safe.value, ControllerSpec::Mpc(_) | ControllerSpec::Replay {}) {
            let message = "[mpc]: a safe policy neither plans nor replays";
            faults.add("wrong-value", &safe.span, message, "write `safe.hold`, `safe.rule`, `safe.pid` or the like");
        } else {
            controller(faults, None, plant, "[mpc] safe", safe);
        }
    }
    if let Some(settle) = settings.settle.as_ref().filter(|n| ***n > 100_000) {
        let message = format!("[mpc]: {} steps of the plant's own controller leave nothing to plan", settle.value);
        faults.add("out-of-range", &settle.span, message, "some more than the model's `lags` are usual");
    }
}

/// The control called `name`, a key whose value stands at `value`.
fn control<'p, T>(
    faults: File<'_, '_, T>,
    plant: &Plant<'p>,
    name: &str,
    value: &Range<usize>,
) -> Option<&'p SignalSpec> {
    let place = key_place(faults.text(), name, value);
    plant.expect(faults, name, &place, &[Role::Control], "a control")
}

/// A control is moved by one loop only.
fn once<'n, T>(faults: File<'_, '_, T>, names: impl Iterator<Item = &'n At<String>>, what: &str) {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.as_str()) {
            let message = format!("two {what} move `{}`", name.value);
            faults.add("duplicate-name", &name.span, message, "one control has one loop: remove one of the two");
        }
    }
}

fn schedule<T>(
    faults: File<'_, '_, T>,
    case: &str,
    name: &str,
    entries: &[At<ScheduleEntry>],
    signal: Option<&SignalSpec>,
    near: &Range<usize>,
) {
    if entries.is_empty() {
        let place = key_place(faults.text(), name, near);
        let message = format!("case `{case}`: the schedule of `{name}` is empty");
        faults.add("missing-value", &place, message, "add entries, like `{ at = \"06:00\", value = 20.0 }`");
    }
    let mut taken: HashSet<(u32, usize)> = HashSet::new();
    for entry in entries {
        let at = clock(&entry.at);
        if at.is_none() {
            let message = format!("\"{}\" is not a time of day", entry.at.value);
            let cure = match padded(&entry.at) {
                Some(time) => format!("write `at = \"{time}\"`"),
                None => "write hours and minutes from 00:00 to 23:59, like `at = \"06:30\"`".to_owned(),
            };
            faults.add("wrong-value", &entry.at.span, message, cure);
        }
        let days = match &entry.days {
            None => (0..7).collect(),
            Some(text) => match days(text) {
                Ok(days) => days,
                Err(word) => {
                    let meant = DAYS.iter().find(|d| word.to_lowercase().starts_with(*d));
                    let cure = match meant {
                        Some(day) => format!("write `{day}`: days are mon, tue, wed, thu, fri, sat, sun"),
                        None => "write days like `mon`, `mon-fri` or `sat,sun`".to_owned(),
                    };
                    faults.add("wrong-value", &text.span, format!("\"{word}\" is not a day of the week"), cure);
                    Vec::new()
                }
            },
        };
        if let Some(at) = at {
            let again = days.iter().filter(|d| !taken.insert((at, **d))).count() > 0;
            if again {
                let message = format!("`{name}` has two values at {} on the same day", entry.at.value);
                faults.add("duplicate-name", &entry.at.span, message, "remove one, or give them different `days`");
            }
        }
        if let Some(signal) = signal {
            within(faults, signal, &entry.value.value, &format!("case `{case}`"));
        }
    }
}

/// Minutes after midnight of `HH:MM`.
fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |s: &str| (s.len() == 2 && s.chars().all(|c| c.is_ascii_digit())).then(|| s.parse::<u32>().ok())?;
    let (h, m) = (number(hours)?, number(minutes)?);
    (h < 24 && m < 60).then_some(h * 60 + m)
}

/// `6:30`, `6.30`, `6h30`, `6` as `06:30`.
fn padded(text: &str) -> Option<String> {
    let mut parts = text.trim().split([':', '.', 'h']);
    let hours: u32 = parts.next()?.trim().parse().ok()?;
    let minutes: u32 = parts.next().map_or(Some(0), |m| if m.is_empty() { Some(0) } else { m.trim().parse().ok() })?;
    (hours < 24 && minutes < 60).then(|| format!("{hours:02}:{minutes:02}"))
}

/// Days 0 (Monday) to 6 of `mon-fri,sun`; the error is the word that is no day.
fn days(text: &str) -> Result<Vec<usize>, String> {
    let day = |word: &str| DAYS.iter().position(|d| *d == word.trim()).ok_or_else(|| word.trim().to_owned());
    let mut out = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                // `fri-mon` runs over the weekend.
                let n = (to + 7 - from) % 7;
                out.extend((0..=n).map(|i| (from + i) % 7));
            }
            None => out.push(day(part)?),
        }
    }
    Ok(out)
}

fn pid<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, l: &PidLoop) {
    plant.expect(faults, &l.control, &l.control.span, &[Role::Control], "a control");
    let measured = plant.expect(faults, &l.measurement, &l.measurement.span, &MEASURED, "a measured signal");
    if let Reference::Signal(name) = &l.setpoint.value
        && let Some(signal) = plant.expect(faults, name, &l.setpoint.span, &NAMED, "a number or a signal")
        && measured.is_some()
        && let (Some(a), Some(b)) = (plant.unit(&l.measurement), plant.unit(&signal.name))
        && !a.same_dimension(b)
    {
        let message =
            format!("case `{case}`: the set-point `{name}` is in `{}`, the measurement in `{}`", b.text, a.text);
        faults.add("unit-mismatch", &l.setpoint.span, message, "use a set-point of the same quantity");
    }
    if *l.kp == 0.0 {
        let message = format!("case `{case}`: a loop with `kp = 0` does nothing");
        let cure = "write control units per measurement unit, negative where more control lowers the measurement";
        faults.add("out-of-range", &l.kp.span, message, cure);
    }
    for (key, time) in [("ti", &l.ti), ("td", &l.td)] {
        if let Some(time) = time.as_ref().filter(|t| t.ms() <= 0) {
            let message = format!("case `{case}`: `{key}` must be longer than 0");
            faults.add(
                "out-of-range",
                &time.span,
                message,
                format!("remove `{key}`, or write e.g. `{key} = \"30min\"`"),
            );
        }
    }
}

fn base_stock<T>(faults: File<'_, '_, T>, plant: &Plant<'_>, case: &str, l: &BaseStockLoop) {
    plant.expect(faults, &l.order, &l.order.span, &[Role::Control], "a control that orders");
    let unit = plant.unit(&l.order).filter(|_| plant.signals.contains_key(l.order.as_str()));
    for (key, expr) in [("position", Some(&l.position)), ("level", Some(&l.level)), ("reorder", l.reorder.as_ref())] {
        if let Some(expr) = expr {
            plant.expression(faults, expr, &Wanted { what: format!("case `{case}`, `{key}`"), unit });
        }
    }
}

fn mpc<T>(
    faults: File<'_, '_, T>,
    run: Option<&ScenarioSpec>,
    plant: &Plant<'_>,
    case: &str,
    mpc: &MpcSpec,
    whole: &Range<usize>,
) {
    let twin = plant.spec();
    let step = &twin.step;
    let known_step = !step.span.is_empty() && step.ms() > 0;
    let horizon = &mpc.horizon;
    if known_step && **horizon < **step {
        let message = format!("case `{case}`: the horizon {} is shorter than the step {}", horizon.value, step.value);
        faults.add("too-short", &horizon.span, message, "write some steps, like `horizon = \"4h\"`");
    } else if let Some(length) = run.map(|r| &r.length).filter(|l| **horizon > ***l && l.ms() > 0 && !l.span.is_empty())
    {
        let message =
            format!("case `{case}`: the horizon {} is longer than the scenario ({})", horizon.value, length.value);
        faults.add("too-long", &horizon.span, message, "shorten `horizon` or lengthen the scenario");
    } else if *twin.model.holdout < **horizon && twin.model.holdout.ms() > 0 {
        let message = format!(
            "case `{case}`: the horizon {} is longer than the twin's hold-out {}",
            horizon.value, twin.model.holdout.value
        );
        faults.add("too-long", &horizon.span, message, "shorten `horizon`: the twin is not validated that far");
    } else if *twin.model.horizon < **horizon && !plant.file.damage.any {
        let message = format!(
            "case `{case}`: the horizon {} is longer than the twin was scored for ({})",
            horizon.value, twin.model.horizon.value
        );
        let cure = format!("write `horizon = \"{}\"` under `[model]` of the twin, or shorten it here", horizon.value);
        faults.warn("too-long", &horizon.span, message, cure);
    } else {
        whole_steps(faults, horizon, step, "horizon");
    }
    if let Some(replan) = &mpc.replan {
        if **replan > **horizon {
            let message =
                format!("case `{case}`: plans are {} apart, but reach only {} ahead", replan.value, horizon.value);
            faults.add("too-long", &replan.span, message, "`replan` must not be longer than `horizon`");
        } else if known_step && **replan < **step {
            let message = format!("case `{case}`: `replan` {} is shorter than the step {}", replan.value, step.value);
            faults.add("too-short", &replan.span, message, format!("write at least `replan = \"{}\"`", step.value));
        } else {
            whole_steps(faults, replan, step, "replan");
        }
    }
    if let Some(risk) = mpc.risk.as_ref().filter(|r| !(***r > 0.0 && ***r < 1.0)) {
        let cure = if **risk > 1.0 && **risk < 100.0 {
            format!("write a share, not per cent: `risk = {}`", **risk / 100.0)
        } else {
            "0.5 is the median, 0.95 is cautious".to_owned()
        };
        let message = format!("case `{case}`: `risk` is a quantile between 0 and 1, here it is {}", risk.value);
        faults.add("out-of-range", &risk.span, message, cure);
    }
    if let Some(n) = mpc.particles.as_ref().filter(|n| !(1..=1000).contains(&***n)) {
        let message =
            format!("case `{case}`: `particles` of a plan must lie between 1 and 1000, here it is {}", n.value);
        faults.add("out-of-range", &n.span, message, "write e.g. `particles = 4`");
    }
    if let Some(n) = &mpc.moves {
        let steps = if known_step { horizon.steps(step.value, 1) } else { usize::MAX };
        if **n == 0 {
            let message = format!("case `{case}`: `moves` must be 1 or more");
            faults.add("out-of-range", &n.span, message, "write e.g. `moves = 6`");
        } else if **n > steps {
            let message = format!("case `{case}`: {} moves do not fit into a horizon of {steps} steps", n.value);
            faults.add("out-of-range", &n.span, message, format!("write at most `moves = {steps}`"));
        }
    }
    match &mpc.controls {
        Some(names) => {
            if names.is_empty() {
                let message = format!("case `{case}`: `controls` is empty: nothing to move");
                faults.add("missing-value", whole, message, "name the controls, or remove `controls` for all");
            }
            once(faults, names.iter(), "entries of `controls`");
            for name in names {
                plant.expect(faults, name, &name.span, &[Role::Control], "a control");
            }
        }
        None if plant.names_of(&[Role::Control]).is_empty() && !plant.file.damage.any => {
            let message = format!("case `{case}`: the twin has no control to move");
            faults.add("no-control", whole, message, "give what may be moved `role = \"control\"` in the twin");
        }
        None => {}
    }
    if twin.objective.is_empty() && !plant.file.damage.any {
        let message = format!("case `{case}`: MPC minimises the twin's `[objective]`, and it has none");
        let cure = format!("add `[objective]` with the price of each KPI to {}", plant.file.path.display());
        faults.add("no-objective", whole, message, cure);
    }
    if let Some(forecast) = &mpc.forecast {
        season(faults, plant, forecast, &format!("case `{case}`"));
    }
    if let Some(run) = run {
        past(faults, run, plant, case, mpc);
    }
    planner(faults, case, &mpc.planner);
}

/// A seasonal forecast needs one season of log before the start.
fn past<T>(faults: File<'_, '_, T>, spec: &ScenarioSpec, plant: &Plant<'_>, case: &str, mpc: &MpcSpec) {
    use crate::spec::ForecastSpec::Seasonal;
    let Some((first, last)) = plant.log.span() else { return };
    let past = spec.start.as_millisecond() - first.as_millisecond();
    if past < 0 || *spec.start >= last {
        return;
    }
    let (season, place, whose) = match &mpc.forecast {
        Some(at) => match at.value {
            Seasonal(s) => (s, at.span.clone(), "its forecast".to_owned()),
            _ => return,
        },
        None => {
            let longest = plant.signals.values().filter_map(|s| match s.forecast.as_ref()?.value {
                Seasonal(season) => Some((season, s.name.as_str())),
                _ => None,
            });
            match longest.max_by_key(|(season, _)| season.ms()) {
                Some((s, name)) => (s, spec.start.span.clone(), format!("the forecast of `{name}`")),
                None => return,
            }
        }
    };
    let fits = plant.log.length().is_none_or(|log| season <= log);
    if season.ms() > past && fits {
        let before = crate::spec::TimeSpan::from_ms(past);
        let message = format!("case `{case}`: {whose} looks {season} back, the log begins {before} before the start");
        let cure = "start later, or use a shorter season";
        faults.add("outside-log", &place, message, cure);
    }
}

fn planner<T>(faults: File<'_, '_, T>, case: &str, planner: &PlannerSpec) {
    let mut within = |key: &str, at: &At<f64>, least: f64, most: f64, usual: &str| {
        if !(least..=most).contains(&at.value) {
            let message =
                format!("case `{case}`: `{key}` must lie between {least} and {most}, here it is {}", at.value);
            faults.add("out-of-range", &at.span, message, format!("{usual} is usual"));
        }
    };
    let count = |at: &At<usize>| At { value: at.value as f64, span: at.span.clone() };
    match planner {
        PlannerSpec::GaussNewton { iterations, starts } => {
            within("iterations", &count(iterations), 0.0, 100.0, "3");
            within("starts", &count(starts), 1.0, 100.0, "1 or 2");
        }
        PlannerSpec::Gradient { iterations, memory } => {
            within("iterations", &count(iterations), 1.0, 1000.0, "8");
            within("memory", &count(memory), 1.0, 100.0, "6");
        }
        PlannerSpec::Qp { iterations } => within("iterations", &count(iterations), 1.0, 100.0, "3"),
        PlannerSpec::RandomShooting { population, .. } => {
            within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
        }
        PlannerSpec::Mcts { population, levels, .. } => {
            within("population", &count(population), 1.0, 1_000_000.0, "256 to 2000");
            within("levels", &count(levels), 2.0, 1000.0, "3 to 9");
        }
        PlannerSpec::Mppi { population, iterations, temperature, smoothing, decay, .. } => {
            within("population", &count(population), 4.0, 100_000.0, "64 to 500");
            within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
            within("temperature", temperature, 1e-6, 1e6, "0.1");
            within("smoothing", smoothing, 0.01, 1.0, "0.6");
            within("decay", decay, 0.01, 1.0, "0.8");
        }
        PlannerSpec::Cem { population, elites, iterations, smoothing, .. }
        | PlannerSpec::Icem { population, elites, iterations, smoothing, .. } => {
            within("population", &count(population), 4.0, 100_000.0, "64 to 500");
            within("elites", elites, f64::MIN_POSITIVE, 0.5, "0.1");
            within("iterations", &count(iterations), 1.0, 100.0, "3 to 6");
            within("smoothing", smoothing, 0.0, 0.99, "0.1");
        }
    }
    if let PlannerSpec::Icem { beta, decay, keep, .. } = planner {
        within("beta", beta, 0.0, 8.0, "2 to 4 for slow plants");
        within("decay", decay, 1.0, 4.0, "1.25");
        within("keep", keep, 0.0, 1.0, "0.3");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_clocks_read() {
        assert_eq!(days("mon-fri"), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(days("fri-mon, wed"), Ok(vec![4, 5, 6, 0, 2]));
        assert_eq!(days("mon-frday"), Err("frday".to_owned()));
        assert_eq!(clock("06:30"), Some(390));
        assert_eq!(clock("24:00"), None);
        assert_eq!(clock("6:30"), None);
        assert_eq!(padded("6:30").as_deref(), Some("06:30"));
    }
}
