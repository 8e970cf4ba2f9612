//! The quality of a log: the faults that were found and how each was handled. This module contains plain data for
//! `inspect`, the report and the registry.

use serde::{Deserialize, Serialize};

use super::text::percent;
use crate::error::{Error, Result, plural};

/// One input file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFile {
    pub file: String,
    pub rows: usize,
    /// BLAKE3 hash of the file, in hex.
    pub hash: String,
}

/// All occurrences of one class of fault in one signal, or in the timeline if `signal` is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub signal: String,
    pub class: FindingClass,
    pub count: usize,
    /// Times of the first and last occurrence (UTC, RFC 3339), or empty if the fault has no times.
    pub first: String,
    pub last: String,
    pub action: FindingAction,
    /// One-sentence explanation for the user.
    pub note: String,
}

/// The class of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingClass {
    // Faults of the timeline.
    /// Rows whose time cannot be read.
    BadTime,
    /// A few rows whose times are years away from those of all other rows.
    StrayTime,
    /// Rows that are not in chronological order.
    OutOfOrder,
    /// The clock was set forward or back.
    ClockStep,
    /// Times in the hour that occurs twice when summer time ends.
    DstFold,
    /// Times in the hour that is skipped when summer time begins.
    DstGap,
    /// Time stamps slightly before or after the start of a step.
    Jitter,
    /// A period without samples, either of one signal or of all signals.
    Gap,
    /// Changes from one episode to the next.
    Episode,
    /// Rows of an episode that begins before another episode ends.
    EpisodeOverlap,
    /// A column is missing from some files.
    SchemaChange,
    // Faults of a signal.
    /// Rows without a value.
    Missing,
    /// NaN or infinity.
    NotFinite,
    /// Samples that the historian marked as bad.
    BadFlag,
    /// Impossible values.
    OutOfRange,
    /// Rows that repeat both the time stamp and the value of another row.
    Duplicate,
    /// Rows that repeat the time stamp of another row with a different value.
    DuplicateConflict,
    /// A value that stays exactly the same for an unusually long time.
    FlatLine,
    /// A signal that never changes.
    Constant,
    /// Values that seem to be in another unit.
    UnitJump,
    /// Isolated samples that differ greatly from their neighbours.
    RateOfChange,
    /// A counter that restarted.
    Rollover,
    /// The signal has no samples at the end of the log.
    Stale,
    /// Fewer samples than steps.
    SlowSamples,
    /// A tag that is logged only when its value changes.
    ReportOnChange,
    /// Numbers in the time column, whose unit was inferred.
    TimeUnit,
    /// Values that are repeated until the next measurement of a slow sensor.
    Oversampled,
    /// Samples with a value that is far from all other values, and that a logger writes if the sensor cannot be read.
    Dropout,
    /// A signal that only rises.
    Counter,
    /// Restarts and faulty readings of a signal with `kind = "counter"`.
    CounterRestart,
    /// Implausible rises of a signal with `kind = "counter"`.
    CounterJump,
    /// Increases of a counter between readings that are far apart.
    CounterGap,
    /// Rows that seem to belong to several devices.
    Interleaved,
    /// The interval between the amounts of a signal changes.
    IntervalChange,
    /// Time stamps without a time zone, which were read as UTC.
    TimeZone,
    /// Steps that are only partly covered by samples.
    PartialStep,
    /// Steps without a row, which get the value of the setting `empty`.
    EmptyStep,
    /// Events with equal time stamps, whose values were added.
    Events,
    /// Steps whose values are only lower bounds.
    Censored,
    /// Rows outside the part of the log that is used.
    Excluded,
    /// Weekdays on which the log never has rows.
    FreeDays,
    /// Time stamps that seem to mark the end of an interval.
    EndStamps,
    /// A long period in which no signal has a sample, perhaps because a file is missing.
    LongGap,
    /// Times that are counted from an unknown start, so that dates and weekdays have no meaning.
    RelativeTimes,
}

