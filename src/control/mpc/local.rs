//! The cost around a plan: residuals of the objective and their slopes, by differences of the whole rollout in one batch.

use super::limits::Limit;
use super::rollout::{Completed, Start, Workspace};
use super::setup::Setup;
use crate::control::planner::{Local, LocalLimit};
use crate::expr::{Program, Registers, SCALE_STEP};
use crate::schema::Bounds;
use crate::trajectory::Frame;
use crate::twin::Dynamics;
use crate::value::{Objective, PerStep};

/// Difference by which a move is changed, in widths of its bounds: errors of single precision and of curvature are both
/// small against it.
const DIFFERENCE: f64 = 1e-3;
/// A residual counts as no smaller than this share of its root mean square over the plan, so that a step that happens to
/// be on target does not outweigh all others.
const SMALLEST: f64 = 1e-3;
/// Limits farther away than this, in their widths, do not bind in one step.
const NEAR: f64 = 0.5;

/// Where the objective measures the smallness of something, |r|, r² or an excess.
pub(super) struct Residual {
    of: Of,
    /// Number of its term in the objective.
    term: usize,
    /// Money per unit of its expression and step.
    weight: f64,
}

enum Of {
    Size(Box<Size>),
    /// How far the signal is beyond the limits, and the excess that counts as none smaller.
    Excess(usize, Bounds, f64),
}

/// |r| or r² inside an expression.
struct Size {
    r: Program,
    square: bool,
    plain: Program,
    /// The expression with the size of r stretched.
    stretched: Program,
}

/// The residuals of an objective, and the terms that are more than they say.
pub(super) struct Residuals {
    list: Vec<Residual>,
    /// Terms whose slopes are more than those of their residuals.
    others: Vec<usize>,
}

/// What one batch of rollouts leaves behind: `[steps][rows]` each.
#[derive(Default)]
pub(super) struct Trace {
    /// `[residuals]`: r, and the weight of ½ r².
    residuals: Vec<(Vec<f64>, Vec<f64>)>,
    /// `[limits]`.
    limits: Vec<Vec<f64>>,
    scratch: [Vec<f64>; 2],
}

impl Residuals {
    /// Those of `objective` over `steps` steps, seen through the derived signals of the plant.
    pub fn of(objective: &Objective, steps: usize, dynamics: &dyn Dynamics) -> Self {
        let (mut list, mut others) = (Vec::new(), Vec::new());
        for (term, (kpi, price)) in objective.terms.iter().enumerate() {
            match kpi.per_step(steps) {
                PerStep::Expression(program, factor) => {
                    let plain = program.inlined(&|s| dynamics.derived(s));
                    let found = plain.residuals();
                    if !plain.is_made_of(&found) {
                        others.push(term);
                    }
                    list.extend(found.into_iter().map(|r| {
                        let (square, stretched) = (r.square, r.scaled);
                        let of = Of::Size(Box::new(Size { r: r.inner, square, plain: plain.clone(), stretched }));
                        Residual { of, term, weight: price * factor }
                    }));
                }
                PerStep::Excess(signal, range, factor) => {
                    let seen = dynamics.logged_range(signal);
                    let width = seen.high - seen.low;
                    let smallest = if width.is_finite() { SMALLEST * width } else { 0.0 };
                    let of = Of::Excess(signal, range, smallest);
                    list.push(Residual { of, term, weight: price * factor });
                }
                PerStep::Other => others.push(term),
            }
        }
        Self { list, others }
    }
}

impl Residual {
    /// r of every row, and the weight of ½ r² at the slope that the objective has there.
    fn measure(
        &self,
        frame: &Completed,
        registers: &mut Registers,
        scratch: &mut [Vec<f64>; 2],
        r: &mut [f64],
        weight: &mut [f64],
    ) {
        match &self.of {
            Of::Size(of) => {
                let Size { r: of, square, plain, stretched } = of.as_ref();
                let [low, high] = scratch;
                low.resize(r.len(), 0.0);
                high.resize(r.len(), 0.0);
                of.eval(frame, registers, r);
                plain.eval(frame, registers, low);
                stretched.eval(frame, registers, high);
                for (((w, r), low), high) in weight.iter_mut().zip(r.iter()).zip(low.iter()).zip(high.iter()) {
                    let rise = self.weight * (high - low) / SCALE_STEP;
                    // rise = slope × size: the weight of ½ r² is slope / |r| for |r|, and 2 slope for r².
                    *w = if *square { 2.0 } else { 1.0 } * rise / (r * r);
                }
            }
            Of::Excess(signal, range, smallest) => {
                for ((w, r), v) in weight.iter_mut().zip(r.iter_mut()).zip(frame.column(*signal, 0)) {
                    let excess = range.excess(*v);
                    *r = if *v > range.high { excess } else { -excess };
                    *w = if excess > 0.0 { self.weight / excess.max(*smallest) } else { 0.0 };
                }
            }
        }
    }

    fn is_kinked(&self) -> bool {
        matches!(&self.of, Of::Size(size) if !size.square)
    }
}

impl Trace {
    /// Makes room for `steps` × `rows`.
    fn resize(&mut self, residuals: usize, limits: usize, size: usize) {
        self.residuals.resize_with(residuals, Default::default);
        self.limits.resize_with(limits, Default::default);
        for (r, w) in &mut self.residuals {
            r.resize(size, 0.0);
            w.resize(size, 0.0);
        }
        self.limits.iter_mut().for_each(|l| l.resize(size, 0.0));
    }

