//! Forecasts of disturbances and set-points.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use super::autoregression::Autoregression;
use crate::config::{ForecastSpec, TimeSpan, TwinSpec};
use crate::rng::Key;
use crate::schema::Role;
use crate::stats::quantile_type_6;
use crate::trajectory::Trajectory;

/// Number of steps after which the models of the forecasts are fitted again (not tuned).
const REFIT: i64 = 32;
/// Maximum number of cached estimates. This limit bounds the memory use of long live runs.
const MOST_ESTIMATES: usize = 4096;
/// Number of most recent rows in which the errors of a forecast are computed, and maximum number of origins in these
/// rows (not tuned).
const ERROR_ROWS: usize = 1000;
const ERROR_ORIGINS: usize = 200;
/// Minimum number of past errors required to estimate their distribution (not tuned).
const LEAST_ERRORS: usize = 20;
/// Candidate season lengths, in days, for forecasts with the method `learned`.
const SEASONS_IN_DAYS: [i64; 2] = [1, 7];
const DAY_MS: i64 = 86_400_000;
/// Number of random permutations from which the permutation of a signal is chosen (not tuned).
const ORDERS: u64 = 32;

/// Quantities that are estimated from past values of one signal.
#[derive(Debug)]
struct Estimate {
    /// The fitted model; `None` if the forecast method needs no model, or if the history is too
    /// short.
    fit: Option<Autoregression>,
    /// Cumulative errors of past forecasts, see [`past_errors`].
    sums: OnceLock<Vec<Vec<f64>>>,
}

/// Cached estimates: (index of the signal, number of the estimate, horizon) → estimate.
type Estimates = BTreeMap<(usize, i64, usize), Arc<Estimate>>;

/// Forecasts of all disturbances and set-points, made at each step from the values known at that step.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The realised values of all signals, with one particle: the history, followed by the run.
    pub realised: Arc<Trajectory>,
    pub present: Present,
    /// (signal, forecast method).
    pub signals: Vec<(usize, ForecastSpec)>,
    /// Cached estimates. Each estimate depends only on values that were known when the estimate was
    /// computed.
    estimates: Arc<Mutex<Estimates>>,
}

/// Defines which row of the realised signals is the present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// At step `t`, row `history + t` is the present. Simulated runs use `AfterHistory`, because their realised
    /// signals already include the future.
    AfterHistory(usize),
    /// At step `t`, row `rows[t]` is the present. Simulated runs use `AtRows` if they skip gaps of
    /// the log and the realised signals still contain these gaps.
    AtRows(Arc<[usize]>),
    /// The present is always the newest row, as in live runs.
    NewestRow,
}

impl Forecast {
    /// Creates forecasts of all disturbances and set-points of the twin. Each forecast uses the
    /// method `all` if `all` is given, and the method in the twin's file otherwise. By default,
    /// disturbances are forecast from their past, and set-points persist. The method `perfect` in
    /// the twin's file takes precedence over `all`.
    pub fn new(spec: &TwinSpec, realised: Arc<Trajectory>, past: usize, all: Option<ForecastSpec>) -> Self {
        let method = |name: &str, role: Role| {
            let line = spec.signals.iter().find(|s| s.name.value == name);
            match (line.and_then(|s| s.forecast.as_ref()).map(|f| f.value), all) {
                (Some(ForecastSpec::Perfect), _) => ForecastSpec::Perfect,
                (_, Some(all)) => all,
                (Some(given), None) => given,
                (None, None) if role == Role::Disturbance => ForecastSpec::Learned,
                (None, None) => ForecastSpec::Persistence,
            }
        };
        let forecast = |s: &usize| matches!(realised.schema.signals[*s].role, Role::Disturbance | Role::Setpoint);
        let signals = (0..realised.schema.len())
            .filter(forecast)
            .map(|s| (s, method(&realised.schema.signals[s].name, realised.schema.signals[s].role)))
            .collect();
        Self { realised, present: Present::AfterHistory(past), signals, estimates: Arc::default() }
    }

    /// Same as [`Self::new`], but for a live run, in which the present is always the newest row.
    pub fn live(spec: &TwinSpec, realised: Arc<Trajectory>, all: Option<ForecastSpec>) -> Self {
        Self { present: Present::NewestRow, ..Self::new(spec, realised, 0, all) }
    }

