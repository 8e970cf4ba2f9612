use super::*;
use crate::rng::Key;

const NODES: u64 = 10_000;

fn between(low: f64, high: f64) -> Bounds {
    Bounds { low, high }
}

/// Solves the model and refines it until the solution is exact.
fn optimum(model: &mut Model) -> Point {
    loop {
        let point = model.solve(NODES, 0.0, &[], &|| false).unwrap();
        if !model.refine(&point.values) {
            return point;
        }
    }
}

#[test]
fn sums_of_forms_cancel_and_stay_sorted() {
    let (x, y, z) = (Form::variable(0, 2.0), Form::variable(1, 3.0), Form::variable(2, -1.0));
    let sum = Form::sum(&Form::sum(&z, 1.0, &x, 1.0), 1.0, &y, 1.0);
    assert_eq!(sum.terms, [(0, 2.0), (1, 3.0), (2, -1.0)]);
    let rest = Form::sum(&sum, 1.0, &y, -1.0);
    assert_eq!((rest.terms.as_slice(), rest.value(&[1.0, 10.0, 4.0])), (&[(0, 2.0), (2, -1.0)][..], -2.0));
    assert!(Form::sum(&x, 1.0, &x, -1.0).is_constant());
}

/// Selects items with a limited total weight. The optimum is found by trying all subsets.
#[test]
fn integer_programs_are_solved_to_the_optimum() {
    for seed in 0..20 {
        let draw = |i: u64| Key::new(seed).uniform(i);
        let values: Vec<f64> = (0..9).map(draw).collect();
        let weights: Vec<f64> = (10..19).map(draw).collect();
        let (mut model, mut weight) = (Model::default(), Form::default());
        for (value, w) in values.iter().zip(&weights) {
            let chosen = Form::variable(model.binary(), 1.0);
            model.cost.add(&chosen, -value);
            weight.add(&chosen, *w);
        }
        model.constrain(weight, between(f64::NEG_INFINITY, 2.0));
        let point = optimum(&mut model);
        let total = |list: &[f64], subset: u32| (0..9).map(|i| f64::from(subset >> i & 1) * list[i]).sum::<f64>();
        let feasible = (0..1u32 << 9).filter(|s| total(&weights, *s) <= 2.0);
        let best = feasible.map(|s| total(&values, s)).fold(0.0, f64::max);
        assert!((model.cost.value(&point.values) + best).abs() < 1e-6, "seed {seed}");
        assert!((point.bound + best).abs() < 1e-6, "seed {seed}: bound {}", point.bound);
    }
}

/// The cost decreases as max(x, 0) increases, so the problem would be unbounded with the relaxation z ≥ max(x, 0)
/// alone.
#[test]
fn maxima_that_lower_the_cost_are_exact() {
    let mut model = Model::default();
    let x = Form::variable(model.variable(between(-3.0, 2.0), false), 1.0);
    let positive = model.positive_part(x.clone());
    let negative = model.positive_part(x.scaled(-1.0));
    // −max(x, 0) − 0.5 max(−x, 0): −2 at x = 2, and −1.5 at x = −3.
    model.cost.add(&positive, -1.0);
    model.cost.add(&negative, -0.5);
    let point = optimum(&mut model);
    assert!((x.value(&point.values) - 2.0).abs() < 1e-6 && (model.cost.value(&point.values) + 2.0).abs() < 1e-6);
    assert_eq!(model.kinks.len(), 1);
    // If max(−x, 0) has twice the weight, the other end of the range is optimal.
    model.cost.add(&negative, -0.5);
    let point = optimum(&mut model);
    assert!((x.value(&point.values) + 3.0).abs() < 1e-6 && (model.cost.value(&point.values) + 3.0).abs() < 1e-6);
}

#[test]
fn convex_functions_are_minimised_by_tangents() {
    for (curve, low, high, slope, at) in [
        (Curve::Power(2.0), -4.0, 5.0, -3.0, 1.5),
        (Curve::Power(2.0), -10.0, 10.0, -0.5, 0.25),
        (Curve::Power(3.0), 0.0, 5.0, -6.75, 1.5),
        (Curve::Exp, -4.0, 5.0, -2.0, 2f64.ln()),
        (Curve::Power(1.5), 0.0, 9.0, -3.0, 4.0),
    ] {
        let mut model = Model::default();
        let x = Form::variable(model.variable(between(low, high), false), 1.0);
        let bent = model.curve(curve, &x).unwrap();
        model.cost.add(&bent, 1.0);
        model.cost.add(&x, slope);
        let best = curve.value(at) + slope * at;
        let point = optimum(&mut model);
        let found = curve.value(x.value(&point.values)) + slope * x.value(&point.values);
        let width = curve.value(high) - curve.value(at).min(curve.value(low));
        assert!(found - best < 1e-4 * width, "{curve:?}: {found} instead of {best}");
        assert!(point.bound <= best + 1e-9 * width, "{curve:?}");
    }
    let mut model = Model::default();
    let x = Form::variable(model.variable(between(-1.0, 1.0), false), 1.0);
    assert!(model.curve(Curve::Power(3.0), &x).is_none() && model.curve(Curve::Ln, &x).is_none());
}

#[test]
fn infeasible_models_have_no_solution() {
    let mut model = Model::default();
    let x = Form::variable(model.variable(between(0.0, 1.0), false), 1.0);
    model.constrain(x.clone(), between(2.0, 3.0));
    model.cost.add(&x, 1.0);
    assert!(model.solve(NODES, 0.0, &[], &|| false).is_none());
}

/// The order that minimises the mean cost over several demands is the newsvendor quantile of the demands.
#[test]
fn the_mean_over_futures_gives_the_newsvendor_quantile() {
    let key = Key::new(9);
    let demands: Vec<f64> = (0..24).map(|k| (100.0 * key.uniform(k)).round()).collect();
    let mean = demands.iter().sum::<f64>() / 24.0;
    for (held, missing) in [(0.1, 2.0), (1.0, 1.0), (3.0, 1.0)] {
        let cost = |order: f64| {
            let costs = demands.iter().map(|d| held * (order - d).max(0.0) + missing * (d - order).max(0.0));
            costs.sum::<f64>() / 24.0
        };
        let best = (0..=100).map(|order| cost(f64::from(order))).fold(f64::INFINITY, f64::min);
        let mut model = Model { prices_spread: true, ..Model::default() };
        let order = Form::variable(model.variable(between(0.0, 100.0), false), 1.0);
        let mut left = Form::sum(&order, 1.0, &Form::constant(mean), -1.0);
        left.spread = demands.iter().map(|d| mean - d).collect();
        let held_back = model.positive_part(left.clone());
        model.cost.add(&held_back, held);
        let missed = model.positive_part(left.scaled(-1.0));
        model.cost.add(&missed, missing);
        model.cost = model.cost.expected();
        let point = model.solve(NODES, 0.0, &[], &|| false).unwrap();
        assert!(model.has_means());
        assert!((cost(order.value(&point.values)) - best).abs() < 1e-6, "{held} {missing}: {point:?}, best {best}");
        assert!((point.bound - best).abs() < 1e-6, "{point:?} instead of {best}");
    }
}
