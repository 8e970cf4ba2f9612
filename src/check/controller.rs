//! Controllers of a scenario's cases.

use std::collections::HashSet;
use std::ops::Range;

use super::faults::Faults;
use super::mpc::mpc;
use super::plant::{Plant, Wanted};
use super::signals::within;
use crate::config::{
    At, BaseStockLoop, ControllerSpec, PidLoop, Reference, ScenarioSpec, ScheduleEntry, SignalSpec, TwinSpec, key_place,
};
use crate::schema::Role;

/// Of a scenario, or of a twin.
pub(super) type File<'a, 'f, T> = &'a mut Faults<'f, T>;

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
pub(super) fn once<'n, T>(faults: File<'_, '_, T>, names: impl Iterator<Item = &'n At<String>>, what: &str) {
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
            let help = match padded(&entry.at) {
                Some(time) => format!("write `at = \"{time}\"`"),
                None => "write hours and minutes from 00:00 to 23:59, like `at = \"06:30\"`".to_owned(),
            };
            faults.add("wrong-value", &entry.at.span, message, help);
        }
        let days = match &entry.days {
            None => (0..7).collect(),
            Some(text) => match days(text) {
                Ok(days) => days,
                Err(word) => {
                    let meant = DAYS.iter().find(|d| word.to_lowercase().starts_with(*d));
                    let help = match meant {
                        Some(day) => format!("write `{day}`: days are mon, tue, wed, thu, fri, sat, sun"),
                        None => "write days like `mon`, `mon-fri` or `sat,sun`".to_owned(),
                    };
                    faults.add("wrong-value", &text.span, format!("\"{word}\" is not a day of the week"), help);
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
        let help = "write control units per measurement unit, negative where more control lowers the measurement";
        faults.add("out-of-range", &l.kp.span, message, help);
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
