//! The effects of the controls according to the model and according to the log, and the correction of simulated cases
//! for the difference between model and log.
//!
//! The effect of a control on a signal is the mean change of the signal over a window after the control is raised by
//! one unit. Let A be the average effect in the mean model, A_m the one in ensemble member m, and Ā the mean of A_m
//! over members. Let δ be the estimated error of A, with standard error s ([`crate::learn::effect_errors`]), and let Δ
//! be the filtered difference (defined below) between the control in a case and in the baseline. The difference d of
//! the signal between the case and the baseline is then corrected for every particle p, which belongs to member m:
//!
//! ```text
//! e_p(t) = d_p(t) − (A_m − Ā) Δ_p(t)
//! d_p(t) ← ē(t) + r (e_p(t) − ē(t)) + (A − Ā + δ + s z_p) Δ_p(t)
//! ```
//!
//! If several controls act on the signal, the terms with Δ are summed over them. ē is the mean over particles, z_p are
//! quantiles of Student's t in random order, and r ≥ 1 is the factor by which the members understate the spread of
//! local effects (see `learn/average_effect.rs`). The members thus determine how the effect differs between operating
//! points, and the log determines its average.
//!
//! For a slow state, the error long after a move is larger than the mean error over the window. Δ is therefore the
//! difference of the controls after a first-order filter, whose final value is the accumulation a of a constant error
//! (`learn/average_effect.rs`) and whose mean over the window is one:
//!
//! ```text
//! Δ(t) = ρ Δ(t − 1) + (1 − ρ) a (u_case(t) − u_baseline(t)),   a · mean of (1 − ρʲ) over j = 1 … H is 1
//! ```
//!
//! No correction is applied to integrating signals, to states whose known equations read a corrected signal, or to
//! signals that no control affects in the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::TimeSpan;
use crate::learn::{Contrast, EffectError, Equations, Learned, Note, NoteKind, Parts};
use crate::rng::{Key, normal_quantile};
use crate::schema::Schema;
use crate::stats::{NORMAL_95, mean, mean_and_population_sd, mean_or_zero, student_t_95};
use crate::trajectory::Trajectory;
use crate::value::json::number_or_nan;

/// Identifier of the random stream that assigns the quantiles z_p to the particles.
const STREAM: u64 = 0x6566_6665_6374;

/// Errors up to this fraction of the modelled effect are not reported (not tuned). Savings are corrected even for
/// errors that are too small to be reported.
const RELEVANT: f64 = 0.1;
/// A result that depends on an uncorrected effect is not trusted if the effects in the model and in the log differ by
/// more than this fraction of the larger effect (not tuned).
const MAX_ERROR: f64 = 0.5;

/// Minimum fraction of an effect that remains long after a move, for its sign to be known (not tuned).
const MIN_REMAINING: f64 = 0.25;

/// The effect of a control on a signal: the mean change of the signal over a window after the control is raised by one
/// unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlEffect {
    pub control: String,
    pub signal: String,
    /// Unit of the effect, e.g. `degC/degC`.
    pub unit: String,
    /// Length of the window in steps and in hours.
    pub window: usize,
    pub hours: f64,
    /// Average effect in the mean model.
    pub model: f64,
    /// For each ensemble member, the deviation of its average effect from `model`.
    pub members: Vec<f64>,
    /// Factor by which the ensemble members understate how much the effect varies between operating points.
    pub inflation: f64,
    /// Error of the effect in the model: the effect in the log minus `model`.
    pub error: f64,
    /// Standard error of `error`.
    #[serde(deserialize_with = "number_or_nan")]
    pub se: f64,
    /// Effective number of independent blocks of time in which the control moved.
    pub blocks: f64,
    /// The error of the signal long after a move, divided by its mean over the window. `None` if the signal integrates,
    /// in which case simulated savings are not corrected.
    pub accumulation: Option<f64>,
    /// Two parts of the log in which the effect differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contrast: Option<EffectContrast>,
    /// The time in hours after a move up to which the log shows the effect with sufficient precision. `None` if the
    /// control seldom stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_hours: Option<f64>,
}

/// Two parts of the log, or two times after a move, at which the effect of a control differs by more than chance
/// explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectContrast {
    /// The effects in the two parts.
    pub effects: [f64; 2],
    /// The local date from which the second effect holds; `None` if the parts are small and large moves.
    pub since: Option<String>,
    /// The size that separates small from large moves, in the unit of the control.
    pub size: Option<f64>,
    /// If the effects are those long after a move, in the model and in the log: the number of hours after the move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_hours: Option<f64>,
    /// Whether the first effect is that right after the moves, and the second one that over longer stretches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_slow: bool,
}

