//! Random forests (Breiman 2001) on the residual of the linear model.
//!
//! > y = b + w · x + mean over trees of f_t(x)
//!
//! Trees cannot extrapolate, so outside the training data they add a constant to the linear model. The ensemble members
//! are groups of trees. Each group is grown on a bootstrap sample of blocks of about one day ([`Blocks`]), and each
//! split considers half of the inputs. Growing a tree takes O(p n log n), and a prediction takes O(depth) per row and
//! tree.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::artefact;
use super::blocks::Blocks;
use super::linear::Linear;
use crate::compute::forest::{ForestSettings, TILE, Tree, features, grow};
use crate::error::{Error, Result};
use crate::learn::dataset::Scaling;
use crate::learn::regressor::{Fit, Particle, Regressor};
use crate::rng::Key;

/// Number of ensemble members, each a group of trees (not tuned).
const GROUPS: usize = 6;
/// Number of trees in a group (not tuned).
const TREES: usize = 6;
/// Maximum number of rows used to grow trees (not tuned; more rows take longer and hardly improve the forest).
const MAX_ROWS: usize = 20_000;
/// Maximum number of rows used in a leave-one-fold-out refit (not tuned).
const DRAFT_ROWS: usize = 8_000;
/// Maximum number of levels. A residual with heavy tails needs deep trees, because each split separates only a few
/// extreme rows. In a test on a zone temperature, trees with 14 levels had more than twice the error of trees with 24
/// levels.
const LEVELS: u16 = 24;
/// Minimum number of rows in a leaf (not tuned).
const LEAF: usize = 8;
/// A residual is not learned if its standard deviation, relative to that of the target, is below this value (not
/// tuned).
const MIN_RESIDUAL_SD: f64 = 1e-3;
/// Size of a tile, in single-precision numbers. A tile occupies 32 KiB, the size of a first-level cache.
const TILE_SIZE: usize = 8192;

/// A linear model with one random forest per target. The mean model is the average of all trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    linear: Linear,
    /// Mean and inverse standard deviation of each input. The inputs of the trees are (x − mean) · inverse, in single
    /// precision.
    mean: Vec<f64>,
    inverse: Vec<f64>,
    /// Trees of each target: `[targets][groups * trees]`; empty for a target that the linear model already explains.
    trees: Vec<Vec<Tree>>,
}

impl Forest {
    pub(super) fn fit(fit: &Fit) -> Result<Self> {
        let Fit { data, rows, seed, draft, .. } = *fit;
        let linear = Linear::fit(fit)?;
        let (p, q) = (data.x.len(), data.y.len());
        if p + 1 > TILE_SIZE {
            return Err(Error::Data(format!(
                "the forest has too many inputs ({p}): reduce `model.lags`, or list signals in `model.ignore`"
            )));
        }
        let scaling = data.input_scaling(rows);
        let (mean, inverse) = (scaling.mean.clone(), scaling.inverse());
        if p == 0 {
            return Ok(Self { linear, mean, inverse, trees: vec![Vec::new(); q] });
        }

        // The blocks are formed before rows are subsampled, so that their duration does not depend on the stride of the
        // subsample.
        let blocks = Blocks::new(data, rows, &[]);
        let n = rows.len().min(if draft { DRAFT_ROWS } else { MAX_ROWS });
        let picked: Vec<usize> = (0..n).map(|i| i * rows.len() / n).collect();
        let mut block = vec![0; rows.len()];
        for (b, range) in blocks.ranges.iter().enumerate() {
            block[range.clone()].fill(b);
        }
        let mut values = Vec::with_capacity(n * p);
        for k in 0..p {
            values.extend(picked.iter().map(|&i| standardised(data.x[k][rows[i]], mean[k], inverse[k])));
        }
        let x = features(values, n, p)?;

        let columns: Vec<&[f64]> = data.x.iter().map(Vec::as_slice).collect();
        let mut fitted = vec![vec![0.0; data.len()]; q];
        linear.predict_rows(&columns, 0..data.len(), None, &mut fitted);
        let residuals: Vec<Vec<f64>> = data
            .y
            .iter()
            .zip(&fitted)
            .map(|(y, f)| picked.iter().map(|&i| y[rows[i]] - f[rows[i]]).collect())
            .collect();

        let key = Key::new(seed).fold(0x666f_7265_7374);
        let weights: Vec<Vec<f64>> = (0..GROUPS)
            .map(|g| {
                let counts = blocks.bootstrap(key.fold(g as u64));
                picked.iter().map(|&i| f64::from(counts[block[i]])).collect()
            })
            .collect();
        let everything: Vec<usize> = (0..n).collect();
        let left_over = Scaling::estimate(&residuals, &everything).sd;
        let target_sd = data.target_scaling(rows).sd;
        let tasks: Vec<(usize, usize)> = (0..q)
            .filter(|&j| left_over[j] > MIN_RESIDUAL_SD * target_sd[j])
            .flat_map(|j| (0..GROUPS).map(move |g| (j, g)))
            .collect();
        let grown: Result<Vec<Vec<Tree>>> = tasks
            .par_iter()
            .map(|&(j, g)| {
                let settings = ForestSettings {
                    trees: TREES,
                    depth: LEVELS,
                    min_leaf: LEAF,
                    features_per_split: p.div_ceil(2),
                    seed: key.fold(0x7365_6564).fold(j as u64).bits(g as u64),
                };
                Ok(grow(&x, &residuals[j], &weights[g], settings, p)?)
            })
            .collect();
        let mut trees = vec![Vec::new(); q];
        for ((j, _), group) in tasks.into_iter().zip(grown?) {
            trees[j].extend(group);
        }
        Ok(Self { linear, mean, inverse, trees })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let model: Self = artefact::decode("forest", bytes)?;
        model.linear.check()?;
        let (p, q) = model.linear.shape();
        let whole = |t: &Vec<Tree>| t.is_empty() || (p > 0 && t.len() == GROUPS * TREES);
        let fits = p < TILE_SIZE
            && [model.mean.len(), model.inverse.len(), model.trees.len()] == [p, p, q]
            && model.trees.iter().all(whole);
        if !fits {
            return Err(artefact::corrupt("forest", "its parts are inconsistent"));
        }
        if model.mean.iter().chain(&model.inverse).any(|v| !v.is_finite()) {
            return Err(artefact::corrupt("forest", "a scale is not finite"));
        }
        if !model.trees.iter().flatten().all(|t| t.is_valid(p)) {
            return Err(artefact::corrupt("forest", "a tree is invalid"));
        }
        Ok(model)
    }

