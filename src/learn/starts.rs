//! Selects the start rows of open-loop runs, and prepares the windows and inputs for a batch of such runs.

use std::ops::Range;

use super::layout::Target;
use super::map::{StepMap, StepScratch};
use super::regressor::Particle;
use crate::schema::Role;
use crate::trajectory::{Frame, Trajectory, Window};

/// Minimum number of starts that reach the full horizon; if there are fewer, shorter runs are also used (not tuned).
const FEW_STARTS: usize = 30;

/// A row of the log from which an open-loop run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub row: usize,
    /// First row of the segment that contains the start.
    pub first: usize,
    /// Number of steps to the end of the segment, the block or the known inputs, whichever is nearest; at most the
    /// horizon.
    pub reach: usize,
}

/// The signals whose values must be known for an open-loop run to be possible.
#[derive(Debug, Clone)]
struct RequiredSignals {
    /// Signals that must be known before the start row: every signal that the map reads.
    past: Vec<usize>,
    /// Signals that must be known at the start row: every signal that the map reads, except outputs and derived
    /// signals.
    present: Vec<usize>,
    /// Signals that must be known from the start row onwards: controls, disturbances and set-points.
    future: Vec<usize>,
}

impl RequiredSignals {
    fn new(map: &StepMap, log: &Trajectory) -> Self {
        let mut read = vec![false; map.schema.len()];
        for (signal, _) in &map.layout.inputs {
            read[*signal] = true;
        }
        for (signal, _) in map.equations.programs().flat_map(|(_, p)| p.reads.iter()) {
            read[*signal] = true;
        }
        for target in &map.layout.targets {
            read[target.signal()] = true;
        }
        let logged = |s: &usize| log.columns[*s].iter().any(|v| v.is_finite());
        let past: Vec<usize> = (0..read.len()).filter(|&s| read[s]).filter(logged).collect();
        let role = |s: usize| map.schema.signals[s].role;
        let future: Vec<usize> = past.iter().copied().filter(|&s| is_exogenous(role(s))).collect();
        let present =
            past.iter().copied().filter(|&s| is_exogenous(role(s)) || role(s) == Role::State).collect::<Vec<_>>();
        Self { past, present, future }
    }
}

fn is_exogenous(role: Role) -> bool {
    matches!(role, Role::Control | Role::Disturbance | Role::Setpoint)
}

/// Returns the column indices, in the schema, of the signals to score: the targets in their order, followed by the
/// logged states with a known equation.
pub fn scored_signals(map: &StepMap, log: &Trajectory) -> Vec<usize> {
    let mut signals: Vec<usize> = map.layout.targets.iter().map(|t| t.signal()).collect();
    for state in map.equations.next.iter().map(|n| n.signal) {
        if !signals.contains(&state)
            && !map.equations.is_computed(state)
            && log.columns[state].iter().any(|v| v.is_finite())
        {
            signals.push(state);
        }
    }
    signals
}

/// Selects at most `limit` evenly spaced rows of `blocks` from which `map` can run open loop in `log`.
///
/// Each start is preceded by `map.depth()` complete rows in its segment, because a forecast carries forward the
/// one-step error of the previous row. If at least 30 starts reach the full horizon, shorter runs are not used.
pub fn starts(map: &StepMap, log: &Trajectory, blocks: &[Range<usize>], horizon: usize, limit: usize) -> Vec<Start> {
    let required = RequiredSignals::new(map, log);
    let depth = map.depth();
    let known = |signals: &[usize], t: usize| signals.iter().all(|&s| log.at(s, t)[0].is_finite());
    let mut found: Vec<Start> = Vec::new();
    for segment in &log.segments {
        for block in blocks {
            let (from, to) = (block.start.max(segment.start), block.end.min(segment.end).min(log.steps));
            if from + 1 >= to {
                continue;
            }
            // `past` is the number of complete rows directly before row `t`, and `future` is the number of rows with
            // known inputs from row `t` onwards.
            let mut past = 0;
            let mut ready = vec![false; to - from];
            for t in from.saturating_sub(depth).max(segment.start)..to {
                if t >= from {
                    ready[t - from] = past >= depth && known(&required.present, t);
                }
                past = if known(&required.past, t) { past + 1 } else { 0 };
            }
            let mut future = 0;
            let mut block_starts = Vec::new();
            for t in (from..to - 1).rev() {
                future = if known(&required.future, t) { future + 1 } else { 0 };
                if ready[t - from] && future > 0 {
                    block_starts.push(Start { row: t, first: segment.start, reach: future.min(horizon) });
                }
            }
            block_starts.reverse();
            found.append(&mut block_starts);
        }
    }
    found.sort_by_key(|s| s.row);
    found.dedup_by_key(|s| s.row);
    let full = found.iter().filter(|s| s.reach == horizon).count();
    if full >= FEW_STARTS.min(found.len()) && full > 0 {
        found.retain(|s| s.reach == horizon);
    }
    thin(&found, limit)
}

