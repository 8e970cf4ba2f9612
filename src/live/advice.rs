//! Advice: the newest rows of the log in, the next set-points out, with what speaks for them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::follow::Follow;
use super::newest::doubts;
use super::past::predicted;
use super::reason::{Advised, advised};
use super::support::{states_known, supported};
use crate::config::TimeSpan;
use crate::control::{self, Clock, Context, Controller, Forecast, Mpc};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::scenario::{Compiled, Plant, figures_of};
use crate::schema::Role;
use crate::simulate::{Run, Simulated, simulate};
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Support};
use crate::value::{quantile, sorted_finite};

/// Futures in which the advice is compared with keeping the controls.
const FUTURES: usize = 40;
/// The next set-points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    pub plant: String,
    /// Of the model.
    pub version: String,
    /// Start of the newest row's step, and when the advised step begins; UTC.
    pub log_end: String,
    pub from: String,
    /// How far the plan looks.
    pub horizon: String,
    pub controls: Vec<Advised>,
    pub support: Support,
    /// Share of futures in which following the plan is better than keeping the controls.
    pub confidence: f64,
    /// Objective over the horizon, plan − keeping: mean over futures.
    pub objective_change: f64,
    /// Over the horizon, the one that weighs most first.
    pub kpis: Vec<KpiChange>,
    /// When to undo it: a state that is not within these bounds one step later; of states that could be otherwise.
    pub undo: Vec<Undo>,
    /// Why the advice may be worth nothing.
    pub warnings: Vec<String>,
}

/// What a KPI changes by over the horizon against keeping the controls, mean over futures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiChange {
    pub name: String,
    pub unit: String,
    pub change: f64,
    /// In the objective, where it has a price.
    pub priced: Option<f64>,
}

/// 5 % and 95 % of a state over futures, at `at`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undo {
    pub tag: String,
    pub unit: String,
    pub low: f64,
    pub high: f64,
    /// UTC.
    pub at: String,
}

/// The step after the log's newest row, and the horizon from there.
struct Ahead<'a> {
    plant: &'a Plant,
    /// The log, then the present step with predicted states, then forecasts; the controls stay.
    realised: Arc<Trajectory>,
    /// Row of the present step.
    past: usize,
    forecast: Forecast,
    key: Key,
}

impl<'a> Ahead<'a> {
    fn new(
        plant: &'a Plant,
        horizon: usize,
        seed: u64,
        forecasts: Option<crate::config::ForecastSpec>,
    ) -> Result<Self> {
        let (twin, log) = (&plant.twin, &plant.log);
        if log.steps < 2 {
            return Err(Error::Data("the log has fewer than two rows; there is nothing to advise from".into()));
        }
        let (row, mut known) = plant.slice(log.steps - 1, 1);
        let first = known.segments.iter().find(|s| s.contains(&row)).map_or(row, |s| s.start);
        twin.carry(&mut known, first, row)?;
        let forecast = Forecast::new(&plant.spec.value, Arc::new(known.clone()), row, forecasts);
        let steps = row + 1 + horizon;
        let mut t = Trajectory::empty(plant.schema.clone(), known.start, known.step_ms, steps, 1);
        t.segments = vec![first..steps];
        let next = predicted(twin, &known, first, row);
        for (s, (to, from)) in t.columns.iter_mut().zip(&known.columns).enumerate() {
            to[..=row].copy_from_slice(from);
            match plant.schema.signals[s].role {
                Role::State => to[row + 1] = next[s],
                Role::Control => {
                    let last = from.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN);
                    to[row] = if to[row].is_finite() { to[row] } else { last };
                    to[row + 1..].fill(last);
                }
                _ => {}
            }
        }
        for i in 0..forecast.signals.len() {
            forecast.fill(i, 0, &mut t.columns[forecast.signals[i].0][row + 1..]);
        }
        let realised = Arc::new(t);
        let forecast = Forecast::new(&plant.spec.value, realised.clone(), row + 1, forecasts);
        Ok(Self { plant, realised, past: row + 1, forecast, key: Key::new(seed) })
    }

    fn run(&self, controller: &mut dyn Controller, steps: usize, particles: usize) -> Result<Simulated> {
        let run = Run {
            dynamics: &self.plant.twin,
            realised: &self.realised,
            past: self.past,
            steps,
            particles,
            key: self.key,
            forecast: self.forecast.clone(),
        };
        simulate(&run, controller, &|| false)
    }

    fn time(&self, ahead: usize) -> Timestamp {
        self.realised.time(self.past + ahead)
    }
}

