//! Advice: the newest rows of the log in, the next set-points out, with what speaks for them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::past::predicted;
use super::support::{states_known, supported};
use crate::control::{self, Clock, Context, Control, Controller, Forecast, Mpc, Observation};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::scenario::{Compiled, Plant, figures_of};
use crate::schema::{Range, Role};
use crate::simulate::{Run, Simulated, simulate};
use crate::spec::TimeSpan;
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, Support};
use crate::value::{quantile, sorted_finite};

/// Futures in which the advice is compared with keeping the controls.
const FUTURES: usize = 40;
/// Share of a control's range that counts as no change, and as being at a limit.
const SAME: f64 = 1e-6;

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
    /// When to undo it: a state that is not within these bounds one step later.
    pub undo: Vec<Undo>,
}

/// One control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advised {
    pub tag: String,
    pub unit: String,
    pub now: f64,
    pub advised: f64,
    pub change: f64,
    /// What the next step may be, by limits, moves and what the log has seen; `null` where open.
    pub allowed: [Option<f64>; 2],
    pub reason: String,
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

/// The advised move, and then the rest of the plan whatever comes, or whoever plans anew.
struct Follow<'m> {
    signals: Vec<usize>,
    /// `[signals]`.
    advised: Vec<f64>,
    /// `[steps][signals]`.
    wishes: Vec<Vec<f64>>,
    /// A plan of levels is no list of moves: each future has its own orders.
    levels: Option<&'m mut (dyn Controller + 'm)>,
}

impl<'m> Follow<'m> {
    fn once(signals: &[usize], advised: &[f64]) -> Self {
        Self { signals: signals.to_vec(), advised: advised.to_vec(), wishes: Vec::new(), levels: None }
    }
}

