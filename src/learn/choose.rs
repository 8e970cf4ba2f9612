//! Fits every model of the list, scores them by multi-step open-loop error, calibrates, and picks one or refuses.
//!
//! The choice is made out of fold: each of the training blocks is forecast by models that were fitted on the others.
//! The hold-out has no part in it; what is reported, and what a refusal rests on, is measured there.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::blend;
use super::calibrate::Calibration;
use super::dataset::Dataset;
use super::epistemic::EpistemicThresholds;
use super::equations::Equations;
use super::layout::Layout;
use super::map::StepMap;
use super::model::{self, Stack};
use super::noise_model::NoiseModel;
use super::pick::{Candidate, pick, relative_crps};
use super::regressor::{Fit, Regressor};
use super::residuals::Residuals;
use super::response::{Moments, Response, responses};
use super::rollouts::{Rollouts, rollouts};
use super::score::{Baselines, ScoreRow, score};
use super::split::Split;
use super::starts::{Start, scored_signals, starts, thin};
use super::track::Tracking;
use super::verdict::Verdict;
use crate::compute::Compute;
use crate::config::{Effect, ModelSpec, TimeSpan};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::trajectory::Trajectory;

/// Starts of open-loop runs on hold-out, and over all folds together.
const HOLDOUT_STARTS: usize = 600;
const FOLD_STARTS: usize = 750;
/// Futures per start from which the spread of simulations is told.
const FUTURES: usize = 32;

/// A fitted, scored and calibrated twin core.
#[derive(Debug, Clone)]
pub struct Learned {
    pub map: StepMap,
    pub spread: NoiseModel,
    /// The spread inflated by widths that have not seen the hold-out: with it alone a replay of that is a test.
    pub untracked: NoiseModel,
    /// Where the model's own epistemic spread says that it must not be trusted.
    pub doubt: EpistemicThresholds,
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

/// Where open-loop runs start; the same for every model.
struct Grounds {
    folds: Vec<Vec<Start>>,
    holdout: Vec<Start>,
}

/// The calibration of persistence, and how its widths have moved.
type Yardstick = (Calibration, Tracking);

/// The data that every model is fitted and scored on.
pub struct Task<'a> {
    pub log: &'a Trajectory,
    pub equations: &'a Equations,
    pub spec: &'a ModelSpec,
    pub compute: &'a Compute,
    pub split: Split,
    pub(super) moments: Vec<Moments>,
    /// Control horizon, in steps.
    pub horizon: usize,
}

