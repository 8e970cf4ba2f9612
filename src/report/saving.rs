//! The saving of a case, by the only definition that a report uses: the decrease in cost, without penalties.
//!
//! If the results define no cost, the report states the decrease in the objective instead, and does not call it a
//! saving.

use crate::scenario::results::{AnnualResult, CaseResult, Difference, Estimate, Results};

use super::number::{self, Interval, PROSE, with_unit};
use super::runs::completed;

/// Converts a change in the cost or in the objective to a decrease.
pub fn decrease(d: &Difference) -> Difference {
    Difference { mean: -d.mean, low: -d.high, high: -d.low, measurable: d.measurable }
}

/// The saving of a case in one scenario; `None` for the baseline.
pub fn of_case(results: &Results, case: &CaseResult) -> Option<Difference> {
    let change = if results.cash.is_some() { case.cash_change } else { case.objective_change };
    change.as_ref().map(decrease)
}

/// The saving of a case over the year.
pub fn of_year(results: &Results, annual: &AnnualResult) -> Difference {
    let change = annual.cash_change.filter(|_| results.cash.is_some()).unwrap_or(annual.objective_change);
    decrease(&change)
}

/// Unit of the objective and of prices.
pub fn currency(results: &Results) -> String {
    let own = results.currency.as_ref().filter(|c| !c.is_empty()).cloned();
    let paid = || results.cash.as_ref().map(|c| c.unit.clone()).filter(|u| is_currency(u));
    own.or_else(paid).unwrap_or_else(|| "cost units".into())
}

/// Unit of savings, ready to print.
pub fn unit(results: &Results) -> String {
    results.cash.as_ref().map_or_else(|| currency(results), |cash| number::unit(&cash.unit))
}

/// Whether `unit` is the code of a currency.
pub fn is_currency(unit: &str) -> bool {
    crate::units::Unit::parse(unit).ok().and_then(|u| u.currency()).is_some_and(|c| c == unit)
}

/// A saving, its 90 % interval, and the period to which it refers.
#[derive(Debug, Clone)]
pub struct Saving {
    pub value: Difference,
    pub unit: String,
    /// The period of the saving, such as `a year`.
    pub per: String,
}

impl Saving {
    /// The saving and the ends of its interval, all rounded to the same decimal place.
    pub fn interval(&self) -> Interval {
        let Difference { mean, low, high, .. } = self.value;
        match low.is_finite() && high.is_finite() {
            true => number::within(mean, low, high, PROSE),
            false => number::within(mean, mean, mean, PROSE),
        }
    }
}

/// The wording for a decrease in the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    pub noun: &'static str,
    /// The noun for an increase in the cost.
    opposite: &'static str,
    /// Wording of a gain: the verb that precedes the amount, and the words that follow the amount.
    gains: (&'static str, &'static str),
    loses: (&'static str, &'static str),
}

impl Words {
    /// The words that describe the savings in `results`. A negative cost is income, so a decrease in the cost is
    /// described as a gain.
    pub fn new(results: &Results) -> Self {
        if results.cash.is_none() {
            let (gains, loses) = (("improves the objective by", ""), ("worsens the objective by", ""));
            return Self { noun: "Improvement", opposite: "Deterioration", gains, loses };
        }
        let cost = completed(results).filter_map(|s| {
            let weight = s.days_per_year.unwrap_or(1.0) / s.hours.max(1e-9);
            let spent: Estimate = s.cases.first()?.cash?;
            Some(weight * spent.p50)
        });
        match cost.sum::<f64>() < 0.0 {
            true => Self::income(),
            false => Self { noun: "Saving", opposite: "Extra cost", gains: ("saves", ""), loses: ("costs", " more") },
        }
    }

    /// The words for a plant whose cost is negative.
    pub fn income() -> Self {
        Self { noun: "Gain", opposite: "Lost income", gains: ("earns", " more"), loses: ("earns", " less") }
    }

    /// `saves about 1 020 EUR a year (970 to 1 070 EUR)`.
    pub fn sentence(self, saving: &Saving, about: &str) -> String {
        let i = self.shown(saving).interval();
        let range = match i.low.value < i.high.value {
            true => format!(" ({} to {})", i.low.text, with_unit(&i.high.text, &saving.unit)),
            false => String::new(),
        };
        self.amount(saving, about) + &range
    }

    /// `saves about 1 020 EUR a year`.
    pub fn amount(self, saving: &Saving, about: &str) -> String {
        let value = self.shown(saving).interval().value;
        let (verb, more) = if saving.value.mean >= 0.0 { self.gains } else { self.loses };
        format!("{verb} {about}{} {}{more}", with_unit(&value.text, &saving.unit), saving.per)
    }

    /// The noun for the change of the cost in `saving`, and its amount, which is not negative.
    pub fn figure(self, saving: &Saving) -> (&'static str, Interval) {
        (if saving.value.mean >= 0.0 { self.noun } else { self.opposite }, self.shown(saving).interval())
    }

    /// The saving, or the additional cost if there is no saving.
    fn shown(self, saving: &Saving) -> Saving {
        match saving.value.mean >= 0.0 {
            true => saving.clone(),
            false => Saving { value: decrease(&saving.value), ..saving.clone() },
        }
    }
}
