//! Fits every model of the list, scores them by multi-step open-loop error, calibrates, and picks one or refuses.
//!
//! The choice is made out of fold: each of the training blocks is forecast by models that were fitted on the others.
//! The hold-out has no part in it; what is reported, and what a refusal rests on, is measured there.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::dataset::Dataset;
use super::equations::Equations;
use super::map::{Layout, StepMap};
use super::model::{self, Regressor};
use super::response::{Moments, Response, responses};
use super::score::{Baselines, Rollouts, ScoreRow, Start, rollouts, score, scored_signals, starts, thin};
use super::split::Split;
use super::spread::{Residuals, Spread};
use super::verdict::Verdict;
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::schema::Role;
use crate::spec::{Effect, ModelSpec, TimeSpan};
use crate::trajectory::Trajectory;

/// Starts of open-loop runs on hold-out, and over all folds together.
const HOLDOUT_STARTS: usize = 600;
const FOLD_STARTS: usize = 750;
/// The steady change of a signal by one step of a control that matters, in standard deviations of the signal.
const MATERIAL: f64 = 0.05;

/// A fitted, scored and calibrated twin core.
#[derive(Debug, Clone)]
pub struct Learned {
    pub map: StepMap,
    pub spread: Spread,
    /// Of every model that was fitted, persistence included; on hold-out.
    pub scores: Vec<ScoreRow>,
    /// Of the chosen model.
    pub responses: Vec<Response>,
    /// Name of the chosen model; `equations` when there was nothing to learn.
    pub chosen: String,
    /// Why, in one sentence.
    pub reason: String,
    /// What a reader must know.
    pub notes: Vec<String>,
    pub facts: SplitFacts,
    /// Largest horizon, in steps, at which the model beats persistence on hold-out (mean over targets); a plan must not
    /// look further.
    pub reach: usize,
    /// Why nothing should be run on this model, with advice; `None` when it may be.
    pub refused: Option<String>,
}

/// What was fitted and what was held out.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitFacts {
    pub train_rows: usize,
    pub train_start: Timestamp,
    /// End of the last training row.
    pub train_end: Timestamp,
    pub holdout_rows: usize,
    pub holdout_start: Timestamp,
    pub holdout_end: Timestamp,
    /// Control horizon in steps.
    pub horizon: usize,
}

/// One model of the list: fitted on all training rows, and on all but each fold.
struct Fitted {
    name: &'static str,
    map: StepMap,
    without: Vec<StepMap>,
}

/// A fitted model with its calibrated spread and its out-of-fold score.
struct Candidate {
    name: &'static str,
    map: StepMap,
    spread: Spread,
    /// CRPS over that of persistence, mean over targets and horizons: one per fold.
    losses: Vec<f64>,
}

impl Candidate {
    /// Its name; a plant whose states are all known equations has nothing that a model of the list could be named for.
    fn label(&self) -> &'static str {
        if self.map.layout.targets.is_empty() { "equations" } else { self.name }
    }

    fn loss(&self) -> f64 {
        mean(&self.losses)
    }
}

/// Where open-loop runs start; the same for every model.
struct Grounds {
    folds: Vec<Vec<Start>>,
    holdout: Vec<Start>,
}

/// The data that every model is fitted and scored on.
struct Task<'a> {
    log: &'a Trajectory,
    equations: &'a Equations,
    spec: &'a ModelSpec,
    compute: &'a Compute,
    split: Split,
    moments: Vec<Moments>,
    horizon: usize,
}

