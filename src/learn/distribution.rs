//! The distribution of a quantity whose values are mutually independent and depend on no input, such as the daily
//! demand for a product.
//!
//! Counts are described by one of the following distributions, fitted by maximum likelihood:
//!
//! | distribution | probability of k |
//! |---|---|
//! | Poisson | e^(−λ) λᵏ / k! |
//! | negative binomial | Γ(k + r) / (Γ(r) k!) · pʳ (1 − p)ᵏ with p = r / (r + μ) |
//! | zero-inflated | 1[k = 0] π + (1 − π) times one of the above |
//! | empirical | the relative frequency of k |
//!
//! The simplest distribution whose logarithmic score on left-out blocks is at most [`MIN_GAIN`]
//! below the highest score is used. For quantities that are not counts, the empirical distribution
//! is always used and is described by its quantiles. All values drawn from a distribution lie
//! within its range, so a simulated demand is never negative.

use serde::{Deserialize, Serialize};

use crate::rng::{Key, normal_quantile};
use crate::stats::{normal_cdf, quantile_type_5};

/// Largest value of a quantity that is described as a count (not tuned).
const MAX_COUNT: f64 = 500.0;
/// Number of quantiles of an empirical distribution.
const QUANTILES: usize = 512;
/// Minimum improvement of the total logarithmic score for which a more general distribution is chosen (not tuned).
const MIN_GAIN: f64 = 2.0;
/// The table of a count distribution ends when the probability of all larger counts is at most this value.
const TAIL: f64 = 1e-9;
/// Number of iterations of a golden-section search; each iteration multiplies the length of the interval by 0.618.
const ITERATIONS: usize = 40;

/// A family of distributions. The variants are ordered from the simplest to the most general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DistributionKind {
    Poisson,
    NegativeBinomial,
    ZeroInflatedPoisson,
    ZeroInflatedNegativeBinomial,
    Empirical,
}

impl DistributionKind {
    const ALL: [Self; 5] = [
        Self::Poisson,
        Self::NegativeBinomial,
        Self::ZeroInflatedPoisson,
        Self::ZeroInflatedNegativeBinomial,
        Self::Empirical,
    ];

    /// Name of the distribution, for use within a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poisson => "Poisson",
            Self::NegativeBinomial => "negative binomial",
            Self::ZeroInflatedPoisson => "zero-inflated Poisson",
            Self::ZeroInflatedNegativeBinomial => "zero-inflated negative binomial",
            Self::Empirical => "empirical",
        }
    }
}

/// Distribution of independent, non-negative values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    pub kind: DistributionKind,
    /// Mean of the values to which the distribution was fitted, rounded so that sums and differences with counts are
    /// exact.
    pub mean: f64,
    /// Standard deviation τ of slow changes of the mean, relative to the standard deviation of the
    /// values. The normal scores of two values in a simulated run have the correlation τ².
    pub drift: f64,
    /// P(X ≤ k) for k = 0, 1, … of a count; empty if the values are not counts.
    cumulative: Vec<f64>,
    /// Quantiles at equally spaced probabilities; empty if the values are counts.
    quantiles: Vec<f64>,
}

/// Frequencies of the counts 0, 1, …
type Frequencies = Vec<f64>;

impl Distribution {
    /// Chooses and fits a distribution for the non-negative values in `blocks`, which are in chronological order.
    /// Returns `None` if there are no values.
    pub fn fit(blocks: &[Vec<f64>]) -> Option<Self> {
        let all = blocks.concat();
        if all.is_empty() {
            return None;
        }
        if !is_count(&all) {
            return Some(Self::empirical(&all));
        }
        let frequencies: Vec<Frequencies> = blocks.iter().map(|b| frequencies(b)).collect();
        let size = frequencies.iter().map(Vec::len).max().unwrap_or(0);
        let without = |left_out: usize| {
            let others = frequencies.iter().enumerate().filter(|(i, _)| *i != left_out);
            others.fold(vec![0.0; size], |sum, (_, f)| add(sum, f))
        };
        let score = |kind: DistributionKind| -> f64 {
            let block = |(i, own): (usize, &Frequencies)| {
                let p = Probabilities::fit(kind, &without(i));
                own.iter().enumerate().filter(|(_, n)| **n > 0.0).map(|(k, n)| n * p.log(k)).sum::<f64>()
            };
            frequencies.iter().enumerate().map(block).sum()
        };
        let scores = DistributionKind::ALL.map(|kind| (kind, score(kind)));
        let best = scores.iter().map(|s| s.1).fold(f64::NEG_INFINITY, f64::max);
        let (kind, _) = scores.into_iter().find(|(_, score)| *score >= best - MIN_GAIN)?;
        Some(Self::count(kind, &all))
    }

