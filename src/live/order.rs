//! The order of lines: which step of the plant a line belongs to, when its number may be missing, repeated or wrong.

/// Odd numbers in a row, each one more than the last, after which they are believed: the plant counts anew.
const BELIEVED: usize = 3;
/// The same for numbers that begin where counts begin.
const BELIEVED_FIRST: usize = 2;

/// What a line is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Number `n` from the start of the run; lines before it may be missing. Lines from `n` on that were taken for
    /// steps before were none: they are forgotten.
    Step { n: i64, gap: bool },
    /// An old line again: nothing new.
    Old,
    /// A new run begins with it.
    Start,
}

/// Numbers of the lines so far.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Number of the first line, and of the last one.
    span: Option<(i64, i64)>,
    /// No line has had a number yet.
    unnumbered: bool,
    /// Last lines whose number was assumed.
    assumed: i64,
    /// The last number that was not believed, and how many such came in a row.
    odd: (i64, usize),
    /// Last number of the count that a first line has just ended.
    left: Option<i64>,
}

impl Order {
    /// Places a line with number `k`; a jump by more than `most` lines is not believed, and no more than `most` assumed
    /// ones are taken back. `fresh`: the line tells of no step before it, like the first one of a run.
    pub fn place(&mut self, k: Option<i64>, fresh: bool, most: i64) -> Place {
        let Some((first, last)) = self.span else {
            self.unnumbered = k.is_none();
            let k = k.unwrap_or(0);
            self.span = Some((k, k));
            return Place::Start;
        };
        let Some(k) = k else {
            return self.assume(first, last, false);
        };
        let left = self.left.take();
        if std::mem::take(&mut self.unnumbered) {
            // whatever stood before the first number was no line of this count
            return self.start(k);
        }
        if left.is_some_and(|left| k > left && k - left <= most) {
            // the count has not begun anew after all: it goes on, with what was seen since
            *self = Self { span: Some((k - 1, k)), ..Self::default() };
            return Place::Step { n: 1, gap: false };
        }
        if k > last - self.assumed.min(most) && k - last <= most && k > first {
            (self.assumed, self.odd.1) = (0, 0);
            self.span = Some((first, k));
            return Place::Step { n: k - first, gap: k - last > 1 };
        }
        let begins = |k: i64| k == first || k == 0;
        let in_a_row = if k == self.odd.0 + 1 { self.odd.1 + 1 } else { 1 };
        if fresh && begins(k) && last - first > 1 {
            self.start(k);
            self.left = Some(last);
            return Place::Start;
        }
        let enough = if begins(k + 1 - in_a_row as i64) { BELIEVED_FIRST } else { BELIEVED };
        self.odd = (k, in_a_row);
        if in_a_row >= enough {
            return self.start(k);
        }
        if k > last {
            return self.assume(first, last, true);
        }
        Place::Old
    }

    fn start(&mut self, k: i64) -> Place {
        *self = Self { span: Some((k, k)), ..Self::default() };
        Place::Start
    }

    /// The line after the last one, whatever its number; `gap`: by that, lines are missing.
    fn assume(&mut self, first: i64, last: i64, gap: bool) -> Place {
        self.assumed += 1;
        self.span = Some((first, last + 1));
        Place::Step { n: last + 1 - first, gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(numbers: &[Option<i64>]) -> Vec<Place> {
        let mut order = Order::default();
        numbers.iter().map(|k| order.place(*k, false, 5)).collect()
    }

    fn step(n: i64) -> Place {
        Place::Step { n, gap: false }
    }

    #[test]
    fn lines_find_their_step() {
        use Place::{Old, Start};
        assert_eq!(places(&[Some(7), Some(8), Some(9)]), [Start, step(1), step(2)]);
        assert_eq!(places(&[Some(0), Some(1), Some(1), Some(0), Some(2)]), [Start, step(1), Old, Old, step(2)]);
        assert_eq!(places(&[Some(0), Some(4), Some(5)]), [Start, Place::Step { n: 4, gap: true }, step(5)]);
    }

    #[test]
    fn an_assumed_step_is_taken_back() {
        // the broken line stood for step 1
        assert_eq!(places(&[Some(0), None, Some(2)])[1..], [step(1), step(2)]);
        // it stood for nothing: step 1 comes after it
        assert_eq!(places(&[Some(0), None, Some(1)])[1..], [step(1), step(1)]);
    }

    #[test]
    fn many_assumed_steps_are_not_taken_back_by_one_number() {
        use Place::{Old, Start};
        let mut numbers = vec![Some(0)];
        numbers.resize(101, None);
        numbers.extend([Some(3), None, Some(98)]);
        // number 3 would forget 98 steps; number 98 forgets the last four
        assert_eq!(places(&numbers)[100..], [step(100), Old, step(101), step(98)]);
        // who goes on from there counts anew
        numbers.truncate(101);
        numbers.extend([Some(3), Some(4), Some(5), Some(6)]);
        assert_eq!(places(&numbers)[101..], [Old, Old, Start, step(1)]);
    }

    #[test]
    fn a_wild_number_is_not_believed_and_a_new_count_is() {
        assert_eq!(places(&[Some(0), Some(900), Some(2)])[1..], [Place::Step { n: 1, gap: true }, step(2)]);
        let again = places(&[Some(50), Some(51), Some(7), Some(8), Some(9), Some(10)]);
        assert_eq!(again[2..], [Place::Old, Place::Old, Place::Start, step(1)]);
        for first in [0, 50] {
            let again = places(&[Some(50), Some(51), Some(first), Some(first + 1), Some(first + 2)]);
            assert_eq!(again[2..], [Place::Old, Place::Start, step(1)], "{first}");
        }
    }

    #[test]
    fn a_first_line_begins_a_new_run_at_once_unless_the_old_count_goes_on() {
        let mut order = Order::default();
        let mut place = |k: i64, fresh: bool| order.place(Some(k), fresh, 5);
        let old: Vec<Place> = (0..4).map(|k| place(k, k == 0)).collect();
        assert_eq!(old, [Place::Start, step(1), step(2), step(3)]);
        assert_eq!([place(0, false), place(0, true), place(1, false)], [Place::Old, Place::Start, step(1)]);
        assert_eq!([place(2, false), place(0, true), place(3, false)], [step(2), Place::Start, step(1)]);
        assert_eq!(place(4, false), step(2));
    }

    #[test]
    fn the_first_number_begins_the_run() {
        assert_eq!(places(&[None, None, Some(0), Some(1)])[1..], [step(1), Place::Start, step(1)]);
        assert_eq!(places(&[None, Some(70), Some(71)])[1..], [Place::Start, step(1)]);
    }
}
