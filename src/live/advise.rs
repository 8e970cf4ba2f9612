//! Computes advice from the newest rows of the log: the next values of the controls, and the evidence for them.

pub mod advice;
mod ahead;
pub mod change;
mod follow;
mod leave;
mod newest;
pub mod reason;
mod reference;
pub mod undo;

use self::advice::Advice;
use self::ahead::Ahead;
use self::change::{KpiChange, changes, most_important, objectives};
use self::follow::Follow;
use self::leave::{
    contradicted_effect, more_violations, moved_effects, objective_change, reason_to_leave, remarks, unidentified_move,
};
use self::newest::warnings;
use self::reason::{ControlAdvice, Later, Move, ramp_end};
use self::reference::Reference;
use self::undo::undo;
use crate::config::TimeSpan;
use crate::control::mpc::ResolvedMpc;
use crate::control::{Clock, Controller, LiveSettings, Mpc, states_known, supported};
use crate::error::{Error, Result};
use crate::learn::NoteKind;
use crate::log;
use crate::scenario::{Compiled, Plant, effect, totals_beyond};
use crate::simulate::Simulated;
use crate::twin::Support;

/// Number of simulated futures in which the advice is compared with the controls without a plan (not tuned). With 40 futures,
/// the confidence of the advice has a resolution of 2.5 %.
const FUTURES: usize = 40;

/// The reason to leave the controls if MPC performed worse than the plant's own controller when it was tuned.
const WORSE_THAN_LOGGED: &str =
    "in closed-loop tests on the log, plans performed worse than the plant's own controller";

/// A warning if the controls violate a limit on a total without the plan and with it.
const MISSED_TOTAL: &str = "a limit in `[mpc] totals` cannot be satisfied: the plan misses it by at least as much as the \
                            advised values";

