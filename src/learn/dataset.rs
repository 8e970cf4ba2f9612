//! The transitions of a log from one row to the next, as the numeric columns to which a regressor is fitted.

use std::ops::Range;

use super::equations::Equations;
use super::layout::{Layout, Target};
use crate::expr::Registers;
use crate::schema::Role;
use crate::trajectory::Trajectory;

/// The transitions of a log, oldest first, in the units of the signals. There is one transition for every grid row
/// whose targets and lagged inputs are all known and in the same segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub layout: Layout,
    /// `[inputs][transitions]`.
    pub x: Vec<Vec<f64>>,
    /// `[targets][transitions]`.
    pub y: Vec<Vec<f64>>,
    /// Grid row t of each transition, in ascending order.
    pub row: Vec<usize>,
    /// Sample time in milliseconds.
    pub step_ms: i64,
    /// Change u(t) − u(t − 1) of each control among the inputs; NaN if a value is missing: `[controls][transitions]`.
    pub control_moves: Vec<Vec<f64>>,
}

/// Mean and standard deviation of each column. The standard deviation of a constant column is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    pub mean: Vec<f64>,
    pub sd: Vec<f64>,
}

impl Dataset {
    /// Collects the transitions of `log`. The log must have one particle, and its constants and derived signals must
    /// already be filled in ([`Equations::fill`]).
    pub fn new(log: &Trajectory, layout: &Layout, equations: &Equations) -> Self {
        let next: Vec<Option<Vec<f64>>> = layout.targets.iter().map(|t| known_next(log, *t, equations)).collect();
        let past = layout.depth() - 1;
        let ahead = usize::from(layout.targets.iter().any(|t| t.is_next()));
        let target = |j: usize, t: usize| {
            let column = &log.columns[layout.targets[j].signal()];
            match &next[j] {
                _ if !layout.targets[j].is_next() => column[t],
                Some(known) => column[t + 1] - known[t],
                None => column[t + 1] - column[t],
            }
        };
        let complete = |t: &usize| {
            layout.inputs.iter().all(|&(s, lag)| log.columns[s][t - lag].is_finite())
                && (0..layout.targets.len()).all(|j| target(j, *t).is_finite())
        };
        let row: Vec<usize> = log
            .segments
            .iter()
            .flat_map(|s| (s.start + past)..s.end.saturating_sub(ahead).max(s.start + past))
            .filter(complete)
            .collect();
        let x = layout.inputs.iter().map(|&(s, lag)| row.iter().map(|&t| log.columns[s][t - lag]).collect()).collect();
        let y = (0..layout.targets.len()).map(|j| row.iter().map(|&t| target(j, t)).collect()).collect();
        let mut controls = log.schema.with_role(Role::Control);
        controls.retain(|c| layout.inputs.iter().any(|i| i.0 == *c));
        let change = |c: usize, t: usize| t.checked_sub(1).map_or(f64::NAN, |b| log.columns[c][t] - log.columns[c][b]);
        let control_moves = controls.iter().map(|&c| row.iter().map(|&t| change(c, t)).collect()).collect();
        Self { layout: layout.clone(), x, y, row, step_ms: log.step_ms, control_moves }
    }

    /// Number of transitions.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Returns the indices of the transitions whose lagged rows and next row are all in the same
    /// range of `ranges`.
    pub fn rows_in(&self, ranges: &[Range<usize>]) -> Vec<usize> {
        let past = self.layout.depth() - 1;
        let ahead = usize::from(self.layout.targets.iter().any(|t| t.is_next()));
        let mut rows = Vec::new();
        for r in ranges {
            let first = self.row.partition_point(|&t| t < r.start + past);
            let end = self.row.partition_point(|&t| t + ahead < r.end);
            rows.extend(first..end);
        }
        rows
    }

    /// Mean and standard deviation of the inputs over `rows`.
    pub fn input_scaling(&self, rows: &[usize]) -> Scaling {
        Scaling::estimate(&self.x, rows)
    }

    /// Mean and standard deviation of the targets over `rows`.
    pub fn target_scaling(&self, rows: &[usize]) -> Scaling {
        Scaling::estimate(&self.y, rows)
    }
}

