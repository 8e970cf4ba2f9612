//! The Adam optimiser (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019).

use pulp::Arch;
use rayon::prelude::*;

/// Exponential decay rates β₁ and β₂ of the moment estimates (Kingma & Ba 2015).
const BETA: [f32; 2] = [0.9, 0.999];
/// Constant added to the square root of the second moment to avoid division by zero (Kingma & Ba 2015).
const EPSILON: f32 = 1e-8;
/// Number of parameters per parallel task (not tuned).
const CHUNK: usize = 16_384;

/// The moment estimates for a list of parameters.
#[derive(Debug, Clone)]
pub struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn new(parameters: usize) -> Self {
        Self { first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// Performs one descent step with the gradient `grad` and the learning rate `rate`. Each parameter also decays by
    /// the fraction `rate` · `decay`.
    pub fn step(&mut self, parameters: &mut [f32], grad: &[f32], rate: f32, decay: f32) {
        self.steps = self.steps.saturating_add(1);
        let [a, b] = BETA;
        let rate_1 = rate / (1.0 - a.powi(self.steps));
        let root_2 = 1.0 / (1.0 - b.powi(self.steps)).sqrt();
        let shrinkage = 1.0 - rate * decay;
        let chunks = parameters.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK));
        let moments = self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK));
        chunks.zip(moments).for_each(|((p, g), (m, v))| {
            Arch::new().dispatch(|| {
                for (((p, g), m), v) in p.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
                    *m = a * *m + (1.0 - a) * g;
                    *v = b * *v + (1.0 - b) * g * g;
                    *p = *p * shrinkage - rate_1 * *m / (v.sqrt() * root_2 + EPSILON);
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_length_of_the_rate_and_the_minimum_is_found() {
        let mut adam = Adam::new(2);
        let mut p = [1.0, -3.0];
        adam.step(&mut p, &[0.5, -1e-3], 0.1, 0.0);
        assert!((p[0] - 0.9).abs() < 1e-5 && (p[1] + 2.9).abs() < 1e-3, "{p:?}");
        for _ in 0..2000 {
            let grad = [2.0 * (p[0] - 4.0), 200.0 * (p[1] + 1.0)];
            adam.step(&mut p, &grad, 0.02, 0.0);
        }
        assert!((p[0] - 4.0).abs() < 1e-2 && (p[1] + 1.0).abs() < 1e-2, "{p:?}");
    }

    #[test]
    fn decay_shrinks_parameters_without_gradient() {
        let mut p = [1.0];
        Adam::new(1).step(&mut p, &[0.0], 0.1, 0.5);
        assert!((p[0] - 0.95).abs() < 1e-6);
    }
}
