//! Chooses the parameters of a case, such as the levels s and S of an order policy.
//!
//! The candidates are simulated in the part of the log that precedes the scenario, with the same
//! futures for all candidates. The chosen values are therefore tested in conditions for which they
//! were not chosen. The search starts from a Halton sequence (Halton 1960) and continues with a
//! pattern search (Hooke & Jeeves 1961), whose steps are halved when no neighbour is better. A
//! candidate that comes closer to the requirements of the case is always better. If two candidates
//! are equally close, the candidate with the lower objective is better. A policy with a reorder
//! point above its order-up-to level is worse than all other policies.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::closed_loop::ClosedLoop;
use super::conditions::{self, Conditions};
use super::evaluated::Case;
use super::noise::ScenarioNoise;
use super::plant::{Compiled, Plant};
use crate::config::{At, CaseSpec, Loaded, ScenarioSpec};
use crate::control::target::CaseTarget;
use crate::control::{BaseStockSettings, ControllerSettings};
use crate::error::{Error, Result};
use crate::resolve::Faults;
use crate::schema::Bounds;
use crate::stats::mean_or_zero;
use crate::trajectory::Trajectory;

/// Number of candidates of the Halton sequence per parameter (not tuned).
const FIRST: usize = 24;
/// The pattern search ends when its steps are smaller than this fraction of the range (not tuned).
const SMALLEST: f64 = 1.0 / 256.0;
/// Values are rounded to about this fraction of the range (not tuned).
const RESOLUTION: f64 = 1.0 / 500.0;
/// The candidates are simulated over at most this multiple of the length of the scenario (not tuned).
const MOST_LENGTHS: usize = 4;

/// The chosen parameters of a case.
pub struct Chosen {
    pub settings: ControllerSettings,
    /// A clause that states the values and how they were chosen.
    pub note: String,
}

/// A candidate and its quality.
#[derive(Clone)]
struct Candidate {
    values: Vec<f64>,
    /// Relative distance of the required KPIs from their limits.
    shortfall: f64,
    objective: f64,
}

impl Candidate {
    fn order(&self, other: &Self) -> Ordering {
        self.shortfall.total_cmp(&other.shortfall).then(self.objective.total_cmp(&other.objective))
    }
}