/// Advises on the step after the newest row of the plant's log. `clock` limits the computing time of the plan.
///
/// # Errors
/// Returns [`Error::Data`] if a state has been missing for too long. Returns [`Error::Attention`] if no plan has a
/// finite cost, or if `extrapolate` is `false` and the model supports no part of the plan's first move. Returns
/// [`Error::Config`] if the `[mpc]` settings are invalid.
pub fn advise(
    plant: &Plant,
    compiled: &Compiled,
    seed: Option<u64>,
    extrapolate: bool,
    clock: Option<&Clock>,
) -> Result<Advice> {
    let LiveSettings { mpc: settings, safe } = plant.live(compiled)?;
    let context = plant.context(compiled, seed, clock)?;
    let mut mpc = Mpc::build(&settings, &context)?;
    let horizon = judged_horizon(plant, &settings, &mpc);
    let skill_horizon = mpc.skill_horizon().map(|s| s.text(&plant.schema, plant.spec.value.step.value));
    let ahead = Ahead::new(plant, horizon, context.seed, settings.forecast)?;
    let first = ahead.run(&mut mpc, 1, 1)?;
    if mpc.failures() > 0 {
        let cause = "no plan that starts from the newest rows of the log has a finite cost";
        return Err(Error::Attention(format!("{cause}; look for missing disturbances with `twinopt inspect`")));
    }
    let signals = mpc.signals().to_vec();
    let requested: Vec<f64> = signals.iter().map(|&c| first.trajectory.at(c, 0)[0]).collect();
    let plan = (0..horizon).map_while(|h| mpc.planned_controls(h).map(<[f64]>::to_vec)).collect();
    let base_stock: Option<&mut dyn Controller> = if settings.base_stock.is_empty() { None } else { Some(&mut mpc) };
    let mut follow = Follow { signals: signals.clone(), advised: requested.clone(), plan, base_stock, fixed: None };
    let candidates = candidates(&ahead, &signals, requested.clone(), extrapolate)?;
    let mut reference = Reference::new(plant, compiled, &settings, safe.as_ref(), &context)?;
    let comparison = Comparison { compiled, kept: ahead.run(&mut reference, horizon, FUTURES)?, ahead: &ahead };
    let (mut moves, planned) = cheapest(&comparison, &mut follow, candidates)?;
    follow.advised.clone_from(&moves);
    let support = judge(&ahead, &signals, &mut moves)?;
    let kept = &comparison.kept;
    let kpis = changes(compiled, &ahead, &planned, kept);
    let now: Vec<f64> = signals.iter().map(|&c| ahead.realised.at(c, ahead.past - 1)[0]).collect();
    let alone = effects_alone(&comparison, &mut follow, &planned, &now, &kpis)?;
    let span = TimeSpan::from_steps(horizon, plant.log.step_ms);
    let within_log = settings.within_log();
    let moved = signals.iter().zip(moves.into_iter().zip(requested));
    let change = objective_change(compiled, &ahead, &planned, kept);
    let compared_with = reference.text(plant);
    let effects = moved_effects(plant, compiled, &signals, &planned, kept);
    let objection = contradicted_effect(&effects)
        .or_else(|| unidentified_move(plant, &signals, &planned, kept))
        .or_else(|| more_violations(&plant.schema.signals, &planned, kept, &compared_with))
        .or_else(|| plant.warning().map(|_| WORSE_THAN_LOGGED.into()));
    let zone = plant.spec.value.zone()?;
    let beyond = |run: &Simulated| totals_beyond(&settings.totals, &ahead.realised, ahead.past, &run.trajectory, &zone);
    let due = beyond(kept);
    let leave = match beyond(&planned) < due {
        true => None,
        false => reason_to_leave(&settings, &plant.schema.signals, &change, &planned, kept, &now, objection),
    };
    let fallback = |c: usize, now: f64| leave.as_ref().and_then(|_| reference.fallback(c, now, kept));
    let unsure =
        leave.as_ref().map(|why| (why, reference.without_fallback(plant))).filter(|(_, names)| !names.is_empty());
    let unsure = unsure.map(|(why, names)| {
        format!(
            "the value of the plan is advised for {names}, although the plan is not better than {compared_with}: {why}; \
             an amount cannot be left as it is; to use a policy instead, add e.g. `safe.base_stock` to `[mpc]`"
        )
    });
    let is_left = signals.iter().zip(&now).any(|(&c, now)| fallback(c, *now).is_some());
    let controls = moved.zip(now.into_iter().zip(alone)).map(|((&c, (value, requested)), (now, alone))| {
        let path: Vec<f64> = (0..planned.trajectory.steps).map(|t| planned.trajectory.at(c, t)[0]).collect();
        let later = ramp_end(now, &path).map(|(step, value)| Later { value, at: ahead.time(step).to_string() });
        let one = Move { control: c, now, planned: value, reduced: value != requested, later };
        ControlAdvice::new(plant, one, within_log, fallback(c, now), alone, &span)
    });
    let controls = controls.collect();
    let leave = leave.filter(|_| is_left);
    let missed = leave.as_ref().filter(|_| due > 0.0).map(|_| MISSED_TOTAL.to_owned());
    let before_after = objectives(compiled, &ahead, &planned).into_iter().zip(objectives(compiled, &ahead, kept));
    let better = before_after.filter(|(planned, kept)| planned < kept).count();
    let about_effects = |kind| matches!(kind, NoteKind::Identification | NoteKind::ConstantControl | NoteKind::Effect);
    let notes = plant.card.notes.iter().filter(|n| about_effects(n.kind)).map(|n| n.text.clone());
    let unknown = ahead.unknown.iter().map(|name| {
        format!(
            "the forecast method of `{name}` is `perfect`, but the log does not contain its values for the next {span}, so \
             its last value is assumed to persist; add these values to the log, or use another forecast method"
        )
    });
    Ok(Advice {
        plant: plant.spec.value.name.value.clone(),
        version: plant.card.version.clone(),
        log_end: plant.log.time(ahead.newest).to_string(),
        from: ahead.time(0).to_string(),
        horizon: span.to_string(),
        controls,
        support,
        confidence: better as f64 / FUTURES as f64,
        objective_change: change.mean,
        objective_interval: [change.low, change.high],
        kpis,
        undo: if leave.is_some() { Vec::new() } else { undo(plant, &ahead, &planned, kept) },
        leave,
        compared_with,
        warnings: plant
            .warning()
            .into_iter()
            .chain(unsure)
            .chain(missed)
            .chain(skill_horizon)
            .chain(warnings(plant, ahead.newest))
            .chain(unknown)
            .chain(closed(plant, &ahead, horizon)?)
            .chain(remarks(plant, &effects))
            .chain(notes)
            .collect(),
    })
}

/// A warning if the plan covers hours in which the plant never runs according to the log.
fn closed(plant: &Plant, ahead: &Ahead, horizon: usize) -> Result<Option<String>> {
    let Some(hours) = log::operating_hours(&plant.log, &plant.spec.value)? else { return Ok(None) };
    let end = ahead.time(horizon);
    let closed = hours.closed_hours(ahead.time(0), end);
    let text = || {
        format!(
            "the plan extends to {end}, but the log never has data {}, so {closed} h of the plan are hours in which the \
             plant probably does not run, and the figures include them; shorten `horizon` in `[mpc]`",
            hours.text()
        )
    };
    Ok((closed > 0).then(text))
}

