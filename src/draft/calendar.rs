//! Columns that repeat the time stamp, such as the hour or the weekday.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::trajectory::Trajectory;

/// Names of columns that repeat the time, in several languages.
const NAMES: [&str; 45] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "weekday",
    "week",
    "quarter",
    "dow",
    "doy",
    "hod",
    "woy",
    "dayofweek",
    "dayofyear",
    "weekend",
    "jahr",
    "monat",
    "stunde",
    "wochentag",
    "woche",
    "annee",
    "mois",
    "jour",
    "heure",
    "semaine",
    "jour_semaine",
    "ano",
    "anio",
    "mes",
    "dia",
    "hora",
    "semana",
    "anno",
    "mese",
    "giorno",
    "ora",
    "settimana",
    "jaar",
    "maand",
    "dag",
    "uur",
    "weekdag",
    "maaned",
    "time_of_day",
];
/// Words that can be part of such a name.
const FILLERS: [&str; 12] = ["of", "is", "in", "the", "number", "num", "no", "nr", "local", "der", "de", "du"];
/// Minimum number of different values of a column that repeats the time (not tuned).
const MIN_VALUES: usize = 3;
/// Minimum fraction of the rows in which the value follows from the time (not tuned).
const MIN_SHARE: f64 = 0.98;

/// Whether a column has the name of a part of the time.
pub(super) fn is_name(lower: &str) -> bool {
    let mut words = lower.split('_').filter(|w| !FILLERS.contains(w)).peekable();
    NAMES.contains(&lower) || words.peek().is_some() && words.all(|w| NAMES.contains(&w))
}

/// A part of the time, and its value at a time.
type Part = (&'static str, fn(&DateTime) -> f64);

const PARTS: [Part; 7] = [
    ("the hour of the day", |t| f64::from(t.hour())),
    ("the minute", |t| f64::from(t.minute())),
    ("the weekday", |t| f64::from(t.weekday().to_monday_zero_offset())),
    ("the weekday", |t| f64::from(t.weekday().to_sunday_zero_offset())),
    ("the day of the month", |t| f64::from(t.day())),
    ("the day of the year", |t| f64::from(t.day_of_year())),
    ("the month", |t| f64::from(t.month())),
];

/// The part of the time, in `zone` or UTC, that the signal in column `signal` of `log` repeats, except for a constant
/// difference.
pub(super) fn repeated(log: &Trajectory, signal: usize, zone: &TimeZone) -> Option<&'static str> {
    let column = &log.columns[signal];
    let rows: Vec<usize> = log.segments.iter().flat_map(Clone::clone).filter(|t| column[*t].is_finite()).collect();
    let values: std::collections::BTreeSet<u64> = rows.iter().map(|t| column[*t].to_bits()).collect();
    if !(MIN_VALUES..=366).contains(&values.len()) || rows.iter().any(|t| column[*t].fract() != 0.0) {
        return None;
    }
    [zone, &TimeZone::UTC].into_iter().find_map(|zone| {
        let times: Vec<DateTime> = rows.iter().map(|t| zone.to_datetime(log.time(*t))).collect();
        PARTS.iter().find_map(|(name, part)| {
            // in a daily log, the hour is always the same
            let distinct: std::collections::BTreeSet<u64> = times.iter().map(|at| part(at).to_bits()).collect();
            if distinct.len() < MIN_VALUES {
                return None;
            }
            let mut differences: Vec<f64> = rows.iter().zip(&times).map(|(t, at)| column[*t] - part(at)).collect();
            differences.sort_unstable_by(f64::total_cmp);
            let middle = differences.get(differences.len() / 2)?;
            let equal = differences.iter().filter(|d| *d == middle).count();
            (equal as f64 >= MIN_SHARE * rows.len() as f64).then_some(*name)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::Schema;

    /// The part that a column repeats in a log with the given step.
    fn found(step_ms: i64, zone: &str, value: impl Fn(&DateTime) -> f64) -> Option<&'static str> {
        let start = "2024-01-01T00:00:00Z".parse().unwrap();
        let mut log = Trajectory::empty(Arc::new(Schema::new(Vec::new())), start, step_ms, 2_000, 1);
        let zone = crate::zone::zone(zone).unwrap();
        log.columns.push((0..2_000).map(|t| value(&zone.to_datetime(log.time(t)))).collect());
        repeated(&log, 0, &zone)
    }

    #[test]
    fn a_column_repeats_the_time_whatever_its_name_and_first_value() {
        const HOUR: i64 = 3_600_000;
        let berlin = "Europe/Berlin";
        assert_eq!(found(HOUR, berlin, |t| f64::from(t.hour())), Some("the hour of the day"));
        assert_eq!(found(HOUR, berlin, |t| f64::from(t.weekday().to_sunday_one_offset())), Some("the weekday"));
        assert_eq!(found(24 * HOUR, "UTC", |t| f64::from(t.month()) - 1.0), Some("the month"));
        // the hour of a daily log is constant, and so is a backlog that is nearly always 0
        assert_eq!(
            found(24 * HOUR, "UTC", |t| if t.day() == 31 && t.month() < 4 { f64::from(t.month()) } else { 0.0 }),
            None
        );
        assert_eq!(found(HOUR, berlin, |t| f64::from(t.hour() / 8)), None, "a shift");
        assert_eq!(found(HOUR, berlin, |t| f64::from(t.hour()) * 0.5), None, "a set-point");
    }

    #[test]
    fn parts_of_the_time_are_recognised_by_name() {
        for name in ["dow", "hour_of_day", "is_weekend", "day_of_week", "wochentag", "jour_de_semaine", "month"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["day_tank_level", "hours_run", "week_sales", "month_target", "no", "of", "tag_7"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
