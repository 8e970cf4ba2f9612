//! Tests of planners on on/off problems whose optimum is found by computing the cost of every sequence.

use std::collections::HashSet;

use twinopt::control::planner::{Branches, CostFunction, Form, Model, Planner};
use twinopt::expr::Curve;
use twinopt::rng::Key;
use twinopt::schema::{Bounds, Switching};

use super::{planner, problem};

/// A cooled store whose cooler is off (0) or on (1): x(t + 1) = a x(t) + w(t) − b u(t). The cost per step is
/// price(t) u(t) + penalty max(0, x(t + 1) − 1)².
struct Store {
    decay: f64,
    cooling: f64,
    penalty: f64,
    start: f64,
    warming: Vec<f64>,
    prices: Vec<f64>,
    /// Sequences whose cost was computed, as bit masks.
    priced: Vec<u32>,
}

impl Store {
    fn new(seed: u64, moves: usize) -> Self {
        let key = Key::new(seed);
        let draw = |i: u64, low: f64, high: f64| low + key.uniform(i) * (high - low);
        let (mean, phase, period) = (draw(0, 0.2, 0.5), draw(1, 0.0, std::f64::consts::TAU), draw(2, 4.0, 24.0));
        let warming = |k: usize| mean * (1.0 + 0.7 * (phase + std::f64::consts::TAU * k as f64 / period).sin());
        Self {
            decay: draw(3, 0.88, 0.97),
            cooling: draw(4, 0.5, 1.0),
            penalty: draw(5, 2.0, 10.0),
            start: draw(6, 0.8, 2.2),
            warming: (0..moves).map(warming).collect(),
            prices: (0..moves).map(|k| draw(7 + k as u64, 0.6, 1.4)).collect(),
            priced: Vec::new(),
        }
    }

    fn cost(&self, u: &[f64]) -> f64 {
        let (mut x, mut cost) = (self.start, 0.0);
        for ((u, w), price) in u.iter().zip(&self.warming).zip(&self.prices) {
            x = self.decay * x + w - self.cooling * u;
            cost += price * u + self.penalty * (x - 1.0).max(0.0).powi(2);
        }
        cost
    }

    fn optimum(&self) -> f64 {
        let moves = self.warming.len();
        let sequence = |mask: u32| (0..moves).map(|k| f64::from(mask >> k & 1)).collect::<Vec<f64>>();
        (0..1u32 << moves).map(|mask| self.cost(&sequence(mask))).fold(f64::INFINITY, f64::min)
    }

    fn plan(&mut self, planner: &dyn Planner, seed: u64) -> f64 {
        let moves = self.warming.len();
        let mut problem = problem(moves, 1, self);
        problem.constraints[0].bounds = Bounds { low: 0.0, high: 1.0 };
        problem.constraints[0].multiple = 1.0;
        problem.key = Key::new(seed);
        planner.plan(&mut problem, None).cost
    }
}

impl CostFunction for Store {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        for u in candidates {
            costs.push(self.cost(u));
            self.priced.push(u.iter().enumerate().map(|(k, v)| (*v as u32) << k).sum());
        }
    }

    fn formulate(&mut self, model: &mut Model, targets: &[Form], _: &[f64]) -> bool {
        let mut x = Form::constant(self.start);
        for ((u, w), price) in targets.iter().zip(&self.warming).zip(&self.prices) {
            x = Form::sum(&x, self.decay, u, -self.cooling);
            x.constant += w;
            let over = Form::sum(&x, 1.0, &Form::constant(1.0), -1.0);
            let over = model.positive_part(over);
            let Some(square) = model.curve(Curve::Power(2.0), &over) else { return false };
            model.cost.add(u, *price);
            model.cost.add(&square, self.penalty);
        }
        true
    }

    fn branches(&mut self) -> Option<Box<dyn Branches + '_>> {
        Some(Box::new(StoreBranches { store: self, step: 0, states: vec![self.start], costs: vec![0.0] }))
    }
}

/// Partial sequences of a [`Store`], with the state and the cost after the last move.
struct StoreBranches<'a> {
    store: &'a Store,
    step: usize,
    states: Vec<f64>,
    costs: Vec<f64>,
}

