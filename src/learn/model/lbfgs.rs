//! Minimises a smooth function by L-BFGS. This module adapts the crate argmin to functions whose value and gradient are
//! computed together.
//!
//! The method is that of Liu & Nocedal (1989) with the line search of Moré & Thuente (1994). For n parameters, an
//! iteration takes O(10 n) operations in addition to the function evaluations.

use std::cell::{Cell, RefCell};

use argmin::core::{CostFunction, Error as Stop, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use crate::error::{Error, Result};

/// Number of stored pairs of parameter and gradient changes (not tuned; 3 to 20 is usual).
const MEMORY: usize = 10;
/// Value that replaces an undefined function value and is larger than any value that a line search would accept (not
/// tuned).
const UNDEFINED: f64 = 1e10;

/// Value and gradient of a function at a point; `None` if the function is undefined at that point.
pub type Evaluation = Option<(f64, Vec<f64>)>;
/// A function of several parameters.
pub type Function<'a> = dyn Fn(&[f64]) -> Result<Evaluation> + 'a;

/// Settings of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub iterations: u64,
    /// Maximum number of evaluations of the function.
    pub evaluations: usize,
    /// Improvement of the value per iteration, relative to 1 + |value at the start|, below which the search stops. If
    /// `None`, the default tolerances of argmin apply.
    pub relative_gain: Option<f64>,
    /// Whether the function is scaled so that the length of the first step is at most one.
    pub scaled: bool,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The best end point of a line search; `None` if no line search was completed.
    pub iterate: Option<Vec<f64>>,
    /// The best of all evaluated points, including those within line searches.
    pub best: Vec<f64>,
    /// Value at `best`.
    pub value: f64,
    pub evaluations: usize,
}

/// Minimises `function`, starting from `start`. Returns `None` if the function is undefined at `start`.
///
/// # Errors
/// Returns any error of `function`.
pub fn minimise(function: &Function, start: Vec<f64>, settings: Settings) -> Result<Option<Minimum>> {
    let Some((value, gradient)) = function(&start)? else { return Ok(None) };
    let steepness = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let problem = Problem {
        function,
        scale: if settings.scaled { 1.0 / steepness.max(1.0) } else { 1.0 },
        last: RefCell::new((start.clone(), Some((value, gradient)))),
        best: RefCell::new(Minimum { iterate: None, best: start.clone(), value, evaluations: 1 }),
        remaining: Cell::new(settings.evaluations.saturating_sub(1)),
        failure: RefCell::new(None),
    };
    let mut solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY);
    if let Some(gain) = settings.relative_gain {
        let tolerance = gain * (1.0 + value.abs()) * problem.scale;
        solver = solver
            .with_tolerance_grad(1e-9)
            .and_then(|s| s.with_tolerance_cost(tolerance))
            .map_err(|e| Error::Internal(format!("L-BFGS: {e}")))?;
    }
    let run = Executor::new(&problem, solver)
        .configure(|state| state.param(start).max_iters(settings.iterations))
        .timer(false)
        .run();
    // The search ends without an error if a line search fails or if no evaluations remain. Errors that the function
    // returns are stored in `failure`.
    let iterate = run.ok().and_then(|mut r| r.state.take_best_param());
    match problem.failure.into_inner() {
        Some(e) => Err(e),
        None => Ok(Some(Minimum { iterate, ..problem.best.into_inner() })),
    }
}

/// The function in the form that the crate argmin expects. The crate argmin requests the value and the gradient
/// separately, so the last evaluation is stored.
struct Problem<'a> {
    function: &'a Function<'a>,
    scale: f64,
    last: RefCell<(Vec<f64>, Evaluation)>,
    best: RefCell<Minimum>,
    /// Number of remaining evaluations.
    remaining: Cell<usize>,
    failure: RefCell<Option<Error>>,
}

impl Problem<'_> {
    fn evaluate(&self, at: &[f64]) -> std::result::Result<(), Stop> {
        if self.last.borrow().0 == at {
            return Ok(());
        }
        if self.remaining.get() == 0 {
            return Err(Stop::msg("no evaluations remain"));
        }
        self.remaining.set(self.remaining.get() - 1);
        let evaluation = (self.function)(at).map_err(|e| {
            let stop = Stop::msg(e.to_string());
            *self.failure.borrow_mut() = Some(e);
            stop
        })?;
        let mut best = self.best.borrow_mut();
        best.evaluations += 1;
        if let Some((value, _)) = evaluation
            && value < best.value
        {
            (best.best, best.value) = (at.to_vec(), value);
        }
        *self.last.borrow_mut() = (at.to_vec(), evaluation);
        Ok(())
    }
}

impl CostFunction for &Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> std::result::Result<f64, Stop> {
        self.evaluate(at)?;
        Ok(self.last.borrow().1.as_ref().map_or(UNDEFINED, |(value, _)| value * self.scale))
    }
}

impl Gradient for &Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> std::result::Result<Vec<f64>, Stop> {
        self.evaluate(at)?;
        let last = self.last.borrow();
        Ok(match &last.1 {
            Some((_, gradient)) => gradient.iter().map(|g| g * self.scale).collect(),
            None => vec![0.0; at.len()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { iterations: 200, evaluations: 1000, relative_gain: Some(0.0), scaled: true };

    fn rosenbrock(p: &[f64]) -> Result<Evaluation> {
        let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
        Ok(Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * p[0] * b, 200.0 * b])))
    }

    #[test]
    fn the_minimum_of_a_curved_valley_is_found() {
        let found = minimise(&rosenbrock, vec![-1.2, 1.0], SETTINGS).unwrap().unwrap();
        assert!(found.value < 1e-12 && found.evaluations < 100, "{found:?}");
        let unscaled = Settings { relative_gain: None, scaled: false, ..SETTINGS };
        let end = minimise(&rosenbrock, vec![-1.2, 1.0], unscaled).unwrap().unwrap().iterate.unwrap();
        assert!(end.iter().all(|v| (v - 1.0).abs() < 1e-4), "{end:?}");
    }

    #[test]
    fn the_evaluations_are_limited() {
        let few = Settings { evaluations: 7, ..SETTINGS };
        let found = minimise(&rosenbrock, vec![-1.2, 1.0], few).unwrap().unwrap();
        assert!(found.evaluations == 7 && found.value < 24.2 && found.iterate.is_some(), "{found:?}");
    }

    #[test]
    fn the_search_turns_back_if_the_function_is_undefined() {
        // The minimum of x − ln x is 1, at x = 1.
        let f = |p: &[f64]| Ok((p[0] > 0.0).then(|| (p[0] - p[0].ln(), vec![1.0 - 1.0 / p[0]])));
        let found = minimise(&f, vec![0.01], SETTINGS).unwrap().unwrap();
        assert!((found.value - 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!(minimise(&f, vec![-1.0], SETTINGS).unwrap(), None);
    }

    #[test]
    fn an_error_of_the_function_is_returned() {
        let broken =
            |p: &[f64]| if p[0] == 1.0 { Ok(Some((0.0, vec![-1.0]))) } else { Err(Error::Internal("x".into())) };
        assert!(minimise(&broken, vec![1.0], SETTINGS).is_err());
    }
}
