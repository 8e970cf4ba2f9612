//! Maximisation of a smooth function by L-BFGS.

use std::cell::{Cell, RefCell};

use argmin::core::{CostFunction, Error as Stop, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use crate::error::{Error, Result};

/// Pairs of steps and changes of gradient that are kept.
const MEMORY: usize = 10;
/// In place of the value where there is none: beyond what a line search would call a decrease.
const WORST: f64 = 1e10;

/// How far to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    pub iterations: u64,
    /// Values of the function; a search ends with the best that it has seen.
    pub evaluations: usize,
    /// An iteration that gains less than this, relative to 1 + |value|, is the last.
    pub gain: f64,
}

/// The best point that a search has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub at: Vec<f64>,
    pub value: f64,
    pub evaluations: usize,
}

/// Value and gradient at a point; `None` where there is none.
type Seen = Option<(f64, Vec<f64>)>;
type Function<'a> = dyn Fn(&[f64]) -> Result<Seen> + 'a;

/// Maximises `function` from `start` by L-BFGS (Liu & Nocedal 1989) with the line search of Moré & Thuente (1994). The
/// function is scaled so that the first step has length one at most: it starts on logarithms of hyper-parameters.
///
/// # Errors
/// The function's own; [`Error::Data`] when it has no value at the start.
pub fn maximise(function: &Function, start: Vec<f64>, effort: Effort) -> Result<Found> {
    let Some((value, gradient)) = function(&start)? else {
        return Err(Error::Data("the search for hyper-parameters has no value where it starts".into()));
    };
    let steepness = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let problem = Descent {
        function,
        scale: 1.0 / steepness.max(1.0),
        last: RefCell::new((start.clone(), Some((value, gradient)))),
        best: RefCell::new(Found { at: start.clone(), value, evaluations: 1 }),
        left: Cell::new(effort.evaluations.saturating_sub(1)),
        failure: RefCell::new(None),
    };
    let tolerance = effort.gain * (1.0 + value.abs()) * problem.scale;
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(1e-9)
        .and_then(|s| s.with_tolerance_cost(tolerance))
        .map_err(|e| Error::Internal(format!("L-BFGS: {e}")))?;
    let iterations = effort.iterations;
    // Whatever ends it (convergence, the effort spent, a line search that finds nothing), the best point stands.
    drop(Executor::new(&problem, solver).configure(|state| state.param(start).max_iters(iterations)).run());
    match problem.failure.into_inner() {
        Some(e) => Err(e),
        None => Ok(problem.best.into_inner()),
    }
}

/// A place, and value and gradient there.
type Look = (Vec<f64>, Option<(f64, Vec<f64>)>);

/// The function turned upside down; keeps the last value, because value and gradient are asked for one after the other.
struct Descent<'a> {
    function: &'a Function<'a>,
    scale: f64,
    last: RefCell<Look>,
    best: RefCell<Found>,
    left: Cell<usize>,
    failure: RefCell<Option<Error>>,
}

impl Descent<'_> {
    fn look(&self, at: &[f64]) -> std::result::Result<(), Stop> {
        if self.last.borrow().0 == at {
            return Ok(());
        }
        if self.left.get() == 0 {
            return Err(Stop::msg("enough"));
        }
        self.left.set(self.left.get() - 1);
        let seen = if at.iter().all(|v| v.is_finite()) { (self.function)(at) } else { Ok(None) };
        let seen = seen.map_err(|e| {
            let told = Stop::msg(e.to_string());
            *self.failure.borrow_mut() = Some(e);
            told
        })?;
        let mut best = self.best.borrow_mut();
        best.evaluations += 1;
        if let Some((value, _)) = seen
            && value > best.value
        {
            (best.at, best.value) = (at.to_vec(), value);
        }
        *self.last.borrow_mut() = (at.to_vec(), seen);
        Ok(())
    }
}

impl CostFunction for &Descent<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> std::result::Result<f64, Stop> {
        self.look(at)?;
        Ok(self.last.borrow().1.as_ref().map_or(WORST, |(value, _)| -value * self.scale))
    }
}

impl Gradient for &Descent<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> std::result::Result<Vec<f64>, Stop> {
        self.look(at)?;
        let last = self.last.borrow();
        Ok(match &last.1 {
            Some((_, gradient)) => gradient.iter().map(|g| -g * self.scale).collect(),
            None => vec![0.0; at.len()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort { iterations: 200, evaluations: 1000, gain: 0.0 };

    #[test]
    fn a_curved_valley_is_walked_to_its_end() {
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
    fn where_there_is_no_value_the_search_turns_back() {
        // ln x − x has its maximum −1 at 1
        let f = |p: &[f64]| Ok((p[0] > 0.0).then(|| (p[0].ln() - p[0], vec![1.0 / p[0] - 1.0])));
        let found = maximise(&f, vec![0.01], EFFORT).unwrap();
        assert!((found.value + 1.0).abs() < 1e-9, "{found:?}");
        assert!(maximise(&f, vec![-1.0], EFFORT).is_err());
        let broken =
            |p: &[f64]| if p[0] == 1.0 { Ok(Some((0.0, vec![1.0]))) } else { Err(Error::Internal("x".into())) };
        assert!(maximise(&broken, vec![1.0], EFFORT).is_err());
    }
}
