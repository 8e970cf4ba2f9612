//! What was learned, as a report tells it: signal indices become names and units.

use super::results::{ModelCard, Score, StepResponse};
use crate::config::{Effect, TimeSpan, TwinSpec};
use crate::learn::Learned;
use crate::schema::Schema;

/// The card of a freshly learned model with so many past values; its version and its replay checks come later.
pub fn model_card(learned: &Learned, lags: usize, spec: &TwinSpec, schema: &Schema) -> ModelCard {
    let name = |i: usize| schema.signals[i].name.clone();
    let unit = |i: usize| schema.signals[i].unit.text.clone();
    let scores = learned.scores.iter().map(|s| Score {
        model: s.model.clone(),
        signal: name(s.signal),
        unit: unit(s.signal),
        horizon: s.horizon,
        n: s.n,
        rmse: s.rmse,
        bias: s.bias,
        skill: s.skill,
        skill_linear: s.skill_linear,
        crps: s.crps,
        coverage: s.coverage,
        coverage_fixed: s.coverage_fixed,
        right: s.acceptable_coverage(),
        independent: s.independent,
        pit: s.pit,
    });
    let hours = spec.step.value.seconds() / 3600.0;
    let responses = learned.responses.iter().map(|r| {
        let expected = spec.signals[r.signal].effects.get(&schema.signals[r.control].name).map(|e| e.value);
        StepResponse {
            control: name(r.control),
            signal: name(r.signal),
            unit: format!("{}/{}", change_unit(&unit(r.signal)), change_unit(&unit(r.control))),
            step: r.step,
            hours: r.at.iter().map(|&k| k as f64 * hours).collect(),
            mean: r.mean.clone(),
            low: r.low.clone(),
            high: r.high.clone(),
            gain: r.gain,
            expected: expected.map(|e| sign(e).to_owned()),
            agrees: match expected {
                Some(Effect::Up) => r.gain_high >= 0.0,
                Some(Effect::Down) => r.gain_low <= 0.0,
                Some(Effect::None) => r.gain_low <= 0.0 && r.gain_high >= 0.0,
                None => true,
            },
        }
    });
    let facts = &learned.split;
    ModelCard {
        version: String::new(),
        model: learned.chosen.clone(),
        reason: learned.reason.clone(),
        trained_until: facts.train_end.to_string(),
        train_rows: facts.train_rows,
        holdout_rows: facts.holdout_rows,
        holdout_start: facts.holdout_start.to_string(),
        holdout_end: facts.holdout_end.to_string(),
        lags,
        step: TimeSpan::from_ms(spec.step.value.ms()).to_string(),
        horizon: facts.horizon,
        scores: scores.filter(|s| s.rmse.is_finite() && s.crps.is_finite()).collect(),
        responses: responses.filter(|r| r.mean.iter().chain(&r.low).chain(&r.high).all(|v| v.is_finite())).collect(),
        replay: Vec::new(),
        notes: learned.notes.clone(),
        tuned: None,
    }
}

impl ModelCard {
    /// Largest horizon, in steps, at which the model beats persistence on hold-out, per signal; `None` where it does so at
    /// the last horizon that was scored, for signals that were not, and for those that never moved there: nothing beats
    /// persistence for a backlog that never was, and that says nothing of the model.
    pub fn reach(&self, schema: &Schema) -> Vec<Option<usize>> {
        let of = |name: &str| -> Option<usize> {
            self.scores.iter().find(|s| s.model == "persistence" && s.signal == name && s.rmse > 0.0)?;
            let scored =
                || self.scores.iter().filter(|s| s.model == self.model && s.signal == name && s.skill.is_finite());
            let last = scored().map(|s| s.horizon).max()?;
            let reach = scored().filter(|s| s.skill > 0.0).map(|s| s.horizon).max().unwrap_or(0);
            (reach < last).then_some(reach)
        };
        schema.names().map(of).collect()
    }
}

/// Differences of temperatures are counted in kelvins.
pub fn change_unit(unit: &str) -> &str {
    if unit == "degC" { "K" } else { unit }
}

fn sign(effect: Effect) -> &'static str {
    match effect {
        Effect::Up => "+",
        Effect::Down => "-",
        Effect::None => "0",
    }
}
