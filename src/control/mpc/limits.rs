//! Limits on the planned controls, on the plant's signals and on totals.

use super::frame::CompletedFrame;
use super::periods::PlannedTotal;
use super::resolved::ResolvedMpc;
use super::totals::TotalSettings;
use crate::config::MpcSpec;
use crate::control::planner::ControlConstraints;
use crate::rng::normal_quantile;
use crate::schema::{Bounds, MoveLimit, Role};
use crate::trajectory::Frame;
use crate::twin::{Dynamics, guaranteed};

/// All limits that plans must satisfy.
pub(super) struct Limits {
    /// `[controls]`.
    pub controls: Vec<ControlLimit>,
    /// Limits on states, outputs and derived signals: hard limits first, then soft limits in the order of their ranks.
    pub plant: Vec<PlantLimit>,
    /// Probability with which the limits of the plant are satisfied at each step; `None` if limits are not tightened.
    pub confidence: Option<f64>,
    pub totals: Vec<PlannedTotal>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ControlLimit {
    pub hard: Bounds,
    /// Constraints on the value of the control at each step.
    pub constraints: ControlConstraints,
    /// Typical variation of the control.
    pub scale: f64,
}

/// A limit on a state, an output or a derived signal.
pub(super) struct PlantLimit {
    pub signal: usize,
    pub bounds: Bounds,
    /// Scale by which violations are divided.
    pub scale: f64,
    /// True if the limit applies to the value at the end of a step, as for a state; false if it applies to the value
    /// during the step, as for an output.
    pub ahead: bool,
    /// Rank of a soft limit; 0 for a hard limit.
    pub rank: u32,
    /// Weight of a violation of this limit. Limits of the last rank have the weight 1.
    pub weight: f64,
}

impl PlantLimit {
    /// Values of the limited signal in a completed frame: `[rows]`.
    pub fn column<'f>(&self, frame: &'f CompletedFrame) -> &'f [f64] {
        frame.window.column(self.signal, usize::from(!self.ahead))
    }
}

/// The limit on the total of a control. A limit over the horizon is multiplied by `share`, the
/// planned fraction of the horizon. Returns `None` if the control is not planned.
pub(super) fn total_limit(settings: &TotalSettings, controls: &[usize], share: f64) -> Option<PlannedTotal> {
    let control = controls.iter().position(|&c| c == settings.control)?;
    let share = if settings.period.is_some() { 1.0 } else { share };
    let Bounds { low, high } = settings.bounds;
    Some(PlannedTotal { control, bounds: Bounds { low: share * low, high: share * high }, period: settings.period })
}

