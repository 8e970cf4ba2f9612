//! Terminal cost of a plan, learned from the log.

use std::ops::Range;

use nalgebra::{Cholesky, DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::kpi::{Aggregation, PerStep};
use super::objective::Objective;
use crate::expr::Registers;
use crate::schema::{Role, Schema};
use crate::stats::{mean_and_population_sd, mean_or_zero};
use crate::trajectory::{Frame, Trajectory};

/// Largest number of rows for the fit; more are thinned evenly (guess).
const ROWS: usize = 6000;
/// Share of the rows, the newest ones, on which it is validated (guess).
const VALIDATED: f64 = 0.25;
/// Smallest share of their variance that it must explain (guess).
const MIN_SKILL: f64 = 0.5;
/// Ridge penalty, relative to the variances of the inputs (guess).
const RIDGE: f64 = 1e-3;
/// The validation rows must extend over at least this number of horizons (guess).
const MIN_SPANS: usize = 3;
/// With more inputs than this there are squares, but no products (guess).
const MAX_PAIRED: usize = 16;

/// The objective over the `steps` steps after a row, V(z) = w₀ + Σ wⱼ zⱼ + Σ wⱼₖ zⱼ zₖ, where z are the states, set-points,
/// controls and disturbances of the row minus their means. It is a Monte Carlo estimate of the value function of the
/// controller that wrote the log (Sutton & Barto 2018, chapter 5), fitted by ridge regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TerminalCost {
    /// Number of steps after a row that it covers.
    pub steps: usize,
    /// Share of the variance of the validation rows that it explains.
    pub skill: f64,
    /// Hash of the objective for which it was learned.
    objective: String,
    signals: Vec<String>,
    mean: Vec<f64>,
    /// For terms of the objective that add up over time, and for those that are means: in a plan of n steps, the sums of the
    /// latter are divided by n.
    parts: [Part; 2],
}

/// One sum over the steps after a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    /// Weights of 1, of every input and of every product.
    weights: Vec<f64>,
    /// Smallest and largest value in the log.
    least: f64,
    most: f64,
}

/// A [`TerminalCost`] for plans of one length, by columns of the schema.
#[derive(Debug, Clone)]
pub(super) struct TerminalTerms {
    columns: Vec<usize>,
    mean: Vec<f64>,
    part: Part,
}

impl TerminalCost {
    /// Fits `rows` of `log` (one particle, derived signals filled), for `steps` steps. `None` if the objective is not a sum
    /// over steps, or if too little of its variance is explained.
    pub fn fit(log: &Trajectory, rows: &[Range<usize>], objective: &Objective, steps: usize) -> Option<Self> {
        let costs = per_step(log, objective)?;
        let inputs: Vec<usize> = (0..log.schema.len()).filter(|&s| is_input(log, s)).collect();
        let all: Vec<usize> = rows.iter().flat_map(|r| followed(log, r, steps)).collect();
        let n = all.len().min(ROWS);
        let some = (0..n).map(|i| all[i * all.len() / n]).map(|t| (t, ahead(&costs, t, steps)));
        let known = |(t, sums): &(usize, [f64; 2])| {
            sums.iter().all(|s| s.is_finite()) && inputs.iter().all(|&s| log.columns[s][*t].is_finite())
        };
        let some: Vec<(usize, [f64; 2])> = some.filter(known).collect();
        let old = ((1.0 - VALIDATED) * some.len() as f64) as usize;
        let hash = fingerprint(objective);
        let fit = |rows: &[(usize, [f64; 2])]| Self::to(log, &inputs, rows, (steps, &hash));
        // the steps after the rows of the fit must not overlap with the validation rows
        let from = some.get(old)?.0 + steps;
        let new = &some[some.partition_point(|(t, _)| *t < from)..];
        // neighbouring rows are nearly the same
        if new.last()?.0 < from + MIN_SPANS * steps {
            return None;
        }
        let skill = fit(&some[..old])?.explains(log, &inputs, new);
        let whole = fit(&some)?;
        (skill >= MIN_SKILL).then_some(Self { skill, ..whole })
    }

    /// Whether it was learned for `objective`, with the same prices.
    pub fn is_of(&self, objective: &Objective) -> bool {
        self.objective == fingerprint(objective)
    }

