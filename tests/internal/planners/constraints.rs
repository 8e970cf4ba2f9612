//! Tests that plans satisfy their constraints: plant limits, multiples, switching times, totals, bounds and move
//! limits.

use proptest::prelude::*;
use twinopt::control::planner::{ControlConstraints, TotalLimit, project};
use twinopt::rng::Key;
use twinopt::schema::{Bounds, MoveLimit, Switching};

use super::costs::Tracking;
use super::{defaults, planner, problem};

#[test]
fn plant_limits_are_satisfied_or_violated_least() {
    for name in ["gauss_newton = {}", "qp = {}"] {
        let mut cost = Tracking { upper_limit: 3.0, ..Tracking::to(5.0) };
        let plan = planner(name).plan(&mut problem(4, 1, &mut cost), None);
        assert!(plan.controls.iter().all(|u| (2.9..=3.0001).contains(u)), "{name}: {:?}", plan.controls);
        // No value within the bounds satisfies the limit, so the plan with the smallest violation is best.
        let mut cost = Tracking { upper_limit: -12.0, ..Tracking::to(5.0) };
        let plan = planner(name).plan(&mut problem(4, 1, &mut cost), None);
        assert!(plan.controls.iter().all(|u| *u < -9.99), "{name}: {:?}", plan.controls);
    }
}

#[test]
fn the_best_multiples_are_found() {
    for planner in defaults() {
        let mut cost = Tracking::to(7.4);
        let mut multiples = problem(4, 1, &mut cost);
        multiples.constraints[0].multiple = 2.0;
        multiples.scale = vec![0.0];
        let plan = planner.plan(&mut multiples, None);
        // The tolerance is larger for random shooting, which rarely finds the best of 11⁴ sequences.
        let most = if planner.name() == "random_shooting" { 28.0 } else { 4.0 * 0.36 + 1e-9 };
        assert!(plan.cost <= most, "{}: {:?}", planner.name(), plan.controls);
    }
}

