//! Planners on plain problems: the same tests for every planner.

use std::sync::atomic::{AtomicUsize, Ordering};

use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use twinopt::config::PlannerSpec;
use twinopt::control::planner::{Allowed, Local, LocalLimit, Plan, Planner, Price, Problem, Total, build, project};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Switching};

/// Every planner as a scenario gets it by default.
const NAMES: [&str; 8] = ["random_shooting", "cem", "icem", "mppi", "gauss_newton", "gradient", "qp", "mcts"];

fn planner(text: &str) -> Box<dyn Planner> {
    build(&toml::from_str::<PlannerSpec>(text).unwrap())
}

fn defaults() -> Vec<Box<dyn Planner>> {
    let polished = ["icem = { polish = true }", "mppi = { polish = true }"].map(planner);
    NAMES.map(|name| planner(&format!("{name} = {{}}"))).into_iter().chain(polished).collect()
}

fn problem<'a>(moves: usize, controls: usize, price: &'a mut dyn Price) -> Problem<'a> {
    let bounds = Bounds { low: -10.0, high: 10.0 };
    Problem {
        moves,
        steps: vec![1; moves],
        allowed: vec![Allowed { bounds, ..Allowed::ANY }; controls],
        totals: Vec::new(),
        previous: vec![0.0; controls],
        since: vec![99; controls],
        scale: vec![1.0; controls],
        price,
        key: Key::new(7),
        late: &|| false,
    }
}

/// Σ (u − target)² + slope Σ u, with its slopes; squares of one control at each move, and a limit on every value.
struct Track {
    target: f64,
    slope: f64,
    most: f64,
}

impl Track {
    fn to(target: f64) -> Self {
        Self { target, slope: 0.0, most: f64::INFINITY }
    }

    fn of(&self, u: &[f64]) -> f64 {
        let beyond: f64 = u.iter().map(|u| (u - self.most).max(0.0)).sum();
        u.iter().map(|u| (u - self.target).powi(2) + self.slope * u).sum::<f64>() + 1e4 * beyond
    }
}

impl Price for Track {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        costs.extend(candidates.iter().map(|u| self.of(u)));
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        let n = at.len();
        let one = |i: usize, v: f64| (0..n).map(|j| if i == j { v } else { 0.0 }).collect::<Vec<f64>>();
        let root = 2f64.sqrt();
        let limit = |i: usize| LocalLimit { slopes: one(i, 1.0), room: self.most - at[i], rank: 0 };
        Some(Local {
            cost: self.of(at),
            gradient: vec![self.slope; n],
            residuals: at.iter().map(|u| root * (u - self.target)).collect(),
            jacobian: (0..n).map(|i| one(i, root)).collect(),
            limits: if self.most.is_finite() { (0..n).map(limit).collect() } else { Vec::new() },
        })
    }
}

/// x' = A x + B u, cost Σ x'Qx + u'Ru over the horizon, and x'Qx at its end; Q and R diagonal.
struct Linear {
    a: DMatrix<f64>,
    b: DMatrix<f64>,
    q: DMatrix<f64>,
    r: DMatrix<f64>,
    x: DVector<f64>,
    horizon: usize,
}

