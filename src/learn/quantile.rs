//! Quantiles of plain and of weighted samples.

/// Quantile `p` of `sorted`, linear between the points. Point j is the quantile (j + ½) / n (type 5 of Hyndman & Fan 1996).
pub fn interpolate(sorted: &[f64], p: f64) -> f64 {
    let last = sorted.len() - 1;
    let x = (p * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let i = (x as usize).min(last.saturating_sub(1));
    let next = sorted[(i + 1).min(last)];
    sorted[i] + (x - i as f64) * (next - sorted[i])
}

/// ½ E|X − X'| of the empirical distribution of `sorted`.
pub fn half_spread(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    sorted.iter().enumerate().map(|(i, x)| x * (2.0 * i as f64 + 1.0 - n)).sum::<f64>() / (n * n)
}

/// A sample with weights.
#[derive(Debug, Clone, Default)]
pub struct Weighted {
    /// (value, weight); once sorted: (value, probability up to the middle of its weight).
    values: Vec<(f64, f64)>,
}

impl Weighted {
    pub fn push(&mut self, value: f64, weight: f64) {
        self.values.push((value, weight));
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Sorts the values. No value may be added afterwards.
    pub fn sort(&mut self) {
        self.values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = self.values.iter().map(|v| v.1).sum();
        let mut before = 0.0;
        for (_, w) in &mut self.values {
            let weight = *w;
            *w = (before + 0.5 * weight) / total;
            before += weight;
        }
    }

    /// Quantile `p` of the sorted sample, linear between the values.
    pub fn quantile(&self, p: f64) -> f64 {
        let at = self.values.partition_point(|v| v.1 < p);
        let Some(&(high, above)) = self.values.get(at) else { return self.values.last().map_or(f64::NAN, |v| v.0) };
        let Some(&(low, below)) = at.checked_sub(1).and_then(|i| self.values.get(i)) else { return high };
        low + (high - low) * (p - below) / (above - below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_give_the_unweighted_quantiles() {
        let plain: Vec<f64> = (0..37).map(|i| f64::from(i * i)).collect();
        let mut weighted = Weighted::default();
        plain.iter().rev().for_each(|v| weighted.push(*v, 0.25));
        weighted.sort();
        for p in [0.001, 0.1, 0.35, 0.5, 0.9, 0.999] {
            assert!((weighted.quantile(p) - interpolate(&plain, p)).abs() < 1e-9, "{p}");
        }
    }

    #[test]
    fn a_value_covers_the_share_of_its_weight() {
        let mut w = Weighted::default();
        for (v, weight) in [(0.0, 1.0), (1.0, 8.0), (2.0, 1.0)] {
            w.push(v, weight);
        }
        w.sort();
        assert_eq!(w.quantile(0.5), 1.0);
        assert!((w.quantile(0.275) - 0.5).abs() < 1e-12);
        assert_eq!((w.quantile(0.01), w.quantile(0.99)), (0.0, 2.0));
    }
}