    /// Returns forecasts with the same methods for other realised signals.
    pub fn with(self, realised: Arc<Trajectory>, present: Present) -> Self {
        Self { realised, present, signals: self.signals, estimates: Arc::default() }
    }

    /// A forecast of `signals` after `past` rows of history.
    #[cfg(test)]
    pub fn of(realised: Arc<Trajectory>, past: usize, signals: Vec<(usize, ForecastSpec)>) -> Self {
        Self { realised, present: Present::AfterHistory(past), signals, estimates: Arc::default() }
    }

    /// Columns of the signals with a perfect forecast.
    pub fn perfect(&self) -> impl Iterator<Item = usize> + '_ {
        self.signals.iter().filter(|(_, how)| *how == ForecastSpec::Perfect).map(|(s, _)| *s)
    }

    /// Writes to `out` the forecast of `signals[i]` for steps `t + 1 ..= t + out.len()` of the run, made at step `t`.
    ///
    /// A missing current value is replaced by the last known value. Only the method `perfect` reads values after step
    /// `t`. Beyond the end of the realised signals, `perfect` repeats the last value.
    pub fn fill(&self, i: usize, t: usize, out: &mut [f64]) {
        let last = self.realised.steps.saturating_sub(1);
        match &self.present {
            Present::AfterHistory(history) => self.fill_from(i, (history + t).min(last), out),
            Present::NewestRow => self.fill_from(i, last, out),
            Present::AtRows(rows) => {
                let now = row(rows, t);
                let mut all = vec![f64::NAN; row(rows, t + out.len()) - now];
                self.fill_from(i, now.min(last), &mut all);
                out.iter_mut().enumerate().for_each(|(h, o)| *o = all[row(rows, t + h + 1) - now - 1]);
            }
        }
    }

    /// The times of steps `t + 1 ..= t + steps` of the run if a gap of the log precedes one of these steps; otherwise
    /// empty.
    pub fn times(&self, t: usize, steps: usize) -> Vec<Timestamp> {
        let Present::AtRows(rows) = &self.present else { return Vec::new() };
        let now = row(rows, t);
        if row(rows, t + steps) - now == steps {
            return Vec::new();
        }
        let end = self.realised.steps;
        let after = |r: usize| {
            let later = TimeSpan::from_steps(r.saturating_sub(end), self.realised.step_ms).ms();
            let time = self.realised.time(r.min(end)).as_millisecond() + later;
            Timestamp::from_millisecond(time).unwrap_or(Timestamp::MAX)
        };
        (1..=steps).map(|h| after(row(rows, t + h))).collect()
    }

    /// The times of steps `t - 1, t - 2, …, t - steps` if there is a gap of the log between these
    /// steps and step `t`; otherwise empty. Steps before the start of the run have no gaps.
    pub fn times_before(&self, t: usize, steps: usize) -> Vec<Timestamp> {
        let Present::AtRows(rows) = &self.present else { return Vec::new() };
        let within = steps.min(t);
        if row(rows, t) - row(rows, t - within) == within {
            return Vec::new();
        }
        let first = self.realised.time(row(rows, 0)).as_millisecond();
        let before = |lag: usize| match t.checked_sub(lag) {
            Some(step) => self.realised.time(row(rows, step)),
            None => {
                let earlier = TimeSpan::from_steps(lag - t, self.realised.step_ms).ms();
                Timestamp::from_millisecond(first - earlier).unwrap_or(Timestamp::MIN)
            }
        };
        (1..=steps).map(before).collect()
    }

    /// Same as [`Self::fill`], but for the rows of the realised signals that follow row `now`.
    fn fill_from(&self, i: usize, now: usize, out: &mut [f64]) {
        let (signal, how) = self.signals[i];
        let column = &self.realised.columns[signal];
        let known = &column[..column.len().min(now + 1)];
        if how == ForecastSpec::Perfect {
            let mut value = persistence(known);
            for (h, o) in out.iter_mut().enumerate() {
                if let Some(v) = column.get(now + h + 1).filter(|v| v.is_finite()) {
                    value = *v;
                }
                *o = value;
            }
            return;
        }
        let (estimate, _) = self.estimate(i, now, out.len());
        predict(known, how, self.step(), estimate.fit.as_ref(), out);
    }

    /// Errors, in `count` futures, of the forecast of `signals[i]` made at step `t`:
    /// `[futures][horizon]`. In each future, the cumulative error follows one quantile of past
    /// cumulative errors over all steps. The quantiles are assigned to the futures in ascending
    /// order for the first signal, and in random order for all other signals. The result is empty
    /// if the method is `perfect`, if `count` is less than 2, or if the history is too short.
    pub fn errors(&self, i: usize, t: usize, horizon: usize, count: usize) -> Vec<Vec<f64>> {
        let (signal, how) = self.signals[i];
        if how == ForecastSpec::Perfect || count < 2 {
            return Vec::new();
        }
        let leads = self.leads(t, horizon);
        let rows = leads.last().copied().unwrap_or(0);
        let (estimate, end) = self.estimate(i, self.now(t), rows);
        let sums = estimate.sums.get_or_init(|| {
            past_errors(&self.realised.columns[signal][..=end], rows, &|known, out| {
                predict(known, how, self.step(), estimate.fit.as_ref(), out);
            })
        });
        if sums.iter().any(|column| column.len() < LEAST_ERRORS) {
            return Vec::new();
        }
        let path = |rank: usize| {
            let level = (rank as f64 + 0.5) / count as f64;
            let mut before = 0.0;
            let sums = leads.iter().map(|lead| quantile_type_6(&sums[lead - 1], level));
            sums.map(|sum| sum - std::mem::replace(&mut before, sum)).collect()
        };
        order(i, count).into_iter().map(path).collect()
    }

    fn step(&self) -> TimeSpan {
        TimeSpan::from_ms(self.realised.step_ms)
    }

    /// The row of the realised signals that represents the present at step `t`.
    fn now(&self, t: usize) -> usize {
        let last = self.realised.steps.saturating_sub(1);
        match &self.present {
            Present::AfterHistory(history) => (history + t).min(last),
            Present::AtRows(rows) => row(rows, t).min(last),
            Present::NewestRow => last,
        }
    }

    /// The distance in rows between the present row at step `t` and the row of each of the next
    /// `steps` steps.
    fn leads(&self, t: usize, steps: usize) -> Vec<usize> {
        match &self.present {
            Present::AtRows(rows) => (1..=steps).map(|h| row(rows, t + h) - row(rows, t)).collect(),
            Present::AfterHistory(_) | Present::NewestRow => (1..=steps).collect(),
        }
    }

    /// The estimated model that forecasts `signals[i]` up to `horizon` steps after row `now`, and the last row of the
    /// data from which the model was estimated. Estimates are renewed every `REFIT` steps.
    fn estimate(&self, i: usize, now: usize, horizon: usize) -> (Arc<Estimate>, usize) {
        let (signal, how) = self.signals[i];
        // The age of an estimate is computed from the time and not from the row, because rows are removed from the
        // start of live runs.
        let index = self.realised.time(now).as_millisecond().div_euclid(self.realised.step_ms.max(1));
        let end = now.saturating_sub(index.rem_euclid(REFIT) as usize);
        let key = (i, index.div_euclid(REFIT), horizon);
        let lock = || self.estimates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return (known.clone(), end);
        }
        let step = self.step();
        let seasons: Vec<Option<usize>> = match how {
            ForecastSpec::Seasonal(season) => vec![Some(season.steps(step, 1))],
            ForecastSpec::Learned => {
                let steps = |days: i64| TimeSpan::from_ms(days * DAY_MS).steps(step, 1);
                let seasons = SEASONS_IN_DAYS.iter().map(|days| steps(*days)).filter(|s| *s > 1);
                [None].into_iter().chain(seasons.map(Some)).collect()
            }
            ForecastSpec::Persistence | ForecastSpec::Perfect => Vec::new(),
        };
        let fit = Autoregression::fit(&self.realised.columns[signal][..=end], &seasons, horizon);
        let estimate = Arc::new(Estimate { fit, sums: OnceLock::new() });
        let mut estimates = lock();
        if estimates.len() > MOST_ESTIMATES {
            estimates.clear();
        }
        estimates.insert(key, estimate.clone());
        (estimate, end)
    }
}

