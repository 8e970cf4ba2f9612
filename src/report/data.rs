//! The report section on the quality of the log.

use crate::log::Quality;

use super::clock::Clock;
use super::number::{self, PROSE, Quantity, TABLE, with_unit};

#[derive(Debug)]
pub struct Data {
    pub summary: String,
    /// A sentence that reports an unknown time zone; empty if the time zone is known.
    pub zone: String,
    pub incomplete: Vec<String>,
    pub signals: Vec<SignalRow>,
    pub findings: Vec<FindingRow>,
    pub sources: Vec<SourceRow>,
}

#[derive(Debug)]
pub struct SignalRow {
    pub signal: String,
    pub unit: String,
    pub coverage: Quantity,
    pub low: bool,
    pub dropped: String,
    pub held: String,
    pub interpolated: String,
    pub missing: String,
    pub min: Quantity,
    pub mean: Quantity,
    pub max: Quantity,
    /// Number of moves of a control, and the usual range of its values.
    pub moved: String,
}

#[derive(Debug)]
pub struct FindingRow {
    pub signal: String,
    pub class: String,
    pub count: String,
    pub when: String,
    pub action: String,
    pub note: super::text::Markup,
}

#[derive(Debug)]
pub struct SourceRow {
    pub file: String,
    pub rows: String,
    pub hash: String,
}

pub fn data(q: &Quality, clock: &Clock) -> Data {
    let summary = if q.grid_steps == 0 {
        "There is no description of the log.".to_owned()
    } else {
        format!(
            "The log covers the period from {} to {} and contains {} steps of {} in {}.",
            clock.date(&q.start),
            clock.date(&q.end),
            number::count(q.grid_steps),
            super::duration::step_text(&q.step),
            crate::error::plural(q.segments, "segment", "segments"),
        )
    };
    let zone = clock.unknown().map_or_else(String::new, |name| {
        format!("The time zone “{}” is unknown, so all times are in UTC.", super::text::short(name, 60))
    });
    Data {
        summary,
        zone,
        incomplete: q.incomplete.clone(),
        signals: q
            .signals
            .iter()
            .map(|s| {
                let values = number::aligned(&[s.min, s.mean, s.max], TABLE);
                let [min, mean, max] = [0, 1, 2].map(|i| values[i].clone());
                let moved = match &s.excitation {
                    None => String::new(),
                    Some(e) if !e.learnable => "this control never moved, so its effect cannot be learned".to_owned(),
                    Some(e) => {
                        let ends = number::aligned(&[e.low, e.high], PROSE);
                        let high = with_unit(&ends[1].text, &number::unit(&s.unit));
                        format!("{} moves, mostly between {} and {high}", number::count(e.moves), ends[0].text)
                    }
                };
                SignalRow {
                    signal: s.signal.clone(),
                    unit: number::unit(&s.unit),
                    coverage: number::percent(s.coverage),
                    low: q.incomplete.contains(&s.signal),
                    dropped: number::count(s.dropped),
                    held: number::count(s.held),
                    interpolated: number::count(s.interpolated),
                    missing: number::count(s.missing),
                    min,
                    mean,
                    max,
                    moved,
                }
            })
            .collect(),
        findings: q
            .findings
            .iter()
            .map(|f| FindingRow {
                signal: if f.signal.is_empty() { "all signals".to_owned() } else { f.signal.clone() },
                class: f.class.as_str().replace('-', " "),
                count: number::count(f.count),
                when: span(&f.first, &f.last, clock),
                action: f.action.as_str().to_owned(),
                note: super::text::marked(&f.note),
            })
            .collect(),
        sources: q
            .sources
            .iter()
            .map(|s| SourceRow {
                file: s.file.clone(),
                rows: number::count(s.rows),
                hash: super::text::short(&s.hash, 16),
            })
            .collect(),
    }
}

/// Time span of a finding. The time of day is included if the span is at most two days long.
fn span(first: &str, last: &str, clock: &Clock) -> String {
    if first == last {
        return clock.moment(first);
    }
    match clock.days_between(first, last) {
        Some(d) if d > 2.0 => format!("{} to {}", clock.date(first), clock.date(last)),
        _ => format!("{} to {}", clock.moment(first), clock.moment(last)),
    }
}
