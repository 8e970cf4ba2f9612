//! The improved cross-entropy method (iCEM: Pinneri et al. 2020).
//!
//! The method differs from CEM in the following ways:
//! 1. The noise is coloured: its power spectral density is proportional to 1/f^β (`beta`, default 2.5, in the range of
//!    the paper). Coloured noise excites slow plants long enough for them to respond.
//! 2. A fraction `keep` of the elites (default 0.3, as in the paper) is reused in the next iteration and, shifted in
//!    time, in the next plan.
//! 3. The population is divided by `decay` (default 1.25, as in the paper) after each iteration, but is at least twice
//!    the number of elites.
//! 4. The mean is a candidate in the first and in the last iteration.
//!
//! The other defaults are a population of 64 and 4 iterations (not tuned), an elite fraction of 10 % and a smoothing
//! factor of 0.1 (as in CEM).

use std::f64::consts::PI;

use super::candidates::{empty_plan, hold_sequence};
use super::problem::{Plan, Planner, Problem};
use super::sampler::{Sampler, elite_count};
use crate::rng::Key;

/// The improved cross-entropy method.
#[derive(Debug, Clone, Copy)]
pub struct Icem {
    /// Number of candidates in the first iteration.
    pub population: usize,
    /// Elite fraction: the fraction of the candidates to which the distribution is fitted.
    pub elites: f64,
    pub iterations: usize,
    /// Weight of the previous mean and variance.
    pub smoothing: f64,
    /// Exponent β of the power spectral density 1/f^β of the noise.
    pub beta: f64,
    /// Factor by which the population is divided after each iteration.
    pub decay: f64,
    /// Fraction of the elites that is reused in the next iteration and in the next plan.
    pub keep: f64,
}

impl Planner for Icem {
    fn name(&self) -> &'static str {
        "icem"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut sampler = Sampler::new(problem, warm);
        let mut noise = ColouredNoise::new(problem.moves, self.beta);
        let population = self.population.max(2);
        let elites = elite_count(self.elites, population);
        let reused = ((self.keep * elites as f64).ceil() as usize).min(elites);
        let mut carried = warm.map_or_else(Vec::new, |w| self.reuse_elites(&w.memory, reused, &sampler, problem));
        let last = self.iterations.max(1) - 1;
        for iteration in 0..=last {
            let shrunk = population as f64 * self.decay.max(1.0).powi(-(iteration as i32));
            let mut first = std::mem::take(&mut carried);
            if iteration == 0 {
                first.push(hold_sequence(problem));
            }
            if iteration == 0 || iteration == last {
                first.push(sampler.mean.clone());
            }
            let n = (shrunk as usize).max(2 * elites).max(first.len());
            sampler.resize(n);
            let drawn = first.len();
            for (slot, candidate) in sampler.batch.candidates.iter_mut().zip(first) {
                *slot = candidate;
            }
            let key = problem.key.fold(iteration as u64);
            for c in drawn..n {
                noise.draw(
                    key.fold(c as u64),
                    problem.controls(),
                    &sampler.deviation,
                    &mut sampler.batch.candidates[c],
                );
                for (v, mean) in sampler.batch.candidates[c].iter_mut().zip(&sampler.mean) {
                    *v += mean;
                }
            }
            sampler.batch.score(problem);
            sampler.fit_elites(elites, self.smoothing);
            carried = sampler.batch.elites(reused).cloned().collect();
            if sampler.converged() || (problem.out_of_time)() {
                break;
            }
        }
        sampler.batch.into_plan(carried)
    }
}