#[test]
fn switched_controls_are_off_or_above_their_minimum() {
    for planner in defaults() {
        let mut cost = Tracking::to(2.6);
        let mut machine = problem(6, 1, &mut cost);
        machine.constraints[0] = ControlConstraints {
            bounds: Bounds { low: 0.0, high: 10.0 },
            switching: Switching { least: 4.0, run: 2, stop: 2 },
            ..ControlConstraints::UNCONSTRAINED
        };
        let plan = planner.plan(&mut machine, None);
        assert!(plan.controls.iter().all(|u| *u == 0.0 || *u >= 4.0), "{}: {:?}", planner.name(), plan.controls);
        // Each move costs 1.96 if the control is 4 and 6.76 if the control is 0.
        let worst = if planner.name() == "random_shooting" { 40.0 } else { 6.0 * 1.96 + 2.0 };
        assert!(plan.cost <= worst, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
    }
}

#[test]
fn totals_are_within_their_limits() {
    for planner in defaults() {
        let mut cost = Tracking::to(6.0);
        let mut fuel = problem(4, 1, &mut cost);
        fuel.constraints[0].bounds.low = 0.0;
        fuel.scale = vec![0.0];
        fuel.steps = vec![1, 1, 2, 4];
        fuel.totals = vec![TotalLimit {
            control: 0,
            bounds: Bounds { low: f64::NEG_INFINITY, high: 24.0 },
            steps: fuel.steps.clone(),
        }];
        let plan = planner.plan(&mut fuel, None);
        let sum: f64 = plan.controls.iter().zip([1.0, 1.0, 2.0, 4.0]).map(|(u, s)| u * s).sum();
        assert!(sum <= 24.0 + 1e-6, "{}: {sum}", planner.name());
        // The least-squares solution with Σ s u = 24 is u = 6 − 24 s / 22, whose cost is 24² / 22 = 26.2. If all moves
        // are equal, the cost is 36.
        let sampler = ["cem", "icem", "mppi"].contains(&planner.name());
        let most = if sampler { 45.0 } else { 36.0 + 1e-6 };
        assert!(plan.cost <= most, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
        if ["gauss_newton", "qp"].contains(&planner.name()) {
            assert!((plan.cost - 576.0 / 22.0).abs() < 1e-2, "{}: {} {:?}", planner.name(), plan.cost, plan.controls);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The control may start at any feasible value, and the target may be outside the bounds.
    #[test]
    fn plans_satisfy_the_limits_of_their_controls(
        moves in 1usize..8,
        low in -20.0..0.0,
        width in prop_oneof![Just(0.0), 0.5..40.0],
        down in prop_oneof![0.0..5.0, Just(f64::INFINITY)],
        up in prop_oneof![0.0..5.0, Just(f64::INFINITY)],
        multiple in prop_oneof![Just(0.0), 0.05..3.0],
        target in -40.0..40.0f64,
        start in 0.0..1.0,
        seed in 0u64..1000,
    ) {
        let bounds = Bounds { low, high: low + width };
        let is_multiple = |v: f64| multiple == 0.0 || (v / multiple - (v / multiple).round()).abs() < 1e-6;
        let mut previous: f64 = low + start * width;
        if multiple > 0.0 {
            previous = (previous / multiple).round() * multiple;
            prop_assume!(bounds.contains(previous));
        }
        for planner in defaults() {
            let mut cost = Tracking { slope: 0.3, ..Tracking::to(target) };
            let mut problem = problem(moves, 1, &mut cost);
            problem.constraints = vec![ControlConstraints { bounds, max_move: MoveLimit { down, up }, multiple, ..ControlConstraints::UNCONSTRAINED }];
            problem.previous = vec![previous];
            problem.key = Key::new(seed);
            let plan = planner.plan(&mut problem, None);
            for plan in std::iter::once(&plan.controls).chain(&plan.memory) {
                let mut last = previous;
                for u in plan {
                    prop_assert!(*u >= bounds.low - 1e-9 && *u <= bounds.high + 1e-9, "{u} is outside {bounds:?}");
                    prop_assert!(
                        u - last <= up + 1e-9 && last - u <= down + 1e-9,
                        "the move from {last} to {u} is too large"
                    );
                    prop_assert!(is_multiple(*u), "{u} is not a multiple of {multiple}");
                    last = *u;
                }
                let mut projected = plan.clone();
                project(&problem, &mut projected);
                prop_assert!(projected.iter().zip(plan).all(|(a, b)| (a - b).abs() < 1e-9));
            }
        }
    }
}

#[test]
fn a_control_outside_its_bounds_returns_within_its_move_limit() {
    for planner in defaults() {
        let mut cost = Tracking::to(12.0);
        let mut outside = problem(4, 1, &mut cost);
        outside.previous = vec![19.0];
        outside.constraints[0].max_move = MoveLimit { down: 3.0, up: 1.0 };
        let plan = planner.plan(&mut outside, None);
        assert_eq!(plan.controls[..3], [16.0, 13.0, 10.0], "{}", planner.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// At the start, the control may have been on or off for any length of time.
    #[test]
    fn plans_respect_minimum_on_and_off_times(
        run in 0usize..5,
        stop in 0usize..5,
        steps in prop::collection::vec(1usize..3, 1..7),
        since in 0usize..6,
        on in any::<bool>(),
        slope in -12.0..12.0f64,
        seed in 0u64..1000,
    ) {
        for planner in defaults() {
            let mut cost = Tracking { slope, ..Tracking::to(2.0) };
            let mut machine = problem(steps.len(), 1, &mut cost);
            machine.steps = steps.clone();
            machine.previous = vec![if on { 5.0 } else { 0.0 }];
            machine.since = vec![since];
            machine.key = Key::new(seed);
            machine.constraints[0] = ControlConstraints {
                bounds: Bounds { low: 0.0, high: 10.0 },
                switching: Switching { least: 4.0, run, stop },
                ..ControlConstraints::UNCONSTRAINED
            };
            let plan = planner.plan(&mut machine, None);
            let (mut was_on, mut duration) = (on, since);
            for (u, steps) in plan.controls.iter().zip(&steps) {
                prop_assert!(*u == 0.0 || *u >= 4.0, "{}: {u}", planner.name());
                let is_on = *u > 0.0;
                if is_on != was_on {
                    prop_assert!(duration >= if was_on { run } else { stop }, "{}: {:?}", planner.name(), plan.controls);
                    duration = 0;
                }
                (was_on, duration) = (is_on, duration + steps);
            }
        }
    }
}