impl Controller for Follow<'_> {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        self.levels.as_ref().map_or(1, |l| l.depth())
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        if let Some(levels) = &mut self.levels {
            levels.act(observation, control)?;
        }
        let wish = match observation.step {
            0 => Some(&self.advised),
            step => self.wishes.get(step).or(self.wishes.last()),
        };
        let Some(wish) = wish else { return Ok(()) };
        control.values.iter_mut().zip(wish).for_each(|(column, v)| column.fill(*v));
        Ok(())
    }
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
    fn new(plant: &'a Plant, horizon: usize, seed: u64, forecasts: Option<crate::spec::ForecastSpec>) -> Result<Self> {
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

/// The move to advise, `[signals]` of the plan, its support, and whether it is only a share of the plan's `wish`.
fn advisable(ahead: &Ahead, signals: &[usize], wish: Vec<f64>, extrapolate: bool) -> Result<(Vec<f64>, Support, bool)> {
    let judge = |moves: &mut [f64]| -> Result<Support> {
        let run = ahead.run(&mut Follow::once(signals, moves), 1, 1)?;
        for (v, &c) in moves.iter_mut().zip(signals) {
            *v = run.trajectory.at(c, 0)[0];
        }
        Ok(run.support.first().copied().unwrap_or(Support::Outside))
    };
    let now = |s: usize| ahead.realised.at(s, ahead.past)[0];
    let moves = if extrapolate {
        Some(wish.clone())
    } else {
        let known = states_known(&ahead.plant.twin, now);
        supported(signals.iter().map(|&c| now(c)).collect(), wish.clone(), known, judge)?
    };
    let Some(mut moves) = moves else {
        return Err(Error::Attention(
            "the advised move lies outside of what the model has seen, where it must not be trusted; nothing is advised \
             (`--allow-extrapolation` shows it all the same)"
                .into(),
        ));
    };
    let support = judge(&mut moves)?;
    let share = moves != wish;
    Ok((moves, support, share))
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
    let spec = plant.mpc();
    let context = Context {
        schema: &plant.schema,
        spec: &plant.spec.value,
        scope: &compiled.scope,
        dynamics: &plant.twin,
        objective: &compiled.objective,
        timezone: plant.zone()?,
        seed: seed.unwrap_or(plant.spec.value.model.seed.value),
        clock,
        file: &plant.spec.path,
        text: &plant.spec.text,
    };
    let mut mpc = Mpc::build(&spec, &context)?;
    let horizon = mpc.horizon();
    let ahead = Ahead::new(plant, horizon, context.seed, spec.forecast.as_ref().map(|f| f.value))?;
    let first = ahead.run(&mut mpc, 1, 1)?;
    if mpc.failures() > 0 {
        let cause = "no plan has a finite cost from the log's newest rows";
        return Err(Error::Attention(format!("{cause}; look for missing disturbances with `twinopt inspect`")));
    }
    let signals = mpc.signals().to_vec();
    let wish = signals.iter().map(|&c| first.trajectory.at(c, 0)[0]).collect();
    let (moves, support, share) = advisable(&ahead, &signals, wish, extrapolate)?;
    let wishes = (0..horizon).map_while(|h| mpc.wished(h).map(<[f64]>::to_vec)).collect();
    let levels: Option<&mut dyn Controller> = if spec.base_stock.is_empty() { None } else { Some(&mut mpc) };
    let mut follow = Follow { signals: signals.clone(), advised: moves.clone(), wishes, levels };
    let planned = ahead.run(&mut follow, horizon, FUTURES)?;
    let kept = ahead.run(&mut control::Replay, horizon, FUTURES)?;
    let kpis = changes(compiled, &ahead, &planned, &kept);
    let differences = objective(compiled, &ahead, &planned, &kept);
    let better = differences.iter().filter(|d| **d < 0.0).count();
    let within_log = spec.within_log();
    let reason = kpis.iter().find(|k| k.priced.is_some()).or(kpis.first());
    let controls = signals.iter().zip(moves).map(|(&c, value)| {
        let now = ahead.realised.at(c, ahead.past - 1)[0];
        let mut control = advised(plant, c, now, value, within_log, reason, &spec.horizon.value);
        if share {
            control.reason = format!("as much of the plan as the model has seen; {}", control.reason);
        }
        control
    });
    Ok(Advice {
        plant: plant.spec.value.name.value.clone(),
        version: plant.card.version.clone(),
        log_end: plant.log.time(plant.log.steps - 1).to_string(),
        from: ahead.time(0).to_string(),
        horizon: spec.horizon.value.to_string(),
        controls: controls.collect(),
        support,
        confidence: better as f64 / differences.len().max(1) as f64,
        objective_change: differences.iter().sum::<f64>() / differences.len().max(1) as f64,
        kpis,
        undo: undo(plant, &ahead, &planned),
    })
}

/// Objective per future, plan − keeping.
fn objective(compiled: &Compiled, ahead: &Ahead, planned: &Simulated, kept: &Simulated) -> Vec<f64> {
    let value = |run: &Simulated| {
        let figures = figures_of(&compiled.kpis, &run.trajectory, &ahead.realised, ahead.past);
        let values: Vec<Vec<f64>> = figures.into_iter().map(|f| f.values).collect();
        compiled.objective.value_of(&compiled.kpis, &values)
    };
    value(planned).iter().zip(value(kept)).map(|(a, b)| a - b).collect()
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

fn advised(
    plant: &Plant,
    control: usize,
    now: f64,
    value: f64,
    within_log: bool,
    kpi: Option<&KpiChange>,
    horizon: &TimeSpan,
) -> Advised {
    let signal = &plant.schema.signals[control];
    let seen = plant.twin.seen(control);
    let bounds = if within_log && seen.low <= seen.high {
        Range { low: signal.hard.clamp(seen.low), high: signal.hard.clamp(seen.high) }
    } else {
        signal.hard
    };
    let allowed =
        Range { low: bounds.low.max(now - signal.max_move.down), high: bounds.high.min(now + signal.max_move.up) };
    let width = if bounds.high - bounds.low > 0.0 { bounds.high - bounds.low } else { 1.0 };
    let near = |a: f64, b: f64| (a - b).abs() <= SAME * width.min(1e12);
    let binding = if near(value, now) {
        Some("no better value was found".to_owned())
    } else if near(now - value, signal.max_move.down) || near(value - now, signal.max_move.up) {
        let most = if value > now { signal.max_move.up } else { signal.max_move.down };
        Some(format!("as far as one step may move it ({most})"))
    } else if near(value, signal.hard.low) || near(value, signal.hard.high) {
        Some("at its hard limit".to_owned())
    } else if near(value, bounds.low) || near(value, bounds.high) {
        Some("at the edge of what the log has seen".to_owned())
    } else {
        None
    };
    let gain = kpi.map(|k| {
        let unit = if k.unit == "1" { String::new() } else { format!(" {}", k.unit) };
        format!("{} {:+.4}{unit} over {horizon}", k.name, k.change)
    });
    let reason = [binding, gain].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let open = |v: f64| v.is_finite().then_some(v);
    Advised {
        tag: signal.name.clone(),
        unit: signal.unit.text.clone(),
        now,
        advised: value,
        change: value - now,
        allowed: [open(allowed.low), open(allowed.high)],
        reason,
    }
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
    bounds.collect()
}
