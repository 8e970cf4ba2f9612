//! Trains the networks on open-loop simulations of windows of the log, with back-propagation through time.
//!
//! Let d(t) be the deviation of a simulated target from the log, in standard deviations of the network's target. Let
//! e(t) be the error of one step: the predicted mean minus the target, plus the change of the linear part due to the
//! deviations of its inputs. For increments of states, d(t + 1) = d(t) + e(t); for outputs, d = e. The loss is
//! the mean of d² over windows and steps, weighted such that all targets contribute equally before training.

use super::loss::Loss;
use super::networks::{Networks, Pass};
use super::samples::{Bags, Samples, shuffle};
use super::scales::Scales;
use super::training::{BestNetworks, Optimisers, Settings, loss_without_validation};
use crate::compute::Compute;
use crate::error::Result;
use crate::learn::model::blocks::Blocks;
use crate::learn::model::feedback::{Feedback, FeedbackInput, windows};
use crate::learn::model::linear::Linear;
use crate::rng::Key;

/// Minimum number of windows per member in a batch (not tuned).
const MIN_BATCH: usize = 16;
/// Approximate number of windows per epoch that contain a given row (not tuned).
const OVERLAP: usize = 4;
/// Maximum number of validation windows per member for early stopping (not tuned).
const VALIDATION_WINDOWS: usize = 256;

/// A simulation, represented by its deviations from the log in standardised units.
#[derive(Debug)]
pub struct Simulation<'a> {
    samples: &'a Samples,
    scales: &'a Scales,
    feedback: &'a Feedback,
    links: Vec<InputLink>,
    /// Derivative of the linear part of e with respect to the deviation of each fed-back input: `[targets][fed-back
    /// inputs]`.
    linear_slopes: Vec<Vec<f32>>,
    /// Weight of each target in the loss (`weight`), and mean squared deviation of each target in the last simulation
    /// (`squares`).
    weight: Vec<f32>,
    squares: Vec<f64>,
    steps: Vec<Step>,
    bound_grad: Vec<f32>,
    /// Standardised targets at the current step (`t`) and at the first step (`first`).
    t: Vec<f32>,
    first: Vec<f32>,
    loss: Loss,
    /// Gradients at the current step of the backward pass.
    weight_grad: Vec<f32>,
    x_grad: Vec<f32>,
}

/// A standardised input that depends on the deviation of a simulated state.
#[derive(Debug, Clone, Copy)]
struct InputLink {
    input: usize,
    target: usize,
    lag: usize,
    gain: f32,
}

/// Values of a forward step that are needed in the backward pass.
#[derive(Debug, Default)]
struct Step {
    pass: Pass,
    /// Deviations of the simulated states from the log before the step: `[members][targets][windows]`.
    before: Vec<f32>,
    /// Deviations of the simulated states from the log after the step, and of the simulated outputs
    /// at the step.
    after: Vec<f32>,
    /// Inputs before clamping: `[members][inputs][windows]`.
    unclamped: Vec<f32>,
    /// Gradients of the loss with respect to `before`.
    adjoint: Vec<f32>,
}

impl<'a> Simulation<'a> {
    pub fn new(
        samples: &'a Samples,
        scales: &'a Scales,
        feedback: &'a Feedback,
        linear: Option<&Linear>,
        length: usize,
    ) -> Self {
        let sd = &scales.target_sd;
        let per = |a: f64, j: usize| if sd[j] > 0.0 { (a / sd[j]) as f32 } else { 0.0 };
        let weights = |j: usize, k: usize| linear.map_or(0.0, |l| l.weight(j, k));
        let links = |f: &FeedbackInput| {
            let FeedbackInput { input, target, lag } = *f;
            let link = move |(input, slope)| InputLink { input, target, lag, gain: (sd[target] * slope) as f32 };
            scales.slopes(input).map(link).collect::<Vec<_>>()
        };
        Self {
            links: feedback.inputs.iter().flat_map(links).collect(),
            linear_slopes: (0..sd.len())
                .map(|j| feedback.inputs.iter().map(|f| per(weights(j, f.input) * sd[f.target], j)).collect())
                .collect(),
            weight: vec![1.0; sd.len()],
            squares: vec![0.0; sd.len()],
            steps: (0..length).map(|_| Step::default()).collect(),
            bound_grad: vec![0.0; 2 * sd.len()],
            t: Vec::new(),
            first: Vec::new(),
            loss: Loss::default(),
            weight_grad: Vec::new(),
            x_grad: Vec::new(),
            samples,
            scales,
            feedback,
        }
    }

