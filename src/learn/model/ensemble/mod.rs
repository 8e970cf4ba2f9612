//! Probabilistic ensembles of neural networks (PETS: Chua et al. 2018).
//!
//! > y = b + w · x + μ_m(x) + σ_m(x) ε for member m
//!
//! By default, the networks learn the residual of a linear model, because most plants are nearly linear. Outside the
//! training data, the predictions of the networks are constant, and the linear model extrapolates. Each member
//! minimises the Gaussian negative log-likelihood (see `loss`) on a bootstrap sample of blocks of about one day, with
//! early stopping on the blocks that are not in its sample. The mean model is the average of the members. Training
//! takes O(epochs · n · weights).

mod adam;
mod loss;
mod networks;
mod samples;
mod scales;
mod simulation;
mod training;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::artefact;
use super::blocks::Blocks;
use super::feedback::{Feedback, longest_window, sequence_ends};
use super::linear::Linear;
use crate::compute::Compute;
use crate::config::MeanSpec;
use crate::error::{Error, Result};
use crate::learn::regressor::{Fit, Particle, Regressor};
use crate::rng::Key;
use loss::Loss;
use networks::{Networks, Pass};
use samples::{Bags, Samples};
use scales::Scales;
use simulation::Simulation;
use training::{Settings, train};

/// Number of rows evaluated at a time (not tuned).
const TILE: usize = 256;

/// A linear model and an ensemble of networks.
#[derive(Debug)]
pub struct Ensemble {
    stored: StoredEnsemble,
    compute: Compute,
    /// Sets of buffers, one for each concurrent prediction.
    buffers: Mutex<Vec<Vec<Tile>>>,
}

/// The serialised part of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredEnsemble {
    linear: Option<Linear>,
    scales: Scales,
    networks: Networks,
    /// Number of epochs of one-step training and, if used, of training on simulations.
    epochs: Vec<usize>,
}

/// A function that processes the outputs of the networks for one tile.
type TileTask<'a> = dyn Fn(&mut Tile, Option<usize>, &mut [Vec<f64>]) -> Result<()> + 'a;

/// Rows evaluated by one member or by the mean of all members, with the buffers for the evaluation.
#[derive(Debug, Default)]
struct Tile {
    function: Option<usize>,
    rows: Vec<usize>,
    failed: bool,
    pass: Pass,
    loss: Loss,
}

impl Ensemble {
    pub(super) fn fit(fit: &Fit) -> Result<Self> {
        let Fit { data, rows, seed, options, compute, hyper, .. } = *fit;
        let spec = &options.ensemble;
        let (p, q) = (data.x.len(), data.y.len());
        if p == 0 || q == 0 {
            return Err(Error::Data(
                "the ensemble has no inputs: every signal is a constant, an output or listed in `model.ignore`. Remove \
                 a signal from `model.ignore`, or remove `ensemble` from `model.choose`"
                    .into(),
            ));
        }
        let linear = if spec.mean.value == MeanSpec::Linear { Some(Linear::fit(fit)?) } else { None };
        let mut y = data.y.clone();
        if let Some(linear) = &linear {
            let columns: Vec<&[f64]> = data.x.iter().map(Vec::as_slice).collect();
            let mut fitted = vec![vec![0.0; data.len()]; q];
            linear.predict_rows(&columns, 0..data.len(), None, &mut fitted);
            for (y, f) in y.iter_mut().flatten().zip(fitted.iter().flatten()) {
                *y -= f;
            }
        }
        let scales = Scales::estimate(data, &y, rows);
        let samples = Samples::new(data, &y, rows, &scales);
        let key = Key::new(seed).fold(0x656e_7365_6d62);
        let hidden: Vec<usize> = spec.layers.iter().map(|w| w.value.max(1)).collect();
        let mut networks = Networks::new(spec.members.value.max(1), p, &hidden, q, key.fold(0));
        let blocks = Blocks::new(data, rows, &[]);
        let bags = Bags::new(&blocks, networks.members, key.fold(1));
        let mut settings = Settings::new(spec);
        if let [epochs, ..] = hyper {
            (settings.limit, settings.patience) = (epochs.max(1.0) as usize, None);
        }
        let mut epochs = vec![train(&mut networks, &samples, &blocks, &bags, &settings, compute, key.fold(2))?];
        let length = options.rollout_steps();
        if length > 1 {
            let feedback = Feedback::new(&data.layout);
            let ends = sequence_ends(data, rows);
            let length = longest_window(&ends, length);
            let mut simulation = Simulation::new(&samples, &scales, &feedback, linear.as_ref(), length);
            if let [_, epochs] = hyper {
                settings.limit = epochs.max(1.0) as usize;
            }
            epochs.push(simulation::train(
                &mut simulation,
                &mut networks,
                &blocks,
                &ends,
                &bags,
                &settings,
                compute,
                key.fold(3),
            )?);
        }
        Ok(Self::new(StoredEnsemble { linear, scales, networks, epochs }, compute))
    }