    /// Fills a tile with the inputs of the trees at `rows`.
    fn load(&self, x: &[&[f64]], rows: &[usize], tile: &mut [f32; TILE_SIZE]) {
        for ((x, column), (mean, inverse)) in
            x.iter().zip(tile.chunks_exact_mut(rows.len())).zip(self.mean.iter().zip(&self.inverse))
        {
            for (f, &r) in column.iter_mut().zip(rows) {
                *f = standardised(x[r], *mean, *inverse);
            }
        }
        let end = x.len() * rows.len();
        tile[end..end + rows.len()].fill(f32::NEG_INFINITY);
    }

    /// Adds the trees of one member to the predictions at `rows`.
    fn add_trees(
        &self,
        x: &[&[f64]],
        rows: &[usize],
        member: Option<usize>,
        tile: &mut [f32; TILE_SIZE],
        out: &mut [Vec<f64>],
    ) {
        self.load(x, rows, tile);
        for (trees, out) in self.trees.iter().zip(out).filter(|(trees, _)| !trees.is_empty()) {
            let trees = match member {
                None => trees.as_slice(),
                Some(g) => &trees[g * TREES..(g + 1) * TREES],
            };
            let mut sums = [0.0; TILE];
            let sums = &mut sums[..rows.len()];
            for tree in trees {
                tree.add(tile, rows.len(), sums);
            }
            for (&r, sum) in rows.iter().zip(sums) {
                out[r] += *sum / trees.len() as f64;
            }
        }
    }
}

fn standardised(x: f64, mean: f64, inverse: f64) -> f32 {
    ((x - mean) * inverse) as f32
}

impl Regressor for Forest {
    fn name(&self) -> &'static str {
        "forest"
    }

    fn shape(&self) -> (usize, usize) {
        self.linear.shape()
    }

    fn members(&self) -> usize {
        GROUPS
    }

    fn predict(&self, x: &[&[f64]], particles: &[Particle], out: &mut [Vec<f64>]) {
        for group in particles.chunk_by(|a, b| a.rows.end == b.rows.start) {
            if let [first, .., last] | [first @ last] = group {
                self.linear.predict_rows(x, first.rows.start..last.rows.end, None, out);
            }
        }
        if self.trees.iter().all(Vec::is_empty) {
            return;
        }
        let tile_rows = (TILE_SIZE / (x.len() + 1)).clamp(1, TILE);
        let mut tile = [0.0; TILE_SIZE];
        let mut rows = [0; TILE];
        // Rows of the same member are evaluated together, because a particle may have only a few rows.
        for function in (0..=GROUPS).map(|g| g.checked_sub(1)) {
            let mut n = 0;
            for particle in particles.iter().filter(|p| p.member.map(|m| m % GROUPS) == function) {
                let Range { start, end } = particle.rows;
                for row in start..end {
                    rows[n] = row;
                    n += 1;
                    if n == tile_rows {
                        self.add_trees(x, &rows[..n], function, &mut tile, out);
                        n = 0;
                    }
                }
            }
            if n > 0 {
                self.add_trees(x, &rows[..n], function, &mut tile, out);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        artefact::encode(self)
    }

    /// Computes the standard deviation of the predictions over the groups of trees. The linear
    /// model does not contribute to the standard deviation, because it is the same for all groups.
    fn epistemic(&self, x: &[&[f64]], rows: usize, out: &mut [Vec<f64>]) {
        out.iter_mut().for_each(|o| o[..rows].fill(0.0));
        if self.trees.iter().all(Vec::is_empty) {
            return;
        }
        let tile_rows = (TILE_SIZE / (x.len() + 1)).clamp(1, TILE);
        let mut tile = [0.0; TILE_SIZE];
        let mut numbers = [0; TILE];
        for start in (0..rows).step_by(tile_rows) {
            let n = tile_rows.min(rows - start);
            numbers.iter_mut().zip(start..start + n).for_each(|(number, row)| *number = row);
            self.load(x, &numbers[..n], &mut tile);
            for (trees, out) in self.trees.iter().zip(out.iter_mut()).filter(|(trees, _)| !trees.is_empty()) {
                let mut groups = [[0.0; TILE]; GROUPS];
                for (sums, group) in groups.iter_mut().zip(trees.chunks_exact(TREES)) {
                    group.iter().for_each(|tree| tree.add(&tile, n, &mut sums[..n]));
                }
                let (mut mean, mut squares) = ([0.0; TILE], [0.0; TILE]);
                for group in &groups {
                    mean.iter_mut().zip(group).for_each(|(m, g)| *m += g / GROUPS as f64);
                }
                for group in &groups {
                    squares.iter_mut().zip(group).zip(&mean).for_each(|((s, g), m)| *s += (g - m) * (g - m));
                }
                for (out, s) in out[start..start + n].iter_mut().zip(squares) {
                    *out = (s / (GROUPS as f64 - 1.0)).sqrt() / TREES as f64;
                }
            }
        }
    }
}
