//! Finds the part of a requested move that stays within the support of the model.

use crate::error::Result;
use crate::schema::Role;
use crate::twin::{Dynamics, Support};

/// Fractions of a move that are tried if the complete move leaves the support, largest first (not tuned).
const SHARES: [f64; 3] = [0.75, 0.5, 0.25];

/// Returns the moves that may be applied if `requested` is the preferred move. Each move has one
/// value per control.
///
/// - If `requested` stays within the support, it is the only result.
/// - If `requested` leaves the support, the results are reduced moves. A reduced move covers the largest supported
///   fraction of the way from an origin to `requested`. Possible origins are `unplanned` (the controls that apply
///   without a plan) and the supported moves in `others`. For each origin, one reduced move scales the changes of all
///   controls by the same factor, and each further reduced move scales the change of only one control.
/// - If `unplanned` also leaves the support, for example because of weather that the log does not contain, `requested`
///   is not the cause of the extrapolation. Therefore, if `unplanned` leaves the support, the result is `requested`
///   alone if `states_known` is `true`, and empty otherwise; see the function [`states_known`].
/// - If no supported move exists, the result is empty.
///
/// The function `judge` clamps controls to their limits, and returns their position relative to the support at the
/// current step.
///
/// # Errors
/// Returns the errors of `judge`.
pub fn supported(
    mut unplanned: Vec<f64>,
    others: Vec<Vec<f64>>,
    mut requested: Vec<f64>,
    states_known: bool,
    mut judge: impl FnMut(&mut [f64]) -> Result<Support>,
) -> Result<Vec<Vec<f64>>> {
    if judge(&mut requested)? != Support::Outside {
        return Ok(vec![requested]);
    }
    if judge(&mut unplanned)? == Support::Outside {
        return Ok(states_known.then_some(requested).into_iter().collect());
    }
    let mut origins = vec![unplanned];
    for mut other in others {
        if judge(&mut other)? != Support::Outside && !origins.contains(&other) {
            origins.push(other);
        }
    }
    let mut moves: Vec<Vec<f64>> = Vec::new();
    let alone = (0..requested.len()).filter(|_| requested.len() > 1).map(Some);
    for control in std::iter::once(None).chain(alone) {
        for origin in &origins {
            if control.is_some_and(|c| origin[c] == requested[c]) {
                continue;
            }
            for share in SHARES.into_iter().chain(control.map(|_| 0.0)) {
                let mut part = between(origin, &requested, control, share);
                if judge(&mut part)? != Support::Outside {
                    if !moves.contains(&part) {
                        moves.push(part);
                    }
                    break;
                }
            }
        }
    }
    Ok(moves)
}

/// Moves `requested` towards `origin`: the distance is multiplied by `share`, either for the
/// control with the index `control`, or for all controls if `control` is `None`.
fn between(origin: &[f64], requested: &[f64], control: Option<usize>, share: f64) -> Vec<f64> {
    let is_reduced = |c: usize| control.is_none_or(|one| one == c);
    let each = origin.iter().zip(requested).enumerate();
    each.map(|(c, (from, to))| if is_reduced(c) { from + share * (to - from) } else { *to }).collect()
}

/// Returns whether every learned state is within or close to its logged range. `value` returns the
/// current value of a state.
pub fn states_known(dynamics: &dyn Dynamics, value: impl Fn(usize) -> f64) -> bool {
    let states = dynamics.schema().with_role(Role::State).into_iter().filter(|&s| dynamics.is_learned(s));
    states.into_iter().all(|s| value(s).is_finite() && dynamics.widened_range(s).contains(value(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the supported move from 1 towards 5 if values above `edge` are outside the support.
    fn up_to(edge: f64, states_known: bool) -> Option<Vec<f64>> {
        let judge = |moves: &mut [f64]| Ok(if moves[0] > edge { Support::Outside } else { Support::Inside });
        supported(vec![1.0], Vec::new(), vec![5.0], states_known, judge).unwrap().pop()
    }

    #[test]
    fn controls_are_reduced_together_or_one_alone() {
        // Moves with a sum above 6 are outside the support.
        let judge = |moves: &mut [f64]| Ok(if moves[0] + moves[1] > 6.0 { Support::Outside } else { Support::Edge });
        let from = |unplanned: [f64; 2], other: [f64; 2], states_known: bool| {
            supported(unplanned.to_vec(), vec![other.to_vec()], vec![4.0, 4.0], states_known, judge).unwrap()
        };
        assert_eq!(from([0.0, 0.0], [0.0, 0.0], true), [[3.0, 3.0], [2.0, 4.0], [4.0, 2.0]]);
        assert_eq!(from([0.0, 0.0], [4.0, 0.0], false), [[3.0, 3.0], [4.0, 2.0], [2.0, 4.0]]);
        // No move is reduced towards an origin (`unplanned` or `other`) that is outside the support.
        assert_eq!(from([1.0, 1.0], [9.0, 0.0], true), [[2.5, 2.5], [1.75, 4.0], [4.0, 1.75]]);
        assert_eq!(from([9.0, 0.0], [2.0, 2.0], true), [[4.0, 4.0]]);
        assert!(from([9.0, 0.0], [2.0, 2.0], false).is_empty());
    }

    #[test]
    fn the_largest_supported_share_of_a_move_is_made() {
        assert_eq!(up_to(5.0, false), Some(vec![5.0]));
        assert_eq!(up_to(3.5, true), Some(vec![3.0]));
        assert_eq!(up_to(1.0, true), None, "`unplanned` is supported, but no fraction of the move is supported");
        let both_outside = (up_to(0.0, true), up_to(0.0, false));
        assert_eq!(both_outside, (Some(vec![5.0]), None), "without a supported move, only `states_known` matters");
    }
}
