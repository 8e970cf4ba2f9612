//! Model-predictive path integral control.

use super::search::Search;
use super::trial::{empty_plan, hold};
use super::{Plan, Planner, Problem};

/// MPPI (Williams et al. 2017) with noise smoothed over the moves (Nagabandi et al. 2019): the mean moves to the average
/// of all candidates, weighted by exp(−(cost − least cost) / λ). The plan is the best of all sequences seen, the last
/// mean among them.
#[derive(Debug, Clone, Copy)]
pub struct Mppi {
    /// Candidates per iteration.
    pub population: usize,
    pub iterations: usize,
    /// λ, in spreads of the iteration's costs (median − least).
    pub temperature: f64,
    /// Share of new noise in each move, the rest is that of the move before; 1 is white.
    pub smoothing: f64,
    /// The noise shrinks by this factor each iteration.
    pub decay: f64,
}

impl Planner for Mppi {
    fn name(&self) -> &'static str {
        "mppi"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut search = Search::new(problem, warm);
        let population = self.population.max(3);
        for iteration in 0..self.iterations.max(1) {
            search.resize(population);
            search.trial.candidates[0].clone_from(&search.mean);
            search.trial.candidates[1] = hold(problem);
            let key = problem.key.fold(iteration as u64);
            for c in 2..population {
                let stream = key.fold(c as u64);
                self.draw(problem.controls(), &search.mean, &search.deviation, &mut search.trial.candidates[c], |i| {
                    stream.normal(i as u64)
                });
            }
            search.trial.score(problem);
            if !self.average(&mut search) || (problem.late)() {
                break;
            }
            search.deviation.iter_mut().for_each(|d| *d *= self.decay);
        }
        if !(problem.late)() {
            search.trial.candidates.truncate(1);
            search.trial.candidates[0].clone_from(&search.mean);
            search.trial.score(problem);
        }
        search.trial.finish(Vec::new())
    }
}

impl Mppi {
    /// Mean + deviation × noise, which keeps variance one whatever the smoothing.
    fn draw(
        &self,
        controls: usize,
        mean: &[f64],
        deviation: &[f64],
        candidate: &mut [f64],
        normal: impl Fn(usize) -> f64,
    ) {
        let new = self.smoothing.clamp(0.01, 1.0);
        let (old, new) = (1.0 - new, (1.0 - (1.0 - new).powi(2)).sqrt());
        for i in 0..candidate.len() {
            // The candidate holds the noise first.
            candidate[i] = if i < controls { normal(i) } else { old * candidate[i - controls] + new * normal(i) };
        }
        for ((v, m), d) in candidate.iter_mut().zip(mean).zip(deviation) {
            *v = m + d * *v;
        }
    }

    /// Moves the mean; false when no candidate has a finite cost.
    fn average(&self, search: &mut Search) -> bool {
        let Search { mean, trial, .. } = search;
        let finite = trial.ranked(usize::MAX).count();
        let Some(least) = trial.ranked(1).next().map(|i| trial.costs[i]) else { return false };
        let median = trial.ranked(usize::MAX).nth(finite / 2).map_or(least, |i| trial.costs[i]);
        let size = (self.temperature * (median - least)).max(f64::MIN_POSITIVE);
        mean.fill(0.0);
        let mut sum = 0.0;
        for i in trial.ranked(usize::MAX) {
            let weight = (-(trial.costs[i] - least) / size).exp();
            sum += weight;
            mean.iter_mut().zip(&trial.candidates[i]).for_each(|(m, v)| *m += weight * v);
        }
        mean.iter_mut().for_each(|m| *m /= sum);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    #[test]
    fn smoothed_noise_keeps_its_variance() {
        let mppi = Mppi { population: 9, iterations: 1, temperature: 0.1, smoothing: 0.3, decay: 1.0 };
        let (mut square, mut product) = (0.0, 0.0);
        let draws = 20_000;
        for k in 0..draws {
            let mut x = vec![0.0; 6];
            mppi.draw(1, &[0.0; 6], &[2.0; 6], &mut x, |i| Key::new(k).normal(i as u64));
            square += x[5] * x[5];
            product += x[5] * x[4];
        }
        assert!((square / draws as f64 / 4.0 - 1.0).abs() < 0.05);
        assert!((product / square - 0.7).abs() < 0.03);
    }
}
