//! Selects the signals of a log with many tags.

use super::behaviour::correlation;
use super::roles::Guess;
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// Maximum number of signals in a draft. With more signals, a fit takes longer than a few minutes (not tuned).
const MAX_SIGNALS: usize = 24;
/// Maximum number of states and outputs, which are the targets of the model (not tuned).
const MAX_TARGETS: usize = 10;
/// Maximum number of rows from which correlations are computed (not tuned).
const MAX_ROWS: usize = 4_000;
/// Absolute correlation above which two signals are regarded as the same (not tuned).
const SAME: f64 = 0.9999;

/// Values of the signals at evenly spaced rows.
struct Sample(Vec<Vec<f64>>);

impl Sample {
    fn new(log: &Trajectory, signals: &[usize]) -> Self {
        let rows: Vec<usize> = log.segments.iter().flat_map(Clone::clone).collect();
        let stride = rows.len().div_ceil(MAX_ROWS).max(1);
        let column = |s: &usize| rows.iter().step_by(stride).map(|t| log.columns[*s][*t]).collect();
        Self(signals.iter().map(column).collect())
    }

    fn correlation(&self, a: usize, b: usize) -> f64 {
        let pairs = || self.0[a].iter().copied().zip(self.0[b].iter().copied());
        correlation(|| pairs().filter(|(x, y)| x.is_finite() && y.is_finite()))
    }
}

/// Returns, for each signal, the reason for leaving it out; `None` if the signal is kept. `at`: the column of each
/// signal in `log`. `main`: the signal in the objective, if there is one.
pub(super) fn selection(guesses: &[Guess], at: &[usize], log: &Trajectory, main: Option<usize>) -> Vec<Option<String>> {
    let n = guesses.len();
    let sample = Sample::new(log, at);
    let mut reasons: Vec<Option<String>> = vec![None; n];
    let protected = |i: usize| Some(i) == main || guesses[i].role == Role::Control || guesses[i].role == Role::Setpoint;
    for i in 0..n {
        let is_target = |i: usize| matches!(guesses[i].role, Role::State | Role::Output);
        let has_state = |i: usize, j: usize| guesses[i].role == Role::State || guesses[j].role == Role::State;
        let same = |j: &usize| {
            let is_equal = guesses[*j].unit == guesses[i].unit && equal(&sample.0[*j], &sample.0[i]);
            // a state is an input of the model, so it must not be a multiple of a signal that is predicted
            let is_multiple =
                || is_target(*j) && is_target(i) && has_state(*j, i) && sample.correlation(*j, i).abs() > SAME;
            reasons[*j].is_none() && (is_equal || is_multiple())
        };
        match (0..i).find(same) {
            Some(j) if !protected(i) => {
                reasons[i] = Some(format!("repeats `{}` or a multiple of it", guesses[j].column))
            }
            Some(j) if !protected(j) => {
                reasons[j] = Some(format!("repeats `{}` or a multiple of it", guesses[i].column))
            }
            _ => {}
        }
    }
    let kept = |reasons: &[Option<String>]| (0..n).filter(|i| reasons[*i].is_none()).collect::<Vec<_>>();
    if kept(&reasons).len() <= MAX_SIGNALS {
        return reasons;
    }
    // The main signal or, if there is none, the signal that is most closely related to all other signals.
    let main = main.unwrap_or_else(|| {
        let total = |i: usize| kept(&reasons).iter().map(|j| sample.correlation(i, *j).abs()).sum::<f64>();
        let targets = kept(&reasons).into_iter().filter(|i| matches!(guesses[*i].role, Role::State | Role::Output));
        targets.map(|i| (i, total(i))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |m| m.0)
    });
    let relevance: Vec<f64> = (0..n).map(|i| sample.correlation(main, i).abs()).collect();
    let mut ranked = kept(&reasons);
    ranked.sort_by(|a, b| relevance[*b].total_cmp(&relevance[*a]).then(a.cmp(b)));
    let (mut signals, mut targets, mut chosen) = (0, 0, vec![main]);
    for (class, room) in [(true, MAX_SIGNALS / 2), (false, MAX_SIGNALS)] {
        for &i in ranked.iter().filter(|i| **i != main && protected(**i) == class) {
            let is_target = matches!(guesses[i].role, Role::State | Role::Output);
            let repeats = chosen.iter().any(|j| sample.correlation(i, *j).abs() > SAME);
            let full = signals + 1 >= room || (is_target && targets + 1 >= MAX_TARGETS);
            if full || repeats {
                reasons[i] = Some(format!(
                    "is not among the signals most closely related to `{}` (correlation {:.2})",
                    guesses[main].column, relevance[i]
                ));
                continue;
            }
            signals += 1;
            targets += usize::from(is_target);
            chosen.push(i);
        }
    }
    reasons
}

/// Whether more than 30 rows contain values of both signals, and the two values are equal in all these rows.
fn equal(a: &[f64], b: &[f64]) -> bool {
    let known = || a.iter().zip(b).filter(|(x, y)| x.is_finite() && y.is_finite());
    known().all(|(x, y)| x == y) && known().count() > 30
}
