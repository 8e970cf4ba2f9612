//! Summaries of simulated trajectories for the report.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::plant::Plant;
use super::results::{ControlUse, EndContent, KpiResult, LimitKind, LimitUse, Setting, SupportShare, Trend};
use super::setting;
use super::stop::stop_rule;
use crate::schema::{Bounds, Role};
use crate::stats::mean_or_zero;
use crate::trajectory::Trajectory;
use crate::twin::Dynamics;
use crate::twin::Support;
use crate::value::{Difference, Estimate, Kpi};

/// Maximum number of points in a trend chart: two per pixel at a width of 300 pixels (not tuned).
const TREND_POINTS: usize = 600;

/// Smallest reported difference between the contents of a store, relative to the range of the contents (not tuned).
const MIN_DIFFERENCE: f64 = 0.05;

fn finite(v: f64) -> Option<f64> {
    v.is_finite().then_some(v)
}

/// The final contents of those `stores` for which two runs differ by more than [`MIN_DIFFERENCE`]
/// of the range of the contents in both runs. `values` are the values of one unit in a store
/// according to the plans of each case.
pub fn end_contents(
    stores: &[usize],
    values: &[(usize, f64)],
    case: &Trajectory,
    baseline: &Trajectory,
) -> Vec<EndContent> {
    let end = |t: &Trajectory, s: usize| t.steps.checked_sub(1).map(|last| mean_or_zero(t.at(s, last)));
    let value = |s: usize| {
        let of_store: Vec<f64> = values.iter().filter(|v| v.0 == s).map(|v| v.1).collect();
        (!of_store.is_empty()).then(|| mean_or_zero(&of_store))
    };
    let content = |&s: &usize| {
        let (own, before) = (end(case, s)?, end(baseline, s)?);
        let values = || case.columns[s].iter().chain(&baseline.columns[s]).copied().filter(|v| v.is_finite());
        let range = values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min);
        let signal = &case.schema.signals[s];
        ((own - before).abs() > MIN_DIFFERENCE * range).then(|| EndContent {
            signal: signal.name.clone(),
            unit: signal.unit.text.clone(),
            case: own,
            baseline: before,
            worth: value(s).map(|value| value * (own - before)),
        })
    };
    stores.iter().filter_map(content).collect()
}

/// Prepares `values` for JSON, which has no NaN: entries that are not finite become `None`.
pub fn finite_values(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(finite).collect()
}

/// Summarises the `values` of `kpi` over particles, and their differences from the `baseline`. The twin has `members`
/// ensemble members, and particles of the same member have the same model error.
pub fn kpi(plant: &Plant, kpi: &Kpi, values: &[f64], baseline: Option<&[f64]>, members: usize) -> KpiResult {
    let read = kpi.reads();
    let sources = plant.twin.sources(&read);
    let names = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        plant.schema.names().enumerate().filter(|(i, _)| wanted(*i)).map(|(_, n)| n.to_owned()).collect()
    };
    KpiResult {
        name: kpi.name.clone(),
        kind: kpi.kind(),
        signals: names(&|i| read.contains(&i)),
        sources: names(&|i| sources.contains(&i) && !read.contains(&i)),
        unit: kpi.unit.text.clone(),
        formula: kpi.formula.clone(),
        price: plant.spec.value.objective.get(&kpi.name).map(|p| p.value),
        value: Estimate::over(values),
        change: baseline.map(|baseline| Difference::paired_among(values, baseline, members)),
        samples: finite_values(values),
        ratio: None,
    }
}

/// Median of `signal` over particles at every step.
fn medians(t: &Trajectory, signal: usize) -> Vec<f64> {
    (0..t.steps).map(|k| Estimate::over(t.at(signal, k)).p50).collect()
}

/// Root mean square of the difference between two runs, computed over all steps and particles.
fn rms_difference(t: &Trajectory, baseline: &Trajectory, signal: usize) -> f64 {
    let pairs = (0..t.steps).flat_map(|k| t.at(signal, k).iter().zip(baseline.at(signal, k)));
    let (sum, n) = pairs.fold((0.0, 0usize), |(sum, n), (a, b)| (sum + (a - b).powi(2), n + 1));
    (sum / n.max(1) as f64).sqrt()
}

