//! Money over the years: NPV first; payback, IRR, SIR, AIRR and ROI beside it.
//!
//! Capital is spent now (year 0); each year's benefit and running cost fall at the end of that year; a fractional last
//! year counts in proportion, at its own end. Discounting after the usual engineering-economics definitions
//! (Ruegg & Marshall; NIST Handbook 135 for SIR and AIRR).

use serde::{Deserialize, Serialize};

use super::compare::Estimate;
use crate::config::{EconomicsSpec, PriceBasis};

/// What a measure costs and how its benefit lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Investment {
    /// Spent once, now.
    pub capex: f64,
    /// Spent at the end of every year.
    pub opex_per_year: f64,
    /// Per year, e.g. 0.08.
    pub discount_rate: f64,
    pub lifetime_years: f64,
    /// Yearly rise of the benefit's prices.
    pub escalation: f64,
    /// Share of the saving that is still there after each year.
    pub persistence: f64,
}

/// Money of a case over its lifetime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Economics {
    pub currency: String,
    /// First-year benefit (fall of the benefit KPIs, annualised), P10/P50/P90.
    pub benefit_per_year: Estimate,
    pub capex: f64,
    pub opex_per_year: f64,
    pub discount_rate: f64,
    pub lifetime_years: f64,
    pub npv: Estimate,
    /// Years; `None` when it is never paid back.
    pub payback: Option<f64>,
    pub discounted_payback: Option<f64>,
    /// `None`: not unique, or no such rate.
    pub irr: Option<f64>,
    /// Why there is no IRR.
    pub irr_note: Option<String>,
    pub roi: Option<f64>,
    /// The assumptions in words: price base, basis, escalation, persistence.
    pub assumptions: Vec<String>,
}

impl Economics {
    /// `benefit`: first-year benefit per particle, `[particles]`, in the currency of `spec`. A particle's benefit, and
    /// with it the model's error, is drawn once and kept over all years: independent yearly errors would cancel and
    /// fake certainty. Payback, IRR and ROI are those of the median benefit.
    pub fn of(spec: &EconomicsSpec, capex: f64, opex_per_year: f64, benefit: &[f64]) -> Self {
        let investment = Investment {
            capex,
            opex_per_year,
            discount_rate: spec.discount_rate.value,
            lifetime_years: spec.lifetime.ms() as f64 / (365.0 * 86_400_000.0),
            escalation: spec.escalation.value,
            persistence: spec.persistence.value,
        };
        let npv: Vec<f64> = benefit.iter().map(|b| investment.npv(*b)).collect();
        let benefit_per_year = Estimate::over(benefit);
        let flows = investment.flows(benefit_per_year.p50);
        let (irr, irr_note) = match irr(&flows) {
            Ok(rate) => (Some(rate), None),
            Err(why) => (
                None,
                Some(match investment.airr(benefit_per_year.p50) {
                    Some(airr) => format!("{why}; adjusted rate of return (AIRR) {:.1} % a year", 100.0 * airr),
                    None => why,
                }),
            ),
        };
        Self {
            currency: spec.currency.value.clone(),
            capex,
            opex_per_year,
            discount_rate: investment.discount_rate,
            lifetime_years: investment.lifetime_years,
            npv: Estimate::over(&npv),
            payback: payback(&flows, 0.0),
            discounted_payback: payback(&flows, investment.discount_rate),
            irr,
            irr_note,
            roi: investment.roi(benefit_per_year.p50),
            assumptions: assumptions(spec, &investment),
            benefit_per_year,
        }
    }
}

