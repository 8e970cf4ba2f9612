//! Warnings about the data, the drivers and the promise of a verification.

use crate::log::FindingClass;
use crate::ops::plant::Source;
use crate::period::Period;
use crate::value::Kpi;
use crate::verify::{FrozenBaseline, Intervals, MIN_MEASURED, Outlier, PromiseCheck, Saving, Shift};

/// Maximum number of unusual weeks and days that the warnings list.
const MAX_OUTLIERS: usize = 6;

/// Findings about the quality of the log that concern the KPI or a driver.
pub(super) fn doubts(source: &Source, kpi: &Kpi, drivers: &[String]) -> Vec<String> {
    let read: Vec<&str> = kpi.reads().iter().map(|s| source.schema.signals[*s].name.as_str()).collect();
    let flat = source.quality.findings.iter().filter(|f| f.class == FindingClass::FlatLine);
    let all = source.quality.suspicions().chain(flat);
    let found = all.filter(|f| read.contains(&f.signal.as_str()) || drivers.contains(&f.signal));
    found.map(|f| format!("`{}`: {} ({}, {} to {})", f.signal, f.note, f.count, f.first, f.last)).collect()
}

/// Warnings about periods that the log does not fully cover, and about periods in the wrong order.
pub(super) fn outside_log(intervals: &Intervals, baseline: &Period, reporting: &Period) -> Vec<String> {
    let mut out = Vec::new();
    let (Some(first), Some(last)) = (intervals.start.first(), intervals.end.last()) else { return out };
    for (name, period) in [("baseline", baseline), ("reporting", reporting)] {
        if period.from < *first || period.to > *last {
            out.push(format!("the log, which covers {first} to {last}, contains only a part of the {name} period"));
        }
    }
    if reporting.from < baseline.from {
        out.push("the reporting period is before the baseline period".to_owned());
    }
    out
}

/// Warnings about the drivers and the intervals of the saving.
pub(super) fn about_saving(frozen: &FrozenBaseline, saving: &Saving) -> Vec<String> {
    let mut out = Vec::new();
    if frozen.drivers.is_empty() {
        out.push(
            "the adjusted baseline depends on the calendar only, because the twin has no disturbances; weather and load \
             are not accounted for"
                .to_owned(),
        );
    }
    if saving.outside > 0.0 {
        let percent = (100.0 * saving.outside).ceil();
        out.push(format!(
            "in {percent} % of the reporting period, a driver is outside its range in the baseline period, so the adjusted \
             baseline is extrapolated"
        ));
    }
    let missing = saving.all_intervals - saving.intervals;
    if missing > 0 {
        out.push(format!(
            "{missing} of {} intervals of the reporting period are missing, incomplete or left out by `--events`; the saving \
             covers only the other intervals{}",
            saving.all_intervals,
            match (saving.intervals as f64) < MIN_MEASURED * saving.all_intervals as f64 {
                true => ", which are too few for a verified saving",
                false => "",
            }
        ));
    }
    out
}

/// A doubt about a saving that changed within the reporting period.
pub(super) fn changed(shift: &Shift, unit: &str) -> String {
    let number = |v: f64| format!("{v:.3e}").parse::<f64>().map_or_else(|_| v.to_string(), |v| v.to_string());
    format!(
        "from {} on, the saving is {} {unit} per day, and {} {unit} per day before. If the cause is unrelated to the \
         measure, add an `[[event]]` with the period and a reason to the file of `--events`; if the measure began on this \
         day, move the start of the reporting period",
        shift.date,
        number(shift.after),
        number(shift.before)
    )
}

/// Warnings about unusual weeks and days, largest errors first.
pub(super) fn unusual(found: &[Outlier]) -> Vec<String> {
    let mut found: Vec<&Outlier> = found.iter().collect();
    found.sort_by(|a, b| b.excess.abs().total_cmp(&a.excess.abs()));
    let text = |o: &&Outlier| {
        let period = if o.reporting { "reporting" } else { "baseline" };
        let percent = (100.0 * o.excess.abs()).round();
        let direction = if o.excess > 0.0 { "above" } else { "below" };
        let (when, holiday) = if o.from == o.to {
            (format!("on {}", o.from), " If the day is a public holiday, add it to `holidays` in that file instead.")
        } else {
            (format!("from {} to {}", o.from, o.to), "")
        };
        format!(
            "{when} in the {period} period, the use is {percent} % of the adjusted baseline {direction} its usual level. If \
             the cause is unrelated to the change, add an `[[event]]` with `period = \"{}..{}\"` and a reason to the file of \
             `--events`.{holiday}",
            o.from, o.to
        )
    };
    let mut out: Vec<String> = found.iter().take(MAX_OUTLIERS).map(text).collect();
    if found.len() > MAX_OUTLIERS {
        out.push(format!("{} more weeks or days have unusual use", found.len() - MAX_OUTLIERS));
    }
    out
}

/// Warnings that limit the comparison of a promise with the measured saving.
pub(super) fn about_promise(check: &PromiseCheck, reporting: &Period) -> Vec<String> {
    let promise = &check.promise;
    let mut out = Vec::new();
    if check.is_seasonal() {
        out.push(format!(
            "the promise refers to {:.0} days that the scenarios represent, and {:.0} days were measured, but only whole years \
             contain all seasons alike; the promise is scaled in proportion to the number of days, so the comparison may not \
             be fair, and the promise cannot count as missed",
            promise.days, check.days
        ));
    }
    if promise.data_end.parse::<jiff::Timestamp>().is_ok_and(|end| end > reporting.from) {
        out.push("the data behind the promise include a part of the reporting period".to_owned());
    }
    out
}
