//! Runs one controller in closed loop with the twin.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::Gaps;
use super::delay::{Delay, Sight};
use super::missed_totals::missed_totals;
use super::plant::{Compiled, Plant};
use super::results::MissedTotal;
use crate::config::ForecastSpec;
use crate::control::mpc::{PlanGap, SkillHorizon};
use crate::control::{self, Clock, Context, Controller, ControllerSettings, Forecast, GateUse, GatedMpc, Mpc, Replay};
use crate::error::Result;
use crate::rng::Key;
use crate::simulate::{Run, Simulated, simulate};
use crate::trajectory::Trajectory;
use crate::twin::{Dynamics, RecordedTwin, Twin};
use crate::value::{Figures, Kpi, figures};

/// The plant under the conditions of one scenario, ready to be simulated with any controller.
pub struct ClosedLoop<'a> {
    pub plant: &'a Plant,
    pub twin: &'a Twin,
    pub compiled: &'a Compiled,
    /// The realised signals: `past` steps of history, followed by the steps of the run, for one particle.
    pub realised: &'a Arc<Trajectory>,
    pub past: usize,
    pub steps: usize,
    pub particles: usize,
    pub seed: u64,
    /// Clock for enforcing the time budget of plans. Without a clock, plans have no time limit.
    pub clock: Option<&'a Clock>,
    /// The plant's own controller, which sets the controls that MPC does not plan, or all controls if the model
    /// supports no move of MPC.
    pub own: &'a ControllerSettings,
    /// The twin with the recorded noise of the run; `None` if all noise is drawn.
    pub recorded: Option<&'a RecordedTwin<'a>>,
    /// The gaps of the log that the run leaves out.
    pub gaps: Option<&'a Gaps>,
}

/// The result of running one controller.
pub struct ClosedLoopRun {
    pub simulated: Simulated,
    pub skill_horizon: Option<SkillHorizon>,
    pub gate_use: Option<GateUse>,
    pub plan_gap: Option<PlanGap>,
    /// The mean value that plans assign to one unit in each store, as pairs (column, value).
    pub end_values: Vec<(usize, f64)>,
    /// Limits on totals that the run violates.
    pub missed_totals: Vec<MissedTotal>,
    /// Whether plans are long enough to cover the effects of their moves, and a clause that describes the effects after
    /// the end of a plan.
    pub sight: Option<(Sight, String)>,
}

impl<'a> ClosedLoop<'a> {
    /// Records the noise of the run: the errors of every particle in predicting the next step of the log.
    pub fn record(&self, stop: &dyn Fn() -> bool) -> Result<RecordedTwin<'a>> {
        let recorder = RecordedTwin::recorder(self.twin, self.realised, self.past);
        simulate(&self.run_of(&recorder, None), &mut Replay, stop)?;
        Ok(recorder.recorded())
    }
}

