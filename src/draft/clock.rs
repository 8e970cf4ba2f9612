//! Adds derived signals that encode the time of day and the time of the week if other signals have a daily or weekly
//! cycle.

use super::behaviour::autocorrelation;
use crate::config::TimeSpan;
use crate::trajectory::Trajectory;

const DAY: i64 = 86_400_000;
/// A signal has a cycle if its autocorrelation after one period exceeds that after half a period by more than this
/// value (not tuned).
const MIN_CYCLE: f64 = 0.15;

/// A derived signal that is an input of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Feature {
    pub name: String,
    pub expr: String,
}

/// The features for the signals in the columns `targets` of `log`. A daily or weekly cycle needs no features if one of
/// the `disturbances` has the same cycle.
pub(super) fn features(log: &Trajectory, targets: &[usize], disturbances: &[usize], step: TimeSpan) -> Vec<Feature> {
    let longest = log.segments.iter().map(ExactSizeIterator::len).max().unwrap_or(0) as i64;
    let follows = |period: i64, periods: i64| {
        let lag = period / step.ms();
        let whole = period % step.ms() == 0 && lag >= 4 && longest >= periods * lag;
        let has_cycle = |t: &usize| {
            let after = |lag: i64| autocorrelation(log, *t, lag as usize);
            after(lag) - after(lag / 2) > MIN_CYCLE
        };
        whole && targets.iter().any(has_cycle) && !disturbances.iter().any(has_cycle)
    };
    let mut features = Vec::new();
    let mut add = |name: &str, span: &str, harmonics: u32| {
        for k in 1..=harmonics {
            let angle = format!("{:.4} * time / {span}", f64::from(k) * std::f64::consts::TAU);
            let number = if k == 1 { String::new() } else { format!("_{k}") };
            for function in ["sin", "cos"] {
                features
                    .push(Feature { name: format!("{name}_{function}{number}"), expr: format!("{function}({angle})") });
            }
        }
    };
    if step.ms() <= DAY / 4 && follows(DAY, 5) {
        add("day", "1[d]", 2);
    }
    if step.ms() <= DAY && follows(7 * DAY, 4) {
        // Three harmonics describe any pattern over the days of the week.
        add("week", "7[d]", if step.ms() == DAY { 3 } else { 2 });
    }
    features
}
