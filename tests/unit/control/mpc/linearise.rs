//! Tests that derivatives of the cost agree with finite differences of the cost.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::Mpc;
use super::super::evaluator::Evaluator;
use super::super::futures::Futures;
use super::super::oven::{FAN, HEAT, Oven, POWER, STEP_MS, TEMP};
use crate::config::{KpiSpec, TimeSpan};
use crate::control::mpc::ResolvedMpc;
use crate::control::planner::Linearisation;
use crate::control::{Control, Controller, Forecast, Observation};
use crate::rng::Key;
use crate::trajectory::{Trajectory, Window};
use crate::twin::Support;

/// Evaluates and linearises plans of 4 moves over 8 steps. The initial temperature is 20 degrees.
struct Fixture<'a> {
    mpc: Mpc<'a>,
    window: Window,
    forecast: Forecast,
    evaluator: Evaluator,
}

impl<'a> Fixture<'a> {
    fn new(oven: &'a Oven, kpi: &KpiSpec) -> Self {
        let horizon = TimeSpan::from_ms(8 * STEP_MS);
        let settings = ResolvedMpc {
            controls: vec![HEAT, FAN],
            horizon: Some(horizon),
            moves: Some(4),
            particles: Some(1),
            ..ResolvedMpc::default()
        };
        let mpc = Mpc::new(&settings, oven, oven.objective(kpi), Key::new(1));
        let mut window = Window::new(oven.schema.len(), mpc.setup.depth, 1, Timestamp::UNIX_EPOCH, STEP_MS);
        for lag in 0..mpc.setup.depth {
            for (signal, value) in [(TEMP, 20.0), (HEAT, 5.0), (FAN, 5.0), (POWER, 25.0)] {
                window.column_mut(signal, lag).fill(value);
            }
        }
        let none = Trajectory::empty(oven.schema.clone(), Timestamp::UNIX_EPOCH, STEP_MS, 1, 1);
        let forecast = Forecast::of(Arc::new(none), 0, Vec::new());
        let mut evaluator = Evaluator::default();
        evaluator.begin_plan(Futures::planned(1, &(0..1)));
        Self { mpc, window, forecast, evaluator }
    }

    fn cost(&mut self, at: &[f64]) -> f64 {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], None, &[], Key::new(2));
        let mut costs = Vec::new();
        self.evaluator.evaluate(&self.mpc.setup, &start, &[at.to_vec()], &mut costs);
        costs[0]
    }

    fn linearise(&mut self, at: &[f64]) -> Linearisation {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], None, &[], Key::new(2));
        super::linearise(&mut self.evaluator, &self.mpc.setup, &start, at).unwrap()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(expression: &str) -> KpiSpec {
    KpiSpec::Mean(expression.to_owned().into())
}

/// A plan of 4 random moves of both controls, within their bounds.
fn sequence(seed: u64) -> Vec<f64> {
    (0..8).map(|i| 1.0 + Key::new(seed).below(i, 80) as f64 / 10.0).collect()
}

