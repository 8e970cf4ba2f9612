//! The objective as a weighted sum of squared residuals, for Gauss-Newton.
//!
//! A term of the objective has a residual r if it contains |r| or r², possibly inside another function, or if the
//! term is the amount r by which a signal exceeds its limits. The weight w is chosen so that ½ w r² has the same
//! derivative with respect to |r| as the term.

use super::frame::CompletedFrame;
use super::limits::PlantLimit;
use crate::expr::{Program, Registers, SCALE_STEP};
use crate::schema::Bounds;
use crate::trajectory::Frame;
use crate::twin::Dynamics;
use crate::value::{Objective, StepCost};

/// Lower bound that is imposed on |r| when the weight of a residual r is computed, as a fraction of the root mean
/// square of r over the plan. Without this lower bound, a step with a residual near zero would outweigh all other steps
/// (not tuned).
pub(super) const SMALLEST: f64 = 1e-3;

/// A quantity r that occurs in the objective as |r|, as r² or as an exceedance.
pub(super) struct Residual {
    quantity: Quantity,
    /// Index of the term in the objective to which the residual belongs.
    pub term: usize,
    /// Price of one unit of the term's expression in one step.
    weight: f64,
}

enum Quantity {
    Size(Box<Size>),
    Excess {
        signal: usize,
        bounds: Bounds,
        /// Violations smaller than this value are weighted as if they had this value.
        smallest: f64,
    },
}

/// An expression that contains |r| or r².
struct Size {
    r: Program,
    square: bool,
    expression: Program,
    /// The expression with |r| or r² multiplied by 1 + `SCALE_STEP`, from which the derivative is computed.
    scaled: Program,
}

pub(super) struct Residuals {
    pub list: Vec<Residual>,
    /// Terms for which the residuals do not fully determine the gradient.
    pub other_terms: Vec<usize>,
}

impl Residuals {
    /// Finds the residuals of `objective` over `steps` steps. Derived signals are replaced by their expressions.
    pub fn new(objective: &Objective, steps: usize, dynamics: &dyn Dynamics) -> Self {
        let (mut list, mut other_terms) = (Vec::new(), Vec::new());
        for (term, (kpi, price)) in objective.terms.iter().enumerate() {
            let (cost, factor) = kpi.step_cost(steps);
            match cost {
                StepCost::Expression(program) => {
                    let expression = program.inlined(&|s| dynamics.derived(s));
                    let found = expression.residuals();
                    if !expression.depends_only_on(&found) {
                        other_terms.push(term);
                    }
                    list.extend(found.into_iter().map(|r| {
                        let (square, scaled) = (r.square, r.scaled);
                        let size = Size { r: r.inner, square, expression: expression.clone(), scaled };
                        Residual { quantity: Quantity::Size(Box::new(size)), term, weight: price * factor }
                    }));
                }
                StepCost::Excess(signal, bounds) => {
                    let logged = dynamics.logged_range(signal);
                    let width = logged.high - logged.low;
                    let smallest = if width.is_finite() { SMALLEST * width } else { 0.0 };
                    let quantity = Quantity::Excess { signal, bounds, smallest };
                    list.push(Residual { quantity, term, weight: price * factor });
                }
                _ => other_terms.push(term),
            }
        }
        Self { list, other_terms }
    }
}

impl Residual {
    /// Writes the residual r of every row to `r`, and the weight of ½ r² to `weight`.
    fn measure(
        &self,
        frame: &CompletedFrame,
        registers: &mut Registers,
        scratch: &mut [Vec<f64>; 2],
        r: &mut [f64],
        weight: &mut [f64],
    ) {
        match &self.quantity {
            Quantity::Size(size) => {
                let Size { r: program, square, expression, scaled } = size.as_ref();
                let [low, high] = scratch;
                low.resize(r.len(), 0.0);
                high.resize(r.len(), 0.0);
                program.eval(frame, registers, r);
                expression.eval(frame, registers, low);
                scaled.eval(frame, registers, high);
                for (((w, r), low), high) in weight.iter_mut().zip(r.iter()).zip(low.iter()).zip(high.iter()) {
                    let rise = self.weight * (high - low) / SCALE_STEP;
                    // `rise` is the derivative D of the expression with respect to |r| (or r²), multiplied by |r| (or
                    // r²). The weight of ½ r² is D / |r| if the operation is |r|, or 2 D if the operation is r².
                    *w = if *square { 2.0 } else { 1.0 } * rise / (r * r);
                }
            }
            Quantity::Excess { signal, bounds, smallest } => {
                for ((w, r), v) in weight.iter_mut().zip(r.iter_mut()).zip(frame.column(*signal, 0)) {
                    let excess = bounds.excess(*v);
                    *r = if *v > bounds.high { excess } else { -excess };
                    *w = if excess > 0.0 { self.weight / excess.max(*smallest) } else { 0.0 };
                }
            }
        }
    }

    /// Whether the term has a kink at r = 0 and is therefore not differentiable.
    pub fn is_kinked(&self) -> bool {
        matches!(&self.quantity, Quantity::Size(size) if !size.square)
    }
}

/// Residuals and limited signals in a batch of rollouts, each with the layout `[steps][rows]`.
#[derive(Default)]
pub(super) struct Trace {
    /// Value r of each residual, and the weight of ½ r²: `[residuals]`.
    pub residuals: Vec<(Vec<f64>, Vec<f64>)>,
    /// `[limits]`.
    pub limits: Vec<Vec<f64>>,
    scratch: [Vec<f64>; 2],
}

impl Trace {
    /// Resizes the trace to `size` values per residual and per limit, where `size` is steps × rows.
    pub fn resize(&mut self, residuals: usize, limits: usize, size: usize) {
        self.residuals.resize_with(residuals, Default::default);
        self.limits.resize_with(limits, Default::default);
        for (r, w) in &mut self.residuals {
            r.resize(size, 0.0);
            w.resize(size, 0.0);
        }
        self.limits.iter_mut().for_each(|l| l.resize(size, 0.0));
    }

    /// Records a completed frame.
    pub fn add(
        &mut self,
        residuals: &Residuals,
        limits: &[PlantLimit],
        step: usize,
        frame: &CompletedFrame,
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
