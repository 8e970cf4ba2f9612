//! The account of a log: what its gaps, its episodes and its resampling come to, and each signal's row of the table.

use super::clean::Cleaned;
use super::clock::typical_interval;
use super::detect::quantiles;
use super::finding::{Tally, duration};
use super::resample::{Grid, Resampled, Samples};
use super::segments::{Episodes, Segments};
use super::{Excitation, Finding, SignalQuality};
use crate::config::{Resample, TwinSpec};
use crate::schema::{Role, Signal};

/// Where the time line was split, and why.
pub(super) fn tell_segments(
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
        findings.extend(Tally::span(s.gaps.len(), grid.time(first.start), grid.time(last.end)).finding(
            "",
            "gap",
            "split",
            format!(
                "nothing was logged for longer than {}; together {} ({:.1} % of the span), the longest {}",
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
            n => format!("; {n} steps that hold samples of two episodes are left out"),
        };
        findings.extend(Tally::span(e.changes(), first.from, last.from).finding(
            "",
            "episode",
            "split",
            format!("changes of `{column}`{mixed}"),
        ));
    }
}

/// One signal, cleaned and resampled.
pub(super) struct Outcome<'a> {
    pub name: &'a str,
    pub how: Resample,
    pub samples: &'a Samples,
    pub resampled: &'a Resampled,
    /// Its values were held until the next sample, however long that took.
    pub forever: bool,
    pub coverage: f64,
}

/// What resampling did to one signal.
pub(super) fn tell_outcome(outcome: &Outcome, grid: &Grid, last_alive: usize, max_gap: i64, told: &mut Vec<Finding>) {
    let Outcome { name, how, samples: s, resampled: r, forever, coverage } = *outcome;
    let mut note = |f: Option<Finding>| told.extend(f);
    if forever {
        note(r.held.finding(
            name,
            "report-on-change",
            "held",
            "it is logged only when it changes, so its last value was held until the next one",
        ));
    } else {
        note(r.held.finding(
            name,
            "gap",
            "held",
            format!("steps without a sample; the last value was held for up to {}", duration(max_gap)),
        ));
    }
    note(r.interpolated.finding(
        name,
        "gap",
        "interpolated",
        format!("steps without a sample, between samples no farther apart than {}", duration(max_gap)),
    ));
    let interval = typical_interval(&s.time).map_or(0, |i| i.0);
    if matches!(how, Resample::Mean | Resample::Sum) && 2 * interval > 3 * grid.step && coverage < 0.9 {
        note(r.missing.finding(
            name,
            "slow-samples",
            "kept",
            format!(
                "a sample comes every {}, a step is {}; write resample = \"linear\" or \"hold\" (with a longer max_gap where needed), or a longer step",
                duration(interval),
                duration(grid.step)
            ),
        ));
        return;
    }
    let end = s.time.last().and_then(|t| grid.bin(*t)).unwrap_or(0);
    let silent = last_alive.saturating_sub(end) as i64 * grid.step;
    if !s.time.is_empty() && silent > max_gap && !forever {
        note(Tally::span(last_alive - end, grid.time(end + 1), grid.time(last_alive)).finding(
            name,
            "stale",
            "kept",
            format!("no sample in the last {} of the log", duration(silent)),
        ));
    }
    note(r.holes.finding(
        name,
        "gap",
        "kept",
        format!("stretches longer than {} without a value while other signals have one", duration(max_gap)),
    ));
}

/// The signal's row of the table.
pub(super) fn signal_quality(
    signal: &Signal,
    c: &Cleaned,
    r: &Resampled,
    segments: &Segments,
    inside: usize,
) -> SignalQuality {
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
            .filter(|w| (w[1] - w[0]).abs() > 1e-9 * (w[0].abs() + w[1].abs()))
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
