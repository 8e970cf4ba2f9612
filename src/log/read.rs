//! Reads the files of a log into a clean, regular trajectory.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use super::clean::{Cleaned, clean};
use super::episodes::episodes;
use super::footer::{self, LogFile};
use super::grid::{Grid, grid, steps_with_samples};
use super::input::{Input, inputs};
use super::quality::{Finding, Quality};
use super::resample::{Resampled, resample};
use super::samples::Samples;
use super::scan::Scan;
use super::segments::{Segments, split};
use super::summary::{ResampledSignal, merge_shared, resampling_findings, segment_findings, signal_quality};
use super::text::rfc3339;
use super::window::plausible_window;
use super::{long, wide};
use crate::config::{Resample, TwinSpec};
use crate::error::{Error, Result};
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
/// [`Error::NoInput`] if no file matches or a file cannot be opened. [`Error::Data`] if a file is damaged, if a column
/// or tag is missing or has the wrong type, if no row is usable, if episodes overlap in time, or if the time stamps
/// span too many steps.
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
    let Scan { tags, labels, mut findings, long: is_long } = scan;
    let window = plausible_window(&tags, is_long);
    inputs.iter_mut().for_each(|i| i.rule.window = window);
    let episodes = episodes(&tags, is_long, &labels, spec, max_gap, &mut findings)?;

    let cleaned: Vec<Cleaned> = inputs.par_iter().map(|i| clean(&tags[i.column], &i.rule, episodes.as_ref())).collect();
    drop(tags);
    let samples: Vec<&Samples> = cleaned.iter().map(|c| &c.samples).collect();
    let grid = grid(&samples, step, spec, &mut findings)?;
    let steps_with_samples = steps_with_samples(&samples, &grid);
    let segments = split(&grid, &steps_with_samples, episodes.as_ref(), max_gap);
    segment_findings(&segments, &grid, episodes.as_ref(), spec, max_gap, &mut findings);

    let on_grid =
        OnGrid { last_step: steps_with_samples.iter().rposition(|a| *a).unwrap_or(0), grid, segments, max_gap };
    let resampled: Vec<ResampledInput> =
        inputs.par_iter().zip(&cleaned).map(|(i, c)| on_grid.resample(i, c, is_long)).collect();
    let mut trajectory = Trajectory::empty(Arc::clone(schema), on_grid.start()?, spec.step.ms(), on_grid.grid.steps, 1);
    trajectory.segments = on_grid.segments.segments.clone();
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
        Timestamp::from_microsecond(self.grid.start)
            .map_err(|e| Error::Data(format!("the log begins outside the supported range of dates: {e}")))
    }

    fn resample(&self, input: &Input, cleaned: &Cleaned, is_long: bool) -> ResampledInput {
        let (how, samples) = (input.rule.mapping.resample, &cleaned.samples);
        let hold_forever = is_long && how == Resample::Hold && samples.is_logged_on_change(self.max_gap);
        let resampled = resample(samples, &self.grid, &self.segments.segments, how, self.max_gap, hold_forever);
        ResampledInput { resampled, hold_forever }
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
        let row = signal_quality(signal, &cleaned, &on_grid.resampled, &self.segments);
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
        if is_required && row.coverage < quality.completeness {
            quality.incomplete.push(signal.name.clone());
        }
        quality.signals.push(row);
        findings
    }
}
