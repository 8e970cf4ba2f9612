//! Uses the time span and the step to check whether the times of a log were read in the right unit.

use super::text::{duration, rfc3339};
use super::time::NumericTimes;
use crate::config::{TimeUnit, TwinSpec};
use crate::error::{LogFault, LogKey};

/// A log is too short for its step if it has fewer steps than this and many more rows than steps (not tuned).
const MIN_STEPS: i64 = 10;
/// Maximum number of steps between two samples (not tuned).
const MAX_STEPS_PER_SAMPLE: i64 = 1_000;
/// 1980-01-01 in µs. If all time stamps are before this date and the log is too short for its step, the time stamps
/// were probably read in the wrong unit.
const OLDEST: i64 = 315_532_800_000_000;

/// First and last time, number of distinct times, and typical interval (µs) of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub first: i64,
    pub last: i64,
    pub rows: usize,
    pub interval: i64,
}

/// A numeric time format that cannot be read.
struct Origin {
    /// Range of the numbers that correspond to plausible years for a log.
    range: std::ops::Range<f64>,
    /// Whether numbers in another format may also be in this range, so that this format is assumed only if the time
    /// span is implausible otherwise.
    ambiguous: bool,
    name: &'static str,
    /// Conversion to seconds since 1970.
    formula: &'static str,
}

const ORIGINS: [Origin; 5] = [
    Origin {
        range: 1.2e17..1.6e17,
        ambiguous: false,
        name: "Windows file times (100 ns since 1601)",
        formula: "number / 1e7 - 11644473600",
    },
    Origin {
        range: 6.2e17..6.7e17,
        ambiguous: false,
        name: ".NET ticks (100 ns since the year 1)",
        formula: "number / 1e7 - 62135596800",
    },
    Origin {
        range: 2.8e9..4.2e9,
        ambiguous: false,
        name: "seconds since 1904, as used by LabVIEW",
        formula: "number - 2082844800",
    },
    Origin {
        range: 7.2e5..7.8e5,
        ambiguous: true,
        name: "MATLAB date numbers (days since the year 0)",
        formula: "(number - 719529) * 86400",
    },
    Origin { range: 2.43e6..2.5e6, ambiguous: true, name: "Julian dates", formula: "(number - 2440587.5) * 86400" },
];

/// Returns the fault if the time span of the log is implausible for the step.
pub(super) fn implausible(span: &Span, numbers: Option<NumericTimes>, spec: &TwinSpec) -> Option<LogFault> {
    let step = spec.step.ms().saturating_mul(1_000).max(1);
    let steps = (span.last - span.first) / step + 1;
    let too_short = steps < MIN_STEPS && span.rows as i64 > 5 * steps;
    let too_long = span.interval >= MAX_STEPS_PER_SAMPLE.saturating_mul(step);
    let column = &spec.log.time.value;
    let (first, last) = (rfc3339(span.first), rfc3339(span.last));
    let fault = |what: String, help: String| Some(LogFault::new(LogKey::Time, what, help));
    let Some(NumericTimes { unit, given, min, max, .. }) = numbers else {
        let what = format!(
            "the {} times in `{column}` lie between {first} and {last}, which is implausible for a step of {}",
            span.rows, spec.step.value
        );
        let help = "export the times again; numbers were probably converted to times in the wrong unit";
        return if too_short && span.last < OLDEST { fault(what, help.into()) } else { None };
    };
    let is_origin = |o: &&Origin| {
        o.range.contains(&min) && o.range.contains(&max) && (too_short || !o.ambiguous) && unit.us().is_some()
    };
    if let Some(origin) = ORIGINS.iter().find(is_origin).filter(|_| !given) {
        let what = format!("the numbers in `{column}`, from {min} to {max}, look like {}", origin.name);
        let help = format!("export ISO 8601 text, or seconds since 1970 ({})", origin.formula);
        return fault(what, help);
    }
    if !too_short && !too_long {
        return None;
    }
    let what = format!(
        "the numbers in `{column}` were read as {}, so the log extends from {first} to {last}, with a sample every {}, although a step is {}",
        unit.names().1,
        duration(span.interval),
        spec.step.value
    );
    let by_unit = unit.us().map(|us| span.interval as f64 / us);
    let fits = |u: &TimeUnit| {
        let interval = by_unit.zip(u.us()).map(|(number, us)| number * us);
        *u != unit && interval.is_some_and(|i| (i - step as f64).abs() <= 0.01 * step as f64)
    };
    let help = match [TimeUnit::Ms, TimeUnit::S, TimeUnit::Min, TimeUnit::H, TimeUnit::D].into_iter().find(fits) {
        Some(other) => {
            format!("set `time_unit = \"{}\"` in `log`, with which there is one sample per step", other.names().0)
        }
        None if by_unit == Some(1.0) => {
            "set `time_unit` in `log` to the unit of these numbers, or export times if the numbers only count the rows"
                .into()
        }
        None => "correct `step`, or set `time_unit` in `log` to the unit of these numbers, like `time_unit = \"min\"`"
            .into(),
    };
    fault(what, help)
}