    /// Takes in a completed frame.
    pub fn add(
        &mut self,
        residuals: &Residuals,
        limits: &[Limit],
        step: usize,
        frame: &Completed,
        registers: &mut Registers,
    ) {
        let rows = frame.rows();
        let at = step * rows..(step + 1) * rows;
        for (residual, (r, w)) in residuals.list.iter().zip(&mut self.residuals) {
            residual.measure(frame, registers, &mut self.scratch, &mut r[at.clone()], &mut w[at.clone()]);
        }
        for (limit, values) in limits.iter().zip(&mut self.limits) {
            values[at.clone()].copy_from_slice(limit.column(frame));
        }
    }
}

impl Workspace {
    /// The cost around `at`, `[moves * controls]`; `None` where the plant or the controls have no slopes.
    pub fn near(&mut self, setup: &Setup, start: &Start, at: &[f64]) -> Option<Local> {
        let residuals = setup.residuals.as_ref()?;
        let (n, controls) = (at.len(), setup.controls.len());
        let mut candidates = vec![at.to_vec(); n + 1];
        let mut steps = vec![0.0; n];
        for (k, candidate) in candidates[1..].iter_mut().enumerate() {
            let limit = &setup.limits[k % controls];
            let width = limit.allowed.bounds.high - limit.allowed.bounds.low;
            let size = DIFFERENCE * if width.is_finite() && width > 0.0 { width } else { limit.scale.max(1e-9) };
            steps[k] = if at[k] + size > limit.allowed.bounds.high { -size } else { size };
            candidate[k] += steps[k];
        }
        let (rows, horizon) = ((n + 1) * self.futures().count(), setup.blocks.horizon());
        let mut trace = std::mem::take(&mut self.trace);
        trace.resize(residuals.list.len(), setup.kept.len(), horizon * rows);
        let mut costs = Vec::new();
        self.price_and(setup, start, &candidates, &mut costs, &mut |step, frame, registers| {
            trace.add(residuals, &setup.kept, step, frame, registers);
        });
        let mut local = self.local(setup, residuals, &trace, &costs, &steps);
        self.trace = trace;
        if let Some(local) = &mut local {
            // doubt is no square of what a future shows: its slopes are those of all of them together
            let doubts = self.doubts();
            for (k, g) in local.gradient.iter_mut().enumerate() {
                *g += (doubts[k + 1] - doubts[0]) / steps[k];
            }
        }
        local.filter(|l| l.cost.is_finite() && l.gradient.iter().all(|g| g.is_finite()))
    }

    fn local(
        &mut self,
        setup: &Setup,
        residuals: &Residuals,
        trace: &Trace,
        costs: &[f64],
        steps: &[f64],
    ) -> Option<Local> {
        let (n, futures) = (steps.len(), self.futures().count());
        let base = |h: usize, p: usize| (h * futures + p) * (n + 1);
        let mut local =
            Local { cost: costs[0], gradient: vec![0.0; n], jacobian: vec![Vec::new(); n], ..Local::default() };
        let mut own = vec![vec![0.0; n]; setup.objective.terms.len()];
        let share = (futures as f64).recip();
        for (residual, (r, weight)) in residuals.list.iter().zip(&trace.residuals) {
            let places = (0..setup.blocks.horizon()).flat_map(|h| (0..futures).map(move |p| base(h, p)));
            let count = (setup.blocks.horizon() * futures) as f64;
            let square: f64 = places.clone().map(|at| r[at] * r[at]).filter(|v| v.is_finite()).sum::<f64>() / count;
            let floor = if residual.is_kinked() { SMALLEST * square.sqrt() + f64::MIN_POSITIVE } else { 0.0 };
            for at in places {
                // The slope of |r| against r², as if r were no smaller than the floor.
                let size = r[at].abs();
                let w = share * weight[at] * if size < floor { size / floor } else { 1.0 };
                let slope = |k: usize| (r[at + k + 1] - r[at]) / steps[k];
                if w == 0.0 || !w.is_finite() || (0..n).any(|k| !slope(k).is_finite()) {
                    continue;
                }
                for (k, own) in own[residual.term].iter_mut().enumerate() {
                    *own += w * r[at] * slope(k);
                }
                if w < 0.0 {
                    // What is better the larger it is has slopes, and no square to make small.
                    local.gradient.iter_mut().enumerate().for_each(|(k, g)| *g += w * r[at] * slope(k));
                    continue;
                }
                let root = w.sqrt();
                local.residuals.push(root * r[at]);
                for (k, column) in local.jacobian.iter_mut().enumerate() {
                    column.push(root * slope(k));
                }
            }
        }
        for &term in &residuals.others {
            let slopes = self.slopes(setup, term, steps)?;
            for ((g, slope), own) in local.gradient.iter_mut().zip(slopes).zip(&own[term]) {
                *g += slope - own;
            }
        }
        for (l, (limit, values)) in setup.kept.iter().zip(&trace.limits).enumerate() {
            for (h, p) in (0..setup.blocks.horizon()).flat_map(|h| (0..futures).map(move |p| (h, p))) {
                let (at, range) = (base(h, p), self.margins.range(l, limit.range, h, p));
                for (bound, sign) in [(range.high, 1.0), (range.low, -1.0)] {
                    let room = sign * (bound - values[at]) / limit.scale;
                    if room < NEAR {
                        let slopes =
                            (0..n).map(|k| sign * (values[at + k + 1] - values[at]) / (steps[k] * limit.scale));
                        local.limits.push(LocalLimit { slopes: slopes.collect(), room, rank: limit.rank });
                    }
                }
            }
        }
        Some(local)
    }
}

#[cfg(test)]
mod tests;