/// Selects at most `limit` evenly spaced elements of `items`, preserving their order.
pub fn thin<T: Copy>(items: &[T], limit: usize) -> Vec<T> {
    let (n, limit) = (items.len(), limit.max(1));
    if n <= limit {
        return items.to_vec();
    }
    (0..limit).map(|i| items[i * n / limit]).collect()
}

/// Creates a window with `copies` rows per start. The current frame contains the log row that is `back` rows before the
/// start. Outputs and derived signals of the current frame are not yet known, so they are set to their values in the
/// previous frame.
pub(crate) fn window_at(map: &StepMap, log: &Trajectory, starts: &[Start], copies: usize, back: usize) -> Window {
    let depth = map.depth().max(2);
    let rows = starts.len() * copies;
    let time = log.time(starts.first().map_or(0, |s| s.row.saturating_sub(back)));
    let mut window = Window::new(log.schema.len(), depth, rows, time, log.step_ms);
    let at = |s: &Start| log.time(s.row.saturating_sub(back)).as_millisecond() as f64 / 1e3;
    window.set_row_seconds(starts.iter().flat_map(|s| std::iter::repeat_n(at(s), copies)).collect());
    for (signal, spec) in log.schema.signals.iter().enumerate() {
        let late = matches!(spec.role, Role::Output | Role::Derived);
        for lag in 0..depth {
            let lag_read = if late { lag.max(1) } else { lag };
            let column = window.column_mut(signal, lag);
            for (r, start) in starts.iter().enumerate() {
                let t = start.row.saturating_sub(back + lag_read).max(start.first);
                column[r * copies..(r + 1) * copies].fill(log.at(signal, t)[0]);
            }
        }
    }
    window
}

/// Fills the current frame with the inputs that were logged `ahead` rows after each start. If `ahead` exceeds the reach
/// of a start, the inputs of the last row within the reach are used.
pub(crate) fn write_inputs(window: &mut Window, log: &Trajectory, starts: &[Start], copies: usize, ahead: usize) {
    for (signal, spec) in log.schema.signals.iter().enumerate() {
        if !is_exogenous(spec.role) {
            continue;
        }
        let column = window.column_mut(signal, 0);
        for (r, start) in starts.iter().enumerate() {
            let t = start.row + ahead.min(start.reach.saturating_sub(1));
            column[r * copies..(r + 1) * copies].fill(log.at(signal, t)[0]);
        }
    }
}

/// One-step errors (measured − predicted) of all targets, `back` steps before each start: `[targets][starts]`; NaN if
/// there is no measurement.
pub(crate) fn one_step_errors(map: &StepMap, log: &Trajectory, starts: &[Start], back: usize) -> Vec<Vec<f64>> {
    let mut window = window_at(map, log, starts, 1, back);
    let mut scratch = StepScratch::default();
    let particles = [Particle { member: None, rows: 0..starts.len() }];
    map.observe(&mut window, &mut scratch);
    map.step(&mut window, &particles, None, &mut scratch);
    let error = |target: &Target| -> Vec<f64> {
        let signal = target.signal();
        let output = matches!(target, Target::Level(_));
        let predicted = window.column(signal, usize::from(output));
        let ahead = usize::from(!output);
        starts.iter().zip(predicted).map(|(s, p)| log.at(signal, s.row + ahead - back)[0] - p).collect()
    };
    map.layout.targets.iter().map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_items_are_evenly_spaced_and_in_order() {
        assert_eq!(thin(&[0, 1, 2, 3, 4, 5, 6, 7], 4), [0, 2, 4, 6]);
        assert_eq!(thin(&[0, 1], 4), [0, 1]);
    }
}