/// Returns the number of steps over which a plan is evaluated, which is its horizon plus the steps that its terminal
/// cost covers.
fn judged_horizon(plant: &Plant, settings: &ResolvedMpc, mpc: &Mpc) -> usize {
    let terminal = plant.terminal_cost().filter(|_| settings.cost_to_go == Some(true));
    mpc.horizon() + terminal.map_or(0, |t| t.steps)
}

/// Returns the moves that may be advised if `requested` is the first move of the plan; see [`supported`]. Each move has
/// one value per planned control.
fn candidates(ahead: &Ahead, signals: &[usize], requested: Vec<f64>, extrapolate: bool) -> Result<Vec<Vec<f64>>> {
    if extrapolate {
        return Ok(vec![requested]);
    }
    let now = |s: usize| ahead.realised.at(s, ahead.past)[0];
    let known = states_known(&ahead.plant.twin, now);
    let unplanned = signals.iter().map(|&c| now(c)).collect();
    supported(unplanned, Vec::new(), requested, known, |moves| judge(ahead, signals, moves))
}

/// Clamps the `moves` of the controls `signals` to their limits, and returns the support of the clamped moves.
fn judge(ahead: &Ahead, signals: &[usize], moves: &mut [f64]) -> Result<Support> {
    let run = ahead.run(&mut Follow::once(signals, moves), 1, 1)?;
    for (v, &c) in moves.iter_mut().zip(signals) {
        *v = run.trajectory.at(c, 0)[0];
    }
    Ok(run.support.first().copied().unwrap_or(Support::Outside))
}

/// Compares simulated plans with the controls without a plan.
struct Comparison<'a> {
    compiled: &'a Compiled,
    ahead: &'a Ahead<'a>,
    /// The simulation without a plan, see [`Reference`].
    kept: Simulated,
}

impl Comparison<'_> {
    /// Simulates the plan, and corrects the result for the differences between the effects of controls in the model and
    /// in the log, in the same way as for the cases of a scenario.
    fn run(&self, plan: &mut Follow) -> Result<Simulated> {
        let mut run = self.ahead.run(plan, self.kept.trajectory.steps, FUTURES)?;
        let effects = &self.ahead.plant.card.effects;
        let equations = &self.compiled.equations;
        effect::correct(&mut run.trajectory, &self.kept.trajectory, effects, equations, self.ahead.key());
        Ok(run)
    }
}

/// Returns the candidate with the lowest cost, and its simulation. Each candidate is simulated as the first move,
/// followed by the remaining moves of the plan.
fn cheapest(
    comparison: &Comparison<'_>,
    follow: &mut Follow,
    candidates: Vec<Vec<f64>>,
) -> Result<(Vec<f64>, Simulated)> {
    let mut best: Option<(f64, Vec<f64>, Simulated)> = None;
    for moves in candidates {
        follow.advised.clone_from(&moves);
        let run = comparison.run(follow)?;
        let cost = objectives(comparison.compiled, comparison.ahead, &run).iter().sum::<f64>();
        // Any finite cost is better than NaN.
        if best.as_ref().is_none_or(|(least, ..)| cost < *least || least.is_nan() && cost.is_finite()) {
            best = Some((cost, moves, run));
        }
    }
    best.map(|(_, moves, run)| (moves, run)).ok_or_else(|| {
        Error::Attention(
            "the planned move leaves the range in which the model can be trusted, so no move is advised \
             (`--allow-extrapolation` shows the move anyway)"
                .into(),
        )
    })
}

/// For each control, returns the most important KPI change that the move of this control causes if all other controls
/// move as advised.
fn effects_alone(
    comparison: &Comparison<'_>,
    follow: &mut Follow,
    planned: &Simulated,
    now: &[f64],
    kpis: &[KpiChange],
) -> Result<Vec<Option<KpiChange>>> {
    if let [_] = now {
        return Ok(vec![most_important(kpis)]);
    }
    let mut effects = Vec::with_capacity(now.len());
    for (index, value) in now.iter().enumerate() {
        follow.fixed = Some((index, *value));
        let without = comparison.run(follow)?;
        effects.push(most_important(&changes(comparison.compiled, comparison.ahead, planned, &without)));
    }
    Ok(effects)
}
