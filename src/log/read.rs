//! The line from files to a clean, regular trajectory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::account::{Outcome, signal_quality, tell_outcome, tell_segments};
use super::clean::{Cleaned, Rule, clean};
use super::files;
use super::finding::{collapse, duration, rfc3339};
use super::resample::{Grid, Resampled, Samples, phase, resample};
use super::scan::{Raw, Scan};
use super::segments::{Episodes, split};
use super::{Finding, Quality, long, wide};
use crate::config::{Resample, SignalSpec, TwinSpec};
use crate::error::{Error, Result};
use crate::schema::{Bounds, Role, Schema};
use crate::trajectory::Trajectory;
use crate::units::Unit;

/// A grid beyond this (160 MB a signal) is a mistake in the step or in a time stamp.
const MOST_STEPS: i64 = 20_000_000;

const DAY_US: i64 = 86_400_000_000;

/// One signal that has a column.
struct Input {
    /// Its place in the schema.
    at: usize,
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
/// [`Error::NoInput`] when no file matches or one cannot be opened; [`Error::Data`] when one is damaged, a column or tag is missing or
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
        Some(layout) => long::read(&files, &spec.log, layout, &columns)?,
        None => wide::read(&files, &spec.log, &columns)?,
    };
    let Scan { tags, labels, mut findings, long: is_long } = scan;
    let window = plausible_window(&tags, is_long);
    inputs.iter_mut().for_each(|i| i.rule.window = window);
    let episodes = episodes(&tags, is_long, &labels, spec, max_gap, &mut findings)?;

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
            let forever = is_long && i.how == Resample::Hold && logged_on_change(&c.samples, max_gap);
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
        let row = signal_quality(signal, &c, &r, &segments, inside);
        let mut told = c.findings;
        let outcome = Outcome {
            name: &signal.name,
            how: input.how,
            samples: &c.samples,
            resampled: &r,
            forever,
            coverage: row.coverage,
        };
        tell_outcome(&outcome, &grid, last_alive, max_gap, &mut told);
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
fn inputs(spec: &TwinSpec, schema: &Schema, max_gap: i64) -> Result<(Vec<Input>, Vec<String>)> {
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
            valid: s.valid.as_ref().map(|v| Bounds { low: v.value[0], high: v.value[1] }),
            flat: s.flat.as_ref().map(|f| f.ms().saturating_mul(1_000)),
            holds: holds || how == Resample::Hold,
            temperature: is_temperature(unit),
            absolute_zero: absolute_zero(unit),
            max_gap,
            window: (i64::MIN, i64::MAX),
        };
        out.push(Input { at, rule, how, raw });
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

/// Absolute zero in a unit with its own zero (degC, degF); K has none, since differences of temperatures are in K too.
fn absolute_zero(unit: &Unit) -> Option<f64> {
    (unit.offset != 0.0 && unit.scale > 0.0).then(|| -unit.offset / unit.scale)
}

/// Whether a signal may have been written in another temperature scale.
fn is_temperature(unit: &Unit) -> bool {
    unit.dimension == [0, 0, 0, 1, 0, 0, 0, 0]
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
    let few = (total / 1_000).max(1);
    // The days between which all but a few rows lie.
    let core = |days: &[(i64, usize)], mut left: usize| {
        days.iter()
            .find(|d| {
                let here = d.1 > left;
                left = left.saturating_sub(d.1);
                here
            })
            .map_or(0, |d| d.0)
    };
    let backwards: Vec<_> = days.iter().rev().copied().collect();
    let span = core(&backwards, 3 * few) - core(&days, 3 * few);
    while days.len() > 1 && total >= 100 {
        let Some(cut) = (1..days.len()).max_by_key(|&i| days[i].0 - days[i - 1].0) else { break };
        let gap = days[cut].0 - days[cut - 1].0;
        let rows = |d: &[(i64, usize)]| d.iter().map(|d| d.1).sum::<usize>();
        let (before, after) = (rows(&days[..cut]), rows(&days[cut..]));
        if gap < 365 || gap < 2 * span || before.min(after) > few {
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