impl Linear {
    /// A weakly damped mass that one force moves, from rest one metre away.
    fn mass() -> Self {
        Self {
            a: DMatrix::from_row_slice(2, 2, &[1.0, 0.3, -0.1, 0.95]),
            b: DMatrix::from_row_slice(2, 1, &[0.05, 0.3]),
            q: DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.1])),
            r: DMatrix::from_element(1, 1, 0.2),
            x: DVector::from_vec(vec![1.0, 0.0]),
            horizon: 12,
        }
    }

    /// Square roots of twice the terms of the cost: half the sum of their squares is the cost.
    fn residuals(&self, start: &DVector<f64>, u: &[f64]) -> Vec<f64> {
        let mut x = start.clone();
        let mut residuals = Vec::new();
        let weigh = |v: &DVector<f64>, w: &DMatrix<f64>| -> Vec<f64> {
            v.iter().enumerate().map(|(i, v)| (2.0 * w[(i, i)]).sqrt() * v).collect()
        };
        for u in u.chunks(self.b.ncols()) {
            let u = DVector::from_column_slice(u);
            residuals.extend(weigh(&x, &self.q));
            residuals.extend(weigh(&u, &self.r));
            x = &self.a * x + &self.b * u;
        }
        residuals.extend(weigh(&x, &self.q));
        residuals
    }

    /// The least cost by the Riccati recursion.
    fn optimum(&self) -> f64 {
        let mut p = self.q.clone();
        for _ in 0..self.horizon {
            let bp = self.b.transpose() * &p;
            let gain = (&self.r + &bp * &self.b).try_inverse().unwrap() * &bp * &self.a;
            p = &self.q + self.a.transpose() * &p * (&self.a - &self.b * gain);
        }
        self.x.dot(&(&p * &self.x))
    }

    fn plan(&mut self, planner: &dyn Planner, warm: Option<&Plan>, seed: u64) -> Plan {
        let (moves, controls) = (self.horizon, self.b.ncols());
        let mut problem = problem(moves, controls, self);
        problem.key = Key::new(seed);
        // All that the optimum asks for, and a little more.
        problem.allowed[0].bounds = Bounds { low: -1.5, high: 1.5 };
        planner.plan(&mut problem, warm)
    }
}

impl Price for Linear {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        let half = |u: &Vec<f64>| 0.5 * self.residuals(&self.x, u).iter().map(|r| r * r).sum::<f64>();
        costs.extend(candidates.iter().map(half));
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        let rest = DVector::zeros(self.x.len());
        let unit = |i: usize| (0..at.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
        let residuals = self.residuals(&self.x, at);
        Some(Local {
            cost: 0.5 * residuals.iter().map(|r| r * r).sum::<f64>(),
            gradient: vec![0.0; at.len()],
            jacobian: (0..at.len()).map(|i| self.residuals(&rest, &unit(i))).collect(),
            residuals,
            limits: Vec::new(),
        })
    }
}

/// The same plant, and each halving of a residual counts the same: ln(1 + |r| / 0.01).
struct Logs(Linear);

impl Price for Logs {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        let of = |u: &Vec<f64>| self.0.residuals(&self.0.x, u).iter().map(|r| (1.0 + r.abs() / 0.01).ln()).sum::<f64>();
        costs.extend(candidates.iter().map(of));
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        let mut costs = Vec::new();
        self.cost(&[at.to_vec()], &mut costs);
        let plain = self.0.near(at)?;
        let root = |r: &f64| (1.0 / ((0.01 + r.abs()) * r.abs().max(1e-4))).sqrt();
        let roots: Vec<f64> = plain.residuals.iter().map(root).collect();
        let weighed = |column: &[f64]| column.iter().zip(&roots).map(|(v, w)| v * w).collect::<Vec<f64>>();
        let jacobian = plain.jacobian.iter().map(|c| weighed(c)).collect();
        Some(Local { cost: costs[0], residuals: weighed(&plain.residuals), jacobian, ..plain })
    }
}

#[test]
fn few_steps_go_far_on_concave_costs() {
    let cost = |name: &str| {
        let mass = Linear::mass();
        let q = DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.0]));
        let mut price = Logs(Linear { q, r: DMatrix::zeros(1, 1), ..mass });
        let mut problem = problem(12, 1, &mut price);
        problem.allowed[0].bounds = Bounds { low: -1.5, high: 1.5 };
        planner(name).plan(&mut problem, None).cost
    };
    let (few, many) = (cost("gauss_newton = {}"), cost("gauss_newton = { iterations = 60 }"));
    assert!(few < 1.02 * many, "{few} {many}");
}

