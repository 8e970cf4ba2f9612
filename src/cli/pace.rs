//! Estimates the time left of a batch of simulations from the time per step measured so far.

use std::time::Duration;

use crate::scenario::{Steps, Work};

/// The work of one kind: the steps of cases with MPC, or those of all other cases.
#[derive(Debug, Clone, Copy, Default)]
struct Kind {
    total: u64,
    done: u64,
    /// Times of the first and of the last step.
    times: Option<(Duration, Duration)>,
}

impl Kind {
    fn add(&mut self, steps: u64, at: Duration) {
        if steps > 0 {
            self.done += steps;
            self.times = Some((self.times.map_or(at, |t| t.0), at));
        }
    }

    /// The time left; `None` if it is unknown, because no step has been measured.
    fn left(&self, now: Duration) -> Option<f64> {
        // steps are reported when they begin
        let (finished, open) = (self.done.saturating_sub(1), self.total.saturating_sub(self.done));
        if open == 0 && self.done > 0 || self.total == 0 {
            return Some(0.0);
        }
        let (first, last) = self.times?;
        // a step that takes longer than all previous ones increases the estimate
        let spent = now.max(last).checked_sub(first)?.as_secs_f64();
        (finished > 0).then(|| spent / finished as f64 * (open + 1) as f64)
    }
}

/// The progress of a batch, with one time per step for the cases with MPC and another for all other cases.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    simple: Kind,
    planned: Kind,
}

impl Pace {
    pub fn new(total: Steps) -> Self {
        let kind = |total| Kind { total, ..Kind::default() };
        Self { simple: kind(total.simple), planned: kind(total.planned) }
    }

    /// Adds work that was finished when the time `at` had passed since the start.
    pub fn add(&mut self, work: Work, at: Duration) {
        match work {
            Work::Done(steps) => {
                self.simple.add(steps.simple, at);
                self.planned.add(steps.planned, at);
            }
            Work::Reused(steps) => {
                self.simple.total -= steps.simple.min(self.simple.total);
                self.planned.total -= steps.planned.min(self.planned.total);
            }
        }
    }

    /// Estimates the time left when the time `now` has passed since the start; `None` if it is unknown.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let seconds = self.simple.left(now)? + self.planned.left(now)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// The fraction of the computing time that is finished when the time `now` has passed since the start.
    pub fn share(&self, now: Duration) -> f64 {
        let Some(left) = self.left(now) else { return 0.0 };
        let spent = now.as_secs_f64();
        if spent > 0.0 { spent / (spent + left.as_secs_f64()) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    /// 200 simple steps take 1 s in all, and each of 100 planned steps takes 2 s.
    #[test]
    fn the_time_left_depends_on_the_kind_of_the_steps() {
        let mut pace = Pace::new(Steps { simple: 200, planned: 100 });
        assert_eq!(pace.left(seconds(0.0)), None);
        for k in 0..200 {
            pace.add(Work::Done(Steps::new(1, false)), seconds(0.005 * f64::from(k)));
        }
        // two thirds of the steps are finished, but the time per planned step is still unknown
        assert_eq!((pace.left(seconds(1.0)), pace.share(seconds(1.0))), (None, 0.0));
        for k in 0..=10 {
            pace.add(Work::Done(Steps::new(1, true)), seconds(1.0 + 2.0 * f64::from(k)));
        }
        // at 21 s, 10 planned steps are finished, and 90 are left
        let left = pace.left(seconds(21.0)).unwrap().as_secs_f64();
        assert!((left - 180.0).abs() < 1e-6, "{left}");
        assert!((pace.share(seconds(21.0)) - 21.0 / 201.0).abs() < 1e-6);
    }

    #[test]
    fn reused_steps_do_not_count_as_fast_steps() {
        let mut pace = Pace::new(Steps { simple: 0, planned: 300 });
        pace.add(Work::Reused(Steps::new(200, true)), seconds(0.1));
        for k in 0..=50 {
            pace.add(Work::Done(Steps::new(1, true)), seconds(f64::from(k)));
        }
        let left = pace.left(seconds(50.0)).unwrap().as_secs_f64();
        assert!((left - 50.0).abs() < 1e-6, "{left}");
    }
}
