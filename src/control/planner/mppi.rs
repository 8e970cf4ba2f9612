//! Model-predictive path integral control (MPPI: Williams et al. 2017).
//!
//! The algorithm repeats the following steps `iterations` times (default 4; not tuned):
//! 1. Draw `population` sequences μ + σ ε (default 64; not tuned). The noise is smoothed over the moves (Nagabandi et
//!    al. 2019): εₖ = (1 − s) εₖ₋₁ + √(1 − (1 − s)²) nₖ with s = `smoothing` (default 0.6; not tuned). The candidates
//!    also include μ and the sequence that holds the controls.
//! 2. Set μ to the weighted mean of all candidates, with weights exp(−(J − J_min) / λ) and λ = `temperature` × (median
//!    J − J_min). The default of `temperature` is 0.1 (not tuned).
//! 3. Multiply σ by `decay` (default 0.8; not tuned).
//!
//! The plan is the evaluated sequence with the lowest cost. The final mean μ is evaluated as well.

use super::candidates::{empty_plan, hold_sequence};
use super::problem::{Plan, Planner, Problem};
use super::sampler::Sampler;

/// Model-predictive path integral control.
#[derive(Debug, Clone, Copy)]
pub struct Mppi {
    /// Candidates per iteration.
    pub population: usize,
    pub iterations: usize,
    /// λ, relative to the spread of the costs in an iteration (median − minimum).
    pub temperature: f64,
    /// Smoothing parameter s: the noise of each move contains the noise of the previous move with weight 1 − s. If s
    /// is 1, the noise is white.
    pub smoothing: f64,
    /// Factor by which the standard deviation is multiplied after each iteration.
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
        let mut sampler = Sampler::new(problem, warm);
        let population = self.population.max(3);
        for iteration in 0..self.iterations.max(1) {
            sampler.resize(population);
            sampler.batch.candidates[0].clone_from(&sampler.mean);
            sampler.batch.candidates[1] = hold_sequence(problem);
            let key = problem.key.fold(iteration as u64);
            for c in 2..population {
                let stream = key.fold(c as u64);
                self.draw(
                    problem.controls(),
                    &sampler.mean,
                    &sampler.deviation,
                    &mut sampler.batch.candidates[c],
                    |i| stream.normal(i as u64),
                );
            }
            sampler.batch.score(problem);
            if !self.update_mean(&mut sampler) || (problem.out_of_time)() {
                break;
            }
            sampler.deviation.iter_mut().for_each(|d| *d *= self.decay);
        }
        if !(problem.out_of_time)() {
            sampler.batch.candidates.truncate(1);
            sampler.batch.candidates[0].clone_from(&sampler.mean);
            sampler.batch.score(problem);
        }
        sampler.batch.into_plan(Vec::new())
    }
}

impl Mppi {
    /// Writes mean + deviation × noise to `candidate`. The noise has unit variance for every value of `smoothing`.
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
            // `candidate` temporarily stores the noise.
            candidate[i] = if i < controls { normal(i) } else { old * candidate[i - controls] + new * normal(i) };
        }
        for ((v, m), d) in candidate.iter_mut().zip(mean).zip(deviation) {
            *v = m + d * *v;
        }
    }

    /// Sets the mean to the weighted mean of the candidates. Returns false if no candidate has a finite cost.
    fn update_mean(&self, sampler: &mut Sampler) -> bool {
        let Sampler { mean, batch, .. } = sampler;
        let finite = batch.ranked(usize::MAX).count();
        let Some(least) = batch.ranked(1).next().map(|i| batch.costs[i]) else { return false };
        let median = batch.ranked(usize::MAX).nth(finite / 2).map_or(least, |i| batch.costs[i]);
        let lambda = (self.temperature * (median - least)).max(f64::MIN_POSITIVE);
        mean.fill(0.0);
        let mut sum = 0.0;
        for i in batch.ranked(usize::MAX) {
            let weight = (-(batch.costs[i] - least) / lambda).exp();
            sum += weight;
            mean.iter_mut().zip(&batch.candidates[i]).for_each(|(m, v)| *m += weight * v);
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
    fn smoothed_noise_has_unit_variance() {
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