/// (planner with room to converge, its largest gap to the LQR optimum).
const GAPS: [(&str, f64); 8] = [
    ("random_shooting = { population = 20000 }", 0.3),
    ("cem = { population = 200, iterations = 30 }", 0.01),
    ("icem = { population = 200, iterations = 30, beta = 0.5, decay = 1.02 }", 0.01),
    ("mppi = { population = 200, iterations = 30, decay = 0.9 }", 0.01),
    ("gauss_newton = {}", 1e-6),
    ("gradient = { iterations = 30 }", 1e-4),
    ("qp = { iterations = 1 }", 1e-6),
    ("mcts = { population = 20000, levels = 9 }", 0.05),
];

#[test]
fn planners_reach_the_lqr_optimum() {
    let mut plant = Linear::mass();
    let best = plant.optimum();
    for (text, most) in GAPS {
        for seed in 0..3 {
            let plan = plant.plan(planner(text).as_ref(), None, seed);
            assert!(plan.cost >= best * (1.0 - 1e-9), "{text}: better than the optimum");
            let gap = plan.cost / best - 1.0;
            println!("{text} seed {seed}: {:.5} % above the optimum", 100.0 * gap);
            assert!(gap < most, "{text} seed {seed}: {:.5} % above the optimum", 100.0 * gap);
        }
    }
}

#[test]
fn slopes_by_differences_reach_the_optimum_too() {
    let plant = Linear::mass();
    let best = plant.optimum();
    let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
        let half = |u: &Vec<f64>| 0.5 * plant.residuals(&plant.x, u).iter().map(|r| r * r).sum::<f64>();
        costs.extend(candidates.iter().map(half));
    };
    let plan = planner("gradient = { iterations = 30 }").plan(&mut problem(12, 1, &mut cost), None);
    assert!(plan.cost / best - 1.0 < 1e-3, "{}", plan.cost / best);
    let polished = planner("icem = { polish = true }").plan(&mut problem(12, 1, &mut cost), None);
    let plain = planner("icem = {}").plan(&mut problem(12, 1, &mut cost), None);
    println!("icem {:.4} %, polished {:.4} %", 100.0 * (plain.cost / best - 1.0), 100.0 * (polished.cost / best - 1.0));
    assert!(polished.cost < plain.cost);
}

#[test]
fn plans_are_never_worse_than_the_last_one_or_holding() {
    let mut plant = Linear::mass();
    for planner in defaults() {
        let mut plan = plant.plan(planner.as_ref(), None, 0);
        let mut held = Vec::new();
        plant.cost(&[vec![0.0; 12]], &mut held);
        assert!(plan.cost <= held[0], "{}", planner.name());
        for seed in 1..6 {
            let next = plant.plan(planner.as_ref(), Some(&plan), seed);
            assert!(next.cost <= plan.cost, "{}: the warm start is lost", planner.name());
            plan = next;
        }
    }
}

#[test]
fn the_same_key_gives_the_same_plan() {
    let mut plant = Linear::mass();
    for name in NAMES {
        let planner = planner(&format!("{name} = {{}}"));
        let mut with = |seed: u64| plant.plan(planner.as_ref(), None, seed);
        let plan = with(3);
        assert_eq!(plan, with(3), "{name}");
        let other = with(4);
        // Those that draw nothing do not depend on the key.
        let draws = !["gauss_newton", "gradient", "qp"].contains(&name);
        assert!(!draws || other.controls != plan.controls || name == "mcts" || name == "random_shooting", "{name}");
    }
}

#[test]
fn costs_that_are_no_numbers_rank_last() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| match c[0] {
                u if u < 0.0 => f64::NAN,
                u if u > 8.0 => f64::NEG_INFINITY,
                u if u > 7.0 => f64::INFINITY,
                u => 5.0 + (u - 3.0).powi(2),
            }));
        };
        let mut mostly = problem(3, 1, &mut cost);
        mostly.scale = vec![0.0];
        let plan = planner.plan(&mut mostly, None);
        // Only holding has a cost, 14, among the constants of those that need slopes.
        let most = match planner.name() {
            "gauss_newton" | "qp" => 14.0,
            // 5 is the nearest level.
            "mcts" => 9.0,
            _ => 6.0,
        };
        assert!((5.0..=most).contains(&plan.cost), "{}: {}", planner.name(), plan.cost);
        let mut never = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| costs.resize(candidates.len(), f64::NAN);
        let plan = planner.plan(&mut problem(3, 1, &mut never), None);
        assert_eq!((plan.cost, plan.controls), (f64::INFINITY, vec![0.0; 3]), "{}", planner.name());
    }
}