impl FindingClass {
    /// Returns the name that is used in text and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadTime => "bad-time",
            Self::StrayTime => "stray-time",
            Self::OutOfOrder => "out-of-order",
            Self::ClockStep => "clock-step",
            Self::DstFold => "dst-fold",
            Self::DstGap => "dst-gap",
            Self::Jitter => "jitter",
            Self::Gap => "gap",
            Self::Episode => "episode",
            Self::EpisodeOverlap => "episode-overlap",
            Self::SchemaChange => "schema-change",
            Self::Missing => "missing",
            Self::NotFinite => "not-finite",
            Self::BadFlag => "bad-flag",
            Self::OutOfRange => "out-of-range",
            Self::Duplicate => "duplicate",
            Self::DuplicateConflict => "duplicate-conflict",
            Self::FlatLine => "flat-line",
            Self::Constant => "constant",
            Self::UnitJump => "unit-jump",
            Self::RateOfChange => "rate-of-change",
            Self::Rollover => "rollover",
            Self::Stale => "stale",
            Self::SlowSamples => "slow-samples",
            Self::ReportOnChange => "report-on-change",
            Self::TimeUnit => "time-unit",
            Self::Oversampled => "oversampled",
            Self::Dropout => "dropout",
            Self::Counter => "counter",
            Self::CounterRestart => "counter-restart",
            Self::CounterJump => "counter-jump",
            Self::CounterGap => "counter-gap",
            Self::Interleaved => "interleaved",
            Self::IntervalChange => "interval-change",
            Self::TimeZone => "time-zone",
            Self::PartialStep => "partial-step",
            Self::EmptyStep => "empty-step",
            Self::Events => "events",
            Self::Censored => "censored",
            Self::Excluded => "excluded",
            Self::FreeDays => "free-days",
            Self::EndStamps => "end-stamps",
            Self::LongGap => "long-gap",
            Self::RelativeTimes => "relative-times",
        }
    }
}

/// How a fault was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingAction {
    /// The affected samples were not used.
    Dropped,
    /// The last value was held.
    Held,
    /// Values were interpolated.
    Interpolated,
    /// The samples were used unchanged.
    Kept,
    /// The rows were sorted.
    Sorted,
    /// The log was split at the position of the fault.
    Split,
    /// Missing values were replaced by a given value.
    Filled,
}

impl FindingAction {
    /// Returns the name that is used in text and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Held => "held",
            Self::Interpolated => "interpolated",
            Self::Kept => "kept",
            Self::Sorted => "sorted",
            Self::Split => "split",
            Self::Filled => "filled",
        }
    }
}

/// How much a control moved in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excitation {
    pub moves: usize,
    /// Standard deviation divided by the range between the hard limits, or by the logged range if there are no hard
    /// limits.
    #[serde(with = "or_null")]
    pub spread: f64,
    /// The 1st and 99th percentiles of the control.
    #[serde(with = "or_null")]
    pub low: f64,
    #[serde(with = "or_null")]
    pub high: f64,
    /// `false` if the control never moved, so that its effect cannot be learned.
    pub learnable: bool,
}

/// The row of one signal in the quality table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalQuality {
    pub signal: String,
    pub unit: String,
    /// Number of samples in the files, and how many of them were dropped.
    pub samples: usize,
    pub dropped: usize,
    /// Numbers of grid steps with a held, interpolated or missing value, counted within the segments.
    pub held: usize,
    pub interpolated: usize,
    pub missing: usize,
    /// Fraction of steps with a value among all grid steps within the segments.
    pub coverage: f64,
    /// NaN (null in JSON) if the signal has no value.
    #[serde(with = "or_null")]
    pub min: f64,
    #[serde(with = "or_null")]
    pub mean: f64,
    #[serde(with = "or_null")]
    pub max: f64,
    pub excitation: Option<Excitation>,
}

/// The quality of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub sources: Vec<SourceFile>,
    /// Start of the first step and end of the last step (UTC, RFC 3339).
    pub start: String,
    pub end: String,
    pub step: String,
    pub grid_steps: usize,
    pub segments: usize,
    pub signals: Vec<SignalQuality>,
    pub findings: Vec<Finding>,
    /// Signals below the required completeness. Models may be fitted only if the list of incomplete signals is empty.
    pub incomplete: Vec<String>,
    /// Minimum fraction of steps in which each learned signal and each control must have a value.
    #[serde(default)]
    pub completeness: f64,
    /// The hours of the week in which the log never has measured values, such as `on Saturday and Sunday`; empty if
    /// there are none.
    #[serde(default)]
    pub closed: String,
}

impl Quality {
    /// Returns an error if values of a learned signal or a control are missing in too many steps.
    ///
    /// # Errors
    /// [`Error::Data`] with advice and an explanation for each incomplete signal.
    pub fn require_complete(&self) -> Result<()> {
        if self.incomplete.is_empty() {
            return Ok(());
        }
        let mut text = format!(
            "the log is too incomplete to learn from ({}):",
            plural(self.incomplete.len(), "signal", "signals")
        );
        for name in &self.incomplete {
            text.push_str(&format!("\n  {}", self.explain_incomplete(name)));
        }
        text.push_str("\n  repair or exclude bad parts of the log, choose another signal, or lower `log.completeness`");
        Err(Error::Data(text))
    }
}

impl Quality {
    /// Whether the times are counted from an unknown start.
    pub fn has_relative_times(&self) -> bool {
        self.findings.iter().any(|f| f.class == FindingClass::RelativeTimes)
    }