impl EffectContrast {
    /// `date` returns the local date of a row of the log.
    fn new(found: &Contrast, step: TimeSpan, date: &dyn Fn(usize) -> String) -> Self {
        let mut out = Self { effects: found.effects, since: None, size: None, after_hours: None, is_slow: false };
        match found.parts {
            Parts::Time(row) => out.since = Some(date(row)),
            Parts::Size(size) => out.size = Some(size),
            Parts::Slow => out.is_slow = true,
            Parts::Later(steps) => out.after_hours = Some(steps as f64 * step.seconds() / 3600.0),
        }
        out
    }

    /// A clause that describes the difference for the effect `of`.
    pub fn clause(&self, of: &ControlEffect) -> String {
        let ControlEffect { control, signal, unit, .. } = of;
        let [first, second] = self.effects.map(|e| format!("{e:.3} {unit}"));
        let parts = match (&self.since, self.size, self.after_hours) {
            (Some(since), ..) => format!("{first} until {since}, and {second} since then"),
            (_, Some(size), _) => format!("{first} for moves by less than {size:.3}, and {second} for larger moves"),
            (.., Some(hours)) => {
                format!("about {second} more than {hours:.3} h after a move, instead of {first} as in the model")
            }
            _ => format!("{first} right after a move, and {second} over longer stretches"),
        };
        format!("in the log, the effect of `{control}` on `{signal}` is {parts}")
    }

    /// Whether even the sign or the rough size of a saving is unknown. An effect that is only larger or smaller long
    /// after a move than in the model keeps its sign.
    pub fn is_decisive(&self) -> bool {
        self.after_hours.is_none() || self.effects[1] / self.effects[0] < MIN_REMAINING
    }
}

impl ControlEffect {
    /// `date` returns the local date of a row of the log. `None` if the effect in the model is not finite.
    pub fn new(
        found: &EffectError,
        learned: &Learned,
        schema: &Schema,
        step: TimeSpan,
        date: &dyn Fn(usize) -> String,
    ) -> Option<Self> {
        let unit = |s: usize| change_unit(&schema.signals[s].unit.text).to_owned();
        let average = &found.average;
        Some(Self {
            control: schema.signals[average.control].name.clone(),
            signal: schema.signals[average.signal].name.clone(),
            unit: match unit(average.control) {
                control if control.contains('/') => format!("{}/({control})", unit(average.signal)),
                control => format!("{}/{control}", unit(average.signal)),
            },
            window: learned.split.horizon,
            hours: learned.split.horizon as f64 * step.seconds() / 3600.0,
            model: average.mean,
            members: average.members.iter().map(|m| m - average.mean).collect(),
            inflation: average.inflation,
            error: found.error,
            se: found.se,
            blocks: found.blocks,
            accumulation: found.accumulation,
            contrast: found.contrast.as_ref().map(|c| EffectContrast::new(c, step, date)),
            shown_hours: found.shown.map(|steps| steps as f64 * step.seconds() / 3600.0),
        })
        .filter(|e| e.members.iter().chain([&e.model]).all(|v| v.is_finite()))
    }

    /// Half the width of the 90 % interval of the effect in the log.
    pub fn half_width(&self) -> f64 {
        student_t_95(self.blocks - 1.0) * self.se
    }

    /// Whether the effect in the model is consistent with the log, given the standard error and the ensemble spread.
    pub fn agrees(&self) -> bool {
        let (_, sd) = mean_and_population_sd(self.members.iter().copied());
        let sd = if sd.is_finite() { sd } else { 0.0 };
        let error = self.error.abs();
        error <= RELEVANT * self.model.abs() || error <= self.half_width().hypot(NORMAL_95 * sd)
    }

    /// Whether the log contradicts the effect in the model by more than [`MAX_ERROR`], and simulations are not
    /// corrected for the difference.
    pub fn is_contradicted(&self) -> bool {
        let larger = self.model.abs().max((self.model + self.error).abs());
        self.accumulation.is_none() && !self.agrees() && self.error.abs() > MAX_ERROR * larger
    }

    /// A remark on an effect that the log contradicts.
    pub fn note(&self) -> Option<Note> {
        if self.agrees() {
            return None;
        }
        let Self { control, signal, unit, hours, model, .. } = self;
        let (effect, half) = (self.model + self.error, self.half_width());
        let used = if self.accumulation.is_some() {
            "Savings are corrected for this model error"
        } else {
            "Savings are not corrected"
        };
        Some(Note::new(
            NoteKind::Effect,
            format!(
                "According to the log, `{control}` changes `{signal}` by {effect:.3} ± {half:.3} {unit} on average over \
                 {hours:.3} h, but the model predicts {model:.3}. {used}"
            ),
        ))
    }
}

/// The unit of a change in a signal, e.g. kelvins for a temperature in degrees Celsius.
pub fn change_unit(unit: &str) -> &str {
    if unit == "degC" { "K" } else { unit }
}

