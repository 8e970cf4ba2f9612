//! Dynamic programming over sequences of moves, for few switched controls and few states.
//!
//! Partial sequences are extended move by move, by every combination of control values. Two partial sequences have the
//! same future if they have the same number of moves and lead to the same state, so only the
//! cheaper sequence is continued (Bellman 1957). States are equal if they are in the same cell of a
//! grid. Sequences are simulated from the true state, not from the centres of the cells, so all
//! costs are exact, and the grid only determines which sequences are discarded.
//!
//! If more than `MOST_SEQUENCES` sequences are left after a move, the grid is made coarser.

use super::build;
use super::candidates::{CandidateBatch, empty_plan};
use super::constraints::ControlConstraints;
use super::problem::{Plan, Planner, Problem};
use crate::config::PlannerSpec;

/// Dynamic programming with merged sequences.
#[derive(Debug, Clone, Copy)]
pub struct DynamicProgramming {
    /// Number of grid cells over the range of each state.
    pub cells: usize,
}

/// Largest number of sequences that are continued after a move (not tuned).
const MOST_SEQUENCES: usize = 4000;
/// Largest number of combinations of control values (not tuned).
const MOST_COMBINATIONS: f64 = 64.0;
/// Number of complete sequences with the lowest costs that are evaluated again (not tuned).
const FINALISTS: usize = 8;

/// Sequences with the same number of moves.
#[derive(Default)]
struct Level {
    /// For each sequence, the index of its parent: the sequence in the previous level that is
    /// extended by one move.
    parents: Vec<usize>,
    /// Values of all controls in the last move: `[sequences][controls]`.
    values: Vec<f64>,
    /// Number of steps since each control was switched, at the end of the last move: `[sequences][controls]`.
    since: Vec<usize>,
}

impl Planner for DynamicProgramming {
    fn name(&self) -> &'static str {
        "dp"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let Some(found) = combinations(problem).and_then(|targets| self.search(problem, &targets)) else {
            return build(&PlannerSpec::mcts()).plan(problem, warm);
        };
        batch.candidates = found;
        batch.score(problem);
        batch.into_plan(Vec::new())
    }
}

impl DynamicProgramming {
    /// The complete sequences with the lowest costs; `None` if sequences cannot be simulated move by move.
    fn search(&self, problem: &mut Problem, targets: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let Problem { constraints, steps, previous, since, cost_function, out_of_time, moves, .. } = problem;
        let mut branches = cost_function.branches()?;
        let controls = previous.len();
        // The sequences that are continued after each move: `[moves + 1]`.
        let mut tree = vec![Level { parents: vec![0], values: previous.clone(), since: since.clone() }];
        // For each sequence to be continued, its index among the most recently simulated sequences.
        let mut kept = vec![0];
        let (mut hashes, mut costs) = (Vec::new(), Vec::new());
        for length in steps.iter().take(*moves) {
            if out_of_time() {
                return None;
            }
            let children = tree[tree.len() - 1].extended(targets, constraints, *length);
            let parents: Vec<usize> = children.parents.iter().map(|p| kept[*p]).collect();
            branches.extend(&parents, &children.values);
            costs.clear();
            costs.extend_from_slice(branches.costs());
            let mut cells = self.cells as f64;
            kept = loop {
                branches.cells(cells, &mut hashes);
                let cheapest = cheapest(&hashes, &costs);
                if cheapest.len() <= MOST_SEQUENCES || cells < 1.0 {
                    break cheapest;
                }
                cells *= 0.5;
            };
            if kept.len() > MOST_SEQUENCES {
                kept.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]).then(a.cmp(b)));
                kept.truncate(MOST_SEQUENCES);
            }
            if kept.is_empty() {
                return None;
            }
            tree.push(children.selected(&kept, controls));
        }
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by(|a, b| costs[kept[*a]].total_cmp(&costs[kept[*b]]));
        Some(order.into_iter().take(FINALISTS).map(|i| sequence(&tree, i, controls)).collect())
    }
}