fn assumptions(spec: &EconomicsSpec, investment: &Investment) -> Vec<String> {
    let basis = match spec.basis.value {
        PriceBasis::Real => "real (inflation left out)",
        PriceBasis::Nominal => "nominal (inflation included)",
    };
    let percent = |v: f64| {
        let text = format!("{:.2}", 100.0 * v);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    vec![
        format!("prices of {}, {basis}", spec.price_base.value),
        format!("discount rate {} % a year, flows at the end of each year", percent(investment.discount_rate)),
        format!("lifetime {} years, no residual value", trim(investment.lifetime_years)),
        format!("prices of the benefit rise by {} % a year", percent(investment.escalation)),
        format!("{} % of the saving is still there after each year", percent(investment.persistence)),
        "each future keeps its model error over all years".to_owned(),
        "payback, IRR and ROI for the median benefit, after running cost".to_owned(),
    ]
}

fn trim(v: f64) -> String {
    let text = format!("{v:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Money at a time in years from now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flow {
    pub year: f64,
    pub amount: f64,
}

impl Investment {
    /// Capital, then one net flow per year, the last one for the fraction of a year that is left.
    pub fn flows(&self, benefit: f64) -> Vec<Flow> {
        let mut flows = vec![Flow { year: 0.0, amount: -self.capex }];
        let mut year = 0.0;
        let mut kept = 1.0;
        // A rest below a thousandth of a year is rounding of the lifetime.
        while self.lifetime_years - year > 1e-3 {
            let share = (self.lifetime_years - year).min(1.0);
            year += share;
            flows.push(Flow { year, amount: share * (benefit * kept - self.opex_per_year) });
            kept *= (1.0 + self.escalation) * self.persistence;
        }
        flows
    }

    /// Present value of everything, capital included.
    pub fn npv(&self, benefit: f64) -> f64 {
        npv(&self.flows(benefit), self.discount_rate)
    }

    /// Savings-to-investment ratio: present value of the yearly net flows per capital; `None` without capital.
    pub fn sir(&self, benefit: f64) -> Option<f64> {
        (self.capex > 0.0).then(|| (self.npv(benefit) + self.capex) / self.capex)
    }

    /// Adjusted internal rate of return: yearly net flows are put on at the discount rate. `None` without capital,
    /// lifetime or saving.
    pub fn airr(&self, benefit: f64) -> Option<f64> {
        let sir = self.sir(benefit)?;
        (sir > 0.0 && self.lifetime_years > 0.0)
            .then(|| (1.0 + self.discount_rate) * sir.powf(1.0 / self.lifetime_years) - 1.0)
    }

    /// Undiscounted gain over the lifetime per capital; `None` without capital.
    pub fn roi(&self, benefit: f64) -> Option<f64> {
        let gain: f64 = self.flows(benefit).iter().map(|f| f.amount).sum();
        (self.capex > 0.0).then(|| gain / self.capex)
    }
}

/// Present value of `flows` at `rate` per year.
pub fn npv(flows: &[Flow], rate: f64) -> f64 {
    flows.iter().map(|f| f.amount * (1.0 + rate).powf(-f.year)).sum()
}

/// Years until the flows, discounted at `rate` (0: simple payback), have first paid back what was spent; `None` when
/// they never do.
///
/// Within a year the flow comes in evenly, each moment discounted on its own, so that constant yearly flows give the
/// annuity formula −ln(1 − r·C/A)/ln(1 + r).
pub fn payback(flows: &[Flow], rate: f64) -> Option<f64> {
    let growth = (1.0 + rate).ln();
    let mut sum = 0.0;
    let mut before = 0.0;
    for flow in flows {
        let present = flow.amount * (1.0 + rate).powf(-flow.year);
        if sum + present >= 0.0 && present > 0.0 {
            let share = -sum / present;
            let length = flow.year - before;
            let within = if growth.abs() < 1e-12 {
                share * length
            } else {
                -(1.0 - share * (1.0 - (-growth * length).exp())).ln() / growth
            };
            return Some(before + within.clamp(0.0, length));
        }
        sum += present;
        before = flow.year;
    }
    None
}

/// The rate at which the flows are worth nothing. Only a flow with exactly one change of sign has exactly one such
/// rate (Descartes); otherwise the error says in words why there is none to give.
pub fn irr(flows: &[Flow]) -> Result<f64, String> {
    let signs: Vec<bool> = flows.iter().filter(|f| f.amount != 0.0).map(|f| f.amount > 0.0).collect();
    match signs.windows(2).filter(|w| w[0] != w[1]).count() {
        0 => return Err("no IRR: the cash flow never changes its sign".into()),
        1 => {}
        n => return Err(format!("IRR not unique: the cash flow changes its sign {n} times")),
    }
    if flows.iter().any(|f| !f.amount.is_finite()) {
        return Err("no IRR: the cash flow is not finite".into());
    }
    // In g = ln(1 + rate), from −99.99 % to far beyond any real project.
    let worth = |g: f64| flows.iter().map(|f| f.amount * (-g * f.year).exp()).sum::<f64>();
    let (mut low, mut high) = (1e-4f64.ln(), 1e6f64.ln());
    let rising = worth(low) < 0.0;
    if rising == (worth(high) < 0.0) {
        return Err("no IRR between −99.99 % and 1,000,000 % a year".into());
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if (worth(middle) < 0.0) == rising {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((0.5 * (low + high)).exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeSpan;

    const GOLDEN: Investment = Investment {
        capex: 100_000.0,
        opex_per_year: 0.0,
        discount_rate: 0.03,
        lifetime_years: 10.0,
        escalation: 0.0,
        persistence: 1.0,
    };

    /// Share of a sum that has to be paid back in each of `years` years: r / (1 − (1 + r)^−n).
    fn capital_recovery_factor(rate: f64, years: f64) -> f64 {
        rate / (1.0 - (1.0 + rate).powf(-years))
    }

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() < tolerance, "{a} is not {b}");
    }

    fn flows(amounts: &[f64]) -> Vec<Flow> {
        amounts.iter().enumerate().map(|(year, amount)| Flow { year: year as f64, amount: *amount }).collect()
    }

    #[test]
    fn golden_numbers() {
        let b = 25_000.0;
        let f = GOLDEN.flows(b);
        near(GOLDEN.npv(b), 113_255.07, 0.005);
        near(GOLDEN.sir(b).unwrap(), 2.132_551, 5e-7);
        near(GOLDEN.airr(b).unwrap(), 0.111_034, 5e-7);
        near(irr(&f).unwrap(), 0.214_065, 5e-7);
        near(payback(&f, 0.0).unwrap(), 4.0, 1e-12);
        near(payback(&f, 0.03).unwrap(), 4.3247, 5e-5);
        near(capital_recovery_factor(0.03, 10.0), 0.117_230_5, 5e-8);
        near(GOLDEN.roi(b).unwrap(), 1.5, 1e-12);
    }

    #[test]
    fn a_flow_with_two_changes_of_sign_has_no_single_irr() {
        let two = flows(&[-1600.0, 10_000.0, -10_000.0]);
        near(npv(&two, 0.25), 0.0, 1e-9);
        near(npv(&two, 4.0), 0.0, 1e-9);
        assert!(irr(&two).unwrap_err().contains("not unique"));
        assert!(irr(&flows(&[-100.0, -5.0])).unwrap_err().contains("never changes its sign"));
        assert!(irr(&flows(&[100.0, 5.0])).is_err());
    }

    #[test]
    fn a_loss_has_a_negative_irr_and_no_payback() {
        let loss = flows(&[-100.0, 30.0, 30.0, 30.0]);
        let rate = irr(&loss).unwrap();
        assert!(rate < 0.0);
        near(npv(&loss, rate), 0.0, 1e-6);
        assert_eq!(payback(&loss, 0.0), None);
        assert_eq!(payback(&GOLDEN.flows(-5.0), 0.0), None);
    }

    #[test]
    fn without_capital_the_first_saving_pays() {
        let free = Investment { capex: 0.0, ..GOLDEN };
        assert_eq!(payback(&free.flows(10.0), 0.03), Some(0.0));
        assert_eq!(payback(&free.flows(-10.0), 0.03), None);
        assert_eq!((free.sir(10.0), free.roi(10.0)), (None, None));
    }

    #[test]
    fn the_last_part_of_a_year_counts_in_proportion() {
        let short = Investment { lifetime_years: 2.5, opex_per_year: 10.0, ..GOLDEN };
        let f = short.flows(110.0);
        assert_eq!(f.len(), 4);
        near(f[3].year, 2.5, 1e-12);
        near(f[3].amount, 50.0, 1e-9);
    }

    #[test]
    fn prices_rise_and_savings_fade_from_the_second_year_on() {
        let fading = Investment { escalation: 0.1, persistence: 0.5, lifetime_years: 3.0, ..GOLDEN };
        let amounts: Vec<f64> = fading.flows(100.0)[1..].iter().map(|f| f.amount).collect();
        for (a, b) in amounts.iter().zip([100.0, 55.0, 30.25]) {
            near(*a, b, 1e-9);
        }
    }

    #[test]
    fn the_model_error_is_kept_over_the_years() {
        let spec = EconomicsSpec {
            currency: "EUR".to_owned().into(),
            benefit: vec![],
            discount_rate: 0.03.into(),
            lifetime: TimeSpan::from_ms(10 * 365 * 86_400_000).into(),
            price_base: 2024.into(),
            basis: PriceBasis::Real.into(),
            escalation: 0.0.into(),
            persistence: 1.0.into(),
        };
        let benefit: Vec<f64> = (0..21).map(|i| 20_000.0 + 500.0 * f64::from(i)).collect();
        let e = Economics::of(&spec, 100_000.0, 0.0, &benefit);
        let factor = 1.0 / capital_recovery_factor(0.03, 10.0);
        near(e.npv.p50, 25_000.0 * factor - 100_000.0, 1e-6);
        near(e.npv.p90 - e.npv.p10, (e.benefit_per_year.p90 - e.benefit_per_year.p10) * factor, 1e-6);
        near(e.irr.unwrap(), 0.214_065, 5e-7);
        assert!(e.assumptions[0].contains("2024"));
        let nothing = Economics::of(&spec, 100_000.0, 0.0, &[0.0; 20]);
        assert_eq!(nothing.payback, None);
        assert!(nothing.irr_note.unwrap().contains("never changes"));
    }
}