impl Icem {
    /// Returns elites of the previous plan, already shifted in time. The final move of the new plan
    /// is beyond the end of the previous plan, so this move is drawn at random.
    fn reuse_elites(&self, memory: &[Vec<f64>], reused: usize, sampler: &Sampler, problem: &Problem) -> Vec<Vec<f64>> {
        let key = problem.key.fold(u64::MAX);
        let controls = problem.controls();
        let last_move = problem.len() - controls;
        let usable = memory.iter().filter(|e| e.len() == problem.len()).take(reused);
        usable
            .enumerate()
            .map(|(k, elite)| {
                let mut elite = elite.clone();
                let stream = key.fold(k as u64);
                for (i, v) in elite.iter_mut().enumerate().skip(last_move) {
                    *v = sampler.mean[i] + stream.normal(i as u64) * sampler.initial_deviation[i];
                }
                elite
            })
            .collect()
    }
}

/// Noise over the moves with a power spectral density ∝ 1/f^β and unit variance, computed as a sum of sinusoids with
/// normally distributed amplitudes (Timmer & König 1995). The constant term has the same power as the lowest frequency.
struct ColouredNoise {
    moves: usize,
    /// `[moves][terms]`.
    basis: Vec<f64>,
    terms: usize,
    amplitudes: Vec<f64>,
}

impl ColouredNoise {
    fn new(moves: usize, beta: f64) -> Self {
        let n = moves as f64;
        // The noise is the sum of a constant term, cosine and sine terms at every frequency below the Nyquist
        // frequency, and, if the length is even, a cosine term at the Nyquist frequency.
        let mut terms: Vec<(f64, f64, f64)> = vec![(1.0, 0.0, 0.0)];
        for k in 1..=moves / 2 {
            let (weight, frequency) = ((k as f64).powf(-0.5 * beta), 2.0 * PI * k as f64 / n);
            terms.push((weight, frequency, 0.0));
            if 2 * k < moves {
                terms.push((weight, frequency, -0.5 * PI));
            }
        }
        let power: f64 = terms.iter().map(|(w, _, phase)| (w * phase.cos()).powi(2)).sum();
        let size = power.sqrt().recip();
        let basis = (0..moves)
            .flat_map(|t| terms.iter().map(move |(w, f, phase)| size * w * (f * t as f64 + phase).cos()))
            .collect();
        Self { moves, basis, terms: terms.len(), amplitudes: vec![0.0; terms.len()] }
    }

    /// Writes deviation × noise to `out`, with independent noise for each control.
    fn draw(&mut self, key: Key, controls: usize, deviation: &[f64], out: &mut [f64]) {
        for c in 0..controls {
            key.fold(c as u64).fill_normal(&mut self.amplitudes);
            for t in 0..self.moves {
                let row = &self.basis[t * self.terms..(t + 1) * self.terms];
                let noise: f64 = row.iter().zip(&self.amplitudes).map(|(b, a)| b * a).sum();
                out[t * controls + c] = deviation[t * controls + c] * noise;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean power at frequency `k` and variance of random sequences of length `n`.
    fn spectrum(n: usize, beta: f64, k: usize) -> (f64, f64) {
        let mut noise = ColouredNoise::new(n, beta);
        let (mut power, mut variance) = (0.0, 0.0);
        let trials = 4000;
        for batch in 0..trials {
            let mut x = vec![0.0; n];
            noise.draw(Key::new(batch), 1, &vec![1.0; n], &mut x);
            let (mut re, mut im) = (0.0, 0.0);
            for (t, v) in x.iter().enumerate() {
                let angle = 2.0 * PI * (k * t) as f64 / n as f64;
                re += v * angle.cos();
                im += v * angle.sin();
                variance += v * v;
            }
            power += re * re + im * im;
        }
        (power / trials as f64, variance / (trials as f64 * n as f64))
    }

    #[test]
    fn noise_has_the_requested_spectrum_and_unit_variance() {
        for beta in [0.0, 2.5] {
            let ((slow, variance), (fast, _)) = (spectrum(12, beta, 1), spectrum(12, beta, 4));
            assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
            let expected = 4f64.powf(beta);
            assert!((slow / fast / expected - 1.0).abs() < 0.15, "β {beta}: {}", slow / fast);
        }
        for n in [1, 2, 3] {
            assert!((spectrum(n, 2.5, 0).1 - 1.0).abs() < 0.06);
        }
    }
}
