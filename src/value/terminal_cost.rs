//! The terminal cost of a plan: an estimate of the cost after its last step.

use serde::{Deserialize, Serialize};

use crate::schema::Schema;
use crate::trajectory::Frame;

/// Products of two different inputs are features only if there are at most this many inputs (not tuned). If there are
/// more inputs, the squares of the inputs are the only quadratic features.
const MAX_PAIRED: usize = 16;

/// An estimate of the objective over the next `steps` steps after a row: V(z) = w₀ + Σ wⱼ zⱼ + Σ wⱼₖ zⱼ zₖ, where z
/// contains the states, set-points, controls and disturbances of the row minus their means. V is a Monte Carlo estimate
/// of the value function of the logged controller (Sutton & Barto 2018, chapter 5), fitted by ridge regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TerminalCost {
    /// Number of steps covered by the estimated cost.
    pub steps: usize,
    /// Fraction of the cost variance in the validation rows that is explained by the estimate.
    pub skill: f64,
    /// Hash of the objective for which the terminal cost was learned.
    pub(super) objective: String,
    /// Names of the inputs.
    pub(super) signals: Vec<String>,
    /// Means of the inputs.
    pub(super) mean: Vec<f64>,
    /// Two functions: one for the terms of the objective that are sums over time, and one for the terms that are means.
    /// For a plan of n steps, the function for the means is divided by n, because a mean is a sum divided by n.
    pub(super) parts: [Quadratic; 2],
}

/// A quadratic function of the inputs, clamped to the range of the costs in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Quadratic {
    /// Weights of the features, in the order of [`features`].
    pub(super) weights: Vec<f64>,
    /// Smallest and largest cost in the log.
    pub(super) least: f64,
    pub(super) most: f64,
}

/// A [`TerminalCost`] for plans of a fixed length, with its inputs resolved to schema columns.
#[derive(Debug, Clone)]
pub(super) struct TerminalTerms {
    columns: Vec<usize>,
    mean: Vec<f64>,
    function: Quadratic,
}

impl TerminalCost {
    /// The terminal cost for plans of `horizon` steps, with the given columns as inputs.
    pub(super) fn terms(&self, horizon: usize, columns: Vec<usize>) -> TerminalTerms {
        let [sum, mean] = &self.parts;
        let share = (horizon.max(1) as f64).recip();
        let both = |a: f64, b: f64| a + share * b;
        let function = Quadratic {
            weights: sum.weights.iter().zip(&mean.weights).map(|(a, b)| both(*a, *b)).collect(),
            least: both(sum.least, mean.least),
            most: both(sum.most, mean.most),
        };
        TerminalTerms { columns, mean: self.mean.clone(), function }
    }

    /// The terminal cost for plans of `horizon` steps; `None` if `schema` lacks an input signal, or
    /// if the stored numbers are inconsistent.
    pub(super) fn compile(&self, horizon: usize, schema: &Schema) -> Option<TerminalTerms> {
        let columns: Option<Vec<usize>> = self.signals.iter().map(|s| schema.find(s)).collect();
        let fits = self.mean.len() == self.signals.len()
            && self.parts.iter().all(|p| p.weights.len() == width(self.signals.len()) && p.least <= p.most);
        Some(self.terms(horizon, columns?)).filter(|_| fits)
    }
}

impl TerminalTerms {
    /// For each row, writes the estimated cost of the steps after `frame`.
    pub fn eval<F: Frame + ?Sized>(&self, frame: &F, out: &mut [f64]) {
        let Quadratic { weights, least, most } = &self.function;
        out.fill(0.0);
        let input = |k: usize| frame.column(self.columns[k], 0).iter().map(move |v| v - self.mean[k]);
        features(self.columns.len(), &mut |at, pair| {
            let w = weights[at];
            match pair {
                (None, _) => out.iter_mut().for_each(|o| *o += w),
                (Some(j), None) => out.iter_mut().zip(input(j)).for_each(|(o, a)| *o += w * a),
                (Some(j), Some(k)) => {
                    out.iter_mut().zip(input(j).zip(input(k))).for_each(|(o, (a, b))| *o += w * a * b);
                }
            }
        });
        // Clamping prevents the quadratic function from extrapolating.
        out.iter_mut().for_each(|o| *o = if o.is_nan() { *o } else { o.clamp(*least, *most) });
    }
}

/// Enumerates the features of `inputs` inputs: the constant, each input, and products of two inputs.
#[inline]
pub(super) fn features(inputs: usize, each: &mut impl FnMut(usize, (Option<usize>, Option<usize>))) {
    each(0, (None, None));
    let mut at = 1;
    for j in 0..inputs {
        each(at, (Some(j), None));
        at += 1;
    }
    for j in 0..inputs {
        for k in j..if inputs > MAX_PAIRED { j + 1 } else { inputs } {
            each(at, (Some(j), Some(k)));
            at += 1;
        }
    }
}

pub(super) fn width(inputs: usize) -> usize {
    1 + inputs + if inputs > MAX_PAIRED { inputs } else { inputs * (inputs + 1) / 2 }
}

/// The value of a feature, which is the product of up to two inputs.
pub(super) fn product(z: &[f64], (j, k): (Option<usize>, Option<usize>)) -> f64 {
    j.map_or(1.0, |j| z[j]) * k.map_or(1.0, |k| z[k])
}
