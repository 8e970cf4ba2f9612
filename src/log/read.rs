//! The line from files to a clean, regular trajectory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::clean::{Cleaned, Rule, clean};
use super::clock::typical_interval;
use super::detect::quantiles;
use super::files;
use super::finding::{Tally, collapse, duration, rfc3339};
use super::resample::{Grid, Resampled, Samples, phase, resample};
use super::scan::{self, Raw, Scan};
use super::segments::{Episodes, Segments, split};
use super::{Excitation, Finding, Quality, SignalQuality};
use crate::error::{Error, Result};
use crate::schema::{Range, Role, Schema, Signal};
use crate::spec::{Resample, SignalSpec, TwinSpec};
use crate::trajectory::Trajectory;
use crate::units::Unit;

/// A grid beyond this (160 MB a signal) is a mistake in the step or in a time stamp.
const MOST_STEPS: i64 = 20_000_000;

const DAY_US: i64 = 86_400_000_000;

/// One signal that has a column.
struct Input<'a> {
    /// Its place in the schema.
    at: usize,
    spec: &'a SignalSpec,
    rule: Rule,
    how: Resample,
    /// Its place among the columns read.
    raw: usize,
}

/// Reads the log of the twin in folder `dir`: scan, clean, resample, split.
///
/// The trajectory has one particle and one column per signal of `schema`, in its units; derived signals are left NaN,
/// constants (`value`) are constant. Time stamps mark the start of a step. The quality tells everything that was
/// dropped, held, interpolated or looks wrong; nothing is repaired silently.
///
/// # Errors
/// [`Error::NoInput`] when no file matches or one cannot be read; [`Error::Data`] when a column or tag is missing or
/// has the wrong type, when no row is usable, when episodes overlap in time, or when the time stamps span an absurd
/// time.
pub fn read(dir: &Path, spec: &TwinSpec, schema: &Arc<Schema>) -> Result<(Trajectory, Quality)> {
    let files = files::open(dir, &spec.log)?;
    let step = spec.step.ms().saturating_mul(1_000);
    if step <= 0 {
        return Err(Error::Data("`step` must be longer than nothing; write the sample time, like `10min`".into()));
    }
    let max_gap = spec.log.max_gap.as_ref().map_or(3 * step, |g| g.ms().saturating_mul(1_000)).max(step);
    let (mut inputs, columns) = inputs(spec, schema, max_gap)?;
    if inputs.is_empty() {
        return Err(Error::Data(
            "no signal has a column in the log; give at least one signal without `value` or `expr`".into(),
        ));
    }
    let scan = match &spec.log.long {
        Some(long) => scan::long(&files, &spec.log, long, &columns)?,
        None => scan::wide(&files, &spec.log, &columns)?,
    };
    let Scan { tags, labels, mut findings, long } = scan;
    let window = plausible_window(&tags, long);
    inputs.iter_mut().for_each(|i| i.rule.window = window);
    let episodes = episodes(&tags, long, &labels, spec, max_gap, &mut findings)?;

    let cleaned: Vec<Cleaned> = inputs.par_iter().map(|i| clean(&tags[i.raw], &i.rule, episodes.as_ref())).collect();
    drop(tags);
    let samples: Vec<&Samples> = cleaned.iter().map(|c| &c.samples).collect();
    let grid = grid(&samples, step, spec, &mut findings)?;
    let alive = alive(&samples, &grid);
    let segments = split(&grid, &alive, episodes.as_ref(), max_gap);
    tell_segments(&segments, &grid, episodes.as_ref(), spec, max_gap, &mut findings);

    let resampled: Vec<(Resampled, bool)> = inputs
        .par_iter()
        .zip(&cleaned)
        .map(|(i, c)| {
            let forever = long && i.how == Resample::Hold && logged_on_change(&c.samples, max_gap);
            (resample(&c.samples, &grid, &segments.segments, i.how, max_gap, forever), forever)
        })
        .collect();

    let mut trajectory = Trajectory::empty(Arc::clone(schema), start_of(&grid)?, spec.step.ms(), grid.steps, 1);
    trajectory.segments = segments.segments.clone();
    let inside: usize = segments.segments.iter().map(|s| s.len()).sum();
    let least = spec.log.completeness.as_ref().map_or(0.8, |c| c.value);
    let mut quality = Quality {
        sources: files.par_iter().map(files::source).collect::<Result<_>>()?,
        start: rfc3339(grid.start),
        end: rfc3339(grid.time(grid.steps)),
        step: spec.step.to_string(),
        grid_steps: grid.steps,
        segments: segments.segments.len(),
        completeness: least,
        ..Quality::default()
    };
    let last_alive = alive.iter().rposition(|a| *a).unwrap_or(0);
    let mut of_signals = Vec::new();
    for ((input, c), (r, forever)) in inputs.iter().zip(cleaned).zip(resampled) {
        let signal = &schema.signals[input.at];
        let row = describe(signal, &c, &r, &segments, inside);
        let mut told = c.findings;
        tell_resampled(input, &c.samples, &r, forever, &grid, last_alive, row.coverage, max_gap, &mut told);
        of_signals.extend(told);
        if matches!(signal.role, Role::State | Role::Output | Role::Control) && row.coverage < least {
            quality.incomplete.push(signal.name.clone());
        }
        quality.signals.push(row);
        trajectory.columns[input.at] = r.value;
    }
    for s in &spec.signals {
        if let (Some(value), Some(at)) = (&s.value.value, schema.find(&s.value.name)) {
            trajectory.columns[at].fill(value.value);
        }
    }
    findings.extend(collapse(of_signals, inputs.len()));
    findings.sort_by_key(|f| !f.signal.is_empty());
    quality.findings = findings;
    Ok((trajectory, quality))
}

