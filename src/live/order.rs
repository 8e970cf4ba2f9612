//! The order of lines: which step of the plant a line belongs to, when its number may be missing, repeated or wrong.

/// Odd numbers in a row, each one more than the last, after which they are believed: the plant counts anew.
const BELIEVED: usize = 3;

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
    /// Last lines whose number was assumed.
    assumed: i64,
    /// The last number that was not believed, and how many such came in a row.
    odd: (i64, usize),
}

impl Order {
    /// Places a line with number `k`; a jump by more than `most` lines is not believed.
    pub fn place(&mut self, k: Option<i64>, most: i64) -> Place {
        let Some((first, last)) = self.span else {
            let k = k.unwrap_or(0);
            self.span = Some((k, k));
            return Place::Start;
        };
        let next = |order: &mut Self, k: i64| {
            order.span = Some((first, k));
            Place::Step { n: k - first, gap: k - last > 1 }
        };
        let Some(k) = k else {
            self.assumed += 1;
            return next(self, last + 1);
        };
        if k > last - self.assumed && k - last <= most && k > first {
            (self.assumed, self.odd.1) = (0, 0);
            return next(self, k);
        }
        let in_a_row = if k == self.odd.0 + 1 { self.odd.1 + 1 } else { 1 };
        self.odd = (k, in_a_row);
        if in_a_row >= BELIEVED {
            *self = Self { span: Some((k, k)), ..Self::default() };
            return Place::Start;
        }
        if k > last {
            self.assumed += 1;
            return next(self, last + 1);
        }
        Place::Old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(numbers: &[Option<i64>]) -> Vec<Place> {
        let mut order = Order::default();
        numbers.iter().map(|k| order.place(*k, 5)).collect()
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
    fn a_wild_number_is_not_believed_and_a_new_count_is() {
        assert_eq!(places(&[Some(0), Some(900), Some(2)])[1..], [step(1), step(2)]);
        let again = places(&[Some(50), Some(51), Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(again[2..], [Place::Old, Place::Old, Place::Start, step(1)]);
    }
}
