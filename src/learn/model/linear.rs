//! The linear autoregressive model with exogenous inputs (ARX), fitted by ridge regression.
//!
//! > y = b + w · x
//!
//! The intercept b and the weights w are computed by [`super::ridge`]. If `rollout_loss` is more than one step,
//! [`super::horizon`] refines b and w to minimise the errors of simulations over `rollout_loss` steps.
//!
//! The ensemble members are fitted to bootstrap samples of blocks of about one day ([`Blocks`]). A prediction takes
//! O(p) per row and target, where p is the number of inputs.

use std::ops::Range;

use nalgebra::DVector;
use serde::{Deserialize, Serialize};

use super::artefact;
use super::blocks::Blocks;
use super::horizon::{Horizon, Solution};
use super::ridge::{Basis, Gram, select_penalties};
use crate::error::Result;
use crate::learn::dataset::Scaling;
use crate::learn::regressor::{Coefficients, Fit, Particle, Regressor};
use crate::rng::Key;

/// Number of ensemble members (not tuned).
const MEMBERS: usize = 16;
/// Maximum number of L-BFGS iterations for the mean model, and for each member (not tuned). The members need fewer
/// iterations because their search starts near the mean model.
const ITERATIONS: u64 = 200;
const MEMBER_ITERATIONS: u64 = 20;
/// Number of rows predicted at a time, chosen to fit into the first-level cache with 27 input columns.
const TILE: usize = 128;

/// A linear model with ensemble members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    inputs: usize,
    targets: usize,
    /// Intercepts and weights in physical units, for the mean model and then for each member:
    /// `[1 + members][targets][1 + inputs]`.
    weights: Vec<f64>,
}

impl Linear {
    pub(super) fn fit(fit: &Fit) -> Result<Self> {
        let Fit { data, rows, folds, options, seed, draft, .. } = *fit;
        let (p, q) = (data.x.len(), data.y.len());
        let (x, y) = (data.input_scaling(rows), data.target_scaling(rows));
        let blocks = Blocks::new(data, rows, folds);
        let grams = Gram::from_blocks(data, rows, &blocks, &x, &y);
        let sum = |weight: &dyn Fn(usize) -> f64| {
            let mut total = Gram::zero(p, q);
            for (b, gram) in grams.iter().enumerate() {
                let w = weight(b);
                if w != 0.0 {
                    total.add(gram, w);
                }
            }
            total
        };
        let folds: Vec<Gram> =
            (0..folds.len()).map(|k| sum(&|b| f64::from(u8::from(blocks.folds[b] == Some(k))))).collect();
        let ridges = select_penalties(&folds, q)?;
        let length = options.rollout_steps();
        let horizon = (length > 1).then(|| Horizon::new(data, rows, &blocks, &x, &y, length));
        let mut weights = Vec::with_capacity((1 + MEMBERS) * q * (1 + p));
        let mut push = |solution: &Solution| {
            for (j, (intercept, w)) in solution.iter().enumerate() {
                push_physical(&mut weights, *intercept, w, j, &x, &y);
            }
        };
        let solve = |gram: &Gram| -> Result<Solution> {
            let basis = Basis::new(gram)?;
            Ok(ridges.iter().enumerate().map(|(j, ridge)| basis.solve(j, *ridge)).collect())
        };
        let one_step = solve(&sum(&|_| 1.0))?;
        let mean = horizon.as_ref().map(|h| h.improve(&one_step, &ridges, &|_| 1.0, ITERATIONS));
        push(mean.as_ref().unwrap_or(&one_step));
        let key = Key::new(seed).fold(0x6c69_6e65_6172);
        for m in 0..MEMBERS {
            let counts = blocks.bootstrap(key.fold(m as u64));
            let mut member = solve(&sum(&|b| f64::from(counts[b])))?;
            if let (Some(horizon), Some(mean)) = (&horizon, &mean) {
                // The search starts from the mean model, shifted by the difference between the member's one-step
                // solution and the mean model's one-step solution.
                for (((b, w), (b_1, w_1)), (b_k, w_k)) in member.iter_mut().zip(&one_step).zip(mean) {
                    *b += b_k - b_1;
                    *w += w_k - w_1;
                }
                let iterations = if draft { 0 } else { MEMBER_ITERATIONS };
                member = horizon.improve(&member, &ridges, &|b| f64::from(counts[b]), iterations);
            }
            push(&member);
        }
        Ok(Self { inputs: p, targets: q, weights })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let model: Self = artefact::decode("linear", bytes)?;
        model.check()?;
        Ok(model)
    }