/// Slopes that are no numbers are no slopes.
struct Unsloped(Track);

impl Price for Unsloped {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.0.cost(candidates, costs);
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        self.0.near(at).map(|l| Local { residuals: vec![f64::NAN; at.len()], ..l })
    }
}

#[test]
fn without_slopes_the_best_start_is_the_plan() {
    for name in ["gauss_newton = {}", "qp = {}"] {
        let plan = planner(name).plan(&mut problem(3, 1, &mut Unsloped(Track::to(9.0))), None);
        assert_eq!(plan.controls, [10.0; 3], "{name}");
    }
}

#[test]
fn where_squares_say_nothing_the_gradient_leads() {
    let mut price = Slope;
    for name in ["gauss_newton = {}", "qp = {}", "gradient = {}"] {
        let mut problem = problem(3, 1, &mut price);
        problem.previous = vec![4.0];
        problem.allowed[0].max_move = MoveLimit { down: 2.0, up: 1.0 };
        let plan = planner(name).plan(&mut problem, None);
        assert_eq!(plan.controls.iter().map(|u| u.round()).collect::<Vec<_>>(), [5.0, 6.0, 7.0], "{name}");
    }
}

/// −Σ u.
struct Slope;

impl Price for Slope {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        costs.extend(candidates.iter().map(|c| -c.iter().sum::<f64>()));
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        let (gradient, jacobian) = (vec![-1.0; at.len()], vec![Vec::new(); at.len()]);
        Some(Local { cost: -at.iter().sum::<f64>(), gradient, jacobian, ..Local::default() })
    }
}

#[test]
fn limits_of_the_plant_hold_or_are_broken_least() {
    for name in ["gauss_newton = {}", "qp = {}"] {
        let mut price = Track { most: 3.0, ..Track::to(5.0) };
        let plan = planner(name).plan(&mut problem(4, 1, &mut price), None);
        assert!(plan.controls.iter().all(|u| (2.9..=3.0001).contains(u)), "{name}: {:?}", plan.controls);
        // No value in the bounds holds it: the least excess is best.
        let mut price = Track { most: -12.0, ..Track::to(5.0) };
        let plan = planner(name).plan(&mut problem(4, 1, &mut price), None);
        assert!(plan.controls.iter().all(|u| *u < -9.99), "{name}: {:?}", plan.controls);
    }
}

#[test]
fn nothing_to_move_is_no_trouble() {
    for planner in defaults() {
        let mut cost = |candidates: &[Vec<f64>], costs: &mut Vec<f64>| {
            costs.extend(candidates.iter().map(|c| 1.0 + c.iter().sum::<f64>()));
        };
        assert_eq!(planner.plan(&mut problem(0, 2, &mut cost), None).cost, 1.0);
        assert_eq!(planner.plan(&mut problem(4, 0, &mut cost), None).cost, 1.0);
        let mut fixed = problem(4, 1, &mut cost);
        fixed.allowed[0].bounds = Bounds { low: 2.0, high: 2.0 };
        assert_eq!(planner.plan(&mut fixed, None).controls, [2.0; 4], "{}", planner.name());
    }
}

#[test]
fn whole_numbers_are_found() {
    for planner in defaults() {
        let mut price = Track::to(7.4);
        let mut lots = problem(4, 1, &mut price);
        lots.allowed[0].multiple = 2.0;
        lots.scale = vec![0.0];
        let plan = planner.plan(&mut lots, None);
        // Uniform draws find the best of 11⁴ sequences by luck only.
        let most = if planner.name() == "random_shooting" { 28.0 } else { 4.0 * 0.36 + 1e-9 };
        assert!(plan.cost <= most, "{}: {:?}", planner.name(), plan.controls);
    }
}

