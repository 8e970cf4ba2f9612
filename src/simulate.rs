//! Simulation of a controller and a plant in closed loop.

use std::sync::Arc;

use crate::control::{Control, Controller, Forecast, Observation, limited, since};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::schema::{Role, Schema};
use crate::trajectory::{Frame, Trajectory, Window};
use crate::twin::{Batch, Dynamics, Support};

/// Maximum number of steps of a run for which support labels are computed. Labels are computed at evenly spaced steps.
/// Computing a label takes as long as several simulation steps, and labels rarely change from one step to the next.
/// With 500 labels, the estimated fraction of a run outside the support is accurate to within a few per cent.
const MOST_LABELLED_STEPS: usize = 500;
/// Minimum number of steps with support labels, even if [`MOST_LABELS`] is exceeded (not tuned).
const FEWEST_LABELLED_STEPS: usize = 24;
/// Maximum number of labels: labelled steps × particles (not tuned). In runs with many particles, fewer steps are
/// labelled.
const MOST_LABELS: usize = 100_000;

/// A simulation run: the plant, its inputs and the length of the run.
pub struct Run<'a> {
    pub dynamics: &'a dyn Dynamics,
    /// Trajectory of one particle: `past` steps of history, followed by the steps of the run. The trajectory contains
    /// the disturbances and set-points of the scenario, and the logged controls. Steps in a gap of
    /// the log are omitted, so a run continues with the first step after the gap.
    pub realised: &'a Arc<Trajectory>,
    pub past: usize,
    pub steps: usize,
    pub particles: usize,
    /// Random key for the noise. Runs with the same key have the same noise (common random numbers).
    pub key: Key,
    /// The forecasts that the controller receives.
    pub forecast: Forecast,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The simulated values of all signals, for `steps` steps and `particles` particles.
    pub trajectory: Trajectory,
    /// Support labels, `[steps * particles]`, in the same order as the columns of a trajectory. Steps without a
    /// computed label repeat the previous label.
    pub support: Vec<Support>,
    /// Number of steps of the run at which a missing value was replaced by the last known value: `[signals]`.
    pub held: Vec<usize>,
    /// Number of consecutive steps, ending at the start of the run, at which a missing state was replaced by a
    /// prediction: `[signals]`.
    pub carried: Vec<usize>,
}

/// Runs `controller` on the plant. At the beginning of a step, the current frame contains the states, disturbances and
/// set-points. The controller computes the controls, the controls are clamped to their limits, and the plant is
/// simulated for one step.
///
/// # Errors
/// Returns [`Error::Interrupted`] if `stop` returns true. Returns [`Error::Data`] if a value is
/// missing at the start of the run, or if a state or a control later becomes infinite or NaN.
pub fn simulate(run: &Run, controller: &mut dyn Controller, stop: &dyn Fn() -> bool) -> Result<Simulated> {
    let (schema, realised) = (run.dynamics.schema(), run.realised);
    let fits = realised.schema.len() == schema.len()
        && realised.particles == 1
        && realised.step_ms == run.dynamics.step_ms()
        && run.particles > 0
        && run.past < realised.steps
        && run.past + run.steps <= realised.steps;
    if !fits {
        return Err(Error::Internal("the realised signals do not match the steps and signals of the run".into()));
    }
    let first = realised.segment_at(run.past).map_or(0, |s| s.start);
    let (inputs, held, carried) = carried_forward(run, first)?;
    // One more frame is needed, because completed frames are read at lag 1.
    let switching = schema.signals.iter().map(|s| s.switching.memory()).max().unwrap_or(0);
    let depth = run.dynamics.depth().max(controller.depth()).max(switching + 2);
    let window = Window::from_trajectory(&inputs, run.past, first, depth, run.particles);
    let mut batch = Batch::particles(window, run.dynamics.members(), run.key);
    run.dynamics.begin(&mut batch);

    let mut trajectory =
        Trajectory::empty(schema.clone(), realised.time(run.past), realised.step_ms, run.steps, run.particles);
    trajectory.copy_times(realised, run.past);
    let mut support = Vec::with_capacity(run.steps * run.particles);
    let labelled_steps = (MOST_LABELS / run.particles).clamp(FEWEST_LABELLED_STEPS, MOST_LABELLED_STEPS);
    let (mut labels, every) = (Vec::new(), run.steps.div_ceil(labelled_steps).max(1));
    let mut control = Control::new(controller.signals().to_vec(), run.particles);
    for t in 0..run.steps {
        if stop() {
            return Err(Error::Interrupted);
        }
        for (s, signal) in schema.signals.iter().enumerate() {
            match signal.role {
                Role::State => {}
                Role::Control | Role::Disturbance | Role::Setpoint => {
                    batch.window.column_mut(s, 0).fill(inputs.at(s, run.past + t)[0]);
                }
                // Outputs and derived signals of this step are not known yet, so their previous values are used.
                Role::Output | Role::Derived if t > 0 => {
                    batch.window.column_mut(s, 0).copy_from_slice(trajectory.at(s, t - 1));
                }
                Role::Output | Role::Derived if run.past > first => {
                    batch.window.column_mut(s, 0).fill(inputs.at(s, run.past - 1)[0]);
                }
                Role::Output | Role::Derived => {}
            }
        }
        run.dynamics.observe(&mut batch);
        check(schema, &batch.window, t)?;
        controller.act(&Observation { window: &batch.window, step: t, forecast: &run.forecast }, &mut control)?;
        apply(schema, &control, &mut batch.window, t)?;
        if t % every == 0 {
            labels = run.dynamics.support(&batch.window);
        }
        support.extend_from_slice(&labels);
        run.dynamics.step(&mut batch);
        let next = run.past + t + 1;
        if realised.segment_at(next).is_some_and(|s| s.start == next) {
            batch.window.set_time(realised.time(next));
        }
        for s in 0..schema.len() {
            trajectory.at_mut(s, t).copy_from_slice(batch.window.column(s, 1));
        }
    }
    Ok(Simulated { trajectory, support, held, carried })
}

