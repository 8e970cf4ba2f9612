//! Reads the files of a log into a clean, regular trajectory.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::calendar;
use super::censored::censor;
use super::clean::{Cleaned, clean};
use super::clock::REGULAR_SHARE;
use super::episodes::{Episodes, episodes};
use super::excluded::Excluded;
use super::footer::{self, LogFile};
use super::grid::{Grid, grid, steps_with_samples};
use super::input::{Input, inputs};
use super::kind::contradiction;
use super::long_gaps::{Files, long_gaps};
use super::occurrences::Occurrences;
use super::operating_hours::{is_relative, operating_hours};
use super::quality::{Finding, FindingAction, FindingClass, Quality};
use super::resample::{Method, Resampled, resample};
use super::scan::{RawSamples, Scan};
use super::segments::{Segments, split};
use super::selection;
use super::stamps::move_to_start;
use super::store::Kept;
use super::summary::{ResampledSignal, merge_shared, resampling_findings, segment_findings, signal_quality};
use super::text::rfc3339;
use super::time::NumericTimes;
use super::time_span::{Span, implausible};
use super::weekdays::FreeDays;
use super::window::plausible_window;
use crate::config::{Stamps, TwinSpec};
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
/// [`Error::NoInput`] if no file matches or a file cannot be opened. [`Error::Log`] if a setting in `twin.toml` does
/// not match the log, for example because a column is missing. [`Error::Data`] if a file is damaged, if no row is
/// usable, if episodes overlap in time, or if the time stamps span too many steps.
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
    let scan = selection::read(&files, &spec.log, &columns)?;
    let Scan { mut tags, labels, mut findings, long: is_long, own_times, numbers, without_zone, .. } = scan;
    // The findings of the readers contain column names. Each finding is reported for all signals that read the column.
    findings = findings.into_iter().flat_map(|f| by_signal(f, &inputs)).collect();
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
    let excluded = Excluded::new(spec)?;
    findings.extend(excluded.drop(&mut tags)?);
    let window = plausible_window(&tags, own_times);
    inputs.iter_mut().for_each(|i| i.rule.window = window);
    let episodes = episodes(&tags, own_times, &labels, spec, max_gap, &mut findings)?;

    let lengths = Files::new(&tags);
    let cleaned = clean_all(tags, &inputs, episodes.as_ref(), is_long);
    require_samples(&inputs, &cleaned)?;
    let contradictions = inputs.par_iter().zip(&cleaned).filter_map(|(i, c)| contradiction(&c.samples, &i.rule));
    let contradictions: Vec<LogFault> = contradictions.collect();
    if !contradictions.is_empty() {
        return Err(Error::Log(contradictions));
    }
    let samples: Vec<&Kept> = cleaned.iter().map(|c| &c.samples).collect();
    require_plausible_span(&samples, numbers, spec)?;
    let longest = samples.iter().max_by_key(|s| s.len()).map(|s| s.store.time()).unwrap_or_default();
    let free = FreeDays::new(&longest, calendar::zone(spec)?);
    drop(longest);
    let grid = grid(&samples, inputs.iter().any(|i| i.rule.is_event()), step, spec, &free, &mut findings)?;
    // If all signals are events, or if the rows of a wide log are irregular because they are events, a step without a
    // row is not a gap.
    let continuous: Vec<&Kept> =
        inputs.iter().zip(&samples).filter(|(i, _)| !i.rule.is_event()).map(|(_, s)| *s).collect();
    let of_events = !is_long && continuous.len() < inputs.len() && !is_regular(&samples);
    let no_gaps = continuous.is_empty() || of_events;
    let own = steps_with_samples(if no_gaps { &samples } else { &continuous }, &grid);
    findings.extend(long_gaps(&own, &grid, max_gap, lengths, &free, !no_gaps));
    let steps_with_samples = if no_gaps { vec![true; grid.steps] } else { own };
    let mut segments = split(&grid, &steps_with_samples, episodes.as_ref(), max_gap);
    excluded.steps(&grid).into_iter().for_each(|steps| segments.remove(steps));
    segment_findings(&segments, &grid, episodes.as_ref(), spec, max_gap, &mut findings);

    let last_step = steps_with_samples.iter().rposition(|a| *a).unwrap_or(0);
    let free = free.list().filter(|_| step >= DAY_US && max_gap > step);
    if let Some(days) = &free {
        let other = match step {
            DAY_US => {
                ", and otherwise split the log at these days with `max_gap = \"1d\"`, or continue the last value with `resample = \"hold\"`"
            }
            _ => "",
        };
        let text = format!("no rows on {days}; for amounts that are 0 on these days, write `empty = 0`{other}");
        let all = Occurrences::between(grid.steps, grid.time(0), grid.time(grid.steps));
        findings.extend(all.finding("", FindingClass::FreeDays, FindingAction::Kept, text));
    }
    let on_grid = OnGrid { last_step, grid, segments, max_gap, free };
    let mut resampled: Vec<ResampledInput> =
        inputs.par_iter().zip(&cleaned).map(|(i, c)| on_grid.resample(i, c, is_long)).collect();
    let mut trajectory = Trajectory::empty(Arc::clone(schema), on_grid.start()?, spec.step.ms(), on_grid.grid.steps, 1);
    trajectory.segments = on_grid.segments.segments.clone();
    trajectory.set_bounds(on_grid.grid.bounds.iter().map(|us| us.div_euclid(1_000)).collect());
    let mut quality = on_grid.quality(&files, spec)?;
    let mut of_signals = Vec::new();
    for s in &spec.signals {
        if let (Some(value), Some(signal)) = (&s.value.value, schema.find(&s.value.name)) {
            trajectory.columns[signal].fill(value.value);
        }
    }
    for (input, r) in inputs.iter().zip(&mut resampled) {
        trajectory.columns[input.signal] = std::mem::take(&mut r.resampled.value);
    }
    let of_inputs = inputs.iter().map(|i| i.signal).zip(resampled.iter_mut().map(|r| &mut r.resampled));
    censor(spec, schema, &mut trajectory, of_inputs)?;
    for ((input, c), mut r) in inputs.iter().zip(cleaned).zip(resampled) {
        r.resampled.value = std::mem::take(&mut trajectory.columns[input.signal]);
        of_signals.extend(on_grid.summarise(input, c, &r, schema, &mut quality));
        trajectory.columns[input.signal] = r.resampled.value;
    }
    findings.extend(relative_times(&trajectory, numbers, spec));
    quality.closed = operating_hours(&trajectory, spec)?.map_or_else(String::new, |hours| hours.text());
    findings.extend(merge_shared(&of_signals, inputs.len()));
    findings.sort_by_key(|f| !f.signal.is_empty());
    quality.findings = findings;
    Ok((trajectory, quality))
}

