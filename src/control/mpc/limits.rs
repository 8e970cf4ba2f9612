//! What plans must hold: of controls, of the plant, of totals.

use super::rollout::Completed;
use crate::control::planner::{Allowed, Total};
use crate::schema::{MoveLimit, Range, Role, Signal};
use crate::spec::{TimeSpan, TotalSpec};
use crate::trajectory::Frame;
use crate::twin::Dynamics;

#[derive(Debug, Clone, Copy)]
pub(super) struct ControlLimit {
    pub hard: Range,
    /// Per step.
    pub allowed: Allowed,
    pub scale: f64,
}

/// A limit on what the plant does.
pub(super) struct Limit {
    pub signal: usize,
    pub range: Range,
    /// Size of an excess that counts one.
    pub scale: f64,
    /// States are known one step ahead; outputs belong to the completed frame.
    pub ahead: bool,
}

impl Limit {
    /// The values of a completed step that the limit is about: `[rows]`.
    pub fn column<'f>(&self, frame: &'f Completed) -> &'f [f64] {
        frame.window.column(self.signal, usize::from(!self.ahead))
    }
}

/// A limit of a planned control's total, for the whole horizon.
pub(super) fn total(
    spec: &TotalSpec,
    controls: &[usize],
    signals: &[Signal],
    horizon: usize,
    step: TimeSpan,
) -> Option<Total> {
    let control = controls.iter().position(|&c| signals[c].name == spec.control.value)?;
    Some(Total { control, range: spec.over(horizon, step) })
}

pub(super) fn control_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> ControlLimit {
    let s = &dynamics.schema().signals[signal];
    let mut seen = dynamics.seen(signal);
    let known = seen.low.is_finite() && seen.high.is_finite() && seen.low <= seen.high;
    let width = if known { seen.high - seen.low } else { s.hard.high - s.hard.low };
    if known && s.multiple > 0.0 {
        seen.low = (seen.low / s.multiple + 1e-9).floor() * s.multiple;
        seen.high = (seen.high / s.multiple - 1e-9).ceil() * s.multiple;
    }
    let bounds =
        if known && within_log { Range { low: s.hard.clamp(seen.low), high: s.hard.clamp(seen.high) } } else { s.hard };
    // A control that the log has only seen on may still be switched off.
    let bounds =
        if s.switching.least > 0.0 { Range { low: bounds.low.min(0.0).max(s.hard.low), ..bounds } } else { bounds };
    // A move of whole multiples is itself one.
    let whole = |size: f64| match s.multiple > 0.0 && size.is_finite() {
        true => (size / s.multiple + 1e-9).floor() * s.multiple,
        false => size,
    };
    let max_move = MoveLimit { down: whole(s.max_move.down), up: whole(s.max_move.up) };
    let allowed = Allowed { bounds, max_move, multiple: s.multiple, switching: s.switching };
    ControlLimit { hard: s.hard, allowed, scale: 0.25 * width }
}

/// The hard limits of what the plant does. States stay within what the log has seen of them, too: a slow target, or one
/// that cannot be reached, else drives the plant to where nothing is known of it.
pub(super) fn hard_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> Option<Limit> {
    let s = &dynamics.schema().signals[signal];
    let seen = dynamics.seen(signal);
    let kept = within_log && s.role == Role::State && dynamics.learns(signal);
    let kept = if kept { dynamics.around(signal) } else { Range::OPEN };
    let range = Range { low: s.hard.low.max(kept.low), high: s.hard.high.min(kept.high) };
    let given = range.low.is_finite() || range.high.is_finite();
    if !given || !matches!(s.role, Role::State | Role::Output | Role::Derived) {
        return None;
    }
    let widths = [range.high - range.low, seen.high - seen.low];
    let scale = widths.into_iter().find(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    Some(Limit { signal, range, scale, ahead: s.role == Role::State })
}
