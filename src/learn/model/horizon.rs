//! Fits linear models that minimise the errors of multi-step simulations.
//!
//! One-step fits to noisy measurements underestimate the time constants of a plant (attenuation bias). This fit
//! minimises
//!
//! > Σ_j c_j mean over windows and steps of d_j(t)² + Σ_j λ_j ‖w_j‖²
//!
//! Here, d is the deviation of a simulated target from its measurement, in standardised units. Let
//! e be the one-step error, which depends, through the inputs, on earlier deviations of the states.
//! For increments of states, the deviation accumulates: d(t + 1) = d(t) + e(t). For all other
//! targets, d = e. The weight c_j is the ratio of the one-step error to the multi-step error before
//! the search, so that the relative weight of the penalty λ_j is preserved. The search uses L-BFGS
//! ([`super::lbfgs`]), with gradients from reverse-mode differentiation of the simulation. One
//! evaluation takes O(windows · length · p) operations per target.

use std::ops::Range;

use nalgebra::DVector;
use rayon::prelude::*;

use super::blocks::Blocks;
use super::feedback::{Feedback, FeedbackInput, longest_window, sequence_ends, windows};
use super::lbfgs::{self, minimise};
use crate::learn::dataset::{Dataset, Scaling};

/// Number of windows simulated together (not tuned).
const WINDOWS: usize = 64;

/// Intercept and weights of each target, for standardised columns.
pub type Solution = Vec<(f64, DVector<f64>)>;

/// The windows of the log over which a linear model is simulated.
#[derive(Debug)]
pub struct Horizon<'a> {
    data: &'a Dataset,
    x: &'a Scaling,
    y: &'a Scaling,
    inverse: [Vec<f64>; 2],
    feedback: Feedback,
    /// Change of each fed-back input per unit deviation of its state, both in standardised units.
    gain: Vec<f64>,
    length: usize,
    /// Pair (first transition, block) of each window.
    windows: Vec<(usize, usize)>,
}

impl<'a> Horizon<'a> {
    /// Divides the log into windows that overlap by half. The windows have `length` transitions, or
    /// fewer if the log has no window of that length.
    pub fn new(
        data: &'a Dataset,
        rows: &[usize],
        blocks: &Blocks,
        x: &'a Scaling,
        y: &'a Scaling,
        length: usize,
    ) -> Self {
        let ends = sequence_ends(data, rows);
        let length = longest_window(&ends, length);
        let stride = length.div_ceil(2);
        let in_block = |(b, block): (usize, &Range<usize>)| {
            windows(block.clone(), &ends, length, stride, None).map(move |i| (rows[i], b)).collect::<Vec<_>>()
        };
        let feedback = Feedback::new(&data.layout);
        let inverse = [x.inverse(), y.inverse()];
        Self {
            gain: feedback.inputs.iter().map(|f| y.sd[f.target] * inverse[0][f.input]).collect(),
            windows: blocks.ranges.iter().enumerate().flat_map(in_block).collect(),
            data,
            x,
            y,
            inverse,
            feedback,
            length,
        }
    }

    /// Minimises the simulation errors in at most `iterations` iterations, starting from `start`. `ridges`: λ of each
    /// target. `counts`: number of times each block occurs in the bootstrap sample. Returns `start` if the search finds
    /// nothing better.
    pub fn improve(
        &self,
        start: &Solution,
        ridges: &[f64],
        counts: &dyn Fn(usize) -> f64,
        iterations: u64,
    ) -> Solution {
        let drawn: Vec<(usize, f64)> =
            self.windows.iter().map(|&(row, b)| (row, counts(b))).filter(|w| w.1 > 0.0).collect();
        if drawn.is_empty() || iterations == 0 {
            return start.clone();
        }
        let weight = vec![1.0; ridges.len()];
        let mut problem = Problem { horizon: self, length: self.length, windows: &drawn, ridges, weight };
        let from = flat(start);
        let multi_step = problem.run(&from).squares;
        let one_step = Problem { length: 1, ..problem.clone() }.run(&from).squares;
        problem.weight = multi_step.iter().zip(&one_step).map(|(m, o)| if *m > 0.0 { o / m } else { 0.0 }).collect();
        let settings = lbfgs::Settings { iterations, evaluations: usize::MAX, relative_gain: None, scaled: false };
        // If the search ends before completing an iteration, the result is `start`.
        let minimum = minimise(&|p| Ok(Some(problem.value_and_gradient(p))), from.clone(), settings);
        let found = minimum.ok().flatten().and_then(|m| m.iterate).unwrap_or_else(|| from.clone());
        let cost = |p: &[f64]| problem.run(p).cost(&problem, p);
        if cost(&found) < cost(&from) { solution(&found, start.len()) } else { start.clone() }
    }

    /// Standardised input `k` of a transition.
    fn input(&self, k: usize, row: usize) -> f64 {
        (self.data.x[k][row] - self.x.mean[k]) * self.inverse[0][k]
    }

    /// Standardised target `j` of a transition.
    fn target(&self, j: usize, row: usize) -> f64 {
        (self.data.y[j][row] - self.y.mean[j]) * self.inverse[1][j]
    }
}

/// All parameters in one list: the intercept and the weights of the first target, then those of the second target, and
/// so on.
fn flat(solution: &Solution) -> Vec<f64> {
    solution.iter().flat_map(|(b, w)| std::iter::once(*b).chain(w.iter().copied())).collect()
}

fn solution(flat: &[f64], targets: usize) -> Solution {
    let width = flat.len() / targets;
    flat.chunks_exact(width).map(|p| (p[0], DVector::from_column_slice(&p[1..]))).collect()
}

