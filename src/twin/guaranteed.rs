//! The range of values that the equation of a state guarantees.

use crate::expr::{Arithmetic, Curve};
use crate::learn::StepMap;
use crate::schema::{Bounds, Role};

/// The range that the known equation of `signal` guarantees for all allowed values of the signals
/// in the equation. A stock with `next = "max(stock + order - demand, 0)"` is never negative.
pub fn guaranteed(map: &StepMap, signal: usize) -> Bounds {
    let Some(next) = map.equations.next.iter().find(|n| n.signal == signal && !n.has_residual) else {
        return Bounds::OPEN;
    };
    let program = next.program.inlined(&|s| map.equations.derived_program(s));
    let range = program.symbolic(&mut Intervals(&|s| {
        let signal = &map.schema.signals[s];
        if signal.role == Role::Control { signal.hard } else { Bounds::OPEN }
    }));
    range.filter(|r| !r.low.is_nan() && !r.high.is_nan()).unwrap_or(Bounds::OPEN)
}

/// Arithmetic of intervals.
struct Intervals<'a>(&'a dyn Fn(usize) -> Bounds);

impl Arithmetic for Intervals<'_> {
    type Value = Bounds;

    fn constant(&mut self, value: f64) -> Bounds {
        // The time is not a number.
        if value.is_nan() { Bounds::OPEN } else { Bounds { low: value, high: value } }
    }

    fn column(&mut self, signal: usize, _: usize) -> Option<Bounds> {
        Some((self.0)(signal))
    }

    fn time(&self) -> f64 {
        f64::NAN
    }

    fn number(&self, value: &Bounds) -> Option<f64> {
        (value.low == value.high).then_some(value.low)
    }

    fn sum(&mut self, a: &Bounds, factor_a: f64, b: &Bounds, factor_b: f64) -> Bounds {
        let (a, b) = (scaled(*a, factor_a), scaled(*b, factor_b));
        Bounds { low: a.low + b.low, high: a.high + b.high }
    }

    fn maximum(&mut self, a: &Bounds, b: &Bounds) -> Option<Bounds> {
        Some(Bounds { low: a.low.max(b.low), high: a.high.max(b.high) })
    }

    fn curve(&mut self, _: Curve, _: &Bounds) -> Option<Bounds> {
        None
    }

    fn select(&mut self, _: f64, a: &Bounds, b: &Bounds) -> Bounds {
        Bounds { low: a.low.min(b.low), high: a.high.max(b.high) }
    }
}

fn scaled(a: Bounds, factor: f64) -> Bounds {
    if factor == 0.0 {
        return Bounds { low: 0.0, high: 0.0 };
    }
    let (low, high) = (a.low * factor, a.high * factor);
    Bounds { low: low.min(high), high: low.max(high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Program, Scope};
    use crate::units::Unit;

    #[test]
    fn a_term_that_depends_on_the_time_guarantees_nothing() {
        let signals = ["stock", "order"].iter().enumerate().map(|(i, n)| ((*n).to_owned(), (i, Unit::one())));
        let scope = Scope { signals: signals.collect(), dt: 1.0, ..Scope::default() };
        let range = |text: &str| {
            let signals = |s: usize| if s == 1 { Bounds { low: 0.0, high: 5.0 } } else { Bounds::OPEN };
            let found = Program::compile(text, &scope).unwrap().symbolic(&mut Intervals(&signals)).unwrap();
            (found.low, found.high)
        };
        let inf = f64::INFINITY;
        assert_eq!(range("max(stock + order, 0)"), (0.0, inf));
        assert_eq!(range("max(2 * order - 4, 0)"), (0.0, 6.0));
        assert_eq!(range("max(stock + time / 1[s], 0)"), (0.0, inf));
        assert_eq!(range("min(order - time / 1[s], 3)"), (-inf, 3.0));
    }
}
