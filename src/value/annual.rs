//! Annual KPIs from scenarios that each represent a number of days of the year.

use super::kpi::{Aggregation, Figures};
use crate::stats::sorted_finite;

/// The values of one KPI in a scenario, with the scenario's weight in the year.
#[derive(Debug, Clone, Copy)]
pub struct WeightedScenario<'a> {
    /// Number of days of the year that the scenario represents.
    pub days: f64,
    /// Length of the scenario in hours.
    pub hours: f64,
    pub figures: &'a Figures,
}

impl WeightedScenario<'_> {
    /// Number of times that the scenario occurs in the year.
    fn times(&self) -> f64 {
        if self.hours > 0.0 { self.days * 24.0 / self.hours } else { 0.0 }
    }
}

/// Computes the annual value of one KPI for each particle: `[particles]`.
///
/// The total of each scenario is multiplied by the number of times that the scenario occurs in the year, and the
/// products are added. Means and fractions of time are averaged with days as weights. The annual value of a ratio is
/// the sum of the numerators divided by the sum of the denominators. If the numerators and denominators are unknown,
/// the ratios are averaged with days as weights. The annual peak is the maximum over the scenarios.
///
/// The annual value of particle `p` combines particle `p` of every scenario. Particles with the same index use the same
/// ensemble member, so model errors add up over the year instead of cancelling out. If a scenario has fewer particles
/// than another, its particles are repeated. A scenario that represents zero days is ignored. If a particle has no
/// value in one scenario, its annual value is NaN.
pub fn annualise(aggregation: Aggregation, scenarios: &[WeightedScenario]) -> Vec<f64> {
    let scenarios: Vec<&WeightedScenario> =
        scenarios.iter().filter(|s| s.days > 0.0 && !s.figures.values.is_empty()).collect();
    let rows = scenarios.iter().map(|p| p.figures.values.len()).max().unwrap_or(0);
    let days: f64 = scenarios.iter().map(|p| p.days).sum();
    let at = |column: &[f64], row: usize| column[row % column.len()];
    let mean = |row: usize| scenarios.iter().map(|p| p.days * at(&p.figures.values, row)).sum::<f64>() / days;
    (0..rows)
        .map(|row| match aggregation {
            Aggregation::Total => scenarios.iter().map(|p| p.times() * at(&p.figures.values, row)).sum(),
            Aggregation::Mean => mean(row),
            Aggregation::Largest => {
                let values: Vec<f64> = scenarios.iter().map(|p| at(&p.figures.values, row)).collect();
                let sorted = sorted_finite(&values);
                if sorted.len() == values.len() { sorted[sorted.len() - 1] } else { f64::NAN }
            }
            Aggregation::Ratio => {
                let mut sums = (0.0, 0.0);
                for scenario in &scenarios {
                    let Some((numerator, denominator)) = &scenario.figures.ratio else { return mean(row) };
                    sums.0 += scenario.times() * at(numerator, row);
                    sums.1 += scenario.times() * at(denominator, row);
                }
                sums.0 / sums.1
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[f64]) -> Figures {
        Figures { values: values.to_vec(), ratio: None, missing: 0.0 }
    }

    #[test]
    fn totals_scale_with_days_and_means_are_weighted_by_days() {
        let (week, day) = (figures(&[70.0, 700.0]), figures(&[20.0]));
        let scenarios = [
            WeightedScenario { days: 300.0, hours: 168.0, figures: &week },
            WeightedScenario { days: 65.0, hours: 24.0, figures: &day },
        ];
        let total = annualise(Aggregation::Total, &scenarios);
        assert!((total[0] - (3000.0 + 1300.0)).abs() < 1e-9 && (total[1] - (30_000.0 + 1300.0)).abs() < 1e-9);
        let mean = annualise(Aggregation::Mean, &scenarios);
        assert!((mean[0] - (300.0 * 70.0 + 65.0 * 20.0) / 365.0).abs() < 1e-9);
        assert_eq!(annualise(Aggregation::Largest, &scenarios), [70.0, 700.0]);
        assert!(annualise(Aggregation::Total, &[]).is_empty());
    }

    #[test]
    fn ratios_divide_the_sums() {
        let site = |above, below| Figures {
            values: vec![above / below],
            ratio: Some((vec![above], vec![below])),
            missing: 0.0,
        };
        let (a, b) = (site(12.0, 10.0), site(2.0, 1.0));
        let scenarios = [
            WeightedScenario { days: 1.0, hours: 24.0, figures: &a },
            WeightedScenario { days: 1.0, hours: 24.0, figures: &b },
        ];
        assert!((annualise(Aggregation::Ratio, &scenarios)[0] - 14.0 / 11.0).abs() < 1e-12);
    }
}
