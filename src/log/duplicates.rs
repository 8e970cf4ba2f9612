//! Handles samples with equal time stamps.

use std::sync::Arc;

use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::samples::Samples;

/// Drops rows that repeat the time stamp of another row. If the rows are events, the values of events with equal time
/// stamps are added instead. Returns the number of events that were merged into other events.
pub(super) fn drop_duplicates(
    s: &mut Samples,
    name: &str,
    events: bool,
    note: &mut impl FnMut(Option<Finding>),
) -> usize {
    if s.time.windows(2).all(|w| w[0] != w[1]) {
        return 0;
    }
    if events {
        return add_events(s, name, note);
    }
    let (mut same, mut conflict) = (Occurrences::default(), Occurrences::default());
    let (mut time, mut value) = (Vec::with_capacity(s.time.len()), Vec::with_capacity(s.time.len()));
    for i in 0..s.time.len() {
        let (t, v) = (s.time[i], s.value[i]);
        if time.last() == Some(&t) {
            let before = value.last_mut();
            if before.as_deref() == Some(&v) {
                same.add(t)
            } else {
                conflict.add(t)
            }
            if let Some(b) = before {
                *b = v;
            }
        } else {
            time.push(t);
            value.push(v);
        }
    }
    *s = Samples { time: Arc::new(time), value, length: Vec::new() };
    note(same.finding(
        name,
        FindingClass::Duplicate,
        FindingAction::Dropped,
        "rows that repeat both the time stamp and the value of another row",
    ));
    note(conflict.finding(
        name,
        FindingClass::DuplicateConflict,
        FindingAction::Dropped,
        "rows that repeat the time stamp of another row with a different value; only the last of these rows was kept",
    ));
    0
}

/// Adds events with equal time stamps, and returns the number of events that were added to another event.
fn add_events(s: &mut Samples, name: &str, note: &mut impl FnMut(Option<Finding>)) -> usize {
    let mut added = Occurrences::default();
    let (mut time, mut value): (Vec<i64>, Vec<f64>) = (Vec::new(), Vec::new());
    for (t, v) in s.time.iter().zip(&s.value) {
        match value.last_mut().filter(|_| time.last() == Some(t)) {
            Some(sum) => {
                *sum += v;
                added.add(*t);
            }
            None => {
                time.push(*t);
                value.push(*v);
            }
        }
    }
    *s = Samples { time: Arc::new(time), value, length: Vec::new() };
    let text = "events with the time stamp of another event; their values were added";
    note(added.finding(name, FindingClass::Events, FindingAction::Kept, text));
    added.count
}
