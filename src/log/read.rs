//! Reads the files of a log into a clean, regular trajectory.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::clean::{Cleaned, clean};
use super::clock::{REGULAR_SHARE, typical_interval};
use super::entities::several_rows_per_time;
use super::episodes::{Episodes, episodes};
use super::footer::{self, LogFile};
use super::grid::{Grid, grid, steps_with_samples};
use super::input::{Input, inputs};
use super::kind::contradiction;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass, Quality};
use super::resample::{Method, Resampled, resample};
use super::samples::Samples;
use super::scan::{RawSamples, Scan};
use super::segments::{Segments, split};
use super::stamps::move_to_start;
use super::summary::{ResampledSignal, merge_shared, resampling_findings, segment_findings, signal_quality};
use super::text::{duration, rfc3339};
use super::window::plausible_window;
use super::{long, wide};
use crate::config::{Stamps, TimeUnit, TwinSpec};
use crate::error::{Error, LogFault, LogKey, Result};
use crate::schema::{Role, Schema};
use crate::trajectory::Trajectory;

/// Reads the log of the twin in folder `dir`, cleans and resamples it, and splits it into segments.
///
/// The trajectory has one particle and one column per signal of `schema`, in the unit of the signal. Columns of derived
/// signals are NaN, and those of constant signals (`value`) contain the constant. Each time stamp marks the start of a
/// step. The returned quality report lists everything that was dropped, held or interpolated, or that looks wrong.
/// Nothing is repaired silently.
///
/// # Errors
/// [`Error::NoInput`] if no file matches or a file cannot be opened. [`Error::Log`] if a setting in `twin.toml` does not
/// match the log, for example because a column is missing. [`Error::Data`] if a file is damaged, if no row is usable, if
/// episodes overlap in time, or if the time stamps span too many steps.
pub fn read(dir: &Path, spec: &TwinSpec, schema: &Arc<Schema>) -> Result<(Trajectory, Quality)> {
    let files = footer::open(dir, &spec.log)?;
    let step = spec.step.ms().saturating_mul(1_000);
    if step <= 0 {
        return Err(Error::Data("`step` must be positive; set it to the sample time, such as `10min`".into()));
    }
    let max_gap = spec.log.max_gap_ms(spec.step.value).saturating_mul(1_000).max(step);
    let (mut inputs, columns) = inputs(spec, schema, max_gap)?;
    if inputs.is_empty() {
        return Err(Error::Data(
            "no signal has a column in the log; add at least one signal without `value` or `expr`".into(),
        ));
    }
    let scan = match &spec.log.long {
        Some(layout) => long::read(&files, &spec.log, layout, &columns)?,
        None => wide::read(&files, &spec.log, &columns)?,
    };
    let Scan { mut tags, labels, mut findings, long: is_long, unit, without_zone } = scan;
    require_zone(spec, without_zone)?;
    if spec.timezone.is_none() && spec.log.timezone.is_none() {
        findings.extend(Occurrences::between(without_zone, 0, 0).finding(
            "",
            FindingClass::TimeZone,
            FindingAction::Kept,
            "time stamps without a time zone, which were read as UTC; add `timezone = \"UTC\"` to `log` if this is \
             right, or the time zone of the times, like `timezone = \"Europe/Berlin\"`",
        ));
    }
    if spec.log.stamps.as_ref().is_some_and(|s| s.value == Stamps::End) {
        move_to_start(&mut tags)?;
    }
    let events: Vec<bool> =
        (0..tags.len()).map(|t| inputs.iter().filter(|i| i.column == t).all(|i| i.rule.is_event())).collect();
    if let Some(fault) = several_rows_per_time(&files, &spec.log, &tags, &events, is_long)? {
        return Err(Error::Log(vec![fault]));
    }
    let window = plausible_window(&tags, is_long);
    inputs.iter_mut().for_each(|i| i.rule.window = window);
    let episodes = episodes(&tags, is_long, &labels, spec, max_gap, &mut findings)?;

    let cleaned = clean_all(tags, &inputs, episodes.as_ref());
    require_samples(&inputs, &cleaned)?;
    let contradictions = inputs.par_iter().zip(&cleaned).filter_map(|(i, c)| contradiction(&c.samples, &i.rule));
    let contradictions: Vec<LogFault> = contradictions.collect();
    if !contradictions.is_empty() {
        return Err(Error::Log(contradictions));
    }
    let samples: Vec<&Samples> = cleaned.iter().map(|c| &c.samples).collect();
    let grid = grid(&samples, inputs.iter().any(|i| i.rule.is_event()), step, spec, &mut findings)?;
    if let Some(unit) = unit {
        require_plausible_span(&grid, &samples, unit, spec)?;
    }
    // If all signals are events, or if the rows of a wide log are irregular because they are events, a step without a
    // row is not a gap.
    let continuous: Vec<&Samples> =
        inputs.iter().zip(&samples).filter(|(i, _)| !i.rule.is_event()).map(|(_, s)| *s).collect();
    let of_events = !is_long && continuous.len() < inputs.len() && !is_regular(&samples);
    let no_gaps = continuous.is_empty() || of_events;
    let steps_with_samples = if no_gaps { vec![true; grid.steps] } else { steps_with_samples(&continuous, &grid) };
    let segments = split(&grid, &steps_with_samples, episodes.as_ref(), max_gap);
    segment_findings(&segments, &grid, episodes.as_ref(), spec, max_gap, &mut findings);

    let on_grid =
        OnGrid { last_step: steps_with_samples.iter().rposition(|a| *a).unwrap_or(0), grid, segments, max_gap };
    let resampled: Vec<ResampledInput> =
        inputs.par_iter().zip(&cleaned).map(|(i, c)| on_grid.resample(i, c, is_long)).collect();
    let mut trajectory = Trajectory::empty(Arc::clone(schema), on_grid.start()?, spec.step.ms(), on_grid.grid.steps, 1);
    trajectory.segments = on_grid.segments.segments.clone();
    trajectory.set_bounds(on_grid.grid.bounds.iter().map(|us| us.div_euclid(1_000)).collect());
    let mut quality = on_grid.quality(&files, spec)?;
    let mut of_signals = Vec::new();
    for ((input, c), r) in inputs.iter().zip(cleaned).zip(resampled) {
        of_signals.extend(on_grid.summarise(input, c, &r, schema, &mut quality));
        trajectory.columns[input.signal] = r.resampled.value;
    }
    for s in &spec.signals {
        if let (Some(value), Some(signal)) = (&s.value.value, schema.find(&s.value.name)) {
            trajectory.columns[signal].fill(value.value);
        }
    }
    findings.extend(merge_shared(&of_signals, inputs.len()));
    findings.sort_by_key(|f| !f.signal.is_empty());
    quality.findings = findings;
    Ok((trajectory, quality))
}

