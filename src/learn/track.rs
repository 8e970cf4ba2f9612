//! Widths of intervals that follow how the twin's own earlier forecasts came out.
//!
//! Adaptive conformal inference (Gibbs & Candès 2021, 2024), as quantile tracking on a log scale (Angelopoulos, Candès &
//! Tibshirani 2023): θ ← θ + γ (missed − (1 − level)), the interval being e^θ times the calibrated one. Whatever the plant
//! does, over n forecasts the share of misses differs from 1 − level by |θ_n − θ_0| / (γ n), and by what is still open. A
//! season that the calibration has not seen, or a final model that errs less than the drafts that it was calibrated on,
//! moves θ instead of the coverage. Only widths at their bound ([`MOST`]) promise nothing.
//!
//! A forecast of h steps made at row t is known at row t + h; nothing is read before.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::rollouts::Rollouts;

/// The interval that is tracked.
const LEVEL: f64 = 0.9;
/// Steps γ to choose from, per forecast. The least moves a width by half over some hundred forecasts: slower ones would
/// not have followed by the end of a hold-out.
const RATES: [f64; 4] = [0.04, 0.07, 0.12, 0.2];
/// Widths change by this factor at most.
const MOST: f64 = 10.0;

/// Widths beside the calibrated ones, per signal and horizon: within a band of horizons errors grow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    /// γ: `[signals]`.
    rate: Vec<f64>,
    /// θ at the end of the training blocks: `[signals][horizon]`.
    before: Vec<Vec<f64>>,
    /// θ at the end of the log: the same shape.
    now: Vec<Vec<f64>>,
}

/// The widths that were in force when each forecast was made, beside the calibrated ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Widths {
    starts: usize,
    /// `[signals][horizon * starts]`, horizon-major.
    widths: Vec<Vec<f64>>,
}

impl Widths {
    /// Of signal number `k` at horizon `h` (1-based) for start number `start`; 1 where nothing is tracked.
    pub fn at(&self, k: usize, h: usize, start: usize) -> f64 {
        self.widths.get(k).and_then(|w| w.get((h.max(1) - 1) * self.starts + start)).copied().unwrap_or(1.0)
    }
}

impl Tracking {
    /// Follows the runs over training blocks, oldest first, on which `calibration` rests. γ is the one under which later
    /// blocks, calibrated on those before them, have the least interval score (Gneiting & Raftery 2007).
    pub fn of(runs: &[Rollouts], calibration: &Calibration) -> Self {
        let still: Vec<Vec<f64>> = calibration.sd.iter().map(|sd| vec![0.0; sd.len()]).collect();
        let signals = still.len();
        let earlier: Vec<(usize, Calibration)> = (2..runs.len()).map(|b| (b, calibration.again(&runs[..b]))).collect();
        let loss = |k: usize, rate: f64| -> f64 {
            let mut loss = 0.0;
            for (block, calibration) in &earlier {
                let mut theta = still[k].clone();
                for run in &runs[..*block] {
                    walk(k, rate, &mut theta, calibration, run);
                }
                let widths = walk(k, rate, &mut theta, calibration, &runs[*block]);
                loss += score(k, &widths, calibration, &runs[*block]);
            }
            loss
        };
        let best = |k: usize| {
            let losses = RATES.map(|rate| (rate, loss(k, rate)));
            losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(RATES[0], |b| b.0)
        };
        let rate = (0..signals).map(best).collect();
        let mut tracking = Self { rate, before: still.clone(), now: still };
        for run in runs {
            tracking.follow(calibration, run);
        }
        tracking.before.clone_from(&tracking.now);
        tracking
    }

    /// Goes on with a later run, forecast by forecast; the widths that were in force.
    pub fn follow(&mut self, calibration: &Calibration, run: &Rollouts) -> Widths {
        let Self { rate, now, .. } = self;
        let each = rate.iter().zip(now).enumerate();
        let widths = each.map(|(k, (rate, theta))| walk(k, *rate, theta, calibration, run)).collect();
        Widths { starts: run.starts.len(), widths }
    }

