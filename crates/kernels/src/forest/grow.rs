//! Grows regression trees using the crate smartcore.
//!
//! smartcore does not expose the nodes of a tree, and its row-by-row prediction is slow. Therefore, this module
//! serialises the forest, reads the bytes into structures with the same layout, and flattens the trees. Because the
//! serialised layout is an implementation detail of smartcore, `Cargo.toml` pins the minor version, [`Tree::flatten`]
//! checks every tree, and a test compares the predictions with those of smartcore.

use serde::Deserialize;
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use super::tree::{GrownNode, Tree};
use crate::error::{Error, Result};

pub type Features = DenseMatrix<f32>;
type SmartcoreRegressor = RandomForestRegressor<f32, f64, Features, Vec<f64>>;

/// Settings of a forest.
#[derive(Debug, Clone, Copy)]
pub struct ForestSettings {
    pub trees: usize,
    /// Maximum number of levels in a tree, including the root.
    pub depth: u16,
    pub min_leaf: usize,
    pub features_per_split: usize,
    pub seed: u64,
}

/// Creates the feature matrix from a list of columns, `[features][rows]`.
///
/// # Errors
/// Returns [`Error::Failed`] if the number of values is not features × rows.
pub fn features(values: Vec<f32>, rows: usize, features: usize) -> Result<Features> {
    DenseMatrix::new(rows, features, values, true).map_err(internal)
}

/// Grows trees that predict `y` from `x`. Rows are drawn with replacement, with probabilities proportional to
/// `weights`.
///
/// # Errors
/// Returns [`Error::Failed`] if smartcore rejects the data, or if the serialised model does not
/// have the expected layout.
pub fn grow(
    x: &Features,
    y: &Vec<f64>,
    weights: &[f64],
    settings: ForestSettings,
    features: usize,
) -> Result<Vec<Tree>> {
    flatten(&fit(x, y, weights, settings)?, features)
}

fn fit(x: &Features, y: &Vec<f64>, weights: &[f64], settings: ForestSettings) -> Result<SmartcoreRegressor> {
    let parameters = RandomForestRegressorParameters::default()
        .with_n_trees(settings.trees)
        .with_max_depth(settings.depth)
        .with_min_samples_leaf(settings.min_leaf)
        .with_min_samples_split(2 * settings.min_leaf)
        .with_m(settings.features_per_split)
        .with_seed(settings.seed);
    SmartcoreRegressor::fit_with_weights(x, y, weights, parameters).map_err(internal)
}

fn flatten(fitted: &SmartcoreRegressor, features: usize) -> Result<Vec<Tree>> {
    let bytes = postcard::to_allocvec(fitted).map_err(internal)?;
    let trees = read(&bytes)?;
    trees
        .iter()
        .map(|tree| {
            let grown: Vec<GrownNode> = tree.nodes.iter().map(SmartcoreNode::grown).collect();
            Tree::flatten(&grown, features)
                .ok_or_else(|| Error::Failed("the nodes of a grown tree are inconsistent".into()))
        })
        .collect()
}

/// Reads the trees of a serialised forest. Trailing bytes cause an error.
fn read(bytes: &[u8]) -> Result<Vec<SmartcoreTree>> {
    match postcard::take_from_bytes::<SmartcoreModel>(bytes).map_err(internal)? {
        (SmartcoreModel { forest_regressor: Some(SmartcoreForest { trees: Some(trees), .. }) }, []) => Ok(trees),
        _ => Err(internal("the serialised smartcore model does not have the expected layout")),
    }
}

fn internal(e: impl std::fmt::Display) -> Error {
    Error::Failed(format!("growing a forest failed: {e}"))
}

// Serialised layout of a forest in smartcore 0.7. Unused fields are declared so that their bytes are skipped.

#[derive(Deserialize)]
struct SmartcoreModel {
    forest_regressor: Option<SmartcoreForest>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "fields of the layout")]
struct SmartcoreForest {
    trees: Option<Vec<SmartcoreTree>>,
    num_features: Option<usize>,
    samples: Option<Vec<Vec<bool>>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "fields of the layout")]
struct SmartcoreTree {
    nodes: Vec<SmartcoreNode>,
    parameters: Option<SmartcoreParameters>,
    depth: u16,
    root_mass: f64,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "fields of the layout")]
struct SmartcoreNode {
    output: f64,
    split_feature: usize,
    split_value: Option<f64>,
    split_score: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "fields of the layout")]
struct SmartcoreParameters {
    max_depth: Option<u16>,
    min_samples_leaf: usize,
    min_samples_split: usize,
    seed: Option<u64>,
    splitter: Splitter,
}

#[derive(Deserialize)]
enum Splitter {
    Random,
    Best,
}

impl SmartcoreNode {
    /// Converts the node to the form that [`Tree::flatten`] reads. A node without children is a
    /// leaf even if a split is stored in the node.
    fn grown(&self) -> GrownNode {
        match (self.split_value, self.true_child, self.false_child) {
            (Some(threshold), Some(low), Some(high)) => {
                GrownNode::Branch { feature: self.split_feature, threshold, children: [low, high] }
            }
            _ => GrownNode::Leaf(self.output),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tree::TILE;
    use super::*;
    use crate::rng::Key;

    #[test]
    fn flat_trees_predict_the_same_as_smartcore() {
        let (n, p) = (6000, 12);
        let key = Key::new(3);
        let values: Vec<f32> = (0..n * p).map(|i| key.normal(i as u64) as f32).collect();
        let y: Vec<f64> = (0..n)
            .map(|r| f64::from(values[r]).sin() * f64::from(values[n + r]) + 0.1 * key.fold(1).normal(r as u64))
            .collect();
        let weights: Vec<f64> = (0..n).map(|r| if r / 100 % 3 == 0 { 0.0 } else { 1.0 }).collect();
        let x = features(values.clone(), n, p).unwrap();
        let settings = ForestSettings { trees: 36, depth: 24, min_leaf: 8, features_per_split: 6, seed: 11 };
        let fitted = fit(&x, &y, &weights, settings).unwrap();
        let start = Instant::now();
        let theirs: Vec<f64> = fitted.predict(&x).unwrap();
        let their_seconds = start.elapsed().as_secs_f64();
        let trees = flatten(&fitted, p).unwrap();
        assert_eq!(trees.len(), 36);
        assert!(trees.iter().all(|t| t.is_valid(p) && t.nodes() > 100));
        let start = Instant::now();
        let mut ours = vec![0.0; n];
        let mut tile = vec![f32::NEG_INFINITY; (p + 1) * TILE];
        for (t, sums) in ours.chunks_mut(TILE).enumerate() {
            for k in 0..p {
                let first = k * n + t * TILE;
                tile[k * TILE..k * TILE + sums.len()].copy_from_slice(&values[first..first + sums.len()]);
            }
            trees.iter().for_each(|tree| tree.add(&tile, TILE, sums));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{:.0} rows/s, {:.1} times as fast as smartcore", n as f64 / seconds, their_seconds / seconds);
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a / trees.len() as f64 - b).abs()).fold(0.0, f64::max);
        // Leaf values are rounded to single precision. A prediction from the wrong leaf would differ by much more than
        // the rounding error of a leaf value.
        assert!(worst < 1e-6, "{worst}");
    }
}
