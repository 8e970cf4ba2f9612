//! Limits of the controls in a live loop: the twin's limits, narrowed to the ranges that the plant accepts.

use super::estimator::past::Past;
use super::protocol::description::Description;
use super::protocol::tags::Tags;
use crate::control::limited;
use crate::scenario::Plant;
use crate::schema::{Bounds, MoveLimit, Role, Signal, Switching};
use crate::twin::Dynamics;

/// All controls of the twin with their limits.
pub struct ControlLimits {
    /// Column indices of the controls in the schema.
    pub controls: Vec<usize>,
    signals: Vec<Signal>,
    /// Substitutes for unknown control values: the last logged value if there is one, or else the middle of the logged
    /// range.
    initial: Vec<f64>,
}

impl ControlLimits {
    pub fn new(plant: &Plant) -> Self {
        let controls = plant.schema.with_role(Role::Control);
        let initial = |&c: &usize| {
            let (logged, hard) = (plant.twin.logged_range(c), plant.schema.signals[c].hard);
            let last = plant.log.columns[c].iter().rev().copied().find(|v| v.is_finite());
            let middle = 0.5 * (logged.low + logged.high);
            hard.clamp(last.or_else(|| middle.is_finite().then_some(middle)).unwrap_or(0.0))
        };
        Self {
            signals: controls.iter().map(|&c| plant.schema.signals[c].clone()).collect(),
            initial: controls.iter().map(initial).collect(),
            controls,
        }
    }

    /// Narrows the twin's hard limits to the ranges that the plant accepts. A range that does not overlap the hard
    /// limits is ignored. Returns a note for each range that is ignored.
    pub fn narrow(&mut self, plant: &Plant, tags: &Tags, description: &Description) -> Vec<String> {
        let mut notes = Vec::new();
        for (&control, limit) in self.controls.iter().zip(&mut self.signals) {
            let own = plant.schema.signals[control].hard;
            let Some(tag) = tags.of_signal(control) else { continue };
            let Some((name, range)) = description.ranges.iter().find(|r| r.0 == tag.column()) else { continue };
            let (a, b) = (tag.mapping.to_signal(range.low), tag.mapping.to_signal(range.high));
            let both = Bounds { low: own.low.max(a.min(b)), high: own.high.min(a.max(b)) };
            if both.low <= both.high {
                limit.hard = both;
            } else {
                let [low, high] = [range.low, range.high];
                notes.push(format!(
                    "the plant accepts `{name}` from {low} to {high}, which does not overlap the twin's hard limits; the \
                     twin's limits are used"
                ));
            }
        }
        notes
    }

    /// Whether all controls can currently be moved. A control with a limit on its moves, on-times or off-times can
    /// be moved only if its current value is known.
    pub fn may_move(&self, in_force: &[f64]) -> bool {
        let free = |limit: &Signal| limit.max_move == MoveLimit::NONE && limit.switching == Switching::NONE;
        self.signals.iter().zip(in_force).all(|(limit, force)| force.is_finite() || free(limit))
    }

    /// Returns the controls in force, clamped to their limits at the newest row of `past`. Unknown control values are
    /// replaced by the initial values.
    pub fn held(&self, past: &Past, in_force: &[f64]) -> Vec<f64> {
        let each = in_force.iter().zip(&self.initial).zip(self.controls.iter().zip(&self.signals));
        each.map(|((v, initial), (&c, signal))| {
            limited(signal, *v, past.since(signal, c), if v.is_finite() { *v } else { *initial })
        })
        .collect()
    }

    /// Changes the values `requested` to the nearest values that are allowed at the newest row of `past`, given the
    /// controls in force. A requested value that is not finite is replaced by the value in force.
    pub fn within(&self, past: &Past, in_force: &[f64], requested: &[f64]) -> Vec<f64> {
        let held = self.held(past, in_force);
        let each = self.controls.iter().zip(&self.signals).zip(in_force).zip(requested.iter().zip(&held));
        each.map(|(((&c, signal), force), (requested, held))| {
            let value = limited(signal, *force, past.since(signal, c), *requested);
            if value.is_finite() { value } else { *held }
        })
        .collect()
    }

    /// Returns the values of the plant's own controller without any limits, because shadow mode must not affect the
    /// plant. A missing value is replaced by the value in force or, if the value in force is unknown too, by the
    /// initial value.
    pub fn unlimited(&self, baseline: &[f64], in_force: &[f64]) -> Vec<f64> {
        let each = baseline.iter().zip(in_force).zip(&self.initial);
        each.map(|((v, force), initial)| [*v, *force].into_iter().find(|v| v.is_finite()).unwrap_or(*initial)).collect()
    }

    /// Writes `controls` into the newest row of `past`.
    pub fn write(&self, past: &mut Past, controls: &[f64]) {
        for (&c, v) in self.controls.iter().zip(controls) {
            past.set(c, 0, *v);
        }
    }
}
