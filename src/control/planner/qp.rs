//! Sequential quadratic programs.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus};

use super::local::{rows, units};
use super::quadratic::{Quadratic, Row};
use super::trial::{Trial, empty_plan};
use super::{Local, Plan, Planner, Problem};

/// Linearises along the best sequence, solves the constrained quadratic program (Clarabel, an interior-point method:
/// Goulart & Chen 2024), and repeats within a trust region. One iteration is exact where the twin is linear and the cost
/// quadratic. Hard limits of the plant are soft constraints at a price that nothing outweighs, so that there is always
/// a plan.
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
            let rows = rows(problem, &at, &scale);
            let Some(step) = solve(&local.quadratic(&scale), &local, rows, &scale, radius) else { break };
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

/// The best step within `radius` of each value, in units; none when there is no solution.
fn solve(model: &Quadratic, local: &Local, mut rows: Vec<Row>, scale: &[f64], radius: f64) -> Option<Vec<f64>> {
    let n = scale.len();
    if radius.is_finite() {
        rows.extend((0..n).flat_map(|i| [1.0, -1.0].map(|sign| Row { slopes: vec![(i, sign)], bound: radius })));
    }
    let mut variables = n;
    // One more variable per limit: its excess, in units of the control that moves it most.
    for mut row in local.limit_rows(scale) {
        row.slopes.push((variables, -1.0));
        rows.push(row);
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
    (solved && step.iter().all(|v| v.is_finite())).then(|| step.to_vec())
}