/// Statistics of every control, compared with the baseline. `setting` returns the source of the values of a control,
/// and `zone` is the time zone of the plant; `None` if the time of day is unknown.
pub fn controls(
    t: &Trajectory,
    baseline: &Trajectory,
    setting: &dyn Fn(usize) -> Setting,
    zone: Option<&TimeZone>,
) -> Vec<ControlUse> {
    let uses = t.schema.with_role(Role::Control).into_iter().map(|i| {
        let signal = &t.schema.signals[i];
        let path = medians(t, i);
        let size = path.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        ControlUse {
            signal: signal.name.clone(),
            unit: signal.unit.text.clone(),
            mean: mean_or_zero(&path),
            min: path.iter().copied().fold(f64::INFINITY, f64::min),
            max: path.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            baseline_mean: mean_or_zero(&medians(baseline, i)),
            rms_difference: Some(rms_difference(t, baseline, i)),
            low: finite(signal.hard.low),
            high: finite(signal.hard.high),
            max_move: finite(signal.max_move.up.min(signal.max_move.down)),
            typical: setting::typical(t, i),
            by_hour: zone
                .filter(|_| !matches!(setting(i), Setting::Held { .. }))
                .map_or_else(Vec::new, |zone| setting::by_hour(t, i, zone)),
            first_orders: if setting::is_order(signal) { setting::first_orders(t, i) } else { Vec::new() },
            setting: setting(i),
            moves: path.windows(2).filter(|w| (w[1] - w[0]).abs() > 1e-9 * size).count(),
        }
    });
    uses.collect()
}

/// Every limit on a state, output, derived signal or control with at least one known value, and how often the limit is
/// violated. Missing values are left out.
pub fn limits(t: &Trajectory) -> Vec<LimitUse> {
    limits_and_rules(t, false)
}

/// Like [`limits`], but with the stop rules of a case.
pub fn limits_of_case(t: &Trajectory) -> Vec<LimitUse> {
    limits_and_rules(t, true)
}

fn limits_and_rules(t: &Trajectory, stop: bool) -> Vec<LimitUse> {
    let mut uses = Vec::new();
    for (i, signal) in t.schema.signals.iter().enumerate() {
        let without_limits = matches!(signal.role, Role::Disturbance | Role::Setpoint);
        if without_limits || !t.columns[i].iter().any(|v| v.is_finite()) {
            continue;
        }
        for (kind, range) in [(LimitKind::Hard, signal.hard), (LimitKind::Soft, signal.soft)] {
            if range != Bounds::OPEN {
                let ends = [(range.low, false), (range.high, true)].into_iter().filter(|(v, _)| stop && v.is_finite());
                let stop = ends.map(|(bound, above)| stop_rule(t, i, bound, above)).collect();
                uses.push(LimitUse { stop, ..limit_use(t, i, kind, range) });
            }
        }
    }
    uses
}

fn limit_use(t: &Trajectory, i: usize, kind: LimitKind, range: Bounds) -> LimitUse {
    let signal = &t.schema.signals[i];
    // Exceeding a limit by at most a rounding error is not a violation.
    let slack = 1e-9 * [range.low, range.high].iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
    let mut violates = vec![false; t.particles];
    let (mut known, mut beyond, mut worst, mut when) = (0usize, 0usize, 0.0f64, None);
    for k in 0..t.steps {
        for (p, v) in t.at(i, k).iter().enumerate().filter(|(_, v)| v.is_finite()) {
            known += 1;
            let excess = range.excess(*v);
            if excess > slack {
                beyond += 1;
                violates[p] = true;
                if excess > worst {
                    (worst, when) = (excess, Some(t.time(k).to_string()));
                }
            }
        }
    }
    LimitUse {
        signal: signal.name.clone(),
        unit: signal.unit.text.clone(),
        kind,
        low: finite(range.low),
        high: finite(range.high),
        share_beyond: beyond as f64 / known.max(1) as f64,
        chance: violates.iter().filter(|v| **v).count() as f64 / t.particles.max(1) as f64,
        near_setting: None,
        worst,
        worst_time: when,
        stop: Vec::new(),
    }
}

/// The fraction of the elements of `labels` that have each label.
pub fn support(labels: &[Support]) -> SupportShare {
    let share = |label: Support| labels.iter().filter(|l| **l == label).count() as f64 / labels.len().max(1) as f64;
    SupportShare { inside: share(Support::Inside), edge: share(Support::Edge), outside: share(Support::Outside) }
}

/// The saving in the steps with each label, added up over all particles. `after` and `before` contain the cost of each
/// step in the case and in the baseline: `[steps × particles]`. Steps with missing values are left out. `None` if the
/// cost is not a sum over steps.
pub fn saving_support(labels: &[Support], after: Option<&Vec<f64>>, before: Option<&Vec<f64>>) -> Option<SupportShare> {
    let (after, before) = after.zip(before)?;
    let saved = |label: Support| {
        let steps = labels.iter().zip(after.iter().zip(before)).filter(|(l, _)| **l == label);
        steps.map(|(_, (after, before))| before - after).filter(|v| v.is_finite()).sum::<f64>()
    };
    Some(SupportShare { inside: saved(Support::Inside), edge: saved(Support::Edge), outside: saved(Support::Outside) })
}

