//! Statistics of the savings promised in one test cell, and the criteria for passing the test.

use crate::cell::Cell;
use crate::project::{Answer, Promise};

/// Permitted range of the coverage of 90 % intervals.
const COVERAGE: [f64; 2] = [0.85, 0.95];
/// Largest permitted fraction of runs with the answer "Do" if the control has no effect, or if the change costs money.
const FALSE_DO: f64 = 0.025;
/// Permitted range of the median of promised / true saving.
const RATIO: [f64; 2] = [0.95, 1.05];
/// Minimum fraction of runs in which an effect of at least [`STANDARD_ERRORS`] standard errors is found.
const POWER: f64 = 0.8;
const STANDARD_ERRORS: f64 = 3.0;
/// A cell fails if the probability that its values are due to chance is lower than this.
const SIGNIFICANCE: f64 = 0.05;

/// Whether a criterion is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passes,
    /// The value is outside the permitted range, but this may be due to chance with this number of seeds.
    Undecided,
    Fails,
}

/// A criterion of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub criterion: &'static str,
    pub outcome: Outcome,
}

/// The promises of a cell, one per seed.
#[derive(Debug, Clone)]
pub struct Score {
    pub cell: Cell,
    pub promises: Vec<Promise>,
    /// Reasons why runs did not complete.
    pub failures: Vec<String>,
}

impl Score {
    pub fn new(cell: Cell, runs: Vec<Result<Promise, String>>) -> Self {
        let mut score = Self { cell, promises: Vec::new(), failures: Vec::new() };
        for run in runs {
            match run {
                Ok(promise) => score.promises.push(promise),
                Err(why) => score.failures.push(why),
            }
        }
        score
    }

    fn count(&self, of: impl Fn(&Promise) -> bool) -> usize {
        self.promises.iter().filter(|p| of(p)).count()
    }

    /// The fraction of promises for which `of` returns true.
    fn share(&self, of: impl Fn(&Promise) -> bool) -> f64 {
        self.count(of) as f64 / self.promises.len() as f64
    }

    pub fn coverage(&self) -> f64 {
        self.share(Promise::covers)
    }

    /// Binomial standard error of the coverage.
    pub fn coverage_error(&self) -> f64 {
        let p = self.coverage();
        (p * (1.0 - p) / self.promises.len() as f64).sqrt()
    }

    pub fn answers(&self, answer: Answer) -> f64 {
        self.share(|p| p.answer == answer)
    }

    fn mean(&self, of: impl Fn(&Promise) -> f64) -> f64 {
        self.promises.iter().map(of).sum::<f64>() / self.promises.len() as f64
    }

    pub fn true_saving(&self) -> f64 {
        self.mean(|p| p.truth)
    }

    /// Mean half width of the 90 % intervals.
    pub fn half_width(&self) -> f64 {
        self.mean(|p| (p.high - p.low) / 2.0)
    }

    /// Standard deviation of the promised minus the true saving; `None` if there are fewer than two promises.
    pub fn error_sd(&self) -> Option<f64> {
        let error = |p: &Promise| p.saving - p.truth;
        let mean = self.mean(error);
        let n = self.promises.len() as f64;
        let squares: f64 = self.promises.iter().map(|p| (error(p) - mean).powi(2)).sum();
        (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())
    }

    /// Ratios of promised to true savings, in ascending order; `None` if the true saving is zero or if there are no
    /// promises.
    fn ratios(&self) -> Option<Vec<f64>> {
        let mut ratios: Vec<f64> = self.promises.iter().map(|p| p.saving / p.truth).collect();
        ratios.sort_by(f64::total_cmp);
        (!self.cell.is_placebo() && !ratios.is_empty()).then_some(ratios)
    }

    /// Median of promised / true saving; `None` if the true saving is zero.
    pub fn ratio(&self) -> Option<f64> {
        self.ratios().map(|r| (r[(r.len() - 1) / 2] + r[r.len() / 2]) / 2.0)
    }

