//! Tests of `src/live/protocol/order.rs`.

use super::*;

fn places(numbers: &[Option<i64>]) -> Vec<Place> {
    let mut order = Order::default();
    numbers.iter().map(|k| order.place(*k, false, 5)).collect()
}

fn step(n: i64) -> Place {
    Place::Step { n, gap: false }
}

#[test]
fn numbered_lines_are_placed_by_their_number() {
    use Place::{Old, Start};
    assert_eq!(places(&[Some(7), Some(8), Some(9)]), [Start, step(1), step(2)]);
    assert_eq!(places(&[Some(0), Some(1), Some(1), Some(0), Some(2)]), [Start, step(1), Old, Old, step(2)]);
    assert_eq!(places(&[Some(0), Some(4), Some(5)]), [Start, Place::Step { n: 4, gap: true }, step(5)]);
}

#[test]
fn a_later_number_corrects_the_position_of_a_line_without_a_number() {
    // line 2 follows, so the line without a number was line 1
    assert_eq!(places(&[Some(0), None, Some(2)])[1..], [step(1), step(2)]);
    // line 1 follows, so the line without a number is not counted
    assert_eq!(places(&[Some(0), None, Some(1)])[1..], [step(1), step(1)]);
}

#[test]
fn a_single_number_cannot_take_back_many_lines_without_numbers() {
    use Place::{Old, Start};
    let mut numbers = vec![Some(0)];
    numbers.resize(101, None);
    numbers.extend([Some(3), None, Some(98)]);
    // line number 3 is ignored, because it would go back by 98 lines; number 98 is accepted, because it goes back by
    // only four
    assert_eq!(places(&numbers)[100..], [step(100), Old, step(101), step(98)]);
    // consecutive line numbers that begin with 3 start a new run
    numbers.truncate(101);
    numbers.extend([Some(3), Some(4), Some(5), Some(6)]);
    assert_eq!(places(&numbers)[101..], [Old, Old, Start, step(1)]);
}

#[test]
fn one_unexpected_number_is_ignored_and_consecutive_ones_start_a_new_run() {
    assert_eq!(places(&[Some(0), Some(900), Some(2)])[1..], [Place::Step { n: 1, gap: true }, step(2)]);
    let again = places(&[Some(50), Some(51), Some(7), Some(8), Some(9), Some(10)]);
    assert_eq!(again[2..], [Place::Old, Place::Old, Place::Start, step(1)]);
    for first in [0, 50] {
        let again = places(&[Some(50), Some(51), Some(first), Some(first + 1), Some(first + 2)]);
        assert_eq!(again[2..], [Place::Old, Place::Start, step(1)], "{first}");
    }
}

#[test]
fn a_fresh_first_line_starts_a_new_run_unless_the_old_count_continues() {
    let mut order = Order::default();
    let mut place = |k: i64, fresh: bool| order.place(Some(k), fresh, 5);
    let old: Vec<Place> = (0..4).map(|k| place(k, k == 0)).collect();
    assert_eq!(old, [Place::Start, step(1), step(2), step(3)]);
    assert_eq!([place(0, false), place(0, true), place(1, false)], [Place::Old, Place::Start, step(1)]);
    assert_eq!([place(2, false), place(0, true), place(3, false)], [step(2), Place::Start, step(1)]);
    assert_eq!(place(4, false), step(2));
}

#[test]
fn the_first_numbered_line_starts_the_run() {
    assert_eq!(places(&[None, None, Some(0), Some(1)])[1..], [step(1), Place::Start, step(1)]);
    assert_eq!(places(&[None, Some(70), Some(71)])[1..], [Place::Start, step(1)]);
}
