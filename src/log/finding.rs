//! Counting faults while they are met.

use jiff::{Timestamp, TimestampRound, Unit};

use super::Finding;

/// Running account of one class of fault: how often, first and last time (µs UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub count: usize,
    pub first: i64,
    pub last: i64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { count: 0, first: i64::MAX, last: i64::MIN }
    }
}

impl Tally {
    pub fn add(&mut self, time: i64) {
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    /// `count` faults that lie between two times.
    pub fn span(count: usize, first: i64, last: i64) -> Self {
        Self { count, first, last }
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// The finding, if there is anything to tell.
    pub fn finding(&self, signal: &str, class: &str, action: &str, note: impl Into<String>) -> Option<Finding> {
        (self.count > 0).then(|| Finding {
            signal: signal.into(),
            class: class.into(),
            count: self.count,
            first: rfc3339(self.first),
            last: rfc3339(self.last),
            action: action.into(),
            note: note.into(),
        })
    }
}

/// µs since 1970 → RFC 3339 in UTC, in whole seconds where that loses nothing of interest.
pub(super) fn rfc3339(us: i64) -> String {
    let Ok(t) = Timestamp::from_microsecond(us) else { return "beyond the calendar".into() };
    if us % 1_000_000 == 0 {
        return t.to_string();
    }
    t.round(TimestampRound::new().smallest(Unit::Millisecond)).unwrap_or(t).to_string()
}

/// `36 s`, `10 min`, `3.5 h`, `4.9 d`: a length of time for a sentence.
pub(super) fn duration(us: i64) -> String {
    let s = us as f64 / 1e6;
    let (value, unit) = match s.abs() {
        a if a < 1.0 => (s * 1e3, "ms"),
        a if a < 120.0 => (s, "s"),
        a if a < 7_200.0 => (s / 60.0, "min"),
        a if a < 172_800.0 => (s / 3_600.0, "h"),
        _ => (s / 86_400.0, "d"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// The same thing found in every signal at once is a property of the time line: told once, for all of them.
pub(super) fn collapse(findings: Vec<Finding>, signals: usize) -> Vec<Finding> {
    const OF_ROWS: [&str; 7] =
        ["out-of-order", "duplicate", "clock-step", "episode-overlap", "missing", "stale", "slow-samples"];
    let same = |a: &Finding, b: &Finding| {
        a.class == b.class && a.count == b.count && a.first == b.first && a.last == b.last && a.action == b.action
    };
    let mut out: Vec<Finding> = Vec::with_capacity(findings.len());
    for f in &findings {
        let shared = signals > 1
            && OF_ROWS.contains(&f.class.as_str())
            && findings.iter().filter(|g| same(f, g)).count() == signals;
        if !shared {
            out.push(f.clone());
        } else if !out.iter().any(|g| g.signal.is_empty() && same(f, g)) {
            out.push(Finding { signal: String::new(), ..f.clone() });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_keep_first_and_last() {
        let mut t = Tally::default();
        assert!(t.finding("a", "gap", "split", "").is_none());
        t.add(2_000_000);
        t.add(1_000_000);
        let f = t.finding("a", "gap", "split", "").unwrap();
        assert_eq!((f.count, f.first.as_str(), f.last.as_str()), (2, "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"));
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(
            [duration(1_500_000), duration(600_000_000), duration(12_600_000_000)],
            ["1.5 s", "10 min", "3.5 h"]
        );
    }

    #[test]
    fn what_all_signals_share_is_told_once() {
        let mut t = Tally::default();
        t.add(5);
        let all: Vec<_> = ["a", "b"].iter().filter_map(|s| t.finding(s, "duplicate", "dropped", "")).collect();
        let told = collapse(all, 2);
        assert_eq!((told.len(), told[0].signal.as_str()), (1, ""));
    }
}