impl Branches for StoreBranches<'_> {
    fn extend(&mut self, parents: &[usize], moves: &[f64]) {
        let Store { decay, cooling, penalty, warming, prices, .. } = self.store;
        let next = |(p, u): (&usize, &f64)| decay * self.states[*p] + warming[self.step] - cooling * u;
        let states: Vec<f64> = parents.iter().zip(moves).map(next).collect();
        let cost = |((p, u), x): ((&usize, &f64), &f64)| {
            self.costs[*p] + prices[self.step] * u + penalty * (x - 1.0).max(0.0).powi(2)
        };
        self.costs = parents.iter().zip(moves).zip(&states).map(cost).collect();
        self.states = states;
        self.step += 1;
    }

    fn costs(&self) -> &[f64] {
        &self.costs
    }

    fn cells(&self, cells: f64, out: &mut Vec<u64>) {
        out.clear();
        out.extend(self.states.iter().map(|x| (x / 3.0 * cells).round() as i64 as u64));
    }
}

/// Switching times of a problem, with the state of the control at the start.
#[derive(Clone, Copy)]
struct Times {
    run: usize,
    stop: usize,
    since: usize,
}

impl Times {
    fn draw(seed: u64) -> Self {
        let key = Key::new(seed).fold(9);
        Self { run: 1 + key.below(0, 4), stop: 1 + key.below(1, 4), since: 1 + key.below(2, 4) }
    }

    fn allow(self, mask: u32, moves: usize) -> bool {
        let (mut last, mut since) = (1, self.since);
        (0..moves).all(|k| {
            let on = mask >> k & 1;
            let is_allowed = on == last || since >= if last == 1 { self.run } else { self.stop };
            since = if on == last { since + 1 } else { 1 };
            last = on;
            is_allowed
        })
    }
}

/// The lowest cost of all sequences that satisfy the minimum times, and the cost of the plan of `name`.
fn with_minimum_times(store: &mut Store, name: &str, times: Times) -> (f64, f64) {
    let moves = store.warming.len();
    let sequence = |mask: u32| (0..moves).map(|k| f64::from(mask >> k & 1)).collect::<Vec<f64>>();
    let feasible = (0..1u32 << moves).filter(|mask| times.allow(*mask, moves));
    let optimum = feasible.map(|mask| store.cost(&sequence(mask))).fold(f64::INFINITY, f64::min);
    let mut problem = problem(moves, 1, store);
    problem.constraints[0].bounds = Bounds { low: 0.0, high: 1.0 };
    problem.constraints[0].switching = Switching { least: 1.0, run: times.run, stop: times.stop };
    (problem.previous, problem.since) = (vec![1.0], vec![times.since]);
    (optimum, planner(name).plan(&mut problem, None).cost)
}

/// Every combination of values is tried from every state, so the plan differs from the optimum only
/// because of the width of the cells.
#[test]
fn dynamic_programming_finds_the_optimum() {
    for seed in 0..20 {
        let mut store = Store::new(100 + seed, 12);
        let optimum = store.optimum();
        let found = store.plan(planner("dp = { cells = 2000 }").as_ref(), seed);
        assert!((found - optimum).abs() <= 1e-9 * optimum, "seed {seed}: {found} instead of {optimum}");
        let coarse = store.plan(planner("dp = {}").as_ref(), seed);
        assert!(coarse <= 1.005 * optimum, "seed {seed}: {coarse} instead of {optimum}");
        let times = Times::draw(seed);
        let (optimum, found) = with_minimum_times(&mut Store::new(300 + seed, 12), "dp = { cells = 2000 }", times);
        assert!((found - optimum).abs() <= 1e-9 * optimum, "seed {seed}: {found} instead of {optimum}");
    }
}

/// Minimum on-times and off-times reduce the number of feasible sequences. The budget is a quarter
/// of this number, but at least 128, because a search needs some sequences to learn from.
#[test]
fn a_tree_search_with_minimum_times_is_near_the_optimum_and_never_worse_than_random_shooting() {
    let moves = 12;
    for seed in 0..20 {
        let times = Times::draw(seed);
        let budget = (0..1u32 << moves).filter(|mask| times.allow(*mask, moves)).count().div_ceil(4).max(128);
        let [(optimum, found), (_, shot)] = ["mcts", "random_shooting"].map(|name| {
            let name = format!("{name} = {{ population = {budget} }}");
            with_minimum_times(&mut Store::new(300 + seed, moves), &name, times)
        });
        assert!(found <= 1.02 * optimum, "seed {seed}: {found} instead of {optimum}");
        assert!(found <= shot, "seed {seed}: {found}, but random shooting found {shot}");
    }
}