    /// As it was at the end of the training blocks.
    #[must_use]
    pub fn before_holdout(&self) -> Self {
        Self { now: self.before.clone(), ..self.clone() }
    }

    /// What was in force over a run later than the training blocks, had it been the first to be followed.
    pub fn replay(&self, calibration: &Calibration, run: &Rollouts) -> Widths {
        self.before_holdout().follow(calibration, run)
    }

    /// Width of the intervals of signal number `k` at horizon `h` (1-based) at the end of the log, beside the calibrated.
    pub fn width(&self, k: usize, h: usize) -> f64 {
        let theta = self.now.get(k).map_or(&[][..], Vec::as_slice);
        theta.get((h.max(1) - 1).min(theta.len().saturating_sub(1))).map_or(1.0, |theta| theta.exp())
    }
}

/// Follows signal number `k`; the widths in force at each start: `[horizon * starts]`.
fn walk(k: usize, rate: f64, theta: &mut [f64], calibration: &Calibration, run: &Rollouts) -> Vec<f64> {
    let n = run.starts.len();
    let most = MOST.ln();
    let mut widths = vec![1.0; theta.len() * n];
    for (h, theta) in (1..=run.horizon).zip(theta) {
        let (low, high) = calibration.interval(k, h, LEVEL);
        let missing = 1.0 - calibration.held(k, h, LEVEL);
        let widths = &mut widths[(h - 1) * n..h * n];
        // An interval without width stays as it is, and what is known without error tells nothing.
        let rate = if low < high { rate } else { 0.0 };
        // The first forecast that has not come true yet.
        let mut open = 0;
        for (start, row) in run.starts.iter().map(|s| s.row).chain([usize::MAX]).enumerate() {
            while open < n && run.starts[open].row + h <= row {
                if let Some(pair) = run.pair(k, h, open) {
                    let width = widths[open] * calibration.local(k, h, pair.doubt);
                    let missed = !(low * width..=high * width).contains(&pair.error());
                    let step = f64::from(u8::from(missed)) - missing;
                    *theta = (*theta + rate * step).clamp(-most, most);
                }
                open += 1;
            }
            if start < n {
                widths[start] = theta.exp();
            }
        }
    }
    widths
}