/// Returns the realised signals with missing values replaced. States that are missing before the run are predicted with
/// `run.dynamics`. Other missing values are replaced by the last known value of the same signal.
/// Missing values of inputs are replaced over the whole run; missing values of other signals are
/// replaced only up to the start of the run. Also returns, for each signal, the number of values
/// replaced during the run by the last known value, and the number of consecutive values replaced
/// by predictions up to the start of the run.
fn carried_forward(run: &Run, first: usize) -> Result<(Trajectory, Vec<usize>, Vec<usize>)> {
    let mut inputs = run.realised.as_ref().clone();
    let carried = run.dynamics.carry(&mut inputs, first, run.past)?;
    let mut held = vec![0; inputs.schema.len()];
    for (s, column) in inputs.columns.iter_mut().enumerate() {
        let is_input =
            matches!(run.realised.schema.signals[s].role, Role::Control | Role::Disturbance | Role::Setpoint);
        let end = if is_input { run.past + run.steps } else { run.past + 1 };
        let mut last = f64::NAN;
        for (t, v) in column.iter_mut().enumerate().take(end).skip(first) {
            if v.is_finite() {
                last = *v;
            } else if last.is_finite() {
                *v = last;
                held[s] += usize::from(t >= run.past);
            }
        }
    }
    Ok((inputs, held, carried))
}

/// Checks that all states are finite. At the start of the run, also checks that controls and disturbances are finite.
fn check(schema: &Schema, window: &Window, t: usize) -> Result<()> {
    for (s, signal) in schema.signals.iter().enumerate() {
        let checked = match signal.role {
            Role::State => true,
            Role::Control | Role::Disturbance => t == 0,
            _ => false,
        };
        if !checked || window.column(s, 0).iter().all(|v| v.is_finite()) {
            continue;
        }
        let (name, time) = (&signal.name, window.time());
        return Err(Error::Data(if t == 0 {
            format!(
                "`{name}` has no value at or before the start of the run ({time}); \
                 choose a start at which `{name}` is logged"
            )
        } else {
            format!(
                "the simulation diverged: state `{name}` is not finite at step {t} ({time}); \
                 keep the controls closer to their logged range, or shorten the run"
            )
        }));
    }
    Ok(())
}

/// Writes the controls into the current frame, clamped to their limits.
fn apply(schema: &Schema, control: &Control, window: &mut Window, t: usize) -> Result<()> {
    for (&s, values) in control.signals.iter().zip(&control.values) {
        let signal = &schema.signals[s];
        for (row, requested) in values.iter().enumerate() {
            let value = limited(signal, window.column(s, 1)[row], since(signal, s, window, row), *requested);
            if !value.is_finite() {
                return Err(Error::Data(format!(
                    "the value computed by the controller for `{}` at step {t} ({}) is not finite; \
                     look for a missing set-point, a division by zero or a missing hard limit",
                    signal.name,
                    window.time()
                )));
            }
            window.column_mut(s, 0)[row] = value;
        }
    }
    Ok(())
}
