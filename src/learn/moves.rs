//! The forecast errors before and after the moves of the controls, for [`super::effect`].

use std::ops::Range;

use super::choose::TrainingData;
use super::identification::Movements;
use super::map::StepMap;
use super::moments::Moment;
use super::rollouts::Rollouts;
use super::starts::{Start, starts};
use crate::stats::mean;

/// Minimum number of moves from standstill in the training rows (not tuned).
const MIN_EVENTS: usize = 10;

/// Which steps of a forecast are compared with the moves of the controls.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// The forecast starts this number of steps before a move, and its mean error before the move
    /// is subtracted. This subtraction removes the influence of slow changes of the plant, the
    /// noise or a meter. If the number is greater than zero, only moves from standstill are used.
    pub lead: usize,
    /// The steps after a move over which the forecast error is averaged.
    pub after: Range<usize>,
}

impl Steps {
    pub(super) fn total(&self) -> usize {
        self.lead + self.after.end
    }
}

/// A forecast, and the movements of the controls.
#[derive(Clone)]
pub(super) struct Sample {
    pub start: Start,
    /// Row of the move.
    row: usize,
    /// Independent movements v: `[controls]`.
    instruments: Vec<f64>,
    /// Mean movements U within the window: `[controls]`.
    moves: Vec<f64>,
}

/// Returns true if the control `u` moves in `row` after a standstill of `steps` steps.
pub(super) fn is_event(u: &[f64], row: usize, steps: usize) -> bool {
    row > steps && u[row] != u[row - 1] && u[row - steps..row].iter().all(|v| *v == u[row - 1])
}

/// Returns true if the control has enough moves from a standstill of `steps` steps in the training
/// rows.
pub(super) fn has_events(data: &TrainingData, control: usize, steps: usize) -> bool {
    let u = &data.log.columns[control];
    let rows = data.split.train.iter().cloned().flatten();
    rows.filter(|row| is_event(u, *row, steps)).take(MIN_EVENTS).count() == MIN_EVENTS
}

/// Selects the starts in one fold for which all instruments are known. If there are more than
/// `limit` starts, only those with the largest instruments are kept.
pub(super) fn samples(
    data: &TrainingData,
    map: &StepMap,
    fold: &[Range<usize>],
    movements: &[Movements],
    steps: &Steps,
    limit: usize,
) -> Vec<Sample> {
    let sizes: Vec<f64> = movements.iter().map(Movements::root_mean_square).collect();
    let column = |m: &Movements| &data.log.columns[m.control];
    let mut samples: Vec<(f64, Sample)> = starts(map, data.log, fold, steps.total(), usize::MAX)
        .into_iter()
        .filter(|start| start.reach > steps.lead + steps.after.start)
        .filter(|start| {
            let row = start.row + steps.lead;
            steps.lead == 0 || movements.iter().any(|m| is_event(column(m), row, steps.lead))
        })
        .filter_map(|start| {
            let row = start.row + steps.lead;
            let instruments: Vec<f64> = movements.iter().map(|m| m.at(row)).collect::<Option<_>>()?;
            let window = row + steps.after.start..start.row + start.reach;
            let move_of = |u: &Vec<f64>| row.checked_sub(1).map_or(f64::NAN, |last| mean(&u[window.clone()]) - u[last]);
            let moves = movements.iter().map(|m| move_of(column(m))).collect();
            let size = instruments.iter().zip(&sizes).map(|(v, s)| (v / s).powi(2)).sum();
            Some((size, Sample { start, row, instruments, moves }))
        })
        .filter(|(size, s): &(f64, Sample)| size.is_finite() && s.moves.iter().all(|u| u.is_finite()))
        .collect();
    samples.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.row.cmp(&b.1.row)));
    samples.truncate(limit.max(1));
    samples.sort_by_key(|s| s.1.row);
    samples.into_iter().map(|s| s.1).collect()
}

/// The moments of target number `k`, in ascending order of rows.
pub(super) fn moments(runs: &[(Vec<Sample>, Rollouts)], k: usize, steps: &Steps) -> Vec<Moment> {
    let mut out = Vec::new();
    for (part, (samples, run)) in runs.iter().enumerate() {
        for (s, sample) in samples.iter().enumerate() {
            let mean_error = |range: Range<usize>| {
                let errors: Vec<f64> =
                    (range.start + 1..=range.end).filter_map(|h| run.pair(k, h, s)).map(|pair| pair.error()).collect();
                (!errors.is_empty()).then(|| mean(&errors))
            };
            let after = mean_error(steps.lead + steps.after.start..steps.total());
            let before = if steps.lead == 0 { Some(0.0) } else { mean_error(0..steps.lead) };
            if let (Some(after), Some(before)) = (after, before) {
                let Sample { row, instruments, moves, .. } = sample.clone();
                out.push(Moment { part, row, instruments, moves, error: after - before });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_move_after_a_standstill() {
        let u = [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0];
        let events: Vec<usize> = (0..u.len()).filter(|row| is_event(&u, *row, 2)).collect();
        assert_eq!(events, [3, 5]);
        assert_eq!((0..u.len()).filter(|row| is_event(&u, *row, 3)).count(), 0);
    }
}
