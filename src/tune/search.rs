//! The search: model and lags first, then one setting after the other.

use rayon::prelude::*;

use super::Ground;
use super::loops::{Loops, Outcome};
use super::players::Players;
use crate::error::{Error, Result};
use crate::scenario::results::{Setting, Trial, Tuned};
use crate::spec::TimeSpan;

/// The control horizon is divided by these.
const PARTS: [usize; 3] = [1, 2, 4];
/// Free moves.
const MOVES: [usize; 3] = [12, 6, 3];
/// Gains of the estimate of the model's bias.
const CORRECTIONS: [f64; 3] = [0.1, 0.0, 0.3];

/// Runs of every model, after which the worse half is out.
const HEATS: usize = 2;
/// Models that stay in, at least.
const FINALISTS: usize = 3;
/// Standard errors by which a setting must do better than the one that stands.
const SURE: f64 = 2.0;

/// Tries what `ground` leaves open and tells what is best; `None` when the log is too short for closed loops on both of its
/// halves. `tell` hears what is being done.
///
/// # Errors
/// Faults of the `[mpc]` table.
pub fn tune(ground: &Ground, tell: &dyn Fn(&str)) -> Result<Option<Tuned>> {
    let step = TimeSpan::from_ms(ground.log.step_ms);
    tell("tuning plans: fitting the players");
    let players = match Players::fit(ground) {
        // halves are shorter than what is learned from in the end
        Err(Error::Data(_)) => return Ok(None),
        other => other?,
    };
    let (horizon, moves, correction) = (&ground.mpc.horizon, &ground.mpc.moves, &ground.mpc.correction);
    let longest = horizon.as_ref().unwrap_or(&ground.model.horizon).steps(step, 1);
    let Some(loops) = Loops::new(ground, &players, longest) else { return Ok(None) };
    let most = moves.as_ref().map_or(MOVES[0], |m| m.value);
    let first = |model: &str, lags: usize| Setting {
        model: model.to_owned(),
        lags,
        horizon: longest,
        moves: most.min(longest),
        correction: correction.as_ref().map_or(CORRECTIONS[0], |c| c.value),
    };
    let mut search = Search { loops: &loops, tried: Vec::new() };
    tell("tuning plans: model and lags in closed loop");
    let models = players.planners.iter().flat_map(|m| players.lags.iter().map(|&l| first(m, l)));
    let Some(mut best) = search.race(models.collect())? else { return Ok(None) };
    // totals are over the whole horizon
    if horizon.is_none() && ground.mpc.totals.is_empty() {
        let least = ground.mpc.replan.as_ref().map_or(1, |r| r.steps(step, 1));
        tell("tuning plans: horizon in closed loop");
        let to = |parts: &usize| (longest / parts).max(least);
        best = search.better(best, |s| {
            let change = |h: usize| Setting { horizon: h, moves: most.min(h), ..s.clone() };
            PARTS.iter().map(to).map(change).collect()
        })?;
    }
    if moves.is_none() {
        tell("tuning plans: moves in closed loop");
        best = search
            .better(best, |s| MOVES.iter().map(|&m| Setting { moves: m.min(s.horizon), ..s.clone() }).collect())?;
    }
    if correction.is_none() {
        tell("tuning plans: correction in closed loop");
        best =
            search.better(best, |s| CORRECTIONS.iter().map(|&c| Setting { correction: c, ..s.clone() }).collect())?;
    }
    tell("tuning plans: testing the choice");
    let setting = search.tried[best].0.clone();
    let test = loops.run(&setting, 0..usize::MAX, true)?;
    Ok(Some(search.tell(best, setting, &test)))
}

/// What was tried so far.
struct Search<'a> {
    loops: &'a Loops<'a>,
    tried: Vec<(Setting, Outcome)>,
}

impl Search<'_> {
    /// Makes the first `runs` of each setting, as far as they are not made, in parallel; numbers of the settings.
    fn run(&mut self, settings: Vec<Setting>, runs: usize) -> Result<Vec<usize>> {
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

    /// A few runs of each of `settings`, simplest first, all runs of the better half, and the first of them that does no worse
    /// than the best; `None` when all failed.
    fn race(&mut self, settings: Vec<Setting>) -> Result<Option<usize>> {
        let mut numbers = self.run(settings, HEATS)?;
        numbers.sort_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b)));
        numbers.truncate(numbers.len().div_ceil(2).max(FINALISTS));
        let finalists = numbers.iter().map(|&i| self.tried[i].0.clone()).collect();
        let finalists = self.run(finalists, self.loops.runs())?;
        let finite = finalists.iter().copied().filter(|&i| self.mean(i).is_finite());
        let Some(best) = finite.min_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b))) else { return Ok(None) };
        Ok(finalists.into_iter().filter(|&i| !self.worse(i, best, 1.0)).min())
    }

    fn mean(&self, i: usize) -> f64 {
        self.tried[i].1.mean()
    }

    /// Whether `a` is worse than `b` by more than so many standard errors of their difference.
    fn worse(&self, a: usize, b: usize, errors: f64) -> bool {
        let gap = self.mean(a) - self.mean(b);
        !self.mean(a).is_finite() || gap > errors * self.tried[a].1.error(&self.tried[b].1)
    }

    /// The best of number `now` and its `others`, if it is surely better.
    fn better(&mut self, now: usize, others: impl Fn(&Setting) -> Vec<Setting>) -> Result<usize> {
        let numbers = self.run(others(&self.tried[now].0), self.loops.runs())?;
        let best = numbers.into_iter().min_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b)));
        Ok(best.filter(|&b| self.worse(now, b, SURE)).unwrap_or(now))
    }

    fn tell(self, best: usize, setting: Setting, test: &Outcome) -> Tuned {
        let (chosen, trials) = (&self.tried[best].1, self.tried.iter());
        let reason = format!(
            "it held up best of {} ways to plan in closed loop, on a plant that another family of models plays, fitted to \
             the other half of the log ({} runs of {} steps)",
            self.tried.len(),
            self.loops.runs(),
            self.loops.steps,
        );
        let trial = |(s, o): &(Setting, Outcome)| Trial {
            setting: s.clone(),
            runs: o.objectives.len(),
            objective: o.mean(),
            error: o.error(chosen),
        };
        Tuned {
            setting,
            reason,
            runs: self.loops.runs(),
            steps: self.loops.steps,
            trials: trials.map(trial).collect(),
            planned: test.mean(),
            logged: self.loops.logged(),
            expected: self.loops.expected(test),
        }
    }
}
