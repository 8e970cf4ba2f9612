//! Regression trees, stored as flat lists of eight-byte nodes and evaluated for many rows at once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Maximum number of rows that are evaluated at once (not tuned; see `forest` in `benches/ensemble.rs`).
pub const TILE: usize = 64;

/// A branch or a leaf. At a branch, a row goes to node `child + 1` if its `feature` is greater than `value`, and
/// otherwise to node `child`. A row whose `feature` is NaN goes to `child`.
///
/// At a leaf, `value` is the prediction and `child` is the leaf itself. The `feature` of a leaf is one past the last
/// feature: it selects a column of −∞, so every row stays at the leaf. Because rows stay at their leaves, all rows can
/// take the same number of steps, and the loop does not have to test for leaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Node {
    value: f32,
    feature: u16,
    child: u16,
}

/// A node of a tree before flattening, in which children can have any index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GrownNode {
    Leaf(f64),
    /// Rows with `feature` ≤ `threshold` go to the first child, and all other rows go to the second child. `children`
    /// are node indices.
    Branch {
        feature: usize,
        threshold: f64,
        children: [usize; 2],
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Maximum number of branches between the root and a leaf.
    depth: u16,
    /// Node 0 is the root.
    nodes: Vec<Node>,
}

impl Tree {
    /// Flattens a tree over `features` single-precision features, with node 0 as the root. Returns `None` if the nodes
    /// do not form a tree, or if there are too many nodes.
    pub fn flatten(grown: &[GrownNode], features: usize) -> Option<Self> {
        let leaf_feature = u16::try_from(features).ok()?;
        let mut nodes = vec![Node { value: 0.0, feature: leaf_feature, child: 0 }];
        let mut queue = VecDeque::from([(0usize, 0usize, 0u16)]);
        let mut depth = 0;
        while let Some((from, to, level)) = queue.pop_front() {
            depth = depth.max(level);
            match *grown.get(from)? {
                GrownNode::Leaf(value) => {
                    nodes[to] = Node { value: value as f32, feature: leaf_feature, child: u16::try_from(to).ok()? };
                }
                GrownNode::Branch { feature, threshold, children } => {
                    let child = nodes.len();
                    // The result has as many nodes as `grown`, unless the branches of `grown` form a cycle.
                    if child + 1 >= usize::from(u16::MAX) || child > grown.len() {
                        return None;
                    }
                    nodes[to] =
                        Node { value: round_down(threshold), feature: feature.try_into().ok()?, child: child as u16 };
                    for (k, c) in children.into_iter().enumerate() {
                        nodes.push(Node { value: 0.0, feature: leaf_feature, child: 0 });
                        queue.push_back((c, child + k, level + 1));
                    }
                }
            }
        }
        Some(Self { depth, nodes })
    }

    /// Returns true if every path from the root ends at a leaf and all values are finite.
    pub fn is_valid(&self, features: usize) -> bool {
        let sound = |(i, n): (usize, &Node)| {
            let (feature, child) = (usize::from(n.feature), usize::from(n.child));
            n.value.is_finite()
                && if feature == features {
                    child == i
                } else {
                    feature < features && child > i && child + 1 < self.nodes.len()
                }
        };
        // Children follow their parents in the list, so the levels of all nodes can be computed in one pass.
        let mut level = vec![0u16; self.nodes.len()];
        !self.nodes.is_empty()
            && self.nodes.len() <= usize::from(u16::MAX)
            && self.nodes.iter().enumerate().all(sound)
            && self.nodes.iter().enumerate().all(|(i, n)| {
                if usize::from(n.feature) < features {
                    let child = usize::from(n.child);
                    level[child] = level[i] + 1;
                    level[child + 1] = level[i] + 1;
                }
                level[i] <= self.depth
            })
            && self.depth <= 64
    }

    #[cfg(test)]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Adds the predictions for the rows of a tile to `sums`. `tile` has the layout `[features + 1][stride]`, and its
    /// last column is −∞.
    pub fn add(&self, tile: &[f32], stride: usize, sums: &mut [f64]) {
        let mut at = [0u16; TILE];
        let at = &mut at[..sums.len()];
        let nodes = self.nodes.as_slice();
        for _ in 0..self.depth {
            // The loop stops when every row is at a leaf, which usually happens long before the maximum depth.
            let mut moved = false;
            for (i, at) in at.iter_mut().enumerate() {
                let node = nodes[usize::from(*at)];
                let x = tile[usize::from(node.feature) * stride + i];
                let to = node.child + u16::from(x > node.value);
                moved |= to != *at;
                *at = to;
            }
            if !moved {
                break;
            }
        }
        for (sum, at) in sums.iter_mut().zip(at) {
            *sum += f64::from(nodes[usize::from(*at)].value);
        }
    }
}

/// Returns the largest single-precision number that is at most `v`. For every single-precision number x, the
/// comparisons `x <= round_down(v)` and `x <= v` have the same result.
fn round_down(v: f64) -> f32 {
    let near = v as f32;
    if f64::from(near) > v { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_reaches_its_leaf() {
        let grown = [
            GrownNode::Branch { feature: 1, threshold: 0.5, children: [1, 2] },
            GrownNode::Leaf(-1.0),
            GrownNode::Branch { feature: 0, threshold: 2.0, children: [3, 4] },
            GrownNode::Leaf(10.0),
            GrownNode::Leaf(20.0),
        ];
        let tree = Tree::flatten(&grown, 2).unwrap();
        assert!(tree.is_valid(2));
        let inf = f32::NEG_INFINITY;
        let tile = [9.0, 2.0, 2.1, 0.5, 0.6, 0.7, inf, inf, inf];
        let mut sums = [0.0, 0.0, 100.0];
        tree.add(&tile, 3, &mut sums);
        assert_eq!(sums, [-1.0, 10.0, 120.0]);
        assert!(!tree.is_valid(1));
        let cycle = [GrownNode::Branch { feature: 0, threshold: 0.0, children: [0, 0] }];
        assert_eq!(Tree::flatten(&cycle, 1), None);
    }

    #[test]
    fn rounded_and_exact_thresholds_split_features_in_the_same_way() {
        for v in [0.1f64, 1.0 / 3.0, -0.7, 1.0, 1e-9] {
            let t = round_down(v);
            assert!(f64::from(t) <= v && f64::from(t.next_up()) > v);
        }
    }
}
