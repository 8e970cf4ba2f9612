//! Scores of multi-step open-loop runs against what was measured and against simple models.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::coverage;
use super::quantile::half_spread;
use super::rollouts::Rollouts;
use super::track::Widths;

/// Levels of the central intervals whose coverage is reported.
pub const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// Error of one model in one signal at one horizon. Errors are predicted − measured, in the signal's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    pub model: String,
    /// Column of the schema.
    pub signal: usize,
    /// Steps ahead, 1-based.
    pub horizon: usize,
    /// Starts that were scored.
    pub n: usize,
    pub rmse: f64,
    /// Mean of predicted − measured.
    pub bias: f64,
    /// 1 − MSE / MSE of persistence.
    pub skill: f64,
    /// 1 − MSE / MSE of the linear model.
    pub skill_linear: f64,
    /// 1 − MSE / MSE of the training mean.
    pub skill_mean: f64,
    /// Continuous ranked probability score.
    pub crps: f64,
    /// Measured coverage of the intervals at [`LEVELS`], their widths tracked.
    pub coverage: [f64; 4],
    /// The same with the calibrated widths as they are.
    pub coverage_fixed: [f64; 4],
    /// Independent forecasts that the coverage of the 90 % interval rests on ([`coverage::effective`]).
    pub independent: f64,
    /// What the intervals hold by what they were made of ([`Calibration::held`]).
    pub expected: [f64; 4],
    /// Share of the measured values in each tenth of the forecast distribution (probability integral transform).
    pub pit: [f64; 10],
}

impl ScoreRow {
    /// The measured coverages at which the intervals at [`LEVELS`] count as right.
    pub fn right(&self) -> [(f64, f64); 4] {
        self.expected.map(|share| coverage::band(share, self.independent))
    }
}

/// The predictions of the models that every model is compared with, over the same starts.
#[derive(Debug, Clone)]
pub struct Baselines {
    pub persistence: Rollouts,
    pub linear: Rollouts,
    /// The training mean.
    pub mean: Rollouts,
}

/// Scores of every signal and horizon; intervals and CRPS come from `calibration` and the `widths` that were in force.
pub fn score(
    model: &str,
    run: &Rollouts,
    calibration: &Calibration,
    widths: &Widths,
    baselines: &Baselines,
) -> Vec<ScoreRow> {
    let mut rows = Vec::with_capacity(run.signals.len() * run.horizon);
    for (k, &signal) in run.signals.iter().enumerate() {
        for h in 1..=run.horizon {
            let (mut squares, mut sum, mut crps) = (0.0, 0.0, 0.0);
            let (mut inside, mut fixed, mut pit) = ([0.0; 4], [0.0; 4], [0.0; 10]);
            let (mut held, mut sizes) = (Vec::new(), Vec::new());
            let intervals = LEVELS.map(|level| calibration.interval(k, h, level));
            let tenths: [f64; 9] = std::array::from_fn(|i| calibration.quantile(k, h, (i + 1) as f64 / 10.0));
            for pair in run.pairs(k, h) {
                let error = pair.error();
                squares += error * error;
                sum -= error;
                let local = calibration.local(k, h, pair.doubt);
                let width = local * widths.at(k, h, pair.start);
                crps += calibration.crps(k, h, width, error);
                // Where the model doubts as usual, and forecasts came out as usual, the intervals are those above.
                let usual = error / width;
                for (i, (low, high)) in intervals.into_iter().enumerate() {
                    inside[i] += f64::from(u8::from((low..=high).contains(&usual)));
                    fixed[i] += f64::from(u8::from((low..=high).contains(&(error / local))));
                }
                pit[tenths.partition_point(|q| *q < usual)] += 1.0;
                held.push(f64::from(u8::from((intervals[2].0..=intervals[2].1).contains(&usual))));
                sizes.push(usual.abs());
            }
            let n = held.len();
            if n == 0 {
                continue;
            }
            let count = n as f64;
            rows.push(ScoreRow {
                model: model.to_owned(),
                signal,
                horizon: h,
                n,
                rmse: (squares / count).sqrt(),
                bias: sum / count,
                skill: skill(run.paired_mse(&baselines.persistence, k, h)),
                skill_linear: skill(run.paired_mse(&baselines.linear, k, h)),
                skill_mean: skill(run.paired_mse(&baselines.mean, k, h)),
                crps: crps / count,
                coverage: inside.map(|c| c / count),
                coverage_fixed: fixed.map(|c| c / count),
                // Where all or none are held, the errors' sizes tell the memory.
                independent: coverage::effective(&held).or_else(|| coverage::effective(&sizes)).unwrap_or(count),
                expected: LEVELS.map(|level| calibration.held(k, h, level)),
                pit: pit.map(|c| c / count),
            });
        }
    }
    rows
}

/// 1 − MSE / reference MSE; zero when both are perfect.
pub fn skill((mse, reference): (f64, f64)) -> f64 {
    if mse <= 0.0 && reference <= 0.0 { 0.0 } else { 1.0 - mse / reference.max(f64::MIN_POSITIVE) }
}

/// CRPS of the normal distribution N(mean, sd²) at `y` (Gneiting & Raftery 2007, eq. 21 of the closed forms).
pub fn crps_normal(mean: f64, sd: f64, y: f64) -> f64 {
    let z = (y - mean) / sd;
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    sd * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * density - 1.0 / std::f64::consts::PI.sqrt())
}

/// CRPS of the empirical distribution of `sorted` (ascending, equal weights) at `y`: E|X − y| − ½ E|X − X'|.
pub fn crps_sample(sorted: &[f64], y: f64) -> f64 {
    let n = sorted.len() as f64;
    let distance = sorted.iter().map(|x| (x - y).abs()).sum::<f64>() / n;
    distance - half_spread(sorted)
}

/// Standard normal distribution function, to about 1e-15: Marsaglia's series (2004).
pub fn normal_cdf(z: f64) -> f64 {
    if z.abs() > 8.3 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut k) = (z, z, 1.0);
    loop {
        k += 2.0;
        term *= z * z / k;
        let next = sum + term;
        if next == sum {
            break;
        }
        sum = next;
    }
    0.5 + sum * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::normal_quantile;

    #[test]
    fn crps_has_its_golden_numbers() {
        assert!((crps_normal(0.0, 1.0, 0.0) - 0.233_695_0).abs() < 5e-8);
        assert!((crps_normal(0.0, 1.0, 1.0) - 0.602_441_4).abs() < 5e-8);
        assert!((crps_normal(10.0, 2.0, 13.0) - 1.988_848_0).abs() < 5e-8);
    }

    #[test]
    fn empirical_crps_tends_to_the_normal_one() {
        let n = 4000;
        let sample: Vec<f64> = (0..n).map(|i| normal_quantile((f64::from(i) + 0.5) / f64::from(n))).collect();
        for y in [-2.0, 0.0, 0.7, 3.0] {
            assert!((crps_sample(&sample, y) - crps_normal(0.0, 1.0, y)).abs() < 2e-4);
        }
        assert!((crps_sample(&[2.0], 5.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn normal_cdf_inverts_the_quantile() {
        for p in [1e-6, 0.025, 0.3, 0.5, 0.8, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-8 * p.max(1e-2));
        }
    }
}
