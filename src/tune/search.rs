//! Search for the best MPC settings. The model and its lags are chosen first, and then the other settings, one at a
//! time.

use rayon::prelude::*;

use super::TuningInputs;
use super::closed_loop::{ClosedLoopTests, LoopResults, Segments};
use super::pool::{ModelPool, REFERENCE_FAMILY};
use crate::config::TimeSpan;
use crate::control::mpc::{MpcSettings, ResolvedMpc, TunedMpc, TuningTrial};
use crate::error::{Error, Result};
use crate::stats::mean;

/// Numbers by which the longest horizon is divided to obtain candidate horizons (not tuned).
const HORIZON_DIVISORS: [usize; 3] = [1, 2, 4];
/// Numbers of free moves that are tried (not tuned).
const MOVES: [usize; 3] = [12, 6, 3];
/// Gains of the disturbance observer that are tried (not tuned).
const CORRECTIONS: [f64; 3] = [0.1, 0.0, 0.3];
/// Replan intervals, in steps, that are tried (not tuned).
const REPLANS: [usize; 3] = [1, 2, 4];

/// Number of runs after which the worse half of the models is dropped (not tuned).
const FIRST_RUNS: usize = 2;
/// Minimum number of models that are tested in all runs (not tuned).
const FINALISTS: usize = 3;
/// Two candidates tie if the paired difference of their objectives is at most this many standard errors. If two models
/// tie, the simpler one is chosen. If another value of a setting ties with the current value, the current value is
/// kept. The value 0.5 is not tuned; the one-standard-error rule of Breiman et al. (1984) uses the value 1.
const TIE_STANDARD_ERRORS: f64 = 0.5;
/// A new replan interval or correction is used only if its gain is at least this fraction of MPC's gain over the logged
/// operation (not tuned). Frequent replanning and the correction both compensate for model errors. The closed-loop
/// tests underestimate the benefit of such corrections, because two models differ less from each other than a model
/// differs from the real plant.
const MINIMUM_GAIN_SHARE: f64 = 0.01;

/// Chooses the settings that are not given in `inputs`. Returns `None` if the log is too short for closed-loop tests on
/// both halves, or if all candidates fail. `progress` is called with the name of each stage.
///
/// # Errors
/// Returns [`Error::Data`] if the twin's file requires a terminal cost that cannot be learned, and
/// the errors of [`crate::control::Mpc::build`].
pub fn tune(inputs: &TuningInputs, progress: &dyn Fn(&str)) -> Result<Option<TunedMpc>> {
    let step = TimeSpan::from_ms(inputs.log.step_ms);
    progress("tuning MPC: fitting the models");
    let pool = match ModelPool::fit(inputs) {
        // Each half of the log may be too short, even if the whole log is long enough.
        Err(Error::Data(_)) => return Ok(None),
        other => other?,
    };
    let ResolvedMpc { horizon, moves, correction, replan, cost_to_go, .. } = *inputs.mpc;
    let shortest_replan = replan.map_or(1, |r| r.steps(step, 1));
    let has_terminal_cost = pool.terminal_costs.iter().chain([&pool.full_terminal_cost]).all(Option::is_some);
    if cost_to_go == Some(true) && !has_terminal_cost {
        let message = "a terminal cost cannot be used, because it would explain less than half of the variance, or \
                       because the objective is not a sum over steps; remove `cost_to_go`, and use `terminal` to price \
                       the state at the end of a plan";
        return Err(Error::Data(message.into()));
    }
    // A plan must be longer than the delay after which its moves take effect.
    let delay = inputs.compiled.delays(inputs.schema, inputs.model, &[], inputs.mpc).first().copied();
    let visible = delay.map_or(1, |d| d.steps + 1);
    let effective = delay.map_or(1, |d| d.horizon());
    let model_horizon = || inputs.model.horizon.steps(step, 1).max(shortest_replan).max(effective);
    let longest = horizon.map_or_else(model_horizon, |h| h.steps(step, 1));
    let Some(loops) = ClosedLoopTests::new(inputs, &pool, longest) else { return Ok(None) };
    let most_moves = moves.unwrap_or(MOVES[0]);
    let first = |model: &str, lags: usize| MpcSettings {
        model: model.to_owned(),
        lags,
        horizon: longest,
        moves: most_moves.min(longest),
        correction: correction.unwrap_or(CORRECTIONS[0]),
        replan: shortest_replan,
        cost_to_go: cost_to_go.unwrap_or(false),
    };
    let mut search = TuningSearch { loops: &loops, candidates: Vec::new(), adjustments: Vec::new() };
    progress("tuning MPC: choosing model and lags in closed loop");
    let with_all_lags = |m: &&'static str| pool.lags.iter().map(|&l| first(m, l)).collect::<Vec<_>>();
    let adjusted = pool.controller_families.iter().copied().filter(|m| pool.has_other_plants(m));
    search.measure_difficulty(with_all_lags(&REFERENCE_FAMILY), adjusted.collect())?;
    let Some(mut best) = search.choose_model(pool.controller_families.iter().flat_map(with_all_lags).collect())? else {
        return Ok(None);
    };
    // The limits on totals apply to the whole horizon, so the horizon must not change.
    let divisors = if horizon.is_none() && inputs.mpc.totals.is_empty() { &HORIZON_DIVISORS[..] } else { &[1] };
    let terminal_costs = if cost_to_go.is_none() && has_terminal_cost { &[false, true][..] } else { &[false] };
    let horizons: Vec<(usize, bool)> =
        terminal_costs.iter().flat_map(|&c| divisors.iter().map(move |&p| (p, c))).collect();
    if horizons.len() > 1 {
        progress("tuning MPC: choosing the horizon in closed loop");
        best = search.vary(best, &horizons, 0.0, |s, (divisor, terminal_cost)| {
            let horizon = (longest / divisor).max(shortest_replan).max(visible.min(longest));
            MpcSettings { horizon, moves: most_moves.min(horizon), cost_to_go: s.cost_to_go || terminal_cost, ..s }
        })?;
    }
    if moves.is_none() {
        progress("tuning MPC: choosing the number of moves in closed loop");
        best = search.vary(best, &MOVES, 0.0, |s, m| MpcSettings { moves: m.min(s.horizon), ..s })?;
    }
    if replan.is_none() {
        progress("tuning MPC: choosing the replan interval in closed loop");
        best = search.vary(best, &REPLANS, MINIMUM_GAIN_SHARE, |s, r| MpcSettings { replan: r.min(s.horizon), ..s })?;
    }
    if correction.is_none() {
        progress("tuning MPC: choosing the correction in closed loop");
        best = search.vary(best, &CORRECTIONS, MINIMUM_GAIN_SHARE, |s, correction| MpcSettings { correction, ..s })?;
    }
    progress("tuning MPC: testing the chosen settings");
    let setting = search.setting(best);
    let test = loops.run(&setting, 0..usize::MAX, Segments::Test)?;
    Ok(Some(TunedMpc { terminal_cost: pool.full_terminal_cost.clone(), ..search.into_result(best, setting, &test) }))
}

