//! The table of controls on the first page, which states the values to set.

use crate::scenario::results::{ControlUse, HourRange, Setting, TimetableEntry, ValueRange};

use super::cases::RankedCase;
use super::clock::Clock;
use super::number::{self, PROSE, allowed_range, with_unit};
use super::runs::CaseRun;
use super::selection::from_baseline;
use super::text::{Markup, marked, readable, short, tag};

/// Maximum number of timetable entries, and of orders, on the first page.
const MAX_ENTRIES: usize = 4;
const MAX_ORDERS: usize = 3;

#[derive(Debug)]
pub struct SetPoint {
    pub signal: String,
    pub now: Markup,
    pub advised: Markup,
    pub allowed: String,
    pub ramp: String,
}

/// The table of all controls.
#[derive(Debug, Default)]
pub struct SetPoints {
    pub rows: Vec<SetPoint>,
    /// A note on the origin of the values, if they differ between scenarios or are only typical.
    pub note: String,
    /// The first orders of the case, if it plans orders.
    pub orders: Markup,
}

/// The controls of a case. If the settings differ between scenarios, the table shows the settings
/// of the scenario with the largest weight.
pub fn setpoints(pick: &RankedCase<'_>, clock: &Clock) -> SetPoints {
    let Some(main) = pick.runs.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)) else { return SetPoints::default() };
    let mut controls: Vec<&ControlUse> = main.case.controls.iter().collect();
    controls.sort_by_key(|u| from_baseline(u) <= 0.0);
    let rows = controls.into_iter().map(|u| row(u, main)).collect();
    let planned = main.case.controls.iter().any(|u| u.setting == Setting::Plan);
    let differs = |r: &CaseRun<'_>| {
        let texts = |run: &CaseRun<'_>| run.case.controls.iter().map(|u| text(u, true)).collect::<Vec<_>>();
        texts(r) != texts(main)
    };
    let scenario = format!("“{}”", short(&readable(&main.scenario.name), 30));
    let several = pick.runs.len() > 1 && pick.runs.iter().any(differs);
    SetPoints {
        rows,
        note: match (planned, several) {
            (true, true) => format!("follow “twinopt advise”; typical ranges by hour in {scenario}"),
            (true, false) => "follow “twinopt advise”; typical ranges by hour".into(),
            (false, true) => format!("in {scenario}"),
            (false, false) => String::new(),
        },
        orders: marked(&orders(main, clock)),
    }
}

fn row(used: &ControlUse, run: &CaseRun<'_>) -> SetPoint {
    let before = run.baseline.controls.iter().find(|b| b.signal == used.signal);
    let change = match (before.map(|b| &b.setting), &used.setting) {
        (Some(Setting::Held { value: now }), Setting::Held { value }) if now != value => {
            // The two values are shown exactly, so the change is exact too, except for rounding errors.
            let change = ((value - now) * 1e9).round() / 1e9;
            format!(" ({})", number::exact(change).with_sign().text)
        }
        _ => String::new(),
    };
    SetPoint {
        signal: short(&used.signal, 60),
        now: marked(&before.map_or_else(|| "–".into(), |b| text(b, false))),
        advised: marked(&format!("{}{change}", text(used, true))),
        allowed: allowed(used),
        ramp: used.max_move.map_or_else(|| "any".to_owned(), |m| number::exact(m).text),
    }
}

/// The permitted range. The settings of an order policy are stock levels, whereas its permitted range applies to the
/// orders.
fn allowed(used: &ControlUse) -> String {
    let range = with_unit(&allowed_range(used.low, used.high), &number::unit(&used.unit));
    if matches!(used.setting, Setting::Stock { .. }) { format!("orders of {range}") } else { range }
}

fn span(used: &ControlUse) -> Option<f64> {
    used.low.zip(used.high).map(|(l, h)| h - l)
}