impl ClosedLoop<'_> {
    /// Runs `controller` for all particles. Every controller gets the same simulated futures.
    pub fn run(&self, controller: &ControllerSettings, stop: &dyn Fn() -> bool) -> Result<ClosedLoopRun> {
        let forecast = match controller {
            ControllerSettings::Mpc(mpc) => mpc.forecast,
            _ => None,
        };
        let context = Context {
            dynamics: self.twin,
            cross_fitted: true,
            ..self.plant.context(self.compiled, Some(self.seed), self.clock)?
        };
        let (tuned, delay) = match controller {
            ControllerSettings::Mpc(mpc) => {
                let tuned = self.plant.tuned((**mpc).clone(), self.compiled);
                let delay = self.plant.delay(&tuned, self.compiled);
                let horizon = tuned.horizon.map_or(1, |h| self.plant.steps(h));
                (&ControllerSettings::Mpc(Box::new(tuned)), delay.map(|delay| (delay, horizon)))
            }
            other => (other, None),
        };
        let mut controller: Box<dyn Controller> = match tuned {
            ControllerSettings::Mpc(settings) => {
                let own = match self.own {
                    ControllerSettings::Mpc(_) => &ControllerSettings::Replay,
                    own => own,
                };
                let own = control::build(own, &context)?;
                Box::new(GatedMpc::new(Mpc::build(settings, &context)?, own, context.dynamics))
            }
            other => control::build(other, &context)?,
        };
        let dynamics: &dyn Dynamics = self.recorded.map_or(self.twin, |recorded| recorded);
        let simulated = simulate(&self.run_of(dynamics, forecast), controller.as_mut(), stop)?;
        // The limits in the twin apply to all cases, not only to cases with MPC.
        let totals = match tuned {
            ControllerSettings::Mpc(mpc) => mpc.totals.clone(),
            _ if self.plant.spec.value.mpc.is_some() => self.plant.live(self.compiled)?.mpc.totals,
            _ => Vec::new(),
        };
        let zone = self.plant.spec.value.zone()?;
        let unknown = self.gaps.map_or(&[][..], Gaps::unknown);
        let missed_totals = missed_totals(&totals, &simulated.trajectory, unknown, &zone);
        let skill_horizon = controller.skill_horizon();
        let step = self.plant.spec.value.step.value;
        let sight = delay.and_then(|(delay, horizon): (Delay, usize)| {
            let horizon = skill_horizon.map_or(horizon, |skill| skill.reach);
            let text = delay.text(horizon, &self.plant.schema, step)?;
            let help = match &skill_horizon {
                Some(skill) => {
                    let signal = &self.plant.schema.signals[skill.signal].name;
                    format!("the horizon was shortened because the model has no skill for `{signal}` beyond it")
                }
                None => delay.help(step),
            };
            Some((delay.sight(horizon), format!("{text}; {help}")))
        });
        Ok(ClosedLoopRun {
            simulated,
            skill_horizon,
            gate_use: controller.gate_use(),
            plan_gap: controller.plan_gap(),
            end_values: controller.end_values(),
            missed_totals,
            sight,
        })
    }

    /// The start of the scenario.
    pub fn start(&self) -> Timestamp {
        self.gaps.map_or_else(|| self.realised.time(self.past), |gaps| gaps.start(self.past))
    }

    fn run_of<'a>(&'a self, dynamics: &'a dyn Dynamics, forecast: Option<ForecastSpec>) -> Run<'a> {
        let of_run = Forecast::new(&self.plant.spec.value, self.realised.clone(), self.past, forecast);
        Run {
            dynamics,
            realised: self.realised,
            past: self.past,
            steps: self.steps,
            particles: self.particles,
            key: Key::new(self.seed),
            forecast: match self.gaps {
                Some(gaps) => gaps.forecast(of_run),
                None => of_run,
            },
        }
    }
}

/// Computes the KPIs over `run`, which starts at row `past` of `realised`. A lag that reaches back before the run
/// refers to the history, which is the same for all particles.
pub fn run_figures(kpis: &[Kpi], run: &Trajectory, realised: &Trajectory, past: usize) -> Vec<Figures> {
    let (joined, period) = with_history(kpis, run, realised, past);
    figures(kpis, &joined, &[period])
}

/// Returns a trajectory that consists of the history that the KPIs read, followed by `run`, and the range of the steps
/// of `run` in this trajectory.
pub fn with_history(kpis: &[Kpi], run: &Trajectory, realised: &Trajectory, past: usize) -> (Trajectory, Range<usize>) {
    let depth = kpis.iter().map(Kpi::depth).max().unwrap_or(0).max(1).min(past);
    let (schema, steps) = (run.schema.clone(), depth + run.steps);
    let mut joined = Trajectory::empty(schema, realised.time(past - depth), run.step_ms, steps, run.particles);
    joined.copy_times(realised, past - depth);
    for (i, column) in joined.columns.iter_mut().enumerate() {
        let (before, during) = column.split_at_mut(depth * run.particles);
        for (k, row) in before.chunks_mut(run.particles.max(1)).enumerate() {
            row.fill(realised.at(i, past - depth + k)[0]);
        }
        during.copy_from_slice(&run.columns[i]);
    }
    (joined, depth..steps)
}
