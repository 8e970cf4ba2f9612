//! What is still to come where a plan ends, learned from the log.

use std::ops::Range;

use nalgebra::{Cholesky, DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::kpi::{Aggregation, PerStep};
use super::objective::Objective;
use crate::expr::Registers;
use crate::schema::{Role, Schema};
use crate::stats::{mean_and_population_sd, mean_or_zero};
use crate::trajectory::{Frame, Trajectory};

/// Rows that it is fitted to, at most: one from each of as many equal stretches.
const ROWS: usize = 6000;
/// Newest share of them on which it is judged.
const JUDGED: f64 = 0.25;
/// Least share of the variance there that it must explain.
const WORTH: f64 = 0.5;
/// Ridge, in variances of the inputs.
const RIDGE: f64 = 1e-3;
/// Lengths of what is counted over which the judged rows reach, at least.
const SPANS: usize = 3;
/// Of more inputs the squares count, and no products.
const PAIRED: usize = 16;

/// Objective of the steps after a row as a quadratic function of the states, set-points, controls and disturbances in it: a
/// Monte Carlo estimate of the value of the controller that made the log (Sutton & Barto 2018, chapter 5), by ridge regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TerminalCost {
    /// Steps that it counts.
    pub steps: usize,
    /// Share of the variance of later rows that it explains.
    pub skill: f64,
    /// Hash of the objective that it is the value of.
    objective: String,
    signals: Vec<String>,
    mean: Vec<f64>,
    /// Of terms that add up over time, and of those that are means: a plan of n steps counts the sum of the latter by 1/n.
    parts: [Part; 2],
}

/// One sum over the steps to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    /// 1, every input, every product: about the means, in units of the signals.
    weights: Vec<f64>,
    /// Least and largest of the log.
    least: f64,
    most: f64,
}

/// A [`TerminalCost`] behind a plan, by columns of the schema.
#[derive(Debug, Clone)]
pub(super) struct TerminalTerms {
    columns: Vec<usize>,
    mean: Vec<f64>,
    part: Part,
}

impl TerminalCost {
    /// From the `rows` of `log` (one particle, derived signals filled), for `steps` steps; `None` where the objective is no sum
    /// over steps, or the rows tell too little.
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
        let old = ((1.0 - JUDGED) * some.len() as f64) as usize;
        let hash = fingerprint(objective);
        let fit = |rows: &[(usize, [f64; 2])]| Self::to(log, &inputs, rows, (steps, &hash));
        // what comes after the rows of the fit has no part in what it is judged by
        let from = some.get(old)?.0 + steps;
        let new = &some[some.partition_point(|(t, _)| *t < from)..];
        // neighbouring rows say nearly the same
        if new.last()?.0 < from + SPANS * steps {
            return None;
        }
        let skill = fit(&some[..old])?.explains(log, &inputs, new);
        let whole = fit(&some)?;
        (skill >= WORTH).then_some(Self { skill, ..whole })
    }

    /// Whether it is the value of `objective`, at its prices.
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
        // what stays the same in these rows has no more than the rounding of its mean
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

    /// Share of the variance of `rows` that it explains.
    fn explains(&self, log: &Trajectory, inputs: &[usize], rows: &[(usize, [f64; 2])]) -> f64 {
        let behind = self.behind(self.steps, inputs.to_vec());
        let mut told = vec![0.0; rows.len()];
        rows.iter().zip(told.chunks_mut(1)).for_each(|((t, _), told)| behind.eval(&log.frame(*t, *t), told));
        let true_: Vec<f64> = rows.iter().map(|(_, y)| y[0] + y[1] / self.steps as f64).collect();
        let mean = mean_or_zero(&true_);
        let square = |f: &dyn Fn(usize) -> f64| (0..true_.len()).map(|i| f(i).powi(2)).sum::<f64>();
        1.0 - square(&|i| true_[i] - told[i]) / square(&|i| true_[i] - mean)
    }

    fn behind(&self, horizon: usize, columns: Vec<usize>) -> TerminalTerms {
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

    /// TerminalTerms a plan of `horizon` steps; `None` where `schema` lacks a signal.
    pub(super) fn compile(&self, horizon: usize, schema: &Schema) -> Option<TerminalTerms> {
        let columns: Option<Vec<usize>> = self.signals.iter().map(|s| schema.find(s)).collect();
        let fits = self.mean.len() == self.signals.len()
            && self.parts.iter().all(|p| p.weights.len() == width(self.signals.len()) && p.least <= p.most);
        Some(self.behind(horizon, columns?)).filter(|_| fits)
    }
}

