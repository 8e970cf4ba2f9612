//! Replay of the hold-out: tests whether the twin reproduces the logged KPIs when it receives the logged controls.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::closed_loop::ClosedLoop;
use super::plant::Plant;
use super::results::ReplayCheck;
use crate::config::TimeSpan;
use crate::control::ControllerSettings;
use crate::error::Result;
use crate::schema::Role;
use crate::stats::{quantile_type_6, sorted_finite};
use crate::twin::{Dynamics, Twin};
use crate::value::{Estimate, Kpi, evaluate, figures};

/// Replays the logged controls through `twin` over segments of the hold-out and compares the KPIs (SUP-4). The noise
/// model of `twin` must have been fitted without the hold-out.
///
/// A segment lasts one day, but at least one and at most four control horizons. At most 20 segments are used, spread
/// evenly over the hold-out. If the 90 % intervals are correct, the probability that fewer than 15 of 20 segments are
/// covered is about 1 in 90 (binomial distribution).
pub fn replay_checks(plant: &Plant, twin: &Twin, holdout: &[Range<usize>], seed: u64) -> Result<Vec<ReplayCheck>> {
    const PARTICLES: usize = 40; // (not tuned)
    const SEGMENTS: usize = 20; // (not tuned)
    let (compiled, depth) = (&plant.compiled, twin.depth());
    let (day, horizon) = (plant.steps(TimeSpan::from_ms(86_400_000)), plant.card.horizon);
    let steps = day.min(4 * horizon).max(horizon);
    let complete = |t: usize| plant.schema.with_role(Role::State).iter().all(|&s| plant.log.at(s, t)[0].is_finite());
    let possible_starts =
        |r: &Range<usize>| (r.start + depth..r.end.saturating_sub(steps - 1)).step_by(steps).collect::<Vec<_>>();
    let all: Vec<usize> = holdout.iter().flat_map(possible_starts).filter(|t| complete(*t)).collect();
    let starts: Vec<usize> =
        (0..all.len().min(SEGMENTS)).map(|i| all[i * all.len() / all.len().min(SEGMENTS)]).collect();
    let runs = starts
        .par_iter()
        .map(|&start| {
            let (past, mut realised) = plant.slice(start, steps);
            // Lags must not read values from before the segment, because these values are not available in the
            // simulated run.
            let segments = std::mem::take(&mut realised.segments);
            realised.segments = vec![past..past + steps];
            let measured = figures(&compiled.kpis, &realised, &[past..past + steps]);
            realised.segments = segments;
            let realised = &Arc::new(realised);
            let closed_loop = ClosedLoop {
                plant,
                twin,
                compiled,
                realised,
                past,
                steps,
                particles: PARTICLES,
                seed,
                clock: None,
                own: &ControllerSettings::Replay,
                recorded: None,
                gaps: None,
            };
            let run = closed_loop.run(&ControllerSettings::Replay, &|| false)?.simulated.trajectory;
            Ok((measured, evaluate(&compiled.kpis, &run, &[0..steps])))
        })
        .collect::<Result<Vec<_>>>()?;
    let check = |(k, kpi): (usize, &Kpi)| {
        // Skip segments with missing measured values, because sums over incomplete data cannot be compared.
        let complete = runs.iter().filter(|(m, _)| m[k].missing == 0.0).map(|(m, v)| (m[k].values[0], &v[k]));
        let known = complete.filter(|(m, v)| m.is_finite() && v[0].is_finite());
        let known: Vec<(f64, &Vec<f64>)> = known.collect();
        let (measured, last) = *known.last()?;
        let within = known.iter().filter(|(m, v)| is_reproduced(*m, v)).count();
        Some(ReplayCheck {
            kpi: kpi.name.clone(),
            unit: kpi.unit.text.clone(),
            measured,
            simulated: Estimate::over(last),
            hours: steps as f64 * plant.log.step_seconds() / 3600.0,
            segments: known.len(),
            within,
            inside: 4 * within >= 3 * known.len(),
        })
    };
    Ok(compiled.kpis.iter().enumerate().filter_map(check).collect())
}

/// Whether the central 90 % interval of `simulated` covers `measured`. If a KPI depends only on the controls, the
/// simulated value must equal the measured one up to rounding.
fn is_reproduced(measured: f64, simulated: &[f64]) -> bool {
    let sorted = sorted_finite(simulated);
    let slack = 1e-9 * measured.abs().max(1e-12);
    (quantile_type_6(&sorted, 0.05) - slack..=quantile_type_6(&sorted, 0.95) + slack).contains(&measured)
}
