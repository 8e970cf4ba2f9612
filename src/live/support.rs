//! How much of a move stays within what the model has seen.

use crate::error::Result;
use crate::schema::Role;
use crate::twin::{Dynamics, Support};

/// Shares of a move that are tried when all of it leaves the support.
const SHARES: [f64; 3] = [0.75, 0.5, 0.25];

/// Moves that stay within the support, `[controls]` each: `wish` alone if it does, else as much of it as is known on the way
/// from `usual`, what would be done without it, and from `others`, in all controls together and then in one alone. Where
/// `usual` is outside, too, by weather or set-points that the log never had, `wish` is no step into the unknown that would not
/// be taken without it: all of it counts as long as every state is `known` ([`states_known`]). Empty: nothing of it may be
/// done.
///
/// `judge` brings controls within their limits and says what their support is at the present step.
///
/// # Errors
/// Those of `judge`.
pub fn supported(
    mut usual: Vec<f64>,
    others: Vec<Vec<f64>>,
    mut wish: Vec<f64>,
    known: bool,
    mut judge: impl FnMut(&mut [f64]) -> Result<Support>,
) -> Result<Vec<Vec<f64>>> {
    if judge(&mut wish)? != Support::Outside {
        return Ok(vec![wish]);
    }
    if judge(&mut usual)? == Support::Outside {
        return Ok(known.then_some(wish).into_iter().collect());
    }
    let mut from = vec![usual];
    for mut other in others {
        if judge(&mut other)? != Support::Outside && !from.contains(&other) {
            from.push(other);
        }
    }
    let mut moves: Vec<Vec<f64>> = Vec::new();
    let alone = (0..wish.len()).filter(|_| wish.len() > 1).map(Some);
    for control in std::iter::once(None).chain(alone) {
        for usual in &from {
            if control.is_some_and(|c| usual[c] == wish[c]) {
                continue;
            }
            for share in SHARES.into_iter().chain(control.map(|_| 0.0)) {
                let mut part = between(usual, &wish, control, share);
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

/// `wish`, in one control or in all of them only `share` of the way from `usual`.
fn between(usual: &[f64], wish: &[f64], control: Option<usize>, share: f64) -> Vec<f64> {
    let gives_in = |c: usize| control.is_none_or(|one| one == c);
    let each = usual.iter().zip(wish).enumerate();
    each.map(|(c, (u, w))| if gives_in(c) { u + share * (w - u) } else { *w }).collect()
}

/// Whether every learned state, whose present value is `value`, is near to what the log has seen.
pub fn states_known(dynamics: &dyn Dynamics, value: impl Fn(usize) -> f64) -> bool {
    let states = dynamics.schema().with_role(Role::State).into_iter().filter(|&s| dynamics.learns(s));
    states.into_iter().all(|s| value(s).is_finite() && dynamics.widened_range(s).contains(value(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outside above `edge`.
    fn upto(edge: f64, known: bool) -> Option<Vec<f64>> {
        let judge = |moves: &mut [f64]| Ok(if moves[0] > edge { Support::Outside } else { Support::Inside });
        supported(vec![1.0], Vec::new(), vec![5.0], known, judge).unwrap().pop()
    }

    #[test]
    fn controls_give_in_together_or_one_alone() {
        // more than 6 in all is outside
        let judge = |moves: &mut [f64]| Ok(if moves[0] + moves[1] > 6.0 { Support::Outside } else { Support::Edge });
        let from = |usual: [f64; 2], other: [f64; 2], known: bool| {
            supported(usual.to_vec(), vec![other.to_vec()], vec![4.0, 4.0], known, judge).unwrap()
        };
        assert_eq!(from([0.0, 0.0], [0.0, 0.0], true), [[3.0, 3.0], [2.0, 4.0], [4.0, 2.0]]);
        assert_eq!(from([0.0, 0.0], [4.0, 0.0], false), [[3.0, 3.0], [4.0, 2.0], [2.0, 4.0]]);
        // what is outside itself is no way back
        assert_eq!(from([1.0, 1.0], [9.0, 0.0], true), [[2.5, 2.5], [1.75, 4.0], [4.0, 1.75]]);
        assert_eq!(from([9.0, 0.0], [2.0, 2.0], true), [[4.0, 4.0]]);
        assert!(from([9.0, 0.0], [2.0, 2.0], false).is_empty());
    }

    #[test]
    fn as_much_as_is_known_is_moved() {
        assert_eq!(upto(5.0, false), Some(vec![5.0]));
        assert_eq!(upto(3.5, true), Some(vec![3.0]));
        assert_eq!(upto(1.0, true), None, "no share of it is known, the usual is");
        assert_eq!((upto(0.0, true), upto(0.0, false)), (Some(vec![5.0]), None), "nothing is known but the states");
    }
}
