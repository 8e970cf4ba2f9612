//! The cost around a plan against differences of the cost itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::Mpc;
use super::super::futures::Futures;
use super::super::oven::{FAN, HEAT, Oven, POWER, STEP_MS, TEMP};
use super::super::particle_plan::ParticlePlan;
use super::super::rollout::Workspace;
use crate::config::{KpiSpec, TimeSpan};
use crate::control::mpc::ResolvedMpc;
use crate::control::planner::Local;
use crate::control::{Control, Controller, Forecast, Observation, Present};
use crate::rng::Key;
use crate::trajectory::{Trajectory, Window};
use crate::twin::Support;

/// Cost of sequences and the cost around them, for plans of 4 moves over 8 steps from 20 degrees.
struct Priced<'a> {
    mpc: Mpc<'a>,
    window: Window,
    forecast: Forecast,
    workspace: Workspace,
}

impl<'a> Priced<'a> {
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
        let forecast = Forecast { realised: Arc::new(none), present: Present::AfterHistory(0), signals: Vec::new() };
        let mut workspace = Workspace::default();
        workspace.begin_plan(Futures::planned(1, 1));
        Self { mpc, window, forecast, workspace }
    }

    fn cost(&mut self, at: &[f64]) -> f64 {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], &ParticlePlan::default(), Key::new(2));
        let mut costs = Vec::new();
        self.workspace.price(&self.mpc.setup, &start, &[at.to_vec()], &mut costs);
        costs[0]
    }

    fn near(&mut self, at: &[f64]) -> Local {
        let observation = Observation { window: &self.window, step: 0, forecast: &self.forecast };
        let start = self.mpc.setup.start(&observation, 0, &[], &ParticlePlan::default(), Key::new(2));
        self.workspace.near(&self.mpc.setup, &start, at).unwrap()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(of: &str) -> KpiSpec {
    KpiSpec::Mean(of.to_owned().into())
}

/// 4 moves of both controls, inside their bounds.
fn sequence(seed: u64) -> Vec<f64> {
    (0..8).map(|i| 1.0 + Key::new(seed).below(i, 80) as f64 / 10.0).collect()
}

#[test]
fn slopes_are_those_of_the_cost() {
    let oven = Oven::new();
    // (KPI, largest error in largest slopes): what is no size of something is met by one-sided differences.
    let kpis = [
        (mean("abs(temp - 22.03)"), 1e-6),
        (mean("(temp - 22.03) ^ 2"), 1e-6),
        (mean("3 * (temp - 22.03) ^ 2 + abs(heat - 4.14)"), 1e-6),
        (mean("abs(temp - 22.03) + 0.1 * heat"), 1e-6),
        (mean("ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        // The larger the distance the better.
        (mean("1 - ln(1 + abs(temp - 22.03) / 0.1) / ln(101)"), 1e-2),
        (mean("-abs(temp - 22.03)"), 1e-6),
        (KpiSpec::Exceedance("temp".to_owned().into()), 1e-6),
        (mean("power"), 5e-3),
    ];
    for (kpi, most) in &kpis {
        let mut priced = Priced::new(&oven, kpi);
        for seed in 0..5 {
            let at = sequence(seed);
            let local = priced.near(&at);
            assert_eq!(local.cost, priced.cost(&at));
            let slopes: Vec<f64> =
                local.gradient.iter().zip(&local.jacobian).map(|(g, j)| g + dot(j, &local.residuals)).collect();
            let expected = differences(&mut priced, &at);
            let largest = expected.iter().fold(0.0f64, |m, s| m.max(s.abs()));
            assert!(largest > 0.0, "{kpi:?}: nothing to compare");
            for (slope, expected) in slopes.iter().zip(&expected) {
                assert!((slope - expected).abs() <= most * largest, "{kpi:?} {seed}: {slopes:?} for {expected:?}");
            }
        }
    }
}

#[test]
fn a_squared_distance_is_met_far_away_too() {
    let oven = Oven::new();
    let mut priced = Priced::new(&oven, &mean("(temp - 22.03) ^ 2"));
    let (at, to) = (sequence(1), sequence(2));
    let local = priced.near(&at);
    let change: Vec<f64> = to.iter().zip(&at).map(|(to, at)| to - at).collect();
    let mut moved = local.residuals.clone();
    for (column, d) in local.jacobian.iter().zip(&change) {
        moved.iter_mut().zip(column).for_each(|(r, j)| *r += j * d);
    }
    let halves = 0.5 * (dot(&moved, &moved) - dot(&local.residuals, &local.residuals));
    let (told, cost) = (local.cost + dot(&local.gradient, &change) + halves, priced.cost(&to));
    assert!((cost - local.cost).abs() > 0.1, "the two plans cost the same");
    assert!((told - cost).abs() < 1e-6 * cost, "{told} for {cost}");
}

/// Slopes by central differences of the cost.
fn differences(priced: &mut Priced, at: &[f64]) -> Vec<f64> {
    let moved = |k: usize, size: f64, priced: &mut Priced| {
        let mut moved = at.to_vec();
        moved[k] += size;
        priced.cost(&moved)
    };
    (0..at.len()).map(|k| (moved(k, 1e-4, priced) - moved(k, -1e-4, priced)) / 2e-4).collect()
}

#[test]
fn doubt_costs_the_spread_between_members_and_has_its_slopes() {
    let oven = Oven { members: 6, ..Oven::new() };
    let mut priced = Priced::new(&oven, &mean("(temp - 22.03) ^ 2"));
    let at = sequence(3);
    let each: Vec<f64> = (0..3)
        .map(|m| {
            priced.workspace.begin_plan(Futures { members: vec![Some(m)], ..Futures::default() });
            priced.cost(&at)
        })
        .collect();
    let average = each.iter().sum::<f64>() / 3.0;
    let sd = (each.iter().map(|c| (c - average).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!(sd > 0.0);
    priced.workspace.begin_plan(Futures::doubted(6, 1.5));
    let cost = priced.cost(&at);
    assert!((cost - (average + 1.5 * sd)).abs() < 1e-9 * cost, "{cost}: {average} {sd}");
    let local = priced.near(&at);
    let slopes: Vec<f64> =
        local.gradient.iter().zip(&local.jacobian).map(|(g, j)| g + dot(j, &local.residuals)).collect();
    let expected = differences(&mut priced, &at);
    let largest = expected.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    for (slope, expected) in slopes.iter().zip(&expected) {
        // doubt is met by one-sided differences
        assert!((slope - expected).abs() <= 5e-3 * largest, "{slopes:?} for {expected:?}");
    }
}

#[test]
fn doubt_counts_at_the_edge_of_what_is_known_and_nowhere_else() {
    let futures = |support: Support, members: usize| {
        let oven = Oven { members, support, ..Oven::new() };
        let priced = Priced::new(&oven, &mean("(temp - 22.03) ^ 2"));
        let observation = Observation { window: &priced.window, step: 0, forecast: &priced.forecast };
        let start = priced.mpc.setup.start(&observation, 0, &[], &ParticlePlan::default(), Key::new(2));
        priced.mpc.setup.futures(&start)
    };
    assert_eq!(futures(Support::Inside, 6), Futures::planned(1, 6));
    assert_eq!(
        [Support::Edge, Support::Outside].map(|s| futures(s, 6)),
        [Futures::doubted(6, 1.0), Futures::doubted(6, 1.0)]
    );
    assert_eq!(futures(Support::Edge, 1), Futures::planned(1, 1), "one member knows no doubt");
}

#[test]
fn of_other_first_moves_the_one_is_taken_after_which_the_rest_costs_least() {
    let oven = Oven::new();
    let mut priced = Priced::new(&oven, &mean("(temp - 22.03) ^ 2 + 0.01 * (heat - 3) ^ 2"));
    let first = [[0.0, 10.0], [7.0, 3.0], [9.0, 0.5], [2.0, 9.0]].map(|m| m.to_vec());
    let other = [[9.0, 0.5], [7.0, 3.0]].map(|m| m.to_vec());
    {
        let observation = Observation { window: &priced.window, step: 4, forecast: &priced.forecast };
        assert_eq!(priced.mpc.cheapest(&observation, &first), None, "there is no plan");
        let mut control = Control::new(vec![HEAT, FAN], 1);
        priced.mpc.act(&observation, &mut control).unwrap();
    }
    let plan = priced.mpc.particles[0].plan.clone().unwrap().controls;
    let costs = |priced: &mut Priced, first: &[Vec<f64>]| -> Vec<f64> {
        first.iter().map(|m| priced.cost(&[m, &plan[2..]].concat())).collect()
    };
    let least = |costs: &[f64]| (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b]));
    let expected = [costs(&mut priced, &first), costs(&mut priced, &other)].map(|c| least(&c));
    let observation = Observation { window: &priced.window, step: 4, forecast: &priced.forecast };
    let found = [&first[..], &other].map(|f| priced.mpc.cheapest(&observation, f));
    assert_eq!(found, expected);
    assert!(found[0] != Some(0) && found[1].is_some());
}