fn start_of(grid: &Grid) -> Result<Timestamp> {
    Timestamp::from_microsecond(grid.start).map_err(|e| Error::Data(format!("the log begins beyond the calendar: {e}")))
}

/// The signals that have a column, and the columns to read.
fn inputs<'a>(spec: &'a TwinSpec, schema: &Schema, max_gap: i64) -> Result<(Vec<Input<'a>>, Vec<String>)> {
    let mut columns: Vec<String> = Vec::new();
    let mut out = Vec::new();
    for s in &spec.signals {
        let s = &s.value;
        if s.role.value == Role::Derived || s.value.is_some() {
            continue;
        }
        let at = schema
            .find(&s.name)
            .ok_or_else(|| Error::Internal(format!("the schema lacks the signal `{}`", s.name.value)))?;
        let column = s.column.as_ref().unwrap_or(&s.name).value.clone();
        let raw = columns.iter().position(|c| *c == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        });
        let holds = matches!(s.role.value, Role::Control | Role::Setpoint);
        let how = s.resample.as_ref().map_or(if holds { Resample::Hold } else { Resample::Mean }, |r| r.value);
        let unit = &schema.signals[at].unit;
        let (gain, shift) = conversion(s, unit)?;
        let rule = Rule {
            signal: s.name.value.clone(),
            unit: unit.text.clone(),
            gain,
            shift,
            valid: s.valid.as_ref().map(|v| Range { low: v.value[0], high: v.value[1] }),
            flat: s.flat.as_ref().map(|f| f.ms().saturating_mul(1_000)),
            holds: holds || how == Resample::Hold,
            absolute_zero: absolute_zero(unit),
            max_gap,
            window: (i64::MIN, i64::MAX),
        };
        out.push(Input { at, spec: s, rule, how, raw });
    }
    Ok((out, columns))
}

/// `value = gain * column + shift`, from the column's unit to the signal's.
fn conversion(s: &SignalSpec, unit: &Unit) -> Result<(f64, f64)> {
    let Some(text) = &s.column_unit else { return Ok((1.0, 0.0)) };
    let from = Unit::parse(text)
        .map_err(|e| Error::Data(format!("signal `{}`: `column_unit = \"{}\"`: {e}", s.name.value, text.value)))?;
    if from.dimension != unit.dimension {
        return Err(Error::Data(format!(
            "signal `{}`: `column_unit = \"{}\"` cannot be converted to its unit `{}`; correct one of them",
            s.name.value, text.value, unit.text
        )));
    }
    Ok(between(&from, unit))
}