impl Scaling {
    /// Mean and standard deviation of each column in `columns`, computed over `rows`.
    pub fn estimate(columns: &[Vec<f64>], rows: &[usize]) -> Self {
        let n = rows.len().max(1) as f64;
        let (mut mean, mut sd) = (Vec::with_capacity(columns.len()), Vec::with_capacity(columns.len()));
        for c in columns {
            let m = rows.iter().map(|&r| c[r]).sum::<f64>() / n;
            let s = (rows.iter().map(|&r| (c[r] - m).powi(2)).sum::<f64>() / n).sqrt();
            mean.push(m);
            // A standard deviation below this bound is due to rounding error.
            sd.push(if s > 1e-12 * m.abs() { s } else { 0.0 });
        }
        Self { mean, sd }
    }

    /// Inverse standard deviation of each column; 0 for a constant column.
    pub fn inverse(&self) -> Vec<f64> {
        self.sd.iter().map(|&s| if s > 0.0 { 1.0 / s } else { 0.0 }).collect()
    }
}

/// If the target is the residual of a known equation, returns the value that the equation predicts
/// in each row for the next step. The value is NaN if the equation would read values from before
/// the start of the segment. Returns `None` for other targets.
fn known_next(log: &Trajectory, target: Target, equations: &Equations) -> Option<Vec<f64>> {
    let Target::Residual(s) = target else { return None };
    let program = &equations.next.iter().find(|n| n.signal == s)?.program;
    let past = program.inlined(&|s| equations.derived_program(s)).depth();
    let mut registers = Registers::default();
    let mut known = vec![f64::NAN; log.steps];
    for segment in &log.segments {
        for t in (segment.start + past)..segment.end {
            program.eval(&log.frame(t, segment.start), &mut registers, &mut known[t..=t]);
        }
    }
    Some(known)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range")]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::schema::{Bounds, MoveLimit, Role, Schema, Signal, Switching};
    use crate::units::Unit;

    fn log(columns: &[(&str, Role, Vec<f64>)], segments: &[Range<usize>]) -> Trajectory {
        let signal = |name: &str, role| Signal {
            name: name.into(),
            role,
            unit: Unit::one(),
            hard: Bounds::OPEN,
            soft: Bounds::OPEN,
            max_move: MoveLimit::NONE,
            multiple: 0.0,
            switching: Switching::NONE,
        };
        let schema = Schema::new(columns.iter().map(|c| signal(c.0, c.1)).collect());
        let steps = columns[0].2.len();
        let mut log = Trajectory::empty(Arc::new(schema), Timestamp::UNIX_EPOCH, 1000, steps, 1);
        log.columns = columns.iter().map(|c| c.2.clone()).collect();
        log.segments = segments.to_vec();
        log
    }

    #[test]
    fn transitions_stay_in_segments_and_skip_missing_values() {
        let mut x: Vec<f64> = (0..12).map(|t| f64::from(t * t)).collect();
        x[9] = f64::NAN;
        let u = (0..12).map(f64::from).collect();
        let log = log(&[("x", Role::State, x), ("u", Role::Control, u)], &[0..4, 4..12]);
        let layout = Layout { inputs: vec![(0, 0), (1, 0), (1, 1)], targets: vec![Target::Delta(0)] };
        let data = Dataset::new(&log, &layout, &Equations::default());
        assert_eq!(data.row, vec![1, 2, 5, 6, 7, 10]);
        assert_eq!(data.x[2], vec![0.0, 1.0, 4.0, 5.0, 6.0, 9.0]);
        assert_eq!(data.y[0], vec![3.0, 5.0, 11.0, 13.0, 15.0, 21.0]);
        assert_eq!(data.rows_in(&[0..4]), vec![0, 1]);
        assert_eq!(data.rows_in(&[4..8, 8..12]), vec![2, 3, 5]);
    }

    #[test]
    fn an_output_target_needs_no_next_row() {
        let y = vec![1.0, 2.0, 3.0];
        let log = log(&[("y", Role::Output, y)], &[0..3, 3..3]);
        let layout = Layout { inputs: vec![(0, 1)], targets: vec![Target::Level(0)] };
        let data = Dataset::new(&log, &layout, &Equations::default());
        assert_eq!((data.row, data.x, data.y), (vec![1, 2], vec![vec![1.0, 2.0]], vec![vec![2.0, 3.0]]));
    }

    #[test]
    fn a_constant_column_has_zero_scale() {
        let s = Scaling::estimate(&[vec![1.0, 3.0], vec![0.1, 0.1]], &[0, 1]);
        assert_eq!((s.mean[0], s.sd[0], s.sd[1]), (2.0, 1.0, 0.0));
        assert_eq!(s.inverse(), vec![1.0, 0.0]);
    }
}
