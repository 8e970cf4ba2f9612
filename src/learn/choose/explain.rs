//! Explains the choice of a model: remarks on the chosen model, and reasons to reject it.
//!
//! A model is rejected if it has no skill on the hold-out at the control horizon. A model has no skill if the ratio of
//! its RMSE to that of persistence or of the training mean, averaged over the targets, is at least [`NO_SKILL_RATIO`].
//! The chosen model is also rejected if an equation is much worse than persistence
//! ([`WRONG_EQUATION_RATIO`]), or if every candidate contradicts at least one of the effects in
//! `twin.toml`.

use super::data::TrainingData;
use super::judge::Candidate;
use super::selection::KnownEffect;
use crate::config::{Effect, TimeSpan};
use crate::error::{Result, plural};
use crate::learn::dataset::Dataset;
use crate::learn::layout::{Layout, Target};
use crate::learn::model::outliers::inliers;
use crate::learn::note::{Note, NoteKind};
use crate::learn::response::{Response, responses};
use crate::learn::rollouts::Rollouts;
use crate::learn::score::{Baselines, INTERVAL_90, ScoreRow};
use crate::schema::Role;
use crate::stats::mean_or_zero;

/// The sign of a step response is not checked if its steady-state change is less than this many standard deviations of
/// the signal (not tuned).
const NEGLIGIBLE: f64 = 0.05;
/// Smallest ratio of a model's RMSE to that of a baseline at which the model is considered to have no skill (not
/// tuned). An RMSE ratio just below one may be due to chance.
const NO_SKILL_RATIO: f64 = 0.98;
/// A known equation is considered wrong if the ratio of its RMSE to that of persistence is at least this large, both
/// one step ahead and at the control horizon (not tuned).
const WRONG_EQUATION_RATIO: f64 = 1.3;
/// Minimum number of forecasts that are needed to judge an equation (not tuned).
const MIN_FORECASTS: usize = 20;
/// Maximum number of signals that are named when a model is refused (not tuned).
const MAX_NAMED: usize = 6;
/// Advice for users whose model has no skill.
const ADVICE: &str = "Run `inspect` to find signals that are constant or missing and controls that never moved. Add \
                      the disturbances that drive the plant, change `model.lags` or `model.horizon`, or use a longer \
                      log";

/// The step responses of each candidate model, and the known effects that they contradict.
pub(super) struct EffectCheck {
    /// Step responses of each candidate: `[candidates]`; `None` if there are no known effects to check.
    pub responses: Vec<Option<Vec<Response>>>,
    /// For each candidate, one sentence per contradicted effect: `[candidates]`.
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

    /// Indices of the candidates that contradict no known effect.
    pub fn consistent(&self) -> Vec<usize> {
        (0..self.contradictions.len()).filter(|&i| self.contradictions[i].is_empty()).collect()
    }

    /// Returns one remark for each contradicted effect.
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

    /// Explains why even the best candidate is rejected: every candidate contradicts a known effect. `best` is the
    /// index of the best candidate, and `name` is its name.
    pub fn refusal(&self, best: usize, name: &str) -> String {
        format!(
            "every model contradicts a known effect. Details for {name}, the best model: {}. In a log recorded under \
             feedback control, a control often follows the signal that it acts on. Use a period in which operators \
             moved the control independently, reduce `model.lags`, or add the disturbance that drives both signals. If \
             the known sign is wrong, change `effects` in twin.toml",
            self.contradictions[best].join("; "),
        )
    }
}

/// Describes the known effects that a model contradicts. A model contradicts an effect if the 90 % range of its
/// steady-state gain over the ensemble members excludes the known sign.
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
                "according to twin.toml, `{}` {known} `{}`, but the steady-state gain of the model is {:.3} ({:.3} to \
                 {:.3} over its ensemble members)",
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

/// Remarks on controls that never moved in the training rows.
pub(super) fn constant_control_notes(data: &TrainingData) -> Vec<Note> {
    let controls = data.log.schema.with_role(Role::Control).into_iter();
    controls
        .filter(|c| !data.moments[*c].varies())
        .map(|c| {
            let text = format!(
                "`{}` never moved in the training rows, so its effect cannot be learned. Do not trust results for \
                 other values of this control",
                data.name(c)
            );
            Note::new(NoteKind::ConstantControl, text)
        })
        .collect()
}

