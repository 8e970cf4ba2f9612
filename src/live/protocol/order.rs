//! The order of lines: which step of the plant a line belongs to if its number is missing, repeated or wrong.

/// Unexpected numbers are accepted as a new count after this many in sequence, each one more than the last (guess).
const ACCEPT_AFTER: usize = 3;
/// The same for numbers that start at 0 or at the run's first number (guess).
const ACCEPT_AFTER_FROM_START: usize = 2;

/// The place of a line in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Line `n` of the run, counted from 0. Earlier lines that were assumed to be line `n` or later must be dropped.
    Step {
        n: i64,
        /// Lines are missing before this one.
        gap: bool,
    },
    /// A line that was placed before.
    Old,
    /// The first line of a new run.
    Start,
}

/// The numbers of the lines so far.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Number of the run's first line, and of its last one.
    span: Option<(i64, i64)>,
    /// No line has had a number yet.
    unnumbered: bool,
    /// Number of consecutive newest lines whose numbers were assumed.
    assumed: i64,
    /// The last unexpected number, and how many consecutive ones there were.
    unexpected: (i64, usize),
    /// Last number of the count that has just been ended by a line that seemed to start a new one.
    ended_at: Option<i64>,
}

impl Order {
    /// Places a line with number `k`. A jump of more than `most` lines is not accepted at once, and at most `most`
    /// assumed lines are taken back. `fresh`: the line reports nothing about an earlier interval, as the first line of
    /// a run does.
    pub fn place(&mut self, k: Option<i64>, fresh: bool, most: i64) -> Place {
        let Some((first, last)) = self.span else {
            self.unnumbered = k.is_none();
            let k = k.unwrap_or(0);
            self.span = Some((k, k));
            return Place::Start;
        };
        let Some(k) = k else {
            return self.assume_next(first, last, false);
        };
        let ended_at = self.ended_at.take();
        if std::mem::take(&mut self.unnumbered) {
            // The lines before the first number do not belong to this count.
            return self.start(k);
        }
        if ended_at.is_some_and(|ended| k > ended && k - ended <= most) {
            // The old count continues after all. The line that seemed to start a new count becomes the first line of
            // the run.
            *self = Self { span: Some((k - 1, k)), ..Self::default() };
            return Place::Step { n: 1, gap: false };
        }
        if k > last - self.assumed.min(most) && k - last <= most && k > first {
            (self.assumed, self.unexpected.1) = (0, 0);
            self.span = Some((first, k));
            return Place::Step { n: k - first, gap: k - last > 1 };
        }
        let starts_a_count = |k: i64| k == first || k == 0;
        let consecutive = if k == self.unexpected.0 + 1 { self.unexpected.1 + 1 } else { 1 };
        if fresh && starts_a_count(k) && last - first > 1 {
            self.start(k);
            self.ended_at = Some(last);
            return Place::Start;
        }
        let needed = if starts_a_count(k + 1 - consecutive as i64) { ACCEPT_AFTER_FROM_START } else { ACCEPT_AFTER };
        self.unexpected = (k, consecutive);
        if consecutive >= needed {
            return self.start(k);
        }
        if k > last {
            return self.assume_next(first, last, true);
        }
        Place::Old
    }

    fn start(&mut self, k: i64) -> Place {
        *self = Self { span: Some((k, k)), ..Self::default() };
        Place::Start
    }

    /// Places the line after the last one, whatever its number. `gap`: according to its number, lines are missing.
    fn assume_next(&mut self, first: i64, last: i64, gap: bool) -> Place {
        self.assumed += 1;
        self.span = Some((first, last + 1));
        Place::Step { n: last + 1 - first, gap }
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/live/protocol/order.rs"]
mod tests;
