//! The advice for one control, and the reason for it.

use serde::Serialize;

use super::change::KpiChange;
use crate::config::TimeSpan;
use crate::scenario::Plant;
use crate::scenario::results::IdentificationLevel;
use crate::schema::{Bounds, Signal};
use crate::twin::Dynamics;

/// Differences below this fraction of a control's range are considered rounding errors.
const TOLERANCE: f64 = 1e-6;
/// Largest range to which [`TOLERANCE`] is applied; larger ranges, e.g. of controls without limits, are replaced by
/// this value (not tuned).
const MAX_RANGE: f64 = 1e12;

/// The advice for one control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlAdvice {
    pub tag: String,
    pub unit: String,
    pub now: f64,
    pub advised: f64,
    pub change: f64,
    /// The allowed range at the next step; `null` means unbounded. The range is determined by the hard limits, the move
    /// limits and, if `within_log` is `true`, the logged range.
    pub allowed: [Option<f64>; 2],
    pub reason: String,
    /// The most important KPI change that this move causes if the other controls move as advised.
    pub alone: Option<KpiChange>,
}

/// A move of one control from its current value to the advised value.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// Column of the control in the schema.
    pub control: usize,
    pub now: f64,
    pub advised: f64,
    /// Whether the move is smaller than the planned move because the model supports only a part of the planned move.
    pub reduced: bool,
}

impl ControlAdvice {
    pub fn new(plant: &Plant, one: Move, within_log: bool, alone: Option<KpiChange>, horizon: &TimeSpan) -> Self {
        let Move { control, now, advised, reduced } = one;
        let signal = &plant.schema.signals[control];
        let logged = plant.twin.logged_range(control);
        let bounds = if within_log && logged.low <= logged.high {
            Bounds { low: signal.hard.clamp(logged.low), high: signal.hard.clamp(logged.high) }
        } else {
            signal.hard
        };
        let allowed = allowed(signal, bounds, now);
        let reduced = reduced.then(|| "reduced to the part of the planned move that the model supports".to_owned());
        let identified = plant.card.identification.iter().find(|i| i.control == signal.name);
        let unidentified = identified.is_some_and(|i| i.level == IdentificationLevel::NotIdentified);
        let effect = alone.as_ref().map(|k| {
            if unidentified {
                return "the log does not identify the effect of this control".to_owned();
            }
            let unit = if k.unit == "1" { String::new() } else { format!(" {}", k.unit) };
            format!("moving this control changes {} by {:+.4}{unit} over {horizon}", k.name, k.change)
        });
        let parts = [reduced, binding(signal, bounds, now, advised), effect];
        let end = |v: f64| v.is_finite().then_some(v);
        Self {
            tag: signal.name.clone(),
            unit: signal.unit.text.clone(),
            now,
            advised,
            change: advised - now,
            allowed: [end(allowed.low), end(allowed.high)],
            reason: parts.into_iter().flatten().collect::<Vec<_>>().join("; "),
            alone,
        }
    }
}

/// Returns the range allowed at the next step, i.e. the part of `bounds` that can be reached from `now` in one move.
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
