//! One-step training with mini-batches and early stopping.
//!
//! All members are trained together, each on its own bootstrap sample. The learning rate follows a cosine decay
//! (Loshchilov & Hutter 2017). After every epoch, the loss on the left-out blocks is evaluated. Training ends when the
//! loss has not improved for `patience` epochs, and the best networks are returned.

use super::adam::Adam;
use super::loss::Loss;
use super::networks::{Networks, Pass};
use super::samples::{Bags, Samples, shuffle};
use crate::compute::Compute;
use crate::config::EnsembleSpec;
use crate::error::Result;
use crate::learn::model::blocks::Blocks;
use crate::rng::Key;

/// Maximum number of validation rows per member for early stopping (not tuned).
const VALIDATION_ROWS: usize = 2_000;

/// Settings of the optimiser.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Number of epochs over which the learning rate decays.
    pub epochs: usize,
    /// Maximum number of epochs.
    pub limit: usize,
    /// Number of epochs without improvement after which training ends. If `patience` is `None`, training runs for all
    /// epochs and returns the networks of the last epoch.
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
    /// Returns the settings with the learning rate for an epoch (1-based).
    pub fn at(&self, epoch: usize) -> Self {
        let done = (epoch - 1) as f32 / self.epochs as f32;
        Self { rate: self.rate * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()), ..*self }
    }
}

/// The optimisers of all parameters.
#[derive(Debug)]
pub struct Optimisers {
    weights: Adam,
    lower: Adam,
    upper: Adam,
    pub weight_grad: Vec<f32>,
}

impl Optimisers {
    pub fn new(networks: &Networks) -> Self {
        let n = networks.weights.len();
        let bounds = Adam::new(networks.targets());
        Self { weights: Adam::new(n), lower: bounds.clone(), upper: bounds, weight_grad: vec![0.0; n] }
    }

    /// Updates the networks with the gradient `weight_grad` of the weights and the gradient `bound_grad` of the
    /// log-variance bounds.
    pub fn step(&mut self, networks: &mut Networks, bound_grad: &[f32], settings: &Settings) {
        let q = networks.targets();
        self.weights.step(&mut networks.weights, &self.weight_grad, settings.rate, settings.decay);
        self.lower.step(&mut networks.lower, &bound_grad[..q], settings.rate, 0.0);
        self.upper.step(&mut networks.upper, &bound_grad[q..], settings.rate, 0.0);
    }
}

/// The best networks so far.
#[derive(Debug)]
pub struct BestNetworks {
    pub networks: Networks,
    pub epoch: usize,
    loss: f64,
}

impl BestNetworks {
    pub fn new(networks: &Networks) -> Self {
        Self { networks: networks.clone(), epoch: 0, loss: f64::INFINITY }
    }

    /// Keeps a copy of `networks` if they have the lowest loss so far. Returns `true` if training must end because the
    /// loss has not improved for `patience` epochs or is not finite.
    pub fn update(&mut self, networks: &Networks, epoch: usize, loss: f64, patience: Option<usize>) -> bool {
        if loss < self.loss {
            self.networks.clone_from(networks);
            (self.epoch, self.loss) = (epoch, loss);
        }
        patience.is_some_and(|p| epoch >= self.epoch + p) || !loss.is_finite()
    }
}

/// A substitute loss that decreases with every epoch, so that the most recent networks are considered the best; NaN if
/// a weight is not finite.
pub fn loss_without_validation(networks: &Networks, epoch: usize) -> f64 {
    if networks.weights.iter().all(|w| w.is_finite()) { -(epoch as f64) } else { f64::NAN }
}

/// Trains all members, each on its own bootstrap sample of blocks. If `patience` is set, `networks` contains the
/// networks of the epoch in which the loss on the left-out blocks, averaged over members, is
/// lowest. Returns the number of the epoch from which the final networks were taken.
///
/// # Errors
/// Returns any error of [`crate::compute::Backend`].
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
    let validation = left_out.iter().map(Vec::len).min().unwrap_or(0).min(VALIDATION_ROWS);
    let validation: Vec<Vec<usize>> =
        left_out.iter().map(|rows| (0..validation).map(|i| rows[i * rows.len() / validation]).collect()).collect();

    let mut optimisers = Optimisers::new(networks);
    let (mut pass, mut loss, mut t) = (Pass::default(), Loss::default(), Vec::new());
    let mut best = BestNetworks::new(networks);
    let n = samples.len();
    for epoch in 1..=settings.limit {
        let now = settings.at(epoch);
        for (m, order) in order.iter_mut().enumerate() {
            shuffle(order, key.fold(epoch as u64).fold(m as u64));
        }
        for start in (0..n).step_by(settings.batch) {
            let rows = settings.batch.min(n - start);
            // Bootstrap samples differ slightly in size, so rows of the smaller samples are repeated.
            let picked: Vec<Vec<usize>> =
                order.iter().map(|o| (start..start + rows).map(|i| o[i % o.len()]).collect()).collect();
            samples.gather(&picked, &mut pass, &mut t);
            let net = networks.net();
            pass.fit(&net, rows);
            pass.forward(&net, rows, compute)?;
            loss.evaluate(networks, &pass.out, &t, rows);
            compute.backward(&net, &pass.x, rows, &mut pass.tape, &loss.out_grad, &mut optimisers.weight_grad, None)?;
            optimisers.step(networks, &loss.bound_grad, &now);
        }
        let validation_loss = if settings.patience.is_some() {
            let rows = validation.first().map_or(0, Vec::len);
            samples.gather(&validation, &mut pass, &mut t);
            let net = networks.net();
            pass.fit(&net, rows);
            pass.forward(&net, rows, compute)?;
            loss.evaluate(networks, &pass.out, &t, rows)
        } else {
            loss_without_validation(networks, epoch)
        };
        if best.update(networks, epoch, validation_loss, settings.patience) {
            break;
        }
    }
    *networks = best.networks;
    Ok(best.epoch)
}