    fn new(stored: StoredEnsemble, compute: &Compute) -> Self {
        Self { stored, compute: compute.clone(), buffers: Mutex::default() }
    }

    pub(super) fn decode(bytes: &[u8], compute: &Compute) -> Result<Self> {
        let stored: StoredEnsemble = artefact::decode("ensemble", bytes)?;
        let StoredEnsemble { linear, scales, networks, .. } = &stored;
        if !networks.is_valid() || !scales.is_valid(networks.inputs(), networks.targets()) {
            return Err(artefact::corrupt("ensemble", "its parts are inconsistent or contain NaN"));
        }
        if let Some(linear) = linear {
            linear.check()?;
            if linear.shape() != (networks.inputs(), networks.targets()) {
                return Err(artefact::corrupt("ensemble", "its linear part and its networks have different shapes"));
            }
        }
        Ok(Self::new(stored, compute))
    }

    /// Evaluates the networks for all rows and calls `work` for each tile. The field `pass` of a tile contains the
    /// outputs: `[members or 1][2 targets][rows]`. If the device fails for some rows, the corresponding rows of `out`
    /// are set to NaN.
    fn for_each_tile(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>], work: &TileTask) {
        let networks = &self.stored.networks;
        // Using several tiles per thread balances the load. With a single thread, a single tile is reused so that it
        // stays in the cache.
        let max_tiles = match rayon::current_num_threads() {
            1 => 1,
            threads => 4 * threads,
        };
        let pop = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tiles = pop().unwrap_or_default();
        let mut filled = 0;
        // Rows of the same member are evaluated together, because a particle may have only a few rows.
        for function in (0..=networks.members).map(|m| m.checked_sub(1)) {
            let uses_function = |p: &&Particle| p.member.map(|m| m % networks.members) == function;
            for row in particles.iter().filter(uses_function).flat_map(|p| p.rows.clone()) {
                if tiles.len() == filled {
                    tiles.push(Tile::default());
                }
                let tile = &mut tiles[filled];
                tile.function = function;
                tile.rows.push(row);
                filled += usize::from(tile.rows.len() == TILE);
                if filled == max_tiles {
                    self.pass(x, &mut tiles[..filled], out, work);
                    filled = 0;
                }
            }
            filled += usize::from(tiles.get(filled).is_some_and(|tile| !tile.rows.is_empty()));
            if filled == max_tiles {
                self.pass(x, &mut tiles[..filled], out, work);
                filled = 0;
            }
        }
        self.pass(x, &mut tiles[..filled], out, work);
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(tiles);
    }

    /// Evaluates the networks for all tiles in parallel, then calls `work` for each tile in order.
    fn pass(&self, x: &[&[f64]], tiles: &mut [Tile], out: &mut [Vec<f64>], work: &TileTask) {
        tiles.par_iter_mut().for_each(|tile| tile.failed = self.forward(x, tile).is_err());
        for tile in tiles {
            let function = tile.function;
            if tile.failed || work(tile, function, out).is_err() {
                for column in out.iter_mut() {
                    tile.rows.iter().for_each(|&r| column[r] = f64::NAN);
                }
            }
            tile.rows.clear();
        }
    }

    /// Evaluates the networks for one tile.
    fn forward(&self, x: &[&[f64]], tile: &mut Tile) -> Result<()> {
        let StoredEnsemble { scales, networks, .. } = &self.stored;
        let (net, n) = (self.net(tile.function), tile.rows.len());
        tile.pass.fit(&net, n);
        let (first, others) = tile.pass.x.split_at_mut(networks.inputs() * n);
        for (k, column) in first.chunks_exact_mut(n).enumerate() {
            for (z, &r) in column.iter_mut().zip(&tile.rows) {
                *z = scales.input(k, |k| x[k][r]);
            }
        }
        for other in others.chunks_exact_mut(networks.inputs() * n) {
            other.copy_from_slice(first);
        }
        tile.pass.forward(&net, n, &self.compute)
    }

    fn net(&self, function: Option<usize>) -> crate::compute::Net<'_> {
        let networks = &self.stored.networks;
        function.map_or_else(|| networks.net(), |m| networks.member(m))
    }

    /// Writes the linear part of the prediction, or zeros if the model has no linear part.
    fn linear(&self, x: &[&[f64]], rows: Range<usize>, out: &mut [Vec<f64>]) {
        match &self.stored.linear {
            Some(linear) => linear.predict_rows(x, rows, None, out),
            None => out.iter_mut().for_each(|o| o[rows.clone()].fill(0.0)),
        }
    }
}