/// Learns the plant of `log`, whose constants and derived signals are filled: see the module's head.
///
/// `effects`: (control, signal, known sign of the steady-state gain), columns of the schema. `progress` is told what
/// is being done.
///
/// # Errors
/// [`Error::Data`] when the log is too short or too broken to fit or score anything, and what the models say. A model
/// without skill is no error: see [`Learned::refused`].
pub fn learn(
    log: &Trajectory,
    equations: &Equations,
    spec: &ModelSpec,
    effects: &[(usize, usize, Effect)],
    compute: &Compute,
    progress: &dyn Fn(&str),
) -> Result<Learned> {
    let step = TimeSpan::from_ms(log.step_ms);
    let split = Split::new(log, spec, step)?;
    let moments = (0..log.schema.len()).map(|s| Moments::of(log, s, &split.train)).collect();
    let task = Task { log, equations, spec, compute, split, moments, horizon: spec.horizon.steps(step, 1) };
    let learned = Layout::new(&log.schema, spec, equations).targets.len();
    let mut names = vec![if learned > 0 { "linear" } else { "persistence" }];
    for name in &spec.choose {
        match model::NAMES.iter().find(|n| **n == name.value) {
            Some(known) if learned > 0 && *known != "persistence" && !names.contains(known) => names.push(known),
            Some(_) => {}
            // The list's own error, which names the nearest model.
            None => {
                return Err(model::decode(&name.value, &[], compute).err().unwrap_or(Error::Usage(name.value.clone())));
            }
        }
    }
    let mut grounds = None;
    let mut candidates = Vec::with_capacity(names.len());
    let mut yardstick = None;
    for name in names {
        progress(&format!("fitting {name}"));
        let fitted = task.fit(name)?;
        let grounds = grounds.get_or_insert_with(|| task.grounds(&fitted.map));
        if grounds.holdout.is_empty() {
            return Err(Error::Data(format!(
                "no row of the hold-out ({}) has a complete past of {} steps and known inputs after it, so nothing can \
                 be scored; see `inspect` for what is missing, or make `model.holdout` longer in twin.toml",
                spec.holdout.value,
                fitted.map.depth(),
            )));
        }
        progress(&format!("scoring {name}"));
        candidates.push(task.evaluate(fitted, grounds, &mut yardstick));
    }
    let (Some(grounds), Some(yardstick)) = (grounds, yardstick) else {
        return Err(Error::Internal("no model was fitted".into()));
    };
    task.finish(candidates, &grounds, &yardstick, effects, progress)
}