    /// The fraction of runs that find the effect. `None` if the log does not identify the effect, or if the true saving
    /// is less than three times the standard deviation of promised minus true saving.
    pub fn power(&self) -> Option<f64> {
        self.has_a_large_effect().then(|| self.share(found))
    }

    fn has_a_large_effect(&self) -> bool {
        let large = |sd: f64| self.true_saving().abs() >= STANDARD_ERRORS * sd;
        self.cell.movement.identifies() && self.error_sd().is_some_and(large)
    }

    /// The criteria that apply to the cell.
    pub fn checks(&self) -> Vec<Check> {
        let n = self.promises.len();
        let mut checks = Vec::new();
        let mut add = |criterion, outcome| checks.push(Check { criterion, outcome });
        if !self.failures.is_empty() || n == 0 {
            add("all runs complete", Outcome::Fails);
        }
        if n == 0 {
            return checks;
        }
        if !self.cell.movement.identifies() {
            let advised = self.count(|p| matches!(p.answer, Answer::Do | Answer::Try));
            add("no Do or Try", if advised == 0 { Outcome::Passes } else { Outcome::Fails });
            return checks;
        }
        let covered = self.count(Promise::covers);
        add("coverage 85–95 %", within(covered, n, COVERAGE));
        if self.true_saving() <= 0.0 {
            add("Do ≤ 2.5 %", within(self.count(|p| p.answer == Answer::Do), n, [0.0, FALSE_DO]));
        }
        if let Some(ratios) = self.ratios() {
            add("ratio 0.95–1.05", median_within(&ratios, RATIO));
        }
        if self.has_a_large_effect() {
            add("power ≥ 80 %", within(self.count(found), n, [POWER, 1.0]));
        }
        checks
    }

    pub fn outcome(&self) -> Outcome {
        let outcomes: Vec<Outcome> = self.checks().iter().map(|c| c.outcome).collect();
        let worst = [Outcome::Fails, Outcome::Undecided].into_iter().find(|o| outcomes.contains(o));
        worst.unwrap_or(Outcome::Passes)
    }
}

/// Whether a promise finds an effect: all values in the interval have the correct sign, and the report recommends a
/// change if it saves and advises against it otherwise.
fn found(promise: &Promise) -> bool {
    let said = match promise.truth > 0.0 {
        true => matches!(promise.answer, Answer::Do | Answer::Try),
        false => promise.answer == Answer::Dont,
    };
    promise.finds_the_sign() && said
}

/// Compares `k` of `n` with a range of probabilities. The outcome is undecided if `k` / `n` is outside the range, but
/// not significantly so (one-sided exact binomial test).
fn within(k: usize, n: usize, [low, high]: [f64; 2]) -> Outcome {
    let share = k as f64 / n as f64;
    let chance = if share < low {
        at_most(k, n, low)
    } else if share > high {
        1.0 - k.checked_sub(1).map_or(0.0, |k| at_most(k, n, high))
    } else {
        return Outcome::Passes;
    };
    if chance < SIGNIFICANCE { Outcome::Fails } else { Outcome::Undecided }
}

/// Compares the median of sorted values with a range. The outcome is undecided if the median is outside the range, but
/// not significantly so (one-sided sign test).
fn median_within(sorted: &[f64], [low, high]: [f64; 2]) -> Outcome {
    let n = sorted.len();
    let median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    if (low..=high).contains(&median) {
        return Outcome::Passes;
    }
    let inside = if median < low {
        sorted.iter().filter(|r| **r >= low).count()
    } else {
        sorted.iter().filter(|r| **r <= high).count()
    };
    if at_most(inside, n, 0.5) < SIGNIFICANCE { Outcome::Fails } else { Outcome::Undecided }
}

