//! The range of values that the equation of a state guarantees.

use crate::expr::{Arithmetic, Curve};
use crate::learn::StepMap;
use crate::schema::{Bounds, Role};

/// The range that the known equation of `signal` guarantees for all values of the signals that the equation reads. A
/// stock with `next = "max(stock + order - demand, 0)"` is never negative.
pub fn guaranteed(map: &StepMap, signal: usize) -> Bounds {
    let Some(next) = map.equations.next.iter().find(|n| n.signal == signal && !n.has_residual) else {
        return Bounds::OPEN;
    };
    let program = next.program.inlined(&|s| map.equations.derived_program(s));
    let range = program.symbolic(&mut Intervals { map });
    range.filter(|r| !r.low.is_nan() && !r.high.is_nan()).unwrap_or(Bounds::OPEN)
}

/// Arithmetic of intervals.
struct Intervals<'a> {
    map: &'a StepMap,
}

impl Arithmetic for Intervals<'_> {
    type Value = Bounds;

    fn constant(&mut self, value: f64) -> Bounds {
        Bounds { low: value, high: value }
    }

    fn column(&mut self, signal: usize, _: usize) -> Option<Bounds> {
        let signal = &self.map.schema.signals[signal];
        Some(if signal.role == Role::Control { signal.hard } else { Bounds::OPEN })
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
