//! Explains a choice: remarks on the chosen model, and why a model is refused.
//!
//! A model is refused if, on the hold-out and at the control horizon, the mean over targets of its RMSE relative to that of
//! persistence, or of the training mean, is [`NO_BETTER`] or more. It is also refused if every model contradicts an effect
//! in `twin.toml`.

use super::data::TrainingData;
use super::judge::Candidate;
use super::selection::KnownEffect;
use crate::config::{Effect, TimeSpan};
use crate::error::plural;
use crate::learn::note::{Note, NoteKind};
use crate::learn::response::{Response, responses};
use crate::learn::rollouts::Rollouts;
use crate::learn::score::{Baselines, INTERVAL_90, ScoreRow};
use crate::schema::Role;
use crate::stats::mean_or_zero;

/// A steady-state change by one step of a control that is too small to count, in standard deviations of the signal (guess).
const NEGLIGIBLE: f64 = 0.05;
/// Relative RMSE from which a model counts as no better than a baseline: smaller gains may be chance (guess).
const NO_BETTER: f64 = 0.98;
/// What to do if a model has no skill.
const ADVICE: &str = "Run `inspect` to find signals that are constant or missing and controls that were not moved. Add the \
                      disturbance that drives the plant, change `model.lags` or `model.horizon`, or use a longer log";

/// The step responses of each candidate, if known effects require them, and the effects that it contradicts.
pub(super) struct EffectCheck {
    /// `[candidates]`; `None`: not computed.
    pub responses: Vec<Option<Vec<Response>>>,
    /// `[candidates]`: one sentence for each contradicted effect.
    pub contradictions: Vec<Vec<String>>,
}

impl EffectCheck {
    pub fn new(data: &TrainingData, candidates: &[Candidate], effects: &[KnownEffect]) -> Self {
        let mut check =
            Self { responses: vec![None; candidates.len()], contradictions: vec![Vec::new(); candidates.len()] };
        if effects.is_empty() {
            return check;
        }
        for (i, c) in candidates.iter().enumerate() {
            let found = responses(&c.map, data.log, &data.moments, data.horizon);
            check.contradictions[i] = contradictions(data, effects, &found);
            check.responses[i] = Some(found);
        }
        check
    }

    /// Numbers of the candidates that contradict no effect.
    pub fn consistent(&self) -> Vec<usize> {
        (0..self.contradictions.len()).filter(|&i| self.contradictions[i].is_empty()).collect()
    }

    /// One remark for each contradicted effect.
    pub fn notes(&self, candidates: &[Candidate], chosen: usize) -> Vec<Note> {
        let mut notes = Vec::new();
        for (i, (c, found)) in candidates.iter().zip(&self.contradictions).enumerate() {
            let kind = if i == chosen { NoteKind::Contradiction } else { NoteKind::OtherContradiction };
            notes.extend(
                found.iter().map(|f| Note::new(kind, format!("{} contradicts a known effect: {f}", c.label()))),
            );
        }
        notes
    }

    /// Why a model is refused if every model contradicts an effect. `best`: number of the best candidate, called `name`.
    pub fn refusal(&self, best: usize, name: &str) -> String {
        format!(
            "every model contradicts a known effect. The best of them is {name}: {}. In a log recorded under feedback, a \
             control often follows the signal that it acts on: use a period in which operators moved it independently, use \
             fewer `model.lags`, or add the disturbance that drives both. If the sign is wrong, change `effects` in twin.toml",
            self.contradictions[best].join("; "),
        )
    }
}

/// The known effects whose sign the steady-state gains contradict: the 90 % range of the gain over the members excludes it.
fn contradictions(data: &TrainingData, effects: &[KnownEffect], found: &[Response]) -> Vec<String> {
    let mut contradicted = Vec::new();
    for &KnownEffect { control, signal, effect } in effects {
        let Some(r) = found.iter().find(|r| r.control == control && r.signal == signal) else { continue };
        if (r.gain * r.step).abs() < NEGLIGIBLE * data.moments[signal].sd {
            continue;
        }
        let (up, down) = (r.gain_low > 0.0, r.gain_high < 0.0);
        let (wrong, known) = match effect {
            Effect::Up => (down, "raises"),
            Effect::Down => (up, "lowers"),
            Effect::None => (up || down, "has no effect on"),
        };
        if wrong {
            contradicted.push(format!(
                "`{}` {known} `{}`, but the model's steady-state gain is {:.3} ({:.3} to {:.3} over its members)",
                data.name(control),
                data.name(signal),
                r.gain,
                r.gain_low,
                r.gain_high,
            ));
        }
    }
    contradicted
}

