//! Converts time columns of every kind to µs UTC.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::date::{self, Civil, DateOrder};
use super::footer::LogFile;
use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};
use super::time_unit;
use super::unreadable::UnreadableTimes;
use crate::config::{LogSpec, TimeUnit};
use crate::error::{Error, LogFault, LogKey, Result};
use crate::zone::{self, ZoneFault};

/// Marks a row without a usable time.
pub(super) const NO_TIME: i64 = i64::MIN;

/// The range of plausible time stamps, from 1900 to 2200. Implausible time stamps come from a clock that was not
/// set, or from a wrongly inferred unit.
const PLAUSIBLE: std::ops::Range<i64> = -2_208_988_800_000_000..7_258_118_400_000_000;

/// Time zones change their offset only at quarter hours, so the offset is constant within each quarter hour.
const QUARTER_US: i64 = 900_000_000;

/// Maximum number of parsed strings in the cache (not tuned).
const CACHED_TEXTS: usize = 4096;

/// How a file represents time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeKind {
    /// Integer UTC time stamps, with `per_second` units per second.
    Instant { per_second: i64 },
    /// Integer time stamps in the local time of the log's time zone, with `per_second` units per second.
    Local { per_second: i64 },
    /// Days in local time.
    LocalDays,
    /// Numbers, whose unit is given in `twin.toml` or inferred.
    Number,
    /// Text.
    Text,
}

/// Numbers in a time column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumericTimes {
    pub unit: TimeUnit,
    /// Whether the unit is given in `twin.toml`; otherwise it was inferred.
    pub given: bool,
    pub rows: usize,
    /// The smallest and the largest number.
    pub min: f64,
    pub max: f64,
}

/// Clock state of a log or a tag while a file in local time is being read.
#[derive(Debug, Clone, Copy, Default)]
struct ClockState {
    last: Option<i64>,
    interval: i64,
    /// Whether the time is in the second pass through the hour that is repeated when clocks are set back.
    second_pass: bool,
}

/// Converts time stamps to µs UTC, and counts those that could not be read or were ambiguous.
pub(super) struct TimeReader {
    zone: TimeZone,
    kind: TimeKind,
    /// Name of the time column.
    column: String,
    /// Formats that `twin.toml` gives for time stamps written as text.
    given_formats: Vec<String>,
    /// Unit of numeric time stamps, if it is given in `twin.toml`.
    given_unit: Option<TimeUnit>,
    /// Unit of the numbers in the current file, or `None` until it has been inferred.
    unit: Option<TimeUnit>,
    numbers: Option<NumericTimes>,
    /// Number of time stamps written as `24:00`, if `stamps` is not given.
    day_ends: usize,
    stamps_given: bool,
    /// Number of time stamps without a time zone, if the time zone of the log is not given.
    without_zone: usize,
    zone_given: bool,
    clocks: Vec<ClockState>,
    quarter: Option<(i64, AmbiguousOffset)>,
    texts: HashMap<String, Option<Civil>>,
    unreadable: UnreadableTimes,
    order: DateOrder,
    fold: Occurrences,
    gap: Occurrences,
}

impl TimeReader {
    /// Creates a reader for local times of the time zone `zone`. `clocks` is the number of tags with their own time
    /// stamps (1 for a wide log).
    pub fn new(zone: TimeZone, clocks: usize) -> Self {
        Self {
            zone,
            kind: TimeKind::Number,
            column: String::new(),
            given_formats: Vec::new(),
            given_unit: None,
            unit: None,
            numbers: None,
            day_ends: 0,
            stamps_given: false,
            without_zone: 0,
            zone_given: true,
            clocks: vec![ClockState::default(); clocks.max(1)],
            quarter: None,
            texts: HashMap::new(),
            unreadable: UnreadableTimes::default(),
            order: DateOrder::default(),
            fold: Occurrences::default(),
            gap: Occurrences::default(),
        }
    }

