//! Tests of `src/value/economics.rs` and `src/value/risk.rs`.

use super::*;
use crate::config::TimeSpan;
use crate::value::risk::Input;

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() < tolerance, "{a} is not close to {b}");
}

fn spec() -> EconomicsSpec {
    EconomicsSpec {
        currency: "EUR".to_owned().into(),
        benefit: vec![],
        discount_rate: 0.03.into(),
        lifetime: TimeSpan::from_ms(10 * 365 * 86_400_000).into(),
        price_base: 2024.into(),
        basis: PriceBasis::Real.into(),
        escalation: 0.0.into(),
        persistence: 1.0.into(),
    }
}

fn economics(capex: f64, opex: f64, benefit: &[f64]) -> Economics {
    Economics::new(&spec(), capex, opex, benefit, usize::MAX, Key::new(1))
}

/// Present value of 1 a year for ten years at 3 %.
const FACTOR: f64 = 8.530_202_837;

#[test]
fn the_model_error_does_not_cancel_over_the_years() {
    let benefit: Vec<f64> = (0..21).map(|i| 20_000.0 + 500.0 * f64::from(i)).collect();
    let e = economics(100_000.0, 0.0, &benefit);
    near(e.npv.p50, e.benefit_per_year.p50 * FACTOR - 100_000.0, 1e-3);
    near(e.npv.p90 - e.npv.p10, (e.benefit_per_year.p90 - e.benefit_per_year.p10) * FACTOR, 1e-3);
    // the quantiles of 21 equally spaced values, at the ranks 2.2, 11 and 19.8
    near(e.benefit_per_year.p10, 20_600.0, 100.0);
    near(e.benefit_per_year.p50, 25_000.0, 100.0);
    near(e.benefit_per_year.p90, 29_400.0, 100.0);
    near(e.irr.unwrap(), 0.214_065, 5e-3);
    assert!(e.assumptions[0].contains("2024"));
    let nothing = economics(100_000.0, 0.0, &[0.0; 20]);
    assert_eq!(nothing.payback, None);
    assert!(nothing.irr_note.unwrap().contains("never changes"));
}

/// If there are few ensemble members, the benefit is distributed as mean + t s √(1 + 1/n). For the members 10, 20 and
/// 30 thousand, s is 10 thousand, and the 90 % quantile of Student's t with two degrees of freedom is 1.885618.
#[test]
fn the_risk_of_few_members_follows_students_t() {
    let e = economics(50_000.0, 0.0, &[10_000.0, 20_000.0, 30_000.0]);
    let half = 1.885_618 * 10_000.0 * (4.0f64 / 3.0).sqrt() * FACTOR;
    let middle = 20_000.0 * FACTOR - 50_000.0;
    let risk = e.risk.unwrap();
    assert!(risk.draws >= 10_000 && risk.standard_error < 0.01 * (e.npv.p90 - e.npv.p10), "{risk:?}");
    near(e.npv.p10, middle - half, 4.0 * risk.standard_error);
    near(e.npv.p50, middle, 4.0 * risk.standard_error);
    near(e.npv.p90, middle + half, 4.0 * risk.standard_error);
    // P(t₂ < −x) = ½ − x / (2 √(2 + x²)), where x is the distance of the break-even saving from the mean
    let x = (20_000.0 - 50_000.0 / FACTOR) / (10_000.0 * (4.0f64 / 3.0).sqrt());
    near(risk.chance_of_loss, 0.5 - x / (2.0 * (2.0 + x * x).sqrt()), 0.015);
    assert!(risk.worst < middle - half, "{risk:?}");
    // equal seeds give equal draws
    assert_eq!(economics(50_000.0, 0.0, &[10_000.0, 20_000.0, 30_000.0]).npv, e.npv);
}

