//! The section “Promised and measured”: what earlier reports promised, and what verifications have measured since then.

use crate::error::plural;
use crate::verify::{Entry, Outcome, TrackRecord};

use super::clock::Clock;
use super::number::{self, Interval, PROSE};
use super::text::readable;

/// The section. Each promise is listed with its newest verification, newest first.
#[derive(Debug)]
pub struct Promises {
    pub summary: String,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub run: String,
    pub case: String,
    pub kpi: String,
    pub unit: String,
    pub period: String,
    pub promised: Interval,
    pub measured: Interval,
    pub claim: &'static str,
    pub outcome: &'static str,
    pub class: &'static str,
}

/// `None` if the ledger contains no promise.
pub fn promises(entries: &[Entry], clock: &Clock) -> Option<Promises> {
    let row = |e: &Entry| {
        let check = e.promise.as_ref()?;
        let (outcome, class) = match check.outcome {
            Outcome::Kept => ("kept", "good"),
            Outcome::Undecided => ("undecided", ""),
            Outcome::Missed => ("missed", "bad"),
            Outcome::Exceeded => ("exceeded", "good"),
            Outcome::NotMeasured => ("no statement", ""),
        };
        Some(Row {
            run: check.promise.run.clone(),
            case: readable(&check.promise.case),
            kpi: e.kpi.clone(),
            unit: number::unit(&e.unit),
            period: clock.period(&e.reporting),
            promised: number::within(check.saving, check.low, check.high, PROSE),
            measured: number::within(e.saving, e.low, e.high, PROSE),
            claim: e.claim.as_str(),
            outcome,
            class,
        })
    };
    let rows: Vec<Row> = entries.iter().rev().filter_map(row).collect();
    let summary = summary(TrackRecord::new(entries));
    (!rows.is_empty()).then_some(Promises { summary, rows })
}

/// `1 of 2 promises kept, 1 undecided`.
pub fn summary(record: TrackRecord) -> String {
    let TrackRecord { kept, undecided, missed, exceeded } = record;
    let mut parts = match kept + undecided + missed + exceeded {
        0 => return "no promise could be checked".to_owned(),
        all => vec![format!("{kept} of {} kept", plural(all, "promise", "promises"))],
    };
    parts.extend((undecided > 0).then(|| format!("{undecided} undecided")));
    parts.extend((missed > 0).then(|| format!("{missed} missed")));
    parts.extend((exceeded > 0).then(|| format!("{exceeded} exceeded")));
    parts.join(", ")
}