/// The setting of the control, such as `16.5 °C`, `06:00 16 °C; 20:00 20 °C` or `13.2–15.5 °C`.
fn text(used: &ControlUse, advised: bool) -> String {
    let unit = number::unit(&used.unit);
    let one = |v: f64| with_unit(&number::exact(v).text, &unit);
    let range = |r: &ValueRange| {
        let text = with_unit(&range_text(r, span(used)), &unit);
        // A typical range that equals the allowed range contains no information, for example if a
        // machine is on or off.
        match Some(r.low) == used.low && Some(r.high) == used.high {
            true => format!("{text} (mean {})", number::plain(used.mean, 2).text),
            false => text,
        }
    };
    match &used.setting {
        Setting::Held { value } => one(*value),
        Setting::Timetable { entries } => timetable(entries, &one),
        // A rule that only repeats the logged values of the control contains no advice.
        Setting::Rule { expression } if *expression == used.signal => range(&used.typical),
        Setting::Rule { expression } => {
            format!("{} (`{}`)", range(&used.typical), short(&expression.replace('`', "'"), 60))
        }
        Setting::Pid { measurement, setpoint } => {
            format!("{} (PID keeps {} at {})", range(&used.typical), tag(measurement, 40), short(setpoint, 30))
        }
        Setting::Stock { level, reorder } => match reorder {
            Some(reorder) => format!("s = {}, S = {}", range(reorder), range(level)),
            None => format!("order up to S = {}", range(level)),
        },
        Setting::Plan if advised => by_hour(&used.by_hour, span(used), &unit).unwrap_or_else(|| range(&used.typical)),
        Setting::Logged if advised => format!("unchanged: {}", range(&used.typical)),
        Setting::Plan | Setting::Logged | Setting::AsLogged => range(&used.typical),
    }
}

fn timetable(entries: &[TimetableEntry], value: &dyn Fn(f64) -> String) -> String {
    let one = |e: &TimetableEntry| {
        let days = if e.days.is_empty() { String::new() } else { format!("{} ", e.days) };
        format!("{days}{} {}", e.at, value(e.value))
    };
    let mut shown: Vec<String> = entries.iter().take(MAX_ENTRIES).map(one).collect();
    match (entries, entries.len().saturating_sub(MAX_ENTRIES)) {
        // A timetable with a single entry is a constant value.
        ([only], _) if only.days.is_empty() => return value(only.value),
        (_, 0) => {}
        (_, more) => shown.push(format!("{more} more")),
    }
    shown.join("; ")
}

/// `13.2–15.5`, or one number if both ends are equal after rounding.
fn range_text(r: &ValueRange, span: Option<f64>) -> String {
    let ends = number::aligned_within(&[r.low, r.high], PROSE, span);
    if ends[0].text == ends[1].text { ends[0].text.clone() } else { number::span(&ends[0], &ends[1]) }
}

/// The typical range in each part of the day; `None` if the range is the same all day or unknown.
fn by_hour(parts: &[HourRange], span: Option<f64>, unit: &str) -> Option<String> {
    let texts: Vec<String> = parts.iter().map(|p| range_text(&p.range, span)).collect();
    if texts.windows(2).all(|w| w[0] == w[1]) {
        return None;
    }
    let one = |(p, text): (&HourRange, &String)| format!("{:02}–{:02} h: {text}", p.from, p.to);
    Some(with_unit(&parts.iter().zip(&texts).map(one).collect::<Vec<_>>().join("; "), unit))
}

/// The first planned orders of a case in which the controller plans order quantities.
fn orders(run: &CaseRun<'_>, clock: &Clock) -> String {
    let planned = run.case.controls.iter().filter(|u| u.setting == Setting::Plan && !u.first_orders.is_empty());
    let one = |u: &ControlUse| {
        let list = u.first_orders.iter().take(MAX_ORDERS);
        let list: Vec<String> = list.map(|(at, r)| format!("{} {}", clock.day(at), range_text(r, span(u)))).collect();
        format!("{} {}", tag(&u.signal, 40), list.join(", "))
    };
    planned.map(one).collect::<Vec<_>>().join("; ")
}