impl Task<'_> {
    /// Fits `name` on all training rows and, in parallel, on all but each fold.
    fn fit(&self, name: &'static str) -> Result<Fitted> {
        let layout = Layout::of(name, &self.log.schema, self.spec, self.equations);
        let data = Dataset::new(self.log, &layout, self.equations);
        let folds = &self.split.folds;
        let fit = |k: usize, hyper: &[f64]| -> Result<StepMap> {
            // Number 0 has it all; number k is without fold k − 1 and the gaps around it.
            let (train, others): (Vec<Range<usize>>, Vec<Vec<usize>>) = if k == 0 {
                (self.split.train.clone(), folds.iter().map(|f| data.rows_in(f)).collect())
            } else {
                let others = folds.iter().enumerate().filter(|(j, _)| j + 1 != k);
                let train = without(&self.split.train, &folds[k - 1], self.split.gap);
                (train, others.map(|(_, f)| data.rows_in(f)).collect())
            };
            let fit = model::Fit {
                data: &data,
                rows: &data.rows_in(&train),
                folds: &others,
                options: self.spec,
                seed: self.spec.seed.value,
                compute: self.compute,
                draft: k > 0,
                hyper,
            };
            Ok(self.map(&layout, model::fit(name, &fit)?))
        };
        let map = fit(0, &[])?;
        let hyper = map.regressor.hyper();
        let without: Result<Vec<StepMap>> = (1..=folds.len()).into_par_iter().map(|k| fit(k, &hyper)).collect();
        Ok(Fitted { name, map, without: without? })
    }

    fn map(&self, layout: &Layout, regressor: Arc<dyn Regressor>) -> StepMap {
        StepMap {
            schema: self.log.schema.clone(),
            equations: self.equations.clone(),
            layout: layout.clone(),
            regressor,
        }
    }

    /// Long horizons need fewer starts: their rollouts overlap more.
    fn grounds(&self, map: &StepMap) -> Grounds {
        let most = |starts: usize| starts.min((100_000 / self.horizon).max(100));
        let per_fold = most(FOLD_STARTS) / self.split.folds.len().max(1);
        Grounds {
            folds: self.split.folds.iter().map(|f| starts(map, self.log, f, self.horizon, per_fold)).collect(),
            holdout: starts(map, self.log, &self.split.holdout, self.horizon, most(HOLDOUT_STARTS)),
        }
    }

    /// Estimates the spread of a model out of fold, and its score. `yardstick`: the spread of persistence, made by the
    /// first model that comes along.
    fn evaluate(&self, fitted: Fitted, grounds: &Grounds, yardstick: &mut Option<Spread>) -> Candidate {
        let Fitted { name, map, without } = fitted;
        let levels: Vec<bool> = map.layout.targets.iter().map(|t| !t.is_next()).collect();
        let residuals: Vec<Residuals> = without
            .par_iter()
            .zip(&self.split.folds)
            .map(|(map, fold)| Residuals::of(map, self.log, &starts(map, self.log, fold, 1, usize::MAX)))
            .collect();
        let mut spread = Spread::of_residuals(&residuals, &levels, self.horizon);
        let runs: Vec<Rollouts> = without
            .par_iter()
            .zip(&grounds.folds)
            .map(|(map, starts)| rollouts(map, self.log, starts.clone(), self.horizon, Some(&spread)))
            .collect();
        let still: Vec<Rollouts> = runs.iter().map(Rollouts::persistence).collect();
        let signals = scored_signals(&map, self.log);
        let typical: Vec<f64> = signals.iter().map(|&s| self.moments[s].sd).collect();
        spread.calibrate(&runs, &typical);
        let yardstick = yardstick.get_or_insert_with(|| {
            let mut spread = Spread::default();
            spread.calibrate(&still, &typical);
            spread
        });
        let targets = map.layout.targets.len();
        let losses = runs
            .par_iter()
            .zip(&still)
            .filter_map(|(run, still)| relative_crps(run, &spread, still, yardstick, targets))
            .collect();
        Candidate { name, map, spread, losses }
    }

    fn finish(
        &self,
        candidates: Vec<Candidate>,
        grounds: &Grounds,
        yardstick: &Spread,
        effects: &[(usize, usize, Effect)],
        progress: &dyn Fn(&str),
    ) -> Result<Learned> {
        progress("scoring on the hold-out");
        let runs: Vec<Rollouts> = candidates
            .par_iter()
            .map(|c| rollouts(&c.map, self.log, grounds.holdout.clone(), self.horizon, Some(&c.spread)))
            .collect();
        let means: Vec<f64> = runs[0].signals.iter().map(|&s| self.moments[s].mean).collect();
        let baselines =
            Baselines { persistence: runs[0].persistence(), linear: runs[0].clone(), mean: runs[0].constant(&means) };
        let mut scores = score("persistence", &baselines.persistence, yardstick, &baselines);
        for (c, run) in candidates.iter().zip(&runs) {
            scores.extend(score(c.label(), run, &c.spread, &baselines));
        }

        let mut notes = self.inputs_that_never_moved();
        progress("step responses");
        // Only known signs need the responses of the models that do not win.
        let mut answers: Vec<Option<Vec<Response>>> = vec![None; candidates.len()];
        let mut contradictions: Vec<Vec<String>> = vec![Vec::new(); candidates.len()];
        if !effects.is_empty() {
            for (i, c) in candidates.iter().enumerate() {
                let found = responses(&c.map, self.log, &self.moments, self.horizon);
                contradictions[i] = self.contradictions(effects, &found);
                answers[i] = Some(found);
            }
        }
        let eligible: Vec<usize> = (0..candidates.len()).filter(|&i| contradictions[i].is_empty()).collect();
        let field = if eligible.is_empty() { (0..candidates.len()).collect() } else { eligible.clone() };
        let (winner, reason) = pick(&candidates, &field, &self.spec.horizon.to_string());
        for (c, found) in candidates.iter().zip(&contradictions) {
            notes.extend(found.iter().map(|f| format!("{} contradicts a known effect: {f}", c.name)));
        }

        let targets = candidates[winner].map.layout.targets.len();
        let verdict = Verdict::of(&runs[winner], &baselines, targets, self.horizon);
        notes.extend(self.weak_targets(&verdict, &runs[winner]));
        notes.extend(self.miscovered(&scores, candidates[winner].label()));
        let refused = if eligible.is_empty() {
            Some(self.refusal_by_effects(&contradictions[winner], candidates[winner].name))
        } else {
            verdict.refusal(candidates[winner].name, &self.spec.horizon.to_string())
        };

        let chosen = candidates.into_iter().nth(winner).map(|c| (c.label(), c));
        let Some((label, Candidate { map, mut spread, .. })) = chosen else {
            return Err(Error::Internal("the chosen model is gone".into()));
        };
        progress("calibrating the spread");
        let some: Vec<Start> = thin(&grounds.folds.concat(), 24);
        spread.inflate(&map, self.log, &some, 32, Key::new(self.spec.seed.value).fold(0x7370_7265_6164));
        let responses =
            answers[winner].take().unwrap_or_else(|| responses(&map, self.log, &self.moments, self.horizon));
        Ok(Learned {
            chosen: label.to_owned(),
            map,
            spread,
            scores,
            responses,
            reason,
            notes,
            facts: self.facts(),
            reach: verdict.reach,
            refused,
        })
    }

    fn name(&self, signal: usize) -> &str {
        &self.log.schema.signals[signal].name
    }

    fn facts(&self) -> SplitFacts {
        let count = |stretches: &[Range<usize>]| stretches.iter().map(Range::len).sum();
        let first = |stretches: &[Range<usize>]| self.log.time(stretches.first().map_or(0, |r| r.start));
        let end = |stretches: &[Range<usize>]| self.log.time(stretches.last().map_or(0, |r| r.end));
        let Split { train, holdout, .. } = &self.split;
        SplitFacts {
            train_rows: count(train),
            train_start: first(train),
            train_end: end(train),
            holdout_rows: count(holdout),
            holdout_start: first(holdout),
            holdout_end: end(holdout),
            horizon: self.horizon,
        }
    }

    fn inputs_that_never_moved(&self) -> Vec<String> {
        let still = |c: &usize| !self.moments[*c].moves();
        let controls = self.log.schema.with_role(Role::Control).into_iter();
        controls
            .filter(still)
            .map(|c| {
                format!(
                    "`{}` never moved in the training rows: its effect cannot be learned, and no result for another \
                     value of it can be trusted",
                    self.name(c)
                )
            })
            .collect()
    }

    /// Known signs that the steady-state gains clearly deny.
    fn contradictions(&self, effects: &[(usize, usize, Effect)], found: &[Response]) -> Vec<String> {
        let mut denied = Vec::new();
        for &(control, signal, effect) in effects {
            let Some(r) = found.iter().find(|r| r.control == control && r.signal == signal) else { continue };
            if (r.gain * r.step).abs() < MATERIAL * self.moments[signal].sd {
                continue;
            }
            let (up, down) = (r.gain_low > 0.0, r.gain_high < 0.0);
            let (wrong, known) = match effect {
                Effect::Up => (down, "raises it"),
                Effect::Down => (up, "lowers it"),
                Effect::None => (up || down, "has no effect"),
            };
            if wrong {
                denied.push(format!(
                    "`{}` on `{}`: it {known}, and the model's steady-state gain is {:.3} ({:.3} to {:.3} over its members)",
                    self.name(control),
                    self.name(signal),
                    r.gain,
                    r.gain_low,
                    r.gain_high,
                ));
            }
        }
        denied
    }

    fn refusal_by_effects(&self, contradictions: &[String], name: &str) -> String {
        format!(
            "every model contradicts what is known of the plant; {name}, the best of them: {}. In a log made under \
             feedback a control often follows its effect: use a stretch in which operators moved it by themselves, fewer \
             `model.lags`, or name the disturbance that both follow; if the sign itself is wrong, change `effects` in \
             twin.toml",
            contradictions.join("; "),
        )
    }

    fn weak_targets(&self, verdict: &Verdict, run: &Rollouts) -> Vec<String> {
        let ahead = self.spec.horizon.to_string();
        let mut notes = Vec::new();
        for (k, ratio) in verdict.to_persistence.iter().enumerate() {
            let name = self.name(run.signals[k]);
            match ratio {
                None => notes.push(format!("`{name}` could not be scored {ahead} ahead: it is not measured, or never moves")),
                Some(ratio) if *ratio >= 1.0 => notes.push(format!(
                    "`{name}` is not predicted better than by persistence {ahead} ahead on hold-out ({ratio:.2} times its \
                     error): do not base decisions on it"
                )),
                Some(_) => {}
            }
        }
        notes
    }

    /// 90 % intervals that hold far fewer or more of the hold-out than they should.
    fn miscovered(&self, scores: &[ScoreRow], name: &str) -> Vec<String> {
        let rows = scores.iter().filter(|r| r.model == name && r.horizon == self.horizon);
        rows.filter(|r| !(0.8..=0.98).contains(&r.coverage[2]))
            .map(|r| {
                format!(
                    "90 % intervals of `{}` hold {:.0} % of the hold-out {} ahead: the hold-out differs from the training \
                     time",
                    self.name(r.signal),
                    100.0 * r.coverage[2],
                    self.spec.horizon.value,
                )
            })
            .collect()
    }
}

