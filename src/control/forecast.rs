//! Forecasts of disturbances and set-points.

use std::sync::Arc;

use crate::config::{ForecastSpec, TimeSpan, TwinSpec};
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// Forecasts of all disturbances and set-points, made at each step from the values known at that step.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The realised signals of the run, preceded by its history; 1 particle.
    pub realised: Arc<Trajectory>,
    pub present: Present,
    /// (signal, forecast method).
    pub signals: Vec<(usize, ForecastSpec)>,
}

/// Which row of the realised signals is the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Row `history + t` at step `t` of the run, for a run whose future is already realised.
    AfterHistory(usize),
    /// The newest row at every step, for a live run.
    NewestRow,
}

impl Forecast {
    /// Forecasts of all disturbances and set-points of the twin, by the methods in its file (default: persistence), or all
    /// by the method `all`. Signals with a `perfect` forecast in the file always keep it.
    pub fn new(spec: &TwinSpec, realised: Arc<Trajectory>, past: usize, all: Option<ForecastSpec>) -> Self {
        let method = |name: &str| {
            let line = spec.signals.iter().find(|s| s.name.value == name);
            match (line.and_then(|s| s.forecast.as_ref()).map(|f| f.value), all) {
                (Some(ForecastSpec::Perfect), _) => ForecastSpec::Perfect,
                (_, Some(all)) => all,
                (given, None) => given.unwrap_or(ForecastSpec::Persistence),
            }
        };
        let forecast = |s: &usize| matches!(realised.schema.signals[*s].role, Role::Disturbance | Role::Setpoint);
        let signals = (0..realised.schema.len())
            .filter(forecast)
            .map(|s| (s, method(&realised.schema.signals[s].name)))
            .collect();
        Self { realised, present: Present::AfterHistory(past), signals }
    }

    /// As [`Self::new`], for a live run whose present is always the newest row.
    pub fn live(spec: &TwinSpec, realised: Arc<Trajectory>, all: Option<ForecastSpec>) -> Self {
        Self { present: Present::NewestRow, ..Self::new(spec, realised, 0, all) }
    }

    /// Columns with a perfect forecast.
    pub fn perfect(&self) -> impl Iterator<Item = usize> + '_ {
        self.signals.iter().filter(|(_, how)| *how == ForecastSpec::Perfect).map(|(s, _)| *s)
    }

    /// Values of forecast signal number `i` for steps `t + 1 ..= t + out.len()` of the run, made at step `t`.
    ///
    /// A missing current value is replaced by the last known one. Only `perfect` reads beyond step `t`; after the end of the
    /// realised signals it holds the last value.
    pub fn fill(&self, i: usize, t: usize, out: &mut [f64]) {
        let (signal, how) = self.signals[i];
        let column = &self.realised.columns[signal];
        let last = column.len().saturating_sub(1);
        let now = match self.present {
            Present::AfterHistory(history) => (history + t).min(last),
            Present::NewestRow => last,
        };
        let known = &column[..column.len().min(now + 1)];
        match how {
            ForecastSpec::Persistence => out.fill(persistence(known)),
            ForecastSpec::Seasonal(season) => {
                seasonal(known, season.steps(TimeSpan::from_ms(self.realised.step_ms), 1), out);
            }
            ForecastSpec::Perfect => {
                let mut value = persistence(known);
                for (h, o) in out.iter_mut().enumerate() {
                    if let Some(v) = column.get(now + h + 1).filter(|v| v.is_finite()) {
                        value = *v;
                    }
                    *o = value;
                }
            }
        }
    }
}

/// The last known value; NaN if there is none.
fn persistence(known: &[f64]) -> f64 {
    known.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN)
}

/// The value one season before the target, plus the current difference to one season ago, which fades linearly to zero over
/// one season. A missing value is replaced by the one a season earlier. Without a season of history: persistence.
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
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::schema::{Schema, Signal};
    use crate::units::Unit;

    fn forecast(values: Vec<f64>, past: usize, how: ForecastSpec) -> Forecast {
        let signal = Signal::open("load", Role::Disturbance, Unit::one());
        let schema = Arc::new(Schema::new(vec![signal]));
        let mut realised = Trajectory::empty(schema, Timestamp::UNIX_EPOCH, 3_600_000, values.len(), 1);
        realised.columns[0] = values;
        Forecast { realised: Arc::new(realised), present: Present::AfterHistory(past), signals: vec![(0, how)] }
    }

    fn seasonal_of(hours: i64) -> ForecastSpec {
        ForecastSpec::Seasonal(TimeSpan::from_ms(hours * 3_600_000))
    }

    fn forecast_values(f: &Forecast, t: usize, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        f.fill(0, t, &mut out);
        out
    }

    #[test]
    fn persistence_keeps_the_last_known_value() {
        assert_eq!(
            forecast_values(&forecast(vec![1.0, 2.0, f64::NAN, 9.0], 2, ForecastSpec::Persistence), 0, 3),
            [2.0; 3]
        );
    }

    #[test]
    fn the_seasonal_forecast_adds_a_fading_difference() {
        // Season of 4; at step 4 the load is 8 above the step a season ago.
        let f = forecast(vec![0.0, 10.0, 20.0, 30.0, 8.0, -1.0, -1.0], 4, seasonal_of(4));
        assert_eq!(forecast_values(&f, 0, 6), [16.0, 24.0, 32.0, 8.0, 10.0, 20.0]);
        // A missing value is replaced by the one a season earlier.
        let f = forecast(vec![1.0, 2.0, 1.0, f64::NAN, 1.0], 4, seasonal_of(2));
        assert_eq!(forecast_values(&f, 0, 2), [2.0, 1.0]);
        // No season of history.
        assert_eq!(forecast_values(&forecast(vec![3.0, 4.0], 1, seasonal_of(4)), 0, 2), [4.0, 4.0]);
    }

    #[test]
    fn the_perfect_forecast_is_the_future_and_then_holds_the_last_value() {
        let f = forecast(vec![1.0, 2.0, 3.0, f64::NAN, 5.0], 0, ForecastSpec::Perfect);
        assert_eq!(forecast_values(&f, 1, 5), [3.0, 3.0, 5.0, 5.0, 5.0]);
    }

    proptest! {
        #[test]
        fn only_the_perfect_forecast_depends_on_the_future(
            values in prop::collection::vec(prop_oneof![9 => -5.0..5.0, 1 => Just(f64::NAN)], 12..60),
            noise in prop::collection::vec(-9.0..9.0, 60),
            past in 0_usize..8,
            t in 0_usize..8,
            season in 1_i64..9,
        ) {
            let now = (past + t).min(values.len() - 1);
            let mut other = values.clone();
            for (v, n) in other.iter_mut().zip(&noise).skip(now + 1) {
                *v = *n;
            }
            for how in [ForecastSpec::Persistence, seasonal_of(season)] {
                let bits = |v: &[f64]| -> Vec<u64> {
                    forecast_values(&forecast(v.to_vec(), past, how), t, 20).iter().map(|x| x.to_bits()).collect()
                };
                prop_assert_eq!(bits(&values), bits(&other));
            }
        }
    }
}
