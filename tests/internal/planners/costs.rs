//! Cost functions with known minima, with and without derivatives, for tests of planners.

use nalgebra::{DMatrix, DVector};
use twinopt::control::planner::{CostFunction, Linearisation, LinearisedLimit, Plan, Planner};
use twinopt::rng::Key;
use twinopt::schema::Bounds;

use super::problem;

/// The cost Σ (u − target)² + slope Σ u of one control, with derivatives and a soft upper limit on all values.
pub struct Tracking {
    pub target: f64,
    pub slope: f64,
    pub upper_limit: f64,
}

impl Tracking {
    pub fn to(target: f64) -> Self {
        Self { target, slope: 0.0, upper_limit: f64::INFINITY }
    }

    fn value(&self, u: &[f64]) -> f64 {
        let violation: f64 = u.iter().map(|u| (u - self.upper_limit).max(0.0)).sum();
        u.iter().map(|u| (u - self.target).powi(2) + self.slope * u).sum::<f64>() + 1e4 * violation
    }
}

impl CostFunction for Tracking {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        costs.extend(candidates.iter().map(|u| self.value(u)));
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        let n = at.len();
        let unit = |i: usize, v: f64| (0..n).map(|j| if i == j { v } else { 0.0 }).collect::<Vec<f64>>();
        let root = 2f64.sqrt();
        let limit = |i: usize| LinearisedLimit { gradient: unit(i, 1.0), slack: self.upper_limit - at[i], rank: 0 };
        Some(Linearisation {
            cost: self.value(at),
            gradient: vec![self.slope; n],
            residuals: at.iter().map(|u| root * (u - self.target)).collect(),
            jacobian: (0..n).map(|i| unit(i, root)).collect(),
            limits: if self.upper_limit.is_finite() { (0..n).map(limit).collect() } else { Vec::new() },
        })
    }
}

/// A [`Tracking`] cost whose linearisation contains NaN residuals.
pub struct NanResiduals(pub Tracking);

impl CostFunction for NanResiduals {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.0.evaluate(candidates, costs);
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        self.0.linearise(at).map(|l| Linearisation { residuals: vec![f64::NAN; at.len()], ..l })
    }
}

/// A [`Tracking`] cost that counts the evaluated batches.
pub struct CountedBatches {
    pub cost: Tracking,
    pub batches: usize,
}

impl CostFunction for CountedBatches {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        self.batches += 1;
        self.cost.evaluate(candidates, costs);
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        self.batches += 1;
        self.cost.linearise(at)
    }
}

/// The cost −Σ u, which has a gradient but no residuals.
pub struct LinearCost;

impl CostFunction for LinearCost {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        costs.extend(candidates.iter().map(|c| -c.iter().sum::<f64>()));
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        let (gradient, jacobian) = (vec![-1.0; at.len()], vec![Vec::new(); at.len()]);
        Some(Linearisation { cost: -at.iter().sum::<f64>(), gradient, jacobian, ..Linearisation::default() })
    }
}

/// The LQR cost Σ (xᵀQx + uᵀRu) of the plant x(t+1) = A x + B u over the horizon, with the terminal cost xᵀQx. Q and R
/// are diagonal.
pub struct Lqr {
    pub a: DMatrix<f64>,
    pub b: DMatrix<f64>,
    pub q: DMatrix<f64>,
    pub r: DMatrix<f64>,
    pub x: DVector<f64>,
    pub horizon: usize,
}

