//! Fits a terminal cost to the log.

use std::ops::Range;

use nalgebra::{Cholesky, DMatrix, DVector};

use super::kpi::{Aggregation, StepCost};
use super::objective::Objective;
use super::terminal_cost::{Quadratic, TerminalCost, features, product, width};
use crate::expr::Registers;
use crate::schema::Role;
use crate::stats::{mean_and_population_sd, mean_or_zero};
use crate::trajectory::{Frame, Trajectory};

/// Maximum number of rows used in the fit (not tuned). If the log is longer, evenly spaced rows are selected from it.
const ROWS: usize = 6000;
/// Fraction of the rows used for validation, starting from the newest row (not tuned).
const VALIDATION_SHARE: f64 = 0.25;
/// Minimum fraction of the cost variance in the validation rows that the terminal cost must explain (not tuned).
const MIN_SKILL: f64 = 0.5;
/// Ridge penalty per row for inputs scaled to unit variance (not tuned).
const RIDGE: f64 = 1e-3;
/// Minimum period that the validation rows must cover, as a multiple of the horizon (not tuned).
const MIN_HORIZONS: usize = 3;
impl TerminalCost {
    /// Fits a terminal cost for the next `steps` steps to the `rows` of `log`, which has one particle and complete
    /// derived signals.
    ///
    /// Returns `None` if the objective is not a sum over steps, if there are too few rows, or if the fit explains too
    /// little of the variance.
    pub fn fit(log: &Trajectory, rows: &[Range<usize>], objective: &Objective, steps: usize) -> Option<Self> {
        let costs = per_step(log, objective)?;
        let inputs: Vec<usize> = (0..log.schema.len()).filter(|&s| is_input(log, s)).collect();
        let all: Vec<usize> = rows.iter().flat_map(|r| rows_with_successors(log, r, steps)).collect();
        let n = all.len().min(ROWS);
        let sampled = (0..n).map(|i| all[i * all.len() / n]).map(|t| (t, cost_after(&costs, t, steps)));
        let complete = |(t, sums): &(usize, [f64; 2])| {
            sums.iter().all(|s| s.is_finite()) && inputs.iter().all(|&s| log.columns[s][*t].is_finite())
        };
        let sampled: Vec<(usize, [f64; 2])> = sampled.filter(complete).collect();
        let old = ((1.0 - VALIDATION_SHARE) * sampled.len() as f64) as usize;
        let hash = fingerprint(objective);
        let fit = |rows: &[(usize, [f64; 2])]| Self::fit_rows(log, &inputs, rows, (steps, &hash));
        // The costs used in the fit must not come from steps in the validation period.
        let from = sampled.get(old)?.0 + steps;
        let new = &sampled[sampled.partition_point(|(t, _)| *t < from)..];
        // Neighbouring rows are nearly identical, so the minimum applies to the period that the
        // validation rows cover, not to the number of rows.
        if new.last()?.0 < from + MIN_HORIZONS * steps {
            return None;
        }
        let skill = fit(&sampled[..old])?.r_squared(log, &inputs, new);
        let full = fit(&sampled)?;
        (skill >= MIN_SKILL).then_some(Self { skill, ..full })
    }

    /// Whether the terminal cost was learned for this `objective`, including its prices.
    pub fn is_for(&self, objective: &Objective) -> bool {
        self.objective == fingerprint(objective)
    }

    /// Fits the two functions of the terminal cost by ridge regression. Each element of `rows`
    /// consists of a row number and the two costs that the functions must estimate, summed over the
    /// steps after this row. The caller must set the skill of the result, which is initially zero.
    fn fit_rows(
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
        // The computed standard deviation of a constant input may differ from zero by a rounding error.
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
        let function = |p: usize| {
            let y = DVector::from_iterator(n, rows.iter().map(|r| r.1[p]));
            let w = factor.solve(&design.tr_mul(&y));
            let mut weights = vec![0.0; width];
            let units: Vec<f64> = (0..inputs.len()).map(inverse).collect();
            features(inputs.len(), &mut |at, pair| weights[at] = w[at] * product(&units, pair));
            Quadratic { weights, least: y.min(), most: y.max() }
        };
        let signals = inputs.iter().map(|&s| log.schema.signals[s].name.clone()).collect();
        let parts = [function(0), function(1)];
        Some(Self { steps, skill: 0.0, objective: hash.to_owned(), signals, mean, parts })
    }