/// `stretches` without `cut` and `gap` rows on both sides of it.
fn without(stretches: &[Range<usize>], cut: &[Range<usize>], gap: usize) -> Vec<Range<usize>> {
    let mut left = stretches.to_vec();
    for c in cut {
        let (from, to) = (c.start.saturating_sub(gap), c.end + gap);
        left = left
            .into_iter()
            .flat_map(|s| [s.start..s.end.min(from.max(s.start)), s.start.max(to.min(s.end))..s.end])
            .filter(|s| !s.is_empty())
            .collect();
    }
    left
}

/// Mean over targets of CRPS over that of persistence, each summed over horizons; `None` when nothing was measured.
fn relative_crps(run: &Rollouts, spread: &Spread, still: &Rollouts, yardstick: &Spread, targets: usize) -> Option<f64> {
    let total = |run: &Rollouts, spread: &Spread, k: usize| -> f64 {
        (1..=run.horizon).flat_map(|h| run.pairs(k, h).map(move |(_, p, m)| spread.crps(k, h, m - p))).sum()
    };
    let ratios: Vec<f64> = (0..targets)
        .map(|k| (total(run, spread, k), total(still, yardstick, k)))
        .filter(|(_, reference)| *reference > 0.0)
        // One signal that persistence predicts all but exactly must not decide alone.
        .map(|(own, reference)| (own / reference).min(5.0))
        .collect();
    (!ratios.is_empty()).then(|| mean(&ratios))
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The winner among `field` and why. The first candidate, linear, is the simplest: another must be better by more than
/// one percent, and than one standard error of the paired difference over the folds.
fn pick(candidates: &[Candidate], field: &[usize], ahead: &str) -> (usize, String) {
    let best = field.iter().copied().min_by(|&a, &b| candidates[a].loss().total_cmp(&candidates[b].loss()));
    let best = best.unwrap_or(0);
    let describe = |c: &Candidate| format!("{} {:.3}", c.name, c.loss());
    let list: Vec<String> = field.iter().map(|&i| describe(&candidates[i])).collect();
    let measure = format!("out-of-fold CRPS up to {ahead} relative to persistence: {}", list.join(", "));
    if candidates[best].map.layout.targets.is_empty() {
        return (best, "every state is a known equation; nothing is learned".into());
    }
    if best == 0 || !field.contains(&0) {
        return (best, format!("{} has the best {measure}", candidates[best].name));
    }
    let (linear, other) = (&candidates[0], &candidates[best]);
    let gains: Vec<f64> = linear.losses.iter().zip(&other.losses).map(|(l, o)| l - o).collect();
    let n = gains.len() as f64;
    let gain = mean(&gains);
    let variance = gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    if gain > (variance / n).sqrt() && gain > 0.01 * linear.loss() {
        (best, format!("{} has the best {measure}", other.name))
    } else {
        (0, format!("{} is not measurably better than linear, which is simpler; {measure}", other.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_cut_out_with_its_gaps() {
        assert_eq!(without(&[0..100, 120..200], &[40..60, 60..61], 5), [0..35, 66..100, 120..200]);
        assert_eq!(without(&[0..100, 120..200], &[90..100, 120..130], 5), [0..85, 135..200]);
        assert_eq!(without(&[0..10, 50..60], &[2..8, 45..58], 5), Vec::<Range<usize>>::new());
    }
}
