//! The cash flows of an investment: NPV, payback, IRR, SIR, AIRR and ROI.
//!
//! The capital is spent in year 0. The benefit and the running cost of a year are paid at the end of that year. If the
//! lifetime is not a whole number of years, the cash flows of the last, partial year are reduced in proportion and paid
//! at the end of the lifetime. SIR and AIRR follow NIST Handbook 135. NPV, payback, IRR and ROI follow Ruegg &
//! Marshall.

/// The costs of an investment and the growth of its benefit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Investment {
    /// One-time cost, spent now.
    pub capex: f64,
    /// Running cost, paid at the end of each year.
    pub opex_per_year: f64,
    /// Discount rate per year, such as 0.08.
    pub discount_rate: f64,
    pub lifetime_years: f64,
    /// Annual rate of increase of the prices that determine the benefit.
    pub escalation: f64,
    /// Fraction of the saving that persists from one year to the next.
    pub persistence: f64,
}

/// A cash flow `year` years after the investment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flow {
    pub year: f64,
    pub amount: f64,
}

impl Investment {
    /// The cash flows: the capital, followed by one net flow per year. If the lifetime is not a whole number of years,
    /// the last flow covers only a fraction of a year.
    pub fn flows(&self, benefit: f64) -> Vec<Flow> {
        let mut flows = vec![Flow { year: 0.0, amount: -self.capex }];
        let mut year = 0.0;
        let mut growth = 1.0;
        // A remainder of less than a thousandth of a year is assumed to be a rounding error of the lifetime.
        while self.lifetime_years - year > 1e-3 {
            let share = (self.lifetime_years - year).min(1.0);
            year += share;
            flows.push(Flow { year, amount: share * (benefit * growth - self.opex_per_year) });
            growth *= (1.0 + self.escalation) * self.persistence;
        }
        flows
    }

    /// Net present value, including the capital.
    pub fn npv(&self, benefit: f64) -> f64 {
        npv(&self.flows(benefit), self.discount_rate)
    }

    /// Net present values for several `benefits`. The net present value is a linear function of the benefit.
    pub fn npv_of(&self, benefits: &[f64]) -> Vec<f64> {
        let costs = self.npv(0.0);
        let per_unit = Self { capex: 0.0, opex_per_year: 0.0, ..*self }.npv(1.0);
        benefits.iter().map(|b| costs + per_unit * b).collect()
    }

    /// Savings-to-investment ratio: present value of annual net flows divided by the capital; `None` without capital.
    pub fn sir(&self, benefit: f64) -> Option<f64> {
        (self.capex > 0.0).then(|| (self.npv(benefit) + self.capex) / self.capex)
    }

    /// Adjusted internal rate of return, which assumes that annual net flows are reinvested at the discount rate.
    /// `None` if there is no capital, no lifetime or no saving.
    pub fn airr(&self, benefit: f64) -> Option<f64> {
        let sir = self.sir(benefit)?;
        (sir > 0.0 && self.lifetime_years > 0.0)
            .then(|| (1.0 + self.discount_rate) * sir.powf(1.0 / self.lifetime_years) - 1.0)
    }

    /// Undiscounted gain over the lifetime divided by the capital; `None` without capital.
    pub fn roi(&self, benefit: f64) -> Option<f64> {
        let gain: f64 = self.flows(benefit).iter().map(|f| f.amount).sum();
        (self.capex > 0.0).then(|| gain / self.capex)
    }
}

/// Present value of `flows` at `rate` per year.
pub fn npv(flows: &[Flow], rate: f64) -> f64 {
    flows.iter().map(|f| f.amount * (1.0 + rate).powf(-f.year)).sum()
}

/// Number of years until the cumulative cash flow, discounted at `rate`, first reaches zero; `None` if it never does. A
/// rate of 0 gives the simple payback time.
///
/// Within a year, the cash flow is spread evenly and discounted continuously. For a constant annual flow A and a
/// capital C, the result is the annuity formula −ln(1 − r·C/A)/ln(1 + r).
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

/// The number of sign changes in the cash flow. Flows of zero are ignored.
pub fn sign_changes(flows: &[Flow]) -> usize {
    let signs: Vec<bool> = flows.iter().filter(|f| f.amount != 0.0).map(|f| f.amount > 0.0).collect();
    signs.windows(2).filter(|w| w[0] != w[1]).count()
}

/// The rate at which the net present value of the flows is zero. A unique rate is guaranteed only if the flows change
/// sign exactly once (Descartes' rule of signs). If no internal rate of return exists, or if it may not be unique, the
/// error gives the reason.
pub fn irr(flows: &[Flow]) -> Result<f64, String> {
    match sign_changes(flows) {
        0 => return Err("no IRR: the cash flow never changes sign".into()),
        1 => {}
        n => return Err(format!("IRR not uniquely determined: the cash flow changes sign {n} times")),
    }
    if flows.iter().any(|f| !f.amount.is_finite()) {
        return Err("no IRR: the cash flow is not finite".into());
    }
    // The root is found by bisection in g = ln(1 + rate). The search range extends from −99.99 % to far above the rate
    // of any real project.
    let value = |g: f64| flows.iter().map(|f| f.amount * (-g * f.year).exp()).sum::<f64>();
    let (mut low, mut high) = (1e-4f64.ln(), 1e6f64.ln());
    let rising = value(low) < 0.0;
    if rising == (value(high) < 0.0) {
        return Err("no IRR between −99.99 % and 1,000,000 % a year".into());
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if (value(middle) < 0.0) == rising {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((0.5 * (low + high)).exp_m1())
}

#[cfg(test)]
#[path = "../../tests/unit/value/investment.rs"]
mod tests;
