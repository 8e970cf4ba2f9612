//! The first scenario of a draft: a period of the hold-out with data, and a control that varies enough in the log.

use std::ops::Range;

use super::roles::Guess;
use super::spans::{Spans, round_span};
use crate::config::TimeSpan;
use crate::schema::Role;
use crate::stats::{quantile_type_7, sorted_finite};
use crate::trajectory::Trajectory;

const DAY: i64 = 86_400_000;
/// Maximum length of the scenario in steps (not tuned).
const MAX_STEPS: i64 = 2_000;
/// Pairs of quantiles from which the low and the high value of a control are taken. The first pair whose values differ
/// is used.
const ROOM: [(f64, f64); 3] = [(0.25, 0.75), (0.1, 0.9), (0.0, 1.0)];

/// The rows over which the first scenario runs: the longest stretch in the hold-out in which the inputs are known, or
/// the longest stretch of the log if the hold-out has no such stretch. The second return value is true if the rows are
/// in the hold-out.
pub(super) fn rows(
    log: &Trajectory,
    signals: &[(usize, Role)],
    spans: Spans,
    step: TimeSpan,
) -> Option<(Range<usize>, bool)> {
    let total: usize = log.segments.iter().map(ExactSizeIterator::len).sum();
    let mut held_out = spans.holdout.steps(step, 1);
    // The first row of the hold-out.
    let mut from = 0;
    for segment in log.segments.iter().rev() {
        from = segment.end.saturating_sub(held_out).max(segment.start);
        held_out = held_out.saturating_sub(segment.len());
        if held_out == 0 {
            break;
        }
    }
    let known = |t: usize| {
        signals.iter().all(|(s, role)| {
            !matches!(role, Role::Control | Role::Disturbance | Role::Setpoint | Role::State)
                || log.columns[*s][t].is_finite()
        })
    };
    let longest = |from: usize| -> Option<Range<usize>> {
        let mut best: Option<Range<usize>> = None;
        for segment in log.segments.iter().filter(|s| s.end > from) {
            let first = segment.start.max(from);
            let mut start = first;
            for t in first..=segment.end {
                if t < segment.end && known(t) {
                    continue;
                }
                if best.as_ref().is_none_or(|b| t - start > b.len()) {
                    best = Some(start..t);
                }
                start = t + 1;
            }
        }
        best
    };
    let past = spans.lags + 1;
    let most = longest(0).map_or(0, |r| r.len());
    let enough = |r: &Range<usize>| r.len() > past + 8 || r.len() > past + 1 && 2 * r.len() > most;
    let found = longest(from).filter(enough).or_else(|| longest(0));
    let found = found.filter(|r| r.len() > past + 1 && total > 0)?;
    let is_held_out = found.start >= from;
    let (mut start, end) = (found.start + past, found.end);
    let length = |start: usize| (end - start) as i64 * step.ms();
    // The scenario starts at midnight if the available stretch of data is long enough.
    if length(start) >= 2 * DAY && step.ms() < DAY {
        let late = (DAY - log.time(start).as_millisecond().rem_euclid(DAY)) % DAY;
        if late % step.ms() == 0 {
            start += (late / step.ms()) as usize;
        }
    }
    let most = (length(start) / step.ms()).min(MAX_STEPS).min((7 * DAY / step.ms()).max(60)) * step.ms();
    let steps = round_span(most, step).ms() / step.ms();
    Some((start..start + steps.max(1) as usize, is_held_out))
}

/// A control and two of its logged values: the index of the control, a low value and a high value.
pub(super) fn room(log: &Trajectory, signals: &[(usize, Role)], guesses: &[Guess]) -> Option<(usize, f64, f64)> {
    let mut found: Option<(f64, (usize, f64, f64))> = None;
    for (i, (s, role)) in signals.iter().enumerate() {
        if *role != Role::Control {
            continue;
        }
        let sorted = sorted_finite(&log.columns[*s]);
        let integer = sorted.iter().all(|v| v.fract() == 0.0);
        let value = |p: f64| round(quantile_type_7(&sorted, p), integer, guesses[i].min, guesses[i].max);
        let (level, pair) = ROOM
            .iter()
            .enumerate()
            .map(|(level, (low, high))| (level, (value(*low), value(*high))))
            .find(|(_, (low, high))| low < high)
            .unwrap_or((ROOM.len(), (0.0, 0.0)));
        // A control is preferred if its low and high value span much of its range. If scores are similar, the first
        // control is used.
        let range = guesses[i].max - guesses[i].min;
        let score = if range > 0.0 { (pair.1 - pair.0) / range - level as f64 } else { f64::NEG_INFINITY };
        if level < ROOM.len() && found.as_ref().is_none_or(|(best, _)| score > best + 0.25) {
            found = Some((score, (i, pair.0, pair.1)));
        }
    }
    found.map(|(_, f)| f)
}

/// `v` rounded to three significant digits or to an integer, within the range of the log.
fn round(v: f64, integer: bool, min: f64, max: f64) -> f64 {
    if integer {
        return v.round();
    }
    let short: f64 = format!("{v:.2e}").parse().unwrap_or(v);
    if short < min || short > max { v } else { short }
}
