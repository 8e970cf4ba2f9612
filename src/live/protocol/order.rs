//! Finds the position of each line in its run, even if line numbers are missing, repeated or wrong.

/// Number of consecutive unexpected line numbers after which they are accepted as a new numbering
/// (not tuned).
const ACCEPT_AFTER: usize = 3;
/// Like [`ACCEPT_AFTER`], but for line numbers that start again at 0 or at the number of the run's first line (not
/// tuned).
const ACCEPT_AFTER_FROM_START: usize = 2;

/// The position of a line in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The line has the number `n` in its run, counted from 0. If the number of an earlier line was only assumed, and
    /// is `n` or higher, this earlier line must be dropped.
    Step {
        n: i64,
        /// Whether lines are missing before this line.
        gap: bool,
    },
    /// The number of the line is not higher than the number of the last line, so the line is
    /// treated as a repetition of an earlier line.
    Old,
    /// The line is the first line of a new run.
    Start,
}

/// Keeps track of the line numbers of a run.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Numbers of the first and last lines of the run.
    span: Option<(i64, i64)>,
    /// Whether all lines of the run so far are unnumbered.
    unnumbered: bool,
    /// Number of lines since the last line whose number was accepted.
    assumed: i64,
    /// The last unexpected line number, and the number of consecutive unexpected line numbers so far.
    unexpected: (i64, usize),
    /// The last line number of the old numbering, if the newest line appears to restart the
    /// numbering.
    ended_at: Option<i64>,
}

impl Order {
    /// Assigns a position to the line with the number `k`, or to an unnumbered line if `k` is `None`. If the line
    /// number jumps by more than `most`, the new number is not accepted immediately. A line can replace up to `most` of
    /// the latest lines, but only lines whose numbers were assumed. If `fresh` is true, the line reports nothing about
    /// an earlier interval, as is the case for the first line of a run.
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
            // The first numbered line starts a new run, because the lines before it have no numbers.
            return self.start(k);
        }
        if ended_at.is_some_and(|ended| k > ended && k - ended <= most) {
            // The preceding line appeared to start a new numbering, but this line continues the old numbering. The
            // preceding line becomes the first line of the run.
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

    /// Places a new line directly after the last line, regardless of the number of the new line.
    /// `gap` means that this number indicates missing lines before the new line.
    fn assume_next(&mut self, first: i64, last: i64, gap: bool) -> Place {
        self.assumed += 1;
        self.span = Some((first, last + 1));
        Place::Step { n: last + 1 - first, gap }
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/live/protocol/order.rs"]
mod tests;
