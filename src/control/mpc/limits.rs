//! What plans must hold: of controls, of the plant, of totals.

use super::resolved::ResolvedMpc;
use super::rollout::Completed;
use super::totals::TotalSettings;
use crate::config::TimeSpan;
use crate::control::planner::{Allowed, Total};
use crate::schema::{Bounds, MoveLimit, Role};
use crate::trajectory::Frame;
use crate::twin::Dynamics;

#[derive(Debug, Clone, Copy)]
pub(super) struct ControlLimit {
    pub hard: Bounds,
    /// Per step.
    pub allowed: Allowed,
    pub scale: f64,
}

/// A limit on what the plant does.
pub(super) struct Limit {
    pub signal: usize,
    pub range: Bounds,
    /// Size of an excess that counts one.
    pub scale: f64,
    /// States are known one step ahead; outputs belong to the completed frame.
    pub ahead: bool,
    /// Of a soft limit; 0 is a hard one.
    pub rank: u32,
    /// What an excess counts, in excesses over a limit of the last rank.
    pub weight: f64,
}

impl Limit {
    /// The values of a completed step that the limit is about: `[rows]`.
    pub fn column<'f>(&self, frame: &'f Completed) -> &'f [f64] {
        frame.window.column(self.signal, usize::from(!self.ahead))
    }
}

/// The limit of a planned control's total, over the whole horizon; `None` if the plan does not move the control.
pub(super) fn total(settings: &TotalSettings, controls: &[usize], horizon: usize, step: TimeSpan) -> Option<Total> {
    let control = controls.iter().position(|&c| c == settings.control)?;
    Some(Total { control, range: settings.over(horizon, step) })
}

pub(super) fn control_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> ControlLimit {
    let s = &dynamics.schema().signals[signal];
    let mut seen = dynamics.logged_range(signal);
    let known = seen.low.is_finite() && seen.high.is_finite() && seen.low <= seen.high;
    let width = if known { seen.high - seen.low } else { s.hard.high - s.hard.low };
    if known && s.multiple > 0.0 {
        seen.low = (seen.low / s.multiple + 1e-9).floor() * s.multiple;
        seen.high = (seen.high / s.multiple - 1e-9).ceil() * s.multiple;
    }
    let bounds = if known && within_log {
        Bounds { low: s.hard.clamp(seen.low), high: s.hard.clamp(seen.high) }
    } else {
        s.hard
    };
    // A control that the log has only seen on may still be switched off.
    let bounds =
        if s.switching.least > 0.0 { Bounds { low: bounds.low.min(0.0).max(s.hard.low), ..bounds } } else { bounds };
    // A move of whole multiples is itself one.
    let whole = |size: f64| match s.multiple > 0.0 && size.is_finite() {
        true => (size / s.multiple + 1e-9).floor() * s.multiple,
        false => size,
    };
    let max_move = MoveLimit { down: whole(s.max_move.down), up: whole(s.max_move.up) };
    let allowed = Allowed { bounds, max_move, multiple: s.multiple, switching: s.switching };
    ControlLimit { hard: s.hard, allowed, scale: 0.25 * width }
}

/// Ranks differ by this factor, or by less when there are so many that double precision would lose the last one.
const APART: f64 = 1e4;
/// Between the first and the last rank.
const MOST_APART: f64 = 1e9;

/// The limits on what the plant does, hard ones first, then soft ones by their rank.
pub(super) fn plant_limits(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> Vec<Limit> {
    let schema = dynamics.schema();
    let within_log = settings.within_log();
    let soft = |&(signal, rank): &(usize, u32)| limit(dynamics, signal, schema.signals[signal].soft, rank);
    let mut limits: Vec<Limit> = (0..schema.len()).filter_map(|s| hard_limit(dynamics, s, within_log)).collect();
    limits.extend(settings.ranks.iter().filter_map(soft));
    limits.sort_by_key(|l| l.rank);
    let ranks = || limits.chunk_by(|a, b| a.rank == b.rank).count() - 1;
    let apart = if limits.is_empty() { 1.0 } else { APART.min(MOST_APART.powf((ranks().max(1) as f64).recip())) };
    let mut weight = 1.0;
    for same in limits.chunk_by_mut(|a, b| a.rank == b.rank).rev() {
        same.iter_mut().for_each(|l| l.weight = weight);
        weight *= apart;
    }
    limits
}

/// The hard limit of a signal. States stay within what the log has seen of them, too: a slow target, or one that cannot be
/// reached, else drives the plant to where nothing is known of it.
fn hard_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> Option<Limit> {
    let s = &dynamics.schema().signals[signal];
    let kept = within_log && s.role == Role::State && dynamics.is_learned(signal);
    let kept = if kept { dynamics.widened_range(signal) } else { Bounds::OPEN };
    limit(dynamics, signal, Bounds { low: s.hard.low.max(kept.low), high: s.hard.high.min(kept.high) }, 0)
}

/// None where the range is open, and of what the plant is given.
fn limit(dynamics: &dyn Dynamics, signal: usize, range: Bounds, rank: u32) -> Option<Limit> {
    let role = dynamics.schema().signals[signal].role;
    let seen = dynamics.logged_range(signal);
    let given = range.low.is_finite() || range.high.is_finite();
    if !given || !matches!(role, Role::State | Role::Output | Role::Derived) {
        return None;
    }
    let widths = [range.high - range.low, seen.high - seen.low];
    let scale = widths.into_iter().find(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    Some(Limit { signal, range, scale, ahead: role == Role::State, rank, weight: 1.0 })
}