impl Regressor for Ensemble {
    fn name(&self) -> &'static str {
        "ensemble"
    }

    fn shape(&self) -> (usize, usize) {
        (self.stored.networks.inputs(), self.stored.networks.targets())
    }

    fn members(&self) -> usize {
        self.stored.networks.members
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for group in particles.chunk_by(|a, b| a.rows.end == b.rows.start) {
            if let [first, .., last] | [first @ last] = group {
                self.linear(x, first.rows.start..last.rows.end, out);
            }
        }
        let StoredEnsemble { scales, networks, .. } = &self.stored;
        self.for_each_tile(x, particles, out, &|tile, _, out| {
            let n = tile.rows.len();
            let share = 1.0 / (tile.pass.out.len() / (2 * networks.targets() * n)) as f64;
            for (j, out) in out.iter_mut().enumerate().take(networks.targets()) {
                let (mean, sd) = (scales.target_mean[j], scales.target_sd[j]);
                for (i, &r) in tile.rows.iter().enumerate() {
                    let means = tile.pass.out[j * n + i..].iter().step_by(2 * networks.targets() * n);
                    out[r] += mean + sd * share * means.map(|v| f64::from(*v)).sum::<f64>();
                }
            }
            Ok(())
        });
    }

    fn encode(&self) -> Vec<u8> {
        artefact::encode(&self.stored)
    }

    fn is_differentiable(&self) -> bool {
        true
    }

    fn aleatoric(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) -> bool {
        let StoredEnsemble { scales, networks, .. } = &self.stored;
        let q = networks.targets();
        self.for_each_tile(x, particles, out, &|tile, _, out| {
            let n = tile.rows.len();
            let members = tile.pass.out.len() / (2 * q * n);
            for (j, out) in out.iter_mut().enumerate().take(q) {
                for m in 0..members {
                    let lv = &mut tile.pass.out[(m * 2 * q + q + j) * n..][..n];
                    tile.loss.bound(lv, networks.lower[j], networks.upper[j]);
                }
                for (i, &r) in tile.rows.iter().enumerate() {
                    let lv = tile.pass.out[(q + j) * n + i..].iter().step_by(2 * q * n);
                    let variance = lv.map(|v| f64::from(*v).exp()).sum::<f64>() / members as f64;
                    out[r] = scales.target_sd[j] * variance.sqrt();
                }
            }
            Ok(())
        });
        true
    }

    /// Computes the standard deviation of the predictions over the members. The linear part does
    /// not contribute to the standard deviation, because it is the same for all members.
    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        let StoredEnsemble { scales, networks, .. } = &self.stored;
        let (q, members) = (networks.targets(), networks.members as f64);
        self.for_each_tile(x, &[Particle { member: None, rows: 0..rows }], out, &|tile, _, out| {
            let n = tile.rows.len();
            for (j, out) in out.iter_mut().enumerate().take(q) {
                for (i, &r) in tile.rows.iter().enumerate() {
                    let means = || tile.pass.out[j * n + i..].iter().step_by(2 * q * n).map(|v| f64::from(*v));
                    let mean = means().sum::<f64>() / members;
                    let squares = means().map(|v| (v - mean).powi(2)).sum::<f64>();
                    out[r] = scales.target_sd[j] * (squares / (members - 1.0).max(1.0)).sqrt();
                }
            }
            Ok(())
        });
    }

    fn hyper(&self) -> Vec<f64> {
        self.stored.epochs.iter().map(|e| *e as f64).collect()
    }
}

#[cfg(test)]
#[path = "../../../../tests/unit/learn/model/ensemble.rs"]
mod tests;