/// A remark on the training rows that are left out as outliers of targets in `layout`.
pub(super) fn outlier_note(data: &TrainingData, layout: &Layout) -> Result<Option<Note>> {
    let set = Dataset::new(data.log, layout, data.equations);
    let rows = set.rows_in(&data.split.train);
    let found = inliers(&set, &rows)?;
    let out = rows.len() - found.rows.len();
    let of_target =
        |(target, count): (&Target, usize)| (count > 0).then(|| format!("{count} of `{}`", data.name(target.signal())));
    let counts: Vec<String> = layout.targets.iter().zip(found.outliers).filter_map(of_target).collect();
    Ok((out > 0).then(|| {
        let text = format!(
            "{} of {} training rows are left out as outliers, which no input explains: {}",
            out,
            rows.len(),
            counts.join(", ")
        );
        Note::new(NoteKind::Outliers, text)
    }))
}

/// The error of a model on the hold-out at the control horizon, relative to the baselines.
pub(super) struct HoldoutSkill {
    /// For each target, the ratio of the model's RMSE to that of persistence; `None` if there are no measurements or if
    /// the RMSE of persistence is zero.
    over_persistence: Vec<Option<f64>>,
    /// For each target, the ratio of the model's RMSE to that of the training mean.
    over_mean: Vec<Option<f64>>,
    /// For each state that only a known equation predicts: its column, and the ratios of the RMSE to that of
    /// persistence one step ahead and at the control horizon.
    of_equations: Vec<(usize, [f64; 2])>,
}

impl HoldoutSkill {
    /// `independent`: whether each target is described by its mean, in which case the comparison with the mean is
    /// omitted.
    pub fn new(run: &Rollouts, baselines: &Baselines, independent: &[bool]) -> Self {
        let ratio_at = |baseline: &Rollouts, k: usize, h: usize| {
            let (own, reference) = run.paired_mse(baseline, k, h);
            (reference > 0.0).then(|| (own / reference).sqrt())
        };
        let ratio = |baseline: &Rollouts, k: usize| ratio_at(baseline, k, run.horizon);
        let of_equation = |k: usize| {
            let enough = run.pairs(k, run.horizon).count() >= MIN_FORECASTS;
            let ratios = [ratio_at(&baselines.persistence, k, 1)?, ratio_at(&baselines.persistence, k, run.horizon)?];
            enough.then(|| (run.signals[k], ratios))
        };
        let over_mean = |(k, is_mean): (usize, &bool)| if *is_mean { None } else { ratio(&baselines.mean, k) };
        Self {
            over_persistence: (0..independent.len()).map(|k| ratio(&baselines.persistence, k)).collect(),
            over_mean: independent.iter().enumerate().map(over_mean).collect(),
            of_equations: (independent.len()..run.signals.len()).filter_map(of_equation).collect(),
        }
    }

    /// Explains why the model `name` must not be used, and suggests a remedy. `scored`: columns of the scored signals.
    pub fn refusal(&self, data: &TrainingData, name: &str, scored: &[usize]) -> Option<String> {
        if self.over_persistence.is_empty() {
            return None;
        }
        let horizon = data.spec.horizon.to_string();
        let wrong = self.of_equations.iter().find(|(_, ratios)| ratios.iter().all(|r| *r >= WRONG_EQUATION_RATIO));
        if let Some(&(signal, [next, last])) = wrong {
            let signal = data.name(signal);
            return Some(format!(
                "the equation of `{signal}` is worse than persistence on the hold-out: its error is {next:.2} times that \
                 of persistence one step ahead, and {last:.2} times {horizon} ahead. Correct the signs, delays and units \
                 in `next`, or add `residual = true`, so that a model learns the error of the equation"
            ));
        }
        let Some(ratio) = mean_of_known(&self.over_persistence) else {
            // If all states have known equations, constant states are no reason to refuse the model.
            if name == "equations" {
                return None;
            }
            let repeating: Vec<String> =
                scored.iter().filter(|s| varies(data, **s)).map(|s| format!("`{}`", data.name(*s))).collect();
            if !repeating.is_empty() {
                return Some(format!(
                    "on the hold-out, the values of {} repeat exactly after {horizon}, as if they merely followed \
                     a timetable, so persistence has no error and {name} cannot be compared with it. Check whether the \
                     log contains measurements. If it does, change `model.horizon` to a time after which the values \
                     differ",
                    some(&repeating)
                ));
            }
            return Some(format!("no learned signal varies on the hold-out, so {name} cannot be scored. {ADVICE}"));
        };
        let failure = |baseline: &str, ratio: f64, ratios: &[Option<f64>]| {
            let signals = plural(ratios.iter().flatten().count(), "signal", "signals");
            Some(format!(
                "{name} does not beat {baseline} {horizon} ahead on the hold-out: its error is {ratio:.2} times that \
                 of {baseline} (mean over {signals}){}. {ADVICE}",
                failed(data, scored, ratios)
            ))
        };
        if ratio >= NO_SKILL_RATIO && name == "equations" {
            return Some(format!(
                "the equations do not predict the states better than persistence {horizon} ahead on the hold-out: their \
                 error is {ratio:.2} times that of persistence{}. Correct the expressions in `next`, or add `residual = \
                 true`, so that a model learns the error of an equation",
                failed(data, scored, &self.over_persistence)
            ));
        }
        if ratio >= NO_SKILL_RATIO {
            return failure("persistence", ratio, &self.over_persistence);
        }
        match mean_of_known(&self.over_mean) {
            Some(ratio) if ratio >= NO_SKILL_RATIO => failure("the training mean", ratio, &self.over_mean),
            _ => None,
        }
    }

