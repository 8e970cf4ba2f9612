//! Closed-loop tests, in which MPC plans with one model and controls a plant that is simulated by another model.

use std::ops::Range;
use std::sync::Arc;

use super::TuningInputs;
use super::pool::{HalfModel, ModelPool};
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

/// Minimum number of steps in a run (not tuned).
const MINIMUM_STEPS: usize = 60;
/// Minimum length of a run, in multiples of the horizon (not tuned).
const MINIMUM_HORIZONS: usize = 2;
/// Maximum number of segments in each half of the log that are used to compare settings (not tuned). This maximum also
/// applies to the number of segments that are used to test the chosen settings.
const RUNS: usize = 3;

/// A segment of the log on which MPC is simulated.
struct TestSegment {
    /// Logged signals of the run, preceded by `past` steps of history.
    realised: Arc<Trajectory>,
    past: usize,
    /// Index of the half of the log that contains the segment.
    half: usize,
    /// Value of each KPI over the logged segment.
    logged: Vec<f64>,
}

/// Selects the segments of the log on which MPC is simulated.
#[derive(Clone, Copy)]
pub enum Segments {
    /// Segments for comparing settings.
    Comparison,
    /// Segments for testing the chosen settings.
    Test,
}

pub struct ClosedLoopTests<'a> {
    inputs: &'a TuningInputs<'a>,
    pool: &'a ModelPool,
    pub steps: usize,
    comparison: Vec<TestSegment>,
    test: Vec<TestSegment>,
}

/// Results of the runs of one candidate.
#[derive(Default)]
pub struct LoopResults {
    /// Objective of each run; infinite if the run failed.
    pub objectives: Vec<f64>,
    /// `[runs][kpis]`.
    kpis: Vec<Vec<f64>>,
}

impl LoopResults {
    pub fn append(&mut self, mut more: Self) {
        self.objectives.append(&mut more.objectives);
        self.kpis.append(&mut more.kpis);
    }

    pub fn mean(&self) -> f64 {
        mean(&self.objectives)
    }
}

impl<'a> ClosedLoopTests<'a> {
    /// Selects the segments. Returns `None` if either half of the log does not contain enough
    /// sufficiently long segments.
    pub fn new(inputs: &'a TuningInputs<'a>, pool: &'a ModelPool, horizon: usize) -> Option<Self> {
        let steps = MINIMUM_STEPS.max(MINIMUM_HORIZONS * horizon);
        let mut segments = [Vec::new(), Vec::new()];
        let deepest = pool.models.iter().max_by_key(|p| p.twin.map.depth())?;
        for (half, rows) in pool.halves.iter().enumerate() {
            let found = starts(&deepest.twin.map, inputs.log, rows, steps, 2 * RUNS);
            let (mut end, mut number) = (0, 0);
            for s in found.iter().filter(|s| s.reach == steps) {
                // Segments do not overlap, so that the segments for testing are independent of the segments for
                // comparison.
                if s.row >= end {
                    segments[number % 2].push((number, test_segment(inputs, s.row, s.first, steps, half)));
                    (end, number) = (s.row + steps, number + 1);
                }
            }
        }
        // In each list, the segments alternate between the halves of the log, so that the first runs use both halves.
        let [comparison, test] = segments.map(|mut list| {
            list.sort_by_key(|(number, _)| *number);
            list.into_iter().map(|(_, segment)| segment).collect::<Vec<TestSegment>>()
        });
        let has_both_halves = |list: &Vec<TestSegment>| [0, 1].iter().all(|h| list.iter().any(|s| s.half == *h));
        (has_both_halves(&comparison) && has_both_halves(&test)).then_some(Self {
            inputs,
            pool,
            steps,
            comparison,
            test,
        })
    }

    /// Number of runs that are used to compare settings.
    pub fn runs(&self) -> usize {
        self.comparison.len()
    }

    fn segments(&self, segments: Segments) -> &[TestSegment] {
        match segments {
            Segments::Comparison => &self.comparison,
            Segments::Test => &self.test,
        }
    }

    /// Simulates MPC with `setting` in the runs with the indices `runs`, on the plants for the model family of
    /// `setting`.
    ///
    /// # Errors
    /// Returns the errors of [`Mpc::build`].
    pub fn run(&self, setting: &MpcSettings, runs: Range<usize>, segments: Segments) -> Result<LoopResults> {
        self.run_for(&setting.model, setting, runs, segments)
    }