/// Chooses the parameters of `case` in `scenario`.
///
/// # Errors
/// [`Error::Data`] if the part of the log before the scenario is too short, and the errors of the simulations.
pub fn choose(
    plant: &Plant,
    scenario: &Loaded<ScenarioSpec>,
    name: &str,
    case: &CaseSpec,
    target: &CaseTarget,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Chosen> {
    let spec = &scenario.value;
    let owner = format!("case `{name}`");
    let (earlier, length) = before(plant, scenario, &owner)?;
    let mut compiled = Compiled::new(&plant.spec, &plant.schema, &spec.parameter)?;
    let conditions = conditions::realise(plant, &mut compiled, &earlier, length)?;
    let noise = ScenarioNoise::new(plant, &earlier, &conditions)?;
    let Conditions { past, steps, realised, gaps, .. } = &conditions;
    let own = ControllerSettings::Replay;
    let closed_loop = ClosedLoop {
        plant,
        twin: &plant.twin.with_equations(compiled.equations.clone()),
        compiled: &compiled,
        realised,
        past: *past,
        steps: *steps,
        particles: noise.particles,
        seed: spec.seed.value,
        clock: None,
        own: &own,
        recorded: None,
        gaps: gaps.as_ref(),
    };
    let names = plant.names().with(&spec.parameter);
    let settings = |values: &[f64]| {
        let mut faults = Faults::new(scenario);
        let settings = target.controller(&mut faults, &names, &owner, &case.controller, values);
        faults.into_result()?;
        settings.ok_or_else(|| Error::Internal("a controller could not be resolved".into()))
    };
    let simulate = |values: Vec<f64>| -> Result<Candidate> {
        let settings = settings(&values)?;
        let run = Case::evaluate(&closed_loop, closed_loop.run(&settings, stop)?);
        let objective = mean_or_zero(&run.objective);
        let shortfall = match is_ordered(&settings, &run.run.simulated.trajectory) {
            true => target.shortfall(|kpi| run.mean(&compiled, kpi)),
            false => f64::INFINITY,
        };
        Ok(Candidate { values, shortfall, objective: if objective.is_nan() { f64::INFINITY } else { objective } })
    };
    let (best, count) = search(target, &simulate)?;
    let reached = if best.shortfall > 0.0 { "no candidate reached the requirements; " } else { "" };
    let values: Vec<String> = target.search.iter().zip(&best.values).map(|((n, _), v)| format!("{n} = {v}")).collect();
    Ok(Chosen {
        settings: settings(&best.values)?,
        note: format!(
            "{reached}{} was chosen from {count} candidates, which were simulated from {} to {}",
            values.join(", "),
            realised.time(*past),
            spec.start.value
        ),
    })
}

/// Whether every reorder point is at or below its order-up-to level throughout `run`.
fn is_ordered(settings: &ControllerSettings, run: &Trajectory) -> bool {
    let ControllerSettings::BaseStock(loops) = settings else { return true };
    let is_ordered = |l: &BaseStockSettings| {
        let (levels, reorder) = l.levels(run);
        reorder.is_none_or(|reorder| reorder.iter().zip(&levels).all(|(s, level)| s <= level))
    };
    loops.iter().all(is_ordered)
}

/// The scenario moved to the part of the log before it, and the number of steps of this part.
fn before(plant: &Plant, scenario: &Loaded<ScenarioSpec>, owner: &str) -> Result<(Loaded<ScenarioSpec>, usize)> {
    let spec = &scenario.value;
    let (log, steps) = (&plant.log, plant.steps(spec.length.value));
    let start = log.step_at(spec.start.value).unwrap_or(0);
    let needed = plant.twin.map.depth();
    // The earliest start, at most `MOST_LENGTHS` lengths before the scenario, from which the twin
    // can be simulated.
    let earliest = start.saturating_sub(MOST_LENGTHS * steps);
    let first = (earliest..start).find(|t| log.segment_at(*t).is_some_and(|s| t + 1 - s.start >= needed));
    let Some(first) = first.filter(|first| start - first >= steps) else {
        return Err(Error::Data(format!(
            "{}: {owner}: `search` chooses parameters in the part of the log before the scenario, which must be at least \
             as long as the scenario; move `start`, or shorten `length`",
            scenario.path.display()
        )));
    };
    let mut earlier = scenario.clone();
    earlier.value.start = At { value: log.time(first), span: spec.start.span.clone() };
    Ok((earlier, start - first))
}

/// The best candidate, and the number of candidates.
fn search(
    target: &CaseTarget,
    simulate: &(dyn Fn(Vec<f64>) -> Result<Candidate> + Sync),
) -> Result<(Candidate, usize)> {
    let ranges: Vec<Bounds> = target.search.iter().map(|(_, range)| *range).collect();
    let place = |shares: &[f64]| -> Vec<f64> { ranges.iter().zip(shares).map(|(r, s)| rounded(*r, *s)).collect() };
    let mut known: Vec<Candidate> = Vec::new();
    let add = |points: Vec<Vec<f64>>, known: &mut Vec<Candidate>| -> Result<()> {
        let mut new: Vec<Vec<f64>> = Vec::new();
        for values in points.iter().map(|p| place(p)) {
            if !new.contains(&values) && !known.iter().any(|k| k.values == values) {
                new.push(values);
            }
        }
        known.extend(new.into_par_iter().map(simulate).collect::<Result<Vec<_>>>()?);
        Ok(())
    };
    let dimensions = ranges.len();
    let first = (0..FIRST * dimensions).map(|i| (0..dimensions).map(|d| halton(i + 1, [2, 3, 5][d % 3])).collect());
    let ends = [0.0, 0.5, 1.0].map(|share| vec![share; dimensions]);
    add(first.chain(ends).collect(), &mut known)?;
    let mut step = 0.25;
    loop {
        let best = best(&known)?.clone();
        let at: Vec<f64> = ranges.iter().zip(&best.values).map(|(r, v)| (v - r.low) / (r.high - r.low)).collect();
        let neighbours = (0..3usize.pow(dimensions as u32)).map(|code| {
            let offset = |d: usize| step * ((code / 3usize.pow(d as u32) % 3) as f64 - 1.0);
            (0..dimensions).map(|d| (at[d] + offset(d)).clamp(0.0, 1.0)).collect()
        });
        add(neighbours.collect(), &mut known)?;
        if self::best(&known)?.order(&best).is_ge() {
            step *= 0.5;
            if step < SMALLEST {
                return Ok((best, known.len()));
            }
        }
    }
}

/// The best candidate. If several candidates are equally good, returns the first one.
fn best(known: &[Candidate]) -> Result<&Candidate> {
    known.iter().min_by(|a, b| a.order(b)).ok_or_else(|| Error::Internal("the search has no candidates".into()))
}

/// The value at the fraction `share` of `range`, rounded to a short decimal number.
fn rounded(range: Bounds, share: f64) -> f64 {
    let width = range.high - range.low;
    let unit = 10f64.powf((RESOLUTION * width).log10().floor());
    let value = range.low + share * width;
    // Division by a power of ten gives the nearest number with few decimal digits.
    let value = if unit < 1.0 { (value / unit).round() / unit.recip().round() } else { (value / unit).round() * unit };
    range.clamp(value)
}

/// Element `i` of the van der Corput sequence in base `base`.
fn halton(mut i: usize, base: usize) -> f64 {
    let (mut share, mut value) = (1.0, 0.0);
    while i > 0 {
        share /= base as f64;
        value += share * (i % base) as f64;
        i /= base;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_candidate_that_satisfies_the_requirements_is_found() {
        // The objective x + y falls towards the corner (0, 0), and the requirement x·y ≥ 6 is active: the optimum is
        // x = y = √6.
        let range = Bounds { low: 0.0, high: 10.0 };
        let target = CaseTarget {
            search: vec![("x".into(), range), ("y".into(), range)],
            require: vec![("product".into(), Bounds { low: 6.0, high: f64::INFINITY })],
        };
        let simulate = |values: Vec<f64>| {
            let (objective, product) = (values[0] + values[1], values[0] * values[1]);
            Ok(Candidate { shortfall: target.shortfall(|_| product), objective, values })
        };
        let (best, count) = search(&target, &simulate).unwrap();
        assert_eq!(best.shortfall, 0.0);
        assert!(best.objective < 2.0 * 6f64.sqrt() * 1.02, "{:?}", best.values);
        assert!(count < 300, "{count} candidates");
    }

    #[test]
    fn values_are_short_decimal_numbers_within_the_range() {
        let range = Bounds { low: 100.0, high: 900.0 };
        assert_eq!([0.0, 1.0 / 3.0, 1.0].map(|s| rounded(range, s)), [100.0, 367.0, 900.0]);
        assert_eq!(rounded(Bounds { low: 0.0, high: 1.0 }, 1.0 / 3.0), 0.333);
        assert_eq!([1, 2, 3, 4].map(|i| halton(i, 2)), [0.5, 0.25, 0.75, 0.125]);
    }
}