    /// Fits the distribution of the given kind to `values`.
    pub fn of_kind(kind: DistributionKind, values: &[f64]) -> Self {
        if is_count(values) { Self::count(kind, values) } else { Self::empirical(values) }
    }

    fn count(kind: DistributionKind, values: &[f64]) -> Self {
        let frequencies = frequencies(values);
        let probabilities = Probabilities::fit(kind, &frequencies);
        let (mut cumulative, mut sum) = (Vec::new(), 0.0);
        let largest = if kind == DistributionKind::Empirical { frequencies.len() } else { 20 * MAX_COUNT as usize };
        while cumulative.len() < largest && sum < 1.0 - TAIL {
            sum += match kind {
                DistributionKind::Empirical => frequencies[cumulative.len()] / values.len() as f64,
                _ => probabilities.log(cumulative.len()).exp(),
            };
            cumulative.push(sum);
        }
        Self { kind, mean: exact(mean(values)), drift: 0.0, cumulative, quantiles: Vec::new() }
    }

    fn empirical(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: usize| quantile_type_5(&sorted, (q as f64 + 0.5) / QUANTILES as f64);
        let quantiles = (0..QUANTILES).map(quantile).collect();
        let kind = DistributionKind::Empirical;
        Self { kind, mean: mean(values), drift: 0.0, cumulative: Vec::new(), quantiles }
    }

    /// Quantile at probability `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        if self.cumulative.is_empty() {
            return quantile_type_5(&self.quantiles, p);
        }
        self.cumulative.partition_point(|c| *c < p).min(self.cumulative.len() - 1) as f64
    }

    /// Probability that a value lies in the closed interval [low, high].
    pub fn probability(&self, low: f64, high: f64) -> f64 {
        if self.cumulative.is_empty() {
            let inside = self.quantiles.iter().filter(|q| (low..=high).contains(*q)).count();
            return inside as f64 / self.quantiles.len().max(1) as f64;
        }
        let below = |k: f64| if k < 0.0 { 0.0 } else { self.cumulative[(k as usize).min(self.cumulative.len() - 1)] };
        below(high) - below(low - 1.0)
    }

    /// Draws a value and returns its difference from the mean. `stream` is the random stream of
    /// this step, `drift` is the stream that all steps of the run share, and `number` is the index
    /// of the particle in both streams.
    pub fn deviation(&self, stream: Key, number: u64, drift: Key) -> f64 {
        let p = if self.drift > 0.0 {
            let own = normal_quantile(stream.uniform(number));
            normal_cdf((1.0 - self.drift * self.drift).sqrt() * own + self.drift * drift.normal(number))
        } else {
            stream.uniform(number)
        };
        self.quantile(p) - self.mean
    }

    /// Returns true if a distribution that was read from a file is valid.
    pub fn is_valid(&self) -> bool {
        let values = || self.cumulative.iter().chain(&self.quantiles);
        self.cumulative.is_empty() != self.quantiles.is_empty()
            && values().chain([&self.mean]).all(|v| v.is_finite())
            && (0.0..1.0).contains(&self.drift)
            && (self.cumulative.is_sorted() && self.quantiles.is_sorted())
    }
}

/// Returns true if all values are integers between 0 and [`MAX_COUNT`].
fn is_count(values: &[f64]) -> bool {
    values.iter().all(|v| (0.0..=MAX_COUNT).contains(v) && v.fract() == 0.0)
}

fn mean(values: &[f64]) -> f64 {
    crate::stats::mean_or_zero(values)
}

/// Rounds `v` to a multiple of 2⁻²⁰.
fn exact(v: f64) -> f64 {
    let scale = f64::from(1u32 << 20);
    (v * scale).round() / scale
}