/// The moves that may be advised, `[signals]` of the plan each: the plan's `wish`, or what the support leaves of it.
fn advisable(ahead: &Ahead, signals: &[usize], wish: Vec<f64>, extrapolate: bool) -> Result<Vec<Vec<f64>>> {
    if extrapolate {
        return Ok(vec![wish]);
    }
    let now = |s: usize| ahead.realised.at(s, ahead.past)[0];
    let known = states_known(&ahead.plant.twin, now);
    let usual = signals.iter().map(|&c| now(c)).collect();
    supported(usual, Vec::new(), wish, known, |moves| judge(ahead, signals, moves))
}

/// Brings `moves` of `signals` within their limits: their support.
fn judge(ahead: &Ahead, signals: &[usize], moves: &mut [f64]) -> Result<Support> {
    let run = ahead.run(&mut Follow::once(signals, moves), 1, 1)?;
    for (v, &c) in moves.iter_mut().zip(signals) {
        *v = run.trajectory.at(c, 0)[0];
    }
    Ok(run.support.first().copied().unwrap_or(Support::Outside))
}

/// Advises on the step after the newest row of the plant's log; by `clock` the plan keeps its budget.
///
/// # Errors
/// [`Error::Data`] when a state has been missing for too long, [`Error::Attention`] when no plan has a finite cost, or its
/// first move leaves the support, as in the live loop, and `extrapolate` is not set; [`Error::Config`] for `[mpc]` settings that cannot be.
pub fn advise(
    plant: &Plant,
    compiled: &Compiled,
    seed: Option<u64>,
    extrapolate: bool,
    clock: Option<&Clock>,
) -> Result<Advice> {
    let spec = plant.mpc(&compiled.objective);
    let context = Context {
        schema: &plant.schema,
        spec: &plant.spec.value,
        scope: &compiled.scope,
        dynamics: &plant.twin,
        objective: &compiled.objective,
        kpis: &compiled.kpis,
        terminal_cost: plant.terminal_cost(),
        timezone: plant.spec.value.zone()?,
        seed: seed.unwrap_or(plant.spec.value.model.seed.value),
        clock,
        rescored: false,
        file: &plant.spec.path,
        text: &plant.spec.text,
    };
    let mut mpc = Mpc::build(&spec, &context)?;
    // what a plan counts behind its end is judged, too
    let behind =
        plant.terminal_cost().filter(|_| spec.cost_to_go.as_ref().is_some_and(|c| c.value)).map_or(0, |t| t.steps);
    let (horizon, step) = (mpc.horizon() + behind, plant.spec.value.step.value);
    let cut = mpc.skill_horizon().map(|cut| cut.text(&plant.schema, step));
    let span = TimeSpan::of_steps(horizon, plant.log.step_ms);
    let ahead = Ahead::new(plant, horizon, context.seed, spec.forecast.as_ref().map(|f| f.value))?;
    let first = ahead.run(&mut mpc, 1, 1)?;
    if mpc.failures() > 0 {
        let cause = "no plan has a finite cost from the log's newest rows";
        return Err(Error::Attention(format!("{cause}; look for missing disturbances with `twinopt inspect`")));
    }
    let signals = mpc.signals().to_vec();
    let wish: Vec<f64> = signals.iter().map(|&c| first.trajectory.at(c, 0)[0]).collect();
    let wishes = (0..horizon).map_while(|h| mpc.wished(h).map(<[f64]>::to_vec)).collect();
    let levels: Option<&mut dyn Controller> = if spec.base_stock.is_empty() { None } else { Some(&mut mpc) };
    let mut follow = Follow { signals: signals.clone(), advised: wish.clone(), wishes, levels, stays: None };
    let mut best: Option<(f64, Vec<f64>, Simulated)> = None;
    for moves in advisable(&ahead, &signals, wish.clone(), extrapolate)? {
        follow.advised.clone_from(&moves);
        let run = ahead.run(&mut follow, horizon, FUTURES)?;
        let cost = objectives(compiled, &ahead, &run).iter().sum::<f64>();
        // a plan that cannot be computed is worth less than one that can
        if best.as_ref().is_none_or(|(least, ..)| cost < *least || least.is_nan() && cost.is_finite()) {
            best = Some((cost, moves, run));
        }
    }
    let Some((_, mut moves, planned)) = best else {
        return Err(Error::Attention(
            "the advised move lies outside of what the model has seen, where it must not be trusted; nothing is advised \
             (`--allow-extrapolation` shows it all the same)"
                .into(),
        ));
    };
    follow.advised.clone_from(&moves);
    let support = judge(&ahead, &signals, &mut moves)?;
    let kept = ahead.run(&mut control::Replay, horizon, FUTURES)?;
    let kpis = changes(compiled, &ahead, &planned, &kept);
    let now: Vec<f64> = signals.iter().map(|&c| ahead.realised.at(c, ahead.past - 1)[0]).collect();
    let mut alone = Vec::with_capacity(signals.len());
    for (number, value) in now.iter().enumerate() {
        alone.push(if signals.len() == 1 {
            first_of(&kpis)
        } else {
            follow.stays = Some((number, *value));
            let without = ahead.run(&mut follow, horizon, FUTURES)?;
            first_of(&changes(compiled, &ahead, &planned, &without))
        });
    }
    let pairs = objectives(compiled, &ahead, &planned).into_iter().zip(objectives(compiled, &ahead, &kept));
    let differences: Vec<f64> = pairs.map(|(planned, kept)| planned - kept).collect();
    let better = differences.iter().filter(|d| **d < 0.0).count();
    let within_log = spec.within_log();
    let moved = signals.iter().zip(moves.into_iter().zip(wish));
    let controls = moved.zip(now.into_iter().zip(alone)).map(|((&c, (value, wish)), (now, alone))| {
        let mut control = advised(plant, c, now, value, within_log, alone, &span);
        if value != wish {
            control.reason = format!("as much of the plan as the model has seen; {}", control.reason);
        }
        control
    });
    Ok(Advice {
        plant: plant.spec.value.name.value.clone(),
        version: plant.card.version.clone(),
        log_end: plant.log.time(plant.log.steps - 1).to_string(),
        from: ahead.time(0).to_string(),
        horizon: span.to_string(),
        controls: controls.collect(),
        support,
        confidence: better as f64 / differences.len().max(1) as f64,
        objective_change: differences.iter().sum::<f64>() / differences.len().max(1) as f64,
        kpis,
        undo: undo(plant, &ahead, &planned),
        warnings: plant.warning().into_iter().chain(cut).chain(doubts(plant)).collect(),
    })
}

