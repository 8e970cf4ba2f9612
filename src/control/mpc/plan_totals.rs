//! The limits on totals in one plan.

use jiff::Timestamp;

use super::setup::Setup;
use super::start::PlanStart;
use crate::control::planner::TotalLimit;
use crate::schema::Bounds;
use crate::trajectory::Frame;

impl Setup<'_> {
    /// The limits on totals in a plan that begins at `start`. The total of a control since the start of a period
    /// counts towards the limits of the period. If a period ends after the plan, the minimum is
    /// reduced by the largest possible contribution of the later steps, and the maximum is reduced
    /// by their smallest possible contribution.
    pub fn totals(&self, start: &PlanStart) -> Vec<TotalLimit> {
        let (blocks, horizon) = (&self.horizon.blocks, self.horizon.steps());
        let mut limits = Vec::new();
        for total in &self.limits.totals {
            let Some(period) = total.period else {
                let steps = blocks.lengths().collect();
                limits.push(TotalLimit { control: total.control, bounds: total.bounds, steps });
                continue;
            };
            let step_ms = self.dynamics.step_ms();
            let number = |h: i64| {
                let times = if h > 0 { &start.times } else { &start.past_times };
                let known = usize::try_from(h.abs() - 1).ok().and_then(|distance| times.get(distance)).copied();
                let ms = start.window.time().as_millisecond().saturating_add(h * step_ms);
                period.number(known.or(Timestamp::from_millisecond(ms).ok())?, step_ms, &self.timezone)
            };
            let end = horizon as i64;
            let mut periods: Vec<i64> = (0..end).filter_map(number).collect();
            periods.dedup();
            let column = |lag: usize| start.window.column(self.controls[total.control], lag)[start.row];
            let range = self.limits.controls[total.control].constraints.bounds;
            for number_of_period in periods {
                let in_period = |h: &i64| number(*h) == Some(number_of_period);
                // All frames before the oldest known frame are copies of this frame.
                let known = start.window.depth().min(start.window.known());
                let past = (1..known).take_while(|lag| in_period(&-(*lag as i64)));
                let done: f64 = past.map(column).filter(|v| v.is_finite()).sum();
                let later = (end..).take_while(in_period).count() as f64;
                let mut steps = vec![0; blocks.count()];
                (0..end).filter(in_period).for_each(|h| steps[blocks.at(h as usize)] += 1);
                // after the plan, the control contributes at most its upper bound per step, and at least its lower
                // bound
                let rest = |v: f64| if later > 0.0 { later * v } else { 0.0 };
                let low = total.bounds.low - done - rest(range.high);
                let high = total.bounds.high - done - if range.low.is_finite() { rest(range.low) } else { 0.0 };
                let bounds = Bounds { low: if low.is_nan() { f64::NEG_INFINITY } else { low }, high };
                limits.push(TotalLimit { control: total.control, bounds, steps });
            }
        }
        limits
    }
}