    /// Checks the sizes and values of a model restored from bytes.
    pub(super) fn check(&self) -> Result<()> {
        let width = self.inputs.checked_add(1).and_then(|w| w.checked_mul(self.targets));
        let expected = width.and_then(|w| w.checked_mul(1 + MEMBERS));
        if expected != Some(self.weights.len()) {
            return Err(artefact::corrupt("linear", "its parts are inconsistent"));
        }
        if self.weights.iter().any(|w| !w.is_finite()) {
            return Err(artefact::corrupt("linear", "a weight is not finite"));
        }
        Ok(())
    }

    /// Writes the predictions of one member, or of the mean model, for `rows`.
    pub(super) fn predict_rows(&self, x: &[&[f64]], rows: Range<usize>, member: Option<usize>, out: &mut [Vec<f64>]) {
        let mut start = rows.start;
        while start < rows.end {
            let tile = start..rows.end.min(start + TILE);
            for (j, out) in out.iter_mut().enumerate().take(self.targets) {
                let (intercept, weights) = match self.row(member, j) {
                    [intercept, weights @ ..] => (*intercept, weights),
                    [] => continue,
                };
                let out = &mut out[tile.clone()];
                out.fill(intercept);
                // Processing four columns at a time needs fewer passes over `out`.
                let (fours, rest) = weights.as_chunks::<4>();
                for (w, x) in fours.iter().zip(x.chunks_exact(4)) {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|k| &x[k][tile.clone()]);
                    for ((((o, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                        *o += (w[0] * a + w[1] * b) + (w[2] * c + w[3] * d);
                    }
                }
                for (w, x) in rest.iter().zip(&x[4 * fours.len()..]) {
                    for (o, x) in out.iter_mut().zip(&x[tile.clone()]) {
                        *o += w * x;
                    }
                }
            }
            start = tile.end;
        }
    }

    /// Weight of an input in the mean model's prediction of a target.
    pub(super) fn weight(&self, target: usize, input: usize) -> f64 {
        self.row(None, target)[1 + input]
    }

    /// Intercept followed by the weights of a target: `[1 + inputs]`.
    pub(super) fn row(&self, member: Option<usize>, target: usize) -> &[f64] {
        let model = member.map_or(0, |m| 1 + m % MEMBERS);
        let at = (model * self.targets + target) * (1 + self.inputs);
        &self.weights[at..at + 1 + self.inputs]
    }
}

/// Converts the intercept and the weights to physical units and appends them to `to`.
fn push_physical(to: &mut Vec<f64>, intercept: f64, w: &DVector<f64>, j: usize, x: &Scaling, y: &Scaling) {
    let physical: Vec<f64> = w.iter().zip(x.inverse()).map(|(w, inverse)| w * inverse * y.sd[j]).collect();
    let shift: f64 = physical.iter().zip(&x.mean).map(|(w, m)| w * m).sum();
    to.push(y.mean[j] + y.sd[j] * intercept - shift);
    to.extend(physical);
}

impl Regressor for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn shape(&self) -> (usize, usize) {
        (self.inputs, self.targets)
    }

    fn members(&self) -> usize {
        MEMBERS
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        // Adjacent rows of the same member are predicted together.
        for group in particles.chunk_by(|a, b| a.member == b.member && a.rows.end == b.rows.start) {
            if let [first, .., last] | [first @ last] = group {
                self.predict_rows(x, first.rows.start..last.rows.end, first.member, out);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        artefact::encode(self)
    }

    fn is_differentiable(&self) -> bool {
        true
    }

    fn coefficients(&self) -> Option<Coefficients> {
        let rows: Vec<&[f64]> = (0..self.targets).map(|j| self.row(None, j)).collect();
        Some(Coefficients {
            intercept: rows.iter().map(|r| r[0]).collect(),
            weights: rows.iter().map(|r| r[1..].to_vec()).collect(),
        })
    }
}
