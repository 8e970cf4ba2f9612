//! Monte-Carlo tree search over moves on a grid, for discrete or staged equipment.
//!
//! The tree has one level per move. The algorithm repeats the following steps until `population` sequences have been
//! evaluated (default 256; not tuned), or until all sequences in the tree have been selected:
//! 1. Select a sequence that has not been evaluated:
//!    - Two of three sequences deviate from the best sequence so far in as few moves as possible (limited discrepancy
//!      search: Harvey & Ginsberg 1995).
//!    - The other sequences follow a path from the root. A child is added to a node that has fewer
//!      than 1.5 √visits children (progressive widening: Coulom 2007). Otherwise, the path
//!      continues with the child that has the largest pUCT bound (with the constants of MuZero:
//!      Schrittwieser et al. 2020). The end of a path repeats the remaining moves of the best
//!      sequence, holds the last values, or consists of random values.
//! 2. Evaluate the sequences in batches of 2 to 16. A virtual loss ensures that the paths of a batch differ.
//! 3. Propagate the cost of each sequence back to the nodes of its path. Costs are deterministic,
//!    so the value of a node is the value of the best sequence through the node. The value is
//!    scaled to 0 for the worst and 1 for the best of the sibling nodes.
//!
//! A node is closed when all sequences through the node have been selected. Closed nodes are not
//! visited again, so no sequence is evaluated twice, and a population that covers all sequences
//! finds the optimum.
//!
//! A control that is not restricted to multiples of a number has `levels` values (default 5; not tuned), which are
//! equally spaced between its bounds.

use std::collections::HashSet;

use super::candidates::{CandidateBatch, empty_plan};
use super::problem::{Plan, Planner, Problem};
use super::project::project;
use crate::rng::Key;

/// Monte-Carlo tree search.
#[derive(Debug, Clone, Copy)]
pub struct Mcts {
    /// Number of sequences.
    pub population: usize,
    /// Number of grid values, including both bounds, of a control without a `multiple`.
    pub levels: usize,
}

/// Minimum and maximum number of sequences per batch. Small batches use the best sequence sooner; large batches take
/// less time.
const BATCH: (usize, usize) = (2, 16);
/// Number of batches in which the population is evaluated, if the resulting batch size is within
/// the limits in [`BATCH`].
const BATCHES: usize = 32;
/// Constants of the pUCT bound, as in MuZero.
const PUCT_C1: f64 = 1.25;
const PUCT_C2: f64 = 19_652.0;
/// Ratio of the maximum number of children of a node to √visits (not tuned).
const WIDENING: f64 = 1.5;
/// Maximum number of moves that a node considers (not tuned). If the number of possible moves is
/// larger, the node considers a random sample of the moves.
const MOST_CHILDREN: usize = 64;
/// Maximum number of moves in which a selected sequence deviates from the best sequence (not tuned). If no sequence
/// with at most this number of deviations is found, a path through the tree is selected.
const MOST_DEVIATIONS: usize = 3;
/// Maximum number of nodes that are visited to find a sequence that deviates from the best sequence in only a few moves
/// (not tuned). The number is limited so that large trees do not slow down the search.
const MOST_VISITS: usize = 60;
/// Maximum number of sequences that the search selects, as a multiple of the population (not tuned). Limits on totals
/// can turn different selected sequences into the same feasible sequence.
const MOST_SELECTED: usize = 4;

/// Values of all controls in one move, and the number of steps for which each control has been in its present state (on
/// or off) at the end of the move.
type Move = (Vec<f64>, Vec<usize>);

struct Node {
    values: Vec<f64>,
    since: Vec<usize>,
    /// Number of moves from the root to this node.
    depth: usize,
    visits: usize,
    /// Number of visits in the current batch. The costs of these visits are not known yet.
    pending: usize,
    /// Lowest cost of the sequences through this node.
    best: f64,
    children: Vec<usize>,
    /// Numbers of the possible next moves without a child node, in random order (see [`Mcts::target`]). The moves
    /// themselves are computed when they are needed, which keeps large trees small.
    untried: Vec<u8>,
    /// Whether all sequences through this node have been selected.
    closed: bool,
}

