//! Violation of the plant's limits by candidate plans.

use super::frame::CompletedFrame;
use super::limits::PlantLimit;
use super::margins::Margins;

/// Weighted violation of all limits, summed over steps, for each row of a batch.
#[derive(Default)]
pub(super) struct ConstraintViolation {
    /// Violation in each row, NaN if a limited signal is NaN. The row of a candidate in a future is
    /// `future * candidates + candidate`.
    rows: Vec<f64>,
}

/// Constant added to the scaled violation of a limit at each step, so that even small violations are penalised (not
/// tuned).
const PER_STEP: f64 = 0.1;

impl ConstraintViolation {
    /// Starts a batch of `rows` rows and sets their violations to zero.
    pub fn reset(&mut self, rows: usize) {
        self.rows.clear();
        self.rows.resize(rows, 0.0);
    }

    /// Selects rows: the new row `i` is the previous row `rows[i]`.
    pub fn select(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&r| self.rows[r]).collect();
    }

    /// Adds the violations of all limits at a completed step.
    pub fn add(
        &mut self,
        limits: &[PlantLimit],
        margins: &Margins,
        candidates: usize,
        step: usize,
        frame: &CompletedFrame,
    ) {
        for (l, limit) in limits.iter().enumerate() {
            let (scale, weight) = (limit.scale.recip(), limit.weight);
            let futures = self.rows.chunks_exact_mut(candidates).zip(limit.column(frame).chunks_exact(candidates));
            for (p, (rows, values)) in futures.enumerate() {
                let bounds = margins.tightened(l, limit.bounds, step, p);
                for (violation, v) in rows.iter_mut().zip(values) {
                    if v.is_nan() {
                        *violation = f64::NAN;
                    }
                    let excess = bounds.excess(*v) * scale;
                    *violation += if excess > 1e-9 { weight * (excess + PER_STEP) } else { 0.0 };
                }
            }
        }
    }

    /// The mean violation of `candidate` over futures.
    pub fn mean(&self, candidate: usize, candidates: usize) -> f64 {
        let futures = (self.rows.len() / candidates).max(1) as f64;
        self.rows.iter().skip(candidate).step_by(candidates).sum::<f64>() / futures
    }
}
