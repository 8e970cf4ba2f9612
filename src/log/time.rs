//! Time columns of any kind → µs UTC.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::Finding;
use super::finding::Tally;

/// A row without a usable time.
pub(super) const NO_TIME: i64 = i64::MIN;

/// Earliest and latest time stamp that a plant's log can carry, 1900 and 2200; beyond them a clock was unset or a unit
/// misread.
const PLAUSIBLE: std::ops::Range<i64> = -2_208_988_800_000_000..7_258_118_400_000_000;

/// Time zones change their offset at quarter hours only, so an offset holds for the quarter hour it was asked for.
const QUARTER_US: i64 = 900_000_000;

/// How a file writes the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeKind {
    /// Integers on the UTC time line, `per_second` of them to the second.
    Instant { per_second: i64 },
    /// The same on the wall clock of the log's time zone.
    Local { per_second: i64 },
    /// Days of the wall clock.
    LocalDays,
    /// Numbers since 1970 whose unit follows from their size.
    Epoch,
    /// RFC 3339, or `YYYY-MM-DD HH:MM:SS` on the wall clock.
    Text,
}

/// What is known of one clock (the log's own, or one tag's) while walking through a file.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    last: Option<i64>,
    interval: i64,
    second_pass: bool,
}

/// Turns time stamps into µs UTC and counts what needed a decision.
pub(super) struct TimeReader {
    zone: TimeZone,
    kind: TimeKind,
    /// Units per second of [`TimeKind::Epoch`], once seen.
    epoch: Option<f64>,
    walks: Vec<Walk>,
    quarter: Option<(i64, AmbiguousOffset)>,
    texts: HashMap<String, Option<Civil>>,
    bad: usize,
    example: Option<String>,
    fold: Tally,
    gap: Tally,
}

#[derive(Debug, Clone, Copy)]
enum Civil {
    Instant(i64),
    /// µs since 1970 on the wall clock.
    Local(i64),
}

impl TimeReader {
    /// `clocks`: how many tags have their own run of time stamps (1 for a wide log).
    pub fn new(zone: TimeZone, clocks: usize) -> Self {
        Self {
            zone,
            kind: TimeKind::Epoch,
            epoch: None,
            walks: vec![Walk::default(); clocks.max(1)],
            quarter: None,
            texts: HashMap::new(),
            bad: 0,
            example: None,
            fold: Tally::default(),
            gap: Tally::default(),
        }
    }

    /// The next file begins.
    pub fn start(&mut self, kind: TimeKind) {
        self.kind = kind;
        self.epoch = None;
        self.walks.fill(Walk::default());
        self.texts.clear();
    }

    pub fn kind(&self) -> TimeKind {
        self.kind
    }

    /// Looks at numbers of an epoch column to learn their unit; the first finite non-zero one decides for the file.
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

    /// One number of an epoch column.
    pub fn epoch(&mut self, value: Option<f64>) -> i64 {
        let per_second = self.epoch.unwrap_or(1.0);
        match value {
            Some(v) if v.is_finite() => {
                // Split before scaling: 1e6 µs per second would lose the last digits of large ns values otherwise.
                let us = v / per_second * 1e6;
                self.plausible(us.round() as i64, || v.to_string())
            }
            Some(v) => self.reject(v.to_string()),
            None => self.reject("null".into()),
        }
    }

    /// One integer of a time column that is not epoch numbers or text; `clock` is its tag.
    pub fn integer(&mut self, value: Option<i64>, clock: usize) -> i64 {
        let Some(v) = value else { return self.reject("null".into()) };
        match self.kind {
            TimeKind::Instant { per_second } => self.plausible(to_us(v, per_second), || v.to_string()),
            TimeKind::Local { per_second } => {
                let local = self.plausible(to_us(v, per_second), || v.to_string());
                self.wall_clock(local, clock)
            }
            TimeKind::LocalDays => {
                let local = self.plausible(v.saturating_mul(86_400_000_000), || v.to_string());
                self.wall_clock(local, clock)
            }
            TimeKind::Epoch => {
                // Exact for integers of any unit, unlike the way through f64.
                let per_second = self.epoch.unwrap_or(1.0) as i64;
                self.plausible(to_us(v, per_second), || v.to_string())
            }
            TimeKind::Text => self.reject(v.to_string()),
        }
    }

