//! Summarises a log. Creates the findings about gaps, episodes and resampling, and one row of the quality table for
//! each signal.

use super::clean::Cleaned;
use super::detect::quantiles;
use super::episodes::Episodes;
use super::grid::Grid;
use super::occurrences::Occurrences;
use super::quality::{Excitation, Finding, FindingAction, FindingClass, SignalQuality};
use super::resample::Resampled;

use super::segments::Segments;
use super::store::Kept;
use super::text::duration;
use crate::config::{Kind, Partial, Resample, TwinSpec};
use crate::schema::{Role, Signal};

/// Adds findings about the gaps and changes of episode that split the timeline.
pub(super) fn segment_findings(
    s: &Segments,
    grid: &Grid,
    episodes: Option<&Episodes>,
    spec: &TwinSpec,
    max_gap: i64,
    findings: &mut Vec<Finding>,
) {
    if let (Some(first), Some(last)) = (s.gaps.first(), s.gaps.last()) {
        let total: usize = s.gaps.iter().map(|g| g.len()).sum();
        let longest = s.gaps.iter().map(|g| g.len()).max().unwrap_or(0);
        findings.extend(Occurrences::between(s.gaps.len(), grid.time(first.start), grid.time(last.end)).finding(
            "",
            FindingClass::Gap,
            FindingAction::Split,
            format!(
                "gaps of more than {} in which no signal was logged; they last {} in total ({:.1} % of the time span), the longest one {}",
                duration(max_gap),
                duration(total as i64 * grid.step),
                100.0 * total as f64 / grid.steps as f64,
                duration(longest as i64 * grid.step)
            ),
        ));
    }
    let Some(e) = episodes else { return };
    let column = spec.log.episode.as_ref().map_or("", |c| c.value.as_str());
    if let (Some(first), Some(last)) = (e.blocks.get(1), e.blocks.last()) {
        let mixed = match s.mixed {
            0 => String::new(),
            n => format!("; {n} steps with samples from two episodes were left out"),
        };
        findings.extend(Occurrences::between(e.changes(), first.from, last.from).finding(
            "",
            FindingClass::Episode,
            FindingAction::Split,
            format!("changes of `{column}`{mixed}"),
        ));
    }
}

const DAY_US: i64 = 86_400_000_000;

/// One signal, cleaned and resampled.
pub(super) struct ResampledSignal<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub how: Resample,
    pub kind: Kind,
    pub partial: Partial,
    pub samples: &'a Kept,
    pub resampled: &'a Resampled,
    /// Whether each value was held until the next sample, regardless of the time between the samples.
    pub hold_forever: bool,
    pub coverage: f64,
    /// The weekdays on which the log has no rows, if there are any.
    pub free: Option<&'a str>,
}

/// Adds findings about the resampling of one signal.
pub(super) fn resampling_findings(
    signal: &ResampledSignal,
    grid: &Grid,
    last_step: usize,
    max_gap: i64,
    findings: &mut Vec<Finding>,
) {
    let ResampledSignal { name, unit, how, kind, partial, samples: s, resampled: r, hold_forever, coverage, free } =
        *signal;
    let mut note = |f: Option<Finding>| findings.extend(f);
    if hold_forever {
        note(r.held.finding(
            name,
            FindingClass::ReportOnChange,
            FindingAction::Held,
            "the signal is logged only when it changes, so each value was held until the next value",
        ));
    } else if how != Resample::Mean {
        note(r.held.finding(
            name,
            FindingClass::Gap,
            FindingAction::Held,
            format!("steps without a sample; the last value was held for up to {}", duration(max_gap)),
        ));
    }
    note(r.weighted.finding(
        name,
        FindingClass::ReportOnChange,
        FindingAction::Held,
        "the samples are irregular, so the mean of a step weights each sample by the time until the next sample",
    ));
    let why = match free.filter(|_| grid.step > DAY_US) {
        Some(days) => format!(
            ", because there are no rows on {days}; if the amount is 0 on these days, write `empty = 0`, and otherwise `partial = \"scale\"`"
        ),
        None => "; they have no value, or are scaled if `partial = \"scale\"`".to_owned(),
    };
    note(r.partial.finding(
        name,
        FindingClass::PartialStep,
        FindingAction::Dropped,
        format!("steps of which the samples cover only a part{why}"),
    ));
    note(r.censored.finding(
        name,
        FindingClass::Censored,
        FindingAction::Dropped,
        "steps in which the condition `censored` is true or unknown, so that the value may be only a lower bound; they count as missing",
    ));
    let (action, help) = match partial {
        Partial::Missing => (
            FindingAction::Dropped,
            "; readings in between are missing, so the steps have no value; `partial = \"scale\"` spreads the increase evenly",
        ),
        Partial::Scale => (FindingAction::Interpolated, ", which was spread evenly over the steps"),
    };
    let total = if r.across.is_empty() { 0.0 } else { s.store.samples().value.iter().sum() };
    note(r.across.finding(name, unit, total, action, help));
    note(r.empty.finding(
        name,
        FindingClass::EmptyStep,
        FindingAction::Filled,
        "steps without a sample, which have the value of `empty`",
    ));
    note(r.interpolated.finding(
        name,
        FindingClass::Gap,
        FindingAction::Interpolated,
        format!("steps without a sample, interpolated between samples at most {} apart", duration(max_gap)),
    ));
    let interval = s.typical.map_or(0, |i| i.0);
    if how == Resample::Sum && kind != Kind::Counter && coverage < 0.9 && !s.has_lengths && r.partial.count == 0 {
        note(r.missing.finding(
            name,
            FindingClass::EmptyStep,
            FindingAction::Kept,
            "steps without a sample, which count as missing; if there is no row because the amount is 0, write `empty = 0`",
        ));
    }
    if how == Resample::Mean && 2 * interval > 3 * grid.step && coverage < 0.9 {
        note(r.missing.finding(
            name,
            FindingClass::SlowSamples,
            FindingAction::Kept,
            format!(
                "there is a sample every {}, but a step is {}; set resample = \"linear\" or \"hold\" (with a longer max_gap if needed), or a longer step",
                duration(interval),
                duration(grid.step)
            ),
        ));
        return;
    }
    let end = s.last.map_or(0, |t| grid.step_of(t).unwrap_or(last_step));
    let silent = last_step.saturating_sub(end) as i64 * grid.step;
    if s.last.is_some() && silent > max_gap && !hold_forever {
        note(Occurrences::between(last_step - end, grid.time(end + 1), grid.time(last_step)).finding(
            name,
            FindingClass::Stale,
            FindingAction::Kept,
            format!("no sample in the last {} of the log", duration(silent)),
        ));
    }
    note(r.long_gaps.finding(
        name,
        FindingClass::Gap,
        FindingAction::Kept,
        format!("gaps of more than {} during which other signals have values", duration(max_gap)),
    ));
}

