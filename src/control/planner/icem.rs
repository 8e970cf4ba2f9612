//! The improved cross-entropy method.

use std::f64::consts::PI;

use super::search::{Search, elite_count};
use super::trial::{empty_plan, hold};
use super::{Plan, Planner, Problem};
use crate::rng::Key;

/// iCEM (Pinneri et al. 2020): CEM with coloured noise, so that slow plants are moved long enough to answer; elites that
/// survive from iteration to iteration and from plan to plan; a population that shrinks; and the mean as a candidate of
/// the last iteration.
#[derive(Debug, Clone, Copy)]
pub struct Icem {
    /// Candidates of the first iteration.
    pub population: usize,
    /// Share of candidates that shape the next iteration.
    pub elites: f64,
    pub iterations: usize,
    /// Weight of the last mean and variance.
    pub smoothing: f64,
    /// Power spectral density of the noise ∝ 1/f^β.
    pub beta: f64,
    /// The population shrinks by this factor each iteration.
    pub decay: f64,
    /// Share of elites kept between iterations and between plans.
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
        let mut search = Search::new(problem, warm);
        let mut noise = Noise::new(problem.moves, self.beta);
        let population = self.population.max(2);
        let elites = elite_count(self.elites, population);
        let keep = ((self.keep * elites as f64).ceil() as usize).min(elites);
        let mut kept = warm.map_or_else(Vec::new, |w| self.restart(&w.memory, keep, &search, problem));
        let last = self.iterations.max(1) - 1;
        for iteration in 0..=last {
            let shrunk = population as f64 * self.decay.max(1.0).powi(-(iteration as i32));
            let mut first = std::mem::take(&mut kept);
            if iteration == 0 {
                first.push(hold(problem));
            }
            if iteration == 0 || iteration == last {
                first.push(search.mean.clone());
            }
            let n = (shrunk as usize).max(2 * elites).max(first.len());
            search.resize(n);
            let drawn = first.len();
            for (slot, candidate) in search.trial.candidates.iter_mut().zip(first) {
                *slot = candidate;
            }
            let key = problem.key.fold(iteration as u64);
            for c in drawn..n {
                noise.draw(key.fold(c as u64), problem.controls(), &search.deviation, &mut search.trial.candidates[c]);
                for (v, mean) in search.trial.candidates[c].iter_mut().zip(&search.mean) {
                    *v += mean;
                }
            }
            search.trial.score(problem);
            search.learn(elites, self.smoothing);
            kept = search.trial.elites(keep).cloned().collect();
            if search.converged() || (problem.late)() {
                break;
            }
        }
        search.trial.finish(kept)
    }
}

impl Icem {
    /// Elites of the last plan, shifted to now; their last move, which is new, is drawn at random.
    fn restart(&self, memory: &[Vec<f64>], keep: usize, search: &Search, problem: &Problem) -> Vec<Vec<f64>> {
        let key = problem.key.fold(u64::MAX);
        let controls = problem.controls();
        let fresh = problem.len() - controls;
        let usable = memory.iter().filter(|e| e.len() == problem.len()).take(keep);
        usable
            .enumerate()
            .map(|(k, elite)| {
                let mut elite = elite.clone();
                let stream = key.fold(k as u64);
                for (i, v) in elite.iter_mut().enumerate().skip(fresh) {
                    *v = search.mean[i] + stream.normal(i as u64) * search.first[i];
                }
                elite
            })
            .collect()
    }
}

/// Noise over the moves with a power spectral density ∝ 1/f^β and variance one, as a sum of sinusoids with normal
/// amplitudes (Timmer & König 1995); the constant part is as strong as the slowest wave.
struct Noise {
    moves: usize,
    /// `[moves][waves]`.
    basis: Vec<f64>,
    waves: usize,
    amplitudes: Vec<f64>,
}

impl Noise {
    fn new(moves: usize, beta: f64) -> Self {
        let n = moves as f64;
        // Constant; cosine and sine of each frequency below Nyquist; cosine of the Nyquist frequency of even lengths.
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
        Self { moves, basis, waves: terms.len(), amplitudes: vec![0.0; terms.len()] }
    }

    /// Writes deviation × noise, independent for each control.
    fn draw(&mut self, key: Key, controls: usize, deviation: &[f64], out: &mut [f64]) {
        for c in 0..controls {
            key.fold(c as u64).fill_normal(&mut self.amplitudes);
            for t in 0..self.moves {
                let row = &self.basis[t * self.waves..(t + 1) * self.waves];
                let noise: f64 = row.iter().zip(&self.amplitudes).map(|(b, a)| b * a).sum();
                out[t * controls + c] = deviation[t * controls + c] * noise;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power at frequency `k` of `n`-long draws, and their variance.
    fn spectrum(n: usize, beta: f64, k: usize) -> (f64, f64) {
        let mut noise = Noise::new(n, beta);
        let (mut power, mut variance) = (0.0, 0.0);
        let trials = 4000;
        for trial in 0..trials {
            let mut x = vec![0.0; n];
            noise.draw(Key::new(trial), 1, &vec![1.0; n], &mut x);
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
    fn noise_has_its_colour_and_unit_variance() {
        for beta in [0.0, 2.5] {
            let ((slow, variance), (fast, _)) = (spectrum(12, beta, 1), spectrum(12, beta, 4));
            assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
            let wanted = 4f64.powf(beta);
            assert!((slow / fast / wanted - 1.0).abs() < 0.15, "β {beta}: {}", slow / fast);
        }
        for n in [1, 2, 3] {
            assert!((spectrum(n, 2.5, 0).1 - 1.0).abs() < 0.06);
        }
    }
}