/// The clean samples of every input. The raw samples of each tag are freed when its inputs are clean, because a long log
/// can have many samples.
fn clean_all(tags: Vec<RawSamples>, inputs: &[Input], episodes: Option<&Episodes>) -> Vec<Cleaned> {
    let of_tag = |(column, raw): (usize, RawSamples)| {
        let own = inputs.iter().enumerate().filter(|(_, input)| input.column == column);
        own.map(|(i, input)| (i, clean(&raw, &input.rule, episodes))).collect::<Vec<_>>()
    };
    let mut cleaned: Vec<(usize, Cleaned)> = tags.into_par_iter().enumerate().flat_map_iter(of_tag).collect();
    cleaned.sort_by_key(|(i, _)| *i);
    cleaned.into_iter().map(|(_, cleaned)| cleaned).collect()
}

/// Whether the signal with the most samples is sampled at regular intervals.
fn is_regular(samples: &[&Samples]) -> bool {
    let longest = samples.iter().max_by_key(|s| s.time.len());
    longest.and_then(|s| typical_interval(&s.time)).is_some_and(|(_, share)| share >= REGULAR_SHARE)
}

/// Returns an error if the time stamps have no time zone although the plant is not in UTC.
fn require_zone(spec: &TwinSpec, without_zone: usize) -> Result<()> {
    let zone = spec.timezone.as_ref().map_or("UTC", |z| z.value.as_str());
    if without_zone == 0 || ["UTC", "Etc/UTC", "GMT"].contains(&zone) {
        return Ok(());
    }
    Err(Error::log(
        LogKey::Time,
        format!(
            "the time stamps in `{}` have no time zone, and the time zone of the plant is `{zone}`",
            spec.log.time.value
        ),
        format!("add `timezone = \"{zone}\"` to `log` if they are local times, or `timezone = \"UTC\"`"),
    ))
}

/// Returns an error if no signal has a usable sample.
fn require_samples(inputs: &[Input], cleaned: &[Cleaned]) -> Result<()> {
    if cleaned.iter().any(|c| !c.samples.value.is_empty()) {
        return Ok(());
    }
    let fault = |(input, c): (&Input, &Cleaned)| {
        let name = &input.rule.signal;
        let why: Vec<&str> = c.findings.iter().map(|f| f.note.as_str()).collect();
        let what = format!("`{name}` has no value in the whole log: {} rows, {}", c.read, why.join(", "));
        LogFault::new(LogKey::Signal(name.clone()), what, "correct the column, the good flags or `valid`")
    };
    Err(Error::Log(inputs.iter().zip(cleaned).map(fault).collect()))
}

