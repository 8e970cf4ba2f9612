//! Randomised on/off trials (crossover design): the change is switched on and off in a random order, so that the saving
//! does not depend on a model of the baseline.
//!
//! Days are grouped into pairs of the same weekday in consecutive weeks. In each pair, the change is on for one
//! randomly chosen day and off for the other day. For each pair, the consumption with the change is subtracted from the
//! consumption without the change, and the estimated saving is the mean of these differences. Under the hypothesis that
//! the change has no effect, the sign of each difference is random, which gives the p-value.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::Key;
use crate::stats::{mean_and_sample_sd, student_t_95};

/// Number of random sign patterns from which the p-value is computed if there are too many patterns to enumerate.
const DRAWS: usize = 20_000;
/// Largest number of pairs for which all sign patterns are enumerated.
const MAX_LISTED: usize = 14;
/// Minimum number of pairs for a statement (with fewer pairs, the two-sided p-value is at least 1/16).
const MIN_PAIRS: usize = 6;

/// One day of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialDay {
    pub date: Date,
    /// Pair to which the day belongs.
    pub pair: usize,
    pub on: bool,
}

/// The result of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of pairs in which both days were measured, and number of planned pairs.
    pub pairs: usize,
    pub planned: usize,
    /// Saving per day, with its 90 % interval.
    pub saving: f64,
    pub low: f64,
    pub high: f64,
    /// Two-sided p-value of a randomisation test of the hypothesis that there is no effect.
    pub p: f64,
}

/// Plans a randomised trial that begins on `start` and lasts `weeks` weeks. `weeks` is rounded down to an even number.
pub fn plan(start: Date, weeks: usize, seed: u64) -> Vec<TrialDay> {
    let key = Key::new(seed).fold(0x74_7269_616c);
    let mut days: Vec<TrialDay> = (0..weeks / 2 * 7)
        .flat_map(|pair| {
            let first = start.saturating_add(i64::try_from(pair / 7 * 14 + pair % 7).unwrap_or(0).days());
            let on = key.uniform(pair as u64) < 0.5;
            [(first, on), (first.saturating_add(7.days()), !on)].map(|(date, on)| TrialDay { date, pair, on })
        })
        .collect();
    days.sort_by_key(|d| d.date);
    days
}

/// Analyses a trial. `used` returns the consumption on a day; `None` if it was not measured on the whole day.
///
/// # Errors
/// [`Error::Data`] if fewer than six pairs were measured.
pub fn analyse(days: &[TrialDay], used: impl Fn(Date) -> Option<f64>, seed: u64) -> Result<Trial> {
    let mut numbers: Vec<usize> = days.iter().map(|d| d.pair).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let of = |pair: usize, on: bool| days.iter().find(|d| d.pair == pair && d.on == on).and_then(|d| used(d.date));
    let differences: Vec<f64> = numbers.iter().filter_map(|p| Some(of(*p, false)? - of(*p, true)?)).collect();
    let n = differences.len();
    if n < MIN_PAIRS {
        return Err(Error::Data(format!(
            "both days were measured in {n} of the {} pairs of the trial, but at least {MIN_PAIRS} are needed; continue the \
             trial, or check the log",
            numbers.len()
        )));
    }
    let (saving, sd) = mean_and_sample_sd(differences.iter().copied());
    let half = student_t_95(n as f64 - 1.0) * sd / (n as f64).sqrt();
    let sum: f64 = differences.iter().sum();
    // a tolerance for rounding errors, so that the observed pattern itself is always counted
    let reached = |s: f64| s.abs() >= sum.abs() * (1.0 - 1e-12);
    let p = if n <= MAX_LISTED {
        let signed =
            |mask: usize| (0..n).map(|i| if mask >> i & 1 == 1 { -differences[i] } else { differences[i] }).sum();
        (0..1_usize << n).filter(|mask| reached(signed(*mask))).count() as f64 / (1_usize << n) as f64
    } else {
        let key = Key::new(seed).fold(0x7369_676e);
        let signed = |draw: usize| {
            let signs = key.fold(draw as u64);
            (0..n).map(|i| if signs.uniform(i as u64) < 0.5 { -differences[i] } else { differences[i] }).sum()
        };
        (1 + (0..DRAWS).filter(|d| reached(signed(*d))).count()) as f64 / (DRAWS + 1) as f64
    };
    Ok(Trial { pairs: n, planned: numbers.len(), saving, low: saving - half, high: saving + half, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn each_pair_has_one_day_on_and_one_day_off_of_the_same_weekday() {
        let days = plan(date("2024-03-04"), 9, 5);
        assert_eq!(days.len(), 56);
        assert!(days.windows(2).all(|w| w[0].date < w[1].date));
        for pair in 0..28 {
            let of: Vec<&TrialDay> = days.iter().filter(|d| d.pair == pair).collect();
            assert!(of.len() == 2 && of[0].on != of[1].on && of[0].date.weekday() == of[1].date.weekday());
        }
        assert_eq!(days, plan(date("2024-03-04"), 8, 5));
        assert_ne!(days, plan(date("2024-03-04"), 8, 6));
    }

    #[test]
    fn the_saving_and_the_p_value_are_right() {
        let days = plan(date("2024-03-04"), 2, 1);
        let n = |d: Date| f64::from(d.day()) % 5.0;
        let used = |d: Date| {
            let on = days.iter().any(|t| t.date == d && t.on);
            Some(100.0 + n(d) - if on { 20.0 } else { 0.0 })
        };
        let found = analyse(&days, used, 1).unwrap();
        // all seven differences are positive, so only the observed signs and the opposite signs give a sum of this size
        assert_eq!((found.pairs, found.p), (7, 2.0 / 128.0));
        let differences: Vec<f64> = (0..7)
            .map(|p| {
                let of = |on| days.iter().find(|d| d.pair == p && d.on == on).and_then(|d| used(d.date)).unwrap();
                of(false) - of(true)
            })
            .collect();
        let mean = differences.iter().sum::<f64>() / 7.0;
        assert!(
            (found.saving - mean).abs() < 1e-9 && found.low < mean && found.high > mean && (mean - 20.0).abs() < 5.0
        );
        assert!(analyse(&days[..5], used, 1).is_err());
    }

    /// Requirement MV-8: without an effect, p < 0.05 in 3.5 % to 6.5 % of trials.
    #[test]
    fn trials_without_an_effect_are_rarely_significant() {
        let key = Key::new(3);
        let significant = (0..1_000_u64).filter(|trial| {
            let days = plan(date("2024-03-04"), 8, *trial);
            let used = |d: Date| {
                let at = u64::from(d.day_of_year().unsigned_abs());
                Some(50.0 + 10.0 * f64::from(d.weekday().to_monday_zero_offset()) + 4.0 * key.fold(*trial).normal(at))
            };
            analyse(&days, used, *trial).unwrap().p < 0.05
        });
        let share = significant.count() as f64 / 1_000.0;
        assert!((0.035..=0.065).contains(&share), "{share}");
    }
}