    /// Same as [`ClosedLoopTests::run`], but with the plants that are used for `family`.
    ///
    /// # Errors
    /// Returns the errors of [`Mpc::build`].
    pub fn run_for(
        &self,
        family: &str,
        setting: &MpcSettings,
        runs: Range<usize>,
        segments: Segments,
    ) -> Result<LoopResults> {
        let mut results = LoopResults::default();
        let list = self.segments(segments).iter().enumerate();
        for (i, segment) in list.skip(runs.start).take(runs.len()) {
            // The controller's model was fitted to the half that does not contain the segment.
            let half = 1 - segment.half;
            let controller_model = self.pool.get(&setting.model, setting.lags, half);
            let plant_model = self.pool.plant_model(family, half);
            let kpis = match (controller_model, plant_model) {
                (Some(controller_model), Some(plant_model)) => {
                    self.run_once(setting, controller_model, plant_model, segment, i)?
                }
                _ => None,
            };
            let kpis = kpis.unwrap_or_else(|| vec![f64::NAN; self.inputs.compiled.kpis.len()]);
            results.objectives.push(self.objective(&kpis));
            results.kpis.push(kpis);
        }
        Ok(results)
    }

    fn objective(&self, kpis: &[f64]) -> f64 {
        let columns: Vec<Vec<f64>> = kpis.iter().map(|v| vec![*v]).collect();
        let compiled = self.inputs.compiled;
        let value = compiled.objective.value_of(&compiled.kpis, &columns)[0];
        if value.is_finite() { value } else { f64::INFINITY }
    }

    /// Simulates one run and returns its KPIs, or `None` if the simulation diverged.
    fn run_once(
        &self,
        setting: &MpcSettings,
        controller_model: &HalfModel,
        plant_model: &HalfModel,
        segment: &TestSegment,
        number: usize,
    ) -> Result<Option<Vec<f64>>> {
        let TuningInputs { schema, spec, compiled, timezone, model, .. } = *self.inputs;
        let mpc = with_settings(self.inputs, setting);
        let context = Context {
            schema,
            dynamics: &controller_model.twin,
            objective: &compiled.objective,
            kpis: &compiled.kpis,
            terminal_cost: self.pool.terminal_costs[controller_model.half].as_ref(),
            timezone: timezone.clone(),
            seed: model.seed.value,
            clock: None,
            cross_fitted: false,
        };
        let TestSegment { realised, past, .. } = segment;
        let run = Run {
            dynamics: &plant_model.twin,
            realised,
            past: *past,
            steps: self.steps,
            particles: 1,
            // The noise of a run is the same for all settings (common random numbers).
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

    /// Mean objective of the logged operation over the segments.
    pub fn logged(&self, segments: Segments) -> f64 {
        mean(&self.segments(segments).iter().map(|s| self.objective(&s.logged)).collect::<Vec<_>>())
    }

    /// Returns the means of every KPI over the test segments, for the logged operation and for the closed-loop runs in
    /// `results`.
    pub fn expected(&self, results: &LoopResults) -> Vec<ExpectedKpi> {
        let kpis = self.inputs.compiled.kpis.iter().enumerate();
        let expected = |(k, kpi): (usize, &Kpi)| ExpectedKpi {
            kpi: kpi.name.clone(),
            logged: mean(&self.test.iter().map(|s| s.logged[k]).collect::<Vec<_>>()),
            planned: mean(&results.kpis.iter().map(|v| v[k]).collect::<Vec<_>>()),
        };
        kpis.map(expected).collect()
    }
}

/// The settings in the twin's `[mpc]` table, overridden by the values of `setting`.
fn with_settings(inputs: &TuningInputs, setting: &MpcSettings) -> ResolvedMpc {
    ResolvedMpc {
        horizon: Some(TimeSpan::from_steps(setting.horizon, inputs.log.step_ms)),
        moves: Some(setting.moves),
        correction: Some(setting.correction),
        replan: Some(TimeSpan::from_steps(setting.replan, inputs.log.step_ms)),
        cost_to_go: Some(setting.cost_to_go),
        budget: None,
        ..inputs.mpc.clone()
    }
}

fn test_segment(inputs: &TuningInputs, row: usize, first: usize, steps: usize, half: usize) -> TestSegment {
    let Range { start, end } = first.max(row.saturating_sub(HISTORY))..row + steps;
    let realised = inputs.log.part(start..end);
    let (past, run) = (row - start, realised.part(row - start..end - start));
    let logged = run_figures(&inputs.compiled.kpis, &run, &realised, past).iter().map(|f| f.values[0]).collect();
    TestSegment { realised: Arc::new(realised), past, half, logged }
}
