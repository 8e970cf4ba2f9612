//! How far candidates are beyond the limits of what the plant does.

use super::limits::Limit;
use super::margins::Margins;
use super::rollout::Completed;

/// Excesses over all limits, in widths and by the weight of their rank.
#[derive(Default)]
pub(super) struct ConstraintViolation {
    /// Per row, `p * candidates + c`; NaN where a limited signal is.
    rows: Vec<f64>,
}

/// A step beyond a limit counts this besides its excess, so that small excesses are avoided too.
const STEP_BEYOND: f64 = 0.1;

impl ConstraintViolation {
    /// None yet.
    pub fn begin(&mut self, rows: usize) {
        self.rows.clear();
        self.rows.resize(rows, 0.0);
    }

    /// Takes in a completed step of all rows.
    pub fn add(&mut self, limits: &[Limit], margins: &Margins, candidates: usize, step: usize, frame: &Completed) {
        for (l, limit) in limits.iter().enumerate() {
            let (scale, weight) = (limit.scale.recip(), limit.weight);
            let futures = self.rows.chunks_exact_mut(candidates).zip(limit.column(frame).chunks_exact(candidates));
            for (p, (rows, values)) in futures.enumerate() {
                let range = margins.range(l, limit.range, step, p);
                for (beyond, v) in rows.iter_mut().zip(values) {
                    if v.is_nan() {
                        *beyond = f64::NAN;
                    }
                    let excess = range.excess(*v) * scale;
                    *beyond += if excess > 1e-9 { weight * (excess + STEP_BEYOND) } else { 0.0 };
                }
            }
        }
    }

    /// The mean over futures of a candidate's.
    pub fn of(&self, candidate: usize, candidates: usize) -> f64 {
        let futures = (self.rows.len() / candidates).max(1) as f64;
        self.rows.iter().skip(candidate).step_by(candidates).sum::<f64>() / futures
    }
}