impl TerminalTerms {
    /// Money still to come after `frame`, per row.
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
        // a quadratic leaves what was seen quickly
        out.iter_mut().for_each(|o| *o = if o.is_nan() { *o } else { o.clamp(*least, *most) });
    }
}

/// Numbers the features of `inputs` inputs: none of them, one, or two multiplied.
#[inline]
fn features(inputs: usize, each: &mut impl FnMut(usize, (Option<usize>, Option<usize>))) {
    each(0, (None, None));
    let mut at = 1;
    for j in 0..inputs {
        each(at, (Some(j), None));
        at += 1;
    }
    for j in 0..inputs {
        for k in j..if inputs > PAIRED { j + 1 } else { inputs } {
            each(at, (Some(j), Some(k)));
            at += 1;
        }
    }
}

/// Number of features.
fn width(inputs: usize) -> usize {
    1 + inputs + if inputs > PAIRED { inputs } else { inputs * (inputs + 1) / 2 }
}

fn product(z: &[f64], (j, k): (Option<usize>, Option<usize>)) -> f64 {
    j.map_or(1.0, |j| z[j]) * k.map_or(1.0, |k| z[k])
}

/// Whether `signal` says something of what is to come.
fn is_input(log: &Trajectory, signal: usize) -> bool {
    let column = &log.columns[signal];
    let mut finite = column.iter().filter(|v| v.is_finite());
    let first = finite.next();
    matches!(log.schema.signals[signal].role, Role::State | Role::Control | Role::Disturbance | Role::Setpoint)
        && finite.any(|v| Some(v) != first)
}

/// Costs of every row: of terms that add up over time, and of means; `None` where a term is no sum over steps.
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

/// Rows of `rows` after which the segment goes on for `steps` rows.
fn followed<'a>(log: &'a Trajectory, rows: &'a Range<usize>, steps: usize) -> impl Iterator<Item = usize> + 'a {
    log.segments.iter().flat_map(move |s| s.start.max(rows.start)..s.end.min(rows.end).saturating_sub(steps))
}

/// Sums of the costs of the `steps` rows after row `t`.
fn ahead(costs: &[Vec<f64>; 2], t: usize, steps: usize) -> [f64; 2] {
    costs.each_ref().map(|c| c[t + 1..=t + steps].iter().sum())
}

/// Of formulas, parameters and prices.
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
        Objective::of(&[kpi], [("square", price)]).unwrap()
    }

    #[test]
    fn it_is_the_value_of_a_decaying_state_whatever_else_stands_still() {
        let one = |name, role| Signal::open(name, role, Unit::one());
        let schema =
            Arc::new(Schema::new(vec![one("x", Role::State), one("held", Role::Control), one("sp", Role::Setpoint)]));
        let mut log = Trajectory::empty(schema.clone(), jiff::Timestamp::UNIX_EPOCH, 60_000, 800, 1);
        let mut x = 1.0;
        for t in 0..log.steps {
            // starts anew here and there
            x = if t % 20 == 0 { 1.0 + (t as f64).sin() } else { 0.8 * x };
            log.at_mut(0, t)[0] = x;
            // moves behind the rows of the fit only, which are no power of two
            log.at_mut(1, t)[0] = if t < 700 { 21.3 } else { 0.1 };
            log.at_mut(2, t)[0] = 0.1 + 0.05 * (t as f64).cos();
        }
        let own = objective(&schema, 2.0);
        let rows: Vec<Range<usize>> = (0..35).map(|i| i * 20..i * 20 + 15).collect();
        let cost = TerminalCost::fit(&log, &rows, &own, 1).unwrap();
        assert!(cost.skill > 0.95, "{}", cost.skill);
        let behind = cost.compile(4, &schema).unwrap();
        for (x, held) in [(0.5, 21.3), (1.0, 21.3), (1.0, 0.1), (1.5, 30.0)] {
            let mut row = Trajectory::empty(schema.clone(), jiff::Timestamp::UNIX_EPOCH, 60_000, 1, 1);
            [x, held, 0.1].into_iter().enumerate().for_each(|(s, v)| row.at_mut(s, 0)[0] = v);
            let mut value = [0.0];
            behind.eval(&row.frame(0, 0), &mut value);
            let [value] = value;
            // a step later a fifth is gone
            assert!((value - 2.0 * (0.8 * x).powi(2)).abs() < 0.1, "{x} {held}: {value}");
        }
        assert!(cost.is_of(&own) && !cost.is_of(&objective(&schema, 3.0)));
    }
}