/// Quantiles of every signal over particles. A long run is thinned by dividing it into intervals and keeping only the
/// lowest and the highest value in each interval.
///
/// Hours are counted from `start`, the start of the scenario, because a run can leave out gaps of
/// the log, even at its start.
pub fn trends(t: &Trajectory, start: Timestamp) -> Vec<Trend> {
    let start = start.as_millisecond();
    let hours = |k: usize| (t.time(k).as_millisecond() - start) as f64 / 3.6e6;
    let trends = t.schema.signals.iter().enumerate().map(|(i, signal)| {
        let quantiles: Vec<_> = (0..t.steps).map(|k| Estimate::over(t.at(i, k))).collect();
        let keep = thinned(&quantiles.iter().map(|e| e.p50).collect::<Vec<_>>());
        let pick = |f: fn(&Estimate) -> f64| keep.iter().map(|&k| f(&quantiles[k])).collect::<Vec<_>>();
        Trend {
            signal: signal.name.clone(),
            unit: signal.unit.text.clone(),
            role: signal.role,
            hours: keep.iter().map(|&k| hours(k)).collect(),
            p10: pick(|e| e.p10),
            p50: pick(|e| e.p50),
            p90: pick(|e| e.p90),
        }
    });
    // A signal with missing values is left out, because JSON has no NaN.
    trends.filter(|t| t.p50.iter().chain(&t.p10).chain(&t.p90).all(|v| v.is_finite())).collect()
}

/// Steps of a run that are kept in a chart, in ascending order. All steps of a short run are kept. A long run is
/// divided into intervals, and the steps with the lowest and the highest value in each interval are kept.
fn thinned(path: &[f64]) -> Vec<usize> {
    if path.len() <= TREND_POINTS {
        return (0..path.len()).collect();
    }
    let width = (2 * path.len()).div_ceil(TREND_POINTS);
    let mut keep = Vec::with_capacity(TREND_POINTS + 2);
    for start in (0..path.len()).step_by(width) {
        let interval = start..(start + width).min(path.len());
        let low = interval.clone().min_by(|a, b| path[*a].total_cmp(&path[*b])).unwrap_or(start);
        let high = interval.clone().max_by(|a, b| path[*a].total_cmp(&path[*b])).unwrap_or(start);
        keep.extend([low.min(high), low.max(high)]);
    }
    keep.dedup();
    keep
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::{Schema, Signal};
    use crate::units::Unit;

    #[test]
    fn the_saving_is_divided_among_the_labels() {
        use Support::{Edge, Inside, Outside};
        let labels = [Inside, Inside, Edge, Outside, Outside, Inside];
        let (before, after) = (vec![5.0, 5.0, 5.0, 5.0, 5.0, 5.0], vec![4.0, 2.0, 6.0, 1.0, f64::NAN, 5.0]);
        let found = saving_support(&labels, Some(&after), Some(&before)).unwrap();
        assert_eq!(found, SupportShare { inside: 4.0, edge: -1.0, outside: 4.0 });
        assert_eq!(saving_support(&labels, Some(&after), None), None);
    }

    /// A run that starts in closed hours: its first step is 6 h after the start of the scenario.
    #[test]
    fn trends_are_counted_from_the_start_of_the_scenario() {
        let pump = Signal::open("pump", Role::Control, Unit::one());
        let start = Timestamp::UNIX_EPOCH;
        let mut all = Trajectory::empty(Arc::new(Schema::new(vec![pump])), start, 3_600_000, 24, 1);
        all.columns[0] = (0..24).map(f64::from).collect();
        let run = all.select(&(6..20).collect::<Vec<_>>());
        let found = &trends(&run, start)[0];
        assert_eq!(found.hours, found.p50);
        let typical = setting::by_hour(&run, 0, &TimeZone::UTC);
        assert_eq!((typical[0].from, typical[0].range.low), (6, 6.0));
    }

    #[test]
    fn thinning_keeps_the_extremes_in_order() {
        let mut path: Vec<f64> = (0..5000).map(|k| (f64::from(k) * 0.01).sin()).collect();
        path[1234] = 9.0;
        let keep = thinned(&path);
        assert!(keep.len() <= TREND_POINTS + 2 && keep.windows(2).all(|w| w[0] < w[1]));
        assert!(keep.contains(&1234));
    }
}
