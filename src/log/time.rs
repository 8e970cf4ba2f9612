//! Converts time columns of every kind to µs UTC.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::occurrences::Occurrences;
use super::quality::{Finding, FindingAction, FindingClass};

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
    /// Time since 1970, as numbers whose unit is inferred from their magnitude.
    Epoch,
    /// Text in RFC 3339 format, or in the format `YYYY-MM-DD HH:MM:SS` in local time.
    Text,
}

/// Clock state of a log or a tag while a file in local time is being read.
#[derive(Debug, Clone, Copy, Default)]
struct ClockState {
    last: Option<i64>,
    interval: i64,
    /// Whether the clock is passing for the second time through the hour that is repeated when clocks are set back.
    second_pass: bool,
}

/// Converts time stamps to µs UTC, and counts those that could not be read or were ambiguous.
pub(super) struct TimeReader {
    zone: TimeZone,
    kind: TimeKind,
    /// Units per second of an epoch column ([`TimeKind::Epoch`]), or `None` until they have been inferred.
    epoch: Option<f64>,
    clocks: Vec<ClockState>,
    quarter: Option<(i64, AmbiguousOffset)>,
    texts: HashMap<String, Option<Civil>>,
    bad: usize,
    example: Option<String>,
    fold: Occurrences,
    gap: Occurrences,
}

#[derive(Debug, Clone, Copy)]
enum Civil {
    Instant(i64),
    /// µs since 1970 in local time.
    Local(i64),
}

impl TimeReader {
    /// Creates a reader. `clocks` is the number of tags with their own time stamps (1 for a wide log).
    pub fn new(zone: TimeZone, clocks: usize) -> Self {
        Self {
            zone,
            kind: TimeKind::Epoch,
            epoch: None,
            clocks: vec![ClockState::default(); clocks.max(1)],
            quarter: None,
            texts: HashMap::new(),
            bad: 0,
            example: None,
            fold: Occurrences::default(),
            gap: Occurrences::default(),
        }
    }

    /// Begins the next file.
    pub fn start(&mut self, kind: TimeKind) {
        self.kind = kind;
        self.epoch = None;
        self.clocks.fill(ClockState::default());
        self.texts.clear();
    }

    pub fn kind(&self) -> TimeKind {
        self.kind
    }

    /// Infers the unit of an epoch column from the largest of the first values of a file. The unit is the coarsest
    /// of seconds, milliseconds and microseconds for which that value is a time before the year 5138. If there is no
    /// such unit, the unit is nanoseconds.
    pub fn learn_epoch(&mut self, values: impl Iterator<Item = f64>) {
        if self.epoch.is_none() {
            self.epoch = values.map(f64::abs).filter(|v| v.is_finite() && *v > 0.0).reduce(f64::max).map(|v| match v {
                v if v < 1e11 => 1.0,
                v if v < 1e14 => 1e3,
                v if v < 1e17 => 1e6,
                _ => 1e9,
            });
        }
    }

    /// Converts one epoch time to a UTC time in µs.
    pub fn epoch(&mut self, value: Option<f64>) -> i64 {
        let per_second = self.epoch.unwrap_or(1.0);
        match value {
            Some(v) if v.is_finite() => {
                let us = v / per_second * 1e6;
                self.plausible(us.round() as i64, || v.to_string())
            }
            Some(v) => self.reject(v.to_string()),
            None => self.reject("null".into()),
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
            TimeKind::Epoch => {
                // This conversion is exact for every unit, unlike a conversion through `f64`.
                let per_second = self.epoch.unwrap_or(1.0) as i64;
                self.plausible(to_us(v, per_second), || v.to_string())
            }
            TimeKind::Text => self.reject(v.to_string()),
        }
    }

    /// Converts one string in a time column to a UTC time in µs. `clock` is the index of the tag, or 0 for a wide log.
    pub fn text(&mut self, value: Option<&str>, clock: usize) -> i64 {
        let Some(text) = value else { return self.reject("null".into()) };
        let civil = match self.texts.get(text) {
            Some(known) => *known,
            None => {
                let civil = parse(text);
                // A log in long format repeats each time stamp for every tag, so a small cache saves most of the
                // parsing.
                if self.texts.len() >= CACHED_TEXTS {
                    self.texts.clear();
                }
                self.texts.insert(text.into(), civil);
                civil
            }
        };
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
        self.bad += 1;
        self.example.get_or_insert(shown);
        NO_TIME
    }

    /// Converts local time in the log's time zone to UTC. In the hour that is repeated when clocks are set back, a
    /// repeated time or a jump back in time marks the start of the second pass. In the hour that is skipped when clocks
    /// are set forward, the offset before the change applies.
    fn local_to_utc(&mut self, local: i64, clock: usize) -> i64 {
        if local == NO_TIME {
            return NO_TIME;
        }
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

    /// Returns the number of rows without a usable time, and an example of an unusable time as written in the file.
    pub fn bad(&self) -> (usize, Option<&str>) {
        (self.bad, self.example.as_deref())
    }

    pub fn findings(&self, column: &str) -> Vec<Finding> {
        let zone = self.zone.iana_name().unwrap_or("the time zone of the log").to_owned();
        let mut out = Vec::new();
        if self.bad > 0 {
            let example = self.example.as_deref().unwrap_or("");
            let mut f = Occurrences::between(self.bad, 0, 0).finding(
                "",
                FindingClass::BadTime,
                FindingAction::Dropped,
                format!("rows in which `{column}` is missing or is not a time between 1900 and 2200, for example `{example}`"),
            );
            if let Some(f) = &mut f {
                f.first.clear();
                f.last.clear();
            }
            out.extend(f);
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

fn to_us(v: i64, per_second: i64) -> i64 {
    if per_second <= 1_000_000 {
        v.saturating_mul(1_000_000 / per_second.max(1))
    } else {
        v.div_euclid(per_second / 1_000_000)
    }
}

fn parse(text: &str) -> Option<Civil> {
    let text = text.trim();
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(Civil::Instant(t.as_microsecond()));
    }
    let civil: DateTime = text.parse().ok()?;
    Offset::UTC.to_timestamp(civil).ok().map(|t| Civil::Local(t.as_microsecond()))
}

#[cfg(test)]
#[path = "../../tests/unit/log/time.rs"]
mod tests;