fn between(from: &Unit, to: &Unit) -> (f64, f64) {
    if from.scale == to.scale && from.offset == to.offset {
        return (1.0, 0.0);
    }
    (from.scale / to.scale, (from.offset - to.offset) / to.scale)
}

/// Absolute zero in a temperature's unit, told by its text: a difference of temperatures is also in K.
fn absolute_zero(unit: &Unit) -> Option<f64> {
    match unit.text.trim() {
        "degC" | "°C" | "celsius" => Some(-273.15),
        "degF" | "°F" | "fahrenheit" => Some(-459.67),
        _ => None,
    }
}

/// First and last time that belong to the log: a few rows years away from all others (a clock at 1970, a year 2106)
/// would make a grid of nothing.
fn plausible_window(tags: &[Raw], long: bool) -> (i64, i64) {
    let mut days: BTreeMap<i64, usize> = BTreeMap::new();
    for raw in if long { tags } else { &tags[..1] } {
        let mut run = (i64::MIN, 0);
        for t in raw.time.iter() {
            let day = t.div_euclid(DAY_US);
            if day != run.0 {
                if run.1 > 0 {
                    *days.entry(run.0).or_default() += run.1;
                }
                run = (day, 0);
            }
            run.1 += 1;
        }
        if run.1 > 0 {
            *days.entry(run.0).or_default() += run.1;
        }
    }
    let mut days: Vec<(i64, usize)> = days.into_iter().collect();
    let total: usize = days.iter().map(|d| d.1).sum();
    let few = total / 1_000;
    while days.len() > 1 && total >= 100 {
        let Some(cut) = (1..days.len()).max_by_key(|&i| days[i].0 - days[i - 1].0) else { break };
        let gap = days[cut].0 - days[cut - 1].0;
        let rows = |d: &[(i64, usize)]| d.iter().map(|d| d.1).sum::<usize>();
        let (before, after) = (rows(&days[..cut]), rows(&days[cut..]));
        let larger = if before < after { &days[cut..] } else { &days[..cut] };
        let span = larger[larger.len() - 1].0 - larger[0].0;
        if gap < 365 || gap < 2 * span || before.min(after) > few.max(1) {
            break;
        }
        if before < after {
            days.drain(..cut);
        } else {
            days.truncate(cut);
        }
    }
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => (first.0 * DAY_US, (last.0 + 1) * DAY_US - 1),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The time line's episodes, if the log has an episode column.
fn episodes(
    tags: &[Raw],
    long: bool,
    labels: &[String],
    spec: &TwinSpec,
    max_gap: i64,
    findings: &mut Vec<Finding>,
) -> Result<Option<Episodes>> {
    let Some(column) = &spec.log.episode else { return Ok(None) };
    let used = if long { tags } else { &tags[..1] };
    let time: Vec<i64> = used.iter().flat_map(|r| r.time.iter().copied()).collect();
    let label: Vec<u32> = used.iter().filter_map(|r| r.episode.as_ref()).flat_map(|l| l.iter().copied()).collect();
    let e = Episodes::new(&time, &label, max_gap);
    let name = |l: u32| labels.get(l as usize).map_or("", String::as_str);
    if 20 * e.overlap.count > e.rows {
        let some: Vec<&str> = e.blocks.iter().take(2).map(|b| name(b.label)).collect();
        return Err(Error::Data(format!(
            "episodes of column `{}` overlap in time ({} of {} rows, from {} to {}; episodes such as {}): a log has one time line. If each episode starts its clock anew, add to each one's time what the episodes before it took; if they ran side by side, make a log of each",
            column.value,
            e.overlap.count,
            e.rows,
            rfc3339(e.overlap.first),
            rfc3339(e.overlap.last),
            some.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(" and "),
        )));
    }
    findings.extend(e.overlap.finding(
        "",
        "episode-overlap",
        "dropped",
        "rows of an episode that begins while another one still goes on; they have no place on one time line",
    ));
    Ok(Some(e))
}

/// The grid over all clean samples.
fn grid(samples: &[&Samples], step: i64, spec: &TwinSpec, findings: &mut Vec<Finding>) -> Result<Grid> {
    let first = samples.iter().filter_map(|s| s.time.first()).min();
    let last = samples.iter().filter_map(|s| s.time.last()).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Error::Data(
            "not one usable sample is left of any signal: all are empty, flagged bad or outside `valid`; look at the columns, the good flags and `valid`".into(),
        ));
    };
    let (phase, slack, jitter) = phase(samples, step);
    findings.extend(jitter.finding(
        "",
        "jitter",
        "kept",
        format!(
            "time stamps a little before or after the full step; up to {} early they count to the next step",
            duration(slack)
        ),
    ));
    let start = first + slack - (first + slack - phase).rem_euclid(step);
    let steps = (last + slack - start).div_euclid(step).saturating_add(1);
    if steps > MOST_STEPS {
        return Err(Error::Data(format!(
            "the log spans {} to {}, which is {steps} steps of {}; check `step` and the time stamps",
            rfc3339(*first),
            rfc3339(*last),
            spec.step.value
        )));
    }
    Ok(Grid { start, step, steps: usize::try_from(steps).unwrap_or(1), slack })
}