/// A search for a sequence that deviates from the best sequence.
struct Deviation<'a, 'p> {
    problem: &'a Problem<'p>,
    best: &'a [f64],
    /// Number of moves at the start of the sequence that must be the same as in the best sequence.
    from: usize,
    /// Number of nodes that may still be visited.
    visits: usize,
}

/// Node 0 is the root, with the current controls.
struct Tree {
    nodes: Vec<Node>,
    mcts: Mcts,
    key: Key,
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
        let mut tree = Tree::new(*self, problem);
        let mut known: HashSet<Vec<u64>> = HashSet::new();
        for (start, cost) in batch.candidates.iter().zip(&batch.costs) {
            known.insert(bits(start));
            let path = tree.insert(problem, start);
            tree.back_up(&path, *cost);
        }
        let (mut evaluated, mut selected) = (known.len(), 0);
        while evaluated < self.population && !(problem.out_of_time)() {
            let n = (self.population / BATCHES).clamp(BATCH.0, BATCH.1).min(self.population - evaluated);
            batch.candidates.clear();
            let mut paths = Vec::with_capacity(n);
            while paths.len() < n && !tree.nodes[0].closed && selected < MOST_SELECTED * self.population {
                let mut sequence = tree.select(problem, selected, &batch.best().controls);
                selected += 1;
                let path = tree.insert(problem, &sequence);
                project(problem, &mut sequence);
                if known.insert(bits(&sequence)) {
                    path.iter().for_each(|&node| tree.nodes[node].pending += 1);
                    paths.push(path);
                    batch.candidates.push(sequence);
                }
            }
            if paths.is_empty() {
                break;
            }
            batch.score(problem);
            for (path, cost) in paths.iter().zip(&batch.costs) {
                path.iter().for_each(|&node| tree.nodes[node].pending -= 1);
                tree.back_up(path, *cost);
            }
            evaluated += paths.len();
        }
        batch.into_plan(Vec::new())
    }
}

/// A sequence as a hash key.
fn bits(sequence: &[f64]) -> Vec<u64> {
    // Adding zero turns −0 into 0.
    sequence.iter().map(|v| (v + 0.0).to_bits()).collect()
}

impl Mcts {
    /// First and last index of the grid of `control`, and the grid spacing (the difference between the values at the
    /// indices 1 and 0).
    fn grid(&self, problem: &Problem, control: usize) -> (f64, f64, f64) {
        let bounds = problem.finite_bounds(control);
        let multiple = problem.constraints[control].multiple;
        if multiple > 0.0 {
            return ((bounds.low / multiple).ceil(), (bounds.high / multiple).floor(), multiple);
        }
        let last = (self.levels.max(2) - 1) as f64;
        (0.0, last, (bounds.high - bounds.low) / last)
    }

    /// The value of `control` at the given position on its grid, counted from 0.
    fn level(&self, problem: &Problem, control: usize, position: f64) -> f64 {
        let (first, _, width) = self.grid(problem, control);
        let origin = if problem.constraints[control].multiple > 0.0 { 0.0 } else { problem.finite_bounds(control).low };
        origin + (first + position) * width
    }

    /// The value of `control` that corresponds to `uniform`, a number in [0, 1).
    fn random_level(&self, problem: &Problem, control: usize, uniform: f64) -> f64 {
        let (first, last, _) = self.grid(problem, control);
        self.level(problem, control, (uniform * (last - first + 1.0).max(1.0)).floor())
    }

    /// Number of grid values of each control, and the number of their combinations.
    fn counts(&self, problem: &Problem) -> (Vec<f64>, f64) {
        let count = |(first, last, _): (f64, f64, f64)| (last - first + 1.0).max(1.0);
        let counts: Vec<f64> = (0..problem.controls()).map(|c| count(self.grid(problem, c))).collect();
        let all = counts.iter().product();
        (counts, all)
    }