    /// Coefficient of determination (R²) of the estimate on `rows`.
    fn r_squared(&self, log: &Trajectory, inputs: &[usize], rows: &[(usize, [f64; 2])]) -> f64 {
        let terms = self.terms(self.steps, inputs.to_vec());
        let mut estimates = vec![0.0; rows.len()];
        rows.iter().zip(estimates.chunks_mut(1)).for_each(|((t, _), out)| terms.eval(&log.frame(*t, *t), out));
        let actual: Vec<f64> = rows.iter().map(|(_, y)| y[0] + y[1] / self.steps as f64).collect();
        let mean = mean_or_zero(&actual);
        let square = |f: &dyn Fn(usize) -> f64| (0..actual.len()).map(|i| f(i).powi(2)).sum::<f64>();
        1.0 - square(&|i| actual[i] - estimates[i]) / square(&|i| actual[i] - mean)
    }
}

/// Whether `signal` is an input of the terminal cost.
fn is_input(log: &Trajectory, signal: usize) -> bool {
    let column = &log.columns[signal];
    let mut finite = column.iter().filter(|v| v.is_finite());
    let first = finite.next();
    matches!(log.schema.signals[signal].role, Role::State | Role::Control | Role::Disturbance | Role::Setpoint)
        && finite.any(|v| Some(v) != first)
}

/// Cost of every row, split into the terms that are sums over time and the terms that are means. `None` if a term
/// cannot be written as a sum over steps.
fn per_step(log: &Trajectory, objective: &Objective) -> Option<[Vec<f64>; 2]> {
    let mut costs = [vec![0.0; log.steps], vec![0.0; log.steps]];
    let mut registers = Registers::default();
    let mut value = [0.0];
    for (kpi, price) in objective.terms.iter().filter(|(_, price)| *price != 0.0) {
        let part = &mut costs[usize::from(kpi.aggregation() == Aggregation::Mean)];
        let (cost, factor) = kpi.step_cost(1);
        for segment in &log.segments {
            for t in segment.clone() {
                let frame = log.frame(t, segment.start);
                part[t] += price
                    * factor
                    * match cost {
                        StepCost::Expression(program) => {
                            program.eval(&frame, &mut registers, &mut value);
                            value[0]
                        }
                        StepCost::Excess(signal, range) => {
                            let v = frame.column(signal, 0)[0];
                            if v.is_finite() { range.excess(v) } else { f64::NAN }
                        }
                        _ => return None,
                    };
            }
        }
    }
    Some(costs)
}

/// The elements of `rows` that are followed by at least `steps` rows in the same segment.
fn rows_with_successors<'a>(
    log: &'a Trajectory,
    rows: &'a Range<usize>,
    steps: usize,
) -> impl Iterator<Item = usize> + 'a {
    log.segments.iter().flat_map(move |s| s.start.max(rows.start)..s.end.min(rows.end).saturating_sub(steps))
}

/// The cost in the `steps` rows after row `t`, separately for the terms that are sums over time and the terms that are
/// means.
fn cost_after(costs: &[Vec<f64>; 2], t: usize, steps: usize) -> [f64; 2] {
    costs.each_ref().map(|c| c[t + 1..=t + steps].iter().sum())
}

/// Hash of the definitions and prices of the objective. The hash covers the compiled formulas, not their text.
fn fingerprint(objective: &Objective) -> String {
    let terms: Vec<_> = objective.terms.iter().map(|(kpi, price)| (kpi.definition(), price)).collect();
    blake3::hash(format!("{terms:?}").as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::config::KpiSpec;
    use crate::expr::Scope;
    use crate::schema::{Schema, Signal};
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
    fn the_cost_of_a_decaying_state_is_estimated_despite_a_constant_input() {
        let one = |name, role| Signal::open(name, role, Unit::one());
        let schema =
            Arc::new(Schema::new(vec![one("x", Role::State), one("held", Role::Control), one("sp", Role::Setpoint)]));
        let mut log = Trajectory::empty(schema.clone(), jiff::Timestamp::UNIX_EPOCH, 60_000, 800, 1);
        let mut x = 1.0;
        for t in 0..log.steps {
            // The state is reset every 20 steps.
            x = if t % 20 == 0 { 1.0 + (t as f64).sin() } else { 0.8 * x };
            log.at_mut(0, t)[0] = x;
            // The control changes only after the rows used in the fit.
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
            // The state decays by a fifth per step.
            assert!((value - 2.0 * (0.8 * x).powi(2)).abs() < 0.1, "{x} {held}: {value}");
        }
        assert!(cost.is_for(&own) && !cost.is_for(&objective(&schema, 3.0)));
    }
}
