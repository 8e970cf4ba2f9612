//! Comparison of the forecast methods declared in a twin with forecasts learned from past values.

use std::ops::Range;
use std::sync::Arc;

use super::Forecast;
use crate::config::{ForecastSpec, TwinSpec};
use crate::trajectory::Trajectory;

/// Approximate number of forecasts from which an error is computed; fewer than twice this number
/// are used (not tuned).
const ORIGINS: usize = 200;
/// A declared forecast is reported if its error exceeds the error of the learned forecast by more
/// than this factor (not tuned).
const WORSE: f64 = 1.1;

/// Compares the declared forecast of each signal with a learned forecast on the rows `tested` of
/// `log`, up to `horizon` steps ahead. Returns one sentence for each signal for which the declared
/// forecast is clearly worse. Each forecast uses only earlier rows.
pub fn worse_forecasts(spec: &TwinSpec, log: &Trajectory, tested: &[Range<usize>], horizon: usize) -> Vec<String> {
    let log = Arc::new(log.clone());
    let declared = Forecast::new(spec, log.clone(), 0, None);
    let mut learned = Forecast::new(spec, log.clone(), 0, None);
    learned.signals.iter_mut().for_each(|(_, how)| *how = ForecastSpec::Learned);
    let sentence = |(i, &(signal, how)): (usize, &(usize, ForecastSpec))| {
        let name = &log.schema.signals[signal].name;
        let line = spec.signals.iter().find(|s| s.name.value == *name)?;
        line.forecast.as_ref().filter(|_| !matches!(how, ForecastSpec::Perfect | ForecastSpec::Learned))?;
        let [own, other] = [&declared, &learned].map(|f| error(f, i, tested, horizon));
        let (own, other) = (own?, other?);
        (own > WORSE * other).then(|| {
            format!(
                "The forecast of `{name}` has a root-mean-square error of {own:.4} over the control horizon, but a \
                 forecast learned from past values has an error of {other:.4}. Write `forecast = \"learned\"`"
            )
        })
    };
    declared.signals.iter().enumerate().filter_map(sentence).collect()
}

/// The root-mean-square error of the forecast of `forecast.signals[i]`; `None` if no error can be
/// computed.
fn error(forecast: &Forecast, i: usize, tested: &[Range<usize>], horizon: usize) -> Option<f64> {
    let column = &forecast.realised.columns[forecast.signals[i].0];
    let rows: usize = tested.iter().map(Range::len).sum();
    let (mut out, mut sum, mut count) = (vec![0.0; horizon], 0.0, 0_usize);
    for now in tested.iter().flat_map(Clone::clone).step_by((rows / ORIGINS).max(1)) {
        forecast.fill(i, now, &mut out);
        let errors = column.iter().skip(now + 1).zip(&out).map(|(v, f)| (v - f).powi(2)).filter(|e| e.is_finite());
        errors.for_each(|e| (sum, count) = (sum + e, count + 1));
    }
    (count > 0).then(|| (sum / count as f64).sqrt())
}