/// The finding about a log whose times are not dates.
fn relative_times(log: &Trajectory, numbers: Option<NumericTimes>, spec: &TwinSpec) -> Option<Finding> {
    let (first, last) = (log.time(0), log.time(log.steps));
    let unit = numbers.map_or_else(String::new, |n| format!("numbers in {}, ", n.unit.names().1));
    let note = format!(
        "the times in `{}` are {unit}from {first} to {last}, so they are not dates but are counted from an unknown start; \
         dates, weekdays and seasons in results have no meaning, and times of day count from the start; export dates if \
         they matter, or correct `time_unit` in `log` if the numbers count another unit",
        spec.log.time.value
    );
    let all = Occurrences::between(log.steps, first.as_microsecond(), last.as_microsecond());
    is_relative(last).then(|| all.finding("", FindingClass::RelativeTimes, FindingAction::Kept, note))?
}

/// Returns the finding of a column once for each signal that reads the column.
fn by_signal(finding: Finding, inputs: &[Input]) -> Vec<Finding> {
    let readers = inputs.iter().filter(|i| !finding.signal.is_empty() && i.rule.mapping.column == finding.signal);
    let of_signal = |i: &Input| Finding { signal: i.rule.signal.clone(), ..finding.clone() };
    let out: Vec<Finding> = readers.map(of_signal).collect();
    if out.is_empty() { vec![Finding { signal: String::new(), ..finding }] } else { out }
}