#[test]
fn machines_are_off_or_on() {
    for planner in defaults() {
        let mut price = Track::to(2.6);
        let mut machine = problem(6, 1, &mut price);
        machine.allowed[0] = Allowed {
            bounds: Bounds { low: 0.0, high: 10.0 },
            switching: Switching { least: 4.0, run: 2, stop: 2 },
            ..Allowed::ANY
        };
        let plan = planner.plan(&mut machine, None);
        assert!(plan.controls.iter().all(|u| *u == 0.0 || *u >= 4.0), "{}: {:?}", planner.name(), plan.controls);
        // On at 4 costs 1.96 a move, off 6.76.
        let worst = if planner.name() == "random_shooting" { 40.0 } else { 6.0 * 1.96 + 2.0 };
        assert!(plan.cost <= worst, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
    }
}

#[test]
fn totals_hold() {
    for planner in defaults() {
        let mut price = Track::to(6.0);
        let mut fuel = problem(4, 1, &mut price);
        fuel.allowed[0].bounds.low = 0.0;
        fuel.scale = vec![0.0];
        fuel.steps = vec![1, 1, 2, 4];
        fuel.totals = vec![Total { control: 0, range: Bounds { low: f64::NEG_INFINITY, high: 24.0 } }];
        let plan = planner.plan(&mut fuel, None);
        let taken: f64 = plan.controls.iter().zip([1.0, 1.0, 2.0, 4.0]).map(|(u, s)| u * s).sum();
        assert!(taken <= 24.0 + 1e-6, "{}: {taken}", planner.name());
        // Least squares with Σ s u = 24: u = 6 − 24 s / 22, cost 24² / 22 = 26.2; the same for every move: 36.
        let sampler = ["cem", "icem", "mppi"].contains(&planner.name());
        let most = if sampler { 45.0 } else { 36.0 + 1e-6 };
        assert!(plan.cost <= most, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
        if ["gauss_newton", "qp"].contains(&planner.name()) {
            assert!((plan.cost - 576.0 / 22.0).abs() < 1e-2, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
        }
    }
}

#[test]
fn late_plans_are_the_best_so_far() {
    for planner in defaults() {
        let asked = AtomicUsize::new(0);
        let late = || asked.fetch_add(1, Ordering::Relaxed) >= 1;
        let always = || true;
        let mut price = Counted { track: Track::to(3.0), batches: 0 };
        let mut first = problem(4, 1, &mut price);
        first.late = &always;
        let plan = planner.plan(&mut first, None);
        assert!(plan.cost <= 36.0, "{}: worse than holding", planner.name());
        assert_eq!(price.batches, 1, "{}", planner.name());
        let mut second = problem(4, 1, &mut price);
        second.late = &late;
        planner.plan(&mut second, None);
        assert!(price.batches <= 12, "{}: {} batches", planner.name(), price.batches);
    }
}

/// Counts its batches.
struct Counted {
    track: Track,
    batches: usize,
}

impl Price for Counted {
    fn cost(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.batches += 1;
        self.track.cost(candidates, costs);
    }

    fn near(&mut self, at: &[f64]) -> Option<Local> {
        self.batches += 1;
        self.track.near(at)
    }
}

#[test]
fn a_start_on_a_bound_is_no_trap() {
    for planner in defaults() {
        let mut price = Track::to(2.0);
        let mut on_bound = problem(4, 1, &mut price);
        on_bound.previous = vec![10.0];
        on_bound.scale = vec![0.0];
        // Staying there costs 256.
        let plan = planner.plan(&mut on_bound, None);
        assert!(plan.cost < 26.0, "{}: {}", planner.name(), plan.cost);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// From any feasible start every plan holds its limits, whatever it is after.
    #[test]
    fn plans_hold_their_limits(
        moves in 1usize..8,
        low in -20.0..0.0,
        width in prop_oneof![Just(0.0), 0.5..40.0],
        down in prop_oneof![0.0..5.0, Just(f64::INFINITY)],
        up in prop_oneof![0.0..5.0, Just(f64::INFINITY)],
        multiple in prop_oneof![Just(0.0), 0.05..3.0],
        wanted in -40.0..40.0f64,
        at in 0.0..1.0,
        seed in 0u64..1000,
    ) {
        let bounds = Bounds { low, high: low + width };
        let lots = |v: f64| multiple == 0.0 || (v / multiple - (v / multiple).round()).abs() < 1e-6;
        let mut previous: f64 = low + at * width;
        if multiple > 0.0 {
            previous = (previous / multiple).round() * multiple;
            prop_assume!(bounds.contains(previous));
        }
        for planner in defaults() {
            let mut price = Track { slope: 0.3, ..Track::to(wanted) };
            let mut problem = problem(moves, 1, &mut price);
            problem.allowed = vec![Allowed { bounds, max_move: MoveLimit { down, up }, multiple, ..Allowed::ANY }];
            problem.previous = vec![previous];
            problem.key = Key::new(seed);
            let plan = planner.plan(&mut problem, None);
            for plan in std::iter::once(&plan.controls).chain(&plan.memory) {
                let mut last = previous;
                for u in plan {
                    prop_assert!(*u >= bounds.low - 1e-9 && *u <= bounds.high + 1e-9, "{u} beyond {bounds:?}");
                    prop_assert!(u - last <= up + 1e-9 && last - u <= down + 1e-9, "{last} to {u}");
                    prop_assert!(lots(*u), "{u} is no multiple of {multiple}");
                    last = *u;
                }
                let mut again = plan.clone();
                project(&problem, &mut again);
                prop_assert!(again.iter().zip(plan).all(|(a, b)| (a - b).abs() < 1e-9));
            }
        }
    }
}

#[test]
fn a_control_outside_its_bounds_comes_back_at_its_pace() {
    for planner in defaults() {
        let mut price = Track::to(12.0);
        let mut outside = problem(4, 1, &mut price);
        outside.previous = vec![19.0];
        outside.allowed[0].max_move = MoveLimit { down: 3.0, up: 1.0 };
        let plan = planner.plan(&mut outside, None);
        assert_eq!(plan.controls[..3], [16.0, 13.0, 10.0], "{}", planner.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Machines that are on stay on for long enough, and those that are off stay off.
    #[test]
    fn plans_hold_run_times(
        run in 0usize..5,
        stop in 0usize..5,
        steps in prop::collection::vec(1usize..3, 1..7),
        since in 0usize..6,
        on in any::<bool>(),
        slope in -12.0..12.0f64,
        seed in 0u64..1000,
    ) {
        for planner in defaults() {
            let mut price = Track { slope, ..Track::to(2.0) };
            let mut machine = problem(steps.len(), 1, &mut price);
            machine.steps = steps.clone();
            machine.previous = vec![if on { 5.0 } else { 0.0 }];
            machine.since = vec![since];
            machine.key = Key::new(seed);
            machine.allowed[0] = Allowed {
                bounds: Bounds { low: 0.0, high: 10.0 },
                switching: Switching { least: 4.0, run, stop },
                ..Allowed::ANY
            };
            let plan = planner.plan(&mut machine, None);
            let (mut was_on, mut lasted) = (on, since);
            for (u, steps) in plan.controls.iter().zip(&steps) {
                prop_assert!(*u == 0.0 || *u >= 4.0, "{}: {u}", planner.name());
                let is_on = *u > 0.0;
                if is_on != was_on {
                    prop_assert!(lasted >= if was_on { run } else { stop }, "{}: {:?}", planner.name(), plan.controls);
                    lasted = 0;
                }
                (was_on, lasted) = (is_on, lasted + steps);
            }
        }
    }
}