    /// Remarks on signals that the model does not predict better than persistence, or that could not be scored.
    /// `signals`: columns of the targets.
    pub fn notes(&self, data: &TrainingData, signals: &[usize]) -> Vec<Note> {
        let horizon = data.spec.horizon.to_string();
        let mut notes = Vec::new();
        let of_targets = self.over_persistence.iter().copied().zip(signals.iter().copied());
        // The error of a correct balance grows with the horizon if its inputs are random, so the
        // error one step ahead is also checked.
        let worse = self.of_equations.iter().filter(|(_, ratios)| ratios.iter().all(|r| *r >= 1.0));
        let of_equations = worse.map(|&(signal, ratios)| (Some(ratios[1]), signal));
        for (ratio, signal) in of_targets.chain(of_equations) {
            let name = data.name(signal);
            match ratio {
                None if varies(data, signal) => notes.push(Note::new(
                    NoteKind::Unscored,
                    format!(
                        "the forecast of `{name}` {horizon} ahead could not be compared with persistence, which has no \
                         error, because the values of the signal are exactly the same {horizon} earlier, as if it only \
                         followed a timetable"
                    ),
                )),
                None => notes.push(Note::new(
                    NoteKind::Unscored,
                    format!(
                        "the forecast of `{name}` {horizon} ahead could not be scored, because the signal is not \
                         measured or never changes"
                    ),
                )),
                Some(ratio) if ratio >= 1.0 => notes.push(Note::new(
                    NoteKind::NoSkill,
                    format!(
                        "the model does not predict `{name}` better than persistence {horizon} ahead on the hold-out \
                         (its error is {ratio:.2} times that of persistence). Do not base decisions on this signal"
                    ),
                )),
                Some(_) => {}
            }
        }
        notes
    }
}

/// Names the signals without skill, starting with the worst. If other signals have skill, also
/// states how to leave out the signals without skill. `ratios`: the error of each target relative
/// to a baseline.
fn failed(data: &TrainingData, signals: &[usize], ratios: &[Option<f64>]) -> String {
    let known = || ratios.iter().zip(signals).filter_map(|(r, s)| Some(((*r)?, data.name(*s))));
    let mut without: Vec<(f64, &str)> = known().filter(|(r, _)| *r >= NO_SKILL_RATIO).collect();
    if known().count() < 2 || without.is_empty() {
        return String::new();
    }
    without.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown: Vec<String> = without.iter().map(|(ratio, name)| format!("`{name}` ({ratio:.2})")).collect();
    let help = if without.len() < known().count() {
        let names: Vec<String> = without.iter().map(|(_, name)| format!("`{name}`")).collect();
        format!("; the other signals can be predicted, so delete the lines of {} in `signals`", some(&names))
    } else {
        String::new()
    };
    format!(", without skill for {}{help}", some(&shown))
}

/// Returns true if the signal has at least two different values on the hold-out.
fn varies(data: &TrainingData, signal: usize) -> bool {
    let mut known =
        data.split.holdout.iter().flat_map(|r| &data.log.columns[signal][r.clone()]).filter(|v| v.is_finite());
    known.next().is_some_and(|first| known.any(|v| v != first))
}

/// Lists the first few names.
fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names[..names.len().min(MAX_NAMED)].join(", "))
}

fn mean_of_known(ratios: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = ratios.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| mean_or_zero(&known))
}

/// Remarks on 90 % intervals of the model `name` whose coverage on the hold-out is outside the acceptable range
/// (CAL-1). The coverage is checked at the first step, half the horizon and the full horizon.
pub(super) fn coverage_notes(data: &TrainingData, scores: &[ScoreRow], name: &str) -> Vec<Note> {
    let horizons = [1, data.horizon.div_ceil(2), data.horizon];
    let mut notes = Vec::new();
    for row in scores.iter().filter(|r| r.model == name && horizons.contains(&r.horizon) && r.rmse > 0.0) {
        let (low, high) = row.acceptable_coverage()[INTERVAL_90];
        if !(low..=high).contains(&row.coverage[INTERVAL_90]) {
            let text = format!(
                "the 90 % intervals of `{}` {} ahead cover {:.0} % of the hold-out measurements instead of {:.0} to \
                 {:.0} % ({:.0} independent forecasts), so the hold-out probably differs from the training period",
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