    /// The target of move `number` after `node`: a combination of grid values, or a random combination if there are
    /// more than [`MOST_CHILDREN`]. `key` is the random key of the node.
    fn target(&self, problem: &Problem, node: &Node, key: Key, number: u8) -> Vec<f64> {
        let (controls, (counts, all)) = (problem.controls(), self.counts(problem));
        if all <= MOST_CHILDREN as f64 {
            let mut rest = f64::from(number);
            let position = |c: usize| {
                let position = rest % counts[c];
                rest = (rest / counts[c]).floor();
                self.level(problem, c, position)
            };
            return (0..controls).map(position).collect();
        }
        // Every second draw changes only one control.
        let stream = key.fold(u64::from(number));
        let only = number.is_multiple_of(2).then(|| stream.below(1, controls));
        let value = |c: usize| match only {
            Some(moved) if moved != c => node.values[c],
            _ => self.random_level(problem, c, stream.uniform(2 + c as u64)),
        };
        (0..controls).map(value).collect()
    }

    /// The numbers of all distinct moves that can follow `node`, or of a random sample if there are
    /// more than [`MOST_CHILDREN`] combinations of values.
    fn moves(&self, problem: &Problem, node: &Node, key: Key) -> Vec<u8> {
        let all = self.counts(problem).1.min(MOST_CHILDREN as f64) as u8;
        let mut distinct: Vec<(u8, Vec<f64>)> = Vec::new();
        for number in 0..all {
            let values = node.next(problem, &self.target(problem, node, key, number)).0;
            if distinct.iter().all(|d| d.1 != values) {
                distinct.push((number, values));
            }
        }
        // A random order avoids a preference for low values.
        let place = |(i, (number, _)): (usize, (u8, Vec<f64>))| (key.fold(1 << 32).below(i as u64, 1 << 30), number);
        let mut order: Vec<(usize, u8)> = distinct.into_iter().enumerate().map(place).collect();
        order.sort_by_key(|(place, _)| *place);
        order.into_iter().map(|(_, number)| number).collect()
    }
}

impl Tree {
    fn new(mcts: Mcts, problem: &Problem) -> Self {
        let mut tree = Self { nodes: Vec::new(), mcts, key: problem.key };
        tree.push(problem, (problem.previous.clone(), problem.since.clone()), 0);
        tree
    }

    /// Returns a sequence that differs from all inserted sequences. The root of the tree must not be closed. The result
    /// may violate constraints in the moves that are not yet in the tree.
    fn select(&self, problem: &Problem, turn: usize, best: &[f64]) -> Vec<f64> {
        if turn % 3 < 2 {
            for deviations in 1..=MOST_DEVIATIONS.min(problem.moves) {
                let (moves, half) = (problem.moves, problem.moves / 2);
                for from in [turn % moves, (turn + half) % moves, 0] {
                    let mut search = Deviation { problem, best, from, visits: MOST_VISITS };
                    let mut sequence = Vec::with_capacity(best.len());
                    if self.deviate(&mut search, 0, deviations, &mut sequence) {
                        return sequence;
                    }
                }
            }
        }
        let mut sequence = self.follow_bounds(problem);
        for i in sequence.len()..best.len() {
            let (hold, control) = (sequence[i - problem.controls()], i % problem.controls());
            sequence.push(match turn % 12 {
                2 => hold,
                5 => self.mcts.random_level(problem, control, self.key.fold(turn as u64).uniform(i as u64)),
                _ => best[i],
            });
        }
        sequence
    }

    /// Appends the moves after node `at` to `sequence`. The appended moves deviate from the best
    /// sequence in at most `left` moves. Returns `false` and leaves `sequence` unchanged if no
    /// sequence outside the tree was found.
    fn deviate(&self, search: &mut Deviation, at: usize, left: usize, sequence: &mut Vec<f64>) -> bool {
        let Deviation { problem, best, from, .. } = *search;
        let (node, controls) = (&self.nodes[at], problem.controls());
        if node.closed || search.visits == 0 {
            return false;
        }
        search.visits -= 1;
        let done = node.depth * controls;
        let own = node.next(problem, &best[done..done + controls]).0;
        if left > 0 && node.depth >= from {
            if let Some(values) = self.untried(problem, at).find(|values| *values != own) {
                sequence.extend(values);
                sequence.extend(&best[done + controls..]);
                return true;
            }
            for &child in node.children.iter().filter(|&&c| self.nodes[c].values != own) {
                sequence.extend(&self.nodes[child].values);
                if self.deviate(search, child, left - 1, sequence) {
                    return true;
                }
                sequence.truncate(done);
            }
        }
        match self.child(at, &own) {
            None => {
                sequence.extend(&best[done..]);
                true
            }
            Some(child) => {
                sequence.extend(&own);
                let found = self.deviate(search, child, left, sequence);
                if !found {
                    sequence.truncate(done);
                }
                found
            }
        }
    }

