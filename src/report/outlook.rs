//! What a twin without a control can tell: how accurate its forecasts are, and which inputs change its main signal.

use crate::scenario::results::{KpiResult, Results, Score, StepResponse};

use super::caveats::{gain, scores_at_horizon};
use super::duration::ahead;
use super::number::{self, with_unit};
use super::runs::completed;
use super::text::tag;

/// Maximum number of inputs that are named.
const MAX_INPUTS: usize = 2;

/// Sentences about the signal of the first KPI. If that signal is not learned, another learned signal is described.
pub fn sentences(results: &Results) -> Vec<String> {
    let scores = scores_at_horizon(results);
    let kpis: Vec<&KpiResult> = completed(results).flat_map(|s| &s.cases).flat_map(|c| &c.kpis).collect();
    let is_main = |s: &&&Score| kpis.iter().any(|k| k.signals.contains(&s.signal));
    let best = || scores.iter().max_by(|a, b| a.skill.total_cmp(&b.skill));
    let Some(score) = scores.iter().find(is_main).or_else(best) else { return Vec::new() };
    // in operation, the future values of the disturbances have to be forecast as well
    let with_forecasts = results.model.score_with_forecasts(&score.signal, score.horizon);
    let shown = with_forecasts.unwrap_or(score);
    let ahead = ahead(score.horizon, &results.model.step);
    let error = with_unit(&number::plain(shown.rmse, 2).text, &number::unit(&score.unit));
    let better = match gain(shown.skill) {
        Some(gain) => format!("{} less than “no change”", number::percent_text(gain)),
        None => "no better than “no change”".into(),
    };
    let mut out = vec![format!(
        "It forecasts {} {ahead} ahead with a typical error of {error} ({better}).",
        tag(&score.signal, 40)
    )];
    out.extend(inputs(results, score));
    out
}

/// The inputs that change the signal of `score` most within the forecast horizon, and by how much.
fn inputs(results: &Results, score: &Score) -> Option<String> {
    let at_horizon = |r: &StepResponse| {
        let hours = score.horizon as f64 * r.hours.get(1).zip(r.hours.first()).map_or(0.0, |(b, a)| b - a);
        let point = r.hours.iter().position(|h| *h >= hours).unwrap_or(r.hours.len().saturating_sub(1));
        r.mean.get(point).map(|gain| gain * r.step)
    };
    let all = results.model.responses.iter().filter(|r| r.signal == score.signal);
    let mut moving: Vec<(&StepResponse, f64)> =
        all.filter_map(|r| Some((r, at_horizon(r).filter(|change| change.is_finite() && *change != 0.0)?))).collect();
    moving.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let unit_of = |signal: &str| {
        let mut inputs = completed(results).flat_map(|s| &s.cases).flat_map(|c| &c.inputs);
        let unit = inputs.find(|i| i.signal == signal).map_or("", |i| i.unit.as_str());
        number::unit(unit)
    };
    let signed = |value: f64, unit: &str| {
        let sign = if value > 0.0 { "+" } else { "" };
        format!("{sign}{}", with_unit(&number::plain(value, 2).text, unit))
    };
    let described: Vec<String> = moving
        .iter()
        .take(MAX_INPUTS)
        .map(|(r, change)| {
            let step = signed(r.step, &unit_of(&r.control));
            format!("{step} of {} changes it by {}", tag(&r.control, 40), signed(*change, &number::unit(&score.unit)))
        })
        .collect();
    (!described.is_empty()).then(|| format!("In the model, {}.", described.join(", and ")))
}
