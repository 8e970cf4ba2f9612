//! Tests of `src/value/investment.rs`.

use super::*;

const REFERENCE: Investment = Investment {
    capex: 100_000.0,
    opex_per_year: 0.0,
    discount_rate: 0.03,
    lifetime_years: 10.0,
    escalation: 0.0,
    persistence: 1.0,
};

/// The constant annual payment that repays a loan of 1 in `years` years: r / (1 − (1 + r)^−n).
fn capital_recovery_factor(rate: f64, years: f64) -> f64 {
    rate / (1.0 - (1.0 + rate).powf(-years))
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() < tolerance, "{a} is not close to {b}");
}

fn flows(amounts: &[f64]) -> Vec<Flow> {
    amounts.iter().enumerate().map(|(year, amount)| Flow { year: year as f64, amount: *amount }).collect()
}

#[test]
fn figures_of_a_reference_investment_are_correct() {
    let b = 25_000.0;
    let f = REFERENCE.flows(b);
    near(REFERENCE.npv(b), 113_255.07, 0.005);
    near(REFERENCE.sir(b).unwrap(), 2.132_551, 5e-7);
    near(REFERENCE.airr(b).unwrap(), 0.111_034, 5e-7);
    near(irr(&f).unwrap(), 0.214_065, 5e-7);
    near(payback(&f, 0.0).unwrap(), 4.0, 1e-12);
    near(payback(&f, 0.03).unwrap(), 4.3247, 5e-5);
    near(capital_recovery_factor(0.03, 10.0), 0.117_230_5, 5e-8);
    near(REFERENCE.roi(b).unwrap(), 1.5, 1e-12);
}

#[test]
fn flows_that_change_their_sign_twice_have_no_unique_irr() {
    let two = flows(&[-1600.0, 10_000.0, -10_000.0]);
    near(npv(&two, 0.25), 0.0, 1e-9);
    near(npv(&two, 4.0), 0.0, 1e-9);
    assert!(irr(&two).unwrap_err().contains("not unique"));
    assert!(irr(&flows(&[-100.0, -5.0])).unwrap_err().contains("never changes sign"));
    assert!(irr(&flows(&[100.0, 5.0])).is_err());
}

#[test]
fn a_loss_has_a_negative_irr_and_no_payback() {
    let loss = flows(&[-100.0, 30.0, 30.0, 30.0]);
    let rate = irr(&loss).unwrap();
    assert!(rate < 0.0);
    near(npv(&loss, rate), 0.0, 1e-6);
    assert_eq!(payback(&loss, 0.0), None);
    assert_eq!(payback(&REFERENCE.flows(-5.0), 0.0), None);
}

#[test]
fn an_investment_without_capital_pays_back_at_once() {
    let free = Investment { capex: 0.0, ..REFERENCE };
    assert_eq!(payback(&free.flows(10.0), 0.03), Some(0.0));
    assert_eq!(payback(&free.flows(-10.0), 0.03), None);
    assert_eq!((free.sir(10.0), free.roi(10.0)), (None, None));
}

#[test]
fn a_fractional_last_year_counts_in_proportion() {
    let short = Investment { lifetime_years: 2.5, opex_per_year: 10.0, ..REFERENCE };
    let f = short.flows(110.0);
    assert_eq!(f.len(), 4);
    near(f[3].year, 2.5, 1e-12);
    near(f[3].amount, 50.0, 1e-9);
}

#[test]
fn escalation_and_persistence_apply_from_the_second_year_on() {
    let fading = Investment { escalation: 0.1, persistence: 0.5, lifetime_years: 3.0, ..REFERENCE };
    let amounts: Vec<f64> = fading.flows(100.0)[1..].iter().map(|f| f.amount).collect();
    for (a, b) in amounts.iter().zip([100.0, 55.0, 30.25]) {
        near(*a, b, 1e-9);
    }
}
