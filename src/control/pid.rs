//! PID loops.

use super::{Control, Controller, Observation};
use crate::config::{At, PidLoop, Reference};
use crate::error::Result;
use crate::resolve::{Faults, Names};
use crate::schema::{Bounds, Role, Schema};
use crate::trajectory::Frame;

/// Roles of the signals that a PID loop can measure.
const MEASURED: [Role; 4] = [Role::State, Role::Output, Role::Disturbance, Role::Derived];
/// Roles of the signals that can be the set-point of a PID loop.
const SETPOINTS: [Role; 6] =
    [Role::Setpoint, Role::State, Role::Output, Role::Disturbance, Role::Derived, Role::Control];

#[derive(Debug, Clone)]
pub struct PidSettings {
    control: usize,
    measurement: usize,
    setpoint: Setpoint,
    kp: f64,
    /// Integral time in seconds; infinite if there is no integral action.
    ti: f64,
    /// Derivative time in seconds; 0 if there is no derivative action.
    td: f64,
    bias: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Setpoint {
    Value(f64),
    /// A signal; `factor * v + offset` converts its value v to the unit of the measurement.
    Signal {
        signal: usize,
        factor: f64,
        offset: f64,
    },
}

impl PidSettings {
    pub(super) fn resolve(faults: &mut Faults<'_>, names: &Names<'_>, owner: &str, spec: &PidLoop) -> Option<Self> {
        let control = names.control(faults, &spec.control, &spec.control.span);
        let name = &spec.measurement;
        let measurement = names.expect(faults, name, &name.span, &MEASURED, "a measured signal").map(|s| &s.name.value);
        let setpoint = setpoint(faults, names, owner, &spec.setpoint, measurement);
        if *spec.kp == 0.0 {
            let message = format!("{owner}: a loop with `kp = 0` does nothing");
            let help = "specify `kp` in control units per measurement unit; use a negative `kp` if raising the control \
                        lowers the measurement";
            faults.add("out-of-range", &spec.kp.span, message, help);
        }
        for (key, time) in [("ti", &spec.ti), ("td", &spec.td)] {
            if let Some(time) = time.as_ref().filter(|t| t.ms() <= 0) {
                let message = format!("{owner}: `{key}` must be longer than 0");
                let help = format!("remove `{key}`, or write e.g. `{key} = \"30min\"`");
                faults.add("out-of-range", &time.span, message, help);
            }
        }
        Some(Self {
            control: control?,
            measurement: names.column(measurement?)?,
            setpoint: setpoint?,
            kp: spec.kp.value,
            ti: spec.ti.as_ref().map_or(f64::INFINITY, |t| t.seconds()),
            td: spec.td.as_ref().map_or(0.0, |t| t.seconds()),
            bias: spec.bias.as_ref().map(|b| b.value),
        })
    }
}

fn setpoint(
    faults: &mut Faults<'_>,
    names: &Names<'_>,
    owner: &str,
    reference: &At<Reference>,
    measurement: Option<&String>,
) -> Option<Setpoint> {
    let name = match &reference.value {
        Reference::Value(v) => return Some(Setpoint::Value(*v)),
        Reference::Signal(name) => name,
    };
    names.expect(faults, name, &reference.span, &SETPOINTS, "a number or a signal")?;
    let (from, to) = (names.unit(name)?, names.unit(measurement?)?);
    match from.conversion(to) {
        Ok((factor, offset)) => Some(Setpoint::Signal { signal: names.column(name)?, factor, offset }),
        Err(_) => {
            let message =
                format!("{owner}: set-point `{name}` is in `{}`, but the measurement is in `{}`", from.text, to.text);
            faults.add("unit-mismatch", &reference.span, message, "use a set-point of the same physical quantity");
            None
        }
    }
}

/// A PID controller: u = bias + kp·(e + ∫e dt/ti + td·de/dt) with e = set-point − measurement, clamped to the hard
/// limits.
///
/// The controller has the ideal form. Each particle has its own controller state. The integral is
/// frozen while the control is at a limit and the error would push the control beyond this limit
/// (anti-windup by clamping). If `bias` is not given, the bias is the value of the control before
/// the run, so only the proportional term can cause a jump at the start. Outputs are measured with
/// a delay of one step, because their values at the current step are not known yet.
#[derive(Debug, Clone)]
pub struct Pid {
    signals: Vec<usize>,
    loops: Vec<Loop>,
}

#[derive(Debug, Clone)]
struct Loop {
    settings: PidSettings,
    hard: Bounds,
    /// Controller state of each particle; empty before the first step.
    particles: Vec<Particle>,
}

#[derive(Debug, Clone, Copy)]
struct Particle {
    bias: f64,
    /// ∫e dt / ti, in the unit of the measurement.
    integral: f64,
    error: f64,
}

impl Pid {
    pub(super) fn new(settings: &[PidSettings], schema: &Schema) -> Self {
        let signals = settings.iter().map(|s| s.control).collect();
        let loops = settings.iter().map(|s| Loop {
            settings: s.clone(),
            hard: schema.signals[s.control].hard,
            particles: Vec::new(),
        });
        Self { signals, loops: loops.collect() }
    }
}

impl Loop {
    fn act(&mut self, observation: &Observation, control: usize, out: &mut [f64]) {
        let window = observation.window;
        let dt = window.step_seconds();
        let measured = window.column(self.settings.measurement, 0);
        let wanted = |row: usize| match self.settings.setpoint {
            Setpoint::Value(v) => v,
            Setpoint::Signal { signal, factor, offset } => window.column(signal, 0)[row] * factor + offset,
        };
        if observation.step == 0 || self.particles.len() != out.len() {
            let in_force = window.column(control, 1);
            self.particles = (0..out.len())
                .map(|row| Particle {
                    bias: self.settings.bias.unwrap_or(in_force[row]),
                    integral: 0.0,
                    error: wanted(row) - measured[row],
                })
                .collect();
        }
        for (row, u) in out.iter_mut().enumerate() {
            let p = &mut self.particles[row];
            let error = wanted(row) - measured[row];
            let slope = (error - p.error) / dt;
            let free = p.bias + self.settings.kp * (error + p.integral + self.settings.td * slope);
            let push = self.settings.kp * error;
            let winds_up = (free >= self.hard.high && push > 0.0) || (free <= self.hard.low && push < 0.0);
            if !winds_up {
                p.integral += error * dt / self.settings.ti;
            }
            p.error = error;
            *u = if free.is_nan() { free } else { self.hard.clamp(free) };
        }
    }
}

impl Controller for Pid {
    fn signals(&self) -> &[usize] {
        &self.signals
    }

    fn depth(&self) -> usize {
        2
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        for ((l, signal), column) in self.loops.iter_mut().zip(&self.signals).zip(&mut control.values) {
            l.act(observation, *signal, column);
        }
        Ok(())
    }
}
