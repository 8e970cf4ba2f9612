//! A weighted mean of models.
//!
//! > y_j = Σ_i w_ij y_ij with w_ij ≥ 0 and Σ_i w_ij = 1 for each target j
//!
//! Stacking was introduced by Wolpert (1992), and the constraints on the weights by Breiman (1996). The epistemic
//! variance is that of a mixture, Σ_i w_ij (σ_ij² + (y_ij − y_j)²), where σ_ij is the epistemic standard deviation of
//! part i.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{artefact, decode};
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::learn::regressor::{Particle, Regressor};

/// Name by which users select the stack in the list of models.
pub const STACK: &str = "stack";

/// A weighted mean of several models (the parts) with the same layout. Ensemble member m of the stack is the weighted
/// mean of the m-th members of all parts.
#[derive(Debug)]
pub struct Stack {
    parts: Vec<Arc<dyn Regressor>>,
    /// `[parts][targets]`.
    weights: Vec<Vec<f64>>,
    /// Buffers for the predictions of the parts, one for each thread in use.
    buffers: Mutex<Vec<Vec<Vec<f64>>>>,
}

/// The serialised form of a stack.
#[derive(Serialize, Deserialize)]
struct StoredStack {
    /// Pair (name, bytes) of each part.
    parts: Vec<(String, Vec<u8>)>,
    weights: Vec<Vec<f64>>,
}

impl Stack {
    /// Stacks `parts` with `weights` (`[parts][targets]`). Parts whose weights are all zero are left out.
    ///
    /// # Errors
    /// Returns [`Error::Internal`] if there are no parts, or if the shapes of the parts differ.
    pub fn new(parts: Vec<Arc<dyn Regressor>>, weights: Vec<Vec<f64>>) -> Result<Self> {
        let shape = parts.first().map(|p| p.shape());
        let fits = parts.len() == weights.len()
            && parts.iter().all(|p| Some(p.shape()) == shape)
            && weights.iter().all(|w| Some(w.len()) == shape.map(|s| s.1));
        if !fits || parts.is_empty() {
            return Err(Error::Internal("the parts of a stack are inconsistent".into()));
        }
        let (parts, weights) =
            parts.into_iter().zip(weights).filter(|(_, w)| w.iter().any(|w| *w > 0.0)).unzip::<_, _, Vec<_>, Vec<_>>();
        Ok(Self { parts, weights, buffers: Mutex::default() })
    }

    pub(super) fn decode(bytes: &[u8], compute: &Compute) -> Result<Self> {
        let StoredStack { parts, weights } = artefact::decode(STACK, bytes)?;
        // A stack must not contain another stack, because the nesting depth would otherwise be unlimited.
        let known = |name: &str| super::NAMES.contains(&name);
        let part = |(name, bytes): &(String, Vec<u8>)| match known(name) {
            true => decode(name, bytes, compute),
            false => Err(artefact::corrupt(STACK, "it contains a part with an unknown model name")),
        };
        let parts = parts.iter().map(part).collect::<Result<Vec<_>>>()?;
        let sound = weights.iter().flatten().all(|w| (0.0..=1.0).contains(w));
        match Self::new(parts, weights) {
            Ok(stack) if sound && !stack.parts.is_empty() => Ok(stack),
            _ => Err(artefact::corrupt(STACK, "its parts are inconsistent")),
        }
    }

    /// Computes the weighted sum of the columns that `part(i, …)` writes. The weight of part i in column j is
    /// `weight(i, j)`.
    fn sum(
        &self,
        particles: &[Particle],
        out: &mut [Vec<f64>],
        mut part: impl FnMut(usize, &mut [Vec<f64>]),
        weight: impl Fn(usize, usize) -> f64,
    ) {
        let lock = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut columns = lock().pop().unwrap_or_default();
        let rows = particles.iter().map(|p| p.rows.end).max().unwrap_or(0);
        columns.resize_with(out.len(), Vec::new);
        columns.iter_mut().for_each(|c| c.resize(rows.max(c.len()), 0.0));
        for i in 0..self.parts.len() {
            part(i, &mut columns);
            for (j, (out, column)) in out.iter_mut().zip(&columns).enumerate() {
                let w = weight(i, j);
                for p in particles {
                    for (o, v) in out[p.rows.clone()].iter_mut().zip(&column[p.rows.clone()]) {
                        *o = if i == 0 { w * v } else { *o + w * v };
                    }
                }
            }
        }
        lock().push(columns);
    }
}

impl Regressor for Stack {
    fn name(&self) -> &'static str {
        STACK
    }

    fn shape(&self) -> (usize, usize) {
        self.parts.first().map_or((0, 0), |p| p.shape())
    }

    fn members(&self) -> usize {
        self.parts.iter().map(|p| p.members()).max().unwrap_or(1)
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        let part = |i: usize, out: &mut [Vec<f64>]| self.parts[i].predict(x, particles, out);
        self.sum(particles, out, part, |i, j| self.weights[i][j]);
    }

    fn encode(&self) -> Vec<u8> {
        let parts = self.parts.iter().map(|p| (p.name().to_owned(), p.encode())).collect();
        artefact::encode(&StoredStack { parts, weights: self.weights.clone() })
    }

    fn is_differentiable(&self) -> bool {
        self.parts.iter().all(|p| p.is_differentiable())
    }

    /// Computes the epistemic standard deviation of the weighted mixture of all models in the
    /// stack.
    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        let (q, all) = (self.shape().1, [Particle { member: None, rows: 0..rows }]);
        let mut mean = vec![vec![0.0; rows]; q];
        self.predict(x, &all, &mut mean);
        out.iter_mut().for_each(|c| c[..rows].fill(0.0));
        let (mut own, mut sd) = (mean.clone(), mean.clone());
        for (part, weights) in self.parts.iter().zip(&self.weights) {
            part.predict(x, &all, &mut own);
            part.epistemic(x, rows, &mut sd);
            for (j, w) in weights.iter().enumerate() {
                for (r, o) in out[j][..rows].iter_mut().enumerate() {
                    *o += w * (sd[j][r].powi(2) + (own[j][r] - mean[j][r]).powi(2));
                }
            }
        }
        out.iter_mut().for_each(|c| c[..rows].iter_mut().for_each(|o| *o = o.sqrt()));
    }

    fn note(&self) -> Option<String> {
        let share = |w: &[f64]| 100.0 * w.iter().sum::<f64>() / w.len().max(1) as f64;
        let parts = self.parts.iter().zip(&self.weights);
        Some(parts.map(|(p, w)| format!("{} {:.0} %", p.name(), share(w))).collect::<Vec<_>>().join(", "))
    }
}
