//! Maximisation of a likelihood by L-BFGS.

use crate::error::{Error, Result};
use crate::learn::model::lbfgs::{Evaluation, Minimum, Settings, minimise};

/// Limits on a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    pub iterations: u64,
    /// Maximum number of evaluations of the function.
    pub evaluations: usize,
    /// Improvement of the value per iteration, relative to 1 + |value at the start|, below which the search stops.
    pub gain: f64,
}

/// The best of all points evaluated in a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    pub at: Vec<f64>,
    pub value: f64,
    pub evaluations: usize,
}

/// Maximises `function`, starting from `start`. The length of the first step is at most one, which is appropriate for
/// logarithms of hyper-parameters.
///
/// # Errors
/// Returns any error of `function`, or [`Error::Data`] if the function is undefined at `start`.
pub fn maximise(
    function: &dyn Fn(&[f64]) -> Result<Evaluation>,
    start: Vec<f64>,
    Effort { iterations, evaluations, gain }: Effort,
) -> Result<Optimum> {
    let settings = Settings { iterations, evaluations, relative_gain: Some(gain), scaled: true };
    let negated = |at: &[f64]| -> Result<Evaluation> {
        let evaluation = if at.iter().all(|v| v.is_finite()) { function(at)? } else { None };
        Ok(evaluation.map(|(value, gradient)| (-value, gradient.iter().map(|g| -g).collect())))
    };
    match minimise(&negated, start, settings)? {
        Some(Minimum { best, value, evaluations, .. }) => Ok(Optimum { at: best, value: -value, evaluations }),
        None => Err(Error::Data("the likelihood is undefined at the start of the hyper-parameter search".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort { iterations: 200, evaluations: 1000, gain: 0.0 };

    #[test]
    fn the_maximum_of_a_curved_ridge_is_found() {
        let rosenbrock = |p: &[f64]| {
            let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
            Ok(Some((-(a * a + 100.0 * b * b), vec![2.0 * a + 400.0 * p[0] * b, -200.0 * b])))
        };
        let found = maximise(&rosenbrock, vec![-1.2, 1.0], EFFORT).unwrap();
        assert!(found.value > -1e-12 && found.evaluations < 100, "{found:?}");
        let short = maximise(&rosenbrock, vec![-1.2, 1.0], Effort { evaluations: 7, ..EFFORT }).unwrap();
        assert!(short.evaluations == 7 && short.value > -24.2, "{short:?}");
    }

    #[test]
    fn the_search_turns_back_if_the_function_is_undefined() {
        // The maximum of ln x − x is −1, at x = 1.
        let f = |p: &[f64]| Ok((p[0] > 0.0).then(|| (p[0].ln() - p[0], vec![1.0 / p[0] - 1.0])));
        let found = maximise(&f, vec![0.01], EFFORT).unwrap();
        assert!((found.value + 1.0).abs() < 1e-9, "{found:?}");
        assert!(maximise(&f, vec![-1.0], EFFORT).is_err());
        let broken =
            |p: &[f64]| if p[0] == 1.0 { Ok(Some((0.0, vec![1.0]))) } else { Err(Error::Internal("x".into())) };
        assert!(maximise(&broken, vec![1.0], EFFORT).is_err());
    }
}
