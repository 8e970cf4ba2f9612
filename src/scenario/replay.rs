//! Identity replay: does the twin, fed the log's own controls, make the log's own KPIs?

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::case::Case;
use super::plant::{Compiled, Plant};
use super::results::ReplayCheck;
use crate::config::TimeSpan;
use crate::control::ControllerSettings;
use crate::error::Result;
use crate::schema::Role;
use crate::stats::{quantile_type_6, sorted_finite};
use crate::twin::{Dynamics, Twin};
use crate::value::{Estimate, Kpi, evaluate, figures};

/// Feeds the log's own controls to `twin`, whose noise has not seen the hold-out, over stretches of the hold-out and compares the KPIs (SUP-4).
///
/// A stretch is a day, but no more than four control horizons and no less than one; at most 20 of them, spread over the
/// hold-out. With a true 90 % interval, fewer than three quarters of 20 stretches are within it once in 90 times.
pub fn replay_checks(
    plant: &Plant,
    twin: &Twin,
    compiled: &Compiled,
    holdout: &[Range<usize>],
    seed: u64,
) -> Result<Vec<ReplayCheck>> {
    const PARTICLES: usize = 40;
    const STRETCHES: usize = 20;
    let depth = twin.depth();
    let (day, horizon) = (plant.steps(TimeSpan::from_ms(86_400_000)), plant.card.horizon);
    let steps = day.min(4 * horizon).max(horizon);
    let complete = |t: usize| plant.schema.with_role(Role::State).iter().all(|&s| plant.log.at(s, t)[0].is_finite());
    let cut = |r: &Range<usize>| (r.start + depth..r.end.saturating_sub(steps - 1)).step_by(steps).collect::<Vec<_>>();
    let all: Vec<usize> = holdout.iter().flat_map(cut).filter(|t| complete(*t)).collect();
    let starts: Vec<usize> =
        (0..all.len().min(STRETCHES)).map(|i| all[i * all.len() / all.len().min(STRETCHES)]).collect();
    let particles = PARTICLES;
    let runs = starts
        .par_iter()
        .map(|&start| {
            let (past, mut realised) = plant.slice(start, steps);
            // neither side looks back beyond the stretch
            let segments = std::mem::take(&mut realised.segments);
            realised.segments = vec![past..past + steps];
            let measured = figures(&compiled.kpis, &realised, &[past..past + steps]);
            realised.segments = segments;
            let realised = &Arc::new(realised);
            let case = Case { plant, twin, compiled, realised, past, steps, particles, seed, clock: None };
            let run = case.run(&ControllerSettings::Replay, &|| false)?.simulated.trajectory;
            Ok((measured, evaluate(&compiled.kpis, &run, &[0..steps])))
        })
        .collect::<Result<Vec<_>>>()?;
    let check = |(k, kpi): (usize, &Kpi)| {
        // a measured sum with holes is no sum
        let whole = runs.iter().filter(|(m, _)| m[k].missing == 0.0).map(|(m, v)| (m[k].values[0], &v[k]));
        let known = whole.filter(|(m, v)| m.is_finite() && v[0].is_finite());
        let known: Vec<(f64, &Vec<f64>)> = known.collect();
        let (measured, last) = *known.last()?;
        let within = known.iter().filter(|(m, v)| holds(*m, v)).count();
        Some(ReplayCheck {
            kpi: kpi.name.clone(),
            unit: kpi.unit.text.clone(),
            measured,
            simulated: Estimate::over(last),
            hours: steps as f64 * plant.log.step_seconds() / 3600.0,
            stretches: known.len(),
            within,
            inside: 4 * within >= 3 * known.len(),
        })
    };
    Ok(compiled.kpis.iter().enumerate().filter_map(check).collect())
}

/// Whether `measured` lies in the central 90 % of `simulated`; what only the controls decide must agree to rounding.
fn holds(measured: f64, simulated: &[f64]) -> bool {
    let sorted = sorted_finite(simulated);
    let slack = 1e-9 * measured.abs().max(1e-12);
    (quantile_type_6(&sorted, 0.05) - slack..=quantile_type_6(&sorted, 0.95) + slack).contains(&measured)
}