/// Corrects the trajectory of a case for the errors of the `effects`, and computes its derived signals again.
pub fn correct(
    case: &mut Trajectory,
    baseline: &Trajectory,
    effects: &[ControlEffect],
    equations: &Equations,
    key: Key,
) {
    let mut signals: BTreeMap<usize, Vec<Correction>> = BTreeMap::new();
    // A target that no input affects in the model, such as independent demand, does not react to a control.
    let reacts = |e: &&ControlEffect| e.model != 0.0 || e.members.iter().any(|m| *m != 0.0);
    for (number, effect) in effects.iter().enumerate().filter(|(_, e)| reacts(e)) {
        let find = |name: &str| case.schema.find(name);
        let found = (find(&effect.control), find(&effect.signal), effect.accumulation);
        if let (Some(control), Some(signal), Some(accumulation)) = found {
            let key = key.fold(STREAM).fold(number as u64);
            let correction = Correction::new(effect, control, accumulation, case.particles, key);
            signals.entry(signal).or_default().push(correction);
        }
    }
    for (&signal, corrections) in &mut signals {
        let inflation = corrections.iter().fold(1.0, |r: f64, c| r.max(c.inflation));
        for t in 0..case.steps {
            corrections.iter_mut().for_each(|c| c.advance(case.at(c.control, t), baseline.at(c.control, t)));
            let sum = |of: fn(&Correction, usize) -> f64, p: usize| corrections.iter().map(|c| of(c, p)).sum::<f64>();
            let before = baseline.at(signal, t);
            let change = case.at(signal, t).iter().zip(before).map(|(y, b)| y - b);
            let local: Vec<f64> =
                change.enumerate().map(|(p, d)| d - sum(|c, p| c.members[p] * c.moves[p], p)).collect();
            let center = mean(&local);
            let corrected: Vec<f64> = (0..case.particles)
                .map(|p| {
                    let spread = inflation * (local[p] - center);
                    before[p] + center + spread + sum(|c, p| c.errors[p] * c.moves[p], p)
                })
                .collect();
            case.at_mut(signal, t).copy_from_slice(&corrected);
        }
    }
    equations.update_derived(case, &signals.into_keys().collect::<Vec<_>>());
}

/// The correction of one effect.
struct Correction {
    control: usize,
    inflation: f64,
    /// Average effect in the member of each particle, minus the mean over members: `[particles]`.
    members: Vec<f64>,
    /// Error of the effect: `[particles]`.
    errors: Vec<f64>,
    /// Δ: the filtered difference of the control: `[particles]`.
    moves: Vec<f64>,
    /// Factor a and decay ρ of the filter.
    accumulation: f64,
    decay: f64,
}

impl Correction {
    fn new(effect: &ControlEffect, control: usize, accumulation: f64, particles: usize, key: Key) -> Self {
        let of_members = mean_or_zero(&effect.members);
        // The draws are normal, but their 5th and 95th percentiles are those of Student's t.
        let sd = effect.half_width() / NORMAL_95;
        let count = effect.members.len().max(1);
        Self {
            control,
            inflation: effect.inflation,
            members: (0..particles).map(|p| effect.members.get(p % count).map_or(0.0, |m| m - of_members)).collect(),
            errors: shuffled_quantiles(particles, key).iter().map(|z| effect.error - of_members + sd * z).collect(),
            moves: vec![0.0; particles],
            accumulation,
            decay: decay(accumulation, effect.window),
        }
    }

    /// Advances the filtered difference of the control by one step.
    fn advance(&mut self, case: &[f64], baseline: &[f64]) {
        for (m, (u, b)) in self.moves.iter_mut().zip(case.iter().zip(baseline)) {
            *m = self.decay * *m + (1.0 - self.decay) * self.accumulation * (u - b);
        }
    }
}

/// The decay ρ of a filter whose step response a (1 − ρʲ) has the mean 1 over j = 1 … `window`.
fn decay(accumulation: f64, window: usize) -> f64 {
    let mean_over_window = |rho: f64| {
        let n = window.max(1) as f64;
        accumulation * (1.0 - rho * (1.0 - rho.powf(n)) / (n * (1.0 - rho)))
    };
    let (mut low, mut high) = (0.0, 1.0 - 1e-9);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if mean_over_window(middle) > 1.0 { low = middle } else { high = middle }
    }
    low
}

/// Quantiles of the standard normal distribution at the probabilities 1/(n + 1) … n/(n + 1), in random order.
fn shuffled_quantiles(n: usize, key: Key) -> Vec<f64> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|p| (key.bits(*p as u64), *p));
    let mut quantiles = vec![0.0; n];
    for (rank, p) in order.into_iter().enumerate() {
        quantiles[p] = normal_quantile((rank + 1) as f64 / (n + 1) as f64);
    }
    quantiles
}

#[cfg(test)]
#[path = "../../tests/unit/scenario/effect.rs"]
mod tests;