fn frequencies(values: &[f64]) -> Frequencies {
    let size = values.iter().fold(0.0, |m: f64, v| m.max(*v)) as usize + 1;
    let mut frequencies = vec![0.0; size];
    values.iter().for_each(|v| frequencies[*v as usize] += 1.0);
    frequencies
}

fn add(mut sum: Frequencies, other: &Frequencies) -> Frequencies {
    sum.iter_mut().zip(other).for_each(|(s, f)| *s += f);
    sum
}

/// The fitted probabilities of counts.
struct Probabilities {
    /// Probability π of an additional zero.
    zeros: f64,
    mean: f64,
    /// Size r of a negative binomial distribution; infinite for a Poisson distribution.
    size: f64,
    /// Relative frequencies, for the empirical distribution only.
    frequencies: Option<(Frequencies, f64)>,
}

impl Probabilities {
    fn fit(kind: DistributionKind, frequencies: &Frequencies) -> Self {
        let total: f64 = frequencies.iter().sum();
        let sum: f64 = frequencies.iter().enumerate().map(|(k, n)| k as f64 * n).sum();
        let mean = if total > 0.0 { sum / total } else { 0.0 };
        let none = frequencies.first().copied().unwrap_or(0.0) / total.max(1.0);
        let with = |zeros: f64, size: f64| Self { zeros, mean: mean / (1.0 - zeros), size, frequencies: None };
        let likelihood = |p: &Self| -> f64 {
            frequencies.iter().enumerate().filter(|(_, n)| **n > 0.0).map(|(k, n)| n * p.log(k)).sum()
        };
        // The size parameter is searched on a logarithmic scale, from strong overdispersion to
        // almost no overdispersion.
        let size = |zeros: f64| search(-4.0, 9.0, |s| likelihood(&with(zeros, s.exp()))).exp();
        match kind {
            DistributionKind::Poisson => with(0.0, f64::INFINITY),
            DistributionKind::NegativeBinomial => with(0.0, size(0.0)),
            DistributionKind::ZeroInflatedPoisson => {
                with(search(0.0, 0.999 * none, |z| likelihood(&with(z, f64::INFINITY))), f64::INFINITY)
            }
            DistributionKind::ZeroInflatedNegativeBinomial => {
                let zeros = search(0.0, 0.999 * none, |z| likelihood(&with(z, size(z))));
                with(zeros, size(zeros))
            }
            DistributionKind::Empirical => {
                Self { frequencies: Some((frequencies.clone(), total)), ..with(0.0, f64::INFINITY) }
            }
        }
    }

    /// Logarithm of the probability of `k`.
    fn log(&self, k: usize) -> f64 {
        if let Some((frequencies, total)) = &self.frequencies {
            // Half a count is spread evenly over all values in the list, and larger values have an
            // even lower probability, so that no value has probability zero.
            let size = frequencies.len() as f64;
            let n = frequencies.get(k).copied().unwrap_or(0.0);
            return ((n + 0.5 / size) / (total + 0.5)).ln() - if k < frequencies.len() { 0.0 } else { size.ln() };
        }
        let x = k as f64;
        let log = if self.mean <= 0.0 {
            if k == 0 { 0.0 } else { -700.0 }
        } else if self.size.is_infinite() {
            x * self.mean.ln() - self.mean - ln_factorial(x)
        } else {
            let (r, m) = (self.size, self.mean);
            ln_gamma(x + r) - ln_gamma(r) - ln_factorial(x) + r * (r / (r + m)).ln() + x * (m / (r + m)).ln()
        };
        let p = (1.0 - self.zeros) * log.exp() + if k == 0 { self.zeros } else { 0.0 };
        if self.zeros > 0.0 && k == 0 { p.ln() } else { log + (1.0 - self.zeros).ln() }
    }
}

/// Golden-section search for the maximum of `f` between `low` and `high`.
fn search(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let at = |low: f64, high: f64| (high - ratio * (high - low), low + ratio * (high - low));
    let (mut a, mut b) = at(low, high);
    let (mut fa, mut fb) = (f(a), f(b));
    for _ in 0..ITERATIONS {
        if fa >= fb {
            (high, b, fb) = (b, a, fa);
            a = at(low, high).0;
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = at(low, high).1;
            fb = f(b);
        }
    }
    0.5 * (low + high)
}