    /// One text of a time column.
    pub fn text(&mut self, value: Option<&str>, clock: usize) -> i64 {
        let Some(text) = value else { return self.reject("null".into()) };
        let civil = match self.texts.get(text) {
            Some(known) => *known,
            None => {
                let civil = parse(text);
                // Long logs repeat each time stamp once per tag; a small memory of them saves most of the parsing.
                if self.texts.len() >= 4096 {
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
                self.wall_clock(local, clock)
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

    /// Wall clock of the log's zone → UTC. In the hour that comes twice (clocks set back) a clock that has been there
    /// before is in its second pass; in the hour that does not exist, the offset before the change holds on.
    fn wall_clock(&mut self, local: i64, clock: usize) -> i64 {
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
        let clock = clock.min(self.walks.len() - 1);
        let walk = &mut self.walks[clock];
        let back = walk.last.map_or(0, |l| l - local);
        let us = match offset {
            AmbiguousOffset::Unambiguous { offset } => {
                walk.second_pass = false;
                local - seconds(offset)
            }
            AmbiguousOffset::Gap { before, .. } => {
                walk.second_pass = false;
                let us = local - seconds(before);
                self.gap.add(us);
                us
            }
            AmbiguousOffset::Fold { before, after } => {
                let half_hour = 2 * QUARTER_US;
                let again = back >= half_hour || (back == 0 && walk.last.is_some() && walk.interval >= half_hour);
                walk.second_pass |= again;
                let us = local - seconds(if walk.second_pass { after } else { before });
                self.fold.add(us);
                us
            }
        };
        if let Some(last) = walk.last
            && local != last
        {
            walk.interval = local - last;
        }
        walk.last = Some(local);
        us
    }

    /// Rows without a usable time, and one of them as it stands in the file.
    pub fn bad(&self) -> (usize, Option<&str>) {
        (self.bad, self.example.as_deref())
    }

    pub fn findings(&self, column: &str) -> Vec<Finding> {
        let zone = self.zone.iana_name().unwrap_or("the log's zone").to_owned();
        let mut out = Vec::new();
        if self.bad > 0 {
            let example = self.example.as_deref().unwrap_or("");
            let mut f = Tally::span(self.bad, 0, 0).finding(
                "",
                "bad-time",
                "dropped",
                format!("rows whose `{column}` is empty or no date between 1900 and 2200, such as `{example}`"),
            );
            if let Some(f) = &mut f {
                f.first.clear();
                f.last.clear();
            }
            out.extend(f);
        }
        out.extend(self.fold.finding(
            "",
            "dst-fold",
            "kept",
            format!("time stamps in an hour that comes twice in {zone}; the second pass was told from the first by the order of rows"),
        ));
        out.extend(self.gap.finding(
            "",
            "dst-gap",
            "kept",
            format!("time stamps in an hour that does not exist in {zone}; read with the offset before the change"),
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
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn the_hour_that_comes_twice_is_read_twice() {
        let mut r = TimeReader::new(berlin(), 1);
        r.start(TimeKind::Text);
        let walls = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"];
        let read: Vec<i64> = walls.iter().map(|w| r.text(Some(&format!("2024-10-27 {w}:00")), 0)).collect();
        let first = at("2024-10-26T23:30:00Z");
        assert_eq!(read, (0..6).map(|i| first + i * 1_800_000_000).collect::<Vec<_>>());
        assert_eq!(r.findings("t").iter().find(|f| f.class == "dst-fold").unwrap().count, 4);
    }

    #[test]
    fn hourly_stamps_show_the_fold_as_a_repeated_hour() {
        let mut r = TimeReader::new(berlin(), 1);
        r.start(TimeKind::Local { per_second: 1_000 });
        let wall = |h: i64| (at("2024-10-27T00:00:00Z") + h * 3_600_000_000) / 1_000;
        let read: Vec<i64> = [0, 1, 2, 2, 3].iter().map(|h| r.integer(Some(wall(*h)), 0)).collect();
        assert!(read.windows(2).all(|w| w[1] - w[0] == 3_600_000_000), "{read:?}");
    }

    #[test]
    fn the_hour_that_is_missing_is_counted() {
        let mut r = TimeReader::new(berlin(), 1);
        r.start(TimeKind::Text);
        assert_eq!(r.text(Some("2024-03-31 02:30:00"), 0), at("2024-03-31T01:30:00Z"));
        assert_eq!(r.findings("t")[0].class, "dst-gap");
    }

    #[test]
    fn epochs_tell_their_unit_by_size() {
        for (v, per_second) in [(1_700_000_000_i64, 1), (1_700_000_000_000, 1_000), (1_700_000_000_000_000, 1_000_000)]
        {
            let mut r = TimeReader::new(TimeZone::UTC, 1);
            r.start(TimeKind::Epoch);
            r.learn_epoch([v as f64].into_iter());
            assert_eq!(r.integer(Some(v), 0), 1_700_000_000_000_000, "{per_second}");
        }
        let mut r = TimeReader::new(TimeZone::UTC, 1);
        r.start(TimeKind::Epoch);
        r.learn_epoch([0.0, 1.7e18].into_iter());
        assert_eq!(r.integer(Some(1_700_000_000_123_456_789), 0), 1_700_000_000_123_456);
    }

    #[test]
    fn impossible_times_are_dropped_and_counted() {
        let mut r = TimeReader::new(TimeZone::UTC, 1);
        r.start(TimeKind::Text);
        for t in ["9999-12-31 00:00:00", "0001-01-01 00:00:00", "31.12.2024", ""] {
            assert_eq!(r.text(Some(t), 0), NO_TIME);
        }
        assert_eq!(r.text(None, 0), NO_TIME);
        assert_eq!(r.bad().0, 5);
        assert_eq!(r.text(Some("2024-01-01T00:00:00+01:00"), 0), at("2023-12-31T23:00:00Z"));
        assert_eq!(r.text(Some("2024-01-01"), 0), at("2024-01-01T00:00:00Z"));
    }
}
