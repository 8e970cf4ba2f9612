//! The advice for one control, and the reason for it.

use serde::Serialize;

use super::change::KpiChange;
use crate::config::TimeSpan;
use crate::control::mpc::planned_range;
use crate::scenario::Plant;
use crate::scenario::results::IdentificationLevel;
use crate::schema::{Bounds, Signal};
use crate::units::unit_suffix;

/// Differences below this fraction of a control's range are considered rounding errors.
const TOLERANCE: f64 = 1e-6;
/// Largest range to which [`TOLERANCE`] is applied; larger ranges, such as those of controls
/// without limits, are replaced by this value (not tuned).
const MAX_RANGE: f64 = 1e12;

/// The advice for one control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlAdvice {
    pub tag: String,
    pub unit: String,
    pub now: f64,
    pub advised: f64,
    pub change: f64,
    /// The first move of the plan, which differs from `advised` if the plan is not advised.
    pub planned: f64,
    /// The value at which the ramp of the plan ends, if the ramp continues after the first move.
    pub later: Option<Later>,
    /// The allowed range at the next step; `null` means unbounded. The range is determined by the hard limits, the move
    /// limits and, if `within_log` is `true`, the logged range.
    pub allowed: [Option<f64>; 2],
    pub reason: String,
    /// The most important KPI change that this move causes if the other controls move as advised.
    pub alone: Option<KpiChange>,
}

/// A value of a control later in the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Later {
    pub value: f64,
    /// Time at which the control has this value (UTC).
    pub at: String,
}

/// The first move of the plan for one control.
#[derive(Debug, Clone)]
pub struct Move {
    /// Column of the control in the schema.
    pub control: usize,
    pub now: f64,
    pub planned: f64,
    pub later: Option<Later>,
    /// Whether the move is smaller than the planned move because the model supports only a part of the planned move.
    pub reduced: bool,
}

impl ControlAdvice {
    /// `fallback` is the value that is advised instead of the planned value, and the reason for the
    /// fallback.
    pub fn new(
        plant: &Plant,
        one: Move,
        within_log: bool,
        fallback: Option<(f64, &str)>,
        alone: Option<KpiChange>,
        horizon: &TimeSpan,
    ) -> Self {
        let Move { control, now, planned, later, reduced } = one;
        let advised = fallback.map_or(planned, |(value, _)| value);
        let signal = &plant.schema.signals[control];
        let bounds = planned_range(&plant.twin, control, within_log);
        let allowed = allowed(signal, bounds, now);
        let reduced = reduced.then(|| "reduced to the part of the planned move that the model supports".to_owned());
        let identified = plant.card.identification.iter().find(|i| i.control == signal.name);
        let unidentified = identified.is_some_and(|i| i.level == IdentificationLevel::NotIdentified);
        let effect = alone.as_ref().map(|k| {
            if unidentified {
                return "the log does not identify the effect of this control".to_owned();
            }
            let unit = unit_suffix(&k.unit);
            format!("the planned moves of this control change {} by {:+.4}{unit} over {horizon}", k.name, k.change)
        });
        let parts = match fallback {
            Some((_, reason)) => [Some(reason.to_owned()), None, None],
            None => [reduced, binding(signal, bounds, now, advised), effect],
        };
        let end = |v: f64| v.is_finite().then_some(v);
        Self {
            tag: signal.name.clone(),
            unit: signal.unit.text.clone(),
            now,
            advised,
            change: advised - now,
            planned,
            later: later.filter(|_| fallback.is_none()),
            allowed: [end(allowed.low), end(allowed.high)],
            reason: parts.into_iter().flatten().collect::<Vec<_>>().join("; "),
            alone,
        }
    }
}

/// Returns the step and the value at which a control that moves from `now` along `path` first stops or turns back.
/// Returns `None` if the control does not move at the first step, or if the ramp ends with the first step.
pub fn ramp_end(now: f64, path: &[f64]) -> Option<(usize, f64)> {
    let first = *path.first()?;
    let direction = first - now;
    if direction == 0.0 || !direction.is_finite() {
        return None;
    }
    let onward = path.windows(2).take_while(|w| (w[1] - w[0]) * direction > 0.0).count();
    (onward > 0).then(|| (onward, path[onward]))
}

/// Returns the range allowed at the next step: the part of `bounds` that can be reached from `now`
/// in one move.
fn allowed(signal: &Signal, bounds: Bounds, now: f64) -> Bounds {
    let mut allowed =
        Bounds { low: bounds.low.max(now - signal.max_move.down), high: bounds.high.min(now + signal.max_move.up) };
    // A control outside its bounds returns to the bounds as fast as its move limit allows.
    if now > bounds.high {
        allowed.high = allowed.high.max(allowed.low);
    } else {
        allowed.low = allowed.low.min(allowed.high);
    }
    allowed
}

/// Returns a phrase that names the limit reached by the advised value, if any.
fn binding(signal: &Signal, bounds: Bounds, now: f64, advised: f64) -> Option<String> {
    let width = if bounds.high - bounds.low > 0.0 { bounds.high - bounds.low } else { 1.0 };
    let same = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * width.min(MAX_RANGE);
    if same(advised, now) {
        Some("no better value was found".to_owned())
    } else if same(now - advised, signal.max_move.down) || same(advised - now, signal.max_move.up) {
        let most = if advised > now { signal.max_move.up } else { signal.max_move.down };
        Some(format!("at the largest move per step ({most})"))
    } else if same(advised, signal.hard.low) || same(advised, signal.hard.high) {
        Some("at its hard limit".to_owned())
    } else if same(advised, bounds.low) || same(advised, bounds.high) {
        Some("at the edge of its logged range".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_ends_where_the_control_stops_or_turns_back() {
        assert_eq!(ramp_end(32.0, &[30.0, 28.0, 27.0, 27.0, 29.0]), Some((2, 27.0)));
        assert_eq!(ramp_end(32.0, &[30.0, 28.0, 29.0]), Some((1, 28.0)));
        assert_eq!(ramp_end(1.0, &[2.0, 3.0]), Some((1, 3.0)));
        let none =
            [ramp_end(32.0, &[30.0, 30.0, 28.0]), ramp_end(32.0, &[32.0, 30.0]), ramp_end(f64::NAN, &[1.0, 2.0])];
        assert_eq!(none, [None; 3]);
    }
}