/// Minimum number of steps of a log whose time unit was inferred, and the maximum number of steps between two of its
/// samples (not tuned).
const MIN_STEPS: usize = 10;
const MAX_STEPS_PER_SAMPLE: i64 = 1_000;

/// Returns an error if the time span of the log is implausible for the step. An implausible time span indicates that
/// the unit of the time stamps was not inferred correctly from the numbers.
fn require_plausible_span(grid: &Grid, samples: &[&Samples], unit: TimeUnit, spec: &TwinSpec) -> Result<()> {
    let rows = samples.iter().map(|s| s.time.len()).max().unwrap_or(0);
    let interval = samples.iter().filter_map(|s| typical_interval(&s.time)).map(|i| i.0).min().unwrap_or(0);
    let too_short = grid.steps < MIN_STEPS && rows > 5 * grid.steps;
    if !too_short && interval < MAX_STEPS_PER_SAMPLE.saturating_mul(grid.step) {
        return Ok(());
    }
    let time = |us: Option<i64>| us.map_or(String::new(), rfc3339);
    let first = time(samples.iter().filter_map(|s| s.time.first().copied()).min());
    let last = time(samples.iter().filter_map(|s| s.time.last().copied()).max());
    Err(Error::log(
        LogKey::Time,
        format!(
            "the numbers in `{}` were read as {}, so the log extends from {first} to {last}, with a sample every {}, although a step is {}",
            spec.log.time.value,
            unit.names().1,
            duration(interval),
            spec.step.value
        ),
        "correct `step`, or set `time_unit` in `log` to the unit of these numbers, like `time_unit = \"min\"`",
    ))
}

/// A signal that was resampled onto the grid.
struct ResampledInput {
    resampled: Resampled,
    hold_forever: bool,
}

/// The grid of the log and its segments.
struct OnGrid {
    grid: Grid,
    segments: Segments,
    /// The last step that contains a sample of any signal.
    last_step: usize,
    max_gap: i64,
}

impl OnGrid {
    fn start(&self) -> Result<Timestamp> {
        Timestamp::from_microsecond(self.grid.time(0))
            .map_err(|e| Error::Data(format!("the log begins outside the supported range of dates: {e}")))
    }

    fn resample(&self, input: &Input, cleaned: &Cleaned, is_long: bool) -> ResampledInput {
        let method = Method::new(&cleaned.samples, &input.rule, self.grid.step, is_long);
        let resampled = resample(&cleaned.samples, &self.grid, &self.segments.segments, &method);
        ResampledInput { resampled, hold_forever: method.hold_forever }
    }

    /// Creates the quality summary of the log, in which the signals and findings are still empty.
    fn quality(&self, files: &[LogFile], spec: &TwinSpec) -> Result<Quality> {
        Ok(Quality {
            sources: files.par_iter().map(LogFile::source).collect::<Result<_>>()?,
            start: rfc3339(self.grid.start),
            end: rfc3339(self.grid.time(self.grid.steps)),
            step: spec.step.to_string(),
            grid_steps: self.grid.steps,
            segments: self.segments.segments.len(),
            completeness: spec.log.completeness(),
            ..Quality::default()
        })
    }

    /// Adds one row for a signal to the quality table, and returns the findings about that signal.
    fn summarise(
        &self,
        input: &Input,
        cleaned: Cleaned,
        on_grid: &ResampledInput,
        schema: &Schema,
        quality: &mut Quality,
    ) -> Vec<Finding> {
        let signal = &schema.signals[input.signal];
        let row = signal_quality(signal, &cleaned, &on_grid.resampled, &self.segments, &self.grid);
        let mut findings = cleaned.findings;
        let resampled = ResampledSignal {
            name: &signal.name,
            how: input.rule.mapping.resample,
            samples: &cleaned.samples,
            resampled: &on_grid.resampled,
            hold_forever: on_grid.hold_forever,
            coverage: row.coverage,
        };
        resampling_findings(&resampled, &self.grid, self.last_step, self.max_gap, &mut findings);
        let is_required = matches!(signal.role, Role::State | Role::Output | Role::Control);
        if row.coverage == 0.0 || is_required && row.coverage < quality.completeness {
            quality.incomplete.push(signal.name.clone());
        }
        quality.signals.push(row);
        findings
    }
}
