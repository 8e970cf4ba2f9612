//! Monte-Carlo tree search over moves on a grid, for discrete or staged equipment.
//!
//! The tree has one level per move. The algorithm repeats the following steps until `population` sequences have been
//! evaluated (default 256; not tuned):
//! 1. Select a path from the root. A node gets a new child while it has fewer than 1.5 √visits children (progressive
//!    widening: Coulom 2007). At any other node, the path continues with the child that has the largest pUCT bound
//!    (with the constants of MuZero: Schrittwieser et al. 2020).
//! 2. Complete the sequence, alternately by holding its last values and by drawing random values.
//! 3. Evaluate the sequences in batches of 16. A virtual loss ensures that the paths of a batch differ.
//! 4. Propagate the cost of each sequence back to the nodes of its path. Costs are deterministic, so the value of a
//!    node is that of the best sequence through the node. The value is scaled so that it is 0 for the worst and 1 for
//!    the best of the sibling nodes.
//!
//! A control that is not restricted to multiples of a number has `levels` values (default 5; not tuned), which are
//! equally spaced between its bounds.

use super::candidates::{CandidateBatch, empty_plan};
use super::problem::{Plan, Planner, Problem};
use crate::rng::Key;

/// Monte-Carlo tree search.
#[derive(Debug, Clone, Copy)]
pub struct Mcts {
    /// Number of sequences.
    pub population: usize,
    /// Number of grid values (including both bounds) of a control that is not restricted to multiples of a number.
    pub levels: usize,
}

/// Number of sequences per batch (not tuned).
const BATCH: usize = 16;
/// Constants of the pUCT bound, as in MuZero.
const PUCT_C1: f64 = 1.25;
const PUCT_C2: f64 = 19_652.0;
/// Ratio of the maximum number of children of a node to √visits (not tuned).
const WIDENING: f64 = 1.5;
/// Maximum number of random draws to find a new child (not tuned).
const EXPANSION_DRAWS: u64 = 8;

struct Node {
    /// Values of the controls in this move.
    values: Vec<f64>,
    /// Number of steps for which each control has been in its present state (on or off) at the end of the move.
    since: Vec<usize>,
    visits: usize,
    /// Number of visits in the current batch, whose costs are not known yet.
    pending: usize,
    /// Lowest cost of the sequences through this node.
    best: f64,
    children: Vec<usize>,
}

/// Node 0 is the root, with the current controls.
struct Tree {
    nodes: Vec<Node>,
}

impl Planner for Mcts {
    fn name(&self) -> &'static str {
        "mcts"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut batch = CandidateBatch::with_initial(problem, warm);
        let mut tree = Tree::new(problem);
        for (start, cost) in batch.candidates.iter().zip(&batch.costs) {
            let path = tree.insert(problem, start);
            tree.back_up(&path, *cost);
        }
        let mut drawn = batch.candidates.len();
        while drawn < self.population && !(problem.out_of_time)() {
            let n = BATCH.min(self.population - drawn);
            batch.candidates.clear();
            let mut paths = Vec::with_capacity(n);
            for k in drawn..drawn + n {
                let key = problem.key.fold(k as u64);
                let path = tree.select(self, problem, key);
                batch.candidates.push(self.complete(problem, &tree, &path, (k % 2 == 1).then_some(key)));
                paths.push(path);
            }
            batch.score(problem);
            for (path, cost) in paths.iter().zip(&batch.costs) {
                path.iter().for_each(|&node| tree.nodes[node].pending -= 1);
                tree.back_up(path, *cost);
            }
            drawn += n;
        }
        batch.into_plan(Vec::new())
    }
}

impl Mcts {
    /// Completes the moves of `path` by repeating their last values or, if `random` is given, with levels that are
    /// drawn at random.
    fn complete(&self, problem: &Problem, tree: &Tree, path: &[usize], random: Option<Key>) -> Vec<f64> {
        let controls = problem.controls();
        let mut sequence: Vec<f64> = path[1..].iter().flat_map(|&n| tree.nodes[n].values.iter().copied()).collect();
        for i in sequence.len()..problem.len() {
            let last = if i < controls { problem.previous[i] } else { sequence[i - controls] };
            sequence.push(random.map_or(last, |key| self.level(problem, i % controls, key.uniform(1000 + i as u64))));
        }
        sequence
    }

    /// Returns the level of `control` that corresponds to `uniform`, a number in [0, 1).
    fn level(&self, problem: &Problem, control: usize, uniform: f64) -> f64 {
        let bounds = problem.finite_bounds(control);
        let multiple = problem.constraints[control].multiple;
        if multiple > 0.0 {
            let (first, last) = ((bounds.low / multiple).ceil(), (bounds.high / multiple).floor());
            return (first + (uniform * (last - first + 1.0).max(1.0)).floor()) * multiple;
        }
        let steps = (self.levels.max(2) - 1) as f64;
        bounds.low + (uniform * (steps + 1.0)).floor() / steps * (bounds.high - bounds.low)
    }
}

