//! Monte-Carlo tree search over moves on a grid.

use super::trial::{Trial, empty_plan};
use super::{Plan, Planner, Problem};
use crate::rng::Key;

/// Tree search for discrete and staged equipment: one level of the tree per move, children drawn from the grid of each
/// control as a node is visited more (progressive widening, Coulom 2007), chosen by pUCT with the constants of MuZero
/// (Schrittwieser et al. 2020). A leaf's sequence is completed by holding, or at random, and leaves are priced in batches,
/// with a virtual loss so that the paths of one batch differ. Plants are deterministic here: a node is worth the best
/// sequence through it, between the worst and the best of its siblings.
#[derive(Debug, Clone, Copy)]
pub struct Mcts {
    /// Sequences priced.
    pub population: usize,
    /// Values of a control without multiples, from bound to bound.
    pub levels: usize,
}

/// Leaves priced at once.
const BATCH: usize = 16;
const C1: f64 = 1.25;
const C2: f64 = 19_652.0;
/// A node may have this many children, times the root of its visits.
const WIDENING: f64 = 1.5;
/// Draws for one new child.
const TRIES: u64 = 8;

struct Node {
    /// Controls of its move.
    values: Vec<f64>,
    /// Steps for which they have been on, or off, at the end of the move.
    since: Vec<usize>,
    visits: usize,
    /// Visits of the batch under way.
    pending: usize,
    /// Least cost of the sequences through it.
    best: f64,
    children: Vec<usize>,
}

/// The root is node 0: the controls in force.
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
        let mut trial = Trial::begun(problem, warm);
        let mut tree = Tree::new(problem);
        for (start, cost) in trial.candidates.iter().zip(&trial.costs) {
            let path = tree.insert(problem, start);
            tree.back_up(&path, *cost);
        }
        let mut drawn = trial.candidates.len();
        while drawn < self.population && !(problem.late)() {
            let n = BATCH.min(self.population - drawn);
            trial.candidates.clear();
            let mut paths = Vec::with_capacity(n);
            for k in drawn..drawn + n {
                let key = problem.key.fold(k as u64);
                let path = tree.select(self, problem, key);
                trial.candidates.push(self.complete(problem, &tree, &path, (k % 2 == 1).then_some(key)));
                paths.push(path);
            }
            trial.score(problem);
            for (path, cost) in paths.iter().zip(&trial.costs) {
                path.iter().for_each(|&node| tree.nodes[node].pending -= 1);
                tree.back_up(path, *cost);
            }
            drawn += n;
        }
        trial.finish(Vec::new())
    }
}

impl Mcts {
    /// The moves of `path`, and then its last values held, or levels drawn from `random`.
    fn complete(&self, problem: &Problem, tree: &Tree, path: &[usize], random: Option<Key>) -> Vec<f64> {
        let controls = problem.controls();
        let mut sequence: Vec<f64> = path[1..].iter().flat_map(|&n| tree.nodes[n].values.iter().copied()).collect();
        for i in sequence.len()..problem.len() {
            let last = if i < controls { problem.previous[i] } else { sequence[i - controls] };
            sequence.push(random.map_or(last, |key| self.level(problem, i % controls, key.uniform(1000 + i as u64))));
        }
        sequence
    }

    /// One of a control's levels; `share` is uniform.
    fn level(&self, problem: &Problem, control: usize, share: f64) -> f64 {
        let reach = problem.reach(control);
        let multiple = problem.allowed[control].multiple;
        if multiple > 0.0 {
            let (first, last) = ((reach.low / multiple).ceil(), (reach.high / multiple).floor());
            return (first + (share * (last - first + 1.0).max(1.0)).floor()) * multiple;
        }
        let steps = (self.levels.max(2) - 1) as f64;
        reach.low + (share * (steps + 1.0)).floor() / steps * (reach.high - reach.low)
    }
}

impl Tree {
    fn new(problem: &Problem) -> Self {
        Self { nodes: vec![Node::new(problem.previous.clone(), problem.since.clone())] }
    }

    /// Nodes of a whole sequence, from the root; those that are missing are added.
    fn insert(&mut self, problem: &Problem, sequence: &[f64]) -> Vec<usize> {
        let mut path = vec![0];
        let mut at = 0;
        for (k, wish) in sequence.chunks(problem.controls()).enumerate() {
            let (values, since) = self.nodes[at].next(problem, k, wish);
            at = match self.child(at, &values) {
                Some(child) => child,
                None => self.add(at, values, since),
            };
            path.push(at);
        }
        path
    }

    /// From the root to a new node, or to the end of a sequence; counted as pending.
    fn select(&mut self, mcts: &Mcts, problem: &Problem, key: Key) -> Vec<usize> {
        let mut path = vec![0];
        let mut at = 0;
        for depth in 0..problem.moves {
            let node = &self.nodes[at];
            let room = (WIDENING * ((node.visits + node.pending + 1) as f64).sqrt()).ceil() as usize;
            let new = if node.children.len() < room { self.expand(mcts, problem, at, depth, key) } else { None };
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

    /// A child that `at` does not have yet: one control moved, or all.
    fn expand(&mut self, mcts: &Mcts, problem: &Problem, at: usize, depth: usize, key: Key) -> Option<usize> {
        let controls = problem.controls();
        for attempt in 0..TRIES {
            let stream = key.fold(depth as u64).fold(attempt);
            let one = (stream.uniform(0) < 0.5).then(|| stream.below(1, controls));
            let wish: Vec<f64> = (0..controls)
                .map(|c| match one {
                    Some(only) if only != c => self.nodes[at].values[c],
                    _ => mcts.level(problem, c, stream.uniform(2 + c as u64)),
                })
                .collect();
            let (values, since) = self.nodes[at].next(problem, depth, &wish);
            if self.child(at, &values).is_none() {
                return Some(self.add(at, values, since));
            }
        }
        None
    }

    /// The child with the largest upper bound.
    fn choose(&self, at: usize) -> Option<usize> {
        let node = &self.nodes[at];
        let costs = || node.children.iter().map(|&c| self.nodes[c].best).filter(|b| b.is_finite());
        let (low, high) = costs().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
        let total = (node.visits + node.pending) as f64;
        let explore = total.sqrt() * (C1 + ((total + C2 + 1.0) / C2).ln()) / node.children.len() as f64;
        let bound = |child: usize| {
            let Node { visits, pending, best, .. } = self.nodes[child];
            let seen = (visits + pending) as f64;
            let worth = if !best.is_finite() {
                0.0
            } else if high > low {
                (high - best) / (high - low)
            } else {
                1.0
            };
            // Pending visits count as lost.
            worth * visits as f64 / seen.max(1.0) + explore / (1.0 + seen)
        };
        // The first of equals, whatever comes after.
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

    /// Allowed values of move `k` after this one, nearest to `wish`, and how long they will have been on or off.
    fn next(&self, problem: &Problem, k: usize, wish: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let each = problem.allowed.iter().zip(wish).enumerate().map(|(c, (allowed, wish))| {
            let value = allowed.next(self.values[c], self.since[c], *wish);
            (value, allowed.since(self.values[c], self.since[c], value, problem.steps[k]))
        });
        each.unzip()
    }
}