    fn to(
        log: &Trajectory,
        inputs: &[usize],
        rows: &[(usize, [f64; 2])],
        (steps, hash): (usize, &str),
    ) -> Option<Self> {
        let (n, width) = (rows.len(), width(inputs.len()));
        if n < 2 * width {
            return None;
        }
        let value = |s: usize, t: usize| log.columns[s][t];
        let (mean, scale): (Vec<f64>, Vec<f64>) =
            inputs.iter().map(|&s| mean_and_population_sd(rows.iter().map(|r| value(s, r.0)))).unzip();
        // the deviation of a constant input is a rounding error of its mean
        let inverse = |k: usize| if scale[k] > 1e-9 * mean[k].abs() { scale[k].recip() } else { 0.0 };
        let mut design = DMatrix::zeros(n, width);
        let mut z = vec![0.0; inputs.len()];
        for (i, (t, _)) in rows.iter().enumerate() {
            z.iter_mut().enumerate().for_each(|(k, z)| *z = (value(inputs[k], *t) - mean[k]) * inverse(k));
            features(inputs.len(), &mut |at, pair| design[(i, at)] = product(&z, pair));
        }
        let mut gram = design.tr_mul(&design);
        (1..width).for_each(|k| gram[(k, k)] += RIDGE * n as f64);
        let factor = Cholesky::new(gram)?;
        let part = |p: usize| {
            let y = DVector::from_iterator(n, rows.iter().map(|r| r.1[p]));
            let w = factor.solve(&design.tr_mul(&y));
            let mut weights = vec![0.0; width];
            let units: Vec<f64> = (0..inputs.len()).map(inverse).collect();
            features(inputs.len(), &mut |at, pair| weights[at] = w[at] * product(&units, pair));
            Part { weights, least: y.min(), most: y.max() }
        };
        let signals = inputs.iter().map(|&s| log.schema.signals[s].name.clone()).collect();
        let parts = [part(0), part(1)];
        Some(Self { steps, skill: 0.0, objective: hash.to_owned(), signals, mean, parts })
    }

    /// Share of the variance of `rows` that it explains (R²).
    fn explains(&self, log: &Trajectory, inputs: &[usize], rows: &[(usize, [f64; 2])]) -> f64 {
        let terms = self.terms(self.steps, inputs.to_vec());
        let mut estimates = vec![0.0; rows.len()];
        rows.iter().zip(estimates.chunks_mut(1)).for_each(|((t, _), out)| terms.eval(&log.frame(*t, *t), out));
        let actual: Vec<f64> = rows.iter().map(|(_, y)| y[0] + y[1] / self.steps as f64).collect();
        let mean = mean_or_zero(&actual);
        let square = |f: &dyn Fn(usize) -> f64| (0..actual.len()).map(|i| f(i).powi(2)).sum::<f64>();
        1.0 - square(&|i| actual[i] - estimates[i]) / square(&|i| actual[i] - mean)
    }

    fn terms(&self, horizon: usize, columns: Vec<usize>) -> TerminalTerms {
        let [sum, mean] = &self.parts;
        let share = (horizon.max(1) as f64).recip();
        let both = |a: f64, b: f64| a + share * b;
        let part = Part {
            weights: sum.weights.iter().zip(&mean.weights).map(|(a, b)| both(*a, *b)).collect(),
            least: both(sum.least, mean.least),
            most: both(sum.most, mean.most),
        };
        TerminalTerms { columns, mean: self.mean.clone(), part }
    }

    /// The terms for plans of `horizon` steps; `None` if `schema` lacks a signal.
    pub(super) fn compile(&self, horizon: usize, schema: &Schema) -> Option<TerminalTerms> {
        let columns: Option<Vec<usize>> = self.signals.iter().map(|s| schema.find(s)).collect();
        let fits = self.mean.len() == self.signals.len()
            && self.parts.iter().all(|p| p.weights.len() == width(self.signals.len()) && p.least <= p.most);
        Some(self.terms(horizon, columns?)).filter(|_| fits)
    }
}

impl TerminalTerms {
    /// Writes the estimated cost after `frame`, per row.
    pub fn eval<F: Frame + ?Sized>(&self, frame: &F, out: &mut [f64]) {
        let Part { weights, least, most } = &self.part;
        out.fill(0.0);
        let input = |k: usize| frame.column(self.columns[k], 0).iter().map(move |v| v - self.mean[k]);
        features(self.columns.len(), &mut |at, pair| {
            let w = weights[at];
            match pair {
                (None, _) => out.iter_mut().for_each(|o| *o += w),
                (Some(j), None) => out.iter_mut().zip(input(j)).for_each(|(o, a)| *o += w * a),
                (Some(j), Some(k)) => {
                    out.iter_mut().zip(input(j).zip(input(k))).for_each(|(o, (a, b))| *o += w * a * b);
                }
            }
        });
        // a quadratic function extrapolates badly
        out.iter_mut().for_each(|o| *o = if o.is_nan() { *o } else { o.clamp(*least, *most) });
    }
}

/// Enumerates the features of `inputs` inputs: the constant, each input, and each product of two.
#[inline]
fn features(inputs: usize, each: &mut impl FnMut(usize, (Option<usize>, Option<usize>))) {
    each(0, (None, None));
    let mut at = 1;
    for j in 0..inputs {
        each(at, (Some(j), None));
        at += 1;
    }
    for j in 0..inputs {
        for k in j..if inputs > MAX_PAIRED { j + 1 } else { inputs } {
            each(at, (Some(j), Some(k)));
            at += 1;
        }
    }
}

/// Number of features.
fn width(inputs: usize) -> usize {
    1 + inputs + if inputs > MAX_PAIRED { inputs } else { inputs * (inputs + 1) / 2 }
}

fn product(z: &[f64], (j, k): (Option<usize>, Option<usize>)) -> f64 {
    j.map_or(1.0, |j| z[j]) * k.map_or(1.0, |k| z[k])
}