/// Steps in which any signal has a sample.
fn alive(samples: &[&Samples], grid: &Grid) -> Vec<bool> {
    let mut alive = vec![false; grid.steps];
    let mut seen: Vec<*const Vec<i64>> = Vec::new();
    for s in samples {
        // The columns of a wide log share their time stamps.
        let shared = Arc::as_ptr(&s.time);
        if seen.contains(&shared) {
            continue;
        }
        seen.push(shared);
        s.time.iter().filter_map(|t| grid.bin(*t)).for_each(|k| alive[k] = true);
    }
    alive
}

/// Whether a tag is written only when it changes: repeats are rare, and long silences normal.
fn logged_on_change(s: &Samples, max_gap: i64) -> bool {
    let n = s.value.len();
    if n < 5 {
        return false;
    }
    let repeats = s.value.windows(2).filter(|w| w[0] == w[1]).count();
    let silences = s.time.windows(2).filter(|w| w[1] - w[0] > max_gap).count();
    20 * repeats <= n && 4 * silences >= n
}

fn tell_segments(
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

/// What resampling did to one signal.
#[allow(clippy::too_many_arguments)]
fn tell_resampled(
    input: &Input,
    s: &Samples,
    r: &Resampled,
    forever: bool,
    grid: &Grid,
    last_alive: usize,
    coverage: f64,
    max_gap: i64,
    told: &mut Vec<Finding>,
) {
    let name = input.spec.name.value.as_str();
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
    if matches!(input.how, Resample::Mean | Resample::Sum) && 2 * interval > 3 * grid.step && coverage < 0.9 {
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
fn describe(signal: &Signal, c: &Cleaned, r: &Resampled, segments: &Segments, inside: usize) -> SignalQuality {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fahrenheit_to_celsius_and_back() {
        let unit = |text: &str, scale, offset| Unit { text: text.into(), dimension: [0; 8], scale, offset };
        let (c, f) = (unit("degC", 1.0, 273.15), unit("degF", 1.0 / 1.8, 273.15 - 32.0 / 1.8));
        let (gain, shift) = between(&f, &c);
        assert!((gain * 212.0 + shift - 100.0).abs() < 1e-9);
        let (gain, shift) = between(&c, &f);
        assert!((gain * -40.0 + shift + 40.0).abs() < 1e-9);
        assert_eq!(between(&c, &c), (1.0, 0.0));
    }

    #[test]
    fn a_clock_at_1970_does_not_stretch_the_log() {
        let mut time: Vec<i64> = (0..5_000).map(|i| 1_704_067_200_000_000 + i * 600_000_000).collect();
        time[7] = 0;
        let raw = Raw { time: Arc::new(time), ..Raw::default() };
        let (from, to) = plausible_window(&[raw], false);
        assert!(from > 1_700_000_000_000_000 && to < 1_710_000_000_000_000);
    }
}
