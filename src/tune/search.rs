//! The search: model and lags first, then one setting after the other.

use rayon::prelude::*;

use super::TuningInputs;
use super::loops::{Loops, Outcome};
use super::pool::{ModelPool, REFERENCE_FAMILY};
use crate::config::TimeSpan;
use crate::control::mpc::{MpcSettings, ResolvedMpc, TunedMpc, TuningTrial};
use crate::error::{Error, Result};
use crate::stats::mean;

/// The control horizon is divided by these.
const PARTS: [usize; 3] = [1, 2, 4];
/// Free moves.
const MOVES: [usize; 3] = [12, 6, 3];
/// Gains of the estimate of the model's bias.
const CORRECTIONS: [f64; 3] = [0.1, 0.0, 0.3];
/// Steps between plans.
const REPLANS: [usize; 3] = [1, 2, 4];

/// Runs of every model, after which the worse half is out.
const HEATS: usize = 2;
/// Models that stay in, at least.
const FINALISTS: usize = 3;
/// Standard errors of their paired difference within which two settings do alike: of models the simpler one is taken (Breiman
/// et al. 1984), of the rest the one that stands, which looks far ahead, moves often and trusts the model by nine tenths.
const ALIKE: f64 = 0.5;
/// Rarer plans or another correction must be better by this share of what plans gain over the log: what stands makes up for
/// what the models do not know of the plant, and of that a model that plays the plant shows little.
const WORTH: f64 = 0.01;

/// Tries what `ground` leaves open and tells what is best; `None` when the log is too short for closed loops on both of its
/// halves. `tell` hears what is being done.
///
/// # Errors
/// Faults of the `[mpc]` table.
pub fn tune(ground: &TuningInputs, tell: &dyn Fn(&str)) -> Result<Option<TunedMpc>> {
    let step = TimeSpan::from_ms(ground.log.step_ms);
    tell("tuning plans: fitting the players");
    let players = match ModelPool::fit(ground) {
        // halves are shorter than what is learned from in the end
        Err(Error::Data(_)) => return Ok(None),
        other => other?,
    };
    let ResolvedMpc { horizon, moves, correction, replan, cost_to_go, .. } = *ground.mpc;
    let least = replan.map_or(1, |r| r.steps(step, 1));
    let told = players.terminal_cost.iter().chain([&players.full_terminal_cost]).all(Option::is_some);
    if cost_to_go == Some(true) && !told {
        let message = "a terminal cost would explain less than half of the variance, or the objective is not a sum over \
                       steps; remove `cost_to_go`, and price what is left at the end of a plan with `terminal`";
        return Err(Error::Data(message.into()));
    }
    let own = || ground.model.horizon.steps(step, 1).max(least);
    let longest = horizon.map_or_else(own, |h| h.steps(step, 1));
    let Some(loops) = Loops::new(ground, &players, longest) else { return Ok(None) };
    let most = moves.unwrap_or(MOVES[0]);
    let first = |model: &str, lags: usize| MpcSettings {
        model: model.to_owned(),
        lags,
        horizon: longest,
        moves: most.min(longest),
        correction: correction.unwrap_or(CORRECTIONS[0]),
        replan: least,
        cost_to_go: cost_to_go.unwrap_or(false),
    };
    let mut search = Search { loops: &loops, tried: Vec::new(), handicaps: Vec::new() };
    tell("tuning plans: model and lags in closed loop");
    let all = |m: &&'static str| players.lags.iter().map(|&l| first(m, l)).collect::<Vec<_>>();
    let measured = players.planners.iter().copied().filter(|m| players.measurable(m));
    search.compare(all(&REFERENCE_FAMILY), measured.collect())?;
    let Some(mut best) = search.race(players.planners.iter().flat_map(all).collect())? else { return Ok(None) };
    // totals are over the whole horizon
    let parts = if horizon.is_none() && ground.mpc.totals.is_empty() { &PARTS[..] } else { &[1] };
    let counted = if cost_to_go.is_none() && told { &[false, true][..] } else { &[false] };
    let ways: Vec<(usize, bool)> = counted.iter().flat_map(|&c| parts.iter().map(move |&p| (p, c))).collect();
    if ways.len() > 1 {
        tell("tuning plans: horizon in closed loop");
        best = search.change(best, &ways, 0.0, |s, (parts, counted)| {
            let horizon = (longest / parts).max(least);
            MpcSettings { horizon, moves: most.min(horizon), cost_to_go: s.cost_to_go || counted, ..s }
        })?;
    }
    if moves.is_none() {
        tell("tuning plans: moves in closed loop");
        best = search.change(best, &MOVES, 0.0, |s, m| MpcSettings { moves: m.min(s.horizon), ..s })?;
    }
    if replan.is_none() {
        tell("tuning plans: time between plans in closed loop");
        best = search.change(best, &REPLANS, WORTH, |s, r| MpcSettings { replan: r.min(s.horizon), ..s })?;
    }
    if correction.is_none() {
        tell("tuning plans: correction in closed loop");
        best = search.change(best, &CORRECTIONS, WORTH, |s, correction| MpcSettings { correction, ..s })?;
    }
    tell("tuning plans: testing the choice");
    let setting = search.setting(best);
    let test = loops.run(&setting, 0..usize::MAX, true)?;
    Ok(Some(TunedMpc { terminal_cost: players.full_terminal_cost.clone(), ..search.tell(best, setting, &test) }))
}