impl Tree {
    fn new(problem: &Problem) -> Self {
        Self { nodes: vec![Node::new(problem.previous.clone(), problem.since.clone())] }
    }

    /// Returns the nodes along a complete sequence, beginning with the root. Missing nodes are added.
    fn insert(&mut self, problem: &Problem, sequence: &[f64]) -> Vec<usize> {
        let mut path = vec![0];
        let mut at = 0;
        for (k, target) in sequence.chunks(problem.controls()).enumerate() {
            let (values, since) = self.nodes[at].next(problem, k, target);
            at = match self.child(at, &values) {
                Some(child) => child,
                None => self.add(at, values, since),
            };
            path.push(at);
        }
        path
    }

    /// Selects a path from the root to a new node or to the last move. Marks the visits to the nodes of this path as
    /// pending.
    fn select(&mut self, mcts: &Mcts, problem: &Problem, key: Key) -> Vec<usize> {
        let mut path = vec![0];
        let mut at = 0;
        for depth in 0..problem.moves {
            let node = &self.nodes[at];
            let most_children = (WIDENING * ((node.visits + node.pending + 1) as f64).sqrt()).ceil() as usize;
            let new =
                if node.children.len() < most_children { self.expand(mcts, problem, at, depth, key) } else { None };
            let chosen = new.or_else(|| self.choose(at));
            let Some(child) = chosen else { break };
            path.push(child);
            at = child;
            if new.is_some() {
                break;
            }
        }
        path.iter().for_each(|&node| self.nodes[node].pending += 1);
        path
    }

    /// Adds a new child to the node `at`, in which one control or all controls are changed. Returns `None` if no new
    /// child was found.
    fn expand(&mut self, mcts: &Mcts, problem: &Problem, at: usize, depth: usize, key: Key) -> Option<usize> {
        let controls = problem.controls();
        for attempt in 0..EXPANSION_DRAWS {
            let stream = key.fold(depth as u64).fold(attempt);
            let only = (stream.uniform(0) < 0.5).then(|| stream.below(1, controls));
            let target: Vec<f64> = (0..controls)
                .map(|c| match only {
                    Some(moved) if moved != c => self.nodes[at].values[c],
                    _ => mcts.level(problem, c, stream.uniform(2 + c as u64)),
                })
                .collect();
            let (values, since) = self.nodes[at].next(problem, depth, &target);
            if self.child(at, &values).is_none() {
                return Some(self.add(at, values, since));
            }
        }
        None
    }

    /// Returns the child with the largest pUCT bound.
    fn choose(&self, at: usize) -> Option<usize> {
        let node = &self.nodes[at];
        let costs = || node.children.iter().map(|&c| self.nodes[c].best).filter(|b| b.is_finite());
        let (low, high) = costs().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
        let total = (node.visits + node.pending) as f64;
        let explore = total.sqrt() * (PUCT_C1 + ((total + PUCT_C2 + 1.0) / PUCT_C2).ln()) / node.children.len() as f64;
        let bound = |child: usize| {
            let Node { visits, pending, best, .. } = self.nodes[child];
            let all_visits = (visits + pending) as f64;
            let value = if !best.is_finite() {
                0.0
            } else if high > low {
                (high - best) / (high - low)
            } else {
                1.0
            };
            // Virtual loss: pending visits are counted as visits with value 0.
            value * visits as f64 / all_visits.max(1.0) + explore / (1.0 + all_visits)
        };
        // If several children have the same bound, the first of them is chosen.
        node.children.iter().map(|&c| (bound(c), c)).reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|b| b.1)
    }

    fn child(&self, at: usize, values: &[f64]) -> Option<usize> {
        self.nodes[at].children.iter().copied().find(|&c| self.nodes[c].values == values)
    }

    fn add(&mut self, at: usize, values: Vec<f64>, since: Vec<usize>) -> usize {
        let new = self.nodes.len();
        self.nodes.push(Node::new(values, since));
        self.nodes[at].children.push(new);
        new
    }

    fn back_up(&mut self, path: &[usize], cost: f64) {
        for &node in path {
            let node = &mut self.nodes[node];
            node.visits += 1;
            node.best = node.best.min(cost);
        }
    }
}

impl Node {
    fn new(values: Vec<f64>, since: Vec<usize>) -> Self {
        Self { values, since, visits: 0, pending: 0, best: f64::INFINITY, children: Vec::new() }
    }

    /// Returns the allowed values nearest to `target` for move `k`, which follows this node, and the number of steps
    /// since each control was last switched on or off, counted at the end of this move.
    fn next(&self, problem: &Problem, k: usize, target: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let each = problem.constraints.iter().zip(target).enumerate().map(|(c, (constraints, target))| {
            let value = constraints.nearest(self.values[c], self.since[c], *target);
            (value, constraints.since(self.values[c], self.since[c], value, problem.steps[k]))
        });
        each.unzip()
    }
}