/// Candidates that have been tested so far, and their results.
struct TuningSearch<'a> {
    loops: &'a ClosedLoopTests<'a>,
    candidates: Vec<(MpcSettings, LoopResults)>,
    /// Adjustments of the objective, `[runs]`, for each family that is not tested on the same plants as the reference
    /// family. An adjustment is the objective of the reference controller on the reference family's plants, minus the
    /// objective of the same controller on the other family's plants. The objectives of families that are
    /// tested on the same plants as the reference family are not adjusted.
    adjustments: Vec<(&'static str, Vec<f64>)>,
}

impl TuningSearch<'_> {
    /// Measures how difficult the plants for each of `families` are to control, compared with the
    /// plants for the reference family. The measurement is necessary because controllers of
    /// different families may be tested on different plants. `references` contains settings of the
    /// reference family. The best of these settings is run on all plants.
    fn measure_difficulty(&mut self, references: Vec<MpcSettings>, families: Vec<&'static str>) -> Result<()> {
        let indices = self.run(references, self.loops.runs())?;
        let Some(best) = self.best(indices.into_iter()) else { return Ok(()) };
        let (setting, own) = &self.candidates[best];
        let adjustment = |family: &'static str| {
            let there = self.loops.run_for(family, setting, 0..own.objectives.len(), Segments::Comparison)?;
            let gaps = own.objectives.iter().zip(&there.objectives).map(|(own, there)| own - there);
            Ok((family, gaps.collect::<Vec<f64>>()))
        };
        let all: Result<Vec<(&'static str, Vec<f64>)>> = families.into_par_iter().map(adjustment).collect();
        self.adjustments = all?.into_iter().filter(|(_, gaps)| gaps.iter().all(|g| g.is_finite())).collect();
        Ok(())
    }

    /// Adjusted objectives of candidate `i`: `[runs]`.
    fn objectives(&self, i: usize) -> Vec<f64> {
        let (setting, results) = &self.candidates[i];
        let adjustment = self.adjustments.iter().find(|(family, _)| *family == setting.model);
        let gap = |run: usize| adjustment.map_or(0.0, |(_, gaps)| gaps[run]);
        results.objectives.iter().enumerate().map(|(run, v)| v + gap(run)).collect()
    }

    /// Simulates the first `runs` runs of each setting in parallel, except runs that have already
    /// been simulated. Returns the indices of the candidates.
    fn run(&mut self, settings: Vec<MpcSettings>, runs: usize) -> Result<Vec<usize>> {
        let mut indices = Vec::new();
        for setting in settings {
            let index = self.candidates.iter().position(|(s, _)| *s == setting).unwrap_or(self.candidates.len());
            if index == self.candidates.len() {
                self.candidates.push((setting, LoopResults::default()));
            }
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        let more = |&i: &usize| {
            let (setting, results) = &self.candidates[i];
            let done = results.objectives.len();
            self.loops.run(setting, done..runs.max(done), Segments::Comparison)
        };
        let results: Vec<Result<LoopResults>> = indices.par_iter().map(more).collect();
        for (&i, more) in indices.iter().zip(results) {
            self.candidates[i].1.append(more?);
        }
        Ok(indices)
    }

    /// Tests all `settings` in a few runs, and then the better half in all runs. `settings` is ordered from simple to
    /// complex. Returns the first candidate that ties with the best candidate, or `None` if all
    /// candidates failed.
    fn choose_model(&mut self, settings: Vec<MpcSettings>) -> Result<Option<usize>> {
        let mut indices = self.run(settings, FIRST_RUNS)?;
        let first_mean = |i: usize| mean(&self.objectives(i)[..FIRST_RUNS.min(self.loops.runs())]);
        indices.sort_by(|&a, &b| first_mean(a).total_cmp(&first_mean(b)));
        indices.truncate(indices.len().div_ceil(2).max(FINALISTS));
        indices.sort_unstable();
        let indices = self.run(indices.iter().map(|&i| self.setting(i)).collect(), self.loops.runs())?;
        let Some(best) = self.best(indices.iter().copied()) else { return Ok(None) };
        Ok(indices.into_iter().find(|&i| self.ties(i, best)))
    }

    /// Tests one variant of candidate `current` for each of `values`, in all runs; the variants differ in one setting.
    /// Returns the best candidate, or `current` if the best candidate ties with `current` or improves on it by less
    /// than `gain_share` of the gain of `current` over the logged operation.
    fn vary<T: Copy>(
        &mut self,
        current: usize,
        values: &[T],
        gain_share: f64,
        with: impl Fn(MpcSettings, T) -> MpcSettings,
    ) -> Result<usize> {
        let settings = values.iter().map(|&v| with(self.setting(current), v)).collect();
        let indices = self.run(settings, self.loops.runs())?;
        let gain = self.loops.logged(Segments::Comparison) - self.mean(current);
        let minimum_gain = if gain.is_finite() { gain_share * gain } else { 0.0 };
        let is_kept = |best: usize| self.ties(current, best) || self.mean(current) - self.mean(best) < minimum_gain;
        Ok(self.best(indices.into_iter()).filter(|&best| !is_kept(best)).unwrap_or(current))
    }

    /// Whether candidate `a` ties with the better candidate `b`.
    fn ties(&self, a: usize, b: usize) -> bool {
        let gap = self.mean(a) - self.mean(b);
        gap.is_finite() && gap <= TIE_STANDARD_ERRORS * self.error(a, b)
    }

    /// The candidate that has the lowest mean objective; `None` if no mean is finite.
    fn best(&self, indices: impl Iterator<Item = usize>) -> Option<usize> {
        let finite = indices.filter(|&i| self.mean(i).is_finite());
        finite.min_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b)))
    }

    fn setting(&self, i: usize) -> MpcSettings {
        self.candidates[i].0.clone()
    }

    fn mean(&self, i: usize) -> f64 {
        mean(&self.objectives(i))
    }

    /// Standard error of the paired difference between two candidates, computed from the runs that both candidates
    /// completed.
    fn error(&self, a: usize, b: usize) -> f64 {
        let d: Vec<f64> = self.objectives(a).iter().zip(&self.objectives(b)).map(|(a, b)| a - b).collect();
        let (m, n) = (mean(&d), d.len() as f64);
        (d.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt()
    }

    fn into_result(self, best: usize, setting: MpcSettings, test: &LoopResults) -> TunedMpc {
        let reason = format!(
            "simplest MPC settings whose objective is within half a standard error of the best; {} combinations were \
             tested in closed loop on plant models of a different family, fitted to the other half of the log (up to \
             {} runs of {} steps)",
            self.candidates.len(),
            self.loops.runs(),
            self.loops.steps,
        );
        let trial = |i: usize| TuningTrial {
            setting: self.setting(i),
            runs: self.candidates[i].1.objectives.len(),
            objective: self.mean(i),
            error: self.error(i, best),
        };
        TunedMpc {
            setting,
            reason,
            runs: self.loops.runs(),
            steps: self.loops.steps,
            trials: (0..self.candidates.len()).map(trial).collect(),
            planned: test.mean(),
            logged: self.loops.logged(Segments::Test),
            expected: self.loops.expected(test),
            terminal_cost: None,
        }
    }
}
