//! Training to predict one step ahead.

use super::adam::Adam;
use super::loss::Loss;
use super::networks::{Networks, Pass};
use super::samples::{Bags, Samples, shuffle};
use crate::compute::Compute;
use crate::config::EnsembleSpec;
use crate::error::Result;
use crate::learn::model::blocks::Blocks;
use crate::rng::Key;

/// Rows that training is stopped on, per member, at most.
const HELD: usize = 2_000;

/// What the optimiser is told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Over which the step size falls.
    pub epochs: usize,
    /// Epochs that are run, at most.
    pub limit: usize,
    /// Epochs without progress after which it ends; `None`: all epochs are run, and the last networks are taken.
    pub patience: Option<usize>,
    pub batch: usize,
    pub rate: f32,
    pub decay: f32,
}

impl Settings {
    pub fn of(spec: &EnsembleSpec) -> Self {
        Self {
            epochs: spec.epochs.value.max(1),
            limit: spec.epochs.value.max(1),
            patience: Some(spec.patience.value).filter(|p| *p > 0),
            batch: spec.batch.value.max(1),
            rate: spec.learning_rate.value as f32,
            decay: spec.weight_decay.value as f32,
        }
    }
}

impl Settings {
    /// Those of an epoch (from 1): the step size falls from its whole to nothing along half a cosine (Loshchilov & Hutter
    /// 2017), so that the last epochs average over the noise of the batches.
    pub fn at(&self, epoch: usize) -> Self {
        let done = (epoch - 1) as f32 / self.epochs as f32;
        Self { rate: self.rate * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()), ..*self }
    }
}

/// Optimisers of all parameters.
#[derive(Debug)]
pub struct Descent {
    weights: Adam,
    least: Adam,
    most: Adam,
    pub weight_grad: Vec<f32>,
}

impl Descent {
    pub fn new(networks: &Networks) -> Self {
        let n = networks.weights.len();
        let bounds = Adam::new(networks.targets());
        Self { weights: Adam::new(n), least: bounds.clone(), most: bounds, weight_grad: vec![0.0; n] }
    }

    /// One step with the gradients of the weights, here, and of the bounds.
    pub fn step(&mut self, networks: &mut Networks, bound_grad: &[f32], settings: &Settings) {
        let q = networks.targets();
        self.weights.step(&mut networks.weights, &self.weight_grad, settings.rate, settings.decay);
        self.least.step(&mut networks.least, &bound_grad[..q], settings.rate, 0.0);
        self.most.step(&mut networks.most, &bound_grad[q..], settings.rate, 0.0);
    }
}

/// The best networks so far.
#[derive(Debug)]
pub struct Best {
    pub networks: Networks,
    pub epoch: usize,
    loss: f64,
}

impl Best {
    pub fn new(networks: &Networks) -> Self {
        Self { networks: networks.clone(), epoch: 0, loss: f64::INFINITY }
    }

    /// Keeps `networks` if they are better; whether patience is at its end, or their loss no number any more.
    pub fn keep(&mut self, networks: &Networks, epoch: usize, loss: f64, patience: Option<usize>) -> bool {
        if loss < self.loss {
            self.networks.clone_from(networks);
            (self.epoch, self.loss) = (epoch, loss);
        }
        patience.is_some_and(|p| epoch >= self.epoch + p) || !loss.is_finite()
    }
}

/// A loss that makes the last networks the best, as long as they are numbers.
pub fn last(networks: &Networks, epoch: usize) -> f64 {
    if networks.weights.iter().all(|w| w.is_finite()) { -(epoch as f64) } else { f64::NAN }
}

/// Trains all members side by side by mini-batches, every member on its own bag of blocks; with patience, the networks
/// of the epoch that predicts the blocks left out best, by the mean over members. Returns how many epochs they had.
///
/// # Errors
/// As [`crate::compute::Backend`].
pub fn train(
    networks: &mut Networks,
    samples: &Samples,
    blocks: &Blocks,
    bags: &Bags,
    settings: &Settings,
    compute: &Compute,
    key: Key,
) -> Result<usize> {
    let rows_of = |list: &[usize]| -> Vec<usize> { list.iter().flat_map(|&b| blocks.ranges[b].clone()).collect() };
    let mut order: Vec<Vec<usize>> = bags.drawn.iter().map(|b| rows_of(b)).collect();
    let left_out: Vec<Vec<usize>> = bags.left_out.iter().map(|b| rows_of(b)).collect();
    let held = left_out.iter().map(Vec::len).min().unwrap_or(0).min(HELD);
    let held: Vec<Vec<usize>> =
        left_out.iter().map(|rows| (0..held).map(|i| rows[i * rows.len() / held]).collect()).collect();

    let mut descent = Descent::new(networks);
    let (mut pass, mut loss, mut t) = (Pass::default(), Loss::default(), Vec::new());
    let mut best = Best::new(networks);
    let n = samples.len();
    for epoch in 1..=settings.limit {
        let now = settings.at(epoch);
        for (m, order) in order.iter_mut().enumerate() {
            shuffle(order, key.fold(epoch as u64).fold(m as u64));
        }
        for start in (0..n).step_by(settings.batch) {
            let rows = settings.batch.min(n - start);
            // Bags differ a little in size.
            let picked: Vec<Vec<usize>> =
                order.iter().map(|o| (start..start + rows).map(|i| o[i % o.len()]).collect()).collect();
            samples.gather(&picked, &mut pass, &mut t);
            let net = networks.net();
            pass.fit(&net, rows);
            pass.forward(&net, rows, compute)?;
            loss.evaluate(networks, &pass.out, &t, rows);
            compute.backward(&net, &pass.x, rows, &mut pass.tape, &loss.out_grad, &mut descent.weight_grad, None)?;
            descent.step(networks, &loss.bound_grad, &now);
        }
        let held = if settings.patience.is_some() {
            let rows = held.first().map_or(0, Vec::len);
            samples.gather(&held, &mut pass, &mut t);
            let net = networks.net();
            pass.fit(&net, rows);
            pass.forward(&net, rows, compute)?;
            loss.evaluate(networks, &pass.out, &t, rows)
        } else {
            last(networks, epoch)
        };
        if best.keep(networks, epoch, held, settings.patience) {
            break;
        }
    }
    *networks = best.networks;
    Ok(best.epoch)
}
