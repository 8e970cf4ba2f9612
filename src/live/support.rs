//! How much of a move stays within what the model has seen.

use crate::error::Result;
use crate::schema::Role;
use crate::twin::{Dynamics, Support};

/// Shares of a move that are tried when all of it leaves the support.
const SHARES: [f64; 3] = [0.75, 0.5, 0.25];

/// As much of the move `wish` as stays within the support, from `usual`, what would be done without it; both `[controls]`.
/// Where that is outside, too, by weather or set-points that the log never had, no move is better known than another, and
/// all of `wish` counts as long as every state is `known` ([`states_known`]). `None`: nothing of it.
///
/// `judge` brings controls within their limits and says what their support is at the present step.
///
/// # Errors
/// Those of `judge`.
pub fn supported(
    mut usual: Vec<f64>,
    mut wish: Vec<f64>,
    known: bool,
    mut judge: impl FnMut(&mut [f64]) -> Result<Support>,
) -> Result<Option<Vec<f64>>> {
    if judge(&mut wish)? != Support::Outside {
        return Ok(Some(wish));
    }
    if judge(&mut usual)? == Support::Outside {
        return Ok(known.then_some(wish));
    }
    for share in SHARES {
        let mut part: Vec<f64> = usual.iter().zip(&wish).map(|(u, w)| u + share * (w - u)).collect();
        if judge(&mut part)? != Support::Outside {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// Whether every learned state, whose present value is `value`, is near to what the log has seen.
pub fn states_known(dynamics: &dyn Dynamics, value: impl Fn(usize) -> f64) -> bool {
    let states = dynamics.schema().with_role(Role::State).into_iter().filter(|&s| dynamics.learns(s));
    states.into_iter().all(|s| value(s).is_finite() && dynamics.around(s).contains(value(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outside above `edge`.
    fn upto(edge: f64, known: bool) -> Option<Vec<f64>> {
        let judge = |moves: &mut [f64]| Ok(if moves[0] > edge { Support::Outside } else { Support::Inside });
        supported(vec![1.0], vec![5.0], known, judge).unwrap()
    }

    #[test]
    fn as_much_as_is_known_is_moved() {
        assert_eq!(upto(5.0, false), Some(vec![5.0]));
        assert_eq!(upto(3.5, true), Some(vec![3.0]));
        assert_eq!(upto(1.0, true), None, "no share of it is known, the usual is");
        assert_eq!((upto(0.0, true), upto(0.0, false)), (Some(vec![5.0]), None), "nothing is known but the states");
    }
}