/// Remarks on the controls that never moved in the training rows.
pub(super) fn constant_controls(data: &TrainingData) -> Vec<Note> {
    let controls = data.log.schema.with_role(Role::Control).into_iter();
    controls
        .filter(|c| !data.moments[*c].varies())
        .map(|c| {
            let text = format!(
                "`{}` never moved in the training rows, so its effect cannot be learned; do not trust results for other values \
                 of it",
                data.name(c)
            );
            Note::new(NoteKind::ConstantControl, text)
        })
        .collect()
}

/// The error of a model on the hold-out at the control horizon, relative to the baselines.
pub(super) struct HoldoutSkill {
    /// RMSE over that of persistence for each target; `None` if nothing was measured or persistence has no error.
    to_persistence: Vec<Option<f64>>,
    /// RMSE over that of the training mean.
    to_mean: Vec<Option<f64>>,
}

impl HoldoutSkill {
    pub fn new(run: &Rollouts, baselines: &Baselines, targets: usize) -> Self {
        let ratios = |baseline: &Rollouts| -> Vec<Option<f64>> {
            let ratio = |k| {
                let (own, reference) = run.paired_mse(baseline, k, run.horizon);
                (reference > 0.0).then(|| (own / reference).sqrt())
            };
            (0..targets).map(ratio).collect()
        };
        Self { to_persistence: ratios(&baselines.persistence), to_mean: ratios(&baselines.mean) }
    }

    /// Why the model called `name` must not be used, with advice. `horizon`: the control horizon in words.
    pub fn refusal(&self, name: &str, horizon: &str) -> Option<String> {
        if self.to_persistence.is_empty() {
            return None;
        }
        let Some(ratio) = mean_of_known(&self.to_persistence) else {
            return Some(format!("no learned signal moves on the hold-out, so {name} cannot be judged. {ADVICE}"));
        };
        let signals = plural(self.to_persistence.len(), "signal", "signals");
        if ratio >= NO_BETTER {
            return Some(format!(
                "{name} does not beat persistence {horizon} ahead on the hold-out: its error is {ratio:.2} times that of \
                 persistence (mean over {signals}). {ADVICE}"
            ));
        }
        match mean_of_known(&self.to_mean) {
            Some(ratio) if ratio >= NO_BETTER => Some(format!(
                "{name} does not beat the training mean {horizon} ahead on the hold-out: its error is {ratio:.2} times that \
                 of the training mean (mean over {signals}). {ADVICE}"
            )),
            _ => None,
        }
    }

    /// Remarks on the signals that are not predicted better than by persistence, or not scored. `signals`: columns of the
    /// targets.
    pub fn notes(&self, data: &TrainingData, signals: &[usize]) -> Vec<Note> {
        let horizon = data.spec.horizon.to_string();
        let mut notes = Vec::new();
        for (ratio, &signal) in self.to_persistence.iter().zip(signals) {
            let name = data.name(signal);
            match ratio {
                None => notes.push(Note::new(
                    NoteKind::Unscored,
                    format!("`{name}` could not be scored {horizon} ahead, because it is not measured or never moves"),
                )),
                Some(ratio) if *ratio >= 1.0 => notes.push(Note::new(
                    NoteKind::NoSkill,
                    format!(
                        "`{name}` is not predicted better than by persistence {horizon} ahead on the hold-out ({ratio:.2} \
                         times its error): do not base decisions on it"
                    ),
                )),
                Some(_) => {}
            }
        }
        notes
    }
}

fn mean_of_known(ratios: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = ratios.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| mean_or_zero(&known))
}

/// Remarks on the 90 % intervals of the model called `name` that cover clearly less or more of the hold-out than they
/// should (CAL-1), at the first step, at half and at the whole horizon.
pub(super) fn miscovered(data: &TrainingData, scores: &[ScoreRow], name: &str) -> Vec<Note> {
    let horizons = [1, data.horizon.div_ceil(2), data.horizon];
    let mut notes = Vec::new();
    for row in scores.iter().filter(|r| r.model == name && horizons.contains(&r.horizon) && r.rmse > 0.0) {
        let (low, high) = row.acceptable_coverage()[INTERVAL_90];
        if !(low..=high).contains(&row.coverage[INTERVAL_90]) {
            let text = format!(
                "90 % intervals of `{}` {} ahead cover {:.0} % of the hold-out instead of {:.0} to {:.0} % ({:.0} independent \
                 forecasts): the hold-out differs from the training period",
                data.name(row.signal),
                TimeSpan::from_ms(row.horizon as i64 * data.log.step_ms),
                100.0 * row.coverage[INTERVAL_90],
                100.0 * low,
                100.0 * high,
                row.independent,
            );
            notes.push(Note::new(NoteKind::Coverage, text));
        }
    }
    notes
}
