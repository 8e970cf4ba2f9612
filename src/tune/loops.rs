//! Closed loops: one player plans, another is the plant.

use std::ops::Range;
use std::sync::Arc;

use super::TuningInputs;
use super::pool::{ModelPool, PoolModel};
use crate::config::TimeSpan;
use crate::control::mpc::{ExpectedKpi, MpcSettings, ResolvedMpc};
use crate::control::{Context, Forecast, Mpc};
use crate::error::{Error, Result};
use crate::learn::starts;
use crate::rng::Key;
use crate::scenario::{HISTORY, run_figures};
use crate::simulate::{Run, simulate};
use crate::stats::mean;
use crate::trajectory::Trajectory;
use crate::value::Kpi;

/// Steps of a run, at least, and in horizons.
const STEPS: usize = 60;
/// Runs per half from which settings are chosen, and others on which the chosen one is tested.
const RUNS: usize = 3;

/// A stretch of the log on which settings are tried.
struct Stretch {
    /// Of the log, with a past before the run.
    realised: Arc<Trajectory>,
    past: usize,
    /// Half of the log that it lies in.
    half: usize,
    /// KPIs as they were logged.
    logged: Vec<f64>,
}

/// Where settings are tried.
pub struct Loops<'a> {
    ground: &'a TuningInputs<'a>,
    players: &'a ModelPool,
    pub steps: usize,
    /// To choose by, and to test the choice.
    stretches: [Vec<Stretch>; 2],
}

/// What came of a setting, in the runs that were made so far.
#[derive(Default)]
pub struct Outcome {
    /// Objective of each run; infinite where it could not be made.
    pub objectives: Vec<f64>,
    /// `[runs][kpis]`.
    kpis: Vec<Vec<f64>>,
}

impl Outcome {
    pub fn append(&mut self, mut more: Self) {
        self.objectives.append(&mut more.objectives);
        self.kpis.append(&mut more.kpis);
    }

    pub fn mean(&self) -> f64 {
        mean(&self.objectives)
    }
}

impl<'a> Loops<'a> {
    /// `None` when a half has no stretch that is long enough.
    pub fn new(ground: &'a TuningInputs<'a>, players: &'a ModelPool, horizon: usize) -> Option<Self> {
        let steps = STEPS.max(2 * horizon);
        let mut stretches = [Vec::new(), Vec::new()];
        let deepest = players.list.iter().max_by_key(|p| p.twin.map.depth())?;
        for (half, rows) in players.halves.iter().enumerate() {
            let found = starts(&deepest.twin.map, ground.log, rows, steps, 2 * RUNS);
            let (mut end, mut number) = (0, 0);
            for s in found.iter().filter(|s| s.reach == steps) {
                // runs to test by share no row with those to choose by
                if s.row >= end {
                    stretches[number % 2].push((number, stretch(ground, s.row, s.first, steps, half)));
                    (end, number) = (s.row + steps, number + 1);
                }
            }
        }
        // either half from the first runs on
        let stretches = stretches.map(|mut list| {
            list.sort_by_key(|(number, _)| *number);
            list.into_iter().map(|(_, stretch)| stretch).collect::<Vec<Stretch>>()
        });
        let both = |list: &Vec<Stretch>| [0, 1].iter().all(|h| list.iter().any(|s| s.half == *h));
        stretches.iter().all(both).then_some(Self { ground, players, steps, stretches })
    }

    /// Number of runs by which settings are chosen.
    pub fn runs(&self) -> usize {
        self.stretches[0].len()
    }

    /// Runs `setting`, on the plant that its own family plans for, on those stretches to choose by, or (`test`) on those
    /// others.
    ///
    /// # Errors
    /// Faults of the `[mpc]` table.
    pub fn run(&self, setting: &MpcSettings, runs: Range<usize>, test: bool) -> Result<Outcome> {
        self.run_for(&setting.model, setting, runs, test)
    }

