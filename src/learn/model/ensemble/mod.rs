//! Probabilistic ensembles of neural networks (PETS: Chua et al. 2018).
//!
//! > y = b + w · x + μ_m(x) + σ_m(x) ε for member m
//!
//! By default the networks learn the residual of a linear model, because most plants are nearly linear. Outside the
//! training data the networks are constant and the linear model extrapolates. Each member minimises the Gaussian
//! negative log-likelihood (see `loss`) on a bootstrap sample of blocks of about a day, with early stopping on the
//! blocks that are not in its sample. The mean model averages the members. Training takes O(epochs · n · weights).

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

/// Number of rows evaluated at a time (guess).
const TILE: usize = 256;

/// A linear model and an ensemble of networks.
#[derive(Debug)]
pub struct Ensemble {
    stored: StoredEnsemble,
    compute: Compute,
    /// One set of buffers for each concurrent prediction.
    buffers: Mutex<Vec<Vec<Tile>>>,
}

/// The serialised part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredEnsemble {
    linear: Option<Linear>,
    scales: Scales,
    networks: Networks,
    /// Number of epochs of one-step training, followed by that of training on simulations if there was any.
    epochs: Vec<usize>,
}

/// A function that uses the outputs of the networks for a tile.
type TileTask<'a> = dyn Fn(&mut Tile, Option<usize>, &mut [Vec<f64>]) -> Result<()> + 'a;

/// Rows of one member, or of the mean of all members, with their buffers.
#[derive(Debug, Default)]
struct Tile {
    function: Option<usize>,
    rows: Vec<usize>,
    failed: bool,
    pass: Pass,
    loss: Loss,
    out_grad: Vec<f32>,
    x_grad: Vec<f32>,
}

