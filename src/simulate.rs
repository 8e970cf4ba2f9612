//! The closed loop.

use std::sync::Arc;

use crate::control::{Control, Controller, Forecast, Observation, limited, since};
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::schema::{Role, Schema};
use crate::trajectory::{Frame, Trajectory, Window};
use crate::twin::{Batch, Dynamics, Support};

/// Steps of a run at which the support is asked for, at most, evenly spaced: neighbours hardly differ, and the share of a
/// long run that lies outside is known to a fraction of a percent from as many. Of many particles fewer steps are asked
/// for, down to the fewest, because a label costs as much as several steps.
const MOST_LABELED: usize = 500;
const FEWEST_LABELED: usize = 24;
/// Labels at most, unless the fewest steps have more.
const LABELS: usize = 100_000;

/// One case: a plant, what happens to it, and for how long.
pub struct Run<'a> {
    pub dynamics: &'a dyn Dynamics,
    /// `past` steps of history and then the run, 1 particle: disturbances and set-points as the scenario has them, the
    /// log's own controls.
    pub realised: &'a Arc<Trajectory>,
    pub past: usize,
    pub steps: usize,
    pub particles: usize,
    /// The same key gives every case the same noise (common random numbers).
    pub key: Key,
    /// What the controller is told.
    pub forecast: Forecast,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// All signals, `steps` × `particles`.
    pub trajectory: Trajectory,
    /// `[steps * particles]`, in the order of a trajectory's columns; between the steps at which it was asked for, the last.
    pub support: Vec<Support>,
    /// Steps in which a missing value of the log was replaced by the last known one: `[signals]`.
    pub held: Vec<usize>,
    /// Steps up to the start for which a state without a measurement was carried by the plant's own prediction:
    /// `[signals]`.
    pub carried: Vec<usize>,
}

/// Runs `controller` on the plant. In every step: the realised disturbances and set-points and the last step's states
/// make the frame, the controller acts on it, its controls are brought within their limits, the plant steps.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` says so; [`Error::Data`] when a value is missing before the run starts, and when a
/// state or control stops being finite.
pub fn simulate(run: &Run, controller: &mut dyn Controller, stop: &dyn Fn() -> bool) -> Result<Simulated> {
    let (schema, realised) = (run.dynamics.schema(), run.realised);
    let fits = realised.schema.len() == schema.len()
        && realised.particles == 1
        && realised.step_ms == run.dynamics.step_ms()
        && run.particles > 0
        && run.past < realised.steps
        && run.past + run.steps <= realised.steps;
    if !fits {
        return Err(Error::Internal("the realised signals do not fit the run".into()));
    }
    let first = realised.segments.iter().find(|s| s.contains(&run.past)).map_or(0, |s| s.start);
    let (inputs, held, carried) = carried_forward(run, first)?;
    // A completed frame is read at lag 1.
    let switching = schema.signals.iter().map(|s| s.switching.memory()).max().unwrap_or(0);
    let depth = run.dynamics.depth().max(controller.depth()).max(switching + 2);
    let window = Window::from_trajectory(&inputs, run.past, first, depth, run.particles);
    let mut batch = Batch::particles(window, run.dynamics.members(), run.key);
    run.dynamics.begin(&mut batch);

    let mut trajectory =
        Trajectory::empty(schema.clone(), realised.time(run.past), realised.step_ms, run.steps, run.particles);
    let mut support = Vec::with_capacity(run.steps * run.particles);
    let labeled = (LABELS / run.particles).clamp(FEWEST_LABELED, MOST_LABELED);
    let (mut labels, every) = (Vec::new(), run.steps.div_ceil(labeled).max(1));
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
                // Not known yet: the last known value stands in.
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
        for s in 0..schema.len() {
            trajectory.at_mut(s, t).copy_from_slice(batch.window.column(s, 1));
        }
    }
    Ok(Simulated { trajectory, support, held, carried })
}

/// The realised signals with missing states before the run carried by the plant's own prediction, and other missing values
/// replaced by the last known ones of their segment: inputs over the whole run, what the plant makes only up to the run's
/// start. Counts the replaced values inside the run, and the steps that states were carried for.
fn carried_forward(run: &Run, first: usize) -> Result<(Trajectory, Vec<usize>, Vec<usize>)> {
    let mut inputs = run.realised.as_ref().clone();
    let carried = run.dynamics.carry(&mut inputs, first, run.past)?;
    let mut held = vec![0; inputs.schema.len()];
    for (s, column) in inputs.columns.iter_mut().enumerate() {
        let given = matches!(run.realised.schema.signals[s].role, Role::Control | Role::Disturbance | Role::Setpoint);
        let end = if given { run.past + run.steps } else { run.past + 1 };
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

/// Every state must be finite at every step, and every input from the start.
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
                "`{name}` has no value at or before the start of the run ({time}); choose a start at which the log has one"
            )
        } else {
            format!(
                "state `{name}` is not finite at step {t} ({time}): the run left what the model can compute; \
                 keep the controls nearer to what the log has seen, or shorten the run"
            )
        }));
    }
    Ok(())
}

/// Writes the controller's controls into the current frame, within their limits.
fn apply(schema: &Schema, control: &Control, window: &mut Window, t: usize) -> Result<()> {
    for (&s, values) in control.signals.iter().zip(&control.values) {
        let signal = &schema.signals[s];
        for (row, wanted) in values.iter().enumerate() {
            let value = limited(signal, window.column(s, 1)[row], since(signal, s, window, row), *wanted);
            if !value.is_finite() {
                return Err(Error::Data(format!(
                    "the controller gives control `{}` no finite value at step {t} ({}); \
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