#[test]
fn break_even_values_make_the_net_present_value_zero() {
    let e = economics(100_000.0, 1_000.0, &[25_000.0; 30]);
    let risk = e.risk.unwrap();
    let npv = 24_000.0 * FACTOR - 100_000.0;
    near(e.npv.p50, npv, 1e-3);
    assert_eq!(risk.chance_of_loss, 0.0);
    near(risk.standard_error, 0.0, 1e-6);
    near(risk.worst, npv, 1e-3);
    let of = |input| risk.sensitivities.iter().find(|s| s.input == input).unwrap();
    near(of(Input::Capex).break_even.unwrap(), 24_000.0 * FACTOR, 1e-3);
    // the annual payment that repays 100,000 is 0.1172305 × 100,000
    near(of(Input::Saving).break_even.unwrap(), 11_723.05 + 1_000.0, 0.01);
    near(of(Input::Opex).break_even.unwrap(), 25_000.0 - 11_723.05, 0.01);
    near(of(Input::Acceptance).break_even.unwrap(), 12_723.05 / 25_000.0, 1e-6);
    near(of(Input::DiscountRate).break_even.unwrap(), e.irr.unwrap(), 1e-9);
    // −ln(1 − r C/A) / ln(1 + r) years, if flows within a year were continuous
    near(of(Input::Lifetime).break_even.unwrap(), 4.5, 0.15);
    for s in &risk.sensitivities {
        assert!(s.low <= s.base && s.base <= s.high, "{s:?}");
    }
    near(of(Input::Capex).npv_high, npv - 20_000.0, 1e-3);
    near(of(Input::Capex).npv_low, npv + 20_000.0, 1e-3);
    near(of(Input::Lifetime).npv_low, 24_000.0 * 7.019_692_19 - 100_000.0, 1.0);
    // the input with the largest effect comes first
    let effects: Vec<f64> = risk.sensitivities.iter().map(|s| (s.npv_high - s.npv_low).abs()).collect();
    assert!(effects.windows(2).all(|w| w[0] >= w[1]), "{effects:?}");
}

#[test]
fn the_saving_is_multiplied_by_the_acceptance_rate() {
    let e = economics(10_000.0, 0.0, &[9_000.0, 10_000.0, 11_000.0]);
    let risk = e.risk.unwrap();
    let rates: Vec<f64> = risk.acceptance.iter().map(|a| a.rate).collect();
    assert_eq!(rates, [1.0, 0.5, 0.25]);
    for a in &risk.acceptance {
        near(a.npv.p10, a.rate * e.benefit_per_year.p10 * FACTOR - 10_000.0, 1e-3);
        near(a.npv.p50, a.rate * e.benefit_per_year.p50 * FACTOR - 10_000.0, 1e-3);
    }
    assert_eq!(risk.acceptance[0].npv, e.npv);
    // a loss cannot repay any capital, so the capital has no break-even value
    let loss = economics(1_000.0, 0.0, &[-5.0; 30]).risk.unwrap();
    assert_eq!(loss.chance_of_loss, 1.0);
    assert_eq!(loss.sensitivities.iter().find(|s| s.input == Input::Capex).unwrap().break_even, None);
}

#[test]
fn a_single_particle_has_no_risk() {
    let e = economics(100_000.0, 0.0, &[25_000.0]);
    assert_eq!(e.risk, None);
    near(e.npv.p50, 25_000.0 * FACTOR - 100_000.0, 1e-3);
    assert!(e.assumptions.iter().any(|a| a.contains("the risk is unknown")), "{:?}", e.assumptions);
}

/// The saving falls below the running cost after six years, so the net present value rises and then falls with the
/// lifetime.
#[test]
fn a_saving_that_fades_gives_two_break_even_lifetimes() {
    let sensitivity = |years: i64, opex| {
        let lifetime = TimeSpan::from_ms(years * 365 * 86_400_000).into();
        let spec = EconomicsSpec { discount_rate: 0.08.into(), persistence: 0.8.into(), lifetime, ..spec() };
        let e = Economics::new(&spec, 700.0, opex, &[500.0; 30], usize::MAX, Key::new(1));
        let of = |input| *e.risk.as_ref().unwrap().sensitivities.iter().find(|s| s.input == input).unwrap();
        (of(Input::Lifetime), of(Input::DiscountRate))
    };
    // computed with a separate program
    for (years, right) in [(6, 3.324_597_1), (12, 9.734_531_2), (2, 3.324_597_1)] {
        let (lifetime, _) = sensitivity(years, 150.0);
        near(lifetime.break_even.unwrap(), right, 1e-6);
        assert!(lifetime.several, "{lifetime:?}");
    }
    // the flows of twelve years change their sign twice
    let (_, rate) = sensitivity(12, 150.0);
    assert_eq!((rate.break_even, rate.several), (None, true));
    // the saving is always below the running cost
    let (lifetime, rate) = sensitivity(6, 600.0);
    assert_eq!((lifetime.break_even, lifetime.several, rate.several), (None, false, false));
}
