//! Tests of `src/stats.rs`.

use super::*;
use crate::rng::normal_quantile;

#[test]
fn each_quantile_rule_gives_its_textbook_value() {
    let four = [1.0, 2.0, 3.0, 4.0];
    assert_eq!([0.25, 0.26, 1.0].map(|p| quantile_type_1(&four, p)), [Some(1.0), Some(2.0), Some(4.0)]);
    assert_eq!([0.25, 0.5, 0.75].map(|p| quantile_right_inverse(&four, p)), [2.0, 3.0, 4.0]);
    assert_eq!([0.0, 0.25, 0.5, 1.0].map(|p| quantile_type_5(&four, p)), [1.0, 1.5, 2.5, 4.0]);
    assert_eq!([0.0, 0.2, 0.5, 1.0].map(|p| quantile_type_6(&four, p)), [1.0, 1.0, 2.5, 4.0]);
    assert_eq!([0.0, 0.5, 0.75, 1.0].map(|p| quantile_type_7(&four, p)), [1.0, 2.5, 3.25, 4.0]);
    assert_eq!([0.1, 0.5, 0.9].map(|p| quantile_nearest(&four, p)), [1.0, 3.0, 4.0]);
    assert_eq!((quantile_lower(&four, 0.5), quantile_higher(&four, 0.5)), (2.0, 3.0));
}

#[test]
fn an_empty_sample_has_no_quantile() {
    assert_eq!(quantile_type_1::<f32>(&[], 0.5), None);
    let rules = [
        quantile_type_5,
        quantile_type_6,
        quantile_type_7,
        quantile_nearest,
        quantile_lower,
        quantile_higher,
        quantile_right_inverse,
    ];
    assert!(rules.iter().all(|quantile| quantile(&[], 0.5).is_nan()));
    assert!(WeightedSample::new([]).quantile(0.5).is_nan());
}

#[test]
fn equal_weights_give_the_unweighted_quantiles() {
    let plain: Vec<f64> = (0..37).map(|i| f64::from(i * i)).collect();
    let weighted = WeightedSample::new(plain.iter().rev().map(|v| (*v, 0.25)));
    for p in [0.001, 0.1, 0.35, 0.5, 0.9, 0.999] {
        assert!((weighted.quantile(p) - quantile_type_5(&plain, p)).abs() < 1e-9, "{p}");
    }
}

#[test]
fn a_weighted_quantile_follows_the_weights() {
    let sample = WeightedSample::new([(0.0, 1.0), (1.0, 8.0), (2.0, 1.0)]);
    assert_eq!(sample.quantile(0.5), 1.0);
    assert!((sample.quantile(0.275) - 0.5).abs() < 1e-12);
    assert_eq!((sample.quantile(0.01), sample.quantile(0.99)), (0.0, 2.0));
}

#[test]
fn standard_deviations_have_the_stated_divisor() {
    let values = [1.0, 2.0, 3.0, 6.0];
    assert_eq!(mean_and_population_sd(values.into_iter()), (3.0, 3.5f64.sqrt()));
    assert_eq!(mean_and_sample_sd(values.into_iter()), (3.0, (14.0f64 / 3.0).sqrt()));
    assert_eq!(mean_and_sample_sd([2.0].into_iter()), (2.0, 0.0));
    assert!(mean(&[]).is_nan());
    assert_eq!(mean_or_zero(&[]), 0.0);
}

#[test]
fn half_mean_difference_agrees_with_the_sum_over_all_pairs() {
    let sorted = [-1.0, 0.5, 2.0, 7.0];
    let pairs = sorted.iter().flat_map(|a| sorted.iter().map(move |b| f64::abs(a - b)));
    assert!((half_mean_difference(&sorted) - 0.5 * pairs.sum::<f64>() / 16.0).abs() < 1e-12);
}

#[test]
fn normal_cdf_matches_tables_and_inverts_normal_quantile() {
    for (z, p) in [(-2.0, 0.022_750_13), (0.0, 0.5), (1.0, 0.841_344_75), (2.0, 0.977_249_87)] {
        assert!((normal_cdf(z) - p).abs() < 1e-7);
    }
    for p in [1e-6, 0.025, 0.3, 0.5, 0.8, 0.999] {
        assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-7);
    }
}

#[test]
fn the_quantiles_of_t_are_close_to_the_exact_ones() {
    // exact quantiles at 99.9 % for 5, 10 and 30 degrees of freedom
    for (dof, exact) in [(5.0, 5.893), (10.0, 4.144), (30.0, 3.385)] {
        assert!((t_quantile(3.09, dof) / exact - 1.0).abs() < 0.02, "{dof}: {}", t_quantile(3.09, dof));
    }
}

#[test]
fn the_quantiles_of_t_equal_tables() {
    for (p, dof, exact) in [
        (0.95, 1, 6.3138),
        (0.99, 1, 31.8205),
        (0.95, 2, 2.9200),
        (0.975, 2, 4.3027),
        (0.95, 3, 2.3534),
        (0.995, 3, 5.8409),
        (0.95, 4, 2.1318),
        (0.98, 4, 2.9985),
        (0.995, 4, 4.6041),
        (0.975, 9, 2.2622),
        (0.95, 17, 1.7396),
        (0.999, 18, 3.6105),
    ] {
        assert!((student_t(p, dof) - exact).abs() < 1e-4, "{p} {dof} {}", student_t(p, dof));
    }
}
