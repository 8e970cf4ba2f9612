//! One advised control, and what speaks for it.

use serde::Serialize;

use super::advice::KpiChange;
use crate::config::TimeSpan;
use crate::scenario::Plant;
use crate::schema::Bounds;
use crate::twin::Dynamics;

/// Share of a control's range that counts as no change, and as being at a limit.
const SAME: f64 = 1e-6;

/// One control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advised {
    pub tag: String,
    pub unit: String,
    pub now: f64,
    pub advised: f64,
    pub change: f64,
    /// What the next step may be, by limits, moves and what the log has seen; `null` where open.
    pub allowed: [Option<f64>; 2],
    pub reason: String,
    /// The KPI that weighs most of those that change when this control alone stays as it is, and by how much it changes.
    pub alone: Option<KpiChange>,
}

/// Control `control`, now at `now`, with the advised `value` and what it changes `alone`.
pub fn advised(
    plant: &Plant,
    control: usize,
    now: f64,
    value: f64,
    within_log: bool,
    alone: Option<KpiChange>,
    horizon: &TimeSpan,
) -> Advised {
    let signal = &plant.schema.signals[control];
    let seen = plant.twin.logged_range(control);
    let bounds = if within_log && seen.low <= seen.high {
        Bounds { low: signal.hard.clamp(seen.low), high: signal.hard.clamp(seen.high) }
    } else {
        signal.hard
    };
    let mut allowed =
        Bounds { low: bounds.low.max(now - signal.max_move.down), high: bounds.high.min(now + signal.max_move.up) };
    // from beyond its bounds it comes back at its pace
    if now > bounds.high {
        allowed.high = allowed.high.max(allowed.low);
    } else {
        allowed.low = allowed.low.min(allowed.high);
    }
    let width = if bounds.high - bounds.low > 0.0 { bounds.high - bounds.low } else { 1.0 };
    let near = |a: f64, b: f64| (a - b).abs() <= SAME * width.min(1e12);
    let binding = if near(value, now) {
        Some("no better value was found".to_owned())
    } else if near(now - value, signal.max_move.down) || near(value - now, signal.max_move.up) {
        let most = if value > now { signal.max_move.up } else { signal.max_move.down };
        Some(format!("as far as one step may move it ({most})"))
    } else if near(value, signal.hard.low) || near(value, signal.hard.high) {
        Some("at its hard limit".to_owned())
    } else if near(value, bounds.low) || near(value, bounds.high) {
        Some("at the edge of what the log has seen".to_owned())
    } else {
        None
    };
    let gain = alone.as_ref().map(|k| {
        let unit = if k.unit == "1" { String::new() } else { format!(" {}", k.unit) };
        format!("against leaving it alone {} {:+.4}{unit} over {horizon}", k.name, k.change)
    });
    let reason = [binding, gain].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let open = |v: f64| v.is_finite().then_some(v);
    Advised {
        tag: signal.name.clone(),
        unit: signal.unit.text.clone(),
        now,
        advised: value,
        change: value - now,
        allowed: [open(allowed.low), open(allowed.high)],
        reason,
        alone,
    }
}
