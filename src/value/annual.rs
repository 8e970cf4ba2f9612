//! From scenarios to the year: each stands for a number of days.

use super::kpi::{Aggregation, Figures};
use crate::stats::sorted_finite;

/// One scenario's share in the year.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Days of the year that it stands for.
    pub days: f64,
    /// Its own length.
    pub hours: f64,
    pub figures: &'a Figures,
}

impl Part<'_> {
    /// Times that the scenario happens in the year.
    fn times(&self) -> f64 {
        if self.hours > 0.0 { self.days * 24.0 / self.hours } else { 0.0 }
    }
}

/// One KPI over the year, per particle: `[particles]`.
///
/// Totals are summed, each scenario as often as it fits into its days; means and shares are weighted by days; ratios
/// divide the summed numerators by the summed denominators (or, where the parts are not known, are weighted by days);
/// peaks are the largest. Particle `p` of the year is particle `p` of every scenario: it is the same plausible plant,
/// so the model's error adds up over the year and does not cancel. Scenarios with fewer particles repeat them.
/// A scenario of zero days has no part; a particle without a value in any scenario has none in the year.
pub fn annualise(aggregation: Aggregation, parts: &[Part]) -> Vec<f64> {
    let parts: Vec<&Part> = parts.iter().filter(|p| p.days > 0.0 && !p.figures.values.is_empty()).collect();
    let rows = parts.iter().map(|p| p.figures.values.len()).max().unwrap_or(0);
    let days: f64 = parts.iter().map(|p| p.days).sum();
    let at = |column: &[f64], row: usize| column[row % column.len()];
    let mean = |row: usize| parts.iter().map(|p| p.days * at(&p.figures.values, row)).sum::<f64>() / days;
    (0..rows)
        .map(|row| match aggregation {
            Aggregation::Total => parts.iter().map(|p| p.times() * at(&p.figures.values, row)).sum(),
            Aggregation::Mean => mean(row),
            Aggregation::Largest => {
                let values: Vec<f64> = parts.iter().map(|p| at(&p.figures.values, row)).collect();
                let sorted = sorted_finite(&values);
                if sorted.len() == values.len() { sorted[sorted.len() - 1] } else { f64::NAN }
            }
            Aggregation::Ratio => {
                let mut sums = (0.0, 0.0);
                for part in &parts {
                    let Some((above, below)) = &part.figures.ratio else { return mean(row) };
                    sums.0 += part.times() * at(above, row);
                    sums.1 += part.times() * at(below, row);
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
    fn totals_fill_their_days_and_means_are_weighted() {
        let (week, day) = (figures(&[70.0, 700.0]), figures(&[20.0]));
        let parts =
            [Part { days: 300.0, hours: 168.0, figures: &week }, Part { days: 65.0, hours: 24.0, figures: &day }];
        let total = annualise(Aggregation::Total, &parts);
        assert!((total[0] - (3000.0 + 1300.0)).abs() < 1e-9 && (total[1] - (30_000.0 + 1300.0)).abs() < 1e-9);
        let mean = annualise(Aggregation::Mean, &parts);
        assert!((mean[0] - (300.0 * 70.0 + 65.0 * 20.0) / 365.0).abs() < 1e-9);
        assert_eq!(annualise(Aggregation::Largest, &parts), [70.0, 700.0]);
        assert!(annualise(Aggregation::Total, &[]).is_empty());
    }

    #[test]
    fn ratios_divide_sums() {
        let site = |above, below| Figures {
            values: vec![above / below],
            ratio: Some((vec![above], vec![below])),
            missing: 0.0,
        };
        let (a, b) = (site(12.0, 10.0), site(2.0, 1.0));
        let parts = [Part { days: 1.0, hours: 24.0, figures: &a }, Part { days: 1.0, hours: 24.0, figures: &b }];
        assert!((annualise(Aggregation::Ratio, &parts)[0] - 14.0 / 11.0).abs() < 1e-12);
    }
}
