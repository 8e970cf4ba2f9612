//! Sequential quadratic programs.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus};
use nalgebra::DVector;

use super::local::{by_rank, rows, units};
use super::quadratic::{Quadratic, Row};
use super::trial::{Trial, empty_plan};
use super::{Plan, Planner, Problem};

/// Linearises along the best sequence, solves the constrained quadratic program (Clarabel, an interior-point method:
/// Goulart & Chen 2024), and repeats within a trust region. One iteration is exact where the twin is linear and the cost
/// quadratic; of a cost to go it knows the slope alone. Limits of the plant that the sequence breaks are soft constraints at
/// a price that nothing outweighs, so that there is always a plan.
#[derive(Debug, Clone, Copy)]
pub struct Qp {
    pub iterations: usize,
}

/// Shares of the step tried at once.
const LENGTHS: [f64; 4] = [1.0, 0.5, 0.2, 0.05];
/// Price of a broken limit, in largest slopes of the cost.
const LIMIT_PRICE: f64 = 1e3;

impl Planner for Qp {
    fn name(&self) -> &'static str {
        "qp"
    }

    fn plan(&self, problem: &mut Problem, warm: Option<&Plan>) -> Plan {
        if problem.is_empty() {
            return empty_plan(problem);
        }
        let mut trial = Trial::begun(problem, warm);
        let scale = units(problem);
        let mut radius = f64::INFINITY;
        for _ in 0..self.iterations {
            if (problem.late)() || !trial.best().cost.is_finite() {
                break;
            }
            let (at, cost) = (trial.best().controls.clone(), trial.best().cost);
            let Some(local) = problem.price.near(&at).filter(|l| l.is_known(at.len())) else { break };
            let mut rows = rows(problem, &at, &scale);
            if radius.is_finite() {
                let within = |i: usize| [1.0, -1.0].map(|sign| Row { slopes: vec![(i, sign)], bound: radius });
                rows.extend((0..at.len()).flat_map(within));
            }
            let model = local.quadratic(&scale);
            let limits = local.limit_rows(problem, &at, &scale);
            let Some(step) = by_rank(rows, &limits, |rows, broken| solve(&model, rows, broken)) else { break };
            let size = step.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            trial.candidates = LENGTHS
                .iter()
                .map(|length| at.iter().zip(&step).zip(&scale).map(|((a, d), s)| a + length * d * s).collect())
                .collect();
            trial.score(problem);
            match trial.first().filter(|_| trial.best().cost < cost) {
                Some(0) if cost - trial.best().cost <= 1e-9 * cost.abs() => break,
                Some(0) => radius = radius.max(2.0 * size),
                Some(k) => radius = 2.0 * LENGTHS[k] * size,
                None => radius = LENGTHS[LENGTHS.len() - 1] * size,
            }
        }
        trial.finish(Vec::new())
    }
}

/// The best step that holds `rows` and breaks `broken` least, in units; none when there is no solution.
fn solve(model: &Quadratic, rows: &[Row], broken: &[Row]) -> Option<DVector<f64>> {
    let n = model.gradient.len();
    let mut rows = rows.to_vec();
    let mut variables = n;
    // One more variable per broken limit: its excess, in units of the control that moves it most.
    for row in broken {
        let mut slopes = row.slopes.clone();
        slopes.push((variables, -1.0));
        rows.push(Row { slopes, bound: row.bound });
        rows.push(Row { slopes: vec![(variables, -1.0)], bound: 0.0 });
        variables += 1;
    }
    // Costs of order one, whatever the currency.
    let size = model.gradient.amax().max(model.hessian.diagonal().amax());
    if size <= 0.0 || !size.is_finite() {
        return None;
    }
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    let mut set = |row: usize, column: usize, value: f64| {
        if value != 0.0 {
            i.push(row);
            j.push(column);
            v.push(value);
        }
    };
    for column in 0..n {
        for row in 0..column {
            set(row, column, model.hessian[(row, column)] / size);
        }
        // A cost that does not curve has many least points: the nearest one.
        set(column, column, model.hessian[(column, column)] / size + 1e-9);
    }
    (n..variables).for_each(|s| set(s, s, LIMIT_PRICE));
    let hessian = CscMatrix::new_from_triplets(variables, variables, i, j, v);
    let mut gradient: Vec<f64> = model.gradient.iter().map(|g| g / size).collect();
    gradient.resize(variables, LIMIT_PRICE);
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for (row, r) in rows.iter().enumerate() {
        for (column, slope) in &r.slopes {
            i.push(row);
            j.push(*column);
            v.push(*slope);
        }
    }
    let left = CscMatrix::new_from_triplets(rows.len(), variables, i, j, v);
    let right: Vec<f64> = rows.iter().map(|r| r.bound).collect();
    let settings = DefaultSettings { verbose: false, ..DefaultSettings::default() };
    let cones = [NonnegativeConeT(rows.len())];
    let mut solver = DefaultSolver::new(&hessian, &gradient, &left, &right, &cones, settings).ok()?;
    solver.solve();
    let solved = matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved);
    let step = &solver.solution.x[..n];
    (solved && step.iter().all(|v| v.is_finite())).then(|| DVector::from_column_slice(step))
}