/// Interval score of signal number `k`: width and, for a miss, 2 / (1 − level) of what it missed by; each horizon relative
/// to its standard deviation.
fn score(k: usize, widths: &[f64], calibration: &Calibration, run: &Rollouts) -> f64 {
    let n = run.starts.len();
    let mut sum = 0.0;
    for h in 1..=run.horizon {
        let (low, high) = calibration.interval(k, h, LEVEL);
        for pair in run.pairs(k, h) {
            let width = widths[(h - 1) * n + pair.start] * calibration.local(k, h, pair.doubt);
            let (low, high, e) = (low * width, high * width, pair.error());
            let beyond = (low - e).max(e - high).max(0.0);
            sum += (high - low + 2.0 / (1.0 - LEVEL) * beyond) / calibration.sd_at(k, h);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::learn::starts::Start;
    use crate::rng::Key;

    /// One signal, predicted as zero from every row.
    fn run(first: usize, starts: usize, horizon: usize, error: impl Fn(usize, usize) -> f64) -> Rollouts {
        let rows = first..first + starts;
        Rollouts {
            signals: vec![0],
            horizon,
            starts: rows.clone().map(|row| Start { row, first: 0, reach: horizon }).collect(),
            predicted: vec![vec![0.0; horizon * starts]],
            measured: vec![
                (1..=horizon).flat_map(|h| rows.clone().map(move |t| (t, h))).map(|(t, h)| error(t, h)).collect(),
            ],
            doubt: vec![vec![0.0; horizon * starts]],
            last: vec![vec![0.0; starts]],
        }
    }

    fn calibrated(seed: u64, horizon: usize) -> (Vec<Rollouts>, Calibration) {
        let key = Key::new(seed);
        let error = |t: usize, h: usize| key.fold(h as u64).normal(t as u64);
        let runs: Vec<Rollouts> = (0..5).map(|b| run(b * 200, 150, horizon, error)).collect();
        let calibration = Calibration::of(&runs, &[1.0]);
        (runs, calibration)
    }

    fn coverage(h: usize, widths: &Widths, calibration: &Calibration, run: &Rollouts) -> f64 {
        let (low, high) = calibration.interval(0, h, LEVEL);
        let held = run.pairs(0, h).filter(|p| {
            let w = widths.at(0, h, p.start);
            (low * w..=high * w).contains(&p.error())
        });
        held.count() as f64 / run.starts.len() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The scale of the errors drifts and jumps; fixed intervals hold far too many or few, tracked ones do not.
        #[test]
        fn coverage_is_nominal_whatever_the_scale_does(
            seed in 0u64..1000, jump in -0.7f64..0.7, drift in -0.6f64..0.6, beat in 100.0f64..900.0,
        ) {
            let (runs, calibration) = calibrated(seed, 4);
            let mut tracking = Tracking::of(&runs, &calibration);
            let key = Key::new(seed).fold(7);
            let scale = |t: usize| (jump + drift * (t as f64 / beat).sin()).exp();
            let later = run(2000, 1500, 4, |t, h| scale(t) * key.fold(h as u64).normal(t as u64));
            let widths = tracking.follow(&calibration, &later);
            for h in 1..=4 {
                let held = coverage(h, &widths, &calibration, &later);
                prop_assert!((held - LEVEL).abs() < 0.035, "{held} at {h}");
            }
        }

        /// A width in force at row t is the same whatever forecasts say that come true after t.
        #[test]
        fn no_open_forecast_is_read(seed in 0u64..1000, at in 5usize..95, horizon in 1usize..9) {
            let (runs, calibration) = calibrated(seed, horizon);
            let tracking = Tracking::of(&runs, &calibration);
            let key = Key::new(seed).fold(8);
            let error = |t: usize, h: usize| 3.0 * key.fold(h as u64).normal(t as u64);
            let ends = |last: f64| run(2000, 100, horizon, |t, h| if t + h > 2000 + at { last } else { error(t, h) });
            let [a, b] = [1e-9, 1e3].map(|last| tracking.replay(&calibration, &ends(last)));
            for h in 1..=horizon {
                prop_assert!((0..=at).all(|s| a.at(0, h, s) == b.at(0, h, s)));
            }
            // One row later the first of them is known.
            prop_assert!(a.at(0, 1, at + 1) < b.at(0, 1, at + 1));
        }
    }

    #[test]
    fn a_replay_leaves_the_state_and_widths_stay_bounded() {
        let (runs, calibration) = calibrated(3, 2);
        let mut tracking = Tracking::of(&runs, &calibration);
        let before = tracking.clone();
        let wild = run(2000, 800, 2, |_, _| 1e6);
        let replayed = tracking.replay(&calibration, &wild);
        assert_eq!(tracking, before);
        assert_eq!(tracking.follow(&calibration, &wild), replayed);
        assert!((tracking.width(0, 2) / MOST - 1.0).abs() < 1e-9 && before.width(0, 2) < 1.5);
        let quiet = run(2000, 800, 2, |t, h| 1e-6 * Key::new(4).fold(h as u64).normal(t as u64));
        let mut narrowed = before.clone();
        narrowed.follow(&calibration, &quiet);
        assert!((narrowed.width(0, 2) * MOST - 1.0).abs() < 1e-9, "{}", narrowed.width(0, 2));
    }

    #[test]
    fn what_is_known_without_error_moves_no_width() {
        let exact = |first| run(first, 150, 2, |_, _| 0.0);
        let runs: Vec<Rollouts> = (0..5).map(|b| exact(b * 200)).collect();
        let calibration = Calibration::of(&runs, &[1.0]);
        let mut tracking = Tracking::of(&runs, &calibration);
        tracking.follow(&calibration, &exact(2000));
        assert_eq!([tracking.width(0, 1), tracking.width(0, 2)], [1.0; 2]);
    }
}