#[test]
fn a_tree_search_that_covers_all_sequences_prices_each_once_and_finds_the_optimum() {
    for (seed, moves) in [(1, 3), (2, 6), (3, 8), (4, 8)] {
        let mut store = Store::new(seed, moves);
        let all = 1usize << moves;
        let cost = store.plan(planner(&format!("mcts = {{ population = {} }}", 4 * all)).as_ref(), seed);
        assert_eq!(cost, store.optimum(), "seed {seed}");
        let different: HashSet<u32> = store.priced.iter().copied().collect();
        assert_eq!((store.priced.len(), different.len()), (all, all), "seed {seed}: a sequence was evaluated twice");
    }
}

/// With a quarter of the sequences, the plan costs at most 2 % more than the optimum, and never more than the plan of
/// random shooting with the same number of sequences.
#[test]
fn a_tree_search_is_near_the_optimum_and_never_worse_than_random_shooting() {
    for moves in [8, 10] {
        let budget = (1 << moves) / 4;
        let [tree, random] =
            ["mcts", "random_shooting"].map(|name| planner(&format!("{name} = {{ population = {budget} }}")));
        for seed in 0..20 {
            let mut store = Store::new(100 + seed, moves);
            let (optimum, found) = (store.optimum(), store.plan(tree.as_ref(), seed));
            let priced = store.priced.len();
            let shot = store.plan(random.as_ref(), seed);
            assert!(priced <= budget, "{priced}");
            assert!(found <= 1.02 * optimum, "{moves} moves, seed {seed}: {found} instead of {optimum}");
            assert!(found <= shot, "{moves} moves, seed {seed}: {found}, but random shooting found {shot}");
        }
    }
}

#[test]
fn a_mixed_integer_program_finds_the_optimum_and_proves_it() {
    for moves in [8, 12] {
        for seed in 0..20 {
            let mut store = Store::new(100 + seed, moves);
            let optimum = store.optimum();
            let mut problem = problem(moves, 1, &mut store);
            problem.constraints[0].bounds = Bounds { low: 0.0, high: 1.0 };
            problem.constraints[0].multiple = 1.0;
            let plan = planner("milp = { gap = 1e-6, nodes = 5000 }").plan(&mut problem, None);
            assert!(plan.cost <= 1.0001 * optimum, "{moves} moves, seed {seed}: {} instead of {optimum}", plan.cost);
            let bound = plan.bound.unwrap();
            assert!(
                (0.999 * optimum..=optimum + 1e-9).contains(&bound),
                "{moves} moves, seed {seed}: {bound}, {optimum}"
            );
        }
    }
}

/// With minimum on-times and off-times and a control that is on when the plan starts, all feasible sequences are tried.
#[test]
fn minimum_times_are_planned_exactly() {
    for (seed, run, stop, since) in [(1, 3, 2, 1), (2, 2, 3, 9), (3, 4, 1, 2), (4, 1, 4, 1), (5, 3, 3, 3)] {
        let mut store = Store::new(200 + seed, 10);
        let (optimum, found) = with_minimum_times(&mut store, "milp = { gap = 1e-6 }", Times { run, stop, since });
        assert!((found - optimum).abs() <= 1e-4 * optimum, "seed {seed}: {found} instead of {optimum}");
    }
}

/// If the cost does not depend on when the control is switched on, the plan switches the control on
/// as late as possible.
#[test]
fn of_equally_cheap_plans_the_one_that_waits_is_chosen() {
    let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
        costs.extend(candidates.iter().map(|u| if u[..6].contains(&1.0) { u.iter().sum() } else { 9.0 }));
    };
    for name in ["mcts = { population = 300 }", "random_shooting = { population = 4000 }"] {
        let mut problem = problem(8, 1, &mut cost);
        problem.constraints[0].bounds = Bounds { low: 0.0, high: 1.0 };
        problem.constraints[0].multiple = 1.0;
        let plan = planner(name).plan(&mut problem, None);
        assert_eq!((plan.cost, plan.controls), (1.0, vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), "{name}");
    }
}
