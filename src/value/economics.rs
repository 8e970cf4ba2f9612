//! Economics of a case over the lifetime of an investment.

use serde::{Deserialize, Serialize};

use super::compare::{Difference, Estimate};
use super::investment::{Investment, irr, payback};
use super::risk::{DRAWS, Risk};
use crate::config::{EconomicsSpec, PriceBasis};
use crate::rng::Key;

/// Economics of a case over its lifetime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Economics {
    pub currency: String,
    /// Benefit in the first year as P10, P50 and P90: the annual decrease of the benefit KPIs.
    pub benefit_per_year: Estimate,
    pub capex: f64,
    pub opex_per_year: f64,
    pub discount_rate: f64,
    pub lifetime_years: f64,
    pub npv: Estimate,
    /// Payback time in years; `None` if the investment never pays for itself.
    pub payback: Option<f64>,
    pub discounted_payback: Option<f64>,
    /// Internal rate of return (IRR); `None` if the IRR does not exist or is not uniquely determined.
    pub irr: Option<f64>,
    /// The reason why there is no IRR.
    pub irr_note: Option<String>,
    pub roi: Option<f64>,
    /// Risk, sensitivities and break-even values; `None` if the interval of the saving is unknown, and in results of
    /// older versions.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// The assumptions in words: price base, basis, price escalation and persistence of the saving.
    pub assumptions: Vec<String>,
}

impl Economics {
    /// Computes the economics from `benefit`, the benefit of each particle in the first year: `[particles]`, in the
    /// currency of `spec`. The particles belong to `members` ensemble members.
    ///
    /// For each draw, `key` determines the benefit in the first year, from the distribution that is
    /// predicted for a new particle. The same model error applies in all years. Independent model
    /// errors in different years would partly cancel and make the result look too certain. Payback,
    /// IRR and ROI are computed from the median benefit. If the interval of the benefit is unknown,
    /// the net present value is computed from `benefit` itself, and the risk is `None`.
    pub fn new(
        spec: &EconomicsSpec,
        capex: f64,
        opex_per_year: f64,
        benefit: &[f64],
        members: usize,
        key: Key,
    ) -> Self {
        let investment = Investment {
            capex,
            opex_per_year,
            discount_rate: spec.discount_rate.value,
            lifetime_years: spec.lifetime.ms() as f64 / (365.0 * 86_400_000.0),
            escalation: spec.escalation.value,
            persistence: spec.persistence.value,
        };
        let draws = Difference::draws(benefit, members, key, DRAWS);
        let benefits = draws.as_deref().unwrap_or(benefit);
        let npv = investment.npv_of(benefits);
        let benefit_per_year = Estimate::over(benefits);
        let flows = investment.flows(benefit_per_year.p50);
        let (irr, irr_note) = match irr(&flows) {
            Ok(rate) => (Some(rate), None),
            Err(reason) => (
                None,
                Some(match investment.airr(benefit_per_year.p50) {
                    Some(r) => format!("{reason}; the adjusted rate of return (AIRR) is {:.1} % a year", 100.0 * r),
                    None => reason,
                }),
            ),
        };
        Self {
            currency: spec.currency.value.clone(),
            capex,
            opex_per_year,
            discount_rate: investment.discount_rate,
            lifetime_years: investment.lifetime_years,
            risk: draws.as_ref().map(|draws| Risk::new(&investment, draws, &npv, benefit_per_year)),
            npv: Estimate::over(&npv),
            payback: payback(&flows, 0.0),
            discounted_payback: payback(&flows, investment.discount_rate),
            irr,
            irr_note,
            roi: investment.roi(benefit_per_year.p50),
            assumptions: assumptions(spec, &investment, draws.is_some()),
            benefit_per_year,
        }
    }
}

/// The assumptions in words. `drawn` is true if the net present value was drawn from a distribution.
fn assumptions(spec: &EconomicsSpec, investment: &Investment, drawn: bool) -> Vec<String> {
    let (basis, inflation) = match spec.basis.value {
        PriceBasis::Real => ("real", "without"),
        PriceBasis::Nominal => ("nominal", "with"),
    };
    let percent = |v: f64| {
        let text = format!("{:.2}", 100.0 * v);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let escalation = match investment.escalation {
        0.0 => "stay constant".to_owned(),
        e if e < 0.0 => format!("fall by {} % a year", percent(-e)),
        e => format!("rise by {} % a year", percent(e)),
    };
    vec![
        format!("all prices are {basis} {} prices ({inflation} inflation)", spec.price_base.value),
        format!(
            "the discount rate is {} % a year, with cash flows at the end of each year",
            percent(investment.discount_rate)
        ),
        format!("the lifetime is {} years, with no residual value", short_number(investment.lifetime_years)),
        format!("the prices that determine the benefit {escalation}"),
        format!("{} % of the saving persists from one year to the next", percent(investment.persistence)),
        match drawn {
            true => "the model error of each draw of the net present value is the same in all years".to_owned(),
            false => "the risk is unknown, because a single particle gives no interval of the saving".to_owned(),
        },
        "payback, IRR and ROI are computed from the median benefit minus the running cost".to_owned(),
    ]
}

fn short_number(v: f64) -> String {
    let text = format!("{v:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[path = "../../tests/unit/value/economics.rs"]
mod tests;
