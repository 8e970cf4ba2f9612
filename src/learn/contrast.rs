//! Tests whether the effect of a control is the same in all parts of the log.
//!
//! The error of an effect ([`super::effect`]) is estimated separately before and after each boundary between two folds
//! (the hold-out is the newest part), and separately from small and from large moves of the control. An effect that
//! differs before and after a boundary has changed, for example because the plant was rebuilt. An
//! effect that differs between small and large moves is either far from linear or not an effect of
//! the control alone, because an unlogged quantity changed together with the large moves. In both
//! cases, the mean effect over the log does not predict a saving.
//!
//! The error of the effect right after the moves is compared with the error over longer stretches.
//! If the two errors differ, a slow change of the plant, such as fouling, coincided with the
//! changes of the control.
//!
//! The error of the effect is also estimated long after a move. If the model describes the dynamics, the late error
//! equals a δ, where δ is the error within the first window, and a is the factor by which a constant error accumulates
//! over the late window. If the late error differs from a δ, the effect builds up or reverses
//! differently than in the model, so the model does not predict the effect of a lasting change.

use super::moments::{Moment, Solved, solve};
use crate::stats::{NORMAL_95, t_quantile};

/// Minimum effective number of blocks in each of the two parts (not tuned).
const MIN_BLOCKS: f64 = 5.0;
/// Normal quantile above which a difference is not attributed to chance. With seven comparisons per
/// effect, a constant effect appears to differ in at most about 1.4 % of all cases.
const SIGNIFICANT: f64 = 3.09;
/// Normal quantile above which a late difference is not attributed to chance. With two comparisons
/// per effect, a settled effect appears to change in at most about 2 % of all cases.
const SIGNIFICANT_LATER: f64 = 2.58;
/// Differences up to this fraction of the larger effect are not relevant (not tuned).
const RELEVANT: f64 = 0.5;
/// Late differences up to this fraction of the larger effect are not relevant (not tuned).
const RELEVANT_LATER: f64 = 0.1;
/// Moves are classified as small if they are below one of these fractions of the typical size (Σ v⁴
/// / Σ v²)½ (not tuned).
const SMALL: [f64; 2] = [0.5, 0.25];

/// Two parts of the log in which the effect of a control differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    pub parts: Parts,
    /// The effect in the two parts, per unit of the control.
    pub effects: [f64; 2],
}

/// How the log is divided into two parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parts {
    /// The part before this row, and the part from this row onwards.
    Time(usize),
    /// Small moves and large moves, separated at this size.
    Size(f64),
    /// Right after the moves, and over longer stretches.
    Slow,
    /// More than this number of steps after a move, in the model and in the log.
    Later(usize),
}

/// Returns the clearest difference in the effect of `control` between two parts of the log, if
/// there is one. `model` is the effect in the model. Each part is divided into blocks of `block`
/// rows.
pub(super) fn contrast(
    moments: &[Moment],
    control: usize,
    controls: usize,
    block: usize,
    model: f64,
) -> Option<Contrast> {
    let v = |m: &Moment| m.instruments[control];
    let (squares, fourths) = moments.iter().map(|m| v(m).powi(2)).fold((0.0, 0.0), |(s, q), e| (s + e, q + e * e));
    let size = (fourths / squares).sqrt();
    let sizes = SMALL.map(|fraction| Parts::Size(fraction * size));
    let starts = moments.windows(2).filter(|w| w[0].part != w[1].part).map(|w| Parts::Time(w[1].row));
    let compare = |parts: Parts| {
        let is_first = move |m: &&Moment| match parts {
            Parts::Time(row) => m.row < row,
            Parts::Size(size) => m.instruments[control].abs() < size,
            Parts::Slow | Parts::Later(_) => true,
        };
        let first = solve(moments.iter().filter(is_first), controls, block)[control]?;
        let second = solve(moments.iter().filter(move |m| !is_first(m)), controls, block)[control]?;
        let distance = distance(first, second, SIGNIFICANT)?;
        let effects = [model + first.error, model + second.error];
        (distance > 1.0 && is_relevant(effects, RELEVANT)).then_some((distance, Contrast { parts, effects }))
    };
    starts.chain(sizes).filter_map(compare).max_by(|a, b| a.0.total_cmp(&b.0)).map(|found| found.1)
}

/// Returns a contrast if the effect over longer stretches differs from the effect right after the
/// moves of a control. `now` is the effect right after the moves, and `difference` is the effect
/// over longer stretches minus `now`.
pub(super) fn slow(difference: Solved, now: f64) -> Option<Contrast> {
    let effects = [now, now + difference.error];
    (is_significant(difference, SIGNIFICANT) && is_relevant(effects, RELEVANT))
        .then_some(Contrast { parts: Parts::Slow, effects })
}