/// Learns the plant of `log`, whose constants and derived signals are filled: see the module's head.
///
/// `effects`: (control, signal, known sign of the steady-state gain), columns of the schema. `wanted`: a model of the list and
/// why it is to be chosen if it contradicts none of them. `progress` is told what is being done.
///
/// # Errors
/// [`Error::Data`] when the log is too short or too broken to fit or score anything, and what the models say. A model
/// without skill is no error: see [`Learned::refused`].
pub fn learn(
    log: &Trajectory,
    equations: &Equations,
    spec: &ModelSpec,
    effects: &[(usize, usize, Effect)],
    wanted: Option<(&str, &str)>,
    compute: &Compute,
    progress: &dyn Fn(&str),
) -> Result<Learned> {
    let task = Task::new(log, equations, spec, compute)?;
    let learned = Layout::new(&log.schema, spec, equations).targets.len();
    let mut names = vec![if learned > 0 { "linear" } else { "persistence" }];
    let mut stacked = false;
    for name in &spec.choose {
        match model::NAMES.iter().find(|n| **n == name.value) {
            Some(known) if learned > 0 && *known != "persistence" && !names.contains(known) => names.push(known),
            Some(_) => {}
            None if name.value == model::STACK => stacked = learned > 0,
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
    if let (true, Some(grounds)) = (stacked && candidates.len() > 1, &grounds) {
        progress("stacking");
        candidates.push(task.evaluate(task.stack(&candidates)?, grounds, &mut yardstick));
    }
    let (Some(grounds), Some(yardstick)) = (grounds, yardstick) else {
        return Err(Error::Internal("no model was fitted".into()));
    };
    task.finish(candidates, &grounds, yardstick, effects, wanted, progress)
}

impl<'a> Task<'a> {
    /// # Errors
    /// [`Error::Data`] when the log is too short to be split.
    pub fn new(
        log: &'a Trajectory,
        equations: &'a Equations,
        spec: &'a ModelSpec,
        compute: &'a Compute,
    ) -> Result<Self> {
        let step = TimeSpan::from_ms(log.step_ms);
        let split = Split::new(log, spec, step)?;
        let moments = (0..log.schema.len()).map(|s| Moments::of(log, s, &split.train)).collect();
        Ok(Self { log, equations, spec, compute, split, moments, horizon: spec.horizon.steps(step, 1) })
    }
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
            let fit = Fit {
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

    pub(super) fn map(&self, layout: &Layout, regressor: Arc<dyn Regressor>) -> StepMap {
        StepMap {
            schema: self.log.schema.clone(),
            equations: self.equations.clone(),
            layout: layout.clone(),
            regressor,
        }
    }

    /// The stack of `candidates`: weighted by all folds, and without each fold by the others.
    fn stack(&self, candidates: &[Candidate]) -> Result<Fitted> {
        let targets = candidates[0].map.layout.targets.len();
        let stack = |left_out: Option<usize>| -> Result<StepMap> {
            let counts = |fold: &usize| Some(*fold) != left_out;
            let folds: Vec<usize> = (0..self.split.folds.len()).filter(counts).collect();
            let runs: Vec<Vec<&Rollouts>> =
                candidates.iter().map(|c| folds.iter().map(|&f| &c.runs[f]).collect()).collect();
            let part = |c: &Candidate| left_out.map_or(&c.map, |k| &c.without[k]).regressor.clone();
            let stack = Stack::new(candidates.iter().map(part).collect(), blend::weights(&runs, targets))?;
            Ok(self.map(&candidates[0].map.layout, Arc::new(stack)))
        };
        let without = (0..self.split.folds.len()).map(|k| stack(Some(k))).collect::<Result<_>>()?;
        Ok(Fitted { name: model::STACK, map: stack(None)?, without })
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

    /// Estimates the spread of a model out of fold, and its score. `yardstick`: the calibration of persistence, made by the
    /// first model that comes along, and how its widths have moved.
    fn evaluate(&self, fitted: Fitted, grounds: &Grounds, yardstick: &mut Option<Yardstick>) -> Candidate {
        let Fitted { name, map, without } = fitted;
        let levels: Vec<bool> = map.layout.targets.iter().map(|t| !t.is_next()).collect();
        let residuals: Vec<Residuals> = without
            .par_iter()
            .zip(&self.split.folds)
            .map(|(map, fold)| Residuals::of(map, self.log, &starts(map, self.log, fold, 1, usize::MAX)))
            .collect();
        let mut spread = NoiseModel::from_residuals(&residuals, &levels, self.horizon);
        let runs: Vec<Rollouts> = without
            .par_iter()
            .zip(&grounds.folds)
            .map(|(map, starts)| rollouts(map, self.log, starts.clone(), self.horizon, Some(&spread.process)))
            .collect();
        let still: Vec<Rollouts> = runs.iter().map(Rollouts::persistence).collect();
        let signals = scored_signals(&map, self.log);
        let typical: Vec<f64> = signals.iter().map(|&s| self.moments[s].sd).collect();
        spread.calibration = Calibration::of(&runs, &typical);
        spread.tracking = Tracking::of(&runs, &spread.calibration);
        let (yardstick, _) = yardstick.get_or_insert_with(|| {
            let calibration = Calibration::of(&still, &typical);
            let tracking = Tracking::of(&still, &calibration);
            (calibration, tracking)
        });
        let targets = map.layout.targets.len();
        let losses = runs
            .par_iter()
            .zip(&still)
            .filter_map(|(run, still)| relative_crps(run, &spread.calibration, still, yardstick, targets))
            .collect();
        Candidate { name, map, without, runs, spread, losses }
    }

    fn finish(
        &self,
        mut candidates: Vec<Candidate>,
        grounds: &Grounds,
        (yardstick, still): Yardstick,
        effects: &[(usize, usize, Effect)],
        wanted: Option<(&str, &str)>,
        progress: &dyn Fn(&str),
    ) -> Result<Learned> {
        progress("scoring on the hold-out");
        let runs: Vec<Rollouts> = candidates
            .par_iter()
            .map(|c| rollouts(&c.map, self.log, grounds.holdout.clone(), self.horizon, Some(&c.spread.process)))
            .collect();
        let means: Vec<f64> = runs[0].signals.iter().map(|&s| self.moments[s].mean).collect();
        let baselines =
            Baselines { persistence: runs[0].persistence(), linear: runs[0].clone(), mean: runs[0].constant(&means) };
        let widths = still.replay(&yardstick, &baselines.persistence);
        let mut scores = score("persistence", &baselines.persistence, &yardstick, &widths, &baselines);
        for (c, run) in candidates.iter_mut().zip(&runs) {
            let NoiseModel { calibration, tracking, .. } = &mut c.spread;
            // Each forecast is scored by what was known when it was made; the last state is what a simulation starts from.
            let widths = tracking.follow(calibration, run);
            scores.extend(score(c.label(), run, &c.spread.calibration, &widths, &baselines));
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
        let asked =
            wanted.and_then(|(name, why)| Some((field.iter().copied().find(|&i| candidates[i].name == name)?, why)));
        let (winner, reason) = match asked {
            Some((winner, why)) => (winner, why.to_owned()),
            None => pick(&candidates, &field, &self.spec.horizon.to_string()),
        };
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
        let Some((label, Candidate { map, without, mut spread, .. })) = chosen else {
            return Err(Error::Internal("the chosen model is gone".into()));
        };
        progress("calibrating the spread");
        let some: Vec<Start> = thin(&grounds.folds.concat(), 24);
        let mut untracked = NoiseModel { tracking: spread.tracking.before_holdout(), ..spread.clone() };
        for spread in [&mut spread, &mut untracked] {
            spread.inflate(&map, self.log, &some, FUTURES, Key::new(self.spec.seed.value).fold(0x7370_7265_6164));
        }
        let errors: Vec<f64> = (0..targets).map(|k| spread.calibration.sd_at(k, 1)).collect();
        let doubt = EpistemicThresholds::of(&without, self.log, &self.split.folds, &errors);
        notes.extend(map.regressor.note().map(|n| format!("{label}: {n}")));
        let responses =
            answers[winner].take().unwrap_or_else(|| responses(&map, self.log, &self.moments, self.horizon));
        Ok(Learned {
            chosen: label.to_owned(),
            map,
            spread,
            untracked,
            doubt,
            scores,
            responses,
            reason,
            notes,
            facts: self.facts(),
            refused,
        })
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