    /// Creates a reader with the settings of `spec`.
    pub fn with_settings(spec: &LogSpec, clocks: usize) -> Result<Self> {
        Ok(Self {
            column: spec.time.value.clone(),
            given_formats: spec.time_format.as_ref().map_or(Vec::new(), |f| f.list().to_vec()),
            given_unit: spec.time_unit.as_ref().map(|u| u.value),
            zone_given: spec.timezone.is_some(),
            stamps_given: spec.stamps.is_some(),
            ..Self::new(zone(spec)?, clocks)
        })
    }

    /// Begins the next file.
    pub fn start(&mut self, kind: TimeKind) {
        self.kind = kind;
        // numeric time stamps have the same unit in all files of a log
        self.unit = self.given_unit.or(self.numbers.map(|n| n.unit));
        self.unreadable.start();
        self.clocks.fill(ClockState::default());
        self.texts.clear();
    }

    pub fn kind(&self) -> TimeKind {
        self.kind
    }

    /// Infers the unit of a numeric column from the first values of a file if the unit is not given in `twin.toml`.
    pub fn learn_unit(&mut self, values: &[f64]) {
        if !values.iter().any(|v| v.is_finite()) {
            return;
        }
        let unit = *self.unit.get_or_insert_with(|| time_unit::infer(&self.column, values));
        let NumericTimes { rows, min, max, .. } = self.numbers.unwrap_or(NumericTimes {
            unit,
            given: self.given_unit.is_some(),
            rows: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        let (min, max) = values.iter().filter(|v| v.is_finite()).fold((min, max), |(a, b), v| (a.min(*v), b.max(*v)));
        let given = self.given_unit.is_some();
        self.numbers = Some(NumericTimes { unit, given, rows: rows + values.len(), min, max });
    }

    /// Infers the unit of numbers that are written as text, if most of the entries are numbers. `texts` are time
    /// entries of the current file.
    pub fn learn_from_texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let (mut values, mut n) = (Vec::new(), 0);
        for text in texts {
            n += 1;
            values.extend(
                numeral(text).filter(|_| self.unit.is_some() || date::parse(text, &self.given_formats).is_none()),
            );
        }
        if 2 * values.len() > n {
            self.learn_unit(&values);
        }
    }

    /// Returns the numbers in the time column, if there are any.
    pub fn numbers(&self) -> Option<NumericTimes> {
        self.numbers
    }

    pub fn unreadable(&self) -> &UnreadableTimes {
        &self.unreadable
    }

    pub fn unreadable_mut(&mut self) -> &mut UnreadableTimes {
        &mut self.unreadable
    }

    /// Returns the fault if no row or too few rows of the log have a readable time.
    pub fn fault(&self, files: &[LogFile], readable: usize) -> Option<LogFault> {
        let exchanged = || {
            let what = format!(
                "the times in `{}` lie on the same day of several consecutive months, so day and month seem to be exchanged",
                self.column
            );
            let help = "set `time_format = \"%Y-%d-%m %H:%M\"` in `log`, in the notation of the texts, or `time_format = \"%Y-%m-%d %H:%M\"` if they are right";
            self.order.is_exchanged().then(|| LogFault::new(LogKey::Time, what, help))
        };
        self.unreadable.fault(files, &self.column, &self.given_formats, readable).or_else(exchanged)
    }

    /// Number of time stamps without a time zone, or 0 if the time zone of the log is given.
    pub fn without_zone(&self) -> usize {
        self.without_zone
    }

    /// Converts one number of a time column to µs UTC. `clock` is the index of the tag, or 0 for a wide log.
    pub fn number(&mut self, value: Option<f64>, clock: usize) -> i64 {
        let unit = self.unit.unwrap_or(TimeUnit::S);
        let Some(v) = value else { return self.reject("null".into()) };
        let us = match unit.us() {
            _ if !v.is_finite() => None,
            Some(us) => Some((v * us).round() as i64),
            None => match time_unit::local_time(unit, v) {
                Some(Civil::Local(us)) => {
                    let local = self.plausible(us, || v.to_string());
                    return self.local_to_utc(local, clock);
                }
                _ => None,
            },
        };
        match us {
            Some(us) => self.plausible(us, || v.to_string()),
            None => self.reject(v.to_string()),
        }
    }

    /// Converts one integer in a time column to a UTC time in µs. `clock` is the index of the tag, or 0 for a wide log.
    pub fn integer(&mut self, value: Option<i64>, clock: usize) -> i64 {
        let Some(v) = value else { return self.reject("null".into()) };
        match self.kind {
            TimeKind::Instant { per_second } => self.plausible(to_us(v, per_second), || v.to_string()),
            TimeKind::Local { per_second } => {
                let local = self.plausible(to_us(v, per_second), || v.to_string());
                self.local_to_utc(local, clock)
            }
            TimeKind::LocalDays => {
                let local = self.plausible(v.saturating_mul(86_400_000_000), || v.to_string());
                self.local_to_utc(local, clock)
            }
            // Unlike a conversion through `f64`, this conversion is exact.
            TimeKind::Number if self.unit == Some(TimeUnit::Ns) => {
                self.plausible(v.div_euclid(1_000), || v.to_string())
            }
            TimeKind::Number => self.number(Some(v as f64), clock),
            TimeKind::Text => self.reject(v.to_string()),
        }
    }

    /// Converts one string in a time column to a UTC time in µs. `clock` is the index of the tag, or 0 for a wide log.
    pub fn text(&mut self, value: Option<&str>, clock: usize) -> i64 {
        let Some(text) = value else { return self.reject("null".into()) };
        if let Some(v) = numeral(text).filter(|_| self.unit.is_some()) {
            return match v.fract() == 0.0 && self.unit == Some(TimeUnit::Ns) {
                true => self.plausible((v / 1e3) as i64, || text.into()),
                false => self.number(Some(v), clock),
            };
        }
        let civil = match self.texts.get(text) {
            Some(known) => *known,
            None => {
                let civil = date::parse(text, &self.given_formats);
                if let (Some(Civil::Local(us)), true) = (civil, self.given_formats.is_empty()) {
                    self.order.add(us);
                }
                // A log in long format repeats each time stamp for every tag, so a small cache saves most of the
                // parsing.
                if self.texts.len() >= CACHED_TEXTS {
                    self.texts.clear();
                }
                self.texts.insert(text.into(), civil);
                civil
            }
        };
        self.day_ends += usize::from(!self.stamps_given && date::is_day_end(text));
        match civil {
            Some(Civil::Instant(us)) => self.plausible(us, || text.into()),
            Some(Civil::Local(us)) => {
                let local = self.plausible(us, || text.into());
                self.local_to_utc(local, clock)
            }
            None => self.reject(text.into()),
        }
    }

    fn plausible(&mut self, us: i64, shown: impl Fn() -> String) -> i64 {
        if PLAUSIBLE.contains(&us) { us } else { self.reject(shown()) }
    }

    fn reject(&mut self, shown: String) -> i64 {
        self.unreadable.add(shown);
        NO_TIME
    }

    /// Converts local time in the log's time zone to UTC. In the hour that is repeated when clocks are set back, a
    /// repeated time or a jump back in time marks the start of the second pass. In the hour that is skipped when clocks
    /// are set forward, the offset before the change applies.
    fn local_to_utc(&mut self, local: i64, clock: usize) -> i64 {
        if local == NO_TIME {
            return NO_TIME;
        }
        self.without_zone += usize::from(!self.zone_given);
        let quarter = local.div_euclid(QUARTER_US);
        let offset = match self.quarter {
            Some((q, o)) if q == quarter => o,
            _ => {
                let at = Timestamp::from_microsecond(quarter * QUARTER_US).unwrap_or(Timestamp::UNIX_EPOCH);
                let civil: DateTime = Offset::UTC.to_datetime(at);
                let o = self.zone.to_ambiguous_timestamp(civil).offset();
                self.quarter = Some((quarter, o));
                o
            }
        };
        let seconds = |o: Offset| i64::from(o.seconds()) * 1_000_000;
        let clock = clock.min(self.clocks.len() - 1);
        let state = &mut self.clocks[clock];
        let back = state.last.map_or(0, |l| l - local);
        let us = match offset {
            AmbiguousOffset::Unambiguous { offset } => {
                state.second_pass = false;
                local - seconds(offset)
            }
            AmbiguousOffset::Gap { before, .. } => {
                state.second_pass = false;
                let us = local - seconds(before);
                self.gap.add(us);
                us
            }
            AmbiguousOffset::Fold { before, after } => {
                let half_hour = 2 * QUARTER_US;
                let again = back >= half_hour || (back == 0 && state.last.is_some() && state.interval >= half_hour);
                state.second_pass |= again;
                let us = local - seconds(if state.second_pass { after } else { before });
                self.fold.add(us);
                us
            }
        };
        if let Some(last) = state.last
            && local != last
        {
            state.interval = local - last;
        }
        state.last = Some(local);
        us
    }

    pub fn findings(&self, files: &[LogFile]) -> Vec<Finding> {
        let column = &self.column;
        let zone = self.zone.iana_name().unwrap_or("the time zone of the log").to_owned();
        let mut out = Vec::new();
        let list = self.unreadable.list(|file| files.get(file).map_or_else(String::new, |f| f.name.clone()));
        let advice = self.unreadable.advice(&self.given_formats);
        out.extend(Occurrences::between(self.unreadable.count(), 0, 0).finding(
            "",
            FindingClass::BadTime,
            FindingAction::Dropped,
            format!("rows in which `{column}` is missing or is not a time between 1900 and 2200: {list}; {advice}"),
        ));
        if let Some(NumericTimes { unit, rows, min, max, .. }) = self.numbers.filter(|n| !n.given) {
            let (name, meaning) = unit.names();
            out.extend(Occurrences::between(rows, 0, 0).finding(
                "",
                FindingClass::TimeUnit,
                FindingAction::Kept,
                format!("the numbers in `{column}`, from {min} to {max}, were read as {meaning}; if this is right, confirm it with `time_unit = \"{name}\"` in `log`"),
            ));
        }
        out.extend(Occurrences::between(self.day_ends, 0, 0).finding(
            "",
            FindingClass::EndStamps,
            FindingAction::Kept,
            "times written as `24:00`, which is common if time stamps mark the end of an interval; if they do, set `stamps = \"end\"` in `log`, and otherwise `stamps = \"start\"`",
        ));
        for f in &mut out {
            f.first.clear();
            f.last.clear();
        }
        out.extend(self.fold.finding(
            "",
            FindingClass::DstFold,
            FindingAction::Kept,
            format!(
                "time stamps in an hour that occurs twice in {zone}; the two occurrences were distinguished by the order of the rows"
            ),
        ));
        out.extend(self.gap.finding(
            "",
            FindingClass::DstGap,
            FindingAction::Kept,
            format!(
                "time stamps in an hour that does not exist in {zone}; they were read with the UTC offset that \
                 applies before the clock change"
            ),
        ));
        out
    }
}

/// Returns the time zone that applies to time stamps without a UTC offset.
pub(super) fn zone(spec: &LogSpec) -> Result<TimeZone> {
    match &spec.timezone {
        None => Ok(TimeZone::UTC),
        Some(name) => zone::zone(name).map_err(|fault| {
            let (what, help) = fault.explain(name);
            match fault {
                ZoneFault::Unknown => Error::log(LogKey::Time, format!("`log.timezone`: {what}"), help),
                _ => Error::no_input("the time-zone data", format!("`log.timezone`: {what}; {help}")),
            }
        }),
    }
}

/// Reads a positive number that is written as text, with a decimal point or a decimal comma.
fn numeral(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_number = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
        && text.matches(['.', ',']).count() <= 1;
    if is_number { text.replace(',', ".").parse().ok() } else { None }
}

fn to_us(v: i64, per_second: i64) -> i64 {
    if per_second <= 1_000_000 {
        v.saturating_mul(1_000_000 / per_second.max(1))
    } else {
        v.div_euclid(per_second / 1_000_000)
    }
}

#[cfg(test)]
#[path = "../../tests/unit/log/time.rs"]
mod tests;