/// Returns the clearest difference between the late effects in the model and in the log. Each
/// element of `late` contains the difference (log minus model) and the late effect in the model,
/// corrected for the accumulated error of the effect within the first `window` steps.
pub(super) fn later<'a>(late: impl Iterator<Item = &'a (Solved, f64)>, window: usize) -> Option<Contrast> {
    let compare = |(difference, in_model): &(Solved, f64)| {
        let effects = [*in_model, in_model + difference.error];
        (is_significant(*difference, SIGNIFICANT_LATER) && is_relevant(effects, RELEVANT_LATER))
            .then_some((difference.error.abs() / difference.se, Contrast { parts: Parts::Later(window), effects }))
    };
    late.filter_map(compare).max_by(|a, b| a.0.total_cmp(&b.0)).map(|found| found.1)
}

/// Returns true if the data would have revealed a late effect that differs from the effect
/// `in_model` by more than the fraction [`RELEVANT`].
pub(super) fn is_shown(late: Solved, in_model: f64) -> bool {
    late.blocks >= MIN_BLOCKS && t_quantile(NORMAL_95, late.blocks - 1.0) * late.se < RELEVANT * in_model.abs()
}

fn is_significant(difference: Solved, quantile: f64) -> bool {
    difference.blocks >= MIN_BLOCKS
        && difference.error.abs() > t_quantile(quantile, difference.blocks - 1.0) * difference.se
}

fn is_relevant(effects: [f64; 2], fraction: f64) -> bool {
    (effects[0] - effects[1]).abs() > fraction * effects[0].abs().max(effects[1].abs())
}

/// Returns the absolute difference between two independent estimates, divided by the largest
/// difference that may be due to chance.
fn distance(a: Solved, b: Solved, significant: f64) -> Option<f64> {
    let blocks = a.blocks.min(b.blocks);
    let largest = t_quantile(significant, blocks - 1.0) * a.se.hypot(b.se);
    (blocks >= MIN_BLOCKS).then(|| (a.error - b.error).abs() / largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    /// 6,000 moments of a control with the effect `effect(row, v)` and noise, in six parts.
    fn found(seed: u64, effect: &dyn Fn(usize, f64) -> f64) -> Option<Contrast> {
        let normal = |stream: u64, row: usize| Key::new(seed).fold(stream).normal(row as u64);
        let moment = |row: usize| {
            let v = if row.is_multiple_of(10) {
                normal(0, row) * if row.is_multiple_of(30) { 10.0 } else { 1.0 }
            } else {
                0.0
            };
            Moment {
                part: row / 1000,
                row,
                instruments: vec![v],
                moves: vec![v],
                error: (effect(row, v) - 1.0) * v + normal(1, row),
            }
        };
        contrast(&(0..6000).map(moment).collect::<Vec<_>>(), 0, 1, 10, 1.0)
    }

    #[test]
    fn a_change_in_time_and_one_with_the_size_are_found_but_not_a_constant_effect() {
        let changed = found(1, &|row, _| if row < 3000 { 2.0 } else { -0.4 }).unwrap();
        assert_eq!(changed.parts, Parts::Time(3000));
        assert!((changed.effects[0] - 2.0).abs() < 0.2 && (changed.effects[1] + 0.4).abs() < 0.2, "{changed:?}");
        // only the newest part, the hold-out, differs
        assert_eq!(found(2, &|row, _| if row < 5000 { 1.0 } else { -1.0 }).unwrap().parts, Parts::Time(5000));
        let large = found(3, &|_, v| if v.abs() > 4.0 { 2.0 } else { -0.5 }).unwrap();
        assert!(matches!(large.parts, Parts::Size(_)) && large.effects[0] < 0.0 && large.effects[1] > 1.5, "{large:?}");
        let by_chance = (0..200).filter(|seed| found(100 + seed, &|_, _| 0.0).is_some()).count();
        assert!(by_chance <= 8, "{by_chance}");
    }

    #[test]
    fn an_effect_that_reverses_later_is_found() {
        let solved = |error: f64, se: f64| Solved { error, se, blocks: 40.0 };
        // the late effect is 1.1 in the model, and lower by 1.6 in the log
        let late = |error: f64, se: f64| (solved(error, se), 1.1);
        let found = later([late(0.1, 0.2), late(-1.6, 0.2)].iter(), 8).unwrap();
        assert_eq!(found.parts, Parts::Later(8));
        assert!((found.effects[1] + 0.5).abs() < 1e-12, "{found:?}");
        // uncertain, and small
        assert_eq!(later([late(-1.6, 0.7)].iter(), 8), None);
        assert_eq!(later([late(0.1, 0.01)].iter(), 8), None);
        // a change by half of the effect would have been found only in the second case
        assert!(!is_shown(solved(0.0, 0.4), 1.1) && is_shown(solved(0.1, 0.3), 1.1));
    }

    #[test]
    fn an_effect_that_differs_over_longer_stretches_is_found() {
        let solved = |error: f64, se: f64| Solved { error, se, blocks: 40.0 };
        let found = slow(solved(2.5, 0.3), -0.5).unwrap();
        assert_eq!((found.parts, found.effects), (Parts::Slow, [-0.5, 2.0]));
        assert!(slow(solved(2.5, 0.8), -0.5).is_none() && slow(solved(0.2, 0.01), -0.5).is_none());
    }
}
