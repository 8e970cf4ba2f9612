//! The one-step map of a plant, which consists of known equations, derived signals, and a regressor for the unknown
//! part.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::equations::{Constant, Derived, Equations};
use super::layout::{Layout, Target};
use super::regressor::{Particle, Regressor};
use crate::expr::Registers;
use crate::schema::{Role, Schema};
use crate::trajectory::{Frame, Window};

/// Known equations and a regressor that share a schema. The map is deterministic, because the noise is passed to each
/// step as an argument.
#[derive(Debug, Clone)]
pub struct StepMap {
    pub schema: Arc<Schema>,
    pub equations: Equations,
    pub layout: Layout,
    pub regressor: Arc<dyn Regressor>,
}

/// Buffers of a [`StepMap`], which grow to the batch size on the first step and are then reused.
#[derive(Debug, Default)]
pub struct StepScratch {
    pub registers: Registers,
    /// Predictions of the regressor: `[targets][rows]`. After a step, `out` contains the predicted next states and
    /// outputs.
    pub out: Vec<Vec<f64>>,
    /// One column: `[rows]`.
    column: Vec<f64>,
    /// Known next states: `[equations.next][rows]`.
    next: Vec<Vec<f64>>,
    /// An empty list whose allocation is reused for the input columns of each step.
    inputs: Vec<&'static [f64]>,
}

impl StepMap {
    /// Number of frames that a step reads, including the current one.
    pub fn depth(&self) -> usize {
        self.layout.depth().max(self.equations.depth())
    }

    /// Returns the columns of the signals that the regressor predicts. Targets that are errors of
    /// equations are excluded if these errors are not learned but only drawn at random.
    pub fn learned(&self) -> impl Iterator<Item = usize> + '_ {
        let is_learned = |s: usize| self.equations.next.iter().all(|n| n.signal != s || n.has_residual);
        self.layout.targets.iter().map(|t| t.signal()).filter(move |s| is_learned(*s))
    }

    /// Returns true if the regressor predicts effects of the controls, directly or through derived
    /// signals and known equations. If no effects are predicted, a change to the controls has the
    /// same effect in all members of the regressor.
    pub fn learns_effects(&self) -> bool {
        let mut moved: BTreeSet<usize> = self.schema.with_role(Role::Control).into_iter().collect();
        loop {
            let reached = self.equations.programs().filter(|(_, p)| p.reads.iter().any(|r| moved.contains(&r.0)));
            let more: Vec<usize> = reached.map(|(s, _)| s).filter(|s| !moved.contains(s)).collect();
            if more.is_empty() {
                break;
            }
            moved.extend(more);
        }
        !self.layout.targets.is_empty() && self.layout.inputs.iter().any(|i| moved.contains(&i.0))
    }

    /// Returns true if the regressor or an equation reads `signal`.
    pub fn reads(&self, signal: usize) -> bool {
        self.layout.inputs.iter().any(|i| i.0 == signal)
            || self.equations.programs().any(|(_, p)| p.reads_signal(signal))
    }

    /// Writes the constants, and the derived signals that do not depend on the current controls or outputs, into the
    /// current frame.
    pub fn observe(&self, window: &mut Window, scratch: &mut StepScratch) {
        for &Constant { signal, value } in &self.equations.constants {
            window.column_mut(signal, 0).fill(value);
        }
        scratch.column.resize(window.rows(), 0.0);
        for Derived { signal, program } in &self.equations.early {
            program.eval(window, &mut scratch.registers, &mut scratch.column);
            window.column_mut(*signal, 0).copy_from_slice(&scratch.column);
        }
    }

    /// Writes the outputs and the derived signals that depend on current controls or outputs into the current frame,
    /// advances the window, and writes the next states.
    ///
    /// `window` must be at least [`StepMap::depth`] frames deep, and [`StepMap::observe`] must have been called for its
    /// current frame. The row ranges in `particles` must together cover all rows of the window. `noise`
    /// (`[targets][particles]`, in the units of the targets) is added to the targets. Non-finite values propagate, and
    /// no value is clamped.
    pub fn step(
        &self,
        window: &mut Window,
        particles: &[Particle],
        noise: Option<&[Vec<f64>]>,
        scratch: &mut StepScratch,
    ) {
        let rows = window.rows();
        let StepScratch { registers, out, column, next, inputs } = scratch;
        resize(out, self.layout.targets.len(), rows);
        resize(next, self.equations.next.len(), rows);
        column.resize(rows, 0.0);

        let mut x = recycled(std::mem::take(inputs));
        x.extend(self.layout.inputs.iter().map(|&(signal, lag)| window.column(signal, lag)));
        self.regressor.predict(&x, particles, out);
        *inputs = recycled(x);
        if let Some(noise) = noise {
            for (out, noise) in out.iter_mut().zip(noise) {
                for (particle, e) in particles.iter().zip(noise) {
                    for v in &mut out[particle.rows.clone()] {
                        *v += e;
                    }
                }
            }
        }

        for (target, out) in self.layout.targets.iter().zip(out.iter()) {
            if let Target::Level(s) = *target {
                window.column_mut(s, 0).copy_from_slice(out);
            }
        }
        for Derived { signal, program } in &self.equations.late {
            program.eval(window, registers, column);
            window.column_mut(*signal, 0).copy_from_slice(column);
        }
        for (equation, next) in self.equations.next.iter().zip(next.iter_mut()) {
            equation.program.eval(window, registers, next);
        }
        for (target, out) in self.layout.targets.iter().zip(out.iter_mut()) {
            match *target {
                Target::Delta(s) => add(out, window.column(s, 0)),
                Target::Residual(s) => {
                    if let Some(k) = self.equations.next.iter().position(|n| n.signal == s) {
                        add(out, &next[k]);
                    }
                }
                Target::Level(_) => {}
            }
        }

        window.advance();
        for (equation, next) in self.equations.next.iter().zip(next.iter()) {
            if !equation.has_residual {
                window.column_mut(equation.signal, 0).copy_from_slice(next);
            }
        }
        for (target, out) in self.layout.targets.iter().zip(out.iter()) {
            if target.is_next() {
                window.column_mut(target.signal(), 0).copy_from_slice(out);
            }
        }
    }
}

fn resize(columns: &mut Vec<Vec<f64>>, n: usize, rows: usize) {
    columns.resize_with(n, Vec::new);
    for c in columns {
        c.resize(rows, 0.0);
    }
}

fn add(to: &mut [f64], from: &[f64]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += b;
    }
}

/// Clears `list` and converts it to an empty list of slices with a different lifetime, reusing its
/// allocation.
///
/// The input columns borrow from the window, so a list of these columns cannot outlive a step.
/// Creating a new list at every step would allocate memory. The standard library's in-place
/// `collect` reuses the allocation of a `Vec` if the element size is the same. The closure passed
/// to `map` is never called; it only changes the lifetime in the type. The test
/// `a_second_step_reuses_its_buffers` checks that the allocation is reused.
fn recycled<'b>(mut list: Vec<&[f64]>) -> Vec<&'b [f64]> {
    list.clear();
    list.into_iter().map(|_| -> &'b [f64] { &[] }).collect()
}

#[cfg(test)]
#[path = "../../tests/unit/learn/map.rs"]
mod tests;
