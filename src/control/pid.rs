//! PID loops.

use super::{Context, Control, Controller, Observation};
use crate::config::{At, PidLoop, Reference};
use crate::error::Result;
use crate::schema::Bounds;
use crate::trajectory::Frame;

/// u = bias + kp·(e + ∫e dt/ti + td·de/dt), e = set-point − measurement, held within the hard range.
///
/// Ideal form, per particle. The integral stops while the control is at a limit and the error would push it further
/// (clamping anti-windup). Without a `bias` the loop starts from the control in force before the run (no bump but the
/// proportional one). An output is measured one step late: its value of this step is not known yet.
#[derive(Debug, Clone)]
pub struct Pid {
    signals: Vec<usize>,
    loops: Vec<Loop>,
}

#[derive(Debug, Clone)]
struct Loop {
    measurement: usize,
    setpoint: Setpoint,
    kp: f64,
    /// Seconds; infinite: no integral action.
    ti: f64,
    /// Seconds.
    td: f64,
    hard: Bounds,
    bias: Option<f64>,
    /// Per particle, once started.
    particles: Vec<Particle>,
}

#[derive(Debug, Clone, Copy)]
enum Setpoint {
    Value(f64),
    /// A signal, and `factor * v + offset` into the measurement's unit.
    Signal {
        signal: usize,
        factor: f64,
        offset: f64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Particle {
    bias: f64,
    /// ∫e dt / ti, in units of the measurement.
    integral: f64,
    error: f64,
}

impl Pid {
    pub(super) fn build(loops: &[At<PidLoop>], context: &Context) -> Result<Self> {
        let mut pid = Self { signals: Vec::new(), loops: Vec::new() };
        for l in loops {
            let control = context.control(&l.control, &l.control.span)?;
            if pid.signals.contains(&control) {
                let message = format!("two loops move `{}`", l.control.value);
                return Err(context.fault("duplicate-control", &l.control.span, message, "keep one loop per control"));
            }
            let measurement = context.signal(&l.measurement, &l.measurement.span)?;
            pid.signals.push(control);
            pid.loops.push(Loop {
                measurement,
                setpoint: Setpoint::build(&l.setpoint, measurement, context)?,
                kp: l.kp.value,
                ti: l.ti.as_ref().map_or(f64::INFINITY, |t| t.seconds()),
                td: l.td.as_ref().map_or(0.0, |t| t.seconds()),
                hard: context.schema.signals[control].hard,
                bias: l.bias.as_ref().map(|b| b.value),
                particles: Vec::new(),
            });
        }
        Ok(pid)
    }
}

impl Setpoint {
    fn build(reference: &At<Reference>, measurement: usize, context: &Context) -> Result<Self> {
        let name = match &reference.value {
            Reference::Value(v) => return Ok(Self::Value(*v)),
            Reference::Signal(name) => name,
        };
        let signal = context.signal(name, &reference.span)?;
        let (from, to) = (&context.schema.signals[signal].unit, &context.schema.signals[measurement].unit);
        if from.dimension != to.dimension {
            let message = format!(
                "`{name}` is in {} but the measurement `{}` is in {}",
                from.text, context.schema.signals[measurement].name, to.text
            );
            return Err(context.fault(
                "unit-mismatch",
                &reference.span,
                message,
                "use a set-point of the same dimension",
            ));
        }
        Ok(Self::Signal { signal, factor: from.scale / to.scale, offset: (from.offset - to.offset) / to.scale })
    }
}

impl Loop {
    fn act(&mut self, observation: &Observation, control: usize, out: &mut [f64]) {
        let window = observation.window;
        let dt = window.step_seconds();
        let measured = window.column(self.measurement, 0);
        let wanted = |row: usize| match self.setpoint {
            Setpoint::Value(v) => v,
            Setpoint::Signal { signal, factor, offset } => window.column(signal, 0)[row] * factor + offset,
        };
        if observation.step == 0 || self.particles.len() != out.len() {
            let in_force = window.column(control, 1);
            self.particles = (0..out.len())
                .map(|row| Particle {
                    bias: self.bias.unwrap_or(in_force[row]),
                    integral: 0.0,
                    error: wanted(row) - measured[row],
                })
                .collect();
        }
        for (row, u) in out.iter_mut().enumerate() {
            let p = &mut self.particles[row];
            let error = wanted(row) - measured[row];
            let slope = (error - p.error) / dt;
            let free = p.bias + self.kp * (error + p.integral + self.td * slope);
            let push = self.kp * error;
            let wound = (free >= self.hard.high && push > 0.0) || (free <= self.hard.low && push < 0.0);
            if !wound {
                p.integral += error * dt / self.ti;
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