impl Lqr {
    /// A weakly damped mass driven by a force. The mass starts at rest, 1 m from the origin.
    pub fn mass() -> Self {
        Self {
            a: DMatrix::from_row_slice(2, 2, &[1.0, 0.3, -0.1, 0.95]),
            b: DMatrix::from_row_slice(2, 1, &[0.05, 0.3]),
            q: DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.1])),
            r: DMatrix::from_element(1, 1, 0.2),
            x: DVector::from_vec(vec![1.0, 0.0]),
            horizon: 12,
        }
    }

    /// Residuals for the initial state `start`. The cost is half the sum of the squared residuals.
    fn residuals(&self, start: &DVector<f64>, u: &[f64]) -> Vec<f64> {
        let mut x = start.clone();
        let mut residuals = Vec::new();
        let weigh = |v: &DVector<f64>, w: &DMatrix<f64>| -> Vec<f64> {
            v.iter().enumerate().map(|(i, v)| (2.0 * w[(i, i)]).sqrt() * v).collect()
        };
        for u in u.chunks(self.b.ncols()) {
            let u = DVector::from_column_slice(u);
            residuals.extend(weigh(&x, &self.q));
            residuals.extend(weigh(&u, &self.r));
            x = &self.a * x + &self.b * u;
        }
        residuals.extend(weigh(&x, &self.q));
        residuals
    }

    pub fn cost(&self, u: &[f64]) -> f64 {
        0.5 * self.residuals(&self.x, u).iter().map(|r| r * r).sum::<f64>()
    }

    /// The minimum cost, computed with the Riccati recursion.
    pub fn optimum(&self) -> f64 {
        let mut p = self.q.clone();
        for _ in 0..self.horizon {
            let bp = self.b.transpose() * &p;
            let gain = (&self.r + &bp * &self.b).try_inverse().unwrap() * &bp * &self.a;
            p = &self.q + self.a.transpose() * &p * (&self.a - &self.b * gain);
        }
        self.x.dot(&(&p * &self.x))
    }

    pub fn plan(&mut self, planner: &dyn Planner, warm: Option<&Plan>, seed: u64) -> Plan {
        let (moves, controls) = (self.horizon, self.b.ncols());
        let mut problem = problem(moves, controls, self);
        problem.key = Key::new(seed);
        // The bounds are slightly wider than the range of the optimal controls.
        problem.constraints[0].bounds = Bounds { low: -1.5, high: 1.5 };
        planner.plan(&mut problem, warm)
    }
}

impl CostFunction for Lqr {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        costs.extend(candidates.iter().map(|u| self.cost(u)));
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        let origin = DVector::zeros(self.x.len());
        let unit = |i: usize| (0..at.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
        Some(Linearisation {
            cost: self.cost(at),
            gradient: vec![0.0; at.len()],
            jacobian: (0..at.len()).map(|i| self.residuals(&origin, &unit(i))).collect(),
            residuals: self.residuals(&self.x, at),
            limits: Vec::new(),
        })
    }
}

/// The concave cost Σ ln(1 + |r| / 0.01) of the residuals r of [`Lqr`]. Halving a residual always reduces this cost by
/// about the same amount.
pub struct LogResiduals(pub Lqr);

impl CostFunction for LogResiduals {
    fn evaluate(&mut self, candidates: &[Vec<f64>], costs: &mut Vec<f64>) {
        let value =
            |u: &Vec<f64>| self.0.residuals(&self.0.x, u).iter().map(|r| (1.0 + r.abs() / 0.01).ln()).sum::<f64>();
        costs.extend(candidates.iter().map(value));
    }

    fn linearise(&mut self, at: &[f64]) -> Option<Linearisation> {
        let mut costs = Vec::new();
        self.evaluate(&[at.to_vec()], &mut costs);
        let squares = self.0.linearise(at)?;
        let root = |r: &f64| (1.0 / ((0.01 + r.abs()) * r.abs().max(1e-4))).sqrt();
        let roots: Vec<f64> = squares.residuals.iter().map(root).collect();
        let weighted = |column: &[f64]| column.iter().zip(&roots).map(|(v, w)| v * w).collect::<Vec<f64>>();
        let jacobian = squares.jacobian.iter().map(|c| weighted(c)).collect();
        Some(Linearisation { cost: costs[0], residuals: weighted(&squares.residuals), jacobian, ..squares })
    }
}