/// For each hash, the index of the sequence with the lowest cost. If costs are equal, the first sequence is chosen.
/// Sequences without a finite cost are omitted.
fn cheapest(hashes: &[u64], costs: &[f64]) -> Vec<usize> {
    let finite = hashes.iter().enumerate().filter(|(i, _)| costs[*i].is_finite());
    let mut all: Vec<(u64, usize)> = finite.map(|(i, hash)| (*hash, i)).collect();
    all.sort_unstable();
    let cell = |same: &[(u64, usize)]| same.iter().map(|s| s.1).reduce(|a, b| if costs[b] < costs[a] { b } else { a });
    all.chunk_by(|a, b| a.0 == b.0).filter_map(cell).collect()
}

/// The moves of the sequence with index `last` in the last level.
fn sequence(tree: &[Level], last: usize, controls: usize) -> Vec<f64> {
    let mut moves: Vec<&[f64]> = Vec::with_capacity(tree.len());
    let mut at = last;
    for level in tree.iter().skip(1).rev() {
        moves.push(&level.values[at * controls..(at + 1) * controls]);
        at = level.parents[at];
    }
    moves.into_iter().rev().flatten().copied().collect()
}

/// All combinations of control values; `None` if there are too many combinations, or if a control
/// can have any value within a range.
fn combinations(problem: &Problem) -> Option<Vec<Vec<f64>>> {
    let mut all: Vec<Vec<f64>> = vec![Vec::new()];
    for c in 0..problem.controls() {
        let (constraints, bounds) = (&problem.constraints[c], problem.finite_bounds(c));
        let values: Vec<f64> = if constraints.multiple > 0.0 {
            let (first, last) = (bounds.low / constraints.multiple, bounds.high / constraints.multiple);
            let (first, last) = ((first - 1e-9).ceil(), (last + 1e-9).floor());
            if last - first >= MOST_COMBINATIONS {
                return None;
            }
            (0..=(last - first).max(0.0) as usize).map(|k| (first + k as f64) * constraints.multiple).collect()
        } else if constraints.switching.least >= bounds.high {
            vec![0.0, bounds.high]
        } else {
            return None;
        };
        all = all.iter().flat_map(|head| values.iter().map(move |v| [head.as_slice(), &[*v]].concat())).collect();
        if all.len() as f64 > MOST_COMBINATIONS {
            return None;
        }
    }
    Some(all)
}

impl Level {
    /// Extends every sequence by the distinct feasible moves nearest to the `targets`,
    /// `[combinations][controls]`. The move lasts `steps` steps.
    fn extended(&self, targets: &[Vec<f64>], constraints: &[ControlConstraints], steps: usize) -> Self {
        let (mut children, controls) = (Self::default(), constraints.len());
        for parent in 0..self.parents.len() {
            let own = parent * controls..(parent + 1) * controls;
            let (last, since) = (&self.values[own.clone()], &self.since[own]);
            let first = children.values.len();
            for target in targets {
                let begin = children.values.len();
                for (c, constraints) in constraints.iter().enumerate() {
                    let value = constraints.nearest(last[c], since[c], target[c]);
                    children.values.push(value);
                    children.since.push(constraints.since(last[c], since[c], value, steps));
                }
                let (known, new) = children.values[first..].split_at(begin - first);
                if known.chunks_exact(controls).any(|values| values == new) {
                    children.values.truncate(begin);
                    children.since.truncate(begin);
                } else {
                    children.parents.push(parent);
                }
            }
        }
        children
    }

    /// The sequences with the indices `rows`.
    fn selected(&self, rows: &[usize], controls: usize) -> Self {
        let range = |r: &usize| r * controls..(r + 1) * controls;
        Self {
            parents: rows.iter().map(|&r| self.parents[r]).collect(),
            values: rows.iter().flat_map(|r| &self.values[range(r)]).copied().collect(),
            since: rows.iter().flat_map(|r| &self.since[range(r)]).copied().collect(),
        }
    }
}