impl Ensemble {
    pub(super) fn fit(fit: &Fit) -> Result<Self> {
        let Fit { data, rows, seed, options, compute, hyper, .. } = *fit;
        let spec = &options.ensemble;
        let (p, q) = (data.x.len(), data.y.len());
        if p == 0 || q == 0 {
            return Err(Error::Data(
                "the ensemble has no inputs: every signal is a constant, an output or listed in `model.ignore`. Remove a signal \
                 from `model.ignore`, or remove `ensemble` from `model.choose`"
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
        let length = options.rollout_loss.value;
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
            return Err(artefact::corrupt("ensemble", "its parts are inconsistent, or contain NaN"));
        }
        if let Some(linear) = linear {
            linear.check()?;
            if linear.shape() != (networks.inputs(), networks.targets()) {
                return Err(artefact::corrupt("ensemble", "the shape of its linear part does not match its networks"));
            }
        }
        Ok(Self::new(stored, compute))
    }

    /// Evaluates the networks for all rows and calls `work` for each tile, whose `pass` contains the outputs
    /// `[members or 1][2 targets][rows]`. If the device fails for some rows, the columns of `out` are NaN there.
    fn for_each_tile(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>], work: &TileTask) {
        let networks = &self.stored.networks;
        // Several tiles per thread balance the load. With one thread, one tile stays in the cache.
        let max_tiles = match rayon::current_num_threads() {
            1 => 1,
            threads => 4 * threads,
        };
        let pop = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tiles = pop().unwrap_or_default();
        let mut filled = 0;
        // Rows of the same member are evaluated together, because particles may have few rows each.
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

    /// Writes the linear part of the prediction; zero if there is none.
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

    fn vjp(&self, x: &[&[f64]], particles: &[Particle], cotangent: &[Vec<f64>], out: &mut [Vec<f64>]) {
        let StoredEnsemble { linear, scales, .. } = &self.stored;
        let (p, q) = self.shape();
        for rows in particles.iter().map(|p| p.rows.clone()) {
            match linear {
                Some(linear) => linear.vjp_rows(rows, None, cotangent, out),
                None => out.iter_mut().take(p).for_each(|o| o[rows.clone()].fill(0.0)),
            }
        }
        self.for_each_tile(x, particles, out, &|tile, function, out| {
            let (net, n) = (self.net(function), tile.rows.len());
            tile.out_grad.clear();
            tile.out_grad.resize(tile.pass.out.len(), 0.0);
            tile.x_grad.resize(tile.pass.x.len(), 0.0);
            for member in tile.out_grad.chunks_exact_mut(2 * q * n) {
                for (j, column) in member.chunks_exact_mut(n).enumerate().take(q) {
                    for (g, &r) in column.iter_mut().zip(&tile.rows) {
                        *g = (cotangent[j][r] * scales.target_sd[j] / net.members as f64) as f32;
                    }
                }
            }
            let Pass { x: z, tape, .. } = &mut tile.pass;
            self.compute.backward(&net, z, n, tape, &tile.out_grad, &mut [], Some(&mut tile.x_grad))?;
            for (i, &r) in tile.rows.iter().enumerate() {
                for (k, out) in out.iter_mut().enumerate().take(p) {
                    for (z, slope) in scales.slopes(k) {
                        let value = scales.unclamped(z, |k| x[k][r]);
                        if (scales.low[z]..=scales.high[z]).contains(&value) {
                            let grads = tile.x_grad[z * n + i..].iter().step_by(p * n);
                            out[r] += slope * grads.map(|g| f64::from(*g)).sum::<f64>();
                        }
                    }
                }
            }
            Ok(())
        });
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

    /// The standard deviation over the members, to which the linear part does not contribute.
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compute::cpu;
    use crate::config::{EnsembleSpec, ModelSpec};
    use crate::learn::dataset::Dataset;
    use crate::learn::layout::{Layout, Target};

    /// Two inputs, a lag of the first, and a nonlinear target whose noise grows with the second input.
    fn data(n: usize) -> Dataset {
        let z = |k: u64, t: usize| Key::new(k).normal(t as u64);
        let column = |f: &dyn Fn(usize) -> f64| (1..=n).map(f).collect::<Vec<f64>>();
        let noise = |t: usize| 0.05 + 0.4 * f64::from(z(2, t) > 0.0);
        Dataset {
            layout: Layout { inputs: vec![(0, 0), (0, 1), (1, 0)], targets: vec![Target::Level(2)] },
            x: vec![column(&|t| 10.0 + z(1, t)), column(&|t| 10.0 + z(1, t - 1)), column(&|t| z(2, t))],
            y: vec![column(&|t| (2.0 * z(1, t)).sin() + 0.5 * z(1, t - 1) + noise(t) * z(3, t))],
            row: (0..n).collect(),
            step_ms: 1000,
        }
    }

    fn fitted(data: &Dataset, spec: EnsembleSpec, draft: bool, hyper: &[f64]) -> Ensemble {
        let options = ModelSpec { ensemble: spec, ..ModelSpec::default() };
        let rows: Vec<usize> = (0..data.len()).collect();
        let folds: Vec<Vec<usize>> = rows.chunks(data.len() / 3).map(<[usize]>::to_vec).collect();
        let compute = cpu();
        let fit = Fit { data, rows: &rows, folds: &folds, options: &options, seed: 3, compute: &compute, draft, hyper };
        Ensemble::fit(&fit).unwrap()
    }

    fn small() -> EnsembleSpec {
        EnsembleSpec {
            members: 3.into(),
            layers: vec![16.into(), 16.into()],
            batch: 64.into(),
            ..EnsembleSpec::default()
        }
    }

    fn columns(data: &Dataset) -> Vec<&[f64]> {
        data.x.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn a_nonlinear_mean_and_its_noise_level_are_learned() {
        let data = data(3000);
        let model = fitted(&data, small(), false, &[]);
        let n = data.len();
        let (mut mean, mut sd) = (vec![vec![0.0; n]], vec![vec![0.0; n]]);
        let all = [Particle { member: None, rows: 0..n }];
        model.predict(&columns(&data), &all, &mut mean);
        assert!(model.aleatoric(&columns(&data), &all, &mut sd));
        let truth = |r: usize| (2.0 * (data.x[0][r] - 10.0)).sin() + 0.5 * (data.x[1][r] - 10.0);
        let error = (0..n).map(|r| (mean[0][r] - truth(r)).powi(2)).sum::<f64>() / n as f64;
        assert!(error.sqrt() < 0.15, "{}", error.sqrt());
        let typical = |noisy: bool| {
            let rows: Vec<usize> =
                (0..n).filter(|&r| (data.x[2][r] > 0.0) == noisy && data.x[2][r].abs() > 0.3).collect();
            rows.iter().map(|&r| sd[0][r]).sum::<f64>() / rows.len() as f64
        };
        assert!(
            (0.03..0.15).contains(&typical(false)) && (0.35..0.6).contains(&typical(true)),
            "{} {}",
            typical(false),
            typical(true)
        );
    }

    #[test]
    fn vector_jacobian_products_agree_with_central_differences() {
        let data = data(600);
        for mean in [MeanSpec::Linear, MeanSpec::Constant] {
            let model = fitted(&data, EnsembleSpec { mean: mean.into(), ..small() }, false, &[]);
            let n = 40;
            let particles = [
                Particle { member: None, rows: 0..20 },
                Particle { member: Some(1), rows: 20..33 },
                Particle { member: Some(5), rows: 33..n },
            ];
            let x: Vec<Vec<f64>> = data.x.iter().map(|c| c[..n].to_vec()).collect();
            let predict = |x: &[Vec<f64>]| {
                let mut out = vec![vec![0.0; n]];
                model.predict(&x.iter().map(Vec::as_slice).collect::<Vec<_>>(), &particles, &mut out);
                out.remove(0)
            };
            let cotangent = vec![(0..n).map(|r| 1.0 + r as f64 / 10.0).collect::<Vec<f64>>()];
            let mut grad = vec![vec![f64::NAN; n]; 3];
            let columns: Vec<&[f64]> = x.iter().map(Vec::as_slice).collect();
            model.vjp(&columns, &particles, &cotangent, &mut grad);
            for k in 0..3 {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x[k].iter_mut().for_each(|v| *v += by);
                    predict(&x)
                };
                let (up, down) = (moved(1e-2), moved(-1e-2));
                for r in 0..n {
                    let slope = cotangent[0][r] * (up[r] - down[r]) / 2e-2;
                    assert!((slope - grad[k][r]).abs() < 0.03 * (1.0 + slope.abs()), "{k} {r}: {slope} {}", grad[k][r]);
                }
            }
        }
    }

    #[test]
    fn a_draft_repeats_the_epochs_of_the_full_fit() {
        let data = data(600);
        let full = fitted(&data, small(), false, &[]);
        let hyper = full.hyper();
        assert_eq!(hyper.len(), 1);
        assert_eq!(fitted(&data, small(), true, &hyper).encode(), full.encode());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// The predictions of a model decoded from damaged bytes must not panic.
        #[test]
        fn damaged_bytes_give_an_error_or_a_valid_model(
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
            keep in prop::option::of(any::<prop::sample::Index>()),
        ) {
            static ENCODED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let encoded = ENCODED.get_or_init(|| {
                let spec = EnsembleSpec { layers: vec![3.into()], epochs: 1.into(), ..small() };
                fitted(&data(100), spec, false, &[]).encode()
            });
            let mut bytes = encoded.clone();
            for (at, bit) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            if let Some(keep) = keep {
                bytes.truncate(keep.index(bytes.len()));
            }
            if let Ok(model) = Ensemble::decode(&bytes, &cpu()) {
                let (p, q) = model.shape();
                let x = vec![[0.5; 2]; p];
                let mut out = vec![vec![0.0; 2]; q];
                let x: Vec<&[f64]> = x.iter().map(|c| c.as_slice()).collect();
                model.predict(&x, &[Particle { member: Some(0), rows: 0..2 }], &mut out);
            } else {
                prop_assert_ne!(&bytes, encoded);
            }
        }
    }
}