fn ln_factorial(k: f64) -> f64 {
    ln_gamma(k + 1.0)
}

/// Logarithm of the gamma function for x > 0: Stirling's series after shifting the argument above 8, with an error
/// below 1e-10.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 8.0 {
        shift += x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(n: usize, seed: u64, of: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
        let key = Key::new(seed);
        let values: Vec<f64> = (0..n).map(|i| of(key.uniform(i as u64))).collect();
        values.chunks(n / 5).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn the_gamma_function_has_known_values() {
        for (x, expected) in
            [(1.0, 0.0), (5.0, 24f64.ln()), (0.5, 0.572_364_942_924_700_1), (100.0, 359.134_205_369_575_4)]
        {
            assert!((ln_gamma(x) - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn the_family_of_counts_is_recognised() {
        // Quantile functions of the true distributions: Poisson with mean 5; negative binomial with mean 3 and size
        // 0.8; the same Poisson distribution with 60 % additional zeros.
        let poisson = |u: f64| {
            let (mut k, mut p) = (0.0, (-5f64).exp());
            let mut sum = p;
            while sum < u && k < 60.0 {
                k += 1.0;
                p *= 5.0 / k;
                sum += p;
            }
            k
        };
        let negative = |u: f64| {
            let (r, m) = (0.8f64, 3.0);
            let (mut k, mut p) = (0.0, (r / (r + m)).powf(r));
            let mut sum = p;
            while sum < u && k < 300.0 {
                p *= (k + r) / (k + 1.0) * m / (r + m);
                k += 1.0;
                sum += p;
            }
            k
        };
        let inflated = |u: f64| if u < 0.6 { 0.0 } else { poisson((u - 0.6) / 0.4) };
        type Case<'a> = (&'a dyn Fn(f64) -> f64, DistributionKind, f64);
        let cases: [Case<'_>; 3] = [
            (&poisson, DistributionKind::Poisson, 5.0),
            (&negative, DistributionKind::NegativeBinomial, 3.0),
            (&inflated, DistributionKind::ZeroInflatedPoisson, 2.0),
        ];
        for (of, kind, mean) in cases {
            let found = Distribution::fit(&draw(4000, 7, of)).unwrap();
            assert_eq!(found.kind, kind);
            assert!((found.mean / mean - 1.0).abs() < 0.05, "{} {mean}", found.mean);
            for p in [0.05, 0.5, 0.7, 0.95] {
                assert!((found.quantile(p) - of(p)).abs() <= 1.0, "{kind:?} {p}: {} {}", found.quantile(p), of(p));
            }
        }
        // 70 % zeros, otherwise 1 to 4 with equal probabilities: none of the parametric distributions fits.
        let uniform = draw(1500, 3, |u| if u < 0.7 { 0.0 } else { 1.0 + ((u - 0.7) / 0.075).floor() });
        let found = Distribution::fit(&uniform).unwrap();
        assert_eq!(found.kind, DistributionKind::Empirical);
        assert_eq!((found.quantile(0.5), found.quantile(0.999_999)), (0.0, 4.0));
    }

    #[test]
    fn drawn_values_are_exact_counts_with_the_right_mean() {
        let found = Distribution::fit(&draw(1000, 5, |u| (7.0 * u).floor())).unwrap();
        let (stream, drift) = (Key::new(1), Key::new(2));
        let values: Vec<f64> = (0..20_000).map(|i| found.mean + found.deviation(stream, i, drift)).collect();
        assert!(values.iter().all(|v| *v >= 0.0 && v.fract() == 0.0));
        assert!((mean(&values) - found.mean).abs() < 0.05);
    }

    #[test]
    fn quantities_that_are_not_counts_stay_within_their_range() {
        let found = Distribution::fit(&draw(1000, 5, |u| if u < 0.2 { 0.0 } else { 12.5 * u * u })).unwrap();
        assert_eq!(found.kind, DistributionKind::Empirical);
        let drawn: Vec<f64> = (0..5000).map(|i| found.mean + found.deviation(Key::new(1), i, Key::new(2))).collect();
        assert!(drawn.iter().all(|v| (0.0..=12.5).contains(v)));
        assert!((mean(&drawn) / found.mean - 1.0).abs() < 0.03);
    }
}