/// The objective function.
#[derive(Debug, Clone)]
struct Problem<'a> {
    horizon: &'a Horizon<'a>,
    length: usize,
    /// Pair (first transition, count) of each window.
    windows: &'a [(usize, f64)],
    ridges: &'a [f64],
    /// c: `[targets]`.
    weight: Vec<f64>,
}

/// Squared deviations of a set of simulated windows, with their gradient.
struct WindowErrors {
    /// Mean squared deviation: `[targets]`.
    squares: Vec<f64>,
    /// Gradient of the weighted sum of the squared deviations.
    gradient: Vec<f64>,
}

impl WindowErrors {
    fn cost(&self, problem: &Problem, parameters: &[f64]) -> f64 {
        let width = parameters.len() / self.squares.len();
        let penalties = parameters.chunks_exact(width).zip(problem.ridges);
        let penalty: f64 = penalties.map(|(p, ridge)| ridge * p[1..].iter().map(|w| w * w).sum::<f64>()).sum();
        penalty + self.squares.iter().zip(&problem.weight).map(|(s, w)| s * w).sum::<f64>()
    }
}

impl Problem<'_> {
    /// Computes the value of the objective function and its gradient.
    fn value_and_gradient(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let errors = self.run(parameters);
        let cost = errors.cost(self, parameters);
        let mut gradient = errors.gradient;
        let width = parameters.len() / self.ridges.len();
        for ((g, p), ridge) in gradient.chunks_exact_mut(width).zip(parameters.chunks_exact(width)).zip(self.ridges) {
            add(&mut g[1..], 2.0 * ridge, &p[1..]);
        }
        (cost, gradient)
    }

    fn run(&self, parameters: &[f64]) -> WindowErrors {
        let q = self.ridges.len();
        let total: f64 = self.windows.iter().map(|w| w.1).sum::<f64>() * self.length as f64;
        let parts: Vec<WindowErrors> = self.windows.par_chunks(WINDOWS).map(|w| self.sums(w, parameters)).collect();
        let mut sum = WindowErrors { squares: vec![0.0; q], gradient: vec![0.0; parameters.len()] };
        for part in parts {
            for (s, p) in sum.squares.iter_mut().zip(&part.squares) {
                *s += p / total;
            }
            for (s, p) in sum.gradient.iter_mut().zip(&part.gradient) {
                *s += p / total;
            }
        }
        sum
    }

    /// Simulates `windows` and differentiates the simulation in reverse mode. The results are sums over the windows,
    /// not means.
    fn sums(&self, windows: &[(usize, f64)], parameters: &[f64]) -> WindowErrors {
        let Horizon { feedback, gain, .. } = self.horizon;
        let length = self.length;
        let (n, q) = (windows.len(), self.ridges.len());
        let width = parameters.len() / q;
        let p = width - 1;
        // Inputs: `[steps][inputs][windows]`. Deviations: `[steps + 1][targets][windows]`.
        let mut x = vec![0.0; length * p * n];
        let mut d = vec![0.0; (length + 1) * q * n];
        for t in 0..length {
            let x = &mut x[t * p * n..(t + 1) * p * n];
            for (k, x) in x.chunks_exact_mut(n).enumerate() {
                for (x, w) in x.iter_mut().zip(windows) {
                    *x = self.horizon.input(k, w.0 + t);
                }
            }
            for (f, gain) in feedback.inputs.iter().zip(gain).filter(|(f, _)| f.lag < t) {
                let from = &d[((t - f.lag) * q + f.target) * n..][..n];
                add(&mut x[f.input * n..][..n], *gain, from);
            }
            let (before, after) = d.split_at_mut((t + 1) * q * n);
            for (j, own) in parameters.chunks_exact(width).enumerate() {
                let after = &mut after[j * n..(j + 1) * n];
                for (a, w) in after.iter_mut().zip(windows) {
                    *a = own[0] - self.horizon.target(j, w.0 + t);
                }
                for (w, x) in own[1..].iter().zip(x.chunks_exact(n)) {
                    add(after, *w, x);
                }
                if feedback.increments[j] {
                    add(after, 1.0, &before[(t * q + j) * n..][..n]);
                }
            }
        }
        let mut errors = WindowErrors { squares: vec![0.0; q], gradient: vec![0.0; parameters.len()] };
        let mut adjoint = vec![0.0; (length + 1) * q * n];
        let mut g = vec![0.0; n];
        for t in (0..length).rev() {
            let x = &x[t * p * n..(t + 1) * p * n];
            for (j, own) in parameters.chunks_exact(width).enumerate() {
                let at = ((t + 1) * q + j) * n;
                let after = d[at..at + n].iter().zip(windows).zip(&adjoint[at..at + n]);
                for (g, ((d, w), a)) in g.iter_mut().zip(after) {
                    errors.squares[j] += w.1 * d * d;
                    *g = a + 2.0 * self.weight[j] * w.1 * d;
                }
                let gradient = &mut errors.gradient[j * width..(j + 1) * width];
                gradient[0] += g.iter().sum::<f64>();
                for (sum, x) in gradient[1..].iter_mut().zip(x.chunks_exact(n)) {
                    *sum += g.iter().zip(x).map(|(g, x)| g * x).sum::<f64>();
                }
                if feedback.increments[j] {
                    add(&mut adjoint[(t * q + j) * n..][..n], 1.0, &g);
                }
                for (FeedbackInput { input, target, lag }, gain) in
                    feedback.inputs.iter().zip(gain).filter(|(f, _)| f.lag < t)
                {
                    add(&mut adjoint[((t - lag) * q + target) * n..][..n], gain * own[1 + input], &g);
                }
            }
        }
        errors
    }
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += factor * b;
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/learn/model/horizon.rs"]
mod tests;