/// Whether `signal` is an input of the terminal cost.
fn is_input(log: &Trajectory, signal: usize) -> bool {
    let column = &log.columns[signal];
    let mut finite = column.iter().filter(|v| v.is_finite());
    let first = finite.next();
    matches!(log.schema.signals[signal].role, Role::State | Role::Control | Role::Disturbance | Role::Setpoint)
        && finite.any(|v| Some(v) != first)
}

/// Cost of every row: of terms that add up over time, and of means. `None` if a term is not a sum over steps.
fn per_step(log: &Trajectory, objective: &Objective) -> Option<[Vec<f64>; 2]> {
    let mut costs = [vec![0.0; log.steps], vec![0.0; log.steps]];
    let mut registers = Registers::default();
    let mut value = [0.0];
    for (kpi, price) in objective.terms.iter().filter(|(_, price)| *price != 0.0) {
        let part = &mut costs[usize::from(kpi.aggregation() == Aggregation::Mean)];
        let per_step = kpi.per_step(1);
        for segment in &log.segments {
            for t in segment.clone() {
                let frame = log.frame(t, segment.start);
                part[t] += price
                    * match &per_step {
                        PerStep::Expression(program, factor) => {
                            program.eval(&frame, &mut registers, &mut value);
                            factor * value[0]
                        }
                        PerStep::Excess(signal, range, factor) => {
                            let v = frame.column(*signal, 0)[0];
                            if v.is_finite() { factor * range.excess(v) } else { f64::NAN }
                        }
                        PerStep::Other => return None,
                    };
            }
        }
    }
    Some(costs)
}

/// Rows of `rows` that are followed by `steps` rows of the same segment.
fn followed<'a>(log: &'a Trajectory, rows: &'a Range<usize>, steps: usize) -> impl Iterator<Item = usize> + 'a {
    log.segments.iter().flat_map(move |s| s.start.max(rows.start)..s.end.min(rows.end).saturating_sub(steps))
}

/// Sums of the costs of the `steps` rows after row `t`.
fn ahead(costs: &[Vec<f64>; 2], t: usize, steps: usize) -> [f64; 2] {
    costs.each_ref().map(|c| c[t + 1..=t + steps].iter().sum())
}

/// Hash of the formulas, parameters and prices.
fn fingerprint(objective: &Objective) -> String {
    blake3::hash(format!("{objective:?}").as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::config::KpiSpec;
    use crate::expr::Scope;
    use crate::schema::Signal;
    use crate::units::Unit;
    use crate::value::Kpi;

    fn objective(schema: &Schema, price: f64) -> Objective {
        let signals: HashMap<_, _> =
            schema.signals.iter().enumerate().map(|(i, s)| (s.name.clone(), (i, s.unit.clone()))).collect();
        let scope = Scope { signals, dt: 60.0, ..Scope::default() };
        let spec = KpiSpec::Sum("x^2".to_owned().into());
        let kpi = Kpi::compile("square", &spec, &scope, schema).unwrap();
        Objective::new(&[kpi], [(0, price)])
    }

    #[test]
    fn it_estimates_the_cost_of_a_decaying_state_despite_constant_inputs() {
        let one = |name, role| Signal::open(name, role, Unit::one());
        let schema =
            Arc::new(Schema::new(vec![one("x", Role::State), one("held", Role::Control), one("sp", Role::Setpoint)]));
        let mut log = Trajectory::empty(schema.clone(), jiff::Timestamp::UNIX_EPOCH, 60_000, 800, 1);
        let mut x = 1.0;
        for t in 0..log.steps {
            // starts again every 20 steps
            x = if t % 20 == 0 { 1.0 + (t as f64).sin() } else { 0.8 * x };
            log.at_mut(0, t)[0] = x;
            // changes only after the rows of the fit
            log.at_mut(1, t)[0] = if t < 700 { 21.3 } else { 0.1 };
            log.at_mut(2, t)[0] = 0.1 + 0.05 * (t as f64).cos();
        }
        let own = objective(&schema, 2.0);
        let rows: Vec<Range<usize>> = (0..35).map(|i| i * 20..i * 20 + 15).collect();
        let cost = TerminalCost::fit(&log, &rows, &own, 1).unwrap();
        assert!(cost.skill > 0.95, "{}", cost.skill);
        let terms = cost.compile(4, &schema).unwrap();
        for (x, held) in [(0.5, 21.3), (1.0, 21.3), (1.0, 0.1), (1.5, 30.0)] {
            let mut row = Trajectory::empty(schema.clone(), jiff::Timestamp::UNIX_EPOCH, 60_000, 1, 1);
            [x, held, 0.1].into_iter().enumerate().for_each(|(s, v)| row.at_mut(s, 0)[0] = v);
            let mut value = [0.0];
            terms.eval(&row.frame(0, 0), &mut value);
            let [value] = value;
            // the state decays by a fifth per step
            assert!((value - 2.0 * (0.8 * x).powi(2)).abs() < 0.1, "{x} {held}: {value}");
        }
        assert!(cost.is_of(&own) && !cost.is_of(&objective(&schema, 3.0)));
    }
}