/// Relative changes of a control below this threshold count as rounding errors rather than moves.
const MIN_RELATIVE_MOVE: f64 = 1e-9;

/// Returns the row of a signal in the quality table.
pub(super) fn signal_quality(
    signal: &Signal,
    c: &Cleaned<Kept>,
    r: &Resampled,
    segments: &Segments,
    grid: &Grid,
) -> SignalQuality {
    let inside: usize = segments.segments.iter().map(|s| s.len()).sum();
    // Steps outside the segments count as missing if all their rows were dropped.
    let in_segment = |t: i64| {
        let contains = |k: usize| {
            let after = segments.segments.partition_point(|s| s.start <= k);
            after.checked_sub(1).is_some_and(|i| segments.segments[i].contains(&k))
        };
        grid.step_of(t).is_some_and(contains)
    };
    let outside = c.lost.iter().filter(|t| !in_segment(**t));
    let mut lost: Vec<i64> = outside.map(|t| (t - grid.start).div_euclid(grid.step)).collect();
    lost.sort_unstable();
    lost.dedup();
    let inside = inside + lost.len();
    let values = || segments.segments.iter().flat_map(|s| &r.value[s.clone()]).copied().filter(|v| !v.is_nan());
    let n = values().count();
    let mean = values().map(|v| v / n as f64).sum::<f64>();
    let (min, max) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let known = |v: f64| if n == 0 { f64::NAN } else { v };
    let excitation = (signal.role == Role::Control).then(|| {
        let moves = segments
            .segments
            .iter()
            .flat_map(|s| r.value[s.clone()].windows(2))
            .filter(|w| (w[1] - w[0]).abs() > MIN_RELATIVE_MOVE * (w[0].abs() + w[1].abs()))
            .count();
        let variance = values().map(|v| (v - mean) * (v - mean) / n as f64).sum::<f64>();
        let hard = signal.hard.high - signal.hard.low;
        let range = if hard.is_finite() && hard > 0.0 { hard } else { max - min };
        let spread = if n > 0 && range > 0.0 { variance.sqrt() / range } else { 0.0 };
        let [low, high] = quantiles(values(), n, [0.01, 0.99]);
        Excitation { moves, spread, low, high, learnable: moves > 0 }
    });
    SignalQuality {
        signal: signal.name.clone(),
        unit: signal.unit.text.clone(),
        samples: c.read,
        dropped: c.dropped,
        held: r.held.count,
        interpolated: r.interpolated.count,
        missing: r.missing.count,
        coverage: if inside == 0 { 0.0 } else { n as f64 / inside as f64 },
        min: known(min),
        mean: known(mean),
        max: known(max),
        excitation,
    }
}

/// Merges findings about the rows of single signals into one finding about the timeline if every signal has the same
/// finding. `signals` is the number of logged signals.
pub(super) fn merge_shared(findings: &[Finding], signals: usize) -> Vec<Finding> {
    const ROW_CLASSES: [FindingClass; 7] = [
        FindingClass::OutOfOrder,
        FindingClass::Duplicate,
        FindingClass::ClockStep,
        FindingClass::EpisodeOverlap,
        FindingClass::Missing,
        FindingClass::Stale,
        FindingClass::SlowSamples,
    ];
    let same = |a: &Finding, b: &Finding| {
        a.class == b.class && a.count == b.count && a.first == b.first && a.last == b.last && a.action == b.action
    };
    let mut out: Vec<Finding> = Vec::with_capacity(findings.len());
    for f in findings {
        let shared =
            signals > 1 && ROW_CLASSES.contains(&f.class) && findings.iter().filter(|g| same(f, g)).count() == signals;
        if !shared {
            out.push(f.clone());
        } else if !out.iter().any(|g| g.signal.is_empty() && same(f, g)) {
            out.push(Finding { signal: String::new(), ..f.clone() });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shared_by_all_signals_is_reported_once() {
        let mut o = Occurrences::default();
        o.add(5);
        let finding = |s: &&str| o.finding(s, FindingClass::Duplicate, FindingAction::Dropped, "");
        let all: Vec<_> = ["a", "b"].iter().filter_map(finding).collect();
        let merged = merge_shared(&all, 2);
        assert_eq!((merged.len(), merged[0].signal.as_str()), (1, ""));
    }
}