/// The range of values of the control `signal` in plans.
pub fn planned_range(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> Bounds {
    control_limit(dynamics, signal, within_log).constraints.bounds
}

pub(super) fn control_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> ControlLimit {
    let s = &dynamics.schema().signals[signal];
    let mut logged = dynamics.logged_range(signal);
    let known = logged.low.is_finite() && logged.high.is_finite() && logged.low <= logged.high;
    let width = if known { logged.high - logged.low } else { s.hard.high - s.hard.low };
    if known && s.multiple > 0.0 {
        logged.low = (logged.low / s.multiple + 1e-9).floor() * s.multiple;
        logged.high = (logged.high / s.multiple - 1e-9).ceil() * s.multiple;
    }
    let bounds = if known && within_log && is_read_by_model(dynamics, signal) {
        Bounds { low: s.hard.clamp(logged.low), high: s.hard.clamp(logged.high) }
    } else {
        s.hard
    };
    // A control may be switched off even if the control is always on in the log.
    let bounds =
        if s.switching.least > 0.0 { Bounds { low: bounds.low.min(0.0).max(s.hard.low), ..bounds } } else { bounds };
    // The difference between two multiples is itself a multiple, so move limits are rounded down to multiples.
    let whole = |size: f64| match s.multiple > 0.0 && size.is_finite() {
        true => (size / s.multiple + 1e-9).floor() * s.multiple,
        false => size,
    };
    let max_move = MoveLimit { down: whole(s.max_move.down), up: whole(s.max_move.up) };
    let constraints = ControlConstraints { bounds, max_move, multiple: s.multiple, switching: s.switching };
    ControlLimit { hard: s.hard, constraints, scale: 0.25 * width }
}

/// Whether a learned model reads `signal`. Controls that no model reads act only through known
/// equations, which are also valid outside the logged range.
fn is_read_by_model(dynamics: &dyn Dynamics, signal: usize) -> bool {
    dynamics.map().is_none_or(|m| m.learned().next().is_some() && m.layout.inputs.iter().any(|i| i.0 == signal))
}

/// Factor between the weights of two consecutive ranks (not tuned).
const RANK_FACTOR: f64 = 1e4;
/// Largest ratio of the weights of the first and the last rank, chosen so that double precision can resolve both.
const LARGEST_RANK_FACTOR: f64 = 1e9;

/// Limits on the plant's signals: hard limits first, then soft limits in the order of their ranks.
pub(super) fn plant_limits(settings: &ResolvedMpc, dynamics: &dyn Dynamics) -> Vec<PlantLimit> {
    let schema = dynamics.schema();
    let within_log = settings.states_within_log();
    let soft = |&(signal, rank): &(usize, u32)| plant_limit(dynamics, signal, schema.signals[signal].soft, rank);
    let mut limits: Vec<PlantLimit> = (0..schema.len()).filter_map(|s| hard_limit(dynamics, s, within_log)).collect();
    limits.extend(settings.ranks.iter().filter_map(soft));
    limits.sort_by_key(|l| l.rank);
    let ranks = || limits.chunk_by(|a, b| a.rank == b.rank).count() - 1;
    let factor = if limits.is_empty() {
        1.0
    } else {
        RANK_FACTOR.min(LARGEST_RANK_FACTOR.powf((ranks().max(1) as f64).recip()))
    };
    let mut weight = 1.0;
    for same in limits.chunk_by_mut(|a, b| a.rank == b.rank).rev() {
        same.iter_mut().for_each(|l| l.weight = weight);
        weight *= factor;
    }
    limits
}

/// Largest margin of a soft limit as a fraction of the width of the desired range (not tuned).
const LARGEST_MARGIN: f64 = 0.25;

/// The distance that plans keep from the soft limits of a learned signal, so that the signal satisfies its limits with
/// the probability `confidence` even though the plan does not simulate noise. The distance
/// corresponds to the model's error `replan` steps ahead, because the next plan can correct errors
/// after `replan` steps.
pub(super) fn soft_margin(
    confidence: Option<f64>,
    dynamics: &dyn Dynamics,
    signal: usize,
    soft: Bounds,
    replan: usize,
) -> f64 {
    let quantile = normal_quantile(confidence.unwrap_or(MpcSpec::CONFIDENCE));
    (quantile * dynamics.forecast_error(signal, replan)).min(LARGEST_MARGIN * (soft.high - soft.low))
}

/// The hard limit of a signal. Learned states must also stay within their widened logged range, because an unreachable
/// target would otherwise drive the plant out of the range of the training data.
fn hard_limit(dynamics: &dyn Dynamics, signal: usize, within_log: bool) -> Option<PlantLimit> {
    let s = &dynamics.schema().signals[signal];
    let learned = within_log && s.role == Role::State && dynamics.is_learned(signal);
    let range = if learned { dynamics.widened_range(signal) } else { Bounds::OPEN };
    let mut bounds = Bounds { low: s.hard.low.max(range.low), high: s.hard.high.min(range.high) };
    // Bounds that the equation of a state guarantees need not be enforced by plans.
    let known = dynamics.map().filter(|_| !learned && s.role == Role::State);
    let always = known.map_or(Bounds::OPEN, |map| guaranteed(map, signal));
    if always.low >= bounds.low {
        bounds.low = f64::NEG_INFINITY;
    }
    if always.high <= bounds.high {
        bounds.high = f64::INFINITY;
    }
    plant_limit(dynamics, signal, bounds, 0)
}

/// Limit on a signal of the plant; `None` if both bounds are infinite, or if the signal is an input of the plant.
fn plant_limit(dynamics: &dyn Dynamics, signal: usize, bounds: Bounds, rank: u32) -> Option<PlantLimit> {
    let role = dynamics.schema().signals[signal].role;
    let logged = dynamics.logged_range(signal);
    let limited = bounds.low.is_finite() || bounds.high.is_finite();
    if !limited || !matches!(role, Role::State | Role::Output | Role::Derived) {
        return None;
    }
    let widths = [bounds.high - bounds.low, logged.high - logged.low];
    let scale = widths.into_iter().find(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
    Some(PlantLimit { signal, bounds, scale, ahead: role == Role::State, rank, weight: 1.0 })
}