    /// Explains why the signal `name` is in the list of incomplete signals.
    pub fn explain_incomplete(&self, name: &str) -> String {
        let signal = self.signals.iter().find(|s| s.signal == name);
        let mut text = match signal {
            Some(s) if s.coverage > 0.0 => format!(
                "`{name}` has a value in {} of the steps, but {} are required",
                percent(s.coverage),
                percent(self.completeness)
            ),
            Some(s) => format!("`{name}` has no value in the whole log ({} samples)", s.samples),
            None => format!("`{name}` has no value in the whole log"),
        };
        let findings = self.findings.iter().filter(|f| f.signal == name || f.class == FindingClass::FreeDays);
        let order = [FindingClass::SlowSamples, FindingClass::FreeDays];
        let rank = |f: &Finding| order.iter().rposition(|c| *c == f.class);
        if let Some(f) = findings.max_by_key(|f| (rank(f), f.count)) {
            text.push_str(&format!("; {}: {}", f.class.as_str(), f.note));
        }
        text
    }

    /// Returns the findings about data that are probably wrong but are used, or about rows that were lost.
    pub fn suspicions(&self) -> impl Iterator<Item = &Finding> {
        use FindingClass as C;
        let lost =
            [C::BadTime, C::StrayTime, C::DuplicateConflict, C::ClockStep, C::CounterJump, C::CounterGap, C::LongGap];
        let used = [
            C::OutOfRange,
            C::UnitJump,
            C::RateOfChange,
            C::Rollover,
            C::Counter,
            C::Dropout,
            C::Oversampled,
            C::Interleaved,
            C::IntervalChange,
            C::TimeUnit,
            C::EmptyStep,
            C::EndStamps,
            C::RelativeTimes,
            C::TimeZone,
        ];
        let complete = |f: &Finding| self.signals.iter().any(|s| s.signal == f.signal && s.coverage == 1.0);
        // Files may have different columns if they cover the same time.
        let absent = move |f: &Finding| f.class == C::SchemaChange && !complete(f);
        let kept = move |f: &&Finding| f.action == FindingAction::Kept && used.contains(&f.class) || absent(f);
        self.findings.iter().filter(move |f| lost.contains(&f.class) || kept(f))
    }
}

impl Finding {
    /// Returns the finding as one sentence.
    pub fn sentence(&self) -> String {
        let signal = if self.signal.is_empty() { String::new() } else { format!("{}: ", self.signal) };
        format!("{signal}{} ({}): {}", self.class.as_str(), self.count, self.note)
    }
}

/// Writes NaN as null in text formats, which cannot represent NaN, and as NaN in binary formats.
mod or_null {
    use serde::{Deserialize, Deserializer, Serializer};

    // serde requires this signature.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() && !v.is_finite() { s.serialize_none() } else { s.serialize_f64(*v) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        if d.is_human_readable() { Ok(Option::deserialize(d)?.unwrap_or(f64::NAN)) } else { f64::deserialize(d) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A log with an incomplete signal and a control that never moves.
    pub fn quality() -> Quality {
        let signal = |name: &str, coverage, excitation| SignalQuality {
            signal: name.into(),
            unit: "degC".into(),
            samples: 100,
            dropped: 1,
            held: 0,
            interpolated: 0,
            missing: 3,
            coverage,
            min: f64::NAN,
            mean: 21.25,
            max: 1234.5678,
            excitation,
        };
        let still = Excitation { moves: 0, spread: 0.0, low: 20.0, high: 20.0, learnable: false };
        Quality {
            signals: vec![signal("inlet", 0.5, None), signal("setpoint", 1.0, Some(still))],
            incomplete: vec!["inlet".into()],
            completeness: 0.8,
            ..Quality::default()
        }
    }

    #[test]
    fn an_incomplete_log_is_refused_with_the_coverage_of_each_signal() {
        let e = quality().require_complete().unwrap_err();
        assert_eq!(e.exit_code(), 65);
        assert!(e.to_string().contains("`inlet` has a value in 50 % of the steps, but 80 % are required"), "{e}");
        assert!(Quality::default().require_complete().is_ok());
    }

    #[test]
    fn nan_is_null_in_json() {
        let q = quality();
        let json = serde_json::to_string(&q).unwrap();
        assert!(json.contains("\"min\":null"));
        let back: Quality = serde_json::from_str(&json).unwrap();
        assert!(back.signals[0].min.is_nan() && back.signals[0].mean == 21.25);
        let bytes = postcard::to_allocvec(&q).unwrap();
        assert!(postcard::from_bytes::<Quality>(&bytes).unwrap().signals[0].min.is_nan());
    }

    #[test]
    fn classes_and_actions_have_the_same_name_in_text_and_json() {
        for class in [FindingClass::BadTime, FindingClass::DstFold, FindingClass::ReportOnChange] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        assert_eq!(serde_json::to_value(FindingAction::Held).unwrap(), FindingAction::Held.as_str());
    }
}