/// Probability that a binomial variable with `n` trials of probability `p` is at most `k`.
fn at_most(k: usize, n: usize, p: f64) -> f64 {
    let log_choose = |k: usize| (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum::<f64>();
    let term = |i: usize| (log_choose(i) + i as f64 * p.ln() + (n - i) as f64 * (1.0 - p).ln()).exp();
    (0..=k).map(term).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::movement::Movement;
    use crate::plant::Plant;

    fn score(movement: Movement, effect: f64, promises: Vec<Promise>) -> Score {
        Score { cell: Cell::new(Plant::Static, movement, effect), promises, failures: Vec::new() }
    }

    /// Promises for a true saving of 10, with the errors −1, 0 and 1 in turn.
    fn promises(n: usize, half_width: f64, answer: Answer) -> Vec<Promise> {
        let promise = |i: usize| {
            let saving = 9.0 + (i % 3) as f64;
            let (low, high) = (saving - half_width, saving + half_width);
            Promise { saving, low, high, answer, level: "identified".into(), model: "linear".into(), truth: 10.0 }
        };
        (0..n).map(promise).collect()
    }

    fn outcome(score: &Score, criterion: &str) -> Option<Outcome> {
        score.checks().iter().find(|c| c.criterion == criterion).map(|c| c.outcome)
    }

    #[test]
    fn binomial_probabilities_have_known_values() {
        assert!((at_most(2, 4, 0.5) - 11.0 / 16.0).abs() < 1e-12);
        assert!((at_most(16, 20, 0.9) - 0.132_953_3).abs() < 1e-6);
        assert_eq!(within(18, 20, COVERAGE), Outcome::Passes);
        assert_eq!(within(15, 20, COVERAGE), Outcome::Undecided);
        assert_eq!(within(13, 20, COVERAGE), Outcome::Fails);
        // With 200 seeds, but not with 20 seeds, full coverage is evidence that the intervals are too wide.
        assert_eq!([within(20, 20, COVERAGE), within(200, 200, COVERAGE)], [Outcome::Undecided, Outcome::Fails]);
        assert_eq!([within(2, 20, [0.0, 0.025]), within(3, 20, [0.0, 0.025])], [Outcome::Undecided, Outcome::Fails]);
    }

    #[test]
    fn narrow_intervals_and_biased_savings_fail() {
        let narrow = score(Movement::Hand, -60.0, promises(30, 0.5, Answer::Do));
        assert!((narrow.coverage() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(outcome(&narrow, "coverage 85–95 %"), Some(Outcome::Fails));
        assert_eq!(outcome(&narrow, "ratio 0.95–1.05"), Some(Outcome::Passes));
        assert_eq!((narrow.power(), narrow.outcome()), (Some(1.0), Outcome::Fails));
        let mut biased = promises(30, 5.0, Answer::Do);
        biased.iter_mut().for_each(|p| p.saving *= 1.3);
        assert_eq!(outcome(&score(Movement::Hand, -60.0, biased), "ratio 0.95–1.05"), Some(Outcome::Fails));
    }

    #[test]
    fn one_advice_on_an_unidentified_control_fails() {
        let mut promises = promises(30, 5.0, Answer::Unknown);
        assert_eq!(score(Movement::Weather, 0.0, promises.clone()).outcome(), Outcome::Passes);
        promises[7].answer = Answer::Try;
        assert_eq!(score(Movement::Weather, 0.0, promises).outcome(), Outcome::Fails);
    }

    #[test]
    fn an_effect_counts_as_found_only_if_the_report_says_so() {
        let missed = score(Movement::Hand, -60.0, promises(30, 5.0, Answer::Dont));
        assert_eq!((missed.power(), outcome(&missed, "power ≥ 80 %")), (Some(0.0), Some(Outcome::Fails)));
        let blurred = score(Movement::Hand, -60.0, promises(30, 20.0, Answer::Do));
        assert_eq!(blurred.power(), Some(0.0));
    }

    #[test]
    fn runs_that_do_not_complete_fail() {
        let failed = Score::new(Cell::new(Plant::Static, Movement::Hand, 0.0), vec![Err("no report".into())]);
        assert_eq!((failed.outcome(), failed.failures.len()), (Outcome::Fails, 1));
    }
}