/// The row of step `t` of a run. The steps after the end of the run are mapped to consecutive rows after its last row.
fn row(rows: &[usize], t: usize) -> usize {
    let last = rows.len().saturating_sub(1);
    rows.get(t).copied().unwrap_or_else(|| rows.get(last).map_or(t, |r| r + t - last))
}

/// Writes to `out` the forecast of the steps after the last value of `known`.
fn predict(known: &[f64], how: ForecastSpec, step: TimeSpan, fit: Option<&Autoregression>, out: &mut [f64]) {
    match (how, fit) {
        (_, Some(fit)) => fit.fill(known, out),
        (ForecastSpec::Seasonal(season), None) => return seasonal(known, season.steps(step, 1), out),
        _ => return out.fill(persistence(known)),
    }
    if out.iter().any(|v| !v.is_finite()) {
        out.fill(persistence(known));
    }
}

/// A permutation of the ranks `0..count` for signal `i`: ascending for the first signal, and random
/// for all other signals. Of [`ORDERS`] random permutations, the permutation with the lowest
/// correlation with the permutations of all earlier signals is chosen. Otherwise, the errors of
/// independent signals could appear correlated if there are few futures.
fn order(i: usize, count: usize) -> Vec<usize> {
    let ascending: Vec<usize> = (0..count).collect();
    let mut orders = vec![ascending.clone()];
    let middle = (count as f64 - 1.0) / 2.0;
    let correlation = |a: &[usize], b: &[usize]| {
        a.iter().zip(b).map(|(a, b)| (*a as f64 - middle) * (*b as f64 - middle)).sum::<f64>().abs()
    };
    for signal in 1..=i {
        let shuffled = (0..ORDERS).map(|attempt| {
            let key = Key::new(signal as u64).fold(attempt);
            let mut ranks = ascending.clone();
            (1..count).rev().for_each(|k| ranks.swap(k, key.below(k as u64, k + 1)));
            ranks
        });
        let worst = |ranks: &Vec<usize>| orders.iter().map(|o| correlation(o, ranks)).fold(0.0, f64::max);
        let best = shuffled.min_by(|a, b| worst(a).total_cmp(&worst(b)));
        orders.extend(best);
    }
    orders.swap_remove(i)
}