    /// The moves from the root to a move that is not yet in the tree.
    fn follow_bounds(&self, problem: &Problem) -> Vec<f64> {
        let mut sequence = Vec::with_capacity(problem.len());
        let mut at = 0;
        loop {
            let node = &self.nodes[at];
            let most_children = (WIDENING * ((node.visits + node.pending + 1) as f64).sqrt()).ceil() as usize;
            let chosen = self.choose(at);
            let is_widened = node.children.len() < most_children || chosen.is_none();
            match self.untried(problem, at).next().filter(|_| is_widened) {
                Some(values) => {
                    sequence.extend(values);
                    return sequence;
                }
                None => {
                    let Some(child) = chosen else { return sequence };
                    sequence.extend(&self.nodes[child].values);
                    at = child;
                }
            }
        }
    }

    /// Returns the open child with the largest pUCT bound.
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
        let open = node.children.iter().copied().filter(|&c| !self.nodes[c].closed);
        // If several children have the same bound, the first child is chosen.
        open.map(|c| (bound(c), c)).reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|b| b.1)
    }

    /// Returns the nodes along a complete sequence, beginning with the root. Missing nodes are added, and nodes that
    /// allow no further sequences are closed. Moves that violate constraints are replaced by the nearest allowed moves.
    fn insert(&mut self, problem: &Problem, sequence: &[f64]) -> Vec<usize> {
        let mut path = vec![0];
        let mut at = 0;
        for target in sequence.chunks(problem.controls()) {
            let next = self.nodes[at].next(problem, target);
            at = match self.child(at, &next.0) {
                Some(child) => child,
                None => {
                    let tried = self.untried(problem, at).position(|values| values == next.0);
                    if let Some(place) = tried {
                        self.nodes[at].untried.remove(place);
                    }
                    let child = self.push(problem, next, self.nodes[at].depth + 1);
                    self.nodes[at].children.push(child);
                    child
                }
            };
            path.push(at);
        }
        for &node in path.iter().rev() {
            self.nodes[node].closed =
                self.nodes[node].untried.is_empty() && self.nodes[node].children.iter().all(|&c| self.nodes[c].closed);
        }
        path
    }

    /// The possible next moves of node `at` that do not have a child node yet.
    fn untried(&self, problem: &Problem, at: usize) -> impl Iterator<Item = Vec<f64>> {
        let (node, key) = (&self.nodes[at], self.key.fold(at as u64));
        let values = move |number: &u8| node.next(problem, &self.mcts.target(problem, node, key, *number)).0;
        node.untried.iter().map(values)
    }

    fn child(&self, at: usize, values: &[f64]) -> Option<usize> {
        self.nodes[at].children.iter().copied().find(|&c| self.nodes[c].values == values)
    }

    fn push(&mut self, problem: &Problem, (values, since): Move, depth: usize) -> usize {
        let mut node = Node {
            values,
            since,
            depth,
            visits: 0,
            pending: 0,
            best: f64::INFINITY,
            children: Vec::new(),
            untried: Vec::new(),
            closed: false,
        };
        if depth < problem.moves {
            node.untried = self.mcts.moves(problem, &node, self.key.fold(self.nodes.len() as u64));
        }
        self.nodes.push(node);
        self.nodes.len() - 1
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
    /// Returns the allowed values nearest to `target` for the move after this node, and the number of steps since each
    /// control was last switched on or off, counted at the end of that move.
    fn next(&self, problem: &Problem, target: &[f64]) -> Move {
        let each = problem.constraints.iter().zip(target).enumerate().map(|(c, (constraints, target))| {
            let value = constraints.nearest(self.values[c], self.since[c], *target);
            (value, constraints.since(self.values[c], self.since[c], value, problem.steps[self.depth]))
        });
        each.unzip()
    }
}
