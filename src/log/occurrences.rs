//! Counts the occurrences of a fault.

use super::quality::{Finding, FindingAction, FindingClass};
use super::text::rfc3339;

/// The number of occurrences of a fault, and the times (µs UTC) of the first and last occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrences {
    pub count: usize,
    pub first: i64,
    pub last: i64,
}

impl Default for Occurrences {
    fn default() -> Self {
        Self { count: 0, first: i64::MAX, last: i64::MIN }
    }
}

impl Occurrences {
    pub fn add(&mut self, time: i64) {
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    /// Creates `count` occurrences between the times `first` and `last`.
    pub fn between(count: usize, first: i64, last: i64) -> Self {
        Self { count, first, last }
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Returns the finding, or `None` if the fault did not occur. If `signal` is empty, the finding concerns the
    /// timeline.
    pub fn finding(
        &self,
        signal: &str,
        class: FindingClass,
        action: FindingAction,
        note: impl Into<String>,
    ) -> Option<Finding> {
        (self.count > 0).then(|| Finding {
            signal: signal.into(),
            class,
            count: self.count,
            first: rfc3339(self.first),
            last: rfc3339(self.last),
            action,
            note: note.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occurrences_keep_the_first_and_the_last_time() {
        let finding = |o: &Occurrences| o.finding("a", FindingClass::Gap, FindingAction::Split, "");
        let mut o = Occurrences::default();
        assert!(finding(&o).is_none());
        o.add(2_000_000);
        o.add(1_000_000);
        let f = finding(&o).unwrap();
        assert_eq!((f.count, f.first.as_str(), f.last.as_str()), (2, "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"));
    }
}
