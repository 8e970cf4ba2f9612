//! One-step training with mini-batches and early stopping.
//!
//! All members are trained together, each on its own bootstrap sample. The learning rate decays along half a cosine
//! (Loshchilov & Hutter 2017). After every epoch the loss on the left-out blocks is evaluated; training ends if it has not
//! improved for `patience` epochs, and the best networks are returned.

use super::adam::Adam;
use super::loss::Loss;
use super::networks::{Networks, Pass};
use super::samples::{Bags, Samples, shuffle};
use crate::compute::Compute;
use crate::config::EnsembleSpec;
use crate::error::Result;
use crate::learn::model::blocks::Blocks;
use crate::rng::Key;

/// Maximum number of rows per member for early stopping (guess).
const VALIDATION_ROWS: usize = 2_000;

/// Settings of the optimiser.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Number of epochs over which the learning rate decays.
    pub epochs: usize,
    /// Maximum number of epochs.
    pub limit: usize,
    /// Number of epochs without improvement after which training ends. `None`: all epochs are run, and the last networks
    /// are returned.
    pub patience: Option<usize>,
    pub batch: usize,
    pub rate: f32,
    pub decay: f32,
}

impl Settings {
    pub fn new(spec: &EnsembleSpec) -> Self {
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
    /// The settings of an epoch (from 1), with its learning rate.
    pub fn at(&self, epoch: usize) -> Self {
        let done = (epoch - 1) as f32 / self.epochs as f32;
        Self { rate: self.rate * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()), ..*self }
    }
}

/// The optimisers of all parameters.
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

    /// One step with the gradients of the weights, in `weight_grad`, and of the bounds.
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

    /// Keeps `networks` if they are better. Returns whether training ends: patience is used up, or the loss is NaN.
    pub fn keep(&mut self, networks: &Networks, epoch: usize, loss: f64, patience: Option<usize>) -> bool {
        if loss < self.loss {
            self.networks.clone_from(networks);
            (self.epoch, self.loss) = (epoch, loss);
        }
        patience.is_some_and(|p| epoch >= self.epoch + p) || !loss.is_finite()
    }
}

/// A loss for which the last finite networks are the best.
pub fn last(networks: &Networks, epoch: usize) -> f64 {
    if networks.weights.iter().all(|w| w.is_finite()) { -(epoch as f64) } else { f64::NAN }
}

/// Trains all members, each on its own bag of blocks. With patience, the result is the epoch with the lowest loss on the
/// left-out blocks, averaged over members. Returns its number of epochs.
///
/// # Errors
/// Those of [`crate::compute::Backend`].
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
    let held = left_out.iter().map(Vec::len).min().unwrap_or(0).min(VALIDATION_ROWS);
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
            // Bags differ slightly in size.
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
