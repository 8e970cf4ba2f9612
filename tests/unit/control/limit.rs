//! Tests of `src/control/limit.rs`.

use proptest::prelude::*;

use super::*;
use crate::schema::{MoveLimit, Role, Switching};
use crate::units::Unit;

fn control(low: f64, high: f64, max_move: f64, multiple: f64) -> Signal {
    Signal {
        name: "u".into(),
        role: Role::Control,
        unit: Unit::one(),
        hard: Bounds { low, high },
        soft: Bounds::OPEN,
        max_move: MoveLimit::both(max_move),
        multiple,
        switching: Switching::NONE,
    }
}

#[test]
fn contradicting_limits_have_a_precedence() {
    assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 5.0, 0, 9.0), 6.0);
    assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 20.0, 0, 9.0), 10.0);
    assert_eq!(limited(&control(0.0, 10.0, 4.0, 3.0), 0.0, 0, 4.4), 3.0);
    assert_eq!(limited(&control(0.0, 10.0, 1.0, 3.0), 4.5, 0, 9.0), 6.0);
    assert_eq!(limited(&control(1.0, 2.0, f64::INFINITY, 3.0), 1.0, 0, 9.0), 2.0);
    assert_eq!(limited(&control(0.0, 0.3, f64::INFINITY, 0.1), 0.0, 0, 9.0), 0.3);
    assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), f64::NAN, 0, 9.0), 9.0);
    assert_eq!(limited(&control(0.0, 10.0, 1.0, 0.0), 5.0, 0, f64::INFINITY), 6.0);
}

#[test]
fn minimum_times_on_and_off_are_kept() {
    let switching = Switching { least: 4.0, run: 3, stop: 2 };
    let signal = Signal { switching, ..control(0.0, 10.0, f64::INFINITY, 0.0) };
    assert_eq!([1.9, 2.1, 4.0, 7.0].map(|w| limited(&signal, 0.0, 2, w)), [0.0, 4.0, 4.0, 7.0]);
    assert_eq!(limited(&signal, 0.0, 1, 7.0), 0.0);
    assert_eq!((limited(&signal, 6.0, 2, 0.0), limited(&signal, 6.0, 3, 0.0)), (4.0, 0.0));
    let asymmetric = Signal { max_move: MoveLimit { down: 1.0, up: 4.0 }, ..signal };
    assert_eq!((limited(&asymmetric, 0.0, 9, 9.0), limited(&asymmetric, 6.0, 9, 0.0)), (4.0, 5.0));
}

proptest! {
    #[test]
    fn all_limits_are_kept_from_any_feasible_value(
        low in -50.0..0.0,
        width in 1.0..100.0,
        max_move in prop_oneof![0.1..20.0, Just(f64::INFINITY)],
        multiple in prop_oneof![Just(0.0), 0.1..5.0],
        start in -100.0..100.0,
        wanted in prop::collection::vec(-200.0..200.0, 30),
    ) {
        let signal = control(low, low + width, max_move, multiple);
        let mut previous = limited(&signal, f64::NAN, 0, start);
        let lots = |v: f64| multiple == 0.0 || (v / multiple - (v / multiple).round()).abs() < 1e-6;
        let reachable = lots(previous);
        for w in wanted {
            let v = limited(&signal, previous, 0, w);
            prop_assert!(signal.hard.contains(v));
            prop_assert!((v - previous).abs() <= max_move + 1e-9 || !reachable);
            prop_assert!(lots(v) || !reachable, "{v} is not a multiple of {multiple}");
            previous = v;
        }
    }
}

#[test]
fn a_shortage_rounds_an_order_up() {
    let inf = f64::INFINITY;
    let packs = control(0.0, 100.0, inf, 10.0);
    let needs = [-3.0, 0.0, 1e-12, 0.1, 4.0, 6.0, 10.0, 10.0 + 1e-12, 10.1, 97.0, 250.0];
    let orders = [0.0, 0.0, 0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 20.0, 100.0, 100.0];
    assert_eq!(needs.map(|need| covering_order(&packs, need)), orders);
    let minimum = Switching { least: 30.0, run: 0, stop: 0 };
    let at_least = Signal { switching: minimum, ..control(0.0, 100.0, inf, 0.0) };
    assert_eq!([1.0, 6.0, 30.0, 31.5, 500.0].map(|n| covering_order(&at_least, n)), [30.0, 30.0, 30.0, 31.5, 100.0]);
    // With packs of 20, the smallest order of at least 30 is 40. The largest order within the hard limit of 90 is 80.
    let both = Signal { switching: minimum, ..control(0.0, 90.0, inf, 20.0) };
    assert_eq!([1.0, 41.0, 85.0].map(|n| covering_order(&both, n)), [40.0, 60.0, 80.0]);
    assert!(covering_order(&packs, f64::NAN).is_nan());
}

#[test]
fn a_total_allows_only_values_that_the_control_can_take() {
    let free = control(0.0, 10.0, f64::INFINITY, 0.0);
    assert_eq!([3.7, 0.0, -2.0].map(|most| allowed_below(&free, most)), [3.7, 0.0, 0.0]);
    let multiple = control(0.0, 10.0, f64::INFINITY, 0.1);
    assert_eq!(allowed_below(&multiple, 0.37), 0.1 * 3.0);
    assert_eq!(allowed_below(&multiple, 0.1 * 3.0), 0.1 * 3.0);
    let switched = Signal { switching: Switching { least: 4.0, run: 1, stop: 1 }, ..free };
    assert_eq!([3.7, 4.0, 6.0].map(|most| allowed_below(&switched, most)), [0.0, 4.0, 6.0]);
}