/// What was tried so far.
struct Search<'a> {
    loops: &'a Loops<'a>,
    tried: Vec<(MpcSettings, Outcome)>,
    /// Of each family that plans for other plants than the yardstick: objective of the yardstick on its own plants less that on
    /// theirs, `[runs]`. Others are compared as they are.
    handicaps: Vec<(&'static str, Vec<f64>)>,
}

impl Search<'_> {
    /// Families plan for different plants, since none plans for itself: the best of `yardsticks`, settings of one family, tells
    /// on each of these plants how much there is to reach.
    fn compare(&mut self, yardsticks: Vec<MpcSettings>, families: Vec<&'static str>) -> Result<()> {
        let numbers = self.run(yardsticks, self.loops.runs())?;
        let Some(best) = self.least(numbers.into_iter()) else { return Ok(()) };
        let (setting, own) = &self.tried[best];
        let handicap = |family: &'static str| {
            let there = self.loops.run_for(family, setting, 0..own.objectives.len(), false)?;
            let gaps = own.objectives.iter().zip(&there.objectives).map(|(own, there)| own - there);
            Ok((family, gaps.collect::<Vec<f64>>()))
        };
        let all: Result<Vec<(&'static str, Vec<f64>)>> = families.into_par_iter().map(handicap).collect();
        self.handicaps = all?.into_iter().filter(|(_, gaps)| gaps.iter().all(|g| g.is_finite())).collect();
        Ok(())
    }

    /// Objectives of number `i`, `[runs]`, as on the plant of the yardstick.
    fn objectives(&self, i: usize) -> Vec<f64> {
        let (setting, outcome) = &self.tried[i];
        let handicap = self.handicaps.iter().find(|(family, _)| *family == setting.model);
        let gap = |run: usize| handicap.map_or(0.0, |(_, gaps)| gaps[run]);
        outcome.objectives.iter().enumerate().map(|(run, v)| v + gap(run)).collect()
    }

    /// Makes the first `runs` of each setting, as far as they are not made, in parallel; numbers of the settings.
    fn run(&mut self, settings: Vec<MpcSettings>, runs: usize) -> Result<Vec<usize>> {
        let mut numbers = Vec::new();
        for setting in settings {
            let number = self.tried.iter().position(|(s, _)| *s == setting).unwrap_or(self.tried.len());
            if number == self.tried.len() {
                self.tried.push((setting, Outcome::default()));
            }
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let more = |&i: &usize| {
            let (setting, outcome) = &self.tried[i];
            self.loops.run(setting, outcome.objectives.len()..runs.max(outcome.objectives.len()), false)
        };
        let outcomes: Vec<Result<Outcome>> = numbers.par_iter().map(more).collect();
        for (&i, more) in numbers.iter().zip(outcomes) {
            self.tried[i].1.append(more?);
        }
        Ok(numbers)
    }

    /// A few runs of each of `settings`, simplest first, of the better half all runs, and the first of them that does as well
    /// as the best; `None` when all failed.
    fn race(&mut self, settings: Vec<MpcSettings>) -> Result<Option<usize>> {
        let mut numbers = self.run(settings, HEATS)?;
        let heat = |i: usize| mean(&self.objectives(i)[..HEATS.min(self.loops.runs())]);
        numbers.sort_by(|&a, &b| heat(a).total_cmp(&heat(b)));
        numbers.truncate(numbers.len().div_ceil(2).max(FINALISTS));
        numbers.sort_unstable();
        let numbers = self.run(numbers.iter().map(|&i| self.setting(i)).collect(), self.loops.runs())?;
        let Some(best) = self.least(numbers.iter().copied()) else { return Ok(None) };
        Ok(numbers.into_iter().find(|&i| self.alike(i, best)))
    }

    /// All runs of number `now` with one thing changed to each of `values`: the best, or `now` where that does as well, or
    /// less worse than `worth`, a share of what `now` gains over the log.
    fn change<T: Copy>(
        &mut self,
        now: usize,
        values: &[T],
        worth: f64,
        to: impl Fn(MpcSettings, T) -> MpcSettings,
    ) -> Result<usize> {
        let settings = values.iter().map(|&v| to(self.setting(now), v)).collect();
        let numbers = self.run(settings, self.loops.runs())?;
        let gained = self.loops.logged(false) - self.mean(now);
        let least = if gained.is_finite() { worth * gained } else { 0.0 };
        let stays = |best: usize| self.alike(now, best) || self.mean(now) - self.mean(best) < least;
        Ok(self.least(numbers.into_iter()).filter(|&best| !stays(best)).unwrap_or(now))
    }

    /// Whether `a` does as well as the better `b`.
    fn alike(&self, a: usize, b: usize) -> bool {
        let gap = self.mean(a) - self.mean(b);
        gap.is_finite() && gap <= ALIKE * self.error(a, b)
    }

    /// The number with the least mean, as far as there is one.
    fn least(&self, numbers: impl Iterator<Item = usize>) -> Option<usize> {
        let known = numbers.filter(|&i| self.mean(i).is_finite());
        known.min_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b)))
    }

    fn setting(&self, i: usize) -> MpcSettings {
        self.tried[i].0.clone()
    }

    fn mean(&self, i: usize) -> f64 {
        mean(&self.objectives(i))
    }

    /// Standard error of the mean difference of two in the runs that both have made.
    fn error(&self, a: usize, b: usize) -> f64 {
        let d: Vec<f64> = self.objectives(a).iter().zip(&self.objectives(b)).map(|(a, b)| a - b).collect();
        let (m, n) = (mean(&d), d.len() as f64);
        (d.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt()
    }

    fn tell(self, best: usize, setting: MpcSettings, test: &Outcome) -> TunedMpc {
        let reason = format!(
            "no simpler or more usual one of {} ways to plan held up as well in closed loop, on a plant that another family \
             of models plays, fitted to the other half of the log ({} runs of {} steps)",
            self.tried.len(),
            self.loops.runs(),
            self.loops.steps,
        );
        let trial = |i: usize| TuningTrial {
            setting: self.setting(i),
            runs: self.tried[i].1.objectives.len(),
            objective: self.mean(i),
            error: self.error(i, best),
        };
        TunedMpc {
            setting,
            reason,
            runs: self.loops.runs(),
            steps: self.loops.steps,
            trials: (0..self.tried.len()).map(trial).collect(),
            planned: test.mean(),
            logged: self.loops.logged(true),
            expected: self.loops.expected(test),
            terminal_cost: None,
        }
    }
}
