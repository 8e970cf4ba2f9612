//! The cost of operating the plant: the sum of the KPIs that are paid, without penalties on violated limits.
//!
//! The objective also contains penalties, which are prices that nobody pays. If a report called a decrease in
//! the objective a saving, it would promise money that nobody receives.

use std::ops::Range;

use super::kpi::{Kpi, KpiKind, by_step};
use super::objective::Objective;
use crate::config::EconomicsSpec;
use crate::trajectory::Trajectory;
use crate::units::Unit;

/// The KPIs whose sum is the cost, each with the factor that converts it to `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cash {
    /// A currency, or the unit of the only priced KPI if no KPI is expressed in a currency.
    pub unit: String,
    /// Pairs (index of the KPI, factor).
    terms: Vec<(usize, f64)>,
}

impl Cash {
    /// The cost consists of the benefit KPIs of the economics. Without economics, the cost consists
    /// of all priced KPIs in money. If no priced KPI is in money, but exactly one sum is priced,
    /// this sum is the cost. Penalties are excluded. Returns `None` if no KPI is a cost.
    pub fn new(kpis: &[Kpi], objective: &Objective, economics: Option<&EconomicsSpec>) -> Option<Self> {
        let convertible = |kpi: &Kpi, unit: &str| Unit::parse(unit).and_then(|unit| kpi.unit.factor(&unit)).ok();
        let in_unit = |unit: &str, listed: &dyn Fn(&Kpi) -> bool| {
            let terms = kpis.iter().enumerate().filter(|(_, k)| listed(k));
            Some(Self {
                unit: unit.to_owned(),
                terms: terms.filter_map(|(i, k)| Some((i, convertible(k, unit)?))).collect(),
            })
            .filter(|cash| !cash.terms.is_empty())
        };
        if let Some(economics) = economics {
            return in_unit(&economics.currency, &|k| economics.benefit.iter().any(|b| b.value == k.name));
        }
        let price = |k: &Kpi| objective.terms.iter().find(|(term, _)| term.name == k.name).map_or(0.0, |t| t.1);
        let paid = |k: &Kpi| price(k) != 0.0 && !is_penalty(k.kind());
        let money = kpis.iter().filter(|k| paid(k)).find_map(|k| {
            let currency = k.unit.currency()?;
            convertible(k, &currency).map(|_| currency)
        });
        if let Some(currency) = money {
            return in_unit(&currency, &paid);
        }
        let mut sums = kpis.iter().enumerate().filter(|(_, k)| paid(k) && k.kind() == KpiKind::Sum);
        match (sums.next(), sums.next()) {
            (Some((i, kpi)), None) => Some(Self { unit: kpi.unit.text.clone(), terms: vec![(i, price(kpi).signum())] }),
            _ => None,
        }
    }

    /// The cost of each particle, `[particles]`, from the values of all KPIs, `[kpis][particles]`.
    pub fn value(&self, values: &[Vec<f64>]) -> Vec<f64> {
        let mut out = vec![0.0; values.first().map_or(0, Vec::len)];
        for (kpi, factor) in &self.terms {
            out.iter_mut().zip(&values[*kpi]).for_each(|(o, v)| *o += factor * v);
        }
        out
    }

    /// The cost of each step in `period` of `trajectory`: `[steps × particles]`. `None` if the cost contains a KPI,
    /// such as a peak, that is not a sum over steps.
    pub fn by_step(&self, kpis: &[Kpi], trajectory: &Trajectory, period: &Range<usize>) -> Option<Vec<f64>> {
        let mut out = vec![0.0; period.len() * trajectory.particles];
        for (kpi, factor) in &self.terms {
            let steps = by_step(&kpis[*kpi], trajectory, period.clone())?;
            out.iter_mut().zip(&steps).for_each(|(o, v)| *o += factor * v);
        }
        Some(out)
    }

    /// The factor that converts the KPI with index `kpi` to the unit of the cost; `None` if the KPI is not a part of
    /// the cost.
    pub fn factor(&self, kpi: usize) -> Option<f64> {
        self.terms.iter().find(|(k, _)| *k == kpi).map(|(_, factor)| *factor)
    }

    /// Indices of the KPIs whose sum is the cost.
    pub fn kpis(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().map(|(kpi, _)| *kpi)
    }
}

/// Whether a price on a KPI of this kind is a penalty instead of a payment.
fn is_penalty(kind: KpiKind) -> bool {
    use KpiKind as K;
    match kind {
        K::Sum | K::Mean | K::Peak | K::Ratio | K::Final => false,
        K::Exceedance | K::ExceedanceShare | K::DegreeHours | K::Moves | K::Travel => true,
        K::FillRate | K::ServiceLevel | K::TerminalCost => true,
    }
}