/// Cumulative errors of past forecasts up to each lead, sorted in ascending order:
/// `[horizon][origins]`.
fn past_errors(known: &[f64], horizon: usize, predict: &dyn Fn(&[f64], &mut [f64])) -> Vec<Vec<f64>> {
    let mut sums = vec![Vec::new(); horizon];
    let first = known.len().saturating_sub(ERROR_ROWS).max(known.len() / 2);
    let stride = (known.len() - first).div_ceil(ERROR_ORIGINS).max(1);
    let mut out = vec![0.0; horizon];
    for now in (first..known.len().saturating_sub(1)).rev().step_by(stride) {
        predict(&known[..=now], &mut out);
        let mut sum = 0.0;
        for (h, (value, sums)) in (1..).zip(out.iter().zip(&mut sums)) {
            // Missing values, for example in a gap of the log, contribute no error.
            let Some(actual) = known.get(now + h) else { break };
            sum += Some(actual - value).filter(|e| e.is_finite()).unwrap_or(0.0);
            sums.push(sum);
        }
    }
    sums.iter_mut().for_each(|s| s.sort_by(f64::total_cmp));
    sums
}

/// The last known value; NaN if no value is known.
fn persistence(known: &[f64]) -> f64 {
    known.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN)
}

/// Seasonal forecast for a history that is too short to fit a model: the value at the same time in
/// the latest season, plus a correction. The correction is initially the current value minus the
/// value one season ago, and fades linearly to zero over one season. A missing value is replaced by
/// the value one season earlier. Without a full season of history, the forecast repeats the last
/// known value.
fn seasonal(known: &[f64], season: usize, out: &mut [f64]) {
    let back = |at: usize| (0..=at).rev().step_by(season).map(|k| known[k]).find(|v| v.is_finite());
    let present = known.iter().rposition(|v| v.is_finite());
    let Some((today, before)) = present.and_then(|now| Some((known[now], back(now.checked_sub(season)?)?))) else {
        return out.fill(persistence(known));
    };
    let now = known.len() - 1;
    for (h, o) in (1..).zip(out) {
        let seasons = usize::div_ceil(h, season);
        let base = (now + h).checked_sub(seasons * season).and_then(back);
        let fade = (1.0 - h as f64 / season as f64).max(0.0);
        *o = base.map_or(today, |base| base + (today - before) * fade);
    }
}

#[cfg(test)]
#[path = "../../tests/unit/control/forecast.rs"]
mod tests;