#[test]
fn the_gradient_equals_differences_of_the_cost() {
    let oven = Oven::new();
    // Each case consists of a KPI and the allowed error relative to the largest derivative. The derivatives of terms
    // that are not residuals are one-sided differences, which are less accurate.
    let kpis = [
        (mean("abs(temp - 22.03)"), 1e-6),
        (mean("(temp - 22.03) ^ 2"), 1e-6),
        (mean("3 * (temp - 22.03) ^ 2 + abs(heat - 4.14)"), 1e-6),
        (mean("abs(temp - 22.03) + 0.1 * heat"), 1e-6),
        (mean("ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        // The following two KPIs decrease as the distance from the target grows.
        (mean("1 - ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        (mean("-abs(temp - 22.03)"), 1e-6),
        (KpiSpec::Exceedance("temp".to_owned().into()), 1e-6),
        (mean("power"), 5e-3),
    ];
    for (kpi, tolerance) in &kpis {
        let mut fixture = Fixture::new(&oven, kpi);
        for seed in 0..5 {
            let at = sequence(seed);
            let model = fixture.linearise(&at);
            assert_eq!(model.cost, fixture.cost(&at));
            let gradient: Vec<f64> =
                model.gradient.iter().zip(&model.jacobian).map(|(g, j)| g + dot(j, &model.residuals)).collect();
            let expected = differences(&mut fixture, &at);
            let largest = expected.iter().fold(0.0f64, |m, s| m.max(s.abs()));
            assert!(largest > 0.0, "{kpi:?}: nothing to compare");
            for (derivative, expected) in gradient.iter().zip(&expected) {
                assert!(
                    (derivative - expected).abs() <= tolerance * largest,
                    "{kpi:?} {seed}: {gradient:?} for {expected:?}"
                );
            }
        }
    }
}

#[test]
fn a_squared_distance_is_exact_far_from_the_plan() {
    let oven = Oven::new();
    let mut fixture = Fixture::new(&oven, &mean("(temp - 22.03) ^ 2"));
    let (at, to) = (sequence(1), sequence(2));
    let model = fixture.linearise(&at);
    let change: Vec<f64> = to.iter().zip(&at).map(|(to, at)| to - at).collect();
    let mut moved = model.residuals.clone();
    for (column, d) in model.jacobian.iter().zip(&change) {
        moved.iter_mut().zip(column).for_each(|(r, j)| *r += j * d);
    }
    let halves = 0.5 * (dot(&moved, &moved) - dot(&model.residuals, &model.residuals));
    let (predicted, cost) = (model.cost + dot(&model.gradient, &change) + halves, fixture.cost(&to));
    assert!((cost - model.cost).abs() > 0.1, "the two plans must have different costs");
    assert!((predicted - cost).abs() < 1e-6 * cost, "predicted {predicted}, actual cost {cost}");
}

/// The gradient of the cost, computed by central differences.
fn differences(fixture: &mut Fixture, at: &[f64]) -> Vec<f64> {
    let moved = |k: usize, size: f64, fixture: &mut Fixture| {
        let mut moved = at.to_vec();
        moved[k] += size;
        fixture.cost(&moved)
    };
    (0..at.len()).map(|k| (moved(k, 1e-4, fixture) - moved(k, -1e-4, fixture)) / 2e-4).collect()
}

#[test]
fn pessimism_adds_the_spread_over_members_and_its_gradient() {
    let oven = Oven { members: 6, ..Oven::new() };
    let mut fixture = Fixture::new(&oven, &mean("(temp - 22.03) ^ 2"));
    let at = sequence(3);
    let each: Vec<f64> = (0..3)
        .map(|m| {
            fixture.evaluator.begin_plan(Futures { members: vec![Some(m)], ..Futures::default() });
            fixture.cost(&at)
        })
        .collect();
    let average = each.iter().sum::<f64>() / 3.0;
    let sd = (each.iter().map(|c| (c - average).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!(sd > 0.0);
    fixture.evaluator.begin_plan(Futures::pessimistic(&(0..6), 1.5));
    let cost = fixture.cost(&at);
    assert!((cost - (average + 1.5 * sd)).abs() < 1e-9 * cost, "{cost}: {average} {sd}");
    let model = fixture.linearise(&at);
    let gradient: Vec<f64> =
        model.gradient.iter().zip(&model.jacobian).map(|(g, j)| g + dot(j, &model.residuals)).collect();
    let expected = differences(&mut fixture, &at);
    let largest = expected.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    for (derivative, expected) in gradient.iter().zip(&expected) {
        // The tolerance is large because the derivatives of the spread are one-sided differences.
        assert!((derivative - expected).abs() <= 5e-3 * largest, "{gradient:?} for {expected:?}");
    }
}

#[test]
fn pessimism_applies_only_outside_the_support() {
    let futures = |support: Support, members: usize| {
        let oven = Oven { members, support, ..Oven::new() };
        let fixture = Fixture::new(&oven, &mean("(temp - 22.03) ^ 2"));
        let observation = Observation { window: &fixture.window, step: 0, forecast: &fixture.forecast };
        let start = fixture.mpc.setup.start(&observation, 0, &[], None, &[], Key::new(2));
        fixture.mpc.setup.futures(&start)
    };
    assert_eq!(futures(Support::Inside, 6), Futures::planned(1, &(0..6)));
    assert_eq!(
        [Support::Edge, Support::Outside].map(|s| futures(s, 6)),
        [Futures::pessimistic(&(0..6), 1.0), Futures::pessimistic(&(0..6), 1.0)]
    );
    assert_eq!(futures(Support::Edge, 1), Futures::planned(1, &(0..1)), "with a single member, there is no spread");
}

#[test]
fn the_cheapest_first_move_is_chosen_by_the_cost_of_the_remaining_plan() {
    let oven = Oven::new();
    let mut fixture = Fixture::new(&oven, &mean("(temp - 22.03) ^ 2 + 0.01 * (heat - 3) ^ 2"));
    let first = [[0.0, 10.0], [7.0, 3.0], [9.0, 0.5], [2.0, 9.0]].map(|m| m.to_vec());
    let other = [[9.0, 0.5], [7.0, 3.0]].map(|m| m.to_vec());
    {
        let observation = Observation { window: &fixture.window, step: 4, forecast: &fixture.forecast };
        assert_eq!(fixture.mpc.cheapest(&observation, 0, &first), None, "there is no plan yet");
        let mut control = Control::new(vec![HEAT, FAN], 1);
        fixture.mpc.act(&observation, &mut control).unwrap();
    }
    let plan = fixture.mpc.particles[0].plan.clone().unwrap().controls;
    let costs = |fixture: &mut Fixture, first: &[Vec<f64>]| -> Vec<f64> {
        first.iter().map(|m| fixture.cost(&[m, &plan[2..]].concat())).collect()
    };
    let least = |costs: &[f64]| (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b]));
    let expected = [costs(&mut fixture, &first), costs(&mut fixture, &other)].map(|c| least(&c));
    let observation = Observation { window: &fixture.window, step: 4, forecast: &fixture.forecast };
    let found = [&first[..], &other].map(|f| fixture.mpc.cheapest(&observation, 0, f));
    assert_eq!(found, expected);
    assert!(found[0] != Some(0) && found[1].is_some());
}