    /// Runs `setting` on the plant that `family` plans for, on the stretches as for [`Loops::run`].
    ///
    /// # Errors
    /// Faults of the `[mpc]` table.
    pub fn run_for(&self, family: &str, setting: &MpcSettings, runs: Range<usize>, test: bool) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let list = self.stretches[usize::from(test)].iter().enumerate();
        for (i, stretch) in list.skip(runs.start).take(runs.len()) {
            // who plans was fitted to the other half
            let half = 1 - stretch.half;
            let planner = self.players.get(&setting.model, setting.lags, half);
            let plant_model = self.players.plant_model(family, half);
            let kpis = match (planner, plant_model) {
                (Some(planner), Some(plant_model)) => self.one(setting, (planner, plant_model), stretch, i)?,
                _ => None,
            };
            let nothing = || vec![f64::NAN; self.ground.compiled.kpis.len()];
            let kpis = kpis.unwrap_or_else(nothing);
            outcome.objectives.push(self.objective(&kpis));
            outcome.kpis.push(kpis);
        }
        Ok(outcome)
    }

    fn objective(&self, kpis: &[f64]) -> f64 {
        let columns: Vec<Vec<f64>> = kpis.iter().map(|v| vec![*v]).collect();
        let compiled = self.ground.compiled;
        let value = compiled.objective.value_of(&compiled.kpis, &columns)[0];
        if value.is_finite() { value } else { f64::INFINITY }
    }

    /// KPIs of one run; `None` when it left what the models can compute.
    fn one(
        &self,
        setting: &MpcSettings,
        (planner, plant_model): (&PoolModel, &PoolModel),
        stretch: &Stretch,
        number: usize,
    ) -> Result<Option<Vec<f64>>> {
        let TuningInputs { schema, spec, compiled, timezone, model, .. } = *self.ground;
        let mpc = planned(self.ground, setting);
        let context = Context {
            schema,
            dynamics: &planner.twin,
            objective: &compiled.objective,
            kpis: &compiled.kpis,
            terminal_cost: self.players.terminal_cost[planner.half].as_ref(),
            timezone: timezone.clone(),
            seed: model.seed.value,
            clock: None,
            rescored: false,
        };
        let Stretch { realised, past, .. } = stretch;
        let run = Run {
            dynamics: &plant_model.twin,
            realised,
            past: *past,
            steps: self.steps,
            particles: 1,
            // every setting meets the same noise
            key: Key::new(model.seed.value).fold(0x7475_6E65).fold(number as u64),
            forecast: Forecast::new(spec, realised.clone(), *past, mpc.forecast),
        };
        let mut controller = Mpc::build(&mpc, &context)?;
        match simulate(&run, &mut controller, &|| false) {
            Ok(done) => {
                let figures = run_figures(&compiled.kpis, &done.trajectory, realised, *past);
                Ok(Some(figures.iter().map(|f| f.values[0]).collect()))
            }
            Err(Error::Data(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Mean objective of the log over the stretches, as for [`Loops::run`].
    pub fn logged(&self, test: bool) -> f64 {
        mean(&self.stretches[usize::from(test)].iter().map(|s| self.objective(&s.logged)).collect::<Vec<_>>())
    }

    /// Means of every KPI over the test stretches: as logged, and of `outcome`.
    pub fn expected(&self, outcome: &Outcome) -> Vec<ExpectedKpi> {
        let kpis = self.ground.compiled.kpis.iter().enumerate();
        let expected = |(k, kpi): (usize, &Kpi)| ExpectedKpi {
            kpi: kpi.name.clone(),
            logged: mean(&self.stretches[1].iter().map(|s| s.logged[k]).collect::<Vec<_>>()),
            planned: mean(&outcome.kpis.iter().map(|v| v[k]).collect::<Vec<_>>()),
        };
        kpis.map(expected).collect()
    }
}

/// The twin's `[mpc]` table with what `setting` says.
fn planned(ground: &TuningInputs, setting: &MpcSettings) -> ResolvedMpc {
    ResolvedMpc {
        horizon: Some(TimeSpan::of_steps(setting.horizon, ground.log.step_ms)),
        moves: Some(setting.moves),
        correction: Some(setting.correction),
        replan: Some(TimeSpan::of_steps(setting.replan, ground.log.step_ms)),
        cost_to_go: Some(setting.cost_to_go),
        budget: None,
        ..ground.mpc.clone()
    }
}

fn stretch(ground: &TuningInputs, row: usize, first: usize, steps: usize, half: usize) -> Stretch {
    let Range { start, end } = first.max(row.saturating_sub(HISTORY))..row + steps;
    let realised = ground.log.part(start..end);
    let (past, run) = (row - start, realised.part(row - start..end - start));
    let logged = run_figures(&ground.compiled.kpis, &run, &realised, past).iter().map(|f| f.values[0]).collect();
    Stretch { realised: Arc::new(realised), past, half, logged }
}