/// The KPI that weighs most, of those that change.
fn first_of(kpis: &[KpiChange]) -> Option<KpiChange> {
    kpis.iter().find(|k| k.priced.is_some()).or(kpis.first()).filter(|k| k.change != 0.0).cloned()
}

/// Objective per future.
fn objectives(compiled: &Compiled, ahead: &Ahead, run: &Simulated) -> Vec<f64> {
    let figures = figures_of(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
    let values: Vec<Vec<f64>> = figures.into_iter().map(|f| f.values).collect();
    compiled.objective.value_of(&compiled.kpis, &values)
}

fn changes(compiled: &Compiled, ahead: &Ahead, planned: &Simulated, kept: &Simulated) -> Vec<KpiChange> {
    let value = |run: &Simulated| figures_of(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
    let (planned, kept) = (value(planned), value(kept));
    let mut list: Vec<KpiChange> = Vec::new();
    for ((kpi, a), b) in compiled.kpis.iter().zip(&planned).zip(&kept) {
        let differences: Vec<f64> =
            a.values.iter().zip(&b.values).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
        if differences.is_empty() {
            continue;
        }
        let change = differences.iter().sum::<f64>() / differences.len() as f64;
        let price = compiled.objective.terms.iter().find(|(k, _)| k.name == kpi.name).map(|(_, price)| price);
        let priced = price.map(|p| p * change);
        list.push(KpiChange { name: kpi.name.clone(), unit: kpi.unit.text.clone(), change, priced });
    }
    list.sort_by(|a, b| b.priced.unwrap_or(0.0).abs().total_cmp(&a.priced.unwrap_or(0.0).abs()));
    list
}

/// Bounds of the states after the first step of the plan.
fn undo(plant: &Plant, ahead: &Ahead, planned: &Simulated) -> Vec<Undo> {
    let step = 1.min(planned.trajectory.steps.saturating_sub(1));
    let states = plant.schema.with_role(Role::State).into_iter().filter(|_| step > 0);
    let bounds = states.map(|s| {
        let sorted = sorted_finite(planned.trajectory.at(s, step));
        let signal = &plant.schema.signals[s];
        let (low, high) = (quantile(&sorted, 0.05), quantile(&sorted, 0.95));
        let at = ahead.time(step).to_string();
        Undo { tag: signal.name.clone(), unit: signal.unit.text.clone(), low, high, at }
    });
    // what follows from known equations alone has no bounds to be within
    bounds.filter(|u| u.low < u.high).collect()
}