    /// Simulates all windows. `starts`: first rows of the windows of each member; all members have the same number of
    /// windows. Returns the weighted mean squared deviation, averaged over targets.
    fn forward(&mut self, networks: &Networks, starts: &[Vec<usize>], compute: &Compute) -> Result<f64> {
        let n = starts.first().map_or(0, Vec::len);
        let (q, members) = (networks.targets(), networks.members);
        let inputs = networks.inputs();
        self.squares.fill(0.0);
        for at in 0..self.steps.len() {
            let (earlier, here) = self.steps.split_at_mut(at);
            let Some(step) = here.first_mut() else { break };
            let rows: Vec<Vec<usize>> = starts.iter().map(|s| s.iter().map(|r| r + at).collect()).collect();
            let net = networks.net();
            step.pass.fit(&net, n);
            self.samples.gather(&rows, &mut step.pass, &mut self.t);
            step.before.clear();
            match earlier.last() {
                Some(last) => step.before.extend_from_slice(&last.after),
                None => step.before.resize(members * q * n, 0.0),
            }
            step.unclamped.clone_from(&step.pass.x);
            for link in self.links.iter().filter(|t| t.lag < at) {
                let d = if link.lag == 0 { &step.before } else { &earlier[at - link.lag].before };
                for m in 0..members {
                    let d = &d[(m * q + link.target) * n..][..n];
                    for (x, d) in step.unclamped[(m * inputs + link.input) * n..][..n].iter_mut().zip(d) {
                        *x += link.gain * d;
                    }
                }
            }
            for (i, (x, unclamped)) in step.pass.x.chunks_exact_mut(n).zip(step.unclamped.chunks_exact(n)).enumerate() {
                let (low, high) = (self.scales.low[i % inputs], self.scales.high[i % inputs]);
                for (x, unclamped) in x.iter_mut().zip(unclamped) {
                    *x = unclamped.clamp(low, high);
                }
            }
            if at == 0 {
                self.first.clone_from(&self.t);
            }
            step.pass.forward(&net, n, compute)?;
            step.after.resize(members * q * n, 0.0);
            for m in 0..members {
                for j in 0..q {
                    let means = &step.pass.out[(m * 2 * q + j) * n..][..n];
                    let after = &mut step.after[(m * q + j) * n..][..n];
                    for ((a, mean), t) in after.iter_mut().zip(means).zip(&self.t[(m * q + j) * n..]) {
                        *a = mean - t;
                    }
                    for (from, a) in self.feedback.inputs.iter().zip(&self.linear_slopes[j]) {
                        if at <= from.lag || *a == 0.0 {
                            continue;
                        }
                        let d = if from.lag == 0 { &step.before } else { &earlier[at - from.lag].before };
                        for (e, d) in after.iter_mut().zip(&d[(m * q + from.target) * n..]) {
                            *e += a * d;
                        }
                    }
                    if self.feedback.increments[j] {
                        for (a, before) in after.iter_mut().zip(&step.before[(m * q + j) * n..]) {
                            *a += before;
                        }
                    }
                    self.squares[j] += after.iter().map(|d| f64::from(d * d)).sum::<f64>();
                }
            }
        }
        let runs = (members * n * self.steps.len()) as f64;
        self.squares.iter_mut().for_each(|s| *s /= runs);
        Ok(self.squares.iter().zip(&self.weight).map(|(s, w)| s * f64::from(*w)).sum::<f64>() / q as f64)
    }