/// The clean samples of every input, compressed if the log is in long format. The raw samples of a tag are freed as
/// soon as all inputs that use the tag have been cleaned, because a large log can have many samples.
fn clean_all(
    tags: Vec<RawSamples>,
    inputs: &[Input],
    episodes: Option<&Episodes>,
    is_long: bool,
) -> Vec<Cleaned<Kept>> {
    let of_tag = |(column, raw): (usize, RawSamples)| {
        let own = inputs.iter().enumerate().filter(|(_, input)| input.column == column);
        own.map(|(i, input)| (i, clean(&raw, &input.rule, episodes).stored(is_long))).collect::<Vec<_>>()
    };
    let mut cleaned: Vec<(usize, Cleaned<Kept>)> = tags.into_par_iter().enumerate().flat_map_iter(of_tag).collect();
    cleaned.sort_by_key(|(i, _)| *i);
    cleaned.into_iter().map(|(_, cleaned)| cleaned).collect()
}

/// Returns the column that distinguishes the entities whose rows alternate in a wide log, if there is one.
///
/// # Errors
/// Returns the same errors as [`read()`] if the log cannot be read.
pub fn alternating(dir: &Path, spec: &TwinSpec, schema: &Schema) -> Result<Option<String>> {
    let files = footer::open(dir, &spec.log)?;
    selection::alternating(&files, &spec.log, &inputs(spec, schema, 0)?.1)
}

const DAY_US: i64 = 86_400_000_000;

/// Whether the signal with the most samples is sampled at regular intervals.
fn is_regular(samples: &[&Kept]) -> bool {
    let longest = samples.iter().max_by_key(|s| s.len());
    longest.and_then(|s| s.typical).is_some_and(|(_, share)| share >= REGULAR_SHARE)
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
fn require_samples(inputs: &[Input], cleaned: &[Cleaned<Kept>]) -> Result<()> {
    if cleaned.iter().any(|c| c.samples.len() > 0) {
        return Ok(());
    }
    let fault = |(input, c): (&Input, &Cleaned<Kept>)| {
        let name = &input.rule.signal;
        let why: Vec<&str> = c.findings.iter().map(|f| f.note.as_str()).collect();
        let what = format!("`{name}` has no value in the whole log: {} rows, {}", c.read, why.join(", "));
        LogFault::new(LogKey::Signal(name.clone()), what, "correct the column, the good flags or `valid`")
    };
    Err(Error::Log(inputs.iter().zip(cleaned).map(fault).collect()))
}

/// Returns an error if the time span of the log is implausible for the step.
fn require_plausible_span(samples: &[&Kept], numbers: Option<NumericTimes>, spec: &TwinSpec) -> Result<()> {
    let (Some(first), Some(last)) =
        (samples.iter().filter_map(|s| s.first).min(), samples.iter().filter_map(|s| s.last).max())
    else {
        return Ok(());
    };
    let rows = samples.iter().map(|s| s.len()).max().unwrap_or(0);
    let interval = samples.iter().filter_map(|s| s.typical).map(|i| i.0).min().unwrap_or(0);
    let fault = implausible(&Span { first, last, rows, interval }, numbers, spec);
    fault.map_or(Ok(()), |fault| Err(Error::Log(vec![fault])))
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
    /// The weekdays on which the log has no rows, if a step is at least one day long.
    free: Option<String>,
}

impl OnGrid {
    fn start(&self) -> Result<Timestamp> {
        Timestamp::from_microsecond(self.grid.time(0))
            .map_err(|e| Error::Data(format!("the log begins outside the supported range of dates: {e}")))
    }

    fn resample(&self, input: &Input, cleaned: &Cleaned<Kept>, is_long: bool) -> ResampledInput {
        let samples = cleaned.samples.store.samples();
        let method = Method::new(&samples, &input.rule, self.grid.step, is_long);
        let resampled = resample(&samples, &self.grid, &self.segments.segments, &method);
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
        cleaned: Cleaned<Kept>,
        on_grid: &ResampledInput,
        schema: &Schema,
        quality: &mut Quality,
    ) -> Vec<Finding> {
        let signal = &schema.signals[input.signal];
        let row = signal_quality(signal, &cleaned, &on_grid.resampled, &self.segments, &self.grid);
        let mut findings = cleaned.findings;
        let resampled = ResampledSignal {
            name: &signal.name,
            unit: &input.rule.unit,
            how: input.rule.mapping.resample,
            kind: input.rule.mapping.kind,
            partial: input.rule.mapping.partial,
            samples: &cleaned.samples,
            resampled: &on_grid.resampled,
            hold_forever: on_grid.hold_forever,
            coverage: row.coverage,
            free: self.free.as_deref(),
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
