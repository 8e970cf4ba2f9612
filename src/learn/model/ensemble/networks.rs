//! The networks of an ensemble.

use serde::{Deserialize, Serialize};

use crate::compute::Compute;
use crate::compute::{Net, Tape};
use crate::error::Result;
use crate::rng::{Key, normal_quantile};

/// Initial values of the soft lower and upper bounds on the log-variances (Chua et al. 2018).
const LOWER: f32 = -10.0;
const UPPER: f32 = 0.5;
/// Φ(−2), the standard normal distribution function at −2.
const TAIL: f64 = 0.022_750_131_948;

/// The networks of all members, which have the same shape. The inputs are standardised. The outputs are the means of
/// the standardised targets, followed by their log-variances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Networks {
    pub members: usize,
    /// Widths of the layers: the number of inputs, the widths of the hidden layers, and twice the number of targets.
    pub widths: Vec<usize>,
    /// Weights of all networks, in the order of [`Net::weights`].
    pub weights: Vec<f32>,
    /// Soft bounds on the log-variances, shared by all members: `[targets]`.
    pub lower: Vec<f32>,
    pub upper: Vec<f32>,
}

impl Networks {
    /// Draws the initial weights from a normal distribution with standard deviation 1 / (2 √inputs), truncated at two
    /// standard deviations. The initial biases are zero (Chua et al. 2018).
    pub fn new(members: usize, inputs: usize, hidden: &[usize], targets: usize, key: Key) -> Self {
        let widths: Vec<usize> = [&[inputs], hidden, &[2 * targets]].concat();
        let mut weights = Vec::with_capacity(members * Net::size(&widths));
        for _ in 0..members {
            for w in widths.windows(2) {
                let sd = 0.5 / (w[0] as f64).sqrt();
                for _ in 0..w[0] * w[1] {
                    let u = TAIL + (1.0 - 2.0 * TAIL) * key.uniform(weights.len() as u64);
                    weights.push((sd * normal_quantile(u)) as f32);
                }
                weights.resize(weights.len() + w[1], 0.0);
            }
        }
        Self { members, widths, weights, lower: vec![LOWER; targets], upper: vec![UPPER; targets] }
    }

    pub fn inputs(&self) -> usize {
        self.widths.first().copied().unwrap_or(0)
    }

    pub fn targets(&self) -> usize {
        self.lower.len()
    }

    pub fn net(&self) -> Net<'_> {
        Net { members: self.members, widths: &self.widths, weights: &self.weights }
    }

    /// The network of one member.
    pub fn member(&self, member: usize) -> Net<'_> {
        let size = Net::size(&self.widths);
        Net { members: 1, weights: &self.weights[member * size..(member + 1) * size], ..self.net() }
    }

    /// Returns true if networks that were restored from bytes have valid sizes and values.
    pub fn is_valid(&self) -> bool {
        let targets = self.lower.len();
        let numbers = |w: &[usize]| w[0].checked_add(1)?.checked_mul(w[1]);
        let size = self.widths.windows(2).try_fold(0usize, |sum, w| sum.checked_add(numbers(w)?));
        self.members > 0
            && self.widths.len() >= 2
            && !self.widths.contains(&0)
            && self.widths.last() == targets.checked_mul(2).as_ref()
            && self.upper.len() == targets
            && size.and_then(|s| s.checked_mul(self.members)) == Some(self.weights.len())
            && self.weights.iter().chain(&self.lower).chain(&self.upper).all(|v| v.is_finite())
    }
}

/// Reusable buffers of a forward pass.
#[derive(Debug, Default)]
pub struct Pass {
    /// `[members][inputs][rows]`.
    pub x: Vec<f32>,
    /// `[members][outputs][rows]`.
    pub out: Vec<f32>,
    pub tape: Tape,
}

impl Pass {
    /// Resizes the buffers for a forward pass of `net` over `rows` rows.
    pub fn fit(&mut self, net: &Net, rows: usize) {
        let ends = [net.widths.first(), net.widths.last()].map(|w| net.members * w.copied().unwrap_or(0) * rows);
        self.x.resize(ends[0], 0.0);
        self.out.resize(ends[1], 0.0);
    }

    /// Evaluates the networks for the inputs `x` and writes the outputs to `out`.
    ///
    /// # Errors
    /// Returns any error of [`crate::compute::Backend::forward`].
    pub fn forward(&mut self, net: &Net, rows: usize, compute: &Compute) -> Result<()> {
        Ok(compute.forward(net, &self.x, rows, &mut self.tape, &mut self.out)?)
    }
}