    /// Runs the backward pass that belongs to the last call of [`Simulation::forward`]. Overwrites `weight_grad` with
    /// the gradients of the loss, summed over members. The log-variances and their bounds are
    /// fitted to the likelihood of the first step only, because the inputs of the first step are
    /// measured, whereas those of later steps are predicted.
    fn backward(&mut self, networks: &Networks, compute: &Compute, weight_grad: &mut [f32]) -> Result<()> {
        let (q, members, length) = (networks.targets(), networks.members, self.steps.len());
        let inputs = networks.inputs();
        let n = self.steps.first().map_or(0, |s| s.before.len() / (members * q));
        let scale = 2.0 / (q * n * length) as f32;
        weight_grad.fill(0.0);
        self.weight_grad.resize(weight_grad.len(), 0.0);
        for step in &mut self.steps {
            step.adjoint.clear();
            step.adjoint.resize(step.before.len(), 0.0);
        }
        for at in (0..length).rev() {
            let (before, after) = self.steps.split_at_mut(at + 1);
            let (earlier, here) = before.split_at_mut(at);
            let Some(step) = here.first_mut() else { break };
            if at == 0 {
                // Only the gradient of the log-variances is taken from the likelihood; the gradient of the means comes
                // from the simulation.
                self.loss.evaluate(networks, &step.pass.out, &self.first, n);
                self.bound_grad.clone_from(&self.loss.bound_grad);
            } else {
                self.loss.out_grad.clear();
                self.loss.out_grad.resize(step.pass.out.len(), 0.0);
            }
            for m in 0..members {
                for j in 0..q {
                    let own = (m * q + j) * n;
                    let grads = &mut self.loss.out_grad[(m * 2 * q + j) * n..][..n];
                    for (g, d) in grads.iter_mut().zip(&step.after[own..]) {
                        *g = scale * self.weight[j] * d;
                    }
                    if self.feedback.increments[j] {
                        if let Some(next) = after.first() {
                            for (g, a) in grads.iter_mut().zip(&next.adjoint[own..]) {
                                *g += a;
                            }
                        }
                        for (a, g) in step.adjoint[own..].iter_mut().zip(grads.iter()) {
                            *a += g;
                        }
                    }
                    for (from, a) in self.feedback.inputs.iter().zip(&self.linear_slopes[j]) {
                        if at > from.lag && *a != 0.0 {
                            let to = if from.lag == 0 { &mut *step } else { &mut earlier[at - from.lag] };
                            for (d, g) in to.adjoint[(m * q + from.target) * n..].iter_mut().zip(grads.iter()) {
                                *d += a * g;
                            }
                        }
                    }
                }
            }
            self.x_grad.resize(step.pass.x.len(), 0.0);
            let Pass { x, tape, .. } = &mut step.pass;
            let (out_grad, x_grad) = (&self.loss.out_grad, &mut self.x_grad);
            compute.backward(&networks.net(), x, n, tape, out_grad, &mut self.weight_grad, Some(x_grad))?;
            for (sum, g) in weight_grad.iter_mut().zip(&self.weight_grad) {
                *sum += g;
            }
            for link in self.links.iter().filter(|t| t.lag < at) {
                let (low, high) = (self.scales.low[link.input], self.scales.high[link.input]);
                let adjoint = if link.lag == 0 { &mut step.adjoint } else { &mut earlier[at - link.lag].adjoint };
                for m in 0..members {
                    let own = (m * inputs + link.input) * n;
                    let grads = self.x_grad[own..own + n].iter().zip(&step.unclamped[own..]);
                    for (a, (g, x)) in adjoint[(m * q + link.target) * n..][..n].iter_mut().zip(grads) {
                        if (low..=high).contains(x) {
                            *a += link.gain * g;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Trains networks on simulations after their one-step training. The windows of a member start in the blocks of
/// its bootstrap sample. `ends` is the result of [`crate::learn::model::feedback::sequence_ends`], and the other
/// parameters are those of [`super::training::train`]. Returns the number of the epoch after which
/// the networks had the lowest loss.
///
/// # Errors
/// Returns any error of [`crate::compute::Backend`].
#[allow(clippy::too_many_arguments, reason = "the networks, their data and the training settings")]
pub fn train(
    simulation: &mut Simulation,
    networks: &mut Networks,
    blocks: &Blocks,
    ends: &[usize],
    bags: &Bags,
    settings: &Settings,
    compute: &Compute,
    key: Key,
) -> Result<usize> {
    let length = simulation.steps.len();
    let starts = |bag: &[usize], stride: usize, key: Option<Key>| -> Vec<usize> {
        let in_block = |(i, &b): (usize, &usize)| {
            windows(blocks.ranges[b].clone(), ends, length, stride, key.map(|k| k.fold(i as u64)))
        };
        bag.iter().enumerate().flat_map(in_block).collect()
    };
    let validation: Vec<Vec<usize>> = bags.left_out.iter().map(|b| starts(b, length.div_ceil(2), None)).collect();
    let n = validation.iter().map(Vec::len).min().unwrap_or(0).min(VALIDATION_WINDOWS);
    let validation: Vec<Vec<usize>> = validation.iter().map(|h| (0..n).map(|i| h[i * h.len() / n]).collect()).collect();
    let per_step = (settings.batch / length).max(MIN_BATCH);

    // The weights are chosen so that, before training, all targets contribute equally to the loss.
    if n > 0 {
        simulation.forward(networks, &validation, compute)?;
        simulation.weight = simulation.squares.iter().map(|s| if *s > 0.0 { 1.0 / *s as f32 } else { 0.0 }).collect();
    }

    let mut optimisers = Optimisers::new(networks);
    let mut best = BestNetworks::new(networks);
    for epoch in 1..=settings.limit {
        let now = settings.at(epoch);
        let order: Vec<Vec<usize>> = bags
            .drawn
            .iter()
            .enumerate()
            .map(|(m, bag)| {
                let key = key.fold(epoch as u64).fold(m as u64);
                let mut order = starts(bag, length.div_ceil(OVERLAP), Some(key));
                shuffle(&mut order, key.fold(u64::MAX));
                order
            })
            .collect();
        let windows = order.iter().map(Vec::len).min().unwrap_or(0);
        if windows == 0 {
            return Ok(0);
        }
        for start in (0..windows).step_by(per_step) {
            let here = start..windows.min(start + per_step);
            let picked: Vec<Vec<usize>> = order.iter().map(|o| o[here.clone()].to_vec()).collect();
            simulation.forward(networks, &picked, compute)?;
            simulation.backward(networks, compute, &mut optimisers.weight_grad)?;
            optimisers.step(networks, &simulation.bound_grad, &now);
        }
        let loss = match settings.patience {
            Some(_) if n > 0 => simulation.forward(networks, &validation, compute)?,
            _ => loss_without_validation(networks, epoch),
        };
        if best.update(networks, epoch, loss, settings.patience) {
            break;
        }
    }
    *networks = best.networks;
    Ok(best.epoch)
}

#[cfg(test)]
#[path = "../../../../tests/unit/learn/model/ensemble/simulation.rs"]
mod tests;
